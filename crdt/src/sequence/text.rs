//! The text of the pieces: appended to, never moved but to give room back.

use alloc::vec::Vec;

use super::piece::{Piece, Width, bytes_of};

/// So much may be left over from what was deleted, or as much as is read.
const LEAST_WASTE: usize = 4096;
/// What a place in a text is told by has as many bits.
const MOST: usize = (1 << 31) - 1;

/// Text in the order of its coming. What was deleted stays in it until it is packed anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    bytes: Vec<u8>,
}

impl Text {
    /// Appends a text; says where it begins.
    ///
    /// # Panics
    /// Beyond 2 GiB.
    pub(super) fn push(&mut self, text: &[u8]) -> u32 {
        let start = self.bytes.len();
        assert!(start + text.len() <= MOST, "a text and what was deleted of it lately take less than 2 GiB");
        self.bytes.extend_from_slice(text);
        start as u32
    }

    /// Where the next text begins.
    pub(super) fn end(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(super) fn of(&self, piece: Piece) -> &[u8] {
        if piece.is_live() { &self.bytes[piece.text()..piece.text() + piece.bytes()] } else { &[] }
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
        Width::counted(self.of(piece), piece.scalars())
    }

    /// How many bytes the first scalars of a live piece take.
    #[inline]
    pub(super) fn bytes_of(&self, piece: Piece, scalars: u64) -> usize {
        if piece.is_live() { bytes_of(self.of(piece), scalars as usize, piece.is_ascii()) } else { 0 }
    }

    /// Whether so much of it is read that what is not should go.
    pub(super) fn is_wasteful(&self, read: usize) -> bool {
        self.bytes.len() - read > LEAST_WASTE.max(read)
    }
}
