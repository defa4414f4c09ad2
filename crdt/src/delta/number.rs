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
        let (number, marker, width) = match self {
            Self::Unsigned(number) => unsigned(number),
            Self::Signed(number) => match u64::try_from(number) {
                Ok(number) => unsigned(number),
                Err(_) => negative(number),
            },
        };
        let mut bytes = [0; 24];
        bytes[0] = marker;
        bytes[1..9].copy_from_slice(&number.unbounded_shl(64 - 8 * width).to_be_bytes());
        Bytes::from_buf_and_len(bytes, 1 + width as usize)
    }
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
