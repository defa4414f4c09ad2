//! States that an application has in bytes, merged into documents of nodes: what ships with it.

use tombolo_crdt::{Delta, DotStore as _, Limits, PnCounter, Replica, ReplicaId, Text};
use tombolo_sync::{Document, Error, Node, NotMerged, Origin};

use crate::patience::{PATIENCE, eventually};

/// Who writes templates, and nothing else.
fn publisher() -> ReplicaId {
    ReplicaId::from_bytes([9; 16])
}

fn template() -> Vec<u8> {
    let mut template = Replica::<Text>::new(publisher());
    let _ = template.update(|text| text.push("Agenda\nNotes\n"));
    template.encode()
}

async fn alone() -> (tempfile::TempDir, Node, Document<Text>) {
    let home = tempfile::tempdir().unwrap();
    let node = Node::builder(home.path()).no_witness().create().offline().start().await.unwrap();
    let page = node.open::<Text>("page").unwrap();
    (home, node, page)
}

fn read(page: &Document<Text>) -> String {
    page.read(|text| text.to_string())
}

/// Two begin with what ships with the application before they have met, and go on with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_two_nodes_begin_with_is_there_once() {
    let (a, b, shipped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), template());
    let net = |home: &tempfile::TempDir| {
        Node::builder(home.path()).no_witness().listen(["/ip4/127.0.0.1/tcp/0"]).mdns(false)
    };
    let ann = net(&a).create().start().await.unwrap();
    eventually("she listens", || !ann.listening().is_empty()).await;
    let hers = ann.open::<Text>("page").unwrap();
    assert!(hers.merge(&shipped).unwrap().await.unwrap());
    hers.update(|text| text.insert(7, "1. Tides\n").unwrap()).await.unwrap();

    let bob = Node::builder(b.path()).no_witness().join(ann.ticket()).offline().start().await.unwrap();
    let his = bob.open::<Text>("page").unwrap();
    assert!(his.merge(&shipped).unwrap().await.unwrap());
    his.update(|text| text.delete(0..1).unwrap()).await.unwrap();
    assert_eq!((read(&hers), read(&his)), ("Agenda\n1. Tides\nNotes\n".into(), "genda\nNotes\n".into()));
    bob.shutdown().await;
    drop((bob, his));

    let bob = net(&b).start().await.unwrap();
    let his = bob.find::<Text>("page").unwrap().expect("it was durable");
    assert_eq!(read(&his), "genda\nNotes\n");
    for page in [&hers, &his] {
        eventually("both have all of it", || read(page) == "genda\n1. Tides\nNotes\n").await;
    }
    // Again, as at every start: what was deleted of it stays deleted, and nobody has anything new.
    let version = his.version();
    assert_eq!(version, hers.version());
    for page in [&hers, &his] {
        assert!(!page.merge(&shipped).unwrap().await.unwrap());
        assert_eq!((read(page), page.version()), ("genda\n1. Tides\nNotes\n".into(), version.clone()));
    }
    ann.shutdown().await;
    bob.shutdown().await;
}

/// A peer that has nothing hears of it like of a write; who watches is told on both sides, and the commit waits for copies.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_merges_goes_to_others_and_to_who_watches() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let net = |home: &tempfile::TempDir| {
        Node::builder(home.path()).no_witness().listen(["/ip4/127.0.0.1/tcp/0"]).mdns(false)
    };
    let ann = net(&a).create().start().await.unwrap();
    eventually("she listens", || !ann.listening().is_empty()).await;
    let bob = net(&b).join(ann.ticket()).start().await.unwrap();
    bob.wait_in_sync(1, PATIENCE).await.unwrap();
    let (hers, his) = (ann.open::<Text>("page").unwrap(), bob.open::<Text>("page").unwrap());
    let (mut shown, mut watch) = hers.watch(|text| text.plain());
    let (mut his_shown, mut his_watch) = his.watch(|text| text.plain());
    let mut changes = hers.subscribe();

    let commit = hers.merge(&template()).unwrap();
    assert_eq!(commit.version().unwrap(), &hers.version());
    let done = commit.replicated(1).within(PATIENCE).await.unwrap();
    assert!(done.value);
    assert_eq!(changes.next().await.unwrap().origin, Origin::Local);
    let step = watch.next().await.unwrap().unwrap();
    assert_eq!(step.origin, Origin::Local);
    step.apply_to(&mut shown).unwrap();
    let step = his_watch.next().await.unwrap().unwrap();
    assert_eq!(step.origin, Origin::Peer(ann.peer_id()));
    step.apply_to(&mut his_shown).unwrap();
    assert_eq!((&shown, read(&his)), (&his_shown, "Agenda\nNotes\n".into()));
    ann.shutdown().await;
    bob.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_state_of_the_type_are_refused_and_change_nothing() {
    let (home, node, page) = alone().await;
    page.update(|text| text.push("here")).await.unwrap();
    let (version, shipped) = (page.version(), template());
    let mut watch = page.watch(|_| ()).1;
    let mut counter = Replica::<PnCounter>::new(publisher());
    let (_, delta) = counter.update(|counter| counter.inc(1));
    let mut bad = vec![counter.encode(), delta.encode(), Vec::new(), b"a template".to_vec()];
    bad.extend((0..shipped.len()).map(|cut| shipped[..cut].to_vec()));
    bad.extend((0..shipped.len()).map(|at| {
        let mut flipped = shipped.clone();
        flipped[at] ^= 0x10;
        flipped
    }));
    for bytes in bad {
        let refused = page.merge(&bytes);
        assert!(matches!(refused, Err(NotMerged::Bytes(_))), "{refused:?}");
        assert_eq!((read(&page), page.version()), ("here".into(), version.clone()));
    }
    assert!(watch.try_next().is_none());
    // An application hands it on as an error of the node's.
    let error = page.merge(b"a template").map_err(Error::from).unwrap_err();
    assert!(error.to_string().starts_with("this is no state of the document's type"), "{error}");
    drop((page, watch));
    node.shutdown().await;
    drop(node);

    // What a peer would not take this node does not take either.
    let mut large = Replica::<Text>::new(publisher());
    let _ = large.update(|text| text.push(&(0..20_000).map(|n| format!("{n} ")).collect::<String>()));
    let limits = Limits { bytes: 16 << 10, ..Limits::default() };
    let node = Node::builder(home.path()).no_witness().limits(limits).offline().start().await.unwrap();
    let page = node.open::<Text>("page").unwrap();
    assert!(large.encode().len() > 16 << 10);
    assert!(matches!(page.merge(&large.encode()), Err(NotMerged::Bytes(_))));
    assert_eq!((read(&page), page.version()), ("here".into(), version));
    assert!(page.merge(&shipped).unwrap().await.unwrap());
    let refused = NotMerged::Bytes(Delta::<Text>::decode_state(b"", &limits).unwrap_err());
    assert_eq!(page.merge(b"").unwrap_err(), refused);
    node.shutdown().await;
    assert!(matches!(page.merge(&shipped).unwrap().await, Err(Error::ShutDown)));
}

/// Nobody but the store writes under its id, not by way of the application either.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_with_events_of_the_store_itself_is_taken_only_if_the_store_has_written_them() {
    let (_home, node, page) = alone().await;
    let commit = page.update(|text| text.push("ours"));
    let version = commit.version().unwrap().clone();
    commit.await.unwrap();
    let us = version.iter().next().expect("we wrote").0;
    let state = |of: ReplicaId, texts: &[&str]| {
        let mut replica = Replica::<Text>::new(of);
        texts.iter().for_each(|content| _ = replica.update(|text| text.push(content)));
        replica
    };
    // What is here already is no news, and does no harm.
    let own = state(us, &["ours"]);
    assert_eq!(own.version(), version);
    assert!(!page.merge(&own.encode()).unwrap().await.unwrap());
    // The same events as something else, alone and beside what is new.
    let other = state(us, &["else"]);
    assert_eq!(page.merge(&other.encode()).unwrap_err(), NotMerged::Contradicts);
    let mut beside = state(publisher(), &["Agenda\n"]);
    beside.merge(other.state()).unwrap();
    assert!(page.merge(&beside.encode()).is_err());
    // More than was written, also where it goes on from that. Nothing of it is there, so the events are used for what is written here next.
    let refused = page.merge(&state(us, &["ours", " and more"]).encode()).unwrap_err();
    let NotMerged::Ours { ours, theirs } = refused else { panic!("{refused}") };
    assert!(ours <= version.get(us) && theirs > version.get(us), "{ours} {theirs}");
    assert_eq!((read(&page), page.version()), ("ours".into(), version.clone()));
    page.update(|text| text.push("!")).await.unwrap();
    assert_eq!(page.version().get(us), version.get(us) + 1);
    assert!(page.merge(&template()).unwrap().await.unwrap());
    assert_eq!(page.version().get(us), version.get(us) + 1, "it is no write of ours");
    assert!(node.doubt().is_none());
    // Two templates under one id.
    let other = state(publisher(), &["Minutes"]);
    assert_eq!(page.merge(&other.encode()).unwrap_err(), NotMerged::Contradicts);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_merged_into_a_document_that_was_deleted() {
    let (_home, node, page) = alone().await;
    page.update(|text| text.push("here")).await.unwrap();
    node.delete::<Text>("page").await.unwrap();
    assert!(matches!(page.merge(&template()).unwrap().await, Err(Error::Deleted)));
    let again = node.open::<Text>("page").unwrap();
    assert!(again.merge(&template()).unwrap().wait().unwrap());
    assert_eq!(read(&again), "Agenda\nNotes\n");
    node.shutdown().await;
}
