//! Random schedules: that they hold, that they replay, and that they would notice.

use tombolo_sync::engine::Mistake;
use tombolo_tests::sim::{Branch, Mode, Sabotage, Scenario, Schedule, Stats};

/// Where the seeds of this test begin; the continuous integration runs others.
const FIRST: u64 = 1_000_000;
/// How many schedules are played.
const SCHEDULES: u64 = if cfg!(debug_assertions) { 40 } else { 400 };
/// How many schedules of the other modes are played; the continuous integration plays hundreds, with optimisation.
const OF_EACH_MODE: u64 = if cfg!(debug_assertions) { 15 } else { 60 };

#[test]
fn random_schedules_lose_nothing_and_end_in_agreement() {
    for number in 0..SCHEDULES {
        let outcome = Schedule::new(FIRST + number).run();
        assert_eq!(outcome.violation, None, "replay: {}", outcome.replay());
    }
}

/// What needs some thousand schedules: `.ci/run` plays as many, and has `simulate` fail that does not come by these as well.
fn is_rare(branch: Branch) -> bool {
    matches!(branch, Branch::Sums | Branch::Cells)
}

#[test]
fn disks_that_are_set_back_or_copied_lose_nothing_that_anybody_else_has() {
    let mut stats = Stats::default();
    for seed in 1..=OF_EACH_MODE {
        let outcome = Schedule::new(seed).of_mode(Mode::Backups).run();
        assert_eq!(outcome.violation, None, "replay: {}", outcome.replay());
        stats += outcome.stats;
    }
    let never = [Branch::SetBack, Branch::Copied, Branch::Renamed, Branch::ShownRenamed]
        .map(|branch| stats.branch(branch) == 0);
    assert_eq!(never, [false; 4], "{stats}");
}

#[test]
fn members_that_are_dead_and_slow_for_ever_do_not_keep_the_others_from_agreeing() {
    for seed in 1..=OF_EACH_MODE {
        let outcome = Schedule::new(seed).of_mode(Mode::Liveness).run();
        assert_eq!(outcome.violation, None, "replay: {}", outcome.replay());
    }
}

#[test]
fn members_that_leave_join_again_and_are_released_lose_nothing() {
    let mut stats = Stats::default();
    let of_it = [Branch::Left, Branch::Rejoined, Branch::Released, Branch::Silent, Branch::Swept];
    for seed in 1..=200 {
        let outcome = Schedule::new(seed).of_mode(Mode::Members).run();
        assert_eq!(outcome.violation, None, "replay: {}", outcome.replay());
        stats += outcome.stats;
        if seed >= OF_EACH_MODE && of_it.iter().all(|branch| stats.branch(*branch) > 0) {
            return;
        }
    }
    panic!("never seen by 200 schedules: {stats}");
}

#[test]
fn nodes_that_hold_parts_of_a_space_lose_nothing_and_agree_on_what_they_share() {
    let mut stats = Stats::default();
    for seed in 1..=OF_EACH_MODE {
        let outcome = Schedule::new(seed).of_mode(Mode::Parts).run();
        assert_eq!(outcome.violation, None, "replay: {}", outcome.replay());
        stats += outcome.stats;
    }
    assert!(stats.branch(Branch::Dropped) > 0, "{stats}");
}

#[test]
fn all_stories_in_files_end_as_they_say() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).expect("there are scenarios") {
        let file = entry.expect("a file has a name").path();
        let text = std::fs::read_to_string(&file).expect("a scenario can be read");
        let scenario = Scenario::read(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        // Without optimisation a thousand engines take minutes.
        if scenario.long || (cfg!(debug_assertions) && scenario.nodes > 100) {
            println!("left out: {}", scenario.about);
            continue;
        }
        let played_one = scenario.play(false);
        println!("{}: {}", scenario.about, played_one.summary);
        assert_eq!(played_one.failure, None, "{}", file.display());
        played += 1;
    }
    assert!(played >= 3, "{played}");
}

#[test]
fn random_schedules_come_by_every_fault_and_every_way_of_repair() {
    let mut stats = Stats::default();
    for seed in 1..=400 {
        stats += Schedule::new(seed).run().stats;
        if Branch::all()
            .filter(|branch| branch.is_of(Mode::Faults) && !is_rare(*branch))
            .all(|branch| stats.branch(branch) > 0)
        {
            return;
        }
    }
    panic!("never seen by 400 schedules: {stats}");
}

#[test]
fn the_same_seed_is_the_same_run_line_for_line() {
    for (seed, mode) in [3, 14, 15, 92].into_iter().flat_map(|seed| Mode::ALL.map(|mode| (seed, mode))) {
        let run = || Schedule::new(seed).of_mode(mode).traced().run();
        let (one, other) = (run(), run());
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

/// Looks for a violation of one of these kinds, by what it says, that a mistake made on purpose leads to. Before it comes no other but
/// those `beside` it, which it may lead to as well: a panic would show nothing but itself.
fn caught_in(mode: Mode, sabotage: Sabotage, about: &[&str], beside: &[&str]) {
    let is_of = |kinds: &[&str], violation: &str| {
        !violation.starts_with("panic") && kinds.iter().any(|kind| violation.contains(kind))
    };
    // The rarest of them shows in one schedule of ten.
    for seed in 1..=300 {
        let outcome = Schedule::new(seed).of_mode(mode).sabotaged(sabotage).run();
        let Some(violation) = outcome.violation else { continue };
        if is_of(about, &violation) {
            return;
        }
        assert!(is_of(beside, &violation), "seed {seed}: {sabotage:?} shows as something else: {violation}");
    }
    panic!("{sabotage:?} is not noticed");
}

fn caught(sabotage: Sabotage, about: &[&str]) {
    caught_in(Mode::Faults, sabotage, about, &[]);
}

/// Something was told of that is on no disk.
const NOT_DURABLE: &str = "durable is";
/// Two hold something else in the same version, as the simulator sees it, and as the engines do.
const DIFFERENT: [&str; 2] = ["differs from another of", "holds another"];
/// A document does not say what was written.
const WRONG: &str = " says ";
const NO_AGREEMENT: &str = "no agreement";

#[test]
fn a_driver_that_speaks_before_the_disk_has_written_is_caught() {
    caught(Sabotage::EarlyDurability, &[NOT_DURABLE]);
}

#[test]
fn a_disk_that_loses_what_it_acknowledged_is_caught() {
    caught(Sabotage::LyingDisk, &[NOT_DURABLE, "was durable to", "which were durable"]);
}

#[test]
fn a_driver_that_builds_on_what_failed_is_caught() {
    // What came after what failed is there, and nothing can follow on it, or it is seen without what it follows on.
    let about = [DIFFERENT[0], DIFFERENT[1], WRONG, "is no causal cut", "deltas still wait"];
    caught(Sabotage::IgnoredGenerations, &about);
}

#[test]
fn a_network_on_which_only_gossip_works_is_caught() {
    caught(Sabotage::NoContent, &[NO_AGREEMENT]);
}

#[test]
fn a_version_that_is_adopted_before_its_content_is_there_is_caught() {
    // Who is believed to have it is sent nothing.
    caught_in(Mode::Faults, Sabotage::EarlyVersion, &[NOT_DURABLE], &[NO_AGREEMENT]);
}

#[test]
fn an_engine_that_asks_for_nothing_is_caught() {
    caught(Sabotage::Engine(Mistake::NoPull), &[NO_AGREEMENT]);
}

#[test]
fn an_engine_that_tells_who_is_far_behind_of_no_removals_is_caught() {
    caught(Sabotage::Engine(Mistake::RemovalsUntold), &[DIFFERENT[0], DIFFERENT[1], WRONG]);
}

#[test]
fn an_engine_that_forgets_a_removal_before_all_know_of_it_is_caught() {
    caught(Sabotage::Engine(Mistake::ForgetsTooSoon), &[WRONG]);
}

#[test]
fn a_node_that_drops_what_nobody_else_holds_is_caught() {
    caught_in(Mode::Parts, Sabotage::Engine(Mistake::DropsAtOnce), &[WRONG], &[]);
}

#[test]
fn an_answer_that_tells_removals_from_news_by_one_version_is_caught() {
    caught(Sabotage::OneVersion, &[DIFFERENT[0], DIFFERENT[1], WRONG]);
}
