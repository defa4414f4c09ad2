//! The handle that writes state and delta at once, in place.

use core::ops::Deref;

use super::{Alias, Crdt, DotStore, UnknownFields};
use crate::causal::Tx;
use crate::delta::{Bytes, PlaceId, ROOT};
use crate::map::reset;

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

    /// As [`field`](Self::field), of a field that has had other names: some of what it holds may stand under them. `field`
    /// finds it, with what stands under each older name.
    pub fn renamed_field<T: Crdt, const N: usize>(
        &mut self,
        name: &str,
        field: impl FnOnce(&mut S) -> (&mut T::State, [(&'static str, &mut Alias); N]),
    ) -> T::Mut<'_> {
        let depth = deeper(self.depth);
        let place = self.tx.draft.child(self.place, |key| key.extend_from_slice(name.as_bytes()));
        let (state, aliases) = field(self.state);
        if self.tx.draft.cover_above(place) {
            for (old, alias) in aliases {
                if let Some(dots) = alias.opened(state) {
                    self.tx.draft.stands_elsewhere(place, old, dots);
                }
            }
        }
        Mut { state, place, tx: self.tx, removable: self.removable, depth }.into()
    }

    /// As [`field`](Self::field), of what a variant holds: the choice of another one removes it.
    pub fn variant<T: Crdt>(
        &mut self,
        name: &str,
        field: impl FnOnce(&mut S) -> &mut T::State,
    ) -> T::Mut<'_> {
        Mut { removable: true, ..self.by_ref() }.into_field::<T>(name, field)
    }

    /// Removes what the field called `name` holds, as far as it is seen here. What `#[derive(Crdt)]` calls.
    pub fn clear_field<F: DotStore>(&mut self, name: &str, field: impl FnOnce(&mut S) -> &mut F) {
        let cleared = core::mem::take(field(self.state));
        if !cleared.is_bottom() {
            let below = |key: &mut Bytes| key.extend_from_slice(name.as_bytes());
            let below = self.tx.draft.child_of_removed(self.place, below);
            reset(&cleared, below, self.tx);
        }
    }

    /// As [`clear_field`](Self::clear_field), of all fields that this program does not know.
    pub fn clear_unknown(&mut self, unknown: impl FnOnce(&mut S) -> &mut UnknownFields) {
        for (name, field) in core::mem::take(unknown(self.state)).into_fields() {
            let below = self.tx.draft.child_of_removed(self.place, |key| key.extend_from_slice(&name));
            reset(&field, below, self.tx);
        }
    }

    /// Narrows to the field called `name`. What `#[derive(Crdt)]` calls.
    pub fn field<T: Crdt>(&mut self, name: &str, field: impl FnOnce(&mut S) -> &mut T::State) -> T::Mut<'_> {
        self.by_ref().into_field::<T>(name, field)
    }

    fn into_field<T: Crdt>(self, name: &str, field: impl FnOnce(&mut S) -> &mut T::State) -> T::Mut<'a> {
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
