//! Types that remember removals, and places where many have written: what they read, and what they refuse.

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, DecodeError, Delta, Limits, LwwMap, Merged, MvRegister, PnCounter, Refused,
    RemoveWinsSet, Replica, ReplicaId, TwoPhaseSet,
};

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

#[test]
fn what_is_out_is_counted_apart_and_found_nowhere() {
    let mut guests = Replica::<RemoveWinsSet<String>>::new(id(1));
    let _ = guests.update(|guests| {
        guests.extend(["ann", "anton", "bob", "bert"]);
        assert!(guests.remove("bob") && guests.remove("anton") && !guests.remove("nobody"));
    });
    assert_eq!((guests.len(), guests.removed_len()), (2, 3));
    assert_eq!(guests.iter().collect::<Vec<_>>(), ["ann", "bert"]);
    assert_eq!(guests.prefix("an").collect::<Vec<_>>(), ["ann"]);
    assert_eq!(guests.range("b".to_owned()..).collect::<Vec<_>>(), ["bert"]);

    let mut tickets = Replica::<TwoPhaseSet<String>>::new(id(1));
    let _ = tickets.update(|tickets| {
        assert_eq!(tickets.extend(["a1", "a2", "b1"]), 3);
        assert!(tickets.remove("a1") && !tickets.remove("a1"));
        assert_eq!(tickets.extend(["a1", "a3"]), 1);
    });
    assert_eq!((tickets.len(), tickets.removed_len(), tickets.was_removed("a1")), (3, 1, true));
    assert_eq!(tickets.prefix("a").collect::<Vec<_>>(), ["a2", "a3"]);

    let mut settings = Replica::<LwwMap<String, i64>>::new(id(1));
    let _ = settings.update(|settings| {
        settings.set("view.size", 3);
        settings.set("view.zoom", 4);
        settings.set("window", 5);
        assert!(settings.remove("view.zoom") && !settings.remove("nothing"));
    });
    assert_eq!((settings.len(), settings.removed_len()), (2, 1));
    assert_eq!(settings.prefix("view.").collect::<Vec<_>>(), [(&"view.size".to_owned(), &3)]);
    assert!(settings.removed_at("view.zoom") > settings.stamp("window"));
    assert_eq!((settings.removed_at("window"), settings.stamp("view.zoom")), (None, None));
}

#[test]
fn elements_of_another_type_are_refused_at_the_door() {
    let mut words = Replica::<RemoveWinsSet<String>>::new(id(1));
    let (_, delta) = words.update(|words| words.add("word"));
    let (bytes, limits) = (delta.encode_body(), Limits::default());
    assert!(matches!(
        Delta::<RemoveWinsSet<u8>>::decode_body(&bytes, &limits),
        Err(DecodeError::Mismatch(_))
    ));
    assert!(matches!(Delta::<TwoPhaseSet<u8>>::decode_body(&bytes, &limits), Err(DecodeError::Mismatch(_))));
    assert!(matches!(
        Delta::<LwwMap<String, u8>>::decode_body(&bytes, &limits),
        Err(DecodeError::Mismatch(_))
    ));
    assert!(Delta::<RemoveWinsSet<String>>::decode_body(&bytes, &limits).is_ok());
}

/// What waits is bounded by its bytes, and what has been applied takes no more room.
#[test]
fn large_deltas_wait_up_to_sixteen_mebibytes_and_then_no_more() {
    let (mut ann, mut bob) =
        (Replica::<AddWinsSet<String>>::new(id(1)), Replica::<AddWinsSet<String>>::new(id(2)));
    for round in 0..3 {
        let (_, lost) = ann.update(|set| set.add(format!("small {round}")));
        let large: Vec<_> = (0..18)
            .map(|number| ann.update(|set| set.add(format!("{round} {number} {}", "x".repeat(1 << 20)))).1)
            .collect();
        let mut waiting = 0;
        let refused = large.iter().find_map(|delta| match bob.merge(delta.clone()) {
            Ok(Merged::Pending(missing)) => {
                assert!(missing.dominates(&lost.events()));
                // Again and again is once.
                assert!(matches!(bob.merge(delta.clone()), Ok(Merged::Pending(_))));
                waiting += 1;
                None
            }
            other => Some(other),
        });
        assert!(matches!(refused, Some(Err(Refused::BufferFull { .. }))), "{refused:?}");
        assert!((14..=16).contains(&waiting) && bob.pending() == waiting, "{waiting}");
        bob.merge(lost).unwrap();
        assert_eq!(bob.pending(), 0);
        for delta in large {
            assert!(matches!(bob.merge(delta), Ok(Merged::Applied | Merged::AlreadyKnown)));
        }
        assert_eq!(ann.version(), bob.version());
        bob.merge(ann.update(|set| set.clear()).1).unwrap();
    }
}

#[test]
fn what_goes_on_waiting_still_takes_its_room() {
    let mut bob = Replica::<AddWinsSet<String>>::new(id(9));
    let [ann, cat, dan] = [1, 2, 3].map(|number| {
        let mut writer = Replica::<AddWinsSet<String>>::new(id(number));
        let mut write = |text: String| writer.update(|set| set.add(text)).1;
        let lost = write(number.to_string());
        (lost, (0..10).map(|n| write(format!("{number} {n} {}", "x".repeat(1 << 20)))).collect::<Vec<_>>())
    });
    for large in ann.1[..8].iter().chain(&cat.1[..6]) {
        assert!(matches!(bob.merge(large.clone()), Ok(Merged::Pending(_))));
    }
    bob.merge(cat.0).unwrap();
    assert_eq!(bob.pending(), 8);
    let waiting = dan.1.iter().take_while(|&large| bob.merge(large.clone()).is_ok()).count();
    assert!((6..=8).contains(&waiting), "{waiting}");
}

/// Many dots in one place: what is taken out is what was seen, however many that is.
#[test]
fn a_removal_takes_as_many_pieces_as_it_has_seen() {
    type Stock = AddWinsMap<u8, PnCounter>;
    const PIECES: u8 = 24;
    for seen in 0..=PIECES {
        // Others before and after, so that places are looked for.
        let mut others: Vec<Delta<Stock>> = Vec::new();
        for other in [1, 2, 3, 250, 251, 252] {
            let mut other = Replica::<Stock>::new(id(other));
            others.extend((0..3).map(|_| other.update(|stock| stock.at(0).inc(100)).1));
        }
        let (mut ann, mut bob) = (Replica::<Stock>::new(id(100)), Replica::<Stock>::new(id(200)));
        let pieces: Vec<_> = (0..PIECES).map(|_| ann.update(|stock| stock.at(0).inc(1)).1).collect();
        pieces[..usize::from(seen)].iter().for_each(|piece| _ = bob.merge(piece.clone()).unwrap());
        let (_, removal) = bob.update(|stock| stock.remove(&0));
        for delta in &others {
            ann.merge(delta.clone()).unwrap();
        }
        ann.merge(removal).unwrap();
        for delta in others.iter().rev().chain(&pieces) {
            bob.merge(delta.clone()).unwrap();
        }
        let value = ann.get(&0).unwrap().value();
        assert_eq!(value, 6 * 3 * 100 + i64::from(PIECES - seen), "{seen}");
        assert_eq!(ann.encode(), bob.encode(), "{seen}");
    }
}

#[test]
fn a_write_replaces_the_values_it_has_seen_of_many() {
    const WRITERS: u8 = 20;
    for seen in 0..=WRITERS {
        let mut written = Vec::new();
        for writer in 1..=WRITERS {
            let mut replica = Replica::<MvRegister<u8>>::new(id(writer.wrapping_mul(37)));
            written.push(replica.update(|register| register.set(writer)).1);
        }
        let (mut ann, mut bob) =
            (Replica::<MvRegister<u8>>::new(id(128)), Replica::<MvRegister<u8>>::new(id(129)));
        written[..usize::from(seen)].iter().for_each(|delta| _ = ann.merge(delta.clone()).unwrap());
        let (_, over) = ann.update(|register| register.set(0));
        written.iter().rev().for_each(|delta| _ = bob.merge(delta.clone()).unwrap());
        bob.merge(over).unwrap();
        written.iter().for_each(|delta| _ = ann.merge(delta.clone()).unwrap());
        let mut left: Vec<u8> = bob.values().copied().collect();
        left.sort_unstable();
        assert_eq!(left, [0].into_iter().chain(seen + 1..=WRITERS).collect::<Vec<_>>());
        assert_eq!(ann.encode(), bob.encode());
    }
}
