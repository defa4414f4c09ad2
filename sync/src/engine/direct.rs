//! Live push in the sessions themselves, where these reach everyone whom gossip would.
//!
//! Gossip goes through a task more on either side, is sealed payload by payload, tells replica ids in full, and is passed on by all who
//! hear it: where everybody has a session with everybody, a write crosses most links in vain. So everybody tells its peers with whom
//! else it has a session ([`Frame::Others`]), and who has one with all of those itself sends them what it wrote ([`Frame::Push`]):
//! nobody is left out whom gossip would get to. Who has not gossips, and so does who has many peers, or more under way to one of them
//! than that one is known to take in. Never both of one write.
//!
//! A hint, as what is gossiped: it may be lost. Where what is known of sessions is out of date, somebody is left out, and hears of
//! it by the announcement, 50 ms later.

use tombolo_crdt::{Delta, Opaque};

use super::Engine;
use super::effect::SessionId;
use super::frame::{ContentKind, Frame, PUSHES};
use super::gossip::MAX_PAYLOAD;
use super::live::MAX_PUSH;
use super::memory::Held;
use super::peer::{Peer, Ready};
use super::session::SILENCE;
use crate::{DocId, PeerId};

/// To how many peers at most what is written here is sent one by one, if nothing else is said. To more of them gossip is cheaper: who
/// wrote it sends it to a few, and these pass it on.
pub const DEFAULT_DIRECT: usize = 8;
/// Of how many others a peer is told, and remembers at most. Who hears of so many cannot have a session with all of them and
/// still push in them.
const MAX_OTHERS: usize = DEFAULT_DIRECT;
/// How many bytes may be under way to a peer of what was pushed in its session: 128 KiB, as of what it asks for before it is known
/// how fast that comes.
const WINDOW: u64 = 128 << 10;
/// Who has just gossiped goes on with it until there was a pause, in milliseconds: what is pushed otherwise would overtake it, and be
/// taken for a gap.
const LULL: u64 = 50;

/// Who else has sessions, and what is under way, as far as one peer is concerned.
#[derive(Debug, Default)]
pub(crate) struct Direct {
    /// With whom else it has a session, as it said.
    others: Vec<PeerId>,
    /// With whom else we have one, as it was told.
    told: Vec<PeerId>,
    /// How many bytes were pushed in its session, and of how many it is known that it has taken them in.
    pushed: u64,
    came: u64,
    /// A beat that it has not answered yet: when, and how many bytes were pushed before.
    beat: Option<(u64, u64)>,
}

impl Direct {
    /// A beat goes out. SUBTLE: the first that is not answered counts, or a peer whose answers take longer than from beat to beat would
    /// never be seen to answer.
    pub(super) fn beats(&mut self, now: u64) {
        if self.beat.is_none_or(|(sent, _)| sent + SILENCE < now) {
            self.beat = Some((now, self.pushed));
        }
    }

    /// The peer has answered a beat, and so taken in what was pushed before.
    pub(super) fn echoed(&mut self, sent: u64) {
        if let Some((_, pushed)) = self.beat.take_if(|(beat, _)| *beat == sent) {
            self.came = pushed;
        }
    }

    /// Whether so many bytes more may be under way.
    fn has_room(&self, bytes: u64) -> bool {
        self.pushed - self.came + bytes <= WINDOW
    }
}

impl Engine {
    /// Tells peers with whom else we have a session, where that is not what they were told.
    pub(super) fn tell_others(&mut self) {
        if !std::mem::take(&mut self.others_changed) {
            return;
        }
        let ready = self.ready_peers();
        for peer in &ready {
            let others: Vec<PeerId> =
                ready.iter().copied().filter(|other| other != peer).take(MAX_OTHERS).collect();
            let Some(known) = self.peers.get_mut(peer).filter(|known| known.understands(PUSHES)) else {
                continue;
            };
            let Some(direct) = known.ready_mut().map(|ready| &mut ready.direct) else { continue };
            if direct.told != others {
                direct.told.clone_from(&others);
                self.send(*peer, &Frame::Others(others));
            }
        }
    }

    /// A peer did not get all that it was told: it is told again.
    pub(super) fn tell_others_again(&mut self, peer: PeerId) {
        if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
            ready.direct.told.clear();
            self.others_changed = true;
        }
    }

    /// A peer says with whom else it has a session.
    pub(super) fn heard_others(&mut self, peer: PeerId, mut others: Vec<PeerId>) {
        others.truncate(MAX_OTHERS);
        if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
            ready.direct.others = others;
        }
    }

    /// Whom a group of so many bytes is to be sent in their sessions, if these reach everyone whom gossip would, and all keep up.
    fn reached_directly(&self, bytes: usize) -> Option<Vec<PeerId>> {
        if self.gossiped_at.is_some_and(|at| self.now.millis < at + LULL) {
            return None;
        }
        let is_there = |other: &PeerId| {
            *other == self.config.peer || self.peers.get(other).is_some_and(|known| known.ready().is_some())
        };
        let takes_it = |known: &Peer, ready: &Ready| {
            known.understands(PUSHES)
                && ready.told.is_some()
                && ready.direct.others.iter().all(is_there)
                && ready.direct.has_room(bytes as u64)
                // What is large is in the way of what comes after it.
                && !ready.serving.is_under_way()
        };
        let mut reached = Vec::new();
        for (peer, known) in &self.peers {
            let Some(ready) = known.ready() else { continue };
            if reached.len() == self.config.direct || !takes_it(known, ready) {
                return None;
            }
            reached.push(*peer);
        }
        Some(reached)
    }

    /// Sends a group to all peers that want it, each in its session. Says whether it did; else it is to be gossiped.
    pub(super) fn push_directly(&mut self, doc: DocId, group: &Delta<Opaque>) -> bool {
        let Some(peers) = self.reached_directly(group.size_hint()) else { return false };
        for peer in peers {
            // Whoever does not want it drops it, and so does who holds something else of it.
            if !self.is_wanted_by(peer, doc) || self.has_diverged(peer, doc) {
                continue;
            }
            let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { continue };
            let Some(delta) = ready.told.as_ref().map(|names| group.encode_in(names)) else { continue };
            if delta.len() <= MAX_PUSH {
                ready.direct.pushed += delta.len() as u64;
                self.send(peer, &Frame::Push { doc, delta });
            }
        }
        true
    }

    /// A peer pushes what it wrote.
    pub(super) fn pushed(&mut self, peer: PeerId, session: SessionId, doc: DocId, delta: Vec<u8>) {
        if delta.len() > MAX_PAYLOAD || !self.hears_gossip(peer) {
            return;
        }
        if self.is_absent(doc) && self.wants(doc) {
            return self.hold(doc, Held::Frame(peer, session, Frame::Push { doc, delta }));
        }
        self.take_in(doc, ContentKind::Named, &delta, peer);
    }
}
