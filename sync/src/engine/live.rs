//! Live push: what has become durable here goes out at once, as a hint: in the sessions themselves (`direct`) or by gossip.

use rand::Rng;
use tombolo_crdt::{Delta, Merged, Opaque, Refused};

use super::Engine;
use super::document::{Content, MergeError, Taken};
use super::effect::{Effect, Event, Origin};
use super::frame::ContentKind;
use super::memory::Held;
use crate::{DocId, PeerId};

/// A pushed group is at most this long, in bytes: 16 KiB. What is longer is announced and pulled.
pub(super) const MAX_PUSH: usize = 16 << 10;

/// What becomes durable alone goes out at once, what comes in quick succession goes out together: so many pushes may go out one after the
/// other, and then one in so many milliseconds.
const PUSHES: u64 = 8;
const PUSH_PAUSE: u64 = 2;

impl Engine {
    /// Pushes what has become durable, unless that was done just now.
    pub(crate) fn push(&mut self) {
        let now = self.now.millis;
        if self.push.is_empty() || now < self.push_at || self.lines.is_apart() {
            return;
        }
        // As in a leaky bucket: `pushed` is when all that went out would have, at that pace.
        self.pushed = self.pushed.max(now) + PUSH_PAUSE;
        self.push_at = self.pushed.saturating_sub(PUSHES * PUSH_PAUSE);
        for doc in std::mem::take(&mut self.push) {
            self.push_document(doc);
        }
    }

    /// Does not push what has become durable while nobody was to see it: whoever is there has been told our versions, and asks for it.
    pub(super) fn leave_to_pulls(&mut self) {
        let first = self.batches.first();
        for doc in std::mem::take(&mut self.push) {
            if let Some(slot) = self.documents.get_mut(&doc) {
                let ready = slot.fresh.partition_point(|(at, _)| first.is_none_or(|first| *at < first));
                slot.fresh.drain(..ready);
            }
        }
    }

    /// Pushes the local changes of a document that have become durable, neighbours joined to groups.
    fn push_document(&mut self, doc: DocId) {
        let first = self.batches.first();
        let Some(slot) = self.documents.get_mut(&doc) else { return };
        let ready = slot.fresh.partition_point(|(at, _)| first.is_none_or(|first| *at < first));
        if ready == 0 {
            return;
        }
        let mut groups: Vec<Delta<Opaque>> = Vec::new();
        for (_, delta) in slot.fresh.drain(..ready) {
            let joined = groups.last_mut().is_some_and(|group| {
                group.size_hint() + delta.size_hint() <= MAX_PUSH && group.append(&delta)
            });
            if !joined {
                groups.push(delta);
            }
        }
        if self.isolated || !self.peers.values().any(|peer| peer.ready().is_some()) {
            return;
        }
        for group in groups {
            if self.push_directly(doc, &group) {
                self.counts.pushes += 1;
                continue;
            }
            let body = group.encode_body();
            if body.len() <= MAX_PUSH {
                let mut nonce = [0; 24];
                self.rng.fill_bytes(&mut nonce);
                let payload = self.seal.seal(doc, &body, nonce);
                self.effects.push_back(Effect::Publish { payload });
                self.gossiped_at = Some(self.now.millis);
                self.counts.pushes += 1;
            }
        }
    }

    /// A payload somebody passed on to us.
    pub(crate) fn gossip(&mut self, from: PeerId, payload: &[u8]) {
        if !self.hears_gossip(from) {
            return;
        }
        let Some((doc, delta)) = self.seal.open(payload) else {
            tracing::debug!(peer = %from, "a gossip payload that no member made");
            return;
        };
        if self.is_absent(doc) && self.wants(doc) {
            return self.hold(doc, Held::Gossip(from, delta));
        }
        self.take_in(doc, ContentKind::Delta, &delta, from);
    }

    pub(super) fn hears_gossip(&self, from: PeerId) -> bool {
        // What depends on what we wrote may mean another store's.
        !self.isolated && !self.book.is_blocked(from) && !self.lines.is_apart()
    }

    /// Merges content that `from` sent us, stores what is new, and pulls at once what turns out to be missing.
    pub(crate) fn take_in(&mut self, doc: DocId, kind: ContentKind, bytes: &[u8], from: PeerId) -> Taken {
        if self.deleted.contains(&doc) || self.has_diverged(from, doc) || !self.wants(doc) {
            return Taken::Nothing;
        }
        let (limits, now) = (self.config.limits, self.now.wall_millis);
        let names = self.peers.get(&from).and_then(|peer| peer.ready()?.names.clone());
        let key = *self.fingerprints.key();
        let Some(content) = Content::of(kind, bytes, names.as_deref(), &key) else { return Taken::Nothing };
        let is_new = !self.documents.contains_key(&doc);
        let Some(slot) = self.place(doc).filter(|slot| slot.is_writable()) else { return Taken::Nothing };
        slot.body.set_time(now);
        let waiting = slot.body.waiting();
        let mut merged = slot.merge(content, &limits);
        if matches!(merged, Err(MergeError::Ours { .. })) {
            let forked = self.lines.may_have_forked();
            self.overtaken(from, forked);
            if !forked && let Some(slot) = self.documents.get_mut(&doc) {
                merged = slot.merge(content, &limits);
            }
        }
        match merged {
            Ok((Merged::Applied, record)) => {
                // If waiting deltas were applied with it, what is new is more than these bytes.
                self.persist(doc, record.filter(|_| waiting == 0));
                self.changed(doc, Origin::Peer(from));
                return Taken::New;
            }
            Ok((Merged::AlreadyKnown, _)) => {}
            Ok((Merged::Pending(missing), _)) => {
                tracing::debug!(%doc, ?missing, "a gap; pulling");
                self.pull(doc, from);
                return Taken::Nothing;
            }
            Err(MergeError::Contradicts) => return Taken::Contradicts,
            Err(why) => {
                tracing::warn!(%doc, peer = %from, %why, "content refused");
                if matches!(why, MergeError::Full(Refused::BufferFull { .. })) {
                    self.pull(doc, from);
                }
            }
        }
        // Nothing came of it, so it leaves no trace.
        if is_new {
            self.documents.remove(&doc);
        }
        Taken::Nothing
    }

    /// Tells the application that a document's value changed.
    pub(crate) fn changed(&mut self, doc: DocId, origin: Origin) {
        match origin {
            // Nothing can have been deleted, and deleting sees to that itself. It would cost a walk of the directory.
            Origin::Local if doc == DocId::DIRECTORY => self.event(Event::Directory),
            _ if doc == DocId::DIRECTORY => self.directory_changed(origin),
            _ => {}
        }
        if doc == DocId::MEMBERS {
            self.read_listed();
            if origin != Origin::Local {
                self.tend_members();
            }
        }
        if let Some(slot) = self.documents.get(&doc) {
            let (version, is_watched) = (slot.body.version(), slot.watch.is_watched());
            self.event(Event::Changed { doc, origin, version });
            if is_watched {
                self.tell_watchers(doc, origin);
            }
            self.reached(doc);
        }
    }
}
