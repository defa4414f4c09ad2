//! The network: nodes, links, weather and time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::account::NotEqual;
use super::document::Kind;
use super::machinery::{Drive as _, LinkState, NodeOptions, Sent};
use super::stage::Stage;
use super::weather::{Clock, Weather, millis};
use crate::DocId;
use crate::engine::{Engine, Event, Status, Subscription, SubscriptionError};

/// How long a disk takes for a commit, in milliseconds: at least the first, and up to the second more.
const DISK: (u64, u64) = (1, 3);

/// A node of a [`Network`], made by [`Network::nodes`]. It is of no use in another network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) usize);

/// Nodes in one process that replicate documents, with links, disks and clocks that fail when the test says so. See the
/// [module](super) for an example.
///
/// Nothing happens by itself: time passes in [`run_for`](Self::run_for), [`run_until`](Self::run_until) and
/// [`run_until_equal`](Self::run_until_equal), and takes no real time. The same seed and the same calls are the same run.
///
/// All methods that name a node panic if it is of another network and there is none of its number here.
#[derive(Debug)]
pub struct Network {
    pub(super) stage: Stage,
    /// Of what type documents are, by id.
    pub(super) kinds: BTreeMap<DocId, Kind>,
    /// Which documents an application has open at a node: it opens them again when it starts.
    pub(super) opened: BTreeSet<(usize, DocId)>,
}

impl Network {
    /// A network without nodes, with [fair weather](Weather::fair). Everything random in it follows from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { stage: Stage::new(seed), kinds: BTreeMap::new(), opened: BTreeSet::new() }
    }

    /// Starts nodes with empty disks, which belong to one space and know each other and all nodes before them. They connect as
    /// soon as time passes.
    ///
    /// # Panics
    /// If a name is there twice.
    pub fn nodes<const N: usize>(&mut self, names: [&str; N]) -> [NodeId; N] {
        names.map(|name| {
            let is_new = self.stage.nodes.iter().all(|node| node.name != name);
            assert!(is_new, "there are two nodes called {name}");
            let node = self.stage.add(name.to_owned(), NodeOptions::default());
            self.stage.heard.push(Vec::new());
            self.stage.set_disk_latency(node, DISK.0, DISK.1);
            self.stage.start(node);
            let replica = self.stage.nodes[node].replica;
            self.stage.names.replicas.insert(replica, name.to_owned());
            for known in 0..node {
                self.stage.befriend(node, known);
                self.stage.befriend(known, node);
            }
            NodeId(node)
        })
    }

    /// What a node is called.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &str {
        self.stage.name(self.index(node))
    }

    pub(super) fn index(&self, NodeId(node): NodeId) -> usize {
        assert!(node < self.stage.len(), "the node is of another network");
        node
    }

    /// The number of a node that runs.
    pub(super) fn running_index(&self, node: NodeId) -> usize {
        _ = self.engine(node);
        self.index(node)
    }

    /// The engine of a node that runs.
    pub(super) fn engine(&self, node: NodeId) -> &Engine {
        let index = self.index(node);
        let engine = self.stage.nodes[index].engine.as_ref();
        engine.unwrap_or_else(|| panic!("{} is down: start it first", self.name(node)))
    }

    /// Cuts the link between two nodes; both are told.
    pub fn cut(&mut self, a: NodeId, b: NodeId) {
        self.link(a, b, LinkState::Cut);
    }

    /// The link between two nodes carries again, in both directions. Nodes that had lost each other may take some seconds until
    /// they try again.
    pub fn restore(&mut self, a: NodeId, b: NodeId) {
        self.link(a, b, LinkState::Up);
    }

    fn link(&mut self, a: NodeId, b: NodeId, state: LinkState) {
        let (a, b) = (self.index(a), self.index(b));
        self.stage.set_link(a, b, state);
    }

    /// Cuts the links between these groups, and restores those within them.
    ///
    /// # Panics
    /// If a node is in no group or in several.
    pub fn partition(&mut self, groups: &[&[NodeId]]) {
        let group_of: Vec<usize> = (0..self.stage.len())
            .map(|node| {
                let of: Vec<usize> =
                    (0..groups.len()).filter(|group| groups[*group].contains(&NodeId(node))).collect();
                assert!(of.len() == 1, "{} is in {} groups, not in one", self.stage.name(node), of.len());
                of[0]
            })
            .collect();
        self.set_links(|a, b| if group_of[a] == group_of[b] { LinkState::Up } else { LinkState::Cut });
    }

    /// Nothing that `from` sends to `to` arrives any more, and nobody is told; the other direction stays as it is.
    /// [`restore`](Self::restore) ends it.
    pub fn silence(&mut self, from: NodeId, to: NodeId) {
        let (from, to) = (self.index(from), self.index(to));
        self.stage.set_way(from, to, LinkState::Silent);
    }

    /// All links carry again. The weather, the disks and the nodes that are down stay as they are.
    pub fn restore_all(&mut self) {
        self.set_links(|_, _| LinkState::Up);
    }

    fn set_links(&mut self, state: impl Fn(usize, usize) -> LinkState) {
        for (a, b) in (0..self.stage.len()).flat_map(|b| (0..b).map(move |a| (a, b))) {
            let states = [self.stage.links.link(a, b).state, self.stage.links.link(b, a).state];
            if states != [state(a, b); 2] {
                self.stage.set_link(a, b, state(a, b));
            }
        }
    }

    /// How all links treat what is sent from now on.
    pub fn weather(&mut self, weather: Weather) {
        self.stage.note(|_| format!("the weather is {weather}"));
        weather.set(&mut self.stage);
    }

    /// Ends a node's process as `kill -9` does: what was not on its disk is lost, and the others notice. Does nothing if it is
    /// down.
    pub fn crash(&mut self, node: NodeId) {
        let node = self.index(node);
        let is_full = self.stage.disk(node).store.is_full();
        self.stage.crash(node, true, 0);
        self.stage.disk(node).store.set_full(is_full);
    }

    /// Starts a node that is down on what its disk holds, with the documents open that it had open. Does nothing if it runs.
    pub fn start(&mut self, node: NodeId) {
        let index = self.index(node);
        if self.stage.runs(index) {
            return;
        }
        self.stage.start(index);
        for (_, doc) in self.opened.iter().filter(|(of, _)| *of == index) {
            let (kind, name) = (self.kinds[doc], self.stage.names.document(*doc));
            // What is not there or not held any more is not opened.
            self.stage.open_with(index, |engine, now| (kind.open)(engine, now, &name, false));
        }
    }

    /// From its next [start](Self::start) on a node holds only the documents whose names begin with one of these; what it does not hold
    /// does not count when nodes are compared.
    ///
    /// # Errors
    /// When they are too many or too long.
    pub fn only(
        &mut self,
        node: NodeId,
        prefixes: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<(), SubscriptionError> {
        let node = self.index(node);
        self.stage.nodes[node].options.subscription = Subscription::new(prefixes)?;
        Ok(())
    }

    /// Whether a node's process runs.
    #[must_use]
    pub fn is_running(&self, node: NodeId) -> bool {
        self.stage.runs(self.index(node))
    }

    /// Whether a node's disk refuses all writes from now on, also after a crash. What it refuses is undone.
    pub fn disk_fails(&mut self, node: NodeId, fails: bool) {
        let node = self.index(node);
        self.stage.note(|core| {
            format!("the disk of {} {}", core.name(node), if fails { "fails" } else { "works" })
        });
        self.stage.disk(node).store.set_full(fails);
    }

    /// Sets a node's wall clock, which decides what the last writer wins. Timers do not follow it.
    pub fn set_clock(&mut self, node: NodeId, clock: Clock) {
        let node = self.index(node);
        self.stage.note(|core| format!("the clock of {} is {clock:?}", core.name(node)));
        self.stage.set_wall_offset(node, clock.offset());
    }

    /// Lets time pass, and everything happen that does. In whole milliseconds.
    pub fn run_for(&mut self, time: Duration) {
        self.stage.run_for(millis(time));
    }

    /// Lets time pass until `done`, at most `patience`; yields how long it took, `None` if it did not happen. It is asked once a
    /// millisecond.
    pub fn run_until(&mut self, patience: Duration, mut done: impl FnMut(&Self) -> bool) -> Option<Duration> {
        let start = self.now();
        loop {
            let waited = self.now() - start;
            if done(self) {
                return Some(waited);
            }
            if waited >= patience {
                return None;
            }
            self.stage.run_for(1);
        }
    }

    /// Lets time pass until all nodes that run hold the same documents with the same values, durably; yields how long it took. A
    /// node that is down does not count.
    ///
    /// # Errors
    /// When that takes longer than `patience`: who lacks what.
    ///
    /// # Panics
    /// If no node runs.
    pub fn run_until_equal(&mut self, patience: Duration) -> Result<Duration, NotEqual> {
        let waited = self.run_until(patience, |net| net.stage.is_level());
        match self.stage.difference(&self.kinds) {
            Some(not_equal) => Err(not_equal),
            None => Ok(waited.unwrap_or(patience)),
        }
    }

    /// Checks that all nodes that run hold the same documents with the same values, durably. Lets no time pass:
    /// [`run_until_equal`](Self::run_until_equal) does.
    ///
    /// # Panics
    /// If no node runs, or if they do not, with an account for people: who lacks what, the versions, where the values differ, which links do not
    /// carry, what happened last, and the seed.
    pub fn assert_converged(&self) {
        if let Some(not_equal) = self.stage.difference(&self.kinds) {
            panic!("{not_equal}");
        }
    }

    /// How much time has passed since the network was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.stage.now)
    }

    /// What a node has sent so far, over all its lives.
    #[must_use]
    pub fn sent_by(&self, node: NodeId) -> Sent {
        self.stage.nodes[self.index(node)].sent
    }

    /// What all nodes have sent so far.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.stage.nodes.iter().map(|node| node.sent).sum()
    }

    /// What a node's application has heard since this was asked last, in order. What says only that somebody may want to look
    /// ([`Event::Progress`]) is left out.
    pub fn events(&mut self, node: NodeId) -> Vec<Event> {
        let node = self.index(node);
        std::mem::take(&mut self.stage.heard[node])
    }

    /// How a node and its peers stand.
    ///
    /// # Panics
    /// If the node is down.
    #[must_use]
    pub fn status(&self, node: NodeId) -> Status {
        self.engine(node).status()
    }

    /// What happened, one line an event, the last thousand of them: the same for the same seed and calls. Beats are left out.
    #[must_use]
    pub fn trace(&self) -> &[String] {
        self.stage.trace.lines()
    }
}
