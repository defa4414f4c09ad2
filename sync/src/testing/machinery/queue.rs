//! What is going to happen, in order of time, and of two things at the same time the one that was planned first.

use std::collections::BTreeMap;

use super::links::LinkState;
use crate::PeerId;
use crate::engine::{Input, SessionId};

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// A node's clock rings.
    Tick { node: usize, life: u64 },
    /// A disk has finished what it was doing.
    Disk { node: usize, life: u64 },
    /// News for a node from its own driver.
    News { node: usize, life: u64, input: Input },
    /// A frame reaches the other end of a session.
    Frame { session: SessionId, end: usize, frame: Vec<u8> },
    /// A gossip payload reaches a node.
    Gossip { node: usize, life: u64, from: PeerId, payload: Vec<u8> },
    /// A dial reaches the node that is dialled.
    Knock { from: usize, life: u64, to: usize, known: bool, address: String },
    /// One end of a session learns that it stands.
    Up { session: SessionId, end: usize },
    /// A link changes.
    Link { a: usize, b: usize, state: LinkState },
    /// One end of a session learns that it is over.
    Down { session: SessionId, end: usize },
}

/// What is planned.
#[derive(Debug, Default)]
pub struct Queue {
    planned: u64,
    waiting: BTreeMap<(u64, u64), Happening>,
}

impl Queue {
    pub(super) fn push(&mut self, at: u64, what: Happening) {
        self.planned += 1;
        self.waiting.insert((at, self.planned), what);
    }

    /// The next thing to happen, if it does by `until`.
    pub(super) fn pop(&mut self, until: u64) -> Option<(u64, Happening)> {
        let (&(at, _), _) = self.waiting.first_key_value()?;
        if at > until {
            return None;
        }
        self.waiting.pop_first().map(|((at, _), what)| (at, what))
    }

    /// Links stay as they are.
    pub(super) fn forget_links(&mut self) {
        self.waiting.retain(|_, what| !matches!(what, Happening::Link { .. }));
    }

    /// How much is planned.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
