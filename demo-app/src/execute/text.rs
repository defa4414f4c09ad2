//! The verbs of texts. Places are counted in Unicode scalar values, which people are told of as characters.

use serde_json::{Value, json};
use tombolo_crdt::{BlockKind, Crdt, DocEntry, MarkKind, Scalar, Text, TextEdit, TextSnapshot};
use tombolo_sync::Node;

use super::dump::Kind;
use super::held::Held;
use super::length::Long;
use super::place::{read, try_write};
use crate::args::{BlockName, Concern, TextForm, TextVerb};
use crate::failure::{Code, Failure, Result};
use crate::name::Name;

type Writing<'a> = <Text as Crdt>::Mut<'a>;

pub(super) async fn text(node: &Node, verb: TextVerb) -> Result<Value> {
    let (length, held) = match verb {
        TextVerb::Get { name, form } => {
            let whole = |text: &Text| whole(text, form);
            let value = read::<Text, _>(node, &name, Kind::Text, whole, |entry| entry.text().map(whole))?;
            // There is no such text.
            let value = if value.is_null() { whole(&Text::default()) } else { value };
            return Ok(json!({ "value": value }));
        }
        TextVerb::Insert { name, at, content, markdown, concern } => {
            let content = content.into_text()?;
            // Where there is no such place nothing is made.
            let create = at == 0 && !content.is_empty();
            let insert = |text: &mut Writing<'_>| {
                let length = text.len();
                let inserted =
                    if markdown { text.insert_markdown(at, &content) } else { text.insert(at, &content) };
                inserted.map_err(|_| long(&name, length).no_place(at))
            };
            let (length, held) = write(node, &name, create, concern, insert).await?;
            if length.is_none() && at > 0 {
                return Err(long(&name, 0).no_place(at));
            }
            (length, held)
        }
        TextVerb::Append { name, content, markdown, concern } => {
            let content = content.into_text()?;
            let append = |text: &mut Writing<'_>| {
                let length = text.len();
                let inserted = if markdown {
                    text.insert_markdown(length, &content)
                } else {
                    text.insert(length, &content)
                };
                inserted.map_err(|_| long(&name, length).no_place(length))
            };
            write(node, &name, !content.is_empty(), concern, append).await?
        }
        TextVerb::Delete { name, at, count, concern } => {
            let delete = |text: &mut Writing<'_>| {
                let end = at.saturating_add(count);
                text.delete(at..end).map_err(|_| long(&name, text.len()).no_part(at, count, "deleted"))
            };
            let (length, held) = write(node, &name, false, concern, delete).await?;
            if length.is_none() && (at > 0 || count > 0) {
                return Err(long(&name, 0).no_part(at, count, "deleted"));
            }
            (length, held)
        }
        TextVerb::Mark { name, at, count, mark: kind, value, concern } => {
            mark(node, &name, (at, count), &kind, &value.map_or(Scalar::Bool(true), said), concern).await?
        }
        TextVerb::Unmark { name, at, count, mark: kind, concern } => {
            mark(node, &name, (at, count), &kind, &Scalar::Null, concern).await?
        }
        TextVerb::Block { name, at, count, kind, indent, concern } => {
            let set = |text: &mut Writing<'_>| {
                let (range, length) = (at..at.saturating_add(count), text.len());
                let set = text.set_block(range.clone(), block(kind));
                let set = set.and_then(|()| indent.map_or(Ok(()), |indent| text.set_indent(range, indent)));
                set.map_err(|_| long(&name, length).no_part(at, count, "marked"))
            };
            let (length, held) = write(node, &name, false, concern, set).await?;
            if length.is_none() {
                return Err(long(&name, 0).no_part(at, count, "marked"));
            }
            (length, held)
        }
        TextVerb::Runs { name } => {
            let value = read::<Text, _>(node, &name, Kind::Text, runs, |entry| entry.text().map(runs))?;
            return Ok(json!({ "value": value }));
        }
        TextVerb::Edit { .. } => {
            return Err(Failure::new(Code::Protocol, "a text is edited where its editor runs"));
        }
    };
    Ok(held.in_answer(json!({ "length": length.unwrap_or_default() })))
}

/// A text as it is to be printed.
fn whole(text: &Text, form: TextForm) -> Value {
    match form {
        TextForm::Plain => json!(text.to_string()),
        TextForm::Markdown => json!(text.to_markdown()),
        TextForm::Quill => json!(text.to_quill()),
    }
}

fn block(name: BlockName) -> BlockKind {
    match name {
        BlockName::Paragraph => BlockKind::Paragraph,
        BlockName::H1 => BlockKind::Heading(1),
        BlockName::H2 => BlockKind::Heading(2),
        BlockName::H3 => BlockKind::Heading(3),
        BlockName::H4 => BlockKind::Heading(4),
        BlockName::H5 => BlockKind::Heading(5),
        BlockName::H6 => BlockKind::Heading(6),
        BlockName::Quote => BlockKind::Quote,
        BlockName::Code => BlockKind::Code,
        BlockName::Bullet => BlockKind::Bullet,
        BlockName::Ordered => BlockKind::Ordered,
        BlockName::Task => BlockKind::Task { done: false },
        BlockName::Done => BlockKind::Task { done: true },
    }
}

/// What a mark says: true, false and whole numbers as such, anything else as a text.
fn said(value: String) -> Scalar {
    match value.parse::<bool>() {
        Ok(value) => Scalar::Bool(value),
        Err(_) => value.parse().map_or(Scalar::Text(value), Scalar::Int),
    }
}

/// Marks a part of a text, or takes marks away from it.
async fn mark(
    node: &Node,
    name: &Name,
    (at, count): (usize, usize),
    kind: &str,
    value: &Scalar,
    concern: Concern,
) -> Result<(Option<usize>, Held)> {
    let lay = |text: &mut Writing<'_>| {
        let (end, length) = (at.saturating_add(count), text.len());
        let marked = text.mark(at..end, MarkKind::named(kind), value.clone());
        marked.map_err(|_| long(name, length).no_part(at, count, "marked"))
    };
    let (length, held) = write(node, name, false, concern, lay).await?;
    if length.is_none() && (at > 0 || count > 0) {
        return Err(long(name, 0).no_part(at, count, "marked"));
    }
    Ok((length, held))
}

/// The runs of a text.
fn runs(text: &Text) -> Vec<Value> {
    text.runs().map(|run| json!({ "text": run.text, "marks": run.marks })).collect()
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

/// What is said of a text of this length where a place is none in it.
fn long(name: &Name, length: usize) -> Long<'_> {
    let units = ("character (Unicode scalar value)", "characters (Unicode scalar values)");
    Long { name, length, units }
}
