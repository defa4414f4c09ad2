//! Writing.

use alloc::vec::Vec;

use super::{BadNode, MAX_TREE_DEPTH, NodeId, Tree};
use crate::causal::Stamp;
use crate::placed::{Element, Hand, Name, ROOT, TRASH, TreePlace, Way};
use crate::store::{Crdt, Mut};

impl<V: Crdt> Mut<'_, Tree<V>> {
    fn hand(&mut self) -> Hand<'_, TreePlace, V> {
        Hand { body: &mut self.state.body, tx: self.tx, place: self.place, depth: self.depth }
    }

    /// Makes a node below another, or below nothing, before the one at `at` there, or at the end. Yields its name and write access to what it
    /// holds. It comes into being with the first thing written to it; only until this transaction ends is it there without.
    ///
    /// # Errors
    /// When there is no such node or place, or it lies too deep; nothing changes then.
    pub fn insert(&mut self, parent: Option<NodeId>, at: usize) -> Result<(NodeId, V::Mut<'_>), BadNode> {
        let under = self.parent_for(parent, None)?;
        let len = self.state.body.len_below(under);
        if at > len {
            return Err(BadNode::BeyondEnd { at, len });
        }
        let mut hand = self.hand();
        let node = hand.make(under, at, TreePlace::made(parent.map(|id| Name(id.0))));
        let id = NodeId(hand.body.name(node).0);
        Ok((id, hand.value(node)))
    }

    /// As [`insert`](Self::insert), at the end.
    ///
    /// # Errors
    /// When there is no such node, or it lies too deep; nothing changes then.
    pub fn push(&mut self, parent: Option<NodeId>) -> Result<(NodeId, V::Mut<'_>), BadNode> {
        let at = self.state.count_children(parent);
        self.insert(parent, at)
    }

    /// Write access to what a node holds.
    ///
    /// # Errors
    /// When it is not there. What has been put away is, until it is purged.
    pub fn at(&mut self, id: NodeId) -> Result<V::Mut<'_>, BadNode> {
        let node = self.state.body.element(id.0).ok_or(BadNode::Absent(id))?;
        Ok(self.hand().value(node))
    }

    /// Moves a node, with all below it, so that it is the one at `at` below another, or below nothing, afterwards. What has been put away
    /// comes back so.
    ///
    /// # Errors
    /// When there is no such node or place, it lies below the node itself, or too deep; nothing changes then.
    pub fn move_to(&mut self, id: NodeId, parent: Option<NodeId>, at: usize) -> Result<(), BadNode> {
        let node = self.state.body.element(id.0).ok_or(BadNode::Absent(id))?;
        let under = self.parent_for(parent, Some(node))?;
        let stands = self.state.body.under(node) == Some(under);
        let len = self.state.body.len_below(under) - usize::from(stands);
        if at > len {
            return Err(BadNode::BeyondEnd { at, len });
        }
        if !stands || self.state.body.position(node) != Some(at) {
            self.settle();
            let (name, before) = (self.state.body.name(node), self.parent_of(node));
            let parent = parent.map(|id| Name(id.0));
            self.put(node, under, at, |at| TreePlace::moved(at, name, before, parent));
        }
        Ok(())
    }

    /// Puts a node away, with all below it. Of those that are moved out of it at the same time, and if it is moved itself, the moves win.
    ///
    /// # Errors
    /// When it is not in the tree; nothing changes then.
    pub fn delete(&mut self, id: NodeId) -> Result<(), BadNode> {
        let node = self.state.body.element(id.0).filter(|node| self.state.body.depth(*node).is_some());
        let node = node.ok_or(BadNode::Absent(id))?;
        self.settle();
        let (name, parent) = (self.state.body.name(node), self.parent_of(node));
        let at = self.state.body.len_below(TRASH);
        self.put(node, TRASH, at, |at| TreePlace::away(at, name, parent));
        Ok(())
    }

    /// Brings back what has been put away, below what it stood below, at the end; below nothing if that is gone or has been put away itself.
    ///
    /// # Errors
    /// When it is not in the trash; nothing changes then.
    pub fn restore(&mut self, id: NodeId) -> Result<(), BadNode> {
        let node = self.state.body.element(id.0).filter(|node| self.state.is_top_of_trash(*node));
        let node = node.ok_or(BadNode::Absent(id))?;
        let parent = self.state.body.meant(node).and_then(TreePlace::parent).map(|Name(dot)| NodeId(dot));
        let at = |parent| self.state.count_children(parent);
        let (above, there) = (at(parent), at(None));
        match self.move_to(id, parent, above) {
            Err(BadNode::Absent(_) | BadNode::BelowItself(_) | BadNode::TooDeep) => {
                self.move_to(id, None, there)
            }
            done => done,
        }
    }

    /// Deletes a node for good, with all that is seen here below it and what they hold. What others wrote to them at the same time is lost; what they
    /// moved or made below them is in the [trash](Tree::trash).
    ///
    /// # Errors
    /// When it is not there; nothing changes then.
    pub fn purge(&mut self, id: NodeId) -> Result<(), BadNode> {
        let node = self.state.body.element(id.0).ok_or(BadNode::Absent(id))?;
        self.settle();
        let mut all: Vec<Element> = self.state.walk(node).map(|(below, _)| below).collect();
        all.push(node);
        all.into_iter().for_each(|node| self.hand().delete(node));
        Ok(())
    }

    /// Purges all that is seen here in the trash; says how many nodes had been put there.
    pub fn empty_trash(&mut self) -> usize {
        let trash: Vec<NodeId> = self.state.trash().collect();
        trash.iter().filter(|id| self.purge(**id).is_ok()).count()
    }

    /// The parent below which something is to be put, which may be a node that there is.
    fn parent_for(&mut self, parent: Option<NodeId>, what: Option<Element>) -> Result<Element, BadNode> {
        let Some(id) = parent else { return Ok(ROOT) };
        let node = self.state.body.element(id.0).ok_or(BadNode::Absent(id))?;
        match self.state.body.way_up(node, what) {
            Way::Root(depth) if self.state.has_room(depth, node, what) => Ok(node),
            Way::Root(_) => Err(BadNode::TooDeep),
            Way::Nowhere => Err(BadNode::Absent(id)),
            Way::Other => Err(BadNode::BelowItself(NodeId(self.state.body.name(what.unwrap_or(node)).0))),
        }
    }

    /// The name of what a node stands below that is in the tree.
    fn parent_of(&self, node: Element) -> Option<Name> {
        let under = self.state.body.under(node).filter(|under| *under != ROOT && *under != TRASH)?;
        Some(self.state.body.name(under))
    }

    fn settle(&mut self) {
        self.hand().settle(|at, name, under| TreePlace::moved(at, name, under, under));
    }

    /// Has a node that is there be the one at `at` below another, as is told by a place with a stamp.
    fn put(&mut self, node: Element, under: Element, at: usize, place: impl FnOnce(Stamp) -> TreePlace) {
        let Some(own) = self.state.body.position(node) else { return };
        let mut hand = self.hand();
        let place = place(hand.stamp());
        hand.move_to(node, own, under, at, place);
    }
}

impl<V: Crdt> Tree<V> {
    /// Whether, below a parent that stands as deep, what is put or made there and all below it stands no deeper than nodes may. Costs a walk of what is
    /// moved, where there are as many nodes in all.
    fn has_room(&self, depth: usize, parent: Element, what: Option<Element>) -> bool {
        let Some(room) = MAX_TREE_DEPTH.checked_sub(depth + 2) else {
            // What stands there already may be put elsewhere beside it.
            return what.is_some_and(|what| self.body.under(what) == Some(parent));
        };
        let Some(what) = what.filter(|what| self.body.under(*what) != Some(parent)) else { return true };
        self.body.count() <= room || self.walk(what).all(|(_, below)| below < room)
    }

    /// Whether a node is in the trash, and not below another that is.
    fn is_top_of_trash(&self, node: Element) -> bool {
        let under = self.body.under(node);
        self.body.is_there(node)
            && under.is_some_and(|under| under == TRASH || (under != ROOT && !self.body.is_there(under)))
    }
}
