//! What registers have in common that hold the best of all values written.

use crate::store::{Key, Leaf, Mut, Written};

/// The best of what was written, where better is larger or smaller.
pub(super) trait Extreme: crate::DotStore {
    type Value: Key;

    fn values(&mut self) -> &mut Leaf<Written<Self::Value>>;

    /// Whether `value` says nothing beside `there`.
    fn is_outdone(value: &Self::Value, there: &Self::Value) -> bool;
}

/// Writes a value, unless it says nothing.
///
/// What can be removed keeps also a value that is outdone, for a removal that has seen the better one may not have seen it:
/// values then stand beside each other, the later the worse.
pub(super) fn write<S: Extreme>(handle: &mut Mut<'_, S>, value: S::Value) {
    let removable = handle.removable;
    let (values, place, tx) = Leaf::parts(handle, S::values);
    if !removable && values.iter().any(|there| S::is_outdone(&value, there)) {
        return;
    }
    values.cover_some(place, tx, |there| S::is_outdone(there, &value));
    values.add(Written::from(value), place, tx);
}
