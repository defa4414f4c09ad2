//! Answering pulls: what a peer asked for, cut into parts, never more under way than it keeps up with.
//!
//! A network that is handed a hundred large documents at once ends the session, and what is written meanwhile waits behind them; so
//! of large parts as many bytes are under way to one peer as it takes in within a moment, and more follow when it says that
//! they came. Small answers just go out, before the large ones.

use std::collections::VecDeque;

use tombolo_crdt::Version;

use super::Engine;
use super::effect::BatchId;
use super::frame::{Alive, ContentKind, Frame, Hash, PART, SMALL_PART, content_hash};
use crate::{DocId, PeerId};

/// How many bytes of large parts are under way to one peer at most: 4 MiB.
const MOST_WINDOW: usize = 4 << 20;
/// How many are before it is known how fast they come.
const FIRST_WINDOW: usize = 2 * PART;
/// A part that is acknowledged within this time, in milliseconds and beyond the round trip, may have more beside it.
const SOON: u64 = 50;
/// One that takes longer than this had too many.
const LATE: u64 = 150;
/// How many bytes of answers are kept ready for one peer.
const MAX_READY: usize = 2 * MOST_WINDOW;
/// How many documents one peer may ask for at a time. Who asks for more asks again.
const MAX_REQUESTS: usize = 4_096;
/// So many of the documents that one peer asked for are read at a time, if they are on the disk only.
const AHEAD: usize = 4;
/// After so long a part that was not acknowledged is taken for lost, in milliseconds.
const LOST: u64 = 15_000;

/// What a peer asked for.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    requests: VecDeque<Request>,
    answers: VecDeque<Answer>,
    /// Large parts that the peer has not acknowledged, oldest first.
    under_way: VecDeque<UnderWay>,
    /// How many bytes of them there may be; 0: nothing was sent yet.
    window: usize,
    /// When it was made smaller. What was sent before says nothing new.
    narrowed: u64,
}

#[derive(Debug)]
struct Request {
    doc: DocId,
    version: Version,
    kept: Option<(Hash, u32)>,
    alive: Option<Alive>,
}

/// An answer that is being sent.
#[derive(Debug)]
struct Answer {
    doc: DocId,
    kind: ContentKind,
    hash: Hash,
    bytes: Vec<u8>,
    next: u32,
    /// It speaks of what this batch makes durable, and waits for it.
    after: Option<BatchId>,
}

#[derive(Debug)]
struct UnderWay {
    doc: DocId,
    hash: Hash,
    part: u32,
    bytes: usize,
    since: u64,
}

impl Answer {
    fn parts(&self) -> u32 {
        self.bytes.len().div_ceil(PART).max(1) as u32
    }

    fn part(&self) -> &[u8] {
        let start = self.next as usize * PART;
        &self.bytes[start..self.bytes.len().min(start + PART)]
    }
}

impl Serving {
    fn bytes_under_way(&self) -> usize {
        self.under_way.iter().map(|part| part.bytes).sum()
    }

    /// A part has come, and shows how many may be under way: what the peer takes in within a moment (as in LEDBAT, RFC 6817).
    fn acknowledged(&mut self, (doc, hash, part): (DocId, &Hash, u32), now: u64, round_trip: u64) {
        let is_it = |sent: &UnderWay| (sent.doc, &sent.hash, sent.part) == (doc, hash, part);
        let Some(at) = self.under_way.iter().position(is_it) else { return };
        let Some(sent) = self.under_way.remove(at) else { return };
        let took = now.saturating_sub(sent.since).saturating_sub(round_trip);
        if took > LATE && sent.since >= self.narrowed {
            (self.window, self.narrowed) = ((self.window / 2).max(PART), now);
        } else if took < SOON {
            self.window = (self.window + PART).min(MOST_WINDOW);
        }
    }

    fn bytes_ready(&self) -> usize {
        self.answers.iter().map(|answer| answer.bytes.len()).sum()
    }

    /// The peer asks for a document, perhaps again.
    ///
    /// SUBTLE: what is under way of it counts until it has come or is lost, or who asks again and again over a slow link has it filled.
    fn request(&mut self, request: Request) {
        let doc = request.doc;
        // SUBTLE: an answer that waits for the disk stays, or a peer that asks faster than the disk writes gets none.
        let waits = |answer: &Answer| answer.doc == doc && answer.next == 0 && answer.after.is_some();
        if self.answers.iter().any(waits) {
            return;
        }
        self.answers.retain(|answer| answer.doc != doc);
        self.requests.retain(|request| request.doc != doc);
        if self.requests.len() < MAX_REQUESTS {
            self.requests.push_back(request);
        }
    }

    /// Whether a document was asked for and not sent yet.
    fn is_about(&self, doc: DocId) -> bool {
        self.answers.iter().any(|answer| answer.doc == doc)
            || self.requests.iter().any(|request| request.doc == doc)
    }

    /// Whether anything was asked for and not sent yet.
    fn is_waiting(&self) -> bool {
        !self.answers.is_empty() || !self.requests.is_empty()
    }

    /// Whether large parts are on their way to the peer.
    pub(super) fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// A document is gone.
    pub(crate) fn forget(&mut self, doc: DocId) {
        self.under_way.retain(|part| part.doc != doc);
        self.answers.retain(|answer| answer.doc != doc);
        self.requests.retain(|request| request.doc != doc);
    }

    /// The batches from `first` on will never be durable, nor is what waits for them true; yields which documents that
    /// concerns.
    pub(crate) fn drop_lost(&mut self, first: BatchId) -> Vec<DocId> {
        let is_lost = |answer: &Answer| answer.after.is_some_and(|after| after >= first);
        let lost = self.answers.iter().filter(|answer| is_lost(answer)).map(|answer| answer.doc).collect();
        self.answers.retain(|answer| !is_lost(answer));
        lost
    }

    /// The documents that the peer asked for, in order.
    pub(super) fn asked(&self) -> impl Iterator<Item = DocId> + '_ {
        self.requests.iter().map(|request| request.doc)
    }

    /// Whether the peer waits for an answer about this document.
    pub(super) fn is_asked(&self, doc: DocId) -> bool {
        self.requests.iter().any(|request| request.doc == doc)
    }

    /// How many bytes wait here: answers that are being sent.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes_ready()
    }
}

impl Engine {
    /// A peer asks for what it lacks.
    pub(crate) fn pulled(
        &mut self,
        peer: PeerId,
        (doc, version): (DocId, Version),
        kept: Option<(Hash, u32)>,
        alive: Option<Alive>,
    ) {
        let Some(ready) = self.peers.get_mut(&peer).and_then(|peer| peer.ready_mut()) else { return };
        ready.serving.request(Request { doc, version, kept, alive });
        self.serve(peer);
    }

    /// A peer tells what it holds of a document. If that is all we have, it has it by others, and what it asked us for is in the way of
    /// what it does not have.
    pub(super) fn serve_no_more(&mut self, peer: PeerId, doc: DocId) {
        let Some(ready) = self.peers.get_mut(&peer).and_then(|peer| peer.ready_mut()) else { return };
        if !ready.serving.is_about(doc) {
            return;
        }
        let ours = self.documents.get(&doc).map(|slot| slot.body.version()).unwrap_or_default();
        if ready.have.get(doc).is_some_and(|theirs| theirs.dominates(&ours)) {
            ready.serving.forget(doc);
        }
    }

    /// A peer has got a part.
    pub(crate) fn got(&mut self, peer: PeerId, doc: DocId, hash: &Hash, part: u32) {
        let Some(ready) = self.peers.get_mut(&peer).and_then(|peer| peer.ready_mut()) else { return };
        let round_trip = ready.round_trip.unwrap_or(0);
        ready.serving.acknowledged((doc, hash, part), self.now.millis, round_trip);
        self.serve(peer);
    }

    /// Sends a peer as much of what it asked for as may be sent now.
    pub(crate) fn serve(&mut self, peer: PeerId) {
        if self.lines.is_apart() || self.is_to_be_named(peer) {
            return;
        }
        let now = self.now.millis;
        let unlisted = self.to_be_listed(peer);
        loop {
            let Some(ready) = self.peers.get_mut(&peer).and_then(|peer| peer.ready_mut()) else { return };
            let serving = &mut ready.serving;
            while serving.under_way.front().is_some_and(|part| part.since + LOST <= now) {
                serving.under_way.pop_front();
            }
            let batches = &self.batches;
            let may_go =
                |answer: &&mut Answer| !answer.after.is_some_and(|after| batches.is_in_flight(after));
            if serving.window == 0 {
                serving.window = FIRST_WINDOW;
            }
            let room = serving.window.saturating_sub(serving.bytes_under_way());
            let is_small = |answer: &Answer| answer.part().len() < SMALL_PART;
            let may_go =
                |answer: &&mut Answer| may_go(answer) && (is_small(answer) || answer.part().len() <= room);
            // The shortest first: what is small does not wait for what is large.
            if let Some(answer) =
                serving.answers.iter_mut().filter(may_go).min_by_key(|answer| answer.bytes.len())
            {
                let (doc, hash, part) = (answer.doc, answer.hash, answer.next);
                let bytes = answer.part().to_vec();
                let length = bytes.len();
                let frame =
                    Frame::Content { doc, hash, kind: answer.kind, part, parts: answer.parts(), bytes };
                answer.next += 1;
                if answer.next >= answer.parts() {
                    serving.answers.retain(|answer| answer.doc != doc);
                }
                if length >= SMALL_PART {
                    serving.under_way.push_back(UnderWay { doc, hash, part, bytes: length, since: now });
                }
                self.send(peer, &frame);
                continue;
            }
            if serving.bytes_ready() >= MAX_READY {
                return;
            }
            // What is on the disk only is answered when it has been read, or cannot be.
            let (documents, memory) = (&self.documents, &self.memory);
            let is_there = |request: &Request| {
                let slot = documents.get(&request.doc);
                let is_there =
                    slot.is_none_or(|slot| !slot.is_absent()) || memory.is_unreadable(request.doc, now);
                is_there && !unlisted.contains(&request.doc)
            };
            let Some(at) = serving.requests.iter().position(is_there) else { break };
            let Some(request) = serving.requests.remove(at) else { break };
            self.answer(peer, request);
        }
        self.want_asked(peer);
    }

    /// Has the first documents read that a peer asked for. What waits is on the disk only.
    fn want_asked(&mut self, peer: PeerId) {
        let Some(ready) = self.peers.get(&peer).and_then(super::Peer::ready) else { return };
        let docs: Vec<DocId> = ready.serving.asked().take(AHEAD).collect();
        docs.into_iter().for_each(|doc| _ = self.want(doc));
    }

    fn answer(&mut self, peer: PeerId, request: Request) {
        let Request { doc, version, kept, alive } = request;
        // What is in memory may not be durable yet; then the answer waits until it is.
        let last = self.documents.get(&doc).and_then(|slot| slot.last_batch);
        let after = last.filter(|&batch| self.batches.is_in_flight(batch));
        if self.has_diverged(peer, doc) {
            return self.send_diverged(peer, doc);
        }
        let Some((kind, bytes)) = self.answer_to(peer, doc, &version, alive.as_ref()) else {
            return self.send(peer, &Frame::Nothing { doc });
        };
        if bytes.len() > self.config.limits.bytes {
            tracing::error!(%doc, bytes = bytes.len(), "a document too large to be sent");
            return self.send(peer, &Frame::Nothing { doc });
        }
        let hash = content_hash(&bytes);
        let mut answer = Answer { doc, kind, hash, bytes, next: 0, after };
        if let Some((_, parts)) = kept.filter(|(kept, _)| *kept == hash) {
            // At least the last part, so that the peer sees that it has everything.
            answer.next = parts.min(answer.parts() - 1);
        }
        if let Some(ready) = self.peers.get_mut(&peer).and_then(|peer| peer.ready_mut()) {
            ready.serving.answers.push_back(answer);
        }
    }

    /// Batches have become durable: answers that waited for them can go.
    pub(crate) fn serve_all(&mut self) {
        let waits = |peer: &super::Peer| peer.ready().is_some_and(|ready| ready.serving.is_waiting());
        let waiting: Vec<PeerId> =
            self.peers.iter().filter(|(_, peer)| waits(peer)).map(|(peer, _)| *peer).collect();
        for peer in waiting {
            self.serve(peer);
        }
    }
}
