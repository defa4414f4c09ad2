//! The time, as an engine is told it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::engine::Now;

/// A clock that starts with the node.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    /// How many milliseconds its time of day is ahead of the system's.
    offset: i64,
}

impl Clock {
    pub(super) fn start(offset: i64) -> Self {
        Self { start: Instant::now(), offset }
    }

    pub(super) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        Now {
            millis: self.start.elapsed().as_millis() as u64,
            wall_millis: wall.saturating_add_signed(self.offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_moves_the_time_of_day_and_not_the_time_that_passes() {
        let (ahead, behind) = (Clock::start(3_600_000).now(), Clock::start(-3_600_000).now());
        assert!((7_100_000..7_300_000).contains(&ahead.wall_millis.abs_diff(behind.wall_millis)));
        assert!(ahead.millis < 60_000 && behind.millis < 60_000);
    }
}
