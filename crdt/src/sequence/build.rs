//! Making everything anew: the order as a function of runs and live elements.

use alloc::vec;
use alloc::vec::Vec;

use super::contents::Contents;
use super::piece::{Piece, after};
use super::runs::{AT_START, END, Origin, START, Side, before};
use super::tree::Tree;
use super::{Cursor, Items, Sequence};
use crate::causal::{LocalDot, ReplicaIndex};

/// A run, as it is laid out.
#[derive(Clone, Copy)]
struct Part {
    row: ReplicaIndex,
    /// Which of the runs of its row; `None` for what stands before all heads.
    run: Option<u32>,
    head: u64,
    /// The last element that has a place; the head if none has.
    last: u64,
    at: Origin,
    /// Its live pieces begin there.
    live: usize,
    is_laid: bool,
}

/// What is left to be laid out.
#[derive(Clone, Copy)]
enum Task {
    /// A run, from its first element on.
    Whole(u32),
    /// A run from the element `next` on. What hangs on its elements before `hanging` is done; `live` is its next piece.
    Rest { part: u32, next: u64, hanging: usize, live: usize },
}

struct Layout<'s, C: Items + ?Sized> {
    sequence: &'s mut Sequence<C>,
    /// Ascending by row and head.
    parts: Vec<Part>,
    /// Ascending by dot.
    live: Vec<Piece>,
    /// Which parts hang on which, by parent, side and name.
    hanging: Vec<u32>,
    out: Vec<Piece>,
}

impl<C: Items + ?Sized> Sequence<C> {
    pub(super) fn build(&mut self) {
        self.built += 1;
        let mut live: Vec<Piece> = self.tree.iter().filter(|piece| piece.is_live()).collect();
        live.append(&mut self.unplaced);
        live.sort_unstable_by_key(|piece| piece.first());
        live.dedup_by_key(|piece| piece.first());
        self.rows.rows.iter_mut().for_each(|row| {
            row.last = 0;
            row.runs.iter_mut().for_each(|run| (run.is_loose, run.other) = (false, END));
        });
        let mut layout =
            Layout { parts: Vec::new(), hanging: Vec::new(), out: Vec::new(), live, sequence: self };
        layout.divide();
        layout.loosen();
        layout.lay_out();
        let pieces = layout.out;
        self.is_stale = false;
        self.pack(&pieces);
    }

    /// Has the tree consist of these pieces, which it does already but for how they are packed.
    pub(super) fn pack(&mut self, pieces: &[Piece]) {
        let mut contents = Contents::default();
        let mut packed: Vec<Piece> = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let piece = if piece.is_live() {
                let start = contents.push(piece.first().replica(), self.contents.of(*piece));
                Piece::live(piece.first(), start, piece.scalars() as u16, piece.bytes() as u16)
            } else {
                *piece
            };
            let joined = packed.last().and_then(|last| last.joined(piece));
            match joined.filter(|_| self.follows(before(piece.first()), piece.first())) {
                Some(joined) => *packed.last_mut().expect("it was joined to the last") = joined,
                None => packed.push(piece),
            }
        }
        self.contents = contents;
        let contents = &self.contents;
        self.tree = Tree::packed(&packed, |pieces| contents.width(pieces));
        self.cursor = Cursor::NOWHERE;
        self.rows.rows.iter_mut().for_each(|row| row.leaves.clear());
        let mut first = self.tree.first();
        while let Some(place) = first {
            for piece in self.tree.pieces(place.leaf) {
                self.rows.row(piece.first().replica()).leaves.insert(piece.first().counter(), place.leaf);
            }
            first = self.tree.here(super::Place { at: self.tree.pieces(place.leaf).len(), ..place });
        }
    }
}

impl<C: Items + ?Sized> Layout<'_, C> {
    fn part_of(&self, element: LocalDot) -> u32 {
        let key = (element.replica(), element.counter());
        self.parts.partition_point(|part| (part.row, part.head) < key) as u32 - 1
    }

    /// Finds the runs, and which of their elements need a place: those that are live or hung on, with all before them.
    fn divide(&mut self) {
        for (row, known) in (0..).zip(&self.sequence.rows.rows) {
            let implied = Part { row, run: None, head: 0, last: 0, at: AT_START, live: 0, is_laid: false };
            self.parts.push(implied);
            let runs = (0..).zip(&known.runs);
            self.parts.extend(runs.map(|(nth, run)| Part {
                run: Some(nth),
                head: run.head,
                last: run.head,
                at: run.origin,
                ..implied
            }));
        }
        let mut live = 0;
        for at in 0..self.parts.len() {
            let part = self.parts[at];
            let next =
                self.parts.get(at + 1).filter(|next| next.row == part.row).map_or(u64::MAX, |next| next.head);
            self.parts[at].live = live;
            while let Some(piece) = self.live.get(live) {
                if piece.first().replica() != part.row || piece.first().counter() > next {
                    break;
                }
                // A piece that reaches into the next run is cut in two.
                if piece.last().counter() > next {
                    let (piece, len) = (*piece, next - piece.first().counter() + 1);
                    let bytes = self.sequence.contents.bytes_of(piece, len);
                    self.live[live] = piece.head(len, bytes);
                    self.live.insert(live + 1, piece.tail(len, bytes));
                }
                self.parts[at].last = self.live[live].last().counter();
                live += 1;
            }
        }
        for letter in &self.sequence.needed {
            let on = self.part_of(*letter) as usize;
            if self.parts[on].run.is_some() {
                self.parts[on].last = self.parts[on].last.max(letter.counter());
                self.sequence.is_odd |= self.sequence.rows.is_head(*letter);
            }
        }
        for at in 0..self.parts.len() {
            let parent = self.parts[at].at.parent;
            if parent != START {
                let on = self.part_of(parent) as usize;
                self.parts[on].last = self.parts[on].last.max(parent.counter());
                self.sequence.is_odd |= self.sequence.rows.is_head(parent);
            }
        }
    }

    /// Has runs that hang on themselves, by way of others, stand at the start.
    fn loosen(&mut self) {
        let mut seen = vec![0_u32; self.parts.len()];
        for at in 0..self.parts.len() {
            let (mut next, mark) = (at, at as u32 + 1);
            while seen[next] == 0 {
                seen[next] = mark;
                match self.parts[next].at.parent {
                    START => break,
                    parent => next = self.part_of(parent) as usize,
                }
            }
            // A circle closed just now: all of it.
            while seen[next] == mark && self.parts[next].at.parent != START {
                let part = self.parts[next];
                self.parts[next].at = AT_START;
                if let Some(run) = part.run {
                    self.sequence.rows.row(part.row).runs[run as usize].is_loose = true;
                }
                next = self.part_of(part.at.parent) as usize;
            }
        }
        self.hanging = (0..self.parts.len() as u32).collect();
        let (parts, rows) = (&self.parts, &self.sequence.rows);
        let name = |part: &Part| LocalDot::new(part.row, part.head);
        self.hanging.sort_by(|&a, &b| {
            let (a, b) = (&parts[a as usize], &parts[b as usize]);
            let places = (a.at.parent, a.at.side).cmp(&(b.at.parent, b.at.side));
            places.then_with(|| rows.compare(name(a), name(b)))
        });
    }

    /// Where those that hang on an element begin in the list of all.
    fn hanging_from(&self, element: LocalDot, side: Side) -> usize {
        let key = (element, side);
        self.hanging.partition_point(|&at| {
            let at = self.parts[at as usize].at;
            (at.parent, at.side) < key
        })
    }

    fn lay_out(&mut self) {
        let end = self.hanging_from(after(START, 1), Side::Left);
        let mut tasks: Vec<Task> = self.hanging[..end].iter().rev().map(|&at| Task::Whole(at)).collect();
        while let Some(task) = tasks.pop() {
            match task {
                Task::Whole(at) => self.begin(at, &mut tasks),
                Task::Rest { part, next, hanging, live } => self.go_on(part, next, hanging, live, &mut tasks),
            }
        }
    }

    fn begin(&mut self, at: u32, tasks: &mut Vec<Task>) {
        let part = &mut self.parts[at as usize];
        if part.last == part.head || core::mem::replace(&mut part.is_laid, true) {
            return;
        }
        let part = *part;
        let rows = &mut self.sequence.rows;
        if let Some(run) = part.run {
            let other = rows.other(part.at);
            rows.row(part.row).runs[run as usize].other = other;
        }
        let row = rows.row(part.row);
        row.last = row.last.max(part.last);
        let first = LocalDot::new(part.row, part.head + 1);
        let hanging = self.hanging_from(first, Side::Left);
        tasks.push(Task::Rest { part: at, next: part.head + 1, hanging, live: part.live });
    }

    /// Lays out a run up to the next element that something hangs on.
    fn go_on(&mut self, at: u32, next: u64, hanging: usize, live: usize, tasks: &mut Vec<Task>) {
        let part = self.parts[at as usize];
        let hangs = self.hanging.get(hanging).map(|&at| self.parts[at as usize].at);
        let here = |at: &Origin| {
            at.parent.replica() == part.row && (part.head + 1..=part.last).contains(&at.parent.counter())
        };
        let Some(on) = hangs.filter(here) else {
            self.emit(part, next, part.last, live);
            return;
        };
        let element = on.parent.counter();
        let count =
            self.hanging[hanging..].iter().take_while(|&&at| self.parts[at as usize].at == on).count();
        let hanging_next = hanging + count;
        let those = &self.hanging[hanging..hanging_next];
        if on.side == Side::Left {
            // All before the element, then what hangs before it, then the element itself with the rest.
            let whole: Vec<Task> = those.iter().rev().map(|&at| Task::Whole(at)).collect();
            let live = self.emit(part, next, element - 1, live);
            tasks.push(Task::Rest { part: at, next: element.max(next), hanging: hanging_next, live });
            tasks.extend(whole);
        } else {
            // The rest of the run is a sibling of what hangs behind the element.
            let (rest, last) = (after(on.parent, 1), part.last);
            let is_before = |&&at: &&u32| {
                let part = &self.parts[at as usize];
                let name = LocalDot::new(part.row, part.head);
                element == last || self.sequence.rows.compare(name, rest).is_lt()
            };
            let before = those.iter().take_while(is_before).count();
            let (before, behind) = those.split_at(before);
            let behind: Vec<Task> = behind.iter().rev().map(|&at| Task::Whole(at)).collect();
            let before: Vec<Task> = before.iter().rev().map(|&at| Task::Whole(at)).collect();
            let live = self.emit(part, next, element, live);
            tasks.extend(behind);
            tasks.push(Task::Rest { part: at, next: element + 1, hanging: hanging_next, live });
            tasks.extend(before);
        }
    }

    /// Lays out elements of a run on which nothing hangs, but behind the last and before the first.
    fn emit(&mut self, part: Part, first: u64, last: u64, mut live: usize) -> usize {
        let mut next = first;
        while next <= last {
            let dot = LocalDot::new(part.row, next);
            let piece = self
                .live
                .get(live)
                .copied()
                .filter(|piece| piece.first().replica() == part.row && piece.first().counter() <= last);
            let Some(piece) = piece else {
                self.out.push(Piece::ghost(dot, last - next + 1));
                break;
            };
            if piece.first() > dot {
                self.out.push(Piece::ghost(dot, piece.first().bits() - dot.bits()));
            }
            next = piece.last().counter() + 1;
            if next > last + 1 {
                // The rest of it comes later.
                let len = last + 1 - piece.first().counter();
                let bytes = self.sequence.contents.bytes_of(piece, len);
                self.out.push(piece.head(len, bytes));
                self.live[live] = piece.tail(len, bytes);
                return live;
            }
            self.out.push(piece);
            live += 1;
        }
        live
    }
}
