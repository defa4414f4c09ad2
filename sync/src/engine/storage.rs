//! Documents in memory and what of them is on disk.

use std::collections::BTreeMap;

use tombolo_crdt::{Delta, Opaque, Version};

use super::document::Document;
use super::effect::{Batch, BatchId, Effect, Event};
use super::frame::ContentKind;
use super::{Engine, ISOLATED};
use crate::store::{Stored, Write};
use crate::{DocId, PeerId};

/// A log shorter than this, in bytes, is not worth a new snapshot: 64 KiB.
const LEAST_LOG: usize = 64 << 10;

/// One document in memory.
pub(crate) struct Slot {
    pub(crate) body: Box<dyn Document>,
    /// The version up to which writes have been handed to the store.
    pub(crate) handed: Version,
    /// The last batch that speaks of this document.
    pub(crate) last_batch: Option<BatchId>,
    /// Local changes that wait for being durable, then for being pushed.
    pub(crate) fresh: Vec<(BatchId, Delta<Opaque>)>,
    log_bytes: usize,
    snapshot_bytes: usize,
    /// The disk refused a write; until the document has been read back it cannot be written.
    pub(crate) is_stale: bool,
    /// The name and type under which it was opened.
    pub(crate) opened: Option<(String, String)>,
    /// It was opened, but its creation was undone: it is created again with the next write to it.
    pub(crate) is_unlisted: bool,
}

impl Slot {
    pub(crate) fn new(body: Box<dyn Document>, stored: Option<&Stored>) -> Self {
        let log_bytes = stored.map_or(0, |stored| stored.log.iter().map(Vec::len).sum());
        let snapshot_bytes = stored.and_then(|stored| stored.snapshot.as_ref()).map_or(0, Vec::len);
        Self {
            handed: body.version(),
            body,
            last_batch: None,
            fresh: Vec::new(),
            log_bytes,
            snapshot_bytes,
            is_stale: false,
            opened: None,
            is_unlisted: false,
        }
    }

    /// Whether it can be written.
    pub(crate) fn is_writable(&self) -> bool {
        !self.is_stale
    }
}

/// What a batch under way makes durable.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) documents: Vec<(DocId, Version)>,
    /// What is not content, and is written again if the disk refuses it.
    pub(crate) others: Vec<Write>,
}

/// Which batches are under way.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    /// The id of the last batch handed out.
    last: u64,
    generation: u64,
    in_flight: BTreeMap<BatchId, Made>,
    /// Batches that never became durable: first and last.
    lost: Vec<(BatchId, BatchId)>,
}

impl Batches {
    /// Whether this batch is still under way.
    pub(crate) fn is_in_flight(&self, batch: BatchId) -> bool {
        self.in_flight.contains_key(&batch)
    }

    /// Whether none is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(crate) fn last(&self) -> BatchId {
        BatchId(self.last)
    }

    /// The first batch under way.
    pub(crate) fn first(&self) -> Option<BatchId> {
        self.in_flight.first_key_value().map(|(first, _)| *first)
    }

    fn is_lost(&self, batch: BatchId) -> bool {
        let after = self.lost.partition_point(|(first, _)| *first <= batch);
        after > 0 && batch <= self.lost[after - 1].1
    }

    /// Everything up to this batch is durable; yields what that is.
    fn done(&mut self, batch: BatchId) -> BTreeMap<BatchId, Made> {
        let later = self.in_flight.split_off(&BatchId(batch.0 + 1));
        std::mem::replace(&mut self.in_flight, later)
    }

    /// Nothing from this batch on became durable; yields what that is. Nothing if that is known: every batch of a
    /// generation that failed is refused one by one, and later ones are of another generation.
    pub(crate) fn failed(&mut self, first: BatchId) -> BTreeMap<BatchId, Made> {
        if !self.is_in_flight(first) {
            return BTreeMap::new();
        }
        self.generation += 1;
        let last = self.last();
        match self.lost.last_mut() {
            Some((_, end)) if end.0 + 1 == first.0 => *end = last,
            _ => self.lost.push((first, last)),
        }
        self.in_flight.split_off(&first)
    }
}

impl Engine {
    /// Hands writes to the store as one batch; `documents` says what becomes durable with it.
    fn submit(&mut self, writes: Vec<Write>, documents: Vec<(DocId, Version)>) -> BatchId {
        self.batches.last += 1;
        let id = BatchId(self.batches.last);
        let is_content = |write: &&Write| matches!(write, Write::Append { .. } | Write::Snapshot { .. });
        let others: Vec<Write> = writes.iter().filter(|write| !is_content(write)).cloned().collect();
        for write in &others {
            self.unsaved.remove(&place(write));
        }
        self.batches.in_flight.insert(id, Made { documents, others });
        self.effects.push_back(Effect::Store(Batch { id, generation: self.batches.generation, writes }));
        id
    }

    /// Hands to the store what is no content: it is written again, later, if the disk refuses it.
    pub(crate) fn submit_others(&mut self, writes: Vec<Write>) -> BatchId {
        self.submit(writes, Vec::new())
    }

    /// Hands what a document learned since the last time to the store. `record`, if given, is exactly that.
    pub(crate) fn persist(&mut self, doc: DocId, record: Option<Vec<u8>>) -> Option<BatchId> {
        let slot = self.documents.get_mut(&doc)?;
        let version = slot.body.version();
        if version == slot.handed {
            return None;
        }
        let change = match record {
            Some(record) => Some((ContentKind::Delta, record)),
            None => slot.body.since(&slot.handed, None),
        };
        slot.handed = version.clone();
        let log_limit = slot.snapshot_bytes.max(LEAST_LOG);
        let write = match change? {
            (ContentKind::Delta, record) if slot.log_bytes + record.len() <= log_limit => {
                slot.log_bytes += record.len();
                Write::Append { doc, record }
            }
            _ => {
                let snapshot = slot.body.state();
                (slot.log_bytes, slot.snapshot_bytes) = (0, snapshot.len());
                Write::Snapshot { doc, snapshot }
            }
        };
        let batch = self.submit(vec![write], vec![(doc, version)]);
        if let Some(slot) = self.documents.get_mut(&doc) {
            slot.last_batch = Some(batch);
        }
        Some(batch)
    }

    /// Everything up to `batch` is durable: it may be told and pushed now.
    pub(crate) fn stored(&mut self, batch: BatchId) {
        let done = self.batches.done(batch);
        if done.is_empty() {
            return;
        }
        for (doc, version) in done.into_values().flat_map(|made| made.documents) {
            // A document that was deleted meanwhile is of no interest any more.
            if self.documents.contains_key(&doc) {
                self.durable.raise(doc, &version);
                self.announce_soon(doc);
                self.push.insert(doc);
            }
        }
        self.doomed.retain(|_, doomed| doomed.batch > batch);
        self.serve_all();
        self.event(Event::Durable(batch));
    }

    /// Whether everything up to this batch is durable. A batch that was undone is not.
    #[must_use]
    pub fn is_durable(&self, batch: BatchId) -> bool {
        self.batches.first().is_none_or(|first| batch < first) && !self.batches.is_lost(batch)
    }

    /// Hands records of the driver's own to the store, in order with the engine's writes.
    pub fn keep(&mut self, records: Vec<Write>) -> BatchId {
        self.submit_others(records)
    }

    /// Keeps what the book says about a peer.
    pub(crate) fn save_peer(&mut self, peer: PeerId) {
        if let Some(write) = self.book.record(peer) {
            self.submit_others(vec![write]);
        }
    }

    /// Keeps whether we are cut off on purpose.
    pub(crate) fn save_isolation(&mut self) -> BatchId {
        let key = ISOLATED.to_owned();
        let write = if self.isolated { Write::Put { key, value: vec![1] } } else { Write::Delete { key } };
        self.submit_others(vec![write])
    }
}

/// What two writes have in common of which the later makes the earlier pointless.
pub(crate) fn place(write: &Write) -> Place {
    match write {
        Write::Put { key, .. } | Write::Delete { key } => Place::Record(key.clone()),
        Write::Append { doc, .. } | Write::Snapshot { doc, .. } | Write::Remove { doc } => {
            Place::Document(*doc)
        }
    }
}

/// Where a write goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Record(String),
    Document(DocId),
}
