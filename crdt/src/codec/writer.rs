//! Writes deltas and states in canonical order: replicas by id, dots by replica and counter, children by key.
//!
//! ```text
//! parts = replicas deps events tree
//! replicas = [ bin16, … ]            ascending
//! deps     = [ row, counter, … ]     ascending by row
//! events   = [ row, first, count, … ]
//! tree     = [ cover, carried, children ]
//! cover    = [ row, first, count, … ]
//! carried  = [ row, counter, bin, … ]
//! children = [ bin, tree, … ]        ascending by key
//! ```

use rmp::encode::{write_array_len, write_bin, write_str, write_uint};

use smallvec::SmallVec;

use crate::causal::{Dots, LocalDot, ReplicaIndex};
use crate::delta::{Node, Parts};

/// Writing into memory cannot fail.
const INTO_MEMORY: &str = "writing into memory cannot fail";

pub(super) fn write_parts(parts: &Parts) -> Vec<u8> {
    let mut out = Vec::new();
    write_parts_to(&mut out, parts);
    out
}

pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_str(out, text).expect(INTO_MEMORY);
}

pub(super) fn write_parts_to(out: &mut Vec<u8>, parts: &Parts) {
    let rows = Rows::of(parts);
    array(out, rows.used.len());
    for &row in &rows.used {
        write_bin(out, parts.table.id(row).as_bytes()).expect(INTO_MEMORY);
    }
    let mut deps: Vec<_> = parts.deps.iter().map(|&(row, counter)| (rows.wire(row), counter)).collect();
    deps.sort_unstable();
    array(out, deps.len() * 2);
    for (row, counter) in deps {
        number(out, row);
        number(out, counter);
    }
    rows.write_runs(out, parts.event_context().as_dots());
    // A state covers its whole version: it goes without saying.
    let root = parts.tree.root();
    rows.write_node(out, if parts.is_state { Dots::new(&[]) } else { root.cover() }, root);
}

fn array(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("a message has fewer than 2^32 items");
    write_array_len(out, len).expect(INTO_MEMORY);
}

fn number(out: &mut Vec<u8>, number: u64) {
    write_uint(out, number).expect(INTO_MEMORY);
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

    fn wire(&self, row: ReplicaIndex) -> u64 {
        u64::from(self.wire[row as usize])
    }

    fn write_runs(&self, out: &mut Vec<u8>, dots: Dots<'_>) {
        let mut runs: Vec<_> = dots.runs().map(|(row, first, last)| (self.wire(row), first, last)).collect();
        runs.sort_unstable();
        array(out, runs.len() * 3);
        for (row, first, last) in runs {
            number(out, row);
            number(out, first);
            number(out, last - first + 1);
        }
    }

    fn write_node(&self, out: &mut Vec<u8>, cover: Dots<'_>, node: Node<'_>) {
        array(out, 3);
        self.write_runs(out, cover);
        let place = |dot: LocalDot| (self.wire(dot.replica()), dot.counter());
        let mut carried: SmallVec<[_; 2]> = node.carried().collect();
        carried.sort_unstable_by_key(|(dot, _)| place(*dot));
        array(out, carried.len() * 3);
        for (dot, content) in carried {
            let (row, counter) = place(dot);
            number(out, row);
            number(out, counter);
            write_bin(out, content).expect(INTO_MEMORY);
        }
        let mut children: SmallVec<[_; 2]> = node.children().collect();
        if !children.is_sorted_by_key(|(key, _)| *key) {
            children.sort_unstable_by_key(|(key, _)| *key);
        }
        array(out, children.len() * 2);
        for (key, child) in children {
            write_bin(out, key).expect(INTO_MEMORY);
            self.write_node(out, child.cover(), child);
        }
    }
}
