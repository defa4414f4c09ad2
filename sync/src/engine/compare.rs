//! Whether equal versions mean equal states. They do, unless two stores wrote under one id and nobody noticed, or a disk, a program
//! or a member changed what it holds. Nothing else would show that: whoever holds the same version has nothing to ask for.
//!
//! So peers compare the fingerprints of what they hold in the same version: once in a session of all documents, as one sum, and from
//! then on of those that changed, if they are many as one sum over all again. What is not the same is joined no further, for a join of two states of one version keeps what both
//! have and loses the rest: the two exchange nothing of that document any more, and the application is told.
//!
//! Who is far behind another holds another version than it, and what both have alive of what both know is compared before anything is
//! joined (`behind`). So is a whole state with what is here.
//!
//! Fingerprints cost a walk over the document, so they are made a few at a time and kept as long as the version stands.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};
use tombolo_crdt::Version;

use super::effect::Event;
use super::frame::{Frame, Hash, Refusal};
use super::peer::{Peer, Ready};
use super::versions::{Digest, Versions, hash};
use super::{Engine, StartError, Store};
use crate::space::Secret;
use crate::store::Write;
use crate::{DocId, PeerId};

/// Of how many documents one frame speaks at most.
const MOST: usize = 256;
/// More that are due are compared as one sum.
const MANY: usize = 16;
/// How long after that did not help each is told by itself, in milliseconds.
const ONE_BY_ONE: u64 = 60_000;
/// How often that is tried: who never holds the same versions at the same time does not answer.
const MOST_TRIES: u32 = 4;
/// How long after a change a document is compared, in milliseconds: what keeps changing is compared no more often.
const PAUSE: u64 = 5_000;
/// How often a peer is told again what we hold of a document of which it holds something else, in milliseconds: it may not have heard that.
const AGAIN: u64 = 60_000;
/// Of documents of about how many bytes fingerprints are made in a second. What is larger is made up for.
const WORK: usize = 1 << 20;
/// So much more a document counts than what it takes on disk.
const LEAST: usize = 256;
/// From a peer from whom more documents have diverged nothing is taken any more.
const MAX_DIVERGED: usize = 1 << 12;
/// Who holds something else of which document stands under these names.
const DIVERGED: &str = "diverged/";

/// What is compared with one peer.
#[derive(Debug, Default)]
pub(crate) struct Comparing {
    /// Whether all documents were compared in this session, but those that are due.
    has_begun: bool,
    /// Until when each is told by itself: one sum over what is due was not the same, or not answered.
    one_by_one: u64,
    /// How often that sum was told since it was last answered.
    asked: u32,
    /// Which, and from when on.
    due: BTreeMap<DocId, u64>,
}

/// Fingerprints, and what came of comparing them.
#[derive(Debug)]
pub(crate) struct Fingerprints {
    key: [u8; 16],
    /// What tells this key from that of another secret.
    under: Hash,
    /// Until when the work of making them is paid for, in milliseconds.
    paid_until: u64,
    /// Who holds something else under the same names of events; kept, for to join the two later is no better.
    diverged: BTreeSet<(PeerId, DocId)>,
}

impl Comparing {
    /// All but these have been compared.
    fn begin(&mut self, due: Vec<DocId>, now: u64) {
        self.has_begun = true;
        due.into_iter().for_each(|doc| _ = self.due.entry(doc).or_insert(now));
    }

    fn go_one_by_one(&mut self, now: u64) {
        (self.one_by_one, self.asked) = (now + ONE_BY_ONE, 0);
    }

    /// A document is gone.
    pub(super) fn forget(&mut self, doc: DocId) {
        self.due.remove(&doc);
    }
}

impl Fingerprints {
    pub(crate) fn new(secret: &Secret) -> Self {
        let derived = secret.derive("tombolo 2026 fingerprint");
        let (mut key, mut under) = ([0; 16], Hash::default());
        key.copy_from_slice(&derived[..16]);
        under.copy_from_slice(&derived[16..]);
        Self { key, under, paid_until: 0, diverged: BTreeSet::new() }
    }

    /// With what a store knows of who holds something else.
    pub(crate) fn load(secret: &Secret, store: &dyn Store) -> Result<Self, StartError> {
        let mut fingerprints = Self::new(secret);
        for (key, bytes) in store.records(DIVERGED)? {
            let doc = <[u8; 16]>::try_from(bytes).ok().map(DocId::from_bytes);
            let peer = key[DIVERGED.len()..].split('/').next().and_then(|peer| peer.parse().ok());
            let noted = peer.zip(doc).ok_or(StartError::Record(key))?;
            fingerprints.diverged.insert(noted);
        }
        Ok(fingerprints)
    }

    pub(super) fn key(&self) -> &[u8; 16] {
        &self.key
    }

    pub(super) fn under(&self) -> Hash {
        self.under
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
        for peer in self.ready_peers().into_iter().filter(|peer| self.is_told(*peer, doc)).collect::<Vec<_>>()
        {
            if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
                ready.comparing.due.entry(doc).or_insert(at);
            }
        }
    }

    /// Sends a peer fingerprints of what has not been compared with it, once a beat.
    pub(super) fn compare(&mut self, peer: PeerId) {
        let now = self.now.millis;
        let Some((ready, told)) = self.comparable(peer) else { return };
        let is_same = |doc: DocId| ready.have.get(doc) == self.durable.get(doc);
        let comparing = &ready.comparing;
        let due = comparing.due.iter().filter(|(doc, at)| **at <= now && is_same(**doc));
        // The oldest first.
        let mut due: Vec<(u64, DocId)> = due.map(|(doc, at)| (*at, *doc)).collect();
        // What is known to be something else is in no sum.
        let summed = due.iter().filter(|(_, doc)| !self.has_diverged(peer, *doc)).count();
        let is_one_sum = summed > MANY && comparing.one_by_one <= now;
        let has_begun = comparing.has_begun;
        if !has_begun || is_one_sum {
            let changing = ready.comparing.due.iter().filter(|(_, at)| **at > now);
            let mut but: Vec<DocId> = changing.map(|(doc, _)| *doc).collect();
            if ready.have.digest() != told.digest() {
                but.extend(told.iter().map(|(doc, _)| doc).filter(|doc| !is_same(*doc)));
            }
            // These are known to be something else.
            but.extend(self.diverged_at(peer).into_iter().filter(|doc| told.get(*doc).is_some()));
            but.sort_unstable();
            but.dedup();
            let docs: Vec<DocId> =
                if has_begun { Vec::new() } else { told.iter().map(|(doc, _)| doc).collect() };
            let is_told = but.len() <= MOST && self.send_alike(peer, but.clone(), true);
            let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
            let comparing = &mut ready.comparing;
            comparing.asked += u32::from(is_told);
            if but.len() > MOST {
                // Too many to be named: each by itself.
                comparing.go_one_by_one(now);
                comparing.begin(docs, now);
            } else if has_begun && comparing.asked >= MOST_TRIES {
                comparing.go_one_by_one(now);
            }
            return;
        }
        due.sort_unstable();
        let due: Vec<DocId> = due.into_iter().map(|(_, doc)| doc).take(MOST).collect();
        let entries: Vec<_> = due.into_iter().filter_map(|doc| self.state_of(doc)).collect();
        if entries.is_empty() {
            return;
        }
        for (doc, ..) in &entries {
            self.compared(peer, *doc, AGAIN);
        }
        self.send(peer, &Frame::States(entries));
    }

    /// A document has been compared with what a peer holds. Where that is something else, it is told so again after a while: nobody
    /// says that it has heard it.
    fn compared(&mut self, peer: PeerId, doc: DocId, again: u64) {
        let (again, has_diverged) = (self.now.millis + again, self.has_diverged(peer, doc));
        if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
            let due = &mut ready.comparing.due;
            if has_diverged {
                due.insert(doc, again)
            } else {
                due.remove(&doc)
            };
        }
    }

    /// Who can be compared with, and what of ours it is told of: it understands us, and has told who it is and what it holds.
    fn comparable(&self, peer: PeerId) -> Option<(&Ready, &Versions)> {
        let known = self.peers.get(&peer)?;
        let understands = known.compares();
        let ready = known.ready().filter(|ready| ready.has_told_all(self.us.replica));
        ready.filter(|_| understands && !self.lines.is_apart()).zip(self.told(peer))
    }

    /// Says whether it could be told.
    fn send_alike(&mut self, peer: PeerId, but: Vec<DocId>, asks: bool) -> bool {
        let all = self.all_but(peer, &but);
        if let Some((versions, states)) = all {
            self.send(peer, &Frame::Alike { but, versions, states, asks });
        }
        all.is_some()
    }

    /// What we hold of all documents that a peer is told of, but some; `None` if that cannot be told yet.
    fn all_but(&mut self, peer: PeerId, but: &[DocId]) -> Option<(Digest, Hash)> {
        let told = self.told(peer)?;
        let versions = told.digest_without(but);
        let docs: Vec<DocId> = told.iter().map(|(doc, _)| doc).collect();
        let (mut sum, mut is_known) = (0_u128, true);
        for doc in docs.into_iter().filter(|doc| but.binary_search(doc).is_err()) {
            match self.fingerprint(doc) {
                Some(fingerprint) => sum = sum.wrapping_add(self.fingerprints.term(doc, fingerprint)),
                // Those after it are made nevertheless, as far as there is time.
                None => is_known = false,
            }
        }
        is_known.then(|| (versions, sum.to_le_bytes()))
    }

    /// A document's durable state; `None` if its fingerprint has to wait.
    fn state_of(&mut self, doc: DocId) -> Option<(DocId, Hash, Hash)> {
        let fingerprint = self.fingerprint(doc)?;
        Some((doc, version_hash_of(doc, self.durable.get(doc)?), fingerprint.to_le_bytes()))
    }

    pub(super) fn fingerprint(&mut self, doc: DocId) -> Option<u128> {
        let (slot, version) = (self.documents.get_mut(&doc)?, self.durable.get(doc)?);
        if let Some((_, fingerprint)) = slot.fingerprint.as_ref().filter(|(of, _)| of == version) {
            return Some(*fingerprint);
        }
        let now = self.now.millis;
        if slot.is_absent()
            || slot.is_stale
            || self.fingerprints.paid_until > now + 1_000
            || slot.body.version() != *version
        {
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
        let Some((_, told)) = self.comparable(peer) else { return };
        if told.digest_without(&but) != *versions {
            return;
        }
        let compared: Vec<DocId> = told.iter().map(|(doc, _)| doc).collect();
        let Some((_, ours)) = self.all_but(peer, &but) else { return };
        let now = self.now.millis;
        let is_same = ours == *states;
        let due: Vec<DocId> = match is_same {
            true => but.clone(),
            false => compared.clone(),
        };
        let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
        let comparing = &mut ready.comparing;
        let asked = std::mem::take(&mut comparing.asked) > 0;
        if is_same {
            let is_done =
                |doc: &DocId| compared.binary_search(doc).is_ok() && but.binary_search(doc).is_err();
            comparing.due.retain(|doc, _| !is_done(doc));
        } else {
            comparing.go_one_by_one(now);
        }
        if !comparing.has_begun || (asked && !is_same) {
            comparing.begin(due, now);
        }
        if is_same {
            let is_same = |doc| but.binary_search(&doc).is_err() && compared.binary_search(&doc).is_ok();
            self.alike_again(peer, is_same);
        }
        if asks {
            let _ = self.send_alike(peer, but, false);
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
            let mut again = AGAIN;
            if ours.2 == theirs {
                self.alike_again(peer, |of| of == doc);
            } else if self.diverged(peer, doc) {
                others.push(ours);
                again = PAUSE;
            }
            self.compared(peer, doc, again);
        }
        if !others.is_empty() {
            self.send(peer, &Frame::States(others));
        }
    }

    /// What a peer told of what we lack contradicts what is here. Says so to it.
    pub(super) fn parted(&mut self, peer: PeerId, doc: DocId) {
        if self.diverged(peer, doc) {
            self.send_diverged(peer, doc);
        }
    }

    /// Tells a peer that it is given nothing of a document.
    pub(super) fn send_diverged(&mut self, peer: PeerId, doc: DocId) {
        let compares = self.peers.get(&peer).is_some_and(Peer::compares);
        let frame = if compares { Frame::Diverged { doc } } else { Frame::Nothing { doc } };
        self.send(peer, &frame);
    }

    /// A peer gives us nothing of a document, and takes nothing.
    pub(super) fn heard_diverged(&mut self, peer: PeerId, doc: DocId) {
        if self.durable.get(doc).is_some() {
            self.diverged(peer, doc);
        }
        self.nothing(peer, doc);
    }

    /// A peer holds something else than we do under the same names of events. Says whether that is news.
    fn diverged(&mut self, peer: PeerId, doc: DocId) -> bool {
        if self.has_diverged(peer, doc) {
            return false;
        }
        if self.diverged_at(peer).len() >= MAX_DIVERGED {
            self.refuse(peer, Refusal::Forked);
            return false;
        }
        tracing::error!(%peer, %doc, "it holds something else under the same names of events; nothing of this document is exchanged with it");
        self.fingerprints.diverged.insert((peer, doc));
        let value = doc.as_bytes().to_vec();
        self.submit_others(vec![Write::Put { key: noted(peer, doc), value }]);
        // What is under way.
        if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
            ready.serving.forget(doc);
        }
        if self.staged_by(doc) == Some(peer) {
            self.forget_staging(doc);
        }
        self.event(Event::Diverged { peer, doc });
        true
    }

    /// A peer holds the same again of these documents: it may have begun anew, and have them by others.
    fn alike_again(&mut self, peer: PeerId, is_meant: impl Fn(DocId) -> bool) {
        let alike: Vec<DocId> = self.diverged_at(peer).into_iter().filter(|doc| is_meant(*doc)).collect();
        for doc in alike {
            self.fingerprints.diverged.remove(&(peer, doc));
            self.submit_others(vec![Write::Delete { key: noted(peer, doc) }]);
            self.chase(doc);
        }
    }

    /// A peer has told all it holds. Who holds nothing any more of what was something else has begun anew, and is given all of it.
    pub(super) fn perhaps_begun_anew(&mut self, peer: PeerId) {
        let have = self.peers.get(&peer).and_then(Peer::ready).map(|ready| ready.have.clone());
        if let Some(have) = have {
            self.alike_again(peer, |doc| have.get(doc).is_none());
        }
    }

    /// A document is not held any more. Yields what the store should do.
    pub(super) fn forget_diverged(&mut self, doc: DocId) -> Vec<Write> {
        let peers = self.diverged_from(doc);
        self.fingerprints.diverged.retain(|(_, of)| *of != doc);
        peers.into_iter().map(|peer| Write::Delete { key: noted(peer, doc) }).collect()
    }

    /// Whether nothing of a document is exchanged with a peer, for it holds something else.
    pub(super) fn has_diverged(&self, peer: PeerId, doc: DocId) -> bool {
        self.fingerprints.diverged.contains(&(peer, doc))
    }

    /// Who holds something else of a document than we do, under the same names of events.
    pub(super) fn diverged_from(&self, doc: DocId) -> Vec<PeerId> {
        let of = self.fingerprints.diverged.iter().filter(|(_, of)| *of == doc);
        of.map(|(peer, _)| *peer).collect()
    }

    /// Which documents a peer holds something else of.
    pub(super) fn diverged_at(&self, peer: PeerId) -> Vec<DocId> {
        let first = (peer, DocId::from_bytes([0; 16]));
        let of = self.fingerprints.diverged.range(first..).take_while(|(of, _)| *of == peer);
        of.map(|(_, doc)| *doc).collect()
    }
}

/// Under which name it stands that a document has diverged from a peer's.
fn noted(peer: PeerId, doc: DocId) -> String {
    format!("{DIVERGED}{peer}/{:032x}", u128::from_be_bytes(*doc.as_bytes()))
}

/// The first half of the hash of a document's version.
pub(super) fn version_hash_of(doc: DocId, version: &Version) -> Hash {
    hash(doc, version)[0].to_be_bytes()
}
