//! What a transaction under way has written: a delta's tree in the order of writing, and what is needed to undo it.

mod seal;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::Hasher as _;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::branch::Branch;
use super::tree::offset;
use super::{Bytes, DeltaTree, Number};
use crate::causal::LocalDot;

/// A place in a draft.
pub(crate) type PlaceId = u32;

/// The place of the whole value.
pub(crate) const ROOT: PlaceId = 0;
/// No place.
const NONE: PlaceId = u32::MAX;
/// A dot that nobody writes, for counters begin at 1. A node that covers it stays in a tree and drops nothing.
const NOBODYS: LocalDot = LocalDot::from_bits(0);
/// Up to so many children are looked through one by one.
const LINEAR: u32 = 16;
/// Lists that have room for more than so many items, or so many bytes of keys and contents, are not kept for the next
/// transaction.
const KEPT: usize = 128;
const KEPT_BYTES: usize = 4096;

/// A place that a handle has been narrowed to.
#[derive(Debug, Clone, Copy)]
struct Opened {
    parent: PlaceId,
    /// The one opened before it below the same parent.
    previous: PlaceId,
    /// The newest one below it, and how many there are.
    newest: PlaceId,
    children: u32,
    /// The newest one below it that is in the index, with all before it.
    indexed: PlaceId,
    key: (u32, u32),
    /// The place that speaks for it when something of it is covered: a place above it, if some of what it holds stands
    /// elsewhere; [`NONE`] for the place itself.
    covers_at: PlaceId,
}

impl Opened {
    fn new(parent: PlaceId, previous: PlaceId, key: (u32, u32), covers_at: PlaceId) -> Self {
        Self { parent, previous, newest: NONE, children: 0, indexed: NONE, key, covers_at }
    }
}

/// Content written under a dot of this transaction.
#[derive(Debug, Clone, Copy)]
struct Put {
    dot: LocalDot,
    place: PlaceId,
    /// Where its content stands; `None` when it has been taken away again.
    content: Option<(u32, u32)>,
}

/// What left the state and comes back if the transaction is undone.
#[derive(Debug)]
enum Taken {
    Number(LocalDot, Number),
    Item(LocalDot, Bytes),
    Below(Box<DeltaTree>),
}

/// A content that is not among the others yet.
#[derive(Debug, Clone, Copy)]
struct Late {
    place: PlaceId,
    dot: LocalDot,
    number: Number,
}

/// The draft of a delta.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// The root first, parents before their children. Between transactions there is none.
    places: Vec<Opened>,
    keys: Bytes,
    /// INVARIANT: ascending by dot.
    puts: Vec<Put>,
    contents: Bytes,
    covers: Vec<(PlaceId, LocalDot)>,
    taken: Vec<(PlaceId, Taken)>,
    /// Dots that stand under another key than that of their place. INVARIANT: ascending by place.
    renamed: Vec<(PlaceId, &'static str, Arc<BTreeSet<LocalDot>>)>,
    /// A number that changes often while the transaction goes on: encoded only when something else is written.
    late: Option<Late>,
    /// Places by parent and key, of parents that have many children; with their hashes.
    index: HashTable<(u64, PlaceId)>,
    /// Whether something has left the state: a place may be there then for what is not in the state.
    has_removed: bool,
    secret: Option<SharedSeed>,
}

impl Draft {
    /// Begins anew.
    pub(crate) fn begin(&mut self, seed: u64) {
        debug_assert!(self.places.is_empty(), "what the last transaction wrote is cleared away");
        self.secret.get_or_insert_with(|| SharedSeed::from_u64(seed));
        self.places.push(Opened::new(NONE, NONE, (0, 0), NONE));
    }

    /// Clears everything away, and gives memory back after a transaction that was not small.
    pub(crate) fn rest(&mut self) {
        // By what they take, not by what they hold: much of it may have been taken back.
        let most =
            [self.places.capacity(), self.puts.capacity(), self.covers.capacity(), self.taken.capacity()];
        let is_large = most.into_iter().any(|items| items > KEPT);
        if is_large || self.keys.capacity() + self.contents.capacity() > KEPT_BYTES {
            *self = Self { secret: self.secret.take(), ..Self::default() };
            return;
        }
        self.places.clear();
        self.keys.clear();
        self.puts.clear();
        self.contents.clear();
        self.covers.clear();
        self.taken.clear();
        self.renamed.clear();
        self.index.clear();
        self.has_removed = false;
        self.late = None;
    }

    fn key(&self, at: PlaceId) -> &[u8] {
        let (from, to) = self.places[at as usize].key;
        &self.keys[from as usize..to as usize]
    }

    /// The place below `parent` under the key that `write` writes.
    pub(crate) fn child(&mut self, parent: PlaceId, write: impl FnOnce(&mut Bytes)) -> PlaceId {
        let start = self.keys.len();
        write(&mut self.keys);
        let key = &self.keys[start..];
        let Opened { newest, children, .. } = self.places[parent as usize];
        let known = if children <= LINEAR {
            let mut at = newest;
            while at != NONE && self.key(at) != key {
                at = self.places[at as usize].previous;
            }
            (at != NONE).then_some(at)
        } else {
            self.index_below(parent);
            let key = &self.keys[start..];
            let is_it =
                |&(_, at): &(u64, PlaceId)| self.places[at as usize].parent == parent && self.key(at) == key;
            self.index.find(hash(self.secret.as_ref(), parent, key), is_it).map(|(_, at)| *at)
        };
        if let Some(known) = known {
            self.keys.truncate(start);
            return known;
        }
        self.open(parent, start)
    }

    /// As `child`, for the key of an entry that is not in the state, but is from now on.
    pub(crate) fn child_of_new(&mut self, parent: PlaceId, write: impl FnOnce(&mut Bytes)) -> PlaceId {
        if self.has_removed {
            return self.child(parent, write);
        }
        // What has a place is in the state, so this has none, and need not be looked for.
        let start = self.keys.len();
        write(&mut self.keys);
        self.open(parent, start)
    }

    /// As `child`, for the key of an entry that has left the state.
    pub(crate) fn child_of_removed(&mut self, parent: PlaceId, write: impl FnOnce(&mut Bytes)) -> PlaceId {
        self.has_removed = true;
        self.child(parent, write)
    }

    /// A new place, whose key begins at `start`.
    fn open(&mut self, parent: PlaceId, start: usize) -> PlaceId {
        let at = offset(self.places.len());
        let key = (offset(start), offset(self.keys.len()));
        let above = &mut self.places[parent as usize];
        let previous = core::mem::replace(&mut above.newest, at);
        above.children += 1;
        let covers_at = above.covers_at;
        self.places.push(Opened::new(parent, previous, key, covers_at));
        at
    }

    /// Puts the places below `parent` into the index, as far as they are not in it.
    fn index_below(&mut self, parent: PlaceId) {
        let Opened { newest, indexed, .. } = self.places[parent as usize];
        let mut at = newest;
        while at != indexed {
            let hash = hash(self.secret.as_ref(), parent, self.key(at));
            self.index.insert_unique(hash, (hash, at), |(hash, _)| *hash);
            at = self.places[at as usize].previous;
        }
        self.places[parent as usize].indexed = newest;
    }

    /// As `put`, of a number that may soon be written anew.
    #[inline]
    pub(crate) fn put_number(&mut self, place: PlaceId, dot: LocalDot, number: Number) {
        match &mut self.late {
            Some(late) if late.dot == dot => late.number = number,
            _ => {
                self.settle();
                self.late = Some(Late { place, dot, number });
            }
        }
    }

    /// Puts the late number among the others.
    #[inline]
    fn settle(&mut self) {
        if self.late.is_some() {
            self.put_late();
        }
    }

    fn put_late(&mut self) {
        if let Some(Late { place, dot, number }) = self.late.take() {
            self.put(place, dot, |out| out.extend_from_slice(&number.encode()));
        }
    }

    /// Writes content under a dot that was minted just now, or anew under one that was minted in this transaction.
    pub(crate) fn put(&mut self, place: PlaceId, dot: LocalDot, write: impl FnOnce(&mut Bytes)) {
        self.settle();
        let at = match self.puts.last() {
            Some(last) if last.dot < dot => self.puts.len(),
            Some(last) if last.dot == dot => {
                if let Some((from, to)) = last.content
                    && to as usize == self.contents.len()
                {
                    self.contents.truncate(from as usize);
                }
                self.puts.len() - 1
            }
            Some(_) => self.puts.partition_point(|put| put.dot < dot),
            None => 0,
        };
        let start = offset(self.contents.len());
        write(&mut self.contents);
        let put = Put { dot, place, content: Some((start, offset(self.contents.len()))) };
        match self.puts.get_mut(at) {
            Some(known) if known.dot == dot => *known = put,
            _ => self.puts.insert(at, put),
        }
    }

    /// Takes away what this transaction wrote under `dot`.
    pub(crate) fn unput(&mut self, dot: LocalDot) {
        self.settle();
        if let Ok(at) = self.puts.binary_search_by_key(&dot, |put| put.dot) {
            self.puts[at].content = None;
        }
    }

    /// From here on what is covered at or below `place` is covered by the place above it: what `place` holds may stand
    /// elsewhere below that.
    ///
    /// Says whether the place was opened just now.
    pub(crate) fn cover_above(&mut self, place: PlaceId) -> bool {
        let Opened { parent, covers_at, .. } = self.places[place as usize];
        // Nothing else opens such a place.
        let is_new = place as usize + 1 == self.places.len()
            && self.renamed.last().is_none_or(|(last, ..)| *last != place);
        if covers_at == NONE {
            self.places[place as usize].covers_at = parent;
        }
        is_new
    }

    /// Notes which of the dots at or below `place` stand under another key beside it: so that they come back there, should
    /// the transaction be undone.
    pub(crate) fn stands_elsewhere(
        &mut self,
        place: PlaceId,
        key: &'static str,
        dots: Arc<BTreeSet<LocalDot>>,
    ) {
        self.renamed.push((place, key, dots));
    }

    /// Covers a dot of an earlier transaction or another replica.
    pub(crate) fn cover(&mut self, place: PlaceId, dot: LocalDot) {
        let covers_at = self.places[place as usize].covers_at;
        self.covers.push((if covers_at == NONE { place } else { covers_at }, dot));
    }

    /// Keeps what was under a dot, should the transaction be undone.
    pub(crate) fn keep(&mut self, place: PlaceId, dot: LocalDot, content: Bytes) {
        self.taken.push((place, Taken::Item(dot, content)));
    }

    /// As `keep`, of a number.
    pub(crate) fn keep_number(&mut self, place: PlaceId, dot: LocalDot, number: Number) {
        self.taken.push((place, Taken::Number(dot, number)));
    }

    /// Keeps what was below a place, should the transaction be undone.
    pub(crate) fn keep_below(&mut self, place: PlaceId, tree: DeltaTree) {
        if !tree.is_empty() {
            self.taken.push((place, Taken::Below(Box::new(tree))));
        }
    }

    /// The delta that undoes what was written: covers what it carries, carries what it took, and names every place that
    /// was opened, so that none of them stays empty.
    pub(crate) fn inverse(&mut self) -> DeltaTree {
        self.settle();
        let mut branches: Vec<Branch> = self.places.iter().map(|_| Branch::default()).collect();
        for put in &self.puts {
            branches[put.place as usize].cover.insert(put.dot);
        }
        for (place, taken) in &self.taken {
            let branch = &mut branches[*place as usize];
            match taken {
                Taken::Number(dot, number) => branch.carried.push((*dot, number.encode())),
                Taken::Item(dot, content) => branch.carried.push((*dot, content.clone())),
                Taken::Below(tree) => branch.absorb(Branch::from_node(tree.root())),
            }
        }
        let mut renamed = &self.renamed[..];
        while branches.len() > 1 {
            let at = branches.len() - 1;
            let mut branch = branches.pop().expect("there are at least two");
            let mut elsewhere: SmallVec<[(Bytes, Branch); 1]> = SmallVec::new();
            while let Some(((_, key, dots), rest)) =
                renamed.split_last().filter(|((place, ..), _)| *place as usize == at)
            {
                elsewhere.push((Bytes::from_slice(key.as_bytes()), branch.split_off(dots)));
                renamed = rest;
            }
            if branch.cover.is_empty() && branch.carried.is_empty() && branch.children.is_empty() {
                branch.cover.insert(NOBODYS);
            }
            let parent = &mut branches[self.places[at].parent as usize];
            parent.children.push((Bytes::from_slice(self.key(at as PlaceId)), branch));
            parent.children.extend(elsewhere);
        }
        let mut root = branches.pop().unwrap_or_default();
        root.join_equal_keys();
        root.into_tree()
    }
}

/// Where a place stands in the index. Nothing else depends on it.
fn hash(secret: Option<&SharedSeed>, parent: PlaceId, key: &[u8]) -> u64 {
    let mut hasher = FoldHasher::with_seed(0, secret.expect("set when the transaction began"));
    hasher.write_u32(parent);
    hasher.write(key);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_and_taken_back_leaves_no_room_behind() {
        let mut draft = Draft::default();
        for _ in 0..2 {
            draft.begin(1);
            for counter in 1..10_000 {
                let dot = LocalDot::new(0, counter);
                draft.put(ROOT, dot, |_| {});
                draft.unput(dot);
            }
            let mut tree = DeltaTree::default();
            draft.seal(&mut tree);
            draft.rest();
            assert!(tree.is_empty() && draft.puts.capacity() <= KEPT, "{}", draft.puts.capacity());
        }
    }
}
