//! What a transaction under way has written: a delta's tree in the order of writing, and what is needed to undo it.

use std::hash::Hasher as _;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::branch::Branch;
use super::tree::offset;
use super::{Bytes, DeltaTree, TreeBuilder, TreeWriter};
use crate::causal::{CausalContext, Dots, LocalDot};

/// A place in a draft.
pub(crate) type PlaceId = u32;

/// The place of the whole value.
pub(crate) const ROOT: PlaceId = 0;
/// No place.
const NONE: PlaceId = u32::MAX;
/// A dot that nobody writes, for counters begin at 1. A node that covers it stays in a tree and drops nothing.
const NOBODYS: LocalDot = LocalDot::from_bits(0);
/// Up to so many children are looked through one by one.
const LINEAR: u32 = 8;
/// The lists of a transaction that wrote more than so many items, or so many bytes of keys and contents, are not kept for
/// the next one.
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
}

impl Opened {
    fn new(parent: PlaceId, previous: PlaceId, key: (u32, u32)) -> Self {
        Self { parent, previous, newest: NONE, children: 0, indexed: NONE, key }
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

/// A whole number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Signed(i64),
    Unsigned(u64),
}

impl Number {
    /// Its bytes, as few as it takes: as MessagePack has it the marker, then the number in as many bytes as the marker
    /// says.
    pub(crate) fn encode(self) -> Bytes {
        let (number, marker, width) = match self {
            Self::Unsigned(number) => unsigned(number),
            Self::Signed(number) => match u64::try_from(number) {
                Ok(number) => unsigned(number),
                Err(_) => negative(number),
            },
        };
        let mut bytes = [0; 24];
        bytes[0] = marker;
        bytes[1..9].copy_from_slice(&number.unbounded_shl(64 - 8 * width).to_be_bytes());
        Bytes::from_buf_and_len(bytes, 1 + width as usize)
    }
}

fn unsigned(number: u64) -> (u64, u8, u32) {
    let (marker, width) = match number {
        0..=0x7f => (number as u8, 0),
        0x80..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        _ => (0xcf, 8),
    };
    (number, marker, width)
}

fn negative(number: i64) -> (u64, u8, u32) {
    let (marker, width) = match number {
        -0x20.. => (number as u8, 0),
        -0x80.. => (0xd0, 1),
        -0x8000.. => (0xd1, 2),
        -0x8000_0000.. => (0xd2, 4),
        _ => (0xd3, 8),
    };
    (number as u64, marker, width)
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
        self.places.push(Opened::new(NONE, NONE, (0, 0)));
    }

    /// Clears everything away, and gives memory back after a transaction that was not small.
    pub(crate) fn rest(&mut self) {
        let items = self.places.len() + self.puts.len() + self.covers.len() + self.taken.len();
        if items > KEPT || self.keys.len() + self.contents.len() > KEPT_BYTES {
            *self = Self { secret: self.secret.take(), ..Self::default() };
            return;
        }
        self.places.clear();
        self.keys.clear();
        self.puts.clear();
        self.contents.clear();
        self.covers.clear();
        self.taken.clear();
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
        let previous = std::mem::replace(&mut above.newest, at);
        above.children += 1;
        self.places.push(Opened::new(parent, previous, key));
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

    /// Covers a dot of an earlier transaction or another replica.
    pub(crate) fn cover(&mut self, place: PlaceId, dot: LocalDot) {
        self.covers.push((place, dot));
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
        while branches.len() > 1 {
            let at = branches.len() - 1;
            let mut branch = branches.pop().expect("there are at least two");
            if branch.cover.is_empty() && branch.carried.is_empty() && branch.children.is_empty() {
                branch.cover.insert(NOBODYS);
            }
            let parent = &mut branches[self.places[at].parent as usize];
            parent.children.push((Bytes::from_slice(self.key(at as PlaceId)), branch));
        }
        let mut root = branches.pop().unwrap_or_default();
        root.join_equal_keys();
        root.into_tree()
    }

    /// Writes the draft into `tree`. Yields the places at and below which nothing is carried, with the way to them, if
    /// there are any: what lies there may be empty. Its nodes say nothing else.
    #[inline]
    pub(crate) fn seal(&mut self, tree: &mut DeltaTree) -> Option<Box<DeltaTree>> {
        match (&self.late, &self.puts[..], &self.covers[..]) {
            (Some(late), [], [] | [_]) if self.places.len() == 1 => {
                let covered = self.covers.first().map(|(_, dot)| *dot);
                tree.fill_one(late.dot, late.number.encode(), covered);
                None
            }
            _ => self.seal_any(tree),
        }
    }

    #[inline(never)]
    fn seal_any(&mut self, tree: &mut DeltaTree) -> Option<Box<DeltaTree>> {
        self.settle();
        if self.puts.iter().any(|put| put.content.is_none()) {
            self.puts.retain(|put| put.content.is_some());
        }
        if self.places.len() == 1 {
            tree.fill(|writer| write_own(writer, &self.covers, &self.puts, &self.contents));
            return None;
        }
        let counts = self.counts();
        let order = self.order();
        if let Some(order) = &order {
            let mut position = vec![0; self.places.len()];
            for (at, &place) in (0_u32..).zip(order) {
                position[place as usize] = at;
            }
            self.puts.sort_by_key(|put| position[put.place as usize]);
            self.covers.sort_by_key(|(place, _)| position[*place as usize]);
        }
        if order.is_none() && counts[1..].iter().all(|count| *count != (0, 0)) {
            *tree = self.straight();
        } else {
            tree.fill(|writer| self.write(writer, &counts, order.as_deref()));
        }
        let is_hollow = |&(carried, _): &(u32, u32)| carried == 0;
        counts[1..].iter().any(is_hollow).then(|| Box::new(self.hollow(&counts, order.as_deref())))
    }

    /// How much is carried and covered at and below each place.
    fn counts(&self) -> SmallVec<[(u32, u32); 8]> {
        let mut counts: SmallVec<[(u32, u32); 8]> = SmallVec::from_elem((0, 0), self.places.len());
        self.puts.iter().for_each(|put| counts[put.place as usize].0 += 1);
        self.covers.iter().for_each(|(place, _)| counts[*place as usize].1 += 1);
        for at in (1..self.places.len()).rev() {
            let (carried, covered) = counts[at];
            let above = &mut counts[self.places[at].parent as usize];
            *above = (above.0 + carried, above.1 + covered);
        }
        counts
    }

    /// The places in pre-order; `None` if they, and what belongs to them, stand in it already.
    fn order(&self) -> Option<Vec<PlaceId>> {
        let follows = |at: usize| {
            let parent = self.places[at].parent;
            let mut above = at as PlaceId - 1;
            while above != parent && above != ROOT {
                above = self.places[above as usize].parent;
            }
            above == parent
        };
        let puts_follow = || self.puts.is_sorted_by_key(|put| put.place);
        let covers_follow = || self.covers.is_sorted_by_key(|(place, _)| *place);
        if (1..self.places.len()).all(follows) && puts_follow() && covers_follow() {
            return None;
        }
        let mut order = Vec::with_capacity(self.places.len());
        let mut next = vec![ROOT];
        while let Some(at) = next.pop() {
            order.push(at);
            // The newest lies lowest in the stack, so that the oldest comes first.
            let mut child = self.places[at as usize].newest;
            while child != NONE {
                next.push(child);
                child = self.places[child as usize].previous;
            }
        }
        Some(order)
    }

    /// The tree of a draft whose places stand in pre-order and all say something: keys are where they must be already.
    fn straight(&self) -> DeltaTree {
        let mut tree = TreeBuilder::new(self.places.len(), self.puts.len());
        let (mut puts, mut covers) = (&self.puts[..], &self.covers[..]);
        let mut contents = Bytes::with_capacity(self.contents.len());
        let mut covered: SmallVec<[(u64, u64); 1]> = SmallVec::with_capacity(covers.len());
        let mut open: SmallVec<[PlaceId; 8]> = SmallVec::new();
        for (place, opened) in (0..).zip(&self.places) {
            while open.last().is_some_and(|last| *last != opened.parent) {
                tree.close(open.pop().unwrap_or_default());
            }
            open.push(place);
            let count = covers.iter().take_while(|(at, _)| *at == place).count();
            add_covers(covers.split_off(..count).unwrap_or_default(), |runs| covered.extend_from_slice(runs));
            while let Some((put, rest)) = puts.split_first().filter(|(put, _)| put.place == place) {
                if let Some((from, to)) = put.content.filter(|(from, to)| from < to) {
                    contents.extend_from_slice(&self.contents[from as usize..to as usize]);
                }
                tree.carry(put.dot, offset(contents.len()));
                puts = rest;
            }
            tree.node(opened.key.1, offset(covered.len()));
        }
        open.into_iter().rev().for_each(|place| tree.close(place));
        tree.finish(Bytes::from_slice(&self.keys), covered, contents)
    }

    fn write(&self, writer: &mut TreeWriter<'_>, counts: &[(u32, u32)], order: Option<&[PlaceId]>) {
        if self.places.len() > LINEAR as usize {
            writer.reserve([
                self.places.len(),
                self.puts.len(),
                self.covers.len(),
                self.keys.len(),
                self.contents.len(),
            ]);
        }
        let (mut puts, mut covers) = (&self.puts[..], &self.covers[..]);
        self.walk(
            writer,
            order,
            |place| counts[place as usize] != (0, 0),
            |writer, place| {
                let covered = covers.iter().take_while(|(at, _)| *at == place).count();
                let carried = puts.iter().take_while(|put| put.place == place).count();
                let own_covers = covers.split_off(..covered).unwrap_or_default();
                let own_puts = puts.split_off(..carried).unwrap_or_default();
                write_own(writer, own_covers, own_puts, &self.contents);
            },
        );
    }

    fn hollow(&self, counts: &[(u32, u32)], order: Option<&[PlaceId]>) -> DeltaTree {
        let mut leads = vec![false; self.places.len()];
        for at in (1..self.places.len()).rev() {
            leads[at] |= counts[at].0 == 0;
            leads[self.places[at].parent as usize] |= leads[at];
        }
        DeltaTree::written(|writer| {
            self.walk(
                writer,
                order,
                |place| leads[place as usize],
                |writer, place| {
                    if place != ROOT {
                        writer.cover(Dots::new(&[(NOBODYS.bits(), NOBODYS.bits())]));
                    }
                },
            );
        })
    }

    /// Writes the places that are `wanted`, each with what `own` writes of it. Whatever lies above a wanted one is wanted.
    fn walk(
        &self,
        writer: &mut TreeWriter<'_>,
        order: Option<&[PlaceId]>,
        wanted: impl Fn(PlaceId) -> bool,
        mut own: impl FnMut(&mut TreeWriter<'_>, PlaceId),
    ) {
        own(writer, ROOT);
        let mut open: SmallVec<[_; 8]> = SmallVec::new();
        let mut at = ROOT;
        for next in 1..self.places.len() {
            let place = order.map_or(next as PlaceId, |order| order[next]);
            if !wanted(place) {
                continue;
            }
            let parent = self.places[place as usize].parent;
            while at != parent {
                let opened = open.pop().expect("a place that is written comes after its parent");
                writer.close(&opened);
                at = self.places[at as usize].parent;
            }
            open.push(writer.open(self.key(place)));
            at = place;
            own(writer, place);
        }
        while let Some(opened) = open.pop() {
            writer.close(&opened);
        }
    }
}

/// Writes what one place covers and carries.
fn write_own(writer: &mut TreeWriter<'_>, covers: &[(PlaceId, LocalDot)], puts: &[Put], contents: &[u8]) {
    add_covers(covers, |runs| writer.cover(Dots::new(runs)));
    for put in puts {
        if let Some((from, to)) = put.content {
            writer.carry(put.dot, &contents[from as usize..to as usize]);
        }
    }
}

/// Hands over the runs that one place covers, if there are any.
fn add_covers(covers: &[(PlaceId, LocalDot)], add: impl FnOnce(&[(u64, u64)])) {
    match covers {
        [] => {}
        [(_, dot)] => add(&[(dot.bits(), dot.bits())]),
        many => {
            add(CausalContext::from_dots(many.iter().map(|(_, dot)| *dot).collect()).as_dots().intervals())
        }
    }
}

/// Where a place stands in the index. Nothing else depends on it.
fn hash(secret: Option<&SharedSeed>, parent: PlaceId, key: &[u8]) -> u64 {
    let mut hasher = FoldHasher::with_seed(0, secret.expect("set when the transaction began"));
    hasher.write_u32(parent);
    hasher.write(key);
    hasher.finish()
}
