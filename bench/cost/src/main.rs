//! The cost gate: what eighteen small fixed workloads cost, in bytes and instructions, beside a committed baseline.
//!
//! Time says little on a shared machine. Bytes (`workloads`) are exact, and so, nearly, are instructions counted by
//! callgrind (`callgrind`), so a change that makes something dearer is seen in the change that does it (`compare`), and
//! what is accepted stands in the history of `baseline.toml` (`baseline`).

mod baseline;
mod callgrind;
mod compare;
#[cfg(test)]
mod tests;
mod workloads;

use std::process::ExitCode;

use baseline::{Baseline, Tools};
use compare::{Costs, INSTRUCTIONS};

// The system's allocator differs from machine to machine, and its instructions are a good part of all. This one is in our
// lock file, so that a baseline holds elsewhere too.
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The command that accepts what is measured.
const RENEW: &str = "cargo run --release -p tombolo-bench-cost -- --renew";

const USAGE: &str = "\
What eighteen small fixed workloads cost, in bytes and instructions, beside the committed baseline.

Usage: cost [--bytes | --renew]

  --bytes  Check bytes only. Needs no valgrind.
  --renew  Accept what is measured: write it as the new baseline.

Exits with 1 if something costs more or differs, with 2 if it could not be measured.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => check(false),
        ["--bytes"] => check(true),
        ["--renew"] => renew(),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        // What callgrind looks at.
        ["child", workload] => child(workload),
        _ => Err(format!("no such arguments\n\n{USAGE}")),
    };
    done.unwrap_or_else(|why| {
        eprintln!("error: {why}");
        ExitCode::from(2)
    })
}

/// One workload, in this process.
fn child(workload: &str) -> Result<ExitCode, String> {
    let workload = workloads::named(workload).ok_or("no such workload")?;
    (workload.run)();
    Ok(ExitCode::SUCCESS)
}

fn check(bytes_only: bool) -> Result<ExitCode, String> {
    let mut baseline = Baseline::read()?;
    let now = if bytes_only {
        baseline.costs.values_mut().for_each(|metrics| metrics.retain(|metric, _| metric != INSTRUCTIONS));
        bytes()
    } else {
        let tools = Tools::here()?;
        tools.comparable(&baseline.tools)?.iter().for_each(|note| println!("{note}"));
        everything()?
    };
    let rows = compare::compare(&baseline.costs, &now);
    print!("{}", compare::table(&rows));
    let (failed, gained) = (compare::failed(&rows), compare::gained(&rows));
    if gained > 0 {
        println!("\n{gained} cheaper than the baseline: renew it, so that the gain is kept:\n    {RENEW}");
    }
    if failed > 0 {
        println!(
            "\nFAILED: {failed} not as the baseline has it. If that is meant, say why in the change and renew it:\n    \
             {RENEW}"
        );
        return Ok(ExitCode::FAILURE);
    }
    println!("\nAs the baseline has it.");
    Ok(ExitCode::SUCCESS)
}

fn renew() -> Result<ExitCode, String> {
    let tools = Tools::here()?;
    // One that is missing or cannot be read is what renewing is for.
    let old = Baseline::read().map(|old| old.costs).unwrap_or_default();
    let new = Baseline { tools, costs: everything()? };
    print!("{}", compare::table(&compare::compare(&old, &new.costs)));
    new.write()?;
    println!("\n{} is written.", baseline::PATH);
    Ok(ExitCode::SUCCESS)
}

/// The bytes of all workloads.
fn bytes() -> Costs {
    let owned = |(metric, bytes): (&str, usize)| (metric.to_owned(), bytes as u64);
    workloads::ALL
        .iter()
        .map(|workload| (workload.name.to_owned(), (workload.run)().into_iter().map(owned).collect()))
        .collect()
}

/// Bytes and instructions of all workloads.
fn everything() -> Result<Costs, String> {
    if cfg!(debug_assertions) {
        return Err("instructions of an unoptimised build say nothing: build with --release".to_owned());
    }
    let mut costs = bytes();
    for (workload, metrics) in &mut costs {
        metrics.insert(INSTRUCTIONS.to_owned(), callgrind::count(workload)?);
    }
    Ok(costs)
}
