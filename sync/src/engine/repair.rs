//! Repair: everybody says which versions it holds, and who lacks something pulls it.

use tombolo_crdt::{Opaque, Replica, Version};

use super::Engine;
use super::effect::Effect;
use super::frame::{ContentKind, Frame, MAX_CONTENT, PART};
use super::peer::Transfer;
use super::storage::{Pull, Slot};
use crate::{DocId, PeerId};

/// Changes within this time are announced together, in milliseconds. Gossip has usually arrived by then, so that
/// announcing costs a few bytes and repairs what gossip lost.
const ANNOUNCE_PAUSE: u64 = 50;
/// How long an unanswered pull keeps others from being tried, in milliseconds.
const PULL_PATIENCE: u64 = 2_000;
/// A list of versions is split into frames of about this many bytes.
const LIST_BYTES: usize = 256 << 10;

impl Engine {
    /// Has a document's durable version told to the peers shortly.
    pub(crate) fn announce_soon(&mut self, doc: DocId) {
        self.announce.insert(doc);
        self.announce_at.get_or_insert(self.now.millis + ANNOUNCE_PAUSE);
    }

    /// Tells all peers the durable versions of what changed.
    pub(crate) fn announce(&mut self) {
        self.announce_at = None;
        let docs = std::mem::take(&mut self.announce);
        let entries: Vec<_> =
            docs.into_iter().filter_map(|doc| Some((doc, self.durable.get(doc)?.clone()))).collect();
        if entries.is_empty() {
            return;
        }
        for frame in split(entries, false) {
            for peer in self.ready_peers() {
                self.send(peer, &frame);
            }
        }
    }

    /// Tells one peer everything we hold.
    pub(crate) fn send_versions(&mut self, peer: PeerId) {
        let entries = self.durable.iter().map(|(doc, version)| (doc, version.clone())).collect();
        for frame in split(entries, true) {
            self.send(peer, &frame);
        }
    }

    /// A peer told us what it holds.
    pub(crate) fn versions(&mut self, peer: PeerId, entries: Vec<(DocId, Version)>, first: bool, last: bool) {
        let Some(ready) = self.peers.get_mut(&peer).and_then(|peer| peer.ready_mut()) else { return };
        if first {
            ready.arriving = Some(super::Versions::default());
        }
        let docs: Vec<DocId> = entries.iter().map(|(doc, _)| *doc).collect();
        for (doc, version) in entries {
            if self.deleted.contains(&doc) || ready.have.len() >= self.config.max_documents {
                continue;
            }
            if let Some(arriving) = &mut ready.arriving {
                arriving.raise(doc, &version);
            }
            ready.have.raise(doc, &version);
        }
        if last && let Some(all) = ready.arriving.take() {
            ready.have = all;
            ready.listed = true;
        }
        for doc in docs {
            self.chase(doc);
        }
        self.event(super::Event::Progress);
    }

    /// Pulls a document from somebody who holds more of it than we do, unless a pull is under way.
    pub(crate) fn chase(&mut self, doc: DocId) {
        if self.deleted.contains(&doc) {
            return;
        }
        let ours = self.documents.get(&doc).map(|slot| slot.body.version()).unwrap_or_default();
        let ahead = self.peers.iter().filter_map(|(&peer, session)| {
            let lacked = session.ready()?.have.get(doc)?.ahead_of(&ours);
            (lacked > 0).then_some((lacked, peer))
        });
        if let Some((_, peer)) = ahead.max() {
            self.pull(doc, peer);
        }
    }

    /// Asks `peer` for what we lack of a document, unless somebody has been asked already.
    pub(crate) fn pull(&mut self, doc: DocId, peer: PeerId) {
        let now = self.now.millis;
        let Some(session) =
            self.peers.get(&peer).filter(|peer| peer.ready().is_some()).map(|peer| peer.session)
        else {
            return;
        };
        if !self.make_room(doc) {
            return;
        }
        let peers = &self.peers;
        let Some(slot) = self.documents.get_mut(&doc) else { return };
        let under_way = slot.pull.is_some_and(|pull| {
            pull.until > now && peers.get(&pull.peer).is_some_and(|peer| peer.session == pull.session)
        });
        if under_way || !slot.is_writable() {
            return;
        }
        slot.pull = Some(Pull { peer, session, until: now + PULL_PATIENCE });
        let version = slot.body.version();
        self.send(peer, &Frame::Pull { doc, version });
    }

    /// Makes sure that there is a place for a document, and says whether there is one.
    pub(crate) fn make_room(&mut self, doc: DocId) -> bool {
        if self.documents.contains_key(&doc) {
            return true;
        }
        if self.documents.len() >= self.config.max_documents {
            tracing::warn!(%doc, limit = self.config.max_documents, "no room for another document");
            return false;
        }
        let body = Replica::<Opaque>::new(self.config.replica);
        self.documents.insert(doc, Slot::new(Box::new(body), None));
        true
    }

    /// A peer asks for what it lacks.
    pub(crate) fn pulled(&mut self, peer: PeerId, doc: DocId, version: &Version) {
        let slot = self.documents.get(&doc).filter(|_| !self.deleted.contains(&doc));
        // What is in memory may not be durable yet; then the answer waits until it is.
        let wait_for =
            slot.and_then(|slot| slot.last_batch).filter(|&batch| self.batches.is_in_flight(batch));
        let content = slot.filter(|slot| slot.is_writable()).and_then(|slot| slot.body.since(version));
        let frames: Vec<Frame> = match content {
            None => vec![Frame::Nothing { doc }],
            Some((_, bytes)) if bytes.len() > MAX_CONTENT => {
                tracing::error!(%doc, bytes = bytes.len(), "a document too large to be sent");
                vec![Frame::Nothing { doc }]
            }
            Some((kind, bytes)) => {
                let parts = bytes.len().div_ceil(PART).max(1) as u32;
                let cut = |part: u32| {
                    let start = part as usize * PART;
                    bytes[start..bytes.len().min(start + PART)].to_vec()
                };
                (0..parts).map(|part| Frame::Content { doc, kind, part, parts, bytes: cut(part) }).collect()
            }
        };
        for frame in frames {
            match wait_for {
                None => self.send(peer, &frame),
                Some(batch) => {
                    if let Some(effect) = self.sending(peer, &frame) {
                        self.held.entry(batch).or_insert_with(Vec::<Effect>::new).push(effect);
                    }
                }
            }
        }
    }

    /// A part of what we pulled.
    pub(crate) fn content(
        &mut self,
        peer: PeerId,
        doc: DocId,
        kind: ContentKind,
        part: u32,
        parts: u32,
        bytes: Vec<u8>,
    ) {
        let now = self.now.millis;
        let Some(ready) = self.peers.get_mut(&peer).and_then(|peer| peer.ready_mut()) else { return };
        if bytes.len() > PART || parts == 0 || parts as usize > MAX_CONTENT / PART {
            return;
        }
        if part == 0 {
            ready.transfers.insert(doc, Transfer { kind, parts, next: 0, bytes: Vec::new() });
        }
        let Some(transfer) = ready.transfers.get_mut(&doc) else { return };
        if transfer.next != part || transfer.parts != parts || transfer.kind != kind {
            ready.transfers.remove(&doc);
            return;
        }
        transfer.bytes.extend(bytes);
        transfer.next += 1;
        if let Some(pull) = self.documents.get_mut(&doc).and_then(|slot| slot.pull.as_mut()) {
            pull.until = now + PULL_PATIENCE;
        }
        if transfer.next < parts {
            return;
        }
        let Some(transfer) = ready.transfers.remove(&doc) else { return };
        ready.last_repair = Some(now);
        self.end_pull(peer, doc);
        self.take_in(doc, kind, &transfer.bytes, peer);
        self.chase(doc);
    }

    /// A peer has nothing for us, though it had said so: what we believe of it is wrong.
    pub(crate) fn nothing(&mut self, peer: PeerId, doc: DocId) {
        self.end_pull(peer, doc);
        let Some(ready) = self.peers.get_mut(&peer).and_then(|peer| peer.ready_mut()) else { return };
        let ours = self.documents.get(&doc).map(|slot| slot.body.version()).unwrap_or_default();
        if ready.have.get(doc).is_some_and(|theirs| !ours.dominates(theirs)) {
            ready.have.remove(doc);
            self.chase(doc);
        }
    }

    fn end_pull(&mut self, peer: PeerId, doc: DocId) {
        if let Some(slot) = self.documents.get_mut(&doc)
            && slot.pull.is_some_and(|pull| pull.peer == peer)
        {
            slot.pull = None;
        }
    }
}

/// Lists of versions in frames of bearable size; always at least one.
fn split(entries: Vec<(DocId, Version)>, full: bool) -> Vec<Frame> {
    let mut lists: Vec<Vec<(DocId, Version)>> = vec![Vec::new()];
    let mut bytes = 0;
    for (doc, version) in entries {
        bytes += 24 + version.len() * 26;
        if bytes > LIST_BYTES {
            lists.push(Vec::new());
            bytes = 0;
        }
        if let Some(list) = lists.last_mut() {
            list.push((doc, version));
        }
    }
    let last = lists.len() - 1;
    let frame = |(at, entries)| Frame::Versions { entries, first: full && at == 0, last: full && at == last };
    lists.into_iter().enumerate().map(frame).collect()
}
