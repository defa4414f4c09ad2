//! Two nodes on loopback, encrypted, with real disks: what replication takes and costs. Bytes are what the kernel counted on
//! loopback, headers and acknowledgements included, of whatever ran meanwhile.

use std::error::Error;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tombolo_crdt::{AddWinsMap, LwwRegister};
use tombolo_sync::{Document, Node};

use super::{Figure, quantile};

type Entries = AddWinsMap<String, LwwRegister<String>>;
type Outcome<T> = Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(60);
const SAMPLES: u64 = 300;
const MANY: u64 = 10_000;
const IDLE: Duration = Duration::from_secs(5);

/// A hundred letters, of which no two values have many in common.
fn value(of: u64) -> String {
    let mut state = of.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letter = |_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        char::from(b'a' + ((state >> 33) % 26) as u8)
    };
    (0..100).map(letter).collect()
}

fn key(of: u64) -> String {
    format!("entry {of:06}")
}

/// A node with a home of its own, which goes with it.
struct Host {
    node: Node,
    _home: TempDir,
}

async fn host(transport: &str, inviter: Option<&Node>) -> Outcome<Host> {
    host_in(tempfile::tempdir()?, transport, inviter).await
}

async fn host_in(home: TempDir, transport: &str, inviter: Option<&Node>) -> Outcome<Host> {
    let builder = Node::builder(home.path()).no_witness().listen([transport]).mdns(false);
    let builder = match inviter {
        Some(inviter) => builder.join(inviter.ticket()),
        None => builder.create(),
    };
    let node = builder.start().await?;
    while node.listening().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(Host { node, _home: home })
}

/// Bytes that have gone over loopback; `None` where the kernel does not say.
fn on_loopback() -> Option<u64> {
    let counters = std::fs::read_to_string("/proc/net/dev").ok()?;
    let line = counters.lines().find_map(|line| line.trim().strip_prefix("lo:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn megabytes(what: String, before: Option<u64>) -> Option<Figure> {
    let bytes = on_loopback()?.checked_sub(before?)?;
    Some(Figure::new(what, bytes as f64 / 1e6, "MB"))
}

/// Waits until a document has so many entries.
async fn until(document: &Document<Entries>, entries: u64) -> Outcome<()> {
    let mut changes = document.subscribe();
    let there = async {
        while (document.read(|all| all.len()) as u64) < entries {
            // What came between the look and the wait is looked for again.
            let _ = tokio::time::timeout(Duration::from_millis(20), changes.next()).await;
        }
    };
    Ok(tokio::time::timeout(PATIENCE, there).await?)
}

pub(super) async fn measure(step: impl Fn(&str)) -> Outcome<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, transport) in [("QUIC", "/ip4/127.0.0.1/udp/0/quic-v1"), ("TCP", "/ip4/127.0.0.1/tcp/0")] {
        step(&format!("two nodes over {name}"));
        let ann = host(transport, None).await?;
        let bob = host(transport, Some(&ann.node)).await?;
        let (hers, his) = (ann.node.open::<Entries>("entries")?, bob.node.open::<Entries>("entries")?);
        ann.node.wait_in_sync(1, PATIENCE).await?;
        figures.extend(latency_without_disk(transport, name).await?);
        figures.extend(latency((&hers, &his), 0, Homes::OnDisk, name).await?);
        figures.extend(burst(&hers, &his, name).await?);
        ann.node.wait_in_sync(1, PATIENCE).await?;
        figures.extend(latency((&hers, &his), MANY, Homes::OnDisk, name).await?);
        figures.extend(dropped(&ann.node, &bob.node, (&hers, &his), name).await?);
        step(&format!("new nodes over {name}"));
        figures.extend(cold_start(&ann.node, &hers, transport, name).await?);
        for host in [ann, bob] {
            host.node.shutdown().await;
        }
    }
    step("idle nodes");
    let (one, thousand) = (idle(1).await?, idle(1_000).await?);
    let bound = one.as_ref().map(|one| (one.value * 1.25).ceil());
    figures.extend(one);
    let beside = |figure: Figure| match bound {
        Some(bound) => figure.beside(bound, "iroh-docs 760 for 100"),
        None => figure,
    };
    figures.extend(thousand.map(beside));
    Ok(figures)
}

/// Where nodes keep what they have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Homes {
    OnDisk,
    /// As the others were measured.
    InMemory,
}

/// One write after the other to an entry beside so many, each until it is read at the other node.
async fn latency(
    (hers, his): (&Document<Entries>, &Document<Entries>),
    beside: u64,
    homes: Homes,
    name: &str,
) -> Outcome<Vec<Figure>> {
    let mut samples = Vec::new();
    let mut changes = his.subscribe();
    for sample in beside..beside + SAMPLES {
        let written = value(sample);
        let start = Instant::now();
        let commit = hers.update(|all| all.at("written again and again").set(written.clone()));
        let seen = async {
            while his.read(|all| all.get("written again and again").and_then(|it| it.value().cloned()))
                != Some(written.clone())
            {
                changes.next().await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await?;
        samples.push(start.elapsed());
        commit.await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    samples.sort_unstable();
    let others = match (homes, beside) {
        (Homes::OnDisk, _) => ["", ""],
        (Homes::InMemory, 0) => ["samod 0.41, iroh-docs 0.84", "samod 1.7, iroh-docs 1.2"],
        (Homes::InMemory, _) => ["samod 3.5, iroh-docs 0.84", "samod 50, iroh-docs 1.2"],
    };
    let which = [
        if homes == Homes::InMemory { " without a disk".to_owned() } else { String::new() },
        if beside > 0 { format!(" beside {beside} entries") } else { String::new() },
    ]
    .concat();
    let figure = |(label, share, at_most, others)| {
        let what = format!("write to visible{which}, {name}, {label}");
        Figure::new(what, quantile(&samples, share).as_secs_f64() * 1_000.0, "ms").beside(at_most, others)
    };
    Ok([("median", 0.5, 0.9, others[0]), ("p99", 0.99, 1.6, others[1])].map(figure).into())
}

/// The same between two nodes whose homes are in memory; nothing where the system has no folder for that.
async fn latency_without_disk(transport: &str, name: &str) -> Outcome<Vec<Figure>> {
    let home = || tempfile::tempdir_in("/dev/shm").ok();
    let (Some(hers), Some(his)) = (home(), home()) else { return Ok(Vec::new()) };
    let ann = host_in(hers, transport, None).await?;
    let bob = host_in(his, transport, Some(&ann.node)).await?;
    let (hers, his) = (ann.node.open::<Entries>("entries")?, bob.node.open::<Entries>("entries")?);
    ann.node.wait_in_sync(1, PATIENCE).await?;
    let mut figures = latency((&hers, &his), 0, Homes::InMemory, name).await?;
    hers.update(|all| (0..MANY).for_each(|n| all.at(key(n)).set(value(n)))).await?;
    until(&his, MANY + 1).await?;
    ann.node.wait_in_sync(1, PATIENCE).await?;
    figures.extend(latency((&hers, &his), MANY, Homes::InMemory, name).await?);
    for host in [ann, bob] {
        host.node.shutdown().await;
    }
    Ok(figures)
}

/// Ten thousand writes, one a transaction, as fast as the call returns.
async fn burst(hers: &Document<Entries>, his: &Document<Entries>, name: &str) -> Outcome<Vec<Figure>> {
    let (before, resident) = (on_loopback(), super::memory::resident());
    let start = Instant::now();
    for n in 0..MANY {
        hers.update(|all| all.at(key(n)).set(value(n))).forget();
    }
    let written = start.elapsed();
    until(his, MANY + 1).await?;
    let arrived = start.elapsed();
    let memory = super::memory::resident().zip(resident).map(|(after, before)| after.saturating_sub(before));
    let what = |what: &str| format!("{MANY} single writes of 100 letters, {what}, {name}");
    let figures = [
        Some(Figure::new(what("until the last call returned"), written.as_secs_f64(), "s")),
        Some(
            Figure::new(what("until all are visible"), arrived.as_secs_f64(), "s")
                .beside(2.0, "iroh-docs 3.6, samod up to 116"),
        ),
        megabytes(what("on the wire"), before).map(|figure| figure.beside(1.5, "iroh-docs 6.9")),
        memory.map(|bytes| {
            Figure::new(what("resident memory more in the end, both nodes"), bytes as f64 / 1e6, "MB")
                .beside(2.0 * 64.0, "")
        }),
    ];
    Ok(figures.into_iter().flatten().collect())
}

/// A connection that is cut, a hundred writes on each side, and restored.
async fn dropped(
    ann: &Node,
    bob: &Node,
    (hers, his): (&Document<Entries>, &Document<Entries>),
    name: &str,
) -> Outcome<Vec<Figure>> {
    ann.block(bob.peer_id(), true);
    while ann.status().peers.iter().chain(&bob.status().peers).any(|peer| peer.connected) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for n in 0..100 {
        hers.update(|all| all.at(format!("hers {n}")).set(value(n))).await?;
        his.update(|all| all.at(format!("his {n}")).set(value(n))).await?;
    }
    let entries = hers.read(|all| all.len()) as u64 + 100;
    ann.block(bob.peer_id(), false);
    let connected = async {
        while !ann.status().peers.iter().any(|peer| peer.connected) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, connected).await?;
    let start = Instant::now();
    until(hers, entries).await?;
    until(his, entries).await?;
    let what = format!("100 and 100 writes apart, from reconnected to equal, {name}");
    let figure = Figure::new(what, start.elapsed().as_secs_f64() * 1_000.0, "ms");
    Ok(vec![figure.beside(100.0, "80 to 110 iroh-docs, p2panda, samod")])
}

/// New nodes that have nothing, one after the other.
async fn cold_start(
    ann: &Node,
    hers: &Document<Entries>,
    transport: &str,
    name: &str,
) -> Outcome<Vec<Figure>> {
    let entries = hers.read(|all| all.len()) as u64;
    let (mut samples, mut wire, mut payload) = (Vec::new(), Vec::new(), 0_u64);
    for _ in 0..5 {
        let before = on_loopback();
        let start = Instant::now();
        let new = host(transport, Some(ann)).await?;
        let his = new.node.open::<Entries>("entries")?;
        until(&his, entries).await?;
        samples.push(start.elapsed());
        wire.extend(megabytes(
            format!("a new node, {entries} entries, on the wire, {name}, most of five"),
            before,
        ));
        payload = payload.max(new.node.status().peers.iter().map(|peer| peer.bytes_in).sum());
        new.node.shutdown().await;
    }
    samples.sort_unstable();
    let figure = |(label, share)| {
        let what = format!("a new node, {entries} entries, from its start to visible, {name}, {label}");
        Figure::new(what, quantile(&samples, share).as_secs_f64() * 1_000.0, "ms")
            .beside(150.0, "samod 120 to 150, iroh-docs 2 400 or never")
    };
    let mut figures: Vec<Figure> = [("median of five", 0.5), ("longest of five", 1.0)].map(figure).into();
    let what = format!("a new node, {entries} entries, in frames, {name}, most of five");
    figures.push(Figure::new(what, payload as f64 / 1e6, "MB").beside(0.65, "samod 0.65, iroh-docs 5.5"));
    figures.extend(wire.into_iter().max_by(|one, other| one.value.total_cmp(&other.value)));
    Ok(figures)
}

/// What two nodes say to each other that have nothing to say.
async fn idle(documents: u64) -> Outcome<Option<Figure>> {
    let ann = host("/ip4/127.0.0.1/udp/0/quic-v1", None).await?;
    for n in 0..documents {
        let document = ann.node.open::<Entries>(&format!("document {n}"))?;
        document.update(|all| all.at("entry").set("value")).forget();
    }
    ann.node.flush().await;
    let bob = host("/ip4/127.0.0.1/udp/0/quic-v1", Some(&ann.node)).await?;
    ann.node.wait_in_sync(1, PATIENCE).await?;
    // All that is said once is said.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let before = on_loopback();
    tokio::time::sleep(IDLE).await;
    let bytes = on_loopback().zip(before).and_then(|(after, before)| after.checked_sub(before));
    for host in [ann, bob] {
        host.node.shutdown().await;
    }
    let what = format!("two idle nodes, {documents} documents, QUIC, on the wire");
    Ok(bytes.map(|bytes| Figure::new(what, bytes as f64 / IDLE.as_secs_f64(), "B per second")))
}
