//! What registers hold and sets and maps are keyed by.

use std::hash::Hash;

use serde::de::DeserializeOwned;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::delta::Bytes;

/// What a register can hold: any plain value that serde can write and read.
///
/// Encoded as MessagePack, with structs as maps of their fields, so that an application may add optional fields: a
/// program that does not know them keeps and passes on the value as its author wrote it. What was written must be
/// readable again, and say what it said: `Option<Option<T>>`, whose `Some(None)` serde writes as `None`, does not.
pub trait Value: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// What a set can hold and a map be keyed by: a [`Value`] with a total order and a hash.
///
/// Elements and keys travel by their encoding, so equal ones must have equal encodings and different ones different
/// encodings. A type that compares without regard to case would differ from replica to replica; and to add a field to a
/// key makes it another key.
pub trait Key: Value + Ord + Hash {}

impl<T: Value + Ord + Hash> Key for T {}

/// How deep a plain value may nest.
const MAX_VALUE_DEPTH: usize = 64;

/// # Panics
/// If the value refuses to be serialised. The update that wrote it is undone.
pub(crate) fn encode_value<V: Serialize + ?Sized>(value: &V) -> Bytes {
    let mut bytes = Bytes::new();
    write_value(value, &mut bytes);
    bytes
}

/// Encodes a value behind what is there.
///
/// # Panics
/// As [`encode_value`].
pub(crate) fn write_value<V: Serialize + ?Sized>(value: &V, out: &mut Bytes) {
    try_write_value(value, out)
        .unwrap_or_else(|why| panic!("a value written to a replicated type must be serialisable: {why}"));
}

pub(crate) fn try_encode_value<V: Serialize + ?Sized>(value: &V) -> Result<Bytes, String> {
    let mut bytes = Bytes::new();
    try_write_value(value, &mut bytes)?;
    Ok(bytes)
}

fn try_write_value<V: Serialize + ?Sized>(value: &V, out: &mut Bytes) -> Result<(), String> {
    let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
    value.serialize(&mut serializer).map_err(|why| why.to_string())
}

/// Encodes a key that is about to be written.
///
/// # Panics
/// As [`encode_value`]; in debug builds also if the key does not come back as it was.
pub(crate) fn write_key<K: Key>(key: &K, out: &mut Bytes) {
    let start = out.len();
    write_value(key, out);
    debug_assert!(
        decode_value::<K>(&out[start..]).is_ok_and(|back| back == *key),
        "a key of a replicated type must be the same after encoding and decoding"
    );
}

pub(crate) fn decode_value<V: DeserializeOwned>(mut bytes: &[u8]) -> Result<V, String> {
    let mut deserializer = rmp_serde::Deserializer::new(&mut bytes);
    deserializer.set_max_depth(MAX_VALUE_DEPTH);
    let value = V::deserialize(&mut deserializer).map_err(|why| why.to_string())?;
    // A value has one encoding, and nothing may hide behind it.
    if bytes.is_empty() { Ok(value) } else { Err("it is followed by other bytes".into()) }
}

pub(crate) fn view_seq<T: Serialize, S: Serializer>(
    items: impl ExactSizeIterator<Item = T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut seq = serializer.serialize_seq(Some(items.len()))?;
    for item in items {
        seq.serialize_element(&item)?;
    }
    seq.end()
}
