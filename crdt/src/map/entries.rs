//! What maps of replicated types have in common: keys with values, of which none is empty.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::Deref;

use crate::causal::LocalDot;
use crate::store::{DotStore, Gap, Keyed, Slot};

/// Keys with values that show. Reading is of these.
///
/// SUBTLE: of a text, forgetting writes items beside what is read. Who removes its key at the same time does not know such an item, so it is left
/// there alone: the key must not be back by it, and the item must not be lost before all others let it go.
#[derive(Clone)]
pub(super) struct Entries<K, S> {
    shown: Keyed<K, S>,
    /// Those by which no key is in. Boxed, for next to no map has any.
    #[allow(clippy::box_collection)]
    hidden: Option<Box<BTreeMap<K, S>>>,
}

impl<K, S> Default for Entries<K, S> {
    fn default() -> Self {
        Self { shown: Keyed::default(), hidden: None }
    }
}

impl<K, S> Deref for Entries<K, S> {
    type Target = Keyed<K, S>;

    fn deref(&self) -> &Keyed<K, S> {
        &self.shown
    }
}

impl<K: Clone + Ord + Hash, S: DotStore> Entries<K, S> {
    /// Where the value under a key is, which comes into being if there is none.
    pub(super) fn open(&mut self, key: K, seed: u64) -> Slot {
        match self.shown.search(&key) {
            Ok(slot) => slot,
            Err(gap) => self.fill(gap, key, seed),
        }
    }

    /// As [`open`](Self::open), of a key that is not in, where the search for it ended.
    pub(super) fn fill(&mut self, gap: Gap, key: K, seed: u64) -> Slot {
        let hidden = self.hidden.as_mut().and_then(|hidden| hidden.remove(&key));
        let slot = self.shown.fill(gap, key, seed);
        if let Some(hidden) = hidden {
            *self.shown.slot_mut(slot) = hidden;
            self.tidy();
        }
        slot
    }

    pub(super) fn slot_mut(&mut self, slot: Slot) -> &mut S {
        self.shown.slot_mut(slot)
    }

    /// Has a key be in only if its value shows something. No [`Slot`] is good then.
    pub(super) fn close(&mut self, slot: Slot) {
        if !self.shown.slot_mut(slot).shows() {
            let (key, value) = self.shown.remove_slot(slot);
            if !value.is_bottom() {
                self.hidden.get_or_insert_default().insert(key, value);
            }
        }
    }

    fn tidy(&mut self) {
        self.hidden.take_if(|hidden| hidden.is_empty());
    }

    pub(super) fn remove_entry<Q: Ord + Hash + ?Sized>(&mut self, key: &Q) -> Option<(K, S)>
    where
        K: Borrow<Q>,
    {
        self.shown.remove_entry(key)
    }

    pub(super) fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        if let Some(hidden) = &mut self.hidden {
            hidden.retain(|_, value| {
                value.retain(keep);
                !value.is_bottom()
            });
        }
        let hidden = &mut self.hidden;
        self.shown.retain(|key, value| {
            value.retain(keep);
            let shows = value.shows();
            if !shows && !value.is_bottom() {
                hidden.get_or_insert_default().insert(key.clone(), core::mem::take(value));
            }
            shows
        });
        self.tidy();
    }

    /// All there is, in an order that means nothing.
    pub(super) fn all(&self) -> impl Iterator<Item = (&K, &S)> {
        self.shown.iter_unordered().chain(self.hidden.iter().flat_map(|hidden| hidden.iter()))
    }

    pub(super) fn settle(&mut self) {
        self.values_mut().for_each(DotStore::settle);
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.shown.values_mut().chain(self.hidden.iter_mut().flat_map(|hidden| hidden.values_mut()))
    }

    pub(super) fn is_bottom(&self) -> bool {
        self.shown.is_empty() && self.hidden.is_none()
    }
}

/// Reading and joining a map that keeps its values in `entries`.
macro_rules! impl_entries {
    ($map:ident, removable: $removable:literal) => {
        impl<K: Key, V: Crdt> Default for $map<K, V> {
            fn default() -> Self {
                Self { entries: Entries::default() }
            }
        }

        impl<K: Key, V: Crdt<State: Clone>> Clone for $map<K, V> {
            fn clone(&self) -> Self {
                Self { entries: self.entries.clone() }
            }
        }

        impl<K: Key + core::fmt::Debug, V: Crdt<State: core::fmt::Debug>> core::fmt::Debug for $map<K, V> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_map().entries(self.entries.iter()).finish()
            }
        }

        impl<K: Key, V: Crdt> $map<K, V> {
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
            #[must_use]
            pub fn contains_key<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> bool
            where
                K: Borrow<Q>,
            {
                self.entries.contains_key(key)
            }

            /// The value under `key`. O(1).
            #[must_use]
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

        impl<K: Key, V: Crdt> DotStore for $map<K, V> {
            fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
                for (bytes, child) in node.children() {
                    let Some(key) = join.key::<K>(bytes) else { return };
                    let slot = self.entries.open(key, join.seed);
                    join.below(self.entries.slot_mut(slot), child);
                    self.entries.close(slot);
                }
            }

            fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
                self.entries.retain(keep);
            }

            fn settle(&mut self) {
                self.entries.settle();
            }

            fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
                self.entries.all().for_each(|(_, value)| value.dots(each));
            }

            fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
                for (key, value) in self.entries.all() {
                    writer.child(|out| write_key(key, out), |below| value.carry(wanted, below));
                }
            }

            fn is_bottom(&self) -> bool {
                self.entries.is_bottom()
            }

            fn shows(&self) -> bool {
                !self.entries.is_empty()
            }

            fn prune(&mut self, node: Node<'_>) {
                for (bytes, child) in node.children() {
                    let key: K = decode_key(bytes).expect("this transaction wrote the key");
                    if let Some(slot) = self.entries.occupied(&key) {
                        self.entries.slot_mut(slot).prune(child);
                        self.entries.close(slot);
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

            fn conflicts(&self, disputes: &mut Disputes<'_>) {
                for (key, value) in self.iter() {
                    disputes.below(Plain::of_key(key), |disputes| value.conflicts(disputes));
                }
            }

            fn remembered(&self, sweep: &mut Sweep<'_>) {
                sweep.keyed($removable, |sweep| {
                    for (_, value) in self.entries.all() {
                        sweep.entry(|sweep| value.remembered(sweep));
                    }
                });
            }

            fn plain(&self) -> Plain {
                Plain::Map(self.iter().map(|(key, value)| (Plain::of_key(key), value.plain())).collect())
            }

            fn look(&self, look: Look<'_>) -> Seen {
                let entries = &self.entries;
                Seen::entries(
                    look,
                    |key: &K| entries.get(key),
                    entries.iter_unordered(),
                    |value, look| value.look(look),
                )
            }

            fn changed(&self, before: &Seen, gathered: &mut Gathered) {
                let entries = &self.entries;
                gathered.entries(
                    before,
                    |key: &K| entries.get(key),
                    entries.iter_unordered(),
                    V::State::plain,
                    |value, seen, gathered| value.changed(seen, gathered),
                );
            }
        }
    };
}
pub(super) use impl_entries;

/// Write access to the value under a key, made if there is none, through a handle on a map that is used up.
macro_rules! entry {
    ($handle:expr, $key:expr, $removable:expr) => {{
        let (handle, key) = ($handle, $key.into());
        // The key is written before anything of the state changes: it may refuse.
        let entries = &mut handle.state.entries;
        let (place, slot) = match entries.search(&key) {
            Ok(slot) => (handle.tx.draft.child(handle.place, |out| write_key(&key, out)), slot),
            Err(gap) => {
                let place = handle.tx.draft.child_of_new(handle.place, |out| write_key(&key, out));
                (place, entries.fill(gap, key, handle.tx.seed))
            }
        };
        let state = handle.state.entries.slot_mut(slot);
        Mut { state, place, tx: handle.tx, removable: $removable, depth: deeper(handle.depth) }.into()
    }};
}
pub(super) use entry;
