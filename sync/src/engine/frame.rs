//! What two peers say to each other in a session.
//!
//! Every frame is idempotent and may be lost, doubled or come late: nothing remembers what it "must have sent". Before a
//! peer has proved that it knows the space's secret, [`Frame::Hello`], [`Frame::Proof`] and [`Frame::Refuse`] are all
//! that is said and heard.

use rmp_serde::config::BytesMode;
use serde::{Deserialize, Serialize};
use tombolo_crdt::{ReplicaId, Version};

use super::line::Line;
use super::passed_on::Holders;
use super::versions::Digest;
use crate::{DocId, PeerId};

/// The protocol this program speaks, and the oldest it still understands. In protocol 1 nothing was compressed, and
/// replica ids had no numbers; in 2 who was far behind was sent whole states; in 3 lengths of contents were told one by one;
/// in 4 contents one after the other; in 5 ids were told as lists of numbers; in 6 times stood before each content that has one; in 7
/// frames had their names in full, and a greeting told ids and lines twice; in 8 both sides of a large space sent a sketch.
pub const PROTOCOL: u16 = 9;
/// Among the features of a [`Hello`]: `Tell` is understood.
pub const TELLS: u64 = 1;
/// Among the features of a [`Hello`]: `Alike`, `States` and `Diverged` are understood, and `Beyond` as content.
pub const COMPARES: u64 = 2;
/// Among the features of a [`Hello`]: `Wants` and `Wanted` are understood.
pub const SUBSCRIBES: u64 = 4;
/// Among the features of a [`Hello`]: the sender holds a part of the space only, and is going to say which in `Wants`. Before that it is
/// told of no document.
pub const PARTIAL: u64 = 8;
/// Among the features of a [`Hello`]: `AskAcknowledged` and `Acknowledged` are understood.
pub const PASSES_ON: u64 = 16;
/// Among the features of a [`Hello`]: `Push` and `Others` are understood.
pub const PUSHES: u64 = 32;
/// The longest frame, in bytes: 1 MiB.
pub const MAX_FRAME: usize = 1 << 20;
/// Content longer than this travels in parts: 64 KiB.
pub const PART: usize = 64 << 10;
/// Parts shorter than this are not answered with `Got`: 16 KiB.
pub const SMALL_PART: usize = 16 << 10;

/// Names a content: the first half of its BLAKE3 hash.
pub type Hash = [u8; 16];

/// The name of a content.
#[must_use]
pub fn content_hash(bytes: &[u8]) -> Hash {
    let mut hash = [0; 16];
    hash.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
    hash
}

/// Names what a [`Frame::Pull`] asks.
pub(crate) type Question = [u8; 8];

/// One message of a session. A letter tells which, but for what programs of other protocols must understand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// The first word of both sides.
    Hello(Hello),
    /// "I know the secret": half of a keyed hash over both hellos.
    #[serde(rename = "P")]
    Proof([u8; 16]),
    /// The last word: why the session ends.
    Refuse(Refusal),
    /// The first word between proved peers.
    #[serde(rename = "W")]
    Welcome(Welcome),
    /// The answer to `Welcome` and `Line`: what I know of who goes by your replica id.
    #[serde(rename = "M")]
    Met {
        /// The number of the id.
        id: u32,
        /// `None` if I have never heard of it.
        known: Option<Known>,
    },
    /// The line that `Welcome` told is longer by now, under the same id.
    #[serde(rename = "L")]
    Line {
        /// The number of the id.
        id: u32,
        /// As there, without the marks that were told in this session.
        line: Line,
        /// How many were.
        after: u64,
        /// As there.
        asks: bool,
    },
    /// Still here. Answered with `Echo`, and with what follows from the digest.
    #[serde(rename = "B")]
    Beat {
        /// The sender's own time, echoed for measuring the round trip.
        sent: u64,
        /// Over all documents the sender holds durably.
        digest: Digest,
    },
    /// The answer to `Beat`.
    #[serde(rename = "E")]
    Echo {
        /// As it stood in the beat.
        sent: u64,
    },
    /// What I hold durably, of these documents.
    #[serde(rename = "V")]
    Versions {
        /// The documents.
        #[serde(with = "entries")]
        entries: Vec<(DocId, Version)>,
        /// Whether these are the first documents of all that I hold: forget what you believed before.
        first: bool,
        /// Whether these are the last of all that I hold.
        last: bool,
    },
    /// Your digest is not what I believe: tell me your versions.
    #[serde(rename = "A")]
    Ask,
    /// As `Ask`, but only of the documents of which we hold different versions: these are cells of what I hold (`sketch`).
    #[serde(rename = "S")]
    Sketch {
        /// The key of the hashes.
        key: [u64; 2],
        /// The first cells.
        #[serde(with = "bytes")]
        cells: Vec<u8>,
    },
    /// The answer to `Sketch`: what I hold of the documents in which we differ. More of them may follow as `Versions`.
    #[serde(rename = "D")]
    Differences {
        /// The key of the sketch.
        key: [u64; 2],
        /// What I hold.
        #[serde(with = "entries")]
        entries: Vec<(DocId, Version)>,
        /// The hashes of what you hold and I do not, or in another version.
        gone: Vec<u64>,
        /// Whether the sender does not know yet what that is: `Rest` is wanted.
        asks: bool,
    },
    /// The answer to `Differences`: what I held when I sent the sketch of what its hashes named. All else that I hold you hold.
    #[serde(rename = "R")]
    Rest {
        /// The key of the sketch.
        key: [u64; 2],
        /// What I held.
        #[serde(with = "entries")]
        entries: Vec<(DocId, Version)>,
    },
    /// The answer to `Beat` if what you hold is what both of us held once: what I hold is that, but for these.
    #[serde(rename = "c")]
    Since {
        /// The beginning of the digest.
        of: [u8; 8],
        /// What I hold otherwise, or you do not.
        #[serde(with = "entries")]
        entries: Vec<(DocId, Version)>,
        /// What I hold no longer.
        gone: Vec<DocId>,
    },
    /// The answer to `Sketch` if the differences are more than its cells give away.
    #[serde(rename = "T")]
    TooMany {
        /// The key of the sketch.
        key: [u64; 2],
    },
    /// Send me what I lack of this document.
    #[serde(rename = "p")]
    Pull {
        /// The document.
        doc: DocId,
        /// What I know of it; with `alive`, what both of us do.
        version: Version,
        /// Of an interrupted transfer: of which content I have how many of the first parts.
        kept: Option<(Hash, u32)>,
        /// After [`ContentKind::Behind`]: what of that is alive here.
        alive: Option<Alive>,
    },
    /// The answer to `Pull`, whole or in parts: what you lack.
    #[serde(rename = "C")]
    Content {
        /// The document.
        doc: DocId,
        /// Of the whole content: what holds its parts together.
        hash: Hash,
        /// A delta's body, or a state.
        kind: ContentKind,
        /// Which part, from 0.
        part: u32,
        /// How many parts there are.
        parts: u32,
        /// The bytes of this part.
        #[serde(with = "bytes")]
        bytes: Vec<u8>,
    },
    /// The answer to `Content` of some size, wanted or not: send more.
    #[serde(rename = "G")]
    Got {
        /// The document.
        doc: DocId,
        /// Of the whole content.
        hash: Hash,
        /// Which part.
        part: u32,
    },
    /// The answer to `Pull` when there is nothing to send.
    #[serde(rename = "N")]
    Nothing {
        /// The document.
        doc: DocId,
    },
    /// Where somebody can be reached.
    #[serde(rename = "a")]
    Peers {
        /// The sender itself.
        own: Vec<String>,
        /// Others.
        others: Vec<Contact>,
    },
    /// Say so in `Versions` as soon as you hold this durably: somebody waits for it. Only to who understands [`TELLS`].
    #[serde(rename = "t")]
    Tell {
        /// The document.
        doc: DocId,
        /// What of it.
        version: Version,
    },
    /// What I hold of all documents but a few, to be compared with what you hold in the same versions (`compare`). Only to who
    /// understands [`COMPARES`].
    #[serde(rename = "l")]
    Alike {
        /// Not of these, at most 256.
        but: Vec<DocId>,
        /// Over the versions of all others.
        versions: Digest,
        /// Over their states.
        states: Hash,
        /// Whether the same of the receiver is wanted.
        asks: bool,
    },
    /// The same of some documents, at most 256: each with hashes of its version and its state.
    #[serde(rename = "s")]
    States(Vec<(DocId, Hash, Hash)>),
    /// I hold something else of this document than you under the same names of events: I give you nothing of it, and take nothing.
    /// Only to who understands [`COMPARES`].
    #[serde(rename = "d")]
    Diverged {
        /// The document.
        doc: DocId,
    },
    /// What have other members acknowledged of these documents, at most 64? Only to who understands `PASSES_ON`.
    #[serde(rename = "k")]
    AskAcknowledged {
        /// The documents.
        docs: Vec<DocId>,
    },
    /// The answer to `AskAcknowledged`.
    #[serde(rename = "K")]
    Acknowledged {
        /// What I know of who belongs to the space.
        members: Version,
        /// How long ago I heard of a member, in milliseconds; of whom I have not heard nothing is said.
        silent: Vec<(PeerId, u64)>,
        /// What members have acknowledged of a document.
        documents: Vec<(DocId, Holders)>,
    },
    /// Which documents I want. Only to who understands [`SUBSCRIBES`].
    #[serde(rename = "w")]
    Wants {
        /// Ascending within a session: what comes late does not count.
        number: u64,
        /// Those whose names begin with one of these.
        prefixes: Vec<String>,
        /// I hold more than that, of names that begin with one of these, until somebody who wants it holds it durably.
        keeps: Vec<String>,
    },
    /// The answer to `Wants`.
    #[serde(rename = "x")]
    Wanted {
        /// Its number.
        number: u64,
    },
    /// What has just become durable at the sender, which wrote it: a hint, as what is gossiped. Only to who understands [`PUSHES`].
    #[serde(rename = "u")]
    Push {
        /// The document.
        doc: DocId,
        /// The body of a delta, with replica ids by numbers as in [`ContentKind::Named`].
        #[serde(with = "bytes")]
        delta: Vec<u8>,
    },
    /// With whom else the sender has a session: the first of them, if they are many. Nobody as long as it has not said so. Only to who
    /// understands [`PUSHES`].
    #[serde(rename = "o")]
    Others(Vec<PeerId>),
}

/// The first word of a session: who understands what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest and the newest protocol the sender understands.
    pub protocols: (u16, u16),
    /// What the sender can do beyond the protocol. Unknown bits are ignored.
    pub features: u64,
    /// Which application: a hash of its id.
    pub application: [u8; 16],
    /// Fresh for this session.
    pub nonce: [u8; 32],
    /// The longest frame the sender takes.
    pub max_frame: u32,
}

/// How a proved peer introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The sender's incarnation.
    pub replica: ReplicaId,
    /// How many others it has gone by in this session: the number of this one.
    pub id: u32,
    /// What its user calls it.
    pub name: String,
    /// Its wall time, in milliseconds since the Unix epoch.
    pub wall_millis: u64,
    /// What the sender calls by the number 0 in [`ContentKind::Named`], if that is not `replica`: it went by another id before.
    pub first: Option<ReplicaId>,
    /// What it calls by the numbers after that: fewer than [`MAX_NAMES`] replica ids. The same whenever it says so again in this session.
    pub names: Vec<ReplicaId>,
    /// The marks the sender's store has left under `replica`, as far as they are durable and what was written under them may be seen,
    /// but for those that the receiver is known to have heard.
    pub line: Line,
    /// How many these are. Who has not asks for all of them: it says hello again.
    pub after: u64,
    /// Whether `Met` is wanted: the sender has not heard yet what the receiver knows of `replica`.
    pub asks: bool,
    /// The ids under which the sender's store wrote before, with the marks of which it has what was written: at most
    /// [`MAX_FORMER`].
    pub former: Vec<(ReplicaId, Line)>,
}

/// What one knows of another that goes by some replica id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Known {
    /// What it has just said of itself: so many marks.
    #[serde(rename = "s")]
    Said(u64),
    /// Something else.
    #[serde(rename = "l")]
    Line {
        /// Its line.
        line: Line,
        /// Whether it told so itself; others may have.
        met: bool,
    },
}

/// Of how many of its former ids a store tells the line.
pub const MAX_FORMER: usize = 8;

/// How many replica ids a side of a session calls by numbers.
pub const MAX_NAMES: usize = 256;

/// Why a session ends before it has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The ranges of protocols do not meet.
    #[error("no protocol in common: update the older of the two programs")]
    Protocol,
    /// Another application.
    #[error("it belongs to another application")]
    Application,
    /// The proof is not that of this space.
    #[error(
        "it could not prove that it knows the space's secret: it is of another space, or the secret was renewed and one of the two has the old one and must join with a new ticket"
    )]
    Secret,
    /// Bytes that are no frame, or a frame that is out of place.
    #[error("it sent what cannot be understood")]
    Malformed,
    /// It, or we, may have written under a replica id that another store has used.
    #[error(
        "two stores wrote under one replica id, so nothing is exchanged: keep what one of them alone has, and let it join anew as an empty home"
    )]
    Forked,
    /// The proof did not come in time.
    #[error("it took too long to introduce itself")]
    TooSlow,
}

/// What content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentKind {
    /// The body of a delta.
    #[serde(rename = "D")]
    Delta,
    /// A whole state, in its envelope.
    #[serde(rename = "S")]
    State,
    /// The body of a delta, with replica ids as the sender numbered them in its [`Welcome`].
    #[serde(rename = "N")]
    Named,
    /// Not content yet: what was removed since is forgotten, so tell what of it is alive with you ([`Behind`](super::behind::Behind)).
    #[serde(rename = "B")]
    Behind,
    /// A piece of a large state ([`Piece`](super::staging::Piece)).
    #[serde(rename = "P")]
    Piece,
    /// What who was [`Behind`](Self::Behind) lacks: the name of the question, 8 bytes, the fingerprint of what both have alive of the
    /// base, 16 bytes, then the body of a delta. Only to who understands [`COMPARES`].
    #[serde(rename = "Y")]
    Beyond,
    /// The same of a delta as in [`Named`](Self::Named).
    #[serde(rename = "n")]
    BeyondNamed,
}

/// Which dots are alive, by their numbers below a base that both sides know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alive {
    /// The lengths of their runs, and of the gaps between them (`runs`).
    #[serde(rename = "R")]
    Runs(#[serde(with = "bytes")] Vec<u8>),
    /// Sums of their powers (`powers`).
    #[serde(rename = "S")]
    Sums(#[serde(with = "bytes")] Vec<u8>),
    /// The first cells of their sketch (`sketch`).
    #[serde(rename = "C")]
    Cells {
        /// The key of the sketch.
        key: [u64; 2],
        /// The cells.
        #[serde(with = "bytes")]
        cells: Vec<u8>,
    },
    /// More than a frame holds: send the state.
    #[serde(rename = "U")]
    Unsaid,
    /// After [`ContentKind::Piece`]: all below this number is here as you had it. Send what follows, at last what came since.
    #[serde(rename = "G")]
    Staged(u64),
}

impl Alive {
    /// Names the question in which this is said to be alive below `base`.
    pub(crate) fn question(&self, base: &Version) -> Question {
        let said = rmp_serde::to_vec(&(base, self)).expect("it consists of what MessagePack can say");
        let mut question = Question::default();
        question.copy_from_slice(&content_hash(&said)[..8]);
        question
    }
}

/// Where a peer can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The peer.
    pub peer: PeerId,
    /// Its addresses.
    pub addresses: Vec<String>,
}

impl Frame {
    /// The frame in bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        written(self)
    }

    /// Reads a frame; `None` if the bytes are none, or too many.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_FRAME {
            return None;
        }
        rmp_serde::from_slice(bytes).ok()
    }
}

/// Whether these are the bytes of a [`Frame::Push`]. For simulators, which lose hints more often than other frames.
#[doc(hidden)]
#[must_use]
pub fn is_push(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x81, 0xa1, b'u'])
}

/// Reads any bytes as a frame, and drops it. For fuzzing.
#[doc(hidden)]
#[must_use]
pub fn decodes_as_frame(bytes: &[u8]) -> bool {
    Frame::decode(bytes).is_some()
}

/// As MessagePack, with ids and hashes as byte strings: a list of numbers takes half as much again.
pub(super) fn written(said: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_bytes(BytesMode::ForceAll);
    said.serialize(&mut serializer).expect("it consists of what MessagePack can say");
    bytes
}

/// Versions of documents, with each replica id told once: they have the same authors mostly.
mod entries {
    use std::collections::BTreeMap;

    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use tombolo_crdt::{ReplicaId, Version};

    use crate::DocId;

    /// How many counters there are at most in a frame: more than are written. One takes three bytes or more, and some fifty in memory.
    const MOST: usize = 1 << 16;

    /// The ids, and by document how far each is known, by its place among them.
    type Told = (Vec<ReplicaId>, Vec<(DocId, Vec<(u32, u64)>)>);

    pub(super) fn serialize<S: Serializer>(
        entries: &[(DocId, Version)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let (mut ids, mut places) = (Vec::new(), BTreeMap::new());
        let mut place = |id| {
            *places.entry(id).or_insert_with(|| {
                ids.push(id);
                ids.len() as u32 - 1
            })
        };
        let told = |(doc, version): &(DocId, Version)| {
            (*doc, version.iter().map(|(id, last)| (place(id), last)).collect())
        };
        let told: Vec<(DocId, Vec<(u32, u64)>)> = entries.iter().map(told).collect();
        (ids, told).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(DocId, Version)>, D::Error> {
        let (ids, told) = Told::deserialize(deserializer)?;
        if told.iter().map(|(_, counters)| counters.len()).sum::<usize>() > MOST {
            return Err(D::Error::custom("more counters than a frame may have"));
        }
        let counter = |(place, last): (u32, u64)| {
            let id =
                ids.get(place as usize).ok_or_else(|| D::Error::custom("a replica id that was not told"))?;
            Ok((*id, last))
        };
        let entry = |(doc, counters): (DocId, Vec<(u32, u64)>)| {
            Ok((doc, counters.into_iter().map(counter).collect::<Result<Version, _>>()?))
        };
        told.into_iter().map(entry).collect()
    }
}

/// Byte strings as byte strings, not as arrays of numbers.
pub(super) mod bytes {
    use serde::de::{SeqAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub(in crate::engine) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(in crate::engine) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}
