//! What has a form of its own in serde comes back from it as it was, and what breaks an invariant does not come through.

use std::ops::ControlFlow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tombolo_crdt::{
    Bias, Changes, Delta, Doc, Dot, EnvelopeKind, InspectedRun, Inspection, Kind, Limits, LwwRegister,
    MAX_COUNTER, MarkKind, Merged, Mut, NoRights, Plain, Position, QuillAttributes, QuillDelta, QuillOp,
    Refused, Replica, ReplicaId, Scalar, Since, Stamp, TextEdit, TextSnapshot, Version, What,
};

use super::{Sets, garden, id, limits};

/// Through JSON and through MessagePack.
fn there_and_back<T: Serialize + DeserializeOwned>(value: &T) -> [T; 3] {
    let json = serde_json::to_string(value).unwrap();
    let packed = rmp_serde::to_vec(value).unwrap();
    let named = rmp_serde::to_vec_named(value).unwrap();
    [
        serde_json::from_str(&json).unwrap(),
        rmp_serde::from_slice(&packed).unwrap(),
        rmp_serde::from_slice(&named).unwrap(),
    ]
}

fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    for back in there_and_back(value) {
        assert_eq!(&back, value);
    }
}

#[test]
fn every_public_value_goes_through_serde_and_back() {
    same(&id(7));
    same(&Dot { replica: id(7), counter: MAX_COUNTER });
    let version: Version = [(id(1), 1), (id(2), MAX_COUNTER)].into_iter().collect();
    same(&version);
    same(&Version::new());
    same(&Stamp { millis: u64::MAX, logical: u32::MAX });
    same(&Limits::default());
    [EnvelopeKind::State, EnvelopeKind::Delta].iter().for_each(same);
    [Merged::Applied, Merged::AlreadyKnown, Merged::Pending(version)].iter().for_each(same);
    for kind in Kind::ALL {
        same(kind);
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("{:?}", kind.name()));
    }
    let scalars = [
        Scalar::Null,
        Scalar::Bool(true),
        Scalar::Int(i64::MIN),
        Scalar::Int(i64::MAX),
        Scalar::Float(1.0),
        Scalar::Float(-0.0),
        Scalar::Text("text".into()),
        Scalar::Bytes(vec![0, 255]),
    ];
    scalars.iter().for_each(same);
    let packed = rmp_serde::to_vec(&Scalar::Float(f64::NAN)).unwrap();
    assert_eq!(rmp_serde::from_slice::<Scalar>(&packed).unwrap(), Scalar::Float(f64::NAN));
    same(&NoRights { wanted: u64::MAX, held: 0, elsewhere: vec![(id(1), 5), (id(2), 5)] });
    same(&Refused::TooManyReplicas);
    same(&Refused::TooLarge { most: 5 });
    same(&Refused::BufferFull { waiting: 3, missing: [(id(1), 1)].into_iter().collect() });
    let run = InspectedRun { replica: id(1), first: 1, last: MAX_COUNTER };
    same(&run);
    let inspection = Inspection::of(&garden().2, &limits()).unwrap();
    inspection.bodies[0].each_node(&inspection.type_name, &mut |node| {
        same(&node);
        ControlFlow::Continue(())
    });
}

/// Some of everything that has an order, written by one and then changed.
fn ordered(doc: &mut Mut<'_, Doc>) {
    doc.text("text").push("The tide falls.");
    doc.list("list").extend([1_i64, 2, 3]);
    for name in ["first", "second"] {
        doc.movable_list("steps").push().register("name").set(name);
        doc.tree("parts").push(None).unwrap().1.register("name").set(name);
    }
}

#[test]
fn names_and_places_go_through_serde_and_mean_what_they_meant() {
    [Bias::Before, Bias::After].iter().for_each(same);
    [Position::Scalars(0), Position::Utf16(7), Position::Bytes(usize::MAX)].iter().for_each(same);
    let mut ann = Replica::<Doc>::new(id(1));
    let _ = ann.update(ordered);
    let bob = ann.fork(id(2));
    let _ = ann.update(|doc| {
        doc.text("text").insert(4, "spring ").unwrap();
        doc.list("list").insert(1, 7).unwrap();
    });
    let text = ann.get("text").unwrap().text().unwrap();
    for bias in [Bias::Before, Bias::After] {
        for at in [0, 4, 11, text.len()] {
            let cursor = text.cursor(at, bias).unwrap();
            same(&cursor);
            assert!(there_and_back(&cursor).iter().all(|back| text.find(back) == Some(at)));
        }
    }
    let list = ann.get("list").unwrap().list().unwrap();
    for at in 0..list.len() {
        let element = list.id_at(at).unwrap();
        same(&element);
        assert!(there_and_back(&element).iter().all(|back| list.position(*back) == Some(at)));
        let cursor = list.cursor(at, Bias::After).unwrap();
        assert!(there_and_back(&cursor).iter().all(|back| list.find(back) == Some(at)));
    }
    let steps = ann.get("steps").unwrap().movable_list().unwrap();
    let step = steps.id_at(1).unwrap();
    same(&step);
    assert!(there_and_back(&step).iter().all(|back| steps.position(*back) == Some(1)));
    let parts = ann.get("parts").unwrap().tree().unwrap();
    for (node, _) in parts.iter() {
        same(&node);
        assert!(there_and_back(&node).iter().all(|back| parts.position(*back) == parts.position(node)));
    }
    // What was edited in a copy is done as it would have been.
    let snapshot = bob.get("text").unwrap().text().unwrap().snapshot();
    let edit = snapshot.edited("At noon the tide rises.");
    assert!(!edit.is_empty());
    same(&snapshot);
    same(&edit);
    let done = |edit: &TextEdit| {
        let mut cem = ann.fork(id(3));
        let _ = cem.update(|doc| doc.text("text").apply(edit));
        cem.get("text").unwrap().text().unwrap().to_string()
    };
    let read = done(&edit);
    assert!(read.contains("spring ") && read.contains("rises"), "{read}");
    assert!(there_and_back(&edit).iter().all(|back| done(back) == read));
}

#[test]
fn changes_for_editors_go_through_serde_and_back() {
    let attributes: QuillAttributes = [("bold".into(), true.into()), ("link".into(), Scalar::Null)].into();
    let insert = QuillOp::Insert { text: "x\u{1f426}".into(), attributes: attributes.clone() };
    let ops = vec![
        QuillOp::Retain { len: 3, attributes },
        insert,
        QuillOp::Delete { len: 2 },
        QuillOp::Retain { len: 1, attributes: QuillAttributes::new() },
    ];
    ops.iter().for_each(same);
    same(&QuillDelta { ops });
}

#[test]
fn changes_of_what_has_an_order_go_through_serde_and_do_what_they_did() {
    let mut ann = Replica::<Doc>::new(id(1));
    let _ = ann.update(ordered);
    let mut mirror = ann.plain();
    let (_, _, changes) = ann.update_changes(|doc| {
        let mut text = doc.text("text");
        text.replace(4..8, "ebb").unwrap();
        text.mark(0..3, MarkKind::BOLD, true).unwrap();
        doc.list("list").set(1, 9).unwrap();
        doc.movable_list("steps").move_to(0, 1).unwrap();
        let mut parts = doc.tree("parts");
        let nodes: Vec<_> = parts.iter().map(|(node, _)| node).collect();
        parts.move_to(nodes[0], Some(nodes[1]), 0).unwrap();
    });
    let said = |is_it: fn(&What) -> bool| changes.changes.iter().any(|change| is_it(&change.what));
    assert!(said(|what| matches!(what, What::Spliced(_))) && said(|what| matches!(what, What::Marked(_))));
    assert!(said(|what| matches!(what, What::ItemsSpliced(_))), "{changes:?}");
    for change in &changes.changes {
        match &change.what {
            What::Spliced(splices) => splices.iter().for_each(same),
            What::Marked(marked) => marked.iter().for_each(same),
            What::ItemsSpliced(splices) => splices.iter().for_each(same),
            _ => {}
        }
    }
    let back: Changes = rmp_serde::from_slice(&rmp_serde::to_vec(&changes).unwrap()).unwrap();
    assert_eq!(back, changes);
    back.apply_to(&mut mirror).unwrap();
    assert_eq!(mirror, ann.plain());
}

#[test]
fn plain_values_go_through_serde_and_back_as_they_were_or_as_what_is_read_of_them() {
    let text = |text: &str| Plain::from(text);
    let plain = [
        Plain::Null,
        Plain::Bool(true),
        Plain::Int(i64::MIN.into()),
        Plain::Int(u64::MAX.into()),
        Plain::Float(1.5),
        text("text"),
        Plain::List(vec![Plain::Int(1), Plain::Null, text("")]),
        Plain::Map([(text("a"), Plain::List(vec![])), (text("b"), Plain::Bool(false))].into()),
    ];
    plain.iter().for_each(same);
    // These say more than JSON can.
    let kinds = [
        Plain::Int(i128::MAX),
        Plain::Int(i128::MIN),
        Plain::Int(-1 << 64),
        Plain::Float(f64::NAN),
        Plain::Float(-0.0),
        Plain::Float(3.0),
        Plain::Bytes(vec![0, 255]),
        Plain::Set([Plain::Int(1), Plain::Bytes(vec![]), Plain::List(vec![Plain::Null])].into()),
        Plain::Map([(Plain::Bytes(vec![7]), Plain::Set([text("x")].into()))].into()),
    ];
    for value in plain.iter().chain(&kinds) {
        for packed in [rmp_serde::to_vec(value).unwrap(), rmp_serde::to_vec_named(value).unwrap()] {
            assert_eq!(rmp_serde::from_slice::<Plain>(&packed).unwrap(), *value);
        }
        // As the content of a register, with which it goes through the codec.
        let mut register = Replica::<LwwRegister<Plain>>::new(id(1));
        let _ = register.update(|register| register.set(value.clone()));
        let back = Replica::<LwwRegister<Plain>>::decode(id(1), &register.encode(), &limits()).unwrap();
        assert_eq!(back.value(), Some(value));
    }
    let shown = Plain::Map([(Plain::Int(3), Plain::Set([text("x"), text("y")].into()))].into());
    let json = serde_json::to_string(&shown).unwrap();
    assert_eq!(json, r#"{"3":["x","y"]}"#);
    let read = Plain::Map([(text("3"), Plain::List(vec![text("x"), text("y")]))].into());
    assert_eq!(serde_json::from_str::<Plain>(&json).unwrap(), read);
}

#[test]
fn changes_and_conflicts_go_through_serde_and_do_what_they_did() {
    fn packed<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) -> T {
        let back = rmp_serde::from_slice(&rmp_serde::to_vec(value).unwrap()).unwrap();
        assert_eq!(&back, value);
        back
    }
    let (ann, _, _) = garden();
    let mut bob = Replica::<Doc>::new(id(1));
    let mut mirror = bob.plain();
    let (_, all) = bob.merge_changes(ann.state()).unwrap();
    let (_, _, last) = bob.update_changes(|doc| {
        doc.map("garden").set("beds").add(1.5);
        doc.map("garden").counter("size").add(-7);
        doc.lww("title").set("Field");
        doc.remove("nothing");
    });
    for changes in all.iter().chain([&last]) {
        assert!(!changes.changes.is_empty());
        changes.changes.iter().for_each(|change| assert_eq!(packed(change), *change));
        packed(changes).apply_to(&mut mirror).unwrap();
    }
    assert_eq!(mirror, bob.plain());
    // Written at once: a conflict, with a removal among what was left.
    let (mut ann, mut bob) = (Replica::<Doc>::new(id(1)), Replica::<Doc>::new(id(2)));
    let (_, hers) = ann.update(|doc| {
        doc.register("note").set("hers");
        doc.lww_map("settings").set("size", 1_i64);
    });
    let _ = bob.update(|doc| {
        doc.register("note").set(vec![1_u8]);
        doc.lww_map("settings").set("size", 2_i64);
        doc.lww_map("settings").remove("size");
    });
    bob.merge(hers).unwrap();
    let conflicts = bob.conflicts();
    assert_eq!(conflicts.len(), 2);
    for conflict in &conflicts {
        packed(conflict).values.iter().for_each(|claim| drop(packed(claim)));
    }
    // And answers.
    let answer = bob.delta_since(&ann.version());
    for back in there_and_back(&answer) {
        let (Since::Delta(one), Since::Delta(other)) = (&answer, &back) else {
            panic!("Ann lacks something")
        };
        assert_eq!(one.encode(), other.encode());
    }
    assert!(there_and_back(&Since::<Doc>::Forgotten).iter().all(|since| matches!(since, Since::Forgotten)));
}

#[test]
fn deltas_and_replicas_go_through_serde_and_back() {
    let (ann, state, delta) = garden();
    for back in there_and_back(&ann) {
        assert_eq!((back.id(), back.version(), back.encode()), (ann.id(), ann.version(), state.clone()));
    }
    for back in there_and_back(&ann.state()) {
        assert_eq!(back.encode_state().as_ref(), Some(&state));
    }
    let delta_read = Delta::<Doc>::decode(&delta, &limits()).unwrap();
    for back in there_and_back(&delta_read) {
        assert_eq!(back.encode(), delta);
    }
}

#[test]
fn serde_refuses_what_breaks_an_invariant() {
    fn refused<T: DeserializeOwned>(json: &str) -> String {
        serde_json::from_str::<T>(json).err().unwrap_or_else(|| panic!("{json} was taken")).to_string()
    }
    let uuid = "01010101-0101-0101-0101-010101010101";
    refused::<ReplicaId>("\"not a uuid\"");
    for counter in [0, MAX_COUNTER + 1] {
        let why = refused::<Dot>(&format!("{{\"replica\":\"{uuid}\",\"counter\":{counter}}}"));
        assert!(why.contains("must lie within 1 and 1099511627775"), "{why}");
        let why = refused::<Version>(&format!("{{\"{uuid}\":{counter}}}"));
        assert!(why.contains("must lie within 1 and 1099511627775"), "{why}");
    }
    assert!(refused::<Kind>("\"spreadsheet\"").contains("spreadsheet"));
    refused::<Scalar>("18446744073709551615");
    refused::<Scalar>("[1, 2, 300]");
    refused::<Scalar>("{}");
    // A copy of a text names as many letters as there are.
    refused::<TextSnapshot>("{\"text\":\"ab\",\"runs\":[],\"heads\":[]}");
    refused::<Stamp>("{\"millis\":-1,\"logical\":0}");

    // Deltas and replicas go through the same door as other bytes.
    let (_, state, delta) = garden();
    let numbers = |bytes: &[u8]| serde_json::to_string(bytes).unwrap();
    let mut damaged = delta.clone();
    damaged[20] ^= 1;
    assert!(refused::<Delta<Doc>>(&numbers(&damaged)).contains("checksum"));
    assert!(refused::<Delta<Sets>>(&numbers(&state)).contains("`Doc`"));
    refused::<Delta<Sets>>(&numbers(&delta));
    refused::<Delta<Doc>>("\"text\"");
    let of_another_type = format!("{{\"id\":\"{uuid}\",\"state\":{}}}", numbers(&state));
    assert!(refused::<Replica<LwwRegister<u8>>>(&of_another_type).contains("`Doc`"));
}
