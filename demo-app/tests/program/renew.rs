//! A space whose secret is renewed, by real processes.

use crate::common::{Homes, LOOPBACK, text_of};

#[test]
fn after_a_renewal_the_others_join_with_the_new_ticket_and_keep_what_they_have() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let bob = homes.joined("bob", &ann);
    let lost = homes.joined("lost", &ann);
    let at = |node: &crate::common::Running| text_of(&node.ready["listen"][0]).to_owned();
    {
        let node = ann.up();
        let _others = [&bob, &lost].map(|home| home.up_with(&["--listen", LOOPBACK, "--peer", &at(&node)]));
        bob.json(&["counter", "inc", "visits", "5"]);
        lost.until(&["counter", "get", "visits"], |answer| answer["value"] == 5);
        ann.json(&["wait", "--peers", "2"]);
        assert_eq!(ann.refused(&["renew", "--yes"], 1), "running");
    }
    assert_eq!(ann.refused(&["renew"], 2), "usage", "nobody can be asked");
    let space = ann.json(&["status"])["space"].clone();
    let renewed = ann.json(&["renew", "--yes"]);
    assert_ne!(renewed["space"], space);
    let ticket = text_of(&renewed["ticket"]);
    bob.json(&["counter", "inc", "visits", "10"]);
    let joined = bob.json(&["join", ticket]);
    assert_eq!(joined["space"], renewed["space"]);
    assert_eq!(ann.json(&["join", ticket])["space"], renewed["space"], "that is its own");

    let node = ann.up();
    let _bob = bob.up_with(&["--listen", LOOPBACK]);
    ann.until(&["counter", "get", "visits"], |answer| answer["value"] == 15);
    let _lost = lost.up_with(&["--listen", LOOPBACK, "--peer", &at(&node)]);
    for (home, of) in [(&ann, &lost), (&lost, &ann)] {
        let id = of.peer_id();
        home.until(&["status"], |status| {
            status["peers"].as_array().unwrap().iter().any(|peer| {
                peer["peer_id"] == id.as_str()
                    && peer["refused"].as_str().is_some_and(|why| why.contains("renewed"))
            })
        });
        assert!(home.text(&["status"]).contains("no session with"));
    }
    assert_eq!(lost.json(&["counter", "get", "visits"])["value"], 5);
    assert_eq!(homes.empty("none").refused(&["renew", "--yes"], 1), "no_space");
}
