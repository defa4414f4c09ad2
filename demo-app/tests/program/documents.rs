//! `tombolo status --documents`, by real processes.

use crate::common::{Homes, LOOPBACK};
use serde_json::{Value, json};
use tombolo_crdt::{AddWinsMap, GSet};
use tombolo_sync::Node;

#[test]
fn documents_say_what_they_keep_and_a_member_is_released_by_hand() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let bob = homes.joined("bob", &ann);
    let node = ann.up();
    let _other = bob.up_with(&["--listen", LOOPBACK, "--peer", node.ready["listen"][0].as_str().unwrap()]);
    ann.json(&["set", "add", "labels", "x"]);
    ann.json(&["counter", "inc", "visits"]);
    ann.json(&["wait"]);
    let documents = ann.json(&["status", "--documents"]);
    let of =
        |name: &str| documents.as_array().unwrap().iter().find(|document| document["name"] == name).unwrap();
    assert_eq!(
        (&of("labels")["items"], &of("labels")["removals"], &of("labels")["type"]),
        (&json!(1), &json!(0), &json!("set"))
    );
    assert_eq!((&of("visits")["pending"], &of("visits")["diverged"]), (&json!(0), &json!([])));
    assert!(ann.text(&["status", "--documents"]).contains("DOCUMENT"));
    // As long as nobody remembers many removals, nobody is waited for.
    assert_eq!(ann.json(&["status"])["peers"][0]["membership"], Value::Null);
    // It can be released all the same; and answers, for it is there.
    assert_eq!(ann.json(&["release", "bob"])["changed"], true);
    assert_eq!(ann.refused(&["release", "cem"], 1), "unknown_peer");
}

#[test]
fn how_long_a_silent_member_is_waited_for_is_said_for_the_space() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    assert_eq!(ann.json(&["retention"]), json!({ "days": 30 }));
    // Without a node.
    assert_eq!(ann.json(&["retention", "90"]), json!({ "days": 90 }));
    let bob = homes.joined("bob", &ann);
    let node = ann.up();
    let _other = bob.up_with(&["--listen", LOOPBACK, "--peer", node.ready["listen"][0].as_str().unwrap()]);
    bob.until(&["retention"], |answer| answer["days"] == 90);
    assert_eq!(bob.json(&["retention", "never"]), json!({ "days": null }));
    ann.until(&["retention"], |answer| answer["days"].is_null());
    assert!(ann.text(&["retention"]).contains("until somebody releases it"));
}

#[test]
fn documents_of_an_applications_own_type_are_shown_though_nothing_is_known_of_what_they_keep() {
    let homes = Homes::new();
    let home = homes.created("ann");
    home.json(&["counter", "inc", "visits"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let node = Node::builder(&home.path).no_witness().offline().start().await.unwrap();
        let own = node.open::<AddWinsMap<u64, GSet<u64>>>("own").unwrap();
        own.update(|own| own.at(1_u64).add(2_u64)).await.unwrap();
        node.shutdown().await;
    });
    let documents = home.json(&["status", "--documents"]);
    let names: Vec<&Value> = documents.as_array().unwrap().iter().map(|document| &document["name"]).collect();
    assert_eq!(names, [&json!("own"), &json!("visits")]);
    let own = &documents[0];
    assert_eq!((&own["items"], &own["removals"], &own["pending"]), (&Value::Null, &Value::Null, &json!(0)));
    assert!(home.text(&["status", "--documents"]).contains("own"));
}
