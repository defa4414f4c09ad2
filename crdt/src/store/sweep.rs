//! Removals that are remembered, and which of them need not be any more.

use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::causal::{LocalDot, ReplicaTable};

/// Gathers removals that are remembered: groups of dots that only make sense together, as all that was said of one key.
#[derive(Debug)]
pub struct Sweep<'s> {
    /// By row: up to which event all know everything.
    stable: &'s [u64],
    table: &'s ReplicaTable,
    groups: Vec<SmallVec<[LocalDot; 2]>>,
}

impl<'s> Sweep<'s> {
    pub(crate) fn new(stable: &'s [u64], table: &'s ReplicaTable) -> Self {
        Self { stable, table, groups: Vec::new() }
    }

    /// A group that shows nothing.
    pub(crate) fn group(&mut self, dots: impl Iterator<Item = LocalDot>) {
        let group: SmallVec<[LocalDot; 2]> = dots.collect();
        let is_stable = |dot: &LocalDot| {
            self.stable.get(dot.replica() as usize).is_some_and(|&last| dot.counter() <= last)
        };
        if group.iter().all(is_stable) {
            self.groups.push(group);
        }
    }

    /// What is below a key of a map, which is there as long as anything is below it: one group of it stays.
    ///
    /// SUBTLE: the one with the greatest dot. Others may sweep at the same time, and have more or less of it. Whoever sweeps that
    /// dot keeps a greater one; so the greatest that anybody keeps is swept by nobody.
    pub(crate) fn entry(&mut self, below: impl FnOnce(&mut Self)) {
        let before = self.groups.len();
        below(self);
        let greatest = |group: &SmallVec<[LocalDot; 2]>| {
            let dots = group.iter().map(|dot| (self.table.id(dot.replica()), dot.counter()));
            dots.max()
        };
        let kept = (before..self.groups.len()).max_by_key(|&at| greatest(&self.groups[at]));
        if let Some(kept) = kept {
            self.groups.swap_remove(kept);
        }
    }

    /// All that was gathered, ascending.
    pub(crate) fn dots(self) -> Vec<LocalDot> {
        let mut dots: Vec<LocalDot> = self.groups.into_iter().flatten().collect();
        dots.sort_unstable();
        dots
    }
}
