//! The text of the pieces: appended to, and never moved but to give room back.

use alloc::vec::Vec;

use super::piece::{Piece, Width, bytes_of};
use crate::causal::ReplicaIndex;

/// So much may be left over from what was deleted, or as much as is read.
const LEAST_WASTE: usize = 4096;
/// What a place in a text is told by has as many bits.
const MOST: usize = (1 << 31) - 1;

/// The text of each replica's elements, in the order of its coming: so pieces grow that are typed in turns. What was deleted stays in it
/// until it is packed anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    /// By row.
    bytes: Vec<Vec<u8>>,
    /// How much there is in all.
    len: usize,
}

impl Text {
    /// Appends a text; says where it begins.
    ///
    /// # Panics
    /// Beyond 2 GiB of one replica.
    pub(super) fn push(&mut self, row: ReplicaIndex, text: &[u8]) -> u32 {
        if self.bytes.len() <= row as usize {
            self.bytes.resize_with(row as usize + 1, Vec::new);
        }
        let bytes = &mut self.bytes[row as usize];
        let start = bytes.len();
        assert!(start + text.len() <= MOST, "what one replica wrote to a text takes less than 2 GiB");
        bytes.extend_from_slice(text);
        self.len += text.len();
        start as u32
    }

    /// Where the next text of a replica begins.
    pub(super) fn end(&self, row: ReplicaIndex) -> usize {
        self.bytes.get(row as usize).map_or(0, Vec::len)
    }

    #[inline]
    pub(super) fn of(&self, piece: Piece) -> &[u8] {
        if !piece.is_live() {
            return &[];
        }
        let bytes = &self.bytes[piece.first().replica() as usize];
        &bytes[piece.text()..piece.text() + piece.bytes()]
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
        self.len - read > LEAST_WASTE.max(read)
    }
}
