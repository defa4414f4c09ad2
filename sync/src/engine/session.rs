//! Sessions: greeting, proving, beating, ending.

use rand::Rng;

use super::Engine;
use super::effect::{Effect, Event, Input, SessionId, Transport};
use super::frame::{Contact, Frame, Hello, Refusal, Welcome};
use super::peer::{Peer, Phase, Ready};
use super::versions::Digest;
use crate::PeerId;

/// How often we say that we are still here, in milliseconds.
const BEAT: u64 = 1_000;
/// After so long without a word from a peer its connection is taken for dead: two beats missed and a half.
const SILENCE: u64 = 3_500;
/// How long a peer may take to prove itself.
const GREETING: u64 = 5_000;
/// At most this often we ask one peer for all its versions.
const ASK_PAUSE: u64 = 500;
/// A space with at most this many documents has its versions told right at the start of a session.
const SMALL_SPACE: usize = 256;
/// How many contacts are passed on at once.
const MAX_CONTACTS: usize = 64;
/// The longest name of a node that is taken over, in bytes.
const MAX_NAME: usize = 128;

impl Engine {
    pub(super) fn session_up(
        &mut self,
        peer: PeerId,
        session: SessionId,
        address: Option<String>,
        transport: Transport,
        dialer: bool,
    ) {
        if self.isolated || self.book.is_blocked(peer) || peer == self.config.peer {
            self.effects.push_back(Effect::Disconnect { peer, reason: "blocked" });
            return;
        }
        let mut nonce = [0; 32];
        self.rng.fill_bytes(&mut nonce);
        let ours = self.credentials.hello(nonce);
        let now = self.now.millis;
        let greeting = Peer {
            session,
            address: address.clone(),
            transport,
            since: now,
            heard: now,
            bytes_in: 0,
            bytes_out: 0,
            phase: Phase::Greeting { ours: ours.clone(), theirs: None },
        };
        if self.peers.insert(peer, greeting).is_some_and(|old| old.ready().is_some()) {
            self.event(Event::PeerGone { peer });
        }
        if dialer && let Some(address) = address {
            self.book.learn(Some(peer), &[address]);
        }
        self.send(peer, &Frame::Hello(ours));
    }

    pub(super) fn session_down(&mut self, peer: PeerId, session: SessionId) {
        if self.peers.get(&peer).is_some_and(|known| known.session == session) {
            self.forget_session(peer);
        }
    }

    fn forget_session(&mut self, peer: PeerId) {
        let Some(old) = self.peers.remove(&peer) else { return };
        self.book.gone(peer, self.now.millis, self.config.peer < peer, &mut self.rng);
        if old.ready().is_some() {
            let pulling = |slot: &super::Slot| slot.pull.is_some_and(|pull| pull.peer == peer);
            let docs: Vec<_> =
                self.documents.iter().filter(|(_, slot)| pulling(slot)).map(|(doc, _)| *doc).collect();
            for doc in docs {
                if let Some(slot) = self.documents.get_mut(&doc) {
                    slot.pull = None;
                }
                self.chase(doc);
            }
            self.event(Event::PeerGone { peer });
        }
    }

    /// Ends a session that makes no sense, and says why on both sides.
    fn refuse(&mut self, peer: PeerId, refusal: Refusal) {
        self.event(Event::Refused { peer, reason: refusal.to_string() });
        self.send(peer, &Frame::Refuse(refusal));
        self.book.stranger(peer, self.now.millis);
        self.disconnect(peer, "refused");
    }

    fn disconnect(&mut self, peer: PeerId, reason: &'static str) {
        self.effects.push_back(Effect::Disconnect { peer, reason });
        self.forget_session(peer);
    }

    /// Takes in one frame of a session.
    pub(super) fn frame(&mut self, peer: PeerId, session: SessionId, bytes: &[u8]) {
        let now = self.now.millis;
        let Some(known) = self.peers.get_mut(&peer).filter(|known| known.session == session) else { return };
        known.heard = now;
        known.bytes_in += bytes.len() as u64;
        let ready = known.ready().is_some();
        match (Frame::decode(bytes), ready) {
            (None, _) => self.refuse(peer, Refusal::Malformed),
            (Some(Frame::Refuse(refusal)), _) => {
                self.event(Event::Refused { peer, reason: refusal.to_string() });
                self.book.stranger(peer, now);
                self.disconnect(peer, "refused by the peer");
            }
            (Some(Frame::Hello(theirs)), false) => self.hello(peer, theirs),
            (Some(Frame::Proof(proof)), false) => self.proof(peer, &proof),
            // Before the proof nothing else is heard, after it no second one.
            (Some(_), false) | (Some(Frame::Hello(_) | Frame::Proof(_)), true) => {
                self.refuse(peer, Refusal::Malformed);
            }
            (Some(frame), true) => self.ready_frame(peer, frame),
        }
    }

    fn hello(&mut self, peer: PeerId, theirs: Hello) {
        if let Err(refusal) = self.credentials.judge(&theirs) {
            return self.refuse(peer, refusal);
        }
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Phase::Greeting { ours, theirs: slot } = &mut known.phase else { return };
        if slot.is_some() {
            return self.refuse(peer, Refusal::Malformed);
        }
        let proof = self.credentials.proof(ours, peer, &theirs);
        *slot = Some(theirs);
        self.send(peer, &Frame::Proof(proof));
    }

    fn proof(&mut self, peer: PeerId, proof: &[u8; 32]) {
        let now = self.now.millis;
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Phase::Greeting { ours, theirs: Some(theirs) } = &known.phase else {
            return self.refuse(peer, Refusal::Malformed);
        };
        if !self.credentials.verify(proof, ours, peer, theirs) {
            return self.refuse(peer, Refusal::Secret);
        }
        known.phase = Phase::Ready(Box::new(Ready::new(now)));
        tracing::debug!(%peer, "proved");
        let welcome = Welcome {
            replica: self.config.replica,
            name: self.config.name.clone(),
            wall_millis: self.now.wall_millis,
        };
        self.send(peer, &Frame::Welcome(welcome));
        let mut contacts = self.book.contacts();
        contacts.retain(|contact| contact.peer != peer);
        contacts.truncate(MAX_CONTACTS - 1);
        contacts.extend(self.own_contact());
        self.send(peer, &Frame::Peers(contacts));
        if self.durable.len() <= SMALL_SPACE {
            self.send_versions(peer);
        }
        self.event(Event::PeerReady { peer });
    }

    fn own_contact(&self) -> Option<Contact> {
        let addresses = self.listening.iter().take(16).cloned().collect::<Vec<_>>();
        (!addresses.is_empty()).then_some(Contact { peer: self.config.peer, addresses })
    }

    fn ready_frame(&mut self, peer: PeerId, frame: Frame) {
        match frame {
            Frame::Hello(_) | Frame::Proof(_) | Frame::Refuse(_) => {}
            Frame::Welcome(welcome) => self.welcome(peer, welcome),
            Frame::Beat { sent, digest } => self.beat(peer, sent, &digest),
            Frame::Echo { sent } => {
                let now = self.now.millis;
                if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
                    ready.round_trip = now.checked_sub(sent);
                }
            }
            Frame::Versions { entries, first, last } => self.versions(peer, entries, first, last),
            Frame::Ask => self.send_versions(peer),
            Frame::Pull { doc, version } => self.pulled(peer, doc, &version),
            Frame::Content { doc, kind, part, parts, bytes } => {
                self.content(peer, doc, kind, part, parts, bytes)
            }
            Frame::Nothing { doc } => self.nothing(peer, doc),
            Frame::Peers(contacts) => {
                for contact in contacts.into_iter().take(MAX_CONTACTS) {
                    self.learn(Some(contact.peer), &contact.addresses);
                }
            }
        }
    }

    fn welcome(&mut self, peer: PeerId, welcome: Welcome) {
        let skew = welcome.wall_millis as i64 - self.now.wall_millis as i64;
        let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
        ready.replica = Some(welcome.replica);
        ready.skew_millis = skew;
        let name: String = welcome.name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        if self.book.proved(peer, &name) {
            self.save_peer(peer);
            self.introduce(peer);
        }
        self.event(Event::Progress);
    }

    /// Tells the others where a peer can be reached.
    fn introduce(&mut self, peer: PeerId) {
        let Some(known) = self.book.get(peer).filter(|known| known.proved && !known.addresses.is_empty())
        else {
            return;
        };
        let frame = Frame::Peers(vec![Contact { peer, addresses: known.addresses.clone() }]);
        for other in self.ready_peers() {
            if other != peer {
                self.send(other, &frame);
            }
        }
    }

    /// Notes where somebody can be reached.
    pub(super) fn learn(&mut self, peer: Option<PeerId>, addresses: &[String]) {
        if peer == Some(self.config.peer) {
            return;
        }
        if self.book.learn(peer, addresses)
            && let Some(peer) = peer
        {
            self.save_peer(peer);
            self.introduce(peer);
        }
    }

    /// We can be reached elsewhere than before.
    pub(super) fn listening(&mut self, addresses: Vec<String>) {
        self.listening = addresses;
        if let Some(contact) = self.own_contact() {
            let frame = Frame::Peers(vec![contact]);
            for peer in self.ready_peers() {
                self.send(peer, &frame);
            }
        }
    }

    fn beat(&mut self, peer: PeerId, sent: u64, digest: &Digest) {
        let now = self.now.millis;
        self.send(peer, &Frame::Echo { sent });
        let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
        // If what we believe of the peer is right, there is nothing to ask; `chase` has seen to what we lack.
        let right = ready.have.digest() == *digest;
        let recently = ready.asked.is_some_and(|asked| now < asked + ASK_PAUSE);
        if right {
            ready.listed = true;
        } else if !recently {
            ready.asked = Some(now);
            self.send(peer, &Frame::Ask);
        }
    }

    /// Beats that are due, and peers that have been silent for too long.
    pub(super) fn tend_sessions(&mut self) {
        let now = self.now.millis;
        let mut silent = Vec::new();
        let mut slow = Vec::new();
        let mut beating = Vec::new();
        for (&peer, known) in &mut self.peers {
            let is_silent = now >= known.heard + SILENCE;
            let since = known.since;
            match &mut known.phase {
                Phase::Greeting { .. } if now >= since + GREETING => slow.push(peer),
                Phase::Ready(_) if is_silent => silent.push(peer),
                Phase::Ready(ready) if now >= ready.next_beat => {
                    ready.next_beat = now + BEAT;
                    beating.push(peer);
                }
                _ => {}
            }
        }
        let beat = Frame::Beat { sent: now, digest: self.durable.digest() };
        for peer in beating {
            self.send(peer, &beat);
        }
        for peer in silent {
            self.disconnect(peer, "silent for too long");
        }
        for peer in slow {
            self.refuse(peer, Refusal::TooSlow);
        }
    }

    pub(super) fn session_deadline(&self, peer: &Peer) -> u64 {
        match &peer.phase {
            Phase::Greeting { .. } => peer.since + GREETING,
            Phase::Ready(ready) => ready.next_beat.min(peer.heard + SILENCE),
        }
    }

    /// Dials whom it is time to dial.
    pub(super) fn dial(&mut self) {
        if self.isolated {
            return;
        }
        let (peers, us) = (&self.peers, self.config.peer);
        let is_connected = |peer| peers.contains_key(&peer);
        let is_reached = |address: &str| {
            peers.values().any(|peer| peer.address.as_deref().is_some_and(|there| there.starts_with(address)))
        };
        for (peer, addresses) in self.book.due(self.now.millis, us, is_connected, is_reached, &mut self.rng) {
            self.effects.push_back(Effect::Dial { peer, addresses });
        }
    }

    /// Cuts or restores the link to a peer, for good: it is stored, and survives a restart. Says whether that changed
    /// anything. Blocking on one side cuts both directions.
    pub fn block(&mut self, now: super::Now, peer: PeerId, blocked: bool) -> bool {
        self.now = now;
        let changed = self.book.block(peer, blocked);
        if changed {
            self.save_peer(peer);
            let peers = self.book.blocked();
            self.effects.push_back(Effect::Block { peers });
            if blocked && self.peers.contains_key(&peer) {
                self.disconnect(peer, "blocked");
            }
        }
        self.handle(now, Input::Tick);
        changed
    }

    /// Cuts or restores all links at once: while isolated, nobody is dialled and nobody let in. Restoring also lifts
    /// every single block.
    pub fn isolate(&mut self, now: super::Now, isolated: bool) -> bool {
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
            self.book.hurry();
        }
        self.save_isolation();
        self.handle(now, Input::Tick);
        changed
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

    pub(super) fn ready_peers(&self) -> Vec<PeerId> {
        self.peers.iter().filter(|(_, known)| known.ready().is_some()).map(|(peer, _)| *peer).collect()
    }

    pub(super) fn send(&mut self, peer: PeerId, frame: &Frame) {
        if let Some(effect) = self.sending(peer, frame) {
            self.effects.push_back(effect);
        }
    }

    /// A frame ready to be sent in the peer's present session.
    pub(super) fn sending(&mut self, peer: PeerId, frame: &Frame) -> Option<Effect> {
        let known = self.peers.get_mut(&peer)?;
        let frame = frame.encode();
        known.bytes_out += frame.len() as u64;
        Some(Effect::Send { peer, session: known.session, frame })
    }
}
