//! Documents in memory and what of them is on disk.

use std::collections::BTreeMap;

use tombolo_crdt::{Delta, Opaque, Version};

use super::document::Document;
use super::effect::{Batch, BatchId, Effect, Event, Origin, SessionId};
use super::frame::ContentKind;
use super::{Engine, ISOLATED, directory};
use crate::store::{Stored, Write};
use crate::{DocId, PeerId};

/// A log shorter than this, in bytes, is not worth a new snapshot: 64 KiB.
const LEAST_LOG: usize = 64 << 10;
/// How long to wait before asking the disk again for a document that could not be read.
const RELOAD_PAUSE: u64 = 1_000;

/// One document in memory.
pub(crate) struct Slot {
    pub(crate) body: Box<dyn Document>,
    /// The version up to which writes have been handed to the store.
    pub(crate) handed: Version,
    /// The last batch that speaks of this document.
    pub(crate) last_batch: Option<BatchId>,
    /// Local changes that wait for being durable, then for being pushed.
    pub(crate) fresh: Vec<(BatchId, Delta<Opaque>)>,
    /// A pull that is under way.
    pub(crate) pull: Option<Pull>,
    log_bytes: usize,
    snapshot_bytes: usize,
    /// The disk refused a write; until the document has been read back it cannot be written. Holds when to ask again.
    reload_at: Option<u64>,
}

/// A pull that is under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pull {
    pub(crate) peer: PeerId,
    pub(crate) session: SessionId,
    /// When to give it up.
    pub(crate) until: u64,
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
            pull: None,
            log_bytes,
            snapshot_bytes,
            reload_at: None,
        }
    }

    /// Whether it can be written.
    pub(crate) fn is_writable(&self) -> bool {
        self.reload_at.is_none()
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        self.pull.map(|pull| pull.until).into_iter().chain(self.reload_at).min()
    }
}

/// Which batches are under way.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    /// The id of the last batch handed out.
    last: u64,
    generation: u64,
    /// What each batch under way makes durable.
    in_flight: BTreeMap<BatchId, Vec<(DocId, Version)>>,
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
}

impl Engine {
    /// Hands writes to the store as one batch; `made` says what becomes durable with it.
    pub(crate) fn submit(&mut self, writes: Vec<Write>, made: Vec<(DocId, Version)>) -> BatchId {
        self.batches.last += 1;
        let id = BatchId(self.batches.last);
        self.batches.in_flight.insert(id, made);
        self.effects.push_back(Effect::Store(Batch { id, generation: self.batches.generation, writes }));
        id
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
            None => slot.body.since(&slot.handed),
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
        let later = self.batches.in_flight.split_off(&BatchId(batch.0 + 1));
        let done = std::mem::replace(&mut self.batches.in_flight, later);
        if done.is_empty() {
            return;
        }
        for (doc, version) in done.into_values().flatten() {
            // A document that was deleted meanwhile is of no interest any more.
            if self.documents.contains_key(&doc) {
                self.durable.raise(doc, &version);
                self.announce_soon(doc);
                self.push_durable(doc, batch);
            }
        }
        let still_held = self.held.split_off(&BatchId(batch.0 + 1));
        for effects in std::mem::replace(&mut self.held, still_held).into_values() {
            self.effects.extend(effects);
        }
        self.event(Event::Durable(batch));
    }

    /// The disk refused: everything from `first` on is undone, by going back to what the disk holds.
    pub(crate) fn store_failed(&mut self, first: BatchId, reason: &str) {
        let lost = self.batches.in_flight.split_off(&first);
        if lost.is_empty() {
            return;
        }
        tracing::warn!(reason, batches = lost.len(), "the disk refused; undoing");
        self.batches.generation += 1;
        self.held.split_off(&first);
        let mut docs: Vec<DocId> = lost.into_values().flatten().map(|(doc, _)| doc).collect();
        docs.sort_unstable();
        docs.dedup();
        for doc in docs {
            if let Some(slot) = self.documents.get_mut(&doc) {
                slot.fresh.retain(|(batch, _)| *batch < first);
                slot.reload_at = Some(self.now.millis + RELOAD_PAUSE);
                self.effects.push_back(Effect::Load { doc });
            }
        }
        // Records of peers are not content: what was lost of them is written again with the next change.
        let (kept, last) = (BatchId(first.0 - 1), self.batches.last());
        self.event(Event::NotDurable { kept, last, reason: reason.to_owned() });
    }

    /// A document as the disk holds it.
    pub(crate) fn loaded(&mut self, doc: DocId, stored: Result<Option<Stored>, String>) {
        let replica = self.config.replica;
        let Some(slot) = self.documents.get_mut(&doc) else { return };
        if slot.is_writable() {
            return;
        }
        let body = stored.and_then(|stored| {
            let body = slot.body.reload(replica, stored.as_ref()).map_err(|why| why.to_string())?;
            Ok(Slot::new(body, stored.as_ref()))
        });
        match body {
            Ok(reloaded) => {
                let version = reloaded.body.version();
                *slot = reloaded;
                self.durable.set(doc, version.clone());
                if doc == DocId::DIRECTORY {
                    self.deleted = directory::deleted(self.directory());
                    self.event(Event::Directory);
                }
                self.event(Event::Changed { doc, origin: Origin::Undone, version });
                self.chase(doc);
            }
            Err(reason) => {
                tracing::warn!(%doc, reason, "the document could not be read back; it stays read-only");
                slot.reload_at = Some(self.now.millis + RELOAD_PAUSE);
            }
        }
    }

    /// Pulls that were not answered and documents that wait for the disk.
    pub(crate) fn tend_documents(&mut self) {
        let now = self.now.millis;
        let mut late = Vec::new();
        for (&doc, slot) in &mut self.documents {
            if slot.reload_at.is_some_and(|at| at <= now) {
                slot.reload_at = Some(now + RELOAD_PAUSE);
                self.effects.push_back(Effect::Load { doc });
            }
            if slot.pull.is_some_and(|pull| pull.until <= now) {
                slot.pull = None;
                late.push(doc);
            }
        }
        for doc in late {
            self.chase(doc);
        }
    }

    /// The directory changed: drops documents that were deleted.
    pub(crate) fn directory_changed(&mut self) {
        let deleted = directory::deleted(self.directory());
        let gone: Vec<DocId> = deleted.difference(&self.deleted).copied().collect();
        self.deleted = deleted;
        for doc in gone {
            self.durable.remove(doc);
            self.announce.remove(&doc);
            for peer in self.peers.values_mut() {
                if let Some(ready) = peer.ready_mut() {
                    ready.have.remove(doc);
                    ready.transfers.remove(&doc);
                }
            }
            if self.documents.remove(&doc).is_some() {
                self.submit(vec![Write::Remove { doc }], Vec::new());
            }
        }
        self.event(Event::Directory);
    }

    /// Hands records of the driver's own to the store, in order with the engine's writes.
    pub fn keep(&mut self, records: Vec<Write>) -> BatchId {
        self.submit(records, Vec::new())
    }

    /// Keeps what the book says about a peer.
    pub(crate) fn save_peer(&mut self, peer: PeerId) {
        if let Some(write) = self.book.record(peer) {
            self.submit(vec![write], Vec::new());
        }
    }

    /// Keeps whether we are cut off on purpose.
    pub(crate) fn save_isolation(&mut self) -> BatchId {
        let key = ISOLATED.to_owned();
        let write = if self.isolated { Write::Put { key, value: vec![1] } } else { Write::Delete { key } };
        self.submit(vec![write], Vec::new())
    }
}
