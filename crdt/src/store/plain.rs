//! Values without their history, as user interfaces hold them.

mod scalar;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::value::{Key, try_encode_value};
use crate::codec::from_slice;

/// Deeper values of an application's own are shown as nothing.
const DEEPEST: usize = 1 << 10;

/// A plain value: what a replicated one reads as, or an application's own.
///
/// Totally ordered, by kind in the order listed and then by value; floats by [`f64::total_cmp`].
///
/// For formats that people read, such as JSON, serde writes it as the plain value, and reads what that says: a set comes back as a
/// list, and in JSON bytes as a list of numbers and keys that are numbers as text; keys that are neither it refuses. For binary
/// formats it writes which kind each value is, and everything comes back as it was.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Plain {
    /// Nothing: a register before its first write.
    #[default]
    Null,
    /// Yes or no: a flag.
    Bool(bool),
    /// A whole number: a counter.
    Int(i128),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in order: what concurrent writers left in an [`MvRegister`](crate::MvRegister).
    List(Vec<Plain>),
    /// Elements of a set.
    Set(BTreeSet<Plain>),
    /// Keys of a map, or fields of a struct by name, with their values.
    Map(BTreeMap<Plain, Plain>),
}

impl Plain {
    /// What serde writes of a value: structs as maps, tuples and sequences as lists, numbers beyond 64 bits as their bytes;
    /// nothing if the value refuses.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        let bytes = try_encode_value(value);
        let plain = bytes.and_then(|bytes| from_slice(&bytes, DEEPEST).map_err(|why| why.to_string()));
        debug_assert!(plain.is_ok(), "what was taken in can be written: {:?}", plain.err());
        plain.map(|Read(plain)| plain).unwrap_or_default()
    }

    /// The same of a key of a map or an element of a set. Most are texts or numbers, which need not be written and read.
    pub(crate) fn of_key(key: &impl Key) -> Self {
        key.serialize(scalar::ToScalar).unwrap_or_else(|_| Self::of(key))
    }

    /// The text, if it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn size_hint(&self) -> usize {
        let held = match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => 0,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(values) => values.iter().map(Self::size_hint).sum(),
            Self::Set(values) => values.iter().map(Self::size_hint).sum(),
            Self::Map(values) => values.iter().map(|(key, value)| key.size_hint() + value.size_hint()).sum(),
        };
        size_of::<Self>() + held
    }

    /// What stands at a path: of a map the value under each step, of a list the one at that place, of a set the element itself.
    #[must_use]
    pub fn get(&self, path: &[Self]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match self {
            Self::Map(map) => map.get(first)?.get(rest),
            Self::List(list) => list.get(first.as_place()?)?.get(rest),
            Self::Set(set) if rest.is_empty() => set.get(first),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, path: &[Self]) -> Option<&mut Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match self {
            Self::Map(map) => map.get_mut(first)?.get_mut(rest),
            Self::List(list) => list.get_mut(first.as_place()?)?.get_mut(rest),
            _ => None,
        }
    }

    fn as_place(&self) -> Option<usize> {
        match self {
            Self::Int(at) => usize::try_from(*at).ok(),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Text(_) => 4,
            Self::Bytes(_) => 5,
            Self::List(_) => 6,
            Self::Set(_) => 7,
            Self::Map(_) => 8,
        }
    }
}

impl Ord for Plain {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => a.cmp(b),
            (Self::Set(a), Self::Set(b)) => a.cmp(b),
            (Self::Map(a), Self::Map(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

impl PartialOrd for Plain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Plain {}

impl From<&str> for Plain {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Plain {
    fn from(number: i64) -> Self {
        Self::Int(number.into())
    }
}

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return Tagged::from(self).serialize(serializer);
        }
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => serializer.serialize_i128(*value),
            },
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(values) => values.serialize(serializer),
            Self::Set(values) => values.serialize(serializer),
            Self::Map(values) => values.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Read::deserialize(deserializer).map(|Read(plain)| plain)
        } else {
            Owned::deserialize(deserializer).map(Self::from)
        }
    }
}

/// A plain value with its kind, as binary formats have it.
#[derive(Serialize)]
#[serde(rename = "Plain")]
enum Tagged<'p> {
    Null,
    Bool(bool),
    /// The upper and the lower half.
    Int(i64, u64),
    Float(f64),
    Text(&'p str),
    Bytes(Octets<&'p [u8]>),
    List(&'p [Plain]),
    Set(&'p BTreeSet<Plain>),
    Map(&'p BTreeMap<Plain, Plain>),
}

impl<'p> From<&'p Plain> for Tagged<'p> {
    fn from(plain: &'p Plain) -> Self {
        match plain {
            Plain::Null => Self::Null,
            Plain::Bool(value) => Self::Bool(*value),
            Plain::Int(value) => Self::Int((value >> 64) as i64, *value as u64),
            Plain::Float(value) => Self::Float(*value),
            Plain::Text(value) => Self::Text(value),
            Plain::Bytes(value) => Self::Bytes(Octets(value)),
            Plain::List(values) => Self::List(values),
            Plain::Set(values) => Self::Set(values),
            Plain::Map(values) => Self::Map(values),
        }
    }
}

/// What a [`Tagged`] is read back as.
#[derive(Deserialize)]
#[serde(rename = "Plain")]
enum Owned {
    Null,
    Bool(bool),
    Int(i64, u64),
    Float(f64),
    Text(String),
    Bytes(Octets<Vec<u8>>),
    List(Vec<Plain>),
    Set(BTreeSet<Plain>),
    Map(BTreeMap<Plain, Plain>),
}

impl From<Owned> for Plain {
    fn from(owned: Owned) -> Self {
        match owned {
            Owned::Null => Self::Null,
            Owned::Bool(value) => Self::Bool(value),
            Owned::Int(upper, lower) => Self::Int(i128::from(upper) << 64 | i128::from(lower)),
            Owned::Float(value) => Self::Float(value),
            Owned::Text(value) => Self::Text(value),
            Owned::Bytes(Octets(value)) => Self::Bytes(value),
            Owned::List(values) => Self::List(values),
            Owned::Set(values) => Self::Set(values),
            Owned::Map(values) => Self::Map(values),
        }
    }
}

/// Bytes as bytes, where the format has them.
struct Octets<B>(B);

impl Serialize for Octets<&[u8]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Octets<Vec<u8>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(OctetsVisitor).map(Self)
    }
}

struct OctetsVisitor;

impl<'de> Visitor<'de> for OctetsVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

/// What serde wrote of something plainly.
struct Read(Plain);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Self)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain::Null)
    }

    fn visit_none<E>(self) -> Result<Plain, E> {
        Ok(Plain::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Plain, D::Error> {
        Read::deserialize(deserializer).map(|Read(value)| value)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Plain, D::Error> {
        Read::deserialize(deserializer).map(|Read(value)| value)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
        Ok(Plain::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Plain, E> {
        Ok(Plain::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Plain, E> {
        Ok(Plain::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Plain, E> {
        Ok(Plain::Int(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Plain, E> {
        Ok(Plain::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Plain, E> {
        Ok(Plain::Text(value.into()))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Plain, E> {
        Ok(Plain::Bytes(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Plain, A::Error> {
        let mut values = Vec::new();
        while let Some(Read(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Plain::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
        let mut values = BTreeMap::new();
        while let Some((Read(key), Read(value))) = map.next_entry()? {
            values.insert(key, value);
        }
        Ok(Plain::Map(values))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;

    use proptest::prelude::*;
    use serde::Serialize;

    use super::Plain;
    use super::scalar::ToScalar;

    #[derive(Debug, Clone, PartialEq, Serialize)]
    enum Any {
        Unit,
        Newtype(String),
        Fields { number: Option<i64>, also: bool },
        Pair(u8, f64),
    }

    #[derive(Serialize)]
    struct Transparent(String);

    #[derive(Serialize)]
    struct Nothing;

    fn assert_as_written(value: &impl Serialize) -> Result<(), TestCaseError> {
        let scalar = value.serialize(ToScalar);
        prop_assert!(scalar.is_err() || scalar.is_ok_and(|scalar| scalar == Plain::of(value)));
        Ok(())
    }

    #[test]
    fn texts_numbers_and_flags_need_not_be_written() {
        let scalars = ["text".serialize(ToScalar), 7_u64.serialize(ToScalar), Some(true).serialize(ToScalar)];
        assert!(scalars.iter().all(Result::is_ok), "{scalars:?}");
    }

    proptest! {
        #[test]
        fn what_need_not_be_written_is_what_would_be_read(
            text in ".*", signed: i64, unsigned: u64, small: i8, byte: u8, wide: i128, float: f64, half: f32, flag: bool, letter: char,
        ) {
            assert_as_written(&text)?;
            assert_as_written(&signed)?;
            assert_as_written(&unsigned)?;
            assert_as_written(&small)?;
            assert_as_written(&byte)?;
            assert_as_written(&wide)?;
            assert_as_written(&float)?;
            assert_as_written(&half)?;
            assert_as_written(&flag)?;
            assert_as_written(&letter)?;
            assert_as_written(&Some(&text))?;
            assert_as_written(&None::<String>)?;
            assert_as_written(&(signed, &text))?;
            assert_as_written(&vec![Some(unsigned), None])?;
            assert_as_written(&Transparent(text.clone()))?;
            assert_as_written(&[Any::Unit, Any::Newtype(text), Any::Pair(byte, float)])?;
            assert_as_written(&Any::Fields { number: Some(signed), also: flag })?;
            assert_as_written(&Nothing)?;
            assert_as_written(&())?;
        }
    }
}
