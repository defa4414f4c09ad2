//! Columns in fewer bytes, by zstd.
//!
//! Decompressing takes memory for what comes out and no more: how long that is stands before it, and is spent from the
//! limits before anything is unpacked.

use alloc::vec::Vec;

/// Columns shorter than this are not compressed: the frame of the compressor alone takes a dozen bytes.
pub(super) const LEAST: usize = 1 << 10;
/// How many times as long as what is compressed its content may be. More would let a short message take much memory.
pub(super) const MAX_RATIO: usize = 256;

/// Fast: higher levels take several times as long and gain a few hundredths on columns.
#[cfg(feature = "zstd")]
const LEVEL: i32 = 1;
/// Of what is longer than this zstd takes it that only long matches are worth looking for, and makes less of columns: 256 KiB.
#[cfg(feature = "zstd")]
const SHORT: usize = 256 << 10;
/// The shortest it looks for in shorter columns, in bytes; in longer ones too, then.
#[cfg(feature = "zstd")]
const SHORTEST_MATCH: u32 = 6;

/// `columns`, compressed, if that makes them shorter.
#[cfg(feature = "zstd")]
pub(super) fn compress(columns: &[u8]) -> Option<Vec<u8>> {
    if columns.len() < LEAST {
        return None;
    }
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).ok()?;
    if columns.len() > SHORT {
        compressor.set_parameter(zstd::zstd_safe::CParameter::MinMatch(SHORTEST_MATCH)).ok()?;
    }
    let packed = compressor.compress(columns).ok()?;
    (packed.len() < columns.len() && columns.len() <= MAX_RATIO * packed.len()).then_some(packed)
}

/// What [`compress`] compressed, which was `length` bytes; `None` if it was not.
#[cfg(feature = "zstd")]
pub(super) fn decompress(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    // One frame and nothing behind it: the decoder itself would take several, and skip some.
    let is_one = zstd::zstd_safe::find_frame_compressed_size(packed) == Ok(packed.len());
    is_one.then(|| zstd::bulk::decompress(packed, length).ok())?.filter(|columns| columns.len() == length)
}

#[cfg(not(feature = "zstd"))]
pub(super) fn compress(_: &[u8]) -> Option<Vec<u8>> {
    None
}

#[cfg(not(feature = "zstd"))]
pub(super) fn decompress(_: &[u8], _: usize) -> Option<Vec<u8>> {
    None
}

#[cfg(all(test, feature = "zstd"))]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_comes_back_and_nothing_else_does() {
        let columns: Vec<u8> = (0..10_000_u32).map(|n| ((n * n) >> 7) as u8 & 15).collect();
        let packed = compress(&columns).expect("it has four bits a byte");
        assert!(packed.len() < columns.len() * 6 / 10);
        assert_eq!(decompress(&packed, columns.len()), Some(columns.clone()));
        assert_eq!(decompress(&packed, columns.len() - 1), None);
        assert_eq!(decompress(&packed, columns.len() + 1), None);
        assert_eq!(decompress(&packed[..packed.len() - 1], columns.len()), None);
    }

    #[test]
    fn what_is_short_or_too_regular_stays_as_it_is() {
        assert_eq!(compress(&[0; LEAST - 1]), None);
        assert_eq!(compress(&[0; 1 << 20]), None, "a bomb is not written");
    }
}
