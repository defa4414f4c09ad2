//! Taking in what others wrote, by dots.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use smallvec::SmallVec;

use super::piece::{Piece, after};
use super::runs::{END, Run, START, before};
use super::tree::Place;
use super::{Cursor, Items, MOST_BYTES, MOST_MIXED, Origin, Sequence, Side};
use crate::causal::LocalDot;

/// So many pieces are passed on the way to places, at least, before all is built anew instead: whoever puts much at one place would
/// have each of it pass all others. Tests come by both ways.
const MOST_PASSED: usize = if cfg!(test) { 12 } else { 1 << 16 };

/// So many runs of live elements that come at once are placed one by one, whatever there is beside them.
const FEW: usize = if cfg!(test) { 6 } else { 64 };

/// What an element is called among its siblings: by the dot of its run, if it is the first of one, else by its own.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) dot: LocalDot,
    pub(super) begins: bool,
}

impl<C: Items + ?Sized> Sequence<C> {
    /// Takes in where a run hangs. What it hangs on may come later.
    pub(crate) fn add_run(&mut self, head: LocalDot, mut origin: Origin) {
        if origin.parent == START {
            origin.side = Side::Right;
        }
        let row = self.rows.row(head.replica());
        let at = row.runs_before(head.counter());
        if row.runs.get(at).is_none_or(|run| run.head != head.counter()) {
            row.runs.insert(at, Run::new(head.counter(), origin));
            // Elements that are there belong to another run than so far.
            self.is_stale |= row.last >= head.counter();
        }
    }

    /// So many runs of live elements come now, about. Where they are many beside what there is, to build all anew once they are there
    /// takes less than to find each its place.
    pub(crate) fn expect(&mut self, runs: usize) {
        self.is_stale |= runs > FEW && runs > self.tree.len() / 4;
        if self.is_stale {
            self.unplaced.reserve(runs);
        }
    }

    /// Takes in live elements: consecutive dots, with what they hold.
    pub(crate) fn add(&mut self, first: LocalDot, content: &C) {
        self.add_items(first, content.items());
    }

    pub(super) fn add_items(&mut self, first: LocalDot, items: &[C::Item]) {
        self.cursor = Cursor::NOWHERE;
        let (mut first, mut items) = (first, items);
        while !items.is_empty() {
            if self.is_stale {
                return self.add_unplaced(first, items);
            }
            if let Some(gap) = self.end_of_all(first) {
                return self.add_at_end(gap, first, items);
            }
            match self.place_of(first) {
                Some((place, from)) => {
                    let piece = self.tree.pieces(place.leaf)[place.at];
                    let room = usize::try_from(piece.len() - from).unwrap_or(usize::MAX);
                    let all = C::elements(items);
                    let most = if all == items.len() { MOST_BYTES } else { MOST_MIXED };
                    let mut cut = if room < all { C::items_of(items, room) } else { items.len() };
                    if cut > most {
                        cut = C::cut(items, most);
                    }
                    let (own, rest) = items.split_at(cut);
                    let len = C::elements(own) as u64;
                    if !piece.is_live() {
                        self.revive(place, from, len, own);
                    }
                    (first, items) = (after(first, len), rest);
                }
                None => {
                    let Some(gap) = self.reach(first) else { continue };
                    return self.add_at_end(gap, first, items);
                }
            }
        }
    }

    /// Puts live elements into a gap, behind all of their run that have a place.
    fn add_at_end(&mut self, gap: Place, first: LocalDot, items: &[C::Item]) {
        let end = self.put_items(gap, first, items);
        let last = self.tree.pieces(end.leaf)[end.at].last().counter();
        let row = self.rows.row(first.replica());
        if row.last < last {
            (row.last, row.end) = (last, end);
        }
    }

    /// The gap of an element that follows on the last of its replica, if nothing else hangs behind that, and it is where it was last.
    fn end_of_all(&mut self, element: LocalDot) -> Option<Place> {
        let row = self.rows.get(element.replica())?;
        let goes_on =
            row.last + 1 == element.counter() && row.runs.last().is_none_or(|run| run.head < row.last);
        let last = before(element);
        let place = Some(row.end).filter(|_| goes_on && row.last > 0)?;
        self.tree.find_piece(place).filter(|piece| piece.last() == last)?;
        let gap = Place { at: place.at + 1, ..place };
        if let Some((_, piece)) = self.tree.iter_from(Some(gap)).next() {
            // What did not hang on what was last before hangs on nothing that came since.
            let (next, known) = (piece.first(), row.behind);
            if known != next || next == element || self.is_odd {
                if self.rows.left(next) == last {
                    return None;
                }
                self.rows.row(element.replica()).behind = next;
            }
        }
        Some(gap)
    }

    /// Puts live elements aside until all is built anew.
    fn add_unplaced(&mut self, mut first: LocalDot, items: &[C::Item]) {
        let mut rest = items;
        while !rest.is_empty() {
            let cut = if rest.len() > MOST_MIXED { C::cut(rest, MOST_MIXED) } else { rest.len() };
            let (own, more) = rest.split_at(cut);
            let scalars = C::elements(own);
            let start = self.contents.push(first.replica(), own);
            self.unplaced.push(Piece::live(first, start, scalars as u16, own.len() as u16));
            (first, rest) = (after(first, scalars as u64), more);
        }
    }

    /// Gives content to ghosts that are one piece, or part of one.
    fn revive(&mut self, mut place: Place, from: u64, len: u64, items: &[C::Item]) {
        let rest = self.tree.pieces(place.leaf)[place.at].len() - from - len;
        if from > 0 {
            place = self.split(place, from);
        }
        if rest > 0 {
            let tail = self.split(place, len);
            place = self.tree.before(tail).expect("the head of what was split stands before its tail");
        }
        let first = self.tree.pieces(place.leaf)[place.at].first();
        let start = self.contents.push(first.replica(), items);
        let piece = Piece::live(first, start, len as u16, items.len() as u16);
        self.tree.widen(place.leaf, self.contents.width_of(piece));
        let previous = place.at.checked_sub(1).map(|at| Place { at, ..place });
        let joined = previous.and_then(|previous| self.tree.get(previous)?.joined(piece));
        match previous.zip(joined).filter(|_| self.follows(before(first), first)) {
            Some((previous, joined)) => {
                self.tree.set(previous, joined);
                self.tree.remove(place);
                self.unindex(first);
            }
            None => self.tree.set(place, piece),
        }
    }

    /// The gap where an element belongs that has no place: what it hangs on gets one. `None` if all must be built anew.
    fn reach(&mut self, element: LocalDot) -> Option<Place> {
        let mut way = vec![element];
        loop {
            if self.passed > MOST_PASSED {
                self.is_stale = true;
                return None;
            }
            let at = way[way.len() - 1];
            let end = self.end_before(at);
            let run = self.rows.run(at);
            let parent = run.at().parent;
            if end.is_none() && parent != START && self.place_of(parent).is_none() {
                let runs = self.rows.rows.iter().map(|row| row.runs.len() + 1);
                if way.len().is_power_of_two() && way.len() > runs.sum() {
                    // It hangs on itself.
                    self.is_stale = true;
                    return None;
                }
                way.push(parent);
                continue;
            }
            let gap = match end {
                Some(end) => {
                    let name = Name { dot: after(end, 1), begins: false };
                    self.gap(Origin { parent: end, side: Side::Right }, name)
                }
                None => {
                    let other = self.rows.other(run.at());
                    let row = self.rows.row(at.replica());
                    if let Some(known) = row.runs_before(at.counter()).checked_sub(1) {
                        row.runs[known].other = other;
                    }
                    let name = Name { dot: LocalDot::new(at.replica(), run.head), begins: true };
                    self.gap(run.at(), name)
                }
            };
            let end = end.unwrap_or(LocalDot::new(at.replica(), run.head));
            let gap = self.skip(gap, end, at);
            way.pop();
            if way.is_empty() {
                return Some(gap);
            }
            self.is_odd |= self.rows.is_head(at);
            // A ghost, that something may hang on it.
            self.skip(gap, before(at), after(at, 1));
            let row = self.rows.row(at.replica());
            row.last = row.last.max(at.counter());
        }
    }

    /// Has an element have a place from now on, once its run is known, whatever becomes of it.
    pub(crate) fn need(&mut self, element: LocalDot) {
        if self.needed.insert(element) {
            self.give_place(element);
        }
    }

    /// It is needed no more.
    pub(crate) fn leave(&mut self, element: LocalDot) {
        self.needed.remove(&element);
    }

    /// Has what is needed have a place that came before its run did.
    pub(crate) fn place_needed(&mut self) {
        let is_missing = |element: &&LocalDot| self.place_of(**element).is_none();
        let missing: Vec<LocalDot> = self.needed.iter().filter(is_missing).copied().collect();
        missing.into_iter().for_each(|element| self.give_place(element));
        self.settle();
    }

    fn give_place(&mut self, element: LocalDot) {
        let is_known = self.rows.run(element).head > 0;
        if self.is_stale || !is_known || self.place_of(element).is_some() {
            return;
        }
        self.cursor = Cursor::NOWHERE;
        let Some(gap) = self.reach(element) else { return };
        self.is_odd |= self.rows.is_head(element);
        self.skip(gap, before(element), after(element, 1));
        let row = self.rows.row(element.replica());
        row.last = row.last.max(element.counter());
    }

    /// The last element with a place in the run of one that has none.
    pub(super) fn end_before(&self, element: LocalDot) -> Option<LocalDot> {
        let row = self.rows.get(element.replica())?;
        let end = self.end_in(row.leaf_of_end(element.counter())?, element);
        (end > self.rows.run(element).head).then(|| LocalDot::new(element.replica(), end))
    }

    /// The gap where an element called `name` belongs that hangs at `origin`, whose parent has a place.
    pub(super) fn gap(&mut self, origin: Origin, name: Name) -> Place {
        let parent = origin.parent;
        let Some(start) = self.tree.first() else { return Place { leaf: 0, at: 0 } };
        let mut passed = self.passed;
        let place = match origin.side {
            Side::Right => {
                let gap = if parent == START { start } else { self.behind(parent) };
                match self.tree.iter_from(Some(gap)).next() {
                    Some((_, next)) if self.rows.left(next.first()) == parent => {
                        self.among_right(parent, name, gap, false, &mut passed)
                    }
                    _ => gap,
                }
            }
            Side::Left => {
                let (place, from) = self.place_of(parent).expect("a parent has a place");
                let gap = if from > 0 { self.split(place, from) } else { place };
                match self.tree.before(gap).and_then(|place| self.tree.get(place)) {
                    Some(previous) if self.rows.right(previous.first()) == parent => {
                        self.among_left(parent, name, gap, &mut passed)
                    }
                    _ => gap,
                }
            }
        };
        self.passed = passed;
        place
    }

    /// The gap right behind an element that has a place.
    fn behind(&mut self, element: LocalDot) -> Place {
        let (place, from) = self.place_of(element).expect("a parent has a place");
        if from + 1 < self.tree.pieces(place.leaf)[place.at].len() {
            self.split(place, from + 1)
        } else {
            Place { at: place.at + 1, ..place }
        }
    }

    /// Whether one element that has a place stands before another.
    pub(crate) fn is_before(&self, a: LocalDot, b: LocalDot) -> bool {
        match (self.place_of(a), self.place_of(b)) {
            (Some((one, from)), Some((other, at))) => {
                self.tree.compare(one, other).then(from.cmp(&at)) == Ordering::Less
            }
            _ => a == START || b == END,
        }
    }

    /// The order of siblings.
    pub(super) fn order(&self, a: Name, b: Name) -> Ordering {
        self.rows.compare(a.dot, b.dot).then(a.begins.cmp(&b.begins))
    }

    /// Among what hangs behind `parent`, all of which stands behind `gap`: in the order of names. `is_past`: a sibling that comes before has
    /// been met, and where it ends has not. `passed` counts the pieces on the way.
    pub(super) fn among_right(
        &self,
        parent: LocalDot,
        name: Name,
        gap: Place,
        mut is_past: bool,
        passed: &mut usize,
    ) -> Place {
        let (mut found, mut end) = (gap, gap);
        for (place, piece) in self.tree.iter_from(Some(gap)) {
            *passed += 1;
            let first = piece.first();
            let left = self.rows.left(first);
            if left == parent {
                if core::mem::take(&mut is_past) {
                    found = place;
                }
                let run = self.rows.run(first);
                let sibling = match run.at().side {
                    _ if first.counter() > run.head + 1 => Some(Name { dot: first, begins: false }),
                    Side::Right => Some(Name { dot: LocalDot::new(first.replica(), run.head), begins: true }),
                    Side::Left => None,
                };
                if let Some(sibling) = sibling {
                    if self.order(sibling, name) == Ordering::Greater {
                        return found;
                    }
                    is_past = true;
                }
            } else if parent != START && !self.is_before(parent, left) {
                return if is_past { place } else { found };
            }
            end = Place { at: place.at + 1, ..place };
        }
        if is_past { end } else { found }
    }

    /// Among what hangs before `parent`, which stands behind `gap`. `passed` counts the pieces on the way.
    pub(super) fn among_left(&self, parent: LocalDot, name: Name, gap: Place, passed: &mut usize) -> Place {
        let (mut found, mut start) = (gap, gap);
        let mut is_past = false;
        while let Some(place) = self.tree.before(start) {
            *passed += 1;
            let behind = Place { at: place.at + 1, ..place };
            let Some(piece) = self.tree.get(place) else { break };
            let first = piece.first();
            let run = self.rows.run(first);
            let right = run.right();
            if right == parent {
                if core::mem::take(&mut is_past) {
                    found = behind;
                }
                let is_sibling = run.at() == Origin { parent, side: Side::Left };
                if is_sibling && first.counter() == run.head + 1 {
                    let sibling = LocalDot::new(first.replica(), run.head);
                    if self.rows.compare(sibling, name.dot) == Ordering::Less {
                        return found;
                    }
                    is_past = true;
                }
            } else if !self.is_before(right, parent) {
                return if is_past { behind } else { found };
            }
            start = place;
        }
        if is_past { start } else { found }
    }

    /// Makes ghosts of consecutive elements, as far as they are live.
    pub(crate) fn remove(&mut self, first: LocalDot, last: LocalDot) {
        self.cursor = Cursor::NOWHERE;
        if self.is_stale {
            self.build();
        }
        let mut from = first;
        // What has no place is not live.
        while let Some((next, place, before)) = self.next_placed(from, last) {
            let piece = self.tree.pieces(place.leaf)[place.at];
            let end = piece.last().min(last);
            if piece.is_live() {
                self.bury(place, before, end.bits() + 1 - next.bits());
            }
            from = after(end, 1);
        }
        self.tidy();
    }

    /// Forgets where runs hang: what is left of each belongs to the run before. Ascending by replica, of one replica after the other.
    pub(crate) fn remove_runs(&mut self, heads: &[LocalDot]) {
        self.cursor = Cursor::NOWHERE;
        for heads in heads.chunk_by(|a, b| a.replica() == b.replica()) {
            for head in heads {
                self.leave_run(*head);
            }
            let Some(row) = heads.first().filter(|head| self.rows.get(head.replica()).is_some()) else {
                continue;
            };
            let runs = &mut self.rows.row(row.replica()).runs;
            if heads.len() <= FEW {
                let at = |head: &LocalDot| runs.binary_search_by_key(&head.counter(), |run| run.head).ok();
                let gone: SmallVec<[usize; 4]> = heads.iter().filter_map(at).collect();
                gone.iter().rev().for_each(|at| _ = runs.remove(*at));
            } else {
                // To close the gap behind each would take time with their square.
                let mut gone = heads.iter().map(|head| head.counter()).peekable();
                runs.retain(|run| {
                    while gone.next_if(|head| *head < run.head).is_some() {}
                    gone.next_if_eq(&run.head).is_none()
                });
            }
        }
    }

    /// Of a run it is about to be forgotten where it hangs.
    fn leave_run(&mut self, head: LocalDot) {
        let Some(row) = self.rows.get(head.replica()) else { return };
        let at = row.runs_before(head.counter());
        let Some(run) = row.runs.get(at).filter(|run| run.head == head.counter()) else { return };
        // Of a circle: the others may hang where they were said to, now.
        let is_loose = run.is_loose;
        let end = row.runs.get(at + 1).map_or(row.last, |run| run.head - 1).min(row.last);
        let first = after(head, 1);
        let is_gone = self.place_of(first).is_none_or(|(place, from)| {
            let last = self.tree.pieces(place.leaf)[place.at].last().counter();
            from == 0 && last == end && self.drop_alone(place)
        });
        self.is_stale |= !is_gone || is_loose;
    }

    /// Takes out a piece of ghosts on which nothing hangs, so that it might as well have no place. Says whether it is one.
    pub(super) fn drop_alone(&mut self, place: Place) -> bool {
        let Some(piece) = self.tree.get(place).filter(|piece| !piece.is_live()) else { return false };
        let (first, last) = (piece.first(), piece.last());
        let previous = self.tree.before(place).and_then(|place| self.tree.get(place));
        let next = self.tree.iter_from(Some(Place { at: place.at + 1, ..place })).next();
        // What hangs behind any of them may stand behind the last: the rest of a run is a sibling, and may come before.
        let hangs = previous.is_some_and(|previous| piece.contains(self.rows.right(previous.first())))
            || next.is_some_and(|(_, next)| piece.contains(self.rows.left(next.first())));
        let is_needed = self.needed.range(first..=last).next().is_some();
        if hangs || is_needed || self.tree.is_single(place.leaf) {
            return false;
        }
        self.tree.remove(place);
        let row = self.rows.row(first.replica());
        row.unplace(first.counter(), last.counter());
        if row.last == last.counter() {
            let before = row.leaf_before(first.counter()).map_or(0, |leaf| self.end_in(leaf, first));
            let row = self.rows.row(first.replica());
            (row.last, row.behind) = (before, START);
        }
        true
    }

    /// The counter of the last element in a leaf before one of the same replica; 0 if there is none.
    fn end_in(&self, leaf: u32, element: LocalDot) -> u64 {
        let of_row = |piece: &&Piece| piece.first().replica() == element.replica() && piece.first() < element;
        let ends = self.tree.pieces(leaf).iter().filter(of_row).map(|piece| piece.last().counter());
        ends.max().unwrap_or(0)
    }

    /// Brings into order what came out of order. To be called before anything is read.
    pub(crate) fn settle(&mut self) {
        self.passed = 0;
        if self.is_stale {
            self.build();
        }
    }
}
