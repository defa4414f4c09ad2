//! The plain value, apart from the codec.

use serde::{Serialize, Serializer};

use super::DotStore;

/// A value seen plainly: what serde writes of it is its view.
#[derive(Debug)]
pub struct View<'a, S>(pub &'a S);

impl<T: DotStore> Serialize for View<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.view(serializer)
    }
}
