//! `tombolo inspect`, by real processes.

use std::path::{Path, PathBuf};

use crate::common::{Home, Homes};
use serde_json::{Value, json};
use tombolo_crdt::{AddWinsSet, Dot, Replica, ReplicaId};
use tombolo_sync::DocId;
use tombolo_sync::store::{RedbStore, Store as _, Write};

/// A home with a few documents, one of them of several slices' worth.
fn filled(homes: &Homes) -> Home {
    let home = homes.created("ann");
    home.json(&["counter", "inc", "visits", "5"]);
    home.json(&["set", "add", "labels", "late"]);
    home.json(&["set", "add", "labels", "early"]);
    home.json(&["register", "set", "board/title", "Garden"]);
    home
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn written(homes: &Homes, name: &str, bytes: &[u8]) -> PathBuf {
    let path = homes.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn of<'v>(answer: &'v Value, name: &str) -> &'v Value {
    let documents = answer["documents"].as_array().unwrap();
    documents.iter().find(|document| document["name"] == name).unwrap_or_else(|| panic!("{name}: {answer}"))
}

/// What a command prints that ends by saying that there is damage.
#[track_caller]
fn damage(home: &Home, arguments: &[&str]) -> String {
    let ended = home.run(arguments);
    assert!(ended.code == Some(1) && ended.stderr.contains("is damaged"), "{arguments:?}: {ended:?}");
    ended.stdout
}

#[test]
fn a_message_is_printed_also_when_it_is_damaged() {
    let homes = Homes::new();
    let home = homes.empty("nobody");
    let mut fruit = Replica::<AddWinsSet<String>>::new(ReplicaId::from_bytes([7; 16]));
    let _ = fruit.update(|fruit| fruit.extend((0..30).map(|n| format!("fig {n}"))));
    let mut bytes = fruit.encode();
    let state = written(&homes, "fruit.state", &bytes);
    let printed = home.text(&["inspect", text(&state)]);
    assert!(printed.starts_with("a state of ") && printed.contains("\ntype      AddWinsSet\n"), "{printed}");
    assert!(printed.contains("\"fig 7\"  07070707:8\n"), "{printed}");
    assert!(printed.contains("… and 11 more; --full shows all") && !printed.contains("fig 29"), "{printed}");
    assert!(home.text(&["inspect", "--full", text(&state)]).contains("\"fig 29\""));
    let answer = home.json(&["inspect", text(&state)]);
    assert_eq!((&answer["kind"], &answer["sound"]), (&json!("message"), &json!(true)));
    assert_eq!(answer["bodies"][0]["nodes"][1]["key"], "\"fig 0\"");

    bytes[10] ^= 1;
    let damaged = written(&homes, "damaged.state", &bytes);
    let printed = damage(&home, &["inspect", text(&damaged)]);
    assert!(printed.contains("WRONG     the checksum is wrong") && printed.contains("fig 7"), "{printed}");
    let answer: Value = serde_json::from_str(&damage(&home, &["inspect", text(&damaged), "--json"])).unwrap();
    assert_eq!(answer["sound"], false);
    bytes[5] = 9;
    let unknown = written(&homes, "unknown.state", &bytes);
    assert!(damage(&home, &["inspect", text(&unknown)]).contains("kind 9 is not known to this program"));
    assert!(!home.path.exists(), "looking makes no home");
}

#[test]
fn a_home_and_a_backup_are_printed_and_stay_as_they_are() {
    let homes = Homes::new();
    let home = filled(&homes);
    let file = home.path.join("tombolo.redb");
    let answer = home.json(&["inspect", text(&home.path)]);
    assert_eq!((&answer["kind"], &answer["sound"]), (&json!("store"), &json!(true)), "{answer}");
    assert_eq!(of(&answer, "visits")["type"], "PnCounter");
    let backup = homes.path().join("ann.backup");
    home.json(&["backup", text(&backup)]);
    let before = std::fs::read(&file).unwrap();
    for path in [&home.path, &file, &backup] {
        let printed = home.text(&["inspect", text(path)]);
        for part in
            ["a store of ", "\nnode      ann\n", "\nspace     ", "(directory)", "visits", "space/secret"]
        {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        assert!(!printed.contains("DAMAGED") && !printed.contains("WRONG"), "{printed}");
    }
    let printed = home.text(&["inspect", text(&backup), "--document", "labels"]);
    assert!(printed.contains("\"late\"") && printed.contains("AddWinsSet"), "{printed}");
    let id = of(&answer, "board")["id"].as_str().unwrap();
    assert!(home.text(&["inspect", text(&backup), "--document", &id[..6]]).contains("\"Garden\""));
    assert_eq!(home.refused(&["inspect", text(&backup), "--document", "nothing"], 1), "unknown_document");
    assert!(std::fs::read(&file).unwrap() == before);

    let node = home.up();
    assert_eq!(home.refused(&["inspect", text(&home.path)], 1), "locked");
    assert!(home.run(&["inspect", text(&file)]).stderr.contains("tombolo --home DIR backup FILE"));
    drop(node);
    // Killed: it was not closed.
    assert_eq!(home.json(&["inspect", text(&home.path)])["sound"], true);
}

#[test]
fn what_is_on_its_way_is_printed_and_is_no_document() {
    let homes = Homes::new();
    let home = filled(&homes);
    let doc = DocId::from_bytes([0xab; 16]);
    let start = |counter| Dot { replica: ReplicaId::from_bytes([7; 16]), counter };
    let slices = (1..4).map(|counter| (start(counter), vec![7; 500])).collect();
    let mut store = RedbStore::open(&home.path).unwrap();
    store.commit(&[Write::Stage { doc, note: vec![1], all: true, slices }]).unwrap();
    drop(store);
    let printed = home.text(&["inspect", text(&home.path)]);
    assert!(printed.contains("\narriving  abababab: 3 pieces of 1 500 bytes so far, right\n"), "{printed}");
    let answer = home.json(&["inspect", text(&home.path)]);
    assert_eq!((&answer["sound"], &answer["staged"][0]["id"]), (&json!(true), &json!(doc.to_string())));
    assert_eq!(answer["staged"][0]["slices"].as_array().unwrap().len(), 3);
    assert!(answer["documents"].as_array().unwrap().iter().all(|document| document["id"] != doc.to_string()));
}

#[test]
fn what_is_none_of_ours_is_said_to_be_none() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let other = written(&homes, "notes.txt", b"milk, figs");
    assert_eq!(home.refused(&["inspect", text(&other)], 1), "not_ours");
    assert!(home.run(&["inspect", text(&other)]).stderr.contains("it begins with \"milk, fi\""));
    let empty = written(&homes, "empty", b"");
    assert!(home.run(&["inspect", text(&empty)]).stderr.contains("it is empty"));
    assert_eq!(home.refused(&["inspect", text(homes.path())], 1), "not_ours");
    assert_eq!(home.refused(&["inspect", text(&homes.path().join("nothing"))], 1), "io");
    assert_eq!(home.refused(&["inspect", text(&other), "--parts"], 2), "usage");
    let stump = written(&homes, "stump", b"redb and nothing more");
    assert_eq!(home.refused(&["inspect", text(&stump)], 1), "damaged");

    let ticket = home.ticket();
    let space = home.json(&["status"])["space"].clone();
    let file = written(&homes, "ticket", format!("{ticket}\n").as_bytes());
    for ticket in [&ticket, text(&file)] {
        assert_eq!(home.json(&["inspect", ticket])["space"], space);
        assert!(home.text(&["inspect", ticket]).starts_with("a ticket"));
    }
    assert_eq!(home.refused(&["inspect", &ticket[..ticket.len() - 1]], 1), "bad_ticket");
    assert_eq!(home.refused(&["inspect", text(&file), "--document", "x"], 2), "usage");
}

#[test]
fn what_is_right_in_a_damaged_home_is_saved_and_restored() {
    let homes = Homes::new();
    let home = filled(&homes);
    let file = home.path.join("tombolo.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    // The element of a set, where it stands in the file.
    let places: Vec<usize> = (0..bytes.len() - 5).filter(|&at| &bytes[at..at + 5] == b"\xa4late").collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 1] ^= 1;
    }
    std::fs::write(&file, &bytes).unwrap();
    let answer: Value =
        serde_json::from_str(&damage(&home, &["inspect", text(&home.path), "--json"])).unwrap();
    assert_eq!(answer["sound"], false);
    assert_eq!(
        (&of(&answer, "labels")["sound"], &of(&answer, "visits")["sound"]),
        (&json!(false), &json!(true))
    );
    let printed = damage(&home, &["inspect", text(&home.path)]);
    assert!(printed.contains("DAMAGED: log records wrong: 1"), "{printed}");
    damage(&home, &["inspect", text(&home.path), "--document", "labels"]);
    home.text(&["inspect", text(&home.path), "--document", "visits"]);
    assert!(home.run(&["inspect", text(&home.path)]).stderr.contains("--salvage OUT"));

    let out = homes.path().join("saved");
    let printed = home.text(&["inspect", text(&home.path), "--salvage", text(&out)]);
    assert!(printed.contains("next: `tombolo --home NEW restore`"), "{printed}");
    assert_eq!(home.refused(&["inspect", text(&home.path), "--salvage", text(&out)], 1), "exists");
    let second = homes.path().join("saved again");
    let answer = home.json(&["inspect", text(&home.path), "--salvage", text(&second)]);
    assert_eq!(
        (&of(&answer, "visits")["whole"], &of(&answer, "labels")["whole"]),
        (&json!(true), &json!(false))
    );
    assert!(std::fs::read(&file).unwrap() == bytes, "the home stays as it is");

    let again = homes.empty("again");
    again.json(&["restore", text(&out)]);
    assert_eq!(again.json(&["counter", "get", "visits"]), json!({ "value": 5 }));
    assert_eq!(again.json(&["set", "list", "labels"]), json!([]), "what builds on what is lost is not there");
    assert_eq!(again.json(&["register", "get", "board/title"]), json!({ "values": ["Garden"] }));
}
