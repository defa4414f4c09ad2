//! What changes travel as: one untyped tree for every type.
//!
//! A delta is `{ deps, events, tree }`. Each node of the tree may *carry* dots with their content and may *cover*
//! dots; joining takes in carried dots that are not known yet and drops, under that node, every live dot that is covered
//! and not carried. Because all types travel as the same tree, grouping, checking, translating and encoding are written
//! once, and a replica can keep and pass on what it does not understand.

mod branch;
mod door;
mod draft;
mod group;
mod number;
mod span;
mod tree;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use smallvec::SmallVec;

use crate::causal::{CausalContext, LocalDot, ReplicaId, ReplicaIndex, ReplicaTable, Version};
use crate::store::{Crdt, Opaque};

pub(crate) use branch::Branch;
pub use door::Mismatch;
pub(crate) use door::{check_tree, leaf, repeats_a_key};
pub(crate) use draft::{Draft, PlaceId, ROOT};
pub(crate) use group::group;
pub(crate) use number::{Number, read_signed, read_unsigned};
pub(crate) use span::{Span, Spans, drop_dots, join as join_spans, retain as retain_spans};
pub(crate) use tree::packed;
pub use tree::{Bytes, DeltaTree, Node, TreeWriter};
pub(crate) use tree::{Contents, Counted, Flat, NO_NODE, Said, Weighed};

/// About what a row of a replica table takes.
pub(crate) const ROW_BYTES: usize = 64;

/// A run of one replica's consecutive dots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    pub(crate) replica: ReplicaIndex,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// The untyped content of a [`Delta`].
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) table: Arc<ReplicaTable>,
    /// What must be known before, beside what `events` implies: each run needs everything of its replica before it.
    pub(crate) deps: SmallVec<[(ReplicaIndex, u64); 2]>,
    pub(crate) events: SmallVec<[Run; 1]>,
    pub(crate) tree: DeltaTree,
    /// Whether it is a whole state rather than a change: its events are everything up to a version.
    pub(crate) is_state: bool,
    /// In memory only: how many dots of others the author knew when it wrote this.
    pub(crate) author_epoch: Option<u64>,
}

/// A change of a `T`: what one or several transactions did, ready to be merged anywhere or encoded.
///
/// Cheap to clone. A delta decoded from bytes has been checked against `T` already.
#[must_use = "others learn of what was written by its delta; what they get later waits for it"]
pub struct Delta<T: Crdt> {
    pub(crate) parts: Arc<Parts>,
    marker: PhantomData<fn() -> T>,
}

impl<T: Crdt> Clone for Delta<T> {
    fn clone(&self) -> Self {
        Self::from_parts(Arc::clone(&self.parts))
    }
}

impl<T: Crdt> fmt::Debug for Delta<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delta")
            .field("deps", &self.deps())
            .field("to", &self.events())
            .finish_non_exhaustive()
    }
}

impl<T: Crdt> Delta<T> {
    pub(crate) fn from_parts(parts: Arc<Parts>) -> Self {
        Self { parts, marker: PhantomData }
    }

    /// The same delta without its type: for those who store, group and pass on what they do not read.
    pub fn erase(&self) -> Delta<Opaque> {
        Delta::from_parts(Arc::clone(&self.parts))
    }

    /// Whether it says nothing: what an update that changed nothing returns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.events.is_empty()
    }

    /// What a replica must know before it can take this in.
    #[must_use]
    pub fn deps(&self) -> Version {
        let implied = self.parts.events.iter().map(|run| (run.replica, run.first - 1));
        self.parts.deps.iter().copied().chain(implied).map(|(row, n)| (self.parts.table.id(row), n)).collect()
    }

    /// What a replica knows, at least, once it has taken this in.
    #[must_use]
    pub fn events(&self) -> Version {
        self.parts.events.iter().map(|run| (self.parts.table.id(run.replica), run.last)).collect()
    }

    /// How many dots it brings.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.parts.events.iter().map(|run| run.last - run.first + 1).sum()
    }

    /// About how much heap it takes, in bytes: for deciding how much to group.
    #[must_use]
    pub fn size_hint(&self) -> usize {
        self.parts.weight()
    }

    /// Joins the author's next transaction onto this delta, so that both travel as one; `false` and no change if
    /// `next` is not the same author's next, or if the author took in a remote event between the two.
    ///
    /// SUBTLE: groups that overlap otherwise can wait for each other in a pending buffer for ever.
    pub fn append(&mut self, next: &Self) -> bool {
        let (ours, theirs) = (&self.parts, &next.parts);
        let same_epoch = ours.author_epoch.is_some() && ours.author_epoch == theirs.author_epoch;
        let consecutive = match (&ours.events[..], &theirs.events[..]) {
            ([ours], [theirs]) => ours.replica == theirs.replica && ours.last + 1 == theirs.first,
            _ => false,
        };
        if !same_epoch || !consecutive || !theirs.table.extends(&ours.table) {
            return false;
        }
        let deps = ours.deps.clone();
        let author_epoch = ours.author_epoch;
        let mut joined = group(&[ours, theirs], &[]).into_parts(Arc::clone(&theirs.table));
        joined.deps = deps;
        // A later transaction may cover dots of replicas the first had nothing to do with.
        for &(row, counter) in &theirs.deps {
            add_dependency(&mut joined.deps, row, counter);
        }
        joined.author_epoch = author_epoch;
        self.parts = Arc::new(joined);
        true
    }
}

impl Parts {
    /// A delta that says nothing, in the rows of `table`.
    pub(crate) fn empty(table: Arc<ReplicaTable>) -> Self {
        Self {
            table,
            deps: SmallVec::new(),
            events: SmallVec::new(),
            tree: DeltaTree::default(),
            is_state: false,
            author_epoch: None,
        }
    }

    /// Has it say nothing again, in the rows of `table`.
    pub(crate) fn clear(&mut self, table: &Arc<ReplicaTable>) {
        if !Arc::ptr_eq(&self.table, table) {
            self.table = Arc::clone(table);
        }
        self.deps.clear();
        self.events.clear();
        self.tree.clear();
        self.is_state = false;
        self.author_epoch = None;
    }

    /// The dots it brings.
    pub(crate) fn event_context(&self) -> CausalContext {
        let mut events = CausalContext::default();
        for run in &self.events {
            events.insert_run(run.replica, run.first, run.last);
        }
        events
    }

    /// The dots that have content in it.
    pub(crate) fn carried(&self) -> CausalContext {
        self.tree.carried()
    }

    /// The dots that some node of it covers.
    pub(crate) fn covered(&self) -> CausalContext {
        self.tree.covered()
    }

    /// Whether it brings the same events and depends on the same: of one history, then, it is the same delta.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        // The sum tells most apart without sorting.
        let reach = |parts: &Self| parts.events.iter().fold(0_u64, |sum, run| sum.wrapping_add(run.last));
        (self.events.len(), self.deps.len(), reach(self))
            == (other.events.len(), other.deps.len(), reach(other))
            && self.runs_by_id() == other.runs_by_id()
            && self.deps_by_id() == other.deps_by_id()
    }

    fn runs_by_id(&self) -> Vec<(ReplicaId, u64, u64)> {
        let named = |run: &Run| (self.table.id(run.replica), run.first, run.last);
        let mut runs: Vec<_> = self.events.iter().map(named).collect();
        runs.sort_unstable();
        runs
    }

    fn deps_by_id(&self) -> Vec<(ReplicaId, u64)> {
        let mut deps: Vec<_> =
            self.deps.iter().map(|&(row, counter)| (self.table.id(row), counter)).collect();
        deps.sort_unstable();
        deps
    }

    /// The `at`th thing that must be known before it can be applied: a dependency, or what its `at`th run follows on.
    pub(crate) fn need(&self, at: usize) -> Option<(ReplicaId, u64)> {
        let (row, counter) = match at.checked_sub(self.deps.len()) {
            None => self.deps[at],
            Some(at) => self.events.get(at).map(|run| (run.replica, run.first - 1))?,
        };
        Some((self.table.id(row), counter))
    }

    /// An estimate of the heap it takes, for bounded buffers.
    pub(crate) fn weight(&self) -> usize {
        // The table of a delta of our own is shared with the replica; that of one from outside has only rows it uses.
        let rows = self.table.len().min(self.deps.len() + self.events.len() + self.tree.names());
        let deps = if self.deps.spilled() { self.deps.len() * size_of::<(ReplicaIndex, u64)>() } else { 0 };
        let events = if self.events.spilled() { self.events.len() * size_of::<Run>() } else { 0 };
        size_of::<Self>() + rows * ROW_BYTES + deps + events + self.tree.weight()
    }
}

fn add_dependency(deps: &mut SmallVec<[(ReplicaIndex, u64); 2]>, row: ReplicaIndex, counter: u64) {
    match deps.iter_mut().find(|(known, _)| *known == row) {
        Some((_, at)) => *at = (*at).max(counter),
        None => deps.push((row, counter)),
    }
}

/// The dots as they are called in another table.
pub(crate) fn translate(dot: LocalDot, rows: &[ReplicaIndex]) -> LocalDot {
    LocalDot::new(rows[dot.replica() as usize], dot.counter())
}
