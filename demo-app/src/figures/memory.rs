//! Types in memory: increments, adds, bytes an element.

use std::hint::black_box;
use std::time::Instant;

use tombolo_crdt::{AddWinsSet, PnCounter, Replica, ReplicaId};

use super::Figure;

const INCREMENTS: usize = 1_000_000;
const ELEMENTS: usize = 100_000;

fn replica<T: tombolo_crdt::Crdt>() -> Replica<T> {
    Replica::new(ReplicaId::from_bytes([1; 16]))
}

/// Distinct strings of 16 bytes, in no order.
fn elements() -> Vec<String> {
    (0..ELEMENTS as u64).map(|n| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

/// What this process has in memory, in bytes.
pub(super) fn resident() -> Option<usize> {
    memory_stats::memory_stats().map(|stats| stats.physical_mem)
}

pub(super) fn measure() -> Vec<Figure> {
    let mut figures = Vec::new();

    let mut counter = replica::<PnCounter>();
    let start = Instant::now();
    let _ = counter.update(|counter| {
        for _ in 0..INCREMENTS {
            counter.inc(black_box(1));
        }
    });
    figures.push(Figure::rate("counter increments, one transaction for all", INCREMENTS, start.elapsed()));

    let mut counter = replica::<PnCounter>();
    let start = Instant::now();
    for _ in 0..INCREMENTS {
        _ = black_box(counter.update(|counter| counter.inc(black_box(1))));
    }
    figures.push(Figure::rate(
        "counter increments, one transaction each, with its delta",
        INCREMENTS,
        start.elapsed(),
    ));

    let words = elements();
    let mut set = replica::<AddWinsSet<String>>();
    set.set_history_bytes(0);
    let before = resident();
    let start = Instant::now();
    let delta = set.update(|set| set.extend(words.iter().map(String::as_str))).1;
    figures.push(Figure::rate(
        "add-wins set adds of 16-byte strings, one transaction",
        ELEMENTS,
        start.elapsed(),
    ));
    drop(delta);
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = after.saturating_sub(before) as f64 / ELEMENTS as f64;
        figures.push(Figure::new("add-wins set, resident memory an element after that", each, "bytes"));
    }
    let encoded = set.encode().len() as f64 / ELEMENTS as f64;
    figures.push(Figure::new("add-wins set, encoded an element", encoded, "bytes"));

    let mut set = replica::<AddWinsSet<String>>();
    let start = Instant::now();
    for word in &words {
        _ = black_box(set.update(|set| set.add(word.as_str())));
    }
    figures.push(Figure::rate(
        "add-wins set adds, one transaction each, with its delta",
        ELEMENTS,
        start.elapsed(),
    ));
    figures
}
