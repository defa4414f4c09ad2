//! Waiting for others: who is said to hold a write does, whatever the network and the disks do; and a wait changes nothing.

use tombolo_crdt::{AddWinsSet, Version};
use tombolo_sync::DocId;
use tombolo_sync::engine::{BatchId, Copies, Outcome, WaitId};
use tombolo_tests::sim::{FrameWeather, GossipWeather, LinkState, World};

type Words = AddWinsSet<String>;

/// Nodes that are connected and have a set open.
fn network(count: usize, seed: u64) -> (World, DocId) {
    let mut world = World::new(count, seed);
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    world.update::<Words, _>(0, doc, |words| words.add("first"));
    world.run_until_agreed(2_000);
    for node in 0..count {
        world.open::<Words>(node, "words");
    }
    (world, doc)
}

fn add(world: &mut World, node: usize, doc: DocId, word: &str) -> BatchId {
    world.update::<Words, _>(node, doc, |words| words.add(word))
}

/// Begins to wait for copies of what was just written.
fn wait(world: &mut World, node: usize, doc: DocId, batch: BatchId, copies: usize) -> WaitId {
    let begun = world.call(node, |engine, now| {
        let written = engine.written(doc, batch);
        engine.wait_for_copies(now, written, copies)
    });
    begun.unwrap()
}

fn copies(world: &World, node: usize, wait: WaitId) -> Copies {
    world.engine(node).copies(wait).unwrap()
}

fn outcome(world: &World, node: usize, wait: WaitId) -> Outcome {
    world.engine(node).outcome(wait).unwrap().clone()
}

/// Lets time pass until the wait has come to something; yields how long it took.
fn ended(world: &mut World, node: usize, wait: WaitId, patience: u64) -> Option<u64> {
    world.run_until(patience, |world| outcome(world, node, wait) != Outcome::Waiting)
}

/// Everybody who is said to hold the write has it on disk.
fn check(world: &mut World, wait: WaitId, doc: DocId) {
    let Copies { version, holders, .. } = copies(world, 0, wait);
    for node in 1..world.len() {
        if holders.contains(&world.peer(node)) {
            let durable = world.disk(node).version(doc);
            assert!(durable.dominates(&version), "{node} has {durable:?} on disk, not {version:?}");
        }
    }
}

fn words(world: &World, node: usize, doc: DocId) -> Vec<String> {
    world.read::<Words, _>(node, doc, |words| words.iter().cloned().collect())
}

#[test]
fn a_wait_ends_when_as_many_peers_as_wanted_have_told_that_they_hold_the_write() {
    let (mut world, doc) = network(4, 1);
    world.set_disk_latency(0, 5, 0);
    let mut last = 0;
    for wanted in 0..=3 {
        let batch = add(&mut world, 0, doc, &format!("word {wanted}"));
        let id = wait(&mut world, 0, doc, batch, wanted);
        assert_eq!(outcome(&world, 0, id), Outcome::Waiting);
        let took = ended(&mut world, 0, id, 2_000).expect("it ends");
        assert_eq!(outcome(&world, 0, id), Outcome::Met);
        let copies = copies(&world, 0, id);
        assert!(copies.durable && copies.holders.len() >= wanted, "{copies:?}");
        assert_eq!(copies.holders.len() + copies.lacking.len(), 3, "all are connected");
        check(&mut world, id, doc);
        assert!(took >= 5 && (wanted != 1 || took > last), "no sooner than the disk, and for one peer later");
        last = took;
        world.call(0, |engine, _| engine.end_wait(id));
        assert_eq!(world.engine(0).outcome(id), None);
        world.run_until_agreed(2_000);
    }
}

/// Commits that wait for another node, one at a time: how long each takes, the median in milliseconds.
fn median_wait(gossip: GossipWeather, lost: u32) -> u64 {
    let (mut world, doc) = network(2, 20);
    world.gossip = gossip;
    world.frames.loss = lost;
    world.set_latency(0, 1, 10, 0);
    for node in 0..2 {
        world.set_disk_latency(node, 2, 0);
    }
    let mut took: Vec<u64> = Vec::new();
    for number in 0..51 {
        let batch = add(&mut world, 0, doc, &format!("word {number}"));
        let id = wait(&mut world, 0, doc, batch, 1);
        took.push(ended(&mut world, 0, id, 60_000).expect("it is told"));
        world.call(0, |engine, _| engine.end_wait(id));
        world.run_for(137);
    }
    took.sort_unstable();
    println!("median {} ms, slowest {} ms", took[25], took[50]);
    took[25]
}

/// How long a disk takes, in milliseconds.
const DISK: u64 = 2;

/// How long a write takes that waits for so many of four others, the median in milliseconds.
fn latency(copies: usize, round_trip: u64) -> u64 {
    let (mut world, doc) = network(5, 21);
    world.gossip = GossipWeather { spread: 0, ..GossipWeather::default() };
    // What is published goes to all at once, as where all are neighbours.
    world.gossip_in_turn = false;
    for node in 0..5 {
        world.set_disk_latency(node, DISK, 0);
        (0..node).for_each(|other| world.set_latency(node, other, round_trip / 2, 0));
    }
    world.run_for(5_000);
    let mut took: Vec<u64> = Vec::new();
    for number in 0..21 {
        let batch = add(&mut world, 0, doc, &format!("word {number}"));
        let id = wait(&mut world, 0, doc, batch, copies);
        took.push(ended(&mut world, 0, id, 60_000).expect("it is told"));
        check(&mut world, id, doc);
        world.call(0, |engine, _| engine.end_wait(id));
        world.run_for(1_137);
    }
    took.sort_unstable();
    took[10]
}

/// What consistency costs in latency where there is no partition: PACELC's "else".
#[test]
fn what_a_write_waits_for_is_printed_against_copies_and_round_trips() {
    // The clock knows whole milliseconds, and a way takes one at least.
    const ROUND_TRIPS: [u64; 4] = [2, 10, 50, 200];
    let table: Vec<[u64; 4]> = (0..=4).map(|copies| ROUND_TRIPS.map(|trip| latency(copies, trip))).collect();
    println!("copies, and milliseconds by round trips of {ROUND_TRIPS:?} ms, disks of {DISK} ms");
    for (copies, row) in table.iter().enumerate() {
        println!("{copies:>6}  {row:>4?}");
        for (took, trip) in row.iter().zip(ROUND_TRIPS) {
            if copies == 0 {
                // Our disk, whose news may be a millisecond late.
                assert!(*took == row[0] && (DISK..=DISK + 1).contains(took), "{row:?}");
            } else {
                let most = 2 * trip + 2 * (DISK + 1);
                assert!((trip..=most).contains(took), "{copies} copies over {trip} ms: {took} ms");
            }
        }
    }
}

#[test]
fn a_wait_for_others_takes_a_round_trip_and_two_disks() {
    assert!(median_wait(GossipWeather { spread: 0, ..GossipWeather::default() }, 0) <= 2 * 10 + 2 * 2 + 2);
}

#[test]
fn without_gossip_or_if_the_question_is_lost_announcements_tell_the_same() {
    // A pause and three ways until it is there, and it is told at once.
    let silent = GossipWeather { delivered: 0, duplicates: 0, spread: 0 };
    assert!(median_wait(silent, 0) <= 50 + 4 * 10 + 2 * 2 + 5);
    let lossy = median_wait(GossipWeather::default(), 30);
    assert!(lossy <= 1_200, "at the latest with the next beat: {lossy}");
}

#[test]
fn more_peers_than_there_are_never_hold_it_and_the_wait_says_who_does() {
    let (mut world, doc) = network(3, 2);
    let batch = add(&mut world, 0, doc, "second");
    let id = wait(&mut world, 0, doc, batch, 5);
    assert_eq!(ended(&mut world, 0, id, 10_000), None);
    let copies = copies(&world, 0, id);
    let mut peers = vec![world.peer(1), world.peer(2)];
    peers.sort();
    assert_eq!((copies.wanted, copies.durable, copies.holders), (5, true, peers));
    assert!(copies.lacking.is_empty());
}

#[test]
fn a_wait_in_a_partition_names_who_lacks_it_and_giving_up_takes_nothing_back() {
    let (mut world, doc) = network(3, 3);
    for other in 1..3 {
        world.set_link(0, other, LinkState::Silent);
    }
    let batch = add(&mut world, 0, doc, "alone");
    let id = wait(&mut world, 0, doc, batch, 1);
    assert_eq!(ended(&mut world, 0, id, 1_000), None);
    let at_first = copies(&world, 0, id);
    assert_eq!((at_first.holders.len(), at_first.lacking.len()), (0, 2), "nobody has noticed yet");
    assert_eq!(ended(&mut world, 0, id, 10_000), None);
    let later = copies(&world, 0, id);
    assert_eq!((later.holders.len(), later.lacking.len()), (0, 0), "nobody is connected");
    let other = wait(&mut world, 0, doc, batch, 2);
    world.call(0, |engine, _| engine.end_wait(id));
    assert_eq!(words(&world, 0, doc), ["alone", "first"]);
    for other in 1..3 {
        world.set_link(0, other, LinkState::Up);
    }
    ended(&mut world, 0, other, 10_000).expect("who waits on is told");
    check(&mut world, other, doc);
    world.run_until_agreed(5_000);
    assert_eq!(words(&world, 2, doc), ["alone", "first"]);
}

#[test]
fn who_told_that_it_holds_a_write_and_crashed_still_counts() {
    let (mut world, doc) = network(3, 4);
    for other in 0..2 {
        world.set_link(other, 2, LinkState::Cut);
    }
    let batch = add(&mut world, 0, doc, "second");
    let id = wait(&mut world, 0, doc, batch, 2);
    let told = |world: &World| copies(world, 0, id).holders == [world.peer(1)];
    world.run_until(2_000, told).expect("the first tells");
    world.crash(1, true, 0);
    world.run_for(1_000);
    world.set_link(0, 2, LinkState::Up);
    ended(&mut world, 0, id, 10_000).expect("with the second there are two");
    assert_eq!(copies(&world, 0, id).holders.len(), 2);
    // It has it still.
    world.start(1);
    world.open::<Words>(1, "words");
    assert_eq!(words(&world, 1, doc), ["first", "second"]);
}

#[test]
fn who_has_a_write_in_memory_only_does_not_hold_it() {
    let (mut world, doc) = network(2, 5);
    world.set_disk_latency(1, 400, 0);
    let batch = add(&mut world, 0, doc, "second");
    let id = wait(&mut world, 0, doc, batch, 1);
    world.run_until(300, |world| words(world, 1, doc).len() == 2).expect("it is visible there");
    assert_eq!(outcome(&world, 0, id), Outcome::Waiting);
    let took = ended(&mut world, 0, id, 2_000).expect("the disk comes round");
    assert!(took > 300, "{took}");
    check(&mut world, id, doc);
    // And a disk that refuses makes nobody a holder.
    world.disk(1).store.set_full(true);
    let batch = add(&mut world, 0, doc, "third");
    let id = wait(&mut world, 0, doc, batch, 1);
    assert_eq!(ended(&mut world, 0, id, 5_000), None);
    assert_eq!(copies(&world, 0, id).lacking, [world.peer(1)]);
    world.disk(1).store.set_full(false);
    ended(&mut world, 0, id, 10_000).expect("once there is room");
    check(&mut world, id, doc);
}

#[test]
fn what_our_disk_refuses_nobody_holds_and_the_wait_says_so() {
    let (mut world, doc) = network(2, 6);
    world.set_disk_latency(0, 20, 0);
    world.disk(0).store.fail_next(1);
    let batch = add(&mut world, 0, doc, "refused");
    let id = wait(&mut world, 0, doc, batch, 1);
    ended(&mut world, 0, id, 1_000).expect("the disk says no");
    assert!(matches!(outcome(&world, 0, id), Outcome::NotDurable { .. }));
    assert!(copies(&world, 0, id).holders.is_empty());
    // Also for who asks afterwards.
    world.run_for(2_000);
    let late = wait(&mut world, 0, doc, batch, 0);
    assert!(matches!(outcome(&world, 0, late), Outcome::NotDurable { .. }));
    // And the next write is another.
    let batch = add(&mut world, 0, doc, "second");
    let next = wait(&mut world, 0, doc, batch, 1);
    ended(&mut world, 0, next, 2_000).expect("it arrives");
    assert_eq!(outcome(&world, 0, next), Outcome::Met);
}

#[test]
fn lost_frames_and_gossip_delay_a_wait_and_do_not_mislead_it() {
    for seed in 0..20 {
        let (mut world, doc) = network(3, 100 + seed);
        world.frames = FrameWeather { loss: 40, duplicates: 20, late: 30 };
        world.gossip = GossipWeather { delivered: 30, duplicates: 30, spread: 50 };
        for number in 0..5 {
            let batch = add(&mut world, 0, doc, &format!("word {number}"));
            let id = wait(&mut world, 0, doc, batch, 2);
            ended(&mut world, 0, id, 60_000).expect("in the end it is told");
            check(&mut world, id, doc);
        }
    }
}

#[test]
fn a_write_that_changes_nothing_is_held_by_who_holds_what_there_was() {
    let (mut world, doc) = network(3, 7);
    let batch = world.update::<Words, _>(0, doc, |words| words.remove("nothing of that name"));
    for wanted in 0..=2 {
        let id = wait(&mut world, 0, doc, batch, wanted);
        assert_eq!(outcome(&world, 0, id), Outcome::Met, "{wanted}");
    }
    // Of an empty document as well.
    let empty = world.open::<Words>(0, "nothing in it");
    world.run_until_agreed(2_000);
    let batch = world.update::<Words, _>(0, empty, |words| words.remove("x"));
    let id = wait(&mut world, 0, empty, batch, 2);
    assert_eq!(outcome(&world, 0, id), Outcome::Met);
}

#[test]
fn what_is_kept_apart_is_held_by_nobody_before_it_may_be_seen() {
    let (mut world, doc) = network(2, 8);
    world.crash(1, true, 0);
    world.crash(0, true, 0);
    world.start(0);
    world.open::<Words>(0, "words");
    let batch = add(&mut world, 0, doc, "apart");
    assert!(world.engine(0).is_apart());
    let id = wait(&mut world, 0, doc, batch, 1);
    world.run_for(500);
    world.start(1);
    ended(&mut world, 0, id, 10_000).expect("they meet");
    assert!(!world.engine(0).is_apart());
    check(&mut world, id, doc);
}

#[test]
fn what_another_store_wrote_under_our_id_is_not_taken_for_ours() {
    let (mut world, doc) = network(2, 9);
    let image = world.disk(0).store.image();
    world.crash(0, true, 0);
    world.start(0);
    world.open::<Words>(0, "words");
    for number in 0..5 {
        add(&mut world, 0, doc, &format!("known {number}"));
    }
    world.run_until_agreed(10_000);
    world.call(1, |engine, now| engine.isolate(now, true));
    world.set_back(0, image);
    world.open::<Words>(0, "words");
    // In the names of now the other has this, and more.
    let batch = add(&mut world, 0, doc, "instead");
    let id = wait(&mut world, 0, doc, batch, 1);
    let before = copies(&world, 0, id).version;
    world.run_for(500);
    assert!(world.disk(1).version(doc).dominates(&before));
    world.call(1, |engine, now| engine.isolate(now, false));
    ended(&mut world, 0, id, 30_000).expect("they meet");
    check(&mut world, id, doc);
    let after = copies(&world, 0, id).version;
    assert_ne!(before, after, "it was renamed");
    world.open::<Words>(1, "words");
    assert!(words(&world, 1, doc).contains(&"instead".to_owned()));
}

#[test]
fn a_deleted_document_ends_the_waits_for_it() {
    let (mut world, doc) = network(3, 10);
    let batch = add(&mut world, 0, doc, "second");
    let copies = wait(&mut world, 0, doc, batch, 3);
    let far: Version = [(world.engine(0).replica(), 1_000)].into_iter().collect();
    let version = world.call(0, |engine, now| engine.wait_for_version(now, doc, far)).unwrap();
    world.call(2, |engine, now| engine.delete(now, "words", "AddWinsSet")).unwrap();
    ended(&mut world, 0, copies, 2_000).expect("the deletion arrives");
    assert_eq!(outcome(&world, 0, copies), Outcome::Deleted);
    assert_eq!(outcome(&world, 0, version), Outcome::Deleted);
}

#[test]
fn a_version_handed_over_is_waited_for_and_what_lacks_is_named() {
    let (mut world, doc) = network(3, 11);
    for other in [0, 2] {
        world.set_link(1, other, LinkState::Cut);
    }
    let batch = add(&mut world, 0, doc, "second");
    let written = world.engine(0).written(doc, batch);
    world.run_for(200);
    let id = world.call(1, |engine, now| engine.wait_for_version(now, doc, written.version.clone())).unwrap();
    assert_eq!(ended(&mut world, 1, id, 2_000), None);
    let arrival = world.engine(1).arrival(id).unwrap();
    assert_eq!(arrival.missing.iter().collect::<Vec<_>>(), [(written.replica, 2)]);
    assert_eq!((arrival.events, arrival.sources.len()), (1, 0));
    // It need not come from its author.
    world.set_link(1, 2, LinkState::Up);
    ended(&mut world, 1, id, 10_000).expect("it arrives");
    assert_eq!(words(&world, 1, doc), ["first", "second"]);
    assert!(world.engine(1).arrival(id).unwrap().missing.is_empty());
    let known = world.call(1, |engine, now| engine.wait_for_version(now, doc, written.version)).unwrap();
    assert_eq!(outcome(&world, 1, known), Outcome::Met, "at once, if it is there");
}

#[test]
fn waiting_for_being_in_sync_ends_with_that_and_says_how_far_who_is_not() {
    let (mut world, doc) = network(3, 12);
    let sync =
        |world: &mut World, peers| world.call(0, |engine, now| engine.wait_for_sync(now, peers)).unwrap();
    let id = sync(&mut world, 2);
    assert_eq!(outcome(&world, 0, id), Outcome::Met);
    world.set_link(0, 2, LinkState::Silent);
    add(&mut world, 0, doc, "second");
    add(&mut world, 0, doc, "third");
    let (one, two) = (sync(&mut world, 1), sync(&mut world, 2));
    ended(&mut world, 0, one, 2_000).expect("with the one that is there");
    assert_eq!(outcome(&world, 0, two), Outcome::Waiting);
    let levels = world.engine(0).levels();
    let of = |node| *levels.iter().find(|level| level.peer == world.peer(node)).unwrap();
    assert!(of(1).in_sync && (of(1).lag, of(1).behind) == (0, 0));
    assert!(!of(2).in_sync && (of(2).lag, of(2).behind) == (2, 0));
    world.set_link(0, 2, LinkState::Up);
    ended(&mut world, 0, two, 10_000).expect("with both");
}

#[test]
fn ten_thousand_waits_at_once_all_end() {
    let (mut world, doc) = network(3, 13);
    let mut waits = Vec::new();
    for number in 0..10_000 {
        let batch = add(&mut world, 0, doc, &number.to_string());
        waits.push(wait(&mut world, 0, doc, batch, 2));
    }
    let last = *waits.last().unwrap();
    ended(&mut world, 0, last, 10_000).expect("the last ends");
    assert!(waits.iter().all(|id| outcome(&world, 0, *id) == Outcome::Met), "the last held means all held");
}
