//! Plays random schedules of the whole stack without network and disk, and says which broke a rule.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tombolo_tests::sim::{Outcome, Schedule, Stats};

/// Plays random schedules of writes, cuts, crashes and full disks, and checks that nothing is lost and all agree.
#[derive(Parser)]
struct Arguments {
    /// How many schedules to play.
    #[arg(long, default_value_t = 1_000, conflicts_with = "seed")]
    seeds: u64,
    /// The seed of the first schedule; the others follow.
    #[arg(long, default_value_t = 1, conflicts_with = "seed")]
    from: u64,
    /// How many schedules to play at a time; by default as many as there are processors.
    #[arg(long)]
    threads: Option<usize>,
    /// Play this schedule alone, and print what happens.
    #[arg(long)]
    seed: Option<u64>,
}

/// What all schedules came to.
#[derive(Default)]
struct Done {
    stats: Stats,
    /// The schedule that took longest to heal: how long, and its seed.
    slowest: (u64, u64),
    failed: Vec<Outcome>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => replay(seed),
        None => play_all(&arguments),
    }
}

fn replay(seed: u64) -> ExitCode {
    let outcome = Schedule::new(seed).traced().run();
    for line in &outcome.trace {
        println!("{line}");
    }
    println!("seed {seed}: {}", outcome.stats);
    match outcome.violation {
        Some(violation) => {
            println!("violation {violation}");
            ExitCode::FAILURE
        }
        None => {
            println!("no violation");
            ExitCode::SUCCESS
        }
    }
}

fn play_all(arguments: &Arguments) -> ExitCode {
    // A panic is reported as a violation, with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let threads = arguments
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(arguments.seeds)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} schedules, {eta} left") {
        bar.set_style(style);
    }
    let next = AtomicU64::new(0);
    let done: Mutex<Done> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= arguments.seeds {
                        return;
                    }
                    let outcome = Schedule::new(arguments.from.wrapping_add(number)).run();
                    let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    let slowest = (outcome.stats.healed_millis, outcome.seed);
                    done.slowest = done.slowest.max(slowest);
                    done.stats += outcome.stats;
                    if outcome.violation.is_some() {
                        done.failed.push(outcome);
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let Done { stats, slowest, mut failed } =
        done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failed.sort_by_key(|outcome| outcome.seed);
    for Outcome { seed, violation, .. } in &failed {
        println!("seed {seed}: {}", violation.as_deref().unwrap_or_default());
        println!("  replay: cargo run --release -p tombolo-tests --bin simulate -- --seed {seed}");
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{stats} (seed {}); {:.1} schedules a second",
        slowest.1,
        arguments.seeds as f64 / seconds.max(0.001)
    );
    println!("{} schedules, {} violations", arguments.seeds, failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
