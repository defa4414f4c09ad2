//! A network of nodes in one thread, with a clock that is a number: nothing in it is real but the engines.
//!
//! What drives the engines is what drives them in the tests of applications, `tombolo_sync::testing`. [`World`] has that network
//! (nodes with disks, links, sessions, gossip and time) and watches it; tests that tell a story use it directly.
//! [`Schedule`] plays a random story from a seed (writes, cuts, crashes, full disks, clocks that jump), heals
//! everything, and asks whether all nodes hold what they must. The same seed is the same run, event for event.
//!
//! What is watched all the time: see `Checks` in `check`. What must hold in the end: see [`Ledger`].

mod check;
mod kind;
mod ledger;
mod mirror;
mod outcome;
mod scenario;
mod schedule;
mod story;
mod watch;
mod world;

pub use kind::{Board, BoardMut, BoardState, Kind, Op, Value};
pub use ledger::Ledger;
pub use outcome::{Branch, Outcome, Stats};
pub use scenario::{Played, Scenario};
pub use schedule::{Mode, Schedule};
pub use tombolo_sync::testing::machinery::{FrameWeather, GossipWeather, Gossipsub, LinkState, NodeOptions};
pub use world::{Sabotage, Sent, World};
