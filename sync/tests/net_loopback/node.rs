//! A node under test, and what it has seen.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tombolo_sync::PeerId;
use tombolo_sync::net::{Multiaddr, Net, NetConfig, NetEvent, NetEvents, SessionId, Transport};

/// Longer than anything here takes on a busy machine, except where a test says otherwise.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) const BOTH: [Transport; 2] = [Transport::Tcp, Transport::Quic];

pub(crate) struct Node {
    pub(crate) net: Net,
    pub(crate) events: NetEvents,
    /// Seen, and not yet asked for.
    seen: VecDeque<NetEvent>,
}

/// Where a node that listens on `transport` wants to be reached.
pub(crate) fn any_port(transport: Transport) -> Multiaddr {
    let text = match transport {
        Transport::Tcp => "/ip4/127.0.0.1/tcp/0",
        Transport::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
    };
    text.parse().expect("a well-formed address")
}

/// The seeds of two nodes, the first of which has the smaller peer id, and so chooses among connections.
pub(crate) fn chooser_and_follower() -> (u8, u8) {
    let peer = |seed| {
        let keypair =
            libp2p::identity::Keypair::ed25519_from_bytes([seed; 32]).expect("any 32 bytes are a seed");
        PeerId::try_from(keypair.public().to_peer_id()).expect("an Ed25519 key")
    };
    if peer(1) < peer(2) { (1, 2) } else { (2, 1) }
}

impl Node {
    /// A node that listens nowhere.
    pub(crate) async fn start(seed: u8) -> Self {
        Self::start_with(seed, vec![]).await
    }

    /// A node that listens, and where.
    pub(crate) async fn listening(seed: u8, transport: Transport) -> (Self, Multiaddr) {
        let mut node = Self::start_with(seed, vec![any_port(transport)]).await;
        let address = node
            .wait("to listen", |event| match event {
                NetEvent::Listening { address } => Some(address.clone()),
                _ => None,
            })
            .await;
        (node, address)
    }

    async fn start_with(seed: u8, listen: Vec<Multiaddr>) -> Self {
        // RUST_LOG=tombolo_sync=debug shows what happens.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let mut config = NetConfig::new([seed; 32], "test");
        config.listen = listen;
        let (net, events) = Net::start(config).await.expect("a node on the loopback interface starts");
        Self { net, events, seen: VecDeque::new() }
    }

    pub(crate) fn peer(&self) -> PeerId {
        self.net.peer()
    }

    /// The first event, seen already or yet to come, of which `pick` makes something. Events passed over are kept.
    pub(crate) async fn wait<T>(&mut self, what: &str, pick: impl FnMut(&NetEvent) -> Option<T>) -> T {
        match self.wait_within(SOON, pick).await {
            Some(found) => found,
            None => panic!("{:?} waited {SOON:?} {what} and saw {:?}", self.peer(), self.seen),
        }
    }

    pub(crate) async fn wait_within<T>(
        &mut self,
        within: Duration,
        mut pick: impl FnMut(&NetEvent) -> Option<T>,
    ) -> Option<T> {
        if let Some((index, found)) =
            self.seen.iter().enumerate().find_map(|(i, event)| Some((i, pick(event)?)))
        {
            self.seen.remove(index);
            return Some(found);
        }
        let deadline = Instant::now() + within;
        while let Ok(Some(event)) = timeout_at(deadline, self.events.next()).await {
            if let Some(found) = pick(&event) {
                return Some(found);
            }
            self.seen.push_back(event);
        }
        None
    }

    /// Lets time pass, and remembers what happens.
    pub(crate) async fn idle(&mut self, time: Duration) {
        let _ = self.wait_within(time, |_| None::<()>).await;
    }

    /// Everything seen and not asked for.
    pub(crate) fn take_seen(&mut self) -> Vec<NetEvent> {
        self.seen.drain(..).collect()
    }

    pub(crate) async fn up(&mut self, with: PeerId) -> SessionId {
        let up = |event: &NetEvent| match event {
            NetEvent::Up { peer, session, .. } if *peer == with => Some(*session),
            _ => None,
        };
        self.wait("for a session", up).await
    }

    pub(crate) async fn down(&mut self, of: SessionId) -> String {
        let down = |event: &NetEvent| match event {
            NetEvent::Down { session, reason, .. } if *session == of => Some(reason.clone()),
            _ => None,
        };
        self.wait("for the end of a session", down).await
    }

    pub(crate) async fn frame(&mut self, of: SessionId) -> Vec<u8> {
        let frame = |event: &NetEvent| match event {
            NetEvent::Frame { session, frame, .. } if *session == of => Some(frame.clone()),
            _ => None,
        };
        self.wait("for a frame", frame).await
    }

    pub(crate) async fn dial_failed(&mut self) -> String {
        let failed = |event: &NetEvent| match event {
            NetEvent::DialFailed { error, .. } => Some(error.clone()),
            _ => None,
        };
        self.wait("for a dial to fail", failed).await
    }
}

/// Connects two nodes and returns the session as each of them calls it.
pub(crate) async fn connect(
    dialer: &mut Node,
    listener: &mut Node,
    address: &Multiaddr,
) -> (SessionId, SessionId) {
    dialer.net.dial(Some(listener.peer()), vec![address.clone()]);
    (dialer.up(listener.peer()).await, listener.up(dialer.peer()).await)
}

/// One frame each way.
pub(crate) async fn frames_pass(a: (&mut Node, SessionId), b: (&mut Node, SessionId)) {
    let ((a, a_session), (b, b_session)) = (a, b);
    a.net.send(b.peer(), a_session, b"from a".to_vec());
    b.net.send(a.peer(), b_session, b"from b".to_vec());
    assert_eq!(b.frame(b_session).await, b"from a");
    assert_eq!(a.frame(a_session).await, b"from b");
}

/// Publishes until the other side hears it, each time with another payload, as whoever relies on gossip must.
pub(crate) async fn gossip_passes(from: &mut Node, to: &mut Node, within: Duration) {
    let (deadline, author) = (Instant::now() + within, from.peer());
    for attempt in 0u64.. {
        assert!(Instant::now() < deadline, "{author:?} was not heard within {within:?}");
        let mut payload = rand_id().to_vec();
        payload.extend_from_slice(&attempt.to_be_bytes());
        from.net.publish(payload.clone());
        let heard = |event: &NetEvent| match event {
            NetEvent::Gossip { from, payload: heard } if *from == author && *heard == payload => Some(()),
            _ => None,
        };
        if to.wait_within(Duration::from_millis(100), heard).await.is_some() {
            return;
        }
    }
}

/// Different at every call in this process.
fn rand_id() -> [u8; 8] {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()
}
