//! Reads what serde wrote of a value.
//!
//! Nothing is allocated for a length before there are as many bytes; what is in them is up to the type that is read.

use alloc::format;

use rmp::Marker;
use serde::de::value::{BorrowedBytesDeserializer, I8Deserializer, SeqAccessDeserializer, SeqDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::{EXTENSION, Error, Result};

/// Reads a value that nests less than `depth` deep and is followed by nothing.
///
/// # Errors
/// If there is no such value.
pub(crate) fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8], depth: usize) -> Result<T> {
    let mut deserializer = Deserializer { left: bytes, depth };
    let value = T::deserialize(&mut deserializer)?;
    // A value has one encoding, and nothing may hide behind it.
    if deserializer.left.is_empty() { Ok(value) } else { Err(Error::new("it is followed by other bytes")) }
}

struct Deserializer<'de> {
    left: &'de [u8],
    /// How many levels there may still be, and one.
    depth: usize,
}

const CUT_OFF: Error = Error::new("it ends before it is complete");

#[cold]
fn unexpected(marker: Marker) -> Error {
    Error(format!("{marker:?} is not what should stand there").into())
}

impl<'de> Deserializer<'de> {
    fn take(&mut self, len: usize) -> Result<&'de [u8]> {
        let (taken, left) = self.left.split_at_checked(len).ok_or(CUT_OFF)?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, left) = self.left.split_first_chunk().ok_or(CUT_OFF)?;
        self.left = left;
        Ok(*taken)
    }

    fn peek(&self) -> Result<Marker> {
        Ok(Marker::from_u8(*self.left.first().ok_or(CUT_OFF)?))
    }

    fn marker(&mut self) -> Result<Marker> {
        self.array().map(|[byte]| Marker::from_u8(byte))
    }

    /// A marker of what has a length, and that.
    fn length(&mut self) -> Result<usize> {
        use Marker::*;
        Ok(match self.marker()? {
            FixStr(len) | FixArray(len) | FixMap(len) => len.into(),
            FixExt1 => 1,
            FixExt2 => 2,
            FixExt4 => 4,
            FixExt8 => 8,
            FixExt16 => 16,
            Str8 | Bin8 | Ext8 => u8::from_be_bytes(self.array()?).into(),
            Str16 | Bin16 | Ext16 | Array16 | Map16 => u16::from_be_bytes(self.array()?).into(),
            Str32 | Bin32 | Ext32 | Array32 | Map32 => u32::from_be_bytes(self.array()?) as usize,
            marker => return Err(unexpected(marker)),
        })
    }

    /// What has a length in bytes.
    fn bytes(&mut self) -> Result<&'de [u8]> {
        let len = self.length()?;
        self.take(len)
    }

    /// Reads what lies a level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outside = self.depth;
        let inside = outside.checked_sub(1).filter(|levels| *levels > 0);
        self.depth = inside.ok_or(Error::new("it nests too deep"))?;
        let value = read(self);
        self.depth = outside;
        value
    }

    /// Reads what lies a level deeper and consists of `count` values.
    fn several<T>(
        &mut self,
        count: usize,
        read: impl FnOnce(&mut Several<'_, 'de>) -> Result<T>,
    ) -> Result<T> {
        self.nested(|deserializer| {
            // Each takes a byte at least.
            if count > deserializer.left.len() {
                return Err(CUT_OFF);
            }
            let mut several = Several { deserializer, left: count };
            let value = read(&mut several)?;
            if several.left == 0 { Ok(value) } else { Err(Error::new("it has more values than it should")) }
        })
    }

    fn text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let bytes = self.bytes()?;
        match core::str::from_utf8(bytes) {
            Ok(text) => visitor.visit_borrowed_str(text),
            // Others write bytes as text.
            Err(why) => visitor.visit_borrowed_bytes(bytes).map_err(|_: Error| Error::custom(why)),
        }
    }

    /// An extension type: a tag and bytes.
    fn extension<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let len = self.length()?;
        let tag = i8::from_be_bytes(self.array()?);
        let parts = Extension { tag: Some(tag), bytes: Some(self.take(len)?) };
        self.nested(|_| visitor.visit_newtype_struct(SeqAccessDeserializer::new(parts)))
    }

    fn any<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        use Marker::*;
        match self.peek()? {
            FixStr(_) | Str8 | Str16 | Str32 => self.text(visitor),
            Bin8 | Bin16 | Bin32 => visitor.visit_borrowed_bytes(self.bytes()?),
            FixArray(_) | Array16 | Array32 => {
                let elements = self.length()?;
                self.several(elements, |elements| visitor.visit_seq(elements))
            }
            FixMap(_) | Map16 | Map32 => {
                let entries = self.length()?;
                self.several(entries.saturating_mul(2), |entries| visitor.visit_map(entries))
            }
            FixExt1 | FixExt2 | FixExt4 | FixExt8 | FixExt16 | Ext8 | Ext16 | Ext32 => {
                self.extension(visitor)
            }
            _ => self.scalar(visitor),
        }
    }

    /// As `any`, for a type that takes bytes as numbers.
    fn sequence<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                visitor.visit_seq(SeqDeserializer::new(self.bytes()?.iter().copied()))
            }
            _ => self.any(visitor),
        }
    }

    /// Nothing, yes, no, or a number.
    #[inline(never)]
    fn scalar<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.marker()? {
            Marker::Null => visitor.visit_unit(),
            Marker::False => visitor.visit_bool(false),
            Marker::True => visitor.visit_bool(true),
            Marker::FixPos(number) => visitor.visit_u8(number),
            Marker::FixNeg(number) => visitor.visit_i8(number),
            Marker::U8 => visitor.visit_u8(u8::from_be_bytes(self.array()?)),
            Marker::U16 => visitor.visit_u16(u16::from_be_bytes(self.array()?)),
            Marker::U32 => visitor.visit_u32(u32::from_be_bytes(self.array()?)),
            Marker::U64 => visitor.visit_u64(u64::from_be_bytes(self.array()?)),
            Marker::I8 => visitor.visit_i8(i8::from_be_bytes(self.array()?)),
            Marker::I16 => visitor.visit_i16(i16::from_be_bytes(self.array()?)),
            Marker::I32 => visitor.visit_i32(i32::from_be_bytes(self.array()?)),
            Marker::I64 => visitor.visit_i64(i64::from_be_bytes(self.array()?)),
            Marker::F32 => visitor.visit_f32(f32::from_be_bytes(self.array()?)),
            Marker::F64 => visitor.visit_f64(f64::from_be_bytes(self.array()?)),
            marker => Err(unexpected(marker)),
        }
    }

    /// A number of 128 bits, which is 16 bytes, or any other whole number.
    fn wide(&mut self) -> Result<i128> {
        match self.peek()? {
            Marker::Bin8 => match self.array()? {
                [_, 16] => Ok(i128::from_be_bytes(self.array()?)),
                _ => Err(Error::new("a number of 128 bits is 16 bytes")),
            },
            Marker::FixPos(_) | Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => {
                u64::deserialize(self).map(Into::into)
            }
            _ => i64::deserialize(self).map(Into::into),
        }
    }
}

macro_rules! forward {
    ($($method:ident($($ignored:ty),*) = $read:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, $(_: $ignored,)* visitor: V) -> Result<V::Value> {
            self.$read(visitor)
        })*
    };
}

impl<'de> serde::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = Error;

    forward! {
        deserialize_any() = any; deserialize_bool() = scalar;
        deserialize_u8() = scalar; deserialize_u16() = scalar; deserialize_u32() = scalar; deserialize_u64() = scalar;
        deserialize_i8() = scalar; deserialize_i16() = scalar; deserialize_i32() = scalar; deserialize_i64() = scalar;
        deserialize_f32() = scalar; deserialize_f64() = scalar;
        deserialize_seq() = sequence; deserialize_tuple(usize) = sequence;
        deserialize_tuple_struct(&'static str, usize) = sequence;
        deserialize_struct(&'static str, &'static [&'static str]) = sequence;
    }

    forward_to_deserialize_any! { char str string bytes byte_buf unit map identifier ignored_any }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_i128(self.wide()?)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u128(self.wide()? as u128)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek()? == Marker::Null {
            self.marker()?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        if self.peek()? == Marker::FixArray(0) {
            self.marker()?;
            visitor.visit_unit()
        } else {
            self.any(visitor)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        use Marker::*;
        match self.peek() {
            _ if name != EXTENSION => visitor.visit_newtype_struct(self),
            Ok(FixExt1 | FixExt2 | FixExt4 | FixExt8 | FixExt16 | Ext8 | Ext16 | Ext32) => self.any(visitor),
            marker => Err(unexpected(marker?)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.peek()? {
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                if self.length()? != 1 {
                    return Err(Error::new("a variant is a map with one entry"));
                }
                // An enum that holds itself nests without any other level.
                self.nested(|deserializer| visitor.visit_enum(Variant { deserializer, holds: true }))
            }
            _ => visitor.visit_enum(Variant { deserializer: self, holds: false }),
        }
    }
}

/// The values of an array, or the keys and values of a map.
struct Several<'d, 'de> {
    deserializer: &'d mut Deserializer<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Several<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.deserializer).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Several<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        self.left = self.left.saturating_sub(1);
        seed.deserialize(&mut *self.deserializer)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left / 2)
    }
}

/// What of an extension type has not been read yet.
struct Extension<'de> {
    tag: Option<i8>,
    bytes: Option<&'de [u8]>,
}

impl<'de> SeqAccess<'de> for Extension<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if let Some(tag) = self.tag.take() {
            seed.deserialize(I8Deserializer::new(tag)).map(Some)
        } else if let Some(bytes) = self.bytes.take() {
            seed.deserialize(BorrowedBytesDeserializer::new(bytes)).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// A variant by its name, and what it holds, if it is a map.
struct Variant<'d, 'de> {
    deserializer: &'d mut Deserializer<'de>,
    holds: bool,
}

impl<'d, 'de> Variant<'d, 'de> {
    fn held(self, expected: &'static str) -> Result<&'d mut Deserializer<'de>> {
        if self.holds {
            Ok(self.deserializer)
        } else {
            Err(Error::invalid_type(Unexpected::UnitVariant, &expected))
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        Ok((seed.deserialize(&mut *self.deserializer)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        if !self.holds {
            return Ok(());
        }
        match self.deserializer.marker()? {
            Marker::Null => Ok(()),
            marker => Err(unexpected(marker)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.held("newtype variant")?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.held("tuple variant")?.sequence(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.held("struct variant")?.sequence(visitor)
    }
}
