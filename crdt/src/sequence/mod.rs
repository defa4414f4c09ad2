//! What stands in an order that several write to at once: the engine below [`Text`](crate::Text) and [`List`](crate::List).
//!
//! An *element* has a dot for a name. Elements form a tree (Fugue: Weidner and Kleppmann 2023, "The Art of the Fugue"): each hangs
//! before or behind its parent, siblings stand in the order of their dots that is the same everywhere, and what is read is the tree from
//! left to right. So what two write at one place at once comes out as one run and then the other, forwards and backwards.
//!
//! Who types on writes elements that hang behind one another; only the first of such a *run* says where. The others follow
//! from their dots: an element hangs behind the one whose counter is less by one, unless a run begins between. So runs are all there is to tell of
//! a tree beside its elements, and nobody needs to tell of *ghosts*, the elements that were deleted: which there are follows from the
//! runs that hang on them.
//!
//! In memory neighbouring elements of one run are one *piece* of 16 bytes, live or ghost (`piece`). Pieces stand in the leaves of a balanced
//! tree that counts scalars, UTF-16 units and bytes (`tree`), and are found by their dots as well (`runs`); what they hold lies, replica by replica, in the
//! order in which it came (`contents`), letters or whatever they are (`items`). `local` writes at positions, `remote` takes in what others wrote, `build` makes everything anew from
//! runs and live elements, of which it is a function: where what comes does not come in the order in which it was written.

mod build;
mod contents;
mod each;
mod fade;
mod find;
mod items;
mod local;
mod piece;
mod remote;
mod runs;
#[cfg(test)]
mod tests;
mod tree;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::causal::{LocalDot, ReplicaId, ReplicaIndex};
use contents::Contents;
pub(crate) use items::Items;
pub(crate) use piece::Unit;
pub use piece::Width;
use piece::{MOST_BYTES, MOST_MIXED, Piece, after};
pub(crate) use runs::{Origin, Rows, START, Side};
use tree::{Place, Tree};

/// Where something was found last, so that what is near is found at once.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// The piece; its leaf is [`tree::NONE`] if nothing is known.
    place: Place,
    /// How many scalars are read before its leaf, and before it.
    leaf_start: usize,
    start: usize,
    /// It ends with the last element that a replica wrote, of which nothing hangs behind it.
    is_end: bool,
}

impl Cursor {
    const NOWHERE: Self =
        Self { place: Place { leaf: tree::NONE, at: 0 }, leaf_start: 0, start: 0, is_end: false };
}

/// Elements in their order, with what they hold.
pub(crate) struct Sequence<C: Items + ?Sized = str> {
    tree: Tree,
    rows: Rows,
    contents: Contents<C>,
    cursor: Cursor,
    /// Live pieces that have no place until all is built anew.
    unplaced: Vec<Piece>,
    /// Elements that have a place also where nothing hangs on them: marks stand by them.
    needed: BTreeSet<LocalDot>,
    /// Whether all must be built anew before anything is read.
    is_stale: bool,
    /// How often all has been built anew.
    built: usize,
    /// How many pieces were passed on the way to places since all was in order.
    passed: usize,
    /// Whether something hangs on the dot of a run, as on an element of the run before: nobody honest writes that.
    is_odd: bool,
}

impl<C: Items + ?Sized> Clone for Sequence<C> {
    fn clone(&self) -> Self {
        Self {
            tree: self.tree.clone(),
            rows: self.rows.clone(),
            contents: self.contents.clone(),
            cursor: self.cursor,
            unplaced: self.unplaced.clone(),
            needed: self.needed.clone(),
            is_stale: self.is_stale,
            built: self.built,
            passed: self.passed,
            is_odd: self.is_odd,
        }
    }
}

impl<C: Items + ?Sized> Default for Sequence<C> {
    fn default() -> Self {
        Self {
            tree: Tree::default(),
            rows: Rows::default(),
            contents: Contents::default(),
            cursor: Cursor::NOWHERE,
            unplaced: Vec::new(),
            needed: BTreeSet::new(),
            is_stale: false,
            built: 0,
            passed: 0,
            is_odd: false,
        }
    }
}

impl<C: Items + ?Sized> Sequence<C> {
    /// The row of a replica, by which its dots are called here.
    pub(crate) fn row(&mut self, id: ReplicaId) -> ReplicaIndex {
        self.rows.open(id)
    }

    /// Whose dots are called by which rows.
    pub(crate) fn ids(&self) -> &Rows {
        &self.rows
    }

    /// Whether elements that stay keep their order, whatever of what honest replicas write comes or goes.
    pub(crate) fn is_orderly(&self) -> bool {
        !self.is_stale && !self.is_odd && self.unplaced.is_empty()
    }

    /// How often all has been built anew: what is read may stand in another order since.
    pub(crate) fn built(&self) -> usize {
        self.built
    }

    /// How long all is that is read.
    pub(crate) fn width(&self) -> Width {
        self.tree.width()
    }

    /// What is read, piece by piece.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &C> {
        self.tree.iter().filter(|piece| piece.is_live()).map(|piece| C::whole(self.contents.of(piece)))
    }

    /// The live elements as runs of dots, with what they hold, in their order.
    pub(crate) fn live(&self) -> impl Iterator<Item = (LocalDot, &C)> {
        let pieces = self.tree.iter().filter(|piece| piece.is_live());
        pieces.map(|piece| (piece.first(), C::whole(self.contents.of(piece))))
    }

    /// Elements that came and have no place yet: there are none once all is [settled](Self::settle).
    pub(crate) fn unplaced(&self) -> impl Iterator<Item = LocalDot> {
        self.unplaced.iter().flat_map(|piece| (0..piece.len()).map(|nth| after(piece.first(), nth)))
    }

    /// The dots of all runs, with where they hang.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (LocalDot, Origin)> {
        let rows = (0..).zip(&self.rows.rows);
        rows.flat_map(|(row, known)| {
            known.runs.iter().map(move |run| (LocalDot::new(row, run.head), run.origin()))
        })
    }

    /// Where a run hangs, if this is the dot of one.
    pub(crate) fn origin_of(&self, head: LocalDot) -> Option<Origin> {
        let row = self.rows.get(head.replica())?;
        let run = row.runs.get(row.runs_before(head.counter()))?;
        (run.head == head.counter()).then(|| run.origin())
    }

    /// The dots of runs from one to another of one replica.
    pub(crate) fn heads_among(&self, first: LocalDot, last: LocalDot) -> impl Iterator<Item = LocalDot> {
        let runs = self
            .rows
            .get(first.replica())
            .map_or(&[][..], |row| &row.runs[row.runs_before(first.counter())..]);
        let heads = runs.iter().map(move |run| LocalDot::new(first.replica(), run.head));
        heads.take_while(move |head| *head <= last)
    }

    /// The first element from one to another of one replica that has a place: where that is, and how many elements of its piece stand before it.
    fn next_placed(&self, first: LocalDot, last: LocalDot) -> Option<(LocalDot, Place, u64)> {
        let mut next = first;
        while next <= last {
            if let Some((place, before)) = self.place_of(next) {
                return Some((next, place, before));
            }
            let from = next.counter() + 1;
            let row = self.rows.get(first.replica()).filter(|_| from <= last.counter())?;
            next = LocalDot::new(first.replica(), row.next_placed(from, last.counter())?);
        }
        None
    }

    /// The live elements from one to another of one replica, as runs of dots.
    pub(crate) fn live_from(&self, first: LocalDot, last: LocalDot) -> impl Iterator<Item = (LocalDot, u64)> {
        let placed = self.placed_from(first, last);
        placed.filter(|(piece, ..)| piece.is_live()).map(|(_, _, next, len)| (next, len))
    }

    /// The pieces of the elements from one to another of one replica: where each is, from which element on, and for how many.
    fn placed_from(
        &self,
        first: LocalDot,
        last: LocalDot,
    ) -> impl Iterator<Item = (Piece, (Place, u64), LocalDot, u64)> {
        let mut from = first;
        core::iter::from_fn(move || {
            let (next, place, before) = self.next_placed(from, last)?;
            let piece = self.tree.pieces(place.leaf)[place.at];
            let end = piece.last().min(last);
            from = after(end, 1);
            Some((piece, (place, before), next, end.bits() + 1 - next.bits()))
        })
    }

    /// Where an element stands that has a place, and how many elements of its piece stand before it.
    fn place_of(&self, element: LocalDot) -> Option<(Place, u64)> {
        let row = self.rows.get(element.replica())?;
        let leaf = row.leaf(element.counter())?;
        let pieces = self.tree.pieces(leaf);
        let at = pieces.iter().position(|piece| piece.contains(element))?;
        let piece = pieces[at];
        Some((Place { leaf, at }, element.bits() - piece.first().bits()))
    }

    /// Puts a piece into a gap whose elements follow in their leaf on others of their replica, and says where it is then.
    fn put(&mut self, gap: Place, piece: Piece) -> Place {
        let contents = &self.contents;
        let (place, moved) = self.tree.insert(gap, piece, &|pieces| contents.width(pieces));
        if let Some(moved) = moved {
            self.reindex(moved);
        }
        if place.leaf != gap.leaf {
            self.index(piece.first(), place.leaf);
        }
        place
    }

    /// As [`put`](Self::put), of a piece that stands anywhere.
    fn put_new(&mut self, gap: Place, piece: Piece) -> Place {
        let place = self.put(gap, piece);
        self.index(piece.first(), place.leaf);
        place
    }

    /// From this element on up to the next of which it was said, its replica's elements stand in this leaf.
    fn index(&mut self, element: LocalDot, leaf: u32) {
        self.rows.row(element.replica()).index(element.counter(), leaf);
    }

    /// The pieces of a leaf have moved into it from the one before. Of those that stayed there nothing needs to be said: what stands before it in
    /// its run stays as well.
    fn reindex(&mut self, leaf: u32) {
        for piece in self.tree.pieces(leaf) {
            let (first, last) = (piece.first(), piece.last());
            self.rows.row(first.replica()).reindex(first.counter(), last.counter(), leaf);
        }
    }

    /// Puts a gap behind the first elements of a piece, of which there are more.
    fn split(&mut self, place: Place, len: u64) -> Place {
        let piece = self.tree.pieces(place.leaf)[place.at];
        let bytes = self.contents.bytes_of(piece, len);
        let (head, tail) = (piece.head(len, bytes), piece.tail(len, bytes));
        if tail.is_live() {
            self.tree.narrow(place.leaf, self.contents.width_of(tail));
        }
        self.tree.set(place, head);
        self.put(Place { at: place.at + 1, ..place }, tail)
    }

    /// Puts elements into a gap, under the dots from `first` on. Yields where the last piece of it is.
    fn put_items(&mut self, mut gap: Place, mut first: LocalDot, items: &[C::Item]) -> Place {
        let mut rest = items;
        loop {
            let is_plain = rest.len() <= MOST_MIXED || C::elements(rest) == rest.len();
            let most = if is_plain { MOST_BYTES } else { MOST_MIXED };
            let (own, more) = rest.split_at(if rest.len() <= most { rest.len() } else { C::cut(rest, most) });
            let scalars = C::elements(own);
            let width = C::width(own, scalars);
            let start = self.contents.push(first.replica(), own);
            let previous = gap.at.checked_sub(1).and_then(|at| self.tree.pieces(gap.leaf).get(at).copied());
            let grows = |piece: &Piece| {
                piece.is_live()
                    && piece.start() + piece.bytes() == start as usize
                    && after(piece.last(), 1) == first
                    && piece.has_room(scalars, own.len())
            };
            if let Some(piece) = previous.filter(grows) {
                gap.at -= 1;
                self.tree.set(gap, piece.grown(scalars, own.len()));
                self.tree.widen(gap.leaf, width);
            } else {
                let piece = Piece::live(first, start, scalars as u16, own.len() as u16);
                gap = self.put_new(gap, piece);
            }
            if more.is_empty() {
                return gap;
            }
            first = after(first, scalars as u64);
            gap.at += 1;
            rest = more;
        }
    }

    /// Whether the element `next` hangs behind `last`, by their dots alone.
    fn follows(&self, last: LocalDot, next: LocalDot) -> bool {
        after(last, 1) == next && (!self.is_odd || self.rows.run(next).head + 1 != next.counter())
    }

    /// Makes ghosts of some elements of a live piece: ghosts beside them in the leaf become one with them.
    fn bury(&mut self, place: Place, from: u64, len: u64) {
        let Place { leaf, at } = place;
        let pieces = self.tree.pieces(leaf);
        let piece = pieces[at];
        let end = from + len;
        let is_ghost = |ghost: &Piece| !ghost.is_live();
        let previous = if from == 0 && at > 0 { Some(pieces[at - 1]) } else { None };
        let previous = previous.filter(is_ghost).filter(|ghost| self.follows(ghost.last(), piece.first()));
        let next = if end == piece.len() { pieces.get(at + 1).copied() } else { None };
        let next = next.filter(is_ghost).filter(|ghost| self.follows(piece.last(), ghost.first()));

        let start = self.contents.bytes_of(piece, from);
        let rest = piece.tail(from, start);
        let bytes = self.contents.bytes_of(rest, len);
        let gone = rest.head(len, bytes);
        self.tree.narrow(leaf, self.contents.width_of(gone));
        let head = (from > 0).then(|| piece.head(from, start));
        let tail = (end < piece.len()).then(|| rest.tail(len, bytes));
        match (previous, head, tail, next) {
            (Some(previous), _, tail, next) => {
                let all = previous.len() + len + next.map_or(0, Piece::len);
                self.tree.set(Place { at: at - 1, ..place }, Piece::ghost(previous.first(), all));
                if let Some(tail) = tail {
                    return self.tree.set(place, tail);
                }
                self.tree.remove(place);
                self.unindex(gone.first());
                if let Some(next) = next {
                    self.tree.remove(place);
                    self.unindex(next.first());
                }
            }
            (None, Some(head), _, Some(next)) => {
                self.tree.set(place, head);
                let ghost = Piece::ghost(gone.first(), len + next.len());
                self.tree.set(Place { at: at + 1, ..place }, ghost);
                self.unindex(next.first());
            }
            (None, None, _, Some(next)) => {
                self.tree.set(place, Piece::ghost(gone.first(), len + next.len()));
                self.tree.remove(Place { at: at + 1, ..place });
                self.unindex(next.first());
            }
            (None, head, tail, None) => {
                if let Some(tail) = tail {
                    self.tree.narrow(leaf, self.contents.width_of(tail));
                }
                let ghost = Piece::ghost(gone.first(), len);
                self.tree.set(place, head.unwrap_or(ghost));
                let ghost =
                    if head.is_some() { self.put(Place { at: at + 1, ..place }, ghost) } else { place };
                if let Some(tail) = tail {
                    self.put(Place { at: ghost.at + 1, ..ghost }, tail);
                }
            }
        }
    }

    /// What stands from this element on stands in the leaf in which those before it stand.
    fn unindex(&mut self, element: LocalDot) {
        self.rows.row(element.replica()).unindex(element.counter());
    }

    /// Gives room back, once there is much more than is needed.
    fn tidy(&mut self) {
        let read = self.tree.width().bytes;
        if read == 0 && self.unplaced.is_empty() {
            self.contents = Contents::default();
        }
        if self.contents.is_wasteful(read.max(self.tree.len())) || self.tree.is_sparse() {
            let pieces: Vec<Piece> = self.tree.iter().collect();
            self.pack(&pieces);
        }
    }
}
