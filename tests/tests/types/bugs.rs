//! One test for each convergence bug that other libraries have had and that could be had here, and for each that this
//! one has had; the smallest case of it, under the name of what went wrong.

mod other_libraries_had;
mod this_one_had;
mod this_one_must_not_have;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Crdt, Delta, Doc, EnableWinsFlag, GCounter, Kind, Limits, LwwRegister,
    MAX_COUNTER, MAX_DRIFT_MILLIS, Merged, Mut, MvRegister, Opaque, PnCounter, Refused, Replica, ReplicaId,
    Scalar, Since, Stamp, Text,
};
use tombolo_tests::model::wire::{Message, Node};

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

fn replica<T: Crdt>(number: u8) -> Replica<T> {
    Replica::new(id(number))
}

fn over_the_wire<T: Crdt>(delta: &Delta<T>) -> Delta<T> {
    Delta::decode(&delta.encode(), &Limits::default()).unwrap()
}

fn assert_equal<T: Crdt>(a: &Replica<T>, b: &Replica<T>) {
    assert_eq!((a.version(), a.encode()), (b.version(), b.encode()));
}

/// Takes in each other's whole state.
fn exchange<T: Crdt>(a: &mut Replica<T>, b: &mut Replica<T>) {
    let (of_a, of_b) = (a.state(), b.state());
    a.merge(of_b).unwrap();
    b.merge(of_a).unwrap();
    assert_equal(a, b);
}

/// Two replicas of which each has removed the other's adding and kept one that the other has removed: present on both
/// sides, and to be dropped.
fn on_both_sides<T: Crdt>(
    add: impl for<'a> Fn(&mut T::Mut<'a>),
    remove: impl for<'a> Fn(&mut T::Mut<'a>),
) -> (Replica<T>, Replica<T>) {
    let (_, a1) = replica::<T>(1).update(|value| add(value));
    let (_, b1) = replica::<T>(2).update(|value| add(value));
    let removes_one_keeps_other = |number, removed: &Delta<T>, kept: &Delta<T>| {
        let mut replica = replica::<T>(number);
        replica.merge(removed.clone()).unwrap();
        let _ = replica.update(|value| remove(value));
        replica.merge(kept.clone()).unwrap();
        replica
    };
    (removes_one_keeps_other(3, &b1, &a1), removes_one_keeps_other(4, &a1, &b1))
}

/// A kind that is removed and written again in one transaction: its key had two places in the delta, which all others
/// refused, and the author's own store as well.
#[test]
fn a_kind_removed_and_written_again_in_one_transaction_has_one_place() {
    let mut a = Replica::<Doc>::new(id(1));
    let mut b = Replica::<Doc>::new(id(2));
    let send = |delta: Delta<Doc>, b: &mut Replica<Doc>| {
        b.merge(Delta::decode_body(&delta.encode_body(), &Limits::default()).unwrap()).unwrap();
    };
    send(
        a.update(|doc| {
            doc.set("s").add("e");
            doc.map("m").register("x").set(1);
        })
        .1,
        &mut b,
    );
    let (_, delta) = a.update(|doc| {
        doc.set("s").add("e");
        doc.remove_kind("s", Kind::Set);
        doc.set("s").add("e");
        doc.map("m").register("x").set(2);
        doc.remove_kind("m", Kind::Map);
        doc.map("m").register("x").set(3);
    });
    send(delta, &mut b);
    assert_eq!((a.version(), a.encode()), (b.version(), b.encode()));
}

/// Dots in the wrong order, one by one, into a leaf that is full, and runs of one dot each taken out of it: both cost time
/// with the square of their number.
#[test]
fn many_dots_in_one_leaf_cost_no_square() {
    let work = |n: u64| {
        let (low, high) = (vec![[1; 16]], vec![[0xff; 16]]);
        let message = |replicas: &Vec<[u8; 16]>, first: u64, tree: Node| {
            let events = vec![(0, first, n)];
            let body = Message { replicas: replicas.clone(), events, tree, ..Message::default() }.body();
            let limits = Limits { memory: 1 << 30, ..Limits::default() };
            Delta::<EnableWinsFlag>::decode_body(&body, &limits).unwrap()
        };
        let carried = |step: usize| Node::carrying((1..=n).step_by(step).map(|counter| (0, counter, vec![])));
        let runs = (1..=n).step_by(2).map(|counter| (0, counter, 1));
        let deltas = [
            message(&high, 1, carried(1)),
            message(&low, 1, carried(2)),
            message(&low, n + 1, Node::covering(runs)),
        ];
        let mut flag = Replica::<EnableWinsFlag>::new(id(9));
        let begun = std::time::Instant::now();
        deltas.into_iter().for_each(|delta| assert_eq!(flag.merge(delta), Ok(Merged::Applied)));
        begun.elapsed()
    };
    let best = |n| (0..20).map(|_| work(n)).min().unwrap();
    let (some, many) = (best(10_000), best(80_000));
    // In the square it would be 64 times as long.
    assert!(many < 32 * some, "{many:?} for eight times what takes {some:?}");
}

/// The same dots named below many keys, of which every other is carried below one: who looked at what is carried below each would take the product of
/// both.
#[test]
fn many_covers_beside_much_that_is_carried_cost_no_product() {
    type Pages = AddWinsMap<String, Text>;
    let key = |nth: u64| [&[0xa6][..], format!("{nth:06}").as_bytes()].concat();
    let work = |n: u64| {
        let delta = |events, children: Vec<(Vec<u8>, Node)>| {
            let tree = Node::above(children);
            let body =
                Message { replicas: vec![[1; 16]], events: vec![events], tree, ..Message::default() }.body();
            Delta::<Pages>::decode_body(&body, &Limits::default()).unwrap()
        };
        let letter = |counter| (0, counter, b"a".to_vec());
        // On each page a letter of the same author; then on one of them many more.
        let pages = delta((0, 1, n), (1..=n).map(|nth| (key(nth), Node::carrying([letter(nth)]))).collect());
        let (from, to) = (n + 1, 3 * n);
        let many = Node::carrying((from..=to).step_by(2).map(letter));
        let covering = (1..=n).map(|nth| (key(nth), Node::covering([(0, from, to - from + 1)])));
        let hostile = delta((0, from, 2 * n), [(key(0), many)].into_iter().chain(covering).collect());
        let mut replica = replica::<Pages>(9);
        assert_eq!(replica.merge(pages), Ok(Merged::Applied));
        let begun = std::time::Instant::now();
        assert_eq!(replica.merge(hostile), Ok(Merged::Applied));
        let took = begun.elapsed();
        assert_eq!(
            (replica.len(), replica.get("000000").map(|page| page.len())),
            (n as usize + 1, Some(n as usize))
        );
        took
    };
    let best = |n| (0..10).map(|_| work(n)).min().unwrap();
    let (some, many) = (best(500), best(4_000));
    // As a product it would be 64 times as long.
    assert!(many < 32 * some, "{many:?} for eight times what takes {some:?}");
}

/// Found by review. Below each of many keys all runs of a text are named, and they stand below another: who looked for them below each would take the
/// product of both.
#[test]
fn many_keys_below_which_all_runs_are_named_cost_no_product() {
    let work = |n: u64| {
        let mut replica = replica::<Text>(1);
        let _ = replica.update(|text| (0..n).for_each(|_| text.insert(0, "a").unwrap()));
        let (state, last) = (replica.encode(), replica.version().get(id(1)));
        let key = |nth: u64| u128::from(nth).to_be_bytes().to_vec();
        let naming = (0..n).map(|nth| (key(nth << 8), Node::covering([(0, 1, last)])));
        let body = Message {
            replicas: vec![[1; 16], [2; 16]],
            deps: vec![(0, last)],
            events: vec![(1, 1, 1)],
            tree: Node::above(naming),
        }
        .body();
        let hostile = Delta::<Text>::decode_body(&body, &Limits::default()).unwrap();
        let begun = std::time::Instant::now();
        assert_eq!(replica.merge(hostile), Ok(Merged::Applied));
        let took = begun.elapsed();
        // None of them stands below a key as these.
        assert_eq!(replica.state().len(), last + 1);
        let told_of_author = replica.encode().len().checked_sub(state.len());
        assert!(told_of_author.is_some_and(|bytes| bytes < 32), "{told_of_author:?}");
        took
    };
    let best = |n| (0..10).map(|_| work(n)).min().unwrap();
    let (some, many) = (best(250), best(2_000));
    // As a product it would be 64 times as long.
    assert!(many < 32 * some, "{many:?} for eight times what takes {some:?}");
}

/// Found by fuzzing. An edit of a copy names the same letters over and over, of a text that two wrote in turns: who looked for them each time would
/// take the product of both.
#[test]
fn letters_that_an_edit_names_again_and_again_cost_no_product() {
    let work = |n: u64| {
        let (mut ann, mut bob) = (replica::<Text>(1), replica::<Text>(2));
        for _ in 0..n {
            bob.merge(ann.update(|text| text.push("a")).1).unwrap();
            ann.merge(bob.update(|text| text.push("b")).1).unwrap();
        }
        let mut edit = serde_json::to_value(ann.snapshot().edited("")).unwrap();
        let named = &mut edit["parts"][0]["deleted"];
        let mut of_ann = named[0].clone();
        of_ann[1] = u64::MAX.into();
        *named = vec![of_ann; n as usize].into();
        let edit = serde_json::from_value(edit).unwrap();
        let begun = std::time::Instant::now();
        let _ = ann.update(|text| text.apply(&edit));
        let took = begun.elapsed();
        assert_eq!(ann.to_string(), "b".repeat(n as usize));
        took
    };
    let best = |n| (0..5).map(|_| work(n)).min().unwrap();
    let (some, many) = (best(250), best(2_000));
    // As a product it would be 64 times as long.
    assert!(many < 32 * some, "{many:?} for eight times what takes {some:?}");
}

/// Found by a random program. What one typed hung in the middle of what another had typed and was removed with its key; the ghosts were
/// forgotten, for nothing hangs behind the last of them.
#[test]
fn what_hangs_within_removed_text_stays_where_it_is() {
    type Pages = AddWinsMap<u64, Text>;
    let (mut ann, mut bob) = (replica::<Pages>(1), replica::<Pages>(2));
    bob.merge(ann.update(|pages| pages.at(1_u64).push("ab")).1).unwrap();
    let _ = bob.update(|pages| pages.at(1_u64).push("x"));
    bob.merge(ann.update(|pages| pages.at(1_u64).push("cd")).1).unwrap();
    bob.merge(ann.update(|pages| pages.remove(&1)).1).unwrap();
    bob.merge(ann.update(|pages| pages.at(1_u64).push("e")).1).unwrap();
    exchange(&mut ann, &mut bob);
    let again = Replica::<Pages>::decode(id(3), &bob.encode(), &Limits::default()).unwrap();
    for replica in [&ann, &bob, &again] {
        assert_eq!(replica.get(&1).map(Text::to_string).as_deref(), Some("xe"));
    }
}

/// Found by review. What was said of where letters stand that a transaction wrote outlived it when it was undone, and was taken for true of
/// other letters that came under the same dots: deleted by another, they stayed.
#[test]
fn a_transaction_that_is_undone_leaves_nothing_behind_of_where_letters_stood() {
    let (mut ann, mut bob) = (replica::<Doc>(1), replica::<Doc>(2));
    let body = |replica: &Replica<Doc>| replica.get("t").unwrap().text().unwrap().to_string();
    let write = |ann: &mut Replica<Doc>, bob: &mut Replica<Doc>, write: &dyn Fn(&mut Mut<'_, Text>)| {
        bob.merge(ann.update(|doc| write(&mut doc.text("t"))).1).unwrap();
    };
    for _ in 0..60 {
        write(&mut ann, &mut bob, &|text| text.insert(0, "p").unwrap());
    }
    write(&mut ann, &mut bob, &|text| text.insert(60, "abcd").unwrap());
    write(&mut ann, &mut bob, &|text| text.delete(63..64).unwrap());
    let undone: Result<((), _), ()> = ann.try_update(|doc| {
        doc.text("t").insert(63, "ef").unwrap();
        doc.counter("n").inc(1);
        doc.text("t").insert(65, "g").unwrap();
        doc.text("t").delete(64..65).unwrap();
        Err(())
    });
    assert!(undone.is_err() && body(&ann) == body(&bob));
    write(&mut ann, &mut bob, &|text| text.insert(0, "0123456789").unwrap());
    write(&mut ann, &mut bob, &|text| text.delete(9..10).unwrap());
    write(&mut ann, &mut bob, &|text| text.insert(9, "z").unwrap());
    ann.merge(bob.update(|doc| doc.text("t").delete(3..4).unwrap()).1).unwrap();
    assert_equal(&ann, &bob);
    assert_eq!(body(&ann), body(&bob));
    assert!(body(&ann).starts_with("01245678zppp"));
}
