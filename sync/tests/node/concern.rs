//! Waiting for others, over real sockets on loopback: for copies of a write, for a version, for being in sync.

use std::time::{Duration, Instant};

use tombolo_crdt::{PnCounter, Version};
use tombolo_sync::{Document, Error, Node};

const LOOPBACK: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// Nodes of one space, with a counter that is open at each.
struct Three {
    nodes: Vec<Node>,
    counters: Vec<Document<PnCounter>>,
    _folders: Vec<tempfile::TempDir>,
}

async fn three() -> Three {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut nodes: Vec<Node> = Vec::new();
    for folder in &folders {
        let builder = Node::builder(folder.path()).no_witness().listen([LOOPBACK]).mdns(false);
        let builder = match nodes.first() {
            None => builder.create(),
            Some(first) => builder.join(first.ticket()),
        };
        let node = builder.start().await.unwrap();
        let until = Instant::now() + PATIENCE;
        while node.listening().is_empty() {
            assert!(Instant::now() < until, "not listening");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        nodes.push(node);
    }
    let counters = nodes.iter().map(|node| node.open::<PnCounter>("n").unwrap()).collect();
    let three = Three { nodes, counters, _folders: folders };
    three.level().await;
    three
}

impl Three {
    async fn level(&self) {
        for node in &self.nodes {
            node.wait_in_sync(2, PATIENCE).await.unwrap();
        }
    }

    async fn shutdown(self) {
        for node in self.nodes {
            node.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replicated_write_can_be_read_at_as_many_nodes_as_were_asked_for() {
    let three = three().await;
    for (written, copies) in (1..).zip([0, 1, 2, 1, 2]) {
        let commit = three.counters[0].update(|n| {
            n.inc(1);
            n.value()
        });
        let version = commit.version().unwrap().clone();
        let done = commit.replicated(copies).within(PATIENCE).await.unwrap();
        assert_eq!((done.value, &done.version), (written, &version));
        assert!(done.peers.len() >= copies, "{done:?}");
        for (node, counter) in three.nodes.iter().zip(&three.counters) {
            if done.peers.contains(&node.peer_id()) {
                assert!(counter.read(PnCounter::value) >= written);
                assert!(counter.status().unwrap().durable.dominates(&version));
            }
        }
    }
    // Nothing written: held by who holds what there was.
    let done = three.counters[0].update(|n| n.value()).replicated(2).within(PATIENCE).await.unwrap();
    assert_eq!((done.value, done.peers.len()), (5, 2));
    // Without a time, as long as it takes; and dropped, no longer.
    three.counters[1].update(|n| n.inc(1)).replicated(2).await.unwrap();
    drop(three.counters[1].update(|n| n.inc(1)).replicated(2));
    three.level().await;
    assert_eq!(three.counters[2].read(PnCounter::value), 7, "what nobody awaits is written all the same");
    three.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_says_who_has_the_write_and_takes_nothing_back() {
    let three = three().await;
    let [ann, bob, carol] = &three.nodes[..] else { panic!("three") };
    let commit = three.counters[0].update(|n| n.inc(1));
    let Err(Error::NotReplicated(so_far)) = commit.replicated(3).within(Duration::from_secs(2)).await else {
        panic!("there are only two others")
    };
    let mut others = vec![bob.peer_id(), carol.peer_id()];
    others.sort();
    assert_eq!((so_far.wanted, so_far.durable, so_far.connected), (3, true, 2));
    assert_eq!((so_far.peers, so_far.lacking), (others, vec![]));
    // Cut off, nobody has it.
    ann.isolate(true);
    let start = Instant::now();
    let commit = three.counters[0].update(|n| n.inc(1));
    let refused = commit.replicated(1).within(SHORT).await.unwrap_err();
    assert!(start.elapsed() >= SHORT);
    let message = refused.to_string();
    assert!(message.starts_with("0 of 1 peers held the write") && message.contains("it stays"), "{message}");
    let Error::NotReplicated(so_far) = refused else { panic!("{refused:?}") };
    assert_eq!((so_far.connected, so_far.peers.len()), (0, 0));
    assert_eq!(three.counters[0].read(PnCounter::value), 2);
    assert_eq!(three.counters[1].read(PnCounter::value), 1);
    // It stays, and arrives when the network heals.
    ann.isolate(false);
    let counter = three.counters[1].read_after(&so_far.version).within(PATIENCE).await.unwrap();
    assert_eq!(counter.read(PnCounter::value), 2);
    three.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_to_another_node_reads_there_what_they_wrote() {
    let three = three().await;
    let carol = &three.nodes[2];
    for round in 1..=20 {
        let (here, there) = (&three.counters[round % 3], &three.counters[(round + 1) % 3]);
        let commit = here.update(|n| n.inc(1));
        let version = commit.version().unwrap().clone();
        let there = there.read_after(&version).within(PATIENCE).await.unwrap();
        assert_eq!(there.read(PnCounter::value), round as i64, "and what was read there before");
        assert!(there.version().dominates(&version));
    }
    // Here it is at once, durable or not.
    let commit = three.counters[0].update(|n| n.inc(1));
    three.counters[0].read_after(commit.version().unwrap()).within(Duration::ZERO).await.unwrap();
    commit.await.unwrap();
    three.level().await;
    carol.isolate(true);
    let before = three.counters[0].version();
    let commit = three.counters[0].update(|n| n.inc(1));
    let late = three.counters[2].read_after(commit.version().unwrap()).within(SHORT).await;
    let Err(Error::NotReached(lacking)) = late else { panic!("{late:?}") };
    let after = three.counters[0].version();
    let expected: Version = after.iter().filter(|(id, last)| before.get(*id) < *last).collect();
    assert_eq!((lacking.missing, lacking.events, lacking.connected), (expected, 1, 0));
    carol.isolate(false);
    three.counters[2].read_after(&after).within(PATIENCE).await.unwrap();
    // A node that ends wakes who waits there.
    let far: Version = after.iter().map(|(id, last)| (id, last + 1)).collect();
    let counter = three.counters[2].clone();
    let waiting = tokio::spawn(async move { counter.read_after(&far).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    carol.shutdown().await;
    assert!(matches!(waiting.await.unwrap(), Err(Error::ShutDown)));
    three.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn being_in_sync_names_who_is_and_by_how_much_others_are_not() {
    let three = three().await;
    let [ann, bob, carol] = &three.nodes[..] else { panic!("three") };
    let level = ann.wait_in_sync(2, PATIENCE).await.unwrap();
    assert_eq!((level.peers.len(), level.others.len()), (2, 0));
    let Err(Error::NotInSync(so_far)) = ann.wait_in_sync(3, SHORT).await else { panic!("three") };
    assert_eq!((so_far.wanted, so_far.peers.len(), so_far.lacking()), (3, 2, 1));
    carol.isolate(true);
    three.counters[0].update(|n| n.inc(1)).await.unwrap();
    let level = ann.wait_in_sync(1, PATIENCE).await.unwrap();
    assert_eq!(level.peers, [bob.peer_id()]);
    carol.isolate(false);
    ann.wait_in_sync(2, PATIENCE).await.unwrap();
    three.shutdown().await;
}
