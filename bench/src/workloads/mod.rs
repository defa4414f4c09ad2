//! The workloads: each with its inputs, its sections and the check of their results.

mod counter;
mod growth;
mod list;
mod map;
mod marks;
mod moves;
mod nested;
mod overwrite;
mod set;
mod sync_small;
mod text;
mod tree;
mod types;

use crate::meter::Meter;
use crate::system::{Replicated, System};

/// Why a workload ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// The system cannot do it.
    Na(&'static str),
    /// The result is not what it must be.
    Wrong(String),
}

impl From<&'static str> for Stop {
    fn from(why: &'static str) -> Self {
        Self::Na(why)
    }
}

/// Two replicas.
type Two<T> = (Box<T>, Box<T>);

/// A workload.
pub struct Workload {
    /// How it is called.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Does it.
    pub run: fn(&dyn System, &mut Meter) -> Result<(), Stop>,
}

/// The workload all whose systems have their instructions counted.
pub const TEXT: &str = "text";
const MARKS: &str = "marks";

/// Those whose inputs are recordings.
pub const RECORDED: [&str; 2] = [TEXT, MARKS];

/// All of them, in the order of the report.
pub const ALL: &[Workload] = &[
    Workload {
        name: "counter",
        about: "1 000 000 increments in one transaction, and one each; merge of 1 000 replicas",
        run: counter::run,
    },
    Workload {
        name: "set",
        about: "100 000 adds, every third removed; merge of two that diverged by 50 000 each over 100 000",
        run: set::run,
    },
    Workload {
        name: "map",
        about: "100 000 keys set, overwritten, read, iterated; merge of 50 000 different overwrites each",
        run: map::run,
    },
    Workload {
        name: "nested",
        about: "10 000 records of 10 fields; 10 000 edits at random fields, each a delta",
        run: nested::run,
    },
    Workload {
        name: "sync-small",
        about: "two replicas share 100 000 keys and have 10 new ones each; without and with a session",
        run: sync_small::run,
    },
    Workload {
        name: "overwrite",
        about: "one register set 1 000 000 times; one member added and removed 1 000 000 times",
        run: overwrite::run,
    },
    Workload {
        name: "types",
        about: "the other types: 100 000 writes in one transaction; 10 000 with a delta each, taken in one by one",
        run: types::run,
    },
    Workload {
        name: TEXT,
        about: "a paper of 260 000 edits, typed, sent edit by edit, stored; two who type at once, and who merge",
        run: text::run,
    },
    Workload {
        name: MARKS,
        about: "10 000 random marks over that paper, then 10 000 letters at random places, a delta each, taken in one by one",
        run: marks::run,
    },
    Workload {
        name: "list",
        about: "100 000 numbers inserted at random places, and at the end; 10 000 with a delta each, taken in one by one",
        run: list::run,
    },
    Workload {
        name: "moves",
        about: "10 000 random moves in a list of 10 000: with a delta each, taken in one by one; merge of two who made half each",
        run: moves::run,
    },
    Workload {
        name: "tree",
        about: "10 000 random moves in a tree of 10 000 nodes, 1 000 deep: as in the list",
        run: tree::run,
    },
    Workload {
        name: "growth",
        about: "a set and a map of n, 2n, 4n, 8n (n = 12 500): state, building, one update, one small delta",
        run: growth::run,
    },
];

/// The workload of this name.
pub fn named(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name)
}

/// A wrong result, said with both sides.
fn check<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), Stop> {
    if found == expected {
        return Ok(());
    }
    let short = |value: &T| format!("{value:?}").chars().take(120).collect::<String>();
    Err(Stop::Wrong(format!("{what}: {} in place of {}", short(found), short(expected))))
}

/// Two tell each other what they lack; all messages.
fn both<R: Replicated + ?Sized>(ann: &mut R, bob: &mut R) -> Result<[Vec<u8>; 4], &'static str> {
    let (of_ann, of_bob) = (ann.version(), bob.version());
    let (to_ann, to_bob) = (bob.since(&of_ann)?, ann.since(&of_bob)?);
    ann.apply(&to_ann);
    bob.apply(&to_bob);
    Ok([of_ann, of_bob, to_ann, to_bob])
}

/// Sorted, for comparing what comes in any order.
fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort_unstable();
    items
}
