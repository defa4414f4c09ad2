//! Consumers that do not keep up.

use std::time::Duration;

use tombolo_sync::net::{MAX_FRAME, MAX_UNSENT, NetEvent};

use crate::node::{BOTH, Node, connect, gossip_passes};

#[tokio::test]
async fn a_slow_consumer_slows_its_peer_down_and_loses_nothing() {
    const FRAMES: usize = 24;
    for transport in BOTH {
        let (mut a, address) = Node::listening(1, transport).await;
        let mut b = Node::start(2).await;
        let (b_session, a_session) = connect(&mut b, &mut a, &address).await;
        for number in 0..FRAMES {
            b.net.send(a.peer(), b_session, vec![number as u8; MAX_FRAME]);
        }
        // Nobody asks `a` for events now.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let received = a.net.traffic(b.peer()).expect("there is a session").received;
        assert!(received <= 3 * MAX_FRAME as u64, "{received} bytes were read and nobody wanted them");
        // Gossip goes on meanwhile: it has its own stream.
        for number in 0..FRAMES {
            assert!(a.frame(a_session).await == vec![number as u8; MAX_FRAME]);
        }
        gossip_passes(&mut b, &mut a, Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_peer_that_falls_too_far_behind_is_cut_off() {
    for transport in BOTH {
        let (mut a, address) = Node::listening(1, transport).await;
        let mut b = Node::start(2).await;
        let (b_session, a_session) = connect(&mut b, &mut a, &address).await;
        for _ in 0..2 * MAX_UNSENT / MAX_FRAME {
            b.net.send(a.peer(), b_session, vec![0; MAX_FRAME]);
        }
        let reason = b.down(b_session).await;
        assert!(reason.contains("too slow"), "{reason}");
        a.down(a_session).await;
    }
}

#[tokio::test]
async fn dropping_the_events_ends_the_sessions() {
    let (mut a, address) = Node::listening(1, BOTH[0]).await;
    let mut b = Node::start(2).await;
    let (b_session, _) = connect(&mut b, &mut a, &address).await;
    let (peer, Node { net, events, .. }) = (a.peer(), a);
    drop(events);
    b.net.send(peer, b_session, vec![1]);
    b.down(b_session).await;
    drop(net);
    assert!(!b.take_seen().iter().any(|event| matches!(event, NetEvent::Up { .. })));
}
