//! Tombolo beside its peers: the same work, in the same run, on the same machine.
//!
//! The parent starts a fresh child process for every workload and system (`run`), which does the work and measures itself
//! (`meter`), and reports what came back (`report`, `chart`). What is aimed at stands in `goals`.

mod chart;
mod child;
mod goals;
mod inputs;
mod instructions;
mod meter;
mod report;
mod run;
mod system;
mod systems;
#[cfg(test)]
mod tests;
mod traces;
mod workloads;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

#[global_allocator]
static HEAP: tombolo_bench_heap::Counting = tombolo_bench_heap::Counting;

/// Tombolo beside its peers: the same work in the same run.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only what this names: a workload, a system, or `workload/system`. May be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// How many timed runs of each; their median is told. One more run counts memory.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// After how many seconds a section is stopped and told as `n/a`.
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// Tab-separated lines in place of the table: workload, system, metric, value, unit, ratio, to what, goal, verdict, ratio by
    /// instructions.
    #[arg(long)]
    lines: bool,
    /// Write an SVG chart per workload into this folder.
    #[arg(long, value_name = "FOLDER")]
    charts: Option<PathBuf>,
    /// Count instructions too: of all that `--only` names, or without it of `text` and of our own growth. Needs `valgrind`, and
    /// takes tens of times as long as one timed run.
    #[arg(long)]
    instructions: bool,
    /// After how many seconds a workload in a system is stopped while its instructions are counted. Sections that it had not
    /// finished are told as not counted.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    instructions_limit: u64,
    /// Tell what there is and stop.
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// One workload in one system, in this process.
    #[command(hide = true)]
    Child {
        workload: String,
        system: String,
        #[arg(long)]
        counted: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Part::Child { workload, system, counted }) = &arguments.part {
        return child::run(workload, system, *counted);
    }
    if arguments.list {
        list();
        return ExitCode::SUCCESS;
    }
    let pairs = match run::select(&arguments.only) {
        Ok(pairs) => pairs,
        Err(unknown) => {
            eprintln!("nothing is called {unknown}; `--list` tells what there is");
            return ExitCode::FAILURE;
        }
    };
    if arguments.lines && pairs.iter().any(|(workload, _)| workloads::RECORDED.contains(&workload.name)) {
        eprintln!("{}", traces::origin());
    }
    let mut results = run::all(&pairs, arguments.runs, Duration::from_secs(arguments.patience));
    if arguments.instructions {
        let wanted = results.iter_mut().filter(|of| instructions::are_wanted(&arguments.only, of)).collect();
        let limit = Duration::from_secs(arguments.instructions_limit);
        if let Err(why) = instructions::count_all(wanted, limit) {
            eprintln!("instructions could not be counted: {why}");
        }
    }
    let report = report::Report::new(&results, arguments.runs);
    print!("{}", if arguments.lines { report.lines() } else { report.table() });
    if let Some(folder) = &arguments.charts
        && let Err(why) = chart::write_all(&report, folder)
    {
        eprintln!("the charts could not be written: {why}");
        return ExitCode::FAILURE;
    }
    // A missed goal is told, and is no failure. A wrong result is one.
    if results.iter().any(|result| result.wrong.is_some()) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn list() {
    println!("workloads");
    for workload in workloads::ALL {
        println!("  {:13} {}", workload.name, workload.about);
    }
    println!("systems");
    for system in systems::ALL {
        let version = system.package().and_then(systems::version_of);
        println!("  {:13} {}", system.name(), version.unwrap_or("of the standard library"));
    }
}
