//! Asking peers to tell at once when they hold a write: who waits for copies does not wait for the next announcement.
//!
//! ```text
//! ours    durable here, pushed ─▶   Tell ─▶
//! theirs                                       durable there ─▶ ◀─ Versions
//! ```
//! A hint, as everything that is pushed: if it is lost, or too much is asked for, the announcement after 50 ms tells the same. So
//! nothing is asked for anew. It is asked of those only whose hello says that they understand it ([`TELLS`]).

use std::collections::BTreeMap;

use tombolo_crdt::Version;

use super::Engine;
use super::frame::{Frame, TELLS};
use super::peer::Peer;
use crate::{DocId, PeerId};

/// The pause between two rounds of asking, in milliseconds: that of pushing.
const ASK_PAUSE: u64 = 2;
/// Of how many documents one peer may have us remember that it asked.
const MAX_ASKED: usize = 64;
/// How many entries the versions may have that one peer asks for, in all.
const MAX_ENTRIES: usize = 4_096;

/// What a peer wants to be told when it is durable here.
#[derive(Debug, Default)]
pub(crate) struct Asked(BTreeMap<DocId, Version>);

impl Asked {
    /// Remembers it, within bounds. SUBTLE: the first that is asked for stays, or who asks again and again, for more each time, would
    /// never be told.
    fn add(&mut self, doc: DocId, version: Version) {
        let entries: usize = self.0.values().map(Version::len).sum();
        if self.0.len() < MAX_ASKED && entries + version.len() <= MAX_ENTRIES {
            self.0.entry(doc).or_insert(version);
        }
    }
}

impl Engine {
    /// Asks all peers that understand it to tell when they hold this.
    pub(super) fn ask_to_tell(&mut self) {
        if self.waits.ask.is_empty() || self.now.millis < self.waits.ask_at || self.lines.is_apart() {
            return;
        }
        self.waits.ask_at = self.now.millis + ASK_PAUSE;
        for doc in std::mem::take(&mut self.waits.ask) {
            let Some(version) = self.waits.last_durable(doc) else { continue };
            let frame = Frame::Tell { doc, version };
            for peer in self.ready_peers() {
                let theirs = self.peers.get(&peer).and_then(|peer| peer.theirs.as_ref());
                if theirs.is_some_and(|hello| hello.features & TELLS != 0) && self.is_wanted_by(peer, doc) {
                    self.send(peer, &frame);
                }
            }
        }
    }

    /// When to ask next.
    pub(super) fn ask_deadline(&self) -> Option<u64> {
        Some(self.waits.ask_at).filter(|_| !self.waits.ask.is_empty() && !self.lines.is_apart())
    }

    /// A peer wants to be told when we hold this durably.
    pub(super) fn asked_to_tell(&mut self, peer: PeerId, doc: DocId, version: Version) {
        if self.deleted.contains(&doc) {
            return;
        }
        if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
            ready.asked.add(doc, version);
            self.tell(peer);
        }
    }

    /// Tells those who asked for it what is durable by now.
    pub(super) fn tell_who_asked(&mut self) {
        for peer in self.ready_peers() {
            self.tell(peer);
        }
    }

    fn tell(&mut self, peer: PeerId) {
        let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
        let durable = &self.durable;
        let is_held = |doc: DocId, version: &Version| {
            durable.get(doc).is_some_and(|durable| durable.dominates(version))
        };
        let (told, left) = std::mem::take(&mut ready.asked.0)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(doc, version)| is_held(*doc, version));
        ready.asked = Asked(left);
        if !told.is_empty() {
            // SUBTLE: what was asked for and not what we hold by now, of which the gossip is still under way.
            let entries = told.into_iter().collect();
            self.send(peer, &Frame::Versions { entries, first: false, last: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use tombolo_crdt::ReplicaId;

    use super::*;

    fn version(entries: u16) -> Version {
        (1..=entries)
            .map(|n| (ReplicaId::from_bytes([n.to_be_bytes(); 8].concat().try_into().unwrap()), 1))
            .collect()
    }

    fn doc(n: u16) -> DocId {
        DocId::from_bytes([n.to_be_bytes(); 8].concat().try_into().unwrap())
    }

    #[test]
    fn what_a_peer_asks_for_is_remembered_within_bounds_and_the_first_stays() {
        let mut asked = Asked::default();
        for n in 0..1_000 {
            asked.add(doc(n), version(1));
            asked.add(doc(n), version(2));
        }
        assert_eq!(asked.0.len(), MAX_ASKED);
        assert!(asked.0.values().all(|asked| *asked == version(1)));
        let mut asked = Asked::default();
        for n in 0..1_000 {
            asked.add(doc(n), version(1_000));
        }
        assert_eq!(asked.0.len(), 4, "their versions are long");
    }
}
