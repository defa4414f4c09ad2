//! A counter that goes up and down.
//!
//! *Merge rule*: the value is the sum of everything any replica added. *Concurrent pair*: both count.
//! *Metadata*: where nothing above can be removed one cumulative amount a replica; below a map entry one amount a
//! transaction, because removing the entry must take exactly the increments it saw, until a sweep sums up what all know (`pieces`).
//! *Lost on conflict*: nothing.
//! *Source*: Shapiro et al. 2011, as dots after Almeida, Shoker, Baquero 2018; pieces after Baquero, Almeida, Lerche 2016.

use alloc::borrow::Cow;

use serde::Serializer;

use super::pieces::{Pieces, pieces_store};
use crate::delta::Node;
use crate::store::{Crdt, DotStore, Gathered, Join, Look, Mut, Seen};

/// A counter that goes up and down.
///
/// ```
/// use tombolo_crdt::{PnCounter, Replica, ReplicaId};
///
/// let mut ann = Replica::<PnCounter>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<PnCounter>::new(ReplicaId::from_bytes([2; 16]));
/// // At the same time:
/// let (_, up) = ann.update(|counter| counter.inc(5));
/// let (_, down) = bob.update(|counter| counter.dec(2));
/// ann.merge(down)?;
/// bob.merge(up)?;
/// assert_eq!((ann.value(), bob.value()), (3, 3));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
///
/// The sum is exact, however large; [`value`](Self::value) is what of it lies within the bounds of `i64`. A replica whose own sum
/// leaves them keeps a second amount, and another one for each time that it goes as far again, until it comes back.
#[derive(Clone, Default, Debug)]
pub struct PnCounter {
    pieces: Pieces<i64>,
}

impl PnCounter {
    /// The sum. O(pieces).
    #[must_use]
    pub fn value(&self) -> i64 {
        self.pieces.value().clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

impl Mut<'_, PnCounter> {
    /// Adds `by`, or `i64::MAX` if that is less.
    #[inline]
    pub fn inc(&mut self, by: u64) {
        self.add(i64::try_from(by).unwrap_or(i64::MAX));
    }

    /// Subtracts `by`, or 2^63 if that is less.
    #[inline]
    pub fn dec(&mut self, by: u64) {
        self.add(i64::try_from(by).map_or(i64::MIN, |by| -by));
    }

    /// Adds `by`, which may be negative. Adding 0 does nothing.
    #[inline]
    pub fn add(&mut self, by: i64) {
        if by == 0 {
            return;
        }
        let removable = self.removable;
        self.state.pieces.add(&by, self.place, self.tx, removable);
    }
}

impl Crdt for PnCounter {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("PnCounter")
    }
}

impl DotStore for PnCounter {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.pieces.take_in(node, join);
    }

    pieces_store!(i64);

    fn look(&self, _: Look<'_>) -> Seen {
        Seen::count(self.value())
    }

    fn changed(&self, before: &Seen, gathered: &mut Gathered) {
        gathered.count(before, self.value().into());
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.value())
    }
}
