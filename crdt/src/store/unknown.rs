//! Fields that another version of the application writes.

use alloc::collections::BTreeMap;

use super::{DotStore, Join, Opaque};
use crate::causal::LocalDot;
use crate::delta::{Bytes, Node, TreeWriter};

/// The fields of a derived struct that this version of the application does not know: kept and passed on byte for byte.
#[derive(Clone, Default, Debug)]
pub struct UnknownFields(BTreeMap<Bytes, Opaque>);

impl UnknownFields {
    /// Joins one field.
    pub fn take_in(&mut self, name: &[u8], node: Node<'_>, join: &mut Join<'_>) {
        let field = self.0.entry(Bytes::from_slice(name)).or_default();
        join.below(field, node);
        if field.is_bottom() {
            self.0.remove(name);
        }
    }

    /// As [`DotStore::retain`].
    pub fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        self.0.retain(|_, field| {
            field.retain(keep);
            !field.is_bottom()
        });
    }

    /// As [`DotStore::dots`].
    pub fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.0.values().for_each(|field| field.dots(each));
    }

    /// As [`DotStore::carry`].
    pub fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        for (name, field) in &self.0 {
            writer.child(|key| key.extend_from_slice(name), |below| field.carry(wanted, below));
        }
    }

    pub(crate) fn into_fields(self) -> impl Iterator<Item = (Bytes, Opaque)> {
        self.0.into_iter()
    }

    /// As [`DotStore::shows`].
    #[must_use]
    pub fn shows(&self) -> bool {
        self.0.values().any(DotStore::shows)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
