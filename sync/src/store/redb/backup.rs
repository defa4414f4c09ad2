//! Backups: a store in a single file, there and back.

use std::fs::File;
use std::io;
use std::path::Path;

use redb::{Database, ReadableDatabase, WriteTransaction};

use super::{CACHE_BYTES, file, open_database, refusal, tables};
use crate::store::{StoreError, Write};

/// Creates the file `path`, a store with the content that `fill` gives it.
pub(super) fn write(
    path: &Path,
    fill: impl FnOnce(&WriteTransaction) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    file::publish(path, |file, temporary| {
        let database = open_database(file, temporary, false)?;
        let transaction = database.begin_write().map_err(refusal)?;
        fill(&transaction)?;
        transaction.commit().map_err(refusal)?;
        database.close().map_err(refusal)
    })
}

/// Creates the file `path`, a store with the content of the backup `from` and what `changes` say.
///
/// The file is copied byte for byte and the copy verified, page by page and value by value. The backup itself may lie on
/// a medium that is read-only, and stays as it is.
pub(super) fn restore(from: &Path, path: &Path, changes: &[Write]) -> Result<(), StoreError> {
    // Before redb sees the file: it takes an empty one for a fault of the disk.
    if std::fs::metadata(from)?.len() == 0 {
        return Err(StoreError::Damaged(format!("{} is empty", from.display())));
    }
    // Locks the backup, should it be the file of a store. One that was not closed is refused here as well.
    let source =
        Database::builder().set_cache_size(CACHE_BYTES).open_read_only(from).map_err(
            |error| match refusal(error) {
                StoreError::Locked(_) => StoreError::Locked(from.to_owned()),
                error => error,
            },
        )?;
    file::publish(path, |_, temporary| {
        // `fs::copy` would also copy the permissions, which are not the backup's to decide.
        io::copy(&mut File::open(from)?, &mut File::options().write(true).open(temporary)?)?;
        drop(source);
        let database = open_database(file::open(temporary)?, temporary, true)?;
        tables::verify(&database.begin_read().map_err(refusal)?)?;
        let transaction = database.begin_write().map_err(refusal)?;
        tables::apply(&transaction, changes)?;
        transaction.commit().map_err(refusal)?;
        database.close().map_err(refusal)
    })
}
