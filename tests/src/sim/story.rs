//! What a test says to the network: sentences of a story.

use tombolo_crdt::{Crdt, Replica, ReplicaId, Version};
use tombolo_sync::engine::wire::Frame;
use tombolo_sync::engine::{BatchId, Input, OpenError, SessionId, UpdateError};
use tombolo_sync::store::MemoryStore;
use tombolo_sync::{DocId, PeerId};

use super::disk::Disk;
use super::kind::{Kind, Op, Reading};
use super::network::LinkState;
use super::queue::Happening;
use super::world::{Sent, World};

impl World {
    /// Tells a node where another can be reached.
    pub fn introduce(&mut self, node: usize, known: usize) {
        let (peer, address) = (Some(self.nodes[known].peer), self.nodes[known].address.clone());
        self.input(node, Input::Discovered { peer, addresses: vec![address] });
    }

    /// Has a node know another from the start, also after restarts.
    pub fn befriend(&mut self, node: usize, known: usize) {
        self.nodes[node].bootstrap.push(known);
        if self.runs(node) {
            self.introduce(node, known);
        }
    }

    /// Introduces every node to every other, and waits until all are connected and agree.
    ///
    /// # Panics
    /// If that takes more than ten seconds.
    pub fn connect_all(&mut self) {
        for node in 0..self.len() {
            for known in 0..node {
                self.befriend(node, known);
            }
        }
        let connected =
            |world: &Self| (0..world.len()).all(|node| world.ready(node).len() + 1 == world.len());
        let waited = self.run_until(10_000, |world| connected(world) && world.agrees());
        assert!(waited.is_some(), "connecting takes too long: {:?}", self.violation);
    }

    /// The nodes a node has a proved session with.
    #[must_use]
    pub fn ready(&self, node: usize) -> Vec<usize> {
        let Some(engine) = &self.nodes[node].engine else { return Vec::new() };
        let ready = engine.status().peers.into_iter().filter(|peer| peer.connected);
        ready.filter_map(|peer| self.index_of(peer.peer)).collect()
    }

    /// Whether all nodes that run hold the same, everything is durable, and each knows it.
    #[must_use]
    pub fn agrees(&self) -> bool {
        let mut engines = self.nodes.iter().filter_map(|node| node.engine.as_ref());
        let Some(first) = engines.next() else { return true };
        let digest = first.digest();
        // Digests first: they cost nothing.
        engines.all(|engine| engine.digest() == digest)
            && self.nodes.iter().filter_map(|node| node.engine.as_ref()).all(|engine| {
                let alone = self.nodes.iter().filter(|node| node.engine.is_some()).count() == 1;
                let in_sync = engine.status().in_sync;
                in_sync == Some(true) || (alone && in_sync.is_none())
            })
    }

    /// Waits until all agree; yields how long it took.
    ///
    /// # Panics
    /// If it takes longer than `patience` milliseconds, or a rule is broken.
    pub fn run_until_agreed(&mut self, patience: u64) -> u64 {
        let waited = self.run_until(patience, Self::agrees);
        match waited {
            Some(waited) => waited,
            None => panic!("no agreement within {patience} ms: {:?}", self.violation),
        }
    }

    /// Opens a document, creating it if need be.
    ///
    /// # Errors
    /// As the engine.
    ///
    /// # Panics
    /// If the node is down.
    pub fn try_open<T: Crdt>(&mut self, node: usize, name: &str) -> Result<DocId, OpenError> {
        let opened = self.call(node, |engine, now| engine.open::<T>(now, name, true)).expect("the node runs");
        opened.map(|doc| doc.expect("a document that may be created is there"))
    }

    /// Opens a document, creating it if need be.
    ///
    /// # Panics
    /// If the engine refuses.
    pub fn open<T: Crdt>(&mut self, node: usize, name: &str) -> DocId {
        self.try_open::<T>(node, name).expect("the document opens")
    }

    /// One transaction.
    ///
    /// # Errors
    /// As the engine.
    ///
    /// # Panics
    /// If the node is down.
    pub fn try_update<T: Crdt, R>(
        &mut self,
        node: usize,
        doc: DocId,
        write: impl for<'a> FnOnce(&mut T::Mut<'a>) -> R,
    ) -> Result<(R, BatchId), UpdateError<std::convert::Infallible>> {
        self.stats.writes += 1;
        self.call(node, |engine, now| engine.update::<T, R, _>(now, doc, |value| Ok(write(value))))
            .expect("the node runs")
    }

    /// One transaction.
    ///
    /// # Panics
    /// If the engine refuses.
    pub fn update<T: Crdt, R>(
        &mut self,
        node: usize,
        doc: DocId,
        write: impl for<'a> FnOnce(&mut T::Mut<'a>) -> R,
    ) -> BatchId {
        self.try_update::<T, R>(node, doc, write).expect("the update is taken").1
    }

    /// Reads a document at a node that has opened it.
    ///
    /// # Panics
    /// If it has not.
    #[must_use]
    pub fn read<T: Crdt, R>(&self, node: usize, doc: DocId, read: impl FnOnce(&Replica<T>) -> R) -> R {
        read(self.engine(node).document::<T>(doc).expect("the document is open"))
    }

    /// Opens a document of a kind, and notes in the ledger what came of it.
    pub fn open_kind(&mut self, node: usize, kind: Kind, name: &str, create: bool) -> Option<DocId> {
        let replica = self.nodes[node].replica;
        let (opened, before, after) = self.call(node, |engine, now| {
            let before = version(engine, DocId::DIRECTORY);
            let opened = kind.open(engine, now, name, create).ok().flatten();
            (opened, before, version(engine, DocId::DIRECTORY))
        })?;
        self.note_directory(replica, before, after, Op::Insert("", listed(kind, name)));
        opened
    }

    /// Deletes a document of a kind, and notes in the ledger what came of it.
    pub fn delete_kind(&mut self, node: usize, kind: Kind, name: &str) {
        let replica = self.nodes[node].replica;
        let called = self.call(node, |engine, now| {
            let before = version(engine, DocId::DIRECTORY);
            engine.delete(now, name, &kind.type_name());
            (before, version(engine, DocId::DIRECTORY))
        });
        if let Some((before, after)) = called {
            self.note_directory(replica, before, after, Op::Remove("", listed(kind, name)));
        }
    }

    /// One transaction on a document of a kind, noted in the ledger. Says whether the engine took it.
    pub fn write_kind(
        &mut self,
        node: usize,
        (kind, name): (Kind, &str),
        doc: DocId,
        ops: Vec<Op>,
        fails: bool,
    ) -> bool {
        let replica = self.nodes[node].replica;
        let now = self.now_at(node);
        let Some(engine) = self.nodes[node].engine.as_mut() else { return false };
        let (before, directory) = (version(engine, doc), version(engine, DocId::DIRECTORY));
        let taken = kind.write(engine, now, doc, &ops, fails).is_ok();
        let after = version(engine, doc).get(replica);
        if after > before.get(replica) {
            let stamp = kind.stamp(engine, doc);
            self.ledger.note(doc, replica, before, after, ops, stamp);
            self.stats.writes += 1;
        }
        // A document whose creation was undone is created again with the next write to it.
        let directory_after = version(self.engine(node), DocId::DIRECTORY);
        self.note_directory(replica, directory, directory_after, Op::Insert("", listed(kind, name)));
        self.call(node, |_, _| {});
        taken
    }

    fn note_directory(&mut self, replica: ReplicaId, before: Version, after: Version, op: Op) {
        if after.get(replica) > before.get(replica) {
            self.ledger.note(DocId::DIRECTORY, replica, before, after.get(replica), vec![op], None);
        }
    }

    /// What a document of a kind says at a node; `None` if it is not open there.
    #[must_use]
    pub fn read_kind(&self, node: usize, kind: Kind, doc: DocId) -> Option<Reading> {
        kind.read(self.nodes[node].engine.as_ref()?, doc)
    }

    /// A node's disk.
    pub fn disk(&mut self, node: usize) -> &mut Disk {
        &mut self.nodes[node].disk
    }

    /// A node will be set back.
    pub fn expect_set_back(&mut self) {
        self.may_be_overtaken = true;
    }

    /// Ends a node and starts it on an older image of its disk, as if the whole machine was set back: nothing there tells so.
    pub fn set_back(&mut self, node: usize, image: MemoryStore) {
        self.may_be_overtaken = true;
        self.crash(node, true, 0);
        self.nodes[node].disk.replace(image);
        self.nodes[node].promised.clear();
        self.start(node);
    }

    /// How long a node's disk takes for a commit, in milliseconds: at least `least`, and up to `more` more.
    pub fn set_disk_latency(&mut self, node: usize, least: u64, more: u64) {
        self.nodes[node].disk.latency = (least, more);
    }

    /// Changes a link. Cutting it ends the sessions on it, and both ends are told.
    pub fn set_link(&mut self, a: usize, b: usize, state: LinkState) {
        if a == b {
            return;
        }
        self.trace.note(self.now, format_args!("link n{a} n{b} is {state:?}"));
        let old = std::mem::replace(&mut self.network.link_mut(a, b).state, state);
        let both = |ends: [usize; 2]| ends == [a, b] || ends == [b, a];
        let on_it = self.network.sessions.iter().filter(|(_, session)| both(session.ends));
        let ids: Vec<SessionId> = on_it.map(|(id, _)| *id).collect();
        for id in ids {
            if state == LinkState::Cut {
                let late = self.random((0, 20));
                for end in 0..2 {
                    self.queue.push(self.now + late, Happening::Down { session: id, end });
                }
            } else if old == LinkState::Silent && state == LinkState::Up {
                let stalled = match self.network.sessions.get_mut(&id) {
                    Some(session) => std::mem::take(&mut session.stalled),
                    None => continue,
                };
                for (end, frame) in stalled {
                    let (from, to) = if self.ends(id)[1] == b { (a, b) } else { (b, a) };
                    let (from, to) = if end == 1 { (from, to) } else { (to, from) };
                    self.carry(id, from, to, frame);
                }
            }
        }
    }

    fn ends(&self, id: SessionId) -> [usize; 2] {
        self.network.sessions.get(&id).map_or([0, 0], |session| session.ends)
    }

    /// How long a link takes, in milliseconds: at least `least`, and up to `more` more.
    pub fn set_latency(&mut self, a: usize, b: usize, least: u64, more: u64) {
        self.network.link_mut(a, b).latency = (least, more);
    }

    /// How many bytes a link carries in a millisecond.
    pub fn set_bandwidth(&mut self, a: usize, b: usize, bytes: u64) {
        self.network.link_mut(a, b).bandwidth = bytes;
    }

    /// Whether others get through to where a node listens; it still gets through to them.
    pub fn set_accepts(&mut self, node: usize, accepts: bool) {
        self.nodes[node].accepts = accepts;
    }

    /// Sets a node's wall clock, in milliseconds ahead of the right time.
    pub fn set_wall_offset(&mut self, node: usize, millis: i64) {
        self.nodes[node].wall_offset = millis;
    }

    /// Keeps all frames sent from now on.
    pub fn record(&mut self) {
        self.sent = Some(Vec::new());
    }

    /// The frames sent since [`record`](Self::record).
    #[must_use]
    pub fn sent(&self) -> &[Sent] {
        self.sent.as_deref().unwrap_or_default()
    }

    /// How many gossip payloads were published so far.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published
    }

    /// Has bytes arrive at a node as if another had sent them in their session.
    pub fn forge(&mut self, from: usize, to: usize, frame: Vec<u8>) {
        self.may_be_overtaken = true;
        let Some(&session) = self.nodes[to].sessions.get(&from) else { return };
        let peer: PeerId = self.nodes[from].peer;
        self.input(to, Input::Frame { peer, session, frame });
    }

    /// Has a frame arrive at a node as if another had sent it in their session.
    pub fn forge_frame(&mut self, from: usize, to: usize, frame: &Frame) {
        self.forge(from, to, frame.encode());
    }
}

fn version(engine: &tombolo_sync::engine::Engine, doc: DocId) -> Version {
    engine.document_status(doc).map(|status| status.version).unwrap_or_default()
}

/// How the ledger calls a document in the directory.
pub(super) fn listed(kind: Kind, name: &str) -> String {
    format!("{name}|{}", kind.type_name())
}
