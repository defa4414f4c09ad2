//! How sessions begin.

use std::time::{Duration, Instant};

use tombolo_sync::net::{Multiaddr, Net, NetConfig, NetError, NetEvent, SessionId, Transport};

use crate::node::{BOTH, Node, SOON, any_port, connect, frames_pass, gossip_passes};

/// The sessions that began and did not end, and how many began.
fn sessions(events: &[NetEvent]) -> (Vec<SessionId>, usize) {
    let (mut up, mut began) = (vec![], 0);
    for event in events {
        match event {
            NetEvent::Up { session, .. } => {
                up.push(*session);
                began += 1;
            }
            NetEvent::Down { session, .. } => up.retain(|other| other != session),
            _ => {}
        }
    }
    (up, began)
}

#[tokio::test]
async fn dialling_each_other_at_once_leaves_one_session_on_both_sides() {
    const ROUNDS: u8 = 8;
    for transport in BOTH {
        let mut rounds = tokio::task::JoinSet::new();
        for round in 0..ROUNDS {
            rounds.spawn(async move {
                let (mut a, a_address) = Node::listening(2 * round + 1, transport).await;
                let (mut b, b_address) = Node::listening(2 * round + 2, transport).await;
                a.net.dial(Some(b.peer()), vec![b_address]);
                // From the same instant to some milliseconds later, about as long as a handshake takes.
                tokio::time::sleep(Duration::from_millis(u64::from(round / 2) * 3)).await;
                b.net.dial(Some(a.peer()), vec![a_address]);
                let (a_session, b_session) = (a.up(b.peer()).await, b.up(a.peer()).await);
                // Time enough for anything that might still go wrong.
                tokio::join!(a.idle(Duration::from_millis(800)), b.idle(Duration::from_millis(800)));
                for event in a.take_seen().into_iter().chain(b.take_seen()) {
                    let flapping = matches!(event, NetEvent::Up { .. } | NetEvent::Down { .. });
                    assert!(!flapping, "{transport}, round {round}: {event:?}");
                }
                frames_pass((&mut a, a_session), (&mut b, b_session)).await;
                gossip_passes(&mut a, &mut b, SOON).await;
                gossip_passes(&mut b, &mut a, SOON).await;
            });
        }
        while let Some(round) = rounds.join_next().await {
            round.expect("every round ends well");
        }
    }
}

#[tokio::test]
async fn a_peer_reached_by_address_alone_gets_one_session_only() {
    let (mut a, tcp) = Node::listening(1, Transport::Tcp).await;
    let mut b = Node::start(2).await;
    b.net.dial(None, vec![tcp.clone(), tcp.clone(), tcp]);
    tokio::join!(a.idle(Duration::from_millis(800)), b.idle(Duration::from_millis(800)));
    let ((a_up, _), (b_up, _)) = (sessions(&a.take_seen()), sessions(&b.take_seen()));
    assert_eq!((a_up.len(), b_up.len()), (1, 1));
    frames_pass((&mut a, a_up[0]), (&mut b, b_up[0])).await;
}

#[tokio::test]
async fn dialling_a_peer_with_a_session_changes_nothing() {
    let (mut a, address) = Node::listening(1, Transport::Tcp).await;
    let mut b = Node::start(2).await;
    let (b_session, a_session) = connect(&mut b, &mut a, &address).await;
    b.net.dial(Some(a.peer()), vec![address]);
    tokio::join!(a.idle(Duration::from_millis(300)), b.idle(Duration::from_millis(300)));
    assert_eq!(sessions(&a.take_seen()).1 + sessions(&b.take_seen()).1, 0);
    frames_pass((&mut a, a_session), (&mut b, b_session)).await;
}

#[tokio::test]
async fn a_dial_that_cannot_succeed_is_reported() {
    for transport in BOTH {
        let (a, address) = Node::listening(1, transport).await;
        let mut b = Node::start(2).await;
        let stranger = Node::start(3).await.peer();

        b.net.dial(Some(stranger), vec![address.clone()]);
        println!("another peer: {}", b.dial_failed().await);
        b.net.dial(Some(a.peer()), vec![]);
        println!("no address: {}", b.dial_failed().await);
        a.net.dial(None, vec![address.clone()]);
        let mut a = a;
        println!("itself: {}", a.dial_failed().await);

        a.net.shutdown().await;
        b.net.dial(Some(a.peer()), vec![address.clone()]);
        // QUIC has nobody who says no: it waits for its handshake.
        let failed = |event: &NetEvent| match event {
            NetEvent::DialFailed { addresses, error, .. } => Some((addresses.clone(), error.clone())),
            _ => None,
        };
        let (addresses, error) = b.wait_within(2 * SOON, failed).await.expect("a report of the failed dial");
        println!("nobody there: {error}");
        assert_eq!(addresses, [address]);
    }
}

#[tokio::test]
async fn an_address_that_is_taken_or_unknown_is_an_error_at_the_start() {
    let (_a, address) = Node::listening(1, Transport::Tcp).await;
    let unknown: Multiaddr = "/ip4/127.0.0.1/sctp/1".parse().expect("a well-formed address");
    for listen in [address, unknown] {
        let mut config = NetConfig::new([2; 32], "test");
        config.listen = vec![listen];
        assert!(matches!(Net::start(config).await, Err(NetError::Listen { .. })));
    }
}

#[tokio::test]
async fn discovery_never_keeps_a_node_from_starting() {
    let mut config = NetConfig::new([1; 32], "test");
    config.listen = vec![any_port(Transport::Tcp)];
    config.mdns = true;
    let (net, mut events) = Net::start(config).await.expect("a node starts");
    assert!(matches!(events.next().await, Some(NetEvent::Listening { .. })));
    net.shutdown().await;
}

#[tokio::test]
async fn after_a_disconnect_the_peers_connect_again_at_once() {
    for transport in BOTH {
        let (mut a, address) = Node::listening(1, transport).await;
        let mut b = Node::start(2).await;
        let (mut b_session, mut a_session) = connect(&mut b, &mut a, &address).await;
        for round in 0..4 {
            let started = Instant::now();
            if round % 2 == 0 {
                a.net.disconnect(b.peer())
            } else {
                b.net.disconnect(a.peer())
            }
            tokio::join!(a.down(a_session), b.down(b_session));
            (b_session, a_session) = connect(&mut b, &mut a, &address).await;
            frames_pass((&mut a, a_session), (&mut b, b_session)).await;
            gossip_passes(&mut a, &mut b, SOON).await;
            assert!(started.elapsed() < Duration::from_secs(2));
        }
    }
}

/// How long a dial of an address takes that nobody answers at.
async fn given_up_after(address: Multiaddr, seed: u8) -> Duration {
    let mut node = Node::start(seed).await;
    let start = Instant::now();
    node.net.dial(None, vec![address]);
    let failed = |event: &NetEvent| matches!(event, NetEvent::DialFailed { .. }).then_some(());
    node.wait("for the dial to fail", failed).await;
    start.elapsed()
}

#[tokio::test]
async fn who_does_not_answer_is_given_up_after_two_seconds() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("it has one").port();
    let over_quic = format!("/ip4/127.0.0.1/udp/{port}/quic-v1").parse().expect("an address");
    // Where more wait to be let in than may, nobody answers any more; not every system does so.
    let full = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = full.local_addr().expect("it has one");
    let mut waiting = Vec::new();
    while waiting.len() < 5_000 {
        match std::net::TcpStream::connect_timeout(&place, Duration::from_millis(300)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => break,
        }
    }
    let over_tcp = format!("/ip4/127.0.0.1/tcp/{}", place.port()).parse().expect("an address");
    let (quic, tcp) = tokio::join!(given_up_after(over_quic, 1), given_up_after(over_tcp, 2));
    for took in [quic, tcp] {
        assert!(took < Duration::from_secs(4), "{quic:?}, {tcp:?}");
    }
    assert!(quic > Duration::from_millis(1_500), "{quic:?}");
}
