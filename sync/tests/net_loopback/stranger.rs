//! A peer made of bare libp2p transports, free to break every rule above them.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::Endpoint;
use libp2p::core::Transport as _;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{noise, tcp, yamux};
use tokio::sync::{mpsc, oneshot};
use tombolo_sync::PeerId;
use tombolo_sync::net::Multiaddr;

pub(crate) struct Stranger {
    pub(crate) peer: PeerId,
    streams: mpsc::UnboundedSender<oneshot::Sender<SubstreamBox>>,
}

impl Stranger {
    /// Connects over TCP. Agrees to every protocol on every stream the other side opens, and echoes what it says.
    pub(crate) async fn connect(seed: u8, address: &Multiaddr) -> Self {
        let keypair = Keypair::ed25519_from_bytes([seed; 32]).expect("any 32 bytes are a seed");
        let peer = PeerId::try_from(keypair.public().to_peer_id()).expect("an Ed25519 key");
        let mut transport = tcp::tokio::Transport::new(tcp::Config::default())
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&keypair).expect("an Ed25519 key"))
            .multiplex(yamux::Config::default())
            .boxed();
        let opts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let dial = transport.dial(address.clone(), opts).expect("a TCP address");
        let (_, muxer) = dial.await.expect("a node that listens");
        let (streams, wanted) = mpsc::unbounded_channel();
        tokio::spawn(drive(muxer, wanted));
        Self { peer, streams }
    }

    /// Opens a stream and asks for `protocol`, without waiting for an answer. `None` when the connection is closed.
    pub(crate) async fn open(&self, protocol: &str) -> Option<SubstreamBox> {
        let (sender, stream) = oneshot::channel();
        self.streams.send(sender).ok()?;
        let mut stream = stream.await.ok()?;
        for line in ["/multistream/1.0.0", protocol] {
            let length = u8::try_from(line.len() + 1).expect("a short name");
            let line = [&[length], line.as_bytes(), b"\n"].concat();
            stream.write_all(&line).await.ok()?;
        }
        stream.flush().await.ok()?;
        Some(stream)
    }

    /// Opens a stream, writes to it, and leaves it open for a while. Does nothing when the connection is closed.
    pub(crate) async fn say(&self, protocol: &str, bytes: &[u8]) {
        let Some(mut stream) = self.open(protocol).await else { return };
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(stream);
        });
    }
}

async fn drive(
    mut muxer: StreamMuxerBox,
    mut wanted: mpsc::UnboundedReceiver<oneshot::Sender<SubstreamBox>>,
) {
    let mut waiting: Option<oneshot::Sender<SubstreamBox>> = None;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(Err(_)) = muxer.poll_unpin(cx) {
                return Poll::Ready(());
            }
            match muxer.poll_inbound_unpin(cx) {
                Poll::Ready(Ok(stream)) => {
                    tokio::spawn(echo(stream));
                    continue;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            if waiting.is_none() {
                match wanted.poll_recv(cx) {
                    Poll::Ready(Some(sender)) => waiting = Some(sender),
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            match muxer.poll_outbound_unpin(cx) {
                Poll::Ready(Ok(stream)) => {
                    if let Some(sender) = waiting.take() {
                        let _ = sender.send(stream);
                    }
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

async fn echo(mut stream: SubstreamBox) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}
