//! What became different: by the names of elements, not by what they are.

use alloc::vec::Vec;
use core::ops::Range;

use super::{Elements, Ordered};
use crate::causal::LocalDot;
use crate::store::{Seen, Sight};

/// Elements that stand one behind the other under consecutive dots, and where the first is. The dots are the replica's: below a key there may be
/// another sequence by now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    first: LocalDot,
    at: usize,
    len: usize,
}

impl<C: Elements + ?Sized> Ordered<C> {
    pub(crate) fn stretches(&self) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut at = 0;
        for (first, elements) in self.sequence.live() {
            let (first, len) = (self.rows.outer(first), C::elements(elements.items()));
            match stretches.last_mut() {
                Some(last) if last.first.bits() + last.len as u64 == first.bits() => last.len += len,
                _ => stretches.push(Stretch { first, at, len }),
            }
            at += len;
        }
        stretches
    }

    /// Which elements there are, and where.
    pub(crate) fn look(&self) -> Seen {
        Seen(Sight::Order(self.stretches()))
    }

    /// What makes of the elements as they were the ones there are: where, how many went, and which came in their place; with those
    /// before done. An element that stands elsewhere among the others than it did counts as another.
    pub(crate) fn changed(&self, before: &Seen) -> Vec<(usize, usize, Range<usize>)> {
        let Sight::Order(old) = &before.0 else { return Vec::new() };
        self.spliced(old)
    }

    /// As [`changed`](Self::changed).
    pub(crate) fn spliced(&self, old: &[Stretch]) -> Vec<(usize, usize, Range<usize>)> {
        let mut by_dot = old.to_vec();
        by_dot.sort_unstable_by_key(|stretch| stretch.first);
        let (mut splices, mut old_end, mut new_end) = (Vec::new(), 0, 0);
        let mut splice = |old_end: usize, old: usize, new_end: usize, new: usize| {
            if old > old_end || new > new_end {
                splices.push((new_end, old - old_end, new_end..new));
            }
        };
        for new in self.stretches() {
            let end = new.first.bits() + new.len as u64;
            let from = by_dot.partition_point(|old| old.first.bits() + old.len as u64 <= new.first.bits());
            for old in by_dot[from..].iter().take_while(|old| old.first.bits() < end) {
                let low = old.first.bits().max(new.first.bits());
                let len = ((old.first.bits() + old.len as u64).min(end) - low) as usize;
                let was = old.at + (low - old.first.bits()) as usize;
                let is = new.at + (low - new.first.bits()) as usize;
                if was >= old_end {
                    splice(old_end, was, new_end, is);
                    (old_end, new_end) = (was + len, is + len);
                }
            }
        }
        let all_old = old.last().map_or(0, |last| last.at + last.len);
        splice(old_end, all_old, new_end, self.len());
        splices
    }
}
