//! A set that only grows.
//!
//! *Merge rule*: the union. *Concurrent pair*: both elements are in. *Metadata*: one dot an element. *Lost on
//! conflict*: nothing. Below a map entry, removing the entry takes the elements it saw. *Source*: Shapiro et al. 2011.

use alloc::borrow::Cow;
use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::RangeBounds;

use serde::Serializer;

use super::Elements;
use crate::causal::LocalDot;
use crate::delta::{Mismatch, Node, TreeWriter};
use crate::store::{Crdt, DotStore, Join, Key, Mut, deeper};

/// A set that only grows.
///
/// ```
/// use tombolo_crdt::{GSet, Replica, ReplicaId};
///
/// let mut ann = Replica::<GSet<String>>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<GSet<String>>::new(ReplicaId::from_bytes([2; 16]));
/// // At the same time:
/// let (_, hers) = ann.update(|seen| seen.add("heron"));
/// let (_, his) = bob.update(|seen| seen.add("avocet"));
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// assert_eq!(ann.iter().collect::<Vec<_>>(), ["avocet", "heron"]);
/// assert_eq!(ann.encode(), bob.encode());
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct GSet<K: Key> {
    elements: Elements<K>,
}

impl<K: Key> Default for GSet<K> {
    fn default() -> Self {
        Self { elements: Elements::default() }
    }
}

impl<K: Key> GSet<K> {
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

impl<K: Key> Mut<'_, GSet<K>> {
    /// Adds an element. Where nothing above can be removed, adding one that is in does nothing; below a map entry it is refreshed, so that a
    /// removal of the entry that has not seen this adding does not take it.
    pub fn add(&mut self, element: impl Into<K>) {
        deeper(self.depth);
        let element = element.into();
        if self.removable || !self.state.contains(&element) {
            self.state.elements.add(element, self.place, self.tx);
        }
    }

    /// Adds many elements in one run of dots.
    pub fn extend<E: Into<K>>(&mut self, elements: impl IntoIterator<Item = E>) {
        for element in elements {
            self.add(element);
        }
    }
}

impl<K: Key> Crdt for GSet<K> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("GSet")
    }
}

impl<K: Key> DotStore for GSet<K> {
    super::element_store!();
}
