//! Writes the seeds of all corpora anew: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tombolo_crdt::{
    Delta, Doc, Dot, Envelope, EnvelopeKind, Kind, Limits, Position, Replica, ReplicaId, Scalar, Stamp,
    Version,
};
use tombolo_fuzz::{codec, program};
use tombolo_sync::engine::fuzzing;
use tombolo_sync::engine::wire::{
    Alive, Contact, ContentKind, Frame, Known, Line, Refusal, Welcome, seal_payload,
};
use tombolo_sync::{DocId, PeerId, Secret, SpaceId, Ticket};

/// The most permissive limits of `codec::limits`.
const WIDE: u8 = 11;
/// The number of a type of nested maps.
const NESTED: u8 = 9;
/// How long the seeds of targets are that take any bytes.
const PLAIN: [usize; 6] = [16, 64, 200, 500, 1_000, 2_000];
/// How long the seeds of programs are.
const PROGRAM: usize = 1_200;

type Seeds = BTreeMap<String, Vec<u8>>;

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let all = [
        ("crdt_delta", messages(true)),
        ("crdt_state", messages(false)),
        ("envelope", envelopes()),
        ("version_serde", values()),
        ("frames", frames()),
        ("ticket", tickets()),
        ("gossip_payload", payloads()),
        ("programs", programs()),
        ("garbage_then_sync", plain(2)),
        ("engine", plain(3)),
        ("handshake", plain(4)),
    ];
    for (target, seeds) in all {
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder)?;
        for old in std::fs::read_dir(&folder)? {
            let old = old?;
            let name = old.file_name().to_string_lossy().into_owned();
            if name.starts_with("seed-") && !name.starts_with("seed-kept-") {
                std::fs::remove_file(old.path())?;
            }
        }
        for (name, bytes) in seeds {
            std::fs::write(folder.join(format!("seed-{name}")), bytes)?;
        }
    }
    Ok(())
}

/// Deltas or states of a type that say something.
fn messages_of(kind: u8, deltas: bool) -> Vec<Vec<u8>> {
    let (some, others) = codec::samples(kind);
    let mut messages = if deltas { some } else { others };
    messages.retain(|message| message.len() > 20);
    messages
}

fn messages(deltas: bool) -> Seeds {
    let mut seeds = Seeds::new();
    for kind in 0..codec::TYPES {
        let mut messages = messages_of(kind, deltas);
        if messages.is_empty() {
            // What understands nothing writes nothing either, and reads everything.
            messages = messages_of(NESTED, deltas);
        }
        messages.sort_unstable_by_key(Vec::len);
        messages.dedup();
        // The shortest, the longest, and one between: as they are, and as a body.
        let chosen = [0, messages.len() / 2, messages.len() - 1];
        for (number, at) in chosen.into_iter().enumerate() {
            let (mode, message) = if number == 1 { (2, &messages[at][..]) } else { (0, &messages[at][14..]) };
            seeds.insert(format!("{kind:02}-{number}"), [&[kind, mode, WIDE], message].concat());
        }
    }
    seeds
}

fn envelopes() -> Seeds {
    let mut seeds = Seeds::new();
    for (name, kind) in [("state", EnvelopeKind::State), ("delta", EnvelopeKind::Delta)] {
        seeds.insert(name.into(), [&[WIDE][..], &Envelope::seal(kind, b"body")].concat());
        seeds.insert(format!("{name}-empty"), [&[0][..], &Envelope::seal(kind, b"")].concat());
    }
    seeds
}

fn version() -> Version {
    [(ReplicaId::from_bytes([1; 16]), 3), (ReplicaId::from_bytes([2; 16]), 70_000)].into_iter().collect()
}

fn values() -> Seeds {
    let (deltas, states) = codec::samples(10);
    let limits = Limits::default();
    let delta = Delta::<Doc>::decode(&deltas[0], &limits).expect("a sample");
    let replica =
        Replica::<Doc>::decode(ReplicaId::from_bytes([5; 16]), &states[1], &limits).expect("a sample");
    let mut seeds = Seeds::new();
    let mut add = |which: u8, packed: Vec<u8>, json: Vec<u8>| {
        seeds.insert(format!("{which}-packed"), [&[which][..], &packed].concat());
        seeds.insert(format!("{which}-json"), [&[which][..], &json].concat());
    };
    macro_rules! add {
        ($which:literal, $value:expr) => {
            add(
                $which,
                rmp_serde::to_vec(&$value).expect("can be written"),
                serde_json::to_vec(&$value).expect("can be written"),
            )
        };
    }
    let dot = Dot { replica: ReplicaId::from_bytes([1; 16]), counter: 9 };
    add!(0, version());
    add!(1, dot);
    add!(2, Scalar::Bytes(vec![1, 2, 255]));
    add!(3, ReplicaId::from_bytes([1; 16]));
    add!(4, Stamp { millis: 7, logical: 1 });
    add!(5, Kind::Register);
    add!(6, tombolo_crdt::Merged::Pending(version()));
    add!(7, delta);
    add!(8, replica);
    add!(
        9,
        vec![
            (dot, Scalar::Null),
            (dot, Scalar::from("x")),
            (dot, Scalar::Float(0.5)),
            (dot, Scalar::Int(-9))
        ]
    );
    let held = codec::held();
    add!(10, held.cursor);
    add!(11, held.edit);
    add!(12, held.snapshot);
    add!(13, Position::Utf16(4));
    add!(14, held.element);
    seeds
}

fn frames() -> Seeds {
    let (doc, secret, peer) =
        (DocId::from_bytes([1; 16]), Secret::from_bytes([7; 32]), PeerId::from_bytes([3; 32]));
    let frames = [
        ("hello", Frame::Hello(fuzzing::hello(&secret, "fuzz", peer, [9; 32]))),
        ("proof", Frame::Proof([5; 16])),
        ("refuse", Frame::Refuse(Refusal::Secret)),
        (
            "welcome",
            Frame::Welcome(Welcome {
                replica: ReplicaId::from_bytes([1; 16]),
                id: 0,
                name: "ann".into(),
                wall_millis: 1 << 40,
                first: None,
                names: vec![ReplicaId::from_bytes([1; 16])],
                line: Line::default(),
                after: 0,
                asks: true,
                former: vec![(ReplicaId::from_bytes([3; 16]), Line::default())],
            }),
        ),
        ("met", Frame::Met { id: 0, known: Some(Known::Line { line: Line::default(), met: true }) }),
        ("met_said", Frame::Met { id: 1, known: Some(Known::Said(3)) }),
        ("line", Frame::Line { id: 0, line: Line::default(), after: 0, asks: true }),
        ("beat", Frame::Beat { sent: 1_000, digest: [4; 32] }),
        ("echo", Frame::Echo { sent: 1_000 }),
        (
            "versions",
            Frame::Versions {
                entries: vec![(doc, version()), (doc, Version::new())],
                first: true,
                last: false,
            },
        ),
        ("ask", Frame::Ask),
        ("tell", Frame::Tell { doc, version: version() }),
        ("alike", Frame::Alike { but: vec![doc], versions: [1; 32], states: [2; 16], asks: true }),
        ("wants", Frame::Wants { number: 1, prefixes: vec!["a".into()], keeps: vec!["b".into()] }),
        ("wanted", Frame::Wanted { number: 1 }),
        ("push", Frame::Push { doc, delta: vec![6; 40] }),
        ("others", Frame::Others(vec![peer])),
        ("states", Frame::States(vec![(doc, [1; 16], [2; 16])])),
        ("diverged", Frame::Diverged { doc }),
        ("ask_acknowledged", Frame::AskAcknowledged { docs: vec![doc] }),
        ("sketch", Frame::Sketch { key: [1, 2], cells: vec![7; 13] }),
        (
            "differences",
            Frame::Differences { key: [1, 2], entries: vec![(doc, version())], gone: vec![5], asks: true },
        ),
        ("rest", Frame::Rest { key: [1, 2], entries: vec![(doc, version())] }),
        ("since", Frame::Since { of: [5; 8], entries: vec![(doc, version())], gone: vec![doc] }),
        ("too_many", Frame::TooMany { key: [1, 2] }),
        ("pull", Frame::Pull { doc, version: version(), kept: Some(([8; 16], 2)), alive: None }),
        (
            "pull_runs",
            Frame::Pull { doc, version: version(), kept: None, alive: Some(Alive::Runs(vec![1, 2, 3])) },
        ),
        (
            "pull_sums",
            Frame::Pull { doc, version: version(), kept: None, alive: Some(Alive::Sums(vec![9; 20])) },
        ),
        (
            "pull_cells",
            Frame::Pull {
                doc,
                version: version(),
                kept: None,
                alive: Some(Alive::Cells { key: [1, 2], cells: vec![7; 15] }),
            },
        ),
        (
            "content",
            Frame::Content {
                doc,
                hash: [8; 16],
                kind: ContentKind::State,
                part: 1,
                parts: 3,
                bytes: vec![6; 40],
            },
        ),
        ("got", Frame::Got { doc, hash: [8; 16], part: 1 }),
        ("nothing", Frame::Nothing { doc }),
        (
            "peers",
            Frame::Peers {
                own: vec!["/ip4/127.0.0.1/tcp/2".into()],
                others: vec![Contact { peer, addresses: vec!["/ip4/127.0.0.1/tcp/1".into(), String::new()] }],
            },
        ),
    ];
    frames.into_iter().map(|(name, frame)| (name.to_owned(), frame.encode())).collect()
}

fn tickets() -> Seeds {
    let secret = Secret::from_bytes([7; 32]);
    let ticket = Ticket {
        space: SpaceId::of(&secret),
        secret,
        inviter: PeerId::from_bytes([3; 32]),
        addresses: vec!["/ip4/127.0.0.1/tcp/4001".into(), "/ip4/192.168.1.7/udp/4001/quic-v1".into()],
        renews: None,
    };
    let none = Ticket { addresses: Vec::new(), ..ticket.clone() };
    let body = rmp_serde::to_vec(&ticket).expect("can be written");
    let text = |text: String| text.into_bytes();
    Seeds::from([
        ("text".into(), text(ticket.to_string())),
        ("text-short".into(), text(format!("  {none}\n"))),
        ("newer".into(), text("tombolo2abc".into())),
        ("peer".into(), text(ticket.inviter.to_string())),
        ("replica".into(), text(ReplicaId::from_bytes([1; 16]).to_string())),
        ("body".into(), body),
    ])
}

fn payloads() -> Seeds {
    let (deltas, _) = codec::samples(10);
    let delta = &deltas[0][14..];
    let sealed = seal_payload(&Secret::from_bytes([7; 32]), DocId::from_bytes([1; 16]), delta, [2; 24]);
    Seeds::from([
        ("sealed".into(), sealed),
        ("plain".into(), [&[1; 16][..], &[2; 24], delta].concat()),
        ("empty".into(), vec![3; 40]),
    ])
}

/// Bytes that look random and are always the same.
fn random(salt: u64) -> impl FnMut() -> u8 {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    }
}

fn plain(salt: u64) -> Seeds {
    let mut byte = random(salt);
    PLAIN.iter().map(|&len| (format!("{len:04}"), (0..len).map(|_| byte()).collect())).collect()
}

/// A program for each type. An odd byte says that one more step or operation follows, so most are odd: of any bytes a program of two
/// steps would be made.
fn programs() -> Seeds {
    let mut seeds = Seeds::new();
    for subject in 0..program::SUBJECTS {
        let mut byte = random(100 + u64::from(subject));
        let mut mostly_odd = || byte() | u8::from(!byte().is_multiple_of(8));
        let steps = (0..PROGRAM).map(|_| mostly_odd());
        seeds.insert(format!("{subject:02}"), [subject].into_iter().chain(steps).collect());
    }
    seeds
}
