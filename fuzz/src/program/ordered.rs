//! Texts, lists, movable lists and trees.

use tombolo_crdt::{Expand, List, MarkKind, MovableList, NodeId, Replica, Scalar, Text, Tree};

use super::subject::{Value, name};
use super::{Op, Subject, id};

impl Subject for Text {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let at = usize::from(op.under) * 7 % (value.len() + 1);
        let end = value.len().min(at + usize::from(op.name) % 9);
        match op.what % 8 {
            0 => value.clear(),
            1 | 2 => value.delete(at..end).expect("there is such a part"),
            3 => {
                let kinds = [
                    MarkKind::BOLD,
                    MarkKind::LINK,
                    MarkKind::comment("1"),
                    MarkKind::BLOCK,
                    MarkKind::new("before", Expand::Before),
                    MarkKind::new("both", Expand::Both),
                ];
                let kind = kinds[usize::from(op.depth) % kinds.len()].clone();
                value.mark(at..end, kind, Scalar::from(&op.value)).expect("there is such a part");
            }
            4 => match &op.value {
                Value::Text(text) => value.insert_markdown(at, text).expect("there is such a place"),
                _ => value.push(name(op.name)),
            },
            5 => value.replace(at..end, name(op.depth)).expect("there is such a part"),
            _ => match &op.value {
                Value::Text(text) => value.insert(at, text).expect("there is such a place"),
                _ => value.insert(at, name(op.name)).expect("there is such a place"),
            },
        }
    }

    fn check(value: &Self::State) {
        let read = value.to_string();
        assert_eq!((value.len(), value.len_bytes()), (read.chars().count(), read.len()));
        assert_eq!(value.runs().map(|run| run.text).collect::<String>(), read);
        let lines: Vec<usize> = value.blocks().map(|block| block.range.len() + 1).collect();
        assert!((value.len()..=value.len() + 1).contains(&lines.into_iter().sum()));
        let mut again = Replica::<Text>::new(id(9));
        let _ = again.try_update(|text| text.apply_quill(&value.to_quill())).expect("it is a document");
        assert_eq!(again.to_quill(), value.to_quill());
    }

    fn marks(value: &Self::State) -> String {
        value.runs().map(|run| format!("{:?} {:?};", run.text, run.marks)).collect()
    }
}

impl Subject for List<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let at = usize::from(op.under) * 7 % (value.len() + 1);
        let end = value.len().min(at + usize::from(op.name) % 9);
        match op.what % 8 {
            0 => value.clear(),
            1..=3 => value.delete(at..end).expect("there is such a part"),
            4 => value.extend(name(op.name).chars().map(|letter| letter.to_string())),
            5 => value.replace(at..end, [name(op.depth), name(op.name)]).expect("there is such a part"),
            _ => value.insert(at, &op.value).expect("there is such a place"),
        }
    }

    fn check(value: &Self::State) {
        assert_eq!(value.len(), value.iter().count());
        let named = |at| value.id_at(at).and_then(|id| value.position(id)) == Some(at);
        assert!((0..value.len()).step_by(7).all(named), "an element is where its name says");
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
