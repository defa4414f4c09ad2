//! A network in one process, for the tests of applications: do all nodes come to hold the same, and is it what was meant, whatever
//! is cut, lost, late and crashed meanwhile? Feature `testing`; needs neither libp2p nor an async runtime.
//!
//! What runs here is what runs in a `Node`: the same engine and the same protocol, on a store in memory. Links, disks and clocks are
//! the test's, and time is a number, so that minutes pass in milliseconds. Everything follows from the seed: a test that fails fails
//! again, and says what happened last.
//!
//! ```
//! use std::time::Duration;
//! use tombolo_crdt::{AddWinsSet, Crdt, PnCounter};
//! use tombolo_sync::testing::{Network, NotEqual, Weather};
//!
//! #[derive(Crdt)]
//! struct Board {
//!     visits: PnCounter,
//!     labels: AddWinsSet<String>,
//! }
//!
//! # fn main() -> Result<(), NotEqual> {
//! let mut net = Network::new(7); // the seed
//! let [ann, bob, cem] = net.nodes(["ann", "bob", "cem"]);
//! let board = net.open::<Board>(ann, "board");
//! net.update(ann, &board, |board| board.labels().add("late"));
//! net.run_until_equal(Duration::from_secs(10))?;
//!
//! // Ann is alone. She removes the label while Bob adds it again, and both count.
//! net.partition(&[&[ann], &[bob, cem]]);
//! net.update(ann, &board, |board| {
//!     board.visits().inc(1);
//!     board.labels().remove("late");
//! });
//! net.update(bob, &board, |board| {
//!     board.visits().inc(1);
//!     board.labels().add("late");
//! });
//! net.run_for(Duration::from_secs(3));
//! assert!(!net.read(ann, &board, |board| board.labels.contains("late")));
//! assert_eq!(net.read(cem, &board, |board| board.visits.value()), 1);
//!
//! // Bob's process dies, and the weather is bad.
//! net.crash(bob);
//! net.start(bob);
//! net.weather(Weather::fair().loss(5).late(10).gossip(0));
//!
//! // The links carry again: all come to hold the same, both counts and the label that Ann had not seen.
//! net.restore_all();
//! net.run_until_equal(Duration::from_secs(60))?;
//! net.assert_converged();
//! assert_eq!(net.read(cem, &board, |board| board.visits.value()), 2);
//! assert!(net.read(ann, &board, |board| board.labels.contains("late")));
//! # Ok(())
//! # }
//! ```
//!
//! # What can be said
//! - *Documents*: [`open`](Network::open), [`update`](Network::update), [`try_update`](Network::try_update), [`read`](Network::read),
//!   [`delete`](Network::delete), [`list`](Network::list), [`watch`](Network::watch), [`steps`](Network::steps).
//! - *Links*: [`cut`](Network::cut), [`silence`](Network::silence), [`partition`](Network::partition),
//!   [`restore`](Network::restore), [`restore_all`](Network::restore_all), [`weather`](Network::weather).
//! - *Machines*: [`crash`](Network::crash), [`start`](Network::start), [`disk_fails`](Network::disk_fails),
//!   [`set_clock`](Network::set_clock).
//! - *Time*: [`run_for`](Network::run_for), [`run_until`](Network::run_until), [`run_until_equal`](Network::run_until_equal),
//!   [`now`](Network::now).
//! - *Waiting for others*: [`run_until_replicated`](Network::run_until_replicated), [`run_until_reached`](Network::run_until_reached),
//!   [`run_until_in_sync`](Network::run_until_in_sync).
//! - *What came of it*: [`assert_converged`](Network::assert_converged), [`Commit::is_durable`], [`events`](Network::events),
//!   [`status`](Network::status), [`sent`](Network::sent), [`trace`](Network::trace).
//!
//! Tests of many runs loop over seeds; random executions of one type, without a network, are in `tombolo_crdt::testing`.

mod account;
mod commit;
mod concern;
mod difference;
mod document;
mod documents;
#[doc(hidden)]
pub mod machinery;
mod network;
mod stage;
mod watch;
mod weather;

pub use account::{Lack, NotEqual};
pub use commit::Commit;
pub use document::Document;
pub use machinery::Sent;
pub use network::{Network, NodeId};
pub use watch::Watch;
pub use weather::{Clock, Weather};
