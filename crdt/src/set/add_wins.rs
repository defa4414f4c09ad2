//! A set where adding wins over a concurrent removal.
//!
//! *Merge rule*: an element is in if there is an adding of it that no removal has seen. *Concurrent pair*: add and
//! remove of one element: it stays. *Metadata*: one dot an element (one more a concurrent adding); a removed element
//! costs nothing. *Lost on conflict*: the removal. *Source*: Bieniusa et al. 2012; Almeida, Shoker, Baquero 2018.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::RangeBounds;

use serde::Serializer;

use super::Elements;
use crate::causal::LocalDot;
use crate::delta::{Mismatch, Node, TreeWriter};
use crate::store::{Crdt, DotStore, Join, Key, Mut, deeper};

/// A set where adding wins.
///
/// ```
/// use tombolo_crdt::{AddWinsSet, Replica, ReplicaId};
///
/// let mut ann = Replica::<AddWinsSet<String>>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<AddWinsSet<String>>::new(ReplicaId::from_bytes([2; 16]));
/// bob.merge(ann.update(|set| set.add("late")).1)?;
/// // At the same time:
/// let (_, removed) = ann.update(|set| set.remove("late"));
/// let (_, added) = bob.update(|set| set.add("late"));
/// ann.merge(added)?;
/// bob.merge(removed)?;
/// assert!(ann.contains("late") && bob.contains("late"));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct AddWinsSet<K: Key> {
    elements: Elements<K>,
}

impl<K: Key> Default for AddWinsSet<K> {
    fn default() -> Self {
        Self { elements: Elements::default() }
    }
}

impl<K: Key> AddWinsSet<K> {
    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Whether `element` is in. O(1).
    #[must_use]
    pub fn contains<Q: Ord + Hash + ?Sized>(&self, element: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.elements.contains(element)
    }

    /// The elements in ascending order. The first read in order sorts them; from then on their order is kept.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &K> + DoubleEndedIterator {
        self.elements.iter()
    }

    /// The elements within `range`, ascending.
    pub fn range<Q: Ord + ?Sized>(&self, range: impl RangeBounds<Q>) -> impl DoubleEndedIterator<Item = &K>
    where
        K: Borrow<Q>,
    {
        self.elements.range(range)
    }

    /// The elements that start with `prefix`, ascending.
    pub fn prefix<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s K>
    where
        K: Borrow<str>,
    {
        self.elements.prefix(prefix)
    }
}

impl<K: Key> Mut<'_, AddWinsSet<K>> {
    /// Adds an element, also over removals that happen at the same time. Adding one that is in refreshes it: a
    /// removal that has not seen this adding does not take it.
    pub fn add(&mut self, element: impl Into<K>) {
        deeper(self.depth);
        self.state.elements.add(element.into(), self.place, self.tx);
    }

    /// Adds many elements in one run of dots.
    pub fn extend<E: Into<K>>(&mut self, elements: impl IntoIterator<Item = E>) {
        for element in elements {
            self.add(element);
        }
    }

    /// Removes an element as far as it is seen here; says whether it was in.
    pub fn remove<Q: Ord + Hash + ?Sized>(&mut self, element: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.state.elements.remove(element, self.place, self.tx)
    }

    /// Removes every element that is seen here.
    pub fn clear(&mut self) {
        let all: Vec<K> = self.state.iter().cloned().collect();
        for element in &all {
            self.remove(element);
        }
    }
}

impl<K: Key> Crdt for AddWinsSet<K> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("AddWinsSet")
    }
}

impl<K: Key> DotStore for AddWinsSet<K> {
    super::element_store!();
}
