//! Places in a text as user interfaces count them.

use serde::{Deserialize, Serialize};

/// A place in a text, by what stands before it.
///
/// A number alone counts scalars.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Position {
    /// So many Unicode scalar values, Rust's `char`.
    Scalars(usize),
    /// So many UTF-16 units: JavaScript, Java, Windows.
    Utf16(usize),
    /// So many bytes of UTF-8: Rust's `str`.
    Bytes(usize),
}

impl From<usize> for Position {
    fn from(scalars: usize) -> Self {
        Self::Scalars(scalars)
    }
}

/// A place that is none in this text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadPosition {
    /// It lies behind the end.
    #[error("{at:?} lies behind the end of a text that has {len} of these")]
    BeyondEnd {
        /// The place.
        at: Position,
        /// How long the text is, in the same unit.
        len: usize,
    },
    /// It would cut a scalar in two.
    #[error("{at:?} lies within a Unicode scalar value")]
    WithinScalar {
        /// The place.
        at: Position,
    },
    /// What ends before it begins.
    #[error("a range from {start} to {end} ends before it begins")]
    Reversed {
        /// Where it begins, in scalars.
        start: usize,
        /// Where it ends, in scalars.
        end: usize,
    },
}
