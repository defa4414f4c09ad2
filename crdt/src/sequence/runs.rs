//! What is known of each replica's elements: its runs, and where their pieces are.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::tree::{NONE, Place};
use crate::causal::{LocalDot, ReplicaId, ReplicaIndex};

/// The element before all others, which nobody wrote: what the first elements of a document stand behind.
pub(crate) const START: LocalDot = LocalDot::from_bits(0);
/// The element behind all others.
pub(super) const END: LocalDot = LocalDot::from_bits(u64::MAX);

/// On which side of its parent an element hangs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Side {
    /// Before the parent.
    Left,
    /// Behind it.
    Right,
}

/// Where the first element of a run hangs. Each of the others hangs behind the one before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Origin {
    pub(crate) parent: LocalDot,
    pub(crate) side: Side,
}

/// The origin of what was written without one, or whose origin has been forgotten.
pub(super) const AT_START: Origin = Origin { parent: START, side: Side::Right };

/// More runs than this do not all lie near in memory.
const MANY: usize = if cfg!(test) { 8 } else { 128 };
/// So far on both sides of where a run would be it is looked for first.
const NEAR: usize = 4;
/// How often it is guessed where that is, before what is left is halved.
const GUESSES: usize = 2;

/// Elements of one replica of which each follows on the one before: those behind the dot of the head, up to the next head. 32 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// The counter of the dot that says where it begins; 0 for what stands before all heads.
    pub(super) head: u64,
    parent: LocalDot,
    /// Of the elements that the first one lies between the nearest above it, as far as that is not the parent: on the left the
    /// nearest in whose right part it lies, on the right the nearest in whose left part.
    pub(super) other: LocalDot,
    /// In which leaf the first element stands, and those behind it as far as nothing else is said of them; [`NONE`] if it has no place.
    leaf: u32,
    side: Side,
    /// Of elements behind the first it may be said in which leaf they stand.
    is_cut: bool,
    /// The origin hangs on itself, which nobody can have meant: the run stands at the start.
    pub(super) is_loose: bool,
    /// Nobody who knows it hangs anything on it.
    pub(super) is_frozen: bool,
}

impl Run {
    pub(super) fn new(head: u64, Origin { parent, side }: Origin) -> Self {
        Self { head, parent, other: END, leaf: NONE, side, is_cut: false, is_loose: false, is_frozen: false }
    }

    /// Where it was said to hang.
    #[inline]
    pub(super) fn origin(&self) -> Origin {
        Origin { parent: self.parent, side: self.side }
    }

    /// Where it hangs.
    #[inline]
    pub(super) fn at(&self) -> Origin {
        if self.is_loose { AT_START } else { self.origin() }
    }

    #[inline]
    pub(super) fn left(&self) -> LocalDot {
        let at = self.at();
        if at.side == Side::Right { at.parent } else { self.other }
    }

    #[inline]
    pub(super) fn right(&self) -> LocalDot {
        let at = self.at();
        if at.side == Side::Left { at.parent } else { self.other }
    }
}

/// What is known of one replica's elements.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: ReplicaId,
    /// Ascending.
    pub(super) runs: Vec<Run>,
    /// In which leaf elements stand that are not the first of their run: those from a counter on, up to the next.
    leaves: BTreeMap<u64, u32>,
    /// The last element that has a place. INVARIANT: all before it in its run have one.
    pub(super) last: u64,
    /// Where the piece with the last element was when it was put there.
    pub(super) end: Place,
    /// What stood behind that piece when it was looked at whether it hangs on its end, and does not.
    pub(super) behind: LocalDot,
}

impl Row {
    fn new(id: ReplicaId) -> Self {
        let end = Place { leaf: NONE, at: 0 };
        Self { id, runs: Vec::new(), leaves: BTreeMap::new(), last: 0, end, behind: START }
    }

    /// How many runs begin before an element.
    #[inline]
    pub(super) fn runs_before(&self, counter: u64) -> usize {
        match &self.runs[..] {
            [first, .., last] if first.head < counter && counter <= last.head => self.search(counter),
            [first, ..] if counter <= first.head => 0,
            runs => runs.len(),
        }
    }

    /// As `runs_before`, of an element between the first run and the last. Among many it is looked for first where it would be if all runs
    /// were equally long, and then so again in the part that is left: who types makes runs that are alike in the long run, and most of a long
    /// list is far away.
    fn search(&self, counter: u64) -> usize {
        let runs = &self.runs[..];
        let is_before = |run: &Run| run.head < counter;
        // INVARIANT: all runs before `low` begin before the element, and none from `high` on.
        let (mut low, mut high) = (0, runs.len());
        let (mut first, mut last) = (runs[0].head, runs[runs.len() - 1].head);
        for _ in 0..GUESSES {
            if high - low <= MANY {
                break;
            }
            let share = counter.saturating_sub(first) as f64 / last.saturating_sub(first).max(1) as f64;
            let guess = (low + (share * (high - low - 1) as f64) as usize).min(high - 1);
            let (lower, upper) = (guess.saturating_sub(NEAR).max(low), (guess + NEAR).min(high - 1));
            if is_before(&runs[upper]) {
                (low, first) = (upper + 1, runs[upper].head);
            } else if is_before(&runs[lower]) {
                (low, high) = (lower + 1, upper);
            } else {
                (high, last) = (lower, runs[lower].head);
            }
        }
        low + runs[low..high].partition_point(is_before)
    }

    /// From this element on up to the next of which it was said, elements stand in this leaf.
    pub(super) fn index(&mut self, counter: u64, leaf: u32) {
        self.index_in(self.runs_before(counter), counter, leaf);
    }

    /// As `index`, of an element before which so many runs begin.
    pub(super) fn index_in(&mut self, at: usize, counter: u64, leaf: u32) {
        match at.checked_sub(1).map(|at| &mut self.runs[at]) {
            Some(run) if run.head + 1 == counter => run.leaf = leaf,
            run => {
                run.into_iter().for_each(|run| run.is_cut = true);
                self.leaves.insert(counter, leaf);
            }
        }
    }

    /// As `index_in`, of an element behind all of its run of which it was said: where those before it stand in that leaf, nothing needs to be.
    pub(super) fn index_next(&mut self, at: usize, counter: u64, leaf: u32) {
        let run = at.checked_sub(1).map(|at| &self.runs[at]);
        if !run.is_some_and(|run| run.leaf == leaf && !run.is_cut) {
            self.index_in(at, counter, leaf);
        }
    }

    /// The elements from one to another, of one run, stand in this leaf, also where it was said that they stand elsewhere.
    pub(super) fn reindex(&mut self, first: u64, last: u64, leaf: u32) {
        self.index(first, leaf);
        if first != last && !self.leaves.is_empty() {
            self.leaves.range_mut(first + 1..=last).for_each(|(_, at)| *at = leaf);
        }
    }

    /// What stands from this element on stands in the leaf in which those before it in their run stand.
    pub(super) fn unindex(&mut self, counter: u64) {
        // Of the last run it is known at once whether anything was said.
        let is_whole = |run: &Run| run.head < counter && !run.is_cut;
        if !self.runs.last().is_some_and(is_whole) {
            self.leaves.remove(&counter);
        }
    }

    /// Elements from one to another, of one run, have no place any more.
    pub(super) fn unplace(&mut self, first: u64, last: u64) {
        let gone: Vec<u64> = self.leaves.range(first..=last).map(|(&at, _)| at).collect();
        gone.iter().for_each(|at| _ = self.leaves.remove(at));
        if let Some(at) = self.runs_before(first).checked_sub(1)
            && self.runs[at].head + 1 == first
        {
            self.runs[at].leaf = NONE;
        }
    }

    /// Of no element it is known where it stands.
    pub(super) fn unplace_all(&mut self) {
        self.leaves.clear();
        self.behind = START;
        self.runs.iter_mut().for_each(|run| (run.leaf, run.is_cut) = (NONE, false));
    }

    /// The leaf in which an element stands, if it has a place.
    #[inline]
    pub(super) fn leaf(&self, counter: u64) -> Option<u32> {
        let Some(at) = self.runs_before(counter).checked_sub(1) else {
            return self.leaves.range(..=counter).next_back().map(|(_, &leaf)| leaf);
        };
        let run = &self.runs[at];
        let cut = if run.is_cut { self.leaves.range(..=counter).next_back() } else { None };
        match cut {
            Some((&from, &leaf)) if from > run.head => Some(leaf),
            _ => Some(run.leaf).filter(|leaf| *leaf != NONE),
        }
    }

    /// The first element from one to another of which it was said where it stands.
    pub(super) fn next_placed(&self, first: u64, last: u64) -> Option<u64> {
        let cut = self.leaves.range(first..=last).next().map(|(&at, _)| at);
        let from = self.runs_before(first).saturating_sub(1);
        let runs = self.runs[from..].iter().take_while(|run| run.head < last);
        let begun =
            runs.filter(|run| run.leaf != NONE && run.head + 1 >= first).map(|run| run.head + 1).next();
        cut.into_iter().chain(begun).min()
    }

    /// The leaf of the last element with a place before one, of its run.
    pub(super) fn leaf_of_end(&self, counter: u64) -> Option<u32> {
        let run = self.runs_before(counter).checked_sub(1).map(|at| &self.runs[at]);
        run.is_none_or(|run| run.head + 1 < counter).then(|| self.leaf(counter.checked_sub(1)?)).flatten()
    }

    /// The leaf of the last element with a place before one.
    pub(super) fn leaf_before(&self, counter: u64) -> Option<u32> {
        let before = self.runs[..self.runs_before(counter)].iter();
        let run = before.rev().find(|run| run.leaf != NONE && run.head + 1 < counter);
        let Some(run) = run else {
            return self.leaves.range(..counter).next_back().map(|(_, &leaf)| leaf);
        };
        let next = self.runs.get(self.runs_before(run.head + 1));
        self.leaf(next.map_or(counter - 1, |next| next.head.min(counter - 1)))
    }
}

/// The replicas whose elements are known or hung on: each has a row, which is not that of the replica's table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(super) rows: Vec<Row>,
    by_id: BTreeMap<ReplicaId, ReplicaIndex>,
}

impl Rows {
    pub(super) fn get(&self, row: ReplicaIndex) -> Option<&Row> {
        self.rows.get(row as usize)
    }

    /// The row of a replica, which it has from now on.
    pub(super) fn open(&mut self, id: ReplicaId) -> ReplicaIndex {
        *self.by_id.entry(id).or_insert_with(|| {
            self.rows.push(Row::new(id));
            self.rows.len() as ReplicaIndex - 1
        })
    }

    /// The row of a replica, if it has one.
    pub(crate) fn find(&self, id: ReplicaId) -> Option<ReplicaIndex> {
        self.by_id.get(&id).copied()
    }

    /// The rows of the replicas with the next lower and the next higher id.
    pub(super) fn around(&self, id: ReplicaId) -> (Option<ReplicaIndex>, Option<ReplicaIndex>) {
        let before = self.by_id.range(..id).next_back();
        let behind = self.by_id.range(id..).next();
        (before.map(|(_, &row)| row), behind.map(|(_, &row)| row))
    }

    /// The counter of the last element of a replica that has a place; 0 if none has.
    pub(crate) fn last_of(&self, id: ReplicaId) -> u64 {
        self.find(id).map_or(0, |row| self.rows[row as usize].last)
    }

    /// Whose row it is.
    pub(crate) fn id(&self, row: ReplicaIndex) -> ReplicaId {
        self.rows[row as usize].id
    }

    /// A row that was opened.
    #[inline]
    pub(super) fn row(&mut self, row: ReplicaIndex) -> &mut Row {
        &mut self.rows[row as usize]
    }

    /// The order of dots that is the same everywhere.
    pub(crate) fn compare(&self, a: LocalDot, b: LocalDot) -> Ordering {
        if a.replica() == b.replica() {
            return a.cmp(&b);
        }
        self.id(a.replica()).cmp(&self.id(b.replica()))
    }

    /// By row: how many replicas have a lower id.
    pub(super) fn ranks(&self) -> Vec<u32> {
        let mut ranks = alloc::vec![0; self.rows.len()];
        (0..).zip(self.by_id.values()).for_each(|(rank, &row)| ranks[row as usize] = rank);
        ranks
    }

    /// The run of an element.
    #[inline]
    pub(super) fn run(&self, element: LocalDot) -> Run {
        let Some(row) = self.get(element.replica()) else { return Run::new(0, AT_START) };
        match row.runs_before(element.counter()) {
            0 => Run::new(0, AT_START),
            count => row.runs[count - 1],
        }
    }

    /// Whether a dot is that of a run.
    pub(super) fn is_head(&self, dot: LocalDot) -> bool {
        let Some(row) = self.get(dot.replica()) else { return false };
        row.runs.get(row.runs_before(dot.counter())).is_some_and(|run| run.head == dot.counter())
    }

    /// The nearest element in whose right part this one lies.
    #[inline]
    pub(super) fn left(&self, element: LocalDot) -> LocalDot {
        let run = self.run(element);
        if element.counter() == run.head + 1 { run.left() } else { before(element) }
    }

    /// The nearest element in whose left part this one lies.
    pub(super) fn right(&self, element: LocalDot) -> LocalDot {
        if element == START { END } else { self.run(element).right() }
    }

    /// What is known of where a run with this origin stands beside it: its parent has a place.
    pub(super) fn other(&self, at: Origin) -> LocalDot {
        match at.side {
            Side::Right => self.right(at.parent),
            Side::Left => self.left(at.parent),
        }
    }
}

/// The dot before.
pub(super) fn before(dot: LocalDot) -> LocalDot {
    LocalDot::from_bits(dot.bits() - 1)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::causal::MAX_COUNTER;

    fn row(heads: &BTreeSet<u64>) -> Row {
        let mut row = Row::new(ReplicaId::from_bytes([1; 16]));
        row.runs = heads.iter().map(|head| Run::new(*head, AT_START)).collect();
        row
    }

    /// Evenly, in heaps, and as far apart as counters can be.
    fn heads() -> impl Strategy<Value = BTreeSet<u64>> {
        let near = |start: u64| proptest::collection::btree_set(start..start + 99, 0..60);
        let far = proptest::collection::btree_set(1..=MAX_COUNTER, 0..20);
        (near(1), near(1 << 30), far).prop_map(|(a, b, c)| a.into_iter().chain(b).chain(c).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..crate::tests::cases(128) })]

        #[test]
        fn runs_are_found_as_by_halving(heads in heads(), others in proptest::collection::vec(1..=MAX_COUNTER, 9)) {
            let row = row(&heads);
            for counter in heads.iter().flat_map(|head| [*head, head + 1]).chain(others).chain([1, MAX_COUNTER]) {
                prop_assert_eq!(row.runs_before(counter), heads.range(..counter).count());
            }
        }

        #[test]
        fn elements_are_in_the_leaf_that_was_said_last_before_them_in_their_run(
            heads in heads(),
            said in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u64, 0..9_u32), 1..40),
        ) {
            let mut row = row(&heads);
            let heads: Vec<u64> = [0].into_iter().chain(heads).collect();
            let mut plain = BTreeMap::new();
            for (at, by, leaf) in said {
                let at = at.index(heads.len());
                let counter = heads[at] + 1 + by;
                // Of the next run it is said as of that.
                if heads.get(at + 1).is_none_or(|next| counter <= *next) {
                    row.index(counter, leaf);
                    plain.insert(counter, leaf);
                }
            }
            for (at, head) in heads.iter().enumerate() {
                let end = heads.get(at + 1).map_or(head + 9, |next| head + (next - head).min(9));
                for counter in head + 1..=end {
                    let known = plain.range(head + 1..=counter).next_back().map(|(_, leaf)| *leaf);
                    prop_assert_eq!(row.leaf(counter), known);
                }
            }
        }
    }
}
