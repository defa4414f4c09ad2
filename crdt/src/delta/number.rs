//! Whole numbers in MessagePack, by hand: counters write them all the time.

use super::Bytes;

/// A whole number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Signed(i64),
    Unsigned(u64),
}

impl Number {
    /// Its bytes, as few as it takes: as MessagePack has it the marker, then the number in as many bytes as the marker
    /// says.
    pub(crate) fn encode(self) -> Bytes {
        let (short, len) = self.short();
        let mut bytes = [0; 24];
        bytes[..9].copy_from_slice(&short);
        Bytes::from_buf_and_len(bytes, len)
    }

    /// Writes what [`encode`](Self::encode) yields.
    pub(crate) fn write(self, out: &mut Bytes) {
        let (short, len) = self.short();
        out.extend_from_slice(&short[..len]);
    }

    fn short(self) -> ([u8; 9], usize) {
        let (number, marker, width) = match self {
            Self::Unsigned(number) => unsigned(number),
            Self::Signed(number) => match u64::try_from(number) {
                Ok(number) => unsigned(number),
                Err(_) => negative(number),
            },
        };
        let mut bytes = [marker; 9];
        bytes[1..].copy_from_slice(&number.unbounded_shl(64 - 8 * width).to_be_bytes());
        (bytes, 1 + width as usize)
    }
}

/// A number that stands alone, in as few bytes as it takes.
pub(crate) fn read_unsigned(bytes: &[u8]) -> Option<u64> {
    let (number, least) = match *bytes {
        [number @ ..=0x7f] => (number.into(), 0),
        [0xcc, number] => (number.into(), 0x80),
        [0xcd, a, b] => (u16::from_be_bytes([a, b]).into(), 0x100),
        [0xce, a, b, c, d] => (u32::from_be_bytes([a, b, c, d]).into(), 0x1_0000),
        [0xcf, ref number @ ..] => (u64::from_be_bytes(number.try_into().ok()?), 0x1_0000_0000),
        _ => return None,
    };
    (number >= least).then_some(number)
}

/// As [`read_unsigned`], of one that may be negative.
pub(crate) fn read_signed(bytes: &[u8]) -> Option<i64> {
    let (number, most) = match *bytes {
        [number @ 0xe0..=0xff] => ((number as i8).into(), -1),
        [0xd0, number] => ((number as i8).into(), -0x21),
        [0xd1, a, b] => (i16::from_be_bytes([a, b]).into(), -0x81),
        [0xd2, a, b, c, d] => (i32::from_be_bytes([a, b, c, d]).into(), -0x8001),
        [0xd3, ref number @ ..] => (i64::from_be_bytes(number.try_into().ok()?), -0x8000_0001),
        _ => return read_unsigned(bytes).and_then(|number| i64::try_from(number).ok()),
    };
    (number <= most).then_some(number)
}

fn unsigned(number: u64) -> (u64, u8, u32) {
    let (marker, width) = match number {
        0..=0x7f => (number as u8, 0),
        0x80..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        _ => (0xcf, 8),
    };
    (number, marker, width)
}

fn negative(number: i64) -> (u64, u8, u32) {
    let (marker, width) = match number {
        -0x20.. => (number as u8, 0),
        -0x80.. => (0xd0, 1),
        -0x8000.. => (0xd1, 2),
        -0x8000_0000.. => (0xd2, 4),
        _ => (0xd3, 8),
    };
    (number as u64, marker, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_encoding_that_is_that_of_rmp() {
        let edges = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]).chain([u64::MAX]);
        for number in edges {
            let bytes = Number::Unsigned(number).encode();
            assert_eq!(bytes[..], rmp_serde::to_vec(&number).unwrap());
            assert_eq!(read_unsigned(&bytes), Some(number));
            for number in [number as i64, (number as i64).wrapping_neg()] {
                let bytes = Number::Signed(number).encode();
                assert_eq!(bytes[..], rmp_serde::to_vec(&number).unwrap());
                assert_eq!(read_signed(&bytes), Some(number), "{number}");
            }
        }
    }

    #[test]
    fn what_reads_as_a_number_is_written_so() {
        let tails = (0..=9).flat_map(|len| [0, 0x1f, 0x20, 0x7f, 0x80, 0xff].map(|fill| vec![fill; len]));
        for tail in tails {
            for marker in 0..=0xff {
                for first in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut bytes = [&[marker], &tail[..]].concat();
                    bytes[1..].iter_mut().take(1).for_each(|byte| *byte = first);
                    if let Some(number) = read_unsigned(&bytes) {
                        assert_eq!(Number::Unsigned(number).encode()[..], bytes);
                    }
                    if let Some(number) = read_signed(&bytes) {
                        assert_eq!(Number::Signed(number).encode()[..], bytes);
                    }
                }
            }
        }
    }
}
