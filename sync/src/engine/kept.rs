//! What a node holds of a space beyond the part it wants.
//!
//! Whoever wants less than it did *keeps* what it holds beyond that until somebody who wants it is known to hold it durably. SUBTLE: it
//! must be somebody who wants it. Two who both want it no more and each count on the other would both drop it. Who says that it wants
//! something does so until it is started anew, and then asks others itself before it drops anything; so there is always one who has it.
//!
//! SUBTLE: what is dropped may be wanted again, and would be written to from the first event on, under dots that stand for something
//! else. So who dropped what it had written, and then wants more than it did, goes on under a new replica id.

use super::effect::Event;
use super::part::DROPPED;
use super::peer::Peer;
use super::subscription::{MAX_PREFIX, MAX_PREFIXES, Subscription};
use super::{Engine, Mistake};
use crate::store::Write;
use crate::{DocId, PeerId};

/// How often it is looked for what can be dropped, in milliseconds, and how many documents are at a time.
const LOOK_PAUSE: u64 = 1_000;
const MOST: usize = 256;

impl Engine {
    /// Goes on under a new replica id, if what is wanted again may have been written to under this one. What nobody may have seen
    /// is given to the new one too, as where another store wrote under ours.
    pub(super) fn perhaps_begin_anew(&mut self) {
        if !std::mem::take(&mut self.part.begins_anew) {
            return;
        }
        if self.part.dropped.take().is_some_and(|(replica, _)| replica == self.us.replica) {
            self.incarnate_for_more();
        }
        // SUBTLE: in order after the new id.
        self.submit_others(vec![Write::Delete { key: DROPPED.to_owned() }]);
    }

    /// Drops what can be.
    pub(super) fn drop_kept(&mut self) {
        let now = self.now.millis;
        if self.part.kept.is_empty() || now < self.part.look_at || self.lines.is_apart() {
            return;
        }
        self.part.look_at = now + LOOK_PAUSE;
        let safe = self.part.kept.iter().copied().filter(|doc| self.is_safe_elsewhere(*doc));
        let safe: Vec<DocId> = safe.take(MOST).collect();
        if !safe.is_empty() {
            self.drop_documents(&safe);
            self.keep_less();
        }
    }

    /// Whether a document we do not want is all on the disk, and at somebody who wants it.
    fn is_safe_elsewhere(&self, doc: DocId) -> bool {
        let Some(slot) = self.documents.get(&doc) else { return true };
        let version = slot.body.version();
        let is_under_way = slot.last_batch.is_some_and(|batch| self.batches.is_in_flight(batch));
        if slot.is_stale || slot.is_renamed || is_under_way {
            return false;
        }
        if version.is_empty() {
            return true;
        }
        if self.config.mistake == Some(Mistake::DropsAtOnce) {
            return true;
        }
        let us = self.us.replica;
        let holds_it = |(peer, known): (&PeerId, &Peer)| {
            let ready = known.ready().filter(|ready| ready.has_told_all(us));
            ready.and_then(|ready| ready.have.get(doc)).is_some_and(|theirs| theirs.dominates(&version))
                && self.is_wanted_by(*peer, doc)
                && !self.has_diverged(*peer, doc)
        };
        self.durable.get(doc) == Some(&version)
            && self.durable.name(doc).is_some()
            && self.peers.iter().any(holds_it)
    }

    /// Holds these no more.
    fn drop_documents(&mut self, docs: &[DocId]) {
        let us = self.us.replica;
        let wrote = |doc: &DocId| self.documents.get(doc).is_some_and(|slot| slot.body.version().get(us) > 0);
        let dropped = (us, self.config.subscription.clone());
        let mut writes = Vec::new();
        if self.part.dropped.as_ref() != Some(&dropped) && docs.iter().any(wrote) {
            let value = rmp_serde::to_vec(&(us, dropped.1.prefixes()));
            let value = value.expect("ids and texts are what MessagePack can say");
            writes.push(Write::Put { key: DROPPED.to_owned(), value });
            self.part.dropped = Some(dropped);
        }
        for &doc in docs {
            self.part.kept.remove(&doc);
            self.let_go(doc);
            self.documents.remove(&doc);
            writes.extend(self.forget_diverged(doc));
            writes.push(Write::Remove { doc });
            self.event(Event::Dropped { doc });
        }
        self.submit_others(writes);
    }

    /// What is kept, as a subscription.
    pub(super) fn what_is_kept(&self) -> Subscription {
        let names = self.part.kept.iter().take(MAX_PREFIXES + 1).map(|doc| {
            let name = self.durable.name(*doc)?;
            let end = (0..=name.len().min(MAX_PREFIX)).rev().find(|at| name.is_char_boundary(*at));
            Some(&name[..end.unwrap_or(0)])
        });
        let names: Option<Vec<&str>> = names.collect();
        names.and_then(|names| Subscription::new(names).ok()).unwrap_or_default()
    }

    /// Tells the peers and the members, if less is kept than was.
    pub(super) fn keep_less(&mut self) {
        if self.config.subscription.is_everything() {
            return;
        }
        let keeps = self.what_is_kept();
        if keeps != self.part.keeps {
            self.part.keeps = keeps;
            self.part.number += 1;
            self.ready_peers().into_iter().for_each(|peer| self.tell_wants(peer));
            self.tend_members();
        }
    }

    /// A document is here again, for its deletion was undone.
    pub(super) fn keep_again(&mut self, doc: DocId) {
        if !self.wants(doc) {
            self.part.kept.insert(doc);
            self.keep_less();
        }
    }
}
