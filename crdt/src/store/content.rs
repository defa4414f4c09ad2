//! What a leaf holds under a dot, and how it keeps the bytes that its author wrote.
//!
//! SUBTLE: the bytes under a dot must be the same at every replica for ever, or equal versions would not mean equal
//! states. Reading a value and writing it again need not give the same bytes: this program may be older than the
//! author's and drop a field it does not know, and a hash map comes back in another order.

use alloc::boxed::Box;
use alloc::string::String;
use core::ops::Deref;

use super::value::{read_known, reads_back, write_known};
use super::{Value, decode_value, try_encode_value, write_value};
use crate::causal::LocalDot;
use crate::delta::{Bytes, Draft, Number, PlaceId, read_signed, read_unsigned};

/// What a leaf holds under a dot. `encode` after `decode` gives the bytes that `decode` took.
pub(crate) trait Content: Clone + Send + Sync + 'static {
    /// Writes it behind what is there.
    ///
    /// # Panics
    /// If it refuses to be serialised, or could not be read again.
    fn write(&self, out: &mut Bytes);

    /// Writes it under a dot of the transaction under way.
    ///
    /// # Panics
    /// As `write`.
    fn put(&self, draft: &mut Draft, place: PlaceId, dot: LocalDot) {
        draft.put(place, dot, |out| self.write(out));
    }

    /// Keeps it, should the transaction be undone.
    ///
    /// # Panics
    /// As `write`.
    fn keep(&self, draft: &mut Draft, place: PlaceId, dot: LocalDot) {
        draft.keep(place, dot, self.encode());
    }

    /// What `write` writes.
    ///
    /// # Panics
    /// As `write`.
    fn encode(&self) -> Bytes {
        let mut bytes = Bytes::new();
        self.write(&mut bytes);
        bytes
    }

    /// # Errors
    /// Says why the bytes are no such content.
    fn decode(bytes: &[u8]) -> Result<Self, String>;

    /// As `decode`, without the result.
    ///
    /// # Errors
    /// As `decode`.
    fn check(bytes: &[u8]) -> Result<(), String> {
        Self::decode(bytes).map(drop)
    }
}

/// Numbers of this crate's own, which have one encoding and no other.
macro_rules! one_encoding {
    ($($content:ty: $number:expr, $read:expr);*) => {
        $(impl Content for $content {
            #[inline]
            fn put(&self, draft: &mut Draft, place: PlaceId, dot: LocalDot) {
                draft.put_number(place, dot, $number(*self));
            }

            #[inline]
            fn keep(&self, draft: &mut Draft, place: PlaceId, dot: LocalDot) {
                draft.keep_number(place, dot, $number(*self));
            }

            fn write(&self, out: &mut Bytes) {
                $number(*self).write(out);
            }

            fn encode(&self) -> Bytes {
                $number(*self).encode()
            }

            fn decode(bytes: &[u8]) -> Result<Self, String> {
                $read(bytes).ok_or_else(|| "it is no whole number in as few bytes as it takes".into())
            }
        })*
    };
}
one_encoding!(u64: Number::Unsigned, read_unsigned; i64: Number::Signed, read_signed);

/// Content of which a replica can have several pieces that make one whole.
pub(crate) trait Amount: Content {
    /// Both together; `None` if one piece cannot hold that.
    #[must_use]
    fn plus(&self, other: &Self) -> Option<Self>;
}

/// What only grows, and is read up to the same bound: beyond it there is nothing to tell apart.
impl Amount for u64 {
    fn plus(&self, other: &Self) -> Option<Self> {
        Some(self.saturating_add(*other))
    }
}

impl Amount for i64 {
    fn plus(&self, other: &Self) -> Option<Self> {
        self.checked_add(*other)
    }
}

/// Nothing to say beside the dot.
impl Content for () {
    fn write(&self, _: &mut Bytes) {}

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() { Ok(()) } else { Err("nothing should stand here".into()) }
    }
}

/// An application's value, which is passed on as its author wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Written<V> {
    value: V,
    /// The author's bytes, where writing the value again would give others.
    original: Option<Box<Bytes>>,
}

impl<V> From<V> for Written<V> {
    fn from(value: V) -> Self {
        Self { value, original: None }
    }
}

impl<V> Deref for Written<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

impl<V: Value> Content for Written<V> {
    fn write(&self, out: &mut Bytes) {
        match &self.original {
            Some(bytes) => out.extend_from_slice(bytes),
            None => {
                let start = out.len();
                if write_known(&self.value, out) {
                    return;
                }
                write_value(&self.value, out);
                // Nobody else could take it in, nor this replica after a restart.
                if !reads_back::<V>()
                    && let Err(why) = decode_value::<V>(&out[start..])
                {
                    panic!("a value written to a replicated type must be readable again: {why}");
                }
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        if let Some(value) = read_known(bytes) {
            return Ok(Self { value, original: None });
        }
        let value: V = decode_value(bytes)?;
        let same = try_encode_value(&value).is_ok_and(|again| again[..] == *bytes);
        Ok(Self { value, original: (!same).then(|| Box::new(Bytes::from_slice(bytes))) })
    }

    fn check(bytes: &[u8]) -> Result<(), String> {
        decode_value::<V>(bytes).map(drop)
    }
}
