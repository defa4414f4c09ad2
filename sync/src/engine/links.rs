//! Links: who is known where, who is dialled, and which links are cut on purpose.

use super::Engine;
use super::book::Source;
use super::effect::{Effect, Input, Now};
use super::frame::{Contact, Frame};
use crate::PeerId;

/// How many contacts are passed on at once.
const MAX_CONTACTS: usize = 64;
/// How many of our own addresses we tell.
const MAX_OWN_ADDRESSES: usize = 8;

impl Engine {
    /// Where we can be reached ourselves.
    fn own_addresses(&self) -> Vec<String> {
        self.listening.iter().take(MAX_OWN_ADDRESSES).cloned().collect()
    }

    /// Tells a peer where we and others can be reached.
    pub(super) fn send_contacts(&mut self, peer: PeerId) {
        let others = self.book.contacts().filter(|contact| contact.peer != peer);
        let frame = Frame::Peers { own: self.own_addresses(), others: others.take(MAX_CONTACTS).collect() };
        self.send(peer, &frame);
    }

    /// Tells the others where a peer can be reached.
    pub(super) fn introduce(&mut self, peer: PeerId) {
        let Some(contact) = self.book.contact(peer) else { return };
        let frame = Frame::Peers { own: Vec::new(), others: vec![contact] };
        for other in self.ready_peers() {
            if other != peer {
                self.send(other, &frame);
            }
        }
    }

    /// A peer told us where it and others can be reached.
    pub(super) fn heard_of(&mut self, from: PeerId, own: &[String], others: Vec<Contact>) {
        if !own.is_empty() {
            self.learn(Some(from), own, Source::FirstHand);
        }
        for Contact { peer, addresses } in others.into_iter().take(MAX_CONTACTS) {
            let source = if peer == from { Source::FirstHand } else { Source::Hearsay };
            self.learn(Some(peer), &addresses, source);
        }
    }

    /// Notes where somebody can be reached.
    pub(super) fn learn(&mut self, peer: Option<PeerId>, addresses: &[String], source: Source) {
        let news = self.book.learn(self.config.peer, peer, addresses, source);
        self.dial_at = 0;
        // Of who has not proved itself nothing is kept, and nothing is told.
        if let Some(peer) = news
            && self.book.get(peer).is_some_and(|known| known.proved)
        {
            self.save_peer(peer);
            self.introduce(peer);
        }
    }

    /// We can be reached elsewhere than before.
    pub(super) fn listening(&mut self, addresses: Vec<String>) {
        if self.listening == addresses {
            return;
        }
        self.listening = addresses;
        let own = self.own_addresses();
        if !own.is_empty() {
            let frame = Frame::Peers { own, others: Vec::new() };
            for peer in self.ready_peers() {
                self.send(peer, &frame);
            }
        }
    }

    /// The network changed: dials everybody at once.
    pub(super) fn hurry(&mut self) {
        self.book.hurry();
        self.dial_at = 0;
    }

    /// Dials whom it is time to dial.
    pub(super) fn dial(&mut self) {
        if self.isolated || self.suspended || self.now.millis < self.dial_at {
            return;
        }
        let peers = &self.peers;
        let is_connected = |peer| peers.contains_key(&peer);
        for (peer, addresses) in self.book.due(self.now.millis, is_connected, &mut self.rng) {
            self.effects.push_back(Effect::Dial { peer, addresses });
        }
        // Whoever joins or leaves sets this back.
        self.dial_at = self.book.next_due(is_connected).unwrap_or(u64::MAX);
    }

    /// Cuts or restores the link to a peer, for good: it is stored, and survives a restart. Says whether that changed
    /// anything. Blocking on one side cuts both directions.
    pub fn block(&mut self, now: Now, peer: PeerId, blocked: bool) -> bool {
        self.now = now;
        let changed = self.book.block(peer, blocked);
        if changed {
            self.save_peer(peer);
            let peers = self.book.blocked();
            self.effects.push_back(Effect::Block { peers });
            if blocked && self.peers.contains_key(&peer) {
                self.disconnect(peer, "blocked");
            }
            self.dial_at = 0;
        }
        self.handle(now, Input::Tick);
        changed
    }

    /// Cuts or restores all links at once: while isolated, nobody is dialled and nobody let in. Restoring also lifts
    /// every single block.
    pub fn isolate(&mut self, now: Now, isolated: bool) -> bool {
        self.now = now;
        let changed = self.isolated != isolated || (!isolated && !self.book.blocked().is_empty());
        self.isolated = isolated;
        if isolated {
            for peer in self.peers.keys().copied().collect::<Vec<_>>() {
                self.disconnect(peer, "isolated");
            }
        } else {
            for peer in self.book.blocked() {
                self.book.block(peer, false);
                self.save_peer(peer);
            }
            self.effects.push_back(Effect::Block { peers: Vec::new() });
            self.hurry();
        }
        if changed {
            self.save_isolation();
        }
        self.handle(now, Input::Tick);
        changed
    }

    /// Ends all sessions, dials nobody and lets nobody in, or goes on and dials everybody at once. Reading and writing go on in any
    /// case. Not stored: who is started anew is not suspended. Says whether that changed anything.
    pub fn suspend(&mut self, now: Now, suspended: bool) -> bool {
        self.now = now;
        let changed = std::mem::replace(&mut self.suspended, suspended) != suspended;
        if suspended {
            for peer in self.peers.keys().copied().collect::<Vec<_>>() {
                self.disconnect(peer, "suspended");
            }
        } else if changed {
            self.hurry();
        }
        self.handle(now, Input::Tick);
        changed
    }

    /// Whether anybody is known who may be reached, or may come.
    #[must_use]
    pub fn knows_anybody(&self) -> bool {
        self.book.iter().any(|(peer, known)| peer != self.config.peer && !known.blocked)
    }

    /// The peers to whom the link is cut on purpose.
    #[must_use]
    pub fn blocked(&self) -> Vec<PeerId> {
        self.book.blocked()
    }

    /// Whether all links are cut on purpose.
    #[must_use]
    pub fn is_isolated(&self) -> bool {
        self.isolated
    }
}
