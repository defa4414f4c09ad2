//! What the workloads write: from a fixed seed, the same for every system and in every run.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator of one kind of input.
pub fn rng(purpose: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0x746f_6d62_6f6c_6f00 + purpose)
}

/// `n` members of 16 hex digits: 8 bytes of entropy each.
pub fn members(purpose: u64, n: usize) -> Vec<String> {
    let mut rng = rng(purpose);
    (0..n).map(|_| format!("{:016x}", rng.next_u64())).collect()
}

/// `n` keys of 10 hex digits, from the `first` on, all different: 5 bytes of entropy each.
pub fn keys(first: usize, n: usize) -> Vec<String> {
    let mut rng = rng(0);
    let keys = (0..first + n).map(|_| format!("{:010x}", rng.next_u64() >> 24));
    keys.skip(first).collect()
}

/// `n` values of 32 bits.
pub fn values(purpose: u64, n: usize) -> Vec<i64> {
    let mut rng = rng(purpose);
    (0..n).map(|_| (rng.next_u64() >> 32) as i64).collect()
}

/// A number below `n`.
pub fn below(rng: &mut impl Rng, n: usize) -> usize {
    (rng.next_u64() % n as u64) as usize
}

/// In another order.
pub fn shuffled<T: Clone>(purpose: u64, items: &[T]) -> Vec<T> {
    let mut rng = rng(purpose);
    let mut items = items.to_vec();
    for i in (1..items.len()).rev() {
        items.swap(i, below(&mut rng, i + 1));
    }
    // Once more, so that they lie in memory in the order in which they are used.
    items.to_vec()
}

/// Every third item, and the others.
pub fn every_third<T: Clone>(items: &[T]) -> (Vec<T>, Vec<T>) {
    let third = |i: &usize| i % 3 == 2;
    let pick = |wanted: bool| {
        items.iter().enumerate().filter(|(i, _)| third(i) == wanted).map(|(_, item)| item.clone()).collect()
    };
    (pick(true), pick(false))
}
