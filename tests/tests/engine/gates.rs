//! What replication may cost on the wire: bytes that one side emits to the other, beside what our own encoder makes of exactly what
//! the other lacks, `P`.

use tombolo_crdt::{AddWinsSet, PnCounter, Replica, Since, Version};
use tombolo_sync::DocId;
use tombolo_sync::engine::DEFAULT_DIRECT;
use tombolo_sync::engine::wire::Frame;
use tombolo_tests::direct::{Direct, Sent, Way};
use tombolo_tests::sim::{LinkState, NodeOptions, World};

type Words = AddWinsSet<String>;

/// Two that push in their session if it reaches everybody, or gossip.
fn two(direct: usize) -> (World, DocId) {
    let options = NodeOptions { direct, ..NodeOptions::default() };
    let mut world = World::with_options([options.clone(), options], 61);
    world.connect_all();
    let words = world.open::<Words>(0, "words");
    world.open::<Words>(1, "words");
    world.update::<Words, _>(0, words, |words| words.extend(text(0, 500)));
    world.update::<Words, _>(1, words, |words| words.add("mine"));
    world.run_until_agreed(10_000);
    // All that is said once is said.
    world.run_for(20_000);
    (world, words)
}

/// Words that are not much alike, about 12 bytes each.
fn text(from: u64, count: u64) -> impl Iterator<Item = String> {
    (from..from + count).map(|n| format!("{:011x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20))
}

/// What our encoder makes of what a version lacks.
fn lacked(world: &World, doc: DocId, version: &Version) -> usize {
    world.read::<Words, _>(0, doc, |words| match words.delta_since(version) {
        Since::Delta(delta) => delta.encode_body().len(),
        other => panic!("it is remembered: {other:?}"),
    })
}

/// What went from the first to the second since it is recorded, and as payloads since there were so many bytes of them.
fn emitted(world: &World, payload_bytes: u64) -> usize {
    let frames: usize = world.sent().iter().filter(|sent| sent.from == 0).map(|sent| sent.bytes).sum();
    frames + (world.nodes[0].sent.payload_bytes - payload_bytes) as usize
}

#[test]
fn a_batch_from_two_kilobytes_on_goes_out_once_and_hardly_longer_than_it_is() {
    for direct in [0, DEFAULT_DIRECT] {
        goes_out_once(direct);
    }
}

fn goes_out_once(direct: usize) {
    let (mut world, words) = two(direct);
    let mut next = 1_000;
    for count in [400, 1_200, 5_000, 20_000] {
        let before = world.read::<Words, _>(0, words, Replica::version);
        let payloads = world.nodes[0].sent.payload_bytes;
        world.record();
        world.update::<Words, _>(0, words, |words| words.extend(text(next, count)));
        next += count;
        let least = lacked(&world, words, &before);
        assert!(least >= 2_000);
        world.run_until(2_000, World::agrees).expect("it arrives");
        let wire = emitted(&world, payloads);
        println!("P = {least}: {wire} bytes, {:.3} of P + 32", wire as f64 / (least + 32) as f64);
        assert!(wire * 100 <= 115 * (least + 32), "{wire} bytes for {least}");
    }
}

/// What it took to be level after a short partition.
struct Healed {
    /// Bytes of exactly what was lacked, and of both versions.
    least: usize,
    versions: usize,
    /// Bytes of frames that carry content, and of those that tell versions.
    content: usize,
    told: usize,
    /// All bytes that went that way.
    wire: usize,
    pulls: usize,
}

/// The first writes so many words, in ten transactions, while a link is in this state, and then it is up again.
fn healed(count: u64, state: LinkState) -> Healed {
    // What is pushed in a session that outlives the partition arrives in the end, and nothing is to be healed.
    let (mut world, words) = two(0);
    world.set_link(0, 1, state);
    world.run_for(500);
    let before = world.read::<Words, _>(1, words, Replica::version);
    for n in 0..10 {
        world.update::<Words, _>(0, words, |words| words.extend(text(1_000 + n * count / 10, count / 10)));
    }
    world.run_for(500);
    let least = lacked(&world, words, &before);
    let after = world.read::<Words, _>(0, words, Replica::version);
    let versions = rmp_serde::to_vec(&before).unwrap().len() + rmp_serde::to_vec(&after).unwrap().len();
    let payloads = world.nodes[0].sent.payload_bytes;
    world.record();
    world.set_link(0, 1, LinkState::Up);
    world.run_until(20_000, World::agrees).expect("it heals");
    let wire = emitted(&world, payloads);
    let of = |wanted: fn(&Frame) -> bool| {
        let sent = world.sent().iter().filter(|sent| sent.from == 0 && wanted(&sent.frame));
        sent.map(|sent| sent.bytes).sum::<usize>()
    };
    let content = of(|frame| matches!(frame, Frame::Content { .. }));
    let told = of(|frame| matches!(frame, Frame::Versions { .. }));
    let pulls = |frame: &Frame| matches!(frame, Frame::Pull { doc, .. } if *doc == words);
    let pulls = world.sent().iter().filter(|sent| pulls(&sent.frame)).count();
    println!("P = {least}, I = {versions}: content {content}, versions {told}, all {wire}");
    Healed { least, versions, content, told, wire, pulls }
}

#[test]
fn after_a_short_partition_what_is_lacked_goes_in_one_round_trip_and_hardly_longer_than_it_is() {
    for count in [400, 1_200, 5_000] {
        // A partition that the session outlives: everything counts.
        let Healed { least, versions, wire, pulls, .. } = healed(count, LinkState::Silent);
        assert!(wire * 100 <= 110 * (least + versions + 32), "{wire} for {least}");
        assert_eq!(pulls, 1, "one round trip");
        // One that ends it. Hello, proof, welcome and addresses cost the same whatever is exchanged, and count as well.
        let Healed { least, versions, content, told, wire, pulls } = healed(count, LinkState::Cut);
        println!("greeting {}", wire - content - told);
        assert!(wire * 100 <= 110 * (least + versions + 32), "{wire} for {least}");
        assert_eq!(pulls, 1, "one round trip");
    }
}

/// How a partition passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Partition {
    /// The session outlives it, and what was sent meanwhile arrives in the end.
    Held,
    /// The session outlives it, and what was sent meanwhile is lost: what changed must be found.
    Lost,
    /// The session ends with it: what changed must be found.
    Ended,
}

/// How long a frame takes, one way, in what is measured in round trips.
const ONE_WAY: u64 = 100;
/// How long a disk, and the pause between two looks at the clock, may add to all of them.
const DISKS: u64 = 10;

/// What it took to be level in several documents among many.
#[derive(Debug)]
struct Several {
    /// Bytes of exactly what was lacked, the least of them, and of both versions of what changed.
    least: usize,
    shortest: usize,
    versions: usize,
    /// Bytes of frames, from the beginning of the partition on: what carries content, and what it took to find it. Not those which say
    /// that somebody is still there.
    content: usize,
    found: usize,
    /// All others.
    greeting: usize,
    /// From the first question to the last answer, in milliseconds.
    took: u64,
    pulls: usize,
}

/// So many documents, to some of which one of two adds so many words during a partition.
fn several(documents: usize, changed: usize, count: u64, partition: Partition, writer: usize) -> Several {
    let (mut net, reader) = (Direct::new(2, ()), 1 - writer);
    let docs: Vec<DocId> = (0..documents)
        .map(|number| {
            let doc = net.open::<Words>(writer, &format!("document {number}"));
            net.update::<Words>(writer, doc, |words| words.add("word"));
            doc
        })
        .collect();
    net.connect(0, 1);
    net.run_until(20_000, Direct::agrees).expect("they agree");
    net.run_for(20_000);
    net.latency = ONE_WAY;
    net.gossips = false;
    match partition {
        Partition::Held => net.set_way(Way::Held),
        Partition::Lost => net.set_way(Way::Lost),
        Partition::Ended => net.cut(0, 1),
    }
    net.run_for(500);
    net.record();
    let durable = |net: &Direct, node: usize, doc| net.engine(node).document_status(doc).unwrap().durable;
    let changed: Vec<(DocId, Version)> = docs
        .iter()
        .step_by(documents / changed)
        .take(changed)
        .map(|&doc| (doc, durable(&net, reader, doc)))
        .collect();
    for (at, (doc, _)) in changed.iter().enumerate() {
        net.update::<Words>(writer, *doc, |words| words.extend(text(1_000 * at as u64, count)));
    }
    net.run_for(500);
    let bodies = changed.iter().map(|(doc, before)| {
        match net.engine(writer).document::<Words>(*doc).expect("it is open").delta_since(before) {
            Since::Delta(delta) => delta.encode_body().len(),
            other => panic!("it is remembered: {other:?}"),
        }
    });
    let bodies: Vec<usize> = bodies.collect();
    let length = |version: &Version| rmp_serde::to_vec(version).unwrap().len();
    let versions = changed
        .iter()
        .map(|(doc, before)| length(before) + length(&durable(&net, writer, *doc)))
        .sum::<usize>();
    let healed = net.millis();
    match partition {
        Partition::Held | Partition::Lost => net.set_way(Way::Open),
        Partition::Ended => net.connect(0, 1),
    }
    let level = |net: &Direct| net.engine(0).digest() == net.engine(1).digest();
    net.run_until(20_000, level).expect("it heals");
    let there = net.millis();
    net.run_until(20_000, Direct::agrees).expect("all know it");

    let of = |wanted: fn(&Frame) -> bool| {
        net.sent()
            .iter()
            .filter(|sent| sent.from == writer && wanted(&sent.frame))
            .map(|sent| sent.bytes)
            .sum()
    };
    let finds = |frame: &Frame| {
        matches!(
            frame,
            Frame::Versions { .. }
                | Frame::Ask
                | Frame::Sketch { .. }
                | Frame::Differences { .. }
                | Frame::TooMany { .. }
                | Frame::Rest { .. }
                | Frame::Since { .. }
        )
    };
    let (content, found): (usize, usize) = (of(|frame| matches!(frame, Frame::Content { .. })), of(finds));
    let all: usize = of(|frame| !matches!(frame, Frame::Beat { .. } | Frame::Echo { .. }));
    let asked = |sent: &&Sent| {
        sent.from == reader
            && sent.at >= healed
            && matches!(sent.frame, Frame::Ask | Frame::Sketch { .. } | Frame::Pull { .. })
    };
    let first = net.sent().iter().find(asked).expect("it asks").at;
    let several = Several {
        least: bodies.iter().sum(),
        shortest: bodies.iter().copied().min().unwrap_or(0),
        versions,
        content,
        found,
        greeting: all - content - found,
        took: there - first,
        pulls: net.sent().iter().filter(|sent| matches!(sent.frame, Frame::Pull { .. })).count(),
    };
    println!("{partition:?}, {count} words: {several:?}");
    several
}

#[test]
fn after_a_short_partition_what_changed_among_two_thousand_documents_is_found_and_sent_in_two_round_trips() {
    const CHANGED: usize = 12;
    for partition in [Partition::Held, Partition::Lost, Partition::Ended] {
        // Each lacks two kilobytes at least.
        let heal = several(2_000, CHANGED, 330, partition, 0);
        assert!(heal.shortest >= 2_000, "{heal:?}");
        // With hello, proof and welcome, where the session begins anew.
        let wire = heal.content + heal.found + heal.greeting;
        assert!(wire * 100 <= 110 * (heal.least + heal.versions + 32), "{partition:?}: {wire} of {heal:?}");
        assert_eq!(heal.pulls, CHANGED, "{partition:?}: each is asked for once");
        // Who has been told what changed asks for it; who has not must find it before.
        let round_trips = if partition == Partition::Held { 1 } else { 2 };
        assert!(heal.took <= round_trips * 2 * ONE_WAY + DISKS, "{partition:?}: {} ms", heal.took);
        // All of them together do; what was told in vain is told again.
        let heal = several(2_000, CHANGED, 18, partition, 0);
        assert!(heal.least >= 2_000, "{heal:?}");
        let wire = heal.content + heal.found + heal.greeting;
        let each = heal.least + heal.versions + 32;
        let lost = if partition == Partition::Lost { 144 } else { 0 };
        assert!(heal.greeting < 256, "{partition:?}: {heal:?}");
        assert!(wire * 100 <= 110 * each + lost * 100, "{partition:?}: {wire} of {heal:?}");
        assert!(heal.took <= round_trips * 2 * ONE_WAY + DISKS, "{partition:?}: {} ms", heal.took);
    }
}

#[test]
fn one_document_of_two_kilobytes_that_changed_among_two_thousand_goes_out_hardly_longer_than_it_is() {
    for partition in [Partition::Held, Partition::Lost, Partition::Ended] {
        // Whoever of the two writes.
        for writer in 0..2 {
            let heal = several(2_000, 1, 330, partition, writer);
            assert!((2_000..2_500).contains(&heal.least), "{heal:?}");
            let wire = heal.content + heal.found + heal.greeting;
            assert!(
                wire * 100 <= 110 * (heal.least + heal.versions + 32),
                "{partition:?}: {wire} of {heal:?}"
            );
            assert_eq!(heal.pulls, 1, "{partition:?}");
            // Where a session begins, who does not know better asks before it has been told.
            let round_trips = if partition == Partition::Held { 1 } else { 2 };
            assert!(heal.took <= round_trips * 2 * ONE_WAY + DISKS, "{partition:?}: {} ms", heal.took);
        }
    }
}

/// Two that agree on so many documents, and what is said at the time.
fn agreed(documents: usize) -> (Direct, Vec<DocId>) {
    let mut net = Direct::new(2, ());
    let docs = (0..documents).map(|number| {
        let doc = net.open::<PnCounter>(0, &format!("document {number}"));
        net.update::<PnCounter>(0, doc, |counter| counter.inc(1));
        doc
    });
    let docs = docs.collect();
    net.connect(0, 1);
    net.run_until(60_000, Direct::agrees).expect("they agree");
    (net, docs)
}

fn bytes(net: &Direct) -> usize {
    net.sent().iter().map(|sent| sent.bytes).sum()
}

#[test]
fn ten_thousand_documents_idle_at_the_cost_of_one() {
    let idle = |documents: usize| {
        let (mut net, _) = agreed(documents);
        // The same time in both, for a beat tells it.
        net.run_for(60_000 - net.millis());
        net.record();
        net.run_for(10_000);
        bytes(&net)
    };
    let (many, one) = (idle(10_000), idle(1));
    println!("in ten seconds: {many} bytes with 10 000 documents, {one} with one");
    // But for a beat that falls within the time or beside it.
    assert!(many.abs_diff(one) <= 64, "{many} bytes, and {one}");
}

#[test]
fn what_differs_among_ten_thousand_documents_is_found_in_bytes_that_follow_it() {
    const DIFFER: [usize; 4] = [1, 10, 100, 1_000];
    let found = |documents: usize| {
        let (mut net, docs) = agreed(documents);
        net.gossips = false;
        DIFFER.map(|differ| {
            net.run_for(20_000);
            net.cut(0, 1);
            net.run_for(500);
            for (at, &doc) in docs.iter().step_by(documents / differ).take(differ).enumerate() {
                let node = at % 2;
                // It need not be open yet.
                net.open::<PnCounter>(node, &format!("document {}", at * (documents / differ)));
                net.update::<PnCounter>(node, doc, |counter| counter.inc(1));
            }
            net.run_for(500);
            net.record();
            net.connect(0, 1);
            net.run_until(20_000, Direct::agrees).expect("they agree");
            bytes(&net)
        })
    };
    let (some, many) = (found(1_000), found(10_000));
    println!("{DIFFER:?} of 1 000: {some:?} bytes; of 10 000: {many:?}");
    for ((differ, some), many) in DIFFER.into_iter().zip(some).zip(many) {
        // Where all of a thousand differ a list of them is as short as it gets.
        assert!(differ == 1_000 || many < some + 1_000, "{differ}: {some} of 1 000, {many} of 10 000");
    }
    for (differ, bytes) in DIFFER.into_iter().zip(many) {
        // Sketches that were too short, each way; and for each document cells and hashes, its version, a pull and its answer.
        assert!(bytes <= many[0] + (differ - 1) * 550, "{differ}: {bytes}, {many:?}");
    }
}
