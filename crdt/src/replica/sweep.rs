//! Forgetting: a write like any other, so that it is the same everywhere.

use alloc::vec;

use super::Replica;
use super::update::Attempt;
use crate::causal::{MAX_COUNTER, Version};
use crate::delta::{Delta, ROOT};
use crate::store::{Crdt, DotStore, Sweep};

/// How much a [`Replica`] keeps, and how much of it only remembers what is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Garbage {
    /// How many items there are, each with a dot: what is read, and what remembers removals.
    pub items: usize,
    /// How many of them only remember that something was removed: [`sweep`](Replica::sweep) takes them once all know of it.
    pub removals: usize,
    /// How many replica ids the version names. None is ever forgotten.
    pub replicas: usize,
    /// About how many bytes of heap the recent deltas take that are kept for peers a little behind.
    pub history_bytes: usize,
    /// How many deltas wait for what they depend on.
    pub waiting: usize,
}

impl<T: Crdt> Replica<T> {
    /// What is kept here beside what is read. Costs two walks over the state.
    #[must_use]
    pub fn garbage(&self) -> Garbage {
        let mut all = Sweep::new(None, &self.tx.table);
        self.state.remembered(&mut all);
        Garbage {
            items: super::count(&self.state),
            removals: all.dots().len(),
            replicas: self.replicas(),
            history_bytes: self.ring.weight(),
            waiting: self.pending(),
        }
    }

    /// Forgets removals that are remembered so that they win over what was written at the same time
    /// ([`RemoveWinsSet`](crate::RemoveWinsSet), [`LwwMap`](crate::LwwMap)), if they and all they hide lie within `stable`: what everybody
    /// knows who may still write, provided that everything they wrote before they knew it is known here. Then nothing can come
    /// any more that such a removal has to win over. Yields the change for the others, empty if there is nothing to forget.
    ///
    /// This is a write: it takes a dot, and all replicas come to hold the same, whatever `stable` was. If somebody did not know the
    /// removal after all, then what he wrote at the same time wins over it: that is all that can happen. Nothing that is read
    /// changes, here or elsewhere. Below each key of a map one remembered removal stays if there is any, for the key is there by it.
    ///
    /// Costs a walk over the state, here and where the change is merged; so forget many at once.
    ///
    /// ```
    /// use tombolo_crdt::{RemoveWinsSet, Replica, ReplicaId};
    ///
    /// let mut ann = Replica::<RemoveWinsSet<String>>::new(ReplicaId::from_bytes([1; 16]));
    /// let mut bob = Replica::<RemoveWinsSet<String>>::new(ReplicaId::from_bytes([2; 16]));
    /// bob.merge(ann.update(|guests| guests.extend(["eve", "cem"])).1)?;
    /// bob.merge(ann.update(|guests| guests.remove("eve")).1)?;
    /// // Both know it, and bob has written nothing that ann does not know.
    /// bob.merge(ann.sweep(&bob.version()))?;
    /// assert_eq!((ann.removed_len(), bob.removed_len()), (0, 0));
    /// assert_eq!(ann.encode(), bob.encode());
    /// # Ok::<(), tombolo_crdt::Refused>(())
    /// ```
    pub fn sweep(&mut self, stable: &Version) -> Delta<T> {
        let mut known = vec![0; self.known.len()];
        for (id, last) in stable.iter() {
            if let Some(row) = self.tx.table.row(id) {
                known[row as usize] = last;
            }
        }
        let mut sweep = Sweep::new(Some(&known), &self.tx.table);
        self.state.remembered(&mut sweep);
        let gone = sweep.dots();
        let me = self.me.unwrap_or_else(|| self.intern(self.id));
        self.tx.begin(me, self.known[me as usize]);
        let attempt = Attempt::new(self);
        // Without a dot left nothing is forgotten: a write would be refused, and this is none that anybody asked for.
        if !gone.is_empty() && attempt.replica.known[me as usize] < MAX_COUNTER {
            let replica = &mut *attempt.replica;
            replica.me = Some(me);
            for &dot in &gone {
                replica.tx.cover(ROOT, dot);
            }
            replica.state.retain(&mut |dot| gone.binary_search(&dot).is_err());
        }
        attempt.commit()
    }
}
