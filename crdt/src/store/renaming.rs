//! Other names for what a replica wrote.

use crate::causal::{Dot, LocalDot, ReplicaId, ReplicaIndex};

/// What one replica id wrote after some event is another's, whose events count from there
/// ([`Replica::disown`](crate::Replica::disown)).
#[derive(Debug)]
pub struct Renaming {
    pub(crate) of: ReplicaId,
    pub(crate) after: u64,
    pub(crate) id: ReplicaId,
    /// The row of that.
    pub(crate) row: ReplicaIndex,
}

impl Renaming {
    fn is_about(&self, dot: Dot) -> bool {
        dot.replica == self.of && dot.counter > self.after
    }

    pub(crate) fn dot(&self, dot: Dot) -> Dot {
        let other = Dot { replica: self.id, counter: dot.counter.saturating_sub(self.after) };
        if self.is_about(dot) { other } else { dot }
    }

    /// A dot that is called so in the replica's rows.
    pub(crate) fn local(&self, dot: Dot, local: LocalDot) -> LocalDot {
        if self.is_about(dot) { LocalDot::new(self.row, dot.counter - self.after) } else { local }
    }
}
