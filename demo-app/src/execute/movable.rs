//! The verbs of movable lists: of texts, in documents of their own.

use serde_json::{Value, json};
use tombolo_crdt::{BadIndex, LwwRegister, MovableList, Mut};
use tombolo_sync::Node;

use super::dump::Kind;
use super::held::settle;
use super::length::Long;
use super::place::{find, open, own_document};
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
            let found = find::<Texts>(node, document(&name)?, Kind::Movable)?;
            let all = |list: &Texts| list.iter().map(|text| json!(text.value())).collect();
            let value: Vec<Value> = found.map_or_else(Vec::new, |found| found.read(all));
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
    let Some(found) = open::<Texts>(node, document(name)?, Kind::Movable, change.makes_a_list())? else {
        // There is no list, which reads as an empty one.
        return if change.fits(0) { Ok(json!({ "length": 0 })) } else { Err(change.refusal(name, 0)) };
    };
    let commit = found.try_update(|list| {
        change.make(list).map_err(|_| change.refusal(name, list.len()))?;
        Ok::<_, Failure>(list.len())
    })?;
    let (length, held) = settle(node, commit, concern).await?;
    Ok(held.in_answer(json!({ "length": length })))
}

/// The document of a movable list, which is never inside another.
fn document(name: &Name) -> Result<&str> {
    own_document(name, "a movable list")
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

    /// Changes a list. Where a place is none in it, nothing changes.
    fn make(&self, list: &mut Mut<'_, Texts>) -> Result<(), BadIndex> {
        match *self {
            Self::Insert { at, ref values } => insert(list, at, values),
            Self::Append { ref values } => insert(list, list.len(), values),
            Self::Set { at, ref value } => list.at(at).map(|mut text| text.set(&value[..])),
            Self::Move { from, to, count } => list.move_range(from..from.saturating_add(count), to),
            Self::Delete { at, count } => list.delete(at..at.saturating_add(count)),
        }
    }
}

/// Inserts elements one behind the other.
fn insert(list: &mut Mut<'_, Texts>, at: usize, values: &[String]) -> Result<(), BadIndex> {
    (at..).zip(values).try_for_each(|(at, value)| list.insert(at).map(|mut text| text.set(&value[..])))
}
