//! What maps of replicated types have in common: keys with values, of which none is empty.

/// Reading and joining a map that keeps its values in `entries`.
macro_rules! impl_entries {
    ($map:ident) => {
        impl<K: Key, V: Crdt> Default for $map<K, V> {
            fn default() -> Self {
                Self { entries: Keyed::default() }
            }
        }

        impl<K: Key, V: Crdt<State: Clone>> Clone for $map<K, V> {
            fn clone(&self) -> Self {
                Self { entries: self.entries.clone() }
            }
        }

        impl<K: Key + core::fmt::Debug, V: Crdt<State: core::fmt::Debug>> core::fmt::Debug for $map<K, V> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.entries.fmt(f)
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
                    let slot = self.entries.occupy(key, join.seed);
                    let value = self.entries.slot_mut(slot);
                    join.below(value, child);
                    if value.is_bottom() {
                        self.entries.remove_slot(slot);
                    }
                }
            }

            fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
                self.entries.retain(|_, value| {
                    value.retain(keep);
                    !value.is_bottom()
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

            fn is_bottom(&self) -> bool {
                self.entries.is_empty()
            }

            fn prune(&mut self, node: Node<'_>) {
                for (bytes, child) in node.children() {
                    let key: K = decode_key(bytes).expect("this transaction wrote the key");
                    if let Some(slot) = self.entries.occupied(&key) {
                        let value = self.entries.slot_mut(slot);
                        value.prune(child);
                        if value.is_bottom() {
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

            fn conflicts(&self, disputes: &mut Disputes<'_>) {
                for (key, value) in self.iter() {
                    disputes.below(Plain::of(key), |disputes| value.conflicts(disputes));
                }
            }

            fn remembered(&self, sweep: &mut Sweep<'_>) {
                for (_, value) in self.entries.iter_unordered() {
                    sweep.entry(|sweep| value.remembered(sweep));
                }
            }

            fn plain(&self) -> Plain {
                Plain::Map(self.iter().map(|(key, value)| (Plain::of(key), value.plain())).collect())
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
