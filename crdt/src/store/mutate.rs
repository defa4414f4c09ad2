//! The handle that writes state and delta at once, in place.

use std::ops::Deref;

use super::{Crdt, DotStore};
use crate::causal::Tx;
use crate::delta::{PlaceId, ROOT};

/// How deep containers may nest: 64. Deeper writes are refused before they happen, deeper bytes at the door.
pub const MAX_DEPTH: usize = 64;

/// Write access to one value inside one transaction.
///
/// Reads go to the value itself (`Deref`), and see what this transaction wrote. A handle narrows to what lies below
/// (a field, a map entry) and can be kept in a `let`; it cannot outlive the transaction or be used for another.
pub struct Mut<'a, S: DotStore> {
    pub(crate) state: &'a mut S,
    /// Where in the document it stands.
    pub(crate) place: PlaceId,
    pub(crate) tx: &'a mut Tx,
    /// Whether a map entry above can be removed, and this value with it.
    pub(crate) removable: bool,
    pub(crate) depth: usize,
}

impl<S: DotStore> Deref for Mut<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.state
    }
}

impl<'a, S: DotStore> Mut<'a, S> {
    pub(crate) fn root(state: &'a mut S, tx: &'a mut Tx) -> Self {
        Self { state, place: ROOT, tx, removable: false, depth: 0 }
    }

    /// The same handle again, for several calls that consume it.
    pub fn by_ref(&mut self) -> Mut<'_, S> {
        Mut {
            state: self.state,
            place: self.place,
            tx: self.tx,
            removable: self.removable,
            depth: self.depth,
        }
    }

    /// Narrows to the field called `name`. What `#[derive(Crdt)]` calls.
    pub fn field<T: Crdt>(&mut self, name: &str, field: impl FnOnce(&mut S) -> &mut T::State) -> T::Mut<'_> {
        let depth = deeper(self.depth);
        let place = self.tx.draft.child(self.place, |key| key.extend_from_slice(name.as_bytes()));
        Mut { state: field(self.state), place, tx: self.tx, removable: self.removable, depth }.into()
    }
}

/// # Panics
/// Beyond [`MAX_DEPTH`]. The update is undone.
pub(crate) fn deeper(depth: usize) -> usize {
    assert!(depth < MAX_DEPTH, "containers may nest {MAX_DEPTH} deep, not deeper");
    depth + 1
}
