//! Spaces whose secret is renewed, over real sockets on loopback.

use std::path::Path;
use std::time::Duration;

use tombolo_crdt::{PnCounter, Version};
use tombolo_sync::{Error, Node, NodeBuilder, Ticket};

use crate::patience::{PATIENCE, eventually};

const TCP: &str = "/ip4/127.0.0.1/tcp/0";

fn builder(folder: &Path) -> NodeBuilder {
    Node::builder(folder).no_witness().listen([TCP]).mdns(false)
}

async fn listening(node: Node) -> Node {
    eventually("it listens", || !node.listening().is_empty()).await;
    node
}

fn value(node: &Node) -> i64 {
    node.find::<PnCounter>("n").unwrap().map_or(0, |n| n.read(PnCounter::value))
}

fn version(node: &Node) -> Version {
    node.open::<PnCounter>("n").unwrap().version()
}

async fn add(node: &Node, by: u64) {
    node.open::<PnCounter>("n").unwrap().update(|n| n.inc(by)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_only_the_old_secret_is_refused_and_the_others_lose_nothing() {
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let [a, b, lost, late] = [0, 1, 2, 3].map(|n| folders[n].path());
    let ann = listening(builder(a).create().name("ann").start().await.unwrap()).await;
    let bob = builder(b).join(ann.ticket()).name("bob").start().await.unwrap();
    let thief = builder(lost).join(ann.ticket()).name("thief").start().await.unwrap();
    add(&ann, 1).await;
    add(&bob, 10).await;
    for node in [&ann, &bob, &thief] {
        node.wait_in_sync(2, PATIENCE).await.unwrap();
        eventually("all have both", || value(node) == 11).await;
    }
    let (old, old_space, ids) = (ann.ticket(), ann.space(), (ann.peer_id(), bob.peer_id()));
    ann.shutdown().await;
    drop(ann);

    let ann = builder(a).renew_secret().offline().start().await.unwrap();
    assert_ne!((ann.space(), ann.ticket().secret), (old_space, old.secret.clone()));
    assert_eq!(ann.ticket().renews.map(|renewal| renewal.space), Some(old_space));
    ann.shutdown().await;
    drop(ann);
    let ann = listening(builder(a).start().await.unwrap()).await;
    assert_eq!((ann.peer_id(), value(&ann)), (ids.0, 11));
    let ticket: Ticket = ann.ticket().to_string().parse().unwrap();
    assert!(ticket.renews.is_some(), "also later");

    // Whoever has the old one hears why, and so does she.
    thief.add_peer(ann.listening()[0].clone());
    let why = |node: &Node, of: &Node| {
        let peers = node.status().peers;
        peers.into_iter().find(|peer| peer.peer == of.peer_id()).and_then(|peer| peer.refused)
    };
    eventually("both sides know", || {
        [why(&ann, &thief), why(&thief, &ann)]
            .iter()
            .all(|why| why.as_ref().is_some_and(|why| why.contains("the secret was renewed")))
    })
    .await;
    add(&ann, 100).await;
    add(&bob, 1_000).await;

    // Bob is given the new ticket, and keeps what he has.
    let before = version(&bob);
    bob.shutdown().await;
    drop(bob);
    let bob = builder(b).join(ticket.clone()).start().await.unwrap();
    assert_eq!((bob.peer_id(), bob.space()), (ids.1, ann.space()));
    assert!(version(&bob).dominates(&before));
    eventually("the two are level", || value(&ann) == 1_111 && value(&bob) == 1_111).await;
    add(&bob, 1).await;
    assert_eq!(version(&bob).len(), 2, "under the same replica id");
    eventually("and go on", || value(&ann) == 1_112).await;
    assert!(why(&ann, &bob).is_none());
    assert!(
        value(&thief) < 1_111
            && !thief.status().peers.iter().any(|peer| peer.connected && peer.peer == ids.0)
    );
    // Nor does the old ticket let anybody in.
    let stranger = builder(late).join(old).start().await.unwrap();
    stranger.add_peer(ann.listening()[0].clone());
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(!ann.status().peers.iter().any(|peer| peer.peer == stranger.peer_id()));
    // Bob's tickets do, also those who were in the space before.
    assert_eq!(bob.ticket().renews, ticket.renews);
    for node in [ann, bob, thief, stranger] {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_renews_another_space_is_refused_as_any_other() {
    let (a, b, c) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let gone = builder(c.path()).renew_secret().offline().start().await;
    assert!(matches!(gone, Err(Error::NoSpace(_))), "{gone:?}");
    for folder in [&a, &b] {
        let node = builder(folder.path()).create().offline().start().await.unwrap();
        add(&node, 1).await;
        node.shutdown().await;
    }
    let renew = || builder(a.path()).renew_secret().offline().start();
    let first = renew().await.unwrap();
    let ticket = first.ticket();
    first.shutdown().await;
    drop(first);
    let other = builder(b.path()).join(ticket).offline().start().await;
    assert!(matches!(other, Err(Error::OtherSpace { .. })), "{other:?}");
    // Who missed a renewal in between says so explicitly.
    let second = renew().await.unwrap();
    assert_eq!(value(&second), 1);
    second.shutdown().await;
}
