//! What hostile bytes may cost: an allocator that counts stands under this program, so it has one test.

use peak_alloc::PeakAlloc;
use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Crdt, Decoding, Delta, EncodedState, Limits, MvRegister, Opaque, Replica,
    ReplicaId,
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

    a_large_state_is_read_in_slices();

    // Nothing of a message that is too long is looked at.
    let long = vec![0x92; MIB];
    let (ok, taken) = decode::<Opaque>(&long, &Limits { bytes: MIB - 1, ..limits });
    assert!(!ok && taken < 1024);
}
