//! Texts, lists, movable lists and trees.

use std::fmt::Debug;
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tombolo_crdt::{
    BadPosition, Bias, Crdt, Cursor, Expand, List, MarkKind, MovableList, NodeId, Position, Replica, Scalar,
    Text, TextEdit, Tree,
};

use super::subject::{Kept, Value, name};
use super::{Op, Subject, id};

/// At so many places of a text or list, at most twice, it is looked whether they are found again.
const PLACES: usize = 64;

/// The part of a text or list of this length that an operation is about.
fn part(op: &Op, len: usize) -> Range<usize> {
    let at = usize::from(op.under) * 7 % (len + 1);
    at..len.min(at + usize::from(op.name) % 9)
}

/// To which side an operation's cursor keeps.
fn bias(op: &Op) -> Bias {
    if op.depth.is_multiple_of(2) { Bias::Before } else { Bias::After }
}

/// The same value after a way through bytes.
fn through_serde<V: Serialize + DeserializeOwned + PartialEq + Debug>(value: V) -> V {
    let bytes = rmp_serde::to_vec(&value).expect("what is kept can be written");
    let back = rmp_serde::from_slice(&bytes).expect("and read again");
    assert_eq!(value, back, "what is kept reads back as it was written");
    back
}

/// A place in a text, counted in one of three units.
fn counted(text: &Text, at: usize, unit: u8) -> Position {
    let there = "there is such a place";
    match unit % 3 {
        0 => Position::Scalars(at),
        1 => Position::Utf16(text.utf16(at).expect(there)),
        _ => Position::Bytes(text.bytes(at).expect(there)),
    }
}

/// Puts text in place of a part, and looks that nothing else changed and cursors stayed by what stands on either side.
fn splice(value: &mut <Text as Crdt>::Mut<'_>, part: Range<usize>, written: &str, unit: u8) {
    let there = "there is such a part";
    let rest = |part: Range<usize>| value.slice(part).expect(there);
    let read = [&rest(0..part.start), written, &rest(part.end..value.len())].concat();
    let before = value.cursor(part.start, Bias::Before).expect(there);
    let behind = value.cursor(part.end, Bias::After).expect(there);
    let (start, end) = (counted(value, part.start, unit), counted(value, part.end, unit));
    match (part.is_empty(), written.is_empty()) {
        (true, _) => value.insert(start, written),
        (false, true) => value.delete(start..end),
        (false, false) => value.replace(start..end, written),
    }
    .expect(there);
    assert_eq!(value.to_string(), read, "what is written is read, and nothing else changes");
    let found = (value.find(&before), value.find(&behind));
    let end = part.start + written.chars().count();
    assert_eq!(found, (Some(part.start), Some(end)), "a cursor stays by what it keeps to");
}

/// What an operation makes of a text in a copy of it.
fn rewritten(text: &Text, op: &Op) -> String {
    let Range { start, end } = part(op, text.len());
    let rest = |part: Range<usize>| text.slice(part).expect("there is such a part");
    let written = written(op);
    if op.depth.is_multiple_of(8) {
        return written.into();
    }
    [name(op.depth), &rest(0..start), written, &rest(end..text.len())].concat()
}

/// What an operation writes.
fn written(op: &Op) -> &str {
    if let Value::Text(text) = &op.value { text } else { name(op.name) }
}

/// What a text is made of, in no order.
fn letters(text: &str) -> Vec<char> {
    let mut letters: Vec<char> = text.chars().collect();
    letters.sort_unstable();
    letters
}

/// Looks at a place in a text, by what stands before it and the letter behind it.
fn look_at(text: &Text, at: usize, utf16: usize, bytes: usize, letter: Option<char>) {
    for place in [Position::Scalars(at), Position::Utf16(utf16), Position::Bytes(bytes)] {
        let counted = (text.scalars(place), text.utf16(place), text.bytes(place));
        assert_eq!(counted, (Ok(at), Ok(utf16), Ok(bytes)), "a place is the same however it is counted");
    }
    for bias in [Bias::Before, Bias::After] {
        let cursor = text.cursor(at, bias).expect("there is such a place");
        assert_eq!(text.find(&cursor), Some(at), "a cursor stands where it was put");
    }
    let Some(letter) = letter else {
        for beyond in [Position::Scalars(at + 1), Position::Utf16(utf16 + 1), Position::Bytes(usize::MAX)] {
            assert!(matches!(text.scalars(beyond), Err(BadPosition::BeyondEnd { .. })));
        }
        return;
    };
    let units = (1..letter.len_utf16()).map(|within| Position::Utf16(utf16 + within));
    for within in units.chain((1..letter.len_utf8()).map(|within| Position::Bytes(bytes + within))) {
        assert_eq!(text.scalars(within), Err(BadPosition::WithinScalar { at: within }));
    }
}

impl Subject for Text {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let Range { start: at, end } = part(op, value.len());
        let unit = op.depth / 6;
        match op.what % 16 {
            0 => value.clear(),
            1..=3 => splice(value, at..end, "", unit),
            4 | 5 => {
                let kinds = [
                    MarkKind::BOLD,
                    MarkKind::LINK,
                    MarkKind::comment("1"),
                    MarkKind::BLOCK,
                    MarkKind::new("before", Expand::Before),
                    MarkKind::new("both", Expand::Both),
                ];
                let kind = kinds[usize::from(op.depth) % kinds.len()].clone();
                let range = counted(value, at, unit)..counted(value, end, unit);
                value.mark(range, kind, Scalar::from(&op.value)).expect("there is such a part");
            }
            6 => match &op.value {
                Value::Text(text) => value.insert_markdown(at, text).expect("there is such a place"),
                _ => value.push(name(op.name)),
            },
            7 => splice(value, at..end, name(op.depth), unit),
            8 | 9 => {
                let content = rewritten(value, op);
                value.replace_content(&content);
                assert_eq!(value.to_string(), content, "it reads as what was put in its place");
                let before = value.snapshot();
                value.replace_content(&content);
                assert!(before == value.snapshot(), "what reads like that already stays as it is");
            }
            10..=13 => {
                let (snapshot, content) = (through_serde(value.snapshot()), rewritten(value, op));
                assert_eq!(snapshot.as_str(), value.to_string());
                let edit = through_serde(snapshot.edited(&content));
                assert_eq!(edit.is_empty(), content == snapshot.as_str(), "what was changed is in the edit");
                let meanwhile = if op.what % 16 < 12 { "" } else { name(op.name) };
                splice(value, end..end, meanwhile, unit);
                value.apply(&edit);
                let read = value.to_string();
                assert!(!meanwhile.is_empty() || read == content, "an edit does what was done in the copy");
                let both = letters(&[&content, meanwhile].concat());
                assert_eq!(letters(&read), both, "an edit leaves what came meanwhile");
            }
            _ => splice(value, at..at, written(op), unit),
        }
    }

    fn check(value: &Self::State) {
        Self::look(value);
        let read = value.to_string();
        assert_eq!((value.len(), value.len_bytes()), (read.chars().count(), read.len()));
        assert_eq!(value.len_utf16(), read.encode_utf16().count());
        assert_eq!(value.runs().map(|run| run.text).collect::<String>(), read);
        let lines: Vec<usize> = value.blocks().map(|block| block.range.len() + 1).collect();
        assert!((value.len()..=value.len() + 1).contains(&lines.into_iter().sum()));
        let mut again = Replica::<Text>::new(id(9));
        let _ = again.try_update(|text| text.apply_quill(&value.to_quill())).expect("it is a document");
        assert_eq!(again.to_quill(), value.to_quill());
    }

    fn look(value: &Self::State) {
        let every = value.len() / PLACES + 1;
        let (mut utf16, mut bytes) = (0, 0);
        let letters = value.chunks().flat_map(str::chars).map(Some).chain([None]);
        for (at, letter) in letters.enumerate() {
            if at % every == 0 || letter.is_none() {
                look_at(value, at, utf16, bytes, letter);
            }
            utf16 += letter.map_or(0, char::len_utf16);
            bytes += letter.map_or(0, char::len_utf8);
        }
        let snapshot = value.snapshot();
        assert!(snapshot.edited(snapshot.as_str()).is_empty(), "what nobody changed is no edit");
    }

    fn marks(value: &Self::State) -> String {
        value.runs().map(|run| format!("{:?} {:?};", run.text, run.marks)).collect()
    }

    fn keep(value: &Self::State, op: &Op) -> Option<Kept> {
        let Range { start, .. } = part(op, value.len());
        let cursor =
            value.cursor(counted(value, start, op.depth / 6), bias(op)).expect("there is such a place");
        let edit = value.snapshot().edited(&rewritten(value, op));
        Some(Kept { cursor: through_serde(cursor), edit: through_serde(edit) })
    }

    fn place_of(value: &Self::State, cursor: &Cursor) -> Option<usize> {
        let found = value.find(cursor);
        assert!(found.is_none_or(|at| at <= value.len()), "a cursor stands within the text");
        found
    }

    fn edit(value: &mut Self::Mut<'_>, edit: &TextEdit) {
        value.apply(edit);
    }
}

impl Subject for List<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let Range { start: at, end } = part(op, value.len());
        match op.what % 8 {
            0 => value.clear(),
            1..=3 => value.delete(at..end).expect("there is such a part"),
            4 => value.extend(name(op.name).chars().map(|letter| letter.to_string())),
            5 => value.replace(at..end, [name(op.depth), name(op.name)]).expect("there is such a part"),
            _ => value.insert(at, &op.value).expect("there is such a place"),
        }
    }

    fn check(value: &Self::State) {
        Self::look(value);
        assert_eq!(value.len(), value.iter().count());
        let named = |at| value.id_at(at).and_then(|id| value.position(id)) == Some(at);
        assert!((0..value.len()).step_by(7).all(named), "an element is where its name says");
    }

    fn look(value: &Self::State) {
        for at in (0..=value.len()).step_by(value.len() / PLACES + 1) {
            for bias in [Bias::Before, Bias::After] {
                let cursor = value.cursor(at, bias).expect("there is such a place");
                assert_eq!(value.find(&cursor), Some(at), "a cursor stands where it was put");
            }
        }
        assert!(value.cursor(value.len() + 1, Bias::After).is_err());
    }

    fn keep(value: &Self::State, op: &Op) -> Option<Kept> {
        let Range { start, .. } = part(op, value.len());
        let cursor = value.cursor(start, bias(op)).expect("there is such a place");
        Some(Kept { cursor: through_serde(cursor), edit: TextEdit::default() })
    }

    fn place_of(value: &Self::State, cursor: &Cursor) -> Option<usize> {
        let found = value.find(cursor);
        assert!(found.is_none_or(|at| at <= value.len()), "a cursor stands within the list");
        found
    }
}

impl<V: Subject> Subject for MovableList<V> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let (at, to) = (usize::from(op.under), usize::from(op.name));
        let (at, to) = (at * 7 % (value.len() + 1), to * 5 % (value.len() + 1));
        let write = |mut content: V::Mut<'_>| V::apply(&mut content, &op.below());
        // What cannot be done changes nothing.
        let _ = match op.what % 16 {
            0 if op.depth.is_multiple_of(4) => {
                value.clear();
                Ok(())
            }
            0 | 1 => value.remove(at),
            2 => value.delete(at..(at + 3).min(value.len())),
            3..=6 => value.move_to(at, to),
            7 => value.move_range(at..(at + 2).min(value.len()), to),
            8..=10 => value.at(at).map(write),
            11 => value.insert_all(at, 0..3, |content, _| write(content)),
            12 => value.replace(at..(at + 2).min(value.len()), 0..2, |content, _| write(content)),
            _ => value.insert(at).map(write),
        };
    }

    fn check(value: &Self::State) {
        assert_eq!(value.len(), value.iter().count());
        let named = |at| value.id_at(at).and_then(|id| value.position(id)) == Some(at);
        assert!((0..value.len()).all(named), "an element is where its name says");
        value.iter().for_each(V::check);
    }

    fn marks(value: &Self::State) -> String {
        value.iter().map(V::marks).collect()
    }
}

impl<V: Subject> Subject for Tree<V> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let nodes: Vec<NodeId> = value.iter().map(|(id, _)| id).chain(value.trash()).take(256).collect();
        let pick = |nth: u8| nodes.get(usize::from(nth) % (nodes.len() + 1)).copied();
        let (parent, node) = (pick(op.under), pick(op.name));
        let at = usize::from(op.depth) % (value.count_children(parent) + 1);
        let write = |mut content: V::Mut<'_>| V::apply(&mut content, &op.below());
        // What cannot be done changes nothing.
        let _ = match (op.what % 16, node) {
            (0..=4, _) | (_, None) => value.insert(parent, at).map(|(_, content)| write(content)),
            (5..=9, Some(id)) => value.move_to(id, parent, at),
            (10, Some(id)) => value.delete(id),
            (11, Some(id)) => value.restore(id),
            (12, Some(id)) => value.purge(id),
            (13, Some(_)) => {
                value.empty_trash();
                Ok(())
            }
            (_, Some(id)) => value.at(id).map(write),
        };
    }

    fn check(value: &Self::State) {
        let nodes: Vec<NodeId> = value.iter().map(|(id, _)| id).collect();
        let mut once = nodes.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(nodes.len(), once.len(), "a node stands at one place");
        assert!(nodes.iter().step_by(7).all(|id| value.contains(*id)), "what is listed is there");
        nodes.iter().filter_map(|id| value.get(*id)).for_each(V::check);
    }

    fn marks(value: &Self::State) -> String {
        value.iter().filter_map(|(id, _)| value.get(id)).map(V::marks).collect()
    }
}
