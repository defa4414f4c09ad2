//! Disks that refuse, are slow, or are left in the middle of it.

use std::convert::Infallible;

use tombolo_crdt::{AddWinsSet, Limits, PnCounter, ReplicaId};
use tombolo_sync::engine::wire::Frame;
use tombolo_sync::engine::{
    BatchId, Config, DEFAULT_DIRECT, Engine, Forgetting, Input, Now, OpenError, Subscription, UpdateError,
};
use tombolo_sync::store::MemoryStore;
use tombolo_sync::{PeerId, Secret};
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
fn a_disk_that_stays_full_does_not_have_the_same_sent_again_and_again() {
    let (mut world, doc) = two(2);
    world.disk(1).store.set_full(true);
    world.record();
    world.update::<Words, _>(0, doc, |words| words.add("second"));
    world.run_for(60_000);
    let is_content = |frame: &Frame| matches!(frame, Frame::Content { doc: of, .. } if *of == doc);
    let sent = world.sent().iter().filter(|sent| is_content(&sent.frame)).count();
    assert!((1..=12).contains(&sent), "{sent}");
    world.disk(1).store.set_full(false);
    world.run_until_agreed(10_000);
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
    let config = Config {
        peer: PeerId::from_bytes([1; 32]),
        replica: ReplicaId::from_bytes([1; 16]),
        name: "alone".into(),
        application: "test".into(),
        secret: Secret::from_bytes([7; 32]),
        limits: Limits::default(),
        subscription: Subscription::everything(),
        max_documents: 10,
        memory: 1 << 20,
        forgetting: Forgetting::default(),
        direct: DEFAULT_DIRECT,
        mistake: None,
        seed: [0; 32],
    };
    let now = Now { millis: 1, wall_millis: 1 };
    let mut engine = Engine::start(config, &MemoryStore::new(), now).unwrap();
    let refused = engine.open::<Words>(now, "words", true).unwrap().unwrap();
    let other = engine.open::<PnCounter>(now, "likes", true).unwrap().unwrap();
    engine.handle(now, Input::Stored(BatchId(2)));
    let mut add = |word: &str| {
        let add = engine.update::<Words, _, Infallible>(now, refused, |words| {
            words.add(word);
            Ok(())
        });
        add.unwrap().1
    };
    let (first, second) = (add("refused"), add("refused too"));
    let fail = |first| Input::StoreFailed { first, reason: "full".into() };
    engine.handle(now, fail(first));
    let later = engine.update::<PnCounter, _, Infallible>(now, other, |counter| {
        counter.inc(1);
        Ok(())
    });
    let later = later.unwrap().1;
    // A driver that tells of each batch the disk refused, one after the other.
    engine.handle(now, fail(second));
    assert!(!engine.is_durable(later));
    engine.handle(now, Input::Stored(later));
    assert!(engine.is_durable(later), "it was taken for lost");
    assert!(!engine.is_durable(first) && !engine.is_durable(second));
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
    world.call(0, |engine, now| engine.delete(now, "words", "AddWinsSet")).unwrap();
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
    world.call(0, |engine, now| engine.delete(now, "words", "AddWinsSet")).unwrap();
    // The deletion is written, the removal is not.
    world.crash(0, true, 1);
    world.start(0);
    world.run_for(100);
    if world.engine(0).is_deleted(doc) {
        assert!(world.disk(0).version(doc).is_empty());
    }
}

#[test]
fn a_deletion_the_disk_refused_is_undone_also_if_the_directory_cannot_be_read_at_once() {
    let (mut world, doc) = two(12);
    let other = world.open::<PnCounter>(0, "visits");
    world.update::<Words, _>(0, doc, |words| words.add("second"));
    world.run_until_agreed(2_000);
    world.disk(0).store.fail_next(1);
    world.disk(0).fail_reads(1);
    world.call(0, |engine, now| engine.delete(now, "words", "AddWinsSet")).unwrap();
    world.run_for(100);
    // What is written elsewhere becomes durable before it is known what is deleted.
    world.update::<PnCounter, _>(0, other, |visits| visits.inc(1));
    world.run_for(5_000);
    assert_eq!(world.engine(0).list().len(), 2);
    assert_eq!(words(&world, 0, doc), ["first", "second"]);
    world.update::<Words, _>(0, doc, |words| words.add("third"));
    world.run_until_agreed(5_000);
    assert_eq!(words(&world, 1, doc), ["first", "second", "third"]);
}
