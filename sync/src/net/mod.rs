//! The network: libp2p, and nothing but libp2p.
//!
//! Events come in, effects go out. This module connects, encrypts, finds out who is at the other end, and moves bytes;
//! it decides nothing about the sync protocol and looks into no frame and no payload. No other module of the crate
//! knows that libp2p exists.
//!
//! # Sessions
//! A peer has at most one *session*: one connection, with one stream each way (`/tombolo/sync/1`), on which frames
//! arrive in the order they were sent. When the connection ends the session ends; there are no frames from beyond the
//! grave. Two nodes that dial each other at once end up with one session, and a peer that was killed and comes back
//! replaces the session that has not yet noticed.
//!
//! # Who waits for whom
//! Everything a [`Net`] does returns at once. What waits is bounded in bytes everywhere:
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | frames to a peer | 64 MiB | the session ends |
//! | frames from a peer not handled yet | one frame of the largest size | its stream is not read, it slows down |
//! | gossip to publish | 16 MiB | [`NetEvent::NotPublished`] |
//! | gossip not handled yet | 16 MiB | dropped, and counted |
//!
//! # What it does not do
//! It does not notice that a TCP peer has fallen silent, does not dial again, does not measure round trips and does
//! not remember peers: the engine does.
//!
//! ```no_run
//! use tombolo_sync::net::{Net, NetConfig, NetEvent};
//!
//! # async fn example() -> Result<(), tombolo_sync::net::NetError> {
//! let mut config = NetConfig::new([7; 32], "a topic");
//! config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
//! let (net, mut events) = Net::start(config).await?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         NetEvent::Up { peer, session, .. } => net.send(peer, session, b"hello".to_vec()),
//!         NetEvent::Frame { peer, frame, .. } => println!("{peer} says {} bytes", frame.len()),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod behaviour;
mod error;
mod event;
mod frame;
mod gossip;
mod identity;
mod inbox;
mod outbox;
mod session;
mod task;
mod transport;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libp2p::core::transport::TransportError;
pub use libp2p::{Multiaddr, multiaddr};
use libp2p::{Swarm, swarm};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

pub use error::NetError;
pub use event::{NetEvent, SessionId, Transport};
pub use frame::MAX_FRAME;
pub use gossip::MAX_GOSSIP;
pub use identity::ForeignKey;
pub use inbox::NetEvents;
pub use outbox::{MAX_UNSENT, Traffic};

use crate::PeerId;
use behaviour::Behaviour;
use inbox::Inbox;
use outbox::Links;
use task::{Command, Task};

/// Connections are closed by us, not by libp2p because they seem idle: a session's streams are always open.
const IDLE_CONNECTION: Duration = Duration::from_secs(120);

/// Bytes of payloads that may wait for the swarm: seconds of publishing at full speed.
const MAX_UNPUBLISHED: usize = 16 * 1024 * 1024;

/// How a node appears on the network.
#[derive(Clone)]
pub struct NetConfig {
    /// The seed of the Ed25519 key that is the node's identity. Secret.
    pub key: [u8; 32],
    /// Where to listen, such as `/ip4/0.0.0.0/tcp/0` and `/ip4/0.0.0.0/udp/0/quic-v1`. May be empty: then this node
    /// can dial and not be dialled.
    pub listen: Vec<Multiaddr>,
    /// Whether to announce the node on the local network and to report others. Loopback addresses are not announced.
    pub mdns: bool,
    /// The gossip topic. Peers see it: derive it from a space's id, do not put a secret into it.
    pub topic: String,
    /// Name and version of the application, told to every peer.
    pub agent: String,
}

impl NetConfig {
    /// A node that dials only: no addresses, no discovery.
    #[must_use]
    pub fn new(key: [u8; 32], topic: impl Into<String>) -> Self {
        let agent = concat!("tombolo/", env!("CARGO_PKG_VERSION")).into();
        Self { key, listen: Vec::new(), mdns: false, topic: topic.into(), agent }
    }
}

impl std::fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the key.
        f.debug_struct("NetConfig")
            .field("listen", &self.listen)
            .field("mdns", &self.mdns)
            .field("topic", &self.topic)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

/// Under which id a node with this key seed is known.
///
/// # Errors
/// When the seed is not taken as an Ed25519 key.
pub fn peer_of(key: &[u8; 32]) -> Result<PeerId, NetError> {
    identity::peer_of(&identity::keypair(*key)?)
}

/// A handle to a node on the network. Cheap to clone; every call returns at once.
///
/// When the last clone is dropped the node vanishes without a word; [`shutdown`](Net::shutdown) leaves politely.
#[derive(Debug, Clone)]
pub struct Net {
    peer: PeerId,
    commands: mpsc::UnboundedSender<Command>,
    inbox: Arc<Inbox>,
    links: Arc<Links>,
    unpublished: Arc<AtomicUsize>,
}

impl Net {
    /// Puts a node on the network. Must be called within a Tokio runtime, which it then lives on.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the configuration makes no sense to libp2p. That names cannot be
    /// resolved, or the local network not be searched, is logged and is no error.
    pub async fn start(config: NetConfig) -> Result<(Self, NetEvents), NetError> {
        let keypair = identity::keypair(config.key)?;
        let peer = identity::peer_of(&keypair)?;
        let (inbox, links) = (Arc::new(Inbox::default()), Arc::new(Links::default()));
        let sessions = session::Behaviour::new(peer, inbox.clone(), links.clone());
        let behaviour = Behaviour::new(&keypair, sessions, &config.topic, config.agent, config.mdns)?;
        let settings = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_CONNECTION);
        let transport = transport::build(&keypair)?;
        let mut swarm = Swarm::new(transport, behaviour, peer.into(), settings);
        for address in config.listen {
            let free = transport::look_for_others(&address);
            let listening = free.and_then(|()| match swarm.listen_on(address.clone()) {
                Ok(_) => Ok(()),
                Err(TransportError::Other(error)) => Err(error),
                Err(unsupported) => Err(io::Error::new(io::ErrorKind::Unsupported, unsupported)),
            });
            listening.map_err(|source| NetError::Listen { address, source })?;
        }

        let (sender, commands) = mpsc::unbounded_channel();
        let unpublished = Arc::new(AtomicUsize::new(0));
        let net = Self {
            peer,
            commands: sender,
            inbox: inbox.clone(),
            links: links.clone(),
            unpublished: unpublished.clone(),
        };
        let events = NetEvents::new(inbox.clone());
        let task = Task { swarm, commands, inbox, links, unpublished, dials: HashMap::new() };
        tokio::spawn(task.run().instrument(tracing::debug_span!("net", ?peer)));
        Ok((net, events))
    }

    /// Who this node is.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Tries to get a session with a peer, at all addresses at once; one that has a session or is being dialled is
    /// left alone. Without a peer id whoever answers at each address is taken.
    ///
    /// Leads to [`NetEvent::Up`] or [`NetEvent::DialFailed`], or to nothing where an address turns out to belong to a
    /// peer with a session. After `DialFailed` an `Up` may still come: the peer may have dialled too. Say whom you
    /// dial if you know: a dial by address alone that finds a peer with an old session replaces that session.
    pub fn dial(&self, peer: Option<PeerId>, addresses: Vec<Multiaddr>) {
        self.command(Command::Dial { peer, addresses });
    }

    /// Sends a frame of at most [`MAX_FRAME`] bytes on a session. Forgotten if the session is over by now.
    ///
    /// Frames of a session arrive in order, each once, up to an end the sender is not told: when the session goes
    /// down, some of the last may not have arrived. A frame over the limit, or more than [`MAX_UNSENT`] bytes
    /// waiting, ends the session.
    pub fn send(&self, peer: PeerId, session: SessionId, frame: Vec<u8>) {
        self.links.send(peer, session, frame);
    }

    /// Gossips a payload of at most [`MAX_GOSSIP`] bytes. Two equal payloads count as one, so it should carry a nonce.
    ///
    /// May reach all, some or none, in any order; [`NetEvent::NotPublished`] tells some of the cases.
    pub fn publish(&self, payload: Vec<u8>) {
        let length = payload.len();
        let reason = if length > MAX_GOSSIP {
            tracing::error!(length, "refused to gossip a payload over the limit of {MAX_GOSSIP} bytes");
            format!("a payload of {length} bytes is over the limit of {MAX_GOSSIP}")
        } else if self.unpublished.fetch_add(length, Ordering::Relaxed) + length > MAX_UNPUBLISHED {
            self.unpublished.fetch_sub(length, Ordering::Relaxed);
            format!("{MAX_UNPUBLISHED} bytes of payloads wait already")
        } else {
            return self.command(Command::Publish(payload));
        };
        self.inbox.push_hint(NetEvent::NotPublished { reason });
    }

    /// Ends the peer's session and closes all connections to it, at once. It may connect again.
    pub fn disconnect(&self, peer: PeerId) {
        self.command(Command::Disconnect(peer));
    }

    /// From now on there are no connections from or to these peers, and to all others there may be.
    pub fn set_blocked(&self, peers: BTreeSet<PeerId>) {
        self.command(Command::SetBlocked(peers));
    }

    /// Frames of the peer's session so far; `None` if it has none.
    #[must_use]
    pub fn traffic(&self, peer: PeerId) -> Option<Traffic> {
        self.links.traffic(peer)
    }

    /// Gossip payloads that came in and were dropped because events were not taken fast enough.
    #[must_use]
    pub fn gossip_dropped(&self) -> u64 {
        self.inbox.gossip_dropped()
    }

    /// Lets the peers take what was sent to them, for a second at most, and closes all connections. Afterwards all
    /// calls do nothing, and the events end.
    pub async fn shutdown(&self) {
        let (sender, done) = oneshot::channel();
        self.command(Command::Shutdown(sender));
        // An error means that there was nothing to shut down any more.
        let _ = done.await;
    }

    fn command(&self, command: Command) {
        // An error means that the node has been shut down.
        let _ = self.commands.send(command);
    }
}
