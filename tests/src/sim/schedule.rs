//! A random story from a seed: everything that can go wrong does, then everything is healed, and all must agree.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombolo_sync::DocId;
use tombolo_sync::engine::Input;

use super::kind::{Kind, Op};
use super::network::{FrameWeather, GossipWeather, LinkState};
use super::outcome::{Outcome, Stats};
use super::story::listed;
use super::world::{Sabotage, World};

/// How long all may take to agree after the last fault, in milliseconds.
const HEALING: u64 = 30_000;
/// Names of documents. Few, so that nodes mean the same ones.
const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// A random run.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    seed: u64,
    trace: bool,
    sabotage: Option<Sabotage>,
}

impl Schedule {
    /// The run of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, trace: false, sabotage: None }
    }

    /// Keeps a trace of what happens.
    #[must_use]
    pub fn traced(self) -> Self {
        Self { trace: true, ..self }
    }

    /// With a mistake made on purpose.
    #[must_use]
    pub fn sabotaged(self, sabotage: Sabotage) -> Self {
        Self { sabotage: Some(sabotage), ..self }
    }

    /// Plays it.
    #[must_use]
    pub fn run(self) -> Outcome {
        let mut trace = Vec::new();
        let run = catch_unwind(AssertUnwindSafe(|| {
            let mut player = Player::new(self);
            player.play();
            player.world
        }));
        let (violation, stats) = match run {
            Ok(world) => {
                trace = world.trace.lines().to_vec();
                (world.violation.clone(), world.stats)
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                (Some(format!("panic: {}", text.unwrap_or_default())), Stats::default())
            }
        };
        Outcome { seed: self.seed, violation, stats, trace }
    }
}

struct Player {
    world: World,
    rng: ChaCha8Rng,
    /// What each node has open.
    open: Vec<BTreeMap<(Kind, &'static str), DocId>>,
    /// Which kinds of documents each node opens.
    tastes: Vec<Vec<Kind>>,
    /// The pause between two things to do, in milliseconds.
    pause: u64,
    actions: u32,
    /// Of a hundred actions, how many are faults.
    faults: u32,
    written: u64,
}

impl Player {
    fn new(schedule: Schedule) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(schedule.seed ^ 0x746f_6d62_6f6c_6f00);
        let count = rng.random_range(2..=7);
        let mut world = World::new(count, schedule.seed);
        world.collect_violations();
        if schedule.trace {
            world.trace.keep();
        }
        world.sabotage(schedule.sabotage);
        world.gossip = gossip_weather(&mut rng);
        if rng.random_ratio(1, 4) {
            world.frames = FrameWeather {
                loss: rng.random_range(0..10),
                duplicates: rng.random_range(0..10),
                late: rng.random_range(0..20),
            };
        }
        if rng.random_ratio(1, 4) {
            world.crashing_commits = rng.random_range(1..4);
        }
        let far = rng.random_ratio(1, 6);
        for node in 0..count {
            let off = if far { 2 * 3_600_000 } else { 3_000 };
            world.set_wall_offset(node, rng.random_range(-off..=off));
            let slow = if rng.random_ratio(1, 4) { rng.random_range(5..80) } else { 1 };
            world.set_disk_latency(node, slow, slow);
            for other in 0..node {
                let latency = if rng.random_ratio(1, 4) { rng.random_range(10..150) } else { 1 };
                world.set_latency(node, other, latency, latency / 2);
                world.set_bandwidth(node, other, if rng.random_ratio(1, 8) { 200 } else { 10_000 });
            }
            // Everybody can be found by somebody: a tree, and a few more.
            if node > 0 {
                world.befriend(node, rng.random_range(0..node));
            }
            let other = rng.random_range(0..count);
            if other != node {
                world.befriend(node, other);
            }
        }
        // Behind a wall: it dials, and nobody gets through to it.
        if rng.random_ratio(1, 5) {
            world.set_accepts(count - 1, false);
        }
        let tastes = (0..count).map(|_| Kind::ALL.into_iter().filter(|_| rng.random_ratio(2, 3)).collect());
        let tastes = tastes.collect();
        let pause = [5, 30, 100, 400][rng.random_range(0..4)];
        let (actions, faults) = (rng.random_range(40..250), rng.random_range(5..50));
        let open = vec![BTreeMap::new(); count];
        Self { world, rng, open, tastes, pause, actions, faults, written: 0 }
    }

    fn play(&mut self) {
        for _ in 0..self.actions {
            if self.world.violation().is_some() {
                return;
            }
            let pause = self.rng.random_range(0..=2 * self.pause);
            self.world.run_for(pause);
            if self.rng.random_range(0..100) < self.faults {
                self.world.stats.faults += 1;
                self.fault();
            } else {
                self.work();
            }
        }
        self.heal();
        match self.world.run_until(HEALING, World::agrees) {
            Some(millis) => self.world.stats.healed_millis = millis,
            None if self.world.violation().is_none() => {
                let report = self.report();
                self.world.violated(format!("no agreement {HEALING} ms after the last fault: {report}"));
            }
            None => {}
        }
        if self.world.violation().is_none() {
            self.judge();
        }
    }

    fn node(&mut self) -> usize {
        self.rng.random_range(0..self.world.len())
    }

    /// Somebody uses a document.
    fn work(&mut self) {
        let node = self.node();
        if !self.world.runs(node) || self.tastes[node].is_empty() {
            return;
        }
        let kind = self.tastes[node][self.rng.random_range(0..self.tastes[node].len())];
        let name = NAMES[self.rng.random_range(0..NAMES.len())];
        match self.rng.random_range(0..100) {
            0..3 => {
                self.open[node].remove(&(kind, name));
                self.world.delete_kind(node, kind, name);
            }
            // Handles of documents that were deleted are kept for a while: writing to them must fail, and no more.
            3..20 => {
                let create = self.rng.random_ratio(1, 2);
                if let Some(doc) = self.world.open_kind(node, kind, name, create) {
                    self.open[node].insert((kind, name), doc);
                }
            }
            _ => self.write(node, kind, name),
        }
    }

    fn write(&mut self, node: usize, kind: Kind, name: &'static str) {
        let doc = match self.open[node].get(&(kind, name)) {
            Some(doc) => *doc,
            None => {
                let Some(doc) = self.world.open_kind(node, kind, name, true) else { return };
                self.open[node].insert((kind, name), doc);
                doc
            }
        };
        let transactions = if self.rng.random_ratio(1, 10) { self.rng.random_range(1..40) } else { 1 };
        for _ in 0..transactions {
            let count = if self.rng.random_ratio(1, 4) { self.rng.random_range(0..5) } else { 1 };
            let ops = (0..count).filter_map(|_| self.op(node, kind)).collect();
            let fails = self.rng.random_ratio(1, 30);
            self.world.write_kind(node, (kind, name), doc, ops, fails);
        }
    }

    fn op(&mut self, node: usize, kind: Kind) -> Option<Op> {
        let [counters, sets, multis, latest] = kind.fields();
        let registers: Vec<&'static str> = multis.iter().chain(latest).copied().collect();
        let mut ops: Vec<Op> = Vec::new();
        self.written += 1;
        let mine = format!("n{node}-{}", self.written);
        ops.extend(counters.iter().map(|field| Op::Add(field, self.rng.random_range(-5..10))));
        for field in sets {
            let shared = format!("e{}", self.rng.random_range(0..6));
            ops.push(match self.rng.random_range(0..100) {
                0..50 => Op::Insert(field, self.content(mine.clone())),
                50..70 => Op::Insert(field, shared),
                70..95 => Op::Remove(field, shared),
                _ => Op::Clear(field),
            });
        }
        for field in registers {
            let unset = self.rng.random_ratio(1, 10);
            ops.push(if unset { Op::Unset(field) } else { Op::Set(field, self.content(mine.clone())) });
        }
        if kind == Kind::Doc {
            ops.push(Op::Other(self.rng.random()));
        }
        if ops.is_empty() { None } else { Some(ops.swap_remove(self.rng.random_range(0..ops.len()))) }
    }

    /// Mostly short, sometimes too long for gossip, rarely too long for one frame.
    fn content(&mut self, start: String) -> String {
        let length = match self.rng.random_range(0..400) {
            0 => 600_000,
            1..5 => 20_000,
            _ => 0,
        };
        if length > 0 { format!("{start}{}", "x".repeat(length)) } else { start }
    }

    fn fault(&mut self) {
        let (node, other) = (self.node(), self.node());
        let now = self.world.now();
        match self.rng.random_range(0..24) {
            0 | 1 => self.world.set_link(node, other, LinkState::Cut),
            2 | 3 => self.world.set_link(node, other, LinkState::Silent),
            4..7 => self.world.set_link(node, other, LinkState::Up),
            7 => self.partition(),
            8 => self.around(node, LinkState::Cut),
            9 => self.around(node, LinkState::Silent),
            10 => self.around(node, LinkState::Up),
            11 | 12 => {
                let (told, lands) = (self.rng.random_ratio(1, 2), self.rng.random_range(0..3));
                self.world.crash(node, told, lands);
                self.open[node].clear();
            }
            13..16 => {
                let down: Vec<usize> = (0..self.world.len()).filter(|&node| !self.world.runs(node)).collect();
                down.into_iter().for_each(|node| self.start(node));
            }
            16 => {
                let refusals = self.rng.random_range(1..4);
                self.world.trace.note(now, format_args!("disk of n{node} refuses {refusals} times"));
                self.world.disk(node).store.fail_next(refusals);
            }
            17 => self.world.disk(node).store.set_full(true),
            18 => (0..self.world.len()).for_each(|node| self.world.disk(node).store.set_full(false)),
            19 => {
                let (slow, spread) = (self.rng.random_range(0..200), self.rng.random_range(0..200));
                self.world.set_disk_latency(node, slow, spread);
            }
            20 => {
                let furthest = if self.rng.random_ratio(1, 3) { 12 * 3_600_000 } else { 600_000 };
                let jump = self.rng.random_range(-furthest..furthest);
                self.world.set_wall_offset(node, jump);
            }
            21 => {
                let (peer, blocked) = (self.world.peer(other), self.rng.random());
                self.world.call(node, |engine, now| engine.block(now, peer, blocked));
            }
            22 => {
                let isolated = self.rng.random();
                self.world.call(node, |engine, now| engine.isolate(now, isolated));
            }
            _ if self.rng.random() => self.world.gossip = gossip_weather(&mut self.rng),
            _ => {
                self.world.call(node, |engine, now| engine.handle(now, Input::NetworkChanged));
            }
        }
    }

    /// Cuts the network in two.
    fn partition(&mut self) {
        let sides: Vec<bool> = (0..self.world.len()).map(|_| self.rng.random()).collect();
        let state = if self.rng.random() { LinkState::Cut } else { LinkState::Silent };
        for a in 0..sides.len() {
            for b in 0..a {
                let state = if sides[a] == sides[b] { LinkState::Up } else { state };
                self.world.set_link(a, b, state);
            }
        }
    }

    fn around(&mut self, node: usize, state: LinkState) {
        (0..self.world.len()).for_each(|other| self.world.set_link(node, other, state));
    }

    fn start(&mut self, node: usize) {
        self.open[node].clear();
        self.world.start(node);
    }

    /// Everything works again, except that gossip may stay as it is.
    fn heal(&mut self) {
        self.world.trace.note(self.world.now(), format_args!("everything is healed"));
        self.world.frames = FrameWeather::default();
        self.world.crashing_commits = 0;
        for node in 0..self.world.len() {
            self.world.disk(node).store.set_full(false);
            self.world.disk(node).store.fail_next(0);
            self.world.set_disk_latency(node, 1, 3);
            self.around(node, LinkState::Up);
            (0..node).for_each(|other| self.world.set_bandwidth(node, other, 10_000));
            self.start(node);
            self.world.call(node, |engine, now| engine.isolate(now, false));
        }
    }

    /// Everybody agrees; on what?
    fn judge(&mut self) {
        let expected = self.world.ledger.listed();
        for node in 0..self.world.len() {
            self.world.compare_all(node);
            let list = self.world.engine(node).list();
            let found = list.iter().map(|listed| format!("{}|{}", listed.name, listed.type_name)).collect();
            if expected != found {
                return self.world.violated(format!("n{node} lists {found:?}, not {expected:?}"));
            }
            for document in list {
                let Some(kind) = Kind::of(&document.type_name) else { continue };
                if expected.contains(&listed(kind, &document.name)) {
                    self.judge_document(node, kind, &document.name, document.id);
                }
            }
            let engine = self.world.engine(node);
            let status = engine.held_documents().filter_map(|doc| engine.document_status(doc));
            let waiting: usize = status.map(|status| status.pending).sum();
            if waiting > 0 {
                self.world.violated(format!("{waiting} deltas still wait at n{node}"));
            }
        }
    }

    fn judge_document(&mut self, node: usize, kind: Kind, name: &str, id: DocId) {
        let opened = self.world.call(node, |engine, now| kind.open(engine, now, name, false));
        if !matches!(opened, Some(Ok(Some(opened))) if opened == id) {
            return self.world.violated(format!("n{node} cannot open {name}: {opened:?}"));
        }
        let (found, expected) = (self.world.read_kind(node, kind, id), self.world.ledger.expected(id, kind));
        if found.as_ref() != Some(&expected) {
            self.world.violated(format!("{name} ({kind:?}) at n{node} says {found:?}, not {expected:?}"));
        }
    }

    /// Why there is no agreement, node by node.
    fn report(&self) -> String {
        let mut report = String::new();
        for node in 0..self.world.len() {
            let engine = self.world.engine(node);
            let status = engine.status();
            report += &format!(
                "\n  n{node} ready with {:?}, in sync {:?}:",
                self.world.ready(node),
                status.in_sync
            );
            for doc in engine.held_documents() {
                let Some(status) = engine.document_status(doc) else { continue };
                report += &format!(" {doc:?} {:?}", status.version);
                if status.durable != status.version {
                    report += &format!(" durable {:?}", status.durable);
                }
            }
        }
        report
    }
}

fn gossip_weather(rng: &mut impl Rng) -> GossipWeather {
    GossipWeather {
        delivered: [0, 30, 80, 100][rng.random_range(0..4)],
        duplicates: rng.random_range(0..20),
        spread: [0, 5, 200][rng.random_range(0..3)],
    }
}
