//! `kill -9` at random points of thousands of commits and compactions: what was acknowledged is there after reopening, and every
//! batch is there as a whole or not at all.
//!
//! `TOMBOLO_KILL_SECONDS=N` goes on for so long, and `TOMBOLO_SEED=N` repeats the choices (not the timing, which is the
//! machine's).
#![cfg(unix)]

#[allow(dead_code)]
mod common;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use common::{child, folder, folder_of_child, kill, number, say, seed};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{Dot, ReplicaId};
use tombolo_sync::DocId;
use tombolo_sync::store::{Batch, GroupCommit, MemoryStore, RedbStore, Store, Stored, Write};

/// How long the sweep takes if nothing else is said.
const SECONDS: u64 = 8;
/// How many batches are under way at most.
const WINDOW: u64 = 12;
/// Every so many batches, a document is compacted.
const COMPACTION: u64 = 15;

fn start(of: u64) -> Dot {
    Dot { replica: ReplicaId::from_bytes([of as u8; 16]), counter: of + 1 }
}

/// What the batch of this number writes: a bit of everything, and how many batches there were.
fn writes(batch: u64) -> Vec<Write> {
    let doc = DocId::from_bytes([(batch % 4) as u8; 16]);
    let bytes = |length: u64| vec![(batch % 251) as u8; (batch * 37 % length) as usize];
    let mut writes = vec![
        Write::Append { doc, record: bytes(1500) },
        Write::Put { key: format!("record {}", batch % 20), value: bytes(90) },
    ];
    if batch.is_multiple_of(COMPACTION) {
        let slices = vec![
            (start(batch % 7), Some(bytes(20_000))),
            (start(batch % 5 + 7), Some(bytes(300))),
            (start((batch + 3) % 7), None),
        ];
        writes.push(Write::Snapshot { doc, all: batch.is_multiple_of(2), slices });
    }
    if batch % 211 == 210 {
        writes.push(Write::Remove { doc });
    }
    if batch % 9 == 8 {
        writes.push(Write::Delete { key: format!("record {}", (batch + 4) % 20) });
    }
    writes.push(Write::Put { key: "batches".to_owned(), value: (batch + 1).to_be_bytes().to_vec() });
    writes
}

/// How many batches a store holds.
fn batches(store: &dyn Store) -> u64 {
    let count = store.record("batches").unwrap();
    count.map_or(0, |count| u64::from_be_bytes(count[..].try_into().unwrap()))
}

type Content = (Vec<(DocId, Stored)>, Vec<(String, Vec<u8>)>);

fn content(store: &dyn Store) -> Content {
    let documents = store.documents().unwrap().into_iter();
    let documents = documents.map(|doc| (doc, store.document(doc).unwrap().unwrap()));
    (documents.collect(), store.records("").unwrap())
}

/// Commits batch after batch; says the last of those that have become durable.
#[test]
fn child_commits() {
    let Some(folder) = folder_of_child() else { return };
    let store = RedbStore::open(&folder).unwrap();
    let first = batches(&store);
    let (done, room) = channel();
    let group = GroupCommit::start(store, move |completion| {
        completion.result.unwrap();
        say(completion.last);
        for _ in completion.first..=completion.last {
            let _ = done.send(());
        }
    });
    let group = group.unwrap();
    for id in first.. {
        if id >= first + WINDOW {
            room.recv().unwrap();
        }
        group.submit(Batch { id, writes: writes(id) }).unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_point_of_commits_and_compactions() {
    let folder = folder();
    let mut random = ChaCha8Rng::seed_from_u64(seed());
    let until = Instant::now() + Duration::from_secs(number("TOMBOLO_KILL_SECONDS").unwrap_or(SECONDS));
    let mut model = MemoryStore::new();
    let (mut held, mut kills) = (0, 0);
    while Instant::now() < until {
        let (child, mut said) = child("child_commits", folder.path());
        // Often amid commits; else whatever it does, which may be to open what the last kill left.
        let first = if random.random_bool(0.8) { said.next() } else { None };
        let reader = std::thread::spawn(move || said.last());
        std::thread::sleep(Duration::from_micros(random.random_range(0..120_000)));
        kill(child);
        kills += 1;
        let acknowledged =
            reader.join().unwrap().or(first).map_or(held, |last| last.parse::<u64>().unwrap() + 1);

        let store = RedbStore::open(folder.path()).unwrap();
        let found = batches(&store);
        assert!(
            (acknowledged..=acknowledged + WINDOW).contains(&found),
            "{found} batches of {acknowledged} acknowledged ones"
        );
        (held..found).for_each(|batch| model.commit(&writes(batch)).unwrap());
        assert!(content(&store) == content(&model), "of {found} batches not all are there as a whole");
        held = found;
    }
    println!("{kills} kills, {held} commits, {} compactions", held / COMPACTION);
    assert!(kills > 10 && held > 300, "nothing much was tested: {kills} kills, {held} commits");
}
