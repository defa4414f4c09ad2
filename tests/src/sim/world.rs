//! The network of a simulation: what `tombolo_sync::testing` drives, and what is watched in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use tombolo_crdt::{ReplicaId, SessionNames, Version};
use tombolo_sync::DocId;
use tombolo_sync::engine::Mistake;
use tombolo_sync::engine::wire::Frame;
use tombolo_sync::engine::{Engine, Now};
use tombolo_sync::testing::machinery::{Core, Drive, Fraud, LinkState, NodeOptions};

use super::check::Checks;
use super::ledger::Ledger;
use super::mirror::Mirrors;
use super::outcome::Stats;

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
    /// Who answers one that is far behind takes what that has and it has not itself for removed, also where it is news to it. The API
    /// of the types cannot say so.
    OneVersion,
    /// The engine breaks a rule of the protocol.
    Engine(Mistake),
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

/// What is known of a node beside what drives it.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Which continuation of a store it is: one that was set back is another, and so is a copy.
    pub(super) branch: u64,
    /// As who it wrote last.
    pub(super) replica: Option<ReplicaId>,
    /// What is shown there of documents.
    pub(super) mirrors: Mirrors,
    /// The version of each document, as last seen.
    pub(super) seen: BTreeMap<DocId, Version>,
    /// Documents that changed and were not seen durable since.
    pub(super) unsettled: BTreeSet<DocId>,
    /// What the engine said is durable of each document: must never be lost.
    pub(super) promised: BTreeMap<DocId, Version>,
    /// What it dropped, for somebody who wants it holds it.
    pub(super) dropped: BTreeSet<DocId>,
    /// What it says that it has, and has not, if that is the mistake that is made.
    pub(super) early: BTreeMap<DocId, Version>,
    /// Parts of content this node is sending, by receiver.
    pub(super) sending: BTreeMap<(usize, DocId), Vec<u8>>,
    /// Which replica ids it calls by numbers, by receiver.
    pub(super) names: BTreeMap<usize, SessionNames>,
}

/// A simulated network.
pub struct World {
    core: Core,
    pub(super) watched: Vec<Watched>,
    pub(super) checks: Checks,
    pub(super) violation: Option<String>,
    pub(super) sent: Option<Vec<Sent>>,
    /// The last continuation of a store that was given a number.
    pub(super) branches: u64,
    /// Of a thousand frames of any kind, in how many some bytes change on the way: the transport ends the session in which one arrives. Of a
    /// thousand that carry content or greetings as many are damaged already where they are sent, of which no transport can tell.
    pub corrupt: u32,
    /// Bytes of frames that were sent between nodes that are not on the edge.
    pub(super) core_bytes: u64,
    /// Nodes whose traffic does not count, and who are not waited for.
    pub(super) edge: BTreeSet<usize>,
    /// What was written, and what must be there in the end.
    pub ledger: Ledger,
    /// Who was told that a peer knows more of what it wrote than it does, and whether it had written since.
    pub overtaken: Vec<(usize, bool)>,
    /// Which two nodes hold something else of a document, in the same version, as the first has said.
    pub diverged: Vec<(usize, usize, DocId)>,
    /// Documents that were something else with two nodes, in one version, where two continuations of a store used the same names of events. Somebody
    /// has to notice.
    pub(super) differing: BTreeSet<DocId>,
    /// Whether any disk was set back, or anybody lies.
    pub(super) may_be_overtaken: bool,
    /// Whether any disk was set back, so that two states of one version are no mistake.
    pub(super) may_diverge: bool,
    pub(super) stats: Stats,
    pub(super) sabotage: Option<Sabotage>,
    /// Whether all that is written is in the ledger, so that it can be asked who had seen what.
    pub(super) follows_writes: bool,
    /// Whether the application is releasing somebody, and not the engine.
    pub(super) is_releasing: bool,
    /// How many bytes the longest value has that was ever written.
    pub(super) longest: u64,
    /// Who has ever left, or was released.
    pub(super) released: BTreeSet<usize>,
    /// Whether a broken rule is a panic.
    is_strict: bool,
}

impl Deref for World {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Core {
        &mut self.core
    }
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
        let mut core = Core::new(seed);
        for (index, options) in nodes.into_iter().enumerate() {
            core.add(format!("n{index}"), options);
        }
        let watched = (0..core.len()).map(|index| Watched { branch: index as u64, ..Watched::default() });
        let mut world = Self {
            watched: watched.collect(),
            core,
            checks: Checks::default(),
            violation: None,
            sent: None,
            branches: u64::from(u32::MAX),
            corrupt: 0,
            core_bytes: 0,
            edge: BTreeSet::new(),
            ledger: Ledger::default(),
            overtaken: Vec::new(),
            diverged: Vec::new(),
            differing: BTreeSet::new(),
            may_be_overtaken: false,
            may_diverge: false,
            stats: Stats::default(),
            sabotage: None,
            follows_writes: false,
            is_releasing: false,
            longest: 0,
            released: BTreeSet::new(),
            is_strict: true,
        };
        for node in 0..world.len() {
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
        let fraud = match sabotage {
            Some(Sabotage::EarlyDurability) => Some(Fraud::Hasty),
            Some(Sabotage::LyingDisk) => Some(Fraud::Lying),
            Some(Sabotage::IgnoredGenerations) => Some(Fraud::ForgetsGenerations),
            _ => None,
        };
        for node in 0..self.len() {
            self.disk(node).fraud = fraud;
        }
    }

    /// The rule that was broken first.
    #[must_use]
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// What happened, in numbers.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats.with(&self.tally)
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

    pub(super) fn violated(&mut self, what: String) {
        if self.violation.is_none() {
            self.note(|_| format!("VIOLATION {what}"));
            let now = self.now;
            self.violation = Some(format!("at {now} ms: {what}"));
            assert!(!self.is_strict, "at {now} ms: {what}");
        }
    }

    /// Calls an engine from outside, as an application does; `None` if the node is down.
    pub fn call<R>(&mut self, node: usize, f: impl FnOnce(&mut Engine, Now) -> R) -> Option<R> {
        Drive::call(self, node, f)
    }

    /// Lets time pass, `millis` of it, and everything happen that does.
    pub fn run_for(&mut self, millis: u64) {
        Drive::run_for(self, millis);
        self.stats.virtual_millis = self.now;
    }

    /// Lets time pass until `done`, at most `patience` milliseconds; yields how long it took, `None` if it did not
    /// happen.
    pub fn run_until(&mut self, patience: u64, done: impl FnMut(&Self) -> bool) -> Option<u64> {
        let waited = Drive::run_until(self, patience, done)?;
        self.stats.virtual_millis = self.now;
        Some(waited)
    }

    /// Starts a node on what its disk holds.
    pub fn start(&mut self, node: usize) {
        Drive::start(self, node);
    }

    /// Ends a node's process without a word. `told` says whether those it was connected with notice; whatever was in
    /// the disk's queue is lost, but for the first batches that `lands` says just made it.
    pub fn crash(&mut self, node: usize, told: bool, lands: usize) {
        Drive::crash(self, node, told, lands);
    }

    /// Has a node know another from the start, also after restarts.
    pub fn befriend(&mut self, node: usize, known: usize) {
        Drive::befriend(self, node, known);
    }

    /// Tells a node where another can be reached.
    pub fn introduce(&mut self, node: usize, known: usize) {
        Drive::introduce(self, node, known);
    }

    /// Changes a link in both directions. Cutting it ends the sessions on it, and both ends are told.
    pub fn set_link(&mut self, a: usize, b: usize, state: LinkState) {
        Drive::set_link(self, a, b, state);
    }

    /// Changes what a link does with what goes from one to the other; the other direction stays as it is, and nobody is told.
    pub fn set_way(&mut self, from: usize, to: usize, state: LinkState) {
        Drive::set_way(self, from, to, state);
    }
}
