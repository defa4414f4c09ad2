//! Writing at positions.

use super::piece::{Piece, Unit, Width, after};
use super::remote::Name;
use super::runs::{Rows, Run, START, before};
use super::tree::{NONE, Place};
use super::{Cursor, Items, Origin, Sequence, Side};
use crate::causal::{LocalDot, ReplicaIndex};

/// So many pieces behind a position are looked at for the end of what the writer wrote last.
const NEAR: usize = 4;

impl<T: Clone + Send + Sync + 'static> Sequence<[T]> {
    /// The element at `index`.
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        let (leaf, before) = Some(index)
            .filter(|index| *index < self.width().scalars)
            .map(|index| self.tree.find(index, Unit::Scalar))?;
        let mut start = before.scalars;
        for piece in self.tree.pieces(leaf) {
            if let Some(element) = self.contents.of(*piece).get(index - start) {
                return Some(element);
            }
            start += piece.scalars();
        }
        None
    }

    /// What a live element holds.
    pub(crate) fn item(&self, element: LocalDot) -> Option<&T> {
        let (place, from) = self.place_of(element)?;
        self.contents.of(self.tree.pieces(place.leaf)[place.at]).get(from as usize)
    }
}

impl Sequence {
    /// How many scalars are read before the unit at `index`; `None` if there are not as many, or a scalar would be split.
    pub(crate) fn scalars_before(&self, index: usize, unit: Unit) -> Option<usize> {
        let all = self.width();
        if index >= all.by(unit) {
            return (index == all.by(unit)).then_some(all.scalars);
        }
        if unit == Unit::Scalar {
            return Some(index);
        }
        let (leaf, mut start) = self.tree.find(index, unit);
        for piece in self.tree.pieces(leaf) {
            let width = self.contents.width_of(*piece);
            if index < start.by(unit) + width.by(unit) {
                let mut units = index - start.by(unit);
                if piece.is_ascii() {
                    return Some(start.scalars + units);
                }
                for scalar in str::whole(self.contents.of(*piece)).chars() {
                    let own = if unit == Unit::Byte { scalar.len_utf8() } else { scalar.len_utf16() };
                    match units.checked_sub(own) {
                        _ if units == 0 => break,
                        Some(less) => units = less,
                        None => return None,
                    }
                    start.scalars += 1;
                }
                return Some(start.scalars);
            }
            start += width;
        }
        None
    }
}

impl<C: Items + ?Sized> Sequence<C> {
    /// The piece that holds the scalar at `index`, which there is, with how many scalars are read before it.
    fn locate(&mut self, index: usize) -> (Place, usize) {
        let Cursor { place: Place { mut leaf, mut at }, mut leaf_start, mut start, .. } = self.cursor;
        let is_near =
            leaf != NONE && index >= leaf_start && index - leaf_start < self.tree.width_of(leaf).scalars;
        if !is_near {
            let (found, before) = self.tree.find(index, Unit::Scalar);
            (leaf, at, leaf_start, start) = (found, 0, before.scalars, before.scalars);
        } else if index < start {
            (at, start) = (0, leaf_start);
        }
        for piece in &self.tree.pieces(leaf)[at..] {
            if index < start + piece.scalars() {
                break;
            }
            start += piece.scalars();
            at += 1;
        }
        let place = Place { leaf, at };
        self.cursor = Cursor { place, leaf_start, start, is_end: false };
        (place, start)
    }

    /// How much is read before the scalar at `index`, which there is, or at the end.
    pub(crate) fn width_before(&self, index: usize) -> Width {
        if index >= self.width().scalars {
            return self.width();
        }
        let (leaf, mut sum) = self.tree.find(index, Unit::Scalar);
        for piece in self.tree.pieces(leaf) {
            let left = index - sum.scalars;
            if left < piece.scalars() {
                let low = self.contents.bytes_of(*piece, left as u64);
                sum += C::width(&self.contents.of(*piece)[..low], left);
                break;
            }
            sum += self.contents.width_of(*piece);
        }
        sum
    }

    /// What is read between two elements, piece by piece.
    pub(crate) fn slice(&self, from: usize, to: usize) -> impl Iterator<Item = &C> {
        let start = (from < to).then(|| self.tree.find(from, Unit::Scalar));
        let mut at = start.map_or(0, |(_, before)| before.scalars);
        let pieces = self.tree.iter_from(start.map(|(leaf, _)| Place { leaf, at: 0 }));
        let live = pieces.map(|(_, piece)| piece).filter(|piece| piece.is_live());
        let cut = move |piece: Piece| {
            let start = at;
            at += piece.scalars();
            if start >= to {
                return None;
            }
            let (low, high) = (from.saturating_sub(start), (to - start).min(piece.scalars()));
            let place = |scalars: usize| self.contents.bytes_of(piece, scalars as u64);
            Some((low < high).then(|| C::whole(&self.contents.of(piece)[place(low)..place(high)])))
        };
        live.map_while(cut).flatten()
    }

    /// Inserts elements before the one at `index`, or at the end. `next` is the next dot of who writes; `mint` is told where the first
    /// element hangs, unless it follows on what that replica wrote before, and yields the dot of the first element: of a new run the dot
    /// before that is its own. A run that ends with `kept` or before is not gone on with. Right `behind` an element that has a place, if one is
    /// given; the one before `index` or a ghost between.
    pub(crate) fn insert(
        &mut self,
        index: usize,
        behind: Option<LocalDot>,
        content: &C,
        next: LocalDot,
        kept: u64,
        mint: impl FnOnce(Option<Origin>, &Rows) -> LocalDot,
    ) {
        let (row, items) = (next.replica(), content.items());
        if self.rows.get(row).is_some_and(|row| row.last >= next.counter()) {
            self.unwrite(next);
        }
        let Cursor { place, start, is_end, .. } = self.cursor;
        if is_end
            && behind.is_none()
            && let Some(piece) = self.tree.get(place)
            && index == start + piece.scalars()
            && piece.last().replica() == row
            && piece.last().counter() > kept
        {
            let (first, len) = (mint(None, &self.rows), items.len());
            // A few letters more: nothing but counts changes.
            let grows = piece.is_live() && piece.start() + piece.bytes() == self.contents.end(row);
            let is_plain = C::elements(items) == len;
            if grows && after(piece.last(), 1) == first && is_plain && piece.has_room(len, len) {
                self.contents.push(row, items);
                self.tree.set(place, piece.grown(len, len));
                self.tree.widen(place.leaf, C::width(items, len));
                self.rows.row(row).last += len as u64;
                return;
            }
            let gap = Place { at: place.at + 1, ..place };
            return self.append(gap, piece.last(), index, items, first);
        }
        let (mut gap, mut left) = (self.tree.first().unwrap_or(Place { leaf: 0, at: 0 }), START);
        let there = match (behind, index.checked_sub(1)) {
            (Some(START), _) | (None, None) => None,
            (behind, index) => {
                // It may have lost its place just now.
                let there = behind.and_then(|behind| self.place_of(behind));
                there.map(|(place, before)| (place, before + 1)).or_else(|| {
                    let (place, start) = self.locate(index?);
                    Some((place, (index? + 1 - start) as u64))
                })
            }
        };
        if let Some((place, len)) = there {
            let piece = self.tree.pieces(place.leaf)[place.at];
            left = after(piece.first(), len - 1);
            gap =
                if len < piece.len() { self.split(place, len) } else { Place { at: place.at + 1, ..place } };
        }
        // What others say of dots that are still to be written.
        let is_foretold = self.rows.row(row).last >= next.counter();
        let goes_on = |(_, end): &(Place, LocalDot)| {
            !is_foretold && end.counter() > kept && behind.is_none_or(|behind| behind == *end)
        };
        if let Some((gap, end)) = self.own_end(gap, left, row).filter(goes_on) {
            return self.append(gap, end, index, items, mint(None, &self.rows));
        }
        let next = self.tree.iter_from(Some(gap).filter(|_| !self.tree.is_empty())).next();
        let beside_frozen = next.is_some_and(|(_, piece)| self.is_frozen(piece));
        let origin = match next.map(|(_, piece)| piece.first()) {
            _ if beside_frozen => self.origin_beside_frozen(gap, left),
            Some(next) if self.rows.left(next) == left => Origin { parent: next, side: Side::Left },
            _ => Origin { parent: left, side: Side::Right },
        };
        let other = if origin.side == Side::Left { left } else { self.rows.right(left) };
        let first = mint(Some(origin), &self.rows);
        if is_foretold {
            self.add_run(before(first), origin);
            self.add_items(first, items);
            return self.settle();
        }
        if beside_frozen {
            // It may stand behind some of them.
            gap = self.gap(origin, Name { dot: before(first), begins: true });
            self.passed = 0;
        }
        self.begin(gap, origin, other, index, items, first);
    }

    /// Takes out the ghosts of what a transaction wrote that was undone: its dots are used again.
    fn unwrite(&mut self, next: LocalDot) {
        self.cursor = Cursor::NOWHERE;
        while let row = self.rows.row(next.replica())
            && row.last >= next.counter()
        {
            let last = LocalDot::new(next.replica(), row.last);
            let Some((place, before)) = self.place_of(last) else { return self.build() };
            let piece = self.tree.pieces(place.leaf)[place.at];
            if piece.is_live() || !(piece.first() < next || self.drop_alone(place)) {
                return self.build();
            }
            if piece.first() < next {
                self.tree.set(place, piece.head(before + 1 - (last.bits() + 1 - next.bits()), 0));
                let row = self.rows.row(next.replica());
                row.unplace(next.counter(), last.counter());
                (row.last, row.behind) = (next.counter() - 1, START);
            }
        }
    }

    /// The end of what `row` wrote last, if it is near behind `gap` with nothing that is read between, and nothing hangs behind it. Who
    /// corrects what was typed just now goes on with the same run.
    fn own_end(&self, gap: Place, left: LocalDot, row: ReplicaIndex) -> Option<(Place, LocalDot)> {
        let known = self.rows.get(row)?;
        let end = LocalDot::new(row, known.last);
        if known.last == 0 || known.runs.last().is_some_and(|run| run.head >= known.last) {
            return None;
        }
        let mut gap = gap;
        if left != end {
            let near = self.tree.iter_from(Some(gap)).take(NEAR);
            let mut ghosts = near.take_while(|(_, piece)| !piece.is_live());
            let (place, _) = ghosts.find(|(_, piece)| piece.last() == end)?;
            gap = Place { at: place.at + 1, ..place };
        }
        let next = self.tree.iter_from(Some(gap)).next();
        next.is_none_or(|(_, piece)| self.rows.left(piece.first()) != end).then_some((gap, end))
    }

    /// Inserts elements as a new run; `other` is as that of a [`Run`].
    fn begin(
        &mut self,
        gap: Place,
        origin: Origin,
        other: LocalDot,
        index: usize,
        items: &[C::Item],
        first: LocalDot,
    ) {
        let head = before(first).counter();
        let mut run = Run::new(head, origin);
        run.other = other;
        self.rows.row(first.replica()).runs.push(run);
        self.written(gap, index, items, first);
    }

    /// Inserts elements behind the last one of their replica, with which the piece before `gap` ends.
    fn append(&mut self, gap: Place, end: LocalDot, index: usize, items: &[C::Item], first: LocalDot) {
        let gap = self.skip(gap, end, first);
        self.written(gap, index, items, first);
    }

    /// Makes ghosts of the elements between two of a run, behind the piece that ends with `end`.
    pub(super) fn skip(&mut self, gap: Place, end: LocalDot, next: LocalDot) -> Place {
        let len = next.bits() - end.bits() - 1;
        if len == 0 {
            return gap;
        }
        let ghost = Piece::ghost(after(end, 1), len);
        let previous = gap.at.checked_sub(1).map(|at| (at, self.tree.pieces(gap.leaf)[at]));
        let is_one = |(_, piece): &(usize, Piece)| !piece.is_live() && piece.last() == end;
        if let Some((at, previous)) = previous.filter(is_one)
            && self.follows(end, ghost.first())
        {
            self.tree.set(Place { at, ..gap }, Piece::ghost(previous.first(), previous.len() + len));
            return gap;
        }
        let place = self.put_new(gap, ghost);
        Place { at: place.at + 1, ..place }
    }

    /// Puts elements of our own into a gap that stands before the scalar at `index`.
    fn written(&mut self, gap: Place, index: usize, items: &[C::Item], first: LocalDot) {
        let all = self.width().scalars;
        let place = self.put_items(gap, first, items);
        let len = self.width().scalars - all;
        let row = self.rows.row(first.replica());
        (row.last, row.end) = (first.counter() + len as u64 - 1, place);
        let leaf_start = if self.cursor.place.leaf == place.leaf {
            self.cursor.leaf_start
        } else {
            self.tree.start(place.leaf).scalars
        };
        let start = index + len - self.tree.pieces(place.leaf)[place.at].scalars();
        self.cursor = Cursor { place, leaf_start, start, is_end: true };
    }

    /// How many scalars are read before an element that is read itself; what is near is found at once then.
    pub(crate) fn seek(&mut self, element: LocalDot) -> Option<usize> {
        let (place, from) = self.place_of(element)?;
        if !self.tree.pieces(place.leaf)[place.at].is_live() {
            return None;
        }
        if self.cursor.place != place {
            let leaf_start = self.tree.start(place.leaf).scalars;
            let before = self.tree.pieces(place.leaf)[..place.at].iter();
            let start = leaf_start + before.map(|piece| piece.scalars()).sum::<usize>();
            self.cursor = Cursor { place, leaf_start, start, is_end: false };
        }
        Some(self.cursor.start + from as usize)
    }

    /// Deletes an element, if it is live; `each` is told what it holds.
    pub(crate) fn delete_one(&mut self, element: LocalDot, each: impl FnOnce(&C)) {
        let Some((place, from)) = self.place_of(element) else { return };
        let piece = self.tree.pieces(place.leaf)[place.at];
        if !piece.is_live() {
            return;
        }
        let place_of = |scalars: u64| self.contents.bytes_of(piece, scalars);
        each(C::whole(&self.contents.of(piece)[place_of(from)..place_of(from + 1)]));
        self.cursor = Cursor::NOWHERE;
        self.bury(place, from, 1);
        self.tidy();
    }

    /// Deletes so many scalars from `index` on, which there are; `each` is told of each run of dots with what it holds.
    pub(crate) fn delete(&mut self, index: usize, count: usize, mut each: impl FnMut(LocalDot, &C)) {
        let mut left = count;
        while left > 0 {
            let (place, start) = self.locate(index);
            let piece = self.tree.pieces(place.leaf)[place.at];
            let from = index - start;
            let len = left.min(piece.scalars() - from);
            let place_of = |scalars: usize| self.contents.bytes_of(piece, scalars as u64);
            let gone = &self.contents.of(piece)[place_of(from)..place_of(from + len)];
            each(after(piece.first(), from as u64), C::whole(gone));
            self.bury(place, from as u64, len as u64);
            left -= len;
            // What was before may have moved to another leaf.
            let is_there = from > 0 && self.tree.get(place).is_some_and(|now| now.first() == piece.first());
            if !is_there {
                self.cursor.place.at = 0;
                self.cursor.start = self.cursor.leaf_start;
            }
        }
        self.tidy();
    }
}
