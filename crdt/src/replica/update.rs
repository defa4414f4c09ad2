//! Writing: state and delta at once, or nothing at all.

use alloc::sync::Arc;
use alloc::vec;
use core::convert::Infallible;

use super::{Replica, count, row_in};
use crate::causal::HybridClock;
use crate::delta::{Delta, DeltaTree, Parts, Run, repeats_a_key};
use crate::store::{Changes, Crdt, DotStore, Join, Look, Mut, Rows, compare};

impl<T: Crdt> Replica<T> {
    /// One transaction: everything `write` does becomes visible at once, here and everywhere. Yields what the closure
    /// returns and the delta for the others; a transaction that changed nothing yields an empty delta.
    ///
    /// An error that the closure returns is a value like any other, and undoes nothing: what may fail as a whole goes through
    /// [`try_update`](Self::try_update).
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
        let me = self.me.unwrap_or_else(|| self.intern(self.id));
        self.me = Some(me);
        self.tx.begin(me, self.known[me as usize]);
        let attempt = Attempt::new(self);
        let value = write(&mut Mut::root(&mut attempt.replica.state, &mut attempt.replica.tx).into())?;
        Ok((value, attempt.commit()))
    }

    /// As [`update`](Self::update), and says what became different.
    ///
    /// Costs three times as much: the transaction is undone, what it changed is looked at, and it is done again.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsMap, Plain, PnCounter, Replica, ReplicaId, What};
    ///
    /// let mut stock = Replica::<AddWinsMap<String, PnCounter>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = stock.update(|stock| stock.at("apples").inc(3));
    /// let (_, _, changes) = stock.update_changes(|stock| stock.at("apples").dec(1));
    /// assert_eq!((&changes.changes[0].path[..], &changes.changes[0].what), (&["apples".into()][..], &What::Incremented(-1)));
    /// ```
    ///
    /// # Panics
    /// As [`update`](Self::update).
    pub fn update_changes<R>(
        &mut self,
        write: impl for<'a> FnOnce(&mut T::Mut<'a>) -> R,
    ) -> (R, Delta<T>, Changes) {
        match self.try_update_changes(|value| Ok::<R, Infallible>(write(value))) {
            Ok(done) => done,
            Err(never) => match never {},
        }
    }

    /// As [`update_changes`](Self::update_changes), but `write` may fail.
    ///
    /// # Errors
    /// As [`try_update`](Self::try_update).
    ///
    /// # Panics
    /// As [`update`](Self::update).
    pub fn try_update_changes<R, E>(
        &mut self,
        write: impl for<'a> FnOnce(&mut T::Mut<'a>) -> Result<R, E>,
    ) -> Result<(R, Delta<T>, Changes), E> {
        let me = self.me.unwrap_or_else(|| self.intern(self.id));
        self.me = Some(me);
        self.tx.begin(me, self.known[me as usize]);
        let attempt = Attempt::new(self);
        let value = write(&mut Mut::root(&mut attempt.replica.state, &mut attempt.replica.tx).into())?;
        let inverse = attempt.replica.tx.draft.inverse();
        let delta = attempt.commit();
        if delta.is_empty() {
            return Ok((value, delta, Changes::default()));
        }
        self.rejoin(&inverse);
        let rows = Rows::default();
        // Whatever it covers was there.
        let seen = self.state.look(Look::new(Some(delta.parts.tree.root()), &[], &rows));
        self.rejoin(&delta.parts.tree);
        let changes = compare(&self.state, &seen, vec![self.id]);
        Ok((value, delta, changes))
    }

    /// Joins a tree of this replica's own, as if nothing were known.
    pub(super) fn rejoin(&mut self, tree: &DeltaTree) {
        let carried = tree.carried();
        let mut clock = HybridClock::default();
        let rows = Rows::default();
        let mut join = Join::new(&[], &self.tx.table, &rows, &carried, &mut clock, self.tx.seed);
        join.below(&mut self.state, tree.root());
    }

    fn undo(&mut self) {
        let inverse = self.tx.draft.inverse();
        self.tx.undo();
        // What comes back was observed before; the clock needs no news of it.
        self.rejoin(&inverse);
        self.tx.draft.rest();
    }
}

/// A transaction under way. Dropping it without `commit`, by an error or by unwinding, undoes it.
pub(super) struct Attempt<'r, T: Crdt> {
    pub(super) replica: &'r mut Replica<T>,
    is_done: bool,
}

impl<T: Crdt> Drop for Attempt<'_, T> {
    fn drop(&mut self) {
        if !self.is_done {
            self.replica.undo();
        }
    }
}

impl<'r, T: Crdt> Attempt<'r, T> {
    /// Of a transaction that has begun.
    pub(super) fn new(replica: &'r mut Replica<T>) -> Self {
        Self { replica, is_done: false }
    }

    pub(super) fn commit(mut self) -> Delta<T> {
        // SUBTLE: this may panic, when all counters are used up; from then on nothing may, for the transaction could no
        // longer be undone.
        self.replica.tx.close();
        let replica = &mut *self.replica;
        let table = &replica.tx.table;
        let spare = replica.ring.take_spare();
        let mut delta = spare.unwrap_or_else(|| Arc::new(Parts::empty(Arc::clone(table))));
        let parts = Arc::make_mut(&mut delta);
        parts.clear(table);
        let hollow = replica.tx.draft.seal(&mut parts.tree);
        debug_assert!(!repeats_a_key(&parts.tree), "others refuse a delta in which one key has two places");
        replica.tx.draft.rest();
        self.is_done = true;
        if let Some(hollow) = hollow {
            replica.state.prune(hollow.root());
        }
        let (first, last) = replica.tx.range();
        if last < first {
            return Delta::from_parts(delta);
        }
        let me = replica.me.expect("set when the transaction began");
        // Everything our last transaction depended on is implied by our own run; beside it stand what came in since,
        // and whatever is covered, so that a cover outside the past can be told at the door.
        for (row, _, _) in parts.tree.cover_runs() {
            if row != me {
                replica.raised.insert(row);
            }
        }
        if !replica.raised.rows.is_empty() {
            parts.deps.extend(replica.raised.drain().map(|row| (row, replica.known[row as usize])));
        }
        parts.events.push(Run { replica: me, first, last });
        parts.author_epoch = Some(replica.epoch);
        replica.known[me as usize] = last;
        let weight = parts.weight();
        let table = &replica.tx.table;
        replica.ring.push(
            Arc::clone(&delta),
            weight,
            || count(&replica.state),
            |delta, row| row_in(table, delta, row),
        );
        Delta::from_parts(delta)
    }
}
