//! Repair: everybody says which versions it holds, and who lacks something pulls it.
//!
//! A session of a large space begins with digests. Who knows what a peer's digest stands for tells it what differs (`past`); else one of the two
//! asks, with a sketch of what it holds:
//!
//! ```text
//! Beat ─▶                       Beat ─▶
//!      ◀─ Beat                       ◀─ Beat
//!      ◀─ Since                Sketch ─▶
//!                                    ◀─ Differences
//!                                Rest ─▶
//! ```

use rand::RngExt as _;
use tombolo_crdt::{Opaque, Version};

use super::document::{self, Content, Document, Taken};
use super::frame::{ContentKind, Frame, Hash, PART, SMALL_PART, content_hash};
use super::greeting::SMALL_SPACE;
use super::members::Members;
use super::past::{self, Name};
use super::pulls::Incoming;
use super::session::BEAT;
use super::sketch::{self, Differences, Key};
use super::staging::Progress;
use super::storage::Slot;
use super::versions::{Digest, Versions};
use super::{Engine, Mistake};
use crate::{DocId, PeerId};

/// Changes within this time are announced together, in milliseconds. Gossip has usually arrived by then, so that
/// announcing costs a few bytes and repairs what gossip lost.
const ANNOUNCE_PAUSE: u64 = 50;
/// Where we hold fewer documents than this a list of all is short enough.
const SKETCHED_FROM: usize = 64;
/// How many cells a first sketch has: enough for some twenty documents that changed, of each of which there are two hashes.
const FIRST_CELLS: usize = 64;
/// How many times as many the next one has.
const MORE_CELLS: usize = 3;
/// Of how many documents a peer that holds what both held once is told that they have changed. More go in a list that it asks for.
const MOST_TOLD: usize = 512;
/// How many bytes a cell takes.
const CELL_BYTES: usize = 12;
/// How many bytes a document takes in a list, at least.
const ENTRY_BYTES: usize = 24;
/// A list of versions is split into frames of about this many bytes.
const LIST_BYTES: usize = 256 << 10;

impl Engine {
    /// Has a document's durable version, as it is now, told to the peers shortly.
    ///
    /// SUBTLE: not as it is when it is told. The gossip of what became durable since is still under way, and whoever
    /// heard of it would pull what is about to arrive.
    pub(crate) fn announce_soon(&mut self, doc: DocId) {
        if let Some(version) = self.durable.get(doc) {
            self.announce.entry(doc).or_insert_with(|| version.clone());
            self.announce_at.get_or_insert(self.now.millis + ANNOUNCE_PAUSE);
        }
    }

    /// Tells all peers the durable versions of what changed.
    pub(crate) fn announce(&mut self) {
        self.announce_at = None;
        let entries: Vec<_> = std::mem::take(&mut self.announce).into_iter().collect();
        for (doc, version) in &entries {
            if self.durable.get(*doc).is_some_and(|durable| durable != version) {
                self.announce_soon(*doc);
            }
        }
        if entries.is_empty() {
            return;
        }
        let all = split(entries.clone(), false);
        for peer in self.ready_peers() {
            // Who wants everything is told the same.
            let is_told = entries.iter().all(|(doc, _)| self.is_told(peer, *doc));
            let some = || {
                let some =
                    entries.iter().filter(|(doc, _)| self.is_told(peer, *doc)).cloned().collect::<Vec<_>>();
                if some.is_empty() { Vec::new() } else { split(some, false) }
            };
            let frames = if is_told { all.clone() } else { some() };
            frames.iter().for_each(|frame| self.send(peer, frame));
        }
    }

    /// Tells one peer everything we hold.
    pub(crate) fn send_versions(&mut self, peer: PeerId) {
        let Some(told) = self.told(peer) else { return };
        let entries = told.iter().map(|(doc, version)| (doc, version.clone())).collect();
        for frame in split(entries, true) {
            self.send(peer, &frame);
        }
    }

    /// Has a peer tell what it holds: all of it, if that is little, or as far as it is not what we hold. The cells of a sketch
    /// are as many as it takes for a few differences, then three times as many, until a list is shorter.
    pub(crate) fn ask(&mut self, peer: PeerId) {
        let told = self.told(peer).cloned().unwrap_or_default();
        let Some(ready) = self.peers.get_mut(&peer).and_then(super::Peer::ready_mut) else { return };
        ready.cells = (ready.cells * MORE_CELLS).max(FIRST_CELLS);
        if told.len() < SKETCHED_FROM || ready.cells * CELL_BYTES > told.len() * ENTRY_BYTES {
            ready.sketched = None;
            return self.send(peer, &Frame::Ask);
        }
        let key = self.rng.random();
        let hashes = told.hashes(key).into_iter().map(|(hash, _)| hash);
        let cells = sketch::write(&sketch::cells(hashes, key, ready.cells), u64::BITS);
        ready.sketched = Some((key, told));
        self.send(peer, &Frame::Sketch { key, cells });
    }

    /// A peer wants to be told everything we hold. It has not been able to find out what differs, nor are we then.
    pub(crate) fn asked(&mut self, peer: PeerId) {
        self.send_versions(peer);
        let ready = self.peers.get(&peer).and_then(super::Peer::ready);
        if ready.is_some_and(|ready| !ready.listed && ready.sketched.is_none()) && self.told(peer).is_some() {
            self.send(peer, &Frame::Ask);
        }
    }

    /// Whether both of us hold everything, and so are told of everything.
    pub(crate) fn is_whole(&self, peer: PeerId) -> bool {
        let wants = self.peers.get(&peer).and_then(|peer| peer.ready()?.wants.as_ref());
        self.config.subscription.is_everything()
            && self.told(peer).is_some()
            && wants.is_none_or(|wants| wants.hears.is_everything())
    }

    /// Whether a peer that has just begun a session is going to tell what differs, or ask: then we need not ask as well. One of the two does so at once.
    pub(crate) fn is_to_be_asked(&self, peer: PeerId) -> bool {
        let Some(known) = self.peers.get(&peer) else { return false };
        peer < self.config.peer
            && self.is_whole(peer)
            && known.ready().is_some_and(|ready| !ready.listed)
            && self.now.millis < known.since + BEAT
            && self.durable.len() > SMALL_SPACE
    }

    /// If a peer holds what both of us held once, and we have changed a few documents since, tells it which. Says whether that is so.
    pub(crate) fn held_that_before(&mut self, peer: PeerId, digest: &Digest) -> bool {
        let of = past::name(digest);
        let Some(changed) = self.durable.changed_since(of).filter(|_| self.is_whole(peer)) else {
            return false;
        };
        let Some(mut held) = self.durable.held(of).filter(|held| held.digest() == *digest) else {
            return false;
        };
        if changed.is_empty() || changed.len() > MOST_TOLD {
            return false;
        }
        let entries =
            changed.iter().filter_map(|doc| Some((*doc, self.durable.get(*doc)?.clone()))).collect();
        let mut frames = split(entries, true);
        let (Some(Frame::Versions { entries, .. }), true) = (frames.pop(), frames.is_empty()) else {
            return false;
        };
        let gone = changed.iter().copied().filter(|doc| self.durable.get(*doc).is_none()).collect();
        let Some(ready) = self.peers.get_mut(&peer).and_then(super::Peer::ready_mut) else { return false };
        // SUBTLE: of what is deleted nobody holds anything that counts. Else it had something of ours that we have not.
        self.deleted.iter().for_each(|doc| held.remove(*doc));
        ready.is_spared = !ready.listed;
        (ready.have, ready.arriving, ready.sketched) = (held, None, None);
        self.send(peer, &Frame::Since { of, entries, gone });
        self.listed(peer);
        // What was given to another id since, we hold less of than we did.
        changed.into_iter().for_each(|doc| self.chase(doc));
        self.event(super::Event::Progress);
        true
    }

    /// A peer holds what both of us held once, but for this.
    pub(crate) fn heard_since(
        &mut self,
        peer: PeerId,
        of: Name,
        entries: Vec<(DocId, Version)>,
        gone: &[DocId],
    ) {
        let Some(ready) = self.peers.get(&peer).and_then(super::Peer::ready) else { return };
        // What we hold may have changed since we told its digest.
        let sketched = ready.sketched.as_ref().map(|(_, held)| held);
        let held = sketched.filter(|held| past::name(&held.digest()) == of).cloned();
        let Some(mut held) = held.or_else(|| self.durable.held(of)) else { return };
        gone.iter().for_each(|doc| held.remove(*doc));
        self.holds_but_for(peer, held, entries);
    }

    /// A peer holds this, and of some documents what it says.
    fn holds_but_for(&mut self, peer: PeerId, mut same: Versions, entries: Vec<(DocId, Version)>) {
        self.deleted.iter().for_each(|doc| same.remove(*doc));
        let Some(ready) = self.peers.get_mut(&peer).and_then(super::Peer::ready_mut) else { return };
        (ready.have, ready.arriving, ready.sketched) = (same, None, None);
        self.versions(peer, entries, false, false);
        self.listed(peer);
    }

    /// A peer asks where what we hold is not what it holds.
    pub(crate) fn sketched(&mut self, peer: PeerId, key: Key, cells: &[u8]) {
        let ready = self.peers.get_mut(&peer).and_then(super::Peer::ready_mut);
        if ready.is_some_and(|ready| std::mem::take(&mut ready.is_spared)) {
            return;
        }
        let Some(told) = self.told(peer) else { return };
        let hashes = told.hashes(key);
        let ours: Vec<u64> = hashes.iter().map(|(hash, _)| *hash).collect();
        let cells = sketch::read(cells, u64::BITS);
        let found = cells.map(|cells| sketch::differences(&ours, cells, key, u64::BITS));
        let Some(Differences::Found { ours, theirs: gone }) = found else {
            return self.send(peer, &Frame::TooMany { key });
        };
        let held = ours.iter().filter_map(|hash| {
            let at = hashes.binary_search_by_key(hash, |(hash, _)| *hash).ok()?;
            let doc = hashes[at].1;
            Some((doc, told.get(doc)?.clone()))
        });
        let held: Vec<(DocId, Version)> = held.collect();
        // All else it holds as we do. What it holds of these it says, unless that is nothing.
        let is_unknown = self
            .peers
            .get(&peer)
            .and_then(super::Peer::ready)
            .is_some_and(|ready| !ready.listed && ready.sketched.is_none());
        let same = is_unknown.then(|| {
            let mut same = told.clone();
            held.iter().for_each(|(doc, _)| same.remove(*doc));
            same
        });
        let asks = same.is_some() && !gone.is_empty();
        for (at, frame) in split(held, false).into_iter().enumerate() {
            match frame {
                Frame::Versions { entries, .. } if at == 0 => {
                    self.send(peer, &Frame::Differences { key, entries, gone: gone.clone(), asks });
                }
                frame => self.send(peer, &frame),
            }
        }
        let Some(same) = same else { return };
        if let Some(ready) = self.peers.get_mut(&peer).and_then(super::Peer::ready_mut) {
            ready.answered_sketch = Some((key, same));
        }
        if !asks {
            self.rest(peer, key, Vec::new());
        }
    }

    /// A peer that sent a sketch says what it held then of what was not as it is here.
    pub(crate) fn rest(&mut self, peer: PeerId, key: Key, entries: Vec<(DocId, Version)>) {
        let Some(ready) = self.peers.get_mut(&peer).and_then(super::Peer::ready_mut) else { return };
        let Some((_, mut same)) = ready.answered_sketch.take_if(|(of, _)| *of == key) else { return };
        // SUBTLE: what it has told since is not in its sketch.
        ready.have.iter().for_each(|(doc, version)| same.raise(doc, version));
        self.holds_but_for(peer, same, entries);
        self.event(super::Event::Progress);
    }

    /// A peer told where what it holds is not what we held when we asked.
    pub(crate) fn differences(
        &mut self,
        peer: PeerId,
        key: Key,
        entries: Vec<(DocId, Version)>,
        gone: &[u64],
        asks: bool,
    ) {
        let Some(ready) = self.peers.get_mut(&peer).and_then(super::Peer::ready_mut) else { return };
        let Some((_, mut same)) = ready.sketched.take_if(|(of, _)| *of == key) else { return };
        let mut rest = Vec::new();
        if !gone.is_empty() {
            let hashes = same.hashes(key);
            for hash in gone {
                if let Ok(at) = hashes.binary_search_by_key(hash, |(hash, _)| *hash) {
                    let doc = hashes[at].1;
                    rest.extend(same.get(doc).map(|version| (doc, version.clone())));
                    same.remove(doc);
                }
            }
        }
        if asks {
            self.send_rest(peer, key, rest);
        }
        self.holds_but_for(peer, same, entries);
    }

    /// Says what we held when we sent a sketch of what a peer does not hold.
    fn send_rest(&mut self, peer: PeerId, key: Key, rest: Vec<(DocId, Version)>) {
        let mut frames = split(rest, false);
        // The last of them ends it.
        let last = frames.pop();
        frames.iter().for_each(|frame| self.send(peer, frame));
        if let Some(Frame::Versions { entries, .. }) = last {
            self.send(peer, &Frame::Rest { key, entries });
        }
    }

    /// More differs than the cells we sent give away.
    pub(crate) fn too_many(&mut self, peer: PeerId, key: Key) {
        let ready = self.peers.get(&peer).and_then(super::Peer::ready);
        if ready.and_then(|ready| ready.sketched.as_ref()).is_some_and(|(of, _)| *of == key) {
            self.ask(peer);
        }
    }

    /// A peer holds exactly what it is told that we hold.
    pub(crate) fn holds_the_same(&mut self, peer: PeerId) {
        let Some(told) = self.told(peer).cloned() else { return };
        if let Some(ready) = self.peers.get_mut(&peer).and_then(super::Peer::ready_mut) {
            (ready.have, ready.arriving) = (told, None);
            self.listed(peer);
            self.event(super::Event::Progress);
        }
    }

    /// A peer has told all it holds.
    fn listed(&mut self, peer: PeerId) {
        if let Some(ready) = self.peers.get_mut(&peer).and_then(super::Peer::ready_mut) {
            ready.listed = true;
            ready.answered_sketch = None;
            self.perhaps_begun_anew(peer);
            self.lower_acknowledged(peer);
            self.perhaps_seen(peer);
        }
    }

    /// A peer told us what it holds.
    pub(crate) fn versions(&mut self, peer: PeerId, entries: Vec<(DocId, Version)>, first: bool, last: bool) {
        let Some(ready) = self.peers.get_mut(&peer).and_then(|peer| peer.ready_mut()) else { return };
        if first {
            ready.arriving = Some(super::Versions::default());
        }
        let mut docs = Vec::with_capacity(entries.len());
        for (doc, version) in entries {
            if !self.deleted.contains(&doc) {
                ready.believe(doc, &version, self.config.max_documents);
                docs.push(doc);
            }
        }
        if last && let Some(all) = ready.arriving.take() {
            ready.have = all;
            self.listed(peer);
        }
        let is_level = self
            .peers
            .get(&peer)
            .and_then(super::Peer::ready)
            .is_some_and(|ready| ready.is_right(&self.durable.digest()));
        if is_level && self.is_whole(peer) {
            self.durable.agreed(peer);
        }
        self.perhaps_seen(peer);
        for doc in docs {
            self.serve_no_more(peer, doc);
            self.chase(doc);
        }
        self.event(super::Event::Progress);
    }

    /// Pulls a document from somebody who holds more of it than we do, unless a pull is under way.
    pub(crate) fn chase(&mut self, doc: DocId) {
        let slot = self.documents.get(&doc);
        let is_busy = self.pulls.get(doc).is_some() || slot.is_some_and(|slot| !slot.is_writable());
        if is_busy || self.deleted.contains(&doc) || self.lines.is_apart() || !self.wants(doc) {
            return;
        }
        let ours = slot.map(|slot| slot.body.version()).unwrap_or_default();
        let now = self.now.millis;
        if let Some(at) = self.pulls.refused_until(doc, now) {
            return self.pulls.postpone(doc, at);
        }
        let staged_by = self.staged_by(doc);
        let (mut best, mut full, mut soonest) = (None, false, None::<u64>);
        for (&peer, known) in &self.peers {
            // Who has not said who it is may be another than it was, and who has not said what it knows of us may know another as us.
            let introduced =
                known.ready().filter(|ready| ready.replica.is_some() && !self.is_to_answer(peer));
            let Some(theirs) = introduced.and_then(|ready| ready.have.get(doc)) else { continue };
            let lacked = theirs.ahead_of(&ours);
            if lacked == 0 || self.has_diverged(peer, doc) {
                continue;
            }
            let shunned = self.pulls.shunned_until(peer, doc);
            if shunned > now {
                soonest = Some(soonest.map_or(shunned, |soonest| soonest.min(shunned)));
            } else if !self.pulls.has_room(peer) {
                full = true;
            } else {
                // Who has given pieces already, then who has most to give; of equals, who is asked for least.
                let rank = (Some(peer) == staged_by, lacked, std::cmp::Reverse(self.pulls.load(peer)), peer);
                best = best.max(Some(rank));
            }
        }
        match (best, soonest) {
            (Some((.., peer)), _) => self.pull(doc, peer),
            (None, _) if full => self.pulls.wait(doc),
            (None, Some(at)) => self.pulls.postpone(doc, at),
            (None, None) => {}
        }
    }

    /// Asks `peer` for what we lack of a document, unless somebody has been asked already.
    pub(crate) fn pull(&mut self, doc: DocId, peer: PeerId) {
        let now = self.now.millis;
        let ready = self.peers.get(&peer).and_then(super::Peer::ready);
        let is_ready = ready.is_some_and(|ready| ready.replica.is_some()) && !self.is_to_answer(peer);
        let slot = self.documents.get(&doc);
        let is_busy = self.pulls.get(doc).is_some() || slot.is_some_and(|slot| !slot.is_writable());
        let is_shunned = self.pulls.shunned_until(peer, doc) > now
            || self.pulls.refused_until(doc, now).is_some()
            || !self.pulls.has_room(peer);
        let is_ready = is_ready && !self.lines.is_apart() && !self.has_diverged(peer, doc) && self.wants(doc);
        if !is_ready || is_busy || is_shunned || self.deleted.contains(&doc) || !self.has_room(doc) {
            return;
        }
        if self.config.mistake == Some(Mistake::NoPull) {
            return;
        }
        let version = slot.map(|slot| slot.body.version()).unwrap_or_default();
        self.pulls.begin(doc, peer, now);
        self.counts.pulls += 1;
        let kept = self.pulls.kept(doc);
        let question = self.question_of(peer, doc).or_else(|| {
            let (base, alive) = self.told_at_once(peer, doc)?;
            self.pulls.asked(doc, alive.question(&base), version.clone());
            Some((base, alive))
        });
        let (version, alive) = match question {
            Some((version, alive)) => (version, Some(alive)),
            None => (version, None),
        };
        self.send(peer, &Frame::Pull { doc, version, kept, alive });
    }

    /// Whether there is a place for a document.
    fn has_room(&self, doc: DocId) -> bool {
        let is_free = doc == DocId::MEMBERS || self.documents.contains_key(&doc);
        let has_room = is_free || self.documents.len() < self.config.max_documents;
        if !has_room {
            tracing::warn!(%doc, limit = self.config.max_documents, "no room for another document");
        }
        has_room
    }

    /// The place for a document, made if there is none and there may be one.
    pub(crate) fn place(&mut self, doc: DocId) -> Option<&mut Slot> {
        if !self.has_room(doc) {
            return None;
        }
        let us = self.us;
        let empty = || -> Box<dyn Document> {
            if doc == DocId::MEMBERS {
                Box::new(us.empty::<Members>())
            } else {
                Box::new(us.empty::<Opaque>())
            }
        };
        Some(self.documents.entry(doc).or_insert_with(|| Slot::new(empty(), None)))
    }

    /// A part of what we pulled.
    pub(crate) fn content(
        &mut self,
        peer: PeerId,
        (doc, hash, kind): (DocId, Hash, ContentKind),
        part: u32,
        parts: u32,
        bytes: Vec<u8>,
    ) {
        let now = self.now.millis;
        self.pulls.progress(peer, now);
        if bytes.len() >= SMALL_PART {
            self.send(peer, &Frame::Got { doc, hash, part });
        }
        let most = self.config.limits.bytes / PART + 1;
        if bytes.len() > PART || part >= parts || parts as usize > most {
            return;
        }
        let is_asked = self.pulls.get(doc).is_some_and(|pull| pull.peer == peer);
        let whole = if parts == 1 {
            bytes
        } else if !is_asked {
            return;
        } else {
            let matches = |old: &Incoming| (old.hash, old.parts, old.kind) == (hash, parts, kind);
            match self.pulls.incoming(doc) {
                Some(old) if matches(old) => {}
                // A part that comes late, of what has been replaced by something newer.
                Some(_) if part > 0 => return,
                _ => self.pulls.receive(doc, Incoming::new(kind, hash, parts)),
            }
            let Some(incoming) = self.pulls.incoming(doc) else { return };
            incoming.add(part, bytes);
            if !incoming.is_complete() {
                return;
            }
            let Some(incoming) = self.pulls.take_incoming(doc) else { return };
            incoming.arrived.into_values().flatten().collect()
        };
        let is_whole = content_hash(&whole) == hash;
        let mut taken = Taken::Nothing;
        if is_asked && is_whole {
            match kind {
                ContentKind::Behind if self.behind(peer, doc, &whole) => return,
                ContentKind::Piece => match self.staged(peer, doc, &whole) {
                    Progress::More => return,
                    Progress::Over(came) => taken = came,
                },
                _ => {}
            }
        }
        let pull = if is_asked { self.pulls.end(doc) } else { None };
        if let Some(ready) = self.peers.get_mut(&peer).and_then(|peer| peer.ready_mut()) {
            ready.last_repair = Some(now);
        }
        // SUBTLE: only what answers a question tells all that came since the base of the pieces; gossip does not.
        if is_whole && taken == Taken::Nothing {
            let names = self.peers.get(&peer).and_then(|peer| peer.ready()?.names.clone());
            let key = *self.fingerprints.key();
            let rest = Content::of(kind, &whole, names.as_deref(), &key).filter(|_| is_asked);
            taken = match rest.and_then(|rest| self.adopt(doc, Some(rest), peer)) {
                Some(adopted) => adopted,
                None => self.take_in(doc, kind, &whole, peer),
            };
        }
        if let (Taken::Contradicts, Some(pull)) = (taken, pull) {
            let version = self.documents.get(&doc).map(|slot| slot.body.version()).unwrap_or_default();
            // SUBTLE: what was removed here since the question may be all there is to it.
            let is_outdated = |question| !pull.is_about(question, &version);
            if document::answers(kind, &whole).is_some_and(is_outdated) {
                self.pulls.begin_again(doc, &pull, now);
                return self.send(peer, &Frame::Pull { doc, version, kept: None, alive: None });
            }
            self.parted(peer, doc);
        }
        self.pull_ended(peer, doc, taken == Taken::New);
    }

    /// A peer has nothing for us.
    pub(crate) fn nothing(&mut self, peer: PeerId, doc: DocId) {
        if self.pulls.get(doc).is_some_and(|pull| pull.peer == peer) {
            self.pulls.end(doc);
            self.pull_ended(peer, doc, false);
        }
    }

    /// A pull is over. If it brought nothing new, and the peer still has what we lack, others are asked first.
    fn pull_ended(&mut self, peer: PeerId, doc: DocId, helped: bool) {
        let ours = self.documents.get(&doc).map(|slot| slot.body.version()).unwrap_or_default();
        let ready = self.peers.get(&peer).and_then(super::Peer::ready);
        let still_lacks =
            ready.and_then(|ready| ready.have.get(doc)).is_some_and(|theirs| !ours.dominates(theirs));
        if helped || !still_lacks {
            self.pulls.fruitful(peer, doc);
            self.counts.repairs += u64::from(helped);
        } else {
            self.counts.pulls_fruitless += 1;
            self.pulls.fruitless(peer, doc, self.now.millis);
        }
        self.chase(doc);
        self.pull_waiting();
    }

    /// There is room for more pulls.
    fn pull_waiting(&mut self) {
        while let Some(doc) = self.pulls.pop_waiting() {
            self.chase(doc);
            if self.pulls.is_waiting(doc) {
                return;
            }
        }
    }

    /// Pulls that were not answered, and those that were to wait.
    pub(crate) fn tend_pulls(&mut self) {
        let due = self.pulls.take_due(self.now.millis);
        if due.is_empty() {
            return;
        }
        for doc in due {
            self.chase(doc);
        }
        self.pull_waiting();
    }

    /// A peer's session is over: what it was asked for others may have.
    pub(crate) fn pull_elsewhere(&mut self, peer: PeerId) {
        for doc in self.pulls.forget_peer(peer) {
            self.chase(doc);
        }
        self.pull_waiting();
    }
}

/// Lists of versions in frames of bearable size; always at least one.
fn split(entries: Vec<(DocId, Version)>, full: bool) -> Vec<Frame> {
    let mut lists: Vec<Vec<(DocId, Version)>> = vec![Vec::new()];
    let mut bytes = 0;
    for (doc, version) in entries {
        // What it takes at most: each replica id is told once a list, and may be told here.
        let more = 24 + version.len() * 31;
        bytes += more;
        if bytes > LIST_BYTES {
            lists.push(Vec::new());
            bytes = more;
        }
        if let Some(list) = lists.last_mut() {
            list.push((doc, version));
        }
    }
    let last = lists.len() - 1;
    let frame = |(at, entries)| Frame::Versions { entries, first: full && at == 0, last: full && at == last };
    lists.into_iter().enumerate().map(frame).collect()
}

#[cfg(test)]
mod tests {
    use tombolo_crdt::ReplicaId;

    use super::super::frame::MAX_FRAME;
    use super::*;

    fn id(number: u64) -> ReplicaId {
        ReplicaId::from_bytes((u128::from(number) << 32 | 7).to_be_bytes())
    }

    /// Also that of a document with as many replica ids as there may be.
    #[test]
    fn versions_within_the_limits_are_told_in_frames_that_are_read() {
        for last in [1 << 10, 1 << 20, 1 << 39] {
            let wide: Version = (0..32_768).map(|number| (id(number), last)).collect();
            let own = |number| [(id(100_000 + number), last)].into_iter().collect::<Version>();
            let doc = |number: u64| DocId::from_bytes(u128::from(number + 1).to_be_bytes());
            for rest in [0, 2_000, 3_800] {
                let entries = (0..rest).map(|number| (doc(number + 1), own(number)));
                let frames = split([(doc(0), wide.clone())].into_iter().chain(entries).collect(), true);
                for frame in frames {
                    let bytes = frame.encode();
                    assert!(
                        bytes.len() <= MAX_FRAME && Frame::decode(&bytes).is_some(),
                        "{last} {rest}: {}",
                        bytes.len()
                    );
                }
            }
        }
    }
}
