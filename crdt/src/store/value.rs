//! What registers hold and sets and maps are keyed by.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::any::{Any, TypeId};
use core::hash::Hash;

use serde::de::DeserializeOwned;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::codec;
use crate::counter::Ledger;
use crate::delta::{Bytes, Mismatch, Number, read_signed, read_unsigned};
use crate::doc::Scalar;
use crate::map::Entry;
use crate::placed::{ListPlace, Name, TreePlace};
use crate::register::Stamped;

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
    codec::write_value(out, value).map_err(|why| why.to_string())
}

/// Encodes a key behind what is there.
///
/// # Panics
/// As [`encode_value`], and if the key does not come back as it was.
pub(crate) fn write_key<K: Key>(key: &K, out: &mut Bytes) {
    let start = out.len();
    if write_known(key, out) {
        return;
    }
    write_value(key, out);
    // Nobody else could take it in, nor this replica after a restart.
    assert!(
        reads_back::<K>() || decode_value::<K>(&out[start..]).is_ok_and(|back| back == *key),
        "a key of a replicated type must be the same after encoding and decoding"
    );
}

pub(crate) fn decode_value<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, String> {
    codec::from_slice(bytes, MAX_VALUE_DEPTH).map_err(|why| why.to_string())
}

/// Text as serde writes it, but faster: most keys are text.
fn write_text(text: &str, out: &mut Bytes) {
    match text.len() {
        len @ ..32 => out.push(0xa0 | len as u8),
        len @ 32..=0xff => out.extend_from_slice(&[0xd9, len as u8]),
        _ => return write_value(text, out),
    }
    out.extend_from_slice(text.as_bytes());
}

/// What [`write_text`] writes; `None` if it is not that, or is long.
fn read_text(bytes: &[u8]) -> Option<&str> {
    let text = match *bytes {
        [marker @ 0xa0..=0xbf, ref text @ ..] if text.len() == usize::from(marker & 31) => text,
        [0xd9, len @ 32..=0xff, ref text @ ..] if text.len() == usize::from(len) => text,
        _ => return None,
    };
    core::str::from_utf8(text).ok()
}

/// Writes values of common types as serde does, but faster; says whether it is one.
pub(crate) fn write_known<V: 'static>(value: &V, out: &mut Bytes) -> bool {
    let value = value as &dyn Any;
    if let Some(number) = value.downcast_ref::<i64>() {
        Number::Signed(*number).write(out);
    } else if let Some(number) = value.downcast_ref::<u64>() {
        Number::Unsigned(*number).write(out);
    } else if let Some(text) = value.downcast_ref::<String>() {
        write_text(text, out);
    } else {
        return false;
    }
    true
}

/// Whether serde reads back every value of a type, as far as is known without trying: for the types that most values are of.
pub(crate) fn reads_back<V: 'static>() -> bool {
    macro_rules! is_one_of {
        ($($known:ty),*) => {
            $(is::<V, $known>() || is::<V, Option<$known>>() || is::<V, Stamped<$known>>() || is::<V, Stamped<Option<$known>>>() || is::<V, Entry<$known>>())||*
        };
    }
    fn is<V: 'static, T: 'static>() -> bool {
        TypeId::of::<V>() == TypeId::of::<T>()
    }
    is::<V, Ledger>()
        || is::<V, ListPlace>()
        || is::<V, TreePlace>()
        || is::<V, Name>()
        || is_one_of!(bool, u8, u16, u32, u64, i8, i16, i32, i64, f32, f64, char, String, Vec<u8>, Scalar)
}

/// What [`write_known`] writes; `None` if it is not that, or not of such a type.
pub(crate) fn read_known<V: 'static>(bytes: &[u8]) -> Option<V> {
    let of = TypeId::of::<V>();
    if of == TypeId::of::<i64>() {
        (&mut read_signed(bytes) as &mut dyn Any).downcast_mut::<Option<V>>()?.take()
    } else if of == TypeId::of::<u64>() {
        (&mut read_unsigned(bytes) as &mut dyn Any).downcast_mut::<Option<V>>()?.take()
    } else if of == TypeId::of::<String>() {
        (&mut read_text(bytes).map(String::from) as &mut dyn Any).downcast_mut::<Option<V>>()?.take()
    } else {
        None
    }
}

/// A key, as [`write_key`] or another encoder wrote it.
pub(crate) fn decode_key<K: Key>(bytes: &[u8]) -> Result<K, String> {
    match read_known(bytes) {
        Some(key) => Ok(key),
        None => decode_value(bytes),
    }
}

/// A key from outside. Two encodings of one key would be two places for it elsewhere, so there is one.
pub(crate) fn checked_key<K: Key>(bytes: &[u8]) -> Result<K, Mismatch> {
    if let Some(key) = read_known(bytes) {
        return Ok(key);
    }
    let key: K = decode_value(bytes).map_err(in_key)?;
    if encode_value(&key)[..] == *bytes {
        Ok(key)
    } else {
        Err(in_key("it is not in its canonical encoding".into()))
    }
}

/// As [`checked_key`], without the key.
pub(crate) fn check_key<K: Key>(bytes: &[u8]) -> Result<(), Mismatch> {
    if TypeId::of::<K>() == TypeId::of::<String>() && read_text(bytes).is_some() {
        return Ok(());
    }
    checked_key::<K>(bytes).map(drop)
}

/// What is wrong with a key.
pub(crate) fn in_key(why: String) -> Mismatch {
    Mismatch::Content { what: "key", why }
}

pub(crate) fn view_seq<T: Serialize, S: Serializer>(
    len: usize,
    items: impl Iterator<Item = T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut seq = serializer.serialize_seq(Some(len))?;
    for item in items {
        seq.serialize_element(&item)?;
    }
    seq.end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_as_serde_has_it<V: Value + PartialEq + core::fmt::Debug>(value: &V) {
        let mut fast = Bytes::new();
        assert!(write_known(value, &mut fast));
        assert_eq!(fast, encode_value(value));
        assert_eq!(read_known::<V>(&fast).as_ref().or(decode_value(&fast).ok().as_ref()), Some(value));
        // Another encoding of the same value is none of ours.
        for end in 0..fast.len() {
            assert_eq!(read_known::<V>(&fast[..end]), None);
        }
    }

    #[test]
    fn what_is_not_in_its_shortest_form_is_left_to_serde() {
        for bytes in [
            &[0xcc, 5][..],
            &[0xcd, 0, 200],
            &[0xd0, 5],
            &[0xd1, 0xff, 0xff],
            &[0xd3, 0, 0, 0, 0, 0, 0, 0, 9],
        ] {
            assert_eq!(read_known::<i64>(bytes), None, "{bytes:02x?}");
            assert!(decode_value::<i64>(bytes).is_ok(), "{bytes:02x?}");
        }
        assert_eq!(read_known::<String>(&[0xd9, 3, b'f', b'i', b'g']), None);
        assert_eq!(read_known::<String>(&[0xa1, 0xff]), None);
        assert_eq!(read_known::<u64>(&[0xff]), None);
        assert_eq!(read_known::<u32>(&[5]), None);
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn common_values_are_written_as_serde_writes_them(
            signed in any::<i64>(), unsigned in any::<u64>(), shift in 0..64_u32, text in ".{0,300}",
        ) {
            is_as_serde_has_it(&signed);
            is_as_serde_has_it(&(signed >> shift));
            is_as_serde_has_it(&unsigned);
            is_as_serde_has_it(&(unsigned >> shift));
            is_as_serde_has_it(&text);
        }
    }
}
