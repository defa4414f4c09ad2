//! Deltas inside a session: replica ids by numbers.

use tombolo_crdt::{
    AddWinsSet, Crdt, DecodeError, Delta, Doc, GCounter, Limits, Opaque, PnCounter, Replica, ReplicaId,
    Scalar, SessionNames,
};

fn id(of: u8) -> ReplicaId {
    ReplicaId::from_bytes([of; 16])
}

fn there_and_back<T: Crdt>(delta: &Delta<T>, names: &SessionNames) -> usize {
    let bytes = delta.encode_in(names);
    let back = Delta::<T>::decode_in(&bytes, names, &Limits::default()).unwrap();
    assert_eq!((back.encode(), back.encode_in(names)), (delta.encode(), bytes.clone()));
    let opaque = Delta::<Opaque>::decode_in(&bytes, names, &Limits::default()).unwrap();
    assert_eq!(opaque.encode_in(names), bytes);
    for end in 0..bytes.len() {
        assert!(Delta::<T>::decode_in(&bytes[..end], names, &Limits::default()).is_err(), "cut at {end}");
    }
    bytes.len()
}

#[test]
fn small_changes_are_small_also_after_many() {
    let names = SessionNames::new((60..160).map(id));
    let mut counter = Replica::<PnCounter>::new(id(70));
    let mut grow = Replica::<GCounter>::new(id(70));
    let mut set = Replica::<AddWinsSet<String>>::new(id(70));
    for round in 0..20_000_u32 {
        let deltas = (
            counter.update(|counter| counter.add(i64::from(round % 3) - 1)).1,
            grow.update(|counter| counter.inc(1)).1,
            set.update(|set| set.add(format!("{round:08}"))).1,
        );
        if round % 500 == 499 {
            assert!(there_and_back(&deltas.0, &names) <= 12);
            assert!(there_and_back(&deltas.1, &names) <= 12);
            assert!(there_and_back(&deltas.2, &names) <= 9 + 8);
        }
    }
}

#[test]
fn ids_without_a_number_are_told_in_full() {
    let mut ann = Replica::<Doc>::new(id(1));
    let mut bob = Replica::<Doc>::new(id(2));
    bob.merge(ann.update(|doc| doc.counter("seen").inc(1)).1).unwrap();
    let (_, delta) = bob.update(|doc| {
        doc.counter("seen").inc(1);
        doc.set("tags").extend((0..400).map(|n| Scalar::from(format!("tag {n}"))));
    });
    let sizes = [vec![], vec![id(1)], vec![id(2), id(1)], vec![id(9), id(2), id(8), id(1)]]
        .map(|ids| there_and_back(&delta, &SessionNames::new(ids)));
    assert_eq!((sizes[0] - sizes[1], sizes[1] - sizes[2], sizes[2] - sizes[3]), (16, 16, 0));
    assert!(there_and_back(&Replica::<Doc>::new(id(1)).update(|_| ()).1, &SessionNames::default()) > 0);
}

#[test]
fn what_does_not_fit_the_names_is_refused() {
    let mut ann = Replica::<GCounter>::new(id(1));
    let (_, delta) = ann.update(|counter| counter.inc(1));
    let (named, bare) = (SessionNames::new([id(7), id(1)]), SessionNames::default());
    let limits = Limits::default();
    let decode = |bytes: &[u8], names| Delta::<GCounter>::decode_in(bytes, names, &limits);
    assert!(decode(&delta.encode_in(&named), &bare).is_err(), "no such number");
    // In full, although there is a number for it.
    let full = delta.encode_in(&bare);
    let mut told = full.clone();
    told[1] = 2;
    assert_eq!((full[0], full[1]), (5, 0));
    assert!(decode(&told, &named).is_err());
    let few = Limits { replicas: 0, ..limits };
    assert!(matches!(
        Delta::<GCounter>::decode_in(&full, &bare, &few),
        Err(DecodeError::Limit { what: "replicas", .. })
    ));
    for lie in [0, 4, 1, 9, 200, 7] {
        let mut changed = full.clone();
        changed[0] = lie;
        assert!(decode(&changed, &bare).is_err());
    }
}
