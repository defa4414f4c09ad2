//! Group commit: many small batches, one wait for the disk.
//!
//! A disk takes about as long to make one record durable as to make a thousand. So the store runs on a thread of its
//! own; while it waits for the disk, batches gather, and the next commit takes all of them.
//!
//! ```text
//! submit 7 ─┐                            ┌─ commit [7]        ─ on_done 7..=7
//! submit 8 ─┤                            │
//! submit 9 ─┼──▶ queue ──▶ store thread ─┼─ commit [8, 9]     ─ on_done 8..=9
//! with_store┤                            ├─ the call
//! submit 10 ┘                            └─ commit [10]       ─ on_done 10..=10
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use super::error::panic_message;
use super::{Store, StoreError, Write};

/// The most bytes joined in one commit. Beyond that, the disk's bandwidth is the limit and no longer its latency, and
/// those who wait for the first batch would wait for nothing.
const GROUP_BYTES: usize = 8 << 20;

/// The most batches joined in one commit, which bounds the time of a commit of tiny ones.
const GROUP_BATCHES: usize = 10_000;

/// Writes that become durable together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number, one more than that of the batch submitted before.
    pub id: u64,
    /// What to write, in this order.
    pub writes: Vec<Write>,
}

/// What became of the batches `first..=last`.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The first batch.
    pub first: u64,
    /// The last batch.
    pub last: u64,
    /// Durable, or why not; then nothing of these batches is visible, except after [`StoreError::InDoubt`].
    pub result: Result<(), Arc<StoreError>>,
}

/// A store on its own thread.
///
/// Batches become durable in the order in which they were submitted, each entirely or not at all. Completions come in
/// the same order, each batch in exactly one of them.
///
/// **After a failed commit nothing is committed any more**, until [`resume`](Self::resume): a batch that was submitted
/// in the belief that the one before it would become durable must not become durable alone. Its completion carries the
/// same error.
///
/// Dropping it commits what was submitted, and waits for that.
#[derive(Debug)]
pub struct GroupCommit {
    // `None` only while it is dropped.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

enum Job {
    Batch(Batch),
    Call(Call),
    Resume,
}

type Call = Box<dyn FnOnce(&mut dyn Store) + Send>;

impl GroupCommit {
    /// Starts a thread that runs `store`, and `on_done` after every commit.
    ///
    /// Commits wait while `on_done` runs: it should hand the news on and return. It may submit, but a
    /// [`with_store`](Self::with_store) in it fails.
    ///
    /// # Errors
    /// [`StoreError::Io`] when no thread can be started.
    pub fn start(
        store: impl Store,
        on_done: impl FnMut(Completion) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = channel();
        let worker =
            Worker { store: Box::new(store), on_done: Box::new(on_done), queue, carried: None, failed: None };
        let thread = thread::Builder::new().name("tombolo-store".to_owned()).spawn(|| worker.run())?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands over a batch. Never waits; the answer is a [`Completion`].
    ///
    /// The queue has no bound: who submits faster than the disk writes must bound what is under way.
    ///
    /// # Errors
    /// [`StoreError::Stopped`] if there is no thread any more that could answer, because `on_done` panicked.
    pub fn submit(&self, batch: Batch) -> Result<(), StoreError> {
        self.send(Job::Batch(batch))
    }

    /// Runs `f` on the store, after everything submitted before is durable or has failed; waits for its answer.
    ///
    /// # Errors
    /// [`StoreError::Stopped`] if the store's thread panicked, now or before, or if this is called on that thread.
    pub fn with_store<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut dyn Store) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        if self.thread.as_ref().is_some_and(|thread| thread.thread().id() == thread::current().id()) {
            return Err(StoreError::Stopped("the store's own thread cannot wait for itself".to_owned()));
        }
        let (answer, answered) = channel();
        self.send(Job::Call(Box::new(move |store| {
            // Nobody is there to hear it only if the caller's thread is gone.
            let _ = answer.send(f(store));
        })))?;
        // An answer that is dropped unsent was on a thread that panicked.
        answered.recv().map_err(|_| gone())
    }

    /// Writes a backup of what is durable once everything submitted before is, on the calling thread, while commits go
    /// on.
    ///
    /// # Errors
    /// As [`Store::backup`], or as [`with_store`](Self::with_store).
    pub fn backup(&self, path: &Path) -> Result<(), StoreError> {
        let backup = self.with_store(|store| store.begin_backup())??;
        backup(path)
    }

    /// Goes on after a failed commit: batches submitted from now on are committed again, those before are not.
    ///
    /// To be called when all that failed is known and will be submitted anew, or never.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn resume(&self) -> Result<(), StoreError> {
        self.send(Job::Resume)
    }

    /// Commits what was submitted, runs the completions, and ends the thread and the store.
    ///
    /// # Errors
    /// [`StoreError::Stopped`] if `on_done` panicked. What failed otherwise, the completions told.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.end()
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or_else(gone)
    }

    fn end(&mut self) -> Result<(), StoreError> {
        // The queue ends here; the thread still takes all that is in it.
        self.jobs = None;
        match self.thread.take() {
            // Dropped in `on_done`: a thread cannot wait for its own end.
            Some(thread) if thread.thread().id() == thread::current().id() => Ok(()),
            Some(thread) => thread.join().map_err(|_| gone()),
            None => Ok(()),
        }
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        // `close` tells; a panic has already been reported on its thread.
        let _ = self.end();
    }
}

fn gone() -> StoreError {
    StoreError::Stopped("its thread panicked".to_owned())
}

struct Worker {
    store: Box<dyn Store>,
    on_done: Box<dyn FnMut(Completion) + Send>,
    queue: Receiver<Job>,
    /// A job taken from the queue that did not fit in the group before it.
    carried: Option<Job>,
    /// Why nothing is committed any more.
    failed: Option<Failure>,
}

enum Failure {
    /// The store refused, and may be asked again.
    Refused(Arc<StoreError>),
    /// The store panicked: nothing is known about it.
    Panicked(Arc<StoreError>),
}

impl Worker {
    fn run(mut self) {
        while let Some(job) = self.next(|queue| queue.recv().ok()) {
            match job {
                Job::Batch(batch) => self.commit(batch),
                Job::Call(call) => self.call(call),
                Job::Resume => {
                    if let Some(Failure::Refused(_)) = self.failed {
                        self.failed = None;
                    }
                }
            }
        }
    }

    fn next(&mut self, take: impl FnOnce(&Receiver<Job>) -> Option<Job>) -> Option<Job> {
        self.carried.take().or_else(|| take(&self.queue))
    }

    /// Commits `batch` together with those that wait behind it.
    fn commit(&mut self, batch: Batch) {
        let (first, mut last) = (batch.id, batch.id);
        let mut bytes = size(&batch);
        let mut batches = 1;
        let mut writes = batch.writes;
        while batches < GROUP_BATCHES {
            match self.next(|queue| queue.try_recv().ok()) {
                // INVARIANT: a group is a range of ids, so that its completion names what is in it and nothing else.
                Some(Job::Batch(mut batch))
                    if last.checked_add(1) == Some(batch.id) && bytes + size(&batch) <= GROUP_BYTES =>
                {
                    last = batch.id;
                    bytes += size(&batch);
                    batches += 1;
                    writes.append(&mut batch.writes);
                }
                Some(job) => {
                    self.carried = Some(job);
                    break;
                }
                None => break,
            }
        }
        let result = self.make_durable(&writes);
        (self.on_done)(Completion { first, last, result });
    }

    fn make_durable(&mut self, writes: &[Write]) -> Result<(), Arc<StoreError>> {
        if let Some(Failure::Refused(error) | Failure::Panicked(error)) = &self.failed {
            return Err(Arc::clone(error));
        }
        match catch_unwind(AssertUnwindSafe(|| self.store.commit(writes))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let error = Arc::new(error);
                self.failed = Some(Failure::Refused(Arc::clone(&error)));
                Err(error)
            }
            Err(panic) => {
                let message = panic_message(&*panic);
                self.failed = Some(Failure::Panicked(stopped(message)));
                Err(Arc::new(StoreError::InDoubt(message.to_owned())))
            }
        }
    }

    /// Runs a call, unless the store panicked before; who waits for it learns from the dropped answer.
    fn call(&mut self, call: Call) {
        if let Some(Failure::Panicked(_)) = self.failed {
            return;
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| call(&mut *self.store))) {
            self.failed = Some(Failure::Panicked(stopped(panic_message(&*panic))));
        }
    }
}

fn stopped(message: &str) -> Arc<StoreError> {
    Arc::new(StoreError::Stopped(format!("its thread panicked: {message}")))
}

fn size(batch: &Batch) -> usize {
    batch.writes.iter().map(Write::size).sum()
}
