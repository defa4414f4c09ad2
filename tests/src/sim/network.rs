//! Links between nodes, the sessions on them, and the weather.

use std::collections::BTreeMap;

use tombolo_sync::engine::SessionId;

/// How a link is.
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

#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) state: LinkState,
    /// How long a message takes, in milliseconds: at least the first, and up to the second more.
    pub(super) latency: (u64, u64),
    /// Bytes a millisecond.
    pub(super) bandwidth: u64,
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

/// What happens to gossip.
#[derive(Debug, Clone, Copy)]
pub struct GossipWeather {
    /// Of a hundred payloads, how many arrive, receiver by receiver.
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

/// A session between two nodes.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) ends: [usize; 2],
    pub(super) lives: [u64; 2],
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
    pub(super) stalled: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug, Default)]
pub(super) struct Network {
    links: BTreeMap<(usize, usize), Link>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    last_session: u64,
}

impl Network {
    pub(super) fn link(&self, a: usize, b: usize) -> Link {
        self.links.get(&(a.min(b), a.max(b))).copied().unwrap_or_default()
    }

    pub(super) fn link_mut(&mut self, a: usize, b: usize) -> &mut Link {
        self.links.entry((a.min(b), a.max(b))).or_default()
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
            address,
            open: [false; 2],
            over: [false; 2],
            last: [up, now],
            free: [now, now],
            under_way: [0, 0],
            stalled: Vec::new(),
        };
        self.sessions.insert(id, session);
        id
    }
}
