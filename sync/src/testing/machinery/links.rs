//! Links between nodes, the sessions on them, and the weather.

use std::collections::BTreeMap;

use crate::engine::SessionId;

/// How a link is, in one direction or in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkState {
    /// It carries.
    #[default]
    Up,
    /// It is cut, and both ends know.
    Cut,
    /// It swallows everything, and nobody is told.
    Silent,
}

/// What carries from one node to another.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// How it is.
    pub state: LinkState,
    /// How long a message takes, in milliseconds: at least the first, and up to the second more.
    pub latency: (u64, u64),
    /// Bytes a millisecond.
    pub bandwidth: u64,
}

impl Default for Link {
    fn default() -> Self {
        Self { state: LinkState::Up, latency: (1, 2), bandwidth: 10_000 }
    }
}

/// What happens to frames within a session that stands. With all zero it is an ordered, reliable stream; what the
/// engine claims goes further.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameWeather {
    /// Of a hundred frames, how many are lost.
    pub loss: u32,
    /// Of a hundred frames, how many come twice.
    pub duplicates: u32,
    /// Of a hundred frames, how many come late, out of order.
    pub late: u32,
}

impl FrameWeather {
    /// Whether sessions are ordered, reliable streams.
    #[must_use]
    pub fn is_fair(self) -> bool {
        self.loss == 0 && self.duplicates == 0 && self.late == 0
    }
}

/// What happens to gossip, and to what is pushed in sessions.
#[derive(Debug, Clone, Copy)]
pub struct GossipWeather {
    /// Of a hundred payloads or pushes, how many arrive, receiver by receiver.
    pub delivered: u32,
    /// Of a hundred that arrive, how many come twice.
    pub duplicates: u32,
    /// By how much the time a payload takes varies, in milliseconds: beyond the pause between two writes, this is
    /// reordering.
    pub spread: u64,
}

impl Default for GossipWeather {
    fn default() -> Self {
        Self { delivered: 100, duplicates: 0, spread: 3 }
    }
}

/// What gossipsub was measured to do, without telling who publishes.
#[derive(Debug, Clone, Copy)]
pub struct Gossipsub {
    /// Of a hundred payloads, how many reach nobody.
    pub swallowed: u32,
    /// For how long nobody hears a node that was restarted, in milliseconds: the others take it for subscribed already.
    pub deaf_millis: u64,
    /// Of a hundred payloads, how many are lost on their way to somebody and then taken for known there, receiver by receiver.
    pub poisoned: u32,
    /// A longer payload never arrives, and nothing does that goes the same way afterwards.
    pub cap: usize,
    /// Of what a node publishes within a tenth of a second, so many payloads leave it.
    pub burst: usize,
}

impl Default for Gossipsub {
    fn default() -> Self {
        Self { swallowed: 0, deaf_millis: 0, poisoned: 0, cap: usize::MAX, burst: usize::MAX }
    }
}

/// A session between two nodes.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) ends: [usize; 2],
    pub(super) lives: [u64; 2],
    /// When the listener was reached.
    pub(super) since: u64,
    /// Where the dialler found the listener.
    pub(super) address: String,
    /// Whether the end has been told that it stands, and not yet that it is over.
    pub(super) open: [bool; 2],
    /// Whether the end will never hear of it again.
    pub(super) over: [bool; 2],
    /// When the last frame towards each end arrives.
    pub(super) last: [u64; 2],
    /// When the wire towards each end is free again.
    pub(super) free: [u64; 2],
    /// Bytes under way towards each end.
    pub(super) under_way: [usize; 2],
    /// Frames that a silent link holds back, by receiving end.
    pub(super) stalled: [Vec<Vec<u8>>; 2],
    /// Whether gossip towards each end arrives no more.
    pub(super) is_stalled: [bool; 2],
}

/// All links, and the sessions on them.
#[derive(Debug, Default)]
pub struct Links {
    /// From whom to whom.
    links: BTreeMap<(usize, usize), Link>,
    /// All others.
    pub rest: Link,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    last_session: u64,
}

impl Links {
    /// What carries from one to the other.
    #[must_use]
    pub fn link(&self, from: usize, to: usize) -> Link {
        self.links.get(&(from, to)).copied().unwrap_or(self.rest)
    }

    /// The same, to be changed.
    pub(super) fn link_mut(&mut self, from: usize, to: usize) -> &mut Link {
        self.links.entry((from, to)).or_insert(self.rest)
    }

    /// Changes both directions.
    pub(super) fn change(&mut self, a: usize, b: usize, change: impl Fn(&mut Link)) {
        change(self.link_mut(a, b));
        change(self.link_mut(b, a));
    }

    /// How long a message takes on all links, in milliseconds: at least the first, and up to the second more.
    pub fn set_latency(&mut self, latency: (u64, u64)) {
        self.rest.latency = latency;
        self.links.values_mut().for_each(|link| link.latency = latency);
    }

    pub(super) fn open(
        &mut self,
        ends: [usize; 2],
        lives: [u64; 2],
        address: String,
        now: u64,
        up: u64,
    ) -> SessionId {
        self.last_session += 1;
        let id = SessionId(self.last_session);
        let session = Session {
            ends,
            lives,
            since: now,
            address,
            open: [false; 2],
            over: [false; 2],
            last: [up, now],
            free: [now, now],
            under_way: [0, 0],
            stalled: [Vec::new(), Vec::new()],
            is_stalled: [false; 2],
        };
        self.sessions.insert(id, session);
        id
    }
}
