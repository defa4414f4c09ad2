//! Forgetting where deleted text stood: it moves nothing that is read, and leaves little.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tombolo_crdt::{Bias, Delta, Limits, Merged, Mut, Replica, ReplicaId, Text, Version};

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

/// Writes and hearings of three, of whom some forget now and then.
#[derive(Debug, Clone)]
enum Step {
    /// By whom, where, and how many letters.
    Insert(usize, usize, usize),
    Delete(usize, usize, usize),
    /// Who hears from whom, and of how many of its writes.
    Hear(usize, usize, usize),
    Sweep(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, 0..40_usize, 1..4_usize).prop_map(|(by, at, count)| Step::Insert(by, at, count)),
        4 => (0..3_usize, 0..40_usize, 1..9_usize).prop_map(|(by, at, count)| Step::Delete(by, at, count)),
        8 => (0..3_usize, 0..3_usize, 1..5_usize).prop_map(|(by, of, count)| Step::Hear(by, of, count)),
        3 => (0..3_usize).prop_map(Step::Sweep),
    ]
}

#[derive(Default)]
struct World {
    replicas: Vec<Replica<Text>>,
    written: Vec<Vec<Delta<Text>>>,
    /// How much of each one's writes each has heard of.
    heard: [[usize; 3]; 3],
    /// How many letters there have been, no two alike.
    letters: u32,
    /// What was read right before what, anywhere at any time.
    order: BTreeSet<(char, char)>,
}

/// What is read right before what.
fn pairs(text: &Replica<Text>) -> Vec<(char, char)> {
    let text: Vec<char> = text.to_string().chars().collect();
    text.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

impl World {
    fn new() -> Self {
        let replicas = (1..4).map(|n| Replica::<Text>::new(id(n))).collect();
        Self { replicas, written: vec![vec![]; 3], ..Self::default() }
    }

    fn write(&mut self, by: usize, write: impl FnOnce(&mut Mut<'_, Text>)) {
        let delta = self.replicas[by].update(|text| write(text)).1;
        self.wrote(by, delta);
    }

    fn wrote(&mut self, by: usize, delta: Delta<Text>) {
        if !delta.is_empty() {
            self.written[by].push(delta);
            self.heard[by][by] += 1;
            self.order.extend(pairs(&self.replicas[by]));
        }
    }

    /// Hears of more of somebody's writes, as far as what they build on is known.
    fn hear(&mut self, by: usize, of: usize, count: usize) {
        let from = self.heard[by][of];
        let to = from.saturating_add(count).min(self.written[of].len());
        for delta in &self.written[of][from..to] {
            if !self.replicas[by].version().dominates(&delta.deps()) {
                return;
            }
            assert_eq!(self.replicas[by].merge(delta.clone()).unwrap(), Merged::Applied);
            self.heard[by][of] += 1;
            self.order.extend(pairs(&self.replicas[by]));
        }
    }

    /// What all know, as `at` may say it who has all that they wrote before they knew it.
    fn stable(&self, at: usize) -> Version {
        let has_all = (0..3).all(|of| self.heard[at][of] == self.written[of].len());
        let versions = self.replicas.iter().map(Replica::version);
        let all = versions.reduce(|all, one| all.meet(&one)).unwrap();
        if has_all { all } else { Version::new() }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Insert(by, at, count) => {
                let first = self.letters;
                self.letters += count as u32;
                let new: String =
                    (first..self.letters).map(|letter| char::from_u32(0x4e00 + letter).unwrap()).collect();
                self.write(by, |text| text.insert(at % (text.len() + 1), &new).unwrap());
            }
            Step::Delete(by, at, count) => self.write(by, |text| {
                let at = at % (text.len() + 1);
                text.delete(at..(at + count).min(text.len())).unwrap();
            }),
            Step::Hear(by, of, count) => self.hear(by, of, count),
            Step::Sweep(by) => {
                let before = self.replicas[by].to_string();
                let stable = self.stable(by);
                let delta = self.replicas[by].sweep(&stable);
                assert_eq!(self.replicas[by].to_string(), before);
                self.wrote(by, delta);
            }
        }
    }

    fn meet(&mut self) {
        while (0..9).any(|n| self.heard[n / 3][n % 3] < self.written[n % 3].len()) {
            (0..9).for_each(|n| self.hear(n / 3, n % 3, usize::MAX));
        }
        let bytes: Vec<_> = self.replicas.iter().map(Replica::encode).collect();
        assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]));
        // Who has it from bytes reads the same.
        let again = Replica::<Text>::decode(id(9), &bytes[0], &Limits::default()).unwrap();
        for replica in &self.replicas {
            assert_eq!(again.to_string(), replica.to_string());
        }
    }

    /// Whether letters stood in one order, always and everywhere: as they were put, and never moved.
    fn is_in_order(&self) -> bool {
        let mut before: BTreeMap<char, usize> = BTreeMap::new();
        let mut behind: BTreeMap<char, Vec<char>> = BTreeMap::new();
        for &(one, next) in &self.order {
            before.entry(one).or_default();
            *before.entry(next).or_default() += 1;
            behind.entry(one).or_default().push(next);
        }
        let mut free: Vec<char> =
            before.iter().filter(|(_, count)| **count == 0).map(|(one, _)| *one).collect();
        let mut placed = 0;
        while let Some(one) = free.pop() {
            placed += 1;
            for next in behind.remove(&one).unwrap_or_default() {
                let count = before.get_mut(&next).unwrap();
                *count -= 1;
                free.extend((*count == 0).then_some(next));
            }
        }
        placed == before.len()
    }
}

proptest! {
    /// Forgetting where deleted text stood moves nothing, whatever is written at the same time: what is frozen is hung on by nobody who knows
    /// it, and goes once all know.
    #[test]
    fn scenario_12_what_is_forgotten_of_deleted_text_moves_nothing(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        world.meet();
        // All know all: one looks, and again, and nothing is left to forget.
        for by in [0, 0, 1, 1] {
            world.step(&Step::Sweep(by));
            world.meet();
        }
        prop_assert_eq!(world.replicas[2].garbage().removals, 0);
        prop_assert!(world.is_in_order());
    }
}

#[test]
fn what_was_typed_and_deleted_again_is_forgotten() {
    let mut world = World::new();
    for round in 0..60 {
        let by = round % 3;
        world.step(&Step::Insert(by, round * 7, 3));
        world.step(&Step::Insert(by, round * 11, 2));
        world.step(&Step::Delete(by, round * 5, 5));
        (0..9).for_each(|n| world.hear(n / 3, n % 3, usize::MAX));
        world.step(&Step::Sweep(by));
        world.meet();
    }
    world.write(0, |text| text.clear());
    world.meet();
    let before = world.replicas[2].garbage();
    for _ in 0..2 {
        world.step(&Step::Sweep(1));
        world.meet();
    }
    // What is left are the last runs, and those they hang on.
    let left = world.replicas[2].garbage();
    assert_eq!(left.removals, 0);
    assert!(left.items < before.items * 2 / 3, "of {before:?} {left:?} is left");
    assert!(world.is_in_order());
}

#[test]
fn scenario_13_what_who_was_released_hung_on_what_is_gone_is_there_and_the_same_everywhere() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("The tide falls slowly."));
    let _ = ann.update(|text| text.insert(9, "turns and ").unwrap());
    let mut bob = ann.fork(id(2));
    let mut cem = ann.fork(id(3));
    // Bob is away, and types within what the others delete and forget, and behind that.
    let _ = bob.update(|text| text.insert(14, "(as ever) ").unwrap());
    let _ = bob.update(|text| text.insert(text.len(), " Noon.").unwrap());
    let _ = ann.update(|text| text.delete(9..19).unwrap());
    let _ = ann.update(|text| text.insert(4, "spring ").unwrap());
    cem.merge(ann.state()).unwrap();
    // As if bob had been released.
    for _ in 0..2 {
        assert!(!ann.sweep(&cem.version()).is_empty());
        cem.merge(ann.state()).unwrap();
    }
    assert_eq!(cem.garbage().removals, 0);
    // He returns: nothing that he wrote is lost, nothing that was deleted is back, and all read the same.
    let (theirs, his) = (ann.state(), bob.state());
    bob.merge(theirs).unwrap();
    ann.merge(his.clone()).unwrap();
    cem.merge(his).unwrap();
    for replica in [&ann, &bob, &cem] {
        let text = replica.to_string();
        let parts = ["(as ever) ", "The spring tide falls slowly.", " Noon."];
        assert!(parts.iter().all(|part| text.contains(part)) && !text.contains("turns"), "{text}");
        assert_eq!((replica.encode(), text), (ann.encode(), ann.to_string()));
    }
}

#[test]
fn a_cursor_stays_where_it_is_when_the_letter_under_it_is_forgotten() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("The tide falls."));
    let _ = ann.update(|text| text.insert(4, "spring ").unwrap());
    let _ = ann.update(|text| text.push(" Noon."));
    let cursors = [Bias::Before, Bias::After].map(|bias| [4, 7, 11].map(|at| ann.cursor(at, bias).unwrap()));
    let _ = ann.update(|text| text.delete(4..11).unwrap());
    let _ = ann.update(|text| text.insert(0, "So: ").unwrap());
    let stand = |ann: &Replica<Text>| cursors.map(|cursors| cursors.map(|cursor| ann.find(&cursor)));
    assert_eq!(stand(&ann), [[Some(8); 3]; 2]);
    while !ann.sweep(&ann.version()).is_empty() {}
    // Of the one in the middle all is gone that it kept to.
    assert_eq!(stand(&ann), [[Some(8), None, Some(8)]; 2]);
}
