//! The queue between the network and its one consumer.
//!
//! Everything that happens goes through one first-in-first-out queue, so the order a consumer sees is the order in
//! which it happened. Each kind is bounded in its own way:
//!
//! * **Frames** are never dropped. A session may have [`SESSION_WINDOW`] bytes waiting here; while they wait its
//!   stream is not read, and the transport's flow control slows the sender down.
//! * **Gossip** is dropped and counted beyond [`GOSSIP_WINDOW`] bytes: it is a hint.
//! * **Hints** ([`NetEvent::NotPublished`]) are dropped beyond [`CROWDED`] waiting events.
//! * The **rest** is never dropped; instead, new connections are refused while more than [`CROWDED`] events wait.
//!
//! INVARIANT: a session's frames lie between its `Up` and its `Down`. The window of a session is opened with the one
//! and removed with the other under the same lock, and without a window no frame is taken.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::event::{NetEvent, SessionId};
use crate::PeerId;

/// Bytes of one session that may wait: a frame of the largest size, so that reading and handling overlap.
const SESSION_WINDOW: usize = super::MAX_FRAME;

/// Bytes of gossip that may wait: about 300 payloads of the largest size, seconds of work for the consumer.
const GOSSIP_WINDOW: usize = 16 * 1024 * 1024;

/// Events other than frames and gossip that may wait before new connections are refused: far more than a healthy
/// consumer ever leaves, and less than a megabyte.
const CROWDED: usize = 4096;

/// What a frame or payload is charged beyond its bytes, so that many empty ones are bounded too.
const OVERHEAD: usize = 64;

/// The queue, shared by the swarm task, every connection's task and the consumer.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    gossip_dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<NetEvent>,
    windows: HashMap<SessionId, Window>,
    gossip_bytes: usize,
    others: usize,
    consumer: Option<Waker>,
    /// Nothing will come any more.
    ended: bool,
    /// Nobody will ask any more.
    abandoned: bool,
}

#[derive(Debug, Default)]
struct Window {
    bytes: usize,
    reader: Option<Waker>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so many events wait that new connections should be refused.
    pub(super) fn is_crowded(&self) -> bool {
        self.lock().others > CROWDED
    }

    /// How many gossip payloads were dropped because the consumer was slow.
    pub(super) fn gossip_dropped(&self) -> u64 {
        self.gossip_dropped.load(Ordering::Relaxed)
    }

    /// Reports something that must not be lost.
    pub(super) fn push(&self, event: NetEvent) {
        let mut state = self.lock();
        state.others += 1;
        Self::enqueue(state, event);
    }

    /// Reports something that may be lost.
    pub(super) fn push_hint(&self, event: NetEvent) {
        let mut state = self.lock();
        if state.others < CROWDED {
            state.others += 1;
            Self::enqueue(state, event);
        }
    }

    /// Reports the beginning of a session.
    pub(super) fn push_up(&self, session: SessionId, event: NetEvent) {
        let mut state = self.lock();
        state.windows.insert(session, Window::default());
        state.others += 1;
        Self::enqueue(state, event);
    }

    /// Reports the end of a session.
    pub(super) fn push_down(&self, session: SessionId, event: NetEvent) {
        let mut state = self.lock();
        let reader = state.windows.remove(&session).and_then(|window| window.reader);
        state.others += 1;
        Self::enqueue(state, event);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Reports a gossip payload, if there is room.
    pub(super) fn push_gossip(&self, from: PeerId, payload: Vec<u8>) {
        let mut state = self.lock();
        let charge = payload.len() + OVERHEAD;
        if state.gossip_bytes + charge > GOSSIP_WINDOW {
            drop(state);
            let dropped = self.gossip_dropped.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::debug!(%dropped, "gossip dropped: events are not taken fast enough");
            return;
        }
        state.gossip_bytes += charge;
        Self::enqueue(state, NetEvent::Gossip { from, payload });
    }

    /// Reports a frame. Ready with `true` when it was taken (`frame` is then `None`), with `false` when the session
    /// is over; pending, and `frame` untouched, while the session's window is full.
    pub(super) fn poll_push_frame(
        &self,
        peer: PeerId,
        session: SessionId,
        frame: &mut Option<Vec<u8>>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        let mut state = self.lock();
        if state.abandoned {
            return Poll::Ready(false);
        }
        let Some(window) = state.windows.get_mut(&session) else { return Poll::Ready(false) };
        let charge = frame.as_ref().map_or(0, Vec::len) + OVERHEAD;
        if window.bytes > 0 && window.bytes + charge > SESSION_WINDOW {
            window.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(frame) = frame.take() {
            window.bytes += charge;
            Self::enqueue(state, NetEvent::Frame { peer, session, frame });
        }
        Poll::Ready(true)
    }

    /// Nothing will be pushed any more: the consumer sees what is queued, then the end.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let consumer = state.consumer.take();
        drop(state);
        if let Some(consumer) = consumer {
            consumer.wake();
        }
    }

    fn enqueue(mut state: MutexGuard<'_, State>, event: NetEvent) {
        if state.abandoned {
            return;
        }
        state.queue.push_back(event);
        let consumer = state.consumer.take();
        drop(state);
        if let Some(consumer) = consumer {
            consumer.wake();
        }
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<NetEvent>> {
        let mut state = self.lock();
        let Some(event) = state.queue.pop_front() else {
            if state.ended {
                return Poll::Ready(None);
            }
            state.consumer = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let mut reader = None;
        match &event {
            NetEvent::Frame { session, frame, .. } => {
                // The session may be over: then its window is gone.
                if let Some(window) = state.windows.get_mut(session) {
                    window.bytes = window.bytes.saturating_sub(frame.len() + OVERHEAD);
                    reader = window.reader.take();
                }
            }
            NetEvent::Gossip { payload, .. } => {
                state.gossip_bytes = state.gossip_bytes.saturating_sub(payload.len() + OVERHEAD);
            }
            _ => state.others = state.others.saturating_sub(1),
        }
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Poll::Ready(Some(event))
    }

    fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.queue.clear();
        (state.gossip_bytes, state.others) = (0, 0);
        let readers: Vec<Waker> = state.windows.drain().filter_map(|(_, window)| window.reader).collect();
        drop(state);
        readers.into_iter().for_each(Waker::wake);
    }
}

/// The events of a [`Net`](super::Net), for one consumer.
///
/// Not asking slows the peers down and, in the end, drops gossip and refuses connections, but loses no frame. Dropping
/// it ends all sessions: nobody reads what they say.
#[derive(Debug)]
pub struct NetEvents {
    inbox: Arc<Inbox>,
}

impl NetEvents {
    pub(super) fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox }
    }

    /// The next event; `None` when the network has been shut down. Cancel safe.
    pub async fn next(&mut self) -> Option<NetEvent> {
        poll_fn(|cx| self.inbox.poll_next(cx)).await
    }

    /// The next event if one is waiting.
    pub fn try_next(&mut self) -> Option<NetEvent> {
        match self.inbox.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }
}

impl Drop for NetEvents {
    fn drop(&mut self) {
        self.inbox.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::event::{SessionCounter, Transport};

    const PEER: PeerId = PeerId::from_bytes([1; 32]);

    fn up(session: SessionId) -> NetEvent {
        let address = "/ip4/127.0.0.1/tcp/1".parse().expect("a well-formed address");
        NetEvent::Up { peer: PEER, session, address, transport: Transport::Tcp, dialer: true }
    }

    fn down(session: SessionId) -> NetEvent {
        NetEvent::Down { peer: PEER, session, reason: "test".into() }
    }

    fn push(inbox: &Inbox, session: SessionId, frame: Vec<u8>) -> Poll<bool> {
        inbox.poll_push_frame(PEER, session, &mut Some(frame), &mut Context::from_waker(Waker::noop()))
    }

    fn fixture() -> (Arc<Inbox>, NetEvents, SessionId) {
        let inbox = Arc::new(Inbox::default());
        (inbox.clone(), NetEvents::new(inbox), SessionCounter::default().next())
    }

    #[test]
    fn no_frame_is_taken_before_up_or_after_down() {
        let (inbox, mut events, session) = fixture();
        assert_eq!(push(&inbox, session, vec![1]), Poll::Ready(false));
        inbox.push_up(session, up(session));
        assert_eq!(push(&inbox, session, vec![2]), Poll::Ready(true));
        inbox.push_down(session, down(session));
        assert_eq!(push(&inbox, session, vec![3]), Poll::Ready(false));
        assert_eq!(events.try_next(), Some(up(session)));
        assert_eq!(events.try_next(), Some(NetEvent::Frame { peer: PEER, session, frame: vec![2] }));
        assert_eq!(events.try_next(), Some(down(session)));
        assert_eq!(events.try_next(), None);
    }

    #[test]
    fn a_full_window_holds_its_own_session_back_and_no_other() {
        let (inbox, mut events, session) = fixture();
        let counter = SessionCounter::default();
        let (_, other) = (counter.next(), counter.next());
        inbox.push_up(session, up(session));
        inbox.push_up(other, up(other));
        assert_eq!(push(&inbox, session, vec![0; SESSION_WINDOW]), Poll::Ready(true));
        assert_eq!(push(&inbox, session, vec![]), Poll::Pending);
        assert_eq!(push(&inbox, other, vec![]), Poll::Ready(true));
        for _ in 0..3 {
            assert!(events.try_next().is_some());
        }
        assert_eq!(push(&inbox, session, vec![]), Poll::Ready(true));
    }

    #[test]
    fn gossip_beyond_the_window_is_dropped_and_counted() {
        let (inbox, mut events, _) = fixture();
        for _ in 0..400 {
            inbox.push_gossip(PEER, vec![0; 48 * 1024]);
        }
        let dropped = inbox.gossip_dropped();
        assert!(dropped > 0);
        let mut heard = 0;
        while events.try_next().is_some() {
            heard += 1;
        }
        assert_eq!(heard + dropped, 400);
        inbox.push_gossip(PEER, vec![]);
        assert!(events.try_next().is_some());
    }

    #[test]
    fn hints_give_way_and_the_rest_does_not() {
        let (inbox, mut events, _) = fixture();
        for _ in 0..2 * CROWDED {
            inbox.push_hint(NetEvent::NotPublished { reason: String::new() });
        }
        assert!(!inbox.is_crowded());
        for _ in 0..CROWDED {
            inbox.push(NetEvent::Discovered { peer: PEER, addresses: vec![] });
        }
        assert!(inbox.is_crowded());
        while events.try_next().is_some() {}
        assert!(!inbox.is_crowded());
    }

    #[test]
    fn without_a_consumer_nothing_is_kept() {
        let (inbox, events, session) = fixture();
        inbox.push_up(session, up(session));
        drop(events);
        assert_eq!(push(&inbox, session, vec![1]), Poll::Ready(false));
        inbox.push_gossip(PEER, vec![1]);
        assert!(inbox.lock().queue.is_empty());
    }
}
