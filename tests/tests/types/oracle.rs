//! Random executions against the definitions of the types: at every replica, at every step, the value that is read is
//! the one that follows from the events the replica has seen and what had happened before what.
//!
//! A failing case is printed, shrunk, and its seed is kept in `tests/tests/proptest-regressions/oracle.txt`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use proptest::prelude::*;
use tombolo_crdt::{
    AddWinsMap, AddWinsSet, BoundedCounter, Crdt, DisableWinsFlag, Doc, DocEntry, EnableWinsFlag, GCounter,
    GMap, GSet, Kind, LwwMap, LwwRegister, MaxRegister, MinRegister, Mut, MvRegister, NodeId, Plain,
    PnCounter, RemoveWinsSet, Replica, Scalar, Stamp, Text, TwoPhaseSet, Version,
};
use tombolo_tests::model::cases;
use tombolo_tests::model::catalogue::{Draw, Record, Shape, drawn};
use tombolo_tests::model::definitions::{
    Deed, Left, Place, added, agreed, chosen, counted, disputed, escrowed, latest, latest_kept, never_banned,
    offered, values,
};
use tombolo_tests::model::history::History;
use tombolo_tests::model::program::{Apply, REPLICAS, Step, World, id, programs};

mod document;

use document::{Read, doc_deed, doc_op, write_doc};

/// How many executions each type is tried with.
const CASES: u32 = 48;
/// How many steps an execution has at most.
const STEPS: usize = 50;

/// Runs a program and checks every replica after every step. `deed` says what an operation of the program is in the words
/// of the definitions, given the replica after the transaction.
fn follow<T: Crdt, O: Clone + Debug>(
    replicas: u8,
    program: &[Step<O>],
    apply: Apply<T, O>,
    deed: impl Fn(&O, &Replica<T>) -> Deed,
    check: impl Fn(&History<Deed>, &[usize], &Replica<T>),
) {
    follow_each(replicas, program, apply, |op, author, _, _| vec![deed(op, author)], check);
}

/// As [`follow`], where what an operation is depends on what its author saw just then: by the definitions, not by what the
/// replica read.
fn follow_each<T: Crdt, O: Clone + Debug>(
    replicas: u8,
    program: &[Step<O>],
    apply: Apply<T, O>,
    deeds: impl Fn(&O, &Replica<T>, &History<Deed>, &[usize]) -> Vec<Deed>,
    check: impl Fn(&History<Deed>, &[usize], &Replica<T>),
) {
    let mut world = World::new(apply, replicas);
    let mut history = History::default();
    for step in program {
        let (written, seen) = match step {
            Step::Write(at, _) => (world.written.len(), world.replicas[world.at(*at)].version()),
            _ => (usize::MAX, Version::new()),
        };
        world.step(step);
        if let (Step::Write(at, operations), Some(delta)) = (step, world.written.get(written)) {
            let author = &world.replicas[world.at(*at)];
            history.record_each(&seen, &delta.events(), operations, |history, before, op| {
                deeds(op, author, history, before)
            });
        }
        for replica in &world.replicas {
            check(&history, &history.visible(&replica.version()), replica);
        }
    }
}

/// The conflicts that a replica tells are the places where several concurrent writes stand, every one and no other, with all that
/// wrote there; what is shown first.
fn tells_what_is_disputed<T: Crdt>(history: &History<Deed>, visible: &[usize], replica: &Replica<T>) {
    tells_what_is_disputed_at(history, visible, replica, |_| true);
}

/// The same of some places.
fn tells_what_is_disputed_at<T: Crdt>(
    history: &History<Deed>,
    visible: &[usize],
    replica: &Replica<T>,
    is_meant: impl Fn(&Place) -> bool,
) {
    let mut told = BTreeMap::new();
    for conflict in replica.conflicts() {
        let at: Place = conflict.path.iter().map(plainly).collect();
        let order: Vec<_> = conflict
            .values
            .iter()
            .map(|claim| {
                let [by] = claim.by[..] else { panic!("one wrote it: {claim:?}") };
                let written = claim.at.map(|stamp| (stamp.millis, stamp.logical));
                (by, claim.value.as_ref().map(plainly), written)
            })
            .collect();
        let is_shown_first = |pair: &[Left]| match (pair[0].2, pair[1].2) {
            (None, None) => pair[0].0 < pair[1].0,
            (one, other) => (one, pair[0].0) > (other, pair[1].0),
        };
        assert!(order.windows(2).all(is_shown_first), "{order:?}");
        assert_eq!(told.insert(at, order.into_iter().collect()), None, "a place is told once");
    }
    let mut expected = disputed(history, visible);
    told.retain(|at, _| is_meant(at));
    expected.retain(|at, _| is_meant(at));
    assert_eq!(told, expected);
}

/// A number or a text as text.
fn plainly(value: &Plain) -> String {
    match value {
        Plain::Int(number) => number.to_string(),
        Plain::Text(text) => text.clone(),
        other => panic!("no test writes {other:?}"),
    }
}

fn place<const N: usize>(parts: [&dyn ToString; N]) -> Place {
    parts.iter().map(|part| part.to_string()).collect()
}

fn key() -> impl Strategy<Value = u8> + Clone {
    0..3_u8
}

/// What is done below a key: `None` removes, and so does the removal of the key itself.
type Below<O> = (u8, Option<O>);

fn below<O: Debug + Clone + 'static>(
    op: impl Strategy<Value = O> + Clone + 'static,
) -> impl Strategy<Value = Below<O>> + Clone {
    (key(), prop_oneof![3 => op.prop_map(Some), 1 => Just(None)])
}

/// Or, as `None`, the clearing of everything.
fn or_clear<O: Debug + Clone + 'static>(
    op: impl Strategy<Value = O> + Clone + 'static,
) -> impl Strategy<Value = Option<O>> + Clone {
    prop_oneof![9 => op.prop_map(Some), 1 => Just(None)]
}

/// A letter that nobody else writes, as a rule, and how far from which end it goes; or nothing, to delete the first of those
/// that are seen.
fn letter() -> impl Strategy<Value = (usize, bool, Option<char>)> + Clone {
    let letters = (0..20_000_u32).prop_map(|letter| char::from_u32(0x4e00 + letter));
    (0..4_usize, any::<bool>(), prop_oneof![4 => letters, 1 => Just(None)])
}

fn write_letter(text: &mut Mut<'_, Text>, (at, from_end, write): &(usize, bool, Option<char>)) {
    let read: Vec<char> = text.chunks().flat_map(str::chars).collect();
    match write {
        Some(letter) => {
            let at = (*at).min(read.len());
            let at = if *from_end { read.len() - at } else { at };
            text.insert(at, letter.encode_utf8(&mut [0; 4])).expect("there is such a place");
        }
        None => {
            let Some(first) = read.iter().min() else { return };
            for (at, _) in read.iter().enumerate().rev().filter(|(_, letter)| *letter == first) {
                text.delete(at..at + 1).expect("there is such a letter");
            }
        }
    }
}

/// In which order letters have ever been seen: nobody may see two of them the other way round (the strong list specification of Attiya
/// and others, 2016). Letters that were written twice are left out.
#[derive(Default)]
struct Order {
    /// Pairs of which the first was seen before the second.
    seen: BTreeSet<(char, char)>,
    written: BTreeSet<char>,
    twice: BTreeSet<char>,
}

impl Order {
    fn write(&mut self, letter: char) {
        if !self.written.insert(letter) {
            self.twice.insert(letter);
        }
    }

    fn holds(&mut self, read: &[char]) {
        for (at, one) in read.iter().enumerate() {
            self.seen.extend(read[at + 1..].iter().map(|other| (*one, *other)));
        }
        for (one, other) in read.iter().flat_map(|one| read.iter().map(move |other| (*one, *other))) {
            let is_told = !self.twice.contains(&one) && !self.twice.contains(&other);
            let both = self.seen.contains(&(one, other)) && self.seen.contains(&(other, one));
            assert!(!is_told || !both, "{one} and {other} were seen both ways round");
        }
    }
}

fn draw() -> impl Strategy<Value = Draw> + Clone {
    prop_oneof![
        2 => Just(Draw::Round),
        2 => Just(Draw::Square),
        3 => (-9..9_i64).prop_filter("an amount of 0 is no write", |by| *by != 0).prop_map(Draw::Grow),
    ]
}

/// When a key was removed, if it was.
fn removed_at(map: &LwwMap<u8, u8>, key: &str) -> Stamp {
    let key: u8 = key.parse().expect("keys are numbers");
    map.removed_at(&key).unwrap_or_default()
}

proptest! {
    #![proptest_config(cases(CASES))]

    #[test]
    fn a_counter_is_the_sum_of_what_was_added(
        program in programs(-9..9_i64, STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<PnCounter, _>(
            replicas,
            &program,
            |counter, by| counter.add(*by),
            |by, _| Deed::Count(place([]), *by),
            |history, visible, counter| {
                let sum = counted(history, visible).remove(&place([])).unwrap_or(0);
                assert_eq!(counter.value(), sum);
            },
        );
    }

    #[test]
    fn a_grow_only_counter_is_the_sum_of_what_was_added(
        program in programs(0..9_u64, STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<GCounter, _>(
            replicas,
            &program,
            |counter, by| counter.inc(*by),
            |by, _| Deed::Count(place([]), i64::try_from(*by).unwrap()),
            |history, visible, counter| {
                let sum = counted(history, visible).remove(&place([])).unwrap_or(0);
                assert_eq!(counter.value(), u64::try_from(sum).unwrap());
            },
        );
    }

    #[test]
    fn a_flag_is_enabled_if_an_enabling_has_no_disabling_after_it(
        program in programs(any::<bool>(), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<EnableWinsFlag, _>(
            replicas,
            &program,
            |flag, on| if *on { flag.enable() } else { flag.disable() },
            |on, _| if *on { Deed::Add(place([])) } else { Deed::Remove(place([])) },
            |history, visible, flag| assert_eq!(flag.value(), !added(history, visible).is_empty()),
        );
    }

    #[test]
    fn an_element_is_in_if_an_adding_has_no_removal_after_it(
        program in programs((0..5_u8, 0..7_u8), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<AddWinsSet<u8>, _>(
            replicas,
            &program,
            |set, (element, what)| match what {
                0 => set.clear(),
                1..3 => drop(set.remove(element)),
                _ => set.add(*element),
            },
            |(element, what), _| match what {
                0 => Deed::Remove(place([])),
                1..3 => Deed::Remove(place([element])),
                _ => Deed::Add(place([element])),
            },
            |history, visible, set| {
                let elements: BTreeSet<_> = set.iter().map(|element| place([element])).collect();
                assert_eq!(elements, added(history, visible));
            },
        );
    }

    #[test]
    fn a_grow_only_set_holds_what_was_added(program in programs(0..9_u8, STEPS), replicas in 2..6_u8) {
        follow::<GSet<u8>, _>(
            replicas,
            &program,
            |set, element| set.add(*element),
            |element, _| Deed::Add(place([element])),
            |history, visible, set| {
                let elements: BTreeSet<_> = set.iter().map(|element| place([element])).collect();
                assert_eq!(elements, added(history, visible));
            },
        );
    }

    #[test]
    fn a_register_shows_the_writes_that_no_write_has_seen(
        program in programs(prop_oneof![4 => (0..99_u8).prop_map(Some), 1 => Just(None)], STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<MvRegister<u8>, _>(
            replicas,
            &program,
            |register, value| match value {
                Some(value) => register.set(*value),
                None => register.clear(),
            },
            |value, _| match value {
                Some(value) => Deed::Set(place([]), value.to_string()),
                None => Deed::Remove(place([])),
            },
            |history, visible, register| {
                let mut shown: Vec<_> = register.values().map(u8::to_string).collect();
                shown.sort_unstable();
                assert_eq!(shown, values(history, visible).remove(&place([])).unwrap_or_default());
                assert_eq!(register.is_conflicted(), shown.len() > 1);
                tells_what_is_disputed(history, visible, register);
            },
        );
    }

    #[test]
    fn the_last_of_the_writes_that_no_write_has_seen_wins(
        program in programs(below(0..99_u8), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<AddWinsMap<u8, LwwRegister<u8>>, _>(
            replicas,
            &program,
            |map, (key, value)| match value {
                Some(value) => map.at(*key).set(*value),
                None => drop(map.remove(key)),
            },
            |(key, value), author| match value {
                // Of several writes of one transaction only the last can be seen, and it has the stamp that is read.
                Some(value) => {
                    let stamp = author.get(key).and_then(LwwRegister::stamp).unwrap_or_default();
                    Deed::Stamp(place([key]), stamp, value.to_string())
                }
                None => Deed::Remove(place([key])),
            },
            |history, visible, map| {
                let read: BTreeMap<_, _> = map
                    .iter()
                    .map(|(key, register)| {
                        let value = register.value().unwrap().to_string();
                        (place([key]), (register.stamp().unwrap(), value))
                    })
                    .collect();
                assert_eq!(read, latest(history, visible));
                tells_what_is_disputed(history, visible, map);
            },
        );
    }

    #[test]
    fn a_flag_is_enabled_if_no_disabling_stands_beside_an_enabling(
        program in programs(any::<bool>(), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<DisableWinsFlag, _>(
            replicas,
            &program,
            |flag, on| if *on { flag.enable() } else { flag.disable() },
            |on, _| if *on { Deed::Add(place([])) } else { Deed::Ban(place([])) },
            |history, visible, flag| assert_eq!(flag.value(), !agreed(history, visible).is_empty()),
        );
    }

    #[test]
    fn a_key_that_is_removed_takes_the_disablings_it_saw(
        program in programs(below(any::<bool>()), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<AddWinsMap<u8, DisableWinsFlag>, _>(
            replicas,
            &program,
            |map, (key, op)| match op {
                Some(true) => map.at(*key).enable(),
                Some(false) => map.at(*key).disable(),
                None => drop(map.remove(key)),
            },
            |(key, op), _| match op {
                Some(true) => Deed::Add(place([key])),
                Some(false) => Deed::Ban(place([key])),
                None => Deed::Remove(place([key])),
            },
            |history, visible, map| {
                let read: BTreeSet<_> =
                    map.iter().filter(|(_, flag)| flag.value()).map(|(key, _)| place([key])).collect();
                assert_eq!(read, agreed(history, visible));
            },
        );
    }

    #[test]
    fn a_text_has_the_letters_that_nobody_deleted_in_one_order(
        program in programs(letter(), STEPS),
        replicas in 2..6_u8,
    ) {
        let order = RefCell::new(Order::default());
        follow_each::<Text, _>(
            replicas,
            &program,
            write_letter,
            |(_, _, write), _, history, before| match write {
                Some(letter) => {
                    order.borrow_mut().write(*letter);
                    vec![Deed::Add(place([letter]))]
                }
                // One of those that are seen.
                None => {
                    let seen: Vec<Place> = added(history, before).into_iter().collect();
                    seen.first().map(|place| Deed::Remove(place.clone())).into_iter().collect()
                }
            },
            |history, visible, text| {
                let read: Vec<char> = text.chunks().flat_map(str::chars).collect();
                let letters: BTreeSet<_> = read.iter().map(|letter| place([letter])).collect();
                assert_eq!(letters, added(history, visible));
                order.borrow_mut().holds(&read);
            },
        );
    }

    /// In which order those stand that are left depends on what they hung on, which may have gone with the key.
    #[test]
    fn removing_a_key_takes_exactly_the_letters_it_saw(
        program in programs(below(letter()), STEPS),
        replicas in 2..6_u8,
    ) {
        follow_each::<AddWinsMap<u8, Text>, _>(
            replicas,
            &program,
            |map, (key, letter)| match letter {
                Some(letter) => write_letter(&mut map.at(*key), letter),
                None => _ = map.remove(key),
            },
            |(key, letter), _, history, before| match letter {
                Some((_, _, Some(letter))) => vec![Deed::Add(place([key, letter]))],
                Some((_, _, None)) => {
                    let seen = added(history, before).into_iter().find(|seen| seen[0] == key.to_string());
                    seen.map(Deed::Remove).into_iter().collect()
                }
                None => vec![Deed::Remove(place([key]))],
            },
            |history, visible, map| {
                let letters = map.iter().flat_map(|(key, text)| {
                    let letters: Vec<char> = text.chunks().flat_map(str::chars).collect();
                    letters.into_iter().map(move |letter| place([key, &letter]))
                });
                assert_eq!(letters.collect::<BTreeSet<_>>(), added(history, visible));
            },
        );
    }

    #[test]
    fn an_element_is_in_if_no_removal_stands_beside_an_adding(
        program in programs(below((0..4_u8, 0..7_u8)), STEPS),
        replicas in 2..6_u8,
    ) {
        follow_each::<AddWinsMap<u8, RemoveWinsSet<u8>>, _>(
            replicas,
            &program,
            |map, (key, op)| match op {
                Some((_, 0)) => map.at(*key).clear(),
                Some((element, 1..3)) => drop(map.at(*key).remove(*element)),
                Some((element, _)) => map.at(*key).add(*element),
                None => drop(map.remove(key)),
            },
            |(key, op), _, history, before| match op {
                // To clear it removes each element that is seen in.
                Some((_, 0)) => agreed(history, before)
                    .into_iter()
                    .filter(|at| at[0] == key.to_string())
                    .map(Deed::Ban)
                    .collect(),
                Some((element, 1..3)) => vec![Deed::Ban(place([key, element]))],
                Some((element, _)) => vec![Deed::Add(place([key, element]))],
                None => vec![Deed::Remove(place([key]))],
            },
            |history, visible, map| {
                let read: BTreeSet<_> = map
                    .iter()
                    .flat_map(|(key, set)| {
                        assert_eq!(set.len(), set.iter().count());
                        set.iter().map(move |element| place([key, element]))
                    })
                    .collect();
                assert_eq!(read, agreed(history, visible));
            },
        );
    }

    #[test]
    fn an_element_that_was_removed_never_comes_back(
        program in programs(below((0..4_u8, 0..5_u8)), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<AddWinsMap<u8, TwoPhaseSet<u8>>, _>(
            replicas,
            &program,
            |map, (key, op)| match op {
                Some((element, 0..2)) => drop(map.at(*key).remove(element)),
                Some((element, _)) => drop(map.at(*key).add(*element)),
                None => drop(map.remove(key)),
            },
            |(key, op), _| match op {
                Some((element, 0..2)) => Deed::Ban(place([key, element])),
                Some((element, _)) => Deed::Add(place([key, element])),
                None => Deed::Remove(place([key])),
            },
            |history, visible, map| {
                let read: BTreeSet<_> = map
                    .iter()
                    .flat_map(|(key, set)| {
                        assert_eq!(set.len(), set.iter().count());
                        set.iter().map(move |element| place([key, element]))
                    })
                    .collect();
                assert_eq!(read, never_banned(history, visible));
            },
        );
    }

    #[test]
    fn the_largest_and_the_smallest_of_what_was_written(
        program in programs(0..50_u8, STEPS),
        replicas in 2..6_u8,
    ) {
        fn deed(value: &u8) -> Deed {
            Deed::Offer(place([]), (*value).into())
        }
        follow::<MaxRegister<u8>, _>(
            replicas,
            &program,
            |register, value| register.set(*value),
            |value, _| deed(value),
            |history, visible, register| {
                let offered = offered(history, visible).remove(&place([])).unwrap_or_default();
                assert_eq!(register.value().map(|value| i64::from(*value)), offered.last().copied());
            },
        );
        follow::<MinRegister<u8>, _>(
            replicas,
            &program,
            |register, value| register.set(*value),
            |value, _| deed(value),
            |history, visible, register| {
                let offered = offered(history, visible).remove(&place([])).unwrap_or_default();
                assert_eq!(register.value().map(|value| i64::from(*value)), offered.first().copied());
            },
        );
    }

    #[test]
    fn a_removal_takes_exactly_the_values_it_saw_however_small(
        program in programs(below(0..20_u8), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<AddWinsMap<u8, MaxRegister<u8>>, _>(
            replicas,
            &program,
            |map, (key, op)| match op {
                Some(value) => map.at(*key).set(*value),
                None => drop(map.remove(key)),
            },
            |(key, op), _| match op {
                Some(value) => Deed::Offer(place([key]), (*value).into()),
                None => Deed::Remove(place([key])),
            },
            |history, visible, map| {
                let read: BTreeMap<_, _> = map
                    .iter()
                    .map(|(key, register)| (place([key]), i64::from(*register.value().unwrap())))
                    .collect();
                let largest = offered(history, visible).into_iter();
                let largest: BTreeMap<_, _> =
                    largest.map(|(place, offered)| (place, *offered.last().unwrap())).collect();
                assert_eq!(read, largest);
            },
        );
    }

    #[test]
    fn of_a_key_the_last_write_or_removal_counts(
        program in programs(or_clear(below(0..99_u8)), STEPS),
        replicas in 2..6_u8,
    ) {
        let sweeps = program.iter().any(|step| matches!(step, Step::Sweep(_)));
        follow_each::<LwwMap<u8, u8>, _>(
            replicas,
            &program,
            |map, op| match op {
                Some((key, Some(value))) => map.set(*key, *value),
                Some((key, None)) => drop(map.remove(key)),
                None => map.clear(),
            },
            // Of several writes of one transaction only the last can be seen, and it has the stamp that is read. A
            // removal of what is not there is none, and then there is nothing to be read.
            |op, author, history, before| match op {
                Some((key, Some(value))) => {
                    let stamp = author.stamp(key).unwrap_or_default();
                    vec![Deed::Stamp(place([key]), stamp, value.to_string())]
                }
                Some((key, None)) => vec![Deed::Unset(place([key]), removed_at(author, &key.to_string()))],
                None => latest_kept(history, before)
                    .into_keys()
                    .map(|at| {
                        let stamp = removed_at(author, &at[0]);
                        Deed::Unset(at, stamp)
                    })
                    .collect(),
            },
            |history, visible, map| {
                let read: BTreeMap<_, _> =
                    map.iter().map(|(key, value)| (place([key]), value.to_string())).collect();
                assert_eq!(read, latest_kept(history, visible));
                assert_eq!(map.len(), read.len());
                // What was removed and is forgotten is disputed no more.
                tells_what_is_disputed_at(history, visible, map, |at| !sweeps || read.contains_key(at));
            },
        );
    }

    #[test]
    fn keys_that_stay_hold_the_sums_of_what_was_added(
        program in programs((key(), -9..9_i64), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<GMap<u8, PnCounter>, _>(
            replicas,
            &program,
            |map, (key, by)| map.at(*key).add(*by),
            |(key, by), _| Deed::Count(place([key]), *by),
            |history, visible, map| {
                let read: BTreeMap<_, _> =
                    map.iter().map(|(key, counter)| (place([key]), counter.value())).collect();
                assert_eq!(read, counted(history, visible));
            },
        );
    }

    #[test]
    fn nobody_takes_what_others_may_take(
        program in programs(escrow(), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<BoundedCounter<-3>, _>(
            replicas,
            &program,
            |counter, op| match *op {
                Escrow::Add(by) => counter.inc(by.into()),
                Escrow::Take(by) => drop(counter.dec(by.into())),
                Escrow::Pass(by, to) => drop(counter.transfer(by.into(), id(to))),
            },
            |op, _| match *op {
                Escrow::Add(by) => Deed::Count(place([]), by.into()),
                Escrow::Take(by) => Deed::Take(by.into()),
                Escrow::Pass(by, to) => Deed::Pass(by.into(), id(to)),
            },
            |history, visible, counter| {
                assert_eq!(counter.value(), escrowed(history, visible) - 3);
                assert!(counter.value() >= -3);
                assert_eq!(counter.overdraft(), 0);
                let rights: u64 = counter.holders().iter().map(|(_, rights)| rights).sum();
                assert_eq!(rights, u64::try_from(counter.value() + 3).unwrap(), "rights to all there is");
            },
        );
    }

    #[test]
    fn removing_a_key_takes_exactly_the_increments_it_saw(
        program in programs(or_clear(below(-9..9_i64)), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<AddWinsMap<u8, PnCounter>, _>(
            replicas,
            &program,
            |map, op| match op {
                Some((key, Some(by))) => map.at(*key).add(*by),
                Some((key, None)) => drop(map.remove(key)),
                None => map.clear(),
            },
            |op, _| match op {
                Some((key, Some(by))) => Deed::Count(place([key]), *by),
                Some((key, None)) => Deed::Remove(place([key])),
                None => Deed::Remove(place([])),
            },
            |history, visible, map| {
                let read: BTreeMap<_, _> =
                    map.iter().map(|(key, counter)| (place([key]), counter.value())).collect();
                assert_eq!(read, counted(history, visible));
            },
        );
    }

    #[test]
    fn removing_a_key_takes_exactly_the_elements_it_saw(
        program in programs(below(below(Just(()))), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<AddWinsMap<u8, AddWinsSet<u8>>, _>(
            replicas,
            &program,
            |map, (key, op)| match op {
                Some((element, Some(()))) => map.at(*key).add(*element),
                Some((element, None)) => drop(map.at(*key).remove(element)),
                None => drop(map.remove(key)),
            },
            |(key, op), _| match op {
                Some((element, Some(()))) => Deed::Add(place([key, element])),
                Some((element, None)) => Deed::Remove(place([key, element])),
                None => Deed::Remove(place([key])),
            },
            |history, visible, map| {
                let read: BTreeSet<_> = map
                    .iter()
                    .flat_map(|(key, set)| set.iter().map(move |element| place([key, element])))
                    .collect();
                assert_eq!(read, added(history, visible));
                assert!(map.iter().all(|(_, set)| !set.is_empty()), "a key without a value");
            },
        );
    }

    #[test]
    fn removing_a_key_takes_exactly_what_it_saw_however_deep(
        program in programs(below(below(prop_oneof![4 => (0..99_u8).prop_map(Some), 1 => Just(None)])), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<AddWinsMap<u8, AddWinsMap<u8, MvRegister<u8>>>, _>(
            replicas,
            &program,
            |map, (outer, op)| match op {
                Some((key, Some(Some(value)))) => map.at(*outer).at(*key).set(*value),
                Some((key, Some(None))) => map.at(*outer).at(*key).clear(),
                Some((key, None)) => drop(map.at(*outer).remove(key)),
                None => drop(map.remove(outer)),
            },
            |(outer, op), _| match op {
                Some((key, Some(Some(value)))) => Deed::Set(place([outer, key]), value.to_string()),
                Some((key, _)) => Deed::Remove(place([outer, key])),
                None => Deed::Remove(place([outer])),
            },
            |history, visible, map| {
                let mut read = BTreeMap::new();
                for (outer, map) in map.iter() {
                    for (key, register) in map.iter() {
                        let mut shown: Vec<_> = register.values().map(u8::to_string).collect();
                        shown.sort_unstable();
                        read.insert(place([outer, key]), shown);
                    }
                }
                assert_eq!(read, values(history, visible));
                tells_what_is_disputed(history, visible, map);
            },
        );
    }

    #[test]
    fn an_enum_is_the_variant_that_was_chosen_last_with_what_was_written_to_it_since(
        program in programs(draw(), STEPS),
        replicas in 2..6_u8,
    ) {
        follow_each::<Shape, _>(
            replicas,
            &program,
            |shape, op| op.apply(shape),
            |op, author, history, before| {
                let (shown, _) = chosen(history, before);
                let name = match op {
                    Draw::Grow(by) => {
                        return shown.map(|name| Deed::Count(vec![name], *by)).into_iter().collect();
                    }
                    Draw::Round => "Round",
                    Draw::Square => "Square",
                };
                // To choose what it is already is nothing, unless it settles what several chose.
                if shown.as_deref() == Some(name) && disputed(history, before).is_empty() {
                    return vec![];
                }
                // Of several choices of one transaction only the last can be seen.
                let stamp = author.chosen().stamp().unwrap_or_default();
                vec![Deed::Stamp(place([]), stamp, name.into())]
            },
            |history, visible, shape| {
                let (shown, sums) = chosen(history, visible);
                let sum = |name: &String| sums.get(name).copied().unwrap_or(0);
                assert_eq!(drawn(shape), shown.map(|name| (name.clone(), sum(&name))));
                tells_what_is_disputed(history, visible, shape);
            },
        );
    }

    #[test]
    fn a_struct_below_a_key_is_its_fields_each_under_its_own_rule(
        program in programs(or_clear(below((any::<bool>(), 0..99_u8))), STEPS),
        replicas in 2..6_u8,
    ) {
        follow::<AddWinsMap<u8, Record>, _>(
            replicas,
            &program,
            |map, op| match op {
                Some((key, Some((true, 0..50)))) => map.at(*key).open().enable(),
                Some((key, Some((true, _)))) => map.at(*key).open().disable(),
                Some((key, Some((false, 0..9)))) => map.at(*key).owner().clear(),
                Some((key, Some((false, value)))) => map.at(*key).owner().set(*value),
                Some((key, None)) => drop(map.remove(key)),
                None => map.clear(),
            },
            |op, _| match op {
                Some((key, Some((true, 0..50)))) => Deed::Add(place([key, &"open"])),
                Some((key, Some((true, _)))) => Deed::Remove(place([key, &"open"])),
                Some((key, Some((false, 0..9)))) => Deed::Remove(place([key, &"owner"])),
                Some((key, Some((false, value)))) => Deed::Set(place([key, &"owner"]), value.to_string()),
                Some((key, None)) => Deed::Remove(place([key])),
                None => Deed::Remove(place([])),
            },
            |history, visible, map| {
                let (mut open, mut owners) = (BTreeSet::new(), BTreeMap::new());
                for (key, record) in map.iter() {
                    if record.open.value() {
                        open.insert(place([key, &"open"]));
                    }
                    let mut shown: Vec<_> = record.owner.values().map(u8::to_string).collect();
                    shown.sort_unstable();
                    assert!(record.open.value() || !shown.is_empty(), "a key without a value");
                    if !shown.is_empty() {
                        owners.insert(place([key, &"owner"]), shown);
                    }
                }
                assert_eq!((open, owners), (added(history, visible), values(history, visible)));
                tells_what_is_disputed(history, visible, map);
            },
        );
    }

    #[test]
    fn a_document_is_what_was_written_and_not_removed(program in programs(doc_op(), STEPS), replicas in 2..6_u8) {
        follow::<Doc, _>(
            replicas,
            &program,
            write_doc,
            doc_deed,
            |history, visible, doc| {
                let mut read = Read::default();
                read.doc(doc, &place([]));
                assert_eq!(read, Read::by_definition(history, visible));
            },
        );
    }
}

#[derive(Debug, Clone)]
enum Escrow {
    Add(u8),
    Take(u8),
    Pass(u8, u8),
}

fn escrow() -> impl Strategy<Value = Escrow> + Clone {
    prop_oneof![
        2 => (0..9_u8).prop_map(Escrow::Add),
        3 => (0..9_u8).prop_map(Escrow::Take),
        3 => ((0..6_u8), (0..REPLICAS + 1)).prop_map(|(by, to)| Escrow::Pass(by, to)),
    ]
}
