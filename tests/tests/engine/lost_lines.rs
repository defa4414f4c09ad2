//! Frames are lost, doubled or late within a session: what then is known of lines.

use tombolo_crdt::AddWinsSet;
use tombolo_sync::DocId;
use tombolo_sync::engine::wire::Frame;
use tombolo_tests::sim::{FrameWeather, LinkState, World};

type Words = AddWinsSet<String>;
/// How many marks a line has, and those that are kept, as it is written.
type Marks = (u64, Vec<(u64, [u8; 8])>);

fn add(world: &mut World, node: usize, doc: DocId, word: &str) {
    world.update::<Words, _>(node, doc, |words| words.add(word.to_owned()));
}

fn restart(world: &mut World, node: usize) {
    world.crash(node, true, 0);
    world.start(node);
    world.open::<Words>(node, "words");
}

fn said(world: &mut World, node: usize) -> Vec<String> {
    let doc = world.open::<Words>(node, "words");
    world.read::<Words, _>(node, doc, |words| words.iter().cloned().collect())
}

fn lines(world: &World) -> usize {
    world
        .sent()
        .iter()
        .filter(|sent| sent.from == 0 && sent.to == 1 && matches!(sent.frame, Frame::Line { .. }))
        .count()
}

/// The line of its first mark is lost, that of the second comes; then it leaves 40 marks elsewhere.
fn after_forty_marks(loses: bool) {
    let mut world = World::new(3, 900);
    world.connect_all();
    let doc = world.open::<Words>(1, "words");
    add(&mut world, 1, doc, "first");
    world.run_until_agreed(5_000);
    world.open::<Words>(0, "words");
    world.run_for(3_000);
    world.record();
    if loses {
        world.frames = FrameWeather { loss: 100, ..FrameWeather::default() };
    }
    add(&mut world, 0, doc, "mark 0");
    world.run_for(300);
    world.frames = FrameWeather::default();
    world.run_until_agreed(10_000);
    world.run_for(61_000);
    add(&mut world, 0, doc, "mark 1");
    world.run_until_agreed(10_000);
    assert_eq!(lines(&world), 2, "one session, two lines");
    world.set_link(0, 1, LinkState::Cut);
    world.set_link(1, 2, LinkState::Cut);
    for mark in 2..42 {
        restart(&mut world, 0);
        assert!(world.run_until(20_000, |world| world.ready(0).contains(&2)).is_some());
        world.run_for(2_000);
        add(&mut world, 0, doc, &format!("mark {mark}"));
        world.run_for(500);
    }
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(60_000);
}

#[test]
fn honest_nodes_go_on_after_forty_marks() {
    after_forty_marks(false);
}

#[test]
fn a_line_that_was_lost_in_a_session_does_not_part_honest_nodes_for_ever() {
    after_forty_marks(true);
}

/// A fork as in `forks.rs`, where the line of the one mark that tells it was lost, or a doubled welcome made the peer forget it.
fn a_fork(loses: bool, doubles: bool) {
    let mut world = World::new(2, 901);
    world.expect_set_back();
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    add(&mut world, 0, doc, "first");
    world.run_until_agreed(5_000);
    world.open::<Words>(1, "words");
    let image = world.disk(0).store.image();
    world.record();
    restart(&mut world, 0);
    world.run_until_agreed(20_000);
    world.run_for(3_000);
    if loses {
        world.frames = FrameWeather { loss: 100, ..FrameWeather::default() };
    }
    add(&mut world, 0, doc, "b1");
    world.run_for(300);
    world.frames = FrameWeather::default();
    // No later than the simulator has frames come late.
    if doubles {
        let welcome =
            world.sent().iter().rev().find(|sent| sent.from == 0 && matches!(sent.frame, Frame::Welcome(_)));
        let frame = welcome.unwrap().frame.clone();
        world.forge_frame(0, 1, &frame);
    }
    world.run_until_agreed(10_000);
    world.run_for(61_000);
    add(&mut world, 0, doc, "b2");
    world.run_until_agreed(10_000);
    assert_eq!(lines(&world), 2, "one session, two lines");
    world.set_link(0, 1, LinkState::Cut);
    world.run_for(500);
    world.set_back(0, image);
    world.open::<Words>(0, "words");
    add(&mut world, 0, doc, "c1");
    world.run_for(1_000);
    restart(&mut world, 0);
    world.run_for(1_000);
    world.set_link(0, 1, LinkState::Up);
    world.run_for(30_000);
    for node in 0..2 {
        assert_eq!(said(&mut world, node), ["b1", "b2", "c1", "first"], "n{node}: {:?}", world.overtaken);
    }
    world.run_until_agreed(90_000);
}

#[test]
fn a_fork_is_found_after_lines_that_came() {
    a_fork(false, false);
}

#[test]
fn a_fork_is_found_after_a_line_that_was_lost() {
    a_fork(true, false);
}

#[test]
fn a_fork_is_found_after_a_welcome_that_came_twice() {
    a_fork(false, true);
}

/// A welcome under the id before comes twice, after the one under the id it goes by now.
#[test]
fn a_welcome_under_a_former_id_that_comes_late_does_not_take_a_peer_back_to_it() {
    use tombolo_sync::store::Store as _;
    let mut world = World::new(2, 902);
    world.expect_set_back();
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    add(&mut world, 0, doc, "first");
    world.run_until_agreed(5_000);
    let image = world.disk(0).store.image();
    restart(&mut world, 0);
    world.run_until_agreed(20_000);
    add(&mut world, 0, doc, "b1");
    world.run_until_agreed(20_000);
    world.set_link(0, 1, LinkState::Cut);
    world.run_for(500);
    let before = world.engine(0).replica();
    world.set_back(0, image);
    world.open::<Words>(0, "words");
    world.record();
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(20_000);
    assert_ne!(world.engine(0).replica(), before);
    let welcomes: Vec<Frame> = world
        .sent()
        .iter()
        .filter(|sent| sent.from == 0 && matches!(sent.frame, Frame::Welcome(_)))
        .map(|sent| sent.frame.clone())
        .collect();
    assert_eq!(welcomes.len(), 2, "one session, two ids");
    world.forge_frame(0, 1, &welcomes[0]);
    for word in ["d1", "d2", "d3"] {
        add(&mut world, 0, doc, word);
        world.run_until_agreed(20_000);
        world.run_for(61_000);
    }
    let records = world.disk(1).store.records("line/").unwrap();
    let (replica, line): (tombolo_crdt::ReplicaId, Marks) = rmp_serde::from_slice(&records[0].1).unwrap();
    assert_eq!((replica, line.0), (world.engine(0).replica(), 3));
}

/// How many bytes each welcome of the first took since it is recorded.
fn welcomes(world: &World) -> Vec<usize> {
    let is_welcome = |frame: &Frame| matches!(frame, Frame::Welcome(_));
    world
        .sent()
        .iter()
        .filter(|sent| sent.from == 0 && is_welcome(&sent.frame))
        .map(|sent| sent.bytes)
        .collect()
}

/// The session ends, and another begins; what the first says of itself takes so many bytes.
fn meet_again(world: &mut World) -> Vec<usize> {
    world.set_link(0, 1, LinkState::Cut);
    world.run_for(500);
    world.record();
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(60_000);
    world.run_for(3_000);
    welcomes(world)
}

#[test]
fn marks_that_a_peer_is_known_to_have_heard_are_not_told_again() {
    let mut world = World::new(2, 903);
    world.expect_set_back();
    world.connect_all();
    let doc = world.open::<Words>(1, "words");
    add(&mut world, 1, doc, "first");
    world.run_until_agreed(5_000);
    let image = world.disk(1).store.image();
    for mark in 0..40 {
        restart(&mut world, 0);
        world.run_until_agreed(20_000);
        add(&mut world, 0, doc, &format!("mark {mark}"));
        world.run_until_agreed(20_000);
    }
    let few = meet_again(&mut world);
    assert!(few.len() == 1 && few[0] < 150, "{few:?}");
    // Who was started anew does not know what anybody has heard.
    world.record();
    restart(&mut world, 0);
    world.run_until_agreed(60_000);
    let all = welcomes(&world);
    assert!(all.len() == 1 && all[0] > 400, "{all:?}");
    // Marks that were left since are among the few.
    add(&mut world, 0, doc, "one more");
    world.run_until_agreed(20_000);
    let few = meet_again(&mut world);
    assert!(few.len() == 1 && few[0] < 150, "{few:?}");
    // And who has been set back asks for all.
    world.set_link(0, 1, LinkState::Cut);
    world.run_for(500);
    world.set_back(1, image);
    world.open::<Words>(1, "words");
    world.record();
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(60_000);
    let both = welcomes(&world);
    assert!(both.len() == 2 && both[0] < 150 && both[1] > 400, "{both:?}");
    let few = meet_again(&mut world);
    assert!(few.len() == 1 && few[0] < 150, "{few:?}");
}

/// A welcome that tells the rest of a line is lost, doubled or comes late like any other frame.
#[test]
fn all_agree_whatever_becomes_of_welcomes_that_tell_the_rest() {
    let mut world = World::new(2, 904);
    world.connect_all();
    let doc = world.open::<Words>(1, "words");
    add(&mut world, 1, doc, "first");
    world.run_until_agreed(5_000);
    world.open::<Words>(0, "words");
    for mark in 0..40 {
        add(&mut world, 0, doc, &format!("mark {mark}"));
        world.run_until_agreed(20_000);
        if mark % 7 == 0 {
            restart(&mut world, 0);
            world.run_until_agreed(20_000);
        }
        world.frames = FrameWeather { loss: 20, duplicates: 20, late: 20 };
        world.set_link(0, 1, LinkState::Cut);
        world.run_for(500);
        world.set_link(0, 1, LinkState::Up);
        world.run_for(2_000);
        world.frames = FrameWeather::default();
        world.run_until_agreed(30_000);
    }
    assert!(world.overtaken.is_empty(), "{:?}", world.overtaken);
}

/// Both are set back, and write something else; then one of them is set back to what it knew before that. It knows as many marks as it has
/// said to have heard from the other, which has run all the time, but not the same.
#[test]
fn a_fork_is_found_where_a_peer_knows_as_many_marks_as_it_was_told_and_others() {
    let mut world = World::new(2, 902);
    world.expect_set_back();
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    add(&mut world, 0, doc, "first");
    world.run_until_agreed(5_000);
    world.open::<Words>(1, "words");
    world.run_for(3_000);
    let before = [world.disk(0).store.image(), world.disk(1).store.image()];
    restart(&mut world, 0);
    world.run_until_agreed(20_000);
    world.run_for(3_000);
    add(&mut world, 0, doc, "one");
    world.run_until_agreed(10_000);
    world.run_for(3_000);
    let known = world.disk(1).store.image();
    // As if that had never been.
    let [first, second] = before;
    world.set_link(0, 1, LinkState::Cut);
    world.set_back(0, first);
    world.set_back(1, second);
    world.set_link(0, 1, LinkState::Up);
    for node in 0..2 {
        world.open::<Words>(node, "words");
    }
    world.run_until_agreed(20_000);
    world.run_for(3_000);
    add(&mut world, 0, doc, "another");
    world.run_until_agreed(10_000);
    world.run_for(3_000);
    // It says so when they meet again.
    world.set_link(0, 1, LinkState::Cut);
    world.run_for(500);
    world.set_link(0, 1, LinkState::Up);
    world.run_until_agreed(10_000);
    world.run_for(3_000);
    assert_eq!(said(&mut world, 1), ["another", "first"]);
    assert!(world.overtaken.is_empty(), "nothing told of it yet: {:?}", world.overtaken);
    world.set_back(1, known);
    world.open::<Words>(1, "words");
    world.run_for(30_000);
    assert!(!world.overtaken.is_empty(), "{:?} {:?}", said(&mut world, 0), said(&mut world, 1));
}
