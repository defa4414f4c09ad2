//! Under which replica id we write, and what we do when a peer knows more of it than we do.
//!
//! Nothing leaves a store before it is durable, so nobody can know of us what we do not know ourselves, unless the store was set
//! back, with all that could have told so, or another goes by the same id: a snapshot of a whole machine does both. Peers tell
//! each other in their welcome the marks of their [`Line`](super::line::Line), and those that they know of the other.
//! - We are behind what is known of us, and have written nothing since the start: what we hold is a past of what others hold. We
//!   go on under a new id, and take in what we had forgotten.
//! - We are not what is known of us: what we wrote may stand under dots that the peer has for something else, and to exchange
//!   anything would mix the two. The session ends, on both sides, and the application is told.

use rand::Rng as _;
use tombolo_crdt::ReplicaId;

use super::effect::{BatchId, Event};
use super::frame::Refusal;
use super::line::{Line, Relation};
use super::peer::Peer;
use super::{Engine, StartError, document};
use crate::PeerId;
use crate::store::{Store, Write};

/// The replica id stands under this name in the store.
pub const REPLICA_RECORD: &str = "identity/replica";
/// And our line under this, with the id it is of.
const OWN_LINE: &str = "identity/line";
/// The lines of peers stand under these names.
const LINES: &str = "line/";
/// How many new ids we take before we are started anew: who tells us again and again that we were set back wants harm.
const MAX_INCARNATIONS: u32 = 8;
/// Of how many peers the lines are kept.
const MAX_LINES: usize = 4_096;

/// Our own line, and those we know.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    own: Line,
    /// What of it is durable, and may be told.
    told: Line,
    /// All of it, to be written with the next batch.
    unsent: Option<Write>,
    /// The batch with which it becomes durable.
    batch: Option<BatchId>,
    /// Whether anything was written under our replica id since we started.
    has_written: bool,
    /// How many new ids we have taken since we started.
    incarnations: u32,
    /// By peer: the replica id it went by last, and its line.
    known: std::collections::BTreeMap<PeerId, (ReplicaId, Line)>,
}

impl Lines {
    pub(crate) fn load(store: &dyn Store, us: ReplicaId) -> Result<Self, StartError> {
        let read = |key: &str, bytes: &[u8]| {
            let line =
                rmp_serde::from_slice::<(ReplicaId, Line)>(bytes).ok().filter(|(_, line)| line.is_sane());
            line.ok_or_else(|| StartError::Record(key.to_owned()))
        };
        let mut lines = Self::default();
        if let Some(bytes) = store.record(OWN_LINE)? {
            let (replica, line) = read(OWN_LINE, &bytes)?;
            if replica == us {
                (lines.own, lines.told) = (line.clone(), line);
            }
        }
        for (key, bytes) in store.records(LINES)? {
            let peer = key[LINES.len()..].parse().map_err(|_| StartError::Record(key.clone()))?;
            lines.known.insert(peer, read(&key, &bytes)?);
        }
        Ok(lines)
    }

    /// Whether what a peer knows of us beyond what we know may be of another store.
    pub(crate) fn may_have_forked(&self) -> bool {
        self.has_written || self.incarnations >= MAX_INCARNATIONS
    }

    /// What goes with the next batch.
    pub(crate) fn take_unsent(&mut self, batch: BatchId) -> Option<Write> {
        let write = self.unsent.take()?;
        self.batch = Some(batch);
        Some(write)
    }

    /// What we may tell of ourselves.
    pub(crate) fn own(&self) -> Line {
        self.told.clone()
    }

    /// What we know of a peer.
    pub(crate) fn of(&self, peer: PeerId) -> Option<(ReplicaId, Line)> {
        self.known.get(&peer).cloned()
    }
}

fn record(key: String, replica: ReplicaId, line: &Line) -> Write {
    let value = rmp_serde::to_vec(&(replica, line)).expect("a line consists of what MessagePack can say");
    Write::Put { key, value }
}

impl Engine {
    /// Leaves a mark before the first write since the start.
    pub(super) fn begin_to_write(&mut self) {
        if std::mem::replace(&mut self.lines.has_written, true) {
            return;
        }
        let mut mark = [0; 8];
        self.rng.fill_bytes(&mut mark);
        self.lines.own.leave(mark);
        self.write_line();
    }

    /// Has our line written with the next batch: what it marks.
    fn write_line(&mut self) {
        self.lines.unsent = Some(record(OWN_LINE.to_owned(), self.us.replica, &self.lines.own));
    }

    /// Everything up to `batch` is durable; if our line is among it, the peers are told.
    pub(super) fn line_stored(&mut self, batch: BatchId) {
        if self.lines.batch.is_some_and(|of| of <= batch) {
            self.lines.batch = None;
            self.lines.told.clone_from(&self.lines.own);
            for peer in self.ready_peers() {
                self.introduce_ourselves(peer);
            }
        }
    }

    /// A batch is lost, and with it perhaps our line; it is written again with what else was.
    pub(super) fn line_lost(&mut self, first: BatchId) {
        if self.lines.batch.is_some_and(|of| of >= first) {
            self.lines.batch = None;
            self.write_line();
        }
    }

    /// A peer says which line it has. Says whether that goes on from what we know of it.
    pub(super) fn judge_line(&mut self, peer: PeerId, replica: ReplicaId, line: Line) -> bool {
        if let Some((known_as, known)) = self.lines.known.get(&peer)
            && *known_as == replica
        {
            let introduced =
                self.peers.get(&peer).and_then(Peer::ready).is_some_and(|ready| ready.replica.is_some());
            match line.relation_to(known) {
                Relation::Same => return true,
                Relation::Ahead => {}
                // A frame that comes late.
                Relation::Behind if introduced => return true,
                Relation::Behind => {
                    tracing::warn!(%peer, "it was set back; waiting for it to go on under a new replica id");
                    return false;
                }
                Relation::Forked => {
                    tracing::error!(%peer, %replica, "it is another store than the one that went by this replica id");
                    self.refuse(peer, Refusal::Forked);
                    return false;
                }
            }
        } else if self.lines.known.len() >= MAX_LINES && !self.lines.known.contains_key(&peer) {
            return true;
        }
        self.submit_others(vec![record(format!("{LINES}{peer}"), replica, &line)]);
        self.lines.known.insert(peer, (replica, line));
        true
    }

    /// A peer says what it knows of our line.
    pub(super) fn judged(&mut self, peer: PeerId, replica: ReplicaId, known: &Line) {
        if replica != self.us.replica {
            return;
        }
        match self.lines.own.relation_to(known) {
            Relation::Same | Relation::Ahead => {}
            Relation::Behind if !self.lines.may_have_forked() => self.overtaken(peer, false),
            Relation::Behind | Relation::Forked => {
                self.overtaken(peer, true);
                self.refuse(peer, Refusal::Forked);
            }
        }
    }

    /// A peer knows more of what we wrote than we do. Unless it may be of another store, we go on under a new id, so that it can
    /// be taken in.
    pub(super) fn overtaken(&mut self, peer: PeerId, forked: bool) {
        let old = self.us.replica;
        if forked {
            tracing::error!(%peer, replica = %old, "another store writes under our replica id; nothing of that is taken in");
        } else {
            let mut id = [0; 16];
            self.rng.fill_bytes(&mut id);
            self.incarnate(ReplicaId::from_bytes(id));
            tracing::warn!(%peer, %old, new = %self.us.replica, "a peer knows what we wrote and do not have; going on under a new replica id");
        }
        self.event(Event::Overtaken { peer, forked });
    }

    fn incarnate(&mut self, replica: ReplicaId) {
        self.us = document::Us { replica, ..self.us };
        self.config.replica = replica;
        for slot in self.documents.values_mut() {
            slot.body.write_as(replica);
        }
        let known = std::mem::take(&mut self.lines.known);
        let incarnations = self.lines.incarnations + 1;
        self.lines = Lines { known, incarnations, ..Lines::default() };
        // In order with everything that will be written under it; and the peers are told when it is durable.
        let write = Write::Put { key: REPLICA_RECORD.to_owned(), value: replica.as_bytes().to_vec() };
        let batch = self.submit_others(vec![write, record(OWN_LINE.to_owned(), replica, &Line::default())]);
        self.lines.batch = Some(batch);
    }
}
