//! Mints dots and stamps for one atomic update.

use std::sync::Arc;

use super::{HybridClock, LocalDot, MAX_COUNTER, ReplicaIndex, ReplicaTable, Stamp};

/// One transaction under way: a contiguous run of this replica's dots, and the clock.
#[derive(Debug)]
pub struct Tx {
    replica: ReplicaIndex,
    /// The counter before the transaction.
    before: u64,
    last: u64,
    clock: HybridClock,
    table: Arc<ReplicaTable>,
    /// Something was removed: the transaction needs a dot even if it carries nothing.
    pub(crate) covered: bool,
    /// A map entry was opened for writing and may have stayed empty.
    pub(crate) opened: bool,
}

impl Tx {
    pub(crate) fn new(
        replica: ReplicaIndex,
        before: u64,
        clock: HybridClock,
        table: Arc<ReplicaTable>,
    ) -> Self {
        Self { replica, before, last: before, clock, table, covered: false, opened: false }
    }

    /// The next dot.
    ///
    /// # Panics
    /// When the replica has written [`MAX_COUNTER`] items to the document.
    pub(crate) fn dot(&mut self) -> LocalDot {
        assert!(self.last < MAX_COUNTER, "a replica may write at most {MAX_COUNTER} items to one document");
        self.last += 1;
        LocalDot::new(self.replica, self.last)
    }

    pub(crate) fn stamp(&mut self) -> Stamp {
        self.clock.tick()
    }

    /// Whether `dot` was minted in this transaction.
    pub(crate) fn minted(&self, dot: LocalDot) -> bool {
        dot.replica() == self.replica && dot.counter() > self.before
    }

    /// Whether `dot` is of this replica, of this or an earlier transaction.
    pub(crate) fn own(&self, dot: LocalDot) -> bool {
        dot.replica() == self.replica
    }

    pub(crate) fn table(&self) -> &ReplicaTable {
        &self.table
    }

    /// Gives a transaction that only removed its dot: equal versions must mean equal states.
    pub(crate) fn close(&mut self) {
        if self.covered && self.last == self.before {
            self.dot();
        }
    }

    /// The dots minted: `before + 1 ..= last`.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.before + 1, self.last)
    }

    pub(crate) fn into_clock(self) -> HybridClock {
        self.clock
    }
}
