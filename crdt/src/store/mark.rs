//! What a write says of a flag or an element whose removals must be remembered.

use super::{Content, Leaf};
use crate::delta::Bytes;
use alloc::string::String;

/// As MessagePack has it.
const FALSE: u8 = 0xc2;

/// In or out. Encoded as nothing, and as `false`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// Added, enabled.
    In,
    /// Removed, disabled.
    Out,
}

impl Mark {
    /// Whether concurrent writers agree that it is in: out wins.
    pub(crate) fn all_in(marks: &Leaf<Self>) -> bool {
        !marks.is_empty() && marks.iter().all(|mark| *mark == Self::In)
    }
}

impl Content for Mark {
    fn write(&self, out: &mut Bytes) {
        if *self == Self::Out {
            out.push(FALSE);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes {
            [] => Ok(Self::In),
            [FALSE] => Ok(Self::Out),
            _ => Err("nothing or `false` should stand here".into()),
        }
    }
}
