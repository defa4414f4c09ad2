//! Deltas that arrived before what they depend on: bounded and visible.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::causal::ReplicaId;
use crate::delta::Parts;

/// How many deltas wait at most.
pub(crate) const PENDING_DELTAS: usize = 1024;
/// How much heap waiting deltas take at most: 16 MiB.
pub(crate) const PENDING_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
struct Waiting {
    delta: Arc<Parts>,
    weight: usize,
    /// How many replica ids it had that the replica lacked when it came.
    new_rows: usize,
    /// How many of its needs are known to be met, in their order.
    met: usize,
    /// How many of its runs are known to be known, in their order.
    known: usize,
}

/// The waiting deltas, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    waiting: Vec<Waiting>,
    weight: usize,
    new_rows: usize,
}

impl Pending {
    /// Whether one more delta of this weight may wait.
    pub(crate) fn has_room(&self, weight: usize) -> bool {
        self.waiting.len() < PENDING_DELTAS && self.weight + weight <= PENDING_BYTES
    }

    /// Whether a delta of the same events, with the same dependencies, waits already: one that is sent again and again
    /// must not fill the buffer.
    pub(crate) fn holds(&self, delta: &Parts) -> bool {
        self.waiting.iter().any(|waiting| waiting.delta.says_the_same_as(delta))
    }

    /// How many replica ids the waiting deltas may add.
    pub(crate) fn new_rows(&self) -> usize {
        self.new_rows
    }

    pub(crate) fn push(&mut self, delta: Arc<Parts>, new_rows: usize) {
        let weight = delta.weight();
        self.weight += weight;
        self.new_rows += new_rows;
        self.waiting.push(Waiting { delta, weight, new_rows, met: 0, known: 0 });
    }

    /// How much heap the waiting deltas take.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Parts>> {
        self.waiting.iter().map(|waiting| &waiting.delta)
    }

    /// Drops the deltas that have become known by another way, and takes out the first of the others that need not wait
    /// any longer.
    ///
    /// What is known only grows, so each delta's needs are looked at once in all, however often this is called.
    pub(crate) fn take_ready(&mut self, known_to: impl Fn(ReplicaId) -> u64) -> Option<Arc<Parts>> {
        let mut at = 0;
        while let Some(waiting) = self.waiting.get_mut(at) {
            if waiting.is_known(&known_to) {
                self.remove(at);
            } else if waiting.is_ready(&known_to) {
                return Some(self.remove(at));
            } else {
                at += 1;
            }
        }
        None
    }

    fn remove(&mut self, at: usize) -> Arc<Parts> {
        let Waiting { delta, weight, new_rows, .. } = self.waiting.remove(at);
        self.weight -= weight;
        self.new_rows -= new_rows;
        delta
    }
}

impl Waiting {
    fn is_known(&mut self, known_to: impl Fn(ReplicaId) -> u64) -> bool {
        let delta = &self.delta;
        let run_is_known = |at: usize| {
            delta.events.get(at).is_some_and(|run| known_to(delta.table.id(run.replica)) >= run.last)
        };
        while run_is_known(self.known) {
            self.known += 1;
        }
        self.known == delta.events.len()
    }

    fn is_ready(&mut self, known_to: impl Fn(ReplicaId) -> u64) -> bool {
        while let Some((id, counter)) = self.delta.need(self.met) {
            if known_to(id) < counter {
                return false;
            }
            self.met += 1;
        }
        true
    }
}
