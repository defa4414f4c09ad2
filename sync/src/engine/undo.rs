//! Undoing: what the disk refused, and what is deleted until that is durable.
//!
//! When a commit fails, memory is ahead of the disk. Every document concerned stays as it is, readable and not writable,
//! until it has been read back; then it is what the disk holds. So a dot is never used again that anybody may have seen:
//! nothing leaves this node before it is durable, and nothing is written on top of what is not.

use tombolo_crdt::Version;

use super::effect::{BatchId, Effect, Event, Origin};
use super::storage::{Made, Slot, place};
use super::{Engine, directory};
use crate::DocId;
use crate::store::{Stored, Write};

/// How long to wait before asking the disk again for what it refused, in milliseconds.
const RETRY_PAUSE: u64 = 1_000;

/// Of a deletion that was refused: later than all batches.
const UNDECIDED: BatchId = BatchId(u64::MAX);

/// A deleted document whose deletion may still be undone.
pub(crate) struct Doomed {
    /// It is gone for good when this batch is durable.
    pub(crate) batch: BatchId,
    pub(crate) slot: Slot,
    durable: Version,
}

impl Engine {
    /// The disk refused: everything from `first` on is undone, by going back to what the disk holds.
    pub(crate) fn store_failed(&mut self, first: BatchId, reason: &str) {
        let lost = self.batches.failed(first);
        if lost.is_empty() {
            return;
        }
        tracing::warn!(reason, batches = lost.len(), "the disk refused; undoing");
        let mut docs = Vec::new();
        for Made { documents, others, staged } in lost.into_values() {
            staged.into_iter().for_each(|doc| self.lose_staging(doc));
            docs.extend(documents.into_iter().map(|(doc, _)| doc));
            self.unsaved.extend(others.into_iter().map(|write| (place(&write), write)));
        }
        // Whether they stay deleted shows when the directory has been read back, however much becomes durable before that.
        for doomed in self.doomed.values_mut().filter(|doomed| doomed.batch >= first) {
            doomed.batch = UNDECIDED;
        }
        self.retry_at.get_or_insert(self.now.millis + RETRY_PAUSE);
        self.line_lost(first);
        docs.sort_unstable();
        docs.dedup();
        for doc in docs {
            self.pulls.refused(doc, self.now.millis);
            if let Some(slot) = self.documents.get_mut(&doc) {
                slot.fresh.retain(|(batch, _)| *batch < first);
                self.read_back(doc);
            } else if let Some(doomed) = self.doomed.get_mut(&doc) {
                doomed.slot.fresh.retain(|(batch, _)| *batch < first);
                doomed.slot.is_stale = true;
            }
        }
        for peer in self.ready_peers() {
            let Some(ready) = self.peers.get_mut(&peer).and_then(|peer| peer.ready_mut()) else { continue };
            for doc in ready.serving.drop_lost(first) {
                self.send(peer, &super::frame::Frame::Nothing { doc });
            }
        }
        let (kept, last) = (BatchId(first.0 - 1), self.batches.last());
        self.event(Event::NotDurable { kept, last, reason: reason.to_owned() });
        self.not_copied_here(first, reason);
    }

    /// Asks for what the disk holds of a document; until then it cannot be written.
    fn read_back(&mut self, doc: DocId) {
        if let Some(slot) = self.documents.get_mut(&doc) {
            slot.is_stale = true;
            self.stale.insert(doc);
            self.retry_at.get_or_insert(self.now.millis + RETRY_PAUSE);
            self.effects.push_back(Effect::Load { doc });
        }
    }

    /// A document as the disk holds it.
    pub(crate) fn loaded(&mut self, doc: DocId, stored: Result<Option<Stored>, String>) {
        self.has_answered(doc);
        match self.documents.get(&doc) {
            Some(slot) if slot.is_stale => {
                let was_absent = slot.is_absent();
                let failed = self.went_back(doc, stored).err();
                if was_absent {
                    self.has_been_read(doc, failed);
                }
            }
            Some(slot) if slot.is_absent() => self.brought_back(doc, stored),
            _ => {}
        }
    }

    /// A document of which the disk refused something, as the disk holds it.
    fn went_back(&mut self, doc: DocId, stored: Result<Option<Stored>, String>) -> Result<(), String> {
        let us = self.us;
        let Some(slot) = self.documents.get_mut(&doc) else { return Ok(()) };
        let body = stored.and_then(|stored| {
            let mut body = slot.body.reload(us, stored.as_ref()).map_err(|why| why.to_string())?;
            let renamed = self.lines.rename(doc, &mut *body);
            // SUBTLE: an answer to an earlier question may be older than what has become durable since.
            match self.durable.get(doc) {
                Some(durable) if !body.version().dominates(durable) => {
                    Err("it holds less than it did".into())
                }
                _ => Ok((body, stored, renamed)),
            }
        });
        let (body, stored, renamed) = match body {
            Ok(reloaded) => reloaded,
            Err(reason) => {
                tracing::warn!(%doc, reason, "the document could not be read back; it stays read-only");
                return Err(reason);
            }
        };
        *slot = slot.read(body, stored.as_ref());
        let version = slot.body.version();
        let is_empty = version.is_empty() && slot.opened.is_none() && doc != DocId::DIRECTORY;
        self.stale.remove(&doc);
        self.durable.set(doc, version.clone());
        if renamed {
            self.persist_renamed(doc);
        }
        self.announce_soon(doc);
        if doc == DocId::DIRECTORY {
            self.directory_undone();
        }
        if doc == DocId::MEMBERS {
            self.read_listed();
        }
        self.event(Event::Changed { doc, origin: Origin::Undone, version });
        self.tell_watchers(doc, Origin::Undone);
        if is_empty {
            self.documents.remove(&doc);
        }
        self.touch(doc);
        self.chase(doc);
        Ok(())
    }

    /// The directory went back: some documents are not deleted after all, some not created.
    fn directory_undone(&mut self) {
        self.deleted = directory::deleted(self.directory());
        self.part.names_changed();
        let (again, gone): (Vec<DocId>, Vec<DocId>) =
            self.doomed.keys().partition(|doc| !self.deleted.contains(doc));
        for doc in gone {
            if self.doomed.remove(&doc).is_some_and(|doomed| doomed.slot.watch.is_watched()) {
                self.event(Event::Unwatched { doc });
            }
        }
        for doc in again {
            if let Some(Doomed { slot, durable, .. }) = self.doomed.remove(&doc) {
                self.unsaved.remove(&super::storage::Place::Document(doc));
                self.durable.set(doc, durable);
                self.tell_watchers_of_deletion(doc, &slot, Origin::Undone, false);
                self.documents.insert(doc, slot);
                self.keep_again(doc);
                self.read_back(doc);
            }
        }
        let directory = self.directory();
        let is_listed = |doc: DocId, slot: &Slot| {
            slot.opened.as_ref().map(|(name, kind)| directory::current(directory, name, kind) == (doc, true))
        };
        let opened = self.documents.iter().filter_map(|(&doc, slot)| Some((doc, !is_listed(doc, slot)?)));
        let unlisted: Vec<(DocId, bool)> = opened.collect();
        for (doc, is_unlisted) in unlisted {
            if let Some(slot) = self.documents.get_mut(&doc) {
                slot.is_unlisted = is_unlisted;
            }
        }
        self.event(Event::Directory);
    }

    /// The directory changed: drops documents that were deleted.
    pub(crate) fn directory_changed(&mut self, origin: Origin) {
        let deleted = directory::deleted(self.directory());
        let gone: Vec<DocId> = deleted.difference(&self.deleted).copied().collect();
        self.deleted = deleted;
        self.part.names_changed();
        for doc in gone {
            let durable = self.durable.get(doc).cloned().unwrap_or_default();
            self.let_go(doc);
            self.durable.forget_name(doc);
            self.part.forget(doc);
            self.peers
                .values_mut()
                .filter_map(|peer| peer.ready_mut())
                .for_each(|ready| ready.have.remove(doc));
            if let Some(slot) = self.documents.remove(&doc) {
                let batch = self.submit_others(vec![Write::Remove { doc }]);
                self.tell_watchers_of_deletion(doc, &slot, origin, true);
                self.doomed.insert(doc, Doomed { batch, slot, durable });
            }
            self.gone(doc);
        }
        self.event(Event::Directory);
    }

    /// What was deleted with a batch up to this one is gone for good.
    pub(super) fn forget_doomed(&mut self, batch: BatchId) {
        let effects = &mut self.effects;
        self.doomed.retain(|&doc, doomed| {
            let may_be_undone = doomed.batch > batch;
            if !may_be_undone && doomed.slot.watch.is_watched() {
                effects.push_back(Effect::Event(Event::Unwatched { doc }));
            }
            may_be_undone
        });
    }

    /// Nothing is done with a document any more.
    pub(super) fn let_go(&mut self, doc: DocId) {
        self.durable.remove(doc);
        self.announce.remove(&doc);
        self.pulls.forget_document(doc);
        self.forget_staging(doc);
        self.stale.remove(&doc);
        self.memory.forget(doc);
        for ready in self.peers.values_mut().filter_map(|peer| peer.ready_mut()) {
            ready.comparing.forget(doc);
            ready.serving.forget(doc);
        }
    }

    /// Asks the disk again for what it refused.
    pub(crate) fn tend_disk(&mut self) {
        if self.retry_at.is_none_or(|at| self.now.millis < at) {
            return;
        }
        self.retry_at = None;
        for &doc in &self.stale {
            self.effects.push_back(Effect::Load { doc });
        }
        // SUBTLE: what is deleted no longer must not be removed; and until the directory has been read back nobody
        // knows what is deleted.
        let is_known = self.documents[&DocId::DIRECTORY].is_writable();
        let (mut writes, mut later) = (Vec::new(), Vec::new());
        for (place, write) in std::mem::take(&mut self.unsaved) {
            match &write {
                Write::Remove { .. } if !is_known => later.push((place, write)),
                Write::Remove { doc } if !self.deleted.contains(doc) => {}
                _ => writes.push(write),
            }
        }
        self.unsaved.extend(later);
        if !writes.is_empty() {
            let removed: Vec<DocId> = writes
                .iter()
                .filter_map(|write| if let Write::Remove { doc } = write { Some(*doc) } else { None })
                .collect();
            let batch = self.submit_others(writes);
            for doc in removed {
                if let Some(doomed) = self.doomed.get_mut(&doc) {
                    doomed.batch = batch;
                }
            }
        }
        if !self.stale.is_empty() || !self.unsaved.is_empty() {
            self.retry_at = Some(self.now.millis + RETRY_PAUSE);
        }
    }
}
