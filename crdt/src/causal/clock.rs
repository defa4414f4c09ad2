//! The hybrid logical clock that orders last-writer-wins writes.
//!
//! Close to wall time, never behind anything observed, never going back (Kulkarni et al. 2014). Wall time is handed
//! in; without any the clock is a plain logical one, which is still causal.

use serde::{Deserialize, Serialize};

/// How far ahead of our own wall time a stamp may be and still move our clock: five minutes.
///
/// SUBTLE: every stamp is *admitted*, however far ahead: refusing one would block its author's later events and all
/// that depend on them. A far one merely does not pull our own clock along.
pub const MAX_DRIFT_MILLIS: u64 = 5 * 60 * 1000;

/// When a last-writer-wins value was written: wall time, then a logical count within one millisecond.
///
/// Of two equal stamps the one of the larger replica id counts as later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since the Unix epoch, as the author's clock had it.
    pub millis: u64,
    /// Orders stamps of the same millisecond.
    pub logical: u32,
}

/// A hybrid logical clock.
#[derive(Clone, Default, Debug)]
pub struct HybridClock {
    now: Option<u64>,
    /// The largest stamp issued, or observed and not too far ahead.
    last: Stamp,
    /// The largest stamp issued.
    issued: Stamp,
    far_stamps: u64,
}

impl HybridClock {
    /// Hands in the wall time, in milliseconds since the Unix epoch. It may go back; the clock does not.
    pub fn set_now(&mut self, millis: u64) {
        // Stamps observed before any wall time was known, in a decoded state as a rule, could not be judged until now.
        if self.now.is_none() && self.last > self.issued && is_far(self.last, millis) {
            self.last = self.issued;
            self.far_stamps += 1;
        }
        self.now = Some(millis);
    }

    /// A new clock with the same wall time.
    pub(crate) fn at_same_time(&self) -> Self {
        Self { now: self.now, ..Self::default() }
    }

    /// A stamp later than every one issued or observed before, except those too far ahead.
    pub(crate) fn tick(&mut self) -> Stamp {
        let now = self.now.unwrap_or(0);
        self.last = if now > self.last.millis {
            Stamp { millis: now, logical: 0 }
        } else {
            match self.last.logical.checked_add(1) {
                Some(logical) => Stamp { millis: self.last.millis, logical },
                None if self.last.millis == u64::MAX => self.last,
                None => Stamp { millis: self.last.millis + 1, logical: 0 },
            }
        };
        self.issued = self.last;
        self.last
    }

    /// Takes note of a stamp from elsewhere.
    pub(crate) fn observe(&mut self, stamp: Stamp) {
        match self.now {
            Some(now) if is_far(stamp, now) => self.far_stamps += 1,
            _ => self.last = self.last.max(stamp),
        }
    }

    /// How many observed stamps were more than [`MAX_DRIFT_MILLIS`] ahead of our wall time. Somebody's clock is off.
    #[must_use]
    pub fn far_stamps(&self) -> u64 {
        self.far_stamps
    }
}

fn is_far(stamp: Stamp, now: u64) -> bool {
    stamp.millis > now.saturating_add(MAX_DRIFT_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back_when_the_wall_clock_does() {
        let mut clock = HybridClock::default();
        clock.set_now(1_000);
        let first = clock.tick();
        clock.set_now(10);
        let second = clock.tick();
        clock.set_now(2_000);
        assert!(first < second && second < clock.tick());
    }

    #[test]
    fn a_stamp_from_the_far_future_does_not_pull_the_clock_along() {
        assert_eq!(MAX_DRIFT_MILLIS, 300_000, "five minutes, as the documentation says");
        let mut clock = HybridClock::default();
        clock.set_now(1_000);
        clock.observe(Stamp { millis: 1_000 + MAX_DRIFT_MILLIS + 1, logical: 0 });
        assert_eq!(clock.far_stamps(), 1);
        assert_eq!(clock.tick().millis, 1_000);
        clock.observe(Stamp { millis: 1_000 + MAX_DRIFT_MILLIS, logical: 7 });
        assert_eq!(clock.tick(), Stamp { millis: 1_000 + MAX_DRIFT_MILLIS, logical: 8 });
    }

    #[test]
    fn a_far_stamp_observed_before_any_wall_time_was_known_does_not_pull_the_clock_along() {
        let mut clock = HybridClock::default();
        clock.observe(Stamp { millis: u64::MAX, logical: u32::MAX });
        clock.set_now(1_000);
        assert_eq!(clock.far_stamps(), 1);
        assert_eq!(clock.tick(), Stamp { millis: 1_000, logical: 0 });
    }

    #[test]
    fn a_stamp_near_enough_observed_before_any_wall_time_was_known_is_not_forgotten() {
        let mut clock = HybridClock::default();
        clock.observe(Stamp { millis: 60_000, logical: 3 });
        clock.set_now(1_000);
        assert_eq!((clock.far_stamps(), clock.tick()), (0, Stamp { millis: 60_000, logical: 4 }));
        // Nor are our own, however far they are.
        let mut clock = HybridClock::default();
        clock.observe(Stamp { millis: u64::MAX / 2, logical: 0 });
        let own = clock.tick();
        clock.set_now(1_000);
        assert!(clock.far_stamps() == 0 && clock.tick() > own);
    }

    #[test]
    fn at_the_end_of_time_the_clock_stands_still_and_does_not_go_back() {
        let mut clock = HybridClock::default();
        clock.observe(Stamp { millis: u64::MAX, logical: u32::MAX });
        assert_eq!(clock.tick(), Stamp { millis: u64::MAX, logical: u32::MAX });
    }

    #[test]
    fn the_logical_part_carries_over_into_the_next_millisecond() {
        let mut clock = HybridClock::default();
        clock.observe(Stamp { millis: 5, logical: u32::MAX });
        assert_eq!(clock.tick(), Stamp { millis: 6, logical: 0 });
    }
}
