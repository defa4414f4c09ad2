//! How a run ended.

use std::fmt;
use std::ops::AddAssign;

/// What a run did, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Cuts, crashes, refusals of disks, jumps of clocks and the like.
    pub faults: u64,
    /// Frames and gossip payloads that arrived.
    pub messages: u64,
    /// Transactions.
    pub writes: u64,
    /// How much time passed in the simulation, in milliseconds.
    pub virtual_millis: u64,
    /// How long it took from the end of the last fault until all nodes agreed, in milliseconds of the simulation.
    pub healed_millis: u64,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.faults += other.faults;
        self.messages += other.messages;
        self.writes += other.writes;
        self.virtual_millis += other.virtual_millis;
        self.healed_millis = self.healed_millis.max(other.healed_millis);
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, messages, writes, virtual_millis, healed_millis } = self;
        let seconds = virtual_millis / 1_000;
        write!(
            f,
            "{faults} faults, {messages} messages, {writes} writes, {seconds} virtual seconds, \
             slowest healing {healed_millis} virtual ms"
        )
    }
}

/// How one schedule ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What replays it.
    pub seed: u64,
    /// The rule that was broken first, if one was.
    pub violation: Option<String>,
    /// What it did.
    pub stats: Stats,
    /// What happened, if the trace was kept.
    pub trace: Vec<String>,
}
