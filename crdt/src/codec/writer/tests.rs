//! What is said of one place alone is written and read in a short way: to the same bytes as in the long one, and nothing else.

use super::*;
use crate::{
    AddWinsMap, AddWinsSet, Crdt, Delta, Doc, GCounter, Limits, LwwRegister, Replica, ReplicaId, Text,
};

/// How many of these changes, one after the other, go the short way.
fn short<T: Crdt>(changes: u64, mut write: impl FnMut(&mut T::Mut<'_>, u64)) -> usize {
    let mut replica = Replica::<T>::new(ReplicaId::from_bytes([7; 16]));
    // Of several replicas, of which few are named.
    let mut other = Replica::<T>::new(ReplicaId::from_bytes([9; 16]));
    replica.merge(other.update(|value| write(value, 0)).1).unwrap();
    replica.set_time(1_790_000_000_000);
    let mut count = 0;
    for n in 1..=changes {
        let (_, delta) = replica.update(|value| write(value, n));
        let rows = Rows::of(&delta.parts);
        let long = columns_of_any(&rows, &delta.parts);
        let mut short = Vec::new();
        if write_columns_of_one(&rows, &delta.parts, &mut short) {
            assert_eq!(short, long);
            count += 1;
        }
        understood::<T>(&delta.encode_body());
        // Every bit changed: what is read is what would be written in the long way.
        let body = delta.encode_body();
        for at in 0..body.len() {
            for bit in 0..8 {
                let mut changed = body.clone();
                changed[at] ^= 1 << bit;
                understood::<T>(&changed);
            }
        }
    }
    count
}

fn understood<T: Crdt>(body: &[u8]) {
    if let Ok(delta) = Delta::<T>::decode_body(body, &Limits::default()) {
        let columns = columns_of_any(&Rows::of(&delta.parts), &delta.parts);
        assert!(body.ends_with(&columns), "{body:02x?} is read as {columns:02x?}");
    }
}

#[test]
fn one_event_is_written_and_read_in_the_short_way_as_in_the_long_one() {
    assert!(short::<GCounter>(20, |counter, n| counter.inc(n + 1)) > 10);
    let typed = |text: &mut <Text as Crdt>::Mut<'_>, n: u64| match n % 5 {
        3 => text.insert(0, "é").unwrap(),
        4 => text.delete(0..1).unwrap(),
        _ => text.push("x"),
    };
    assert!(short::<Text>(20, typed) > 10);
    let marked = |set: &mut <AddWinsSet<String> as Crdt>::Mut<'_>, n: u64| {
        if n % 3 == 2 {
            set.remove("key 1");
        } else {
            set.add(format!("key {}", n % 3));
        }
    };
    assert!(short::<AddWinsSet<String>>(20, marked) > 10);
    type Map = AddWinsMap<String, AddWinsMap<String, LwwRegister<u64>>>;
    let set = |map: &mut <Map as Crdt>::Mut<'_>, n: u64| match n % 4 {
        3 => _ = map.remove("the same beginning"),
        _ => map.at("the same beginning").at("the same beginning, and more").set(n),
    };
    assert!(short::<Map>(20, set) > 10);
    let edited = |doc: &mut <Doc as Crdt>::Mut<'_>, n: u64| match n % 3 {
        0 => doc.map("view").counter("visits").inc(1),
        1 => doc.map("view").register("title").set(n as i64),
        _ => _ = doc.map("view").remove("title"),
    };
    assert!(short::<Doc>(20, edited) > 5);
}
