//! Quill's deltas, against what Quill's own composition makes of a document.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tombolo_crdt::{
    BadQuill, BlockKind, MarkKind, QuillAttributes, QuillDelta, QuillOp, Replica, Scalar, Text,
};
use tombolo_tests::model::cases;

use super::{blocks, id, two};

fn delta(json: &str) -> QuillDelta {
    let delta: QuillDelta = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&delta).unwrap(), json);
    // And where structs have no names of fields.
    let bytes = rmp_serde::to_vec(&delta).unwrap();
    assert_eq!(rmp_serde::from_slice::<QuillDelta>(&bytes).unwrap(), delta);
    delta
}

fn json(text: &Text) -> String {
    serde_json::to_string(&text.to_quill()).unwrap()
}

#[test]
fn json_is_quills() {
    delta(
        r#"{"ops":[{"insert":"x","attributes":{"bold":true,"link":null}},{"retain":3,"attributes":{"header":2}},{"retain":1},{"delete":2}]}"#,
    );
    let refused = |json: &str| serde_json::from_str::<QuillDelta>(json).unwrap_err().to_string();
    let embed = refused(r#"{"ops":[{"insert":{"image":"x.png"}}]}"#);
    assert!(embed.contains("an embed, as of an image, cannot stand in a text"), "{embed}");
    let two = refused(r#"{"ops":[{"insert":"x","delete":2}]}"#);
    assert!(two.contains("one of insert, retain and delete"), "{two}");
    for json in [
        r#"{"ops":[{}]}"#,
        r#"{"ops":[{"delete":1,"attributes":{}}]}"#,
        r#"{"ops":[{"retain":-1}]}"#,
        r#"{"ops":[{"retain":{"image":{}}}]}"#,
        r#"{"ops":[{"insert":"x","colour":"red"}]}"#,
        r#"{"ops":[{"insert":"x","attributes":{"table":{"rows":2}}}]}"#,
        r#"{"ops":[{"insert":["x"]}]}"#,
    ] {
        refused(json);
    }
}

#[test]
fn a_document_of_quill_is_read_and_written() {
    let document = r##"{"ops":[{"insert":"Tides"},{"insert":"\n","attributes":{"header":1}},{"insert":"High "},{"insert":"water","attributes":{"bold":true,"link":"https://tide.example"}},{"insert":" at \ud83d\udc26 six\nand\nmilk"},{"insert":"\n","attributes":{"indent":1,"list":"checked"}},{"insert":"let x;"},{"insert":"\n\n","attributes":{"code-block":true}},{"insert":"so"},{"insert":"\n","attributes":{"blockquote":true}},{"insert":"end","attributes":{"color":"#f00"}}]}"##;
    let document: QuillDelta = serde_json::from_str(document).unwrap();
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.try_update(|text| text.apply_quill(&document)).unwrap();
    assert_eq!(ann.to_quill(), document);
    let kinds: Vec<BlockKind> = ann.blocks().map(|block| block.kind).collect();
    let done = BlockKind::Task { done: true };
    use BlockKind::{Code, Heading, Paragraph, Quote};
    assert_eq!(kinds, [Heading(1), Paragraph, Paragraph, done, Code, Code, Quote, Paragraph]);
    // An edit, counted in UTF-16 units.
    let change = r#"{"ops":[{"retain":5},{"retain":1,"attributes":{"list":"bullet"}},{"retain":14},{"delete":2},{"insert":"\ud83e\udd86","attributes":{"italic":true}}]}"#;
    let change: QuillDelta = serde_json::from_str(change).unwrap();
    let _ = ann.try_update(|text| text.apply_quill(&change)).unwrap();
    assert_eq!(ann.slice(0..18).unwrap(), "Tides\nHigh water a");
    assert_eq!(ann.blocks().next().unwrap().kind, BlockKind::Bullet);
}

#[test]
fn what_is_no_delta_of_the_text_changes_nothing() {
    let refused = |json: &str| {
        let mut ann = two("a\u{1f426}b\n")[0].fork(id(3));
        let before = ann.encode();
        let error = ann.try_update(|text| text.apply_quill(&delta(json))).unwrap_err();
        assert_eq!(ann.encode(), before);
        error
    };
    assert_eq!(refused(r#"{"ops":[{"insert":"x"},{"retain":6}]}"#), BadQuill::BeyondEnd { op: 1, len: 5 });
    assert_eq!(refused(r#"{"ops":[{"retain":2}]}"#), BadQuill::WithinScalar { op: 0, at: 2 });
    let huge = QuillOp::Delete { len: usize::MAX };
    let huge = QuillDelta { ops: vec![QuillOp::Retain { len: 1, attributes: BTreeMap::new() }, huge] };
    let [mut ann, _] = two("ab");
    let error = ann.try_update(|text| text.apply_quill(&huge)).unwrap_err();
    assert_eq!(error, BadQuill::BeyondEnd { op: 1, len: 2 });
    let values = [
        r#""header":9"#,
        r#""header":"1""#,
        r#""list":"x""#,
        r#""list":true"#,
        r#""indent":-1"#,
        r#""indent":256"#,
        r#""blockquote":"no""#,
        r#""code-block":1"#,
    ];
    for said in values {
        let error =
            refused(&format!(r#"{{"ops":[{{"delete":1}},{{"insert":"x","attributes":{{{said}}}}}]}}"#));
        assert!(matches!(error, BadQuill::Attribute { op: 1, .. }), "{error}");
    }
    assert_eq!(
        refused(r#"{"ops":[{"retain":1,"attributes":{"block":"h1"}}]}"#),
        BadQuill::Reserved { op: 0 }
    );
}

#[test]
fn what_is_inserted_has_its_attributes_and_no_others() {
    let [mut ann, _] = two("The fox jumped.\n");
    let _ = ann.try_update(|text| text.mark(0..15, MarkKind::BOLD, true)).unwrap();
    let _ = ann.try_update(|text| text.set_block(0..0, BlockKind::Quote)).unwrap();
    let items = ann.garbage().items;
    // A line feed within what is bold leaves the mark whole.
    let change = delta(r#"{"ops":[{"retain":3},{"insert":"\n","attributes":{"blockquote":true}}]}"#);
    let _ = ann.try_update(|text| text.apply_quill(&change)).unwrap();
    // The letter, where it stands, and what it is.
    assert_eq!(ann.garbage().items, items + 3);
    let change = delta(r#"{"ops":[{"retain":1},{"insert":"+","attributes":{"bold":null,"italic":true}}]}"#);
    let _ = ann.try_update(|text| text.apply_quill(&change)).unwrap();
    assert_eq!(
        json(&ann),
        r#"{"ops":[{"insert":"T","attributes":{"bold":true}},{"insert":"+","attributes":{"italic":true}},{"insert":"he","attributes":{"bold":true}},{"insert":"\n","attributes":{"blockquote":true}},{"insert":" fox jumped.","attributes":{"bold":true}},{"insert":"\n","attributes":{"blockquote":true}}]}"#
    );
    // What takes away another kind takes nothing; its own does.
    let len = ann.len();
    let take = |name: &str| QuillDelta {
        ops: vec![QuillOp::Retain { len, attributes: [(name.to_owned(), Scalar::Null)].into() }],
    };
    let _ = ann.try_update(|text| text.apply_quill(&take("header"))).unwrap();
    assert!(ann.blocks().all(|block| block.kind == BlockKind::Quote));
    let _ = ann.try_update(|text| text.apply_quill(&take("blockquote"))).unwrap();
    assert!(ann.blocks().all(|block| block.kind == BlockKind::Paragraph));
    // Letters never show what is of lines, however it was marked.
    let _ = ann.try_update(|text| text.mark(0..4, MarkKind::from("header"), 1)).unwrap();
    assert!(!json(&ann).contains("header"));
}

#[test]
fn a_long_document_takes_no_long_time() {
    let line = |nth: usize| {
        let bold = [("bold".to_owned(), Scalar::Bool(true))].into();
        let kind = [("header".to_owned(), Scalar::Int(nth as i64 % 6 + 1))].into();
        let insert = |text: &str, attributes| QuillOp::Insert { text: text.to_owned(), attributes };
        [insert("some ", BTreeMap::new()), insert("words", bold), insert("\n", kind)]
    };
    let document = QuillDelta { ops: (0..2_000).flat_map(line).collect() };
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.try_update(|text| text.apply_quill(&document)).unwrap();
    assert_eq!(ann.to_quill(), document);
}

/// What a line or letter has, as Quill would say it.
type Has = BTreeMap<String, Scalar>;

const OF_LINES: [&str; 5] = ["header", "blockquote", "code-block", "list", "indent"];

/// Quill's composition with a document, but that a line is of one kind, and lines and letters have what is theirs.
fn composed(document: &[(char, Has)], delta: &QuillDelta) -> Vec<(char, Has)> {
    let (mut new, mut at) = (Vec::new(), 0);
    let change = |letter: char, has: &Has, attributes: &QuillAttributes| {
        let mut has = has.clone();
        for (name, value) in attributes {
            if OF_LINES.contains(&&name[..]) != (letter == '\n') {
                continue;
            }
            if *value == Scalar::Null {
                has.remove(name);
                continue;
            }
            if letter == '\n' && name != "indent" {
                has.retain(|name, _| name == "indent");
            }
            has.insert(name.clone(), value.clone());
        }
        (letter, has)
    };
    let units = |at: usize, len: usize| {
        let (mut end, mut left) = (at, len);
        while left > 0 {
            left -= document[end].0.len_utf16();
            end += 1;
        }
        end
    };
    for op in &delta.ops {
        match op {
            QuillOp::Insert { text, attributes } => {
                new.extend(text.chars().map(|letter| change(letter, &Has::new(), attributes)));
            }
            QuillOp::Retain { len, attributes } => {
                let end = units(at, *len);
                new.extend(document[at..end].iter().map(|(letter, has)| change(*letter, has, attributes)));
                at = end;
            }
            QuillOp::Delete { len } => at = units(at, *len),
        }
    }
    new.extend_from_slice(&document[at..]);
    new
}

fn read(text: &Text) -> Vec<(char, Has)> {
    let letters = |op: QuillOp| {
        let QuillOp::Insert { text, attributes } = op else { panic!("{op:?}") };
        text.chars().map(|letter| (letter, attributes.clone())).collect::<Vec<_>>()
    };
    text.to_quill().ops.into_iter().flat_map(letters).collect()
}

fn attributes() -> impl Strategy<Value = QuillAttributes> {
    let some = |name: &'static str, value: Scalar| (Just(name.to_owned()), Just(value));
    let null = |name: &'static str| some(name, Scalar::Null);
    let one = prop_oneof![
        some("bold", true.into()),
        null("bold"),
        some("link", "x".into()),
        some("link", "y".into()),
        null("link"),
        some("header", 1_i64.into()),
        some("header", 3_i64.into()),
        null("header"),
        some("blockquote", true.into()),
        some("list", "bullet".into()),
        some("list", "checked".into()),
        null("list"),
        some("indent", 2_i64.into()),
        null("indent"),
    ];
    prop::collection::vec(one, 0..3).prop_map(|all| all.into_iter().collect())
}

/// What to do, of what length, with which text and attributes.
type Step = (u8, usize, String, QuillAttributes);

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let step = (0..5_u8, 0..6_usize, "[ab\n\u{1f426}]{1,4}", attributes());
    prop::collection::vec(prop::collection::vec(step, 1..6), 1..8)
}

/// A delta of a document: it ends before it does, and between letters.
fn made(document: &[(char, Has)], steps: &[Step]) -> QuillDelta {
    let mut at = 0;
    let mut go = |len: usize| {
        let end = (at + len).min(document.len());
        document[std::mem::replace(&mut at, end)..end].iter().map(|(letter, _)| letter.len_utf16()).sum()
    };
    let op = |(what, len, text, attributes): &Step| match what {
        0 | 1 => QuillOp::Insert { text: text.clone(), attributes: attributes.clone() },
        2 => QuillOp::Retain { len: go(*len), attributes: BTreeMap::new() },
        3 => QuillOp::Retain { len: go(*len), attributes: attributes.clone() },
        _ => QuillOp::Delete { len: go(*len) },
    };
    QuillDelta { ops: steps.iter().map(op).collect() }
}

proptest! {
    #![proptest_config(cases(if cfg!(debug_assertions) { 400 } else { 4000 }))]

    #[test]
    fn deltas_are_composed_as_quill_does(all in steps()) {
        let mut ann = Replica::<Text>::new(id(1));
        let mut document = Vec::new();
        for steps in &all {
            let delta = made(&document, steps);
            document = composed(&document, &delta);
            let _ = ann.try_update(|text| text.apply_quill(&delta)).unwrap();
            prop_assert_eq!(read(&ann), &document[..], "after {:?}", delta);
        }
        // And a copy of it reads the same.
        let mut bob = Replica::<Text>::new(id(2));
        let written = ann.to_quill();
        let _ = bob.try_update(|text| text.apply_quill(&written)).unwrap();
        prop_assert_eq!(bob.to_quill(), written);
        prop_assert_eq!(blocks(&bob), blocks(&ann));
        let letters = |text: &Text| -> Vec<(char, Has)> {
            let of_run = |run: tombolo_crdt::TextRun<'_>| {
                let has: Has = run.marks.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
                run.text.chars().map(|letter| (letter, has.clone())).collect::<Vec<_>>()
            };
            text.blocks().flat_map(|block| block.runs).flat_map(of_run).collect()
        };
        prop_assert_eq!(letters(&bob), letters(&ann));
    }
}
