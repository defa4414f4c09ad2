//! Documents in a network.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use tombolo_crdt::{Crdt, Limits, Plain, Replica};

use super::machinery::Core;
use crate::DocId;
use crate::engine::{Engine, Now, OpenError};

/// A document of type `T`, for all nodes of a [`Network`](super::Network). Cheap to clone.
pub struct Document<T: Crdt> {
    pub(super) id: DocId,
    pub(super) name: Arc<str>,
    marker: PhantomData<fn() -> T>,
}

impl<T: Crdt> Document<T> {
    pub(super) fn new(id: DocId, name: &str) -> Self {
        Self { id, name: name.into(), marker: PhantomData }
    }

    /// Its id, the same at all nodes.
    #[must_use]
    pub fn id(&self) -> DocId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<T: Crdt> Clone for Document<T> {
    fn clone(&self) -> Self {
        Self::new(self.id, &self.name)
    }
}

impl<T: Crdt> fmt::Debug for Document<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("name", &self.name).field("id", &self.id).finish_non_exhaustive()
    }
}

type Opening = fn(&mut Engine, Now, &str, bool) -> Result<Option<DocId>, OpenError>;

/// What can be done with a document whose type is not known any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) open: Opening,
    pub(super) plain: fn(&Core, usize, DocId) -> Plain,
}

impl Kind {
    pub(super) fn of<T: Crdt>() -> Self {
        Self {
            open: Engine::open::<T>,
            plain: |core, node, doc| {
                use tombolo_crdt::DotStore as _;
                read::<T, _>(core, node, doc, T::State::plain)
            },
        }
    }
}

/// Reads a document, whether it is open as a `T` or not, and does not open it.
pub(super) fn read<T: Crdt, R>(core: &Core, node: usize, doc: DocId, look: impl FnOnce(&T::State) -> R) -> R {
    let engine = core.engine(node);
    if let Some(replica) = engine.document::<T>(doc) {
        return look(replica);
    }
    let Some(encoded) = core.encoded(node, doc) else { return look(&T::State::default()) };
    match Replica::<T>::decode(engine.replica(), &encoded, &Limits::trusted()) {
        Ok(replica) => look(&replica),
        Err(why) => panic!("the document does not read as a {}: {why}", T::type_name()),
    }
}
