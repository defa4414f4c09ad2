//! What replication may cost on the wire: bytes that one side emits to the other, beside what our own encoder makes of exactly what
//! the other lacks, `P`.

use tombolo_crdt::{AddWinsSet, Replica, Since, Version};
use tombolo_sync::DocId;
use tombolo_sync::engine::wire::Frame;
use tombolo_tests::sim::{LinkState, World};

type Words = AddWinsSet<String>;

fn two() -> (World, DocId) {
    let mut world = World::new(2, 61);
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
    let (mut world, words) = two();
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
    let (mut world, words) = two();
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

#[test]
fn thousands_of_documents_idle_at_the_cost_of_one() {
    let idle = |count: usize| {
        let mut world = World::new(2, 62);
        world.connect_all();
        for number in 0..count {
            let doc = world.open::<Words>(0, &format!("document {number}"));
            world.update::<Words, _>(0, doc, |words| words.add("word"));
        }
        world.run_until_agreed(20_000);
        // The same time in both, for a beat tells it.
        world.run_for(30_000 - world.now());
        world.record();
        world.run_for(10_000);
        world.sent().iter().map(|sent| sent.bytes).sum::<usize>()
    };
    // But for a beat that falls within the time or beside it.
    assert!(idle(3_000).abs_diff(idle(1)) <= 64);
}
