//! What goes into an engine and what comes out.

use tombolo_crdt::Version;

use super::concern::WaitId;
use super::watch::Step;
use crate::store::{Stored, Write};
use crate::{DocId, PeerId};

/// The time, handed in: the engine reads no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since some start; never goes back. For timers.
    pub millis: u64,
    /// Milliseconds since the Unix epoch; may jump. For last-writer-wins stamps.
    pub wall_millis: u64,
}

/// One connection to a peer that became its session. A later session of the same peer has a larger id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What carries a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// TCP with noise and yamux.
    Tcp,
    /// QUIC.
    Quic,
    /// Anything else, a simulator for instance.
    Other,
}

impl Transport {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
            Self::Other => "other",
        }
    }
}

/// Names one batch of writes; ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// Writes that must become durable together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Which.
    pub id: BatchId,
    /// SUBTLE: raised when a batch has failed. A batch of an older generation than the last failure must not be
    /// written any more: it builds on what was not.
    pub generation: u64,
    /// The writes, in order.
    pub writes: Vec<Write>,
}

/// Something that happened outside.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// Time has passed.
    Tick,
    /// A session with a peer is ready for frames.
    Up {
        /// The peer, authenticated by the transport.
        peer: PeerId,
        /// The session.
        session: SessionId,
        /// The peer's address, if it can be dialled again.
        address: Option<String>,
        /// What carries it.
        transport: Transport,
        /// Whether we dialled.
        dialer: bool,
    },
    /// A session has ended.
    Down {
        /// The peer.
        peer: PeerId,
        /// The session.
        session: SessionId,
    },
    /// A frame arrived.
    Frame {
        /// From whom.
        peer: PeerId,
        /// In which session.
        session: SessionId,
        /// The bytes.
        frame: Vec<u8>,
    },
    /// A gossip payload arrived.
    Gossip {
        /// Who passed it on to us; not necessarily its author.
        from: PeerId,
        /// The bytes.
        payload: Vec<u8>,
    },
    /// All batches up to and including this one are durable.
    Stored(BatchId),
    /// The disk refused this batch; the driver refuses all later ones of its generation.
    StoreFailed {
        /// The first batch that is not durable.
        first: BatchId,
        /// What the disk said.
        reason: String,
    },
    /// The answer to [`Effect::Load`].
    Loaded {
        /// The document.
        doc: DocId,
        /// What the store holds of it; an error leaves the document as it is: unwritable, or on the disk only.
        stored: Result<Option<Stored>, String>,
    },
    /// Somebody who may be a peer can be reached here.
    Discovered {
        /// Who, if it is known.
        peer: Option<PeerId>,
        /// Where.
        addresses: Vec<String>,
    },
    /// Dialling failed.
    DialFailed {
        /// Whom, if it was known.
        peer: Option<PeerId>,
        /// Where.
        addresses: Vec<String>,
    },
    /// We can be reached here.
    Listening {
        /// Our addresses, all of them.
        addresses: Vec<String>,
    },
    /// The network changed, or the machine woke up: redial at once.
    NetworkChanged,
}

/// Something to be done outside.
#[derive(Debug)]
#[non_exhaustive]
pub enum Effect {
    /// Send a frame in a session. It may be lost with the session; nothing depends on it.
    Send {
        /// To whom.
        peer: PeerId,
        /// In which session.
        session: SessionId,
        /// The bytes.
        frame: Vec<u8>,
    },
    /// Gossip a payload. A hint: it may be lost without notice.
    Publish {
        /// The bytes.
        payload: Vec<u8>,
    },
    /// Make a batch durable.
    Store(Batch),
    /// Read a document from the store, after every batch so far, and answer with [`Input::Loaded`].
    Load {
        /// The document.
        doc: DocId,
    },
    /// Dial a peer.
    Dial {
        /// Whom, if it is known.
        peer: Option<PeerId>,
        /// Where, best first.
        addresses: Vec<String>,
    },
    /// Cut all connections to a peer.
    Disconnect {
        /// Whom.
        peer: PeerId,
        /// Why, for logs.
        reason: &'static str,
    },
    /// Refuse connections from and to exactly these peers from now on.
    Block {
        /// Whom.
        peers: Vec<PeerId>,
    },
    /// Tell the application.
    Event(Event),
}

/// Who made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// This node.
    Local,
    /// It came from this peer, which need not be its author.
    Peer(PeerId),
    /// This node has forgotten removals that all members know; the value is what it was.
    Swept,
    /// What was written here alone goes by another replica id now; the value is what it was.
    Renamed,
    /// The disk refused a write, and the document went back to its last durable state.
    Undone,
}

/// Something an application may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A document's value changed.
    Changed {
        /// The document.
        doc: DocId,
        /// By whom.
        origin: Origin,
        /// What the document knows now.
        version: Version,
    },
    /// What became different in a document that is [watched](crate::engine::Engine::watch).
    Watched {
        /// The document.
        doc: DocId,
        /// What.
        step: Step,
    },
    /// A document that was watched is gone for good: nothing more is told of it.
    Unwatched {
        /// Which.
        doc: DocId,
    },
    /// Documents came into being or were deleted.
    Directory,
    /// All batches up to this one are durable.
    Durable(BatchId),
    /// The batches after `kept` up to `last` are not durable and have been undone.
    NotDurable {
        /// The last durable batch.
        kept: BatchId,
        /// The last batch that is lost.
        last: BatchId,
        /// What the disk said.
        reason: String,
    },
    /// A peer proved that it belongs to the space.
    PeerReady {
        /// Who.
        peer: PeerId,
    },
    /// A peer's session ended.
    PeerGone {
        /// Who.
        peer: PeerId,
    },
    /// A peer was refused, or refused us.
    Refused {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: String,
    },
    /// A peer knows of what we wrote what we do not: our store was set back, or another wrote under our replica id.
    Overtaken {
        /// Who.
        peer: PeerId,
        /// Whether others may have seen what was written here since: the peer is refused then. Else we go on under a new replica id,
        /// which has what was written here alone, and take in what the peer knows.
        forked: bool,
    },
    /// A peer holds something else of a document, in the same version or under the same names of events: two stores wrote under one
    /// replica id unnoticed, or a disk or a program changed what it held. To join the two would lose what only one of them has, so nothing of the document is exchanged
    /// between them any more, until one of them begins anew: keep what it alone has, and let it join as an empty home.
    Diverged {
        /// Who.
        peer: PeerId,
        /// Which document.
        doc: DocId,
    },
    /// Nobody waits for this member any more before removals are forgotten: it was silent for too long, or was released by hand.
    Released {
        /// Who.
        peer: PeerId,
    },
    /// A document that was on the disk only has been read, or could not be: why not.
    Loaded {
        /// Which.
        doc: DocId,
        /// Why it could not be read.
        failed: Option<String>,
    },
    /// A document that nobody holds open is on the disk only from here on.
    Evicted {
        /// Which.
        doc: DocId,
    },
    /// A document that we do not subscribe to is not held any more: somebody who wants it holds it durably.
    Dropped {
        /// Which.
        doc: DocId,
    },
    /// A wait has come to something: ask for its [`outcome`](crate::engine::Engine::outcome).
    Awaited(WaitId),
    /// The state of synchronisation may have changed: ask for [`status`](crate::engine::Engine::status).
    Progress,
}
