//! A large document on its way to a new node, over real sockets, and what is written elsewhere meanwhile.
//!
//! Fifty megabytes where the program is optimised; where it is not, fewer, for the nodes are slower than the sockets then.
//! `TOMBOLO_BULK_MB` says how many.

use std::io::Write as _;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{AddWinsSet, PnCounter};
use tombolo_sync::{Changes, Document, Node};

type Words = AddWinsSet<String>;

const PATIENCE: Duration = Duration::from_secs(120);
/// How many bytes an entry has, of letters that nothing makes shorter.
const ENTRY: usize = 1_000;
/// The pause between two writes.
const PAUSE: Duration = Duration::from_millis(5);
/// From a write to its being read at the other node while the document comes: half of them, and all.
const MEDIAN: Duration = Duration::from_millis(250);
const SLOWEST: Duration = Duration::from_secs(1);
/// The one under way when all has come waits for no more than so many of them, of this long at least.
const OTHERS: u32 = 10;
const OTHER: Duration = Duration::from_millis(40);
/// So many must have come before the document has.
const LEAST: usize = 5;

fn megabytes() -> usize {
    let default = if cfg!(debug_assertions) { 24 } else { 50 };
    std::env::var("TOMBOLO_BULK_MB").ok().map_or(default, |text| text.parse().expect("a number"))
}

fn entry(random: &mut ChaCha8Rng) -> String {
    (0..ENTRY).map(|_| char::from(random.random_range(b'!'..=b'z'))).collect()
}

async fn start(folder: &tempfile::TempDir, listen: &str, inviter: Option<&Node>) -> Node {
    let builder = Node::builder(folder.path()).no_witness().listen([listen]).mdns(false);
    let builder = match inviter {
        Some(inviter) => builder.join(inviter.ticket()),
        None => builder.create(),
    };
    let node = builder.start().await.unwrap();
    let until = Instant::now() + PATIENCE;
    while node.listening().is_empty() {
        assert!(Instant::now() < until, "not listening");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node
}

/// One more, written here: how long until it is read there.
async fn one_more(here: &Document<PnCounter>, there: &Document<PnCounter>, heard: &mut Changes) -> Duration {
    let target = here.read(PnCounter::value) + 1;
    let start = Instant::now();
    let commit = here.update(|counter| counter.inc(1));
    let seen = async {
        while there.read(PnCounter::value) < target {
            // What came between the look and the wait is looked for again.
            let _ = tokio::time::timeout(Duration::from_millis(20), heard.next()).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("it arrives");
    let took = start.elapsed();
    commit.await.expect("it is durable");
    took
}

async fn live_writes_go_on_while_a_large_document_arrives(listen: &str) {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ann = start(&a, listen, None).await;
    let (hers, large) = (ann.open::<PnCounter>("likes").unwrap(), ann.open::<Words>("large").unwrap());
    let (mut random, entries) = (ChaCha8Rng::seed_from_u64(1), megabytes() * 1_000_000 / ENTRY);
    for done in (0..entries).step_by(1_000) {
        let count = 1_000.min(entries - done);
        let words: Vec<String> = (0..count).map(|_| entry(&mut random)).collect();
        large.update(|large| large.extend(words)).await.unwrap();
    }
    let bob = start(&b, listen, Some(&ann)).await;
    let (his, arrives) = (bob.open::<PnCounter>("likes").unwrap(), bob.open::<Words>("large").unwrap());
    let (mut to_her, mut to_him) = (hers.subscribe(), his.subscribe());
    let received = || bob.status().peers.iter().map(|peer| peer.bytes_in).sum::<u64>();
    let begun = Instant::now();
    // It is on its way when more has come than it takes to say hello.
    while received() < 300_000 {
        assert!(begun.elapsed() < PATIENCE, "it does not begin");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(arrives.read(|words| words.is_empty()), "it is there already: larger, please");
    let begun = Instant::now();
    let (mut took, mut before) = (Vec::new(), 0);
    while arrives.read(|words| words.is_empty()) {
        assert!(begun.elapsed() < PATIENCE, "it does not arrive");
        // In turn, with what comes and against it.
        took.push(match took.len() % 2 {
            0 => one_more(&hers, &his, &mut to_him).await,
            _ => one_more(&his, &hers, &mut to_her).await,
        });
        before += usize::from(arrives.read(|words| words.is_empty()));
        tokio::time::sleep(PAUSE).await;
    }
    let all = begun.elapsed();
    assert_eq!(arrives.read(|words| words.len()), entries);
    // The last may have been under way when the document was taken in.
    let last = *took.last().unwrap();
    took.sort_unstable();
    let of_a_hundred = |part: usize| took[(took.len() * part).div_ceil(100) - 1];
    let (median, most, slowest) = (of_a_hundred(50), of_a_hundred(99), of_a_hundred(100));
    // Past what captures the output of tests that succeed.
    let _ = writeln!(
        std::io::stderr(),
        "{listen}: {} MB in {all:.2?}; of {} writes meanwhile {before} came before it: p50 {median:.2?}, p99 {most:.2?}, \
         max {slowest:.2?}, the last {last:.2?}",
        megabytes(),
        took.len()
    );
    assert!(before >= LEAST, "{before} came before it in {all:?}");
    assert!(median < MEDIAN, "{median:?}");
    assert!(slowest < SLOWEST, "{slowest:?}");
    assert!(last < OTHERS * median.max(OTHER), "{last:?} where half of them took {median:?}");
    for node in [ann, bob] {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn live_writes_go_on_while_a_large_document_arrives_over_tcp_and_then_over_quic() {
    // One after the other: both at once would be in each other's way.
    live_writes_go_on_while_a_large_document_arrives("/ip4/127.0.0.1/tcp/0").await;
    live_writes_go_on_while_a_large_document_arrives("/ip4/127.0.0.1/udp/0/quic-v1").await;
}
