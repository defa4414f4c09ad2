//! The gate between the swarm and gossipsub: one connection a peer, the one that carries its session.
//!
//! To gossipsub a peer is connected exactly while it has a session. When a session moves to another connection, gossipsub
//! sees the peer leave and come back, and so announces its subscriptions again, whatever connections linger. It also
//! never meets two connections to one peer, a case it handles with a queue shared by both and a few assertions.
//!
//! What arrives on a connection before it is passed on stays unread in its stream, see [`super::handler`].

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::gossipsub::{Event, IdentTopic, PublishError};
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use super::handler::{Command, Handler, Upgrade};
use super::{Gossipsub, gossipsub};
use crate::net::error::NetError;

/// See the module.
pub(in crate::net) struct Gate {
    gossipsub: Gossipsub,
    topic: IdentTopic,
    /// What a handler offers to accept before gossipsub has made one for its connection.
    upgrade: Upgrade,
    /// Every connection that stands.
    connections: HashMap<ConnectionId, (PeerId, ConnectedPoint)>,
    /// The one gossipsub knows of, for each peer.
    passed: HashMap<PeerId, ConnectionId>,
    actions: VecDeque<ToSwarm<Event, Command>>,
}

impl Gate {
    pub(in crate::net) fn new(topic: &str) -> Result<Self, NetError> {
        let topic = IdentTopic::new(topic);
        Ok(Self {
            gossipsub: gossipsub(&topic)?,
            upgrade: upgrade(&topic)?,
            topic,
            connections: HashMap::new(),
            passed: HashMap::new(),
            actions: VecDeque::new(),
        })
    }

    /// Hands a payload to gossipsub. `Ok` means that one peer's queue took it, not that anyone will hear it.
    pub(in crate::net) fn publish(&mut self, payload: Vec<u8>) -> Result<(), PublishError> {
        self.gossipsub.publish(self.topic.hash(), payload).map(|_| ())
    }

    /// From now on gossip with this peer goes over this connection.
    pub(in crate::net) fn pass(&mut self, peer: PeerId, connection: ConnectionId) {
        if self.passed.get(&peer) == Some(&connection) {
            return;
        }
        self.hide(peer);
        // The connection may have closed since it was chosen.
        let Some((_, endpoint)) = self.connections.get(&connection) else { return };
        let handler = match endpoint {
            ConnectedPoint::Dialer { address, role_override, port_use } => self
                .gossipsub
                .handle_established_outbound_connection(connection, peer, address, *role_override, *port_use),
            ConnectedPoint::Listener { local_addr, send_back_addr } => self
                .gossipsub
                .handle_established_inbound_connection(connection, peer, local_addr, send_back_addr),
        };
        let handler = match handler {
            Ok(handler) => handler,
            Err(denied) => return tracing::warn!(%peer, %denied, "gossipsub refused a peer"),
        };
        self.gossipsub.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: peer,
            connection_id: connection,
            endpoint,
            failed_addresses: &[],
            other_established: 0,
        }));
        self.passed.insert(peer, connection);
        self.actions.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(connection),
            event: Command::Begin(Box::new(handler)),
        });
    }

    /// From now on there is no gossip with this peer.
    pub(in crate::net) fn hide(&mut self, peer: PeerId) {
        let Some(connection) = self.passed.remove(&peer) else { return };
        let Some((_, endpoint)) = self.connections.get(&connection) else { return };
        self.gossipsub.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
            peer_id: peer,
            connection_id: connection,
            endpoint,
            cause: None,
            remaining_established: 0,
        }));
    }
}

/// The upgrade gossipsub's handlers offer. It is the same for every connection but is not to be had without one, so
/// a second gossipsub is asked for a handler, and thrown away.
fn upgrade(topic: &IdentTopic) -> Result<Upgrade, NetError> {
    let nowhere = Multiaddr::empty();
    let handler = gossipsub(topic)?
        .handle_established_inbound_connection(
            ConnectionId::new_unchecked(0),
            PeerId::random(),
            &nowhere,
            &nowhere,
        )
        .map_err(|denied| NetError::Gossip(denied.to_string()))?;
    Ok(handler.listen_protocol().into_upgrade().0)
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.upgrade.clone()))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.upgrade.clone()))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            }) => {
                self.connections.insert(connection_id, (peer_id, endpoint.clone()));
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                if self.passed.get(&peer_id) == Some(&connection_id) {
                    self.hide(peer_id);
                }
                self.connections.remove(&connection_id);
            }
            // Only counts addresses for a score we do not keep.
            FromSwarm::AddressChange(_) => {}
            other => self.gossipsub.on_swarm_event(other),
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if self.passed.get(&peer) == Some(&connection) {
            self.gossipsub.on_connection_handler_event(peer, connection, event);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // SUBTLE: ours first. A handler must have begun before gossipsub speaks to it.
        if let Some(action) = self.actions.pop_front() {
            return Poll::Ready(action);
        }
        self.gossipsub.poll(cx).map(|action| action.map_in(Command::Inner))
    }
}
