//! What is known of each replica's elements: its runs, and where their pieces are.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::tree::{NONE, Place};
use crate::causal::{LocalDot, ReplicaId, ReplicaIndex};

/// The element before all others, which nobody wrote: what the first elements of a document stand behind.
pub(crate) const START: LocalDot = LocalDot::from_bits(0);
/// The element behind all others.
pub(super) const END: LocalDot = LocalDot::from_bits(u64::MAX);

/// On which side of its parent an element hangs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Side {
    /// Before the parent.
    Left,
    /// Behind it.
    Right,
}

/// Where the first element of a run hangs. Each of the others hangs behind the one before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Origin {
    pub(crate) parent: LocalDot,
    pub(crate) side: Side,
}

/// The origin of what was written without one, or whose origin has been forgotten.
pub(super) const AT_START: Origin = Origin { parent: START, side: Side::Right };

/// Elements of one replica of which each follows on the one before: those behind the dot of the head, up to the next head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// The counter of the dot that says where it begins; 0 for what stands before all heads.
    pub(super) head: u64,
    pub(super) origin: Origin,
    /// The origin hangs on itself, which nobody can have meant: the run stands at the start.
    pub(super) is_loose: bool,
    /// Nobody who knows it hangs anything on it.
    pub(super) is_frozen: bool,
    /// Of the elements that the first one lies between the nearest above it, as far as that is not the parent: on the left the
    /// nearest in whose right part it lies, on the right the nearest in whose left part.
    pub(super) other: LocalDot,
}

impl Run {
    pub(super) fn new(head: u64, origin: Origin) -> Self {
        Self { head, origin, is_loose: false, is_frozen: false, other: END }
    }

    /// Where it hangs.
    pub(super) fn at(&self) -> Origin {
        if self.is_loose { AT_START } else { self.origin }
    }

    pub(super) fn left(&self) -> LocalDot {
        let at = self.at();
        if at.side == Side::Right { at.parent } else { self.other }
    }

    pub(super) fn right(&self) -> LocalDot {
        let at = self.at();
        if at.side == Side::Left { at.parent } else { self.other }
    }
}

/// What is known of one replica's elements.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: ReplicaId,
    /// Ascending.
    pub(super) runs: Vec<Run>,
    /// In which leaf elements stand: those from a counter on, up to the next.
    pub(super) leaves: BTreeMap<u64, u32>,
    /// The last element that has a place. INVARIANT: all before it in its run have one.
    pub(super) last: u64,
    /// Where the piece with the last element was when it was put there.
    pub(super) end: Place,
}

impl Row {
    /// How many runs begin before an element.
    #[inline]
    pub(super) fn runs_before(&self, counter: u64) -> usize {
        match self.runs.last() {
            Some(last) if last.head >= counter => self.runs.partition_point(|run| run.head < counter),
            _ => self.runs.len(),
        }
    }
}

/// The replicas whose elements are known or hung on: each has a row, which is not that of the replica's table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(super) rows: Vec<Row>,
    by_id: BTreeMap<ReplicaId, ReplicaIndex>,
}

impl Rows {
    pub(super) fn get(&self, row: ReplicaIndex) -> Option<&Row> {
        self.rows.get(row as usize)
    }

    /// The row of a replica, which it has from now on.
    pub(super) fn open(&mut self, id: ReplicaId) -> ReplicaIndex {
        *self.by_id.entry(id).or_insert_with(|| {
            let end = Place { leaf: NONE, at: 0 };
            self.rows.push(Row { id, runs: Vec::new(), leaves: BTreeMap::new(), last: 0, end });
            self.rows.len() as ReplicaIndex - 1
        })
    }

    /// The row of a replica, if it has one.
    pub(crate) fn find(&self, id: ReplicaId) -> Option<ReplicaIndex> {
        self.by_id.get(&id).copied()
    }

    /// Whose row it is.
    pub(crate) fn id(&self, row: ReplicaIndex) -> ReplicaId {
        self.rows[row as usize].id
    }

    /// A row that was opened.
    #[inline]
    pub(super) fn row(&mut self, row: ReplicaIndex) -> &mut Row {
        &mut self.rows[row as usize]
    }

    /// The order of dots that is the same everywhere.
    pub(crate) fn compare(&self, a: LocalDot, b: LocalDot) -> Ordering {
        if a.replica() == b.replica() {
            return a.cmp(&b);
        }
        self.id(a.replica()).cmp(&self.id(b.replica()))
    }

    /// The run of an element.
    #[inline]
    pub(super) fn run(&self, element: LocalDot) -> Run {
        let Some(row) = self.get(element.replica()) else { return Run::new(0, AT_START) };
        match row.runs_before(element.counter()) {
            0 => Run::new(0, AT_START),
            count => row.runs[count - 1],
        }
    }

    /// Whether a dot is that of a run.
    pub(super) fn is_head(&self, dot: LocalDot) -> bool {
        let Some(row) = self.get(dot.replica()) else { return false };
        row.runs.get(row.runs_before(dot.counter())).is_some_and(|run| run.head == dot.counter())
    }

    /// The nearest element in whose right part this one lies.
    #[inline]
    pub(super) fn left(&self, element: LocalDot) -> LocalDot {
        let run = self.run(element);
        if element.counter() == run.head + 1 { run.left() } else { before(element) }
    }

    /// The nearest element in whose left part this one lies.
    pub(super) fn right(&self, element: LocalDot) -> LocalDot {
        if element == START { END } else { self.run(element).right() }
    }

    /// What is known of where a run with this origin stands beside it: its parent has a place.
    pub(super) fn other(&self, at: Origin) -> LocalDot {
        match at.side {
            Side::Right => self.right(at.parent),
            Side::Left => self.left(at.parent),
        }
    }
}

/// The dot before.
pub(super) fn before(dot: LocalDot) -> LocalDot {
    LocalDot::from_bits(dot.bits() - 1)
}
