//! Stories from files: nodes, links, writes, cuts and crashes at their times, and what must come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use tombolo_sync::DocId;

use super::kind::{Kind, Op, Value};
use super::world::World;
use super::{GossipWeather, LinkState};

/// How long a node waits before it tells its peers what it has come to hold, in milliseconds: a round of repair takes at least so long.
const ROUND: u64 = 50;
/// How often it is looked whether all agree, in milliseconds.
const LOOK: u64 = 5;

/// A story.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows.
    pub about: String,
    /// How many nodes there are.
    pub nodes: usize,
    /// Of the network's randomness.
    #[serde(default)]
    pub seed: u64,
    /// How many others each node knows, at random; it can reach nobody else. Without it all know each other.
    pub neighbours: Option<usize>,
    /// Whether gossip arrives.
    #[serde(default = "yes")]
    pub gossip: bool,
    /// Whether it takes too long to be played by default.
    #[serde(default)]
    pub long: bool,
    /// What happens, in order.
    #[serde(default)]
    pub event: Vec<Event>,
    /// What must come of it.
    pub expect: Expectation,
}

fn yes() -> bool {
    true
}

/// Something that happens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When, in milliseconds after all have met.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happens.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A node adds elements to a set, or takes them out.
    Write {
        /// Who.
        node: usize,
        /// The document's name.
        document: String,
        /// What is added.
        #[serde(default)]
        add: Vec<String>,
        /// What is removed.
        #[serde(default)]
        remove: Vec<String>,
    },
    /// The link between two nodes is cut, and both know.
    Cut([usize; 2]),
    /// The link between two nodes swallows everything.
    Silence([usize; 2]),
    /// What goes from the first to the second is swallowed.
    Deafen([usize; 2]),
    /// The link between two nodes carries again.
    Mend([usize; 2]),
    /// A node's process ends.
    Crash(usize),
    /// A node's process starts.
    Start(usize),
    /// A node's disk is full.
    Fill(usize),
    /// A node's disk has room again.
    Empty(usize),
}

/// What must come of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// All who run agree so many milliseconds after the last event.
    pub agreed_within: u64,
    /// They do within so many rounds of repair beyond log2 of how many they are.
    pub rounds_beyond_log2: Option<f64>,
    /// What sets say then.
    #[serde(default)]
    pub sets: BTreeMap<String, BTreeSet<String>>,
}

/// How a story ended.
#[derive(Debug, Clone)]
pub struct Played {
    /// What was not as it should be.
    pub failure: Option<String>,
    /// In numbers.
    pub summary: String,
    /// What happened, if it was kept.
    pub trace: Vec<String>,
}

impl Scenario {
    /// Reads a story.
    ///
    /// # Errors
    /// What of it makes no sense.
    pub fn read(text: &str) -> Result<Self, String> {
        let scenario: Self = toml::from_str(text).map_err(|why| why.to_string())?;
        let ordered = scenario.event.is_sorted_by_key(|event| event.at);
        if ordered { Ok(scenario) } else { Err("events stand in order of time".into()) }
    }

    /// Plays it.
    #[must_use]
    pub fn play(&self, traced: bool) -> Played {
        let mut summary = String::new();
        let (failure, trace) = match self.prepared(traced) {
            Ok(mut world) => {
                let failure = self.tell(&mut world, &mut summary).err();
                (world.violation.clone().or(failure), world.trace.lines().to_vec())
            }
            Err(failure) => (Some(failure), Vec::new()),
        };
        Played { failure, summary, trace }
    }

    /// All nodes, once they have met.
    fn prepared(&self, traced: bool) -> Result<World, String> {
        let mut world = World::new(self.nodes, self.seed);
        world.collect_violations();
        world.follows_writes = true;
        if traced {
            world.trace.keep();
        }
        if !self.gossip {
            world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
        }
        match self.neighbours {
            None => {
                for node in 0..self.nodes {
                    (0..node).for_each(|known| world.befriend(node, known));
                }
            }
            Some(neighbours) => {
                world.links.rest.state = LinkState::Cut;
                let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                for node in 0..self.nodes {
                    for _ in 0..neighbours {
                        let known = (node + rng.random_range(1..self.nodes)) % self.nodes;
                        world.set_link(node, known, LinkState::Up);
                        world.befriend(node, known);
                    }
                }
            }
        }
        for _ in 0..200 {
            world.run_for(50);
            if (0..self.nodes).all(|node| !world.ready(node).is_empty()) {
                world.run_for(2_000);
                return Ok(world);
            }
        }
        Err("they do not meet within ten seconds".into())
    }

    fn tell(&self, world: &mut World, summary: &mut String) -> Result<(), String> {
        let begin = world.now();
        let mut docs: BTreeMap<&str, DocId> = BTreeMap::new();
        let bytes = world.core_bytes;
        for Event { at, what } in &self.event {
            world.run_for((begin + at).saturating_sub(world.now()));
            match what {
                What::Write { node, document, add, remove } => {
                    let doc = world.open_kind(*node, Kind::Set, document, true).ok_or("no document opens")?;
                    docs.insert(document, doc);
                    let add = add.iter().map(|element| Op::Insert("", element.clone()));
                    let ops = add.chain(remove.iter().map(|element| Op::Remove("", element.clone())));
                    world.write_kind(*node, (Kind::Set, document), doc, ops.collect(), false);
                }
                What::Cut([a, b]) => world.set_link(*a, *b, LinkState::Cut),
                What::Silence([a, b]) => world.set_link(*a, *b, LinkState::Silent),
                What::Deafen([a, b]) => world.set_way(*a, *b, LinkState::Silent),
                What::Mend([a, b]) => world.set_link(*a, *b, LinkState::Up),
                What::Crash(node) => world.crash(*node, true, 0),
                What::Start(node) => world.start(*node),
                What::Fill(node) => world.disk(*node).store.set_full(true),
                What::Empty(node) => world.disk(*node).store.set_full(false),
            }
        }
        let last = world.now();
        while !self.is_everywhere(world) && world.violation().is_none() {
            if world.now() > last + self.expect.agreed_within {
                return Err(format!("no agreement {} ms after the last event", self.expect.agreed_within));
            }
            world.run_for(LOOK);
        }
        let millis = world.now() - last;
        let each = (world.core_bytes - bytes) / self.nodes as u64;
        let (rounds, log2) = (millis as f64 / ROUND as f64, (self.nodes as f64).log2());
        let _ = write!(
            summary,
            "{} nodes: everywhere after {millis} ms, {rounds:.1} rounds of {ROUND} ms (log2 is {log2:.1}), {each} bytes a node",
            self.nodes
        );
        if let Some(beyond) = self.expect.rounds_beyond_log2
            && rounds > log2 + beyond
        {
            return Err(format!("it took {rounds:.1} rounds, more than {log2:.1} + {beyond}"));
        }
        for (document, expected) in &self.expect.sets {
            let doc = *docs.get(document.as_str()).ok_or("an expected set was not written")?;
            for node in (0..self.nodes).filter(|node| world.runs(*node)).collect::<Vec<_>>() {
                world.open_kind(node, Kind::Set, document, false);
                let reading = world.read_kind(node, Kind::Set, doc).unwrap_or_default();
                if reading.get("") != Some(&Value::Elements(expected.clone())) {
                    return Err(format!("{document} at n{node} says {reading:?}, not {expected:?}"));
                }
            }
        }
        Ok(())
    }

    /// Whether all who run hold the same, durably.
    fn is_everywhere(&self, world: &World) -> bool {
        let mut digests =
            (0..self.nodes).filter(|node| world.runs(*node)).map(|node| world.engine(node).digest());
        let first = digests.next();
        let is_settled = |node: usize| {
            let engine = world.engine(node);
            let mut held = engine.held_documents().filter_map(|doc| engine.document_status(doc));
            held.all(|status| status.version == status.durable)
        };
        digests.all(|digest| Some(digest) == first)
            && (0..self.nodes).filter(|node| world.runs(*node)).all(is_settled)
    }
}
