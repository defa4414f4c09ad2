//! Which of two large sets' elements differ, told in bytes that follow the difference: rateless IBLT (Yang, Gilad, Alizadeh 2024).
//!
//! One side makes an endless row of cells from its elements, the other makes the same from its own and takes the difference. An
//! element is in every cell with a probability that falls with the cell's number, so a prefix of the row of about 1.4 times as many
//! cells as there are differences gives all of them away, however large the sets are; nobody needs to know the number before.
//!
//! A cell has no count: which side an element is of is looked up. Hashes are keyed, so that nobody can choose elements that hide
//! each other.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

/// How many bits of an element's hash a cell is checked by.
const CHECK_BITS: u32 = 40;
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

/// The row of cells of a set.
#[derive(Debug)]
pub(crate) struct Sketch {
    elements: Vec<Mapped>,
    made: usize,
}

impl Sketch {
    pub(crate) fn new(elements: impl IntoIterator<Item = u64>, key: Key) -> Self {
        Self { elements: elements.into_iter().map(|element| Mapped::new(element, key)).collect(), made: 0 }
    }

    /// The next cells. Costs a look at every element, so many at a time are cheaper.
    pub(crate) fn cells(&mut self, count: usize) -> Vec<Cell> {
        let mut cells = vec![Cell::default(); count];
        let (from, to) = (self.made as u64, (self.made + count) as u64);
        for element in &mut self.elements {
            while element.next < to {
                cells[(element.next - from) as usize].toggle(element.cell);
                element.advance();
            }
        }
        self.made += count;
        cells
    }
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

/// One side of a reconciliation: our elements, and the other side's cells as far as they have come.
#[derive(Debug)]
pub(crate) struct Reconciliation {
    key: Key,
    bits: u32,
    sketch: Sketch,
    /// What is left of the difference.
    cells: Vec<Cell>,
    found: BTreeMap<u64, Mapped>,
}

impl Reconciliation {
    /// Elements have `bits` bits.
    pub(crate) fn new(elements: impl IntoIterator<Item = u64>, key: Key, bits: u32) -> Self {
        let sketch = Sketch::new(elements, key);
        Self { key, bits, sketch, cells: Vec::new(), found: BTreeMap::new() }
    }

    /// Takes in the next cells of the other side. Costs as much as they say.
    pub(crate) fn take(&mut self, theirs: &[Cell]) -> Differences {
        let start = self.cells.len();
        let mut new = self.sketch.cells(theirs.len());
        new.iter_mut().zip(theirs).for_each(|(ours, theirs)| ours.toggle(*theirs));
        self.cells.extend(new);
        // What is found already is in the new cells as well.
        for found in self.found.values_mut() {
            found.toggle_in(&mut self.cells, |_| {});
        }
        let mut changed: Vec<usize> = (start..self.cells.len()).collect();
        while let Some(at) = changed.pop() {
            let cell = self.cells[at];
            if cell.is_empty() || cell.sum.checked_shr(self.bits).is_some_and(|rest| rest > 0) {
                continue;
            }
            let mut alone = Mapped::new(cell.sum, self.key);
            if alone.cell != cell {
                continue;
            }
            // Each is found once, and there are no more than cells.
            if self.found.len() >= self.cells.len() || self.found.contains_key(&cell.sum) {
                return Differences::Nonsense;
            }
            alone.toggle_in(&mut self.cells, |at| changed.push(at));
            self.found.insert(cell.sum, alone);
        }
        // Every element is in the first cell.
        if self.cells.first().is_none_or(|first| !first.is_empty()) {
            return Differences::More;
        }
        let is_ours = |element: &u64| {
            self.sketch.elements.binary_search_by_key(element, |mapped| mapped.cell.sum).is_ok()
        };
        let (ours, theirs) = self.found.keys().partition(|element| is_ours(element));
        Differences::Found { ours, theirs }
    }
}

/// Writes cells, each in as many bits as it takes.
pub(crate) fn write(cells: &[Cell], bits: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity((cells.len() * (bits + CHECK_BITS) as usize).div_ceil(8));
    let (mut held, mut count) = (0_u128, 0);
    for cell in cells {
        for (part, bits) in [(cell.sum, bits), (cell.check, CHECK_BITS)] {
            held |= u128::from(part) << count;
            count += bits;
            while count >= 8 {
                out.push(held as u8);
                held >>= 8;
                count -= 8;
            }
        }
    }
    if count > 0 {
        out.push(held as u8);
    }
    out
}

/// Reads what [`write`] wrote; `None` if it cannot have.
pub(crate) fn read(bytes: &[u8], bits: u32) -> Option<Vec<Cell>> {
    let each = (bits + CHECK_BITS) as usize;
    let cells = bytes.len() * 8 / each;
    let (mut next, mut held, mut count) = (bytes.iter(), 0_u128, 0);
    let mut part = |bits: u32| -> Option<u64> {
        while count < bits {
            held |= u128::from(*next.next()?) << count;
            count += 8;
        }
        let part = (held & ((1 << bits) - 1)) as u64;
        held >>= bits;
        count -= bits;
        Some(part)
    };
    let read: Option<Vec<Cell>> =
        (0..cells).map(|_| Some(Cell { sum: part(bits)?, check: part(CHECK_BITS)? })).collect();
    read.filter(|cells| write(cells, bits) == bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::seq::SliceRandom as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const KEY: Key = [3, 5];

    /// Sends cells in slices until all is found. Yields that, and how many it took.
    fn reconcile(ours: &[u64], theirs: &[u64], key: Key, bits: u32) -> (Vec<u64>, Vec<u64>, usize) {
        let mut sketch = Sketch::new(theirs.iter().copied(), key);
        let mut reconciliation = Reconciliation::new(ours.iter().copied(), key, bits);
        loop {
            let cells = sketch.cells((reconciliation.cells.len() / 16).max(1));
            let cells = read(&write(&cells, bits), bits).unwrap();
            match reconciliation.take(&cells) {
                Differences::Found { ours, theirs } => return (ours, theirs, reconciliation.cells.len()),
                Differences::More => {}
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
                let mut reconciliation = Reconciliation::new([1, 2, 3], KEY, bits);
                for cells in cells.chunks(7) {
                    if reconciliation.take(cells) == Differences::Nonsense {
                        break;
                    }
                }
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
}
