//! Changes of all documents.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Value, json};
use tombolo_sync::engine::{Listed, Origin};
use tombolo_sync::{Change, Changes, DocId, Node};

use super::super::dump::tagged;
use super::Authors;
use crate::name::Name;

pub struct All {
    node: Node,
    changes: Changes,
    documents: HashMap<DocId, Listed>,
    /// Changes of documents of which only the content has arrived yet, not the name. One each.
    nameless: BTreeMap<DocId, Change>,
    ready: VecDeque<Change>,
    authors: Authors,
}

impl All {
    pub(super) fn new(node: &Node) -> Self {
        Self {
            node: node.clone(),
            changes: node.subscribe(),
            documents: HashMap::new(),
            nameless: BTreeMap::new(),
            ready: VecDeque::new(),
            authors: Authors::new(node),
        }
    }

    pub(super) async fn next(&mut self) -> Option<Value> {
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
        // Nothing that is read became different.
        if change.origin == Origin::Swept && change.caught_up == 1 {
            return None;
        }
        let Some(listed) = self.describe(change.document) else {
            self.nameless.insert(change.document, change);
            return None;
        };
        let (tag, value) = tagged(&self.node, &listed.name, &listed.type_name);
        let mut shown = json!({ "name": Name::of_document(&listed.name), "type": tag, "value": value });
        self.authors.note(change.origin, &mut shown);
        if change.caught_up > 1 {
            shown["changes"] = json!(change.caught_up);
        }
        Some(shown)
    }

    fn describe(&mut self, document: DocId) -> Option<Listed> {
        if let Some(listed) = self.documents.get(&document) {
            return Some(listed.clone());
        }
        let listed = self.node.describe(document)?;
        self.documents.insert(document, listed.clone());
        Some(listed)
    }
}
