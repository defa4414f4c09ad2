//! Peers that break the rules harm nobody but themselves.

use std::time::Duration;

use futures::AsyncWriteExt;
use tombolo_sync::net::{MAX_FRAME, Multiaddr, NetEvent, SessionId, Transport};

use crate::node::{Node, connect, frames_pass, gossip_passes};
use crate::stranger::Stranger;

const SYNC: &str = "/tombolo/sync/1";

/// A node, a good peer of it, and the session between them, as the node and as the peer call it.
async fn a_node_and_its_friend() -> (Node, Multiaddr, Node, SessionId, SessionId) {
    let (mut node, address) = Node::listening(1, Transport::Tcp).await;
    let mut friend = Node::start(2).await;
    let (theirs, ours) = connect(&mut friend, &mut node, &address).await;
    (node, address, friend, ours, theirs)
}

async fn goes_on((mut node, _, mut friend, ours, theirs): (Node, Multiaddr, Node, SessionId, SessionId)) {
    frames_pass((&mut node, ours), (&mut friend, theirs)).await;
    gossip_passes(&mut node, &mut friend, Duration::from_secs(5)).await;
    gossip_passes(&mut friend, &mut node, Duration::from_secs(5)).await;
}

/// The seeds are chosen so that strangers on both sides of the node's peer id occur: one that follows, one that chooses.
const STRANGERS: std::ops::Range<u8> = 10..16;

#[tokio::test]
async fn an_oversized_frame_ends_the_session_and_harms_nothing() {
    let mut net = a_node_and_its_friend().await;
    for length in [MAX_FRAME as u32 + 1, u32::MAX] {
        for seed in STRANGERS {
            let stranger = Stranger::connect(seed, &net.1).await;
            let good = [&3u32.to_be_bytes()[..], b"abc"].concat();
            stranger.say(SYNC, &[&good[..], &length.to_be_bytes(), &[0; 5000]].concat()).await;
            let session = net.0.up(stranger.peer).await;
            assert_eq!(net.0.frame(session).await, b"abc");
            let reason = net.0.down(session).await;
            assert!(reason.contains(&length.to_string()), "{reason}");
        }
    }
    goes_on(net).await;
}

#[tokio::test]
async fn a_second_sync_stream_ends_the_session() {
    let mut net = a_node_and_its_friend().await;
    for seed in STRANGERS {
        let stranger = Stranger::connect(seed, &net.1).await;
        stranger.say(SYNC, &[0; 4]).await;
        let session = net.0.up(stranger.peer).await;
        stranger.say(SYNC, &[0; 4]).await;
        let reason = net.0.down(session).await;
        assert!(reason.contains("second"), "{reason}");
    }
    goes_on(net).await;
}

#[tokio::test]
async fn a_stream_that_ends_within_a_frame_ends_the_session() {
    let mut net = a_node_and_its_friend().await;
    for seed in STRANGERS {
        let stranger = Stranger::connect(seed, &net.1).await;
        let mut stream = stranger.open(SYNC).await.expect("the connection stands");
        stream.write_all(&[0, 0, 1, 0, 7, 7]).await.expect("the connection stands");
        let session = net.0.up(stranger.peer).await;
        stream.close().await.expect("the connection stands");
        let reason = net.0.down(session).await;
        assert!(reason.contains("inside a frame"), "{reason}");
    }
    goes_on(net).await;
}

#[tokio::test]
async fn noise_on_any_stream_harms_nothing() {
    let net = a_node_and_its_friend().await;
    let mut strangers = vec![];
    let mut seed = 0x1234_5678_u32;
    for stranger in STRANGERS {
        let stranger = Stranger::connect(stranger, &net.1).await;
        for protocol in
            [SYNC, "/meshsub/1.1.0", "/meshsub/1.2.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/none"]
        {
            for length in [0, 1, 17, 3000] {
                let noise = std::iter::repeat_with(|| {
                    // xorshift32
                    seed ^= seed << 13;
                    seed ^= seed >> 17;
                    seed ^= seed << 5;
                    seed as u8
                });
                let noise: Vec<u8> = noise.take(length).collect();
                stranger.say(protocol, &noise).await;
            }
        }
        strangers.push(stranger);
    }
    goes_on(net).await;
}

#[tokio::test]
async fn one_connection_after_another_leaves_one_session() {
    let mut net = a_node_and_its_friend().await;
    for seed in STRANGERS {
        let mut connections = vec![];
        for _ in 0..4 {
            let stranger = Stranger::connect(seed, &net.1).await;
            stranger.say(SYNC, &[]).await;
            connections.push(stranger);
        }
        let peer = connections[0].peer;
        net.0.up(peer).await;
        net.0.idle(Duration::from_millis(100)).await;
        let mut up = 1;
        for event in net.0.take_seen() {
            match event {
                NetEvent::Up { peer: other, .. } if other == peer => up += 1,
                NetEvent::Down { peer: other, .. } if other == peer => up -= 1,
                _ => {}
            }
            assert!((0..=1).contains(&up));
        }
    }
    goes_on(net).await;
}
