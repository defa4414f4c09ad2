//! How what stands in an order is written: as sets of elements, put here or there by what they are called.

use tombolo_crdt::{List, LwwRegister, MarkKind, MovableList, Mut, NodeId, Text, Tree};

use super::Op;

/// What a folder of an outline is called; no element is.
const FOLDER: &str = "/";

/// One of so many places, by what an element is called.
fn place(element: &str, count: usize) -> usize {
    element.bytes().map(usize::from).sum::<usize>() % count
}

/// A line is put somewhere between others, and taken out wherever it stands.
pub(super) fn write_lines(text: &mut Mut<'_, Text>, op: &Op) {
    match op {
        Op::Insert(_, element) => {
            let read = text.to_string();
            let starts: Vec<usize> = read.split_inclusive('\n').map(|line| line.chars().count()).collect();
            let before = place(element, starts.len() + 1);
            let at: usize = starts[..before].iter().sum();
            text.insert(at, &format!("{element}\n")).expect("there is such a place");
            // Half of it, and of what stands before.
            let kinds = [MarkKind::BOLD, MarkKind::LINK, MarkKind::comment(element.as_str())];
            let kind = kinds[place(element, kinds.len())].clone();
            let (start, end) = (at / 2, at + element.chars().count().div_ceil(2));
            text.mark(start..end, kind, element.as_str()).expect("there is such a part");
        }
        Op::Remove(_, element) => {
            let read = text.to_string();
            let lines: Vec<&str> = read.split_inclusive('\n').collect();
            let mut end = read.chars().count();
            for line in lines.into_iter().rev() {
                let start = end - line.chars().count();
                if line.trim_end_matches('\n') == element {
                    text.delete(start..end).expect("there is such a line");
                }
                end = start;
            }
        }
        Op::Clear(_) => text.clear(),
        _ => {}
    }
}

/// An element is put somewhere between others, and taken out wherever it stands.
pub(super) fn write_queue(list: &mut Mut<'_, List<String>>, op: &Op) {
    match op {
        Op::Insert(_, element) => {
            list.insert(place(element, list.len() + 1), element.clone()).expect("there is such a place");
        }
        Op::Remove(_, element) => {
            for at in (0..list.len()).rev().filter(|at| list.get(*at) == Some(element)).collect::<Vec<_>>() {
                list.remove(at).expect("there is such an element");
            }
        }
        Op::Clear(_) => list.clear(),
        _ => {}
    }
}

/// As [`write_queue`]; with each that is put in another is moved.
pub(super) fn write_steps(list: &mut Mut<'_, MovableList<LwwRegister<String>>>, op: &Op) {
    match op {
        Op::Insert(_, element) => {
            let at = place(element, list.len() + 1);
            list.insert(at).expect("there is such a place").set(element.clone());
            list.move_to(place(element, list.len()), at).expect("there are such places");
        }
        Op::Remove(_, element) => {
            let is_it = |at: &usize| list.get(*at).and_then(LwwRegister::value) == Some(element);
            for at in (0..list.len()).rev().filter(is_it).collect::<Vec<_>>() {
                list.remove(at).expect("there is such an element");
            }
        }
        Op::Clear(_) => list.clear(),
        _ => {}
    }
}

/// The nodes that are no folders, with what they are called.
pub(super) fn leaves(tree: &Tree<LwwRegister<String>>) -> impl Iterator<Item = (NodeId, String)> {
    let named = tree.iter().filter_map(|(id, _)| Some((id, tree.get(id)?.value()?.clone())));
    named.filter(|(_, name)| name != FOLDER)
}

/// An element is put into a folder, which is another's or a new one, and one folder into another; elements are deleted wherever they
/// stand, some for good.
pub(super) fn write_outline(tree: &mut Mut<'_, Tree<LwwRegister<String>>>, op: &Op) {
    let is_meant = |name: &str| match op {
        Op::Remove(_, element) => name == element,
        op => matches!(op, Op::Clear(_)),
    };
    if let Op::Insert(_, element) = op {
        let folders: Vec<NodeId> = {
            let is_folder =
                |id: &NodeId| tree.get(*id).and_then(LwwRegister::value).is_some_and(|name| name == FOLDER);
            tree.iter().map(|(id, _)| id).filter(is_folder).collect()
        };
        let at = place(element, folders.len() + 1);
        let folder = folders.get(at).copied().unwrap_or_else(|| {
            let (id, mut name) = tree.push(folders.first().copied()).expect("it is there");
            name.set(FOLDER);
            id
        });
        let (_, mut name) = tree.push(Some(folder)).expect("it is there");
        name.set(element.clone());
        if let [first, .., last] = folders[..] {
            // Not into what lies in it.
            let _ = if at.is_multiple_of(2) {
                tree.move_to(first, Some(last), 0)
            } else {
                tree.move_to(last, None, 0)
            };
        }
    }
    let gone: Vec<(NodeId, String)> = leaves(tree).filter(|(_, name)| is_meant(name)).collect();
    for (id, name) in gone {
        tree.delete(id).expect("it is there");
        if place(&name, 2) == 0 {
            tree.purge(id).expect("it is there");
        }
    }
}
