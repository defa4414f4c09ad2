//! What finds the entries of a [`Keyed`](super::Keyed) when they are many.

use alloc::boxed::Box;
use core::hash::{Hash, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use hashbrown::HashTable;

use super::keyed::Slot;
use super::order::LazyOrder;

/// What finds entries when they are many.
#[derive(Clone)]
pub(super) struct Index {
    /// INVARIANT: names every slot once, under the hash of its key.
    pub(super) slots: HashTable<u32>,
    pub(super) seed: u64,
    /// Made from `seed`. The shared seed of the crate would be known to everybody, and with it keys that collide
    /// whatever `seed` is.
    secret: SharedSeed,
    pub(super) order: LazyOrder,
}

impl Index {
    pub(super) fn new<K: Hash, S>(entries: &[(K, S)], seed: u64) -> Box<Self> {
        let secret = SharedSeed::from_u64(seed);
        let mut index = Box::new(Self { slots: HashTable::new(), seed, secret, order: LazyOrder::default() });
        index.rebuild(entries);
        index
    }

    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.secret);
        key.hash(&mut hasher);
        hasher.finish()
    }

    /// Builds the table with room for half as many entries more. Faster than letting it grow, which asks for the hashes
    /// in the order of the table.
    pub(super) fn rebuild<K: Hash, S>(&mut self, entries: &[(K, S)]) {
        let mut slots = HashTable::with_capacity(entries.len() + entries.len() / 2 + 1);
        for (at, (key, _)) in (0..).zip(entries) {
            slots.insert_unique(self.hash(key), at, |_| unreachable!("there is room for all"));
        }
        self.slots = slots;
    }

    /// Takes in `slot`, which comes after the slots of `entries`.
    pub(super) fn add<K: Hash, S>(&mut self, entries: &[(K, S)], slot: Slot) {
        if self.slots.len() == self.slots.capacity() {
            self.rebuild(entries);
        }
        self.slots.insert_unique(slot.hash, slot.at, |_| unreachable!("room was made"));
        self.order.add(slot.at);
    }

    /// Forgets `slot`, and gives its number to the last of the `entries`.
    pub(super) fn forget<K: Hash, S>(&mut self, entries: &[(K, S)], slot: Slot) {
        let last = entries.len() as u32 - 1;
        let find = |hash, wanted| {
            let bucket = self.slots.find_bucket_index(hash, |&at| at == wanted);
            bucket.expect("a key must have one hash, and a slot may not be used after entries came or went")
        };
        let bucket = find(slot.hash, slot.at);
        if slot.at != last {
            let moved = find(self.hash(&entries[last as usize].0), last);
            *self.slots.get_bucket_mut(moved).expect("it was found there") = slot.at;
        }
        self.slots.get_bucket_entry(bucket).expect("it was found there").remove();
        self.order.remove(slot.at);
    }
}
