//! Trees on the command line, by real processes.

use std::process::Stdio;

use crate::common::{Home, Homes, LOOPBACK, text_of};
use serde_json::{Value, json};

/// An id that no tree of these tests has.
const NOBODY: &str = "3@00000000-0000-4000-8000-000000000000";

/// Adds a node; its id.
#[track_caller]
fn add(home: &Home, name: &str, text: &str, more: &[&str]) -> String {
    let answer = home.json(&[&["tree", "add", name, text], more].concat());
    assert_eq!(answer.as_object().unwrap().len(), 1);
    text_of(&answer["id"]).to_owned()
}

/// A node as it is shown.
fn node(id: &str, parent: Option<&str>, value: &str) -> Value {
    json!({ "id": id, "parent": parent, "value": value })
}

/// Every verb, with the exact answers.
fn every_verb(home: &Home) {
    let says = |arguments: &[&str], expected: Value| {
        assert_eq!(home.json(&[&["tree"], arguments].concat()), expected, "{arguments:?}");
    };
    says(&["get", "plan"], json!([]));
    says(&["get", "plan", "--trash"], json!([]));
    says(&["empty-trash", "plan"], json!({ "purged": 0 }));
    assert_eq!(home.json(&["dump"]), json!({}), "nothing has been made of nothing");

    let maps = &add(home, "plan", "maps", &[]);
    let charts = &add(home, "plan", "charts", &["--at", "0"]);
    let north = &add(home, "plan", "north", &["--under", maps]);
    let south = &add(home, "plan", "-5", &["--under", maps, "--at", "0"]);
    let empty = &add(home, "plan", "", &["--under", south]);
    let all = json!([
        node(charts, None, "charts"),
        node(maps, None, "maps"),
        node(south, Some(maps), "-5"),
        node(empty, Some(south), ""),
        node(north, Some(maps), "north"),
    ]);
    says(&["get", "plan"], all.clone());
    assert_eq!(home.json(&["dump"]), json!({ "plan": { "tree": all } }));

    says(&["rename", "plan", south, "south"], json!({ "renamed": true }));
    says(&["move", "plan", north, "--under", maps, "--at", "0"], json!({ "moved": true }));
    says(&["move", "plan", north, "--under", maps, "--at", "0"], json!({ "moved": true }));
    says(&["move", "plan", charts, "--under", south], json!({ "moved": true }));
    let moved = json!([
        node(maps, None, "maps"),
        node(north, Some(maps), "north"),
        node(south, Some(maps), "south"),
        node(empty, Some(south), ""),
        node(charts, Some(south), "charts"),
    ]);
    says(&["get", "plan"], moved.clone());
    // To the end of where it stands already.
    says(&["move", "plan", north, "--under", maps], json!({ "moved": true }));
    says(&["move", "plan", south, "--under", maps], json!({ "moved": true }));
    says(&["get", "plan"], moved.clone());
    says(&["move", "plan", maps], json!({ "moved": true }));
    says(&["get", "plan"], moved.clone());

    says(&["delete", "plan", south], json!({ "deleted": true }));
    says(&["get", "plan"], json!([node(maps, None, "maps"), node(north, Some(maps), "north")]));
    let away = json!([
        node(south, None, "south"),
        node(empty, Some(south), ""),
        node(charts, Some(south), "charts")
    ]);
    says(&["get", "plan", "--trash"], away);
    says(&["restore", "plan", south], json!({ "restored": true }));
    says(&["get", "plan"], moved);
    says(&["get", "plan", "--trash"], json!([]));
    says(&["delete", "plan", south], json!({ "deleted": true }));
    says(&["move", "plan", charts, "--at", "0"], json!({ "moved": true }));
    let left =
        json!([node(charts, None, "charts"), node(maps, None, "maps"), node(north, Some(maps), "north")]);
    says(&["get", "plan"], left.clone());

    home.json(&["counter", "inc", "visits"]);
    let before = home.json(&["dump"]);
    for (arguments, code) in [
        (&["tree", "get", "visits"][..], "wrong_type"),
        (&["tree", "add", "visits", "x"], "wrong_type"),
        (&["list", "append", "plan", "x"], "wrong_type"),
        (&["tree", "get", "board/plan"], "bad_name"),
        (&["tree", "add", "board/plan", "x"], "bad_name"),
        (&["tree", "add", "plan", "x", "--at", "3"], "out_of_range"),
        (&["tree", "add", "plan", "x", "--under", maps, "--at", "2"], "out_of_range"),
        (&["tree", "move", "plan", charts, "--at", "2"], "out_of_range"),
        (&["tree", "move", "plan", maps, "--under", north], "below_itself"),
        (&["tree", "move", "plan", maps, "--under", maps], "below_itself"),
        (&["tree", "add", "plan", "x", "--under", south], "unknown_node"),
        (&["tree", "move", "plan", maps, "--under", empty], "unknown_node"),
        (&["tree", "delete", "plan", south], "unknown_node"),
        (&["tree", "restore", "plan", empty], "unknown_node"),
        (&["tree", "restore", "plan", maps], "unknown_node"),
        (&["tree", "add", "plan", "x", "--under", NOBODY], "unknown_node"),
        (&["tree", "rename", "plan", NOBODY, "x"], "unknown_node"),
        (&["tree", "move", "plan", NOBODY], "unknown_node"),
        (&["tree", "move", "plan", maps, "--under", NOBODY], "unknown_node"),
        (&["tree", "delete", "plan", NOBODY], "unknown_node"),
        (&["tree", "restore", "plan", NOBODY], "unknown_node"),
        (&["tree", "purge", "plan", NOBODY], "unknown_node"),
        (&["tree", "add", "other", "x", "--at", "1"], "out_of_range"),
        (&["tree", "add", "other", "x", "--under", maps], "unknown_node"),
        (&["tree", "rename", "other", maps, "x"], "unknown_node"),
        (&["tree", "move", "other", maps], "unknown_node"),
        (&["tree", "delete", "other", maps], "unknown_node"),
        (&["tree", "restore", "other", maps], "unknown_node"),
        (&["tree", "purge", "other", maps], "unknown_node"),
    ] {
        assert_eq!(home.refused(arguments, 1), code, "{arguments:?}");
    }
    assert_eq!(home.json(&["dump"]), before, "what is refused changes nothing and makes nothing");

    says(&["purge", "plan", south], json!({ "purged": 2 }));
    says(&["get", "plan", "--trash"], json!([]));
    says(&["purge", "plan", north], json!({ "purged": 1 }));
    assert_eq!(home.refused(&["tree", "rename", "plan", empty, "x"], 1), "unknown_node");
    says(&["delete", "plan", maps], json!({ "deleted": true }));
    says(&["delete", "plan", charts], json!({ "deleted": true }));
    says(&["rename", "plan", maps, "old maps"], json!({ "renamed": true }));
    says(&["get", "plan", "--trash"], json!([node(maps, None, "old maps"), node(charts, None, "charts")]));
    says(&["empty-trash", "plan"], json!({ "purged": 2 }));
    says(&["get", "plan", "--trash"], json!([]));
    assert_eq!(home.json(&["dump"])["plan"], json!({ "tree": [] }));
    let documents = home.json(&["status", "--documents"]);
    assert!(documents.as_array().unwrap().iter().any(|it| it["name"] == "plan" && it["type"] == "tree"));
}

#[test]
fn every_verb_works_without_a_node_and_says_the_same_with_one() {
    crate::common::without_a_node_and_with_one(every_verb);
}

#[test]
fn people_read_a_node_a_line_and_what_is_to_be_done() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let says = |arguments: &[&str]| home.text(&[&["tree"], arguments].concat());
    assert_eq!(says(&["get", "plan"]), "");
    let added = says(&["add", "plan", "maps"]);
    let maps = added.trim_end();
    assert_eq!(added, format!("{maps}\n"));
    let added = says(&["add", "plan", "two\nlines", "--under", maps]);
    let lines = added.trim_end();
    assert_eq!(says(&["get", "plan"]), format!("maps  {maps}\n  \"two\\nlines\"  {lines}\n"));
    assert_eq!(says(&["rename", "plan", lines, "north"]), "renamed\n");
    assert_eq!(says(&["move", "plan", lines, "--at", "0"]), "moved\n");
    assert_eq!(says(&["get", "plan"]), format!("north  {lines}\nmaps  {maps}\n"));
    assert_eq!(says(&["delete", "plan", lines]), "deleted; it is in the trash until it is purged\n");
    assert_eq!(says(&["get", "plan", "--trash"]), format!("north  {lines}\n"));
    for (arguments, expected) in [
        (
            &["delete", "plan", NOBODY][..],
            format!("`plan` has no node {NOBODY}; `tombolo tree get` prints those that it has"),
        ),
        (
            &["delete", "plan", lines],
            format!(
                "node {lines} of `plan` is in the trash; `tombolo tree restore` brings it back, `tombolo tree get --trash` prints what is there"
            ),
        ),
        (&["restore", "plan", maps], format!("node {maps} of `plan` is not in the trash: it is in the tree")),
        (
            &["move", "plan", maps, "--under", maps],
            format!(
                "node {maps} of `plan` cannot be moved below itself; first move out of it what it is to stand below"
            ),
        ),
        (
            &["add", "plan", "x", "--at", "7"],
            "there is no place 7 there in `plan`: places go from 0 to 1".to_owned(),
        ),
        (
            &["add", "board/plan", "x"],
            "`board/plan` is a place inside the document `board`, and a tree is a document of its own; choose a name without `/`, or write `\\/` for a slash that belongs to it".to_owned(),
        ),
    ] {
        let refused = home.run(&[&["tree"], arguments].concat());
        assert_eq!((refused.code, &refused.stdout[..]), (Some(1), ""), "{arguments:?}");
        assert_eq!(refused.stderr, format!("error: {expected}\n"));
    }
    assert_eq!(says(&["restore", "plan", lines]), "restored\n");
    assert_eq!(says(&["get", "plan"]), format!("maps  {maps}\nnorth  {lines}\n"));
    assert_eq!(says(&["purge", "plan", lines]), "purged 1 node\n");
    assert_eq!(says(&["empty-trash", "plan"]), "purged 0 nodes\n");
    for arguments in [
        &["add", "plan"][..],
        &["add", "plan", "x", "--at", "-1"],
        &["add", "plan", "x", "--under", "north"],
        &["rename", "plan", maps],
        &["move", "plan", "0@00000000-0000-4000-8000-000000000000"],
        &["move", "plan", "3"],
        &["delete", "plan", "3@ann"],
        &["delete", "plan"],
        &["get", "plan", maps],
    ] {
        assert_eq!(home.refused(&[&["tree"], arguments].concat(), 2), "usage", "{arguments:?}");
    }
    let unnamed = home.run(&["tree", "delete", "plan", "north"]);
    assert!(unnamed.stderr.contains("a node is named by a number, an @ and the id of a replica"));
    let help = home.text(&["tree", "--help"]);
    let verbs = ["add", "rename", "move", "delete", "restore", "purge", "empty-trash", "get"];
    assert!(verbs.iter().all(|verb| help.contains(verb)), "{help}");
}

#[test]
fn the_prompt_takes_trees() {
    use std::io::Write as _;
    let homes = Homes::new();
    let home = homes.created("ann");
    let id = add(&home, "plan", "maps", &[]);
    let mut shell = home.command(&["shell"]);
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let script = format!("tree rename plan {id} 'old maps'\ntree get plan\ntree get plan --json\n");
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let shown = json!([node(&id, None, "old maps")]);
    assert_eq!(printed, format!("renamed\nold maps  {id}\n{shown}\n"));
}

#[test]
fn what_two_move_into_each_other_offline_stands_the_same_at_both() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let ann_up = ann.up();
    let bob = homes.joined("bob", &ann);
    let maps = &add(&ann, "plan", "maps", &[]);
    let charts = &add(&ann, "plan", "charts", &[]);
    let north = &add(&ann, "plan", "north", &["--under", maps]);
    let old = &add(&ann, "plan", "old", &[]);
    {
        let _bob_up = bob.up();
        bob.until(&["tree", "get", "plan"], |nodes| nodes.as_array().unwrap().len() == 4);
        bob.json(&["wait"]);
    }
    ann.json(&["tree", "move", "plan", maps, "--under", charts]);
    bob.json(&["tree", "move", "plan", charts, "--under", maps]);
    // One puts it away, the other moves it.
    ann.json(&["tree", "delete", "plan", north]);
    bob.json(&["tree", "move", "plan", north]);
    // One puts it away, the other adds a node below it.
    ann.json(&["tree", "delete", "plan", old]);
    let late = &add(&bob, "plan", "late", &["--under", old]);

    let _bob_up = bob.up_with(&["--listen", LOOPBACK, "--peer", ann_up.ready["listen"][0].as_str().unwrap()]);
    let is_together = |dump: &Value| *dump == ann.json(&["dump"]);
    ann.until(&["tree", "get", "plan", "--trash"], |trash| {
        *trash == json!([node(old, None, "old"), node(late, Some(old), "late")])
    });
    bob.json(&["wait"]);
    let both = bob.until(&["dump"], is_together)["plan"]["tree"].clone();
    let parent = |id: &str| {
        let nodes = both.as_array().unwrap();
        nodes.iter().find(|node| node["id"] == id).unwrap_or_else(|| panic!("{id} in {both}"))["parent"]
            .clone()
    };
    assert_eq!(both.as_array().unwrap().len(), 3, "{both}");
    let parents = (parent(maps), parent(charts));
    assert!(
        [(json!(charts), Value::Null), (Value::Null, json!(maps))].contains(&parents),
        "one move of both: {both}"
    );
    assert_eq!(parent(north), Value::Null);
    assert_eq!(ann.json(&["tree", "get", "plan"]), both);
    assert_eq!(ann.text(&["tree", "get", "plan"]), bob.text(&["tree", "get", "plan"]));

    let restored = ann.text(&["tree", "restore", "plan", old, "--replicated", "1"]);
    assert_eq!(restored, "restored\nheld by bob\n");
    let shown = bob.json(&["tree", "get", "plan"]);
    assert!(shown.as_array().unwrap().contains(&node(late, Some(old), "late")), "{shown}");
    assert_eq!(bob.json(&["tree", "get", "plan", "--trash"]), json!([]));
    let purged = bob.json(&["tree", "purge", "plan", old, "--replicated", "1"]);
    assert_eq!((&purged["purged"], &purged["held_by"][0]["name"]), (&json!(2), &json!("ann")));
    assert_eq!(ann.json(&["tree", "get", "plan"]), both);
    let added = ann.text(&["tree", "add", "plan", "new", "--under", maps, "--replicated", "1"]);
    assert!(added.ends_with("\nheld by bob\n"), "{added}");
    assert_eq!(ann.text(&["dump"]), bob.text(&["dump"]));
}
