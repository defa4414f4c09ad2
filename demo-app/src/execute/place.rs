//! Where a name leads: to a document of its own, or into one.
//!
//! `visits` as a counter is a document of type `PnCounter`, which costs one entry a replica; `board/visits` as a counter
//! is an entry of the document `board` of type `Doc`. What exists only as another type is refused, so that a slip of the
//! pen makes no second thing of the same name. (Two nodes that do so at once get both.)

use tombolo_crdt::{Crdt, Doc, DocEntry, Mut};
use tombolo_sync::{Document, Node};

use super::dump::Kind;
use super::held::{Held, settle};
use crate::args::Concern;
use crate::failure::{Code, Failure, Result};
use crate::name::Name;

/// Reads what is called `name`; what does not exist reads as `R::default()`, and nothing is created.
pub(super) fn read<T: Crdt, R: Default>(
    node: &Node,
    name: &Name,
    kind: Kind,
    document: impl FnOnce(&T::State) -> R,
    entry: impl FnOnce(&DocEntry) -> Option<R>,
) -> Result<R> {
    let Some((last, maps)) = name.inside().split_last() else {
        let found = find::<T>(node, name.document(), kind)?;
        return Ok(found.map_or_else(R::default, |found| found.read(document)));
    };
    let Some(found) = find::<Doc>(node, name.document(), Kind::Map)? else { return Ok(R::default()) };
    found.read(|doc| {
        let Some(map) = descend(doc, name, maps)? else { return Ok(R::default()) };
        check_entry(map, name, last, kind)?;
        Ok(map.get(last).and_then(entry).unwrap_or_default())
    })
}

/// Writes to what is called `name`, and answers when the write is held as `concern` wants. What does not exist is made if `create`
/// says so, and is else left alone: `Ok(None)`.
pub(super) async fn write<T: Crdt, R: Send + 'static>(
    node: &Node,
    name: &Name,
    (kind, create): (Kind, bool),
    concern: Concern,
    document: impl FnOnce(&mut T::Mut<'_>) -> R,
    entry: impl FnOnce(&mut Mut<'_, Doc>, &str) -> R,
) -> Result<(Option<R>, Held)> {
    let document = |value: &mut T::Mut<'_>| Ok(document(value));
    try_write::<T, R>(node, name, (kind, create), concern, document, |map, last| Ok(entry(map, last))).await
}

/// As [`write()`], but what writes may refuse; nothing has changed then.
pub(super) async fn try_write<T: Crdt, R: Send + 'static>(
    node: &Node,
    name: &Name,
    (kind, create): (Kind, bool),
    concern: Concern,
    document: impl FnOnce(&mut T::Mut<'_>) -> Result<R>,
    entry: impl FnOnce(&mut Mut<'_, Doc>, &str) -> Result<R>,
) -> Result<(Option<R>, Held)> {
    let Some((last, maps)) = name.inside().split_last() else {
        let Some(found) = open::<T>(node, name.document(), kind, create)? else {
            return Ok((None, Held::default()));
        };
        let (value, held) = settle(node, found.try_update(document)?, concern).await?;
        return Ok((Some(value), held));
    };
    let Some(found) = open::<Doc>(node, name.document(), Kind::Map, create)? else {
        return Ok((None, Held::default()));
    };
    let commit = found.try_update(|doc| {
        let there = descend(doc, name, maps)?;
        if let Some(map) = there {
            check_entry(map, name, last, kind)?;
        }
        if !create && there.is_none_or(|map| map.get(last).is_none()) {
            return Ok::<_, Failure>(None);
        }
        let mut map = doc.by_ref().at_path(maps.iter().map(String::as_str));
        entry(&mut map, last).map(Some)
    })?;
    settle(node, commit, concern).await
}

/// The map that `maps` lead to; `None` if there is none yet.
pub(super) fn descend<'d>(doc: &'d Doc, name: &Name, maps: &[String]) -> Result<Option<&'d Doc>> {
    let mut map = doc;
    for part in maps {
        check_entry(map, name, part, Kind::Map)?;
        match map.get(part).and_then(DocEntry::map) {
            Some(next) => map = next,
            None => return Ok(None),
        }
    }
    Ok(Some(map))
}

/// Refuses an entry that is something, but nothing of this kind.
pub(super) fn check_entry(map: &Doc, name: &Name, part: &str, kind: Kind) -> Result<()> {
    let Some(entry) = map.get(part) else { return Ok(()) };
    if entry.kinds().any(|found| found == kind.entry()) {
        return Ok(());
    }
    let kinds: Vec<_> = entry.kinds().map(Kind::name_of_entry).collect();
    Err(wrong_type(&format!("{part}` in `{name}"), &kinds.join(" and a "), kind))
}

/// The document, made if `create` says so and there is none.
pub(super) fn open<T: Crdt>(
    node: &Node,
    name: &str,
    kind: Kind,
    create: bool,
) -> Result<Option<Document<T>>> {
    if !create {
        return find(node, name, kind);
    }
    node.open::<T>(name).map(Some).map_err(|why| of_what_it_is(node, name, kind, why))
}

/// The document, if there is one.
pub(super) fn find<T: Crdt>(node: &Node, name: &str, kind: Kind) -> Result<Option<Document<T>>> {
    node.find::<T>(name).map_err(|why| of_what_it_is(node, name, kind, why))
}

/// Says of a document that was not opened what it is, in the words of the command line.
fn of_what_it_is(node: &Node, name: &str, kind: Kind, why: tombolo_sync::Error) -> Failure {
    let failure = Failure::from(why);
    if failure.code != Code::WrongType {
        return failure;
    }
    let listed = node.list().into_iter().filter(|listed| listed.name == name);
    let kinds: Vec<_> = listed
        .map(|listed| {
            Kind::of_type(&listed.type_name).map_or(listed.type_name, |kind| kind.name().to_owned())
        })
        .collect();
    if kinds.iter().any(|found| found == kind.name()) {
        failure
    } else {
        wrong_type(name, &kinds.join(" and a "), kind)
    }
}

fn wrong_type(name: &str, found: &str, wanted: Kind) -> Failure {
    let wanted = wanted.name();
    let message =
        format!("`{name}` is a {found}, not a {wanted}; use it as what it is, or choose another name");
    Failure::new(Code::WrongType, message)
}
