//! Deltas that arrived before what they depend on: bounded and visible.

use std::sync::Arc;

use crate::delta::Parts;

/// How many deltas wait at most.
pub(crate) const PENDING_DELTAS: usize = 1024;
/// How much heap waiting deltas take at most: 16 MiB.
pub(crate) const PENDING_BYTES: usize = 16 * 1024 * 1024;

/// The waiting deltas, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    waiting: Vec<Arc<Parts>>,
    weight: usize,
}

impl Pending {
    /// Whether one more delta of this weight may wait.
    pub(crate) fn has_room(&self, weight: usize) -> bool {
        self.waiting.len() < PENDING_DELTAS && self.weight + weight <= PENDING_BYTES
    }

    pub(crate) fn push(&mut self, delta: Arc<Parts>) {
        self.weight += delta.weight();
        self.waiting.push(delta);
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Parts>> {
        self.waiting.iter()
    }

    /// Takes out the first delta for which `ready` says yes.
    pub(crate) fn take_first(&mut self, ready: impl FnMut(&Arc<Parts>) -> bool) -> Option<Arc<Parts>> {
        let at = self.waiting.iter().position(ready)?;
        let delta = self.waiting.remove(at);
        self.weight -= delta.weight();
        Some(delta)
    }

    /// Drops the deltas that have become known by another way.
    pub(crate) fn drop_known(&mut self, known: impl Fn(&Parts) -> bool) {
        self.waiting.retain(|delta| !known(delta));
        self.weight = self.waiting.iter().map(|delta| delta.weight()).sum();
    }
}
