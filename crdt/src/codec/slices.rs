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
use crate::delta::{Flat, NO_NODE, Parts, Span};

/// A slice ends with the item with which it has come to weigh this much, in bytes: 256 KiB, a few milliseconds' work.
pub(super) const SLICE: u64 = 256 << 10;

/// What the items of a span weigh: only the cuts depend on it.
#[derive(Clone, Copy)]
pub(super) struct Weight {
    /// The first, also where a slice is cut before it.
    pub(super) first: u64,
    /// Each of the others.
    pub(super) next: u64,
    count: u32,
}

impl Weight {
    pub(super) fn of(span: &Span<&[u8]>, key: &[u8]) -> Self {
        let next = span.each() as u64;
        Self { first: 16 + next + key.len() as u64, next, count: span.count }
    }

    /// As it was up to format 2, which knew no spans.
    pub(super) fn of_items(span: &Span<&[u8]>, key: &[u8]) -> Self {
        let Self { first, count, .. } = Self::of(span, key);
        Self { first, next: first, count }
    }

    pub(super) fn sum(&self) -> u64 {
        self.first + self.next * (u64::from(self.count) - 1)
    }

    /// What the last item weighs.
    pub(super) fn last(&self) -> u64 {
        if self.count == 1 { self.first } else { self.next }
    }
}

/// Live items: consecutive dots of one node.
#[derive(Clone, Copy)]
struct Items<'p> {
    /// As it is called in the message.
    span: Span<&'p [u8]>,
    node: u32,
}

/// A state, to be cut.
pub(super) struct Slices<'p> {
    parts: &'p Parts,
    tree: Flat<'p>,
    rows: Rows,
    /// By row of the message: how far its events go.
    known: Vec<u64>,
    /// In order of dot.
    items: Vec<Items<'p>>,
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
        let items = tree.spans().map(|(span, node)| Items { span: rows.span(span), node });
        let items = in_order(items.collect(), &known);
        Self { parts, tree, rows, known, items, parents: tree.parents(), cuts: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.cuts.len()
    }

    fn weight(&self, items: &Items<'_>) -> Weight {
        Weight::of(&items.span, self.tree.key(items.node))
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
        self.cuts.extend(self.first());
        self
    }

    /// The first event.
    fn first(&self) -> Option<LocalDot> {
        let first = self.parts.events.iter().find(|run| self.rows.used.first() == Some(&run.replica));
        first.map(|run| LocalDot::new(0, run.first))
    }

    /// Cuts as the encoding has it: after each item with which a slice has come to weigh [`SLICE`], but the last.
    pub(super) fn by_weight(mut self) -> Self {
        if !self.known.is_empty() {
            self.cuts.push(LocalDot::new(0, 1));
        }
        let mut sum = 0;
        let mut cuts = Vec::new();
        for (at, items) in self.items.iter().enumerate() {
            let more = at + 1 < self.items.len();
            let full = full(&mut sum, &items.span, self.weight(items), more);
            cuts.extend(full.map(|last| self.after(last)));
        }
        self.cuts.append(&mut cuts);
        self
    }

    /// Cuts where it was cut before, as far as the slices have not become far too heavy or too light: for a store, whose
    /// slices then stay the same but for those in which something changed.
    pub(super) fn near(mut self, before: &[Dot]) -> Self {
        let Some(first) = self.first() else { return self };
        let row = |dot: &Dot| {
            let row = self.parts.table.row(dot.replica)?;
            let row = self.rows.used.iter().position(|&used| used == row)?;
            (1..=self.known[row])
                .contains(&dot.counter)
                .then(|| LocalDot::new(row as ReplicaIndex, dot.counter))
        };
        let mut old: Vec<LocalDot> = before.iter().filter_map(row).collect();
        old.push(first);
        old.sort_unstable();
        old.dedup();
        self.items = split(self.items, &old);
        let mut cuts = vec![old[0]];
        // What the slice being cut and the one before it weigh.
        let (mut sum, mut previous) = (0, u64::MAX);
        let mut items = self.items.iter().peekable();
        for end in old[1..].iter().copied().map(Some).chain([None]) {
            let is_before = |items: &&Items<'_>| end.is_none_or(|end| items.span.first < end);
            let total: u64 = {
                let rest = items.clone().take_while(|items| is_before(items));
                rest.map(|items| self.weight(items).sum()).sum()
            };
            while let Some(own) = items.next_if(is_before) {
                let weight = self.weight(own);
                if total <= 2 * SLICE {
                    sum += weight.sum();
                    continue;
                }
                let more = items.peek().is_some_and(is_before);
                for last in full(&mut sum, &own.span, weight, more) {
                    cuts.push(self.after(last));
                    previous = SLICE;
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
    pub(super) fn write_each(mut self, mut each: impl FnMut(Dot, &[u8])) {
        self.items = split(core::mem::take(&mut self.items), &self.cuts);
        let mut paths = Paths::new(self.tree.nodes());
        let mut items = &self.items[..];
        let mut body = Vec::new();
        for (nth, &cut) in self.cuts.iter().enumerate() {
            let end = self.cuts.get(nth + 1).copied();
            let (own, rest) = items
                .split_at(end.map_or(items.len(), |end| items.partition_point(|own| own.span.first < end)));
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

/// The dots with which slices are full, of a span that weighs so much: if there are more behind. `sum` is what the slice weighs of
/// which they are.
fn full<'s>(
    sum: &'s mut u64,
    span: &Span<&[u8]>,
    weight: Weight,
    more: bool,
) -> impl Iterator<Item = LocalDot> + use<'s> {
    let (mut next, last) = span.interval();
    core::iter::from_fn(move || {
        let left = last + 1 - next;
        if left == 0 {
            return None;
        }
        let rest = SLICE.saturating_sub(*sum + weight.first);
        let lacking = 1 + if rest == 0 { 0 } else { rest.div_ceil(weight.next.max(1)) };
        if lacking < left || (lacking == left && more) {
            *sum = 0;
            next += lacking;
            Some(LocalDot::from_bits(next - 1))
        } else {
            *sum += weight.first + (left - 1) * weight.next;
            next = last + 1;
            None
        }
    })
}

/// The items such that none goes on over one of these dots, which ascend.
fn split<'p>(items: Vec<Items<'p>>, cuts: &[LocalDot]) -> Vec<Items<'p>> {
    let mut next = cuts.iter().peekable();
    let mut is_cut = |items: &Items<'_>| {
        while next.next_if(|cut| **cut <= items.span.first).is_some() {}
        next.next_if(|cut| **cut <= items.span.last()).is_some()
    };
    if !items.iter().any(|items| items.span.count > 1 && is_cut(items)) {
        return items;
    }
    let mut cuts = cuts.iter().peekable();
    let mut split = Vec::with_capacity(items.len());
    for Items { span, node } in items {
        let mut first = span.first;
        while let Some(&cut) = cuts.next_if(|cut| **cut <= span.last()) {
            if cut > first {
                split.push(Items { span: span.into_part(first, LocalDot::from_bits(cut.bits() - 1)), node });
                first = cut;
            }
        }
        split.push(Items { span: span.into_part(first, span.last()), node });
    }
    split
}

/// The items in order of dot; `known` says how far the dots of each row go.
fn in_order<'p>(mut items: Vec<Items<'p>>, known: &[u64]) -> Vec<Items<'p>> {
    if items.is_sorted_by_key(|items| items.span.first) {
        return items;
    }
    let dots = known.iter().fold(0_u64, |sum, known| sum.saturating_add(*known));
    if dots > 8 * items.len() as u64 {
        // As a rule those of a node ascend: this sort puts such parts together.
        items.sort_by_key(|items| items.span.first);
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
    for (at, Items { span, .. }) in (0..).zip(&items) {
        let dot = span.first;
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
        items: &[Items<'p>],
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
        items: &[Items<'p>],
        first_row: ReplicaIndex,
        part: u32,
        columns: &mut Columns<'p>,
    ) {
        let part = &self.parts[part as usize];
        let of_slice = |at: u32| {
            let span = items[at as usize].span;
            let first = LocalDot::new(span.first.replica() - first_row, span.first.counter());
            Span { first, ..span }
        };
        if part.children == 0 && part.items.0 == part.items.1 && part.items.0 != NONE {
            let only = of_slice(part.items.0);
            if only.count == 1 {
                return columns.item(only.first, only.contents);
            }
        }
        let mut carried: SmallVec<[Span<&[u8]>; 2]> = SmallVec::new();
        let mut at = part.items.0;
        while at != NONE {
            carried.push(of_slice(at));
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
