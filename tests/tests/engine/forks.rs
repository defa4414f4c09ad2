//! Two continuations of one store, that no evidence at home tells apart: what an adversarial reader of the design found. The story
//! is always the same: an image of the first node's disk, then what it wrote, `b…`, then the image put back and what it wrote instead, `c…`.

use tombolo_crdt::{AddWinsSet, PnCounter};
use tombolo_sync::DocId;
use tombolo_sync::engine::wire::{Frame, Line};
use tombolo_sync::store::MemoryStore;
use tombolo_tests::sim::{LinkState, World};

type Words = AddWinsSet<String>;

/// Nodes that agree on one word, and an image of the first one's disk.
struct Story {
    world: World,
    words: DocId,
    visits: DocId,
    image: MemoryStore,
}

impl Story {
    fn new(nodes: usize, seed: u64) -> Self {
        let mut world = World::new(nodes, seed);
        world.expect_set_back();
        world.connect_all();
        let (words, visits) = (world.open::<Words>(0, "words"), world.open::<PnCounter>(0, "visits"));
        world.update::<PnCounter, _>(0, visits, |visits| visits.inc(5));
        let image = world.disk(0).store.image();
        let mut story = Self { world, words, visits, image };
        story.writes(&["first"]);
        story.world.run_until_agreed(5_000);
        story.take_image();
        story
    }

    fn take_image(&mut self) {
        self.image = self.world.disk(0).store.image();
    }

    fn open(&mut self, node: usize) {
        self.world.open::<Words>(node, "words");
        self.world.open::<PnCounter>(node, "visits");
    }

    fn restart(&mut self) {
        self.world.crash(0, true, 0);
        self.world.start(0);
        self.open(0);
    }

    /// The first node writes words, one a transaction.
    fn writes(&mut self, words: &[&str]) {
        for word in words {
            self.world.update::<Words, _>(0, self.words, |words| words.add((*word).to_owned()));
            self.world.run_for(20);
        }
    }

    fn link(&mut self, other: usize, state: LinkState) {
        self.world.set_link(0, other, state);
        self.world.run_for(500);
    }

    /// Puts the image back, where nobody is met.
    fn set_back(&mut self) {
        let image = self.image.image();
        self.world.set_back(0, image);
        self.open(0);
    }

    fn said(&mut self, node: usize) -> Vec<String> {
        self.open(node);
        self.world.read::<Words, _>(node, self.words, |words| words.iter().cloned().collect())
    }

    fn counts(&mut self, node: usize) -> i64 {
        self.open(node);
        self.world.read::<PnCounter, _>(node, self.visits, |visits| visits.value())
    }

    /// In the end all nodes hold these words, and the first one.
    fn all_have(&mut self, words: &[&str], what: &str) {
        self.world.run_until_agreed(90_000);
        let mut expected: Vec<String> =
            words.iter().chain(&["first"]).map(|word| (*word).to_owned()).collect();
        expected.sort();
        for node in 0..self.world.len() {
            assert_eq!(self.said(node), expected, "n{node}, {what}");
        }
    }
}

#[test]
fn scenario_15_a_fork_that_overtakes_is_found_and_nothing_is_lost() {
    let mut story = Story::new(2, 15);
    story.restart();
    story.writes(&["b1", "b2", "b3", "b4"]);
    story.world.run_until_agreed(5_000);
    story.link(1, LinkState::Cut);
    story.set_back();
    // More than the other knows, under the same dots.
    story.writes(&["c1", "c2", "c3", "c4", "c5", "c6", "c7"]);
    story.link(1, LinkState::Up);
    story.all_have(&["b1", "b2", "b3", "b4", "c1", "c2", "c3", "c4", "c5", "c6", "c7"], "");
    assert_eq!(story.world.overtaken, [(0, false)], "it is told");
}

#[test]
fn scenario_16_a_process_that_is_killed_keeps_its_id_and_one_that_is_set_back_does_not() {
    let mut story = Story::new(2, 16);
    let before = story.world.engine(0).replica();
    for _ in 0..20 {
        story.restart();
        story.writes(&["again"]);
        story.world.run_until_agreed(20_000);
    }
    assert_eq!(story.world.engine(0).replica(), before);
    story.set_back();
    story.all_have(&["again"], "");
    assert_ne!(story.world.engine(0).replica(), before);
}

#[test]
fn a_fork_is_found_also_if_the_first_session_ends_at_any_moment() {
    for delay in (0..400).step_by(40) {
        let mut story = Story::new(2, 31);
        story.world.set_accepts(1, false);
        story.writes(&["b1", "b2"]);
        story.world.run_for(3_000);
        story.link(1, LinkState::Cut);
        story.set_back();
        // As many under the same dots: the versions are equal.
        story.writes(&["c1", "c2"]);
        story.world.set_latency(0, 1, 40, 0);
        story.world.set_link(0, 1, LinkState::Up);
        let met =
            story.world.run_until(60_000, |world| !world.ready(0).is_empty() || !world.ready(1).is_empty());
        assert!(met.is_some());
        story.world.run_for(delay);
        if delay % 80 == 0 {
            story.restart();
        } else {
            story.link(1, LinkState::Cut);
            story.world.run_for(5_000);
            story.link(1, LinkState::Up);
        }
        story.all_have(&["b1", "b2", "c1", "c2"], &format!("ended after {delay} ms"));
    }
}

#[test]
fn a_fork_is_found_also_if_who_knows_of_it_comes_while_another_is_believed() {
    let (mut renamed, mut told) = (0, 0);
    for (seed, disk) in (161..173).flat_map(|seed| [5, 200, 1_000].map(|disk| (seed, disk))) {
        let mut story = Story::new(3, seed);
        story.link(2, LinkState::Cut);
        story.world.set_link(1, 2, LinkState::Cut);
        story.writes(&["b1", "b2"]);
        story.world.run_for(3_000);
        story.link(1, LinkState::Cut);
        story.set_back();
        story.writes(&["c1", "c2"]);
        story.world.run_for(3_000);
        // The second node is slower to say what it knows, and the disk to note that the third knows nothing. Who comes first, and
        // how much earlier, is a matter of who dials when.
        story.world.set_disk_latency(0, disk, 0);
        story.world.set_latency(0, 1, 8, 0);
        story.world.set_link(0, 1, LinkState::Up);
        story.world.set_link(0, 2, LinkState::Up);
        story.world.run_for(20_000);
        story.world.set_link(1, 2, LinkState::Up);
        story.world.run_for(2_000);
        if story.world.diverged.is_empty() {
            story.all_have(&["b1", "b2", "c1", "c2"], &format!("seed {seed}, {disk} ms"));
            renamed += 1;
        } else {
            // The third had been shown `c…` before the second came: neither can be taken back, so nothing is mixed and all three are told.
            story.world.run_for(60_000);
            let said = [0, 1, 2].map(|node| story.said(node).join(" "));
            assert_eq!(said, ["c1 c2 first", "b1 b2 first", "c1 c2 first"], "seed {seed}, {disk} ms");
            assert!([0, 1, 2].iter().all(|node| story.world.diverged.iter().any(|(at, ..)| at == node)));
            told += 1;
        }
    }
    assert!(renamed >= 10 && told > 0, "{renamed} times it was found in time, {told} times told");
}

#[test]
fn a_machine_set_back_within_one_run_is_found_out_after_a_minute_of_writing() {
    let mut story = Story::new(3, 21);
    story.link(2, LinkState::Cut);
    story.world.set_link(1, 2, LinkState::Cut);
    story.writes(&["b1"]);
    story.world.run_for(61_000);
    story.writes(&["b2"]);
    story.world.run_for(3_000);
    story.link(1, LinkState::Cut);
    story.set_back();
    // It meets one who knows nothing of that, and shows it what it writes.
    story.link(2, LinkState::Up);
    story.world.run_for(5_000);
    story.writes(&["c1", "c2"]);
    story.world.run_for(61_000);
    story.writes(&["c3"]);
    story.world.run_for(3_000);
    story.link(1, LinkState::Up);
    story.world.run_for(20_000);
    // What both have shown cannot be taken back: nothing is mixed, and it is told.
    assert!(!story.world.ready(0).contains(&1));
    assert!(story.world.overtaken.contains(&(0, true)));
    assert_eq!(story.said(1), ["b1", "b2", "first"]);
}

/// After the image so many starts that the other sees, and instead so many alone.
fn starts(seen: usize, alone: usize) {
    let mut story = Story::new(2, 41);
    let mut expected = Vec::new();
    let mut write = |story: &mut Story, word: String| {
        story.restart();
        story.writes(&[&word]);
        expected.push(word);
    };
    for n in 0..seen {
        write(&mut story, format!("b{n}"));
        story.world.run_until_agreed(20_000);
    }
    story.link(1, LinkState::Cut);
    story.set_back();
    (0..alone).for_each(|n| write(&mut story, format!("c{n}")));
    story.link(1, LinkState::Up);
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    story.all_have(&expected, &format!("{seen} and {alone} starts"));
    assert_eq!(story.world.overtaken, [(0, false)]);
}

#[test]
fn a_fork_is_found_where_it_began_however_often_either_was_started_since() {
    for (seen, alone) in [(3, 75), (12, 68), (12, 30), (40, 2)] {
        starts(seen, alone);
    }
}

#[test]
fn a_store_that_was_started_often_forks_as_any_other() {
    let mut story = Story::new(2, 91);
    for _ in 0..70 {
        story.restart();
        story.writes(&["again"]);
        story.world.run_until_agreed(20_000);
    }
    story.take_image();
    story.restart();
    story.writes(&["b1"]);
    story.world.run_until_agreed(20_000);
    story.link(1, LinkState::Cut);
    story.set_back();
    story.writes(&["c1"]);
    story.link(1, LinkState::Up);
    story.all_have(&["again", "b1", "c1"], "");
}

#[test]
fn what_is_written_before_what_was_forgotten_has_come_back_is_kept() {
    for delay in (0..300).step_by(20) {
        let mut story = Story::new(2, 51);
        story.writes(&["b1", "b2"]);
        story.world.run_for(3_000);
        story.link(1, LinkState::Cut);
        story.set_back();
        story.world.set_latency(0, 1, 40, 0);
        story.world.set_link(0, 1, LinkState::Up);
        let met =
            story.world.run_until(60_000, |world| !world.ready(0).is_empty() || !world.ready(1).is_empty());
        assert!(met.is_some());
        story.world.run_for(delay);
        story.writes(&["c1"]);
        story.all_have(&["b1", "b2", "c1"], &format!("{delay} ms"));
    }
}

#[test]
fn an_image_that_is_put_back_twice_is_found_out_twice() {
    let mut story = Story::new(2, 61);
    story.restart();
    story.writes(&["b1", "b2"]);
    story.world.run_until_agreed(20_000);
    story.set_back();
    story.world.run_until_agreed(20_000);
    story.writes(&["under the second id"]);
    story.world.run_until_agreed(20_000);
    story.link(1, LinkState::Cut);
    story.set_back();
    story.writes(&["c0", "c1", "c2", "c3", "c4"]);
    story.link(1, LinkState::Up);
    story.all_have(&["b1", "b2", "under the second id", "c0", "c1", "c2", "c3", "c4"], "");
}

#[test]
fn what_the_disk_refused_before_a_fork_gives_nothing_of_others_to_us() {
    let mut story = Story::new(2, 101);
    story.restart();
    for _ in 0..3 {
        story.world.update::<PnCounter, _>(0, story.visits, |visits| visits.inc(1));
        story.world.run_for(100);
    }
    story.writes(&["b1"]);
    story.world.run_until_agreed(20_000);
    story.link(1, LinkState::Cut);
    story.set_back();
    story.world.disk(0).store.fail_next(1);
    story.world.update::<PnCounter, _>(0, story.visits, |visits| visits.inc(100));
    story.world.run_for(5_000);
    assert_eq!(story.counts(0), 5, "it is undone");
    story.writes(&["c1"]);
    story.link(1, LinkState::Up);
    story.all_have(&["b1", "c1"], "");
    assert_eq!([story.counts(0), story.counts(1)], [8, 8]);
    // Also after a restart: what the other store counted was not written by us.
    story.restart();
    story.all_have(&["b1", "c1"], "");
    assert_eq!([story.counts(0), story.counts(1)], [8, 8]);
}

#[test]
fn what_was_written_alone_within_a_run_is_apart_as_what_was_written_before_it() {
    let mut story = Story::new(3, 171);
    story.link(2, LinkState::Cut);
    story.world.set_link(1, 2, LinkState::Cut);
    story.take_image();
    story.link(1, LinkState::Cut);
    story.writes(&["b1", "b2"]);
    story.world.run_for(1_000);
    let alone = story.world.disk(0).store.image();
    // The image goes on elsewhere, and is seen.
    story.set_back();
    story.writes(&["c1"]);
    story.link(1, LinkState::Up);
    story.world.run_for(10_000);
    story.link(1, LinkState::Cut);
    // The original starts anew.
    story.image = alone;
    story.set_back();
    story.link(1, LinkState::Up);
    story.world.run_for(10_000);
    story.world.set_link(0, 2, LinkState::Up);
    story.world.set_link(1, 2, LinkState::Up);
    story.all_have(&["b1", "b2", "c1"], "");
}

#[test]
fn who_tells_lies_of_the_line_of_another_does_not_part_honest_nodes() {
    let mut story = Story::new(3, 111);
    story.restart();
    story.world.record();
    story.writes(&["b1"]);
    story.world.run_until_agreed(20_000);
    let welcome = |from: usize, story: &Story| {
        let welcomes = story.world.sent().iter().rev().filter(|sent| sent.from == from);
        welcomes
            .filter_map(|sent| if let Frame::Welcome(it) = &sent.frame { Some(it.clone()) } else { None })
            .next()
    };
    let (honest, mut lie) = (welcome(0, &story).unwrap(), welcome(2, &story).unwrap());
    // The line of the first node, and one mark more.
    let bytes = rmp_serde::to_vec(&honest.line).unwrap();
    let (end, mut marks): (u64, Vec<(u64, [u8; 8])>) = rmp_serde::from_slice(&bytes).unwrap();
    marks.push((end, [7; 8]));
    let line: Line = rmp_serde::from_slice(&rmp_serde::to_vec(&(end + 1, marks)).unwrap()).unwrap();
    lie.former = vec![(honest.replica, line)];
    story.world.forge_frame(2, 1, &Frame::Welcome(lie));
    story.world.run_for(1_000);
    story.world.crash(2, true, 0);
    story.link(1, LinkState::Cut);
    story.link(1, LinkState::Up);
    story.writes(&["b2"]);
    story.world.run_until_agreed(30_000);
    // After a restart it costs an id, and nothing else.
    story.restart();
    story.world.run_until_agreed(30_000);
    assert!(story.world.overtaken.iter().all(|(_, forked)| !forked), "{:?}", story.world.overtaken);
    story.world.start(2);
    story.all_have(&["b1", "b2"], "");
}

/// Two continuations have both shown what they wrote, to different peers, and have found that out: the second node has most under the id
/// of the first, and knows another line.
fn parted(seed: u64) -> Story {
    let mut story = Story::new(3, seed);
    story.restart();
    story.link(2, LinkState::Cut);
    story.world.set_link(1, 2, LinkState::Cut);
    story.writes(&["b1", "b2", "b3"]);
    story.world.run_for(3_000);
    story.link(1, LinkState::Cut);
    story.set_back();
    story.link(2, LinkState::Up);
    story.world.run_for(5_000);
    story.writes(&["c1"]);
    story.world.run_for(3_000);
    story.link(1, LinkState::Up);
    story.world.run_for(10_000);
    assert!(story.world.overtaken.contains(&(0, true)));
    assert!(!story.world.ready(0).contains(&1));
    story
}

#[test]
fn two_that_have_parted_are_not_joined_after_a_restart_of_one_of_them() {
    for (seed, latency) in [(201, 1), (202, 40), (203, 150)] {
        let mut story = parted(seed);
        let before = story.world.engine(0).replica();
        story.world.set_latency(0, 1, latency, 0);
        story.link(2, LinkState::Cut);
        for written in [&[][..], &["c2"]] {
            story.restart();
            // It is written while nobody has said what it knows of it, or not at all.
            let told = story.world.run_until(60_000, |world| !world.ready(0).is_empty());
            assert!(told.is_some());
            story.writes(written);
            story.world.run_for(60_000);
            assert_eq!(story.world.engine(0).replica(), before, "{latency} ms");
        }
        assert_eq!(story.said(0), ["c1", "c2", "first"]);
        assert_eq!(story.said(1), ["b1", "b2", "b3", "first"]);
        // Who has met the one only goes on with it.
        story.link(1, LinkState::Cut);
        story.link(2, LinkState::Up);
        story.world.run_for(10_000);
        assert_eq!(story.said(2), ["c1", "c2", "first"]);
    }
}

/// It holds more of what another wrote than that does itself, and says nothing else.
#[test]
fn who_never_says_what_it_knows_of_a_store_holds_back_what_that_writes_for_a_moment_only() {
    let mut story = Story::new(3, 211);
    story.world.set_link(1, 2, LinkState::Cut);
    story.link(1, LinkState::Cut);
    story.writes(&["b1", "b2"]);
    story.world.run_for(3_000);
    story.link(2, LinkState::Cut);
    let before = story.world.engine(0).replica();
    story.set_back();
    story.link(1, LinkState::Up);
    story.world.run_for(10_000);
    // It says who it is and what it holds, and nothing after that but beats.
    story.world.set_latency(0, 2, 100, 0);
    story.world.record();
    story.world.set_link(0, 2, LinkState::Up);
    assert!(story.world.run_until(60_000, |world| world.ready(0).contains(&2)).is_some());
    story.world.set_way(2, 0, LinkState::Silent);
    story.world.run_for(300);
    let said: Vec<Frame> = (story.world.sent().iter())
        .filter(|sent| (sent.from, sent.to) == (2, 0))
        .filter(|sent| matches!(sent.frame, Frame::Welcome(_) | Frame::Versions { .. }))
        .map(|sent| sent.frame.clone())
        .collect();
    assert!(said.len() >= 2);
    said.iter().for_each(|frame| story.world.forge_frame(2, 0, frame));
    story.writes(&["c1"]);
    let mut waited = 0;
    while !story.said(1).contains(&"c1".to_owned()) {
        let digest = story.world.engine(2).digest();
        story.world.forge_frame(2, 0, &Frame::Beat { sent: 0, digest });
        story.world.run_for(250);
        waited += 250;
        assert!(waited < 10_000, "it is held back");
    }
    assert!(waited > 1_000, "it was not waited for");
    assert_ne!(story.world.engine(0).replica(), before);
    story.world.set_way(2, 0, LinkState::Up);
    story.world.set_link(1, 2, LinkState::Up);
    story.all_have(&["b1", "b2", "c1"], "");
}
