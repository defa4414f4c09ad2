//! The verbs of trees: of texts in a document of their own, of maps that say a text inside another.

use serde_json::{Value, json};
use tombolo_crdt::{BadNode, Crdt, DocEntry, LwwRegister, Mut, NodeId, Tree};
use tombolo_sync::Node;

use super::dump::Kind;
use super::place::{read, try_write};
use super::said::Said;
use crate::args::{Concern, TreeVerb};
use crate::failure::{Code, Failure, Result};
use crate::name::Name;

type Texts = Tree<LwwRegister<String>>;

/// What changes a tree.
enum Change {
    Add { text: String, under: Option<NodeId>, at: Option<usize> },
    Rename { id: NodeId, text: String },
    Move { id: NodeId, under: Option<NodeId>, at: Option<usize> },
    Delete { id: NodeId },
    Restore { id: NodeId },
    Purge { id: NodeId },
    EmptyTrash,
}

pub(super) async fn tree(node: &Node, verb: TreeVerb) -> Result<Value> {
    let (name, change, concern) = match verb {
        TreeVerb::Get { name, trash } => return get(node, &name, trash),
        TreeVerb::Add { name, text, under, at, concern } => (name, Change::Add { text, under, at }, concern),
        TreeVerb::Rename { name, node: id, text, concern } => (name, Change::Rename { id, text }, concern),
        TreeVerb::Move { name, node: id, under, at, concern } => {
            (name, Change::Move { id, under, at }, concern)
        }
        TreeVerb::Delete { name, node: id, concern } => (name, Change::Delete { id }, concern),
        TreeVerb::Restore { name, node: id, concern } => (name, Change::Restore { id }, concern),
        TreeVerb::Purge { name, node: id, concern } => (name, Change::Purge { id }, concern),
        TreeVerb::EmptyTrash { name, concern } => (name, Change::EmptyTrash, concern),
    };
    write(node, &name, &change, concern).await
}

/// The nodes of the tree called `name`, or those in its trash; none if there is no such tree.
fn get(node: &Node, name: &Name, trash: bool) -> Result<Value> {
    let entry = |entry: &DocEntry| entry.tree().map(|tree| rows(tree, trash));
    let nodes = read::<Texts, Vec<Value>>(node, name, Kind::Tree, |tree| rows(tree, trash), entry)?;
    Ok(nodes.into())
}

/// Changes the tree called `name`.
async fn write(node: &Node, name: &Name, change: &Change, concern: Concern) -> Result<Value> {
    let written = try_write::<Texts, _>(
        node,
        name,
        (Kind::Tree, change.makes_a_tree()),
        concern,
        |tree| change.make(name, tree),
        |map, last| change.make(name, &mut map.tree(last)),
    );
    let (answer, held) = written.await?;
    let answer = match answer {
        Some(answer) => answer,
        // There is no tree, which reads as an empty one.
        None => change.make_of_none().map_err(|why| change.refusal(name, &Texts::default(), why))?,
    };
    Ok(held.in_answer(answer))
}

impl Change {
    /// Whether there is a tree afterwards where there was none.
    fn makes_a_tree(&self) -> bool {
        matches!(self, Self::Add { under: None, at: None | Some(0), .. })
    }

    /// Changes a tree. Where a node or a place is none in it, nothing changes.
    fn make<V: Said>(&self, name: &Name, tree: &mut Mut<'_, Tree<V>>) -> Result<Value> {
        self.try_make(tree).map_err(|why| self.refusal(name, tree, why))
    }

    fn try_make<V: Said>(&self, tree: &mut Mut<'_, Tree<V>>) -> std::result::Result<Value, BadNode> {
        match *self {
            Self::Add { ref text, under, at } => {
                let at = at.unwrap_or_else(|| tree.count_children(under));
                let (id, mut node) = tree.insert(under, at)?;
                V::say(&mut node, text);
                Ok(json!({ "id": id.to_string() }))
            }
            Self::Rename { id, ref text } => {
                V::say(&mut tree.at(id)?, text);
                Ok(json!({ "renamed": true }))
            }
            Self::Move { id, under, at } => {
                let is_there = tree.contains(id) && tree.parent(id) == under;
                let end = tree.count_children(under).saturating_sub(usize::from(is_there));
                tree.move_to(id, under, at.unwrap_or(end))?;
                Ok(json!({ "moved": true }))
            }
            Self::Delete { id } => {
                tree.delete(id)?;
                Ok(json!({ "deleted": true }))
            }
            Self::Restore { id } => {
                tree.restore(id)?;
                Ok(json!({ "restored": true }))
            }
            Self::Purge { id } => {
                let purged = walk(tree, [id]).len();
                tree.purge(id)?;
                Ok(json!({ "purged": purged }))
            }
            Self::EmptyTrash => {
                let purged = walk(tree, tree.trash()).len();
                tree.empty_trash();
                Ok(json!({ "purged": purged }))
            }
        }
    }

    /// What is said where there is no tree and none is made.
    fn make_of_none(&self) -> std::result::Result<Value, BadNode> {
        match *self {
            Self::Add { under: None, at, .. } => {
                Err(BadNode::BeyondEnd { at: at.unwrap_or_default(), len: 0 })
            }
            Self::Add { under: Some(id), .. }
            | Self::Rename { id, .. }
            | Self::Move { id, .. }
            | Self::Delete { id }
            | Self::Restore { id }
            | Self::Purge { id } => Err(BadNode::Absent(id)),
            Self::EmptyTrash => Ok(json!({ "purged": 0 })),
        }
    }

    /// What is said where it cannot be done.
    fn refusal<V: Crdt>(&self, name: &Name, tree: &Tree<V>, why: BadNode) -> Failure {
        let restores = matches!(self, Self::Restore { .. });
        let (code, message) = match why {
            BadNode::Absent(id) if restores && tree.contains(id) => {
                (Code::UnknownNode, format!("node {id} of `{name}` is not in the trash: it is in the tree"))
            }
            BadNode::Absent(id) if restores && tree.get(id).is_some() => (
                Code::UnknownNode,
                format!(
                    "node {id} of `{name}` is in the trash below another; restore that one, or bring this one back alone with `tombolo tree move`"
                ),
            ),
            BadNode::Absent(id) if tree.get(id).is_some() => (
                Code::UnknownNode,
                format!(
                    "node {id} of `{name}` is in the trash; `tombolo tree restore` brings it back, `tombolo tree get --trash` prints what is there"
                ),
            ),
            BadNode::Absent(id) => (
                Code::UnknownNode,
                format!("`{name}` has no node {id}; `tombolo tree get` prints those that it has"),
            ),
            BadNode::BelowItself(id) => (
                Code::BelowItself,
                format!(
                    "node {id} of `{name}` cannot be moved below itself; first move out of it what it is to stand below"
                ),
            ),
            BadNode::BeyondEnd { at, len } => (
                Code::OutOfRange,
                format!("there is no place {at} there in `{name}`: places go from 0 to {len}"),
            ),
            BadNode::TooDeep => (Code::OutOfRange, format!("{why}; choose a node further up in `{name}`")),
            _ => (Code::Failed, why.to_string()),
        };
        Failure::new(code, message)
    }
}

/// These nodes and all below them, each before those below it, with what it stands below among them.
fn walk<V: Crdt>(tree: &Tree<V>, tops: impl IntoIterator<Item = NodeId>) -> Vec<(NodeId, Option<NodeId>)> {
    let mut open: Vec<_> = tops.into_iter().map(|id| (id, None)).collect();
    open.reverse();
    let mut all = Vec::new();
    while let Some((id, above)) = open.pop() {
        open.extend(tree.children(id).rev().map(|below| (below, Some(id))));
        all.push((id, above));
    }
    all
}

/// The nodes, or those in the trash, as a whole tree is shown.
fn rows<V: Said>(tree: &Tree<V>, trash: bool) -> Vec<Value> {
    let row = |(id, above): (NodeId, Option<NodeId>)| {
        let (value, parent) = (tree.get(id).and_then(V::said), above.map(|id| id.to_string()));
        json!({ "id": id.to_string(), "parent": parent, "value": value })
    };
    let nodes = if trash { walk(tree, tree.trash()) } else { walk(tree, tree.roots()) };
    nodes.into_iter().map(row).collect()
}
