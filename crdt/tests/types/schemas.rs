//! What `#[derive(Crdt)]` makes of tuples, parameters, enums, and of schemas that change.

#![cfg(feature = "derive")]

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Crdt, Delta, Limits, LwwRegister, Merged, MvRegister, PnCounter, Replica,
    ReplicaId, Value, What,
};

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

fn view<T: Crdt>(replica: &Replica<T>) -> String {
    serde_json::to_string(&replica.view()).unwrap()
}

/// The bytes of one version of an application, in another.
fn across<A: Crdt, B: Crdt>(delta: &Delta<A>) -> Delta<B> {
    Delta::decode(&delta.encode(), &Limits::default()).unwrap()
}

/// Two versions of an application have the same, to the byte.
fn assert_same<A: Crdt, B: Crdt>(a: &Replica<A>, b: &Replica<B>) {
    assert_eq!(a.version(), b.version());
    assert_eq!(a.encode(), b.encode());
}

#[derive(Crdt)]
struct Point(#[crdt(lww)] i32, #[crdt(max)] pub u32, AddWinsSet<String>);

#[test]
fn a_tuple_is_its_fields_by_number() {
    let mut point = Replica::<Point>::new(id(1));
    let _ = point.update(|point| {
        point.field_0().set(3);
        point.field_1().set(9_u32);
        point.field_1().set(7_u32);
        point.field_2().add("here");
    });
    assert_eq!((point.0.value(), point.1.value()), (Some(&3), Some(&9)));
    assert_eq!(view(&point), r#"{"0":3,"1":9,"2":["here"]}"#);
}

#[derive(Crdt)]
struct Versioned<V: Value + Ord, C: Crdt<State: Clone>, const N: usize>
where
    C::State: std::fmt::Debug,
{
    #[crdt(mv)]
    value: V,
    below: AddWinsMap<String, C>,
}

#[test]
fn parameters_are_taken_over_and_replicated_ones_are_named() {
    type Some = Versioned<String, PnCounter, 3>;
    assert_eq!(Some::type_name(), "Versioned<PnCounter>");
    let mut some = Replica::<Some>::new(id(1));
    let (_, delta) = some.update(|some| {
        some.value().set("x");
        some.below().at("y").inc(2);
    });
    let mut other = Replica::<Some>::new(id(2));
    assert_eq!(other.merge(delta), Ok(Merged::Applied));
    assert_eq!(serde_json::to_string(&other.clone_state()).unwrap(), r#"{"value":["x"],"below":{"y":2}}"#);
    assert_same(&some, &other);
}

trait CloneState<T: Crdt> {
    fn clone_state(&self) -> T::State;
}

impl<T: Crdt<State: Clone>> CloneState<T> for Replica<T> {
    fn clone_state(&self) -> T::State {
        (**self).clone()
    }
}

#[derive(Crdt)]
enum Shape {
    Circle {
        #[crdt(lww)]
        radius: u32,
    },
    Square(#[crdt(lww)] u32, PnCounter),
    Nowhere,
}

#[derive(Crdt)]
struct Drawing {
    shapes: AddWinsMap<u8, Shape>,
}

#[test]
fn of_concurrent_choices_the_later_is_shown_and_nothing_panics() {
    let (mut ann, mut bob) = (Replica::<Shape>::new(id(1)), Replica::<Shape>::new(id(2)));
    assert!(ann.get().is_none());
    ann.set_time(1_000);
    bob.set_time(2_000);
    let (_, circle) = ann.update(|shape| {
        assert!(shape.square().is_none());
        shape.choose_circle().radius().set(5_u32);
    });
    let (_, square) = bob.update(|shape| {
        shape.choose_square().field_0().set(7_u32);
        shape.square().unwrap().field_1().inc(1);
    });
    ann.merge(square).unwrap();
    bob.merge(circle).unwrap();
    assert_same(&ann, &bob);
    let Some(ShapeRef::Square(square)) = ann.get() else { panic!("the later choice") };
    assert_eq!((square.0.value(), square.1.value()), (Some(&7), 1));
    assert_eq!(view(&bob), r#"{"Square":{"0":7,"1":1}}"#);
    // Who chooses again starts anew, also in what stood below the choice that was not shown.
    let (_, again) = ann.update(|shape| _ = shape.choose_circle());
    let Some(ShapeRef::Circle(circle)) = ann.get() else { panic!("just chosen") };
    assert_eq!(circle.radius.value(), None);
    // To choose what it is changes nothing.
    assert!(ann.update(|shape| _ = shape.choose_circle()).1.is_empty());
    bob.merge(again).unwrap();
    assert_same(&ann, &bob);
    let (_, nowhere) = bob.update(|shape| shape.choose_nowhere());
    ann.merge(nowhere).unwrap();
    assert!(matches!(ann.get(), Some(ShapeRef::Nowhere)));
    assert_eq!(view(&ann), r#""Nowhere""#);
}

#[test]
fn who_chooses_another_variant_takes_what_was_seen_of_the_first_and_nothing_else() {
    let mut all = [1, 2, 3].map(|number| Replica::<Measured>::new(id(number)));
    let [ann, bob, eve] = &mut all;
    ann.set_time(1_000);
    bob.set_time(2_000);
    eve.set_time(3_000);
    let (_, chosen) = ann.update(|it| {
        it.choose_counted().field_0().inc(5);
    });
    bob.merge(chosen.clone()).unwrap();
    eve.merge(chosen).unwrap();
    // At the same time: one goes on, one chooses another, one chooses another and comes back.
    let (_, more) = ann.update(|it| it.counted().unwrap().field_0().inc(1));
    let (_, other) = bob.update(|it| it.choose_nothing());
    let (_, there) = eve.update(|it| it.choose_nothing());
    let (_, back) = eve.update(|it| _ = it.choose_counted());
    let deltas = [more, other, there, back];
    for replica in &mut all {
        deltas.iter().for_each(|delta| _ = replica.merge(delta.clone()).unwrap());
        let Some(MeasuredRef::Counted(counted)) = replica.get() else { panic!("the last choice") };
        assert_eq!(counted.0.value(), 1, "what was added meanwhile stays, and only that");
        assert!(replica.chosen().is_conflicted());
    }
    // To choose what is shown settles it, and takes nothing of that.
    let [ann, bob, _] = &mut all;
    let (_, settled) = ann.update(|it| _ = it.choose_counted());
    assert!(!settled.is_empty() && ann.conflicts().is_empty());
    bob.merge(settled).unwrap();
    let Some(MeasuredRef::Counted(counted)) = bob.get() else { panic!("the last choice") };
    assert_eq!(counted.0.value(), 1);
    assert!(ann.update(|it| _ = it.choose_counted()).1.is_empty());
}

#[derive(Crdt)]
enum Place {
    Street { residents: AddWinsSet<String> },
    Nowhere,
}

#[test]
fn what_changes_below_a_variant_is_told_by_its_path_and_a_choice_as_a_whole() {
    let (mut ann, mut bob) = (Replica::<Place>::new(id(1)), Replica::<Place>::new(id(2)));
    let mut shown = bob.plain();
    let mut told = Vec::new();
    let (_, chosen) = ann.update(|place| place.choose_street().residents().add("heron"));
    let (_, added) = ann.update(|place| place.choose_street().residents().add("avocet"));
    let (_, gone) = ann.update(|place| place.choose_nowhere());
    for delta in [chosen, added, gone] {
        let (_, all) = bob.merge_changes(delta).unwrap();
        for changes in &all {
            changes.apply_to(&mut shown).unwrap();
            told.extend(changes.changes.iter().map(|change| (change.path.len(), change.what.clone())));
        }
        assert_eq!(shown, bob.plain());
    }
    assert!(
        matches!(&told[..], [(0, What::Replaced { .. }), (3, What::Entered), (0, What::Replaced { .. })]),
        "{told:?}"
    );
}

/// Called as words of the language are.
#[derive(Crdt)]
enum Word {
    Move(PnCounter),
    Super(PnCounter),
    State,
}

#[test]
fn a_variant_may_be_called_as_a_word_of_the_language() {
    let mut word = Replica::<Word>::new(id(1));
    let _ = word.update(|word| {
        word.choose_state();
        word.choose_super().field_0().inc(1);
        assert!(word.super_().is_some());
        word.choose_move().field_0().inc(1);
        word.r#move().unwrap().field_0().inc(1);
    });
    assert_eq!(view(&word), r#"{"Move":{"0":2}}"#);
}

#[derive(Crdt)]
enum Measured {
    Counted(PnCounter),
    Nothing,
}

#[test]
fn a_choice_that_fails_leaves_everything() {
    let mut drawing = Replica::<Drawing>::new(id(1));
    let _ = drawing.update(|drawing| drawing.shapes().at(1).choose_circle().radius().set(5_u32));
    let before = drawing.encode();
    let failed = drawing.try_update(|drawing| {
        drawing.shapes().at(1).choose_square().field_0().set(1_u32);
        drawing.shapes().at(2).choose_nowhere();
        Err::<(), _>("no")
    });
    assert_eq!(failed.unwrap_err(), "no");
    assert_eq!(drawing.encode(), before);
    let _ = drawing.update(|drawing| drawing.shapes().remove(&1));
    assert!(drawing.shapes.is_empty());
}

/// Three versions of one application.
mod first {
    use super::*;

    #[derive(Crdt)]
    #[crdt(name = "Card")]
    pub struct Card {
        #[crdt(lww)]
        pub title: String,
        pub labels: AddWinsMap<String, MvRegister<u8>>,
    }

    #[derive(Crdt)]
    #[crdt(name = "Kind")]
    pub enum Kind {
        Task,
        Note {
            #[crdt(lww)]
            text: String,
        },
    }
}

mod second {
    use super::*;

    #[derive(Crdt)]
    #[crdt(name = "Card")]
    pub struct Card {
        /// Called otherwise in the source only.
        #[crdt(lww, rename = "title")]
        pub heading: String,
        /// Called otherwise for everybody from now on.
        #[crdt(alias = "labels", alias = "even_older")]
        pub tags: AddWinsMap<String, MvRegister<u8>>,
        #[crdt(lww, default = 3)]
        pub priority: u32,
        #[crdt(max, default)]
        pub seen: u64,
    }

    #[derive(Crdt)]
    #[crdt(name = "Kind")]
    pub enum Kind {
        #[crdt(rename = "Task")]
        Todo,
        Note {
            #[crdt(lww)]
            text: String,
            #[crdt(lww)]
            author: String,
        },
        Poll(PnCounter),
    }
}

/// Neither `title` nor anything like it any more.
mod third {
    use super::*;

    #[derive(Crdt)]
    #[crdt(name = "Card")]
    pub struct Card {
        pub tags: AddWinsMap<String, MvRegister<u8>>,
    }
}

#[test]
fn old_and_new_programs_share_what_both_know_and_pass_on_the_rest() {
    let mut old = Replica::<first::Card>::new(id(1));
    let mut new = Replica::<second::Card>::new(id(2));
    let mut newest = Replica::<third::Card>::new(id(3));
    assert_eq!((new.priority(), new.seen()), (3, 0));
    assert_eq!(view(&new), r#"{"title":null,"tags":{},"priority":3,"seen":0}"#);
    let empty = new.encode();
    assert!(!empty.windows(8).any(|bytes| bytes == b"priority"), "a default is never written");

    let (_, of_old) = old.update(|card| {
        card.title().set("Dig");
        card.labels().at("late").set(1_u8);
        card.labels().at("big").set(2_u8);
    });
    new.merge(across(&of_old)).unwrap();
    newest.merge(across(&of_old)).unwrap();
    assert_same(&old, &new);
    assert_same(&old, &newest);
    assert_eq!(new.heading.value().map(String::as_str), Some("Dig"));
    assert_eq!(new.tags.get("late").unwrap().value(), Some(&1));
    assert!(newest.tags.is_empty(), "it is under a name that this program does not know");

    // What stands under the older name is replaced, removed, and added to under the new one.
    let (_, of_new) = new.update(|card| {
        card.heading().set("Dig the bed");
        card.tags().at("late").set(3_u8);
        card.tags().remove("big");
        card.tags().at("new").set(4_u8);
        card.priority().set(1_u32);
    });
    assert_eq!(new.tags.keys().collect::<Vec<_>>(), ["late", "new"]);
    assert_eq!(new.tags.get("late").unwrap().values().collect::<Vec<_>>(), [&3]);
    old.merge(across(&of_new)).unwrap();
    newest.merge(across(&of_new)).unwrap();
    assert_same(&old, &new);
    assert_same(&newest, &new);
    assert_eq!(old.title.value().map(String::as_str), Some("Dig the bed"));
    assert!(old.labels.is_empty(), "both labels were replaced or removed");
    assert_eq!(newest.tags.keys().collect::<Vec<_>>(), ["late", "new"]);

    // Written to at once under the old name and the new.
    let (_, of_old) = old.update(|card| card.labels().at("late").set(9_u8));
    let (_, of_newest) = newest.update(|card| card.tags().at("late").set(8_u8));
    new.merge(across(&of_old)).unwrap();
    new.merge(across(&of_newest)).unwrap();
    old.merge(across(&of_newest)).unwrap();
    newest.merge(across(&of_old)).unwrap();
    assert_same(&old, &new);
    assert_same(&newest, &new);
    let mut both: Vec<_> = new.tags.get("late").unwrap().values().copied().collect();
    both.sort_unstable();
    assert_eq!(both, [8, 9]);

    // What fails leaves each under its name; and so does a restart.
    let before = new.encode();
    let failed = new.try_update(|card| {
        card.tags().clear();
        card.tags().at("late").set(7_u8);
        Err::<(), _>(())
    });
    assert!(failed.is_err());
    assert_eq!(new.encode(), before);
    let mut again = Replica::<second::Card>::decode(id(2), &before, &Limits::default()).unwrap();
    assert_eq!(again.encode(), before);
    let (_, cleared) = again.update(|card| card.tags().clear());
    old.merge(across(&cleared)).unwrap();
    newest.merge(across(&cleared)).unwrap();
    assert_same(&old, &again);
    assert_same(&newest, &again);
    assert!(old.labels.is_empty() && newest.tags.is_empty());
}

#[test]
fn what_fails_leaves_each_under_its_name_also_where_all_around_it_was_removed() {
    type Board<C> = AddWinsMap<u8, C>;
    let mut old = Replica::<Board<first::Card>>::new(id(1));
    let mut new = Replica::<Board<second::Card>>::new(id(2));
    let (_, of_old) = old.update(|board| {
        board.at(0).labels().at("late").set(1_u8);
        board.at(0).labels().at("big").set(2_u8);
    });
    new.merge(across(&of_old)).unwrap();
    let failed = new.try_update(|board| {
        board.at(0).tags().at("late").set(7_u8);
        board.at(0).tags().remove("big");
        board.remove(&0);
        board.at(0).tags().at("late").set(8_u8);
        Err::<(), _>(())
    });
    assert!(failed.is_err());
    assert_same(&old, &new);
    // Looked at in between, too.
    let (_, of_new, _) = new.update_changes(|board| {
        board.at(0).tags().at("late").set(7_u8);
        board.remove(&0);
        board.at(1).tags().at("late").set(8_u8);
    });
    old.merge(across(&of_new)).unwrap();
    assert_same(&old, &new);
}

#[test]
fn old_programs_keep_variants_they_do_not_know() {
    let (mut old, mut new) = (Replica::<first::Kind>::new(id(1)), Replica::<second::Kind>::new(id(2)));
    let (_, poll) = new.update(|kind| kind.choose_poll().field_0().inc(2));
    old.merge(across(&poll)).unwrap();
    assert!(matches!(old.get(), Some(first::KindRef::Unknown("Poll"))));
    assert_same(&old, &new);
    // An old program that chooses clears what it does not know, too.
    let (_, note) = old.update(|kind| kind.choose_note().text().set("hello"));
    new.merge(across(&note)).unwrap();
    assert_same(&old, &new);
    let Some(second::KindRef::Note(note)) = new.get() else { panic!("what the old one chose") };
    assert_eq!((note.text.value().map(String::as_str), note.author.value()), (Some("hello"), None));
    let (_, todo) = new.update(|kind| kind.choose_todo());
    old.merge(across(&todo)).unwrap();
    assert!(matches!(old.get(), Some(first::KindRef::Task)));
}

#[test]
fn a_register_of_the_derive_is_that_of_the_library() {
    fn is<T>(_: &T) {}
    let point = Replica::<Point>::new(id(1));
    is::<LwwRegister<i32>>(&point.0);
}

mod mixed {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const KEYS: [&str; 3] = ["a", "b", "a longer key than fits inline"];

    /// What the three versions of a program do to one document, and what each takes in.
    struct Versions {
        old: Replica<AddWinsMap<u8, first::Card>>,
        new: Replica<AddWinsMap<u8, second::Card>>,
        newest: Replica<AddWinsMap<u8, third::Card>>,
        sent: Vec<Vec<u8>>,
    }

    impl Versions {
        /// One transaction, of which only some come to a good end.
        fn write(&mut self, who: u8, ops: &[(u8, u8)], fails: bool) {
            macro_rules! write {
                ($replica:expr, $map:ident) => {{
                    let before = $replica.encode();
                    let written = $replica.try_update(|board| {
                        for &(what, key) in ops {
                            let (card, key) = (key / 3, KEYS[usize::from(key % 3)]);
                            match what {
                                0 => drop(board.at(card).$map().remove(key)),
                                1 => board.at(card).$map().at(key).clear(),
                                2 => board.at(card).$map().clear(),
                                3 => drop(board.remove(&card)),
                                value => board.at(card).$map().at(key).set(value),
                            }
                        }
                        if fails { Err(()) } else { Ok(()) }
                    });
                    match written {
                        Ok((_, delta)) => self.sent.push(delta.encode()),
                        Err(()) => assert_eq!($replica.encode(), before),
                    }
                }};
            }
            match who {
                0 => write!(self.old, labels),
                1 => write!(self.new, tags),
                _ => write!(self.newest, tags),
            }
        }

        fn take(&mut self, who: u8, message: usize) {
            let bytes = &self.sent[message];
            let limits = Limits::default();
            match who {
                0 => drop(self.old.merge(Delta::decode(bytes, &limits).unwrap()).unwrap()),
                1 => drop(self.new.merge(Delta::decode(bytes, &limits).unwrap()).unwrap()),
                _ => drop(self.newest.merge(Delta::decode(bytes, &limits).unwrap()).unwrap()),
            }
        }

        fn check(&self) {
            let states = [
                (self.old.version(), self.old.encode()),
                (self.new.version(), self.new.encode()),
                (self.newest.version(), self.newest.encode()),
            ];
            for (one, other) in [(0, 1), (1, 2), (2, 0)] {
                assert!(states[one].0 != states[other].0 || states[one].1 == states[other].1);
            }
        }
    }

    proptest! {
        #[test]
        fn programs_of_three_versions_agree_on_every_byte(
            steps in vec(
                (0..3_u8, prop_oneof![Just(None), vec((0..9_u8, 0..6_u8), 1..5).prop_map(Some)], any::<u16>()),
                1..60,
            ),
        ) {
            let mut versions = Versions {
                old: Replica::new(id(7)),
                new: Replica::new(id(3)),
                newest: Replica::new(id(5)),
                sent: Vec::new(),
            };
            for (who, what, which) in steps {
                match what {
                    Some(ops) => versions.write(who, &ops, which % 4 == 0),
                    None if versions.sent.is_empty() => {}
                    None => versions.take(who, usize::from(which) % versions.sent.len()),
                }
                versions.check();
            }
            for who in 0..3 {
                for message in 0..versions.sent.len() {
                    versions.take(who, message);
                }
            }
            prop_assert_eq!(versions.old.version(), versions.new.version());
            prop_assert_eq!(versions.new.version(), versions.newest.version());
            versions.check();
        }
    }
}
