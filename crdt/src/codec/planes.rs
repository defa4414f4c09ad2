//! Contents by planes: all first bytes, then all second ones.
//!
//! Contents that are equally long are alike as a rule, byte by byte: numbers begin with one marker, times with the same digits, and ends are
//! random. Told one after the other, what is random hides from a compressor what is not.

use alloc::vec::Vec;

/// Longer contents are told as they are, or by their heads: in them the compressor finds words.
const LONGEST: usize = 16;
/// As much of a longer content is told by planes where heads are: a time and its count, and the header of a value.
const HEAD: usize = 13;
/// A node is told by planes if it carries at least so many contents of 2 to [`LONGEST`] bytes.
pub(super) const LEAST: u64 = 16;
/// What a content begins with that has a time: a list of three, and a number of eight bytes.
const TIMED: [u8; 2] = [0x93, 0xcf];

/// Whether a node is told by planes that carries so many contents of these lengths.
pub(super) fn pays(runs: impl Iterator<Item = (u64, u32)>) -> bool {
    let in_planes = |&(length, _): &(u64, u32)| (2..=LONGEST as u64).contains(&length);
    runs.filter(in_planes).map(|(_, count)| u64::from(count)).sum::<u64>() >= LEAST
}

/// What contents begin with of the nodes that are not told by planes: whether they are told by planes all together.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Heads {
    timed: u64,
    others: u64,
}

impl Heads {
    /// Contents of `each` bytes, one after the other.
    pub(super) fn add(&mut self, each: usize, contents: &[u8]) {
        match each {
            0 => {}
            1 => self.others += contents.len() as u64,
            _ => {
                let timed = contents.chunks_exact(each).filter(|content| content.starts_with(&TIMED)).count();
                self.timed += timed as u64;
                self.others += (contents.len() / each - timed) as u64;
            }
        }
    }

    /// At least [`LEAST`] begin with a time, and most of all that have bytes.
    pub(super) fn pay(&self) -> bool {
        self.timed >= LEAST && self.timed > self.others
    }
}

/// How contents are told that are longer than [`LONGEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Longer {
    /// As they are.
    Whole,
    /// The first [`HEAD`] bytes by planes, then the rest of each.
    ByHead,
}

/// Writes contents, of which those of a run are equally long: by length, the shortest first, and each length by planes; the longer ones after
/// that.
pub(super) fn write<'c>(runs: impl Iterator<Item = (usize, &'c [u8])>, longer: Longer, out: &mut Vec<u8>) {
    let mut by_length: [Vec<u8>; LONGEST + 1] = [const { Vec::new() }; LONGEST + 1];
    let (mut heads, mut rests) = (Vec::new(), Vec::new());
    for (length, contents) in runs {
        match by_length.get_mut(length) {
            Some(own) => own.extend_from_slice(contents),
            None if longer == Longer::Whole => rests.extend_from_slice(contents),
            None => contents.chunks_exact(length).for_each(|content| {
                let (head, rest) = content.split_at(HEAD);
                heads.extend_from_slice(head);
                rests.extend_from_slice(rest);
            }),
        }
    }
    let mut planes = |length: usize, contents: &[u8]| {
        for plane in 0..length {
            out.extend(contents.iter().skip(plane).step_by(length));
        }
    };
    by_length.iter().enumerate().for_each(|(length, contents)| planes(length, contents));
    planes(HEAD, &heads);
    out.append(&mut rests);
}

/// What is told by planes of contents that are equally long, or have equally long heads.
#[derive(Clone, Copy, Default)]
struct Planes<'t> {
    length: usize,
    count: usize,
    told: &'t [u8],
    /// How many have been put back.
    next: usize,
}

impl<'t> Planes<'t> {
    /// Takes them from what is told.
    fn take(&mut self, told: &'t [u8]) -> Option<&'t [u8]> {
        let rest;
        (self.told, rest) = told.split_at_checked(self.length.checked_mul(self.count)?)?;
        Some(rest)
    }

    /// Puts back the next ones.
    fn put(&mut self, count: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + self.length * count, 0);
        if self.length == 0 || count == 0 {
            return;
        }
        for (plane, bytes) in self.told.chunks_exact(self.count).enumerate() {
            let bytes = &bytes[self.next..self.next + count];
            let places = out[start + plane..].iter_mut().step_by(self.length);
            places.zip(bytes).for_each(|(place, byte)| *place = *byte);
        }
        self.next += count;
    }
}

/// Reads what [`write`] wrote of contents with these lengths, one after the other into `out`. Yields what is left of `told`; `None` if there is
/// not as much.
pub(super) fn read<'t>(
    runs: impl Iterator<Item = (u64, u32)> + Clone,
    longer: Longer,
    told: &'t [u8],
    out: &mut Vec<u8>,
) -> Option<&'t [u8]> {
    let mut by_length: [Planes<'t>; LONGEST + 1] =
        core::array::from_fn(|length| Planes { length, ..Planes::default() });
    let mut heads = Planes { length: if longer == Longer::ByHead { HEAD } else { 0 }, ..Planes::default() };
    let mut rests = 0_usize;
    for (length, count) in runs.clone() {
        let (length, count) = (usize::try_from(length).ok()?, count as usize);
        match by_length.get_mut(length) {
            Some(own) => own.count += count,
            None => {
                heads.count += count;
                rests = rests.checked_add((length - heads.length).checked_mul(count)?)?;
            }
        }
    }
    let mut rest = told;
    for planes in by_length.iter_mut().chain([&mut heads]) {
        rest = planes.take(rest)?;
    }
    let (mut rests, rest) = rest.split_at_checked(rests)?;
    for (length, count) in runs {
        let (length, count) = (length as usize, count as usize);
        if let Some(planes) = by_length.get_mut(length) {
            planes.put(count, out);
            continue;
        }
        // Without heads all of a run at once.
        let (times, each) = if heads.length == 0 { (1, length * count) } else { (count, length - HEAD) };
        for _ in 0..times {
            heads.put(1, out);
            let own;
            (own, rests) = rests.split_at(each);
            out.extend_from_slice(own);
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
        #![proptest_config(ProptestConfig { failure_persistence: None, ..crate::tests::cases(256) })]

        #[test]
        fn what_is_told_by_planes_is_read_back(
            runs in proptest::collection::vec((0..20_usize, 1..9_u32), 0..30),
            bytes in proptest::collection::vec(any::<u8>(), 20 * 9),
            more in proptest::collection::vec(any::<u8>(), 0..3),
            longer in prop_oneof![Just(Longer::Whole), Just(Longer::ByHead)],
        ) {
            let contents = runs.iter().map(|&(length, count)| (length, &bytes[..length * count as usize]));
            let mut told = Vec::new();
            write(contents.clone(), longer, &mut told);
            let plain: Vec<u8> = contents.flat_map(|(_, contents)| contents).copied().collect();
            prop_assert_eq!(told.len(), plain.len());
            let lengths = runs.iter().map(|&(length, count)| (length as u64, count));
            if !told.is_empty() {
                prop_assert_eq!(read(lengths.clone(), longer, &told[1..], &mut vec![]), None);
            }
            told.extend(&more);
            let mut back = vec![];
            prop_assert_eq!(read(lengths, longer, &told, &mut back), Some(&more[..]));
            prop_assert_eq!(back, plain);
        }
    }

    #[test]
    fn planes_are_by_length_and_then_by_byte() {
        let mut told = Vec::new();
        let long = [9; LONGEST + 1];
        let contents = [(2, &b"abcd"[..]), (LONGEST + 1, &long), (1, b"x"), (2, b"ef")];
        write(contents.into_iter(), Longer::Whole, &mut told);
        assert_eq!(told, [&b"xacebdf"[..], &long].concat());
        assert!(!pays([(2, 8), (17, 99), (1, 99), (3, 7)].into_iter()));
        assert!(pays([(2, 8), (3, 8)].into_iter()));
    }

    #[test]
    fn of_longer_contents_heads_are_told_by_planes() {
        let mut told = Vec::new();
        let contents =
            [(17, &b"ABCDEFGHIJKLMnopqABCDEFGHIJKLMrstu"[..]), (18, b"abcdefghijklmNOPQR"), (1, b"x")];
        write(contents.into_iter(), Longer::ByHead, &mut told);
        assert_eq!(told, b"xAAaBBbCCcDDdEEeFFfGGgHHhIIiJJjKKkLLlMMmnopqrstuNOPQR");
    }

    #[test]
    fn heads_pay_where_most_contents_begin_with_a_time() {
        let heads = |timed: u64, others: u64, empty: u64| {
            let mut heads = Heads::default();
            (0..timed).for_each(|_| heads.add(4, &[0x93, 0xcf, 0, 0]));
            (0..others).for_each(|_| heads.add(2, &[0x93, 0]));
            (0..empty).for_each(|_| heads.add(0, &[]));
            heads.pay()
        };
        assert!(heads(16, 15, 99) && !heads(15, 0, 0) && !heads(20, 20, 0));
    }
}
