//! A tree of nodes that can be moved.
//!
//! *Merge rule*: a node stands where it was moved last, by its stamp, and a move wins over being put away; where moves of several at once would have nodes stand below themselves, the
//! last of these moves is not followed: its node stays below what it stood below. What nodes hold merges as its type says. *Concurrent pair*: two moves of one
//! node: it ends at one place; a move and a deletion: it stays, with all below it; two moves that make a circle: one of them; a node moved or made below one that is
//! deleted: it is put away with it. *Metadata*: two dots a node, its name and its parent's; once it was moved a stamp and the parent before; one dot more, with a number, wherever
//! somebody began to insert anew, until it is swept; nothing for moves that are over. *Lost on conflict*: the earlier of two moves; what was written at the same time to what was purged.
//! *Source*: what must come out after Kleppmann, Mulligan, Gomes, Beresford 2021, "A Highly-Available Move Operation for Replicated Trees"; without a log of
//! moves, which that undoes and does again: only the places that nobody has replaced say where nodes stand.

#[cfg(test)]
mod tests;
mod write;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::causal::Dot;
use crate::ordered::walks;
use crate::placed::{Element, Name, Placed, Placing, ROOT, Row, TRASH, TreePlace, Under};
use crate::store::{Crdt, Disputes, DotStore, Gathered, Look, Mut, Plain, Seen, View, view_seq};

/// As many nodes may stand one below the other: 10 000. Nothing is put or made deeper, nor is what has nodes below it that would be. Concurrent moves may leave them
/// deeper, which is read all the same: nothing here goes as deep on the stack.
pub const MAX_TREE_DEPTH: usize = 10_000;

/// A tree of nodes that can be moved, each of which holds a value of a replicated type.
///
/// ```
/// use tombolo_crdt::{LwwRegister, Replica, ReplicaId, Tree};
///
/// type Files = Tree<LwwRegister<String>>;
/// let mut ann = Replica::<Files>::new(ReplicaId::from_bytes([1; 16]));
/// let (made, _) = ann.try_update(|files| {
///     let mut make = |name: &str| {
///         let (id, mut node) = files.push(None)?;
///         node.set(name);
///         Ok(id)
///     };
///     Ok::<_, tombolo_crdt::BadNode>((make("maps")?, make("charts")?))
/// })?;
/// let (maps, charts) = made;
/// let mut bob = ann.fork(ReplicaId::from_bytes([2; 16]));
/// // At the same time, each into the other:
/// let (_, hers) = ann.try_update(|files| files.move_to(maps, Some(charts), 0))?;
/// let (_, his) = bob.try_update(|files| files.move_to(charts, Some(maps), 0))?;
/// ann.merge(his).unwrap();
/// bob.merge(hers).unwrap();
/// // One of both, and the same for both.
/// assert_eq!(ann.encode(), bob.encode());
/// assert_eq!(ann.iter().collect::<Vec<_>>(), bob.iter().collect::<Vec<_>>());
/// assert_eq!((ann.roots().count(), ann.iter().count()), (1, 2));
/// # Ok::<(), tombolo_crdt::BadNode>(())
/// ```
///
/// What is deleted is put away with all below it, and can be [restored](Mut::restore) until it is [purged](Mut::purge). As with the keys of an
/// [`AddWinsMap`](crate::AddWinsMap), a node is there by what it holds: one to which nothing is written does not come into being, and one that holds nothing any more is
/// gone; what stands below it is in the [trash](Self::trash) then.
///
/// There is no log of moves. One that comes late costs what it touches: the ways up from the nodes it names, and the nodes of a circle it makes or ends; not the moves made since.
pub struct Tree<V: Crdt> {
    body: Placed<TreePlace, V>,
}

/// The name of a node of a [`Tree`], the same at every replica. It can be kept and sent to others; as text it is its number and its author, as in
/// `3@8c15…`. What a store wrote alone before it was set back has another name afterwards ([`disown`](crate::Replica::disown)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct NodeId(Dot);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is no name of a node.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a node is named by a number, an @ and the id of a replica")]
pub struct ParseNodeIdError;

impl FromStr for NodeId {
    type Err = ParseNodeIdError;

    fn from_str(text: &str) -> Result<Self, ParseNodeIdError> {
        Dot::parsed(text).map(Self).ok_or(ParseNodeIdError)
    }
}

/// What cannot be done with a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadNode {
    /// There is no such node, or it has been put away.
    #[error("the tree has no node {0}")]
    Absent(NodeId),
    /// It would stand below itself.
    #[error("node {0} cannot be moved below itself")]
    BelowItself(NodeId),
    /// There is no such place.
    #[error("{at} lies behind the end of {len} nodes")]
    BeyondEnd {
        /// The place.
        at: usize,
        /// How many nodes there are.
        len: usize,
    },
    /// It would stand deeper than [`MAX_TREE_DEPTH`].
    #[error("nodes may stand {MAX_TREE_DEPTH} deep, not deeper")]
    TooDeep,
}

impl<V: Crdt> Tree<V> {
    /// Whether there are no nodes; some may have been put away. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.len_below(ROOT) == 0
    }

    /// Whether a node is in the tree. O(depth).
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.body.element(id.0).is_some_and(|node| self.body.depth(node).is_some())
    }

    /// What a node holds; `None` if it is not there. What has been put away is there until it is purged. O(log n).
    #[must_use]
    pub fn get(&self, id: NodeId) -> Option<&V::State> {
        self.body.value(self.body.element(id.0)?)
    }

    /// The nodes that stand below nothing, in their order.
    pub fn roots(&self) -> impl DoubleEndedIterator<Item = NodeId> {
        self.body.below(ROOT).map(|node| self.id(node))
    }

    /// The nodes that stand below another, in their order; none if that is not there.
    pub fn children(&self, id: NodeId) -> impl DoubleEndedIterator<Item = NodeId> {
        let below = self.body.element(id.0).map(|node| self.body.below(node));
        below.into_iter().flatten().map(|node| self.id(node))
    }

    /// How many nodes stand below another, or below nothing. O(log n).
    #[must_use]
    pub fn count_children(&self, parent: Option<NodeId>) -> usize {
        let under = parent.map_or(Some(ROOT), |id| self.body.element(id.0));
        under.map_or(0, |under| self.body.len_below(under))
    }

    /// The node that is the one at `at` below another, or below nothing.
    #[must_use]
    pub fn child_at(&self, parent: Option<NodeId>, at: usize) -> Option<NodeId> {
        let under = parent.map_or(Some(ROOT), |id| self.body.element(id.0))?;
        self.body.at(under, at).map(|node| self.id(node))
    }

    /// The node that one stands below; `None` if that is nothing, or it is not in the tree.
    #[must_use]
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        let under = self.body.under(self.body.element(id.0)?)?;
        (under != ROOT && under != TRASH && self.body.is_there(under)).then(|| self.id(under))
    }

    /// Where a node stands among those beside it; `None` if it is not there.
    #[must_use]
    pub fn position(&self, id: NodeId) -> Option<usize> {
        self.body.position(self.body.element(id.0)?)
    }

    /// All nodes, each before those below it, with how many stand above it.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, usize)> {
        self.walk(ROOT).map(|(node, depth)| (self.id(node), depth))
    }

    /// What has been put away, each with all below it, and what stands below a node that is no longer there, as another purged it at the same
    /// time. In an order that is the same everywhere.
    pub fn trash(&self) -> impl Iterator<Item = NodeId> {
        let mut missing: Vec<Element> = self.body.missing().collect();
        missing.sort_unstable_by_key(|under| self.body.name(*under));
        let missing = missing.into_iter().flat_map(|under| self.body.below(under));
        self.body.below(TRASH).chain(missing).map(|node| self.id(node))
    }

    fn id(&self, node: Element) -> NodeId {
        NodeId(self.body.name(node).0)
    }

    /// What stands below one, each before those below it.
    fn walk(&self, under: Element) -> impl Iterator<Item = (Element, usize)> {
        let mut open = Vec::from([self.body.below(under)]);
        core::iter::from_fn(move || {
            loop {
                let depth = open.len().checked_sub(1)?;
                match open.last_mut()?.next() {
                    Some(node) => {
                        open.push(self.body.below(node));
                        return Some((node, depth));
                    }
                    None => _ = open.pop(),
                }
            }
        })
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        self.body.rows_from(0)
    }
}

impl<V: Crdt> Default for Tree<V> {
    fn default() -> Self {
        Self { body: Placed::default() }
    }
}

impl<V: Crdt<State: Clone>> Clone for Tree<V> {
    fn clone(&self) -> Self {
        Self { body: self.body.clone() }
    }
}

impl<V: Crdt<State: fmt::Debug>> fmt::Debug for Tree<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = |(node, depth)| (depth, self.body.value(node));
        f.debug_list().entries(self.walk(ROOT).map(node)).finish()
    }
}

impl<V: Crdt> Crdt for Tree<V> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        const { assert!(V::REMOVABLE, "a `BoundedCounter` must not stand where it can be removed") };
        format!("Tree<{}>", V::type_name()).into()
    }
}

/// A node as it is shown: its name, that of the one above it, and what it holds.
struct Shown<'s, V: DotStore> {
    id: NodeId,
    parent: Option<NodeId>,
    value: Option<&'s V>,
}

/// Names as text, so that they can stand in JSON.
impl<V: DotStore> Serialize for Shown<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("id", &self.id.to_string())?;
        map.serialize_entry("parent", &self.parent.map(|parent| parent.to_string()))?;
        map.serialize_entry("value", &self.value.map(View))?;
        map.end()
    }
}

impl<V: Crdt> Tree<V> {
    fn shown(&self, row: &Row) -> Shown<'_, V::State> {
        let id = NodeId(row.element.0);
        Shown { id, parent: row.under.map(|name| NodeId(name.0)), value: self.get(id) }
    }

    fn plain_row(&self, row: &Row) -> Plain {
        let Shown { id, parent, value } = self.shown(row);
        let text = |id: NodeId| Plain::Text(id.to_string());
        let value = value.map_or(Plain::Null, DotStore::plain);
        let parent = parent.map_or(Plain::Null, text);
        Plain::Map([("id".into(), text(id)), ("parent".into(), parent), ("value".into(), value)].into())
    }
}

impl<V: Crdt> DotStore for Tree<V> {
    walks!(Placed<TreePlace, V>);
    crate::placed::walks!();

    fn conflicts(&self, disputes: &mut Disputes<'_>) {
        let path = |node| Plain::Text(self.id(node).to_string());
        let text = |Name(dot): Name| Plain::Text(NodeId(dot).to_string());
        let root = || Plain::Text("root".into());
        let meant = |_: &Placed<_, _>, _, place: &TreePlace| match place.under() {
            Under::Trash => Plain::Null,
            _ => place.parent().map_or_else(root, text),
        };
        let stands = |body: &Placed<_, _>, node| match body.under(node) {
            Some(TRASH) => Plain::Null,
            Some(parent) if parent != ROOT => text(body.name(parent)),
            _ => root(),
        };
        self.body.disputed(disputes, path, meant, stands);
        self.body.disputed_values(disputes, path);
    }

    /// A list of all nodes, each before those below it: so no tree is too deep to be written.
    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows: Vec<Row> = self.rows().collect();
        view_seq(rows.len(), rows.iter().map(|row| self.shown(row)), serializer)
    }

    fn plain(&self) -> Plain {
        Plain::List(self.rows().map(|row| self.plain_row(&row)).collect())
    }

    fn look(&self, look: Look<'_>) -> Seen {
        self.body.look(look)
    }

    fn changed(&self, before: &Seen, gathered: &mut Gathered) {
        self.body.changed(before, gathered, |row| self.plain_row(row), Some("value"));
    }
}
