//! `tombolo watch`: what is shown, as it happens.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::common::{Home, Homes, PATIENCE};
use serde_json::{Value, json};

/// A command that goes on, and the lines that it prints.
fn watch(home: &Home, arguments: &[&str]) -> (Child, Receiver<String>) {
    let mut child = home.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let (sender, lines) = channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || stdout.lines().try_for_each(|line| sender.send(line.unwrap())));
    (child, lines)
}

#[test]
fn changes_are_seen_as_they_arrive() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    assert_eq!(ann.refused(&["watch", "--wait", "0.1"], 1), "not_running");
    let _ann_up = ann.up();
    let bob = homes.joined("bob", &ann);
    let _bob_up = bob.up();
    bob.json(&["wait"]);
    let (mut all, lines) = watch(&ann, &["--json", "watch"]);
    let (mut one, of_one) = watch(&ann, &["--json", "watch", "board/title"]);
    let (mut people, for_people) = watch(&ann, &["watch", "visits"]);
    // They watch once they see this; how soon that is nobody says.
    let mut ticks = 0;
    while [&lines, &of_one, &for_people].iter().any(|lines| lines.try_recv().is_err()) {
        ticks += 1;
        assert!(ticks < 100, "nobody watches");
        ann.json(&["counter", "inc", "visits"]);
        ann.json(&["register", "set", "board/title", &ticks.to_string()]);
        std::thread::sleep(Duration::from_millis(100));
    }
    let next = |lines: &Receiver<String>, wanted: &dyn Fn(&Value) -> bool| loop {
        let line = lines.recv_timeout(PATIENCE).expect("a change");
        let item: Value = serde_json::from_str(&line).unwrap();
        if wanted(&item) {
            return item;
        }
    };
    bob.json(&["set", "add", "labels", "x"]);
    let item = next(&lines, &|item| item["name"] == "labels");
    assert_eq!(
        item,
        json!({ "name": "labels", "type": "set", "value": ["x"], "origin": bob.peer_id(), "peer": "bob" })
    );
    ann.json(&["flag", "enable", "open"]);
    let item = next(&lines, &|item| item["name"] == "open");
    assert_eq!(item, json!({ "name": "open", "type": "flag", "value": true, "origin": "local" }));
    bob.json(&["counter", "inc", "board/other"]);
    bob.json(&["register", "set", "board/title", "new"]);
    let item = next(&of_one, &|item| item["value"] == json!(["new"]));
    assert_eq!(item["different"][0]["path"], json!(["register"]));
    assert_eq!(
        (&item["name"], &item["type"], &item["peer"]),
        (&json!("board/title"), &json!("register"), &json!("bob"))
    );
    bob.json(&["counter", "inc", "visits", "1000"]);
    let start = Instant::now();
    while !for_people.recv_timeout(PATIENCE).unwrap().contains("from bob") {
        assert!(start.elapsed() < PATIENCE);
    }
    drop(_ann_up);
    assert_eq!(all.wait().unwrap().code(), Some(1), "the node has ended");
    for child in [&mut one, &mut people] {
        child.wait().unwrap();
    }
}

/// Who watches one document sees what there is, and then each change of it, by path; also of one that is not there yet, is deleted and begun again.
#[test]
fn one_document_is_watched_step_by_step() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let _ann_up = ann.up();
    let bob = homes.joined("bob", &ann);
    let _bob_up = bob.up();
    bob.json(&["wait"]);
    ann.json(&["set", "add", "labels", "late"]);
    ann.json(&["register", "set", "board/title", "Old"]);
    let next = |lines: &Receiver<String>| -> Value {
        serde_json::from_str(&lines.recv_timeout(PATIENCE).expect("a change")).unwrap()
    };
    let (mut labels, of_labels) = watch(&ann, &["--json", "watch", "labels"]);
    let (mut title, of_title) = watch(&ann, &["--json", "watch", "board/title"]);
    let (mut notes, of_notes) = watch(&ann, &["watch", "notes"]);
    let view = json!({ "name": "labels", "type": "set", "value": ["late"], "origin": "view" });
    assert_eq!(next(&of_labels), view);
    let view = json!({ "name": "board/title", "type": "register", "value": ["Old"], "origin": "view" });
    assert_eq!(next(&of_title), view);

    bob.until(&["set", "list", "labels"], |labels| *labels == json!(["late"]));
    bob.json(&["set", "add", "labels", "early"]);
    let step = json!({
        "name": "labels", "type": "set", "value": ["early", "late"], "origin": bob.peer_id(), "peer": "bob",
        "different": [{ "path": ["early"], "what": "Entered" }],
    });
    assert_eq!(next(&of_labels), step);
    // What is written beside it in the same document is not shown.
    ann.json(&["counter", "inc", "board/visits"]);
    ann.json(&["register", "set", "board/title", "New"]);
    let step = json!({
        "name": "board/title", "type": "register", "value": ["New"], "origin": "local",
        "different": [{ "path": ["register"], "what": { "Replaced": { "old": ["Old"], "new": ["New"] } } }],
    });
    assert_eq!(next(&of_title), step);
    ann.json(&["map", "remove", "board", "title"]);
    let gone = next(&of_title);
    assert_eq!((&gone["type"], &gone["value"]), (&json!("nothing"), &Value::Null));

    let line = || of_notes.recv_timeout(PATIENCE).expect("a change");
    ann.json(&["text", "append", "notes", "The tide falls."]);
    // It is there as soon as anything of it is.
    let mut first = line();
    while first != "text notes \"The tide falls.\"  as it is" {
        let is_begun = first == "text notes \"\"  as it is";
        let is_written = first == "text notes at 0 +\"The tide falls.\"  here";
        assert!(is_begun || is_written, "{first}");
        if is_written {
            break;
        }
        first = line();
    }
    ann.json(&["text", "insert", "notes", "4", "spring "]);
    assert_eq!(line(), "text notes at 4 +\"spring \"  here");
    ann.json(&["text", "mark", "notes", "4", "6", "bold"]);
    assert_eq!(line(), "text notes 4..10 bold true  here");
    for child in [&mut labels, &mut title, &mut notes] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
