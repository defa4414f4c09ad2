//! The contents of a node by planes: all first bytes, then all second ones.
//!
//! Contents that are equally long are alike as a rule, byte by byte: numbers begin with one marker, times with the same digits, and ends are
//! random. Told one after the other, what is random hides from a compressor what is not.

use alloc::vec::Vec;

/// Longer contents are told as they are: in them the compressor finds words.
const LONGEST: usize = 16;
/// A node is told by planes if it carries at least so many contents of 2 to [`LONGEST`] bytes.
const LEAST: u64 = 16;

/// Whether a node is told by planes that carries so many contents of these lengths.
pub(super) fn pays(runs: impl Iterator<Item = (u64, u32)>) -> bool {
    let in_planes = |&(length, _): &(u64, u32)| (2..=LONGEST as u64).contains(&length);
    runs.filter(in_planes).map(|(_, count)| u64::from(count)).sum::<u64>() >= LEAST
}

/// Writes contents, of which those of a run are equally long: by length, the shortest first, and each length by planes; the longest after
/// that as they are.
pub(super) fn write<'c>(runs: impl Iterator<Item = (usize, &'c [u8])>, out: &mut Vec<u8>) {
    let mut by_length: [Vec<u8>; LONGEST + 1] = [const { Vec::new() }; LONGEST + 1];
    let mut longest = Vec::new();
    for (length, contents) in runs {
        by_length.get_mut(length).unwrap_or(&mut longest).extend_from_slice(contents);
    }
    for (length, contents) in by_length.iter().enumerate() {
        for plane in 0..length {
            out.extend(contents.iter().skip(plane).step_by(length));
        }
    }
    out.append(&mut longest);
}

/// Reads what [`write`] wrote of contents with these lengths, one after the other into `out`. Yields what is left of `told`; `None` if there is
/// not as much.
pub(super) fn read<'t>(
    runs: impl Iterator<Item = (u64, u32)> + Clone,
    told: &'t [u8],
    out: &mut Vec<u8>,
) -> Option<&'t [u8]> {
    let mut counts = [0_usize; LONGEST + 1];
    let mut beyond = 0_usize;
    for (length, count) in runs.clone() {
        let (length, count) = (usize::try_from(length).ok()?, count as usize);
        match counts.get_mut(length) {
            Some(known) => *known += count,
            None => beyond = beyond.checked_add(length.checked_mul(count)?)?,
        }
    }
    let mut rest = told;
    let planes = counts.iter().enumerate().map(|(length, count)| length.checked_mul(*count));
    let mut by_length: [&[u8]; LONGEST + 1] = [&[]; LONGEST + 1];
    for (own, len) in by_length.iter_mut().zip(planes) {
        (*own, rest) = rest.split_at_checked(len?)?;
    }
    let (mut longest, rest) = rest.split_at_checked(beyond)?;
    let mut next = [0_usize; LONGEST + 1];
    for (length, count) in runs {
        let (length, count) = (length as usize, count as usize);
        let Some(planes) = by_length.get(length) else {
            let own;
            (own, longest) = longest.split_at(length * count);
            out.extend_from_slice(own);
            continue;
        };
        if length > 0 && count > 0 {
            let start = out.len();
            out.resize(start + length * count, 0);
            for (plane, bytes) in planes.chunks_exact(counts[length]).enumerate() {
                let bytes = &bytes[next[length]..next[length] + count];
                let places = out[start + plane..].iter_mut().step_by(length);
                places.zip(bytes).for_each(|(place, byte)| *place = *byte);
            }
            next[length] += count;
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn what_is_told_by_planes_is_read_back(
            runs in proptest::collection::vec((0..20_usize, 1..9_u32), 0..30),
            bytes in proptest::collection::vec(any::<u8>(), 20 * 9),
            more in proptest::collection::vec(any::<u8>(), 0..3),
        ) {
            let contents = runs.iter().map(|&(length, count)| (length, &bytes[..length * count as usize]));
            let mut told = Vec::new();
            write(contents.clone(), &mut told);
            let plain: Vec<u8> = contents.flat_map(|(_, contents)| contents).copied().collect();
            prop_assert_eq!(told.len(), plain.len());
            let lengths = runs.iter().map(|&(length, count)| (length as u64, count));
            if !told.is_empty() {
                prop_assert_eq!(read(lengths.clone(), &told[1..], &mut vec![]), None);
            }
            told.extend(&more);
            let mut back = vec![];
            prop_assert_eq!(read(lengths, &told, &mut back), Some(&more[..]));
            prop_assert_eq!(back, plain);
        }
    }

    #[test]
    fn planes_are_by_length_and_then_by_byte() {
        let mut told = Vec::new();
        let long = [9; LONGEST + 1];
        write([(2, &b"abcd"[..]), (LONGEST + 1, &long), (1, b"x"), (2, b"ef")].into_iter(), &mut told);
        assert_eq!(told, [&b"xacebdf"[..], &long].concat());
        assert!(!pays([(2, 8), (17, 99), (1, 99), (3, 7)].into_iter()));
        assert!(pays([(2, 8), (3, 8)].into_iter()));
    }
}
