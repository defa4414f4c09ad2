//! Whether a home is the one continuation of what it holds.
//!
//! Two stores that write under one replica id would each take what the other writes for known. So a store that may not be the
//! only continuation goes on under a new id. What it may be is told by its *place*, the identity of its file, which a copy
//! does not have, and by its *witness*, a small file outside the home that says how far the store has got, which a restored
//! backup falls short of. A process that is killed leaves both as they are; what is left of its last commit, if something garbled
//! that, falls short as well.
//!
//! ```text
//! home/tombolo.redb      … record identity/place: file, birth, machine; which witness
//! state folder/<id>      at least 150 commits, at most 4246
//! ```

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store::{Backup, RedbStore, StagedDocument, Store, StoreError, Stored, Write};
use crate::{DocId, PeerId};

/// A store may get so many commits ahead before its witness is made again, durably.
const RESERVED: u64 = 4_096;

/// Why a home goes on under a new replica id: it may not be the only continuation of what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Doubt {
    /// The file is not the one it was: copied, moved to another disk or machine, or put back from a backup. The copy has a new
    /// key as well, for the original may be running.
    Copied {
        /// Whom peers knew the original as.
        original: PeerId,
    },
    /// It holds less than it did: an older state was put in its place.
    SetBack {
        /// How many commits it holds.
        commits: u64,
        /// How many it held.
        at_least: u64,
    },
    /// It holds more than it had written here: it was used elsewhere, or what noted how far it is could not be written.
    RunAhead {
        /// How many commits it holds.
        commits: u64,
        /// How many it can have made here.
        at_most: u64,
    },
    /// What noted outside the home how far it is, is gone or unreadable.
    Unwitnessed,
    /// A peer holds what this home wrote and does not have: it was set back with all that could have told so, as by a snapshot of
    /// the whole machine. What it had forgotten is taken in, and what it wrote since goes by the new replica id.
    Overtaken {
        /// Who.
        peer: PeerId,
    },
    /// The same, but others may have seen what was written here since, so that two stores are known by one replica id. What the peer
    /// holds of it beyond this home is refused, and the two do not agree on what was written by that id until one of them is given
    /// up: back up what it alone has, and let it join anew as an empty home.
    Forked {
        /// Who.
        peer: PeerId,
    },
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Copied { .. } => f.write_str("this home is a copy, or was moved or restored"),
            Self::SetBack { commits, at_least } => {
                write!(f, "this home was set back: it held {at_least} commits or more, and holds {commits}")
            }
            Self::RunAhead { commits, at_most } => {
                write!(f, "this home holds {commits} commits, of which at most {at_most} were made here")
            }
            Self::Unwitnessed => f.write_str("the note of how far this home had got is gone"),
            Self::Overtaken { peer } => {
                write!(f, "this home was set back: {peer} holds what it wrote and does not have")
            }
            Self::Forked { peer } => write!(
                f,
                "another home writes under the replica id of this one: {peer} holds what this one did not write"
            ),
        }
    }
}

/// The identity of a store's file: what a copy does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    file: u64,
    /// When the file came into being: seconds and nanoseconds since the epoch. Where the system does not know, its device.
    born: (u64, u32),
    machine: Option<[u8; 16]>,
}

impl Place {
    /// Where a store's file is.
    pub(super) fn of(file: &Path) -> std::io::Result<Self> {
        let metadata = std::fs::metadata(file)?;
        let born = metadata.created().ok();
        let born = born.and_then(|born| born.duration_since(std::time::UNIX_EPOCH).ok());
        let (number, device) = numbers(&metadata);
        let born = born.map_or((device, u32::MAX), |born| (born.as_secs(), born.subsec_nanos()));
        Ok(Self { file: number, born, machine: machine() })
    }
}

#[cfg(unix)]
fn numbers(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.ino(), metadata.dev())
}

#[cfg(not(unix))]
fn numbers(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

/// Which machine this is, where the system says so. A hash: the id itself is to stay secret.
fn machine() -> Option<[u8; 16]> {
    let id = std::fs::read_to_string("/etc/machine-id").ok()?;
    let hash = blake3::derive_key("tombolo 2026 machine", id.trim().as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    (!id.trim().is_empty()).then_some(half)
}

/// What a home notes of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    pub(super) place: Place,
    /// In which folder, and under which name, it has a witness.
    pub(super) witness: Option<(PathBuf, [u8; 16])>,
}

/// How far a store has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    at_least: u64,
    at_most: u64,
}

impl Reach {
    /// From so many commits on.
    pub(super) fn from(commits: u64) -> Self {
        Self { at_least: commits, at_most: commits.saturating_add(RESERVED) }
    }

    /// Says so in a file that says something else, if anything. Always as long, so that it is one write within one page.
    fn write_over(self, file: &mut File) -> std::io::Result<()> {
        file.rewind()?;
        file.write_all(format!("{:020} {:020}\n", self.at_least, self.at_most).as_bytes())
    }

    /// Whether a store of so many commits can be the one that was noted.
    pub(super) fn doubt(self, commits: u64) -> Option<Doubt> {
        let Self { at_least, at_most } = self;
        if commits < at_least {
            Some(Doubt::SetBack { commits, at_least })
        } else if commits > at_most {
            Some(Doubt::RunAhead { commits, at_most })
        } else {
            None
        }
    }
}

/// Where it is noted how far a store has got.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    file: PathBuf,
}

impl Witness {
    pub(super) fn in_folder(folder: &Path, name: [u8; 16]) -> Self {
        Self { file: folder.join(data_encoding::HEXLOWER.encode(&name)) }
    }

    /// Where witnesses are if nothing else is said: not where data is, which is what backups restore.
    pub(super) fn default_folder() -> Option<PathBuf> {
        let folders = directories::ProjectDirs::from("", "", "tombolo")?;
        let folder = match folders.state_dir() {
            Some(state) => state,
            None if cfg!(windows) => folders.config_local_dir(),
            None => folders.preference_dir(),
        };
        Some(folder.join("witness"))
    }

    /// Nothing is noted any more.
    pub(super) fn remove(&self) -> std::io::Result<()> {
        match std::fs::remove_file(&self.file) {
            Err(why) if why.kind() != ErrorKind::NotFound => Err(why),
            _ => Ok(()),
        }
    }

    /// What was noted; `None` if nothing was that can be read.
    pub(super) fn read(&self) -> Option<Reach> {
        let text = std::fs::read_to_string(&self.file).ok()?;
        let (at_least, at_most) = text.trim_end().split_once(' ')?;
        Some(Reach { at_least: at_least.parse().ok()?, at_most: at_most.parse().ok()? })
    }

    /// Notes how far the store has got, durably and in one step.
    pub(super) fn write(&self, reach: Reach) -> std::io::Result<()> {
        self.begin(reach).map(drop)
    }

    /// The same. Yields the file, to be written over.
    fn begin(&self, reach: Reach) -> std::io::Result<File> {
        let folder = self.file.parent().ok_or(ErrorKind::NotFound)?;
        std::fs::create_dir_all(folder)?;
        let fresh = self.file.with_extension("new");
        let mut file = File::create(&fresh)?;
        reach.write_over(&mut file)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.file)?;
        // Or a power cut may bring the old one back.
        if cfg!(unix) {
            File::open(folder)?.sync_all()?;
        }
        Ok(file)
    }
}

/// A store that leaves word of how far it has got.
#[derive(Debug)]
pub(super) struct Witnessed {
    store: RedbStore,
    witness: Option<Witness>,
    /// What the witness says; `None` if it has not been asked to say anything yet.
    noted: Option<Reach>,
    /// Where it says so, as long as that can be written over.
    file: Option<File>,
}

impl Witnessed {
    pub(super) fn new(store: RedbStore, witness: Option<Witness>) -> Self {
        Self { store, witness, noted: None, file: None }
    }

    /// Has a commit more noted as possible before it is made.
    fn reserve(&mut self) {
        let Some(witness) = &self.witness else { return };
        let commits = self.store.commits();
        if self.noted.is_some_and(|noted| commits < noted.at_most) {
            return;
        }
        let reach = Reach::from(commits);
        self.file = None;
        match witness.begin(reach) {
            Ok(file) => (self.noted, self.file) = (Some(reach), Some(file)),
            // Then it will be in doubt when it is opened next; that costs a new id, and nothing else.
            Err(why) => tracing::warn!(%why, "how far this home has got could not be noted outside of it"),
        }
    }

    /// Has a commit noted that is durable, without waiting for the disk. So a killed process leaves the witness exact, and what was
    /// acknowledged and is not there is missed; after a power cut it may say less than there is, and never more.
    fn note(&mut self) {
        let (Some(noted), Some(file)) = (&mut self.noted, &mut self.file) else { return };
        noted.at_least = self.store.commits();
        if let Err(why) = noted.write_over(file) {
            tracing::debug!(%why, "how far this home has got is noted with the next reservation");
            self.file = None;
        }
    }
}

impl Drop for Witnessed {
    fn drop(&mut self) {
        // What became of the last commit of a broken store shows when it is opened next.
        if let (Some(witness), Some(_), true) = (&self.witness, self.noted, self.store.is_sound()) {
            let commits = self.store.commits();
            if let Err(why) = witness.write(Reach { at_least: commits, at_most: commits }) {
                tracing::debug!(%why, "what is noted outside of this home stays as it was");
            }
        }
    }
}

impl Store for Witnessed {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return self.store.commit(writes);
        }
        self.reserve();
        self.store.commit(writes)?;
        self.note();
        Ok(())
    }

    fn document(&self, doc: DocId) -> Result<Option<Stored>, StoreError> {
        self.store.document(doc)
    }

    fn documents(&self) -> Result<Vec<DocId>, StoreError> {
        self.store.documents()
    }

    fn staged(&self) -> Result<Vec<DocId>, StoreError> {
        self.store.staged()
    }

    fn staged_document(&self, doc: DocId) -> Result<Option<StagedDocument>, StoreError> {
        self.store.staged_document(doc)
    }

    fn record(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.record(key)
    }

    fn records(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.store.records(prefix)
    }

    fn begin_backup(&self) -> Result<Backup, StoreError> {
        self.store.begin_backup()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_doubted_outside_of_what_was_noted() {
        let reach = Reach::from(10);
        assert_eq!(reach.doubt(9), Some(Doubt::SetBack { commits: 9, at_least: 10 }));
        assert!(reach.doubt(10).is_none() && reach.doubt(10 + RESERVED).is_none());
        assert!(matches!(reach.doubt(11 + RESERVED), Some(Doubt::RunAhead { .. })));
    }

    #[test]
    fn what_is_noted_reads_back_and_nonsense_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let witness = Witness::in_folder(&folder.path().join("new"), [7; 16]);
        assert_eq!(witness.read(), None);
        let mut file = witness.begin(Reach::from(5)).unwrap();
        assert_eq!(witness.read(), Some(Reach::from(5)));
        for commits in [u64::MAX, 7] {
            Reach::from(commits).write_over(&mut file).unwrap();
            assert_eq!(witness.read(), Some(Reach::from(commits)));
        }
        for nonsense in ["", "5", "5 x", "-1 5", "\u{7f}"] {
            std::fs::write(&witness.file, nonsense).unwrap();
            assert_eq!(witness.read(), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_place_is_the_files_and_not_its_copys() {
        let folder = tempfile::tempdir().unwrap();
        let (file, copy, moved) =
            (folder.path().join("file"), folder.path().join("copy"), folder.path().join("moved"));
        std::fs::write(&file, "x").unwrap();
        let place = Place::of(&file).unwrap();
        std::fs::copy(&file, &copy).unwrap();
        std::fs::write(&file, "longer").unwrap();
        assert_eq!(Place::of(&file).unwrap(), place);
        assert_ne!(Place::of(&copy).unwrap(), place);
        std::fs::rename(&file, &moved).unwrap();
        assert_eq!(Place::of(&moved).unwrap(), place);
    }
}
