//! Peer-to-peer replication of `tombolo-crdt` documents.

mod doc_id;
pub mod engine;
#[cfg(feature = "net")]
pub mod net;
mod peer_id;
mod space;
pub mod store;

pub use doc_id::DocId;
pub use peer_id::{ParsePeerIdError, PeerId};
pub use space::{MAX_TICKET_ADDRESSES, Secret, SpaceId, Ticket, TicketError};
