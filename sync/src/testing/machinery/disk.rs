//! A disk: a [`MemoryStore`] that takes its time, and a queue in front of it.
//!
//! Behaves as the group commit of the real driver: batches are committed in order, neighbours together; after a failed
//! commit nothing of the same generation is committed any more; reads come after everything submitted before.

use std::collections::{BTreeMap, VecDeque};

use tombolo_crdt::{Delta, Dot, Limits, Opaque, Version};

use crate::DocId;
use crate::engine::{Batch, BatchId, Input};
use crate::store::{MemoryStore, Store, Write};

/// What waits for the disk.
#[derive(Debug)]
pub(super) enum Job {
    Batch(Batch),
    Load(DocId),
}

/// How a disk breaks what it promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fraud {
    /// Its driver says that a batch is durable as soon as it has it.
    Hasty,
    /// It says yes to every commit and does none.
    Lying,
    /// It commits what builds on what failed.
    ForgetsGenerations,
}

/// What is durable of a document.
#[derive(Debug, Default)]
struct Held {
    slices: BTreeMap<Dot, Version>,
    /// With what the log adds.
    all: Version,
}

/// A node's disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// What is durable.
    pub store: MemoryStore,
    pub(super) queue: VecDeque<Job>,
    /// Whether a job is under way.
    pub(super) busy: bool,
    /// Nothing of this generation, or an older one, is committed any more.
    refused: Option<u64>,
    /// How long a commit takes, in milliseconds: at least the first, and up to the second more.
    pub(super) latency: (u64, u64),
    /// What is durable of each document.
    held: BTreeMap<DocId, Held>,
    /// What is put aside for it.
    staged: BTreeMap<DocId, BTreeMap<Dot, Version>>,
    /// So many reads fail.
    unreadable: u32,
    /// How many bytes the largest batch had that it was given.
    pub largest_batch: usize,
    /// Reads that failed.
    pub(super) failed_reads: u64,
    /// Pieces of a large document that it refused to put aside, and refusals to make a document of them.
    pub failed_staging: (u64, u64),
    /// How it breaks what it promises, if that is what is tried.
    pub fraud: Option<Fraud>,
}

impl Disk {
    /// The next so many reads fail.
    pub fn fail_reads(&mut self, reads: u32) {
        self.unreadable = reads;
    }

    /// What is durable of a document.
    #[must_use]
    pub fn version(&self, doc: DocId) -> Version {
        self.held.get(&doc).map(|held| held.all.clone()).unwrap_or_default()
    }

    /// The process that used the disk is gone, and what it had not handed over with it.
    pub(super) fn restart(&mut self) {
        self.store = self.store.image();
        self.queue.clear();
        self.busy = false;
        self.refused = None;
    }

    /// Does the first jobs in the queue, at most `group` batches together; yields what the engine is told.
    pub(super) fn work(&mut self, group: usize) -> Vec<Input> {
        let first = match self.queue.pop_front() {
            None => return Vec::new(),
            Some(Job::Load(doc)) => {
                if self.unreadable > 0 {
                    (self.unreadable, self.failed_reads) = (self.unreadable - 1, self.failed_reads + 1);
                    return vec![Input::Loaded { doc, stored: Err("input/output error".into()) }];
                }
                let stored = self.store.document(doc).map_err(|why| why.to_string());
                return vec![Input::Loaded { doc, stored }];
            }
            Some(Job::Batch(batch)) => batch,
        };
        let forgets = self.fraud == Some(Fraud::ForgetsGenerations);
        if !forgets && self.refused.is_some_and(|refused| first.generation <= refused) {
            // The real driver reports each of them too.
            return vec![Input::StoreFailed { first: first.id, reason: "an earlier commit failed".into() }];
        }
        let (id, generation, mut last, mut writes) = (first.id, first.generation, first.id, first.writes);
        self.largest_batch = self.largest_batch.max(size(&writes));
        for _ in 1..group {
            match self.queue.front_mut() {
                Some(Job::Batch(next)) if next.generation == generation => {
                    last = next.id;
                    self.largest_batch = self.largest_batch.max(size(&next.writes));
                    writes.append(&mut next.writes);
                    self.queue.pop_front();
                }
                _ => break,
            }
        }
        vec![self.commit(id, last, generation, &writes)]
    }

    fn commit(&mut self, first: BatchId, last: BatchId, generation: u64, writes: &[Write]) -> Input {
        if self.fraud == Some(Fraud::Lying) {
            return Input::Stored(last);
        }
        match self.store.commit(writes) {
            Ok(()) => {
                writes.iter().for_each(|write| self.note(write));
                Input::Stored(last)
            }
            Err(why) => {
                self.refused = Some(generation);
                let failed = |is: fn(&&Write) -> bool| writes.iter().filter(is).count() as u64;
                self.failed_staging.0 += failed(|write| matches!(write, Write::Stage { .. }));
                self.failed_staging.1 += failed(|write| matches!(write, Write::Adopt { .. }));
                Input::StoreFailed { first, reason: why.to_string() }
            }
        }
    }

    /// Holds what another held. That it is another nothing tells.
    pub fn replace(&mut self, store: MemoryStore) {
        self.restart();
        self.held.clear();
        self.staged.clear();
        for doc in store.documents().expect("a memory store is read") {
            let stored = store.document(doc).expect("a memory store is read").unwrap_or_default();
            let slices = stored.slices.into_iter().map(|(start, slice)| (start, Some(slice))).collect();
            self.note(&Write::Snapshot { doc, all: true, slices });
            stored.log.into_iter().for_each(|record| self.note(&Write::Append { doc, record }));
        }
        for doc in store.staged().expect("a memory store is read") {
            let staged = store.staged_document(doc).expect("a memory store is read").unwrap_or_default();
            self.note(&Write::Stage { doc, note: staged.note, all: true, slices: staged.slices });
        }
        self.store = store;
    }

    fn note(&mut self, write: &Write) {
        match write {
            Write::Append { doc, record } => self.held.entry(*doc).or_default().all.join(&events(record)),
            Write::Snapshot { doc, all, slices } => {
                let held = self.held.entry(*doc).or_default();
                if *all {
                    held.slices.clear();
                }
                for (start, slice) in slices {
                    match slice {
                        Some(slice) => held.slices.insert(*start, events(slice)),
                        None => held.slices.remove(start),
                    };
                }
                // The log goes: what a document was renamed from is not there any more.
                held.all = Version::new();
                held.slices.values().for_each(|slice| held.all.join(slice));
            }
            Write::Remove { doc } => {
                self.held.remove(doc);
                self.staged.remove(doc);
            }
            Write::Stage { doc, all, slices, .. } => {
                let staged = self.staged.entry(*doc).or_default();
                if *all {
                    staged.clear();
                }
                staged.extend(slices.iter().map(|(start, slice)| (*start, events(slice))));
            }
            Write::Unstage { doc } => {
                self.staged.remove(doc);
            }
            Write::Adopt { doc } => {
                let slices = self.staged.remove(doc).unwrap_or_default();
                let mut all = Version::new();
                slices.values().for_each(|slice| all.join(slice));
                self.held.insert(*doc, Held { slices, all });
            }
            _ => {}
        }
    }
}

/// How many bytes these writes have together.
fn size(writes: &[Write]) -> usize {
    writes.iter().map(Write::size).sum()
}

/// What a record or a slice of a snapshot tells of; either is the body of a delta.
fn events(bytes: &[u8]) -> Version {
    Delta::<Opaque>::decode_body(bytes, &Limits::trusted())
        .expect("an engine writes what it can read")
        .events()
}
