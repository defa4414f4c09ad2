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
use super::{Bytes, DeltaTree, Number, Span};
use crate::causal::{CausalContext, LocalDot};

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

/// Content written under consecutive dots of this transaction.
#[derive(Debug, Clone, Copy)]
struct Put {
    dot: LocalDot,
    place: PlaceId,
    count: u32,
    /// Where the contents stand, one after the other and equally long; from [`NONE`] on when they have been taken away again.
    content: (u32, u32),
}

impl Put {
    fn is_there(&self) -> bool {
        self.content.0 != NONE
    }

    /// The bits of its last dot.
    fn last(&self) -> u64 {
        self.dot.bits() + u64::from(self.count) - 1
    }

    /// How long each content is.
    fn each(&self) -> u32 {
        (self.content.1 - self.content.0) / self.count
    }

    /// Whether each content is as long as those of another.
    fn is_as_long_as(&self, other: &Self) -> bool {
        let scaled = |one: &Self, by: &Self| u64::from(one.content.1 - one.content.0) * u64::from(by.count);
        scaled(self, other) == scaled(other, self)
    }

    /// Its dots from one to another.
    fn part(&self, first: u64, last: u64) -> Self {
        let from = self.content.0 + (first - self.dot.bits()) as u32 * self.each();
        let count = (last - first + 1) as u32;
        let content = (from, from + count * self.each());
        Self { dot: LocalDot::from_bits(first), count, content, ..*self }
    }
}

/// Consecutive dots that a place covers.
#[derive(Debug, Clone, Copy)]
struct Covered {
    dot: LocalDot,
    place: PlaceId,
    count: u32,
}

impl Covered {
    fn interval(&self) -> (u64, u64) {
        (self.dot.bits(), self.dot.bits() + u64::from(self.count) - 1)
    }
}

/// What left the state and comes back if the transaction is undone.
#[derive(Debug)]
enum Taken {
    Number(LocalDot, Number),
    Run(Span<Bytes>),
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
    /// Intervals of dots within runs of `puts` that have been taken away again.
    gone: Vec<(u64, u64)>,
    covers: Vec<Covered>,
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
        let most = [
            self.places.capacity(),
            self.puts.capacity(),
            self.gone.capacity(),
            self.covers.capacity(),
            self.taken.capacity(),
        ];
        let is_large = most.into_iter().any(|items| items > KEPT);
        if is_large || self.keys.capacity() + self.contents.capacity() > KEPT_BYTES {
            *self = Self { secret: self.secret.take(), ..Self::default() };
            return;
        }
        self.places.clear();
        self.keys.clear();
        self.puts.clear();
        self.contents.clear();
        self.gone.clear();
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
                if last.is_there() && last.content.1 as usize == self.contents.len() {
                    self.contents.truncate(last.content.0 as usize);
                }
                self.puts.len() - 1
            }
            Some(_) => self.puts.partition_point(|put| put.dot < dot),
            None => 0,
        };
        let start = offset(self.contents.len());
        write(&mut self.contents);
        let put = Put { dot, place, count: 1, content: (start, offset(self.contents.len())) };
        match self.puts.get_mut(at) {
            Some(known) if known.dot == dot => *known = put,
            _ => self.puts.insert(at, put),
        }
    }

    /// Writes contents under consecutive dots that were minted just now, one after the other and equally long.
    pub(crate) fn put_run(&mut self, place: PlaceId, dot: LocalDot, count: u32, contents: &[u8]) {
        self.settle();
        let start = offset(self.contents.len());
        match contents {
            // A keystroke.
            [byte] => self.contents.push(*byte),
            _ => self.contents.extend_from_slice(contents),
        }
        let put = Put { dot, place, count, content: (start, offset(self.contents.len())) };
        match self.puts.last_mut() {
            Some(last)
                if last.is_there()
                    && (last.place, last.last() + 1, last.content.1) == (place, dot.bits(), start)
                    && last.is_as_long_as(&put) =>
            {
                last.count += count;
                last.content.1 = put.content.1;
            }
            _ => self.puts.push(put),
        }
    }

    /// Takes away what this transaction wrote under `dot`.
    pub(crate) fn unput(&mut self, dot: LocalDot) {
        self.unput_run(dot, 1);
    }

    /// As `unput`, of consecutive dots.
    pub(crate) fn unput_run(&mut self, dot: LocalDot, count: u32) {
        self.settle();
        if self.unput_last(dot, count) {
            return;
        }
        let (first, last) = (dot.bits(), dot.bits() + u64::from(count) - 1);
        // Who deletes goes on where they are.
        let going_on = |known: &&mut (u64, u64)| known.1 + 1 == first || last + 1 == known.0;
        if let Some(known) = self.gone.last_mut().filter(going_on) {
            *known = (known.0.min(first), known.1.max(last));
            return;
        }
        if count > 1 || !self.unput_one(dot) {
            self.gone.push((first, last));
        }
    }

    /// As `unput`, of what was written alone.
    fn unput_one(&mut self, dot: LocalDot) -> bool {
        let known = self.puts.binary_search_by_key(&dot, |put| put.dot);
        let put = known.ok().map(|at| &mut self.puts[at]).filter(|put| put.count == 1);
        put.map(|put| put.content.0 = NONE).is_some()
    }

    /// As `unput_run`, if it is about the last of what was written last: who corrects what was typed just now leaves nothing behind.
    fn unput_last(&mut self, dot: LocalDot, count: u32) -> bool {
        let Some(last) = self.puts.last_mut() else { return false };
        let is_last = last.is_there()
            && last.content.1 as usize == self.contents.len()
            && last.dot <= dot
            && last.last() == dot.bits() + u64::from(count) - 1;
        if is_last {
            last.content.1 -= count * last.each();
            last.count -= count;
            self.contents.truncate(last.content.1 as usize);
            if last.count == 0 {
                self.puts.pop();
            }
        }
        is_last
    }

    /// Leaves of `puts` what has not been taken away.
    fn settle_gone(&mut self) {
        if self.gone.is_empty() {
            return;
        }
        let gone = CausalContext::from_intervals(core::mem::take(&mut self.gone));
        let mut cuts = gone.as_dots().intervals();
        let mut left = Vec::with_capacity(self.puts.len());
        for put in self.puts.iter().filter(|put| put.is_there()) {
            let mut first = put.dot.bits();
            while first <= put.last()
                && let Some((&(from, to), rest)) = cuts.split_first()
            {
                if to < first {
                    cuts = rest;
                } else if from > put.last() {
                    break;
                } else {
                    left.extend((from > first).then(|| put.part(first, from - 1)));
                    first = to + 1;
                }
            }
            left.extend((first <= put.last()).then(|| put.part(first, put.last())));
        }
        left.shrink_to_fit();
        self.puts = left;
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
        self.cover_run(place, dot, 1);
    }

    /// As `cover`, of consecutive dots.
    pub(crate) fn cover_run(&mut self, place: PlaceId, dot: LocalDot, count: u32) {
        let covers_at = self.places[place as usize].covers_at;
        let place = if covers_at == NONE { place } else { covers_at };
        self.covers.push(Covered { dot, place, count });
    }

    /// Keeps what was under a dot, should the transaction be undone.
    pub(crate) fn keep(&mut self, place: PlaceId, dot: LocalDot, content: Bytes) {
        self.taken.push((place, Taken::Run(Span { first: dot, count: 1, contents: content })));
    }

    /// As `keep`, of a number.
    pub(crate) fn keep_number(&mut self, place: PlaceId, dot: LocalDot, number: Number) {
        self.taken.push((place, Taken::Number(dot, number)));
    }

    /// As `keep`, of consecutive dots with contents that are equally long.
    pub(crate) fn keep_run(&mut self, place: PlaceId, span: &Span<&[u8]>) {
        self.taken.push((place, Taken::Run(span.to_owned())));
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
            let (dot, last) = (put.dot, LocalDot::from_bits(put.last()));
            branches[put.place as usize].cover.insert_run(dot.replica(), dot.counter(), last.counter());
        }
        for (place, taken) in &self.taken {
            let branch = &mut branches[*place as usize];
            match taken {
                Taken::Number(dot, number) => {
                    branch.carried.push(Span { first: *dot, count: 1, contents: number.encode() });
                }
                Taken::Run(span) => branch.carried.push(span.clone()),
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
    fn what_is_taken_back_of_runs_is_gone_and_nothing_else() {
        let dot = |counter| LocalDot::new(0, counter);
        let mut draft = Draft::default();
        draft.begin(1);
        draft.put_run(ROOT, dot(1), 3, b"abc");
        draft.put_run(ROOT, dot(4), 2, b"de");
        draft.put_run(ROOT, dot(6), 2, "\u{e9}\u{e8}".as_bytes());
        draft.put_run(ROOT, dot(8), 1, b"z");
        draft.unput(dot(2));
        // Across runs, in any order, and once more at an edge.
        draft.unput_run(dot(5), 2);
        draft.unput_run(dot(4), 1);
        let mut tree = DeltaTree::default();
        draft.seal(&mut tree);
        draft.rest();
        let carried: Vec<_> = tree.root().carried().collect();
        let expected = [(dot(1), &b"a"[..]), (dot(3), b"c"), (dot(7), "\u{e8}".as_bytes()), (dot(8), b"z")];
        assert_eq!(carried, expected);
    }

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
