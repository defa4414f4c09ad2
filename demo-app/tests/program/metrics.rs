//! Scrapes of running nodes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::common::{Homes, LOOPBACK, PATIENCE, Running, text_of};

/// What a node answers to this first line.
fn ask(node: &Running, line: &str) -> String {
    let address = text_of(&node.ready["metrics"]).strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address.split('/').next().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{line}\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn scrape(node: &Running) -> String {
    let answer = ask(node, "GET /metrics HTTP/1.1");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    body.to_owned()
}

/// The number of a family, summed over its labels.
fn number(text: &str, name: &str) -> u64 {
    let lines =
        text.lines().filter(|line| line.starts_with(name) && line[name.len()..].starts_with([' ', '{']));
    let numbers = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    let all: Vec<u64> = numbers.collect();
    assert!(!all.is_empty(), "no {name} in {text}");
    all.into_iter().sum()
}

#[test]
fn a_scrape_has_all_families_and_the_counters_move() {
    let homes = Homes::new();
    let ann = homes.created("ann");
    let bob = homes.joined("bob", &ann);
    let node = ann.up_with(&["--listen", LOOPBACK, "--metrics", "0"]);
    let before = scrape(&node);
    assert_eq!(number(&before, "tombolo_peers_connected"), 0);
    assert_eq!(number(&before, "tombolo_commits_durable_total"), 0);
    let _other = bob.up_with(&["--listen", LOOPBACK, "--peer", text_of(&node.ready["listen"][0])]);
    bob.json(&["counter", "inc", "visits", "5"]);
    ann.until(&["counter", "get", "visits"], |answer| answer["value"] == 5);
    ann.json(&["set", "add", "labels", "x", "--replicated", "1"]);
    ann.json(&["wait"]);
    let after = scrape(&node);
    for (name, wanted) in [
        ("tombolo_peers_known", 1),
        ("tombolo_peers_connected", 1),
        ("tombolo_documents", 2),
        ("tombolo_pending_deltas", 0),
        ("tombolo_diverged_documents", 0),
        ("tombolo_removals_remembered", 0),
        ("tombolo_lag_items", 0),
        ("tombolo_commits_refused_total", 0),
        ("tombolo_gossip_dropped_total", 0),
    ] {
        assert_eq!(number(&after, name), wanted, "{name}");
    }
    for name in [
        "tombolo_store_bytes",
        "tombolo_received_bytes_total",
        "tombolo_sent_bytes_total",
        "tombolo_frames_received_total",
        "tombolo_frames_sent_total",
        "tombolo_commits_durable_total",
        "tombolo_pushes_total",
    ] {
        assert!(number(&after, name) > 0, "{name} in {after}");
    }
    for name in [
        "tombolo_batches_in_flight",
        "tombolo_pulls_total",
        "tombolo_pulls_fruitless_total",
        "tombolo_repairs_total",
    ] {
        number(&after, name);
    }
    assert!(number(&after, "tombolo_sent_bytes_total") > number(&before, "tombolo_sent_bytes_total"));
    assert!(after.contains(&format!("tombolo_lag_items{{peer=\"{}\"}} 0", bob.peer_id())), "{after}");

    assert!(ask(&node, "GET / HTTP/1.1").starts_with("HTTP/1.1 404"));
    assert!(ask(&node, "POST /metrics HTTP/1.1").starts_with("HTTP/1.1 405"));
    assert!(ask(&node, "nonsense").starts_with("HTTP/1.1 400"));
    let taken = text_of(&node.ready["metrics"]).trim_start_matches("http://").trim_end_matches("/metrics");
    assert_eq!(bob.refused(&["up", "--metrics", taken], 1), "address");
}
