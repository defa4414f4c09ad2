//! The marks that a store leaves under its replica id.
//!
//! Each time a store begins to write after a start, or after it was alone, it leaves a random mark, and another from time to time
//! while it writes. The store, and whoever has met it, keeps some of them: its *line*. A store that was set back, with all that could
//! have told so, finds that others know marks that it does not; one that wrote after that, or went on in two places, has left other
//! marks than they know. So a fork shows when two that know the lines meet, whoever has written more.
//!
//! The last marks are all kept, older ones ever more thinly, by their numbers: so two lines of one store always have marks of the
//! same number, however many were left since the one was told, and are compared by these. Of its own line a store keeps more than it
//! tells, so that it sees where it parted from what was told long ago.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// So many of the last marks a store keeps.
const KEPT: u64 = 1_024;
/// And so many are told.
const TOLD: u64 = 32;
/// Of the marks whose numbers are multiples of a power of two the last so many are kept.
const THIN: u64 = 4;
/// How many marks a line that is told has at most.
const MOST: usize = 256;

/// Some of the marks of a store under one replica id, the last ones among them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// How many marks were left.
    end: u64,
    /// With their numbers, which count from 0; ascending.
    marks: Vec<(u64, [u8; 8])>,
}

/// How one line stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Same,
    /// The other goes on from it.
    Behind,
    /// It goes on from the other.
    Ahead,
    /// Each has marks that the other does not.
    Forked,
}

impl Line {
    /// Leaves a mark.
    pub(crate) fn leave(&mut self, mark: [u8; 8]) {
        self.marks.push((self.end, mark));
        self.end += 1;
        self.thin(KEPT);
    }

    /// Keeps the last so many, and older ones by their numbers. Once one goes, it would not be kept later.
    fn thin(&mut self, dense: u64) {
        self.marks.retain(|(number, _)| {
            let reach = THIN.checked_shl(number.trailing_zeros()).unwrap_or(u64::MAX);
            self.end - number <= dense.max(reach)
        });
    }

    /// As it is told: as far as its first `count` marks.
    pub(crate) fn told(&self, count: u64) -> Self {
        let mut told = self.clone();
        told.truncate(count);
        told.thin(TOLD);
        told
    }

    /// The marks after so many.
    pub(crate) fn after(&self, count: u64) -> Self {
        let marks = self.marks.iter().filter(|(number, _)| *number >= count);
        Self { end: self.end, marks: marks.copied().collect() }
    }

    /// After how many marks to tell it to who has heard so many: the last of those goes along, so that who has heard another there sees that.
    /// All of it where that one is kept no longer.
    pub(crate) fn joint(&self, heard: u64) -> u64 {
        let Some(last) = heard.checked_sub(1) else { return 0 };
        if self.marks.binary_search_by_key(&last, |(number, _)| *number).is_ok() { last } else { 0 }
    }

    /// What was told, and what is told [after](Self::after) it, which may come twice, or late; `None` if no store tells that.
    pub(crate) fn with(&self, more: &Self) -> Option<Self> {
        if !more.is_sane() {
            return None;
        }
        let mut line = self.clone();
        line.marks.extend(more.marks.iter().filter(|(number, _)| *number >= self.end));
        line.end = self.end.max(more.end);
        line.thin(TOLD);
        line.is_sane().then_some(line)
    }

    /// Whether it is one that a store can tell; others come from those who want harm.
    pub(crate) fn is_sane(&self) -> bool {
        self.marks.len() <= MOST && self.is_line()
    }

    /// Whether it is one that a store can keep.
    pub(crate) fn is_line(&self) -> bool {
        self.marks.len() <= MOST + KEPT as usize
            && self.end <= u64::MAX / 2
            && self.marks.last().is_none_or(|(last, _)| *last < self.end)
            && self.marks.windows(2).all(|pair| pair[0].0 < pair[1].0)
    }

    /// Takes back all marks but the first `count`.
    pub(crate) fn truncate(&mut self, count: u64) {
        self.end = self.end.min(count);
        self.marks.retain(|(number, _)| *number < count);
    }

    /// How many marks were ever left.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The marks of equal numbers, and whether they are equal.
    fn compared(&self, other: &Self) -> impl Iterator<Item = (u64, bool)> {
        self.marks.iter().filter_map(|(number, mark)| {
            let at = other.marks.binary_search_by_key(number, |(number, _)| *number).ok()?;
            Some((*number, other.marks[at].1 == *mark))
        })
    }

    /// How many marks it begins with that the other begins with as well: at least so many, where not all are kept.
    pub(crate) fn common(&self, other: &Self) -> u64 {
        self.compared(other).take_while(|(_, same)| *same).last().map_or(0, |(number, _)| number + 1)
    }

    pub(crate) fn relation_to(&self, other: &Self) -> Relation {
        let mut compared = self.compared(other).peekable();
        // Lines of one store have marks in common, unless one of them has none.
        let is_strange = compared.peek().is_none() && self.end > 0 && other.end > 0;
        if is_strange || compared.any(|(_, same)| !same) {
            return Relation::Forked;
        }
        match self.end.cmp(&other.end) {
            Ordering::Equal => Relation::Same,
            Ordering::Greater => Relation::Ahead,
            Ordering::Less => Relation::Behind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(marks: impl IntoIterator<Item = u32>) -> Line {
        let mut line = Line::default();
        marks.into_iter().for_each(|mark| line.leave([mark.to_be_bytes(); 2].concat().try_into().unwrap()));
        line
    }

    #[test]
    fn a_line_is_behind_what_goes_on_from_it_and_forked_from_what_does_not() {
        let first = line(0..5);
        assert_eq!(first.relation_to(&first), Relation::Same);
        assert_eq!(first.relation_to(&line(0..6)), Relation::Behind);
        assert_eq!(line(0..6).relation_to(&first), Relation::Ahead);
        assert_eq!(Line::default().relation_to(&first), Relation::Behind);
        assert_eq!(line([0, 1, 9]).relation_to(&first), Relation::Forked);
        assert_eq!(line([0, 1, 9]).common(&first), 2);
        // Also where one has left more marks since.
        assert_eq!(line([0, 1, 9, 9, 9, 9, 9, 9]).relation_to(&first), Relation::Forked);
        assert_eq!(first.relation_to(&line([0, 1, 9, 9, 9, 9, 9, 9])), Relation::Forked);
    }

    #[test]
    fn lines_are_compared_however_many_marks_were_left_since() {
        for known in [1, 32, 33, 65, 1_000, 2_048] {
            for later in [1, 32, 100, 1_024, 1_500] {
                let new = line(0..known + later);
                let old = new.told(u64::from(known));
                assert_eq!(new.told(new.end).relation_to(&old), Relation::Ahead, "{known} {later}");
                assert_eq!(new.relation_to(&old), Relation::Ahead, "{known} {later}");
                assert_eq!(old.relation_to(&new), Relation::Behind, "{known} {later}");
                assert!(old.common(&new) <= u64::from(known));
                if later < KEPT as u32 {
                    assert_eq!(new.common(&old), u64::from(known));
                }
                // Another that parted from it, and was told after some marks more.
                for more in [1, 20, 50] {
                    let other = line((0..known).chain((0..more).map(|mark| 1_000_000 + mark)));
                    let other = other.told(other.end);
                    if later < KEPT as u32 && more <= TOLD as u32 {
                        assert_eq!(new.relation_to(&other), Relation::Forked, "{known} {later} {more}");
                        assert_eq!(new.common(&other), u64::from(known));
                    }
                }
                assert!(new.is_line() && new.told(new.end).is_sane());
                assert!(new.told(new.end).marks.len() < 80);
            }
        }
    }

    #[test]
    fn what_is_taken_back_was_never_there() {
        for (all, first) in [(100, 70), (100, 10), (10, 0), (10, 10), (1_000, 999)] {
            let mut back = line(0..all);
            back.truncate(u64::from(first));
            assert!(back.is_line());
            assert_eq!(back.end(), u64::from(first));
            if first > 0 {
                let expected = if first == all { Relation::Same } else { Relation::Behind };
                assert_eq!(back.relation_to(&line(0..all)), expected);
                assert_eq!(line(0..first).relation_to(&back), Relation::Same);
            }
        }
    }

    #[test]
    fn what_is_told_of_a_line_afterwards_makes_it_what_is_told_at_once() {
        for (first, more) in [(0, 1), (1, 1), (10, 0), (30, 5), (100, 70), (1_000, 3)] {
            let all = line(0..first + more);
            let (told, at_once) = (all.told(u64::from(first)), all.told(all.end));
            let after = at_once.after(u64::from(first));
            assert!(after.marks.len() as u32 <= more);
            let with = told.with(&after).unwrap();
            assert_eq!(with, at_once, "{first} {more}");
            // Twice, and late.
            assert_eq!(with.with(&after), Some(with.clone()));
            assert_eq!(with.with(&told), Some(with.clone()));
        }
        let nonsense = Line { end: 2, marks: vec![(7, [0; 8])] };
        assert_eq!(line(0..1).with(&nonsense), None);
    }

    #[test]
    fn lines_that_no_store_has_are_known() {
        let of = |end, marks: &[u64]| Line { end, marks: marks.iter().map(|mark| (*mark, [0; 8])).collect() };
        assert!(of(5, &[0, 4]).is_sane());
        assert!(!of(5, &[0, 5]).is_sane());
        assert!(!of(5, &[3, 3]).is_sane());
        assert!(!of(u64::MAX, &[]).is_sane());
        assert!(!of(1_000, &(0..500).collect::<Vec<_>>()).is_sane());
        assert_eq!(of(7, &[]).relation_to(&line(0..3)), Relation::Forked);
    }
}
