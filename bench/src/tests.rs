//! The report's own rules. What the systems compute is checked in every run.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc;
use std::time::Duration;

use crate::goals::{self, Against};
use crate::instructions::{are_wanted, follow};
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

/// Of a session that measures `one_tx`, makes something ready, and begins `each`.
fn told_until_each() -> (mpsc::Sender<Event>, mpsc::Receiver<Event>) {
    let (child, events) = mpsc::channel();
    let begin = |section: &str| Event::Begin { section: section.to_owned() };
    let value = |metric: &str| Event::Value { metric: metric.to_owned(), value: 1.0, unit: Unit::Ns };
    let told =
        [begin("one_tx"), value("one_tx.cpu"), value("one_tx.zstd.cpu"), begin("(ready)"), begin("each")];
    told.into_iter().for_each(|event| child.send(event).unwrap());
    (child, events)
}

#[test]
fn what_was_finished_before_the_limit_is_kept() {
    let (child, events) = told_until_each();
    let (finished, why) = follow(&events, "save", Duration::ZERO);
    assert_eq!((finished, why.as_str()), (vec!["one_tx".to_owned()], "stopped after 0 s, in each"));
    drop(child);

    let (child, events) = told_until_each();
    drop(child);
    let (finished, why) = follow(&events, "save", Duration::from_secs(60));
    assert_eq!((finished, why.as_str()), (vec!["one_tx".to_owned()], "the process ended in each"));

    let (_goes_on, events) = told_until_each();
    assert_eq!(follow(&events, "one_tx", Duration::from_secs(60)).0, ["one_tx"]);
}

#[test]
fn instructions_stand_beside_the_time() {
    let times = [("one_tx.cpu", 1.0), ("one_tx.wall", 1.0), ("save.cpu", 1.0), ("save.zstd.cpu", 1.0)];
    let mut outcome = outcome("text", "yrs", &times);
    outcome.take_instructions(&HashMap::from([("one_tx".to_owned(), 5e6)]), "stopped");
    assert_eq!(outcome.order[..3], ["one_tx.cpu", "one_tx.instructions", "one_tx.wall"]);
    assert_eq!(outcome.not_available, [("save.instructions".to_owned(), "not counted: stopped".to_owned())]);
    let table = Report::new(&[outcome], 1).table();
    assert!(table.contains("5.000 M"), "{table}");
}

#[test]
fn instructions_are_set_against_whom_the_goal_of_the_time_names() {
    let counted = |system, cpu: f64, instructions: f64| {
        let mut outcome = outcome("text", system, &[("each.cpu", cpu)]);
        outcome.take_instructions(&HashMap::from([("each".to_owned(), instructions)]), "");
        outcome
    };
    // The best by instructions is not the best by time.
    let outcomes = [counted("tombolo", 6.0, 60.0), counted("yrs", 5.0, 20.0), counted("cola", 4.0, 80.0)];
    let lines = Report::new(&outcomes, 1).lines();
    assert!(lines.contains("each.cpu\t6\tns\t1.5000\tcola, the best\t0.5\tmissed\t0.7500\n"), "{lines}");
    assert!(lines.contains("each.instructions\t60\tinstructions\t3.0000\tyrs, the best\t\t\t\n"), "{lines}");

    let outcomes = [counted("tombolo", 6.0, 60.0), outcome("text", "cola", &[("each.cpu", 4.0)])];
    let lines = Report::new(&outcomes, 1).lines();
    assert!(lines.contains("each.cpu\t6\tns\t1.5000\tcola, the best\t0.5\tmissed\t\n"), "{lines}");
}

#[test]
fn instructions_are_counted_of_what_is_named_or_else_of_texts_and_our_growth() {
    let wanted = |only: &[&str], workload, system| {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        are_wanted(&only, &outcome(workload, system, &[]))
    };
    assert!(
        wanted(&[], "text", "cola") && wanted(&[], "growth", "tombolo") && wanted(&["set"], "set", "yrs")
    );
    assert!(!wanted(&[], "growth", "yrs") && !wanted(&[], "set", "tombolo"));
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
