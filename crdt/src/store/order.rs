//! The slots of a [`Keyed`](super::keyed::Keyed) in the order of their keys, kept while keys come and go.
//!
//! Blocks of at most [`BLOCK`] slots, and for each slot the block it is in: an entry that goes is found without comparing
//! keys. One that comes is only noted; the next read in order compares O(log n) keys to find its place. So a container
//! that is written and not read pays next to nothing for having been read in order once.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::mem;

use spin::{Mutex, Once};

use super::keyed::shrink;
use super::walk::{Bounds, Walk, before_end, before_start};

/// How many slots a block holds at most.
const BLOCK: usize = 256;

/// How many slots a block is given when the order is built, so that not every block is split by the next keys.
const FILLED: usize = BLOCK / 4 * 3;

/// How many slots are compared at once when one is looked for.
const CHUNK: usize = 32;

/// In [`Order::home`]: the slot is in `fresh`, and the lower bits say where.
const FRESH: u32 = 1 << 31;

/// Slots from here on do not exist.
pub(super) const SLOTS: u32 = FRESH;

/// In [`LazyOrder::renumber`]: a slot that is gone.
pub(super) const GONE: u32 = u32::MAX;

/// An order that is made by the first read, and brought up to date by the next read after a change.
///
/// Nobody waits for another's: readers that come at once each make one, and one of those is kept.
#[derive(Default)]
pub(super) struct LazyOrder {
    /// INVARIANT: nothing in it is fresh.
    ready: Once<Box<Order>>,
    /// INVARIANT: empty if there is one that is ready.
    stale: Mutex<Option<Box<Order>>>,
}

impl Clone for LazyOrder {
    fn clone(&self) -> Self {
        // Stale after ready: a read may make the one from the other meanwhile, and a copy without order is a good copy.
        match self.ready.get() {
            Some(ready) => Self { ready: ready.clone().into(), stale: Mutex::default() },
            None => Self { ready: Once::new(), stale: Mutex::new(self.stale()) },
        }
    }
}

impl LazyOrder {
    pub(super) fn get<K: Ord, S>(&self, entries: &[(K, S)]) -> &Order {
        if let Some(ready) = self.ready.get() {
            return ready;
        }
        let stale = self.stale.try_lock().and_then(|mut stale| stale.take());
        let mut order =
            stale.unwrap_or_else(|| Box::new(Order::build(entries, (0..SLOTS).take(entries.len()))));
        order.take_in_fresh(entries);
        self.ready.call_once(|| order)
    }

    /// A copy, unless somebody is taking it just now.
    fn stale(&self) -> Option<Box<Order>> {
        self.stale.try_lock()?.clone()
    }

    fn existing(&mut self) -> Option<&mut Order> {
        if self.ready.get().is_none() {
            return self.stale.get_mut().as_deref_mut();
        }
        self.ready.get_mut().map(Box::as_mut)
    }

    /// A new slot, which must be the one after the last.
    pub(super) fn add(&mut self, slot: u32) {
        if let Some(ready) = mem::take(&mut self.ready).try_into_inner() {
            self.stale = Mutex::new(Some(ready));
        }
        let Some(order) = self.existing() else { return };
        order.home.push(FRESH | order.fresh.len() as u32);
        order.fresh.push(slot);
        if order.fresh.len() > order.home.len() / 2 {
            // To build it anew costs no more than to bring it up to date.
            *self = Self::default();
        }
    }

    /// Removes `slot`; the last slot is called that from now on.
    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(order) = self.existing() {
            order.remove(slot);
        }
    }

    /// Drops the slots that `now` says are [`GONE`], and gives each other `slot` the number `now[slot]`.
    pub(super) fn renumber(&mut self, now: &[u32]) {
        if let Some(order) = self.existing() {
            order.renumber(now);
        }
    }

    #[cfg(test)]
    pub(super) fn order(&self) -> Option<Order> {
        self.ready.get().cloned().or_else(|| self.stale()).map(|order| *order)
    }
}

/// Slots in ascending order of their keys.
#[derive(Clone, Default)]
pub(super) struct Order {
    /// INVARIANT: every slot is in one block or in `fresh`, once. In the order of `sequence`, keys ascend through the
    /// blocks. No block is empty or longer than `BLOCK`.
    blocks: Vec<Vec<u32>>,
    /// INVARIANT: every block once.
    sequence: Vec<u32>,
    /// INVARIANT: by slot, the block it is in, or where in `fresh` with [`FRESH`] set.
    home: Vec<u32>,
    /// Slots that have not found their place yet.
    fresh: Vec<u32>,
}

/// A place in the order: in which block of the sequence, and where in that.
struct Place {
    nth: usize,
    at: usize,
}

impl Order {
    /// The order of `slots`, which are all there are.
    fn build<K: Ord, S>(entries: &[(K, S)], slots: impl Iterator<Item = u32>) -> Self {
        let mut slots: Vec<u32> = slots.collect();
        // The stable sort is the one that profits from runs that ascend already.
        slots.sort_by(|&a, &b| entries[a as usize].0.cmp(&entries[b as usize].0));
        Self::of(&slots, Vec::new())
    }

    /// Of `sorted` and `fresh` slots, which together are all there are.
    fn of(sorted: &[u32], fresh: Vec<u32>) -> Self {
        let blocks: Vec<_> = sorted.chunks(FILLED).map(<[u32]>::to_vec).collect();
        let mut home = vec![0; sorted.len() + fresh.len()];
        for (id, block) in (0..).zip(&blocks) {
            block.iter().for_each(|&slot| home[slot as usize] = id);
        }
        for (at, &slot) in (FRESH..).zip(&fresh) {
            home[slot as usize] = at;
        }
        Self { sequence: (0..).take(blocks.len()).collect(), blocks, home, fresh }
    }

    fn in_order(&self) -> impl Iterator<Item = u32> {
        self.sequence.iter().flat_map(|&id| &self.blocks[id as usize]).copied()
    }

    fn nth(&self, nth: usize) -> &[u32] {
        self.sequence.get(nth).map_or(&[], |&id| &self.blocks[id as usize])
    }

    /// The first place whose key is not `before`.
    fn bound<K, S>(&self, entries: &[(K, S)], before: impl Fn(&K) -> bool) -> Place {
        let before = |slot: u32| before(&entries[slot as usize].0);
        let after = self.sequence.partition_point(|&id| before(self.blocks[id as usize][0]));
        let nth = after.saturating_sub(1);
        Place { nth, at: self.nth(nth).partition_point(|&slot| before(slot)) }
    }

    fn take_in_fresh<K: Ord, S>(&mut self, entries: &[(K, S)]) {
        let mut fresh = mem::take(&mut self.fresh);
        if fresh.len() > self.home.len() / 4 {
            *self = Self::build(entries, self.in_order().chain(fresh));
            return;
        }
        // Neighbours find their places by comparing mostly the same keys.
        fresh.sort_by(|&a, &b| entries[a as usize].0.cmp(&entries[b as usize].0));
        for slot in fresh {
            let key = &entries[slot as usize].0;
            let place = self.bound(entries, |other| other < key);
            self.insert(place, slot);
        }
    }

    fn insert(&mut self, Place { mut nth, mut at }: Place, slot: u32) {
        let mut id = self.sequence[nth] as usize;
        if self.blocks[id].len() == BLOCK {
            // Keys that come in ascending order leave full blocks behind.
            let keep = if nth + 1 == self.sequence.len() && at == BLOCK { BLOCK } else { BLOCK / 2 };
            let upper = self.blocks[id][keep..].to_vec();
            self.blocks[id].truncate(keep);
            self.sequence.insert(nth + 1, self.blocks.len() as u32);
            self.blocks.push(upper);
            self.house(self.blocks.len() - 1);
            if at >= keep {
                (nth, at) = (nth + 1, at - keep);
                id = self.sequence[nth] as usize;
            }
        }
        let block = &mut self.blocks[id];
        if block.len() == block.capacity() {
            block.reserve_exact(block.len().max(8).min(BLOCK - block.len()));
        }
        block.insert(at, slot);
        self.home[slot as usize] = id as u32;
    }

    /// Notes for the slots of block `id` that they are in it.
    fn house(&mut self, id: usize) {
        self.blocks[id].iter().for_each(|&slot| self.home[slot as usize] = id as u32);
    }

    /// The block that `slot` is in, and where.
    fn find(&self, slot: u32) -> (usize, usize) {
        let id = self.home[slot as usize] as usize;
        // Whether it is in a chunk is asked without branches, many slots at once.
        let in_it = |chunk: &[u32]| chunk.iter().fold(false, |found, &other| found | (other == slot));
        let chunk = self.blocks[id].chunks(CHUNK).position(in_it);
        let from = CHUNK * chunk.expect("a slot is in the block that is its home");
        let at = self.blocks[id][from..].iter().take_while(|&&other| other != slot).count();
        (id, from + at)
    }

    fn remove(&mut self, slot: u32) {
        let home = self.home[slot as usize];
        if home >= FRESH {
            let at = (home - FRESH) as usize;
            self.fresh.swap_remove(at);
            shrink(&mut self.fresh);
            if let Some(&moved) = self.fresh.get(at) {
                self.home[moved as usize] = home;
            }
        } else {
            let (id, at) = self.find(slot);
            self.blocks[id].remove(at);
        }
        let last = self.home.len() as u32 - 1;
        if slot != last {
            match self.home[last as usize] {
                fresh if fresh >= FRESH => self.fresh[(fresh - FRESH) as usize] = slot,
                _ => {
                    let (id, at) = self.find(last);
                    self.blocks[id][at] = slot;
                }
            }
        }
        self.home.swap_remove(slot as usize);
        shrink(&mut self.home);
        if home < FRESH {
            // Not every time, as it looks for the block in the sequence.
            let len = self.blocks[home as usize].len();
            if len <= BLOCK / 4 && len.is_multiple_of(BLOCK / 8) {
                self.merge(home as usize);
            }
        }
    }

    /// Joins a block that got short with a neighbour, if both fit in one and leave it room.
    fn merge(&mut self, short: usize) {
        let nth = self.position(short);
        let size = self.blocks[short].len();
        let neighbours = [nth.wrapping_sub(1), nth + 1].into_iter().filter(|&nth| nth < self.sequence.len());
        match neighbours.min_by_key(|&nth| self.nth(nth).len()) {
            _ if size == 0 => drop(self.drop_block(nth)),
            Some(other) if size + self.nth(other).len() <= FILLED => {
                let moved = self.drop_block(nth.max(other));
                let id = self.sequence[nth.min(other)];
                moved.iter().for_each(|&slot| self.home[slot as usize] = id);
                self.blocks[id as usize].reserve_exact(moved.len());
                self.blocks[id as usize].extend(moved);
            }
            _ => shrink(&mut self.blocks[short]),
        }
    }

    fn drop_block(&mut self, nth: usize) -> Vec<u32> {
        let id = self.sequence.remove(nth) as usize;
        let block = self.blocks.swap_remove(id);
        if id < self.blocks.len() {
            let moved = self.position(self.blocks.len());
            self.sequence[moved] = id as u32;
            self.house(id);
        }
        shrink(&mut self.blocks);
        shrink(&mut self.sequence);
        block
    }

    fn position(&self, block: usize) -> usize {
        let position = self.sequence.iter().position(|&id| id as usize == block);
        position.expect("every block is in the sequence")
    }

    fn renumber(&mut self, now: &[u32]) {
        let left = |slots: &mut dyn Iterator<Item = u32>| -> Vec<u32> {
            slots.map(|slot| now[slot as usize]).filter(|&slot| slot != GONE).collect()
        };
        let (sorted, fresh) = (left(&mut self.in_order()), left(&mut self.fresh.iter().copied()));
        *self = Self::of(&sorted, fresh);
    }

    /// All slots.
    pub(super) fn walk(&self) -> Walk<'_> {
        Walk { blocks: &self.blocks, front: [].iter(), between: self.sequence.iter(), back: [].iter() }
    }

    /// The slots whose keys are within `bounds`.
    pub(super) fn range<K: Borrow<Q>, S, Q: Ord + ?Sized>(
        &self,
        entries: &[(K, S)],
        bounds: Bounds<'_, Q>,
    ) -> Walk<'_> {
        let start = self.bound(entries, |key| before_start(bounds, key.borrow()));
        let end = self.bound(entries, |key| before_end(bounds, key.borrow()));
        let (front, between, back) = if start.nth < end.nth {
            let between = &self.sequence[start.nth + 1..end.nth];
            (&self.nth(start.nth)[start.at..], between, &self.nth(end.nth)[..end.at])
        } else if start.nth == end.nth {
            (self.nth(start.nth).get(start.at..end.at).unwrap_or(&[]), &[][..], &[][..])
        } else {
            (&[][..], &[][..], &[][..])
        };
        Walk { blocks: &self.blocks, front: front.iter(), between: between.iter(), back: back.iter() }
    }
}

#[cfg(test)]
impl Order {
    /// Checks every invariant.
    pub(super) fn check<K: Ord, S>(&self, entries: &[(K, S)]) {
        assert_eq!(self.home.len(), entries.len());
        assert_eq!(self.in_order().count() + self.fresh.len(), entries.len(), "every slot is somewhere once");
        let mut ids = self.sequence.clone();
        ids.sort_unstable();
        assert!(ids.into_iter().eq(0..self.blocks.len() as u32), "every block is in the sequence once");
        for (id, block) in (0..).zip(&self.blocks) {
            assert!((1..=BLOCK).contains(&block.len()) && block.capacity() <= BLOCK);
            assert!(block.iter().all(|&slot| self.home[slot as usize] == id));
        }
        assert!((FRESH..).zip(&self.fresh).all(|(at, &slot)| self.home[slot as usize] == at));
        let keys: Vec<&K> = self.in_order().map(|slot| &entries[slot as usize].0).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "keys ascend");
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let slots = self.blocks.iter().map(Vec::capacity).sum::<usize>();
        let numbers = slots + self.sequence.capacity() + self.home.capacity() + self.fresh.capacity();
        4 * numbers + size_of::<Vec<u32>>() * self.blocks.capacity()
    }
}
