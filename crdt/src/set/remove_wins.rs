//! A set where removing wins over a concurrent adding.
//!
//! *Merge rule*: an element is in if it was added, and no removal of it stands that nothing later has seen. *Concurrent
//! pair*: add and remove of one element: it is out. *Metadata*: one dot an element, one more for each concurrent write, also
//! for an element that is out: a removal must be remembered to win, until all know it and it is
//! [swept](crate::Replica::sweep). *Lost on conflict*: the adding. *Source*: Almeida,
//! Shoker, Baquero 2018.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::RangeBounds;

use serde::Serializer;

use super::marked::{impl_marked_reads, marked_view};
use crate::delta::Node;
use crate::store::{Crdt, DotStore, Join, Key, Mark, Mut, Sweep, Votes, deeper, votes_store};

/// A set where removing wins: for rights, memberships and the like, where it is worse to let somebody in than to keep
/// somebody out.
///
/// ```
/// use tombolo_crdt::{RemoveWinsSet, Replica, ReplicaId};
///
/// let mut ann = Replica::<RemoveWinsSet<String>>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<RemoveWinsSet<String>>::new(ReplicaId::from_bytes([2; 16]));
/// bob.merge(ann.update(|guests| guests.add("eve")).1)?;
/// // At the same time:
/// let (_, removed) = ann.update(|guests| guests.remove("eve"));
/// let (_, added) = bob.update(|guests| guests.add("eve"));
/// ann.merge(added)?;
/// bob.merge(removed)?;
/// assert!(!ann.contains("eve") && !bob.contains("eve"));
/// // Who has seen the removal can add again.
/// ann.merge(bob.update(|guests| guests.add("eve")).1)?;
/// assert!(ann.contains("eve"));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct RemoveWinsSet<K: Key> {
    marks: Votes<K, Mark>,
}

impl_marked_reads!(RemoveWinsSet);

impl<K: Key> RemoveWinsSet<K> {
    /// How many elements are out and remembered.
    #[must_use]
    pub fn removed_len(&self) -> usize {
        self.marks.hidden()
    }
}

impl<K: Key> Mut<'_, RemoveWinsSet<K>> {
    /// Adds an element, as far as its removals are seen here; one that happens at the same time wins.
    pub fn add(&mut self, element: impl Into<K>) {
        deeper(self.depth);
        self.state.marks.cast(element.into(), Mark::In, self.place, self.tx);
    }

    /// Adds many elements in one run of dots.
    pub fn extend<E: Into<K>>(&mut self, elements: impl IntoIterator<Item = E>) {
        for element in elements {
            self.add(element);
        }
    }

    /// Removes an element, also over addings that happen at the same time; says whether it was in. One that is not in is noted as
    /// removed all the same, for somebody may be adding it just now: so this takes the element itself.
    pub fn remove(&mut self, element: impl Into<K>) -> bool {
        deeper(self.depth);
        let element = element.into();
        let was_in = self.state.marks.get(&element).is_some();
        self.state.marks.cast(element, Mark::Out, self.place, self.tx);
        was_in
    }

    /// Removes every element that is seen here.
    pub fn clear(&mut self) {
        let all: Vec<K> = self.state.iter().cloned().collect();
        for element in all {
            self.remove(element);
        }
    }
}

impl<K: Key> Crdt for RemoveWinsSet<K> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("RemoveWinsSet")
    }
}

impl<K: Key> DotStore for RemoveWinsSet<K> {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.marks.take_in(node, join, |_, _, _| {});
    }

    votes_store!(marks: K, Mark);

    fn remembered(&self, sweep: &mut Sweep<'_>) {
        self.marks.remembered(sweep);
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        marked_view(&self.marks, serializer)
    }

    super::seen_as_elements!();
}
