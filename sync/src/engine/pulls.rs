//! What has been asked of whom, and has not come yet.
//!
//! Of each document one pull is under way at most, and of each peer a bounded number. Who does not answer, or answers
//! with nothing that helps, is asked again for that document only after a growing pause; others are asked meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::Version;

use super::frame::{ContentKind, Hash, Question};
use crate::{DocId, PeerId};

/// How long a peer that has been asked may say nothing before others are asked, in milliseconds.
const PATIENCE: u64 = 2_000;
/// How many documents are asked of one peer at a time.
const MAX_PULLS: usize = 256;
/// The pause after a peer did not answer for a document.
const LATE_PAUSE: u64 = 100;
/// The first pause after a peer's answer did not help.
const FRUITLESS_PAUSE: u64 = 500;
/// The first pause after the disk refused what had come, and the longest.
const REFUSED_PAUSES: (u64, u64) = (500, 8_000);
/// The longest pause.
const LONGEST_PAUSE: u64 = 60_000;
/// How many bytes of interrupted transfers are kept, to go on where they ended.
const MAX_KEPT: usize = 64 << 20;

/// A pull that is under way.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) peer: PeerId,
    /// When to give it up.
    until: u64,
    /// How often it was asked more precisely.
    rounds: u32,
    /// The last question that told what is alive here, and what was here then.
    asked: Option<(Question, Version)>,
}

/// Content that is arriving in parts.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) kind: ContentKind,
    pub(crate) hash: Hash,
    pub(crate) parts: u32,
    /// SUBTLE: parts may come doubled and out of order, but only those of one content are ever put together.
    pub(crate) arrived: BTreeMap<u32, Vec<u8>>,
    bytes: usize,
}

impl Pull {
    /// Whether this was asked, and is about what is here now.
    pub(crate) fn is_about(&self, question: Question, version: &Version) -> bool {
        self.asked.as_ref().is_some_and(|(asked, at)| (*asked, at) == (question, version))
    }
}

impl Incoming {
    pub(crate) fn new(kind: ContentKind, hash: Hash, parts: u32) -> Self {
        Self { kind, hash, parts, arrived: BTreeMap::new(), bytes: 0 }
    }

    pub(crate) fn add(&mut self, part: u32, bytes: Vec<u8>) {
        if part < self.parts && !self.arrived.contains_key(&part) {
            self.bytes += bytes.len();
            self.arrived.insert(part, bytes);
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.arrived.len() == self.parts as usize
    }

    /// How many of the first parts are there, without a gap.
    fn first_parts(&self) -> u32 {
        self.arrived.keys().zip(0..).take_while(|(part, at)| *part == at).count() as u32
    }
}

#[derive(Debug, Clone, Copy)]
struct Shunned {
    until: u64,
    pause: u64,
}

/// All pulls of an engine.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    under_way: BTreeMap<DocId, Pull>,
    load: BTreeMap<PeerId, usize>,
    /// Documents to be asked for as soon as somebody has been asked for less.
    waiting: BTreeSet<DocId>,
    /// Documents to be asked for when time has passed.
    postponed: BTreeSet<DocId>,
    shunned: BTreeMap<(PeerId, DocId), Shunned>,
    /// Documents that nobody is asked for, since the disk refuses what comes.
    refused: BTreeMap<DocId, Shunned>,
    incoming: BTreeMap<DocId, Incoming>,
    /// No deadline is earlier than this.
    look_at: Option<u64>,
}

impl Pulls {
    pub(crate) fn get(&self, doc: DocId) -> Option<&Pull> {
        self.under_way.get(&doc)
    }

    /// How many documents are asked of a peer now.
    pub(crate) fn load(&self, peer: PeerId) -> usize {
        self.load.get(&peer).copied().unwrap_or(0)
    }

    pub(crate) fn has_room(&self, peer: PeerId) -> bool {
        self.load(peer) < MAX_PULLS
    }

    /// Until when this peer is not asked for this document.
    pub(crate) fn shunned_until(&self, peer: PeerId, doc: DocId) -> u64 {
        self.shunned.get(&(peer, doc)).map_or(0, |shunned| shunned.until)
    }

    pub(crate) fn begin(&mut self, doc: DocId, peer: PeerId, now: u64) {
        self.waiting.remove(&doc);
        self.postponed.remove(&doc);
        *self.load.entry(peer).or_insert(0) += 1;
        let until = now + PATIENCE;
        self.under_way.insert(doc, Pull { peer, until, rounds: 0, asked: None });
        self.look(until);
    }

    /// A pull that was answered is begun anew, for what it asked about is not what is here any more.
    pub(crate) fn begin_again(&mut self, doc: DocId, old: &Pull, now: u64) {
        self.begin(doc, old.peer, now);
        if let Some(pull) = self.under_way.get_mut(&doc) {
            pull.rounds = old.rounds;
        }
    }

    /// The pull of a document is over; yields it.
    pub(crate) fn end(&mut self, doc: DocId) -> Option<Pull> {
        let pull = self.under_way.remove(&doc)?;
        if let Some(load) = self.load.get_mut(&pull.peer) {
            *load -= 1;
            if *load == 0 {
                self.load.remove(&pull.peer);
            }
        }
        Some(pull)
    }

    /// Whom a document was asked of is asked more precisely; yields how often it was before.
    pub(crate) fn another_round(&mut self, doc: DocId, now: u64) -> u32 {
        let Some(pull) = self.under_way.get_mut(&doc) else { return 0 };
        pull.until = now + PATIENCE;
        pull.rounds += 1;
        pull.rounds - 1
    }

    /// It has been told what is alive here at this version.
    pub(crate) fn asked(&mut self, doc: DocId, question: Question, version: Version) {
        if let Some(pull) = self.under_way.get_mut(&doc) {
            pull.asked = Some((question, version));
        }
    }

    /// A peer is answering: it is not late with the rest, which stands behind this in the stream.
    pub(crate) fn progress(&mut self, peer: PeerId, now: u64) {
        if self.load.contains_key(&peer) {
            let of_peer = self.under_way.values_mut().filter(|pull| pull.peer == peer);
            of_peer.for_each(|pull| pull.until = now + PATIENCE);
        }
    }

    /// Whoever could be asked has been asked for enough: asks as soon as there is room.
    pub(crate) fn wait(&mut self, doc: DocId) {
        self.waiting.insert(doc);
    }

    /// Whoever could be asked is shunned: asks when time has passed.
    pub(crate) fn postpone(&mut self, doc: DocId, at: u64) {
        self.postponed.insert(doc);
        self.look(at);
    }

    /// A document to be asked for now that there is room.
    pub(crate) fn pop_waiting(&mut self) -> Option<DocId> {
        self.waiting.pop_first()
    }

    pub(crate) fn is_waiting(&self, doc: DocId) -> bool {
        self.waiting.contains(&doc)
    }

    /// A peer's answer did not bring what it had promised.
    pub(crate) fn fruitless(&mut self, peer: PeerId, doc: DocId, now: u64) {
        let last = self.shunned.get(&(peer, doc)).map_or(0, |shunned| shunned.pause);
        let pause = (last * 2).clamp(FRUITLESS_PAUSE, LONGEST_PAUSE);
        self.shunned.insert((peer, doc), Shunned { until: now + pause, pause });
    }

    /// The disk refused what had come of a document.
    pub(crate) fn refused(&mut self, doc: DocId, now: u64) {
        let last = self.refused.get(&doc).map_or(0, |refused| refused.pause);
        let pause = (last * 2).clamp(REFUSED_PAUSES.0, REFUSED_PAUSES.1);
        self.refused.insert(doc, Shunned { until: now + pause, pause });
    }

    /// The disk took what had come of a document.
    pub(crate) fn stored(&mut self, doc: DocId) {
        self.refused.remove(&doc);
    }

    /// Until when nobody is asked for this document.
    pub(crate) fn refused_until(&self, doc: DocId, now: u64) -> Option<u64> {
        self.refused.get(&doc).map(|refused| refused.until).filter(|until| *until > now)
    }

    /// A peer's answer helped.
    pub(crate) fn fruitful(&mut self, peer: PeerId, doc: DocId) {
        self.shunned.remove(&(peer, doc));
    }

    /// The documents to be asked for again, of somebody else if possible: pulls that are late, and what was postponed.
    pub(crate) fn take_due(&mut self, now: u64) -> BTreeSet<DocId> {
        if self.look_at.is_none_or(|look_at| now < look_at) {
            return BTreeSet::new();
        }
        let mut due = std::mem::take(&mut self.postponed);
        let late: Vec<DocId> =
            self.under_way.iter().filter(|(_, pull)| pull.until <= now).map(|(doc, _)| *doc).collect();
        for &doc in &late {
            if let Some(pull) = self.end(doc) {
                let shunned = self.shunned.entry((pull.peer, doc)).or_insert(Shunned { until: 0, pause: 0 });
                shunned.until = shunned.until.max(now + LATE_PAUSE);
            }
        }
        due.extend(late);
        self.look_at = self.under_way.values().map(|pull| pull.until).min();
        due
    }

    /// A session is over: yields the documents that were asked of the peer.
    pub(crate) fn forget_peer(&mut self, peer: PeerId) -> Vec<DocId> {
        self.shunned.retain(|(shunned, _), _| *shunned != peer);
        if self.load.remove(&peer).is_none() {
            return Vec::new();
        }
        let of_peer = self.under_way.iter().filter(|(_, pull)| pull.peer == peer);
        let docs: Vec<DocId> = of_peer.map(|(doc, _)| *doc).collect();
        for doc in &docs {
            self.under_way.remove(doc);
        }
        docs
    }

    pub(crate) fn forget_document(&mut self, doc: DocId) {
        self.end(doc);
        self.waiting.remove(&doc);
        self.postponed.remove(&doc);
        self.incoming.remove(&doc);
        self.shunned.retain(|(_, shunned), _| *shunned != doc);
        self.refused.remove(&doc);
    }

    pub(crate) fn incoming(&mut self, doc: DocId) -> Option<&mut Incoming> {
        self.incoming.get_mut(&doc)
    }

    /// Begins to put parts together; what was kept of other interrupted transfers goes if it is too much.
    pub(crate) fn receive(&mut self, doc: DocId, incoming: Incoming) {
        self.incoming.remove(&doc);
        let mut kept: usize = self.incoming.values().map(|incoming| incoming.bytes).sum();
        let idle = self.incoming.keys().filter(|doc| !self.under_way.contains_key(doc));
        for doc in idle.copied().collect::<Vec<_>>() {
            if kept > MAX_KEPT
                && let Some(old) = self.incoming.remove(&doc)
            {
                kept -= old.bytes;
            }
        }
        self.incoming.insert(doc, incoming);
    }

    pub(crate) fn take_incoming(&mut self, doc: DocId) -> Option<Incoming> {
        self.incoming.remove(&doc)
    }

    /// What is there already of an interrupted transfer.
    pub(crate) fn kept(&self, doc: DocId) -> Option<(Hash, u32)> {
        let incoming = self.incoming.get(&doc)?;
        Some((incoming.hash, incoming.first_parts())).filter(|(_, parts)| *parts > 0)
    }

    /// How many bytes of unfinished transfers there are.
    pub(crate) fn unfinished_bytes(&self) -> usize {
        self.incoming.values().map(|incoming| incoming.bytes).sum()
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        self.look_at
    }

    fn look(&mut self, at: u64) {
        self.look_at = Some(self.look_at.map_or(at, |look_at| look_at.min(at)));
    }
}
