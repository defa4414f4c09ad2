//! A state cut into slices: each holds the live items whose dots lie between two dots, in the order of replica id and
//! counter, and can be read by itself.
//!
//! So a large state is read in bounded memory, one slice after the other; and a store that keeps the cuts where they were
//! writes only the slices in which something changed.

use alloc::vec;
use alloc::vec::Vec;
use smallvec::SmallVec;

use super::writer::{Columns, Rows, WireRun, write_body};
use crate::causal::{Dot, LocalDot, ReplicaIndex};
use crate::delta::{Flat, NO_NODE, Parts};

/// A slice ends with the item with which it has come to weigh this much, in bytes: 256 KiB, a few milliseconds' work.
pub(super) const SLICE: u64 = 256 << 10;

/// What an item weighs whose content and key have these lengths. Only the cuts depend on it.
pub(super) fn weight(content: usize, key: usize) -> u64 {
    16 + content as u64 + key as u64
}

/// A live item.
#[derive(Clone, Copy)]
struct Item {
    /// As it is called in the message.
    dot: LocalDot,
    node: u32,
    /// Which of the carried dots of the tree it is.
    at: u32,
}

/// A state, to be cut.
pub(super) struct Slices<'p> {
    parts: &'p Parts,
    tree: Flat<'p>,
    rows: Rows,
    /// By row of the message: how far its events go.
    known: Vec<u64>,
    /// In order of dot.
    items: Vec<Item>,
    parents: Vec<u32>,
    /// The first dots of the slices.
    cuts: Vec<LocalDot>,
}

impl<'p> Slices<'p> {
    pub(super) fn of(parts: &'p Parts) -> Self {
        let rows = Rows::of(parts);
        let mut known = vec![0; rows.used.len()];
        for run in &parts.events {
            known[rows.wire(run.replica) as usize] = run.last;
        }
        let tree = parts.tree.flat();
        let items = (0..).zip(tree.items()).map(|(at, (dot, node))| Item { dot: rows.dot(dot), node, at });
        let items = in_order(items.collect(), &known);
        Self { parts, tree, rows, known, items, parents: tree.parents(), cuts: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.cuts.len()
    }

    fn weight(&self, item: &Item) -> u64 {
        weight(self.tree.content(item.at).len(), self.tree.key(item.node).len())
    }

    /// The dot after `dot` of those that the state knows.
    fn after(&self, dot: LocalDot) -> LocalDot {
        if dot.counter() < self.known[dot.replica() as usize] {
            LocalDot::new(dot.replica(), dot.counter() + 1)
        } else {
            LocalDot::new(dot.replica() + 1, 1)
        }
    }

    /// One slice, from the first event on.
    pub(super) fn uncut(mut self) -> Self {
        let first = self.parts.events.iter().find(|run| self.rows.used.first() == Some(&run.replica));
        self.cuts.extend(first.map(|run| LocalDot::new(0, run.first)));
        self
    }

    /// Cuts as the encoding has it: after each item with which a slice has come to weigh [`SLICE`], but the last.
    pub(super) fn by_weight(mut self) -> Self {
        if !self.known.is_empty() {
            self.cuts.push(LocalDot::new(0, 1));
        }
        let mut sum = 0;
        for (at, item) in self.items.iter().enumerate() {
            sum += self.weight(item);
            if sum >= SLICE && at + 1 < self.items.len() {
                self.cuts.push(self.after(item.dot));
                sum = 0;
            }
        }
        self
    }

    /// Cuts where it was cut before, as far as the slices have not become far too heavy or too light: for a store, whose
    /// slices then stay the same but for those in which something changed.
    pub(super) fn near(mut self, before: &[Dot]) -> Self {
        if self.known.is_empty() {
            return self;
        }
        let row = |dot: &Dot| {
            let row = self.parts.table.row(dot.replica)?;
            let row = self.rows.used.iter().position(|&used| used == row)?;
            (1..=self.known[row])
                .contains(&dot.counter)
                .then(|| LocalDot::new(row as ReplicaIndex, dot.counter))
        };
        let mut old: Vec<LocalDot> = before.iter().filter_map(row).collect();
        old.push(LocalDot::new(0, 1));
        old.sort_unstable();
        old.dedup();
        let mut cuts = vec![old[0]];
        // What the slice being cut and the one before it weigh.
        let (mut sum, mut previous) = (0, u64::MAX);
        let mut items = self.items.iter().peekable();
        for end in old[1..].iter().copied().map(Some).chain([None]) {
            let is_before = |item: &&Item| end.is_none_or(|end| item.dot < end);
            let total: u64 = {
                let rest = items.clone().take_while(|item| is_before(item));
                rest.map(|item| self.weight(item)).sum()
            };
            while let Some(item) = items.next_if(is_before) {
                sum += self.weight(item);
                let more = items.peek().is_some_and(is_before);
                if total > 2 * SLICE && sum >= SLICE && more {
                    cuts.push(self.after(item.dot));
                    (previous, sum) = (sum, 0);
                }
            }
            if sum + previous.min(2 * SLICE) <= SLICE / 2 && cuts.len() > 1 {
                // Both are light: they become one.
                cuts.pop();
                sum += previous;
            }
            if let Some(end) = end {
                cuts.push(end);
                (previous, sum) = (sum, 0);
            }
        }
        self.cuts = cuts;
        self
    }

    /// Writes the slices one after the other; `each` gets the first dot of each and its body.
    pub(super) fn write_each(self, mut each: impl FnMut(Dot, &[u8])) {
        let mut paths = Paths::new(self.tree.nodes());
        let mut items = &self.items[..];
        let mut body = Vec::new();
        for (nth, &cut) in self.cuts.iter().enumerate() {
            let end = self.cuts.get(nth + 1).copied();
            let (own, rest) =
                items.split_at(end.map_or(items.len(), |end| items.partition_point(|item| item.dot < end)));
            items = rest;
            let (first_row, events) = self.events(cut, end);
            let columns = paths.columns(&self, own, first_row, &events);
            let rows = &self.rows.used[first_row as usize..first_row as usize + events.len()];
            body.clear();
            write_body(&mut body, self.parts, rows, &columns);
            let replica = self.parts.table.id(self.rows.used[first_row as usize]);
            each(Dot { replica, counter: cut.counter() }, &body);
        }
    }

    /// The dots from `cut` up to `end`, one run a row, in rows from the first row on.
    fn events(&self, cut: LocalDot, end: Option<LocalDot>) -> (ReplicaIndex, Vec<WireRun>) {
        let first_row = cut.replica();
        let last_row = match end {
            Some(end) if end.counter() > 1 => end.replica(),
            Some(end) => end.replica() - 1,
            None => self.known.len() as ReplicaIndex - 1,
        };
        let run = |row: ReplicaIndex| {
            let first = if row == first_row { cut.counter() } else { 1 };
            let last = match end {
                Some(end) if end.replica() == row => end.counter() - 1,
                _ => self.known[row as usize],
            };
            (row - first_row, first, last)
        };
        (first_row, (first_row..=last_row).map(run).collect())
    }
}

/// The items in order of dot; `known` says how far the dots of each row go.
fn in_order(mut items: Vec<Item>, known: &[u64]) -> Vec<Item> {
    if items.is_sorted_by_key(|item| item.dot) {
        return items;
    }
    let dots = known.iter().fold(0_u64, |sum, known| sum.saturating_add(*known));
    if dots > 8 * items.len() as u64 {
        items.sort_unstable_by_key(|item| item.dot);
        return items;
    }
    // Most dots are live: each has its place, which is faster than sorting.
    let mut before = 0;
    let start = |known: &u64| {
        let start = before;
        before += known;
        start
    };
    let starts: Vec<u64> = known.iter().map(start).collect();
    let mut places = vec![NONE; dots as usize];
    for (at, Item { dot, .. }) in (0..).zip(&items) {
        places[(starts[dot.replica() as usize] + dot.counter() - 1) as usize] = at;
    }
    places.into_iter().filter(|&at| at != NONE).map(|at| items[at as usize]).collect()
}

/// No index.
const NONE: u32 = u32::MAX;

/// A node that has something in a slice.
#[derive(Clone, Copy)]
struct Part {
    node: u32,
    /// In the order of their first dots: the first and last child, as indices of parts; [`NONE`] if there is none.
    first: u32,
    last: u32,
    next: u32,
    children: u32,
    /// The first and last item, as indices into the slice's items.
    items: (u32, u32),
}

/// Finds the nodes of a slice and puts them in order.
struct Paths {
    /// By node: its part in the slice at hand, if it is one of that slice.
    part: Vec<u32>,
    parts: Vec<Part>,
    /// By item of the slice: the next one of its node.
    next_item: Vec<u32>,
}

impl Paths {
    fn new(nodes: usize) -> Self {
        Self { part: vec![NONE; nodes], parts: Vec::new(), next_item: Vec::new() }
    }

    fn columns<'p>(
        &mut self,
        slices: &Slices<'p>,
        items: &[Item],
        first_row: ReplicaIndex,
        events: &[WireRun],
    ) -> Vec<u8> {
        // Items come in order of dot, so nodes are met in the order of their first dots.
        self.next_item.clear();
        self.next_item.resize(items.len(), NONE);
        self.part(slices, 0);
        for (at, item) in (0..).zip(items) {
            let part = self.part(slices, item.node);
            let (first, last) = &mut self.parts[part as usize].items;
            if *first == NONE {
                *first = at;
            } else {
                self.next_item[*last as usize] = at;
            }
            *last = at;
        }
        let mut columns = Columns::new(events, 0);
        self.write(slices, items, first_row, 0, &mut columns);
        for part in self.parts.drain(..) {
            self.part[part.node as usize] = NONE;
        }
        columns.finish(events, &[])
    }

    /// The part of a node, made if there is none yet, with those above it.
    fn part(&mut self, slices: &Slices<'_>, node: u32) -> u32 {
        let known = self.part[node as usize];
        if known != NONE {
            return known;
        }
        let parent = slices.parents[node as usize];
        let above = if parent == NO_NODE { NONE } else { self.part(slices, parent) };
        let new = self.parts.len() as u32;
        self.part[node as usize] = new;
        self.parts.push(Part { node, first: NONE, last: NONE, next: NONE, children: 0, items: (NONE, NONE) });
        if above != NONE {
            let last = core::mem::replace(&mut self.parts[above as usize].last, new);
            self.parts[above as usize].children += 1;
            match last {
                NONE => self.parts[above as usize].first = new,
                last => self.parts[last as usize].next = new,
            }
        }
        new
    }

    fn write<'p>(
        &self,
        slices: &Slices<'p>,
        items: &[Item],
        first_row: ReplicaIndex,
        part: u32,
        columns: &mut Columns<'p>,
    ) {
        let part = &self.parts[part as usize];
        let of_slice = |dot: LocalDot| LocalDot::new(dot.replica() - first_row, dot.counter());
        if part.children == 0 && part.items.0 == part.items.1 && part.items.0 != NONE {
            let item = &items[part.items.0 as usize];
            return columns.item(of_slice(item.dot), slices.tree.content(item.at));
        }
        let mut carried: SmallVec<[(LocalDot, &[u8]); 2]> = SmallVec::new();
        let mut at = part.items.0;
        while at != NONE {
            let item = &items[at as usize];
            carried.push((of_slice(item.dot), slices.tree.content(item.at)));
            at = self.next_item[at as usize];
        }
        columns.node(&carried, &[], part.children as usize);
        let mut child = part.first;
        while child != NONE {
            let below = &self.parts[child as usize];
            columns.keys.push(slices.tree.key(below.node));
            self.write(slices, items, first_row, child, columns);
            child = below.next;
        }
    }
}
