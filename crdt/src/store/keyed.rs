//! The container of the sets and maps: found by hash, read in the order of the keys.
//!
//! Entries lie densely in one `Vec`. Up to [`SMALL`] of them are kept sorted and have nothing beside them: maps nest, and
//! most are small. More have an [`Index`]: a table from hash to *slot*, the number of an entry in the `Vec`, and from the
//! first read in order on an [`Order`] of the slots. What is never read in order pays nothing for it.
//!
//! The seed of the hash is handed in, so that others cannot know which keys collide. Nothing observable depends on it:
//! *unordered* walks go by what came and went.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::Hash;
use core::ops::RangeBounds;

use super::index::Index;
use super::order::{GONE, Order, SLOTS};
use super::walk::{Iter, Range, before_end, before_start};

/// Up to how many entries have no index. Above, it goes again at half of this.
const SMALL: usize = 8;

/// Values by key.
#[derive(Clone)]
pub(crate) struct Keyed<K, S> {
    /// INVARIANT: without an index, in ascending order of key and at most `SMALL`.
    entries: Vec<(K, S)>,
    index: Option<Box<Index>>,
}

/// Where an entry is, until entries come or go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(super) at: u32,
    /// Of the key, if there is an index.
    pub(super) hash: u64,
}

/// Where an entry would be: its hash if there is an index, otherwise its place.
pub(crate) struct Gap(u64);

impl<K, S> Default for Keyed<K, S> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: None }
    }
}

impl<K: Ord + fmt::Debug, S: fmt::Debug> fmt::Debug for Keyed<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K, S> Keyed<K, S> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in an order that means nothing.
    pub(crate) fn iter_unordered(&self) -> impl ExactSizeIterator<Item = (&K, &S)> {
        self.entries.iter().map(|(key, state)| (key, state))
    }

    /// The values, in an order that means nothing.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.entries.iter_mut().map(|(_, state)| state)
    }

    /// The entry in `slot`.
    pub(crate) fn slot(&self, slot: Slot) -> (&K, &S) {
        let (key, state) = &self.entries[slot.at as usize];
        (key, state)
    }

    /// The value in `slot`.
    pub(crate) fn slot_mut(&mut self, slot: Slot) -> &mut S {
        &mut self.entries[slot.at as usize].1
    }
}

/// Ordered reads. The first one of a container with an index sorts it.
impl<K: Ord, S> Keyed<K, S> {
    fn order(&self) -> Option<&Order> {
        self.index.as_ref().map(|index| index.order.get(&self.entries))
    }

    /// The entries in ascending order of key.
    pub(crate) fn iter(&self) -> Iter<'_, K, S> {
        let range = match self.order() {
            None => Range::Sorted(self.entries.iter()),
            Some(order) => Range::Ordered(&self.entries, order.walk()),
        };
        Iter { range, left: self.len() }
    }

    /// The keys, ascending.
    pub(crate) fn keys(&self) -> impl ExactSizeIterator<Item = &K> + DoubleEndedIterator {
        self.iter().map(|(key, _)| key)
    }

    /// The entries whose keys are within `range`, ascending. A range that ends before it starts is empty.
    pub(crate) fn range<Q: Ord + ?Sized>(&self, range: impl RangeBounds<Q>) -> Range<'_, K, S>
    where
        K: Borrow<Q>,
    {
        let bounds = (range.start_bound(), range.end_bound());
        match self.order() {
            None => {
                let start = self.entries.partition_point(|(key, _)| before_start(bounds, key.borrow()));
                let rest = &self.entries[start..];
                let end = rest.partition_point(|(key, _)| before_end(bounds, key.borrow()));
                Range::Sorted(rest[..end].iter())
            }
            Some(order) => Range::Ordered(&self.entries, order.range(&self.entries, bounds)),
        }
    }
}

impl<K: Ord + Hash, S> Keyed<K, S> {
    /// Where `key` is, or would be as long as nothing comes or goes.
    pub(crate) fn search<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Result<Slot, Gap>
    where
        K: Borrow<Q>,
    {
        match &self.index {
            None => {
                // For so few, one after the other is faster than by halves.
                for (at, (other, _)) in (0..).zip(&self.entries) {
                    match other.borrow().cmp(key) {
                        Ordering::Less => {}
                        Ordering::Equal => return Ok(Slot { at, hash: 0 }),
                        Ordering::Greater => return Err(Gap(at.into())),
                    }
                }
                Err(Gap(self.entries.len() as u64))
            }
            Some(index) => {
                let hash = index.hash(key);
                let same = |&at: &u32| self.entries[at as usize].0.borrow() == key;
                index.slots.find(hash, same).map(|&at| Slot { at, hash }).ok_or(Gap(hash))
            }
        }
    }

    /// Where `key` is.
    pub(crate) fn occupied<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<Slot>
    where
        K: Borrow<Q>,
    {
        self.search(key).ok()
    }

    pub(crate) fn contains_key<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.search(key).is_ok()
    }

    pub(crate) fn get<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<&S>
    where
        K: Borrow<Q>,
    {
        self.search(key).ok().map(|slot| self.slot(slot).1)
    }

    /// Where `key` is, with a value that comes into being if there is none. `seed` is used if the container gets an index
    /// now.
    pub(crate) fn occupy(&mut self, key: K, seed: u64) -> Slot
    where
        S: Default,
    {
        match self.search(&key) {
            Ok(slot) => slot,
            Err(gap) => self.fill(gap, key, seed),
        }
    }

    /// Puts a key where the search for it ended, with the value that is nothing yet.
    pub(crate) fn fill(&mut self, gap: Gap, key: K, seed: u64) -> Slot
    where
        S: Default,
    {
        self.push(gap, (key, S::default()), seed)
    }

    fn push(&mut self, Gap(mut gap): Gap, entry: (K, S), seed: u64) -> Slot {
        let len = self.entries.len();
        if len == self.entries.capacity() {
            let more = if len < SMALL { len.max(1) } else { len / 2 };
            self.entries.reserve_exact(more);
        }
        if self.index.is_none() && len < SMALL {
            self.entries.insert(gap as usize, entry);
            return Slot { at: gap as u32, hash: 0 };
        }
        let index = self.index.get_or_insert_with(|| {
            let index = Index::new(&self.entries, seed);
            gap = index.hash(&entry.0);
            index
        });
        let at =
            u32::try_from(len).ok().filter(|&at| at < SLOTS).expect("a container holds at most 2^31 keys");
        index.add(&self.entries, Slot { at, hash: gap });
        self.entries.push(entry);
        Slot { at, hash: gap }
    }

    pub(crate) fn remove_entry<Q: Ord + Hash + ?Sized>(&mut self, key: &Q) -> Option<(K, S)>
    where
        K: Borrow<Q>,
    {
        self.search(key).ok().map(|slot| self.remove_slot(slot))
    }

    /// Removes the entry in `slot`. No other [`Slot`] is good then.
    pub(crate) fn remove_slot(&mut self, slot: Slot) -> (K, S) {
        let at = slot.at as usize;
        let entry = match &mut self.index {
            None => self.entries.remove(at),
            Some(index) => {
                index.forget(&self.entries, slot);
                self.entries.swap_remove(at)
            }
        };
        self.settle();
        entry
    }

    /// Keeps the entries for which `keep` says yes, asked in an order that means nothing.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut S) -> bool) {
        if self.index.is_none() {
            self.entries.retain_mut(|(key, state)| keep(key, state));
            return self.settle();
        }
        let mut gone = Vec::new();
        for (at, (key, state)) in (0..).zip(&mut self.entries) {
            if !keep(key, state) {
                gone.push(at);
            }
        }
        if gone.len() > self.len() / 8 {
            return self.remove_many(&gone);
        }
        // From the end: the entry that takes the place of another stays.
        for &at in gone.iter().rev() {
            let index = self.index.as_ref().expect("it goes at half of SMALL, and most entries stay");
            let hash = index.hash(&self.entries[at as usize].0);
            self.remove_slot(Slot { at, hash });
        }
    }

    /// Removes the entries in the slots `gone`, which ascend, and builds the table again.
    fn remove_many(&mut self, gone: &[u32]) {
        let mut now = vec![0; self.len()];
        gone.iter().for_each(|&at| now[at as usize] = GONE);
        for (kept, now) in (0..).zip(now.iter_mut().filter(|now| **now != GONE)) {
            *now = kept;
        }
        let mut each = now.iter();
        self.entries.retain(|_| each.next() != Some(&GONE));
        if let Some(index) = &mut self.index {
            index.order.renumber(&now);
            index.rebuild(&self.entries);
        }
        self.settle();
    }

    /// After a removal: gives back what the entries that are left do not need.
    fn settle(&mut self) {
        shrink(&mut self.entries);
        if self.len() <= SMALL / 2 && self.index.take().is_some() {
            self.entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        }
        if let Some(index) = &mut self.index
            && self.entries.len() * 5 < index.slots.num_buckets()
        {
            index.rebuild(&self.entries);
        }
    }
}

/// Gives memory back if less than a quarter of it is in use.
pub(super) fn shrink<T>(items: &mut Vec<T>) {
    if items.len() < items.capacity().div_ceil(4) {
        items.shrink_to(items.len() * 2);
    }
}

#[cfg(test)]
mod tests;
