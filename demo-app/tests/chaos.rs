//! Five real nodes on loopback while links are cut, and nodes killed, at random: what was acknowledged is there in the
//! end, and all are equal.
//!
//! `TOMBOLO_SEED=N` repeats the choices of a run (not its timing, which is the machine's).
#![cfg(unix)]

#[allow(dead_code)]
mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::history::{Gate, Written, check, summary, work};
use common::{Home, Homes, Running, seed};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const NODES: usize = 5;
/// How long there is chaos.
const CHAOS: Duration = Duration::from_secs(12);
/// How long healing may take.
const HEALING: Duration = Duration::from_secs(25);

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
    let seed = seed();
    let space = Homes::new();
    let first = space.created("n0");
    let mut nodes = vec![Some(first.up())];
    let mut homes = vec![first];
    for n in 1..NODES {
        let home = space.joined(&format!("n{n}"), &homes[0]);
        nodes.push(Some(home.up()));
        homes.push(home);
    }

    let (over, gate) = (AtomicBool::new(false), [(); NODES].map(|()| Gate::default()));
    let written: Vec<Written> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..NODES)
            .map(|me| {
                let (home, gate, over) = (&homes[me], &gate[me], &over);
                scope.spawn(move || work(home, me, seed, gate, over))
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

    println!("{}", summary(&written));
    let acknowledged: u32 = written.iter().map(|written| written.acknowledged).sum();
    assert!(acknowledged > 50, "seed {seed}: nothing much was tested");
    check(&homes[0], &written);
    nodes.into_iter().flatten().for_each(|node| assert_eq!(node.stop().code, Some(0)));
}
