//! What it costs, in counts of messages and bytes.

use std::collections::BTreeSet;

use rand::SeedableRng as _;
use rand::seq::IteratorRandom as _;
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{AddWinsSet, PnCounter, Replica, Version};
use tombolo_sync::engine::baseline;
use tombolo_sync::engine::wire::{Alive, Behind, ContentKind, Frame};
use tombolo_tests::sim::{GossipWeather, LinkState, World};

#[test]
fn idle_peers_with_two_hundred_documents_say_little() {
    let mut world = World::new(2, 1);
    for number in 0..200 {
        let doc = world.open::<PnCounter>(number % 2, &format!("counter {number}"));
        world.update::<PnCounter, _>(number % 2, doc, |counter| counter.inc(1));
    }
    world.connect_all();
    world.run_for(2_000);
    world.record();
    world.run_for(60_000);
    let (frames, bytes) = (world.sent().len(), world.sent().iter().map(|sent| sent.bytes).sum::<usize>());
    // A beat and its echo, each way, each second.
    assert!(frames <= 4 * 61, "{frames} frames in a minute");
    assert!(bytes < 30_000, "{bytes} bytes in a minute");
}

#[test]
fn a_session_of_peers_that_agree_begins_with_a_constant_number_of_bytes() {
    let bytes = |documents: usize| {
        let mut world = World::new(2, 2);
        for number in 0..documents {
            let doc = world.open::<PnCounter>(0, &format!("counter {number}"));
            world.update::<PnCounter, _>(0, doc, |counter| counter.inc(1));
        }
        world.connect_all();
        world.run_for(1_000);
        world.crash(1, true, 0);
        world.run_for(1_000);
        world.record();
        world.start(1);
        world.run_for(60_000);
        assert!(world.agrees());
        world.sent().iter().map(|sent| sent.bytes).sum::<usize>()
    };
    let (some, many) = (bytes(300), bytes(1_200));
    assert!(many < some + 1_000, "{some} bytes for 300 documents, {many} for 1 200");
}

#[test]
fn a_session_of_peers_that_differ_in_a_few_documents_of_many_says_as_much_as_differs() {
    let bytes = |documents: usize, differ: usize| {
        let mut world = World::new(2, 2);
        world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
        let docs: Vec<_> =
            (0..documents).map(|number| world.open::<PnCounter>(0, &format!("counter {number}"))).collect();
        for doc in &docs {
            world.update::<PnCounter, _>(0, *doc, |counter| counter.inc(1));
        }
        world.connect_all();
        world.run_until_agreed(10_000);
        world.set_link(0, 1, LinkState::Cut);
        world.run_for(500);
        for (at, doc) in docs.iter().enumerate().take(differ) {
            let node = at % 2;
            world.open::<PnCounter>(node, &format!("counter {at}"));
            world.update::<PnCounter, _>(node, *doc, |counter| counter.inc(1));
        }
        world.run_for(500);
        world.record();
        world.set_link(0, 1, LinkState::Up);
        world.run_until_agreed(10_000);
        world.sent().iter().map(|sent| sent.bytes).sum::<usize>()
    };
    let few = [bytes(300, 4), bytes(1_200, 4)];
    assert!(few[1] < few[0] + 1_000, "{few:?} bytes for four of 300 and of 1 200");
    let many = bytes(1_200, 104);
    println!("{few:?} bytes for four of 300 and of 1 200, {many} for 104");
    // Sketches that were too short, each way; and for each document some 30 bytes of cells and hashes,
    // its version, a pull and its answer.
    assert!(many < few[1] + 100 * 550, "{few:?}, {many} bytes for 104 of 1 200");
}

#[test]
fn a_burst_that_gossip_carries_is_not_pulled_as_well() {
    let mut world = World::new(5, 3);
    world.gossip = GossipWeather { spread: 0, ..GossipWeather::default() };
    world.connect_all();
    let doc = world.open::<PnCounter>(0, "likes");
    world.run_until_agreed(1_000);
    world.record();
    for _ in 0..200 {
        world.update::<PnCounter, _>(0, doc, |counter| counter.inc(1));
        world.run_for(7);
    }
    world.run_until_agreed(2_000);
    let content = world.sent().iter().filter(|sent| matches!(sent.frame, Frame::Content { .. })).count();
    assert!(content < 50, "{content} contents though gossip brought them");
}

#[test]
fn what_all_lack_is_pulled_by_each_once() {
    let mut world = World::new(5, 4);
    world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
    world.connect_all();
    let doc = world.open::<PnCounter>(0, "likes");
    world.run_until_agreed(2_000);
    world.record();
    for round in 0..50 {
        world.open::<PnCounter>(round % 5, "likes");
        world.update::<PnCounter, _>(round % 5, doc, |counter| counter.inc(1));
        world.run_for(300);
    }
    world.run_until_agreed(2_000);
    let content = world.sent().iter().filter(|sent| matches!(sent.frame, Frame::Content { .. })).count();
    // Four lack each of fifty commits, and opening lists nothing new.
    assert!(content <= 50 * 4 + 20, "{content} contents");
    assert_eq!(world.read::<PnCounter, _>(0, doc, |counter| counter.value()), 50);
}

#[test]
fn learning_to_know_each_other_writes_little() {
    let mut world = World::new(6, 5);
    world.connect_all();
    world.run_for(2_000);
    for node in 0..6 {
        let commits = world.disk(node).store.commits();
        assert!(commits <= 40, "n{node} wrote {commits} times");
        world.disk(node).store.fail_next(0);
    }
    let before: Vec<u64> = (0..6).map(|node| world.disk(node).store.commits()).collect();
    world.run_for(60_000);
    let after: Vec<u64> = (0..6).map(|node| world.disk(node).store.commits()).collect();
    assert_eq!(before, after, "nothing happens, and nothing is written");
}

#[test]
fn an_input_costs_the_same_with_few_and_with_many_documents() {
    // By counts, not by time: nothing in an idle engine's tick may go through the documents. The next tick is a full
    // beat away, however many documents there are.
    let mut world = World::new(2, 6);
    for number in 0..2_000 {
        let doc = world.open::<PnCounter>(0, &format!("counter {number}"));
        world.update::<PnCounter, _>(0, doc, |counter| counter.inc(1));
    }
    world.connect_all();
    // Until all of them have been compared.
    world.run_for(20_000);
    world.trace.keep();
    world.run_for(10_000);
    let lines = world.trace.lines().len();
    assert!(lines <= 4 * 11, "{lines} things happened in ten idle seconds");
}

#[test]
fn in_a_session_an_increment_takes_twelve_bytes_and_an_element_eight_beside_itself() {
    let mut world = World::new(2, 5);
    world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
    let likes = world.open::<PnCounter>(0, "likes");
    let names = world.open::<AddWinsSet<String>>(0, "names");
    world.update::<PnCounter, _>(0, likes, |counter| counter.inc(1));
    world.update::<AddWinsSet<String>, _>(0, names, |set| set.add("Ann"));
    world.connect_all();
    world.run_until_agreed(2_000);
    // From now on both know who writes.
    world.crash(1, true, 0);
    world.run_for(1_000);
    world.start(1);
    world.run_until_agreed(5_000);
    world.record();
    for round in 10..30 {
        world.update::<PnCounter, _>(0, likes, |counter| counter.inc(1));
        world.update::<AddWinsSet<String>, _>(0, names, |set| set.add(format!("Bob {round}")));
        world.run_until_agreed(2_000);
    }
    let mut seen = 0;
    for sent in world.sent() {
        if let Frame::Content { doc, kind, bytes, .. } = &sent.frame {
            assert_eq!(*kind, ContentKind::Named);
            // "Bob 10" takes seven bytes.
            let most = if *doc == likes { 12 } else { 7 + 8 };
            assert!(bytes.len() <= most, "{} bytes: {bytes:02x?}", bytes.len());
            seen += 1;
        }
    }
    assert!(seen >= 40, "{seen}");
}

/// What it took to bring a peer level that was away while others forgot what they removed.
#[derive(Debug)]
struct Repaired {
    /// Bytes of what tells which dots are gone, beside the version that both know.
    identification: usize,
    /// Bytes of what the peer lacked, and what our encoder makes of exactly that.
    content: usize,
    least: usize,
    /// How often it asked.
    pulls: usize,
    told: Told,
    /// Bytes of that alone.
    alive: usize,
    /// What it would take to tell the difference by the shortest sketch alone, and by what the peer, or the other, has alive alone.
    sketch: usize,
    bitmaps: [usize; 2],
}

/// How the peer told what it has alive.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    Runs,
    Sums,
    Cells,
}

/// How one comes to have forgotten what it removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgets {
    /// It wrote more than is remembered.
    Written,
    /// It was started anew.
    Started,
}

/// Both hold `live` of `dots` elements; then one removes `gone` of them, adds a few, forgets that, and meets the
/// other, who removed one and added one.
fn far_behind(dots: u64, live: usize, gone: usize, forgets: Forgets, seed: u64) -> Repaired {
    type Numbers = AddWinsSet<u64>;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut world = World::new(2, seed);
    world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
    let doc = world.open::<Numbers>(0, "numbers");
    world.open::<Numbers>(1, "numbers");
    world.update::<Numbers, _>(0, doc, |set| set.extend(0..dots));
    let mut alive: BTreeSet<u64> = (0..dots).collect();
    let removed = alive.iter().copied().sample(&mut rng, dots as usize - live);
    world.update::<Numbers, _>(0, doc, |set| removed.iter().for_each(|number| _ = set.remove(number)));
    removed.iter().for_each(|number| _ = alive.remove(number));
    world.connect_all();
    world.set_link(0, 1, LinkState::Cut);
    world.run_for(500);

    let removed = alive.iter().copied().sample(&mut rng, gone);
    world.update::<Numbers, _>(0, doc, |set| removed.iter().for_each(|number| _ = set.remove(number)));
    removed.iter().for_each(|number| _ = alive.remove(number));
    for number in 0..100 {
        world.update::<Numbers, _>(0, doc, |set| set.add(dots + number));
        alive.insert(dots + number);
    }
    if forgets == Forgets::Started {
        world.run_for(500);
        world.crash(0, true, 0);
        world.start(0);
        world.open::<Numbers>(0, "numbers");
    }
    // What comes and goes pushes what was before out of what is remembered.
    let known = world.read::<Numbers, _>(1, doc, Replica::version);
    let forgotten = |world: &World| {
        world.read::<Numbers, _>(0, doc, |set| {
            matches!(set.delta_since(&known), tombolo_crdt::Since::Forgotten)
        })
    };
    while !forgotten(&world) {
        world.update::<Numbers, _>(0, doc, |set| set.extend(u64::MAX - 1_000..u64::MAX - 10));
        world.update::<Numbers, _>(0, doc, |set| {
            (u64::MAX - 1_000..u64::MAX - 10).for_each(|number| _ = set.remove(&number))
        });
    }
    let his = *alive.first().unwrap();
    world.update::<Numbers, _>(1, doc, |set| set.remove(&his));
    world.update::<Numbers, _>(1, doc, |set| set.add(u64::MAX - 1));
    alive.remove(&his);
    alive.insert(u64::MAX - 1);
    world.run_for(500);

    let base = world.read::<Numbers, _>(0, doc, Replica::version).meet(&world.read::<Numbers, _>(
        1,
        doc,
        Replica::version,
    ));
    let live_below = |node| world.read::<Numbers, _>(node, doc, |set| set.live_below(&base).unwrap());
    let (ours, theirs) = (live_below(0), live_below(1));
    let without = |some: &[u64], other: &[u64]| -> Vec<u64> {
        some.iter().filter(|number| other.binary_search(number).is_err()).copied().collect()
    };
    let (lacked, more) = (without(&theirs, &ours), without(&ours, &theirs));
    let events = base.iter().map(|(_, count)| count).sum();
    let sketch = baseline::sketch(&[&lacked[..], &more[..]].concat(), events);
    let bitmaps = [baseline::bitmap(&theirs), baseline::bitmap(&ours)];
    let lacked: Vec<_> = lacked.into_iter().map(|number| number..number + 1).collect();
    assert!(lacked.len() >= gone);
    let least =
        world.read::<Numbers, _>(0, doc, |set| set.delta_beyond(&base, &lacked).unwrap().encode_body().len());

    world.record();
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(20_000);
    for node in 0..2 {
        let found: BTreeSet<u64> = world.read::<Numbers, _>(node, doc, |set| set.iter().copied().collect());
        assert!(found == alive, "n{node}: {} of {}", found.len(), alive.len());
    }
    // Each says below which version, which depends on who has written and not on what is gone.
    let length = |version: &Version| rmp_serde::to_vec(version).unwrap().len();
    let (told, alive) = (Told::Nothing, 0);
    let mut repaired =
        Repaired { identification: 0, content: 0, least, pulls: 0, told, alive, sketch, bitmaps };
    for sent in world.sent() {
        match &sent.frame {
            Frame::Content { doc: of, kind: ContentKind::Behind, bytes, .. } if *of == doc => {
                let behind = Behind::decode(bytes).expect("it is short");
                repaired.identification += sent.bytes - length(&behind.base);
            }
            Frame::Content { doc: of, .. } if *of == doc && sent.to == 1 => repaired.content += sent.bytes,
            Frame::Pull { doc: of, version, alive, .. } if *of == doc && sent.from == 1 => {
                repaired.pulls += 1;
                let told = match alive {
                    Some(Alive::Runs(bytes)) => Some((Told::Runs, bytes.len())),
                    Some(Alive::Sums(bytes)) => Some((Told::Sums, bytes.len())),
                    Some(Alive::Cells { cells, .. }) => Some((Told::Cells, cells.len())),
                    _ => None,
                };
                if let Some((told, bytes)) = told {
                    (repaired.told, repaired.alive) = (told, bytes);
                    repaired.identification += sent.bytes - length(version);
                }
            }
            _ => {}
        }
    }
    repaired
}

#[test]
fn who_is_far_behind_gets_what_it_lacks_in_bytes_that_follow_the_difference() {
    let mut thirds = 0;
    for seed in 0..3 {
        // Some gone of many: cells of a sketch.
        let repaired = far_behind(50_000, 10_000, 300, Forgets::Written, seed);
        println!("{repaired:?}");
        assert_eq!(repaired.told, Told::Cells);
        assert!(repaired.content <= repaired.least * 110 / 100, "{repaired:?}");
        thirds += usize::from(repaired.pulls > 2);
        if repaired.pulls <= 2 {
            assert!(repaired.identification <= 13 * 300 + 256, "{repaired:?}");
        }
        // Few: sums, in the bits of as many numbers and a third.
        let repaired = far_behind(14_000, 6_000, 100, Forgets::Written, seed);
        println!("{repaired:?}");
        assert_eq!((repaired.told, repaired.pulls), (Told::Sums, 2), "{repaired:?}");
        assert!(repaired.content <= repaired.least * 110 / 100, "{repaired:?}");
        assert!(repaired.identification <= 6 * 100, "{repaired:?}");
    }
    assert!(thirds <= 1, "{thirds} of three sketches were too short");
    // Most are gone: what is alive, as runs.
    let repaired = far_behind(6_000, 5_940, 4_500, Forgets::Written, 1);
    println!("{repaired:?}");
    assert!(repaired.told == Told::Runs && repaired.pulls == 2, "{repaired:?}");
    // A set of chance, of a hundredth: 8 % of a bit for each.
    assert!(repaired.identification <= 6_000 / 100 * 13 / 8 + 512, "{repaired:?}");
    assert!(repaired.content <= repaired.least * 110 / 100 + 64, "{repaired:?}");
}

/// A hundred removals among so many that are alive at the peer, of so many that ever were. The two ways to tell them are counted each
/// alone, in no frame and without an estimate: what was said, all of it, is held against the shorter.
fn a_hundred_gone(dots: u64, live: usize, forgets: Forgets) -> Repaired {
    let repaired = far_behind(dots, live, 100, forgets, 1);
    println!("{live} of {dots}, {forgets:?}: {repaired:?}");
    assert!(repaired.identification <= 13 * 100 + 256, "{repaired:?}");
    assert!(repaired.content <= repaired.least * 110 / 100, "{repaired:?}");
    assert!(repaired.pulls <= 2, "{repaired:?}");
    repaired
}

#[test]
fn a_hundred_gone_of_a_hundred_thousand_that_are_nearly_all_there_ever_were() {
    let repaired = a_hundred_gone(100_100, 100_100, Forgets::Written);
    // The peer has all of them alive, and says so; what is left is the frame. The other's bitmap has a hundred gaps.
    assert!(repaired.told == Told::Runs && repaired.identification <= 64, "{repaired:?}");
    let shorter = repaired.sketch.min(repaired.bitmaps[1]);
    assert!(repaired.identification * 100 <= 125 * shorter, "{shorter} bytes alone: {repaired:?}");
}

#[test]
fn a_hundred_gone_where_both_have_gaps_already() {
    let repaired = a_hundred_gone(100_100, 100_000, Forgets::Started);
    let shorter = repaired.sketch.min(repaired.bitmaps[0]);
    assert_eq!((repaired.told, repaired.pulls), (Told::Runs, 2), "{repaired:?}");
    assert!(repaired.alive * 100 <= 125 * shorter, "{shorter} bytes alone: {repaired:?}");
    // Two frames, one of which asks for the bitmap, and the other is not much more than that.
    assert!(repaired.identification <= repaired.alive + 80, "{repaired:?}");
    // Who lacks as much as hardly anybody remembers does not wait until it is asked.
    let repaired = a_hundred_gone(100_100, 100_000, Forgets::Written);
    let shorter = repaired.sketch.min(repaired.bitmaps[0]);
    assert_eq!((repaired.told, repaired.pulls), (Told::Runs, 1), "{repaired:?}");
    assert!(repaired.identification * 100 <= 125 * shorter, "{shorter} bytes alone: {repaired:?}");
}

#[test]
fn a_hundred_gone_of_a_hundred_thousand_of_a_million_that_ever_were() {
    let repaired = a_hundred_gone(1_000_000, 100_100, Forgets::Written);
    // Each costs as a number of the million and a third, where the cells of a sketch, of which there are more than differ, take 52 bits; a bitmap takes 66 kB.
    assert_eq!(repaired.told, Told::Sums);
    let shorter = repaired.sketch.min(repaired.bitmaps[0]).min(repaired.bitmaps[1]);
    assert!(repaired.identification * 100 <= 125 * shorter, "{shorter} bytes alone: {repaired:?}");
    assert!(repaired.identification * 8 <= 101 * 52 * 125 / 100, "{repaired:?}");
}

#[test]
fn who_tells_at_once_what_it_has_is_sent_what_is_remembered_as_ever() {
    type Numbers = AddWinsSet<u64>;
    let mut world = World::new(2, 7);
    world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
    let doc = world.open::<Numbers>(0, "numbers");
    world.open::<Numbers>(1, "numbers");
    world.update::<Numbers, _>(0, doc, |set| set.extend(0..100_u64));
    world.connect_all();
    world.run_until_agreed(10_000);
    world.set_link(0, 1, LinkState::Cut);
    world.run_for(500);
    world.update::<Numbers, _>(0, doc, |set| set.remove(&7));
    world.update::<Numbers, _>(1, doc, |set| set.remove(&8));
    world.update::<Numbers, _>(0, doc, |set| set.extend(1_000..34_000_u64));
    world.run_for(500);
    world.record();
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(20_000);
    let told = |frame: &Frame| matches!(frame, Frame::Pull { alive: Some(Alive::Runs(_)), .. });
    assert_eq!(world.sent().iter().filter(|sent| told(&sent.frame)).count(), 1);
    for sent in world.sent() {
        if let Frame::Content { doc: of, kind, .. } = &sent.frame {
            assert!(*of != doc || matches!(kind, ContentKind::Delta | ContentKind::Named), "{kind:?}");
        }
    }
    for node in 0..2 {
        assert_eq!(world.read::<Numbers, _>(node, doc, |set| set.len()), 100 - 2 + 33_000);
    }
}
