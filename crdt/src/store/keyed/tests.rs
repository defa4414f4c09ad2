use alloc::collections::BTreeMap;
use core::ops::Bound;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use core::hash::Hasher as _;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use proptest::prelude::*;

use super::*;

type Pair = (Keyed<String, u64>, BTreeMap<String, u64>);

impl<K: Ord + Hash, S> Keyed<K, S> {
    /// The values in an order that means nothing.
    fn values_mut_unordered(&mut self) -> impl ExactSizeIterator<Item = &mut S> {
        self.entries.iter_mut().map(|(_, state)| state)
    }

    fn get_mut<Q: Ord + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut S>
    where
        K: Borrow<Q>,
    {
        self.search(key).ok().map(|slot| self.slot_mut(slot))
    }

    /// The value under `key`, which comes into being if there is none.
    fn entry_or_default(&mut self, key: K, seed: u64) -> &mut S
    where
        S: Default,
    {
        let slot = self.occupy(key, seed);
        self.slot_mut(slot)
    }

    /// Puts `state` under `key`, and gives what was there.
    fn insert(&mut self, key: K, state: S, seed: u64) -> Option<S> {
        match self.search(&key) {
            Ok(slot) => Some(core::mem::replace(self.slot_mut(slot), state)),
            Err(gap) => {
                self.push(gap, (key, state), seed);
                None
            }
        }
    }

    /// Checks every invariant, without reading in order.
    fn check(&self) {
        assert!(self.entries.capacity() <= (4 * self.len()).max(4));
        let Some(index) = &self.index else {
            assert!(self.len() <= SMALL && self.entries.is_sorted_by(|a, b| a.0 < b.0));
            return;
        };
        assert!(self.len() > SMALL / 2 && index.slots.len() == self.len());
        assert!(index.slots.num_buckets() <= (5 * self.len()).max(16));
        for (at, (key, _)) in (0..).zip(&self.entries) {
            assert_eq!(index.slots.find(index.hash(key), |&slot| slot == at), Some(&at));
        }
        if let Some(order) = index.order.order() {
            order.check(&self.entries);
        }
    }

    /// What it takes beside itself and what keys and values own.
    fn bytes(&self) -> usize {
        let index = self.index.as_ref().map_or(0, |index| {
            size_of::<Index>()
                + index.slots.allocation_size()
                + index.order.order().map_or(0, |order| size_of::<Order>() + order.bytes())
        });
        self.entries.capacity() * size_of::<(K, S)>() + index
    }
}

/// Different keys for different `number`s below 2^16, in an order that has nothing to do with them.
fn key(number: u32) -> String {
    format!("key {:05}", number * 40_503 % 65_536)
}

fn same((keyed, model): &Pair) {
    assert_eq!(keyed.iter().len(), model.len());
    assert!(keyed.iter().eq(model));
    assert!(keyed.iter().rev().eq(model.iter().rev()));
    assert!(keyed.keys().eq(model.keys()));
    let (mut ours, mut theirs) = (keyed.iter(), model.iter());
    while let Some(entry) = theirs.next() {
        assert_eq!(ours.next(), Some(entry));
        assert_eq!(ours.next_back(), theirs.next_back());
        assert_eq!(ours.len(), theirs.len());
    }
    assert_eq!((ours.next(), ours.next_back()), (None, None));
}

fn same_range((keyed, model): &Pair, bounds: (Bound<&str>, Bound<&str>)) {
    // A range for which the map of the standard library panics.
    let empty = match bounds {
        (Bound::Excluded(start), Bound::Excluded(end)) if start == end => true,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
            start > end
        }
        _ => false,
    };
    if empty {
        assert!(keyed.range::<str>(bounds).next().is_none());
        assert!(keyed.range::<str>(bounds).next_back().is_none());
    } else {
        assert!(keyed.range::<str>(bounds).eq(model.range::<str, _>(bounds)));
        assert!(keyed.range::<str>(bounds).rev().eq(model.range::<str, _>(bounds).rev()));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u32, u64),
    EntryOrDefault(u32),
    EntryRef(u32),
    Remove(u32),
    ChangeOrRemove(u32),
    InsertMany(u32, u32),
    RemoveMany(u32, u32),
    Retain(u64),
    ChangeAll,
    Clone,
    Read,
    Range(Bound<u32>, Bound<u32>),
}

fn bound(keys: u32) -> impl Strategy<Value = Bound<u32>> {
    prop_oneof![
        3 => (0..keys).prop_map(Bound::Included),
        3 => (0..keys).prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded),
    ]
}

fn step(keys: u32) -> impl Strategy<Value = Step> {
    let key = 0..keys;
    let many = (key.clone(), 0..keys / 2);
    prop_oneof![
        6 => (key.clone(), 0..9_u64).prop_map(|(key, value)| Step::Insert(key, value)),
        3 => key.clone().prop_map(Step::EntryOrDefault),
        3 => key.clone().prop_map(Step::EntryRef),
        6 => key.clone().prop_map(Step::Remove),
        4 => key.prop_map(Step::ChangeOrRemove),
        2 => many.clone().prop_map(|(from, count)| Step::InsertMany(from, count)),
        2 => many.prop_map(|(from, count)| Step::RemoveMany(from, count)),
        1 => (1..30_u64).prop_map(Step::Retain),
        1 => Just(Step::ChangeAll),
        1 => Just(Step::Clone),
        4 => Just(Step::Read),
        4 => (bound(keys), bound(keys)).prop_map(|(start, end)| Step::Range(start, end)),
    ]
}

fn run(step: &Step, pair: &mut Pair, keys: u32, seed: u64) {
    let (keyed, model) = &mut *pair;
    match *step {
        Step::Insert(number, value) => {
            assert_eq!(keyed.insert(key(number), value, seed), model.insert(key(number), value));
        }
        Step::EntryOrDefault(number) => {
            *keyed.entry_or_default(key(number), seed) += 1;
            *model.entry(key(number)).or_default() += 1;
        }
        Step::EntryRef(number) => {
            let is_new = !model.contains_key(&key(number));
            let new = !keyed.contains_key(&*key(number));
            let state = keyed.entry_or_default(key(number), seed);
            assert_eq!(new, is_new);
            *state += 2;
            *model.entry(key(number)).or_default() += 2;
        }
        Step::Remove(number) => {
            assert_eq!(keyed.remove_entry(&*key(number)), model.remove_entry(&*key(number)));
        }
        Step::ChangeOrRemove(number) => {
            let number = key(number);
            assert_eq!(keyed.get(&*number), model.get(&number));
            assert_eq!(keyed.get_mut(&*number), model.get_mut(&number));
            assert_eq!(keyed.contains_key(&*number), model.contains_key(&number));
            let slot = keyed.occupied(&*number);
            assert_eq!(slot.map(|slot| keyed.slot(slot)), model.get_key_value(&number));
            let Some(slot) = slot else { return };
            *keyed.slot_mut(slot) += 1;
            let value = model.get_mut(&number).unwrap();
            *value += 1;
            if value.is_multiple_of(2) {
                assert_eq!(Some(keyed.remove_slot(slot)), model.remove_entry(&number));
            }
        }
        Step::InsertMany(from, count) => (from..from + count).for_each(|number| {
            let slot = keyed.occupy(key(number % keys), seed);
            assert_eq!(*keyed.slot_mut(slot), *model.entry(key(number % keys)).or_default());
        }),
        Step::RemoveMany(from, count) => (from..from + count).for_each(|number| {
            assert_eq!(keyed.remove_entry(&*key(number % keys)), model.remove_entry(&key(number % keys)));
        }),
        Step::Retain(divisor) => {
            let keep = |key: &str, value: &mut u64| {
                *value += 1;
                !(*value + u64::from(key.as_bytes()[8])).is_multiple_of(divisor)
            };
            keyed.retain(|key, value| keep(key, value));
            model.retain(|key, value| keep(key, value));
        }
        Step::ChangeAll => {
            keyed.values_mut_unordered().for_each(|value| *value += 3);
            model.values_mut().for_each(|value| *value += 3);
        }
        Step::Clone => *keyed = keyed.clone(),
        Step::Read => same(pair),
        Step::Range(start, end) => {
            let (start, end) = (start.map(key), end.map(key));
            same_range(pair, (start.as_ref().map(|key| &**key), end.as_ref().map(|key| &**key)));
        }
    }
}

fn run_all(steps: &[Step], keys: u32) {
    let (mut one, mut other) = (Pair::default(), Pair::default());
    for step in steps {
        run(step, &mut one, keys, 1);
        run(step, &mut other, keys, 0xFEDC_BA98_7654_3210);
        one.0.check();
        other.0.check();
        assert_eq!((one.0.len(), one.0.is_empty()), (one.1.len(), one.1.is_empty()));
        assert!(one.0.iter_unordered().eq(other.0.iter_unordered()), "the seed shows");
    }
    same(&one);
    same(&other);
    assert_eq!(format!("{:?}", one.0), format!("{:?}", one.1));
    one.0.check();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..crate::tests::cases(96) })]

    #[test]
    fn few_keys_are_as_in_a_sorted_map(steps in prop::collection::vec(step(14), 1..120)) {
        run_all(&steps, 14);
    }

    #[test]
    fn many_keys_are_as_in_a_sorted_map(steps in prop::collection::vec(step(3_000), 1..40)) {
        run_all(&steps, 3_000);
    }
}

#[test]
fn five_thousand_keys_come_and_go_between_ordered_reads() {
    let mut pair = Pair::default();
    let mut most_blocks = 0;
    for number in 0..5_000 {
        run(&Step::EntryOrDefault(number), &mut pair, 5_000, 3);
        if number % 100 < 20 {
            // One change between two reads: places are found one by one.
            assert_eq!(pair.0.iter().next(), pair.1.first_key_value());
        }
        if number % 250 == 0 {
            same(&pair);
            pair.0.check();
        }
    }
    for number in 0..5_000 {
        run(&Step::Remove(number * 7 % 5_000), &mut pair, 5_000, 3);
        if number % 3 == 0 {
            run(&Step::EntryRef(number * 11 % 5_000), &mut pair, 5_000, 3);
            assert_eq!(pair.0.iter().next_back(), pair.1.last_key_value());
        }
        if number % 250 == 0 {
            let order = pair.0.index.as_ref().and_then(|index| index.order.order());
            most_blocks = most_blocks.max(order.expect("it was read a moment ago").blocks());
            same(&pair);
            pair.0.check();
        }
    }
    assert!(most_blocks > 8);
    run(&Step::RemoveMany(0, 5_000), &mut pair, 5_000, 3);
    assert!(pair.0.is_empty() && pair.0.bytes() == 0);
}

#[test]
fn keys_that_come_in_ascending_order_fill_their_blocks() {
    let mut keyed = Keyed::default();
    for key in 0..5_000_u32 {
        keyed.insert(key, (), 1);
        assert_eq!(keyed.iter().next_back(), Some((&key, &())));
    }
    let order = keyed.index.as_ref().and_then(|index| index.order.order()).expect("it was read");
    assert!(order.blocks() <= 5_000 / 256 + 1);
}

#[test]
fn memory_follows_the_live_entries() {
    let entry = size_of::<(u32, [u64; 3])>();
    let full = |read: bool| {
        let mut keyed = Keyed::default();
        for key in 0..10_000_u32 {
            keyed.insert(key.wrapping_mul(2_654_435_769), [0_u64; 3], 1);
        }
        assert!(!read || keyed.iter().len() == 10_000);
        keyed
    };
    for (read, beside) in [(false, 12), (true, 24)] {
        let (mut one_by_one, mut at_once) = (full(read), full(read));
        assert!(one_by_one.bytes() <= 10_000 * (entry * 3 / 2 + beside));
        let mut left = 50;
        at_once.retain(|_, _| {
            left -= i32::from(left > 0);
            left > 0
        });
        let gone: Vec<u32> = one_by_one.iter_unordered().skip(49).map(|(key, _)| *key).collect();
        for key in &gone {
            one_by_one.remove_entry(key);
        }
        for keyed in [&one_by_one, &at_once] {
            keyed.check();
            assert_eq!(keyed.len(), 49);
            assert!(keyed.bytes() <= 49 * (4 * entry + 60) + 400, "{} bytes", keyed.bytes());
        }
    }
}

#[test]
fn a_small_container_is_its_entries_and_nothing_else() {
    assert!(size_of::<Keyed<String, [u64; 3]>>() <= 32);
    let mut keyed = Keyed::default();
    assert_eq!(keyed.bytes(), 0);
    for (key, room) in [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (6, 8), (7, 8), (8, 8)] {
        keyed.insert(key, 0_u64, 1);
        assert_eq!(keyed.iter().len() as u64, key);
        assert_eq!(keyed.bytes(), room * size_of::<(u64, u64)>());
    }
}

/// A key that counts how often keys are compared for their order.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Counted(u32);

static COMPARISONS: AtomicUsize = AtomicUsize::new(0);

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Counted {
    fn cmp(&self, other: &Self) -> Ordering {
        COMPARISONS.fetch_add(1, Relaxed);
        self.0.cmp(&other.0)
    }
}

#[test]
fn changes_compare_no_keys_and_the_read_after_them_few() {
    let comparisons = || COMPARISONS.swap(0, Relaxed);
    let of = |number: u32| Counted(number.wrapping_mul(2_654_435_769));
    let mut keyed = Keyed::default();
    (0..10_000).for_each(|number| *keyed.entry_or_default(of(number), 1) = ());
    assert!(comparisons() <= 40, "the first few are kept sorted");
    assert!(keyed.iter().len() == 10_000 && comparisons() > 10_000);
    (0..100).for_each(|number| assert!(keyed.remove_entry(&of(number)).is_some()));
    (0..10).for_each(|number| *keyed.entry_or_default(of(number), 1) = ());
    assert_eq!(comparisons(), 0);
    assert_eq!(keyed.iter().len(), 9_910);
    assert!(comparisons() <= 10 * (14 + 2 + 4));
    assert!(keyed.iter().len() == 9_910 && comparisons() == 0);
}

#[test]
fn keys_that_collide_under_the_seed_of_the_hash_crate_do_not_collide_here() {
    let public = SharedSeed::global_fixed();
    let public_hash = |key: &[u8]| {
        let mut hasher = FoldHasher::with_seed(1, public);
        hasher.write(key);
        hasher.finish()
    };
    // The second half makes one factor of the product zero, so that the first half is not seen.
    let zero = 0x3f84_d5b5_b547_0917_u64.to_ne_bytes();
    let keys: Vec<[u8; 16]> = (0..1_000_u64)
        .map(|number| [number.to_ne_bytes(), zero].concat().try_into().expect("16 bytes"))
        .collect();
    assert!(keys.iter().all(|key| public_hash(key) == public_hash(&keys[0])));
    let index = Index::new::<u8, ()>(&[], 1);
    let mut hashes: Vec<u64> = keys.iter().map(|key| index.hash(&key[..])).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert!(hashes.len() > 990);
}

#[test]
fn it_can_be_sent_and_shared() {
    fn check<T: Send + Sync + Clone + Default>() {}
    check::<Keyed<String, u64>>();
}
