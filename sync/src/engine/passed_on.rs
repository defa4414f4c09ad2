//! What members have acknowledged to others: for networks in which not all meet all.
//!
//! A node that waits for members it has no session with asks those it has one with ([`Frame::AskAcknowledged`]), and takes what they say
//! ([`Frame::Acknowledged`]) for what it would have heard itself, if it holds all that the member held by then, and knows all members that
//! the one who says it knew: then it knows all that the member had written, and whom it had let in. Whoever has it by others says it
//! as well, so it comes as far as there are members.
//!
//! A member that lies about others has removals forgotten too soon. What is written against them by who did not know them wins over
//! them then, and that is all (`docs/decisions/0025`).

use std::collections::BTreeMap;

use tombolo_crdt::Version;

use super::Engine;
use super::frame::{Frame, MAX_FRAME, PASSES_ON};
use super::members::Membership;
use super::peer::Peer;
use crate::{DocId, PeerId};

/// About how many documents one asks at a time, and is answered at most.
const MOST_DOCUMENTS: usize = 64;
/// Of how many members an answer speaks at most.
const MOST_MEMBERS: usize = 4_096;
/// How long an answer is at most, by what members and versions take in it at most: it must fit into a frame.
const MOST_BYTES: usize = MAX_FRAME / 2;
const MEMBER_BYTES: usize = 76;
const ENTRY_BYTES: usize = 32;
/// The longest pause between two questions, in looks.
const LONGEST_PAUSE: u32 = 64;
/// Somebody silent is asked for each time this part of the time has passed after which it is released.
const SILENCE_PARTS: u64 = 20;

/// When others are asked.
#[derive(Debug)]
pub(super) struct Asking {
    /// How many looks go by before the next question, and after that.
    left: u32,
    pause: u32,
}

impl Default for Asking {
    fn default() -> Self {
        Self { left: 0, pause: 1 }
    }
}

/// Members that hold the same of a document, with what that is.
pub type Holders = Vec<(Version, Vec<PeerId>)>;

impl Engine {
    /// Members who are waited for and have no session with us.
    fn unheard(&self) -> Vec<PeerId> {
        let is_heard = |peer: &PeerId| self.peers.get(peer).is_some_and(|peer| peer.ready().is_some());
        let waited_for = self.roll.listed().filter(|(peer, state)| {
            *state != Membership::Released && *peer != self.config.peer && !is_heard(peer)
        });
        waited_for.map(|(peer, _)| peer).collect()
    }

    /// Asks what others have heard of members that we do not hear, if something waits for that. To be called at each look.
    pub(super) fn ask_what_is_acknowledged(&mut self, full: &[DocId]) {
        let unheard = self.unheard();
        let lacks = |doc: &DocId| {
            let Some(durable) = self.durable.get(*doc) else { return false };
            let has_told = |member: &PeerId| {
                self.roll.acknowledged_by(*member, *doc).is_some_and(|version| version.dominates(durable))
            };
            unheard.iter().any(|member| self.is_held_by(*member, *doc) && !has_told(member))
        };
        let docs: Vec<DocId> = full.iter().copied().filter(lacks).take(MOST_DOCUMENTS).collect();
        let most = self.retention().map_or(u64::MAX, |silence| silence / SILENCE_PARTS);
        let is_silent = unheard.iter().any(|member| self.roll.silent(*member) > most);
        if docs.is_empty() && !is_silent {
            self.roll.asking = Asking::default();
            return;
        }
        if self.roll.asking.left > 0 {
            self.roll.asking.left -= 1;
            return;
        }
        let pause = self.roll.asking.pause;
        self.roll.asking = Asking { left: pause, pause: (pause * 2).min(LONGEST_PAUSE) };
        for peer in self.ready_peers() {
            if self.peers.get(&peer).is_some_and(|known| known.understands(PASSES_ON)) {
                let docs = docs.iter().copied().filter(|doc| self.is_wanted_by(peer, *doc)).collect();
                self.send(peer, &Frame::AskAcknowledged { docs });
            }
        }
    }

    /// How long ago, in milliseconds, a member was heard of, by us or by others.
    fn heard_ago(&self, member: PeerId, now: u64) -> Option<u64> {
        let is_here = self.peers.get(&member).is_some_and(|known| known.ready().is_some());
        if is_here { Some(0) } else { self.roll.heard(member).map(|at| now.saturating_sub(at)) }
    }

    /// A peer asks what we have heard of members that it does not hear.
    pub(super) fn asked_what_is_acknowledged(&mut self, peer: PeerId, mut docs: Vec<DocId>) {
        let Some(members) = self.durable.get(DocId::MEMBERS).cloned() else { return };
        if self.lines.is_apart() || !self.peers.get(&peer).is_some_and(|known| known.understands(PASSES_ON)) {
            return;
        }
        docs.sort_unstable();
        docs.dedup();
        docs.truncate(MOST_DOCUMENTS);
        let others: Vec<PeerId> = self
            .roll
            .listed()
            .filter(|(member, state)| {
                *state == Membership::Member && ![peer, self.config.peer].contains(member)
            })
            .map(|(member, _)| member)
            .take(MOST_MEMBERS)
            .collect();
        // SUBTLE: only of whom anything was heard. For how long somebody was silent is counted while most are heard, and says nothing of
        // when it was heard last.
        let now = self.now.millis;
        let silent: Vec<(PeerId, u64)> =
            others.iter().filter_map(|member| Some((*member, self.heard_ago(*member, now)?))).collect();
        let mut bytes = members.len() * ENTRY_BYTES + silent.len() * MEMBER_BYTES;
        let mut documents = Vec::new();
        for doc in docs {
            let mut holders: BTreeMap<Vec<_>, (Version, Vec<PeerId>)> = BTreeMap::new();
            for member in &others {
                if let Some(version) = self.roll.acknowledged_by(*member, doc) {
                    let key = version.iter().collect();
                    holders.entry(key).or_insert_with(|| (version.clone(), Vec::new())).1.push(*member);
                }
            }
            let holders: Holders = holders.into_values().collect();
            let each = |(version, members): &(Version, Vec<PeerId>)| {
                version.len() * ENTRY_BYTES + members.len() * MEMBER_BYTES
            };
            bytes += MEMBER_BYTES + holders.iter().map(each).sum::<usize>();
            if bytes > MOST_BYTES {
                // It asks again for what it has not been told.
                break;
            }
            documents.push((doc, holders));
        }
        self.send(peer, &Frame::Acknowledged { members, silent, documents });
    }

    /// A peer tells what it has heard of other members.
    pub(super) fn heard_what_is_acknowledged(
        &mut self,
        peer: PeerId,
        members: &Version,
        silent: Vec<(PeerId, u64)>,
        documents: Vec<(DocId, Holders)>,
    ) {
        let us = self.us.replica;
        let is_known =
            self.peers.get(&peer).and_then(Peer::ready).is_some_and(|ready| ready.has_told_all(us));
        // Whom those have met that it speaks of we must know.
        let knows = self.durable.get(DocId::MEMBERS).is_some_and(|ours| ours.dominates(members));
        if !is_known || !knows || self.lines.is_apart() {
            return;
        }
        let unheard = self.unheard();
        let now = self.now.millis;
        for (member, ago) in silent.into_iter().take(MOST_MEMBERS) {
            if unheard.contains(&member) {
                self.roll.heard_of(member, ago, now);
            }
        }
        let mut is_news = false;
        for (doc, holders) in documents.into_iter().take(MOST_DOCUMENTS) {
            let Some(durable) = self.durable.get(doc) else { continue };
            // Of what a member had written by then we must have all.
            let held = holders.into_iter().filter(|(version, _)| durable.dominates(version));
            for (version, members) in held {
                for member in members.into_iter().filter(|member| unheard.contains(member)) {
                    is_news |= self.roll.raise(member, doc, &version);
                }
            }
        }
        if is_news {
            self.roll.asking = Asking::default();
        }
    }
}
