//! Two nodes that behave, talking.

use std::time::{Duration, Instant};

use tombolo_sync::net::{MAX_FRAME, MAX_GOSSIP, NetEvent, Transport};

use crate::node::{BOTH, Node, SOON, connect, frames_pass, gossip_passes};

#[tokio::test]
async fn two_nodes_exchange_frames_and_gossip() {
    for transport in BOTH {
        let (mut a, address) = Node::listening(1, transport).await;
        let mut b = Node::start(2).await;
        b.net.dial(Some(a.peer()), vec![address.clone()]);
        let up = |event: &NetEvent| match event {
            NetEvent::Up { session, address, transport, dialer, .. } => {
                Some((*session, address.clone(), *transport, *dialer))
            }
            _ => None,
        };
        let (b_session, b_address, b_transport, b_dialer) = b.wait("for a session", up).await;
        let (a_session, _, a_transport, a_dialer) = a.wait("for a session", up).await;
        assert_eq!(b_address, address);
        assert_eq!((b_transport, a_transport), (transport, transport));
        assert!(b_dialer && !a_dialer);
        frames_pass((&mut a, a_session), (&mut b, b_session)).await;
        gossip_passes(&mut a, &mut b, SOON).await;
        gossip_passes(&mut b, &mut a, SOON).await;
        let traffic = a.net.traffic(b.peer()).expect("there is a session");
        assert_eq!((traffic.sent, traffic.received), (10, 10));
    }
}

#[tokio::test]
async fn ten_thousand_small_frames_arrive_in_order() {
    for transport in BOTH {
        let (mut a, address) = Node::listening(1, transport).await;
        let mut b = Node::start(2).await;
        let (b_session, a_session) = connect(&mut b, &mut a, &address).await;
        let started = Instant::now();
        for number in 0..10_000u32 {
            b.net.send(a.peer(), b_session, number.to_be_bytes().to_vec());
        }
        for number in 0..10_000u32 {
            assert_eq!(a.frame(a_session).await, number.to_be_bytes());
        }
        println!("{transport}: 10 000 frames in {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn frames_of_every_size_pass_up_to_the_largest() {
    for transport in BOTH {
        let (mut a, address) = Node::listening(1, transport).await;
        let mut b = Node::start(2).await;
        let (b_session, a_session) = connect(&mut b, &mut a, &address).await;
        let sizes = [0, 1, MAX_FRAME, 0, 70_000, 5];
        for (number, size) in sizes.into_iter().enumerate() {
            b.net.send(a.peer(), b_session, vec![number as u8; size]);
        }
        for (number, size) in sizes.into_iter().enumerate() {
            assert!(a.frame(a_session).await == vec![number as u8; size], "{transport}, frame {number}");
        }
    }
}

#[tokio::test]
async fn a_burst_of_gossip_of_the_largest_size_arrives() {
    const BURST: usize = 100;
    for transport in BOTH {
        let (mut a, address) = Node::listening(1, transport).await;
        let mut b = Node::start(2).await;
        connect(&mut b, &mut a, &address).await;
        gossip_passes(&mut b, &mut a, SOON).await;
        a.take_seen();
        for number in 0..BURST {
            b.net.publish(vec![number as u8; MAX_GOSSIP]);
        }
        for _ in 0..BURST {
            let large = |event: &NetEvent| match event {
                NetEvent::Gossip { payload, .. } if payload.len() == MAX_GOSSIP => Some(()),
                _ => None,
            };
            a.wait("for gossip", large).await;
        }
    }
}

#[tokio::test]
async fn a_burst_of_ten_thousand_payloads_arrives() {
    let (mut a, address) = Node::listening(1, Transport::Tcp).await;
    let mut b = Node::start(2).await;
    connect(&mut b, &mut a, &address).await;
    gossip_passes(&mut b, &mut a, SOON).await;
    a.take_seen();
    let started = Instant::now();
    for number in 0..10_000u32 {
        b.net.publish([&number.to_be_bytes()[..], &[0; 196]].concat());
    }
    for _ in 0..10_000 {
        let payload =
            |event: &NetEvent| matches!(event, NetEvent::Gossip { payload, .. } if payload.len() == 200);
        a.wait("for gossip", |event| payload(event).then_some(())).await;
    }
    println!("10 000 payloads in {:?}", started.elapsed());
    assert_eq!(a.net.gossip_dropped(), 0);
}

#[tokio::test]
async fn gossip_passes_through_a_node_between() {
    let (mut middle, address) = Node::listening(1, Transport::Tcp).await;
    let (mut left, mut right) = (Node::start(2).await, Node::start(3).await);
    connect(&mut left, &mut middle, &address).await;
    connect(&mut right, &mut middle, &address).await;
    gossip_passes(&mut left, &mut middle, SOON).await;
    gossip_passes(&mut middle, &mut right, SOON).await;
    left.net.publish(b"to the far end".to_vec());
    let middle = middle.peer();
    let heard = |event: &NetEvent| match event {
        NetEvent::Gossip { from, payload } if payload == b"to the far end" => Some(*from),
        _ => None,
    };
    assert_eq!(right.wait("for gossip", heard).await, middle);
}

#[tokio::test]
async fn publishing_to_nobody_is_a_hint_and_no_error() {
    let mut alone = Node::start(1).await;
    let hint = |event: &NetEvent| matches!(event, NetEvent::NotPublished { .. }).then_some(());
    alone.net.publish(vec![1]);
    alone.wait("for the hint", hint).await;
    alone.net.publish(vec![1; MAX_GOSSIP + 1]);
    alone.wait("for the hint", hint).await;
}

#[tokio::test]
async fn what_was_sent_before_a_shutdown_arrives_before_the_end() {
    for transport in BOTH {
        let (mut a, address) = Node::listening(1, transport).await;
        let mut b = Node::start(2).await;
        let (b_session, a_session) = connect(&mut b, &mut a, &address).await;
        for number in 0..200u32 {
            b.net.send(a.peer(), b_session, [number.to_be_bytes(); 2000].concat());
        }
        let started = Instant::now();
        let reading = tokio::spawn(async move {
            for number in 0..200u32 {
                assert!(a.frame(a_session).await == [number.to_be_bytes(); 2000].concat());
            }
            a.down(a_session).await
        });
        b.net.shutdown().await;
        assert!(started.elapsed() < Duration::from_millis(900), "the peer was not waited for in vain");
        b.down(b_session).await;
        assert_eq!(b.events.next().await, None);
        reading.await.expect("all frames came");
    }
}
