//! Maps, structs, enums and documents.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Crdt, Doc, EnableWinsFlag, GMap, List, LwwMap, MaxRegister, MovableList,
    PnCounter, RemoveWinsSet, Replica, Text, Tree,
};

use super::super::definitions::{Deed, added, agreed, chosen, counted, latest_kept, offered, values};
use super::super::moved::{Author, Replay};
use super::super::placed::{Element, Under};
use super::super::scopes::Scope;
use super::ordered::{letters, maker, makers_of_letters, typed_at_end};
use super::{ELEMENTS, Named, On, add, at, no_names, nothing_alike};

#[derive(Debug, Clone, Copy)]
enum Below {
    /// An element below a key.
    Add(u8, u8),
    Remove(u8, u8),
    Key(u8),
}

fn sheet_names(sheet: &Replica<Sheet>) -> String {
    let steps: Vec<_> = (0..sheet.steps.len()).map(|at| sheet.steps.id_at(at)).collect();
    let parts: Vec<_> = sheet.parts.iter().collect();
    format!("{:?} {steps:?} {parts:?}", letters(&sheet.body))
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

pub(super) fn add_to(all: &mut Vec<Named>) {
    add(
        all,
        Scope::<GMap<u8, PnCounter>, u8> {
            name: "GMap of counters",
            sweeps: 1,
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
        all,
        Scope::<LwwMap<u8, u8>, On> {
            name: "LwwMap",
            sweeps: 1,
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
        all,
        Scope::<AddWinsMap<u8, PnCounter>, On> {
            name: "AddWinsMap of counters",
            sweeps: 1,
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
        all,
        Scope::<AddWinsMap<u8, AddWinsSet<u8>>, Below> {
            name: "AddWinsMap of sets",
            sweeps: 1,
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
        all,
        Scope::<AddWinsMap<u8, RemoveWinsSet<u8>>, Below> {
            name: "AddWinsMap of remove-wins sets",
            sweeps: 1,
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
        all,
        Scope::<AddWinsMap<u8, MaxRegister<u8>>, Option<u8>> {
            name: "AddWinsMap of max registers",
            sweeps: 1,
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
        all,
        Scope::<AddWinsMap<u8, Record>, Below> {
            name: "AddWinsMap of structs",
            sweeps: 1,
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
        all,
        Scope::<Sheet, Jot> {
            name: "a struct of ordered fields",
            sweeps: 2,
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
        all,
        Scope::<Shape, Draw> {
            name: "an enum",
            sweeps: 1,
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
        all,
        Scope::<Doc, Below> {
            name: "Doc",
            sweeps: 1,
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
}
