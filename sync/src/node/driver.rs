//! Between the engine and the world: runs the engine, and does what it says.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak, mpsc};

use futures::channel::oneshot;
use tokio::sync::Notify;
use tombolo_crdt::Crdt;

use super::changes::{Change, Subscribers};
use super::clock::Clock;
use super::commit::Durability;
use super::watch::Watched;
use super::witness::Doubt;
use super::{Error, Result};
use crate::engine::{
    BatchId, Effect, Engine, Event, Input, Now, OpenError, REFUSED, SessionId, Transport, WaitId,
};
use crate::net::{self, Multiaddr, Net, NetEvent, NetEvents};
use crate::store::{Batch, Completion, GroupCommit, Store, StoreError, Write};
use crate::{DocId, PeerId};

/// How long a peer that is refused has to hear why, before the connection is closed. The engine does not hear it any more.
const LAST_WORD: std::time::Duration = std::time::Duration::from_millis(250);

type Waiter = oneshot::Sender<Result<(), String>>;

thread_local! {
    /// Whether this thread is inside the engine, in a closure of the application's.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// What all handles of a node share.
pub(super) struct Shared {
    engine: Mutex<Engine>,
    /// `None` once the node has been shut down: the home is free for the next.
    store: RwLock<Option<Arc<GroupCommit>>>,
    net: OnceLock<Net>,
    clock: Clock,
    /// The generation of the last batch submitted.
    generation: AtomicU64,
    /// Who waits for which batch.
    waiters: Mutex<BTreeMap<BatchId, Vec<Waiter>>>,
    /// Who is to be woken for which wait.
    awaiting: Mutex<BTreeMap<WaitId, oneshot::Sender<()>>>,
    /// Who waits for a document to be read from the disk.
    reading: Mutex<BTreeMap<DocId, Vec<mpsc::Sender<Option<String>>>>>,
    /// Documents that are not held open any more, once each. SUBTLE: closed with the next call, as waits are ended.
    closed: Mutex<Vec<DocId>>,
    /// Documents that somebody does not watch any more, once each. SUBTLE: as those.
    unwatched: Mutex<Vec<DocId>>,
    /// Waits that are over. SUBTLE: ended with the next call, for a future may be dropped where the engine is locked.
    over: Mutex<Vec<WaitId>>,
    pub(super) subscribers: Subscribers,
    pub(super) watched: Watched,
    /// Why the home may not be the only continuation of what it holds.
    doubt: Mutex<Option<Doubt>>,
    /// The network's session of each peer, under the number by which the engine knows it.
    sessions: RwLock<BTreeMap<PeerId, net::SessionId>>,
    listening: RwLock<Vec<String>>,
    /// Where the node could be reached in its last life.
    last_addresses: Vec<String>,
    /// What to tell others instead.
    announce: Option<Vec<String>>,
    /// Somebody should look at the clock again.
    wake: Notify,
    /// When the clock will be looked at, in milliseconds.
    wake_at: AtomicU64,
    stopped: AtomicBool,
}

impl Shared {
    pub(super) fn start(
        store: impl Store,
        clock: Clock,
        last_addresses: Vec<String>,
        announce: Option<Vec<String>>,
        doubt: Option<Doubt>,
        engine: impl FnOnce(&dyn Store, Now) -> Result<Engine>,
    ) -> Result<Arc<Self>> {
        let engine = engine(&store, clock.now())?;
        let back: Arc<OnceLock<Weak<Self>>> = Arc::default();
        let told = Arc::clone(&back);
        let store = GroupCommit::start(store, move |completion| {
            if let Some(shared) = told.get().and_then(Weak::upgrade) {
                shared.completed(completion);
            }
        })?;
        let shared = Arc::new(Self {
            engine: Mutex::new(engine),
            store: RwLock::new(Some(Arc::new(store))),
            net: OnceLock::new(),
            clock,
            generation: AtomicU64::new(0),
            waiters: Mutex::default(),
            awaiting: Mutex::default(),
            reading: Mutex::default(),
            closed: Mutex::default(),
            unwatched: Mutex::default(),
            over: Mutex::default(),
            subscribers: Subscribers::default(),
            watched: Watched::default(),
            doubt: Mutex::new(doubt),
            sessions: RwLock::default(),
            listening: RwLock::default(),
            last_addresses,
            announce,
            wake: Notify::new(),
            wake_at: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        });
        // Nothing has been submitted yet, so no completion can have come before this.
        let _ = back.set(Arc::downgrade(&shared));
        Ok(shared)
    }

    /// Where others can reach the node, or could last.
    pub(super) fn addresses(&self) -> Vec<String> {
        if let Some(announce) = &self.announce {
            return announce.clone();
        }
        let listening = self.listening.read().unwrap_or_else(PoisonError::into_inner);
        if listening.is_empty() { self.last_addresses.clone() } else { listening.clone() }
    }

    /// How many payloads came faster than they were read.
    #[cfg(feature = "metrics")]
    pub(super) fn gossip_dropped(&self) -> u64 {
        self.net.get().map_or(0, Net::gossip_dropped)
    }

    pub(super) fn doubt(&self) -> Option<Doubt> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn listening(&self) -> Vec<String> {
        self.listening.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Runs `f` on the engine and does what the engine says then.
    ///
    /// # Panics
    /// When called from a closure that is itself running on the engine.
    pub(super) fn with_engine<R>(self: &Arc<Self>, f: impl FnOnce(&mut Engine, Now) -> R) -> R {
        let _inside = Inside::enter();
        let _span = tracing::trace_span!("engine").entered();
        let now = self.now();
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        for wait in std::mem::take(&mut *self.over.lock().unwrap_or_else(PoisonError::into_inner)) {
            engine.end_wait(wait);
        }
        for doc in std::mem::take(&mut *self.unwatched.lock().unwrap_or_else(PoisonError::into_inner)) {
            engine.unwatch(doc);
        }
        for doc in std::mem::take(&mut *self.closed.lock().unwrap_or_else(PoisonError::into_inner)) {
            engine.close(doc);
        }
        let value = f(&mut engine, now);
        while let Some(effect) = engine.next_effect() {
            self.perform(effect);
        }
        let wake_at = engine.next_tick();
        drop(engine);
        if wake_at < self.wake_at.load(Ordering::Acquire) {
            self.wake.notify_one();
        }
        value
    }

    /// Lets `f` look at the engine.
    pub(super) fn look<R>(&self, f: impl FnOnce(&Engine) -> R) -> R {
        let _inside = Inside::enter();
        f(&self.engine.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn input(self: &Arc<Self>, input: Input) {
        self.with_engine(|engine, now| engine.handle(now, input));
    }

    /// Does one thing the engine wants done. Nothing here waits: the engine is locked.
    fn perform(self: &Arc<Self>, effect: Effect) {
        match effect {
            Effect::Store(batch) => {
                if self.generation.swap(batch.generation, Ordering::AcqRel) < batch.generation {
                    // What failed is known to the engine; what is submitted from here on does not build on it.
                    self.on_store(GroupCommit::resume);
                }
                self.on_store(|store| store.submit(Batch { id: batch.id.0, writes: batch.writes }));
            }
            Effect::Load { doc } => {
                let shared = Arc::clone(self);
                // The store answers on its own thread, after what it has to write; nobody may wait for that in here.
                let asked = std::thread::Builder::new().name("tombolo-load".into()).spawn(move || {
                    let stored = shared.with_store(move |store| store.document(doc));
                    shared.input(Input::Loaded { doc, stored: stored.map_err(|why| why.to_string()) });
                });
                if let Err(why) = asked {
                    tracing::error!(%why, "no thread to read a document back; trying again later");
                }
            }
            Effect::Event(event) => self.tell(event),
            Effect::Send { peer, session, frame } => {
                let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
                if let (Some(net), Some(id)) = (self.net.get(), sessions.get(&peer))
                    && id.as_u64() == session.0
                {
                    net.send(peer, *id, frame);
                }
            }
            Effect::Publish { payload } => self.on_net(|net| net.publish(payload)),
            Effect::Dial { peer, addresses } => {
                let addresses: Vec<Multiaddr> =
                    addresses.iter().filter_map(|address| address.parse().ok()).collect();
                if !addresses.is_empty() {
                    self.on_net(|net| net.dial(peer, addresses));
                }
            }
            Effect::Disconnect { peer, reason } => {
                tracing::info!(%peer, reason, "disconnecting");
                self.disconnect(peer, reason);
            }
            Effect::Block { peers } => self.on_net(|net| net.set_blocked(peers.into_iter().collect())),
        }
    }

    /// Closes all connections to a peer; but who is refused is to hear why first.
    fn disconnect(self: &Arc<Self>, peer: PeerId, reason: &str) {
        let session = self.session(peer);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if reason == REFUSED && session.is_some() => {
                let shared = Arc::downgrade(self);
                runtime.spawn(async move {
                    tokio::time::sleep(LAST_WORD).await;
                    if let Some(shared) = shared.upgrade().filter(|shared| shared.session(peer) == session) {
                        shared.on_net(|net| net.disconnect(peer));
                    }
                });
            }
            _ => self.on_net(|net| net.disconnect(peer)),
        }
    }

    /// The network's session of a peer: the last one.
    fn session(&self, peer: PeerId) -> Option<net::SessionId> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).get(&peer).copied()
    }

    fn on_net(&self, f: impl FnOnce(&Net)) {
        if let Some(net) = self.net.get() {
            f(net);
        }
    }

    fn store(&self) -> Result<Arc<GroupCommit>> {
        self.store.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Error::ShutDown)
    }

    fn on_store(&self, f: impl FnOnce(&GroupCommit) -> Result<(), StoreError>) {
        if let Ok(store) = self.store()
            && let Err(why) = f(&store)
        {
            tracing::error!(%why, "the store has stopped");
        }
    }

    fn tell(&self, event: Event) {
        match event {
            Event::Changed { doc, origin, version } => {
                self.subscribers.publish(&Change { document: doc, origin, version, caught_up: 1 });
            }
            Event::Watched { doc, step } => {
                for _ in 0..self.watched.tell(doc, &step) {
                    self.unwatched(doc);
                }
            }
            Event::Unwatched { doc } => self.watched.end(doc),
            Event::Durable(batch) => self.resolve(batch, &Ok(())),
            Event::NotDurable { kept, last, reason } => {
                self.resolve(kept, &Ok(()));
                self.resolve(last, &Err(reason));
            }
            Event::Awaited(wait) => self.wake_for(wait),
            Event::Loaded { doc, failed } => {
                let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
                for reader in reading.remove(&doc).unwrap_or_default() {
                    // Who does not listen any more does not mind.
                    let _ = reader.send(failed.clone());
                }
            }
            Event::Refused { peer, reason } => tracing::warn!(%peer, reason, "a peer was refused"),
            Event::Overtaken { peer, forked } => {
                let doubt = if forked { Doubt::Forked { peer } } else { Doubt::Overtaken { peer } };
                *self.doubt.lock().unwrap_or_else(PoisonError::into_inner) = Some(doubt);
            }
            Event::PeerReady { peer } => tracing::info!(%peer, "peer connected"),
            Event::PeerGone { peer } => tracing::info!(%peer, "peer gone"),
            Event::Released { peer } => tracing::info!(%peer, "nobody waits for this member any more"),
            // The engine has logged it, and the status tells it as long as it is so.
            Event::Diverged { .. }
            | Event::Evicted { .. }
            | Event::Dropped { .. }
            | Event::Directory
            | Event::Progress => {}
        }
    }

    /// Opens a document; if it is on the disk only, waits until it has been read.
    ///
    /// # Panics
    /// As [`with_engine`](Self::with_engine).
    pub(super) fn open<T: Crdt>(self: &Arc<Self>, name: &str, create: bool) -> Result<Option<DocId>> {
        loop {
            let read = self.with_engine(|engine, now| match engine.open::<T>(now, name, create) {
                Err(OpenError::NotLoaded { doc }) => {
                    let (reader, read) = mpsc::channel();
                    let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
                    // What comes of it is told when this closure is over.
                    reading.entry(doc).or_default().push(reader);
                    Ok(Err(read))
                }
                opened => opened.map(Ok),
            });
            // SUBTLE: with the engine free. The thread that reads the document needs it to say so.
            match read? {
                Ok(opened) => return Ok(opened),
                Err(read) => match read.recv() {
                    Ok(None) => {}
                    Ok(Some(why)) => {
                        self.refuse_if_stopped()?;
                        return Err(OpenError::Unreadable { name: name.to_owned(), why }.into());
                    }
                    Err(mpsc::RecvError) => return Err(Error::ShutDown),
                },
            }
        }
    }

    /// A document is held open by one less.
    pub(super) fn closed(&self, doc: DocId) {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).push(doc);
    }

    /// A document is watched by one less.
    pub(super) fn unwatched(&self, doc: DocId) {
        self.unwatched.lock().unwrap_or_else(PoisonError::into_inner).push(doc);
    }

    /// Tells everybody who waits for a batch up to `last` how it ended.
    fn resolve(&self, last: BatchId, how: &Result<(), String>) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        let later = waiters.split_off(&BatchId(last.0 + 1));
        for waiter in std::mem::replace(&mut *waiters, later).into_values().flatten() {
            // Who does not listen any more does not mind.
            let _ = waiter.send(how.clone());
        }
    }

    /// Something to await that tells when `batch` is durable; `None` if it is. Called with the engine locked, so that
    /// the answer cannot come first.
    pub(super) fn durability(&self, engine: &Engine, batch: BatchId) -> Option<Durability> {
        if engine.is_durable(batch) {
            return None;
        }
        let (waiter, durability) = oneshot::channel();
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner).entry(batch).or_default().push(waiter);
        Some(durability)
    }

    /// Begins a wait, and yields what to await until there is something to look at.
    pub(super) fn begin_wait(
        self: &Arc<Self>,
        begin: impl FnOnce(&mut Engine, Now) -> WaitId,
    ) -> (WaitId, oneshot::Receiver<()>) {
        self.with_engine(|engine, now| {
            let id = begin(engine, now);
            let (waker, woken) = oneshot::channel();
            // What it has come to is told when this closure is over.
            self.awaiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, waker);
            (id, woken)
        })
    }

    fn wake_for(&self, wait: WaitId) {
        if let Some(waker) = self.awaiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&wait) {
            // Who does not listen any more does not mind.
            let _ = waker.send(());
        }
    }

    /// Nobody looks at a wait any more.
    pub(super) fn end_wait(&self, wait: WaitId) {
        self.awaiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&wait);
        self.over.lock().unwrap_or_else(PoisonError::into_inner).push(wait);
    }

    #[tracing::instrument(level = "trace", skip_all, fields(first = completion.first, last = completion.last))]
    fn completed(self: &Arc<Self>, completion: Completion) {
        match completion.result {
            Ok(()) => self.input(Input::Stored(BatchId(completion.last))),
            Err(why) => {
                self.input(Input::StoreFailed { first: BatchId(completion.first), reason: why.to_string() });
            }
        }
    }

    /// Runs `f` on the store, after everything submitted before.
    pub(super) fn with_store<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut dyn Store) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R> {
        Ok(self.store()?.with_store(f)??)
    }

    pub(super) fn backup(&self, path: &std::path::Path) -> Result<()> {
        Ok(self.store()?.backup(path)?)
    }

    /// Puts the node on the network and starts to keep time.
    pub(super) fn run(
        self: &Arc<Self>,
        net: Option<(Net, NetEvents)>,
        records: impl Fn(&[String]) -> Vec<Write> + Send + 'static,
    ) {
        // SUBTLE: before anybody can report where the node listens, or the empty list would replace what it reports.
        let addresses = self.announce.clone().unwrap_or_default();
        self.input(Input::Listening { addresses });
        if let Some((net, events)) = net {
            let blocked = self.look(Engine::blocked);
            net.set_blocked(blocked.into_iter().collect());
            let _ = self.net.set(net);
            tokio::spawn(listen(Arc::downgrade(self), events, records));
        }
        tokio::spawn(keep_time(Arc::downgrade(self)));
        self.input(Input::NetworkChanged);
    }

    #[tracing::instrument(level = "trace", skip_all)]
    fn net_event(self: &Arc<Self>, event: NetEvent, records: &impl Fn(&[String]) -> Vec<Write>) {
        match event {
            NetEvent::Up { peer, session, address, transport, dialer } => {
                self.sessions.write().unwrap_or_else(PoisonError::into_inner).insert(peer, session);
                let transport = match transport {
                    net::Transport::Tcp => Transport::Tcp,
                    net::Transport::Quic => Transport::Quic,
                };
                let session = SessionId(session.as_u64());
                self.input(Input::Up {
                    peer,
                    session,
                    address: Some(address.to_string()),
                    transport,
                    dialer,
                });
            }
            NetEvent::Down { peer, session, reason } => {
                tracing::debug!(%peer, reason, "session over");
                self.input(Input::Down { peer, session: SessionId(session.as_u64()) });
            }
            NetEvent::Frame { peer, session, frame } => {
                self.input(Input::Frame { peer, session: SessionId(session.as_u64()), frame });
            }
            NetEvent::Gossip { from, payload } => self.input(Input::Gossip { from, payload }),
            NetEvent::Discovered { peer, addresses } => {
                let addresses = addresses.iter().map(Multiaddr::to_string).collect();
                self.input(Input::Discovered { peer: Some(peer), addresses });
            }
            NetEvent::DialFailed { peer, addresses, error } => {
                tracing::debug!(?peer, error, "dialling failed");
                let addresses = addresses.iter().map(Multiaddr::to_string).collect();
                self.input(Input::DialFailed { peer, addresses });
            }
            NetEvent::Listening { address } => {
                self.listening_changed(Some(address.to_string()), &[], records)
            }
            NetEvent::ListenerClosed { addresses, reason } => {
                tracing::warn!(?addresses, reason, "no longer listening");
                let gone: Vec<String> = addresses.iter().map(Multiaddr::to_string).collect();
                self.listening_changed(None, &gone, records);
            }
            NetEvent::NotPublished { reason } => {
                tracing::debug!(reason, "gossip not published; repair sees to it")
            }
        }
    }

    fn listening_changed(
        self: &Arc<Self>,
        new: Option<String>,
        gone: &[String],
        records: &impl Fn(&[String]) -> Vec<Write>,
    ) {
        let addresses = {
            let mut listening = self.listening.write().unwrap_or_else(PoisonError::into_inner);
            listening.retain(|address| !gone.contains(address) && Some(address) != new.as_ref());
            listening.extend(new);
            listening.clone()
        };
        let records = records(&addresses);
        self.with_engine(|engine, now| {
            engine.keep(records);
            engine.handle(now, Input::Listening { addresses: self.addresses() });
        });
    }

    /// Ends the node: what was written becomes durable, what was sent goes out.
    pub(super) async fn stop(self: &Arc<Self>) {
        if self.stopped.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(net) = self.net.get() {
            net.shutdown().await;
        }
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner).take();
        // Closing commits what was submitted, and gives the home free.
        let _ = tokio::task::spawn_blocking(move || {
            let Some(mut store) = store else { return };
            loop {
                match Arc::try_unwrap(store) {
                    Ok(last) => return drop(last),
                    // Somebody is just handing something over.
                    Err(shared) => store = shared,
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        })
        .await;
        self.subscribers.close();
        self.watched.close();
        self.awaiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.wake.notify_one();
    }

    /// Whether it is on the network, or was started without.
    pub(super) fn is_online(&self) -> bool {
        self.net.get().is_some()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(super) fn refuse_if_stopped(&self) -> Result<()> {
        if self.is_stopped() { Err(Error::ShutDown) } else { Ok(()) }
    }
}

/// Marks this thread as being inside the engine.
struct Inside;

impl Inside {
    fn enter() -> Self {
        assert!(
            !INSIDE.replace(true),
            "a closure given to `read` or `update` must not call its node or a document again: return what is needed and call afterwards"
        );
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

/// Hands the network's events to the engine.
async fn listen(shared: Weak<Shared>, mut events: NetEvents, records: impl Fn(&[String]) -> Vec<Write>) {
    while let Some(event) = events.next().await {
        let Some(shared) = shared.upgrade() else { return };
        shared.net_event(event, &records);
    }
}

/// Ticks when the engine wants a tick.
async fn keep_time(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        if strong.is_stopped() {
            return;
        }
        let at = strong.look(Engine::next_tick);
        strong.wake_at.store(at, Ordering::Release);
        let pause = std::time::Duration::from_millis(at.saturating_sub(strong.now().millis));
        if pause.is_zero() {
            strong.input(Input::Tick);
            // A tick that leads to the next without a pause must not starve the others.
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => strong.input(Input::Tick),
            () = strong.wake.notified() => {}
        }
    }
}
