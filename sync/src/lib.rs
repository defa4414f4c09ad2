//! Peer-to-peer replication of `tombolo-crdt` documents.

mod doc_id;
pub mod engine;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "net")]
mod node;
mod peer_id;
mod space;
pub mod store;

pub use doc_id::DocId;
#[cfg(feature = "net")]
pub use node::{Change, Changes, Commit, Document, Error, Node, NodeBuilder, Result};
pub use peer_id::{ParsePeerIdError, PeerId};
pub use space::{MAX_TICKET_ADDRESSES, Secret, SpaceId, Ticket, TicketError};
