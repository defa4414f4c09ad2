//! Ten thousand updates at once: nothing is lost, few messages, little memory. By itself, for memory is that of the whole process.

mod heap;

use heap::{MEMORY, Taken};
use tombolo_crdt::AddWinsSet;
use tombolo_tests::direct::Direct;
use tombolo_tests::sim::World;

type Words = AddWinsSet<String>;

/// How much more memory a node may take.
const EACH: usize = 64 << 20;

#[test]
fn ten_thousand_updates_at_once_lose_nothing_and_take_few_messages_and_little_memory() {
    three_in_a_simulated_network();
    // The disk writes few at a time, more, or all that there are.
    for group in [20, 500, usize::MAX] {
        each_by_itself(group, true);
    }
    // And if no message arrives.
    each_by_itself(usize::MAX, false);
}

fn word(n: usize) -> String {
    format!("word {n:05} of ten thousand")
}

fn three_in_a_simulated_network() {
    let mut world = World::new(3, 71);
    world.connect_all();
    let words = world.open::<Words>(0, "words");
    for node in 1..3 {
        world.open::<Words>(node, "words");
    }
    world.run_until_agreed(10_000);
    let pushed = world.pushed();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    for n in 0..10_000 {
        world.update::<Words, _>(0, words, |words| words.add(word(n)));
    }
    world.run_until_agreed(20_000);
    let peak = MEMORY.peak_usage() - before;
    let messages = world.pushed() - pushed;
    println!("{messages} messages, {} MB for three nodes", peak >> 20);
    for node in 0..3 {
        assert_eq!(world.read::<Words, _>(node, words, |words| words.len()), 10_000, "n{node}");
    }
    assert!(messages < 500, "{messages}");
    assert!(peak < 3 * EACH, "{peak} bytes");
}

/// The first writes, the others hear of it: what each of them takes, with what waits for its disk, and without what is on it.
fn each_by_itself(group: usize, gossips: bool) {
    let mut net = Direct::new(3, Taken::default());
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        net.connect(a, b);
    }
    let words = net.open::<Words>(0, "words");
    for node in 1..3 {
        net.open::<Words>(node, "words");
    }
    net.run_until(10_000, Direct::agrees).expect("they agree");
    net.run_for(20_000);
    (net.group, net.gossips) = (group, gossips);
    (net.gauge, net.published, net.pushed) = (Taken::default(), 0, 0);
    for n in 0..10_000 {
        net.update::<Words>(0, words, |words| words.add(word(n)));
    }
    net.run_until(30_000, Direct::agrees).expect("it arrives");
    // A frame goes to one peer, a payload to all.
    let messages = net.published + net.pushed;
    println!(
        "{messages} messages, {} of them payloads, {gossips}; groups of {group}: {:?} KB at the peak, {:?} in the end",
        net.published,
        net.gauge.peak.map(|bytes| bytes >> 10),
        net.gauge.now.map(|bytes| bytes >> 10)
    );
    for node in 0..3 {
        let found = net.engine(node).document::<Words>(words).expect("it is open");
        assert!(found.len() == 10_000 && (0..10_000).all(|n| found.contains(&*word(n))), "n{node}");
        // It is counted at all: ten thousand words take some memory.
        assert!(net.gauge.now[node] > 300_000, "n{node}: {:?}", net.gauge.now);
        assert!(net.gauge.peak[node] < EACH.cast_signed(), "n{node}: {:?} bytes", net.gauge.peak);
    }
    assert!(messages < 500, "{messages}");
}
