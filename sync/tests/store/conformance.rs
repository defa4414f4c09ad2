//! What every store does, run against each of them.

use std::fmt::Debug;
use std::path::Path;

use tempfile::TempDir;
use tombolo_crdt::{Dot, ReplicaId};
use tombolo_sync::DocId;
use tombolo_sync::store::{
    MAX_NAME_BYTES, MAX_VALUE_BYTES, MemoryStore, RedbStore, StagedDocument, Store, StoreError, Stored, Write,
};

fn doc(number: u8) -> DocId {
    DocId::from_bytes([number; 16])
}

fn append(number: u8, record: &[u8]) -> Write {
    Write::Append { doc: doc(number), record: record.to_vec() }
}

fn snapshot(number: u8, snapshot: &[u8]) -> Write {
    slices(number, &[(1, Some(snapshot))])
}

fn slices(number: u8, slices: &[(u8, Option<&[u8]>)]) -> Write {
    let slices = slices.iter().map(|(of, slice)| (start(*of), slice.map(Vec::from))).collect();
    Write::Snapshot { doc: doc(number), all: false, slices }
}

/// The first dot of a slice.
fn start(of: u8) -> Dot {
    Dot { replica: ReplicaId::from_bytes([of; 16]), counter: u64::from(of) << 32 | 5 }
}

fn put(key: &str, value: &[u8]) -> Write {
    Write::Put { key: key.to_owned(), value: value.to_vec() }
}

fn stored(snapshot: Option<&[u8]>, log: &[&[u8]]) -> Option<Stored> {
    Some(Stored {
        slices: snapshot.map(|slice| (start(1), slice.to_vec())).into_iter().collect(),
        log: log.iter().map(|record| record.to_vec()).collect(),
    })
}

/// A store that can be closed and opened again.
trait Home {
    type Store: Store + Debug;
    fn new() -> Self;
    fn open(&mut self) -> Self::Store;
    fn close(&mut self, store: Self::Store);
}

struct Disk(TempDir);

impl Home for Disk {
    type Store = RedbStore;
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn open(&mut self) -> RedbStore {
        RedbStore::open(self.0.path()).unwrap()
    }
    fn close(&mut self, _: RedbStore) {}
}

struct Memory(MemoryStore);

impl Home for Memory {
    type Store = MemoryStore;
    fn new() -> Self {
        Self(MemoryStore::new())
    }
    fn open(&mut self) -> MemoryStore {
        self.0.image()
    }
    fn close(&mut self, store: MemoryStore) {
        self.0 = store;
    }
}

/// Runs `check` on a store that holds `writes`, before and after it was closed and opened.
fn holding<H: Home>(commits: &[&[Write]], check: impl Fn(&H::Store)) {
    let mut home = H::new();
    let mut store = home.open();
    for writes in commits {
        store.commit(writes).unwrap();
    }
    check(&store);
    home.close(store);
    check(&home.open());
}

fn a_new_store_is_empty<H: Home>() {
    holding::<H>(&[&[]], |store| {
        assert_eq!(store.documents().unwrap(), []);
        assert_eq!(store.document(doc(1)).unwrap(), None);
        assert_eq!(store.record("a").unwrap(), None);
        assert_eq!(store.records("").unwrap(), []);
    });
}

fn a_document_exists_from_its_first_write_on<H: Home>() {
    holding::<H>(&[&[append(2, b"a")], &[snapshot(1, b"b")]], |store| {
        assert_eq!(store.documents().unwrap(), [doc(1), doc(2)]);
        assert_eq!(store.document(doc(1)).unwrap(), stored(Some(b"b"), &[]));
        assert_eq!(store.document(doc(2)).unwrap(), stored(None, &[b"a"]));
        assert_eq!(store.document(doc(3)).unwrap(), None);
    });
}

fn a_log_keeps_its_order_over_commits<H: Home>() {
    let commits: Vec<Vec<Write>> = (0..20u8)
        .map(|commit| (0..20u8).map(|record| append(record % 3, &[commit, record])).collect())
        .collect();
    let commits: Vec<&[Write]> = commits.iter().map(Vec::as_slice).collect();
    holding::<H>(&commits, |store| {
        for number in 0..3 {
            let log = store.document(doc(number)).unwrap().unwrap().log;
            // Of 0..20, seven are 0 modulo 3, seven are 1, and six are 2.
            assert_eq!(log.len(), if number == 2 { 120 } else { 140 });
            assert!(log.is_sorted());
        }
    });
}

fn a_snapshot_drops_the_log_before_it_and_not_after<H: Home>() {
    let commits: [&[Write]; 3] = [
        &[append(1, b"a"), append(1, b"b"), append(2, b"other")],
        &[append(1, b"c"), snapshot(1, b"abc"), append(1, b"d")],
        &[append(1, b"e")],
    ];
    holding::<H>(&commits, |store| {
        assert_eq!(store.document(doc(1)).unwrap(), stored(Some(b"abc"), &[b"d", b"e"]));
        assert_eq!(store.document(doc(2)).unwrap(), stored(None, &[b"other"]));
    });
}

fn slices_that_are_not_written_again_stay<H: Home>() {
    let commits: [&[Write]; 3] = [
        &[slices(1, &[(3, Some(b"c")), (1, Some(b"a")), (2, Some(b"b"))]), slices(2, &[(2, Some(b"z"))])],
        &[append(1, b"d"), slices(1, &[(2, None), (3, Some(b"cc")), (9, None)])],
        &[append(1, b"e"), slices(2, &[(2, None)])],
    ];
    holding::<H>(&commits, |store| {
        let found = store.document(doc(1)).unwrap().unwrap();
        assert_eq!(found.slices, [(start(1), b"a".to_vec()), (start(3), b"cc".to_vec())]);
        assert_eq!(found.log, [b"e"]);
        assert_eq!(store.documents().unwrap(), [doc(1)], "without a slice and a record there is no document");
    });
    let all = Write::Snapshot { doc: doc(1), all: true, slices: vec![(start(7), Some(b"f".to_vec()))] };
    let commits: [&[Write]; 2] = [&[slices(1, &[(3, Some(b"c")), (1, Some(b"a"))])], &[all]];
    holding::<H>(&commits, |store| {
        assert_eq!(store.document(doc(1)).unwrap().unwrap().slices, [(start(7), b"f".to_vec())]);
    });
}

fn what_is_put_aside_is_not_the_document_until_it_becomes_it<H: Home>() {
    let stage = |number: u8, note: u8, all: bool, slices: &[(u8, &[u8])]| {
        let slices = slices.iter().map(|(of, slice)| (start(*of), slice.to_vec())).collect();
        Write::Stage { doc: doc(number), note: vec![note], all, slices }
    };
    let aside = |note: u8, slices: &[(u8, &[u8])]| {
        let slices = slices.iter().map(|(of, slice)| (start(*of), slice.to_vec())).collect();
        Some(StagedDocument { note: vec![note], slices })
    };
    let begun: [&[Write]; 3] = [
        &[snapshot(1, b"old"), append(1, b"log"), snapshot(4, b"4")],
        &[stage(1, 1, true, &[(1, b"a")]), stage(2, 1, true, &[(3, b"z")]), stage(3, 1, true, &[(1, b"y")])],
        &[stage(1, 2, false, &[(2, b"b")]), stage(2, 9, true, &[(1, b"x")]), Write::Unstage { doc: doc(3) }],
    ];
    holding::<H>(&begun, |store| {
        assert_eq!(store.documents().unwrap(), [doc(1), doc(4)]);
        assert_eq!(store.document(doc(1)).unwrap(), stored(Some(b"old"), &[b"log"]));
        assert_eq!(store.document(doc(2)).unwrap(), None);
        assert_eq!(store.staged().unwrap(), [doc(1), doc(2)]);
        assert_eq!(store.staged_document(doc(1)).unwrap(), aside(2, &[(1, b"a"), (2, b"b")]));
        assert_eq!(store.staged_document(doc(2)).unwrap(), aside(9, &[(1, b"x")]));
        assert_eq!(store.staged_document(doc(3)).unwrap(), None);
    });
    // It becomes the document, which goes on as any; of another nothing has been put aside.
    let adopt = |number| Write::Adopt { doc: doc(number) };
    let after: [&[Write]; 3] = [
        &[adopt(1), append(1, b"c"), adopt(2), adopt(3), adopt(4)],
        &[append(1, b"d"), slices(2, &[(2, Some(b"w"))])],
        &[stage(1, 5, true, &[(1, b"once more")])],
    ];
    let both = [&begun[..], &after[..]].concat();
    holding::<H>(&both, |store| {
        assert_eq!(store.documents().unwrap(), [doc(1), doc(2), doc(4)]);
        let found = store.document(doc(1)).unwrap().unwrap();
        assert_eq!(found.slices, [(start(1), b"a".to_vec()), (start(2), b"b".to_vec())]);
        assert_eq!(found.log, [b"c", b"d"]);
        let found = store.document(doc(2)).unwrap().unwrap();
        assert_eq!(found.slices, [(start(1), b"x".to_vec()), (start(2), b"w".to_vec())]);
        assert_eq!(store.document(doc(4)).unwrap(), stored(Some(b"4"), &[]));
        assert_eq!(store.staged().unwrap(), [doc(1)]);
        assert_eq!(store.staged_document(doc(1)).unwrap(), aside(5, &[(1, b"once more")]));
    });
    // And back to where it stood before; a document that is removed takes with it what is put aside for it.
    let last: [&[Write]; 2] =
        [&[adopt(1), stage(1, 6, true, &[(4, b"never")])], &[append(1, b"e"), adopt(2)]];
    holding::<H>(&[&both[..], &last[..]].concat(), |store| {
        assert_eq!(store.document(doc(1)).unwrap(), stored(Some(b"once more"), &[b"e"]));
        assert_eq!(store.staged_document(doc(1)).unwrap(), aside(6, &[(4, b"never")]));
    });
    let removed: [&[Write]; 2] = [&[Write::Remove { doc: doc(1) }], &[adopt(1), append(2, b"f")]];
    holding::<H>(&[&both[..], &last[..], &removed[..]].concat(), |store| {
        assert_eq!(store.documents().unwrap(), [doc(2), doc(4)]);
        assert_eq!((store.document(doc(1)).unwrap(), store.staged().unwrap()), (None, vec![]));
    });
}

fn a_removed_document_is_gone_and_can_come_again<H: Home>() {
    let commits: [&[Write]; 3] = [
        &[snapshot(1, b"a"), append(1, b"b"), append(2, b"c"), append(3, b"d")],
        &[Write::Remove { doc: doc(1) }, Write::Remove { doc: doc(2) }, Write::Remove { doc: doc(9) }],
        &[append(2, b"new"), Write::Remove { doc: doc(3) }, append(3, b"newer")],
    ];
    holding::<H>(&commits, |store| {
        assert_eq!(store.documents().unwrap(), [doc(2), doc(3)]);
        assert_eq!(store.document(doc(1)).unwrap(), None);
        assert_eq!(store.document(doc(2)).unwrap(), stored(None, &[b"new"]));
        assert_eq!(store.document(doc(3)).unwrap(), stored(None, &[b"newer"]));
    });
}

fn records_are_found_by_name_and_by_prefix<H: Home>() {
    let delete = |key: &str| Write::Delete { key: key.to_owned() };
    let commits: [&[Write]; 2] = [
        &[
            put("b/2", b"x"),
            put("b/1", b"one"),
            put("a", b""),
            put("b", b"b"),
            put("c", b"c"),
            put("", b"none"),
        ],
        &[put("b/2", b"two"), delete("c"), delete("never")],
    ];
    let owned = |pairs: &[(&str, &[u8])]| -> Vec<(String, Vec<u8>)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect()
    };
    holding::<H>(&commits, |store| {
        assert_eq!(store.record("a").unwrap(), Some(vec![]));
        assert_eq!(store.record("b/2").unwrap(), Some(b"two".to_vec()));
        assert_eq!(store.record("c").unwrap(), None);
        assert_eq!(store.records("b/").unwrap(), owned(&[("b/1", b"one"), ("b/2", b"two")]));
        assert_eq!(store.records("b/1").unwrap(), owned(&[("b/1", b"one")]));
        assert_eq!(store.records("zebra").unwrap(), []);
        assert_eq!(store.records("").unwrap().len(), 5);
    });
}

fn documents_are_apart_at_the_ends_of_the_range<H: Home>() {
    let ends = [[0; 16], [255; 16]].map(DocId::from_bytes);
    let writes = ends.map(|doc| Write::Append { doc, record: doc.as_bytes().to_vec() });
    holding::<H>(&[&writes], |store| {
        assert_eq!(store.documents().unwrap(), ends);
        for doc in ends {
            assert_eq!(store.document(doc).unwrap().unwrap().log, [doc.as_bytes()]);
        }
    });
}

fn a_large_value_comes_back<H: Home>() {
    let large: Vec<u8> = (0..20_000_000u32).map(|number| (number / 7) as u8).collect();
    holding::<H>(
        &[&[snapshot(1, &large)], &[append(1, &large[..5_000_000]), put("large", &large[..70_000])]],
        |store| {
            let found = store.document(doc(1)).unwrap().unwrap();
            assert!(found.slices[0].1 == large);
            assert!(found.log[0] == large[..5_000_000]);
            assert!(store.record("large").unwrap().unwrap() == large[..70_000]);
        },
    );
}

fn what_is_too_large_is_refused_with_all_that_came_along<H: Home>() {
    let mut home = H::new();
    let mut store = home.open();
    // Never touched, so that it takes no memory.
    let huge = || vec![0; MAX_VALUE_BYTES + 1];
    let long_name = "x".repeat(MAX_NAME_BYTES + 1);
    for too_large in [
        Write::Append { doc: doc(1), record: huge() },
        Write::Snapshot { doc: doc(1), all: false, slices: vec![(start(1), None), (start(2), Some(huge()))] },
        Write::Put { key: "huge".to_owned(), value: huge() },
        Write::Stage { doc: doc(1), note: vec![1], all: true, slices: vec![(start(1), huge())] },
        put(&long_name, b""),
        Write::Delete { key: long_name.clone() },
    ] {
        let refused = store.commit(&[append(1, b"a"), too_large]);
        assert!(matches!(refused, Err(StoreError::TooLarge { bytes, limit }) if bytes == limit + 1));
        assert_eq!(store.documents().unwrap(), []);
    }
    store.commit(&[put(&long_name[1..], b"fits")]).unwrap();
    assert_eq!(store.record(&long_name[1..]).unwrap().unwrap(), b"fits");
}

fn a_backup_opens_as_a_store_of_its_own<H: Home>() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let mut home = H::new();
    let mut store = home.open();
    store
        .commit(&[snapshot(1, b"a"), append(1, b"b"), append(1, b"c"), append(2, b"d"), put("e", b"f")])
        .unwrap();
    let staged = |number: u8, of: u8, slice: &[u8]| {
        let slices = vec![(start(of), slice.to_vec())];
        Write::Stage { doc: doc(number), note: vec![1], all: true, slices }
    };
    store.commit(&[staged(7, 1, b"g"), Write::Adopt { doc: doc(7) }, staged(7, 2, b"h")]).unwrap();
    let begun = store.begin_backup().unwrap();
    store.commit(&[append(1, b"later"), Write::Remove { doc: doc(2) }, put("e", b"later")]).unwrap();
    begun(&file).unwrap();
    assert!(matches!(store.backup(&file), Err(StoreError::Io(_))), "a backup overwrites nothing");

    let restored = folder.path().join("restored");
    RedbStore::restore(&file, &restored, &[]).unwrap();
    let mut restored = RedbStore::open(&restored).unwrap();
    assert_eq!(restored.documents().unwrap(), [doc(1), doc(2), doc(7)]);
    assert_eq!(restored.document(doc(7)).unwrap(), stored(Some(b"g"), &[]));
    assert_eq!(restored.staged_document(doc(7)).unwrap().unwrap().slices, [(start(2), b"h".to_vec())]);
    assert_eq!(restored.document(doc(1)).unwrap(), stored(Some(b"a"), &[b"b", b"c"]));
    assert_eq!(restored.records("").unwrap(), [("e".to_owned(), b"f".to_vec())]);
    restored.commit(&[append(1, b"own")]).unwrap();
    assert_eq!(restored.document(doc(1)).unwrap(), stored(Some(b"a"), &[b"b", b"c", b"own"]));
    assert_eq!(store.document(doc(1)).unwrap(), stored(Some(b"a"), &[b"b", b"c", b"later"]));
    assert_no_leftovers(folder.path());
}

fn assert_no_leftovers(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains("partial"), "{name}");
    }
}

macro_rules! for_every_store {
    ($($behaviour:ident)*) => {
        mod redb { $(#[test] fn $behaviour() { super::$behaviour::<super::Disk>(); })* }
        mod memory { $(#[test] fn $behaviour() { super::$behaviour::<super::Memory>(); })* }
    };
}

for_every_store! {
    a_new_store_is_empty
    a_document_exists_from_its_first_write_on
    a_log_keeps_its_order_over_commits
    a_snapshot_drops_the_log_before_it_and_not_after
    slices_that_are_not_written_again_stay
    what_is_put_aside_is_not_the_document_until_it_becomes_it
    a_removed_document_is_gone_and_can_come_again
    records_are_found_by_name_and_by_prefix
    documents_are_apart_at_the_ends_of_the_range
    a_large_value_comes_back
    what_is_too_large_is_refused_with_all_that_came_along
    a_backup_opens_as_a_store_of_its_own
}
