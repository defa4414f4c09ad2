//! The verbs of texts. Places are counted in Unicode scalar values, which people are told of as characters.

use serde_json::{Value, json};
use tombolo_crdt::{Crdt, DocEntry, Text, TextEdit, TextSnapshot};
use tombolo_sync::Node;

use super::dump::Kind;
use super::held::Held;
use super::place::{read, try_write};
use crate::args::{Concern, TextVerb};
use crate::failure::{Code, Failure, Result};
use crate::name::Name;

type Writing<'a> = <Text as Crdt>::Mut<'a>;

pub(super) async fn text(node: &Node, verb: TextVerb) -> Result<Value> {
    let (length, held) = match verb {
        TextVerb::Get { name } => {
            let whole = |text: &Text| text.to_string();
            let value = read::<Text, _>(node, &name, Kind::Text, whole, |entry| entry.text().map(whole))?;
            return Ok(json!({ "value": value }));
        }
        TextVerb::Insert { name, at, content, concern } => {
            let content = content.into_text()?;
            // Where there is no such place nothing is made.
            let create = at == 0 && !content.is_empty();
            let insert = |text: &mut Writing<'_>| {
                text.insert(at, &content).map_err(|_| no_place(&name, at, text.len()))
            };
            let (length, held) = write(node, &name, create, concern, insert).await?;
            if length.is_none() && at > 0 {
                return Err(no_place(&name, at, 0));
            }
            (length, held)
        }
        TextVerb::Append { name, content, concern } => {
            let content = content.into_text()?;
            let append = |text: &mut Writing<'_>| {
                text.push(&content);
                Ok(())
            };
            write(node, &name, !content.is_empty(), concern, append).await?
        }
        TextVerb::Delete { name, at, count, concern } => {
            let delete = |text: &mut Writing<'_>| {
                let end = at.saturating_add(count);
                text.delete(at..end).map_err(|_| no_part(&name, at, count, text.len()))
            };
            let (length, held) = write(node, &name, false, concern, delete).await?;
            if length.is_none() && (at > 0 || count > 0) {
                return Err(no_part(&name, at, count, 0));
            }
            (length, held)
        }
        TextVerb::Edit { .. } => {
            return Err(Failure::new(Code::Protocol, "a text is edited where its editor runs"));
        }
    };
    Ok(held.in_answer(json!({ "length": length.unwrap_or_default() })))
}

/// The text as it stands; an empty one if there is none.
pub(super) fn snapshot(node: &Node, name: &Name) -> Result<TextSnapshot> {
    read::<Text, _>(node, name, Kind::Text, Text::snapshot, |entry: &DocEntry| {
        entry.text().map(Text::snapshot)
    })
}

/// Does to the text as it stands what was changed in a snapshot of it.
pub(super) async fn edited(node: &Node, name: &Name, edit: &TextEdit, concern: Concern) -> Result<Value> {
    let apply = |text: &mut Writing<'_>| {
        text.apply(edit);
        Ok(())
    };
    let (length, held) = write(node, name, !edit.is_empty(), concern, apply).await?;
    Ok(held.in_answer(json!({ "changed": !edit.is_empty(), "length": length.unwrap_or_default() })))
}

/// Writes to the text called `name`; says how long it is then, or that there is none.
async fn write(
    node: &Node,
    name: &Name,
    create: bool,
    concern: Concern,
    write: impl Fn(&mut Writing<'_>) -> Result<()>,
) -> Result<(Option<usize>, Held)> {
    // Called with a text, wherever it stands.
    let measured = |text: &mut Writing<'_>| {
        write(text)?;
        Ok(text.len())
    };
    try_write::<Text, _>(
        node,
        name,
        (Kind::Text, create),
        concern,
        |text| measured(text),
        |map, last| measured(&mut map.text(last)),
    )
    .await
}

fn no_place(name: &Name, at: usize, length: usize) -> Failure {
    let message =
        format!("{}, so there is no place {at} in it: places go from 0 to {length}", long(name, length));
    Failure::new(Code::OutOfRange, message)
}

fn no_part(name: &Name, at: usize, count: usize, length: usize) -> Failure {
    let message = format!("{}, so {count} from place {at} on cannot be deleted", long(name, length));
    Failure::new(Code::OutOfRange, message)
}

fn long(name: &Name, length: usize) -> String {
    let unit =
        if length == 1 { "character (Unicode scalar value)" } else { "characters (Unicode scalar values)" };
    format!("`{name}` is {length} {unit} long")
}
