//! Drives engines: does what they want done, and tells them what came of it, under a clock that is a number.

use rand::RngExt as _;

use super::core::Core;
use super::disk::{Fraud, Job};
use super::host::Host;
use super::links::LinkState;
use super::queue::Happening;
use super::{gossip, sessions};
use crate::DocId;
use crate::engine::{Effect, Engine, Input, Now, OpenError};
use crate::store::Store as _;

/// More ticks than this without time passing are a node that spins.
const SPINNING: u32 = 100;

/// What can be done to a network that may have engines do something.
pub trait Drive: Host + Sized {
    /// Calls an engine from outside, as an application does; `None` if the node is down.
    fn call<R>(&mut self, node: usize, f: impl FnOnce(&mut Engine, Now) -> R) -> Option<R> {
        let now = self.now_at(node);
        let value = f(self.nodes[node].engine.as_mut()?, now);
        settle(self, node);
        Some(value)
    }

    /// Opens a document as an application does, which waits until it has been read; `None` if the node is down.
    fn open_with(
        &mut self,
        node: usize,
        open: impl Fn(&mut Engine, Now) -> Result<Option<DocId>, OpenError>,
    ) -> Option<Result<Option<DocId>, OpenError>> {
        let opened = self.call(node, &open)?;
        let Err(OpenError::NotLoaded { doc }) = opened else { return Some(opened) };
        // Nothing of what is on the disk only is under way, so it can be read at once.
        let stored = self.nodes[node].disk.store.document(doc).map_err(|why| why.to_string());
        self.input(node, Input::Loaded { doc, stored });
        self.call(node, open)
    }

    /// Tells an engine something, if it runs.
    fn input(&mut self, node: usize, input: Input) {
        self.call(node, |engine, now| engine.handle(now, input));
    }

    /// Lets time pass, `millis` of it, and everything happen that does.
    fn run_for(&mut self, millis: u64) {
        let until = self.now + millis;
        while !self.is_over() && step(self, until) {}
        self.now = until;
    }

    /// Lets time pass until `done`, at most `patience` milliseconds; yields how long it took, `None` if it did not
    /// happen.
    fn run_until(&mut self, patience: u64, mut done: impl FnMut(&Self) -> bool) -> Option<u64> {
        let (start, end) = (self.now, self.now + patience);
        loop {
            if done(self) {
                return Some(self.now - start);
            }
            if self.now >= end || self.is_over() {
                return None;
            }
            // Everything of one millisecond, then a look.
            let until = (self.now + 1).min(end);
            while !self.is_over() && step(self, until) {}
            self.now = until;
        }
    }

    /// Starts a node on what its disk holds.
    fn start(&mut self, node: usize) {
        if self.runs(node) {
            return;
        }
        let seed = self.rng.random();
        let early = self.rng.random_range(0..5_000);
        let now = self.now;
        let this = &mut self.nodes[node];
        this.life += 1;
        (this.born, this.started) = (now.saturating_sub(early), now);
        (this.tick_at, this.idle_ticks) = (None, 0);
        this.blocking.clear();
        let config = this.config(seed);
        let now = self.now_at(node);
        self.note(|core| format!("{} starts", core.name(node)));
        match Engine::start(config, &self.nodes[node].disk.store, now) {
            Ok(engine) => {
                self.nodes[node].replica = engine.replica();
                self.nodes[node].engine = Some(engine);
            }
            Err(why) => {
                let what = format!("{} does not start: {why}", self.name(node));
                return self.broken(what);
            }
        }
        self.started(node);
        let address = self.nodes[node].address.clone();
        self.input(node, Input::Listening { addresses: vec![address] });
        for known in self.nodes[node].bootstrap.clone() {
            self.introduce(node, known);
        }
    }

    /// Ends a node's process without a word. `told` says whether those it was connected with notice; whatever was in
    /// the disk's queue is lost, but for the first batches that `lands` says just made it.
    fn crash(&mut self, node: usize, told: bool, lands: usize) {
        if !self.runs(node) {
            return;
        }
        self.note(|core| format!("{} crashes", core.name(node)));
        for _ in 0..lands {
            self.nodes[node].disk.work(1);
        }
        let this = &mut self.nodes[node];
        this.engine = None;
        this.life += 1;
        this.disk.restart();
        this.dialling.clear();
        let sessions = std::mem::take(&mut this.sessions);
        self.crashed(node);
        for session in sessions.into_values() {
            self.leave(session, node, told);
        }
    }

    /// Tells a node where another can be reached.
    fn introduce(&mut self, node: usize, known: usize) {
        let (peer, address) = (Some(self.nodes[known].peer), self.nodes[known].address.clone());
        self.input(node, Input::Discovered { peer, addresses: vec![address] });
    }

    /// Has a node know another from the start, also after restarts.
    fn befriend(&mut self, node: usize, known: usize) {
        self.nodes[node].bootstrap.push(known);
        if self.runs(node) {
            self.introduce(node, known);
        }
    }

    /// Changes a link in both directions. Cutting it ends the sessions on it, and both ends are told.
    fn set_link(&mut self, a: usize, b: usize, state: LinkState) {
        if a == b {
            return;
        }
        self.note(|core| format!("link {} {} is {state:?}", core.name(a), core.name(b)));
        for (from, to) in [(a, b), (b, a)] {
            sessions::change_way(self, from, to, state);
        }
        if state == LinkState::Cut {
            for session in self.sessions_between(a, b) {
                let late = self.random((0, 20));
                for end in 0..2 {
                    self.plan(late, Happening::Down { session, end });
                }
            }
        }
    }

    /// Changes what a link does with what goes from one to the other; the other direction stays as it is, and nobody is told.
    fn set_way(&mut self, from: usize, to: usize, state: LinkState) {
        if from == to {
            return;
        }
        self.note(|core| format!("link {} to {} is {state:?}", core.name(from), core.name(to)));
        sessions::change_way(self, from, to, state);
    }
}

impl<H: Host> Drive for H {}

/// Does everything an engine wants done, and plans its next tick.
fn settle<H: Host>(net: &mut H, node: usize) {
    while let Some(effect) = net.nodes[node].engine.as_mut().and_then(Engine::next_effect) {
        perform(net, node, effect);
    }
    plan_tick(net, node);
    if net.runs(node) {
        net.handled(node);
    }
}

fn plan_tick(core: &mut Core, node: usize) {
    let now = core.now;
    let this = &mut core.nodes[node];
    let Some(engine) = &this.engine else { return };
    this.replica = engine.replica();
    let at = (engine.next_tick() + this.born).max(now);
    if this.tick_at.is_none_or(|planned| at < planned || planned < now) {
        this.tick_at = Some(at);
        let life = this.life;
        core.queue.push(at, Happening::Tick { node, life });
    }
}

fn perform<H: Host>(net: &mut H, node: usize, effect: Effect) {
    match effect {
        Effect::Send { peer, session, frame } => sessions::send(net, node, peer, session, frame),
        Effect::Publish { payload } => {
            net.publishes(node, &payload);
            gossip::publish(net, node, &payload);
        }
        Effect::Store(batch) => {
            if net.nodes[node].disk.fraud == Some(Fraud::Hasty) {
                let life = net.nodes[node].life;
                net.plan(0, Happening::News { node, life, input: Input::Stored(batch.id) });
            }
            net.submit(node, Job::Batch(batch));
        }
        Effect::Load { doc } => net.submit(node, Job::Load(doc)),
        Effect::Dial { peer, addresses } => net.dial(node, peer, &addresses),
        Effect::Disconnect { peer, reason } => {
            let Some(other) = net.whom(node, peer) else { return };
            net.note(|core| format!("{} disconnects {}: {reason}", core.name(node), core.name(other)));
            net.disconnect(node, other);
        }
        Effect::Block { peers } => {
            net.nodes[node].blocking = peers.iter().copied().collect();
            for peer in peers {
                if let Some(other) = net.whom(node, peer) {
                    net.disconnect(node, other);
                }
            }
        }
        Effect::Event(event) => net.event(node, event),
    }
}

/// Lets the next thing happen, if it does by `until`.
fn step<H: Host>(net: &mut H, until: u64) -> bool {
    let Some((at, what)) = net.queue.pop(until) else { return false };
    net.now = at.max(net.now);
    let lives = |net: &H, node: usize, life: u64| net.nodes[node].life == life;
    match what {
        Happening::Tick { node, life } => tick(net, node, life, at),
        Happening::Disk { node, life } if lives(net, node, life) => disk_done(net, node),
        Happening::News { node, life, input } if lives(net, node, life) => {
            note_news(net, node, &input);
            net.input(node, input);
        }
        Happening::Frame { session, end, frame } => sessions::frame_arrives(net, session, end, frame),
        Happening::Gossip { node, life, from, payload } if lives(net, node, life) => {
            gossip::arrives(net, node, from, payload);
        }
        Happening::Knock { from, life, to, known, address } => net.knock(from, life, to, known, address),
        Happening::Up { session, end } => sessions::up(net, session, end),
        Happening::Down { session, end } => sessions::down(net, session, end),
        Happening::Link { a, b, state } => net.set_link(a, b, state),
        Happening::Disk { .. } | Happening::News { .. } | Happening::Gossip { .. } => {}
    }
    true
}

fn note_news(core: &mut Core, node: usize, input: &Input) {
    core.note(|core| {
        let name = core.name(node);
        match input {
            Input::Loaded { doc, stored } => {
                let what = if stored.is_ok() { "read back" } else { "unreadable" };
                format!("{name} {} {what}", core.names.document(*doc))
            }
            Input::Stored(batch) => format!("{name} durable up to batch {}", batch.0),
            other => format!("{name} {other:?}"),
        }
    });
}

fn tick<H: Host>(net: &mut H, node: usize, life: u64, at: u64) {
    if net.nodes[node].life != life || net.nodes[node].tick_at != Some(at) {
        return;
    }
    net.nodes[node].tick_at = None;
    net.input(node, Input::Tick);
    let now = net.now;
    let this = &mut net.nodes[node];
    this.idle_ticks = if this.tick_at == Some(now) { this.idle_ticks + 1 } else { 0 };
    if this.idle_ticks > SPINNING {
        let what = format!("{} spins: it wants a tick at once, again and again", this.name);
        net.broken(what);
    }
}

fn disk_done<H: Host>(net: &mut H, node: usize) {
    let crashing_commits = net.crashing_commits;
    if net.chance(crashing_commits) {
        let (told, lands) = (net.chance(50), usize::from(net.chance(50)));
        return net.crash(node, told, lands);
    }
    let group = net.random((1, 7)) as usize;
    // The news may take a moment: a crash in between finds a commit that nobody was told of.
    let late = net.random((0, 1));
    let disk = &mut net.nodes[node].disk;
    let (failed, is_hasty) = (disk.failed_reads, disk.fraud == Some(Fraud::Hasty));
    let news = disk.work(group);
    disk.busy = false;
    let (failed, life) = (disk.failed_reads - failed, net.nodes[node].life);
    net.tally.unreadable += failed;
    for input in news {
        if !(is_hasty && matches!(input, Input::Stored(_))) {
            net.plan(late, Happening::News { node, life, input });
        }
    }
    net.start_disk(node);
}
