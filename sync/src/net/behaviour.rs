//! Everything that runs in the swarm, put together.

use libp2p::allow_block_list::{self, BlockedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{identify, mdns};

use super::error::NetError;
use super::gossip;
use super::session;

/// Says what this is to other libp2p nodes. The same for every space: nothing about ours is in it.
const PROTOCOL: &str = "/tombolo/1";

/// Connections that stand at once. Several times the largest space we are made for; what one costs is bounded.
const MAX_CONNECTIONS: u32 = 512;

/// Connections to one peer: the session, its successor, and two that are being closed.
const MAX_CONNECTIONS_TO_ONE: u32 = 4;

/// Connections that are being agreed on, each way.
const MAX_HANDSHAKES: u32 = 64;

/// The fields are asked in this order whether a connection may stand, so those that refuse come first.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) blocked: allow_block_list::Behaviour<BlockedPeers>,
    limits: connection_limits::Behaviour,
    pub(super) sessions: session::Behaviour,
    pub(super) gossip: gossip::Gate,
    identify: identify::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
}

impl Behaviour {
    pub(super) fn new(
        keypair: &Keypair,
        sessions: session::Behaviour,
        topic: &str,
        agent: String,
        mdns: bool,
    ) -> Result<Self, NetError> {
        let limits = ConnectionLimits::default()
            .with_max_established(Some(MAX_CONNECTIONS))
            .with_max_established_per_peer(Some(MAX_CONNECTIONS_TO_ONE))
            .with_max_pending_incoming(Some(MAX_HANDSHAKES))
            .with_max_pending_outgoing(Some(MAX_HANDSHAKES));
        let identify = identify::Config::new(PROTOCOL.into(), keypair.public()).with_agent_version(agent);
        Ok(Self {
            blocked: allow_block_list::Behaviour::default(),
            limits: connection_limits::Behaviour::new(limits),
            sessions,
            gossip: gossip::Gate::new(topic)?,
            identify: identify::Behaviour::new(identify),
            mdns: Toggle::from(if mdns { discovery(keypair) } else { None }),
        })
    }
}

/// Discovery on the local network, where the system allows it: a node is of use without.
fn discovery(keypair: &Keypair) -> Option<mdns::tokio::Behaviour> {
    mdns::tokio::Behaviour::new(mdns::Config::default(), keypair.public().to_peer_id())
        .inspect_err(|error| tracing::warn!(%error, "no discovery on the local network"))
        .ok()
}
