//! The command line, by real processes: every verb, with and without a running node.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Home, Homes, LOOPBACK, PATIENCE};
use serde_json::{Value, json};

/// Every verb that reads or writes data, with the exact answers.
fn every_data_verb(home: &Home) {
    let says = |arguments: &str, expected: Value| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        assert_eq!(home.json(&arguments), expected, "{arguments:?}");
    };
    says("counter get visits", json!({ "value": 0 }));
    says("counter inc visits", json!({ "value": 1 }));
    says("counter inc visits 5", json!({ "value": 6 }));
    says("counter dec visits 7", json!({ "value": -1 }));
    says("counter inc visits 0", json!({ "value": -1 }));
    says("counter get visits", json!({ "value": -1 }));
    says("counter inc board/stats/hits 2", json!({ "value": 2 }));
    says("counter get board/stats/hits", json!({ "value": 2 }));

    says("flag get open", json!({ "value": false }));
    says("flag disable open", json!({ "value": false }));
    says("flag enable open", json!({ "value": true }));
    says("flag get open", json!({ "value": true }));
    says("flag enable board/open", json!({ "value": true }));
    says("flag disable board/open", json!({ "value": false }));
    says("flag get board/open", json!({ "value": false }));

    says("set list labels", json!([]));
    says("set remove labels x", json!({ "removed": false }));
    says("set add labels late", json!({ "added": true }));
    says("set add labels -5", json!({ "added": true }));
    says("set add labels early", json!({ "added": true }));
    says("set list labels", json!(["-5", "early", "late"]));
    says("set remove labels late", json!({ "removed": true }));
    says("set remove labels late", json!({ "removed": false }));
    says("set add board/tags z", json!({ "added": true }));
    says("set add board/tags a", json!({ "added": true }));
    says("set list board/tags", json!(["a", "z"]));
    says("set remove board/tags z", json!({ "removed": true }));

    says("register get title", json!({ "values": [] }));
    says("register set title Garden", json!({ "values": ["Garden"] }));
    says("register set title Park", json!({ "values": ["Park"] }));
    says("register get title", json!({ "values": ["Park"] }));
    says("register set board/owner Ann", json!({ "values": ["Ann"] }));

    says("map list shop", json!({}));
    says("map get shop milk", json!({ "values": [] }));
    says("map remove shop milk", json!({ "removed": false }));
    says("map put shop milk 2", json!({ "values": ["2"] }));
    says("map put shop a/b literal", json!({ "values": ["literal"] }));
    says("map get shop milk", json!({ "values": ["2"] }));
    says("map put shop/far/away x y", json!({ "values": ["y"] }));
    says("counter inc shop/eggs 3", json!({ "value": 3 }));
    says(
        "map list shop",
        json!({
            "a/b": { "values": ["literal"] },
            "eggs": { "others": ["counter"] },
            "far": { "others": ["map"] },
            "milk": { "values": ["2"] },
        }),
    );
    assert_eq!(
        home.text(&["map", "list", "shop"]).lines().map(str::trim_end).collect::<Vec<_>>(),
        ["a/b   literal", "eggs  (counter)", "far   (map)", "milk  2"]
    );
    says("map list shop/far/away", json!({ "x": { "values": ["y"] } }));
    says("map remove shop milk", json!({ "removed": true }));
    says("map remove shop milk", json!({ "removed": false }));
    says("map remove shop far", json!({ "removed": true }));
    says("map remove shop eggs", json!({ "removed": true }));
    says("map list shop/far/away", json!({}));
    says(r"map put a\/b/c k v", json!({ "values": ["v"] }));
    says("map get board owner", json!({ "values": ["Ann"] }));
    says("map put empty k v", json!({ "values": ["v"] }));
    says("map remove empty k", json!({ "removed": true }));

    let all = json!({
        "a/b": { "map": { "c": { "map": { "k": { "register": ["v"] } } } } },
        "board": { "map": {
            "owner": { "register": ["Ann"] },
            "stats": { "map": { "hits": { "counter": 2 } } },
            "tags": { "set": ["a"] },
        } },
        "empty": { "map": {} },
        "labels": { "set": ["-5", "early"] },
        "open": { "flag": true },
        "shop": { "map": { "a/b": { "register": ["literal"] } } },
        "title": { "register": ["Park"] },
        "visits": { "counter": -1 },
    });
    let printed = home.text(&["dump"]);
    assert_eq!(printed, format!("{all}\n"), "keys sorted, one line, the same with --json");
    assert_eq!(home.text(&["dump", "--json"]), printed);
    assert_eq!(home.json(&["export"]), all);
    assert!(home.text(&["export"]).contains("\n  \"visits\": {\n"));

    for (arguments, code) in [
        (["set", "list", "visits"], "wrong_type"),
        (["counter", "inc", "title"], "wrong_type"),
        (["counter", "inc", "visits/x"], "wrong_type"),
        (["counter", "get", "board/owner"], "wrong_type"),
        (["counter", "inc", "board/owner/x"], "wrong_type"),
        (["map", "list", "board/owner"], "wrong_type"),
    ] {
        assert_eq!(home.refused(&arguments, 1), code, "{arguments:?}");
    }
    assert_eq!(home.refused(&["map", "put", "board", "stats", "x"], 1), "wrong_type");
    assert_eq!(home.refused(&["counter", "inc", &"n".repeat(2_000)], 1), "bad_name");
    assert_eq!(home.json(&["dump"]), all, "what is refused changes nothing");
}

#[test]
fn every_data_verb_works_without_a_node() {
    every_data_verb(&Homes::new().created("ann"));
}

#[test]
fn every_data_verb_says_the_same_with_a_node() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let _node = home.up();
    every_data_verb(&home);
    assert_eq!(home.json(&["status"])["running"], true);
}

#[test]
fn people_read_values_and_not_json() {
    let homes = Homes::new();
    let home = homes.created("ann");
    assert_eq!(home.text(&["counter", "inc", "visits", "5"]), "5\n");
    assert_eq!(home.text(&["flag", "get", "open"]), "disabled\n");
    assert_eq!(home.text(&["set", "list", "labels"]), "");
    assert_eq!(home.text(&["set", "add", "labels", "two words"]), "added\n");
    assert_eq!(home.text(&["set", "list", "labels"]), "two words\n");
    assert_eq!(home.text(&["map", "put", "m", "k", "v"]), "v\n");
    assert_eq!(home.text(&["map", "list", "m"]), "k  v\n");
    assert!(home.text(&["status"]).contains("not running"));
    let ended = home.run(&["set", "list", "visits"]);
    assert_eq!((ended.code, &ended.stdout[..]), (Some(1), ""));
    assert!(ended.stderr.starts_with("error: `visits` is a counter, not a set"), "{}", ended.stderr);
}

#[test]
fn wrong_usage_is_told_from_failure_also_in_json() {
    let homes = Homes::new();
    let home = homes.created("ann");
    for arguments in [
        &["bogus"][..],
        &[],
        &["counter"],
        &["counter", "inc"],
        &["counter", "inc", "x", "-5"],
        &["counter", "inc", "x", "1.5"],
        &["counter", "inc", "a//b"],
        &["set", "add", "x"],
        &["map", "put", "x", "k"],
        &["block"],
        &["block", "bob", "--all"],
        &["up", "--listen", "nowhere"],
        &["--wait", "soon", "dump"],
        &["init", "--name", ""],
    ] {
        assert_eq!(home.refused(arguments, 2), "usage", "{arguments:?}");
        let ended = home.run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert!(serde_json::from_str::<Value>(&ended.stderr).is_err(), "not JSON unless asked for");
    }
    assert_eq!(home.refused(&["join", "hello"], 1), "bad_ticket");
    assert_eq!(home.refused(&["block", "bob"], 1), "unknown_peer");
    assert_eq!(home.run(&["--help"]).code, Some(0));
    assert_eq!(home.run(&["--version"]).code, Some(0));
    assert_eq!(home.json(&["set", "add", "x", "--", "--json"]), json!({ "added": true }));
}

#[test]
fn a_home_that_is_a_file_is_said_to_be_none() {
    let homes = Homes::new();
    let home = homes.empty("ann");
    std::fs::write(&home.path, "milk").unwrap();
    for home in [&home, &homes.empty("ann/within")] {
        assert_eq!(home.refused(&["init"], 1), "io");
        let said = home.run(&["init"]).stderr;
        assert!(said.contains("ann: this is not a folder"), "{said}");
    }
    assert_eq!(std::fs::read(&home.path).unwrap(), b"milk");
}

#[test]
fn without_a_space_commands_say_so_and_leave_nothing_behind() {
    let homes = Homes::new();
    let home = homes.empty("ann");
    for arguments in [
        &["counter", "get", "x"][..],
        &["dump"],
        &["status"],
        &["invite"],
        &["up"],
        &["wait"],
        &["watch"],
        &["block", "--all"],
        &["leave", "--yes"],
    ] {
        assert_eq!(home.refused(arguments, 1), "no_space", "{arguments:?}");
    }
    assert!(!home.path.exists());
    assert!(home.run(&["up"]).stderr.contains("tombolo init"));
}

#[test]
fn init_twice_names_the_same_space() {
    let homes = Homes::new();
    let home = homes.empty("ann");
    let first = home.json(&["init", "--name", "ann"]);
    assert_eq!((&first["created"], &first["name"]), (&json!(true), &json!("ann")));
    assert!(first["peer_id"].as_str().unwrap().starts_with("12D3KooW"));
    let node = home.up();
    for second in [home.json(&["init"]), home.json(&["init", "--name", "ann"])] {
        assert_eq!(second["created"], false);
        assert_eq!((&second["peer_id"], &second["space"]), (&first["peer_id"], &first["space"]));
    }
    assert_eq!(home.refused(&["init", "--name", "other"], 1), "running");
    assert_eq!(node.stop().code, Some(0));
    assert_eq!(home.json(&["init", "--name", "other"])["name"], "other");
    assert_eq!(home.json(&["status"])["name"], "other");
    let mode = std::fs::metadata(&home.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "nobody else may look into a home");
}

#[test]
fn ten_commands_at_once_on_one_home_all_succeed() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let commands: Vec<_> = (0..10)
        .map(|_| {
            home.command(&["--json", "counter", "inc", "visits"]).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut values: Vec<Value> = commands
        .into_iter()
        .map(|command| {
            let output = command.wait_with_output().unwrap();
            assert!(output.status.success());
            serde_json::from_slice::<Value>(&output.stdout).unwrap()["value"].clone()
        })
        .collect();
    values.sort_by_key(|value| value.as_i64());
    assert_eq!(json!(values), json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), "each saw those before it");
    assert_eq!(home.json(&["counter", "get", "visits"]), json!({ "value": 10 }));
}

#[test]
fn commands_get_through_while_a_node_comes_and_goes() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let writer = {
        let home = home.clone();
        std::thread::spawn(move || (0..60).for_each(|_| drop(home.json(&["counter", "inc", "visits"]))))
    };
    while !writer.is_finished() {
        let node = home.up();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(node.stop().code, Some(0));
    }
    writer.join().unwrap();
    assert_eq!(home.json(&["counter", "get", "visits"]), json!({ "value": 60 }));
}

#[test]
fn a_killed_node_leaves_a_socket_that_is_in_nobodys_way() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let node = home.up();
    assert_eq!(home.json(&["counter", "inc", "visits"]), json!({ "value": 1 }));
    let sockets = homes.sockets();
    assert_eq!(sockets.len(), 1);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&sockets[0]), mode(sockets[0].parent().unwrap())), (0o600, 0o700));
    node.kill();
    assert_eq!(homes.sockets(), sockets, "it is stale");
    assert_eq!(home.json(&["counter", "inc", "visits"]), json!({ "value": 2 }));
    assert_eq!(home.json(&["status"])["running"], false);
    let node = home.up();
    assert_eq!(home.json(&["status"])["running"], true);
    assert_eq!(home.json(&["counter", "inc", "visits"]), json!({ "value": 3 }));
    assert_eq!(node.stop().code, Some(0));
    assert_eq!(homes.sockets(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_node_told_to_stop_keeps_everything_and_exits_with_0() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let node = home.up();
    let listen = node.ready["listen"].clone();
    assert_eq!(node.ready["peer_id"], home.peer_id());
    home.json(&["set", "add", "labels", "x"]);
    let ended = node.stop();
    assert_eq!((ended.code, &ended.stdout[..], &ended.stderr[..]), (Some(0), "", ""));
    assert_eq!(home.json(&["set", "list", "labels"]), json!(["x"]));
    let node = home.up_with(&[]);
    assert_eq!(node.ready["listen"], listen, "it listens where it did before");
}

#[test]
fn a_second_node_on_a_home_is_refused_at_once() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let _node = home.up();
    let start = Instant::now();
    assert_eq!(home.refused(&["up", "--no-mdns"], 1), "running");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_home_may_have_a_long_path_and_several_names() {
    let homes = Homes::new();
    let long = format!("{}/{}/ann", "h".repeat(120), "ä".repeat(100));
    let home = homes.created(&long);
    assert!(home.path.as_os_str().len() > 300);
    let _node = home.up();
    assert_eq!(home.json(&["status"])["running"], true);
    std::os::unix::fs::symlink(&home.path, homes.path().join("link")).unwrap();
    assert_eq!(homes.empty("link").json(&["status"])["running"], true);
    let relative = homes
        .empty("run")
        .command(&["--json", "status", "--home", "link"])
        .current_dir(homes.path())
        .output();
    assert!(String::from_utf8_lossy(&relative.unwrap().stdout).contains("\"running\":true"));
}

#[test]
fn options_stand_before_or_after_the_verb() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let path = home.path.to_str().unwrap();
    let program = home.command(&[]).get_program().to_owned();
    let says = |arguments: &[&str], from_environment: &str| {
        let mut command = std::process::Command::new(&program);
        let output = command
            .args(arguments)
            .env("TOMBOLO_HOME", from_environment)
            .env("TOMBOLO_STATE", homes.path().join("run").join("state"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let value = "{\"value\":0}\n";
    assert_eq!(says(&["--home", path, "--json", "--wait", "1", "counter", "get", "x"], "/nowhere"), value);
    assert_eq!(says(&["counter", "get", "x", "--wait", "1", "--json", "--home", path], "/nowhere"), value);
    assert_eq!(says(&["counter", "--json", "get", "x"], path), value);
}

#[test]
fn two_nodes_meet_by_ticket_and_hold_the_same() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    ann.json(&["counter", "inc", "visits", "2"]);
    let _ann_up = ann.up();
    assert_eq!(ann.text(&["invite"]).lines().count(), 1);
    assert!(ann.text(&["invite"]).starts_with("tombolo1"));
    let bob = homes.joined("bob", &ann);
    assert_eq!(bob.json(&["status"])["space"], ann.json(&["status"])["space"]);
    let bob_up = bob.up();
    bob.json(&["wait", "--peers", "1", "--timeout", "20"]);
    assert_eq!(bob.json(&["counter", "get", "visits"]), json!({ "value": 2 }));
    bob.json(&["counter", "inc", "visits", "3"]);
    ann.until(&["counter", "get", "visits"], |answer| answer["value"] == 5);
    ann.json(&["wait"]);
    bob.json(&["wait"]);
    assert_eq!(ann.text(&["dump"]), bob.text(&["dump"]));

    let status = ann.json(&["status"]);
    assert_eq!(
        (&status["running"], &status["in_sync"], &status["documents"]),
        (&json!(true), &json!(true), &json!(1))
    );
    let peer = &status["peers"][0];
    assert_eq!((&peer["name"], &peer["connected"], &peer["lag"]), (&json!("bob"), &json!(true), &json!(0)));
    assert_eq!((&peer["transport"], &peer["peer_id"]), (&json!("tcp"), &json!(bob.peer_id())));
    for key in
        ["rtt_ms", "behind", "bytes_in", "bytes_out", "blocked", "last_repair_ms", "addresses", "in_sync"]
    {
        assert!(peer.get(key).is_some(), "{key}");
    }
    assert!(ann.text(&["status"]).contains("in sync"));
    assert_eq!(ann.refused(&["wait", "--peers", "2", "--timeout", "0.3"], 1), "timeout");

    bob_up.kill();
    let status = ann.until(&["status"], |status| status["in_sync"].is_null());
    assert_eq!(status["peers"][0]["connected"], false);
    // He writes without a node, and is heard when he has one again.
    bob.json(&["counter", "inc", "visits"]);
    let _bob_up = bob.up();
    ann.until(&["counter", "get", "visits"], |answer| answer["value"] == 6);
}

#[test]
fn a_write_that_others_are_to_hold_says_who_does_and_stays_if_they_do_not() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    // Nobody to ask, and nothing written.
    let alone = ann.run(&["counter", "inc", "visits", "--replicated", "1", "--wait", "0.1"]);
    assert_eq!(alone.code, Some(1));
    assert!(alone.stderr.contains("nobody can be asked"), "{}", alone.stderr);
    assert_eq!(ann.json(&["counter", "get", "visits"]), json!({ "value": 0 }));
    let here = ann.json(&["counter", "inc", "visits", "--replicated", "0"]);
    assert_eq!(here, json!({ "value": 1, "held_by": [] }));
    let _ann_up = ann.up();
    let bob = homes.joined("bob", &ann);
    let bob_up = bob.up();
    let waited = bob.json(&["wait"]);
    assert_eq!(waited["with"][0]["name"], "ann");
    let said = ann.json(&["counter", "inc", "visits", "2", "--replicated", "1", "--within", "20"]);
    assert_eq!(said, json!({ "value": 3, "held_by": [{ "name": "bob", "peer_id": bob.peer_id() }] }));
    for (line, value) in [
        (&["flag", "enable", "open"][..], "enabled"),
        (&["set", "add", "labels", "x"], "added"),
        (&["set", "remove", "labels", "x"], "removed"),
        (&["register", "set", "title", "Garden"], "Garden"),
        (&["map", "put", "board", "key", "value"], "value"),
        (&["map", "remove", "board", "key"], "removed"),
        (&["counter", "dec", "board/visits", "2"], "-2"),
    ] {
        let text = ann.text(&[line, &["--replicated", "1"]].concat());
        assert_eq!(text, format!("{value}\nheld by bob\n"), "{line:?}");
    }
    // Too many are wanted, then nobody is there; what was written is.
    let late = ann.run(&["counter", "inc", "visits", "--replicated", "2", "--within", "0.5"]);
    assert_eq!(late.code, Some(1));
    for part in ["1 of 2 peers held", "bob", "the write stays"] {
        assert!(late.stderr.contains(part), "{}", late.stderr);
    }
    bob_up.kill();
    let alone = ["counter", "inc", "visits", "--replicated", "1", "--within", "0.5"];
    ann.until(&["status"], |status| status["in_sync"].is_null());
    assert_eq!(ann.refused(&alone, 1), "not_replicated");
    assert_eq!(ann.json(&["counter", "get", "visits"]), json!({ "value": 5 }));
    let _bob_up = bob.up();
    bob.until(&["counter", "get", "visits"], |answer| answer["value"] == 5);
}

#[test]
fn a_third_meets_the_second_through_the_first() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let _ann_up = ann.up();
    let (bob, cid) = (homes.joined("bob", &ann), homes.joined("cid", &ann));
    let (_bob_up, _cid_up) = (bob.up(), cid.up());
    let knows = |home: &Home, name: &str| {
        let name = name.to_owned();
        home.until(&["status"], move |status| {
            let peers = status["peers"].as_array().unwrap();
            peers.iter().any(|peer| peer["name"] == name[..] && peer["connected"] == true)
        });
    };
    knows(&bob, "cid");
    knows(&cid, "bob");
    // Cutting the link to the first isolates nobody.
    cid.json(&["block", "ann"]);
    ann.json(&["set", "add", "labels", "x"]);
    cid.until(&["set", "list", "labels"], |answer| *answer == json!(["x"]));
}

#[test]
fn a_link_is_cut_by_one_side_with_or_without_a_node_and_stays_cut() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let _ann_up = ann.up();
    let bob = homes.joined("bob", &ann);
    let bob_up = bob.up();
    bob.json(&["wait"]);
    let connected = |home: &Home, wanted: bool| {
        home.until(&["status"], move |status| status["peers"][0]["connected"] == wanted);
    };
    connected(&ann, true);

    let blocked = bob.json(&["block", "ann"]);
    assert_eq!(blocked, json!({ "blocked": true, "changed": true, "name": "ann", "peer_id": ann.peer_id() }));
    assert_eq!(bob.json(&["block", "ann"])["changed"], false);
    connected(&bob, false);
    connected(&ann, false);
    assert_eq!(bob.json(&["status"])["peers"][0]["blocked"], true);
    ann.json(&["counter", "inc", "visits"]);
    bob.json(&["counter", "inc", "visits", "10"]);

    assert_eq!(bob_up.stop().code, Some(0));
    assert_eq!(bob.json(&["status"])["peers"][0]["blocked"], true);
    let bob_up = bob.up();
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(
        bob.json(&["counter", "get", "visits"]),
        json!({ "value": 10 }),
        "the block survives a restart"
    );
    assert_eq!(ann.json(&["counter", "get", "visits"]), json!({ "value": 1 }));

    bob_up.kill();
    assert_eq!(
        bob.json(&["unblock", &ann.peer_id()[..16]])["changed"],
        true,
        "without a node, by the id's beginning"
    );
    let bob_up = bob.up();
    bob.until(&["counter", "get", "visits"], |answer| answer["value"] == 11);

    assert_eq!(ann.json(&["block", "--all"]), json!({ "blocked": true, "all": true, "changed": true }));
    assert_eq!(ann.json(&["block", "--all"])["changed"], false);
    connected(&bob, false);
    assert_eq!(ann.json(&["status"])["isolated"], true);
    assert_eq!(
        ann.json(&["unblock", &bob.peer_id()[8..14]])["changed"],
        true,
        "only this one, by the id's tail"
    );
    connected(&bob, true);
    assert_eq!(bob_up.stop().code, Some(0));
    bob.json(&["block", "--all"]);
    let _bob_up = bob.up();
    std::thread::sleep(Duration::from_millis(800));
    connected(&ann, false);
    assert_eq!(bob.json(&["unblock", "--all"])["changed"], true);
    connected(&ann, true);
    let ended = ann.run(&["block", "nobody"]);
    assert!(ended.stderr.contains("bob"), "the error lists who is known: {}", ended.stderr);
}

#[test]
fn a_home_with_writes_joins_only_if_it_may_merge() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    ann.json(&["counter", "inc", "visits", "2"]);
    let _ann_up = ann.up();
    let bob = homes.created("bob");
    bob.json(&["counter", "inc", "visits", "5"]);
    let ticket = ann.ticket();
    assert_eq!(bob.refused(&["join", &ticket], 1), "other_space");
    assert!(bob.run(&["join", &ticket]).stderr.contains("--merge"));
    let node = bob.up();
    assert_eq!(bob.refused(&["join", &ticket, "--merge"], 1), "running");
    assert_eq!(node.stop().code, Some(0));
    let joined = bob.json(&["join", &ticket, "--merge"]);
    assert_eq!(joined["space"], ann.json(&["status"])["space"]);
    assert_eq!(bob.json(&["join", &ticket]), joined, "again is nothing new");
    let _bob_up = bob.up();
    for home in [&ann, &bob] {
        home.until(&["counter", "get", "visits"], |answer| answer["value"] == 7);
    }
    // A home whose space is still empty may go elsewhere.
    let cid = homes.created("cid");
    cid.json(&["join", &ticket]);
}

#[test]
fn conflicting_values_and_types_are_all_kept() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let ann_up = ann.up();
    let bob = homes.joined("bob", &ann);
    assert_eq!(ann_up.stop().code, Some(0));
    ann.json(&["register", "set", "title", "Garden"]);
    bob.json(&["register", "set", "title", "Park"]);
    ann.json(&["map", "put", "board", "size", "big"]);
    bob.json(&["counter", "inc", "board/size", "3"]);
    ann.json(&["counter", "inc", "thing", "4"]);
    bob.json(&["set", "add", "thing", "x"]);
    let (_ann_up, _bob_up) = (ann.up(), bob.up());
    for home in [&ann, &bob] {
        home.until(&["register", "get", "title"], |answer| answer["values"].as_array().unwrap().len() == 2);
        home.json(&["wait"]);
        let mut values = home.json(&["register", "get", "title"])["values"].as_array().unwrap().clone();
        values.sort_by_key(Value::to_string);
        assert_eq!(values, ["Garden", "Park"]);
        assert_eq!(home.json(&["map", "get", "board", "size"]), json!({ "values": ["big"] }));
        assert_eq!(home.json(&["counter", "get", "board/size"]), json!({ "value": 3 }));
        assert_eq!(home.json(&["counter", "get", "thing"]), json!({ "value": 4 }));
        assert_eq!(home.json(&["set", "list", "thing"]), json!(["x"]));
        assert_eq!(home.json(&["dump"])["thing"], json!({ "counter": 4, "set": ["x"] }));
    }
    assert_eq!(ann.text(&["dump"]), bob.text(&["dump"]));
    ann.json(&["register", "set", "title", "Both"]);
    bob.until(&["register", "get", "title"], |answer| *answer == json!({ "values": ["Both"] }));
}

#[test]
fn a_status_that_is_watched_shows_the_node_come_and_go() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let mut watch = home.command(&["--json", "status", "--watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next =
        || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["running"].clone();
    assert_eq!(next(), false);
    let node = home.up();
    assert_eq!(next(), true);
    assert_eq!(node.stop().code, Some(0));
    assert_eq!(next(), false);
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn the_prompt_takes_the_same_verbs() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let run = |input: &str| {
        let mut command = home.command(&["shell"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let script = "counter inc visits 3\n\n# a remark\nset add labels 'two words'\nset list labels --json\nmap put a\\/b k v\ndump\nexit\ncounter inc visits\n";
    let (code, stdout, stderr) = run(script);
    assert_eq!((code, &stderr[..]), (Some(0), ""));
    let expected = "3\nadded\n[\"two words\"]\nv\n{\"a/b\":{\"map\":{\"k\":{\"register\":[\"v\"]}}},\"labels\":{\"set\":[\"two words\"]},\"visits\":{\"counter\":3}}\n";
    assert_eq!(stdout, expected);
    let (code, stdout, stderr) = run("bogus\nup\ncounter get visits\n");
    assert_eq!((code, &stdout[..]), (Some(1), "3\n"));
    assert!(
        stderr.contains("unrecognized subcommand") && stderr.contains("command line of its own"),
        "{stderr}"
    );
}

#[test]
fn a_backup_is_a_new_file_also_while_a_node_runs() {
    let homes = Homes::new();
    let home = homes.created("ann");
    home.json(&["set", "add", "labels", "x"]);
    let file = homes.path().join("one.backup");
    let answer = home.json(&["backup", file.to_str().unwrap()]);
    assert_eq!(answer["bytes"], std::fs::metadata(&file).unwrap().len());
    assert!(home.run(&["backup", file.to_str().unwrap()]).code == Some(1), "it does not overwrite");
    let _node = home.up();
    // Relative to where the command stands, not to where the node does.
    let output =
        home.command(&["--json", "backup", "two.backup"]).current_dir(homes.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(homes.path().join("two.backup").exists());
}

#[test]
fn a_restored_home_gets_back_what_it_wrote_after_the_backup() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let bob = homes.joined("bob", &ann);
    ann.json(&["counter", "inc", "visits", "5"]);
    let file = homes.path().join("ann.backup");
    ann.json(&["backup", file.to_str().unwrap()]);
    ann.json(&["counter", "inc", "visits", "2"]);
    ann.json(&["set", "add", "labels", "late"]);
    {
        let node = ann.up();
        let _other =
            bob.up_with(&["--listen", LOOPBACK, "--peer", node.ready["listen"][0].as_str().unwrap()]);
        bob.until(&["counter", "get", "visits"], |answer| answer["value"] == 7);
        // What is read need not be on his disk yet, and he is about to be killed.
        ann.json(&["wait"]);
    }
    assert_eq!(ann.refused(&["restore", file.to_str().unwrap()], 1), "exists");
    let again = homes.empty("ann again");
    assert_eq!(again.refused(&["restore", homes.path().join("nothing").to_str().unwrap()], 1), "io");
    let other = homes.path().join("other");
    std::fs::write(&other, "no backup").unwrap();
    assert_eq!(again.refused(&["restore", other.to_str().unwrap()], 1), "damaged");
    assert!(!again.path.exists(), "what was refused leaves no folder behind");
    let restored = again.json(&["restore", file.to_str().unwrap()]);
    assert_eq!(restored["peer_id"], ann.peer_id());
    // Under dots that the others must not take for those of the lost writes.
    assert_eq!(again.json(&["counter", "inc", "visits", "10"]), json!({ "value": 15 }));
    let node = again.up();
    let _other = bob.up_with(&["--listen", LOOPBACK, "--peer", node.ready["listen"][0].as_str().unwrap()]);
    for home in [&again, &bob] {
        home.until(&["counter", "get", "visits"], |answer| answer["value"] == 17);
        home.until(&["set", "list", "labels"], |answer| answer == &json!(["late"]));
    }
}

/// The store's file of a home.
fn store(home: &Home) -> std::path::PathBuf {
    home.path.join("tombolo.redb")
}

#[test]
fn a_copied_home_becomes_a_node_of_its_own() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    ann.json(&["counter", "inc", "visits", "5"]);
    let copy = homes.empty("copy");
    std::fs::create_dir(&copy.path).unwrap();
    std::fs::copy(store(&ann), store(&copy)).unwrap();
    // The first command on it notices, and says so once.
    let first = copy.run(&["--json", "counter", "inc", "visits", "10"]);
    assert_eq!((first.code, first.stdout.trim()), (Some(0), r#"{"value":15}"#));
    assert!(first.stderr.contains("is a copy") && first.stderr.contains("new key"), "{}", first.stderr);
    assert_eq!(copy.run(&["--json", "counter", "get", "visits"]).stderr, "");
    assert_ne!(copy.peer_id(), ann.peer_id());
    // The original goes on as if nothing had happened, and the two agree on all that either wrote.
    let original = ann.run(&["--json", "counter", "inc", "visits", "100"]);
    assert_eq!((original.stdout.trim(), &original.stderr[..]), (r#"{"value":105}"#, ""));
    let node = ann.up();
    let _other = copy.up_with(&["--listen", LOOPBACK, "--peer", node.ready["listen"][0].as_str().unwrap()]);
    for home in [&ann, &copy] {
        home.until(&["counter", "get", "visits"], |answer| answer["value"] == 115);
    }
}

#[test]
fn a_home_that_was_set_back_gets_back_what_it_lost_and_loses_nothing_it_wrote_since() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let bob = homes.joined("bob", &ann);
    ann.json(&["counter", "inc", "visits", "5"]);
    let old = homes.path().join("old");
    std::fs::copy(store(&ann), &old).unwrap();
    ann.json(&["counter", "inc", "visits", "2"]);
    ann.json(&["set", "add", "labels", "late"]);
    {
        let node = ann.up();
        let _other =
            bob.up_with(&["--listen", LOOPBACK, "--peer", node.ready["listen"][0].as_str().unwrap()]);
        bob.until(&["counter", "get", "visits"], |answer| answer["value"] == 7);
    }
    // In its place, into the same file.
    let peer = ann.peer_id();
    std::fs::write(store(&ann), std::fs::read(&old).unwrap()).unwrap();
    let first = ann.run(&["--json", "counter", "inc", "visits", "10"]);
    assert_eq!(first.stdout.trim(), r#"{"value":15}"#);
    assert!(first.stderr.contains("was set back") && !first.stderr.contains("key"), "{}", first.stderr);
    assert_eq!(ann.peer_id(), peer);
    let node = ann.up();
    let _other = bob.up_with(&["--listen", LOOPBACK, "--peer", node.ready["listen"][0].as_str().unwrap()]);
    for home in [&ann, &bob] {
        home.until(&["counter", "get", "visits"], |answer| answer["value"] == 17);
        home.until(&["set", "list", "labels"], |answer| answer == &json!(["late"]));
    }
}

#[test]
fn a_home_whose_witness_is_gone_is_in_doubt_and_one_that_was_moved_or_killed_is_not() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let replica = || ann.json(&["counter", "inc", "visits", "1"]);
    for value in 1..4 {
        let node = ann.up();
        assert_eq!(replica(), json!({ "value": value }));
        node.kill();
        let status = ann.run(&["--json", "status"]);
        assert!(status.stderr.is_empty() && status.stdout.contains(r#""doubt":null"#), "{status:?}");
    }
    let moved = homes.empty("elsewhere");
    std::fs::rename(&ann.path, &moved.path).unwrap();
    assert_eq!(moved.run(&["--json", "counter", "inc", "visits", "1"]).stderr, "");
    std::fs::remove_dir_all(homes.path().join("run").join("state")).unwrap();
    let status = moved.run(&["--json", "status"]);
    assert!(status.stderr.contains("is gone") && status.stdout.contains("is gone"), "{status:?}");
    assert_eq!(moved.json(&["counter", "inc", "visits", "1"]), json!({ "value": 5 }));
}

#[test]
#[cfg(target_os = "linux")]
fn what_the_disk_refuses_is_undone_and_everything_else_goes_on() {
    use rustix::process::{Resource, Rlimit, prlimit};

    let homes = Homes::new();
    let home = homes.created("ann");
    home.json(&["counter", "inc", "visits", "3"]);
    // A file that may not grow is refused as a full disk is, if the signal that goes with it is ignored.
    let node = home.up_from(|command| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(command.get_program());
        shell.args(command.get_args());
        command.get_envs().for_each(|(name, value)| match value {
            Some(value) => drop(shell.env(name, value)),
            None => drop(shell.env_remove(name)),
        });
        shell
    });
    let limit = |bytes| {
        let pid = node.pid();
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    };
    limit(Some(std::fs::metadata(home.path.join("tombolo.redb")).unwrap().len()));
    let large = "x".repeat(100_000);
    let refused =
        (0..20).any(|_| home.run(&["--json", "set", "add", "labels", &large]).stderr.contains("not_durable"));
    assert!(refused, "a file that may not grow takes no two megabytes");
    assert_eq!(home.json(&["counter", "get", "visits"]), json!({ "value": 3 }));
    let labels = home.json(&["set", "list", "labels"]);
    limit(None);
    home.until(&["counter", "inc", "visits"], |answer| answer["value"].as_i64() >= Some(4));
    node.stop();
    assert_eq!(home.json(&["set", "list", "labels"]), labels, "what was refused is not there");
}

#[test]
fn completions_are_printed_for_every_shell() {
    let homes = Homes::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(homes.empty("none").text(&["completions", shell]).contains("counter"), "{shell}");
    }
    assert_eq!(homes.empty("none").refused(&["completions", "dos"], 2), "usage");
}

#[test]
fn output_that_nobody_reads_is_no_reason_to_panic() {
    let homes = Homes::new();
    let home = homes.created("ann");
    for n in 0..3 {
        home.json(&["set", "add", "labels", &format!("{n}{}", "x".repeat(100_000))]);
    }
    for arguments in [&["dump"][..], &["completions", "bash"], &["status"], &["--help"]] {
        let mut command = home.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}

#[test]
fn garbage_on_the_socket_is_answered_and_harms_nobody() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let _node = home.up();
    let socket = homes.sockets().remove(0);
    let converse = |bytes: &[u8]| -> String {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The node may hang up on us in the middle.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    };
    let frame = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
    assert!(converse(&[]).contains("hello"));
    assert!(converse(&[0xff; 64]).contains("protocol"));
    assert!(converse(&frame("{")).contains("protocol"));
    assert!(converse(&frame("\"nonsense\"")).contains("protocol"));
    assert!(converse(&frame(&"[".repeat(100_000))).contains("protocol"));
    assert!(converse(&frame(r#"{"counter":{"inc":{"name":"a//b","by":1}}}"#)).contains("protocol"));
    assert!(
        converse(&[frame("{}"), frame("\"dump\"")].concat()).contains("done"),
        "and the next one is answered"
    );
    converse(&[0, 0, 1, 0, b'x']);
    assert_eq!(home.json(&["counter", "inc", "visits"]), json!({ "value": 1 }));
}

#[test]
fn a_command_waits_for_a_home_in_use_no_longer_than_it_is_told() {
    let homes = Homes::new();
    let home = homes.created("ann");
    let _node = home.up_with(&["--listen", LOOPBACK]);
    // Its socket is gone, as if it were starting or ending.
    std::fs::remove_file(homes.sockets().remove(0)).unwrap();
    let start = Instant::now();
    assert_eq!(home.refused(&["dump", "--wait", "0.5"], 1), "locked");
    assert!(start.elapsed() >= Duration::from_millis(500) && start.elapsed() < Duration::from_secs(5));
}
