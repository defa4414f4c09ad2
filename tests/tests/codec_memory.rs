//! What hostile bytes may cost: an allocator that counts stands under this program, so one test runs and no other beside it.

use peak_alloc::PeakAlloc;
use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Crdt, Decoding, Delta, EncodedState, Limits, List, MarkKind, MovableList, Mut,
    MvRegister, Opaque, Replica, ReplicaId, Text, Tree,
};
use tombolo_tests::model::wire::{Message, Node, array, bin, varint};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

/// The most heap that was in use while `work` ran, beyond what was before.
fn peak<R>(work: impl FnOnce() -> R) -> (R, usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = work();
    (result, MEMORY.peak_usage().saturating_sub(before))
}

fn decode<T: Crdt>(body: &[u8], limits: &Limits) -> (bool, usize) {
    let (decoded, peak) = peak(|| Delta::<T>::decode_body(body, limits));
    (decoded.is_ok(), peak)
}

/// Few bytes that claim to be many.
fn claims() -> Vec<Vec<u8>> {
    let mut claims = Vec::new();
    let before: [&[u8]; 3] = [&[], &[0x92], &[0x92, 0x90]];
    for before in before {
        for claimed in [6_usize, 600, 60_000, 6_000_000, 0xffff_fffc] {
            for filler in [0, 0xc4, 0xc6, 0xff] {
                let mut bytes = before.to_vec();
                array(&mut bytes, claimed);
                bytes.extend([filler; 100]);
                claims.push(bytes);
            }
        }
    }
    // Within the columns: events, dependencies, and what the root says of itself.
    let before: [&[u8]; 7] =
        [&[0], &[2, 0], &[0, 0], &[0, 0, 7], &[0, 0, 11], &[0, 0, 19], &[0, 0, 31, 1, 1]];
    for before in before {
        for claimed in [6_u64, 600, 60_000, 6_000_000, 1 << 32, u64::MAX] {
            for filler in [0, 1, 2, 0x7f, 0xff] {
                let mut columns = before.to_vec();
                varint(&mut columns, claimed);
                columns.extend([filler; 100]);
                let mut bytes = vec![0x92, 0x90];
                bin(&mut bytes, &columns);
                claims.push(bytes);
            }
        }
    }
    claims
}

/// Some hundred kilobytes each of whatever takes the most memory for its bytes.
fn bombs() -> Vec<(&'static str, Message)> {
    let key = |number: u32| [&[0xce][..], &number.to_be_bytes()].concat();
    let one = || vec![[1; 16]];
    let ids: Vec<[u8; 16]> = (1..=20_000_u128).map(u128::to_be_bytes).collect();
    let nodes = (0..20_000).map(|number| (key(number), Node::covering([(0, 1, 1)])));
    let dots = (1..=50_000).map(|counter| (0, counter, vec![0xc0]));
    // As many spans as there can be: of dots apart, and of lengths that change.
    let apart = (1..=50_000).map(|counter| (0, counter * 2, vec![0xc0]));
    let changing = (1..=50_000).map(|counter| (0, counter, vec![0xc0; 1 + counter as usize % 2]));
    let runs = || (1..=50_000).map(|number| (0, number * 2, 1));
    let mut deep = Vec::new();
    for number in 0..500_u32 {
        let mut node = Node::covering([(0, 1, 1)]);
        for _ in 0..60 {
            node = Node::above([(vec![1], node)]);
        }
        deep.push((key(number), node));
    }
    vec![
        (
            "nodes",
            Message {
                replicas: one(),
                events: vec![(0, 1, 1)],
                tree: Node::above(nodes),
                ..Message::default()
            },
        ),
        (
            "dots",
            Message {
                replicas: one(),
                events: vec![(0, 1, 50_000)],
                tree: Node::carrying(dots),
                ..Message::default()
            },
        ),
        (
            "dots apart",
            Message {
                replicas: one(),
                events: vec![(0, 1, 100_000)],
                tree: Node::carrying(apart),
                ..Message::default()
            },
        ),
        (
            "lengths that change",
            Message {
                replicas: one(),
                events: vec![(0, 1, 50_000)],
                tree: Node::carrying(changing),
                ..Message::default()
            },
        ),
        (
            "covers",
            Message {
                replicas: one(),
                events: vec![(0, 1, 100_000)],
                tree: Node::covering(runs()),
                ..Message::default()
            },
        ),
        ("events", Message { replicas: one(), events: runs().collect(), ..Message::default() }),
        (
            "ids",
            Message {
                deps: (0..20_000).map(|row| (row, 1)).collect(),
                replicas: ids.clone(),
                ..Message::default()
            },
        ),
        (
            "ids with events",
            Message {
                events: (0..20_000).map(|row| (row, 1, 1)).collect(),
                replicas: ids,
                ..Message::default()
            },
        ),
        (
            "depth",
            Message {
                replicas: one(),
                events: vec![(0, 1, 1)],
                tree: Node::above(deep),
                ..Message::default()
            },
        ),
    ]
}

type Steps = MovableList<MvRegister<u8>>;
type Parts = Tree<MvRegister<u8>>;

/// A document by its name, as a delta and as a state.
type Shape = (&'static str, [Vec<u8>; 2]);

/// A document that somebody wrote in one transaction, as a delta and as a state.
fn written<T: Crdt>(write: impl FnOnce(&mut T::Mut<'_>)) -> [Vec<u8>; 2] {
    let mut replica = Replica::<T>::new(ReplicaId::from_bytes([1; 16]));
    let (_, delta) = replica.update(write);
    [delta.encode(), replica.encode()]
}

/// A message that nobody honest writes, as a delta, and what becomes of it in a state.
fn made_up<T: Crdt>(events: u64, tree: Node) -> [Vec<u8>; 2] {
    let message =
        Message { replicas: vec![[1; 16]], events: vec![(0, 1, events)], tree, ..Message::default() };
    let delta = message.delta();
    let mut replica = Replica::<T>::new(ReplicaId::from_bytes([2; 16]));
    replica
        .merge(Delta::decode(&delta, &Limits::default()).expect("it could be right"))
        .expect("there is room");
    [delta, replica.encode()]
}

/// Numbers without a pattern.
fn scattered(count: usize) -> impl Iterator<Item = usize> {
    let mut seed = 7_u64;
    (0..count).map(move |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    })
}

/// The content that names runs of one replica as frozen.
fn frozen(heads: impl ExactSizeIterator<Item = u32>) -> Vec<u8> {
    let mut content = vec![0x91, 0x92];
    bin(&mut content, &[1; 16]);
    array(&mut content, heads.len());
    for head in heads {
        match head {
            0..0x80 => content.push(head as u8),
            0x80..0x100 => content.extend([0xcc, head as u8]),
            0x100..0x1_0000 => {
                content.push(0xcd);
                content.extend((head as u16).to_be_bytes());
            }
            _ => {
                content.push(0xce);
                content.extend(head.to_be_bytes());
            }
        }
    }
    content
}

/// What names runs as frozen, and has none: in one item, in many, and many times over.
fn frozen_runs<T: Crdt>() -> Vec<Shape> {
    let fading = |contents: Vec<Vec<u8>>| {
        let carried = (1..).zip(contents).map(|(counter, content)| (0, counter, content));
        Node::above([(vec![0xc1], Node::carrying(carried))])
    };
    vec![
        ("one that names many", made_up::<T>(1, fading(vec![frozen(1..100_000)]))),
        ("many that name one", made_up::<T>(20_000, fading(vec![frozen(7..8); 20_000]))),
        ("many that name many", made_up::<T>(1_000, fading(vec![frozen(1..100); 1_000]))),
    ]
}

/// What texts and lists may be made of to take much: long runs, many short ones, and runs that hang on nothing or on one another.
/// `element` is what a message carries of one.
fn ordered<T: Crdt>(element: &[u8]) -> Vec<Shape> {
    let below = |key: &[u8], node| Node::above([(key.to_vec(), node)]);
    let carried =
        |first: u64, step: u64| (0..50_000).map(move |nth| (0, first + nth * step, element.to_vec()));
    let run = below(&[0], Node::carrying([(0, 1, Vec::new())]));
    let heads = below(&[0], Node::carrying((1..=50_000).map(|counter| (0, counter, Vec::new()))));
    let chain = below(&[], Node::carrying((2..=50_000).map(|counter| (0, counter, vec![3]))));
    vec![
        ("a long run", made_up::<T>(50_001, Node { carried: carried(2, 1).collect(), ..run.clone() })),
        ("elements apart", made_up::<T>(100_001, Node { carried: carried(2, 2).collect(), ..run })),
        ("runs of one", {
            let heads = Node::carrying((0..50_000).map(|nth| (0, 2 * nth + 1, Vec::new())));
            made_up::<T>(100_000, Node { carried: carried(2, 2).collect(), ..below(&[0], heads) })
        }),
        ("heads of nothing", made_up::<T>(50_000, heads)),
        ("heads that hang on heads", made_up::<T>(50_000, chain)),
    ]
}

/// What claims to name more runs than there can be.
fn names_that_are_claims() -> Vec<Vec<u8>> {
    let claims: [&[u8]; 3] = [
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0x91, 0x92, 0xc4, 16, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdc, 0xff, 0xff],
    ];
    let message = |claim: &&[u8]| {
        let tree = Node::above([(vec![0xc1], Node::carrying([(0, 1, claim.to_vec())]))]);
        Message { replicas: vec![[1; 16]], events: vec![(0, 1, 1)], tree, ..Message::default() }.delta()
    };
    claims.iter().map(message).collect()
}

fn marked(text: &mut Mut<'_, Text>) {
    text.push(&"x".repeat(4_000));
    for (nth, at) in scattered(3_000).enumerate() {
        let (from, kind) = (at % 3_900, [MarkKind::BOLD, MarkKind::LINK, MarkKind::comment("1")]);
        text.mark(from..from + 1 + at % 100, kind[nth % 3].clone(), nth as i64)
            .expect("there is such a part");
    }
}

fn texts() -> Vec<Shape> {
    let mut all = ordered::<Text>(b"x");
    all.push(("one letter", written::<Text>(|text| text.push("x"))));
    all.push(("a long text", written::<Text>(|text| text.push(&"the tide falls ".repeat(20_000)))));
    all.push((
        "many runs",
        written::<Text>(|text| {
            scattered(10_000)
                .for_each(|at| text.insert(at % (text.len() + 1), "x").expect("there is such a place"));
        }),
    ));
    all.push(("many marks", written::<Text>(marked)));
    all
}

fn lists() -> Vec<Shape> {
    let mut all = ordered::<List<u8>>(&[7]);
    all.push(("a long list", written::<List<u8>>(|list| list.extend((0..100_000).map(|n| n as u8)))));
    all.push((
        "many runs",
        written::<List<u8>>(|list| {
            scattered(10_000)
                .for_each(|at| list.insert(at % (list.len() + 1), 7).expect("there is such a place"));
        }),
    ));
    all
}

fn movable_lists() -> Vec<Shape> {
    let long = written::<Steps>(|list| (0..5_000).for_each(|_| list.push().set(7)));
    let moved = written::<Steps>(|list| {
        (0..1_000).for_each(|_| list.push().set(7));
        scattered(3_000).for_each(|at| list.move_to(at % 1_000, at / 1_000 % 1_000).expect("there are such"));
    });
    vec![("a long list", long), ("many moves", moved)]
}

fn trees() -> Vec<Shape> {
    let push = |tree: &mut Mut<'_, Parts>, under| {
        let (id, mut value) = tree.push(under).expect("there is such a node");
        value.set(7);
        id
    };
    let wide = written::<Parts>(|tree| (0..5_000).for_each(|_| _ = push(tree, None)));
    let deep = written::<Parts>(|tree| _ = (0..200).fold(None, |under, _| Some(push(tree, under))));
    let moved = written::<Parts>(|tree| {
        let nodes: Vec<_> = (0..300).map(|_| push(tree, None)).collect();
        // Those that would stand below themselves stay where they are.
        scattered(2_000).for_each(|at| _ = tree.move_to(nodes[at % 300], Some(nodes[at / 300 % 300]), 0));
    });
    vec![("a wide tree", wide), ("a deep tree", deep), ("many moves", moved)]
}

/// What reading may take beside what the limits say: four times the message, while single contents are looked at, and the decompressor.
fn beside(bytes: &[u8]) -> usize {
    4 * bytes.len() + 256 * 1024
}

fn messages_take_what_the_limits_say<T: Crdt>(shapes: &[Shape]) {
    for (what, [delta, state]) in shapes {
        for memory in [0, 16 << 10, 64 << 10, MIB, 4 * MIB] {
            let (limits, what) =
                (Limits { memory, ..Limits::default() }, format!("{what} of {}", T::type_name()));
            let (_, taken) = peak(|| Delta::<T>::decode(delta, &limits).is_ok());
            assert!(taken <= memory + beside(delta), "{what}: with {memory} a delta took {taken}");
            let (_, taken) = peak(|| Delta::<T>::decode_state(state, &limits).is_ok());
            assert!(taken <= memory + beside(state), "{what}: with {memory} a state took {taken}");
        }
        // With room for it, it is what it was meant to be.
        assert!(Delta::<T>::decode(delta, &Limits::default()).is_ok(), "{what}");
        assert!(Delta::<T>::decode_state(state, &Limits::default()).is_ok(), "{what}");
    }
}

fn replicas_take_what_the_limits_say<T: Crdt>(shapes: &[Shape]) {
    for (what, [_, state]) in shapes {
        for memory in [0, 16 << 10, 64 << 10, MIB, 4 * MIB] {
            let limits = Limits { memory, ..Limits::default() };
            let (_, taken) = peak(|| {
                Replica::<T>::decode(ReplicaId::from_bytes([2; 16]), state, &limits).map(drop).is_ok()
            });
            let what = format!("{what} of {}", T::type_name());
            assert!(taken <= 2 * memory + beside(state), "{what}: with {memory} a replica took {taken}");
        }
    }
}

fn documents_with_an_order_take_what_the_limits_say() {
    fn both<T: Crdt>(shapes: &[Shape]) {
        messages_take_what_the_limits_say::<T>(shapes);
        replicas_take_what_the_limits_say::<T>(shapes);
    }
    both::<Text>(&texts());
    both::<List<u8>>(&lists());
    both::<Steps>(&movable_lists());
    both::<Parts>(&trees());
    messages_take_what_the_limits_say::<Text>(&frozen_runs::<Text>());
    messages_take_what_the_limits_say::<List<u8>>(&frozen_runs::<List<u8>>());
    for delta in names_that_are_claims() {
        let (ok, taken) = peak(|| Delta::<Text>::decode(&delta, &Limits::default()).is_ok());
        assert!(!ok && taken < 16 * 1024, "{} bytes took {taken}", delta.len());
    }
}

/// 100 MB, slice by slice: beside the replica it takes memory for one slice, and for lists that grow.
fn a_large_state_is_read_in_slices() {
    type Pages = AddWinsMap<u32, MvRegister<String>>;
    let mut pages = Replica::<Pages>::new(ReplicaId::from_bytes([1; 16]));
    let mut random = 1_u64;
    for part in 0..100_u32 {
        let _ = pages.update(|pages| {
            for page in 0..500 {
                let mut text = String::with_capacity(2_000);
                while text.len() < 2_000 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    text.push(char::from(32 + (random >> 33) as u8 % 90));
                }
                pages.at(part * 500 + page).set(text);
            }
        });
    }
    let (version, bytes) = (pages.version(), pages.encode());
    drop(pages);
    let limits = Limits { bytes: usize::MAX, memory: 1 << 30, ..Limits::default() };
    let state = EncodedState::open::<Pages>(&bytes, &limits).unwrap();
    assert!(state.len() > 300, "{} slices", state.len());
    let mut decoding = Decoding::new(Replica::<Pages>::new(ReplicaId::from_bytes([2; 16])), &limits);
    for slice in &state {
        let before = MEMORY.current_usage();
        let (_, peak) = peak(|| decoding.take(slice.unwrap()).unwrap());
        let kept = MEMORY.current_usage() - before;
        assert!(peak < kept + 8 * MIB, "a slice took {peak}, of which {kept} stay");
    }
    let again = decoding.finish();
    assert_eq!((again.len(), again.version()), (50_000, version));
}

#[test]
fn hostile_bytes_take_no_more_than_the_limits_say() {
    let limits = Limits::default();
    for bytes in claims() {
        let (ok, peak) = decode::<Opaque>(&bytes, &limits);
        assert!(!ok && peak < 16 * 1024, "{} bytes took {peak}: {:02x?}", bytes.len(), &bytes[..16]);
    }

    // A value that claims to be long: serde reserves for it what it says, within reason.
    for header in
        [[0xdd, 0xff, 0xff, 0xff, 0xff], [0xdf, 0xff, 0xff, 0xff, 0xff], [0xc6, 0xff, 0xff, 0xff, 0xff]]
    {
        let tree = Node::carrying([(0, 1, header.to_vec())]);
        let body =
            Message { replicas: vec![[1; 16]], events: vec![(0, 1, 1)], tree, ..Message::default() }.body();
        let (ok, peak) = decode::<MvRegister<Vec<[u64; 4]>>>(&body, &limits);
        assert!(!ok && peak < 2 * MIB, "{header:02x?} took {peak}");
        let (ok, peak) = decode::<MvRegister<String>>(&body, &limits);
        assert!(!ok && peak < 2 * MIB, "{header:02x?} took {peak}");
    }

    for (what, message) in bombs() {
        let body = message.body();
        // With room for it, it takes what was foreseen.
        let (_, free) = decode::<Opaque>(&body, &limits);
        assert!(free < 64 * body.len(), "{what}: {} bytes took {free}", body.len());
        // Without, it is stopped on the way.
        for memory in [0, 64 * 1024, MIB, 4 * MIB] {
            let (_, taken) = decode::<Opaque>(&body, &Limits { memory, ..limits });
            assert!(taken < 2 * memory + 256 * 1024, "{what}: with {memory} it took {taken}");
        }
        // As a state as well.
        let state = message.state("");
        let id = ReplicaId::from_bytes([1; 16]);
        let small = Limits { memory: MIB, ..limits };
        let (_, taken) = peak(|| Replica::<Opaque>::decode(id, &state, &small).is_ok());
        assert!(taken < 4 * MIB, "{what}: a state took {taken}");
    }

    // A body that unpacks to more than is allowed is not unpacked.
    let (_, delta) = Replica::<AddWinsSet<u32>>::new(ReplicaId::from_bytes([1; 16]))
        .update(|set| set.extend((0..100_000_u32).map(|n| n * 3)));
    let packed = delta.encode_body();
    for memory in [0, 64 * 1024, MIB] {
        let (ok, taken) = decode::<Opaque>(&packed, &Limits { memory, ..limits });
        assert!(!ok && taken < 2 * memory + 256 * 1024, "with {memory} it took {taken}");
    }

    documents_with_an_order_take_what_the_limits_say();
    // What is told in a byte or two could be kept in 24 of them.
    replicas_take_what_the_limits_say::<Text>(&frozen_runs::<Text>());

    a_large_state_is_read_in_slices();

    // Nothing of a message that is too long is looked at.
    let long = vec![0x92; MIB];
    let (ok, taken) = decode::<Opaque>(&long, &Limits { bytes: MIB - 1, ..limits });
    assert!(!ok && taken < 1024);
}
