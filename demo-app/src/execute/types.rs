//! The verbs of the data types.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tombolo_crdt::{AddWinsSet, Crdt, Doc, DocEntry, EnableWinsFlag, MvRegister, PnCounter, Scalar};
use tombolo_sync::Node;

use super::dump::Kind;
use super::held::{Held, settle};
use super::place::{check_entry, descend, find, read, write};
use crate::args::{Concern, CounterVerb, FlagVerb, MapVerb, RegisterVerb, SetVerb};
use crate::failure::Result;
use crate::name::Name;

pub(super) async fn counter(node: &Node, verb: CounterVerb) -> Result<Value> {
    let (name, by, up, concern) = match verb {
        CounterVerb::Inc { name, by, concern } => (name, by, true, concern),
        CounterVerb::Dec { name, by, concern } => (name, by, false, concern),
        CounterVerb::Get { name } => (name, 0, true, Concern::default()),
    };
    let (value, held) = if by == 0 && concern.is_none() {
        let entry = |entry: &DocEntry| entry.counter().map(PnCounter::value);
        let value = read::<PnCounter, _>(node, &name, Kind::Counter, PnCounter::value, entry)?;
        (value, Held::default())
    } else {
        // Called with a counter, wherever it stands.
        fn add(counter: &mut <PnCounter as Crdt>::Mut<'_>, by: u64, up: bool) -> i64 {
            if up {
                counter.inc(by)
            } else {
                counter.dec(by)
            }
            counter.value()
        }
        let written = write::<PnCounter, _>(
            node,
            &name,
            // By nothing at all nothing is made.
            (Kind::Counter, by > 0),
            concern,
            |counter| add(counter, by, up),
            |map, last| add(&mut map.counter(last), by, up),
        );
        let (value, held) = written.await?;
        (value.unwrap_or_default(), held)
    };
    Ok(held.in_answer(json!({ "value": value })))
}

pub(super) async fn flag(node: &Node, verb: FlagVerb) -> Result<Value> {
    let (enable, name, concern) = match verb {
        FlagVerb::Get { name } => {
            let entry = |entry: &DocEntry| entry.flag().map(EnableWinsFlag::value);
            let value = read::<EnableWinsFlag, _>(node, &name, Kind::Flag, EnableWinsFlag::value, entry)?;
            return Ok(json!({ "value": value }));
        }
        FlagVerb::Enable { name, concern } => (true, name, concern),
        FlagVerb::Disable { name, concern } => (false, name, concern),
    };
    // Disabling what does not exist makes nothing.
    let set = write::<EnableWinsFlag, _>(
        node,
        &name,
        (Kind::Flag, enable),
        concern,
        |flag| if enable { flag.enable() } else { flag.disable() },
        |map, last| if enable { map.flag(last).enable() } else { map.flag(last).disable() },
    );
    let (_, held) = set.await?;
    Ok(held.in_answer(json!({ "value": enable })))
}

pub(super) async fn set(node: &Node, verb: SetVerb) -> Result<Value> {
    type Texts = AddWinsSet<String>;
    match verb {
        SetVerb::List { name } => {
            let all = |set: &Texts| set.iter().cloned().collect();
            let mut elements: Vec<String> = read::<Texts, _>(node, &name, Kind::Set, all, |entry| {
                entry.set().map(|set| set.iter().map(Scalar::to_string).collect())
            })?;
            elements.sort();
            Ok(json!(elements))
        }
        SetVerb::Add { name, element, concern } => {
            let (there, inside) = (element.clone(), element);
            let added = write::<Texts, _>(
                node,
                &name,
                (Kind::Set, true),
                concern,
                |set| set.add(there),
                |map, last| map.set(last).add(inside),
            );
            let (_, held) = added.await?;
            Ok(held.in_answer(json!({ "added": true })))
        }
        SetVerb::Remove { name, element, concern } => {
            let removed = write::<Texts, _>(
                node,
                &name,
                (Kind::Set, false),
                concern,
                |set| set.remove(&element),
                |map, last| map.set(last).remove(&Scalar::from(&element[..])),
            );
            let (removed, held) = removed.await?;
            Ok(held.in_answer(json!({ "removed": removed.unwrap_or(false) })))
        }
    }
}

pub(super) async fn register(node: &Node, verb: RegisterVerb) -> Result<Value> {
    type Text = MvRegister<String>;
    match verb {
        RegisterVerb::Get { name } => {
            let all = |register: &Text| register.values().cloned().collect();
            let values: Vec<String> = read::<Text, _>(node, &name, Kind::Register, all, texts)?;
            Ok(json!({ "values": values }))
        }
        RegisterVerb::Set { name, value, concern } => {
            let (there, inside) = (value.clone(), value.clone());
            let written = write::<Text, _>(
                node,
                &name,
                (Kind::Register, true),
                concern,
                |register| register.set(there),
                |map, last| map.register(last).set(inside),
            );
            let (_, held) = written.await?;
            Ok(held.in_answer(json!({ "values": [value] })))
        }
    }
}

pub(super) async fn map(node: &Node, verb: MapVerb) -> Result<Value> {
    match verb {
        MapVerb::List { name } => {
            let all = |map: &Doc| map.iter().map(|(key, entry)| (key.clone(), listed(entry))).collect();
            let entries: BTreeMap<String, Value> =
                in_map(node, &name, |map| Ok(all(map)))?.unwrap_or_default();
            Ok(json!(entries))
        }
        MapVerb::Get { name, key } => {
            let values = in_map(node, &name, |map| {
                check_entry(map, &name, &key, Kind::Register)?;
                Ok(map.get(&key).and_then(texts).unwrap_or_default())
            });
            Ok(json!({ "values": values?.unwrap_or_default() }))
        }
        MapVerb::Put { name, key, value, concern } => {
            let document = super::place::open::<Doc>(node, name.document(), Kind::Map, true)?
                .expect("a document that may be created is there");
            let written = document.try_update(|doc| {
                if let Some(map) = descend(doc, &name, name.inside())? {
                    check_entry(map, &name, &key, Kind::Register)?;
                }
                let mut map = doc.by_ref().at_path(name.inside().iter().map(String::as_str));
                map.register(&key).set(&value[..]);
                Ok::<_, crate::failure::Failure>(())
            })?;
            let ((), held) = settle(node, written, concern).await?;
            Ok(held.in_answer(json!({ "values": [value] })))
        }
        MapVerb::Remove { name, key, concern } => {
            let Some(document) = find::<Doc>(node, name.document(), Kind::Map)? else {
                return Ok(json!({ "removed": false }));
            };
            let removed = document.try_update(|doc| {
                if descend(doc, &name, name.inside())?.is_none_or(|map| map.get(&key).is_none()) {
                    return Ok::<_, crate::failure::Failure>(false);
                }
                Ok(doc.by_ref().at_path(name.inside().iter().map(String::as_str)).remove(&key))
            })?;
            let (removed, held) = settle(node, removed, concern).await?;
            Ok(held.in_answer(json!({ "removed": removed })))
        }
    }
}

/// Lets `look` see the map called `name`; `None` if there is none.
fn in_map<R>(node: &Node, name: &Name, look: impl FnOnce(&Doc) -> Result<R>) -> Result<Option<R>> {
    let Some(document) = find::<Doc>(node, name.document(), Kind::Map)? else { return Ok(None) };
    document.read(|doc| descend(doc, name, name.inside())?.map(look).transpose())
}

/// What stands under a key: the values of its register, and what else there is.
fn listed(entry: &DocEntry) -> Value {
    let others = entry.kinds().filter(|kind| *kind != Kind::Register.entry()).map(Kind::name_of_entry);
    let others: Vec<_> = others.collect();
    let mut listed = json!({});
    if let Some(values) = texts(entry) {
        listed["values"] = json!(values);
    }
    if !others.is_empty() {
        listed["others"] = json!(others);
    }
    listed
}

/// The values of an entry's register.
fn texts(entry: &DocEntry) -> Option<Vec<String>> {
    entry.register().map(|register| register.values().map(Scalar::to_string).collect())
}
