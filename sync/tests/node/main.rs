//! Nodes over real sockets on loopback.
#![cfg(feature = "net")]

mod application;
mod bulk;
mod concern;
mod cut;
mod lazy;
mod leave;
mod limits;
mod merge;
mod patience;
mod renew;
mod suspend;
mod watch;
