//! Waiting for others: which peers hold a write, whether a version has arrived, who is level with us.
//!
//! A wait is begun, looked at and ended; [`Event::Awaited`] says when there is something to look at. How long to wait is the
//! caller's affair. Nothing here decides what is sent or kept: a wait that is given up changes nothing but this list.
//!
//! *Who counts.* A peer holds a write when it has told that what it holds durably dominates the document's version right after the
//! write: the write, and everything that was seen when it was made. What a peer told counts for the wait also after its session has
//! ended. SUBTLE: it counts only if the peer knows of no other store under our replica id, and not as long as what we wrote is kept
//! apart, or the other store's events would be taken for ours.
//!
//! Cost: a comparison of versions a wait and word of a peer about its document.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::{ReplicaId, Version};

use super::effect::{BatchId, Event, Now};
use super::peer::Peer;
use super::{Engine, Input};
use crate::{DocId, PeerId};

/// Names one wait; ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitId(pub u64);

/// A local write: what to ask others for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The document.
    pub doc: DocId,
    /// What is known of the document after the write, the write included.
    pub version: Version,
    /// What makes it durable here.
    pub batch: BatchId,
    /// As whom it was written.
    pub replica: ReplicaId,
}

/// How a wait stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It has not ended.
    Waiting,
    /// What was waited for is so.
    Met,
    /// The disk refused the write, and it was undone.
    NotDurable {
        /// What the disk said.
        reason: String,
    },
    /// The document was deleted.
    Deleted,
}

/// Who holds a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copies {
    /// How the wait stands.
    pub outcome: Outcome,
    /// How many peers were wanted.
    pub wanted: usize,
    /// Whether it is durable here.
    pub durable: bool,
    /// What a peer must know to hold it: the version after the write, in the names that the write has now.
    pub version: Version,
    /// Who has told that it holds it durably, connected or not any more. Ascending.
    pub holders: Vec<PeerId>,
    /// Who is connected, wants the document, and has not. Ascending.
    pub lacking: Vec<PeerId>,
    /// How many peers are connected.
    pub connected: usize,
}

/// What is lacked of a version that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// How the wait stands.
    pub outcome: Outcome,
    /// By replica id: up to which event something is lacked. Empty once the version has been reached.
    pub missing: Version,
    /// How many events that are.
    pub events: u64,
    /// Who is connected and has told that it holds all of it. Ascending.
    pub sources: Vec<PeerId>,
    /// How many peers are connected.
    pub connected: usize,
}

/// How a connected peer stands to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Who.
    pub peer: PeerId,
    /// Whether both hold the same, durably.
    pub in_sync: bool,
    /// How many of our durable events it has not acknowledged.
    pub lag: u64,
    /// How many of its events we lack.
    pub behind: u64,
}

#[derive(Debug)]
enum Wait {
    Copies { written: Written, wanted: usize, holders: BTreeSet<PeerId>, durable: bool },
    Version { doc: DocId, version: Version },
    InSync { peers: usize },
}

/// All waits.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    last: u64,
    all: BTreeMap<WaitId, (Wait, Outcome)>,
    /// Of the open waits, those for copies and those for versions, by document.
    copies: BTreeMap<DocId, BTreeSet<WaitId>>,
    versions: BTreeMap<DocId, BTreeSet<WaitId>>,
    /// Of the open waits for copies, those of writes that are not durable yet.
    undurable: BTreeSet<(BatchId, WaitId)>,
    /// Of the open waits, those for being in sync.
    in_sync: BTreeSet<WaitId>,
    /// Documents of which peers are to be asked to tell what they hold, and when they may be (`tell`).
    pub(super) ask: BTreeSet<DocId>,
    pub(super) ask_at: u64,
    /// Somebody was not counted because we were apart.
    recheck: bool,
}

impl Waits {
    fn add(&mut self, wait: Wait) -> WaitId {
        self.last += 1;
        let id = WaitId(self.last);
        match &wait {
            Wait::Copies { written, durable, .. } => {
                self.copies.entry(written.doc).or_default().insert(id);
                if !durable {
                    self.undurable.insert((written.batch, id));
                }
            }
            Wait::Version { doc, .. } => _ = self.versions.entry(*doc).or_default().insert(id),
            Wait::InSync { .. } => _ = self.in_sync.insert(id),
        }
        self.all.insert(id, (wait, Outcome::Waiting));
        id
    }

    /// Takes a wait out of what is looked at.
    fn close(&mut self, id: WaitId) {
        let Some((wait, _)) = self.all.get(&id) else { return };
        let (waits, doc) = match wait {
            Wait::Copies { written, .. } => {
                self.undurable.remove(&(written.batch, id));
                (&mut self.copies, written.doc)
            }
            Wait::Version { doc, .. } => (&mut self.versions, *doc),
            Wait::InSync { .. } => {
                self.in_sync.remove(&id);
                return;
            }
        };
        if let Some(of) = waits.get_mut(&doc) {
            of.remove(&id);
            if of.is_empty() {
                waits.remove(&doc);
            }
        }
    }

    /// What the last of a document's writes made known that is durable and waited for.
    pub(super) fn last_durable(&self, doc: DocId) -> Option<Version> {
        self.copies.get(&doc)?.iter().rev().find_map(|id| match self.all.get(id) {
            Some((Wait::Copies { written, durable: true, .. }, _)) => Some(written.version.clone()),
            _ => None,
        })
    }

    /// Which document a wait for copies is about.
    fn document(&self, id: WaitId) -> Option<DocId> {
        match self.all.get(&id) {
            Some((Wait::Copies { written, .. }, _)) => Some(written.doc),
            _ => None,
        }
    }

    /// Nobody could be counted; once we are not apart any more, everybody is.
    fn recheck(&mut self) {
        self.recheck = true;
    }
}

impl Engine {
    /// What was just written to a document, for [`wait_for_copies`](Self::wait_for_copies): `batch` is what
    /// [`update`](Self::update) named.
    #[must_use]
    pub fn written(&self, doc: DocId, batch: BatchId) -> Written {
        let version = self.documents.get(&doc).map(|slot| slot.body.version()).unwrap_or_default();
        Written { doc, version, batch, replica: self.us.replica }
    }

    /// Begins to wait until a write is durable here and `wanted` peers hold it durably.
    pub fn wait_for_copies(&mut self, now: Now, written: Written, wanted: usize) -> WaitId {
        let (batch, durable) = (written.batch, self.is_durable(written.batch));
        let id = self.waits.add(Wait::Copies { written, wanted, holders: BTreeSet::new(), durable });
        if !durable && !self.batches.is_in_flight(batch) {
            let reason = "the disk refused it".to_owned();
            self.end(id, Outcome::NotDurable { reason });
        }
        self.begun(now, id)
    }

    /// Begins to wait until this node's document has reached a version.
    pub fn wait_for_version(&mut self, now: Now, doc: DocId, version: Version) -> WaitId {
        let id = self.waits.add(Wait::Version { doc, version });
        self.begun(now, id)
    }

    /// Begins to wait until at least `peers` connected peers are in sync with us.
    pub fn wait_for_sync(&mut self, now: Now, peers: usize) -> WaitId {
        let id = self.waits.add(Wait::InSync { peers });
        self.begun(now, id)
    }

    fn begun(&mut self, now: Now, id: WaitId) -> WaitId {
        for peer in self.ready_peers() {
            self.count(id, peer);
        }
        self.decide(id);
        self.ask_about(id);
        self.handle(now, Input::Tick);
        id
    }

    /// How a wait stands; `None` if there is none of this number.
    #[must_use]
    pub fn outcome(&self, id: WaitId) -> Option<&Outcome> {
        self.waits.all.get(&id).map(|(_, outcome)| outcome)
    }

    /// Who holds what a wait for copies is about; `None` if there is no such wait.
    #[must_use]
    pub fn copies(&self, id: WaitId) -> Option<Copies> {
        let (Wait::Copies { written, wanted, holders, durable }, outcome) = self.waits.all.get(&id)? else {
            return None;
        };
        let ready = self.ready_peers();
        Some(Copies {
            outcome: outcome.clone(),
            wanted: *wanted,
            durable: *durable,
            version: written.version.clone(),
            holders: holders.iter().copied().collect(),
            connected: ready.len(),
            lacking: ready
                .into_iter()
                .filter(|peer| !holders.contains(peer) && self.is_wanted_by(*peer, written.doc))
                .collect(),
        })
    }

    /// What is lacked of what a wait for a version is about; `None` if there is no such wait.
    #[must_use]
    pub fn arrival(&self, id: WaitId) -> Option<Arrival> {
        let (Wait::Version { doc, version }, outcome) = self.waits.all.get(&id)? else { return None };
        let ours = self.documents.get(doc).map(|slot| slot.body.version()).unwrap_or_default();
        let missing: Version = version.iter().filter(|(id, last)| *last > ours.get(*id)).collect();
        let holds_it = |peer: &PeerId| {
            let ready = self.peers.get(peer).and_then(Peer::ready);
            ready.and_then(|ready| ready.have.get(*doc)).is_some_and(|theirs| theirs.dominates(&missing))
        };
        let ready = self.ready_peers();
        Some(Arrival {
            outcome: outcome.clone(),
            events: version.ahead_of(&ours),
            connected: ready.len(),
            sources: ready.into_iter().filter(|peer| !missing.is_empty() && holds_it(peer)).collect(),
            missing,
        })
    }

    /// How all connected peers stand to us, in order of key. O(peers × documents).
    #[must_use]
    pub fn levels(&self) -> Vec<Level> {
        let level = |peer: PeerId| {
            let ready = self.peers.get(&peer).and_then(Peer::ready)?;
            Some(Level {
                peer,
                in_sync: self.is_in_sync_with(peer),
                lag: self.lag_of(peer, ready),
                behind: self.behind_of(ready),
            })
        };
        self.ready_peers().into_iter().filter_map(level).collect()
    }

    /// Ends a wait, whether it has come to something or is given up.
    pub fn end_wait(&mut self, id: WaitId) {
        self.waits.close(id);
        self.waits.all.remove(&id);
    }

    /// An open wait has come to something.
    fn end(&mut self, id: WaitId, how: Outcome) {
        self.waits.close(id);
        if let Some((_, outcome)) = self.waits.all.get_mut(&id) {
            *outcome = how;
            self.event(Event::Awaited(id));
        }
    }

    /// Ends a wait if what it waits for is so, or cannot be any more.
    fn decide(&mut self, id: WaitId) {
        let Some((wait, Outcome::Waiting)) = self.waits.all.get(&id) else { return };
        let (is_met, doc) = match wait {
            Wait::Copies { written, wanted, holders, durable } => {
                (*durable && holders.len() >= *wanted, Some(written.doc))
            }
            Wait::Version { doc, version } => {
                let slot = self.documents.get(doc);
                let is_met =
                    version.is_empty() || slot.is_some_and(|slot| slot.body.version().dominates(version));
                (is_met, Some(*doc))
            }
            Wait::InSync { peers } => (*peers == 0 || self.in_sync_with() >= *peers, None),
        };
        if is_met {
            self.end(id, Outcome::Met);
        } else if doc.is_some_and(|doc| self.deleted.contains(&doc)) {
            self.end(id, Outcome::Deleted);
        }
    }

    /// Counts a peer among those that hold a write, if it has told so.
    fn count(&mut self, id: WaitId, peer: PeerId) {
        if self.lines.is_apart() {
            return self.waits.recheck();
        }
        let us = self.us.replica;
        let ready = self.peers.get(&peer).and_then(Peer::ready);
        if !ready.is_some_and(|ready| ready.replica.is_some() && ready.answered == Some(us)) {
            return;
        }
        // Who does not want it may drop it.
        if !self.waits.document(id).is_some_and(|doc| self.is_wanted_by(peer, doc)) {
            return;
        }
        let Some((Wait::Copies { written, holders, .. }, Outcome::Waiting)) = self.waits.all.get_mut(&id)
        else {
            return;
        };
        if written.replica != us {
            // SUBTLE: what was written may go by another replica id since, and the version may name what another store
            // wrote. Whoever knows the document as it is here has it under whatever name.
            let slot = self.documents.get(&written.doc);
            (written.replica, written.version) =
                (us, slot.map(|slot| slot.body.version()).unwrap_or_default());
        }
        let ready = self.peers.get(&peer).and_then(Peer::ready);
        let theirs = ready.and_then(|ready| ready.have.get(written.doc));
        if written.version.is_empty() || theirs.is_some_and(|theirs| theirs.dominates(&written.version)) {
            holders.insert(peer);
        }
    }

    /// A peer has told what it holds, of these documents or of any.
    pub(super) fn holds(&mut self, peer: PeerId, docs: Option<&[DocId]>) {
        let ids: Vec<WaitId> = match docs {
            Some(docs) => {
                docs.iter().filter_map(|doc| self.waits.copies.get(doc)).flatten().copied().collect()
            }
            None => self.waits.copies.values().flatten().copied().collect(),
        };
        for id in ids {
            self.count(id, peer);
            self.decide(id);
        }
    }

    /// Whether anybody waits for what peers tell of documents.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.waits.copies.is_empty()
    }

    /// A document has learned something.
    pub(super) fn reached(&mut self, doc: DocId) {
        let waits = self.waits.versions.get(&doc).cloned().unwrap_or_default();
        waits.into_iter().for_each(|id| self.decide(id));
    }

    /// A document was deleted.
    pub(super) fn gone(&mut self, doc: DocId) {
        self.reached(doc);
        let waits = self.waits.copies.get(&doc).cloned().unwrap_or_default();
        waits.into_iter().for_each(|id| self.decide(id));
    }

    /// Everything up to `batch` is durable.
    pub(super) fn copied_here(&mut self, batch: BatchId) {
        while let Some(&(of, id)) = self.waits.undurable.first().filter(|(of, _)| *of <= batch) {
            self.waits.undurable.remove(&(of, id));
            if let Some((Wait::Copies { durable, .. }, _)) = self.waits.all.get_mut(&id) {
                *durable = true;
            }
            self.decide(id);
            self.ask_about(id);
        }
    }

    /// Has peers tell at once that they hold what is waited for, if it is durable here and not held yet by enough.
    fn ask_about(&mut self, id: WaitId) {
        if let Some((Wait::Copies { written, durable: true, .. }, Outcome::Waiting)) = self.waits.all.get(&id)
        {
            self.waits.ask.insert(written.doc);
        }
    }

    /// Nothing from `first` on became durable.
    pub(super) fn not_copied_here(&mut self, first: BatchId, reason: &str) {
        for (_, id) in self.waits.undurable.split_off(&(first, WaitId(0))) {
            self.end(id, Outcome::NotDurable { reason: reason.to_owned() });
        }
    }

    /// What the waits depend on beside what is told where it happens.
    pub(super) fn tend_waits(&mut self) {
        if self.waits.recheck && !self.lines.is_apart() {
            self.waits.recheck = false;
            for peer in self.ready_peers() {
                self.holds(peer, None);
            }
        }
        for id in self.waits.in_sync.iter().copied().collect::<Vec<_>>() {
            self.decide(id);
        }
    }
}
