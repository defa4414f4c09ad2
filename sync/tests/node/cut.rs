//! A link that swallows everything for half a minute, over real sockets: nobody is told, nothing is closed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tombolo_crdt::PnCounter;
use tombolo_sync::{Document, Node};

/// How long the link is cut.
const CUT: Duration = Duration::from_secs(30);
/// How soon after healing all must be equal.
const HEALED: Duration = Duration::from_secs(3);

/// Everything that goes through here is swallowed while this is set.
type Cut = Arc<AtomicBool>;

async fn pump(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, cut: Cut) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        // Held back, as by a network that drops every packet: TCP goes on trying.
        while cut.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

async fn tcp_link(target: u16, cut: Cut) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            tokio::spawn(pump(near_read, far_write, Arc::clone(&cut)));
            tokio::spawn(pump(far_read, near_write, Arc::clone(&cut)));
        }
    });
    port
}

async fn udp_link(target: u16, cut: Cut) -> u16 {
    let near = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let port = near.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut far: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut buffer = [0; 65_536];
        while let Ok((n, from)) = near.recv_from(&mut buffer).await {
            if let Entry::Vacant(vacant) = far.entry(from) {
                let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                socket.connect(("127.0.0.1", target)).await.unwrap();
                let (back, near, cut) = (Arc::clone(&socket), Arc::clone(&near), Arc::clone(&cut));
                tokio::spawn(async move {
                    let mut buffer = [0; 65_536];
                    while let Ok(n) = back.recv(&mut buffer).await {
                        if !cut.load(Ordering::Relaxed) {
                            let _ = near.send_to(&buffer[..n], from).await;
                        }
                    }
                });
                vacant.insert(socket);
            }
            if !cut.load(Ordering::Relaxed) {
                let _ = far[&from].send(&buffer[..n]).await;
            }
        }
    });
    port
}

fn port_of(address: &str) -> u16 {
    address.split('/').find_map(|part| part.parse().ok()).unwrap()
}

async fn eventually(what: &str, patience: Duration, check: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < patience, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

async fn count(document: &Document<PnCounter>, times: usize) {
    for _ in 0..times {
        document.update(|n| n.inc(1)).await.unwrap();
    }
}

async fn survives_a_cut(quic: bool) {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let kind = if quic { "udp" } else { "tcp" };
    let suffix = if quic { "/quic-v1" } else { "" };
    let ann = Node::builder(a.path())
        .no_witness()
        .create()
        .listen([format!("/ip4/127.0.0.1/{kind}/0{suffix}")])
        .announce(Vec::<String>::new())
        .mdns(false)
        .start()
        .await
        .unwrap();
    eventually("listening", HEALED, || !ann.listening().is_empty()).await;
    let cut = Cut::default();
    let target = port_of(&ann.listening()[0]);
    let port = if quic {
        udp_link(target, Arc::clone(&cut)).await
    } else {
        tcp_link(target, Arc::clone(&cut)).await
    };
    let bob = Node::builder(b.path())
        .no_witness()
        .join(ann.ticket())
        .listen(Vec::<String>::new())
        .peer(format!("/ip4/127.0.0.1/{kind}/{port}{suffix}/p2p/{}", ann.peer_id()))
        .mdns(false)
        .start()
        .await
        .unwrap();
    let (hers, his) = (ann.open::<PnCounter>("n").unwrap(), bob.open::<PnCounter>("n").unwrap());
    ann.wait_in_sync(1, Duration::from_secs(10)).await.unwrap();

    cut.store(true, Ordering::Relaxed);
    let since = Instant::now();
    while since.elapsed() < CUT {
        tokio::join!(count(&hers, 1), count(&his, 1));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (here, there) = (hers.read(PnCounter::value), his.read(PnCounter::value));
    assert!(here > 10 && here == there, "both sides went on: {here} and {there}");
    assert!(ann.status().peers.iter().all(|peer| !peer.connected), "the silence was noticed");

    cut.store(false, Ordering::Relaxed);
    let all = here + there;
    let took = eventually("equal after healing", HEALED, || {
        hers.read(PnCounter::value) == all && his.read(PnCounter::value) == all
    })
    .await;
    println!("{kind}: equal {took:?} after healing");
    // And live again.
    count(&hers, 1).await;
    count(&his, 1).await;
    eventually("live after healing", HEALED, || {
        hers.read(PnCounter::value) == all + 2 && his.read(PnCounter::value) == all + 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tcp_link_that_swallows_everything_for_30_s_heals_within_3_s() {
    survives_a_cut(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quic_link_that_swallows_everything_for_30_s_heals_within_3_s() {
    survives_a_cut(true).await;
}
