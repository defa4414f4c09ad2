//! Writes deltas, and the columns of both deltas and the slices of states. `docs/encoding.md` says what the bytes mean.
//!
//! ```text
//! delta   = body                                MessagePack from here
//! state   = [ type, body, … ]                   a body a slice
//! body    = [ names, columns ]                  a list of 16-byte strings, one byte string
//!         | [ names, length, compressed columns ]
//! columns = head events deps shape dots covers lengths keys contents
//! ```
//! Columns have one form: what is read and written again gives the same bytes. Names ascend; the children of a node of a
//! state, and what it carries, stand in the order of their first dots.

use alloc::vec::Vec;
use core::ops::Range;

use smallvec::SmallVec;

use super::compress::compress;
use super::msgpack::{write_array_len, write_bin, write_str, write_uint};
use super::packed::{Expected, number, number_len};
use super::planes::{self, Heads, Longer};
use super::slices::Slices;
use crate::causal::{Dots, LocalDot, ReplicaId, ReplicaIndex};
use crate::delta::{Parts, Span};

/// The bits of a message's first byte.
pub(super) mod head {
    /// It brings one dot.
    pub(crate) const ONE: u8 = 1;
    /// It has dependencies beside those that its events imply.
    pub(crate) const DEPS: u8 = 2;
    /// What it carries, from first to last, are the dots it brings, from first to last.
    pub(crate) const IN_ORDER: u8 = 4;
    /// Keys are told by what they share with the one before.
    pub(crate) const SHARED: u8 = 8;
    /// Lengths of contents are told as runs of equal ones.
    pub(crate) const RUNS: u8 = 16;
    /// Contents of some nodes are told by planes.
    pub(crate) const PLANES: u8 = 32;
    /// Contents of all other nodes are told by planes together, the longer ones by their heads.
    pub(crate) const HEADS: u8 = 64;
}

/// The two lowest bits of a node's first number.
pub(super) mod shape {
    /// One dot; above stands how long its content is.
    pub(crate) const ITEM: u64 = 0;
    /// One dot, and one run covered; above stands how long the content is.
    pub(crate) const ITEM_AND_COVER: u64 = 1;
    /// Children; above stands how many.
    pub(crate) const CHILDREN: u64 = 2;
    /// Above stands which of the following there are, then for each how many.
    pub(crate) const ANY: u64 = 3;
    pub(crate) const CARRIES: u64 = 1;
    pub(crate) const COVERS: u64 = 2;
    pub(crate) const HAS_CHILDREN: u64 = 4;
}

/// A run of one row's dots: row, first, last.
pub(super) type WireRun = (ReplicaIndex, u64, u64);
type WireRuns = SmallVec<[WireRun; 2]>;

/// The body of a delta.
pub(super) fn write_delta(parts: &Parts) -> Vec<u8> {
    let rows = Rows::of(parts);
    let columns = delta_columns(&rows, parts);
    let mut out = Vec::with_capacity(8 + 18 * rows.used.len() + columns.len());
    write_body(&mut out, parts, &rows.used, &columns);
    out
}

/// A state's message, without its envelope.
pub(super) fn write_state(type_name: &str, parts: &Parts) -> Vec<u8> {
    let slices = Slices::of(parts).by_weight();
    let mut out = Vec::new();
    array(&mut out, 1 + slices.len());
    write_str(&mut out, type_name);
    slices.write_each(|_, body| out.extend_from_slice(body));
    out
}

/// Names and columns, these compressed where that pays.
pub(super) fn write_body(out: &mut Vec<u8>, parts: &Parts, rows: &[ReplicaIndex], columns: &[u8]) {
    let packed = compress(columns);
    array(out, if packed.is_some() { 3 } else { 2 });
    array(out, rows.len());
    for &row in rows {
        write_bin(out, parts.table.id(row).as_bytes());
    }
    if packed.is_some() {
        write_uint(out, columns.len() as u64);
    }
    write_bin(out, packed.as_deref().unwrap_or(columns));
}

fn array(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("a message has fewer than 2^32 items");
    write_array_len(out, len);
}

/// The rows a message uses, in order of replica id.
pub(super) struct Rows {
    pub(super) used: SmallVec<[ReplicaIndex; 2]>,
    wire: Wire,
}

/// Where a row of a replica's table is in the message.
enum Wire {
    /// By row.
    Most(SmallVec<[ReplicaIndex; 4]>),
    /// Pairs, in order of row: a small delta must not cost as much as there are replicas.
    Few(SmallVec<[(ReplicaIndex, ReplicaIndex); 2]>),
}

impl Rows {
    pub(super) fn of(parts: &Parts) -> Self {
        if let Some(row) = only_row(parts) {
            return Self {
                used: SmallVec::from_slice(&[row]),
                wire: Wire::Few(SmallVec::from_slice(&[(row, 0)])),
            };
        }
        let mut used: SmallVec<[ReplicaIndex; 2]> = SmallVec::new();
        let is_small = parts.deps.len() + parts.events.len() + parts.tree.names() < parts.table.len();
        if is_small {
            each_row(parts, |row| used.push(row));
            used.sort_unstable();
            used.dedup();
        } else {
            let mut is_used: SmallVec<[bool; 16]> = SmallVec::from_elem(false, parts.table.len());
            each_row(parts, |row| is_used[row as usize] = true);
            used.extend((0..).zip(is_used).filter_map(|(row, is_used)| is_used.then_some(row)));
        }
        // With the ids beside them: looking one up costs more than comparing two.
        let mut by_id: SmallVec<[(ReplicaId, ReplicaIndex); 2]> =
            used.iter().map(|&row| (parts.table.id(row), row)).collect();
        by_id.sort_unstable();
        used.iter_mut().zip(by_id).for_each(|(used, (_, row))| *used = row);
        let wire = if is_small {
            let mut few: SmallVec<_> = used.iter().copied().zip(0..).collect();
            few.sort_unstable();
            Wire::Few(few)
        } else {
            let mut most = SmallVec::from_elem(ReplicaIndex::MAX, parts.table.len());
            used.iter().zip(0..).for_each(|(&row, at)| most[row as usize] = at);
            Wire::Most(most)
        };
        Self { used, wire }
    }

    pub(super) fn wire(&self, row: ReplicaIndex) -> ReplicaIndex {
        match &self.wire {
            Wire::Most(most) => most[row as usize],
            Wire::Few(few) => few[few.partition_point(|(used, _)| *used < row)].1,
        }
    }

    /// A span as it is called in the message.
    pub(super) fn span<'t>(&self, span: Span<&'t [u8]>) -> Span<&'t [u8]> {
        Span { first: LocalDot::new(self.wire(span.first.replica()), span.first.counter()), ..span }
    }

    /// Runs as they are called in the message, in its order.
    fn runs(&self, dots: Dots<'_>) -> WireRuns {
        let mut runs = WireRuns::new();
        dots.runs().for_each(|(row, first, last)| runs.push((self.wire(row), first, last)));
        runs.sort_unstable();
        runs
    }
}

pub(super) fn delta_columns(rows: &Rows, parts: &Parts) -> Vec<u8> {
    let mut out = Vec::new();
    if write_columns_of_one(rows, parts, &mut out) { out } else { columns_of_any(rows, parts) }
}

fn columns_of_any(rows: &Rows, parts: &Parts) -> Vec<u8> {
    let events = rows.runs(parts.event_context().as_dots());
    let mut deps: SmallVec<[_; 4]> =
        parts.deps.iter().map(|&(row, counter)| (rows.wire(row), counter)).collect();
    deps.sort_unstable();
    let tree = parts.tree.flat();
    let mut columns = Columns::new(&events, tree.content_bytes());
    for node in 0..tree.nodes() as u32 {
        if node > 0 {
            columns.keys.push(tree.key(node));
        }
        let carried = tree.carried(node);
        // A state covers its whole version: it goes without saying.
        let cover = if parts.is_state { Dots::new(&[]) } else { tree.cover(node) };
        if carried.len() == 1 && cover.is_empty() && !tree.has_children(node) {
            let span = rows.span(tree.span(carried.start));
            if span.count == 1 {
                columns.item(span.first, span.contents);
                continue;
            }
        }
        let mut carried: SmallVec<[Span<&[u8]>; 2]> = carried.map(|at| rows.span(tree.span(at))).collect();
        carried.sort_unstable_by_key(|span| span.first);
        columns.node(&carried, &rows.runs(cover), tree.children(node).count());
    }
    columns.finish(&events, &deps)
}

/// The only row that is used, if what there is is said of one place alone.
fn only_row(parts: &Parts) -> Option<ReplicaIndex> {
    let (&[run], []) = (&parts.events[..], &parts.deps[..]) else { return None };
    let said = parts.tree.path()?;
    let is_same = |dot: LocalDot| dot.replica() == run.replica;
    let is_only = said.carried.is_none_or(|(dot, _)| is_same(dot))
        && said.cover.is_none_or(|(first, last)| {
            is_same(LocalDot::from_bits(first)) && is_same(LocalDot::from_bits(last))
        });
    is_only.then_some(run.replica)
}

/// Writes the columns of one event of one replica that says something of one place alone: a key pressed. They are what they would be
/// otherwise, in a fraction of the time. Says whether it is such a delta; if not, nothing is written.
pub(super) fn write_columns_of_one(rows: &Rows, parts: &Parts, out: &mut Vec<u8>) -> bool {
    let (&[run], [_]) = (&parts.events[..], &rows.used[..]) else { return false };
    let said = parts.tree.path().filter(|_| !parts.is_state && parts.deps.is_empty());
    let Some(said) = said else { return false };
    let is_event = |dot| run.first == run.last && dot == LocalDot::new(run.replica, run.first);
    let in_order = match said.carried {
        Some((dot, _)) if is_event(dot) => head::IN_ORDER,
        None if run.first == run.last && said.cover.is_some() => 0,
        _ => return false,
    };
    let tree = parts.tree.flat();
    let keys = || (1..tree.nodes() as u32).map(|node| tree.key(node));
    let mut shared = Shared::default();
    let mut previous: &[u8] = &[];
    for key in keys() {
        shared.add(previous.iter().zip(key).take_while(|(a, b)| a == b).count());
        previous = key;
    }
    let shares = shared.pays();
    let content = said.carried.map_or(&[][..], |(_, content)| content);
    out.reserve(12 + 3 * tree.nodes() + tree.key_bytes() + content.len());
    out.push(head::ONE | in_order | if shares { head::SHARED } else { 0 });
    number(out, run.first);
    keys().for_each(|_| number(out, 1 << 2 | shape::CHILDREN));
    match (said.carried, said.cover) {
        (Some(_), None) => number(out, (content.len() as u64) << 2 | shape::ITEM),
        (Some(_), Some(_)) => number(out, (content.len() as u64) << 2 | shape::ITEM_AND_COVER),
        _ => {
            number(out, shape::COVERS << 2 | shape::ANY);
            number(out, 1);
        }
    }
    if let Some((first, last)) = said.cover {
        let mut expected = Expected { row: 0, counter: run.first - 1 };
        expected.write(out, 0, LocalDot::from_bits(first).counter(), LocalDot::from_bits(last).counter());
    }
    let own = |at: usize| if shares { shared.lengths[at] as usize } else { 0 };
    for (at, key) in keys().enumerate() {
        if shares {
            number(out, own(at) as u64);
        }
        number(out, (key.len() - own(at)) as u64);
    }
    keys().enumerate().for_each(|(at, key)| out.extend_from_slice(&key[own(at)..]));
    out.extend_from_slice(content);
    true
}

/// Names every row that the message uses, some more than once.
fn each_row(parts: &Parts, mut each: impl FnMut(ReplicaIndex)) {
    parts.deps.iter().for_each(|(row, _)| each(*row));
    parts.events.iter().for_each(|run| each(run.replica));
    parts.tree.carried_runs().for_each(|(first, _)| each(LocalDot::from_bits(first).replica()));
    parts.tree.cover_runs().for_each(|(row, _, _)| each(row));
}

/// A column; that of a small change takes no allocation.
type Column = SmallVec<[u8; 16]>;

/// The columns of a tree, being written: node by node, in pre-order.
pub(super) struct Columns<'p> {
    shape: Column,
    dots: Column,
    /// The run of carried dots that is growing.
    run: Option<WireRun>,
    /// The runs of carried dots.
    runs: WireRuns,
    expected: Expected,
    covers: Column,
    expected_cover: Expected,
    lengths: Lengths,
    /// Of all nodes but the root.
    pub(super) keys: SmallVec<[&'p [u8]; 4]>,
    contents: Vec<u8>,
    /// Which of them are of nodes that are told by planes.
    in_planes: Vec<Range<usize>>,
    /// How long the others are that have bytes, one after the other.
    loose: SmallVec<[(u32, u32); 2]>,
    heads: Heads,
}

impl<'p> Columns<'p> {
    /// With room for so many bytes of contents.
    pub(super) fn new(events: &[WireRun], contents: usize) -> Self {
        let (row, first) = events.first().map_or((0, 1), |&(row, first, _)| (u64::from(row), first));
        Self {
            shape: Column::new(),
            dots: Column::new(),
            run: None,
            runs: SmallVec::new(),
            expected: Expected { row, counter: first },
            covers: Column::new(),
            expected_cover: Expected { row, counter: first.saturating_sub(1) },
            lengths: Lengths::default(),
            keys: SmallVec::new(),
            contents: Vec::with_capacity(contents),
            in_planes: Vec::new(),
            loose: SmallVec::new(),
            heads: Heads::default(),
        }
    }

    /// The next node: what it carries, in order of dot, what it covers, and how many children follow.
    pub(super) fn node(&mut self, carried: &[Span<&[u8]>], covers: &[WireRun], children: usize) {
        match (carried, covers.len(), children) {
            ([Span { count: 1, contents, .. }], covered @ 0..=1, 0) => {
                let kind = if covered == 0 { shape::ITEM } else { shape::ITEM_AND_COVER };
                number(&mut self.shape, (contents.len() as u64) << 2 | kind);
            }
            ([], 0, children) => number(&mut self.shape, (children as u64) << 2 | shape::CHILDREN),
            (carried, covered, children) => {
                let parts = [
                    (carried.iter().map(|span| span.count as usize).sum(), shape::CARRIES),
                    (covered, shape::COVERS),
                    (children, shape::HAS_CHILDREN),
                ];
                let there = || parts.iter().filter(|(count, _)| *count > 0);
                let which: u64 = there().map(|(_, which)| which).sum();
                number(&mut self.shape, which << 2 | shape::ANY);
                there().for_each(|(count, _)| number(&mut self.shape, *count as u64));
                carried.iter().for_each(|span| self.lengths.add(span.each() as u64, span.count));
            }
        }
        carried.iter().for_each(|span| self.dots(span));
        if planes::pays(carried.iter().map(|span| (span.each() as u64, span.count))) {
            let start = self.contents.len();
            let runs = carried.iter().map(|span| (span.each(), span.contents));
            planes::write(runs, Longer::Whole, &mut self.contents);
            self.in_planes.push(start..self.contents.len());
        } else {
            carried.iter().for_each(|span| self.loose(span.each(), span.count, span.contents));
        }
        for &(row, first, last) in covers {
            self.expected_cover.write(&mut self.covers, row.into(), first, last);
        }
    }

    /// The next node, if it carries one dot and there is no more to it.
    pub(super) fn item(&mut self, dot: LocalDot, content: &[u8]) {
        number(&mut self.shape, (content.len() as u64) << 2 | shape::ITEM);
        self.dots(&Span { first: dot, count: 1, contents: content });
        self.loose(content.len(), 1, content);
    }

    /// Contents of a node that is not told by planes.
    fn loose(&mut self, each: usize, count: u32, contents: &[u8]) {
        if each > 0 {
            self.loose.push((each as u32, count));
            self.heads.add(each, contents);
            self.contents.extend_from_slice(contents);
        }
    }

    /// Contents: with heads first those of all nodes that are not told by planes.
    fn contents(&self, by_head: bool, out: &mut Vec<u8>) {
        if !by_head {
            return out.extend_from_slice(&self.contents);
        }
        let mut planes = self.in_planes.iter().peekable();
        let mut at = 0;
        let runs = self.loose.iter().map(|&(each, count)| {
            let length = each as usize * count as usize;
            while let Some(skipped) = planes.next_if(|range| range.start == at) {
                at = skipped.end;
            }
            at += length;
            (each as usize, &self.contents[at - length..at])
        });
        planes::write(runs, Longer::ByHead, out);
        self.in_planes.iter().for_each(|range| out.extend_from_slice(&self.contents[range.clone()]));
    }

    fn dots(&mut self, span: &Span<&[u8]>) {
        let (row, first) = (span.first.replica(), span.first.counter());
        let end = first + u64::from(span.count) - 1;
        match &mut self.run {
            Some((of, _, last)) if *of == row && *last + 1 == first => *last = end,
            _ => {
                self.end_run();
                self.run = Some((row, first, end));
            }
        }
    }

    fn end_run(&mut self) {
        if let Some((row, first, last)) = self.run.take() {
            self.expected.write(&mut self.dots, row.into(), first, last);
            self.runs.push((row, first, last));
        }
    }

    /// The columns of a message with these events and dependencies, both in order.
    pub(super) fn finish(mut self, events: &[WireRun], deps: &[(ReplicaIndex, u64)]) -> Vec<u8> {
        self.end_run();
        let in_order = self.runs[..] == *events;
        let mut shared = Shared::default();
        let mut previous: &[u8] = &[];
        for key in &self.keys {
            shared.add(previous.iter().zip(*key).take_while(|(a, b)| a == b).count());
            previous = key;
        }
        let shared = Some(shared).filter(Shared::pays);
        let shares = |at: usize| shared.as_ref().map_or(0, |shared| shared.lengths[at] as usize);
        let one = matches!(events, [(0, first, last)] if first == last);
        let key_bytes: usize = self.keys.iter().map(|key| key.len() + 1).sum();
        let in_runs = self.lengths.pays();
        let by_head = self.heads.pay();
        let rest = self.shape.len() + self.dots.len() + self.covers.len() + 2 * self.lengths.runs().len();

        let mut out = Vec::with_capacity(16 + rest + key_bytes + self.contents.len());
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        out.push(
            flag(one, head::ONE)
                | flag(!deps.is_empty(), head::DEPS)
                | flag(in_order, head::IN_ORDER)
                | flag(shared.is_some(), head::SHARED)
                | flag(in_runs, head::RUNS)
                | flag(!self.in_planes.is_empty(), head::PLANES)
                | flag(by_head, head::HEADS),
        );
        if let (true, [(_, first, _)]) = (one, events) {
            number(&mut out, *first);
        } else {
            number(&mut out, events.len() as u64);
            for &(row, first, last) in events {
                number(&mut out, row.into());
                number(&mut out, first);
                number(&mut out, last - first);
            }
        }
        if !deps.is_empty() {
            number(&mut out, deps.len() as u64);
            for &(row, counter) in deps {
                number(&mut out, row.into());
                number(&mut out, counter);
            }
        }
        out.extend_from_slice(&self.shape);
        if !in_order {
            out.extend_from_slice(&self.dots);
        }
        out.extend_from_slice(&self.covers);
        for (at, key) in self.keys.iter().enumerate() {
            if shared.is_some() {
                number(&mut out, shares(at) as u64);
            }
            number(&mut out, (key.len() - shares(at)) as u64);
        }
        self.lengths.write(&mut out, in_runs);
        for (at, key) in self.keys.iter().enumerate() {
            out.extend_from_slice(&key[shares(at)..]);
        }
        self.contents(by_head, &mut out);
        out
    }
}

/// The lengths of contents, with how many are so long one after the other.
#[derive(Default)]
pub(super) struct Lengths(SmallVec<[(u64, u32); 2]>);

impl Lengths {
    /// So many contents of this length.
    pub(super) fn add(&mut self, length: u64, more: u32) {
        match self.0.last_mut() {
            // What has no bytes stands alone: a message holds no more dots than bytes.
            Some((same, count)) if *same == length && length > 0 => *count += more,
            _ => self.0.push((length, more)),
        }
    }

    /// The runs of equal ones.
    pub(super) fn runs(&self) -> &[(u64, u32)] {
        &self.0
    }

    /// Whether it pays to tell runs.
    pub(super) fn pays(&self) -> bool {
        let run = |&(length, count): &(u64, u32)| {
            number_len(length << 1) + if count > 1 { number_len(u64::from(count) - 2) } else { 0 }
        };
        let singly = |&(length, count): &(u64, u32)| number_len(length) * count as usize;
        self.0.iter().map(run).sum::<usize>() < self.0.iter().map(singly).sum()
    }

    fn write(&self, out: &mut Vec<u8>, in_runs: bool) {
        for &(length, count) in &self.0 {
            if !in_runs {
                (0..count).for_each(|_| number(out, length));
                continue;
            }
            number(out, length << 1 | u64::from(count > 1));
            if count > 1 {
                number(out, u64::from(count) - 2);
            }
        }
    }
}

/// How many bytes each key shares with the one before it.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) lengths: SmallVec<[u32; 4]>,
    sum: u64,
}

impl Shared {
    pub(super) fn add(&mut self, shared: usize) {
        self.lengths.push(shared as u32);
        self.sum += shared as u64;
    }

    /// Whether it pays to tell.
    pub(super) fn pays(&self) -> bool {
        self.sum > 2 * self.lengths.len() as u64
    }
}

#[cfg(test)]
mod tests;
