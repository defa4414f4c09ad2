//! Texts, lists and trees, and texts with marks.

use std::collections::BTreeSet;

use serde::Serialize;
use tombolo_crdt::{EnableWinsFlag, List, MarkKind, MovableList, Mut, Replica, Text, TextRun, Tree};

use super::super::definitions::{Deed, added};
use super::super::history::History;
use super::super::marks::{LETTERS, Part, marked, part, said};
use super::super::moved::{Author, Replay};
use super::super::order::{Fugue, Ghosts, ordered};
use super::super::placed::{Element, Under};
use super::super::scopes::Scope;
use super::{ELEMENTS, Named, On, add, at, nothing_alike};

/// What is inserted at the start, at the end and in the middle; and the first or the last deleted.
const TYPING: &[On] = &[(0, true), (1, true), (2, true), (0, false), (1, false)];
/// What is moved in a list, the first of them made; and deleted, or written to. To make more is what a list of plain values does.
const MOVING: &[On] = &[(1, true), (2, true), (0, false), (1, false)];
/// What is made and moved in a tree; and put away, or brought back.
const GRAFTING: &[On] = &[(0, true), (1, true), (2, true), (0, false), (1, false)];

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

/// Who wrote which letter, and with which of its dots.
pub(super) fn letters(text: &Text) -> Vec<(String, u64)> {
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
pub(super) fn makers_of_letters(history: &History<Deed>, text: &Text) -> Vec<usize> {
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

/// The event that made the element of this name.
pub(super) fn maker(history: &History<Deed>, id: impl Serialize) -> usize {
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

/// The events that typed something at the end, where others have deleted all there was, in the order in which it is read.
pub(super) fn typed_at_end(history: &History<Deed>, visible: &[usize]) -> Vec<usize> {
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

pub(super) fn add_to(all: &mut Vec<Named>) {
    add(
        all,
        Scope::<Text, On> {
            name: "Text",
            // What hangs on nothing any more is forgotten in two steps.
            sweeps: 2,
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
        all,
        Scope::<Text, On> {
            name: "Text with marks",
            sweeps: 2,
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
        all,
        Scope::<Text, On> {
            name: "Text with bold parts",
            sweeps: 2,
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
        all,
        Scope::<Text, On> {
            name: "Text with links",
            sweeps: 2,
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
        all,
        Scope::<List<u8>, On> {
            name: "List",
            sweeps: 2,
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
        all,
        Scope::<MovableList<EnableWinsFlag>, On> {
            name: "MovableList",
            sweeps: 2,
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
        all,
        Scope::<Tree<EnableWinsFlag>, On> {
            name: "Tree",
            // The second step is that of a `MovableList`, and takes several times as long here.
            sweeps: 1,
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
}
