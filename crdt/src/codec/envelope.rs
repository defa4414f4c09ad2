//! The frame around a message that stands alone: on disk, in a file, in a gossip payload.
//!
//! ```text
//! offset  0      4        5      6         10        14
//!         | TMBL | format | kind | length  | crc32   | body …
//! ```
//! Integers are little-endian; the checksum covers format, kind and body.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::{DecodeError, Limits};

const MAGIC: [u8; 4] = *b"TMBL";
pub(super) const HEADER: usize = 14;

/// The format this program writes, and the newest it reads.
pub const FORMAT: u8 = 5;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
#[non_exhaustive]
pub enum EnvelopeKind {
    /// A document's whole state.
    State = 1,
    /// A change of a document.
    Delta = 2,
}

/// Puts messages into envelopes and takes them out.
#[derive(Debug)]
pub struct Envelope(());

impl Envelope {
    /// `body` in an envelope.
    ///
    /// # Panics
    /// If `body` is 4 GiB or longer.
    #[must_use]
    pub fn seal(kind: EnvelopeKind, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).expect("a message is shorter than 4 GiB");
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[FORMAT, kind as u8]);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&checksum(FORMAT, kind as u8, body).to_le_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    /// The body of an envelope of this kind.
    ///
    /// # Errors
    /// When the bytes are no envelope, are of another kind or a newer format, are damaged, or exceed `limits`.
    pub fn open<'b>(kind: EnvelopeKind, bytes: &'b [u8], limits: &Limits) -> Result<&'b [u8], DecodeError> {
        Self::open_any(kind, bytes, limits).map(|(_, body)| body)
    }

    /// As [`open`](Self::open), with the format that the body is in.
    pub(super) fn open_any<'b>(
        kind: EnvelopeKind,
        bytes: &'b [u8],
        limits: &Limits,
    ) -> Result<(u8, &'b [u8]), DecodeError> {
        limits.check_bytes(bytes.len())?;
        let Header { format, kind: found, length, checksum } =
            Header::read(bytes).ok_or(DecodeError::NotOurs)?;
        let body = &bytes[HEADER..];
        if format == 0 || format > FORMAT {
            return Err(DecodeError::Format { found: format });
        }
        if length as usize != body.len() {
            return Err(DecodeError::Length);
        }
        if checksum != self::checksum(format, found, body) {
            return Err(DecodeError::Checksum);
        }
        if found != kind as u8 {
            return Err(DecodeError::Kind { wanted: kind, found });
        }
        Ok((format, body))
    }

    /// The kind that an envelope says it is of. Nothing of it has been checked.
    pub(super) fn kind(bytes: &[u8]) -> Option<u8> {
        bytes.get(5).copied()
    }

    /// Makes header and checksum fit whatever body follows them. For fuzzing: inputs get past the door.
    #[doc(hidden)]
    pub fn repair(kind: EnvelopeKind, bytes: &[u8]) -> Vec<u8> {
        Self::seal(kind, bytes.get(HEADER..).unwrap_or(&[]))
    }
}

/// What stands before a body. Nothing of it has been checked but that it is one of ours.
pub(super) struct Header {
    pub(super) format: u8,
    pub(super) kind: u8,
    pub(super) length: u32,
    pub(super) checksum: u32,
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER>()?;
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let is_ours = header[..4] == MAGIC;
        is_ours.then(|| Self { format: header[4], kind: header[5], length: word(6), checksum: word(10) })
    }
}

pub(super) fn checksum(format: u8, kind: u8, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[format, kind]);
    hasher.update(body);
    hasher.finalize()
}
