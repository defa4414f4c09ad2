//! One connection's sync streams: ours for what we send, the peer's for what it sends.
//!
//! The handler runs in the connection's own task. It writes what the [`Outbox`] holds, reads what the [`Inbox`] has
//! room for, and tells the behaviour about beginnings and ends only; no frame passes through the swarm.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol};
use libp2p::{Stream, StreamProtocol};

use crate::PeerId;
use crate::net::event::SessionId;
use crate::net::frame::{FrameReader, FrameWriter};
use crate::net::inbox::Inbox;
use crate::net::outbox::{Outbox, Outgoing};

/// The protocol of the sync streams. Frames and nothing else: versions are negotiated inside, by the engine.
pub(in crate::net) const PROTOCOL: StreamProtocol = StreamProtocol::new("/tombolo/sync/1");

/// A connection on which no session has begun after this long is closed: several times a slow handshake.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);

/// Frames read in one go before other streams of the connection get their turn.
const READ_BUDGET: usize = 64;

/// Frames handed to the writer in one go, likewise.
const WRITE_BUDGET: usize = 1024;

/// From the behaviour.
#[derive(Debug)]
pub(in crate::net) enum Command {
    /// This connection was chosen: open our stream.
    Open { session: SessionId, outbox: Arc<Outbox> },
    /// `Up` has been reported: frames may be read.
    Start,
}

/// To the behaviour.
#[derive(Debug)]
pub(in crate::net) enum Report {
    /// The peer opened its stream.
    OpenedByPeer,
    /// Our stream is open.
    Ready,
    /// This connection is of no more use, and why.
    Ended(String),
}

pub(in crate::net) struct Handler {
    peer: PeerId,
    inbox: Arc<Inbox>,
    session: Option<(SessionId, Arc<Outbox>)>,
    stage: Stage,
    reports: VecDeque<Report>,
    /// Runs until frames flow.
    begin_within: Option<Pin<Box<tokio::time::Sleep>>>,
    writer: Option<FrameWriter<Stream>>,
    /// Our stream is being closed, or is: nothing more is written.
    finishing: bool,
    reader: Option<FrameReader<Stream>>,
    /// Read, and not yet taken by the inbox.
    frame: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not chosen (yet).
    Idle,
    /// Our stream is to be requested.
    Opening,
    /// Our stream is requested, or open while the behaviour has not said `Start`.
    Opened,
    /// Frames flow.
    Running,
    /// Nothing is read or written any more.
    Ended,
}

impl Handler {
    pub(super) fn new(peer: PeerId, inbox: Arc<Inbox>) -> Self {
        Self {
            peer,
            inbox,
            session: None,
            stage: Stage::Idle,
            reports: VecDeque::new(),
            begin_within: Some(Box::pin(tokio::time::sleep(BEGIN_WITHIN))),
            writer: None,
            finishing: false,
            reader: None,
            frame: None,
        }
    }

    fn end(&mut self, reason: String) {
        if self.stage != Stage::Ended {
            self.stage = Stage::Ended;
            (self.writer, self.reader, self.frame, self.begin_within) = (None, None, None, None);
            self.reports.push_back(Report::Ended(reason));
        }
    }

    /// Reads and writes what can be; ready with the reason when the connection is of no more use.
    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        if let Some(deadline) = &mut self.begin_within
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(format!("no session began within {BEGIN_WITHIN:?}"));
        }
        if self.stage == Stage::Running {
            if let Poll::Ready(reason) = self.poll_writing(cx) {
                return Poll::Ready(reason);
            }
            return self.poll_reading(cx);
        }
        Poll::Pending
    }

    fn poll_writing(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        let (Some(writer), Some((_, outbox))) = (&mut self.writer, &self.session) else {
            return Poll::Pending;
        };
        let broken = |error: std::io::Error| format!("writing to the peer failed: {error}");
        let mut budget = WRITE_BUDGET;
        while !self.finishing {
            while writer.has_room() && budget > 0 {
                match outbox.poll_next(cx) {
                    Poll::Ready(Outgoing::Frame(frame)) => {
                        writer.push(&frame);
                        outbox.count_sent(&frame);
                        budget -= 1;
                    }
                    Poll::Ready(Outgoing::Finish) => {
                        self.finishing = true;
                        break;
                    }
                    Poll::Ready(Outgoing::Break(reason)) => return Poll::Ready(reason),
                    Poll::Pending => break,
                }
            }
            let full = !writer.has_room();
            match writer.poll_write(cx) {
                Poll::Ready(Ok(())) if full && budget > 0 => {}
                Poll::Ready(Ok(())) => break,
                Poll::Ready(Err(error)) => return Poll::Ready(broken(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if budget == 0 {
            cx.waker().wake_by_ref();
        }
        // SUBTLE: while finishing, the buffer may still hold what a previous call could not write.
        let done = match writer.poll_write(cx) {
            Poll::Ready(Ok(())) if self.finishing => writer.poll_close(cx),
            Poll::Ready(Ok(())) => writer.poll_flush(cx),
            other => other,
        };
        match done {
            Poll::Ready(Err(error)) => Poll::Ready(broken(error)),
            Poll::Ready(Ok(())) if self.finishing => {
                // The peer closes the connection when it has read everything up to the end of the stream.
                self.writer = None;
                Poll::Pending
            }
            _ => Poll::Pending,
        }
    }

    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        let Some((session, outbox)) = &self.session else { return Poll::Pending };
        for _ in 0..READ_BUDGET {
            if self.frame.is_some() {
                match self.inbox.poll_push_frame(self.peer, *session, &mut self.frame, cx) {
                    Poll::Ready(true) => {}
                    Poll::Ready(false) => return Poll::Ready("the session is over".into()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let Some(reader) = &mut self.reader else { return Poll::Pending };
            match reader.poll_frame(cx) {
                Poll::Ready(Ok(Some(frame))) => {
                    outbox.count_received(&frame);
                    self.frame = Some(frame);
                }
                Poll::Ready(Ok(None)) => return Poll::Ready("the peer closed its stream".into()),
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(format!("reading from the peer failed: {error}"));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Command;
    type ToBehaviour = Report;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if self.stage == Stage::Opening {
            self.stage = Stage::Opened;
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        if self.stage != Stage::Ended
            && let Poll::Ready(reason) = self.poll_streams(cx)
        {
            self.end(reason);
        }
        match self.reports.pop_front() {
            Some(report) => Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report)),
            None => Poll::Pending,
        }
    }

    fn on_behaviour_event(&mut self, command: Command) {
        match (command, self.stage) {
            (Command::Open { session, outbox }, Stage::Idle) => {
                self.session = Some((session, outbox));
                self.stage = Stage::Opening;
            }
            (Command::Start, Stage::Opened) => {
                self.stage = Stage::Running;
                self.begin_within = None;
            }
            (command, stage) => tracing::debug!(?command, ?stage, "a command came too late"),
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match event {
            _ if self.stage == Stage::Ended => {}
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: stream, .. }) => {
                if self.reader.is_some() {
                    // Two streams have no common order, so a second one could not be read without breaking it.
                    self.end("the peer opened a second sync stream".into());
                } else {
                    self.reader = Some(FrameReader::new(stream));
                    self.reports.push_back(Report::OpenedByPeer);
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream, ..
            }) => {
                self.writer = Some(FrameWriter::new(stream));
                self.reports.push_back(Report::Ready);
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => {
                self.end(match error {
                    StreamUpgradeError::NegotiationFailed => format!("the peer does not speak {PROTOCOL}"),
                    StreamUpgradeError::Timeout => "opening the sync stream took too long".into(),
                    StreamUpgradeError::Io(error) => format!("opening the sync stream failed: {error}"),
                    StreamUpgradeError::Apply(never) => match never {},
                });
            }
            _ => {}
        }
    }
}
