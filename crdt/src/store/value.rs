//! What registers hold and sets and maps are keyed by.

use std::hash::Hash;

use serde::de::DeserializeOwned;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::delta::Bytes;

/// What a register can hold: any plain value that serde can write and read.
///
/// Encoded as MessagePack, with structs as maps of their fields, so that an application may add optional fields.
pub trait Value: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// What a set can hold and a map be keyed by: a [`Value`] with a total order and a hash.
pub trait Key: Value + Ord + Hash {}

impl<T: Value + Ord + Hash> Key for T {}

/// How deep a plain value may nest.
const MAX_VALUE_DEPTH: usize = 64;

/// # Panics
/// If the value refuses to be serialised. The update that wrote it is undone.
pub(crate) fn encode_value<V: Serialize + ?Sized>(value: &V) -> Bytes {
    let mut bytes = Bytes::new();
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    if let Err(why) = value.serialize(&mut serializer) {
        panic!("a value written to a replicated type must be serialisable: {why}");
    }
    bytes
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
