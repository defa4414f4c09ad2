//! Text: what it costs, and the cases that are easily got wrong.

mod recordings;
mod splices;

use proptest::prelude::*;
use tombolo_crdt::{
    AddWinsMap, BadPosition, Bias, Cursor, Delta, Doc, Limits, Mut, Position, Replica, ReplicaId,
    SessionNames, Since, Text, What,
};
use tombolo_tests::model::cases;

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

#[test]
fn a_keystroke_inside_a_session_takes_seven_bytes_and_the_first_of_a_run_twenty_two() {
    let mut ann = Replica::<Text>::new(id(1));
    let names = SessionNames::new([ann.id()]);
    let _ = ann.update(|text| {
        (0..1_000).for_each(|_| text.push("a line of fifty letters, more or less, and no more\n"))
    });
    let body = |ann: &mut Replica<Text>, at: usize, letter: &str| {
        let (_, delta) = ann.try_update(|text| text.insert(at, letter)).unwrap();
        let bytes = delta.encode_in(&names);
        assert!(Delta::<Text>::decode_in(&bytes, &names, &Limits::default()).is_ok());
        bytes.len()
    };
    // Where it typed last; somewhere else; and on from there.
    let end = ann.len();
    assert_eq!(body(&mut ann, end, "x"), 7);
    assert_eq!(body(&mut ann, 20_000, "y"), 22);
    assert_eq!(body(&mut ann, 20_001, "z"), 7);
    let (_, delta) = ann.try_update(|text| text.delete(20_001..20_002)).unwrap();
    assert_eq!(delta.encode_in(&names).len(), 9);
    assert_eq!(body(&mut ann, 20_001, "c"), 7);
}

#[test]
fn positions_that_are_none_are_told_and_nothing_is_written() {
    let mut text = Replica::<Text>::new(id(1));
    let _ = text.update(|text| text.push("a\u{1f426}b"));
    let before = text.version();
    let beyond = BadPosition::BeyondEnd { at: Position::Scalars(4), len: 3 };
    assert_eq!(text.try_update(|text| text.insert(4, "x")).unwrap_err(), beyond);
    let within = BadPosition::WithinScalar { at: Position::Utf16(2) };
    assert_eq!(text.try_update(|text| text.insert(Position::Utf16(2), "x")).unwrap_err(), within);
    let (start, end) = (2, 1);
    let reversed = BadPosition::Reversed { start, end };
    assert_eq!(text.try_update(|text| text.delete(start..end)).unwrap_err(), reversed);
    let bytes = Position::Bytes(3)..Position::Bytes(5);
    assert!(matches!(text.slice(bytes), Err(BadPosition::WithinScalar { .. })));
    assert_eq!((text.version(), text.to_string()), (before, "a\u{1f426}b".to_owned()));
    assert_eq!((text.len(), text.len_utf16(), text.len_bytes()), (3, 4, 6));
    assert_eq!(text.slice(Position::Utf16(1)..Position::Utf16(3)).unwrap(), "\u{1f426}");
}

#[test]
fn changes_say_where_a_text_became_different() {
    let mut ann = Replica::<AddWinsMap<String, Text>>::new(id(1));
    let mut bob = Replica::<AddWinsMap<String, Text>>::new(id(2));
    bob.merge(ann.update(|pages| pages.at("tides").push("The tide falls.")).1).unwrap();
    let mut shown = bob.plain();
    let (_, delta, own) = ann.update_changes(|pages| {
        pages.at("tides").insert(4, "spring ").unwrap();
        pages.at("tides").push(" Soon.");
    });
    let (_, all) = bob.merge_changes(delta).unwrap();
    assert_eq!(all[0].changes, own.changes);
    let What::Spliced(splices) = &own.changes[0].what else { panic!("{own:?}") };
    let told: Vec<_> =
        splices.iter().map(|splice| (splice.at, splice.deleted, &splice.inserted[..])).collect();
    assert_eq!(told, [(4, 0, "spring "), (22, 0, " Soon.")]);
    all[0].apply_to(&mut shown).unwrap();
    assert_eq!(shown, bob.plain());
}

#[test]
fn what_is_begun_twice_with_the_same_content_is_there_once() {
    let mut ann = Replica::<Text>::new(id(1));
    let mut bob = Replica::<Text>::new(id(2));
    bob.merge(ann.update(|text| text.replace_content("A template.\n")).1).unwrap();
    let (_, again) = bob.update(|text| text.replace_content("A template.\n"));
    assert!(again.is_empty());
    assert_eq!(bob.to_string(), "A template.\n");
}

/// Two who begin alike and have not heard of one another have written the same twice, as any two who type at once: nothing tells that from two who
/// mean it. Whoever sees both makes it once again by the same call, and two who do that at the same time take away the same.
#[test]
fn what_two_begin_unseen_with_the_same_content_is_there_twice_until_one_of_them_begins_again() {
    let (mut ann, mut bob) = (Replica::<Text>::new(id(1)), Replica::<Text>::new(id(2)));
    let hers = ann.update(|text| text.replace_content("A template.\n")).1;
    let his = bob.update(|text| text.replace_content("A template.\n")).1;
    ann.merge(his).unwrap();
    bob.merge(hers).unwrap();
    for replica in [&ann, &bob] {
        assert_eq!(
            (replica.to_string(), replica.encode()),
            ("A template.\nA template.\n".into(), bob.encode())
        );
    }
    let hers = ann.update(|text| text.replace_content("A template.\n")).1;
    let his = bob.update(|text| text.replace_content("A template.\n")).1;
    ann.merge(his).unwrap();
    bob.merge(hers).unwrap();
    for replica in [&ann, &bob] {
        assert_eq!((replica.to_string(), replica.encode()), ("A template.\n".into(), bob.encode()));
    }
}

/// What is begun from the bytes of one state has the same letters for all, by name, whoever takes them in, when and how often.
#[test]
fn what_is_begun_from_the_bytes_of_one_state_is_there_once() {
    let template = || {
        let mut template = Replica::<Text>::new(id(9));
        let _ = template.update(|text| text.push("Agenda\nNotes\n"));
        template.encode()
    };
    let (shipped, limits) = (template(), Limits::default());
    assert_eq!(shipped, template(), "made anew under the same id it is the same");
    let begin = |replica: &mut Replica<Text>| {
        replica.merge(Delta::decode_state(&shipped, &limits).unwrap()).unwrap();
    };
    let (mut ann, mut bob) = (Replica::<Text>::new(id(1)), Replica::<Text>::new(id(2)));
    begin(&mut ann);
    begin(&mut bob);
    // Unseen by one another they go on with it.
    let hers = ann.update(|text| text.insert(7, "1. Tides\n").unwrap()).1;
    let his = bob.update(|text| text.delete(7..13).unwrap()).1;
    ann.merge(his).unwrap();
    bob.merge(hers).unwrap();
    let mut cem = Replica::<Text>::new(id(3));
    cem.merge(ann.state()).unwrap();
    // Again, also where part of it has been deleted and forgotten since.
    while !ann.sweep(&ann.version()).is_empty() {}
    bob.merge(ann.state()).unwrap();
    cem.merge(ann.state()).unwrap();
    for replica in [&mut ann, &mut bob, &mut cem] {
        let before = replica.encode();
        begin(replica);
        assert_eq!((replica.to_string(), replica.encode()), ("Agenda\n1. Tides\n".into(), before));
    }
    assert_eq!(ann.encode(), bob.encode());
}

#[test]
fn what_is_typed_while_the_key_is_removed_stays() {
    let mut ann = Replica::<AddWinsMap<String, Text>>::new(id(1));
    let mut bob = Replica::<AddWinsMap<String, Text>>::new(id(2));
    bob.merge(ann.update(|pages| pages.at("tides").push("The tide falls.")).1).unwrap();
    let (_, typed) = bob.update(|pages| pages.at("tides").insert(9, "slowly ").unwrap());
    let (_, removed) = ann.update(|pages| pages.remove("tides"));
    ann.merge(typed).unwrap();
    bob.merge(removed).unwrap();
    for replica in [&ann, &bob] {
        assert_eq!(replica.get("tides").map(Text::to_string).as_deref(), Some("slowly "));
    }
    // Nothing is left once that is removed as well.
    bob.merge(ann.update(|pages| pages.remove("tides")).1).unwrap();
    assert!(ann.is_empty() && bob.is_empty());
    assert_eq!(ann.encode(), bob.encode());
}

#[test]
fn scenario_08_what_was_deleted_while_somebody_was_away_is_still_hung_on() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("abcdef"));
    let mut bob = ann.fork(id(2));
    let mut cem = ann.fork(id(3));
    // Ann deletes all in the middle, and cem had typed there; bob, who knows neither, is repaired by live dots alone.
    let (_, typed) = cem.try_update(|text| text.insert(3, "XYZ")).unwrap();
    ann.merge(typed).unwrap();
    let _ = ann.try_update(|text| text.delete(1..4)).unwrap();
    let _ = ann.try_update(|text| text.delete(3..5)).unwrap();
    let mine = bob.try_update(|text| text.insert(4, "!")).unwrap().1;
    ann.set_history_bytes(0);
    assert!(matches!(ann.delta_since(&bob.version()), Since::Forgotten));
    let base = ann.version().meet(&bob.version());
    let (hers, his) = (ann.live_below(&base).unwrap(), bob.live_below(&base).unwrap());
    let gone: Vec<_> = his.iter().filter(|number| !hers.contains(number)).map(|&n| n..n + 1).collect();
    bob.merge(ann.delta_beyond(&base, &gone).unwrap()).unwrap();
    ann.merge(mine).unwrap();
    assert_eq!((ann.to_string(), bob.to_string()), ("aYZ!f".into(), "aYZ!f".into()));
    assert_eq!(ann.encode(), bob.encode());
    // Who has it from bytes knows nothing of what was deleted, and goes on all the same.
    let mut dan = Replica::<Text>::decode(id(4), &ann.encode(), &Limits::default()).unwrap();
    let (_, more) = dan.try_update(|text| text.insert(1, "-")).unwrap();
    let (_, other) = bob.try_update(|text| text.insert(1, "+")).unwrap();
    dan.merge(other).unwrap();
    bob.merge(more).unwrap();
    assert_eq!((dan.to_string(), dan.encode()), (bob.to_string(), bob.encode()));
}

/// Long enough for texts of several leaves of the tree within.
fn edits() -> impl Strategy<Value = Vec<(bool, u8, prop::sample::Index, usize)>> {
    prop::collection::vec((any::<bool>(), 0..16_u8, any::<prop::sample::Index>(), 1..6_usize), 200..400)
}

proptest! {
    #![proptest_config(cases(16))]

    /// Transactions that fail among others that do not; something else is written between, so that dots of letters do not follow on one another.
    #[test]
    fn what_is_undone_leaves_no_trace_in_long_texts(edits in edits()) {
        let mut both = [Replica::<Doc>::new(id(1)), Replica::<Doc>::new(id(2))];
        let read = |doc: &Replica<Doc>| doc.get("t").and_then(|entry| entry.text()).map(Text::to_string);
        let mut on_the_way: [Vec<_>; 2] = [vec![], vec![]];
        let mut here = 0;
        for (nth, (by, what, at, len)) in edits.iter().enumerate() {
            let by = usize::from(*by);
            let mut edit = |doc: &mut Mut<'_, Doc>, shift: usize| {
                if (nth + shift).is_multiple_of(4) {
                    doc.counter("n").inc(1);
                }
                let mut text = doc.text("t");
                // Most is done where something was done last.
                let near = here.min(text.len());
                let start = if (nth + len).is_multiple_of(3) { at.index(text.len() + 1) } else { near };
                if (what + shift as u8).is_multiple_of(3) && start > 0 {
                    let from = start.saturating_sub(*len % 3 + 1);
                    text.delete(from..start).unwrap();
                    here = from;
                } else {
                    text.insert(start, &"abcdef"[..*len]).unwrap();
                    here = start + len;
                }
            };
            match what {
                0..6 => {
                    let before = read(&both[by]);
                    let undone = both[by].try_update(|doc| {
                        (0..3 * len).for_each(|shift| edit(doc, shift));
                        Err::<(), _>(())
                    });
                    prop_assert!(undone.is_err() && read(&both[by]) == before);
                }
                6..8 => {
                    for delta in on_the_way[1 - by].drain(..) {
                        both[by].merge(delta).unwrap();
                    }
                }
                _ => on_the_way[by].push(both[by].update(|doc| edit(doc, nth % 2)).1),
            }
        }
        for by in 0..2 {
            on_the_way[1 - by].drain(..).for_each(|delta| drop(both[by].merge(delta).unwrap()));
        }
        let anew = Replica::<Doc>::decode(id(3), &both[0].encode(), &Limits::default()).unwrap();
        prop_assert_eq!(read(&both[0]), read(&both[1]));
        prop_assert_eq!(read(&both[0]), read(&anew));
    }
}

/// What a store wrote alone before it was set back has other names since.
#[test]
fn a_cursor_by_letters_that_have_other_names_since_stands_by_those_beside_them_that_have_not() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("ab"));
    let mut bob = ann.fork(id(2));
    let _ = bob.try_update(|text| text.insert(1, "xyz")).unwrap();
    let cursors: Vec<_> = (0..=5)
        .flat_map(|at| [Bias::Before, Bias::After].map(|bias| (at, bob.cursor(at, bias).unwrap())))
        .collect();
    let renamed = bob.disown(id(2), 0, id(3));
    assert_eq!(renamed.to_string(), "axyzb");
    for (at, cursor) in cursors {
        let found = renamed.find(&cursor);
        let by_what_stays = match (at, found) {
            // By a letter of hers, or by an end.
            (0 | 5, found) => found == Some(at),
            // By one of hers on the one side or the other.
            (1, found) => found == Some(1),
            (4, found) => found.is_some_and(|found| found == 4 || found == 1),
            (_, found) => found.is_none_or(|found| (1..=4).contains(&found)),
        };
        assert!(by_what_stays, "{at} {cursor:?}: {found:?}");
    }
}

#[test]
fn a_cursor_that_says_more_than_any_is_told_by_is_refused() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("ab"));
    let cursor = ann.cursor(1, Bias::Before).unwrap();
    let saying = |runs: usize| {
        let mut told = serde_json::to_value(&cursor).unwrap();
        let above = told["above"].as_array_mut().unwrap();
        *above = vec![above[0].clone(); runs];
        serde_json::from_value::<Cursor>(told)
    };
    assert_eq!(saying(1).unwrap(), cursor);
    assert!(saying(16).is_ok());
    let refused = saying(17).unwrap_err().to_string();
    assert!(refused.contains("at most 16"), "{refused}");
}
