//! Making everything anew: the order as a function of runs and live elements.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::contents::Contents;
use super::piece::{Piece, after};
use super::runs::{AT_START, END, Origin, Row, Run, START, Side, before};
use super::tree::Tree;
use super::{Cursor, Items, Sequence};
use crate::causal::{LocalDot, ReplicaIndex};

/// Hangs on no run.
const NONE: u32 = u32::MAX;

/// A run, as it is laid out.
#[derive(Clone, Copy)]
struct Part {
    row: ReplicaIndex,
    /// Which of the runs of its row, from 1 on; 0 for what stands before all heads.
    nth: u32,
    head: u64,
    /// The last element that has a place; the head if none has.
    last: u64,
    at: Origin,
    /// The part that its parent belongs to; [`NONE`] if it hangs at the start.
    above: u32,
    /// Its live pieces begin there.
    live: u32,
    is_laid: bool,
}

/// What is left to be laid out.
#[derive(Clone, Copy)]
enum Task {
    /// A run, from its first element on.
    Whole(u32),
    /// A run from the element `next` on. What hangs on its elements before `hanging` is done; `live` is its next piece.
    Rest { part: u32, next: u64, hanging: u32, live: u32 },
}

struct Layout<'s, C: Items + ?Sized> {
    sequence: &'s mut Sequence<C>,
    /// Ascending by row and head.
    parts: Vec<Part>,
    /// By row: its first part.
    starts: Vec<u32>,
    /// By row: how many replicas have a lower id.
    ranks: Vec<u32>,
    /// Ascending by dot.
    live: Vec<Piece>,
    /// Which parts hang on which, by parent, side and name.
    hanging: Vec<u32>,
    /// By part, with one more in front for the start: where what hangs on it ends in that list.
    ends: Vec<u32>,
    tasks: Vec<Task>,
    out: Vec<Piece>,
    /// Of each piece, which of the runs of its row it belongs to, as in [`Part`].
    out_runs: Vec<u32>,
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
        let mut layout = Layout {
            parts: Vec::new(),
            starts: Vec::new(),
            ranks: self.rows.ranks(),
            out: Vec::with_capacity(live.len()),
            out_runs: Vec::with_capacity(live.len()),
            live,
            hanging: Vec::new(),
            ends: Vec::new(),
            tasks: Vec::new(),
            sequence: self,
        };
        layout.divide();
        layout.loosen();
        layout.hang();
        layout.lay_out();
        let (pieces, runs) = (layout.out, layout.out_runs);
        self.is_stale = false;
        self.pack_with(&pieces, &runs);
    }

    /// Has the tree consist of these pieces, which it does already but for how they are packed.
    pub(super) fn pack(&mut self, pieces: &[Piece]) {
        let run = |piece: &Piece| {
            let row = &self.rows.rows[piece.first().replica() as usize];
            row.runs_before(piece.first().counter()) as u32
        };
        let runs: Vec<u32> = pieces.iter().map(run).collect();
        self.pack_with(pieces, &runs);
    }

    /// As `pack`; `runs` says of each piece how many runs begin before it.
    fn pack_with(&mut self, pieces: &[Piece], runs: &[u32]) {
        let (mut packed, mut runs, is_tight) = self.joined(pieces, runs);
        if !is_tight {
            let mut contents = Contents::default();
            let mut moved = |piece: &Piece| {
                if !piece.is_live() {
                    return *piece;
                }
                let start = contents.push(piece.first().replica(), self.contents.of(*piece));
                Piece::live(piece.first(), start, piece.scalars() as u16, piece.bytes() as u16)
            };
            let pieces: Vec<Piece> = packed.iter().map(&mut moved).collect();
            self.contents = contents;
            (packed, runs, _) = self.joined(&pieces, &runs);
        }
        let contents = &self.contents;
        self.tree = Tree::packed(&packed, |pieces| contents.width(pieces));
        self.cursor = Cursor::NOWHERE;
        self.rows.rows.iter_mut().for_each(Row::unplace_all);
        for ((place, piece), run) in self.tree.iter_from(self.tree.first()).zip(runs) {
            let row = self.rows.row(piece.first().replica());
            row.index_next(run as usize, piece.first().counter(), place.leaf);
        }
    }

    /// These pieces, with those put together that go on with one another. Says whether what they hold lies together as they do,
    /// with nothing else.
    fn joined(&self, pieces: &[Piece], runs: &[u32]) -> (Vec<Piece>, Vec<u32>, bool) {
        let mut packed: Vec<Piece> = Vec::with_capacity(pieces.len());
        let mut packed_runs = Vec::with_capacity(pieces.len());
        let mut is_tight = true;
        let mut bytes = 0;
        for (&piece, &run) in pieces.iter().zip(runs) {
            bytes += piece.bytes();
            if let Some(last) = packed.last_mut()
                && after(last.last(), 1) == piece.first()
                && last.is_live() == piece.is_live()
                && packed_runs.last() == Some(&run)
            {
                is_tight &= !piece.is_live() || last.start() + last.bytes() == piece.start();
                if let Some(joined) = last.joined(piece) {
                    *last = joined;
                    continue;
                }
            }
            packed.push(piece);
            packed_runs.push(run);
        }
        (packed, packed_runs, is_tight && bytes == self.contents.len())
    }
}

impl<C: Items + ?Sized> Layout<'_, C> {
    fn part_of(&self, element: LocalDot) -> u32 {
        let row = &self.sequence.rows.rows[element.replica() as usize];
        self.starts[element.replica() as usize] + row.runs_before(element.counter()) as u32
    }

    /// Finds the runs, and which of their elements need a place: those that are live or hung on, with all before them.
    fn divide(&mut self) {
        for (row, known) in (0..).zip(&self.sequence.rows.rows) {
            self.starts.push(self.parts.len() as u32);
            let implied =
                Part { row, nth: 0, head: 0, last: 0, at: AT_START, above: NONE, live: 0, is_laid: false };
            self.parts.push(implied);
            let runs = (1..).zip(&known.runs);
            self.parts.extend(runs.map(|(nth, run)| Part {
                nth,
                head: run.head,
                last: run.head,
                at: run.origin(),
                ..implied
            }));
        }
        let mut live = 0;
        for at in 0..self.parts.len() {
            let part = self.parts[at];
            let next =
                self.parts.get(at + 1).filter(|next| next.row == part.row).map_or(u64::MAX, |next| next.head);
            self.parts[at].live = live as u32;
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
            if self.parts[on].nth > 0 {
                self.parts[on].last = self.parts[on].last.max(letter.counter());
                self.sequence.is_odd |= self.sequence.rows.is_head(*letter);
            }
        }
        for at in 0..self.parts.len() {
            let parent = self.parts[at].at.parent;
            if parent != START {
                let above = self.part_of(parent);
                self.parts[at].above = above;
                let next = self.parts.get(above as usize + 1).filter(|next| next.row == parent.replica());
                self.sequence.is_odd |= next.is_some_and(|next| next.head == parent.counter());
                let on = &mut self.parts[above as usize];
                on.last = on.last.max(parent.counter());
            }
        }
    }

    /// Has runs that hang on themselves, by way of others, stand at the start.
    fn loosen(&mut self) {
        // What hangs on what was begun before it hangs on nothing that hangs on itself: so it is with all that one replica writes.
        if (0..).zip(&self.parts).all(|(at, part)| part.above == NONE || part.above < at) {
            return;
        }
        let mut seen = vec![0_u32; self.parts.len()];
        for at in 0..self.parts.len() {
            let (mut next, mark) = (at, at as u32 + 1);
            while seen[next] == 0 {
                seen[next] = mark;
                match self.parts[next].above {
                    NONE => break,
                    above => next = above as usize,
                }
            }
            // A circle closed just now: all of it.
            while seen[next] == mark && self.parts[next].above != NONE {
                let Part { row, nth, above, .. } = self.parts[next];
                (self.parts[next].at, self.parts[next].above) = (AT_START, NONE);
                if let Some(run) = nth.checked_sub(1) {
                    self.sequence.rows.row(row).runs[run as usize].is_loose = true;
                }
                next = above as usize;
            }
        }
    }

    /// Finds what hangs on what: first for each part, which there are not many of as a rule, then in order.
    fn hang(&mut self) {
        let slot = |part: &Part| part.above.wrapping_add(1) as usize;
        let mut ends = vec![0_u32; self.parts.len() + 1];
        self.parts.iter().for_each(|part| ends[slot(part)] += 1);
        let mut sum = 0;
        for end in &mut ends {
            // Where they begin, until they are there.
            sum += core::mem::replace(end, sum);
        }
        self.hanging = vec![0; self.parts.len()];
        for (at, part) in (0..).zip(&self.parts) {
            let next = &mut ends[slot(part)];
            self.hanging[*next as usize] = at;
            *next += 1;
        }
        let key = |&at: &u32| {
            let Part { row, head, at: Origin { parent, side }, .. } = self.parts[at as usize];
            (parent, side, self.ranks[row as usize], head)
        };
        let mut start = 0;
        for &end in &ends {
            let those = &mut self.hanging[start as usize..end as usize];
            if those.len() > 1 {
                those.sort_unstable_by_key(key);
            }
            start = end;
        }
        self.ends = ends;
    }

    /// Where what hangs on a part is in the list of all.
    fn hanging_on(&self, part: u32) -> Range<u32> {
        self.ends[part as usize]..self.ends[part as usize + 1]
    }

    /// Whole runs, the first of which is to be laid out first.
    fn push_whole(&mut self, hanging: Range<u32>) {
        let those = &self.hanging[hanging.start as usize..hanging.end as usize];
        self.tasks.extend(those.iter().rev().map(|&at| Task::Whole(at)));
    }

    fn lay_out(&mut self) {
        self.push_whole(0..self.ends[0]);
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::Whole(at) => self.begin(at),
                Task::Rest { part, next, hanging, live } => self.go_on(part, next, hanging, live),
            }
        }
    }

    fn begin(&mut self, at: u32) {
        let part = &mut self.parts[at as usize];
        if part.last == part.head || core::mem::replace(&mut part.is_laid, true) {
            return;
        }
        let part = *part;
        if let Some(run) = part.nth.checked_sub(1) {
            let other = self.other(part);
            self.sequence.rows.row(part.row).runs[run as usize].other = other;
        }
        let row = self.sequence.rows.row(part.row);
        row.last = row.last.max(part.last);
        self.go_on(at, part.head + 1, self.hanging_on(at).start, part.live);
    }

    /// What is known of where a run stands beside where it hangs.
    fn other(&self, Part { at: Origin { parent, side }, above, .. }: Part) -> LocalDot {
        let Some(above) = self.parts.get(above as usize) else { return END };
        let run = above
            .nth
            .checked_sub(1)
            .map(|run| &self.sequence.rows.rows[above.row as usize].runs[run as usize]);
        match side {
            Side::Right => run.map_or(END, Run::right),
            Side::Left if parent.counter() == above.head + 1 => run.map_or(START, Run::left),
            Side::Left => before(parent),
        }
    }

    /// Lays out a run up to the next element that something hangs on.
    fn go_on(&mut self, at: u32, next: u64, hanging: u32, live: u32) {
        let part = self.parts[at as usize];
        let end = self.hanging_on(at).end;
        if hanging == end {
            self.emit(part, next, part.last, live);
            return;
        }
        let on = self.parts[self.hanging[hanging as usize] as usize].at;
        let element = on.parent.counter();
        let those = &self.hanging[hanging as usize..end as usize];
        let count = those.iter().take_while(|&&at| self.parts[at as usize].at == on).count() as u32;
        let hanging_next = hanging + count;
        if on.side == Side::Left {
            // All before the element, then what hangs before it, then the element itself with the rest.
            let live = self.emit(part, next, element - 1, live);
            self.tasks.push(Task::Rest { part: at, next: element.max(next), hanging: hanging_next, live });
            self.push_whole(hanging..hanging_next);
        } else {
            // The rest of the run is a sibling of what hangs behind the element.
            let rest = (self.ranks[part.row as usize], element + 1);
            let is_before = |&&at: &&u32| {
                let part = &self.parts[at as usize];
                (self.ranks[part.row as usize], part.head) < rest
            };
            let before = if element == part.last {
                count
            } else {
                those[..count as usize].iter().take_while(is_before).count() as u32
            };
            let live = self.emit(part, next, element, live);
            self.push_whole(hanging + before..hanging_next);
            self.tasks.push(Task::Rest { part: at, next: element + 1, hanging: hanging_next, live });
            self.push_whole(hanging..hanging + before);
        }
    }

    fn put(&mut self, part: Part, piece: Piece) {
        self.out.push(piece);
        self.out_runs.push(part.nth);
    }

    /// Lays out elements of a run on which nothing hangs, but behind the last and before the first.
    fn emit(&mut self, part: Part, first: u64, last: u64, mut live: u32) -> u32 {
        let mut next = first;
        while next <= last {
            let dot = LocalDot::new(part.row, next);
            let piece = self
                .live
                .get(live as usize)
                .copied()
                .filter(|piece| piece.first().replica() == part.row && piece.first().counter() <= last);
            let Some(piece) = piece else {
                self.put(part, Piece::ghost(dot, last - next + 1));
                break;
            };
            if piece.first() > dot {
                self.put(part, Piece::ghost(dot, piece.first().bits() - dot.bits()));
            }
            next = piece.last().counter() + 1;
            if next > last + 1 {
                // The rest of it comes later.
                let len = last + 1 - piece.first().counter();
                let bytes = self.sequence.contents.bytes_of(piece, len);
                self.put(part, piece.head(len, bytes));
                self.live[live as usize] = piece.tail(len, bytes);
                return live;
            }
            self.put(part, piece);
            live += 1;
        }
        live
    }
}
