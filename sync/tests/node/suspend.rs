//! Nodes that sleep and wake, and change networks, over real sockets on loopback.

use std::path::Path;
use std::time::Duration;

use tombolo_crdt::PnCounter;
use tombolo_sync::{Node, NodeBuilder};

use crate::patience::{PATIENCE, eventually};

/// Sooner than anybody dials by himself who has been out of reach for a minute, with a busy machine in mind.
const AT_ONCE: Duration = Duration::from_secs(5);

fn builder(folder: &Path) -> NodeBuilder {
    Node::builder(folder).no_witness().listen(["/ip4/127.0.0.1/tcp/0"]).mdns(false)
}

fn is_connected(node: &Node) -> bool {
    node.status().peers.iter().any(|peer| peer.connected)
}

async fn two(a: &Path, b: &Path) -> (Node, Node) {
    let ann = builder(a).create().name("ann").start().await.unwrap();
    eventually("she listens", || !ann.listening().is_empty()).await;
    let bob = builder(b).join(ann.ticket()).name("bob").start().await.unwrap();
    bob.wait_in_sync(1, PATIENCE).await.unwrap();
    (ann, bob)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_writes_alone_and_is_level_soon_after_it_goes_on() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ann, bob) = two(a.path(), b.path()).await;
    let (hers, his) = (ann.open::<PnCounter>("n").unwrap(), bob.open::<PnCounter>("n").unwrap());
    assert!(!bob.resume());
    bob.suspend().await;
    bob.suspend().await;
    assert!(bob.status().suspended && !is_connected(&bob));
    eventually("she notices", || !is_connected(&ann)).await;
    his.update(|n| n.inc(1)).await.unwrap();
    hers.update(|n| n.inc(2)).await.unwrap();
    // She dials him, and he does not let her in; nor does a change of network wake him.
    bob.network_changed();
    ann.network_changed();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!is_connected(&ann) && !is_connected(&bob));
    assert_eq!((hers.read(PnCounter::value), his.read(PnCounter::value)), (2, 1));
    assert!(bob.resume() && !bob.status().suspended);
    let level =
        eventually("both are level", || hers.read(PnCounter::value) == 3 && his.read(PnCounter::value) == 3);
    assert!(level.await < AT_ONCE);
    // What was written is there also if the process ends while it is suspended, and the next is not.
    bob.suspend().await;
    his.update(|n| n.inc(10)).await.unwrap();
    bob.shutdown().await;
    drop((bob, his));
    let bob = builder(b.path()).start().await.unwrap();
    assert!(!bob.status().suspended);
    eventually("she has it", || hers.read(PnCounter::value) == 13).await;
    ann.shutdown().await;
    bob.shutdown().await;
}

/// A peer that was refused is dialled again after 2 s, then 4, 8 and 16: here long enough to tell who dials because the network changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_network_has_everybody_dialled_at_once() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ann, bob) = two(a.path(), b.path()).await;
    let place = ann.listening()[0].clone();
    bob.shutdown().await;
    drop(bob);
    let renewed = builder(b.path()).renew_secret().offline().start().await.unwrap();
    let ticket = renewed.ticket();
    renewed.shutdown().await;
    drop(renewed);
    // Nobody can dial him.
    let bob = builder(b.path()).listen(Vec::<String>::new()).start().await.unwrap();
    eventually("he is refused", || bob.status().peers[0].refused.is_some()).await;
    // Three times more, the last one after 14 s, and the next after 30.
    tokio::time::sleep(Duration::from_secs(17)).await;
    ann.shutdown().await;
    drop(ann);
    let ann = builder(a.path()).join(ticket).listen([place]).start().await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(!is_connected(&bob), "he would have to wait");
    bob.network_changed();
    assert!(eventually("they meet", || is_connected(&bob)).await < AT_ONCE);
    eventually("she says so too", || is_connected(&ann)).await;
    assert!(bob.status().peers[0].refused.is_none());
    ann.shutdown().await;
    bob.shutdown().await;
}
