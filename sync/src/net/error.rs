//! Why a node could not be put on the network.

use std::io;

use libp2p::Multiaddr;

/// [`Net::start`](super::Net::start) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The 32 bytes were not taken as an Ed25519 secret key.
    #[error("the node's secret is not an Ed25519 key: {0}")]
    Key(String),
    /// The encryption of TCP connections could not be set up.
    #[error("the Noise handshake cannot be set up: {0}")]
    Noise(String),
    /// Gossipsub refused its configuration or the topic.
    #[error("gossip cannot be set up: {0}")]
    Gossip(String),
    /// An address of [`NetConfig::listen`](super::NetConfig::listen) cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address as configured.
        address: Multiaddr,
        /// What the operating system or libp2p said.
        source: io::Error,
    },
}
