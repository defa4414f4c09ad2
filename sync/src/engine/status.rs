//! How synchronisation stands.

use tombolo_crdt::{Garbage, Version};

use super::Engine;
use super::effect::Transport;
use super::members::Membership;
use super::memory::is_own;
use super::peer::Peer;
use super::subscription::Subscription;
use crate::{DocId, PeerId};

/// How a node stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Our key.
    pub peer: PeerId,
    /// What our user calls us.
    pub name: String,
    /// How many documents there are.
    pub documents: usize,
    /// Which of them are held here for good.
    pub subscription: Subscription,
    /// How many documents are held here.
    pub held: usize,
    /// How many of these do not belong to the subscription: they are held until somebody who wants them is known to hold them durably.
    pub kept: usize,
    /// Whether every connected peer has acknowledged our version of every document, and we theirs; `None` without
    /// a connected peer.
    pub in_sync: Option<bool>,
    /// Whether all links are cut on purpose.
    pub isolated: bool,
    /// Whether it is off the network for a while, and goes on when it is told to.
    pub suspended: bool,
    /// Whether this node has left the space.
    pub left: bool,
    /// Everybody we know, connected or not, in order of key.
    pub peers: Vec<PeerStatus>,
}

/// How one peer stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerStatus {
    /// Its key.
    pub peer: PeerId,
    /// What its user calls it.
    pub name: String,
    /// Whether there is a session with it in which it proved that it belongs to the space.
    pub connected: bool,
    /// Whether the link to it is cut on purpose.
    pub blocked: bool,
    /// What carries the session.
    pub transport: Option<Transport>,
    /// The last measured round trip, in milliseconds.
    pub round_trip_millis: Option<u64>,
    /// How many of our items it has not acknowledged as durable; unknown while it is not connected.
    pub lag: Option<u64>,
    /// How many of its items we lack; unknown while it is not connected.
    pub behind: Option<u64>,
    /// Which documents it holds, if it has said so in this session; who says nothing wants everything.
    pub subscription: Option<Subscription>,
    /// The documents of which it holds something else, under the same names of events: nothing of them is exchanged with it
    /// ([`Event::Diverged`](super::Event::Diverged)).
    pub diverged: Vec<DocId>,
    /// Whether both sides hold the same, durably.
    pub in_sync: bool,
    /// Bytes of frames from it, in this session.
    pub bytes_in: u64,
    /// Bytes of frames to it, in this session.
    pub bytes_out: u64,
    /// How long ago content was last pulled from it, in milliseconds.
    pub last_repair_millis: Option<u64>,
    /// How far its clock seemed to be ahead of ours when the session began, in milliseconds.
    pub clock_skew_millis: Option<i64>,
    /// How it belongs to the space; `None` as long as nobody has asked.
    pub membership: Option<Membership>,
    /// Why the last session with it was refused, by it or by us, if it was.
    pub refused: Option<String>,
    /// Where it can be reached.
    pub addresses: Vec<String>,
}

/// How one document stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentStatus {
    /// Which.
    pub id: DocId,
    /// What is known of it here.
    pub version: Version,
    /// What of it is durable here.
    pub durable: Version,
    /// How many connected peers hold exactly what is durable here.
    pub in_sync_with: usize,
    /// How many deltas wait for what they depend on.
    pub pending: usize,
    /// What of it is durable at all members, as far as is known: nobody will write any more without having seen it.
    pub stable: Version,
    /// Which peers hold something else, under the same names of events ([`Event::Diverged`](super::Event::Diverged)).
    pub diverged: Vec<PeerId>,
}

impl DocumentStatus {
    /// Whether all members hold durably all that is known of it here: nothing of it need be remembered for anybody.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.stable == self.version
    }
}

impl Engine {
    /// How this node and its peers stand. O(peers × documents).
    #[must_use]
    pub fn status(&self) -> Status {
        let mut peers: Vec<PeerStatus> = Vec::new();
        for (peer, known) in
            self.book.iter().filter(|(peer, known)| *peer != self.config.peer && known.proved)
        {
            let session = self.peers.get(&peer);
            let ready = session.and_then(Peer::ready);
            peers.push(PeerStatus {
                peer,
                name: known.name.clone(),
                connected: ready.is_some(),
                blocked: known.blocked,
                transport: ready.and(session).map(|session| session.transport),
                round_trip_millis: ready.and_then(|ready| ready.round_trip),
                lag: ready.map(|ready| self.lag_of(peer, ready)),
                behind: ready.map(|ready| self.behind_of(ready)),
                subscription: ready.and_then(|ready| ready.subscription().cloned()),
                diverged: self.diverged_at(peer),
                in_sync: self.is_in_sync_with(peer),
                bytes_in: session.map_or(0, |session| session.bytes_in),
                bytes_out: session.map_or(0, |session| session.bytes_out),
                last_repair_millis: ready
                    .and_then(|ready| ready.last_repair)
                    .map(|at| self.now.millis.saturating_sub(at)),
                clock_skew_millis: ready.map(|ready| ready.skew_millis),
                membership: self.membership(peer),
                refused: known.refused.clone(),
                addresses: known.addresses().cloned().collect(),
            });
        }
        Status {
            peer: self.config.peer,
            name: self.config.name.clone(),
            documents: super::directory::count(self.directory()),
            subscription: self.subscription().clone(),
            held: self.documents.keys().filter(|doc| !is_own(**doc)).count(),
            kept: self.kept_documents().len(),
            in_sync: self.in_sync(),
            isolated: self.isolated,
            suspended: self.suspended,
            left: self.has_left(),
            peers,
        }
    }

    /// Whether a connected peer holds durably what we hold durably, nothing more and nothing less, of what both want, and everything
    /// we have is durable.
    #[must_use]
    pub fn is_in_sync_with(&self, peer: PeerId) -> bool {
        let ready = self.peers.get(&peer).and_then(Peer::ready);
        self.batches.is_idle()
            && self.stale.is_empty()
            // Equal versions say nothing as long as another store may have written under our id.
            && !self.lines.is_apart()
            && self.diverged_at(peer).is_empty()
            && ready.is_some_and(|ready| {
                ready.has_told_all(self.us.replica) && self.is_level_with(peer, ready)
            })
    }

    /// Whether we are in sync with every connected peer; `None` without one.
    #[must_use]
    pub fn in_sync(&self) -> Option<bool> {
        let connected = self.ready_peers();
        (!connected.is_empty()).then(|| connected.into_iter().all(|peer| self.is_in_sync_with(peer)))
    }

    /// How many connected peers are in sync with us.
    #[must_use]
    pub fn in_sync_with(&self) -> usize {
        self.ready_peers().into_iter().filter(|&peer| self.is_in_sync_with(peer)).count()
    }

    /// What a document keeps beside what is read; `None` if it is not there, or on the disk only. Of one that has not been opened it cannot be told what
    /// only remembers removals. Costs two walks over it.
    #[must_use]
    pub fn garbage(&self, doc: DocId) -> Option<Garbage> {
        Some(self.documents.get(&doc).filter(|slot| !slot.is_absent())?.body.garbage())
    }

    /// How one document stands, in memory or on the disk only; `None` if it is not there.
    #[must_use]
    pub fn document_status(&self, doc: DocId) -> Option<DocumentStatus> {
        let slot = self.documents.get(&doc)?;
        let durable = self.durable.get(doc).cloned().unwrap_or_default();
        let ready = self.peers.values().filter_map(Peer::ready);
        let in_sync_with = ready.filter(|ready| ready.have.get(doc) == self.durable.get(doc)).count();
        let (version, pending) = (slot.body.version(), slot.body.waiting());
        let diverged = self.diverged_from(doc);
        let stable = self.stable(doc);
        Some(DocumentStatus { id: doc, version, durable, in_sync_with, pending, stable, diverged })
    }

    /// A digest over everything this node holds durably: equal at two nodes exactly where all documents are.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.durable.digest()
    }

    /// About how many bytes are kept for transfers that are under way. For simulators.
    #[doc(hidden)]
    #[must_use]
    pub fn transfer_bytes(&self) -> usize {
        let serving: usize =
            self.peers.values().filter_map(Peer::ready).map(|ready| ready.serving.bytes()).sum();
        serving + self.pulls.unfinished_bytes()
    }
}
