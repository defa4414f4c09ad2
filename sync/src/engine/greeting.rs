//! Greeting: hello, proof, welcome.
//!
//! ```text
//! ours   Hello ─▶          Proof ─▶   Welcome, Peers, Versions ─▶
//! theirs       ◀─ Hello          ◀─ Proof           ◀─ Welcome, …
//! ```
//! All of it may be said again: who has not got an answer within a beat repeats what it said last.

use std::sync::Arc;

use rand::Rng;
use tombolo_crdt::{ReplicaId, SessionNames};

use super::Engine;
use super::effect::Event;
use super::frame::{Frame, Hello, Known, MAX_FORMER, MAX_NAMES, PUSHES, Refusal, Welcome};
use super::line::Line;
use super::peer::{Peer, Phase, Ready};
use super::session::BEAT;
use crate::{DocId, PeerId};

/// A space with at most this many documents has its versions told right at the start of a session. Of a larger one the digest is,
/// and then what differs.
pub(super) const SMALL_SPACE: usize = 256;
/// The longest name of a node that is taken over, in characters.
const MAX_NAME: usize = 128;

impl Engine {
    /// The first word of a new session.
    pub(super) fn hello(&mut self) -> Hello {
        let mut nonce = [0; 32];
        self.rng.fill_bytes(&mut nonce);
        let hello = self.credentials.hello(nonce);
        // Who pushes to nobody is as an earlier program, which did not know how.
        let unknown = if self.config.direct == 0 { PUSHES } else { 0 };
        Hello { features: hello.features & !unknown | self.part_features(), ..hello }
    }

    pub(super) fn heard_hello(&mut self, peer: PeerId, theirs: Hello) {
        if let Err(refusal) = self.credentials.judge(&theirs) {
            return self.refuse(peer, refusal);
        }
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.theirs.as_ref().is_some_and(|first| *first != theirs) {
            return self.refuse(peer, Refusal::Malformed);
        }
        let proof = self.credentials.proof(&known.ours, peer, &theirs);
        let ready = known.ready().is_some();
        let again = known.theirs.replace(theirs).is_some();
        self.send(peer, &Frame::Proof(proof));
        if ready && again {
            // It says so again because it has not got all of our answer.
            self.welcome(peer);
            self.tell_others_again(peer);
        }
    }

    pub(super) fn heard_proof(&mut self, peer: PeerId, proof: &[u8; 16]) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        // A proof without a hello has overtaken it, and will be said again.
        let Some(theirs) = &known.theirs else { return };
        if !self.credentials.verify(proof, &known.ours, peer, theirs) {
            return self.refuse(peer, Refusal::Secret);
        }
        // The proof answers our hello; a later beat measures it again. If we had to say that twice, nobody knows which it answers.
        let waited = self.now.millis - known.since.min(self.now.millis);
        let round_trip = (waited < BEAT).then_some(waited);
        known.phase = Phase::Ready(Box::new(Ready { round_trip, ..Ready::default() }));
        known.next_word = self.now.millis + BEAT;
        self.others_changed = true;
        let address = known.address.clone();
        tracing::debug!(%peer, "proved");
        let mut news = self.book.proved(peer);
        if let Some(address) = address {
            news |= self.book.learn(self.config.peer, Some(peer), &[address], super::book::Source::FirstHand)
                == Some(peer);
        }
        if news {
            self.save_peer(peer);
            self.introduce(peer);
        }
        self.tend_members();
        self.welcome(peer);
        self.event(Event::PeerReady { peer });
    }

    /// Says what a peer that has proved itself may hear at once.
    fn welcome(&mut self, peer: PeerId) {
        self.introduce_ourselves(peer);
        self.tell_wants(peer);
        self.send_contacts(peer);
        self.tell_all(peer);
    }

    /// Tells a peer what we hold, or what is to tell it whether that is news; nothing before it has said what it wants.
    pub(super) fn tell_all(&mut self, peer: PeerId) {
        let Some(told) = self.told(peer) else { return };
        if told.len() <= SMALL_SPACE {
            self.send_versions(peer);
        } else {
            let digest = told.digest();
            self.send(peer, &Frame::Beat { sent: self.now.millis, digest });
        }
    }

    /// Says who we are, perhaps again.
    pub(super) fn introduce_ourselves(&mut self, peer: PeerId) {
        let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
        let asks = ready.answered != Some(self.config.replica);
        let names = ready.told.get_or_insert_with(|| Arc::new(self.durable.names(self.config.replica)));
        let us = self.config.replica;
        let line = self.lines.own();
        let id = ready.introduced.map_or(0, |(of, id, _)| if of == us { id } else { id.saturating_add(1) });
        // What it has said to know is not told again, but if it asks for it. SUBTLE: the last of that is: it may have been set back since, and
        // have heard another one there.
        let heard = self.lines.heard_by(peer).filter(|_| ready.introduced.is_none());
        let after = line.joint(heard.unwrap_or(0));
        ready.introduced = Some((us, id, line.end()));
        let (first, names) = names.ids().split_first().expect("it begins with who we were then");
        let welcome = Welcome {
            replica: us,
            id,
            name: self.config.name.clone(),
            wall_millis: self.now.wall_millis,
            first: Some(*first).filter(|first| *first != us),
            names: names.to_vec(),
            line: line.after(after),
            after,
            asks,
            former: self.lines.former().to_vec(),
        };
        self.send(peer, &Frame::Welcome(welcome));
    }

    /// Tells our line again, which has become another.
    pub(super) fn tell_line_to(&mut self, peer: PeerId) {
        let us = self.config.replica;
        let line = self.lines.own();
        let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
        let asks = ready.answered != Some(us);
        match &mut ready.introduced {
            Some((of, id, told)) if *of == us => {
                let after = std::mem::replace(told, line.end());
                let frame = Frame::Line { id: *id, line: line.after(after), after, asks };
                self.send(peer, &frame);
            }
            _ => self.introduce_ourselves(peer),
        }
    }

    pub(super) fn heard_welcome(&mut self, peer: PeerId, welcome: Welcome) {
        let ours = i64::try_from(self.now.wall_millis).unwrap_or(i64::MAX);
        let theirs = i64::try_from(welcome.wall_millis).unwrap_or(i64::MAX);
        let lines = welcome.former.iter().map(|(_, line)| line);
        let is_sane = lines.chain([&welcome.line]).all(Line::is_sane);
        if welcome.names.len() >= MAX_NAMES || welcome.former.len() > MAX_FORMER || !is_sane {
            return self.refuse(peer, Refusal::Malformed);
        }
        let Some(line) = self.lines.whole(peer, welcome.replica, welcome.after, welcome.line) else {
            return self.greet_again(peer);
        };
        if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
            // SUBTLE: one that comes late, or twice, says nothing that is not known; taken for new it would leave a hole in the line.
            if ready.replica.is_some() && (welcome.id, line.end()) < (ready.said.0, ready.said.1.end()) {
                return;
            }
            ready.said = (welcome.id, line.clone());
        }
        if !self.judge_and_answer(peer, welcome.replica, line, welcome.asks) {
            return;
        }
        self.heard_former(welcome.former);
        let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
        let first = welcome.first.unwrap_or(welcome.replica);
        ready
            .names
            .get_or_insert_with(|| Arc::new(SessionNames::new([first].into_iter().chain(welcome.names))));
        let was_introduced = ready.replica.replace(welcome.replica).is_some();
        // What it told before it said who it is.
        let told: Vec<DocId> =
            if was_introduced { Vec::new() } else { ready.have.iter().map(|(doc, _)| doc).collect() };
        ready.skew_millis = theirs.saturating_sub(ours);
        let name: String = welcome.name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        if self.book.named(peer, &name) {
            self.save_peer(peer);
        }
        self.perhaps_seen(peer);
        for doc in told {
            self.chase(doc);
        }
        self.event(Event::Progress);
    }

    /// A peer's line has become another.
    pub(super) fn heard_line(&mut self, peer: PeerId, id: u32, line: &Line, after: u64, asks: bool) {
        let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
        // Who has not introduced itself as that does so again, with its line.
        let Some(replica) = ready.replica.filter(|_| ready.said.0 == id) else { return };
        if after > ready.said.1.end() {
            // SUBTLE: something was lost. A line with a hole in it looks like the line of no other store, so all of it must be told again.
            return self.greet_again(peer);
        }
        let Some(line) = ready.said.1.with(line) else {
            return self.refuse(peer, Refusal::Malformed);
        };
        ready.said.1 = line.clone();
        if self.judge_and_answer(peer, replica, line, asks) {
            self.perhaps_seen(peer);
            self.event(Event::Progress);
        }
    }

    /// Judges what a peer says of its line, and says what we know of that, if it asks. Says whether to go on.
    fn judge_and_answer(&mut self, peer: PeerId, replica: ReplicaId, line: Line, asks: bool) -> bool {
        let goes_on = self.judge_line(peer, replica, line);
        let ready = self.peers.get(&peer).and_then(Peer::ready).filter(|_| asks);
        if let Some((id, said)) = ready.map(|ready| &ready.said) {
            let known = match self.lines.of(peer, replica) {
                Some(Known::Line { line, met: true }) if line == *said => Some(Known::Said(said.end())),
                known => known,
            };
            let met = Frame::Met { id: *id, known };
            self.send(peer, &met);
        }
        goes_on
    }

    /// A peer says what it knows of us.
    pub(super) fn met(&mut self, peer: PeerId, id: u32, known: Option<&Known>) {
        if matches!(known, Some(Known::Line { line, .. }) if !line.is_sane()) {
            return self.refuse(peer, Refusal::Malformed);
        }
        let introduced = self.peers.get(&peer).and_then(|peer| peer.ready()?.introduced);
        let Some((replica, ..)) =
            introduced.filter(|introduced| (introduced.0, introduced.1) == (self.us.replica, id))
        else {
            return;
        };
        self.lines.has_answered(peer);
        match known {
            Some(known) => self.judged(peer, known),
            None => self.lines.has_not_heard(peer),
        }
        // We may go by another id since.
        if replica == self.us.replica
            && let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut)
        {
            ready.answered = Some(replica);
            self.perhaps_seen(peer);
        }
    }

    /// No answer has come: says again what was said last. It may have been lost.
    pub(super) fn greet_again(&mut self, peer: PeerId) {
        let Some(known) = self.peers.get(&peer) else { return };
        let hello = known.ours.clone();
        let proof = known.theirs.as_ref().map(|theirs| self.credentials.proof(&known.ours, peer, theirs));
        self.send(peer, &Frame::Hello(hello));
        if let Some(proof) = proof {
            self.send(peer, &Frame::Proof(proof));
        }
    }
}
