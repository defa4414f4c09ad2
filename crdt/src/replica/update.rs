//! Writing: state and delta at once, or nothing at all.

use std::convert::Infallible;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Replica, row_in};
use crate::causal::{CausalContext, HybridClock, Tx};
use crate::delta::{Delta, DeltaTree, Parts, Run, add_dependency};
use crate::store::{Crdt, DotStore, Join, Mut};

impl<T: Crdt> Replica<T> {
    /// One transaction: everything `write` does becomes visible at once, here and everywhere. Yields what the closure
    /// returns and the delta for the others; a transaction that changed nothing yields an empty delta.
    ///
    /// Costs time and memory in proportion to the change.
    ///
    /// # Panics
    /// If `write` does. The transaction is then undone, as if it had never begun.
    pub fn update<R>(&mut self, write: impl for<'a> FnOnce(&mut T::Mut<'a>) -> R) -> (R, Delta<T>) {
        match self.try_update(|value| Ok::<R, Infallible>(write(value))) {
            Ok(done) => done,
            Err(never) => match never {},
        }
    }

    /// As [`update`](Self::update), but `write` may fail: state, delta and dots are then undone exactly.
    ///
    /// # Errors
    /// That of `write`.
    ///
    /// # Panics
    /// If `write` does. The transaction is then undone.
    pub fn try_update<R, E>(
        &mut self,
        write: impl for<'a> FnOnce(&mut T::Mut<'a>) -> Result<R, E>,
    ) -> Result<(R, Delta<T>), E> {
        let me = self.intern(self.id);
        self.me = Some(me);
        let tx = Tx::new(me, self.known[me as usize], self.clock.clone(), Arc::clone(&self.table));
        let mut attempt = Attempt { replica: self, tx: Some(tx), tree: DeltaTree::default() };
        let tx = attempt.tx.as_mut().expect("taken only by `commit`");
        let value = write(&mut Mut::root(&mut attempt.replica.state, &mut attempt.tree, tx).into())?;
        Ok((value, attempt.commit()))
    }

    fn undo(&mut self, tree: &DeltaTree) {
        let inverse = tree.inverse();
        let mut dots = Vec::new();
        inverse.each_carried(&mut |dot| dots.push(dot));
        let carried = CausalContext::from_dots(dots);
        // What comes back was observed before; the clock needs no news of it.
        let mut clock = HybridClock::default();
        let mut join = Join::new(&[], &self.table, &self.table, &carried, &mut clock);
        join.below(&mut self.state, &inverse);
    }
}

/// A transaction under way. Dropping it without `commit`, by an error or by unwinding, undoes it.
struct Attempt<'r, T: Crdt> {
    replica: &'r mut Replica<T>,
    tx: Option<Tx>,
    tree: DeltaTree,
}

impl<T: Crdt> Drop for Attempt<'_, T> {
    fn drop(&mut self) {
        if self.tx.is_some() {
            self.replica.undo(&self.tree);
        }
    }
}

impl<T: Crdt> Attempt<'_, T> {
    fn commit(mut self) -> Delta<T> {
        // SUBTLE: this may panic, when all counters are used up; from the next line on nothing may, for the transaction
        // could no longer be undone.
        self.tx.as_mut().expect("committed once").close();
        let tx = self.tx.take().expect("committed once");
        let mut tree = std::mem::take(&mut self.tree);
        let replica = &mut *self.replica;
        if tx.opened {
            replica.state.prune(&tree);
        }
        tree.seal();
        let me = replica.me.expect("set when the transaction began");
        let (first, last) = tx.range();
        replica.clock = tx.into_clock();
        let mut parts = Parts {
            table: Arc::clone(&replica.table),
            deps: SmallVec::new(),
            events: SmallVec::new(),
            tree,
            is_state: false,
            author_epoch: Some(replica.epoch),
        };
        if last < first {
            return Delta::from_parts(Arc::new(parts));
        }
        // Everything our last transaction depended on is implied by our own run; beside it stand what came in since,
        // and whatever is covered, so that a cover outside the past can be told at the door.
        for row in replica.raised.drain(..) {
            add_dependency(&mut parts.deps, row, replica.known[row as usize]);
        }
        let mut covered_rows = SmallVec::<[u32; 4]>::new();
        parts.tree.each_cover(&mut |cover| {
            for (row, _, _) in cover.runs() {
                if row != me && !covered_rows.contains(&row) {
                    covered_rows.push(row);
                }
            }
        });
        for row in covered_rows {
            add_dependency(&mut parts.deps, row, replica.known[row as usize]);
        }
        parts.events.push(Run { replica: me, first, last });
        replica.known[me as usize] = last;
        let parts = Arc::new(parts);
        let table = Arc::clone(&replica.table);
        replica.ring.push(Arc::clone(&parts), |delta, row| row_in(&table, delta, row));
        Delta::from_parts(parts)
    }
}
