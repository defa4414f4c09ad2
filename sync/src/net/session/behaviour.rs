//! The sessions' part of the swarm: hears of every connection, reports `Up`, `Down` and failed dials.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::Multiaddr;
use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};

use super::election::{Election, Verdict};
use super::handler::{Command, Handler, Report};
use crate::PeerId;
use crate::net::event::{NetEvent, SessionCounter, SessionId, Transport};
use crate::net::inbox::Inbox;
use crate::net::outbox::{Links, Outbox};

/// What the rest of the swarm must know of sessions.
#[derive(Debug)]
pub(in crate::net) enum Event {
    /// The peer's session runs on this connection from now on.
    Up { peer: libp2p::PeerId, connection: ConnectionId },
    /// The peer has no session any more.
    Down { peer: libp2p::PeerId },
}

/// See the module.
pub(in crate::net) struct Behaviour {
    local: PeerId,
    inbox: Arc<Inbox>,
    links: Arc<Links>,
    counter: SessionCounter,
    elections: HashMap<PeerId, Election<ConnectionId>>,
    connections: HashMap<ConnectionId, Connection>,
    actions: VecDeque<ToSwarm<Event, Command>>,
}

struct Connection {
    peer: PeerId,
    address: Multiaddr,
    dialer: bool,
    /// The address that was dialled, while the dial has neither led to a session nor been reported as failed.
    dialled: Option<Multiaddr>,
    state: State,
}

enum State {
    /// Not chosen (yet).
    Waiting,
    /// Chosen; our stream is being opened.
    Opening { session: SessionId, outbox: Arc<Outbox> },
    /// `Up` has been reported.
    Up { session: SessionId },
    /// Being closed; what there was to report has been reported.
    Over,
}

/// Why a connection was refused.
#[derive(Debug, thiserror::Error)]
#[error("too many events wait to be handled")]
struct Crowded;

impl Behaviour {
    pub(in crate::net) fn new(local: PeerId, inbox: Arc<Inbox>, links: Arc<Links>) -> Self {
        Self {
            local,
            inbox,
            links,
            counter: SessionCounter::default(),
            elections: HashMap::new(),
            connections: HashMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// Whether the peer has a session, or one is being opened.
    pub(in crate::net) fn has_session(&self, peer: PeerId) -> bool {
        self.elections.get(&peer).is_some_and(|election| election.current().is_some())
    }

    /// Ends the peer's session, if any, and closes every connection to it.
    pub(in crate::net) fn disconnect(&mut self, peer: PeerId, reason: &str) {
        let all: Vec<ConnectionId> =
            self.connections.iter().filter(|(_, c)| c.peer == peer).map(|(id, _)| *id).collect();
        for connection in all {
            self.close(connection, reason);
        }
    }

    /// The one who chooses, see [`super::election`].
    fn chooses(&self, peer: PeerId) -> bool {
        self.local < peer
    }

    fn act(&mut self, connection: ConnectionId, verdict: Verdict<ConnectionId>) {
        match verdict {
            Verdict::Wait => {}
            Verdict::Refuse => self.close(connection, "there is another connection to this peer"),
            Verdict::Take { replaced } => {
                if let Some(replaced) = replaced {
                    self.close(replaced, "replaced by a newer connection");
                }
                self.open(connection);
            }
        }
    }

    fn open(&mut self, connection: ConnectionId) {
        let Some(entry) = self.connections.get_mut(&connection) else { return };
        if let State::Waiting = entry.state {
            let (session, outbox) = (self.counter.next(), Arc::new(Outbox::default()));
            entry.state = State::Opening { session, outbox: outbox.clone() };
            let peer = entry.peer;
            self.notify(peer, connection, Command::Open { session, outbox });
        }
    }

    fn ready(&mut self, connection: ConnectionId) {
        let Some(entry) = self.connections.get_mut(&connection) else { return };
        let State::Opening { session, outbox } = &entry.state else { return };
        let (peer, session, outbox) = (entry.peer, *session, outbox.clone());
        entry.state = State::Up { session };
        let (address, dialer) = (entry.address.clone(), entry.dialer);
        let transport = Transport::of(&address);
        tracing::debug!(?peer, %session, %address, dialer, "session up");
        self.links.insert(peer, session, outbox);
        self.inbox.push_up(session, NetEvent::Up { peer, session, address, transport, dialer });
        self.notify(peer, connection, Command::Start);
        self.actions.push_back(ToSwarm::GenerateEvent(Event::Up { peer: peer.into(), connection }));
    }

    /// Reports the end of whatever the connection was, once, and closes it.
    fn close(&mut self, connection: ConnectionId, reason: &str) {
        if let Some(entry) = self.connections.get(&connection)
            && !matches!(entry.state, State::Over)
        {
            let peer_id = entry.peer.into();
            self.over(connection, reason);
            let connection = CloseConnection::One(connection);
            self.actions.push_back(ToSwarm::CloseConnection { peer_id, connection });
        }
    }

    fn over(&mut self, connection: ConnectionId, reason: &str) {
        let Some(entry) = self.connections.get_mut(&connection) else { return };
        let state = std::mem::replace(&mut entry.state, State::Over);
        let (peer, dialled) = (entry.peer, entry.dialled.take());
        if let Some(election) = self.elections.get_mut(&peer) {
            election.ended(connection);
        }
        match state {
            State::Over => {}
            State::Up { session } => {
                tracing::debug!(?peer, %session, reason, "session down");
                self.links.remove(peer, session);
                self.inbox.push_down(session, NetEvent::Down { peer, session, reason: reason.into() });
                self.actions.push_back(ToSwarm::GenerateEvent(Event::Down { peer: peer.into() }));
            }
            State::Waiting | State::Opening { .. } => {
                tracing::debug!(?peer, reason, "connection closed before a session began");
                if let Some(address) = dialled {
                    self.dial_failed(peer, address, reason);
                }
            }
        }
    }

    /// A connection we dialled came to nothing. The dial may still lead to a session on another connection: two were
    /// dialled at once, and this is the one that was not chosen.
    fn dial_failed(&mut self, peer: PeerId, address: Multiaddr, reason: &str) {
        let mut others = self.connections.values_mut().filter(|other| other.peer == peer);
        match others.find(|other| !matches!(other.state, State::Over)) {
            Some(Connection { state: State::Up { .. }, .. }) => {}
            Some(other) => other.dialled = Some(address),
            None => {
                let error = format!("connected, but no session began: {reason}");
                self.inbox.push(NetEvent::DialFailed { peer: Some(peer), addresses: vec![address], error });
            }
        }
    }

    fn notify(&mut self, peer: PeerId, connection: ConnectionId, event: Command) {
        let handler = NotifyHandler::One(connection);
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id: peer.into(), handler, event });
    }

    fn handler(&self, peer: libp2p::PeerId) -> Result<Handler, ConnectionDenied> {
        if self.inbox.is_crowded() {
            return Err(ConnectionDenied::new(Crowded));
        }
        let peer = PeerId::try_from(peer).map_err(ConnectionDenied::new)?;
        Ok(Handler::new(peer, self.inbox.clone()))
    }

    fn on_established(&mut self, peer: libp2p::PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        // A peer whose id is no Ed25519 key got no handler, so it cannot be here.
        let Ok(peer) = PeerId::try_from(peer) else { return };
        let (address, dialer) = (without_peer(endpoint.get_remote_address()), endpoint.is_dialer());
        tracing::debug!(?peer, %address, dialer, "connected");
        let dialled = dialer.then(|| address.clone());
        self.connections
            .insert(connection, Connection { peer, address, dialer, dialled, state: State::Waiting });
        let we_choose = self.chooses(peer);
        let verdict =
            self.elections.entry(peer).or_default().established(we_choose, connection, Instant::now());
        self.act(connection, verdict);
    }

    fn on_closed(&mut self, connection: ConnectionId, reason: &str) {
        self.over(connection, reason);
        if let Some(Connection { peer, .. }) = self.connections.remove(&connection)
            && !self.connections.values().any(|other| other.peer == peer)
        {
            self.elections.remove(&peer);
        }
    }
}

/// The address without a final `/p2p/`: who is there is told beside it.
fn without_peer(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: libp2p::PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: libp2p::PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            }) => {
                self.on_established(peer_id, connection_id, endpoint);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, cause, .. }) => {
                let reason =
                    cause.map_or_else(|| "closed".into(), |error| format!("connection lost: {error}"));
                self.on_closed(connection_id, &reason);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: libp2p::PeerId,
        connection: ConnectionId,
        report: THandlerOutEvent<Self>,
    ) {
        let Some(entry) = self.connections.get(&connection) else { return };
        if let State::Over = entry.state {
            return;
        }
        let peer = entry.peer;
        match report {
            Report::OpenedByPeer => {
                let we_choose = self.chooses(peer);
                let election = self.elections.entry(peer).or_default();
                let verdict = election.opened_by_peer(we_choose, connection, Instant::now());
                self.act(connection, verdict);
            }
            Report::Ready => self.ready(connection),
            Report::Ended(reason) => self.close(connection, &reason),
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // No waker is kept: everything that adds an action happens in a call from the swarm's own task, which polls
        // again afterwards.
        match self.actions.pop_front() {
            Some(action) => Poll::Ready(action),
            None => Poll::Pending,
        }
    }
}
