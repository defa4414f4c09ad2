//! Texts, numbers and flags, which most keys are, without writing and reading them.

use alloc::string::String;
use core::fmt;

use serde::Serialize;
use serde::ser::{Impossible, Serializer};

use super::Plain;

/// It is none of those: whoever asks has it written, and reads that.
#[derive(Debug)]
pub(super) struct NoScalar;

impl fmt::Display for NoScalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither a text nor a number nor a flag")
    }
}

impl core::error::Error for NoScalar {}

impl serde::ser::Error for NoScalar {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Takes a scalar, and nothing else.
pub(super) struct ToScalar;

type Never = Impossible<Plain, NoScalar>;

macro_rules! refused {
    ($($method:ident($($argument:ty),*) -> $done:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$done, NoScalar> {
            Err(NoScalar)
        })*
    };
}

macro_rules! whole {
    ($($method:ident($number:ty);)*) => {
        $(fn $method(self, value: $number) -> Result<Plain, NoScalar> {
            Ok(Plain::Int(value.into()))
        })*
    };
}

impl Serializer for ToScalar {
    type Ok = Plain;
    type Error = NoScalar;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    whole! {
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
    }

    refused! {
        serialize_f32(f32) -> Plain;
        serialize_char(char) -> Plain;
        serialize_bytes(&[u8]) -> Plain;
        serialize_unit_struct(&'static str) -> Plain;
        serialize_unit_variant(&'static str, u32, &'static str) -> Plain;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    fn serialize_bool(self, value: bool) -> Result<Plain, NoScalar> {
        Ok(Plain::Bool(value))
    }

    fn serialize_f64(self, value: f64) -> Result<Plain, NoScalar> {
        Ok(Plain::Float(value))
    }

    fn serialize_str(self, value: &str) -> Result<Plain, NoScalar> {
        Ok(Plain::Text(String::from(value)))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<Plain, NoScalar> {
        Err(NoScalar)
    }

    fn serialize_none(self) -> Result<Plain, NoScalar> {
        Ok(Plain::Null)
    }

    fn serialize_unit(self) -> Result<Plain, NoScalar> {
        Ok(Plain::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Plain, NoScalar> {
        value.serialize(self)
    }

    /// Some formats give some of these a meaning of their own.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<Plain, NoScalar> {
        Err(NoScalar)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Plain, NoScalar> {
        Err(NoScalar)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
