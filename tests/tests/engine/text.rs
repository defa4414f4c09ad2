//! One line that three type in and delete of while nobody hears them, and one loses some of it in a crash: what is read in the end is what Fugue
//! makes of all that is left, and what is deleted is forgotten.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{Delta, Mut, Replica, ReplicaId, Since, Text};
use tombolo_sync::DocId;
use tombolo_sync::engine::Forgetting;
use tombolo_sync::engine::wire::{ContentKind, Frame};
use tombolo_tests::model::order::{Fugue, Ghosts};
use tombolo_tests::sim::{LinkState, NodeOptions, World};

/// Who crashes.
const CRASHES: usize = 1;
const FORGETTING: Forgetting = Forgetting { least: 1, pause: 1_000, silence: None };

struct Line {
    world: World,
    notes: DocId,
    random: ChaCha8Rng,
    /// All that was typed and deleted, letter by letter.
    model: Fugue,
    events: usize,
    /// Which of that each node has done or heard of.
    seen: [BTreeSet<usize>; 3],
    /// The same writes without engines, and all changes that came of them, by who made them.
    alone: [Replica<Text>; 3],
    deltas: [Vec<Delta<Text>>; 3],
}

/// The letter that an event types.
fn letter(event: usize) -> char {
    char::from_u32(0x4e00 + event as u32).unwrap()
}

impl Line {
    /// All three hold the same line, and hear nothing of one another any more.
    fn new(seed: u64) -> Self {
        let options = NodeOptions { forgetting: FORGETTING, ..NodeOptions::default() };
        let mut world = World::with_options((0..3).map(|_| options.clone()), seed);
        world.connect_all();
        let notes = world.open::<Text>(0, "notes");
        let mut line = Self {
            alone: [0, 1, 2].map(|node| Replica::new(world.engine(node).replica())),
            world,
            notes,
            random: ChaCha8Rng::seed_from_u64(seed),
            model: Fugue::new(Ghosts::All),
            events: 0,
            seen: Default::default(),
            deltas: Default::default(),
        };
        line.insert(0, 0, 20);
        line.seen = [0, 1, 2].map(|_| line.seen[0].clone());
        for node in 1..3 {
            line.alone[node].merge(line.deltas[0][0].clone()).unwrap();
        }
        line.world.run_until_agreed(10_000);
        (1..3).for_each(|node| _ = line.world.open::<Text>(node, "notes"));
        line.set_links(LinkState::Cut);
        line
    }

    fn set_links(&mut self, state: LinkState) {
        [(0, 1), (0, 2), (1, 2)].into_iter().for_each(|(a, b)| self.world.set_link(a, b, state));
    }

    fn author(&self, node: usize) -> ReplicaId {
        self.world.engine(node).replica()
    }

    /// By the engine, and without it.
    fn write(&mut self, node: usize, write: impl Fn(&mut Mut<'_, Text>)) {
        self.world.update::<Text, _>(node, self.notes, &write);
        let delta = self.alone[node].update(&write).1;
        self.deltas[node].push(delta);
        assert_eq!(self.read(node), self.alone[node].to_string());
    }

    fn insert(&mut self, node: usize, at: usize, count: usize) {
        let (first, author) = (self.events, self.author(node));
        self.events += count;
        for event in first..self.events {
            self.model.insert(event, author, at + event - first, &self.seen[node]);
            self.seen[node].insert(event);
        }
        let letters: String = (first..self.events).map(letter).collect();
        self.write(node, |text| text.insert(at, &letters).unwrap());
    }

    fn delete(&mut self, node: usize, at: usize, count: usize) {
        let first = self.events;
        self.events += count;
        for event in first..self.events {
            self.model.delete(event, at, &self.seen[node]);
            self.seen[node].insert(event);
        }
        self.write(node, |text| text.delete(at..at + count).unwrap());
    }

    /// Something at some place, and some time passes.
    fn type_on(&mut self, node: usize, writes: usize) {
        for _ in 0..writes {
            let len = self.alone[node].len();
            let at = self.random.random_range(0..=len);
            let count = self.random.random_range(1..=4);
            if self.random.random_bool(0.4) {
                self.delete(node, at, count.min(len - at));
            } else {
                self.insert(node, at, count);
            }
            let pause = self.random.random_range(0..80);
            self.world.run_for(pause);
        }
    }

    fn read(&self, node: usize) -> String {
        self.world.read::<Text, _>(node, self.notes, |text| text.to_string())
    }

    /// What a node reads by the model.
    fn expected(&self, node: usize) -> String {
        self.model.read(&self.seen[node]).into_iter().map(letter).collect()
    }

    /// One crashes in the middle of writing, and starts again; yields how many of its last writes are lost, and how many are not.
    fn crash(&mut self, writes: usize) -> (usize, usize) {
        self.world.set_disk_latency(CRASHES, 100, 100);
        let version = |line: &Self| line.world.engine(CRASHES).document_status(line.notes).unwrap().version;
        let (before, known) = (self.deltas[CRASHES].len(), self.seen[CRASHES].clone());
        let mut versions = vec![(version(self), self.events, known)];
        for _ in 0..writes {
            self.type_on(CRASHES, 1);
            versions.push((version(self), self.events, self.seen[CRASHES].clone()));
        }
        let lands = self.random.random_range(0..3);
        self.world.crash(CRASHES, true, lands);
        self.world.run_for(500);
        self.world.start(CRASHES);
        self.world.open::<Text>(CRASHES, "notes");
        let left = version(self);
        let kept =
            versions.iter().position(|(version, ..)| *version == left).expect("some of its writes are left");
        let (_, events, seen) = versions.swap_remove(kept);
        // What is lost has not happened. It was the last.
        self.model.undo(events);
        self.seen[CRASHES] = seen;
        self.deltas[CRASHES].truncate(before + kept);
        let mut alone = Replica::<Text>::new(self.author(CRASHES));
        for delta in self.deltas[0][..1].iter().chain(&self.deltas[CRASHES]) {
            alone.merge(delta.clone()).unwrap();
        }
        self.alone[CRASHES] = alone;
        // What was deleted before is in its sight only where something hangs on it.
        self.model.see(Ghosts::HungOn);
        self.model.begin(&self.seen[CRASHES]);
        (writes - kept, kept)
    }

    /// All changes, by one who was never there, in some order.
    fn replayed(&mut self) -> Replica<Text> {
        let mut all = Replica::<Text>::new(ReplicaId::from_bytes([0x99; 16]));
        let mut left = self.deltas.clone().map(|mut deltas| {
            deltas.reverse();
            deltas
        });
        while left.iter().any(|deltas| !deltas.is_empty()) {
            let of = self.random.random_range(0..3);
            let Some(delta) = left[of].pop() else { continue };
            if all.version().dominates(&delta.deps()) {
                all.merge(delta).unwrap();
            } else {
                left[of].push(delta);
            }
        }
        all
    }
}

#[test]
fn a_line_in_which_three_write_unheard_and_one_crashes_is_the_same_everywhere_and_what_is_deleted_of_it_forgotten()
 {
    let (mut lost, mut kept) = (0, 0);
    for seed in 1..=12 {
        let mut line = Line::new(seed);
        line.type_on(0, 12);
        line.type_on(2, 12);
        let crash = line.crash(12);
        (lost, kept) = (lost + crash.0, kept + crash.1);
        assert_eq!(line.read(CRASHES), line.expected(CRASHES), "after a crash, seed {seed}");
        line.type_on(CRASHES, 6);
        line.model.end();

        // All hear of all.
        line.set_links(LinkState::Up);
        line.world.run_until_agreed(30_000);
        let all: BTreeSet<usize> = line.seen.iter().flatten().copied().collect();
        line.seen = [0, 1, 2].map(|_| all.clone());
        let replayed = line.replayed();
        for node in 0..3 {
            assert_eq!(line.read(node), line.expected(node), "n{node}, seed {seed}");
            assert_eq!(line.read(node), replayed.to_string(), "n{node}, seed {seed}");
            // Something may have been forgotten already, which is a write.
            let version = line.world.engine(node).document_status(line.notes).unwrap().version;
            assert!(version.dominates(&replayed.version()), "n{node}, seed {seed}");
        }

        // One deletes most of it; and once all know it nothing is left of what is gone.
        line.alone = line.alone.map(|alone| {
            let id = alone.id();
            let mut all = Replica::<Text>::new(id);
            all.merge(replayed.state()).unwrap();
            all
        });
        let by = line.random.random_range(0..3);
        let len = line.alone[by].len();
        line.delete(by, 3, len - 6);
        let before = line.world.engine(by).garbage(line.notes).unwrap();
        let read = line.expected(by);
        line.world.run_for(30_000);
        line.world.run_until_agreed(10_000);
        assert!(line.world.agrees());
        for node in 0..3 {
            assert_eq!(line.read(node), read, "forgetting is seen at n{node}, seed {seed}");
            let left = line.world.engine(node).garbage(line.notes).unwrap();
            assert_eq!(
                (left.removals, left.letters, left.history_bytes, left.waiting),
                (0, 6, 0, 0),
                "n{node}, seed {seed}"
            );
            assert!(left.items < before.items, "of {before:?} {left:?} is left");
            assert_eq!(line.world.canonical(node, line.notes), line.world.canonical(0, line.notes));
        }
    }
    assert!(lost > 12 && kept > 12, "{lost} writes were lost in crashes and {kept} were not");
}

/// Two type while one of them is away, and the other deletes most of what there was, until nobody remembers what. Then the one who was away is
/// told by what is alive: what it typed within what was deleted is there, in the place that all give it, and what was deleted is not.
#[test]
fn scenario_08_who_is_far_behind_of_a_text_loses_nothing_of_its_own_and_brings_nothing_back() {
    let mut repaired = 0;
    for seed in 1..=6 {
        let mut line = Line::new(seed);
        line.insert(0, 10, 300);
        line.set_links(LinkState::Up);
        line.world.run_until_agreed(10_000);
        line.seen = [0, 1, 2].map(|_| line.seen[0].clone());
        for to in 1..3 {
            let missing = line.deltas[0][1..].to_vec();
            missing.into_iter().for_each(|delta| _ = line.alone[to].merge(delta).unwrap());
        }
        line.set_links(LinkState::Cut);
        line.type_on(2, 30);
        let known = line.alone[2].version();

        line.delete(0, 5, 250);
        line.type_on(0, 10);
        let is_forgotten = |line: &Line| {
            line.world
                .read::<Text, _>(0, line.notes, |text| matches!(text.delta_since(&known), Since::Forgotten))
        };
        while !is_forgotten(&line) {
            line.insert(0, 0, 40);
            line.delete(0, 0, 40);
        }
        line.world.run_for(3_000);
        line.world.record();
        line.set_links(LinkState::Up);
        line.world.run_until_agreed(30_000);
        let told = |frame: &Frame| {
            let Frame::Content { kind, doc, .. } = frame else { return false };
            matches!(kind, ContentKind::Beyond | ContentKind::BeyondNamed) && *doc == line.notes
        };
        repaired += usize::from(line.world.sent().iter().any(|sent| told(&sent.frame)));
        let all: BTreeSet<usize> = line.seen.iter().flatten().copied().collect();
        line.seen = [0, 1, 2].map(|_| all.clone());
        for node in 0..3 {
            assert_eq!(line.read(node), line.expected(node), "n{node}, seed {seed}");
            assert_eq!(line.world.canonical(node, line.notes), line.world.canonical(0, line.notes));
        }
    }
    assert!(repaired > 2, "by what is alive {repaired} times, else as a whole");
}
