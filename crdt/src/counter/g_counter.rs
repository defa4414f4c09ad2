//! A counter that only goes up.
//!
//! *Merge rule*: the value is the sum of everything any replica added. *Concurrent pair*: both count.
//! *Metadata*: as [`PnCounter`](super::PnCounter). *Lost on conflict*: nothing. *Source*: Shapiro et al. 2011.

use alloc::borrow::Cow;

use serde::Serializer;

use super::pieces::{Pieces, pieces_store};
use crate::delta::Node;
use crate::store::{Crdt, DotStore, Gathered, Join, Look, Mut, Seen};

/// A counter that only goes up.
///
/// ```
/// use tombolo_crdt::{GCounter, Replica, ReplicaId};
///
/// let mut ann = Replica::<GCounter>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<GCounter>::new(ReplicaId::from_bytes([2; 16]));
/// // At the same time:
/// let (_, hers) = ann.update(|visits| visits.inc(1));
/// let (_, his) = bob.update(|visits| visits.inc(1));
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// assert_eq!((ann.value(), bob.value()), (2, 2));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
///
/// A replica's own sum stops at `u64::MAX`, and so does [`value`](Self::value).
#[derive(Clone, Default, Debug)]
pub struct GCounter {
    pieces: Pieces<u64>,
}

impl GCounter {
    /// The sum. O(pieces).
    #[must_use]
    pub fn value(&self) -> u64 {
        self.pieces.value().clamp(0, u64::MAX.into()) as u64
    }
}

impl Mut<'_, GCounter> {
    /// Adds `by`. Adding 0 does nothing.
    #[inline]
    pub fn inc(&mut self, by: u64) {
        if by == 0 {
            return;
        }
        let removable = self.removable;
        self.state.pieces.add(&by, self.place, self.tx, removable);
    }
}

impl Crdt for GCounter {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("GCounter")
    }
}

impl DotStore for GCounter {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.pieces.take_in(node, join);
    }

    pieces_store!(u64);

    fn look(&self, _: Look<'_>) -> Seen {
        Seen::count(self.value())
    }

    fn changed(&self, before: &Seen, gathered: &mut Gathered) {
        gathered.count(before, self.value().into());
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.value())
    }
}
