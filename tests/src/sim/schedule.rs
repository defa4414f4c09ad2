//! A random story from a seed: everything that can go wrong does, then everything is healed, and all must agree.

mod agreement;
mod faults;
mod setting;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use tombolo_sync::DocId;
use tombolo_sync::engine::Subscription;
use tombolo_sync::store::MemoryStore;

use super::kind::Kind;
use super::outcome::{Branch, Outcome, Stats};
use super::world::{Sabotage, World};

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

    /// The nodes that agreement is asked of.
    fn core(&self) -> impl Iterator<Item = usize> {
        (0..self.world.len()).filter(|node| !self.world.is_on_edge(*node))
    }

    fn node(&mut self) -> usize {
        self.rng.random_range(0..self.world.len())
    }
}
