//! Stores that were set back or copied with all that could have told so: what shows only when they meet.

use tombolo_crdt::{AddWinsSet, PnCounter, Version};
use tombolo_sync::DocId;
use tombolo_tests::sim::World;

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

#[test]
fn a_store_that_was_set_back_and_wrote_before_it_met_anybody_mixes_nothing() {
    let (mut world, words, visits) = two(2);
    let before = world.engine(0).replica();
    let image = world.disk(0).store.image();
    world.update::<Words, _>(0, words, |words| words.add("known to the other"));
    world.update::<Words, _>(0, words, |words| words.add("known as well"));
    world.run_until_agreed(2_000);
    // Alone it writes something else under the dots that the other has for that.
    let other = world.peer(1);
    world.call(1, |engine, now| engine.isolate(now, true));
    world.set_back(0, image);
    world.open::<Words>(0, "words");
    world.open::<PnCounter>(0, "visits");
    world.update::<Words, _>(0, words, |words| words.add("written instead"));
    world.call(1, |engine, now| engine.isolate(now, false));
    world.run_for(10_000);
    assert!(world.ready(0).contains(&1), "they go on talking, {other:?}");
    assert_eq!(world.engine(0).replica(), before);
    // Neither has half of what the other wrote.
    let mine = world.read::<Words, _>(0, words, |words| words.contains("written instead"));
    let half = world.read::<Words, _>(0, words, |words| {
        words.contains("known to the other") || words.contains("known as well")
    });
    assert_eq!((mine, half), (true, false));
    assert!(world.read::<Words, _>(1, words, |words| words.contains("known to the other")));
    // What they do not write under that id goes on as ever.
    world.update::<PnCounter, _>(1, visits, |visits| visits.inc(1));
    let arrived = world.run_until(5_000, |world| said(world, 0, words, visits).1 == 6);
    assert!(arrived.is_some());
}
