//! Everything that was ever done to a document, and what had happened before what.

use std::collections::BTreeSet;

use tombolo_crdt::{ReplicaId, Version};

/// One operation, where it stands in time.
#[derive(Debug, Clone)]
pub struct Operation<O> {
    /// What was done.
    pub what: O,
    /// Who did it.
    pub author: ReplicaId,
    at: usize,
    /// Everything that happened before it: what its author had seen, and what came earlier in the same transaction.
    before: BTreeSet<usize>,
}

/// The full set of events: no replica has one, and the definitions of the types are over it.
#[derive(Debug)]
pub struct History<O> {
    operations: Vec<Operation<O>>,
    /// For each transaction its operations, and the version entry from which on it is known.
    transactions: Vec<(std::ops::Range<usize>, ReplicaId, u64)>,
}

impl<O> Default for History<O> {
    fn default() -> Self {
        Self { operations: Vec::new(), transactions: Vec::new() }
    }
}

impl<O> History<O> {
    /// Writes down a transaction: what its author had seen before, what was done, and the one version entry that says
    /// that it is known.
    ///
    /// # Panics
    /// If `known_as` does not name exactly the author's entry.
    pub fn record(&mut self, seen: &Version, known_as: &Version, operations: impl IntoIterator<Item = O>) {
        self.record_each(seen, known_as, operations, |_, _, what| vec![what]);
    }

    /// As [`record`](Self::record), where what was done depends on what its author saw just then: `done` says what, given what
    /// had happened before.
    ///
    /// # Panics
    /// As [`record`](Self::record).
    pub fn record_each<I>(
        &mut self,
        seen: &Version,
        known_as: &Version,
        items: impl IntoIterator<Item = I>,
        done: impl Fn(&Self, &[usize], I) -> Vec<O>,
    ) {
        let [(author, counter)] = known_as.iter().collect::<Vec<_>>()[..] else {
            panic!("a transaction is of one author, not of {known_as:?}")
        };
        let mut before: Vec<usize> = self.visible(seen);
        let first = self.operations.len();
        for item in items {
            for what in done(self, &before, item) {
                let at = self.operations.len();
                self.operations.push(Operation {
                    what,
                    author,
                    at,
                    before: before.iter().copied().collect(),
                });
                before.push(at);
            }
        }
        self.transactions.push((first..self.operations.len(), author, counter));
    }

    /// The operations that a replica at `version` has seen.
    ///
    /// # Panics
    /// If that is no causal cut: if it has seen something, and not what happened before that.
    #[must_use]
    pub fn visible(&self, version: &Version) -> Vec<usize> {
        let known = self.transactions.iter().filter(|(_, author, counter)| version.get(*author) >= *counter);
        let visible: BTreeSet<usize> = known.flat_map(|(operations, ..)| operations.clone()).collect();
        for &at in &visible {
            assert!(self.operations[at].before.is_subset(&visible), "{version:?} is no causal cut");
        }
        visible.into_iter().collect()
    }

    /// The first operation of the transaction of which this dot is.
    #[must_use]
    pub fn of_dot(&self, author: ReplicaId, counter: u64) -> Option<usize> {
        let those = self.transactions.iter().filter(|(_, by, last)| *by == author && *last >= counter);
        those.min_by_key(|(_, _, last)| *last).map(|(operations, ..)| operations.start)
    }

    /// An operation.
    #[must_use]
    pub fn operation(&self, at: usize) -> &Operation<O> {
        &self.operations[at]
    }

    /// What had happened before an operation.
    #[must_use]
    pub fn before(&self, at: usize) -> Vec<usize> {
        self.operations[at].before.iter().copied().collect()
    }

    /// As [`happened_before`](Self::happened_before), of operations.
    #[must_use]
    pub fn is_before(&self, earlier: &Operation<O>, later: &Operation<O>) -> bool {
        later.before.contains(&earlier.at)
    }

    /// Whether the first happened before the second.
    #[must_use]
    pub fn happened_before(&self, earlier: usize, later: usize) -> bool {
        self.operations[later].before.contains(&earlier)
    }

    /// The operations that count, of all there are: those that `counts`, given an operation and those before it that count.
    pub fn counting(&self, counts: impl Fn(&Operation<O>, &[&Operation<O>]) -> bool) -> BTreeSet<usize> {
        let mut counting = BTreeSet::new();
        // Operations come after everything that happened before them.
        for (at, operation) in self.operations.iter().enumerate() {
            let before: Vec<_> =
                operation.before.intersection(&counting).map(|&at| &self.operations[at]).collect();
            if counts(operation, &before) {
                counting.insert(at);
            }
        }
        counting
    }

    /// Of the visible operations that `is_write` accepts, those for which no visible later one `undoes` them.
    pub fn standing<'h>(
        &'h self,
        visible: &'h [usize],
        is_write: impl Fn(&O) -> bool + 'h,
        undoes: impl Fn(&O, &O) -> bool + 'h,
    ) -> impl Iterator<Item = &'h Operation<O>> + 'h {
        let undone = move |at: usize| {
            visible.iter().any(|&later| {
                self.happened_before(at, later)
                    && undoes(&self.operations[later].what, &self.operations[at].what)
            })
        };
        visible
            .iter()
            .copied()
            .filter(move |&at| is_write(&self.operations[at].what) && !undone(at))
            .map(|at| &self.operations[at])
    }
}
