//! What would go wrong here in the simplest way to do what is done.

use super::*;

/// Among many keys, a key's second write in a transaction starts a second node, and both have content for one dot.
#[test]
fn the_first_of_two_contents_of_one_dot() {
    type Map = AddWinsMap<u8, PnCounter>;
    let mut a = replica::<Map>(1);
    let (_, delta) = a.update(|map| {
        for by in 1..4 {
            (0..20).for_each(|key| map.at(key).inc(by));
        }
        map.remove(&7);
        map.at(7).inc(1);
    });
    let mut b = replica::<Map>(2);
    b.merge(over_the_wire(&delta)).unwrap();
    assert_eq!(b.iter().map(|(_, counter)| counter.value()).sum::<i64>(), 19 * 6 + 1);
    assert_equal(&a, &b);
    let failed = a.try_update(|map| {
        for by in 1..4 {
            (0..20).for_each(|key| map.at(key).dec(by));
        }
        (0..20).for_each(|key| _ = map.remove(&key));
        Err::<(), _>("no")
    });
    assert!(failed.is_err());
    assert_equal(&a, &b);
}

/// What a decoded, forked or rebuilt replica writes comes after everything it holds.
#[test]
fn a_transaction_after_a_restart_that_depends_on_too_little() {
    let (mut a, mut b) = (replica::<AddWinsSet<u8>>(1), replica::<AddWinsSet<u8>>(2));
    a.merge(b.update(|set| set.add(1)).1).unwrap();
    let _ = a.update(|set| set.add(2));
    let mut restarted = Replica::<AddWinsSet<u8>>::decode(id(1), &a.encode(), &Limits::default()).unwrap();
    let mut moved = Replica::<AddWinsSet<u8>>::decode(id(3), &a.encode(), &Limits::default()).unwrap();
    let mut forked = a.fork(id(4));
    let mut joined = replica::<AddWinsSet<u8>>(5);
    joined.merge(a.state()).unwrap();
    for replica in [&mut restarted, &mut moved, &mut forked, &mut joined] {
        let before = replica.version();
        let (_, delta) = replica.update(|set| set.add(3));
        assert_eq!(delta.deps(), before);
    }
}
