//! Random schedules: that they hold, that they replay, and that they would notice.

use std::time::{Duration, Instant};

use tombolo_tests::sim::{Outcome, Sabotage, Schedule};

/// Where the seeds of this test begin; the continuous integration runs others.
const FIRST: u64 = 1_000_000;
/// How many schedules are played, time allowing.
const SCHEDULES: u64 = 100;
/// At least so many are played, however slow the machine is.
const LEAST: u64 = 20;
/// No further schedule is begun after this long.
const ENOUGH: Duration = Duration::from_secs(45);

#[test]
fn random_schedules_lose_nothing_and_end_in_agreement() {
    let started = Instant::now();
    for number in 0..SCHEDULES {
        if number >= LEAST && started.elapsed() > ENOUGH {
            return;
        }
        let Outcome { seed, violation, .. } = Schedule::new(FIRST + number).run();
        assert_eq!(
            violation, None,
            "replay: cargo run --release -p tombolo-tests --bin simulate -- --seed {seed}"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_run_line_for_line() {
    for seed in [3, 14, 15, 92] {
        let (one, other) = (Schedule::new(seed).traced().run(), Schedule::new(seed).traced().run());
        assert!(one.trace.len() > 100, "seed {seed} does little");
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert_eq!((one.stats, one.violation), (other.stats, other.violation));
    }
}

#[test]
fn whether_a_run_is_traced_does_not_change_it() {
    let (traced, silent) = (Schedule::new(6).traced().run(), Schedule::new(6).run());
    assert_eq!(traced.stats, silent.stats);
    assert!(silent.trace.is_empty());
}

/// The first violation that a mistake made on purpose leads to.
fn caught(sabotage: Sabotage) -> String {
    // The rarest of them shows in one schedule of twenty.
    let outcomes = (1..=300).map(|seed| Schedule::new(seed).sabotaged(sabotage).run());
    outcomes.filter_map(|outcome| outcome.violation).next().expect("the mistake is noticed")
}

#[test]
fn a_driver_that_speaks_before_the_disk_has_written_is_caught() {
    let violation = caught(Sabotage::EarlyDurability);
    assert!(violation.contains("durable is"), "{violation}");
}

#[test]
fn a_disk_that_loses_what_it_acknowledged_is_caught() {
    caught(Sabotage::LyingDisk);
}

#[test]
fn a_driver_that_builds_on_what_failed_is_caught() {
    caught(Sabotage::IgnoredGenerations);
}

#[test]
fn a_network_on_which_only_gossip_works_is_caught() {
    let violation = caught(Sabotage::NoContent);
    assert!(violation.contains("no agreement"), "{violation}");
}
