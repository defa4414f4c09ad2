//! What happens to documents, for those who render them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;
use tombolo_crdt::Version;

use crate::DocId;
use crate::engine::Origin;

/// How many changes wait for a slow subscriber before they are joined into one.
const BACKLOG: usize = 256;

/// A document changed: read it to see what it holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which document.
    pub document: DocId,
    /// By whom. For a [catch-up](Self::caught_up), by whom last.
    pub origin: Origin,
    /// What the document knew after it.
    pub version: Version,
    /// How many changes this one stands for: 1, or more if the subscriber was slow.
    pub caught_up: u64,
}

/// A stream of [`Change`]s. A slow subscriber gets one catch-up change a document instead of many: never a loss, and never
/// more memory than a bound.
#[derive(Debug)]
pub struct Changes {
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    /// `None`: all documents.
    only: Option<DocId>,
    waiting: Mutex<Waiting>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: VecDeque<Change>,
    closed: bool,
}

impl Changes {
    /// The next change; `None` once the node has been shut down.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            let notified = self.queue.notify.notified();
            {
                let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(change) = waiting.changes.pop_front() {
                    return Some(change);
                }
                if waiting.closed {
                    return None;
                }
            }
            notified.await;
        }
    }
}

/// Everybody who wants to know.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Mutex<Vec<Weak<Queue>>>);

impl Subscribers {
    pub(super) fn subscribe(&self, only: Option<DocId>) -> Changes {
        let queue = Arc::new(Queue { only, waiting: Mutex::default(), notify: Notify::new() });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&queue));
        Changes { queue }
    }

    pub(super) fn publish(&self, change: &Change) {
        self.each(|queue| {
            if queue.only.is_none_or(|only| only == change.document) {
                let mut waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                push(&mut waiting.changes, change.clone());
                drop(waiting);
                queue.notify.notify_one();
            }
        });
    }

    pub(super) fn close(&self) {
        self.each(|queue| {
            queue.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
            queue.notify.notify_one();
        });
    }

    fn each(&self, tell: impl Fn(&Queue)) {
        let mut subscribers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| match subscriber.upgrade() {
            Some(queue) => {
                tell(&queue);
                true
            }
            None => false,
        });
    }
}

/// Beyond the backlog, changes of one document are joined into one: at most one more a document than the backlog.
fn push(changes: &mut VecDeque<Change>, change: Change) {
    if changes.len() >= BACKLOG
        && let Some(at) = changes.iter().rposition(|waiting| waiting.document == change.document)
    {
        let caught_up = changes[at].caught_up + change.caught_up;
        changes[at] = Change { caught_up, ..change };
    } else {
        changes.push_back(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_subscriber_gets_one_catch_up_change_and_loses_nothing() {
        let change = |document, counter| Change {
            document: DocId::from_bytes([document; 16]),
            origin: Origin::Local,
            version: [(tombolo_crdt::ReplicaId::from_bytes([1; 16]), counter)].into_iter().collect(),
            caught_up: 1,
        };
        let mut changes = VecDeque::new();
        for counter in 1..=10_000 {
            push(&mut changes, change(1, counter));
        }
        push(&mut changes, change(2, 1));
        assert_eq!(changes.len(), BACKLOG + 1);
        assert_eq!(changes.iter().map(|change| change.caught_up).sum::<u64>(), 10_001);
        assert_eq!(changes[BACKLOG - 1].version, change(1, 10_000).version);
    }
}
