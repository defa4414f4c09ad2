//! A map whose keys stay.
//!
//! *Merge rule*: the union of the keys; below a key the rule is that of its type. *Concurrent pair*: two that write below one
//! key: as its type says. *Metadata*: what the values cost, at their cheapest: counters keep one amount a replica. *Lost on
//! conflict*: nothing but what the types lose. Below an entry of an [`AddWinsMap`](super::AddWinsMap), removing that entry takes
//! what it saw. *Source*: Shapiro et al. 2011 (a grow-only set of keys), with lattices as values.
//!
//! An entry that holds nothing does not exist: `entry(key)` alone does not create a key.

use alloc::borrow::Cow;
use alloc::format;
use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::{Bound, RangeBounds};

use serde::Serializer;
use serde::ser::SerializeMap;

use super::entries::{Entries, entry, impl_entries};
use crate::causal::LocalDot;
use crate::delta::{Mismatch, Node, TreeWriter};
use crate::set::check_keys;
use crate::store::{
    Crdt, Disputes, DotStore, Gathered, Join, Key, Look, Mut, Plain, Seen, Sweep, View, decode_key, deeper,
    write_key,
};

/// A map from keys to values of one replicated type, whose keys cannot be removed.
///
/// ```
/// use tombolo_crdt::{GMap, PnCounter, Replica, ReplicaId};
///
/// type Visits = GMap<String, PnCounter>;
/// let mut ann = Replica::<Visits>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<Visits>::new(ReplicaId::from_bytes([2; 16]));
/// // At the same time:
/// let (_, hers) = ann.update(|visits| visits.at("/").inc(7));
/// let (_, his) = bob.update(|visits| {
///     visits.at("/").inc(2);
///     visits.at("/about").inc(1);
/// });
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// assert_eq!(ann.get("/").map(PnCounter::value), Some(9));
/// assert_eq!(ann.encode(), bob.encode());
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
pub struct GMap<K: Key, V: Crdt> {
    /// INVARIANT: outside a transaction no value is empty, and of those that are read each shows something.
    entries: Entries<K, V::State>,
}

impl_entries!(GMap, removable: false);

impl<'a, K: Key, V: Crdt> Mut<'a, GMap<K, V>> {
    /// Write access to the value under `key`; the handle on the map is used up, so that the new one can be kept in a
    /// `let`. A key that does not exist comes into being with the first thing written below it; only until this
    /// transaction ends is it listed without.
    pub fn entry(self, key: impl Into<K>) -> V::Mut<'a> {
        let removable = self.removable;
        entry!(self, key, removable)
    }

    /// As [`entry`](Self::entry), without using up the handle on the map.
    pub fn at(&mut self, key: impl Into<K>) -> V::Mut<'_> {
        self.by_ref().entry(key)
    }
}

impl<K: Key, V: Crdt> Crdt for GMap<K, V> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    const REMOVABLE: bool = V::REMOVABLE;

    fn type_name() -> Cow<'static, str> {
        format!("GMap<{}>", V::type_name()).into()
    }
}
