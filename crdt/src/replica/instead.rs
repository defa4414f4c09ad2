//! What becomes different where one replica takes the place of another.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::Replica;
use crate::causal::ReplicaId;
use crate::store::{Changes, Crdt, DotStore, Look, Rows, compare};

impl<T: Crdt> Replica<T> {
    /// What makes of what `before` reads as what this one reads as: for who puts it in the place of that, because it was read back
    /// from a disk, for instance. Neither need know what the other does, and elements of lists and texts that both hold count as the
    /// same. [`by`](Changes::by) names those of whom more is known here.
    ///
    /// Costs a walk of both; more, where they have heard of others' ids in another order.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsSet, Replica, ReplicaId};
    ///
    /// let mut ann = Replica::<AddWinsSet<String>>::new(ReplicaId::from_bytes([1; 16]));
    /// let saved = ann.fork(ReplicaId::from_bytes([2; 16]));
    /// let mut shown = ann.plain();
    /// let (_, _, changes) = ann.update_changes(|birds| birds.add("heron"));
    /// changes.apply_to(&mut shown).expect("they fit what was there before");
    /// // The disk was full, and what it holds is what there is.
    /// saved.changes_from(&ann).apply_to(&mut shown).expect("they fit what was there before");
    /// assert_eq!(shown, saved.plain());
    /// ```
    pub fn changes_from(&self, before: &Self) -> Changes {
        let mut by: Vec<ReplicaId> = self.version().iter().map(|(id, _)| id).collect();
        by.retain(|id| before.known_to(*id) < self.known_to(*id));
        let rows = Rows::default();
        let everything = Look::new(None, &[], &rows);
        // Elements go by their dots, so both have to call all replicas by the same numbers.
        let seen = if self.tx.table.extends(&before.tx.table) {
            before.state.look(everything)
        } else {
            let mut same = Self::with_hash_seed(before.id, before.tx.seed);
            same.tx.table = Arc::clone(&self.tx.table);
            same.known = vec![0; self.tx.table.len()];
            same.adopt(&before.state_parts());
            same.state.look(everything)
        };
        compare(&self.state, &seen, by)
    }
}
