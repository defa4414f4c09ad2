//! The store on disk: what it survives and what it refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use redb::{Database, TableDefinition};
use tempfile::tempdir;
use tombolo_crdt::{Dot, ReplicaId};
use tombolo_sync::DocId;
use tombolo_sync::store::{MemoryStore, RedbStore, StagedDocument, Store, StoreError, Stored, Write};

const FILE: &str = "tombolo.redb";

fn doc(number: u8) -> DocId {
    DocId::from_bytes([number; 16])
}

fn append(number: u8, record: &[u8]) -> Write {
    Write::Append { doc: doc(number), record: record.to_vec() }
}

type Content = (Vec<(DocId, Stored)>, Vec<(DocId, StagedDocument)>, Vec<(String, Vec<u8>)>);

fn content(store: &dyn Store) -> Result<Content, StoreError> {
    let documents = store
        .documents()?
        .into_iter()
        .map(|doc| Ok((doc, store.document(doc)?.expect("it is among the documents"))))
        .collect::<Result<_, StoreError>>()?;
    let staged = store
        .staged()?
        .into_iter()
        .map(|doc| Ok((doc, store.staged_document(doc)?.expect("something is put aside"))))
        .collect::<Result<_, StoreError>>()?;
    Ok((documents, staged, store.records("")?))
}

/// The first dot of a slice.
fn start(of: u8) -> Dot {
    Dot { replica: ReplicaId::from_bytes([of; 16]), counter: 1 }
}

fn any_write() -> impl Strategy<Value = Write> {
    let doc = || (0..4u8).prop_map(doc);
    let bytes = || {
        prop_oneof![
            9 => prop::collection::vec(any::<u8>(), 0..40),
            1 => (any::<u8>(), 1000..20_000usize).prop_map(|(byte, length)| vec![byte; length]),
        ]
    };
    let key = || "[ab]{0,2}";
    prop_oneof![
        4 => (doc(), bytes()).prop_map(|(doc, record)| Write::Append { doc, record }),
        2 => (doc(), any::<bool>(), prop::collection::vec((0..4u8, prop::option::of(bytes())), 0..3)).prop_map(|(doc, all, slices)| {
            let slices = slices.into_iter().map(|(of, slice)| (start(of), slice)).collect();
            Write::Snapshot { doc, all, slices }
        }),
        1 => doc().prop_map(|doc| Write::Remove { doc }),
        2 => (doc(), any::<(u8, bool)>(), prop::collection::vec((0..4u8, bytes()), 0..3)).prop_map(|(doc, (note, all), slices)| {
            let slices = slices.into_iter().map(|(of, slice)| (start(of), slice)).collect();
            Write::Stage { doc, note: vec![note], all, slices }
        }),
        1 => doc().prop_map(|doc| Write::Adopt { doc }),
        1 => doc().prop_map(|doc| Write::Unstage { doc }),
        2 => (key(), bytes()).prop_map(|(key, value)| Write::Put { key, value }),
        1 => key().prop_map(|key| Write::Delete { key }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_store_on_disk_holds_what_one_in_memory_holds(
        commits in prop::collection::vec((prop::collection::vec(any_write(), 0..8), any::<bool>()), 1..12),
    ) {
        let folder = tempdir().unwrap();
        let mut memory = MemoryStore::new();
        let mut disk = RedbStore::open(folder.path()).unwrap();
        for (writes, copied) in commits {
            memory.commit(&writes).unwrap();
            disk.commit(&writes).unwrap();
            prop_assert_eq!(content(&disk).unwrap(), content(&memory).unwrap());
            for prefix in ["a", "ab"] {
                prop_assert_eq!(disk.records(prefix).unwrap(), memory.records(prefix).unwrap());
            }
            // Closed and opened, or found as a crash leaves it.
            if copied {
                let bytes = fs::read(folder.path().join(FILE)).unwrap();
                drop(disk);
                fs::write(folder.path().join(FILE), bytes).unwrap();
            } else {
                drop(disk);
            }
            disk = RedbStore::open(folder.path()).unwrap();
            prop_assert_eq!(content(&disk).unwrap(), content(&memory).unwrap());
        }
    }
}

#[test]
fn a_store_is_opened_once() {
    let folder = tempdir().unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    match RedbStore::open(folder.path()) {
        Err(StoreError::Locked(path)) => assert_eq!(path, folder.path().join(FILE)),
        other => panic!("{other:?}"),
    }
    drop(store);
    RedbStore::open(folder.path()).unwrap();
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_a_new_store() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let parent = tempdir().unwrap();
    let folder = parent.path().join("a/b");
    let store = RedbStore::open(&folder).unwrap();
    store.backup(&parent.path().join("backup")).unwrap();
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join(FILE)), 0o600);
    assert_eq!(mode(&parent.path().join("backup")), 0o600);
}

#[test]
fn a_creation_cut_short_opens_as_an_empty_store() {
    // What redb does to a new file: it makes it longer, writes the header without the magic number, then with it. The
    // whole of that is done by the first commit's file, so its beginnings are what a cut leaves.
    let folder = tempdir().unwrap();
    let file = folder.path().join(FILE);
    drop(Database::create(&file).unwrap());
    let born = fs::read(&file).unwrap();
    let mut header = born.clone();
    header[320..].fill(0);
    let mut without_magic = header.clone();
    without_magic[..9].fill(0);
    let mut half_the_magic = header.clone();
    half_the_magic[5..9].fill(0);
    let images = [
        vec![],
        vec![0; 1],
        vec![0; 4096],
        vec![0; born.len()],
        vec![0; 1 << 20],
        without_magic,
        half_the_magic,
        born,
    ];
    for image in images {
        fs::write(&file, &image).unwrap();
        let mut store =
            RedbStore::open(folder.path()).unwrap_or_else(|error| panic!("{}: {error}", image.len()));
        assert_eq!(store.documents().unwrap(), []);
        store.commit(&[append(1, b"a")]).unwrap();
        drop(store);
        let store = RedbStore::open(folder.path()).unwrap();
        assert_eq!(store.documents().unwrap(), [doc(1)]);
    }
}

#[test]
fn a_file_that_is_no_store_is_damaged_and_stays_as_it_is() {
    let folder = tempdir().unwrap();
    let file = folder.path().join(FILE);
    let mut store = RedbStore::open(folder.path()).unwrap();
    store.commit(&[append(1, &[7; 5000])]).unwrap();
    drop(store);
    let good = fs::read(&file).unwrap();
    let mut headless = good.clone();
    headless[..4096].fill(0);
    let short = good[..good.len() / 2].to_vec();
    for image in [b"Dear diary".to_vec(), vec![0; 5 << 20], vec![1; 4096], headless, short] {
        fs::write(&file, &image).unwrap();
        let refused = RedbStore::open(folder.path());
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
        assert!(fs::read(&file).unwrap() == image);
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    let folder = tempdir().unwrap();
    let database = Database::create(folder.path().join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(matches!(RedbStore::open(folder.path()), Err(StoreError::Damaged(_))));
}

#[test]
fn a_store_of_a_newer_program_is_refused() {
    let folder = tempdir().unwrap();
    drop(RedbStore::open(folder.path()).unwrap());
    let set_format = |format: u64| {
        let database = Database::create(folder.path().join(FILE)).unwrap();
        let transaction = database.begin_write().unwrap();
        let meta: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
        transaction.open_table(meta).unwrap().insert("format", format).unwrap().unwrap();
        transaction.commit().unwrap();
    };
    set_format(7);
    assert!(matches!(RedbStore::open(folder.path()), Err(StoreError::Format { found: 7, known: 6 })));
    set_format(0);
    assert!(matches!(RedbStore::open(folder.path()), Err(StoreError::Damaged(_))));
    for known in [2, 3, 4, 5, 6] {
        set_format(known);
        drop(RedbStore::open(folder.path()).unwrap());
    }
}

/// A store with a bit of everything; its file and its content.
fn sample(folder: &Path) -> (PathBuf, Content) {
    let mut store = RedbStore::open(folder).unwrap();
    for step in 0..40u8 {
        let number = step % 5;
        let mut writes = vec![append(number, &[step; 300]), append(number, &[step; 3])];
        if step % 7 == 0 {
            let slices = vec![(start(1), Some(vec![step; 9000])), (start(2), Some(vec![step; 20]))];
            writes.push(Write::Snapshot { doc: doc(number), all: false, slices });
        }
        writes.push(Write::Put { key: format!("record {step}"), value: vec![step; 50] });
        store.commit(&writes).unwrap();
    }
    let content = content(&store).unwrap();
    (folder.join(FILE), content)
}

#[test]
fn a_changed_byte_is_damage_or_nothing_but_never_a_wrong_answer_or_a_panic() {
    let folder = tempdir().unwrap();
    let (file, written) = sample(folder.path());
    let good = fs::read(&file).unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    let (mut harmless, mut found) = (0, 0);
    // Every byte of the header, and a fixed walk over the rest with steps that share nothing with its pages.
    let places = (0..320).chain((320..good.len()).step_by(good.len() / 200 + 13));
    for (number, at) in places.enumerate() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (number % 8);
        fs::write(&file, &bad).unwrap();
        match RedbStore::open(folder.path()).and_then(|store| content(&store)) {
            Ok(read) if read == written => harmless += 1,
            Ok(_) => panic!("a wrong answer after a change at {at}"),
            Err(StoreError::Damaged(_)) => found += 1,
            Err(other) => panic!("{other:?} after a change at {at}"),
        }
    }
    let _ = std::panic::take_hook();
    assert!(found > 30 && harmless > 30, "{found} found, {harmless} harmless");
}

#[test]
fn a_garbled_page_is_damage_and_not_a_panic() {
    let folder = tempdir().unwrap();
    let (file, _) = sample(folder.path());
    let good = fs::read(&file).unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    let mut found = 0;
    for page in 1..good.len() / 4096 {
        for fill in [if page % 2 == 0 { 0 } else { 0xFF }, 2] {
            let mut bad = good.clone();
            bad[page * 4096..(page + 1) * 4096].fill(fill);
            fs::write(&file, &bad).unwrap();
            match RedbStore::open(folder.path()) {
                Ok(mut store) => {
                    let read = content(&store);
                    let wrote = store.commit(&[append(1, b"a"), Write::Remove { doc: doc(2) }]);
                    for result in [read.map(drop), wrote] {
                        match result {
                            Ok(()) => {}
                            Err(StoreError::Damaged(_) | StoreError::InDoubt(_)) => found += 1,
                            Err(other) => panic!("{other:?} with page {page} full of {fill}"),
                        }
                    }
                }
                Err(StoreError::Damaged(_)) => found += 1,
                Err(other) => panic!("{other:?} with page {page} full of {fill}"),
            }
        }
    }
    let _ = std::panic::take_hook();
    assert!(found > 10, "{found}");
}

#[test]
fn a_backup_is_one_moment_while_writes_go_on() {
    let folder = tempdir().unwrap();
    let mut store = RedbStore::open(&folder.path().join("home")).unwrap();
    // Both documents always have logs of the same length.
    let both = |step: u32| [1, 2].map(|number| append(number, &step.to_be_bytes()));
    for step in 0..100 {
        store.commit(&both(step)).unwrap();
    }
    let stop = AtomicBool::new(false);
    let backups = std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let stop = &stop;
        let (path, store) = (folder.path(), &mut store);
        let writer = scope.spawn(move || {
            for step in 100.. {
                store.commit(&both(step)).unwrap();
                if step % 25 == 0 {
                    sender.send((step, store.begin_backup().unwrap())).unwrap();
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let mut backups = Vec::new();
        for (step, backup) in receiver.iter().take(5) {
            let file = path.join(format!("backup {step}"));
            backup(&file).unwrap();
            backups.push((step, file));
        }
        stop.store(true, Ordering::Relaxed);
        drop(receiver);
        // It may have found no one to take the last backup.
        let _ = writer.join();
        backups
    });
    for (step, file) in backups {
        let home = folder.path().join(format!("restored {step}"));
        RedbStore::restore(&file, &home, &[]).unwrap();
        let restored = RedbStore::open(&home).unwrap();
        let expected: Vec<_> = (0..=step).map(|step| step.to_be_bytes().to_vec()).collect();
        for number in [1, 2] {
            assert_eq!(restored.document(doc(number)).unwrap().unwrap().log, expected);
        }
    }
}

#[test]
fn a_store_is_restored_only_where_there_is_none() {
    let folder = tempdir().unwrap();
    let (file, written) = sample(&folder.path().join("home"));
    let backup = folder.path().join("backup");
    let store = RedbStore::open(&folder.path().join("home")).unwrap();
    store.backup(&backup).unwrap();

    assert!(matches!(RedbStore::restore(&backup, &folder.path().join("home"), &[]), Err(StoreError::Io(_))));
    assert!(
        matches!(RedbStore::restore(&file, &folder.path().join("new"), &[]), Err(StoreError::Locked(path)) if path == file)
    );
    let nowhere = RedbStore::restore(&folder.path().join("nothing"), &folder.path().join("new"), &[]);
    assert!(matches!(nowhere, Err(StoreError::Io(_))), "{nowhere:?}");
    drop(store);

    RedbStore::restore(&backup, &folder.path().join("new"), &[]).unwrap();
    assert_eq!(content(&RedbStore::open(&folder.path().join("new")).unwrap()).unwrap(), written);
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let folder = tempdir().unwrap();
    sample(&folder.path().join("home"));
    let backup = folder.path().join("backup");
    RedbStore::open(&folder.path().join("home")).unwrap().backup(&backup).unwrap();
    let good = fs::read(&backup).unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    let mut refused = 0;
    for (number, at) in (0..good.len()).step_by(good.len() / 60 + 13).enumerate() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (number % 8);
        fs::write(&backup, &bad).unwrap();
        let home = folder.path().join(format!("home {number}"));
        match RedbStore::restore(&backup, &home, &[]) {
            Ok(()) => drop(RedbStore::open(&home).unwrap()),
            Err(StoreError::Damaged(_)) => {
                refused += 1;
                assert!(!home.exists(), "nothing is left behind");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    let _ = std::panic::take_hook();
    assert!(refused > 10, "{refused}");
    for image in [vec![], b"not a backup".to_vec(), vec![0; 4096], good[..good.len() / 2].to_vec()] {
        fs::write(&backup, &image).unwrap();
        let result = RedbStore::restore(&backup, &folder.path().join("never"), &[]);
        assert!(matches!(result, Err(StoreError::Damaged(_))), "{result:?}");
        assert!(fs::read(&backup).unwrap() == image);
    }
}
