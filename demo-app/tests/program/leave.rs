//! Homes that leave their space, by real processes.

use crate::common::{Home, Homes, LOOPBACK, Running, text_of};
use serde_json::json;

fn beside(home: &Home, other: &Running) -> Running {
    home.up_with(&["--listen", LOOPBACK, "--peer", text_of(&other.ready["listen"][0])])
}

#[test]
fn a_node_that_leaves_ends_and_its_home_goes_up_again_only_after_it_has_joined() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let bob = homes.joined("bob", &ann);
    let node = ann.up();
    let other = beside(&bob, &node);
    bob.json(&["counter", "inc", "visits", "5"]);
    bob.json(&["wait"]);
    assert_eq!(bob.refused(&["leave"], 2), "usage", "nobody can be asked");
    let left = bob.json(&["leave", "--yes"]);
    let who = json!([{ "peer_id": ann.peer_id(), "name": "ann" }]);
    assert_eq!(left, json!({ "left": true, "wiped": false, "holders": who }));
    // The node has ended by itself.
    assert_eq!(other.ended().code, Some(0));
    assert_eq!(bob.json(&["status"])["left"], true);
    assert!(bob.text(&["status"]).contains("has left the space"));
    assert_eq!(bob.json(&["counter", "inc", "visits", "1"]), json!({ "value": 6 }));
    assert_eq!(bob.refused(&["up"], 1), "left");
    assert!(bob.run(&["up"]).stderr.contains("tombolo join TICKET"));
    bob.json(&["join", &ann.ticket()]);
    assert_eq!(bob.json(&["status"])["left"], false);
    let _other = beside(&bob, &node);
    ann.until(&["counter", "get", "visits"], |answer| answer["value"] == 6);
}

#[test]
fn a_home_is_wiped_with_and_without_a_running_node_and_after_it_has_left() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    assert_eq!(homes.empty("none").refused(&["leave", "--yes"], 1), "no_space");
    let node = ann.up();
    for (name, up, leaves_first) in [("bob", true, false), ("cem", false, false), ("dan", false, true)] {
        let home = homes.joined(name, &ann);
        home.json(&["set", "add", "labels", name]);
        let running = up.then(|| beside(&home, &node));
        if leaves_first {
            home.json(&["leave", "--yes"]);
        }
        let said = home.text(&["leave", "--wipe", "--yes"]);
        assert!(
            said.contains("removed: ") && said.contains(if leaves_first { "nobody" } else { "ann has" }),
            "{said}"
        );
        running.into_iter().for_each(|running| assert_eq!(running.ended().code, Some(0)));
        assert_eq!(home.refused(&["dump"], 1), "no_space");
        assert_eq!(std::fs::read_dir(&home.path).unwrap().count(), 0);
    }
    ann.until(&["set", "list", "labels"], |answer| answer == &json!(["bob", "cem", "dan"]));
}
