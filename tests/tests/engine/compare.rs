//! Equal versions with unequal states: found on contact, told, and never joined.

use tombolo_crdt::{AddWinsSet, Replica, Since, Version};
use tombolo_sync::DocId;
use tombolo_sync::engine::REPLICA_RECORD;
use tombolo_sync::engine::wire::{ContentKind, Frame};
use tombolo_sync::store::{MemoryStore, Store as _, Write};
use tombolo_tests::sim::{FrameWeather, LinkState, World};

type Words = AddWinsSet<String>;

fn add(world: &mut World, node: usize, doc: DocId, word: &str) {
    world.update::<Words, _>(node, doc, |words| words.add(word.to_owned()));
    world.run_for(20);
}

fn open(world: &mut World) {
    let running: Vec<usize> = (0..world.len()).filter(|node| world.runs(*node)).collect();
    running.into_iter().for_each(|node| _ = world.open::<Words>(node, "words"));
}

fn said(world: &mut World, node: usize, doc: DocId) -> Vec<String> {
    world.open::<Words>(node, "words");
    world.read::<Words, _>(node, doc, |words| words.iter().cloned().collect())
}

/// The first node shows `b` to the second, is set back within the run, and shows `theirs` to the third; nobody notices.
fn fork(world: &mut World, words: DocId, theirs: &[String]) {
    world.run_until_agreed(10_000);
    world.set_link(0, 2, LinkState::Cut);
    world.set_link(1, 2, LinkState::Cut);
    let image = world.disk(0).store.image();
    add(world, 0, words, "b");
    world.run_for(3_000);
    world.set_link(0, 1, LinkState::Cut);
    world.set_back(0, image);
    world.set_link(0, 2, LinkState::Up);
    world.run_for(5_000);
    world.open::<Words>(0, "words");
    theirs.iter().for_each(|word| add(world, 0, words, word));
    world.run_for(3_000);
}

fn three(seed: u64) -> (World, DocId) {
    let mut world = World::new(3, seed);
    world.expect_set_back();
    world.connect_all();
    let words = world.open::<Words>(0, "words");
    (world, words)
}

/// A [`fork`] of which all have `first`, beside other documents.
fn forked(others: usize) -> (World, DocId) {
    forked_from(others, 41)
}

fn forked_from(others: usize, seed: u64) -> (World, DocId) {
    let (mut world, words) = three(seed);
    for n in 0..others {
        world.open::<Words>(0, &format!("other {n}"));
    }
    add(&mut world, 0, words, "first");
    fork(&mut world, words, &["c".to_owned()]);
    (world, words)
}

#[test]
fn a_machine_set_back_within_one_run_that_met_another_since_is_found_on_contact() {
    let (mut world, words) = forked(0);
    assert!(!world.has_parted());
    world.set_link(1, 2, LinkState::Up);
    world.run_for(10_000);
    assert!(world.diverged.contains(&(1, 2, words)) && world.diverged.contains(&(2, 1, words)));
    assert_eq!(world.diverged.len(), 2, "it is told once");
    // Nothing is mixed, whatever is written to it. (What others pass on who have met only one of the two, they take.)
    world.crash(0, true, 0);
    open(&mut world);
    add(&mut world, 1, words, "more of b");
    add(&mut world, 2, words, "more of c");
    world.run_for(10_000);
    assert_eq!(said(&mut world, 1, words), ["b", "first", "more of b"]);
    assert_eq!(said(&mut world, 2, words), ["c", "first", "more of c"]);
    let status = world.engine(1).document_status(words).unwrap();
    assert_eq!(status.diverged, [world.peer(2)]);
    assert!(!world.engine(1).is_in_sync_with(world.peer(2)));
    // All else goes on.
    let other = world.open::<Words>(1, "other");
    add(&mut world, 1, other, "word");
    world.run_for(3_000);
    world.open::<Words>(2, "other");
    assert_eq!(world.read::<Words, _>(2, other, |words| words.len()), 1);
}

#[test]
fn a_home_set_back_unnoticed_written_alone_and_then_moved_is_found_on_contact() {
    let mut world = World::new(2, 44);
    world.expect_set_back();
    world.connect_all();
    let words = world.open::<Words>(0, "words");
    add(&mut world, 0, words, "first");
    world.run_until_agreed(10_000);
    let image = world.disk(0).store.image();
    add(&mut world, 0, words, "b");
    world.run_for(3_000);
    world.set_link(0, 1, LinkState::Cut);
    world.set_back(0, image);
    open(&mut world);
    add(&mut world, 0, words, "c");
    world.run_for(1_000);
    // As a node does that finds its store on another disk: it goes on under a new id.
    world.crash(0, true, 0);
    let moved = Write::Put { key: REPLICA_RECORD.into(), value: vec![9; 16] };
    world.disk(0).store.commit(&[moved]).unwrap();
    world.start(0);
    world.set_link(0, 1, LinkState::Up);
    world.run_for(10_000);
    assert!(world.diverged.contains(&(0, 1, words)) && world.diverged.contains(&(1, 0, words)));
    assert_eq!(said(&mut world, 0, words), ["c", "first"]);
    assert_eq!(said(&mut world, 1, words), ["b", "first"]);
}

#[test]
fn one_document_of_many_is_found_also_if_frames_are_lost_and_another_is_always_written() {
    for seed in 38..46 {
        let (mut world, words) = forked_from(300, seed);
        world.frames = FrameWeather { loss: 10, duplicates: 5, late: 5 };
        let busy = world.open::<Words>(2, "other 7");
        world.set_link(1, 2, LinkState::Up);
        for n in 0..120 {
            add(&mut world, 2, busy, &format!("word {n}"));
            world.run_for(480);
        }
        // Also at who was told of it by one frame, and that was lost.
        let both = world.diverged.contains(&(1, 2, words)) && world.diverged.contains(&(2, 1, words));
        assert!(both, "seed {seed}: {:?}", world.diverged);
        assert!(world.diverged.iter().all(|(.., doc)| *doc == words), "{:?}", world.diverged);
    }
}

/// Whoever holds something else is told so again, and not often.
#[test]
fn what_has_diverged_is_told_again_once_a_minute() {
    let (mut world, words) = forked(0);
    world.set_link(1, 2, LinkState::Up);
    world.run_for(30_000);
    assert!(world.diverged.contains(&(1, 2, words)) && world.diverged.contains(&(2, 1, words)));
    world.record();
    world.run_for(10 * 60_000);
    let told = world.sent().iter().filter(|sent| matches!(sent.frame, Frame::States(_))).count();
    assert!((5..=25).contains(&told), "{told} times in ten minutes");
}

/// Writes until nobody remembers what was removed since `known`.
fn go_far_ahead(world: &mut World, node: usize, doc: DocId, known: &Version) {
    let passing = || (0..1_000).map(|n| format!("passing {n}"));
    while !world.read::<Words, _>(node, doc, |words| matches!(words.delta_since(known), Since::Forgotten)) {
        world.update::<Words, _>(node, doc, |words| words.extend(passing()));
        world.update::<Words, _>(node, doc, |words| passing().for_each(|word| _ = words.remove(&word)));
    }
    world.run_for(3_000);
}

/// A [`fork`] with `common` words that all have; then the third node goes so far ahead of the second that it remembers nothing of what was
/// removed since.
fn forked_and_far_ahead(common: usize) -> (World, DocId) {
    let (mut world, words) = three(46);
    for n in 0..common {
        world.update::<Words, _>(0, words, |words| words.add(format!("{n}")));
    }
    fork(&mut world, words, &(0..10).map(|n| format!("c {n}")).collect::<Vec<_>>());
    open(&mut world);
    for n in 0..common / 10 {
        world.update::<Words, _>(2, words, |words| words.remove(&format!("{n}")));
    }
    let known = world.read::<Words, _>(1, words, Replica::version);
    go_far_ahead(&mut world, 2, words, &known);
    world.set_link(0, 2, LinkState::Cut);
    world.record();
    world.set_link(1, 2, LinkState::Up);
    world.run_for(10_000);
    (world, words)
}

/// Neither has joined anything of the other's, and both say so.
fn assert_apart(world: &mut World, words: DocId, common: usize) {
    assert!(
        world.diverged.contains(&(1, 2, words)) && world.diverged.contains(&(2, 1, words)),
        "{:?}",
        world.diverged
    );
    assert_eq!(world.diverged.len(), 2, "it is told once");
    let (b, c) = (said(world, 1, words), said(world, 2, words));
    assert_eq!((b.len(), b.contains(&"b".to_owned())), (common + 1, true));
    assert_eq!((c.len(), c.contains(&"c 0".to_owned())), (common - common / 10 + 10, true));
}

#[test]
fn two_continuations_that_meet_far_apart_are_not_joined_by_what_is_alive() {
    let (mut world, words) = forked_and_far_ahead(200);
    let asked = |sent: &Frame| matches!(sent, Frame::Pull { alive: Some(_), .. });
    assert!(world.sent().iter().any(|sent| asked(&sent.frame)), "not the way that is meant");
    assert_apart(&mut world, words, 200);
}

#[test]
fn two_continuations_that_meet_far_apart_are_not_joined_as_whole_states() {
    let (mut world, words) = forked_and_far_ahead(40);
    let is_state = |sent: &Frame| matches!(sent, Frame::Content { kind: ContentKind::State, .. });
    assert!(world.sent().iter().any(|sent| is_state(&sent.frame)), "not the way that is meant");
    assert_apart(&mut world, words, 40);
}

#[test]
fn what_is_removed_while_who_is_far_behind_asks_is_no_divergence() {
    let mut again = 0;
    for wait in 0..40 {
        let mut world = World::new(2, 47);
        world.connect_all();
        let words = world.open::<Words>(0, "words");
        for n in 0..300 {
            world.update::<Words, _>(0, words, |words| words.add(format!("{n}")));
        }
        world.run_until_agreed(10_000);
        world.set_link(0, 1, LinkState::Cut);
        for n in 0..30 {
            world.update::<Words, _>(0, words, |words| words.remove(&format!("{n}")));
        }
        open(&mut world);
        let known = world.read::<Words, _>(1, words, Replica::version);
        go_far_ahead(&mut world, 0, words, &known);
        world.record();
        world.set_link(0, 1, LinkState::Up);
        world.run_for(wait * 25);
        for n in 0..20 {
            world.update::<Words, _>(1, words, |words| words.remove(&format!("{}", 100 + n)));
            world.run_for(wait % 8 + 1);
        }
        world.run_until_agreed(20_000);
        assert_eq!(said(&mut world, 0, words).len(), 250, "{wait}");
        assert!(world.diverged.is_empty());
        let told = |frame: &Frame| {
            matches!(
                frame,
                Frame::Content { kind: ContentKind::Beyond | ContentKind::BeyondNamed, doc, .. } if *doc == words
            )
        };
        let first = world.sent().iter().position(|sent| told(&sent.frame)).expect("it is far behind");
        let asked = |frame: &Frame| matches!(frame, Frame::Pull { alive: Some(_), doc, .. } if *doc == words);
        again += usize::from(world.sent()[first..].iter().any(|sent| sent.from == 1 && asked(&sent.frame)));
    }
    assert!(again > 0, "never was anything removed in between");
}

#[test]
fn what_has_diverged_is_not_joined_after_a_restart_either() {
    let (mut world, words) = forked(0);
    world.set_link(1, 2, LinkState::Up);
    world.run_for(10_000);
    assert!(world.has_parted());
    world.crash(0, true, 0);
    open(&mut world);
    for n in 0..3_000 {
        world.update::<Words, _>(2, words, |words| words.add(format!("word {n}")));
    }
    world.run_for(3_000);
    for node in [1, 2] {
        world.crash(node, true, 0);
        world.start(node);
    }
    world.run_for(20_000);
    assert_eq!(said(&mut world, 1, words), ["b", "first"]);
    assert_eq!(said(&mut world, 2, words).len(), 3_002);
    assert_eq!(world.engine(1).document_status(words).unwrap().diverged, [world.peer(2)]);
}

#[test]
fn more_documents_than_can_be_named_are_compared_one_by_one() {
    let mut world = World::new(3, 45);
    world.befriend(1, 0);
    world.befriend(2, 0);
    let docs: Vec<DocId> = (0..400).map(|n| world.open::<Words>(0, &format!("document {n}"))).collect();
    docs.iter().for_each(|doc| add(&mut world, 0, *doc, "word"));
    world.record();
    world.connect_all();
    world.run_for(60_000);
    let between = world.sent().iter().filter(|sent| [sent.from, sent.to].iter().all(|node| *node > 0));
    let compared: usize = between
        .map(|sent| match &sent.frame {
            Frame::States(entries) => entries.len(),
            Frame::Alike { asks: false, .. } => 400,
            _ => 0,
        })
        .sum();
    assert!(compared >= 400, "{compared}");
}

#[test]
fn who_begins_anew_is_given_all_of_it() {
    let (mut world, words) = forked(0);
    world.set_link(1, 2, LinkState::Up);
    world.run_for(10_000);
    assert!(world.has_parted());
    world.set_link(0, 2, LinkState::Cut);
    world.set_back(2, MemoryStore::default());
    world.run_for(20_000);
    assert_eq!(said(&mut world, 2, words), ["b", "first"]);
    open(&mut world);
    add(&mut world, 1, words, "later");
    world.run_for(3_000);
    assert_eq!(said(&mut world, 2, words), ["b", "first", "later"]);
    assert!(world.engine(1).document_status(words).unwrap().diverged.is_empty());
}

#[test]
fn what_has_been_compared_is_not_compared_again_until_it_changes() {
    let mut world = World::new(2, 42);
    world.connect_all();
    let docs: Vec<DocId> = (0..200).map(|n| world.open::<Words>(0, &format!("document {n}"))).collect();
    docs.iter().for_each(|doc| add(&mut world, 0, *doc, "word"));
    world.run_until_agreed(10_000);
    world.run_for(20_000);
    world.record();
    world.run_for(60_000);
    let compared = |world: &World| {
        let sent = world.sent().iter();
        sent.filter(|sent| matches!(sent.frame, Frame::Alike { .. } | Frame::States(_))).count()
    };
    assert_eq!(compared(&world), 0);
    add(&mut world, 0, docs[3], "another word");
    world.run_for(20_000);
    assert!((1..=2).contains(&compared(&world)), "each side once, at most: {}", compared(&world));
}

#[test]
fn lies_about_fingerprints_part_nobody_but_the_liar() {
    let mut world = World::new(3, 43);
    world.expect_set_back();
    world.connect_all();
    let words = world.open::<Words>(0, "words");
    add(&mut world, 0, words, "first");
    world.run_until_agreed(10_000);
    world.run_for(10_000);
    let lie = Frame::Alike { but: vec![words; 1_000], versions: [1; 32], states: [2; 16], asks: true };
    world.forge_frame(2, 0, &lie);
    world.forge_frame(2, 0, &Frame::States(vec![(words, [1; 16], [2; 16]); 1_000]));
    open(&mut world);
    add(&mut world, 1, words, "second");
    world.run_for(10_000);
    assert!(world.diverged.is_empty());
    assert_eq!(said(&mut world, 0, words), ["first", "second"]);
    // Who says that it takes nothing is given nothing, of that document.
    (0..=255).for_each(|id| world.forge_frame(2, 0, &Frame::Diverged { doc: DocId::from_bytes([id; 16]) }));
    world.forge_frame(2, 0, &Frame::Diverged { doc: words });
    world.run_for(1_000);
    add(&mut world, 0, words, "third");
    world.run_for(10_000);
    assert!(world.diverged.iter().all(|(a, b, _)| [*a, *b].contains(&2)), "{:?}", world.diverged);
    assert_eq!(said(&mut world, 1, words), ["first", "second", "third"]);
}
