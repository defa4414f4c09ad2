//! Stores that were set back or copied with all that could have told so: what shows only when they meet.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{AddWinsSet, PnCounter, Version};
use tombolo_sync::DocId;
use tombolo_sync::engine::REPLICA_RECORD;
use tombolo_sync::store::{Store as _, Write};
use tombolo_tests::sim::{LinkState, World};

type Words = AddWinsSet<String>;

/// Two nodes that agree on a set and a counter.
fn two(seed: u64) -> (World, DocId, DocId) {
    let mut world = World::new(2, seed);
    world.connect_all();
    let words = world.open::<Words>(0, "words");
    let visits = world.open::<PnCounter>(0, "visits");
    world.update::<Words, _>(0, words, |words| words.extend(["first", "doomed"]));
    world.update::<PnCounter, _>(0, visits, |visits| visits.inc(5));
    world.run_until_agreed(2_000);
    world.open::<Words>(1, "words");
    world.open::<PnCounter>(1, "visits");
    (world, words, visits)
}

fn version(world: &World, node: usize, doc: DocId) -> Version {
    world.engine(node).document_status(doc).unwrap().version
}

fn said(world: &World, node: usize, words: DocId, visits: DocId) -> (Vec<String>, i64) {
    let said = world.read::<Words, _>(node, words, |words| words.iter().cloned().collect());
    (said, world.read::<PnCounter, _>(node, visits, |visits| visits.value()))
}

#[test]
fn a_store_set_back_unnoticed_goes_on_under_a_new_id_and_gets_back_what_it_forgot() {
    let (mut world, words, visits) = two(1);
    let before = world.engine(0).replica();
    let image = world.disk(0).store.image();
    world.update::<Words, _>(0, words, |words| {
        words.add("later");
        words.remove("doomed");
    });
    world.update::<PnCounter, _>(0, visits, |visits| visits.inc(2));
    world.run_until_agreed(2_000);
    world.set_back(0, image);
    assert_eq!(world.engine(0).replica(), before, "nothing at home tells that it was set back");
    world.run_until_agreed(10_000);
    let after = world.engine(0).replica();
    assert_ne!(after, before);
    for node in [0, 1] {
        world.open::<Words>(node, "words");
        world.open::<PnCounter>(node, "visits");
        assert_eq!(said(&world, node, words, visits), (vec!["first".into(), "later".into()], 7));
    }
    // It writes under the new id, also after a restart, and what the old one wrote stays as it was.
    let old = version(&world, 0, visits).get(before);
    world.update::<PnCounter, _>(0, visits, |visits| visits.inc(10));
    world.run_until_agreed(2_000);
    world.crash(0, true, 0);
    world.start(0);
    assert_eq!(world.engine(0).replica(), after);
    world.open::<PnCounter>(0, "visits");
    world.update::<PnCounter, _>(0, visits, |visits| visits.inc(100));
    world.run_until_agreed(5_000);
    let version = version(&world, 1, visits);
    assert_eq!((version.get(before), version.get(after)), (old, 2));
    assert_eq!(world.read::<PnCounter, _>(1, visits, |visits| visits.value()), 117);
}

/// The first node is set back to before it wrote `known`, and writes as many words instead before it meets the others again.
fn forked(seed: u64, instead: usize, others: usize) -> (World, DocId, DocId) {
    let (mut world, words, visits) = two(seed);
    let image = world.disk(0).store.image();
    // A later life of the process, as one that is restored from yesterday has had since.
    world.crash(0, true, 0);
    world.start(0);
    world.open::<Words>(0, "words");
    world.open::<PnCounter>(0, "visits");
    for known in ["known to the other", "known as well"] {
        world.update::<Words, _>(0, words, |words| words.add(known));
        world.update::<PnCounter, _>(0, visits, |visits| visits.inc(10));
    }
    world.run_until_agreed(5_000);
    for other in 1..=others {
        world.call(other, |engine, now| engine.isolate(now, true));
    }
    world.set_back(0, image);
    world.open::<Words>(0, "words");
    world.open::<PnCounter>(0, "visits");
    for word in 0..instead {
        world.update::<Words, _>(0, words, |words| {
            words.add(format!("instead {word}"));
            words.remove("doomed");
        });
        world.update::<PnCounter, _>(0, visits, |visits| visits.inc(100));
        world.run_for(50);
    }
    world.run_for(1_000);
    (world, words, visits)
}

fn all_have(world: &World, nodes: usize, words: DocId, visits: DocId, instead: usize) {
    let mut expected = vec!["first".to_owned(), "known as well".into(), "known to the other".into()];
    expected.extend((0..instead).map(|word| format!("instead {word}")));
    expected.sort();
    for node in 0..nodes {
        assert_eq!(said(world, node, words, visits), (expected.clone(), 25 + 100 * instead as i64), "{node}");
    }
}

#[test]
fn what_a_store_that_was_set_back_wrote_alone_goes_on_under_a_new_id_and_nothing_is_lost_or_counted_twice() {
    // Less than the other knows, as much, and more.
    for (seed, instead) in [(2, 1), (3, 2), (4, 9)] {
        let (mut world, words, visits) = forked(seed, instead, 1);
        let before = world.engine(0).replica();
        world.call(1, |engine, now| engine.isolate(now, false));
        world.run_until_agreed(30_000);
        assert_eq!(world.overtaken, [(0, false)], "{instead}: it is told");
        assert_ne!(world.engine(0).replica(), before);
        all_have(&world, 2, words, visits, instead);
        // Also after a restart, and each goes on.
        world.crash(0, true, 0);
        world.start(0);
        world.open::<Words>(0, "words");
        world.open::<PnCounter>(0, "visits");
        world.update::<Words, _>(0, words, |words| words.remove("known as well"));
        world.update::<PnCounter, _>(0, visits, |visits| visits.inc(1));
        world.update::<PnCounter, _>(1, visits, |visits| visits.inc(1));
        world.run_until_agreed(5_000);
        let (left, count) = said(&world, 0, words, visits);
        assert_eq!((left.len(), count), (2 + instead, 27 + 100 * instead as i64));
        assert_eq!(said(&world, 1, words, visits), (left, count));
    }
}

#[test]
fn a_fork_shows_also_to_who_has_never_met_the_other_store_if_that_wrote_more() {
    let mut world = World::new(3, 11);
    world.connect_all();
    world.set_link(0, 2, LinkState::Cut);
    let words = world.open::<Words>(0, "words");
    world.update::<Words, _>(0, words, |words| words.add("first"));
    world.run_until_agreed(5_000);
    let image = world.disk(0).store.image();
    world.crash(0, true, 0);
    world.start(0);
    world.open::<Words>(0, "words");
    for known in ["known", "known to all", "known as well"] {
        world.update::<Words, _>(0, words, |words| words.add(known));
    }
    world.run_until_agreed(5_000);
    world.set_link(0, 1, LinkState::Cut);
    world.set_back(0, image);
    world.open::<Words>(0, "words");
    world.update::<Words, _>(0, words, |words| words.add("instead"));
    world.run_for(1_000);
    // The third has what the other store wrote from the second, and has never met it.
    world.set_link(0, 2, LinkState::Up);
    world.run_until_agreed(30_000);
    assert_eq!(world.overtaken, [(0, false)]);
    for node in 0..3 {
        world.open::<Words>(node, "words");
        let all = world.read::<Words, _>(node, words, |words| words.iter().cloned().collect::<Vec<_>>());
        assert_eq!(all, ["first", "instead", "known", "known as well", "known to all"], "{node}");
    }
}

#[test]
fn what_was_renamed_is_renamed_also_if_the_process_ends_before_it_is_written() {
    for after in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55] {
        let (mut world, words, visits) = forked(40 + after, 3, 1);
        world.set_disk_latency(0, 3, 10);
        world.call(1, |engine, now| engine.isolate(now, false));
        for _ in 0..30_000 {
            if !world.overtaken.is_empty() {
                break;
            }
            world.run_for(1);
        }
        world.run_for(after);
        world.crash(0, false, 0);
        world.start(0);
        world.open::<Words>(0, "words");
        world.open::<PnCounter>(0, "visits");
        world.run_until_agreed(30_000);
        all_have(&world, 2, words, visits, 3);
    }
}

#[test]
fn a_store_set_back_whose_later_writes_others_have_seen_mixes_nothing() {
    let mut world = World::new(3, 7);
    world.connect_all();
    world.set_link(1, 2, LinkState::Cut);
    let words = world.open::<Words>(0, "words");
    world.update::<Words, _>(0, words, |words| words.add("first"));
    world.run_until_agreed(5_000);
    world.set_link(0, 2, LinkState::Cut);
    let image = world.disk(0).store.image();
    world.crash(0, true, 0);
    world.start(0);
    world.open::<Words>(0, "words");
    world.update::<Words, _>(0, words, |words| words.add("known to the second"));
    world.run_for(5_000);
    world.set_link(0, 1, LinkState::Cut);
    world.set_back(0, image);
    world.open::<Words>(0, "words");
    world.set_link(0, 2, LinkState::Up);
    world.update::<Words, _>(0, words, |words| words.add("known to the third"));
    world.run_for(20_000);
    world.set_link(0, 1, LinkState::Up);
    world.run_for(30_000);
    assert!(world.overtaken.contains(&(0, true)), "it is told");
    assert!(!world.ready(0).contains(&1), "and they do not talk");
    for (node, seen) in [(0, "third"), (1, "second"), (2, "third")] {
        world.open::<Words>(node, "words");
        let all = world.read::<Words, _>(node, words, |words| words.iter().cloned().collect::<Vec<_>>());
        assert_eq!(all, ["first".to_owned(), format!("known to the {seen}")], "{node}");
    }
}

#[test]
fn a_store_that_is_set_back_again_and_again_loses_nothing() {
    let (mut world, words, _) = two(5);
    world.crash(0, true, 0);
    world.start(0);
    world.open::<Words>(0, "words");
    world.update::<Words, _>(0, words, |words| words.add("at home"));
    world.run_until_agreed(5_000);
    // The process comes back with other memories than it had, again and again.
    for round in 0..5 {
        let image = world.disk(0).store.image();
        world.crash(0, true, 0);
        world.start(0);
        world.open::<Words>(0, "words");
        world.update::<Words, _>(0, words, |words| words.add(format!("round {round}")));
        world.run_until_agreed(5_000);
        world.set_back(0, image);
        world.run_until_agreed(10_000);
    }
    assert_eq!(world.overtaken, [(0, false); 5]);
    world.open::<Words>(1, "words");
    assert_eq!(world.read::<Words, _>(1, words, |words| words.len()), 2 + 1 + 5);
}

/// One who writes alone and is started anew now and then. Every word and every number counts once.
struct Alone {
    words: DocId,
    visits: DocId,
    next: u32,
}

impl Alone {
    fn write(&mut self, world: &mut World, rng: &mut ChaCha8Rng) -> (Vec<String>, i64) {
        let (mut said, mut sum) = (Vec::new(), 0);
        for _ in 0..rng.random_range(0..4) {
            if rng.random_ratio(1, 2) {
                world.crash(0, true, 0);
                world.start(0);
                world.open::<Words>(0, "words");
                world.open::<PnCounter>(0, "visits");
            }
            for _ in 0..rng.random_range(0..3) {
                self.next += 1;
                let word = format!("{:03}", self.next);
                if rng.random_ratio(1, 2) {
                    world.update::<Words, _>(0, self.words, |words| words.add(word.clone()));
                    said.push(word);
                } else {
                    let by = i64::from(self.next) * 1_000;
                    world.update::<PnCounter, _>(0, self.visits, |visits| visits.add(by));
                    sum += by;
                }
                world.run_for(20);
            }
        }
        (said, sum)
    }
}

#[test]
fn wherever_a_store_is_set_back_to_all_that_anybody_has_is_there_and_counts_once() {
    let (mut renamed, mut quiet) = (0, 0);
    for seed in 0..150 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut world, words, visits) = two(seed);
        world.expect_set_back();
        let mut alone = Alone { words, visits, next: 0 };
        let (mut all, mut sum) = (vec!["doomed".to_owned(), "first".into()], 5);
        let mut note = |(said, by): (Vec<String>, i64)| {
            all.extend(said);
            sum += by;
        };
        let apart = |world: &mut World, cut: bool| {
            world.call(1, |engine, now| engine.isolate(now, cut));
            world.run_for(50);
        };
        // Perhaps met since, perhaps not; the image is of somewhere in this.
        apart(&mut world, true);
        note(alone.write(&mut world, &mut rng));
        if rng.random_ratio(1, 2) {
            apart(&mut world, false);
            world.run_until_agreed(30_000);
            apart(&mut world, rng.random_ratio(1, 2));
            note(alone.write(&mut world, &mut rng));
        }
        world.run_for(500);
        let image = world.disk(0).store.image();
        note(alone.write(&mut world, &mut rng));
        apart(&mut world, false);
        world.run_until_agreed(30_000);
        note(alone.write(&mut world, &mut rng));
        world.run_until_agreed(30_000);
        apart(&mut world, true);
        world.set_back(0, image);
        world.open::<Words>(0, "words");
        world.open::<PnCounter>(0, "visits");
        note(alone.write(&mut world, &mut rng));
        if rng.random_ratio(1, 3) {
            world.crash(0, true, 0);
            world.start(0);
        }
        apart(&mut world, false);
        world.run_until_agreed(60_000);
        all.sort();
        for node in [0, 1] {
            world.open::<Words>(node, "words");
            world.open::<PnCounter>(node, "visits");
            assert_eq!(said(&world, node, words, visits), (all.clone(), sum), "n{node} in {seed}");
        }
        assert!(world.overtaken.iter().all(|(_, forked)| !forked), "{seed}");
        if world.overtaken.is_empty() { quiet += 1 } else { renamed += 1 }
    }
    assert!(renamed > 60 && quiet > 5, "{renamed} {quiet}");
}

#[test]
fn what_came_to_others_by_a_copy_with_an_id_of_its_own_counts_once() {
    for (seed, met_before, copied_late) in
        [(1, false, false), (2, false, true), (3, true, false), (4, true, true)]
    {
        let mut world = World::new(3, seed);
        world.expect_set_back();
        world.connect_all();
        let visits = world.open::<PnCounter>(0, "visits");
        world.set_link(0, 2, LinkState::Cut);
        if met_before {
            world.update::<PnCounter, _>(0, visits, |visits| visits.inc(1_000));
            world.run_until_agreed(5_000);
        }
        world.set_link(0, 1, LinkState::Cut);
        let alone = |world: &mut World, by: u64| {
            world.crash(0, true, 0);
            world.start(0);
            world.open::<PnCounter>(0, "visits");
            world.update::<PnCounter, _>(0, visits, |visits| visits.inc(by));
            world.run_for(200);
        };
        alone(&mut world, 5);
        let mut image = world.disk(0).store.image();
        alone(&mut world, 100);
        if copied_late {
            image = world.disk(0).store.image();
        }
        // The copy knows that it is one, and takes an id of its own.
        let own = Write::Put { key: REPLICA_RECORD.to_owned(), value: vec![0xC0; 16] };
        image.commit(&[own]).unwrap();
        world.set_back(2, image);
        world.open::<PnCounter>(2, "visits");
        world.update::<PnCounter, _>(2, visits, |visits| visits.inc(10));
        world.run_for(20_000);
        world.set_link(0, 1, LinkState::Up);
        world.run_until_agreed(30_000);
        assert_eq!(world.overtaken, [], "{seed}");
        for node in 0..3 {
            world.open::<PnCounter>(node, "visits");
            let expected = 115 + if met_before { 1_000 } else { 0 };
            assert_eq!(world.read::<PnCounter, _>(node, visits, |visits| visits.value()), expected, "{seed}");
        }
    }
}

#[test]
fn two_that_go_by_one_key_hear_of_everything_also_on_slow_links() {
    for (seed, latency) in [(1, 5), (2, 60), (3, 120), (4, 250)] {
        let mut world = World::new(4, seed);
        world.connect_all();
        world.crash(3, true, 0);
        let words = world.open::<Words>(0, "words");
        world.update::<Words, _>(0, words, |words| words.add("first"));
        world.run_until_agreed(5_000);
        world.start_twin(3, 0);
        for (one, other) in [(0, 1), (0, 2), (1, 2), (3, 1), (3, 2)] {
            world.set_latency(one, other, latency, latency / 2);
        }
        // Each takes from the other every session that it has with anybody.
        for (node, word) in [(1, "second"), (2, "third")] {
            world.open::<Words>(node, "words");
            world.update::<Words, _>(node, words, |words| words.add(word));
        }
        let took = world.run_until(60_000, World::agrees_with_twins);
        assert!(took.is_some(), "{latency} ms");
        for node in [0, 3] {
            world.open::<Words>(node, "words");
            let said = world.read::<Words, _>(node, words, |words| words.iter().cloned().collect::<Vec<_>>());
            assert_eq!(said, ["first", "second", "third"], "n{node}, {latency} ms");
        }
    }
}
