//! What inspections say, of messages that are right and of such that are not.

use super::*;
use crate::{AddWinsMap, AddWinsSet, Delta, Doc, Envelope, LwwRegister, Opaque, Replica, Text};

fn inspect(bytes: &[u8]) -> Inspection {
    Inspection::of(bytes, &Limits::default()).unwrap()
}

fn replica<T: crate::Crdt>(of: u8) -> Replica<T> {
    Replica::new(ReplicaId::from_bytes([of; 16]))
}

/// The lines, without what is before and behind them.
#[track_caller]
fn reads(found: &Inspection, expected: &str) {
    let lines = |text: &str| text.trim().lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    assert_eq!(lines(&found.to_string()), lines(expected), "{found}");
}

#[test]
fn the_example_of_the_encoding_page_reads_as_it_says() {
    let (_, delta) = replica::<AddWinsSet<String>>(7).update(|set| set.add("fig"));
    let found = inspect(&delta.encode());
    assert!(found.is_sound());
    reads(
        &found,
        "a delta of 31 bytes in format 5
         replicas  07070707-0707-0707-0707-070707070707
         columns   9 bytes
         flags     ONE, IN ORDER
         events    07070707:1
         tree      nodes: 2, items: 1
         root
         \"fig\"  07070707:1",
    );
}

#[test]
fn documents_and_stamps_are_shown_by_what_they_are() {
    let mut doc = replica::<Doc>(1);
    doc.set_time(1_772_323_199_000);
    let _ = doc.update(|doc| {
        doc.lww("title").set("Garden");
        doc.map("view").counter("visits").inc(3);
    });
    let (_, change) = doc.update(|doc| doc.map("view").counter("visits").inc(1));
    reads(
        &inspect(&doc.encode()),
        "a state of 89 bytes in format 5
         type      Doc
         slice 1 of 1, at byte 19, 84 bytes
         replicas  01010101-0101-0101-0101-010101010101
         columns   62 bytes
         flags     IN ORDER
         events    01010101:1-3
         tree      nodes: 7, items: 3
         root
         \"title\"
         lww  01010101:1  \"Garden\", written 2026-02-28T23:59:59.000Z
         \"view\"
         map
         \"visits\"
         counter
         01010101:2  3
         01010101:3  1",
    );
    // A delta does not say of which type it is; who knows it says so.
    let body = InspectedBody::of_delta(&change.encode_body(), &Limits::default());
    assert!(body.shown("Doc").to_string().contains("counter  01010101:3  1"));
    let mut map = replica::<AddWinsMap<u32, LwwRegister<bool>>>(1);
    let _ = map.update(|map| map.at(7_u32).set(true));
    assert!(inspect(&map.encode()).to_string().contains("7  01010101:1  true, written 1970"));
}

#[test]
fn texts_are_shown_by_what_was_typed_in_one_go() {
    let mut text = replica::<Text>(1);
    let _ = text.update(|text| text.push("The tide falls."));
    let mut other = text.fork(ReplicaId::from_bytes([2; 16]));
    let _ = other.update(|text| text.insert(4, "é").unwrap());
    reads(
        &inspect(&other.encode()),
        "a state of 110 bytes in format 5
         type      Text
         slice 1 of 1, at byte 20, 104 bytes
         replicas  01010101-0101-0101-0101-010101010101, 02020202-0202-0202-0202-020202020202
         columns   64 bytes
         flags     RUNS
         events    01010101:1-16, 02020202:1-2
         tree      nodes: 3, items: 18
         root
         01010101:2  \"The tide falls.\", 15 letters
         02020202:2  \"é\"
         runs at the start  01010101:1
         runs at elements of 01010101-0101-0101-0101-010101010101  02020202:1  before 6",
    );
}

#[test]
fn a_state_of_many_slices_is_shown_up_to_some_nodes_unless_all_are_wanted() {
    let mut set = replica::<AddWinsSet<u32>>(1);
    let _ = set.update(|set| set.extend(0..30_000_u32));
    let found = inspect(&set.encode());
    assert!(found.is_sound() && found.bodies.len() > 1);
    let text = found.to_string();
    assert!(text.lines().count() < 40 * found.bodies.len() && text.contains(" more; --full shows all"));
    assert!(text.contains(", compressed to "));
    assert!(format!("{found:#}").lines().count() > 30_000);
    assert_eq!(found.bodies.iter().map(InspectedBody::items).sum::<usize>(), 30_000);
}

#[test]
fn every_flag_that_is_read_has_a_name() {
    let body = InspectedBody::of_delta(&[0x92, 0x90, 0xc4, 1, 0x7f], &Limits::default());
    assert_eq!(body.flags(), ["ONE", "DEPS", "IN ORDER", "SHARED", "RUNS", "PLANES", "HEADS"]);
    assert_eq!(Reader::new(&[], &Limits::default()).features(), 0x7f);
}

#[test]
fn what_is_not_known_is_named() {
    let state = replica::<Doc>(1).encode();
    let with = |at: usize, byte: u8| {
        let mut bytes = state.clone();
        bytes[at] = byte;
        inspect(&bytes).problems.join("\n")
    };
    assert!(with(5, 9).contains("kind 9 is not known to this program, which knows 1, state, and 2, delta"));
    assert!(with(4, 77).contains("format 77 is not known to this program, which knows 1 to 5"));
    assert_eq!(Inspection::of(b"TMB", &Limits::default()).unwrap_err(), DecodeError::NotOurs);
    let (_, delta) = replica::<AddWinsSet<String>>(7).update(|set| set.add("fig"));
    let mut body = delta.encode_body();
    let head = body.len() - 9;
    body[head] |= 0x80;
    let found = inspect(&Envelope::seal(EnvelopeKind::Delta, &body));
    let problem = found.bodies[0].problem.as_deref().unwrap();
    assert!(problem.contains("the features 0x80, which are not known"), "{problem}");
    assert!(found.bodies[0].flags().contains(&"bit 7, which is not known to this program".to_owned()));
}

#[test]
fn a_slice_that_is_wrong_does_not_hide_the_others() {
    let mut set = replica::<AddWinsSet<u32>>(1);
    let _ = set.update(|set| set.extend(0..60_000_u32));
    let bytes = set.encode();
    let whole = inspect(&bytes);
    let slices = whole.bodies.len();
    assert!(slices > 3);
    let mut wrong = bytes.clone();
    // Where the compressed columns begin.
    let columns = whole.bodies[1].at + whole.bodies[1].bytes - whole.bodies[1].columns;
    wrong[columns..columns + 64].fill(0xff);
    let found = inspect(&wrong);
    assert_eq!(found.bodies.len(), slices);
    assert!(found.problems[0].contains("checksum"));
    assert!(found.bodies[1].problem.is_some() && found.bodies[1].items() == 0);
    assert!(found.bodies[2].problem.is_none(), "{:?}", found.bodies[2].problem);
    assert_eq!(found.bodies[3].items(), whole.bodies[3].items());
    // Cut off in the third: it and what follows cannot be read, and what is before can.
    let found = inspect(&bytes[..whole.bodies[2].at + 100]);
    assert!(found.problems.iter().any(|problem| problem.contains("cut off")), "{found}");
    assert_eq!((found.bodies.len(), found.bodies[1].items()), (3, whole.bodies[1].items()));
    assert!(found.bodies[2].problem.is_some());
}

#[test]
fn whatever_the_bytes_say_it_is_described() {
    let mut doc = replica::<Doc>(1);
    let (_, delta) = doc.update(|doc| {
        doc.set("labels").extend(["late", "later"]);
        doc.register("title").set("Garden");
    });
    for bytes in [doc.encode(), delta.encode()] {
        for at in 0..bytes.len() {
            for change in [1, 2, 0x10, 0x40, 0x80, 0xff] {
                let mut wrong = bytes.clone();
                wrong[at] ^= change;
                let Ok(found) = Inspection::of(&wrong, &Limits::default()) else { continue };
                assert!(!found.is_sound(), "byte {at}");
                assert!(!format!("{found:#}").is_empty());
            }
            if let Ok(found) = Inspection::of(&bytes[..at], &Limits::default()) {
                assert!(!found.is_sound() && found.to_string().contains("cut off"));
            }
        }
    }
}

#[test]
fn what_decodes_is_sound_and_nothing_else_is() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden");
    let mut seen = 0;
    for folder in ["v1", "v2", "v3", "v4", "v5"] {
        for file in std::fs::read_dir(format!("{golden}/{folder}")).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            // Cursors are put by serde where an application likes, and begin with nothing of ours.
            if path.extension().is_some_and(|extension| extension == "msgpack") {
                assert!(matches!(Inspection::of(&bytes, &Limits::default()), Err(DecodeError::NotOurs)));
                continue;
            }
            let found = inspect(&bytes);
            assert!(found.is_sound(), "{}: {found}", path.display());
            let all = Limits::default();
            let decodes = Delta::<Opaque>::decode(&bytes, &all).is_ok()
                || Delta::<Opaque>::decode_state(&bytes, &all).is_ok();
            assert!(decodes && found.bodies.iter().any(|body| body.nodes() > 0));
            seen += 1;
        }
    }
    assert!(seen > 50);
}

#[test]
fn limits_are_kept_and_named() {
    let mut set = replica::<AddWinsSet<u32>>(1);
    let _ = set.update(|set| set.extend(0..30_000_u32));
    let bytes = set.encode();
    let limits = Limits { memory: 64 << 10, ..Limits::default() };
    let found = Inspection::of(&bytes, &limits).unwrap();
    assert!(found.bodies[0].problem.as_deref().unwrap().contains("limit of 65536"), "{found}");
    let limits = Limits { bytes: 100, ..Limits::default() };
    assert!(matches!(Inspection::of(&bytes, &limits), Err(DecodeError::Limit { .. })));
}
