//! The executions in which an earlier form of this design went wrong, step by step, under the numbers of its review.
//! The scenarios missing here are about what the types do not do yet, or about the engine.

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, BoundedCounter, Crdt, DecodeError, Delta, Doc, GCounter, Limits, LwwMap, Merged,
    Mismatch, Opaque, PnCounter, RemoveWinsSet, Replica, ReplicaId, Since, Version,
};
use tombolo_tests::model::wire::{Message, Node};

type Sets = AddWinsMap<String, AddWinsSet<String>>;

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

fn replica<T: Crdt>(number: u8) -> Replica<T> {
    Replica::new(id(number))
}

fn over_the_wire<T: Crdt>(delta: &Delta<T>) -> Delta<T> {
    Delta::decode(&delta.encode(), &Limits::default()).unwrap()
}

/// Without a dot of its own a removal would leave X's version as it was: digests are equal, nobody repairs, and Y shows
/// the element for ever.
#[test]
fn scenario_01_a_removal_takes_a_dot() {
    let (mut x, mut y) = (replica::<AddWinsSet<u8>>(1), replica::<AddWinsSet<u8>>(2));
    y.merge(x.update(|set| set.add(7)).1).unwrap();
    assert_eq!(x.version(), y.version());
    let (_, _lost) = x.update(|set| set.remove(&7));
    assert_eq!(x.version().ahead_of(&y.version()), 1);
    let Since::Delta(answer) = x.delta_since(&y.version()) else { panic!("Y lacks the removal") };
    assert_eq!(y.merge(over_the_wire(&answer)), Ok(Merged::Applied));
    assert!(!y.contains(&7));
    assert_eq!(x.encode(), y.encode());
}

/// A group that covered only what it replaces, and not its own events, would leave a1 live at a receiver that got a1 by
/// another way: inside the group a1 is born and dies, so the group says nothing else about it.
#[test]
fn scenario_02_a_group_covers_its_own_events() {
    let mut a = replica::<Sets>(1);
    let (_, a1) = a.update(|map| map.at("key").add("first"));
    let (_, a2) = a.update(|map| {
        map.at("key").add("second");
        map.remove("key");
    });
    let mut group = a1.clone();
    assert!(group.append(&a2));

    let mut receiver = replica::<Sets>(2);
    receiver.merge(a1.clone()).unwrap();
    assert_eq!(receiver.merge(over_the_wire(&group)), Ok(Merged::Applied));
    assert!(receiver.is_empty());
    assert_eq!(receiver.encode(), a.encode());

    // The hardest form of it: everything up to here as one delta that covers nothing and carries nothing.
    let bare = Message { replicas: vec![[1; 16]], events: vec![(0, 1, 2)], ..Message::default() };
    let bare = Delta::<Sets>::decode(&bare.delta(), &Limits::default()).unwrap();
    let mut receiver = replica::<Sets>(2);
    receiver.merge(a1).unwrap();
    receiver.merge(bare).unwrap();
    assert!(receiver.is_empty());
    assert_eq!(receiver.encode(), a.encode());
}

/// e2 comes after e0 and e1. Groups {e0, e2} and {e1, e2} would each wait for the other for ever, though all three events
/// have arrived. So what is pushed is a run of one author's transactions with no remote event between.
#[test]
fn scenario_03_groups_do_not_lock_each_other_in_the_buffer() {
    let (mut a, mut b) = (replica::<AddWinsSet<u8>>(1), replica::<AddWinsSet<u8>>(2));
    let (_, e0) = a.update(|set| set.add(0));
    let (_, e1) = b.update(|set| set.add(1));
    a.merge(e1.clone()).unwrap();
    let (_, e2) = a.update(|set| set.add(2));
    let (_, e3) = a.update(|set| set.add(3));

    // Refused: a remote event in between; another author; not the next; backwards; itself; nothing.
    for (first, next) in [(&e0, &e2), (&e1, &e2), (&e0, &e3), (&e2, &e0), (&e2, &e2), (&e0, &e1)] {
        let mut group = first.clone();
        let before = group.encode();
        assert!(!group.append(next));
        assert_eq!(group.encode(), before, "a refused group is left as it was");
    }
    let (_, nothing) = b.update(|set| _ = set.remove(&9));
    assert!(nothing.is_empty() && !e1.clone().append(&nothing));
    // Taken: an author's next.
    let mut group = e2.clone();
    assert!(group.append(&e3));

    // So however they arrive, nothing is left waiting.
    for order in [[&group, &e1, &e0], [&group, &e0, &e1], [&e1, &group, &e0]] {
        let mut c = replica::<AddWinsSet<u8>>(3);
        for delta in order {
            c.merge(over_the_wire(delta)).unwrap();
        }
        assert_eq!((c.pending(), c.version(), c.encode()), (0, a.version(), a.encode()));
    }

    // Answers to a version may overlap like that, for they go to one who is at that version. Where one strays, it waits
    // visibly, and whatever makes the missing known frees it.
    let answer = |version: &Version| match a.delta_since(version) {
        Since::Delta(delta) => over_the_wire(&delta),
        _ => panic!("something is lacked, and remembered"),
    };
    let (e0_e2, e1_e2) = (answer(&e1.events()), answer(&e0.events()));
    let mut c = replica::<AddWinsSet<u8>>(3);
    assert!(matches!(c.merge(e0_e2), Ok(Merged::Pending(_))));
    assert!(matches!(c.merge(e1_e2), Ok(Merged::Pending(_))));
    assert_eq!(c.missing().get(id(1)), 1);
    assert_eq!(c.missing().get(id(2)), 1);
    c.merge(e0).unwrap();
    assert_eq!((c.pending(), c.version(), c.encode()), (0, a.version(), a.encode()));
}

/// The rule must also hold where the author was restarted in between: what it knew is compared, not how often it merged.
#[test]
fn scenario_03_nor_do_groups_over_a_restart() {
    // Ids in the order in which A meets them, so that its rows stay as they are.
    let (mut b, mut a, mut c) = (replica::<GCounter>(1), replica::<GCounter>(2), replica::<GCounter>(3));
    let (_, b1) = b.update(|counter| counter.inc(1));
    a.merge(b1.clone()).unwrap();
    let (_, a1) = a.update(|counter| counter.inc(1));
    c.merge(b1.clone()).unwrap();
    c.merge(a1.clone()).unwrap();
    let (_, c1) = c.update(|counter| counter.inc(1));
    a.merge(c1.clone()).unwrap();
    let mut a = Replica::<GCounter>::decode(id(2), &a.encode(), &Limits::default()).unwrap();
    let (_, a2) = a.update(|counter| counter.inc(1));
    // c1 comes after a1 and before a2: a group of both would wait for c1, and c1 for the group.
    let mut group = a1;
    assert!(!group.append(&a2));

    // With no news between, a restart does no harm.
    let mut a = Replica::<GCounter>::decode(id(2), &a.encode(), &Limits::default()).unwrap();
    let (_, a3) = a.update(|counter| counter.inc(1));
    let mut group = a2;
    assert!(group.append(&a3));
    let mut receiver = replica::<GCounter>(9);
    receiver.merge(c.state()).unwrap();
    assert_eq!(receiver.merge(over_the_wire(&group)), Ok(Merged::Applied));
    assert_eq!(receiver.encode(), a.encode());
}

/// A delta that covers a dot outside its past kills it where it has arrived and nowhere else: the replicas would differ
/// for ever. Its bytes are refused.
#[test]
fn scenario_04_wild_covers_and_events_are_refused_at_the_door() {
    let refused = |message: &Message| match Delta::<Opaque>::decode(&message.delta(), &Limits::default()) {
        Err(DecodeError::Mismatch(why)) => why,
        other => panic!("expected a mismatch, got {other:?}"),
    };
    let replicas = vec![[1; 16], [2; 16]];
    // b1 covers a5; what it says it depends on is a4.
    let wild = Message {
        replicas: replicas.clone(),
        deps: vec![(0, 4)],
        events: vec![(1, 1, 1)],
        tree: Node::covering([(0, 5, 1)]),
    };
    assert_eq!(refused(&wild), Mismatch::WildCover);
    // Also when only the end of a run is, when it stands deep down, and when it is the author's own future.
    let tree = Node::above([(vec![0xa1, b'k'], Node::covering([(0, 2, 4)]))]);
    assert_eq!(refused(&Message { tree, ..wild.clone() }), Mismatch::WildCover);
    let tree = Node::covering([(1, 2, 1)]);
    assert_eq!(refused(&Message { tree, ..wild.clone() }), Mismatch::WildCover);
    // In its past it is a removal.
    let tree = Node::covering([(0, 4, 1)]);
    let _ = Delta::<Opaque>::decode(&Message { tree, ..wild.clone() }.delta(), &Limits::default()).unwrap();

    // Content under a dot that is not of its events.
    let tree = Node::carrying([(0, 4, vec![1])]);
    assert_eq!(refused(&Message { tree, ..wild.clone() }), Mismatch::ForeignContent);
    // Events with a hole, which would be taken for known; events that depend on themselves.
    let holes = Message {
        replicas: replicas.clone(),
        deps: vec![(1, 1)],
        events: vec![(0, 1, 1), (0, 3, 1)],
        ..Message::default()
    };
    assert_eq!(refused(&holes), Mismatch::Events);
    let circular =
        Message { replicas, deps: vec![(0, 2), (1, 1)], events: vec![(0, 1, 2)], ..Message::default() };
    assert_eq!(refused(&circular), Mismatch::Events);
}

/// One dot for a whole transaction would be live at two leaves: after one is removed, the dot is still live at the other,
/// and comparing dots shows no difference where there is one.
#[test]
fn scenario_05_one_dot_stands_in_one_place() {
    let mut a = replica::<AddWinsSet<u8>>(1);
    let (_, both) = a.update(|set| set.extend([1, 2]));
    assert_eq!(both.len(), 2, "a transaction takes a dot a leaf");
    let mut b = replica::<AddWinsSet<u8>>(2);
    b.merge(both).unwrap();
    let _ = a.update(|set| set.remove(&1));
    b.merge(a.state()).unwrap();
    assert_eq!(b.iter().collect::<Vec<_>>(), [&2]);
    assert_eq!(a.encode(), b.encode());

    // And bytes that say otherwise are refused.
    let at = |key: u8| (vec![key], Node::carrying([(0, 1, vec![])]));
    let twice = Message {
        replicas: vec![[1; 16]],
        events: vec![(0, 1, 1)],
        tree: Node::above([at(1), at(2)]),
        ..Message::default()
    };
    let refused = Delta::<AddWinsSet<u8>>::decode(&twice.delta(), &Limits::default()).unwrap_err();
    assert_eq!(refused, DecodeError::Mismatch(Mismatch::TwoPlaces));
}

/// X says VX; Y, who knows z and has removed it, answers; before the answer is applied X gets z from Z. If the answer were
/// a list of what to remove, made against VX, it would lack z: X would take over VY, which says that z is removed, and
/// keep z.
#[test]
fn scenario_06_an_answer_applied_late_still_removes() {
    let start = |number| {
        let mut replica = replica::<AddWinsSet<String>>(number);
        replica.merge(self::replica::<AddWinsSet<String>>(7).update(|set| set.add("old")).1).unwrap();
        replica
    };
    for whole_state in [false, true] {
        let (mut x, mut y, mut z) = (start(1), start(2), start(3));
        let (_, adds_z) = z.update(|set| set.add("z"));
        y.merge(adds_z.clone()).unwrap();
        let _ = y.update(|set| {
            set.remove("z");
            set.add("new");
        });
        let vx = x.version();
        let answer = match y.delta_since(&vx) {
            Since::Delta(delta) if !whole_state => over_the_wire(&delta),
            _ => Delta::decode_state(&y.encode(), &Limits::default()).unwrap(),
        };
        // Meanwhile:
        x.merge(adds_z).unwrap();
        let (_, own) = x.update(|set| set.add("own"));
        assert!(x.contains("z"));
        // Now it is applied.
        assert_eq!(x.merge(answer), Ok(Merged::Applied));
        assert_eq!(x.iter().collect::<Vec<_>>(), ["new", "old", "own"]);
        y.merge(own).unwrap();
        assert_eq!((x.version(), x.encode()), (y.version(), y.encode()));
    }
}

/// A version sent at one time with content read at another: what was removed between is left out, and the peer takes over
/// a version whose effects it lacks, or half a transaction. Here version and content are one snapshot, and stay so
/// however long it takes until they are sent and applied.
#[test]
fn scenario_07_a_state_is_one_snapshot() {
    let (mut x, mut y) = (replica::<AddWinsSet<String>>(1), replica::<AddWinsSet<String>>(2));
    let _ = x.update(|set| set.extend(["one", "two"]));
    let state = x.state();
    let (version, bytes) = (x.version(), x.encode());
    // While it is on the way, X goes on: removes what is in it, and moves it, as one transaction.
    let (_, later) = x.update(|set| {
        set.remove("one");
        set.add("three");
    });
    assert_eq!(state.encode_state().unwrap(), bytes);
    y.merge(state).unwrap();
    assert_eq!((y.version(), y.encode()), (version, bytes));
    assert_eq!(y.iter().collect::<Vec<_>>(), ["one", "two"]);
    y.merge(later).unwrap();
    assert_eq!(y.iter().collect::<Vec<_>>(), ["three", "two"]);
    assert_eq!((x.version(), x.encode()), (y.version(), y.encode()));
}

/// Repairs `behind` as who has forgotten all removals does: what is alive of what both know, against what is alive here.
fn repair<T: Crdt>(from: &Replica<T>, behind: &mut Replica<T>) {
    let base = from.version().meet(&behind.version());
    let (here, there) = (from.live_below(&base).unwrap(), behind.live_below(&base).unwrap());
    let gone: Vec<_> =
        there.into_iter().filter(|dot| here.binary_search(dot).is_err()).map(|dot| dot..dot + 1).collect();
    if let Some(answer) = from.delta_beyond(&base, &gone) {
        assert_eq!(behind.merge(over_the_wire(&answer)), Ok(Merged::Applied));
    }
}

/// What is repaired far behind must stand where it stood: below its key, as the type it is of. Two types under one key at the same
/// time, a value written over many times, a map removed and written again.
#[test]
fn scenario_08_what_travels_with_a_dot_is_its_place_and_its_type() {
    let (mut x, mut y, mut far) = (replica::<Doc>(1), replica::<Doc>(2), replica::<Doc>(3));
    let first = x.update(|doc| doc.map("m").map("deep").counter("n").inc(1)).1;
    far.merge(first.clone()).unwrap();
    y.merge(first).unwrap();
    let _ = x.update(|doc| doc.counter("both").inc(5));
    let _ = y.update(|doc| doc.set("both").add("element"));
    for n in 0..20_i64 {
        let _ = x.update(|doc| doc.lww("title").set(n));
    }
    let _ = x.update(|doc| doc.remove("m"));
    let _ = x.update(|doc| doc.map("m").map("deep").counter("n").inc(7));
    let _ = far.update(|doc| doc.map("m").map("deep").counter("n").inc(100));
    x.merge(y.state()).unwrap();
    repair(&x, &mut far);
    x.merge(far.state()).unwrap();
    assert_eq!(far.encode(), x.encode());
    let both = far.get("both").unwrap();
    assert_eq!(both.counter().map(PnCounter::value), Some(5));
    assert!(both.set().unwrap().contains(&"element".into()));
    let deep = far.get("m").unwrap().map().unwrap().get("deep").unwrap();
    assert_eq!(deep.map().unwrap().get("n").unwrap().counter().map(PnCounter::value), Some(107));
}

/// What is covered by a version and not alive there was removed: that is right as long as nothing that is done locally takes live dots away.
/// So forgetting is a write. X forgets a removal; Y, which has not heard of that, is repaired, and keeps what it wrote meanwhile.
#[test]
fn scenario_09_forgetting_takes_away_nothing_that_others_wrote() {
    let (mut x, mut y) = (replica::<RemoveWinsSet<String>>(1), replica::<RemoveWinsSet<String>>(2));
    y.merge(x.update(|guests| guests.extend(["ann", "bob", "eve"])).1).unwrap();
    y.merge(x.update(|guests| guests.remove("eve")).1).unwrap();
    let _ = y.update(|guests| guests.add("dan"));
    let _ = y.update(|guests| guests.add("eve"));
    let before = x.version();
    let swept = x.sweep(&before);
    assert!(!swept.is_empty() && x.version().dominates(&before) && x.version() != before);
    repair(&x, &mut y);
    repair(&y.fork(id(9)), &mut x);
    assert_eq!(x.encode(), y.encode());
    assert_eq!(y.iter().collect::<Vec<_>>(), ["ann", "bob", "dan", "eve"]);
}

/// X puts a sum for amounts that all know; Y has each of them still, and is far behind. A sum that was made without a write would have Y, as it is repaired, drop
/// amounts and know their sum already. A removal takes what it has seen, and of a sum either all, for its author has seen all it stands for, or nothing.
#[test]
fn scenario_10_amounts_that_are_kept_together_are_removed_apart() {
    type Counts = AddWinsMap<String, PnCounter>;
    let of = |replica: &Replica<Counts>| replica.get("visits").map_or(0, PnCounter::value);
    let mut sums = 0;
    // How many of eight amounts are known to who removes the key.
    for seen in 1..=8_usize {
        let (mut a, mut y, mut z) = (replica::<Counts>(1), replica::<Counts>(2), replica::<Counts>(4));
        for nth in 0..8 {
            // They left the store one by one.
            let delta = a.update(|counts| counts.at("visits").inc(1 << nth)).1;
            y.merge(over_the_wire(&delta)).unwrap();
            if nth < seen {
                z.merge(delta).unwrap();
            }
        }
        let mut x = replica::<Counts>(3);
        x.merge(a.state()).unwrap();
        // What all know, and have no write that is not known to X. At the same time the key is removed.
        let stable = z.version();
        let removal = z.update(|counts| counts.remove("visits")).1;
        let swept = x.sweep(&stable);
        // A sum and its anchor are what is left of enough of them, and the others.
        assert_eq!(swept.is_empty(), seen < 5, "{seen}");
        assert_eq!(x.garbage().items, if seen < 5 { 8 } else { 2 + (8 - seen) }, "{seen}");
        sums += usize::from(!swept.is_empty());
        x.set_history_bytes(0);
        let mut x = Replica::<Counts>::decode(id(3), &x.encode(), &Limits::default()).unwrap();
        // Y counts as well, and is repaired as who is far behind; and so is X.
        let _ = y.update(|counts| counts.at("visits").inc(1_000));
        repair(&x, &mut y);
        assert_eq!((of(&x), of(&y)), (255, 1_255), "{seen}");
        repair(&y.fork(id(9)), &mut x);
        assert_eq!((of(&x), x.encode()), (1_255, y.encode()), "{seen}");
        // Wherever the removal meets what it has seen, in whatever order: with the sum, before it, and where it was written.
        let left = 1_000 + (255 - ((1 << seen) - 1));
        let mut far = replica::<Counts>(5);
        far.merge(a.state()).unwrap();
        a.merge(over_the_wire(&removal)).unwrap();
        assert_eq!(of(&a), left - 1_000, "{seen}");
        a.merge(x.state()).unwrap();
        z.merge(y.state()).unwrap();
        repair(&x, &mut far);
        assert_eq!(of(&far), 1_255, "{seen}");
        for one in [&mut x, &mut y, &mut far] {
            one.merge(over_the_wire(&removal)).unwrap();
        }
        for one in [&a, &x, &y, &z, &far] {
            assert_eq!((of(one), one.encode()), (left, x.encode()), "{seen}");
        }
        // The next one who forgets lets go what is left of a sum whose anchor has gone, and sums up what is left of the amounts.
        let _ = x.sweep(&x.version());
        far.merge(x.state()).unwrap();
        assert_eq!((of(&x), of(&far), far.encode()), (left, left, x.encode()), "{seen}");
        assert_eq!(x.garbage().items, 1 + if 8 - seen < 5 { 8 - seen } else { 2 }, "{seen}");
    }
    assert_eq!(sums, 4);
}

/// Refusing a stamp that is far ahead would block all that its author writes later, and all who have seen that.
#[test]
fn scenario_17_a_stamp_far_ahead_is_admitted_and_blocks_nobody() {
    let (mut x, mut y, mut z) = (replica::<LwwMap<String, u64>>(1), replica(2), replica(3));
    for (replica, now) in [(&mut x, 1_000_000), (&mut y, 1_000_000_000_000), (&mut z, 1_000_000)] {
        replica.set_time(now);
    }
    let far = y.update(|map| map.set("a", 1_u64)).1;
    let later = y.update(|map| map.set("b", 2_u64)).1;
    z.merge(far.clone()).unwrap();
    z.merge(later.clone()).unwrap();
    let on_top = z.update(|map| map.set("c", 3_u64)).1;
    for delta in [far, later, on_top] {
        assert_eq!(x.merge(over_the_wire(&delta)), Ok(Merged::Applied));
    }
    assert_eq!((x.pending(), x.len()), (0, 3));
    assert!(x.far_stamps() > 0);
    // It moves no other clock, and goes with the next write that has seen it.
    let _ = x.update(|map| map.set("a", 4_u64));
    assert!(x.stamp("a").unwrap().millis < 2_000_000);
    y.merge(x.state()).unwrap();
    assert_eq!((x.get("a"), y.get("a")), (Some(&4), Some(&4)));
}

/// Two live copies of one store hold the same rights, and no rule at one of them keeps it from spending what the other spends. What is
/// taken is then more than there was by what the id held where they parted, for each copy more, and not by more than that.
/// It shows once each copy has dots of its own.
#[test]
fn scenario_18_rights_that_a_clone_spends_again_are_an_overdraft_of_no_more_than_them() {
    let (mut store, mut bob) = (replica::<BoundedCounter>(1), replica::<BoundedCounter>(2));
    let (_, added) = store.update(|counter| counter.inc(10));
    bob.merge(added).unwrap();
    bob.merge(store.update(|counter| counter.transfer(4, id(2))).1).unwrap();
    let held = store.rights(id(1));
    assert_eq!((held, store.rights(id(2))), (6, 4));

    let (forked_at, bytes) = (store.reached(id(1)), store.encode());
    let clones: Vec<_> = (11..14)
        .map(|new| {
            let mut clone = Replica::<BoundedCounter>::decode(id(1), &bytes, &Limits::default()).unwrap();
            clone.keep_counters(forked_at);
            // It may pass some of them on and take the rest; more than it held it cannot.
            clone.update(|counter| counter.dec(held - 1)).0.unwrap();
            let refused = clone.update(|counter| counter.dec(2)).0.unwrap_err();
            assert_eq!((refused.held, refused.elsewhere), (1, vec![(id(2), 4)]));
            clone.update(|counter| counter.dec(1)).0.unwrap();
            clone.disown(id(1), forked_at, id(new))
        })
        .collect();
    let (_, of_store) = store.update(|counter| counter.dec(held).unwrap());
    let (_, of_bob) = bob.update(|counter| counter.dec(4).unwrap());
    // Who was not cloned keeps what is his.
    bob.merge(of_store).unwrap();
    assert_eq!((bob.value(), bob.overdraft()), (0, 0));
    for (copies, clone) in (1..).zip(&clones) {
        bob.merge(over_the_wire(&clone.state())).unwrap();
        assert_eq!((bob.value(), bob.overdraft()), (-6 * copies, 6 * copies as u64));
        assert_eq!(bob.holders(), []);
    }
    store.merge(of_bob).unwrap();
    clones.iter().rev().for_each(|clone| drop(store.merge(clone.state())));
    assert_eq!((store.version(), store.encode()), (bob.version(), bob.encode()));
    // Who adds may take as much, whatever is missing: it stays missing until somebody adds and does not take, and becomes no more.
    let _ = bob.update(|counter| counter.inc(20));
    assert_eq!((bob.value(), bob.overdraft(), bob.rights(id(2))), (2, 0, 20));
    bob.update(|counter| counter.dec(20)).0.unwrap();
    assert_eq!((bob.value(), bob.overdraft()), (-18, 18));
}

/// Ring, waiting deltas, clocks and the order in which replicas became known differ from replica to replica. Written into
/// the bytes that are digested, they would make equal states look different.
#[test]
fn scenario_19_equal_versions_have_equal_bytes_whatever_else_differs() {
    let authors: Vec<_> = (1..=5)
        .map(|number| {
            // Ids far apart, not in the order in which anybody meets them.
            let mut author = replica::<AddWinsMap<String, PnCounter>>(number * 37);
            author.update(|map| map.at(format!("key {}", number % 3)).inc(u64::from(number))).1
        })
        .collect();
    let mut waits = replica::<AddWinsMap<String, PnCounter>>(200);
    let _ = waits.update(|map| map.at("a").inc(1));
    let (_, second) = waits.update(|map| map.at("a").inc(1));

    let mut one = replica::<AddWinsMap<String, PnCounter>>(1);
    authors.iter().for_each(|delta| drop(one.merge(delta.clone())));
    let mut other = replica::<AddWinsMap<String, PnCounter>>(2);
    other.set_time(1_000_000);
    other.set_history_bytes(0);
    assert!(matches!(other.merge(second), Ok(Merged::Pending(_))));
    let _ = other.try_update(|map| {
        map.remove("key 1");
        map.at("nothing").inc(1);
        Err::<(), _>("no")
    });
    authors.iter().rev().for_each(|delta| drop(other.merge(over_the_wire(delta))));
    let mut third = replica::<AddWinsMap<String, PnCounter>>(3);
    third.merge(one.state()).unwrap();
    let fourth = other.fork(id(4));

    assert_eq!(other.pending(), 1);
    for replica in [&other, &third, &fourth] {
        assert_eq!((replica.version(), replica.encode()), (one.version(), one.encode()));
    }
}
