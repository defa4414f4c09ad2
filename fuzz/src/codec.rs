//! Decoders of deltas, states and envelopes, and what must hold for whatever they take.

use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Bias, BoundedCounter, Crdt, Cursor, Delta, DisableWinsFlag, Doc, Dot, ElementId,
    EnableWinsFlag, Envelope, EnvelopeKind, FORMAT, GCounter, GMap, GSet, Inspection, Kind, Limits, List,
    LwwMap, LwwRegister, MaxRegister, Merged, MinRegister, MovableList, MvRegister, Opaque, PnCounter,
    Position, RemoveWinsSet, Replica, ReplicaId, Scalar, SessionNames, Since, Stamp, Text, TextEdit,
    TextSnapshot, Tree, TwoPhaseSet, Version, plain,
};

use crate::memory::within;
use crate::program::{Op, Subject, Value};
use crate::types::Board;

/// What decoding may take beyond [`Limits::memory`]: for each byte of the message, while single contents are looked at,
const PER_BYTE: usize = 4;
/// and for errors and the like. The types here hold no lists, for which serde would reserve more, see docs/security.md.
const BESIDE: usize = 16 << 10;

/// How a message is put in front of the decoder.
const MODES: u8 = 3;
/// How many types there are.
pub const TYPES: u8 = 25;
/// How many kinds of values there are that are read by serde.
const VALUES: u8 = 15;
/// What an edit may take for each letter of the text and each byte of its own.
const PER_EDITED: usize = 256;

fn limits(choice: u8) -> Limits {
    let memory = [4 << 10, 16 << 10, 64 << 10, 4 << 20][usize::from(choice) % 4];
    Limits { bytes: 64 << 10, memory, replicas: [2, 16, 1 << 16][usize::from(choice / 4) % 3] }
}

fn bound(limits: &Limits, bytes: &[u8]) -> usize {
    limits.memory + PER_BYTE * bytes.len() + BESIDE
}

/// Calls a generic function for the type of this number.
macro_rules! for_type {
    ($number:expr, $f:ident($($argument:expr),*)) => {
        match $number % TYPES {
            0 => $f::<PnCounter>($($argument),*),
            1 => $f::<GCounter>($($argument),*),
            2 => $f::<EnableWinsFlag>($($argument),*),
            3 => $f::<LwwRegister<Scalar>>($($argument),*),
            4 => $f::<LwwRegister<String>>($($argument),*),
            5 => $f::<MvRegister<Scalar>>($($argument),*),
            6 => $f::<AddWinsSet<Scalar>>($($argument),*),
            7 => $f::<GSet<String>>($($argument),*),
            8 => $f::<AddWinsMap<String, PnCounter>>($($argument),*),
            9 => $f::<AddWinsMap<String, AddWinsMap<u8, AddWinsSet<String>>>>($($argument),*),
            10 => $f::<Doc>($($argument),*),
            11 => $f::<Board>($($argument),*),
            12 => $f::<DisableWinsFlag>($($argument),*),
            13 => $f::<MaxRegister<Scalar>>($($argument),*),
            14 => $f::<MinRegister<Scalar>>($($argument),*),
            15 => $f::<RemoveWinsSet<Scalar>>($($argument),*),
            16 => $f::<TwoPhaseSet<Scalar>>($($argument),*),
            17 => $f::<GMap<String, PnCounter>>($($argument),*),
            18 => $f::<LwwMap<String, Scalar>>($($argument),*),
            19 => $f::<BoundedCounter>($($argument),*),
            20 => $f::<Text>($($argument),*),
            21 => $f::<List<Scalar>>($($argument),*),
            22 => $f::<MovableList<MvRegister<Scalar>>>($($argument),*),
            23 => $f::<Tree<MvRegister<Scalar>>>($($argument),*),
            _ => $f::<Opaque>($($argument),*),
        }
    };
}

/// Nobody writes to what nobody understands.
impl Subject for Opaque {
    fn apply(_: &mut Self::Mut<'_>, _: &Op) {}
}

/// The bytes of a message of this kind: as they are, with the envelope repaired, or the whole as a body.
fn message(mode: u8, kind: EnvelopeKind, bytes: &[u8]) -> Vec<u8> {
    match mode % MODES {
        0 => Envelope::seal(kind, bytes),
        1 => Envelope::repair(kind, bytes),
        _ => bytes.to_vec(),
    }
}

fn parts(data: &[u8]) -> Option<(u8, u8, Limits, &[u8])> {
    let ([kind, mode, choice], bytes) = data.split_first_chunk::<3>()?;
    Some((*kind, *mode, limits(*choice), bytes))
}

/// Input: type, mode, limits, then the message. A fourth mode: a delta as it is inside a session.
pub fn delta(data: &[u8]) {
    if let Some((kind, mode, limits, bytes)) = parts(data) {
        if mode % (MODES + 1) == MODES {
            return for_type!(kind, session_of(bytes, &limits));
        }
        for_type!(kind, delta_of(&message(mode, EnvelopeKind::Delta, bytes), &limits));
    }
}

/// Input: type, mode, limits, then the message.
pub fn state(data: &[u8]) {
    if let Some((kind, mode, limits, bytes)) = parts(data) {
        for_type!(kind, state_of(&message(mode, EnvelopeKind::State, bytes), &limits));
    }
}

fn replica<T: Crdt>(of: u8) -> Replica<T> {
    Replica::new(ReplicaId::from_bytes([of; 16]))
}

/// A replica that has written a little, under an id that occurs in the seeds too.
fn busy<T: Subject>() -> Replica<T> {
    let mut busy = replica::<T>(1);
    busy.set_time(1_000);
    for number in 0..12_u8 {
        let op = Op {
            what: 16 * (number % 5) + number + 4,
            name: number % 3,
            under: number % 2,
            value: Value::Int(number.into()),
            depth: number % 3,
        };
        let _ = busy.update(|value| T::apply(value, &op));
    }
    busy
}

/// Encoded deltas and states of the type of this number, with its envelope.
#[must_use]
pub fn samples(kind: u8) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    for_type!(kind, samples_of())
}

fn samples_of<T: Subject>() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut ann, mut bob) = (busy::<T>(), replica::<T>(2));
    let (mut deltas, mut states) = (Vec::new(), vec![replica::<T>(3).encode(), ann.encode()]);
    if let Since::Delta(all) = ann.delta_since(&Version::new()) {
        deltas.push(all.encode());
        bob.merge(all).expect("one delta has room");
    }
    // All operations of every type, on what one name stands for and on what others do.
    for number in 0..64_u8 {
        let value = if number % 3 == 0 { Value::Text("a\nb".into()) } else { Value::Int(number.into()) };
        let (what, depth) = (number.wrapping_mul(37), number % 2 * 4);
        let op = Op { what, name: number / 8 % 3, under: number, value, depth };
        deltas.push(ann.update(|value| T::apply(value, &op)).1.encode());
        // The next one clears what can be cleared.
        if number == 31 {
            states.push(ann.encode());
        }
    }
    deltas.push(ann.sweep(&ann.version()).encode());
    states.push(ann.encode());
    for what in [5, 20, 38, 55, 84, 140, 216, 1, 18] {
        let op =
            Op { what, name: what % 3, under: what % 2, value: Value::Text("late".into()), depth: what % 3 };
        deltas.push(bob.update(|value| T::apply(value, &op)).1.encode());
        deltas.push(ann.update(|value| T::apply(value, &op)).1.encode());
    }
    if let Since::Delta(lacked) = bob.delta_since(&ann.version()) {
        deltas.push(lacked.encode());
        ann.merge(lacked).expect("one delta has room");
    }
    states.push(ann.encode());
    (deltas, states)
}

/// Looks at everything a replica shows.
fn look<T: Subject>(replica: &Replica<T>) {
    T::look(replica);
    serde_json::to_vec(&replica.view()).expect("every view can be written");
    let _ = (replica.pending(), replica.missing(), replica.far_stamps(), format!("{replica:?}"));
}

/// What a replica tells others must be taken by them, and bring them level.
fn told<T: Crdt>(replica: &Replica<T>) {
    let all = Limits { replicas: 1 << 20, ..Limits::default() };
    let bytes = replica.encode();
    let back = Replica::<T>::decode(replica.id(), &bytes, &all).expect("our own state decodes");
    assert!(back.encode() == bytes, "our own state reads back as it was written");
    if let Since::Delta(delta) = replica.delta_since(&Version::new()) {
        let mut other = self::replica::<T>(0xee);
        let delta = Delta::<T>::decode_body(&delta.encode_body(), &all).expect("our own delta decodes");
        other.merge(delta).expect("there is room");
        assert!(other.version() == replica.version(), "an answer brings level");
        assert!(other.encode() == bytes, "one version and two states");
    }
}

/// Whether a message we wrote and one of the same content that we took say the same in the same way. One of an old
/// format is written differently now, and a compressor may be of another version.
fn same(ours: &[u8], taken: &[u8]) -> bool {
    let all = Limits::default();
    taken[4] < FORMAT || plain(ours, &all) == plain(taken, &all)
}

/// Looks at a message as somebody does who does not know what it is. What was taken for one has nothing wrong with it.
fn inspected(bytes: &[u8], limits: &Limits, is_taken: bool) {
    let found = within(bound(limits, bytes), "inspecting a message", || Inspection::of(bytes, limits));
    if let Ok(found) = found {
        assert!(!found.to_string().is_empty());
    }
    if is_taken {
        let found = Inspection::of(bytes, &Limits::default()).expect("it is one");
        assert!(found.is_sound(), "what decodes is described as wrong: {found}");
    }
}

fn delta_of<T: Subject>(bytes: &[u8], limits: &Limits) {
    let decoded = within(bound(limits, bytes), "decoding a delta", || Delta::<T>::decode(bytes, limits));
    inspected(bytes, limits, decoded.is_ok());
    let Ok(delta) = decoded else { return };
    assert!(same(&delta.encode(), bytes), "a delta has one encoding");
    let _ = (delta.is_empty(), delta.len(), delta.deps(), delta.events(), delta.size_hint());
    assert!(!format!("{delta:?}").is_empty());
    assert!(delta.erase().encode() == delta.encode());
    let body = delta.encode_body();
    assert!(Delta::<Opaque>::decode_body(&body, &Limits::default()).is_ok(), "what T takes, Opaque takes");

    let mut fresh = replica::<T>(9);
    let merged = fresh.merge(delta.clone()).expect("one delta has room");
    look(&fresh);
    told(&fresh);
    let mut again = delta.clone();
    assert!(!again.append(&delta), "a delta from outside is nobody's next");
    if merged == Merged::Applied {
        assert_eq!(fresh.merge(delta.clone()), Ok(Merged::AlreadyKnown));
        let (_, mine) = fresh.update(|value| {
            T::apply(value, &Op { what: 21, name: 0, under: 1, value: Value::Int(3), depth: 0 });
        });
        let mut other = replica::<T>(8);
        other.merge(delta.clone()).expect("one delta has room");
        other.merge(mine).expect("one delta has room");
        assert!(other.encode() == fresh.encode());
    }

    let mut busy = busy::<T>();
    busy.merge(delta).expect("one delta has room");
    look(&busy);
    let _ = busy.encode();
    let _ = busy.try_update(|value| {
        T::apply(value, &Op { what: 38, name: 1, under: 1, value: Value::Null, depth: 0 });
        Err::<(), ()>(())
    });
    let _ = busy.delta_since(&Version::new());
}

fn session_of<T: Subject>(bytes: &[u8], limits: &Limits) {
    let names = SessionNames::new([1, 2, 9].map(|of| ReplicaId::from_bytes([of; 16])));
    let decoded = within(bound(limits, bytes), "decoding in a session", || {
        Delta::<T>::decode_in(bytes, &names, limits)
    });
    let Ok(delta) = decoded else { return };
    let again = delta.encode_in(&names);
    let back = Delta::<T>::decode_in(&again, &names, &Limits::default()).expect("our own bytes decode");
    assert!(back.encode() == delta.encode(), "a delta says the same after a session");
    // Bit 1 of the first number says that the columns are compressed, which another version may do otherwise.
    if (bytes[0] | again[0]) & 2 == 0 {
        assert!(again == bytes, "a delta has one encoding in a session");
    }
    told(&{
        let mut fresh = replica::<T>(9);
        fresh.merge(delta).expect("one delta has room");
        fresh
    });
}

fn state_of<T: Subject>(bytes: &[u8], limits: &Limits) {
    let id = ReplicaId::from_bytes([9; 16]);
    let decoded =
        within(bound(limits, bytes), "decoding a state", || Delta::<T>::decode_state(bytes, limits));
    inspected(bytes, limits, decoded.is_ok());
    let Ok(state) = decoded else {
        assert!(Replica::<T>::decode(id, bytes, limits).is_err(), "a state decodes in both ways or in none");
        return;
    };
    let mut fresh = Replica::<T>::decode(id, bytes, limits).expect("it decoded a moment ago");
    // The name of the type stands in the body behind one byte: an opaque reader takes any and writes none.
    let unnamed = bytes.get(15) == Some(&0xa0);
    if unnamed == T::type_name().is_empty() {
        assert!(same(&state.encode_state().expect("it is a state"), bytes), "a state has one encoding");
        assert!(same(&fresh.encode(), bytes), "a state has one encoding");
    }
    look(&fresh);
    told(&fresh);
    assert_eq!(fresh.merge(state.clone()), Ok(Merged::AlreadyKnown));
    let mut empty = replica::<T>(9);
    empty.merge(state.clone()).expect("a state depends on nothing");
    assert!(empty.encode() == fresh.encode(), "decoding and merging a state are the same");
    assert_eq!(empty.pending(), 0);

    let mut busy = busy::<T>();
    busy.merge(state).expect("a state depends on nothing");
    look(&busy);
    let _ = (busy.encode(), busy.delta_since(&Version::new()));
}

/// Input: limits, then anything.
pub fn envelope(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let limits = limits(choice);
    inspected(bytes, &limits, false);
    for kind in [EnvelopeKind::State, EnvelopeKind::Delta] {
        let opened = within(BESIDE, "opening an envelope", || Envelope::open(kind, bytes, &limits));
        if let Ok(body) = opened {
            let again = Envelope::seal(kind, body);
            assert!(bytes[4] < FORMAT || again == bytes, "an envelope has one form");
        }
        let repaired = Envelope::repair(kind, bytes);
        if repaired.len() <= limits.bytes {
            let body = Envelope::open(kind, &repaired, &limits).expect("a repaired envelope opens");
            assert!(body == bytes.get(14..).unwrap_or_default());
            let other = if kind == EnvelopeKind::State { EnvelopeKind::Delta } else { EnvelopeKind::State };
            assert!(Envelope::open(other, &repaired, &limits).is_err());
        }
    }
}

/// Reads a value in both formats. What was read must be written and read again as the same, and stand what is done with it.
fn round_and<V: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8], act: impl Fn(&V)) {
    // serde reserves up to a MiB for a list on the word of its length.
    let bound = 128 * bytes.len() + (2 << 20);
    if let Ok(value) = within(bound, "reading MessagePack", || rmp_serde::from_slice::<V>(bytes)) {
        let again = rmp_serde::to_vec(&value).expect("what was read can be written");
        assert_eq!(rmp_serde::from_slice::<V>(&again).expect("and read again"), value);
        act(&value);
    }
    if let Ok(value) = within(bound, "reading JSON", || serde_json::from_slice::<V>(bytes)) {
        let again = serde_json::to_vec(&value).expect("what was read can be written");
        assert_eq!(serde_json::from_slice::<V>(&again).expect("and read again"), value);
        act(&value);
    }
}

/// As [`round_and`], of what nothing is done with.
fn round<V: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    round_and::<V>(bytes, |_| ());
}

/// As [`round`], for what can only be compared by its encoding.
fn round_by<V: Serialize + DeserializeOwned>(bytes: &[u8], encode: impl Fn(&V) -> Vec<u8>) {
    for value in [rmp_serde::from_slice::<V>(bytes).ok(), serde_json::from_slice::<V>(bytes).ok()] {
        let Some(value) = value else { continue };
        let packed = rmp_serde::to_vec(&value).expect("what was read can be written");
        let back = rmp_serde::from_slice::<V>(&packed).expect("and read again");
        assert!(encode(&back) == encode(&value));
        let json = serde_json::to_vec(&value).expect("what was read can be written");
        let back = serde_json::from_slice::<V>(&json).expect("and read again");
        assert!(encode(&back) == encode(&value));
    }
}

/// A text and a list, of which others hold what stood there before.
pub struct Held {
    /// Written by two, in turns and side by side; most of it is deleted, and a part of that is forgotten.
    pub text: Replica<Text>,
    /// The same as a list.
    pub list: Replica<List<Scalar>>,
    /// By a letter of the text that is forgotten.
    pub cursor: Cursor,
    /// The text as it was.
    pub snapshot: TextSnapshot,
    /// What somebody made of it.
    pub edit: TextEdit,
    /// An element that is there.
    pub element: ElementId,
}

/// The same each time.
#[must_use]
pub fn held() -> Held {
    const THERE: &str = "there is such a place";
    let [was, text] = written_by_two::<Text>(
        |text, at, turn| text.insert(at, ["a\u{1f426}", "b\n"][turn % 2]).expect(THERE),
        |text| text.delete(5..text.len() / 2).expect(THERE),
    );
    let [_, list] = written_by_two::<List<Scalar>>(
        |list, at, turn| list.insert_all(at, [turn as i64, -1]).expect(THERE),
        |list| list.delete(5..list.len() / 2).expect(THERE),
    );
    let cursor = was.cursor(12, Bias::Before).expect(THERE);
    let snapshot = was.snapshot();
    let edit = snapshot.edited(&snapshot.as_str().replace('b', "c d").replacen('a', "", 9));
    let element = list.id_at(4).expect(THERE);
    Held { text, list, cursor, snapshot, edit, element }
}

/// What two write in turns, each behind the other, and once at the same place at once; and what is left when a part of it is forgotten, and one
/// more deleted.
fn written_by_two<T: Subject>(
    insert: impl Fn(&mut T::Mut<'_>, usize, usize),
    delete: impl Fn(&mut T::Mut<'_>),
) -> [Replica<T>; 2] {
    let (mut ann, mut bob) = (replica::<T>(1), replica::<T>(2));
    for turn in 0..24 {
        let (writer, other) = if turn % 2 == 0 { (&mut ann, &mut bob) } else { (&mut bob, &mut ann) };
        let (_, delta) = writer.update(|value| insert(value, turn * 2, turn));
        other.merge(delta).expect("there is room");
    }
    let _ = ann.update(|value| insert(value, 3, 0));
    let (_, delta) = bob.update(|value| insert(value, 3, 1));
    ann.merge(delta).expect("there is room");
    let before = ann.fork(ReplicaId::from_bytes([3; 16]));
    let _ = ann.update(&delete);
    let _ = ann.sweep(&ann.version());
    let _ = ann.update(&delete);
    [before, ann]
}

/// What is [`held`], made once.
fn held_once() -> &'static Held {
    static HELD: OnceLock<Held> = OnceLock::new();
    HELD.get_or_init(held)
}

/// Finds a place that anybody may have named, in what there is and in what is empty.
fn find(cursor: &Cursor) {
    let Held { text, list, .. } = held_once();
    find_in(text, cursor);
    find_in(list, cursor);
    find_in(&replica::<Text>(9), cursor);
    find_in(&replica::<List<Scalar>>(9), cursor);
}

fn find_in<T: Subject>(replica: &Replica<T>, cursor: &Cursor) {
    let found = within(BESIDE, "finding a place", || T::place_of(replica, cursor));
    let back = Replica::<T>::decode(replica.id(), &replica.encode(), &Limits::default());
    let again = T::place_of(&back.expect("our own state decodes"), cursor);
    assert_eq!(again, found, "who has it from bytes finds a place elsewhere");
}

/// Does an edit that anybody may have made, to what there is and to what is empty.
fn edit(edit: &TextEdit, bytes: &[u8]) {
    for mut text in [held_once().text.fork(ReplicaId::from_bytes([9; 16])), replica(9)] {
        let bound = PER_EDITED * (text.len() + bytes.len()) + BESIDE;
        let _ = within(bound, "doing an edit", || text.update(|text| text.apply(edit)));
        Text::check(&text);
        told(&text);
    }
}

/// Edits a copy that anybody may have written.
fn edited(snapshot: &TextSnapshot, bytes: &[u8]) {
    for content in ["", "a\nb", &[snapshot.as_str(), "\nmore"].concat()] {
        let made = snapshot.edited(content);
        assert_eq!(made.is_empty(), content == snapshot.as_str());
        let packed = rmp_serde::to_vec(&made).expect("an edit can be written");
        assert_eq!(rmp_serde::from_slice::<TextEdit>(&packed).expect("and read again"), made);
        edit(&made, bytes);
    }
}

/// Counts a place that anybody may have named.
fn count(place: &Position) {
    let text = &held_once().text;
    let counted = [text.scalars(*place), text.utf16(*place), text.bytes(*place)];
    match (place, counted) {
        (Position::Scalars(at), [Ok(again), ..])
        | (Position::Utf16(at), [_, Ok(again), _])
        | (Position::Bytes(at), [.., Ok(again)]) => assert_eq!(*at, again, "a place is counted otherwise"),
        _ => assert!(counted.iter().all(Result::is_err), "a place that is none in one unit is none"),
    }
}

/// Looks for an element that anybody may have named.
fn name(id: &ElementId) {
    let list = &held_once().list;
    let at = list.position(*id);
    assert!(at.is_none_or(|at| list.id_at(at) == Some(*id)), "an element is where its name says");
}

/// Input: which type, then the value in MessagePack or JSON.
pub fn version_serde(data: &[u8]) {
    let Some((&which, bytes)) = data.split_first() else { return };
    let encode_delta = |delta: &Delta<Doc>| delta.encode_state().unwrap_or_else(|| delta.encode());
    match which % VALUES {
        0 => round::<Version>(bytes),
        1 => round::<Dot>(bytes),
        2 => round::<Scalar>(bytes),
        3 => round::<ReplicaId>(bytes),
        4 => round::<Stamp>(bytes),
        5 => round::<Kind>(bytes),
        6 => round::<Merged>(bytes),
        7 => round_by::<Delta<Doc>>(bytes, encode_delta),
        8 => round_by::<Replica<Doc>>(bytes, Replica::encode),
        9 => round::<Vec<(Dot, Scalar)>>(bytes),
        10 => round_and(bytes, find),
        11 => round_and(bytes, |made| edit(made, bytes)),
        12 => round_and(bytes, |snapshot| edited(snapshot, bytes)),
        13 => round_and(bytes, count),
        _ => round_and(bytes, name),
    }
}
