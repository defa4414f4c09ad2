//! Plays random schedules of the whole stack without network and disk, and says which broke a rule.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tombolo_tests::sim::{Branch, Mode, Outcome, Played, Scenario, Schedule, Stats};

/// A fifth of the time goes into the heap with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Play the story in this file, and print what happens; with more than a hundred nodes only what came of it.
    #[arg(long, conflicts_with = "seed")]
    scenario: Option<PathBuf>,
    /// What the schedules are about: faults, backups, liveness, parts or members.
    #[arg(long, default_value = "faults", value_parser = mode)]
    mode: Mode,
    /// In mode backups: the copy of a disk runs at once with the original, under the same key and replica id.
    #[arg(long)]
    twins: bool,
    /// Fail also if the schedules did not come by everything that the mode comes by: faults, and ways of repair. It takes some thousand.
    #[arg(long, conflicts_with_all = ["seed", "scenario"])]
    all_branches: bool,
}

fn mode(name: &str) -> Result<Mode, String> {
    let found = Mode::ALL.into_iter().find(|mode| mode.name() == name);
    found.ok_or_else(|| format!("a mode is one of {}", Mode::ALL.map(Mode::name).join(", ")))
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
    if let Some(file) = &arguments.scenario {
        return play(file);
    }
    match arguments.seed {
        Some(seed) => replay(seed, arguments.mode, arguments.twins),
        None => play_all(&arguments),
    }
}

fn play(file: &Path) -> ExitCode {
    let read = std::fs::read_to_string(file).map_err(|why| why.to_string());
    let scenario = match read.and_then(|text| Scenario::read(&text)) {
        Ok(scenario) => scenario,
        Err(why) => {
            eprintln!("{}: {why}", file.display());
            return ExitCode::FAILURE;
        }
    };
    let Played { failure, summary, trace } = scenario.play(scenario.nodes <= 100);
    trace.iter().for_each(|line| println!("{line}"));
    println!("{}", scenario.about);
    println!("{summary}");
    match failure {
        Some(failure) => {
            println!("failed: {failure}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn replay(seed: u64, mode: Mode, twins: bool) -> ExitCode {
    let outcome = Schedule::new(seed).of_mode(mode).with_twins(twins).traced().run();
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
                    let schedule = Schedule::new(arguments.from.wrapping_add(number));
                    let outcome = schedule.of_mode(arguments.mode).with_twins(arguments.twins).run();
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
    for outcome in &failed {
        println!("seed {}: {}", outcome.seed, outcome.violation.as_deref().unwrap_or_default());
        println!("  replay: {}", outcome.replay());
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{stats} (seed {}); {:.1} schedules a second",
        slowest.1,
        arguments.seeds as f64 / seconds.max(0.001)
    );
    println!("{} schedules, {} violations", arguments.seeds, failed.len());
    let never: Vec<Branch> = Branch::all()
        .filter(|branch| arguments.all_branches && branch.is_of(arguments.mode) && stats.branch(*branch) == 0)
        .collect();
    if !never.is_empty() {
        println!("never seen: {never:?}");
    }
    if failed.is_empty() && never.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
