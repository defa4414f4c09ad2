//! The marks that a store leaves under its replica id.
//!
//! Each time a store begins to write after a start it leaves a random mark. The store, and whoever has met it, keeps the last of
//! them: its *line*. A store that was set back, with all that could have told so, finds that others know marks that it does not;
//! one that wrote after that, or went on in two places, has left other marks than they know. So a fork shows when two that know
//! the lines meet, whoever has written more.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// How many marks are kept.
const KEPT: usize = 64;

/// The last marks of a store under one replica id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// How many came before those that are kept.
    before: u64,
    marks: Vec<[u8; 8]>,
}

/// How one line stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Same,
    /// The other goes on from it.
    Behind,
    /// It goes on from the other, as far as what is kept can tell.
    Ahead,
    /// Each has marks that the other does not.
    Forked,
}

impl Line {
    /// Leaves a mark.
    pub(crate) fn leave(&mut self, mark: [u8; 8]) {
        if self.marks.len() == KEPT {
            self.marks.remove(0);
            self.before += 1;
        }
        self.marks.push(mark);
    }

    /// Whether it is one that a store can have; others come from those who want harm.
    pub(crate) fn is_sane(&self) -> bool {
        self.marks.len() <= KEPT
            && self.before <= u64::MAX / 2
            && (self.before == 0 || self.marks.len() == KEPT)
    }

    /// Takes back all marks but the first `count`, as far as those are kept.
    pub(crate) fn truncate(&mut self, count: u64) {
        self.marks.truncate(count.saturating_sub(self.before) as usize);
    }

    /// How many marks were ever left.
    pub(crate) fn end(&self) -> u64 {
        self.before + self.marks.len() as u64
    }

    /// The marks with these numbers, which are kept.
    fn between(&self, from: u64, to: u64) -> &[[u8; 8]] {
        &self.marks[(from - self.before) as usize..(to - self.before) as usize]
    }

    /// How many marks it begins with that the other begins with as well; `None` if none is left of both.
    pub(crate) fn common(&self, other: &Self) -> Option<u64> {
        let (from, to) = (self.before.max(other.before), self.end().min(other.end()));
        let pairs = (from < to).then(|| self.between(from, to).iter().zip(other.between(from, to)))?;
        Some(from + pairs.take_while(|(one, other)| one == other).count() as u64)
    }

    pub(crate) fn relation_to(&self, other: &Self) -> Relation {
        let (from, to) = (self.before.max(other.before), self.end().min(other.end()));
        if from < to && self.between(from, to) != other.between(from, to) {
            return Relation::Forked;
        }
        match self.end().cmp(&other.end()) {
            Ordering::Equal => Relation::Same,
            Ordering::Greater => Relation::Ahead,
            // What it has cannot be compared with anything, so it may as well have forked.
            Ordering::Less if from >= to && self.end() > 0 => Relation::Forked,
            Ordering::Less => Relation::Behind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(marks: impl IntoIterator<Item = u8>) -> Line {
        let mut line = Line::default();
        marks.into_iter().for_each(|mark| line.leave([mark; 8]));
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
        assert_eq!(line([0, 1, 9]).common(&first), Some(2));
        // Also where one has left more marks since.
        assert_eq!(line([0, 1, 9, 9, 9, 9, 9, 9]).relation_to(&first), Relation::Forked);
        assert_eq!(first.relation_to(&line([0, 1, 9, 9, 9, 9, 9, 9])), Relation::Forked);
    }

    #[test]
    fn a_line_keeps_its_last_marks_and_is_compared_by_them() {
        let (long, longer) = (line(0..100), line(0..120));
        assert!(long.is_sane() && long.marks.len() == KEPT);
        assert_eq!(long.relation_to(&longer), Relation::Behind);
        assert_eq!(longer.relation_to(&long), Relation::Ahead);
        // Nothing is left of both: only who is behind must fear to have forked.
        let far = line(0..250);
        assert_eq!(far.relation_to(&long), Relation::Ahead);
        assert_eq!(long.relation_to(&far), Relation::Forked);
        assert!(!Line { before: 1, marks: vec![] }.is_sane());
        assert!(!Line { before: u64::MAX, marks: vec![[0; 8]; KEPT] }.is_sane());
    }
}
