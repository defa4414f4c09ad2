//! All nodes, what connects them, and the time.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombolo_sync::engine::wire::Frame;
use tombolo_sync::engine::{Engine, Input, Now};
use tombolo_sync::{DocId, PeerId};

use super::check::Checks;
use super::ledger::Ledger;
use super::network::{FrameWeather, GossipWeather, Gossipsub, Network};
use super::node::{Node, NodeOptions};
use super::outcome::Stats;
use super::queue::{Happening, Queue};
use super::trace::Trace;

/// When the simulation begins, on the wall: some day in 2026, in milliseconds since the Unix epoch.
const EPOCH: u64 = 1_790_000_000_000;
/// More ticks than this without time passing are a node that spins.
const SPINNING: u32 = 100;

/// A mistake made on purpose, to see that the simulation notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// The driver says that a batch is durable as soon as it has it.
    EarlyDurability,
    /// The disk says that a batch is durable, and forgets it.
    LyingDisk,
    /// The driver goes on with what was built on a batch that failed.
    IgnoredGenerations,
    /// The network never carries content: repair does not work, and gossip is all there is.
    NoContent,
    /// Content does not arrive, and who should have it says that it has: a version is adopted early.
    EarlyVersion,
    /// What somebody adds is taken out again at once, which nobody asked for.
    ForgedRemoval,
}

/// A frame that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When, in milliseconds since the simulation began.
    pub at: u64,
    /// By whom.
    pub from: usize,
    /// To whom.
    pub to: usize,
    /// What.
    pub frame: Frame,
    /// How long it is.
    pub bytes: usize,
}

/// A simulated network.
pub struct World {
    pub(super) now: u64,
    pub(super) queue: Queue,
    pub(super) rng: ChaCha8Rng,
    pub(super) nodes: Vec<Node>,
    /// Which node has which key.
    indices: BTreeMap<PeerId, usize>,
    pub(super) network: Network,
    pub(super) checks: Checks,
    pub(super) violation: Option<String>,
    pub(super) sent: Option<Vec<Sent>>,
    pub(super) published: u64,
    /// The last continuation of a store that was given a number.
    pub(super) branches: u64,
    /// Of a hundred commits, how many end with a crash just before or just after.
    pub(super) crashing_commits: u32,
    /// More bytes than this under way in one session end it, as in the real network.
    pub session_limit: usize,
    /// What happens to frames.
    pub frames: FrameWeather,
    /// Of a thousand frames that carry content or greetings, in how many some bytes are other than they were sent.
    pub corrupt: u32,
    /// Whether frames of all other kinds are damaged as well.
    pub tampered: bool,
    /// What happens to gossip.
    pub gossip: GossipWeather,
    /// How gossip fails.
    pub gossipsub: Gossipsub,
    /// Bytes of frames that were sent between nodes that are not on the edge.
    pub(super) core_bytes: u64,
    /// Nodes whose traffic does not count, and who are not waited for.
    pub(super) edge: BTreeSet<usize>,
    /// What was written, and what must be there in the end.
    pub ledger: Ledger,
    /// What happened.
    pub trace: Trace,
    /// Who was told that a peer knows more of what it wrote than it does, and whether it had written since.
    pub overtaken: Vec<(usize, bool)>,
    /// Which two nodes hold something else of a document, in the same version, as the first has said.
    pub diverged: Vec<(usize, usize, DocId)>,
    /// Whether any disk was set back, or anybody lies.
    pub(super) may_be_overtaken: bool,
    /// What happened, in numbers.
    pub stats: Stats,
    pub(super) sabotage: Option<Sabotage>,
    /// Whether all that is written is in the ledger, so that it can be asked who had seen what.
    pub(super) follows_writes: bool,
    /// Whether a broken rule is a panic.
    pub(super) is_strict: bool,
}

impl World {
    /// A network of `count` nodes that run, know nobody, and have ordered, reliable, fast links.
    #[must_use]
    pub fn new(count: usize, seed: u64) -> Self {
        Self::with_options((0..count).map(|_| NodeOptions::default()), seed)
    }

    /// The same, with nodes that differ.
    #[must_use]
    pub fn with_options(nodes: impl IntoIterator<Item = NodeOptions>, seed: u64) -> Self {
        let nodes = nodes.into_iter().enumerate().map(|(index, options)| Node::new(index, options));
        let nodes: Vec<Node> = nodes.collect();
        let mut world = Self {
            now: 0,
            indices: nodes.iter().enumerate().map(|(index, node)| (node.peer, index)).collect(),
            queue: Queue::default(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            nodes,
            network: Network::default(),
            checks: Checks::default(),
            violation: None,
            sent: None,
            published: 0,
            branches: u64::from(u32::MAX),
            crashing_commits: 0,
            session_limit: 64 << 20,
            frames: FrameWeather::default(),
            corrupt: 0,
            tampered: false,
            gossip: GossipWeather::default(),
            gossipsub: Gossipsub::default(),
            core_bytes: 0,
            edge: BTreeSet::new(),
            ledger: Ledger::default(),
            trace: Trace::default(),
            overtaken: Vec::new(),
            diverged: Vec::new(),
            may_be_overtaken: false,
            stats: Stats::default(),
            sabotage: None,
            follows_writes: false,
            is_strict: true,
        };
        for node in 0..world.nodes.len() {
            world.start(node);
        }
        world
    }

    /// Keeps the first broken rule instead of panicking.
    pub fn collect_violations(&mut self) {
        self.is_strict = false;
    }

    /// Makes a mistake on purpose from now on.
    pub fn sabotage(&mut self, sabotage: Option<Sabotage>) {
        self.sabotage = sabotage;
        for node in &mut self.nodes {
            node.disk.lies = sabotage == Some(Sabotage::LyingDisk);
            node.disk.ignores_generations = sabotage == Some(Sabotage::IgnoredGenerations);
        }
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

    /// The rule that was broken first.
    #[must_use]
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// A node's key.
    #[must_use]
    pub fn peer(&self, node: usize) -> PeerId {
        self.nodes[node].peer
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

    /// These need not agree with anybody.
    pub fn put_on_edge(&mut self, nodes: &[usize]) {
        self.edge.extend(nodes);
    }

    /// Whether two stores have found that each has shown others what it wrote under one id, or hold something else in one version.
    #[must_use]
    pub fn has_parted(&self) -> bool {
        self.overtaken.iter().any(|(_, forked)| *forked) || !self.diverged.is_empty()
    }

    /// Whether a node need not agree with anybody.
    #[must_use]
    pub fn is_on_edge(&self, node: usize) -> bool {
        self.edge.contains(&node)
    }

    pub(super) fn index_of(&self, peer: PeerId) -> Option<usize> {
        self.indices.get(&peer).copied()
    }

    pub(super) fn violated(&mut self, what: String) {
        if self.violation.is_none() {
            self.trace.note(self.now, format_args!("VIOLATION {what}"));
            self.violation = Some(format!("at {} ms: {what}", self.now));
            assert!(!self.is_strict, "at {} ms: {what}", self.now);
        }
    }

    /// The time as a node has it.
    pub(super) fn now_at(&self, node: usize) -> Now {
        let node = &self.nodes[node];
        let wall_millis = (EPOCH + self.now).saturating_add_signed(node.wall_offset);
        Now { millis: self.now - node.born, wall_millis }
    }

    pub(super) fn random(&mut self, (least, more): (u64, u64)) -> u64 {
        least + if more > 0 { self.rng.random_range(0..=more) } else { 0 }
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        percent > 0 && self.rng.random_range(0..100) < percent
    }

    /// Calls an engine from outside, as an application does; `None` if the node is down.
    pub fn call<R>(&mut self, node: usize, f: impl FnOnce(&mut Engine, Now) -> R) -> Option<R> {
        let now = self.now_at(node);
        let value = f(self.nodes[node].engine.as_mut()?, now);
        self.settle(node);
        Some(value)
    }

    pub(super) fn input(&mut self, node: usize, input: Input) {
        self.call(node, |engine, now| engine.handle(now, input));
    }

    /// Does everything an engine wants done, and plans its next tick.
    fn settle(&mut self, node: usize) {
        while let Some(effect) = self.nodes[node].engine.as_mut().and_then(Engine::next_effect) {
            self.perform(node, effect);
        }
        self.nodes[node].replica =
            self.nodes[node].engine.as_ref().map_or(self.nodes[node].replica, Engine::replica);
        let Some(engine) = &self.nodes[node].engine else { return };
        let at = (engine.next_tick() + self.nodes[node].born).max(self.now);
        if self.nodes[node].tick_at.is_none_or(|planned| at < planned || planned < self.now) {
            self.nodes[node].tick_at = Some(at);
            let life = self.nodes[node].life;
            self.queue.push(at, Happening::Tick { node, life });
        }
        self.check_after(node);
    }

    /// Lets time pass, `millis` of it, and everything happen that does.
    pub fn run_for(&mut self, millis: u64) {
        let until = self.now + millis;
        while self.violation.is_none() && self.step(until) {}
        self.now = until;
        self.stats.virtual_millis = self.now;
    }

    /// Lets time pass until `done`, at most `patience` milliseconds; yields how long it took, `None` if it did not
    /// happen.
    pub fn run_until(&mut self, patience: u64, mut done: impl FnMut(&Self) -> bool) -> Option<u64> {
        let (start, end) = (self.now, self.now + patience);
        loop {
            if done(self) {
                self.stats.virtual_millis = self.now;
                return Some(self.now - start);
            }
            if self.now >= end || self.violation.is_some() {
                return None;
            }
            // Everything of one millisecond, then a look.
            let until = (self.now + 1).min(end);
            while self.violation.is_none() && self.step(until) {}
            self.now = until;
        }
    }

    /// Lets the next thing happen, if it does by `until`.
    fn step(&mut self, until: u64) -> bool {
        let Some((at, what)) = self.queue.pop(until) else { return false };
        self.now = at.max(self.now);
        match what {
            Happening::Tick { node, life } => self.tick(node, life, at),
            Happening::Disk { node, life } if self.nodes[node].life == life => self.disk_done(node),
            Happening::News { node, life, input } if self.nodes[node].life == life => {
                self.trace_news(node, &input);
                self.input(node, input);
            }
            Happening::Frame { session, end, frame } => self.frame_arrives(session, end, frame),
            Happening::Gossip { node, life, from, payload } if self.nodes[node].life == life => {
                self.gossip_arrives(node, from, payload);
            }
            Happening::Knock { from, life, to, known, address } => self.knock(from, life, to, known, address),
            Happening::Up { session, end } => self.session_up(session, end),
            Happening::Down { session, end } => self.session_down(session, end),
            Happening::Link { a, b, state } => self.set_link(a, b, state),
            Happening::Disk { .. } | Happening::News { .. } | Happening::Gossip { .. } => {}
        }
        true
    }

    fn trace_news(&mut self, node: usize, input: &Input) {
        match input {
            Input::Loaded { doc, stored } => {
                let what = if stored.is_ok() { "read back" } else { "unreadable" };
                self.trace.note(self.now, format_args!("n{node} {doc:?} {what}"));
            }
            Input::Stored(batch) => {
                self.trace.note(self.now, format_args!("n{node} durable up to batch {}", batch.0));
            }
            other => self.trace.note(self.now, format_args!("n{node} {other:?}")),
        }
    }

    fn tick(&mut self, node: usize, life: u64, at: u64) {
        if self.nodes[node].life != life || self.nodes[node].tick_at != Some(at) {
            return;
        }
        self.nodes[node].tick_at = None;
        self.input(node, Input::Tick);
        let again = self.nodes[node].tick_at == Some(self.now);
        self.nodes[node].idle_ticks = if again { self.nodes[node].idle_ticks + 1 } else { 0 };
        if self.nodes[node].idle_ticks > SPINNING {
            self.violated(format!("n{node} spins: it wants a tick at once, again and again"));
        }
    }

    /// Starts a node on what its disk holds.
    pub fn start(&mut self, node: usize) {
        if self.runs(node) {
            return;
        }
        let name = format!("n{node}");
        let seed = self.rng.random();
        let born = self.now.saturating_sub(self.rng.random_range(0..5_000));
        let this = &mut self.nodes[node];
        this.life += 1;
        (this.born, this.started) = (born, self.now);
        (this.tick_at, this.idle_ticks) = (None, 0);
        this.blocking.clear();
        let config = this.config(name, seed);
        let now = self.now_at(node);
        self.trace.note(self.now, format_args!("n{node} starts"));
        match Engine::start(config, &self.nodes[node].disk.store, now) {
            Ok(engine) => self.nodes[node].engine = Some(engine),
            Err(why) => return self.violated(format!("n{node} does not start: {why}")),
        }
        self.check_restart(node);
        let address = self.nodes[node].address.clone();
        self.input(node, Input::Listening { addresses: vec![address] });
        for known in self.nodes[node].bootstrap.clone() {
            self.introduce(node, known);
        }
    }

    /// Ends a node's process without a word. `told` says whether those it was connected with notice; whatever was in
    /// the disk's queue is lost, but for the first batches that `lands` says just made it.
    pub fn crash(&mut self, node: usize, told: bool, lands: usize) {
        if !self.runs(node) {
            return;
        }
        self.trace.note(self.now, format_args!("n{node} crashes"));
        for _ in 0..lands {
            self.nodes[node].disk.work(1);
        }
        let this = &mut self.nodes[node];
        this.engine = None;
        this.life += 1;
        this.disk.restart();
        this.dialling.clear();
        this.sending.clear();
        this.durable = tombolo_sync::engine::BatchId(0);
        this.lost.clear();
        for session in std::mem::take(&mut this.sessions).into_values() {
            self.leave(session, node, told);
        }
    }

    /// The state of a document in canonical bytes, without the name of its type.
    #[must_use]
    pub fn canonical(&self, node: usize, doc: DocId) -> Option<Vec<u8>> {
        super::check::canonical(self.nodes[node].engine.as_ref()?, doc)
    }
}
