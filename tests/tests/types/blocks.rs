//! Blocks: what lines are, alone and when several write at once.

mod markdown;
mod quill;

use tombolo_crdt::{BadPosition, BlockKind, MarkKind, Mut, Replica, Text};
use tombolo_tests::model::two::{self, id, two};

const TASK: BlockKind = BlockKind::Task { done: false };

/// What both write at the same time, merged.
fn at_once(
    both: &mut [Replica<Text>; 2],
    hers: impl FnOnce(&mut Mut<'_, Text>) -> Result<(), BadPosition>,
    his: impl FnOnce(&mut Mut<'_, Text>) -> Result<(), BadPosition>,
) {
    two::at_once(both, blocks, |text| hers(text).unwrap(), |text| his(text).unwrap());
}

/// What lines read, what they are, and how far they are indented.
fn blocks(text: &Text) -> Vec<(String, BlockKind, u8)> {
    let read = |block: tombolo_crdt::TextBlock<'_>| {
        let line: String = block.runs.iter().map(|run| &run.text[..]).collect();
        assert_eq!(text.slice(block.range.clone()).unwrap(), line);
        let ends = block.runs.iter().map(|run| run.range.end);
        let starts = block.runs.iter().map(|run| run.range.start).chain([block.range.end]);
        assert!([block.range.start].into_iter().chain(ends).eq(starts));
        (line, block.kind, block.indent)
    };
    text.blocks().map(read).collect()
}

fn kinds(text: &Text) -> Vec<BlockKind> {
    text.blocks().map(|block| block.kind).collect()
}

#[test]
fn lines_are_blocks() {
    let read = |content: &str| blocks(&two(content)[0]).into_iter().map(|block| block.0).collect::<Vec<_>>();
    assert!(read("").is_empty());
    assert_eq!(read("a"), ["a"]);
    assert_eq!(read("a\n"), ["a"]);
    assert_eq!(read("a\nb"), ["a", "b"]);
    assert_eq!(read("\n\n\u{1f426}b\n\nc"), ["", "", "\u{1f426}b", "", "c"]);
    // Runs that go over lines, and several in one.
    let [mut ann, _] = two("ab\ncd\nef");
    let _ = ann.try_update(|text| text.mark(1..7, MarkKind::BOLD, true)).unwrap();
    let read: Vec<Vec<(String, bool)>> = ann
        .blocks()
        .map(|block| block.runs.into_iter().map(|run| (run.text, run.marks.contains_key("bold"))).collect())
        .collect();
    let run = |text: &str, is_bold| (text.to_owned(), is_bold);
    assert_eq!(
        read,
        [vec![run("a", false), run("b", true)], vec![run("cd", true)], vec![run("e", true), run("f", false)]]
    );
    blocks(&ann);
}

#[test]
fn all_kinds_are_read_as_they_were_set() {
    let all = (1..=6).map(BlockKind::Heading).chain([
        BlockKind::Quote,
        BlockKind::Code,
        BlockKind::Bullet,
        BlockKind::Ordered,
        TASK,
        BlockKind::Task { done: true },
        BlockKind::Paragraph,
    ]);
    let [mut ann, _] = two("a\nb\nc\n");
    for (indent, kind) in all.enumerate() {
        let indent = indent as u8;
        let _ = ann.try_update(|text| text.set_block(2..2, kind)).unwrap();
        let _ = ann.try_update(|text| text.set_indent(3..3, indent)).unwrap();
        let plain = |line: &str| (line.to_owned(), BlockKind::Paragraph, 0);
        assert_eq!(blocks(&ann), [plain("a"), ("b".to_owned(), kind, indent), plain("c")]);
    }
    // Numbers there are no headings of, and marks that say nothing that is known.
    for (level, read) in [(0, 1), (9, 6)] {
        let _ = ann.try_update(|text| text.set_block(0..1, BlockKind::Heading(level))).unwrap();
        assert_eq!(kinds(&ann)[0], BlockKind::Heading(read));
    }
    let _ = ann.try_update(|text| text.mark(1..2, MarkKind::BLOCK, "aside")).unwrap();
    let _ = ann.try_update(|text| text.mark(1..2, MarkKind::INDENT, -3)).unwrap();
    let _ = ann.try_update(|text| text.mark(3..4, MarkKind::INDENT, 1000)).unwrap();
    assert_eq!(blocks(&ann)[0], ("a".to_owned(), BlockKind::Paragraph, 0));
    assert_eq!(blocks(&ann)[1].2, 255);
}

#[test]
fn the_lines_a_part_touches_are_set_and_no_others() {
    use BlockKind::{Paragraph, Quote};
    for (range, expected) in [
        (0..0, [Quote, Paragraph, Paragraph]),
        (1..1, [Quote, Paragraph, Paragraph]),
        (0..2, [Quote, Paragraph, Paragraph]),
        (1..3, [Quote, Quote, Paragraph]),
        (2..2, [Paragraph, Quote, Paragraph]),
        (3..4, [Paragraph, Quote, Paragraph]),
        (0..5, [Quote, Quote, Quote]),
    ] {
        let [mut ann, _] = two("a\nb\nc\n");
        let _ = ann.try_update(|text| text.set_block(range.clone(), Quote)).unwrap();
        assert_eq!((kinds(&ann), &ann.to_string()[..]), (expected.into(), "a\nb\nc\n"), "{range:?}");
    }
    assert!(two("a")[0].try_update(|text| text.set_block(0..2, Quote)).is_err());
}

#[test]
fn a_last_line_gets_a_line_feed_if_there_is_something_to_say() {
    for (content, range, read) in [("", 0..0, "\n"), ("a\nb", 0..3, "a\nb\n"), ("a\n", 2..2, "a\n\n")] {
        let [mut ann, _] = two(content);
        let _ = ann.try_update(|text| text.set_block(range.clone(), BlockKind::Paragraph)).unwrap();
        let _ = ann.try_update(|text| text.set_indent(range.clone(), 0)).unwrap();
        assert_eq!(ann.to_string(), content);
        let _ = ann.try_update(|text| text.set_block(range.clone(), TASK)).unwrap();
        assert_eq!((ann.to_string(), kinds(&ann).pop()), (read.to_owned(), Some(TASK)));
    }
}

#[test]
fn both_halves_are_what_the_whole_was() {
    for at in 0..=4 {
        let [mut ann, _] = two("one\ntwo");
        let _ = ann.try_update(|text| text.mark(0..2, MarkKind::LINK, "x")).unwrap();
        let _ = ann.try_update(|text| text.set_block(0..1, TASK)).unwrap();
        let _ = ann.try_update(|text| text.set_indent(0..1, 2)).unwrap();
        let _ = ann.try_update(|text| text.split_block(at)).unwrap();
        let expected = if at == 4 { [TASK, BlockKind::Paragraph] } else { [TASK, TASK] };
        assert_eq!(kinds(&ann)[..2], expected);
        assert_eq!(ann.blocks().take(2).all(|block| block.indent == 2), at < 4);
        assert_eq!(kinds(&ann)[2], BlockKind::Paragraph);
    }
    // A line without a line feed, and a mark that lies over all of a line.
    let [mut ann, _] = two("one");
    let _ = ann.try_update(|text| text.split_block(3)).unwrap();
    let _ = ann.try_update(|text| text.split_block(4)).unwrap();
    assert_eq!((ann.to_string(), kinds(&ann)), ("one\n\n".to_owned(), vec![BlockKind::Paragraph; 2]));
    let _ = ann.try_update(|text| text.mark(0..3, MarkKind::BLOCK, "quote")).unwrap();
    let _ = ann.try_update(|text| text.split_block(1)).unwrap();
    assert_eq!(kinds(&ann), [BlockKind::Paragraph; 3]);
}

#[test]
fn of_two_kinds_set_at_once_one_is_read_and_how_far_it_is_indented_is_apart() {
    let mut both = two("one\n");
    at_once(&mut both, |text| text.set_block(0..0, BlockKind::Quote), |text| text.set_block(1..1, TASK));
    assert!([BlockKind::Quote, TASK].contains(&kinds(&both[0])[0]));
    // Who has seen it decides.
    let (_, hers) = both[0].try_update(|text| text.set_block(0..0, BlockKind::Bullet)).unwrap();
    both[1].merge(hers).unwrap();
    let indent = |text: &mut Mut<'_, Text>| text.set_indent(0..0, 3);
    at_once(&mut both, indent, |text| text.set_block(0..0, BlockKind::Code));
    assert_eq!(blocks(&both[0]), [("one".to_owned(), BlockKind::Code, 3)]);
}

#[test]
fn who_splits_and_who_sets_at_once() {
    let mut both = two("one two\n");
    let (_, hers) = both[0].try_update(|text| text.set_block(0..0, TASK)).unwrap();
    both[1].merge(hers).unwrap();
    let done = BlockKind::Task { done: true };
    at_once(&mut both, |text| text.split_block(3), |text| text.set_block(0..0, done));
    assert_eq!(kinds(&both[0]), [TASK, done]);
    // Both split: three lines of one kind.
    at_once(&mut both, |text| text.split_block(1), |text| text.split_block(2));
    assert_eq!(both[0].to_string(), "o\nn\ne\n two\n");
    assert_eq!(kinds(&both[0]), [TASK, TASK, TASK, done]);
    // One takes the second line away, and one sets it: a line feed that is gone is nothing's.
    let join = |text: &mut Mut<'_, Text>| text.delete(3..4);
    at_once(&mut both, join, |text| text.set_block(2..2, BlockKind::Quote));
    assert_eq!(kinds(&both[0]), [TASK, TASK, done]);
}

#[test]
fn who_types_and_who_sets_at_once() {
    let mut both = two("one\ntwo\n");
    let heading = |text: &mut Mut<'_, Text>| text.set_block(0..0, BlockKind::Heading(2));
    at_once(&mut both, heading, |text| text.insert(3, " more\nand"));
    // What ends with the line feed that was marked is the heading.
    assert_eq!(both[0].to_string(), "one more\nand\ntwo\n");
    assert_eq!(kinds(&both[0]), [BlockKind::Paragraph, BlockKind::Heading(2), BlockKind::Paragraph]);
    // Two give the last line a line feed: an empty line is left.
    let mut both = two("one");
    let quote = |text: &mut Mut<'_, Text>| text.set_block(0..0, BlockKind::Quote);
    at_once(&mut both, quote, quote);
    assert_eq!(both[0].to_string(), "one\n\n");
    assert_eq!(kinds(&both[0]), [BlockKind::Quote; 2]);
}

#[test]
fn setting_over_and_over_leaves_one_mark_and_paragraphs_none() {
    let [mut ann, _] = two("one\ntwo\n");
    let before = ann.garbage().items;
    for round in 0..20 {
        let _ = ann.try_update(|text| text.set_block(0..5, BlockKind::Heading(round % 6 + 1))).unwrap();
    }
    assert_eq!(ann.garbage().items, before + 2);
    let _ = ann.try_update(|text| text.set_block(0..5, BlockKind::Paragraph)).unwrap();
    assert_eq!(ann.garbage().items, before);
}
