//! A connection's gossip, asleep until the connection carries the peer's session.
//!
//! Gossipsub's handler is made when the connection is passed on to gossipsub, not when it is established. Until then
//! this one opens no stream, and accepts the peer's but leaves it unread: the peer may have chosen this connection
//! before us, and refusing its stream would make it believe that we know no gossip.

use std::fmt;
use std::task::{Context, Poll};

use libp2p::Stream;
use libp2p::core::upgrade::InboundUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, NetworkBehaviour, SubstreamProtocol};

use super::Gossipsub;

/// Gossipsub's own handler.
pub(super) type Inner = <Gossipsub as NetworkBehaviour>::ConnectionHandler;

/// What gossipsub's handler offers to accept.
pub(super) type Upgrade = <Inner as ConnectionHandler>::InboundProtocol;

/// What comes of it: the peer's stream.
type Accepted = <Upgrade as InboundUpgrade<Stream>>::Output;

type InnerCommand = <Inner as ConnectionHandler>::FromBehaviour;
type InnerReport = <Inner as ConnectionHandler>::ToBehaviour;
type OutboundUpgrade = <Inner as ConnectionHandler>::OutboundProtocol;

/// From the gate.
pub(in crate::net) enum Command {
    /// Gossip goes over this connection from now on.
    Begin(Box<Inner>),
    /// From gossipsub to its handler.
    Inner(InnerCommand),
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(_) => f.write_str("Begin"),
            Self::Inner(command) => command.fmt(f),
        }
    }
}

/// See the module.
#[allow(clippy::large_enum_variant)] // One a connection.
pub(in crate::net) enum Handler {
    Asleep { upgrade: Upgrade, accepted: Option<Accepted> },
    Awake(Inner),
}

impl Handler {
    pub(super) fn new(upgrade: Upgrade) -> Self {
        Self::Asleep { upgrade, accepted: None }
    }

    fn begin(&mut self, mut inner: Inner) {
        if let Self::Asleep { accepted, .. } = self {
            if let Some(protocol) = accepted.take() {
                let event = FullyNegotiatedInbound { protocol, info: () };
                inner.on_connection_event(ConnectionEvent::FullyNegotiatedInbound(event));
            }
            *self = Self::Awake(inner);
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Command;
    type ToBehaviour = InnerReport;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = OutboundUpgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        match self {
            Self::Asleep { upgrade, .. } => SubstreamProtocol::new(upgrade.clone(), ()),
            Self::Awake(inner) => inner.listen_protocol(),
        }
    }

    fn connection_keep_alive(&self) -> bool {
        matches!(self, Self::Awake(inner) if inner.connection_keep_alive())
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        match self {
            // The connection polls again after the command that wakes it.
            Self::Asleep { .. } => Poll::Pending,
            Self::Awake(inner) => inner.poll(cx),
        }
    }

    fn on_behaviour_event(&mut self, command: Command) {
        match (command, self) {
            (Command::Begin(inner), handler) => handler.begin(*inner),
            (Command::Inner(command), Self::Awake(inner)) => inner.on_behaviour_event(command),
            (Command::Inner(command), Self::Asleep { .. }) => tracing::debug!(?command, "gossip is asleep"),
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match self {
            Self::Awake(inner) => inner.on_connection_event(event),
            Self::Asleep { accepted, .. } => {
                if let ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) =
                    event
                {
                    // As gossipsub does: the latest stream is the one that counts.
                    *accepted = Some(protocol);
                }
            }
        }
    }
}
