//! The sync engine: a state machine without I/O, clock or randomness of its own.
//!
//! [`Input`]s go in with the time, [`Effect`]s come out; whoever drives it sends, stores and dials. So thousands of
//! engines run deterministically in one test, and a failing run replays from its seed.
//!
//! *Storage comes first, repair is the truth, live push is a hint.*
//! 1. A commit is visible at once, stored, and only when durable pushed, in sessions (`direct`) or by gossip, as one delta-group with
//!    its neighbours (`live`).
//! 2. Every node tells every proved peer which versions it holds durably; who sees that it lacks something pulls it
//!    (`repair`). Beats carry a digest over all versions, so a lost message is noticed within a second.
//! 3. Sessions remember nothing that must have arrived. Every frame may be lost, doubled or late.

mod absent;
mod apart;
#[doc(hidden)]
pub mod baseline;
mod behind;
mod bits;
pub(crate) mod book;
mod compare;
mod concern;
mod counts;
mod direct;
mod directory;
mod document;
mod effect;
mod forget;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod gossip;
mod greeting;
mod handshake;
mod head;
mod holdings;
mod incarnation;
mod kept;
mod line;
mod links;
mod live;
mod members;
mod memory;
mod part;
mod passed_on;
mod past;
mod peer;
mod powers;
mod pulls;
mod repair;
mod runs;
mod serve;
mod session;
mod sketch;
mod staging;
mod status;
mod storage;
mod subscription;
mod tell;
mod undo;
mod update;
mod versions;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{DecodeError, Limits, Opaque, Replica, ReplicaId, Version};

use crate::space::Secret;
use crate::store::{Store, StoreError, Stored, Write};
use crate::{DocId, PeerId};
use book::{Book, Source};
use compare::Fingerprints;
use concern::Waits;
pub(crate) use directory::Directory;
use document::Us;
use forget::Forget;
use gossip::Seal;
use handshake::Credentials;
use holdings::Holdings;
use incarnation::Lines;
use members::Roll;
use memory::Memory;
use part::Part;
use peer::Peer;
use pulls::Pulls;
use staging::Staging;
use storage::{Batches, Noted, Place, Slot};
use undo::Doomed;
use versions::Versions;

pub use concern::{Arrival, Copies, Level, Outcome, WaitId, Written};
pub use counts::{Counts, Frames, Gauges};
pub use direct::DEFAULT_DIRECT;
pub use directory::Listed;
pub(crate) use directory::list as listed_in;
pub use effect::{Batch, BatchId, Effect, Event, Input, Now, Origin, SessionId, Transport};
pub use frame::{MAX_FRAME, decodes_as_frame};
pub use gossip::MAX_PAYLOAD;
pub use incarnation::REPLICA_RECORD;
pub use members::{Forgetting, LEFT_RECORD, Membership};
#[cfg(feature = "net")]
pub(crate) use part::last_subscription;
#[cfg(feature = "net")]
pub(crate) use session::REFUSED;
pub use status::{DocumentStatus, PeerStatus, Status};
pub use subscription::{MAX_PREFIX, MAX_PREFIXES, Subscription, SubscriptionError};
pub use update::{NotMerged, OpenError, UpdateError};
pub use watch::Step;

/// What frames and payloads look like inside, for simulators and fuzzers. No part of the stable interface.
#[doc(hidden)]
pub mod wire {
    pub use super::behind::{Behind, Estimate};
    pub use super::frame::{
        Alive, COMPARES, Contact, ContentKind, Frame, Hello, Known, MAX_FORMER, MAX_FRAME, MAX_NAMES, PART,
        PARTIAL, PUSHES, Refusal, SUBSCRIBES, TELLS, Welcome, content_hash, is_push,
    };
    pub use super::gossip::{open_payload, seal_payload};
    pub use super::line::Line;
    pub use super::staging::Piece;
}

/// What an engine must be told about itself.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our key.
    pub peer: PeerId,
    /// The incarnation of the store.
    pub replica: ReplicaId,
    /// What our user calls this node.
    pub name: String,
    /// Keeps different applications apart.
    pub application: String,
    /// The space's secret.
    pub secret: Secret,
    /// What decoding content from peers may cost.
    pub limits: Limits,
    /// Which documents are held.
    pub subscription: Subscription,
    /// How many documents there may be.
    pub max_documents: usize,
    /// About how many bytes of memory documents may take that nobody holds open. What is more is on the disk only, and read when it is
    /// needed; documents that are open stay in memory, and count.
    pub memory: usize,
    /// When removals are forgotten.
    pub forgetting: Forgetting,
    /// To how many peers at most what is written here is sent in their sessions, if these reach everyone. Where there are more it is
    /// gossiped. 0: it is always gossiped.
    pub direct: usize,
    /// A mistake made on purpose, for tests that show that it is noticed.
    #[doc(hidden)]
    pub mistake: Option<Mistake>,
    /// Seeds everything random: nonces and pauses.
    pub seed: [u8; 32],
}

/// A rule of the protocol that is broken on purpose. No part of the stable interface.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// Nothing that is lacked is ever asked for: gossip is all there is.
    NoPull,
    /// Who is so far behind that removals since are forgotten is told what was added, and nothing else.
    RemovalsUntold,
    /// A removal is forgotten as soon as it is durable here.
    ForgetsTooSoon,
    /// A removal is forgotten as soon as all have acknowledged it, also where what they wrote before that has not come yet.
    AcknowledgedIsStable,
    /// Of nodes that hold a part of a space only nothing is known, as in an earlier program.
    KnowsNoParts,
    /// Few differences are told in cells as many are, as in an earlier program.
    KnowsNoSums,
    /// What is not subscribed to any more is dropped at once, whoever else holds it.
    DropsAtOnce,
}

/// About how many bytes of memory documents may take that nobody holds open, if nothing else is said: 256 MiB.
pub const DEFAULT_MEMORY: usize = 256 << 20;

/// Why an engine cannot start from what a store holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document in the store cannot be read.
    #[error(
        "document {doc} in the store is damaged: {why}; restore a backup, or save the others with `tombolo inspect --salvage`"
    )]
    Document {
        /// Which.
        doc: DocId,
        /// What is wrong.
        why: DecodeError,
    },
    /// A record in the store cannot be read.
    #[error("the record `{0}` in the store is damaged; restore the store from a backup")]
    Record(String),
}

/// The state machine of one node.
pub struct Engine {
    config: Config,
    us: Us,
    lines: Lines,
    credentials: Credentials,
    seal: Seal,
    rng: ChaCha8Rng,
    now: Now,
    effects: VecDeque<Effect>,
    documents: BTreeMap<DocId, Slot>,
    /// Which of them are in memory.
    memory: Memory,
    /// What we hold durably, and may tell others.
    durable: Holdings,
    /// What we hold of the space.
    part: Part,
    /// Deleted documents: not kept, not taken in.
    deleted: BTreeSet<DocId>,
    batches: Batches,
    /// Whether equal versions mean equal states.
    fingerprints: Fingerprints,
    /// Deleted documents whose deletion is not durable yet.
    doomed: BTreeMap<DocId, Doomed>,
    /// Documents that have to be read back from the disk.
    stale: BTreeSet<DocId>,
    /// What the disk refused and is not content: written again.
    unsaved: BTreeMap<Place, Write>,
    /// When to ask the disk again.
    retry_at: Option<u64>,
    peers: BTreeMap<PeerId, Peer>,
    pulls: Pulls,
    /// Documents that arrive in pieces.
    staging: BTreeMap<DocId, Staging>,
    book: Book,
    /// When somebody is to be dialled next, or is to be thought about.
    dial_at: u64,
    /// Cut off from everybody, on purpose.
    isolated: bool,
    /// Off the network for a while: the machine or the application sleeps.
    suspended: bool,
    listening: Vec<String>,
    /// Durable versions that are to be told to the peers, and when.
    announce: BTreeMap<DocId, Version>,
    announce_at: Option<u64>,
    /// Documents of which something is to be pushed, and when it may be.
    push: BTreeSet<DocId>,
    push_at: u64,
    pushed: u64,
    /// When anything was gossiped last.
    gossiped_at: Option<u64>,
    /// With whom we have sessions has changed since peers were told.
    others_changed: bool,
    /// Who waits for what others do.
    waits: Waits,
    /// Who belongs to the space, and has acknowledged what.
    roll: Roll,
    forget: Forget,
    counts: Counts,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("peer", &self.config.peer).finish_non_exhaustive()
    }
}

/// Whether this node is cut off from everybody on purpose stands under this name in the store.
const ISOLATED: &str = "isolated";

impl Engine {
    /// An engine with everything a store holds.
    ///
    /// # Errors
    /// When the store cannot be read or a document in it is damaged.
    pub fn start(config: Config, store: &dyn Store, now: Now) -> Result<Self, StartError> {
        let mut rng = ChaCha8Rng::from_seed(config.seed);
        let mut engine = Self {
            us: Us { replica: config.replica, hash_seed: rng.random() },
            lines: Lines::load(store, config.replica)?,
            credentials: Credentials::new(config.peer, &config.application, &config.secret),
            seal: Seal::new(&config.secret),
            rng,
            now,
            effects: VecDeque::new(),
            documents: BTreeMap::new(),
            memory: Memory::default(),
            durable: Holdings::default(),
            part: Part::load(store)?,
            deleted: BTreeSet::new(),
            batches: Batches::default(),
            fingerprints: Fingerprints::load(&config.secret, store)?,
            doomed: BTreeMap::new(),
            stale: BTreeSet::new(),
            unsaved: BTreeMap::new(),
            retry_at: None,
            peers: BTreeMap::new(),
            pulls: Pulls::default(),
            staging: BTreeMap::new(),
            book: Book::default(),
            dial_at: 0,
            isolated: store.record(ISOLATED)?.is_some(),
            suspended: false,
            listening: Vec::new(),
            announce: BTreeMap::new(),
            announce_at: None,
            push: BTreeSet::new(),
            push_at: 0,
            pushed: 0,
            gossiped_at: None,
            others_changed: false,
            waits: Waits::default(),
            roll: Roll::load(store)?,
            forget: Forget::default(),
            counts: Counts::default(),
            config,
        };
        for (key, value) in store.records(book::RECORDS)? {
            if !engine.book.load(&key, &value) {
                return Err(StartError::Record(key));
            }
        }
        let directory = store.document(DocId::DIRECTORY)?;
        let us = engine.us;
        let damaged = |doc| move |why| StartError::Document { doc, why };
        let mut body =
            document::from_store::<Directory>(us, directory.as_ref()).map_err(damaged(DocId::DIRECTORY))?;
        let mut renamed = Vec::new();
        if engine.lines.rename(DocId::DIRECTORY, &mut body) {
            renamed.push(DocId::DIRECTORY);
        }
        engine.insert_stored(DocId::DIRECTORY, Box::new(body), directory.as_ref());
        engine.deleted = directory::deleted(engine.directory());
        let mut removals = Vec::new();
        let mut heads = head::load(store, engine.fingerprints.under())?;
        for doc in store.documents()? {
            if doc == DocId::DIRECTORY {
                continue;
            }
            if engine.deleted.contains(&doc) {
                // We ended between the deletion and this.
                removals.push(Write::Remove { doc });
                continue;
            }
            let head = heads.remove(&doc);
            let is_noted = head.is_some();
            if let Some(head) = head.flatten()
                && !memory::is_own(doc)
                && !engine.lines.apart.renames(doc, &head.version)
            {
                engine.durable.set(doc, head.version.clone());
                engine.documents.insert(doc, head.slot());
                continue;
            }
            let stored = store.document(doc)?;
            let mut body = document::from_store::<Opaque>(us, stored.as_ref()).map_err(damaged(doc))?;
            let is_renamed = engine.lines.rename(doc, &mut body);
            engine.insert_stored(doc, Box::new(body), stored.as_ref());
            if is_noted && let Some(slot) = engine.documents.get_mut(&doc) {
                slot.noted = Noted::Perhaps;
            }
            if is_renamed {
                renamed.push(doc);
            } else {
                engine.touch(doc);
                engine.memory.note_soon(doc, now.millis);
                engine.tend_memory();
            }
        }
        removals.extend(heads.into_keys().map(head::gone));
        engine.read_members();
        engine.settle_forks(&renamed);
        engine.load_staging(store)?;
        engine.begin_part();
        if !removals.is_empty() {
            engine.submit_others(removals);
        }
        let peers = engine.book.blocked();
        if !peers.is_empty() {
            engine.effects.push_back(Effect::Block { peers });
        }
        Ok(engine)
    }

    fn insert_stored(&mut self, doc: DocId, body: Box<dyn document::Document>, stored: Option<&Stored>) {
        self.durable.set(doc, body.version());
        self.documents.insert(doc, Slot::new(body, stored));
    }

    /// Takes in what happened; what is to be done comes out of [`next_effect`](Self::next_effect).
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        self.perhaps_begin_anew();
        match input {
            Input::Tick => {}
            Input::Up { peer, session, address, transport, dialer } => {
                self.session_up(peer, session, address, transport, dialer);
            }
            Input::Down { peer, session } => self.session_down(peer, session),
            Input::Frame { peer, session, frame } => self.frame(peer, session, &frame),
            Input::Gossip { from, payload } => self.gossip(from, &payload),
            Input::Stored(batch) => {
                self.stored(batch);
                self.counts.durable(batch);
                self.copied_here(batch);
                self.tell_who_asked();
            }
            Input::StoreFailed { first, reason } => {
                // Of what is known to be lost each batch is told once more.
                if self.batches.is_in_flight(first) {
                    self.counts.refused(first);
                }
                self.store_failed(first, &reason);
            }
            Input::Loaded { doc, stored } => self.loaded(doc, stored),
            Input::Discovered { peer, addresses } => self.learn(peer, &addresses, Source::FirstHand),
            Input::DialFailed { peer, addresses } => {
                tracing::debug!(?peer, ?addresses, "dialling failed");
            }
            Input::Listening { addresses } => self.listening(addresses),
            Input::NetworkChanged => self.hurry(),
        }
        self.work();
    }

    /// What is to be done next.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Input::Tick`] is wanted, if nothing happens before: milliseconds on the scale of [`Now::millis`].
    #[must_use]
    pub fn next_tick(&self) -> u64 {
        let now = self.now.millis;
        let sessions = self.peers.values().map(|peer| self.session_deadline(peer));
        let dials = Some(self.dial_at).filter(|_| !self.isolated && !self.suspended);
        let push = Some(self.push_at).filter(|_| !self.push.is_empty() && !self.lines.is_apart());
        let others =
            [dials, self.announce_at, push, self.retry_at, self.pulls.deadline(), self.ask_deadline()];
        let others = others.into_iter().chain([self.part.deadline()]);
        let soonest = sessions.chain(others.flatten()).min();
        soonest.unwrap_or(u64::MAX).clamp(now, now + 1_000)
    }

    /// Everything that is due by now.
    fn work(&mut self) {
        self.tend_sessions();
        self.tend_part();
        self.tend_pulls();
        self.tend_disk();
        self.dial();
        self.tell_others();
        self.push();
        if self.announce_at.is_some_and(|at| at <= self.now.millis) {
            self.announce();
        }
        self.tend_waits();
        self.tend_garbage();
        self.ask_to_tell();
        // SUBTLE: last. Nothing that is in memory goes while something is being done with it.
        self.tend_memory();
    }

    /// Our key.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.config.peer
    }

    /// The incarnation of our store. A peer may know more of it than we do; then we go on under another.
    #[must_use]
    pub fn replica(&self) -> ReplicaId {
        self.config.replica
    }

    /// Whether something was written here that no peer is shown before one has told all it holds: another store may have written
    /// under our replica id meanwhile.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.lines.is_apart()
    }

    /// A document's state in canonical bytes: equal at all nodes of equal version, but for the name of the type,
    /// which a node that has not opened the document does not write. `None` if it is not there, or on the disk only.
    #[must_use]
    pub fn encoded(&self, doc: DocId) -> Option<Vec<u8>> {
        Some(self.documents.get(&doc).filter(|slot| !slot.is_absent())?.body.state())
    }

    /// The same of a document that is on the disk only, given what the disk holds of it. For simulators.
    #[doc(hidden)]
    #[must_use]
    pub fn encoded_of(&self, doc: DocId, stored: &Stored) -> Option<Vec<u8>> {
        let mut body = document::from_store::<Opaque>(self.us, Some(stored)).ok()?;
        self.lines.rename(doc, &mut body);
        Some(body.encode())
    }

    /// All documents this node holds something of, listed or not.
    pub fn held_documents(&self) -> impl Iterator<Item = DocId> + '_ {
        self.documents.keys().copied()
    }

    /// Whether the document was deleted, as far as this node has heard.
    #[must_use]
    pub fn is_deleted(&self, doc: DocId) -> bool {
        self.deleted.contains(&doc)
    }

    /// The documents there are, by name, then type.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        directory::list(self.directory())
    }

    fn directory(&self) -> &Replica<Directory> {
        self.documents[&DocId::DIRECTORY]
            .body
            .as_any()
            .downcast_ref()
            .expect("the directory is always open, as what it is")
    }

    fn event(&mut self, event: Event) {
        self.effects.push_back(Effect::Event(event));
    }
}
