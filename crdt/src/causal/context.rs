//! A set of dots, as intervals.

use alloc::vec::Vec;
use smallvec::SmallVec;

use super::{LocalDot, ReplicaIndex};

/// A set of dots of one replica table, as sorted, disjoint, non-adjacent intervals.
///
/// Costs 16 bytes an interval, however many dots an interval holds; one interval needs no allocation. Lookup is
/// O(log n), union and difference O(n + m) in the number of intervals.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct CausalContext {
    /// INVARIANT: `(first, last)` inclusive, ascending, with at least one dot missing between neighbours. A dot's
    /// replica is in its high bits and counter 0 does not exist, so no interval spans two replicas.
    intervals: SmallVec<[(u64, u64); 1]>,
}

/// A [`CausalContext`] that somebody else keeps.
#[derive(Clone, Copy, Debug)]
pub struct Dots<'c> {
    intervals: &'c [(u64, u64)],
}

impl<'c> Dots<'c> {
    /// INVARIANT: as those of a [`CausalContext`].
    pub(crate) fn new(intervals: &'c [(u64, u64)]) -> Self {
        Self { intervals }
    }

    pub(crate) fn intervals(self) -> &'c [(u64, u64)] {
        self.intervals
    }

    /// Whether it holds no dot.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.intervals.is_empty()
    }

    /// Whether it holds `dot`.
    #[must_use]
    pub fn contains(self, dot: LocalDot) -> bool {
        let after = self.intervals.partition_point(|&(first, _)| first <= dot.bits());
        after > 0 && self.intervals[after - 1].1 >= dot.bits()
    }

    /// Whether it holds any dot of an interval. O(log n).
    pub(crate) fn overlaps(self, (first, last): (u64, u64)) -> bool {
        let after = self.intervals.partition_point(|&(begin, _)| begin <= last);
        after > 0 && self.intervals[after - 1].1 >= first
    }

    /// What it does not hold of an interval. O(log n), and as much as that is.
    pub(crate) fn gaps(self, (first, last): (u64, u64)) -> impl Iterator<Item = (u64, u64)> + 'c {
        let from = self.intervals.partition_point(|&(_, end)| end < first);
        let mut cuts = self.intervals[from..].iter();
        let mut next = Some(first);
        core::iter::from_fn(move || {
            loop {
                let begin = next.filter(|next| *next <= last)?;
                match cuts.next() {
                    Some(&(cut, end)) if cut <= last => {
                        next = Some(end + 1);
                        if cut > begin {
                            return Some((begin, cut - 1));
                        }
                    }
                    _ => {
                        next = None;
                        return Some((begin, last));
                    }
                }
            }
        })
    }

    /// The runs it consists of: `(replica, first, last)`, ascending.
    pub fn runs(self) -> impl Iterator<Item = (ReplicaIndex, u64, u64)> + 'c {
        self.intervals.iter().map(|&(first, last)| {
            let first = LocalDot::from_bits(first);
            (first.replica(), first.counter(), LocalDot::from_bits(last).counter())
        })
    }
}

impl CausalContext {
    /// The same, borrowed.
    #[must_use]
    pub fn as_dots(&self) -> Dots<'_> {
        Dots::new(&self.intervals)
    }

    /// Whether it holds no dot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// Whether it holds `dot`.
    #[must_use]
    pub fn contains(&self, dot: LocalDot) -> bool {
        self.as_dots().contains(dot)
    }

    /// How many dots it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.intervals.iter().map(|&(first, last)| last - first + 1).sum()
    }

    /// Adds a dot.
    pub fn insert(&mut self, dot: LocalDot) {
        self.insert_bits(dot.bits(), dot.bits());
    }

    /// Adds the dots `first..=last` of one replica; nothing if there are none.
    pub fn insert_run(&mut self, replica: ReplicaIndex, first: u64, last: u64) {
        if first <= last && last > 0 {
            let first = first.max(1);
            self.insert_bits(LocalDot::new(replica, first).bits(), LocalDot::new(replica, last).bits());
        }
    }

    fn insert_bits(&mut self, first: u64, last: u64) {
        // Appending is the common case: dots are minted in order. What stands behind it would do the same.
        match self.intervals.last_mut() {
            None => return self.intervals.push((first, last)),
            Some(top) if first > top.1 + 1 => return self.intervals.push((first, last)),
            Some(top) if first >= top.0 => {
                top.1 = top.1.max(last);
                return;
            }
            Some(_) => {}
        }
        let start = self.intervals.partition_point(|&(_, end)| end + 1 < first);
        let end = self.intervals.partition_point(|&(begin, _)| begin <= last + 1);
        if start == end {
            self.intervals.insert(start, (first, last));
            return;
        }
        let merged = (first.min(self.intervals[start].0), last.max(self.intervals[end - 1].1));
        self.intervals[start] = merged;
        self.intervals.drain(start + 1..end);
    }

    /// The set of these dots. O(n log n), whatever their order; inserting them one by one could take O(n^2).
    pub(crate) fn from_dots(mut dots: Vec<LocalDot>) -> Self {
        dots.sort_unstable();
        let mut context = Self::default();
        for dot in dots {
            context.insert(dot);
        }
        context
    }

    /// The union of these contexts. O(n log n) in the number of intervals, whatever their order.
    pub(crate) fn from_contexts<'c>(contexts: impl IntoIterator<Item = &'c Self>) -> Self {
        Self::from_intervals(contexts.into_iter().flat_map(|context| &context.intervals).copied())
    }

    /// The union of these intervals, whatever their order.
    pub(crate) fn from_intervals(all: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut union = Self::default();
        let mut all = all.into_iter();
        let Some(first) = all.next() else { return union };
        let Some(second) = all.next() else {
            union.intervals.push(first);
            return union;
        };
        let mut all: SmallVec<[(u64, u64); 4]> = [first, second].into_iter().chain(all).collect();
        // As a rule these are a few parts that ascend each, which this sort puts together.
        all.sort();
        for (first, last) in all {
            union.insert_bits(first, last);
        }
        union
    }

    /// Adds all dots of `other`.
    pub fn union(&mut self, other: &Self) {
        if self.is_empty() {
            *self = other.clone();
            return;
        }
        // A few are put in one by one, more are sorted: the set is the same.
        if other.intervals.len() <= 4 {
            for &(first, last) in &other.intervals {
                self.insert_bits(first, last);
            }
            return;
        }
        *self = Self::from_contexts([&*self, other]);
    }

    /// The dots of `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut rest = SmallVec::new();
        let mut cuts = other.intervals.iter().peekable();
        for &(first, last) in &self.intervals {
            let mut from = first;
            while let Some(&&(cut_first, cut_last)) = cuts.peek() {
                if cut_last < from {
                    cuts.next();
                    continue;
                }
                if cut_first > last {
                    break;
                }
                if cut_first > from {
                    rest.push((from, cut_first - 1));
                }
                from = cut_last + 1;
                if cut_last > last {
                    break;
                }
                cuts.next();
            }
            if from <= last {
                rest.push((from, last));
            }
        }
        Self { intervals: rest }
    }

    /// The runs it consists of: `(replica, first, last)`, ascending.
    pub fn runs(&self) -> impl Iterator<Item = (ReplicaIndex, u64, u64)> + '_ {
        self.as_dots().runs()
    }

    /// The same set in the rows of another table.
    pub(crate) fn translated(&self, rows: &[ReplicaIndex]) -> Self {
        let mut runs: Vec<_> = self
            .runs()
            .map(|(replica, first, last)| {
                let replica = rows[replica as usize];
                (LocalDot::new(replica, first).bits(), LocalDot::new(replica, last).bits())
            })
            .collect();
        runs.sort_unstable();
        Self { intervals: runs.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Run = (ReplicaIndex, u64, u64);

    fn runs() -> impl Strategy<Value = Vec<Run>> {
        vec(
            (0..3 as ReplicaIndex, 0..40_u64, 0..6_u64)
                .prop_map(|(row, first, len)| (row, first, first + len)),
            0..14,
        )
    }

    fn context(runs: &[Run]) -> CausalContext {
        let mut context = CausalContext::default();
        runs.iter().for_each(|&(row, first, last)| context.insert_run(row, first, last));
        context
    }

    fn set(runs: &[Run]) -> BTreeSet<(ReplicaIndex, u64)> {
        runs.iter()
            .flat_map(|&(row, first, last)| (first.max(1)..=last).map(move |counter| (row, counter)))
            .collect()
    }

    /// The same dots, in the one form they have: runs that neither touch nor overlap, ascending.
    fn assert_is(context: &CausalContext, expected: &BTreeSet<(ReplicaIndex, u64)>) {
        let found: Vec<_> = context
            .runs()
            .flat_map(|(row, first, last)| (first..=last).map(move |counter| (row, counter)))
            .collect();
        assert!(found.iter().eq(expected), "{found:?} in place of {expected:?}");
        let runs: Vec<_> = context.runs().collect();
        assert!(runs.windows(2).all(|pair| pair[0].0 < pair[1].0 || pair[0].2 + 1 < pair[1].1), "{runs:?}");
        assert_eq!((context.len(), context.is_empty()), (expected.len() as u64, expected.is_empty()));
        assert_eq!(context.as_dots().is_empty(), expected.is_empty());
    }

    #[test]
    fn a_run_of_nothing_adds_nothing() {
        assert_is(&context(&[(0, 5, 4), (0, 0, 0), (1, 3, 0)]), &BTreeSet::new());
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn a_context_is_a_set_of_dots(one in runs(), other in runs()) {
            let (a, b) = (context(&one), context(&other));
            let (in_a, in_b) = (set(&one), set(&other));
            assert_is(&a, &in_a);
            for row in 0..3 {
                for counter in 1..50 {
                    prop_assert_eq!(a.contains(LocalDot::new(row, counter)), in_a.contains(&(row, counter)));
                }
            }
            let mut united = a.clone();
            united.union(&b);
            assert_is(&united, &(&in_a | &in_b));
            assert_is(&CausalContext::from_contexts([&a, &b]), &(&in_a | &in_b));
            assert_is(&a.difference(&b), &(&in_a - &in_b));
            for &(row, first, last) in &one {
                let run = set(&[(row, first, last)]);
                let interval = (LocalDot::new(row, first.max(1)).bits(), LocalDot::new(row, last).bits());
                if !run.is_empty() {
                    prop_assert_eq!(b.as_dots().overlaps(interval), !run.is_disjoint(&in_b));
                    assert_is(&CausalContext::from_intervals(b.as_dots().gaps(interval)), &(&run - &in_b));
                }
            }
            let dots = one.iter().flat_map(|&(row, first, last)| (first.max(1)..=last).rev().map(move |n| LocalDot::new(row, n)));
            assert_is(&CausalContext::from_dots(dots.collect()), &in_a);
        }
    }
}
