//! A file that is looked at and never changed: what redb writes stays in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::refusal;
use crate::store::StoreError;

const PAGE: u64 = 4096;

/// In redb's header: the byte of flags, and the one that says that the file was not closed.
const FLAGS: u64 = 9;
const NOT_CLOSED: u8 = 2;

/// What a file holds, with what was written since on top. So redb can repair a file that must stay as it is, and no
/// copy of it is made.
///
/// It takes no locks: whoever opens it has found a moment ago that nobody else has the file.
#[derive(Debug)]
pub(super) struct Overlay {
    below: FileBackend,
    changes: Mutex<Changes>,
}

#[derive(Debug)]
struct Changes {
    length: u64,
    /// How much of the file is still to be seen: less than its length once it was cut.
    below: u64,
    /// Pages that were written, by number.
    pages: BTreeMap<u64, Box<[u8; PAGE as usize]>>,
}

impl Overlay {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let below = FileBackend::new(File::open(path)?).map_err(refusal)?;
        let length = below.len()?;
        Ok(Self { below, changes: Mutex::new(Changes { length, below: length, pages: BTreeMap::new() }) })
    }

    /// As if it had been closed. redb refuses one that was not if it does not find everything in it right.
    pub(super) fn open_as_closed(path: &Path) -> Result<Self, StoreError> {
        let overlay = Self::open(path)?;
        let mut flags = [0];
        overlay.read(FLAGS, &mut flags)?;
        overlay.write(FLAGS, &[flags[0] & !NOT_CLOSED])?;
        Ok(overlay)
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        // What is in it is right whenever it is not locked, also after a panic of whoever had it.
        self.changes.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What the file holds of a page; zeros behind its end.
    fn page(&self, below: u64, number: u64) -> io::Result<Box<[u8; PAGE as usize]>> {
        let mut page = Box::new([0; PAGE as usize]);
        let start = number * PAGE;
        let here = below.saturating_sub(start).min(PAGE) as usize;
        if here > 0 {
            self.below.read(start, &mut page[..here])?;
        }
        Ok(page)
    }
}

/// The pages that `len` bytes from `offset` on lie in: each with its number, and where the bytes begin and end in it.
fn pages(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + len as u64;
    (offset / PAGE..end.div_ceil(PAGE)).map(move |number| {
        let start = number * PAGE;
        (number, offset.saturating_sub(start) as usize, (end - start).min(PAGE) as usize)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.changes().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changes = self.changes();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > changes.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = &mut *out;
        for (number, from, to) in pages(offset, rest.len()) {
            let (here, behind) = rest.split_at_mut(to - from);
            match changes.pages.get(&number) {
                Some(page) => here.copy_from_slice(&page[from..to]),
                None => here.copy_from_slice(&self.page(changes.below, number)?[from..to]),
            }
            rest = behind;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut changes = self.changes();
        changes.below = changes.below.min(len);
        changes.length = len;
        // What grows again is zero.
        drop(changes.pages.split_off(&len.div_ceil(PAGE)));
        if let Some(page) = changes.pages.get_mut(&(len / PAGE)) {
            page[(len % PAGE) as usize..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changes = self.changes();
        let mut rest = data;
        for (number, from, to) in pages(offset, data.len()) {
            let (here, behind) = rest.split_at(to - from);
            if !changes.pages.contains_key(&number) {
                let page = self.page(changes.below, number)?;
                changes.pages.insert(number, page);
            }
            if let Some(page) = changes.pages.get_mut(&number) {
                page[from..to].copy_from_slice(here);
            }
            rest = behind;
        }
        changes.length = changes.length.max(offset + data.len() as u64);
        Ok(())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_file_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut model: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &model).unwrap();
        let original = model.clone();
        let overlay = Overlay::open(&path).unwrap();
        for (step, (at, len)) in [(4_000, 200), (0, 1), (4_095, 2), (9_990, 10), (9_999, 5_000), (20_000, 3)]
            .into_iter()
            .enumerate()
        {
            let data = vec![step as u8 + 1; len];
            overlay.write(at as u64, &data).unwrap();
            model.resize(model.len().max(at + len), 0);
            model[at..at + len].copy_from_slice(&data);
            for cut in [15_001, 5_000].into_iter().filter(|_| step == 4) {
                overlay.set_len(cut).unwrap();
                model.truncate(cut as usize);
            }
            let mut all = vec![0; model.len()];
            overlay.read(0, &mut all).unwrap();
            assert!(all == model, "step {step}");
            assert_eq!(overlay.len().unwrap(), model.len() as u64);
        }
        assert!(overlay.read(20_000, &mut [0; 4]).is_err());
        assert!(std::fs::read(&path).unwrap() == original);
    }
}
