//! A whole engine with a hostile peer, and the doors before it.

use std::collections::{BTreeMap, VecDeque};

use arbitrary::{Arbitrary, Unstructured};
use tombolo_crdt::{Doc, Limits, ReplicaId, Scalar, Version};
use tombolo_sync::engine::wire::{
    Alive, Contact, ContentKind, Frame, Hello, Known, Line, Refusal, Welcome, content_hash, open_payload,
    seal_payload,
};
use tombolo_sync::engine::{
    Batch, Config, DEFAULT_DIRECT, Effect, Engine, Event, Forgetting, Input, MAX_FRAME, MAX_PAYLOAD, Now,
    SessionId, Subscription, Transport, decodes_as_frame, fuzzing,
};
use tombolo_sync::store::{MemoryStore, Store};
use tombolo_sync::{DocId, PeerId, Secret, Ticket};

use crate::memory::{peak_of, within};
use crate::program::{Op, Subject};
use crate::{trace, wire};

const APPLICATION: &str = "fuzz";
const SECRET: Secret = Secret::from_bytes([7; 32]);
const US: PeerId = PeerId::from_bytes([0x10; 32]);
const HOSTILE: PeerId = PeerId::from_bytes([0x20; 32]);
const HONEST: PeerId = PeerId::from_bytes([0x30; 32]);
/// The document that is open here as a [`Doc`]; the honest peer passes it on without opening it.
const NAME: &str = "board";
const MAX_STEPS: usize = 64;

/// What one frame may take when it is read: a list of empty texts is the worst, of 24 bytes each and twice that while
/// it grows; serde reserves up to a MiB on the word of a length.
const FRAME_PER_BYTE: usize = 80;
const FRAME_BESIDE: usize = 3 << 20;

/// What one input may make an engine take, for each byte that ever came in, and beside.
const ENGINE_PER_BYTE: usize = 400;
const ENGINE_BESIDE: usize = 8 << 20;

/// Frames between honest peers in ten seconds in which nobody writes: two beats a second with their echoes are 40.
const QUIET: usize = 400;

/// Input: a frame.
pub fn frames(data: &[u8]) {
    let bound = FRAME_PER_BYTE * data.len() + FRAME_BESIDE;
    if !within(bound, "reading a frame", || decodes_as_frame(data)) {
        return;
    }
    let frame = Frame::decode(data).expect("it decoded a moment ago");
    let again = frame.encode();
    if again.len() <= MAX_FRAME {
        assert_eq!(Frame::decode(&again).as_ref(), Some(&frame), "a frame reads back as it was written");
    }
    let _ = format!("{frame:?}");
}

/// Input: a ticket's text.
pub fn ticket(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let bound = 64 * text.len() + FRAME_BESIDE;
    check_ticket(within(bound, "reading a ticket", || text.parse()));
    let _ = (text.parse::<PeerId>(), text.parse::<ReplicaId>());
    // The same bytes as the body of a ticket, with prefix and checksum right.
    check_ticket(fixed_ticket(data).parse());
    // serde alone does not check that secret and space belong together; the text does.
    if let Ok(ticket) = rmp_serde::from_slice::<Ticket>(data) {
        check_ticket(ticket.to_string().parse());
    }
}

fn check_ticket(ticket: Result<Ticket, tombolo_sync::TicketError>) {
    if let Ok(ticket) = ticket {
        let text = ticket.to_string();
        assert_eq!(text.parse(), Ok(ticket.clone()), "a ticket reads back as it was written");
        assert_eq!(text.to_uppercase().replacen("TOMBOLO1", "tombolo1", 1).parse(), Ok(ticket.clone()));
        assert!(!format!("{ticket:?}").is_empty());
    }
}

/// The text of a ticket with this body: what only a checksum keeps out comes in.
#[must_use]
pub fn fixed_ticket(body: &[u8]) -> String {
    // The checksum is no secret; this is how it is made.
    let hash = blake3::hash(body);
    let mut bytes = body.to_vec();
    bytes.extend_from_slice(&hash.as_bytes()[..4]);
    format!("tombolo1{}", data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

/// Input: a payload, and what is sealed in one.
pub fn gossip_payload(data: &[u8]) {
    let bound = 4 * data.len() + (64 << 10);
    if let Some((doc, delta)) = within(bound, "opening a payload", || open_payload(&SECRET, data)) {
        // Only what was sealed opens, so this is from the corpus.
        let nonce = data[..24].try_into().expect("an opened payload has a nonce");
        assert!(seal_payload(&SECRET, doc, &delta, nonce) == data, "a payload has one form");
    }
    let Some((head, delta)) = data.split_first_chunk::<40>() else { return };
    let (doc, nonce) = head.split_first_chunk::<16>().expect("40 are more than 16");
    let doc = DocId::from_bytes(*doc);
    let payload = seal_payload(&SECRET, doc, delta, nonce.try_into().expect("24 bytes remain"));
    match open_payload(&SECRET, &payload) {
        Some(opened) => assert_eq!(opened, (doc, delta.to_vec())),
        None => assert!(payload.len() > MAX_PAYLOAD, "what a member sealed opens"),
    }
    assert!(open_payload(&Secret::from_bytes([8; 32]), &payload).is_none(), "another space cannot read it");
    let mut changed = payload;
    let at = usize::from(data[0]) * changed.len() / 256;
    changed[at] ^= 1;
    assert!(open_payload(&SECRET, &changed).is_none(), "a changed payload does not open");
}

/// What may happen around an engine. Numbers that choose something are taken modulo what there is.
#[derive(Arbitrary, Debug, Clone)]
pub enum Step {
    /// The hostile peer connects.
    Up(bool),
    /// It goes.
    Down,
    /// It says hello as a member would, and proves itself.
    Join,
    /// It proves itself although it knows no secret: with a proof that we gave, or any.
    Forge(u8, [u8; 16]),
    /// Any bytes as a frame.
    Raw(Vec<u8>),
    /// A frame that makes sense by itself.
    Say(Word),
    /// Any bytes as a payload, or what it sealed.
    Gossip(u8, bool, Vec<u8>),
    /// A delta that decodes, by gossip or as content.
    Delta(bool),
    /// The disk has finished so many batches.
    Stored(u8),
    /// The disk refuses the next batch.
    StoreFailed,
    /// A document is read back, or cannot be.
    Loaded(bool),
    /// Time passes, in milliseconds, and the wall clock jumps.
    Tick(u16, u8),
    /// We write.
    Update(Op),
    /// We delete the document, and make it anew.
    Delete,
    /// Somebody is found.
    Discovered(u8, Vec<String>),
    /// We can be reached here.
    Listening(Vec<String>),
    /// We cut the hostile peer off, or everybody, or nobody.
    Cut(u8),
    /// The network changed.
    NetworkChanged,
}

/// A frame of a peer that has proved itself, or should have.
#[derive(Arbitrary, Debug, Clone)]
#[allow(missing_docs)]
pub enum Word {
    Hello([u16; 2], u64, bool),
    Proof([u8; 16]),
    Refuse(u8),
    Welcome(String, u64),
    Beat(u64, bool),
    Echo(u64),
    Versions(Vec<(u8, Vec<(u8, u64)>)>, bool, bool),
    Ask,
    Pull(u8, Vec<(u8, u64)>, Option<u32>),
    Alive(u8, Vec<(u8, u64)>, Option<bool>, Vec<u8>),
    Content(u8, u8, u32, u32, Vec<u8>),
    Got(u8, u32),
    Nothing(u8),
    Peers(Vec<String>, Vec<(u8, Vec<String>)>),
    Sketch(u64, Vec<u8>),
    Differences(u64, Vec<(u8, Vec<(u8, u64)>)>, Vec<u64>, bool),
    Rest(u64, Vec<(u8, Vec<(u8, u64)>)>),
    /// Whether it is of what the other holds now.
    Since(Option<u8>, Vec<(u8, Vec<(u8, u64)>)>, Vec<u8>),
    TooMany(u64),
    Met(bool, Option<u64>),
    Line(bool, u64, bool),
    Tell(u8, Vec<(u8, u64)>),
    Alike(Vec<u8>, Option<bool>),
    States(Vec<(u8, bool)>),
    Diverged(u8),
    AskAcknowledged(Vec<u8>),
    Acknowledged(Vec<(u8, u64)>, Vec<(u8, u64)>, Vec<AcknowledgedBy>),
    Wants(u64, Vec<String>, Vec<String>),
    Wanted(u64),
    Push(u8, Vec<u8>),
    Others(Vec<u8>),
}

/// A document, what is acknowledged of it, and by whom.
type AcknowledgedBy = (u8, Vec<(u8, u64)>, Vec<u8>);

/// A line as bytes may say it: of a few marks, and now and then one that no store can have.
fn line(of: u64) -> Line {
    let step = 1 + of % 2;
    let marks: Vec<(u64, [u8; 8])> =
        (0..of % 5).map(|mark| (mark * step, [(mark * (of % 3)) as u8; 8])).collect();
    let end = if of.is_multiple_of(11) { of } else { marks.last().map_or(0, |(last, _)| last + 1) };
    let bytes = rmp_serde::to_vec(&(end, marks)).expect("numbers can be written");
    rmp_serde::from_slice(&bytes).expect("a line reads as what it is made of")
}

fn version(entries: &[(u8, u64)]) -> Version {
    let counter = |n: u64| n % tombolo_crdt::MAX_COUNTER + 1;
    entries.iter().map(|&(id, n)| (ReplicaId::from_bytes([id; 16]), counter(n))).collect()
}

struct Honest {
    engine: Engine,
    store: MemoryStore,
    batches: VecDeque<Batch>,
    loads: VecDeque<DocId>,
}

fn config(peer: PeerId, replica: u8) -> Config {
    Config {
        peer,
        replica: ReplicaId::from_bytes([replica; 16]),
        name: "node".into(),
        application: APPLICATION.into(),
        secret: SECRET,
        limits: Limits { bytes: 64 << 10, memory: 4 << 20, replicas: 256 },
        subscription: Subscription::everything(),
        max_documents: 8,
        memory: 1 << 20,
        forgetting: Forgetting::default(),
        direct: DEFAULT_DIRECT,
        mistake: None,
        seed: [replica; 32],
    }
}

impl Honest {
    fn new(peer: PeerId, replica: u8, now: Now) -> Self {
        let store = MemoryStore::new();
        let engine = Engine::start(config(peer, replica), &store, now).expect("an empty store can be read");
        Self { engine, store, batches: VecDeque::new(), loads: VecDeque::new() }
    }

    /// The disk finishes up to so many batches.
    fn store(&mut self, now: Now, most: usize) {
        let mut last = None;
        for batch in self.batches.drain(..most.min(self.batches.len())) {
            self.store.commit(&batch.writes).expect("a store in memory takes everything");
            last = Some(batch.id);
        }
        if let Some(last) = last {
            self.engine.handle(now, Input::Stored(last));
        }
    }

    fn load(&mut self, now: Now, readable: bool) {
        if let Some(doc) = self.loads.pop_front() {
            let stored =
                if readable { Ok(self.store.document(doc).expect("readable")) } else { Err("no".into()) };
            self.engine.handle(now, Input::Loaded { doc, stored });
        }
    }
}

/// An engine, its hostile peer, and what both said.
struct Stage {
    us: Honest,
    now: Now,
    session: u64,
    up: bool,
    proved: bool,
    /// Our hello of this session, and theirs if it was like a member's.
    hellos: (Option<Hello>, Option<Hello>),
    /// All proofs that we ever gave.
    proofs: Vec<[u8; 16]>,
    /// All that ever came in, in bytes.
    came: usize,
    /// Whether content that hostile peers made may have been taken in.
    tainted: bool,
    docs: Vec<DocId>,
    authors: [u64; 4],
}

impl Stage {
    fn new() -> Self {
        let now = Now { millis: 1_000, wall_millis: 1_700_000_000_000 };
        let mut us = Honest::new(US, 1, now);
        let doc = us.engine.open::<Doc>(now, NAME, true).expect("there is room").expect("it was made");
        let mut stage = Self {
            us,
            now,
            session: 0,
            up: false,
            proved: false,
            hellos: (None, None),
            proofs: Vec::new(),
            came: 0,
            tainted: false,
            docs: vec![DocId::DIRECTORY, doc],
            authors: [1; 4],
        };
        for other in [DocId::derive("other", "Doc", 0), DocId::derive(NAME, "Doc", 1)] {
            stage.docs.push(other);
        }
        stage.drain();
        stage
    }

    fn doc(&self, which: u8) -> DocId {
        match usize::from(which) % 16 {
            at if at < self.docs.len() => self.docs[at],
            _ => DocId::from_bytes([which; 16]),
        }
    }

    fn peer(of: u8) -> PeerId {
        [US, HOSTILE, HONEST, PeerId::from_bytes([of; 32])][usize::from(of) % 4]
    }

    /// Does what the engine says, and checks it.
    fn drain(&mut self) {
        let effects: Vec<Effect> = std::iter::from_fn(|| self.us.engine.next_effect()).collect();
        // The event comes last of what proving leads to.
        self.proved |= effects.iter().any(|effect| matches!(effect, Effect::Event(Event::PeerReady { .. })));
        for effect in effects {
            trace!("  {effect:?}");
            match effect {
                Effect::Send { peer, session, frame } => {
                    assert!(peer == HOSTILE && self.up, "nobody else has a session");
                    assert_eq!(session, SessionId(self.session), "frames go out in the present session");
                    assert!(frame.len() <= MAX_FRAME, "a frame of {} bytes", frame.len());
                    let frame = Frame::decode(&frame).expect("what we send can be read");
                    match frame {
                        Frame::Hello(hello) => self.hellos.0 = Some(hello),
                        Frame::Proof(proof) => self.proofs.push(proof),
                        Frame::Refuse(_) => {}
                        frame => assert!(self.proved, "told to a stranger: {frame:?}"),
                    }
                }
                Effect::Publish { payload } => {
                    assert!(self.proved, "gossip without anybody who may hear it");
                    assert!(payload.len() <= MAX_PAYLOAD);
                }
                Effect::Store(batch) => self.us.batches.push_back(batch),
                Effect::Load { doc } => self.us.loads.push_back(doc),
                Effect::Disconnect { peer, .. } if peer == HOSTILE => {
                    self.up = false;
                    self.proved = false;
                }
                Effect::Event(Event::PeerReady { peer }) => assert_eq!(peer, HOSTILE),
                Effect::Event(Event::PeerGone { peer }) if peer == HOSTILE => self.proved = false,
                _ => {}
            }
        }
    }

    fn input(&mut self, input: Input) {
        self.us.engine.handle(self.now, input);
        self.drain();
        let wanted = self.us.engine.next_tick();
        assert!((self.now.millis..=self.now.millis + 1_000).contains(&wanted));
    }

    fn frame(&mut self, frame: Vec<u8>) {
        if self.up {
            self.came += frame.len();
            let session = SessionId(self.session);
            self.input(Input::Frame { peer: HOSTILE, session, frame });
        }
    }

    fn payload(&mut self, payload: Vec<u8>) {
        self.came += payload.len();
        self.input(Input::Gossip { from: HOSTILE, payload });
    }

    fn up(&mut self, dialer: bool) {
        self.session += 1;
        (self.up, self.proved, self.hellos) = (true, false, (None, None));
        self.input(Input::Up {
            peer: HOSTILE,
            session: SessionId(self.session),
            address: Some("/ip4/127.0.0.1/tcp/6".into()),
            transport: Transport::Other,
            dialer,
        });
    }

    fn down(&mut self) {
        if self.up {
            (self.up, self.proved) = (false, false);
            let session = SessionId(self.session);
            self.input(Input::Down { peer: HOSTILE, session });
        }
    }

    fn say(&mut self, word: &Word) {
        let frame = match word {
            Word::Hello(protocols, features, honest) => {
                let nonce = [self.session as u8; 32];
                let mut hello = fuzzing::hello(&SECRET, APPLICATION, HOSTILE, nonce);
                if !honest {
                    hello.protocols = (protocols[0], protocols[1]);
                    hello.application = [0; 16];
                }
                hello.features = *features;
                self.hellos.1 = Some(hello.clone());
                Frame::Hello(hello)
            }
            Word::Proof(proof) => Frame::Proof(*proof),
            Word::Refuse(why) => Frame::Refuse(match why % 5 {
                0 => Refusal::Protocol,
                1 => Refusal::Application,
                2 => Refusal::Secret,
                3 => Refusal::Malformed,
                _ => Refusal::TooSlow,
            }),
            Word::Welcome(name, wall_millis) => Frame::Welcome(Welcome {
                replica: ReplicaId::from_bytes([9; 16]),
                id: u32::from(wall_millis.is_multiple_of(5)),
                name: name.clone(),
                wall_millis: *wall_millis,
                first: wall_millis.is_multiple_of(3).then_some(ReplicaId::from_bytes([1; 16])),
                names: vec![ReplicaId::from_bytes([1; 16]), ReplicaId::from_bytes([9; 16])],
                line: line(*wall_millis),
                after: *wall_millis % 3,
                asks: name.len().is_multiple_of(2),
                former: name
                    .chars()
                    .skip(1)
                    .take(10)
                    .map(|of| (ReplicaId::from_bytes([of as u8; 16]), line(u64::from(u32::from(of)))))
                    .collect(),
            }),
            Word::Met(ours, of) => Frame::Met {
                id: u32::from(!*ours),
                known: of.map(|of| match of % 3 {
                    0 => Known::Said(of),
                    kind => Known::Line { line: line(of), met: kind == 1 },
                }),
            },
            Word::Line(theirs, of, asks) => {
                Frame::Line { id: u32::from(!*theirs), line: line(*of), after: of % 4, asks: *asks }
            }
            Word::Beat(sent, right) => {
                let digest = if *right { self.us.engine.digest() } else { [1; 32] };
                Frame::Beat { sent: *sent, digest }
            }
            Word::Echo(sent) => Frame::Echo { sent: *sent },
            Word::Tell(doc, entries) => Frame::Tell { doc: self.doc(*doc), version: version(entries) },
            Word::Alike(but, right) => Frame::Alike {
                but: but.iter().map(|doc| self.doc(*doc)).collect(),
                versions: if right.is_some() { self.us.engine.digest() } else { [1; 32] },
                states: [2; 16],
                asks: *right == Some(true),
            },
            Word::Wants(number, prefixes, keeps) => {
                Frame::Wants { number: *number, prefixes: prefixes.clone(), keeps: keeps.clone() }
            }
            Word::Wanted(number) => Frame::Wanted { number: *number },
            Word::Push(doc, delta) => {
                self.tainted = true;
                Frame::Push { doc: self.doc(*doc), delta: delta.clone() }
            }
            Word::Others(others) => Frame::Others(others.iter().map(|of| Self::peer(*of)).collect()),
            Word::States(entries) => Frame::States(
                entries
                    .iter()
                    .map(|&(doc, right)| match right {
                        true => fuzzing::another_state(&self.us.engine, self.doc(doc)),
                        false => (self.doc(doc), [1; 16], [2; 16]),
                    })
                    .collect(),
            ),
            Word::Versions(entries, first, last) => Frame::Versions {
                entries: entries.iter().map(|(doc, entries)| (self.doc(*doc), version(entries))).collect(),
                first: *first,
                last: *last,
            },
            Word::Ask => Frame::Ask,
            Word::Sketch(key, cells) => Frame::Sketch { key: [*key, 0], cells: cells.clone() },
            Word::Differences(key, entries, gone, asks) => Frame::Differences {
                key: [*key, 0],
                entries: entries.iter().map(|(doc, entries)| (self.doc(*doc), version(entries))).collect(),
                gone: gone.clone(),
                asks: *asks,
            },
            Word::Rest(key, entries) => Frame::Rest {
                key: [*key, 0],
                entries: entries.iter().map(|(doc, entries)| (self.doc(*doc), version(entries))).collect(),
            },
            Word::Since(of, entries, gone) => {
                let digest = self.us.engine.digest();
                Frame::Since {
                    of: of.map_or_else(|| core::array::from_fn(|at| digest[at]), |byte| [byte; 8]),
                    entries: entries
                        .iter()
                        .map(|(doc, entries)| (self.doc(*doc), version(entries)))
                        .collect(),
                    gone: gone.iter().map(|doc| self.doc(*doc)).collect(),
                }
            }
            Word::TooMany(key) => Frame::TooMany { key: [*key, 0] },
            Word::Pull(doc, entries, kept) => {
                let kept = kept.map(|parts| ([0; 16], parts));
                Frame::Pull { doc: self.doc(*doc), version: version(entries), kept, alive: None }
            }
            Word::Alive(doc, entries, how, bytes) => {
                let doc = self.doc(*doc);
                // What we know is the base of most interest.
                let known = self.us.engine.document_status(doc).map(|status| status.version);
                let version = known.filter(|_| entries.is_empty()).unwrap_or_else(|| version(entries));
                let alive = match how {
                    Some(true) => Alive::Runs(bytes.clone()),
                    Some(false) => Alive::Cells { key: [7, 0], cells: bytes.clone() },
                    None if bytes.is_empty() => Alive::Unsaid,
                    None if bytes[0] % 2 == 0 => Alive::Sums(bytes[1..].to_vec()),
                    None => Alive::Staged(bytes.len() as u64 - 1),
                };
                Frame::Pull { doc, version, kept: None, alive: Some(alive) }
            }
            Word::Content(doc, how, part, parts, bytes) => {
                self.tainted = true;
                let kind = match how % 4 {
                    0 if how & 16 != 0 => ContentKind::Beyond,
                    0 => ContentKind::State,
                    1 => ContentKind::Delta,
                    2 if how & 4 == 0 => ContentKind::Piece,
                    2 => ContentKind::Behind,
                    _ if how & 16 != 0 => ContentKind::BeyondNamed,
                    _ => ContentKind::Named,
                };
                // Small numbers are the interesting ones.
                let (part, parts) =
                    if how.is_multiple_of(8) { (*part, *parts) } else { (part % 4, parts % 4 + 1) };
                let hash = if parts == 1 { content_hash(bytes) } else { [*how; 16] };
                Frame::Content { doc: self.doc(*doc), hash, kind, part, parts, bytes: bytes.clone() }
            }
            Word::Got(doc, part) => Frame::Got { doc: self.doc(*doc), hash: [0; 16], part: *part },
            Word::Nothing(doc) => Frame::Nothing { doc: self.doc(*doc) },
            Word::AskAcknowledged(docs) => {
                Frame::AskAcknowledged { docs: docs.iter().map(|doc| self.doc(*doc)).collect() }
            }
            Word::Acknowledged(members, silent, documents) => Frame::Acknowledged {
                members: version(members),
                silent: silent.iter().map(|(of, silent)| (Self::peer(*of), *silent)).collect(),
                documents: documents
                    .iter()
                    .map(|(doc, entries, members)| {
                        let members = members.iter().map(|of| Self::peer(*of)).collect();
                        (self.doc(*doc), vec![(version(entries), members)])
                    })
                    .collect(),
            },
            Word::Diverged(doc) => Frame::Diverged { doc: self.doc(*doc) },
            Word::Peers(own, contacts) => {
                let contact = |(peer, addresses): &(u8, Vec<String>)| Contact {
                    peer: Self::peer(*peer),
                    addresses: addresses.clone(),
                };
                Frame::Peers { own: own.clone(), others: contacts.iter().map(contact).collect() }
            }
        };
        self.frame(frame.encode());
    }

    fn step(&mut self, step: &Step, u: &mut Unstructured<'_>) {
        match step {
            Step::Up(dialer) => self.up(*dialer),
            Step::Down => self.down(),
            Step::Join => {
                if self.up && !self.proved && self.hellos.1.is_none() {
                    self.say(&Word::Hello([0, 0], 0, true));
                }
                if let (true, Some(ours), Some(theirs)) =
                    (self.up && !self.proved, &self.hellos.0, &self.hellos.1)
                {
                    let proof = fuzzing::proof(&SECRET, APPLICATION, (HOSTILE, theirs), (US, ours));
                    self.frame(proof.encode());
                }
            }
            Step::Forge(which, any) => {
                let ours = self.proofs.get(usize::from(*which) % 4).copied();
                let was = self.proved;
                self.frame(Frame::Proof(ours.unwrap_or(*any)).encode());
                assert!(was || !self.proved, "a proof of our own is a proof of theirs");
            }
            Step::Raw(bytes) => {
                self.tainted = true;
                self.frame(bytes.clone());
            }
            Step::Say(word) => self.say(word),
            Step::Gossip(doc, sealed, bytes) => {
                self.tainted = true;
                let payload = match sealed {
                    true => seal_payload(&SECRET, self.doc(*doc), bytes, [self.came as u8; 24]),
                    false => bytes.clone(),
                };
                self.payload(payload);
            }
            Step::Delta(gossip) => {
                self.tainted = true;
                let Ok(bytes) = wire::doc_delta(u, &mut self.authors) else { return };
                let doc = self.docs[1 + usize::from(bytes.len() % 4 == 0)];
                if *gossip {
                    self.payload(seal_payload(&SECRET, doc, &bytes, [self.came as u8; 24]));
                } else {
                    let kind = ContentKind::Delta;
                    let hash = content_hash(&bytes);
                    self.frame(Frame::Content { doc, hash, kind, part: 0, parts: 1, bytes }.encode());
                }
            }
            Step::Stored(most) => {
                self.us.store(self.now, (*most).into());
                self.drain();
            }
            Step::StoreFailed => {
                if let Some(batch) = self.us.batches.front() {
                    let first = batch.id;
                    self.us.batches.clear();
                    self.input(Input::StoreFailed { first, reason: "no".into() });
                }
            }
            Step::Loaded(readable) => {
                self.us.load(self.now, *readable);
                self.drain();
            }
            Step::Tick(millis, jump) => {
                self.now.millis += u64::from(*millis);
                self.now.wall_millis =
                    (1_700_000_000_000 + self.now.millis).wrapping_add(u64::from(*jump) << 30);
                self.input(Input::Tick);
            }
            Step::Update(op) => {
                self.update(op);
                self.drain();
            }
            Step::Delete => {
                let now = self.now;
                let _ = self.us.engine.delete(now, NAME, "Doc");
                if let Ok(Some(doc)) = self.us.engine.open::<Doc>(now, NAME, true) {
                    self.docs[1] = doc;
                }
                self.drain();
            }
            Step::Discovered(peer, addresses) => {
                let peer = (!peer.is_multiple_of(3)).then(|| Self::peer(*peer));
                self.input(Input::Discovered { peer, addresses: addresses.clone() });
            }
            Step::Listening(addresses) => {
                self.input(Input::Listening { addresses: addresses.iter().take(64).cloned().collect() });
            }
            Step::Cut(how) => {
                let now = self.now;
                match how % 4 {
                    0 => self.us.engine.block(now, HOSTILE, true),
                    1 => self.us.engine.block(now, HOSTILE, false),
                    2 => self.us.engine.isolate(now, true),
                    _ => self.us.engine.isolate(now, false),
                };
                self.drain();
            }
            Step::NetworkChanged => self.input(Input::NetworkChanged),
        }
    }

    fn update(&mut self, op: &Op) {
        let now = self.now;
        let _ = self.us.engine.update::<Doc, _, ()>(now, self.docs[1], |doc| {
            Doc::apply(doc, op);
            Ok(())
        });
    }

    /// The hostile peer is gone. An honest one comes, and gets what we have; then it is quiet.
    fn recover(&mut self) {
        let now = self.now;
        self.us.engine.block(now, HOSTILE, true);
        self.us.engine.isolate(now, false);
        self.us.engine.block(now, HOSTILE, true);
        self.drain();
        let mut them = Honest::new(HONEST, 2, now);
        let up = |peer, dialer| Input::Up {
            peer,
            session: SessionId(1 << 40),
            address: Some("/ip4/127.0.0.1/tcp/7".into()),
            transport: Transport::Other,
            dialer,
        };
        self.us.engine.handle(now, up(HONEST, true));
        them.engine.handle(now, up(US, false));
        let mut frames = 0;
        // The first seconds slowly, then from beat to beat.
        for tick in 0..60 {
            let step = if tick < 20 { 100 } else { 450 };
            self.now.millis += step;
            self.now.wall_millis += step;
            if tick == 0 {
                while !self.us.loads.is_empty() {
                    self.us.load(self.now, true);
                }
            }
            if tick == 38 {
                // Ten seconds have passed, ten are left.
                frames = 0;
            }
            frames += exchange(&mut self.us, &mut them, self.now);
        }
        assert!(frames < QUIET, "{frames} frames in ten quiet seconds");
        if !self.tainted {
            assert!(self.us.engine.in_sync_with() == 1, "two honest peers are level");
            assert!(them.engine.in_sync_with() == 1, "two honest peers are level");
            assert_eq!(self.us.engine.digest(), them.engine.digest());
        }
    }
}

/// Lets two engines talk for one moment; says how many frames that were.
fn exchange(us: &mut Honest, them: &mut Honest, now: Now) -> usize {
    us.engine.handle(now, Input::Tick);
    them.engine.handle(now, Input::Tick);
    let mut frames = 0;
    // A round trip takes a moment; what goes on without an end is seen by its number.
    for _ in 0..8 {
        let mut said: BTreeMap<bool, Vec<Input>> = BTreeMap::new();
        for ours in [true, false] {
            let (node, peer) = if ours { (&mut *us, US) } else { (&mut *them, HONEST) };
            while let Some(effect) = node.engine.next_effect() {
                match effect {
                    Effect::Send { peer: to, session, frame } if to != HOSTILE => {
                        frames += 1;
                        said.entry(!ours).or_default().push(Input::Frame { peer, session, frame });
                    }
                    Effect::Publish { payload } => {
                        said.entry(!ours).or_default().push(Input::Gossip { from: peer, payload });
                    }
                    Effect::Store(batch) => node.batches.push_back(batch),
                    Effect::Load { doc } => node.loads.push_back(doc),
                    _ => {}
                }
            }
            let all = node.batches.len();
            node.store(now, all);
            while !node.loads.is_empty() {
                node.load(now, true);
            }
        }
        if said.is_empty() && us.batches.is_empty() && them.batches.is_empty() {
            break;
        }
        for (ours, inputs) in said {
            let node = if ours { &mut *us } else { &mut *them };
            inputs.into_iter().for_each(|input| node.engine.handle(now, input));
        }
    }
    frames
}

/// Input: steps, and bytes from which deltas are made.
pub fn engine(data: &[u8]) {
    let ((), peak) = peak_of(|| {
        let mut u = Unstructured::new(data);
        let mut stage = Stage::new();
        for _ in 0..MAX_STEPS {
            if u.is_empty() {
                break;
            }
            let Ok(step) = u.arbitrary::<Step>() else { break };
            trace!("{step:?}");
            stage.step(&step, &mut u);
        }
        stage.recover();
    });
    let bound = ENGINE_PER_BYTE * data.len() + ENGINE_BESIDE;
    assert!(peak <= bound, "{} bytes of input made an engine take {peak}", data.len());
}

/// Input: steps of a peer that does not know the secret. It gets no further, and hears nothing.
pub fn handshake(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut stage = Stage::new();
    for _ in 0..MAX_STEPS {
        if u.is_empty() {
            break;
        }
        let Ok(step) = u.arbitrary::<Step>() else { break };
        match step {
            Step::Join | Step::Gossip(_, true, _) | Step::Delta(_) => {}
            step => stage.step(&step, &mut u),
        }
        assert!(!stage.proved, "a stranger was let in");
    }
    let status = stage.us.engine.status();
    assert!(status.in_sync.is_none() && status.peers.iter().all(|peer| !peer.connected));
    let _ = stage.us.engine.document::<Doc>(stage.docs[1]).map(|doc| {
        doc.get("nothing")
            .and_then(|entry| entry.register())
            .map(|register| register.value() == Some(&Scalar::Null))
    });
}
