//! From a write on one node to its being readable on another, and to its being held by others, over loopback, encrypted,
//! durable on the way.

use std::error::Error;
use std::time::{Duration, Instant};

use tombolo_crdt::PnCounter;
use tombolo_sync::{Document, Node};

use super::{Figure, quantile};

const SAMPLES: usize = 200;
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn measure() -> Result<Vec<Figure>, Box<dyn Error>> {
    let (a, b) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let listen = ["/ip4/127.0.0.1/udp/0/quic-v1"];
    let ann = Node::builder(a.path()).no_witness().create().listen(listen).mdns(false).start().await?;
    while ann.listening().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let bob =
        Node::builder(b.path()).no_witness().join(ann.ticket()).listen(listen).mdns(false).start().await?;
    let (hers, his) = (ann.open::<PnCounter>("counter")?, bob.open::<PnCounter>("counter")?);
    ann.wait_in_sync(1, PATIENCE).await?;
    let mut changes = his.subscribe();
    let mut samples = Vec::new();
    for written in 1..=SAMPLES as i64 {
        let start = Instant::now();
        let commit = hers.update(|counter| counter.inc(1));
        let seen = async {
            while his.read(PnCounter::value) < written {
                changes.next().await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await?;
        samples.push(start.elapsed());
        commit.await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    samples.sort_unstable();
    let millis = |share| quantile(&samples, share).as_secs_f64() * 1_000.0;
    let mut figures = vec![
        Figure::new("write on one node to visible on another, QUIC, median", millis(0.5), "ms"),
        Figure::new("write on one node to visible on another, QUIC, p99", millis(0.99), "ms"),
    ];
    let c = tempfile::tempdir()?;
    let carol =
        Node::builder(c.path()).no_witness().join(ann.ticket()).listen(listen).mdns(false).start().await?;
    ann.wait_in_sync(2, PATIENCE).await?;
    figures.extend(copies(&ann, &hers).await?);
    for node in [ann, bob, carol] {
        node.shutdown().await;
    }
    Ok(figures)
}

/// How long it takes until a write is held by none, one and two others: what consistency costs in latency, else than in a partition.
async fn copies(node: &Node, counter: &Document<PnCounter>) -> Result<Vec<Figure>, Box<dyn Error>> {
    let mut figures = Vec::new();
    for copies in 0..=2 {
        let mut samples = Vec::new();
        for _ in 0..SAMPLES / 2 {
            let start = Instant::now();
            counter.update(|counter| counter.inc(1)).replicated(copies).within(PATIENCE).await?;
            samples.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        samples.sort_unstable();
        for (name, share) in [("median", 0.5), ("p99", 0.99)] {
            let what = format!("write to held by {copies} of 2 other nodes, QUIC, {name}");
            figures.push(Figure::new(what, quantile(&samples, share).as_secs_f64() * 1_000.0, "ms"));
        }
    }
    let round_trips = node.status().peers.into_iter().filter_map(|peer| peer.round_trip_millis);
    if let Some(longest) = round_trips.max() {
        figures.push(Figure::new("round trip to these nodes, the longer, in whole ms", longest as f64, "ms"));
    }
    Ok(figures)
}
