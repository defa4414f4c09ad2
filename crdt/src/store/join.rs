//! The one join.
//!
//! > When an item is here and not there: was it added here and has not arrived there, or removed there?
//!
//! The delta says so by dots: what it *covers* without carrying it has been replaced or removed; what it *carries* is
//! taken in unless this replica knows the dot, for a dot known and absent has been removed here.

use std::cmp::Ordering;

use super::value::{checked_key, decode_key, in_key};
use super::{Content, DotStore, Key};
use crate::causal::{CausalContext, Dots, HybridClock, LocalDot, ReplicaIndex, ReplicaTable, Stamp};
use crate::delta::{Mismatch, Node};

/// A row of the replica's table that the delta's table lacks.
const ABSENT: ReplicaIndex = ReplicaIndex::MAX;

/// One delta being joined into one state.
pub struct Join<'a> {
    /// What the replica knows: by row, the counter. Empty when a failed update is undone, where all is taken in again.
    known: &'a [u64],
    table: &'a ReplicaTable,
    /// From the delta's rows to ours, and back. Empty where both are the same.
    ours: Vec<ReplicaIndex>,
    theirs: Vec<ReplicaIndex>,
    /// All dots the delta carries, in its rows.
    carried: &'a CausalContext,
    clock: &'a mut HybridClock,
    /// For hash tables.
    pub(crate) seed: u64,
    /// Whether what the delta says has not passed [`DotStore::check`].
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
        foreign: &ReplicaTable,
        carried: &'a CausalContext,
        clock: &'a mut HybridClock,
        seed: u64,
    ) -> Self {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        if !table.extends(foreign) {
            ours = rows_in(table, foreign);
            theirs = vec![ABSENT; table.len()];
            for (their_row, &our_row) in ours.iter().enumerate() {
                theirs[our_row as usize] = their_row as ReplicaIndex;
            }
        }
        let (unchecked, wrong, taken) = (false, None, 0);
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

    /// Counts a dot that is in the state now.
    pub(crate) fn took(&mut self) {
        self.taken += 1;
    }

    /// A dot of the delta as it is called here; `None` if it is known already.
    pub(crate) fn admit(&self, dot: LocalDot) -> Option<LocalDot> {
        let dot = if self.ours.is_empty() { dot } else { crate::delta::translate(dot, &self.ours) };
        let known = self.known.get(dot.replica() as usize).copied().unwrap_or(0);
        (dot.counter() > known).then_some(dot)
    }

    /// Whether the delta lets a live dot of ours stand that `cover` may name.
    pub(crate) fn stands(&self, cover: Dots<'_>, dot: LocalDot) -> bool {
        let dot = match self.theirs.get(dot.replica() as usize) {
            None if self.theirs.is_empty() => dot,
            None | Some(&ABSENT) => return true,
            Some(&row) => LocalDot::new(row, dot.counter()),
        };
        !cover.contains(dot) || self.carried.contains(dot)
    }

    /// Joins the node of the delta that speaks about `state`: first its cover, then what it carries.
    pub fn below<S: DotStore>(&mut self, state: &mut S, node: Node<'_>) {
        self.drop_covered(state, node.cover());
        state.take_in(node, self);
    }

    /// Drops the live dots that `cover` names, in the delta's rows, and the delta does not carry.
    pub(crate) fn drop_covered<S: DotStore>(&mut self, state: &mut S, cover: Dots<'_>) {
        if !cover.is_empty() {
            state.retain(&mut |dot| self.stands(cover, dot));
        }
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
    foreign.ids().iter().map(row).collect()
}
