//! Changes as they happen, with the document's name and new value.
//!
//! Who watches one document, or a place in one, is shown what is there, and then every change of it, with what became different, by path.
//! Who watches all of them is told that one changed, and what it is now: to be told what became different in each of them all would have to be
//! in memory, and a space may have far more.

mod all;
mod one;

use std::collections::HashMap;

use serde_json::{Value, json};
use tombolo_sync::engine::Origin;
use tombolo_sync::{Node, PeerId};

use crate::name::Name;
use all::All;
use one::One;

/// A stream of changes, as JSON.
pub enum Watcher {
    /// Of all documents.
    All(Box<All>),
    /// Of one, or of a place in it.
    One(Box<One>),
}

impl Watcher {
    /// All changes from now on, or what is at `only` and what becomes of it.
    pub fn new(node: &Node, only: Option<Name>) -> Self {
        match only {
            None => Self::All(Box::new(All::new(node))),
            Some(only) => Self::One(Box::new(One::new(node, only))),
        }
    }

    /// The next change; `None` once the node has been shut down. Losing the future loses nothing.
    pub async fn next(&mut self) -> Option<Value> {
        match self {
            Self::All(all) => all.next().await,
            Self::One(one) => one.next().await,
        }
    }
}

/// Who wrote what.
struct Authors {
    node: Node,
    names: HashMap<PeerId, String>,
}

impl Authors {
    fn new(node: &Node) -> Self {
        Self { node: node.clone(), names: HashMap::new() }
    }

    /// Notes in what is shown where it comes from.
    fn note(&mut self, origin: Origin, shown: &mut Value) {
        shown["origin"] = match origin {
            Origin::Local => json!("local"),
            Origin::Peer(peer) => {
                shown["peer"] = json!(self.name_of(peer));
                json!(peer.to_string())
            }
            Origin::Renamed => json!("renamed"),
            Origin::Swept => json!("swept"),
            _ => json!("undone"),
        };
    }

    fn name_of(&mut self, peer: PeerId) -> String {
        if !self.names.contains_key(&peer) {
            let peers = self.node.status().peers;
            self.names.extend(peers.into_iter().map(|known| (known.peer, known.name)));
        }
        self.names.get(&peer).cloned().unwrap_or_default()
    }
}
