//! Replica ids interned to small integers.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::hash::Hasher as _;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::{Dot, LocalDot, ReplicaId, ReplicaIndex};

/// Fewer ids than this are looked through one by one, and copied with their table.
const FEW: usize = 8;

/// Gives each replica id of one document a small integer, in order of arrival.
///
/// Rows are never reused or moved, so a [`LocalDot`] stays valid as long as its table. Each delta keeps the table it was
/// written with; copies share nearly all they have, however many ids there are.
#[derive(Clone, Default, Debug)]
pub struct ReplicaTable {
    /// All rows but the last few. INVARIANT: each is longer than the next.
    blocks: Vec<Arc<Block>>,
    /// How many ids are in blocks.
    settled: usize,
    /// The rows behind those in blocks: fewer than `FEW`.
    last: SmallVec<[ReplicaId; 2]>,
    /// For the index, where there is one: outsiders choose their ids. A table that came from outside is read by row.
    secret: Option<SharedSeed>,
    /// Some id is smaller than the one before it.
    is_unordered: bool,
}

/// Consecutive rows.
#[derive(Clone, Debug)]
struct Block {
    first: usize,
    ids: Vec<ReplicaId>,
    /// Where in `ids` each stands.
    index: HashTable<u32>,
}

impl ReplicaTable {
    /// An empty table that finds ids fast; `seed` is not known outside.
    pub(crate) fn with_seed(seed: u64) -> Self {
        Self { secret: Some(SharedSeed::from_u64(seed)), ..Self::default() }
    }

    /// The row of `id`, added if it is new.
    pub(crate) fn intern(&mut self, id: ReplicaId) -> ReplicaIndex {
        self.row(id).unwrap_or_else(|| self.push(id))
    }

    /// The row of an id that is new.
    pub(crate) fn push(&mut self, id: ReplicaId) -> ReplicaIndex {
        self.is_unordered |= self.newest().is_some_and(|newest| id < newest);
        self.last.push(id);
        if self.last.len() == FEW {
            self.settle();
        }
        (self.len() - 1) as ReplicaIndex
    }

    /// Puts the last rows into a block.
    fn settle(&mut self) {
        let secret = self.secret.as_ref();
        // A block that nobody else has grows. Others keep theirs as they are, and are joined by the next only when that
        // is as long: so an id is copied no more often than the table doubles.
        match self.blocks.last_mut().and_then(Arc::get_mut) {
            Some(block) => block.extend(&self.last, secret),
            None => {
                let mut block = Block { first: self.settled, ids: Vec::new(), index: HashTable::new() };
                block.extend(&self.last, secret);
                self.blocks.push(Arc::new(block));
            }
        }
        self.settled += self.last.len();
        self.last.clear();
        while let [.., earlier, later] = &mut self.blocks[..]
            && earlier.ids.len() <= later.ids.len()
        {
            Arc::make_mut(earlier).extend(&later.ids, secret);
            self.blocks.pop();
        }
    }

    /// The row of `id`, if it has one.
    #[must_use]
    pub fn row(&self, id: ReplicaId) -> Option<ReplicaIndex> {
        if let Some(at) = self.last.iter().position(|known| *known == id) {
            return Some((self.settled + at) as ReplicaIndex);
        }
        let at_in = |block: &Block, hash: Option<u64>| match hash {
            Some(hash) => block.index.find(hash, |&at| block.ids[at as usize] == id).map(|&at| at as usize),
            None => block.ids.iter().position(|known| *known == id),
        };
        if self.secret.is_none() && !self.is_unordered && self.newest().is_none_or(|newest| id > newest) {
            return None;
        }
        let hash = self.secret.as_ref().map(|secret| hash(secret, id));
        let found = |block: &Arc<Block>| at_in(block, hash).map(|at| (block.first + at) as ReplicaIndex);
        self.blocks.iter().find_map(found)
    }

    /// The id in a row.
    ///
    /// # Panics
    /// If the row is of another table.
    #[must_use]
    #[inline]
    pub fn id(&self, row: ReplicaIndex) -> ReplicaId {
        *self.get(row)
    }

    #[inline(always)]
    fn get(&self, row: ReplicaIndex) -> &ReplicaId {
        let row = row as usize;
        match &self.blocks[..] {
            _ if row >= self.settled => &self.last[row - self.settled],
            // What `in_blocks` finds, sooner.
            [only] => &only.ids[row],
            blocks => in_blocks(blocks, row),
        }
    }

    fn oldest(&self) -> Option<ReplicaId> {
        self.blocks.first().and_then(|block| block.ids.first()).or_else(|| self.last.first()).copied()
    }

    fn newest(&self) -> Option<ReplicaId> {
        self.last.last().or_else(|| self.blocks.last().and_then(|block| block.ids.last())).copied()
    }

    /// How many replicas there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.settled + self.last.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether any replica's row in `other` differs from its row here: if not, dots of `other` can be used as they are.
    pub(crate) fn extends(&self, other: &Self) -> bool {
        core::ptr::eq(self, other) || self.starts_with(other)
    }

    fn starts_with(&self, other: &Self) -> bool {
        // As most that come: a block has at least as many ids as can stand behind the last.
        if other.blocks.is_empty() {
            let first = self.blocks.first().map_or(&self.last[..], |block| &block.ids);
            return first.starts_with(&other.last);
        }
        if other.oldest() != self.oldest() || other.len() > self.len() {
            return false;
        }
        let both = self.blocks.iter().zip(&other.blocks);
        let shared = both
            .take_while(|(ours, theirs)| Arc::ptr_eq(ours, theirs))
            .map(|(block, _)| block.ids.len())
            .sum();
        self.ids().skip(shared).zip(other.ids().skip(shared)).all(|(ours, theirs)| ours == theirs)
    }

    /// All ids, by row.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &ReplicaId> {
        self.blocks.iter().flat_map(|block| &block.ids).chain(&self.last)
    }

    /// The dot with its replica's full id.
    #[must_use]
    pub fn dot(&self, dot: LocalDot) -> Dot {
        Dot { replica: self.id(dot.replica()), counter: dot.counter() }
    }

    /// Whether the replica of a row comes before `id`, in the order that is the same at every replica.
    #[inline]
    pub(crate) fn is_before(&self, row: ReplicaIndex, id: &ReplicaId) -> bool {
        self.get(row) < id
    }

    /// The order of dots that is the same at every replica: by replica id, then counter.
    #[must_use]
    pub fn compare(&self, a: LocalDot, b: LocalDot) -> Ordering {
        if a.replica() == b.replica() {
            return a.cmp(&b);
        }
        self.id(a.replica()).cmp(&self.id(b.replica()))
    }
}

/// The id in a row, where there are several blocks.
#[inline(never)]
fn in_blocks(blocks: &[Arc<Block>], row: usize) -> &ReplicaId {
    let block = &blocks[blocks.partition_point(|block| block.first <= row) - 1];
    &block.ids[row - block.first]
}

impl Block {
    /// Adds rows at the end. Without a secret they are not indexed.
    fn extend(&mut self, ids: &[ReplicaId], secret: Option<&SharedSeed>) {
        let start = self.ids.len();
        self.ids.extend_from_slice(ids);
        if let Some(secret) = secret {
            for at in start..self.ids.len() {
                let hash_of = |&at: &u32| hash(secret, self.ids[at as usize]);
                let at = at as u32;
                self.index.insert_unique(hash_of(&at), at, hash_of);
            }
        }
    }
}

/// Where an id stands in an index. Nothing else depends on it.
fn hash(secret: &SharedSeed, id: ReplicaId) -> u64 {
    let mut hasher = FoldHasher::with_seed(0, secret);
    hasher.write_u128(u128::from_le_bytes(*id.as_bytes()));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> ReplicaId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        ReplicaId::from_bytes(bytes)
    }

    #[test]
    fn a_table_keeps_its_rows_and_every_copy_made_meanwhile_keeps_its_own() {
        for (seed, every) in [(Some(7), 1), (Some(7), 3), (Some(7), 50), (None, 5)] {
            let mut table = seed.map_or_else(ReplicaTable::default, ReplicaTable::with_seed);
            let mut copies = Vec::new();
            for n in 0..300 {
                if n % every == 0 {
                    copies.push(table.clone());
                }
                assert_eq!(table.row(id(n)), None);
                assert_eq!(table.intern(id(n)), n as ReplicaIndex);
                assert_eq!(table.intern(id(n / 2)), (n / 2) as ReplicaIndex);
            }
            for copy in &copies {
                let len = copy.len() as u64;
                assert!((0..len).all(
                    |n| copy.row(id(n)) == Some(n as ReplicaIndex) && copy.id(n as ReplicaIndex) == id(n)
                ));
                assert!(copy.ids().copied().eq((0..len).map(id)));
                assert_eq!(copy.row(id(len)), None);
                assert!(table.extends(copy) && !copy.extends(&table));
            }
            let all: usize = copies.iter().flat_map(|copy| &copy.blocks).map(|block| block.ids.len()).sum();
            assert!(copies.iter().all(|copy| copy.blocks.len() < 8) && all <= 300 * copies.len());
        }
    }

    #[test]
    fn ids_that_came_in_order_are_found_and_any_are_compared_as_ids() {
        for descending in [false, true] {
            let mut table = ReplicaTable::default();
            assert!(table.is_empty());
            let mut numbers: Vec<u8> = (0..24).collect();
            if descending {
                numbers.reverse();
            }
            for &number in &numbers {
                table.intern(ReplicaId::from_bytes([number; 16]));
            }
            assert!(!table.is_empty());
            for (row, &number) in numbers.iter().enumerate() {
                assert_eq!(table.row(ReplicaId::from_bytes([number; 16])), Some(row as ReplicaIndex));
                for (other, &than) in numbers.iter().enumerate() {
                    let dot = |row: usize, counter| LocalDot::new(row as ReplicaIndex, counter);
                    let by_id = (number, 5).cmp(&(than, 3));
                    assert_eq!(table.compare(dot(row, 5), dot(other, 3)), by_id);
                    assert_eq!(table.compare(dot(row, 3), dot(other, 5)), (number, 3).cmp(&(than, 5)));
                }
            }
        }
    }

    #[test]
    fn tables_of_other_ids_or_another_order_do_not_extend_each_other() {
        let table = |ids: &[u64]| {
            let mut table = ReplicaTable::default();
            for &n in ids {
                table.intern(id(n));
            }
            table
        };
        let long: Vec<u64> = (0..40).collect();
        let other: Vec<u64> = (0..30).chain([99]).collect();
        assert!(table(&long).extends(&table(&long[..20])) && table(&[]).extends(&table(&[])));
        assert!(!table(&long[..20]).extends(&table(&long)) && !table(&long).extends(&table(&other)));
        assert!(!table(&[1, 2]).extends(&table(&[2])) && table(&[1, 2]).extends(&table(&[])));
    }
}
