//! Watching documents in a network.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use tombolo_crdt::Crdt;

use super::document::Document;
use super::network::{Network, NodeId};
use super::stage::Untold;
use crate::engine::Step;

/// What becomes different in a document at a node, from the view that [`Network::watch`] took of it on, until that node crashes.
#[must_use = "who watches wants to be told"]
pub struct Watch<T: Crdt> {
    untold: Arc<Untold>,
    marker: PhantomData<fn() -> T>,
}

impl<T: Crdt> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("document", &self.untold.doc).finish_non_exhaustive()
    }
}

impl Network {
    /// Takes a view of a document at a node, and tells from there on what becomes different in it ([`steps`](Self::steps)), as
    /// `Document::watch` does. Opens it, if the node has not.
    ///
    /// # Panics
    /// If the node is down, or does not open the document.
    pub fn watch<T: Crdt, R>(
        &mut self,
        node: NodeId,
        document: &Document<T>,
        look: impl FnOnce(&T::State) -> R,
    ) -> (R, Watch<T>) {
        let id = document.id;
        let engine = self.engine(node);
        if engine.document::<T>(id).is_none() && !engine.is_deleted(id) {
            _ = self.open::<T>(node, document.name());
        }
        let untold = Untold { node: self.index(node), doc: id, steps: Mutex::default() };
        let watch = Watch { untold: Arc::new(untold), marker: PhantomData };
        self.stage.watched.push(Arc::downgrade(&watch.untold));
        self.call(node, |engine, _| engine.watch::<T>(id));
        let view = match self.engine(node).document::<T>(id) {
            Some(replica) => look(replica),
            None => look(&T::State::default()),
        };
        (view, watch)
    }

    /// What became different at the node since the view was taken, or since this was asked last: applied to the view, it is what is
    /// [read](Self::read) there. All of it waits, however much it is; of a real node who does not look for long is told that.
    pub fn steps<T: Crdt>(&mut self, watch: &Watch<T>) -> Vec<Step> {
        std::mem::take(&mut watch.untold.steps.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
