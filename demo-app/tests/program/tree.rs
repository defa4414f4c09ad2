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

/// What a dump shows of a tree, with what the nodes say where inside a document they are maps.
fn dumped(home: &Home, name: &str) -> Value {
    let dump = home.json(&["dump"]);
    let (document, inside) =
        name.split_once('/').map_or((name, None), |(document, rest)| (document, Some(rest)));
    let maps = inside.into_iter().flat_map(|inside| inside.split('/'));
    let mut nodes = maps.fold(&dump[document], |map, part| &map["map"][part])["tree"].clone();
    if inside.is_some() {
        for node in nodes.as_array_mut().into_iter().flatten() {
            node["value"] = node["value"]["text"]["lww"].take();
        }
    }
    nodes
}

/// Every verb, with the exact answers.
fn every_verb(home: &Home) {
    assert_eq!(home.json(&["dump"]), json!({}));
    every_verb_on(home, "plan", "other");
    let documents = home.json(&["status", "--documents"]);
    assert!(documents.as_array().unwrap().iter().any(|it| it["name"] == "plan" && it["type"] == "tree"));
    every_verb_on(home, "board/garden/plan", "board/far/away");
    every_verb_on(home, "board/plan", "board/other");
}

/// Every verb on a tree of this name, of which there is none yet; of the other there is none.
fn every_verb_on(home: &Home, name: &str, other: &str) {
    let before = home.json(&["dump"]);
    let says = |arguments: &[&str], expected: Value| {
        assert_eq!(home.json(&[&["tree"], arguments].concat()), expected, "{arguments:?}");
    };
    says(&["get", name], json!([]));
    says(&["get", name, "--trash"], json!([]));
    says(&["empty-trash", name], json!({ "purged": 0 }));
    assert_eq!(home.json(&["dump"]), before, "nothing has been made of nothing");

    let maps = &add(home, name, "maps", &[]);
    let charts = &add(home, name, "charts", &["--at", "0"]);
    let north = &add(home, name, "north", &["--under", maps]);
    let south = &add(home, name, "-5", &["--under", maps, "--at", "0"]);
    let empty = &add(home, name, "", &["--under", south]);
    let all = json!([
        node(charts, None, "charts"),
        node(maps, None, "maps"),
        node(south, Some(maps), "-5"),
        node(empty, Some(south), ""),
        node(north, Some(maps), "north"),
    ]);
    says(&["get", name], all.clone());
    assert_eq!(dumped(home, name), all);

    says(&["rename", name, south, "south"], json!({ "renamed": true }));
    says(&["move", name, north, "--under", maps, "--at", "0"], json!({ "moved": true }));
    says(&["move", name, north, "--under", maps, "--at", "0"], json!({ "moved": true }));
    says(&["move", name, charts, "--under", south], json!({ "moved": true }));
    let moved = json!([
        node(maps, None, "maps"),
        node(north, Some(maps), "north"),
        node(south, Some(maps), "south"),
        node(empty, Some(south), ""),
        node(charts, Some(south), "charts"),
    ]);
    says(&["get", name], moved.clone());
    // To the end of where it stands already.
    says(&["move", name, north, "--under", maps], json!({ "moved": true }));
    says(&["move", name, south, "--under", maps], json!({ "moved": true }));
    says(&["get", name], moved.clone());
    says(&["move", name, maps], json!({ "moved": true }));
    says(&["get", name], moved.clone());

    says(&["delete", name, south], json!({ "deleted": true }));
    says(&["get", name], json!([node(maps, None, "maps"), node(north, Some(maps), "north")]));
    let away = json!([
        node(south, None, "south"),
        node(empty, Some(south), ""),
        node(charts, Some(south), "charts")
    ]);
    says(&["get", name, "--trash"], away);
    says(&["restore", name, south], json!({ "restored": true }));
    says(&["get", name], moved);
    says(&["get", name, "--trash"], json!([]));
    says(&["delete", name, south], json!({ "deleted": true }));
    says(&["move", name, charts, "--at", "0"], json!({ "moved": true }));
    let left =
        json!([node(charts, None, "charts"), node(maps, None, "maps"), node(north, Some(maps), "north")]);
    says(&["get", name], left.clone());

    home.json(&["counter", "inc", "visits"]);
    let before = home.json(&["dump"]);
    for (arguments, code) in [
        (&["tree", "get", "visits"][..], "wrong_type"),
        (&["tree", "add", "visits", "x"], "wrong_type"),
        (&["list", "append", name, "x"], "wrong_type"),
        (&["tree", "get", "visits/plan"], "wrong_type"),
        (&["tree", "add", "visits/plan", "x"], "wrong_type"),
        (&["tree", "add", name, "x", "--at", "3"], "out_of_range"),
        (&["tree", "add", name, "x", "--under", maps, "--at", "2"], "out_of_range"),
        (&["tree", "move", name, charts, "--at", "2"], "out_of_range"),
        (&["tree", "move", name, maps, "--under", north], "below_itself"),
        (&["tree", "move", name, maps, "--under", maps], "below_itself"),
        (&["tree", "add", name, "x", "--under", south], "unknown_node"),
        (&["tree", "move", name, maps, "--under", empty], "unknown_node"),
        (&["tree", "delete", name, south], "unknown_node"),
        (&["tree", "restore", name, empty], "unknown_node"),
        (&["tree", "restore", name, maps], "unknown_node"),
        (&["tree", "add", name, "x", "--under", NOBODY], "unknown_node"),
        (&["tree", "rename", name, NOBODY, "x"], "unknown_node"),
        (&["tree", "move", name, NOBODY], "unknown_node"),
        (&["tree", "move", name, maps, "--under", NOBODY], "unknown_node"),
        (&["tree", "delete", name, NOBODY], "unknown_node"),
        (&["tree", "restore", name, NOBODY], "unknown_node"),
        (&["tree", "purge", name, NOBODY], "unknown_node"),
        (&["tree", "add", other, "x", "--at", "1"], "out_of_range"),
        (&["tree", "add", other, "x", "--under", maps], "unknown_node"),
        (&["tree", "rename", other, maps, "x"], "unknown_node"),
        (&["tree", "move", other, maps], "unknown_node"),
        (&["tree", "delete", other, maps], "unknown_node"),
        (&["tree", "restore", other, maps], "unknown_node"),
        (&["tree", "purge", other, maps], "unknown_node"),
    ] {
        assert_eq!(home.refused(arguments, 1), code, "{arguments:?}");
    }
    assert_eq!(home.json(&["dump"]), before, "what is refused changes nothing and makes nothing");

    says(&["purge", name, south], json!({ "purged": 2 }));
    says(&["get", name, "--trash"], json!([]));
    says(&["purge", name, north], json!({ "purged": 1 }));
    assert_eq!(home.refused(&["tree", "rename", name, empty, "x"], 1), "unknown_node");
    says(&["delete", name, maps], json!({ "deleted": true }));
    says(&["delete", name, charts], json!({ "deleted": true }));
    says(&["rename", name, maps, "old maps"], json!({ "renamed": true }));
    says(&["get", name, "--trash"], json!([node(maps, None, "old maps"), node(charts, None, "charts")]));
    says(&["empty-trash", name], json!({ "purged": 2 }));
    says(&["get", name, "--trash"], json!([]));
    // Of what was told inside a document something may be left, until all know that there is nothing any more.
    assert!(dumped(home, name).as_array().is_none_or(Vec::is_empty));
    assert!(name.contains('/') || dumped(home, name).is_array());
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
    let added = says(&["add", "board/plan", "south"]);
    assert_eq!(says(&["get", "board/plan"]), format!("south  {added}"));
    home.text(&["list", "append", "board/todo", "x"]);
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
            &["delete", "board/plan", lines],
            format!("`board/plan` has no node {lines}; `tombolo tree get` prints those that it has"),
        ),
        (
            &["add", "board/todo", "x"],
            "`todo` in `board/todo` is a list, not a tree; use it as what it is, or choose another name"
                .to_owned(),
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

#[test]
fn what_two_do_offline_to_a_tree_inside_a_document_stands_the_same_at_both() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let ann_up = ann.up();
    let bob = homes.joined("bob", &ann);
    // As deep as a name can lead.
    let deep = &["board"; 31].join("/");
    for name in ["board/plan", deep] {
        let maps = &add(&ann, name, "maps", &[]);
        let charts = &add(&ann, name, "charts", &[]);
        {
            let _bob_up = bob.up();
            bob.until(&["tree", "get", name], |nodes| nodes.as_array().unwrap().len() == 2);
            bob.json(&["wait"]);
        }
        ann.json(&["tree", "move", name, maps, "--under", charts]);
        ann.json(&["tree", "rename", name, charts, "sea charts"]);
        bob.json(&["tree", "move", name, charts, "--under", maps]);
        let dialled = ann_up.ready["listen"][0].as_str().unwrap();
        let _bob_up = bob.up_with(&["--listen", LOOPBACK, "--peer", dialled]);
        bob.json(&["wait"]);
        let both = bob.until(&["tree", "get", name], |nodes| {
            *nodes == ann.json(&["tree", "get", name]) && nodes.to_string().contains("sea charts")
        });
        let one_way = json!([node(maps, None, "maps"), node(charts, Some(maps), "sea charts")]);
        let other_way = json!([node(charts, None, "sea charts"), node(maps, Some(charts), "maps")]);
        assert!([one_way, other_way].contains(&both), "one move of both: {both}");
        let purged = bob.json(&["tree", "purge", name, maps, "--replicated", "1"]);
        assert_eq!(purged["held_by"][0]["name"], "ann");
        assert_eq!(ann.text(&["dump"]), bob.text(&["dump"]));
    }
}
