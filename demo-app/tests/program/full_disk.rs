//! A disk that is really full: a small one in memory, for which one has to be root. Elsewhere the test is skipped, and says so.
#![cfg(target_os = "linux")]

use crate::common::system::{Disk, skipped};
use crate::common::{Home, Homes};
use serde_json::Value;

const SMALL: u32 = 3 << 10;
const LARGE: u32 = 9 << 9;

/// Adds elements until the disk refuses; those that were acknowledged, and what was said then.
fn fill(home: &Home, from: usize) -> (Vec<String>, Value) {
    let mut acknowledged = Vec::new();
    for n in from..from + 500 {
        let element = format!("{n:04} {}", "x".repeat(40_000));
        let ended = home.run(&["--json", "set", "add", "labels", &element]);
        if ended.code == Some(0) {
            acknowledged.push(element);
            continue;
        }
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
        return (acknowledged, serde_json::from_str(&ended.stderr).unwrap());
    }
    panic!("the disk does not get full");
}

/// Checks that what was acknowledged is there, and soon nothing else: what was refused is seen until it has been read back what the
/// disk holds.
#[track_caller]
fn check(home: &Home, acknowledged: &[String]) {
    let labels = |answer: &Value| serde_json::from_value::<Vec<String>>(answer.clone()).unwrap();
    let listed = labels(&home.json(&["set", "list", "labels"]));
    assert!(acknowledged.iter().all(|label| listed.contains(label)), "something acknowledged is lost");
    home.until(&["set", "list", "labels"], |answer| labels(answer) == acknowledged);
}

#[test]
fn a_full_disk_refuses_writes_and_the_node_goes_on_reading_and_writes_again_when_there_is_room() {
    let homes = Homes::new();
    let home = homes.empty("ann");
    let disk = match Disk::mounted(&home.path, SMALL) {
        Ok(disk) => disk,
        Err(why) => return skipped(&format!("a full disk, for no small one can be made: {why}")),
    };
    home.json(&["init", "--name", "ann"]);
    home.json(&["counter", "inc", "visits", "7"]);
    let node = home.up();

    let (mut acknowledged, refused) = fill(&home, 0);
    println!("{} writes, then {refused}", acknowledged.len());
    assert!(acknowledged.len() > 3, "{refused}");
    assert_eq!(refused["error"]["code"], "not_durable", "{refused}");
    for _ in 0..3 {
        check(&home, &acknowledged);
        assert_eq!(home.json(&["counter", "get", "visits"])["value"], 7);
        let (more, refused) = fill(&home, 500 + acknowledged.len());
        assert_eq!(refused["error"]["code"], "not_durable", "{refused}");
        acknowledged.extend(more);
    }

    disk.resize(LARGE);
    let element = "9999 there is room again";
    home.until(&["set", "list", "labels"], |_| {
        home.run(&["--json", "set", "add", "labels", element]).code == Some(0)
    });
    acknowledged.push(element.to_owned());
    home.json(&["counter", "inc", "visits", "1"]);
    check(&home, &acknowledged);

    node.kill();
    let node = home.up();
    check(&home, &acknowledged);
    assert_eq!(home.json(&["counter", "get", "visits"])["value"], 8);
    assert_eq!(node.stop().code, Some(0));

    // The same without a node: each command opens the home by itself.
    let (more, refused) = fill(&home, 2_000);
    println!("{} writes without a node, then {refused}", more.len());
    assert_eq!(refused["error"]["code"], "not_durable", "{refused}");
    let last = acknowledged.len() - 1;
    acknowledged.splice(last..last, more);
    check(&home, &acknowledged);
}
