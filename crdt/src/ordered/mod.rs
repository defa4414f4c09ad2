//! What texts and lists have in common: elements in an order that several write to at once, as dots.
//!
//! A node carries the elements, each under its own dot; below it stand the heads, which say where runs hang (`head`), and items that name
//! heads of which nothing is left, to be forgotten.

mod changes;
mod content;
mod cursor;
mod head;
mod store;
mod write;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::causal::{LocalDot, ReplicaIndex, ReplicaTable};
use crate::delta::Bytes;
use crate::sequence::{Items, Sequence};
pub(crate) use changes::Order;
pub(crate) use content::Elements;
pub(crate) use cursor::Letter;
pub use cursor::{Bias, Cursor};
use head::Told;
pub(crate) use head::{readable_head, renamed};

/// No row.
const ABSENT: ReplicaIndex = ReplicaIndex::MAX;

/// Elements in their order, with their dots.
pub(crate) struct Ordered<C: Items + ?Sized> {
    pub(crate) sequence: Sequence<C>,
    rows: Rows,
    /// Heads that were told otherwise than this program tells them, as they were told.
    odd: BTreeMap<LocalDot, Told>,
    /// What names frozen runs, as it was told, by its dots as the replica calls them.
    frozen: BTreeMap<LocalDot, Bytes>,
    /// The heads that it names, as the sequence calls them.
    named: BTreeSet<LocalDot>,
}

impl<C: Items + ?Sized> Default for Ordered<C> {
    fn default() -> Self {
        Self {
            sequence: Sequence::default(),
            rows: Rows::default(),
            odd: BTreeMap::new(),
            frozen: BTreeMap::new(),
            named: BTreeSet::new(),
        }
    }
}

impl<C: Items + ?Sized> Clone for Ordered<C> {
    fn clone(&self) -> Self {
        Self {
            sequence: self.sequence.clone(),
            rows: self.rows.clone(),
            odd: self.odd.clone(),
            frozen: self.frozen.clone(),
            named: self.named.clone(),
        }
    }
}

impl<C: Items + ?Sized> Ordered<C> {
    /// How many elements there are.
    pub(crate) fn len(&self) -> usize {
        self.sequence.width().scalars
    }
}

/// How the rows of the replica's table and those of the sequence are called by one another.
#[derive(Clone, Default)]
struct Rows {
    /// By row of the replica's table.
    inner: Vec<ReplicaIndex>,
    /// By row of the sequence; [`ABSENT`] for replicas of which nothing but their id is known.
    outer: Vec<ReplicaIndex>,
}

impl Rows {
    /// The row in the sequence, made if there is none.
    fn open<C: Items + ?Sized>(
        &mut self,
        row: ReplicaIndex,
        table: &ReplicaTable,
        sequence: &mut Sequence<C>,
    ) -> ReplicaIndex {
        if let Some(&inner) = self.inner.get(row as usize).filter(|inner| **inner != ABSENT) {
            return inner;
        }
        let inner = sequence.row(table.id(row));
        put(&mut self.inner, row, inner);
        put(&mut self.outer, inner, row);
        inner
    }

    /// A dot of the sequence as the replica calls it.
    fn outer(&self, dot: LocalDot) -> LocalDot {
        LocalDot::new(self.outer[dot.replica() as usize], dot.counter())
    }
}

fn put(rows: &mut Vec<ReplicaIndex>, at: ReplicaIndex, row: ReplicaIndex) {
    if rows.len() <= at as usize {
        rows.resize(at as usize + 1, ABSENT);
    }
    rows[at as usize] = row;
}

/// What a [`DotStore`](crate::store::DotStore) walks of which all is in the field `body`.
macro_rules! walks {
    ($body:ty) => {
        fn take_in(&mut self, node: $crate::delta::Node<'_>, join: &mut $crate::store::Join<'_>) {
            self.body.take_in(node, join);
        }

        fn settle(&mut self) {
            self.body.settle();
        }

        fn retain(&mut self, keep: &mut dyn FnMut($crate::causal::LocalDot) -> bool) {
            self.body.retain(keep);
        }

        fn drop_covered(&mut self, cover: $crate::causal::Dots<'_>, join: &$crate::store::Join<'_>) {
            self.body.drop_covered(cover, join);
        }

        fn dots(&self, each: &mut dyn FnMut($crate::causal::LocalDot)) {
            self.body.dots(each);
        }

        fn carry(
            &self,
            wanted: &dyn Fn($crate::causal::LocalDot) -> bool,
            writer: &mut $crate::delta::TreeWriter<'_>,
        ) {
            self.body.carry(wanted, writer);
        }

        fn is_bottom(&self) -> bool {
            self.body.is_bottom()
        }

        fn shows(&self) -> bool {
            self.body.shows()
        }

        fn check(node: $crate::delta::Node<'_>) -> Result<(), $crate::delta::Mismatch> {
            <$body>::check(node)
        }
    };
}
pub(crate) use walks;
