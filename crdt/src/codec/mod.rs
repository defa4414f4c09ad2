//! Bytes on the wire and on disk.
//!
//! A message is an [envelope](self) (magic, format version, kind, length, checksum) around a MessagePack body. Replica
//! ids stand once per message in a table; dots name rows of it. The body of a state is canonical: it is a function of
//! the set of events, equal at all replicas of equal version.
//!
//! Every byte is taken for hostile: sizes, counts and nesting are checked before memory is taken.

mod envelope;
mod limits;
mod packed;
mod reader;
mod serial;
mod writer;

use std::sync::Arc;

use crate::delta::{Delta, Mismatch, Parts, check_tree};
use crate::store::{Crdt, DotStore, Opaque};
use std::any::TypeId;

pub use envelope::{Envelope, EnvelopeKind, FORMAT};
pub use limits::Limits;
use reader::Reader;

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
        Self::decode_body(Envelope::open(EnvelopeKind::Delta, bytes, limits)?, limits)
    }

    /// Reads what [`encode_body`](Self::encode_body) wrote.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_body(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        limits.check_bytes(bytes.len())?;
        let mut reader = Reader::new(bytes, limits);
        if reader.array("a delta")? != 2 {
            return Err(DecodeError::Malformed { at: 0, expected: "a delta of two parts" });
        }
        let parts = reader.parts()?;
        reader.finish()?;
        Ok(Self::from_parts(Arc::new(checked::<T>(parts)?)))
    }

    /// The whole state in bytes with an envelope, if this delta is one.
    ///
    /// The same bytes as [`Replica::encode`](crate::Replica::encode).
    #[must_use]
    pub fn encode_state(&self) -> Option<Vec<u8>> {
        self.parts.is_state.then(|| encode_state(&T::type_name(), &self.parts))
    }

    /// Reads a state as a delta, ready to be merged.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_state(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        Ok(Self::from_parts(Arc::new(decode_state::<T>(bytes, limits)?)))
    }
}

pub(crate) fn encode_state(type_name: &str, parts: &Parts) -> Vec<u8> {
    Envelope::seal(EnvelopeKind::State, &writer::write_state(type_name, parts))
}

pub(crate) fn decode_state<T: Crdt>(bytes: &[u8], limits: &Limits) -> Result<Parts, DecodeError> {
    let body = Envelope::open(EnvelopeKind::State, bytes, limits)?;
    let mut reader = Reader::new(body, limits);
    if reader.array("a state")? != 3 {
        return Err(DecodeError::Malformed { at: 0, expected: "a state of three parts" });
    }
    let found = reader.text("the name of a type")?;
    let wanted = T::type_name();
    // An opaque replica writes no name and reads any.
    if !found.is_empty() && found != wanted && TypeId::of::<T>() != TypeId::of::<Opaque>() {
        return Err(Mismatch::Type { wanted: wanted.into_owned(), found: found.to_owned() }.into());
    }
    let mut parts = reader.parts()?;
    reader.finish()?;
    if !parts.deps.is_empty() || parts.events.iter().any(|run| run.first != 1) {
        return Err(Mismatch::Events.into());
    }
    parts.is_state = true;
    let mut parts = checked::<T>(parts)?;
    // A state covers its own version, at its root and nowhere else; it goes without saying, so it is not written.
    if parts.tree.cover_runs().next().is_some() {
        return Err(
            Mismatch::Shape("a cover in a state, which covers its whole version without saying so").into()
        );
    }
    if !parts.tree.is_in_order() {
        return Err(DecodeError::Malformed { at: 0, expected: "children in the order of their first dots" });
    }
    let known = parts.event_context();
    parts.tree.cover_at_root(&known);
    Ok(parts)
}

fn checked<T: Crdt>(parts: Parts) -> Result<Parts, DecodeError> {
    check_tree(&parts)?;
    T::State::check(parts.tree.root())?;
    Ok(parts)
}
