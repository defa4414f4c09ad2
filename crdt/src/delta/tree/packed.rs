//! A small tree in bytes, for memory alone: nothing outside reads them. Numbers have fixed lengths: to write them costs a few instructions.

use alloc::vec::Vec;

use super::{Bytes, Carried, DeltaTree, Place};
use crate::causal::LocalDot;

/// How many places, spans and covers a tree has.
pub(crate) type Counts = [u8; 3];

impl DeltaTree {
    /// How many bytes [`pack`](Self::pack) writes, beside which it is to be known how much of what there is. `None` if it is not small.
    pub(crate) fn packed_len(&self) -> Option<(usize, Counts)> {
        let few = |len: usize| u8::try_from(len).ok();
        let counts = [few(self.places.len())?, few(self.carried.len())?, few(self.covers.len())?];
        let bytes = self.keys.len() + self.contents.len();
        if bytes > usize::from(u16::MAX)
            || self.carried.iter().any(|carried| carried.count > u32::from(u16::MAX))
        {
            return None;
        }
        let places = if counts[0] == 1 { 0 } else { 8 * self.places.len() };
        Some((places + 12 * self.carried.len() + 16 * self.covers.len() + bytes, counts))
    }

    /// Writes all it says. `name` says what dots are called there.
    pub(crate) fn pack(&self, out: &mut Vec<u8>, name: impl Fn(LocalDot) -> LocalDot) {
        // Of one place alone it is known what belongs to it.
        if self.places.len() > 1 {
            for place in &self.places {
                let ends = [place.end, place.key_end, place.carried_end, place.cover_end];
                let [end, key, carried, cover] = ends.map(|end| u64::from(end as u16));
                out.extend_from_slice(&(end << 48 | key << 32 | carried << 16 | cover).to_le_bytes());
            }
        }
        for carried in &self.carried {
            out.extend_from_slice(&name(carried.first).bits().to_le_bytes());
            out.extend_from_slice(&(carried.end << 16 | carried.count).to_le_bytes());
        }
        for &(first, last) in &self.covers {
            out.extend_from_slice(&name(LocalDot::from_bits(first)).bits().to_le_bytes());
            out.extend_from_slice(&(last - first).to_le_bytes());
        }
        out.extend_from_slice(&self.keys);
        out.extend_from_slice(&self.contents);
    }

    /// What `pack` wrote.
    pub(crate) fn unpack(mut bytes: &[u8], [places, carried, covers]: Counts) -> Self {
        let mut tree = Self::default();
        let last = &mut tree.places[0];
        (last.carried_end, last.cover_end) = (u32::from(carried), u32::from(covers));
        if places > 1 {
            tree.places.clear();
            for _ in 0..places {
                let ends = u64::from_le_bytes(take(&mut bytes));
                let end = |shift: u32| u32::from((ends >> shift) as u16);
                tree.places.push(Place {
                    end: end(48),
                    key_end: end(32),
                    carried_end: end(16),
                    cover_end: end(0),
                });
            }
        }
        for _ in 0..carried {
            let first = LocalDot::from_bits(u64::from_le_bytes(take(&mut bytes)));
            let told = u32::from_le_bytes(take(&mut bytes));
            tree.carried.push(Carried { first, end: told >> 16, count: told & 0xffff });
        }
        for _ in 0..covers {
            let first = u64::from_le_bytes(take(&mut bytes));
            tree.covers.push((first, first + u64::from_le_bytes(take(&mut bytes))));
        }
        let keys = tree.places.last().map_or(0, |last| last.key_end);
        let (keys, contents) = bytes.split_at(keys as usize);
        (tree.keys, tree.contents) = (Bytes::from_slice(keys), Bytes::from_slice(contents));
        tree
    }
}

/// Takes off the first bytes.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (first, rest) = bytes.split_first_chunk().expect("all of it was written");
    *bytes = rest;
    *first
}
