//! The task that owns the swarm: takes commands, lets libp2p work, reports what happens. It never waits for anything
//! else, and nothing else waits for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, Swarm, gossipsub, identify, mdns};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::behaviour::{Behaviour, BehaviourEvent};
use super::event::NetEvent;
use super::gossip::MAX_GOSSIP;
use super::inbox::Inbox;
use super::outbox::Links;
use super::session;
use crate::PeerId;

/// How long a shutdown waits for the peers to take what is queued for them.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// How long it then waits for connections to close. Longer than one connection may take.
const CLOSE_WITHIN: Duration = Duration::from_millis(750);

/// What a [`Net`](super::Net) asks for.
#[derive(Debug)]
pub(super) enum Command {
    Dial { peer: Option<PeerId>, addresses: Vec<Multiaddr> },
    Publish(Vec<u8>),
    Disconnect(PeerId),
    SetBlocked(BTreeSet<PeerId>),
    Shutdown(oneshot::Sender<()>),
}

/// The task's state.
pub(super) struct Task {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) links: Arc<Links>,
    /// Bytes of payloads among the commands.
    pub(super) unpublished: Arc<AtomicUsize>,
    /// What was dialled, until it is known what came of it.
    pub(super) dials: HashMap<ConnectionId, (Option<PeerId>, Vec<Multiaddr>)>,
}

impl Drop for Task {
    /// However the task ends, be it by a panic inside libp2p, its consumer must not wait for ever.
    fn drop(&mut self) {
        self.inbox.end();
    }
}

impl Task {
    /// Runs until a shutdown, or until nobody can send commands any more.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown(done)) => {
                        self.shut_down().await;
                        // Before the answer, so that who awaits it finds the end of the events.
                        drop(self);
                        let _ = done.send(());
                        return;
                    }
                    Some(command) => self.on_command(command),
                    None => return,
                },
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial { peer, addresses } => self.dial(peer, addresses),
            Command::Publish(payload) => self.publish(payload),
            Command::Disconnect(peer) => self.disconnect(peer, "disconnected by this node"),
            Command::SetBlocked(peers) => self.set_blocked(&peers),
            Command::Shutdown(_) => {}
        }
    }

    fn dial(&mut self, peer: Option<PeerId>, addresses: Vec<Multiaddr>) {
        if addresses.is_empty() {
            let error = "no address to dial".into();
            return self.inbox.push(NetEvent::DialFailed { peer, addresses, error });
        }
        if let Some(peer) = peer {
            return self.dial_peer(peer, addresses);
        }
        // Without a peer id every address may belong to another peer, and is a dial of its own.
        for address in addresses {
            match address.iter().last() {
                Some(Protocol::P2p(peer)) => match PeerId::try_from(peer) {
                    Ok(peer) => self.dial_peer(peer, vec![address]),
                    Err(error) => {
                        let (addresses, error) = (vec![address], error.to_string());
                        self.inbox.push(NetEvent::DialFailed { peer: None, addresses, error });
                    }
                },
                _ => {
                    let opts =
                        DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build();
                    self.start_dial(opts, None, vec![address]);
                }
            }
        }
    }

    fn dial_peer(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        // The swarm's own condition would count connections that are being closed.
        if self.swarm.behaviour().sessions.has_session(peer) {
            return tracing::debug!(?peer, "not dialled: there is a session");
        }
        let opts = DialOpts::peer_id(peer.into())
            .condition(PeerCondition::NotDialing)
            .addresses(addresses.clone())
            // Not the port we listen on: a restarted node would come with the very four-tuple of its dead connection.
            .allocate_new_port()
            .build();
        self.start_dial(opts, Some(peer), addresses);
    }

    fn start_dial(&mut self, opts: DialOpts, peer: Option<PeerId>, addresses: Vec<Multiaddr>) {
        let connection = opts.connection_id();
        match self.swarm.dial(opts) {
            Ok(()) => {
                self.dials.insert(connection, (peer, addresses));
            }
            Err(DialError::DialPeerConditionFalse(_)) => {
                tracing::debug!(?peer, "not dialled: already dialling")
            }
            Err(error) => {
                let error = describe(&error);
                self.inbox.push(NetEvent::DialFailed { peer, addresses, error });
            }
        }
    }

    fn publish(&mut self, payload: Vec<u8>) {
        self.unpublished.fetch_sub(payload.len(), Ordering::Relaxed);
        if let Err(error) = self.swarm.behaviour_mut().gossip.publish(payload) {
            self.inbox.push_hint(NetEvent::NotPublished { reason: error.to_string() });
        }
    }

    fn disconnect(&mut self, peer: PeerId, reason: &str) {
        self.swarm.behaviour_mut().sessions.disconnect(peer, reason);
        // Also what is being dialled.
        let _ = self.swarm.disconnect_peer_id(peer.into());
    }

    fn set_blocked(&mut self, peers: &BTreeSet<PeerId>) {
        let wanted: HashSet<libp2p::PeerId> = peers.iter().map(|peer| (*peer).into()).collect();
        let blocked = &mut self.swarm.behaviour_mut().blocked;
        let old = blocked.blocked_peers().clone();
        for peer in old.difference(&wanted) {
            blocked.unblock_peer(*peer);
        }
        for peer in wanted.difference(&old) {
            blocked.block_peer(*peer);
        }
        for peer in peers {
            self.disconnect(*peer, "the peer is blocked");
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                // What becomes of it, the sessions report.
                self.dials.remove(&connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                tracing::debug!(%error, "dial failed");
                if let Some((peer, addresses)) = self.dials.remove(&connection_id) {
                    let error = describe(&error);
                    self.inbox.push(NetEvent::DialFailed { peer, addresses, error });
                }
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(%send_back_addr, %error, "an incoming connection failed");
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::debug!(%address, "listening");
                self.inbox.push(NetEvent::Listening { address });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                let reason = "the address is gone".into();
                self.inbox.push(NetEvent::ListenerClosed { addresses: vec![address], reason });
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                let reason = reason.map_or_else(|error| error.to_string(), |()| "closed".into());
                self.inbox.push(NetEvent::ListenerClosed { addresses, reason });
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener reports an error"),
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Sessions(session::Event::Up { peer, connection }) => {
                self.swarm.behaviour_mut().gossip.pass(peer, connection);
            }
            BehaviourEvent::Sessions(session::Event::Down { peer }) => {
                self.swarm.behaviour_mut().gossip.hide(peer);
            }
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                tracing::debug!(peer = %peer_id, agent = %info.agent_version, "identified");
            }
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => self.on_discovered(found),
            _ => {}
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message, .. } => {
                let Ok(from) = PeerId::try_from(propagation_source) else { return };
                if message.data.len() > MAX_GOSSIP {
                    return tracing::debug!(
                        ?from,
                        length = message.data.len(),
                        "gossip over the limit ignored"
                    );
                }
                self.inbox.push_gossip(from, message.data);
            }
            gossipsub::Event::SlowPeer { peer_id, failed_messages } => {
                tracing::debug!(peer = %peer_id, ?failed_messages, "a peer is too slow for gossip");
                let reason = format!("{peer_id} is too slow: payloads for it were dropped");
                self.inbox.push_hint(NetEvent::NotPublished { reason });
            }
            event => tracing::debug!(?event, "gossip"),
        }
    }

    fn on_discovered(&mut self, found: Vec<(libp2p::PeerId, Multiaddr)>) {
        let mut peers: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
        for (peer, mut address) in found {
            let Ok(peer) = PeerId::try_from(peer) else { continue };
            if let Some(Protocol::P2p(_)) = address.iter().last() {
                address.pop();
            }
            peers.entry(peer).or_default().push(address);
        }
        for (peer, addresses) in peers {
            tracing::debug!(?peer, ?addresses, "discovered");
            self.inbox.push(NetEvent::Discovered { peer, addresses });
        }
    }

    /// Lets the peers take what is queued, then closes every connection. Commands are not heard any more.
    async fn shut_down(&mut self) {
        let deadline = Instant::now() + FLUSH_WITHIN;
        self.links.finish_all();
        // A peer that has read everything up to the end of our stream closes the connection.
        while !self.links.is_empty() {
            match timeout_at(deadline, self.swarm.select_next_some()).await {
                Ok(event) => self.on_event(event),
                Err(_) => break,
            }
        }
        let deadline = Instant::now() + CLOSE_WITHIN;
        let peers: Vec<libp2p::PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            match PeerId::try_from(peer) {
                Ok(peer) => self.disconnect(peer, "this node shuts down"),
                Err(_) => {
                    let _ = self.swarm.disconnect_peer_id(peer);
                }
            }
        }
        while self.swarm.network_info().num_peers() > 0 {
            match timeout_at(deadline, self.swarm.select_next_some()).await {
                Ok(event) => self.on_event(event),
                Err(_) => break,
            }
        }
    }
}

/// A failed dial in one line: for each address the innermost error, which is the one that says something.
fn describe(error: &DialError) -> String {
    match error {
        DialError::Transport(failures) => {
            let failures = failures.iter().map(|(address, error)| format!("{address}: {}", innermost(error)));
            failures.collect::<Vec<_>>().join("; ")
        }
        error => innermost(error),
    }
}

fn innermost(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
