//! Removals that are remembered, and which of them need not be any more.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::Alias;
use crate::causal::{Dot, LocalDot, ReplicaId, ReplicaIndex, ReplicaTable};

/// The key of an item that names what is fading beside it. Nothing else can have it: no value in MessagePack begins like that, no name in UTF-8,
/// and no type of a `Doc`'s values has that code. So who does not know the type knows what shows nothing.
pub(crate) const FADING: &[u8] = &[0xc1];

/// What such an item says: counters, by replica.
pub(crate) type Named = Vec<(ReplicaId, Vec<u64>)>;

/// Gathers removals that are remembered: groups of dots that only make sense together, as all that was said of one key.
#[derive(Debug)]
pub struct Sweep<'s> {
    /// By row: up to which event all know everything.
    stable: &'s [u64],
    table: &'s ReplicaTable,
    groups: Vec<SmallVec<[LocalDot; 2]>>,
    fading: Vec<LocalDot>,
    sums: Vec<SumUp>,
    gone: Vec<LocalDot>,
    letters: usize,
    naming: Vec<LocalDot>,
    is_all_stable: bool,
    /// The last event of this replica beyond which amounts are summed up by themselves.
    kept: LocalDot,
    is_removable: bool,
    /// Of the groups gathered now one stays.
    keeps_one: bool,
    aliases: Vec<Alias>,
}

impl<'s> Sweep<'s> {
    pub(crate) fn new(stable: &'s [u64], table: &'s ReplicaTable) -> Self {
        Self {
            stable,
            table,
            groups: Vec::new(),
            fading: Vec::new(),
            sums: Vec::new(),
            gone: Vec::new(),
            letters: 0,
            naming: Vec::new(),
            is_all_stable: false,
            kept: LocalDot::from_bits(0),
            is_removable: false,
            keeps_one: false,
            aliases: Vec::new(),
        }
    }

    /// With what is known here, by row.
    pub(crate) fn knowing(self, known: &[u64]) -> Self {
        let last = |row: usize| self.stable.get(row).copied().unwrap_or(0);
        let is_all_stable = known.iter().enumerate().all(|(row, known)| *known <= last(row));
        Self { is_all_stable, ..self }
    }

    /// With what is left as it is of what this replica wrote ([`keep_counters`](crate::Replica::keep_counters)).
    pub(crate) fn keeping(self, me: Option<ReplicaIndex>, kept: u64) -> Self {
        let kept = me.map_or(self.kept, |me| LocalDot::new(me, kept));
        Self { kept, ..self }
    }

    /// Whether one sum may stand for both of these amounts: of one replica, under one name, and both or neither to be left as they are.
    pub(crate) fn may_join(&self, before: LocalDot, after: LocalDot) -> bool {
        before.replica() == after.replica()
            && !(before.replica() == self.kept.replica() && before <= self.kept && after > self.kept)
            && self.aliases.iter().all(|alias| alias.has(before) == alias.has(after))
    }

    /// Whether all know all that is known here, and nothing can come any more that was written without that: for what was removed and
    /// left no dot of its own.
    pub(crate) fn is_all_stable(&self) -> bool {
        self.is_all_stable
    }

    /// Whether all know a dot, and all that they wrote before is known here.
    pub(crate) fn is_stable(&self, dot: LocalDot) -> bool {
        self.stable.get(dot.replica() as usize).is_some_and(|&last| dot.counter() <= last)
    }

    /// Dots that would not be needed if all knew that they are not: they are named in an item beside the nodes that carry them, under the
    /// key [`FADING`]. By such an item no key of a map is in ([`DotStore::shows`](super::DotStore::shows)).
    pub(crate) fn fade(&mut self, dots: impl Iterator<Item = LocalDot>) {
        self.fading.extend(dots);
    }

    /// A sum of amounts that are let go, which is to stand beside its anchor: under the key [`FADING`], for by it no key of a map is in.
    pub(crate) fn sum_up(&mut self, anchor: LocalDot, from: u64, amount: i128) {
        self.sums.push(SumUp { anchor, from, amount });
    }

    /// A dot as it is called everywhere.
    pub(crate) fn dot(&self, dot: LocalDot) -> Dot {
        self.table.dot(dot)
    }

    /// Whether a key is above that can be removed.
    pub(crate) fn is_removable(&self) -> bool {
        self.is_removable
    }

    /// What is below keys, which can be removed themselves or not; all of it can if something above can.
    pub(crate) fn keyed(&mut self, removable: bool, below: impl FnOnce(&mut Self)) {
        let before = self.is_removable;
        self.is_removable |= removable;
        below(self);
        self.is_removable = before;
    }

    /// What is below a field, of which some dots stand under older names. What `#[derive(Crdt)]` calls.
    pub fn renamed<const N: usize>(&mut self, aliases: [&Alias; N], below: impl FnOnce(&mut Self)) {
        self.aliases.extend(aliases.into_iter().cloned());
        below(self);
        self.aliases.truncate(self.aliases.len() - N);
    }

    /// Dots of items that name what is fading.
    pub(crate) fn naming(&mut self, dots: impl Iterator<Item = LocalDot>) {
        self.naming.extend(dots);
    }

    /// The dots of items that show nothing.
    pub(crate) fn into_naming(self) -> BTreeSet<LocalDot> {
        self.naming.into_iter().collect()
    }

    /// So many of the items are letters.
    pub(crate) fn letters(&mut self, count: usize) {
        self.letters += count;
    }

    /// How many of the items are letters.
    pub(crate) fn count_letters(&self) -> usize {
        self.letters
    }

    /// Dots that are not needed, and by which no key of a map is there.
    pub(crate) fn let_go(&mut self, dots: impl Iterator<Item = LocalDot>) {
        self.gone.extend(dots);
    }

    /// A group that shows nothing.
    pub(crate) fn group(&mut self, dots: impl Iterator<Item = LocalDot>) {
        let group: SmallVec<[LocalDot; 2]> = dots.collect();
        if group.iter().all(|dot| self.is_stable(*dot)) {
            self.groups.push(group);
        }
    }

    /// Whether a group may stay though it shows nothing, for a key of a map is there by it.
    pub(crate) fn keeps_one(&self) -> bool {
        self.keeps_one
    }

    /// What is below a key of a map, which is there as long as anything is below it: one group of it stays.
    ///
    /// SUBTLE: the one with the greatest dot. Others may sweep at the same time, and have more or less of it. Whoever sweeps that
    /// dot keeps a greater one; so the greatest that anybody keeps is swept by nobody.
    pub(crate) fn entry(&mut self, below: impl FnOnce(&mut Self)) {
        let before = self.groups.len();
        let kept_one = core::mem::replace(&mut self.keeps_one, true);
        below(self);
        self.keeps_one = kept_one;
        let greatest = |group: &SmallVec<[LocalDot; 2]>| {
            let dots = group.iter().map(|dot| (self.table.id(dot.replica()), dot.counter()));
            dots.max()
        };
        let kept = (before..self.groups.len()).max_by_key(|&at| greatest(&self.groups[at]));
        if let Some(kept) = kept {
            self.groups.swap_remove(kept);
        }
    }

    /// What came of it.
    pub(crate) fn finish(self) -> Swept {
        let (mut gone, mut fading, mut sums) = (self.gone, self.fading, self.sums);
        gone.extend(self.groups.into_iter().flatten());
        gone.sort_unstable();
        gone.dedup();
        fading.sort_unstable();
        sums.sort_unstable_by_key(|sum| sum.anchor);
        Swept { gone, fading, sums }
    }
}

/// A sum of amounts that are let go: those of the anchor's replica from an event on, but the anchor.
#[derive(Debug)]
pub(crate) struct SumUp {
    pub(crate) anchor: LocalDot,
    pub(crate) from: u64,
    pub(crate) amount: i128,
}

/// Dots, ascending; the sums by anchor.
pub(crate) struct Swept {
    /// Of what need not be remembered.
    pub(crate) gone: Vec<LocalDot>,
    /// Of what is fading.
    pub(crate) fading: Vec<LocalDot>,
    /// What sums are to stand beside anchors.
    pub(crate) sums: Vec<SumUp>,
}
