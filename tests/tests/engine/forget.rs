//! Forgetting removals: only what all members know, and nothing that is read changes.

use tombolo_crdt::{AddWinsMap, PnCounter, RemoveWinsSet, Text};
use tombolo_sync::DocId;
use tombolo_sync::engine::{BatchId, Forgetting, Membership, Mistake, Written};
use tombolo_tests::sim::{LinkState, NodeOptions, World};

type Guests = RemoveWinsSet<String>;

const FORGETTING: Forgetting = Forgetting { least: 4, pause: 1_000, silence: None };

/// Nodes that know each other, with a list of guests at the first.
fn world(nodes: usize, forgetting: Forgetting) -> (World, DocId) {
    world_with(nodes, forgetting, None)
}

fn world_with(nodes: usize, forgetting: Forgetting, mistake: Option<Mistake>) -> (World, DocId) {
    let options = NodeOptions { forgetting, mistake, ..NodeOptions::default() };
    let mut world = World::with_options((0..nodes).map(|_| options.clone()), 51);
    world.connect_all();
    let guests = world.open::<Guests>(0, "guests");
    world.update::<Guests, _>(0, guests, |guests| guests.extend(names(0..40)));
    world.run_until_agreed(10_000);
    open(&mut world);
    (world, guests)
}

fn names(numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(|number| format!("guest {number:03}"))
}

fn open(world: &mut World) {
    let running: Vec<usize> = (0..world.len()).filter(|node| world.runs(*node)).collect();
    running.into_iter().for_each(|node| _ = world.open::<Guests>(node, "guests"));
}

fn remove(world: &mut World, node: usize, doc: DocId, numbers: std::ops::Range<u32>) -> BatchId {
    world.update::<Guests, _>(node, doc, |guests| names(numbers).for_each(|name| _ = guests.remove(name)))
}

fn remembered(world: &World, node: usize, doc: DocId) -> usize {
    world.read::<Guests, _>(node, doc, |guests| guests.removed_len())
}

fn has(world: &World, node: usize, doc: DocId, name: &str) -> bool {
    world.read::<Guests, _>(node, doc, |guests| guests.contains(name))
}

#[test]
fn removals_that_all_know_are_forgotten_and_nothing_that_is_read_changes() {
    let (mut world, guests) = world(4, FORGETTING);
    for round in 0..10 {
        remove(&mut world, round as usize % 4, guests, round * 3..round * 3 + 3);
        world.run_for(700);
    }
    world.run_for(15_000);
    for node in 0..4 {
        assert!(remembered(&world, node, guests) < 4, "n{node}");
        assert_eq!(world.read::<Guests, _>(node, guests, |guests| guests.len()), 10);
        let status = world.engine(node).document_status(guests).unwrap();
        assert_eq!(status.stable, status.version, "all is known to all");
        assert_eq!(world.engine(node).garbage(guests).unwrap().removals, remembered(&world, node, guests));
    }
    assert!(world.agrees());
    // One of them has done it, a few times.
    let swept = world.stats().branch(tombolo_tests::sim::Branch::Swept);
    assert!((1..=12).contains(&swept), "{swept}");
}

#[test]
fn where_deleted_text_stood_is_forgotten_once_all_know_and_nothing_moves() {
    let options = NodeOptions { forgetting: FORGETTING, ..NodeOptions::default() };
    let mut world = World::with_options((0..3).map(|_| options.clone()), 53);
    world.connect_all();
    let notes = world.open::<Text>(0, "notes");
    world.update::<Text, _>(0, notes, |text| text.push("The tide falls."));
    world.run_until_agreed(10_000);
    (1..3).for_each(|node| _ = world.open::<Text>(node, "notes"));
    // What is typed in many places, and deleted again.
    for round in 0..20 {
        world.update::<Text, _>(round % 3, notes, |text| text.insert(4 + round % 5, "(not) ").unwrap());
        world.update::<Text, _>(round % 3, notes, |text| text.push("!"));
        world.run_until_agreed(10_000);
        world.update::<Text, _>((round + 1) % 3, notes, |text| {
            let at = text.to_string().find("(not) ").unwrap();
            text.delete(at..at + 6).unwrap();
        });
        world.run_until_agreed(10_000);
    }
    let before = world.engine(0).garbage(notes).unwrap();
    world.run_for(20_000);
    world.run_until_agreed(10_000);
    for node in 0..3 {
        let left = world.engine(node).garbage(notes).unwrap();
        assert!(left.removals < 4 && left.items < before.items, "of {before:?} {left:?} is left");
        let text = world.read::<Text, _>(node, notes, |text| text.to_string());
        assert_eq!(text, format!("The tide falls.{}", "!".repeat(20)));
    }
}

#[test]
fn a_counter_below_a_key_holds_as_much_after_a_thousand_increments_as_after_a_hundred() {
    type Likes = AddWinsMap<String, PnCounter>;
    let options = NodeOptions { forgetting: FORGETTING, ..NodeOptions::default() };
    let mut world = World::with_options((0..3).map(|_| options.clone()), 57);
    world.connect_all();
    let likes = world.open::<Likes>(0, "likes");
    (1..3).for_each(|node| _ = world.open::<Likes>(node, "likes"));
    let count = |world: &mut World, increments: usize| {
        for number in 0..increments {
            world.update::<Likes, _>(number % 3, likes, |likes| likes.at("post").inc(1));
            world.run_for(50);
        }
        world.run_for(5_000);
        world.run_until_agreed(10_000);
        world.read::<Likes, _>(2, likes, |likes| likes.encode().len())
    };
    let hundred = count(&mut world, 102);
    let thousand = count(&mut world, 900);
    assert_eq!(world.read::<Likes, _>(1, likes, |likes| likes.get("post").unwrap().value()), 1_002);
    // A few amounts that are not worth a sum yet, and longer numbers.
    assert!(thousand < hundred + 150, "{hundred}, {thousand}");
    assert!(world.engine(0).garbage(likes).unwrap().items <= 3 * 6);
    // Whoever removes it leaves nothing.
    world.update::<Likes, _>(1, likes, |likes| likes.remove("post"));
    world.run_until_agreed(10_000);
    assert_eq!(world.engine(2).garbage(likes).unwrap().items, 0);
}

#[test]
fn who_has_nothing_to_forget_keeps_no_list_of_members() {
    let (mut world, guests) = world(3, Forgetting::default());
    remove(&mut world, 0, guests, 0..3);
    world.run_for(60_000);
    assert_eq!(world.engine(0).membership(world.peer(1)), None);
    assert!(!world.engine(0).held_documents().any(|doc| doc == DocId::MEMBERS));
}

#[test]
fn scenario_13_as_long_as_a_member_is_away_nothing_is_forgotten_and_who_was_released_keeps_its_edits() {
    let (mut world, guests) = world(3, FORGETTING);
    remove(&mut world, 0, guests, 0..5);
    world.run_for(5_000);
    assert_eq!(remembered(&world, 0, guests), 0);
    world.set_link(0, 2, LinkState::Cut);
    world.set_link(1, 2, LinkState::Cut);
    world.run_for(5_000);
    remove(&mut world, 0, guests, 20..30);
    world.update::<Guests, _>(2, guests, |guests| guests.extend(["guest 020", "somebody new"]));
    remove(&mut world, 2, guests, 30..32);
    world.run_for(60_000);
    assert_eq!(remembered(&world, 0, guests), 10, "the third has not heard of it");
    assert_eq!(remembered(&world, 1, guests), 10);
    let away = world.peer(2);
    assert_eq!(world.call(0, |engine, now| engine.release(now, away)), Some(true));
    assert_eq!(world.call(0, |engine, now| engine.release(now, away)), Some(false), "it is already");
    world.run_for(10_000);
    assert_eq!(world.engine(1).membership(away), Some(Membership::Released));
    assert_eq!((remembered(&world, 0, guests), remembered(&world, 1, guests)), (0, 0));
    // It returns. What it wrote meanwhile is there; where it wrote against what was forgotten, it wins.
    world.set_link(0, 2, LinkState::Up);
    world.set_link(1, 2, LinkState::Up);
    world.run_until_agreed(30_000);
    world.run_for(10_000);
    for node in 0..3 {
        assert!(has(&world, node, guests, "somebody new") && has(&world, node, guests, "guest 020"));
        assert!(!has(&world, node, guests, "guest 021") && !has(&world, node, guests, "guest 030"));
    }
    assert_eq!(world.engine(0).membership(away), Some(Membership::Member));
}

#[test]
fn scenario_11_what_all_have_acknowledged_is_not_stable_as_long_as_something_is_under_way() {
    under_way(None);
}

fn under_way(mistake: Option<Mistake>) {
    let (mut world, guests) = world_with(3, FORGETTING, mistake);
    remove(&mut world, 0, guests, 0..5);
    world.run_for(5_000);
    // The third adds whom the first removes, and then hears of that by the second, who does not pass on.
    world.set_link(0, 2, LinkState::Cut);
    world.set_way(2, 1, LinkState::Silent);
    world.update::<Guests, _>(2, guests, |guests| guests.extend(names(20..30).chain(["x".repeat(300_000)])));
    remove(&mut world, 0, guests, 20..30);
    world.run_for(2_500);
    world.set_link(1, 2, LinkState::Cut);
    // It tells the first what it holds, and what it wrote takes its time.
    world.set_bandwidth(0, 2, 20);
    world.set_link(0, 2, LinkState::Up);
    world.run_for(8_000);
    world.set_bandwidth(0, 2, 10_000);
    world.set_link(1, 2, LinkState::Up);
    world.run_until_agreed(30_000);
    world.run_for(15_000);
    for node in 0..3 {
        assert!(names(20..30).all(|name| !has(&world, node, guests, &name)), "a removal wins at n{node}");
        assert_eq!(remembered(&world, node, guests), 0);
    }
}

/// The rule that scenario 11 asks for, broken: then the third's adding comes in as if the removal had never been.
#[test]
#[should_panic(expected = "a removal wins")]
fn scenario_11_fails_where_acknowledged_is_taken_for_stable() {
    under_way(Some(Mistake::AcknowledgedIsStable));
}

#[test]
fn scenario_14_who_was_let_in_by_another_is_waited_for() {
    // Whenever that is between two looks of who lets it in.
    (0..10_000).step_by(500).for_each(let_in_by_another);
}

fn let_in_by_another(later: u64) {
    // The guest is named at once, not at the next look.
    let forgetting = Forgetting { pause: 10_000, ..FORGETTING };
    let options = NodeOptions { forgetting, ..NodeOptions::default() };
    let mut world = World::with_options((0..4).map(|_| options.clone()), 52);
    for (node, known) in [(1, 0), (2, 0), (2, 1)] {
        world.befriend(node, known);
    }
    // The fourth meets the third alone.
    world.set_link(0, 3, LinkState::Cut);
    world.set_link(1, 3, LinkState::Cut);
    let guests = world.open::<Guests>(0, "guests");
    world.update::<Guests, _>(0, guests, |guests| guests.extend(names(0..40)));
    world.run_for(3_000);
    open(&mut world);
    remove(&mut world, 0, guests, 0..5);
    world.run_for(35_000 + later);
    assert_eq!(remembered(&world, 0, guests), 0);
    world.befriend(3, 2);
    world.run_for(900);
    world.set_link(2, 3, LinkState::Cut);
    world.open::<Guests>(3, "guests");
    world.update::<Guests, _>(3, guests, |guests| guests.extend(names(20..30)));
    remove(&mut world, 0, guests, 20..30);
    world.run_for(60_000);
    assert!(matches!(
        world.engine(0).membership(world.peer(3)),
        Some(Membership::Known | Membership::Member)
    ));
    assert_eq!(remembered(&world, 0, guests), 10, "the fourth has not heard of it");
    for other in 0..3 {
        world.set_link(other, 3, LinkState::Up);
        world.befriend(3, other);
    }
    world.run_until_agreed(60_000);
    world.run_for(60_000);
    for node in 0..4 {
        assert_eq!(remembered(&world, node, guests), 0, "n{node}");
        assert!(names(20..30).all(|name| !has(&world, node, guests, &name)), "a removal wins at n{node}");
    }
}

#[test]
fn scenario_14_who_joins_while_others_leave_is_waited_for_and_who_left_is_not() {
    // On one side of a partition somebody leaves, on the other somebody joins, and a third joins by who has just joined.
    let options = NodeOptions { forgetting: FORGETTING, ..NodeOptions::default() };
    let mut world = World::with_options((0..6).map(|_| options.clone()), 54);
    let [left, right, new] = [[0, 1], [2, 3], [4, 5]];
    for (node, known) in [(1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2)] {
        world.befriend(node, known);
    }
    let set = |world: &mut World, state| {
        for (a, b) in left.iter().flat_map(|a| right.iter().chain(&new).map(move |b| (*a, *b))) {
            world.set_link(a, b, state);
        }
    };
    for (a, b) in left.iter().chain(&right).flat_map(|a| new.map(|b| (*a, b))) {
        world.set_link(a, b, LinkState::Cut);
    }
    world.set_link(4, 5, LinkState::Cut);
    let guests = world.open::<Guests>(0, "guests");
    world.update::<Guests, _>(0, guests, |guests| guests.extend(names(0..40)));
    world.run_for(3_000);
    open(&mut world);
    remove(&mut world, 0, guests, 0..5);
    world.run_for(10_000);
    assert_eq!(remembered(&world, 3, guests), 0, "four members know of it");

    set(&mut world, LinkState::Cut);
    world.call(1, |engine, now| engine.leave(now));
    world.set_link(2, 4, LinkState::Up);
    world.befriend(4, 2);
    world.run_for(3_000);
    // The right side loses a member too, after it let somebody in.
    world.call(3, |engine, now| engine.leave(now));
    world.set_link(4, 5, LinkState::Up);
    world.befriend(5, 4);
    world.run_for(3_000);
    for node in [4, 5] {
        world.open::<Guests>(node, "guests");
        world.update::<Guests, _>(node, guests, |guests| guests.extend(names(20..30)));
    }
    remove(&mut world, 0, guests, 20..30);
    world.run_for(30_000);
    assert_eq!(remembered(&world, 0, guests), 10, "the other side has not heard of it");

    [1, 3].into_iter().for_each(|gone| world.crash(gone, true, 0));
    set(&mut world, LinkState::Up);
    for (a, b) in [(4, 0), (5, 0), (5, 2)] {
        world.set_link(b, a, LinkState::Up);
        world.befriend(a, b);
    }
    world.run_until_agreed(60_000);
    world.run_for(60_000);
    for node in [0, 2, 4, 5] {
        let of = |other| world.engine(node).membership(world.peer(other));
        assert_eq!([1, 3].map(of), [Some(Membership::Released); 2], "n{node}");
        assert!([0, 2, 4, 5].map(of).iter().all(|state| *state == Some(Membership::Member)), "n{node}");
        assert_eq!(remembered(&world, node, guests), 0, "n{node}");
        assert!(names(20..30).all(|name| !has(&world, node, guests, &name)), "a removal wins at n{node}");
    }
}

#[test]
fn what_members_have_acknowledged_is_known_after_a_restart() {
    let (mut world, guests) = world(2, FORGETTING);
    remove(&mut world, 0, guests, 0..5);
    // It is not written down all the time.
    world.run_for(70_000);
    let stable = world.engine(0).document_status(guests).unwrap().stable;
    assert!(!stable.is_empty());
    world.crash(1, true, 0);
    world.run_for(5_000);
    world.crash(0, true, 0);
    world.start(0);
    assert_eq!(world.engine(0).document_status(guests).unwrap().stable, stable);
}

#[test]
fn a_silent_member_is_released_if_most_others_can_be_heard_and_two_never_release_each_other() {
    let forgetting = Forgetting { silence: Some(30_000), ..FORGETTING };
    let (mut alone, guests) = world(2, forgetting);
    remove(&mut alone, 0, guests, 0..5);
    alone.run_for(5_000);
    alone.set_link(0, 1, LinkState::Cut);
    remove(&mut alone, 0, guests, 10..20);
    alone.run_for(100_000);
    assert_eq!(alone.engine(0).membership(alone.peer(1)), Some(Membership::Member));
    assert_eq!(remembered(&alone, 0, guests), 10);

    let (mut world, guests) = world(3, forgetting);
    remove(&mut world, 0, guests, 0..5);
    world.run_for(5_000);
    world.crash(2, true, 0);
    remove(&mut world, 0, guests, 10..20);
    world.run_for(20_000);
    assert_eq!(remembered(&world, 0, guests), 10);
    world.run_for(30_000);
    assert_eq!(world.engine(0).membership(world.peer(2)), Some(Membership::Released));
    assert_eq!(remembered(&world, 0, guests), 0);
}

#[test]
fn how_long_a_silent_member_is_waited_for_is_said_once_for_all() {
    let day = 86_400_000;
    let (mut world, guests) = world(4, Forgetting { silence: Some(30 * day), ..FORGETTING });
    assert_eq!(world.engine(2).retention(), Some(30 * day));
    assert!(world.call(2, |engine, now| engine.set_retention(now, Some(30_000))).unwrap());
    world.run_for(5_000);
    let everywhere = |world: &World, silence| (0..4).all(|node| world.engine(node).retention() == silence);
    assert!(everywhere(&world, Some(30_000)), "also who wants to wait longer goes by it");
    // It stands on the disk of each, and the later word counts.
    world.crash(1, true, 0);
    world.start(1);
    assert!(everywhere(&world, Some(30_000)));
    assert!(world.call(0, |engine, now| engine.set_retention(now, None)).unwrap());
    world.run_for(5_000);
    assert!(everywhere(&world, None));
    open(&mut world);

    remove(&mut world, 0, guests, 0..5);
    world.run_for(5_000);
    world.crash(3, true, 0);
    remove(&mut world, 0, guests, 10..20);
    world.run_for(200_000);
    assert_eq!(world.engine(0).membership(world.peer(3)), Some(Membership::Member), "for ever");
    assert_eq!(remembered(&world, 0, guests), 10);
    assert!(world.call(1, |engine, now| engine.set_retention(now, Some(30_000))).unwrap());
    world.run_for(60_000);
    for node in 0..3 {
        assert_eq!(world.engine(node).membership(world.peer(3)), Some(Membership::Released), "n{node}");
        assert_eq!(remembered(&world, node, guests), 0, "n{node}");
    }
    world.call(2, |engine, now| engine.leave(now));
    assert!(!world.call(2, |engine, now| engine.set_retention(now, None)).unwrap(), "it has left");
}

#[test]
fn who_leaves_is_not_waited_for() {
    let (mut world, guests) = world(3, FORGETTING);
    remove(&mut world, 0, guests, 0..5);
    world.run_for(5_000);
    world.call(2, |engine, now| engine.leave(now));
    world.run_for(3_000);
    assert_eq!(world.engine(0).membership(world.peer(2)), Some(Membership::Released));
    world.crash(2, true, 0);
    remove(&mut world, 0, guests, 10..20);
    world.run_for(10_000);
    assert_eq!((remembered(&world, 0, guests), remembered(&world, 1, guests)), (0, 0));
    // It does not come back by being started.
    world.start(2);
    world.run_for(5_000);
    assert_eq!(world.engine(0).membership(world.peer(2)), Some(Membership::Released));
}

#[test]
fn recent_changes_that_all_members_have_are_not_kept() {
    let (mut world, guests) = world(3, FORGETTING);
    remove(&mut world, 0, guests, 0..5);
    world.run_for(8_000);
    for node in 0..3 {
        assert_eq!(world.engine(node).garbage(guests).unwrap().history_bytes, 0, "n{node}");
    }
    world.set_link(0, 2, LinkState::Cut);
    world.set_link(1, 2, LinkState::Cut);
    world.update::<Guests, _>(0, guests, |guests| guests.add("somebody new"));
    world.run_for(8_000);
    assert!(world.engine(1).garbage(guests).unwrap().history_bytes > 0, "the third lacks it");
    world.set_link(1, 2, LinkState::Up);
    world.set_link(0, 2, LinkState::Up);
    world.run_until_agreed(10_000);
    world.run_for(8_000);
    assert_eq!(world.engine(1).garbage(guests).unwrap().history_bytes, 0);
}

#[test]
fn who_answers_a_question_has_not_acknowledged_what_it_was_asked_for() {
    // It names what was asked, and not what it wrote itself: whoever takes that for all it holds forgets too soon.
    for timing in (0..1_000).step_by(20) {
        let (mut world, guests) = world(2, Forgetting { pause: 300, ..FORGETTING });
        remove(&mut world, 0, guests, 0..5);
        world.run_for(5_000 + timing);
        world.update::<Guests, _>(1, guests, |guests| {
            guests.extend(names(20..30).chain(["x".repeat(300_000)]))
        });
        world.set_bandwidth(0, 1, 100);
        let batch = remove(&mut world, 0, guests, 20..30);
        world.call(0, |engine, now| {
            let version = engine.document_status(guests).unwrap().version;
            let written = Written { doc: guests, version, batch, replica: engine.replica() };
            engine.wait_for_copies(now, written, 1)
        });
        world.run_for(6_000);
        world.set_bandwidth(0, 1, 10_000);
        world.run_until_agreed(30_000);
        assert!(names(20..30).all(|name| !has(&world, 0, guests, &name)), "a removal wins, {timing}");
    }
}

#[test]
fn members_that_meet_only_by_another_do_not_release_each_other_again_and_again() {
    let forgetting = Forgetting { silence: Some(10_000), ..FORGETTING };
    let (mut world, guests) = world(3, forgetting);
    remove(&mut world, 0, guests, 0..5);
    world.run_for(5_000);
    world.set_link(0, 2, LinkState::Cut);
    world.run_for(60_000);
    let events = |world: &World| {
        let version = world.engine(1).document_status(DocId::MEMBERS).unwrap().version;
        version.iter().map(|(_, last)| last).sum::<u64>()
    };
    let before = events(&world);
    world.run_for(60_000);
    assert!(events(&world) - before <= 2 * 2 * 7, "{} in a minute", events(&world) - before);
}

#[test]
fn who_leaves_before_anybody_has_asked_is_not_waited_for_and_may_come_back() {
    let (mut world, guests) = world(3, FORGETTING);
    world.call(2, |engine, now| engine.leave(now));
    world.run_for(3_000);
    world.crash(2, true, 0);
    remove(&mut world, 0, guests, 10..20);
    world.run_for(10_000);
    assert_eq!((remembered(&world, 0, guests), remembered(&world, 1, guests)), (0, 0));
    world.start(2);
    world.run_for(3_000);
    assert!(world.engine(2).has_left());
    world.crash(2, true, 0);
    world.join_again(2);
    world.start(2);
    world.run_for(3_000);
    assert_eq!(world.engine(0).membership(world.peer(2)), Some(Membership::Member));
}

#[test]
fn if_the_first_has_not_opened_a_document_the_next_sweeps_it() {
    let (mut world, guests) = world(3, FORGETTING);
    for node in [0, 1, 2] {
        remove(&mut world, node, guests, node as u32..node as u32 + 1);
    }
    world.run_for(2_000);
    let first = (0..3).min_by_key(|node| world.peer(*node)).unwrap();
    world.crash(first, true, 0);
    world.start(first);
    world.run_until_agreed(10_000);
    let other = (first + 1) % 3;
    remove(&mut world, other, guests, 10..20);
    world.run_for(20_000);
    assert_eq!(remembered(&world, other, guests), 0);
}

/// Three in a row, of which the ends never meet, and the one between has not opened what they write.
fn in_a_row(forgetting: Forgetting) -> (World, DocId) {
    let options = NodeOptions { forgetting, ..NodeOptions::default() };
    let mut world = World::with_options((0..3).map(|_| options.clone()), 57);
    world.set_link(0, 2, LinkState::Cut);
    world.befriend(0, 1);
    world.befriend(2, 1);
    world.run_for(3_000);
    let guests = world.open::<Guests>(0, "guests");
    world.update::<Guests, _>(0, guests, |guests| guests.extend(names(0..40)));
    world.run_until_agreed(10_000);
    world.open::<Guests>(2, "guests");
    (world, guests)
}

#[test]
fn who_never_meets_all_members_hears_by_others_what_they_know() {
    let (mut world, guests) = in_a_row(FORGETTING);
    remove(&mut world, 0, guests, 0..10);
    world.run_for(2_000);
    remove(&mut world, 2, guests, 10..20);
    world.run_for(90_000);
    for node in [0, 2] {
        assert_eq!(world.read::<Guests, _>(node, guests, |guests| guests.len()), 20);
        assert_eq!(remembered(&world, node, guests), 0, "n{node}");
    }
    assert!(world.agrees());
}

#[test]
fn what_who_is_not_met_does_not_know_is_not_forgotten() {
    let (mut world, guests) = in_a_row(FORGETTING);
    world.set_link(1, 2, LinkState::Cut);
    world.update::<Guests, _>(2, guests, |guests| guests.extend(names(0..5)));
    remove(&mut world, 0, guests, 0..10);
    world.run_for(60_000);
    assert_eq!(remembered(&world, 0, guests), 10, "the third has not heard of it");
    world.set_link(1, 2, LinkState::Up);
    world.run_until_agreed(30_000);
    world.run_for(90_000);
    for node in [0, 2] {
        assert_eq!(remembered(&world, node, guests), 0, "n{node}");
        assert!(names(0..10).all(|name| !has(&world, node, guests, &name)), "a removal wins at n{node}");
    }
}

#[test]
fn who_is_heard_of_by_others_is_not_released() {
    let silence = Some(60_000);
    let (mut world, guests) = in_a_row(Forgetting { silence, ..FORGETTING });
    remove(&mut world, 0, guests, 0..10);
    world.run_for(300_000);
    for (node, other) in [(0, 2), (2, 0)] {
        assert_eq!(world.engine(node).membership(world.peer(other)), Some(Membership::Member));
    }
    // Of whom nobody hears it is.
    world.set_link(1, 2, LinkState::Cut);
    world.run_for(120_000);
    assert_eq!(world.engine(0).membership(world.peer(2)), Some(Membership::Released));
}

#[test]
fn who_hears_of_nobody_does_not_keep_others_from_being_released() {
    let silence = Some(60_000);
    let options = NodeOptions { forgetting: Forgetting { silence, ..FORGETTING }, ..NodeOptions::default() };
    let mut world = World::with_options((0..5).map(|_| options.clone()), 58);
    world.connect_all();
    let guests = world.open::<Guests>(0, "guests");
    world.update::<Guests, _>(0, guests, |guests| guests.extend(names(0..40)));
    world.run_until_agreed(10_000);
    remove(&mut world, 0, guests, 0..10);
    world.run_for(5_000);
    // The last but one is gone. The last hears the first alone: it hears too few to count for how long anybody is silent.
    [0, 1, 2, 4].into_iter().for_each(|node| world.set_link(3, node, LinkState::Cut));
    [1, 2].into_iter().for_each(|node| world.set_link(4, node, LinkState::Cut));
    world.crash(4, true, 0);
    world.start(4);
    world.run_for(150_000);
    assert_eq!(world.engine(0).membership(world.peer(3)), Some(Membership::Released));
    assert_eq!(world.engine(0).membership(world.peer(4)), Some(Membership::Member));
}
