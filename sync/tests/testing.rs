//! What `tombolo_sync::testing` promises to authors of tests.

use std::time::Duration;

use tombolo_crdt::{AddWinsSet, Crdt, Delta, DotStore as _, Limits, Plain, PnCounter, Replica, ReplicaId};
use tombolo_sync::NotMerged;
use tombolo_sync::engine::{Event, OpenError, Origin, UpdateError};
use tombolo_sync::testing::{Clock, Document, Network, NodeId, NotEqual, Watch, Weather};

#[derive(Crdt)]
struct Board {
    #[crdt(lww)]
    title: String,
    visits: PnCounter,
    labels: AddWinsSet<String>,
}

const SOON: Duration = Duration::from_secs(10);
const LATER: Duration = Duration::from_secs(60);
const A_MOMENT: Duration = Duration::from_millis(100);

/// Three nodes that are connected and have the same board.
fn three(seed: u64) -> (Network, [NodeId; 3], Document<Board>) {
    let mut net = Network::new(seed);
    let nodes = net.nodes(["ann", "bob", "cem"]);
    let board = net.open::<Board>(nodes[0], "board");
    net.run_until_equal(SOON).expect("nothing is in the way");
    (net, nodes, board)
}

fn visits(net: &Network, node: NodeId, board: &Document<Board>) -> i64 {
    net.read(node, board, |board| board.visits.value())
}

fn panics(f: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).expect_err("it must panic");
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .expect("a message")
}

#[test]
fn what_one_writes_all_read() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, cem], board) = three(1);
    let commit = net.update(ann, &board, |board| {
        board.visits().inc(3);
        "done"
    });
    assert_eq!(*commit.value(), "done");
    assert_eq!(visits(&net, ann, &board), 3, "a write is visible at once");
    assert_eq!(visits(&net, bob, &board), 0, "and elsewhere when time has passed");
    let took = net.run_until_equal(SOON)?;
    assert!(took > Duration::ZERO && took < Duration::from_secs(1), "{took:?}");
    net.assert_converged();
    for node in [ann, bob, cem] {
        assert_eq!(visits(&net, node, &board), 3);
        assert_eq!(net.version(node, &board), *commit.version());
        let listed = net.list(node);
        assert_eq!(listed.iter().map(|listed| listed.name.as_str()).collect::<Vec<_>>(), ["board"]);
        assert_eq!(listed[0].id, board.id());
    }
    // Who has not opened it opens it by writing.
    net.update(cem, &board, |board| board.visits().inc(1));
    net.run_until_equal(SOON)?;
    assert_eq!(visits(&net, ann, &board), 4);
    Ok(())
}

#[test]
fn both_sides_of_a_partition_go_on_and_come_together() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, cem], board) = three(2);
    net.partition(&[&[ann], &[bob, cem]]);
    net.update(ann, &board, |board| board.labels().add("hers"));
    net.update(bob, &board, |board| board.labels().add("his"));
    net.run_for(Duration::from_secs(5));
    let labels = |net: &Network, node| {
        net.read(node, &board, |board| {
            board.labels.iter().cloned().collect::<std::collections::BTreeSet<_>>()
        })
    };
    assert_eq!(labels(&net, ann), ["hers".to_owned()].into());
    assert_eq!(labels(&net, cem), ["his".to_owned()].into(), "within a group links carry");
    assert_eq!(net.status(ann).peers.iter().filter(|peer| peer.connected).count(), 0);
    // Other groups: what was cut within one carries again.
    net.partition(&[&[ann, bob], &[cem]]);
    net.run_for(SOON);
    assert_eq!(labels(&net, ann).len(), 2);
    assert_eq!(labels(&net, cem).len(), 1);
    net.restore_all();
    net.run_until_equal(SOON)?;
    assert_eq!(labels(&net, cem).len(), 2);
    Ok(())
}

#[test]
fn a_node_must_be_in_one_group() {
    let (mut net, [ann, bob, cem], _) = three(3);
    assert!(panics(|| net.partition(&[&[ann], &[bob]])).contains("cem is in 0 groups"));
    assert!(panics(|| net.partition(&[&[ann, bob], &[bob, cem]])).contains("bob is in 2 groups"));
}

#[test]
fn a_cut_link_is_gone_around() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, cem], board) = three(4);
    net.cut(ann, bob);
    net.update(ann, &board, |board| board.visits().inc(1));
    net.run_until_equal(SOON)?;
    assert_eq!(visits(&net, bob, &board), 1, "over cem");
    net.cut(ann, cem);
    net.update(ann, &board, |board| board.visits().inc(1));
    let not_equal = net.run_until_equal(SOON).expect_err("ann is alone");
    assert_eq!(not_equal.lacks.iter().map(|lack| lack.node).collect::<Vec<_>>(), [bob, cem]);
    net.restore(ann, cem);
    net.run_until_equal(SOON)?;
    assert_eq!(visits(&net, bob, &board), 2);
    Ok(())
}

#[test]
fn a_silent_direction_swallows_and_the_other_carries() -> Result<(), NotEqual> {
    let mut net = Network::new(5);
    let [ann, bob] = net.nodes(["ann", "bob"]);
    let board = net.open::<Board>(ann, "board");
    net.run_until_equal(SOON)?;
    net.silence(ann, bob);
    net.update(ann, &board, |board| board.visits().inc(1));
    net.update(bob, &board, |board| board.visits().inc(10));
    net.run_for(Duration::from_millis(300));
    assert_eq!(visits(&net, bob, &board), 10, "nothing comes from ann");
    assert_eq!(visits(&net, ann, &board), 11, "what bob sends arrives");
    net.restore(ann, bob);
    net.run_until_equal(LATER)?;
    assert_eq!(visits(&net, bob, &board), 11);
    Ok(())
}

#[test]
fn without_any_gossip_all_converge() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, cem], board) = three(6);
    net.weather(Weather::fair().gossip(0));
    for _ in 0..20 {
        for node in [ann, bob, cem] {
            net.update(node, &board, |board| board.visits().inc(1));
        }
        net.run_for(Duration::from_millis(20));
    }
    net.run_until_equal(SOON)?;
    assert_eq!(visits(&net, cem, &board), 60);
    let since = net.trace().iter().skip_while(|line| !line.contains("the weather is"));
    assert!(since.clone().count() > 100);
    assert_eq!(since.filter(|line| line.contains("gossip of")).count(), 0, "none arrived");
    assert!(net.sent().payloads > 0, "though some was sent");
    Ok(())
}

#[test]
fn in_any_weather_all_converge() -> Result<(), NotEqual> {
    for seed in 0..10 {
        let (mut net, [ann, bob, cem], board) = three(seed);
        let slow = Duration::from_millis(20)..=Duration::from_millis(60);
        net.weather(Weather::fair().loss(10).duplicates(10).late(20).gossip(50).latency(slow));
        for round in 0..20 {
            let node = [ann, bob, cem][round % 3];
            net.update(node, &board, |board| board.labels().add(format!("{seed}-{round}")));
            net.run_for(Duration::from_millis(30));
        }
        assert!(net.trace().iter().any(|line| line.contains("a frame is lost")));
        net.run_until_equal(LATER)?;
        assert_eq!(net.read(cem, &board, |board| board.labels.len()), 20);
    }
    Ok(())
}

#[test]
fn latency_is_as_asked_for() {
    let (mut net, nodes, board) = three(7);
    net.run_for(SOON);
    net.weather(Weather::fair().latency(Duration::from_millis(400)..=Duration::from_millis(400)));
    net.update(nodes[0], &board, |board| board.visits().inc(1));
    let all_have_it = |net: &Network| nodes.iter().all(|node| visits(net, *node, &board) == 1);
    let took = net.run_until(SOON, all_have_it).expect("it arrives");
    assert!(took >= Duration::from_millis(400) && took < Duration::from_millis(450), "{took:?}");
    assert_eq!(net.run_until(A_MOMENT, |net| !all_have_it(net)), None);
}

#[test]
fn a_crash_loses_exactly_what_was_not_durable() -> Result<(), NotEqual> {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..120 {
        let (mut net, [ann, bob, cem], board) = three(seed);
        net.partition(&[&[ann], &[bob, cem]]);
        let mut commits = Vec::new();
        for nth in 0..40 {
            // One after the other at first, and then all at once.
            net.run_for(Duration::from_millis(if nth < seed / 3 { seed % 3 } else { 0 }));
            commits.push(net.update(ann, &board, |board| board.visits().inc(1)));
        }
        net.crash(ann);
        assert!(!net.is_running(ann));
        let durable = commits.iter().filter(|commit| commit.is_durable()).count();
        assert!(commits.iter().all(|commit| commit.is_durable() != commit.is_lost()));
        // What is durable is what was written first.
        assert!(commits.iter().take(durable).all(|commit| commit.is_durable()));
        assert!(durable < 40, "the last was not on the disk yet");
        net.start(ann);
        assert_eq!(visits(&net, ann, &board), durable as i64, "seed {seed}");
        net.restore_all();
        net.run_until_equal(SOON)?;
        assert_eq!(visits(&net, bob, &board), durable as i64);
        seen.insert(durable);
    }
    assert!(seen.len() > 20 && seen.contains(&0), "they crash at different moments: {seen:?}");
    Ok(())
}

#[test]
fn a_node_that_is_down_does_nothing_and_does_not_count() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, cem], board) = three(8);
    net.crash(bob);
    net.crash(bob);
    assert!(panics(|| _ = net.update(bob, &board, |board| board.visits().inc(1))).contains("bob is down"));
    assert!(panics(|| _ = net.read(bob, &board, |board| board.visits.value())).contains("bob is down"));
    net.update(ann, &board, |board| board.visits().inc(1));
    net.run_until_equal(SOON)?;
    assert_eq!(visits(&net, cem, &board), 1);
    net.crash(ann);
    net.crash(cem);
    assert!(panics(|| net.assert_converged()).contains("no node runs"));
    net.start(ann);
    net.start(cem);
    net.start(bob);
    net.start(bob);
    net.run_until_equal(SOON)?;
    assert_eq!(visits(&net, bob, &board), 1);
    Ok(())
}

#[test]
fn what_a_failing_disk_refuses_is_undone() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, _], board) = three(9);
    net.disk_fails(ann, true);
    let refused = net.update(ann, &board, |board| board.visits().inc(1));
    net.run_for(A_MOMENT);
    assert!(refused.is_lost());
    assert_eq!(visits(&net, ann, &board), 0);
    // It goes on failing after a crash.
    net.crash(ann);
    net.start(ann);
    let refused = net.update(ann, &board, |board| board.visits().inc(1));
    net.run_for(A_MOMENT);
    assert!(refused.is_lost());
    let undone = |event: &Event| matches!(event, Event::Changed { origin: Origin::Undone, .. });
    assert!(net.events(ann).iter().any(undone));
    net.disk_fails(ann, false);
    net.run_for(SOON);
    let taken = net.update(ann, &board, |board| board.visits().inc(1));
    net.run_until_equal(SOON)?;
    assert!(taken.is_durable());
    assert_eq!(visits(&net, bob, &board), 1);
    Ok(())
}

#[test]
fn whoever_watches_is_told_what_becomes_different() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, cem], board) = three(22);
    let mut shown = Vec::new();
    for node in [ann, bob, cem] {
        let (view, watch) = net.watch(node, &board, |board| board.plain());
        shown.push((node, view, watch));
    }
    let show = |net: &mut Network, shown: &mut Vec<(NodeId, Plain, Watch<Board>)>| {
        let mut origins = Vec::new();
        for (node, view, watch) in shown {
            for step in net.steps(watch) {
                step.apply_to(view).expect("it fits");
                origins.push((*node, step.origin));
            }
            assert_eq!(*view, net.read(*node, &board, |board| board.plain()));
        }
        origins
    };
    net.update(ann, &board, |board| board.labels().add("late"));
    assert_eq!(show(&mut net, &mut shown), [(ann, Origin::Local)]);
    net.run_until_equal(SOON)?;
    let origins = show(&mut net, &mut shown);
    assert!(
        matches!(origins[..], [(to, Origin::Peer(_)), (too, Origin::Peer(_))] if (to, too) == (bob, cem))
    );
    net.disk_fails(bob, true);
    net.update(bob, &board, |board| board.visits().inc(1));
    net.run_for(A_MOMENT);
    assert_eq!(show(&mut net, &mut shown), [(bob, Origin::Local), (bob, Origin::Undone)]);
    net.disk_fails(bob, false);
    net.run_for(SOON);
    // Who ends is told nothing any more.
    net.crash(cem);
    let (_, _, watch) = shown.pop().expect("there are three");
    net.start(cem);
    net.update(ann, &board, |board| board.visits().inc(1));
    net.delete(ann, &board);
    net.run_until_equal(SOON)?;
    assert!(net.steps(&watch).is_empty());
    assert!(show(&mut net, &mut shown).len() >= 3);
    Ok(())
}

/// What ships with the application.
fn template() -> Vec<u8> {
    let mut template = Replica::<Board>::new(ReplicaId::from_bytes([9; 16]));
    let _ = template.update(|board| {
        board.title().set("Garden");
        board.visits().inc(10);
        board.labels().extend(["dig", "sow"]);
    });
    template.encode()
}

#[test]
fn what_all_begin_with_is_there_once() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, cem], board) = three(23);
    let shipped = template();
    net.partition(&[&[ann], &[bob, cem]]);
    assert!(*net.merge(ann, &board, &shipped).value());
    net.update(ann, &board, |board| board.visits().inc(1));
    let commit = net.merge(bob, &board, &shipped);
    assert!(*commit.value() && !commit.is_durable());
    assert_eq!(*commit.version(), net.version(bob, &board));
    assert!(!*net.merge(bob, &board, &shipped).value(), "it is known");
    net.update(bob, &board, |board| board.labels().remove("dig"));
    net.run_for(A_MOMENT);
    assert!(commit.is_durable());
    assert_eq!(visits(&net, cem, &board), 10, "who has no template hears of it");
    // One that is there already, and was told of as well.
    assert!(!*net.merge(cem, &board, &shipped).value());
    net.restore_all();
    net.run_until_equal(SOON)?;
    for node in [ann, bob, cem] {
        assert!(!*net.merge(node, &board, &shipped).value());
        let labels = net.read(node, &board, |board| board.labels.iter().cloned().collect::<Vec<_>>());
        assert_eq!((visits(&net, node, &board), labels), (11, vec!["sow".to_owned()]));
    }
    net.assert_converged();
    Ok(())
}

#[test]
fn what_is_merged_is_durable_or_lost_like_a_write() -> Result<(), NotEqual> {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let (mut net, [ann, bob, _], board) = three(seed);
        let (view, watch) = net.watch(ann, &board, |board| board.plain());
        let commit = net.merge(ann, &board, &template());
        net.run_for(Duration::from_millis(seed % 8));
        if seed % 2 == 0 {
            net.crash(ann);
            net.start(ann);
            assert!(commit.is_durable() != commit.is_lost());
            assert_eq!(visits(&net, ann, &board), if commit.is_durable() { 10 } else { 0 }, "seed {seed}");
        } else if !commit.is_durable() {
            net.disk_fails(ann, true);
            net.run_for(A_MOMENT);
            net.disk_fails(ann, false);
            net.run_for(SOON);
            let mut shown = view.clone();
            net.steps(&watch).iter().for_each(|step| step.apply_to(&mut shown).expect("it fits"));
            assert_eq!(commit.is_lost(), shown == view);
        }
        seen.insert((seed % 2, commit.is_lost()));
        net.merge(ann, &board, &template());
        net.run_until_equal(SOON)?;
        assert_eq!(visits(&net, bob, &board), 10);
    }
    assert_eq!(seen.len(), 4, "at different moments: {seen:?}");
    Ok(())
}

#[test]
fn what_is_not_to_be_merged_is_refused_and_changes_nothing() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, _], board) = three(24);
    net.update(ann, &board, |board| board.visits().inc(1));
    net.run_until_equal(SOON)?;
    let before = net.version(ann, &board);
    let us = before.iter().next().expect("she wrote").0;
    let bad = net.try_merge(ann, &board, &template()[1..]);
    assert!(matches!(bad, Err(UpdateError::Rejected(NotMerged::Bytes(_)))), "{bad:?}");
    let mut own = Replica::<Board>::new(us);
    (0..2).for_each(|_| _ = own.update(|board| board.visits().inc(1)));
    let refused = NotMerged::Ours { ours: 1, theirs: 2 };
    assert_eq!(net.try_merge(ann, &board, &own.encode()).err(), Some(UpdateError::Rejected(refused)));
    assert_eq!(net.version(ann, &board), before);
    assert!(
        panics(|| _ = net.merge(ann, &board, b""))
            .contains("ann does not merge the state into `board`: this is no")
    );
    // Nobody has told another store's events as hers.
    net.update(ann, &board, |board| board.visits().inc(1));
    net.run_until_equal(SOON)?;
    assert_eq!(visits(&net, bob, &board), 2);
    Ok(())
}

/// What is written while nobody is there may have been written by another store as well, under the same names of events: a state that has
/// such, and something that is new, is not merged before somebody has told all it holds.
#[test]
fn a_state_with_what_is_written_alone_waits_until_that_may_be_seen() -> Result<(), NotEqual> {
    let mut net = Network::new(25);
    let [ann, bob] = net.nodes(["ann", "bob"]);
    net.partition(&[&[ann], &[bob]]);
    let board = net.open::<Board>(ann, "board");
    net.update(ann, &board, |board| board.labels().extend(["late", "early"]));
    net.run_for(A_MOMENT);
    let us = net.version(ann, &board).iter().next().expect("she wrote").0;
    let mut both = Replica::<Board>::new(us);
    let _ = both.update(|board| board.labels().extend(["late", "early"]));
    assert_eq!(both.version(), net.version(ann, &board));
    let known = both.encode();
    both.merge(Delta::decode_state(&template(), &Limits::default()).expect("it decodes"))
        .expect("there is room");
    assert!(!*net.merge(ann, &board, &known).value());
    let refused = NotMerged::Ours { ours: 0, theirs: 2 };
    assert_eq!(net.try_merge(ann, &board, &both.encode()).err(), Some(UpdateError::Rejected(refused)));
    net.restore_all();
    net.run_until_equal(SOON)?;
    assert!(*net.merge(ann, &board, &both.encode()).value());
    net.run_until_equal(SOON)?;
    assert_eq!(visits(&net, bob, &board), 10);
    Ok(())
}

#[test]
fn the_last_writer_is_who_has_the_later_clock() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, cem], board) = three(10);
    net.set_clock(ann, Clock::Ahead(Duration::from_secs(30)));
    net.set_clock(bob, Clock::Behind(Duration::from_secs(30)));
    net.partition(&[&[ann], &[bob], &[cem]]);
    net.update(ann, &board, |board| board.title().set("first".to_owned()));
    net.run_for(Duration::from_secs(1));
    net.update(bob, &board, |board| board.title().set("second".to_owned()));
    net.restore_all();
    net.run_until_equal(SOON)?;
    let title = |net: &Network| net.read(cem, &board, |board| board.title.value().cloned());
    assert_eq!(title(&net), Some("first".to_owned()), "though the other wrote later");
    net.set_clock(bob, Clock::Right);
    Ok(())
}

#[test]
fn what_the_closure_says_is_passed_on_and_undone() {
    let (mut net, [ann, ..], board) = three(11);
    let before = net.version(ann, &board);
    let refused = net.try_update(ann, &board, |board| {
        board.visits().inc(1);
        Err::<(), _>("too many")
    });
    assert!(matches!(refused, Err(UpdateError::Rejected("too many"))));
    assert_eq!((visits(&net, ann, &board), net.version(ann, &board)), (0, before));
    let taken = net.try_update(ann, &board, |board| {
        board.visits().inc(1);
        Ok::<_, ()>(5)
    });
    assert_eq!(*taken.expect("it is taken").value(), 5);
    assert_eq!(panics(|| _ = net.update(ann, &board, |_| panic!("author"))), "author");
    assert_eq!(visits(&net, ann, &board), 1);
}

#[test]
fn a_name_has_one_type() {
    let (mut net, [ann, ..], _) = three(12);
    assert!(matches!(net.try_open::<PnCounter>(ann, "board"), Err(OpenError::WrongType { .. })));
    assert!(panics(|| _ = net.open::<PnCounter>(ann, "board")).contains("ann does not open `board`"));
}

#[test]
fn what_is_deleted_is_gone_everywhere() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, cem], board) = three(13);
    net.update(bob, &board, |board| board.visits().inc(1));
    net.run_until_equal(SOON)?;
    let deleted = net.delete(ann, &board);
    assert!(*deleted.value());
    assert!(!*net.delete(ann, &board).value(), "it is not there any more");
    net.run_until_equal(SOON)?;
    assert!(deleted.is_durable());
    assert!(net.list(cem).is_empty());
    assert_eq!(visits(&net, bob, &board), 0, "it reads as empty");
    let refused = net.try_update(bob, &board, |_| Ok::<_, ()>(()));
    assert!(matches!(refused, Err(UpdateError::Deleted)));
    assert!(net.document_status(bob, &board).is_none());
    // Of the same name another document can be made.
    let again = net.open::<Board>(cem, "board");
    net.update(cem, &again, |board| board.visits().inc(7));
    net.run_until_equal(SOON)?;
    assert_eq!(visits(&net, ann, &again), 7);
    Ok(())
}

#[test]
fn a_node_hears_what_happens() -> Result<(), NotEqual> {
    let (mut net, [ann, bob, _], board) = three(14);
    let _ = net.events(bob);
    assert!(net.events(bob).is_empty(), "what was heard was heard");
    net.update(ann, &board, |board| board.visits().inc(1));
    net.run_until_equal(SOON)?;
    let heard = net.events(bob);
    let changed = |event: &Event| matches!(event, Event::Changed { doc, origin: Origin::Peer(_), .. } if *doc == board.id());
    assert_eq!(heard.iter().filter(|event| changed(event)).count(), 1, "{heard:?}");
    net.crash(ann);
    net.run_for(A_MOMENT);
    assert!(net.events(bob).iter().any(|event| matches!(event, Event::PeerGone { .. })));
    Ok(())
}

#[test]
fn authors_see_what_their_writes_cost() -> Result<(), NotEqual> {
    let (mut net, [ann, ..], board) = three(15);
    net.run_for(SOON);
    let cost = |net: &mut Network, bytes: usize| -> Result<u64, NotEqual> {
        let before = net.sent_by(ann);
        net.update(ann, &board, |board| board.labels().add("x".repeat(bytes)));
        net.run_until_equal(SOON)?;
        Ok((net.sent_by(ann) - before).bytes())
    };
    let (little, much) = (cost(&mut net, 1)?, cost(&mut net, 5_000)?);
    assert!(little > 0 && little < 1_000, "{little}");
    assert!(much > little, "{much}");
    let all = net.sent();
    assert!(all.frames > net.sent_by(ann).frames && all.frame_bytes > 0);
    Ok(())
}

#[test]
fn time_passes_only_when_it_is_let() {
    let mut net = Network::new(16);
    let [ann] = net.nodes(["ann"]);
    let board = net.open::<Board>(ann, "board");
    net.update(ann, &board, |board| board.visits().inc(1));
    assert_eq!(net.now(), Duration::ZERO);
    net.run_for(Duration::from_millis(1_234));
    assert_eq!(net.now(), Duration::from_millis(1_234));
    net.assert_converged();
}

/// A run with everything in it.
fn run(seed: u64) -> (Vec<String>, u64) {
    let (mut net, [ann, bob, cem], board) = three(seed);
    net.weather(Weather::fair().loss(5).duplicates(5).late(10).gossip(70));
    for round in 0..10_i64 {
        net.update(ann, &board, |board| board.visits().inc(1));
        net.update(bob, &board, |board| board.labels().add(round.to_string()));
        net.run_for(Duration::from_millis(50));
        if round == 4 {
            net.crash(cem);
        }
    }
    net.start(cem);
    net.run_until_equal(LATER).expect("nothing is in the way");
    (net.trace().to_vec(), net.sent().bytes())
}

#[test]
fn the_same_seed_is_the_same_run() {
    assert_eq!(run(17), run(17));
    assert_ne!(run(17).0, run(18).0);
    assert!(!run(17).0.is_empty());
}

#[test]
fn a_network_that_is_cut_has_not_converged_and_the_account_says_why() {
    let (mut net, [ann, bob, cem], board) = three(19);
    net.assert_converged();
    net.cut(ann, bob);
    net.cut(ann, cem);
    net.run_for(A_MOMENT);
    net.update(ann, &board, |board| board.visits().inc(1));
    net.update(bob, &board, |board| board.labels().add("late"));
    net.update(bob, &board, |board| board.visits().inc(1));
    let not_equal = net.run_until_equal(Duration::from_secs(5)).expect_err("it is cut");
    let told: Vec<(NodeId, u64, Vec<NodeId>)> =
        not_equal.lacks.iter().map(|lack| (lack.node, lack.changes, lack.holders.clone())).collect();
    assert_eq!(told, [(ann, 2, vec![bob, cem]), (bob, 1, vec![ann]), (cem, 1, vec![ann])]);
    assert!(not_equal.lacks.iter().all(|lack| lack.document == "board"));

    let account = panics(|| net.assert_converged());
    assert_eq!(account, not_equal.to_string());
    assert_eq!(account, format!("{not_equal:?}"));
    for part in [
        "seed 19",
        "ann lacks 2 changes of board, to be had from bob and cem",
        "bob lacks 1 change of board, to be had from ann",
        "ann is at {",
        "labels: ann has {}, bob has {\"late\"}, cem has {\"late\"}",
        "the link from ann to bob is cut",
        "what happened last:",
    ] {
        assert!(account.contains(part), "{part} is not in\n{account}");
    }
    assert!(!account.contains("visits:"), "where values are the same nothing is told:\n{account}");
    net.restore_all();
    net.run_until_equal(SOON).expect("now they come together");
    net.assert_converged();
}

#[test]
fn what_is_not_on_a_disk_yet_has_not_converged() {
    let mut net = Network::new(20);
    let [ann] = net.nodes(["ann"]);
    net.open::<Board>(ann, "board");
    assert!(panics(|| net.assert_converged()).contains("not on its disk yet"));
    net.run_for(A_MOMENT);
    net.assert_converged();
}

#[test]
fn nodes_have_different_names_and_belong_to_one_network() {
    let mut net = Network::new(21);
    net.nodes(["ann"]);
    assert!(panics(|| _ = net.nodes(["ann"])).contains("two nodes called ann"));
    let [_, bob] = Network::new(22).nodes(["ann", "bob"]);
    let net = Network::new(23);
    assert!(panics(|| _ = net.name(bob)).contains("another network"));
}

#[test]
fn nodes_may_come_later() -> Result<(), NotEqual> {
    let (mut net, [ann, ..], board) = three(24);
    net.update(ann, &board, |board| board.visits().inc(1));
    let [dee] = net.nodes(["dee"]);
    net.run_until_equal(SOON)?;
    assert_eq!(visits(&net, dee, &board), 1);
    Ok(())
}

#[test]
fn impossible_weather_is_refused() {
    assert!(panics(|| _ = Weather::fair().loss(101)).contains("101"));
    let empty = Duration::from_millis(2)..=Duration::from_millis(1);
    assert!(panics(|| _ = Weather::fair().latency(empty)).contains("latency"));
}

#[test]
fn what_a_node_is_not_to_hold_does_not_count() {
    let mut net = Network::new(91);
    let [ann, bob] = net.nodes(["ann", "bob"]);
    net.crash(bob);
    net.only(bob, ["work/"]).expect("it is short");
    net.start(bob);
    let work = net.open::<PnCounter>(ann, "work/visits");
    let home = net.open::<PnCounter>(ann, "home/visits");
    net.update(ann, &work, |visits| visits.inc(1));
    net.update(ann, &home, |visits| visits.inc(1));
    net.run_until_equal(SOON).expect("nothing is in the way");
    net.assert_converged();
    assert_eq!(net.version(bob, &work), net.version(ann, &work));
    assert!(net.version(bob, &home).is_empty());
    assert_eq!((net.status(bob).documents, net.status(bob).held), (2, 1));
    let refused = net.try_open::<PnCounter>(bob, "home/visits");
    assert!(matches!(refused, Err(OpenError::NotSubscribed { .. })));
    // What it lacks of what it is to hold does.
    net.cut(ann, bob);
    net.update(ann, &work, |visits| visits.inc(1));
    let not_equal = net.run_until_equal(A_MOMENT).expect_err("the link is cut");
    assert_eq!(not_equal.lacks.len(), 1);
    assert!(net.only(ann, vec!["x"; 65]).is_err());
}
