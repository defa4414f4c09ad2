//! Walks over the entries of a [`Keyed`](super::Keyed) in the order of their keys, within bounds.

use alloc::vec::Vec;
use core::ops::Bound;
use core::slice;

/// From where to where.
pub(super) type Bounds<'q, Q> = (Bound<&'q Q>, Bound<&'q Q>);

/// Whether `key` lies before all that `bounds` let in.
pub(super) fn before_start<Q: Ord + ?Sized>(bounds: Bounds<'_, Q>, key: &Q) -> bool {
    match bounds.0 {
        Bound::Unbounded => false,
        Bound::Included(start) => key < start,
        Bound::Excluded(start) => key <= start,
    }
}

/// Whether `key` lies before all that `bounds` leave out at their end.
pub(super) fn before_end<Q: Ord + ?Sized>(bounds: Bounds<'_, Q>, key: &Q) -> bool {
    match bounds.1 {
        Bound::Unbounded => true,
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
    }
}

/// A walk over slots in the order of their keys.
#[derive(Clone)]
pub(crate) struct Walk<'a> {
    pub(super) front: slice::Iter<'a, u32>,
    pub(super) blocks: &'a [Vec<u32>],
    pub(super) between: slice::Iter<'a, u32>,
    pub(super) back: slice::Iter<'a, u32>,
}

impl Iterator for Walk<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            if let Some(&slot) = self.front.next() {
                return Some(slot);
            }
            match self.between.next() {
                Some(&block) => self.front = self.blocks[block as usize].iter(),
                None => return self.back.next().copied(),
            }
        }
    }
}

impl DoubleEndedIterator for Walk<'_> {
    fn next_back(&mut self) -> Option<u32> {
        loop {
            if let Some(&slot) = self.back.next_back() {
                return Some(slot);
            }
            match self.between.next_back() {
                Some(&block) => self.back = self.blocks[block as usize].iter(),
                None => return self.front.next_back().copied(),
            }
        }
    }
}

/// Entries in ascending order of key.
pub(crate) enum Range<'a, K, S> {
    Sorted(slice::Iter<'a, (K, S)>),
    Ordered(&'a [(K, S)], Walk<'a>),
}

impl<'a, K, S> Iterator for Range<'a, K, S> {
    type Item = (&'a K, &'a S);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, state) = match self {
            Self::Sorted(entries) => entries.next()?,
            Self::Ordered(entries, walk) => &entries[walk.next()? as usize],
        };
        Some((key, state))
    }
}

impl<K, S> DoubleEndedIterator for Range<'_, K, S> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (key, state) = match self {
            Self::Sorted(entries) => entries.next_back()?,
            Self::Ordered(entries, walk) => &entries[walk.next_back()? as usize],
        };
        Some((key, state))
    }
}

/// All entries in ascending order of key.
pub(crate) struct Iter<'a, K, S> {
    pub(super) range: Range<'a, K, S>,
    pub(super) left: usize,
}

impl<'a, K, S> Iterator for Iter<'a, K, S> {
    type Item = (&'a K, &'a S);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.range.next()?;
        self.left -= 1;
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<K, S> DoubleEndedIterator for Iter<'_, K, S> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let entry = self.range.next_back()?;
        self.left -= 1;
        Some(entry)
    }
}

impl<K, S> ExactSizeIterator for Iter<'_, K, S> {}
