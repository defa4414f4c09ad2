//! What is measured. Ids, inputs and times are fixed; each takes callgrind about a second.
//!
//! Only what stands inside [`counted`] is counted in instructions: no setup, no checking, no dropping. Bytes are those of
//! what is sent, deltas as bodies as `tombolo-sync` sends them, or kept.

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, BoundedCounter, Crdt, Delta, DisableWinsFlag, Doc, EnableWinsFlag, GCounter,
    GMap, GSet, Limits, List, LwwMap, LwwRegister, MarkKind, MaxRegister, MinRegister, MovableList, Mut,
    MvRegister, NodeId, PnCounter, RemoveWinsSet, Replica, ReplicaId, Since, Text, Tree, TwoPhaseSet,
};

use crate::callgrind::counted;

/// A piece of work.
pub struct Workload {
    /// What it is called.
    pub name: &'static str,
    /// Does it once and gives the bytes, by metric.
    pub run: fn() -> Bytes,
}

/// Lengths, by metric.
type Bytes = Vec<(&'static str, usize)>;

/// All of them. Each asserts something that would not hold if the work were not done.
pub const ALL: &[Workload] = &[
    Workload { name: "counter_one_tx", run: counter_one_tx },
    Workload { name: "counter_each", run: counter_each },
    Workload { name: "set_one_tx", run: set_one_tx },
    Workload { name: "set_each", run: set_each },
    Workload { name: "map_each", run: map_each },
    Workload { name: "merge_200", run: merge_200 },
    Workload { name: "state_encode", run: state_encode },
    Workload { name: "state_decode", run: state_decode },
    Workload { name: "peer_behind", run: peer_behind },
    Workload { name: "doc_edits", run: doc_edits },
    Workload { name: "types_each", run: types_each },
    Workload { name: "text_each", run: text_each },
    Workload { name: "text_cuts", run: text_cuts },
    Workload { name: "marks_each", run: marks_each },
    Workload { name: "list_each", run: list_each },
    Workload { name: "movable_each", run: movable_each },
    Workload { name: "movable_many", run: movable_many },
    Workload { name: "tree_each", run: tree_each },
];

/// The workload of that name.
pub fn named(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name)
}

/// 10 000 increments in one transaction.
fn counter_one_tx() -> Bytes {
    let mut counter = replica::<PnCounter>(1);
    let (_, delta) = counted(|| counter.update(|counter| (0..10_000).for_each(|_| counter.inc(1))));
    assert_eq!(counter.value(), 10_000);
    vec![("delta_bytes", delta.encode_body().len()), ("state_bytes", counter.encode().len())]
}

/// 2 000 increments, each a delta that is encoded.
fn counter_each() -> Bytes {
    let mut counter = replica::<PnCounter>(1);
    let deltas = counted(|| -> Vec<Vec<u8>> {
        (0..2_000).map(|_| counter.update(|counter| counter.inc(1)).1.encode_body()).collect()
    });
    assert_eq!(counter.value(), 2_000);
    vec![("deltas_bytes", total(&deltas)), ("state_bytes", counter.encode().len())]
}

/// 2 000 members added in one transaction, of which every third is removed in another.
fn set_one_tx() -> Bytes {
    let members = words(1, 2_000);
    let mut set = replica::<AddWinsSet<String>>(1);
    let (added, removed) = counted(|| {
        let (_, added) = set.update(|set| set.extend(members.iter().cloned()));
        let (_, removed) =
            set.update(|set| members.iter().step_by(3).filter(|member| set.remove(*member)).count());
        (added, removed)
    });
    assert_eq!(set.len(), 2_000 - 667);
    vec![
        ("added_bytes", added.encode_body().len()),
        ("removed_bytes", removed.encode_body().len()),
        ("state_bytes", set.encode().len()),
    ]
}

/// 500 members added and removed again, each in a transaction of its own whose delta is encoded.
fn set_each() -> Bytes {
    let members = words(1, 500);
    let mut set = replica::<AddWinsSet<String>>(1);
    let (added, removed) = counted(|| -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let add = |member: &String| set.update(|set| set.add(member.clone())).1.encode_body();
        let added = members.iter().map(add).collect();
        let remove = |member| set.update(|set| assert!(set.remove(member))).1.encode_body();
        (added, members.iter().map(remove).collect())
    });
    assert!(set.is_empty());
    vec![
        ("added_bytes", total(&added)),
        ("removed_bytes", total(&removed)),
        ("state_bytes", set.encode().len()),
    ]
}

/// 1 000 registers of a map overwritten, each in a transaction of its own whose delta is encoded.
fn map_each() -> Bytes {
    let keys = words(1, 1_000);
    let mut map = registers(1, &keys);
    let deltas = counted(|| -> Vec<Vec<u8>> {
        let overwrite =
            |(key, value): (&String, i64)| map.update(|map| map.at(key.clone()).set(value)).1.encode_body();
        keys.iter().zip(1_000_000..).map(overwrite).collect()
    });
    assert_eq!(map.get(&keys[999]).and_then(|register| register.value()), Some(&1_000_999));
    vec![("deltas_bytes", total(&deltas)), ("state_bytes", map.encode().len())]
}

/// 2 000 keystrokes with corrections, and now and then somewhere else, each in a transaction of its own whose delta is encoded and taken in
/// by another replica.
fn text_each() -> Bytes {
    let (mut ann, mut bob) = (replica::<Text>(1), replica::<Text>(2));
    let deltas = counted(|| -> Vec<Vec<u8>> {
        let mut at = 0;
        let edit = |nth| {
            let random = mixed(9, nth) as usize;
            let is_correction = random.is_multiple_of(8) && at > 0;
            if random % 50 == 1 {
                at = random / 64 % (ann.len() + 1);
            }
            let letter = char::from(b'a' + (random / 64 % 26) as u8).to_string();
            let write = |text: &mut Mut<'_, Text>| {
                let (range, new) = if is_correction { (at - 1..at, "") } else { (at..at, &letter[..]) };
                text.replace(range, new).expect("it is within the text");
            };
            let delta = ann.update(write).1.encode_body();
            at = if is_correction { at - 1 } else { at + 1 };
            take_in(&mut bob, &delta);
            delta
        };
        (0..2_000).map(edit).collect()
    });
    assert!(ann.len() > 1_000 && ann.to_string() == bob.to_string());
    vec![("deltas_bytes", total(&deltas)), ("state_bytes", ann.encode().len())]
}

/// What another replica does with 100 cuts of 100 letters each out of a text of 100 000, which is far more than all of them together.
fn text_cuts() -> Bytes {
    let (mut ann, mut bob) = (replica::<Text>(1), replica::<Text>(2));
    let (_, delta) = ann.update(|text| text.push(&words(13, 6_250).concat()));
    take_in(&mut bob, &delta.encode_body());
    let cut = |nth| {
        let at = mixed(13, nth) as usize % (ann.len() - 100);
        ann.update(|text| text.delete(at..at + 100).expect("it is within the text")).1.encode_body()
    };
    let deltas: Vec<Vec<u8>> = (0..100).map(cut).collect();
    counted(|| deltas.iter().for_each(|delta| take_in(&mut bob, delta)));
    assert!(ann.len() > 80_000 && ann.to_string() == bob.to_string());
    vec![("deltas_bytes", total(&deltas)), ("state_bytes", ann.encode().len())]
}

/// 500 marks over a text of 4 000 letters, some taken away again, and 500 letters typed and some deleted among them, in turns, each in a
/// transaction of its own whose delta is encoded and taken in by another replica; then read in runs.
fn marks_each() -> Bytes {
    let (mut ann, mut bob) = (replica::<Text>(1), replica::<Text>(2));
    let (_, delta) = ann.update(|text| text.push(&words(7, 250).concat()));
    bob.merge(delta).expect("nothing is missing");
    let (deltas, runs) = counted(|| {
        let edit = |nth| {
            let random = mixed(13, nth) as usize;
            let at = (random >> 8) % (ann.len() - 100);
            let part = at..at + 1 + (random >> 32) % 100;
            let write = |text: &mut Mut<'_, Text>| match random % 16 {
                0 => text.unmark(part, MarkKind::BOLD),
                1..4 => text.mark(part, MarkKind::BOLD, true),
                4..6 => text.mark(part, MarkKind::ITALIC, true),
                6..8 => text.mark(part, MarkKind::LINK, nth as i64),
                8 => text.delete(at..at + 2),
                _ => text.insert(at, "x"),
            };
            let delta = ann.try_update(write).expect("it is within the text").1.encode_body();
            take_in(&mut bob, &delta);
            delta
        };
        let deltas: Vec<Vec<u8>> = (0..1_000).map(edit).collect();
        (deltas, bob.runs().count())
    });
    assert!(runs > 100 && ann.runs().eq(bob.runs()));
    vec![("deltas_bytes", total(&deltas)), ("state_bytes", ann.encode().len())]
}

/// 2 000 words inserted into a list, some deleted again, each a delta that another takes in.
fn list_each() -> Bytes {
    let words = words(3, 2_000);
    let (mut ann, mut bob) = (replica::<List<String>>(1), replica::<List<String>>(2));
    let deltas = counted(|| -> Vec<Vec<u8>> {
        let edit = |(nth, word): (u64, &String)| {
            let random = mixed(10, nth) as usize;
            let at = random / 64 % (ann.len() + 1);
            let write = |list: &mut Mut<'_, List<String>>| {
                let written = if random.is_multiple_of(8) && at < list.len() {
                    list.remove(at)
                } else {
                    list.insert(at, word.clone())
                };
                written.expect("it is within the list");
            };
            let delta = ann.update(write).1.encode_body();
            take_in(&mut bob, &delta);
            delta
        };
        (0..).zip(&words).map(edit).collect()
    });
    assert!(ann.len() > 1_000 && ann.iter().eq(bob.iter()));
    vec![("deltas_bytes", total(&deltas)), ("state_bytes", ann.encode().len())]
}

/// 334 words put at random places of a list and 666 moves, in turns, each a delta that another takes in.
fn movable_each() -> Bytes {
    type Words = MovableList<LwwRegister<String>>;
    let words = words(5, 1_000);
    let (mut ann, mut bob) = (replica::<Words>(1), replica::<Words>(2));
    ann.set_time(NOW);
    let deltas = counted(|| -> Vec<Vec<u8>> {
        let edit = |(nth, word): (u64, &String)| {
            let random = mixed(11, nth) as usize;
            let place = |of: usize| (random >> (8 * of)) % (ann.len() + 1);
            let (from, to) = (place(1), place(3));
            let write = |list: &mut Mut<'_, Words>| {
                if nth.is_multiple_of(3) {
                    list.insert(from).expect("it is within the list").set(word);
                } else {
                    list.move_to(from.min(list.len() - 1), to.min(list.len() - 1)).expect("both are there");
                }
            };
            let delta = ann.update(write).1.encode_body();
            take_in(&mut bob, &delta);
            delta
        };
        (0..).zip(&words).map(edit).collect()
    });
    let read =
        |list: &Replica<Words>| list.iter().filter_map(LwwRegister::value).cloned().collect::<Vec<_>>();
    assert!(ann.len() == 334 && read(&ann) == read(&bob));
    vec![("deltas_bytes", total(&deltas)), ("state_bytes", ann.encode().len())]
}

/// What another replica does with 10 times 100 elements that were moved in one transaction, in a list of 10 000.
fn movable_many() -> Bytes {
    type Numbers = MovableList<LwwRegister<u64>>;
    let (mut ann, mut bob) = (replica::<Numbers>(1), replica::<Numbers>(2));
    ann.set_time(NOW);
    let all =
        |list: &mut Mut<'_, Numbers>| list.insert_all(0, 0..10_000_u64, |mut number, nth| number.set(nth));
    let (_, delta) = ann.try_update(all).expect("it is within the list");
    take_in(&mut bob, &delta.encode_body());
    let moves = |round: u64| {
        let write = |list: &mut Mut<'_, Numbers>| {
            for nth in 0..100 {
                let random = mixed(14, 100 * round + nth) as usize;
                list.move_to(random % 10_000, (random >> 32) % 10_000).expect("both are there");
            }
        };
        ann.update(write).1.encode_body()
    };
    let deltas: Vec<Vec<u8>> = (0..10).map(moves).collect();
    counted(|| deltas.iter().for_each(|delta| take_in(&mut bob, delta)));
    let read =
        |list: &Replica<Numbers>| list.iter().filter_map(LwwRegister::value).copied().collect::<Vec<_>>();
    assert!(ann.len() == 10_000 && read(&ann) == read(&bob));
    vec![("deltas_bytes", total(&deltas)), ("state_bytes", ann.encode().len())]
}

/// As [`movable_each`], of the nodes of a tree.
fn tree_each() -> Bytes {
    type Words = Tree<LwwRegister<String>>;
    let words = words(6, 1_000);
    let (mut ann, mut bob) = (replica::<Words>(1), replica::<Words>(2));
    ann.set_time(NOW);
    let mut nodes: Vec<NodeId> = Vec::new();
    let deltas = counted(|| -> Vec<Vec<u8>> {
        let edit = |(nth, word): (u64, &String)| {
            let random = mixed(12, nth) as usize;
            let pick = |of: usize| nodes.get((random >> (8 * of)) % (nodes.len() + 1)).copied();
            let (node, parent) = (pick(1), pick(3));
            let write = |tree: &mut Mut<'_, Words>| match node.filter(|_| !nth.is_multiple_of(3)) {
                // One below itself is none.
                Some(node) => tree.move_to(node, parent, 0).map(|()| None).or(Ok(None)),
                None => tree.push(parent).map(|(id, mut node)| {
                    node.set(word);
                    Some(id)
                }),
            };
            let (made, delta) = ann.try_update(write).expect("the parent is there");
            nodes.extend(made);
            let delta = delta.encode_body();
            take_in(&mut bob, &delta);
            delta
        };
        (0..).zip(&words).map(edit).collect()
    });
    assert!(nodes.len() > 300 && ann.iter().count() == nodes.len() && ann.iter().eq(bob.iter()));
    vec![("deltas_bytes", total(&deltas)), ("state_bytes", ann.encode().len())]
}

/// What 200 replicas wrote before they met, decoded and taken in.
fn merge_200() -> Bytes {
    let members = words(1, 1_000);
    let write = |(replica_id, members): (u64, &[String])| {
        replica::<AddWinsSet<String>>(replica_id)
            .update(|set| set.extend(members.iter().cloned()))
            .1
            .encode_body()
    };
    let bodies: Vec<Vec<u8>> = (2..).zip(members.chunks(5)).map(write).collect();
    let mut set = replica::<AddWinsSet<String>>(1);
    counted(|| bodies.iter().for_each(|body| take_in(&mut set, body)));
    assert_eq!((set.replicas(), set.len()), (200, 1_000));
    vec![("deltas_bytes", total(&bodies)), ("state_bytes", set.encode().len())]
}

/// The state of a board encoded.
fn state_encode() -> Bytes {
    let board = board();
    let state = counted(|| board.encode());
    vec![("state_bytes", state.len())]
}

/// The same state decoded.
fn state_decode() -> Bytes {
    let state = board().encode();
    let board =
        counted(|| Replica::<Board>::decode(id(4), &state, &Limits::default()).expect("it was encoded"));
    assert_eq!(board.encode(), state);
    vec![("state_bytes", state.len())]
}

/// Both ways of two peers that have 2 000 registers in common and missed a few writes and removals of one another.
fn peer_behind() -> Bytes {
    let keys = words(1, 2_000);
    let mut ann = registers(1, &keys);
    let mut bob = replica::<AddWinsMap<String, MvRegister<i64>>>(2);
    bob.merge(ann.state()).expect("nothing is missing");
    for (key, value) in keys.iter().step_by(67).zip(1_000_000..) {
        let _ = ann.update(|map| map.at(key.clone()).set(value));
        let _ = bob.update(|map| map.at(format!("{key} anew")).set(value));
    }
    for key in keys.iter().skip(1).step_by(331) {
        assert!(ann.update(|map| map.remove(key)).0);
    }
    let (to_ann, to_bob) = counted(|| {
        let (to_ann, to_bob) = (lacked(&bob, &ann), lacked(&ann, &bob));
        take_in(&mut ann, &to_ann);
        take_in(&mut bob, &to_bob);
        (to_ann, to_bob)
    });
    assert_eq!(ann.encode(), bob.encode());
    vec![("written_bytes", to_ann.len()), ("mixed_bytes", to_bob.len()), ("state_bytes", ann.encode().len())]
}

/// 500 edits in a dynamic document, each encoded, decoded and taken in elsewhere.
fn doc_edits() -> Bytes {
    let (mut ann, mut bob) = (replica::<Doc>(1), replica::<Doc>(2));
    let names = words(1, 50);
    let edits: Vec<(usize, u64)> = (0..500).map(|i| (i % 5, mixed(2, i as u64))).collect();
    let bodies = counted(|| -> Vec<Vec<u8>> {
        let edit = |(&(kind, word), now): (&(usize, u64), u64)| {
            ann.set_time(now);
            let name = &names[word as usize % names.len()];
            let (_, delta) = ann.update(|doc| {
                let mut record = doc.map("records").into_map(name);
                match kind {
                    0 => record.lww("title").set((word >> 32) as i64),
                    1 => record.counter("votes").add(1),
                    2 => record.set("labels").add(format!("{:x}", word >> 60)),
                    3 => record.register("note").set((word >> 48) as i64),
                    _ => record.map("more").flag("done").enable(),
                }
            });
            let body = delta.encode_body();
            take_in(&mut bob, &body);
            body
        };
        edits.iter().zip(NOW..).map(edit).collect()
    });
    assert_eq!(ann.encode(), bob.encode());
    vec![("deltas_bytes", total(&bodies)), ("state_bytes", bob.encode().len())]
}

/// 200 writes to each of the types that are in no other workload, each a transaction whose delta is encoded, decoded and taken in
/// elsewhere.
fn types_each() -> Bytes {
    let words = words(4, 200);
    let done = counted(|| {
        [
            each::<BoundedCounter>(&words, |counter, word| {
                counter.inc(2);
                counter.dec(1).expect("it has just added more");
                counter.transfer(1, id(u64::from(word.as_bytes()[0]))).expect("one is left");
            }),
            each::<DisableWinsFlag>(
                &words,
                |flag, word| if word < "8" { flag.disable() } else { flag.enable() },
            ),
            each::<MaxRegister<String>>(&words, |register, word| register.set(word)),
            each::<MinRegister<String>>(&words, |register, word| register.set(word)),
            each::<RemoveWinsSet<String>>(&words, |set, word| {
                set.add(word);
                set.remove(&word[..1]);
            }),
            each::<TwoPhaseSet<String>>(&words, |set, word| {
                set.add(word);
                set.remove(word);
            }),
            each::<GMap<String, PnCounter>>(&words, |map, word| map.at(&word[..2]).add(1)),
            each::<LwwMap<String, String>>(&words, |map, word| {
                map.set(&word[..2], word);
                map.remove(&word[1..3]);
            }),
        ]
    });
    let bytes = done.map(|(deltas, state)| (total(&deltas), state()));
    let sum = |of: fn(&(usize, usize)) -> usize| bytes.iter().map(of).sum();
    vec![("deltas_bytes", sum(|(deltas, _)| *deltas)), ("state_bytes", sum(|(_, state)| *state))]
}

/// The deltas of so many writes, and what checks them and gives the bytes of the state.
fn each<T: Crdt>(
    words: &[String],
    write: impl Fn(&mut T::Mut<'_>, &str),
) -> (Vec<Vec<u8>>, Box<dyn FnOnce() -> usize>) {
    let (mut ann, mut bob) = (replica::<T>(1), replica::<T>(2));
    ann.set_time(NOW);
    let edit = |word: &String| {
        let body = ann.update(|value| write(value, word)).1.encode_body();
        take_in(&mut bob, &body);
        body
    };
    let bodies = words.iter().map(edit).collect();
    let check = move || {
        assert_eq!(ann.encode(), bob.encode());
        bob.encode().len()
    };
    (bodies, Box::new(check))
}

/// A struct of the most common types; the rest are in `types_each`.
#[derive(Crdt)]
struct Board {
    #[crdt(lww)]
    name: String,
    open: EnableWinsFlag,
    visits: GCounter,
    seen: GSet<String>,
    cards: AddWinsMap<String, Card>,
}

#[derive(Crdt)]
struct Card {
    #[crdt(lww)]
    title: String,
    text: MvRegister<String>,
    votes: PnCounter,
    labels: AddWinsSet<String>,
}

/// A board with a history: three replicas have written cards, one after the other, and each has removed some of those it
/// found.
fn board() -> Replica<Board> {
    let cards = words(1, 300);
    let mut board = replica::<Board>(1);
    for (number, new) in (1..).zip(cards.chunks(100)) {
        let mut author = board.fork(id(10 + number));
        author.set_time(NOW + number);
        let _ = author.update(|board| {
            let found: Vec<String> = board.cards.keys().step_by(7).cloned().collect();
            found.iter().for_each(|card| assert!(board.cards().remove(card)));
            board.name().set(format!("board {number}"));
            board.open().enable();
            board.visits().inc(number);
            board.seen().add(format!("author {number}"));
            for (card, word) in new.iter().zip(0..) {
                let mut card = board.cards().entry(card.clone());
                card.title().set(format!("card {word}"));
                card.text().set(format!("text {:x}", mixed(3, word)));
                card.votes().add(word as i64 - 50);
                card.labels().extend((0..word % 4).map(|label| format!("label {label}")));
            }
        });
        board = author;
    }
    assert_eq!((board.replicas(), board.seen.len()), (3, 3));
    board
}

/// A wall time in milliseconds, in 2025.
const NOW: u64 = 1_750_000_000_000;

fn replica<T: Crdt>(number: u64) -> Replica<T> {
    Replica::new(id(number))
}

/// A full-width id.
fn id(number: u64) -> ReplicaId {
    let mut bytes = [0x5a; 16];
    bytes[8..].copy_from_slice(&mixed(0, number).to_be_bytes());
    ReplicaId::from_bytes(bytes)
}

/// A map of those keys.
fn registers(replica_id: u64, keys: &[String]) -> Replica<AddWinsMap<String, MvRegister<i64>>> {
    let mut map = replica::<AddWinsMap<String, MvRegister<i64>>>(replica_id);
    let _ = map.update(|map| keys.iter().zip(0..).for_each(|(key, value)| map.at(key.clone()).set(value)));
    map
}

/// `n` words of 16 hex digits.
fn words(purpose: u64, n: u64) -> Vec<String> {
    (0..n).map(|i| format!("{:016x}", mixed(purpose, i))).collect()
}

/// The `i`th of a sequence of numbers that look random: SplitMix64.
fn mixed(purpose: u64, i: u64) -> u64 {
    let mut z = (purpose << 32 | i).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn total(messages: &[Vec<u8>]) -> usize {
    messages.iter().map(Vec::len).sum()
}

/// What `other` lacks of what `replica` has, as a message.
fn lacked<T: Crdt>(replica: &Replica<T>, other: &Replica<T>) -> Vec<u8> {
    match replica.delta_since(&other.version()) {
        Since::Delta(delta) => delta.encode_body(),
        Since::UpToDate | Since::Forgotten => unreachable!("the other lacks a little, and it is remembered"),
    }
}

fn take_in<T: Crdt>(replica: &mut Replica<T>, body: &[u8]) {
    let delta = Delta::decode_body(body, &Limits::default()).expect("it was encoded");
    replica.merge(delta).expect("nothing is missing");
}
