//! What happened, for people: one line an event, the same for the same seed.

use std::fmt;

/// Where a run tells what it does.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Vec<String>,
    /// How many lines are kept; none by default.
    most: usize,
}

impl Trace {
    /// Keeps the lines from now on, all of them.
    pub fn keep(&mut self) {
        self.most = usize::MAX;
    }

    /// Keeps the last lines from now on.
    pub fn keep_last(&mut self, lines: usize) {
        self.most = lines;
    }

    /// Whether anybody wants to know.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.most > 0
    }

    pub(super) fn note(&mut self, now: u64, what: impl fmt::Display) {
        if self.lines.len() >= self.most.saturating_mul(2) {
            self.lines.drain(..self.lines.len() - self.most);
        }
        self.lines.push(format!("[{:>4}.{:03}] {what}", now / 1_000, now % 1_000));
    }

    /// The lines that are kept.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines[self.lines.len().saturating_sub(self.most)..]
    }
}
