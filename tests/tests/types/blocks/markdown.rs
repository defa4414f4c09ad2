//! Markdown: what is written of a text is read as that text, and whatever is read does no harm.

use std::collections::BTreeMap;
use std::time::Instant;

use proptest::prelude::*;
use tombolo_crdt::{BlockKind, MarkKind, Replica, Scalar, Text};
use tombolo_tests::model::cases;

use super::{TASK, blocks, id, two};

fn read(markdown: &str) -> Replica<Text> {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.try_update(|text| text.insert_markdown(0, markdown)).unwrap();
    ann
}

/// What lines read and are, the marks of parts before them, as `[bold+italic:text]`.
fn shown(text: &Text) -> Vec<(String, BlockKind, u8)> {
    let run = |run: tombolo_crdt::TextRun<'_>| {
        let mark = |(name, value): (&str, &Scalar)| match value {
            Scalar::Text(value) => format!("{name}={value}"),
            _ => name.to_owned(),
        };
        let marks: Vec<String> = run.marks.into_iter().map(mark).collect();
        if marks.is_empty() { run.text } else { format!("[{}:{}]", marks.join("+"), run.text) }
    };
    text.blocks().map(|block| (block.runs.into_iter().map(run).collect(), block.kind, block.indent)).collect()
}

#[test]
fn what_markdown_has_is_read() {
    let text = read(
        "# Tides\n\nHigh *water\nat* **six**, ~~seven~~ `a*b`.  \n[See](https://tide.example \"t\") <https://x.example>\n\n> one\n> > two\n\n1. a\n   - b\n\n     more\n   - [x] c\n2. - d\n-\n\n```rust\nlet x;\n\nx\n```\n\n    indented\n\nEnd\n---\n\n---\n",
    );
    let block = |text: &str, kind, indent| (text.to_owned(), kind, indent);
    use BlockKind::{Bullet, Code, Heading, Ordered, Paragraph, Quote, Task};
    assert_eq!(
        shown(&text),
        [
            block("Tides", Heading(1), 0),
            block("High [italic:water at] [bold:six], [strike:seven] [code:a*b].", Paragraph, 0),
            block("[link=https://tide.example:See] [link=https://x.example:https://x.example]", Paragraph, 0),
            block("one", Quote, 0),
            block("two", Quote, 1),
            block("a", Ordered, 0),
            block("b", Bullet, 1),
            block("more", Paragraph, 2),
            block("c", Task { done: true }, 1),
            block("d", Bullet, 1),
            block("", Bullet, 0),
            block("let x;", Code, 0),
            block("", Code, 0),
            block("x", Code, 0),
            block("indented", Code, 0),
            block("End", Heading(2), 0),
        ]
    );
    assert!(text.to_string().ends_with("End\n"));
}

#[test]
fn what_markdown_says_beyond_that_is_read_as_text() {
    let text = read(
        "![a *tide*](x.png)\n\n<b>bold</b> &amp; <!-- no -->\n\n<div>\nraw\n</div>\n\n| a | b |\n|---|---|\n| c | d |\n\nnote[^1]\n\n[^1]: foot\n\n    ```\n    c\n    ```\n",
    );
    let lines: Vec<String> = blocks(&text).into_iter().map(|block| block.0).collect();
    assert_eq!(
        lines,
        [
            "a tide",
            "<b>bold</b> & <!-- no -->",
            "<div>",
            "raw",
            "</div>",
            "| a | b | |---|---| | c | d |",
            "note[^1]",
            "[^1]: foot",
            "c"
        ]
    );
    assert!(shown(&text)[0].0.contains("[italic:tide]"));
}

#[test]
fn it_is_inserted_as_lines_of_its_own_and_takes_nothing_from_around() {
    let [mut ann, _] = two("one two\n");
    let _ = ann.try_update(|text| text.mark(0..7, MarkKind::BOLD, true)).unwrap();
    let _ = ann.try_update(|text| text.set_block(0..0, TASK)).unwrap();
    let _ = ann.try_update(|text| text.insert_markdown(4, "a\n\n*b*\n")).unwrap();
    let block = |text: &str, kind| (text.to_owned(), kind, 0);
    let expected = [
        block("[bold:one ]", TASK),
        block("a", BlockKind::Paragraph),
        block("[italic:b]", BlockKind::Paragraph),
        block("[bold:two]", TASK),
    ];
    assert_eq!(shown(&ann), expected);
    // At the beginning of a line that is not split, and nothing makes nothing.
    let _ = ann.try_update(|text| text.insert_markdown(0, "# c")).unwrap();
    let _ = ann.try_update(|text| text.insert_markdown(3, "[x]: y\n\n")).unwrap();
    assert_eq!(shown(&ann)[0], block("c", BlockKind::Heading(1)));
    assert_eq!(shown(&ann)[1..], expected);
    assert!(ann.try_update(|text| text.insert_markdown(99, "x")).is_err());
}

#[test]
fn it_is_written_as_people_would() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.try_update(|text| {
        text.push("Tides\nHigh water at six\n\nq\nr\na\nb\nc\nd\nlet ```;\n\nEnd #\n1. x");
        text.set_block(0..0, BlockKind::Heading(1))?;
        text.mark(6..16, MarkKind::BOLD, true)?;
        text.mark(11..16, MarkKind::ITALIC, true)?;
        text.mark(17..23, MarkKind::LINK, "x>y")?;
        text.set_block(26..28, BlockKind::Quote)?;
        text.set_block(29..29, BlockKind::Ordered)?;
        text.set_block(31..31, BlockKind::Ordered)?;
        text.set_block(33..33, TASK)?;
        text.set_indent(33..33, 1)?;
        text.set_block(35..35, BlockKind::Bullet)?;
        text.set_block(37..47, BlockKind::Code)?;
        text.set_block(48..48, BlockKind::Heading(2))
    });
    assert_eq!(
        ann.to_markdown(),
        "# Tides\n\n**High *water*** [at six](<x\\>y>)\n\n<!-- -->\n\n> q\n>\n> r\n\n1. a\n2. b\n   - [ ] c\n- d\n\n````\nlet ```;\n\n````\n\n## End \\#\n\n1\\. x\n"
    );
    assert_eq!(blocks(&read(&ann.to_markdown())), blocks(&ann));
}

/// Four times as much takes about four times as long, not sixteen times, however it is nested.
#[test]
fn markdown_that_is_nested_deep_is_read_in_time_with_its_length() {
    let nested: [fn(usize) -> String; 22] = [
        |deep| ">".repeat(deep),
        |deep| "> ".repeat(deep),
        |deep| format!("{}a", "- ".repeat(deep)),
        |deep| format!("{}a\n{}", "> ".repeat(deep), "> a\n".repeat(deep)),
        |deep| format!("{}a\n{}", "> ".repeat(255), "> a\n".repeat(deep)),
        |deep| format!("[{}](<{}>)", "*a* b ".repeat(deep), "x".repeat(deep * 50)),
        |deep| "*a ".repeat(deep),
        |deep| "*".repeat(deep),
        |deep| "**a".repeat(deep),
        |deep| "[".repeat(deep),
        |deep| "[a](".repeat(deep),
        |deep| "![".repeat(deep),
        |deep| "<".repeat(deep),
        |deep| "`a".repeat(deep),
        |deep| "~~a".repeat(deep),
        |deep| "<!--".repeat(deep),
        |deep| "&#".repeat(deep),
        |deep| "- a\n".repeat(deep),
        |deep| "*a* **b**\n\n".repeat(deep),
        |deep| format!("{}a{}", "*".repeat(deep), "*".repeat(deep)),
        |deep| format!("{}a{}", "[".repeat(deep), "](x)".repeat(deep)),
        |deep| (0..deep / 20).map(|depth| format!("{}- a\n", "  ".repeat(depth % 300))).collect(),
    ];
    let took = |markdown: &str| {
        let start = Instant::now();
        let _ = read(markdown).to_markdown();
        start.elapsed()
    };
    for nested in nested {
        let (little, much) = (nested(2_500), nested(10_000));
        // The best of some, for others run beside; and what takes no time harms nobody.
        let grows = |_| took(&much).as_secs_f64() / took(&little).as_secs_f64().max(0.01);
        let least = (0..5).map(grows).find(|grows| *grows < 11.0);
        assert!(least.is_some(), "{:?} takes time with more than its length", &much[..6]);
    }
}

#[test]
fn what_is_nested_deeper_than_can_be_said_is_read_as_it_is_written() {
    for (marker, deep) in [("> ", 255), ("- ", 255), ("1. ", 255), (">", 255)] {
        let text = read(&format!("{}*a*", marker.repeat(deep)));
        assert_eq!(blocks(&text)[0].0, "a");
        assert_eq!(blocks(&text)[0].2, 254);
        let markdown = format!("b\n{}*a*\n", marker.repeat(deep + 1));
        assert_eq!(read(&markdown).to_string(), markdown);
    }
}

/// A line: what it is, and its parts with their marks.
type Line = (BlockKind, u8, Vec<(String, BTreeMap<&'static str, Scalar>)>);

fn marks() -> impl Strategy<Value = BTreeMap<&'static str, Scalar>> {
    let yes = |name: &'static str| (Just(name), Just(Scalar::Bool(true)));
    let one = prop_oneof![
        3 => yes("bold"),
        3 => yes("italic"),
        2 => yes("strike"),
        1 => yes("code"),
        1 => (Just("link"), prop_oneof!["[ax<>&#;()\\\\\n ]{0,4}", Just("https://x.example/a_b".to_owned())].prop_map(Scalar::Text)),
    ];
    prop::collection::vec(one, 0..4).prop_map(|all| all.into_iter().collect())
}

fn line(texts: &'static str) -> impl Strategy<Value = Line> {
    let kind = prop_oneof![
        3 => Just(BlockKind::Paragraph),
        1 => (1..=6_u8).prop_map(BlockKind::Heading),
        2 => Just(BlockKind::Quote),
        1 => Just(BlockKind::Code),
        2 => Just(BlockKind::Bullet),
        2 => Just(BlockKind::Ordered),
        2 => any::<bool>().prop_map(|done| BlockKind::Task { done }),
    ];
    let part = (texts, marks()).prop_map(|(text, marks)| (text.to_owned(), marks));
    (kind, 0..4_u8, prop::collection::vec(part, 0..6)).prop_map(|(kind, indent, parts)| match kind {
        BlockKind::Paragraph | BlockKind::Heading(_) => (kind, 0, parts),
        // What Markdown cannot mark.
        BlockKind::Code => (kind, 0, parts.into_iter().map(|(text, _)| (text, BTreeMap::new())).collect()),
        _ => (kind, indent, parts),
    })
}

fn written(lines: &[Line]) -> Replica<Text> {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.try_update(|text| {
        for (kind, indent, parts) in lines {
            for (part, marks) in parts {
                let marks = marks.iter().map(|(name, value)| (MarkKind::from(*name), value.clone()));
                text.insert_marked(text.len(), part, marks)?;
            }
            let at = text.len();
            text.insert_marked(at, "\n", [])?;
            text.set_block(at..at, *kind)?;
            text.set_indent(at..at, *indent)?;
        }
        Ok::<(), tombolo_crdt::BadPosition>(())
    });
    ann
}

/// What each letter is, and has if it is no white space.
fn letters(text: &Text) -> Vec<(char, BTreeMap<&str, &Scalar>)> {
    let mut all = Vec::new();
    for run in text.blocks().flat_map(|block| block.runs) {
        for letter in run.text.chars() {
            all.push((letter, if letter.is_whitespace() { BTreeMap::new() } else { run.marks.clone() }));
        }
    }
    all
}

proptest! {
    #![proptest_config(cases(if cfg!(debug_assertions) { 400 } else { 20_000 }))]

    /// Without white space at the ends of what is marked all is read as it was.
    #[test]
    fn what_is_written_is_read_as_it_was(lines in prop::collection::vec(line("[ab1.*_~`\\[\\]<>()!#&;\\\\+=|:\\-\u{1f426}\u{e9}\"]{1,3}|a b|\\* \\*"), 1..5)) {
        let ann = written(&lines);
        let markdown = ann.to_markdown();
        let bob = read(&markdown);
        prop_assert_eq!(shown(&bob), shown(&ann), "{}", markdown);
    }

    /// With white space anywhere letters are, and what is no white space has the marks it had.
    #[test]
    fn white_space_stays_where_it_was(lines in prop::collection::vec(line("[ab*#>.\\-\\[&\t \u{a0}\u{2028}\u{2003}\u{85}]{1,4}| +"), 1..5)) {
        let ann = written(&lines);
        let markdown = ann.to_markdown();
        let bob = read(&markdown);
        prop_assert_eq!(blocks(&bob), blocks(&ann), "{}", markdown);
        prop_assert_eq!(letters(&bob), letters(&ann), "{}", markdown);
    }

    /// Whatever is read, what is written of it is read as it is.
    #[test]
    fn anything_can_be_read(markdown in "([a \n\t*_~`>#\\-\\[\\]()!<&;:|0-9.\\\\+=]|\n\n|- |> |```\n|<!-- -->|\\[x\\] |    ){0,60}") {
        let ann = read(&markdown);
        let again = read(&ann.to_markdown());
        prop_assert_eq!(letters(&again), letters(&ann), "{}", ann.to_markdown());
        let kinds = |text: &Text| text.blocks().map(|block| block.kind).collect::<Vec<_>>();
        prop_assert_eq!(kinds(&again), kinds(&ann), "{}", ann.to_markdown());
    }

    #[test]
    fn nothing_that_is_read_panics(markdown in any::<String>()) {
        let _ = read(&markdown).to_markdown();
    }
}
