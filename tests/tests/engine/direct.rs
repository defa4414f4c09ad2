//! Live push in the sessions, and when it is left to gossip.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::AddWinsSet;
use tombolo_sync::DocId;
use tombolo_sync::engine::wire::Frame;
use tombolo_sync::engine::{Input, Subscription};
use tombolo_tests::sim::{GossipWeather, LinkState, NodeOptions, World};

type Words = AddWinsSet<String>;

/// How long a disk takes, and one way, in milliseconds.
const DISK: u64 = 2;
const WAY: u64 = 10;

/// Nodes of which the first has opened a document that all hold. The links between these are cut.
fn network(
    nodes: impl IntoIterator<Item = NodeOptions>,
    seed: u64,
    cut: &[(usize, usize)],
) -> (World, DocId) {
    let mut world = World::with_options(nodes, seed);
    world.gossip = GossipWeather { spread: 0, ..GossipWeather::default() };
    for node in 0..world.len() {
        world.set_disk_latency(node, DISK, 0);
        for other in 0..node {
            world.set_latency(node, other, WAY, 0);
            if cut.contains(&(other, node)) {
                world.set_link(node, other, LinkState::Cut);
            }
            world.befriend(node, other);
        }
    }
    world.run_for(2_000);
    let words = world.open::<Words>(0, "words");
    world.update::<Words, _>(0, words, |words| words.add("first"));
    world.run_until_agreed(5_000);
    world.run_for(2_000);
    world.record();
    (world, words)
}

fn nodes(count: usize) -> impl Iterator<Item = NodeOptions> {
    (0..count).map(|_| NodeOptions::default())
}

fn add(world: &mut World, node: usize, words: DocId, word: &str) {
    world.update::<Words, _>(node, words, |words| words.add(word));
}

/// So many letters, which nothing makes shorter.
fn noise(of: u64, letters: usize) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(of);
    (0..letters).map(|_| char::from(random.random_range(b'!'..=b'z'))).collect()
}

/// How often something was pushed in a session, and to whom.
fn pushes(world: &World) -> Vec<(usize, usize)> {
    let pushes = world.sent().iter().filter(|sent| matches!(sent.frame, Frame::Push { .. }));
    let mut pushes: Vec<(usize, usize)> = pushes.map(|sent| (sent.from, sent.to)).collect();
    pushes.sort_unstable();
    pushes
}

/// How long until a node holds what the first does.
fn arrives(world: &mut World, node: usize, words: DocId) -> u64 {
    let version = |world: &World, node: usize| world.engine(node).document_status(words).map(|of| of.version);
    world.run_until(5_000, |world| version(world, node) == version(world, 0)).expect("it arrives")
}

#[test]
fn where_all_have_sessions_with_all_a_write_goes_to_each_once_and_nowhere_else() {
    let (mut world, words) = network(nodes(5), 1, &[]);
    let (published, pushed) = (world.published(), world.pushed());
    add(&mut world, 0, words, "second");
    assert!(arrives(&mut world, 4, words) <= DISK + WAY + 1);
    world.run_for(1_000);
    assert_eq!(pushes(&world), [(0, 1), (0, 2), (0, 3), (0, 4)]);
    assert_eq!((world.published(), world.pushed()), (published, pushed + 4));
    let pulls = world.sent().iter().filter(|sent| matches!(sent.frame, Frame::Pull { .. })).count();
    assert_eq!(pulls, 0);
}

#[test]
fn who_has_no_session_with_all_gossips_and_who_has_one_need_not() {
    // The first and the last meet the one between only.
    let (mut world, words) = network(nodes(3), 2, &[(0, 2)]);
    let published = world.published();
    add(&mut world, 0, words, "second");
    assert!(arrives(&mut world, 2, words) <= DISK + 2 * WAY + 1, "without waiting to be announced");
    assert_eq!((pushes(&world), world.published()), (Vec::new(), published + 1));
    world.open::<Words>(1, "words");
    world.run_for(500);
    add(&mut world, 1, words, "third");
    world.run_for(500);
    assert_eq!((pushes(&world), world.published()), (vec![(1, 0), (1, 2)], published + 1));
    // When they meet, all of them do.
    world.set_link(0, 2, LinkState::Up);
    world.run_until(10_000, |world| world.ready(0).len() == 2).expect("they meet");
    world.run_for(500);
    world.record();
    add(&mut world, 0, words, "fourth");
    world.run_for(500);
    assert_eq!((pushes(&world), world.published()), (vec![(0, 1), (0, 2)], published + 1));
    // And when they part, they do not any more.
    world.set_link(0, 2, LinkState::Cut);
    world.run_for(500);
    add(&mut world, 0, words, "fifth");
    assert!(arrives(&mut world, 2, words) <= DISK + 2 * WAY + 1);
    assert_eq!(world.published(), published + 2);
}

#[test]
fn a_member_that_is_gone_is_not_waited_for() {
    let (mut world, words) = network(nodes(3), 3, &[]);
    world.crash(2, false, 0);
    world.run_for(10_000);
    let published = world.published();
    world.record();
    add(&mut world, 0, words, "second");
    world.run_for(500);
    assert_eq!((pushes(&world), world.published()), (vec![(0, 1)], published));
}

#[test]
fn who_was_not_heard_of_yet_gets_it_when_it_is_announced() {
    let (mut world, words) = network(nodes(3), 4, &[(0, 2)]);
    world.set_link(1, 2, LinkState::Cut);
    world.run_for(1_000);
    // It meets the other again, which takes a while to say so.
    world.set_latency(0, 1, 200, 0);
    world.set_link(1, 2, LinkState::Up);
    world.run_until(10_000, |world| world.ready(1).contains(&2)).expect("they meet");
    let published = world.published();
    add(&mut world, 0, words, "second");
    world.run_for(DISK + 1);
    assert_eq!((pushes(&world), world.published()), (vec![(0, 1)], published), "it does not know better");
    // One way, the other's disk and pause, a question and its answer.
    assert!(arrives(&mut world, 2, words) <= 200 + DISK + 50 + 3 * WAY + 5);
    // What says so may be lost, which nobody notices.
    let peer = world.peer(1);
    let session = world.nodes[0].sessions[&1];
    let lost = Frame::Others(Vec::new()).encode();
    world.run_for(1_000);
    world.call(0, |engine, now| engine.handle(now, Input::Frame { peer, session, frame: lost }));
    world.set_latency(0, 1, WAY, 0);
    let published = world.published();
    add(&mut world, 0, words, "third");
    assert!(arrives(&mut world, 2, words) <= 2 * DISK + WAY + 50 + 3 * WAY + 5);
    assert_eq!(world.published(), published);
}

#[test]
fn an_earlier_program_that_knows_of_gossip_only_is_gossiped_to_with_all_others() {
    let old = NodeOptions { direct: 0, ..NodeOptions::default() };
    let (mut world, words) = network(nodes(2).chain([old]), 5, &[]);
    let published = world.published();
    add(&mut world, 0, words, "second");
    assert!(arrives(&mut world, 2, words) <= DISK + 2 * WAY + 1, "one after the other");
    world.open::<Words>(2, "words");
    world.run_for(100);
    add(&mut world, 2, words, "third");
    world.run_for(500);
    assert_eq!((pushes(&world), world.published()), (Vec::new(), published + 2));
    let of_others = |sent: &&tombolo_tests::sim::Sent| sent.to == 2 && matches!(sent.frame, Frame::Others(_));
    assert_eq!(world.sent().iter().filter(of_others).count(), 0);
}

#[test]
fn to_many_a_write_is_gossiped() {
    let (mut world, words) = network(nodes(10), 6, &[]);
    let published = world.published();
    add(&mut world, 0, words, "second");
    world.run_for(500);
    assert_eq!((pushes(&world), world.published()), (Vec::new(), published + 1));
    world.crash(9, true, 0);
    world.run_for(500);
    add(&mut world, 0, words, "third");
    world.run_for(500);
    assert_eq!((pushes(&world).len(), world.published()), (8, published + 1));
}

#[test]
fn who_does_not_keep_up_is_not_buried() {
    let (mut world, words) = network(nodes(3), 7, &[]);
    // What goes to one of them arrives later than anybody waits here.
    world.set_way(0, 1, LinkState::Silent);
    let published = world.published();
    for number in 0..200 {
        add(&mut world, 0, words, &noise(number, 4_000));
        world.run_for(5);
    }
    let bytes = |world: &World| -> usize {
        let pushes =
            world.sent().iter().filter(|sent| sent.to == 1 && matches!(sent.frame, Frame::Push { .. }));
        pushes.map(|sent| sent.bytes).sum()
    };
    assert!((100_000..140_000).contains(&bytes(&world)), "{}", bytes(&world));
    assert!(world.published() > published);
    // When it has answered a beat it has taken in all of that.
    world.set_way(0, 1, LinkState::Up);
    world.run_until_agreed(10_000);
    world.run_for(2_000);
    let (before, published) = (bytes(&world), world.published());
    add(&mut world, 0, words, "last");
    world.run_for(500);
    assert!(bytes(&world) > before && world.published() == published);
}

#[test]
fn what_is_written_beside_a_large_document_on_its_way_does_not_wait_for_it() {
    let (mut world, words) = network(nodes(2), 8, &[]);
    world.set_bandwidth(0, 1, 1_000);
    let large = world.open::<Words>(0, "large");
    world.run_until_agreed(5_000);
    world.record();
    let published = world.published();
    world.update::<Words, _>(0, large, |words| {
        words.extend((0..3_000).map(|number| noise(number, 1_000)));
    });
    world.run_for(1_000);
    for number in 0..10 {
        add(&mut world, 0, words, &format!("{number}"));
        world.run_for(100);
    }
    let is_there = world.engine(0).document_status(large).unwrap().version
        == world.engine(1).document_status(large).map(|of| of.version).unwrap_or_default();
    assert!(!is_there, "larger, please");
    assert_eq!((pushes(&world).len(), world.published()), (0, published + 10));
    // Against it there is room.
    world.open::<Words>(1, "words");
    add(&mut world, 1, words, "back");
    world.run_for(100);
    assert_eq!((pushes(&world), world.published()), (vec![(1, 0)], published + 10));
}

#[test]
fn nobody_is_pushed_what_it_does_not_want() {
    let part = NodeOptions { subscription: Subscription::new(["other"]).unwrap(), ..NodeOptions::default() };
    let mut world = World::with_options(nodes(2).chain([part]), 9);
    world.connect_all();
    let words = world.open::<Words>(0, "words");
    world.run_for(2_000);
    let published = world.published();
    world.record();
    add(&mut world, 0, words, "second");
    world.run_for(500);
    assert_eq!((pushes(&world), world.published()), (vec![(0, 1)], published));
    let other = world.open::<Words>(0, "other");
    world.run_for(500);
    world.record();
    add(&mut world, 0, other, "third");
    world.run_for(500);
    assert_eq!((pushes(&world), world.published()), (vec![(0, 1), (0, 2)], published));
}

#[test]
fn what_is_pushed_for_a_document_on_the_disk_only_is_taken_in_when_it_has_been_read() {
    let tight = || NodeOptions { memory: 0, ..NodeOptions::default() };
    let (mut world, words) = network([tight(), tight()], 10, &[]);
    assert!(!world.engine(1).is_in_memory(words));
    world.set_disk_latency(1, 20, 0);
    let pulls = world.engine(1).counts().pulls;
    for word in ["a", "b", "c"] {
        add(&mut world, 0, words, word);
        world.run_for(12);
    }
    world.run_until_agreed(1_000);
    assert_eq!((pushes(&world).len(), world.engine(1).counts().pulls), (3, pulls));
}
