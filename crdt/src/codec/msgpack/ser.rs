//! Writes what serde has of a value.

use alloc::vec::Vec;

use rmp::Marker;
use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::write::{length, write_array_len, write_bin, write_ext, write_map_len, write_str};
use super::{EXTENSION, Error, Result, from_slice};
use crate::delta::{Bytes, Number};

/// Writes a value behind what is there.
///
/// # Errors
/// If it refuses. Part of it may be written then.
pub(crate) fn write_value<V: Serialize + ?Sized>(out: &mut Bytes, value: &V) -> Result<()> {
    value.serialize(&mut Serializer { out })
}

struct Serializer<'o> {
    out: &'o mut Bytes,
}

impl<'o> Serializer<'o> {
    /// Several values whose number is written, if it is known.
    fn several(&mut self, len: Option<usize>, write_len: fn(&mut Bytes, u32)) -> Several<'_, 'o> {
        let start = self.out.len();
        if let Some(len) = len {
            write_len(self.out, length(len));
        }
        Several { serializer: self, counted: len.is_none().then_some((start, 0)) }
    }

    /// A map of the variant's name to what it holds, which follows.
    fn variant(&mut self, name: &str) {
        write_map_len(self.out, 1);
        write_str(self.out, name);
    }

    /// Makes an extension type of the tag and bytes that were written from `start` on.
    fn extension(&mut self, start: usize) -> Result<()> {
        let (tag, bytes): (i8, &[u8]) = from_slice(&self.out[start..], 2)?;
        let bytes: Vec<u8> = bytes.into();
        self.out.truncate(start);
        write_ext(self.out, tag, &bytes);
        Ok(())
    }
}

/// What is written a value at a time.
struct Several<'s, 'o> {
    serializer: &'s mut Serializer<'o>,
    /// If their number was not known: where they begin, and how many there are so far.
    counted: Option<(usize, u32)>,
}

impl Several<'_, '_> {
    #[inline]
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        if let Some((_, count)) = &mut self.counted {
            *count += 1;
        }
        value.serialize(&mut *self.serializer)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        write_str(self.serializer.out, name);
        self.add(value)
    }

    /// Writes the number of values, if that is still to be done.
    fn finish(self, write_len: fn(&mut Bytes, u32), values_each: u32) {
        if let Some((start, count)) = self.counted {
            let mut len = Bytes::new();
            write_len(&mut len, count / values_each);
            self.serializer.out.insert_from_slice(start, &len);
        }
    }
}

macro_rules! numbers {
    ($($method:ident($number:ty) = $kind:ident;)*) => {
        $(fn $method(self, value: $number) -> Result<()> {
            Number::$kind(value.into()).write(self.out);
            Ok(())
        })*
    };
}

impl<'s, 'o> serde::Serializer for &'s mut Serializer<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Several<'s, 'o>;
    type SerializeTuple = Several<'s, 'o>;
    type SerializeTupleStruct = Several<'s, 'o>;
    type SerializeTupleVariant = Several<'s, 'o>;
    type SerializeMap = Several<'s, 'o>;
    type SerializeStruct = Several<'s, 'o>;
    type SerializeStructVariant = Several<'s, 'o>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.out.push(if value { Marker::True } else { Marker::False }.to_u8());
        Ok(())
    }

    numbers! {
        serialize_i8(i8) = Signed; serialize_i16(i16) = Signed; serialize_i32(i32) = Signed; serialize_i64(i64) = Signed;
        serialize_u8(u8) = Unsigned; serialize_u16(u16) = Unsigned; serialize_u32(u32) = Unsigned;
        serialize_u64(u64) = Unsigned;
    }

    fn serialize_i128(self, value: i128) -> Result<()> {
        self.serialize_bytes(&value.to_be_bytes())
    }

    fn serialize_u128(self, value: u128) -> Result<()> {
        self.serialize_bytes(&value.to_be_bytes())
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        self.out.push(Marker::F32.to_u8());
        self.out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        self.out.push(Marker::F64.to_u8());
        self.out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        write_str(self.out, value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        write_bin(self.out, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.out.push(Marker::Null.to_u8());
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        write_array_len(self.out, 0);
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<()> {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<()> {
        let start = self.out.len();
        value.serialize(&mut *self)?;
        if name == EXTENSION { self.extension(start) } else { Ok(()) }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.variant(name);
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Several<'s, 'o>> {
        Ok(self.several(len, write_array_len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Several<'s, 'o>> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Several<'s, 'o>> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Several<'s, 'o>> {
        self.variant(name);
        self.serialize_seq(Some(len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Several<'s, 'o>> {
        Ok(self.several(len, write_map_len))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Several<'s, 'o>> {
        self.serialize_map(Some(len))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Several<'s, 'o>> {
        self.variant(name);
        self.serialize_map(Some(len))
    }
}

macro_rules! several {
    ($($kind:ident: $($method:ident($($name:ident)?) is $add:ident),* $(=> $len:ident of $values:literal)?;)*) => {
        $(impl $kind for Several<'_, '_> {
            type Ok = ();
            type Error = Error;

            $(fn $method<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Result<()> {
                self.$add($($name,)? value)
            })*

            fn end(self) -> Result<()> {
                $(self.finish($len, $values);)?
                Ok(())
            }
        })*
    };
}
several! {
    SerializeSeq: serialize_element() is add => write_array_len of 1;
    SerializeTuple: serialize_element() is add;
    SerializeTupleStruct: serialize_field() is add;
    SerializeTupleVariant: serialize_field() is add;
    SerializeMap: serialize_key() is add, serialize_value() is add => write_map_len of 2;
    SerializeStruct: serialize_field(name) is field;
    SerializeStructVariant: serialize_field(name) is field;
}
