//! Why a store refused.

use std::any::Any;
use std::path::PathBuf;

/// Why a store refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the store open.
    #[error("the store at {0} is in use by another process; stop that process or choose another folder")]
    Locked(PathBuf),
    /// The disk refused.
    #[error("the disk refused: {0}")]
    Io(#[from] std::io::Error),
    /// The content of the store is not what this program wrote.
    #[error(
        "the store is damaged: {0}; restore a backup, or save what is right in it with `tombolo inspect --salvage`"
    )]
    Damaged(String),
    /// The store was written by a newer program.
    #[error("the store has format {found}, this program knows formats up to {known}; use a newer program")]
    Format {
        /// The format the store says it has.
        found: u32,
        /// The newest format this program reads.
        known: u32,
    },
    /// A value or a record's name is larger than a store takes. Nothing was written.
    #[error("a value or name of {bytes} bytes is larger than a store takes, which is {limit} bytes")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size taken: [`MAX_VALUE_BYTES`](super::MAX_VALUE_BYTES) or
        /// [`MAX_NAME_BYTES`](super::MAX_NAME_BYTES).
        limit: usize,
    },
    /// The disk failed *while* a commit was being made durable: the commit is there entirely or not at all, and which
    /// of the two cannot be told from here. The store refuses everything until it is opened again; what it then
    /// holds is the truth.
    #[error(
        "the disk failed during a write, which may or may not have reached it ({0}); open the store again"
    )]
    InDoubt(String),
    /// The thread that runs the store no longer does, or an earlier failure made it refuse.
    #[error("the store has stopped: {0}")]
    Stopped(String),
}

impl StoreError {
    /// What is wrong, for those who look at a damaged store already and need not be told what to do.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Damaged(what) => what.clone(),
            other => other.to_string(),
        }
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "a panic without a message",
    }
}
