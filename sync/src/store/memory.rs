//! A store without a disk, whose faults the test decides.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use tombolo_crdt::Dot;

use super::{Backup, RedbStore, StagedDocument, Store, StoreError, Stored, Write, check_sizes};
use crate::DocId;

/// A store in memory: what it holds is what a disk would hold *durably*.
///
/// Nothing is ever half written. So a crash is: drop what ran on the store and start again on its [`image`](Self::image);
/// a disk kept from yesterday is an image kept from yesterday.
///
/// A clone is deep: neither sees the other's later commits. It costs the number of entries, not their bytes, and
/// copies the faults asked for as well.
///
/// ```
/// # use tombolo_sync::{DocId, store::{MemoryStore, Store, Write}};
/// let doc = DocId::from_bytes([1; 16]);
/// let write = |byte| [Write::Append { doc, record: vec![byte] }];
///
/// let mut disk = MemoryStore::new();
/// disk.commit(&write(1)).unwrap();
/// let yesterday = disk.image();
/// disk.fail_next(1);
/// assert!(disk.commit(&write(2)).is_err());
/// disk.commit(&write(3)).unwrap();
///
/// assert_eq!(disk.document(doc).unwrap().unwrap().log, [[1], [3]]);
/// assert_eq!(yesterday.document(doc).unwrap().unwrap().log, [[1]]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    content: Content,
    commits: u64,
    failures: u32,
    full: bool,
    doubt: Doubt,
}

/// What is durable. The bytes are shared between clones; they never change.
#[derive(Debug, Clone, Default)]
struct Content {
    documents: BTreeMap<DocId, Document>,
    staged: BTreeMap<DocId, Aside>,
    records: BTreeMap<String, Arc<[u8]>>,
}

#[derive(Debug, Clone, Default)]
struct Document {
    slices: BTreeMap<Dot, Arc<[u8]>>,
    log: Vec<Arc<[u8]>>,
}

/// What is put aside for a document.
#[derive(Debug, Clone, Default)]
struct Aside {
    note: Vec<u8>,
    slices: BTreeMap<Dot, Arc<[u8]>>,
}

/// Whether a commit is in doubt, and how it ended.
#[derive(Debug, Clone, Copy, Default)]
enum Doubt {
    #[default]
    None,
    Next {
        lands: bool,
    },
    Now,
}

impl MemoryStore {
    /// An empty store that does not fail.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a process finds that starts on this disk now: the durable content, and no faults.
    #[must_use]
    pub fn image(&self) -> Self {
        Self { content: self.content.clone(), ..Self::default() }
    }

    /// Makes the next `commits` commits fail with [`StoreError::Io`], leaving nothing behind; `0` takes that back.
    pub fn fail_next(&mut self, commits: u32) {
        self.failures = commits;
    }

    /// Makes the next commit that does not fail otherwise fail with [`StoreError::InDoubt`], and everything after it.
    /// Whether that commit is in the [`image`](Self::image) is `lands`.
    pub fn doubt_next(&mut self, lands: bool) {
        self.doubt = Doubt::Next { lands };
    }

    /// Fills the disk, so that every commit fails with [`StoreError::Io`], or makes room again.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Whether the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// How many commits became durable; an empty one waits for no disk and does not count.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Refuses everything after a commit in doubt.
    fn settled(&self) -> Result<&Content, StoreError> {
        match self.doubt {
            Doubt::Now => Err(StoreError::InDoubt("a fault that the test asked for".to_owned())),
            Doubt::None | Doubt::Next { .. } => Ok(&self.content),
        }
    }

    /// The fault that the next commit meets, if any.
    fn fault(&mut self) -> Result<(), StoreError> {
        if self.full {
            return Err(io::Error::from(io::ErrorKind::StorageFull).into());
        }
        if self.failures > 0 {
            self.failures -= 1;
            return Err(io::Error::other("a fault that the test asked for").into());
        }
        Ok(())
    }
}

impl Content {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::Append { doc, record } => {
                self.documents.entry(*doc).or_default().log.push(record.as_slice().into());
            }
            Write::Snapshot { doc, all, slices } => {
                let document = self.documents.entry(*doc).or_default();
                document.log.clear();
                if *all {
                    document.slices.clear();
                }
                for (start, slice) in slices {
                    match slice {
                        Some(bytes) => document.slices.insert(*start, bytes.as_slice().into()),
                        None => document.slices.remove(start),
                    };
                }
                if document.slices.is_empty() {
                    self.documents.remove(doc);
                }
            }
            Write::Remove { doc } => {
                self.documents.remove(doc);
                self.staged.remove(doc);
            }
            Write::Stage { doc, note, all, slices } => {
                let aside = self.staged.entry(*doc).or_default();
                aside.note.clone_from(note);
                if *all {
                    aside.slices.clear();
                }
                let slices = slices.iter().map(|(start, bytes)| (*start, bytes.as_slice().into()));
                aside.slices.extend(slices);
            }
            Write::Adopt { doc } => {
                if let Some(Aside { slices, .. }) = self.staged.remove(doc) {
                    self.documents.remove(doc);
                    if !slices.is_empty() {
                        self.documents.insert(*doc, Document { slices, log: Vec::new() });
                    }
                }
            }
            Write::Unstage { doc } => {
                self.staged.remove(doc);
            }
            Write::Put { key, value } => {
                self.records.insert(key.clone(), value.as_slice().into());
            }
            Write::Delete { key } => {
                self.records.remove(key);
            }
        }
    }

    /// The writes that make an empty store hold this.
    fn writes(&self) -> Vec<Write> {
        let documents = self.documents.iter().flat_map(|(doc, document)| {
            let slices = document.slices.iter().map(|(start, bytes)| (*start, Some(bytes.to_vec())));
            let snapshot = Write::Snapshot { doc: *doc, all: true, slices: slices.collect() };
            let log = document.log.iter().map(|bytes| Write::Append { doc: *doc, record: bytes.to_vec() });
            [snapshot].into_iter().chain(log)
        });
        let staged = self.staged.iter().map(|(doc, aside)| Write::Stage {
            doc: *doc,
            note: aside.note.clone(),
            all: true,
            slices: aside.read(),
        });
        let records =
            self.records.iter().map(|(key, value)| Write::Put { key: key.clone(), value: value.to_vec() });
        documents.chain(staged).chain(records).collect()
    }
}

impl Aside {
    fn read(&self) -> Vec<(Dot, Vec<u8>)> {
        self.slices.iter().map(|(start, bytes)| (*start, bytes.to_vec())).collect()
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.settled()?;
        check_sizes(writes)?;
        if writes.is_empty() {
            return Ok(());
        }
        self.fault()?;
        if let Doubt::Next { lands } = self.doubt {
            if lands {
                writes.iter().for_each(|write| self.content.apply(write));
            }
            self.doubt = Doubt::Now;
            self.settled()?;
        }
        writes.iter().for_each(|write| self.content.apply(write));
        self.commits += 1;
        Ok(())
    }

    fn document(&self, doc: DocId) -> Result<Option<Stored>, StoreError> {
        Ok(self.settled()?.documents.get(&doc).map(|document| Stored {
            slices: document.slices.iter().map(|(start, bytes)| (*start, bytes.to_vec())).collect(),
            log: document.log.iter().map(|bytes| bytes.to_vec()).collect(),
        }))
    }

    fn documents(&self) -> Result<Vec<DocId>, StoreError> {
        Ok(self.settled()?.documents.keys().copied().collect())
    }

    fn staged(&self) -> Result<Vec<DocId>, StoreError> {
        Ok(self.settled()?.staged.keys().copied().collect())
    }

    fn staged_document(&self, doc: DocId) -> Result<Option<StagedDocument>, StoreError> {
        let aside = self.settled()?.staged.get(&doc);
        Ok(aside.map(|aside| StagedDocument { note: aside.note.clone(), slices: aside.read() }))
    }

    fn record(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.settled()?.records.get(key).map(|value| value.to_vec()))
    }

    fn records(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let bounds = (Bound::Included(prefix), Bound::Unbounded);
        let from = self.settled()?.records.range::<str, _>(bounds);
        let records = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(records.map(|(key, value)| (key.clone(), value.to_vec())).collect())
    }

    /// The file written is a redb one, as of any store.
    fn begin_backup(&self) -> Result<Backup, StoreError> {
        let content = self.settled()?.clone();
        Ok(Box::new(move |path| RedbStore::write_file(path, &content.writes())))
    }
}
