//! Fugue as the paper has it: a tree, read from left to right. Elements that are not there but by their dots have a node all the same.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Origin, START, Sequence, Side};
use crate::causal::{LocalDot, ReplicaId};

/// Replica and counter, in the order of names.
pub(super) type Id = (u32, u64);

#[derive(Default, Clone, Debug)]
pub(super) struct Plain {
    /// The dot of each run, with the parent of its first element, and whether it hangs behind that.
    runs: BTreeMap<Id, (Option<Id>, bool)>,
    live: BTreeMap<Id, char>,
}

/// A node with its children before and behind it, each with its name.
#[derive(Default)]
struct Node {
    before: BTreeSet<(Id, Id)>,
    behind: BTreeSet<(Id, Id)>,
}

impl Plain {
    pub(super) fn run(&mut self, head: Id, parent: Option<Id>, is_behind: bool) {
        self.runs.insert(head, (parent, is_behind));
    }

    pub(super) fn live(&mut self, id: Id, scalar: char) {
        self.live.insert(id, scalar);
    }

    pub(super) fn remove(&mut self, id: Id) {
        self.live.remove(&id);
    }

    pub(super) fn undo_run(&mut self, head: Id) {
        self.runs.remove(&head);
    }

    fn head(&self, (replica, counter): Id) -> u64 {
        self.runs.range((replica, 0)..(replica, counter)).next_back().map_or(0, |((_, head), _)| *head)
    }

    /// What an element hangs on, on which side, and its name.
    fn parent(&self, id: Id) -> (Option<Id>, bool, Id) {
        let head = (id.0, self.head(id));
        if id.1 > head.1 + 1 {
            return (Some((id.0, id.1 - 1)), true, id);
        }
        let (parent, is_behind) = self.runs.get(&head).copied().unwrap_or((None, true));
        (parent, is_behind, head)
    }

    pub(super) fn read(&self) -> String {
        self.read_with(None).0
    }

    /// How many scalars are read before an element, and whether it is read.
    pub(super) fn index_of(&self, id: Id) -> (usize, bool) {
        (self.read_with(Some(id)).1, self.live.contains_key(&id))
    }

    /// What is read, and how much of it before an element that gets a node.
    fn read_with(&self, mark: Option<Id>) -> (String, usize) {
        let mut nodes: BTreeMap<Option<Id>, Node> = BTreeMap::new();
        for &id in self.live.keys().chain(&mark) {
            let mut at = id;
            loop {
                let (parent, is_behind, name) = self.parent(at);
                let node = nodes.entry(parent).or_default();
                let children = if is_behind { &mut node.behind } else { &mut node.before };
                if !children.insert((name, at)) {
                    break;
                }
                match parent {
                    Some(parent) => at = parent,
                    None => break,
                }
            }
        }
        let (mut text, mut before) = (String::new(), 0);
        // What is left to read: whole subtrees, and single elements.
        let mut left = vec![(None, true)];
        while let Some((id, is_whole)) = left.pop() {
            match (nodes.get(&id), is_whole) {
                (Some(node), true) => {
                    left.extend(node.behind.iter().rev().map(|&(_, child)| (Some(child), true)));
                    left.push((id, false));
                    left.extend(node.before.iter().rev().map(|&(_, child)| (Some(child), true)));
                }
                _ => {
                    if id.is_some() && id == mark {
                        before = text.chars().count();
                    }
                    text.extend(id.and_then(|id| self.live.get(&id)));
                }
            }
        }
        (text, before)
    }
}

/// A run as anybody may say it: its row and counter, its parent's, and whether it hangs behind that.
pub(super) type Said = (u32, u64, u32, u64, bool);

/// The order that comes of anything that is said: taken in in this order, or in reverse and built.
pub(super) fn hostile(runs: &[Said], live: &[(u32, u64)], reversed: bool) -> String {
    let mut sequence = Sequence::<str>::default();
    (0..3).for_each(|row| _ = sequence.row(ReplicaId::from_bytes([row; 16])));
    let heads: BTreeMap<LocalDot, Origin> = runs
        .iter()
        .rev()
        .map(|&(row, head, parent, counter, is_behind)| {
            let parent = if counter == 0 { START } else { LocalDot::new(parent, counter) };
            let side = if is_behind { Side::Right } else { Side::Left };
            (LocalDot::new(row, head), Origin { parent, side })
        })
        .collect();
    let live: BTreeSet<LocalDot> = live.iter().map(|&(row, counter)| LocalDot::new(row, counter)).collect();
    let live: Vec<LocalDot> = live.into_iter().filter(|dot| !heads.contains_key(dot)).collect();
    let letter = |dot: &LocalDot| char::from(b'a' + dot.counter() as u8 + 14 * (dot.replica() as u8 % 2));
    if reversed {
        for dot in live.iter().rev() {
            sequence.add(*dot, &letter(dot).to_string());
        }
        heads.iter().rev().for_each(|(head, origin)| sequence.add_run(*head, *origin));
    } else {
        heads.iter().for_each(|(head, origin)| sequence.add_run(*head, *origin));
        for dot in &live {
            sequence.add(*dot, &letter(dot).to_string());
        }
    }
    sequence.settle();
    sequence.pieces().collect()
}
