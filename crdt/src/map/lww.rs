//! A map from keys to plain values, where of each key the last write or removal counts.
//!
//! *Merge rule*: of the writes and removals of a key that no other has seen, the one with the largest stamp (hybrid logical
//! clock, then replica id). *Concurrent pair*: set and remove of one key: the later one counts. *Metadata*: one dot and one
//! stamp a key, one more for each concurrent write, also for a removed key: when it was removed must be remembered, until all know it
//! and it is [swept](crate::Replica::sweep). *Lost on
//! conflict*: the earlier write or removal. *Source*: the LWW-element-set of Shapiro et al. 2011, over a multi-value store, so
//! that a stamp from a wrong clock wins only over concurrent writes.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::RangeBounds;

use serde::ser::{SerializeMap, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::causal::Stamp;
use crate::delta::Node;
use crate::store::{
    Crdt, Disputes, DotStore, Gathered, Join, Key, Leaf, Look, Mut, Plain, Seen, Sweep, Value, Vote, Votes,
    Written, deeper, votes_store,
};

/// A map of which each key is written and removed as a whole, and the last write or removal of it counts.
///
/// ```
/// use tombolo_crdt::{LwwMap, Replica, ReplicaId};
///
/// let mut ann = Replica::<LwwMap<String, String>>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<LwwMap<String, String>>::new(ReplicaId::from_bytes([2; 16]));
/// bob.merge(ann.update(|settings| settings.set("theme", "dark")).1)?;
/// ann.set_time(1_000);
/// bob.set_time(2_000);
/// // At the same time, as far as either knows:
/// let (_, hers) = ann.update(|settings| settings.set("theme", "light"));
/// let (_, his) = bob.update(|settings| settings.remove("theme"));
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// assert_eq!((ann.get("theme"), bob.get("theme")), (None, None));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct LwwMap<K: Key, V: Value> {
    entries: Votes<K, Written<Entry<V>>>,
}

/// A write, or a removal. Encoded as an array: time, logical count, and the value if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Entry<V> {
    stamp: Stamp,
    value: Option<V>,
}

impl<V: Serialize> Serialize for Entry<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(2 + usize::from(self.value.is_some()))?;
        tuple.serialize_element(&self.stamp.millis)?;
        tuple.serialize_element(&self.stamp.logical)?;
        self.value.iter().try_for_each(|value| tuple.serialize_element(value))?;
        tuple.end()
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entry<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EntryVisitor(core::marker::PhantomData))
    }
}

struct EntryVisitor<V>(core::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> serde::de::Visitor<'de> for EntryVisitor<V> {
    type Value = Entry<V>;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a time, a logical count, and a value if there is one")
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Entry<V>, A::Error> {
        let missing = |len| serde::de::Error::invalid_length(len, &self);
        let millis = seq.next_element()?.ok_or_else(|| missing(0))?;
        let logical = seq.next_element()?.ok_or_else(|| missing(1))?;
        Ok(Entry { stamp: Stamp { millis, logical }, value: seq.next_element()? })
    }
}

/// Of the writes and removals that stand the last one. They come in order of replica id, and of equals `max_by_key` takes the
/// last: ties go to the larger id.
fn last<V>(entries: &Leaf<Written<Entry<V>>>) -> Option<&Entry<V>> {
    entries.iter().map(|entry| &**entry).max_by_key(|entry| entry.stamp)
}

impl<V: Value> Vote for Written<Entry<V>> {
    fn show(entries: &Leaf<Self>) -> bool {
        last(entries).is_some_and(|last| last.value.is_some())
    }
}

impl<K: Key, V: Value> Default for LwwMap<K, V> {
    fn default() -> Self {
        Self { entries: Votes::default() }
    }
}

impl<K: Key, V: Value> LwwMap<K, V> {
    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys are removed and remembered.
    #[must_use]
    pub fn removed_len(&self) -> usize {
        self.entries.hidden()
    }

    /// Whether `key` is in. O(1).
    #[must_use]
    pub fn contains_key<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// The value under `key`. O(1).
    #[must_use]
    pub fn get<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).and_then(value)
    }

    /// When the value under `key` was written, by its author's clock.
    #[must_use]
    pub fn stamp<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<Stamp>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).and_then(last).map(|entry| entry.stamp)
    }

    /// When a key that was in was removed, by the clock of who removed it.
    #[must_use]
    pub fn removed_at<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<Stamp>
    where
        K: Borrow<Q>,
    {
        self.entries.get_hidden(key).and_then(last).map(|entry| entry.stamp)
    }

    /// The keys with their values, in ascending order of key. The first read in order sorts them; from then on their
    /// order is kept.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.entries.iter().filter_map(|(key, entries)| Some((key, value(entries)?)))
    }

    /// The keys, ascending.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The entries whose keys are within `range`, ascending.
    pub fn range<Q: Ord + ?Sized>(
        &self,
        range: impl RangeBounds<Q>,
    ) -> impl DoubleEndedIterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        self.entries.range(range).filter_map(|(key, entries)| Some((key, value(entries)?)))
    }

    /// The entries whose keys start with `prefix`, ascending.
    pub fn prefix<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (&'s K, &'s V)>
    where
        K: Borrow<str>,
    {
        self.entries.prefix(prefix).filter_map(|(key, entries)| Some((key, value(entries)?)))
    }
}

fn value<V>(entries: &Leaf<Written<Entry<V>>>) -> Option<&V> {
    last(entries)?.value.as_ref()
}

impl<K: Key, V: Value> Mut<'_, LwwMap<K, V>> {
    /// Writes a value, in place of all that is seen of the key here.
    pub fn set(&mut self, key: impl Into<K>, value: impl Into<V>) {
        self.write(key.into(), Some(value.into()));
    }

    /// Removes a key, also over earlier writes that have not been seen here; says whether it was in. One that is not in is
    /// left alone.
    pub fn remove<Q: Ord + Hash + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let Some(key) = self.state.entries.key(key).cloned() else { return false };
        self.write(key, None);
        true
    }

    /// Removes every key that is seen here.
    pub fn clear(&mut self) {
        let all: Vec<K> = self.state.keys().cloned().collect();
        for key in all {
            self.write(key, None);
        }
    }

    fn write(&mut self, key: K, value: Option<V>) {
        deeper(self.depth);
        let entry = Entry { stamp: self.tx.stamp(), value };
        self.state.entries.cast(key, entry.into(), self.place, self.tx);
    }
}

impl<K: Key, V: Value> Crdt for LwwMap<K, V> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("LwwMap")
    }
}

impl<K: Key, V: Value> DotStore for LwwMap<K, V> {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.entries.take_in(node, join, |_, entry, join| join.observe(entry.stamp));
    }

    votes_store!(entries: K, Written<Entry<V>>);

    fn remembered(&self, sweep: &mut Sweep<'_>) {
        self.entries.remembered(sweep);
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        self.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
        map.end()
    }

    fn conflicts(&self, disputes: &mut Disputes<'_>) {
        for (key, entries) in self.entries.all() {
            if entries.len() > 1 {
                disputes.below(Plain::of_key(key), |disputes| {
                    let value =
                        |entry: &&Written<Entry<V>>| (entry.value.as_ref().map(Plain::of), Some(entry.stamp));
                    disputes.claims(entries.iter_dots(), value);
                });
            }
        }
    }

    fn plain(&self) -> Plain {
        Plain::Map(self.iter().map(|(key, value)| (Plain::of_key(key), Plain::of(value))).collect())
    }

    fn look(&self, look: Look<'_>) -> Seen {
        Seen::entries(look, |key: &K| self.get(key), self.iter(), |value, _| Seen::value(Plain::of(value)))
    }

    fn changed(&self, before: &Seen, gathered: &mut Gathered) {
        gathered.entries(
            before,
            |key: &K| self.get(key),
            self.iter(),
            Plain::of,
            |value, seen, gathered| {
                gathered.value(seen, || Plain::of(value));
            },
        );
    }
}
