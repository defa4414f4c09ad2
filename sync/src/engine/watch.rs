//! What becomes different in a document, for whoever watches it: step by step, whatever it comes of.
//!
//! Only of a document that somebody watches it is found out: a replica is looked at before and after what changes it. Where another
//! takes its place, because the disk refused something or names were given anew, the two are compared.

use std::sync::Arc;

use tombolo_crdt::{Change, Changes, Crdt, Limits, Merged, Plain, Replica, ReplicaId, Version};

use super::Engine;
use super::document::{Content, Document, MergeError};
use super::effect::{Event, Origin};
use super::storage::Slot;
use crate::DocId;

/// What became different in a document that is watched, from one version of it to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "what is not applied to what is shown is not shown"]
pub struct Step {
    /// By whom. What [`Origin::Undone`] undoes was told before.
    pub origin: Origin,
    /// What the document knows now; nothing if it was deleted.
    pub version: Version,
    /// What became different, one after the other: each fits what those before it have made. There may be none, or some that are empty, where
    /// nothing became different that is read.
    pub changes: Arc<[Changes]>,
}

impl Step {
    /// Makes of a plain value as it was one as it is.
    ///
    /// # Errors
    /// With the first change that does not fit the value, which was another one then. Those before it are done.
    pub fn apply_to(&self, value: &mut Plain) -> Result<(), Change> {
        self.changes.iter().try_for_each(|changes| changes.apply_to(value))
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn size_hint(&self) -> usize {
        size_of::<Self>() + self.changes.iter().map(Changes::size_hint).sum::<usize>()
    }
}

/// Where it is noted what became different, if anybody wants to know.
pub(crate) type Observed<'o> = Option<&'o mut Vec<Changes>>;

/// Who watches a document, and what became different in it that was not told yet.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    watchers: usize,
    untold: Vec<Changes>,
}

impl Watch {
    pub(crate) fn is_watched(&self) -> bool {
        self.watchers > 0
    }

    pub(crate) fn observed(&mut self) -> Observed<'_> {
        (self.watchers > 0).then_some(&mut self.untold)
    }

    /// Of a document in the place of which another is put.
    pub(crate) fn over(&self, before: &dyn Document, after: &dyn Document) -> Self {
        let mut watch = Self { watchers: self.watchers, untold: self.untold.clone() };
        if let Some(observed) = watch.observed() {
            observed.push(after.changes_from(before));
        }
        watch
    }
}

impl Slot {
    /// As [`Document::merge`], seen by who watches.
    pub(super) fn merge(
        &mut self,
        content: Content<'_>,
        limits: &Limits,
    ) -> Result<(Merged, Option<Vec<u8>>), MergeError> {
        self.body.merge(content, limits, self.watch.observed())
    }

    /// As [`Document::adopt`], seen by who watches.
    pub(super) fn adopt(&mut self, other: Box<dyn Document>, limits: &Limits) -> Result<(), MergeError> {
        self.body.adopt(other, limits, self.watch.observed())
    }

    /// As [`Document::disown`], seen by who watches.
    pub(super) fn disown(&mut self, of: ReplicaId, after: u64, replica: ReplicaId) {
        self.body.disown(of, after, replica, self.watch.observed());
    }
}

impl Engine {
    /// Tells what becomes different in a document that is open as a `T`, from here on and with everything that changes it
    /// ([`Event::Watched`]), until it is [no longer watched](Self::unwatch) as often, or gone ([`Event::Unwatched`]). It stays in memory
    /// as long. Says whether there is such a document; one whose deletion may still be undone reads as empty.
    pub fn watch<T: Crdt>(&mut self, doc: DocId) -> bool {
        let slot = self.slot_even_if_doomed(doc);
        let Some(slot) = slot.filter(|slot| slot.body.as_any().is::<Replica<T>>()) else { return false };
        slot.watch.watchers += 1;
        self.touch(doc);
        true
    }

    /// Somebody who watched a document does not any more. Says whether others do.
    pub fn unwatch(&mut self, doc: DocId) -> bool {
        let Some(slot) = self.slot_even_if_doomed(doc) else { return false };
        slot.watch.watchers = slot.watch.watchers.saturating_sub(1);
        let is_watched = slot.watch.is_watched();
        self.touch(doc);
        is_watched
    }

    /// Tells who watches a document what it has become.
    pub(super) fn tell_watchers(&mut self, doc: DocId, origin: Origin) {
        if let Some(slot) = self.documents.get_mut(&doc).filter(|slot| slot.watch.is_watched()) {
            let changes = std::mem::take(&mut slot.watch.untold).into();
            let step = Step { origin, version: slot.body.version(), changes };
            self.event(Event::Watched { doc, step });
        }
    }

    /// The same of one that was deleted, which reads as empty, or is not deleted after all.
    pub(super) fn tell_watchers_of_deletion(
        &mut self,
        doc: DocId,
        slot: &Slot,
        origin: Origin,
        is_gone: bool,
    ) {
        if !slot.watch.is_watched() {
            return;
        }
        // Nothing that a store holds is read as nothing.
        let Ok(empty) = slot.body.reload(self.us, None) else { return };
        let (before, after) = if is_gone { (&slot.body, &empty) } else { (&empty, &slot.body) };
        let step = Step { origin, version: after.version(), changes: [after.changes_from(&**before)].into() };
        self.event(Event::Watched { doc, step });
    }
}
