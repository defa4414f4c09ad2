//! A set of numbers as the lengths of its runs and of the gaps between them: the shortest way to tell a set that has nothing to do
//! with what the other holds, and next to nothing for one that has no gaps.
//!
//! Gaps and runs are Rice-coded, each with a parameter of its own: where it is left to chance which numbers are in the set, that is
//! within an eighth of the least it could take. What is far out of the ordinary is told with its length before it.

use std::ops::Range;

use super::bits::{BitReader, BitWriter};

/// A quotient from here on is not told in ones.
const LONGEST_UNARY: u32 = 24;

/// The ranges of these numbers, which ascend.
pub(crate) fn ranges(numbers: impl IntoIterator<Item = u64>) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(last) if last.end == number => last.end += 1,
            _ => ranges.push(number..number + 1),
        }
    }
    ranges
}

/// What is in `ranges` and not among `numbers`; both ascend.
pub(crate) fn without(ranges: &[Range<u64>], numbers: &[u64]) -> Vec<Range<u64>> {
    let mut left = Vec::new();
    for range in ranges {
        let from = numbers.partition_point(|&number| number < range.start);
        let mut start = range.start;
        for &number in numbers[from..].iter().take_while(|&&number| number < range.end) {
            if start < number {
                left.push(start..number);
            }
            start = number + 1;
        }
        if start < range.end {
            left.push(start..range.end);
        }
    }
    left
}

/// Which of the numbers are not in `ranges`, as ranges; both ascend.
pub(crate) fn outside(numbers: &[u64], theirs: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut theirs = theirs.iter().peekable();
    ranges(numbers.iter().copied().filter(|number| {
        while theirs.next_if(|range| range.end <= *number).is_some() {}
        theirs.peek().is_none_or(|range| *number < range.start)
    }))
}

/// Writes ranges that ascend and do not touch.
pub(crate) fn write(ranges: &[Range<u64>]) -> Vec<u8> {
    let mut out = BitWriter::default();
    out.put_sized(ranges.len() as u64);
    let mut end = 0;
    let pairs: Vec<(u64, u64)> = ranges
        .iter()
        .map(|range| {
            // After the first, a gap has one number at least, and so has a run.
            let gap = range.start - end - u64::from(end > 0);
            end = range.end;
            (gap, range.end - range.start - 1)
        })
        .collect();
    let rices = [rice(pairs.iter().map(|pair| pair.0)), rice(pairs.iter().map(|pair| pair.1))];
    rices.iter().for_each(|&rice| out.put(u64::from(rice), 6));
    for (gap, run) in pairs {
        for (value, rice) in [(gap, rices[0]), (run, rices[1])] {
            let quotient = value >> rice;
            if quotient < u64::from(LONGEST_UNARY) {
                out.put((1 << quotient) - 1, quotient as u32 + 1);
                out.put(value, rice);
            } else {
                out.put(u64::MAX, LONGEST_UNARY);
                out.put_sized(value);
            }
        }
    }
    out.finish()
}

/// Reads what [`write`] wrote, all of it below `end`; `None` if it is not that. Takes no more memory than some times the bytes.
pub(crate) fn read(bytes: &[u8], end: u64) -> Option<Vec<Range<u64>>> {
    let mut bits = BitReader::new(bytes);
    let count = bits.take_sized()?;
    let rices = [bits.take(6)? as u32, bits.take(6)? as u32];
    let mut number = |rice: u32| -> Option<u64> {
        let mut quotient = 0;
        while quotient < LONGEST_UNARY && bits.take(1)? == 1 {
            quotient += 1;
        }
        if quotient == LONGEST_UNARY {
            return bits.take_sized();
        }
        let high = u64::from(quotient).checked_mul(1 << rice)?;
        Some(high | bits.take(rice)?)
    };
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut at = 0_u64;
    for _ in 0..count {
        let (gap, run) = (number(rices[0])?, number(rices[1])?);
        let start = at.checked_add(gap)?.checked_add(u64::from(at > 0))?;
        at = start.checked_add(run)?.checked_add(1).filter(|&at| at <= end)?;
        ranges.push(start..at);
    }
    bits.is_done().then_some(ranges)
}

/// The best parameter for these numbers, or the one next to it.
fn rice(numbers: impl Iterator<Item = u64>) -> u32 {
    let (count, sum) =
        numbers.fold((0_u64, 0_u64), |(count, sum), number| (count + 1, sum.saturating_add(number)));
    // Of a geometric distribution half are below 0.69 times the mean; the power of two nearest to that is the best.
    (sum / count.max(1)).checked_ilog2().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in prop::collection::btree_set(0..3_000_u64, 0..300), far in any::<bool>()) {
            let far = if far { 1 << 50 } else { 0 };
            let ranges = ranges(numbers.iter().copied().chain((far > 0).then_some(far)));
            prop_assert_eq!(read(&write(&ranges), (1 << 50) + 1), Some(ranges));
        }

        #[test]
        fn any_bytes_are_read_as_ranges_or_not_at_all(bytes in prop::collection::vec(any::<u8>(), 0..60), end in any::<u64>()) {
            if let Some(ranges) = read(&bytes, end) {
                prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= end));
                prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }

        #[test]
        fn what_is_left_is_what_the_numbers_lack(
            ours in prop::collection::btree_set(0..200_u64, 0..100),
            theirs in prop::collection::btree_set(0..200_u64, 0..100),
        ) {
            let left = without(&ranges(theirs.iter().copied()), &ours.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(left.into_iter().flatten().collect::<Vec<_>>(), theirs.difference(&ours).copied().collect::<Vec<_>>());
            let only = outside(&ours.iter().copied().collect::<Vec<_>>(), &ranges(theirs.iter().copied()));
            prop_assert_eq!(only.into_iter().flatten().collect::<Vec<_>>(), ours.difference(&theirs).copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_set_of_chance_takes_little_more_than_it_must() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for percent in [1, 10, 30, 50, 90, 99] {
            let ranges = ranges((0..200_000).filter(|_| rng.random_range(0..100) < percent));
            let p = f64::from(percent) / 100.0;
            let entropy = -200_000.0 / 8.0 * (p * p.log2() + (1.0 - p) * (1.0 - p).log2());
            let ratio = write(&ranges).len() as f64 / entropy;
            assert!(ratio < 1.14, "{ratio} at {percent} %");
        }
        let no_gaps = ranges(0..100_000);
        assert!(write(&no_gaps).len() < 10, "what has no gaps is no news");
    }
}
