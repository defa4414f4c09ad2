//! How elements are told: one dot each, in spans of what is equally long.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::delta::{Bytes, Mismatch, Span};
use crate::sequence::Items;
use crate::store::{Content, Value, Written};

/// Elements as they are written, where they do not lie in memory like that.
#[derive(Default)]
pub(crate) struct Scratch {
    bytes: Bytes,
    /// How long the elements of each part are, and how many.
    parts: SmallVec<[(usize, u32); 4]>,
}

/// The elements of a sequence, as they are told.
pub(crate) trait Elements: Items + ToOwned {
    /// What a span carries.
    ///
    /// # Errors
    /// When its contents are no such elements.
    fn read<'s>(span: &Span<&'s [u8]>) -> Result<Cow<'s, Self>, Mismatch>;

    /// As `read`, without the result.
    ///
    /// # Errors
    /// As `read`.
    fn check(span: &Span<&[u8]>) -> Result<(), Mismatch> {
        Self::read(span).map(drop)
    }

    /// As `read`, put behind what is there; nothing is if this is an error, or part of it.
    ///
    /// # Errors
    /// As `read`.
    fn append(span: &Span<&[u8]>, all: &mut Self::Owned) -> Result<(), Mismatch>;

    /// No elements.
    fn none() -> Self::Owned;

    /// Leaves none.
    fn clear(all: &mut Self::Owned);

    /// Parts of which the elements are equally long, with how many they are.
    ///
    /// # Panics
    /// If an element refuses to be written, before there are any.
    fn told<'e>(&'e self, scratch: &'e mut Scratch) -> impl Iterator<Item = (&'e [u8], u32)>;
}

impl Elements for str {
    fn read<'s>(span: &Span<&'s [u8]>) -> Result<Cow<'s, Self>, Mismatch> {
        letters(span).map(Cow::Borrowed)
    }

    fn check(span: &Span<&[u8]>) -> Result<(), Mismatch> {
        let is_plain = span.each() == 1 && span.contents.is_ascii();
        if is_plain { Ok(()) } else { letters(span).map(drop) }
    }

    fn append(span: &Span<&[u8]>, all: &mut String) -> Result<(), Mismatch> {
        letters(span).map(|more| all.push_str(more))
    }

    fn none() -> String {
        String::new()
    }

    fn clear(all: &mut String) {
        all.clear();
    }

    fn told<'e>(&'e self, _: &'e mut Scratch) -> impl Iterator<Item = (&'e [u8], u32)> {
        equally_long(self).map(|(part, count)| (part.as_bytes(), count))
    }
}

impl<T: Value> Elements for [Written<T>] {
    fn read<'s>(span: &Span<&'s [u8]>) -> Result<Cow<'s, Self>, Mismatch> {
        let read = |(_, content)| Written::decode(content).map_err(no_content);
        span.items().map(read).collect::<Result<Vec<_>, _>>().map(Cow::Owned)
    }

    fn check(span: &Span<&[u8]>) -> Result<(), Mismatch> {
        span.items().try_for_each(|(_, content)| Written::<T>::check(content).map_err(no_content))
    }

    fn append(span: &Span<&[u8]>, all: &mut Vec<Written<T>>) -> Result<(), Mismatch> {
        span.items().try_for_each(|(_, content)| {
            all.push(Written::decode(content).map_err(no_content)?);
            Ok(())
        })
    }

    fn none() -> Vec<Written<T>> {
        Vec::new()
    }

    fn clear(all: &mut Vec<Written<T>>) {
        all.clear();
    }

    fn told<'e>(&'e self, scratch: &'e mut Scratch) -> impl Iterator<Item = (&'e [u8], u32)> {
        let Scratch { bytes, parts } = scratch;
        bytes.clear();
        parts.clear();
        for element in self {
            let start = bytes.len();
            element.write(bytes);
            let each = bytes.len() - start;
            match parts.last_mut() {
                Some((other, count)) if *other == each && each > 0 => *count += 1,
                _ => parts.push((each, 1)),
            }
        }
        let mut rest = &bytes[..];
        parts.iter().map(move |&(each, count)| {
            let (part, more) = rest.split_at(each * count as usize);
            rest = more;
            (part, count)
        })
    }
}

fn no_content(why: String) -> Mismatch {
    Mismatch::Content { what: "content", why }
}

/// The letters of a span, each of which is one Unicode scalar value in UTF-8.
fn letters<'s>(span: &Span<&'s [u8]>) -> Result<&'s str, Mismatch> {
    let text = core::str::from_utf8(span.contents).ok();
    let is_each = |text: &&str| {
        if text.is_ascii() {
            span.each() == 1
        } else {
            text.chars().all(|scalar| scalar.len_utf8() == span.each())
        }
    };
    text.filter(is_each).ok_or_else(|| Mismatch::Content {
        what: "content",
        why: String::from("it is not one Unicode scalar value in UTF-8"),
    })
}

/// The parts of a text whose scalars take equally many bytes, with how many they are.
fn equally_long(text: &str) -> impl Iterator<Item = (&str, u32)> {
    let mut rest = text;
    core::iter::from_fn(move || {
        let each = rest.chars().next()?.len_utf8();
        // A keystroke.
        if each == rest.len() {
            return Some((core::mem::take(&mut rest), 1));
        }
        let is_other = |scalar: char| scalar.len_utf8() != each;
        let end = if rest.is_ascii() { rest.len() } else { rest.find(is_other).unwrap_or(rest.len()) };
        // A draft holds less than 4 GiB.
        let (part, more) = rest.split_at(end);
        rest = more;
        Some((part, (part.len() / each) as u32))
    })
}
