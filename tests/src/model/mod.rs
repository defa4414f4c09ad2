//! What the tests of `tombolo-crdt` are written with.
//!
//! [`program`] runs random programs over a few replicas and checks, after every step, what must hold of any of them.
//! [`history`] and [`definitions`] say what the types mean: values read off the full set of events and their
//! happened-before, with no join and no dots in sight.

pub mod definitions;
pub mod history;
pub mod laws;
pub mod program;
