//! Nodes that leave their space, over real sockets on loopback.

use std::path::Path;
use std::time::{Duration, Instant};

use tombolo_crdt::{LwwMap, PnCounter};
use tombolo_sync::engine::Membership;
use tombolo_sync::{Error, Node, NodeBuilder, Wipe};

use crate::patience::{PATIENCE, eventually};

const TCP: &str = "/ip4/127.0.0.1/tcp/0";

fn builder(folder: &Path) -> NodeBuilder {
    Node::builder(folder).no_witness().listen([TCP]).mdns(false)
}

/// Two nodes in sync.
async fn two(a: &Path, b: &Path) -> (Node, Node) {
    let ann = builder(a).create().name("ann").start().await.unwrap();
    eventually("she listens", || !ann.listening().is_empty()).await;
    let bob = builder(b).join(ann.ticket()).name("bob").start().await.unwrap();
    ann.open::<PnCounter>("n").unwrap().update(|n| n.inc(1)).await.unwrap();
    bob.wait_in_sync(1, PATIENCE).await.unwrap();
    (ann, bob)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_left_reads_and_writes_alone_until_it_joins_again() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ann, bob) = two(a.path(), b.path()).await;
    let n = bob.open::<PnCounter>("n").unwrap();
    eventually("bob has hers", || n.read(PnCounter::value) == 1).await;
    n.update(|n| n.inc(10)).forget();
    let left = bob.clone().leave(Wipe::Keep).await.unwrap();
    assert_eq!(left.holders, [ann.peer_id()]);
    assert!(matches!(bob.clone().leave(Wipe::Keep).await, Err(Error::ShutDown)));
    assert_eq!(ann.find::<PnCounter>("n").unwrap().unwrap().read(PnCounter::value), 11, "his last word came");
    let peer = bob.peer_id();
    drop((bob, n));

    let refused = builder(b.path()).start().await;
    assert!(matches!(refused, Err(Error::Left(_))), "{refused:?}");
    let alone = builder(b.path()).offline().start().await.unwrap();
    assert!(alone.has_left() && alone.status().left);
    let n = alone.open::<PnCounter>("n").unwrap();
    n.update(|n| n.inc(100)).await.unwrap();
    alone.shutdown().await;
    drop((alone, n));

    let bob = builder(b.path()).join(ann.ticket()).start().await.unwrap();
    assert!(!bob.has_left());
    assert_eq!(bob.peer_id(), peer);
    let hers = ann.open::<PnCounter>("n").unwrap();
    eventually("what he wrote alone comes", || hers.read(PnCounter::value) == 111).await;
    bob.shutdown().await;
    drop(bob);
    builder(b.path()).start().await.unwrap().shutdown().await;
    ann.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wipes_leaves_nothing_behind_and_the_others_go_on() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ann, bob) = two(a.path(), b.path()).await;
    assert_eq!(bob.leave(Wipe::Everything).await.unwrap().holders, [ann.peer_id()]);
    assert_eq!(std::fs::read_dir(b.path()).unwrap().count(), 0);
    let gone = builder(b.path()).start().await;
    assert!(matches!(gone, Err(Error::NoSpace(_))), "{gone:?}");
    let n = ann.open::<PnCounter>("n").unwrap();
    n.update(|n| n.inc(1)).await.unwrap();
    // Who comes again is somebody else.
    let bob = builder(b.path()).join(ann.ticket()).start().await.unwrap();
    bob.wait_in_sync(1, PATIENCE).await.unwrap();
    assert_eq!(bob.open::<PnCounter>("n").unwrap().read(PnCounter::value), 2);
    ann.shutdown().await;
    bob.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_alone_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let node = builder(folder.path()).create().start().await.unwrap();
    let start = Instant::now();
    assert_eq!(node.leave(Wipe::Keep).await.unwrap().holders, []);
    assert!(start.elapsed() < Duration::from_secs(4));
}

/// Takes ten seconds, for so often a node looks what there is to forget.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_released_or_leaves_is_waited_for_no_longer() {
    type Map = LwwMap<String, u64>;
    let (a, b, c) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ann, bob) = two(a.path(), b.path()).await;
    let cem = builder(c.path()).join(ann.ticket()).name("cem").start().await.unwrap();
    ann.wait_in_sync(2, PATIENCE).await.unwrap();
    let map = ann.open::<Map>("m").unwrap();
    for key in 0..20_u64 {
        map.update(|map| map.set(key.to_string(), key)).forget();
        map.update(|map| map.remove(&key.to_string())).forget();
    }
    assert_eq!(map.garbage().unwrap().removals, 20);
    let membership = |of| {
        let peers = ann.status().peers;
        peers.into_iter().find(|peer| peer.peer == of).and_then(|peer| peer.membership)
    };
    let (bobs, cems) = (bob.peer_id(), cem.peer_id());
    eventually("both are members", || {
        [bobs, cems].iter().all(|of| membership(*of) == Some(Membership::Member))
    })
    .await;
    assert!(!cem.leave(Wipe::Keep).await.unwrap().holders.is_empty());
    eventually("cem is waited for no longer", || membership(cems) == Some(Membership::Released)).await;
    bob.shutdown().await;
    assert!(ann.release(bobs) && !ann.release(bobs));
    assert_eq!(membership(bobs), Some(Membership::Released));
    assert!(map.status().unwrap().is_stable(), "all that are left hold it");
    ann.shutdown().await;
    drop((ann, map));
    // It stands in the store, and is read before anybody is met.
    let ann = builder(a.path()).offline().start().await.unwrap();
    let peers = ann.status().peers;
    assert!(peers.iter().all(|peer| peer.membership == Some(Membership::Released)), "{peers:?}");
    ann.shutdown().await;
}
