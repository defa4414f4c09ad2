//! Peers that are not wanted.

use std::collections::BTreeSet;
use std::time::Duration;

use tombolo_sync::net::NetEvent;

use crate::node::{BOTH, Node, connect, frames_pass, gossip_passes};

#[tokio::test]
async fn a_blocked_peer_is_cut_off_refused_and_let_in_again() {
    for transport in BOTH {
        let (mut a, a_address) = Node::listening(1, transport).await;
        let (mut b, b_address) = Node::listening(2, transport).await;
        let (mut other, _) = Node::listening(3, transport).await;
        let (b_session, a_session) = connect(&mut b, &mut a, &a_address).await;
        let (other_session, a_other) = connect(&mut other, &mut a, &a_address).await;

        a.net.set_blocked(BTreeSet::from([b.peer()]));
        tokio::join!(a.down(a_session), b.down(b_session));
        for _ in 0..3 {
            b.net.dial(Some(a.peer()), vec![a_address.clone()]);
            println!("from the blocked peer: {}", b.dial_failed().await);
            a.net.dial(Some(b.peer()), vec![b_address.clone()]);
            println!("to the blocked peer: {}", a.dial_failed().await);
        }
        b.net.publish(b"let me in".to_vec());
        tokio::join!(a.idle(Duration::from_millis(200)), b.idle(Duration::from_millis(200)));
        let heard = |event: &NetEvent| matches!(event, NetEvent::Up { .. } | NetEvent::Gossip { .. });
        assert!(!a.take_seen().iter().any(heard) && !b.take_seen().iter().any(heard));
        frames_pass((&mut a, a_other), (&mut other, other_session)).await;

        a.net.set_blocked(BTreeSet::new());
        let (b_session, a_session) = connect(&mut b, &mut a, &a_address).await;
        frames_pass((&mut a, a_session), (&mut b, b_session)).await;
        gossip_passes(&mut b, &mut a, Duration::from_secs(5)).await;
    }
}
