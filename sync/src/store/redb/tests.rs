//! A store on disks that fail: full ones, ones that lose what was not synchronised, ones whose power is cut.

use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redb::{BackendError, StorageBackend};

use super::{RedbStore, open_database};
use crate::DocId;
use tombolo_crdt::{Dot, ReplicaId};

use crate::store::{MemoryStore, Store, StoreError, Write};

/// A disk with a cache that a power cut loses in part.
#[derive(Debug, Clone, Default)]
struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What programs see.
    seen: Vec<u8>,
    /// What is certainly there after a power cut.
    durable: Vec<u8>,
    /// What was done since, and may be there or not.
    pending: Vec<Change>,
    /// Every image the disk had just before a synchronisation, as `durable` and `pending` at that time.
    cuts: Vec<(Vec<u8>, Vec<Change>)>,
    record_cuts: bool,
    /// No room: growing fails.
    full: bool,
    /// The number of synchronisations after which one fails.
    sync_fails_after: Option<u32>,
    /// Everything fails.
    dead: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Length(length) => image.resize(*length, 0),
            Self::Write(at, bytes) => {
                if image.len() < at + bytes.len() {
                    image.resize(at + bytes.len(), 0);
                }
                image[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

impl FaultyDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn holding(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { seen: image.clone(), durable: image, ..State::default() })))
    }

    fn store(&self) -> Result<RedbStore, StoreError> {
        self.store_verifying(true)
    }

    fn store_verifying(&self, verify: bool) -> Result<RedbStore, StoreError> {
        let disk = self.clone();
        RedbStore::with_opener(Box::new(move || open_database(disk.clone(), Path::new("disk"), verify)))
    }
}

fn check(state: &State) -> io::Result<()> {
    if state.dead { Err(io::Error::other("dead")) } else { Ok(()) }
}

impl StorageBackend for FaultyDisk {
    fn len(&self) -> io::Result<u64> {
        let state = self.state();
        check(&state)?;
        Ok(state.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        check(&state)?;
        let from = usize::try_from(offset).unwrap();
        let bytes = state.seen.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        check(&state)?;
        let length = usize::try_from(len).unwrap();
        if state.full && length > state.seen.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let change = Change::Length(length);
        change.apply(&mut state.seen);
        state.pending.push(change);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        check(&state)?;
        match &mut state.sync_fails_after {
            Some(0) => {
                state.sync_fails_after = None;
                return Err(io::Error::other("the disk did not answer"));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if state.record_cuts {
            let cut = (state.durable.clone(), state.pending.clone());
            state.cuts.push(cut);
        }
        state.durable = state.seen.clone();
        state.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        check(&state)?;
        let change = Change::Write(usize::try_from(offset).unwrap(), data.to_vec());
        change.apply(&mut state.seen);
        state.pending.push(change);
        Ok(())
    }

    // Only one process has it; but redb must find that it can lock.
    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}

fn doc(number: u8) -> DocId {
    DocId::from_bytes([number; 16])
}

fn append(number: u8, bytes: usize) -> Write {
    Write::Append { doc: doc(number), record: vec![number; bytes] }
}

/// Everything in a store.
fn content(store: &dyn Store) -> String {
    let documents = store.documents().unwrap();
    let documents: Vec<_> =
        documents.into_iter().map(|doc| (doc, store.document(doc).unwrap().unwrap())).collect();
    let staged = store.staged().unwrap().into_iter();
    let staged: Vec<_> = staged.map(|doc| (doc, store.staged_document(doc).unwrap().unwrap())).collect();
    format!("{documents:?} {staged:?} {:?}", store.records("").unwrap())
}

#[test]
fn a_full_disk_refuses_commits_and_nothing_else() {
    let disk = FaultyDisk::default();
    let mut store = disk.store().unwrap();
    store.commit(&[append(1, 10)]).unwrap();

    disk.state().full = true;
    for _ in 0..3 {
        let refused = store.commit(&[append(1, 20), append(2, 1 << 20)]);
        assert!(matches!(&refused, Err(StoreError::Io(error)) if error.kind() == io::ErrorKind::StorageFull));
        assert_eq!(store.documents().unwrap(), [doc(1)]);
        assert_eq!(store.document(doc(1)).unwrap().unwrap().log, [vec![1; 10]]);
    }

    disk.state().full = false;
    store.commit(&[append(1, 30), append(2, 1 << 20)]).unwrap();
    drop(store);
    let store = disk.store().unwrap();
    assert_eq!(store.document(doc(1)).unwrap().unwrap().log, [vec![1; 10], vec![1; 30]]);
    assert_eq!(store.documents().unwrap(), [doc(1), doc(2)]);
}

#[test]
fn a_commit_whose_synchronisation_fails_is_in_doubt_until_the_store_is_opened_again() {
    let disk = FaultyDisk::default();
    let mut store = disk.store().unwrap();
    store.commit(&[append(1, 10)]).unwrap();

    disk.state().sync_fails_after = Some(0);
    let doubtful = store.commit(&[append(1, 20)]);
    assert!(matches!(doubtful, Err(StoreError::InDoubt(_))), "{doubtful:?}");
    assert!(matches!(store.commit(&[append(1, 30)]), Err(StoreError::InDoubt(_))));
    assert!(matches!(store.commit(&[]), Err(StoreError::InDoubt(_))));
    assert!(matches!(store.document(doc(1)), Err(StoreError::InDoubt(_))));
    assert!(matches!(store.begin_backup().map(drop), Err(StoreError::InDoubt(_))));
    drop(store);

    let mut store = disk.store().unwrap();
    assert_eq!(store.document(doc(1)).unwrap().unwrap().log, [vec![1; 10], vec![1; 20]]);
    store.commit(&[append(1, 30)]).unwrap();
}

#[test]
fn a_commit_on_a_disk_that_dies_is_in_doubt() {
    let disk = FaultyDisk::default();
    let mut store = disk.store().unwrap();
    store.commit(&[append(1, 10)]).unwrap();
    disk.state().dead = true;
    let lost = store.commit(&[append(1, 20)]);
    assert!(matches!(lost, Err(StoreError::InDoubt(_) | StoreError::Io(_))), "{lost:?}");
    assert!(store.documents().is_err());
    disk.state().dead = false;
    assert!(store.documents().is_err(), "what went wrong once is not guessed at");
    drop(store);
    assert_eq!(disk.store().unwrap().document(doc(1)).unwrap().unwrap().log, [vec![1; 10]]);
}

#[test]
fn a_power_cut_at_any_moment_leaves_what_was_acknowledged() {
    // Runs a workload, noting what the store held at each synchronisation; then cuts the power before each of them,
    // with any part of what was pending on the disk, and looks.
    for seed in 0..4 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let disk = FaultyDisk::default();
        disk.state().record_cuts = true;
        let mut model = MemoryStore::new();
        // After which synchronisation which content was acknowledged.
        let mut states = vec![(0, content(&model))];
        let mut store = disk.store().unwrap();
        for step in 0..12 {
            let writes: Vec<_> = (0..random.random_range(1..6)).map(|_| any_write(&mut random)).collect();
            store.commit(&writes).unwrap();
            model.commit(&writes).unwrap();
            states.push((disk.state().cuts.len(), content(&model)));
            if step % 4 == 3 {
                drop(store);
                store = disk.store().unwrap();
            }
        }
        drop(store);

        let cuts = std::mem::take(&mut disk.state().cuts);
        for (number, (durable, pending)) in cuts.into_iter().enumerate() {
            let acknowledged = states.iter().rposition(|(after, _)| *after <= number).unwrap();
            for verify in [false, true, false, true, false] {
                let image = cut(&mut random, durable.clone(), &pending);
                let store = FaultyDisk::holding(image)
                    .store_verifying(verify)
                    .unwrap_or_else(|error| panic!("seed {seed}, cut {number}: {error}"));
                let found = content(&store);
                let possible = &states[acknowledged..states.len().min(acknowledged + 2)];
                assert!(
                    possible.iter().any(|(_, state)| *state == found),
                    "seed {seed}, cut {number}: found {found}, expected one of {possible:?}"
                );
            }
        }
    }
}

/// What is on the disk if the power goes now: of what is pending, any part, down to sectors. The length is the file
/// system's and changes in order.
fn cut(random: &mut ChaCha8Rng, mut image: Vec<u8>, pending: &[Change]) -> Vec<u8> {
    const SECTOR: usize = 512;
    let reached = random.random_range(0..=pending.len());
    for change in &pending[..reached] {
        match change {
            Change::Length(_) => change.apply(&mut image),
            Change::Write(at, bytes) => {
                let style = random.random_range(0..3);
                for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                    let at = at + number * SECTOR;
                    if (style == 0 || (style == 1 && random.random_bool(0.5)))
                        && at + sector.len() <= image.len()
                    {
                        Change::Write(at, sector.to_vec()).apply(&mut image);
                    }
                }
            }
        }
    }
    image
}

fn any_write(random: &mut ChaCha8Rng) -> Write {
    let doc = doc(random.random_range(0..4));
    let length = if random.random_bool(0.1) { 40_000 } else { random.random_range(0..300) };
    let mut bytes = vec![0; length];
    random.fill_bytes(&mut bytes);
    let key = format!("record {}", random.random_range(0..4));
    let start = |of: u8| Dot { replica: ReplicaId::from_bytes([of; 16]), counter: 7 };
    match random.random_range(0..15) {
        0..6 => Write::Append { doc, record: bytes },
        6..8 => {
            let mut slices: Vec<_> =
                (0..4).map(|of| (start(of), None)).filter(|_| random.random_bool(0.4)).collect();
            slices.push((Dot { replica: ReplicaId::from_bytes([9; 16]), counter: 1 }, Some(bytes)));
            Write::Snapshot { doc, all: false, slices }
        }
        8 => Write::Remove { doc },
        9..11 => Write::Put { key, value: bytes },
        11 => Write::Adopt { doc },
        12 => Write::Unstage { doc },
        13 => {
            let slices = vec![(start(random.random_range(0..4)), bytes)];
            Write::Stage { doc, note: vec![7], all: random.random_bool(0.3), slices }
        }
        _ => Write::Delete { key },
    }
}

#[test]
fn a_disk_without_locks_is_refused() {
    #[derive(Debug)]
    struct Unlocked(FaultyDisk);
    impl StorageBackend for Unlocked {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }
    let refused = open_database(Unlocked(FaultyDisk::default()), Path::new("disk"), false);
    assert!(
        matches!(&refused, Err(StoreError::Io(error)) if error.to_string().contains("no locks")),
        "{refused:?}"
    );
}

#[test]
fn a_store_of_format_1_is_read_and_becomes_one_of_today() {
    use redb::{Database, ReadableDatabase, TableDefinition, TableHandle};
    const SNAPSHOTS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("snapshots");
    const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.redb");
    RedbStore::open(folder.path()).unwrap().commit(&[append(1, 9), append(2, 3)]).unwrap();
    // As format 1 had it: sealed by table, key and value, without a first dot.
    let state = b"a state in its envelope";
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[0]).update(&0_u64.to_be_bytes());
    hasher.update(&16_u64.to_be_bytes()).update(doc(1).as_bytes()).update(state);
    let sealed = [&hasher.finalize().as_bytes()[..8], state].concat();
    {
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(SNAPSHOTS).unwrap().insert(doc(1).as_bytes(), &sealed[..]).unwrap();
        transaction.open_table(META).unwrap().insert("format", 1).unwrap();
        for of_today in ["slices", "slices_b"] {
            transaction
                .delete_table(TableDefinition::<(&[u8; 16], &[u8; 16], u64), &[u8]>::new(of_today))
                .unwrap();
        }
        transaction.delete_table(TableDefinition::<&[u8; 16], &[u8]>::new("sides")).unwrap();
        transaction.commit().unwrap();
    }
    let seen = RedbStore::look(&path).unwrap();
    assert!(seen.is_sound() && seen.format == Some(1), "{:?}", seen.problems);
    assert_eq!(seen.documents[&doc(1)].slices[0].content.as_deref(), Some(&state[..]));
    for _ in 0..2 {
        let store = RedbStore::open(folder.path()).unwrap();
        let found = store.document(doc(1)).unwrap().unwrap();
        assert_eq!(found.slices, [(crate::store::WHOLE, state.to_vec())]);
        assert_eq!((found.log.len(), store.documents().unwrap()), (1, vec![doc(1), doc(2)]));
    }
    let database = Database::open(&path).unwrap();
    let reading = database.begin_read().unwrap();
    assert!(reading.list_tables().unwrap().all(|table| table.name() != "snapshots"));
}
