//! Messages of every format there was, as they were written then: they are read, say the same, and, of the format that is
//! written today, are written the same.
//!
//! A new sample is written by `TOMBOLO_GOLDEN=write cargo test -p tombolo-tests --test types golden`, which leaves alone what is
//! there: a file of a released format never changes.

use std::path::PathBuf;

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Bias, BoundedCounter, Crdt, Cursor, Delta, DisableWinsFlag, Doc, EnableWinsFlag,
    EncodedState, FORMAT, GCounter, GMap, GSet, Limits, List, LwwMap, LwwRegister, MarkKind, MaxRegister,
    MinRegister, MovableList, MvRegister, PnCounter, RemoveWinsSet, Replica, ReplicaId, Scalar, Since, Text,
    Tree, TwoPhaseSet, Version,
};

#[derive(Crdt)]
struct Card {
    #[crdt(lww)]
    title: String,
    votes: PnCounter,
    labels: AddWinsSet<String>,
}

#[derive(Crdt)]
enum Shape {
    Circle {
        #[crdt(lww)]
        radius: u32,
        marks: AddWinsSet<String>,
    },
    #[crdt(rename = "Box")]
    Square(PnCounter),
    Nowhere,
}

/// A struct as it was once.
#[derive(Crdt)]
#[crdt(name = "golden.Task")]
struct OldTask {
    #[crdt(lww)]
    title: String,
    votes: PnCounter,
    labels: AddWinsMap<String, MvRegister<u8>>,
}

/// And as it is, with other names in the source, and for everybody.
#[derive(Crdt)]
#[crdt(name = "golden.Task")]
struct Task {
    #[crdt(lww, rename = "title", default)]
    heading: String,
    #[crdt(alias = "votes")]
    score: PnCounter,
    #[crdt(alias = "labels")]
    tags: AddWinsMap<String, MvRegister<u8>>,
    #[crdt(max, default = 7)]
    priority: u8,
}

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

/// What is in the file, which is written first if that is wanted, the format is today's and it is not there.
fn golden(format: u8, name: &str, now: &[u8]) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/v{format}"));
    let path = folder.join(name);
    let write = std::env::var_os("TOMBOLO_GOLDEN").is_some_and(|what| what == "write");
    if write && format == FORMAT && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, now).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Two replicas that `write` wrote to at once, one after the other had seen a first round; their state, and a delta that
/// carries, covers and depends.
fn sample<T: Crdt>(name: &str, write: impl Fn(&mut T::Mut<'_>, u8)) {
    sample_since::<T>(1, name, write);
}

/// Of a type that came with format `since`.
fn sample_since<T: Crdt>(since: u8, name: &str, write: impl Fn(&mut T::Mut<'_>, u8)) {
    let (mut ann, mut bob) = (Replica::<T>::new(id(0xa1)), Replica::<T>::new(id(0xb2)));
    ann.set_time(1_700_000_000_000);
    bob.set_time(1_700_000_000_500);
    let (_, first) = ann.update(|value| write(value, 0));
    bob.merge(first).unwrap();
    let (_, hers) = ann.update(|value| write(value, 1));
    let (_, his) = bob.update(|value| write(value, 2));
    ann.merge(his).unwrap();
    bob.merge(hers).unwrap();
    let (_, last) = ann.update(|value| write(value, 3));
    bob.merge(last.clone()).unwrap();
    assert_eq!(ann.encode(), bob.encode());
    let Since::Delta(all) = ann.delta_since(&Version::new()) else { panic!("{name}: nothing is forgotten") };

    for format in since..=FORMAT {
        let limits = Limits::default();
        let state = golden(format, &format!("{name}.state"), &ann.encode());
        let view = golden(format, &format!("{name}.json"), &serde_json::to_vec(&ann.view()).unwrap());
        let back = Replica::<T>::decode(id(9), &state, &limits).unwrap();
        assert_eq!(serde_json::to_vec(&back.view()).unwrap(), view, "{name}: what the state says");
        assert_eq!(back.version(), ann.version());
        assert_eq!(back.encode(), ann.encode());
        for (kind, delta) in [("delta", &last), ("group", &all)] {
            let bytes = golden(format, &format!("{name}.{kind}"), &delta.encode());
            let back = Delta::<T>::decode(&bytes, &limits).unwrap();
            assert_eq!((back.deps(), back.events()), (delta.deps(), delta.events()), "{name}.{kind}");
            assert_eq!(back.encode(), delta.encode(), "{name}.{kind}");
            if format == FORMAT {
                assert_eq!(delta.encode(), bytes, "{name}.{kind} is written differently now");
            }
        }
        if format == FORMAT {
            assert_eq!(ann.encode(), state, "{name}.state is written differently now");
        }
    }
}

/// A state of several slices, compressed. Another compressor may write other bytes, which must be read all the same.
#[test]
fn large_states_of_old_programs_are_read() {
    let mut ann = Replica::<AddWinsSet<u32>>::new(id(0xa1));
    let _ = ann.update(|set| set.extend((0..20_000_u32).map(|n| n * 37)));
    for format in 2..=FORMAT {
        let state = golden(format, "large.state", &ann.encode());
        let opened = EncodedState::open::<AddWinsSet<u32>>(&state, &Limits::default()).unwrap();
        assert_eq!(opened.len(), 2);
        assert!(state.len() < 60_000, "it is compressed");
        let back = Replica::<AddWinsSet<u32>>::decode(id(9), &state, &Limits::default()).unwrap();
        assert_eq!(back.encode(), ann.encode());
    }
}

#[test]
fn messages_of_all_formats_are_read_and_those_of_today_s_written() {
    sample::<GCounter>("g_counter", |counter, round| counter.inc(u64::from(round) * 1_000 + 1));
    sample::<PnCounter>("pn_counter", |counter, round| counter.add(i64::from(round) * 70_000 - 100_000));
    sample::<EnableWinsFlag>("flag", |flag, round| if round == 1 { flag.disable() } else { flag.enable() });
    sample::<LwwRegister<String>>("lww", |register, round| register.set(format!("round {round}")));
    sample::<MvRegister<Vec<u16>>>("mv", |register, round| {
        if round < 3 {
            register.set(vec![u16::from(round); 40])
        }
    });
    sample::<GSet<u32>>("g_set", |set, round| set.extend((0..20).map(|n| n * 40 + u32::from(round))));
    sample::<AddWinsSet<String>>("set", |set, round| {
        set.extend((0..12).map(|n| format!("element {n} of round {round}")));
        set.remove("element 3 of round 0");
        set.add("element 4 of round 0");
    });
    sample::<AddWinsMap<u8, AddWinsMap<String, PnCounter>>>("map", |map, round| {
        map.at(round % 2).at("both").inc(5);
        map.at(7).at(format!("of {round}")).dec(1);
        if round == 3 {
            map.remove(&0);
        }
    });
    sample::<AddWinsMap<String, Card>>("struct", |map, round| {
        let mut card = map.at(format!("card {}", round / 2));
        card.title().set(format!("Title {round}"));
        card.votes().inc(1);
        card.labels().extend(["late", "big"]);
        card.labels().remove("late");
    });
    sample::<Doc>("doc", |doc, round| {
        let mut garden = doc.map("garden");
        garden.counter("size").inc(300);
        garden.set("beds").extend([Scalar::from("roses"), Scalar::from(i64::from(round)), Scalar::from(0.5)]);
        garden.lww("owner").set(["Ann", "Bob"][usize::from(round % 2)]);
        doc.register("note").set(vec![round; 3]);
        match round {
            1 => doc.flag("size").enable(),
            2 => doc.grow_counter("size").inc(2),
            3 => _ = doc.remove("note"),
            _ => doc.grow_set("seen").add("heron"),
        }
    });
}

#[test]
fn messages_of_types_that_came_later() {
    sample_since::<BoundedCounter>(2, "bounded", |counter, round| {
        counter.inc(100 + u64::from(round));
        counter.dec(10).unwrap();
        counter.transfer(7, id(0xb2)).unwrap();
        counter.transfer(u64::from(round) * 20, id(0xa1 ^ round)).unwrap();
    });
    sample_since::<DisableWinsFlag>(2, "disable_wins_flag", |flag, round| {
        if round == 1 { flag.disable() } else { flag.enable() }
    });
    sample_since::<MaxRegister<u32>>(2, "max", |register, round| register.set(u32::from(round) * 1_000));
    sample_since::<MinRegister<String>>(2, "min", |register, round| {
        register.set(format!("no {}", 9 - round))
    });
    sample_since::<RemoveWinsSet<String>>(2, "remove_wins_set", |set, round| {
        set.extend((0..6).map(|n| format!("element {n} of round {}", round / 2)));
        set.remove(format!("element {round} of round 0"));
        set.remove("never added");
    });
    sample_since::<TwoPhaseSet<u16>>(2, "two_phase_set", |set, round| {
        set.extend((0..6).map(|n| n * 100 + u16::from(round / 2)));
        set.remove(&(u16::from(round) * 100));
    });
    sample_since::<GMap<String, PnCounter>>(2, "g_map", |map, round| {
        map.at("both").inc(5);
        map.at(format!("of {round}")).dec(1);
    });
    sample_since::<LwwMap<String, Vec<u8>>>(2, "lww_map", |map, round| {
        map.set("both", vec![round; 3]);
        map.set(format!("of {round}"), vec![]);
        map.remove("of 0");
    });
    // Letters of one and of several bytes, deleted, and typed before and behind those of another.
    sample_since::<Text>(3, "text", |text, round| {
        text.insert(text.len() / 2, ["naïve tide", "ebb ", "\u{1f30a}flood", "."][usize::from(round)])
            .unwrap();
        if round > 0 {
            text.delete(1..3).unwrap();
        }
        text.push("\n");
    });
    // Marks by letters of one's own and of others, and by the borders.
    sample_since::<Text>(3, "text_with_marks", |text, round| {
        text.push(["The tide ", "falls ", "slowly", "."][usize::from(round)]);
        let kinds = [MarkKind::BOLD, MarkKind::LINK, MarkKind::BOLD, MarkKind::comment("1")];
        let kind = kinds[usize::from(round)].clone();
        text.mark(usize::from(round)..text.len() - 1, kind, i64::from(round)).unwrap();
        text.unmark(0..2, MarkKind::BOLD).unwrap();
    });
    // Numbers of several lengths, told by planes, inserted at the front one by one: so are the positions.
    sample_since::<List<i64>>(4, "list", |list, round| {
        for nth in 0..24_i64 {
            list.insert(0, (nth - 3) * 1_000_003_i64.pow(u32::from(round).min(2))).unwrap();
        }
        list.delete(1..3).unwrap();
    });
    sample_since::<MovableList<LwwRegister<String>>>(4, "movable", |list, round| {
        list.push().set(format!("step {round}"));
        list.push().set("go on");
        list.move_to(list.len() - 1, 0).unwrap();
        if round == 2 {
            list.delete(1..2).unwrap();
        }
    });
    sample_since::<Tree<MvRegister<String>>>(4, "tree", |tree, round| {
        let (folder, mut name) = tree.push(None).unwrap();
        name.set(format!("folder {round}"));
        let (file, mut name) = tree.push(Some(folder)).unwrap();
        name.set("file");
        if round % 2 == 1 {
            tree.move_to(file, None, 0).unwrap();
        } else {
            tree.delete(file).unwrap();
        }
    });
    // Times, told by planes with what else stands alone.
    sample_since::<AddWinsMap<u8, LwwRegister<String>>>(5, "times", |map, round| {
        for key in 0..10_u8 {
            map.at(key + 5 * round).set("The tide falls. ".repeat(usize::from(key) / 4) + "Ebb.");
        }
        map.remove(&(round + 1));
    });
    sample_since::<Doc>(2, "doc_of_more", |doc, round| {
        doc.disable_wins_flag("all").enable();
        doc.max("all").set(i64::from(round));
        doc.min("all").set(f64::from(round));
        doc.remove_wins_set("all").remove(i64::from(round));
        doc.two_phase_set("all").extend(["a", "b"]);
        doc.two_phase_set("all").remove(&"b".into());
        doc.lww_map("all").set("key", i64::from(round));
    });
}

/// Cursors are kept by applications, as whatever they write: MessagePack and JSON here.
#[test]
fn cursors_that_were_kept_are_read_and_stand_where_they_stood() {
    let (mut ann, mut bob) = (Replica::<Text>::new(id(0xa1)), Replica::<Text>::new(id(0xb2)));
    let (_, typed) = ann.try_update(|text| text.insert(0, "The tide falls.")).unwrap();
    bob.merge(typed).unwrap();
    let (_, hers) = ann.try_update(|text| text.replace(9..14, "rises")).unwrap();
    let (_, his) = bob.try_update(|text| text.insert(4, "spring ")).unwrap();
    ann.merge(his).unwrap();
    bob.merge(hers).unwrap();
    assert_eq!(ann.to_string(), "The spring tide rises.");
    let all = |text: &Text| -> Vec<Cursor> {
        let beside = |at| [Bias::Before, Bias::After].map(|bias| text.cursor(at, bias).unwrap());
        (0..=text.len()).flat_map(beside).collect()
    };
    let (now, places): (Vec<Cursor>, Vec<usize>) =
        (all(&ann), (0..=ann.len()).flat_map(|at| [at, at]).collect());
    for format in 5..=FORMAT {
        let packed = golden(format, "cursors.msgpack", &rmp_serde::to_vec(&now).unwrap());
        let json = golden(format, "cursors.json", &serde_json::to_vec(&now).unwrap());
        let kept: Vec<Cursor> = rmp_serde::from_slice(&packed).unwrap();
        assert_eq!(kept, serde_json::from_slice::<Vec<Cursor>>(&json).unwrap());
        assert_eq!(kept.iter().map(|cursor| bob.find(cursor).unwrap()).collect::<Vec<_>>(), places);
        if format == FORMAT {
            assert_eq!(rmp_serde::to_vec(&now).unwrap(), packed, "cursors are written differently now");
        }
    }
}

#[test]
fn messages_of_enums_and_of_structs_whose_fields_are_called_otherwise() {
    sample_since::<AddWinsMap<u8, Shape>>(2, "enum", |shapes, round| {
        let mut circle = shapes.by_ref().entry(1);
        circle.choose_circle().radius().set(u32::from(round) * 100);
        circle.choose_circle().marks().extend([format!("of {round}"), "all".into()]);
        let mut any = shapes.by_ref().entry(2);
        match round {
            0 => any.choose_square().field_0().inc(3),
            1 => any.choose_nowhere(),
            2 => any.choose_circle().radius().set(5_u32),
            _ => any.choose_square().field_0().dec(1),
        }
        let _ = shapes.at(3).choose_square();
    });
    sample_since::<OldTask>(2, "struct_before", |task, round| {
        task.title().set(format!("Title {round}"));
        task.votes().inc(5);
        task.labels().at(format!("of {round}")).set(round);
        task.labels().at("all").set(round);
        task.labels().remove("of 0");
    });
    sample_since::<Task>(2, "struct_renamed", |task, round| {
        task.heading().set(format!("Title {round}"));
        task.score().inc(5);
        task.tags().at(format!("of {round}")).set(round);
        task.tags().at("all").set(round);
        if round > 1 {
            task.priority().set(10 * round);
        }
    });
    // What was written before is read under the names of today, and passed on under those it has.
    let before = golden(2, "struct_before.state", &[]);
    let back = Replica::<Task>::decode(id(9), &before, &Limits::default()).unwrap();
    let view =
        r#"{"title":"Title 3","score":20,"tags":{"all":[3],"of 1":[1],"of 2":[2],"of 3":[3]},"priority":7}"#;
    assert_eq!(serde_json::to_string(&back.view()).unwrap(), view);
    assert_eq!(back.encode(), golden(FORMAT, "struct_before.state", &[]));
}

/// What `docs/encoding.md` shows.
#[test]
fn the_example_of_the_documentation() {
    let mut set = Replica::<AddWinsSet<String>>::new(id(7));
    let (_, delta) = set.update(|set| set.add("fig"));
    let expected =
        [&[0x92, 0x91, 0xc4, 0x10][..], &[7; 16], &[0xc4, 9, 5, 1, 6, 0, 4, 0xa3, 0x66, 0x69, 0x67]].concat();
    assert_eq!(delta.encode_body(), expected);
}

/// Small things stay small: what a change costs beside its content.
#[test]
fn a_small_change_is_a_small_message() {
    let mut counter = Replica::<PnCounter>::new(id(1));
    let mut set = Replica::<AddWinsSet<String>>::new(id(1));
    for _ in 0..200 {
        let _ = counter.update(|counter| counter.inc(300));
        let _ = set.update(|set| set.add("some"));
    }
    let (_, delta) = counter.update(|counter| counter.inc(1));
    assert_eq!(delta.encode_body().len() - 3, 28, "{:02x?}", delta.encode_body());
    let (_, delta) = set.update(|set| set.add("sixteen letters."));
    assert_eq!(delta.encode_body().len() - 17, 28, "{:02x?}", delta.encode_body());
}
