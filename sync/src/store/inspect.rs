//! What is in the file of a store, for people who look at it; also in one that is damaged.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use tombolo_crdt::{
    Crdt, Decoding, Delta, Dot, InspectedBody, Limits, Merged, Opaque, Replica, ReplicaId, Version,
};

use super::{RedbStore, StoreError, WHOLE};
use crate::DocId;
use crate::engine::{Directory, Listed, listed_in};

/// What could be read of a store's file, a backup's too. All of it is in memory.
#[derive(Debug)]
#[non_exhaustive]
pub struct InspectedStore {
    /// How long the file is.
    pub bytes: u64,
    /// The format that the store says it has.
    pub format: Option<u64>,
    /// How it could be opened.
    pub opened: Opened,
    /// The documents of which there is anything.
    pub documents: BTreeMap<DocId, InspectedDocument>,
    /// What is put aside for documents until it is all there: not what they are.
    pub staged: BTreeMap<DocId, Vec<InspectedEntry<Dot>>>,
    /// The named records. Some are secret: values are not for printing.
    pub records: Vec<InspectedEntry<String>>,
    /// How many more records there should be.
    pub records_missing: u64,
    /// What is wrong with the file; what is wrong with an entry stands there.
    pub problems: Vec<String>,
}

/// In which way a file could be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It was closed as it should be.
    AsItIs,
    /// It was not closed, and what its last writer had begun is left out: in memory, the file is as it was.
    Repaired,
    /// It is damaged too much for that. What its header points to is read, as far as that goes.
    Unchecked,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsItIs => "as it is",
            Self::Repaired => "after a repair",
            Self::Unchecked => "without its index",
        })
    }
}

/// One entry of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InspectedEntry<K> {
    /// The first dot of a slice, the number of a log record, or the name of a record.
    pub key: K,
    /// How long it is.
    pub bytes: usize,
    /// What it says; `None` if its seal is wrong, so that it is not what was written.
    pub content: Option<Vec<u8>>,
}

/// What there is of a document.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct InspectedDocument {
    /// Its slices, by their first dots.
    pub slices: Vec<InspectedEntry<Dot>>,
    /// Whether it is certain that no slice is missing from the list, right or wrong, or older than the others.
    pub has_all_slices: bool,
    /// The records of its log.
    pub log: Vec<InspectedEntry<u64>>,
}

/// A document put together from what is right.
pub(super) struct Rebuilt<T: Crdt> {
    pub(super) replica: Replica<T>,
    /// How many slices it is made of; those behind them are wrong, or follow on wrong ones.
    pub(super) slices: usize,
    /// The log records that applied, by their places.
    pub(super) log: Vec<usize>,
}

impl InspectedStore {
    /// Reads a store's file, or a backup. Costs reading all of it, and memory for as much. Changes nothing, and repairs
    /// what must be repaired in memory.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if it is in use, [`StoreError::Damaged`] if nothing in it can be read,
    /// [`StoreError::Format`] if it is from a newer program, [`StoreError::Io`] if it is not there or cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        RedbStore::look(path)
    }

    /// The documents that the directory lists, as far as the directory is right.
    #[must_use]
    pub fn listed(&self) -> Vec<Listed> {
        let directory = self.documents.get(&DocId::DIRECTORY);
        directory.map_or_else(Vec::new, |directory| listed_in(&directory.rebuilt::<Directory>(true).replica))
    }

    /// Whether nothing is wrong with it, seals included.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
            && self.records.iter().all(|record| record.content.is_some())
            && self.staged.values().flatten().all(|slice| slice.content.is_some())
            && self.documents.values().all(InspectedDocument::is_sound)
    }
}

impl InspectedDocument {
    /// Whether all of it is there and what was written. That it can be read as a document is another matter.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.has_all_slices
            && self.slices.iter().all(|slice| slice.content.is_some())
            && self.log.iter().all(|record| record.content.is_some())
            && self.log.iter().zip(0..).all(|(record, sequence)| record.key == sequence)
    }

    /// How many bytes there are of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let slices = self.slices.iter().map(|slice| slice.bytes);
        slices.chain(self.log.iter().map(|record| record.bytes)).sum()
    }

    /// The version of what can be read of it.
    #[must_use]
    pub fn version(&self) -> Version {
        self.rebuilt::<Opaque>(true).replica.version()
    }

    /// How many slices, from the first on, are right and follow on each other.
    fn right_slices(&self) -> usize {
        let limits = Limits::trusted();
        let mut reached = None;
        let is_right = |slice: &&InspectedEntry<Dot>| match &slice.content {
            None => false,
            Some(content) if slice.key == WHOLE => Delta::<Opaque>::decode_state(content, &limits).is_ok(),
            Some(content) => InspectedBody::of_slice(content, &mut reached, &limits).problem.is_none(),
        };
        self.slices.iter().take_while(is_right).count()
    }

    /// Whether all slices are there and right, `right` of them being so.
    pub(super) fn is_whole(&self, right: usize) -> bool {
        self.has_all_slices && right == self.slices.len()
    }

    /// Puts the document together: all slices, or with `parts` those that are right up to the first that is not, and the log
    /// records that apply to them.
    pub(super) fn rebuilt<T: Crdt>(&self, parts: bool) -> Rebuilt<T> {
        let right = self.right_slices();
        let slices = if parts || self.is_whole(right) { right } else { 0 };
        let (mut replica, slices) = match self.joined::<T>(slices) {
            Some(replica) => (replica, slices),
            None => (empty::<T>(), 0),
        };
        // A record that waits for another one is looked at again when that has come.
        let (mut log, mut waiting): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..self.log.len()).collect());
        loop {
            let before = log.len();
            waiting.retain(|&at| {
                let content = self.log[at].content.as_ref();
                let delta = content.and_then(|bytes| Delta::<T>::decode_body(bytes, &Limits::trusted()).ok());
                let merged = delta.map(|delta| replica.restore(delta));
                let is_taken = matches!(merged, Some(Ok(Merged::Applied | Merged::AlreadyKnown)));
                if is_taken {
                    log.push(at);
                }
                !is_taken
            });
            if log.len() == before {
                return Rebuilt { replica, slices, log };
            }
        }
    }

    /// The first `count` slices as one.
    fn joined<T: Crdt>(&self, count: usize) -> Option<Replica<T>> {
        let limits = Limits::trusted();
        let slices = &self.slices[..count];
        if let [InspectedEntry { key: WHOLE, content: Some(state), .. }] = slices {
            return empty::<T>().decoded(state, &limits).ok();
        }
        let mut decoding = Decoding::new(empty::<T>(), &limits);
        for slice in slices {
            decoding.take(&slice.content.as_ref()?[..]).ok()?;
        }
        Some(decoding.finish())
    }
}

/// A replica for looking at, which writes nothing.
fn empty<T: Crdt>() -> Replica<T> {
    Replica::new(ReplicaId::from_bytes([0; 16]))
}
