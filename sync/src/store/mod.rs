//! Durable storage of one home: what an engine asks for and what a disk must promise.
//!
//! A store knows documents only as bytes: per document the *slices* of one state, a *log* of deltas appended after it, and
//! slices that are put aside until they are all there and become the document; beside the documents a small table of named records. Everything in one call of [`Store::commit`] becomes durable
//! together or not at all; when the call returns `Ok` it survives `kill -9` and power loss.
//!
//! | | |
//! |---|---|
//! | [`RedbStore`] | the default: one file in a folder, under a lock |
//! | [`MemoryStore`] | the same behaviour without a disk, with faults on request; for tests and simulations |
//! | [`InspectedStore`] | what is in a store's file, also if it is damaged, and what of it can be saved |
//! | [`GroupCommit`] | runs either on a thread of its own and makes waiting batches durable together |

mod error;
mod group;
mod inspect;
mod memory;
mod redb;
mod salvage;

use std::path::Path;

pub use self::error::StoreError;
pub use self::group::{Batch, Completion, GroupCommit};
pub use self::inspect::{InspectedDocument, InspectedEntry, InspectedStore, Opened};
pub use self::memory::MemoryStore;
pub use self::redb::RedbStore;
pub use self::salvage::Salvaged;
use tombolo_crdt::{Dot, ReplicaId};

use crate::DocId;

/// The largest slice, log record or named record a store takes. A third of what redb can hold, so that no limit
/// inside redb is ever met.
pub const MAX_VALUE_BYTES: usize = 1 << 30;

/// The longest name of a record. Names are keys of a B-tree, which copies them into its branches.
pub const MAX_NAME_BYTES: usize = 1 << 16;

/// One change of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Write {
    /// Appends a record to a document's log. A document exists from its first record or snapshot on.
    Append {
        /// The document.
        doc: DocId,
        /// An encoded delta.
        record: Vec<u8>,
    },
    /// Writes the state that snapshot and log make up as the snapshot, and drops the log. Slices that are the same need not
    /// be written again.
    Snapshot {
        /// The document.
        doc: DocId,
        /// Whether these are all there are: what else there may be of the snapshot is removed.
        all: bool,
        /// The slices in which something changed, by their first dots; `None` removes one.
        slices: Vec<(Dot, Option<Vec<u8>>)>,
    },
    /// Removes a document's snapshot and log, and what was put aside for it; nothing happens if there is none of them.
    Remove {
        /// The document.
        doc: DocId,
    },
    /// Puts slices aside that will be a document one day, beside what there is of it. Who reads the document does not see them.
    Stage {
        /// The document.
        doc: DocId,
        /// What is to be known of all that is put aside; not empty. Takes the place of the note before.
        note: Vec<u8>,
        /// Whether these are all there are: what was put aside before is removed.
        all: bool,
        /// Slices by their first dots.
        slices: Vec<(Dot, Vec<u8>)>,
    },
    /// What was put aside for a document becomes its snapshot, in place of the one it has, and its log is dropped. Costs the same
    /// however much that is: nothing is written again. Nothing happens if nothing was put aside.
    Adopt {
        /// The document.
        doc: DocId,
    },
    /// Removes what was put aside for a document; nothing happens if nothing was.
    Unstage {
        /// The document.
        doc: DocId,
    },
    /// Sets a named record.
    Put {
        /// Its name.
        key: String,
        /// Its new content.
        value: Vec<u8>,
    },
    /// Removes a named record; nothing happens if there is none.
    Delete {
        /// Its name.
        key: String,
    },
}

impl Write {
    /// The bytes this write carries: its content, its name, and the document.
    pub(crate) fn size(&self) -> usize {
        let length = |slice: &Option<Vec<u8>>| size_of::<Dot>() + slice.as_ref().map_or(0, Vec::len);
        let slices: usize = match self {
            Self::Snapshot { slices, .. } => slices.iter().map(|(_, slice)| length(slice)).sum(),
            Self::Stage { slices, .. } => {
                slices.iter().map(|(_, slice)| size_of::<Dot>() + slice.len()).sum()
            }
            _ => 0,
        };
        let (name, value) = self.lengths();
        size_of::<DocId>() + slices + name + value
    }

    /// The lengths of the longest name and content, slices apart.
    fn lengths(&self) -> (usize, usize) {
        match self {
            Self::Append { record: value, .. } => (0, value.len()),
            Self::Stage { note: value, .. } => (0, value.len()),
            Self::Snapshot { .. } | Self::Remove { .. } | Self::Adopt { .. } | Self::Unstage { .. } => (0, 0),
            Self::Put { key, value } => (key.len(), value.len()),
            Self::Delete { key } => (key.len(), 0),
        }
    }

    /// The length of the longest slice.
    fn longest_slice(&self) -> usize {
        match self {
            Self::Snapshot { slices, .. } => {
                slices.iter().flat_map(|(_, slice)| slice).map(Vec::len).max().unwrap_or(0)
            }
            Self::Stage { slices, .. } => slices.iter().map(|(_, slice)| slice.len()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// The first dot that stands for a state of a store of format 1, which had it as one value in its envelope.
pub(crate) const WHOLE: Dot = Dot { replica: ReplicaId::from_bytes([0; 16]), counter: 0 };

/// What is known of a document beside its content stands under these names, with the document's id. A store does not know what it
/// means; but who takes a part of a document (`salvage`) must not take this.
pub(crate) const HEADS: &str = "head/";

/// Refuses what no store takes, before anything of it is written.
fn check_sizes(writes: &[Write]) -> Result<(), StoreError> {
    for write in writes {
        let (name, value) = write.lengths();
        let slice = write.longest_slice();
        for (bytes, limit) in [(name, MAX_NAME_BYTES), (value, MAX_VALUE_BYTES), (slice, MAX_VALUE_BYTES)] {
            if bytes > limit {
                return Err(StoreError::TooLarge { bytes, limit });
            }
        }
    }
    Ok(())
}

/// What a store holds of one document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The slices of the last snapshot, if one was written, in the order of their first dots.
    pub slices: Vec<(Dot, Vec<u8>)>,
    /// The records appended since, oldest first.
    pub log: Vec<Vec<u8>>,
}

/// What is put aside for a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StagedDocument {
    /// What is known of all of it.
    pub note: Vec<u8>,
    /// The slices, in the order of their first dots.
    pub slices: Vec<(Dot, Vec<u8>)>,
}

/// Writes what the store held when [`Store::begin_backup`] made it to a new file, on any thread.
///
/// The file appears under the path only when it is complete and durable. Fails if the path exists, or cannot be
/// written, or if the store was closed meanwhile or holds damaged content.
pub type Backup = Box<dyn FnOnce(&Path) -> Result<(), StoreError> + Send>;

/// A disk, or what stands for one.
///
/// A call of [`commit`](Self::commit) costs about one wait for the disk, whatever the number of writes; gather them.
/// Reads see everything committed and nothing else.
pub trait Store: Send + 'static {
    /// Makes all of `writes`, in order, durable in one step.
    ///
    /// # Errors
    /// When the disk refuses, or a write is too large. Nothing of `writes` is then visible, now or after reopening,
    /// and the store goes on. The one exception is [`StoreError::InDoubt`]: see there.
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError>;

    /// Reads a document; `None` if the store has neither snapshot nor log of it. Costs reading all of it.
    ///
    /// # Errors
    /// When the disk cannot be read or what it holds is damaged.
    fn document(&self, doc: DocId) -> Result<Option<Stored>, StoreError>;

    /// All documents, in ascending order. Costs one seek a document.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn documents(&self) -> Result<Vec<DocId>, StoreError>;

    /// The documents for which something is put aside, in ascending order.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn staged(&self) -> Result<Vec<DocId>, StoreError>;

    /// Reads what is put aside for a document; `None` if nothing is. Costs reading all of it.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn staged_document(&self, doc: DocId) -> Result<Option<StagedDocument>, StoreError>;

    /// Reads a named record.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn record(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// All named records whose name starts with `prefix`, in ascending order of name.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn records(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// Fixes the content as it is now, for a copy that is written later while this store goes on.
    ///
    /// Cheap by itself; until the backup is written or dropped, the store keeps what it would otherwise overwrite.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn begin_backup(&self) -> Result<Backup, StoreError>;

    /// Writes a consistent copy as a single file, which [`RedbStore::restore`] turns into a store of its own.
    ///
    /// # Errors
    /// When `path` exists or cannot be written, or as [`document`](Self::document).
    fn backup(&self, path: &Path) -> Result<(), StoreError> {
        (self.begin_backup()?)(path)
    }
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        (**self).commit(writes)
    }

    fn document(&self, doc: DocId) -> Result<Option<Stored>, StoreError> {
        (**self).document(doc)
    }

    fn documents(&self) -> Result<Vec<DocId>, StoreError> {
        (**self).documents()
    }

    fn staged(&self) -> Result<Vec<DocId>, StoreError> {
        (**self).staged()
    }

    fn staged_document(&self, doc: DocId) -> Result<Option<StagedDocument>, StoreError> {
        (**self).staged_document(doc)
    }

    fn record(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).record(key)
    }

    fn records(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        (**self).records(prefix)
    }

    fn begin_backup(&self) -> Result<Backup, StoreError> {
        (**self).begin_backup()
    }
}
