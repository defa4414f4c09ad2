//! Large states: cut into slices, compressed, read one slice after the other, and kept by a store that writes only those
//! in which something changed.

use proptest::prelude::*;
use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Crdt, DecodeError, Decoding, Delta, Doc, Dot, EncodedState, Limits, LwwRegister,
    Mismatch, MvRegister, Opaque, Replica, ReplicaId, Scalar, Slice,
};
use tombolo_tests::model::cases;
use tombolo_tests::model::wire::{Message, Node, state};

type Notes = AddWinsMap<String, MvRegister<String>>;

fn id(of: u16) -> ReplicaId {
    let mut id = [of as u8; 16];
    id[0] = (of >> 8) as u8;
    ReplicaId::from_bytes(id)
}

/// Three replicas wrote 12 000 notes, overwrote some and removed some, at once and one after the other.
fn notes() -> Replica<Notes> {
    let mut all: Vec<Replica<Notes>> = (1..=3).map(|of| Replica::new(id(of))).collect();
    for round in 0..3 {
        let mut deltas = Vec::new();
        for (of, replica) in all.iter_mut().enumerate() {
            for part in 0..4 {
                let (_, delta) = replica.update(|notes| {
                    for n in 0..500 {
                        let number = (n * 7 + part * 500 + of * 1_000 + round * 900) % 12_000;
                        notes
                            .at(format!("note {number:05}"))
                            .set(format!("{of} says {number} in {round}: {}", "all is well ".repeat(n % 17)));
                        if n % 5 == 0 {
                            notes.remove(&format!("note {:05}", (number * 3) % 12_000));
                        }
                    }
                });
                deltas.push(delta);
            }
        }
        for replica in &mut all {
            for delta in &deltas {
                replica.merge(delta.clone()).unwrap();
            }
        }
    }
    assert_eq!(all[0].encode(), all[2].encode());
    all.swap_remove(0)
}

fn reassembled<T: Crdt>(slices: &[(Dot, Vec<u8>)]) -> Result<Replica<T>, DecodeError> {
    let mut decoding = Decoding::new(Replica::<T>::new(id(99)), &Limits::default());
    for (_, slice) in slices {
        decoding.take(&slice[..])?;
    }
    Ok(decoding.finish())
}

fn round<T: Crdt>(replica: &Replica<T>) {
    let bytes = replica.encode();
    let typed = Replica::<T>::decode(id(99), &bytes, &Limits::default()).unwrap();
    assert_eq!((typed.version(), typed.encode()), (replica.version(), bytes.clone()));
    let opaque = Replica::<Opaque>::decode(id(98), &bytes, &Limits::default()).unwrap();
    let again = Replica::<T>::decode(id(97), &opaque.encode(), &Limits::default()).unwrap();
    assert_eq!(again.encode(), bytes);
    let mut merged = Replica::<T>::new(id(96));
    merged.merge(Delta::decode_state(&bytes, &Limits::default()).unwrap()).unwrap();
    assert_eq!(merged.encode(), bytes);
    let slices = replica.slices(&[]);
    assert_eq!(reassembled::<T>(&slices).unwrap().encode(), bytes);
    for parts in [1, 2, 7] {
        let slices = replica.slices_in(parts);
        assert!(slices.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(reassembled::<T>(&slices).unwrap().encode(), bytes, "in {parts} parts");
        let starts: Vec<Dot> = slices.iter().map(|(start, _)| *start).collect();
        assert_eq!(reassembled::<T>(&replica.slices(&starts)).unwrap().encode(), bytes);
    }
    // What is weighed and what is copied is the same.
    let (hint, copied) = (replica.state_size_hint(), replica.state().size_hint());
    assert!(hint.abs_diff(copied) < 1_000 + copied / 50, "{hint}, {copied}");
}

/// The slices of what is alive below a base, each cut where it has about one of so many parts.
fn cut<T: Crdt>(replica: &Replica<T>, parts: usize, most: usize) -> Vec<Vec<u8>> {
    let base = replica.version();
    let (mut slices, mut from) = (Vec::new(), 0);
    while let Some(end) = replica.cut_below(&base, from, parts, most) {
        assert!(end > from);
        slices.push(replica.slice_below(&base, from..end).unwrap());
        from = end;
    }
    slices
}

fn read<T: Crdt>(slices: &[Vec<u8>]) -> Replica<T> {
    let mut decoding = Decoding::new(Replica::<T>::new(id(99)), &Limits::default());
    slices.iter().for_each(|slice| decoding.take(&slice[..]).unwrap());
    decoding.finish()
}

#[test]
fn what_is_cut_into_parts_has_about_as_many_of_equal_weight() {
    // What is alive lies close together, far behind much that is not.
    let mut set = Replica::<AddWinsSet<u32>>::new(id(1));
    for _ in 0..200 {
        let _ = set.update(|set| set.extend(0..500_u32));
        let _ = set.update(|set| (0..500).for_each(|n| _ = set.remove(&n)));
    }
    let _ = set.update(|set| set.extend(0..20_000_u32));
    for parts in [1, 2, 5, 30] {
        let slices = cut(&set, parts, usize::MAX);
        assert!(slices.len().abs_diff(parts) <= 1 + parts / 5, "{} for {parts}", slices.len());
        assert_eq!(read::<AddWinsSet<u32>>(&slices).encode(), set.encode());
    }
    // A limit is one in bytes.
    let (few, many) = (cut(&set, 1, 100_000).len(), cut(&set, 1, 10_000).len());
    assert!((3..6).contains(&few) && (35..45).contains(&many), "{few}, {many}");
    // If none is alive there is one that says so.
    let _ = set.update(|set| (0..20_000).for_each(|n| _ = set.remove(&n)));
    assert_eq!(cut(&set, 5, 1_000).len(), 1);
    assert_eq!(read::<AddWinsSet<u32>>(&cut(&set, 5, 1_000)).encode(), set.encode());
}

#[test]
fn large_states_of_every_shape_come_back() {
    let notes = notes();
    assert!(EncodedState::open::<Notes>(&notes.encode(), &Limits::default()).unwrap().len() > 1);
    round(&notes);

    let mut doc = Replica::<Doc>::new(id(1));
    for part in 0..40_u32 {
        let _ = doc.update(|doc| {
            for n in 0..200_u32 {
                let mut below = doc.map(&format!("part {part}"));
                let mut record = below.map(&format!("record {n}"));
                record.counter("seen").inc(u64::from(n));
                record.lww("title").set("a title of some length");
                record.set("tags").extend([Scalar::from(i64::from(n)), Scalar::from("tag")]);
            }
        });
    }
    round(&doc);

    // Many replicas with little each.
    let mut crowd = Replica::<AddWinsSet<String>>::new(id(0));
    for of in 1..=600 {
        let mut one = Replica::<AddWinsSet<String>>::new(id(of));
        let long = "long ".repeat(usize::from(of % 400));
        crowd.merge(one.update(|set| set.add(format!("{of} {long}"))).1).unwrap();
    }
    round(&crowd);

    // Values each of which is more than a slice.
    let mut large = Replica::<AddWinsMap<u8, LwwRegister<String>>>::new(id(1));
    for n in 0..5 {
        let _ = large.update(|map| map.at(n).set("x".repeat(150_000 * usize::from(n))));
    }
    round(&large);
    round(&Replica::<Notes>::new(id(1)));
}

#[test]
fn slices_in_which_nothing_changed_stay_the_same() {
    let mut notes = notes();
    let mut before = notes.slices(&[]);
    assert!(before.len() > 2, "{}", before.len());
    for round in 0..8_u32 {
        let _ = notes.update(|notes| {
            notes.at(format!("note {:05}", round * 1_377)).set("changed");
            notes.remove(&format!("note {:05}", round * 131));
        });
        let starts: Vec<Dot> = before.iter().map(|(start, _)| *start).collect();
        let after = notes.slices(&starts);
        let changed = after.iter().filter(|slice| !before.contains(slice)).count();
        // That of the new dots, and those of what was replaced and removed.
        assert!(changed <= 3, "{changed} of {} slices changed", after.len());
        assert_eq!(reassembled::<Notes>(&after).unwrap().encode(), notes.encode());
        before = after;
    }
}

#[test]
fn slices_grow_and_shrink_with_what_is_in_them() {
    let mut set = Replica::<AddWinsSet<u32>>::new(id(1));
    let mut slices = Vec::new();
    let mut starts: Vec<Dot> = Vec::new();
    let mut step = |set: &Replica<AddWinsSet<u32>>| {
        slices = set.slices(&starts);
        starts = slices.iter().map(|(start, _)| *start).collect();
        assert_eq!(reassembled::<AddWinsSet<u32>>(&slices).unwrap().encode(), set.encode());
        starts.len()
    };
    let mut most = 0;
    for part in 0..6_u32 {
        let _ = set.update(|set| set.extend(part * 10_000..(part + 1) * 10_000));
        most = step(&set);
    }
    assert!((2..=6).contains(&most), "60 000 elements of 21 are 1.3 MB, in slices of up to 512 KiB: {most}");
    for part in 0..6_u32 {
        let _ = set.update(|set| {
            (part * 10_000..(part + 1) * 10_000).for_each(|n| _ = n % 50 == 0 || set.remove(&n))
        });
        step(&set);
    }
    let few = step(&set);
    assert!(few == 1, "1 200 elements need no {few} slices");
}

#[test]
fn a_slice_that_is_missing_doubled_or_of_another_state_is_refused() {
    let slices = notes().slices(&[]);
    let refused = |order: &[usize]| {
        let chosen: Vec<_> = order.iter().map(|&at| slices[at].clone()).collect();
        assert_eq!(
            reassembled::<Notes>(&chosen).unwrap_err(),
            DecodeError::Mismatch(Mismatch::Events),
            "{order:?}"
        );
    };
    refused(&[1]);
    refused(&[0, 2]);
    refused(&[0, 0]);
    refused(&[0, 1, 0]);
    let wrong = reassembled::<AddWinsSet<String>>(&slices).unwrap_err();
    assert!(matches!(wrong, DecodeError::Mismatch(_)), "{wrong}");
}

#[test]
fn a_cut_before_the_first_dot_of_all_ids_is_none() {
    let mut set = Replica::<AddWinsSet<u64>>::new(id(0));
    let _ = set.update(|set| set.extend(0..20_000_u64));
    let nowhere = Dot { replica: id(0), counter: 0 };
    let slices = set.slices(&[nowhere]);
    assert_eq!(slices, set.slices(&[]));
    assert_eq!(reassembled::<AddWinsSet<u64>>(&slices).unwrap().encode(), set.encode());
}

#[test]
fn no_more_replicas_than_allowed_are_read_also_in_many_slices() {
    let mut all = Replica::<AddWinsSet<String>>::new(id(50));
    for of in 1..=4 {
        let mut one = Replica::<AddWinsSet<String>>::new(id(of));
        let long = "z".repeat(1_000);
        all.merge(one.update(|set| set.extend((0..300).map(|n| format!("{of} {n} {long}")))).1).unwrap();
    }
    let read = |replicas| {
        let limits = Limits { replicas, ..Limits::default() };
        let decoded = Replica::<AddWinsSet<String>>::decode(id(9), &all.encode(), &limits);
        let state = Delta::<AddWinsSet<String>>::decode_state(&all.encode(), &limits).is_ok();
        let read = Replica::<AddWinsSet<String>>::new(id(9)).read_state(&all.encode(), &limits).is_ok();
        assert_eq!((state, read), (decoded.is_ok(), decoded.is_ok()));
        decoded.is_ok()
    };
    assert!(read(4) && read(usize::MAX) && !read(3) && !read(0));
}

#[test]
fn a_state_has_one_form() {
    // Two slices of a set, cut after the first of three elements, which weighs little.
    let element = |n: u8| vec![0xa1, b'a' + n];
    let slice = |first: u8, last: u8| {
        let nodes = (first..=last).map(|n| (element(n), Node::carrying([(0, u64::from(n), vec![])])));
        let events = vec![(0, u64::from(first), u64::from(last - first + 1))];
        Message { replicas: vec![[7; 16]], events, tree: Node::above(nodes), ..Message::default() }.body()
    };
    let decode = |bytes: &[u8]| {
        let limits = Limits::default();
        let decoded = Replica::<AddWinsSet<String>>::decode(id(1), bytes, &limits);
        let state = Delta::<AddWinsSet<String>>::decode_state(bytes, &limits);
        assert_eq!(decoded.is_ok(), state.is_ok());
        decoded.map(|set| set.len())
    };
    assert_eq!(decode(&state("AddWinsSet", &[slice(1, 3)])), Ok(3));
    for cut in [&[slice(1, 1), slice(2, 3)][..], &[slice(2, 3)], &[slice(1, 2), slice(2, 3)]] {
        assert!(decode(&state("AddWinsSet", cut)).is_err());
    }
    // A slice without events, and one behind the last.
    let nothing = Message::default().body();
    assert_eq!(decode(&state("AddWinsSet", &[])), Ok(0));
    assert!(decode(&state("AddWinsSet", std::slice::from_ref(&nothing))).is_err());
    assert!(decode(&state("AddWinsSet", &[slice(1, 3), nothing])).is_err());
    // One slice where the encoding asks for two.
    let mut large = Replica::<AddWinsSet<String>>::new(id(7));
    let _ = large.update(|set| set.extend((0..20_000).map(|n| format!("{n:05}"))));
    let whole = large.slices(&[]);
    assert_eq!(whole.len(), 1, "a store may cut as it likes, up to twice as much");
    let whole = state("AddWinsSet", &[whole[0].1.clone()]);
    assert!(decode(&whole).is_err());
}

#[test]
fn what_is_compressed_may_lie_about_its_length() {
    let mut set = Replica::<AddWinsSet<String>>::new(id(7));
    let (_, delta) = set.update(|set| set.extend((0..500).map(|n| format!("element {n}"))));
    let body = delta.encode_body();
    // 93, names: 91 c4 10 and 16 bytes, length: cd and two bytes.
    assert_eq!((body[0], body[20]), (0x93, 0xcd));
    let told = u16::from_be_bytes([body[21], body[22]]);
    let decode = |told: u16, limits: &Limits| {
        let mut changed = body.clone();
        changed[21..23].copy_from_slice(&told.to_be_bytes());
        Delta::<AddWinsSet<String>>::decode_body(&changed, limits)
    };
    assert!(decode(told, &Limits::default()).is_ok());
    for lie in [0, 100, 1_023, told - 1, told + 1, u16::MAX] {
        assert!(decode(lie, &Limits::default()).is_err(), "{lie}");
    }
    let little = Limits { memory: usize::from(told) - 1, ..Limits::default() };
    assert!(matches!(decode(told, &little), Err(DecodeError::Limit { what: "memory", .. })));
    for at in 23..body.len() {
        let mut changed = body.clone();
        changed[at] ^= 0x11;
        // zstd itself has no checksum here: what surrounds the message does. It must not be another form of the same.
        if let Ok(other) = Delta::<AddWinsSet<String>>::decode_body(&changed, &Limits::default()) {
            let _ = other.encode_body();
        }
    }
}

proptest! {
    #![proptest_config(cases(12))]

    /// Whatever the cuts were before, also such as were never made: the slices make up the state.
    #[test]
    fn slices_make_up_the_state_wherever_they_were_cut(
        writes in prop::collection::vec((1..6_u16, 1..400_usize, 1..3_000_usize), 1..12),
        before in prop::collection::vec((1..8_u16, 1..5_000_u64), 0..12),
    ) {
        let mut all = Replica::<AddWinsSet<String>>::new(id(50));
        let mut writers: Vec<_> = (1..6).map(|of| Replica::<AddWinsSet<String>>::new(id(of))).collect();
        for (of, count, length) in writes {
            let writer = &mut writers[usize::from(of) - 1];
            let from = writer.len();
            let (_, delta) = writer.update(|set| {
                set.extend((0..count).map(|n| format!("{of} {} {}", n + from, "z".repeat(length))));
                for n in 0..count / 3 {
                    set.remove(&format!("{of} {} {}", n * 3 + from, "z".repeat(length)));
                }
            });
            all.merge(delta).unwrap();
        }
        let before: Vec<Dot> = before.into_iter().map(|(of, counter)| Dot { replica: id(of), counter }).collect();
        let slices = all.slices(&before);
        prop_assert!(slices.windows(2).all(|pair| pair[0].0 < pair[1].0));
        prop_assert_eq!(reassembled::<AddWinsSet<String>>(&slices).unwrap().encode(), all.encode());
        let starts: Vec<Dot> = slices.iter().map(|(start, _)| *start).collect();
        prop_assert_eq!(all.slices(&starts), slices, "cuts that were made once stay");
        let parts = 1 + before.len() * 3;
        prop_assert_eq!(reassembled::<AddWinsSet<String>>(&all.slices_in(parts)).unwrap().encode(), all.encode());
        prop_assert_eq!(read::<AddWinsSet<String>>(&cut(&all, parts, usize::MAX)).encode(), all.encode());
        let limits = Limits::default();
        let bytes = all.encode();
        let opened = EncodedState::open::<AddWinsSet<String>>(&bytes, &limits).unwrap();
        let parts: Vec<Slice<'_>> = opened.into_iter().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(parts.len(), opened.len());
    }
}
