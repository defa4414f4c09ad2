//! Movable lists on the command line, by real processes.

use std::process::Stdio;

use crate::common::{Home, Homes, LOOPBACK};
use serde_json::{Value, json};

fn read(home: &Home, name: &str) -> Value {
    home.json(&["movable", "get", name])["value"].clone()
}

/// Every verb, with the exact answers.
fn every_verb(home: &Home) {
    let says = |arguments: &[&str], expected: Value| {
        assert_eq!(home.json(&[&["movable"], arguments].concat()), expected, "{arguments:?}");
    };
    says(&["get", "week"], json!({ "value": [] }));
    says(&["delete", "week", "0", "0"], json!({ "length": 0 }));
    says(&["move", "week", "0", "0", "0"], json!({ "length": 0 }));
    says(&["get", "board/week"], json!({ "value": [] }));
    says(&["delete", "board/week", "0", "0"], json!({ "length": 0 }));
    assert_eq!(home.json(&["dump"]), json!({}), "nothing has been made of nothing");
    for (name, document) in [("week", "week"), ("board/garden/week", "board")] {
        says(&["append", name, "water"], json!({ "length": 1 }));
        says(&["insert", name, "0", "dig", "plant"], json!({ "length": 3 }));
        says(&["append", name, "-5", ""], json!({ "length": 5 }));
        says(&["set", name, "3", "weed"], json!({ "length": 5 }));
        says(&["set", name, "4", "-7.5"], json!({ "length": 5 }));
        says(&["get", name], json!({ "value": ["dig", "plant", "water", "weed", "-7.5"] }));
        says(&["move", name, "0", "4"], json!({ "length": 5 }));
        says(&["get", name], json!({ "value": ["plant", "water", "weed", "-7.5", "dig"] }));
        says(&["move", name, "3", "0", "2"], json!({ "length": 5 }));
        says(&["get", name], json!({ "value": ["-7.5", "dig", "plant", "water", "weed"] }));
        says(&["move", name, "0", "3", "2"], json!({ "length": 5 }));
        says(&["move", name, "1", "1"], json!({ "length": 5 }));
        says(&["move", name, "5", "5", "0"], json!({ "length": 5 }));
        says(&["get", name], json!({ "value": ["plant", "water", "weed", "-7.5", "dig"] }));
        says(&["delete", name, "3"], json!({ "length": 4 }));
        says(&["delete", name, "1", "2"], json!({ "length": 2 }));
        says(&["delete", name, "2", "0"], json!({ "length": 2 }));
        assert!(home.json(&["dump"]).as_object().unwrap().contains_key(document));
    }
    says(&["get", "board/garden/other"], json!({ "value": [] }));
    home.json(&["counter", "inc", "visits"]);
    home.json(&["list", "append", "trip", "fish"]);
    let text = |text: &str| json!({ "text": { "lww": text } });
    let inside = json!({ "movable_list": [text("plant"), text("dig")] });
    let all = json!({
        "board": { "map": { "garden": { "map": { "week": inside } } } },
        "trip": { "list": ["fish"] },
        "visits": { "counter": 1 },
        "week": { "movable": ["plant", "dig"] },
    });
    assert_eq!(home.json(&["dump"]), all);

    for (arguments, code) in [
        (&["movable", "get", "visits"][..], "wrong_type"),
        (&["movable", "append", "trip", "x"], "wrong_type"),
        (&["movable", "move", "trip", "0", "0"], "wrong_type"),
        (&["list", "append", "week", "x"], "wrong_type"),
        (&["movable", "get", "board/garden"], "wrong_type"),
        (&["movable", "append", "board/garden", "x"], "wrong_type"),
        (&["list", "append", "board/garden/week", "x"], "wrong_type"),
        (&["movable", "append", "trip/week", "x"], "wrong_type"),
        (&["movable", "insert", "week", "3", "x", "y"], "out_of_range"),
        (&["movable", "set", "week", "2", "x"], "out_of_range"),
        (&["movable", "move", "week", "2", "0"], "out_of_range"),
        (&["movable", "move", "week", "0", "2"], "out_of_range"),
        (&["movable", "move", "week", "0", "1", "2"], "out_of_range"),
        (&["movable", "move", "week", "1", "18446744073709551615"], "out_of_range"),
        (&["movable", "move", "week", "1", "0", "18446744073709551615"], "out_of_range"),
        (&["movable", "delete", "week", "2"], "out_of_range"),
        (&["movable", "delete", "week", "1", "18446744073709551615"], "out_of_range"),
        (&["movable", "insert", "board/garden/week", "3", "x", "y"], "out_of_range"),
        (&["movable", "set", "board/garden/week", "2", "x"], "out_of_range"),
        (&["movable", "move", "board/garden/week", "0", "2"], "out_of_range"),
        (&["movable", "delete", "board/garden/week", "2"], "out_of_range"),
        (&["movable", "insert", "board/far/away", "1", "x"], "out_of_range"),
        (&["movable", "set", "board/far/away", "0", "x"], "out_of_range"),
        (&["movable", "move", "board/far/away", "0", "0"], "out_of_range"),
        (&["movable", "delete", "board/far/away", "0"], "out_of_range"),
        (&["movable", "insert", "other", "1", "x"], "out_of_range"),
        (&["movable", "set", "other", "0", "x"], "out_of_range"),
        (&["movable", "move", "other", "0", "0"], "out_of_range"),
        (&["movable", "delete", "other", "0"], "out_of_range"),
    ] {
        assert_eq!(home.refused(arguments, 1), code, "{arguments:?}");
    }
    assert_eq!(home.json(&["dump"]), all, "what is refused changes nothing and makes nothing");
    let documents = home.json(&["status", "--documents"]);
    assert!(documents.as_array().unwrap().iter().any(|it| it["name"] == "week" && it["type"] == "movable"));
}

#[test]
fn every_verb_works_without_a_node_and_says_the_same_with_one() {
    crate::common::without_a_node_and_with_one(every_verb);
}

#[test]
fn people_read_an_element_a_line_and_what_is_to_be_done() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let says = |arguments: &[&str]| home.text(&[&["movable"], arguments].concat());
    assert_eq!(says(&["get", "week"]), "");
    assert_eq!(says(&["append", "week", "dig"]), "inserted; it has 1 element now\n");
    assert_eq!(says(&["insert", "week", "1", "plant", "water"]), "inserted; it has 3 elements now\n");
    assert_eq!(says(&["set", "week", "0", "dig deep"]), "replaced; it has 3 elements now\n");
    assert_eq!(says(&["move", "week", "0", "2"]), "moved; it has 3 elements now\n");
    assert_eq!(says(&["get", "week"]), "plant\nwater\ndig deep\n");
    assert_eq!(says(&["delete", "week", "0"]), "deleted; it has 2 elements now\n");
    assert_eq!(says(&["append", "board/week", "rest"]), "inserted; it has 1 element now\n");
    assert_eq!(says(&["get", "board/week"]), "rest\n");
    home.text(&["list", "append", "board/todo", "x"]);
    let other = home.run(&["list", "append", "board/week", "x"]);
    let expected =
        "`week` in `board/week` is a movable, not a list; use it as what it is, or choose another name";
    assert_eq!(other.stderr, format!("error: {expected}\n"));
    for (arguments, expected) in [
        (
            &["insert", "week", "7", "x"][..],
            "`week` is 2 elements long, so there is no place 7 in it: places go from 0 to 2",
        ),
        (
            &["set", "week", "2", "x"],
            "`week` is 2 elements long, so there is no element 2 in it: elements go from 0 to 1",
        ),
        (&["move", "week", "2", "0"], "`week` is 2 elements long, so 1 from place 2 on cannot be moved"),
        (
            &["move", "week", "0", "2"],
            "`week` is 2 elements long, so there is no place 2 to move to: places go from 0 to 1",
        ),
        (
            &["move", "week", "0", "1", "2"],
            "`week` is 2 elements long, so there is no place 1 to move to: places go from 0 to 0",
        ),
        (&["move", "other", "0", "0"], "`other` is 0 elements long, so 1 from place 0 on cannot be moved"),
        (&["delete", "week", "1", "2"], "`week` is 2 elements long, so 2 from place 1 on cannot be deleted"),
        (
            &["append", "board/todo", "x"],
            "`todo` in `board/todo` is a list, not a movable; use it as what it is, or choose another name",
        ),
        (
            &["set", "board/week", "1", "x"],
            "`board/week` is 1 element long, so there is no element 1 in it: elements go from 0 to 0",
        ),
    ] {
        let refused = home.run(&[&["movable"], arguments].concat());
        assert_eq!((refused.code, &refused.stdout[..]), (Some(1), ""), "{arguments:?}");
        assert_eq!(refused.stderr, format!("error: {expected}\n"));
    }
    for arguments in [
        &["insert", "week", "0"][..],
        &["append", "week"],
        &["set", "week", "0"],
        &["move", "week", "0"],
        &["move", "week", "0", "-1"],
        &["move", "week", "0", "1", "1", "1"],
        &["delete", "week"],
    ] {
        assert_eq!(home.refused(&[&["movable"], arguments].concat(), 2), "usage", "{arguments:?}");
    }
    let help = home.text(&["movable", "--help"]);
    let verbs = ["insert", "append", "set", "move", "delete", "get"];
    assert!(verbs.iter().all(|verb| help.contains(verb)), "{help}");
}

#[test]
fn the_prompt_takes_movable_lists() {
    use std::io::Write as _;
    let homes = Homes::new();
    let home = homes.created("ann");
    let mut shell = home.command(&["shell"]);
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let script = b"movable append week dig 'dig deep'\nmovable move week 1 0\nmovable get week --json\n";
    child.stdin.take().unwrap().write_all(script).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected =
        "inserted; it has 2 elements now\nmoved; it has 2 elements now\n{\"value\":[\"dig deep\",\"dig\"]}\n";
    assert_eq!(printed, expected);
}

#[test]
fn what_two_move_and_write_offline_stands_once_with_what_was_written() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let ann_up = ann.up();
    let bob = homes.joined("bob", &ann);
    let names = ["week", "board/week"];
    for name in names {
        ann.json(&["movable", "append", name, "dig", "plant", "water", "weed", "rest"]);
    }
    {
        let _bob_up = bob.up();
        for name in names {
            bob.until(&["movable", "get", name], |answer| answer["value"].as_array().unwrap().len() == 5);
        }
        bob.json(&["wait"]);
    }
    for name in names {
        // Moved by one and written to by the other; moved by both, where Bob is the later one; deleted by one and moved by the other.
        ann.json(&["movable", "move", name, "0", "2"]);
        bob.json(&["movable", "set", name, "0", "dig deep"]);
        ann.json(&["movable", "delete", name, "3"]);
        bob.json(&["movable", "move", name, "3", "0"]);
        ann.json(&["movable", "move", name, "3", "0"]);
        bob.json(&["movable", "move", name, "4", "3"]);
    }

    let _bob_up = bob.up_with(&["--listen", LOOPBACK, "--peer", ann_up.ready["listen"][0].as_str().unwrap()]);
    let both = json!(["plant", "rest", "water", "dig deep"]);
    for name in names {
        ann.until(&["movable", "get", name], |answer| answer["value"].as_array().unwrap().len() == 4);
    }
    bob.json(&["wait"]);
    bob.until(&["dump"], |dump| *dump == ann.json(&["dump"]));
    names.iter().for_each(|name| assert_eq!(read(&ann, name), both, "{name}"));
    let moved = ann.text(&["movable", "move", "week", "0", "3", "--replicated", "1"]);
    assert_eq!(moved, "moved; it has 4 elements now\nheld by bob\n");
    let deleted = bob.json(&["movable", "delete", "week", "0", "3", "--replicated", "1"]);
    assert_eq!((&deleted["length"], &deleted["held_by"][0]["name"]), (&json!(1), &json!("ann")));
    let deleted = bob.json(&["movable", "delete", "board/week", "1", "3", "--replicated", "1"]);
    assert_eq!((&deleted["length"], &deleted["held_by"][0]["name"]), (&json!(1), &json!("ann")));
    names.iter().for_each(|name| assert_eq!(read(&ann, name), json!(["plant"]), "{name}"));
    assert_eq!(ann.text(&["dump"]), bob.text(&["dump"]));
}
