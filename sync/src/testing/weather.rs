//! What happens to what is under way, and to clocks.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::machinery::{Core, FrameWeather, GossipWeather};

/// How the network treats what is sent, for [`Network::weather`](super::Network::weather). Shares are in percent.
///
/// ```
/// use tombolo_sync::testing::{Network, Weather};
///
/// let mut net = Network::new(7);
/// net.weather(Weather::fair().loss(10).late(20).gossip(0));
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "give it to `Network::weather`"]
pub struct Weather {
    frames: FrameWeather,
    gossip: GossipWeather,
    /// In milliseconds: at least the first, and up to the second more.
    latency: (u64, u64),
}

impl Weather {
    /// Everything arrives, once and in order, after 1 to 3 milliseconds.
    pub fn fair() -> Self {
        Self { frames: FrameWeather::default(), gossip: GossipWeather::default(), latency: (1, 2) }
    }

    /// Of a hundred frames, so many are lost. A session of the real network is a stream that loses nothing until it ends; what
    /// the engine claims goes further.
    ///
    /// # Panics
    /// If it is more than 100.
    pub fn loss(mut self, percent: u32) -> Self {
        self.frames.loss = share(percent);
        self
    }

    /// Of a hundred frames or gossip payloads, so many arrive twice.
    ///
    /// # Panics
    /// If it is more than 100.
    pub fn duplicates(mut self, percent: u32) -> Self {
        (self.frames.duplicates, self.gossip.duplicates) = (share(percent), share(percent));
        self
    }

    /// Of a hundred frames, so many are overtaken by others: they take up to eleven times as long.
    ///
    /// # Panics
    /// If it is more than 100.
    pub fn late(mut self, percent: u32) -> Self {
        self.frames.late = share(percent);
        self
    }

    /// Of a hundred writes that are pushed, by gossip or in sessions, so many arrive, receiver by receiver. That makes writes arrive soon
    /// and nothing depends on it: with 0 it takes a few messages more.
    ///
    /// # Panics
    /// If it is more than 100.
    pub fn gossip(mut self, percent: u32) -> Self {
        self.gossip.delivered = share(percent);
        self
    }

    /// How long a message takes on any link, one way; in whole milliseconds.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn latency(mut self, range: RangeInclusive<Duration>) -> Self {
        assert!(!range.is_empty(), "a latency of {range:?} is none");
        let (least, most) = (millis(*range.start()), millis(*range.end()));
        self.latency = (least, most - least);
        self
    }

    pub(super) fn set(self, core: &mut Core) {
        (core.frames, core.gossip) = (self.frames, self.gossip);
        core.links.set_latency(self.latency);
    }
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frames, gossip, latency: (least, more) } = self;
        let FrameWeather { loss, duplicates, late } = frames;
        write!(
            f,
            "{loss} % loss, {duplicates} % duplicates, {late} % late, {} % of gossip, ",
            gossip.delivered
        )?;
        write!(f, "{least} to {} ms", least + more)
    }
}

impl Default for Weather {
    fn default() -> Self {
        Self::fair()
    }
}

fn share(percent: u32) -> u32 {
    assert!(percent <= 100, "{percent} of a hundred are too many");
    percent
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

/// A node's wall clock, which stamps what the last writer wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// It goes right.
    #[default]
    Right,
    /// It is ahead of the right time.
    Ahead(Duration),
    /// It is behind the right time.
    Behind(Duration),
}

impl Clock {
    /// In milliseconds ahead of the right time.
    pub(super) fn offset(self) -> i64 {
        match self {
            Self::Right => 0,
            Self::Ahead(by) => millis(by).cast_signed(),
            Self::Behind(by) => -millis(by).cast_signed(),
        }
    }
}
