//! The network module between real sockets on the loopback interface, over TCP and over QUIC.
//!
//! Each scenario is a file; [`node`] is a node with a memory for its events, [`cable`] a connection that can be cut
//! without either end being told, [`stranger`] a peer that keeps to no rule.

#![cfg(feature = "net")]

mod cable;
mod node;
mod stranger;

mod blocking;
mod dialling;
mod exchange;
mod hostile;
mod restart;
mod slow;
