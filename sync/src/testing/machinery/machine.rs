//! One node: a process that comes and goes, and a disk that stays.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Sum;
use std::ops::Sub;

use tombolo_crdt::{Limits, ReplicaId};

use super::disk::Disk;
use crate::engine::{
    Config, DEFAULT_DIRECT, DEFAULT_MEMORY, Engine, Forgetting, Mistake, REPLICA_RECORD, SessionId,
    Subscription,
};
use crate::store::Store as _;
use crate::{PeerId, Secret};

/// What distinguishes a node from the others.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Its space's secret, as a number.
    pub secret: u8,
    /// Its application.
    pub application: String,
    /// Which documents it holds.
    pub subscription: Subscription,
    /// How many documents it holds at most.
    pub max_documents: usize,
    /// What it takes from others.
    pub limits: Limits,
    /// About how many bytes of memory its documents may take that nobody holds open.
    pub memory: usize,
    /// When it forgets removals.
    pub forgetting: Forgetting,
    /// To how many peers at most it pushes in their sessions.
    pub direct: usize,
    /// Which rule its engine breaks.
    pub mistake: Option<Mistake>,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            secret: 7,
            application: "simulation".into(),
            subscription: Subscription::everything(),
            max_documents: 10_000,
            limits: Limits::default(),
            memory: DEFAULT_MEMORY,
            forgetting: Forgetting::default(),
            direct: DEFAULT_DIRECT,
            mistake: None,
        }
    }
}

impl NodeOptions {
    /// The space's secret.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret::from_bytes([self.secret; 32])
    }
}

/// What a node has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Frames, the lost ones as well.
    pub frames: u64,
    /// Their bytes.
    pub frame_bytes: u64,
    /// Gossip payloads, each counted once for all who receive it.
    pub payloads: u64,
    /// Their bytes.
    pub payload_bytes: u64,
}

impl Sent {
    /// The bytes of frames and payloads.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.frame_bytes + self.payload_bytes
    }

    fn with(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            frames: of(self.frames, other.frames),
            frame_bytes: of(self.frame_bytes, other.frame_bytes),
            payloads: of(self.payloads, other.payloads),
            payload_bytes: of(self.payload_bytes, other.payload_bytes),
        }
    }
}

/// What was sent since: nothing is less than nothing.
impl Sub for Sent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }
}

impl Sum for Sent {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| sum.with(one, u64::saturating_add))
    }
}

/// A node.
#[derive(Debug)]
pub struct Machine {
    /// What distinguishes it from the others.
    pub options: NodeOptions,
    /// What its user calls it.
    pub name: String,
    /// Its key.
    pub peer: PeerId,
    /// As who it writes.
    pub replica: ReplicaId,
    /// The id under which it began.
    pub(super) first_replica: ReplicaId,
    /// Where it listens.
    pub address: String,
    /// Its disk.
    pub disk: Disk,
    /// `None` while the process is down.
    pub engine: Option<Engine>,
    /// How often the process was started or ended.
    pub(super) life: u64,
    /// What the process calls 0 on its own clock.
    pub(super) born: u64,
    /// When it was started last.
    pub(super) started: u64,
    /// Since when what it publishes is counted, and how much that was.
    pub(super) burst: (u64, usize),
    /// By how much its wall clock is off, in milliseconds.
    pub(super) wall_offset: i64,
    /// When the next tick is planned.
    pub(super) tick_at: Option<u64>,
    /// How many ticks in a row came without time passing.
    pub(super) idle_ticks: u32,
    /// The session with each other node, as this one's driver sees it.
    pub sessions: BTreeMap<usize, SessionId>,
    pub(super) dialling: BTreeSet<(bool, String)>,
    /// Whom connections are refused from and to.
    pub(super) blocking: BTreeSet<PeerId>,
    /// Whether others get through to its address.
    pub(super) accepts: bool,
    /// Whom to tell it about when it starts.
    pub(super) bootstrap: Vec<usize>,
    /// What it has sent so far.
    pub sent: Sent,
}

impl Machine {
    pub(super) fn new(index: usize, name: String, options: NodeOptions) -> Self {
        Self {
            options,
            name,
            peer: peer(index),
            replica: replica(index),
            first_replica: replica(index),
            address: address(index),
            disk: Disk::default(),
            engine: None,
            life: 0,
            born: 0,
            started: 0,
            burst: (0, 0),
            wall_offset: 0,
            tick_at: None,
            idle_ticks: 0,
            sessions: BTreeMap::new(),
            dialling: BTreeSet::new(),
            blocking: BTreeSet::new(),
            accepts: true,
            bootstrap: Vec::new(),
            sent: Sent::default(),
        }
    }

    pub(super) fn config(&self, seed: [u8; 32]) -> Config {
        let kept = self.disk.store.record(REPLICA_RECORD).expect("a memory store is read");
        let kept = kept.map(|id| ReplicaId::from_bytes(id.try_into().expect("an id has 16 bytes")));
        Config {
            peer: self.peer,
            // A disk that was never told another has the first.
            replica: kept.unwrap_or(self.first_replica),
            name: self.name.clone(),
            application: self.options.application.clone(),
            secret: self.options.secret(),
            limits: self.options.limits,
            subscription: self.options.subscription.clone(),
            max_documents: self.options.max_documents,
            memory: self.options.memory,
            forgetting: self.options.forgetting,
            direct: self.options.direct,
            mistake: self.options.mistake,
            seed,
        }
    }
}

/// The key of the node with this number.
fn peer(index: usize) -> PeerId {
    // Not in order of number, so that nothing can depend on that.
    let mut bytes = [index as u8 + 1; 32];
    bytes[0] = (index as u8).wrapping_mul(91);
    bytes[1] = bytes[1].wrapping_add((index >> 8) as u8);
    bytes[2] ^= (index >> 8) as u8;
    PeerId::from_bytes(bytes)
}

/// As who the node with this number writes, until it has to go on as another.
fn replica(index: usize) -> ReplicaId {
    let mut bytes = [index as u8 + 1; 16];
    bytes[1] ^= (index >> 8) as u8;
    ReplicaId::from_bytes(bytes)
}

/// Where the node with this number listens.
fn address(index: usize) -> String {
    format!("/memory/{index}")
}

/// Who listens at this address.
pub(super) fn at_address(address: &str) -> Option<usize> {
    let rest = address.strip_prefix("/memory/")?;
    rest.split('/').next()?.parse().ok()
}
