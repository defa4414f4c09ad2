//! What went wrong in this one.

use super::*;

/// A fork had no recent deltas and did not know it: it answered everybody with an empty delta that claimed to bring
/// them level.
#[test]
fn a_fork_that_answered_with_nothing() {
    let mut a = replica::<AddWinsSet<u8>>(1);
    let _ = a.update(|set| set.add(1));
    let mut fork = a.fork(id(2));
    let mut b = replica::<AddWinsSet<u8>>(3);
    assert!(matches!(fork.delta_since(&b.version()), Since::Forgotten));
    let _ = fork.update(|set| set.add(2));
    assert!(matches!(fork.delta_since(&b.version()), Since::Forgotten));
    b.merge(a.state()).unwrap();
    let Since::Delta(delta) = fork.delta_since(&b.version()) else { panic!("that is remembered") };
    b.merge(delta).unwrap();
    assert_equal(&fork, &b);
}

/// Two grouped deltas that overlap left a hole in the events of an answer, which nobody could decode.
#[test]
fn an_answer_with_a_hole() {
    let (mut b, mut c) = (replica::<AddWinsSet<u8>>(2), replica::<AddWinsSet<u8>>(3));
    let (_, b1) = b.update(|set| set.add(1));
    let c_deltas: Vec<_> = (11..15).map(|element| c.update(|set| set.add(element)).1).collect();
    // X gets c1, then b1 and c2 as one answer, then c3 and c4.
    let (mut x, mut y) = (replica::<AddWinsSet<u8>>(4), replica::<AddWinsSet<u8>>(5));
    x.merge(c_deltas[0].clone()).unwrap();
    for delta in [&c_deltas[0], &c_deltas[1], &b1] {
        y.merge(delta.clone()).unwrap();
    }
    let Since::Delta(both) = y.delta_since(&x.version()) else { panic!("that is remembered") };
    assert_eq!(both.len(), 2);
    x.merge(both).unwrap();
    x.merge(c_deltas[2].clone()).unwrap();
    x.merge(c_deltas[3].clone()).unwrap();
    // P lacks b1 and c4, but has c2 and c3.
    let mut p = replica::<AddWinsSet<u8>>(6);
    c_deltas[..3].iter().for_each(|delta| drop(p.merge(delta.clone()).unwrap()));
    let Since::Delta(answer) = x.delta_since(&p.version()) else { panic!("that is remembered") };
    assert_eq!(answer.len(), 2);
    assert_eq!(p.merge(over_the_wire(&answer)), Ok(Merged::Applied));
    assert_equal(&p, &x);
}

/// An answer left out events that the asker knows, and with them the removal that a delta says only by naming an event
/// and not carrying it: a whole state as a mere delta, for one.
#[test]
fn an_answer_that_left_out_a_removal() {
    let (mut b, mut c) = (replica::<AddWinsSet<u8>>(2), replica::<AddWinsSet<u8>>(3));
    let (_, b1) = b.update(|set| set.add(1));
    c.merge(b1).unwrap();
    let _ = c.update(|set| set.remove(&1));
    let mut a = replica::<AddWinsSet<u8>>(1);
    let _ = a.update(|set| set.add(2));
    // b1 and c1 in one delta, which carries nothing and covers nothing.
    a.merge(over_the_wire(&c.state())).unwrap();
    // To one who knows b1 the answer names a1 and c1.
    let Since::Delta(answer) = a.delta_since(&b.version()) else { panic!("that is remembered") };
    assert_eq!((answer.len(), answer.deps()), (2, b.version()));
    b.merge(over_the_wire(&answer)).unwrap();
    assert!(!b.contains(&1));
    assert_equal(&a, &b);
}

/// Opening an entry or a field without writing to it left an empty node in the delta, which no decoder takes.
#[test]
fn a_handle_opened_and_not_written_to() {
    let mut a = replica::<Doc>(1);
    let (_, delta) = a.update(|doc| {
        let _ = doc.map("opened");
        doc.register("cleared").clear();
        doc.map("a").map("b").set("c").remove(&Scalar::Null);
        doc.counter("written").inc(1);
    });
    let mut b = replica::<Doc>(2);
    b.merge(over_the_wire(&delta)).unwrap();
    assert_equal(&a, &b);
    assert_eq!(b.len(), 1);
}

/// Below a set at the greatest depth its elements went one deeper: written here, refused by every peer.
#[test]
fn a_set_too_deep_to_be_sent() {
    let names = vec!["n"; 31];
    let mut a = replica::<Doc>(1);
    let before = a.encode();
    for grows in [false, true] {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            a.update(|doc| {
                let mut deepest = doc.by_ref().at_path(names.iter().copied());
                if grows { deepest.grow_set("set").add(1_i64) } else { deepest.set("set").add(1_i64) }
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(a.encode(), before);
    }
    // The deepest set and the deepest register there may be arrive.
    let (_, delta) = a.update(|doc| {
        let mut deepest = doc.by_ref().at_path(names.iter().copied());
        deepest.register("register").set("deep");
    });
    let (_, more) = a.update(|doc| doc.by_ref().at_path(names[1..].iter().copied()).set("set").add(1_i64));
    let mut b = replica::<Doc>(2);
    b.merge(over_the_wire(&delta)).unwrap();
    b.merge(over_the_wire(&more)).unwrap();
    assert_equal(&a, &b);
}

/// After the last dot a removal panicked when it was half committed: done in the state, and no version said so.
#[test]
fn a_removal_without_a_dot_left() {
    let element = (vec![7], Node::carrying([(0, MAX_COUNTER, vec![])]));
    let full = Message {
        replicas: vec![[1; 16]],
        events: vec![(0, 1, MAX_COUNTER)],
        tree: Node::above([element]),
        ..Message::default()
    };
    let bytes = full.state("AddWinsSet");
    let mut a = Replica::<AddWinsSet<u8>>::decode(id(1), &bytes, &Limits::default()).unwrap();
    for add in [false, true] {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            a.update(|set| if add { set.add(8) } else { _ = set.remove(&7) })
        }));
        let why = panicked.unwrap_err();
        assert!(why.downcast_ref::<String>().unwrap().contains("a replica may write at most"));
        assert_eq!((a.len(), a.contains(&7)), (1, true));
        assert_eq!(a.encode(), bytes);
    }
    // Others go on, and so does the value under a new id.
    let mut b = a.fork(id(2));
    assert_eq!(a.merge(b.update(|set| set.remove(&7)).1), Ok(Merged::Applied));
    assert!(a.is_empty());
}

/// After a restart the first transaction said that it depends on its author's own past, and a group with it that the
/// group depends on itself.
#[test]
fn a_transaction_that_depends_on_itself() {
    let mut a = replica::<GCounter>(1);
    let (_, mut group) = a.update(|counter| counter.inc(1));
    let mut a = Replica::<GCounter>::decode(id(1), &a.encode(), &Limits::default()).unwrap();
    let (_, second) = a.update(|counter| counter.inc(1));
    assert_eq!(second.deps().len(), 1);
    assert!(group.append(&second));
    assert!(group.deps().is_empty());
    let mut b = replica::<GCounter>(2);
    assert_eq!(b.merge(over_the_wire(&group)), Ok(Merged::Applied));
    assert_equal(&a, &b);
}

/// A stamp from the far future, met in a stored state before the time was handed in, pulled the clock along.
#[test]
fn a_far_stamp_in_a_stored_state() {
    type Map = AddWinsMap<u8, LwwRegister<u8>>;
    let mut off = replica::<Map>(1);
    off.set_time(u64::MAX);
    let _ = off.update(|map| map.at(1).set(1));
    let mut a = Replica::<Map>::decode(id(2), &off.encode(), &Limits::default()).unwrap();
    a.set_time(1_000);
    assert_eq!(a.far_stamps(), 1);
    let _ = a.update(|map| map.at(2).set(2));
    assert_eq!(a.get(&2).unwrap().stamp(), Some(Stamp { millis: 1_000, logical: 0 }));
    let mut fork = a.fork(id(3));
    let _ = fork.update(|map| map.at(3).set(3));
    assert_eq!(fork.get(&3).unwrap().stamp().unwrap().millis, 1_000);
}

/// The same waiting delta, sent again and again, filled the buffer.
#[test]
fn a_buffer_full_of_one_delta() {
    let mut a = replica::<GCounter>(1);
    let (_, first) = a.update(|counter| counter.inc(1));
    let (_, second) = a.update(|counter| counter.inc(1));
    let mut b = replica::<GCounter>(2);
    for _ in 0..3_000 {
        assert!(matches!(b.merge(over_the_wire(&second)), Ok(Merged::Pending(_))));
    }
    assert_eq!(b.pending(), 1);
    b.merge(first).unwrap();
    assert_equal(&a, &b);
}

/// What waits was weighed without its dependencies and its table of ids, so that a few bytes of weight could be
/// megabytes.
#[test]
fn a_buffer_that_weighed_only_content() {
    let mut ids: Vec<[u8; 16]> = (0..20_000_u128).map(|number| (number + 1).to_be_bytes()).collect();
    ids.sort_unstable();
    let mut b = replica::<Opaque>(1);
    let mut waiting = 0;
    loop {
        let heavy = Message {
            deps: (0..19_999).map(|row| (row, 1)).collect(),
            events: vec![(19_999, waiting + 1, 1)],
            replicas: ids.clone(),
            ..Message::default()
        };
        match b.merge(Delta::decode_body(&heavy.body(), &Limits::default()).unwrap()) {
            Ok(Merged::Pending(_)) => waiting += 1,
            Err(Refused::BufferFull { .. }) => break,
            other => panic!("{other:?}"),
        }
        assert!(waiting < 20, "20 deltas of 20 000 ids take more than 16 MiB");
    }
    assert!(waiting > 2);
}

#[derive(Clone, Serialize, Deserialize)]
struct Old {
    name: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct New {
    name: String,
    colour: u8,
}

fn older_program_passes_on<ByNew: Crdt, ByOld: Crdt>(
    write: impl for<'a> Fn(&mut ByNew::Mut<'a>, New),
    read: impl Fn(&ByOld::State) -> String,
) {
    let mut new = replica::<ByNew>(1);
    let (_, delta) = new.update(|value| write(value, New { name: "heron".into(), colour: 7 }));
    let mut old = replica::<ByOld>(2);
    old.merge(Delta::decode(&delta.encode(), &Limits::default()).unwrap()).unwrap();
    assert_eq!(read(&old), "heron");
    assert_eq!(old.encode(), new.encode());
    // Also where it was taken out and put back.
    let failed = old.try_update(|_| Err::<(), _>("no"));
    assert!(failed.is_err());
    // And after the old program has stored it and read it again, and sent its state to one who can read it all.
    let old = Replica::<ByOld>::decode(id(2), &old.encode(), &Limits::default()).unwrap();
    let mut third = replica::<ByNew>(3);
    third.merge(Delta::decode_state(&old.encode(), &Limits::default()).unwrap()).unwrap();
    assert_equal(&third, &new);
}

/// A program that does not know a field of a value dropped it from the bytes under the same dot: equal versions, unequal
/// states.
#[test]
fn a_value_of_a_newer_program_cut_down_by_an_older_one() {
    older_program_passes_on::<MvRegister<New>, MvRegister<Old>>(
        |register, value| register.set(value),
        |register| register.value().unwrap().name.clone(),
    );
    older_program_passes_on::<LwwRegister<New>, LwwRegister<Old>>(
        |register, value| register.set(value),
        |register| register.value().unwrap().name.clone(),
    );
    let mut old = replica::<MvRegister<Old>>(2);
    let mut new = replica::<MvRegister<New>>(1);
    let (_, delta) = new.update(|register| register.set(New { name: "heron".into(), colour: 7 }));
    old.merge(Delta::decode(&delta.encode(), &Limits::default()).unwrap()).unwrap();
    let before = old.encode();
    let _ = old.try_update(|register| {
        register.set(Old { name: "egret".into() });
        Err::<(), _>("no")
    });
    assert_eq!(old.encode(), before, "undoing brought back less than it took");
}

/// A hash map as a value comes out of decoding in another order than it was written in.
#[test]
fn a_value_that_depends_on_a_hash_seed() {
    type Counts = MvRegister<HashMap<u32, u32>>;
    let mut a = replica::<Counts>(1);
    let (_, delta) = a.update(|register| register.set((0..100).map(|n| (n, n)).collect::<HashMap<_, _>>()));
    let mut b = replica::<Counts>(2);
    b.merge(over_the_wire(&delta)).unwrap();
    assert_equal(&a, &b);
    for replica in [a, b] {
        let again = Replica::<Counts>::decode(id(3), &replica.encode(), &Limits::default()).unwrap();
        assert_equal(&again, &replica);
        assert_eq!(again.value().unwrap().len(), 100);
    }
}

/// Two spellings of one number under one dot: a replica that understands it would write the other.
#[test]
fn a_counter_in_another_spelling() {
    for content in [vec![5], vec![0xcc, 5], vec![0xd3, 0, 0, 0, 0, 0, 0, 0, 5]] {
        let message = Message {
            replicas: vec![[1; 16]],
            events: vec![(0, 1, 1)],
            tree: Node::carrying([(0, 1, content.clone())]),
            ..Message::default()
        };
        let decoded = Delta::<PnCounter>::decode(&message.delta(), &Limits::default());
        assert_eq!(decoded.is_ok(), content.len() == 1, "{content:?}");
    }
}

/// A cover at the wrong node removes nothing where deltas come one by one, and did remove where they came grouped.
#[test]
fn a_misplaced_cover_that_counts_only_in_a_group() {
    type Map = AddWinsMap<u8, PnCounter>;
    let mut a = replica::<Map>(1);
    let (_, written) = a.update(|map| map.at(1).inc(5));
    let misplaced = Message {
        replicas: vec![[1; 16], [2; 16]],
        deps: vec![(0, 1)],
        events: vec![(1, 1, 1)],
        tree: Node::above([(vec![2], Node::covering([(0, 1, 1)]))]),
    };
    let misplaced = Delta::<Map>::decode(&misplaced.delta(), &Limits::default()).unwrap();
    let mut one_by_one = replica::<Map>(3);
    one_by_one.merge(written).unwrap();
    one_by_one.merge(misplaced).unwrap();
    let mut grouped = replica::<Map>(4);
    let Since::Delta(group) = one_by_one.delta_since(&grouped.version()) else {
        panic!("that is remembered")
    };
    assert_eq!(group.len(), 2);
    grouped.merge(over_the_wire(&group)).unwrap();
    assert_equal(&one_by_one, &grouped);
}

/// The tables of ids were checked against each other row by row: a message of a megabyte took minutes at the door.
#[test]
fn a_door_that_takes_quadratic_time() {
    let replicas: Vec<[u8; 16]> = (0..60_000_u128).map(|number| (number + 1).to_be_bytes()).collect();
    let children: Vec<_> = (0..60_000_u64)
        .map(|row| {
            let mut key = vec![0xce];
            key.extend((0x10_0000 + row as u32).to_be_bytes());
            (key, Node::covering([(row, 1, 1)]))
        })
        .collect();
    let message = Message {
        deps: (0..60_000).map(|row| (row, 1)).collect(),
        events: (0..60_000).map(|row| (row, 2, 1)).collect(),
        replicas,
        tree: Node::above(children),
    };
    let bytes = message.delta();
    let start = std::time::Instant::now();
    let limits = Limits { replicas: 60_000, ..Limits::default() };
    let delta = Delta::<Opaque>::decode(&bytes, &limits).unwrap();
    assert!(delta.len() == 60_000 && start.elapsed().as_secs() < 20, "took {:?}", start.elapsed());
}
