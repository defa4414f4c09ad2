//! A write and what became of it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tombolo_crdt::Version;

use super::NodeId;
use crate::engine::Written;

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Durable,
    Lost,
}

/// A write in a [`Network`](super::Network): visible at its node at once, and durable there some milliseconds later, or lost.
///
/// ```
/// # use std::time::Duration;
/// # use tombolo_crdt::PnCounter;
/// # use tombolo_sync::testing::Network;
/// let mut net = Network::new(7);
/// let [ann] = net.nodes(["ann"]);
/// let visits = net.open::<PnCounter>(ann, "visits");
///
/// let kept = net.update(ann, &visits, |counter| counter.inc(1));
/// net.run_for(Duration::from_millis(100));
/// assert!(kept.is_durable());
///
/// let lost = net.update(ann, &visits, |counter| counter.inc(1));
/// net.crash(ann);
/// assert!(lost.is_lost());
/// ```
pub struct Commit<R> {
    value: R,
    node: NodeId,
    written: Written,
    fate: Arc<OnceLock<Fate>>,
}

impl<R> Commit<R> {
    pub(super) fn new(value: R, node: NodeId, written: Written) -> Self {
        Self { value, node, written, fate: Arc::default() }
    }

    /// Where it was written, and what.
    pub(super) fn place(&self) -> (NodeId, &Written) {
        (self.node, &self.written)
    }

    pub(super) fn fate(&self) -> &Arc<OnceLock<Fate>> {
        &self.fate
    }

    /// What the closure returned.
    #[must_use]
    pub fn value(&self) -> &R {
        &self.value
    }

    /// What the node knew of the document right after the write.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.written.version
    }

    /// Whether it is on the disk: whatever happens to the node, it will be there.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.fate.get() == Some(&Fate::Durable)
    }

    /// Whether it is gone: the disk refused it, or the node crashed before it was on the disk. No node will ever have it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.fate.get() == Some(&Fate::Lost)
    }
}

impl<R> fmt::Debug for Commit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.fate.get() {
            None => "neither durable nor lost yet",
            Some(Fate::Durable) => "durable",
            Some(Fate::Lost) => "lost",
        };
        f.debug_struct("Commit")
            .field("version", &self.written.version)
            .field("fate", &fate)
            .finish_non_exhaustive()
    }
}
