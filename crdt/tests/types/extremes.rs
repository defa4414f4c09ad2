//! Values at the edge of what there is: each has a result, and none of them a panic that was not announced.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, BoundedCounter, Crdt, DecodeError, Delta, Doc, GCounter, Limits, LwwMap,
    LwwRegister, MAX_DEPTH, Merged, MvRegister, PnCounter, Replica, ReplicaId, Scalar,
};

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

/// Two replicas that wrote, merged both ways through bytes.
fn both<T: Crdt>(write: impl for<'a> Fn(&mut T::Mut<'a>, u8)) -> Replica<T> {
    let (mut ann, mut bob) = (Replica::<T>::new(id(1)), Replica::<T>::new(id(2)));
    let limits = Limits::default();
    let (_, hers) = ann.update(|value| write(value, 1));
    let (_, his) = bob.update(|value| write(value, 2));
    ann.merge(Delta::decode(&his.encode(), &limits).unwrap()).unwrap();
    bob.merge(Delta::decode(&hers.encode(), &limits).unwrap()).unwrap();
    assert_eq!(ann.encode(), bob.encode());
    ann
}

#[test]
fn counters_stop_at_the_bounds_of_their_numbers() {
    let up = both::<PnCounter>(|counter, _| {
        counter.inc(u64::MAX);
        counter.inc(1);
    });
    assert_eq!(up.value(), i64::MAX);
    let down = both::<PnCounter>(|counter, _| {
        counter.dec(u64::MAX);
        counter.add(i64::MIN);
    });
    assert_eq!(down.value(), i64::MIN);
    // What one side has too much of, the other can take away again: sums are exact in between.
    let even = both::<PnCounter>(|counter, who| counter.add(if who == 1 { i64::MAX } else { -i64::MAX }));
    assert_eq!(even.value(), 0);
    assert_eq!(both::<GCounter>(|counter, _| counter.inc(u64::MAX)).value(), u64::MAX);
}

#[test]
fn a_bounded_counter_stops_there_too_and_gives_no_right_it_does_not_have() {
    let mut counter = both::<BoundedCounter>(|counter, _| {
        counter.inc(u64::MAX);
        counter.inc(u64::MAX);
    });
    assert_eq!((counter.value(), counter.rights(id(1))), (i64::MAX, u64::MAX));
    counter.update(|counter| counter.dec(u64::MAX)).0.unwrap();
    assert_eq!(counter.update(|counter| counter.dec(1)).0.unwrap_err().held, 0);
    assert_eq!(counter.overdraft(), 0);
    // Rights beyond what one replica can take in all its life: refused, and never taken without being counted.
    let (mut poor, mut rich) = (Replica::<BoundedCounter>::new(id(2)), Replica::<BoundedCounter>::new(id(3)));
    let (passed, delta) = poor.update(|counter| {
        counter.inc(u64::MAX);
        counter.transfer(u64::MAX, id(3))
    });
    assert!(passed.is_ok());
    rich.merge(delta).unwrap();
    let _ = rich.update(|counter| counter.inc(u64::MAX));
    rich.update(|counter| counter.dec(u64::MAX)).0.unwrap();
    assert_eq!(rich.rights(id(3)), u64::MAX);
    let refused = rich.update(|counter| counter.dec(1)).0.unwrap_err();
    assert_eq!((refused.held, refused.elsewhere), (0, vec![]));
    rich.update(|counter| counter.transfer(u64::MAX, id(2))).0.unwrap();
    assert_eq!(rich.holders(), [(id(2), u64::MAX)]);
    // A lower bound at the end of the numbers.
    let mut lowest = Replica::<BoundedCounter<{ i64::MIN }>>::new(id(1));
    assert_eq!(lowest.value(), i64::MIN);
    assert!(lowest.update(|counter| counter.dec(1)).0.is_err());
    let _ = lowest.update(|counter| counter.inc(u64::MAX));
    assert_eq!(lowest.value(), i64::MAX);
}

#[test]
fn two_continuations_of_one_replica_miss_the_bound_by_the_rights_it_held_and_it_shows() {
    let mut store = Replica::<BoundedCounter>::new(id(1));
    let mut bob = Replica::<BoundedCounter>::new(id(2));
    bob.merge(store.update(|counter| counter.inc(5)).1).unwrap();
    // A copy under the same id, as nobody can make by accident but by a snapshot of the whole machine.
    let mut copy = Replica::<BoundedCounter>::decode(id(1), &store.encode(), &Limits::default()).unwrap();
    let (passed, to_bob) = store.update(|counter| counter.transfer(5, id(2)));
    let (taken, of_copy) = copy.update(|counter| counter.dec(5));
    assert!(passed.is_ok() && taken.is_ok(), "each holds the rights, as far as it knows");
    bob.merge(to_bob).unwrap();
    let (taken, of_bob) = bob.update(|counter| counter.dec(5));
    assert!(taken.is_ok());
    // Who hears of both takings knows that something is wrong, and by how much.
    let mut eve = Replica::<BoundedCounter>::new(id(3));
    for delta in [copy.state(), of_copy, of_bob] {
        eve.merge(delta).unwrap();
    }
    assert_eq!((eve.value(), eve.overdraft()), (-5, 5));
}

/// What `overdraft` cannot tell: both continuations used the same dots, and who has heard of one takes the other for known.
#[test]
fn two_continuations_that_used_the_same_dots_differ_at_equal_versions_and_it_does_not_show_to_all() {
    let mut store = Replica::<BoundedCounter>::new(id(1));
    let mut bob = Replica::<BoundedCounter>::new(id(2));
    bob.merge(store.update(|counter| counter.inc(5)).1).unwrap();
    let mut copy = Replica::<BoundedCounter>::decode(id(1), &store.encode(), &Limits::default()).unwrap();
    bob.merge(store.update(|counter| counter.transfer(5, id(2))).1).unwrap();
    let (taken, of_copy) = copy.update(|counter| counter.dec(5));
    let (also_taken, of_bob) = bob.update(|counter| counter.dec(5));
    assert!(taken.is_ok() && also_taken.is_ok());
    let mut eve = Replica::<BoundedCounter>::new(id(3));
    for delta in [copy.state(), of_bob] {
        eve.merge(delta).unwrap();
    }
    // Eve has heard of both takings, Bob of the transfer in place of one of them.
    assert_eq!(bob.merge(of_copy), Ok(Merged::AlreadyKnown));
    assert_eq!(bob.merge(eve.state()), Ok(Merged::AlreadyKnown));
    assert_eq!(bob.version(), eve.version());
    assert_eq!((eve.value(), eve.overdraft()), (-5, 5));
    assert_eq!((bob.value(), bob.overdraft()), (0, 0));
}

/// Once one of two continuations has dots of its own, both takings are known everywhere, and so is what they miss the bound by.
#[test]
fn rights_of_what_was_disowned_overdraw_everywhere() {
    let mut store = Replica::<BoundedCounter>::new(id(1));
    let _ = store.update(|counter| counter.inc(5));
    let mut copy = Replica::<BoundedCounter>::decode(id(1), &store.encode(), &Limits::default()).unwrap();
    let forked_at = copy.reached(id(1));
    copy.keep_counters(forked_at);
    copy.update(|counter| counter.dec(3)).0.unwrap();
    store.update(|counter| counter.dec(5)).0.unwrap();
    let mut copy = copy.disown(id(1), forked_at, id(2));
    assert_eq!((copy.value(), copy.overdraft()), (2, 0), "nothing has met yet");
    assert_eq!(copy.rights(id(2)), 0, "rights go with the id that holds them");
    assert_eq!(copy.merge(store.state()), Ok(Merged::Applied));
    assert_eq!(store.merge(copy.state()), Ok(Merged::Applied));
    assert_eq!(copy.encode(), store.encode());
    for replica in [&copy, &store] {
        assert_eq!((replica.value(), replica.overdraft()), (-3, 3));
        assert_eq!(replica.holders(), []);
    }
}

/// A sum that leaves the bounds of its number is exact all the same: what went too far up comes down again.
#[test]
fn the_sum_of_a_counter_is_exact_beyond_the_bounds_of_what_is_read() {
    let limits = Limits::default();
    for in_one in [true, false] {
        let mut ann = Replica::<PnCounter>::new(id(1));
        let mut bob = Replica::<PnCounter>::new(id(2));
        let steps = [i64::MAX, 1, i64::MAX, -1, i64::MIN, i64::MIN];
        let exact: i128 = steps.iter().map(|by| i128::from(*by)).sum();
        if in_one {
            let (_, delta) = ann.update(|counter| steps.iter().for_each(|by| counter.add(*by)));
            bob.merge(Delta::decode(&delta.encode(), &limits).unwrap()).unwrap();
        } else {
            let mut sum = 0_i128;
            for by in steps {
                let (_, delta) = ann.update(|counter| counter.add(by));
                sum += i128::from(by);
                assert_eq!(i128::from(ann.value()), sum.clamp(i64::MIN.into(), i64::MAX.into()));
                bob.merge(Delta::decode(&delta.encode(), &limits).unwrap()).unwrap();
            }
        }
        assert_eq!((i128::from(ann.value()), bob.value()), (exact, ann.value()));
        assert_eq!(ann.encode(), bob.encode());
    }
    // It costs one amount more for each time it goes as far again, until it comes back.
    let mut counter = Replica::<PnCounter>::new(id(1));
    let mut amounts = |by| {
        let _ = counter.update(|counter| counter.add(by));
        counter.live_below(&counter.version()).unwrap().len()
    };
    let turns = [i64::MAX, i64::MAX, i64::MAX, -5, 7, i64::MIN, 1];
    assert_eq!(turns.map(&mut amounts), [1, 2, 3, 3, 4, 3, 3]);
}

#[test]
fn nan_is_a_value_like_any_other() {
    // As a scalar it equals itself, bit by bit.
    let doc = both::<Doc>(|doc, who| {
        doc.set("numbers").extend([f64::NAN, -f64::NAN, 0.0, -0.0]);
        doc.max("most").set(f64::NAN);
        doc.max("most").set(f64::from(who));
        doc.lww("last").set(f64::NAN);
    });
    assert_eq!(doc.get("numbers").unwrap().set().unwrap().len(), 4);
    assert_eq!(doc.get("most").unwrap().max().unwrap().value(), Some(&Scalar::Float(f64::NAN)));
    // In a register of an application's floats it is kept as it was written.
    let register = both::<MvRegister<f64>>(|register, _| register.set(f64::NAN));
    assert!(register.values().all(|value| value.is_nan()) && register.values().len() == 2);
    // And to tell what changed comes to an end.
    let mut again = Replica::<LwwRegister<f64>>::new(id(1));
    let (_, _, changes) = again.update_changes(|register| register.set(f64::NAN));
    assert_eq!(changes.changes.len(), 1);
    let (_, _, changes) = again.update_changes(|register| register.set(f64::NAN));
    assert!(changes.changes.is_empty(), "it was that before");
}

#[test]
fn empty_keys_elements_and_values_are_keys_elements_and_values() {
    let doc = both::<Doc>(|doc, _| {
        doc.set("").extend(["", "x"]);
        doc.map("").lww("").set("");
        doc.lww_map("").set("", Scalar::Bytes(vec![]));
    });
    let entry = doc.get("").unwrap();
    assert!(entry.set().unwrap().contains(&Scalar::from("")));
    assert_eq!(entry.map().unwrap().get("").unwrap().lww().unwrap().value(), Some(&Scalar::from("")));
    assert_eq!(entry.lww_map().unwrap().get(""), Some(&Scalar::Bytes(vec![])));
    // An empty value is there; so is nothing, if it was written.
    let map = both::<LwwMap<String, Option<()>>>(|map, _| map.set("", None));
    assert_eq!(map.get(""), Some(&None));
}

#[test]
fn large_values_travel_if_the_limits_allow_it() {
    let large = "x".repeat(10 << 20);
    let mut ann = Replica::<AddWinsMap<String, LwwRegister<String>>>::new(id(1));
    let (_, delta) = ann.update(|map| {
        map.at("large").set(large.clone());
        map.at(large.clone()).set("large key");
    });
    let bytes = delta.encode();
    let enough = Limits { memory: 256 << 20, ..Limits::default() };
    let mut bob = Replica::<AddWinsMap<String, LwwRegister<String>>>::new(id(2));
    bob.merge(Delta::decode(&bytes, &enough).unwrap()).unwrap();
    assert_eq!(bob.get("large").unwrap().value(), Some(&large));
    assert_eq!(bob.encode(), ann.encode());
    let tight = Limits { memory: 1 << 20, ..Limits::default() };
    type Large = AddWinsMap<String, LwwRegister<String>>;
    assert!(matches!(Delta::<Large>::decode(&bytes, &tight), Err(DecodeError::Limit { .. })));
}

#[test]
fn deep_nesting_meets_the_limit_and_not_the_stack() {
    let mut doc = Replica::<Doc>::new(id(1));
    let names: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
    let before = doc.encode();
    let failed = catch_unwind(AssertUnwindSafe(|| {
        let _ =
            doc.update(|doc| doc.by_ref().at_path(names.iter().map(String::as_str)).counter("deep").inc(1));
    }));
    let why = failed.unwrap_err();
    let why = why.downcast_ref::<String>().unwrap();
    assert!(why.contains("may nest 64 deep"), "{why}");
    assert_eq!(doc.encode(), before, "it is undone");
    // As deep as may be. A document nests by two: the name, and the type below it.
    let most = MAX_DEPTH / 2 - 1;
    let _ = doc
        .update(|doc| doc.by_ref().at_path(names[..most].iter().map(String::as_str)).counter("deep").inc(1));
    let deep = doc.at_path(names[..most].iter().map(String::as_str)).unwrap();
    assert_eq!(deep.get("deep").unwrap().counter().unwrap().value(), 1);
    let back = Replica::<Doc>::decode(id(1), &doc.encode(), &Limits::default()).unwrap();
    assert_eq!(back.encode(), doc.encode());
    assert!(back.conflicts().is_empty() && back.plain() == doc.plain());
}

#[test]
fn a_value_that_nests_too_deep_is_refused_where_it_comes_from_outside() {
    /// Lists in lists.
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Nested(Vec<Nested>);

    // Of a stranger's message: `[[[…]]]`, 100 000 deep, as a register's content.
    let mut register = Replica::<MvRegister<Nested>>::new(id(1));
    let (_, delta) = register.update(|register| register.set(Nested(vec![Nested(vec![])])));
    let honest = delta.encode_body();
    let deep = [vec![0x91; 100_000], vec![0x90]].concat();
    let at = honest.windows(2).rposition(|bytes| bytes == [0x91, 0x90]).unwrap();
    assert!(Delta::<MvRegister<Nested>>::decode_body(&honest, &Limits::default()).is_ok());
    let forged = forged(&honest, at, &deep);
    let refused = Delta::<MvRegister<Nested>>::decode_body(&forged, &Limits::default());
    assert!(matches!(refused, Err(DecodeError::Mismatch(_))), "{:?}", refused.map(drop));
    // Nobody who does not look into it minds.
    assert!(Delta::<tombolo_crdt::Opaque>::decode_body(&forged, &Limits::default()).is_ok());
    // And nobody writes one: others would refuse it, and so would this replica after a restart.
    let nested = |depth| (0..depth).fold(Nested(vec![]), |below, _| Nested(vec![below]));
    let before = register.encode();
    let written = catch_unwind(AssertUnwindSafe(|| register.update(|register| register.set(nested(100)))));
    assert!(written.is_err());
    let looked =
        catch_unwind(AssertUnwindSafe(|| register.update_changes(|register| register.set(nested(100)))));
    assert!(looked.is_err());
    assert_eq!(register.encode(), before, "the update is undone");
    let _ = register.update(|register| register.set(nested(20)));
}

/// A message of one item whose content is another one.
fn forged(honest: &[u8], at: usize, content: &[u8]) -> Vec<u8> {
    // names; then the columns: their head, the counter, and the shape of the root, which says how long the content is.
    let start = honest.len() - (honest.len() - at) - 3;
    let columns = &honest[start..at];
    let mut forged = columns[..2].to_vec();
    let mut shape = (content.len() as u64) << 2;
    while shape >= 0x80 {
        forged.push(shape as u8 | 0x80);
        shape >>= 7;
    }
    forged.push(shape as u8);
    forged.extend_from_slice(content);
    let length = (forged.len() as u32).to_be_bytes();
    [&honest[..start - 2], &[0xc6], &length, &forged].concat()
}

#[test]
fn a_set_of_everything_at_once() {
    let set = both::<AddWinsSet<Scalar>>(|set, who| {
        for n in 0..300_i64 {
            set.add(n);
            set.add(n.to_string());
        }
        if who == 2 {
            set.clear();
        }
    });
    assert_eq!(set.len(), 600);
}
