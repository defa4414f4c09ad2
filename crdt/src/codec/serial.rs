//! serde for deltas and replicas: the bytes of the codec, as one value of another format.
//!
//! In formats without bytes, such as JSON, they are a list of numbers: right, but long. What is meant for people is
//! [`Replica::view`](crate::Replica::view).

use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DecodeError, Envelope, EnvelopeKind, Limits};
use crate::causal::ReplicaId;
use crate::delta::Delta;
use crate::replica::Replica;
use crate::store::Crdt;

/// A message of this codec.
struct Message<B>(B);

impl<B: AsRef<[u8]>> Serialize for Message<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_ref())
    }
}

impl<'de> Deserialize<'de> for Message<Vec<u8>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(MessageVisitor).map(Self)
    }
}

struct MessageVisitor;

impl<'de> Visitor<'de> for MessageVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a Tombolo message")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let limits = Limits::default();
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            limits.check_bytes(bytes.len() + 1).map_err(A::Error::custom)?;
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

impl<T: Crdt> Serialize for Delta<T> {
    /// As bytes: those of [`encode_state`](Self::encode_state) for a state, of [`encode`](Self::encode) otherwise.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Message(self.encode_state().unwrap_or_else(|| self.encode())).serialize(serializer)
    }
}

impl<'de, T: Crdt> Deserialize<'de> for Delta<T> {
    /// Within the default [`Limits`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Message(bytes) = Message::deserialize(deserializer)?;
        delta_or_state(&bytes).map_err(D::Error::custom)
    }
}

fn delta_or_state<T: Crdt>(bytes: &[u8]) -> Result<Delta<T>, DecodeError> {
    let limits = Limits::default();
    if Envelope::kind(bytes) == Some(EnvelopeKind::State as u8) {
        Delta::decode_state(bytes, &limits)
    } else {
        Delta::decode(bytes, &limits)
    }
}

impl<T: Crdt> Serialize for Replica<T> {
    /// As its id and the bytes of [`encode`](Self::encode): recent and waiting deltas are not part of it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut replica = serializer.serialize_struct("Replica", 2)?;
        replica.serialize_field("id", &self.id())?;
        replica.serialize_field("state", &Message(self.encode()))?;
        replica.end()
    }
}

#[derive(Deserialize)]
#[serde(rename = "Replica")]
struct Stored {
    id: ReplicaId,
    state: Message<Vec<u8>>,
}

impl<'de, T: Crdt> Deserialize<'de> for Replica<T> {
    /// Within the default [`Limits`]. It writes under the id of the replica that was serialised, which must not write on.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored { id, state: Message(bytes) } = Stored::deserialize(deserializer)?;
        Self::decode(id, &bytes, &Limits::default()).map_err(D::Error::custom)
    }
}
