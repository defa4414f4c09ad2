//! A map where writing below a key wins over a concurrent removal of the key.
//!
//! *Merge rule*: a key is in if its value holds anything; removing it resets what was seen under it and nothing else.
//! *Concurrent pair*: a write below a key and its removal: the key stays, with that write and *only* what the removal had
//! not seen. *Metadata*: what the values cost; a removed key costs nothing. *Lost on conflict*: nothing that the removal
//! had not seen. *Source*: Almeida, Shoker, Baquero 2018.
//!
//! An entry that holds nothing does not exist: `entry(key)` alone does not create a key. To say "present but empty",
//! nest a flag.

use std::borrow::{Borrow, Cow};
use std::hash::Hash;
use std::ops::{Bound, RangeBounds};

use serde::Serializer;
use serde::ser::SerializeMap;

use crate::causal::{LocalDot, Tx};
use crate::delta::{DeltaTree, Mismatch, Node, PlaceId, TreeWriter};
use crate::set::check_keys;
use crate::store::{Crdt, DotStore, Join, Key, Keyed, Mut, View, decode_key, deeper, write_key};

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
    /// INVARIANT: outside a transaction no value is empty.
    entries: Keyed<K, V::State>,
}

impl<K: Key, V: Crdt> Default for AddWinsMap<K, V> {
    fn default() -> Self {
        Self { entries: Keyed::default() }
    }
}

impl<K: Key, V: Crdt<State: Clone>> Clone for AddWinsMap<K, V> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone() }
    }
}

impl<K: Key + std::fmt::Debug, V: Crdt<State: std::fmt::Debug>> std::fmt::Debug for AddWinsMap<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.entries.fmt(f)
    }
}

impl<K: Key, V: Crdt> AddWinsMap<K, V> {
    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `key` is in. O(1).
    pub fn contains_key<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.entries.contains_key(key)
    }

    /// The value under `key`. O(1).
    pub fn get<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<&V::State>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// The keys with their values, in ascending order of key. The first read in order sorts them; from then on their
    /// order is kept.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V::State)> + DoubleEndedIterator {
        self.entries.iter()
    }

    /// The keys, ascending.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &K> + DoubleEndedIterator {
        self.entries.keys()
    }

    /// The entries whose keys are within `range`, ascending.
    pub fn range<Q: Ord + ?Sized>(
        &self,
        range: impl RangeBounds<Q>,
    ) -> impl DoubleEndedIterator<Item = (&K, &V::State)>
    where
        K: Borrow<Q>,
    {
        self.entries.range(range)
    }

    /// The entries whose keys start with `prefix`, ascending.
    pub fn prefix<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (&'s K, &'s V::State)>
    where
        K: Borrow<str>,
    {
        self.range::<str>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| Borrow::<str>::borrow(*key).starts_with(prefix))
    }
}

impl<'a, K: Key, V: Crdt> Mut<'a, AddWinsMap<K, V>> {
    /// Write access to the value under `key`; the handle on the map is used up, so that the new one can be kept in a
    /// `let`. A key that does not exist comes into being with the first thing written below it; only until this
    /// transaction ends is it listed without.
    pub fn entry(self, key: impl Into<K>) -> V::Mut<'a> {
        let key = key.into();
        // The key is written before anything of the state changes: it may refuse.
        let entries = &mut self.state.entries;
        let (place, slot) = match entries.search(&key) {
            Ok(slot) => (self.tx.draft.child(self.place, |out| write_key(&key, out)), slot),
            Err(gap) => {
                let place = self.tx.draft.child_of_new(self.place, |out| write_key(&key, out));
                (place, entries.fill(gap, key, self.tx.seed))
            }
        };
        let state = self.state.entries.slot_mut(slot);
        Mut { state, place, tx: self.tx, removable: true, depth: deeper(self.depth) }.into()
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
        reset(&value, below, self.tx)
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
        format!("AddWinsMap<{}>", V::type_name()).into()
    }
}

impl<K: Key, V: Crdt> DotStore for AddWinsMap<K, V> {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        for (bytes, child) in node.children() {
            let Some(key) = join.key::<K>(bytes) else { return };
            let slot = self.entries.occupy(key, join.seed);
            let value = self.entries.slot_mut(slot);
            join.below(value, child);
            if value.is_empty() {
                self.entries.remove_slot(slot);
            }
        }
    }

    fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        self.entries.retain(|_, value| {
            value.retain(keep);
            !value.is_empty()
        });
    }

    fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.entries.iter_unordered().for_each(|(_, value)| value.dots(each));
    }

    fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        for (key, value) in self.entries.iter_unordered() {
            writer.child(|out| write_key(key, out), |below| value.carry(wanted, below));
        }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn prune(&mut self, node: Node<'_>) {
        for (bytes, child) in node.children() {
            let key: K = decode_key(bytes).expect("this transaction wrote the key");
            if let Some(slot) = self.entries.occupied(&key) {
                let value = self.entries.slot_mut(slot);
                value.prune(child);
                if value.is_empty() {
                    self.entries.remove_slot(slot);
                }
            }
        }
    }

    fn check(node: Node<'_>) -> Result<(), Mismatch> {
        check_keys::<K>(node, V::State::check)
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (key, value) in self.entries.iter() {
            map.serialize_entry(key, &View(value))?;
        }
        map.end()
    }
}
