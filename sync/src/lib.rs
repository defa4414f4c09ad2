//! Peer-to-peer replication of `tombolo-crdt` documents.

mod doc_id;
#[cfg(feature = "net")]
pub mod net;
mod peer_id;
pub mod store;

pub use doc_id::DocId;
pub use peer_id::{ParsePeerIdError, PeerId};
