//! The content of the pieces: appended to, and never moved but to give room back.

use alloc::vec::Vec;

use super::Items;
use super::piece::{Piece, Width};
use crate::causal::ReplicaIndex;

/// What a place in it is told by has as many bits.
const MOST: usize = (1 << 31) - 1;

/// What each replica's elements consist of, in the order of its coming: so pieces grow that are typed in turns. What was deleted stays in it
/// until it is packed anew.
pub(super) struct Contents<C: Items + ?Sized> {
    /// By row.
    items: Vec<Vec<C::Item>>,
    /// How much there is in all.
    len: usize,
}

impl<C: Items + ?Sized> Default for Contents<C> {
    fn default() -> Self {
        Self { items: Vec::new(), len: 0 }
    }
}

impl<C: Items + ?Sized> Clone for Contents<C> {
    fn clone(&self) -> Self {
        Self { items: self.items.clone(), len: self.len }
    }
}

impl<C: Items + ?Sized> Contents<C> {
    /// Appends items; says where they begin.
    ///
    /// # Panics
    /// Beyond 2^31 of one replica.
    pub(super) fn push(&mut self, row: ReplicaIndex, more: &[C::Item]) -> u32 {
        if self.items.len() <= row as usize {
            self.items.resize_with(row as usize + 1, Vec::new);
        }
        let items = &mut self.items[row as usize];
        let start = items.len();
        assert!(
            start + more.len() <= MOST,
            "what one replica wrote to a text or list is less than 2^31 bytes or elements"
        );
        items.extend_from_slice(more);
        self.len += more.len();
        start as u32
    }

    /// How much there is, also of what was deleted.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where the next items of a replica begin.
    pub(super) fn end(&self, row: ReplicaIndex) -> usize {
        self.items.get(row as usize).map_or(0, Vec::len)
    }

    #[inline]
    pub(super) fn of(&self, piece: Piece) -> &[C::Item] {
        if !piece.is_live() {
            return &[];
        }
        let items = &self.items[piece.first().replica() as usize];
        &items[piece.start()..piece.start() + piece.bytes()]
    }

    pub(super) fn width(&self, pieces: &[Piece]) -> Width {
        let mut sum = Width::default();
        for piece in pieces {
            sum += self.width_of(*piece);
        }
        sum
    }

    #[inline]
    pub(super) fn width_of(&self, piece: Piece) -> Width {
        C::width(self.of(piece), piece.scalars())
    }

    /// How many bytes the first scalars of a piece take, of a ghost none.
    #[inline]
    pub(super) fn bytes_of(&self, piece: Piece, scalars: u64) -> usize {
        match piece.is_live() {
            true if piece.is_ascii() => scalars as usize,
            true => C::items_of(self.of(piece), scalars as usize),
            false => 0,
        }
    }

    /// Whether so little of it is read that what is not should go; `needed` is at least what is read.
    pub(super) fn is_wasteful(&self, needed: usize) -> bool {
        self.len > C::LEAST_WASTE.max(needed) + needed
    }
}
