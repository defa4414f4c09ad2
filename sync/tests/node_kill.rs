//! `kill -9` of a whole node at random points of commits and compactions: every acknowledged write is there when its home is
//! opened again, transactions are whole, and the home is not in doubt about itself.
//!
//! `TOMBOLO_KILL_SECONDS=N` goes on for so long, and `TOMBOLO_SEED=N` repeats the choices (not the timing, which is the
//! machine's).
#![cfg(all(unix, feature = "net"))]

#[allow(dead_code)]
mod common;

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use common::{child, folder, folder_of_child, kill, number, say, seed};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{AddWinsSet, PnCounter};
use tombolo_sync::{Doubt, Node};

/// How long the sweep takes if nothing else is said.
const SECONDS: u64 = 8;
/// How many steps are under way at most.
const WINDOW: usize = 6;
/// How many words there are at a time. A word is long: the log of their document is compacted every few dozen steps.
const KEPT: u64 = 20;

type Words = AddWinsSet<String>;

fn word(step: u64) -> String {
    format!("{step} {}", "x".repeat(1500))
}

/// The words after so many steps.
fn words_after(steps: u64) -> BTreeSet<String> {
    (steps.saturating_sub(KEPT)..steps).map(word).collect()
}

async fn open(folder: &Path) -> Node {
    let builder = Node::builder(folder.join("home")).witness(folder.join("state"));
    builder.create().offline().start().await.unwrap()
}

/// Takes step after step, each a transaction that adds a word and removes one, and then a count; says the steps that have become
/// durable.
#[test]
fn child_steps() {
    let Some(folder) = folder_of_child() else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let node = open(&folder).await;
        if let Some(doubt) = node.doubt() {
            say(format!("doubt {doubt}"));
            return;
        }
        let (words, steps) = (node.open::<Words>("words").unwrap(), node.open::<PnCounter>("steps").unwrap());
        let mut under_way = VecDeque::new();
        for step in steps.read(|steps| steps.value()) as u64.. {
            let changed = words.update(|words| {
                words.add(word(step));
                words.remove(&word(step.wrapping_sub(KEPT)));
            });
            under_way.push_back((step, changed, steps.update(|steps| steps.inc(1))));
            if under_way.len() == WINDOW {
                let (step, changed, counted) = under_way.pop_front().unwrap();
                changed.await.unwrap();
                counted.await.unwrap();
                say(step);
            }
        }
    });
}

#[test]
fn what_a_node_acknowledged_survives_a_kill_at_any_point_and_its_home_knows_itself() {
    let folder = folder();
    let mut random = ChaCha8Rng::seed_from_u64(seed());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let until = Instant::now() + Duration::from_secs(number("TOMBOLO_KILL_SECONDS").unwrap_or(SECONDS));
    let (mut acknowledged, mut kills) = (0, 0);
    // What may be there beyond what was acknowledged: each child since then leaves what was under way with it.
    let mut unheard = 0;
    while Instant::now() < until {
        let (child, mut said) = child("child_steps", folder.path());
        let first = if random.random_bool(0.8) { said.next() } else { None };
        let reader = std::thread::spawn(move || said.last());
        std::thread::sleep(Duration::from_micros(random.random_range(0..150_000)));
        kill(child);
        kills += 1;
        unheard += WINDOW as u64;
        if let Some(last) = reader.join().unwrap().or(first) {
            acknowledged = last.parse::<u64>().unwrap_or_else(|_| panic!("{last}")) + 1;
            unheard = WINDOW as u64;
        }
        // Else the next child opens what this one left, which need not be what we would.
        if random.random_bool(0.6) {
            acknowledged = runtime.block_on(look(folder.path(), acknowledged, unheard));
            unheard = 0;
        }
    }
    let held = runtime.block_on(look(folder.path(), acknowledged, unheard));
    println!("{kills} kills, {held} steps");
    assert!(kills > 10 && held > 150, "nothing much was tested: {kills} kills, {held} steps");
}

/// Opens the home and checks all that is in it: what was acknowledged, and no more than `unheard` steps beyond. Says how many
/// steps it holds.
async fn look(folder: &Path, acknowledged: u64, unheard: u64) -> u64 {
    let node = open(folder).await;
    assert_eq!(node.doubt(), None::<Doubt>);
    let steps = node.open::<PnCounter>("steps").unwrap().read(|steps| steps.value()) as u64;
    assert!(
        (acknowledged..=acknowledged + unheard).contains(&steps),
        "{steps} steps of {acknowledged} acknowledged ones"
    );
    let words =
        node.open::<Words>("words").unwrap().read(|words| words.iter().cloned().collect::<BTreeSet<_>>());
    // The words of a step come before its count.
    assert!([steps, steps + 1].map(words_after).contains(&words), "of {steps} steps not all are whole");
    node.shutdown().await;
    steps
}
