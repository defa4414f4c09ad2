//! Disks that refuse, are slow, or are left in the middle of it.

use tombolo_crdt::{AddWinsSet, PnCounter};
use tombolo_sync::engine::{BatchId, Input, OpenError, UpdateError};
use tombolo_tests::sim::{LinkState, World};

type Words = AddWinsSet<String>;

/// Two connected nodes that have a set open.
fn two(seed: u64) -> (World, tombolo_sync::DocId) {
    let mut world = World::new(2, seed);
    world.set_disk_latency(0, 10, 0);
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    world.update::<Words, _>(0, doc, |words| words.add("first"));
    world.run_until_agreed(2_000);
    world.open::<Words>(1, "words");
    (world, doc)
}

fn words(world: &World, node: usize, doc: tombolo_sync::DocId) -> Vec<String> {
    world.read::<Words, _>(node, doc, |words| words.iter().cloned().collect())
}

#[test]
fn a_write_the_disk_refuses_is_undone_and_later_ones_work_once_it_recovers() {
    let (mut world, doc) = two(1);
    world.disk(0).store.set_full(true);
    let refused = world.update::<Words, _>(0, doc, |words| words.add("refused"));
    assert_eq!(words(&world, 0, doc), ["first", "refused"]);
    world.run_for(15);
    // Not durable, and readable; what it says is still to be found out.
    assert!(!world.engine(0).is_durable(refused));
    assert!(matches!(
        world.try_update::<Words, _>(0, doc, |words| words.add("too soon")),
        Err(UpdateError::ReadOnly)
    ));
    world.run_for(100);
    assert_eq!(words(&world, 0, doc), ["first"]);
    world.disk(0).store.set_full(false);
    world.update::<Words, _>(0, doc, |words| words.add("second"));
    world.run_until_agreed(3_000);
    assert_eq!(words(&world, 0, doc), ["first", "second"]);
    assert_eq!(words(&world, 1, doc), ["first", "second"]);
    assert!(!world.engine(0).is_durable(refused));
}

#[test]
fn what_a_peer_wrote_is_taken_in_again_after_the_disk_refused_it() {
    let (mut world, doc) = two(2);
    world.disk(1).store.fail_next(1);
    world.update::<Words, _>(0, doc, |words| words.add("second"));
    world.run_until_agreed(5_000);
    assert_eq!(words(&world, 1, doc), ["first", "second"]);
}

#[test]
fn nobody_is_in_sync_with_a_document_that_has_to_be_read_back() {
    let (mut world, doc) = two(3);
    world.disk(0).store.fail_next(1);
    world.update::<Words, _>(0, doc, |words| words.add("refused"));
    world.run_for(12);
    assert_eq!(words(&world, 0, doc), ["first", "refused"]);
    assert_eq!(world.engine(0).status().in_sync, Some(false));
    world.run_until_agreed(1_000);
}

#[test]
fn batches_refused_one_by_one_take_nothing_with_them_that_was_written_after() {
    let (mut world, doc) = two(4);
    let other = world.open::<PnCounter>(0, "likes");
    world.run_until_agreed(1_000);
    // Fails in the world's disk never: the driver's news are made up here.
    let first = world.update::<Words, _>(0, doc, |words| words.add("refused"));
    let second = world.update::<Words, _>(0, doc, |words| words.add("refused too"));
    let fail = |first: BatchId| Input::StoreFailed { first, reason: "made up".into() };
    world.call(0, |engine, now| engine.handle(now, fail(first)));
    let later = world.update::<PnCounter, _>(0, other, |counter| counter.inc(1));
    world.call(0, |engine, now| engine.handle(now, fail(second)));
    assert!(!world.engine(0).is_durable(later));
    let stored = Input::Stored(later);
    world.call(0, |engine, now| engine.handle(now, stored));
    assert!(world.engine(0).is_durable(later), "it was taken for lost");
    assert!(!world.engine(0).is_durable(first) && !world.engine(0).is_durable(second));
}

#[test]
fn a_deletion_the_disk_refused_brings_the_document_back_as_it_was() {
    let (mut world, doc) = two(5);
    world.update::<Words, _>(0, doc, |words| words.add("second"));
    world.run_until_agreed(1_000);
    world.set_link(0, 1, LinkState::Cut);
    world.disk(0).store.fail_next(1);
    world.call(0, |engine, now| engine.delete(now, "words", "AddWinsSet")).unwrap();
    let kind = world.engine(0).list();
    assert!(kind.is_empty() || !world.engine(0).is_deleted(doc));
    world.run_for(3_000);
    assert_eq!(world.engine(0).list().len(), 1);
    // Still open, with everything in it; and the next write takes the next number, not the first again.
    assert_eq!(words(&world, 0, doc), ["first", "second"]);
    world.update::<Words, _>(0, doc, |words| words.add("third"));
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(5_000);
    assert_eq!(words(&world, 1, doc), ["first", "second", "third"]);
    world.crash(0, true, 0);
    world.start(0);
    world.open::<Words>(0, "words");
    assert_eq!(words(&world, 0, doc), ["first", "second", "third"]);
}

#[test]
fn a_removal_the_disk_refused_is_not_tried_again_while_the_deletion_may_be_undone() {
    // Found by the simulation: a full disk, an earlier refusal that is being retried, and a slow read.
    let (mut world, doc) = two(6);
    world.disk(0).store.fail_next(1);
    let peer = world.peer(1);
    world.call(0, |engine, now| engine.block(now, peer, true));
    world.run_for(900);
    world.set_disk_latency(0, 150, 0);
    world.disk(0).store.fail_next(1);
    world.call(0, |engine, now| engine.delete(now, "words", &"AddWinsSet".to_owned())).unwrap();
    world.run_for(5_000);
    if !world.engine(0).is_deleted(doc) {
        assert_eq!(words(&world, 0, doc), ["first"]);
        assert!(!world.disk(0).version(doc).is_empty());
    }
}

#[test]
fn a_creation_the_disk_refused_is_repeated_with_the_next_write() {
    let mut world = World::new(2, 7);
    world.connect_all();
    world.disk(0).store.fail_next(1);
    let doc = world.open::<Words>(0, "words");
    world.run_for(100);
    assert!(world.engine(0).list().is_empty());
    world.update::<Words, _>(0, doc, |words| words.add("first"));
    world.run_until_agreed(2_000);
    assert_eq!(world.engine(1).list().len(), 1);
    assert_eq!(world.open::<Words>(1, "words"), doc);
    assert_eq!(words(&world, 1, doc), ["first"]);
}

#[test]
fn nothing_is_created_or_deleted_while_the_directory_has_to_be_read_back() {
    let (mut world, _) = two(8);
    world.disk(0).store.fail_next(1);
    world.open::<Words>(0, "other words");
    world.run_for(12);
    assert!(matches!(world.try_open::<Words>(0, "more words"), Err(OpenError::ReadOnly)));
    let deleted = world.call(0, |engine, now| engine.try_delete(now, "words", "AddWinsSet")).unwrap();
    assert!(matches!(deleted, Err(UpdateError::ReadOnly)), "{deleted:?}");
    world.run_for(1_000);
    world.open::<Words>(0, "more words");
    world.run_until_agreed(1_000);
}

#[test]
fn an_answer_of_the_disk_that_is_older_than_what_is_durable_is_not_believed() {
    let (mut world, doc) = two(9);
    world.disk(0).store.fail_next(1);
    world.update::<Words, _>(0, doc, |words| words.add("refused"));
    world.run_for(12);
    // As if the document had never been stored.
    world.call(0, |engine, now| engine.handle(now, Input::Loaded { doc, stored: Ok(None) }));
    assert!(matches!(
        world.try_update::<Words, _>(0, doc, |words| words.add("on sand")),
        Err(UpdateError::ReadOnly)
    ));
    world.run_for(1_500);
    assert_eq!(words(&world, 0, doc), ["first"]);
}

#[test]
fn what_was_durable_survives_a_crash_at_any_write() {
    for at in 0..30 {
        let (mut world, doc) = two(100 + at);
        let mut batches = Vec::new();
        for number in 0..10 {
            batches.push(world.update::<Words, _>(0, doc, |words| words.add(format!("word {number}"))));
            world.run_for(at % 7);
        }
        world.run_for(at);
        let durable = batches.iter().filter(|batch| world.engine(0).is_durable(**batch)).count();
        world.crash(0, at % 2 == 0, (at % 3) as usize);
        world.start(0);
        world.open::<Words>(0, "words");
        let found = words(&world, 0, doc).len() - 1;
        assert!(found >= durable, "of {durable} durable writes {found} are left");
        world.update::<Words, _>(0, doc, |words| words.add("after"));
        world.run_until_agreed(5_000);
        assert_eq!(words(&world, 0, doc), words(&world, 1, doc));
    }
}

#[test]
fn a_deleted_document_leaves_the_disk_also_if_the_node_ended_in_between() {
    let (mut world, doc) = two(10);
    world.call(0, |engine, now| engine.delete(now, "words", &"AddWinsSet".to_owned())).unwrap();
    // The deletion is written, the removal is not.
    world.crash(0, true, 1);
    world.start(0);
    world.run_for(100);
    if world.engine(0).is_deleted(doc) {
        assert!(world.disk(0).version(doc).is_empty());
    }
}
