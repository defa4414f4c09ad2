//! Five real nodes on loopback while links are cut, and nodes killed, at random: what was acknowledged is there in the
//! end, and all are equal.
//!
//! `TOMBOLO_SEED=N` repeats the choices of a run (not its timing, which is the machine's).
#![cfg(unix)]

#[allow(dead_code)]
mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Home, Homes, Running};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

const NODES: usize = 5;
/// How long there is chaos.
const CHAOS: Duration = Duration::from_secs(12);
/// How long healing may take.
const HEALING: Duration = Duration::from_secs(25);

/// What one writer knows of its writes.
#[derive(Debug, Default)]
struct Written {
    acknowledged: u32,
    up: i64,
    down: i64,
    up_in_doubt: i64,
    down_in_doubt: i64,
    added: BTreeSet<String>,
    maybe_added: BTreeSet<String>,
    /// What this writer's own key may hold: the last acknowledged value, and all that were in doubt since.
    own: BTreeSet<String>,
}

/// How a write ended.
#[derive(Debug, PartialEq)]
enum Fate {
    Done,
    /// It failed, and did not happen.
    Refused,
    /// The node was killed before it answered.
    InDoubt,
}

fn write(home: &Home, arguments: &[&str]) -> Fate {
    let ended = home.run(&[&["--json", "--wait", "5"], arguments].concat());
    if ended.code == Some(0) {
        return Fate::Done;
    }
    let error: Value =
        serde_json::from_str(&ended.stderr).unwrap_or_else(|_| panic!("{arguments:?}: {ended:?}"));
    match error["error"]["code"].as_str().unwrap() {
        "in_doubt" => Fate::InDoubt,
        "locked" => Fate::Refused,
        other => panic!("{arguments:?} must not fail with {other}: {error}"),
    }
}

/// Writes at random until it is over.
fn work(home: &Home, me: usize, seed: u64, over: &AtomicBool) -> Written {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (me as u64 + 1));
    let mut written = Written::default();
    for n in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let amount: i64 = rng.random_range(1..=9);
        let (by, element, key) = (amount.to_string(), format!("{me}-{n}"), format!("key-{me}"));
        let fate = match rng.random_range(0..4) {
            0 => {
                let fate = write(home, &["counter", "inc", "up", &by]);
                written.up += if fate == Fate::Done { amount } else { 0 };
                written.up_in_doubt += if fate == Fate::InDoubt { amount } else { 0 };
                fate
            }
            1 => {
                let fate = write(home, &["counter", "dec", "board/down", &by]);
                written.down += if fate == Fate::Done { amount } else { 0 };
                written.down_in_doubt += if fate == Fate::InDoubt { amount } else { 0 };
                fate
            }
            2 => {
                let fate = write(home, &["set", "add", "labels", &element]);
                match fate {
                    Fate::Done => drop(written.added.insert(element)),
                    Fate::InDoubt => drop(written.maybe_added.insert(element)),
                    Fate::Refused => {}
                }
                fate
            }
            _ => {
                let fate = write(home, &["map", "put", "board/keys", &key, &element]);
                if fate == Fate::Done {
                    written.own.clear();
                }
                if fate != Fate::Refused {
                    written.own.insert(element);
                }
                fate
            }
        };
        written.acknowledged += u32::from(fate == Fate::Done);
        std::thread::sleep(Duration::from_millis(rng.random_range(0..60)));
    }
    written
}

/// Cuts and restores links, kills and restarts nodes, until the time is up.
fn havoc(homes: &[Home], nodes: &mut [Option<Running>], seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let end = Instant::now() + CHAOS;
    while Instant::now() < end {
        let (one, other) = (rng.random_range(0..NODES), rng.random_range(0..NODES));
        let name = format!("n{other}");
        match rng.random_range(0..10) {
            0..4 if one != other => {
                // Whom it has not met yet it cannot cut off.
                write_link(&homes[one], &["block", &name]);
            }
            4..7 if one != other => write_link(&homes[one], &["unblock", &name]),
            7 => write_link(&homes[one], &["unblock", "--all"]),
            _ => match nodes[one].take() {
                Some(node) if rng.random_bool(0.8) => node.kill(),
                Some(node) => assert_eq!(node.stop().code, Some(0)),
                None => nodes[one] = Some(homes[one].up()),
            },
        }
        std::thread::sleep(Duration::from_millis(rng.random_range(0..250)));
    }
}

fn write_link(home: &Home, arguments: &[&str]) {
    let ended = home.run(&[arguments, &["--json"]].concat());
    let fine =
        ["\"unknown_peer\"", "\"in_doubt\"", "\"locked\""].iter().any(|code| ended.stderr.contains(code));
    assert!(ended.code == Some(0) || fine, "{arguments:?}: {ended:?}");
}

#[test]
fn what_was_acknowledged_survives_cut_links_and_killed_nodes_and_all_end_equal() {
    let seed =
        std::env::var("TOMBOLO_SEED").ok().map_or_else(rand::random, |seed| seed.parse().expect("a number"));
    println!("TOMBOLO_SEED={seed}");
    let space = Homes::new();
    let first = space.created("n0");
    let mut nodes = vec![Some(first.up())];
    let mut homes = vec![first];
    for n in 1..NODES {
        let home = space.joined(&format!("n{n}"), &homes[0]);
        nodes.push(Some(home.up()));
        homes.push(home);
    }

    let over = AtomicBool::new(false);
    let written: Vec<Written> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..NODES)
            .map(|me| {
                let (home, over) = (&homes[me], &over);
                scope.spawn(move || work(home, me, seed, over))
            })
            .collect();
        let wrecked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| havoc(&homes, &mut nodes, seed)));
        over.store(true, Ordering::Relaxed);
        let written = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        wrecked.unwrap();
        written
    });

    let healing = Instant::now();
    for (home, node) in homes.iter().zip(&mut nodes) {
        if node.is_none() {
            *node = Some(home.up());
        }
        home.json(&["unblock", "--all"]);
    }
    for home in &homes {
        let left = HEALING.saturating_sub(healing.elapsed()).as_secs_f64().to_string();
        let others = (NODES - 1).to_string();
        let ended = home.run(&["wait", "--peers", &others, "--timeout", &left]);
        if ended.code != Some(0) {
            let all: Vec<String> = homes.iter().map(|home| home.text(&["status"])).collect();
            panic!("seed {seed}: {}\n{}", ended.stderr, all.join("\n"));
        }
    }
    println!("healed after {:?}", healing.elapsed());
    let dump = homes[0].text(&["dump"]);
    for home in &homes[1..] {
        assert_eq!(home.text(&["dump"]), dump, "seed {seed}");
    }

    let sum = |of: fn(&Written) -> i64| written.iter().map(of).sum::<i64>();
    let acknowledged: u32 = written.iter().map(|written| written.acknowledged).sum();
    println!(
        "{acknowledged} acknowledged writes, in doubt: {} up, {} down",
        sum(|w| w.up_in_doubt),
        sum(|w| w.down_in_doubt)
    );
    assert!(acknowledged > 50, "seed {seed}: nothing much was tested");
    let up = homes[0].json(&["counter", "get", "up"])["value"].as_i64().unwrap();
    assert!((sum(|w| w.up)..=sum(|w| w.up + w.up_in_doubt)).contains(&up), "seed {seed}: up is {up}");
    let down = -homes[0].json(&["counter", "get", "board/down"])["value"].as_i64().unwrap();
    assert!(
        (sum(|w| w.down)..=sum(|w| w.down + w.down_in_doubt)).contains(&down),
        "seed {seed}: down is {down}"
    );
    let labels: BTreeSet<String> = serde_json::from_value(homes[0].json(&["set", "list", "labels"])).unwrap();
    let added: BTreeSet<String> = written.iter().flat_map(|w| w.added.clone()).collect();
    let maybe: BTreeSet<String> = written.iter().flat_map(|w| w.maybe_added.clone()).collect();
    assert!(added.is_subset(&labels), "seed {seed}: lost {:?}", added.difference(&labels));
    let extra: Vec<_> = labels.difference(&added).filter(|label| !maybe.contains(*label)).collect();
    assert!(extra.is_empty(), "seed {seed}: nobody added {extra:?}");
    let keys = homes[0].json(&["map", "list", "board/keys"]);
    for (me, written) in written.iter().enumerate().filter(|(_, written)| !written.own.is_empty()) {
        let values: BTreeSet<String> =
            serde_json::from_value(keys[format!("key-{me}")]["values"].clone()).unwrap_or_default();
        // One writer has no conflicts with itself: one value, unless all its writes were in doubt.
        assert!(
            values.len() <= 1 && values.is_subset(&written.own),
            "seed {seed}: {values:?}, not {:?}",
            written.own
        );
    }
    nodes.into_iter().flatten().for_each(|node| assert_eq!(node.stop().code, Some(0)));
}
