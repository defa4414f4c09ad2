//! The report's own rules. What the systems compute is checked in every run.

use std::collections::BTreeMap;

use crate::goals::{self, Against};
use crate::meter::{Event, Unit};
use crate::report::{Report, readable};
use crate::run::{Outcome, select};
use crate::{inputs, systems, traces, workloads};

fn outcome(workload: &'static str, system: &'static str, values: &[(&str, f64)]) -> Outcome {
    let mut outcome = Outcome {
        workload,
        system,
        values: BTreeMap::new(),
        order: Vec::new(),
        not_available: Vec::new(),
        wrong: None,
    };
    for &(metric, value) in values {
        outcome.take(Event::Value { metric: metric.to_owned(), value, unit: Unit::Ns });
    }
    outcome
}

#[test]
fn goals_and_remarks_name_what_exists() {
    for goal in goals::ALL {
        assert!(workloads::named(goal.workload).is_some(), "{}", goal.workload);
        if let Against::Peer(peer) = goal.against {
            assert!(systems::named(peer).is_some(), "{peer}");
        }
    }
    for system in systems::ALL {
        for remark in system.remarks() {
            let workload = remark.place.split('/').next().unwrap();
            assert!(workload.is_empty() || workloads::named(workload).is_some(), "{}", remark.place);
        }
        if let Some(package) = system.package() {
            assert!(systems::version_of(package).is_some(), "{package}");
        }
    }
}

#[test]
fn one_goal_a_metric() {
    for (i, goal) in goals::ALL.iter().enumerate() {
        let same = |other: &&goals::Goal| (other.workload, other.metric) == (goal.workload, goal.metric);
        assert!(!goals::ALL[i + 1..].iter().any(|other| same(&other)), "{} {}", goal.workload, goal.metric);
    }
}

#[test]
fn the_best_has_made_the_same_promise() {
    let outcomes = [
        outcome("set", "tombolo", &[("merge.peak", 100.0)]),
        outcome("set", "crdts", &[("merge.peak", 1.0)]),
        outcome("set", "yrs", &[("merge.peak", 50.0)]),
        outcome("set", "hashmap", &[("merge.peak", 2.0)]),
    ];
    let report = Report::new(&outcomes, 1);
    let ours = report.rows.iter().find(|row| row.system == "tombolo").unwrap();
    assert_eq!(ours.ratio, Some((2.0, "yrs, the best".to_owned())));
}

#[test]
fn a_missed_goal_is_said() {
    let outcomes = [
        outcome("counter", "tombolo", &[("one_tx.cpu", 8.0)]),
        outcome("counter", "crdts", &[("one_tx.cpu", 4.0)]),
    ];
    let report = Report::new(&outcomes, 1);
    assert!(report.lines().contains("counter\ttombolo\tone_tx.cpu\t8\tns\t2.0000\tcrdts\t1\tmissed"));
}

#[test]
fn the_median_of_an_odd_and_an_even_number_of_runs() {
    let mut outcome = outcome("set", "yrs", &[("a.cpu", 3.0), ("a.cpu", 1.0), ("a.cpu", 9.0)]);
    assert_eq!(outcome.median("a.cpu").unwrap().0, 3.0);
    outcome.take(Event::Value { metric: "a.cpu".into(), value: 5.0, unit: Unit::Ns });
    assert_eq!(outcome.median("a.cpu").unwrap().0, 4.0);
}

#[test]
fn only_narrows_by_workload_and_system_and_adds_pairs() {
    let names = |only: &[&str]| {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        let pairs = select(&only).unwrap();
        pairs
            .iter()
            .map(|(workload, system)| format!("{}/{}", workload.name, system.name()))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&["set", "yrs"]), ["set/yrs"]);
    assert_eq!(names(&["map/yrs", "set/crdts"]), ["set/crdts", "map/yrs"]);
    assert_eq!(names(&["set", "map", "yrs"]), ["set/yrs", "map/yrs"]);
    assert!(names(&["nested"]).contains(&"nested/tombolo-doc".to_owned()));
    assert!(!names(&["set"]).contains(&"set/tombolo-doc".to_owned()));
    assert_eq!(select(&["sett".to_owned()]).err().as_deref(), Some("sett"));
}

#[test]
fn values_are_readable() {
    assert_eq!(readable(1_234_567.0, Unit::Ns), ("1.235".to_owned(), "ms"));
    assert_eq!(readable(-42_000.0, Unit::Bytes), ("-42.00".to_owned(), "kB"));
    assert_eq!(readable(7.0, Unit::Count), ("7".to_owned(), ""));
}

#[test]
fn inputs_are_the_same_every_time() {
    assert_eq!(inputs::members(1, 3), inputs::members(1, 3));
    assert_ne!(inputs::members(1, 3), inputs::members(2, 3));
    let (third, others) = inputs::every_third(&[0, 1, 2, 3, 4, 5, 6]);
    assert_eq!((third, others), (vec![2, 5], vec![0, 1, 3, 4, 6]));
}

#[test]
fn a_plain_limit_is_one_of_the_value_itself() {
    let outcomes = [outcome("text", "tombolo", &[("keystroke.bytes", 17.0)])];
    let report = Report::new(&outcomes, 1);
    assert!(report.lines().contains("text\ttombolo\tkeystroke.bytes\t17\tns\t17.0000\tone\t16\tmissed"));
}

#[test]
fn made_up_sessions_end_as_they_say() {
    let system = systems::named("tombolo").unwrap();
    let alone = traces::made_up_alone(2_000);
    let mut text = system.text(1).unwrap();
    text.write_in_one(&alone.edits).unwrap();
    assert_eq!((text.read(), alone.edits.len()), (alone.end, 2_000));

    let together = traces::made_up_together(2_000);
    let mut agents = [1, 2].map(|replica| system.text(replica).unwrap());
    let mut deltas: Vec<Vec<u8>> = Vec::new();
    let mut at_once = 0;
    for (nth, lacking) in together.lacking().into_iter().enumerate() {
        at_once += usize::from(lacking.len() > 1);
        let text = &mut agents[together.agents[nth]];
        lacking.iter().for_each(|nth| text.apply(&deltas[*nth]));
        deltas.push(text.write(&together.edits[nth]));
    }
    assert!(at_once > 100);
    assert_eq!(agents[*together.agents.last().unwrap()].read(), together.end);
}
