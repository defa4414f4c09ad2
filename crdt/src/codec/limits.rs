//! What decoding may cost.

use serde::{Deserialize, Serialize};

use super::DecodeError;

/// What a decoder may take, whatever the bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How long a message may be, in bytes. Default 64 MiB.
    pub bytes: usize,
    /// How much heap its decoded form may take, in bytes, by a conservative estimate. Default 512 MiB.
    pub memory: usize,
    /// How many replica ids it may name. Default 32 768.
    pub replicas: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, memory: 512 << 20, replicas: 1 << 15 }
    }
}

impl Limits {
    /// For bytes that this program wrote itself: a store's own files.
    #[must_use]
    pub const fn trusted() -> Self {
        Self { bytes: usize::MAX, memory: usize::MAX, replicas: crate::causal::MAX_REPLICAS }
    }

    pub(crate) fn check_bytes(&self, len: usize) -> Result<(), DecodeError> {
        if len > self.bytes { Err(DecodeError::Limit { what: "bytes", limit: self.bytes }) } else { Ok(()) }
    }
}
