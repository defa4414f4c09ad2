//! The default store: one redb database in one folder, under a lock.
//!
//! A commit is one redb transaction with `Durability::Immediate`: redb writes new pages beside the old ones, then a
//! commit slot with the checksum of the new tree, and waits for the disk once. A crash in between leaves a slot whose
//! checksums do not hold, and the next open goes on from the slot before it. That check reads the whole file; it is
//! the price of a single wait per commit, and is paid only after a crash.
//!
//! ```text
//! folder/              0700
//! └── tombolo.redb     0600, locked while open
//!     ├── meta         name               -> number      format, commits
//!     ├── slices       document, first dot -> sealed bytes
//!     ├── slices_b     the same: of each document one of the two holds what it is, the other what is put aside for it
//!     ├── sides        document           -> sealed: which of them, and the note on what is put aside
//!     ├── log          document, sequence  -> sealed bytes
//!     └── records      name                -> sealed bytes
//! ```
//!
//! redb does not verify its checksums when it reads, so what a disk garbles later would be handed on. Therefore each
//! value is *sealed* (see `tables.rs`) and verified whenever it is read; the file is verified as a whole when it is opened,
//! for a page that lost an entry, or a branch that leads elsewhere, has no value to tell; and a panic of redb over a garbled
//! page becomes [`StoreError::Damaged`].

mod backup;
mod file;
mod look;
mod overlay;
mod tables;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, StorageBackend};

use self::file::StoreFile;
use super::error::panic_message;
use super::{Backup, InspectedStore, StagedDocument, Store, StoreError, Stored, Write, check_sizes};
use crate::DocId;

/// The database's name in its folder.
const FILE_NAME: &str = "tombolo.redb";

/// What redb may keep of the file in memory. Far below its own default of 1 GiB: an engine holds the documents it
/// works on itself, and a home runs beside other programs.
const CACHE_BYTES: usize = 64 << 20;

/// Opens the database again after a failure.
type Opener = Box<dyn Fn() -> Result<Database, StoreError> + Send>;

/// A store in a folder.
///
/// The folder belongs to one process at a time: opening takes a lock that ends with the process, however it ends.
/// Dropping the store closes it cleanly, so that the next open need not repair it.
///
/// When the disk refuses a commit, the store drops what redb had begun by opening the file again, which costs a check of
/// the whole file, and goes on; a full disk therefore only stops commits, not reads. If the failed commit is found in
/// the file nonetheless, or the file cannot be opened, the answer is [`StoreError::InDoubt`].
pub struct RedbStore {
    opener: Opener,
    /// The database, or why there is none any more.
    state: Result<Database, String>,
    /// How many commits it holds.
    commits: u64,
}

impl RedbStore {
    /// Whether there is a store in `folder`. Makes nothing.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        folder.join(FILE_NAME).exists()
    }

    /// Opens the store in `folder`, creating folder and store if they are not there.
    ///
    /// A new folder is readable by its owner only. A store whose process was killed, or lost power, holds all that was
    /// acknowledged; one whose creation was cut short is empty. Costs reading all of the file, about a second for a gigabyte:
    /// a page that a disk garbled is found before anything in it is believed or missed.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process (or this one) has it open, [`StoreError::Format`] if it is from a
    /// newer program, [`StoreError::Damaged`] if it is no store, [`StoreError::Io`] if the folder cannot be created or
    /// the file not be read, written or locked.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        file::create_folder(folder)?;
        let path = folder.join(FILE_NAME);
        let store = Self::with_opener(Box::new(move || {
            let file = file::open(&path)?;
            open_database(file, &path, true)
        }))?;
        // The first commit is durable only if the name it is found under is.
        file::sync_folder(folder)?;
        Ok(store)
    }

    /// Creates a store in `folder` from a file that [`Store::backup`] wrote, with `changes` on top, creating the folder
    /// if it is not there.
    ///
    /// Costs reading the backup and writing it once. Cut short, it leaves the folder without a store.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the folder already has a store or one of both cannot be read or written,
    /// [`StoreError::Damaged`] if the file is no backup or not what was written, [`StoreError::Locked`] if it is in
    /// use as a store, [`StoreError::Format`] if it is from a newer program.
    pub fn restore(file: &Path, folder: &Path, changes: &[Write]) -> Result<(), StoreError> {
        let is_new = !folder.exists();
        file::create_folder(folder)?;
        let restored = guarded(|| backup::restore(file, &folder.join(FILE_NAME), changes));
        if restored.is_err() && is_new {
            // Only if it is empty.
            let _ = std::fs::remove_dir(folder);
        }
        restored
    }

    /// Creates the file `path` with what `writes` leave behind.
    pub(super) fn write_file(path: &Path, writes: &[Write]) -> Result<(), StoreError> {
        guarded(|| backup::write(path, |transaction| tables::apply(transaction, writes)))
    }

    /// All of a store's file that can be read, without changing it.
    pub(super) fn look(path: &Path) -> Result<InspectedStore, StoreError> {
        guarded(|| look::look(path))
    }

    /// The file in which a folder has its store.
    #[must_use]
    pub fn file_in(folder: &Path) -> PathBuf {
        folder.join(FILE_NAME)
    }

    /// How many commits it holds. It never holds fewer, unless an older file is put in its place.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Whether it is known what it holds: not after [`StoreError::InDoubt`].
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.state.is_ok()
    }

    fn with_opener(opener: Opener) -> Result<Self, StoreError> {
        let (database, commits) = opener().and_then(counted)?;
        Ok(Self { opener, state: Ok(database), commits })
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.state.as_ref().map_err(|reason| StoreError::InDoubt(reason.clone()))
    }

    /// Runs `read` on the content as it is now.
    fn read<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.database()?;
        guarded(|| read(&database.begin_read().map_err(refusal)?))
    }

    /// Finds out what became of a commit that failed with `error`: takes the last durable state from the file again.
    /// `began` says whether redb had begun to make the commit durable.
    fn recover(&mut self, error: StoreError, began: bool) -> StoreError {
        // SUBTLE: the file must be closed before it is opened again, for the lock is the file's.
        close(std::mem::replace(&mut self.state, Err(error.to_string())));
        match (self.opener)().and_then(counted) {
            Ok((database, commits)) if commits == self.commits => {
                self.state = Ok(database);
                error
            }
            Ok((database, _)) => {
                // The commit can be read, but after a failed `fsync` that does not mean that the disk has it.
                close(Ok(database));
                StoreError::InDoubt(error.to_string())
            }
            Err(_) if !began => error,
            Err(second) => {
                let reason = format!("{error}; and after that: {second}");
                self.state = Err(reason.clone());
                StoreError::InDoubt(reason)
            }
        }
    }
}

impl Store for RedbStore {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let database = self.database()?;
        check_sizes(writes)?;
        if writes.is_empty() {
            return Ok(());
        }
        let number = self.commits + 1;
        let mut began = false;
        let committed = guarded(|| {
            let mut transaction = database.begin_write().map_err(refusal)?;
            transaction.set_durability(Durability::Immediate).map_err(refusal)?;
            tables::apply(&transaction, writes)?;
            tables::set_commits(&transaction, number)?;
            began = true;
            transaction.commit().map_err(refusal)
        });
        match committed {
            Ok(()) => {
                self.commits = number;
                Ok(())
            }
            Err(error) => Err(self.recover(error, began)),
        }
    }

    fn document(&self, doc: DocId) -> Result<Option<Stored>, StoreError> {
        self.read(|transaction| tables::document(transaction, doc))
    }

    fn documents(&self) -> Result<Vec<DocId>, StoreError> {
        self.read(tables::documents)
    }

    fn staged(&self) -> Result<Vec<DocId>, StoreError> {
        self.read(tables::staged)
    }

    fn staged_document(&self, doc: DocId) -> Result<Option<StagedDocument>, StoreError> {
        self.read(|transaction| tables::staged_document(transaction, doc))
    }

    fn record(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|transaction| tables::record(transaction, key))
    }

    fn records(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.read(|transaction| tables::records(transaction, prefix))
    }

    fn begin_backup(&self) -> Result<Backup, StoreError> {
        let database = self.database()?;
        let from = guarded(|| database.begin_read().map_err(refusal))?;
        Ok(Box::new(move |path| {
            guarded(|| backup::write(path, |transaction| tables::copy(&from, transaction)))
        }))
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        close(std::mem::replace(&mut self.state, Err(String::new())));
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Opens or creates the database in `disk`, and the tables in it. Verifies every page if `verify` says so. `path` is for
/// messages.
fn open_database(disk: impl StorageBackend, path: &Path, verify: bool) -> Result<Database, StoreError> {
    guarded(|| {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(verify)
            .create_with_backend(StoreFile::new(disk))
            .map_err(|error| match refusal(error) {
                StoreError::Locked(_) => StoreError::Locked(path.to_owned()),
                error => error,
            })?;
        tables::create_or_check(&database)?;
        Ok(database)
    })
}

/// The database and how many commits it holds.
fn counted(database: Database) -> Result<(Database, u64), StoreError> {
    let commits = guarded(|| tables::commits(&database.begin_read().map_err(refusal)?))?;
    Ok((database, commits))
}

/// Closes a database. Errors do not matter: all that was acknowledged is on the disk, and the next open repairs.
fn close(database: Result<Database, String>) {
    let _ = guarded(|| {
        drop(database);
        Ok(())
    });
}

/// Runs `work`, in which redb may panic over a file that is not what it wrote; that is damage, and no bug of ours.
///
/// Unwind safety: what `work` touches is a database, and one that panicked while it wrote is opened anew.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(StoreError::Damaged(panic_message(&*panic).to_owned())))
}

/// What an error of redb means here.
fn refusal(error: impl Into<redb::Error>) -> StoreError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error.into() {
        // Not a path anyone should see: `open_database` fills in the right one.
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            StoreError::Locked(FILE_NAME.into())
        }
        // A file without redb's magic number, or shorter than it says.
        redb::Error::Io(error) if matches!(error.kind(), InvalidData | UnexpectedEof) => {
            StoreError::Damaged(error.to_string())
        }
        redb::Error::Io(error) => StoreError::Io(error),
        redb::Error::ValueTooLarge(bytes) => StoreError::TooLarge { bytes, limit: super::MAX_VALUE_BYTES },
        redb::Error::Corrupted(text) => StoreError::Damaged(text),
        error @ (redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableIsNotMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted
        | redb::Error::LockPoisoned(_)) => StoreError::Damaged(error.to_string()),
        error => StoreError::Io(std::io::Error::other(error)),
    }
}
