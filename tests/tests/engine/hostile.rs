//! A member that is hostile, or broken: it has proved that it knows the secret, and sends what it likes.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{AddWinsSet, LwwMap, PnCounter, Replica, ReplicaId, Version};
use tombolo_sync::engine::Membership;
use tombolo_sync::engine::wire::{
    Alive, Behind, ContentKind, Estimate, Frame, Known, Line, MAX_FRAME, PART, Piece, content_hash,
};
use tombolo_sync::{DocId, PeerId};
use tombolo_tests::sim::{GossipWeather, Sent, World};

type Words = AddWinsSet<String>;

/// Three nodes that agree on a document; what the last one says is not its own.
fn three(seed: u64) -> (World, DocId) {
    let mut world = World::new(3, seed);
    world.connect_all();
    let doc = world.open::<Words>(0, "words");
    world.update::<Words, _>(0, doc, |words| words.add("first"));
    world.run_until_agreed(2_000);
    world.open::<Words>(1, "words");
    (world, doc)
}

/// The honest two still understand each other.
fn assert_unharmed(world: &mut World, doc: DocId) {
    let before = world.read::<Words, _>(1, doc, |words| words.len());
    world.update::<Words, _>(0, doc, |words| words.add(format!("word {before}")));
    let arrived = world.run_until(5_000, |world| {
        world.ready(0).contains(&1) && world.read::<Words, _>(1, doc, |words| words.len()) == before + 1
    });
    assert!(arrived.is_some());
}

fn content(doc: DocId, kind: ContentKind, bytes: &[u8]) -> Frame {
    Frame::Content { doc, hash: content_hash(bytes), kind, part: 0, parts: 1, bytes: bytes.to_vec() }
}

#[test]
fn random_bytes_end_the_session_and_nothing_else() {
    let (mut world, doc) = three(1);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..200 {
        let mut bytes = vec![0; rng.random_range(0..200)];
        rng.fill(&mut bytes[..]);
        world.forge(2, 0, bytes);
        world.run_for(20);
    }
    assert_unharmed(&mut world, doc);
}

#[test]
fn frames_cut_and_changed_anywhere_harm_nobody() {
    let (mut world, doc) = three(2);
    world.record();
    world.update::<Words, _>(0, doc, |words| words.add("second"));
    world.call(2, |engine, now| engine.handle(now, tombolo_sync::engine::Input::NetworkChanged));
    world.run_for(3_000);
    let frames: Vec<Vec<u8>> = world.sent().iter().map(|sent| sent.frame.encode()).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..400 {
        let mut bytes = frames[rng.random_range(0..frames.len())].clone();
        if rng.random() {
            bytes.truncate(rng.random_range(0..=bytes.len()));
        } else {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
        }
        world.forge(2, 1, bytes);
        world.run_for(5);
    }
    assert_unharmed(&mut world, doc);
}

#[test]
fn sound_frames_at_the_wrong_time_harm_nobody() {
    let (mut world, doc) = three(3);
    let mut other = World::new(2, 4);
    other.record();
    other.connect_all();
    let theirs = other.open::<Words>(0, "words");
    other.update::<Words, _>(0, theirs, |words| words.add("from elsewhere"));
    other.run_for(2_000);
    // Everything that was said in another network, greeting included, all at once.
    for sent in other.sent().to_vec() {
        world.forge_frame(2, 0, &sent.frame);
        world.run_for(3);
    }
    world.run_for(5_000);
    assert_unharmed(&mut world, doc);
}

#[test]
fn before_the_proof_nothing_is_heard_and_nothing_told() {
    let mut world = World::new(2, 5);
    world.open::<Words>(0, "words");
    world.run_for(50);
    world.set_latency(0, 1, 50, 0);
    world.record();
    world.befriend(1, 0);
    let doc = DocId::from_bytes([9; 16]);
    for _ in 0..30 {
        world.run_for(5);
        let version: Version = [(ReplicaId::from_bytes([9; 16]), 5)].into_iter().collect();
        for frame in [
            Frame::Ask,
            Frame::Tell { doc: DocId::DIRECTORY, version: Version::new() },
            Frame::Alike { but: Vec::new(), versions: [0; 32], states: [0; 16], asks: true },
            Frame::States(vec![(DocId::DIRECTORY, [0; 16], [0; 16])]),
            Frame::Diverged { doc: DocId::DIRECTORY },
            Frame::AskAcknowledged { docs: vec![DocId::DIRECTORY] },
            Frame::Acknowledged { members: Version::new(), silent: Vec::new(), documents: Vec::new() },
            Frame::Wants { number: 1, prefixes: Vec::new(), keeps: Vec::new() },
            Frame::Wanted { number: 1 },
            Frame::Push { doc, delta: vec![0; 40] },
            Frame::Others(vec![PeerId::from_bytes([9; 32])]),
            Frame::Sketch { key: [0; 2], cells: vec![0; 13] },
            Frame::Since { of: [0; 8], entries: Vec::new(), gone: Vec::new() },
            Frame::Rest { key: [0; 2], entries: Vec::new() },
            Frame::Pull { doc: DocId::DIRECTORY, version: Version::new(), kept: None, alive: None },
            Frame::Versions { entries: vec![(doc, version)], first: true, last: true },
            Frame::Beat { sent: 0, digest: [0; 32] },
        ] {
            // In the world's own session, before its greeting is over.
            if world.ready(0).is_empty() {
                world.forge_frame(1, 0, &frame);
            }
        }
        if world.ready(0).is_empty() {
            let told = world.sent().iter().filter(|sent| sent.from == 0);
            for sent in told {
                assert!(matches!(sent.frame, Frame::Hello(_) | Frame::Proof(_)), "{:?}", sent.frame);
            }
        }
    }
    assert!(world.run_until(3_000, |world| world.ready(0) == [1]).is_some());
}

#[test]
fn parts_without_measure_take_no_memory() {
    let (mut world, doc) = three(6);
    let hash = content_hash(b"");
    for (part, parts) in [(0, u32::MAX), (u32::MAX, u32::MAX), (5, 2), (0, 0), (1, 0), (0, 4_000)] {
        for kind in [ContentKind::Delta, ContentKind::State, ContentKind::Beyond, ContentKind::BeyondNamed] {
            for bytes in [0, 1, PART, PART + 1] {
                let frame = Frame::Content { doc, hash, kind, part, parts, bytes: vec![7; bytes] };
                world.forge_frame(2, 0, &frame);
            }
        }
    }
    for length in [0, 1, 15, 16, 17, 100] {
        for kind in [ContentKind::Beyond, ContentKind::BeyondNamed] {
            world.forge_frame(2, 0, &content(doc, kind, &vec![7; length]));
        }
    }
    // Content that nobody asked for, of documents that nobody has.
    for number in 0..200_u8 {
        let doc = DocId::from_bytes([number; 16]);
        let frame =
            Frame::Content { doc, hash, kind: ContentKind::Delta, part: 0, parts: 9, bytes: vec![7; PART] };
        world.forge_frame(2, 0, &frame);
    }
    assert_eq!(world.engine(0).transfer_bytes(), 0);
    assert!(world.engine(0).held_documents().count() < 10);
    assert_unharmed(&mut world, doc);
}

#[test]
fn content_that_is_not_what_its_name_says_is_not_taken() {
    let (mut world, doc) = three(7);
    let mut eve = Replica::<Words>::new(ReplicaId::from_bytes([99; 16]));
    let (_, delta) = eve.update(|words| words.add("forged"));
    let bytes = delta.encode_body();
    let frame = Frame::Content { doc, hash: [0; 16], kind: ContentKind::Delta, part: 0, parts: 1, bytes };
    world.forge_frame(2, 0, &frame);
    assert!(world.read::<Words, _>(0, doc, |words| !words.contains("forged")));
}

#[test]
fn nobody_writes_under_the_id_of_a_store_but_the_store() {
    let (mut world, doc) = three(14);
    let ours = world.engine(0).replica();
    let before = world.engine(0).document_status(doc).unwrap().version;
    // As a store would that was copied, or whoever wants our counters used up.
    let mut copy = Replica::<Words>::new(ours);
    for number in 0..9 {
        let (_, delta) = copy.update(|words| words.add(format!("copy {number}")));
        world.forge_frame(2, 0, &content(doc, ContentKind::Delta, &delta.encode_body()));
    }
    world.forge_frame(2, 0, &content(doc, ContentKind::State, &copy.encode()));
    assert_eq!(world.engine(0).document_status(doc).unwrap().version, before);
    assert_eq!(world.read::<Words, _>(0, doc, |words| words.len()), 1);
    assert_unharmed(&mut world, doc);
}

#[test]
fn who_says_again_and_again_that_a_store_was_set_back_costs_it_a_few_ids_and_a_session() {
    let (mut world, doc) = three(15);
    let line: Line = rmp_serde::from_slice(&rmp_serde::to_vec(&(1, [(0, [7_u8; 8])])).unwrap()).unwrap();
    let mut ids = std::collections::BTreeSet::from([world.engine(1).replica()]);
    for _ in 0..40 {
        let welcome = tombolo_sync::engine::wire::Welcome {
            replica: ReplicaId::from_bytes([3; 16]),
            id: 0,
            name: "liar".into(),
            wall_millis: 0,
            first: None,
            names: Vec::new(),
            line: Line::default(),
            after: 0,
            asks: true,
            former: Vec::new(),
        };
        world.forge_frame(2, 1, &Frame::Welcome(welcome));
        // Whatever number the id has that it goes by now.
        for id in 0..10 {
            let known = Some(Known::Line { line: line.clone(), met: true });
            world.forge_frame(2, 1, &Frame::Met { id, known });
        }
        ids.insert(world.engine(1).replica());
        world.run_for(100);
    }
    assert!((2..=9).contains(&ids.len()), "{}", ids.len());
    // Then it is not listened to any more; the others are, and what was written stays.
    assert!(!world.ready(1).contains(&2) && world.ready(1).contains(&0));
    world.update::<Words, _>(1, doc, |words| words.add("under the last id"));
    let arrived = world.run_until(5_000, |world| world.read::<Words, _>(0, doc, |words| words.len()) == 2);
    assert!(arrived.is_some());
}

#[test]
fn content_of_another_type_is_refused_by_who_knows_the_type() {
    let (mut world, doc) = three(8);
    let mut eve = Replica::<PnCounter>::new(ReplicaId::from_bytes([99; 16]));
    let (_, delta) = eve.update(|counter| counter.inc(1));
    world.forge_frame(2, 0, &content(doc, ContentKind::Delta, &delta.encode_body()));
    world.forge_frame(2, 0, &content(doc, ContentKind::State, &eve.encode()));
    assert_eq!(world.read::<Words, _>(0, doc, |words| words.len()), 1);
    assert_unharmed(&mut world, doc);
}

#[test]
fn who_claims_what_it_does_not_have_is_asked_less_and_less() {
    let (mut world, doc) = three(9);
    let claim: Version = [(ReplicaId::from_bytes([77; 16]), 1 << 39)].into_iter().collect();
    world.record();
    for _ in 0..60 {
        let entries = (0..20_u8).map(|number| (DocId::from_bytes([number + 1; 16]), claim.clone()));
        let entries = entries.chain([(doc, claim.clone())]).collect();
        world.forge_frame(2, 0, &Frame::Versions { entries, first: false, last: false });
        world.run_for(1_000);
    }
    let pulls = world.sent().iter().filter(|sent| matches!(sent.frame, Frame::Pull { .. })).count();
    assert!(pulls < 21 * 30, "{pulls} pulls in a minute");
    // And leaves nothing behind.
    assert_eq!(world.engine(0).held_documents().count(), 2);
    assert!(world.engine(0).status().peers.len() == 2, "status adds up whatever is claimed");
    assert_unharmed(&mut world, doc);
}

#[test]
fn a_wall_clock_at_the_end_of_time_is_only_shown() {
    let (mut world, doc) = three(10);
    for wall_millis in [0, u64::MAX, 1 << 63] {
        let welcome = tombolo_sync::engine::wire::Welcome {
            replica: ReplicaId::from_bytes([3; 16]),
            id: 0,
            name: "n\u{7}2".repeat(1_000),
            wall_millis,
            first: None,
            names: vec![ReplicaId::from_bytes([3; 16]); 5],
            line: Line::default(),
            after: 0,
            asks: false,
            former: Vec::new(),
        };
        world.forge_frame(2, 0, &Frame::Welcome(welcome));
        world.forge_frame(2, 0, &Frame::Echo { sent: u64::MAX });
    }
    let status = world.engine(0).status();
    assert!(status.peers.iter().all(|peer| peer.name.len() <= 128 && !peer.name.contains('\u{7}')));
    assert_unharmed(&mut world, doc);
}

#[test]
fn a_crowd_of_invented_peers_is_not_dialled_for_ever() {
    let (mut world, doc) = three(11);
    world.trace.keep();
    for round in 0..20_u8 {
        let contacts = (0..64_u8).map(|number| {
            let mut key = [round; 32];
            key[31] = number;
            tombolo_sync::engine::wire::Contact {
                peer: tombolo_sync::PeerId::from_bytes(key),
                addresses: vec![format!("/memory/{}", 50 + u32::from(number))],
            }
        });
        world.forge_frame(2, 0, &Frame::Peers { own: Vec::new(), others: contacts.collect() });
    }
    world.run_for(720_000);
    let before = world.trace.lines().len();
    world.run_for(60_000);
    let dials = world.trace.lines()[before..].iter().filter(|line| line.contains("DialFailed")).count();
    assert_eq!(dials, 0);
    assert_unharmed(&mut world, doc);
}

#[test]
fn gossip_that_no_member_made_is_dropped() {
    let (mut world, doc) = three(12);
    world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
    let from = world.peer(2);
    for length in [0, 1, 23, 24, 40, 41, 1_000, 100_000] {
        let payload = vec![3; length];
        world.call(0, |engine, now| {
            engine.handle(now, tombolo_sync::engine::Input::Gossip { from, payload });
        });
    }
    assert_unharmed(&mut world, doc);
}

#[test]
fn whatever_one_pushes_and_says_of_others_harms_nobody() {
    let (mut world, doc) = three(16);
    let before = world.read::<Words, _>(0, doc, |words| words.len());
    for number in 0..200_u8 {
        for length in [0, 1, 40, 1_000, 16 << 10, 49 << 10] {
            let doc = if number % 2 == 0 { doc } else { DocId::from_bytes([number; 16]) };
            world.forge_frame(2, 0, &Frame::Push { doc, delta: vec![number; length] });
        }
    }
    world.forge_frame(2, 0, &Frame::Push { doc, delta: vec![7; MAX_FRAME - 100] });
    assert_eq!(world.read::<Words, _>(0, doc, |words| words.len()), before);
    assert!(world.engine(0).held_documents().count() < 10);
    // Of others that there are not all that comes is gossip.
    let others = |count: u8| (0..count).map(|of| PeerId::from_bytes([of; 32])).collect();
    for count in [1, 8, 255] {
        world.forge_frame(2, 0, &Frame::Others(others(count)));
        world.record();
        let published = world.published();
        assert_unharmed(&mut world, doc);
        let is_push = |sent: &&Sent| sent.from == 0 && matches!(sent.frame, Frame::Push { .. });
        assert_eq!(world.sent().iter().filter(is_push).count(), 0);
        assert!(world.published() > published);
        world.run_for(100);
    }
    assert_unharmed(&mut world, doc);
}

#[test]
fn a_document_more_than_there_may_be_is_not_taken_and_the_others_go_on() {
    let small = tombolo_tests::sim::NodeOptions { max_documents: 4, ..Default::default() };
    let mut world = World::with_options([Default::default(), small], 13);
    for number in 0..20 {
        let doc = world.open::<PnCounter>(0, &format!("counter {number}"));
        world.update::<PnCounter, _>(0, doc, |counter| counter.inc(1));
    }
    world.befriend(1, 0);
    world.run_for(5_000);
    assert_eq!(world.engine(1).held_documents().count(), 4);
    let held: Vec<DocId> = world.engine(1).held_documents().filter(|doc| *doc != DocId::DIRECTORY).collect();
    // What there is room for stays up to date.
    let version = |world: &World, node: usize| world.engine(node).document_status(held[0]).unwrap().version;
    world.update::<PnCounter, _>(0, held[0], |counter| counter.inc(1));
    assert!(world.run_until(2_000, |world| version(world, 0) == version(world, 1)).is_some());
}

#[test]
fn whatever_one_says_is_alive_harms_nobody() {
    let (mut world, doc) = three(12);
    let base = world.engine(0).document_status(doc).unwrap().version;
    // The right base, one that nobody could number, and none.
    let ids = (0..200).map(|of| ReplicaId::from_bytes([of; 16]));
    let huge: Version = ids.map(|id| (id, tombolo_crdt::MAX_COUNTER)).collect();
    for base in [base.clone(), huge, Version::new()] {
        for length in [0, 1, 2, 7, 8, 9, 64, 1_000, 100_000] {
            for fill in [0, 0x55, 0xff] {
                let bytes = vec![fill; length];
                let cells = Alive::Cells { key: [1, 2], cells: bytes.clone() };
                let pieces = Alive::Staged((length as u64).rotate_left(u32::from(fill)));
                let sums = Alive::Sums(bytes.clone());
                for alive in [Alive::Runs(bytes), sums, cells, pieces, Alive::Unsaid] {
                    let pull = Frame::Pull { doc, version: base.clone(), kept: None, alive: Some(alive) };
                    world.forge_frame(2, 0, &pull);
                }
            }
        }
        // Answers that nobody asked for, and such to what was asked, that make no sense.
        for (base, counters, tried) in [
            (base.clone(), vec![0xff; 160], u32::MAX),
            (base.clone(), Vec::new(), 0),
            (base.clone(), vec![7; 100_000], 1),
        ] {
            let estimate =
                (!counters.is_empty()).then_some(Estimate { live: u64::MAX, key: [0; 2], counters });
            let behind = Behind { base, estimate, tried };
            let entries = vec![(doc, [(ReplicaId::from_bytes([77; 16]), 5)].into_iter().collect())];
            world.forge_frame(2, 0, &Frame::Versions { entries, first: false, last: false });
            for _ in 0..8 {
                world.forge_frame(2, 0, &content(doc, ContentKind::Behind, &behind.encode()));
            }
        }
    }
    assert_unharmed(&mut world, doc);
}

#[test]
fn who_says_to_have_very_much_more_is_told_little_of_what_is_alive() {
    let (mut world, doc) = three(15);
    // Every third is gone, so that its runs are long; and of another document they are short.
    world.update::<Words, _>(0, doc, |words| words.extend((0..9_000).map(|n| n.to_string())));
    world.update::<Words, _>(0, doc, |words| (0..3_000).for_each(|n| _ = words.remove(&(3 * n).to_string())));
    let short = world.open::<Words>(0, "short");
    world.update::<Words, _>(0, short, |words| words.extend((0..900).map(|n| n.to_string())));
    world.run_until_agreed(10_000);
    world.record();
    for round in 1..=50_u64 {
        let more: Version = [(ReplicaId::from_bytes([77; 16]), round << 30)].into_iter().collect();
        let entries = vec![(doc, more.clone()), (short, more)];
        world.forge_frame(2, 0, &Frame::Versions { entries, first: false, last: false });
        world.forge_frame(2, 0, &Frame::Nothing { doc: short });
        world.run_for(100);
    }
    let told: Vec<usize> = world
        .sent()
        .iter()
        .filter(|sent| sent.from == 0)
        .filter_map(|sent| match &sent.frame {
            Frame::Pull { doc: of, alive: Some(Alive::Runs(runs)), .. } => {
                assert_eq!(*of, short);
                Some(runs.len())
            }
            _ => None,
        })
        .collect();
    // Who answers with nothing is asked ever less often.
    assert!((1..=10).contains(&told.len()) && told.iter().all(|bytes| *bytes < 320), "{told:?}");
    assert_unharmed(&mut world, doc);
}

#[test]
fn pieces_of_no_state_leave_nothing_behind() {
    let (mut world, doc) = three(13);
    let other = DocId::from_bytes([8; 16]);
    let ids = |count: u8| (1..=count).map(|of| ReplicaId::from_bytes([of; 16]));
    let base: Version = ids(3).map(|id| (id, 5)).collect();
    let mut eve = Replica::<Words>::new(ReplicaId::from_bytes([3; 16]));
    let _ = eve.update(|words| words.extend(["one", "two", "three"]));
    let slice = |from, to| eve.slice_below(&eve.version(), from..to).unwrap();
    for doc in [doc, other] {
        for (base, from, next, slice) in [
            (base.clone(), 0, Some(3), vec![0xff; 1_000]),
            (base.clone(), 0, None, Vec::new()),
            (base.clone(), 7, None, Vec::new()),
            (base.clone(), 0, Some(0), slice(0, 2)),
            // The first of all, and then another than the next, and the end before there is one.
            (eve.version(), 0, Some(1), slice(0, 1)),
            (eve.version(), 2, None, slice(2, 3)),
            (eve.version(), 0, Some(1), slice(0, 1)),
            (eve.version(), 1, None, Vec::new()),
        ] {
            let piece = Piece { base, from, next, slice };
            let entries = vec![(doc, [(ReplicaId::from_bytes([77; 16]), 5)].into_iter().collect())];
            world.forge_frame(2, 0, &Frame::Versions { entries, first: false, last: false });
            world.forge_frame(2, 0, &content(doc, ContentKind::Piece, &piece.encode()));
            world.run_for(700);
        }
    }
    assert_eq!(world.read::<Words, _>(0, doc, |words| words.len()), 1);
    assert!(world.engine(0).document_status(other).is_none_or(|status| status.version.is_empty()));
    assert_unharmed(&mut world, doc);
}

#[test]
fn a_peer_that_wants_something_else_all_the_time_and_knows_more_than_was_said_harms_nobody() {
    let (mut world, doc) = three(14);
    for number in (0..300).chain([u64::MAX, 5]) {
        let prefixes = vec![format!("{number}"), "w".into()];
        world.forge_frame(2, 0, &Frame::Wants { number, prefixes, keeps: vec![format!("words {number}")] });
        world.forge_frame(2, 0, &Frame::Wanted { number });
        world.run_for(number % 7 * 40);
    }
    assert_unharmed(&mut world, doc);
}

#[test]
fn what_is_passed_on_fits_into_a_frame_however_many_members_are_made_up() {
    let (mut world, doc) = three(23);
    let docs: Vec<DocId> = (0..40).map(|n| world.open::<Words>(0, &format!("document {n}"))).collect();
    docs.iter().for_each(|doc| _ = world.update::<Words, _>(0, *doc, |words| words.add("word")));
    world.run_until_agreed(5_000);
    let made_up: Vec<PeerId> = (0..800_u32)
        .map(|n| PeerId::from_bytes(core::array::from_fn(|at| (n >> (8 * (at % 4))) as u8 | 0x80)))
        .collect();
    let mut eve = Replica::<LwwMap<String, u8>>::new(ReplicaId::from_bytes([99; 16]));
    let (_, delta) = eve.update(|members| {
        made_up.iter().for_each(|peer| members.set(peer.to_string(), Membership::Member as u8));
    });
    world.forge_frame(2, 0, &content(DocId::MEMBERS, ContentKind::Delta, &delta.encode_body()));
    world.run_for(2_000);
    assert_eq!(world.engine(0).membership(made_up[7]), Some(Membership::Member));
    for doc in &docs {
        let version = world.read::<Words, _>(0, *doc, Replica::version);
        world.forge_frame(
            2,
            0,
            &Frame::Acknowledged {
                members: Version::new(),
                silent: made_up.iter().map(|peer| (*peer, 0)).collect(),
                documents: vec![(*doc, vec![(version, made_up.clone())])],
            },
        );
    }
    world.record();
    world.forge_frame(1, 0, &Frame::AskAcknowledged { docs });
    world.run_for(1_000);
    let answers = world.sent().iter().filter(|sent| matches!(sent.frame, Frame::Acknowledged { .. }));
    let lengths: Vec<usize> = answers.map(|sent| sent.frame.encode().len()).collect();
    assert!(
        !lengths.is_empty() && lengths.iter().all(|length| (MAX_FRAME / 8..=MAX_FRAME).contains(length)),
        "{lengths:?}"
    );
    assert_unharmed(&mut world, doc);
}
