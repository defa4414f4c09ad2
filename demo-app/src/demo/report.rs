//! What the demo measured, for people and for scripts.

use serde::Serialize;
use serde_json::Value;

/// Requests of one kind.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Requests {
    /// Answered.
    pub(crate) answered: u64,
    /// Not answered, or with an error.
    pub(crate) failed: u64,
}

impl Requests {
    pub(super) fn count(&mut self, answered: bool) {
        if answered {
            self.answered += 1;
        } else {
            self.failed += 1;
        }
    }
}

/// One side of the network in one phase.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Side {
    /// Its nodes.
    pub(crate) nodes: Vec<String>,
    /// Reads sent to them.
    pub(crate) reads: Requests,
    /// Writes sent to them.
    pub(crate) writes: Requests,
}

/// One phase.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Phase {
    /// What happened.
    pub(crate) name: &'static str,
    /// When it began, since the start of the demo.
    pub(crate) from_millis: u64,
    /// How long it took.
    pub(crate) millis: u64,
    /// Requests by side of the network; one side while it is whole.
    pub(crate) sides: Vec<Side>,
    /// What else is worth saying.
    pub(crate) note: String,
}

/// How a demo went.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Whether all nodes ended up the same, and the same as the writes add up to.
    pub(crate) converged: bool,
    /// Repeats this run.
    pub(crate) seed: u64,
    /// How many nodes.
    pub(crate) nodes: usize,
    /// What happened.
    pub(crate) phases: Vec<Phase>,
    /// From healing to equality.
    pub(crate) healed_millis: Option<u64>,
    /// Bytes of frames that the nodes sent each other in the sessions open at the end.
    pub(crate) bytes_exchanged: u64,
    /// Writes acknowledged as durable.
    pub(crate) acknowledged_writes: u64,
    /// Writes that a kill left without an answer: they happened or not, but everywhere the same.
    pub(crate) in_doubt_writes: u64,
    /// The state all nodes ended in, in short.
    #[serde(rename = "final")]
    pub(crate) end: Value,
    /// What is not as it must be.
    pub(crate) wrong: Vec<String>,
}

impl Phase {
    /// One line a side.
    pub(super) fn lines(&self) -> Vec<String> {
        let time = format!("{:>6.1} s  {:<11}", self.from_millis as f64 / 1_000.0, self.name);
        if self.sides.is_empty() {
            return vec![format!("{time} {}", self.note)];
        }
        let side = |(at, side): (usize, &Side)| {
            let lead = if at == 0 { time.clone() } else { " ".repeat(time.chars().count()) };
            let (reads, writes) = (side.reads, side.writes);
            let all = reads.answered + writes.answered + reads.failed + writes.failed;
            let answered = (reads.answered + writes.answered) as f64 * 100.0 / all.max(1) as f64;
            let note = if at == 0 { self.note.as_str() } else { "" };
            let share = if reads.failed + writes.failed == 0 {
                "100 %".to_owned()
            } else {
                format!("{answered:.1} %")
            };
            format!(
                "{lead} {:<16} {:>4} reads {:>4} writes answered, {:>2} failed: {share:>6} available  {note}",
                side.nodes.join(" "),
                reads.answered,
                writes.answered,
                reads.failed + writes.failed
            )
            .trim_end()
            .to_owned()
        };
        self.sides.iter().enumerate().map(side).collect()
    }
}

impl Report {
    /// The end, for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![String::new()];
        if let Some(millis) = self.healed_millis {
            lines.push(format!("All nodes were equal {millis} ms after the partition healed."));
        }
        lines.push(format!(
            "{} writes acknowledged, {} in doubt; {:.1} kB exchanged.",
            self.acknowledged_writes,
            self.in_doubt_writes,
            self.bytes_exchanged as f64 / 1_000.0
        ));
        lines.push(format!("Final state at every node: {}", self.end));
        if self.converged {
            lines
                .push(format!("Converged, and exactly to what the writes add up to. (--seed {})", self.seed));
        } else {
            lines.push(format!("NOT as it must be (--seed {}):", self.seed));
            lines.extend(self.wrong.iter().map(|wrong| format!("  {wrong}")));
        }
        lines
    }
}
