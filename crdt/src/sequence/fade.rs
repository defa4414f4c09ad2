//! Runs of which nothing is left, and how nothing comes to hang on them any more.
//!
//! A run has *faded* once all of its elements are ghosts, its replica has begun another (so it never goes on), and nothing hangs on
//! it but what has faded. Anybody may still hang something on it. So it is *frozen* first: what is inserted next to frozen runs
//! hangs where it would if they were not there, but for those elements that something else hangs on. Once all know that it is frozen, and
//! all that they wrote before is known here, and it still has faded, nobody needs to be told any more where it stood.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use super::piece::{Piece, after};
use super::tree::Place;
use super::{Items, Origin, START, Sequence, Side};
use crate::causal::LocalDot;

impl<C: Items + ?Sized> Sequence<C> {
    /// The heads of faded runs, ascending by row and counter, without those that `is_needed` and those that these hang on; as if the elements
    /// that are `going` were gone.
    pub(crate) fn faded(
        &self,
        is_needed: impl Fn(LocalDot) -> bool,
        going: &BTreeSet<LocalDot>,
    ) -> Vec<LocalDot> {
        // By row: which number its first run has.
        let mut starts = Vec::with_capacity(self.rows.rows.len());
        let mut heads = Vec::new();
        for (row, known) in (0..).zip(&self.rows.rows) {
            starts.push(heads.len());
            heads.extend(known.runs.iter().map(|run| (LocalDot::new(row, run.head), run.origin().parent)));
        }
        let number = |element: LocalDot| {
            let nth = self.rows.get(element.replica())?.runs_before(element.counter()).checked_sub(1)?;
            Some(starts[element.replica() as usize] + nth)
        };
        let mut kept = vec![false; heads.len()];
        let mut open: Vec<usize> = Vec::new();
        let mut keep = |at: Option<usize>, open: &mut Vec<usize>| {
            if let Some(at) = at.filter(|at| !core::mem::replace(&mut kept[*at], true)) {
                open.push(at);
            }
        };
        let stays = |piece: &Piece| {
            piece.is_live() && (0..piece.len()).any(|nth| !going.contains(&after(piece.first(), nth)))
        };
        for piece in self.tree.iter().filter(stays) {
            keep(number(piece.first()), &mut open);
        }
        for (&start, known) in starts.iter().zip(&self.rows.rows) {
            keep((start + known.runs.len()).checked_sub(1).filter(|last| *last >= start), &mut open);
        }
        for (at, (head, _)) in heads.iter().enumerate() {
            keep(Some(at).filter(|_| is_needed(*head)), &mut open);
        }
        while let Some(at) = open.pop() {
            let parent = heads[at].1;
            keep(Some(parent).filter(|parent| *parent != START).and_then(number), &mut open);
        }
        heads.into_iter().zip(kept).filter_map(|((head, _), kept)| (!kept).then_some(head)).collect()
    }

    /// Freezes the run with this head, if there is one.
    pub(crate) fn freeze(&mut self, head: LocalDot) {
        let Some(row) = self.rows.rows.get_mut(head.replica() as usize) else { return };
        let at = row.runs_before(head.counter());
        if let Some(run) = row.runs.get_mut(at).filter(|run| run.head == head.counter()) {
            run.is_frozen = true;
        }
    }

    /// Whether the run with this head is frozen.
    pub(crate) fn is_run_frozen(&self, head: LocalDot) -> bool {
        let Some(row) = self.rows.get(head.replica()) else { return false };
        let run = row.runs.get(row.runs_before(head.counter()));
        run.is_some_and(|run| run.head == head.counter() && run.is_frozen)
    }

    /// Has no run be frozen.
    pub(crate) fn thaw(&mut self) {
        self.rows.rows.iter_mut().flat_map(|row| &mut row.runs).for_each(|run| run.is_frozen = false);
    }

    /// Whether a piece is left out when something is inserted next to it.
    pub(super) fn is_frozen(&self, piece: Piece) -> bool {
        !piece.is_live() && self.rows.run(piece.first()).is_frozen
    }

    /// Where what is inserted into `gap`, behind `left`, hangs if a frozen piece stands there.
    pub(super) fn origin_beside_frozen(&self, gap: Place, left: LocalDot) -> Origin {
        let behind = Origin { parent: left, side: Side::Right };
        let mut pieces = self.tree.iter_from(Some(gap)).map(|(_, piece)| piece);
        let Some(piece) = pieces.find(|piece| !self.is_frozen(*piece)) else { return behind };
        let mut next = piece.first();
        loop {
            next = self.first_behind(left, next);
            let above = self.rows.left(next);
            if above == left {
                return Origin { parent: next, side: Side::Left };
            }
            if !self.is_before(left, above) {
                return behind;
            }
            next = above;
        }
    }

    /// The first element of a run that stands behind `left`, where one of its elements does.
    fn first_behind(&self, left: LocalDot, element: LocalDot) -> LocalDot {
        let (mut low, mut high) = (self.rows.run(element).head, element.counter());
        let at = |counter| LocalDot::new(element.replica(), counter);
        // Of all of them as a rule.
        if self.is_before(left, at(low + 1)) {
            return at(low + 1);
        }
        low += 1;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.is_before(left, at(middle)) {
                high = middle;
            } else {
                low = middle;
            }
        }
        at(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReplicaId;
    use crate::causal::MAX_COUNTER;

    #[test]
    fn a_run_behind_which_no_dot_is_left_is_no_harm() {
        let mut sequence = Sequence::<str>::default();
        let row = sequence.row(ReplicaId::from_bytes([1; 16]));
        let head = LocalDot::new(row, MAX_COUNTER);
        sequence.add_run(head, Origin { parent: START, side: Side::Right });
        sequence.freeze(head);
        sequence.settle();
        // It is the last of its replica, so it has not faded.
        assert!(sequence.faded(|_| false, &BTreeSet::new()).is_empty() && sequence.is_run_frozen(head));
        sequence.remove_runs(&[head]);
        sequence.settle();
        assert_eq!(sequence.runs().count(), 0);
    }
}
