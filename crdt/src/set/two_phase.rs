//! A set of which what was removed never comes back.
//!
//! *Merge rule*: an element is in if it was added and never removed. *Concurrent pair*: add and remove of one element: it is
//! out, for good. *Metadata*: one dot an element, one more for each concurrent write; a removed element is kept for ever.
//! *Lost on conflict*: the adding. Below a map entry, removing the entry takes additions and removals alike. *Source*:
//! Shapiro et al. 2011.

use alloc::borrow::Cow;
use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::RangeBounds;

use serde::Serializer;

use super::marked::{impl_marked_reads, marked_view};
use crate::delta::Node;
use crate::store::{Crdt, DotStore, Join, Key, Mark, Mut, Votes, deeper, votes_store};

/// A set of which what was removed never comes back: for ids that are used once, such as tickets and orders.
///
/// ```
/// use tombolo_crdt::{Replica, ReplicaId, TwoPhaseSet};
///
/// let mut ann = Replica::<TwoPhaseSet<String>>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<TwoPhaseSet<String>>::new(ReplicaId::from_bytes([2; 16]));
/// bob.merge(ann.update(|tickets| tickets.add("A17")).1)?;
/// // At the same time:
/// let (_, used) = ann.update(|tickets| tickets.remove("A17"));
/// let (_, again) = bob.update(|tickets| tickets.add("A17"));
/// ann.merge(again)?;
/// bob.merge(used)?;
/// assert!(!ann.contains("A17") && !bob.contains("A17"));
/// // Nor can anybody add it who has seen the removal.
/// assert!(!ann.update(|tickets| tickets.add("A17")).0);
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct TwoPhaseSet<K: Key> {
    marks: Votes<K, Mark>,
}

impl_marked_reads!(TwoPhaseSet);

impl<K: Key> TwoPhaseSet<K> {
    /// How many elements were removed.
    #[must_use]
    pub fn removed_len(&self) -> usize {
        self.marks.hidden()
    }

    /// Whether `element` was removed.
    #[must_use]
    pub fn was_removed<Q: Ord + Hash + ?Sized>(&self, element: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.marks.get_hidden(element).is_some()
    }
}

impl<K: Key> Mut<'_, TwoPhaseSet<K>> {
    /// Adds an element that was not removed; says whether it is in then. Where nothing above can be removed, adding one that is in
    /// does nothing; below a map entry it is refreshed, so that a removal of the entry that has not seen this adding does not
    /// take it.
    pub fn add(&mut self, element: impl Into<K>) -> bool {
        deeper(self.depth);
        let element = element.into();
        if self.state.was_removed(&element) {
            return false;
        }
        if self.removable || !self.state.contains(&element) {
            self.state.marks.cast(element, Mark::In, self.place, self.tx);
        }
        true
    }

    /// Adds many elements in one run of dots, those that were not removed; says how many of them are in then.
    pub fn extend<E: Into<K>>(&mut self, elements: impl IntoIterator<Item = E>) -> usize {
        elements.into_iter().map(|element| usize::from(self.add(element))).sum()
    }

    /// Removes an element that is in, for good; says whether it was in.
    pub fn remove<Q: Ord + Hash + ?Sized>(&mut self, element: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        deeper(self.depth);
        let Some(element) = self.state.marks.key(element).cloned() else { return false };
        self.state.marks.cast(element, Mark::Out, self.place, self.tx);
        true
    }
}

impl<K: Key> Crdt for TwoPhaseSet<K> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("TwoPhaseSet")
    }
}

impl<K: Key> DotStore for TwoPhaseSet<K> {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.marks.take_in(node, join, |_, _, _| {});
    }

    votes_store!(marks: K, Mark);

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        marked_view(&self.marks, serializer)
    }

    super::seen_as_elements!();
}
