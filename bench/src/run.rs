//! Starting children and gathering what they tell.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::meter::{Event, Unit};
use crate::system::System;
use crate::systems;
use crate::workloads::{self, Workload};

/// A workload and a system.
pub type Pair = (&'static Workload, &'static dyn System);

/// What is known of a pair.
pub struct Outcome {
    /// Which workload.
    pub workload: &'static str,
    /// In which system.
    pub system: &'static str,
    /// For each metric its unit and one value a run.
    pub values: BTreeMap<String, (Unit, Vec<f64>)>,
    /// The metrics in the order in which they came.
    pub order: Vec<String>,
    /// Sections that cannot be done, and why; `all` for the rest of the workload.
    pub not_available: Vec<(String, String)>,
    /// A wrong result.
    pub wrong: Option<String>,
}

impl Outcome {
    /// The median of a metric.
    pub fn median(&self, metric: &str) -> Option<(f64, Unit)> {
        let (unit, values) = self.values.get(metric)?;
        let mut values = values.clone();
        values.sort_unstable_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some((median, *unit))
    }

    /// Takes in what a child told.
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Begin { .. } | Event::Done => {}
            Event::Value { metric, value, unit } => {
                if !self.order.contains(&metric) {
                    self.order.push(metric.clone());
                }
                self.values.entry(metric).or_insert_with(|| (unit, Vec::new())).1.push(value);
            }
            Event::Na { section, why } => {
                let entry = (section, why);
                if !self.not_available.contains(&entry) {
                    self.not_available.push(entry);
                }
            }
            Event::Wrong { what } => self.wrong = Some(what),
        }
    }

    /// The sections that have a CPU time, in order.
    pub fn timed(&self) -> Vec<String> {
        let sections = self.order.iter().filter_map(|metric| metric.strip_suffix(".cpu"));
        sections.filter(|section| !section.ends_with(".zstd")).map(str::to_owned).collect()
    }

    /// Takes in the instructions of sections, to stand beside their CPU time; of those that were timed and are not there, `why`
    /// they are not.
    pub fn take_instructions(&mut self, counted: &HashMap<String, f64>, why: &str) {
        for section in self.timed() {
            let metric = format!("{section}.instructions");
            let Some(&value) = counted.get(&section) else {
                self.not_available.push((metric, format!("not counted: {why}")));
                continue;
            };
            let cpu = self.order.iter().position(|other| *other == format!("{section}.cpu"));
            self.order.insert(cpu.map_or(self.order.len(), |cpu| cpu + 1), metric.clone());
            self.values.insert(metric, (Unit::Instructions, vec![value]));
        }
    }
}

/// The pairs that `only` names; all, if it names nothing.
pub fn select(only: &[String]) -> Result<Vec<Pair>, String> {
    let names = |name: &str| workloads::named(name).is_some() || systems::named(name).is_some();
    if let Some(unknown) = only.iter().find(|name| !name.split('/').all(names)) {
        return Err(unknown.clone());
    }
    let all =
        workloads::ALL.iter().flat_map(|workload| systems::ALL.iter().map(move |system| (workload, *system)));
    let picked = |workload: &Workload, system: &dyn System| {
        let is = |name: &str| name == workload.name || name == system.name();
        let (pairs, singles): (Vec<&String>, Vec<&String>) = only.iter().partition(|name| name.contains('/'));
        let by_pair = pairs.iter().any(|name| name.split('/').all(is));
        // Several workloads or systems widen; a workload and a system narrow.
        let group =
            |names: Vec<&&String>, mine: &str| names.is_empty() || names.iter().any(|name| **name == mine);
        let workloads = singles.iter().filter(|name| workloads::named(name).is_some()).collect();
        let systems = singles.iter().filter(|name| systems::named(name).is_some()).collect();
        let by_single = group(workloads, workload.name) && group(systems, system.name());
        system.takes_part(workload.name) && (by_pair || (!singles.is_empty() && by_single) || only.is_empty())
    };
    Ok(all.filter(|(workload, system)| picked(workload, *system)).collect())
}

/// Runs all pairs, one process at a time.
pub fn all(pairs: &[Pair], runs: u32, patience: Duration) -> Vec<Outcome> {
    let bar = bar(pairs.len() as u64 * u64::from(runs + 1));
    let mut outcomes = Vec::new();
    for of_workload in pairs.chunk_by(|(a, _), (b, _)| a.name == b.name) {
        outcomes.extend(in_turns(of_workload, runs, patience, &bar));
    }
    bar.finish_and_clear();
    outcomes
}

/// Shows how far we are, of so many steps.
pub fn bar(steps: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}").expect("the template is valid");
    ProgressBar::new(steps).with_style(style)
}

/// The timed runs of one workload in all systems, and the counted ones. The systems take turns, so that what else the machine
/// does meanwhile befalls all of them alike. What failed once is not tried again.
fn in_turns(pairs: &[Pair], runs: u32, patience: Duration, bar: &ProgressBar) -> Vec<Outcome> {
    let outcome = |&(workload, system): &Pair| Outcome {
        workload: workload.name,
        system: system.name(),
        values: BTreeMap::new(),
        order: Vec::new(),
        not_available: Vec::new(),
        wrong: None,
    };
    let mut outcomes: Vec<(Outcome, bool)> = pairs.iter().map(|pair| (outcome(pair), true)).collect();
    for run in 0..=runs {
        for (outcome, goes_on) in &mut outcomes {
            bar.set_message(format!("{} {}", outcome.workload, outcome.system));
            *goes_on = *goes_on && child(outcome, run == runs, patience) && outcome.wrong.is_none();
            bar.inc(1);
        }
    }
    // A section that turned out not to be possible has no figures.
    let without = |mut outcome: Outcome| {
        for (section, _) in &outcome.not_available {
            let prefix = format!("{section}.");
            outcome.values.retain(|metric, _| !metric.starts_with(&prefix));
            outcome.order.retain(|metric| !metric.starts_with(&prefix));
        }
        outcome
    };
    outcomes.into_iter().map(|(outcome, _)| without(outcome)).collect()
}

/// Runs one child to its end; `false` if there is no use in another.
fn child(outcome: &mut Outcome, counted: bool, patience: Duration) -> bool {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["child", outcome.workload, outcome.system]).args(counted.then_some("--counted"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program can be started again");
    let events = events(&mut child);
    let mut stderr = child.stderr.take().expect("it is piped");
    let complaint = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let (mut section, mut done) = (String::from("(start)"), false);
    let timed_out = loop {
        match events.recv_timeout(patience) {
            Ok(Event::Begin { section: begun }) => section = begun,
            Ok(Event::Done) => done = true,
            Ok(event) => outcome.take(event),
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) => break true,
        }
    };
    if timed_out {
        stop(&mut child);
        let why = format!("stopped after {} s", patience.as_secs());
        outcome.take(Event::Na { section: section.clone(), why });
        outcome.take(Event::Na { section: "all".into(), why: format!("not reached: {section} was stopped") });
        return false;
    }
    let _ = child.wait();
    if !done {
        let text = complaint.join().unwrap_or_default();
        let message = text.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
        let message = message.or(text.lines().last()).unwrap_or("without a word");
        outcome.wrong = Some(format!("the process ended in {section}: {message}"));
    }
    done
}

/// What a child tells, as it comes.
pub fn events(child: &mut Child) -> Receiver<Event> {
    let (to_us, events) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    std::thread::spawn(move || {
        for event in
            stdout.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str::<Event>(&line).ok())
        {
            if to_us.send(event).is_err() {
                break;
            }
        }
    });
    events
}

/// Ends a child, if it has not ended yet.
pub fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
