//! What `docs/limits.md` says of nodes, at the limits and just beyond.

use std::path::Path;
use std::time::Duration;

use tombolo_crdt::{Limits, LwwRegister, PnCounter};
use tombolo_sync::engine::OpenError;
use tombolo_sync::{Error, Node, NodeBuilder, Ticket, TicketError};

use crate::patience::{PATIENCE, eventually};

fn builder(folder: &Path) -> NodeBuilder {
    Node::builder(folder).no_witness().listen(["/ip4/127.0.0.1/tcp/0"]).mdns(false)
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_the_number_of_documents_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    // One place is the directory's own.
    let node = builder(folder.path()).max_documents(3).create().offline().start().await.unwrap();
    for name in ["", &"n".repeat(1_025)] {
        let refused = node.open::<PnCounter>(name);
        assert!(matches!(refused, Err(Error::Open(OpenError::Name))), "{refused:?}");
    }
    node.open::<PnCounter>(&"n".repeat(1_024)).unwrap();
    node.open::<PnCounter>("second").unwrap();
    let refused = node.open::<PnCounter>("third");
    assert!(matches!(refused, Err(Error::Open(OpenError::TooMany { limit: 3 }))), "{refused:?}");
    // Those that are there stay in use, and who deletes one has room.
    node.open::<PnCounter>("second").unwrap().update(|n| n.inc(1)).await.unwrap();
    assert!(node.delete::<PnCounter>("second").await.unwrap());
    node.open::<PnCounter>("third").unwrap();
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_a_peer_stays_behind_and_everything_else_goes_on() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let small = Limits { bytes: 128 << 10, ..Limits::default() };
    // What others see her called is cut.
    let ann = builder(a.path()).create().name("n".repeat(200)).start().await.unwrap();
    eventually("she listens", || !ann.listening().is_empty()).await;
    let bob = builder(b.path()).join(ann.ticket()).limits(small).start().await.unwrap();
    bob.wait_in_sync(1, PATIENCE).await.unwrap();
    assert_eq!(bob.status().peers[0].name, "n".repeat(128));

    let title = ann.open::<LwwRegister<String>>("title").unwrap();
    let large = "x".repeat(1 << 20);
    title.update(|title| title.set(large.clone())).await.unwrap();
    let n = ann.open::<PnCounter>("n").unwrap();
    n.update(|n| n.inc(1)).await.unwrap();
    eventually("the rest comes", || {
        bob.find::<PnCounter>("n").unwrap().is_some_and(|n| n.read(PnCounter::value) == 1)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ann.status().peers[0].lag, Some(1), "she sees what he lacks");
    assert_eq!(bob.status().peers[0].behind, Some(1));
    assert!(bob.open::<LwwRegister<String>>("title").unwrap().read(|title| title.value().is_none()));
    // What replaces it comes.
    title.update(|title| title.set("short")).await.unwrap();
    ann.wait_in_sync(1, PATIENCE).await.unwrap();
    ann.shutdown().await;
    bob.shutdown().await;
}

#[test]
fn a_ticket_that_is_too_long_is_none() {
    let text = format!("tombolo1{}", "a".repeat(16 * 1_024));
    assert_eq!(text.parse::<Ticket>(), Err(TicketError::Damaged));
}
