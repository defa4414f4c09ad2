//! Stores and backups.

use std::path::Path;

use serde_json::{Value, json};
use tombolo_crdt::{Dot, InspectedBody, Inspection, Version};
use tombolo_sync::store::{InspectedDocument, InspectedEntry, InspectedStore, Opened, StoreError};
use tombolo_sync::{DocId, Secret, SpaceId};

use super::message::{LIMITS, body};
use super::{grouped, salvage, shortened};
use crate::args::InspectArgs;
use crate::failure::{Code, Failure, Result};
use crate::output::{Output, table};

/// How many slices and log records are shown with their content.
const CONTENTS: usize = 3;

/// A document of a store, with what is known of it.
pub(super) struct Known<'s> {
    pub(super) id: DocId,
    /// Its name and type, if the directory lists it.
    pub(super) name: Option<(String, String)>,
    pub(super) document: &'s InspectedDocument,
    version: Version,
}

pub(super) fn inspect(output: Output, args: &InspectArgs, path: &Path) -> Result<()> {
    quiet();
    let store = InspectedStore::open(path).map_err(|why| refused(path, why))?;
    let documents = known(&store);
    if let Some(out) = &args.salvage {
        return salvage::salvage(output, &store, &documents, out, args.parts);
    }
    if let Some(wanted) = &args.document {
        let chosen = choose(&documents, wanted)?;
        let answer = json!({
            "kind": "documents",
            "documents": chosen.iter().map(|known| known.json(Some(args.full))).collect::<Vec<_>>(),
        });
        output.document(&answer, || chosen.iter().map(|known| known.content(args.full)).collect())?;
        let is_sound = chosen.iter().all(|known| known.document.is_sound());
        return if is_sound { Ok(()) } else { Err(damaged(path)) };
    }
    let answer = json!({
        "kind": "store",
        "bytes": store.bytes,
        "format": store.format,
        "opened": store.opened.to_string(),
        "sound": store.is_sound(),
        "problems": store.problems,
        "documents": documents.iter().map(|known| known.json(None)).collect::<Vec<_>>(),
        "staged": store.staged.iter().map(|(id, slices)| json!({
            "id": id.to_string(),
            "slices": slices.iter().map(|slice| entry(slice.key, slice)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "records": store.records.iter().map(|record| entry(&record.key, record)).collect::<Vec<_>>(),
    });
    output.document(&answer, || overview(&store, &documents, args.full))?;
    if store.is_sound() { Ok(()) } else { Err(damaged(path)) }
}

/// What has been shown is not all that was there.
fn damaged(path: &Path) -> Failure {
    let message = format!(
        "{} is damaged; `tombolo inspect FILE --salvage OUT` writes what is right to a new file",
        path.display()
    );
    Failure::new(Code::Damaged, message)
}

/// redb panics over pages that are not what it wrote. That is expected here, caught, and said in other words.
fn quiet() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|location| location.file().contains("redb-")) {
            tell(panic);
        }
    }));
}

fn refused(path: &Path, why: StoreError) -> Failure {
    match why {
        StoreError::Locked(path) => Failure::new(
            Code::Locked,
            format!(
                "{} is in use: stop the node that runs on it, or inspect a copy that `tombolo --home DIR backup FILE` makes while it runs",
                path.display()
            ),
        ),
        StoreError::Damaged(why) => Failure::new(
            Code::Damaged,
            format!(
                "{} cannot be read as a store, so nothing can be saved from it: {why}; restore a backup, or join the space again and let the others send everything",
                path.display()
            ),
        ),
        why => Failure::from(why),
    }
}

fn known(store: &InspectedStore) -> Vec<Known<'_>> {
    let listed = store.listed();
    let name = |id: DocId| {
        if id == DocId::DIRECTORY {
            return Some(("(directory)".to_owned(), String::new()));
        }
        if id == DocId::MEMBERS {
            return Some(("(members)".to_owned(), String::new()));
        }
        listed.iter().find(|listed| listed.id == id).map(|it| (it.name.clone(), it.type_name.clone()))
    };
    let mut documents: Vec<_> = store
        .documents
        .iter()
        .map(|(&id, document)| Known { id, name: name(id), document, version: document.version() })
        .collect();
    // By name; those without one last.
    documents.sort_by(|a, b| (a.name.is_none(), &a.name, a.id).cmp(&(b.name.is_none(), &b.name, b.id)));
    documents
}

/// The documents of this name, or the one whose id begins so.
fn choose<'k, 's>(documents: &'k [Known<'s>], wanted: &str) -> Result<Vec<&'k Known<'s>>> {
    let named: Vec<_> = documents
        .iter()
        .filter(|known| known.name.as_ref().is_some_and(|(name, _)| name == wanted))
        .collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let begins = |known: &&Known<'_>| known.id.to_string().starts_with(&wanted.to_ascii_lowercase());
    match documents.iter().filter(begins).collect::<Vec<_>>() {
        one if one.len() == 1 => Ok(one),
        several => {
            let count = if several.is_empty() { "no document" } else { "more than one document" };
            let message = format!(
                "{count} has the name, or an id that begins with, `{wanted}`; without --document, all are listed"
            );
            Err(Failure::new(Code::UnknownDocument, message))
        }
    }
}

fn overview(store: &InspectedStore, documents: &[Known<'_>], full: bool) -> String {
    let format =
        store.format.map_or_else(|| "an unknown format".to_owned(), |format| format!("format {format}"));
    let mut text = format!("a store of {} bytes in {format}\n", grouped(store.bytes));
    text.push_str(match store.opened {
        Opened::Repaired => "it was not closed: a node has it no longer, or was killed\n",
        _ => "",
    });
    let content = |name: &str| store.records.iter().find(|record| record.key == name)?.content.as_deref();
    if let Some(name) = content("identity/name") {
        text.push_str(&format!("node      {}\n", String::from_utf8_lossy(name).escape_debug()));
    }
    if let Some(secret) = content("space/secret").and_then(|secret| secret.try_into().ok()) {
        text.push_str(&format!("space     {}\n", SpaceId::of(&Secret::from_bytes(secret))));
    }
    for problem in &store.problems {
        text.push_str(&format!("WRONG     {problem}\n"));
    }
    let (some, more) = shortened(documents, full);
    let head = ["document", "type", "id", "dots", "slices", "log", "bytes", "state"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(some.iter().map(Known::row));
    text.push_str(&format!("\n{}{more}", table(&rows)));
    for (id, slices) in &store.staged {
        let bytes: usize = slices.iter().map(|slice| slice.bytes).sum();
        let state = if wrong(slices) == 0 { "right" } else { "WRONG" };
        let (pieces, bytes) = (grouped(slices.len()), grouped(bytes));
        text.push_str(&format!("arriving  {id:?}: {pieces} pieces of {bytes} bytes so far, {state}\n"));
    }
    let (some, more) = shortened(&store.records, full);
    let mut rows = vec![["record", "bytes", "state"].map(str::to_owned).to_vec()];
    rows.extend(some.iter().map(|record| {
        vec![record.key.escape_debug().to_string(), grouped(record.bytes), state(record).to_owned()]
    }));
    if !some.is_empty() {
        text.push_str(&format!("\n{}{more}", table(&rows)));
    }
    text
}

fn state<K>(entry: &InspectedEntry<K>) -> &'static str {
    if entry.content.is_some() { "right" } else { "WRONG" }
}

fn entry<K>(key: impl serde::Serialize, entry: &InspectedEntry<K>) -> Value {
    json!({ "key": key, "bytes": entry.bytes, "sound": entry.content.is_some() })
}

fn wrong<K>(entries: &[InspectedEntry<K>]) -> usize {
    entries.iter().filter(|entry| entry.content.is_none()).count()
}

impl Known<'_> {
    /// What it is called.
    pub(super) fn title(&self) -> String {
        match &self.name {
            Some((name, _)) => name.escape_debug().to_string(),
            None => "(not listed)".to_owned(),
        }
    }

    fn type_name(&self) -> &str {
        match &self.name {
            Some((_, type_name)) => type_name,
            None => "",
        }
    }

    fn dots(&self) -> u64 {
        self.version.iter().map(|(_, counter)| counter).sum()
    }

    fn state(&self) -> String {
        let InspectedDocument { slices, log, has_all_slices, .. } = self.document;
        if self.document.is_sound() {
            return "right".to_owned();
        }
        let mut wrong_ones = Vec::new();
        for (count, what) in [(wrong(slices), "slices"), (wrong(log), "log records")] {
            if count > 0 {
                wrong_ones.push(format!("{what} wrong: {}", grouped(count)));
            }
        }
        if !has_all_slices {
            wrong_ones.push("slices may be missing or old".to_owned());
        }
        if wrong_ones.is_empty() {
            wrong_ones.push("log records are missing".to_owned());
        }
        format!("DAMAGED: {}", wrong_ones.join(", "))
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.title(),
            self.type_name().escape_debug().to_string(),
            format!("{:?}", self.id),
            grouped(self.dots()),
            grouped(self.document.slices.len()),
            grouped(self.document.log.len()),
            grouped(self.document.bytes()),
            self.state(),
        ]
    }

    /// As JSON; with the content of slices and records if `content` says whether in full.
    fn json(&self, content: Option<bool>) -> Value {
        let version: Value =
            self.version.iter().map(|(id, counter)| (id.to_string(), json!(counter))).collect();
        let mut answer = json!({
            "id": self.id.to_string(),
            "name": self.name.as_ref().map(|(name, _)| name),
            "type": self.type_name(),
            "version": version,
            "sound": self.document.is_sound(),
            "has_all_slices": self.document.has_all_slices,
            "slices": self.document.slices.iter().map(|slice| entry(slice.key, slice)).collect::<Vec<_>>(),
            "log": self.document.log.iter().map(|record| entry(record.key, record)).collect::<Vec<_>>(),
        });
        if let Some(full) = content {
            let bodies = self.slices().into_iter().chain(self.records()).map(|(_, part)| part);
            let most = if full { usize::MAX } else { 2 * CONTENTS };
            let bodies: Vec<_> = bodies.take(most).map(|part| body(&part, self.type_name(), full)).collect();
            answer["bodies"] = json!(bodies);
        }
        answer
    }

    fn slices(&self) -> Vec<(Dot, InspectedBody)> {
        let right =
            self.document.slices.iter().filter_map(|slice| Some((slice.key, slice.content.as_ref()?)));
        right
            .flat_map(|(start, bytes)| {
                // A store of the first format has the whole state in its envelope.
                let bodies = match start.counter.checked_sub(1) {
                    None => Inspection::of(bytes, &LIMITS).map(|found| found.bodies).unwrap_or_default(),
                    Some(counter) => {
                        // The slice before it may be lost.
                        let mut before = Some(Dot { replica: start.replica, counter });
                        vec![InspectedBody::of_slice(bytes, &mut before, &LIMITS)]
                    }
                };
                bodies.into_iter().map(move |body| (start, body))
            })
            .collect()
    }

    fn records(&self) -> Vec<(Dot, InspectedBody)> {
        let right = self.document.log.iter().filter_map(|record| record.content.as_ref());
        let first = |body: &InspectedBody| {
            body.events().next().map_or(NOTHING, |run| Dot { replica: run.replica, counter: run.first })
        };
        right.map(|bytes| InspectedBody::of_delta(bytes, &LIMITS)).map(|body| (first(&body), body)).collect()
    }

    /// All about it, for people.
    fn content(&self, full: bool) -> String {
        let mut text = format!("document  {}\n", self.title());
        if !self.type_name().is_empty() {
            text.push_str(&format!("type      {}\n", self.type_name().escape_debug()));
        }
        text.push_str(&format!("id        {}\n", self.id));
        text.push_str(&format!("state     {}\n", self.state()));
        let version: Vec<_> =
            self.version.iter().map(|(id, counter)| vec![id.to_string(), grouped(counter)]).collect();
        let (some, more) = shortened(&version, full);
        let mut rows = vec![vec!["replica".to_owned(), "dots".to_owned()]];
        rows.extend(some.iter().cloned());
        text.push_str(&format!("\n{}{more}", table(&rows)));
        let entries = |title: &str, rows: Vec<Vec<String>>| {
            let (some, more) = shortened(&rows, full);
            let mut shown = vec![vec![title.to_owned(), "bytes".to_owned(), "state".to_owned()]];
            shown.extend(some.iter().cloned());
            if some.is_empty() { String::new() } else { format!("\n{}{more}", table(&shown)) }
        };
        fn row<K: std::fmt::Debug>(entry: &InspectedEntry<K>) -> Vec<String> {
            vec![format!("{:?}", entry.key), grouped(entry.bytes), state(entry).to_owned()]
        }
        text.push_str(&entries("slice from", self.document.slices.iter().map(row).collect()));
        text.push_str(&entries("log record", self.document.log.iter().map(row).collect()));
        for (what, bodies) in [("slice from", self.slices()), ("log record from", self.records())] {
            let most = if full { bodies.len() } else { bodies.len().min(CONTENTS) };
            for (start, body) in &bodies[..most] {
                let shown = body.shown(self.type_name());
                let shown = if full { format!("{shown:#}") } else { shown.to_string() };
                text.push_str(&format!("\n{what} {start:?}\n{shown}"));
            }
            if bodies.len() > most {
                text.push_str(&format!("\n… and {} more; --full shows all\n", grouped(bodies.len() - most)));
            }
        }
        text.push('\n');
        text
    }
}

/// Where a delta begins that brings nothing.
const NOTHING: Dot = Dot { replica: tombolo_crdt::ReplicaId::from_bytes([0; 16]), counter: 0 };
