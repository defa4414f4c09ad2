//! Documents in memory and what of them is on disk.

use std::collections::BTreeMap;

use tombolo_crdt::{Delta, Dot, Opaque, ReplicaId, Version};

use super::absent::Absent;
use super::document::{Document, Since};
use super::effect::{Batch, BatchId, Effect, Event};
use super::frame::{ContentKind, Hash, content_hash};
use super::watch::Watch;
use super::{Engine, ISOLATED, head};
use crate::store::{Stored, WHOLE, Write};
use crate::{DocId, PeerId};

/// A log shorter than this, in bytes, is not worth a new snapshot: 64 KiB.
const LEAST_LOG: usize = 64 << 10;

/// Records may be so many times shorter than what they become in memory, for what is long is compressed.
const MOST_PACKED: usize = 64;
/// What takes more than this in memory is not measured between two snapshots, in bytes: 4 MiB.
const MUCH: usize = 4 << 20;

/// Whether the store says of a document what is known of it (`head`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    No,
    /// It may, and that must go with the next change of the content.
    Perhaps,
    Yes,
}

/// One document, in memory or on the disk only.
pub(crate) struct Slot {
    pub(crate) body: Box<dyn Document>,
    /// The version up to which writes have been handed to the store.
    pub(crate) handed: Version,
    /// The last batch that speaks of this document.
    pub(crate) last_batch: Option<BatchId>,
    /// Local changes that wait for being durable, then for being pushed.
    pub(crate) fresh: Vec<(BatchId, Delta<Opaque>)>,
    pub(super) log_bytes: usize,
    /// The slices of the snapshot on disk: where each begins, and what its hash is.
    pub(super) slices: Vec<(Dot, Hash)>,
    pub(super) snapshot_bytes: usize,
    pub(crate) noted: Noted,
    /// About how many bytes of heap it took when that was found out.
    heap: usize,
    /// How many bytes of records came since; `None`: it was never found out.
    pub(crate) unmeasured: Option<usize>,
    /// The disk refused a write; until the document has been read back it cannot be written.
    pub(crate) is_stale: bool,
    /// In which version it was looked at last, and whether it remembers more removals than it should.
    pub(crate) looked_at: Option<(Version, bool)>,
    /// How often it was found as full since, and for what all know it has been swept then.
    pub(crate) looks: usize,
    pub(crate) swept_at: Option<Version>,
    /// In which version no recent deltas are kept, for all know them.
    pub(crate) bare_at: Option<Version>,
    /// What it is in some version.
    pub(crate) fingerprint: Option<(Version, u128)>,
    /// The name and type under which it was opened.
    pub(crate) opened: Option<(String, String)>,
    /// What makes durable that it was created here.
    pub(crate) listed_with: Option<BatchId>,
    /// It was opened, but its creation was undone: it is created again with the next write to it.
    pub(crate) is_unlisted: bool,
    /// How many hold it open. As long as anybody does it stays in memory.
    pub(crate) handles: usize,
    pub(crate) watch: Watch,
    /// Somebody is about to open it: until then it stays in memory, in milliseconds.
    pub(crate) wanted_until: u64,
    /// What was written here alone was given to a new id while it was on the disk only: it is written when it has been read.
    pub(crate) is_renamed: bool,
}

impl Slot {
    pub(crate) fn new(body: Box<dyn Document>, stored: Option<&Stored>) -> Self {
        let log_bytes = stored.map_or(0, |stored| stored.log.iter().map(Vec::len).sum());
        let slices = stored.map_or(&[][..], |stored| &stored.slices);
        Self {
            handed: body.version(),
            body,
            last_batch: None,
            fresh: Vec::new(),
            log_bytes,
            slices: slices.iter().map(|(start, slice)| (*start, content_hash(slice))).collect(),
            snapshot_bytes: slices.iter().map(|(_, slice)| slice.len()).sum(),
            is_stale: false,
            looked_at: None,
            looks: 0,
            swept_at: None,
            bare_at: None,
            fingerprint: None,
            noted: Noted::No,
            heap: 0,
            unmeasured: None,
            opened: None,
            listed_with: None,
            is_unlisted: false,
            handles: 0,
            watch: Watch::default(),
            wanted_until: 0,
            is_renamed: false,
        }
    }

    /// Whether it is on the disk only.
    pub(crate) fn is_absent(&self) -> bool {
        self.body.as_any().is::<Absent>()
    }

    /// As the disk holds it, now that it has been read.
    pub(crate) fn read(&self, body: Box<dyn Document>, stored: Option<&Stored>) -> Self {
        Self {
            noted: Noted::Perhaps,
            opened: self.opened.clone(),
            listed_with: self.listed_with,
            is_unlisted: self.is_unlisted,
            handles: self.handles,
            watch: self.watch.over(&*self.body, &*body),
            wanted_until: self.wanted_until,
            ..Self::new(body, stored)
        }
    }

    /// Writes the state as the snapshot, as far as it is not on disk already. If nothing is, it is encoded in so many parts.
    fn snapshot(&mut self, doc: DocId, parts: usize) -> Write {
        let all = self.slices.is_empty();
        let starts: Vec<Dot> =
            self.slices.iter().map(|(start, _)| *start).filter(|start| *start != WHOLE).collect();
        let slices = if all { self.body.slices_in(parts) } else { self.body.slices(&starts) };
        let mut gone: BTreeMap<Dot, Hash> = self.slices.drain(..).collect();
        let mut changed = Vec::new();
        (self.log_bytes, self.snapshot_bytes, self.unmeasured) = (0, 0, None);
        for (start, slice) in slices {
            let hash = content_hash(&slice);
            self.slices.push((start, hash));
            self.snapshot_bytes += slice.len();
            if gone.remove(&start) != Some(hash) {
                changed.push((start, Some(slice)));
            }
        }
        changed.extend(gone.into_keys().map(|start| (start, None)));
        Write::Snapshot { doc, all, slices: changed }
    }

    /// About how many bytes it takes on disk.
    pub(crate) fn weight(&self) -> usize {
        self.snapshot_bytes + self.log_bytes
    }

    /// About how many bytes of heap it takes. Found out anew, with a walk, when it may take twice as much as it did; not of what is
    /// large or has to stay: snapshots see to that.
    pub(crate) fn heap(&mut self) -> usize {
        let may_be_twice = |bytes: usize| bytes.saturating_mul(MOST_PACKED) > self.heap;
        let is_due = match self.unmeasured {
            None => true,
            Some(bytes) => self.handles == 0 && self.heap < MUCH && may_be_twice(bytes),
        };
        if is_due {
            (self.heap, self.unmeasured) = (self.body.heap(), Some(0));
        }
        self.heap + 8 * self.unmeasured.unwrap_or(0)
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
    /// Of which documents something is put aside with it, or what was becomes the document.
    pub(crate) staged: Vec<DocId>,
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

    /// Whether none is under way, but for what only says what the store holds.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.values().all(|made| made.documents.is_empty() && made.others.is_empty())
    }

    /// How many are under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
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

    /// What batches under way make durable of this document does not tell what `of` wrote after this event: it was renamed.
    pub(crate) fn lower(&mut self, doc: DocId, of: ReplicaId, after: u64) {
        let documents = self.in_flight.values_mut().flat_map(|made| &mut made.documents);
        for (_, version) in documents.filter(|(of, _)| *of == doc) {
            let lowered =
                version.iter().map(|(id, last)| (id, if id == of { last.min(after) } else { last }));
            *version = lowered.filter(|(_, last)| *last > 0).collect();
        }
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
    fn submit(&mut self, new: Vec<Write>, documents: Vec<(DocId, Version)>) -> BatchId {
        self.batches.last += 1;
        let id = BatchId(self.batches.last);
        // SUBTLE: what has waited comes first. What is written now may be the same record, as it is now.
        let mut writes = self.lines.take_unsent(id);
        writes.extend(new);
        self.forget_heads(&mut writes);
        // SUBTLE: what is said of content is of no use without it, and wrong with another.
        let is_content = |write: &&Write| {
            use Write::{Adopt, Append, Snapshot, Stage};
            matches!(write, Append { .. } | Snapshot { .. } | Stage { .. } | Adopt { .. })
                || head::is_head(write)
        };
        let others: Vec<Write> = writes.iter().filter(|write| !is_content(write)).cloned().collect();
        for write in others.iter().chain(writes.iter().filter(|write| matches!(write, Write::Stage { .. }))) {
            self.unsaved.remove(&place(write));
        }
        let staged = writes.iter().filter_map(|write| match write {
            Write::Stage { doc, .. } | Write::Adopt { doc } => Some(*doc),
            _ => None,
        });
        let staged = staged.collect();
        self.batches.in_flight.insert(id, Made { documents, others, staged });
        self.effects.push_back(Effect::Store(Batch { id, generation: self.batches.generation, writes }));
        id
    }

    /// What the store says of documents goes with the content of which it was true.
    fn forget_heads(&mut self, writes: &mut Vec<Write>) {
        let mut gone = Vec::new();
        for write in writes.iter() {
            use Write::{Adopt, Append, Remove, Snapshot};
            let (Append { doc, .. } | Snapshot { doc, .. } | Remove { doc } | Adopt { doc }) = write else {
                continue;
            };
            // Who removes a document has dropped its place already.
            let noted = self.documents.get_mut(doc).map(|slot| std::mem::replace(&mut slot.noted, Noted::No));
            if noted != Some(Noted::No) {
                gone.push(head::gone(*doc));
            }
        }
        writes.extend(gone);
    }

    /// Hands to the store what is no content: it is written again, later, if the disk refuses it.
    pub(crate) fn submit_others(&mut self, writes: Vec<Write>) -> BatchId {
        self.submit(writes, Vec::new())
    }

    /// Hands what a document learned since the last time to the store. `record`, if given, is exactly that.
    pub(crate) fn persist(&mut self, doc: DocId, record: Option<Vec<u8>>) -> Option<BatchId> {
        self.persist_in(doc, record, 1)
    }

    /// As [`persist`](Self::persist). If all of the document is written for the first time, it is encoded in so many parts one after the
    /// other: costs time for each, and takes less memory than encoding it at once.
    pub(crate) fn persist_in(
        &mut self,
        doc: DocId,
        record: Option<Vec<u8>>,
        parts: usize,
    ) -> Option<BatchId> {
        let slot = self.documents.get_mut(&doc)?;
        let version = slot.body.version();
        if version == slot.handed {
            return None;
        }
        let change = match record {
            Some(record) => Since::Content(ContentKind::Delta, record),
            None => slot.body.since(&slot.handed, None),
        };
        slot.handed = version.clone();
        let log_limit = slot.snapshot_bytes.max(LEAST_LOG);
        let write = match change {
            Since::UpToDate => return None,
            Since::Content(ContentKind::Delta, record) if slot.log_bytes + record.len() <= log_limit => {
                slot.log_bytes += record.len();
                slot.unmeasured = slot.unmeasured.map(|bytes| bytes + record.len());
                Write::Append { doc, record }
            }
            _ => slot.snapshot(doc, parts),
        };
        Some(self.handed_over(doc, vec![write], version))
    }

    /// What was put aside for a document, in these slices, and then these records are all that it is.
    pub(super) fn persist_staged(
        &mut self,
        doc: DocId,
        slices: Vec<(Dot, Hash)>,
        bytes: usize,
        records: Vec<Vec<u8>>,
    ) {
        let Some(slot) = self.documents.get_mut(&doc) else { return };
        let version = slot.body.version();
        slot.handed = version.clone();
        (slot.slices, slot.snapshot_bytes, slot.unmeasured) = (slices, bytes, None);
        slot.log_bytes = records.iter().map(Vec::len).sum();
        let log = records.into_iter().map(|record| Write::Append { doc, record });
        let writes = [Write::Adopt { doc }].into_iter().chain(log).collect();
        self.handed_over(doc, writes, version);
    }

    /// Hands to the store what makes a document durable in this version.
    fn handed_over(&mut self, doc: DocId, writes: Vec<Write>, version: Version) -> BatchId {
        let batch = self.submit(writes, vec![(doc, version)]);
        if let Some(slot) = self.documents.get_mut(&doc) {
            slot.last_batch = Some(batch);
        }
        self.touch(doc);
        self.memory.note_soon(doc, self.now.millis);
        batch
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
                self.pulls.stored(doc);
                self.compare_again(doc);
                self.announce_soon(doc);
                self.push.insert(doc);
            }
        }
        self.forget_doomed(batch);
        self.line_stored(batch);
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
        Write::Append { doc, .. }
        | Write::Snapshot { doc, .. }
        | Write::Adopt { doc }
        | Write::Remove { doc } => Place::Document(*doc),
        Write::Stage { doc, .. } | Write::Unstage { doc } => Place::Staged(*doc),
    }
}

/// Where a write goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Record(String),
    Document(DocId),
    Staged(DocId),
}

#[cfg(test)]
mod tests {
    use tombolo_crdt::{AddWinsSet, Replica, ReplicaId};

    use super::super::document::{Us, from_store};
    use super::*;

    type Names = AddWinsSet<String>;

    /// A document of some hundred kilobytes, on disk.
    fn written() -> (Slot, BTreeMap<Dot, Vec<u8>>) {
        let mut names = Replica::<Names>::new(ReplicaId::from_bytes([1; 16]));
        let _ = names
            .update(|names| names.extend((0..60_000).map(|n| format!("{n:05} {:x}", n * 7_919 % 1_000_003))));
        let mut slot = Slot::new(Box::new(names), None);
        let mut disk = BTreeMap::new();
        assert!(write(&mut slot, &mut disk) > 200_000);
        (slot, disk)
    }

    /// Writes a snapshot; yields how many bytes it takes.
    fn write(slot: &mut Slot, disk: &mut BTreeMap<Dot, Vec<u8>>) -> usize {
        let Write::Snapshot { slices, .. } = slot.snapshot(DocId::DIRECTORY, 1) else { panic!("a snapshot") };
        let bytes = slices.iter().map(|(_, slice)| 24 + slice.as_ref().map_or(0, Vec::len)).sum();
        for (start, slice) in slices {
            match slice {
                Some(slice) => _ = disk.insert(start, slice),
                None => _ = disk.remove(&start),
            }
        }
        bytes
    }

    #[test]
    fn after_a_small_change_only_what_changed_is_written() {
        let (mut slot, mut disk) = written();
        assert_eq!(write(&mut slot, &mut disk), 0, "nothing has changed");
        let whole = slot.snapshot_bytes;
        for round in 0..10 {
            let names = slot.body.as_any_mut().downcast_mut::<Replica<Names>>().unwrap();
            let _ = names.update(|names| {
                names.add(format!("new {round}"));
                names.remove(&*format!("{:05} {:x}", round * 100, round * 100 * 7_919 % 1_000_003));
            });
            let bytes = write(&mut slot, &mut disk);
            assert!(bytes > 0 && bytes < whole / 2, "{bytes} of {whole}");
        }
        // What is on disk is what is in memory, also for who begins anew.
        let slices = disk.iter().map(|(start, slice)| (*start, slice.clone())).collect();
        let stored = Stored { slices, log: Vec::new() };
        let us = Us { replica: ReplicaId::from_bytes([2; 16]), hash_seed: 5 };
        let again: Replica<Names> = from_store(us, Some(&stored)).unwrap();
        assert_eq!(again.encode(), slot.body.state());
        let mut reopened = Slot::new(Box::new(again), Some(&stored));
        assert_eq!(write(&mut reopened, &mut disk), 0);
    }
}
