//! Marks: the examples of the essay on Peritext by name, and random executions against its rules.

mod essay;

use std::collections::BTreeMap;

use proptest::prelude::*;
use tombolo_crdt::{Delta, Expand, Limits, MarkKind, Mut, Replica, Scalar, Text, What};
use tombolo_tests::model::cases;
use tombolo_tests::model::two::{self, again, id, two};

/// What both write at the same time, merged.
fn at_once(
    both: &mut [Replica<Text>; 2],
    hers: impl FnOnce(&mut Mut<'_, Text>),
    his: impl FnOnce(&mut Mut<'_, Text>),
) {
    two::at_once(both, runs, hers, his);
}

/// The runs, as `name:text` with what is not just `true`; plain ones as their text.
fn runs(text: &Text) -> Vec<String> {
    let mark = |(name, value): (&str, &Scalar)| match value {
        Scalar::Bool(true) => name.to_owned(),
        value => format!("{name}={value}"),
    };
    text.runs()
        .map(|run| {
            let marks: Vec<String> = run.marks.into_iter().map(mark).collect();
            if marks.is_empty() { run.text } else { format!("{}:{}", marks.join("+"), run.text) }
        })
        .collect()
}

fn bold(text: &mut Mut<'_, Text>, range: std::ops::Range<usize>) {
    text.mark(range, MarkKind::BOLD, true).unwrap();
}

#[test]
fn peritext_1_what_is_typed_into_what_somebody_marks_is_marked() {
    let mut both = two("The fox jumped.");
    at_once(&mut both, |text| bold(text, 0..15), |text| text.insert(4, "brown ").unwrap());
    assert_eq!(runs(&both[0]), ["bold:The brown fox jumped."]);
}

#[test]
fn peritext_2_what_two_mark_alike_is_marked_from_the_first_to_the_last_of_both() {
    let mut both = two("The fox jumped.");
    at_once(&mut both, |text| bold(text, 0..7), |text| bold(text, 4..14));
    assert_eq!(runs(&both[0]), ["bold:The fox jumped", "."]);
}

#[test]
fn peritext_3_marks_of_two_kinds_overlap() {
    let mut both = two("The fox jumped.");
    let italic = |text: &mut Mut<'_, Text>| text.mark(4..14, MarkKind::ITALIC, true).unwrap();
    at_once(&mut both, |text| bold(text, 0..7), italic);
    assert_eq!(runs(&both[0]), ["bold:The ", "bold+italic:fox", "italic: jumped", "."]);
}

#[test]
fn peritext_4_of_one_who_marks_and_one_who_takes_away_one_is_followed_where_they_overlap() {
    let mut both = two("The fox jumped.");
    let (_, all) = both[0].update(|text| bold(text, 0..15));
    both[1].merge(all).unwrap();
    // Ann takes it away from a part, bob lays another over a part of that, and beyond.
    let take = |text: &mut Mut<'_, Text>| text.unmark(4..14, MarkKind::BOLD).unwrap();
    at_once(&mut both, take, |text| text.mark(8..15, MarkKind::BOLD, "heavy").unwrap());
    let read = runs(&both[0]);
    assert_eq!(read[..2], ["bold:The ", "fox "], "{read:?}");
    assert!(read[2..] == ["bold=heavy:jumped."] || read[2..] == ["jumped", "bold=heavy:."], "{read:?}");
}

/// Of each letter whether it is bold: `b`, or `.`.
fn bolds(text: &Text) -> String {
    read(text).iter().map(|marks| if marks.contains_key("bold") { 'b' } else { '.' }).collect()
}

#[test]
fn peritext_4_bold_and_not_bold_at_once_are_one_of_both_where_they_overlap_and_elsewhere_what_one_said() {
    // What was bold, what is to be no longer, what is to be; and what comes of it: `?` where they say different things.
    for (was, not_bold, bold_again, expected) in [
        // All of it, as the essay has it.
        (0..15, 0..7, 4..14, "....???bbbbbbbb"),
        (0..15, 4..14, 8..15, "bbbb....??????b"),
        // A part of it, and beyond.
        (0..9, 4..12, 7..15, "bbbb...?????bbb"),
        (2..9, 0..7, 4..11, "....???bbbb...."),
        (2..9, 4..7, 4..7, "..bb???bb......"),
    ] {
        for is_hers_bold in [false, true] {
            let mut both = two("The fox jumped.");
            let (_, all) = both[0].update(|text| bold(text, was.clone()));
            both[1].merge(all).unwrap();
            let [not_bold, bold_again] = [not_bold.clone(), bold_again.clone()];
            let take = |text: &mut Mut<'_, Text>| text.unmark(not_bold, MarkKind::BOLD).unwrap();
            let lay = |text: &mut Mut<'_, Text>| bold(text, bold_again);
            if is_hers_bold {
                at_once(&mut both, lay, take);
            } else {
                at_once(&mut both, take, lay);
            }
            let read = bolds(&both[0]);
            let either = ['b', '.'].map(|one| expected.replace('?', &one.to_string()));
            assert!(either.contains(&read), "{read} is none of {either:?}");
            assert_eq!(bolds(&both[1]), read);
        }
    }
}

/// Where all that is bold is taken away nothing is said in its place: what another has bold at the same time stays, wherever.
#[test]
fn peritext_4_what_becomes_bold_while_all_that_was_is_taken_away_stays() {
    for is_hers_bold in [false, true] {
        for (not_bold, bold_again) in [(0..15, 7..14), (4..8, 4..8), (3..9, 2..6)] {
            let mut both = two("The fox jumped.");
            let (_, all) = both[0].update(|text| bold(text, 4..8));
            both[1].merge(all).unwrap();
            let [take_from, lay_over] = [not_bold, bold_again.clone()];
            let take = |text: &mut Mut<'_, Text>| text.unmark(take_from, MarkKind::BOLD).unwrap();
            let lay = |text: &mut Mut<'_, Text>| bold(text, lay_over);
            if is_hers_bold {
                at_once(&mut both, lay, take);
            } else {
                at_once(&mut both, take, lay);
            }
            let expected: String =
                (0..15).map(|at| if bold_again.contains(&at) { 'b' } else { '.' }).collect();
            assert_eq!(bolds(&both[0]), expected);
        }
    }
}

#[test]
fn peritext_5_of_two_colours_one_is_seen_where_they_overlap() {
    const COLOUR: MarkKind = MarkKind::new("colour", Expand::After);
    let mut both = two("The fox jumped.");
    let paint = |range, colour: &'static str| {
        move |text: &mut Mut<'_, Text>| text.mark(range, COLOUR, colour).unwrap()
    };
    at_once(&mut both, paint(0..7, "red"), paint(4..14, "blue"));
    let read = runs(&both[0]);
    let red = ["colour=red:The fox", "colour=blue: jumped", "."];
    let blue = ["colour=red:The ", "colour=blue:fox jumped", "."];
    assert!(read == red || read == blue, "{read:?}");
}

#[test]
fn peritext_6_comments_overlap() {
    let mut both = two("The fox jumped.");
    let note = |range, id: &'static str| {
        move |text: &mut Mut<'_, Text>| text.mark(range, MarkKind::comment(id), true).unwrap()
    };
    at_once(&mut both, note(0..7, "1"), note(4..14, "2"));
    assert_eq!(runs(&both[0]), ["comment/1:The ", "comment/1+comment/2:fox", "comment/2: jumped", "."]);
    // And one goes without the other, and leaves nothing.
    let before = both[0].garbage().items;
    let _ = both[0].update(|text| text.unmark(0..7, MarkKind::comment("1")).unwrap());
    assert_eq!(runs(&both[0]), ["The ", "comment/2:fox jumped", "."]);
    assert_eq!(both[0].garbage().items, before - 1);
}

#[test]
fn peritext_7_what_is_typed_at_the_end_of_bold_is_bold_and_at_its_beginning_is_not() {
    let mut both = two("The fox jumped.");
    let _ = both[0].update(|text| bold(text, 4..7));
    let _ = both[0].update(|text| text.insert(7, "es").unwrap());
    let _ = both[0].update(|text| text.insert(4, "red ").unwrap());
    assert_eq!(runs(&both[0]), ["The red ", "bold:foxes", " jumped."]);
    // Where it was taken away from a part, each letter is as the one before it.
    let _ = both[0].update(|text| text.unmark(10..11, MarkKind::BOLD).unwrap());
    let _ = both[0].update(|text| text.insert(11, "-").unwrap());
    let _ = both[0].update(|text| text.insert(10, "+").unwrap());
    assert_eq!(runs(&both[0]), ["The red ", "bold:fo+", "x-", "bold:es", " jumped."]);
}

#[test]
fn peritext_8_what_is_typed_at_the_ends_of_a_link_is_no_link() {
    let mut both = two("The fox jumped.");
    let _ = both[0].update(|text| text.mark(4..7, MarkKind::LINK, "https://fox.example").unwrap());
    let _ = both[0].update(|text| text.insert(7, "es").unwrap());
    let _ = both[0].update(|text| text.insert(4, "red ").unwrap());
    assert_eq!(runs(&both[0]), ["The red ", "link=https://fox.example:fox", "es jumped."]);
    // Nor where it was taken away from its middle.
    let _ = both[0].update(|text| text.unmark(9..10, MarkKind::LINK).unwrap());
    let _ = both[0].update(|text| text.insert(10, "2").unwrap());
    let _ = both[0].update(|text| text.insert(9, "1").unwrap());
    let link = "link=https://fox.example";
    assert_eq!(runs(&both[0]), ["The red ", &format!("{link}:f"), "1o2", &format!("{link}:x"), "es jumped."]);
}

#[test]
fn peritext_9_where_the_end_of_a_mark_was_deleted_what_is_typed_there_is_as_at_that_end() {
    for (kind, goes_on) in [(MarkKind::BOLD, true), (MarkKind::LINK, false)] {
        let mut both = two("The fox jumped.");
        let name = kind.name().to_owned();
        let _ = both[0].update(|text| text.mark(4..7, kind.clone(), true).unwrap());
        // The last letters of it, and what is behind it.
        let _ = both[0].update(|text| text.delete(6..8).unwrap());
        let _ = both[0].update(|text| text.insert(6, "!").unwrap());
        let expected = if goes_on {
            vec!["The ".to_owned(), format!("{name}:fo!"), "jumped.".into()]
        } else {
            vec!["The ".to_owned(), format!("{name}:fo"), "!jumped.".into()]
        };
        assert_eq!(runs(&both[0]), expected);
        // The first letters of it, and what is before it.
        let _ = both[0].update(|text| text.delete(3..5).unwrap());
        let _ = both[0].update(|text| text.insert(3, "?").unwrap());
        assert_eq!(runs(&both[0])[0], "The?");
    }
}

#[test]
fn who_has_a_text_from_bytes_types_at_the_ends_of_marks_as_who_deleted_there() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("Dear all, "));
    let _ = ann.update(|text| text.push("URGENT"));
    let _ = ann.update(|text| bold(text, 10..16));
    let _ = ann.update(|text| text.delete(10..16).unwrap());
    for mut one in [again(&ann, 1), again(&ann, 2), ann] {
        let _ = one.update(|text| text.push("hello"));
        assert_eq!(runs(&one), ["Dear all, hello"]);
    }
    // The last letter of a link, which is the last of its run.
    let mut bob = Replica::<Text>::new(id(5));
    let _ = bob.update(|text| text.push("ab"));
    let _ = bob.update(|text| text.insert(1, "cde").unwrap());
    let _ = bob.update(|text| text.mark(1..4, MarkKind::LINK, true).unwrap());
    let _ = bob.update(|text| text.delete(3..4).unwrap());
    for mut one in [again(&bob, 1), again(&bob, 5), bob.fork(id(9)), bob] {
        let _ = one.update(|text| text.insert(3, "XY").unwrap());
        assert_eq!(runs(&one), ["a", "link:cd", "XYb"]);
    }
}

/// What is typed there must not hang on what is being forgotten.
#[test]
fn what_is_typed_at_the_end_of_a_mark_stays_where_it_is_when_what_was_deleted_there_is_forgotten() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("ab"));
    let _ = ann.update(|text| text.insert(1, "H").unwrap());
    let _ = ann.update(|text| text.insert(0, "!").unwrap());
    let (mut bob, mut cem) = (ann.fork(id(2)), ann.fork(id(3)));
    let (_, marked) = ann.update(|text| text.mark(1..3, MarkKind::LINK, true).unwrap());
    let (_, deleted) = bob.update(|text| text.delete(2..3).unwrap());
    let named = bob.sweep(&Default::default());
    for one in [&mut ann, &mut cem] {
        one.merge(deleted.clone()).unwrap();
        one.merge(named.clone()).unwrap();
    }
    bob.merge(marked.clone()).unwrap();
    cem.merge(marked).unwrap();
    let stable = ann.version();
    let (_, typed) = cem.update(|text| text.insert(2, "X").unwrap());
    let (_, taken) = ann.update(|text| text.unmark(0..3, MarkKind::LINK).unwrap());
    bob.merge(taken.clone()).unwrap();
    let swept = bob.sweep(&stable);
    cem.merge(taken).unwrap();
    assert_eq!(cem.to_string(), "!aXb");
    cem.merge(swept).unwrap();
    bob.merge(typed).unwrap();
    assert_eq!((cem.to_string(), bob.to_string()), ("!aXb".to_owned(), "!aXb".to_owned()));
    assert_eq!(bob.encode(), cem.encode());
}

#[test]
fn what_takes_a_mark_away_stays_as_long_as_somebody_may_type_beside_it() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| {
        text.push("abcdef");
        bold(text, 0..4);
    });
    let _ = ann.update(|text| text.unmark(2..5, MarkKind::BOLD).unwrap());
    let (mut bob, mut cem) = (ann.fork(id(2)), ann.fork(id(3)));
    let stable = ann.version();
    let (_, deleted) = ann.update(|text| text.delete(2..4).unwrap());
    let (_, typed) = cem.update(|text| text.insert(3, "X").unwrap());
    bob.merge(deleted.clone()).unwrap();
    let swept = bob.sweep(&stable);
    cem.merge(deleted).unwrap();
    assert_eq!(runs(&cem), ["bold:ab", "Xef"]);
    cem.merge(swept).unwrap();
    bob.merge(typed).unwrap();
    assert_eq!((runs(&cem), runs(&bob)), (vec!["bold:ab".to_owned(), "Xef".into()], runs(&cem)));
}

#[test]
fn a_mark_left_over_when_its_text_was_removed_is_on_nothing_that_is_typed_later() {
    type Pages = tombolo_crdt::AddWinsMap<String, Text>;
    let mut ann = Replica::<Pages>::new(id(1));
    let _ = ann.update(|pages| pages.at("page").push("The fox"));
    let mut bob = ann.fork(id(2));
    let (_, marked) = ann.update(|pages| bold(&mut pages.at("page"), 2..7));
    let (_, removed) = bob.update(|pages| _ = pages.remove("page"));
    ann.merge(removed).unwrap();
    bob.merge(marked).unwrap();
    for one in [&mut ann, &mut bob] {
        assert!(!one.contains_key("page"));
        let _ = one.update(|pages| pages.at("page").push("brand new"));
        assert_eq!(runs(one.get("page").unwrap()), ["brand new"]);
    }
}

#[test]
fn what_is_typed_on_and_marked_while_its_text_is_removed_keeps_its_mark() {
    type Pages = tombolo_crdt::AddWinsMap<String, Text>;
    let mut ann = Replica::<Pages>::new(id(1));
    let _ = ann.update(|pages| pages.at("page").push("The fox"));
    let mut bob = ann.fork(id(2));
    let (_, marked) = ann.update(|pages| {
        pages.at("page").push(" jumped over");
        bold(&mut pages.at("page"), 8..14);
    });
    let (_, removed) = bob.update(|pages| _ = pages.remove("page"));
    ann.merge(removed).unwrap();
    bob.merge(marked).unwrap();
    for one in [&mut ann, &mut bob] {
        assert_eq!(runs(one.get("page").unwrap()), [" ", "bold:jumped", " over"]);
    }
    let (_, cut) = ann.update(|pages| pages.at("page").delete(1..3).unwrap());
    bob.merge(cut).unwrap();
    assert_eq!(runs(ann.get("page").unwrap()), runs(bob.get("page").unwrap()));
}

#[test]
fn what_is_put_in_place_of_a_part_has_its_marks() {
    let mut both = two("The fox jumped.");
    let _ = both[0].update(|text| bold(text, 4..7));
    let _ = both[0].update(|text| text.replace(4..7, "dog").unwrap());
    assert_eq!(runs(&both[0]), ["The ", "bold:dog", " jumped."]);
    let _ = both[0].update(|text| text.replace_content("The dogs jumped."));
    let _ = both[0].update(|text| text.replace_content("The cats jumped."));
    assert_eq!(runs(&both[0]), ["The ", "bold:cats", " jumped."]);
    let _ = both[0].update(|text| text.insert_marked(6, "--", [(MarkKind::ITALIC, true.into())]).unwrap());
    assert_eq!(runs(&both[0]), ["The ", "bold:ca", "italic:--", "bold:ts", " jumped."]);
}

#[test]
fn who_marks_the_same_over_and_over_leaves_one_mark_and_who_takes_all_away_none() {
    let [mut ann, _] = two("The fox jumped.");
    let before = ann.garbage().items;
    for round in 0..50 {
        let _ = ann.update(|text| text.mark(0..15, MarkKind::BOLD, round).unwrap());
        let _ = ann.update(|text| bold(text, 4..7));
    }
    assert_eq!(ann.garbage().items, before + 2);
    let _ = ann.update(|text| text.unmark(0..15, MarkKind::BOLD).unwrap());
    assert_eq!((ann.garbage().items, runs(&ann)), (before, vec!["The fox jumped.".to_owned()]));
    // What takes a part away goes once the mark below it has gone, and all know.
    let _ = ann.update(|text| bold(text, 0..7));
    let _ = ann.update(|text| text.unmark(3..10, MarkKind::BOLD).unwrap());
    let _ = ann.update(|text| text.delete(0..3).unwrap());
    assert_eq!(ann.garbage().items, before + 2 - 3);
    while !ann.sweep(&ann.version()).is_empty() {}
    assert_eq!((ann.garbage().removals, runs(&ann)), (0, vec![" fox jumped.".to_owned()]));
}

#[test]
fn many_marks_are_taken_away_at_once_and_what_is_laid_then_is_read() {
    let [mut ann, _] = two(&"ab".repeat(300));
    let before = ann.garbage().items;
    let _ = ann.update(|text| {
        (0..300).for_each(|nth| text.mark(2 * nth..2 * nth + 1, MarkKind::LINK, nth as i64).unwrap());
        text.unmark(2..600, MarkKind::LINK).unwrap();
        text.mark(0..4, MarkKind::LINK, "x").unwrap();
        text.mark(3..5, MarkKind::LINK, "y").unwrap();
    });
    assert_eq!(ann.garbage().items, before + 2);
    assert_eq!(runs(&ann), ["link=x:aba", "link=y:ba", &"ba".repeat(298)[..595]]);
}

#[test]
fn what_is_inserted_with_marks_has_these_and_what_stood_there_goes_on_as_its_kind_does() {
    const NOTE: MarkKind = MarkKind::new("note", Expand::None);
    let [mut ann, _] = two("The fox jumped.");
    let _ = ann.update(|text| text.mark(0..15, NOTE, true).unwrap());
    let _ = ann.update(|text| text.insert_marked(7, "es", [(MarkKind::ITALIC, true.into())]).unwrap());
    assert_eq!(runs(&ann), ["note:The fox", "italic:es", "note: jumped."]);
    // At neither end of what is left.
    let _ = ann.update(|text| text.insert(9, "+").unwrap());
    let _ = ann.update(|text| text.insert(7, "-").unwrap());
    assert_eq!(runs(&ann), ["note:The fox", "-", "italic:es+", "note: jumped."]);
}

#[test]
fn an_update_that_fails_leaves_the_marks_as_they_were() {
    let [mut ann, _] = two("The fox jumped.");
    let _ = ann.update(|text| bold(text, 0..7));
    let (read, bytes) = (runs(&ann), ann.encode());
    let refused = ann.try_update(|text| {
        text.mark(0..15, MarkKind::BOLD, "heavy")?;
        text.mark(3..5, MarkKind::LINK, "x")?;
        text.unmark(0..3, MarkKind::BOLD)?;
        text.insert(99, "")
    });
    assert!(refused.is_err());
    assert_eq!((runs(&ann), ann.encode()), (read, bytes));
}

#[test]
fn what_became_of_marks_is_told() {
    let [mut ann, mut bob] = two("The fox jumped.");
    let (_, hers) = ann.update(|text| {
        bold(text, 0..7);
        text.mark(4..14, MarkKind::LINK, "x").unwrap();
    });
    let told = bob.merge_changes(hers).unwrap().1.remove(0);
    let [change] = &told.changes[..] else { panic!("{told:?}") };
    let What::Marked(marked) = &change.what else { panic!("{told:?}") };
    let of = |marked: &tombolo_crdt::Marked| (marked.at, marked.len, marked.name.clone());
    assert_eq!(
        marked.iter().map(of).collect::<Vec<_>>(),
        [(0, 7, "bold".into()), (4, 10, "link".to_owned())]
    );
    let (_, more) = ann.update(|text| {
        text.insert(3, " big").unwrap();
        text.unmark(0..3, MarkKind::BOLD).unwrap();
    });
    let told = bob.merge_changes(more).unwrap().1.remove(0);
    let [spliced, marked] = &told.changes[..] else { panic!("{told:?}") };
    let (What::Spliced(_), What::Marked(marked)) = (&spliced.what, &marked.what) else { panic!("{told:?}") };
    assert_eq!(marked.iter().map(of).collect::<Vec<_>>(), [(0, 3, "bold".into()), (3, 4, "bold".to_owned())]);
}

static KINDS: [MarkKind; 4] = [
    MarkKind::BOLD,
    MarkKind::LINK,
    MarkKind::new("before", Expand::Before),
    MarkKind::new("both", Expand::Both),
];

/// What each letter has.
fn read(text: &Text) -> Vec<BTreeMap<&str, &Scalar>> {
    let all: Vec<_> = text.runs().flat_map(|run| vec![run.marks; run.range.len()]).collect();
    assert!((0..all.len()).step_by(3).all(|at| text.marks_at(at) == all[at]));
    all
}

proptest! {
    #![proptest_config(cases(if cfg!(debug_assertions) { 400 } else { 4000 }))]

    /// Whoever types between two letters has what they say of it, whatever was deleted between them: with bold what the one before has.
    #[test]
    fn what_is_typed_has_what_stands_beside_it(steps in prop::collection::vec((0..5_u8, 0..40_usize, 1..6_usize, 0..3_i64), 1..60), kind in 0..3_usize) {
        let kind = [MarkKind::BOLD, MarkKind::new("before", Expand::Before), MarkKind::LINK][kind].clone();
        let mut ann = Replica::<Text>::new(id(1));
        let mut links = 0;
        for (what, at, len, value) in steps {
            links += usize::from(what == 0);
            let before: Vec<Option<Scalar>> = read(&ann).iter().map(|marks| marks.get(kind.name()).map(|value| (*value).clone())).collect();
            // Who has it from bytes, as the same and as another, types as who wrote all of it.
            if at % 3 > 0 {
                ann = again(&ann, at as u8 % 3);
            }
            let start = at % (ann.len() + 1);
            let end = (start + len).min(ann.len());
            let value = if value == 0 { Scalar::Null } else { Scalar::Int(value) };
            let mut expected = before.clone();
            let _ = ann.update(|text| match what {
                0 => { text.mark(start..end, kind.clone(), value.clone()).unwrap(); }
                1 => { text.delete(start..end).unwrap(); }
                2 => { text.replace(start..end, "xy").unwrap(); }
                _ => { text.insert(start, "xyz").unwrap(); }
            });
            // What is put in place of a part is typed behind its first letter.
            let gap = if what == 2 && start < end { start + 1 } else { start };
            let beside = |at: Option<usize>| at.and_then(|at| before.get(at).cloned().flatten());
            let (left, right) = (beside(gap.checked_sub(1)), beside(Some(gap)));
            match what {
                0 => expected[start..end].fill(Some(value).filter(|value| *value != Scalar::Null)),
                1 => { expected.drain(start..end); }
                _ => {
                    let new = match kind.expand() {
                        Expand::After => left,
                        Expand::Before => right,
                        // Of several links one may lie below another, and begin or end where that does.
                        _ if links > 1 => read(&ann)[start].get(kind.name()).map(|value| (*value).clone()),
                        _ if left == right => left,
                        _ => None,
                    };
                    let (len, end) = if what == 2 { (2, end) } else { (3, start) };
                    expected.splice(start..end, vec![new; len]);
                }
            }
            let after: Vec<Option<Scalar>> = read(&ann).iter().map(|marks| marks.get(kind.name()).map(|value| (*value).clone())).collect();
            prop_assert_eq!(after, expected);
        }
        let again = Replica::<Text>::decode(id(9), &ann.encode(), &Limits::default()).unwrap();
        prop_assert_eq!(runs(&again), runs(&ann));
    }

    /// What is told of a change makes of the marks as they were those there are: of another's, of one's own, and of those made at the same time.
    #[test]
    fn changes_of_marks_make_what_is_read_of_what_was(
        groups in prop::collection::vec((
            prop::collection::vec((0..4_u8, 0..40_usize, 1..6_usize, 0..3_i64, 0..4_usize), 1..4),
            prop::bool::weighted(0.3),
            prop::bool::weighted(0.4),
        ), 1..16),
    ) {
        let mut ann = Replica::<Text>::new(id(1));
        let mut bob = Replica::<Text>::new(id(2));
        let mut unheard: Vec<Delta<Text>> = Vec::new();
        let mut shown: Vec<BTreeMap<String, tombolo_crdt::Plain>> = Vec::new();
        for (number, (group, is_his, hears)) in groups.iter().enumerate() {
            let write = |text: &mut Mut<'_, Text>| for (what, at, len, value, kind) in group {
                let start = at % (text.len() + 1);
                let end = (start + len).min(text.len());
                match what {
                    0 => text.delete(start..end).unwrap(),
                    1 => text.insert(start, "xyz").unwrap(),
                    _ => text.mark(start..end, KINDS[*kind].clone(), if *value == 0 { Scalar::Null } else { Scalar::Int(*value) }).unwrap(),
                }
            };
            if *hears {
                unheard.drain(..).for_each(|delta| _ = ann.merge(delta).unwrap());
            }
            let told = if *is_his {
                let (_, delta, told) = bob.update_changes(write);
                unheard.push(delta);
                vec![told]
            } else if number % 2 == 0 {
                bob.merge_changes(ann.update(write).1).unwrap().1
            } else {
                // One that takes the place of another says the same.
                let before = bob.fork(id(3));
                bob.merge(ann.update(write).1).unwrap();
                vec![Replica::<Text>::decode(id(2), &bob.encode(), &Limits::default()).unwrap().changes_from(&before)]
            };
            for change in told.into_iter().flat_map(|told| told.changes) {
                match change.what {
                    What::Spliced(splices) => for splice in splices {
                        let new = vec![BTreeMap::new(); splice.inserted.chars().count()];
                        shown.splice(splice.at..splice.at + splice.deleted, new);
                    },
                    What::Marked(marked) => for part in marked {
                        for letter in &mut shown[part.at..part.at + part.len] {
                            match &part.value {
                                tombolo_crdt::Plain::Null => letter.remove(&part.name),
                                value => letter.insert(part.name.clone(), value.clone()),
                            };
                        }
                    },
                    other => panic!("{other:?}"),
                }
            }
            let is: Vec<BTreeMap<String, tombolo_crdt::Plain>> = read(&bob).iter()
                .map(|marks| marks.iter().map(|(name, value)| ((*name).to_owned(), tombolo_crdt::Plain::of(value))).collect()).collect();
            prop_assert_eq!(&shown, &is);
        }
    }
}
