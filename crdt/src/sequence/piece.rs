//! What a sequence is made of in memory.

use core::ops::{AddAssign, SubAssign};

use crate::causal::LocalDot;

/// How many bytes a live piece has at most.
pub(super) const MOST_BYTES: usize = u16::MAX as usize;
/// As many, where not all scalars take one byte: finding one of them looks through the piece.
pub(super) const MOST_MIXED: usize = 1 << 10;

/// Consecutive elements of one run that stand next to each other, all live or all ghosts: 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    first: LocalDot,
    /// Of a live piece where its content begins, of a ghost [`GHOST`] and the upper bits of how many there are.
    start: u32,
    /// Of a live piece how many scalars and how many bytes, of a ghost the lower bits of how many there are.
    size: u32,
}

const GHOST: u32 = 1 << 31;

/// `dot`, so many counters on.
pub(super) fn after(dot: LocalDot, by: u64) -> LocalDot {
    LocalDot::from_bits(dot.bits() + by)
}

impl Piece {
    pub(super) const NONE: Self = Self { first: LocalDot::from_bits(0), start: GHOST, size: 0 };

    pub(super) fn live(first: LocalDot, start: u32, len: u16, bytes: u16) -> Self {
        Self { first, start, size: u32::from(len) << 16 | u32::from(bytes) }
    }

    pub(super) fn ghost(first: LocalDot, len: u64) -> Self {
        Self { first, start: GHOST | (len >> 32) as u32, size: len as u32 }
    }

    pub(super) fn first(self) -> LocalDot {
        self.first
    }

    pub(super) fn last(self) -> LocalDot {
        after(self.first, self.len() - 1)
    }

    pub(super) fn contains(self, dot: LocalDot) -> bool {
        dot.bits().wrapping_sub(self.first.bits()) < self.len()
    }

    #[inline]
    pub(super) fn is_live(self) -> bool {
        self.start & GHOST == 0
    }

    pub(super) fn len(self) -> u64 {
        if self.is_live() {
            u64::from(self.size >> 16)
        } else {
            u64::from(self.start & !GHOST) << 32 | u64::from(self.size)
        }
    }

    /// How many scalars are read.
    #[inline]
    pub(super) fn scalars(self) -> usize {
        if self.is_live() { (self.size >> 16) as usize } else { 0 }
    }

    #[inline]
    pub(super) fn bytes(self) -> usize {
        if self.is_live() { (self.size & 0xffff) as usize } else { 0 }
    }

    /// Where its content begins, if it is live.
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn is_ascii(self) -> bool {
        self.scalars() == self.bytes()
    }

    /// Whether a live piece can take on so many scalars and bytes.
    pub(super) fn has_room(self, scalars: usize, bytes: usize) -> bool {
        let (scalars, bytes) = (self.scalars() + scalars, self.bytes() + bytes);
        bytes <= if scalars == bytes { MOST_BYTES } else { MOST_MIXED }
    }

    /// A live piece with so much more behind it, for which it [has room](Self::has_room).
    pub(super) fn grown(self, scalars: usize, bytes: usize) -> Self {
        Self { size: self.size + ((scalars as u32) << 16 | bytes as u32), ..self }
    }

    /// The first `len` elements of a ghost, or of a live piece, where they take `bytes`.
    pub(super) fn head(self, len: u64, bytes: usize) -> Self {
        if self.is_live() {
            Self::live(self.first, self.start, len as u16, bytes as u16)
        } else {
            Self::ghost(self.first, len)
        }
    }

    /// What [`head`](Self::head) leaves.
    pub(super) fn tail(self, len: u64, bytes: usize) -> Self {
        let first = after(self.first, len);
        let rest = self.len() - len;
        if self.is_live() {
            Self::live(first, self.start + bytes as u32, rest as u16, (self.bytes() - bytes) as u16)
        } else {
            Self::ghost(first, rest)
        }
    }

    /// Both as one, if `next` follows on this one in dots and content. They stand next to each other.
    pub(super) fn joined(self, next: Self) -> Option<Self> {
        if after(self.last(), 1) != next.first || self.is_live() != next.is_live() {
            return None;
        }
        if !self.is_live() {
            return Some(Self::ghost(self.first, self.len() + next.len()));
        }
        let adjoins = self.start as usize + self.bytes() == next.start as usize;
        let fits = self.is_ascii() == next.is_ascii() && self.has_room(next.scalars(), next.bytes());
        (adjoins && fits).then(|| self.grown(next.scalars(), next.bytes()))
    }
}

/// How long something is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Width {
    /// In Unicode scalar values.
    pub scalars: usize,
    /// In UTF-16 units.
    pub utf16: usize,
    /// In bytes of UTF-8.
    pub bytes: usize,
}

impl AddAssign for Width {
    #[inline]
    fn add_assign(&mut self, more: Self) {
        self.scalars += more.scalars;
        self.utf16 += more.utf16;
        self.bytes += more.bytes;
    }
}

impl SubAssign for Width {
    #[inline]
    fn sub_assign(&mut self, less: Self) {
        self.scalars -= less.scalars;
        self.utf16 -= less.utf16;
        self.bytes -= less.bytes;
    }
}

/// What positions are counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    Scalar,
    Utf16,
    Byte,
}

impl Width {
    #[inline]
    pub(crate) fn by(self, unit: Unit) -> usize {
        match unit {
            Unit::Scalar => self.scalars,
            Unit::Utf16 => self.utf16,
            Unit::Byte => self.bytes,
        }
    }
}
