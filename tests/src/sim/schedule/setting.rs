//! How a random run begins: who is there, what they are connected by, and what goes wrong there.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombolo_sync::engine::{DEFAULT_DIRECT, DEFAULT_MEMORY, Forgetting, Mistake, Subscription};

use super::{Mode, Player, Schedule};
use crate::sim::kind::Kind;
use crate::sim::world::{Sabotage, World};
use crate::sim::{FrameWeather, GossipWeather, Gossipsub, NodeOptions};

impl Player {
    pub(super) fn new(schedule: Schedule) -> Self {
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

pub(super) fn gossip_weather(rng: &mut impl Rng) -> GossipWeather {
    GossipWeather {
        delivered: [0, 30, 80, 100][rng.random_range(0..4)],
        duplicates: rng.random_range(0..20),
        spread: [0, 5, 200][rng.random_range(0..3)],
    }
}
