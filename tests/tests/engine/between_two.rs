//! What an application sees of the engine: documents that meet, whatever the network does.

use tombolo_crdt::{AddWinsSet, PnCounter};
use tombolo_sync::engine::wire::Frame;
use tombolo_sync::engine::{OpenError, UpdateError};
use tombolo_tests::sim::{GossipWeather, LinkState, World};

type Words = AddWinsSet<String>;

const SILENT_GOSSIP: GossipWeather = GossipWeather { delivered: 0, duplicates: 0, spread: 0 };

fn count(world: &World, node: usize, doc: tombolo_sync::DocId) -> i64 {
    world.read::<PnCounter, _>(node, doc, |counter| counter.value())
}

#[test]
fn what_is_written_while_there_are_no_peers_is_stored_and_arrives_later() {
    let mut world = World::new(2, 1);
    let doc = world.open::<PnCounter>(0, "likes");
    let batch = world.update::<PnCounter, _>(0, doc, |counter| counter.inc(3));
    world.run_for(100);
    assert!(world.engine(0).is_durable(batch));
    assert_eq!(world.pushed(), 0);
    assert_eq!(world.engine(0).status().in_sync, None);
    world.connect_all();
    assert_eq!(world.open::<PnCounter>(1, "likes"), doc);
    assert_eq!(count(&world, 1, doc), 3);
}

#[test]
fn ten_thousand_updates_at_once_all_arrive_with_few_messages() {
    let mut world = World::new(3, 2);
    world.connect_all();
    let doc = world.open::<PnCounter>(0, "likes");
    world.run_until_agreed(1_000);
    for _ in 0..10_000 {
        world.update::<PnCounter, _>(0, doc, |counter| counter.inc(1));
    }
    world.run_until_agreed(5_000);
    for node in 1..3 {
        world.open::<PnCounter>(node, "likes");
        assert_eq!(count(&world, node, doc), 10_000);
    }
    assert!(world.pushed() < 500, "{} messages", world.pushed());
}

#[test]
fn ten_thousand_updates_all_arrive_also_without_gossip() {
    let mut world = World::new(3, 3);
    world.gossip = SILENT_GOSSIP;
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    for number in 0..10_000 {
        world.update::<Words, _>(0, doc, |words| words.add(format!("word {number}")));
    }
    world.run_until_agreed(10_000);
    world.open::<Words>(2, "words");
    assert_eq!(world.read::<Words, _>(2, doc, |words| words.len()), 10_000);
}

/// Commits on one node, one at a time; how long until the other shows each, the median in milliseconds.
fn median_latency(gossip: GossipWeather) -> u64 {
    let mut world = World::new(2, 4);
    world.set_latency(0, 1, 10, 0);
    world.set_disk_latency(0, 2, 0);
    world.gossip = gossip;
    world.connect_all();
    let doc = world.open::<PnCounter>(0, "likes");
    world.run_until_agreed(2_000);
    world.open::<PnCounter>(1, "likes");
    let mut took: Vec<u64> = Vec::new();
    for commit in 1..=101 {
        world.update::<PnCounter, _>(0, doc, |counter| counter.inc(1));
        let seen = |world: &World| count(world, 1, doc) == commit;
        took.push(world.run_until(5_000, seen).expect("it arrives"));
        world.run_for(137);
    }
    took.sort_unstable();
    println!("median {} ms, slowest {} ms", took[50], took[100]);
    took[50]
}

#[test]
fn a_commit_is_visible_elsewhere_after_the_disk_and_one_way() {
    assert!(median_latency(GossipWeather { spread: 0, ..GossipWeather::default() }) <= 2 + 10 + 1);
}

#[test]
fn without_gossip_a_commit_is_visible_after_the_pause_and_three_ways() {
    assert!(median_latency(SILENT_GOSSIP) <= 2 + 50 + 3 * 10 + 2);
}

#[test]
fn a_document_opened_as_another_type_is_an_error_that_says_so() {
    let mut world = World::new(2, 5);
    world.connect_all();
    world.open::<PnCounter>(0, "likes");
    world.run_until_agreed(1_000);
    let wrong = world.try_open::<Words>(1, "likes");
    let Err(OpenError::WrongType { name, found, .. }) = wrong else { panic!("{wrong:?}") };
    assert_eq!((name.as_str(), found.as_str()), ("likes", "PnCounter"));
}

#[test]
fn two_nodes_that_create_a_document_at_once_mean_the_same() {
    let mut world = World::new(2, 6);
    let (hers, his) = (world.open::<PnCounter>(0, "likes"), world.open::<PnCounter>(1, "likes"));
    assert_eq!(hers, his);
    world.update::<PnCounter, _>(0, hers, |counter| counter.inc(1));
    world.update::<PnCounter, _>(1, his, |counter| counter.inc(2));
    world.connect_all();
    assert_eq!((count(&world, 0, hers), count(&world, 1, his)), (3, 3));
    assert_eq!(world.engine(0).list().len(), 1);
}

#[test]
fn a_document_created_again_after_its_deletion_starts_empty() {
    let mut world = World::new(2, 7);
    world.connect_all();
    let first = world.open::<PnCounter>(0, "likes");
    world.update::<PnCounter, _>(0, first, |counter| counter.inc(7));
    world.run_until_agreed(1_000);
    world.open::<PnCounter>(1, "likes");
    // At the same time: one deletes it, the other writes to it. The write goes with it.
    world.set_link(0, 1, LinkState::Cut);
    world.call(0, |engine, now| engine.delete(now, "likes", "PnCounter")).unwrap().expect("it was there");
    world.update::<PnCounter, _>(1, first, |counter| counter.inc(1));
    assert!(matches!(
        world.try_update::<PnCounter, _>(0, first, |counter| counter.inc(1)),
        Err(UpdateError::Deleted)
    ));
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(5_000);
    assert!(world.engine(1).list().is_empty());
    assert!(world.engine(1).document::<PnCounter>(first).is_none());
    let second = world.open::<PnCounter>(1, "likes");
    assert_ne!(second, first);
    world.run_until_agreed(1_000);
    assert_eq!(world.open::<PnCounter>(0, "likes"), second);
    assert_eq!(count(&world, 0, second), 0);
    // And nothing of the first is left on any disk.
    for node in 0..2 {
        assert!(world.disk(node).version(first).is_empty());
    }
}

#[test]
fn a_document_nobody_here_has_opened_is_passed_on() {
    let mut world = World::new(3, 8);
    world.befriend(0, 1);
    world.befriend(1, 2);
    world.set_link(0, 2, LinkState::Cut);
    world.run_for(500);
    let doc = world.open::<Words>(0, "words");
    world.update::<Words, _>(0, doc, |words| words.add("relayed"));
    world.run_until_agreed(3_000);
    world.crash(0, true, 0);
    // It removes what it never saw the type of, too.
    assert!(world.engine(1).document::<Words>(doc).is_none());
    world.open::<Words>(2, "words");
    world.update::<Words, _>(2, doc, |words| words.remove("relayed"));
    world.run_until_agreed(3_000);
    world.crash(2, true, 0);
    world.start(0);
    world.run_until_agreed(5_000);
    world.open::<Words>(0, "words");
    assert!(world.read::<Words, _>(0, doc, |words| words.is_empty()));
}

#[test]
fn who_is_further_behind_than_is_remembered_gets_the_state_and_nothing_removed_comes_back() {
    let mut world = World::new(2, 9);
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    world.open::<Words>(1, "words");
    world.update::<Words, _>(0, doc, |words| words.extend(["keep", "remove"]));
    world.run_until_agreed(1_000);
    world.set_link(0, 1, LinkState::Cut);
    world.update::<Words, _>(0, doc, |words| words.remove("remove"));
    world.update::<Words, _>(1, doc, |words| words.add("unsent"));
    // More than the four MiB that are remembered.
    for number in 0..400 {
        let large = format!("{number} {}", "x".repeat(20_000));
        world.update::<Words, _>(0, doc, |words| words.add(large.clone()));
        world.update::<Words, _>(0, doc, |words| words.remove(large.as_str()));
    }
    world.run_for(500);
    world.record();
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(5_000);
    let is_state =
        |frame: &Frame| matches!(frame, Frame::Content { kind, .. } if format!("{kind:?}") == "State");
    assert!(world.sent().iter().any(|sent| is_state(&sent.frame)), "the state was sent");
    for node in 0..2 {
        let words: Vec<String> = world.read::<Words, _>(node, doc, |words| words.iter().cloned().collect());
        assert_eq!(words, ["keep", "unsent"]);
    }
}

#[test]
fn a_restart_forgets_history_and_still_nothing_comes_back() {
    let mut world = World::new(2, 10);
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    world.update::<Words, _>(0, doc, |words| words.extend(["keep", "remove"]));
    world.run_until_agreed(1_000);
    world.set_link(0, 1, LinkState::Cut);
    world.update::<Words, _>(0, doc, |words| words.remove("remove"));
    world.run_for(100);
    world.crash(0, true, 0);
    world.start(0);
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(5_000);
    world.open::<Words>(1, "words");
    assert!(world.read::<Words, _>(1, doc, |words| words.len() == 1 && words.contains("keep")));
}

#[test]
fn a_document_of_several_megabytes_travels_in_parts_and_an_interrupted_transfer_goes_on() {
    let mut world = World::new(2, 11);
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    world.run_until_agreed(1_000);
    world.set_link(0, 1, LinkState::Cut);
    let large: Vec<String> = (0..300).map(|number| format!("{number} {}", "x".repeat(30_000))).collect();
    world.update::<Words, _>(0, doc, |words| words.extend(large));
    world.run_for(500);
    world.record();
    world.set_bandwidth(0, 1, 2_000);
    // Nine MB at two MB a second; the link breaks every other second.
    let mut breaks = 0;
    loop {
        world.set_link(0, 1, LinkState::Up);
        if world.run_until(2_000, World::agrees).is_some() {
            break;
        }
        world.set_link(0, 1, LinkState::Cut);
        world.run_for(300);
        breaks += 1;
        assert!(breaks < 8, "the transfer begins anew every time");
    }
    assert!(breaks >= 2);
    let content = |sent: &&tombolo_tests::sim::Sent| matches!(sent.frame, Frame::Content { .. });
    let bytes: usize = world.sent().iter().filter(content).map(|sent| sent.bytes).sum();
    println!("{bytes} bytes of content for nine million, {breaks} breaks");
    // Of each break, what was under way is sent again: of one piece, of 512 KiB. The link carries four million bytes between two.
    let most = 9_000_000 * 102 / 100 + breaks * (512 << 10);
    assert!(bytes < most, "{bytes} bytes of content, of at most {most}");
    world.open::<Words>(1, "words");
    assert_eq!(world.read::<Words, _>(1, doc, |words| words.len()), 300);
}

#[test]
fn a_hundred_large_documents_at_once_are_no_more_than_a_session_carries() {
    let mut world = World::new(2, 12);
    world.session_limit = 8 << 20;
    for number in 0..100 {
        let doc = world.open::<Words>(0, &format!("document {number}"));
        world.update::<Words, _>(0, doc, |words| words.add("x".repeat(150_000)));
    }
    world.run_for(500);
    world.set_bandwidth(0, 1, 5_000);
    world.befriend(1, 0);
    let waited = world.run_until(30_000, |world| world.ready(1).len() == 1 && world.agrees());
    let waited = waited.expect("all documents arrive");
    assert!(waited < 6_000, "fifteen MB at five MB a second took {waited} ms");
}
