//! Deltas that arrived before what they depend on: bounded and visible.

use std::sync::Arc;

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
        self.waiting.push(Waiting { delta, weight, new_rows });
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Parts>> {
        self.waiting.iter().map(|waiting| &waiting.delta)
    }

    /// Takes out the first delta for which `ready` says yes.
    pub(crate) fn take_first(&mut self, ready: impl Fn(&Parts) -> bool) -> Option<Arc<Parts>> {
        let at = self.waiting.iter().position(|waiting| ready(&waiting.delta))?;
        let Waiting { delta, weight, new_rows } = self.waiting.remove(at);
        self.weight -= weight;
        self.new_rows -= new_rows;
        Some(delta)
    }

    /// Drops the deltas that have become known by another way.
    pub(crate) fn drop_known(&mut self, known: impl Fn(&Parts) -> bool) {
        self.waiting.retain(|waiting| {
            let stays = !known(&waiting.delta);
            if !stays {
                self.weight -= waiting.weight;
                self.new_rows -= waiting.new_rows;
            }
            stays
        });
    }
}
