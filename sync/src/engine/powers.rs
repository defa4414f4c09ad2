//! Which of two large sets' elements differ, where they differ in few: power sums in a finite field (PinSketch; Dodis, Ostrovsky,
//! Reyzin, Smith 2008).
//!
//! One side tells the sums of the first odd powers of its elements, in a field of characteristic 2, where what both have adds up to
//! nothing. So added to the other's they are the power sums of what differs, and so many sums give away as many elements, whatever these are: each
//! costs as many bits as an element has, where a cell of a [`sketch`](super::sketch) has some hundred. But every sum costs a multiplication
//! for every element: where many differ, cells are made faster.
//!
//! Elements are numbers from 0. So many sums are those of no other set of as few elements; but those of a larger one may be, and of sets that
//! lie together in few numbers they are as a rule: the sums of all numbers that begin with the same bits are 0 up to half as many. So a checksum
//! goes with them.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::bits::{BitReader, BitWriter};
use super::sketch::Differences;

/// How many sums are told at least.
pub(crate) const LEAST: usize = 12;
/// How many bits the checksum has.
const CHECK_BITS: u32 = 32;
/// More take too long to take apart: time grows with their square.
pub(crate) const MOST: usize = 256;
/// How many multiplications making them may take: a tenth of a second.
const MOST_WORK: usize = 1 << 24;
/// About how many it may take to take them apart: some hundredths.
const MOST_APART: usize = 1 << 21;
/// Who makes them has fewer elements than who takes them apart, but not by more.
const SLACK: usize = 2;
/// The smallest field, in which sums are not shorter than their bytes, and the largest.
const BITS: std::ops::RangeInclusive<u32> = 8..=56;

/// The field of 2^bits elements: polynomials of bits, below one that is irreducible.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    bits: u32,
    /// The irreducible polynomial without its highest bit.
    modulus: u64,
}

/// The product of two polynomials of bits.
fn carryless(a: u64, b: u64) -> u128 {
    let (mut product, mut left) = (0, b);
    while left != 0 {
        product ^= u128::from(a) << left.trailing_zeros();
        left &= left - 1;
    }
    product
}

impl Field {
    /// The smallest in which `events` elements have numbers from 1; `None` if none is large enough.
    pub(crate) fn of(events: u64) -> Option<Self> {
        let bits = (u64::BITS - events.leading_zeros()).max(*BITS.start());
        if !BITS.contains(&bits) {
            return None;
        }
        // An odd one of so many is irreducible: about two in `bits`.
        (1..1 << bits).step_by(2).map(|modulus| Self { bits, modulus }).find(Self::is_field)
    }

    /// Whether the polynomial is irreducible (Rabin 1980).
    fn is_field(&self) -> bool {
        const X: u64 = 2;
        let mut power = X;
        for squared in 1..=self.bits {
            power = self.times(power, power);
            let is_divisor = squared < self.bits && self.bits.is_multiple_of(squared);
            if is_divisor && self.shares_a_factor(power ^ X) {
                return false;
            }
        }
        power == X
    }

    /// Whether the polynomial has a factor in common with another of a lower degree.
    fn shares_a_factor(&self, other: u64) -> bool {
        let (mut a, mut b) = (self.modulus | 1 << self.bits, other);
        while b != 0 {
            let shift = b.leading_zeros().checked_sub(a.leading_zeros());
            match shift {
                Some(shift) => a ^= b << shift,
                None => std::mem::swap(&mut a, &mut b),
            }
        }
        a != 1
    }

    fn times(&self, a: u64, b: u64) -> u64 {
        let mut product = carryless(a, b);
        // From the top, as many bits at once as the modulus leaves room for.
        while product >> self.bits != 0 {
            let high = (product >> self.bits) as u64;
            product = (product & ((1 << self.bits) - 1)) ^ carryless(self.modulus, high);
        }
        product as u64
    }

    /// The one by which `a`, which is not 0, has to be multiplied to be 1: `a` to the power of 2^bits - 2.
    fn inverse(&self, a: u64) -> u64 {
        let (mut power, mut inverse) = (a, 1);
        for _ in 1..self.bits {
            power = self.times(power, power);
            inverse = self.times(inverse, power);
        }
        inverse
    }
}

/// Multiplies by one element, four bits at a time.
struct Times {
    nibbles: Vec<[u64; 16]>,
}

impl Times {
    fn new(field: Field) -> Self {
        Self { nibbles: vec![[0; 16]; field.bits.div_ceil(4) as usize] }
    }

    fn set(&mut self, by: u64, field: Field) {
        let (top, mut shifted) = (1 << (field.bits - 1), by);
        for products in &mut self.nibbles {
            for bit in 0..4 {
                for below in 0..1 << bit {
                    products[below | 1 << bit] = products[below] ^ shifted;
                }
                let carries = shifted & top != 0;
                shifted = (shifted & !top) << 1 ^ if carries { field.modulus } else { 0 };
            }
        }
    }

    fn times(&self, a: u64) -> u64 {
        let mut left = a;
        self.nibbles.iter().fold(0, |product, products| {
            let nibble = (left & 15) as usize;
            left >>= 4;
            product ^ products[nibble]
        })
    }
}

/// How many sums it takes to find `differences`, where that is a guess; `None` if there are too many, or too many elements.
pub(crate) fn sums_for(differences: usize, elements: usize, field: Field) -> Option<usize> {
    let count = differences.saturating_add(differences / 10 * 3 + 4).max(LEAST);
    (elements.saturating_mul(count) <= MOST_WORK && is_taken_apart(count, field)).then_some(count)
}

fn is_taken_apart(count: usize, field: Field) -> bool {
    count <= MOST && count * count * field.bits as usize <= MOST_APART
}

/// Sums of powers, and what they are checked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    powers: Vec<u64>,
    check: u32,
}

impl Sums {
    pub(crate) fn len(&self) -> usize {
        self.powers.len()
    }
}

/// A hash of an element. Nobody has anything from choosing elements whose hashes add up to nothing, but a question asked in vain.
fn check(element: u64) -> u32 {
    let mut hasher = SipHasher13::new();
    hasher.write_u64(element);
    hasher.finish() as u32
}

/// The sums of the first `count` odd powers of the elements, each of them below the number for which the field was made. Costs a
/// multiplication for each sum and element.
pub(crate) fn sums(elements: impl IntoIterator<Item = u64>, count: usize, field: Field) -> Sums {
    let (mut sums, mut checked) = (vec![0; count], 0);
    let mut by_square = Times::new(field);
    for element in elements {
        checked ^= check(element);
        let mut power = element + 1;
        by_square.set(field.times(power, power), field);
        for sum in &mut sums {
            *sum ^= power;
            power = by_square.times(power);
        }
    }
    Sums { powers: sums, check: checked }
}

/// How many bytes so many sums take.
pub(crate) fn bytes_of(count: usize, field: Field) -> usize {
    (count * field.bits as usize + CHECK_BITS as usize).div_ceil(8)
}

/// Writes sums, each in as many bits as it takes.
pub(crate) fn write(sums: &Sums, field: Field) -> Vec<u8> {
    let mut out = BitWriter::default();
    out.put(sums.check.into(), CHECK_BITS);
    sums.powers.iter().for_each(|sum| out.put(*sum, field.bits));
    out.finish()
}

/// Reads what [`write`] wrote; `None` if it cannot have.
pub(crate) fn read(bytes: &[u8], field: Field) -> Option<Sums> {
    let count = (bytes.len() * 8).checked_sub(CHECK_BITS as usize)? / field.bits as usize;
    let mut reader = BitReader::new(bytes);
    let check = reader.take(CHECK_BITS)? as u32;
    let powers = (LEAST..=MOST).contains(&count).then(|| (0..count).map(|_| reader.take(field.bits)))?;
    let powers = powers.collect::<Option<Vec<u64>>>()?;
    reader.is_done().then_some(Sums { powers, check })
}

/// Whether so many sums, which the other made of its elements, may be made of ours.
pub(crate) fn are_worth_it(sums: usize, elements: usize, field: Field) -> bool {
    elements.saturating_mul(sums) <= MOST_WORK * SLACK && is_taken_apart(sums, field)
}

/// What our elements, ascending and below `events`, differ in from those of which another made these sums. Costs what making them costs, and
/// the square of their number.
pub(crate) fn differences(ours: &[u64], theirs: &Sums, events: u64, field: Field) -> Differences {
    let sums = sums(ours.iter().copied(), theirs.len(), field);
    let powers: Vec<u64> =
        sums.powers.iter().zip(&theirs.powers).map(|(ours, theirs)| ours ^ theirs).collect();
    let Some(found) = field.summed(&powers) else { return Differences::More };
    let mut found: Vec<u64> = found.into_iter().map(|element| element.wrapping_sub(1)).collect();
    let checked = found.iter().fold(sums.check ^ theirs.check, |left, element| left ^ check(*element));
    if checked != 0 || found.iter().any(|element| *element >= events) {
        return Differences::More;
    }
    found.sort_unstable();
    let (ours, theirs) = found.into_iter().partition(|element| ours.binary_search(element).is_ok());
    Differences::Found { ours, theirs }
}

/// A polynomial over the field, the constant first; the last one is not 0.
type Polynomial = Vec<u64>;

fn trimmed(mut polynomial: Polynomial) -> Polynomial {
    polynomial.truncate(polynomial.iter().rposition(|factor| *factor != 0).map_or(0, |last| last + 1));
    polynomial
}

impl Field {
    /// The elements that are not 0 of which these are the sums of odd powers; `None` if there are more than sums.
    fn summed(&self, odd: &[u64]) -> Option<Vec<u64>> {
        let mut locator = self.locator(odd)?;
        // Its roots are the inverses of the elements: read from behind, they are the elements.
        locator.reverse();
        self.roots(locator)
    }

    /// The polynomial whose roots are the inverses of the elements with these sums of powers (Massey 1969); `None` if it would
    /// have more than there are sums.
    fn locator(&self, odd: &[u64]) -> Option<Polynomial> {
        let mut sums = vec![0; 2 * odd.len()];
        for at in 0..sums.len() {
            // The sum of the squares of powers is the square of their sum.
            sums[at] = if at % 2 == 0 { odd[at / 2] } else { self.times(sums[at / 2], sums[at / 2]) };
        }
        let (mut locator, mut before) = (vec![1], vec![1]);
        let (mut length, mut shift, mut missed) = (0, 1, 1);
        for at in 0..sums.len() {
            let terms = locator.iter().zip(sums[..=at].iter().rev());
            let miss = terms.fold(0, |sum, (factor, power)| sum ^ self.times(*factor, *power));
            if miss == 0 {
                shift += 1;
                continue;
            }
            let by = self.times(miss, self.inverse(missed));
            let mut next: Polynomial = locator.clone();
            next.resize(next.len().max(before.len() + shift), 0);
            for (factor, other) in next[shift..].iter_mut().zip(&before) {
                *factor ^= self.times(by, *other);
            }
            if 2 * length <= at {
                (length, before, missed, shift) = (at + 1 - length, locator, miss, 1);
                if length > odd.len() {
                    return None;
                }
            } else {
                shift += 1;
            }
            locator = next;
        }
        let locator = trimmed(locator);
        (length <= odd.len() && locator.len() == length + 1).then_some(locator)
    }

    /// The roots of a polynomial; `None` if it has not as many in the field as its degree says (Berlekamp 1970).
    fn roots(&self, polynomial: Polynomial) -> Option<Vec<u64>> {
        let mut roots = Vec::new();
        let polynomial = self.monic(polynomial);
        let degree = polynomial.len() - 1;
        // To the power of how many elements the field has, an element is itself, and nothing else is.
        let x = self.remainder(vec![0, 1], &polynomial);
        let mut powers = vec![x.clone()];
        for _ in 0..self.bits {
            let next = self.squared(&powers[powers.len() - 1], &polynomial);
            powers.push(next);
        }
        if powers.pop() != Some(x) {
            return None;
        }
        // Each part with x to the power of 1, 2, 4 and so on.
        let mut parts = vec![(polynomial, powers, 0)];
        while let Some((part, powers, bit)) = parts.pop() {
            if part.len() <= 2 {
                roots.extend(part.first().filter(|_| part.len() == 2));
                continue;
            }
            // Half of the elements have a trace of 0; for two that differ, so do their traces after a multiplication by some bit.
            let mut by = (bit < self.bits).then_some(1 << bit)?;
            let (mut trace, mut multiplied) = (vec![0; part.len() - 1], Times::new(*self));
            for power in &powers {
                multiplied.set(by, *self);
                trace.iter_mut().zip(power).for_each(|(sum, factor)| *sum ^= multiplied.times(*factor));
                by = self.times(by, by);
            }
            let one = self.common(part.clone(), trimmed(trace));
            if one.len() > 1 && one.len() < part.len() {
                let other = self.quotient(part, &one);
                for part in [other, one] {
                    let powers = powers.iter().map(|power| self.remainder(power.clone(), &part)).collect();
                    parts.push((part, powers, bit + 1));
                }
            } else {
                parts.push((part, powers, bit + 1));
            }
        }
        (roots.len() == degree).then_some(roots)
    }

    fn monic(&self, mut polynomial: Polynomial) -> Polynomial {
        if let Some(&last) = polynomial.last().filter(|last| **last != 1) {
            let by = self.inverse(last);
            polynomial.iter_mut().for_each(|factor| *factor = self.times(*factor, by));
        }
        polynomial
    }

    /// Takes multiples of `by`, whose last factor is 1, away until what is left is shorter; `each` is told how many, from above.
    fn divide(&self, polynomial: &mut Polynomial, by: &[u64], mut each: impl FnMut(u64)) {
        let mut multiplied = Times::new(*self);
        while polynomial.len() >= by.len() {
            let times = polynomial.pop().unwrap_or_default();
            each(times);
            if times != 0 {
                multiplied.set(times, *self);
                let from = polynomial.len() + 1 - by.len();
                for (factor, other) in polynomial[from..].iter_mut().zip(by) {
                    *factor ^= multiplied.times(*other);
                }
            }
        }
    }

    fn remainder(&self, mut polynomial: Polynomial, by: &[u64]) -> Polynomial {
        self.divide(&mut polynomial, by, |_| {});
        trimmed(polynomial)
    }

    fn quotient(&self, mut polynomial: Polynomial, by: &[u64]) -> Polynomial {
        let mut quotient = Vec::new();
        self.divide(&mut polynomial, by, |times| quotient.push(times));
        quotient.reverse();
        quotient
    }

    fn squared(&self, polynomial: &[u64], by: &[u64]) -> Polynomial {
        let mut square = vec![0; (2 * polynomial.len()).saturating_sub(1)];
        for (at, factor) in polynomial.iter().enumerate() {
            square[2 * at] = self.times(*factor, *factor);
        }
        self.remainder(square, by)
    }

    /// The greatest common divisor, with 1 as its last factor.
    fn common(&self, a: Polynomial, b: Polynomial) -> Polynomial {
        let (mut a, mut b) = (self.monic(a), self.monic(b));
        while !b.is_empty() {
            let rest = self.monic(self.remainder(a, &b));
            (a, b) = (b, rest);
        }
        a
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn found(ours: &[u64], theirs: &[u64], count: usize, events: u64) -> Differences {
        let field = Field::of(events).unwrap();
        let told = write(&sums(theirs.iter().copied(), count, field), field);
        assert_eq!(told.len(), bytes_of(count, field));
        differences(ours, &read(&told, field).unwrap(), events, field)
    }

    #[test]
    fn fields_are_fields() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for bits in BITS {
            let field = Field::of((1 << bits) - 1).unwrap();
            assert_eq!(field.bits, bits);
            for _ in 0..20 {
                let [a, b, c] = [0; 3].map(|_| rng.random_range(1..1 << bits));
                assert_eq!(field.times(a, field.inverse(a)), 1, "{bits}");
                assert_eq!(field.times(a, b ^ c), field.times(a, b) ^ field.times(a, c));
                assert_eq!(field.times(a, field.times(b, c)), field.times(field.times(a, b), c));
                let mut by = Times::new(field);
                by.set(a, field);
                assert_eq!(by.times(b), field.times(a, b));
            }
        }
        assert!(Field::of(1 << 56).is_none());
        // That of AES is the first one of eight bits.
        assert_eq!(Field::of(200).unwrap().modulus, 0x1b);
    }

    #[test]
    fn as_many_are_found_as_there_are_sums_and_no_more() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for events in [200, 5_000, 1 << 20, (1 << 40) + 3] {
            let mut all: BTreeSet<u64> = (0..events.min(180)).map(|_| rng.random_range(0..events)).collect();
            all.extend([0, events - 1]);
            let ours: Vec<u64> = all.iter().copied().filter(|_| rng.random_ratio(9, 10)).collect();
            let theirs: Vec<u64> = all.iter().copied().filter(|_| rng.random_ratio(9, 10)).collect();
            let without = |one: &[u64], other: &[u64]| -> Vec<u64> {
                one.iter().copied().filter(|element| !other.contains(element)).collect()
            };
            let (here, there) = (without(&ours, &theirs), without(&theirs, &ours));
            let count = here.len() + there.len();
            assert!(count > LEAST);
            let all_found = Differences::Found { ours: here, theirs: there };
            for sums in [count, count + 1, count + 20] {
                assert_eq!(found(&ours, &theirs, sums, events), all_found, "{events}");
            }
            for sums in LEAST..count {
                assert_eq!(
                    found(&ours, &theirs, sums, events),
                    Differences::More,
                    "{events} {sums} of {count}"
                );
            }
        }
    }

    #[test]
    fn what_lies_together_is_not_taken_for_what_lies_beside_it() {
        // Of a block of numbers the sums of powers are nothing, so those of a part of it are those of the rest.
        for (ours, theirs, sums) in [(63..80, 80..96, 31), (127..150, 150..192, 63), (0..1, 4_000..4_095, 40)]
        {
            let (ours, theirs) = (ours.collect::<Vec<u64>>(), theirs.collect::<Vec<u64>>());
            assert_eq!(found(&ours, &theirs, sums, 5_000), Differences::More);
            let all = Differences::Found { ours: ours.clone(), theirs: theirs.clone() };
            assert_eq!(found(&ours, &theirs, ours.len() + theirs.len(), 5_000), all);
        }
    }

    proptest! {
        #[test]
        fn what_nobody_summed_up_is_not_found(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            ours in prop::collection::btree_set(0..5_000_u64, 0..50),
        ) {
            let field = Field::of(5_000).unwrap();
            let ours: Vec<u64> = ours.into_iter().collect();
            if let Some(sums) = read(&bytes, field) {
                // Random sums are those of as many elements one time in the faculty of their number, and then there is the checksum.
                prop_assert_eq!(differences(&ours, &sums, 5_000, field), Differences::More);
            }
        }
    }
}
