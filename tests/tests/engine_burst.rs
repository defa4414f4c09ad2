//! Ten thousand updates at once: nothing is lost, few messages, little memory. By itself, for memory is that of the whole process.

use peak_alloc::PeakAlloc;
use tombolo_crdt::AddWinsSet;
use tombolo_tests::sim::World;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

type Words = AddWinsSet<String>;

#[test]
fn ten_thousand_updates_at_once_lose_nothing_and_take_few_messages_and_little_memory() {
    let mut world = World::new(3, 71);
    world.connect_all();
    let words = world.open::<Words>(0, "words");
    for node in 1..3 {
        world.open::<Words>(node, "words");
    }
    world.run_until_agreed(10_000);
    let published = world.published();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    for n in 0..10_000 {
        world.update::<Words, _>(0, words, |words| words.add(format!("word {n:05} of ten thousand")));
    }
    world.run_until_agreed(20_000);
    let peak = MEMORY.peak_usage() - before;
    let messages = world.published() - published;
    println!("{messages} messages, {} MB for three nodes", peak >> 20);
    for node in 0..3 {
        assert_eq!(world.read::<Words, _>(node, words, |words| words.len()), 10_000, "n{node}");
    }
    assert!(messages < 500, "{messages}");
    assert!(peak < 3 * (64 << 20), "{peak} bytes");
}
