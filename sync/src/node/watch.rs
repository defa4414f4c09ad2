//! What becomes different in a document, step by step, for those who show it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use tombolo_crdt::Crdt;

use super::Document;
use crate::DocId;
use crate::engine::Step;

/// How many steps wait for who watches.
const MOST_STEPS: usize = 1_024;
/// And how many bytes of memory they take, unless it is one alone: 4 MiB.
const MOST_BYTES: usize = 4 << 20;

/// More became different than is kept for who does not look: take a fresh [`view`](Watch::view), and go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more became different than is kept for who does not look: take a fresh view")]
pub struct Lagged;

/// What becomes different in a document, from the view that [`Document::watch`] took of it on.
///
/// As long as there is one, the document is in memory, and every change of it costs a look at what it changes, or where it is made here
/// three times as much as it did.
#[must_use = "who watches wants to be told"]
pub struct Watch<T: Crdt> {
    document: Document<T>,
    queue: Arc<Queue>,
}

impl<T: Crdt> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("document", &self.document).finish_non_exhaustive()
    }
}

impl<T: Crdt> Watch<T> {
    /// Begins to watch, and takes the first view.
    pub(super) fn new<R>(document: Document<T>, look: impl FnOnce(&T::State) -> R) -> (R, Self) {
        let queue = Arc::new(Queue { waiting: Mutex::default(), notify: Notify::new() });
        document.shared().watched.add(document.id(), &queue);
        let mut watch = Self { document, queue };
        let view = watch.view(look);
        (view, watch)
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &Document<T> {
        &self.document
    }

    /// The next step; `None` when there will be none: the node has been shut down, or the document is deleted for good. That it was deleted is
    /// a step before that, to what an empty document reads as.
    ///
    /// Whoever drops the future misses nothing.
    ///
    /// # Errors
    /// [`Lagged`] when more became different than is kept, until a fresh [`view`](Self::view) is taken.
    pub async fn next(&mut self) -> Option<Result<Step, Lagged>> {
        loop {
            let notified = self.queue.notify.notified();
            let next = self.queue.lock().next();
            match next {
                Next::Nothing => notified.await,
                Next::Over => return None,
                Next::Told(told) => return Some(told),
            }
        }
    }

    /// The next step, if there is one already. So whoever draws sixty times a second takes all there are at once.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn try_next(&mut self) -> Option<Result<Step, Lagged>> {
        match self.queue.lock().next() {
            Next::Told(told) => Some(told),
            Next::Nothing | Next::Over => None,
        }
    }

    /// As [`next`](Self::next), blocking this thread.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn wait(&mut self) -> Option<Result<Step, Lagged>> {
        futures::executor::block_on(self.next())
    }

    /// A fresh view: lets `look` read the value. What it shows is not told again; the next step goes on from it.
    ///
    /// # Panics
    /// If `look` calls the node or a document again.
    pub fn view<R>(&mut self, look: impl FnOnce(&T::State) -> R) -> R {
        let (shared, id) = (self.document.shared(), self.document.id());
        shared.with_engine(|engine, _| {
            let mut waiting = self.queue.lock();
            waiting.forget();
            if waiting.state == State::Idle {
                let is_there = !shared.is_stopped() && engine.watch::<T>(id);
                waiting.state = if is_there { State::Told } else { State::Over };
            }
            drop(waiting);
            match engine.document::<T>(id) {
                Some(replica) => look(replica),
                None => look(&T::State::default()),
            }
        })
    }
}

impl<T: Crdt> Drop for Watch<T> {
    fn drop(&mut self) {
        if self.queue.lock().state == State::Told {
            self.document.shared().unwatched(self.document.id());
        }
    }
}

/// What waits for one who watches.
struct Queue {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

#[derive(Default)]
struct Waiting {
    steps: VecDeque<Step>,
    bytes: usize,
    state: State,
}

/// Whether the engine gathers what becomes different for this one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// It does not: not yet, or not until a fresh view is taken.
    #[default]
    Idle,
    /// It does.
    Told,
    /// It never will again.
    Over,
}

enum Next {
    Told(Result<Step, Lagged>),
    Nothing,
    Over,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn next(&mut self) -> Next {
        if let Some(step) = self.steps.pop_front() {
            self.bytes -= step.size_hint();
            return Next::Told(Ok(step));
        }
        match self.state {
            State::Idle => Next::Told(Err(Lagged)),
            State::Told => Next::Nothing,
            State::Over => Next::Over,
        }
    }

    fn forget(&mut self) {
        (self.steps, self.bytes) = (VecDeque::new(), 0);
    }

    /// Has a step wait. Says whether it does not, because that would be too much.
    fn push(&mut self, step: &Step) -> bool {
        let bytes = step.size_hint();
        // What is larger than all there may be is handed on if nothing else waits: it is there already, and no more is made for it.
        let is_too_much = self.steps.len() >= MOST_STEPS || self.bytes + bytes > MOST_BYTES;
        if is_too_much && !self.steps.is_empty() {
            self.forget();
            self.state = State::Idle;
            return true;
        }
        self.bytes += bytes;
        self.steps.push_back(step.clone());
        false
    }
}

/// Everybody who watches, by document.
#[derive(Default)]
pub(super) struct Watched(Mutex<BTreeMap<DocId, Vec<Weak<Queue>>>>);

impl Watched {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<DocId, Vec<Weak<Queue>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, doc: DocId, queue: &Arc<Queue>) {
        self.lock().entry(doc).or_default().push(Arc::downgrade(queue));
    }

    /// Hands a step to all who watch a document. Says for how many nothing more is to be gathered.
    pub(super) fn tell(&self, doc: DocId, step: &Step) -> usize {
        let mut lagging = 0;
        self.each(doc, |queue| {
            let mut waiting = queue.lock();
            if waiting.state == State::Told {
                lagging += usize::from(waiting.push(step));
                drop(waiting);
                queue.notify.notify_one();
            }
        });
        lagging
    }

    /// A document is gone for good.
    pub(super) fn end(&self, doc: DocId) {
        self.each(doc, Queue::end);
        self.lock().remove(&doc);
    }

    /// The node is shut down.
    pub(super) fn close(&self) {
        for queue in std::mem::take(&mut *self.lock()).into_values().flatten() {
            queue.upgrade().iter().for_each(|queue| queue.end());
        }
    }

    fn each(&self, doc: DocId, mut tell: impl FnMut(&Queue)) {
        let mut watched = self.lock();
        let Some(queues) = watched.get_mut(&doc) else { return };
        queues.retain(|queue| match queue.upgrade() {
            Some(queue) => {
                tell(&queue);
                true
            }
            None => false,
        });
        if queues.is_empty() {
            watched.remove(&doc);
        }
    }
}

impl Queue {
    fn end(&self) {
        self.lock().state = State::Over;
        self.notify.notify_one();
    }
}
