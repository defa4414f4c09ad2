//! How far a wait had come when the time was up.

use tombolo_crdt::Version;

use crate::PeerId;
use crate::engine::{Arrival, Copies, Level};

/// Not as many peers as wanted held a write when the time was up. The write stays, and goes on being sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} of {wanted} peers held the write when the time was up ({} connected and without it); it stays here{}, and goes on being sent",
    .peers.len(),
    .lacking.len(),
    if *.durable { "" } else { ", not yet durable" }
)]
#[non_exhaustive]
pub struct NotReplicated {
    /// How many peers were wanted.
    pub wanted: usize,
    /// Whether it was durable here.
    pub durable: bool,
    /// Who held it durably, connected or not any more. Ascending.
    pub peers: Vec<PeerId>,
    /// Who was connected and had not told that it held it. Ascending.
    pub lacking: Vec<PeerId>,
    /// How many peers were connected.
    pub connected: usize,
    /// What this node knew of the document right after the write, in the names that the write has now.
    pub version: Version,
}

impl From<Copies> for NotReplicated {
    fn from(copies: Copies) -> Self {
        Self {
            wanted: copies.wanted,
            durable: copies.durable,
            connected: copies.connected,
            peers: copies.holders,
            lacking: copies.lacking,
            version: copies.version,
        }
    }
}

/// A document had not reached a version when the time was up. What it holds can be read all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{events} events of the version were missing here when the time was up; {} of {connected} connected peers hold them all",
    .sources.len()
)]
#[non_exhaustive]
pub struct NotReached {
    /// By replica id: up to which event something was missing.
    pub missing: Version,
    /// How many events were missing.
    pub events: u64,
    /// Who was connected and had told that it holds all that was missing: to wait on is worth while. Ascending.
    pub sources: Vec<PeerId>,
    /// How many peers were connected.
    pub connected: usize,
}

impl From<Arrival> for NotReached {
    fn from(arrival: Arrival) -> Self {
        let Arrival { missing, events, sources, connected, .. } = arrival;
        Self { missing, events, sources, connected }
    }
}

/// How all connected peers stood when as many as wanted were in sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSync {
    /// Who held durably what this node did, and nothing more. Ascending.
    pub peers: Vec<PeerId>,
    /// Who else was connected, and by how much it was apart.
    pub others: Vec<Level>,
}

/// Not as many peers as wanted were in sync when the time was up. Nothing is undone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} of {wanted} peers were in sync when the time was up{}", .peers.len(), distances(.others))]
#[non_exhaustive]
pub struct NotInSync {
    /// How many peers were wanted.
    pub wanted: usize,
    /// Who was in sync. Ascending.
    pub peers: Vec<PeerId>,
    /// Who else was connected, and by how much it was apart.
    pub others: Vec<Level>,
}

impl InSync {
    pub(crate) fn of(levels: Vec<Level>) -> Self {
        let (peers, others) = sorted(levels);
        Self { peers, others }
    }
}

impl NotInSync {
    pub(crate) fn of(wanted: usize, levels: Vec<Level>) -> Self {
        let (peers, others) = sorted(levels);
        Self { wanted, peers, others }
    }

    /// How many more peers were wanted than were in sync.
    #[must_use]
    pub fn lacking(&self) -> usize {
        self.wanted.saturating_sub(self.peers.len())
    }
}

/// Who is in sync, and who is not.
fn sorted(levels: Vec<Level>) -> (Vec<PeerId>, Vec<Level>) {
    let (level, others): (Vec<Level>, Vec<Level>) = levels.into_iter().partition(|level| level.in_sync);
    (level.into_iter().map(|level| level.peer).collect(), others)
}

fn distances(others: &[Level]) -> String {
    if others.is_empty() {
        return " (nobody else is connected)".into();
    }
    let (lag, behind) = others.iter().fold((0, 0), |(lag, behind): (u64, u64), level| {
        (lag.max(level.lag), behind.saturating_add(level.behind))
    });
    format!(
        " ({} more connected; they lack up to {lag} of our events, and we {behind} of theirs)",
        others.len()
    )
}
