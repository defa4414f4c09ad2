//! Keys and contents as people read them.
//!
//! What types make of bytes is not known here; nearly everything is MessagePack, and what is not is shown as what it is.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use rmp::Marker;
use time::OffsetDateTime;

use crate::causal::ReplicaId;
use crate::doc::Kind;
use crate::store::{Crdt as _, FADING};
use crate::text;
use crate::{Doc, DocEntry, GCounter, List, PnCounter};

/// Longer texts are cut: a tree is read line by line.
const LONGEST: usize = 160;
/// As deep as values nest (`store/value.rs`).
const DEEPEST: usize = 64;

/// A value in MessagePack as compact text, such as `"fig"`, `42` or `{"a": [1, 2]}`; what does not decode as text if it is
/// some, such as the name of a field, and else in hexadecimal. Long ones are cut, with their length.
#[must_use]
pub fn readable(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    let mut text = Text { left: bytes, out: String::new() };
    if text.value(0).is_some() && text.left.is_empty() {
        return cut(text.out, bytes.len());
    }
    match core::str::from_utf8(bytes) {
        Ok(name) if name.chars().all(|c| !c.is_control()) => cut(name.to_owned(), bytes.len()),
        _ => cut(hex(bytes), bytes.len()),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = "0x".to_owned();
    for byte in bytes.iter().take(LONGEST) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        let _ = write!(text, "… ({bytes} bytes)");
    }
    text
}

/// What stands below a text or list.
const HEADS: &str = "where runs begin";
/// What marks of a text stand below, and what carries them.
const MARKS: &str = "marks by name";
const MARK: &str = "a mark";

/// Whether a node is that of elements in an order.
fn is_ordered(of: &str) -> bool {
    of == text::Text::type_name() || of == List::<()>::type_name()
}

/// A key below a node of the type `of`.
pub(super) fn key(of: &str, key: &[u8]) -> String {
    if is_ordered(of) {
        return match <[u8; 16]>::try_from(key) {
            Ok(id) => format!("runs at elements of {}", ReplicaId::from_bytes(id)),
            Err(_) if key.is_empty() => "runs at elements of who put them there".to_owned(),
            Err(_) if key == FADING && of == List::<()>::type_name() => {
                "runs that nothing is left of".to_owned()
            }
            Err(_) if key == FADING => "marks, and runs that nothing is left of".to_owned(),
            Err(_) => "runs at the start".to_owned(),
        };
    }
    if key == FADING && (of == PnCounter::type_name() || of == GCounter::type_name()) {
        return "sums of what all know".to_owned();
    }
    if of.starts_with("MovableList<") || of.starts_with("Tree<") {
        return match key {
            b"p" => "places".to_owned(),
            b"v" => "what they hold".to_owned(),
            _ => readable(key),
        };
    }
    match (of == DocEntry::type_name(), key) {
        (true, &[code]) => match Kind::with_code(code) {
            Some(kind) => kind.name().to_owned(),
            None => format!("a type with the code {code}, which this program does not know"),
        },
        _ => readable(key),
    }
}

/// The name of the type of what stands below a key of a node of the type `of`; empty if that cannot be told.
pub(super) fn below<'t>(of: &'t str, key: &[u8]) -> Cow<'t, str> {
    if of == Doc::type_name() {
        return DocEntry::type_name();
    }
    if is_ordered(of) {
        return Cow::Borrowed(if key == FADING { MARKS } else { HEADS });
    }
    if of == MARKS {
        return Cow::Borrowed(MARK);
    }
    if of == DocEntry::type_name() {
        let kind = key.first().and_then(|&code| Kind::with_code(code));
        return kind.map_or(Cow::Borrowed(""), Kind::type_name);
    }
    let inner = |of: &'t str, outer| of.strip_prefix(outer)?.strip_suffix('>');
    if let Some(value) = ["MovableList<", "Tree<"].iter().find_map(|outer| inner(of, *outer)) {
        return match key {
            b"p" => List::<()>::type_name(),
            _ => Cow::Owned(format!("AddWinsMap<{value}>")),
        };
    }
    Cow::Borrowed(inner(of, "AddWinsMap<").unwrap_or_default())
}

/// What a node of the type `of` carries.
pub(super) fn content(of: &str, bytes: &[u8]) -> String {
    if of == HEADS {
        return crate::ordered::readable_head(bytes).unwrap_or_default();
    }
    if of == MARK {
        return text::readable_mark(bytes).unwrap_or_default();
    }
    stamped(of, bytes).unwrap_or_else(|| readable(bytes))
}

/// What a node of the type `of` carries under consecutive dots, if it reads best as one.
pub(super) fn span(of: &str, contents: &[u8], count: u32) -> Option<String> {
    let letters = core::str::from_utf8(contents).ok().filter(|_| of == text::Text::type_name())?;
    let begin: String = letters.chars().take(LONGEST + 1).collect();
    let letters = cut(format!("{begin:?}"), contents.len());
    Some(if count == 1 { letters } else { format!("{letters}, {count} letters") })
}

/// `[milliseconds, logical, value]`, with a date.
fn stamped(of: &str, bytes: &[u8]) -> Option<String> {
    if of != "LwwRegister" {
        return None;
    }
    let mut text = Text { left: bytes, out: String::new() };
    if text.marker()? != Marker::FixArray(3) {
        return None;
    }
    let (millis, logical) = (text.uint()?, text.uint()?);
    let value = readable(text.left);
    let logical = if logical == 0 { String::new() } else { format!(" and {logical}") };
    Some(format!("{value}, written {}{logical}", date(millis)))
}

/// A point in time, in UTC; one that no calendar tells, as a number.
fn date(millis: u64) -> String {
    let Ok(date) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000) else {
        return format!("{millis} ms after 1970");
    };
    let (hour, minute, second, milli) = date.time().as_hms_milli();
    format!("{}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", date.date())
}

/// MessagePack that is written out while it is read, and only as far as anybody will look: a tree of values, such as other
/// readers make, would be as large as a stranger likes.
struct Text<'b> {
    left: &'b [u8],
    out: String,
}

impl<'b> Text<'b> {
    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, left) = self.left.split_at_checked(len)?;
        self.left = left;
        Some(taken)
    }

    fn be(&mut self, len: usize) -> Option<u64> {
        Some(self.take(len)?.iter().fold(0, |number, &byte| (number << 8) | u64::from(byte)))
    }

    fn marker(&mut self) -> Option<Marker> {
        Some(Marker::from_u8(self.take(1)?[0]))
    }

    fn uint(&mut self) -> Option<u64> {
        match self.marker()? {
            Marker::FixPos(number) => Some(number.into()),
            Marker::U8 => self.be(1),
            Marker::U16 => self.be(2),
            Marker::U32 => self.be(4),
            Marker::U64 => self.be(8),
            _ => None,
        }
    }

    /// Writes, as long as anybody will read it.
    fn say(&mut self, what: impl core::fmt::Display) {
        if self.out.len() <= LONGEST {
            let _ = write!(self.out, "{what}");
        }
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match self.marker()? {
            Marker::FixPos(number) => self.say(number),
            Marker::FixNeg(number) => self.say(number),
            Marker::Null => self.say("null"),
            Marker::True => self.say(true),
            Marker::False => self.say(false),
            marker @ (Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64) => {
                let len = 1 << (marker.to_u8() - Marker::U8.to_u8());
                let number = self.be(len)?;
                self.say(number);
            }
            marker @ (Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64) => {
                let len = 1 << (marker.to_u8() - Marker::I8.to_u8());
                let unused = 64 - 8 * len as u32;
                let number = (self.be(len)? << unused) as i64 >> unused;
                self.say(number);
            }
            Marker::F32 => {
                let number = f32::from_bits(self.be(4)? as u32);
                self.say(format_args!("{number:?}"));
            }
            Marker::F64 => {
                let number = f64::from_bits(self.be(8)?);
                self.say(format_args!("{number:?}"));
            }
            Marker::FixStr(len) => self.text(len.into())?,
            Marker::Str8 => self.sized(1, Self::text)?,
            Marker::Str16 => self.sized(2, Self::text)?,
            Marker::Str32 => self.sized(4, Self::text)?,
            Marker::Bin8 => self.sized(1, Self::binary)?,
            Marker::Bin16 => self.sized(2, Self::binary)?,
            Marker::Bin32 => self.sized(4, Self::binary)?,
            Marker::FixArray(len) => self.list(len.into(), depth)?,
            Marker::Array16 => self.sized(2, |text, len| text.list(len, depth))?,
            Marker::Array32 => self.sized(4, |text, len| text.list(len, depth))?,
            Marker::FixMap(len) => self.map(len.into(), depth)?,
            Marker::Map16 => self.sized(2, |text, len| text.map(len, depth))?,
            Marker::Map32 => self.sized(4, |text, len| text.map(len, depth))?,
            _ => return None,
        }
        Some(())
    }

    fn sized(&mut self, bytes: usize, read: impl FnOnce(&mut Self, u64) -> Option<()>) -> Option<()> {
        let len = self.be(bytes)?;
        read(self, len)
    }

    fn text(&mut self, len: u64) -> Option<()> {
        let text = core::str::from_utf8(self.take(usize::try_from(len).ok()?)?).ok()?;
        // All of it could not be read anyway.
        let end = text.char_indices().nth(LONGEST + 1).map_or(text.len(), |(at, _)| at);
        self.say(format_args!("{:?}", &text[..end]));
        Some(())
    }

    fn binary(&mut self, len: u64) -> Option<()> {
        let bytes = self.take(usize::try_from(len).ok()?)?;
        self.say(hex(bytes));
        Some(())
    }

    fn list(&mut self, len: u64, depth: usize) -> Option<()> {
        self.say("[");
        for at in 0..len {
            self.say(if at == 0 { "" } else { ", " });
            self.value(depth + 1)?;
        }
        self.say("]");
        Some(())
    }

    fn map(&mut self, len: u64, depth: usize) -> Option<()> {
        self.say("{");
        for at in 0..len {
            self.say(if at == 0 { "" } else { ", " });
            self.value(depth + 1)?;
            self.say(": ");
            self.value(depth + 1)?;
        }
        self.say("}");
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_they_would_be_written() {
        for (bytes, text) in [
            (&b"\xa3fig"[..], "\"fig\""),
            (&[42], "42"),
            (&[0xe0], "-32"),
            (&[0xd1, 0xff, 0x00], "-256"),
            (&[0xcd, 1, 0], "256"),
            (&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], "1.5"),
            (&[0x81, 0xa1, b'a', 0x93, 1, 0xc0, 0xc3], "{\"a\": [1, null, true]}"),
            (&[0xc4, 2, 1, 0xff], "0x01ff"),
            (b"title", "title"),
            (&[0x92, 1], "0x9201"),
            (&[0xdf, 0xff, 0xff, 0xff, 0xff, 1], "0xdfffffffff01"),
            (&[], ""),
        ] {
            assert_eq!(readable(bytes), text);
        }
    }

    #[test]
    fn what_is_long_or_deep_is_cut() {
        let long = [&[0xda, 4, 0][..], &[b'x'; 1_024]].concat();
        let text = readable(&long);
        assert!(text.len() < 200 && text.ends_with("… (1027 bytes)"), "{text}");
        assert!(readable(&[0x91; 1_000]).starts_with("0x9191"));
        assert!(readable(&[0xff; 1_000]).chars().count() < 200);
    }

    #[test]
    fn stamps_are_shown_as_dates() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_772_323_199_000, "2026-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(date(millis), text);
        }
        assert_eq!(date(u64::MAX), "18446744073709551615 ms after 1970");
        let content = [0x93, 0xcd, 0x03, 0xe8, 2, 0xa1, b'v'];
        assert_eq!(super::content("LwwRegister", &content), "\"v\", written 1970-01-01T00:00:01.000Z and 2");
        assert_eq!(super::content("MvRegister", &content), "[1000, 2, \"v\"]");
    }
}
