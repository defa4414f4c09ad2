//! Nodes as an application uses them, over real sockets on loopback.

use std::time::{Duration, Instant};

use tombolo_crdt::{AddWinsSet, BoundedCounter, Crdt, MvRegister, PnCounter};
use tombolo_sync::engine::Origin;
use tombolo_sync::{Doubt, Error, Node};

use crate::patience::{PATIENCE, eventually};

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// Handles go anywhere.
const _: fn() = || {
    fn anywhere<T: Clone + Send + Sync + 'static>() {}
    anywhere::<Node>();
    anywhere::<tombolo_sync::Document<Board>>();
};

#[derive(Crdt)]
struct Board {
    name: MvRegister<String>,
    #[crdt(lww)]
    title: String,
    visits: PnCounter,
    labels: AddWinsSet<String>,
}

async fn first(folder: &tempfile::TempDir, listen: &str) -> Node {
    let node = Node::builder(folder.path())
        .no_witness()
        .create()
        .name("ann")
        .listen([listen])
        .mdns(false)
        .start()
        .await
        .unwrap();
    let until = Instant::now() + PATIENCE;
    while node.listening().is_empty() {
        assert!(Instant::now() < until, "not listening");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node
}

async fn second(folder: &tempfile::TempDir, listen: &str, other: &Node) -> Node {
    let ticket = other.ticket().to_string().parse().unwrap();
    Node::builder(folder.path())
        .no_witness()
        .join(ticket)
        .name("bob")
        .listen([listen])
        .mdns(false)
        .start()
        .await
        .unwrap()
}

async fn two_nodes_share_a_typed_document(listen: &str) {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ann = first(&a, listen).await;
    let board = ann.open::<Board>("board").unwrap();
    board.update(|b| b.visits().inc(1)).await.unwrap();
    let bob = second(&b, listen, &ann).await;
    eventually("bob hears of the document", || bob.find::<Board>("board").unwrap().is_some()).await;
    let his = bob.find::<Board>("board").unwrap().unwrap();
    eventually("bob has the first visit", || his.read(|b| b.visits.value()) == 1).await;
    let mut changes = his.subscribe();
    board.update(|b| b.title().set("Garden")).await.unwrap();
    his.update(|b| b.labels().add("late")).await.unwrap();
    eventually("both have both", || {
        his.read(|b| b.title.value().is_some()) && board.read(|b| b.labels.contains("late"))
    })
    .await;
    let mut origins = Vec::new();
    while let Ok(Some(change)) = tokio::time::timeout(Duration::from_millis(300), changes.next()).await {
        origins.push(change.origin);
    }
    assert!(
        origins.contains(&Origin::Local) && origins.contains(&Origin::Peer(ann.peer_id())),
        "{origins:?}"
    );
    ann.wait_in_sync(1, PATIENCE).await.unwrap();
    bob.wait_in_sync(1, PATIENCE).await.unwrap();
    let status = ann.status();
    assert_eq!(status.in_sync, Some(true));
    assert_eq!((status.peers[0].name.as_str(), status.peers[0].lag), ("bob", Some(0)));
    assert_eq!(board.status().unwrap().in_sync_with, 1);
    ann.shutdown().await;
    bob.shutdown().await;
    assert!(matches!(board.update(|b| b.visits().inc(1)).await, Err(Error::ShutDown)));
}

/// What a copied store could break, it does not: it goes on under another id, which holds no rights.
#[tokio::test(flavor = "multi_thread")]
async fn a_copied_store_spends_no_rights_of_the_original() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let witnesses = tempfile::tempdir().unwrap();
    let start = |folder: &std::path::Path| Node::builder(folder).witness(witnesses.path()).offline();
    let ann = start(a.path()).create().start().await.unwrap();
    let seats = ann.open::<BoundedCounter>("seats").unwrap();
    seats.update(|seats| seats.inc(5)).await.unwrap();
    ann.shutdown().await;
    std::fs::copy(a.path().join("tombolo.redb"), b.path().join("tombolo.redb")).unwrap();

    let copy = start(b.path()).start().await.unwrap();
    assert!(matches!(copy.doubt(), Some(Doubt::Copied { original }) if original == ann.peer_id()));
    assert_ne!(copy.peer_id(), ann.peer_id());
    let held = copy.open::<BoundedCounter>("seats").unwrap();
    let refused = held.try_update(|seats| seats.dec(1)).err().unwrap();
    assert_eq!((refused.held, refused.elsewhere[0].1), (0, 5));
    copy.shutdown().await;

    let again = start(a.path()).start().await.unwrap();
    assert_eq!(again.doubt(), None);
    let seats = again.open::<BoundedCounter>("seats").unwrap();
    seats.try_update(|seats| seats.dec(5)).unwrap().await.unwrap();
    again.shutdown().await;
    // The copy has a place of its own by now; a witness elsewhere says nothing, also when that is left again.
    let start_elsewhere = || Node::builder(b.path()).witness(b.path().join("elsewhere")).offline().start();
    for _ in 0..2 {
        let copy = start(b.path()).start().await.unwrap();
        assert_eq!(copy.doubt(), None);
        copy.shutdown().await;
        let copy = start_elsewhere().await.unwrap();
        assert_eq!(copy.doubt(), None);
        copy.open::<BoundedCounter>("seats").unwrap().update(|seats| seats.inc(1)).await.unwrap();
        copy.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_a_typed_document_over_tcp() {
    two_nodes_share_a_typed_document(TCP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_a_typed_document_over_quic() {
    two_nodes_share_a_typed_document(QUIC).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_link_is_cut_and_comes_back() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ann = first(&a, TCP).await;
    let bob = second(&b, TCP, &ann).await;
    let (hers, his) = (ann.open::<PnCounter>("n").unwrap(), bob.open::<PnCounter>("n").unwrap());
    ann.wait_in_sync(1, PATIENCE).await.unwrap();
    assert!(ann.block(bob.peer_id(), true));
    assert!(!ann.block(bob.peer_id(), true));
    let connected = |node: &Node| node.status().peers.iter().any(|peer| peer.connected);
    eventually("the link is cut on both sides", || !connected(&ann) && !connected(&bob)).await;
    hers.update(|n| n.inc(1)).await.unwrap();
    his.update(|n| n.inc(2)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!((hers.read(PnCounter::value), his.read(PnCounter::value)), (1, 2));
    ann.block(bob.peer_id(), false);
    eventually("both are level", || hers.read(PnCounter::value) == 3 && his.read(PnCounter::value) == 3)
        .await;
    ann.shutdown().await;
    bob.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_has_everything_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::builder(folder.path()).no_witness().create().offline().start().await.unwrap();
    let (peer, space) = (node.peer_id(), node.space());
    let set = node.open::<AddWinsSet<String>>("set").unwrap();
    for n in 0..50 {
        set.update(|set| set.add(n.to_string())).forget();
    }
    set.update(|set| set.remove("7")).await.unwrap();
    assert!(matches!(
        Node::builder(folder.path()).no_witness().offline().start().await,
        Err(Error::Store(tombolo_sync::store::StoreError::Locked(_)))
    ));
    node.shutdown().await;
    drop((node, set));
    let node = Node::builder(folder.path()).no_witness().offline().start().await.unwrap();
    assert_eq!((node.peer_id(), node.space()), (peer, space));
    let set = node.find::<AddWinsSet<String>>("set").unwrap().unwrap();
    assert_eq!(set.read(AddWinsSet::len), 49);
    set.update(|set| set.add("50")).wait().unwrap();
    assert!(node.find::<PnCounter>("nothing").unwrap().is_none());
    assert!(matches!(node.open::<PnCounter>("set"), Err(Error::Open(_))));
    assert!(node.delete::<AddWinsSet<String>>("set").await.unwrap());
    assert!(!node.delete::<AddWinsSet<String>>("set").await.unwrap());
    assert!(matches!(set.update(|set| set.add("x")).await, Err(Error::Deleted)));
    assert!(node.list().is_empty());
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_without_a_space_and_one_of_another_space_are_refused() {
    let (a, b, c) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert!(matches!(
        Node::builder(a.path().join("new")).no_witness().offline().start().await,
        Err(Error::NoSpace(_))
    ));
    assert!(!a.path().join("new").exists());
    let ann = Node::builder(b.path()).no_witness().create().offline().start().await.unwrap();
    let bob = Node::builder(c.path()).no_witness().create().offline().start().await.unwrap();
    bob.open::<PnCounter>("n").unwrap().update(|n| n.inc(1)).await.unwrap();
    bob.shutdown().await;
    drop(bob);
    let joining = Node::builder(c.path()).no_witness().join(ann.ticket()).offline().start().await;
    assert!(matches!(joining, Err(Error::OtherSpace { .. })), "{joining:?}");
    let bob =
        Node::builder(c.path()).no_witness().join_merging(ann.ticket()).offline().start().await.unwrap();
    assert_eq!(bob.space(), ann.space());
    assert_eq!(bob.find::<PnCounter>("n").unwrap().unwrap().read(PnCounter::value), 1);
}
