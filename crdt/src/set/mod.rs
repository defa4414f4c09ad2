//! Elements that are there or not.

mod add_wins;
mod grow_only;
mod marked;
mod remove_wins;
mod two_phase;

pub use add_wins::AddWinsSet;
pub use grow_only::GSet;
pub use remove_wins::RemoveWinsSet;
pub use two_phase::TwoPhaseSet;

use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::{Bound, RangeBounds};

use serde::Serializer;

use crate::causal::{LocalDot, Tx};
use crate::delta::{Mismatch, Node, PlaceId, TreeWriter};
use crate::store::{Join, Key, Keyed, Leaf, check_key, view_seq, write_key};

/// Elements, each with the dots that added it: what the sets are made of.
#[derive(Clone)]
pub(crate) struct Elements<K> {
    /// INVARIANT: no element is without a dot.
    added_by: Keyed<K, Leaf<()>>,
}

impl<K: Ord + core::fmt::Debug> core::fmt::Debug for Elements<K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.added_by.fmt(f)
    }
}

impl<K> Default for Elements<K> {
    fn default() -> Self {
        Self { added_by: Keyed::default() }
    }
}

impl<K: Key> Elements<K> {
    fn len(&self) -> usize {
        self.added_by.len()
    }

    fn contains<Q: Ord + Hash + ?Sized>(&self, element: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.added_by.contains_key(element)
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &K> + DoubleEndedIterator {
        self.added_by.keys()
    }

    fn range<Q: Ord + ?Sized>(&self, range: impl RangeBounds<Q>) -> impl DoubleEndedIterator<Item = &K>
    where
        K: Borrow<Q>,
    {
        self.added_by.range(range).map(|(element, _)| element)
    }

    fn prefix<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s K>
    where
        K: Borrow<str>,
    {
        self.range::<str>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |element| Borrow::<str>::borrow(*element).starts_with(prefix))
    }

    fn add(&mut self, element: K, place: PlaceId, tx: &mut Tx) {
        // The key is written before anything of the state changes: it may refuse.
        let (below, slot) = match self.added_by.search(&element) {
            Ok(slot) => (tx.draft.child(place, |key| write_key(&element, key)), slot),
            Err(gap) => {
                let below = tx.draft.child_of_new(place, |key| write_key(&element, key));
                (below, self.added_by.fill(gap, element, tx.seed))
            }
        };
        let added_by = self.added_by.slot_mut(slot);
        added_by.cover(below, tx);
        added_by.add((), below, tx);
    }

    fn remove<Q: Ord + Hash + ?Sized>(&mut self, element: &Q, place: PlaceId, tx: &mut Tx) -> bool
    where
        K: Borrow<Q>,
    {
        let Some((element, mut added_by)) = self.added_by.remove_entry(element) else { return false };
        let below = tx.draft.child_of_removed(place, |key| write_key(&element, key));
        added_by.cover(below, tx);
        true
    }

    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        for (bytes, child) in node.children() {
            let Some(element) = join.key::<K>(bytes) else { return };
            let nothing_new = || !child.carried().any(|(dot, _)| join.admit(dot).is_some());
            if child.cover().is_empty() && child.carries() && nothing_new() {
                // Nothing to drop: an element all of whose dots are known stays as it is.
                continue;
            }
            let slot = self.added_by.occupy(element, join.seed);
            let added_by = self.added_by.slot_mut(slot);
            added_by.retain(&mut |dot| join.stands(child.cover(), dot));
            added_by.take_in(child, join, |_, (), _| {});
            if added_by.is_empty() {
                self.added_by.remove_slot(slot);
            }
        }
    }

    fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        self.added_by.retain(|_, added_by| {
            added_by.retain(keep);
            !added_by.is_empty()
        });
    }

    fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.added_by.iter_unordered().for_each(|(_, added_by)| added_by.dots(each));
    }

    fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        for (element, added_by) in self.added_by.iter_unordered() {
            writer.child(|key| write_key(element, key), |below| added_by.carry(wanted, below));
        }
    }

    fn is_empty(&self) -> bool {
        self.added_by.is_empty()
    }

    fn check(node: Node<'_>) -> Result<(), Mismatch> {
        check_keys::<K>(node, Leaf::<()>::check)
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        view_seq(self.len(), self.iter(), serializer)
    }
}

/// Checks the keys of a container's node, and what is below each.
pub(crate) fn check_keys<K: Key>(
    node: Node<'_>,
    mut below: impl FnMut(Node<'_>) -> Result<(), Mismatch>,
) -> Result<(), Mismatch> {
    node.check_fields(|key, child| {
        check_key::<K>(key)?;
        below(child)
    })
}

/// How a set with `contains` and `iter` is seen.
macro_rules! seen_as_elements {
    () => {
        fn plain(&self) -> $crate::store::Plain {
            $crate::store::Plain::Set(self.iter().map($crate::store::Plain::of_key).collect())
        }

        fn look(&self, look: $crate::store::Look<'_>) -> $crate::store::Seen {
            $crate::store::Seen::elements(look, |element: &K| self.contains(element), self.iter())
        }

        fn changed(&self, before: &$crate::store::Seen, gathered: &mut $crate::store::Gathered) {
            gathered.elements(before, |element: &K| self.contains(element), self.iter());
        }
    };
}
pub(crate) use seen_as_elements;

/// The [`DotStore`](crate::DotStore) of a set: all of it is its elements.
macro_rules! element_store {
    () => {
        fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
            self.elements.take_in(node, join);
        }

        fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
            self.elements.retain(keep);
        }

        fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
            self.elements.dots(each);
        }

        fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
            self.elements.carry(wanted, writer);
        }

        fn is_bottom(&self) -> bool {
            self.elements.is_empty()
        }

        fn check(node: Node<'_>) -> Result<(), Mismatch> {
            Elements::<K>::check(node)
        }

        fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.elements.view(serializer)
        }

        $crate::set::seen_as_elements!();
    };
}
use element_store;
