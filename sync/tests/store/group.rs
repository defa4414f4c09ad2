//! Group commit: order, completeness, failures, and what it is for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::tempdir;
use tombolo_sync::DocId;
use tombolo_sync::store::{
    Backup, Batch, Completion, GroupCommit, MemoryStore, RedbStore, StagedDocument, Store, StoreError,
    Stored, Write,
};

fn doc(number: u8) -> DocId {
    DocId::from_bytes([number; 16])
}

fn batch(id: u64) -> Batch {
    Batch { id, writes: vec![Write::Append { doc: doc(0), record: id.to_be_bytes().to_vec() }] }
}

/// A store that counts commits, and does before each what a test wants.
struct Watched<S, F> {
    store: S,
    commits: Arc<AtomicU64>,
    before: F,
}

impl<S: Store, F: FnMut(&mut S) + Send + 'static> Store for Watched<S, F> {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        (self.before)(&mut self.store);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.store.commit(writes)
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

/// A store in memory whose commits each wait for a permit.
fn gated() -> (Sender<()>, impl Store, Arc<AtomicU64>) {
    let (permits, gate) = channel();
    let commits = Arc::new(AtomicU64::new(0));
    let before = move |_: &mut MemoryStore| {
        // No more permits come: go on without.
        let _ = gate.recv();
    };
    (permits, Watched { store: MemoryStore::new(), commits: Arc::clone(&commits), before }, commits)
}

fn start(store: impl Store) -> (GroupCommit, Receiver<Completion>) {
    let (done, completions) = channel();
    let group = GroupCommit::start(store, move |completion| {
        let _ = done.send(completion);
    });
    (group.unwrap(), completions)
}

fn log(group: &GroupCommit) -> Vec<u64> {
    let stored = group.with_store(|store| store.document(doc(0)).unwrap()).unwrap().unwrap_or_default();
    stored.log.iter().map(|record| u64::from_be_bytes(record[..].try_into().unwrap())).collect()
}

fn ranges(completions: impl IntoIterator<Item = Completion>) -> Vec<(u64, u64, bool)> {
    completions.into_iter().map(|done| (done.first, done.last, done.result.is_ok())).collect()
}

#[test]
fn many_writers_share_few_commits_and_keep_their_order() {
    const WRITERS: u64 = 64;
    const BATCHES: u64 = 1000;
    let folder = tempdir().unwrap();
    let commits = Arc::new(AtomicU64::new(0));
    let store = RedbStore::open(folder.path()).unwrap();
    let (group, completions) =
        start(Watched { store, commits: Arc::clone(&commits), before: |_: &mut RedbStore| {} });

    let next = Mutex::new(1);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (group, next) = (&group, &next);
            scope.spawn(move || {
                for number in 0..BATCHES {
                    let record = [writer.to_be_bytes(), number.to_be_bytes()].concat();
                    let mut id = next.lock().unwrap();
                    let writes = vec![Write::Append { doc: doc((number % 10) as u8), record }];
                    group.submit(Batch { id: *id, writes }).unwrap();
                    *id += 1;
                }
            });
        }
    });
    group.close().unwrap();

    // Each batch in one completion, in order.
    let mut expected = 1;
    for done in completions {
        assert_eq!(done.first, expected);
        assert!(done.last >= done.first && done.result.is_ok());
        expected = done.last + 1;
    }
    assert_eq!(expected, WRITERS * BATCHES + 1);

    // Nothing lost, and every writer's records in its order.
    let store = RedbStore::open(folder.path()).unwrap();
    let mut found: HashMap<(u8, u64), Vec<u64>> = HashMap::new();
    for number in 0..10 {
        for record in store.document(doc(number)).unwrap().unwrap().log {
            let half = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
            found.entry((number, half(&record[..8]))).or_default().push(half(&record[8..]));
        }
    }
    assert_eq!(found.len() as u64, WRITERS * 10);
    for ((number, _), records) in found {
        assert_eq!(records, (u64::from(number)..BATCHES).step_by(10).collect::<Vec<_>>());
    }

    let commits = commits.load(Ordering::Relaxed);
    println!("{} batches in {commits} commits", WRITERS * BATCHES);
    assert!(commits < WRITERS * BATCHES / 20, "{commits} commits");
}

#[test]
fn what_waits_while_the_disk_is_busy_is_committed_together() {
    let (permits, store, commits) = gated();
    let (group, completions) = start(store);
    group.submit(batch(1)).unwrap();
    while commits.load(Ordering::Relaxed) == 0 {
        permits.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(ranges(completions.recv()), [(1, 1, true)]);

    // Batch 2 may be on its way alone before the others come.
    (2..=100).for_each(|id| group.submit(batch(id)).unwrap());
    drop(permits);
    group.close().unwrap();
    let done = ranges(completions);
    assert!(done.len() <= 4, "{done:?}");
    assert_eq!(done.last().unwrap().1, 100);
}

#[test]
fn a_group_is_bounded_in_bytes() {
    let (permits, store, commits) = gated();
    let (group, completions) = start(store);
    let large = |id| Batch { id, writes: vec![Write::Append { doc: doc(1), record: vec![0; 3 << 20] }] };
    let larger = Batch { id: 7, writes: vec![Write::Append { doc: doc(1), record: vec![0; 20 << 20] }] };
    group.submit(batch(0)).unwrap();
    (1..7).for_each(|id| group.submit(large(id)).unwrap());
    group.submit(larger).unwrap();
    group.submit(batch(8)).unwrap();
    drop(permits);
    group.close().unwrap();
    let done = ranges(completions);
    assert!(done.contains(&(7, 7, true)) && done.iter().all(|(first, last, _)| last - first < 3), "{done:?}");
    assert!(commits.load(Ordering::Relaxed) >= 5);
}

#[test]
fn ids_that_are_not_in_a_row_are_not_reported_as_one_range() {
    let (permits, store, _) = gated();
    let (group, completions) = start(store);
    [5, 6, 9, 10, 3].into_iter().for_each(|id| group.submit(batch(id)).unwrap());
    drop(permits);
    group.close().unwrap();
    let ids: Vec<u64> = completions.iter().flat_map(|done| done.first..=done.last).collect();
    assert_eq!(ids, [5, 6, 9, 10, 3]);
}

#[test]
fn a_call_sees_everything_submitted_before_it_and_nothing_after() {
    let (group, completions) = start(MemoryStore::new());
    for id in 0..50 {
        group.submit(batch(id)).unwrap();
        assert_eq!(log(&group), (0..=id).collect::<Vec<_>>());
    }
    group.close().unwrap();
    assert_eq!(completions.iter().last().unwrap().last, 49);
}

#[test]
fn a_failed_commit_fails_the_whole_range_and_what_follows_until_resumed() {
    let full = Arc::new(AtomicBool::new(false));
    let before = {
        let full = Arc::clone(&full);
        move |disk: &mut MemoryStore| disk.set_full(full.load(Ordering::Relaxed))
    };
    let (group, completions) = start(Watched { store: MemoryStore::new(), commits: Arc::default(), before });
    group.submit(batch(1)).unwrap();
    assert_eq!(log(&group), [1]);

    full.store(true, Ordering::Relaxed);
    (2..=5).for_each(|id| group.submit(batch(id)).unwrap());
    assert_eq!(log(&group), [1]);
    full.store(false, Ordering::Relaxed);
    group.submit(batch(6)).unwrap();
    assert_eq!(log(&group), [1], "6 was submitted in the belief that 2 to 5 would be there");

    group.resume().unwrap();
    (7..=8).for_each(|id| group.submit(batch(id)).unwrap());
    assert_eq!(log(&group), [1, 7, 8]);
    group.close().unwrap();

    let mut failed = Vec::new();
    for done in completions {
        if let Err(error) = done.result {
            assert!(matches!(*error, StoreError::Io(_)));
            failed.extend(done.first..=done.last);
        }
    }
    assert_eq!(failed, [2, 3, 4, 5, 6]);
}

#[test]
fn dropping_it_commits_what_was_submitted() {
    let folder = tempdir().unwrap();
    let (group, completions) = start(RedbStore::open(folder.path()).unwrap());
    (0..500).for_each(|id| group.submit(batch(id)).unwrap());
    drop(group);
    assert_eq!(completions.iter().last().unwrap().last, 499);
    let store = RedbStore::open(folder.path()).unwrap();
    assert_eq!(store.document(doc(0)).unwrap().unwrap().log.len(), 500);
}

#[test]
fn a_panic_of_the_store_is_an_error_for_all_and_a_deadlock_for_none() {
    let commits = Arc::new(AtomicU64::new(0));
    let store =
        Watched { store: MemoryStore::new(), commits, before: |_: &mut MemoryStore| panic!("head crash") };
    let (group, completions) = start(store);
    group.submit(batch(1)).unwrap();
    let done = completions.recv().unwrap();
    assert!(matches!(&*done.result.unwrap_err(), StoreError::InDoubt(why) if why == "head crash"));

    group.submit(batch(2)).unwrap();
    let done = completions.recv().unwrap();
    assert!(matches!(&*done.result.unwrap_err(), StoreError::Stopped(_)));
    assert!(matches!(group.with_store(|store| store.documents()), Err(StoreError::Stopped(_))));
    group.resume().unwrap();
    group.submit(batch(3)).unwrap();
    assert!(completions.recv().unwrap().result.is_err(), "nothing is known about a store that panicked");
    group.close().unwrap();
}

#[test]
fn a_panic_in_a_call_is_an_error_for_its_caller() {
    let (group, _completions) = start(MemoryStore::new());
    let answer = group.with_store(|_| -> u8 { panic!("oh") });
    assert!(matches!(answer, Err(StoreError::Stopped(_))));
    assert!(group.with_store(|_| ()).is_err());
}

#[test]
fn a_panic_in_on_done_stops_everything_and_blocks_no_one() {
    let group = GroupCommit::start(MemoryStore::new(), |_| panic!("cannot hear it")).unwrap();
    group.submit(batch(1)).unwrap();
    assert!(matches!(group.with_store(|_| ()), Err(StoreError::Stopped(_))));
    let patience = Instant::now() + Duration::from_secs(5);
    while group.submit(batch(2)).is_ok() {
        assert!(Instant::now() < patience);
        std::thread::yield_now();
    }
    assert!(matches!(group.close(), Err(StoreError::Stopped(_))));
}

#[test]
fn on_done_may_submit_and_hold_the_last_handle_but_not_wait() {
    let (done, completions) = channel();
    let slot: Arc<Mutex<Option<Arc<GroupCommit>>>> = Arc::default();
    let group = GroupCommit::start(MemoryStore::new(), {
        let slot = Arc::clone(&slot);
        move |completion: Completion| {
            let mut slot = slot.lock().unwrap();
            if let Some(group) = slot.as_ref() {
                assert!(group.with_store(|_| ()).is_err());
                if completion.last < 5 {
                    group.submit(batch(completion.last + 1)).unwrap();
                } else {
                    *slot = None;
                }
            }
            let _ = done.send(completion.last);
        }
    });
    let group = Arc::new(group.unwrap());
    *slot.lock().unwrap() = Some(Arc::clone(&group));
    group.submit(batch(1)).unwrap();
    drop(group);
    assert_eq!(completions.iter().take(5).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_backup_holds_what_was_submitted_before_it() {
    let folder = tempdir().unwrap();
    let (group, _completions) = start(RedbStore::open(&folder.path().join("home")).unwrap());
    (0..100).for_each(|id| group.submit(batch(id)).unwrap());
    group.backup(&folder.path().join("backup")).unwrap();
    assert!(group.backup(&folder.path().join("backup")).is_err());
    RedbStore::restore(&folder.path().join("backup"), &folder.path().join("restored"), &[]).unwrap();
    let restored = RedbStore::open(&folder.path().join("restored")).unwrap();
    assert_eq!(restored.document(doc(0)).unwrap().unwrap().log.len(), 100);
}
