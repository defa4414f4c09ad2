//! What the network reports.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::PeerId;

/// One connection that became a peer's session, named once in the life of a [`Net`](super::Net).
///
/// A frame is reported under the session it came in on, and a frame that is sent to a session goes out on that very
/// connection or not at all: nothing of an old connection is ever taken for the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

impl SessionId {
    /// The number itself, for logs and tables.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// Hands out session ids, counting from 1.
#[derive(Debug, Default)]
pub(super) struct SessionCounter(AtomicU64);

impl SessionCounter {
    pub(super) fn next(&self) -> SessionId {
        SessionId(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP with Noise and Yamux. Notices nothing by itself when the other side falls silent.
    Tcp,
    /// QUIC v1 over UDP. Closes by itself after five seconds of silence.
    Quic,
}

impl Transport {
    pub(super) fn of(address: &Multiaddr) -> Self {
        if address.iter().any(|part| matches!(part, Protocol::QuicV1)) { Self::Quic } else { Self::Tcp }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        })
    }
}

/// Something that happened on the network, in the order it happened.
///
/// For a session the order is `Up`, any number of `Frame`, `Down`; no frame of it comes before `Up` or after `Down`,
/// and a peer has at most one session at a time: the `Down` of one comes before the `Up` of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetEvent {
    /// The node can be reached at this address from now on.
    Listening {
        /// With the real port where the configuration said 0.
        address: Multiaddr,
    },
    /// The node can no longer be reached at these addresses.
    ListenerClosed {
        /// May be empty: a listener that never had an address.
        addresses: Vec<Multiaddr>,
        /// For a person to read.
        reason: String,
    },
    /// A peer's session begins: the connection stands and our outbound sync stream on it is open.
    Up {
        /// Proven by the connection's handshake.
        peer: PeerId,
        /// Names this connection from now on.
        session: SessionId,
        /// Where the other side is. Worth dialling again only where `dialer` is true: else its port is a passing one.
        address: Multiaddr,
        /// What carries the connection.
        transport: Transport,
        /// Whether this node dialled.
        dialer: bool,
    },
    /// A peer's session is over. Frames of it that had come in were reported before.
    Down {
        /// Whose session.
        peer: PeerId,
        /// Which session.
        session: SessionId,
        /// For a person to read.
        reason: String,
    },
    /// A frame came in.
    Frame {
        /// Who sent it.
        peer: PeerId,
        /// On which session.
        session: SessionId,
        /// As the other side handed it to [`Net::send`](super::Net::send). Not looked into here.
        frame: Vec<u8>,
    },
    /// A gossip payload came in. Neither its author nor its content is vouched for.
    Gossip {
        /// The neighbour that passed it on, which need not have written it.
        from: PeerId,
        /// As its author handed it to [`Net::publish`](super::Net::publish).
        payload: Vec<u8>,
    },
    /// A peer on the local network announced itself. Nothing is dialled by itself.
    Discovered {
        /// As announced; proven only by connecting.
        peer: PeerId,
        /// Where it says it can be reached, without the `/p2p/` part.
        addresses: Vec<Multiaddr>,
    },
    /// A dial ended without a session, and the peer has no other session.
    DialFailed {
        /// Whom we wanted, if we knew.
        peer: Option<PeerId>,
        /// What was tried.
        addresses: Vec<Multiaddr>,
        /// For a person to read.
        error: String,
    },
    /// A payload may not have been heard by everyone. A hint, dropped when events pile up: repair must not need it.
    NotPublished {
        /// For a person to read.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transport_is_read_off_the_address() {
        let of = |text: &str| Transport::of(&text.parse().expect("a well-formed address"));
        assert_eq!(of("/ip4/127.0.0.1/tcp/1"), Transport::Tcp);
        assert_eq!(of("/ip4/127.0.0.1/udp/1/quic-v1"), Transport::Quic);
    }

    #[test]
    fn no_two_sessions_share_an_id() {
        let counter = SessionCounter::default();
        assert_ne!(counter.next(), counter.next());
    }
}
