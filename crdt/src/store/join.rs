//! The one join.
//!
//! > When an item is here and not there: was it added here and has not arrived there, or removed there?
//!
//! The delta says so by dots: what it *covers* without carrying it has been replaced or removed; what it *carries* is
//! taken in unless this replica knows the dot, for a dot known and absent has been removed here.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::OnceCell;
use core::cmp::Ordering;

use smallvec::SmallVec;

use super::value::{checked_key, decode_key, in_key};
use super::{Content, DotStore, Key};
use crate::causal::{CausalContext, Dots, HybridClock, LocalDot, ReplicaIndex, ReplicaTable, Stamp};
use crate::delta::{Mismatch, Node, Span};

/// A row that is not there.
const ABSENT: ReplicaIndex = ReplicaIndex::MAX;

/// Where the rows of a delta's table are in a replica's. Empty where both are the same.
#[derive(Clone, Default, Debug)]
pub(crate) struct Rows(SmallVec<[ReplicaIndex; 4]>);

impl Rows {
    /// Where the rows of `foreign` are in `table`, as far as that has its ids.
    pub(crate) fn of(table: &ReplicaTable, foreign: &ReplicaTable) -> Self {
        if table.extends(foreign) {
            return Self::default();
        }
        Self(foreign.ids().map(|&id| table.row(id).unwrap_or(ABSENT)).collect())
    }

    /// Where a row is, if it is anywhere.
    pub(crate) fn present(&self, row: ReplicaIndex) -> Option<ReplicaIndex> {
        Some(self.row(row)).filter(|row| *row != ABSENT)
    }

    /// Where a row is. One that is absent lies behind all others.
    pub(crate) fn row(&self, row: ReplicaIndex) -> ReplicaIndex {
        if self.0.is_empty() { row } else { self.0[row as usize] }
    }

    /// The rows that are absent, to be found a place.
    pub(crate) fn absent(&mut self) -> impl Iterator<Item = (ReplicaIndex, &mut ReplicaIndex)> {
        (0..).zip(&mut self.0).filter(|(_, ours)| **ours == ABSENT)
    }
}

/// From a replica's rows to a delta's.
enum Theirs {
    /// By our row.
    Most(Vec<ReplicaIndex>),
    /// Pairs, in order of our rows: a small delta must not cost as much as there are replicas.
    Few(SmallVec<[(ReplicaIndex, ReplicaIndex); 2]>),
}

impl Theirs {
    fn of(ours: &Rows, table: &ReplicaTable) -> Self {
        let pairs = ours.0.iter().copied().zip(0..);
        // Both say the same.
        if table.len() > 16 * ours.0.len() {
            let mut few: SmallVec<_> = pairs.collect();
            few.sort_unstable();
            return Self::Few(few);
        }
        let mut most = vec![ABSENT; table.len()];
        pairs.for_each(|(ours, theirs)| most[ours as usize] = theirs);
        Self::Most(most)
    }
}

/// One delta being joined into one state.
pub struct Join<'a> {
    /// What the replica knows: by row, the counter. Empty when a failed update is undone, where all is taken in again.
    known: &'a [u64],
    table: &'a ReplicaTable,
    /// From the delta's rows to ours.
    ours: &'a Rows,
    /// And back; made when it is first needed.
    theirs: OnceCell<Theirs>,
    /// All dots the delta carries, in its rows.
    carried: &'a CausalContext,
    clock: &'a mut HybridClock,
    /// For hash tables.
    pub(crate) seed: u64,
    /// Whether it is a slice of a state, which has not passed [`DotStore::check`].
    unchecked: bool,
    /// The first thing in an unchecked delta that is not of the type of its place.
    wrong: Option<Mismatch>,
    /// How many dots were taken in.
    taken: usize,
}

impl<'a> Join<'a> {
    pub(crate) fn new(
        known: &'a [u64],
        table: &'a ReplicaTable,
        ours: &'a Rows,
        carried: &'a CausalContext,
        clock: &'a mut HybridClock,
        seed: u64,
    ) -> Self {
        let (unchecked, wrong, taken) = (false, None, 0);
        let theirs = OnceCell::new();
        Self { known, table, ours, theirs, carried, clock, seed, unchecked, wrong, taken }
    }

    /// As [`below`](Self::below), for a delta that has not passed [`DotStore::check`] and of which nothing is known here: it
    /// is checked on the way, so that each key and content is decoded once.
    ///
    /// # Errors
    /// When it is no delta of this type. What has been taken in is of no use then.
    pub(crate) fn below_unchecked<S: DotStore>(
        mut self,
        state: &mut S,
        node: Node<'_>,
        carried: usize,
    ) -> Result<(), Mismatch> {
        self.unchecked = true;
        state.take_in(node, &mut self);
        match self.wrong {
            Some(wrong) => Err(wrong),
            // Types look at the places where they expect something, and nowhere else.
            None if self.taken != carried => Err(Mismatch::Shape("content where the type has none")),
            None => Ok(()),
        }
    }

    /// A key of the delta; `None` if it is none, which is told at the end.
    pub(crate) fn key<K: Key>(&mut self, bytes: &[u8]) -> Option<K> {
        let key = if self.unchecked { checked_key(bytes) } else { decode_key(bytes).map_err(in_key) };
        self.right(key)
    }

    /// A content of the delta; `None` if it is none, which is told at the end.
    pub(crate) fn content<C: Content>(&mut self, bytes: &[u8]) -> Option<C> {
        self.right(C::decode(bytes).map_err(|why| Mismatch::Content { what: "content", why }))
    }

    /// What is no mismatch. The first that is one is told at the end.
    pub(crate) fn right<R>(&mut self, found: Result<R, Mismatch>) -> Option<R> {
        match found {
            Ok(found) => Some(found),
            Err(wrong) => {
                assert!(self.unchecked, "keys and contents were checked when the delta came in: {wrong}");
                self.wrong.get_or_insert(wrong);
                None
            }
        }
    }

    /// Whether more of the same state follows before anything is read: [`DotStore::settle`] is called then.
    pub(crate) fn is_slice(&self) -> bool {
        self.unchecked
    }

    /// Counts dots that are in the state now.
    pub(crate) fn took(&mut self, count: usize) {
        self.taken += count;
    }

    /// A dot of the delta as it is called here; `None` if it is known already.
    pub(crate) fn admit(&self, dot: LocalDot) -> Option<LocalDot> {
        let dot = LocalDot::new(self.ours.row(dot.replica()), dot.counter());
        let known = self.known.get(dot.replica() as usize).copied().unwrap_or(0);
        (dot.counter() > known).then_some(dot)
    }

    /// The dots of a span that are not known yet, as they are called here.
    pub(crate) fn admit_span<'s>(&self, span: Span<&'s [u8]>) -> Option<Span<&'s [u8]>> {
        let last = self.admit(span.last())?;
        let known = self.known.get(last.replica() as usize).copied().unwrap_or(0);
        let from = LocalDot::new(span.first.replica(), span.first.counter().max(known + 1));
        let part = span.into_part(from, span.last());
        Some(Span { first: LocalDot::new(last.replica(), from.counter()), ..part })
    }

    /// Whether the delta lets a live dot of ours stand that `cover` may name.
    pub(crate) fn stands(&self, cover: Dots<'_>, dot: LocalDot) -> bool {
        let Some(row) = self.row_there(dot.replica()) else { return true };
        let dot = LocalDot::new(row, dot.counter());
        !cover.contains(dot) || self.carried.contains(dot)
    }

    /// The runs of a cover, as they are called here, each with the row it has there.
    pub(crate) fn runs_here<'c>(
        &self,
        cover: Dots<'c>,
    ) -> impl Iterator<Item = (ReplicaIndex, LocalDot, LocalDot)> + use<'c, '_> {
        cover.runs().map(|(there, first, last)| {
            let row = self.ours.row(there);
            (there, LocalDot::new(row, first), LocalDot::new(row, last))
        })
    }

    /// What the delta does not carry of the counters from one to another of one of its rows.
    pub(crate) fn uncarried(
        &self,
        there: ReplicaIndex,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = (u64, u64)> {
        let bits = |counter| LocalDot::new(there, counter).bits();
        let gaps = self.carried.as_dots().gaps((bits(first), bits(last)));
        gaps.map(|(first, last)| (LocalDot::from_bits(first).counter(), LocalDot::from_bits(last).counter()))
    }

    /// Whether the delta carries a dot, in its rows.
    pub(crate) fn carries(&self, dot: LocalDot) -> bool {
        self.carried.contains(dot)
    }

    /// Where a row of ours is in the delta's table.
    fn row_there(&self, row: ReplicaIndex) -> Option<ReplicaIndex> {
        if self.ours.0.is_empty() {
            return Some(row);
        }
        match self.theirs.get_or_init(|| Theirs::of(self.ours, self.table)) {
            Theirs::Most(theirs) => theirs.get(row as usize).copied().filter(|there| *there != ABSENT),
            Theirs::Few(theirs) => {
                theirs.binary_search_by_key(&row, |&(ours, _)| ours).ok().map(|at| theirs[at].1)
            }
        }
    }

    /// Joins the node of the delta that speaks about `state`: first its cover, then what it carries.
    pub fn below<S: DotStore>(&mut self, state: &mut S, node: Node<'_>) {
        self.drop_covered(state, node.cover());
        state.take_in(node, self);
    }

    /// Drops the live dots that `cover` names, in the delta's rows, and the delta does not carry.
    pub(crate) fn drop_covered<S: DotStore>(&mut self, state: &mut S, cover: Dots<'_>) {
        if !cover.is_empty() {
            state.drop_covered(cover, self);
        }
    }

    pub(crate) fn table(&self) -> &ReplicaTable {
        self.table
    }

    /// The order of dots that is the same everywhere.
    pub(crate) fn compare(&self, a: LocalDot, b: LocalDot) -> Ordering {
        self.table.compare(a, b)
    }

    /// Tells the clock of a stamp that was taken in.
    pub(crate) fn observe(&mut self, stamp: Stamp) {
        self.clock.observe(stamp);
    }
}

/// Where the rows of `foreign` are in `table`, which has all of its ids.
pub(crate) fn rows_in(table: &ReplicaTable, foreign: &ReplicaTable) -> Vec<ReplicaIndex> {
    let row = |&id| table.row(id).expect("the replica interned every id of the delta");
    foreign.ids().map(row).collect()
}
