//! What goes wrong in a random run.

use rand::RngExt;
use tombolo_sync::engine::Input;
use tombolo_sync::store::MemoryStore;

use super::setting::gossip_weather;
use super::{Mode, Player};
use crate::sim::outcome::Branch;
use crate::sim::world::World;
use crate::sim::{FrameWeather, LinkState};

impl Player {
    /// Backups are made, disks are set back to them, and copies are started.
    pub(super) fn back_up(&mut self) {
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

    pub(super) fn fault(&mut self) {
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
    pub(super) fn slow(&mut self, node: usize) {
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
    pub(super) fn heal(&mut self) {
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
}
