//! Counting instructions under `valgrind`: they say what time on a busy machine does not.
//!
//! Each workload in each system is a process of its own here too. Every section runs inside one function,
//! `meter::measured`; callgrind collects inside it only, and writes a file each time it returns. The files come in the
//! order in which the sections began. All that takes tens of times as long, so each process has a limit: what it
//! finished before is told, and of the rest that it was not counted.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::meter::Event;
use crate::run::{self, Outcome};
use crate::workloads;

/// Inside which function callgrind collects.
const COLLECTED: &str = "*meter::measured*";
/// After which function it writes a file: the same. SUBTLE: of two options with the same pattern it heeds one only.
const DUMPED: &str = "tombolo_bench::meter::measured*";

/// Whether the instructions of a pair are counted: all that `only` names; if it names nothing, a text and our own growth.
pub fn are_wanted(only: &[String], of: &Outcome) -> bool {
    let by_default = of.workload == workloads::TEXT || (of.workload, of.system) == ("growth", "tombolo");
    of.wrong.is_none() && (!only.is_empty() || by_default)
}

/// Counts the instructions of each section that was timed. What is counted does not depend on what else the machine does, so
/// there are as many processes at once as it has processors.
pub fn count_all(outcomes: Vec<&mut Outcome>, limit: Duration) -> Result<(), String> {
    let bar = run::bar(outcomes.len() as u64);
    bar.set_message("instructions");
    let at_once = thread::available_parallelism().map_or(1, usize::from).min(outcomes.len());
    let queue = Mutex::new(outcomes.into_iter());
    let next = || queue.lock().ok()?.next();
    let counted = thread::scope(|scope| {
        let start = |_| scope.spawn(|| work(next, limit, &bar));
        let workers: Vec<_> = (0..at_once).map(start).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("counting does not panic"))
    });
    bar.finish_and_clear();
    counted
}

fn work<'o>(
    next: impl Fn() -> Option<&'o mut Outcome>,
    limit: Duration,
    bar: &ProgressBar,
) -> Result<(), String> {
    while let Some(outcome) = next() {
        count(outcome, limit)?;
        bar.inc(1);
    }
    Ok(())
}

fn count(outcome: &mut Outcome, limit: Duration) -> Result<(), String> {
    let timed = outcome.timed();
    let Some(last) = timed.last() else { return Ok(()) };
    let folder = Folder::new(outcome)?;
    let mut child = start(outcome, &folder.0)?;
    let events = run::events(&mut child);
    let (finished, why) = follow(&events, last, limit);
    // What it would tell of its end is not needed.
    run::stop(&mut child);
    let numbers = (1..).map(|number| folder.0.join(format!("out.{number}")));
    let counted: HashMap<String, f64> = finished
        .into_iter()
        .zip(numbers)
        .filter_map(|(section, file)| Some((section, total(&file)?)))
        .collect();
    outcome.take_instructions(&counted, &why);
    Ok(())
}

/// A folder for the files of one process.
struct Folder(PathBuf);

impl Folder {
    fn new(of: &Outcome) -> Result<Self, String> {
        let name = format!("tombolo-bench-{}-{}-{}", std::process::id(), of.workload, of.system);
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whatever came of it; a folder left behind does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn start(outcome: &Outcome, folder: &Path) -> Result<Child, String> {
    let this = std::env::current_exe().map_err(|why| why.to_string())?;
    Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .args([format!("--toggle-collect={COLLECTED}"), format!("--dump-after={DUMPED}")])
        .arg(format!("--callgrind-out-file={}", folder.join("out").display()))
        .arg(this)
        .args(["child", outcome.workload, outcome.system])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|why| format!("valgrind: {why}"))
}

/// The sections that were finished, in order, and why there are no more of them. Nothing is awaited after the `last`.
pub fn follow(events: &Receiver<Event>, last: &str, limit: Duration) -> (Vec<String>, String) {
    let until = Instant::now() + limit;
    let (mut finished, mut section) = (Vec::new(), String::from("(start)"));
    let why = loop {
        match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Event::Begin { section: begun }) => section = begun,
            // The first that is told once a section has returned, and its file is written.
            Ok(Event::Value { metric, .. }) if metric.strip_suffix(".cpu") == Some(&section) => {
                finished.push(section.clone());
                if section == last {
                    break format!("callgrind did not see {COLLECTED}");
                }
            }
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => break format!("the process ended in {section}"),
            Err(RecvTimeoutError::Timeout) => {
                break format!("stopped after {} s, in {section}", limit.as_secs());
            }
        }
    };
    (finished, why)
}

/// The sum that stands in one of callgrind's files.
fn total(file: &Path) -> Option<f64> {
    let lines = BufReader::new(std::fs::File::open(file).ok()?).lines().map_while(Result::ok);
    let sums = lines.filter_map(|line| {
        let sum = line.strip_prefix("totals: ").or(line.strip_prefix("summary: "))?;
        sum.split_whitespace().next()?.parse().ok()
    });
    sums.last()
}
