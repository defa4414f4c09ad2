//! Frames on their way out: one queue a session, bounded in bytes.
//!
//! [`Net::send`](super::Net::send) puts a frame straight into the queue of its session, and the connection's own task
//! takes it out: no channel and no task lies between, so a burst of frames never holds up the swarm.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};

use super::event::SessionId;
use super::frame::{MAX_FRAME, PREFIX};
use crate::PeerId;

/// Bytes of one session that may wait to be written. A peer that falls this far behind is cut off: what it missed is
/// found again by repair, in chunks it can take.
pub const MAX_UNSENT: usize = 64 * 1024 * 1024;

/// What a frame is charged beyond its bytes, so that many empty ones are bounded too.
const OVERHEAD: usize = 32;

/// Bytes of frames, their length prefixes included, since a session began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes read from the peer.
    pub received: u64,
    /// Bytes written to the peer.
    pub sent: u64,
}

/// The frames of one session that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    received: AtomicU64,
    sent: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Vec<u8>>,
    bytes: usize,
    /// No more frames are taken; those in the queue are still written.
    finished: bool,
    /// The session must end, and why.
    broken: Option<String>,
    writer: Option<Waker>,
}

/// What the connection's task should do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// Write this.
    Frame(Vec<u8>),
    /// Close the stream: everything is written.
    Finish,
    /// Close the connection.
    Break(String),
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame. Too long a frame, or one too many, ends the session.
    pub(super) fn push(&self, frame: Vec<u8>) {
        let mut state = self.lock();
        if state.finished || state.broken.is_some() {
            return;
        }
        if frame.len() > MAX_FRAME {
            tracing::error!(
                length = frame.len(),
                "refused to send a frame over the limit of {MAX_FRAME} bytes"
            );
            state.broken = Some(format!("a frame of {} bytes to send is over the limit", frame.len()));
        } else if state.bytes + frame.len() + OVERHEAD > MAX_UNSENT {
            state.broken = Some(format!("the peer is too slow: {} bytes wait for it", state.bytes));
        } else {
            state.bytes += frame.len() + OVERHEAD;
            state.queue.push_back(frame);
        }
        if state.broken.is_some() {
            state.queue = VecDeque::new();
        }
        Self::wake(state);
    }

    /// Takes no more frames, and closes the stream when those queued are written.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        state.finished = true;
        Self::wake(state);
    }

    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Outgoing> {
        let mut state = self.lock();
        if let Some(reason) = &state.broken {
            return Poll::Ready(Outgoing::Break(reason.clone()));
        }
        if let Some(frame) = state.queue.pop_front() {
            state.bytes -= frame.len() + OVERHEAD;
            return Poll::Ready(Outgoing::Frame(frame));
        }
        if state.finished {
            return Poll::Ready(Outgoing::Finish);
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn count_sent(&self, frame: &[u8]) {
        self.sent.fetch_add((frame.len() + PREFIX) as u64, Ordering::Relaxed);
    }

    pub(super) fn count_received(&self, frame: &[u8]) {
        self.received.fetch_add((frame.len() + PREFIX) as u64, Ordering::Relaxed);
    }

    fn wake(mut state: MutexGuard<'_, State>) {
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

/// The sessions that are up, for whoever sends.
#[derive(Debug, Default)]
pub(super) struct Links(RwLock<HashMap<PeerId, (SessionId, Arc<Outbox>)>>);

impl Links {
    pub(super) fn insert(&self, peer: PeerId, session: SessionId, outbox: Arc<Outbox>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(peer, (session, outbox));
    }

    /// Removes the peer's session if it is this one.
    pub(super) fn remove(&self, peer: PeerId, session: SessionId) {
        let mut links = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if links.get(&peer).is_some_and(|(current, _)| *current == session) {
            links.remove(&peer);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Queues a frame; forgets it when the peer's session is another by now, or none.
    pub(super) fn send(&self, peer: PeerId, session: SessionId, frame: Vec<u8>) {
        let outbox = match self.0.read().unwrap_or_else(PoisonError::into_inner).get(&peer) {
            Some((current, outbox)) if *current == session => outbox.clone(),
            _ => return tracing::trace!(?peer, %session, "a frame for a session that is over"),
        };
        outbox.push(frame);
    }

    pub(super) fn finish_all(&self) {
        let links = self.0.read().unwrap_or_else(PoisonError::into_inner);
        links.values().for_each(|(_, outbox)| outbox.finish());
    }

    pub(super) fn traffic(&self, peer: PeerId) -> Option<Traffic> {
        let links = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, outbox) = links.get(&peer)?;
        let (received, sent) = (&outbox.received, &outbox.sent);
        Some(Traffic { received: received.load(Ordering::Relaxed), sent: sent.load(Ordering::Relaxed) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::event::SessionCounter;

    fn next(outbox: &Outbox) -> Poll<Outgoing> {
        outbox.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn frames_come_out_in_order_and_then_the_end() {
        let outbox = Outbox::default();
        outbox.push(vec![1]);
        outbox.push(vec![2]);
        outbox.finish();
        outbox.push(vec![3]);
        assert_eq!(next(&outbox), Poll::Ready(Outgoing::Frame(vec![1])));
        assert_eq!(next(&outbox), Poll::Ready(Outgoing::Frame(vec![2])));
        assert_eq!(next(&outbox), Poll::Ready(Outgoing::Finish));
    }

    #[test]
    fn a_peer_that_falls_too_far_behind_is_cut_off_and_its_queue_freed() {
        let outbox = Outbox::default();
        for _ in 0..=MAX_UNSENT / MAX_FRAME {
            outbox.push(vec![0; MAX_FRAME]);
        }
        assert!(matches!(next(&outbox), Poll::Ready(Outgoing::Break(_))));
        assert!(outbox.lock().queue.is_empty());
    }

    #[test]
    fn a_frame_too_long_to_send_ends_the_session() {
        let outbox = Outbox::default();
        outbox.push(vec![0; MAX_FRAME + 1]);
        assert!(matches!(next(&outbox), Poll::Ready(Outgoing::Break(_))));
    }

    #[test]
    fn a_frame_for_an_old_session_is_not_sent_on_the_new_one() {
        let (links, counter, peer) =
            (Links::default(), SessionCounter::default(), PeerId::from_bytes([1; 32]));
        let (old, new) = (counter.next(), counter.next());
        let outbox = Arc::new(Outbox::default());
        links.insert(peer, new, outbox.clone());
        links.send(peer, old, vec![1]);
        assert_eq!(next(&outbox), Poll::Pending);
        links.remove(peer, old);
        links.send(peer, new, vec![2]);
        assert_eq!(next(&outbox), Poll::Ready(Outgoing::Frame(vec![2])));
    }
}
