//! What the tests of `tombolo-crdt` are written with.
//!
//! [`program`] runs random programs over a few replicas and checks, after every step, what must hold of any of them.
//! [`history`] and [`definitions`] say what the types mean: values read off the full set of events and their
//! happened-before, with no join and no dots in sight. [`scopes`] goes through all that can happen with a few operations, and
//! [`catalogue`] has the operations of every type. [`order`] says where letters and elements stand, [`placed`] what movable lists and trees mean, [`moved`] plays what is done to these, [`marks`] says what marks lie over. [`two`] write to a text at the same time. [`laws`] are what joining must obey, and [`wire`] writes messages
//! by hand.

pub mod catalogue;
pub mod definitions;
pub mod history;
pub mod laws;
pub mod marks;
pub mod moved;
pub mod order;
pub mod placed;
pub mod program;
pub mod scopes;
pub mod two;
pub mod wire;

use proptest::prelude::ProptestConfig;

/// So many cases of a random test, or as many times more as the environment variable `TOMBOLO_CASES` says.
#[must_use]
pub fn cases(cases: u32) -> ProptestConfig {
    let times = std::env::var("TOMBOLO_CASES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    ProptestConfig {
        cases: cases.saturating_mul(times),
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}
