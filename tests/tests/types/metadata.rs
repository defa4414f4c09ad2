//! What an element costs, and what its removal leaves behind: in live items, in bytes of a state, and in bytes of the delta that
//! brings it. The figures of `docs/semantics.md`.

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, BoundedCounter, Crdt, DisableWinsFlag, Doc, EnableWinsFlag, GCounter, GMap, GSet,
    LwwMap, LwwRegister, MaxRegister, Mut, MvRegister, PnCounter, RemoveWinsSet, Replica, ReplicaId, Scalar,
    Since, TwoPhaseSet, Version,
};

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

/// How many elements are looked at; few enough that a state of twice as many is not compressed.
const ELEMENTS: usize = 15;

/// Sixteen letters, which the encoding writes in 17 bytes. Their beginnings differ.
fn name(at: usize) -> String {
    let mut random = at as u64 * 2 + 1;
    let letters = (0..16).map(|_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (random >> 59) as u8 % 26)
    });
    letters.collect()
}

/// What is measured of a container.
#[derive(Debug, PartialEq)]
struct Cost {
    /// An element: items that are alive, and bytes of the state; of these 17 are its name.
    element: (usize, usize),
    /// What is left of one that was removed.
    removed: (usize, usize),
    /// An element that was written once more by somebody who had seen it.
    again: (usize, usize),
    /// The body of a delta that writes one element, without 17 for the name and 18 for the author.
    delta: usize,
    /// The body of a delta that removes one, likewise.
    removal: usize,
}

fn live<T: Crdt>(replica: &Replica<T>) -> usize {
    replica.live_below(&replica.version()).expect("it knows its own version").len()
}

/// Each write and each removal is a transaction of its own.
fn cost<T: Crdt>(write: impl Fn(&mut T::Mut<'_>, &str), remove: impl Fn(&mut T::Mut<'_>, &str)) -> Cost {
    let written = |elements: usize| {
        let mut replica = Replica::<T>::new(id(1));
        replica.set_time(1_700_000_000_000);
        (0..elements).for_each(|at| drop(replica.update(|value| write(value, &name(at)))));
        replica
    };
    let (one, few, mut many) = (written(1), written(ELEMENTS), written(2 * ELEMENTS));
    let bytes = |replica: &Replica<T>| replica.encode().len();
    let each = |more: usize, less: usize| {
        assert_eq!((more - less) % ELEMENTS, 0, "each costs the same: {more}, {less}");
        (more - less) / ELEMENTS
    };
    let element = (each(live(&many), live(&few)), each(bytes(&many), bytes(&few)));
    let mut again = written(ELEMENTS);
    (0..ELEMENTS).for_each(|at| drop(again.update(|value| write(value, &name(at)))));
    let again = (each(live(&again), 0), bytes(&again).saturating_sub(bytes(&few)) / ELEMENTS + element.1);
    // Against as many that were never there.
    (ELEMENTS..2 * ELEMENTS).for_each(|at| drop(many.update(|value| remove(value, &name(at)))));
    let removed = (each(live(&many), live(&few)), (bytes(&many) - bytes(&few)) / ELEMENTS);
    let (mut next, beside) = (one, 17 + 18);
    let (_, delta) = next.update(|value| write(value, &name(1)));
    let (_, removal) = next.update(|value| remove(value, &name(0)));
    let body = |bytes: Vec<u8>| bytes.len().saturating_sub(beside);
    Cost { element, removed, again, delta: body(delta.encode_body()), removal: body(removal.encode_body()) }
}

#[test]
fn what_an_element_costs_and_what_a_removal_leaves_behind() {
    let costs = [
        ("AddWinsSet", cost::<AddWinsSet<String>>(|set, at| set.add(at), |set, at| _ = set.remove(at))),
        ("GSet", cost::<GSet<String>>(|set, at| set.add(at), |_, _| {})),
        ("RemoveWinsSet", cost::<RemoveWinsSet<String>>(|set, at| set.add(at), |set, at| _ = set.remove(at))),
        ("TwoPhaseSet", cost::<TwoPhaseSet<String>>(|set, at| _ = set.add(at), |set, at| _ = set.remove(at))),
        ("LwwMap", cost::<LwwMap<String, u8>>(|map, at| map.set(at, 7), |map, at| _ = map.remove(at))),
        (
            "AddWinsMap of registers",
            cost::<AddWinsMap<String, MvRegister<u8>>>(
                |map, at| map.at(at).set(7),
                |map, at| _ = map.remove(at),
            ),
        ),
        (
            "AddWinsMap of counters",
            cost::<AddWinsMap<String, PnCounter>>(|map, at| map.at(at).inc(1), |map, at| _ = map.remove(at)),
        ),
        ("GMap of counters", cost::<GMap<String, PnCounter>>(|map, at| map.at(at).inc(1), |_, _| {})),
        ("Doc of registers", cost::<Doc>(|doc, at| doc.register(at).set(7), |doc, at| _ = doc.remove(at))),
        (
            "Set in a Doc",
            cost::<Doc>(|doc, at| doc.set("s").add(at), |doc, at| _ = doc.set("s").remove(&Scalar::from(at))),
        ),
    ];
    let found: Vec<_> = costs
        .iter()
        .map(|(name, cost)| {
            let Cost { element, removed, again, delta, removal } = cost;
            (*name, [element.0, removed.0, again.0], [element.1, removed.1, again.1], [*delta, *removal])
        })
        .collect();
    // What is alive: of an element, of one that was removed, of one that was written twice. Bytes of a state, of the same; 17 of
    // them are the name. Bytes of the delta of a write and of a removal, beside the name and the author's id.
    let expected = [
        ("AddWinsSet", [1, 0, 1], [19, 0, 19], [9, 12]),
        ("GSet", [1, 1, 1], [19, 19, 19], [9, 0]),
        ("RemoveWinsSet", [1, 1, 1], [19, 20, 19], [9, 12]),
        ("TwoPhaseSet", [1, 1, 1], [19, 20, 19], [9, 12]),
        ("LwwMap", [1, 1, 1], [31, 30, 31], [21, 22]),
        ("AddWinsMap of registers", [1, 0, 1], [20, 0, 20], [10, 12]),
        ("AddWinsMap of counters", [1, 0, 2], [20, 0, 26], [10, 12]),
        ("GMap of counters", [1, 1, 1], [20, 20, 20], [10, 0]),
        ("Doc of registers", [1, 0, 1], [23, 0, 23], [13, 12]),
        ("Set in a Doc", [1, 0, 1], [19, 0, 19], [16, 19]),
    ];
    assert_eq!(found, expected);
}

/// How many items are alive after so many writes, each a transaction of its own.
fn items<T: Crdt>(writes: u64, write: impl Fn(&mut T::Mut<'_>, u64)) -> usize {
    let mut replica = Replica::<T>::new(id(1));
    (0..writes).for_each(|at| drop(replica.update(|value| write(value, at))));
    live(&replica)
}

#[test]
fn what_flags_registers_and_counters_keep() {
    // Enabled and disabled in turns.
    let is_on = |at: u64| at.is_multiple_of(2);
    let enable_wins = |writes| {
        items::<EnableWinsFlag>(writes, |flag, at| if is_on(at) { flag.enable() } else { flag.disable() })
    };
    let disable_wins = |writes| {
        items::<DisableWinsFlag>(writes, |flag, at| if is_on(at) { flag.enable() } else { flag.disable() })
    };
    assert_eq!([enable_wins(9), enable_wins(10)], [1, 0]);
    assert_eq!([disable_wins(9), disable_wins(10)], [1, 1]);
    assert_eq!(items::<LwwRegister<u64>>(9, |register, at| register.set(at)), 1);
    assert_eq!(items::<MvRegister<u64>>(9, |register, at| register.set(at)), 1);
    assert_eq!(
        items::<MvRegister<u64>>(2, |register, at| if is_on(at) {
            register.set(at)
        } else {
            register.clear()
        }),
        0
    );
    // Where nothing above can be removed one amount and one value a replica.
    assert_eq!(items::<GCounter>(9, |counter, _| counter.inc(1)), 1);
    assert_eq!(items::<PnCounter>(9, |counter, _| counter.dec(1)), 1);
    assert_eq!(items::<BoundedCounter>(9, |counter, _| counter.inc(1)), 1);
    assert_eq!(items::<GMap<u8, PnCounter>>(9, |map, _| map.at(1).inc(1)), 1);
    assert_eq!(items::<MaxRegister<u64>>(9, |register, at| register.set(100 - at)), 1);
    // Below a key one for each transaction that counted, and for each value that was no better than those before.
    let twice = |map: &mut Mut<'_, AddWinsMap<u8, PnCounter>>, _| (0..2).for_each(|_| map.at(1).inc(1));
    assert_eq!(items::<AddWinsMap<u8, PnCounter>>(9, twice), 9);
    assert_eq!(items::<AddWinsMap<u8, MaxRegister<u64>>>(9, |map, at| map.at(1).set(100 - at)), 9);
    assert_eq!(items::<AddWinsMap<u8, MaxRegister<u64>>>(9, |map, at| map.at(1).set(100 + at)), 1);
}

/// What everybody pays for everybody who ever wrote, when nothing is left of it: an id of 16 bytes and a counter, in their frames.
#[test]
fn who_wrote_once_costs_a_version_entry() {
    let written_by = |writers: u8| {
        let mut set = Replica::<AddWinsSet<u8>>::new(id(200));
        for number in 1..=writers {
            let (_, added) = Replica::<AddWinsSet<u8>>::new(id(number)).update(|set| set.add(1));
            set.merge(added).unwrap();
        }
        let _ = set.update(|set| set.clear());
        assert_eq!((set.replicas(), live(&set)), (usize::from(writers) + 1, 0));
        set.encode().len()
    };
    assert_eq!((written_by(40) - written_by(20)) as f64 / 20.0, 21.0);
}

/// Rights that were passed on are remembered by receiver, however often they were.
#[test]
fn who_was_passed_rights_costs_an_id_and_an_amount() {
    let passed_to = |receivers: u8| {
        let mut counter = Replica::<BoundedCounter>::new(id(200));
        let _ = counter.update(|counter| counter.inc(10_000));
        for _ in 0..2 {
            for number in 1..=receivers {
                counter.update(|counter| counter.transfer(10, id(number))).0.unwrap();
            }
        }
        counter.encode().len()
    };
    assert_eq!((passed_to(40) - passed_to(20)) as f64 / 20.0, 20.0);
}

/// How far back deltas are remembered: as long as they weigh up to about twice what is alive, some kilobytes at least, and 4 MiB at
/// most, which is more than ten thousand small ones.
#[test]
fn what_is_remembered_follows_from_what_is_alive_up_to_four_mebibytes() {
    let remembered = |elements: u32, writes: usize| {
        let mut set = Replica::<AddWinsSet<u32>>::new(id(1));
        let _ = set.update(|set| set.extend(0..elements));
        let versions: Vec<Version> = (0..writes)
            .map(|_| {
                let before = set.version();
                let _ = set.update(|set| set.add(0_u32));
                before
            })
            .collect();
        writes - versions.partition_point(|before| matches!(set.delta_since(before), Since::Forgotten))
    };
    let (least, some, most) = (remembered(1, 100), remembered(1_000, 3_000), remembered(30_000, 20_000));
    assert!((8..40).contains(&least), "{least}");
    assert!((1_000..2_500).contains(&some), "{some}");
    assert!((10_000..20_000).contains(&most), "{most}");
    assert_eq!(remembered(45_000, 20_000), most, "it is the most");
}
