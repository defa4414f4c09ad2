//! Bytes on the wire and on disk.
//!
//! A message is an [envelope](self) (magic, format version, kind, length, checksum) around a MessagePack body. Replica
//! ids stand once per message in a table; dots name rows of it. The body of a state is canonical: it is a function of
//! the set of events, equal at all replicas of equal version.
//!
//! Every byte is taken for hostile: sizes, counts and nesting are checked before memory is taken.

mod compress;
mod decoding;
mod envelope;
mod inspect;
mod limits;
mod msgpack;
mod packed;
mod planes;
mod readable;
mod reader;
mod serial;
mod session;
mod shown;
mod slices;
mod writer;

use alloc::vec::Vec;

use crate::causal::Dot;
use crate::delta::{Delta, Mismatch, Parts, check_tree};
use crate::store::{Crdt, DotStore};

pub(crate) use decoding::decode_state;
pub use decoding::{Decoding, EncodedSlices, EncodedState, Slice};
pub use envelope::{Envelope, EnvelopeKind, FORMAT};
pub use inspect::{InspectedBody, InspectedNode, InspectedRun, Inspection};
pub use limits::Limits;
pub(crate) use msgpack::{from_slice, write_value};
pub use readable::readable;
use reader::{Children, Reader};
pub use session::SessionNames;
use slices::Slices;

/// Why bytes were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It does not begin like one of our messages.
    #[error("these bytes are not a Tombolo message")]
    NotOurs,
    /// Written by a newer program.
    #[error("format {found} is newer than the formats this program reads, which go up to {FORMAT}")]
    Format {
        /// The format it says it has.
        found: u8,
    },
    /// It is a message of another kind.
    #[error("expected a {wanted:?} message, found kind {found}")]
    Kind {
        /// What was asked for.
        wanted: EnvelopeKind,
        /// The kind in the bytes.
        found: u8,
    },
    /// The checksum is wrong: bytes were changed on the way or on disk.
    #[error("the checksum is wrong: the bytes were damaged")]
    Checksum,
    /// It ends before it is complete, or goes on after.
    #[error("the message is cut off, or something follows it")]
    Length,
    /// It uses what only a newer program knows.
    #[error("it uses features of a newer program (bits {bits:#04x} of its head); update this one")]
    Feature {
        /// The bits of the head that are not known.
        bits: u8,
    },
    /// What is compressed does not unpack.
    #[error("the compressed part does not unpack: it was damaged, or this program was built without `zstd`")]
    Compressed,
    /// The bytes are not what the format says.
    #[error("malformed at byte {at}: expected {expected}")]
    Malformed {
        /// Where, in the body.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// More than the caller allows.
    #[error("more {what} than the limit of {limit}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// It decodes, but is not a delta or state of the type asked for.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
}

impl<T: Crdt> Delta<T> {
    /// The delta in bytes, with an envelope.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Envelope::seal(EnvelopeKind::Delta, &self.encode_body())
    }

    /// The delta in bytes without an envelope, for channels that check integrity themselves.
    #[must_use]
    pub fn encode_body(&self) -> Vec<u8> {
        writer::write_delta(&self.parts)
    }

    /// Reads what [`encode`](Self::encode) wrote, and checks that it is a delta of a `T`.
    ///
    /// # Errors
    /// When it is not, is damaged, or exceeds `limits`.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        let (format, body) = Envelope::open_any(EnvelopeKind::Delta, bytes, limits)?;
        Self::read(Reader::new(body, limits).of_format(Some(format)))
    }

    /// Reads what [`encode_body`](Self::encode_body) wrote.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_body(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        limits.check_bytes(bytes.len())?;
        Self::read(Reader::new(bytes, limits))
    }

    fn read(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let parts = reader.body(Children::Any)?;
        reader.finish()?;
        check_tree(&parts)?;
        T::State::check(parts.tree.root())?;
        Ok(Self::from_parts(parts))
    }

    /// The whole state in bytes with an envelope, if this delta is one.
    ///
    /// The same bytes as [`Replica::encode`](crate::Replica::encode).
    #[must_use]
    pub fn encode_state(&self) -> Option<Vec<u8>> {
        self.parts.is_state.then(|| encode_state(&T::type_name(), &self.parts))
    }

    /// Reads a state as a delta, ready to be merged. A replica reads large ones faster: [`Replica::read_state`].
    ///
    /// [`Replica::read_state`]: crate::Replica::read_state
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_state(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        decode_state(bytes, limits, None)
    }
}

/// A message of today's format with everything in it uncompressed: what has one form. `None` if it is no message. For
/// fuzzers.
#[doc(hidden)]
#[must_use]
pub fn plain(message: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    let kind = if Envelope::kind(message)? == EnvelopeKind::State as u8 {
        EnvelopeKind::State
    } else {
        EnvelopeKind::Delta
    };
    let (format, body) = Envelope::open_any(kind, message, limits).ok()?;
    let mut reader = Reader::new(body, limits);
    let mut plain = Vec::new();
    if kind == EnvelopeKind::State && format == FORMAT {
        let slices = reader.array("a state").ok()?;
        plain.extend_from_slice(&body[..reader.at()]);
        plain.extend_from_slice(reader.text("the name of a type").ok()?.as_bytes());
        for _ in 1..slices {
            plain.extend(reader.uncompressed().ok()?);
        }
    } else if format == FORMAT {
        plain.extend(reader.uncompressed().ok()?);
    }
    plain.extend_from_slice(reader.rest());
    Some(plain)
}

pub(crate) fn encode_state(type_name: &str, parts: &Parts) -> Vec<u8> {
    Envelope::seal(EnvelopeKind::State, &writer::write_state(type_name, parts))
}

/// A part of a state, whose events follow on one another, as one slice.
pub(crate) fn encode_slice(parts: &Parts) -> Vec<u8> {
    let mut slice = Vec::new();
    Slices::of(parts).uncut().write_each(|_, body| slice = body.to_vec());
    slice
}

/// The slices of a state, cut near where it was cut `before`, with the first dot of each.
pub(crate) fn encode_slices(parts: &Parts, before: &[Dot]) -> Vec<(Dot, Vec<u8>)> {
    let mut slices = Vec::new();
    Slices::of(parts).near(before).write_each(|start, body| slices.push((start, body.to_vec())));
    slices
}
