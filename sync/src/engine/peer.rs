//! One peer with a session: what it has proved, what it has said, what is under way.

use std::sync::Arc;

use tombolo_crdt::{ReplicaId, SessionNames, Version};

use super::compare::Comparing;
use super::direct::Direct;
use super::effect::{SessionId, Transport};
use super::frame::{COMPARES, Hello};
use super::line::Line;
use super::part::Wants;
use super::serve::Serving;
use super::sketch::Key;
use super::tell::Asked;
use super::versions::{Digest, Versions};
use crate::DocId;

/// How many entries a peer's versions may have in all. A peer that says more is not believed any further.
const MAX_ENTRIES: usize = 1 << 20;

/// A peer with a session.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) session: SessionId,
    pub(crate) address: Option<String>,
    pub(crate) transport: Transport,
    /// When the session began.
    pub(crate) since: u64,
    /// When anything was heard last.
    pub(crate) heard: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) ours: Hello,
    pub(crate) theirs: Option<Hello>,
    /// When to say something by ourselves: a greeting again, or a beat.
    pub(crate) next_word: u64,
    pub(crate) phase: Phase,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// It has not proved yet that it belongs here; it is told nothing.
    Greeting,
    /// It has.
    Ready(Box<Ready>),
}

/// What is known of a peer that has proved itself.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// `None` until it has introduced itself.
    pub(crate) replica: Option<ReplicaId>,
    /// Under which id we have introduced ourselves last, its number, and how many marks of our line we have told.
    pub(crate) introduced: Option<(ReplicaId, u32, u64)>,
    /// The number of the id by which it goes, and the line that it has told.
    pub(crate) said: (u32, Line),
    /// Under which id of ours it has said what it knows of us.
    pub(crate) answered: Option<ReplicaId>,
    /// How many of the marks of our line it knows.
    pub(crate) knows: u64,
    /// Which replica ids go by numbers in what we send it; `None` before we have introduced ourselves.
    pub(crate) told: Option<Arc<SessionNames>>,
    /// The same of what it sends us.
    pub(crate) names: Option<Arc<SessionNames>>,
    /// What it holds durably, as it said itself.
    pub(crate) have: Versions,
    /// What we held when we last sent it a sketch of that, with the sketch's key.
    pub(crate) sketched: Option<(Key, Versions)>,
    /// What it holds but for what differs, where we answered its sketch and it is going to say that, with the sketch's key.
    pub(crate) answered_sketch: Option<(Key, Versions)>,
    /// It has been told what we hold, though it may have sent a sketch before it heard that: this one need not be answered.
    pub(crate) is_spared: bool,
    /// How many cells the last sketch had.
    pub(crate) cells: usize,
    /// A full list that is still arriving.
    pub(crate) arriving: Option<Versions>,
    /// Whether a full list has arrived in this session.
    pub(crate) listed: bool,
    /// When to ask for a full list again at the earliest, and the pause after that.
    pub(crate) ask_at: u64,
    pub(crate) ask_pause: u64,
    pub(crate) round_trip: Option<u64>,
    /// What it asked us for.
    pub(crate) serving: Serving,
    /// What is pushed in its session.
    pub(crate) direct: Direct,
    /// When content was last pulled from it.
    pub(crate) last_repair: Option<u64>,
    /// What it wants to be told when it is durable here.
    pub(crate) asked: Asked,
    /// What it wants, as it said itself.
    pub(crate) wants: Option<Wants>,
    /// Up to which number it knows what we want.
    pub(crate) knows_wants: u64,
    /// What was compared with it.
    pub(crate) comparing: Comparing,
    /// How far its clock is ahead of ours, as far as one message can tell.
    pub(crate) skew_millis: i64,
}

impl Peer {
    /// Whether it understands what this feature of a hello stands for.
    pub(crate) fn understands(&self, feature: u64) -> bool {
        self.theirs.as_ref().is_some_and(|hello| hello.features & feature != 0)
    }

    /// Whether it understands what speaks of two states of one version.
    pub(crate) fn compares(&self) -> bool {
        self.understands(COMPARES)
    }

    pub(crate) fn ready(&self) -> Option<&Ready> {
        match &self.phase {
            Phase::Ready(ready) => Some(ready),
            Phase::Greeting => None,
        }
    }

    pub(crate) fn ready_mut(&mut self) -> Option<&mut Ready> {
        match &mut self.phase {
            Phase::Ready(ready) => Some(ready),
            Phase::Greeting => None,
        }
    }
}

impl Ready {
    /// Believes that the peer holds this, within bounds.
    pub(crate) fn believe(&mut self, doc: DocId, version: &Version, max_documents: usize) {
        for versions in [Some(&mut self.have), self.arriving.as_mut()].into_iter().flatten() {
            let is_new = versions.get(doc).is_none();
            let has_room = versions.entries() + version.len() <= MAX_ENTRIES;
            if has_room && (!is_new || versions.len() < max_documents) {
                versions.raise(doc, version);
            }
        }
    }

    /// Whether it has told who it is, all it holds, and what it knows of who goes by our replica id.
    pub(crate) fn has_told_all(&self, us: ReplicaId) -> bool {
        self.replica.is_some() && self.listed && self.answered == Some(us)
    }

    /// Whether what we believe of the peer is what it says itself.
    pub(crate) fn is_right(&self, digest: &Digest) -> bool {
        self.have.digest() == *digest
    }
}
