//! All nodes, what connects them, and the time.

use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{Delta, Limits, Opaque};

use super::disk::{Disk, Job};
use super::links::{FrameWeather, GossipWeather, Gossipsub, LinkState, Links};
use super::machine::{Machine, NodeOptions};
use super::names::Names;
use super::queue::{Happening, Queue};
use super::trace::Trace;
use crate::engine::{Engine, Now, SessionId};
use crate::store::Store as _;
use crate::{DocId, PeerId};

/// When everything begins, on the wall: some day in 2026, in milliseconds since the Unix epoch.
const EPOCH: u64 = 1_790_000_000_000;

/// How often something happened that is rare.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Frames and gossip payloads that arrived.
    pub arrived: u64,
    /// Payloads that were published.
    pub published: u64,
    /// Frames in which something was pushed, each to one peer.
    pub pushed: u64,
    /// Payloads that reached nobody.
    pub swallowed: u64,
    /// Payloads of who had been restarted, which nobody heard.
    pub unheard: u64,
    /// Payloads beyond what may be published at once.
    pub burst: u64,
    /// Payloads that were lost and then taken for known.
    pub poisoned: u64,
    /// Payloads too near to the cap, or after one that was.
    pub stalled: u64,
    /// Reads that a disk refused.
    pub unreadable: u64,
}

/// Nodes with disks, links, sessions, gossip and time.
#[derive(Debug)]
pub struct Core {
    /// The time, in milliseconds.
    pub now: u64,
    /// What is going to happen.
    pub queue: Queue,
    /// Everything random comes from it.
    pub rng: ChaCha8Rng,
    /// All nodes.
    pub nodes: Vec<Machine>,
    /// Which node has which key; of two that go by one key, whose it was first.
    indices: BTreeMap<PeerId, usize>,
    /// What connects them.
    pub links: Links,
    /// Of a hundred commits, how many end with a crash just before or just after.
    pub crashing_commits: u32,
    /// More bytes than this under way in one session end it, as in the real network.
    pub session_limit: usize,
    /// What happens to frames.
    pub frames: FrameWeather,
    /// What happens to gossip.
    pub gossip: GossipWeather,
    /// Whether receivers of gossip get a payload one after the other, so that the last waits for the links of all.
    pub gossip_in_turn: bool,
    /// How gossip fails.
    pub gossipsub: Gossipsub,
    /// What happened.
    pub trace: Trace,
    /// What everything is called there.
    pub names: Names,
    /// What happened, in numbers.
    pub tally: Tally,
}

impl Core {
    /// Nobody yet, with ordered, reliable, fast links.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            now: 0,
            queue: Queue::default(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            nodes: Vec::new(),
            indices: BTreeMap::new(),
            links: Links::default(),
            crashing_commits: 0,
            session_limit: 64 << 20,
            frames: FrameWeather::default(),
            gossip: GossipWeather::default(),
            gossip_in_turn: true,
            gossipsub: Gossipsub::default(),
            trace: Trace::default(),
            names: Names::default(),
            tally: Tally::default(),
        }
    }

    /// A node more, which is down and knows nobody; yields its number.
    pub fn add(&mut self, name: String, options: NodeOptions) -> usize {
        let index = self.nodes.len();
        let node = Machine::new(index, name, options);
        self.indices.insert(node.peer, index);
        self.nodes.push(node);
        index
    }

    /// How much time has passed, in milliseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// How many nodes there are, running or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A node's key.
    #[must_use]
    pub fn peer(&self, node: usize) -> PeerId {
        self.nodes[node].peer
    }

    /// A node goes by another's key from its next start on, and as who that began, as one does that is started on a copy of a home. Neither
    /// is told. A session with one of the two replaces a session with the other.
    pub fn share_key(&mut self, node: usize, of: usize) {
        let (peer, first_replica) = (self.nodes[of].peer, self.nodes[of].first_replica);
        (self.nodes[node].peer, self.nodes[node].first_replica) = (peer, first_replica);
    }

    /// Whom a node means by a key: of two that go by it, the one with which it has a session.
    #[must_use]
    pub fn whom(&self, node: usize, peer: PeerId) -> Option<usize> {
        let met = self.nodes[node].sessions.keys().copied().find(|other| self.nodes[*other].peer == peer);
        met.or_else(|| self.index_of(peer))
    }

    /// Which node has a key; of two that go by one key, whose it was first.
    #[must_use]
    pub fn index_of(&self, peer: PeerId) -> Option<usize> {
        self.indices.get(&peer).copied()
    }

    /// What a node is called.
    #[must_use]
    pub fn name(&self, node: usize) -> &str {
        &self.nodes[node].name
    }

    /// A node's engine.
    ///
    /// # Panics
    /// If the node is down.
    #[must_use]
    pub fn engine(&self, node: usize) -> &Engine {
        self.nodes[node].engine.as_ref().expect("the node runs")
    }

    /// Whether a node's process runs.
    #[must_use]
    pub fn runs(&self, node: usize) -> bool {
        self.nodes[node].engine.is_some()
    }

    /// The nodes a node has a proved session with.
    #[must_use]
    pub fn ready(&self, node: usize) -> Vec<usize> {
        let Some(engine) = &self.nodes[node].engine else { return Vec::new() };
        let ready = engine.status().peers.into_iter().filter(|peer| peer.connected);
        ready.filter_map(|peer| self.whom(node, peer.peer)).collect()
    }

    /// A document's state in bytes, as the engine has it in memory or else on its disk.
    ///
    /// # Panics
    /// If an engine does not read what it wrote.
    #[must_use]
    pub fn encoded(&self, node: usize, doc: DocId) -> Option<Vec<u8>> {
        let engine = self.nodes[node].engine.as_ref()?;
        if engine.document_status(doc).is_none() || engine.is_in_memory(doc) {
            return engine.encoded(doc);
        }
        let stored = self.nodes[node].disk.store.document(doc).expect("a memory store is read");
        engine.encoded_of(doc, &stored.unwrap_or_default())
    }

    /// The state of a document in canonical bytes, without the name of its type.
    ///
    /// # Panics
    /// If an engine does not read what it wrote.
    #[must_use]
    pub fn canonical(&self, node: usize, doc: DocId) -> Option<Vec<u8>> {
        Self::canonical_of(&self.encoded(node, doc)?)
    }

    /// The same of what [`encoded`](Self::encoded) said.
    ///
    /// # Panics
    /// As [`canonical`](Self::canonical).
    #[must_use]
    pub fn canonical_of(encoded: &[u8]) -> Option<Vec<u8>> {
        let state = Delta::<Opaque>::decode_state(encoded, &Limits::trusted());
        state.expect("a node reads what it wrote").encode_state()
    }

    /// A node's disk.
    pub fn disk(&mut self, node: usize) -> &mut Disk {
        &mut self.nodes[node].disk
    }

    /// Notes what happened. Costs nothing if nobody wants to know.
    pub fn note(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.trace.is_kept() {
            let line = what(self);
            self.trace.note(self.now, line);
        }
    }

    /// The time as a node has it.
    #[must_use]
    pub fn now_at(&self, node: usize) -> Now {
        let node = &self.nodes[node];
        let wall_millis = (EPOCH + self.now).saturating_add_signed(node.wall_offset);
        Now { millis: self.now - node.born, wall_millis }
    }

    /// At least the first, and up to the second more.
    pub fn random(&mut self, (least, more): (u64, u64)) -> u64 {
        least + if more > 0 { self.rng.random_range(0..=more) } else { 0 }
    }

    /// Says yes so many times of a hundred.
    pub fn chance(&mut self, percent: u32) -> bool {
        percent > 0 && self.rng.random_range(0..100) < percent
    }

    /// Plans something, so many milliseconds from now.
    pub(super) fn plan(&mut self, after: u64, what: Happening) {
        self.queue.push(self.now + after, what);
    }

    /// How long a node's disk takes for a commit, in milliseconds: at least `least`, and up to `more` more.
    pub fn set_disk_latency(&mut self, node: usize, least: u64, more: u64) {
        self.nodes[node].disk.latency = (least, more);
    }

    /// How long a link takes, in milliseconds: at least `least`, and up to `more` more.
    pub fn set_latency(&mut self, a: usize, b: usize, least: u64, more: u64) {
        self.links.change(a, b, |link| link.latency = (least, more));
    }

    /// A link takes no longer than so many milliseconds.
    pub fn shorten(&mut self, a: usize, b: usize, most: u64) {
        self.links.change(a, b, |link| link.latency = (link.latency.0.min(most), link.latency.1.min(most)));
    }

    /// How many bytes a link carries in a millisecond.
    pub fn set_bandwidth(&mut self, a: usize, b: usize, bytes: u64) {
        self.links.change(a, b, |link| link.bandwidth = bytes);
    }

    /// Whether others get through to where a node listens; it still gets through to them.
    pub fn set_accepts(&mut self, node: usize, accepts: bool) {
        self.nodes[node].accepts = accepts;
    }

    /// Sets a node's wall clock, in milliseconds ahead of the right time.
    pub fn set_wall_offset(&mut self, node: usize, millis: i64) {
        self.nodes[node].wall_offset = millis;
    }

    /// Has a link go down and up again so many times, each state for `millis`.
    pub fn flap(&mut self, a: usize, b: usize, times: u64, millis: u64) {
        for time in 0..times {
            let after = 2 * time * millis;
            self.plan(after, Happening::Link { a, b, state: LinkState::Cut });
            self.plan(after + millis, Happening::Link { a, b, state: LinkState::Up });
        }
    }

    /// No link flaps any more.
    pub fn stop_flapping(&mut self) {
        self.queue.forget_links();
    }

    pub(super) fn sessions_between(&self, a: usize, b: usize) -> Vec<SessionId> {
        let both = |ends: [usize; 2]| ends == [a, b] || ends == [b, a];
        let between = self.links.sessions.iter().filter(|(_, session)| both(session.ends));
        between.map(|(id, _)| *id).collect()
    }

    pub(super) fn submit(&mut self, node: usize, job: Job) {
        self.nodes[node].disk.queue.push_back(job);
        self.start_disk(node);
    }

    pub(super) fn start_disk(&mut self, node: usize) {
        let disk = &self.nodes[node].disk;
        if disk.busy || disk.queue.is_empty() {
            return;
        }
        let latency = self.random(self.nodes[node].disk.latency);
        self.nodes[node].disk.busy = true;
        let life = self.nodes[node].life;
        self.plan(latency, Happening::Disk { node, life });
    }
}
