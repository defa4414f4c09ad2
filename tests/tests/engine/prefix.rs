//! Nodes that hold a part of a space: each two agree on what both want, and nobody is bothered with the rest.

use tombolo_crdt::{AddWinsSet, Crdt as _, RemoveWinsSet};
use tombolo_sync::DocId;
use tombolo_sync::engine::wire::Frame;
use tombolo_sync::engine::{
    Forgetting, MAX_PREFIX, MAX_PREFIXES, Membership, Mistake, OpenError, Outcome, Subscription,
};
use tombolo_tests::sim::{FrameWeather, GossipWeather, LinkState, NodeOptions, World};

type Words = AddWinsSet<String>;
type Guests = RemoveWinsSet<String>;

fn only(prefixes: &[&str]) -> Subscription {
    Subscription::new(prefixes.iter().copied()).unwrap()
}

fn all() -> Subscription {
    Subscription::everything()
}

/// Nodes that want these parts, and know each other.
fn world(parts: &[Subscription], seed: u64) -> World {
    world_of(
        parts.iter().map(|part| NodeOptions { subscription: part.clone(), ..NodeOptions::default() }),
        seed,
    )
}

fn world_of(options: impl Iterator<Item = NodeOptions>, seed: u64) -> World {
    let mut world = World::with_options(options, seed);
    (0..world.len()).for_each(|node| (0..node).for_each(|known| world.befriend(node, known)));
    agree(&mut world);
    world
}

/// Gossip arrives nowhere.
fn without_gossip(mut world: World) -> World {
    world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
    world
}

#[track_caller]
fn agree(world: &mut World) {
    let all_meet = |world: &World| {
        (0..world.len()).filter(|node| world.runs(*node)).all(|node| !world.ready(node).is_empty())
    };
    let agreed = world.run_until(20_000, |world| all_meet(world) && world.agrees_in_parts());
    assert!(agreed.is_some(), "{:?}", world.violation());
}

fn add(world: &mut World, node: usize, name: &str, word: &str) -> DocId {
    let doc = world.open::<Words>(node, name);
    world.update::<Words, _>(node, doc, |words| words.add(word));
    doc
}

fn said(world: &mut World, node: usize, name: &str) -> Vec<String> {
    let doc = world.open::<Words>(node, name);
    world.read::<Words, _>(node, doc, |words| words.iter().cloned().collect())
}

fn holds(world: &World, node: usize, doc: DocId) -> bool {
    world.engine(node).held_documents().any(|held| held == doc)
}

/// Starts a node anew that wants this from now on.
fn restart(world: &mut World, node: usize, part: Subscription) {
    if world.runs(node) {
        world.crash(node, true, 100);
    }
    world.nodes[node].options.subscription = part;
    world.start(node);
}

/// Which documents a frame is about.
fn about(frame: &Frame) -> Vec<DocId> {
    match frame {
        Frame::Versions { entries, .. }
        | Frame::Differences { entries, .. }
        | Frame::Rest { entries, .. }
        | Frame::Since { entries, .. } => entries.iter().map(|(doc, _)| *doc).collect(),
        Frame::Pull { doc, .. }
        | Frame::Content { doc, .. }
        | Frame::Got { doc, .. }
        | Frame::Nothing { doc }
        | Frame::Tell { doc, .. } => vec![*doc],
        Frame::Alike { but, .. } => but.clone(),
        Frame::States(entries) => entries.iter().map(|(doc, ..)| *doc).collect(),
        _ => Vec::new(),
    }
}

fn is_question(frame: &Frame) -> bool {
    matches!(frame, Frame::Ask | Frame::Sketch { .. } | Frame::Pull { .. })
}

#[test]
fn each_two_agree_on_what_both_want_and_nothing_else_is_sent_to_anybody() {
    for gossips in [true, false] {
        let mut world = world(&[all(), only(&["a/", "b/"]), only(&["b/", "c/"]), only(&[])], 61);
        if !gossips {
            world = without_gossip(world);
        }
        world.record();
        let mut docs = Vec::new();
        for (name, writers) in
            [("a/1", vec![0, 1]), ("b/1", vec![0, 1, 2]), ("c/1", vec![0, 2]), ("d/1", vec![0])]
        {
            for &writer in &writers {
                docs.push((name, writers.clone(), add(&mut world, writer, name, &format!("by {writer}"))));
                world.run_for(40);
            }
        }
        agree(&mut world);
        // Fingerprints are compared.
        world.run_for(20_000);
        for (name, wanting, doc) in docs {
            for node in 0..4 {
                assert_eq!(holds(&world, node, doc), wanting.contains(&node), "{name} at n{node}");
                assert_eq!(world.engine(node).list().len(), 4, "all are listed");
                if wanting.contains(&node) {
                    assert_eq!(said(&mut world, node, name).len(), wanting.len());
                } else {
                    let refused = world.try_open::<Words>(node, name);
                    assert_eq!(refused, Err(OpenError::NotSubscribed { name: name.to_owned() }));
                }
                let told =
                    world.sent().iter().filter(|sent| sent.to == node && about(&sent.frame).contains(&doc));
                // Of what nobody else has nothing is said to who has it.
                let is_told = wanting.contains(&node) && wanting.len() > 1;
                assert_eq!(told.count() > 0, is_told, "of {name} to n{node}");
            }
        }
        let status = world.engine(2).status();
        assert_eq!((status.documents, status.held, status.kept), (4, 2, 0));
        assert_eq!(status.subscription, only(&["b/", "c/"]));
        let of_1 = status.peers.iter().find(|peer| peer.peer == world.peer(1)).unwrap();
        assert_eq!(
            (of_1.subscription.clone(), of_1.lag, of_1.behind),
            (Some(only(&["a/", "b/"])), Some(0), Some(0))
        );
    }
}

#[test]
fn an_idle_pair_says_as_much_whatever_both_hold_and_asks_nothing() {
    let bytes = |documents: usize| {
        let mut world = world(&[only(&["a/", "b/"]), only(&["b/", "c/"])], 62);
        for number in 0..documents {
            let (node, name) = [(0, "a"), (0, "b"), (1, "b"), (1, "c")][number % 4];
            add(&mut world, node, &format!("{name}/{number}"), "word");
        }
        agree(&mut world);
        world.run_for(60_000);
        world.record();
        world.run_for(60_000);
        assert!(!world.sent().iter().any(|sent| is_question(&sent.frame)));
        assert!(world.sent().len() <= 4 * 61, "{} frames", world.sent().len());
        world.sent().iter().map(|sent| sent.bytes).sum::<usize>()
    };
    let (few, many) = (bytes(8), bytes(800));
    println!("a minute of silence: {few} bytes with 8 documents, {many} with 800");
    assert!(many < 30_000 && many.abs_diff(few) < 500, "{few} with 8 documents, {many} with 800");
}

#[test]
fn few_differences_among_many_documents_of_both_cost_as_much_as_differs() {
    let bytes = |documents: usize| {
        let mut world = without_gossip(world(&[only(&["b/"]), all()], 63));
        for number in 0..documents {
            add(&mut world, 1, &format!("{}/{number}", ["a", "b"][number % 2]), "word");
        }
        agree(&mut world);
        world.set_link(0, 1, LinkState::Cut);
        world.run_for(500);
        add(&mut world, 0, "b/1", "one");
        add(&mut world, 1, "b/3", "other");
        add(&mut world, 1, "a/0", "not wanted");
        world.record();
        world.set_link(0, 1, LinkState::Up);
        agree(&mut world);
        world.sent().iter().map(|sent| sent.bytes).sum::<usize>()
    };
    let (some, many) = (bytes(600), bytes(2_400));
    println!("two differences: {some} bytes among 300 wanted documents, {many} among 1 200");
    assert!(many < some + 1_000, "{some} bytes among 300, {many} among 1 200");
}

#[test]
fn who_wants_less_drops_what_another_holds_and_keeps_what_nobody_has_until_somebody_does() {
    let mut world = world(&[all(), all(), only(&["c/"])], 64);
    let shared = add(&mut world, 0, "a/shared", "one");
    let mine = add(&mut world, 1, "b/mine", "two");
    agree(&mut world);
    // Written where nobody hears of it.
    world.set_link(0, 1, LinkState::Cut);
    world.set_link(1, 2, LinkState::Cut);
    add(&mut world, 1, "a/shared", "unsent");
    add(&mut world, 1, "b/mine", "unsent");
    world.run_for(1_000);
    restart(&mut world, 1, only(&["c/"]));
    world.run_for(5_000);
    let status = world.engine(1).status();
    assert_eq!((status.held, status.kept), (2, 2), "nobody has all of it");
    // Who does not want it is no help.
    world.set_link(1, 2, LinkState::Up);
    world.run_for(10_000);
    assert_eq!(world.engine(1).status().kept, 2);
    world.set_link(0, 1, LinkState::Up);
    agree(&mut world);
    assert!(!holds(&world, 1, shared) && !holds(&world, 1, mine));
    assert_eq!(said(&mut world, 0, "a/shared"), ["one", "unsent"]);
    assert_eq!(said(&mut world, 0, "b/mine"), ["two", "unsent"]);
    // Also for who starts anew: it was dropped on the disk.
    restart(&mut world, 1, only(&["c/"]));
    agree(&mut world);
    assert_eq!(world.engine(1).status().held, 0);
}

#[test]
fn two_who_both_want_it_no_more_do_not_count_on_each_other() {
    let mut world = world(&[all(), all(), only(&[])], 65);
    let doc = add(&mut world, 0, "a/1", "word");
    agree(&mut world);
    for node in [0, 1] {
        restart(&mut world, node, only(&["b/"]));
    }
    world.run_for(30_000);
    assert!(holds(&world, 0, doc) && holds(&world, 1, doc));
    assert!(world.engine(0).is_in_sync_with(world.peer(1)), "of what both want nothing is lacked");
    // Who wants it gets it of them.
    restart(&mut world, 2, only(&["a/"]));
    agree(&mut world);
    assert!(!holds(&world, 0, doc) && !holds(&world, 1, doc) && holds(&world, 2, doc));
    assert_eq!(said(&mut world, 2, "a/1"), ["word"]);
}

#[test]
fn what_was_dropped_is_fetched_when_it_is_wanted_again_and_written_under_another_id() {
    let mut world = world(&[all(), all()], 66);
    let doc = add(&mut world, 1, "a/1", "first");
    add(&mut world, 1, "b/1", "first");
    agree(&mut world);
    let before = world.engine(1).replica();
    restart(&mut world, 1, only(&["b/"]));
    agree(&mut world);
    assert!(!holds(&world, 1, doc));
    assert_eq!(world.engine(1).replica(), before, "nothing it wants is lacked");
    restart(&mut world, 1, only(&["b/1"]));
    assert_eq!(world.engine(1).replica(), before);
    restart(&mut world, 1, all());
    // At once, and alone.
    world.set_link(0, 1, LinkState::Cut);
    assert_ne!(world.engine(1).replica(), before, "it does not know what it wrote");
    add(&mut world, 1, "a/1", "again");
    add(&mut world, 1, "b/1", "again");
    world.run_for(1_000);
    world.set_link(0, 1, LinkState::Up);
    agree(&mut world);
    for node in 0..2 {
        assert_eq!(said(&mut world, node, "a/1"), ["again", "first"]);
        assert_eq!(said(&mut world, node, "b/1"), ["again", "first"]);
    }
    assert!(world.overtaken.is_empty() && world.diverged.is_empty());
    let id = world.engine(1).replica();
    restart(&mut world, 1, all());
    agree(&mut world);
    assert_eq!(world.engine(1).replica(), id, "once is enough");
}

#[test]
fn who_starts_anew_with_the_same_part_goes_on_with_what_it_has() {
    let mut world = world(&[all(), only(&["b/"])], 67);
    for number in 0..20 {
        add(&mut world, number % 2, &format!("b/{number}"), &"word".repeat(200));
    }
    add(&mut world, 0, "a/1", "word");
    agree(&mut world);
    world.run_for(1_000);
    let id = world.engine(1).replica();
    world.record();
    restart(&mut world, 1, only(&["b/"]));
    assert_eq!(world.engine(1).status().held, 20);
    agree(&mut world);
    assert_eq!(world.engine(1).replica(), id);
    assert!(!world.sent().iter().any(|sent| matches!(sent.frame, Frame::Content { .. })));
}

#[test]
fn one_in_the_middle_that_wants_less_passes_nothing_on_and_hinders_nobody() {
    let mut world = without_gossip(World::with_options(
        [only(&["a/", "b/"]), only(&["b/"]), all()]
            .map(|subscription| NodeOptions { subscription, ..NodeOptions::default() }),
        68,
    ));
    // The first and the last meet the middle only.
    world.befriend(0, 1);
    world.befriend(2, 1);
    world.set_link(0, 2, LinkState::Cut);
    agree(&mut world);
    let passed_on = add(&mut world, 0, "b/1", "word");
    let beyond = add(&mut world, 0, "a/1", "word");
    let back = add(&mut world, 2, "a/2", "word");
    world.run_for(30_000);
    assert!(holds(&world, 2, passed_on), "what the middle wants too goes by it");
    assert!(!holds(&world, 2, beyond) && !holds(&world, 0, back), "and nothing else");
    assert!(!holds(&world, 1, beyond) && !holds(&world, 1, back));
    assert_eq!(world.engine(2).list().len(), 3, "but that there is more");
    assert_eq!(
        world.engine(0).status().in_sync,
        Some(true),
        "with the middle, there is nothing to be had of it"
    );
    world.set_link(0, 2, LinkState::Up);
    world.introduce(0, 2);
    agree(&mut world);
    assert!(holds(&world, 2, beyond) && holds(&world, 0, back));
    assert!(!holds(&world, 1, beyond) && !holds(&world, 1, back));
}

#[test]
fn what_nobody_there_wants_is_written_all_the_same_and_offered_to_who_does() {
    let mut world = world(&[only(&["a/"]), only(&["b/"]), all()], 69);
    world.crash(2, true, 0);
    world.run_for(1_000);
    let doc = add(&mut world, 0, "a/1", "word");
    world.run_for(20_000);
    assert!(holds(&world, 0, doc) && !holds(&world, 1, doc));
    world.start(2);
    agree(&mut world);
    assert_eq!(said(&mut world, 2, "a/1"), ["word"]);
}

#[test]
fn only_who_wants_a_document_is_counted_among_those_that_hold_it() {
    let mut world = world(&[all(), all(), only(&["b/"])], 70);
    let doc = add(&mut world, 0, "a/1", "first");
    agree(&mut world);
    let written = world.update::<Words, _>(0, doc, |words| words.add("second"));
    let wait = world.call(0, |engine, now| {
        let written = engine.written(doc, written);
        engine.wait_for_copies(now, written, 2)
    });
    let wait = wait.unwrap();
    world.run_for(10_000);
    let copies = world.engine(0).copies(wait).unwrap();
    assert_eq!(copies.outcome, Outcome::Waiting);
    assert_eq!((copies.holders, copies.lacking), (vec![world.peer(1)], Vec::new()));
    // Nor who holds it and wants it no more: it is about to drop it.
    world.set_link(0, 1, LinkState::Cut);
    restart(&mut world, 1, only(&["b/"]));
    let written = world.update::<Words, _>(0, doc, |words| words.add("third"));
    let wait = world.call(0, |engine, now| {
        let written = engine.written(doc, written);
        engine.wait_for_copies(now, written, 1)
    });
    world.set_link(0, 1, LinkState::Up);
    world.run_for(10_000);
    assert_eq!(world.engine(0).outcome(wait.unwrap()), Some(&Outcome::Waiting));
}

#[test]
fn what_is_deleted_stays_deleted_also_where_it_was_kept() {
    let mut world = world(&[all(), all()], 71);
    let doc = add(&mut world, 0, "a/1", "word");
    agree(&mut world);
    world.set_link(0, 1, LinkState::Cut);
    add(&mut world, 1, "a/1", "unsent");
    world.run_for(500);
    restart(&mut world, 1, only(&["b/"]));
    world.run_for(500);
    assert_eq!(world.engine(1).kept_documents(), [doc]);
    assert!(world.call(0, |engine, now| engine.delete(now, "a/1", &Words::type_name())).is_some());
    world.set_link(0, 1, LinkState::Up);
    agree(&mut world);
    assert!(!holds(&world, 0, doc) && !holds(&world, 1, doc));
    assert!(world.engine(1).kept_documents().is_empty() && world.engine(1).is_deleted(doc));
    // Also by who does not hold it.
    let other = add(&mut world, 0, "a/2", "word");
    agree(&mut world);
    world.call(1, |engine, now| engine.delete(now, "a/2", &Words::type_name()));
    agree(&mut world);
    assert!(!holds(&world, 0, other));
}

const FORGETTING: Forgetting = Forgetting { least: 4, pause: 1_000, silence: None };

/// Nodes that want these parts and have a list of guests, as far as they want it.
fn with_guests(parts: &[Subscription]) -> (World, DocId) {
    let options = parts.iter().map(|part| NodeOptions {
        subscription: part.clone(),
        forgetting: FORGETTING,
        ..NodeOptions::default()
    });
    let mut world = world_of(options, 72);
    let guests = world.open::<Guests>(0, "guests");
    world.open::<Guests>(1, "guests");
    world.update::<Guests, _>(0, guests, |guests| guests.extend(names(0..40)));
    // All have answered.
    remove(&mut world, guests, 0..5);
    agree(&mut world);
    world.run_for(15_000);
    (world, guests)
}

fn names(numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(|number| format!("guest {number:03}"))
}

fn remove(world: &mut World, doc: DocId, numbers: std::ops::Range<u32>) {
    world.update::<Guests, _>(0, doc, |guests| names(numbers).for_each(|name| _ = guests.remove(name)));
}

fn remembered(world: &World, node: usize, doc: DocId) -> usize {
    world.read::<Guests, _>(node, doc, |guests| guests.removed_len())
}

#[test]
fn who_does_not_want_a_document_does_not_hold_up_forgetting_in_it() {
    let (mut world, guests) = with_guests(&[all(), all(), only(&["b/"])]);
    assert_eq!(remembered(&world, 0, guests), 0);
    assert_eq!(world.engine(0).membership(world.peer(2)), Some(Membership::Member));
    let status = world.engine(0).document_status(guests).unwrap();
    assert!(status.is_stable());
    // Whether it is there or not, also for who starts anew and has not met it since.
    world.crash(2, true, 0);
    restart(&mut world, 0, all());
    agree(&mut world);
    world.open::<Guests>(0, "guests");
    remove(&mut world, guests, 5..20);
    world.run_for(15_000);
    assert_eq!(remembered(&world, 0, guests), 0);
    // Who wants it again is waited for, from then on.
    restart(&mut world, 2, all());
    agree(&mut world);
    world.run_for(5_000);
    assert!(holds(&world, 2, guests));
    world.crash(2, true, 0);
    remove(&mut world, guests, 20..30);
    world.run_for(30_000);
    assert_eq!(remembered(&world, 0, guests), 10);
    world.start(2);
    agree(&mut world);
    world.run_for(15_000);
    assert_eq!(remembered(&world, 0, guests), 0);
    // And not any more, when it has dropped it.
    restart(&mut world, 2, only(&["b/"]));
    agree(&mut world);
    world.run_for(5_000);
    assert!(!holds(&world, 2, guests));
    world.crash(2, true, 0);
    remove(&mut world, guests, 30..40);
    world.run_for(15_000);
    assert_eq!((remembered(&world, 0, guests), remembered(&world, 1, guests)), (0, 0));
}

#[test]
fn an_earlier_program_is_taken_to_want_everything_and_is_not_asked_without_end() {
    let options = [
        NodeOptions { mistake: Some(Mistake::KnowsNoParts), ..NodeOptions::default() },
        NodeOptions { subscription: only(&["b/"]), ..NodeOptions::default() },
    ];
    let mut world = World::with_options(options, 73);
    world.befriend(1, 0);
    world.run_for(3_000);
    assert_eq!(world.ready(0), [1]);
    for number in 0..200 {
        let node = number % 2;
        add(&mut world, node, &format!("{}/{number}", ["a", "b"][node]), "word");
    }
    world.run_for(20_000);
    assert_eq!(world.engine(0).status().held, 200);
    assert_eq!(world.engine(1).status().held, 100);
    assert!(world.engine(1).is_in_sync_with(world.peer(0)), "as far as it wants");
    world.record();
    world.run_for(60_000);
    assert!(!world.sent().iter().any(|sent| is_question(&sent.frame)));
    assert_eq!(world.ready(0), [1]);
    // What it holds may be dropped, too.
    restart(&mut world, 1, only(&[]));
    world.run_for(10_000);
    assert_eq!(world.engine(1).status().held, 0);
    assert_eq!(world.engine(0).status().held, 200);
    assert!(world.overtaken.is_empty(), "that it knows of what was dropped says nothing");
}

#[test]
fn what_is_said_about_parts_may_be_lost_doubled_and_late() {
    let mut world = world(&[only(&["a/", "b/"]), only(&["b/", "c/"]), all()], 74);
    world.frames = FrameWeather { loss: 20, duplicates: 20, late: 30 };
    for round in 0..20 {
        let node = round % 2;
        add(&mut world, node, "b/1", &format!("word {round}"));
        add(&mut world, node, ["a/1", "c/1"][node], &format!("word {round}"));
        world.run_for(300);
        if round % 7 == 6 {
            restart(&mut world, node, [only(&["a/", "b/"]), only(&["b/", "c/"])][node].clone());
        }
    }
    restart(&mut world, 0, only(&["a/"]));
    world.run_for(10_000);
    world.frames = FrameWeather::default();
    agree(&mut world);
    assert!(!world.engine(0).status().kept > 0 && world.engine(0).status().held == 1);
}

#[test]
fn a_peer_that_wants_too_much_at_once_is_refused() {
    let many: Vec<String> = (0..=MAX_PREFIXES).map(|at| format!("{at:03}")).collect();
    let long = vec!["x".repeat(MAX_PREFIX + 1)];
    for (prefixes, keeps) in
        [(many.clone(), Vec::new()), (Vec::new(), many), (long.clone(), Vec::new()), (Vec::new(), long)]
    {
        let mut world = world(&[all(), all()], 75);
        world.forge_frame(1, 0, &Frame::Wants { number: 1, prefixes, keeps });
        let status = world.engine(0).status();
        assert!(status.peers[0].refused.is_some());
    }
}

#[test]
fn many_kept_documents_are_dropped_as_they_become_safe() {
    let mut world = world(&[all(), all()], 76);
    for number in 0..300 {
        add(&mut world, number % 2, &format!("a/{number}"), "word");
    }
    world.run_for(2_000);
    agree(&mut world);
    world.set_link(0, 1, LinkState::Cut);
    add(&mut world, 1, "a/1", "unsent");
    world.run_for(500);
    restart(&mut world, 1, only(&["b/"]));
    world.run_for(500);
    assert_eq!(world.engine(1).status().kept, 300);
    world.set_link(0, 1, LinkState::Up);
    world.run_for(10_000);
    agree(&mut world);
    assert_eq!((world.engine(1).status().held, world.engine(0).status().held), (0, 300));
    assert_eq!(said(&mut world, 0, "a/1"), ["unsent", "word"]);
    world.record();
    world.run_for(30_000);
    assert!(!world.sent().iter().any(|sent| is_question(&sent.frame)));
}
