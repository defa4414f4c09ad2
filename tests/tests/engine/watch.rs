//! What becomes different in a document that is watched. That it is what there is the simulator checks in all its runs.

use tombolo_crdt::{AddWinsSet, MarkKind, Text};
use tombolo_sync::DocId;
use tombolo_tests::sim::{Branch, Kind, LinkState, NodeOptions, World};

type Words = AddWinsSet<String>;

fn add(world: &mut World, node: usize, doc: DocId, word: &str) {
    world.update::<Words, _>(node, doc, |words| words.add(word));
}

/// Two connected nodes that show a set.
fn two(seed: u64) -> (World, DocId) {
    let mut world = World::new(2, seed);
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    add(&mut world, 0, doc, "first");
    world.run_until_agreed(2_000);
    for node in 0..2 {
        world.open::<Words>(node, "words");
        world.show(node, Kind::Set, doc);
    }
    (world, doc)
}

#[test]
fn what_is_undone_and_what_comes_again_is_told() {
    let (mut world, doc) = two(1);
    world.disk(0).store.fail_next(1);
    world.disk(1).store.fail_next(1);
    add(&mut world, 0, doc, "refused");
    world.run_for(3_000);
    assert!(world.stats().branch(Branch::ShownUndone) > 0);
    add(&mut world, 0, doc, "second");
    world.run_until_agreed(5_000);
}

#[test]
fn what_is_deleted_and_what_is_not_after_all_is_told() {
    let (mut world, doc) = two(2);
    world.set_disk_latency(0, 20, 0);
    world.disk(0).store.fail_next(1);
    world.delete_kind(0, Kind::Set, "words");
    assert_eq!(world.stats().branch(Branch::ShownDeleted), 1);
    // The disk refuses it, and then it is there again; and then it is gone.
    world.run_for(3_000);
    assert!(world.stats().branch(Branch::ShownUndone) > 0);
    add(&mut world, 0, doc, "second");
    world.run_until_agreed(5_000);
    assert_eq!(world.stats().branch(Branch::ShownDeleted), 1);
    world.delete_kind(0, Kind::Set, "words");
    world.run_until_agreed(5_000);
    assert_eq!(world.stats().branch(Branch::ShownDeleted), 3, "here and there");
    // A new one of that name is another.
    let new = world.open::<Words>(0, "words");
    assert_ne!(new, doc);
    add(&mut world, 0, new, "third");
    world.run_until_agreed(5_000);
}

/// Written alone by a store that was set back, and then given to a new id.
#[test]
fn what_is_given_to_another_id_is_told_if_it_reads_otherwise() {
    let (mut otherwise, mut same) = (0, 0);
    for seed in 0..12 {
        let mut world = World::new(2, seed);
        world.connect_all();
        let doc = world.open::<Text>(0, "page");
        world.update::<Text, _>(0, doc, |text| text.push("The sea."));
        world.run_until_agreed(2_000);
        let image = world.disk(0).store.image();
        world.update::<Text, _>(0, doc, |text| text.push(" It ebbs."));
        world.run_until_agreed(2_000);
        world.set_link(0, 1, LinkState::Cut);
        world.set_back(0, image);
        world.open::<Text>(0, "page");
        world.open::<Text>(1, "page");
        (0..2).for_each(|node| world.show(node, Kind::Page, doc));
        // At one place, so that the ids decide which stands first.
        world.update::<Text, _>(1, doc, |text| text.insert(3, " grey").unwrap());
        world.update::<Text, _>(0, doc, |text| {
            text.insert(3, " wide").unwrap();
            text.mark(0..3, MarkKind::BOLD, true).unwrap();
        });
        world.run_for(2_000);
        world.set_link(0, 1, LinkState::Up);
        world.run_until_agreed(30_000);
        same += usize::from(world.stats().branch(Branch::ShownRenamed) > 0);
        otherwise += usize::from(world.overtaken == [(0, false)]);
    }
    assert_eq!((same, otherwise), (12, 12));
}

#[test]
fn what_is_watched_stays_in_memory() {
    let mut world =
        World::with_options((0..2).map(|_| NodeOptions { memory: 0, ..NodeOptions::default() }), 4);
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    add(&mut world, 0, doc, "first");
    world.show(0, Kind::Set, doc);
    world.call(0, |engine, _| while engine.close(doc) {});
    world.run_until_agreed(2_000);
    world.run_for(2_000);
    assert!(world.engine(0).is_in_memory(doc) && !world.engine(1).is_in_memory(doc));
    // Where it was on the disk only it is watched as soon as it is open.
    world.open::<Words>(1, "words");
    world.show(1, Kind::Set, doc);
    add(&mut world, 0, doc, "second");
    world.run_until_agreed(2_000);
    world.hide(0, doc);
    world.run_for(2_000);
    assert!(!world.engine(0).is_in_memory(doc) && world.engine(1).is_in_memory(doc));
}
