//! A map where writing below a key wins over a concurrent removal of the key.
//!
//! *Merge rule*: a key is in if its value shows anything; removing it resets what was seen under it and nothing else.
//! *Concurrent pair*: a write below a key and its removal: the key stays, with that write and *only* what the removal had
//! not seen. *Metadata*: what the values cost; a removed key costs nothing. *Lost on conflict*: nothing that the removal
//! had not seen. *Source*: Almeida, Shoker, Baquero 2018.
//!
//! An entry that holds nothing does not exist: `entry(key)` alone does not create a key. To say "present but empty",
//! nest a flag.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::{Bound, RangeBounds};

use serde::Serializer;
use serde::ser::SerializeMap;

use super::entries::{Entries, entry, impl_entries};
use crate::causal::{LocalDot, Tx};
use crate::delta::{DeltaTree, Mismatch, Node, PlaceId, TreeWriter};
use crate::set::check_keys;
use crate::store::{
    Crdt, Disputes, DotStore, Gathered, Join, Key, Look, Mut, Plain, Seen, Sweep, View, decode_key, deeper,
    write_key,
};

/// A map from keys to values of one replicated type, which may be maps again.
///
/// ```
/// use tombolo_crdt::{AddWinsMap, PnCounter, Replica, ReplicaId};
///
/// type Stock = AddWinsMap<String, PnCounter>;
/// let mut ann = Replica::<Stock>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<Stock>::new(ReplicaId::from_bytes([2; 16]));
/// bob.merge(ann.update(|stock| stock.at("apples").inc(7)).1)?;
/// // At the same time: Ann removes the key, Bob adds to it.
/// let (_, removed) = ann.update(|stock| stock.remove("apples"));
/// let (_, added) = bob.update(|stock| stock.at("apples").inc(2));
/// ann.merge(added)?;
/// bob.merge(removed)?;
/// // What Ann had seen is gone, what she had not seen is there.
/// assert_eq!(ann.get("apples").map(PnCounter::value), Some(2));
/// assert_eq!(bob.get("apples").map(PnCounter::value), Some(2));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
pub struct AddWinsMap<K: Key, V: Crdt> {
    /// INVARIANT: outside a transaction no value is empty, and of those that are read each shows something.
    entries: Entries<K, V::State>,
}

impl_entries!(AddWinsMap, removable: true);

impl<'a, K: Key, V: Crdt> Mut<'a, AddWinsMap<K, V>> {
    /// Write access to the value under `key`; the handle on the map is used up, so that the new one can be kept in a
    /// `let`. A key that does not exist comes into being with the first thing written below it; only until this
    /// transaction ends is it listed without.
    pub fn entry(self, key: impl Into<K>) -> V::Mut<'a> {
        const { assert!(V::REMOVABLE, "a `BoundedCounter` must not stand below a key that can be removed") };
        entry!(self, key, true)
    }

    /// As [`entry`](Self::entry), without using up the handle on the map.
    pub fn at(&mut self, key: impl Into<K>) -> V::Mut<'_> {
        self.by_ref().entry(key)
    }

    /// Removes a key: resets everything seen under it. Says whether it was in.
    pub fn remove<Q: Ord + Hash + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let Some((key, value)) = self.state.entries.remove_entry(key) else { return false };
        let below = self.tx.draft.child_of_removed(self.place, |out| write_key(&key, out));
        let shows = value.shows();
        reset(&value, below, self.tx) && shows
    }

    /// Removes every key that is seen here.
    pub fn clear(&mut self) {
        let all: Vec<K> = self.state.keys().cloned().collect();
        for key in &all {
            self.remove(key);
        }
    }
}

/// Covers all that `value`, which has left the state, holds at `place` and below. Says whether it held anything.
pub(crate) fn reset(value: &impl DotStore, place: PlaceId, tx: &mut Tx) -> bool {
    let kept = DeltaTree::written(|writer| value.carry(&|dot| !tx.minted(dot), writer));
    tx.draft.keep_below(place, kept);
    let mut held = false;
    value.dots(&mut |dot| {
        held = true;
        tx.cover(place, dot);
    });
    held
}

impl<K: Key, V: Crdt> Crdt for AddWinsMap<K, V> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        const { assert!(V::REMOVABLE, "a `BoundedCounter` must not stand below a key that can be removed") };
        format!("AddWinsMap<{}>", V::type_name()).into()
    }
}
