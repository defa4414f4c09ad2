//! What happened, for people: one line an event, the same for the same seed.

use std::fmt;

/// Where a run tells what it does.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Keeps the lines from now on.
    pub fn keep(&mut self) {
        self.lines.get_or_insert_default();
    }

    /// Whether anybody wants to know.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.lines.is_some()
    }

    /// Notes what happened at `now`. Costs nothing if nobody wants to know.
    pub fn note(&mut self, now: u64, what: fmt::Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("[{:>4}.{:03}] {what}", now / 1_000, now % 1_000));
        }
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}
