//! What has happened since the start, and how much of everything there is: plain numbers, for whoever watches a node.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Engine;
use super::effect::BatchId;
use super::frame::Frame;
use super::peer::Peer;
use crate::{DocId, PeerId};

/// The kinds of frames by name, in the order of [`kind`].
const KINDS: [&str; 30] = [
    "hello",
    "proof",
    "refuse",
    "welcome",
    "met",
    "beat",
    "echo",
    "versions",
    "ask",
    "sketch",
    "differences",
    "too_many",
    "pull",
    "content",
    "got",
    "nothing",
    "peers",
    "tell",
    "alike",
    "states",
    "diverged",
    "wants",
    "wanted",
    "ask acknowledged",
    "acknowledged",
    "line",
    "rest",
    "since",
    "push",
    "others",
];

/// Where a frame's kind stands in [`KINDS`].
fn kind(frame: &Frame) -> usize {
    match frame {
        Frame::Hello(_) => 0,
        Frame::Proof(_) => 1,
        Frame::Refuse(_) => 2,
        Frame::Welcome(_) => 3,
        Frame::Met { .. } => 4,
        Frame::Beat { .. } => 5,
        Frame::Echo { .. } => 6,
        Frame::Versions { .. } => 7,
        Frame::Ask => 8,
        Frame::Sketch { .. } => 9,
        Frame::Differences { .. } => 10,
        Frame::TooMany { .. } => 11,
        Frame::Pull { .. } => 12,
        Frame::Content { .. } => 13,
        Frame::Got { .. } => 14,
        Frame::Nothing { .. } => 15,
        Frame::Peers { .. } => 16,
        Frame::Tell { .. } => 17,
        Frame::Alike { .. } => 18,
        Frame::States(_) => 19,
        Frame::Diverged { .. } => 20,
        Frame::Wants { .. } => 21,
        Frame::Wanted { .. } => 22,
        Frame::AskAcknowledged { .. } => 23,
        Frame::Acknowledged { .. } => 24,
        Frame::Line { .. } => 25,
        Frame::Rest { .. } => 26,
        Frame::Since { .. } => 27,
        Frame::Push { .. } => 28,
        Frame::Others(_) => 29,
    }
}

/// Frames of one direction, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Frames([u64; KINDS.len()]);

impl Frames {
    /// Each kind by name, with how many there were, also of those of which there were none.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        KINDS.into_iter().zip(self.0)
    }
}

/// What has happened since the engine was started. Numbers never go down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Bytes of frames that peers sent, gossip apart.
    pub bytes_in: u64,
    /// Bytes of frames that were sent to peers, gossip apart.
    pub bytes_out: u64,
    /// Frames that peers sent and that could be read.
    pub frames_in: Frames,
    /// Frames that were sent to peers.
    pub frames_out: Frames,
    /// Writes of this node that became durable.
    pub commits_durable: u64,
    /// Writes of this node that the disk refused and that were undone.
    pub commits_refused: u64,
    /// Groups of writes that were pushed, in sessions or by gossip.
    pub pushes: u64,
    /// How often a peer was asked for what we lack of a document.
    pub pulls: u64,
    /// Answers to that which did not bring what the peer had said it holds.
    pub pulls_fruitless: u64,
    /// Answers to that which brought something new.
    pub repairs: u64,
    /// Writes of this node of which it is not known yet whether they are durable.
    under_way: VecDeque<BatchId>,
    /// How many removals documents remembered when that was looked at last.
    removals: BTreeMap<DocId, usize>,
}

impl Counts {
    pub(super) fn came(&mut self, frame: Option<&Frame>, bytes: usize) {
        self.bytes_in += bytes as u64;
        if let Some(frame) = frame {
            self.frames_in.0[kind(frame)] += 1;
        }
    }

    pub(super) fn went(&mut self, frame: &Frame, bytes: usize) {
        self.bytes_out += bytes as u64;
        self.frames_out.0[kind(frame)] += 1;
    }

    /// A write of ours was handed to the store.
    pub(super) fn committed(&mut self, batch: BatchId) {
        self.under_way.push_back(batch);
    }

    /// Everything up to this batch is durable.
    pub(super) fn durable(&mut self, batch: BatchId) {
        let done = self.under_way.partition_point(|waiting| *waiting <= batch);
        self.under_way.drain(..done);
        self.commits_durable += done as u64;
    }

    /// Nothing from this batch on is.
    pub(super) fn refused(&mut self, first: BatchId) {
        let kept = self.under_way.partition_point(|waiting| *waiting < first);
        self.commits_refused += (self.under_way.len() - kept) as u64;
        self.under_way.truncate(kept);
    }

    /// A document was found to remember so many removals.
    pub(super) fn remembered(&mut self, doc: DocId, removals: usize) {
        if removals == 0 {
            self.removals.remove(&doc);
        } else {
            self.removals.insert(doc, removals);
        }
    }
}

/// How much of everything there is now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Gauges {
    /// Peers that have proved that they belong to the space, now or earlier.
    pub peers_known: usize,
    /// Of each peer that is connected, how many items of ours it has not acknowledged as durable. Ascending by peer.
    pub lag: Vec<(PeerId, u64)>,
    /// Documents that are listed.
    pub documents: usize,
    /// Deltas that wait for what they depend on.
    pub pending_deltas: usize,
    /// Documents of which a peer holds something else under the same names of events.
    pub diverged_documents: usize,
    /// Batches of writes that are on their way to the disk.
    pub batches_in_flight: usize,
    /// Removals that documents remember, as of the last look at them, ten seconds ago at most.
    pub removals: usize,
}

impl Engine {
    /// What has happened since the start.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How much of everything there is. O(peers × documents), as [`status`](Self::status).
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let known = self.book.iter().filter(|(peer, known)| *peer != self.config.peer && known.proved);
        let ready = self.peers.iter().filter_map(|(peer, known)| Some((*peer, Peer::ready(known)?)));
        let diverged: BTreeSet<DocId> = self.peers.keys().flat_map(|peer| self.diverged_at(*peer)).collect();
        let there = self.counts.removals.iter().filter(|(doc, _)| self.documents.contains_key(doc));
        Gauges {
            peers_known: known.count(),
            lag: ready.map(|(peer, ready)| (peer, self.lag_of(peer, ready))).collect(),
            documents: super::directory::count(self.directory()),
            pending_deltas: self.documents.values().map(|slot| slot.body.waiting()).sum(),
            diverged_documents: diverged.len(),
            batches_in_flight: self.batches.in_flight(),
            removals: there.map(|(_, removals)| removals).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_counted_once_when_it_is_known_what_became_of_it() {
        let mut counts = Counts::default();
        (1..=5).map(BatchId).for_each(|batch| counts.committed(batch));
        counts.durable(BatchId(2));
        counts.durable(BatchId(2));
        counts.refused(BatchId(4));
        counts.refused(BatchId(5));
        assert_eq!((counts.commits_durable, counts.commits_refused), (2, 2));
        counts.durable(BatchId(9));
        assert_eq!((counts.commits_durable, counts.commits_refused), (3, 2));
    }

    #[test]
    fn frames_are_counted_by_kind() {
        let mut counts = Counts::default();
        counts.went(&Frame::Ask, 1);
        counts.came(Some(&Frame::States(Vec::new())), 2);
        counts.came(None, 4);
        assert_eq!((counts.bytes_in, counts.bytes_out), (6, 1));
        assert_eq!(counts.frames_out.iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>(), [("ask", 1)]);
        assert_eq!(counts.frames_in.iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>(), [("states", 1)]);
    }
}
