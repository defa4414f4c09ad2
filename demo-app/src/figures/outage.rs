//! An outage between two nodes, which nobody is told of: no packet arrives for longer than a session survives. Both go on writing, and
//! nobody helps them afterwards.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tombolo_crdt::PnCounter;
use tombolo_sync::Node;

use super::Figure;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long it lasts.
const OUTAGE: Duration = Duration::from_secs(45);
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks, or writes.
const PAUSE: Duration = Duration::from_millis(5);
const WRITES: Duration = Duration::from_millis(500);

/// While it is set nothing passes.
type Cut = Arc<AtomicBool>;

fn is_set(cut: &Cut) -> bool {
    cut.load(Ordering::Relaxed)
}

/// Between who dials its port and a node.
async fn tcp(target: u16, cut: Cut) -> std::io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { continue };
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            tokio::spawn(pass_on(near_read, far_write, Arc::clone(&cut)));
            tokio::spawn(pass_on(far_read, near_write, Arc::clone(&cut)));
        }
    });
    Ok(port)
}

async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cut: Cut) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        // TCP goes on trying.
        while is_set(&cut) {
            tokio::time::sleep(PAUSE).await;
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// The same for QUIC.
async fn udp(target: u16, cut: Cut) -> std::io::Result<u16> {
    let near = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
    let port = near.local_addr()?.port();
    tokio::spawn(async move {
        let mut far: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut buffer = vec![0; 1 << 16];
        while let Ok((n, from)) = near.recv_from(&mut buffer).await {
            let there = match far.entry(from) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(vacant) => {
                    let Ok(socket) = UdpSocket::bind("127.0.0.1:0").await else { continue };
                    if socket.connect(("127.0.0.1", target)).await.is_err() {
                        continue;
                    }
                    let socket = Arc::new(socket);
                    tokio::spawn(answer(Arc::clone(&socket), Arc::clone(&near), from, Arc::clone(&cut)));
                    vacant.insert(socket)
                }
            };
            if !is_set(&cut) {
                let _ = there.send(&buffer[..n]).await;
            }
        }
    });
    Ok(port)
}

async fn answer(far: Arc<UdpSocket>, near: Arc<UdpSocket>, to: SocketAddr, cut: Cut) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n) = far.recv(&mut buffer).await {
        if !is_set(&cut) {
            let _ = near.send_to(&buffer[..n], to).await;
        }
    }
}

async fn healed(name: &str, prefix: &str, suffix: &str) -> Outcome<Figure> {
    let (a, b) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let ann = Node::builder(a.path()).no_witness().create().listen([format!("{prefix}/0{suffix}")]);
    // The other is to know the way through here, and no other.
    let ann = ann.announce(Vec::<String>::new()).mdns(false).start().await?;
    while ann.listening().is_empty() {
        tokio::time::sleep(PAUSE).await;
    }
    let target = ann.listening()[0].split('/').find_map(|part| part.parse().ok()).ok_or("no port")?;
    let cut = Cut::default();
    let port = if suffix.is_empty() {
        tcp(target, Arc::clone(&cut)).await?
    } else {
        udp(target, Arc::clone(&cut)).await?
    };
    let way = format!("{prefix}/{port}{suffix}/p2p/{}", ann.peer_id());
    let bob = Node::builder(b.path()).no_witness().join(ann.ticket()).listen(Vec::<String>::new());
    let bob = bob.peer(way).mdns(false).start().await?;
    let (hers, his) = (ann.open::<PnCounter>("counter")?, bob.open::<PnCounter>("counter")?);
    ann.wait_in_sync(1, PATIENCE).await?;

    cut.store(true, Ordering::Relaxed);
    let start = Instant::now();
    while start.elapsed() < OUTAGE {
        hers.update(|counter| counter.inc(1)).await?;
        his.update(|counter| counter.inc(1)).await?;
        tokio::time::sleep(WRITES).await;
    }
    let all = hers.read(PnCounter::value) + his.read(PnCounter::value);
    cut.store(false, Ordering::Relaxed);
    let start = Instant::now();
    let equal = async {
        while hers.read(PnCounter::value) != all || his.read(PnCounter::value) != all {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, equal).await?;
    let took = start.elapsed().as_secs_f64();
    for node in [ann, bob] {
        node.shutdown().await;
    }
    let what = format!("an outage of {} s, from its end to equal, {name}", OUTAGE.as_secs());
    Ok(Figure::new(what, took, "s").beside(3.0, "iroh-docs, p2panda never"))
}

/// Both at once: most of it is waiting.
pub(super) async fn measure() -> Outcome<Vec<Figure>> {
    let quic = healed("QUIC", "/ip4/127.0.0.1/udp", "/quic-v1");
    let tcp = healed("TCP", "/ip4/127.0.0.1/tcp", "");
    let (quic, tcp) = tokio::try_join!(quic, tcp)?;
    Ok(vec![quic, tcp])
}
