//! Changes as they arrive, with the document's name and new value.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Value, json};
use tombolo_sync::engine::{Listed, Origin};
use tombolo_sync::{Change, Changes, DocId, Node, PeerId};

use super::dump::{Kind, tagged};
use crate::name::Name;

/// A stream of changes, as JSON.
#[derive(Debug)]
pub struct Watcher {
    node: Node,
    only: Option<Name>,
    changes: Changes,
    documents: HashMap<DocId, Listed>,
    /// Changes of documents of which only the content has arrived yet, not the name. One each.
    nameless: BTreeMap<DocId, Change>,
    ready: VecDeque<Change>,
    names: HashMap<PeerId, String>,
    /// What was last seen at each place that is watched, if it is inside documents.
    last: HashMap<DocId, Value>,
}

impl Watcher {
    /// All changes from now on, or those at `only`.
    pub fn new(node: &Node, only: Option<Name>) -> Self {
        let mut watcher = Self {
            node: node.clone(),
            only,
            changes: node.subscribe(),
            documents: HashMap::new(),
            nameless: BTreeMap::new(),
            ready: VecDeque::new(),
            names: HashMap::new(),
            last: HashMap::new(),
        };
        for listed in node.list() {
            if watcher.is_wanted(&listed) {
                let (_, value) = watcher.value(&listed);
                watcher.last.insert(listed.id, value);
            }
        }
        watcher
    }

    /// The next change; `None` once the node has been shut down. Losing the future loses nothing.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some(change) = self.ready.pop_front() {
                if let Some(shown) = self.show(change) {
                    return Some(shown);
                }
            }
            let change = self.changes.next().await?;
            if change.document == DocId::DIRECTORY {
                self.ready.extend(std::mem::take(&mut self.nameless).into_values());
            } else {
                self.ready.push_back(change);
            }
        }
    }

    fn show(&mut self, change: Change) -> Option<Value> {
        let Some(listed) = self.describe(change.document) else {
            self.nameless.insert(change.document, change);
            return None;
        };
        if !self.is_wanted(&listed) {
            return None;
        }
        let (tag, value) = self.value(&listed);
        if self.is_inside() && self.last.insert(listed.id, value.clone()) == Some(value.clone()) {
            return None;
        }
        let name = self.only.as_ref().map_or_else(|| Name::of_document(&listed.name), Clone::clone);
        let mut shown = json!({ "name": name, "type": tag, "value": value });
        shown["origin"] = match change.origin {
            Origin::Local => json!("local"),
            Origin::Peer(peer) => {
                shown["peer"] = json!(self.name_of(peer));
                json!(peer.to_string())
            }
            Origin::Renamed => json!("renamed"),
            _ => json!("undone"),
        };
        if change.caught_up > 1 {
            shown["changes"] = json!(change.caught_up);
        }
        Some(shown)
    }

    fn is_wanted(&self, listed: &Listed) -> bool {
        self.only.as_ref().is_none_or(|only| {
            only.document() == listed.name
                && (only.inside().is_empty() || Kind::of_type(&listed.type_name) == Some(Kind::Map))
        })
    }

    fn is_inside(&self) -> bool {
        self.only.as_ref().is_some_and(|only| !only.inside().is_empty())
    }

    /// The type and value of what is watched in a document. Of what is inside a document: all types it is used as.
    fn value(&self, listed: &Listed) -> (String, Value) {
        let (tag, value) = tagged(&self.node, &listed.name, &listed.type_name);
        match &self.only {
            Some(only) if !only.inside().is_empty() => {
                let (last, maps) = only.inside().split_last().expect("it is not empty");
                let map = maps.iter().try_fold(&value, |map, part| map.get(part)?.get("map"));
                let entry = map.and_then(|map| map.get(last)).and_then(Value::as_object).cloned();
                let mut types = entry.unwrap_or_default();
                match (types.len(), types.keys().next().cloned()) {
                    (1, Some(tag)) => (tag.clone(), types.remove(&tag).unwrap_or_default()),
                    (0, _) => ("nothing".to_owned(), Value::Null),
                    _ => ("several".to_owned(), Value::Object(types)),
                }
            }
            _ => (tag, value),
        }
    }

    fn describe(&mut self, document: DocId) -> Option<Listed> {
        if let Some(listed) = self.documents.get(&document) {
            return Some(listed.clone());
        }
        let listed = self.node.describe(document)?;
        self.documents.insert(document, listed.clone());
        Some(listed)
    }

    fn name_of(&mut self, peer: PeerId) -> String {
        if !self.names.contains_key(&peer) {
            let peers = self.node.status().peers;
            self.names.extend(peers.into_iter().map(|known| (known.peer, known.name)));
        }
        self.names.get(&peer).cloned().unwrap_or_default()
    }
}
