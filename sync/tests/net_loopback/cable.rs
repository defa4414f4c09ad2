//! A forwarder between a dialer and a listener that can be cut: from then on nothing passes, and nobody is told. Killed
//! machines and pulled plugs look like this; a killed process on the same machine would be betrayed by its kernel.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use libp2p::multiaddr::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Mutex, watch};
use tombolo_sync::net::Multiaddr;

pub(crate) struct Cable {
    pub(crate) address: Multiaddr,
    cut: watch::Sender<bool>,
}

impl Cable {
    /// Leads to `target`, TCP or QUIC.
    pub(crate) async fn to(target: &Multiaddr) -> Self {
        let (cut, is_cut) = watch::channel(false);
        let mut socket = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut address = Multiaddr::empty();
        for part in target {
            match part {
                Protocol::Tcp(port) => {
                    socket.set_port(port);
                    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                    address.push(Protocol::Tcp(listener.local_addr().expect("bound").port()));
                    tokio::spawn(forward_tcp(listener, socket, is_cut.clone()));
                }
                Protocol::Udp(port) => {
                    socket.set_port(port);
                    let listener = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
                    address.push(Protocol::Udp(listener.local_addr().expect("bound").port()));
                    tokio::spawn(forward_udp(listener, socket, is_cut.clone()));
                }
                other => address.push(other),
            }
        }
        Self { address, cut }
    }

    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
    }
}

async fn forward_tcp(
    listener: TcpListener,
    target: SocketAddr,
    cut: watch::Receiver<bool>,
) -> io::Result<()> {
    loop {
        let (near, _) = listener.accept().await?;
        let far = TcpStream::connect(target).await?;
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        tokio::spawn(pump(near_read, far_write, cut.clone()));
        tokio::spawn(pump(far_read, near_write, cut.clone()));
    }
}

/// After the cut both ends stay open and silent for the rest of the test.
async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut cut: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = tokio::select! {
            biased;
            () = cut_off(&mut cut) => std::future::pending().await,
            count = from.read(&mut buffer) => count?,
        };
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}

async fn cut_off(cut: &mut watch::Receiver<bool>) {
    let _ = cut.wait_for(|cut| *cut).await;
}

async fn forward_udp(near: UdpSocket, target: SocketAddr, cut: watch::Receiver<bool>) -> io::Result<()> {
    let near = Arc::new(near);
    let fars: Mutex<HashMap<SocketAddr, Arc<UdpSocket>>> = Mutex::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (count, client) = near.recv_from(&mut buffer).await?;
        if *cut.borrow() {
            continue;
        }
        let mut fars = fars.lock().await;
        let far = match fars.get(&client) {
            Some(far) => far.clone(),
            None => {
                let far = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
                far.connect(target).await?;
                fars.insert(client, far.clone());
                let (near, back, cut) = (near.clone(), far.clone(), cut.clone());
                tokio::spawn(async move {
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(count) = back.recv(&mut buffer).await {
                        if !*cut.borrow() && near.send_to(&buffer[..count], client).await.is_err() {
                            break;
                        }
                    }
                });
                far
            }
        };
        // The target may be gone: then its kernel says so here, and the sender must not learn it.
        let _ = far.send(&buffer[..count]).await;
    }
}
