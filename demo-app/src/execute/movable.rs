//! The verbs of movable lists: of texts in a document of their own, of maps that say a text inside another.

use serde_json::{Value, json};
use tombolo_crdt::{BadIndex, DocEntry, LwwRegister, MovableList, Mut};
use tombolo_sync::Node;

use super::dump::Kind;
use super::length::Long;
use super::place::{read, try_write};
use super::said::Said;
use crate::args::{Concern, MovableVerb};
use crate::failure::{Failure, Result};
use crate::name::Name;

type Texts = MovableList<LwwRegister<String>>;

/// What changes a movable list.
enum Change {
    Insert { at: usize, values: Vec<String> },
    Append { values: Vec<String> },
    Set { at: usize, value: String },
    Move { from: usize, to: usize, count: usize },
    Delete { at: usize, count: usize },
}

pub(super) async fn movable(node: &Node, verb: MovableVerb) -> Result<Value> {
    let (name, change, concern) = match verb {
        MovableVerb::Get { name } => {
            let entry = |entry: &DocEntry| entry.movable_list().map(all);
            let value = read::<Texts, _>(node, &name, Kind::Movable, all, entry)?;
            return Ok(json!({ "value": value }));
        }
        MovableVerb::Insert { name, at, values, concern } => (name, Change::Insert { at, values }, concern),
        MovableVerb::Append { name, values, concern } => (name, Change::Append { values }, concern),
        MovableVerb::Set { name, at, value, concern } => (name, Change::Set { at, value }, concern),
        MovableVerb::Move { name, from, to, count, concern } => {
            (name, Change::Move { from, to, count }, concern)
        }
        MovableVerb::Delete { name, at, count, concern } => (name, Change::Delete { at, count }, concern),
    };
    write(node, &name, &change, concern).await
}

/// Changes the list called `name`; says how long it is then.
async fn write(node: &Node, name: &Name, change: &Change, concern: Concern) -> Result<Value> {
    let written = try_write::<Texts, _>(
        node,
        name,
        (Kind::Movable, change.makes_a_list()),
        concern,
        |list| change.make(name, list),
        |map, last| change.make(name, &mut map.movable_list(last)),
    );
    let (length, held) = written.await?;
    let length = match length {
        Some(length) => length,
        // There is no list, which reads as an empty one.
        None if change.fits(0) => 0,
        None => return Err(change.refusal(name, 0)),
    };
    Ok(held.in_answer(json!({ "length": length })))
}

/// What all elements say.
fn all<V: Said>(list: &MovableList<V>) -> Vec<Option<String>> {
    list.iter().map(V::said).collect()
}

impl Change {
    /// Whether there is a list afterwards where there was none.
    fn makes_a_list(&self) -> bool {
        match self {
            Self::Insert { at, values } => *at == 0 && !values.is_empty(),
            Self::Append { values } => !values.is_empty(),
            Self::Set { .. } | Self::Move { .. } | Self::Delete { .. } => false,
        }
    }

    /// Whether a list of this length has the places that are named.
    fn fits(&self, length: usize) -> bool {
        let has = |at: usize, count: usize| at.checked_add(count).is_some_and(|end| end <= length);
        match *self {
            Self::Insert { at, .. } => at <= length,
            Self::Append { .. } => true,
            Self::Set { at, .. } => at < length,
            Self::Move { from, to, count } => has(from, count) && has(to, count),
            Self::Delete { at, count } => has(at, count),
        }
    }

    /// What is said where they are not there.
    fn refusal(&self, name: &Name, length: usize) -> Failure {
        let long = Long { name, length, units: ("element", "elements") };
        match *self {
            Self::Set { at, .. } => long.no_unit(at),
            Self::Move { from, to, count } if Self::Delete { at: from, count }.fits(length) => {
                long.no_room(to, count)
            }
            Self::Move { from, count, .. } => long.no_part(from, count, "moved"),
            Self::Delete { at, count } => long.no_part(at, count, "deleted"),
            Self::Insert { at, .. } => long.no_place(at),
            Self::Append { .. } => long.no_place(length),
        }
    }

    /// Changes a list; says how long it is then. Where a place is none in it, nothing changes.
    fn make<V: Said>(&self, name: &Name, list: &mut Mut<'_, MovableList<V>>) -> Result<usize> {
        let made = match *self {
            Self::Insert { at, ref values } => insert(list, at, values),
            Self::Append { ref values } => insert(list, list.len(), values),
            Self::Set { at, ref value } => list.at(at).map(|mut element| V::say(&mut element, value)),
            Self::Move { from, to, count } => list.move_range(from..from.saturating_add(count), to),
            Self::Delete { at, count } => list.delete(at..at.saturating_add(count)),
        };
        made.map_err(|_| self.refusal(name, list.len()))?;
        Ok(list.len())
    }
}

/// Inserts elements one behind the other.
fn insert<V: Said>(
    list: &mut Mut<'_, MovableList<V>>,
    at: usize,
    values: &[String],
) -> std::result::Result<(), BadIndex> {
    let mut insert =
        |(at, value): (usize, &String)| list.insert(at).map(|mut element| V::say(&mut element, value));
    (at..).zip(values).try_for_each(&mut insert)
}
