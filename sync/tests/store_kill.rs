//! Processes that are killed, and processes that want the same store.
//!
//! `store_kill_sweep.rs` and `node_kill.rs` kill more often.
#![cfg(unix)]

#[allow(dead_code)]
mod common;

use std::time::Duration;

use common::{child, folder_of_child, kill, say};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::tempdir;
use tombolo_crdt::{Dot, ReplicaId};
use tombolo_sync::DocId;
use tombolo_sync::store::{RedbStore, Store, StoreError, Write};

fn counted() -> DocId {
    DocId::from_bytes([1; 16])
}

/// The numbers in the store; checks that they are a beginning of the natural ones, in every place they are written to.
fn numbers(store: &RedbStore) -> u64 {
    let stored = store.document(counted()).unwrap().unwrap_or_default();
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes[..8].try_into().unwrap());
    let compacted = stored.slices.first().map_or(0, |(_, slice)| number(slice));
    for (expected, record) in (compacted..).zip(&stored.log) {
        assert_eq!(number(record), expected);
    }
    let count = compacted + stored.log.len() as u64;
    let recorded = store.record("count").unwrap().map_or(0, |value| number(&value));
    assert_eq!(count, recorded, "a commit is there as a whole");
    count
}

/// Commits numbers, each with a record that counts them, now and then with a snapshot; says each that is durable.
#[test]
fn child_counts() {
    let Some(folder) = folder_of_child() else { return };
    let mut store = RedbStore::open(&folder).unwrap();
    for number in numbers(&store).. {
        let mut record = number.to_be_bytes().to_vec();
        record.resize(8 + (number as usize * 37) % 5000, 0);
        let next = (number + 1).to_be_bytes().to_vec();
        let mut writes = vec![
            Write::Append { doc: counted(), record },
            Write::Put { key: "count".to_owned(), value: next.clone() },
        ];
        if number % 50 == 49 {
            let start = Dot { replica: ReplicaId::from_bytes([1; 16]), counter: 1 };
            writes.push(Write::Snapshot { doc: counted(), all: false, slices: vec![(start, Some(next))] });
        }
        store.commit(&writes).unwrap();
        say(number);
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let folder = tempdir().unwrap();
    let seed = rand_seed();
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut durable = 0;
    for round in 0..12 {
        let (child, said) = child("child_counts", folder.path());
        // Half the time after a number of commits, half the time whatever it does, starting included.
        let reader = std::thread::spawn(move || said.last());
        let milliseconds = random.random_range(if round % 2 == 0 { 5..60 } else { 60..500 });
        std::thread::sleep(Duration::from_millis(milliseconds));
        kill(child);
        if let Some(last) = reader.join().unwrap() {
            durable = last.parse::<u64>().unwrap() + 1;
        }
        let store = RedbStore::open(folder.path()).unwrap();
        let found = numbers(&store);
        assert!(found == durable || found == durable + 1, "{found} numbers of {durable} acknowledged");
        durable = found;
    }
    println!("{durable} commits survived");
    assert!(durable > 20, "only {durable} commits in all");
}

fn rand_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::from(since.subsec_nanos())
}

/// Creates one store after the other; says how many.
#[test]
fn child_creates() {
    let Some(folder) = folder_of_child() else { return };
    for number in 0u64.. {
        let home = folder.join(number.to_string());
        say(number);
        let mut store = RedbStore::open(&home).unwrap();
        store.commit(&[Write::Append { doc: counted(), record: vec![1] }]).unwrap();
    }
}

#[test]
fn a_process_killed_while_it_creates_a_store_leaves_one_that_opens() {
    let folder = tempdir().unwrap();
    let seed = rand_seed();
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for round in 0..25u32 {
        let round = folder.path().join(round.to_string());
        let (child, mut said) = child("child_creates", &round);
        said.nth(random.random_range(0..3)).unwrap();
        std::thread::sleep(Duration::from_micros(random.random_range(0..20_000)));
        kill(child);
        for home in std::fs::read_dir(&round).into_iter().flatten() {
            let mut store = RedbStore::open(&home.unwrap().path()).unwrap();
            let records = store.document(counted()).unwrap().unwrap_or_default().log.len();
            assert!(records <= 1);
            store.commit(&[Write::Append { doc: counted(), record: vec![2] }]).unwrap();
            assert_eq!(store.document(counted()).unwrap().unwrap().log.len(), records + 1);
        }
    }
}

/// Opens the store and keeps it open.
#[test]
fn child_holds() {
    let Some(folder) = folder_of_child() else { return };
    let _store = RedbStore::open(&folder).unwrap();
    say("open");
    std::thread::sleep(Duration::from_secs(60));
}

/// Tries to open the store.
#[test]
fn child_tries() {
    let Some(folder) = folder_of_child() else { return };
    say(match RedbStore::open(&folder) {
        Ok(_) => "opened".to_owned(),
        Err(StoreError::Locked(path)) => format!("locked {}", path.display()),
        Err(other) => other.to_string(),
    });
}

#[test]
fn a_store_is_locked_between_processes_until_the_holder_ends() {
    let folder = tempdir().unwrap();
    let (holder, mut said) = child("child_holds", folder.path());
    assert_eq!(said.next().unwrap(), "open");
    let refused = RedbStore::open(folder.path());
    assert!(matches!(refused, Err(StoreError::Locked(_))), "{refused:?}");
    kill(holder);

    let store = RedbStore::open(folder.path()).unwrap();
    let tries = || {
        let (mut child, mut said) = child("child_tries", folder.path());
        let answer = said.next().unwrap();
        said.for_each(drop);
        child.wait().unwrap();
        answer
    };
    assert_eq!(tries(), format!("locked {}", folder.path().join("tombolo.redb").display()));
    drop(store);
    assert_eq!(tries(), "opened");
}
