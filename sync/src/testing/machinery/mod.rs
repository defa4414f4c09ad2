//! What drives engines in one thread under a clock that is a number: the parts from which [`Network`](super::Network) and
//! Tombolo's own simulator are made. No part of the stable interface.

mod core;
mod dialling;
mod disk;
mod drive;
mod gossip;
mod host;
mod links;
mod machine;
mod names;
mod queue;
mod sessions;
mod trace;

pub use core::{Core, Tally};
pub use disk::{Disk, Fraud};
pub use drive::Drive;
pub use host::Host;
pub use links::{FrameWeather, GossipWeather, Gossipsub, Link, LinkState, Links};
pub use machine::{Machine, NodeOptions, Sent};
pub use names::Names;
pub use queue::Queue;
pub use trace::Trace;
