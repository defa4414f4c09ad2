//! What a state holds, as one number.

use alloc::vec::Vec;
use core::hash::Hasher as _;
use core::ops::Range;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::Replica;
use crate::causal::{CausalContext, LocalDot, ReplicaTable, Version};
use crate::delta::{Delta, DeltaTree, Flat, Weighed};
use crate::store::{Crdt, DotStore as _};

/// To find out whether two things here are the same. Nobody gains by making them look so.
const NO_KEY: [u8; 16] = [0; 16];

impl<T: Crdt> Replica<T> {
    /// A hash of everything that is alive, with where it stands and the dot it has: equal at replicas of equal
    /// [version](Self::version), whatever way they got there, also where one of them does not know the type. So it tells what
    /// versions cannot: that two replicas wrote under one id, or that a disk or a program changed something.
    ///
    /// It is a sum over the items, each hashed under `key`; who knows the key can make two states that have the same. Costs a walk
    /// over the state.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsSet, Replica, ReplicaId};
    ///
    /// let mut ann = Replica::<AddWinsSet<u64>>::new(ReplicaId::from_bytes([1; 16]));
    /// let mut copy = Replica::<AddWinsSet<u64>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = ann.update(|set| set.add(1_u64));
    /// let _ = copy.update(|set| set.add(2_u64));
    /// assert_eq!(ann.version(), copy.version());
    /// assert_ne!(ann.fingerprint(&[7; 16]), copy.fingerprint(&[7; 16]));
    /// ```
    #[must_use]
    pub fn fingerprint(&self, key: &[u8; 16]) -> u128 {
        self.fingerprint_of(|_| true, key)
    }

    /// The [fingerprint](Self::fingerprint) of what is alive of the dots below `base`, without those of these numbers: as
    /// [`live_below`](Self::live_below) has them, ascending. Two replicas that know `base` have the same of what is alive at both, unless
    /// somebody wrote twice under one id. Costs as much as the fingerprint.
    ///
    /// `None` if not all of `base` is known here, or it has not these numbers.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsSet, Replica, ReplicaId};
    ///
    /// let mut ann = Replica::<AddWinsSet<u64>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = ann.update(|set| set.extend(0..10_u64));
    /// let base = ann.version();
    /// let mut bob = ann.fork(ReplicaId::from_bytes([2; 16]));
    /// let _ = bob.update(|set| set.remove(&7));
    /// assert_eq!(ann.fingerprint_below(&base, &[7..8], &[7; 16]), bob.fingerprint_below(&base, &[], &[7; 16]));
    /// ```
    #[must_use]
    pub fn fingerprint_below(&self, base: &Version, but: &[Range<u64>], key: &[u8; 16]) -> Option<u128> {
        let ranks = self.ranks(base)?;
        let mut without = CausalContext::default();
        but.iter().try_for_each(|numbers| ranks.collect(numbers, &mut without))?;
        Some(self.fingerprint_of(|dot| ranks.rank(dot).is_some() && !without.contains(dot), key))
    }

    /// The [fingerprint](Self::fingerprint) of what is alive here of what `delta` builds on, and not removed by it, where it is [what was
    /// lacked beyond](Self::delta_beyond) a base: the same as [`fingerprint_below`](Self::fingerprint_below) that base, of what both
    /// have alive, at who made it.
    #[must_use]
    pub fn fingerprint_beneath(&self, delta: &Delta<T>, key: &[u8; 16]) -> u128 {
        let (theirs, ours) = (&delta.parts.table, &self.tx.table);
        let deps = delta.deps();
        let below: Vec<u64> = ours.ids().map(|id| deps.get(*id)).collect();
        let mut gone = CausalContext::default();
        for (row, first, last) in delta.parts.tree.root().cover().runs() {
            if let Some(row) = ours.row(theirs.id(row)) {
                gone.insert_run(row, first, last);
            }
        }
        let builds_on =
            |dot: LocalDot| below.get(dot.replica() as usize).is_some_and(|&last| dot.counter() <= last);
        self.fingerprint_of(|dot| builds_on(dot) && !gone.contains(dot), key)
    }

    /// Whether a state has something under a dot that is alive here, and not the same. No two replicas of one history have: who joins what
    /// contradicts it loses something. Costs a walk over both.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsSet, Replica, ReplicaId};
    ///
    /// let mut ann = Replica::<AddWinsSet<u64>>::new(ReplicaId::from_bytes([1; 16]));
    /// let mut copy = Replica::<AddWinsSet<u64>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = ann.update(|set| set.extend([1_u64, 2]));
    /// let _ = copy.update(|set| set.add(3_u64));
    /// assert!(ann.is_contradicted_by(&copy.state()));
    /// ```
    #[must_use]
    pub fn is_contradicted_by(&self, state: &Delta<T>) -> bool {
        let (theirs, ours) = (&state.parts.table, &self.tx.table);
        let rows: Vec<_> = theirs.ids().map(|id| ours.row(*id)).collect();
        let known = |dot: LocalDot| {
            let row = rows[dot.replica() as usize]?;
            (dot.counter() <= self.known[row as usize]).then(|| LocalDot::new(row, dot.counter()))
        };
        let mut told: Vec<(LocalDot, u128)> = Vec::new();
        Fingerprint::of(&state.parts.tree, theirs, &NO_KEY)
            .each(&mut |dot, item| told.extend(known(dot).map(|dot| (dot, item))));
        if told.is_empty() {
            return false;
        }
        told.sort_unstable();
        let dots = CausalContext::from_dots(told.iter().map(|(dot, _)| *dot).collect());
        let mut alive: Vec<(LocalDot, u128)> = Vec::new();
        let tree = self.tree_of(|dot| dots.contains(dot));
        Fingerprint::of(&tree, ours, &NO_KEY).each(&mut |dot, item| alive.push((dot, item)));
        alive.sort_unstable();
        let dots = CausalContext::from_dots(alive.iter().map(|(dot, _)| *dot).collect());
        told.retain(|(dot, _)| dots.contains(*dot));
        told != alive
    }

    fn fingerprint_of(&self, is_meant: impl Fn(LocalDot) -> bool, key: &[u8; 16]) -> u128 {
        let hash = ItemHash { key, table: &self.tx.table };
        let mut sum = 0_u128;
        // The nodes in which was written last, from the root on: their numbers and hashes.
        let mut paths: Vec<(u32, u128)> = Vec::new();
        let mut add = |item: Weighed<'_>| {
            let path = item.path();
            paths.truncate(path.len());
            let mut above = 0;
            for (depth, (node, key)) in path.enumerate() {
                match paths.get(depth) {
                    Some(&(known, path)) if known == node => above = path,
                    _ => {
                        paths.truncate(depth);
                        above = hash.path(above, key);
                        paths.push((node, above));
                    }
                }
            }
            for (dot, content) in item.span.items() {
                sum = sum.wrapping_add(hash.item(above, dot, content));
            }
        };
        DeltaTree::weighed(&mut add, |writer| self.state.carry(&is_meant, writer));
        sum
    }

    pub(super) fn tree_of(&self, is_meant: impl Fn(LocalDot) -> bool) -> DeltaTree {
        DeltaTree::written(|writer| self.state.carry(&is_meant, writer))
    }
}

/// What an item and where it stands are hashed to.
struct ItemHash<'p> {
    key: &'p [u8; 16],
    table: &'p ReplicaTable,
}

impl ItemHash<'_> {
    /// Of a node that lies below another.
    fn path(&self, above: u128, key: &[u8]) -> u128 {
        self.hash(above, |hasher| hasher.write(key))
    }

    fn item(&self, path: u128, dot: LocalDot, content: &[u8]) -> u128 {
        self.hash(path, |hasher| {
            hasher.write(self.table.id(dot.replica()).as_bytes());
            hasher.write(&dot.counter().to_le_bytes());
            hasher.write(content);
        })
    }

    fn hash(&self, above: u128, write: impl FnOnce(&mut SipHasher13)) -> u128 {
        let mut hasher = SipHasher13::new_with_key(self.key);
        hasher.write(&above.to_le_bytes());
        write(&mut hasher);
        hasher.finish128().as_u128()
    }
}

struct Fingerprint<'p> {
    hash: ItemHash<'p>,
    tree: Flat<'p>,
}

impl<'p> Fingerprint<'p> {
    fn of(tree: &'p DeltaTree, table: &'p ReplicaTable, key: &'p [u8; 16]) -> Self {
        Self { hash: ItemHash { key, table }, tree: tree.flat() }
    }

    /// Every dot, with the hash of where it stands and of its content.
    fn each(&self, found: &mut dyn FnMut(LocalDot, u128)) {
        // The nodes stand in pre-order: each after the one it lies below.
        let mut paths: Vec<u128> = Vec::new();
        for (node, parent) in (0..).zip(self.tree.parents()) {
            let above = paths.get(parent as usize).copied().unwrap_or(0);
            paths.push(self.hash.path(above, self.tree.key(node)));
        }
        for (span, node) in self.tree.spans() {
            let path = paths[node as usize];
            span.items().for_each(|(dot, content)| found(dot, self.hash.item(path, dot, content)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Doc, ReplicaId, Text};

    fn is_that_of_its_state<T: Crdt>(replica: &Replica<T>) {
        let parts = replica.state_parts();
        let mut sum = 0_u128;
        Fingerprint::of(&parts.tree, &parts.table, &[7; 16])
            .each(&mut |_, item| sum = sum.wrapping_add(item));
        assert_eq!(replica.fingerprint(&[7; 16]), sum);
    }

    #[test]
    fn the_fingerprint_is_that_of_the_state_and_needs_no_copy_of_it() {
        let mut doc = Replica::<Doc>::new(ReplicaId::from_bytes([1; 16]));
        is_that_of_its_state(&doc);
        let _ = doc.update(|doc| {
            for part in ["one", "two", "three"] {
                let mut part = doc.map(part);
                part.map("below").counter("seen").inc(3);
                part.map("beside").set("tags").extend(["a", "b"].map(crate::Scalar::from));
                part.lww("title").set("a title");
            }
        });
        is_that_of_its_state(&doc);
        let mut text = Replica::<Text>::new(ReplicaId::from_bytes([2; 16]));
        let _ = text.update(|text| text.push("some text, and more"));
        let _ = text.update(|text| text.delete(3..6).unwrap());
        is_that_of_its_state(&text);
    }
}
