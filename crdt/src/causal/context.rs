//! A set of dots, as intervals.

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
        // Appending is the common case: dots are minted in order.
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
        Self::from_intervals(contexts.into_iter().flat_map(|context| &context.intervals).copied().collect())
    }

    /// The union of these intervals, whatever their order.
    pub(crate) fn from_intervals(mut all: Vec<(u64, u64)>) -> Self {
        all.sort_unstable();
        let mut union = Self::default();
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
