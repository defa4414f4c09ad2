//! Spaces of so many documents that what differs is found out before anything is listed.

use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{PnCounter, Replica, Version};
use tombolo_sync::DocId;
use tombolo_sync::engine::wire::Frame;
use tombolo_tests::sim::{FrameWeather, GossipWeather, LinkState, World};

/// How many documents there are: more than are listed when a session begins.
const DOCUMENTS: usize = 300;
/// Everything that is said to find out what differs.
const FINDS: [&str; 8] = ["versions", "ask", "sketch", "differences", "too many", "rest", "since", "other"];

fn kind(frame: &Frame) -> &'static str {
    FINDS[match frame {
        Frame::Versions { .. } => 0,
        Frame::Ask => 1,
        Frame::Sketch { .. } => 2,
        Frame::Differences { .. } => 3,
        Frame::TooMany { .. } => 4,
        Frame::Rest { .. } => 5,
        Frame::Since { .. } => 6,
        _ => 7,
    }]
}

/// How often what was said since it is recorded.
fn said(world: &World) -> BTreeMap<&'static str, usize> {
    let mut said = BTreeMap::new();
    world.sent().iter().for_each(|sent| *said.entry(kind(&sent.frame)).or_default() += 1);
    said.remove("other");
    said
}

fn name(number: usize) -> String {
    format!("counter {number}")
}

fn inc(world: &mut World, node: usize, number: usize) {
    let doc = world.open::<PnCounter>(node, &name(number));
    world.update::<PnCounter, _>(node, doc, |counter| counter.inc(1));
}

/// So many nodes that agree on as many documents, and know that; nothing goes by gossip.
fn agreed(nodes: usize, seed: u64) -> World {
    let mut world = World::new(nodes, seed);
    world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
    (0..DOCUMENTS).for_each(|number| inc(&mut world, 0, number));
    world.connect_all();
    world.run_until_agreed(20_000);
    world.run_for(5_000);
    world
}

fn cut(world: &mut World) {
    world.set_link(0, 1, LinkState::Cut);
    world.run_for(500);
}

/// The two meet again; what it took.
fn heal(world: &mut World) -> BTreeMap<&'static str, usize> {
    world.run_for(500);
    world.record();
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(10_000);
    said(world)
}

#[test]
fn who_wrote_tells_who_did_not_and_is_not_asked_by_it() {
    for writer in 0..2 {
        let mut world = agreed(2, 71);
        cut(&mut world);
        (0..5).for_each(|number| inc(&mut world, writer, 7 * number));
        let said = heal(&mut world);
        assert_eq!(
            (said.get("since"), said.get("differences")),
            (Some(&1), None),
            "n{writer} wrote: {said:?}"
        );
        // Who asks before it has been told asks in vain; one of the two does not.
        assert_eq!(said.get("sketch"), if writer == 0 { None } else { Some(&1) }, "{said:?}");
    }
}

#[test]
fn where_both_wrote_one_sketch_tells_both() {
    let mut world = agreed(2, 72);
    cut(&mut world);
    (0..4).for_each(|number| inc(&mut world, number % 2, number));
    // The same document as well.
    inc(&mut world, 1, 0);
    let said = heal(&mut world);
    let once = ["sketch", "differences", "rest"].map(|kind| said.get(kind) == Some(&1));
    assert!(once == [true; 3] && !said.contains_key("since"), "{said:?}");
}

#[test]
fn whoever_was_started_anew_one_sketch_is_enough_at_most() {
    for (writer, restarted) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut world = agreed(2, 73);
        cut(&mut world);
        (0..5).for_each(|number| inc(&mut world, writer, 7 * number));
        world.run_for(500);
        world.crash(restarted, true, 0);
        world.start(restarted);
        let said = heal(&mut world);
        // Who did not write needs to know nothing of before.
        let is_told = writer != restarted;
        assert_eq!(
            said.contains_key("since"),
            is_told,
            "n{writer} wrote, n{restarted} was started: {said:?}"
        );
        assert!(said.get("sketch").is_none_or(|sketches| *sketches == 1), "{said:?}");
    }
}

#[test]
fn a_document_that_was_deleted_since_is_told_as_gone() {
    let mut world = agreed(2, 74);
    cut(&mut world);
    world.call(0, |engine, now| engine.delete(now, &name(7), "PnCounter")).unwrap().expect("it was there");
    inc(&mut world, 0, 8);
    let said = heal(&mut world);
    assert_eq!(said.get("since"), Some(&1), "{said:?}");
    let gone = world.sent().iter().find_map(|sent| match &sent.frame {
        Frame::Since { gone, .. } => Some(gone.len()),
        _ => None,
    });
    assert_eq!(gone, Some(1));
}

#[test]
fn where_hardly_anything_is_the_same_both_tell_all() {
    let mut world = agreed(2, 75);
    cut(&mut world);
    (0..DOCUMENTS).for_each(|number| inc(&mut world, number % 2, number));
    let said = heal(&mut world);
    assert_eq!(said.get("ask"), Some(&2), "{said:?}");
}

/// What either wrote while the other was asked what differs is not forgotten by that.
#[test]
fn what_changes_while_it_is_found_out_what_differs_is_found_as_well() {
    let mut world = agreed(2, 76);
    world.set_latency(0, 1, 60, 0);
    for late in (0..400).step_by(20) {
        for writers in [[0, 0], [0, 1], [1, 0], [1, 1]] {
            world.run_for(3_000);
            cut(&mut world);
            (0..6).for_each(|number| inc(&mut world, writers[number % 2], number));
            world.run_for(500);
            world.set_link(0, 1, LinkState::Up);
            world.run_for(late);
            (3..8).for_each(|number| inc(&mut world, number % 2, number));
            let waited = world.run_until(10_000, World::agrees);
            assert!(waited.is_some_and(|waited| waited < 4_000), "{late} {writers:?}: {waited:?}");
        }
    }
}

#[test]
fn all_agree_whatever_is_lost_doubled_and_late_while_it_is_found_out_what_differs() {
    let mut all: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in 0..3 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut world = agreed(3, 80 + seed);
        world.record();
        for _ in 0..12 {
            let mut of_hundred = |most| if rng.random() { 0 } else { rng.random_range(0..most) };
            let (loss, duplicates, late) = (of_hundred(30), of_hundred(20), of_hundred(30));
            world.frames = FrameWeather { loss, duplicates, late };
            let (one, other) = [(0, 1), (1, 2), (0, 2)][rng.random_range(0..3)];
            world.set_link(one, other, LinkState::Cut);
            let writers = if rng.random() { vec![one] } else { vec![0, 1, 2] };
            for _ in 0..[3, 20, 250][rng.random_range(0..3)] {
                let (node, number) =
                    (writers[rng.random_range(0..writers.len())], rng.random_range(0..DOCUMENTS));
                inc(&mut world, node, number);
                if rng.random_ratio(1, 10) {
                    world.run_for(rng.random_range(0..200));
                }
            }
            if rng.random_ratio(1, 4) {
                world.crash(one, true, 0);
                world.start(one);
            }
            world.run_for(rng.random_range(0..5_000));
            world.set_link(one, other, LinkState::Up);
            world.run_for(rng.random_range(0..3_000));
            if rng.random() {
                world.frames = FrameWeather::default();
                world.run_until_agreed(20_000);
            }
        }
        world.frames = FrameWeather::default();
        world.run_until_agreed(30_000);
        said(&world).into_iter().for_each(|(kind, times)| *all.entry(kind).or_default() += times);
    }
    println!("{all:?}");
    for kind in ["versions", "sketch", "differences", "too many", "rest", "since"] {
        assert!(all.contains_key(kind), "not everything was said: {all:?}");
    }
}

/// What a member says of itself may be wrong, but never more than there may be; and it is found out.
#[test]
fn lies_about_what_differs_are_lies_about_who_tells_them() {
    let mut world = agreed(3, 77);
    let digest = world.engine(0).digest();
    let of: [u8; 8] = core::array::from_fn(|at| digest[at]);
    let doc = |n: u32| DocId::from_bytes(core::array::from_fn(|at| n.to_be_bytes()[at % 4] | 0x80));
    let version = |n| [(tombolo_crdt::ReplicaId::from_bytes([77; 16]), n)].into_iter().collect::<Version>();
    let entries: Vec<(DocId, Version)> = (0..3_000).map(|n| (doc(n), version(5))).collect();
    let gone: Vec<DocId> = world.engine(0).held_documents().collect();
    world.record();
    for round in 0..20_u64 {
        for frame in [
            Frame::Since { of, entries: entries.clone(), gone: gone.clone() },
            Frame::Since { of: [7; 8], entries: entries.clone(), gone: gone.clone() },
            Frame::Rest { key: [1, round], entries: entries.clone() },
            Frame::Differences {
                key: [1, round],
                entries: entries.clone(),
                gone: vec![round; 500],
                asks: true,
            },
            Frame::Sketch { key: [1, round], cells: vec![0; 12 * 64] },
            Frame::Rest { key: [1, round], entries: entries.clone() },
            Frame::Beat { sent: round, digest },
            Frame::Beat { sent: round, digest: [round as u8; 32] },
        ] {
            world.forge_frame(2, 0, &frame);
        }
        world.run_for(100);
    }
    // Nothing is answered at length that was not asked.
    let answers = world.sent().iter().filter(|sent| (sent.from, sent.to) == (0, 2));
    let answers =
        answers.filter(|sent| matches!(sent.frame, Frame::Since { .. } | Frame::Rest { .. })).count();
    assert_eq!(answers, 0);
    // The honest ones still understand each other, and by and by who lied is known for what it has.
    inc(&mut world, 0, 5);
    let known = world.open::<PnCounter>(0, &name(5));
    let version = world.read::<PnCounter, _>(0, known, Replica::version);
    let arrives =
        |world: &World| world.engine(1).document_status(known).is_some_and(|it| it.version == version);
    assert!(world.run_until(3_000, arrives).is_some());
    world.run_until_agreed(60_000);
}

/// Who says again and again to hold what it held once is not told each time what changed since.
#[test]
fn what_changed_since_is_told_no_more_often_than_is_asked() {
    let mut world = agreed(2, 78);
    let digest = world.engine(0).digest();
    // Nothing of that arrives.
    world.set_way(0, 1, LinkState::Cut);
    inc(&mut world, 0, 5);
    world.run_for(300);
    world.record();
    let versions =
        |n: u8| [(tombolo_crdt::ReplicaId::from_bytes([77; 16]), u64::from(n) + 1)].into_iter().collect();
    for n in 0..50 {
        let entries = vec![(DocId::from_bytes([0x80 | n; 16]), versions(n))];
        world.forge_frame(1, 0, &Frame::Versions { entries, first: false, last: false });
        world.forge_frame(1, 0, &Frame::Beat { sent: 0, digest });
    }
    let told = world.sent().iter().filter(|sent| matches!(sent.frame, Frame::Since { .. })).count();
    assert_eq!(told, 1);
    world.set_way(0, 1, LinkState::Up);
    world.run_until_agreed(20_000);
}
