//! One peer with a session: what it has proved, what it has said, what is under way.

use std::collections::BTreeMap;

use tombolo_crdt::ReplicaId;

use super::effect::{SessionId, Transport};
use super::frame::{ContentKind, Hello};
use super::versions::Versions;
use crate::DocId;

/// A peer with a session.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) session: SessionId,
    pub(crate) address: Option<String>,
    pub(crate) transport: Transport,
    /// When the session began.
    pub(crate) since: u64,
    /// When anything was heard last.
    pub(crate) heard: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) phase: Phase,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// It has not proved yet that it belongs here; it is told nothing.
    Greeting { ours: Hello, theirs: Option<Hello> },
    /// It has.
    Ready(Box<Ready>),
}

/// What is known of a peer that has proved itself.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) replica: Option<ReplicaId>,
    /// What it holds durably, as it said itself.
    pub(crate) have: Versions,
    /// A full list that is still arriving.
    pub(crate) arriving: Option<Versions>,
    /// Whether a full list has arrived in this session.
    pub(crate) listed: bool,
    pub(crate) next_beat: u64,
    pub(crate) asked: Option<u64>,
    pub(crate) round_trip: Option<u64>,
    /// Content arriving in parts.
    pub(crate) transfers: BTreeMap<DocId, Transfer>,
    /// When content was last pulled from it.
    pub(crate) last_repair: Option<u64>,
    /// How far its clock is ahead of ours, as far as one message can tell.
    pub(crate) skew_millis: i64,
}

#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) kind: ContentKind,
    pub(crate) parts: u32,
    pub(crate) next: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Peer {
    pub(crate) fn ready(&self) -> Option<&Ready> {
        match &self.phase {
            Phase::Ready(ready) => Some(ready),
            Phase::Greeting { .. } => None,
        }
    }

    pub(crate) fn ready_mut(&mut self) -> Option<&mut Ready> {
        match &mut self.phase {
            Phase::Ready(ready) => Some(ready),
            Phase::Greeting { .. } => None,
        }
    }
}

impl Ready {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            replica: None,
            have: Versions::default(),
            arriving: None,
            listed: false,
            next_beat: now,
            asked: None,
            round_trip: None,
            transfers: BTreeMap::new(),
            last_repair: None,
            skew_millis: 0,
        }
    }
}
