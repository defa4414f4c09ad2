//! A random story from a seed: everything that can go wrong does, then everything is healed, and all must agree.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombolo_sync::DocId;
use tombolo_sync::engine::{DEFAULT_DIRECT, DEFAULT_MEMORY, Forgetting, Input, Mistake, Subscription};
use tombolo_sync::store::MemoryStore;
use tombolo_sync::testing::machinery::Drive;

use super::kind::{Kind, Op, Value};
use super::outcome::{Branch, Outcome, Stats};
use super::story::listed;
use super::world::{Sabotage, World};
use super::{FrameWeather, GossipWeather, Gossipsub, LinkState, NodeOptions};

/// How long all may take to agree after the last fault, in milliseconds.
const HEALING: u64 = 30_000;
/// Names of documents. Few, so that nodes mean the same ones.
const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// What a random run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Everything that can go wrong does, and then everything is healed.
    #[default]
    Faults,
    /// Disks are set back to older images now and then, and copies of them are started as other nodes. Who goes on alone meets
    /// the others when nothing else is wrong; a schedule in which two continuations have both been seen ends there.
    /// [With twins](Schedule::with_twins) the copy goes by the same key and replica id as the original, and both run.
    /// In some, one of a thousand, two continuations are both seen before anybody can tell, and nothing alive contradicts (decision 0024): what is lost by
    /// that is counted, and must be nothing else.
    Backups,
    /// In the end one member stays dead and one very slow; the others must agree, soon and cheaply.
    Liveness,
    /// As [`Faults`](Self::Faults), with nodes that hold parts of the space, and other parts from one start to the next. Each two agree
    /// on what both want.
    Parts,
    /// As [`Faults`](Self::Faults), with members that leave the space and join it again, that others release, and that are released for
    /// their silence. Who has left and does not come back is not asked to agree.
    Members,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Faults, Self::Backups, Self::Liveness, Self::Parts, Self::Members];

    /// As it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Faults => "faults",
            Self::Backups => "backups",
            Self::Liveness => "liveness",
            Self::Parts => "parts",
            Self::Members => "members",
        }
    }
}

impl Mode {
    /// What a node wants from one start to the next.
    fn subscription(self, rng: &mut impl Rng) -> Subscription {
        if self != Self::Parts || rng.random_ratio(1, 3) {
            return Subscription::everything();
        }
        let prefixes = ["a", "bet", "gamma"].into_iter().filter(|_| rng.random());
        Subscription::new(prefixes).expect("they are few and short")
    }
}

/// A random run.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    seed: u64,
    mode: Mode,
    twins: bool,
    trace: bool,
    sabotage: Option<Sabotage>,
}

impl Schedule {
    /// The run of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, mode: Mode::default(), twins: false, trace: false, sabotage: None }
    }

    /// Of a mode; the same seed is another run in each.
    #[must_use]
    pub fn of_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// In [`Backups`](Mode::Backups): the copy of a disk is started under the key and the replica id of the original, which goes on.
    #[must_use]
    pub fn with_twins(self, twins: bool) -> Self {
        Self { twins, ..self }
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
                (world.violation.clone(), world.stats())
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                (Some(format!("panic: {}", text.unwrap_or_default())), Stats::default())
            }
        };
        Outcome { seed: self.seed, mode: self.mode, twins: self.twins, violation, stats, trace }
    }
}

struct Player {
    mode: Mode,
    /// Backups of each node's disk, and which continuation of its store that was.
    images: Vec<Vec<(u64, MemoryStore)>>,
    world: World,
    rng: ChaCha8Rng,
    /// What each node has open.
    open: Vec<BTreeMap<(Kind, &'static str), DocId>>,
    /// Which kinds of documents each node opens.
    tastes: Vec<Vec<Kind>>,
    /// The pause between two things to do, in milliseconds.
    pause: u64,
    /// Documents have hundreds of elements, and lose most of them at once.
    is_bulky: bool,
    /// There is hardly any memory, and documents are closed now and then.
    is_tight: bool,
    actions: u32,
    /// Of a hundred actions, how many are faults.
    faults: u32,
    written: u64,
    has_copied: bool,
    /// The copy goes by the same key and replica id as the original.
    has_twins: bool,
    /// Who has met whom.
    met: BTreeSet<(usize, usize)>,
    /// Who wanted another part than before, some day.
    changed: BTreeSet<usize>,
}

impl Player {
    fn new(schedule: Schedule) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(schedule.seed ^ 0x746f_6d62_6f6c_6f00);
        let least = if schedule.mode == Mode::Liveness { 4 } else { 2 };
        let mut count = rng.random_range(least..=7);
        // One more, which is started on a copy some day.
        count += usize::from(schedule.mode == Mode::Backups);
        // What a store acknowledged before it was set back it may write against afterwards; and so may who is said to have acknowledged it.
        let forgets = schedule.mode != Mode::Backups;
        let least = if forgets { 1 } else { usize::MAX };
        let silence = (schedule.mode == Mode::Members).then(|| rng.random_range(500..20_000));
        let forgetting = Forgetting { least, pause: 300, silence };
        let mistake = match schedule.sabotage {
            Some(Sabotage::Engine(mistake)) => Some(mistake),
            // Some go the way that only many differences take otherwise.
            None if schedule.seed.is_multiple_of(2) => Some(Mistake::KnowsNoSums),
            _ => None,
        };
        // With hardly any memory, documents go as soon as they may, and are read again and again.
        let is_tight = rng.random_ratio(1, 3);
        let memory = if is_tight { [0, 6 << 10, 40 << 10][rng.random_range(0..3)] } else { DEFAULT_MEMORY };
        let options = NodeOptions { forgetting, mistake, memory, ..NodeOptions::default() };
        let subscriptions: Vec<Subscription> =
            (0..count).map(|_| schedule.mode.subscription(&mut rng)).collect();
        // Where all have sessions with all they push in them; some always gossip, and some cannot do otherwise.
        let direct = |node: usize| match (schedule.seed / 2) % 4 {
            0 => 0,
            1 if node == 0 => 0,
            _ => DEFAULT_DIRECT,
        };
        let options =
            |(node, subscription)| NodeOptions { subscription, direct: direct(node), ..options.clone() };
        let mut world =
            World::with_options(subscriptions.into_iter().enumerate().map(options), schedule.seed);
        world.collect_violations();
        if schedule.trace {
            world.trace.keep();
        }
        world.sabotage(schedule.sabotage);
        world.gossip = gossip_weather(&mut rng);
        world.gossipsub = gossipsub(&mut rng);
        if rng.random_ratio(1, 4) {
            world.frames = FrameWeather {
                loss: rng.random_range(0..10),
                duplicates: rng.random_range(0..10),
                late: rng.random_range(0..20),
            };
        }
        if rng.random_ratio(1, 8) {
            world.corrupt = rng.random_range(1..20);
            // Damaged news of who wrote what may cost somebody its id.
            world.expect_damage();
        }
        world.follows_writes = true;
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
            // Everybody can be found by somebody: a tree, and a few more; and where some will not be there for ever, by all.
            let is_known = schedule.mode != Mode::Faults;
            (0..node).filter(|_| is_known).for_each(|other| world.befriend(node, other));
            if node > 0 && !is_known {
                world.befriend(node, rng.random_range(0..node));
            }
            let other = rng.random_range(0..count);
            if other != node {
                world.befriend(node, other);
            }
        }
        // Behind a wall: it dials, and nobody gets through to it.
        if rng.random_ratio(1, 5) && schedule.mode != Mode::Backups {
            world.set_accepts(count - 1, false);
        }
        let is_bulky = rng.random_ratio(1, 10);
        let kinds: &[Kind] = match schedule.sabotage {
            // The removals that are remembered, and may be forgotten, are those of one kind.
            Some(Sabotage::Engine(Mistake::ForgetsTooSoon)) => &[Kind::Guests],
            _ if is_bulky => &[Kind::Set, Kind::Board],
            _ => &Kind::ALL,
        };
        let mut taste = || kinds.iter().copied().filter(|_| rng.random_ratio(2, 3)).collect();
        let tastes = (0..count).map(|_| taste());
        let tastes = tastes.collect();
        let pause = [5, 30, 100, 400][rng.random_range(0..4)];
        let (actions, faults) = (rng.random_range(40..250), rng.random_range(5..50));
        let open = vec![BTreeMap::new(); count];
        if schedule.mode == Mode::Backups {
            world.crash(count - 1, true, 0);
        }
        let images = vec![Vec::new(); count];
        Self {
            mode: schedule.mode,
            images,
            world,
            rng,
            open,
            tastes,
            pause,
            is_bulky,
            is_tight,
            actions,
            faults,
            written: 0,
            has_copied: false,
            has_twins: schedule.mode == Mode::Backups && schedule.twins,
            met: BTreeSet::new(),
            changed: BTreeSet::new(),
        }
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
            if self.mode == Mode::Backups {
                self.back_up();
                // Nothing more can be asked of stores that have both shown what they wrote under one id.
                if self.world.has_parted() {
                    return self.world.stats.count(Branch::Parted);
                }
            }
        }
        self.heal();
        if self.mode == Mode::Members {
            self.part_with_who_left();
        }
        if self.mode == Mode::Liveness {
            self.part_with_two();
        }
        self.agree();
        if self.mode == Mode::Liveness && self.world.violation().is_none() {
            self.read_all();
            self.agree();
        }
        self.notice();
        if self.world.has_parted() {
            self.world.stats.count(Branch::Parted);
        } else if self.world.violation().is_none() {
            let first = (0..self.world.len()).find(|node| !self.world.is_on_edge(*node)).unwrap_or(0);
            self.world.settle_ledger(first);
            self.judge();
        }
    }

    /// All come to agree, but for those on the edge.
    fn agree(&mut self) {
        let is_bounded = self.mode == Mode::Liveness;
        let (before, held) = (self.world.core_bytes, if is_bounded { self.held_bytes() } else { 0 });
        let agrees = match self.mode {
            Mode::Parts => World::agrees_in_parts,
            _ if self.has_twins && self.has_copied => return self.agree_in_turn(),
            _ => World::agrees,
        };
        match self.world.run_until(HEALING, agrees) {
            Some(millis) => {
                let bytes = self.world.core_bytes - before;
                let stats = &mut self.world.stats;
                stats.healed_millis = stats.healed_millis.max(millis);
                stats.healed_bytes = stats.healed_bytes.max(bytes);
                if is_bounded {
                    let most = self.most_bytes(held.max(self.held_bytes()));
                    if bytes > most {
                        self.world.violated(format!("agreement took {bytes} bytes, more than {most}"));
                    }
                }
            }
            None if self.world.violation().is_none() && !self.world.has_parted() => {
                let report = self.report();
                self.world.violated(format!("no agreement {HEALING} ms after the last fault: {report}"));
            }
            None => {}
        }
    }

    /// The same where two go by one key. On slow links each may take from the other every session before anything is said in it; so, if they do
    /// not come to agree, now the one is away and now the other.
    fn agree_in_turn(&mut self) {
        const TOGETHER: u64 = 10_000;
        const TURNS: u32 = 3;
        if self.world.run_until(TOGETHER, World::agrees_with_twins).is_some() {
            return;
        }
        let twins = self.world.twins();
        for turn in 0..=TURNS {
            for &away in &twins {
                let is_over = |world: &World| world.violation().is_some() || world.has_parted();
                if turn == TURNS || is_over(&self.world) {
                    break;
                }
                for &twin in &twins {
                    self.world.call(twin, |engine, now| engine.isolate(now, twin == away));
                }
                let agrees = |world: &World| world.agrees_but(away);
                if self.world.run_until(HEALING, agrees).is_none() && !is_over(&self.world) {
                    let report = self.report();
                    self.world.violated(format!("no agreement with n{away} away: {report}"));
                }
            }
        }
        let is_over = self.world.violation().is_some() || self.world.has_parted();
        if !is_over && !self.world.is_level() {
            let report = self.report();
            self.world.violated(format!("no agreement after {TURNS} turns: {report}"));
        }
        for &twin in &twins {
            self.world.call(twin, |engine, now| engine.isolate(now, false));
        }
    }

    /// Who holds something else of a document than another, in the same version, finds that out.
    fn notice(&mut self) {
        let differing = std::mem::take(&mut self.world.differing);
        if differing.is_empty() || self.world.violation().is_some() || self.world.has_parted() {
            return;
        }
        self.world.run_until(HEALING, World::has_parted);
        let of = |world: &World, node, doc| world.runs(node).then(|| world.canonical(node, doc)).flatten();
        for doc in differing {
            let held: BTreeSet<Vec<u8>> = self.core().filter_map(|node| of(&self.world, node, doc)).collect();
            if held.len() > 1 && !self.world.has_parted() {
                self.world.violated(format!("nobody notices that {doc:?} is not the same everywhere"));
            }
        }
    }

    /// The nodes that agreement is asked of.
    fn core(&self) -> impl Iterator<Item = usize> {
        (0..self.world.len()).filter(|node| !self.world.is_on_edge(*node))
    }

    fn held_bytes(&self) -> u64 {
        self.world.held_bytes(self.core())
    }

    /// What agreement may cost in bytes: every two exchange everything that is `held` a few times, and talk; and to each something long may
    /// be under way that was taken back meanwhile.
    fn most_bytes(&self, held: u64) -> u64 {
        let core = self.core().count() as u64;
        core * (core - 1) * (2 * held + 64 * 1_024) + core * self.world.longest.saturating_sub(held)
    }

    /// Has all of the core read what they have on their disks only: what came for it meanwhile is taken in then.
    fn read_all(&mut self) {
        let core: Vec<usize> = self.core().filter(|node| self.world.runs(*node)).collect();
        for node in core {
            for document in self.world.engine(node).list() {
                if let Some(kind) = Kind::of(&document.type_name) {
                    // What cannot be read `judge` tells.
                    let _ = Drive::open_with(&mut self.world, node, |engine, now| {
                        kind.open(engine, now, &document.name, false)
                    });
                }
            }
        }
    }

    /// One member dies for good, and one is slow from now on.
    fn part_with_two(&mut self) {
        let (dead, slow) = (self.node(), self.node());
        let told = self.rng.random_ratio(1, 2);
        self.world.crash(dead, told, 0);
        self.slow(slow);
        self.world.put_on_edge(&[dead, slow]);
        self.world.doubt(&[dead, slow]);
    }

    /// Who has left and not come back keeps what only it has.
    fn part_with_who_left(&mut self) {
        let has_left = |node: &usize| self.world.runs(*node) && self.world.engine(*node).has_left();
        let left: Vec<usize> = (0..self.world.len()).filter(has_left).collect();
        if !left.is_empty() {
            self.world.put_on_edge(&left);
            self.world.doubt(&left);
        }
    }

    /// Backups are made, disks are set back to them, and copies are started.
    fn back_up(&mut self) {
        let node = self.node();
        let may_be_kept = |world: &World, node: usize| {
            // Of who has written what nobody has seen, a copy would say so a second time.
            world.runs(node)
                && !world.engine(node).is_apart()
                && world.engine(node).status().in_sync == Some(true)
        };
        match self.rng.random_range(0..60) {
            0..12 if may_be_kept(&self.world, node) => {
                let image = self.world.disk(node).store.image();
                self.images[node].push((self.world.branch(node), image));
            }
            12 | 13 if !self.images[node].is_empty() => {
                let at = self.rng.random_range(0..self.images[node].len());
                let (of, image) = self.images[node].swap_remove(at);
                self.return_to(node, of, image);
            }
            14 | 15 if may_be_kept(&self.world, node) => {
                let spare = self.world.len() - 1;
                if !self.world.runs(spare) && !self.has_copied {
                    self.has_copied = true;
                    if self.has_twins {
                        self.world.start_twin(spare, node);
                    } else {
                        self.world.start_copy(spare, node);
                    }
                }
            }
            _ => {}
        }
    }

    /// A node goes on with an older image of its disk, alone for a while, and meets the others when nothing else is wrong: what
    /// two continuations have both shown cannot be mended.
    fn return_to(&mut self, node: usize, of: u64, image: MemoryStore) {
        let alone = self.rng.random_ratio(1, 2);
        self.world.roll_back(node, of, image);
        self.open[node].clear();
        if alone {
            self.world.call(node, |engine, now| engine.isolate(now, true));
            for _ in 0..self.rng.random_range(1..12) {
                let pause = self.rng.random_range(0..200);
                self.world.run_for(pause);
                self.work();
                self.write_somewhere(node);
            }
        }
        self.heal();
        if self.rng.random_ratio(1, 3) {
            let (pause, lands) = (self.rng.random_range(0..400), self.rng.random_range(0..3));
            self.world.run_for(pause);
            self.world.crash(node, true, lands);
            self.start(node);
            self.world.call(node, |engine, now| engine.isolate(now, false));
        }
        self.agree();
        if self.world.violation().is_none() {
            self.world.settle_ledger(0);
        }
    }

    fn write_somewhere(&mut self, node: usize) {
        if let Some(&kind) = self.tastes[node].first() {
            let name = NAMES[self.rng.random_range(0..NAMES.len())];
            self.write(node, kind, name);
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
        let names = if self.is_bulky { 1 } else { NAMES.len() };
        let name = NAMES[self.rng.random_range(0..names)];
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
            20..40 if self.is_tight => {
                if let Some(doc) = self.open[node].remove(&(kind, name)) {
                    self.world.hide(node, doc);
                    self.world.call(node, |engine, _| while engine.close(doc) {});
                }
            }
            _ => self.write(node, kind, name),
        }
    }

    /// Whether all know each other, by some way. Who is known to nobody is not waited for before a removal is forgotten, and what it
    /// writes meanwhile wins over that (decision 0025); so it writes nothing where that would be seen.
    fn have_all_met(&mut self) -> bool {
        for node in (0..self.world.len()).filter(|node| self.world.runs(*node)) {
            let proved = self.world.engine(node).status().peers;
            let others = proved.iter().filter_map(|peer| self.world.index_of(peer.peer));
            self.met.extend(others.map(|other| (node.min(other), node.max(other))));
        }
        let mut known = BTreeSet::from([0]);
        while let Some(&(one, other)) =
            self.met.iter().find(|(one, other)| known.contains(one) != known.contains(other))
        {
            known.extend([one, other]);
        }
        // One more than that is started on a copy some day.
        known.len() + usize::from(self.mode == Mode::Backups) >= self.world.len()
    }

    fn write(&mut self, node: usize, kind: Kind, name: &'static str) {
        // What is written to a document before it has been fetched again wins as well.
        if kind == Kind::Guests && (!self.have_all_met() || self.changed.contains(&node)) {
            return;
        }
        let doc = match self.open[node].get(&(kind, name)) {
            Some(doc) => *doc,
            None => {
                let Some(doc) = self.world.open_kind(node, kind, name, true) else { return };
                self.open[node].insert((kind, name), doc);
                doc
            }
        };
        if self.is_bulky && self.rng.random_ratio(1, 5) {
            self.write_bulk(node, (kind, name), doc);
        }
        let transactions = if self.rng.random_ratio(1, 10) { self.rng.random_range(1..40) } else { 1 };
        for _ in 0..transactions {
            let count = if self.rng.random_ratio(1, 4) { self.rng.random_range(0..5) } else { 1 };
            let ops = (0..count).filter_map(|_| self.op(node, kind)).collect();
            let fails = self.rng.random_ratio(1, 30);
            self.world.write_kind(node, (kind, name), doc, ops, fails);
        }
    }

    /// Hundreds of elements come or go in one transaction.
    fn write_bulk(&mut self, node: usize, (kind, name): (Kind, &'static str), doc: DocId) {
        let [_, [field, ..], _, _, _] = kind.fields() else { return };
        let Some(reading) = self.world.read_kind(node, kind, doc) else { return };
        let Some(Value::Elements(there)) = reading.get(field) else { return };
        let ops: Vec<Op> = if there.len() < 400 {
            let (batch, count) = (self.world.now(), self.rng.random_range(200..2_000));
            (0..count).map(|at| Op::Insert(field, format!("{batch}-{node}-{at}"))).collect()
        } else {
            self.world.stats.count(Branch::Bulk);
            // A scattered few, every other, or nearly all.
            let share = [1, 50, 85][self.rng.random_range(0..3)];
            let gone = there.iter().filter(|_| self.rng.random_range(0..100) < share);
            gone.map(|element| Op::Remove(field, element.clone())).collect()
        };
        self.world.write_kind(node, (kind, name), doc, ops, false);
    }

    fn op(&mut self, node: usize, kind: Kind) -> Option<Op> {
        let [counters, sets, multis, latest, guarded] = kind.fields();
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
        for field in guarded {
            let shared = format!("e{}", self.rng.random_range(0..6));
            ops.push(if self.rng.random() { Op::Insert(field, shared) } else { Op::Remove(field, shared) });
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
        self.world.longest = self.world.longest.max(length as u64);
        if length > 0 { format!("{start}{}", "x".repeat(length)) } else { start }
    }

    fn fault(&mut self) {
        let (node, other) = (self.node(), self.node());
        if self.mode == Mode::Members && self.rng.random_ratio(1, 4) {
            return self.belonging(node, other);
        }
        match self.rng.random_range(0..31) {
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
                let spare = if self.mode == Mode::Backups && !self.has_copied {
                    self.world.len() - 1
                } else {
                    usize::MAX
                };
                down.into_iter().filter(|&node| node != spare).for_each(|node| self.start(node));
            }
            16 => {
                let refusals = self.rng.random_range(1..4);
                self.world.note(|_| format!("disk of n{node} refuses {refusals} times"));
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
                self.world.call(node, |engine, now| engine.isolate(now, isolated || engine.has_left()));
            }
            23 | 24 => {
                self.world.stats.count(Branch::OneWay);
                self.world.set_way(node, other, LinkState::Silent);
            }
            25 => self.parts(),
            26 | 27 if node != other => {
                self.world.stats.count(Branch::Flap);
                let (times, millis) = (self.rng.random_range(1..6), self.rng.random_range(1..600));
                self.world.flap(node, other, times, millis);
            }
            28 => self.slow(node),
            29 => {
                let reads = self.rng.random_range(1..4);
                self.world.disk(node).fail_reads(reads);
            }
            _ if self.rng.random() => self.world.gossip = gossip_weather(&mut self.rng),
            _ => {
                self.world.call(node, |engine, now| engine.handle(now, Input::NetworkChanged));
            }
        }
    }

    /// Somebody leaves the space, joins it again, or is released.
    fn belonging(&mut self, node: usize, other: usize) {
        let has_left = self.world.runs(node) && self.world.engine(node).has_left();
        match self.rng.random_range(0..4) {
            0 | 1 if has_left => self.join_again(node),
            0 if self.world.runs(node) => {
                self.world.note(|_| format!("n{node} leaves"));
                self.world.stats.count(Branch::Left);
                self.world.not_waited_for(node);
                self.world.call(node, |engine, now| engine.leave(now));
                // It tells the others, if there is time.
                let telling = self.rng.random_range(0..2_000);
                self.world.run_for(telling);
                self.world.call(node, |engine, now| engine.isolate(now, engine.has_left()));
            }
            2 | 3 => {
                let peer = self.world.peer(other);
                self.world.note(|_| format!("n{node} releases n{other}"));
                self.world.is_releasing = true;
                self.world.call(node, |engine, now| engine.release(now, peer));
                self.world.is_releasing = false;
            }
            _ => {}
        }
    }

    /// A member that has left is started with a ticket of the space.
    fn join_again(&mut self, node: usize) {
        self.world.stats.count(Branch::Rejoined);
        self.world.crash(node, true, 0);
        self.world.join_again(node);
        self.start(node);
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

    /// Cuts the network into parts of which some members stand in two.
    fn parts(&mut self) {
        self.world.stats.count(Branch::Partial);
        let parts = self.rng.random_range(2..=3);
        let mut part = || (self.rng.random_range(0..parts), self.rng.random_ratio(1, 4));
        let of: Vec<(u32, bool)> = (0..self.world.len()).map(|_| part()).collect();
        let state = if self.rng.random() { LinkState::Cut } else { LinkState::Silent };
        for a in 0..of.len() {
            for b in 0..a {
                // Who stands in two parts stands in the next one as well.
                let next = |(part, in_two): (u32, bool)| if in_two { (part + 1) % parts } else { part };
                let meet = of[a].0 == of[b].0 || next(of[a]) == of[b].0 || of[a].0 == next(of[b]);
                self.world.set_link(a, b, if meet { LinkState::Up } else { state });
            }
        }
    }

    /// A member on the other side of a telephone line.
    fn slow(&mut self, node: usize) {
        self.world.stats.count(Branch::SlowPeer);
        let (latency, bandwidth) = (self.rng.random_range(100..1_500), self.rng.random_range(2..30));
        for other in (0..self.world.len()).filter(|other| *other != node) {
            self.world.set_latency(node, other, latency, latency / 4);
            self.world.set_bandwidth(node, other, bandwidth);
        }
    }

    fn around(&mut self, node: usize, state: LinkState) {
        (0..self.world.len()).for_each(|other| self.world.set_link(node, other, state));
    }

    fn start_if_down(&mut self, node: usize) {
        if !self.world.runs(node) {
            self.start(node);
        }
    }

    fn start(&mut self, node: usize) {
        self.open[node].clear();
        if self.mode == Mode::Parts && self.rng.random_ratio(1, 2) {
            let subscription = self.mode.subscription(&mut self.rng);
            self.world.note(|_| format!("n{node} wants {:?}", subscription.prefixes()));
            self.changed.insert(node);
            self.world.nodes[node].options.subscription = subscription;
        }
        self.world.start(node);
        // Who has left is started offline.
        self.world.call(node, |engine, now| engine.isolate(now, engine.has_left()));
    }

    /// Everything works again, except that gossip may stay as it is.
    fn heal(&mut self) {
        self.world.note(|_| "everything is healed".to_owned());
        self.world.frames = FrameWeather::default();
        self.world.corrupt = 0;
        self.world.crashing_commits = 0;
        self.world.stop_flapping();
        for node in 0..self.world.len() {
            self.world.disk(node).store.set_full(false);
            self.world.disk(node).store.fail_next(0);
            self.world.set_disk_latency(node, 1, 3);
            self.around(node, LinkState::Up);
            for other in 0..node {
                self.world.set_bandwidth(node, other, 10_000);
                self.world.shorten(node, other, 150);
            }
            self.world.disk(node).fail_reads(0);
            // What was never started may wait for the copy that it will be.
            if self.mode != Mode::Backups || node + 1 < self.world.len() || self.has_copied {
                self.start_if_down(node);
            }
            let may_join = self.world.runs(node) && self.world.engine(node).has_left();
            if may_join && self.rng.random() {
                self.join_again(node);
            }
            self.world.call(node, |engine, now| engine.isolate(now, engine.has_left()));
            // Who holds a part passes nothing else on.
            let peers =
                (0..self.world.len()).filter(|_| self.mode == Mode::Parts).map(|node| self.world.peer(node));
            for peer in peers.collect::<Vec<_>>() {
                self.world.call(node, |engine, now| engine.block(now, peer, false));
            }
        }
    }

    /// Everybody agrees; on what?
    fn judge(&mut self) {
        let expected = self.world.ledger.listed();
        let is_meant = |node: &usize| self.world.runs(*node) && !self.world.is_on_edge(*node);
        let core: Vec<usize> = (0..self.world.len()).filter(is_meant).collect();
        for node in core {
            self.world.compare_all(node);
            let list = self.world.engine(node).list();
            let found: BTreeSet<String> =
                list.iter().map(|listed| format!("{}|{}", listed.name, listed.type_name)).collect();
            if expected != found {
                if self.world.ledger.may_list(&found) {
                    return self.world.stats.count(Branch::Reused);
                }
                return self.world.violated(format!("n{node} lists {found:?}, not {expected:?}"));
            }
            for document in list {
                let Some(kind) = Kind::of(&document.type_name) else { continue };
                let is_wanted = self.world.engine(node).subscription().includes(&document.name);
                if is_wanted && expected.contains(&listed(kind, &document.name)) {
                    self.judge_document(node, kind, &document.name, document.id);
                }
            }
            let engine = self.world.engine(node);
            let status = engine.held_documents().filter_map(|doc| engine.document_status(doc));
            let waiting: usize = status.map(|status| status.pending).sum();
            // All agree by now, so nobody has what they wait for. It may be with those who are gone, or have been on a disk that was
            // set back.
            let may_wait = matches!(self.mode, Mode::Liveness | Mode::Members)
                || self.world.stats().branch(Branch::SetBack) > 0;
            if waiting > 0 && !may_wait {
                self.world.violated(format!("{waiting} deltas still wait at n{node}"));
            }
        }
    }

    fn judge_document(&mut self, node: usize, kind: Kind, name: &str, id: DocId) {
        let opened =
            Drive::open_with(&mut self.world, node, |engine, now| kind.open(engine, now, name, false));
        if !matches!(opened, Some(Ok(Some(opened))) if opened == id) {
            return self.world.violated(format!("n{node} cannot open {name}: {opened:?}"));
        }
        let (found, expected) = (self.world.read_kind(node, kind, id), self.world.ledger.expected(id, kind));
        if found.as_ref() != Some(&expected) {
            if found.as_ref().is_some_and(|found| self.world.ledger.may_have_again(id, kind, found)) {
                return self.world.stats.count(Branch::Late);
            }
            if found.as_ref().is_some_and(|found| self.world.ledger.may_say(id, kind, found)) {
                return self.world.stats.count(Branch::Reused);
            }
            self.world.violated(format!("{name} ({kind:?}) at n{node} says {found:?}, not {expected:?}"));
        }
    }

    /// Why there is no agreement, node by node.
    fn report(&self) -> String {
        let mut report = String::new();
        for node in (0..self.world.len()).filter(|node| self.world.runs(*node)) {
            let engine = self.world.engine(node);
            let status = engine.status();
            report += &format!(
                "\n  n{node} wants {:?}, ready with {:?}, in sync {:?}, apart {}:",
                status.subscription.prefixes(),
                self.world.ready(node),
                status.in_sync,
                engine.is_apart()
            );
            for peer in &status.peers {
                let who = self.world.index_of(peer.peer).unwrap_or(usize::MAX);
                report +=
                    &format!(" (n{who}: {}, lag {:?}, behind {:?})", peer.in_sync, peer.lag, peer.behind);
            }
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

fn gossipsub(rng: &mut impl Rng) -> Gossipsub {
    let mut gossipsub = Gossipsub::default();
    if rng.random_ratio(1, 3) {
        gossipsub.swallowed = rng.random_range(0..30);
    }
    if rng.random_ratio(1, 3) {
        gossipsub.deaf_millis = rng.random_range(0..20_000);
    }
    if rng.random_ratio(1, 3) {
        gossipsub.poisoned = rng.random_range(0..30);
    }
    if rng.random_ratio(1, 3) {
        gossipsub.cap = rng.random_range(60..2_000);
    }
    if rng.random_ratio(1, 3) {
        gossipsub.burst = rng.random_range(1..6);
    }
    gossipsub
}

fn gossip_weather(rng: &mut impl Rng) -> GossipWeather {
    GossipWeather {
        delivered: [0, 30, 80, 100][rng.random_range(0..4)],
        duplicates: rng.random_range(0..20),
        spread: [0, 5, 200][rng.random_range(0..3)],
    }
}
