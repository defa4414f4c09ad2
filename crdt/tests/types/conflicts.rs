//! Every place where concurrent writers left more than one value is listed, and no other.

#![cfg(feature = "derive")]

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Claim, Crdt, Doc, LwwMap, Mut, MvRegister, Plain, PnCounter, Replica, ReplicaId,
    Stamp,
};

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

/// Two replicas that wrote at once, and have heard of each other.
fn at_once<T: Crdt>(
    hers: impl for<'a> FnOnce(&mut T::Mut<'a>),
    his: impl for<'a> FnOnce(&mut T::Mut<'a>),
) -> Replica<T> {
    let (mut ann, mut bob) = (Replica::<T>::new(id(1)), Replica::<T>::new(id(2)));
    ann.set_time(2_000);
    bob.set_time(1_000);
    let (_, hers) = ann.update(hers);
    let (_, his) = bob.update(his);
    ann.merge(his).unwrap();
    bob.merge(hers).unwrap();
    assert_eq!(ann.conflicts(), bob.conflicts());
    bob
}

fn claim(value: impl Into<Plain>, by: u8, at: Option<u64>) -> Claim {
    let at = at.map(|millis| Stamp { millis, logical: 0 });
    Claim { value: Some(value.into()), by: vec![id(by)], at }
}

#[derive(Crdt)]
struct Card {
    #[crdt(lww)]
    title: String,
    #[crdt(mv)]
    colours: i64,
    labels: AddWinsSet<String>,
    votes: PnCounter,
    settings: LwwMap<String, i64>,
    shape: Shape,
}

#[derive(Crdt)]
enum Shape {
    Circle(#[crdt(mv)] i64),
    Nowhere,
}

#[test]
fn registers_say_who_wrote_what_and_when() {
    let mut cards = at_once::<AddWinsMap<String, Card>>(
        |cards| {
            let mut card = cards.by_ref().entry("dig");
            card.title().set("hers");
            card.colours().set(1);
            card.labels().add("both");
            card.votes().inc(1);
            card.settings().set("size", 3);
            card.settings().set("hers alone", 3);
            card.shape().choose_circle().field_0().set(5);
        },
        |cards| {
            let mut card = cards.by_ref().entry("dig");
            card.title().set("his");
            card.colours().set(2);
            card.labels().add("both");
            card.votes().inc(1);
            card.settings().set("size", 4);
            card.settings().remove("size");
            card.shape().choose_nowhere();
        },
    );
    let found = cards.conflicts();
    let path = |parts: &[&str]| parts.iter().map(|part| Plain::from(*part)).collect::<Vec<_>>();
    let of = |parts: &[&str]| &found.iter().find(|conflict| conflict.path == path(parts)).unwrap().values[..];
    assert_eq!(found.len(), 4, "{found:?}");
    // What is shown comes first.
    let ["hers", "his"] = of(&["dig", "title"])
        .iter()
        .map(|claim| claim.value.as_ref().unwrap().as_text().unwrap())
        .collect::<Vec<_>>()[..]
    else {
        panic!("the later one first")
    };
    assert_eq!(cards.get("dig").unwrap().title.value().map(String::as_str), Some("hers"));
    assert_eq!(of(&["dig", "colours"]), [claim(1, 1, None), claim(2, 2, None)]);
    let size = of(&["dig", "settings", "size"]);
    assert_eq!((&size[0].value, &size[1].value), (&Some(Plain::from(3)), &None), "his is a removal");
    assert_eq!((&size[0].by[..], &size[1].by[..]), (&[id(1)][..], &[id(2)][..]));
    assert_eq!(size[1].at.unwrap().millis, 1_000);
    assert_eq!(of(&["dig", "shape"])[0].value, Some("Circle".into()));
    // Who has seen both settles it.
    let _ = cards.update(|cards| {
        let mut card = cards.at("dig");
        card.title().set("ours");
        card.colours().set(3);
        card.settings().set("size", 5);
        card.shape().choose_nowhere();
    });
    assert_eq!(cards.conflicts(), []);
}

#[test]
fn a_name_used_as_two_types_is_listed_with_both() {
    let doc = at_once::<Doc>(
        |doc| doc.map("garden").counter("size").inc(3),
        |doc| doc.map("garden").register("size").set("big"),
    );
    let [conflict] = &doc.conflicts()[..] else { panic!("one place") };
    assert_eq!(conflict.path, ["garden".into(), "map".into(), "size".into()]);
    let counter = Plain::Map([("counter".into(), 3.into())].into());
    assert_eq!((&conflict.values[0].value, &conflict.values[0].by[..]), (&Some(counter), &[id(1)][..]));
    assert_eq!(conflict.values[1].by, [id(2)]);
}

#[test]
fn of_equal_stamps_the_one_that_is_shown_comes_first() {
    let (mut ann, mut bob) = (Replica::<LwwMap<u8, i64>>::new(id(1)), Replica::<LwwMap<u8, i64>>::new(id(2)));
    let write = |value: i64| move |map: &mut Mut<'_, LwwMap<u8, i64>>| map.set(1, value);
    let (_, hers) = ann.update(write(10));
    let (_, his) = bob.update(write(20));
    ann.merge(his).unwrap();
    bob.merge(hers).unwrap();
    assert_eq!(ann.get(&1), Some(&20));
    assert_eq!(ann.conflicts()[0].values[0].value, Some(20.into()));
}

#[test]
fn many_writers_are_in_the_order_that_is_the_same_everywhere() {
    let mut all: Vec<_> = (1..6).map(|number| Replica::<MvRegister<i64>>::new(id(number))).collect();
    let deltas: Vec<_> = all.iter_mut().map(|one| one.update(|register| register.set(7)).1).collect();
    for delta in deltas.into_iter().rev() {
        all[2].merge(delta).unwrap();
    }
    let by: Vec<_> = all[2].conflicts()[0].values.iter().map(|claim| claim.by[0]).collect();
    assert_eq!(by, (1..6).map(id).collect::<Vec<_>>());
}
