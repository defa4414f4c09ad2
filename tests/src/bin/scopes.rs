//! Goes through everything that a few replicas can do with a few operations, for every type, and says how much that was.

use std::io::IsTerminal;
use std::time::Instant;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tombolo_tests::model::catalogue;
use tombolo_tests::model::scopes::Visited;

/// Goes through everything that a few replicas can do with a few operations, merged anywhere, for every type, and compares every
/// state with the type's definition and with itself, reached on other ways.
#[derive(Parser)]
struct Arguments {
    /// How many replicas take part at most.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    replicas: u8,
    /// How many operations there are at most. One more takes twenty to fifty times as long.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=8))]
    operations: u8,
    /// One operation more for types that have had at most so many histories without it.
    #[arg(long, value_name = "HISTORIES", default_value_t = 0)]
    more_up_to: usize,
    /// Only types whose names contain this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// How many threads to use; by default as many as there are processors.
    #[arg(long)]
    threads: Option<usize>,
}

fn main() {
    let arguments = Arguments::parse();
    let threads = arguments.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let mut types = catalogue::all();
    types.retain(|of| arguments.only.as_ref().is_none_or(|only| of.name.contains(&only[..])));
    let bar = if std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
        ProgressBar::new(types.len() as u64).with_style(style.expect("the template is valid"))
    } else {
        ProgressBar::hidden()
    };
    println!(
        "{:32} {:>10} {:>10} {:>8} {:>10} {:>10} {:>7}",
        "type", "operations", "histories", "sweeps", "states", "ways", "time"
    );
    let (mut all, began) = (Visited::default(), Instant::now());
    let row = |name: &str, operations: &str, visited: Visited, began: Instant| {
        let Visited { histories, sweeps, states, ways } = visited;
        let seconds = began.elapsed().as_secs_f64();
        format!(
            "{name:32} {operations:>10} {histories:>10} {sweeps:>8} {states:>10} {ways:>10} {seconds:>5.1} s"
        )
    };
    for of in &types {
        bar.set_message(of.name);
        let began = Instant::now();
        let mut operations = usize::from(arguments.operations);
        let explore = |operations| (of.explore)(arguments.replicas.into(), operations, threads.unwrap_or(1));
        let mut visited = explore(operations);
        if visited.histories <= arguments.more_up_to {
            operations += 1;
            visited = explore(operations);
        }
        bar.suspend(|| println!("{}", row(of.name, &operations.to_string(), visited, began)));
        bar.inc(1);
        all += visited;
    }
    bar.finish_and_clear();
    println!("{}", row("all", "", all, began));
}
