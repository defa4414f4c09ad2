//! Bytes from outside, at the doors: cut off, changed, made up. They give an error, or else what they say is understood
//! exactly as it stands. And serde, which has doors of its own.

mod through_serde;

use proptest::collection::vec;
use proptest::prelude::*;
use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Crdt, DecodeError, Delta, Doc, Envelope, EnvelopeKind, FORMAT, Inspection,
    Limits, List, LwwRegister, MAX_COUNTER, MAX_DEPTH, Merged, Mismatch, MvRegister, Opaque, PnCounter,
    Replica, ReplicaId, Scalar,
};
use tombolo_tests::model::cases;
use tombolo_tests::model::wire::{Message, Node};

type Sets = AddWinsMap<u8, AddWinsSet<u8>>;

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

fn limits() -> Limits {
    Limits::default()
}

/// A document with some of everything, its state, and a delta that carries, covers and depends.
fn garden() -> (Replica<Doc>, Vec<u8>, Vec<u8>) {
    let mut bob = Replica::<Doc>::new(id(200));
    let (_, his) = bob.update(|doc| {
        doc.map("garden").set("beds").extend(["roses", "a name that is too long to stand inline"]);
        doc.map("garden").counter("size").inc(300);
    });
    let mut ann = Replica::<Doc>::new(id(100));
    ann.merge(his).unwrap();
    let _ = ann.update(|doc| {
        doc.lww("title").set("Garden");
        doc.map("garden").flag("open").enable();
        doc.map("garden").grow_counter("visits").inc(70_000);
    });
    let (_, delta) = ann.update(|doc| {
        doc.map("garden").set("beds").remove(&Scalar::from("roses"));
        doc.map("garden").set("beds").add(vec![1_u8, 2, 3]);
        doc.register("title").set(1.5);
        doc.lww("title").set(-7_i64);
    });
    let state = ann.encode();
    (ann, state, delta.encode())
}

/// What is taken is understood as it stands: it has no other encoding, and can be joined.
fn taken<T: Crdt>(delta: &Delta<T>, body: &[u8]) {
    assert_eq!(delta.encode_body(), body, "another encoding of the same was taken");
    let mut fresh = Replica::<T>::new(id(1));
    if delta.is_empty() {
        return;
    }
    let merged = fresh.merge(delta.clone()).unwrap();
    assert_eq!(merged == Merged::Applied, delta.deps().is_empty());
    let state = fresh.encode();
    assert_eq!(Replica::<T>::decode(id(1), &state, &limits()).unwrap().encode(), state);
}

#[test]
fn every_prefix_is_refused() {
    let (_, state, delta) = garden();
    for end in 0..state.len() {
        assert!(Replica::<Doc>::decode(id(1), &state[..end], &limits()).is_err());
        let cut = Envelope::repair(EnvelopeKind::State, &state[..end]);
        assert!(end == state.len() || Replica::<Doc>::decode(id(1), &cut, &limits()).is_err(), "{end}");
    }
    for end in 0..delta.len() {
        assert!(Delta::<Doc>::decode(&delta[..end], &limits()).is_err());
        let cut = Envelope::repair(EnvelopeKind::Delta, &delta[..end]);
        assert!(Delta::<Doc>::decode(&cut, &limits()).is_err(), "{end}");
    }
    for (bytes, kind) in [(state, EnvelopeKind::State), (delta, EnvelopeKind::Delta)] {
        let mut longer = bytes;
        longer.push(0xc0);
        let longer = Envelope::repair(kind, &longer);
        assert!(Replica::<Doc>::decode(id(1), &longer, &limits()).is_err());
        assert!(Delta::<Doc>::decode(&longer, &limits()).is_err());
    }
}

#[test]
fn every_changed_byte_is_noticed_by_the_envelope() {
    let (_, state, delta) = garden();
    for at in 0..state.len() {
        for bit in 0..8 {
            let mut changed = state.clone();
            changed[at] ^= 1 << bit;
            assert!(Replica::<Doc>::decode(id(1), &changed, &limits()).is_err(), "byte {at}");
        }
    }
    for at in 0..delta.len() {
        let mut changed = delta.clone();
        changed[at] = !changed[at];
        assert!(Delta::<Doc>::decode(&changed, &limits()).is_err(), "byte {at}");
    }
}

#[test]
fn every_changed_byte_of_a_body_is_refused_or_understood() {
    let (mut ann, _, delta) = garden();
    let body = Envelope::open(EnvelopeKind::Delta, &delta, &limits()).unwrap();
    let (mut refused, mut understood) = (0, 0);
    for at in 0..body.len() {
        // Each bit; and small numbers, lengths and markers.
        let bits = (0..8).map(|bit| body[at] ^ (1 << bit));
        for value in bits.chain([0, 1, 2, 3, 5, 0x7f, 0x90, 0x91, 0x93, 0xc0, 0xc4, 0xcc, 0xcd, 0xdc, 0xff]) {
            let mut changed = body.to_vec();
            changed[at] = value;
            match Delta::<Doc>::decode_body(&changed, &limits()) {
                Err(_) => refused += 1,
                Ok(delta) => {
                    understood += 1;
                    taken(&delta, &changed);
                    // Where something is there already.
                    let _ = ann.merge(delta);
                }
            }
            if let Ok(delta) = Delta::<Opaque>::decode_body(&changed, &limits()) {
                taken(&delta, &changed);
            }
        }
    }
    assert!(refused > 1_000 && understood > 100, "{refused} and {understood}");
    let bytes = ann.encode();
    assert_eq!(Replica::<Doc>::decode(id(1), &bytes, &limits()).unwrap().encode(), bytes);
}

#[test]
fn every_changed_byte_of_a_state_is_refused_or_understood() {
    let (_, state, _) = garden();
    for at in 14..state.len() {
        for bit in 0..8 {
            let mut changed = state.clone();
            changed[at] ^= 1 << bit;
            let changed = Envelope::repair(EnvelopeKind::State, &changed);
            if let Ok(replica) = Replica::<Doc>::decode(id(1), &changed, &limits()) {
                assert_eq!(replica.encode(), changed, "another encoding of the same state was taken");
            }
        }
    }
}

#[derive(Crdt)]
struct Ledger {
    names: AddWinsMap<u8, LwwRegister<String>>,
    amounts: List<i64>,
    votes: AddWinsMap<u8, MvRegister<u64>>,
}

/// Contents by planes, a node's own and those of all others together: times, and what has none.
#[test]
fn every_changed_byte_of_contents_told_by_planes_is_refused_or_understood() {
    let mut ann = Replica::<Ledger>::new(id(100));
    ann.set_time(1_700_000_000_000);
    let (_, delta) = ann.update(|ledger| {
        for n in 0..18_u8 {
            let name = "x".repeat(usize::from(n % 7) * 3);
            ledger.names().at(n).set(format!("{name}{n}"));
            ledger.amounts().push(i64::from(n) * 1_000_003);
        }
        (0..8).for_each(|n| ledger.votes().at(n).set(u64::from(n) << (8 * n)));
    });
    for (bytes, kind) in [(delta.encode(), EnvelopeKind::Delta), (ann.encode(), EnvelopeKind::State)] {
        let flags = Inspection::of(&bytes, &limits()).unwrap().bodies[0].flags();
        assert!(["PLANES", "HEADS"].iter().all(|flag| flags.iter().any(|set| set == flag)), "{flags:?}");
        let again = |bytes: &[u8]| {
            if kind == EnvelopeKind::Delta {
                return Delta::<Ledger>::decode(bytes, &limits()).map(|delta| delta.encode());
            }
            Replica::<Ledger>::decode(id(1), bytes, &limits()).map(|all| all.encode())
        };
        assert_eq!(again(&bytes).unwrap(), bytes);
        let (mut refused, mut understood) = (0, 0);
        for at in 14..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let changed = Envelope::repair(kind, &changed);
                match again(&changed) {
                    Ok(again) => {
                        understood += 1;
                        assert_eq!(again, changed, "another encoding of the same was taken");
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 500 && understood > 500, "{refused} and {understood}");
    }
}

/// Every rule of the format, broken by itself.
#[test]
fn what_is_not_canonical_or_not_consistent_is_refused() {
    let nil = Vec::new;
    let one = || (vec![1], Node::carrying([(0, 1, nil())]));
    // Key 1, with an element 7 that a3 added; a1 covered; after b2.
    let element = Node { cover: vec![(0, 1, 1)], ..Node::carrying([(0, 3, nil())]) };
    let good = Message {
        replicas: vec![[1; 16], [2; 16]],
        deps: vec![(1, 2)],
        events: vec![(0, 3, 2)],
        tree: Node::above([(vec![1], Node::above([(vec![7], element)]))]),
    };
    let _ = Delta::<Sets>::decode(&good.delta(), &limits()).unwrap();
    let with_tree = |tree| Message { tree, ..good.clone() };
    let sets = |key: u8, node| Node::above([(vec![key], node)]);
    let broken = [
        ("ids descending", Message { replicas: vec![[2; 16], [1; 16]], ..good.clone() }),
        ("an id twice", Message { replicas: vec![[1; 16], [1; 16]], ..good.clone() }),
        ("an id that is not used", Message { replicas: vec![[1; 16], [2; 16], [3; 16]], ..good.clone() }),
        ("a row beyond the table", Message { deps: vec![(2, 2)], ..good.clone() }),
        ("a dependency twice", Message { deps: vec![(1, 2), (1, 2)], ..good.clone() }),
        ("dependencies descending", Message { deps: vec![(1, 2), (0, 1)], ..good.clone() }),
        ("a dependency on nothing", Message { deps: vec![(1, 0)], ..good.clone() }),
        ("a dependency beyond all counters", Message { deps: vec![(1, MAX_COUNTER + 1)], ..good.clone() }),
        ("a dependency on an event", Message { deps: vec![(0, 3), (1, 2)], ..good.clone() }),
        ("no events", Message { events: vec![], ..good.clone() }),
        ("event 0", Message { events: vec![(0, 0, 4)], ..good.clone() }),
        ("a run of no events", Message { events: vec![(0, 3, 0)], ..good.clone() }),
        ("events beyond all counters", Message { events: vec![(0, 3, MAX_COUNTER)], ..good.clone() }),
        ("two runs that touch", Message { events: vec![(0, 3, 1), (0, 4, 1)], ..good.clone() }),
        ("two runs with a hole", Message { events: vec![(0, 3, 1), (0, 5, 1)], ..good.clone() }),
        ("runs that overlap", Message { events: vec![(0, 3, 2), (0, 3, 3)], ..good.clone() }),
        ("content that is no event", Message { events: vec![(0, 4, 1)], ..good.clone() }),
        ("a cover of what is not known", with_tree(Node::covering([(1, 3, 1)]))),
        (
            "one dot in two places",
            with_tree(Node::above([
                (vec![1], sets(1, Node::carrying([(0, 3, nil())]))),
                (vec![2], sets(1, Node::carrying([(0, 3, nil())]))),
            ])),
        ),
        (
            "one dot twice in a place",
            with_tree(sets(1, sets(7, Node::carrying([(0, 3, nil()), (0, 3, nil())])))),
        ),
        ("dots descending", with_tree(sets(1, sets(7, Node::carrying([(0, 4, nil()), (0, 3, nil())]))))),
        ("covers descending", with_tree(Node::covering([(1, 1, 1), (0, 1, 1)]))),
        (
            "a key twice",
            with_tree(Node::above([
                (vec![1], sets(7, Node::carrying([(0, 3, nil())]))),
                (vec![1], sets(8, Node::carrying([(0, 4, nil())]))),
            ])),
        ),
        ("a node that says nothing", with_tree(sets(1, Node::default()))),
        ("nodes that say nothing", with_tree(sets(1, sets(7, Node::default())))),
        ("content where a container stands", with_tree(sets(1, Node::carrying([(0, 3, nil())])))),
        (
            "a container where content stands",
            with_tree(sets(1, sets(7, sets(1, Node::carrying([(0, 3, nil())]))))),
        ),
        ("a key of another type", with_tree(Node::above([(vec![0xa1, b'k'], one().1)]))),
        (
            "a key in another spelling",
            with_tree(Node::above([(vec![0xcc, 1], sets(7, Node::carrying([(0, 3, nil())])))])),
        ),
        (
            "a key with something behind",
            with_tree(Node::above([(vec![1, 1], sets(7, Node::carrying([(0, 3, nil())])))])),
        ),
        ("no key", with_tree(Node::above([(vec![], sets(7, Node::carrying([(0, 3, nil())])))]))),
        ("content of another type", with_tree(sets(1, sets(7, Node::carrying([(0, 3, vec![5])]))))),
        (
            "content with something behind",
            with_tree(sets(1, sets(7, Node::carrying([(0, 3, vec![0xc0, 0xc0])])))),
        ),
        ("content where none belongs", with_tree(sets(1, sets(7, Node::carrying([(0, 3, vec![0xc0])]))))),
    ];
    for (what, message) in &broken {
        let decoded = Delta::<Sets>::decode(&message.delta(), &limits());
        assert!(decoded.is_err(), "{what}: taken as {decoded:?}");
    }

    // The same for a state, which depends on nothing, begins at 1 and covers what it says it knows.
    let state = Message {
        replicas: vec![[1; 16]],
        events: vec![(0, 1, 4)],
        tree: sets(1, sets(7, Node::carrying([(0, 3, nil())]))),
        ..Message::default()
    };
    Replica::<Sets>::decode(id(9), &state.state("AddWinsMap<AddWinsSet>"), &limits()).unwrap();
    let broken = [
        ("a dependency", Message { replicas: vec![[1; 16], [2; 16]], deps: vec![(1, 1)], ..state.clone() }),
        ("a beginning that is missing", Message { events: vec![(0, 2, 3)], ..state.clone() }),
        (
            "a cover of its own",
            Message { tree: Node { cover: vec![(0, 1, 4)], ..state.tree.clone() }, ..state.clone() },
        ),
        (
            "children out of the order of their dots",
            Message {
                tree: Node::above([
                    (vec![1], sets(7, Node::carrying([(0, 4, nil())]))),
                    (vec![2], sets(7, Node::carrying([(0, 3, nil())]))),
                ]),
                ..state.clone()
            },
        ),
        ("a cover further down", Message { tree: sets(1, Node::covering([(0, 1, 1)])), ..state.clone() }),
    ];
    for (what, message) in &broken {
        let decoded = Replica::<Sets>::decode(id(9), &message.state("AddWinsMap<AddWinsSet>"), &limits());
        assert!(decoded.is_err(), "a state with {what}");
    }
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let claims: [&[u8]; 8] = [
        // 2^32 - 1 ids, and as many bytes as an id and as columns.
        &[0x92, 0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0x92, 0x91, 0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0x92, 0x90, 0xc6, 0xff, 0xff, 0xff, 0xff],
        // As many events, dependencies, bytes of content, dots and covers of a node.
        &[0x92, 0x90, 0xc4, 6, 0, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x92, 0x90, 0xc4, 7, 2, 0, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x92, 0x90, 0xc4, 7, 0, 0, 0xfc, 0xff, 0xff, 0xff, 0x3f],
        &[0x92, 0x90, 0xc4, 8, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x92, 0x90, 0xc4, 8, 0, 0, 11, 0xff, 0xff, 0xff, 0xff, 0x0f],
    ];
    for claim in claims {
        assert_eq!(Delta::<Doc>::decode_body(claim, &limits()).unwrap_err(), DecodeError::Length);
    }
    // A name of 2^32 - 1 bytes.
    let name = Envelope::seal(EnvelopeKind::State, &[0x93, 0xdb, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(Replica::<Doc>::decode(id(1), &name, &limits()).unwrap_err(), DecodeError::Length);
}

#[test]
fn limits_are_respected() {
    let (_, state, delta) = garden();
    let refused = |bytes: &[u8], limits: Limits| match Delta::<Doc>::decode(bytes, &limits) {
        Err(DecodeError::Limit { what, limit }) => (what, limit),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&delta, Limits { bytes: delta.len() - 1, ..limits() }), ("bytes", delta.len() - 1));
    assert_eq!(refused(&delta, Limits { replicas: 1, ..limits() }), ("replicas", 1));
    assert_eq!(refused(&delta, Limits { memory: 500, ..limits() }), ("memory", 500));
    let _ = Delta::<Doc>::decode(&delta, &Limits { bytes: delta.len(), replicas: 2, ..limits() }).unwrap();
    let small = Limits { bytes: state.len() - 1, ..limits() };
    assert!(matches!(
        Replica::<Doc>::decode(id(1), &state, &small),
        Err(DecodeError::Limit { what: "bytes", .. })
    ));
    Replica::<Doc>::decode(id(1), &state, &Limits::trusted()).unwrap();
}

#[test]
fn deep_nesting_is_refused_at_the_door() {
    let nested = |depth: usize| {
        let mut node = Node::covering([(0, 1, 1)]);
        for _ in 0..depth {
            node = Node::above([(vec![1], node)]);
        }
        Message { replicas: vec![[1; 16]], events: vec![(0, 1, 1)], tree: node, ..Message::default() }.delta()
    };
    let _ = Delta::<Opaque>::decode(&nested(MAX_DEPTH), &limits()).unwrap();
    for depth in [MAX_DEPTH + 1, 10_000] {
        let refused = Delta::<Opaque>::decode(&nested(depth), &limits()).unwrap_err();
        assert_eq!(refused, DecodeError::Limit { what: "nesting", limit: MAX_DEPTH });
    }
    // Values nest as well. 60 arrays in arrays, and as many as the stack would hold.
    let of_arrays = |depth: usize| {
        let mut content = vec![0x91; depth];
        content.push(0x90);
        let tree = Node::carrying([(0, 1, content)]);
        Message { replicas: vec![[1; 16]], events: vec![(0, 1, 1)], tree, ..Message::default() }.delta()
    };
    assert!(Delta::<MvRegister<serde_json::Value>>::decode(&of_arrays(60), &limits()).is_ok());
    for depth in [70, 100_000] {
        let refused = Delta::<MvRegister<serde_json::Value>>::decode(&of_arrays(depth), &limits());
        assert!(matches!(refused, Err(DecodeError::Mismatch(Mismatch::Content { .. }))));
    }
}

#[test]
fn deep_nesting_panics_clearly_where_it_is_written_and_leaves_no_trace() {
    let mut doc = Replica::<Doc>::new(id(1));
    let _ = doc.update(|doc| doc.map("a").map("b").counter("c").inc(1));
    let before = (doc.version(), doc.encode());
    let names = vec!["deeper"; MAX_DEPTH];
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        doc.update(|doc| {
            doc.remove("a");
            let mut deep = doc.by_ref().at_path(names.iter().copied());
            deep.counter("c").inc(1);
        })
    }));
    let why = panicked.unwrap_err();
    assert_eq!(why.downcast_ref::<String>().unwrap(), "containers may nest 64 deep, not deeper");
    assert_eq!((doc.version(), doc.encode()), before);
    assert_eq!(doc.len(), 1);
    // As deep as may be: 32 names, each with its type.
    let (_, delta) = doc.update(|doc| {
        doc.by_ref().at_path(names[..MAX_DEPTH / 2 - 1].iter().copied()).counter("c").inc(1);
    });
    let mut other = Replica::<Doc>::new(id(2));
    other.merge(Delta::decode_state(&doc.encode(), &limits()).unwrap()).unwrap();
    assert_eq!(other.merge(Delta::decode(&delta.encode(), &limits()).unwrap()), Ok(Merged::AlreadyKnown));
    assert_eq!(other.encode(), doc.encode());
}

#[test]
fn what_is_something_else_is_refused_by_name() {
    let (_, state, delta) = garden();
    let wanted = |result: Result<Replica<Sets>, DecodeError>| result.err().unwrap();
    assert_eq!(
        wanted(Replica::decode(id(1), &state, &limits())),
        Mismatch::Type { wanted: "AddWinsMap<AddWinsSet>".into(), found: "Doc".into() }.into()
    );
    assert!(matches!(wanted(Replica::decode(id(1), &delta, &limits())), DecodeError::Kind { found: 2, .. }));
    assert!(matches!(Delta::<Doc>::decode(&state, &limits()), Err(DecodeError::Kind { found: 1, .. })));
    // A delta has no name, but a shape.
    assert!(Delta::<Sets>::decode(&delta, &limits()).is_err());
    assert!(Delta::<PnCounter>::decode(&delta, &limits()).is_err());
    // An opaque replica reads any name and writes none; what it writes is read as any type whose shape fits.
    let opaque = Replica::<Opaque>::decode(id(1), &state, &limits()).unwrap();
    let back = Replica::<Doc>::decode(id(1), &opaque.encode(), &limits()).unwrap();
    assert_eq!(back.encode(), state);
    assert!(Replica::<Sets>::decode(id(1), &opaque.encode(), &limits()).is_err());

    assert_eq!(Delta::<Doc>::decode(b"", &limits()).unwrap_err(), DecodeError::NotOurs);
    assert_eq!(Delta::<Doc>::decode(b"PNG, or so it says", &limits()).unwrap_err(), DecodeError::NotOurs);
    let mut newer = delta.clone();
    newer[4] = FORMAT + 1;
    assert_eq!(
        Delta::<Doc>::decode(&newer, &limits()).unwrap_err(),
        DecodeError::Format { found: FORMAT + 1 }
    );
}

fn runs() -> impl Strategy<Value = Vec<(u64, u64, u64)>> + Clone {
    vec((0..3_u64, 1..5_u64, 1..3_u64), 0..2)
}

/// Trees of two levels of keys, most of them of the right shape.
fn trees() -> impl Strategy<Value = Node> {
    let content = prop_oneof![9 => Just(vec![]), 1 => vec(any::<u8>(), 0..3)];
    let leaf = (runs(), vec((0..3_u64, 1..6_u64, content), 0..2)).prop_map(|(cover, carried)| Node {
        cover,
        carried,
        children: Vec::new(),
    });
    let key = prop_oneof![9 => (0..4_u8).prop_map(|key| vec![key]), 1 => vec(any::<u8>(), 0..2)];
    let inner = (runs(), vec((key.clone(), leaf), 0..3)).prop_map(|(cover, children)| Node {
        cover,
        carried: Vec::new(),
        children,
    });
    (runs(), vec((key, inner), 0..3)).prop_map(|(cover, children)| Node {
        cover,
        carried: Vec::new(),
        children,
    })
}

/// Puts a tree right: keys ascending and different, no empty nodes, one cover a node, dots counted up from `next`.
fn tidy(node: &mut Node, next: &mut u64) {
    node.cover.truncate(1);
    node.cover.iter_mut().for_each(|(row, ..)| *row %= 2);
    for (row, counter, _) in &mut node.carried {
        (*row, *counter) = (0, *next);
        *next += 1;
    }
    node.children.sort_by(|(a, _), (b, _)| a.cmp(b));
    node.children.dedup_by(|(a, _), (b, _)| a == b);
    node.children.iter_mut().for_each(|(_, child)| tidy(child, next));
    node.children.retain(|(_, child)| {
        !(child.cover.is_empty() && child.carried.is_empty() && child.children.is_empty())
    });
}

proptest! {
    #![proptest_config(cases(1_500))]

    /// Messages that could be right, most of which are wrong somewhere, into a replica that holds something.
    #[test]
    fn made_up_messages_are_refused_or_understood(
        deps in vec((0..3_u64, 0..4_u64), 0..2),
        events in vec((0..3_u64, 1..3_u64, 1..4_u64), 1..3),
        tree in trees(),
        rows in 1..4_u8,
        tidily in prop::bool::weighted(0.7),
        known_before in 0..8_u64,
    ) {
        let replicas = (1..=rows).map(|number| [number; 16]).collect();
        let mut message = Message { replicas, deps, events, tree };
        if tidily {
            let mut next = known_before + 1;
            tidy(&mut message.tree, &mut next);
            message.replicas = vec![[1; 16], [2; 16]];
            message.deps = vec![(1, 6)];
            message.events = vec![(0, known_before + 1, (next - known_before).max(6))];
        }
        if let Ok(delta) = Delta::<Sets>::decode(&message.delta(), &limits()) {
            taken(&delta, &message.body());
            let mut known = Replica::<Sets>::new(id(1));
            let _ = known.update(|map| map.at(1).extend([1, 2]));
            let _ = known.merge(delta.clone());
            let _ = known.update(|map| map.remove(&1));
            let bytes = known.encode();
            prop_assert_eq!(Replica::<Sets>::decode(id(1), &bytes, &limits()).unwrap().encode(), bytes);
        }
        if let Ok(replica) = Replica::<Sets>::decode(id(7), &message.state("AddWinsMap<AddWinsSet>"), &limits()) {
            prop_assert_eq!(replica.encode(), message.state("AddWinsMap<AddWinsSet>"));
        }
    }

    #[test]
    fn noise_is_refused_or_understood(body in vec(any::<u8>(), 0..64)) {
        if let Ok(delta) = Delta::<Doc>::decode_body(&body, &limits()) {
            taken(&delta, &body);
        }
        let _ = Delta::<Doc>::decode(&body, &limits());
        let _ = Replica::<Doc>::decode(id(1), &Envelope::seal(EnvelopeKind::State, &body), &limits());
    }
}
