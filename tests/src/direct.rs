//! Engines with nothing between them but queues, for what must be counted: nobody watches, so ten thousand documents take no longer
//! than the engines make of them, and what is done beside an engine is not taken for its work.

use std::collections::{BTreeMap, VecDeque};

use tombolo_crdt::{Crdt, Limits, ReplicaId};
use tombolo_sync::engine::wire::{Frame, is_push};
use tombolo_sync::engine::{
    Batch, Config, DEFAULT_DIRECT, DEFAULT_MEMORY, Effect, Engine, Forgetting, Input, Now, SessionId,
    Subscription, Transport,
};
use tombolo_sync::store::{MemoryStore, Store as _};
use tombolo_sync::{DocId, PeerId, Secret};

/// Is told when a node begins to work, and when it is done. A node's work is what its engine does, and what waits for its disk; what
/// is under way between nodes and what is on disks is nobody's.
pub trait Gauge {
    /// What is done from here on is done by a node.
    fn begins(&mut self, node: usize);
    /// And no more.
    fn ends(&mut self, node: usize);
}

/// Nobody wants to know.
impl Gauge for () {
    fn begins(&mut self, _: usize) {}
    fn ends(&mut self, _: usize) {}
}

/// A frame that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When, in milliseconds since the beginning.
    pub at: u64,
    /// By whom.
    pub from: usize,
    /// What.
    pub frame: Frame,
    /// How long it is.
    pub bytes: usize,
}

/// What becomes of frames while a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// They arrive.
    Open,
    /// They wait, as TCP has them wait: nothing is lost.
    Held,
    /// They are lost.
    Lost,
}

#[derive(Debug)]
enum News {
    Tick,
    Up { from: usize, session: SessionId, dialer: bool },
    Down { from: usize, session: SessionId },
    Frame { from: usize, session: SessionId, frame: Vec<u8> },
    Gossip { from: usize, payload: Vec<u8> },
    Disk,
    Load(DocId),
}

struct Node {
    engine: Engine,
    store: MemoryStore,
    queue: VecDeque<Batch>,
    writes: bool,
}

/// Some engines, and a clock that is a number.
pub struct Direct<G = ()> {
    /// Who is told which node works.
    pub gauge: G,
    /// How long everything takes from one node to another, in milliseconds.
    pub latency: u64,
    /// Whether what is pushed arrives, by gossip or in sessions.
    pub gossips: bool,
    /// How many batches a disk writes at a time, if there are so many.
    pub group: usize,
    /// How many payloads were published.
    pub published: usize,
    /// How many frames were sent in which something is pushed.
    pub pushed: usize,
    nodes: Vec<Node>,
    sessions: BTreeMap<(usize, usize), SessionId>,
    last: u64,
    way: Way,
    held: Vec<(usize, News)>,
    millis: u64,
    /// When it happens, in which order, and to whom.
    news: BTreeMap<(u64, u64), (usize, News)>,
    number: u64,
    sent: Option<Vec<Sent>>,
}

fn peer(node: usize) -> PeerId {
    PeerId::from_bytes([node as u8 + 1; 32])
}

fn config(node: usize) -> Config {
    Config {
        peer: peer(node),
        replica: ReplicaId::from_bytes([node as u8 + 1; 16]),
        name: format!("n{node}"),
        application: "direct".into(),
        secret: Secret::from_bytes([7; 32]),
        limits: Limits::default(),
        subscription: Subscription::everything(),
        max_documents: 100_000,
        memory: DEFAULT_MEMORY,
        forgetting: Forgetting::default(),
        direct: DEFAULT_DIRECT,
        mistake: None,
        seed: [node as u8 + 1; 32],
    }
}

impl<G: Gauge> Direct<G> {
    /// So many nodes, which know nobody.
    ///
    /// # Panics
    /// If an engine does not start.
    #[must_use]
    pub fn new(count: usize, gauge: G) -> Self {
        let start = |node| {
            let store = MemoryStore::new();
            let engine = Engine::start(config(node), &store, Now { millis: 1, wall_millis: 1 });
            let engine = engine.expect("an empty store is read");
            Node { engine, store, queue: VecDeque::new(), writes: false }
        };
        let mut direct = Self {
            gauge,
            latency: 1,
            gossips: true,
            group: usize::MAX,
            published: 0,
            pushed: 0,
            nodes: (0..count).map(start).collect(),
            sessions: BTreeMap::new(),
            last: 0,
            way: Way::Open,
            held: Vec::new(),
            millis: 1,
            news: BTreeMap::new(),
            number: 0,
            sent: None,
        };
        (0..count).for_each(|node| direct.settle(node));
        direct
    }

    /// The time, in milliseconds since the beginning.
    #[must_use]
    pub fn millis(&self) -> u64 {
        self.millis
    }

    /// A node's engine.
    #[must_use]
    pub fn engine(&self, node: usize) -> &Engine {
        &self.nodes[node].engine
    }

    /// Keeps all frames sent from now on.
    pub fn record(&mut self) {
        self.sent = Some(Vec::new());
    }

    /// The frames sent since [`record`](Self::record).
    #[must_use]
    pub fn sent(&self) -> &[Sent] {
        self.sent.as_deref().unwrap_or_default()
    }

    /// Gives two nodes a session.
    pub fn connect(&mut self, a: usize, b: usize) {
        self.last += 1;
        let session = SessionId(self.last);
        for (node, from) in [(a, b), (b, a)] {
            self.sessions.insert((node, from), session);
            self.plan(self.latency, node, News::Up { from, session, dialer: node == a });
        }
    }

    /// Ends it; both are told.
    pub fn cut(&mut self, a: usize, b: usize) {
        for (node, from) in [(a, b), (b, a)] {
            if let Some(session) = self.sessions.remove(&(node, from)) {
                self.plan(self.latency, node, News::Down { from, session });
            }
        }
    }

    /// What becomes of frames from here on; those that were held go on if they arrive again.
    pub fn set_way(&mut self, way: Way) {
        self.way = way;
        if way == Way::Open {
            for (node, news) in std::mem::take(&mut self.held) {
                self.plan(self.latency, node, news);
            }
        }
    }

    /// Opens a document, creating it if need be.
    ///
    /// # Panics
    /// If the engine refuses, or the document is on the disk only.
    pub fn open<T: Crdt>(&mut self, node: usize, name: &str) -> DocId {
        let opened = self.call(node, |engine, now| engine.open::<T>(now, name, true));
        opened.expect("it opens").expect("it is created")
    }

    /// One transaction.
    ///
    /// # Panics
    /// If the engine refuses.
    pub fn update<T: Crdt>(&mut self, node: usize, doc: DocId, write: impl for<'a> FnOnce(&mut T::Mut<'a>)) {
        let updated = self.call(node, |engine, now| {
            engine.update::<T, _, std::convert::Infallible>(now, doc, |value| {
                write(value);
                Ok(())
            })
        });
        updated.expect("the update is taken");
    }

    /// Whether all hold the same durably, and each knows it.
    #[must_use]
    pub fn agrees(&self) -> bool {
        let engines = || self.nodes.iter().map(|node| &node.engine);
        let Some(first) = engines().next() else { return true };
        // Digests first: they cost nothing.
        engines().all(|engine| engine.digest() == first.digest())
            && self.sessions.keys().all(|&(node, from)| self.nodes[node].engine.is_in_sync_with(peer(from)))
    }

    /// Lets so much time pass, in milliseconds.
    pub fn run_for(&mut self, millis: u64) {
        let until = self.millis + millis;
        while self.step(until) {}
        self.millis = until;
    }

    /// Lets time pass until `done`, at most so many milliseconds; yields how long it took, `None` if it did not happen.
    pub fn run_until(&mut self, patience: u64, done: impl Fn(&Self) -> bool) -> Option<u64> {
        let start = self.millis;
        loop {
            if done(self) {
                return Some(self.millis - start);
            }
            if self.millis >= start + patience {
                return None;
            }
            self.run_for(1);
        }
    }

    /// Lets the next thing happen, if it does by `until`.
    fn step(&mut self, until: u64) -> bool {
        let ticks = self.nodes.iter().enumerate().map(|(node, it)| (it.engine.next_tick(), node));
        let tick = ticks.min().map(|(at, node)| (at.max(self.millis), node));
        let news = self.news.first_key_value().map(|(&(at, _), _)| at);
        match (news, tick) {
            (Some(at), tick) if at <= until && tick.is_none_or(|(tick, _)| at <= tick) => {
                let Some((_, (node, what))) = self.news.pop_first() else { return false };
                self.millis = at;
                self.happens(node, what);
            }
            (_, Some((at, node))) if at <= until => {
                self.millis = at;
                self.happens(node, News::Tick);
            }
            _ => return false,
        }
        true
    }

    fn happens(&mut self, node: usize, what: News) {
        let input = match what {
            News::Tick => Input::Tick,
            News::Up { from, session, dialer } => {
                let (address, transport) = (None, Transport::Other);
                Input::Up { peer: peer(from), session, address, transport, dialer }
            }
            News::Down { from, session } => Input::Down { peer: peer(from), session },
            // A copy: what was under way is nobody's, what is read is the node's.
            News::Frame { from, session, frame } => {
                self.call(node, |engine, now| {
                    let frame = frame.clone();
                    engine.handle(now, Input::Frame { peer: peer(from), session, frame });
                });
                return;
            }
            News::Gossip { from, payload } => {
                self.call(node, |engine, now| {
                    let payload = payload.clone();
                    engine.handle(now, Input::Gossip { from: peer(from), payload });
                });
                return;
            }
            News::Disk => return self.write(node),
            News::Load(doc) => {
                let stored = self.nodes[node].store.document(doc).map_err(|why| why.to_string());
                Input::Loaded { doc, stored }
            }
        };
        self.call(node, |engine, now| engine.handle(now, input));
    }

    /// The disk writes what waits for it.
    fn write(&mut self, node: usize) {
        let mut last = None;
        for _ in 0..self.group {
            let Some(batch) = self.nodes[node].queue.pop_front() else { break };
            self.nodes[node].store.commit(&batch.writes).expect("there is room");
            last = Some(batch.id);
            self.within(node, |_, _| drop(batch));
        }
        let waits = !self.nodes[node].queue.is_empty();
        self.nodes[node].writes = waits;
        if waits {
            self.plan(1, node, News::Disk);
        }
        if let Some(last) = last {
            self.call(node, |engine, now| engine.handle(now, Input::Stored(last)));
        }
    }

    fn plan(&mut self, after: u64, node: usize, what: News) {
        self.number += 1;
        self.news.insert((self.millis + after, self.number), (node, what));
    }

    /// Something that a node does.
    fn within<R>(&mut self, node: usize, work: impl FnOnce(&mut Node, Now) -> R) -> R {
        let now = Now { millis: self.millis, wall_millis: self.millis };
        self.gauge.begins(node);
        let value = work(&mut self.nodes[node], now);
        self.gauge.ends(node);
        value
    }

    fn call<R>(&mut self, node: usize, work: impl FnOnce(&mut Engine, Now) -> R) -> R {
        let value = self.within(node, |node, now| work(&mut node.engine, now));
        self.settle(node);
        value
    }

    /// Does what an engine wants done.
    fn settle(&mut self, node: usize) {
        while let Some(effect) = self.within(node, |node, _| node.engine.next_effect()) {
            match &effect {
                Effect::Send { peer, session, frame } => self.send(node, *peer, *session, frame),
                Effect::Publish { payload } => {
                    self.published += 1;
                    let heard_by = self.sessions.keys().filter(|(from, _)| *from == node).map(|(_, to)| *to);
                    let heard_by: Vec<usize> = heard_by.filter(|_| self.gossips).collect();
                    for to in heard_by {
                        let payload = payload.clone();
                        self.plan(self.latency, to, News::Gossip { from: node, payload });
                    }
                }
                Effect::Load { doc } => self.plan(1, node, News::Load(*doc)),
                Effect::Disconnect { reason, .. } => panic!("n{node} ends a session: {reason}"),
                _ => {}
            }
            let wakes = self.within(node, |node, _| match effect {
                Effect::Store(batch) => {
                    node.queue.push_back(batch);
                    !std::mem::replace(&mut node.writes, true)
                }
                _ => false,
            });
            if wakes {
                self.plan(1, node, News::Disk);
            }
        }
    }

    fn send(&mut self, node: usize, to: PeerId, session: SessionId, frame: &[u8]) {
        let Some(to) = (0..self.nodes.len()).find(|&other| peer(other) == to) else { return };
        let is_push = is_push(frame);
        self.pushed += usize::from(is_push);
        if is_push && !self.gossips {
            return;
        }
        if let Some(sent) = &mut self.sent
            && let Some(what) = Frame::decode(frame)
        {
            sent.push(Sent { at: self.millis, from: node, frame: what, bytes: frame.len() });
        }
        if self.sessions.get(&(node, to)) != Some(&session) {
            return;
        }
        let news = News::Frame { from: node, session, frame: frame.to_vec() };
        match self.way {
            Way::Open => self.plan(self.latency, to, news),
            Way::Held => self.held.push((to, news)),
            Way::Lost => {}
        }
    }
}
