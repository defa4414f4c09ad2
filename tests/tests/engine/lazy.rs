//! Documents that are on the disk only: they leave memory, are read when they are needed, and nobody notices.

use tombolo_crdt::{AddWinsSet, PnCounter};
use tombolo_sync::DocId;
use tombolo_sync::engine::{OpenError, UpdateError};
use tombolo_tests::sim::{LinkState, NodeOptions, World};

type Words = AddWinsSet<String>;

/// Nodes that keep nothing in memory that nobody holds open.
fn forgetful(nodes: usize, seed: u64) -> World {
    let mut world =
        World::with_options((0..nodes).map(|_| NodeOptions { memory: 0, ..NodeOptions::default() }), seed);
    world.connect_all();
    world
}

fn words(world: &World, node: usize, doc: DocId) -> Vec<String> {
    world.read::<Words, _>(node, doc, |words| words.iter().cloned().collect())
}

/// Lets go all that hold a document open, and lets it go.
fn close(world: &mut World, node: usize, doc: DocId) {
    world.call(node, |engine, _| while engine.close(doc) {});
    world.run_for(1_000);
    assert!(!is_in_memory(world, node, doc));
}

fn add(world: &mut World, node: usize, doc: DocId, word: &str) {
    world.update::<Words, _>(node, doc, |words| words.add(word));
}

fn is_in_memory(world: &World, node: usize, doc: DocId) -> bool {
    world.engine(node).is_in_memory(doc)
}

/// Two nodes of which only the first has the set open; at the second it is on the disk only.
fn two(seed: u64) -> (World, DocId) {
    let mut world = forgetful(2, seed);
    let doc = world.open::<Words>(0, "words");
    add(&mut world, 0, doc, "first");
    world.run_until_agreed(2_000);
    world.run_for(500);
    assert!(is_in_memory(&world, 0, doc), "it is held open");
    assert!(!is_in_memory(&world, 1, doc), "nobody holds it open");
    (world, doc)
}

#[test]
fn a_document_that_left_memory_is_what_it_was_when_it_is_opened() {
    let (mut world, doc) = two(1);
    let version = world.engine(0).document_status(doc).unwrap().version;
    assert_eq!(world.engine(1).document_status(doc).unwrap().version, version);
    assert_eq!(world.canonical(1, doc), world.canonical(0, doc));
    assert_eq!(world.open::<Words>(1, "words"), doc);
    assert_eq!(words(&world, 1, doc), ["first"]);
    world.run_for(2_000);
    assert!(is_in_memory(&world, 1, doc));
    // Held twice, it stays until both let go.
    world.open::<Words>(1, "words");
    assert_eq!(world.call(1, |engine, _| engine.close(doc)), Some(true));
    world.run_for(500);
    assert!(is_in_memory(&world, 1, doc));
    assert_eq!(world.call(1, |engine, _| engine.close(doc)), Some(false));
    world.run_for(1_000);
    assert!(!is_in_memory(&world, 1, doc));
}

#[test]
fn opening_what_is_on_the_disk_only_says_so_and_has_it_read() {
    let (mut world, doc) = two(2);
    world.set_disk_latency(1, 30, 0);
    let open =
        |world: &mut World| world.call(1, |engine, now| engine.open::<Words>(now, "words", true)).unwrap();
    assert_eq!(open(&mut world), Err(OpenError::NotLoaded { doc }));
    assert_eq!(open(&mut world), Err(OpenError::NotLoaded { doc }));
    let update = world.try_update::<Words, _>(1, doc, |words| words.add("too soon"));
    assert!(matches!(update, Err(UpdateError::NotOpen)));
    world.run_for(100);
    // It waits for who wanted to open it, though there is no room.
    assert!(is_in_memory(&world, 1, doc));
    assert_eq!(open(&mut world), Ok(Some(doc)));
    assert_eq!(words(&world, 1, doc), ["first"]);
}

#[test]
fn who_wanted_to_open_a_document_and_does_not_come_is_not_waited_for_long() {
    let (mut world, doc) = two(3);
    let opened = world.call(1, |engine, now| engine.open::<Words>(now, "words", true)).unwrap();
    assert_eq!(opened, Err(OpenError::NotLoaded { doc }));
    world.run_for(1_000);
    assert!(is_in_memory(&world, 1, doc));
    world.run_for(15_000);
    assert!(!is_in_memory(&world, 1, doc));
}

#[test]
fn a_document_that_left_memory_is_written_as_if_it_had_not() {
    let (mut world, doc) = two(4);
    for round in 0..5 {
        close(&mut world, 0, doc);
        world.open::<Words>(0, "words");
        add(&mut world, 0, doc, &format!("round {round}"));
        world.run_until_agreed(2_000);
    }
    world.open::<Words>(1, "words");
    assert_eq!(words(&world, 1, doc).len(), 6);
    assert_eq!(world.canonical(1, doc), world.canonical(0, doc));
}

#[test]
fn what_peers_send_for_a_document_that_left_memory_is_taken_in_when_it_has_been_read() {
    let (mut world, doc) = two(5);
    world.set_disk_latency(1, 40, 0);
    // Gossip of several changes while the document is being read.
    for word in ["a", "b", "c"] {
        add(&mut world, 0, doc, word);
        world.run_for(12);
    }
    world.run_until_agreed(3_000);
    world.run_for(500);
    assert!(!is_in_memory(&world, 1, doc));
    // And what is pulled.
    world.set_link(0, 1, LinkState::Cut);
    for number in 0..300 {
        add(&mut world, 0, doc, &format!("pulled {number}"));
    }
    world.run_for(200);
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(10_000);
    world.open::<Words>(1, "words");
    assert_eq!(words(&world, 1, doc), words(&world, 0, doc));
}

#[test]
fn who_asks_for_documents_that_left_memory_gets_them_all() {
    let mut world =
        World::with_options((0..3).map(|_| NodeOptions { memory: 0, ..NodeOptions::default() }), 6);
    world.crash(2, true, 0);
    world.befriend(1, 0);
    let docs: Vec<DocId> = (0..50).map(|number| world.open::<Words>(0, &format!("words {number}"))).collect();
    for doc in &docs {
        add(&mut world, 0, *doc, "first");
    }
    world.run_until_agreed(10_000);
    world.crash(0, true, 0);
    world.run_for(500);
    assert!(docs.iter().all(|doc| !is_in_memory(&world, 1, *doc)));
    world.start(2);
    world.befriend(2, 1);
    world.run_until(20_000, |world| world.ready(2) == [1] && world.agrees()).expect("they agree");
    assert_eq!(world.engine(2).list().len(), 50);
    for doc in docs {
        assert!(world.canonical(2, doc).is_some_and(|state| Some(state) == world.canonical(1, doc)));
    }
}

#[test]
fn a_document_is_deleted_though_it_is_on_the_disk_only() {
    let (mut world, doc) = two(7);
    world.call(1, |engine, now| engine.delete(now, "words", "AddWinsSet")).unwrap();
    world.run_until_agreed(2_000);
    for node in [0, 1] {
        assert!(world.engine(node).list().is_empty());
        assert!(world.disk(node).version(doc).is_empty());
        world.crash(node, true, 0);
        world.start(node);
        assert!(world.engine(node).document_status(doc).is_none());
    }
}

#[test]
fn a_deletion_that_the_disk_refused_brings_back_what_was_on_the_disk_only() {
    let (mut world, doc) = two(8);
    world.set_link(0, 1, LinkState::Cut);
    world.disk(1).store.fail_next(1);
    world.call(1, |engine, now| engine.delete(now, "words", "AddWinsSet")).unwrap();
    world.run_for(3_000);
    assert_eq!(world.engine(1).list().len(), 1);
    world.open::<Words>(1, "words");
    assert_eq!(words(&world, 1, doc), ["first"]);
    add(&mut world, 1, doc, "second");
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(5_000);
    assert_eq!(words(&world, 0, doc), ["first", "second"]);
}

#[test]
fn a_document_that_cannot_be_read_is_there_again_when_it_can() {
    let (mut world, doc) = two(9);
    world.disk(1).fail_reads(1);
    add(&mut world, 0, doc, "second");
    world.run_for(20);
    world.run_until_agreed(20_000);
    // Who opens it is told, and can try again.
    world.run_for(500);
    world.disk(1).fail_reads(1);
    let open =
        |world: &mut World| world.call(1, |engine, now| engine.open::<Words>(now, "words", true)).unwrap();
    assert_eq!(open(&mut world), Err(OpenError::NotLoaded { doc }));
    world.run_for(20);
    assert_eq!(open(&mut world), Err(OpenError::NotLoaded { doc }));
    world.run_for(20);
    assert_eq!(open(&mut world), Ok(Some(doc)));
    assert_eq!(words(&world, 1, doc), ["first", "second"]);
}

#[test]
fn a_node_starts_without_reading_what_it_does_not_need() {
    let mut world = World::new(2, 10);
    world.connect_all();
    let docs: Vec<DocId> =
        (0..20).map(|number| world.open::<PnCounter>(0, &format!("counter {number}"))).collect();
    for doc in &docs {
        world.update::<PnCounter, _>(0, *doc, |counter| counter.inc(3));
    }
    world.run_until_agreed(5_000);
    // There is room for everything, and the store is told all the same what there is.
    world.run_for(20_000);
    world.update::<PnCounter, _>(0, docs[0], |counter| counter.inc(1));
    world.run_until_agreed(5_000);
    for node in [0, 1] {
        world.crash(node, true, 0);
        world.start(node);
        assert!(is_in_memory(&world, node, docs[0]), "it had just been written");
        assert!(docs[1..].iter().all(|doc| !is_in_memory(&world, node, *doc)));
        assert_eq!(world.engine(node).held_documents().count(), 21);
    }
    world.run_until_agreed(10_000);
    for node in [0, 1] {
        for (number, doc) in docs.iter().enumerate() {
            world.open::<PnCounter>(node, &format!("counter {number}"));
            let value = world.read::<PnCounter, _>(node, *doc, |counter| counter.value());
            assert_eq!(value, if number == 0 { 4 } else { 3 });
        }
    }
}

#[test]
fn what_was_durable_is_there_after_a_crash_at_any_moment_of_leaving_and_coming_back() {
    for at in 0..60 {
        let (mut world, doc) = two(100 + at);
        world.set_disk_latency(0, at % 4, at % 3);
        let mut added = Vec::new();
        for round in 0..4 {
            world.open::<Words>(0, "words");
            let batch = world.update::<Words, _>(0, doc, |words| words.add(format!("round {round}")));
            added.push(batch);
            world.call(0, |engine, _| while engine.close(doc) {});
            world.run_for(at % 7 * 4);
        }
        let durable = added.iter().filter(|batch| world.engine(0).is_durable(**batch)).count();
        world.crash(0, at % 2 == 0, (at % 3) as usize);
        world.start(0);
        world.open::<Words>(0, "words");
        let found = words(&world, 0, doc).len() - 1;
        assert!(found >= durable, "of {durable} durable writes {found} are left");
        add(&mut world, 0, doc, "after");
        world.run_until_agreed(5_000);
        world.open::<Words>(1, "words");
        assert_eq!(words(&world, 0, doc), words(&world, 1, doc));
    }
}

#[test]
fn what_a_store_wrote_alone_is_renamed_also_if_it_has_left_memory() {
    for crash in [None, Some(0), Some(1), Some(2), Some(5), Some(20)] {
        let (mut world, doc) = two(11);
        close(&mut world, 0, doc);
        let before = world.engine(0).replica();
        let image = world.disk(0).store.image();
        world.open::<Words>(0, "words");
        add(&mut world, 0, doc, "lost");
        world.run_until_agreed(2_000);
        // Set back, and alone: what is written now stands under dots that the other knows as something else.
        world.set_link(0, 1, LinkState::Cut);
        world.set_back(0, image);
        world.open::<Words>(0, "words");
        add(&mut world, 0, doc, "alone");
        close(&mut world, 0, doc);
        assert!(world.engine(0).is_apart());
        // It is found out while the document is on the disk only, and cannot be read at once.
        world.disk(0).fail_reads(2);
        world.set_link(0, 1, LinkState::Up);
        world.run_until(20_000, |world| world.engine(0).replica() != before).expect("it goes on as another");
        if let Some(after) = crash {
            world.run_for(after);
            world.crash(0, true, 0);
            world.start(0);
        }
        world.run_until_agreed(20_000);
        for node in [0, 1] {
            world.open::<Words>(node, "words");
            assert_eq!(words(&world, node, doc), ["alone", "first", "lost"], "crash {crash:?}");
        }
        add(&mut world, 0, doc, "later");
        world.run_until_agreed(2_000);
        assert_eq!(words(&world, 1, doc), ["alone", "first", "later", "lost"]);
    }
}

/// What the store says of a document beside its content has a fingerprint in it, and that is made under the space's secret.
#[test]
fn who_has_a_document_on_the_disk_only_and_who_has_it_in_memory_hold_the_same_under_a_new_secret() {
    let (mut world, doc) = two(12);
    for node in [0, 1] {
        world.crash(node, true, 100);
        world.nodes[node].options.secret ^= 1;
        world.start(node);
    }
    world.connect_all();
    world.open::<Words>(0, "words");
    world.run_until_agreed(20_000);
    world.run_for(20_000);
    assert!(world.diverged.is_empty(), "{:?}", world.diverged);
    add(&mut world, 0, doc, "later");
    world.run_until_agreed(2_000);
    assert!(!is_in_memory(&world, 1, doc), "it is known of anew what is to be known");
    // Nothing is read for that once more.
    world.crash(1, true, 100);
    world.run_for(100);
    world.start(1);
    assert!(!is_in_memory(&world, 1, doc));
    world.run_until_agreed(20_000);
    world.open::<Words>(1, "words");
    assert_eq!(words(&world, 1, doc), ["first", "later"]);
}
