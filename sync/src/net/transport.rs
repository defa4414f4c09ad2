//! The transports: TCP with Noise and Yamux, and QUIC; names are resolved where the system can.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Transport as _;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::Boxed;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, dns, noise, quic, tcp, yamux};

use super::error::NetError;

/// A QUIC connection that hears nothing for this long is dead. The default of 10 s would let a restarted peer wait.
const QUIC_IDLE_MILLIS: u32 = 5_000;

/// A QUIC connection says something at least this often: three chances before it is given up.
const QUIC_KEEP_ALIVE: Duration = Duration::from_millis(1_500);

/// Bytes the other side may send on one QUIC stream, and on all of a connection, before we have read them. What a
/// peer can make us hold; enough for 100 MB/s over 40 ms.
const QUIC_STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const QUIC_CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

/// Streams a peer may have open at once, on either transport. We use three, and a few for a moment.
const MAX_STREAMS: u16 = 64;

/// Who is dialled must answer within this: over TCP to the first packet, over QUIC with all of the handshake. While an address
/// that is gone is being dialled the peer is not dialled at another, so this is how long a change of network may cost.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// TCP connection, encryption and multiplexing must be agreed on within this.
const TCP_HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may take to say goodbye.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// The transport of a node, ready to dial and listen.
pub(super) fn build(keypair: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetError> {
    // Fails where there is no /etc/resolv.conf. Then addresses must be numbers, which is no reason not to start.
    match dns::tokio::Transport::system(without_names(keypair)?) {
        Ok(transport) => Ok(transport.boxed()),
        Err(error) => {
            tracing::warn!(%error, "no name resolution: addresses with host names cannot be dialled");
            without_names(keypair)
        }
    }
}

fn without_names(keypair: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetError> {
    let noise = noise::Config::new(keypair).map_err(|error| NetError::Noise(error.to_string()))?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(MAX_STREAMS.into());
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let tcp = TransportTimeout::with_outgoing_timeout(tcp, ANSWER_WITHIN)
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux)
        .timeout(TCP_HANDSHAKE)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));

    let mut quic = quic::Config::new(keypair);
    quic.max_idle_timeout = QUIC_IDLE_MILLIS;
    quic.keep_alive_interval = QUIC_KEEP_ALIVE;
    quic.max_stream_data = QUIC_STREAM_WINDOW;
    quic.max_connection_data = QUIC_CONNECTION_WINDOW;
    quic.max_concurrent_stream_limit = MAX_STREAMS.into();
    let quic = TransportTimeout::with_outgoing_timeout(quic::tokio::Transport::new(quic), ANSWER_WITHIN);
    let quic = quic.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));

    Ok(tcp
        .or_transport(quic)
        .map(|either, _| {
            let (peer, muxer) = either.into_inner();
            (peer, StreamMuxerBox::new(PromptClose { muxer, deadline: None }))
        })
        .boxed())
}

/// Fails if another program listens at this address.
///
/// libp2p listens on TCP ports in a way that lets two programs share one, each getting some of the connections. Nobody
/// who starts a node twice by mistake wants that. What is taken between this look and the real attempt goes unnoticed.
pub(super) fn look_for_others(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::from(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::from(ip),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// A connection that closes within [`CLOSE_WITHIN`], whatever the network does.
///
/// Closing a TCP connection politely means writing to it. To a peer that is gone that can take a quarter of an hour,
/// and as long the swarm counts the peer as connected.
struct PromptClose {
    muxer: StreamMuxerBox,
    deadline: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl StreamMuxer for PromptClose {
    type Substream = SubstreamBox;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        self.muxer.poll_inbound_unpin(cx)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        self.muxer.poll_outbound_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = self.muxer.poll_close_unpin(cx) {
            return Poll::Ready(result);
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_WITHIN)));
        deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        self.muxer.poll_unpin(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::poll_fn;

    /// The muxer of a peer that is gone: closing it never ends.
    struct Dead;

    impl StreamMuxer for Dead {
        type Substream = futures::io::Cursor<Vec<u8>>;
        type Error = io::Error;

        fn poll_inbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            Poll::Pending
        }

        fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn closing_a_dead_connection_does_not_take_for_ever() {
        let mut muxer = PromptClose { muxer: StreamMuxerBox::new(Dead), deadline: None };
        let closing = poll_fn(|cx| muxer.poll_close_unpin(cx));
        let closed = tokio::time::timeout(4 * CLOSE_WITHIN, closing).await;
        assert!(closed.is_ok_and(|result| result.is_err()));
    }
}
