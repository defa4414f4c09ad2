//! The verbs of lists: of texts in a document of their own, of scalars inside a map.

use serde_json::{Value, json};
use tombolo_crdt::{List, Mut, Scalar};
use tombolo_sync::Node;

use super::dump::Kind;
use super::length::Long;
use super::place::{read, try_write};
use crate::args::{Concern, ListVerb};
use crate::failure::{Failure, Result};
use crate::name::Name;

type Texts = List<String>;

/// What changes a list. The same for one of texts and one of scalars.
enum Change {
    Insert { at: usize, values: Vec<String> },
    Append { values: Vec<String> },
    Set { at: usize, value: String },
    Delete { at: usize, count: usize },
}

pub(super) async fn list(node: &Node, verb: ListVerb) -> Result<Value> {
    let (name, change, concern) = match verb {
        ListVerb::Get { name } => {
            let all = |list: &Texts| list.iter().cloned().collect();
            let value: Vec<String> = read::<Texts, _>(node, &name, Kind::List, all, |entry| {
                entry.list().map(|list| list.iter().map(Scalar::to_string).collect())
            })?;
            return Ok(json!({ "value": value }));
        }
        ListVerb::Insert { name, at, values, concern } => (name, Change::Insert { at, values }, concern),
        ListVerb::Append { name, values, concern } => (name, Change::Append { values }, concern),
        ListVerb::Set { name, at, value, concern } => (name, Change::Set { at, value }, concern),
        ListVerb::Delete { name, at, count, concern } => (name, Change::Delete { at, count }, concern),
    };
    write(node, &name, &change, concern).await
}

/// Changes the list called `name`; says how long it is then.
async fn write(node: &Node, name: &Name, change: &Change, concern: Concern) -> Result<Value> {
    let written = try_write::<Texts, _>(
        node,
        name,
        (Kind::List, change.makes_a_list()),
        concern,
        |list| change.make(name, list),
        |map, last| change.make(name, &mut map.list(last)),
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

impl Change {
    /// Whether there is a list afterwards where there was none.
    fn makes_a_list(&self) -> bool {
        match self {
            Self::Insert { at, values } => *at == 0 && !values.is_empty(),
            Self::Append { values } => !values.is_empty(),
            Self::Set { .. } | Self::Delete { .. } => false,
        }
    }

    /// Whether a list of this length has the places that are named.
    fn fits(&self, length: usize) -> bool {
        match *self {
            Self::Insert { at, .. } => at <= length,
            Self::Append { .. } => true,
            Self::Set { at, .. } => at < length,
            Self::Delete { at, count } => at.checked_add(count).is_some_and(|end| end <= length),
        }
    }

    /// What is said where they are not there.
    fn refusal(&self, name: &Name, length: usize) -> Failure {
        let long = Long { name, length, units: ("element", "elements") };
        match *self {
            Self::Set { at, .. } => long.no_unit(at),
            Self::Delete { at, count } => long.no_part(at, count, "deleted"),
            Self::Insert { at, .. } => long.no_place(at),
            Self::Append { .. } => long.no_place(length),
        }
    }

    /// Changes a list; says how long it is then. Where a place is none in it, nothing changes.
    fn make<T: tombolo_crdt::Value + for<'a> From<&'a str>>(
        &self,
        name: &Name,
        list: &mut Mut<'_, List<T>>,
    ) -> Result<usize> {
        let made = match self {
            Self::Insert { at, values } => list.insert_all(*at, values.iter().map(String::as_str)),
            Self::Append { values } => list.insert_all(list.len(), values.iter().map(String::as_str)),
            Self::Set { at, value } => list.set(*at, &value[..]),
            Self::Delete { at, count } => list.delete(*at..at.saturating_add(*count)),
        };
        made.map_err(|_| self.refusal(name, list.len()))?;
        Ok(list.len())
    }
}
