//! One flipped byte anywhere in a store: it is damage that says what to do, or it does not matter; never a wrong answer and
//! never a panic.
//!
//! `TOMBOLO_FLIP_SECONDS=N` goes on for so long at random places, and `TOMBOLO_SEED=N` chooses them again.
#![cfg(feature = "net")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::{folder, number, seed};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{AddWinsSet, Dot, MvRegister, PnCounter, ReplicaId};
use tombolo_sync::engine::StartError;
use tombolo_sync::store::{RedbStore, StagedDocument, Store, StoreError, Stored, Write};
use tombolo_sync::{DocId, Doubt, Error, Node};

const PAGE: usize = 4096;
/// Where redb's own header ends.
const HEADER: usize = 320;
/// Where it says which of two commits is the last, and whether the file was closed.
const FLAGS: usize = 9;

/// What came of opening a store or a home with a flipped byte, and of reading everything in it.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// All is as it was written.
    Right,
    /// It was refused for being damaged.
    Refused,
    /// All is as it was one commit earlier.
    Earlier,
}

/// How often what came of it.
#[derive(Debug, Default)]
struct Tally {
    right: usize,
    refused: usize,
    earlier: usize,
}

impl Tally {
    fn total(&self) -> usize {
        self.right + self.refused + self.earlier
    }
}

/// Flips bits of the file at `path`, one in each copy, and has `look` see what comes of it: of redb's header every `step`th
/// byte and all its flags, one in each page's head, one in its index and one in its data; and then any others while there is time.
fn sweep(path: &Path, good: &[u8], step: usize, mut look: impl FnMut(usize) -> Outcome) -> Tally {
    let mut random = ChaCha8Rng::seed_from_u64(seed());
    let from = random.random_range(0..step);
    let mut places: Vec<usize> = (from..HEADER).step_by(step).collect();
    for page in (PAGE..good.len()).step_by(PAGE) {
        // What kind of page and how many entries; where these end, or whom a branch points to; the rest.
        places.extend([0..4, 4..40, 40..PAGE].map(|within| page + random.random_range(within)));
    }
    let until = Instant::now() + Duration::from_secs(number("TOMBOLO_FLIP_SECONDS").unwrap_or(0));
    let mut tally = Tally::default();
    let mut flip = |at: usize, bit: u32| {
        let mut bad = good.to_vec();
        bad[at] ^= 1 << bit;
        // In the same file, which a home knows again.
        fs::write(path, &bad).unwrap();
        match look(at) {
            Outcome::Right => tally.right += 1,
            Outcome::Refused => tally.refused += 1,
            Outcome::Earlier => tally.earlier += 1,
        }
    };
    (0..8).for_each(|bit| flip(FLAGS, bit));
    for at in places {
        flip(at, random.random_range(0..8));
    }
    while Instant::now() < until {
        flip(random.random_range(0..good.len()), random.random_range(0..8));
    }
    tally
}

/// redb panics over garbled pages, which is expected here and need not be told.
fn quiet() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|location| location.file().contains("redb-")) {
            tell(panic);
        }
    }));
}

fn check_advice(error: &StoreError, at: usize) -> Outcome {
    assert!(matches!(error, StoreError::Damaged(_)), "a flip at {at}: {error:?}");
    let message = error.to_string();
    assert!(message.contains("salvage") && message.contains("backup"), "a flip at {at}: {message}");
    Outcome::Refused
}

type Content = (Vec<(DocId, Stored)>, Vec<(DocId, StagedDocument)>, Vec<(String, Vec<u8>)>, u64);

fn content(store: &RedbStore) -> Result<Content, StoreError> {
    let documents = store.documents()?.into_iter();
    let documents = documents.map(|doc| Ok((doc, store.document(doc)?.unwrap_or_default())));
    let staged = store.staged()?.into_iter();
    let staged = staged.map(|doc| Ok((doc, store.staged_document(doc)?.unwrap_or_default())));
    let (documents, staged) =
        (documents.collect::<Result<_, StoreError>>()?, staged.collect::<Result<_, StoreError>>()?);
    Ok((documents, staged, store.records("")?, store.commits()))
}

/// Commits a step of a story in which documents grow, are compacted and go.
fn step(store: &mut RedbStore, step: u8) {
    let doc = DocId::from_bytes([step % 7; 16]);
    let mut writes = vec![
        Write::Append { doc, record: vec![step; 40 + usize::from(step) * 9] },
        Write::Put { key: format!("record {}", step % 50), value: vec![step; 70] },
    ];
    let start = |of: u8| Dot { replica: ReplicaId::from_bytes([of; 16]), counter: u64::from(step) };
    match step % 11 {
        3 | 7 => {
            let slices = vec![(start(1), Some(vec![step; 6000])), (start(2), Some(vec![step; 500]))];
            writes.push(Write::Snapshot { doc, all: false, slices });
        }
        5 | 8 => {
            let slices = vec![(start(1), vec![step; 5000]), (start(2), vec![step; 300])];
            writes.push(Write::Stage { doc, note: vec![step], all: true, slices });
            if step % 11 == 8 {
                writes.push(Write::Adopt { doc });
            }
        }
        10 => writes.push(Write::Delete { key: format!("record {}", step % 50) }),
        _ => {}
    }
    store.commit(&writes).unwrap();
}

#[test]
fn a_flipped_byte_in_a_store_that_was_closed_is_damage_or_does_not_matter() {
    quiet();
    let folder = folder();
    let mut store = RedbStore::open(folder.path()).unwrap();
    (0..80).for_each(|number| step(&mut store, number));
    let written = content(&store).unwrap();
    drop(store);
    let file = RedbStore::file_in(folder.path());
    let good = fs::read(&file).unwrap();
    let tally =
        sweep(&file, &good, 1, |at| match RedbStore::open(folder.path()).and_then(|store| content(&store)) {
            Ok(read) => {
                assert!(read == written, "a wrong answer after a flip at {at}");
                Outcome::Right
            }
            Err(error) => check_advice(&error, at),
        });
    println!("{} bytes, {} flips: {tally:?}", good.len(), tally.total());
    assert!(tally.refused > 50 && tally.right > 50, "{tally:?}");
}

/// What a killed process leaves is what a power cut leaves: that its last commit cannot be told from one that did not reach the
/// disk is the price of one wait for the disk a commit. So a flip in it takes it out, whole, and never more than it. A home tells
/// that from what is noted outside of it: see below.
#[test]
fn a_flipped_byte_in_a_store_that_was_not_closed_takes_the_last_commit_at_most_and_that_whole() {
    quiet();
    let folder = folder();
    let mut store = RedbStore::open(folder.path()).unwrap();
    (0..40).for_each(|number| step(&mut store, number));
    let before = content(&store).unwrap();
    step(&mut store, 40);
    let written = content(&store).unwrap();
    let file = RedbStore::file_in(folder.path());
    let good = fs::read(&file).unwrap();
    drop(store);
    let tally =
        sweep(&file, &good, 5, |at| match RedbStore::open(folder.path()).and_then(|store| content(&store)) {
            Ok(read) if read == written => Outcome::Right,
            Ok(read) if read == before => Outcome::Earlier,
            Ok(_) => panic!("a wrong answer after a flip at {at}"),
            Err(error) => check_advice(&error, at),
        });
    println!("{} bytes, {} flips: {tally:?}", good.len(), tally.total());
    assert!(tally.refused > 20 && tally.right > 20, "{tally:?}");
}

#[test]
fn a_document_whose_key_was_garbled_is_missed_in_a_large_store_too() {
    quiet();
    let folder = folder();
    let mut store = RedbStore::open(folder.path()).unwrap();
    let doc = DocId::from_bytes([2; 16]);
    let start = Dot { replica: ReplicaId::from_bytes([1; 16]), counter: 1 };
    let large = Write::Put { key: "large".to_owned(), value: vec![7; 65 << 20] };
    let snapshot = Write::Snapshot { doc, all: true, slices: vec![(start, Some(vec![1; 2000]))] };
    store.commit(&[large, snapshot]).unwrap();
    drop(store);
    let file = RedbStore::file_in(folder.path());
    let mut bytes = fs::read(&file).unwrap();
    // The leaf of one entry that has it: behind its head of eight bytes stand its keys.
    let is_leaf = |page: &[u8]| page[..4] == [1, page[1], 1, 0] && page[8..24] == *doc.as_bytes();
    let leaf = bytes.chunks_exact(PAGE).position(is_leaf).expect("the slice is somewhere");
    bytes[leaf * PAGE + 8] ^= 1;
    fs::write(&file, &bytes).unwrap();
    check_advice(&RedbStore::open(folder.path()).expect_err("a document has another name"), leaf * PAGE + 8);
}

/// What an application sees of a home.
#[derive(Debug, PartialEq)]
struct Seen {
    name: String,
    peer: String,
    documents: Vec<String>,
    visits: Option<i64>,
    words: Option<Vec<String>>,
    title: Option<Vec<String>>,
}

async fn start(folder: &Path, witness: &Path) -> Result<Node, Error> {
    Node::builder(folder).witness(witness).offline().start().await
}

fn seen(node: &Node) -> Seen {
    let words = node.find::<AddWinsSet<String>>("words").unwrap();
    let title = node.find::<MvRegister<String>>("title").unwrap();
    Seen {
        name: node.name().to_owned(),
        peer: node.peer_id().to_string(),
        documents: node.list().iter().map(|listed| listed.name.clone()).collect(),
        visits: node.find::<PnCounter>("visits").unwrap().map(|visits| visits.read(|visits| visits.value())),
        words: words.map(|words| words.read(|words| words.iter().cloned().collect())),
        title: title.map(|title| title.read(|title| title.values().cloned().collect())),
    }
}

/// The store of a home, and what notes outside of it how far it has got.
#[derive(PartialEq)]
struct Files {
    store: PathBuf,
    content: Vec<u8>,
    note: PathBuf,
    noted: Vec<u8>,
}

impl Files {
    fn of(folder: &Path, witness: &Path) -> Self {
        let notes: Vec<_> = fs::read_dir(witness).unwrap().map(|file| file.unwrap().path()).collect();
        let [note] = &notes[..] else { panic!("one home has one witness: {notes:?}") };
        let store = RedbStore::file_in(folder);
        let (content, noted) = (fs::read(&store).unwrap(), fs::read(note).unwrap());
        Self { store, content, note: note.clone(), noted }
    }

    /// As a process that is killed now leaves them.
    fn killed(folder: &Path, witness: &Path) -> Self {
        loop {
            let files = Self::of(folder, witness);
            // Nothing was written while they were read.
            if files == Self::of(folder, witness) {
                return files;
            }
        }
    }
}

/// What was written to a home, and what it left.
struct Written {
    /// What it showed before its last commit, and after it.
    before: Seen,
    seen: Seen,
    /// As it is if its process is killed, and as it is if it was closed.
    killed: Files,
    closed: Files,
}

/// Makes a home of documents in several slices, and with changes in their logs.
async fn home(folder: &Path, witness: &Path) -> Written {
    let node = Node::builder(folder).witness(witness).create().name("ann").offline().start().await.unwrap();
    let visits = node.open::<PnCounter>("visits").unwrap();
    let words = node.open::<AddWinsSet<String>>("words").unwrap();
    let title = node.open::<MvRegister<String>>("title").unwrap();
    let many = (0..3_000).map(|n| format!("word {n} {}", "x".repeat(n % 30)));
    words.update(|words| words.extend(many)).await.unwrap();
    for n in 0..30 {
        visits.update(|visits| visits.inc(1)).await.unwrap();
        title.update(|title| title.set(format!("title {n}"))).await.unwrap();
        words.update(|words| words.remove(&format!("word {n} {}", "x".repeat(n % 30)))).await.unwrap();
    }
    let before = seen(&node);
    visits.update(|visits| visits.inc(1)).await.unwrap();
    let (seen, killed) = (seen(&node), Files::killed(folder, witness));
    node.shutdown().await;
    Written { before, seen, killed, closed: Files::of(folder, witness) }
}

/// Flips bytes of the store of a home, and starts it. What it shows must be what it showed, or what it did before its last commit if
/// it says that it was set back.
fn sweep_home(folder: &Path, witness: &Path, files: &Files, [before, seen_last]: [&Seen; 2]) -> Tally {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tally = sweep(&files.store, &files.content, 5, |at| {
        fs::write(&files.note, &files.noted).unwrap();
        match runtime.block_on(start(folder, witness)) {
            Ok(node) => {
                let (read, doubt) = (seen(&node), node.doubt());
                runtime.block_on(node.shutdown());
                match doubt {
                    None => {
                        assert!(read == *seen_last, "a wrong answer after a flip at {at}");
                        Outcome::Right
                    }
                    Some(Doubt::SetBack { commits, at_least }) => {
                        assert_eq!(commits + 1, at_least, "after a flip at {at}");
                        assert!(read == *before, "a wrong answer after a flip at {at}");
                        Outcome::Earlier
                    }
                    Some(other) => panic!("{other:?} after a flip at {at}"),
                }
            }
            Err(Error::Store(error) | Error::Start(StartError::Store(error))) => check_advice(&error, at),
            Err(other) => panic!("{other:?} after a flip at {at}"),
        }
    });
    println!("{} bytes, {} flips: {tally:?}", files.content.len(), tally.total());
    assert!(tally.refused > 50 && tally.right > 50, "{tally:?}");
    tally
}

#[test]
fn a_flipped_byte_in_a_home_that_was_closed_is_damage_or_does_not_matter() {
    quiet();
    let folder = folder();
    let (home_folder, witness) = (folder.path().join("home"), folder.path().join("state"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Written { before, seen, closed, .. } = runtime.block_on(home(&home_folder, &witness));
    let tally = sweep_home(&home_folder, &witness, &closed, [&before, &seen]);
    assert_eq!(tally.earlier, 0, "{tally:?}");
}

/// Where the store alone cannot tell that its last commit is missing, the home does.
#[test]
fn a_flipped_byte_in_a_home_that_was_killed_is_damage_or_a_doubt_or_does_not_matter() {
    quiet();
    let folder = folder();
    let (home_folder, witness) = (folder.path().join("home"), folder.path().join("state"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Written { before, seen, killed, .. } = runtime.block_on(home(&home_folder, &witness));
    let tally = sweep_home(&home_folder, &witness, &killed, [&before, &seen]);
    assert!(tally.earlier > 20, "{tally:?}");
}
