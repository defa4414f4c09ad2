//! Forgetting: a write like any other, so that it is the same everywhere.

use alloc::vec;
use alloc::vec::Vec;

use super::update::Attempt;
use super::{Replica, row_in};
use crate::causal::{Dot, MAX_COUNTER, Tx, Version};
use crate::counter::sum_up;
use crate::delta::{Delta, DeltaTree, Node, PlaceId, ROOT, TreeWriter};
use crate::store::{Crdt, DotStore, FADING, Named, Sweep, Swept, write_key};

/// How much a [`Replica`] keeps, and how much of it only remembers what is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Garbage {
    /// How many items there are, each with a dot: what is read, and what remembers removals.
    pub items: usize,
    /// How many of them only remember that something was removed, or are amounts below a key that one sum can stand for, and go by
    /// [`sweep`](Replica::sweep) once all know of it. Those that
    /// stay, for a key of a map is there by them, do not count.
    pub removals: usize,
    /// How many of the items are letters of texts, which take little more than their bytes.
    pub letters: usize,
    /// How many replica ids the version names. None is ever forgotten.
    pub replicas: usize,
    /// About how many bytes of heap the recent deltas take that are kept for peers a little behind.
    pub history_bytes: usize,
    /// How many deltas wait for what they depend on.
    pub waiting: usize,
}

/// Of several documents together.
impl core::ops::AddAssign for Garbage {
    fn add_assign(&mut self, other: Self) {
        let Self { items, removals, letters, replicas, history_bytes, waiting } = other;
        self.items += items;
        self.removals += removals;
        self.letters += letters;
        self.replicas += replicas;
        self.history_bytes += history_bytes;
        self.waiting += waiting;
    }
}

impl<T: Crdt> Replica<T> {
    /// What is kept here beside what is read. Costs two walks over the state.
    #[must_use]
    pub fn garbage(&self) -> Garbage {
        let mut all = Sweep::new(&self.known, &self.tx.table)
            .knowing(&self.known)
            .keeping(self.tx.table.row(self.id), self.tx.kept);
        self.state.remembered(&mut all);
        let letters = all.count_letters();
        let Swept { gone, fading, .. } = all.finish();
        Garbage {
            letters,
            items: super::count(&self.state),
            removals: gone.len() + fading.len(),
            replicas: self.replicas(),
            history_bytes: self.ring.bytes(),
            waiting: self.pending(),
        }
    }

    /// Forgets the recent deltas that everybody knows: nobody is going to lack them. Whoever turns out to lack them nevertheless is
    /// repaired as who is far behind. Nothing else changes.
    pub fn forget_history(&mut self, stable: &Version) {
        let stable = self.by_row(stable);
        let table = &self.tx.table;
        self.ring.forget(&stable, |delta, row| row_in(table, delta, row));
    }

    fn by_row(&self, version: &Version) -> Vec<u64> {
        let mut known = vec![0; self.known.len()];
        for (id, last) in version.iter() {
            if let Some(row) = self.tx.table.row(id) {
                known[row as usize] = last;
            }
        }
        known
    }

    /// Forgets removals that are remembered so that they win over what was written at the same time
    /// ([`RemoveWinsSet`](crate::RemoveWinsSet), [`LwwMap`](crate::LwwMap)), if they and all they hide lie within `stable`: what everybody
    /// knows who may still write, provided that everything they wrote before they knew it is known here. Then nothing can come
    /// any more that such a removal has to win over. Yields the change for the others, empty if there is nothing to forget.
    ///
    /// This is a write: it takes a dot, and all replicas come to hold the same, whatever `stable` was. If somebody did not know the
    /// removal after all, then what he wrote at the same time wins over it: that is all that can happen. No value that is
    /// read changes, here or elsewhere; [`conflicts`](Self::conflicts) tell no more of what was hidden. Below each key of a map one remembered removal stays if there is any, for the key is there by it.
    ///
    /// Of a [`Text`](crate::Text) and a [`List`](crate::List) it forgets where runs stood of which nothing is left, in two steps: the first time it names them, so
    /// that nobody who knows that hangs anything on them; and once that lies within `stable`, they are forgotten. If somebody did not know
    /// it after all, then what he hung on such a run reads elsewhere than where he put it. Of marks it forgets, once `stable` is all that is
    /// known here, those over nothing and those that take away what is not there any more.
    ///
    /// Of a [`MovableList`](crate::MovableList) and a [`Tree`](crate::Tree) it forgets the same of places, places that lost to others given at the same time, and, once `stable` is all
    /// that is known here, what is left of elements that were deleted while others moved them or wrote to them.
    ///
    /// Of [counters](crate::PnCounter) below keys it puts one amount for those of a replica that lie within `stable`, but the last. If somebody did
    /// not know all of them after all, and removed the key, then what he did know is not removed.
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
        let known = self.by_row(stable);
        let mut sweep = Sweep::new(&known, &self.tx.table)
            .knowing(&self.known)
            .keeping(self.tx.table.row(self.id), self.tx.kept);
        self.state.remembered(&mut sweep);
        let Swept { gone, fading, sums } = sweep.finish();
        let me = self.me.unwrap_or_else(|| self.intern(self.id));
        self.tx.begin(me, self.known[me as usize]);
        let attempt = Attempt::new(self);
        // Without a dot left nothing is forgotten: a write would be refused, and this is none that anybody asked for.
        let dots_left = MAX_COUNTER - attempt.replica.known[me as usize];
        if gone.len() + fading.len() > 0 && dots_left > (fading.len() + sums.len()) as u64 {
            let replica = &mut *attempt.replica;
            replica.me = Some(me);
            let named = replica.tree_of(|dot| fading.binary_search(&dot).is_ok());
            let named = DeltaTree::written(|writer| {
                name_fading(named.root(), ROOT, &mut replica.tx, writer);
            });
            replica.rejoin(&named);
            let is_anchor = |dot| sums.binary_search_by_key(&dot, |sum| sum.anchor).is_ok();
            let anchors = replica.tree_of(is_anchor);
            let summed = DeltaTree::written(|writer| {
                sum_up(anchors.root(), ROOT, &sums, &mut replica.tx, writer);
            });
            replica.rejoin(&summed);
            for &dot in &gone {
                replica.tx.cover(ROOT, dot);
            }
            replica.state.retain(&mut |dot| gone.binary_search(&dot).is_err());
        }
        attempt.commit()
    }
}

/// Names what is fading, which `node` shows where it stands, in items of the transaction, and in a tree of these.
fn name_fading(node: Node<'_>, place: PlaceId, tx: &mut Tx, writer: &mut TreeWriter<'_>) {
    let mut dots: Vec<Dot> =
        node.children().flat_map(|(_, child)| child.carried()).map(|(dot, _)| tx.table.dot(dot)).collect();
    if dots.is_empty() {
        for (key, child) in node.children() {
            let below = tx.draft.child(place, |out| out.extend_from_slice(key));
            let open = writer.open(key);
            name_fading(child, below, tx, writer);
            writer.close(&open);
        }
        return;
    }
    dots.sort_unstable();
    let of_one = dots.chunk_by(|a, b| a.replica == b.replica);
    let named: Named =
        of_one.map(|dots| (dots[0].replica, dots.iter().map(|dot| dot.counter).collect())).collect();
    let dot = tx.dot();
    let below = tx.draft.child(place, |out| out.extend_from_slice(FADING));
    tx.draft.put(below, dot, |out| write_key(&named, out));
    writer.child(
        |key| key.extend_from_slice(FADING),
        |below| below.carry_with(dot, |out| write_key(&named, out)),
    );
}

#[cfg(test)]
mod tests {
    use crate::{AddWinsMap, LwwMap, Merged, RemoveWinsSet, Replica, ReplicaId, Version};

    fn id(byte: u8) -> ReplicaId {
        ReplicaId::from_bytes([byte; 16])
    }

    #[test]
    fn two_that_forget_at_once_with_different_views_leave_every_key_of_a_map() {
        type Lists = AddWinsMap<String, RemoveWinsSet<u64>>;
        for seen in 0..4_u64 {
            let (mut ann, mut bob) = (Replica::<Lists>::new(id(9)), Replica::<Lists>::new(id(3)));
            let deltas: Vec<_> =
                (0..4_u64).map(|n| ann.update(|lists| lists.at("guests").remove(n)).1).collect();
            // One has seen all of them, the other not all, and has removed one more itself.
            deltas.iter().take(seen as usize).for_each(|delta| _ = bob.merge(delta.clone()));
            let more = bob.update(|lists| lists.at("guests").remove(10_u64)).1;
            if seen % 2 == 0 {
                ann.merge(more).unwrap();
            }
            let (hers, his) = (ann.sweep(&ann.version()), bob.sweep(&bob.version()));
            let _ = (ann.merge(his).unwrap(), bob.merge(hers).unwrap());
            ann.merge(bob.state()).unwrap();
            bob.merge(ann.state()).unwrap();
            assert_eq!(ann.encode(), bob.encode());
            assert!(ann.contains_key("guests"), "{seen}");
            assert!(ann.garbage().removals <= 1, "{:?}", ann.garbage());
        }
    }

    #[test]
    fn only_what_lies_within_the_stable_version_is_forgotten() {
        let (mut ann, mut bob) =
            (Replica::<LwwMap<u64, u64>>::new(id(1)), Replica::<LwwMap<u64, u64>>::new(id(2)));
        for n in 0..20_u64 {
            let _ = ann.update(|map| map.set(n, n));
            let _ = ann.update(|map| map.remove(&n));
        }
        bob.merge(ann.state()).unwrap();
        // Removed there at the same time as it was written here: what is hidden must be stable as well.
        let _ = bob.update(|map| map.set(3_u64, 1_u64));
        let _ = ann.update(|map| map.set(3_u64, 2_u64));
        let stable = Version::from_iter([(id(1), 20)]);
        assert_eq!(ann.garbage().removals, 19);
        let delta = ann.sweep(&stable);
        assert_eq!((ann.garbage().removals, delta.len()), (10, 1));
        assert_eq!(bob.merge(delta), Ok(Merged::Pending(Version::from_iter([(id(1), 41)]))));
        bob.merge(ann.state()).unwrap();
        assert_eq!(bob.garbage().removals, 10);
        assert!(ann.sweep(&Version::new()).is_empty());
        let before = ann.version();
        assert!(ann.sweep(&stable).is_empty() && ann.version() == before);
    }
}
