//! Markers, and what follows them, in as few bytes as it takes.

use rmp::Marker;

use super::super::packed::Sink;
use crate::delta::Number;

/// Lengths are told in four bytes at most.
///
/// # Panics
/// At 4 GiB. A transaction that writes as much is undone.
pub(super) fn length(len: usize) -> u32 {
    u32::try_from(len).expect("nothing is as long as 4 GiB")
}

/// A marker, and a number in the last `width` bytes.
fn write_sized(out: &mut impl Sink, marker: Marker, number: u32, width: usize) {
    out.push(marker.to_u8());
    out.append(&number.to_be_bytes()[4 - width..]);
}

pub(crate) fn write_array_len(out: &mut impl Sink, len: u32) {
    match len {
        0..0x10 => out.push(Marker::FixArray(len as u8).to_u8()),
        0x10..0x1_0000 => write_sized(out, Marker::Array16, len, 2),
        _ => write_sized(out, Marker::Array32, len, 4),
    }
}

pub(super) fn write_map_len(out: &mut impl Sink, len: u32) {
    match len {
        0..0x10 => out.push(Marker::FixMap(len as u8).to_u8()),
        0x10..0x1_0000 => write_sized(out, Marker::Map16, len, 2),
        _ => write_sized(out, Marker::Map32, len, 4),
    }
}

pub(crate) fn write_str(out: &mut impl Sink, text: &str) {
    match length(text.len()) {
        len @ 0..0x20 => out.push(Marker::FixStr(len as u8).to_u8()),
        len @ 0x20..0x100 => write_sized(out, Marker::Str8, len, 1),
        len @ 0x100..0x1_0000 => write_sized(out, Marker::Str16, len, 2),
        len => write_sized(out, Marker::Str32, len, 4),
    }
    out.append(text.as_bytes());
}

pub(crate) fn write_bin(out: &mut impl Sink, bytes: &[u8]) {
    match length(bytes.len()) {
        len @ 0..0x100 => write_sized(out, Marker::Bin8, len, 1),
        len @ 0x100..0x1_0000 => write_sized(out, Marker::Bin16, len, 2),
        len => write_sized(out, Marker::Bin32, len, 4),
    }
    out.append(bytes);
}

pub(super) fn write_ext(out: &mut impl Sink, tag: i8, bytes: &[u8]) {
    match length(bytes.len()) {
        1 => out.push(Marker::FixExt1.to_u8()),
        2 => out.push(Marker::FixExt2.to_u8()),
        4 => out.push(Marker::FixExt4.to_u8()),
        8 => out.push(Marker::FixExt8.to_u8()),
        16 => out.push(Marker::FixExt16.to_u8()),
        len @ 0..0x100 => write_sized(out, Marker::Ext8, len, 1),
        len @ 0x100..0x1_0000 => write_sized(out, Marker::Ext16, len, 2),
        len => write_sized(out, Marker::Ext32, len, 4),
    }
    out.push(tag as u8);
    out.append(bytes);
}

pub(crate) fn write_uint(out: &mut impl Sink, number: u64) {
    out.append(&Number::Unsigned(number).encode());
}
