//! What was measured, as a table for people and as lines for machines.

use std::fmt::Write;

use crate::goals::{self, Against, Goal};
use crate::meter::Unit;
use crate::run::Outcome;
use crate::{systems, traces, workloads};

/// One line.
pub struct Row {
    /// Of which workload.
    pub workload: &'static str,
    /// Of which system.
    pub system: &'static str,
    /// Of what.
    pub metric: String,
    /// The median, or why there is none.
    pub value: Result<(f64, Unit), String>,
    /// How it compares, and to what.
    pub ratio: Option<(f64, String)>,
    /// What is aimed at, and whether it was reached.
    pub goal: Option<(f64, bool)>,
    /// How it compares by instructions with whom the goal of its CPU time names. Nothing is aimed at there.
    pub by_instructions: Option<f64>,
}

/// A ratio and to what it is one; what is aimed at and whether it was reached.
type Comparison = (Option<(f64, String)>, Option<(f64, bool)>);

/// All lines of a run.
pub struct Report<'o> {
    outcomes: &'o [Outcome],
    runs: u32,
    /// The lines, by workload, then by metric, then by system.
    pub rows: Vec<Row>,
}

impl<'o> Report<'o> {
    /// Compares everything with everything.
    pub fn new(outcomes: &'o [Outcome], runs: u32) -> Self {
        let mut report = Self { outcomes, runs, rows: Vec::new() };
        for workload in workloads::ALL {
            report.add_workload(workload.name);
        }
        report
    }

    fn of(&self, workload: &str) -> impl Iterator<Item = &'o Outcome> {
        self.outcomes.iter().filter(move |outcome| outcome.workload == workload)
    }

    fn median(&self, workload: &str, system: &str, metric: &str) -> Option<f64> {
        let outcome = self.of(workload).find(|outcome| outcome.system == system)?;
        outcome.median(metric).map(|(value, _)| value)
    }

    /// The best peer that made the same promise.
    fn best(&self, workload: &str, metric: &str) -> Option<(f64, &'static str)> {
        let peers = self.of(workload).map(|outcome| outcome.system).filter(|system| {
            !systems::is_ours(system)
                && !systems::is_reference(system)
                && same_promise(workload, system, metric)
        });
        peers
            .filter_map(|system| Some((self.median(workload, system, metric)?, system)))
            .min_by(|a, b| f64::total_cmp(&a.0, &b.0))
    }

    fn add_workload(&mut self, workload: &'static str) {
        let mut metrics: Vec<&String> = Vec::new();
        for metric in self.of(workload).flat_map(|outcome| &outcome.order) {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        let mut rows = Vec::new();
        for metric in metrics {
            for outcome in self.of(workload) {
                let Some(value) = outcome.median(metric) else { continue };
                let row = |(ratio, goal): Comparison| Row {
                    workload,
                    system: outcome.system,
                    metric: metric.clone(),
                    value: Ok(value),
                    ratio,
                    by_instructions: goal
                        .and_then(|_| self.by_instructions(goals::of(workload, metric)?, outcome.system)),
                    goal,
                };
                rows.extend(self.compare(workload, outcome.system, metric, value.0).into_iter().map(row));
            }
        }
        for outcome in self.of(workload) {
            let wrong = outcome.wrong.iter().map(|what| ("WRONG".to_owned(), what.clone()));
            for (section, why) in outcome.not_available.iter().cloned().chain(wrong) {
                rows.push(Row {
                    workload,
                    system: outcome.system,
                    metric: section,
                    value: Err(why),
                    ratio: None,
                    goal: None,
                    by_instructions: None,
                });
            }
        }
        self.rows.extend(rows);
    }

    /// What a value is compared with: ours with what its goal names and with the best, a peer's with ours.
    fn compare(&self, workload: &str, system: &str, metric: &str, value: f64) -> Vec<Comparison> {
        if !systems::is_ours(system) {
            let ours = self.median(workload, "tombolo", metric);
            let ratio = ours.and_then(|ours| Some((ratio(value, ours)?, "tombolo".to_owned())));
            return vec![(ratio, None)];
        }
        let mut found = Vec::new();
        let goal = goals::of(workload, metric);
        if let Some(goal) = goal {
            let reference = self
                .reference(goal, system)
                .and_then(|(reference, name)| Some((ratio(value, reference * goal.scale)?, name)));
            let verdict = reference.as_ref().map(|(ratio, _)| (goal.at_most, *ratio <= goal.at_most));
            found.push((reference, verdict));
        }
        if goal.is_none_or(|goal| goal.reference != metric) {
            let best = self
                .best(workload, metric)
                .and_then(|(best, name)| Some((ratio(value, best)?, format!("{name}, the best"))));
            if best.is_some() || goal.is_none() {
                found.push((best, None));
            }
        }
        found
    }

    fn reference(&self, goal: &Goal, system: &str) -> Option<(f64, String)> {
        let other =
            if goal.reference == goal.metric { String::new() } else { format!(" {}", goal.reference) };
        match goal.against {
            Against::Peer(peer) => {
                Some((self.median(goal.workload, peer, goal.reference)?, format!("{peer}{other}")))
            }
            Against::Best => {
                let (value, name) = self.best(goal.workload, goal.reference)?;
                Some((value, format!("{name}, the best{other}")))
            }
            Against::Nobody => Some((1.0, "one".to_owned())),
            Against::Ourselves => {
                let scale = if goal.scale == 1.0 { String::new() } else { format!(" x {:.2}", goal.scale) };
                Some((self.median(goal.workload, system, goal.reference)?, format!("own{other}{scale}")))
            }
        }
    }

    /// The ratio of instructions that belongs to a goal of CPU time, to the same peer, where both were counted.
    fn by_instructions(&self, goal: &Goal, system: &str) -> Option<f64> {
        let peer = match goal.against {
            Against::Peer(peer) => peer,
            Against::Best => self.best(goal.workload, goal.reference)?.1,
            Against::Nobody | Against::Ourselves => return None,
        };
        let of = |system: &str, cpu: &str| {
            self.median(goal.workload, system, &format!("{}.instructions", cpu.strip_suffix(".cpu")?))
        };
        ratio(of(system, goal.metric)?, of(peer, goal.reference)?)
    }

    /// For machines.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let (value, unit) = match &row.value {
                Ok((value, Unit::Ns)) => (value.to_string(), "ns"),
                Ok((value, Unit::Bytes)) => (value.to_string(), "bytes"),
                Ok((value, Unit::Count)) => (value.to_string(), "count"),
                Ok((value, Unit::Instructions)) => (value.to_string(), "instructions"),
                Err(why) => (format!("n/a: {why}"), ""),
            };
            let (ratio, to) =
                row.ratio.as_ref().map_or(Default::default(), |(r, to)| (format!("{r:.4}"), to.clone()));
            let (goal, verdict) = row.goal.map_or(Default::default(), |(g, ok)| (g.to_string(), said(ok)));
            let instructions = row.by_instructions.map_or(String::new(), |ratio| format!("{ratio:.4}"));
            let _ = writeln!(
                text,
                "{}\t{}\t{}\t{value}\t{unit}\t{ratio}\t{to}\t{goal}\t{verdict}\t{instructions}",
                row.workload, row.system, row.metric
            );
        }
        text
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for workload in workloads::ALL {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.workload == workload.name).collect();
            if rows.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n{}: {}\n", workload.name, workload.about);
            let _ = writeln!(
                text,
                "{:<11} {:<13} {:<28} {:>10} {:<6} {:<44} goal",
                "workload", "system", "metric", "value", "unit", "ratio"
            );
            for row in rows {
                text.push_str(line(row).trim_end());
                text.push('\n');
            }
            self.remarks(workload.name, &mut text);
        }
        let verdicts: Vec<bool> = self.rows.iter().filter_map(|row| Some(row.goal?.1)).collect();
        let reached = verdicts.iter().filter(|reached| **reached).count();
        let _ = writeln!(
            text,
            "\n{reached} goals ok, {} missed, {} not measured. Medians of {} runs; heap and allocations of one more.",
            verdicts.len() - reached,
            goals::ALL.iter().filter(|goal| !self.judged(goal)).count(),
            self.runs,
        );
        text
    }

    fn judged(&self, goal: &Goal) -> bool {
        let of_goal = |row: &&Row| row.workload == goal.workload && row.metric == goal.metric;
        self.rows.iter().filter(of_goal).any(|row| row.goal.is_some())
    }

    fn remarks(&self, workload: &str, text: &mut String) {
        for outcome in self.of(workload) {
            let Some(system) = systems::named(outcome.system) else { continue };
            for remark in system.remarks() {
                let place = remark.place.split('/').next().unwrap_or_default();
                if place.is_empty() || place == workload {
                    let promise = if remark.same_promise { "" } else { " (another promise: never the best)" };
                    let section = remark.place.split_once('/').map_or("all", |(_, section)| section);
                    let _ = writeln!(text, "  {} {section}: {}{promise}", system.name(), remark.text);
                }
            }
        }
        if workloads::RECORDED.contains(&workload) {
            let _ = writeln!(text, "  {}", traces::origin());
        }
    }
}

fn ratio(value: f64, reference: f64) -> Option<f64> {
    (reference > 0.0).then(|| value / reference)
}

fn said(reached: bool) -> &'static str {
    if reached { "ok" } else { "missed" }
}

fn same_promise(workload: &str, system: &str, metric: &str) -> bool {
    let section = metric.split('.').next().unwrap_or(metric);
    let remarks = systems::named(system).map_or(&[][..], |system| system.remarks());
    remarks.iter().filter(|remark| !remark.same_promise).all(|remark| match remark.place.split_once('/') {
        None => !remark.place.is_empty() && remark.place != workload,
        Some((of, prefix)) => of != workload || !section.starts_with(prefix),
    })
}

fn line(row: &Row) -> String {
    let (value, unit) = match &row.value {
        Ok((value, unit)) => readable(*value, *unit),
        Err(why) => {
            return format!("{:<11} {:<13} {:<28} {:>10} {why}", row.workload, row.system, row.metric, "n/a");
        }
    };
    let ratio = row.ratio.as_ref().map_or(String::new(), |(ratio, to)| format!("{ratio:>8.3} of {to}"));
    let goal = row.goal.map_or(String::new(), |(at_most, reached)| format!("<= {at_most} {}", said(reached)));
    let instructions =
        row.by_instructions.map_or(String::new(), |ratio| format!(" ({ratio:.3} by instructions)"));
    format!(
        "{:<11} {:<13} {:<28} {value:>10} {unit:<6} {ratio:<44} {goal}{instructions}",
        row.workload, row.system, row.metric
    )
}

/// Four significant digits and a unit that suits them.
pub fn readable(value: f64, unit: Unit) -> (String, &'static str) {
    let steps: &[(f64, &str)] = match unit {
        Unit::Ns => &[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")],
        Unit::Bytes => &[(1e6, "MB"), (1e3, "kB"), (1.0, "B")],
        Unit::Count => &[(1.0, "")],
        Unit::Instructions => &[(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")],
    };
    let size = value.abs();
    let (step, name) = steps.iter().find(|(step, _)| size >= *step).unwrap_or(&steps[steps.len() - 1]);
    let scaled = value / step;
    let digits = if *step == 1.0 || scaled.abs() >= 1000.0 {
        0
    } else if scaled.abs() >= 100.0 {
        1
    } else if scaled.abs() >= 10.0 {
        2
    } else {
        3
    };
    (format!("{scaled:.digits$}"), name)
}
