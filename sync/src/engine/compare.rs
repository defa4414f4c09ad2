//! Whether equal versions mean equal states. They do, unless two stores wrote under one id and nobody noticed, or a disk, a program
//! or a member changed what it holds. Nothing else would show that: whoever holds the same version has nothing to ask for.
//!
//! So peers compare the fingerprints of what they hold in the same version: once in a session of all documents, as one sum, and from
//! then on of those that changed. What is not the same is joined no further, for a join of two states of one version keeps what both
//! have and loses the rest: the two exchange nothing of that document any more, and the application is told.
//!
//! Fingerprints cost a walk over the document, so they are made a few at a time and kept as long as the version stands.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};
use tombolo_crdt::Version;

use super::Engine;
use super::effect::Event;
use super::frame::{COMPARES, Frame, Hash};
use super::peer::{Peer, Ready};
use super::versions::{Digest, hash};
use crate::space::Secret;
use crate::{DocId, PeerId};

/// Of how many documents one frame speaks at most.
const MOST: usize = 256;
/// How long after a change a document is compared, in milliseconds: what keeps changing is compared no more often.
const PAUSE: u64 = 5_000;
/// Of documents of about how many bytes fingerprints are made in a second. What is larger is made up for.
const WORK: usize = 1 << 20;
/// So much more a document counts than what it takes on disk.
const LEAST: usize = 256;
/// How many documents may have diverged from peers.
const MAX_DIVERGED: usize = 1 << 16;

/// What is compared with one peer.
#[derive(Debug, Default)]
pub(crate) struct Comparing {
    /// Whether all documents were compared in this session, but those that are due.
    has_begun: bool,
    /// Which, and from when on.
    due: BTreeMap<DocId, u64>,
}

/// Fingerprints, and what came of comparing them.
#[derive(Debug)]
pub(crate) struct Fingerprints {
    key: [u8; 16],
    /// Until when the work of making them is paid for, in milliseconds.
    paid_until: u64,
    /// Who holds something else in the same version; and in which.
    diverged: BTreeMap<(PeerId, DocId), Version>,
}

impl Fingerprints {
    pub(crate) fn new(secret: &Secret) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&secret.derive("tombolo 2026 fingerprint")[..16]);
        Self { key, paid_until: 0, diverged: BTreeMap::new() }
    }

    /// What a document adds to the sum over all.
    fn term(&self, doc: DocId, fingerprint: u128) -> u128 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(doc.as_bytes());
        hasher.write(&fingerprint.to_le_bytes());
        hasher.finish128().as_u128()
    }
}

impl Engine {
    /// A document's durable version is another.
    pub(super) fn compare_again(&mut self, doc: DocId) {
        let at = self.now.millis + PAUSE;
        for ready in self.peers.values_mut().filter_map(Peer::ready_mut) {
            ready.comparing.due.entry(doc).or_insert(at);
        }
    }

    /// Sends a peer fingerprints of what has not been compared with it, once a beat.
    pub(super) fn compare(&mut self, peer: PeerId) {
        let now = self.now.millis;
        let Some(ready) = self.comparable(peer) else { return };
        let is_same = |doc: DocId| ready.have.get(doc) == self.durable.get(doc);
        if !ready.comparing.has_begun {
            let mut but: Vec<DocId> = ready.comparing.due.keys().copied().collect();
            if ready.have.digest() != self.durable.digest() {
                but.extend(self.durable.iter().map(|(doc, _)| doc).filter(|doc| !is_same(*doc)));
                but.sort_unstable();
                but.dedup();
            }
            if but.len() <= MOST {
                self.send_alike(peer, but, true);
            }
            return;
        }
        let due = ready.comparing.due.iter().filter(|(doc, at)| **at <= now && is_same(**doc));
        let due: Vec<DocId> = due.map(|(doc, _)| *doc).take(MOST).collect();
        let entries: Vec<_> = due.into_iter().filter_map(|doc| self.state_of(doc)).collect();
        if entries.is_empty() {
            return;
        }
        if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
            entries.iter().for_each(|(doc, ..)| _ = ready.comparing.due.remove(doc));
        }
        self.send(peer, &Frame::States(entries));
    }

    /// Who can be compared with: it understands us, and has told who it is and what it holds.
    fn comparable(&self, peer: PeerId) -> Option<&Ready> {
        let known = self.peers.get(&peer)?;
        let understands = known.theirs.as_ref().is_some_and(|hello| hello.features & COMPARES != 0);
        let ready = known.ready().filter(|ready| ready.has_told_all(self.us.replica));
        ready.filter(|_| understands && !self.lines.is_apart())
    }

    fn send_alike(&mut self, peer: PeerId, but: Vec<DocId>, asks: bool) {
        if let Some((versions, states)) = self.all_but(&but) {
            self.send(peer, &Frame::Alike { but, versions, states, asks });
        }
    }

    /// What we hold of all documents but some; `None` if that cannot be told yet.
    fn all_but(&mut self, but: &[DocId]) -> Option<(Digest, Hash)> {
        let docs: Vec<DocId> = self.durable.iter().map(|(doc, _)| doc).collect();
        let (mut sum, mut is_known) = (0_u128, true);
        for doc in docs.into_iter().filter(|doc| but.binary_search(doc).is_err()) {
            match self.fingerprint(doc) {
                Some(fingerprint) => sum = sum.wrapping_add(self.fingerprints.term(doc, fingerprint)),
                // Those after it are made nevertheless, as far as there is time.
                None => is_known = false,
            }
        }
        is_known.then(|| (self.durable.digest_without(but), sum.to_le_bytes()))
    }

    /// A document's durable state; `None` if its fingerprint has to wait.
    fn state_of(&mut self, doc: DocId) -> Option<(DocId, Hash, Hash)> {
        let fingerprint = self.fingerprint(doc)?;
        Some((doc, version_hash_of(doc, self.durable.get(doc)?), fingerprint.to_le_bytes()))
    }

    fn fingerprint(&mut self, doc: DocId) -> Option<u128> {
        let (slot, version) = (self.documents.get_mut(&doc)?, self.durable.get(doc)?);
        if let Some((_, fingerprint)) = slot.fingerprint.as_ref().filter(|(of, _)| of == version) {
            return Some(*fingerprint);
        }
        let now = self.now.millis;
        if slot.is_stale || self.fingerprints.paid_until > now + 1_000 || slot.body.version() != *version {
            return None;
        }
        let cost = (slot.weight() + LEAST) as u64 * 1_000 / WORK as u64;
        self.fingerprints.paid_until = self.fingerprints.paid_until.max(now) + cost;
        let fingerprint = slot.body.fingerprint(&self.fingerprints.key);
        slot.fingerprint = Some((version.clone(), fingerprint));
        Some(fingerprint)
    }

    /// A peer tells what it holds of all documents but some.
    pub(super) fn heard_alike(
        &mut self,
        peer: PeerId,
        mut but: Vec<DocId>,
        (versions, states): (&Digest, &Hash),
        asks: bool,
    ) {
        but.truncate(MOST);
        but.sort_unstable();
        but.dedup();
        if self.comparable(peer).is_none() || self.durable.digest_without(&but) != *versions {
            return;
        }
        let Some((_, ours)) = self.all_but(&but) else { return };
        let now = self.now.millis;
        let due: Vec<DocId> = match ours == *states {
            true => but.clone(),
            false => self.durable.iter().map(|(doc, _)| doc).collect(),
        };
        let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
        if !ready.comparing.has_begun {
            ready.comparing.has_begun = true;
            due.into_iter().for_each(|doc| _ = ready.comparing.due.entry(doc).or_insert(now));
        }
        if asks {
            self.send_alike(peer, but, false);
        }
    }

    /// A peer tells what it holds of some documents.
    pub(super) fn heard_states(&mut self, peer: PeerId, entries: Vec<(DocId, Hash, Hash)>) {
        if self.comparable(peer).is_none() {
            return;
        }
        let mut others = Vec::new();
        for (doc, version, theirs) in entries.into_iter().take(MOST) {
            let is_same = |durable| version_hash_of(doc, durable) == version;
            if !self.durable.get(doc).is_some_and(is_same) {
                continue;
            }
            let Some(ours) = self.state_of(doc) else { continue };
            if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
                ready.comparing.due.remove(&doc);
            }
            if ours.2 != theirs && self.diverged(peer, doc) {
                others.push(ours);
            }
        }
        if !others.is_empty() {
            self.send(peer, &Frame::States(others));
        }
    }

    /// A peer holds something else than we do, in the same version. Says whether that is news.
    fn diverged(&mut self, peer: PeerId, doc: DocId) -> bool {
        let diverged = &mut self.fingerprints.diverged;
        let Some(version) = self.durable.get(doc) else { return false };
        if diverged.get(&(peer, doc)) == Some(version) || diverged.len() >= MAX_DIVERGED {
            return false;
        }
        tracing::error!(%peer, %doc, "it holds something else in the same version; nothing of this document is exchanged with it");
        diverged.insert((peer, doc), version.clone());
        self.event(Event::Diverged { peer, doc });
        true
    }

    /// A peer has told all it holds. Who does not hold any more what was something else has begun anew, and is given all of it.
    pub(super) fn perhaps_begun_anew(&mut self, peer: PeerId) {
        let Some(ready) = self.peers.get(&peer).and_then(Peer::ready) else { return };
        self.fingerprints.diverged.retain(|(of, doc), from| {
            *of != peer || ready.have.get(*doc).is_some_and(|theirs| theirs.dominates(from))
        });
    }

    /// Whether nothing of a document is exchanged with a peer, for it holds something else.
    pub(super) fn has_diverged(&self, peer: PeerId, doc: DocId) -> bool {
        self.fingerprints.diverged.contains_key(&(peer, doc))
    }

    /// Who holds something else of a document than we do, in the same version.
    pub(super) fn diverged_from(&self, doc: DocId) -> Vec<PeerId> {
        let of = self.fingerprints.diverged.keys().filter(|(_, of)| *of == doc);
        of.map(|(peer, _)| *peer).collect()
    }

    /// Which documents a peer holds something else of.
    pub(super) fn diverged_at(&self, peer: PeerId) -> Vec<DocId> {
        let first = (peer, DocId::from_bytes([0; 16]));
        let of = self.fingerprints.diverged.range(first..).take_while(|((of, _), _)| *of == peer);
        of.map(|((_, doc), _)| *doc).collect()
    }
}

/// The first half of the hash of a document's version.
pub(super) fn version_hash_of(doc: DocId, version: &Version) -> Hash {
    hash(doc, version)[0].to_be_bytes()
}
