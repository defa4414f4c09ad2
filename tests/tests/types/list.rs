//! Lists: beside texts, of which the order is held by tests of its own, and the cases that are easily got wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use serde::{Deserialize, Serialize, Serializer};
use tombolo_crdt::{
    AddWinsMap, BadIndex, Bias, Crdt, Delta, Doc, ElementId, EncodedState, Limits, List, Mut, Plain, Replica,
    ReplicaId, Scalar, Text, What,
};
use tombolo_tests::model::cases;

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

fn replica<T: Crdt>(number: u8) -> Replica<T> {
    Replica::new(id(number))
}

/// Takes in each other's whole state.
fn exchange<T: Crdt>(a: &mut Replica<T>, b: &mut Replica<T>) {
    let (of_a, of_b) = (a.state(), b.state());
    a.merge(of_b).unwrap();
    b.merge(of_a).unwrap();
    assert_eq!(a.encode(), b.encode());
}

#[derive(Debug, Clone)]
enum Step {
    Insert(usize, usize, String),
    Delete(usize, usize, usize),
    Replace(usize, usize, String),
    /// Who takes in what of whom is news.
    Hear(usize, usize),
    Sweep(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let part = "[a-z\u{e9}\u{1f44d}]{1,4}";
    prop_oneof![
        5 => (0..3_usize, 0..40_usize, part).prop_map(|(by, at, part)| Step::Insert(by, at, part)),
        3 => (0..3_usize, 0..40_usize, 1..7_usize).prop_map(|(by, at, count)| Step::Delete(by, at, count)),
        1 => (0..3_usize, 0..40_usize, part).prop_map(|(by, at, part)| Step::Replace(by, at, part)),
        4 => (0..3_usize, 0..3_usize).prop_map(|(by, of)| Step::Hear(by, of)),
        1 => (0..3_usize).prop_map(Step::Sweep),
    ]
}

proptest! {
    #![proptest_config(cases(256))]

    /// The same done to a text and a list of its letters leaves the same, to the names of the letters.
    #[test]
    fn a_list_of_letters_is_a_text(steps in prop::collection::vec(step(), 1..60)) {
        let mut texts: Vec<Replica<Text>> = (1..4).map(replica).collect();
        let mut lists: Vec<Replica<List<char>>> = (1..4).map(replica).collect();
        for step in &steps {
            match step {
                Step::Insert(by, at, part) => {
                    let at = at % (texts[*by].len() + 1);
                    let _ = texts[*by].try_update(|text| text.insert(at, part)).unwrap();
                    let _ = lists[*by].try_update(|list| list.insert_all(at, part.chars())).unwrap();
                }
                Step::Delete(by, at, count) => {
                    let at = at % (texts[*by].len() + 1);
                    let end = texts[*by].len().min(at + count);
                    let _ = texts[*by].try_update(|text| text.delete(at..end)).unwrap();
                    let _ = lists[*by].try_update(|list| list.delete(at..end)).unwrap();
                }
                Step::Replace(by, at, part) => {
                    let at = at % (texts[*by].len() + 1);
                    let end = texts[*by].len().min(at + 2);
                    let _ = texts[*by].try_update(|text| text.replace(at..end, part)).unwrap();
                    // In the order in which a text does it.
                    let replace = |list: &mut Mut<'_, List<char>>| {
                        list.delete(at..end).and_then(|()| list.insert_all(at, part.chars()))
                    };
                    let _ = lists[*by].try_update(replace).unwrap();
                }
                Step::Hear(by, of) => {
                    let (text, list) = (texts[*of].state(), lists[*of].state());
                    texts[*by].merge(text).unwrap();
                    let mut shown = lists[*by].plain();
                    let (_, changes) = lists[*by].merge_changes(list).unwrap();
                    changes.iter().for_each(|changes| changes.apply_to(&mut shown).unwrap());
                    prop_assert_eq!(shown, lists[*by].plain());
                }
                Step::Sweep(by) => {
                    let known = texts.iter().map(Replica::version).reduce(|all, one| all.meet(&one)).unwrap();
                    let _ = (texts[*by].sweep(&known), lists[*by].sweep(&known));
                }
            }
            let (Step::Insert(by, ..)
            | Step::Delete(by, ..)
            | Step::Replace(by, ..)
            | Step::Hear(by, _)
            | Step::Sweep(by)) = step;
            let (text, list) = (&texts[*by], &lists[*by]);
            let read: Vec<char> = text.to_string().chars().collect();
            prop_assert!(list.iter().eq(&read) && list.len() == read.len());
            // From both ends, which meet in the middle of a piece or between two.
            let (mut each, mut rest) = (list.iter(), &read[..]);
            for nth in 0.. {
                prop_assert_eq!(each.len(), rest.len());
                let Some(((first, behind), (last, before))) = rest.split_first().zip(rest.split_last()) else { break };
                let (item, expected, others) =
                    if nth % 3 == 0 { (each.next_back(), last, before) } else { (each.next(), first, behind) };
                prop_assert_eq!(item, Some(expected));
                rest = others;
            }
            prop_assert_eq!((each.next(), each.next_back()), (None, None));
            prop_assert!(list.iter().rev().eq(read.iter().rev()));
            prop_assert_eq!(list.version(), text.version());
            for (at, letter) in read.iter().enumerate().step_by(3) {
                prop_assert_eq!(list.get(at), Some(letter));
                prop_assert_eq!(list.position(list.id_at(at).unwrap()), Some(at));
            }
        }
        for list in &lists {
            let again = Replica::<List<char>>::decode(id(9), &list.encode(), &Limits::default()).unwrap();
            prop_assert!(again.iter().eq(list.iter()));
        }
    }
}

#[test]
fn what_is_not_there_is_refused_and_nothing_changes() {
    type Write<'w> = &'w dyn Fn(&mut Mut<'_, List<u8>>) -> Result<(), BadIndex>;
    let mut list = replica::<List<u8>>(1);
    let _ = list.update(|list| list.extend([1, 2, 3]));
    let before = list.encode();
    let mut refused = |write: Write<'_>| list.try_update(|list| write(list)).map(drop).unwrap_err();
    assert_eq!(refused(&|list| list.insert(4, 9)), BadIndex::BeyondEnd { at: 4, len: 3 });
    assert_eq!(refused(&|list| list.remove(3)), BadIndex::BeyondEnd { at: 3, len: 3 });
    assert_eq!(refused(&|list| list.remove(usize::MAX)), BadIndex::BeyondEnd { at: usize::MAX, len: 3 });
    assert_eq!(refused(&|list| list.set(3, 9)), BadIndex::BeyondEnd { at: 3, len: 3 });
    assert_eq!(refused(&|list| list.delete(1..4)), BadIndex::BeyondEnd { at: 4, len: 3 });
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = refused(&|list| list.replace(2..1, [9]));
    assert_eq!(reversed, BadIndex::Reversed { start: 2, end: 1 });
    assert_eq!(list.encode(), before);
    assert_eq!((list.get(3), list.id_at(3)), (None, None));
    assert_eq!(list.range(2..9).map(Iterator::count), Err(BadIndex::BeyondEnd { at: 9, len: 3 }));
    assert!(list.range(1..3).unwrap().eq(&[2, 3]));
}

#[test]
fn two_that_set_one_element_leave_two_and_what_is_inserted_in_one_go_is_not_mixed() {
    let mut ann = replica::<List<String>>(1);
    let _ = ann.update(|list| list.extend(["a", "b", "c"]));
    let mut bob = ann.fork(id(2));
    let _ = ann.try_update(|list| list.set(1, "x")).unwrap();
    let _ = bob.try_update(|list| list.set(1, "y")).unwrap();
    exchange(&mut ann, &mut bob);
    assert_eq!(ann.iter().collect::<Vec<_>>(), ["a", "x", "y", "c"]);
    let _ = ann.update(|list| (0..20).for_each(|n| list.insert(2, format!("ann {n}")).unwrap()));
    let _ = bob.update(|list| list.insert_all(2, (0..20).map(|n| format!("bob {n}"))).unwrap());
    exchange(&mut ann, &mut bob);
    let by: Vec<&str> = ann.iter().filter_map(|element| element.split_once(' ')).map(|(by, _)| by).collect();
    assert_eq!(by.chunk_by(|a, b| a == b).count(), 2, "{by:?}");
}

#[test]
fn what_is_put_in_place_of_something_stands_behind_what_others_put_before_that() {
    let replacing: [fn(&mut Mut<'_, List<char>>); 2] =
        [|list| list.set(1, 'x').unwrap(), |list| list.replace(1..2, ['x']).unwrap()];
    for (replace, ids) in replacing.into_iter().flat_map(|replace| [(replace, (1, 2)), (replace, (2, 1))]) {
        let mut ann = replica::<List<char>>(ids.0);
        let _ = ann.update(|list| list.extend("abc".chars()));
        let mut bob = ann.fork(id(ids.1));
        let _ = ann.update(replace);
        let _ = bob.update(|list| list.insert(1, 'q').unwrap());
        exchange(&mut ann, &mut bob);
        assert_eq!(
            (ann.iter().collect::<String>(), bob.iter().collect()),
            ("aqxc".into(), "aqxc".to_owned())
        );
    }
}

#[test]
fn a_cursor_and_a_name_stay_at_their_element() {
    let mut list = replica::<List<char>>(1);
    let _ = list.update(|list| list.extend("abcdef".chars()));
    let (name, before, after) =
        (list.id_at(3).unwrap(), list.cursor(3, Bias::Before).unwrap(), list.cursor(3, Bias::After).unwrap());
    let mut other = list.fork(id(2));
    let _ = other.try_update(|list| list.insert_all(3, "xy".chars())).unwrap();
    let _ = list.try_update(|list| list.delete(0..2)).unwrap();
    exchange(&mut list, &mut other);
    assert_eq!(list.iter().collect::<String>(), "cxydef");
    assert_eq!((list.find(&before), list.find(&after), list.position(name)), (Some(1), Some(3), Some(3)));
    assert!(list.update(|list| list.remove_id(name)).0 && !list.update(|list| list.remove_id(name)).0);
    assert_eq!((list.find(&after), list.position(name)), (Some(3), None));
    // Names that nobody honest gives.
    let json = serde_json::to_string(&name).unwrap().replace(":5", &format!(":{}", u64::MAX));
    assert!(serde_json::from_str::<ElementId>(&json).is_err(), "{json}");
    assert!(list.cursor(99, Bias::After).is_err());
}

/// As an older program writes it, and a newer one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Old {
    name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct New {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    age: Option<u8>,
}

#[test]
fn an_element_is_passed_on_as_its_author_wrote_it() {
    let mut new = replica::<List<New>>(1);
    let _ = new.update(|list| list.push(New { name: "eel".into(), age: Some(3) }));
    let mut old = Replica::<List<Old>>::decode(id(2), &new.encode(), &Limits::default()).unwrap();
    let _ = old.try_update(|list| list.insert(0, Old { name: "cod".into() })).unwrap();
    let again = Replica::<List<New>>::decode(id(3), &old.encode(), &Limits::default()).unwrap();
    assert_eq!(again.get(1), new.get(0));
    assert_eq!(again.get(0), Some(&New { name: "cod".into(), age: None }));
}

#[derive(Clone, Debug, Deserialize)]
struct Refuses(bool);

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 { Err(serde::ser::Error::custom("not this one")) } else { false.serialize(serializer) }
    }
}

#[test]
fn an_element_that_refuses_to_be_written_undoes_the_update() {
    let mut list = replica::<List<Refuses>>(1);
    let before = list.encode();
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let _ = list.update(|list| list.extend([Refuses(false), Refuses(true)]));
    }));
    assert!(attempt.is_err() && list.is_empty());
    assert_eq!(list.encode(), before);
}

#[test]
fn of_another_type_it_is_refused() {
    let mut numbers = replica::<List<u64>>(1);
    let (_, delta) = numbers.update(|list| list.extend([1_u64, 2]));
    assert!(Delta::<List<String>>::decode(&delta.encode(), &Limits::default()).is_err());
    assert!(Replica::<List<String>>::decode(id(2), &numbers.encode(), &Limits::default()).is_err());
}

#[test]
fn it_nests_in_documents_and_maps_and_says_what_changed_there() {
    let mut ann = replica::<AddWinsMap<String, Doc>>(1);
    let (_, first) = ann.update(|pages| pages.at("guide").list("steps").extend(["row", "fish"]));
    let mut bob = replica::<AddWinsMap<String, Doc>>(2);
    bob.merge(first).unwrap();
    let (_, delta, changes) =
        ann.update_changes(|pages| pages.at("guide").list("steps").replace(1..2, [1.5, 2.0]).unwrap());
    let path: Vec<Plain> = vec!["guide".into(), "steps".into(), "list".into()];
    assert_eq!(changes.changes[0].path, path);
    let What::ItemsSpliced(splices) = &changes.changes[0].what else { panic!("{changes:?}") };
    assert_eq!((splices.len(), splices[0].at, splices[0].deleted, splices[0].inserted.len()), (1, 1, 1, 2));
    let mut shown = bob.plain();
    let (_, told) = bob.merge_changes(delta).unwrap();
    told.iter().for_each(|changes| changes.apply_to(&mut shown).unwrap());
    assert_eq!((shown, bob.encode()), (ann.plain(), ann.encode()));
    let steps = bob.get("guide").unwrap().get("steps").unwrap().list().unwrap();
    assert_eq!(steps.get(2), Some(&Scalar::from(2.0)));
    assert_eq!(serde_json::to_string(&tombolo_crdt::View(steps)).unwrap(), r#"["row",1.5,2.0]"#);
}

#[test]
fn what_is_inserted_and_deleted_again_takes_no_more_and_more() {
    let mut list = replica::<List<u64>>(1);
    let mut sizes = Vec::new();
    for round in 0..6_u64 {
        for n in 0..500 {
            let at = (n * 7 + round) as usize % (list.len() + 1);
            let _ = list.try_update(|list| list.insert(at, n)).unwrap();
        }
        let _ = list.try_update(|list| list.delete(0..list.len() - 50)).unwrap();
        while !list.sweep(&list.version()).is_empty() {}
        sizes.push(list.encode().len());
    }
    assert!(sizes[5] < sizes[1] * 3 / 2, "{sizes:?}");
}

#[derive(Crdt)]
#[crdt(name = "list.Old")]
struct OldShelf {
    books: List<String>,
}

/// As a newer program names it.
#[derive(Crdt)]
#[crdt(name = "list.Old")]
struct Shelf {
    #[crdt(alias = "books")]
    volumes: List<String>,
    notes: Text,
}

#[test]
fn what_is_read_in_many_slices_is_what_was_written() {
    let mut ann = replica::<AddWinsMap<u8, OldShelf>>(7);
    let mut bob = replica::<AddWinsMap<u8, OldShelf>>(2);
    let write = |list: &mut Replica<AddWinsMap<u8, OldShelf>>, count: u64, seed: u64| {
        let _ = list.update(|shelves| {
            for n in 0..count {
                let mut shelf = shelves.at((n % 2) as u8);
                let mut books = shelf.books();
                let at = (n * n * 31 + seed) as usize % (books.len() + 1);
                books.insert(at, format!("{n} of {seed}, which is long enough to fill slices")).unwrap();
            }
        });
    };
    write(&mut ann, 6_000, 7);
    write(&mut bob, 3_000, 2);
    exchange(&mut ann, &mut bob);
    write(&mut ann, 500, 8);
    let bytes = ann.encode();
    let limits = Limits::default();
    assert!(EncodedState::open::<AddWinsMap<u8, OldShelf>>(&bytes, &limits).unwrap().len() > 3);
    let again = Replica::<AddWinsMap<u8, OldShelf>>::decode(id(3), &bytes, &limits).unwrap();
    let newer = Replica::<AddWinsMap<u8, Shelf>>::decode(id(3), &bytes, &limits).unwrap();
    for key in 0..2 {
        let written: Vec<&String> = ann.get(&key).unwrap().books.iter().collect();
        assert!(again.get(&key).unwrap().books.iter().eq(written.iter().copied()));
        assert!(newer.get(&key).unwrap().volumes.iter().eq(written.iter().copied()));
    }
    assert_eq!(again.encode(), bytes);
    assert_eq!(newer.encode(), bytes);
    bob.merge(bob.read_state(&bytes, &limits).unwrap()).unwrap();
    assert_eq!(bob.encode(), bytes);
    assert!(newer.get(&0).unwrap().notes.is_empty());
}
