//! MessagePack: what bodies are made of, and what serde makes of keys and contents.
//!
//! Bytes are those of `rmp-serde` with structs as maps, which needs the standard library, and what it reads is read: a
//! variant is its name, or a map of its name to what it holds; options have no form of their own.

mod de;
mod ser;
#[cfg(test)]
mod tests;
mod write;

use alloc::borrow::Cow;
use alloc::string::ToString;
use core::fmt::{self, Display};

pub(crate) use de::from_slice;
pub(crate) use ser::write_value;
pub(super) use write::{write_array_len, write_bin, write_str, write_uint};

/// How `rmp-serde` and others call the newtype struct of a tag and bytes that is an extension type.
const EXTENSION: &str = "_ExtStruct";

type Result<T> = core::result::Result<T, Error>;

/// Why a value was not written or read.
#[derive(Debug)]
pub(crate) struct Error(Cow<'static, str>);

impl Error {
    const fn new(why: &'static str) -> Self {
        Self(Cow::Borrowed(why))
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Error {}

impl serde::ser::Error for Error {
    #[cold]
    fn custom<T: Display>(why: T) -> Self {
        Self(why.to_string().into())
    }
}

impl serde::de::Error for Error {
    #[cold]
    fn custom<T: Display>(why: T) -> Self {
        Self(why.to_string().into())
    }
}
