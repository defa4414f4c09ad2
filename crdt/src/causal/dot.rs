//! Names one item.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::ReplicaId;

/// The largest counter a replica may reach in one document: 2^40 - 1, about 10^12 items.
pub const MAX_COUNTER: u64 = (1 << COUNTER_BITS) - 1;
/// The largest number of replica ids in one document: 2^24, about 16 million.
pub const MAX_REPLICAS: usize = 1 << 24;

const COUNTER_BITS: u32 = 40;

/// Names one item of one document: the `counter`th thing that `replica` wrote, counted from 1.
///
/// An item is one leaf of content that lives in exactly one place, or an event without content, such as a removal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "UncheckedDot")]
pub struct Dot {
    /// Who wrote it.
    pub replica: ReplicaId,
    /// The how-manieth item of that replica it is, from 1.
    pub counter: u64,
}

#[derive(Deserialize)]
struct UncheckedDot {
    replica: ReplicaId,
    counter: u64,
}

/// A counter outside 1..=[`MAX_COUNTER`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the counter of a dot must lie within 1 and {MAX_COUNTER}, this one is {0}")]
pub struct BadCounter(u64);

impl TryFrom<UncheckedDot> for Dot {
    type Error = BadCounter;

    fn try_from(UncheckedDot { replica, counter }: UncheckedDot) -> Result<Self, BadCounter> {
        Self::checked(replica, counter)
    }
}

impl Dot {
    /// A dot as it is displayed.
    pub(crate) fn parsed(text: &str) -> Option<Self> {
        let (counter, replica) = text.split_once('@')?;
        Self::checked(replica.parse().ok()?, counter.parse().ok()?).ok()
    }

    /// # Errors
    /// With a counter that none has.
    pub(crate) fn checked(replica: ReplicaId, counter: u64) -> Result<Self, BadCounter> {
        if (1..=MAX_COUNTER).contains(&counter) {
            Ok(Self { replica, counter })
        } else {
            Err(BadCounter(counter))
        }
    }
}

/// Its number and its author, as in `3@8c15…`.
impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.counter, self.replica)
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}", self.replica, self.counter)
    }
}

/// A replica's row in a [`ReplicaTable`](super::ReplicaTable).
pub type ReplicaIndex = u32;

/// A [`Dot`] whose replica id is replaced by its row in a [`ReplicaTable`](super::ReplicaTable): eight bytes.
///
/// Ordered by row, then counter, so that consecutive dots of one replica are consecutive numbers. The order of rows
/// is the order of arrival and means nothing: where an order must be the same everywhere, use
/// [`ReplicaTable::compare`](super::ReplicaTable::compare).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDot(u64);

impl LocalDot {
    /// INVARIANT: `counter` is at most [`MAX_COUNTER`] and `replica` below [`MAX_REPLICAS`]; the doors check it.
    pub(crate) fn new(replica: ReplicaIndex, counter: u64) -> Self {
        debug_assert!(counter <= MAX_COUNTER && (replica as usize) < MAX_REPLICAS);
        Self((u64::from(replica) << COUNTER_BITS) | counter)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// The row of its replica.
    #[must_use]
    pub const fn replica(self) -> ReplicaIndex {
        (self.0 >> COUNTER_BITS) as ReplicaIndex
    }

    /// Its counter.
    #[must_use]
    pub const fn counter(self) -> u64 {
        self.0 & MAX_COUNTER
    }
}

impl fmt::Debug for LocalDot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}:{}", self.replica(), self.counter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_dot_of_the_last_row_takes_all_bits() {
        let last = LocalDot::new((MAX_REPLICAS - 1) as ReplicaIndex, MAX_COUNTER);
        assert_eq!(last.bits(), u64::MAX);
        assert_eq!((last.replica() as usize, last.counter()), (MAX_REPLICAS - 1, MAX_COUNTER));
        assert_eq!(alloc::format!("{last:?}"), "#16777215:1099511627775");
        assert_eq!(LocalDot::new(1, 0).bits(), 1 << 40);
    }
}
