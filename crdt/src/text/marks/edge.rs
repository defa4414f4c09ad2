//! Where among deleted letters something is typed if marks begin or end there.
//!
//! What is read says nothing of it, and yet it decides which marks the new letters have: those that go on there, and no link that ended with a letter that was
//! deleted, nor a mark of which nothing is read any more.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::super::Body;
use super::{Mark, Marks};
use crate::Scalar;
use crate::causal::LocalDot;

/// So many pieces of what was deleted are looked at.
const NEAR: usize = 64;

/// So many letters by which marks stand.
const MOST: usize = 32;

/// So many marks are weighed.
const MOST_MARKS: usize = 64;

/// The gaps that a mark lies over, from the first to before the last.
struct Over<'m> {
    mark: &'m Mark,
    from: usize,
    to: usize,
    /// What is typed there should have it.
    is_meant: bool,
}

impl Marks {
    /// Behind which letter those must stand that are typed at a place, where marks begin or end among what was deleted there. The gaps are those behind the
    /// letter that is read before, and behind each by which a mark stands; that one is taken in which the fewest names say something else than they should.
    pub(in super::super) fn edge(&self, body: &Body, at: usize) -> Option<LocalDot> {
        let (left, ghosts) = body.sequence.between(at, NEAR);
        let mut gaps: Vec<LocalDot> = [left].into();
        let mut over: BTreeMap<LocalDot, Over<'_>> = BTreeMap::new();
        'ghosts: for (first, last) in ghosts {
            let from = (first, false, LocalDot::from_bits(0));
            let to = (last, true, LocalDot::from_bits(u64::MAX));
            for &(letter, is_behind, dot) in self.anchors.range(from..=to) {
                let is_new = gaps.last() != Some(&letter);
                if gaps.len() + usize::from(is_new) > MOST || over.len() == MOST_MARKS {
                    break 'ghosts;
                }
                gaps.extend(is_new.then_some(letter));
                let mark = &self.marks[&dot];
                let over = over.entry(dot).or_insert_with(|| {
                    let span = Self::span(body, dot, mark);
                    Over { mark, from: 0, to: usize::MAX, is_meant: span.start < span.end }
                });
                let is_start = mark.start.letter == Some(letter) && mark.start.is_behind == is_behind;
                let end = if is_start { &mut over.from } else { &mut over.to };
                *end = gaps.len() - 1;
                // Only where it goes on at that end.
                over.is_meant &= is_start == is_behind;
            }
        }
        let meant = Self::above(body, over.values().filter(|over| over.is_meant));
        let wrong = |gap: usize| {
            let there = over.values().filter(|over| (over.from..over.to).contains(&gap));
            let there = Self::above(body, there);
            let names: BTreeSet<&str> = meant.keys().chain(there.keys()).copied().collect();
            let names = names.into_iter().filter(|name| meant.get(name) != there.get(name));
            // Marks of the same names that lie over all gaps may show below those.
            let is_wrong = |over: &&Over<'_>| (over.from..over.to).contains(&gap) != over.is_meant;
            (names.count(), over.values().filter(is_wrong).count())
        };
        let best = (0..gaps.len()).min_by_key(|gap| wrong(*gap));
        best.filter(|_| gaps.len() > 1).map(|best| gaps[best])
    }

    /// What is read of these, by name.
    fn above<'m>(body: &Body, marks: impl Iterator<Item = &'m Over<'m>>) -> BTreeMap<&'m str, &'m Scalar> {
        let mut above: BTreeMap<&str, &Mark> = BTreeMap::new();
        for Over { mark, .. } in marks {
            let there = above.entry(&mark.name).or_insert(mark);
            if Self::order(body, there, mark).is_lt() {
                *there = mark;
            }
        }
        let values = above.into_iter().map(|(name, mark)| (name, &mark.value));
        values.filter(|(_, value)| **value != Scalar::Null).collect()
    }
}
