//! What a test says to the network: sentences of a story.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt as _;
use tombolo_crdt::{Crdt, Replica, ReplicaId, Version};
use tombolo_sync::engine::wire::Frame;
use tombolo_sync::engine::{BatchId, Engine, Input, LEFT_RECORD, OpenError, REPLICA_RECORD, UpdateError};
use tombolo_sync::store::{MemoryStore, Store as _, Write};
use tombolo_sync::testing::machinery::Drive;
use tombolo_sync::{DocId, PeerId};

use super::kind::{Kind, Op, Reading};
use super::outcome::Branch;
use super::world::{Sent, World};

impl World {
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

    /// Whether all nodes that run, but for those on the edge, hold the same, everything is durable, and each knows it.
    #[must_use]
    pub fn agrees(&self) -> bool {
        let core = || {
            let nodes = self.nodes.iter().enumerate().filter(|(node, _)| !self.edge.contains(node));
            nodes.filter_map(|(_, node)| node.engine.as_ref())
        };
        let mut engines = core();
        let Some(first) = engines.next() else { return true };
        let digest = first.digest();
        // Digests first: they cost nothing.
        if !engines.all(|engine| engine.digest() == digest) {
            return false;
        }
        if !self.edge.is_empty() {
            // Some may have blocked each other; all know somebody who has what they have.
            return core()
                .all(|one| core().any(|other| one.is_in_sync_with(other.peer())) || core().nth(1).is_none());
        }
        core().all(|engine| {
            let in_sync = engine.in_sync();
            in_sync == Some(true) || (in_sync.is_none() && core().nth(1).is_none())
        })
    }

    /// As [`agrees`](Self::agrees) where two go by one key: of these each other node hears but one at a time, and now the one and now the other.
    #[must_use]
    pub fn agrees_with_twins(&self) -> bool {
        let running = || self.nodes.iter().filter_map(|node| node.engine.as_ref());
        let is_twin = |peer: PeerId| self.nodes.iter().filter(|node| node.peer == peer).nth(1).is_some();
        self.is_level()
            && running().all(|engine| {
                let mut others = engine.status().peers.into_iter().filter(|peer| peer.connected);
                others.all(|peer| peer.in_sync || is_twin(peer.peer) || is_twin(engine.peer()))
            })
    }

    /// Whether all nodes that run hold the same, durably, and show what they have.
    pub(super) fn is_level(&self) -> bool {
        let running = || self.nodes.iter().filter_map(|node| node.engine.as_ref());
        let Some(digest) = running().next().map(Engine::digest) else { return true };
        let is_durable = |engine: &Engine| {
            let mut all = engine.held_documents().filter_map(|doc| engine.document_status(doc));
            all.all(|status| status.version == status.durable)
        };
        running().all(|engine| engine.digest() == digest && !engine.is_apart()) && running().all(is_durable)
    }

    /// Who goes by a key that another goes by as well.
    pub(super) fn twins(&self) -> Vec<usize> {
        let of = |peer: PeerId| self.nodes.iter().filter(move |node| node.peer == peer).count();
        (0..self.len()).filter(|node| of(self.peer(*node)) > 1).collect()
    }

    /// As [`agrees`](Self::agrees), of all but one.
    pub(super) fn agrees_but(&self, away: usize) -> bool {
        let nodes = || self.nodes.iter().enumerate().filter(|(node, _)| *node != away);
        let engines = || nodes().filter_map(|(_, node)| node.engine.as_ref());
        let Some(digest) = engines().next().map(Engine::digest) else { return true };
        engines().all(|engine| {
            let in_sync = engine.in_sync();
            engine.digest() == digest && (in_sync == Some(true) || engines().nth(1).is_none())
        })
    }

    /// Whether all nodes that run and want a document hold the same of it, everything is durable, and each knows it; and who does not
    /// want it holds it only if nobody else does.
    #[must_use]
    pub fn agrees_in_parts(&self) -> bool {
        let engines = || self.nodes.iter().filter_map(|node| node.engine.as_ref());
        let Some(first) = engines().next() else { return true };
        let directory = version(first, DocId::DIRECTORY);
        let all_know_it = engines().all(|engine| {
            let in_sync = engine.in_sync();
            version(engine, DocId::DIRECTORY) == directory
                && (in_sync == Some(true) || (in_sync.is_none() && engines().nth(1).is_none()))
        });
        all_know_it
            && first.list().into_iter().all(|listed| {
                let wants = |engine: &&Engine| engine.subscription().includes(&listed.name);
                let mut versions = engines().filter(wants).map(|engine| version(engine, listed.id));
                let first = versions.next();
                let is_kept = engines().any(|engine| engine.kept_documents().contains(&listed.id));
                versions.all(|version| Some(&version) == first.as_ref()) && (first.is_none() || !is_kept)
            })
    }

    /// How many bytes the documents take that some nodes hold, those that run: each as the one has it with whom it is largest. Something large
    /// that was taken back a moment ago may be with one of them still.
    pub(super) fn held_bytes(&self, nodes: impl Iterator<Item = usize>) -> u64 {
        let mut largest = BTreeMap::new();
        for node in nodes.filter(|node| self.runs(*node)) {
            for doc in self.engine(node).held_documents() {
                let bytes = self.encoded(node, doc).map_or(0, |all| all.len() as u64);
                let known = largest.entry(doc).or_insert(0);
                *known = bytes.max(*known);
            }
        }
        largest.values().sum()
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
        let opened = Drive::open_with(self, node, |engine, now| engine.open::<T>(now, name, true));
        let opened = opened.expect("the node runs");
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
        let author = self.author(node);
        let (opened, before, after) = self.call(node, |engine, now| {
            let before = version(engine, DocId::DIRECTORY);
            let opened = kind.open(engine, now, name, create).ok().flatten();
            (opened, before, version(engine, DocId::DIRECTORY))
        })?;
        self.note_directory(author, before, after, Op::Insert("", listed(kind, name)));
        if let Some(doc) = opened {
            self.perhaps_show(node, kind, doc);
        }
        opened
    }

    /// Deletes a document of a kind, and notes in the ledger what came of it.
    pub fn delete_kind(&mut self, node: usize, kind: Kind, name: &str) {
        let author = self.author(node);
        let called = self.call(node, |engine, now| {
            let before = version(engine, DocId::DIRECTORY);
            engine.delete(now, name, &kind.type_name());
            (before, version(engine, DocId::DIRECTORY))
        });
        if let Some((before, after)) = called {
            self.note_directory(author, before, after, Op::Remove("", listed(kind, name)));
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
        let author = self.author(node);
        let now = self.now_at(node);
        let Some(engine) = self.nodes[node].engine.as_mut() else { return false };
        let (before, directory) = (version(engine, doc), version(engine, DocId::DIRECTORY));
        let last = ops.last().cloned();
        let taken = kind.write(engine, now, doc, &ops, fails).is_ok();
        let shows = if taken { last.and_then(|op| kind.shows(engine, doc, &op)) } else { None };
        let after = version(engine, doc).get(author.0);
        if after > before.get(author.0) {
            let stamp = kind.stamp(engine, doc);
            self.note(|_| format!("n{node} writes {doc:?} to {:?} {after}: {ops:?}", author.0));
            self.ledger.note(doc, author, before, after, ops, stamp);
            if self.released.contains(&node) {
                self.ledger.release(author.0);
            }
            self.stats.writes += 1;
        }
        if shows == Some(false) {
            self.violated(format!("n{node} does not show in {doc:?} what it has just written"));
        }
        // A document whose creation was undone is created again with the next write to it.
        let directory_after = version(self.engine(node), DocId::DIRECTORY);
        self.note_directory(author, directory, directory_after, Op::Insert("", listed(kind, name)));
        self.call(node, |_, _| {});
        taken
    }

    /// A node has left, or was released: what it writes until all hear of it again may come after what it knows nothing of was forgotten.
    pub(super) fn not_waited_for(&mut self, node: usize) {
        if let Some(released) = self.nodes.get(node) {
            self.ledger.release(released.replica);
            self.released.insert(node);
        }
    }

    /// As who a node writes, and as which continuation of a store.
    fn author(&self, node: usize) -> (ReplicaId, u64) {
        (self.nodes[node].replica, self.watched[node].branch)
    }

    fn note_directory(&mut self, author: (ReplicaId, u64), before: Version, after: Version, op: Op) {
        let last = after.get(author.0);
        if last > before.get(author.0) {
            self.note(|_| format!("{:?} {last} of the directory: {op:?}", author.0));
            self.ledger.note(DocId::DIRECTORY, author, before, last, vec![op], None);
        }
    }

    /// What a document of a kind says at a node; `None` if it is not open there.
    #[must_use]
    pub fn read_kind(&self, node: usize, kind: Kind, doc: DocId) -> Option<Reading> {
        kind.read(self.nodes[node].engine.as_ref()?, doc)
    }

    /// A node will be set back.
    pub fn expect_set_back(&mut self) {
        self.may_be_overtaken = true;
        self.may_diverge = true;
    }

    /// What nodes say of who wrote what may be damaged on its way, so that somebody takes itself for set back.
    pub fn expect_damage(&mut self) {
        self.may_be_overtaken = true;
    }

    /// Ends a node and starts it on an older image of its disk, as if the whole machine was set back: nothing there tells so.
    pub fn set_back(&mut self, node: usize, image: MemoryStore) {
        self.expect_set_back();
        self.crash(node, true, 0);
        self.disk(node).replace(image);
        self.watched[node].promised.clear();
        self.start(node);
    }

    /// As [`set_back`](Self::set_back), to what a continuation `of` a store held, and the ledger follows: what nobody else has and the image does not may be lost.
    pub fn roll_back(&mut self, node: usize, of: u64, image: MemoryStore) {
        self.note(|_| format!("n{node} is set back"));
        self.stats.count(Branch::SetBack);
        self.crash(node, true, 0);
        self.disk(node).replace(image.image());
        self.begin_branch(node, of);
        self.doubt(&[]);
        self.set_back(node, image);
    }

    /// What no node has, but for some who do not count, may be lost.
    pub(super) fn doubt(&mut self, but: &[usize]) {
        let written: Vec<(DocId, ReplicaId)> = self.ledger.written().collect();
        for (doc, replica) in written {
            let nodes = self.nodes.iter().enumerate().filter(|(node, _)| !but.contains(node));
            let known = nodes.map(|(_, node)| {
                // What others have in memory only may be undone; what the author has is told by itself.
                let author = node.engine.as_ref().filter(|engine| engine.replica() == replica);
                let running = author.map_or(0, |engine| version(engine, doc).get(replica));
                // What was renamed the disk has no more as what it was.
                let on_disk = node.disk.version(doc).get(replica);
                let held = node
                    .engine
                    .as_ref()
                    .map_or(on_disk, |engine| on_disk.min(version(engine, doc).get(replica)));
                running.max(held)
            });
            let kept = known.max().unwrap_or(0);
            self.ledger.doubt(doc, replica, kept);
            self.checks.forget(doc, replica, kept);
        }
    }

    /// All agree: what is doubtful and not among it is lost.
    pub fn settle_ledger(&mut self, node: usize) {
        let docs: BTreeSet<DocId> = self.ledger.written().map(|(doc, _)| doc).collect();
        for doc in docs {
            let version = version(self.engine(node), doc);
            self.ledger.settle(doc, &version);
        }
    }

    /// Starts a node that is down on a copy of another's disk, as another store: what is done where a copy is found out at home.
    pub fn start_copy(&mut self, node: usize, of: usize) {
        self.note(|_| format!("n{node} starts on a copy of the disk of n{of}"));
        self.stats.count(Branch::Copied);
        self.expect_set_back();
        let mut image = self.nodes[of].disk.store.image();
        let id: [u8; 16] = self.rng.random();
        image
            .commit(&[Write::Put { key: REPLICA_RECORD.to_owned(), value: id.to_vec() }])
            .expect("it has room");
        self.disk(node).replace(image);
        self.watched[node].promised.clear();
        self.begin_branch(node, self.branch(of));
        self.start(node);
    }

    /// Starts a node that is down on a copy of another's disk, under the same key, while the other may run: what nothing tells that is done on
    /// another machine.
    pub fn start_twin(&mut self, node: usize, of: usize) {
        self.note(|_| format!("n{node} starts as n{of}, on a copy of its disk"));
        self.stats.count(Branch::Doubled);
        self.expect_set_back();
        let image = self.nodes[of].disk.store.image();
        self.disk(node).replace(image);
        self.share_key(node, of);
        self.watched[node].promised.clear();
        self.begin_branch(node, self.branch(of));
        self.start(node);
    }

    /// Has a node that is down belong to the space again when it is started, as with a ticket.
    ///
    /// # Panics
    /// If its disk is full or refuses.
    pub fn join_again(&mut self, node: usize) {
        self.note(|_| format!("n{node} joins again"));
        let joins = [Write::Delete { key: LEFT_RECORD.to_owned() }];
        self.disk(node).store.commit(&joins).expect("it has room");
    }

    /// Which continuation of a store a node is.
    #[must_use]
    pub fn branch(&self, node: usize) -> u64 {
        self.watched[node].branch
    }

    /// A node goes on with what its disk holds, as that continuation of a store had it.
    fn begin_branch(&mut self, node: usize, of: u64) {
        self.branches += 1;
        self.watched[node].branch = self.branches;
        let disk = &self.nodes[node].disk;
        let docs = disk.store.documents().expect("a memory store is read");
        let with = docs.into_iter().map(|doc| (doc, disk.version(doc))).collect();
        self.ledger.begin_branch(self.branches, of, with);
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
        self.tally.published
    }

    /// In how many messages something was pushed so far: payloads, and frames of which each goes to one peer.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        self.tally.published + self.tally.pushed
    }

    /// Has bytes arrive at a node as if another had sent them in their session.
    pub fn forge(&mut self, from: usize, to: usize, frame: Vec<u8>) {
        self.expect_set_back();
        self.arrives(from, to, frame);
    }

    pub(super) fn arrives(&mut self, from: usize, to: usize, frame: Vec<u8>) {
        let Some(&session) = self.nodes[to].sessions.get(&from) else { return };
        let peer: PeerId = self.nodes[from].peer;
        self.call(to, |engine, now| engine.handle(now, Input::Frame { peer, session, frame }));
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
