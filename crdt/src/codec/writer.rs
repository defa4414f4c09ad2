//! Writes deltas and states. `docs/encoding.md` says what the bytes mean.
//!
//! ```text
//! delta   = [ names, columns ]               MessagePack: a list of 16-byte strings, one byte string
//! state   = [ type, names, columns ]
//! columns = head events deps shape dots covers lengths keys contents
//! ```
//! Everything has one form: what is read and written again gives the same bytes. Names ascend; the children of a node of a
//! state, and what it carries, stand in the order of their first dots.

use rmp::encode::{write_array_len, write_bin, write_str};
use smallvec::SmallVec;

use super::packed::{Expected, number};
use crate::causal::{Dots, LocalDot, ReplicaIndex};
use crate::delta::{Node, Parts};

/// Writing into memory cannot fail.
const INTO_MEMORY: &str = "writing into memory cannot fail";

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

pub(super) fn write_delta(parts: &Parts) -> Vec<u8> {
    let mut out = Vec::new();
    array(&mut out, 2);
    write_parts(&mut out, parts);
    out
}

pub(super) fn write_state(type_name: &str, parts: &Parts) -> Vec<u8> {
    let mut out = Vec::new();
    array(&mut out, 3);
    write_str(&mut out, type_name).expect(INTO_MEMORY);
    write_parts(&mut out, parts);
    out
}

fn write_parts(out: &mut Vec<u8>, parts: &Parts) {
    let rows = Rows::of(parts);
    array(out, rows.used.len());
    for &row in &rows.used {
        write_bin(out, parts.table.id(row).as_bytes()).expect(INTO_MEMORY);
    }
    let columns = columns(&rows, parts);
    write_bin(out, &columns).expect(INTO_MEMORY);
}

fn array(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("a message has fewer than 2^32 items");
    write_array_len(out, len).expect(INTO_MEMORY);
}

/// The rows a message uses, in order of replica id.
struct Rows {
    used: Vec<ReplicaIndex>,
    wire: Vec<u32>,
}

impl Rows {
    fn of(parts: &Parts) -> Self {
        let mut is_used = vec![false; parts.table.len()];
        parts.deps.iter().for_each(|(row, _)| is_used[*row as usize] = true);
        parts.events.iter().for_each(|run| is_used[run.replica as usize] = true);
        parts.tree.each_carried(|dot| is_used[dot.replica() as usize] = true);
        if !parts.is_state {
            parts.tree.cover_runs().for_each(|(row, _, _)| is_used[row as usize] = true);
        }
        let mut used: Vec<ReplicaIndex> =
            (0..parts.table.len() as ReplicaIndex).filter(|&row| is_used[row as usize]).collect();
        used.sort_unstable_by_key(|&row| parts.table.id(row));
        let mut wire = vec![u32::MAX; parts.table.len()];
        for (at, &row) in used.iter().enumerate() {
            wire[row as usize] = at as u32;
        }
        Self { used, wire }
    }

    fn wire(&self, row: ReplicaIndex) -> ReplicaIndex {
        self.wire[row as usize]
    }

    fn dot(&self, dot: LocalDot) -> LocalDot {
        LocalDot::new(self.wire(dot.replica()), dot.counter())
    }

    /// Runs as they are called in the message, in its order.
    fn runs(&self, dots: Dots<'_>) -> SmallVec<[(ReplicaIndex, u64, u64); 2]> {
        let mut runs: SmallVec<_> =
            dots.runs().map(|(row, first, last)| (self.wire(row), first, last)).collect();
        runs.sort_unstable();
        runs
    }
}

fn columns(rows: &Rows, parts: &Parts) -> Vec<u8> {
    let events = rows.runs(parts.event_context().as_dots());
    let mut deps: SmallVec<[_; 4]> =
        parts.deps.iter().map(|&(row, counter)| (rows.wire(row), counter)).collect();
    deps.sort_unstable();
    let (row, first) = events.first().map_or((0, 1), |&(row, first, _)| (u64::from(row), first));
    let mut tree = Tree {
        rows,
        first: if parts.is_state { first_dots(rows, parts) } else { Vec::new() },
        shape: Vec::new(),
        dots: Vec::new(),
        run: None,
        runs: SmallVec::new(),
        expected: Expected { row, counter: first },
        covers: Vec::new(),
        expected_cover: Expected { row, counter: first.saturating_sub(1) },
        content_lengths: Vec::new(),
        keys: Vec::new(),
        contents: Vec::with_capacity(parts.tree.content_bytes()),
    };
    // A state covers its whole version: it goes without saying.
    let root = parts.tree.root();
    tree.node(root, if parts.is_state { Dots::new(&[]) } else { root.cover() });
    tree.end_run();
    let in_order = tree.runs == events;
    let mut shared = Shared::default();
    tree.keys.iter().for_each(|key| shared.add(key));
    let shares = shared.pays();
    let shared = |at: usize| if shares { shared.lengths[at] as usize } else { 0 };
    let one = matches!(events[..], [(0, first, last)] if first == last);

    let mut out = Vec::new();
    let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    out.push(
        flag(one, head::ONE)
            | flag(!deps.is_empty(), head::DEPS)
            | flag(in_order, head::IN_ORDER)
            | flag(shares, head::SHARED),
    );
    if one {
        number(&mut out, first);
    } else {
        number(&mut out, events.len() as u64);
        for (row, first, last) in events {
            number(&mut out, row.into());
            number(&mut out, first);
            number(&mut out, last - first);
        }
    }
    if !deps.is_empty() {
        number(&mut out, deps.len() as u64);
        for (row, counter) in deps {
            number(&mut out, row.into());
            number(&mut out, counter);
        }
    }
    out.extend(tree.shape);
    if !in_order {
        out.extend(tree.dots);
    }
    out.extend(tree.covers);
    for (at, key) in tree.keys.iter().enumerate() {
        if shares {
            number(&mut out, shared(at) as u64);
        }
        number(&mut out, (key.len() - shared(at)) as u64);
    }
    out.extend(tree.content_lengths);
    for (at, key) in tree.keys.iter().enumerate() {
        out.extend_from_slice(&key[shared(at)..]);
    }
    out.extend(tree.contents);
    out
}

/// How many bytes each key shares with the one before it.
#[derive(Default)]
pub(super) struct Shared<'k> {
    last: &'k [u8],
    lengths: Vec<u32>,
    sum: u64,
}

impl<'k> Shared<'k> {
    /// What the keys of a tree share.
    pub(super) fn of(root: Node<'k>) -> Self {
        let mut shared = Self::default();
        shared.add_below(root);
        shared
    }

    fn add_below(&mut self, node: Node<'k>) {
        for (key, child) in node.children() {
            self.add(key);
            self.add_below(child);
        }
    }

    fn add(&mut self, key: &'k [u8]) {
        let shared = self.last.iter().zip(key).take_while(|(a, b)| a == b).count();
        self.lengths.push(shared as u32);
        self.sum += shared as u64;
        self.last = key;
    }

    /// Whether it pays to tell.
    pub(super) fn pays(&self) -> bool {
        self.sum > 2 * self.lengths.len() as u64
    }

    /// Whether they are as told.
    pub(super) fn are(&self, told: &[(u32, u32)]) -> bool {
        self.lengths.iter().eq(told.iter().map(|(shared, _)| shared))
    }
}

/// Of each node of a state, the first dot at and below it.
fn first_dots(rows: &Rows, parts: &Parts) -> Vec<LocalDot> {
    parts.tree.first_dots(|dot| rows.dot(dot))
}

/// The columns of a tree, being written.
struct Tree<'p> {
    rows: &'p Rows,
    /// By node; empty if the children stand in their order already.
    first: Vec<LocalDot>,
    shape: Vec<u8>,
    dots: Vec<u8>,
    /// The run of carried dots that is growing.
    run: Option<(ReplicaIndex, u64, u64)>,
    /// The runs of carried dots.
    runs: SmallVec<[(ReplicaIndex, u64, u64); 2]>,
    expected: Expected,
    covers: Vec<u8>,
    expected_cover: Expected,
    content_lengths: Vec<u8>,
    keys: Vec<&'p [u8]>,
    contents: Vec<u8>,
}

impl<'p> Tree<'p> {
    fn node(&mut self, node: Node<'p>, cover: Dots<'_>) {
        let mut carried: SmallVec<[(LocalDot, &[u8]); 2]> =
            node.carried().map(|(dot, content)| (self.rows.dot(dot), content)).collect();
        carried.sort_unstable_by_key(|(dot, _)| *dot);
        let runs = self.rows.runs(cover);
        let mut children: SmallVec<[(&[u8], Node<'p>); 2]> = node.children().collect();
        if !self.first.is_empty() {
            children.sort_unstable_by_key(|(_, child)| self.first[child.index()]);
        }
        match (&carried[..], runs.len(), children.len()) {
            ([(_, content)], covered @ 0..=1, 0) => {
                let kind = if covered == 0 { shape::ITEM } else { shape::ITEM_AND_COVER };
                number(&mut self.shape, (content.len() as u64) << 2 | kind);
            }
            ([], 0, children) => number(&mut self.shape, (children as u64) << 2 | shape::CHILDREN),
            (carried, covered, children) => {
                let parts = [
                    (carried.len(), shape::CARRIES),
                    (covered, shape::COVERS),
                    (children, shape::HAS_CHILDREN),
                ];
                let there = || parts.iter().filter(|(count, _)| *count > 0);
                let which: u64 = there().map(|(_, which)| which).sum();
                number(&mut self.shape, which << 2 | shape::ANY);
                there().for_each(|(count, _)| number(&mut self.shape, *count as u64));
                carried
                    .iter()
                    .for_each(|(_, content)| number(&mut self.content_lengths, content.len() as u64));
            }
        }
        for (dot, content) in carried {
            self.dot(dot);
            self.contents.extend_from_slice(content);
        }
        for (row, first, last) in runs {
            self.expected_cover.write(&mut self.covers, row.into(), first, last);
        }
        for (key, child) in children {
            self.keys.push(key);
            self.node(child, child.cover());
        }
    }

    fn dot(&mut self, dot: LocalDot) {
        let (row, counter) = (dot.replica(), dot.counter());
        match &mut self.run {
            Some((of, _, last)) if *of == row && *last + 1 == counter => *last = counter,
            _ => {
                self.end_run();
                self.run = Some((row, counter, counter));
            }
        }
    }

    fn end_run(&mut self) {
        if let Some((row, first, last)) = self.run.take() {
            self.expected.write(&mut self.dots, row.into(), first, last);
            self.runs.push((row, first, last));
        }
    }
}
