//! Links: finding each other, losing each other, and being kept apart.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::PnCounter;
use tombolo_sync::engine::wire::{Contact, Frame};
use tombolo_sync::engine::{Input, SessionId};
use tombolo_tests::sim::{FrameWeather, GossipWeather, LinkState, NodeOptions, World};

#[test]
fn a_node_that_was_killed_and_comes_back_is_heard_again() {
    let mut world = World::new(2, 1);
    world.connect_all();
    let doc = world.open::<PnCounter>(0, "likes");
    world.run_until_agreed(1_000);
    world.open::<PnCounter>(1, "likes");
    world.update::<PnCounter, _>(0, doc, |counter| counter.inc(1));
    world.run_for(50);
    // Nobody is told; the other still has the old session.
    world.crash(0, false, 0);
    world.run_for(100);
    world.start(0);
    let waited = world.run_until(5_000, |world| world.ready(1) == [0] && world.ready(0) == [1]);
    assert!(waited.is_some_and(|waited| waited < 3_000), "{waited:?}");
    world.open::<PnCounter>(0, "likes");
    world.update::<PnCounter, _>(0, doc, |counter| counter.inc(1));
    world.run_until_agreed(1_000);
    assert_eq!(world.read::<PnCounter, _>(1, doc, |counter| counter.value()), 2);
}

#[test]
fn a_peer_that_vanishes_without_a_word_is_noticed_and_dialled_until_it_is_back() {
    let mut world = World::new(2, 2);
    world.connect_all();
    world.set_link(0, 1, LinkState::Silent);
    let noticed = world.run_until(10_000, |world| world.ready(0).is_empty() && world.ready(1).is_empty());
    assert!(noticed.is_some_and(|noticed| noticed <= 4_000), "{noticed:?}");
    world.run_for(30_000);
    world.set_link(0, 1, LinkState::Up);
    let back = world.run_until(10_000, |world| !world.ready(0).is_empty() && !world.ready(1).is_empty());
    assert!(back.is_some_and(|back| back <= 5_500), "{back:?}");
}

#[test]
fn a_peer_that_cannot_prove_the_secret_is_told_nothing() {
    let stranger = NodeOptions { secret: 8, ..NodeOptions::default() };
    let mut world = World::with_options([NodeOptions::default(), stranger], 3);
    world.record();
    world.open::<PnCounter>(0, "secret plans");
    world.befriend(1, 0);
    world.befriend(0, 1);
    world.run_for(20_000);
    assert!(world.sent().iter().any(|sent| matches!(sent.frame, Frame::Refuse(_))));
    for sent in world.sent() {
        let harmless = matches!(sent.frame, Frame::Hello(_) | Frame::Proof(_) | Frame::Refuse(_));
        assert!(harmless, "n{} was told {:?}", sent.to, sent.frame);
    }
    // It is tried less and less often.
    assert!(world.sent().len() < 60, "{} frames", world.sent().len());
    world.run_for(60_000);
    world.record();
    world.run_for(60_000);
    assert!(world.sent().len() < 20, "{} frames", world.sent().len());
    assert!(world.engine(0).status().peers.is_empty());
}

#[test]
fn a_node_of_another_application_is_refused_by_name() {
    let other = NodeOptions { application: "another".into(), ..NodeOptions::default() };
    let mut world = World::with_options([NodeOptions::default(), other], 4);
    world.trace.keep();
    world.befriend(1, 0);
    world.run_for(3_000);
    assert!(world.ready(0).is_empty());
    assert!(world.trace.lines().iter().any(|line| line.contains("another application")));
}

#[test]
fn a_third_node_that_is_heard_of_is_dialled() {
    let mut world = World::new(3, 5);
    world.befriend(0, 1);
    world.befriend(2, 1);
    let met = world.run_until(5_000, |world| world.ready(0).len() == 2 && world.ready(2).len() == 2);
    assert!(met.is_some(), "0 knows {:?}, 2 knows {:?}", world.ready(0), world.ready(2));
}

#[test]
fn a_blocked_peer_is_neither_dialled_nor_let_in_and_that_survives_a_restart() {
    let mut world = World::new(2, 6);
    world.connect_all();
    let peer = world.peer(1);
    world.call(0, |engine, now| engine.block(now, peer, true));
    world.run_for(5_000);
    assert!(world.ready(0).is_empty() && world.ready(1).is_empty());
    world.crash(0, true, 0);
    world.start(0);
    world.run_for(5_000);
    assert!(world.ready(0).is_empty());
    assert_eq!(world.engine(0).blocked(), [peer]);
    world.call(0, |engine, now| engine.block(now, peer, false));
    assert!(world.run_until(3_000, |world| !world.ready(0).is_empty()).is_some());
}

#[test]
fn a_block_that_the_disk_refused_is_written_again() {
    let mut world = World::new(2, 7);
    world.connect_all();
    world.disk(0).store.fail_next(1);
    let peer = world.peer(1);
    world.call(0, |engine, now| engine.block(now, peer, true));
    world.run_for(3_000);
    world.crash(0, true, 0);
    world.start(0);
    assert_eq!(world.engine(0).blocked(), [peer]);
}

#[test]
fn isolated_means_from_everybody_until_it_is_lifted() {
    let mut world = World::new(3, 8);
    world.connect_all();
    world.call(0, |engine, now| engine.isolate(now, true));
    world.run_for(5_000);
    assert!(world.ready(0).is_empty());
    assert_eq!(world.ready(1), [2]);
    world.crash(0, true, 0);
    world.start(0);
    world.run_for(3_000);
    assert!(world.engine(0).is_isolated() && world.ready(0).is_empty());
    world.call(0, |engine, now| engine.isolate(now, false));
    assert!(world.run_until(3_000, |world| world.ready(0).len() == 2).is_some());
}

#[test]
fn a_member_on_a_link_that_stalls_while_they_greet_is_not_taken_for_a_stranger() {
    let mut world = World::new(2, 9);
    world.set_latency(0, 1, 20, 0);
    world.befriend(0, 1);
    world.run_for(45);
    // The session stands, the greeting is under way, and now everything stalls.
    world.frames.loss = 100;
    world.run_for(6_000);
    world.frames.loss = 0;
    let met = world.run_until(10_000, |world| !world.ready(0).is_empty() && !world.ready(1).is_empty());
    assert!(met.is_some_and(|met| met < 5_000), "{met:?}");
}

#[test]
fn any_frame_of_the_greeting_may_be_lost() {
    for seed in 0..40 {
        let mut world = World::new(2, seed);
        world.frames.loss = 30;
        world.befriend(0, 1);
        let met = |world: &World| {
            let named = |node: usize, other: usize| {
                let status = world.engine(node).status();
                status.peers.iter().any(|peer| peer.connected && peer.name == format!("n{other}"))
            };
            named(0, 1) && named(1, 0)
        };
        assert!(world.run_until(20_000, met).is_some(), "seed {seed}");
    }
}

#[test]
fn an_address_without_a_name_is_not_dialled_again_while_its_peer_is_connected() {
    let mut world = World::new(2, 10);
    let addresses = vec!["/memory/1".to_owned()];
    world.call(0, |engine, now| engine.handle(now, Input::Discovered { peer: None, addresses }));
    world.run_for(1_000);
    assert_eq!(world.ready(0), [1]);
    world.record();
    world.run_for(120_000);
    let greetings = world.sent().iter().filter(|sent| matches!(sent.frame, Frame::Hello(_))).count();
    assert_eq!(greetings, 0, "the session was replaced");
}

#[test]
fn two_nodes_that_heard_many_addresses_of_a_third_do_not_tell_each_other_for_ever() {
    let mut world = World::new(4, 11);
    world.connect_all();
    world.record();
    let contact = |world: &World, round: usize| {
        let addresses = (0..8).map(|number| format!("/memory/9{round}{number}")).collect();
        Frame::Peers { own: Vec::new(), others: vec![Contact { peer: world.peer(3), addresses }] }
    };
    for round in 0..6 {
        // Each is told something else of the same third.
        let frame = contact(&world, round);
        world.forge_frame(2, round % 2, &frame);
    }
    world.run_for(10_000);
    let told = world.sent().iter().filter(|sent| matches!(sent.frame, Frame::Peers { .. })).count();
    assert!(told < 100, "{told} times");
    // What the third said of itself is still there.
    let status = world.engine(0).status();
    let third = status.peers.iter().find(|peer| peer.peer == world.peer(3)).unwrap();
    assert_eq!(third.addresses.first().map(String::as_str), Some("/memory/3"));
}

#[test]
fn a_late_word_of_an_old_session_is_not_taken_for_the_new_one() {
    let mut world = World::new(2, 12);
    world.connect_all();
    let peer = world.peer(1);
    world.call(0, |engine, now| engine.handle(now, Input::Down { peer, session: SessionId(0) }));
    assert_eq!(world.ready(0), [1]);
}

#[test]
fn who_lets_us_in_and_throws_us_out_is_not_dialled_ten_times_a_second() {
    let mut world = World::new(2, 13);
    world.befriend(0, 1);
    // The block is known to the engine and not to the network, as with a peer that hangs up on us.
    world.call(1, |engine, now| engine.isolate(now, true));
    world.record();
    world.run_for(30_000);
    let dials = world.sent().iter().filter(|sent| matches!(sent.frame, Frame::Hello(_))).count();
    assert!(dials < 40, "{dials} dials in half a minute");
}

#[test]
fn a_partition_of_five_heals_within_seconds_without_gossip() {
    let mut world = World::new(5, 14);
    world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
    world.connect_all();
    let doc = world.open::<PnCounter>(0, "likes");
    world.run_until_agreed(2_000);
    for node in 1..5 {
        world.open::<PnCounter>(node, "likes");
    }
    for (a, b) in [(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)] {
        world.set_link(a, b, LinkState::Silent);
    }
    for _ in 0..30 {
        (0..5).for_each(|node| {
            world.update::<PnCounter, _>(node, doc, |counter| counter.inc(1));
        });
        world.run_for(1_000);
    }
    for (a, b) in [(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)] {
        world.set_link(a, b, LinkState::Up);
    }
    let healed = world.run_until_agreed(10_000);
    assert!(healed < 6_000, "{healed} ms");
    assert_eq!(world.read::<PnCounter, _>(4, doc, |counter| counter.value()), 150);
}

#[test]
fn nodes_with_many_documents_find_what_differs_whatever_is_lost() {
    for seed in 0..6 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut world = World::new(3, seed);
        world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
        let documents = rng.random_range(70..120);
        let name = |number: usize| format!("counter {number}");
        for number in 0..documents {
            let doc = world.open::<PnCounter>(number % 3, &name(number));
            world.update::<PnCounter, _>(number % 3, doc, |counter| counter.inc(1));
        }
        world.connect_all();
        world.run_until_agreed(60_000);
        world.frames = FrameWeather { loss: 10, duplicates: 10, late: 20 };
        for _ in 0..4 {
            let (one, other) = (rng.random_range(0..3), rng.random_range(0..3));
            world.set_link(one, other, LinkState::Cut);
            // A few, or more than a first sketch tells.
            let most = if rng.random_ratio(1, 2) { 5 } else { 70 };
            for _ in 0..rng.random_range(0..most) {
                let (node, number) = (rng.random_range(0..3), rng.random_range(0..documents + 10));
                if rng.random_ratio(1, 8) {
                    world.call(node, |engine, now| engine.delete(now, &name(number), "PnCounter"));
                } else {
                    let doc = world.open::<PnCounter>(node, &name(number));
                    world.update::<PnCounter, _>(node, doc, |counter| counter.inc(1));
                }
                world.run_for(20);
            }
            world.set_link(one, other, LinkState::Up);
            if rng.random_ratio(1, 3) {
                world.crash(one, true, 0);
                world.start(one);
            }
            world.run_until_agreed(60_000);
        }
    }
}
