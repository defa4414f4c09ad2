//! Forgetting where deleted text stood: it moves nothing that is read, and leaves little.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tombolo_crdt::{AddWinsMap, Bias, Delta, Limits, Merged, Mut, Replica, ReplicaId, Text, Version};

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
    /// The versions that each has had.
    past: Vec<Vec<Version>>,
}

/// What is read right before what.
fn pairs(text: &Replica<Text>) -> Vec<(char, char)> {
    let text: Vec<char> = text.to_string().chars().collect();
    text.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

impl World {
    fn new() -> Self {
        let replicas = (1..4).map(|n| Replica::<Text>::new(id(n))).collect();
        Self { replicas, written: vec![vec![]; 3], past: vec![vec![]; 3], ..Self::default() }
    }

    fn write(&mut self, by: usize, write: impl FnOnce(&mut Mut<'_, Text>)) {
        let delta = self.replicas[by].update(|text| write(text)).1;
        self.wrote(by, delta);
    }

    fn wrote(&mut self, by: usize, delta: Delta<Text>) {
        if !delta.is_empty() {
            self.written[by].push(delta);
            self.heard[by][by] += 1;
            self.note(by);
        }
    }

    fn note(&mut self, by: usize) {
        self.order.extend(pairs(&self.replicas[by]));
        self.past[by].push(self.replicas[by].version());
    }

    /// Hears of more of somebody's writes, as far as what they build on is known.
    fn hear(&mut self, by: usize, of: usize, count: usize) {
        let from = self.heard[by][of];
        let to = from.saturating_add(count).min(self.written[of].len());
        let news = self.written[of][from..to].to_vec();
        for delta in news {
            if !self.replicas[by].version().dominates(&delta.deps()) {
                return;
            }
            assert_eq!(self.replicas[by].merge(delta).unwrap(), Merged::Applied);
            self.heard[by][of] += 1;
            self.note(by);
        }
    }

    /// What all know, as `at` may say it: of each the latest version of which it has all.
    fn stable(&self, at: usize) -> Version {
        let here = self.replicas[at].version();
        let told = |past: &Vec<Version>| past.iter().rev().find(|version| here.dominates(version)).cloned();
        let told = self.past.iter().map(|past| told(past).unwrap_or_default());
        told.reduce(|all, one| all.meet(&one)).unwrap()
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

/// Two who forget at once, one of whom knows less: what one has named is not let go of while it stands and the other may be about to.
#[test]
fn scenario_12_two_who_forget_at_once_move_nothing() {
    let mut all: Vec<Replica<Text>> = (1..4).map(|n| Replica::new(id(n))).collect();
    let take = |all: &mut Vec<Replica<Text>>, from: usize, to: &[usize]| {
        let state = all[from].state();
        to.iter().for_each(|&to| _ = all[to].merge(state.clone()).unwrap());
    };
    let _ = all[0].update(|text| text.push("ab"));
    let _ = all[0].update(|text| text.insert(1, "H").unwrap());
    take(&mut all, 0, &[1, 2]);
    let hidden = [
        all[1].update(|text| text.insert(2, "G").unwrap()).1,
        all[1].update(|text| text.insert(0, "?").unwrap()).1,
    ];
    let mut known = vec![all[0].update(|text| text.push("!")).1];
    known.push(all[0].update(|text| text.delete(1..2).unwrap()).1);
    known.push(all[0].sweep(&Version::new()));
    let named = all[0].version();
    let mut his = hidden.to_vec();
    his.push(all[1].update(|text| text.delete(3..4).unwrap()).1);
    his.push(all[1].sweep(&Version::new()));
    for delta in known {
        let _ = (all[1].merge(delta.clone()).unwrap(), all[2].merge(delta).unwrap());
    }
    his.iter().for_each(|delta| _ = all[0].merge(delta.clone()).unwrap());
    // Ann knows that all know what she named; bob a little later that all know what both named.
    let hers = all[0].sweep(&named);
    his.iter().for_each(|delta| _ = all[2].merge(delta.clone()).unwrap());
    let both: Version =
        [(id(1), named.get(id(1))), (id(2), all[1].version().get(id(2)))].into_iter().collect();
    let his = all[1].sweep(&both);
    assert!(!his.is_empty());
    assert_eq!(all[0].to_string(), "?ab!");
    let typed = all[0].update(|text| text.insert(2, "w").unwrap()).1;
    assert_eq!(all[0].to_string(), "?awb!");
    let _ = (
        all[0].merge(his.clone()).unwrap(),
        all[1].merge(hers.clone()).unwrap(),
        all[1].merge(typed.clone()).unwrap(),
    );
    for delta in [hers, his, typed] {
        let _ = all[2].merge(delta).unwrap();
    }
    for replica in &all {
        assert_eq!((replica.to_string(), replica.encode()), ("?awb!".into(), all[0].encode()));
    }
}

#[test]
fn an_edit_of_a_copy_stands_where_it_was_made_when_the_letter_before_it_is_forgotten() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("Hello"));
    let _ = ann.update(|text| text.insert(0, "X").unwrap());
    let _ = ann.update(|text| text.push("!"));
    let edit = ann.snapshot().edited("XYHello!");
    let _ = ann.update(|text| text.delete(0..1).unwrap());
    while !ann.sweep(&ann.version()).is_empty() {}
    let _ = ann.update(|text| text.apply(&edit));
    assert_eq!(ann.to_string(), "YHello!");
}

/// What names runs would keep a key that somebody removes at the same time.
#[test]
fn forgetting_brings_no_removed_key_back() {
    type Pages = AddWinsMap<String, Text>;
    let mut ann = Replica::<Pages>::new(id(1));
    let _ = ann.update(|pages| pages.at("tides").push("The tide falls."));
    let _ = ann.update(|pages| pages.at("tides").insert(4, "spring ").unwrap());
    let _ = ann.update(|pages| pages.at("tides").push(" Noon."));
    let _ = ann.update(|pages| pages.at("tides").delete(4..11).unwrap());
    let mut bob = ann.fork(id(2));
    let removed = ann.update(|pages| pages.remove("tides")).1;
    let _ = bob.sweep(&bob.version());
    bob.merge(removed).unwrap();
    ann.merge(bob.state()).unwrap();
    assert!(ann.is_empty() && bob.is_empty());
}
