//! The rule, the file, and that the workloads are what they are every time.

use crate::baseline::{Baseline, Tools};
use crate::callgrind;
use crate::compare::{Costs, INSTRUCTIONS, Verdict, compare, failed, gained, grouped, table};
use crate::{bytes, workloads};

fn costs(values: &[(&str, &str, u64)]) -> Costs {
    let mut costs = Costs::new();
    for &(workload, metric, value) in values {
        costs.entry(workload.to_owned()).or_default().insert(metric.to_owned(), value);
    }
    costs
}

fn verdict(metric: &str, baseline: u64, now: u64) -> Verdict {
    let rows = compare(&costs(&[("set", metric, baseline)]), &costs(&[("set", metric, now)]));
    assert_eq!(rows.len(), 1);
    rows[0].verdict
}

#[test]
fn one_byte_more_or_less_fails() {
    assert_eq!(verdict("state_bytes", 1_000_000, 1_000_000), Verdict::Ok);
    assert_eq!(verdict("state_bytes", 1_000_000, 1_000_001), Verdict::Differs);
    assert_eq!(verdict("state_bytes", 1_000_000, 999_999), Verdict::Differs);
    let rows = compare(&costs(&[("set", "state_bytes", 10)]), &costs(&[("set", "state_bytes", 9)]));
    assert_eq!((failed(&rows), gained(&rows)), (1, 0));
}

#[test]
fn instructions_may_differ_by_five_percent_and_not_by_one_more() {
    for (now, expected) in [
        (1_000, Verdict::Ok),
        (1_050, Verdict::Ok),
        (1_051, Verdict::More),
        (950, Verdict::Ok),
        (949, Verdict::Fewer),
    ] {
        assert_eq!(verdict(INSTRUCTIONS, 1_000, now), expected, "{now}");
    }
    assert_eq!(verdict(INSTRUCTIONS, u64::MAX, u64::MAX), Verdict::Ok);
    assert_eq!(verdict(INSTRUCTIONS, 0, 1), Verdict::More);
}

#[test]
fn what_is_cheaper_is_told_and_passes() {
    let (baseline, now) = (costs(&[("set", INSTRUCTIONS, 1_000)]), costs(&[("set", INSTRUCTIONS, 500)]));
    let rows = compare(&baseline, &now);
    assert_eq!((failed(&rows), gained(&rows)), (0, 1));
    assert!(table(&rows).contains("-50.00 %  fewer: renew"), "{}", table(&rows));
}

#[test]
fn what_is_new_or_gone_fails() {
    let baseline = costs(&[("set", "state_bytes", 7), ("set", INSTRUCTIONS, 1_000)]);
    let now = costs(&[("set", INSTRUCTIONS, 1_000), ("map", "state_bytes", 7)]);
    let rows = compare(&baseline, &now);
    let verdicts: Vec<_> = rows.iter().map(|row| (row.workload.as_str(), row.verdict)).collect();
    assert_eq!(verdicts, [("map", Verdict::New), ("set", Verdict::Ok), ("set", Verdict::Gone)]);
    assert_eq!(failed(&rows), 2);
}

fn tools() -> Tools {
    Tools { rustc: "1.95.0".into(), target: "x86_64-unknown-linux-gnu".into(), valgrind: "3.19.0".into() }
}

#[test]
fn the_file_says_what_was_written_in_one_line_a_metric() {
    let costs = costs(&[("set", "state_bytes", 70_123), ("set", INSTRUCTIONS, 1_234_567)]);
    let baseline = Baseline { tools: tools(), costs };
    let text = baseline.text();
    assert!(text.contains("\nset.instructions = 1_234_567\nset.state_bytes = 70_123\n"), "{text}");
    assert_eq!(Baseline::parse(&text), Ok(baseline));
}

#[test]
fn other_tools_are_told_and_another_target_is_refused() {
    let baseline = tools();
    assert_eq!(tools().comparable(&baseline), Ok(Vec::new()));
    let newer = Tools { rustc: "1.96.0".into(), ..tools() };
    let notes = newer.comparable(&baseline).unwrap();
    assert!(notes.len() == 1 && notes[0].contains("1.96.0") && notes[0].contains("1.95.0"), "{notes:?}");
    let other = Tools { target: "aarch64-unknown-linux-gnu".into(), ..tools() };
    assert!(other.comparable(&baseline).unwrap_err().contains("--bytes"));
}

#[test]
fn the_committed_baseline_names_the_eighteen_workloads() {
    let baseline = Baseline::read().unwrap();
    let mut names: Vec<&str> = workloads::ALL.iter().map(|workload| workload.name).collect();
    names.sort_unstable();
    assert_eq!(names.len(), 18);
    assert_eq!(baseline.costs.keys().map(String::as_str).collect::<Vec<_>>(), names);
    assert!(baseline.costs.values().all(|metrics| metrics.contains_key(INSTRUCTIONS) && metrics.len() > 1));
}

#[test]
fn a_workload_gives_the_same_bytes_every_time() {
    assert_eq!(bytes(), bytes());
}

#[test]
fn the_sum_in_a_callgrind_file() {
    assert_eq!(callgrind::total("events: Ir\nsummary: 7\n\ntotals: 1234\n"), Some(1234));
    assert_eq!(callgrind::total("events: Ir\n"), None);
}

#[test]
fn numbers_are_grouped() {
    assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1_000", "1_234_567"]);
}
