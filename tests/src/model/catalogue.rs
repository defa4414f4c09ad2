//! The small scope of every type.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::Serialize;
use tombolo_crdt::{
    AddWinsMap, AddWinsSet, BoundedCounter, Crdt, DisableWinsFlag, Doc, EnableWinsFlag, GCounter, GMap, GSet,
    List, LwwMap, LwwRegister, MarkKind, MaxRegister, MinRegister, MovableList, Mut, MvRegister, PnCounter,
    RemoveWinsSet, Replica, ReplicaId, Text, TextRun, Tree, TwoPhaseSet,
};

use super::definitions::{
    Deed, Place, added, agreed, chosen, counted, escrowed, latest, latest_kept, never_banned, offered, values,
};
use super::history::History;
use super::marks::{LETTERS, Part, marked, part, said};
use super::moved::{Author, Replay};
use super::order::{Fugue, Ghosts, ordered};
use super::placed::{Element, Under};
use super::scopes::{Scope, Visited, explore};

/// A type, to be explored with so many replicas, operations and threads.
pub struct Named {
    /// What it is called.
    pub name: &'static str,
    /// Explores it.
    pub explore: Box<dyn Fn(usize, usize, usize) -> Visited>,
}

/// A write of an element, or its removal.
type On = (u8, bool);

const ELEMENTS: &[On] = &[(0, true), (1, true), (0, false), (1, false)];
/// What is inserted at the start, at the end and in the middle; and the first or the last deleted.
const TYPING: &[On] = &[(0, true), (1, true), (2, true), (0, false), (1, false)];
/// What is moved in a list, the first of them made; and deleted, or written to. To make more is what a list of plain values does.
const MOVING: &[On] = &[(1, true), (2, true), (0, false), (1, false)];
/// What is made and moved in a tree; and put away, or brought back.
const GRAFTING: &[On] = &[(0, true), (1, true), (2, true), (0, false), (1, false)];
const SWITCH: &[bool] = &[true, false];

#[derive(Debug, Clone, Copy)]
enum Below {
    /// An element below a key.
    Add(u8, u8),
    Remove(u8, u8),
    Key(u8),
}

#[derive(Debug, Clone, Copy)]
enum Escrow {
    Add(u64),
    Take(u64),
    Pass(u64, u8),
}

/// What typing at a text or list of this length is.
fn typed((which, on): On, len: usize) -> Option<Deed> {
    match (which, on) {
        (0, true) => Some(Deed::Insert(0, which)),
        (1, true) => Some(Deed::Insert(len, which)),
        (_, true) => (len > 1).then(|| Deed::Insert(len.div_ceil(2), which)),
        (0, false) => (len > 0).then_some(Deed::Delete(0)),
        (_, false) => len.checked_sub(1).map(Deed::Delete),
    }
}

/// What typing was that has left a text or list of this length.
fn was_typed(op: On, len: usize) -> Deed {
    let before = if op.1 { len - 1 } else { len + 1 };
    typed(op, before).expect("something was written")
}

const BOLD: &[MarkKind; 1] = &[MarkKind::BOLD];
const LINK: &[MarkKind; 1] = &[MarkKind::LINK];

/// Marks a part of a text, or takes that back, or types there; a text of which nothing is read is begun first.
fn lay(text: &mut Mut<'_, Text>, (which, on): On, kind: &MarkKind) {
    if text.is_empty() {
        text.push(&LETTERS[..3].iter().collect::<String>());
    }
    let done = match part(which, on, text.len()) {
        Part::Mark(start, end, true) => text.mark(start..end, kind.clone(), said(kind, which)),
        Part::Mark(start, end, false) => text.unmark(start..end, kind.clone()),
        Part::Type(at) => text.insert(at, &LETTERS[3].to_string()),
    };
    done.expect("there is such a part");
}

/// Holds that each letter has the mark of this kind that the definition says.
fn assert_is_marked(history: &History<Deed>, visible: &[usize], text: &Text, kinds: &'static [MarkKind; 1]) {
    let each = |run: TextRun<'_>| {
        let said = run.marks.get(kinds[0].name()).map(|value| (*value).clone());
        run.text.chars().map(|letter| (letter, said.clone())).collect::<Vec<_>>()
    };
    let read: Vec<_> = text.runs().flat_map(each).collect();
    assert_eq!(read, marked(history, visible, kinds), "in {history:?}");
}

fn no_names<T: Crdt>(_: &Replica<T>) -> String {
    String::new()
}

/// Who wrote which letter, and with which of its dots.
fn letters(text: &Text) -> Vec<(String, u64)> {
    let snapshot = serde_json::to_value(text.snapshot()).expect("it is plain data");
    let each = |run: &serde_json::Value| {
        let (replica, counter) = (run[0]["replica"].clone(), run[0]["counter"].as_u64().expect("a dot"));
        let count = run[1].as_u64().expect("a number of letters");
        (0..count).map(move |nth| (replica.as_str().expect("an id").to_owned(), counter + nth))
    };
    let runs = snapshot["runs"].as_array().expect("the names of its letters");
    runs.iter().flat_map(each).collect()
}

fn text_names(text: &Replica<Text>) -> String {
    let names: Vec<_> = letters(text).iter().map(|(author, dot)| format!("{author} {dot}")).collect();
    names.join(", ")
}

/// The events that wrote the letters of a text.
fn makers_of_letters(history: &History<Deed>, text: &Text) -> Vec<usize> {
    let maker = |(author, dot)| maker(history, serde_json::json!({ "replica": author, "counter": dot }));
    letters(text).into_iter().map(maker).collect()
}

fn mark_names(text: &Replica<Text>) -> String {
    text.runs().map(|run| format!("{}{:?}", run.text, run.marks)).collect()
}

/// As [`text_names`].
fn list_names(list: &Replica<List<u8>>) -> String {
    let name = |at| {
        let dot = serde_json::to_value(list.id_at(at)).expect("it is plain data");
        format!("{} {}", dot["replica"].as_str().expect("an id"), dot["counter"])
    };
    (0..list.len()).map(name).collect::<Vec<_>>().join(", ")
}

fn movable_names(list: &Replica<MovableList<EnableWinsFlag>>) -> String {
    format!("{:?}", (0..list.len()).map(|at| list.id_at(at)).collect::<Vec<_>>())
}

fn tree_names(tree: &Replica<Tree<EnableWinsFlag>>) -> String {
    format!("{:?} {:?}", tree.iter().collect::<Vec<_>>(), tree.trash().collect::<Vec<_>>())
}

fn sheet_names(sheet: &Replica<Sheet>) -> String {
    let steps: Vec<_> = (0..sheet.steps.len()).map(|at| sheet.steps.id_at(at)).collect();
    let parts: Vec<_> = sheet.parts.iter().collect();
    format!("{:?} {steps:?} {parts:?}", letters(&sheet.body))
}

/// The event that made the element of this name.
fn maker(history: &History<Deed>, id: impl Serialize) -> usize {
    let dot = serde_json::to_value(id).expect("it is plain data");
    let author = serde_json::from_value(dot["replica"].clone()).expect("an id");
    let made = history.of_dot(author, dot["counter"].as_u64().expect("a dot"));
    made.expect("somebody made it")
}

/// What an operation on a [`MovableList`] does, by its definition: what is first is moved to the end or behind the next, or three are made where
/// there are none; what is last is deleted, or written to.
fn move_in_list(author: &mut Author<'_>, which: u8, on: bool) {
    let all: Vec<Element> = author.read().below(Under::Root).to_vec();
    match (which, on, &all[..]) {
        (_, true, []) => (0..3).for_each(|at| author.make(Under::Root, at, Some(1))),
        (1, true, [first, _, ..]) => author.move_in_list(*first, all.len() - 1),
        (_, true, [first, _, ..]) => author.move_in_list(*first, 1),
        (0, false, [.., last]) => author.purge(*last),
        (_, false, [.., last]) => author.write(*last, 1),
        (_, true, [_]) | (_, false, []) => {}
    }
}

/// What an operation on a [`Tree`] does, by its definition: one is made below the last, two in a tree of none; the last is moved to the top and the
/// first below it; the last is moved below the first; the first is put away; what was put away first is brought back.
fn move_in_tree(author: &mut Author<'_>, which: u8, on: bool) {
    let reading = author.read();
    let nodes: Vec<Element> = reading.walk(Under::Root).into_iter().map(|(node, _)| node).collect();
    match (which, on, &nodes[..]) {
        (_, true, []) => (0..2).for_each(|at| author.make(Under::Root, at, Some(1))),
        (0, true, nodes) => {
            let under = Under::of(nodes.last().copied());
            author.make(under, reading.below(under).len(), Some(1));
        }
        (1, true, [first, .., last]) => {
            author.move_to(*last, None, 0);
            author.move_to(*first, Some(*last), 0);
        }
        (_, true, [first, .., last]) => author.move_to(*last, Some(*first), 0),
        (0, false, [first, ..]) => author.delete(*first),
        (_, false, _) => {
            let first = author.trash().first().copied();
            first.into_iter().for_each(|node| author.restore(node));
        }
        _ => {}
    }
}

/// What is done to a [`Sheet`] does this to its steps, and to its parts, by their definition.
fn move_in_sheet(author: &mut Author<'_>, field: usize, deed: &Deed) {
    let reading = author.read();
    let all: Vec<Element> = reading.walk(Under::Root).into_iter().map(|(element, _)| element).collect();
    match (deed, field, &all[..]) {
        (Deed::Act(1, true), 0, [first, _, ..]) => author.move_in_list(*first, all.len() - 1),
        (Deed::Act(1, true), 0, _) => author.make(Under::Root, all.len(), Some(1)),
        (Deed::Act(1, true), _, [.., _, last]) => author.move_to(*last, None, 0),
        (Deed::Act(1, true), _, [.., last]) => author.make(Under::Element(*last), 0, Some(1)),
        (Deed::Act(1, true), _, []) => author.make(Under::Root, 0, Some(1)),
        (Deed::Act(0, false), 1, [.., _, last]) => {
            let others = reading.below(Under::Root).iter().filter(|other| *other != last).count();
            author.move_to(*last, None, others);
        }
        _ => {}
    }
}

/// The events that typed something at the end, where others have deleted all there was, in the order in which it is read.
fn typed_at_end(history: &History<Deed>, visible: &[usize]) -> Vec<usize> {
    // A deletion is one event for each thing that goes.
    const MANY: usize = 16;
    let events = |seen: &[usize]| seen.iter().flat_map(|event| event * MANY..(event + 1) * MANY).collect();
    let mut all = Fugue::new(Ghosts::HungOn);
    for &event in visible {
        let operation = history.operation(event);
        let mut before: BTreeSet<usize> = events(&history.before(event));
        let there = all.read(&before).len();
        match operation.what {
            Deed::Act(0, true) => all.insert(event * MANY, operation.author, there, &before),
            Deed::Act(0, false) => {
                for deletion in event * MANY..event * MANY + there {
                    all.delete(deletion, 0, &before);
                    before.insert(deletion);
                }
            }
            _ => {}
        }
    }
    all.read(&events(visible)).into_iter().map(|event| event / MANY).collect()
}

/// Holds that this is read, and written by those whose names these are, in the order that the definition says.
fn assert_is_ordered(history: &History<Deed>, visible: &[usize], read: &[u8], names: &str) {
    let expected = ordered(history, visible);
    let what = |event: &usize| match history.operation(*event).what {
        Deed::Insert(_, what) => what,
        ref other => panic!("{other:?} inserts nothing"),
    };
    assert_eq!(read, expected.iter().map(what).collect::<Vec<_>>(), "of {names}, in {history:?}");
    let author = |event: &usize| {
        let id = serde_json::to_value(history.operation(*event).author).expect("it is plain data");
        id.as_str().expect("an id").to_owned()
    };
    let authors: Vec<&str> = names.split(", ").filter_map(|name| name.split(' ').next()).collect();
    let authors: Vec<&str> = authors.into_iter().filter(|author| !author.is_empty()).collect();
    assert_eq!(authors, expected.iter().map(author).collect::<Vec<_>>(), "in {history:?}");
}

/// A struct of a flag and a register.
#[derive(Crdt)]
pub struct Record {
    /// The flag.
    pub open: EnableWinsFlag,
    /// The register.
    #[crdt(mv)]
    pub owner: u8,
}

/// An enum of two counters.
#[derive(Crdt)]
pub enum Shape {
    /// One of them.
    Round(PnCounter),
    /// The other one.
    Square(PnCounter),
}

/// A struct of everything that has an order, some of it below keys.
#[derive(Crdt)]
pub struct Sheet {
    /// Letters.
    pub body: Text,
    /// An element for each letter.
    pub items: List<u8>,
    /// Made at the end, and moved there.
    pub steps: MovableList<EnableWinsFlag>,
    /// Made below the last one, and moved to the top.
    pub parts: Tree<EnableWinsFlag>,
    /// Letters below keys.
    pub notes: AddWinsMap<u8, Text>,
}

/// What is done to a [`Sheet`].
#[derive(Debug, Clone, Copy)]
pub enum Jot {
    /// A letter, an element, and a letter below a key.
    Type,
    /// All of these go, with the key; and the last of two parts or more is moved to the end of the top.
    Erase,
    /// A step and a part are made, or moved where there are two.
    Arrange,
}

impl Jot {
    fn apply(self, sheet: &mut SheetMut<'_>) {
        match self {
            Self::Type => {
                sheet.body().push("a");
                sheet.items().push(0);
                sheet.notes().at(0).push("a");
            }
            Self::Erase => {
                sheet.body().clear();
                sheet.items().clear();
                sheet.notes().remove(&0);
                let mut parts = sheet.parts();
                let nodes: Vec<_> = parts.iter().map(|(id, _)| id).collect();
                if let [.., _, last] = nodes[..] {
                    let others = parts.roots().filter(|id| *id != last).count();
                    parts.move_to(last, None, others).expect("it is below nothing of its own");
                }
            }
            Self::Arrange => {
                let mut steps = sheet.steps();
                match steps.len() {
                    0 | 1 => steps.push().enable(),
                    len => steps.move_to(0, len - 1).expect("there are such steps"),
                }
                let mut parts = sheet.parts();
                let nodes: Vec<_> = parts.iter().map(|(id, _)| id).collect();
                match nodes[..] {
                    [.., _, last] => parts.move_to(last, None, 0).expect("it is below nothing of its own"),
                    _ => parts.push(nodes.last().copied()).expect("it is there").1.enable(),
                }
            }
        }
    }
}

/// What is done to a [`Shape`].
#[derive(Debug, Clone, Copy)]
pub enum Draw {
    /// Chooses the one variant.
    Round,
    /// Chooses the other one.
    Square,
    /// Counts in the one that is shown.
    Grow(i64),
}

impl Draw {
    /// Does it.
    pub fn apply(self, shape: &mut ShapeMut<'_>) {
        match self {
            Self::Round => _ = shape.choose_round(),
            Self::Square => _ = shape.choose_square(),
            Self::Grow(by) => {
                if let Some(mut round) = shape.round() {
                    round.field_0().add(by);
                } else if let Some(mut square) = shape.square() {
                    square.field_0().add(by);
                }
            }
        }
    }
}

/// Which variant is shown, with its sum.
#[must_use]
pub fn drawn(shape: &ShapeState) -> Option<(String, i64)> {
    shape.get().map(|shape| match shape {
        ShapeRef::Round(size) => ("Round".to_owned(), size.0.value()),
        ShapeRef::Square(size) => ("Square".to_owned(), size.0.value()),
        ShapeRef::Unknown(name) => panic!("nobody chose {name}"),
    })
}

fn at(parts: &[u8]) -> Place {
    parts.iter().map(u8::to_string).collect()
}

fn receiver(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([[0x20, 0x90][usize::from(number)]; 16])
}

fn nothing_alike<O>(_: &O) -> u8 {
    0
}

/// All types.
#[must_use]
pub fn all() -> Vec<Named> {
    let mut all = Vec::new();
    fn add<T: Crdt, O: Debug + Sync + 'static>(all: &mut Vec<Named>, scope: Scope<T, O>) {
        let name = scope.name;
        let explore = Box::new(move |replicas, length, threads| explore(&scope, replicas, length, threads));
        all.push(Named { name, explore });
    }
    add(
        &mut all,
        Scope::<GCounter, u64> {
            name: "GCounter",
            operations: &[1, 2],
            element: nothing_alike,
            apply: |counter, by| counter.inc(*by),
            deed: |by, _| Deed::Count(at(&[]), *by as i64),
            names: no_names,
            check: |history, visible, counter| {
                let sum = counted(history, visible).remove(&at(&[])).unwrap_or(0);
                assert_eq!(counter.value(), sum as u64);
            },
        },
    );
    add(
        &mut all,
        Scope::<PnCounter, i64> {
            name: "PnCounter",
            operations: &[1, -2],
            element: nothing_alike,
            apply: |counter, by| counter.add(*by),
            deed: |by, _| Deed::Count(at(&[]), *by),
            names: no_names,
            check: |history, visible, counter| {
                assert_eq!(counter.value(), counted(history, visible).remove(&at(&[])).unwrap_or(0));
            },
        },
    );
    add(
        &mut all,
        Scope::<BoundedCounter, Escrow> {
            name: "BoundedCounter",
            operations: &[Escrow::Add(2), Escrow::Take(1), Escrow::Pass(1, 0), Escrow::Pass(1, 1)],
            element: nothing_alike,
            apply: |counter, op| match *op {
                Escrow::Add(by) => counter.inc(by),
                Escrow::Take(by) => drop(counter.dec(by)),
                Escrow::Pass(by, to) => drop(counter.transfer(by, receiver(to))),
            },
            deed: |op, _| match *op {
                Escrow::Add(by) => Deed::Count(at(&[]), by as i64),
                Escrow::Take(by) => Deed::Take(by),
                Escrow::Pass(by, to) => Deed::Pass(by, receiver(to)),
            },
            names: no_names,
            check: |history, visible, counter| {
                assert_eq!(counter.value(), escrowed(history, visible));
                assert!(counter.value() >= 0);
            },
        },
    );
    add(
        &mut all,
        Scope::<EnableWinsFlag, bool> {
            name: "EnableWinsFlag",
            operations: SWITCH,
            element: nothing_alike,
            apply: |flag, on| if *on { flag.enable() } else { flag.disable() },
            deed: |on, _| if *on { Deed::Add(at(&[])) } else { Deed::Remove(at(&[])) },
            names: no_names,
            check: |history, visible, flag| assert_eq!(flag.value(), !added(history, visible).is_empty()),
        },
    );
    add(
        &mut all,
        Scope::<DisableWinsFlag, bool> {
            name: "DisableWinsFlag",
            operations: SWITCH,
            element: nothing_alike,
            apply: |flag, on| if *on { flag.enable() } else { flag.disable() },
            deed: |on, _| if *on { Deed::Add(at(&[])) } else { Deed::Ban(at(&[])) },
            names: no_names,
            check: |history, visible, flag| assert_eq!(flag.value(), !agreed(history, visible).is_empty()),
        },
    );
    add(
        &mut all,
        Scope::<LwwRegister<u8>, Option<u8>> {
            name: "LwwRegister",
            operations: &[Some(0), Some(1), None],
            element: |op| op.unwrap_or(0),
            apply: |register, op| match op {
                Some(value) => register.set(*value),
                None => register.clear(),
            },
            deed: |op, author| match op {
                Some(value) => Deed::Stamp(at(&[]), author.stamp().unwrap(), value.to_string()),
                None => Deed::Remove(at(&[])),
            },
            names: no_names,
            check: |history, visible, register| {
                let read = register.value().map(|value| (register.stamp().unwrap(), value.to_string()));
                assert_eq!(read, latest(history, visible).remove(&at(&[])));
            },
        },
    );
    add(
        &mut all,
        Scope::<MvRegister<u8>, Option<u8>> {
            name: "MvRegister",
            operations: &[Some(0), Some(1), None],
            element: |op| op.unwrap_or(0),
            apply: |register, op| match op {
                Some(value) => register.set(*value),
                None => register.clear(),
            },
            deed: |op, _| match op {
                Some(value) => Deed::Set(at(&[]), value.to_string()),
                None => Deed::Remove(at(&[])),
            },
            names: no_names,
            check: |history, visible, register| {
                let mut read: Vec<_> = register.values().map(u8::to_string).collect();
                read.sort_unstable();
                assert_eq!(read, values(history, visible).remove(&at(&[])).unwrap_or_default());
            },
        },
    );
    add(
        &mut all,
        Scope::<MaxRegister<u8>, u8> {
            name: "MaxRegister",
            operations: &[1, 2, 3],
            element: nothing_alike,
            apply: |register, value| register.set(*value),
            deed: |value, _| Deed::Offer(at(&[]), (*value).into()),
            names: no_names,
            check: |history, visible, register| {
                let offered = offered(history, visible).remove(&at(&[])).unwrap_or_default();
                assert_eq!(register.value().map(|value| i64::from(*value)), offered.last().copied());
            },
        },
    );
    add(
        &mut all,
        Scope::<MinRegister<u8>, u8> {
            name: "MinRegister",
            operations: &[1, 2, 3],
            element: nothing_alike,
            apply: |register, value| register.set(*value),
            deed: |value, _| Deed::Offer(at(&[]), (*value).into()),
            names: no_names,
            check: |history, visible, register| {
                let offered = offered(history, visible).remove(&at(&[])).unwrap_or_default();
                assert_eq!(register.value().map(|value| i64::from(*value)), offered.first().copied());
            },
        },
    );
    add(
        &mut all,
        Scope::<GSet<u8>, u8> {
            name: "GSet",
            operations: &[0, 1],
            element: |element| *element,
            apply: |set, element| set.add(*element),
            deed: |element, _| Deed::Add(at(&[*element])),
            names: no_names,
            check: |history, visible, set| {
                let read: BTreeSet<_> = set.iter().map(|element| at(&[*element])).collect();
                assert_eq!(read, added(history, visible));
            },
        },
    );
    add(
        &mut all,
        Scope::<TwoPhaseSet<u8>, On> {
            name: "TwoPhaseSet",
            operations: ELEMENTS,
            element: |(element, _)| *element,
            apply: |set, (element, on)| {
                if *on {
                    set.add(*element);
                } else {
                    set.remove(element);
                }
            },
            deed: |(element, on), _| {
                if *on { Deed::Add(at(&[*element])) } else { Deed::Ban(at(&[*element])) }
            },
            names: no_names,
            check: |history, visible, set| {
                let read: BTreeSet<_> = set.iter().map(|element| at(&[*element])).collect();
                assert_eq!(read, never_banned(history, visible));
            },
        },
    );
    add(
        &mut all,
        Scope::<AddWinsSet<u8>, On> {
            name: "AddWinsSet",
            operations: ELEMENTS,
            element: |(element, _)| *element,
            apply: |set, (element, on)| {
                if *on {
                    set.add(*element);
                } else {
                    set.remove(element);
                }
            },
            deed: |(element, on), _| {
                if *on { Deed::Add(at(&[*element])) } else { Deed::Remove(at(&[*element])) }
            },
            names: no_names,
            check: |history, visible, set| {
                let read: BTreeSet<_> = set.iter().map(|element| at(&[*element])).collect();
                assert_eq!(read, added(history, visible));
            },
        },
    );
    add(
        &mut all,
        Scope::<RemoveWinsSet<u8>, On> {
            name: "RemoveWinsSet",
            operations: ELEMENTS,
            element: |(element, _)| *element,
            apply: |set, (element, on)| {
                if *on {
                    set.add(*element);
                } else {
                    set.remove(*element);
                }
            },
            deed: |(element, on), _| {
                if *on { Deed::Add(at(&[*element])) } else { Deed::Ban(at(&[*element])) }
            },
            names: no_names,
            check: |history, visible, set| {
                let read: BTreeSet<_> = set.iter().map(|element| at(&[*element])).collect();
                assert_eq!(read, agreed(history, visible));
            },
        },
    );
    add(
        &mut all,
        Scope::<Text, On> {
            name: "Text",
            operations: TYPING,
            element: nothing_alike,
            apply: |text, op| match typed(*op, text.len()) {
                Some(Deed::Insert(at, letter)) => {
                    let letter = char::from(b'a' + letter);
                    text.insert(at, letter.encode_utf8(&mut [0; 4])).expect("there is such a place");
                }
                Some(Deed::Delete(at)) => text.delete(at..at + 1).expect("there is such a letter"),
                _ => {}
            },
            deed: |op, text| was_typed(*op, text.len()),
            names: text_names,
            check: |history, visible, text| {
                let read: Vec<u8> = text.chunks().flat_map(str::bytes).map(|letter| letter - b'a').collect();
                assert_is_ordered(history, visible, &read, &text_names(text));
            },
        },
    );
    add(
        &mut all,
        Scope::<Text, On> {
            name: "Text with marks",
            operations: ELEMENTS,
            element: |(comment, _)| *comment,
            apply: |text, (comment, on)| {
                let kind = MarkKind::comment(&comment.to_string());
                if text.is_empty() {
                    text.push("x");
                }
                let all = 0..text.len();
                if *on { text.mark(all, kind, true) } else { text.unmark(all, kind) }
                    .expect("there is such a part");
            },
            deed: |(comment, on), _| {
                if *on { Deed::Add(at(&[*comment])) } else { Deed::Remove(at(&[*comment])) }
            },
            names: mark_names,
            check: |history, visible, text| {
                let is_marked = |name: &str| text.runs().any(|run| run.marks.contains_key(name));
                let read: BTreeSet<_> = [0_u8, 1]
                    .into_iter()
                    .filter(|comment| is_marked(MarkKind::comment(&comment.to_string()).name()))
                    .map(|comment| at(&[comment]))
                    .collect();
                assert_eq!(read, added(history, visible));
            },
        },
    );
    add(
        &mut all,
        Scope::<Text, On> {
            name: "Text with bold parts",
            // All four of them at four operations are as much as two texts.
            operations: &[(0, true), (0, false), (1, false)],
            element: nothing_alike,
            apply: |text, op| lay(text, *op, &BOLD[0]),
            deed: |(which, on), _| Deed::Act(*which, *on),
            names: mark_names,
            check: |history, visible, text| assert_is_marked(history, visible, text, BOLD),
        },
    );
    add(
        &mut all,
        Scope::<Text, On> {
            name: "Text with links",
            // Two of them overlap and say different things.
            operations: &[(0, true), (1, true), (0, false)],
            element: nothing_alike,
            apply: |text, op| lay(text, *op, &LINK[0]),
            deed: |(which, on), _| Deed::Act(*which, *on),
            names: mark_names,
            check: |history, visible, text| assert_is_marked(history, visible, text, LINK),
        },
    );
    add(
        &mut all,
        Scope::<List<u8>, On> {
            name: "List",
            operations: TYPING,
            element: nothing_alike,
            apply: |list, op| match typed(*op, list.len()) {
                Some(Deed::Insert(at, element)) => list.insert(at, element).expect("there is such a place"),
                Some(Deed::Delete(at)) => list.remove(at).expect("there is such an element"),
                _ => {}
            },
            deed: |op, list| was_typed(*op, list.len()),
            names: list_names,
            check: |history, visible, list| {
                let read: Vec<u8> = list.iter().copied().collect();
                assert_is_ordered(history, visible, &read, &list_names(list));
            },
        },
    );
    add(
        &mut all,
        Scope::<MovableList<EnableWinsFlag>, On> {
            name: "MovableList",
            operations: MOVING,
            element: nothing_alike,
            apply: |list, (which, on)| match (*which, *on, list.len()) {
                (_, true, 0) => list.extend(0..3, |mut element, _| element.enable()),
                (1, true, len) => list.move_to(0, len - 1).expect("there are such elements"),
                (_, true, 1) => {}
                (_, true, _) => list.move_to(0, 1).expect("there are such elements"),
                (_, false, 0) => {}
                (0, false, len) => list.remove(len - 1).expect("there is such an element"),
                (_, false, len) => list.at(len - 1).expect("there is such an element").enable(),
            },
            deed: |(which, on), _| Deed::Act(*which, *on),
            names: movable_names,
            check: |history, visible, list| {
                let replay = Replay::of(history, visible, |author, deed| match *deed {
                    Deed::Act(which, on) => move_in_list(author, which, on),
                    ref other => panic!("{other:?} moves nothing"),
                });
                let expected = replay.read(visible);
                let expected: Vec<_> =
                    expected.below(Under::Root).iter().map(|element| replay.maker(*element)).collect();
                let read: Vec<_> = (0..list.len()).map(|at| maker(history, list.id_at(at))).collect();
                assert_eq!(read, expected, "in {history:?}");
                assert!(list.iter().all(EnableWinsFlag::value));
            },
        },
    );
    add(
        &mut all,
        Scope::<Tree<EnableWinsFlag>, On> {
            name: "Tree",
            operations: GRAFTING,
            element: nothing_alike,
            apply: |tree, (which, on)| {
                let nodes: Vec<_> = tree.iter().map(|(id, _)| id).collect();
                match (*which, *on, &nodes[..]) {
                    (_, true, []) => {
                        for _ in 0..2 {
                            let (_, mut value) = tree.push(None).expect("there is a top");
                            value.enable();
                        }
                    }
                    (0, true, nodes) => {
                        let (_, mut value) = tree.push(nodes.last().copied()).expect("it is there");
                        value.enable();
                    }
                    // Who does the one and who does the other at once move two into one another.
                    (1, true, [first, .., last]) => {
                        tree.move_to(*last, None, 0).expect("there is a top");
                        tree.move_to(*first, Some(*last), 0).expect("it is above no more");
                    }
                    (_, true, [first, .., last]) => {
                        tree.move_to(*last, Some(*first), 0).expect("what is first is below nothing");
                    }
                    (0, false, [first, ..]) => tree.delete(*first).expect("it is there"),
                    (_, false, _) => {
                        let first = tree.trash().next();
                        if let Some(id) = first {
                            tree.restore(id).expect("it is in the trash");
                        }
                    }
                    _ => {}
                }
            },
            deed: |(which, on), _| Deed::Act(*which, *on),
            names: tree_names,
            check: |history, visible, tree| {
                let replay = Replay::of(history, visible, |author, deed| match *deed {
                    Deed::Act(which, on) => move_in_tree(author, which, on),
                    ref other => panic!("{other:?} moves nothing"),
                });
                let expected = replay.read(visible);
                let walk: Vec<_> = expected
                    .walk(Under::Root)
                    .into_iter()
                    .map(|(node, depth)| (replay.maker(node), depth))
                    .collect();
                let read: Vec<_> = tree.iter().map(|(id, depth)| (maker(history, id), depth)).collect();
                assert_eq!(read, walk, "in {history:?}");
                let trash: Vec<_> =
                    replay.trash(&expected).into_iter().map(|node| replay.maker(node)).collect();
                let read: Vec<_> = tree.trash().map(|id| maker(history, id)).collect();
                assert_eq!(read, trash, "in {history:?}");
                assert!(tree.iter().all(|(id, _)| tree.get(id).is_some_and(EnableWinsFlag::value)));
            },
        },
    );
    add(
        &mut all,
        Scope::<GMap<u8, PnCounter>, u8> {
            name: "GMap of counters",
            operations: &[0, 1],
            element: |key| *key,
            apply: |map, key| map.at(*key).inc(1),
            deed: |key, _| Deed::Count(at(&[*key]), 1),
            names: no_names,
            check: |history, visible, map| {
                let read: BTreeMap<_, _> = map.iter().map(|(key, sum)| (at(&[*key]), sum.value())).collect();
                assert_eq!(read, counted(history, visible));
            },
        },
    );
    add(
        &mut all,
        Scope::<LwwMap<u8, u8>, On> {
            name: "LwwMap",
            operations: ELEMENTS,
            element: |(key, _)| *key,
            apply: |map, (key, on)| {
                if *on {
                    map.set(*key, 7);
                } else {
                    map.remove(key);
                }
            },
            deed: |(key, on), author| {
                if *on {
                    Deed::Stamp(at(&[*key]), author.stamp(key).unwrap(), "7".into())
                } else {
                    Deed::Unset(at(&[*key]), author.removed_at(key).unwrap())
                }
            },
            names: no_names,
            check: |history, visible, map| {
                let read: BTreeMap<_, _> =
                    map.iter().map(|(key, value)| (at(&[*key]), value.to_string())).collect();
                assert_eq!(read, latest_kept(history, visible));
            },
        },
    );
    add(
        &mut all,
        Scope::<AddWinsMap<u8, PnCounter>, On> {
            name: "AddWinsMap of counters",
            operations: ELEMENTS,
            element: |(key, _)| *key,
            apply: |map, (key, on)| {
                if *on {
                    map.at(*key).inc(1);
                } else {
                    map.remove(key);
                }
            },
            deed: |(key, on), _| if *on { Deed::Count(at(&[*key]), 1) } else { Deed::Remove(at(&[*key])) },
            names: no_names,
            check: |history, visible, map| {
                let read: BTreeMap<_, _> = map.iter().map(|(key, sum)| (at(&[*key]), sum.value())).collect();
                assert_eq!(read, counted(history, visible));
            },
        },
    );
    add(
        &mut all,
        Scope::<AddWinsMap<u8, AddWinsSet<u8>>, Below> {
            name: "AddWinsMap of sets",
            operations: &[Below::Add(0, 0), Below::Add(0, 1), Below::Remove(0, 0), Below::Key(0)],
            element: nothing_alike,
            apply: |map, op| match *op {
                Below::Add(key, element) => map.at(key).add(element),
                Below::Remove(key, element) => _ = map.at(key).remove(&element),
                Below::Key(key) => _ = map.remove(&key),
            },
            deed: |op, _| match *op {
                Below::Add(key, element) => Deed::Add(at(&[key, element])),
                Below::Remove(key, element) => Deed::Remove(at(&[key, element])),
                Below::Key(key) => Deed::Remove(at(&[key])),
            },
            names: no_names,
            check: |history, visible, map| {
                let elements = |(key, set): (&u8, &AddWinsSet<u8>)| {
                    set.iter().map(|element| at(&[*key, *element])).collect::<Vec<_>>()
                };
                let read: BTreeSet<_> = map.iter().flat_map(elements).collect();
                assert_eq!(read, added(history, visible));
            },
        },
    );
    add(
        &mut all,
        Scope::<AddWinsMap<u8, RemoveWinsSet<u8>>, Below> {
            name: "AddWinsMap of remove-wins sets",
            operations: &[Below::Add(0, 0), Below::Remove(0, 0), Below::Key(0)],
            element: nothing_alike,
            apply: |map, op| match *op {
                Below::Add(key, element) => map.at(key).add(element),
                Below::Remove(key, element) => _ = map.at(key).remove(element),
                Below::Key(key) => _ = map.remove(&key),
            },
            deed: |op, _| match *op {
                Below::Add(key, element) => Deed::Add(at(&[key, element])),
                Below::Remove(key, element) => Deed::Ban(at(&[key, element])),
                Below::Key(key) => Deed::Remove(at(&[key])),
            },
            names: no_names,
            check: |history, visible, map| {
                let elements = |(key, set): (&u8, &RemoveWinsSet<u8>)| {
                    set.iter().map(|element| at(&[*key, *element])).collect::<Vec<_>>()
                };
                let read: BTreeSet<_> = map.iter().flat_map(elements).collect();
                assert_eq!(read, agreed(history, visible));
            },
        },
    );
    add(
        &mut all,
        Scope::<AddWinsMap<u8, MaxRegister<u8>>, Option<u8>> {
            name: "AddWinsMap of max registers",
            operations: &[Some(1), Some(2), None],
            element: nothing_alike,
            apply: |map, op| match *op {
                Some(value) => map.at(0).set(value),
                None => _ = map.remove(&0),
            },
            deed: |op, _| match *op {
                Some(value) => Deed::Offer(at(&[0]), value.into()),
                None => Deed::Remove(at(&[0])),
            },
            names: no_names,
            check: |history, visible, map| {
                let read = map.get(&0).and_then(MaxRegister::value).map(|value| i64::from(*value));
                let offered = offered(history, visible).remove(&at(&[0])).unwrap_or_default();
                assert_eq!(read, offered.last().copied());
            },
        },
    );
    add(
        &mut all,
        Scope::<AddWinsMap<u8, Record>, Below> {
            name: "AddWinsMap of structs",
            operations: &[Below::Add(0, 0), Below::Add(0, 1), Below::Remove(0, 0), Below::Key(0)],
            element: nothing_alike,
            apply: |map, op| match *op {
                Below::Add(key, 0) => map.at(key).open().enable(),
                Below::Add(key, value) => map.at(key).owner().set(value),
                Below::Remove(key, _) => map.at(key).open().disable(),
                Below::Key(key) => _ = map.remove(&key),
            },
            deed: |op, _| match *op {
                Below::Add(key, 0) => Deed::Add(at(&[key, 0])),
                Below::Add(key, value) => Deed::Set(at(&[key, 1]), value.to_string()),
                Below::Remove(key, _) => Deed::Remove(at(&[key, 0])),
                Below::Key(key) => Deed::Remove(at(&[key])),
            },
            names: no_names,
            check: |history, visible, map| {
                let card = map.get(&0);
                let is_open = card.is_some_and(|card| card.open.value());
                assert_eq!(is_open, !added(history, visible).is_empty());
                let owners: Vec<_> =
                    card.map(|card| card.owner.values().map(u8::to_string).collect()).unwrap_or_default();
                assert_eq!(owners, values(history, visible).remove(&at(&[0, 1])).unwrap_or_default());
            },
        },
    );
    add(
        &mut all,
        Scope::<Sheet, Jot> {
            name: "a struct of ordered fields",
            operations: &[Jot::Type, Jot::Erase, Jot::Arrange],
            element: nothing_alike,
            apply: |sheet, op| op.apply(sheet),
            deed: |op, _| match *op {
                Jot::Type => Deed::Act(0, true),
                Jot::Erase => Deed::Act(0, false),
                Jot::Arrange => Deed::Act(1, true),
            },
            names: sheet_names,
            check: |history, visible, sheet| {
                let expected = typed_at_end(history, visible);
                let items: Vec<_> =
                    (0..sheet.items.len()).map(|at| maker(history, sheet.items.id_at(at))).collect();
                assert_eq!(items, expected, "in {history:?}");
                assert_eq!(makers_of_letters(history, &sheet.body), expected, "in {history:?}");
                // Below a key that is removed and begun again only what is there, and in which order one wrote it, is said.
                let mut letters =
                    sheet.notes.get(&0).map_or(Vec::new(), |note| makers_of_letters(history, note));
                letters.sort_unstable();
                let mut expected = expected;
                expected.sort_unstable();
                assert_eq!(letters, expected, "in {history:?}");
                let [steps, parts] = Replay::of_fields(history, visible, move_in_sheet);
                let expected = steps.read(visible);
                let expected: Vec<_> =
                    expected.below(Under::Root).iter().map(|element| steps.maker(*element)).collect();
                let read: Vec<_> =
                    (0..sheet.steps.len()).map(|at| maker(history, sheet.steps.id_at(at))).collect();
                assert_eq!(read, expected, "in {history:?}");
                let expected = parts.read(visible).walk(Under::Root);
                let expected: Vec<_> =
                    expected.into_iter().map(|(node, depth)| (parts.maker(node), depth)).collect();
                let read: Vec<_> =
                    sheet.parts.iter().map(|(id, depth)| (maker(history, id), depth)).collect();
                assert_eq!(read, expected, "in {history:?}");
                assert_eq!(sheet.parts.trash().count(), 0, "nothing is put away");
            },
        },
    );
    add(
        &mut all,
        Scope::<Shape, Draw> {
            name: "an enum",
            operations: &[Draw::Round, Draw::Square, Draw::Grow(1), Draw::Grow(2)],
            element: nothing_alike,
            apply: |shape, op| op.apply(shape),
            deed: |op, shape| match *op {
                Draw::Grow(by) => Deed::Count(vec![shape.chosen().value().unwrap().clone()], by),
                _ => {
                    let chosen = shape.chosen();
                    Deed::Stamp(at(&[]), chosen.stamp().unwrap(), chosen.value().unwrap().clone())
                }
            },
            names: no_names,
            check: |history, visible, shape| {
                let (shown, sums) = chosen(history, visible);
                let by_definition =
                    shown.map(|shown| (shown.clone(), sums.get(&shown).copied().unwrap_or(0)));
                assert_eq!(drawn(shape), by_definition);
            },
        },
    );
    add(
        &mut all,
        Scope::<Doc, Below> {
            name: "Doc",
            operations: &[Below::Add(0, 0), Below::Add(0, 1), Below::Remove(0, 1), Below::Key(0)],
            element: nothing_alike,
            apply: |doc, op| match *op {
                Below::Add(_, 0) => doc.counter("it").inc(1),
                Below::Add(..) => doc.set("it").add(1),
                Below::Remove(..) => _ = doc.set("it").remove(&1.into()),
                Below::Key(_) => _ = doc.remove("it"),
            },
            deed: |op, _| match *op {
                Below::Add(_, 0) => Deed::Count(at(&[0, 0]), 1),
                Below::Add(..) => Deed::Add(at(&[0, 1])),
                Below::Remove(..) => Deed::Remove(at(&[0, 1])),
                Below::Key(_) => Deed::Remove(at(&[0])),
            },
            names: no_names,
            check: |history, visible, doc| {
                let entry = doc.get("it");
                let count = entry.and_then(|entry| entry.counter()).map(PnCounter::value);
                assert_eq!(count, counted(history, visible).remove(&at(&[0, 0])));
                let is_in = entry.and_then(|entry| entry.set()).is_some_and(|set| set.contains(&1.into()));
                assert_eq!(is_in, !added(history, visible).is_empty());
            },
        },
    );
    all
}
