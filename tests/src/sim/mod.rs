//! A network of nodes in one thread, with a clock that is a number: nothing in it is real but the engines.
//!
//! [`World`] is the network: nodes with disks, links, sessions, gossip and time. Tests that tell a story use it directly.
//! [`Schedule`] plays a random story from a seed (writes, cuts, crashes, full disks, clocks that jump), heals
//! everything, and asks whether all nodes hold what they must. The same seed is the same run, event for event.
//!
//! What is watched all the time: see `Checks` in `check`. What must hold in the end: see [`Ledger`].

mod check;
mod disk;
mod driver;
mod kind;
mod ledger;
mod network;
mod node;
mod outcome;
mod queue;
mod scenario;
mod schedule;
mod story;
mod trace;
mod world;

pub use disk::Disk;
pub use kind::{Board, BoardMut, BoardState, Kind, Op, Value};
pub use ledger::Ledger;
pub use network::{FrameWeather, GossipWeather, Gossipsub, LinkState};
pub use node::NodeOptions;
pub use outcome::{Branch, Outcome, Stats};
pub use scenario::{Played, Scenario};
pub use schedule::{Mode, Schedule};
pub use world::{Sabotage, Sent, World};
