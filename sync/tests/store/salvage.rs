//! What is read of a damaged store, and what is saved of it: nothing that was not written, and no more of a document than
//! some replica once was.

use std::fs;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::tempdir;
use tombolo_crdt::{AddWinsSet, Decoding, Delta, Dot, Limits, Merged, Replica, ReplicaId, Since, Version};
use tombolo_sync::DocId;
use tombolo_sync::store::{InspectedStore, Opened, RedbStore, Store, StoreError, Stored, Write};

const FILE: &str = "tombolo.redb";

type Numbers = AddWinsSet<u32>;

fn doc(number: u8) -> DocId {
    DocId::from_bytes([number.wrapping_mul(37); 16])
}

fn replica(of: u8) -> Replica<Numbers> {
    Replica::new(ReplicaId::from_bytes([of; 16]))
}

fn scattered(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| n.wrapping_mul(2_654_435_761))
}

/// A document, and everything it has been since its snapshot.
struct History {
    doc: DocId,
    been: Vec<(Version, Vec<u8>)>,
}

/// Writes a document of this many elements in its snapshot and records in its log.
fn write(store: &mut RedbStore, number: u8, elements: u32, records: u32) -> History {
    let mut numbers = replica(number);
    if elements > 0 {
        let _ = numbers.update(|all| all.extend(scattered(elements)));
        let _ = numbers.update(|all| all.remove(&0));
        let (doc, slices) = (doc(number), numbers.slices(&[]));
        if number == ARRIVED {
            let writes = [Write::Stage { doc, note: vec![1], all: true, slices }, Write::Adopt { doc }];
            store.commit(&writes).unwrap();
        } else {
            let slices = slices.into_iter().map(|(start, slice)| (start, Some(slice))).collect();
            store.commit(&[Write::Snapshot { doc, all: false, slices }]).unwrap();
        }
    }
    let mut been = vec![(numbers.version(), numbers.encode())];
    for n in 0..records {
        let (_, delta) = numbers.update(|all| {
            all.add(n);
            all.remove(&n.saturating_sub(3));
        });
        store.commit(&[Write::Append { doc: doc(number), record: delta.encode_body() }]).unwrap();
        been.push((numbers.version(), numbers.encode()));
    }
    History { doc: doc(number), been }
}

/// The document that came in pieces.
const ARRIVED: u8 = 4;

/// redb panics over garbled pages, which is expected here and need not be told.
fn quiet() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|location| location.file().contains("redb-")) {
            tell(panic);
        }
    }));
}

fn record(n: u32) -> (String, Vec<u8>) {
    (format!("record/{n}"), vec![n as u8; 30 + n as usize])
}

/// A store in `folder`, closed; and its file as `kill -9` would have left it.
fn written(folder: &Path) -> (Vec<History>, Vec<u8>) {
    let mut store = RedbStore::open(folder).unwrap();
    let histories = vec![
        write(&mut store, 1, 30_000, 0),
        write(&mut store, 2, 10, 12),
        write(&mut store, 3, 0, 40),
        write(&mut store, 4, 20_000, 20),
        write(&mut store, 5, 3, 0),
    ];
    for n in 0..60 {
        let (key, value) = record(n);
        store.commit(&[Write::Put { key, value }]).unwrap();
    }
    // And what waits to be a document is none.
    for number in [ARRIVED, 6] {
        let start = |counter| Dot { replica: ReplicaId::from_bytes([0xaa; 16]), counter };
        let slices = (1..4).map(|counter| (start(counter), vec![7; 3_000])).collect();
        let stage = Write::Stage { doc: doc(number), note: vec![1], all: true, slices };
        store.commit(&[stage]).unwrap();
    }
    let killed = fs::read(folder.join(FILE)).unwrap();
    (histories, killed)
}

/// The document that a store holds.
fn read(stored: &Stored) -> Replica<Numbers> {
    let mut decoding = Decoding::new(replica(0xee), &Limits::trusted());
    for (_, slice) in &stored.slices {
        decoding.take(&slice[..]).unwrap();
    }
    let mut numbers = decoding.finish();
    for record in &stored.log {
        let delta = Delta::decode_body(record, &Limits::trusted()).unwrap();
        assert_eq!(numbers.merge(delta), Ok(Merged::Applied));
    }
    numbers
}

/// Restores `file` and checks that all in it was written once. Says which documents are as they last were.
fn check(file: &Path, histories: &[History], seed: u64) -> Vec<DocId> {
    let folder = tempdir().unwrap();
    RedbStore::restore(file, folder.path(), &[]).unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    let mut whole = Vec::new();
    for id in store.documents().unwrap() {
        let history = histories.iter().find(|history| history.doc == id).expect("no document is made up");
        let numbers = read(&store.document(id).unwrap().unwrap());
        let found = (numbers.version(), numbers.encode());
        let at = history.been.iter().position(|been| *been == found);
        let at = at.unwrap_or_else(|| panic!("seed {seed}: {id} has never been so: {:?}", found.0));
        whole.extend((at + 1 == history.been.len()).then_some(id));
    }
    for found in store.records("").unwrap() {
        assert!((0..60).any(|n| record(n) == found), "seed {seed}: {}", found.0);
    }
    whole
}

#[test]
fn a_store_without_damage_is_described_and_saved_as_it_is() {
    let folder = tempdir().unwrap();
    let (histories, _) = written(folder.path());
    let file = folder.path().join(FILE);
    let before = fs::read(&file).unwrap();
    let found = InspectedStore::open(&file).unwrap();
    assert!(found.is_sound() && found.opened == Opened::AsItIs, "{:?}", found.problems);
    assert_eq!((found.documents.len(), found.records.len(), found.format), (5, 60, Some(6)));
    assert!(found.documents[&doc(1)].slices.len() > 1);
    assert_eq!(found.documents[&doc(3)].log.len(), 40);
    assert!(!found.documents[&doc(ARRIVED)].slices.is_empty());
    assert_eq!(found.staged.keys().copied().collect::<Vec<_>>(), [doc(ARRIVED), doc(6)]);
    assert_eq!(found.documents[&doc(2)].version(), histories[1].been.last().unwrap().0);
    let out = folder.path().join("out");
    let salvaged = found.salvage(&out, false).unwrap();
    assert!(salvaged.iter().all(|document| document.is_whole()));
    assert_eq!(check(&out, &histories, 0).len(), 5);
    assert!(found.salvage(&out, false).is_err(), "what is there is not written over");
    assert!(fs::read(&file).unwrap() == before);
}

#[test]
fn a_store_that_is_in_use_or_is_none_is_refused() {
    let folder = tempdir().unwrap();
    written(folder.path());
    let file = folder.path().join(FILE);
    let store = RedbStore::open(folder.path()).unwrap();
    assert!(matches!(InspectedStore::open(&file), Err(StoreError::Locked(path)) if path == file));
    drop(store);
    assert!(InspectedStore::open(&file).is_ok());
    assert!(matches!(InspectedStore::open(&folder.path().join("no")), Err(StoreError::Io(_))));
    for bytes in [&b""[..], b"redb", &[0; 10_000], &fs::read(&file).unwrap()[..3_000]] {
        let other = folder.path().join("other");
        fs::write(&other, bytes).unwrap();
        let refused = InspectedStore::open(&other);
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
        assert!(fs::read(&other).unwrap() == bytes);
    }
}

#[test]
fn a_store_that_was_not_closed_is_read_and_stays_as_it_is() {
    let folder = tempdir().unwrap();
    let mut store = RedbStore::open(folder.path()).unwrap();
    let history = write(&mut store, 3, 0, 10);
    let killed = folder.path().join("killed");
    fs::write(&killed, fs::read(folder.path().join(FILE)).unwrap()).unwrap();
    let before = fs::read(&killed).unwrap();
    let found = InspectedStore::open(&killed).unwrap();
    assert!(found.is_sound() && found.opened == Opened::Repaired, "{:?}", found.problems);
    assert_eq!(found.documents[&doc(3)].version(), history.been.last().unwrap().0);
    assert!(fs::read(&killed).unwrap() == before);
}

#[test]
fn of_a_document_with_a_wrong_slice_a_part_is_saved_only_when_asked_for() {
    let folder = tempdir().unwrap();
    let (histories, _) = written(folder.path());
    let file = folder.path().join(FILE);
    let whole = InspectedStore::open(&file).unwrap();
    let slices = whole.documents[&doc(1)].slices.len();
    assert!(slices > 2);
    let second = whole.documents[&doc(1)].slices[1].content.clone().unwrap();
    drop(whole);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(second.len()).position(|window| window == second).unwrap();
    bytes[at + second.len() / 2] ^= 0x10;
    fs::write(&file, &bytes).unwrap();

    let found = InspectedStore::open(&file).unwrap();
    assert!(!found.is_sound());
    let damaged: Vec<bool> =
        found.documents[&doc(1)].slices.iter().map(|slice| slice.content.is_none()).collect();
    assert_eq!(damaged.iter().position(|damaged| *damaged), Some(1));
    let out = folder.path().join("out");
    let salvaged = found.salvage(&out, false).unwrap();
    let of = |number| *salvaged.iter().find(|document| document.doc == doc(number)).unwrap();
    assert!(of(1).is_part && (of(1).slices, of(1).slices_lost, of(1).dots) == (0, slices, 0));
    assert!((2..6).all(|number| of(number).is_whole()));
    assert_eq!(check(&out, &histories, 0).len(), 4);

    let part = folder.path().join("part");
    let salvaged = found.salvage(&part, true).unwrap();
    let first = salvaged.iter().find(|document| document.doc == doc(1)).unwrap();
    assert_eq!((first.is_part, first.slices, first.slices_lost), (true, 1, slices - 1));
    let restored = tempdir().unwrap();
    RedbStore::restore(&part, restored.path(), &[]).unwrap();
    let store = RedbStore::open(restored.path()).unwrap();
    let part = read(&store.document(doc(1)).unwrap().unwrap());
    let all: std::collections::BTreeSet<u32> = scattered(30_000).collect();
    assert!(!part.is_empty() && part.iter().all(|number| all.contains(number)));
    assert_eq!(part.version().iter().map(|(_, dots)| dots).sum::<u64>(), first.dots);
}

#[test]
fn a_part_of_a_state_is_nothing_that_a_replica_ever_was() {
    // Why parts are not saved unasked: one would end up different from others at an equal version.
    let (mut ann, mut bob, mut eve) = (replica(9), replica(1), replica(5));
    let (_, delta) = ann.update(|all| all.extend(scattered(30_000)));
    let last = scattered(30_000).last().unwrap();
    bob.merge(delta.clone()).unwrap();
    eve.merge(delta).unwrap();
    let (_, removal) = bob.update(|all| all.remove(&last));

    let slices = bob.slices(&[]);
    let mut decoding = Decoding::new(replica(7), &Limits::trusted());
    decoding.take(&slices[0].1[..]).unwrap();
    let mut part: Replica<Numbers> = decoding.finish();
    let Since::Delta(lacked) = eve.delta_since(&part.version()) else { panic!("it lacks something") };
    part.merge(lacked).unwrap();
    eve.merge(removal).unwrap();
    assert_eq!(part.version(), eve.version());
    assert!(part.contains(&last) && !eve.contains(&last));
}

#[test]
fn whatever_is_garbled_only_what_was_written_is_saved() {
    let folder = tempdir().unwrap();
    let (histories, killed) = written(folder.path());
    let original = fs::read(folder.path().join(FILE)).unwrap();
    quiet();
    let (mut opened, mut whole, mut unchecked) = (0, 0, 0);
    let seeds = 16;
    for seed in 0..seeds {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // Every fourth file was not closed.
        let mut bytes = if seed % 4 == 0 { killed.clone() } else { original.clone() };
        for _ in 0..random.random_range(1..=8) {
            let at = random.random_range(if seed % 10 == 9 { 0 } else { 512 }..bytes.len());
            let end = (at + random.random_range(1..=200)).min(bytes.len());
            bytes[at..end].iter_mut().for_each(|byte| *byte = random.random());
        }
        let file = folder.path().join(format!("garbled {seed}"));
        fs::write(&file, &bytes).unwrap();
        let out = folder.path().join(format!("out {seed}"));
        if let Ok(found) = InspectedStore::open(&file) {
            opened += 1;
            unchecked += u32::from(found.opened == Opened::Unchecked);
            found.salvage(&out, false).unwrap();
            whole += check(&out, &histories, seed).len();
        }
        assert!(fs::read(&file).unwrap() == bytes, "seed {seed}: the file was changed");
    }
    println!(
        "of {seeds} files {opened} could be read, {unchecked} only unchecked, with {whole} documents as they last were"
    );
    assert!(unchecked > 0);
    assert!(opened > seeds * 3 / 4, "{opened}");
    assert!(whole > 2 * opened as usize, "{whole} of {opened} files");
}
