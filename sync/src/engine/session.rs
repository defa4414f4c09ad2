//! Sessions: beginning, beating, ending, and what is said in them.

use super::Engine;
use super::effect::{Effect, Event, SessionId, Transport};
use super::frame::{Frame, Refusal};
use super::memory::Held;
use super::peer::{Peer, Phase};
use super::versions::{Digest, Versions};
use crate::{DocId, PeerId};

/// Why a connection is closed to a peer that is told so in a last frame, which has to arrive first.
pub(crate) const REFUSED: &str = "refused";

/// How often we say that we are still here, in milliseconds.
pub(super) const BEAT: u64 = 1_000;
/// After so long without a word from a peer its connection is taken for dead: two beats missed and a half.
pub(super) const SILENCE: u64 = 3_500;
/// How long a peer may take to prove itself.
const GREETING: u64 = 5_000;
/// The pause between asking one peer twice for all its versions, if its digest stays another than we believe.
const ASK_PAUSE: u64 = 500;
/// The longest such pause.
const LONGEST_ASK_PAUSE: u64 = 15_000;

impl Engine {
    pub(super) fn session_up(
        &mut self,
        peer: PeerId,
        session: SessionId,
        address: Option<String>,
        transport: Transport,
        dialer: bool,
    ) {
        if self.isolated || self.suspended || self.book.is_blocked(peer) || peer == self.config.peer {
            let reason = if self.suspended { "suspended" } else { "blocked" };
            self.effects.push_back(Effect::Disconnect { peer, reason });
            return;
        }
        if self.peers.get(&peer).is_some_and(|known| known.session >= session) {
            return;
        }
        if let Some(old) = self.peers.remove(&peer) {
            self.others_changed = true;
            self.pull_elsewhere(peer);
            if self.has_parts() {
                self.keep_views();
            }
            if old.ready().is_some() {
                self.event(Event::PeerGone { peer });
            }
        }
        let now = self.now.millis;
        let ours = self.hello();
        if dialer && let Some(address) = &address {
            self.book.found(peer, address);
        }
        let greeting = Peer {
            session,
            address: address.filter(|_| dialer),
            transport,
            since: now,
            heard: now,
            bytes_in: 0,
            bytes_out: 0,
            ours: ours.clone(),
            theirs: None,
            next_word: now + BEAT,
            phase: Phase::Greeting,
        };
        self.peers.insert(peer, greeting);
        self.send(peer, &Frame::Hello(ours));
    }

    pub(super) fn session_down(&mut self, peer: PeerId, session: SessionId) {
        if self.peers.get(&peer).is_some_and(|known| known.session == session) {
            self.forget_session(peer);
        }
    }

    fn forget_session(&mut self, peer: PeerId) {
        let Some(old) = self.peers.remove(&peer) else { return };
        self.others_changed = true;
        let proved = old.ready().is_some();
        self.save_at_the_end(peer);
        self.book.gone(peer, self.now.millis, self.config.peer < peer, proved, &mut self.rng);
        self.dial_at = 0;
        self.pull_elsewhere(peer);
        if proved {
            if self.has_parts() {
                self.keep_views();
            }
            self.event(Event::PeerGone { peer });
        }
    }

    /// Ends a session that makes no sense, and says why on both sides.
    pub(super) fn refuse(&mut self, peer: PeerId, refusal: Refusal) {
        self.send(peer, &Frame::Refuse(refusal.clone()));
        self.refused(peer, &refusal, refusal.to_string(), REFUSED);
    }

    fn refused(&mut self, peer: PeerId, refusal: &Refusal, why: String, reason: &'static str) {
        self.book.refused(peer, why.clone());
        self.event(Event::Refused { peer, reason: why });
        // Who is merely slow may be a member on a bad link.
        if *refusal != Refusal::TooSlow {
            self.book.stranger(peer, self.now.millis);
        }
        self.disconnect(peer, reason);
    }

    pub(super) fn disconnect(&mut self, peer: PeerId, reason: &'static str) {
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
        let frame = Frame::decode(bytes);
        self.counts.came(frame.as_ref(), bytes.len());
        match frame {
            None => self.refuse(peer, Refusal::Malformed),
            Some(Frame::Refuse(refusal)) => {
                let why = format!("the peer says of this node: {refusal}");
                self.refused(peer, &refusal, why, "refused by the peer");
            }
            Some(Frame::Hello(theirs)) => self.heard_hello(peer, theirs),
            Some(Frame::Proof(proof)) if !ready => self.heard_proof(peer, &proof),
            Some(frame) if ready => self.ready_frame(peer, frame),
            // Before the proof nothing else is heard. It may be a frame that overtook the proof.
            Some(_) => {}
        }
    }

    pub(super) fn ready_frame(&mut self, peer: PeerId, frame: Frame) {
        let told = self.is_waited_for().then(|| about(&frame)).flatten();
        self.react(peer, frame);
        if let Some(docs) = told {
            self.holds(peer, docs.as_deref());
        }
    }

    fn react(&mut self, peer: PeerId, frame: Frame) {
        match frame {
            // Greeted already.
            Frame::Hello(_) | Frame::Proof(_) | Frame::Refuse(_) => {}
            Frame::Welcome(welcome) => self.heard_welcome(peer, welcome),
            Frame::Met { id, known } => self.met(peer, id, known.as_ref()),
            Frame::Line { id, line, after, asks } => self.heard_line(peer, id, &line, after, asks),
            Frame::Beat { sent, digest } => self.beat(peer, sent, &digest),
            Frame::Echo { sent } => {
                let now = self.now.millis;
                if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
                    ready.round_trip = now.checked_sub(sent);
                    ready.direct.echoed(sent);
                }
            }
            Frame::Versions { entries, first, last } => self.versions(peer, entries, first, last),
            Frame::Ask => self.asked(peer),
            Frame::Sketch { key, cells } => self.sketched(peer, key, &cells),
            Frame::Differences { key, entries, gone, asks } => {
                self.differences(peer, key, entries, &gone, asks);
            }
            Frame::Rest { key, entries } => self.rest(peer, key, entries),
            Frame::Since { of, entries, gone } => self.heard_since(peer, of, entries, &gone),
            Frame::TooMany { key } => self.too_many(peer, key),
            Frame::Pull { doc, version, kept, alive } => self.pulled(peer, (doc, version), kept, alive),
            Frame::Content { doc, .. } if self.is_absent(doc) && self.wants(doc) => {
                if let Some(session) = self.peers.get(&peer).map(|known| known.session) {
                    self.hold(doc, Held::Frame(peer, session, frame));
                }
            }
            Frame::Content { doc, hash, kind, part, parts, bytes } => {
                self.content(peer, (doc, hash, kind), part, parts, bytes);
            }
            Frame::Got { doc, hash, part } => self.got(peer, doc, &hash, part),
            Frame::Nothing { doc } => self.nothing(peer, doc),
            Frame::Peers { own, others } => self.heard_of(peer, &own, others),
            Frame::Tell { doc, version } => self.asked_to_tell(peer, doc, version),
            Frame::Alike { but, versions, states, asks } => {
                self.heard_alike(peer, but, (&versions, &states), asks);
            }
            Frame::States(entries) => self.heard_states(peer, entries),
            Frame::AskAcknowledged { docs } => self.asked_what_is_acknowledged(peer, docs),
            Frame::Acknowledged { members, silent, documents } => {
                self.heard_what_is_acknowledged(peer, &members, silent, documents);
            }
            Frame::Diverged { doc } => self.heard_diverged(peer, doc),
            Frame::Wants { number, prefixes, keeps } => self.heard_wants(peer, number, prefixes, keeps),
            Frame::Wanted { number } => self.wanted(peer, number),
            Frame::Push { doc, delta } => {
                if let Some(session) = self.peers.get(&peer).map(|known| known.session) {
                    self.pushed(peer, session, doc, delta);
                }
            }
            Frame::Others(others) => self.heard_others(peer, others),
        }
    }

    fn beat(&mut self, peer: PeerId, sent: u64, digest: &Digest) {
        let now = self.now.millis;
        self.send(peer, &Frame::Echo { sent });
        if self.is_whole(peer) && self.durable.digest() == *digest {
            self.durable.agreed(peer);
        }
        let is_to_wait = self.is_to_be_asked(peer);
        let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
        // What was spared was a sketch that crossed what we told it.
        ready.is_spared = false;
        // If what we believe of the peer is right, there is nothing to ask; `chase` has seen to what we lack.
        if ready.is_right(digest) {
            ready.listed = true;
            ready.ask_pause = 0;
            self.perhaps_begun_anew(peer);
            self.perhaps_seen(peer);
            self.acknowledge(peer);
        } else if now >= ready.ask_at {
            let is_told = self.held_that_before(peer, digest);
            if is_to_wait && !is_told {
                return;
            }
            let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
            ready.ask_pause = (ready.ask_pause * 2).clamp(ASK_PAUSE, LONGEST_ASK_PAUSE);
            ready.ask_at = now + ready.ask_pause;
            ready.cells = 0;
            if is_told {
                return;
            }
            if self.told(peer).is_some_and(|told| told.digest() == *digest) {
                self.holds_the_same(peer);
            } else {
                self.ask(peer);
            }
        }
    }

    /// Beats and greetings that are due, and peers that have been silent for too long.
    pub(super) fn tend_sessions(&mut self) {
        let now = self.now.millis;
        let due = |known: &Peer| self.session_deadline(known) <= now;
        let due: Vec<PeerId> =
            self.peers.iter().filter(|(_, known)| due(known)).map(|(peer, _)| *peer).collect();
        for peer in due {
            let Some(known) = self.peers.get_mut(&peer) else { continue };
            let speaks = known.next_word <= now;
            let (since, heard) = (known.since, known.heard);
            if speaks {
                known.next_word = now + BEAT;
            }
            match known.ready() {
                None if now >= since + GREETING => self.refuse(peer, Refusal::TooSlow),
                None if speaks => self.greet_again(peer),
                Some(_) if now >= heard + SILENCE => self.disconnect(peer, "silent for too long"),
                Some(ready) if speaks => {
                    let introduced = ready.replica.is_some() || now < since + BEAT;
                    let answered = ready.answered == Some(self.us.replica) || now < since + BEAT;
                    match self.told(peer).map(Versions::digest) {
                        Some(digest) => {
                            self.send(peer, &Frame::Beat { sent: now, digest });
                            if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
                                ready.direct.beats(now);
                            }
                        }
                        // It has not said what it wants, and says so again.
                        None => self.greet_again(peer),
                    }
                    self.tell_wants(peer);
                    if !introduced {
                        self.greet_again(peer);
                    }
                    if !answered {
                        self.introduce_ourselves(peer);
                        // Nothing else may tell that it has been waited for long enough.
                        self.perhaps_seen(peer);
                    }
                    self.serve(peer);
                    self.compare(peer);
                }
                _ => {}
            }
        }
    }

    pub(super) fn session_deadline(&self, peer: &Peer) -> u64 {
        let end = match &peer.phase {
            Phase::Greeting => peer.since + GREETING,
            Phase::Ready(_) => peer.heard + SILENCE,
        };
        peer.next_word.min(end)
    }

    pub(super) fn ready_peers(&self) -> Vec<PeerId> {
        self.peers.iter().filter(|(_, known)| known.ready().is_some()).map(|(peer, _)| *peer).collect()
    }

    pub(super) fn send(&mut self, peer: PeerId, frame: &Frame) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let bytes = frame.encode();
        known.bytes_out += bytes.len() as u64;
        self.counts.went(frame, bytes.len());
        self.effects.push_back(Effect::Send { peer, session: known.session, frame: bytes });
    }
}

/// Of which documents a frame may tell that the peer holds them; `Some(None)`: of any.
fn about(frame: &Frame) -> Option<Option<Vec<DocId>>> {
    match frame {
        Frame::Versions { entries, last: false, .. } => {
            Some(Some(entries.iter().map(|(doc, _)| *doc).collect()))
        }
        Frame::Versions { .. }
        | Frame::Differences { .. }
        | Frame::Rest { .. }
        | Frame::Since { .. }
        | Frame::Beat { .. }
        | Frame::Met { .. }
        | Frame::Line { .. }
        | Frame::Welcome(_) => Some(None),
        _ => None,
    }
}
