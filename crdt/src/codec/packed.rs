//! Whole numbers in as few bytes as they need, and runs of dots told apart from what was to be expected.

use alloc::vec::Vec;
use smallvec::SmallVec;

use crate::causal::MAX_COUNTER;

/// Where numbers are written.
pub(super) trait Sink {
    fn push(&mut self, byte: u8);

    fn append(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    #[inline]
    fn push(&mut self, byte: u8) {
        Self::push(self, byte);
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<A: smallvec::Array<Item = u8>> Sink for SmallVec<A> {
    #[inline]
    fn push(&mut self, byte: u8) {
        Self::push(self, byte);
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A number in groups of seven bits, the lowest first; all but the last have the high bit set.
pub(super) fn number(out: &mut impl Sink, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How many bytes [`number`] writes.
pub(super) fn number_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// Small numbers of either sign as small numbers: 0, -1, 1, -2, …
pub(super) fn folded(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

pub(super) fn unfolded(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// What the next run of dots is expected to be: the one that follows on the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) row: u64,
    pub(super) counter: u64,
}

impl Expected {
    /// Writes a run of a row.
    pub(super) fn write(&mut self, out: &mut impl Sink, row: u64, first: u64, last: u64) {
        let is_other = row != self.row;
        if is_other {
            *self = Self { row, counter: 0 };
        }
        number(out, folded(first as i64 - self.counter as i64) << 1 | u64::from(is_other));
        if is_other {
            number(out, row);
        }
        number(out, last - first);
        self.counter = last + 1;
    }

    /// The row and first counter of a run that was written as `told`, given the row if it is another one; `None` if there
    /// is no such counter.
    pub(super) fn read(&mut self, told: u64, other: Option<u64>) -> Option<(u64, u64)> {
        if let Some(row) = other {
            if row == self.row {
                return None;
            }
            *self = Self { row, counter: 0 };
        }
        let first = (self.counter as i64).checked_add(unfolded(told >> 1))?;
        let first = u64::try_from(first).ok().filter(|first| (1..=MAX_COUNTER).contains(first))?;
        Some((self.row, first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_sign_come_back() {
        for number in [0, -1, 1, i64::MAX, i64::MIN, 1 << 40, -(1 << 40)] {
            assert_eq!(unfolded(folded(number)), number);
        }
        assert_eq!([0, -1, 1, -2].map(folded), [0, 1, 2, 3]);
    }

    #[test]
    fn numbers_are_as_long_as_they_say() {
        for told in (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit]).chain([u64::MAX]) {
            let mut out = Vec::new();
            number(&mut out, told);
            assert_eq!(out.len(), number_len(told), "{told}");
        }
    }
}
