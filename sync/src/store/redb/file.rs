//! The file under a store: how it is created, locked and published.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::refusal;
use crate::store::StoreError;

/// The first bytes of a redb file. redb writes them last when it creates one.
const MAGIC: &[u8; 9] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// Where redb's header ends.
const HEADER_BYTES: u64 = 320;
/// No file that redb has only begun to create is longer: 4.6 starts at 72 KiB, earlier ones at 1 MiB.
const LONGEST_UNBORN: u64 = 2 << 20;

/// Opens the database file at `path` for reading and writing, creating it if it is not there.
pub(super) fn open(path: &Path) -> Result<FileBackend, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    backend(private(&mut options).open(path).map_err(|why| named(path, why))?)
}

fn backend(file: File) -> Result<FileBackend, StoreError> {
    FileBackend::new(file).map_err(refusal)
}

/// Readable by the owner only: a store holds what the peers of a space keep from others.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// A storage of redb that adds two things to another one.
///
/// *A creation cut short starts over.* redb refuses a file without its magic number, which it writes as the last step
/// of creation; but a process killed before that step leaves such a file. Nothing was ever committed to it, so it is
/// emptied, and redb begins again.
///
/// *No lock, no store.* Where locks are not supported, redb goes on without; this one refuses.
#[derive(Debug)]
pub(super) struct StoreFile<B> {
    below: B,
    examined: AtomicBool,
}

impl<B: StorageBackend> StoreFile<B> {
    pub(super) fn new(below: B) -> Self {
        Self { below, examined: AtomicBool::new(false) }
    }

    /// Whether this is what a cut creation leaves: some of the magic number, something of a header, and then nothing.
    fn is_unborn(&self) -> io::Result<bool> {
        let length = self.below.len()?;
        if length == 0 || length > LONGEST_UNBORN {
            return Ok(false);
        }
        let mut bytes = vec![0; usize::try_from(length).expect("a short file fits into memory")];
        self.below.read(0, &mut bytes)?;
        let (head, rest) = bytes.split_at(bytes.len().min(MAGIC.len()));
        let written = head.iter().zip(MAGIC).take_while(|(found, magic)| found == magic).count();
        let after_header = &rest[rest.len().min(HEADER_BYTES as usize - MAGIC.len())..];
        Ok(written < MAGIC.len()
            && head[written..].iter().all(|byte| *byte == 0)
            && after_header.iter().all(|byte| *byte == 0))
    }
}

impl<B: StorageBackend> StorageBackend for StoreFile<B> {
    /// SUBTLE: redb asks for the length first of all, and under the lock. So no other process is creating it.
    fn len(&self) -> io::Result<u64> {
        if !self.examined.swap(true, Ordering::Relaxed) && self.is_unborn()? {
            self.below.set_len(0)?;
        }
        self.below.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.below.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.below.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.below.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.below.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.below.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        match (self.below.try_lock_range(start, end), start, end) {
            // For ranges, redb has another way; for the whole there is none.
            (Err(BackendError::Unsupported), Bound::Unbounded, Bound::Unbounded) => Err(BackendError::Io(
                io::Error::other("this file system has no locks, and a store is not safe without"),
            )),
            (result, ..) => result,
        }
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.query_lock_range(start, end)
    }
}

/// Creates `folder` and what leads to it, durably and for the owner only, as far as it is not there.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    create_folder(parent(folder))?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        // Another process may have been faster.
        Err(_) if folder.is_dir() => {}
        Err(_) if folder.exists() => {
            return Err(named(folder, io::Error::new(io::ErrorKind::NotADirectory, "this is not a folder")));
        }
        result => result.map_err(|why| named(folder, why))?,
    }
    sync_folder(parent(folder))
}

/// The error, with what it was about.
pub(super) fn named(path: &Path, why: io::Error) -> io::Error {
    io::Error::new(why.kind(), format!("{}: {why}", path.display()))
}

/// Makes the names in `folder` durable. Only unix has a way to ask for that.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Creates the file `path` so that it is there only when it is complete and durable: `fill` writes it under another
/// name beside it.
pub(super) fn publish(
    path: &Path,
    fill: impl FnOnce(FileBackend, &Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // `publish_as` refuses for good; this only saves the work.
    if path.symlink_metadata().is_ok() {
        return Err(exists(path).into());
    }
    let (temporary, file) = create_beside(path)?;
    let published = backend(file).and_then(|file| fill(file, &temporary)).and_then(|()| {
        File::open(&temporary)?.sync_all()?;
        publish_as(&temporary, path)?;
        Ok(sync_folder(parent(path))?)
    });
    if published.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    published
}

fn exists(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("{} already exists", path.display()))
}

/// A new file in the folder of `path`.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{} names no file", path.display()))
    })?;
    loop {
        let mut name = name.to_owned();
        name.push(format!(".{}-{}.partial", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
        let temporary = path.with_file_name(name);
        match private(OpenOptions::new().read(true).write(true).create_new(true)).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            // Left by a killed process that had our number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Gives `temporary` the name `path`, never replacing what has it.
fn publish_as(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Ok(()) => fs::remove_file(temporary),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        // A file system without links. The name was free a moment ago, and nothing better is to be had there.
        Err(_) if path.symlink_metadata().is_ok() => Err(exists(path)),
        Err(_) => fs::rename(temporary, path),
    }
}
