//! What went wrong in other libraries.

use super::*;

/// riak_dt, set: an element that both sides have was kept although each side had removed the other's adding of it.
#[test]
fn add_add_remove_with_the_element_on_both_sides() {
    let (mut p, mut q) = on_both_sides::<AddWinsSet<u8>>(|set| set.add(7), |set| _ = set.remove(&7));
    assert!(p.contains(&7) && q.contains(&7));
    exchange(&mut p, &mut q);
    assert!(p.is_empty());
}

/// riak_dt, flag: a version vector alone cannot tell an enabling that was not seen from one that was disabled.
#[test]
fn a_flag_as_a_bare_version_vector() {
    let (mut p, mut q) = on_both_sides::<EnableWinsFlag>(|flag| flag.enable(), |flag| flag.disable());
    assert!(p.value() && q.value());
    exchange(&mut p, &mut q);
    assert!(!p.value());
}

/// riak_dt, map: the same bug a third time, for each of its types below a key.
#[test]
fn add_add_remove_below_a_key() {
    type Sets = AddWinsMap<u8, AddWinsSet<u8>>;
    let (mut p, mut q) = on_both_sides::<Sets>(|map| map.at(1).add(7), |map| _ = map.remove(&1));
    exchange(&mut p, &mut q);
    assert!(p.is_empty());
    let (mut p, mut q) = on_both_sides::<Doc>(
        |doc| {
            let mut inner = doc.map("outer");
            inner.counter("n").inc(1);
            inner.flag("f").enable();
            inner.register("r").set(1_i64);
        },
        |doc| _ = doc.remove("outer"),
    );
    exchange(&mut p, &mut q);
    assert!(p.is_empty());
}

/// rust-crdt, map: an entry's clock was changed by the join before it was used to decide what to keep, so that the
/// result depended on which side was joined into which.
#[test]
fn a_map_join_that_depends_on_its_direction() {
    type Map = AddWinsMap<u8, MvRegister<u8>>;
    let (mut a, mut b) = (replica::<Map>(1), replica::<Map>(2));
    b.merge(a.update(|map| map.at(1).set(10)).1).unwrap();
    let _ = a.update(|map| {
        map.remove(&1);
        map.at(2).set(20);
    });
    let _ = b.update(|map| {
        map.at(1).set(11);
        map.at(2).set(21);
    });
    let (mut c, mut d) = (replica::<Map>(3), replica::<Map>(4));
    c.merge(a.state()).unwrap();
    c.merge(b.state()).unwrap();
    d.merge(b.state()).unwrap();
    d.merge(a.state()).unwrap();
    assert_equal(&c, &d);
    assert_eq!(c.get(&1).unwrap().values().collect::<Vec<_>>(), [&11]);
    assert_eq!(c.get(&2).unwrap().values().collect::<Vec<_>>(), [&20, &21]);
}

/// rust-crdt, multi-value register: a value that had been replaced came back with an old state.
#[test]
fn a_register_that_keeps_replaced_values() {
    let (mut a, mut b) = (replica::<MvRegister<u8>>(1), replica::<MvRegister<u8>>(2));
    let (_, first) = a.update(|register| register.set(1));
    let old = a.state();
    b.merge(first).unwrap();
    let _ = b.update(|register| register.set(2));
    let mut c = replica::<MvRegister<u8>>(3);
    for state in [&b.state(), &old, &b.state()] {
        c.merge(state.clone()).unwrap();
        assert_eq!(c.values().collect::<Vec<_>>(), [&2]);
    }
    a.merge(b.state()).unwrap();
    assert_eq!(a.values().collect::<Vec<_>>(), [&2]);
    assert_equal(&a, &c);
}

/// y-crdt: an update that came before what it depends on was dropped.
#[test]
fn an_update_out_of_order_is_lost() {
    let mut a = replica::<AddWinsSet<u8>>(1);
    let deltas: Vec<_> = (0..3).map(|element| a.update(|set| set.add(element)).1).collect();
    for order in [[2, 0, 1], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let mut b = replica::<AddWinsSet<u8>>(2);
        order.iter().for_each(|&at: &usize| drop(b.merge(deltas[at].clone()).unwrap()));
        assert_eq!((b.len(), b.pending()), (3, 0));
    }
}

/// y-crdt: one missing update parked everything, also what does not depend on it.
#[test]
fn a_gap_of_one_author_holds_up_the_others() {
    let (mut a, mut b, mut c) =
        (replica::<AddWinsSet<u8>>(1), replica::<AddWinsSet<u8>>(2), replica::<AddWinsSet<u8>>(3));
    let (_, _missing) = a.update(|set| set.add(1));
    let (_, parked) = a.update(|set| set.add(2));
    let (_, free) = b.update(|set| set.add(3));
    assert!(matches!(c.merge(parked), Ok(Merged::Pending(missing)) if missing.get(id(1)) == 1));
    assert_eq!(c.merge(free), Ok(Merged::Applied));
    assert!(c.contains(&3));
}

/// y-crdt: two removals merged into one update lost one of them.
#[test]
fn removals_joined_into_one_lose_one() {
    let mut a = replica::<AddWinsSet<u8>>(1);
    let mut b = replica::<AddWinsSet<u8>>(2);
    b.merge(a.update(|set| set.extend([1, 2, 3])).1).unwrap();
    let (_, mut both) = a.update(|set| set.remove(&1));
    assert!(both.append(&a.update(|set| set.remove(&3)).1));
    b.merge(over_the_wire(&both)).unwrap();
    assert_eq!(b.iter().collect::<Vec<_>>(), [&2]);
    assert_equal(&a, &b);
}

/// y-crdt: ids were cut to 32 bits, and those that agree there were one.
#[test]
fn ids_that_agree_in_some_bits_are_taken_for_one() {
    let mut first = [0; 16];
    first[0] = 1;
    let mut last = [0; 16];
    last[15] = 1;
    let ids = [[0; 16], first, last, [1; 16]];
    let mut all = replica::<GCounter>(9);
    for id in ids {
        let (_, delta) = Replica::<GCounter>::new(ReplicaId::from_bytes(id)).update(|counter| counter.inc(1));
        assert_eq!(all.merge(over_the_wire(&delta)), Ok(Merged::Applied));
    }
    assert_eq!((all.value(), all.version().len()), (4, 4));
}

/// cr-sqlite: a row deleted and created again differed from replica to replica.
#[test]
fn deleted_and_created_again() {
    type Map = AddWinsMap<u8, PnCounter>;
    let (mut a, mut b) = (replica::<Map>(1), replica::<Map>(2));
    b.merge(a.update(|map| map.at(1).inc(5)).1).unwrap();
    let (_, deleted) = a.update(|map| map.remove(&1));
    let (_, created) = a.update(|map| map.at(1).inc(1));
    let (_, meanwhile) = b.update(|map| map.at(1).inc(10));
    assert!(matches!(b.merge(created), Ok(Merged::Pending(_))));
    b.merge(deleted).unwrap();
    a.merge(meanwhile).unwrap();
    assert_eq!(a.get(&1).unwrap().value(), 11);
    assert_equal(&a, &b);
}

/// cr-sqlite: writes of equal version and value needed one more rule to be the same everywhere. iroh-docs and others:
/// so do equal times.
#[test]
fn a_tie_of_stamps() {
    let write = |number, value: &str| {
        let mut replica = replica::<LwwRegister<String>>(number);
        replica.set_time(1_000);
        let delta = replica.update(|register| register.set(value)).1;
        assert_eq!(replica.stamp(), Some(Stamp { millis: 1_000, logical: 0 }));
        delta
    };
    for (of_one, of_two) in [("same", "same"), ("b", "a"), ("a", "b")] {
        let (mut one, mut two) = (replica::<LwwRegister<String>>(8), replica::<LwwRegister<String>>(9));
        let (x, y) = (write(1, of_one), write(2, of_two));
        one.merge(x.clone()).unwrap();
        one.merge(y.clone()).unwrap();
        two.merge(y).unwrap();
        two.merge(x).unwrap();
        assert_equal(&one, &two);
        assert_eq!(one.value().map(String::as_str), Some(of_two), "the larger id wins");
        // Neither comes back when somebody writes who has seen both, however low the clock.
        let (_, third) = one.update(|register| register.set("third"));
        two.merge(third).unwrap();
        assert_eq!(two.value().map(String::as_str), Some("third"));
        assert_equal(&one, &two);
    }
}

/// iroh-docs took one unit of time for another, and refused writes of clocks a little ahead. Here no write is refused:
/// one of a clock too far ahead beats what is concurrent, and nothing that has seen it.
#[test]
fn a_write_of_a_clock_ahead_is_refused() {
    let (mut a, mut b) = (replica::<LwwRegister<u8>>(1), replica::<LwwRegister<u8>>(2));
    b.set_time(1_000_000);
    // Exactly as far ahead as is believed.
    a.set_time(1_000_000 + MAX_DRIFT_MILLIS);
    b.merge(a.update(|register| register.set(1)).1).unwrap();
    assert_eq!((b.value(), b.far_stamps()), (Some(&1), 0));
    let _ = b.update(|register| register.set(2));
    assert_eq!(b.stamp(), Some(Stamp { millis: 1_000_000 + MAX_DRIFT_MILLIS, logical: 1 }));

    let mut c = replica::<LwwRegister<u8>>(3);
    c.set_time(1_000_000);
    a.set_time(1_000_000 + MAX_DRIFT_MILLIS + 1);
    let _ = a.update(|register| register.set(3));
    c.merge(a.state()).unwrap();
    assert_eq!((c.value(), c.far_stamps()), (Some(&3), 1));
    a.merge(c.update(|register| register.set(4)).1).unwrap();
    assert_eq!((a.value(), c.value()), (Some(&4), Some(&4)));
    assert_eq!(c.stamp(), Some(Stamp { millis: 1_000_000, logical: 0 }));
}

/// automerge: after a lost message the peers went in circles.
#[test]
fn a_lost_answer_is_never_made_up_for() {
    let (mut a, mut b) = (replica::<AddWinsSet<u8>>(1), replica::<AddWinsSet<u8>>(2));
    for element in 0..5 {
        let _ = a.update(|set| set.add(element));
        // Sent, and lost.
        let _ = a.delta_since(&b.version());
        let _ = b.update(|set| set.add(100 + element));
    }
    let Since::Delta(answer) = a.delta_since(&b.version()) else { panic!("b lacks it all") };
    b.merge(answer).unwrap();
    let Since::Delta(answer) = b.delta_since(&a.version()) else { panic!("a lacks it all") };
    a.merge(answer).unwrap();
    assert_equal(&a, &b);
    assert_eq!(a.len(), 10);
}

/// automerge: a batch that came twice was applied in part.
#[test]
fn a_batch_is_applied_in_part() {
    let mut a = replica::<AddWinsSet<u8>>(1);
    let (_, one) = a.update(|set| set.extend([1, 2]));
    let (_, two) = a.update(|set| {
        set.remove(&1);
        set.extend([3, 4]);
    });
    let mut batch = one.clone();
    assert!(batch.append(&two));
    // All of it known, part of it known, nothing of it known.
    for known in [vec![&one, &two], vec![&one], vec![]] {
        let mut b = replica::<AddWinsSet<u8>>(2);
        known.into_iter().chain([&batch, &batch, &one, &two]).for_each(|delta| {
            b.merge(over_the_wire(delta)).unwrap();
            // Half of either is never seen.
            assert_eq!(b.contains(&3), b.contains(&4));
            assert_eq!(b.contains(&3), !b.contains(&1));
        });
        assert_equal(&a, &b);
    }
}

/// riak_kv: an id was used again after a restore, and the new writes were taken for known ones. No replica can tell
/// from within; what can be done is to ask for another id whenever a second replica is made.
#[test]
#[should_panic(expected = "two live replicas must not share an id")]
fn an_id_used_twice() {
    let _ = replica::<GCounter>(1).fork(id(1));
}

#[test]
#[should_panic(expected = "two live replicas must not share an id")]
fn the_id_of_somebody_known() {
    let (mut a, mut b) = (replica::<GCounter>(1), replica::<GCounter>(2));
    a.merge(b.update(|counter| counter.inc(1)).1).unwrap();
    let _ = a.fork(id(2));
}

/// automerge and others: two devices create the same thing, and there are two of it, or one device's is lost.
#[test]
fn the_same_name_created_twice() {
    let (mut a, mut b) = (replica::<Doc>(1), replica::<Doc>(2));
    let _ = a.update(|doc| {
        let mut settings = doc.map("settings");
        settings.map("view").register("theme").set("dark");
        settings.counter("opened").inc(1);
    });
    let _ = b.update(|doc| {
        let mut settings = doc.map("settings");
        settings.map("view").register("font").set("serif");
        settings.counter("opened").inc(1);
    });
    exchange(&mut a, &mut b);
    let settings = a.at_path(["settings"]).unwrap();
    assert_eq!(settings.get("opened").unwrap().counter().unwrap().value(), 2);
    let view = settings.at_path(["view"]).unwrap();
    assert_eq!(view.get("theme").unwrap().register().unwrap().value(), Some(&Scalar::from("dark")));
    assert_eq!(view.get("font").unwrap().register().unwrap().value(), Some(&Scalar::from("serif")));
}

/// Akka's map: a key removed and added again brought the old value back, and a node that came late did as well.
#[test]
fn a_nested_removal_resurrects() {
    type Map = AddWinsMap<u8, AddWinsMap<u8, AddWinsSet<u8>>>;
    let (mut a, mut late) = (replica::<Map>(1), replica::<Map>(2));
    late.merge(a.update(|map| map.at(1).at(1).extend([1, 2, 3])).1).unwrap();
    let old = late.state();
    let (_, removed) = a.update(|map| map.remove(&1));
    let (_, again) = a.update(|map| map.at(1).at(1).add(2));
    let _ = late.update(|map| map.at(1).at(1).add(9));
    for state in [&late.state(), &old] {
        a.merge(state.clone()).unwrap();
    }
    late.merge(again).unwrap();
    late.merge(removed).unwrap();
    assert_equal(&a, &late);
    let elements: Vec<_> = a.get(&1).unwrap().get(&1).unwrap().iter().copied().collect();
    assert_eq!(elements, [2, 9]);
}

/// What waits is shown and bounded; what does not fit is refused, and said so.
#[test]
fn a_buffer_drops_what_does_not_fit() {
    let mut a = replica::<MvRegister<u32>>(1);
    let deltas: Vec<_> = (0..1_026_u32).map(|value| a.update(|register| register.set(value)).1).collect();
    let mut b = replica::<MvRegister<u32>>(2);
    for delta in &deltas[1..1_025] {
        assert!(matches!(b.merge(delta.clone()), Ok(Merged::Pending(_))));
    }
    let before = (b.version(), b.encode(), b.pending(), b.missing());
    let Err(Refused::BufferFull { waiting, missing }) = b.merge(deltas[1_025].clone()) else {
        panic!("there is no room")
    };
    assert_eq!((waiting, missing.get(id(1))), (1_024, 1_025));
    assert_eq!((b.version(), b.encode(), b.pending(), b.missing()), before);
    // What waits is not pushed out, and what is missing still gets in.
    assert_eq!(b.merge(deltas[0].clone()), Ok(Merged::Applied));
    assert_eq!((b.pending(), b.value()), (0, Some(&1_024)));
    assert_eq!(b.merge(deltas[1_025].clone()), Ok(Merged::Applied));
    assert_equal(&a, &b);
}
