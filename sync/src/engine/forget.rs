//! Forgetting removals that all members know: a write like any other, by one of those who can be heard.

use tombolo_crdt::Version;

use super::Engine;
use super::effect::Origin;
use crate::DocId;

/// What is looked at, and when.
#[derive(Debug, Default)]
pub(crate) struct Forget {
    /// When to look next.
    at: u64,
}

impl Engine {
    /// Looks now and then whether there is something to forget.
    pub(super) fn tend_garbage(&mut self) {
        if self.now.millis < self.forget.at {
            return;
        }
        self.forget.at = self.now.millis + self.config.forgetting.pause;
        if self.lines.is_apart() || self.isolated {
            return;
        }
        self.forget_history();
        let full = self.full_of_garbage();
        self.roll.is_wanted = !full.is_empty();
        self.tend_members();
        self.release_silent();
        for doc in full {
            if self.is_ours_to_sweep(doc) {
                self.sweep(doc, &self.stable(doc));
            }
        }
    }

    /// The documents that remember more removals than they should, of those that have been opened: nobody else can tell.
    fn full_of_garbage(&mut self) -> Vec<DocId> {
        let least = self.config.forgetting.least;
        let mut full = Vec::new();
        for (&doc, slot) in &mut self.documents {
            let Some(version) = self.durable.get(doc) else { continue };
            if slot.looked_at.as_ref().is_none_or(|(at, _)| at != version) {
                let garbage = slot.body.garbage();
                let is_full = garbage.removals >= least.max(garbage.items / 8);
                slot.looked_at = Some((version.clone(), is_full));
            }
            if slot.is_writable() && slot.looked_at.as_ref().is_some_and(|(_, is_full)| *is_full) {
                full.push(doc);
            }
        }
        full.retain(|doc| !self.deleted.contains(doc));
        full
    }

    /// Whether we are the one to sweep a document, of those who can hear each other: the first who has written to it, so that its
    /// version does not grow for this; if none has, the first. If two think so, both do, and nothing is lost but a few bytes.
    fn is_ours_to_sweep(&self, doc: DocId) -> bool {
        let Some(version) = self.durable.get(doc) else { return false };
        let others = self.peers.iter().filter_map(|(peer, known)| Some((*peer, known.ready()?.replica?)));
        let all = others.chain([(self.config.peer, self.us.replica)]);
        let first = all.map(|(peer, replica)| (version.get(replica) == 0, peer)).min();
        first.is_some_and(|(_, peer)| peer == self.config.peer)
    }

    fn sweep(&mut self, doc: DocId, stable: &Version) {
        let Some(slot) = self.documents.get_mut(&doc).filter(|slot| slot.is_writable()) else { return };
        let Some((record, delta)) = slot.body.sweep(stable) else { return };
        tracing::debug!(%doc, "removals that all know are forgotten");
        self.commit_as(doc, record, delta, Origin::Swept);
    }
}
