//! Which of two large sets' elements differ, told in bytes that follow the difference: rateless IBLT (Yang, Gilad, Alizadeh 2024).
//!
//! One side makes an endless row of cells from its elements, the other makes the same from its own and takes the difference. An
//! element is in every cell with a probability that falls with the cell's number, so a prefix of the row of about 1.4 times as many
//! cells as there are differences gives all of them away, however large the sets are; nobody needs to know the number before.
//!
//! A cell has no count: which side an element is of is looked up. Hashes are keyed, so that nobody can choose elements that hide
//! each other.

use std::collections::BTreeSet;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::bits::{BitReader, BitWriter};

/// How many bits of an element's hash a cell is checked by. A set that is not the difference must fool a cell, and with all it
/// finds the first cell as well, of which all elements are.
const CHECK_BITS: u32 = 32;
const CHECK: u64 = (1 << CHECK_BITS) - 1;

/// Drawn for one reconciliation.
pub(crate) type Key = [u64; 2];

/// The elements that a cell stands for, all in one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    sum: u64,
    check: u64,
}

impl Cell {
    fn toggle(&mut self, other: Self) {
        self.sum ^= other.sum;
        self.check ^= other.check;
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// An element, and the next cell it is in.
#[derive(Debug, Clone, Copy)]
struct Mapped {
    cell: Cell,
    next: u64,
    state: u64,
}

impl Mapped {
    fn new(element: u64, key: Key) -> Self {
        let mut hasher = SipHasher13::new_with_keys(key[0], key[1]);
        hasher.write_u64(element);
        let state = hasher.finish();
        Self { cell: Cell { sum: element, check: state & CHECK }, next: 0, state }
    }

    /// Is in that cell; says where next.
    fn advance(&mut self) {
        self.state = self.state.wrapping_mul(0xda94_2042_e4dd_58b5);
        // Sums, quotients and roots are the same on every machine. What is larger than any row is never reached.
        let draw = (self.state as f64 + 1.0).sqrt();
        let step = ((self.next as f64 + 1.5) * (4_294_967_296.0 / draw - 1.0)).ceil();
        self.next = self.next.saturating_add((step as u64).max(1));
    }

    /// Is put into, or taken out of, all of these cells that it is in and has not passed.
    fn toggle_in(&mut self, cells: &mut [Cell], mut each: impl FnMut(usize)) {
        while let Some(cell) = cells.get_mut(self.next as usize) {
            cell.toggle(self.cell);
            each(self.next as usize);
            self.advance();
        }
    }
}

/// The first cells of a set's row. Costs a hash of every element.
pub(crate) fn cells(elements: impl IntoIterator<Item = u64>, key: Key, count: usize) -> Vec<Cell> {
    let mut cells = vec![Cell::default(); count];
    elements.into_iter().for_each(|element| Mapped::new(element, key).toggle_in(&mut cells, |_| {}));
    cells
}

/// What comes out of a row of cells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Differences {
    /// All of them, ascending: what only we have, and what only they have.
    Found { ours: Vec<u64>, theirs: Vec<u64> },
    /// More cells are needed.
    More,
    /// These are no cells of a set.
    Nonsense,
}

/// What our elements, ascending, of `bits` bits each, differ in from those of which another made these cells. Costs a hash of every
/// element, and as much as the cells say.
pub(crate) fn differences(ours: &[u64], mut theirs: Vec<Cell>, key: Key, bits: u32) -> Differences {
    let cells = &mut theirs;
    ours.iter().for_each(|&element| Mapped::new(element, key).toggle_in(cells, |_| {}));
    let mut found = BTreeSet::new();
    let mut changed: Vec<usize> = (0..cells.len()).collect();
    while let Some(at) = changed.pop() {
        let cell = cells[at];
        if cell.is_empty() || cell.sum.checked_shr(bits).is_some_and(|rest| rest > 0) {
            continue;
        }
        let mut alone = Mapped::new(cell.sum, key);
        if alone.cell != cell {
            continue;
        }
        // Each is found once, and there are no more than cells.
        if found.len() >= cells.len() || !found.insert(cell.sum) {
            return Differences::Nonsense;
        }
        alone.toggle_in(cells, |at| changed.push(at));
    }
    // Every element is in the first cell.
    if cells.first().is_none_or(|first| !first.is_empty()) {
        return Differences::More;
    }
    let (ours, theirs) = found.into_iter().partition(|element| ours.binary_search(element).is_ok());
    Differences::Found { ours, theirs }
}

/// How many bytes so many cells take.
pub(crate) fn bytes_of(cells: usize, bits: u32) -> usize {
    cells.saturating_mul((bits + CHECK_BITS) as usize).div_ceil(8)
}

/// Writes cells, each in as many bits as it takes.
pub(crate) fn write(cells: &[Cell], bits: u32) -> Vec<u8> {
    let mut out = BitWriter::default();
    for cell in cells {
        out.put(cell.sum, bits);
        out.put(cell.check, CHECK_BITS);
    }
    out.finish()
}

/// Reads what [`write`] wrote; `None` if it cannot have.
pub(crate) fn read(bytes: &[u8], bits: u32) -> Option<Vec<Cell>> {
    let cells = bytes.len() * 8 / (bits + CHECK_BITS) as usize;
    let mut reader = BitReader::new(bytes);
    let cell = |_| Some(Cell { sum: reader.take(bits)?, check: reader.take(CHECK_BITS)? });
    let cells = (0..cells).map(cell).collect::<Option<Vec<Cell>>>()?;
    reader.is_done().then_some(cells)
}

/// How many counters an estimate has: it is right to within a ninth, one time in three beyond.
pub(crate) const COUNTERS: usize = 160;

/// What the number of differences between two sets is estimated from: each element adds one to a counter, or takes one from it
/// (Thorup, Zhang 2012). Counters may overflow: it is their differences that matter.
pub(crate) fn counters(elements: impl IntoIterator<Item = u64>, key: Key) -> Vec<u8> {
    let mut counters = vec![0_u8; COUNTERS];
    for element in elements {
        let mut hasher = SipHasher13::new_with_keys(key[0], !key[1]);
        hasher.write_u64(element);
        let hash = hasher.finish();
        let at = ((u128::from(hash) * COUNTERS as u128) >> u64::BITS) as usize;
        counters[at] = counters[at].wrapping_add(if hash & 1 == 0 { 1 } else { u8::MAX });
    }
    counters
}

/// About how many elements two sets differ in, of which these are the counters.
pub(crate) fn estimate(ours: &[u8], theirs: &[u8]) -> usize {
    let difference = |(ours, theirs): (&u8, &u8)| i64::from(ours.wrapping_sub(*theirs).cast_signed());
    ours.iter().zip(theirs).map(difference).map(|difference| (difference * difference) as usize).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::seq::SliceRandom as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const KEY: Key = [3, 5];

    /// Sends more and more cells until all is found. Yields that, and how many it took.
    fn reconcile(ours: &[u64], theirs: &[u64], key: Key, bits: u32) -> (Vec<u64>, Vec<u64>, usize) {
        let mut count = 1;
        loop {
            let cells = read(&write(&cells(theirs.iter().copied(), key, count), bits), bits).unwrap();
            match differences(ours, cells, key, bits) {
                Differences::Found { ours, theirs } => return (ours, theirs, count),
                Differences::More => count += (count / 16).max(1),
                Differences::Nonsense => panic!("they are cells of a set"),
            }
        }
    }

    fn sets(rng: &mut ChaCha8Rng, both: usize, ours: usize, theirs: usize, bits: u32) -> [Vec<u64>; 2] {
        let mut all = std::collections::BTreeSet::new();
        while all.len() < both + ours + theirs {
            all.insert(rng.random_range(0..1_u64 << (bits - 1) << 1));
        }
        let mut all: Vec<u64> = all.into_iter().collect();
        all.shuffle(rng);
        let mut one = all[..both + ours].to_vec();
        let mut other = [&all[..both], &all[both + ours..]].concat();
        one.sort_unstable();
        other.sort_unstable();
        [one, other]
    }

    proptest! {
        #[test]
        fn all_differences_are_found_and_no_others(
            seed in any::<u64>(),
            both in 0..200_usize,
            ours in 0..40_usize,
            theirs in 0..40_usize,
            key in any::<Key>(),
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let [one, other] = sets(&mut rng, both, ours, theirs, 20);
            let (only_one, only_other, _) = reconcile(&one, &other, key, 20);
            let of = |set: &[u64], not: &[u64]| -> Vec<u64> {
                set.iter().filter(|element| not.binary_search(element).is_err()).copied().collect()
            };
            prop_assert_eq!((only_one, only_other), (of(&one, &other), of(&other, &one)));
        }

        #[test]
        fn any_bytes_end_and_are_read_one_way(bytes in prop::collection::vec(any::<u8>(), 0..400), bits in 1..=64_u32) {
            if let Some(cells) = read(&bytes, bits) {
                prop_assert_eq!(write(&cells, bits), bytes);
                let _ = differences(&[1, 2, 3], cells, KEY, bits);
            }
        }
    }

    #[test]
    fn cells_follow_the_differences_and_not_the_sets() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (both, each, most) in [
            (100_000, 0, 1.0),
            (100_000, 5, 3.0),
            (100_000, 50, 1.7),
            (100_000, 500, 1.5),
            (3_000, 5_000, 1.45),
        ] {
            let [one, other] = sets(&mut rng, both, each, each, 20);
            let (ours, theirs, cells) = reconcile(&one, &other, KEY, 20);
            assert_eq!((ours.len(), theirs.len()), (each, each));
            let differences = (2 * each).max(1);
            let ratio = cells as f64 / differences as f64;
            assert!(ratio <= most, "{cells} cells for {differences} differences among {both}: {ratio}");
        }
    }

    #[test]
    fn the_number_of_differences_is_known_about() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for each in [0, 10, 100, 1_000, 30_000] {
            let (mut sum, rounds) = (0, 20);
            for round in 0..rounds {
                let [one, other] = sets(&mut rng, 20_000, each, each, 20);
                let key = [round, 7];
                let estimate = estimate(&counters(one, key), &counters(other, key));
                assert!(estimate >= each && estimate <= 3 * each, "{estimate} for {}", 2 * each);
                sum += estimate;
            }
            let mean = sum as f64 / (2 * each * rounds as usize).max(1) as f64;
            assert!(each == 0 || (0.93..1.07).contains(&mean), "{mean} times {}", 2 * each);
        }
    }
}
