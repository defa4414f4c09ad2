//! A peer that vanishes without a word and comes back with the same key, while the other side still believes in the
//! old connection.

use std::time::{Duration, Instant};

use tombolo_sync::net::{Multiaddr, NetEvent, SessionId, Transport};

use crate::cable::Cable;
use crate::node::{BOTH, Node, chooser_and_follower, connect, frames_pass, gossip_passes};

/// What the design promises: within this after the restart, both directions of frames and of gossip work.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// Longer than the age from which a connection gives way to a new one.
const SETTLED: Duration = Duration::from_millis(2_200);

/// Dials until there is a session, as the engine does.
async fn dial_until_up(node: &mut Node, peer: &mut Node, address: &Multiaddr) -> SessionId {
    let peer = peer.peer();
    loop {
        node.net.dial(Some(peer), vec![address.clone()]);
        let outcome = |event: &NetEvent| match event {
            NetEvent::Up { peer: other, session, .. } if *other == peer => Some(Some(*session)),
            NetEvent::DialFailed { .. } => Some(None),
            _ => None,
        };
        match node.wait("for a dial", outcome).await {
            Some(session) => return session,
            None => tokio::time::sleep(Duration::from_millis(300)).await,
        }
    }
}

/// `survivor` and `lost` are seeds; `dials` says which of the two dialled the first connection.
async fn heard_again(transport: Transport, survivor: u8, lost: u8, survivor_dials: bool, age: Duration) {
    let (mut survivor, address) = Node::listening(survivor, transport).await;
    let (mut first, first_address) = Node::listening(lost, transport).await;
    let cable = Cable::to(if survivor_dials { &first_address } else { &address }).await;
    let (_, old) = if survivor_dials {
        let (old, new) = connect(&mut survivor, &mut first, &cable.address).await;
        (new, old)
    } else {
        connect(&mut first, &mut survivor, &cable.address).await
    };
    gossip_passes(&mut survivor, &mut first, HEARD_WITHIN).await;
    gossip_passes(&mut first, &mut survivor, HEARD_WITHIN).await;
    survivor.idle(age).await;
    survivor.take_seen();

    cable.cut();
    drop(first);
    let restarted = Instant::now();
    let mut second = Node::start(lost).await;
    // The survivor goes on talking to the dead: that must not be taken for the new session.
    survivor.net.send(second.peer(), old, b"to the dead".to_vec());
    survivor.net.publish(b"to the dead too".to_vec());
    let new = dial_until_up(&mut second, &mut survivor, &address).await;
    survivor.down(old).await;
    let survivors = survivor.up(second.peer()).await;
    assert_ne!(survivors, old);
    frames_pass((&mut survivor, survivors), (&mut second, new)).await;
    let left = HEARD_WITHIN.saturating_sub(restarted.elapsed());
    gossip_passes(&mut survivor, &mut second, left).await;
    let left = HEARD_WITHIN.saturating_sub(restarted.elapsed());
    gossip_passes(&mut second, &mut survivor, left).await;
    println!(
        "{transport}, survivor dialled: {survivor_dials}, age {age:?}: heard after {:?}",
        restarted.elapsed()
    );
    assert!(restarted.elapsed() < HEARD_WITHIN);

    // And the old connection, when it is noticed at last, takes nothing with it.
    survivor.idle(Duration::from_millis(700)).await;
    let downs =
        survivor.take_seen().into_iter().filter(|event| matches!(event, NetEvent::Down { .. })).count();
    assert_eq!(downs, 0);
    frames_pass((&mut survivor, survivors), (&mut second, new)).await;
}

#[tokio::test]
async fn a_restarted_follower_replaces_its_dead_connection() {
    let (chooser, follower) = chooser_and_follower();
    let mut cases = tokio::task::JoinSet::new();
    for transport in BOTH {
        for survivor_dials in [false, true] {
            cases.spawn(heard_again(transport, chooser, follower, survivor_dials, SETTLED));
        }
    }
    while let Some(case) = cases.join_next().await {
        case.expect("every case ends well");
    }
}

#[tokio::test]
async fn a_restarted_chooser_replaces_its_dead_connection() {
    let (chooser, follower) = chooser_and_follower();
    let mut cases = tokio::task::JoinSet::new();
    for transport in BOTH {
        for survivor_dials in [false, true] {
            cases.spawn(heard_again(transport, follower, chooser, survivor_dials, Duration::ZERO));
        }
    }
    while let Some(case) = cases.join_next().await {
        case.expect("every case ends well");
    }
}

#[tokio::test]
async fn a_follower_restarted_at_once_is_let_in_by_a_later_dial() {
    let (chooser, follower) = chooser_and_follower();
    let mut cases = tokio::task::JoinSet::new();
    for transport in BOTH {
        cases.spawn(heard_again(transport, chooser, follower, false, Duration::ZERO));
    }
    while let Some(case) = cases.join_next().await {
        case.expect("every case ends well");
    }
}

#[tokio::test]
async fn a_cut_connection_that_was_given_up_does_not_stand_in_the_way() {
    for transport in BOTH {
        let (chooser, follower) = chooser_and_follower();
        let (mut a, address) = Node::listening(chooser, transport).await;
        let mut b = Node::start(follower).await;
        let cable = Cable::to(&address).await;
        let (b_old, a_old) = connect(&mut b, &mut a, &cable.address).await;
        gossip_passes(&mut a, &mut b, HEARD_WITHIN).await;
        a.idle(SETTLED).await;
        cable.cut();
        // Much is on its way: saying goodbye has to queue behind it.
        for _ in 0..40 {
            b.net.send(a.peer(), b_old, vec![0; 1024 * 1024]);
        }
        let started = Instant::now();
        b.net.disconnect(a.peer());
        b.down(b_old).await;
        let b_new = dial_until_up(&mut b, &mut a, &address).await;
        a.down(a_old).await;
        let a_new = a.up(b.peer()).await;
        frames_pass((&mut a, a_new), (&mut b, b_new)).await;
        gossip_passes(&mut a, &mut b, HEARD_WITHIN).await;
        gossip_passes(&mut b, &mut a, HEARD_WITHIN).await;
        println!("{transport}: back after {:?}", started.elapsed());
        assert!(started.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn quic_notices_by_itself_that_the_peer_is_gone() {
    let (mut a, address) = Node::listening(1, Transport::Quic).await;
    let mut b = Node::start(2).await;
    let cable = Cable::to(&address).await;
    let (b_session, a_session) = connect(&mut b, &mut a, &cable.address).await;
    cable.cut();
    let started = Instant::now();
    let ended = |of: SessionId| {
        move |event: &NetEvent| match event {
            NetEvent::Down { session, reason, .. } if *session == of => Some(reason.clone()),
            _ => None,
        }
    };
    let within = Duration::from_secs(8);
    let (a_reason, b_reason) =
        tokio::join!(a.wait_within(within, ended(a_session)), b.wait_within(within, ended(b_session)));
    println!("after {:?}: {a_reason:?}, {b_reason:?}", started.elapsed());
    assert!(a_reason.is_some() && b_reason.is_some());
}
