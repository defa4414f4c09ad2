//! Lists on the command line, by real processes.

use std::process::Stdio;

use crate::common::{Home, Homes, LOOPBACK};
use serde_json::{Value, json};

fn read(home: &Home, name: &str) -> Value {
    home.json(&["list", "get", name])["value"].clone()
}

/// Every verb, with the exact answers.
fn every_verb(home: &Home) {
    let says = |arguments: &[&str], expected: Value| {
        assert_eq!(home.json(&[&["list"], arguments].concat()), expected, "{arguments:?}");
    };
    says(&["get", "trip"], json!({ "value": [] }));
    says(&["delete", "trip", "0", "0"], json!({ "length": 0 }));
    says(&["get", "board/trip"], json!({ "value": [] }));
    assert_eq!(home.json(&["dump"]), json!({}), "nothing has been made of nothing");
    for (name, document) in [("trip", "trip"), ("board/garden/trip", "board")] {
        says(&["append", name, "fish"], json!({ "length": 1 }));
        says(&["insert", name, "0", "pack", "row out"], json!({ "length": 3 }));
        says(&["append", name, "row back", "-5"], json!({ "length": 5 }));
        says(&["insert", name, "5", "", "-"], json!({ "length": 7 }));
        says(&["set", name, "2", "dive"], json!({ "length": 7 }));
        says(&["set", name, "6", "-7.5"], json!({ "length": 7 }));
        let all = ["pack", "row out", "dive", "row back", "-5", "", "-7.5"];
        says(&["get", name], json!({ "value": all }));
        says(&["delete", name, "0"], json!({ "length": 6 }));
        says(&["delete", name, "2", "3"], json!({ "length": 3 }));
        says(&["delete", name, "3", "0"], json!({ "length": 3 }));
        says(&["get", name], json!({ "value": ["row out", "dive", "-7.5"] }));
        assert!(home.json(&["dump"]).as_object().unwrap().contains_key(document));
    }
    says(&["get", "board/garden/other"], json!({ "value": [] }));
    home.json(&["counter", "inc", "visits"]);
    let all = json!({
        "board": { "map": { "garden": { "map": { "trip": { "list": ["row out", "dive", "-7.5"] } } } } },
        "trip": { "list": ["row out", "dive", "-7.5"] },
        "visits": { "counter": 1 },
    });
    assert_eq!(home.json(&["dump"]), all);

    for (arguments, code) in [
        (&["list", "get", "visits"][..], "wrong_type"),
        (&["list", "append", "visits", "x"], "wrong_type"),
        (&["list", "append", "board/garden", "x"], "wrong_type"),
        (&["set", "add", "trip", "x"], "wrong_type"),
        (&["text", "append", "board/garden/trip", "x"], "wrong_type"),
        (&["list", "insert", "trip", "4", "x", "y"], "out_of_range"),
        (&["list", "set", "trip", "3", "x"], "out_of_range"),
        (&["list", "delete", "trip", "3"], "out_of_range"),
        (&["list", "delete", "trip", "2", "2"], "out_of_range"),
        (&["list", "delete", "trip", "1", "18446744073709551615"], "out_of_range"),
        (&["list", "insert", "board/garden/trip", "4", "x"], "out_of_range"),
        (&["list", "set", "board/garden/trip", "3", "x"], "out_of_range"),
        (&["list", "delete", "board/garden/trip", "0", "4"], "out_of_range"),
        (&["list", "insert", "other", "1", "x"], "out_of_range"),
        (&["list", "set", "other", "0", "x"], "out_of_range"),
        (&["list", "delete", "other", "0"], "out_of_range"),
        (&["list", "insert", "board/far/away", "1", "x"], "out_of_range"),
        (&["list", "set", "board/far/away", "0", "x"], "out_of_range"),
        (&["list", "delete", "board/far/away", "0"], "out_of_range"),
    ] {
        assert_eq!(home.refused(arguments, 1), code, "{arguments:?}");
    }
    assert_eq!(home.json(&["dump"]), all, "what is refused changes nothing and makes nothing");
    let documents = home.json(&["status", "--documents"]);
    assert!(documents.as_array().unwrap().iter().any(|it| it["name"] == "trip" && it["type"] == "list"));
}

#[test]
fn every_verb_works_without_a_node_and_says_the_same_with_one() {
    crate::common::without_a_node_and_with_one(every_verb);
}

#[test]
fn people_read_an_element_a_line_and_how_many_there_are() {
    let homes = Homes::new();
    let home = homes.created("ann");
    assert_eq!(home.text(&["list", "get", "trip"]), "");
    assert_eq!(home.text(&["list", "append", "trip", "fish"]), "inserted; it has 1 element now\n");
    assert_eq!(home.text(&["list", "insert", "trip", "0", "row out"]), "inserted; it has 2 elements now\n");
    assert_eq!(home.text(&["list", "set", "trip", "1", "dive"]), "replaced; it has 2 elements now\n");
    assert_eq!(home.text(&["list", "get", "trip"]), "row out\ndive\n");
    assert_eq!(home.text(&["list", "delete", "trip", "0"]), "deleted; it has 1 element now\n");
    for (arguments, expected) in [
        (
            &["insert", "trip", "7", "x"][..],
            "`trip` is 1 element long, so there is no place 7 in it: places go from 0 to 1",
        ),
        (
            &["set", "trip", "1", "x"],
            "`trip` is 1 element long, so there is no element 1 in it: elements go from 0 to 0",
        ),
        (&["set", "other", "0", "x"], "`other` is 0 elements long, so there is no element 0 in it"),
        (
            &["delete", "other", "2", "3"],
            "`other` is 0 elements long, so 3 from place 2 on cannot be deleted",
        ),
    ] {
        let beyond = home.run(&[&["list"], arguments].concat());
        assert_eq!((beyond.code, &beyond.stdout[..]), (Some(1), ""), "{arguments:?}");
        assert_eq!(beyond.stderr, format!("error: {expected}\n"));
    }
    for arguments in [
        &["insert", "trip", "-1", "x"][..],
        &["insert", "trip", "0"],
        &["append", "trip"],
        &["set", "trip", "0"],
        &["set", "trip", "0", "x", "y"],
        &["delete", "trip"],
        &["delete", "trip", "0", "-1"],
    ] {
        assert_eq!(home.refused(&[&["list"], arguments].concat(), 2), "usage", "{arguments:?}");
    }
    let help = home.text(&["list", "--help"]);
    assert!(["insert", "append", "set", "delete", "get"].iter().all(|verb| help.contains(verb)), "{help}");
}

#[test]
fn the_prompt_takes_lists() {
    use std::io::Write as _;
    let homes = Homes::new();
    let home = homes.created("ann");
    let mut shell = home.command(&["shell"]);
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let script = b"list append trip 'row out' fish\nlist get trip\nlist get trip --json\n";
    child.stdin.take().unwrap().write_all(script).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        printed,
        "inserted; it has 2 elements now\nrow out\nfish\n{\"value\":[\"row out\",\"fish\"]}\n"
    );
}

#[test]
fn what_two_write_offline_is_all_there() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let ann_up = ann.up();
    let bob = homes.joined("bob", &ann);
    let names = ["trip", "board/trip"];
    for name in names {
        ann.json(&["list", "append", name, "row out", "fish", "row back"]);
    }
    {
        let _bob_up = bob.up();
        for name in names {
            bob.until(&["list", "get", name], |answer| answer["value"].as_array().unwrap().len() == 3);
        }
        bob.json(&["wait"]);
    }
    for name in names {
        // In one go at one place; and both put another in place of the same element.
        ann.json(&["list", "insert", name, "1", "a1", "a2"]);
        bob.json(&["list", "insert", name, "1", "b1", "b2"]);
        ann.json(&["list", "set", name, "4", "sail back"]);
        bob.json(&["list", "set", name, "4", "swim back"]);
        bob.json(&["list", "delete", name, "0"]);
    }
    let _bob_up = bob.up_with(&["--listen", LOOPBACK, "--peer", ann_up.ready["listen"][0].as_str().unwrap()]);
    for name in names {
        let both = ann.until(&["list", "get", name], |answer| answer["value"].as_array().unwrap().len() == 7);
        bob.until(&["list", "get", name], |answer| *answer == both);
        let all: Vec<&str> = both["value"].as_array().unwrap().iter().map(crate::common::text_of).collect();
        let place = |of: &str| all.iter().position(|element| *element == of).expect("it is there");
        assert_eq!((place("a2"), place("b2")), (place("a1") + 1, place("b1") + 1), "{all:?}");
        assert_eq!((place("fish"), place("sail back").min(place("swim back"))), (4, 5), "{all:?}");
    }
    let held = ann.text(&["list", "append", "trip", "sleep", "--replicated", "1"]);
    assert_eq!(held, "inserted; it has 8 elements now\nheld by bob\n");
    let held = ann.json(&["list", "delete", "board/trip", "0", "7", "--replicated", "1"]);
    assert_eq!(held["length"], 0);
    assert_eq!(held["held_by"][0]["name"], "bob");
    assert_eq!(read(&bob, "board/trip"), json!([]));
    assert_eq!(ann.text(&["dump"]), bob.text(&["dump"]));
}
