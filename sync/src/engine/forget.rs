//! Forgetting removals that all members know: a write like any other, by one of those who can be heard.

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
        self.ask_what_is_acknowledged(&full);
        self.release_silent();
        for doc in full {
            self.perhaps_sweep(doc);
        }
    }

    /// The documents that remember more removals than they should, of those that have been opened: nobody else can tell.
    fn full_of_garbage(&mut self) -> Vec<DocId> {
        let least = self.config.forgetting.least;
        let mut full = Vec::new();
        // What is on the disk only nobody has opened.
        for (&doc, slot) in self.documents.iter_mut().filter(|(_, slot)| !slot.is_absent()) {
            let Some(version) = self.durable.get(doc) else { continue };
            if slot.looked_at.as_ref().is_none_or(|(at, _)| at != version) {
                let garbage = slot.body.garbage();
                self.counts.remembered(doc, garbage.removals);
                // A run of a text takes as much as some ten of its letters.
                let weight = garbage.items - garbage.letters + garbage.letters / 8;
                let is_full = garbage.removals >= least.max(weight / 8);
                slot.looked_at = Some((version.clone(), is_full));
                (slot.looks, slot.swept_at) = (0, None);
            }
            if slot.is_writable() && slot.looked_at.as_ref().is_some_and(|(_, is_full)| *is_full) {
                full.push(doc);
            }
        }
        full.retain(|doc| !self.deleted.contains(doc));
        full
    }

    /// How many of those who can hear each other are to sweep a document before us: the first is who has written to it, so that its
    /// version does not grow for this. If two do it, nothing is lost but a few bytes.
    fn before_us(&self, doc: DocId) -> usize {
        let Some(version) = self.durable.get(doc) else { return 0 };
        let rank = |peer, replica| (version.get(replica) == 0, peer);
        let ours = rank(self.config.peer, self.us.replica);
        let wanting = self.peers.iter().filter(|(peer, _)| self.is_wanted_by(**peer, doc));
        let others = wanting.filter_map(|(peer, known)| Some((*peer, known.ready()?.replica?)));
        others.filter(|(peer, replica)| rank(*peer, *replica) < ours).count()
    }

    /// Sweeps a document that is full, if it is our turn. Who is before us may not have opened it, or not know what we know: so
    /// after each look that finds it as full as before it is the turn of the next.
    fn perhaps_sweep(&mut self, doc: DocId) {
        let before_us = self.before_us(doc);
        let Some(slot) = self.documents.get_mut(&doc) else { return };
        slot.looks += 1;
        if slot.looks <= before_us {
            return;
        }
        let (stable, kept) = (self.stable(doc), self.kept_apart(doc));
        let Some(slot) = self.documents.get_mut(&doc).filter(|slot| slot.is_writable()) else { return };
        // It costs a walk.
        if stable.is_empty() || slot.swept_at.as_ref() == Some(&stable) {
            return;
        }
        slot.body.keep_counters(kept);
        let swept = slot.body.sweep(&stable);
        slot.swept_at = Some(stable);
        if let Some((record, delta)) = swept {
            tracing::debug!(%doc, "removals that all know are forgotten");
            self.commit_as(doc, record, delta, Origin::Swept);
        }
    }
}
