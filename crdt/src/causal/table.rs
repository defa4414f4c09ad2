//! Replica ids interned to small integers.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Dot, LocalDot, ReplicaId, ReplicaIndex};

/// Gives each replica id of one document a small integer, in order of arrival.
///
/// Rows are never reused or moved, so a [`LocalDot`] stays valid as long as its table.
#[derive(Clone, Default, Debug)]
pub struct ReplicaTable {
    ids: Vec<ReplicaId>,
    rows: BTreeMap<ReplicaId, ReplicaIndex>,
}

impl ReplicaTable {
    /// The row of `id`, added if it is new.
    pub(crate) fn intern(&mut self, id: ReplicaId) -> ReplicaIndex {
        *self.rows.entry(id).or_insert_with(|| {
            self.ids.push(id);
            (self.ids.len() - 1) as ReplicaIndex
        })
    }

    /// The row of `id`, if it has one.
    #[must_use]
    pub fn row(&self, id: ReplicaId) -> Option<ReplicaIndex> {
        self.rows.get(&id).copied()
    }

    /// The id in a row.
    ///
    /// # Panics
    /// If the row is of another table.
    #[must_use]
    pub fn id(&self, row: ReplicaIndex) -> ReplicaId {
        self.ids[row as usize]
    }

    /// How many replicas there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether any replica's row in `other` differs from its row here: if not, dots of `other` can be used as they are.
    pub(crate) fn extends(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.ids.starts_with(&other.ids)
    }

    pub(crate) fn ids(&self) -> &[ReplicaId] {
        &self.ids
    }

    /// The dot with its replica's full id.
    #[must_use]
    pub fn dot(&self, dot: LocalDot) -> Dot {
        Dot { replica: self.id(dot.replica()), counter: dot.counter() }
    }

    /// The order of dots that is the same at every replica: by replica id, then counter.
    #[must_use]
    pub fn compare(&self, a: LocalDot, b: LocalDot) -> Ordering {
        if a.replica() == b.replica() {
            return a.cmp(&b);
        }
        self.id(a.replica()).cmp(&self.id(b.replica()))
    }
}
