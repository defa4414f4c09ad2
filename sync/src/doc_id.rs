//! Which document: 128 bits derived from its name, its type and how often it was deleted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Names one document of a space.
///
/// Derived, not drawn: two peers that create the same name with the same type at once mean the same document.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocId([u8; 16]);

impl DocId {
    /// The document that says which documents exist.
    pub const DIRECTORY: Self = Self([0; 16]);

    /// The document that says who belongs to the space, once anybody has asked.
    pub const MEMBERS: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    /// The document called `name` of type `type_name`, created after `epoch` deletions of that name and type.
    #[must_use]
    pub fn derive(name: &str, type_name: &str, epoch: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tombolo 2026 document id");
        for part in [name.as_bytes(), type_name.as_bytes(), &epoch.to_be_bytes()] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(id)
    }

    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
