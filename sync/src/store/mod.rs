//! Durable storage of one home: what an engine asks for and what a disk must promise.
//!
//! A store knows documents only as bytes: per document one *snapshot* and a *log* of deltas appended after it, and
//! beside the documents a small table of named records. Everything in one call of [`Store::commit`] becomes durable
//! together or not at all; when the call returns `Ok` it survives `kill -9` and power loss.

use std::path::Path;

use crate::DocId;

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
    /// Replaces a document's snapshot and drops its log.
    Snapshot {
        /// The document.
        doc: DocId,
        /// An encoded state.
        snapshot: Vec<u8>,
    },
    /// Removes a document's snapshot and log.
    Remove {
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

/// What a store holds of one document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The last snapshot, if one was written.
    pub snapshot: Option<Vec<u8>>,
    /// The records appended since, oldest first.
    pub log: Vec<Vec<u8>>,
}

/// A disk, or what stands for one.
pub trait Store: Send + 'static {
    /// Makes all of `writes`, in order, durable in one step.
    ///
    /// # Errors
    /// When the disk refuses. Nothing of `writes` is then visible, now or after reopening.
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError>;

    /// Reads a document; `None` if the store has neither snapshot nor log of it.
    ///
    /// # Errors
    /// When the disk cannot be read or what it holds is damaged.
    fn document(&self, doc: DocId) -> Result<Option<Stored>, StoreError>;

    /// All documents, in ascending order.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn documents(&self) -> Result<Vec<DocId>, StoreError>;

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

    /// Writes a consistent copy that opens as a store of its own, while this one stays in use.
    ///
    /// # Errors
    /// When `path` exists or cannot be written.
    fn backup(&self, path: &Path) -> Result<(), StoreError>;
}

/// Why a store refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the store open.
    #[error("the store at {0} is in use by another process; stop that process or choose another folder")]
    Locked(std::path::PathBuf),
    /// The disk refused.
    #[error("the disk refused: {0}")]
    Io(#[from] std::io::Error),
    /// The content of the store is not what this program wrote.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store was written by a newer program.
    #[error("the store has format {found}, this program knows formats up to {known}; use a newer program")]
    Format {
        /// The format the store says it has.
        found: u32,
        /// The newest format this program reads.
        known: u32,
    },
}
