//! Mints dots and stamps for one atomic update, and notes what it writes.

use alloc::sync::Arc;

use super::{HybridClock, LocalDot, MAX_COUNTER, ReplicaId, ReplicaIndex, ReplicaTable, Stamp};
use crate::delta::{Draft, PlaceId, Span};
use crate::store::Content;

/// One transaction under way: a contiguous run of this replica's dots, the clock, and the draft of the delta.
///
/// A replica keeps one and uses it again, so that a small transaction need not allocate.
#[derive(Debug)]
pub struct Tx {
    replica: ReplicaIndex,
    /// The last dot before the transaction, and the last one it minted.
    before: LocalDot,
    last: LocalDot,
    pub(crate) clock: HybridClock,
    clock_before: HybridClock,
    pub(crate) table: Arc<ReplicaTable>,
    pub(crate) draft: Draft,
    /// For hash tables: what is not known outside, so that nobody can choose keys that collide.
    pub(crate) seed: u64,
    /// What this replica wrote up to this counter is left as it is.
    pub(crate) kept: u64,
    /// Something was removed: the transaction needs a dot even if it carries nothing.
    covered: bool,
}

impl Tx {
    pub(crate) fn new(seed: u64) -> Self {
        let nobodys = LocalDot::from_bits(0);
        Self {
            replica: 0,
            before: nobodys,
            last: nobodys,
            clock: HybridClock::default(),
            clock_before: HybridClock::default(),
            table: Arc::new(ReplicaTable::with_seed(seed)),
            draft: Draft::default(),
            seed,
            kept: 0,
            covered: false,
        }
    }

    pub(crate) fn begin(&mut self, replica: ReplicaIndex, before: u64) {
        self.replica = replica;
        self.before = LocalDot::new(replica, before);
        self.last = self.before;
        self.clock_before.clone_from(&self.clock);
        self.covered = false;
        self.draft.begin(self.seed);
    }

    /// Takes the clock back to where it was.
    pub(crate) fn undo(&mut self) {
        self.clock.clone_from(&self.clock_before);
    }

    /// The next dot.
    ///
    /// # Panics
    /// When the replica has written [`MAX_COUNTER`] items to the document.
    pub(crate) fn dot(&mut self) -> LocalDot {
        let used = self.last.counter();
        assert!(used < MAX_COUNTER, "a replica may write at most {MAX_COUNTER} items to one document");
        self.last = LocalDot::new(self.replica, used + 1);
        self.last
    }

    /// The next dots, so many and at least one; yields the first.
    ///
    /// # Panics
    /// As [`dot`](Self::dot).
    pub(crate) fn dots(&mut self, count: u32) -> LocalDot {
        let first = self.dot();
        let last = first.counter() + u64::from(count) - 1;
        assert!(last <= MAX_COUNTER, "a replica may write at most {MAX_COUNTER} items to one document");
        self.last = LocalDot::new(self.replica, last);
        first
    }

    /// The dot that [`dot`](Self::dot) yields next, unless all are used up.
    pub(crate) fn next(&self) -> LocalDot {
        LocalDot::from_bits(self.last.bits() + 1)
    }

    pub(crate) fn stamp(&mut self) -> Stamp {
        self.clock.tick()
    }

    /// Whether `dot` was minted in this transaction.
    pub(crate) fn minted(&self, dot: LocalDot) -> bool {
        self.before < dot && dot <= self.last
    }

    /// The dot before those minted in this transaction, and the last of them.
    pub(crate) fn minted_dots(&self) -> (LocalDot, LocalDot) {
        (self.before, self.last)
    }

    /// Whether `dot` is of this replica, of this or an earlier transaction.
    pub(crate) fn own(&self, dot: LocalDot) -> bool {
        dot.replica() == self.replica
    }

    /// Whether `dot` is of this replica, and an amount may be changed that stands under it.
    pub(crate) fn may_amend(&self, dot: LocalDot) -> bool {
        self.own(dot) && dot.counter() > self.kept
    }

    /// Whether all dots of this replica come before `dot`, which is another's, in the order that is the same everywhere.
    pub(crate) fn comes_before(&self, dot: LocalDot) -> bool {
        !self.own(dot) && self.table.id(dot.replica()) > self.table.id(self.replica)
    }

    /// The row of this replica, and its id.
    pub(crate) fn row(&self) -> ReplicaIndex {
        self.replica
    }

    pub(crate) fn id(&self) -> ReplicaId {
        self.table.id(self.replica)
    }

    pub(crate) fn table(&self) -> &ReplicaTable {
        &self.table
    }

    /// Covers a live dot that leaves the state at `place`, with the content that undoing must bring back.
    pub(crate) fn take(&mut self, place: PlaceId, dot: LocalDot, content: &impl Content) {
        if self.cover(place, dot) {
            content.keep(&mut self.draft, place, dot);
        }
    }

    /// As [`take`](Self::take), of consecutive dots with encoded contents that are equally long.
    pub(crate) fn take_run(&mut self, place: PlaceId, first: LocalDot, count: u32, contents: &[u8]) {
        self.covered = true;
        // What was there before this transaction stands before what it wrote.
        let before = if self.own(first) {
            self.before.counter().saturating_sub(first.counter() - 1)
        } else {
            u64::MAX
        };
        let old = u32::try_from(before).unwrap_or(u32::MAX).min(count);
        if old > 0 {
            let contents = &contents[..contents.len() / count as usize * old as usize];
            self.draft.cover_run(place, first, old);
            self.draft.keep_run(place, &Span { first, count: old, contents });
        }
        if old < count {
            self.draft
                .unput_run(LocalDot::new(first.replica(), first.counter() + u64::from(old)), count - old);
        }
    }

    /// Covers a live dot that leaves the state at `place`. Says whether it was there before the transaction.
    pub(crate) fn cover(&mut self, place: PlaceId, dot: LocalDot) -> bool {
        self.covered = true;
        let was_there = !self.minted(dot);
        if was_there {
            self.draft.cover(place, dot);
        } else {
            self.draft.unput(dot);
        }
        was_there
    }

    /// Gives a transaction that only removed its dot: equal versions must mean equal states.
    pub(crate) fn close(&mut self) {
        if self.covered && self.last == self.before {
            self.dot();
        }
    }

    /// The dots minted: `before + 1 ..= last`.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.before.counter() + 1, self.last.counter())
    }
}
