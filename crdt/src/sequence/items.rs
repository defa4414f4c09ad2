//! What elements consist of.

use super::Width;

/// What lies one behind the other in memory: of text its bytes, of a list its elements.
pub(crate) trait Items: 'static {
    /// One of them. Elements consist of whole ones.
    type Item: Clone + Send + Sync;

    /// So many that were deleted may be left over, or as many as are read.
    const LEAST_WASTE: usize;

    /// All of them.
    fn items(&self) -> &[Self::Item];

    /// As they are handed out; these begin and end between elements.
    fn whole(items: &[Self::Item]) -> &Self;

    /// How many elements these are.
    fn elements(items: &[Self::Item]) -> usize;

    /// How long these are, which are so many elements.
    fn width(items: &[Self::Item], elements: usize) -> Width;

    /// How many of these the first elements take, of which there are as many.
    fn items_of(items: &[Self::Item], elements: usize) -> usize;

    /// How many of the first `most` items are whole elements, where there are more.
    fn cut(items: &[Self::Item], most: usize) -> usize;
}

/// Whether a byte of UTF-8 begins a scalar.
fn begins(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

impl Items for str {
    type Item = u8;

    const LEAST_WASTE: usize = 4096;

    fn items(&self) -> &[u8] {
        self.as_bytes()
    }

    fn whole(items: &[u8]) -> &Self {
        core::str::from_utf8(items).expect("pieces are cut between scalars")
    }

    fn elements(items: &[u8]) -> usize {
        items.iter().filter(|byte| begins(**byte)).count()
    }

    #[inline]
    fn width(items: &[u8], elements: usize) -> Width {
        let is_ascii = elements == items.len();
        let pairs = if is_ascii { 0 } else { items.iter().filter(|&&byte| byte >= 0xf0).count() };
        Width { scalars: elements, utf16: elements + pairs, bytes: items.len() }
    }

    fn items_of(items: &[u8], elements: usize) -> usize {
        let starts = items.iter().enumerate().filter(|(_, byte)| begins(**byte));
        starts.map(|(at, _)| at).nth(elements).unwrap_or(items.len())
    }

    fn cut(items: &[u8], most: usize) -> usize {
        (0..=most).rev().find(|&at| items.get(at).is_none_or(|byte| begins(*byte))).unwrap_or(0)
    }
}

impl<T: Clone + Send + Sync + 'static> Items for [T] {
    type Item = T;

    const LEAST_WASTE: usize = 64;

    fn items(&self) -> &[T] {
        self
    }

    fn whole(items: &[T]) -> &Self {
        items
    }

    fn elements(items: &[T]) -> usize {
        items.len()
    }

    #[inline]
    fn width(items: &[T], _: usize) -> Width {
        Width { scalars: items.len(), utf16: items.len(), bytes: items.len() }
    }

    fn items_of(_: &[T], elements: usize) -> usize {
        elements
    }

    fn cut(_: &[T], most: usize) -> usize {
        most
    }
}
