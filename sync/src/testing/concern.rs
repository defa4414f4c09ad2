//! Waiting for others, as a `Node` does.

use std::time::Duration;

use tombolo_crdt::{Crdt, Version};

use super::{Commit, Document, Network, NodeId};
use crate::PeerId;
use crate::concern::{InSync, NotInSync, NotReached, NotReplicated};
use crate::engine::{Outcome, WaitId};

impl Network {
    /// Lets time pass until as many other nodes as wanted hold a write durably, and have told so; yields who does, in order of their
    /// numbers. As `Commit::replicated` of a node: who is told nothing waits in vain, and a write stays whatever comes of this.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tombolo_crdt::PnCounter;
    /// # use tombolo_sync::testing::Network;
    /// let mut net = Network::new(7);
    /// let [ann, bob, cem] = net.nodes(["ann", "bob", "cem"]);
    /// let visits = net.open::<PnCounter>(ann, "visits");
    /// net.run_for(Duration::from_secs(3));
    ///
    /// net.partition(&[&[ann, bob], &[cem]]);
    /// let commit = net.update(ann, &visits, |counter| counter.inc(1));
    /// assert_eq!(net.run_until_replicated(&commit, 1, Duration::from_secs(5)), Ok(vec![bob]));
    /// let so_far = net.run_until_replicated(&commit, 2, Duration::from_secs(5)).unwrap_err();
    /// assert_eq!((so_far.wanted, so_far.peers.len(), so_far.durable), (2, 1, true));
    /// ```
    ///
    /// # Errors
    /// [`NotReplicated`] when the time is up, the disk refused the write, or the document was deleted: how far it had come.
    ///
    /// # Panics
    /// If the node that wrote is down.
    pub fn run_until_replicated<R>(
        &mut self,
        commit: &Commit<R>,
        nodes: usize,
        patience: Duration,
    ) -> Result<Vec<NodeId>, NotReplicated> {
        let (node, written) = commit.place();
        let written = written.clone();
        let id = self.call(node, |engine, now| engine.wait_for_copies(now, written, nodes));
        self.run_until_ended(node, id, patience);
        let engine = self.engine(node);
        let Some(copies) = engine.copies(id) else { unreachable!("it waits until it is ended here") };
        self.call(node, |engine, _| engine.end_wait(id));
        match copies.outcome {
            Outcome::Met => Ok(self.nodes_of(&copies.holders)),
            _ => Err(copies.into()),
        }
    }

    /// Lets time pass until a node knows all of a version of a document, such as another node's [`version`](Self::version). As
    /// `Document::read_after` of a node.
    ///
    /// # Errors
    /// [`NotReached`] when the time is up, or the document was deleted: what is missing.
    ///
    /// # Panics
    /// If the node is down.
    pub fn run_until_reached<T: Crdt>(
        &mut self,
        node: NodeId,
        document: &Document<T>,
        version: &Version,
        patience: Duration,
    ) -> Result<(), NotReached> {
        let (doc, version) = (document.id(), version.clone());
        let id = self.call(node, |engine, now| engine.wait_for_version(now, doc, version));
        self.run_until_ended(node, id, patience);
        let engine = self.engine(node);
        let Some(arrival) = engine.arrival(id) else { unreachable!("it waits until it is ended here") };
        self.call(node, |engine, _| engine.end_wait(id));
        if arrival.outcome == Outcome::Met { Ok(()) } else { Err(arrival.into()) }
    }

    /// Lets time pass until as many connected nodes as wanted hold durably what a node does, and nothing more. As
    /// `Node::wait_in_sync`.
    ///
    /// # Errors
    /// [`NotInSync`] when the time is up: by how much the others are apart.
    ///
    /// # Panics
    /// If the node is down.
    pub fn run_until_in_sync(
        &mut self,
        node: NodeId,
        nodes: usize,
        patience: Duration,
    ) -> Result<InSync, NotInSync> {
        let id = self.call(node, |engine, now| engine.wait_for_sync(now, nodes));
        self.run_until_ended(node, id, patience);
        let engine = self.engine(node);
        let (is_met, levels) = (engine.outcome(id) == Some(&Outcome::Met), engine.levels());
        self.call(node, |engine, _| engine.end_wait(id));
        if is_met { Ok(InSync::of(levels)) } else { Err(NotInSync::of(nodes, levels)) }
    }

    fn run_until_ended(&mut self, node: NodeId, id: WaitId, patience: Duration) {
        let _ = self.run_until(patience, |net| {
            net.engine(node).outcome(id).is_none_or(|outcome| *outcome != Outcome::Waiting)
        });
    }

    fn nodes_of(&self, peers: &[PeerId]) -> Vec<NodeId> {
        let mut nodes: Vec<usize> = peers.iter().filter_map(|peer| self.stage.index_of(*peer)).collect();
        nodes.sort_unstable();
        nodes.into_iter().map(NodeId).collect()
    }
}
