//! The recent deltas of a replica, so that a peer a little behind gets exactly what it lacks.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::causal::ReplicaIndex;
use crate::delta::Parts;

/// How much heap a ring keeps: 4 MiB, about 40 000 small changes.
pub(crate) const RING_BYTES: usize = 4 * 1024 * 1024;

/// Recent deltas, oldest first, and the version below which they are forgotten.
#[derive(Debug)]
pub(crate) struct Ring {
    deltas: VecDeque<Arc<Parts>>,
    weight: usize,
    capacity: usize,
    /// By row of the replica's table: events up to here are not, or not all, in `deltas`.
    base: Vec<u64>,
}

impl Ring {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { deltas: VecDeque::new(), weight: 0, capacity, base: Vec::new() }
    }

    /// Forgets all deltas: of everything known, only the state remains.
    pub(crate) fn restart(&mut self, known: &[u64]) {
        self.deltas.clear();
        self.weight = 0;
        self.base = known.to_vec();
    }

    pub(crate) fn set_capacity(
        &mut self,
        capacity: usize,
        row_of: impl Fn(&Parts, ReplicaIndex) -> ReplicaIndex,
    ) {
        self.capacity = capacity;
        self.trim(row_of);
    }

    /// Keeps a delta. `row_of` finds a delta's row in the replica's table.
    pub(crate) fn push(&mut self, delta: Arc<Parts>, row_of: impl Fn(&Parts, ReplicaIndex) -> ReplicaIndex) {
        self.weight += delta.weight();
        self.deltas.push_back(delta);
        self.trim(row_of);
    }

    fn trim(&mut self, row_of: impl Fn(&Parts, ReplicaIndex) -> ReplicaIndex) {
        while self.weight > self.capacity {
            let Some(oldest) = self.deltas.pop_front() else { break };
            self.weight -= oldest.weight();
            for run in &oldest.events {
                let row = row_of(&oldest, run.replica) as usize;
                if self.base.len() <= row {
                    self.base.resize(row + 1, 0);
                }
                self.base[row] = self.base[row].max(run.last);
            }
        }
    }

    pub(crate) fn base(&self) -> &[u64] {
        &self.base
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Parts>> {
        self.deltas.iter()
    }
}
