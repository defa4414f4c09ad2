//! Which documents are in memory: those that are needed, and of the others as many as the budget has room for.
//!
//! A document that is not is [`Absent`](super::absent::Absent): its version is known, and what the store says beside its content
//! ([`Head`]). Whoever needs the content *wants* it; then it is read, and what arrived for it meanwhile is taken in, in order. Who was not
//! needed for longest goes, as soon as nothing of it is under way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Engine;
use super::effect::{Effect, Event, SessionId};
use super::frame::{ContentKind, Frame};
use super::head::Head;
use super::peer::Peer;
use super::storage::{Noted, Slot};
use crate::store::{Stored, Write};
use crate::{DocId, PeerId};

/// So much a document takes beside its content, in bytes.
const LEAST: usize = 1 << 10;
/// How many documents are read at a time.
const MOST_LOADS: usize = 8;
/// At how many documents it is looked, for one to go, before something else happens.
const LOOKS: usize = 32;
/// How long a document is kept in memory for who is about to open it, in milliseconds.
const OPENING: u64 = 10_000;
/// After so long a question to the disk is asked again, in milliseconds.
const PATIENCE: u64 = 10_000;
/// What could not be read is not asked for again before this, in milliseconds.
const FAILED_PAUSE: u64 = 1_000;
/// How many bytes wait for documents that are being read. What is more is dropped: it may be lost like anything that peers send.
const MAX_WAITING: usize = 8 << 20;
/// So much each of them counts beside its bytes.
const WAITING_LEAST: usize = 256;
/// After so long without a change the store is told what there is to know of a document, in milliseconds.
const NOTE_PAUSE: u64 = 10_000;
/// Of how many documents at a time.
const NOTES: usize = 256;

/// What arrived for a document that is being read.
pub(super) enum Held {
    Frame(PeerId, SessionId, Frame),
    Gossip(PeerId, Vec<u8>),
}

impl Held {
    fn size(&self) -> usize {
        let bytes = match self {
            Self::Frame(_, _, Frame::Content { bytes, .. } | Frame::Push { delta: bytes, .. })
            | Self::Gossip(_, bytes) => bytes.len(),
            Self::Frame(..) => 0,
        };
        WAITING_LEAST + bytes
    }
}

/// What is in memory, and what is to be.
#[derive(Default)]
pub(crate) struct Memory {
    /// About how many bytes of heap all documents take that are counted.
    bytes: usize,
    /// What each of them takes, and when it was used last.
    here: BTreeMap<DocId, (u64, usize)>,
    /// By last use, those that need not stay.
    order: BTreeMap<u64, DocId>,
    uses: u64,
    /// What is to be read.
    queue: VecDeque<DocId>,
    queued: BTreeSet<DocId>,
    /// What is being read, and when it was asked for.
    loading: BTreeMap<DocId, u64>,
    /// What could not be read, and until when it is not asked for again.
    failed: BTreeMap<DocId, u64>,
    /// What arrived for what is being read.
    held: BTreeMap<DocId, Vec<Held>>,
    held_bytes: usize,
    /// What changed since the store was told what there is to know of it, and when that was.
    unnoted: BTreeMap<DocId, u64>,
    note_at: u64,
}

impl Memory {
    fn used(&mut self, doc: DocId, bytes: usize, may_go: bool) {
        self.unused(doc);
        self.uses += 1;
        self.bytes += bytes;
        self.here.insert(doc, (self.uses, bytes));
        if may_go {
            self.order.insert(self.uses, doc);
        }
    }

    fn unused(&mut self, doc: DocId) {
        if let Some((used, bytes)) = self.here.remove(&doc) {
            self.bytes -= bytes;
            self.order.remove(&used);
        }
    }

    /// A document changed: when it does no more, the store is told what there is to know of it.
    pub(super) fn note_soon(&mut self, doc: DocId, now: u64) {
        if !is_own(doc) {
            self.unnoted.insert(doc, now);
        }
    }

    /// Whether a document could not be read just now.
    pub(super) fn is_unreadable(&self, doc: DocId, now: u64) -> bool {
        self.failed.get(&doc).is_some_and(|until| now < *until)
    }

    fn drop_held(&mut self, doc: DocId) -> Vec<Held> {
        let held = self.held.remove(&doc).unwrap_or_default();
        self.held_bytes -= held.iter().map(Held::size).sum::<usize>();
        held
    }

    /// A document is gone.
    pub(super) fn forget(&mut self, doc: DocId) {
        self.unused(doc);
        self.drop_held(doc);
        self.queued.remove(&doc);
        self.loading.remove(&doc);
        self.failed.remove(&doc);
        self.unnoted.remove(&doc);
    }
}

/// The space's own documents, which are always needed.
pub(super) fn is_own(doc: DocId) -> bool {
    doc == DocId::DIRECTORY || doc == DocId::MEMBERS
}

impl Engine {
    /// Whether a document is there, on the disk only.
    pub(super) fn is_absent(&self, doc: DocId) -> bool {
        self.documents.get(&doc).is_some_and(super::Slot::is_absent)
    }

    /// A document is used, or takes another amount of memory.
    pub(super) fn touch(&mut self, doc: DocId) {
        match self.documents.get_mut(&doc) {
            Some(slot) if !slot.is_absent() && !is_own(doc) => {
                let bytes = slot.heap().saturating_add(LEAST);
                self.memory.used(doc, bytes, slot.handles == 0 && !slot.watch.is_watched());
            }
            _ => self.memory.unused(doc),
        }
    }

    /// About how many bytes of heap the documents take that are in memory, without those that the space itself has.
    #[must_use]
    pub fn memory_in_use(&self) -> usize {
        self.memory.bytes
    }

    /// Whether a document is in memory; if not it is read when it is opened, or a peer asks for it or sends something for it.
    #[must_use]
    pub fn is_in_memory(&self, doc: DocId) -> bool {
        self.documents.get(&doc).is_some_and(|slot| !slot.is_absent())
    }

    /// A document, also if it was deleted and that may still be undone.
    pub(super) fn slot_even_if_doomed(&mut self, doc: DocId) -> Option<&mut Slot> {
        let doomed = self.doomed.get_mut(&doc).map(|doomed| &mut doomed.slot);
        self.documents.get_mut(&doc).or(doomed)
    }

    /// Somebody who opened a document does not hold it open any more. Says whether others do; when nobody does, it may leave memory,
    /// and has to be opened again before it is read or written.
    pub fn close(&mut self, doc: DocId) -> bool {
        let Some(slot) = self.slot_even_if_doomed(doc) else { return false };
        slot.handles = slot.handles.saturating_sub(1);
        let is_held = slot.handles > 0;
        self.touch(doc);
        is_held
    }

    /// Has a document read for who is about to open it.
    pub(super) fn want_to_open(&mut self, doc: DocId) {
        let now = self.now.millis;
        if let Some(slot) = self.documents.get_mut(&doc) {
            slot.wanted_until = now + OPENING;
        }
        if !self.memory.loading.contains_key(&doc) {
            self.load(doc);
        }
    }

    /// Has a document read, when it is its turn. Says whether it will be: not if that failed just now.
    pub(super) fn want(&mut self, doc: DocId) -> bool {
        if self.memory.is_unreadable(doc, self.now.millis) {
            return false;
        }
        if !self.memory.loading.contains_key(&doc) && self.memory.queued.insert(doc) {
            self.memory.queue.push_back(doc);
        }
        true
    }

    fn load(&mut self, doc: DocId) {
        self.memory.queued.remove(&doc);
        self.memory.loading.insert(doc, self.now.millis);
        self.effects.push_back(Effect::Load { doc });
    }

    /// Keeps what arrived for a document that is on the disk only until it has been read.
    pub(super) fn hold(&mut self, doc: DocId, held: Held) {
        let size = held.size();
        if self.want(doc) && self.memory.held_bytes + size <= MAX_WAITING {
            self.memory.held_bytes += size;
            self.memory.held.entry(doc).or_default().push(held);
        }
    }

    /// A document that was on the disk only has been read, or could not be.
    pub(super) fn brought_back(&mut self, doc: DocId, stored: Result<Option<Stored>, String>) {
        let us = self.us;
        let Some(slot) = self.documents.get_mut(&doc) else { return };
        let body = stored.and_then(|stored| {
            let mut body = slot.body.reload(us, stored.as_ref()).map_err(|why| why.to_string())?;
            self.lines.rename(doc, &mut *body);
            // Nothing of it is under way, so the disk holds neither more nor less.
            if body.version() == slot.body.version() {
                Ok((body, stored))
            } else {
                Err(format!("it holds {:?}, not {:?}", body.version(), slot.body.version()))
            }
        });
        match body {
            Ok((body, stored)) => {
                let (noted, fingerprint) = (slot.noted, slot.fingerprint.take());
                let is_renamed = slot.is_renamed;
                *slot = slot.read(body, stored.as_ref());
                (slot.noted, slot.fingerprint) = (noted, fingerprint);
                self.touch(doc);
                if is_renamed {
                    self.persist_renamed(doc);
                }
                self.has_been_read(doc, None);
            }
            Err(reason) => {
                tracing::error!(%doc, reason, "the document could not be read");
                self.has_been_read(doc, Some(reason));
            }
        }
    }

    /// The disk has answered.
    pub(super) fn has_answered(&mut self, doc: DocId) {
        self.memory.loading.remove(&doc);
        self.memory.failed.remove(&doc);
    }

    /// A document is in memory again, or cannot be: what waited for it goes on.
    pub(super) fn has_been_read(&mut self, doc: DocId, failed: Option<String>) {
        if failed.is_some() {
            self.memory.failed.insert(doc, self.now.millis + FAILED_PAUSE);
            // It is sent again.
            self.memory.drop_held(doc);
        }
        self.event(Event::Loaded { doc, failed });
        for held in self.memory.drop_held(doc) {
            match held {
                Held::Frame(peer, session, frame) => {
                    let known = self.peers.get(&peer).filter(|known| known.session == session);
                    if known.and_then(Peer::ready).is_some() {
                        self.ready_frame(peer, frame);
                    }
                }
                Held::Gossip(from, delta) if self.hears_gossip(from) => {
                    self.take_in(doc, ContentKind::Delta, &delta, from);
                }
                Held::Gossip(..) => {}
            }
        }
        // Whom nothing can be told asks somebody else.
        for peer in self.ready_peers() {
            let ready = self.peers.get(&peer).and_then(Peer::ready);
            if ready.is_some_and(|ready| ready.serving.is_asked(doc)) {
                self.serve(peer);
            }
        }
    }

    /// Reads what is wanted, and lets go what there is no room for.
    pub(super) fn tend_memory(&mut self) {
        let now = self.now.millis;
        let again: Vec<DocId> =
            self.memory.failed.iter().filter(|(_, until)| **until <= now).map(|(doc, _)| *doc).collect();
        for doc in again {
            self.memory.failed.remove(&doc);
            if self.documents.get(&doc).is_some_and(|slot| slot.is_renamed) {
                self.want(doc);
            }
        }
        let late: Vec<DocId> = self
            .memory
            .loading
            .iter()
            .filter(|(_, asked)| **asked + PATIENCE <= now)
            .map(|(doc, _)| *doc)
            .collect();
        late.into_iter().for_each(|doc| self.load(doc));
        while self.memory.loading.len() < MOST_LOADS
            && let Some(doc) = self.memory.queue.pop_front()
        {
            if self.memory.queued.remove(&doc) && self.is_absent(doc) {
                self.load(doc);
            }
        }
        let mut writes = Vec::new();
        self.make_room(&mut writes);
        if now >= self.memory.note_at && !self.memory.unnoted.is_empty() {
            self.memory.note_at = now + 1_000;
            self.note_heads(&mut writes);
        }
        if !writes.is_empty() {
            self.submit_others(writes);
        }
    }

    fn make_room(&mut self, writes: &mut Vec<Write>) {
        for _ in 0..LOOKS {
            if self.memory.bytes <= self.config.memory {
                return;
            }
            let Some((_, &doc)) = self.memory.order.first_key_value() else { return };
            if self.is_settled(doc) && self.may_be_absent(doc) {
                self.evict(doc, writes);
            } else {
                // It comes up again when the others have.
                self.touch(doc);
            }
        }
    }

    /// Whether the disk holds a document as it is, and nothing of that is under way.
    fn is_settled(&self, doc: DocId) -> bool {
        let (Some(slot), Some(durable)) = (self.documents.get(&doc), self.durable.get(doc)) else {
            return false;
        };
        let version = slot.body.version();
        !is_own(doc)
            && !slot.is_absent()
            && !slot.is_stale
            && slot.last_batch.is_none_or(|batch| !self.batches.is_in_flight(batch))
            && version == *durable
            && version == slot.handed
    }

    /// Whether a document that is settled need not be in memory.
    fn may_be_absent(&self, doc: DocId) -> bool {
        let Some(slot) = self.documents.get(&doc) else { return false };
        slot.handles == 0
            && !slot.watch.is_watched()
            && slot.wanted_until <= self.now.millis
            && !slot.is_unlisted
            // What is apart is pushed when it may be seen: gossip is a hint, and whoever lacks it pulls it then.
            && (slot.fresh.is_empty() || self.lines.is_apart())
            && slot.body.waiting() == 0
            && !self.staging.contains_key(&doc)
    }

    /// Lets go a document that is settled and need not be in memory.
    fn evict(&mut self, doc: DocId, writes: &mut Vec<Write>) {
        let (key, under) = (*self.fingerprints.key(), self.fingerprints.under());
        let Some(slot) = self.documents.get_mut(&doc) else { return };
        let version = slot.body.version();
        let known = slot.fingerprint.as_ref().filter(|(of, _)| *of == version).map(|(_, known)| *known);
        let head = Head::of(slot, &version, known.unwrap_or_else(|| slot.body.fingerprint(&key)), under);
        if slot.noted != Noted::Yes {
            writes.push(head.write(doc));
        }
        *slot = head.slot();
        self.memory.unused(doc);
        self.memory.unnoted.remove(&doc);
        self.event(Event::Evicted { doc });
    }

    /// Tells the store what there is to know of documents that have not changed for a while.
    fn note_heads(&mut self, writes: &mut Vec<Write>) {
        let now = self.now.millis;
        let due = self.memory.unnoted.iter().filter(|(_, since)| **since + NOTE_PAUSE <= now);
        let due: Vec<DocId> = due.map(|(doc, _)| *doc).take(NOTES).collect();
        for doc in due {
            if !self.documents.contains_key(&doc) {
                self.memory.unnoted.remove(&doc);
                continue;
            }
            if !self.is_settled(doc) {
                // What never will be is asked for as seldom as this.
                self.memory.unnoted.insert(doc, now);
                continue;
            }
            let Some(fingerprint) = self.fingerprint(doc) else { return };
            self.memory.unnoted.remove(&doc);
            let Some(slot) = self.documents.get_mut(&doc).filter(|slot| slot.noted != Noted::Yes) else {
                continue;
            };
            let version = slot.body.version();
            writes.push(Head::of(slot, &version, fingerprint, self.fingerprints.under()).write(doc));
            slot.noted = Noted::Yes;
        }
    }
}
