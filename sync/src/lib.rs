//! Peer-to-peer replication of `tombolo-crdt` documents.
//!
//! A [`Node`] is a home on disk, in one *space*: a group of peers that share documents and a secret. Documents are opened by
//! name and type, read and written in place, and replicated between all peers of the space, over TCP and QUIC, through
//! partitions, crashes and restarts. Writing never waits for anybody: a write is visible at once, durable when its
//! [`Commit`] resolves, and everywhere when the network allows.
//!
//! ```no_run
//! use tombolo_crdt::{AddWinsSet, Crdt, DotStore as _, PnCounter};
//! use tombolo_sync::Node;
//!
//! #[derive(Crdt)]
//! struct Board {
//!     visits: PnCounter,
//!     labels: AddWinsSet<String>,
//! }
//!
//! # async fn example() -> tombolo_sync::Result<()> {
//! let node = Node::builder("app-data").create().start().await?;
//! println!("invite others with {}", node.ticket());
//!
//! let board = node.open::<Board>("garden")?;
//! board.update(|board| board.visits().inc(1)).await?; // durable here
//! board.read(|board| println!("{} visits, {} labels", board.visits.value(), board.labels.len()));
//!
//! // What is shown, and then what becomes different in it, by path, whoever made it.
//! let (mut shown, mut watch) = board.watch(|board| board.plain());
//! while let Some(Ok(step)) = watch.next().await {
//!     println!("by {:?}: {:?}", step.origin, step.changes);
//!     step.apply_to(&mut shown).expect("it fits what was there before");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Parts
//! - [`engine`]: the protocol as a state machine without I/O.
//! - [`store`]: durable storage, redb or memory.
//! - `testing`: a network in one process, with partitions, loss, crashes and a clock of its own, to test the convergence of your own
//!   types and code (feature `testing`).
//! - `net`: libp2p, and nothing but libp2p (feature `net`, on by default). Without it neither libp2p nor Tokio is compiled.

#[cfg(any(feature = "net", feature = "testing"))]
mod concern;
mod doc_id;
pub mod engine;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "net")]
mod node;
mod peer_id;
mod space;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(any(feature = "net", feature = "testing"))]
pub use concern::{InSync, NotInSync, NotReached, NotReplicated};
pub use doc_id::DocId;
pub use engine::{NotMerged, Origin, Step};
#[cfg(feature = "net")]
pub use node::{
    Change, Changes, Commit, Document, Doubt, Error, Lagged, Left, Node, NodeBuilder, ReadAfter, Replicated,
    Replicating, Result, Watch, Wipe,
};
pub use peer_id::{ParsePeerIdError, PeerId};
/// What [`Node::register_metrics`] takes a registry of (feature `metrics`).
#[cfg(feature = "metrics")]
pub use prometheus_client;
pub use space::{MAX_TICKET_ADDRESSES, Renewal, Secret, SpaceId, Ticket, TicketError};

/// The README's examples, compiled and run.
#[cfg(all(doctest, feature = "net", feature = "testing"))]
#[doc = include_str!("../../README.md")]
struct Readme;
