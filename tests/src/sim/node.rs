//! One node: a process that comes and goes, and a disk that stays.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::{Limits, ReplicaId, SessionNames, Version};
use tombolo_sync::engine::{BatchId, Config, Engine, Forgetting, REPLICA_RECORD, SessionId};
use tombolo_sync::store::Store as _;
use tombolo_sync::{DocId, PeerId, Secret};

use super::disk::Disk;

/// What distinguishes a node from the others.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Its space's secret, as a number.
    pub secret: u8,
    /// Its application.
    pub application: String,
    /// How many documents it holds at most.
    pub max_documents: usize,
    /// What it takes from others.
    pub limits: Limits,
    /// When it forgets removals.
    pub forgetting: Forgetting,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            secret: 7,
            application: "simulation".into(),
            max_documents: 10_000,
            limits: Limits::default(),
            forgetting: Forgetting::default(),
        }
    }
}

impl NodeOptions {
    pub(super) fn secret(&self) -> Secret {
        Secret::from_bytes([self.secret; 32])
    }
}

/// A node.
pub(super) struct Node {
    pub(super) options: NodeOptions,
    pub(super) peer: PeerId,
    /// As who it writes.
    pub(super) replica: ReplicaId,
    /// The id under which it began.
    first_replica: ReplicaId,
    /// Which continuation of a store it is: one that was set back is another, and so is a copy.
    pub(super) branch: u64,
    pub(super) address: String,
    pub(super) disk: Disk,
    /// `None` while the process is down.
    pub(super) engine: Option<Engine>,
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
    pub(super) sessions: BTreeMap<usize, SessionId>,
    pub(super) dialling: BTreeSet<(bool, String)>,
    /// Whom connections are refused from and to.
    pub(super) blocking: BTreeSet<PeerId>,
    /// Whether others get through to its address.
    pub(super) accepts: bool,
    /// Whom to tell it about when it starts.
    pub(super) bootstrap: Vec<usize>,
    /// The version of each document, as last seen.
    pub(super) seen: BTreeMap<DocId, Version>,
    /// Documents that changed and were not seen durable since.
    pub(super) unsettled: BTreeSet<DocId>,
    /// What the engine said is durable of each document: must never be lost.
    pub(super) promised: BTreeMap<DocId, Version>,
    /// The last batch reported durable.
    pub(super) durable: BatchId,
    /// Batches reported lost.
    pub(super) lost: Vec<(BatchId, BatchId)>,
    /// What it says that it has, and has not, if that is the mistake that is made.
    pub(super) early: BTreeMap<DocId, Version>,
    /// Parts of content this node is sending, by receiver.
    pub(super) sending: BTreeMap<(usize, DocId), Vec<u8>>,
    /// Which replica ids it calls by numbers, by receiver.
    pub(super) names: BTreeMap<usize, SessionNames>,
}

impl Node {
    pub(super) fn new(index: usize, options: NodeOptions) -> Self {
        let peer = peer(index);
        Self {
            options,
            peer,
            replica: replica(index),
            first_replica: replica(index),
            branch: index as u64,
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
            seen: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            promised: BTreeMap::new(),
            durable: BatchId(0),
            lost: Vec::new(),
            early: BTreeMap::new(),
            sending: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    pub(super) fn config(&self, name: String, seed: [u8; 32]) -> Config {
        let kept = self.disk.store.record(REPLICA_RECORD).expect("a memory store is read");
        let kept = kept.map(|id| ReplicaId::from_bytes(id.try_into().expect("an id has 16 bytes")));
        Config {
            peer: self.peer,
            // A disk that was never told another has the first.
            replica: kept.unwrap_or(self.first_replica),
            name,
            application: self.options.application.clone(),
            secret: self.options.secret(),
            limits: self.options.limits,
            max_documents: self.options.max_documents,
            forgetting: self.options.forgetting,
            seed,
        }
    }
}

/// The key of the node with this number.
pub(super) fn peer(index: usize) -> PeerId {
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
pub(super) fn address(index: usize) -> String {
    format!("/memory/{index}")
}

/// Who listens at this address.
pub(super) fn at_address(address: &str) -> Option<usize> {
    let rest = address.strip_prefix("/memory/")?;
    rest.split('/').next()?.parse().ok()
}
