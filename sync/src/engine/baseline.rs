//! What it takes to tell in which elements two sets differ, each way alone and nothing around it: what is sent is held against it. For
//! tests. No part of the public interface.

use super::runs;
use super::sketch::{self, Differences, Key};

/// With how many keys a sketch is tried: how many cells it takes depends on them.
const KEYS: u64 = 15;

/// Bytes of these numbers, which ascend, as runs: the bitmap of what is alive, with its gaps coded.
#[must_use]
pub fn bitmap(live: &[u64]) -> usize {
    runs::write(&runs::ranges(live.iter().copied())).len()
}

/// Bytes of the cells of a sketch, so few that one less would not tell in what two sets of numbers below `events` differ, with the
/// middle one of many keys.
#[must_use]
pub fn sketch(differ: &[u64], events: u64) -> usize {
    let bits = u64::BITS - events.saturating_sub(1).leading_zeros();
    let tells = |key: Key, count: usize| {
        // What both have is in no cell.
        let cells = sketch::cells(differ.iter().copied(), key, count);
        matches!(sketch::differences(&[], cells, key, bits), Differences::Found { .. })
    };
    let least = |key: Key| {
        // Whatever a row tells, a longer one does.
        let (mut short, mut long) = (0, 1);
        while !tells(key, long) {
            (short, long) = (long, long * 2);
        }
        while long - short > 1 {
            let middle = short.midpoint(long);
            if tells(key, middle) { long = middle } else { short = middle }
        }
        long
    };
    let mut counts: Vec<usize> = (0..KEYS).map(|key| least([key, !key])).collect();
    counts.sort_unstable();
    sketch::bytes_of(counts[counts.len() / 2], bits)
}
