//! The tree of a delta: what every type's changes and states look like on the way.
//!
//! A tree is flat: its nodes in pre-order, what they carry, cover and are called in one list each. So a small change is
//! one allocation and a large one five, and reading goes straight through memory.

mod flat;
pub(crate) mod packed;

use core::fmt;

use smallvec::SmallVec;

use super::Mismatch;
use super::span::{Span, each};
use crate::causal::{CausalContext, Dots, LocalDot, ReplicaIndex};
use crate::store::DotStore;
pub(crate) use flat::{Counted, Flat, NO_NODE};

/// Encoded content or an encoded key; up to 24 bytes without allocation.
pub type Bytes = SmallVec<[u8; 24]>;

/// One node. What belongs to it begins where that of the node before it ends.
#[derive(Clone, Copy, Default, Debug)]
struct Place {
    /// The first node that does not lie below this one.
    end: u32,
    key_end: u32,
    carried_end: u32,
    cover_end: u32,
}

/// Consecutive dots, with where the last of their contents ends; the first begins where that of the entry before ends.
#[derive(Clone, Copy, Debug)]
struct Carried {
    first: LocalDot,
    end: u32,
    count: u32,
}

impl Carried {
    fn last(self) -> u64 {
        self.first.bits() + u64::from(self.count) - 1
    }
}

/// What a delta says: for each place in the document, what it carries and what it covers there.
///
/// A leaf type carries, a container has children. The cover of a node speaks for everything under it.
#[derive(Clone, Debug)]
pub struct DeltaTree {
    /// INVARIANT: in pre-order, the root first; no other node says nothing, no key occurs twice below one node.
    places: SmallVec<[Place; 2]>,
    /// INVARIANT: as [`Span`]s are.
    carried: SmallVec<[Carried; 1]>,
    /// INVARIANT: those of one node are as in a [`CausalContext`].
    covers: SmallVec<[(u64, u64); 1]>,
    keys: Bytes,
    contents: Bytes,
}

/// What one node says, if that is little.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'t> {
    /// The dot that it carries, with its content.
    pub(crate) carried: Option<(LocalDot, &'t [u8])>,
    /// The run that it covers.
    pub(crate) cover: Option<(u64, u64)>,
}

impl Default for DeltaTree {
    fn default() -> Self {
        Self {
            places: SmallVec::from_buf_and_len([Place { end: 1, ..Place::default() }; 2], 1),
            carried: SmallVec::new(),
            covers: SmallVec::new(),
            keys: Bytes::new(),
            contents: Bytes::new(),
        }
    }
}

/// How long a list has become.
///
/// # Panics
/// At 4 GiB. A transaction that writes as much is undone; what comes from outside is limited to less.
pub(super) fn offset(len: usize) -> u32 {
    u32::try_from(len).expect("one delta or state holds less than 4 GiB")
}

impl DeltaTree {
    /// The tree that `write` writes.
    pub(crate) fn written(write: impl FnOnce(&mut TreeWriter<'_>)) -> Self {
        let mut tree = Self::default();
        tree.fill(write);
        tree
    }

    /// Has the root of this tree, in which there is nothing yet, carry one content and cover at most one run.
    #[inline]
    pub(crate) fn fill_one(&mut self, dot: LocalDot, content: Bytes, covered: Option<(u64, u64)>) {
        self.places[0] =
            Place { end: 1, key_end: 0, carried_end: 1, cover_end: u32::from(covered.is_some()) };
        self.carried.push(Carried { first: dot, end: offset(content.len()), count: 1 });
        self.covers.extend(covered);
        self.contents = content;
    }

    /// Has an empty tree be that of one place: nodes that are each the only child of the one before, of which the last says something.
    /// `key_ends` says where in `keys` those of all but the root end.
    pub(crate) fn fill_path(&mut self, keys: Bytes, key_ends: &[u32], said: Said<'_>) {
        let nodes = offset(key_ends.len() + 1);
        let above = |key_end: u32| Place { end: nodes, key_end, carried_end: 0, cover_end: 0 };
        let tree = self;
        tree.places[0].end = nodes;
        tree.places.extend(key_ends.iter().map(|key_end| above(*key_end)));
        let last = tree.places.last_mut().expect("there is a root");
        (last.carried_end, last.cover_end) =
            (u32::from(said.carried.is_some()), u32::from(said.cover.is_some()));
        if let Some((first, content)) = said.carried {
            tree.carried.push(Carried { first, end: offset(content.len()), count: 1 });
            match content {
                [byte] => tree.contents.push(*byte),
                _ => tree.contents.extend_from_slice(content),
            }
        }
        if let Some(cover) = said.cover {
            tree.covers.push(cover);
        }
        if !keys.is_empty() {
            tree.keys = keys;
        }
    }

    /// What is said, if it is said of one place alone: all nodes but the last have one child, and that carries one dot and covers one run
    /// at most.
    #[inline]
    pub(crate) fn path(&self) -> Option<Said<'_>> {
        let (_, above) = self.places.split_last()?;
        let nodes = self.places.len() as u32;
        let is_above = |place: &Place| place.end == nodes && place.carried_end == 0 && place.cover_end == 0;
        if self.covers.len() > 1 || !above.iter().all(is_above) {
            return None;
        }
        let carried = match self.carried[..] {
            [] => None,
            [Carried { first, count: 1, .. }] => Some((first, &self.contents[..])),
            _ => return None,
        };
        Some(Said { carried, cover: self.covers.first().copied() })
    }

    /// Takes out all there is.
    pub(crate) fn clear(&mut self) {
        self.places.truncate(1);
        self.places[0] = Place { end: 1, ..Place::default() };
        self.carried.clear();
        self.covers.clear();
        self.keys.clear();
        self.contents.clear();
    }

    /// Has `write` write this tree, in which there is nothing yet.
    pub(crate) fn fill<E>(&mut self, write: impl FnOnce(&mut TreeWriter<'_>) -> E) -> E {
        debug_assert!(self.places.len() == 1 && self.is_empty(), "a tree is written once");
        let result = write(&mut TreeWriter { tree: self, at: 0, weigh: None });
        self.places[0].end = offset(self.places.len());
        result
    }

    /// What would be carried is told to `each` and not kept. Yields an estimate of the heap that the tree would take.
    pub(crate) fn weighed(
        each: &mut dyn FnMut(Weighed<'_>),
        write: impl FnOnce(&mut TreeWriter<'_>),
    ) -> usize {
        let mut tree = Self::default();
        tree.places[0].end = 0;
        let weigh = Weigh { each, opened: 0, nodes: 1, carried: 0, keys: 0, contents: 0 };
        let mut writer = TreeWriter { tree: &mut tree, at: 0, weigh: Some(weigh) };
        write(&mut writer);
        writer.weigh.map_or(0, |weigh| weigh.heap())
    }

    /// The node that speaks of the whole value.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node { tree: self, at: 0 }
    }

    /// Whether it carries and covers nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.carried.is_empty() && self.covers.is_empty()
    }

    /// The dots it carries, as intervals, in the order in which they stand.
    pub(crate) fn carried_runs(&self) -> impl Iterator<Item = (u64, u64)> + Clone {
        self.carried.iter().map(|carried| (carried.first.bits(), carried.last()))
    }

    /// The dots it carries.
    pub(crate) fn carried(&self) -> CausalContext {
        CausalContext::from_intervals(self.carried_runs())
    }

    /// How many dots it carries.
    pub(crate) fn count_carried(&self) -> usize {
        self.carried.iter().map(|carried| carried.count as usize).sum()
    }

    /// All it covers, at any place.
    pub(crate) fn covered(&self) -> CausalContext {
        CausalContext::from_intervals(self.covers.iter().copied())
    }

    /// The runs of all covers.
    pub(crate) fn cover_runs(&self) -> impl Iterator<Item = (ReplicaIndex, u64, u64)> + '_ {
        self.covers.iter().map(|&(first, last)| {
            let first = LocalDot::from_bits(first);
            (first.replica(), first.counter(), LocalDot::from_bits(last).counter())
        })
    }

    /// Has every carried dot be another.
    pub(crate) fn rename(&mut self, name: impl Fn(LocalDot) -> LocalDot) {
        // What follows on one another need not do so afterwards.
        let old = core::mem::take(&mut self.carried);
        let (mut places, mut start) = (self.places.iter_mut(), 0);
        let mut place = places.next();
        for (at, carried) in (0..).zip(&old) {
            while let Some(filled) = place.take_if(|place| place.carried_end == at) {
                filled.carried_end = offset(self.carried.len());
                place = places.next();
            }
            let each = each((carried.end - start) as usize, carried.count) as u32;
            for dot in carried.first.bits()..=carried.last() {
                start += each;
                self.carried.push(Carried { first: name(LocalDot::from_bits(dot)), end: start, count: 1 });
            }
        }
        place.into_iter().chain(places).for_each(|place| place.carried_end = offset(self.carried.len()));
    }

    /// Has the root of a tree in which nothing else covers anything cover these dots.
    pub(crate) fn cover_at_root(&mut self, dots: &CausalContext) {
        self.covers = SmallVec::from_slice(dots.as_dots().intervals());
        let end = offset(self.covers.len());
        self.places.iter_mut().for_each(|place| place.cover_end = end);
    }

    /// An estimate of the heap it takes.
    pub(crate) fn weight(&self) -> usize {
        fn heap<A: smallvec::Array>(list: &SmallVec<A>) -> usize {
            if list.spilled() { list.len() * size_of::<A::Item>() } else { 0 }
        }
        heap(&self.places)
            + heap(&self.carried)
            + heap(&self.covers)
            + heap(&self.keys)
            + heap(&self.contents)
    }

    /// How many runs it covers and carries: it names at most as many replicas.
    pub(crate) fn names(&self) -> usize {
        self.covers.len() + self.carried.len()
    }
}

/// One place in a delta: what it says of it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'t> {
    tree: &'t DeltaTree,
    at: usize,
}

impl<'t> Node<'t> {
    fn place(self) -> &'t Place {
        &self.tree.places[self.at]
    }

    fn before(self) -> Place {
        if self.at == 0 { Place::default() } else { self.tree.places[self.at - 1] }
    }

    /// The dots it carries, with their contents.
    pub(crate) fn carried(self) -> Contents<'t> {
        let (entries, start) = self.own();
        Contents { tree: self.tree, entries: entries.iter(), start, dot: 0, left: 0, each: 0, at: 0 }
    }

    /// The dots it carries, as few spans as they are kept in.
    pub(crate) fn spans(self) -> impl ExactSizeIterator<Item = Span<&'t [u8]>> {
        let (entries, mut start) = self.own();
        entries.iter().map(move |&Carried { first, end, count }| {
            let contents = &self.tree.contents[start as usize..end as usize];
            start = end;
            Span { first, count, contents }
        })
    }

    /// What it carries, and where the contents of that begin.
    fn own(self) -> (&'t [Carried], u32) {
        let from = self.before().carried_end as usize;
        let start = if from == 0 { 0 } else { self.tree.carried[from - 1].end };
        (&self.tree.carried[from..self.place().carried_end as usize], start)
    }

    /// Whether it carries anything itself.
    pub(crate) fn carries(self) -> bool {
        self.before().carried_end < self.place().carried_end
    }

    /// The dots it covers.
    pub(crate) fn cover(self) -> Dots<'t> {
        let (from, to) = (self.before().cover_end as usize, self.place().cover_end as usize);
        Dots::new(&self.tree.covers[from..to])
    }

    /// The nodes below, each with its key.
    pub fn children(self) -> impl Iterator<Item = (&'t [u8], Node<'t>)> + Clone {
        let end = self.place().end as usize;
        let tree = self.tree;
        let mut at = self.at + 1;
        core::iter::from_fn(move || {
            (at < end).then(|| {
                let child = Self { tree, at };
                at = child.place().end as usize;
                (child.key(), child)
            })
        })
    }

    /// Whether there are nodes below.
    pub(crate) fn has_children(self) -> bool {
        self.place().end as usize > self.at + 1
    }

    fn key(self) -> &'t [u8] {
        &self.tree.keys[self.before().key_end as usize..self.place().key_end as usize]
    }

    /// Checks that this is the node of a container and what is below each key.
    ///
    /// # Errors
    /// The first that `field` finds, or that there is content here.
    pub fn check_fields(
        self,
        mut field: impl FnMut(&'t [u8], Self) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        if self.carries() {
            return Err(Mismatch::Shape("a value where a container stands"));
        }
        self.children().try_for_each(|(key, child)| field(key, child))
    }
}

/// Carried dots one by one, with their contents.
#[derive(Clone, Debug)]
pub(crate) struct Contents<'t> {
    tree: &'t DeltaTree,
    entries: core::slice::Iter<'t, Carried>,
    /// Where the contents of the next entry begin.
    start: u32,
    /// Of the entry at hand: the next dot, how many there are from it on, how long each content is, and where the next begins.
    dot: u64,
    left: u32,
    each: u32,
    at: u32,
}

impl Contents<'_> {
    /// Whether there are more than so many; as far as entries tell.
    pub(crate) fn exceeds(&self, few: usize) -> bool {
        self.entries.len() > few || self.entries.clone().any(|carried| carried.count as usize > few)
    }
}

impl<'t> Iterator for Contents<'t> {
    type Item = (LocalDot, &'t [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let &Carried { first, end, count } = self.entries.next()?;
            self.each = each((end - self.start) as usize, count) as u32;
            (self.dot, self.left, self.at, self.start) = (first.bits(), count, self.start, end);
        }
        let (dot, from) = (LocalDot::from_bits(self.dot), self.at as usize);
        (self.dot, self.left, self.at) = (self.dot + 1, self.left - 1, self.at + self.each);
        Some((dot, &self.tree.contents[from..self.at as usize]))
    }
}

/// Writes a delta's tree in pre-order: of each node first what it covers and carries, then what lies below.
pub struct TreeWriter<'t> {
    tree: &'t mut DeltaTree,
    /// The node that is being written, as long as nothing below it is.
    at: usize,
    /// If there is one, nothing is kept.
    weigh: Option<Weigh<'t>>,
}

/// Consecutive dots that a place carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weighed<'t> {
    pub(crate) span: Span<&'t [u8]>,
    /// What it takes beside contents that they are there, in bytes.
    pub(crate) beside: usize,
    /// The nodes from the root on in which they lie.
    above: &'t [Place],
    keys: &'t [u8],
}

impl<'t> Weighed<'t> {
    /// The nodes from the root on in which they lie: of each a number that no other has, and its key.
    pub(crate) fn path(&self) -> impl ExactSizeIterator<Item = (u32, &'t [u8])> {
        let Self { above, keys, .. } = *self;
        let mut start = 0;
        above.iter().map(move |place| {
            let key = &keys[start as usize..place.key_end as usize];
            start = place.key_end;
            (place.end, key)
        })
    }
}

/// Is told what is carried, and sums up what the tree would have. Only those nodes are kept that are being written; where others have
/// their end they have a number.
struct Weigh<'t> {
    each: &'t mut dyn FnMut(Weighed<'_>),
    opened: u32,
    nodes: usize,
    carried: usize,
    keys: usize,
    contents: usize,
}

impl Weigh<'_> {
    fn heap(&self) -> usize {
        fn heap<A: smallvec::Array>(len: usize) -> usize {
            if len > A::size() { len * size_of::<A::Item>() } else { 0 }
        }
        heap::<[Place; 2]>(self.nodes)
            + heap::<[Carried; 1]>(self.carried)
            + heap::<[u8; 24]>(self.keys)
            + heap::<[u8; 24]>(self.contents)
    }
}

impl fmt::Debug for TreeWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeWriter").field("tree", &self.tree).field("at", &self.at).finish_non_exhaustive()
    }
}

/// A node that is being written.
pub(crate) struct Open {
    parent: usize,
    keys: usize,
    carried: usize,
    covers: usize,
}

impl TreeWriter<'_> {
    /// Makes room for a tree of about this many nodes, spans, intervals, and bytes of keys and contents.
    pub(crate) fn reserve(&mut self, [nodes, carried, covers, keys, contents]: [usize; 5]) {
        self.tree.places.reserve_exact(nodes);
        self.tree.carried.reserve_exact(carried);
        self.tree.covers.reserve_exact(covers);
        self.tree.keys.reserve_exact(keys);
        self.tree.contents.reserve_exact(contents);
    }

    fn last(&mut self) -> &mut Place {
        debug_assert_eq!(self.at + 1, self.tree.places.len(), "a node's own comes before what lies below");
        &mut self.tree.places[self.at]
    }

    pub(crate) fn carry(&mut self, dot: LocalDot, content: &[u8]) {
        self.tree.contents.extend_from_slice(content);
        self.carried(dot, 1);
    }

    /// As `carry`, with the content written in place.
    pub(crate) fn carry_with(&mut self, dot: LocalDot, write: impl FnOnce(&mut Bytes)) {
        write(&mut self.tree.contents);
        self.carried(dot, 1);
    }

    /// As `carry`, of consecutive dots.
    pub(crate) fn carry_span<C: AsRef<[u8]>>(&mut self, span: &Span<C>) {
        self.tree.contents.extend_from_slice(span.contents.as_ref());
        self.carried(span.first, span.count);
    }

    fn carried(&mut self, first: LocalDot, count: u32) {
        let tree = &mut *self.tree;
        if let Some(weigh) = &mut self.weigh {
            let above = if self.at == 0 { 0 } else { tree.places[self.at - 1].key_end as usize };
            weigh.carried += 1;
            weigh.contents += tree.contents.len();
            let beside = size_of::<Carried>() + tree.keys.len() - above;
            let span = Span { first, count, contents: &tree.contents[..] };
            (weigh.each)(Weighed { span, beside, above: &tree.places, keys: &tree.keys });
            return tree.contents.clear();
        }
        let end = offset(tree.contents.len());
        let own = if self.at == 0 { 0 } else { tree.places[self.at - 1].carried_end as usize };
        if let [.., last] = tree.carried[own..]
            && last.last() + 1 == first.bits()
            && last.end < end
        {
            let start = tree.carried.iter().nth_back(1).map_or(0, |before| before.end);
            if each((last.end - start) as usize, last.count) == each((end - last.end) as usize, count) {
                let at = tree.carried.len() - 1;
                tree.carried[at] = Carried { first: last.first, end, count: last.count + count };
                return;
            }
        }
        tree.carried.push(Carried { first, end, count });
        self.last().carried_end = offset(self.tree.carried.len());
    }

    /// Covers dots; once a node.
    pub(crate) fn cover(&mut self, dots: Dots<'_>) {
        self.tree.covers.extend_from_slice(dots.intervals());
        self.last().cover_end = offset(self.tree.covers.len());
    }

    pub(crate) fn open(&mut self, key: &[u8]) -> Open {
        self.open_with(|keys| keys.extend_from_slice(key))
    }

    fn open_with(&mut self, key: impl FnOnce(&mut Bytes)) -> Open {
        let tree = &mut *self.tree;
        let open = Open {
            parent: self.at,
            keys: tree.keys.len(),
            carried: self.weigh.as_ref().map_or(tree.carried.len(), |weigh| weigh.carried),
            covers: tree.covers.len(),
        };
        key(&mut tree.keys);
        self.at = tree.places.len();
        let number = self.weigh.as_mut().map_or(0, |weigh| {
            weigh.opened += 1;
            weigh.opened
        });
        tree.places.push(Place {
            end: number,
            key_end: offset(tree.keys.len()),
            carried_end: offset(tree.carried.len()),
            cover_end: offset(tree.covers.len()),
        });
        open
    }

    /// Ends the node that was opened; one that says nothing is dropped. Says whether it says anything.
    pub(crate) fn close(&mut self, open: &Open) -> bool {
        let tree = &mut *self.tree;
        if let Some(weigh) = &mut self.weigh {
            let is_empty = weigh.carried == open.carried;
            if !is_empty {
                weigh.nodes += 1;
                weigh.keys += tree.keys.len() - open.keys;
            }
            tree.places.truncate(self.at);
            tree.keys.truncate(open.keys);
            self.at = open.parent;
            return !is_empty;
        }
        let is_empty = (tree.carried.len(), tree.covers.len()) == (open.carried, open.covers);
        if is_empty {
            // What lay below said nothing and is gone, so this is the last.
            tree.places.truncate(self.at);
            tree.keys.truncate(open.keys);
        } else {
            tree.places[self.at].end = offset(tree.places.len());
        }
        self.at = open.parent;
        !is_empty
    }

    /// Writes a node, unless it says nothing.
    pub(crate) fn child(&mut self, key: impl FnOnce(&mut Bytes), write: impl FnOnce(&mut Self)) {
        let open = self.open_with(key);
        write(self);
        self.close(&open);
    }

    /// Writes what is `wanted` of a struct's field. What `#[derive(Crdt)]` calls.
    pub fn field<S: DotStore>(&mut self, name: &str, state: &S, wanted: &dyn Fn(LocalDot) -> bool) {
        self.child(|key| key.extend_from_slice(name.as_bytes()), |below| state.carry(wanted, below));
    }
}
