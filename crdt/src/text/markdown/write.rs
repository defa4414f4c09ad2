//! Writing Markdown.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::super::{BlockKind, Text, TextBlock, TextMarks, TextRun};
use super::NOTHING;
use crate::Scalar;

impl Text {
    /// The text as Markdown: CommonMark, with what is struck through and lists of tasks as GitHub has them.
    ///
    /// ```
    /// use tombolo_crdt::{BlockKind, MarkKind, Replica, ReplicaId, Text};
    ///
    /// let mut text = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = text.try_update(|text| {
    ///     text.push("Tides\n2 * 3 is six\nmilk\n");
    ///     text.set_block(0..0, BlockKind::Heading(1))?;
    ///     text.set_block(19..19, BlockKind::Task { done: true })?;
    ///     text.mark(12..18, MarkKind::BOLD, true)
    /// })?;
    /// assert_eq!(text.to_markdown(), "# Tides\n\n2 \\* 3 **is six**\n\n- [x] milk\n");
    /// # Ok::<(), tombolo_crdt::BadPosition>(())
    /// ```
    ///
    /// What Markdown has no word for is left out: other marks; marks of lines of code; of spaces at the ends of what is marked; how far paragraphs, headings
    /// and code are indented. Markers that would run together, and blocks in which nothing stands, have `<!-- -->` between or in them, which
    /// [`insert_markdown`](crate::Mut::insert_markdown) reads as nothing. The rest it reads as it was.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut writer = Writer::default();
        let mut blocks = self.blocks().peekable();
        while let Some(block) = blocks.next() {
            if block.kind != BlockKind::Code {
                writer.block(&block);
                continue;
            }
            let mut lines = [letters(&block)].to_vec();
            while let Some(block) = blocks.next_if(|block| block.kind == BlockKind::Code) {
                lines.push(letters(&block));
            }
            writer.code(&lines);
        }
        writer.out
    }
}

fn letters(block: &TextBlock<'_>) -> String {
    block.runs.iter().map(|run| &run.text[..]).collect()
}

/// A list that is open.
struct List {
    is_ordered: bool,
    number: u32,
    /// How far what stands in its last item is indented more than that.
    width: usize,
}

#[derive(Default)]
struct Writer {
    out: String,
    last: Option<BlockKind>,
    /// From the outermost.
    lists: Vec<List>,
}

fn is_item(kind: BlockKind) -> bool {
    matches!(kind, BlockKind::Bullet | BlockKind::Ordered | BlockKind::Task { .. })
}

impl Writer {
    fn block(&mut self, block: &TextBlock<'_>) {
        self.part_from_last(block.kind);
        let indent = usize::from(block.indent);
        match block.kind {
            BlockKind::Heading(level) => self.out.extend((0..level).map(|_| '#').chain([' '])),
            BlockKind::Quote => self.out.extend((0..=indent).map(|_| "> ")),
            kind if is_item(kind) => self.item(kind == BlockKind::Ordered, indent),
            _ => {}
        }
        match block.kind {
            BlockKind::Task { done: false } => self.out.push_str("[ ] "),
            BlockKind::Task { done: true } => self.out.push_str("[x] "),
            _ => {}
        }
        let mut line = Line::default();
        line.runs(&block.runs);
        match block.kind {
            // It would be one of the markers at its end.
            BlockKind::Heading(_) if line.out.ends_with('#') && !line.out.ends_with("\\#") => {
                line.out.insert(line.out.len() - 1, '\\');
            }
            BlockKind::Heading(_) => {}
            _ if line.out.is_empty() => line.out.push_str(NOTHING),
            _ => {}
        }
        self.out.push_str(&line.out);
        self.out.push('\n');
    }

    fn part_from_last(&mut self, kind: BlockKind) {
        let last = self.last.replace(kind);
        match last {
            None => {}
            Some(last) if is_item(last) && is_item(kind) => {}
            Some(BlockKind::Quote) if kind == BlockKind::Quote => self.out.push_str(">\n"),
            Some(_) => self.out.push('\n'),
        }
        if !is_item(kind) {
            self.lists.clear();
        }
    }

    /// Begins an item, with those around it that are missing.
    fn item(&mut self, is_ordered: bool, depth: usize) {
        self.lists.truncate(depth + 1);
        if self.lists.get(depth).is_some_and(|list| list.is_ordered != is_ordered) {
            self.lists.truncate(depth);
        }
        let last = if self.lists.len() > depth { self.lists.pop() } else { None };
        let width: usize = self.lists.iter().map(|list| list.width).sum();
        self.out.extend((0..width).map(|_| ' '));
        while self.lists.len() < depth {
            self.out.push_str("- ");
            self.lists.push(List { is_ordered: false, number: 1, width: 2 });
        }
        // There are no longer numbers.
        let number = last.map_or(1, |last| (last.number + 1).min(999_999_999));
        let marker = if is_ordered { format!("{number}. ") } else { String::from("- ") };
        self.out.push_str(&marker);
        self.lists.push(List { is_ordered, number, width: marker.len() });
    }

    fn code(&mut self, lines: &[String]) {
        self.part_from_last(BlockKind::Code);
        let longest = lines.iter().map(|line| longest_ticks(line)).max().unwrap_or_default();
        let fence = "`".repeat((longest + 1).max(3));
        for line in [&fence].into_iter().chain(lines).chain([&fence]) {
            self.out.push_str(line);
            self.out.push('\n');
        }
    }
}

/// How many backticks stand side by side.
fn longest_ticks(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or_default()
}

/// A mark that stands around letters.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Around<'t> {
    Link(To<'t>),
    Strike,
    Bold,
    Italic,
}

/// Where a link leads to, which may be long: of one link it is one string.
#[derive(Clone, Copy, Debug)]
struct To<'t>(&'t str);

impl PartialEq for To<'_> {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.0, other.0) || self.0 == other.0
    }
}

impl<'t> Around<'t> {
    /// Those of a letter, and whether it is code.
    fn of(marks: &TextMarks<'t>) -> (Vec<Self>, bool) {
        let is = |name: &str| marks.get(name).is_some_and(|value| **value == Scalar::Bool(true));
        let link = marks.get("link").and_then(|to| to.as_text());
        let around = [
            link.map(|to| Self::Link(To(to))),
            is("strike").then_some(Self::Strike),
            is("bold").then_some(Self::Bold),
            is("italic").then_some(Self::Italic),
        ];
        (around.into_iter().flatten().collect(), is("code"))
    }

    fn opener(self) -> &'static str {
        match self {
            Self::Link(_) => "[",
            Self::Strike => "~~",
            Self::Bold => "**",
            Self::Italic => "*",
        }
    }

    fn close(self, out: &mut String) {
        let Self::Link(to) = self else { return out.push_str(self.opener()) };
        out.push_str("](<");
        for letter in to.0.chars() {
            match letter {
                '\n' | '\r' => out.push_str(&entity(letter)),
                '<' | '>' | '\\' | '&' => out.extend(['\\', letter]),
                _ => out.push(letter),
            }
        }
        out.push_str(">)");
    }
}

/// Letters that have the same around them: all white space, or neither beginning nor ending with any.
struct Piece<'t> {
    text: String,
    around: Vec<Around<'t>>,
    is_code: bool,
    is_space: bool,
}

/// A line that is being written.
#[derive(Default)]
struct Line<'t> {
    out: String,
    open: Vec<Around<'t>>,
}

impl<'t> Line<'t> {
    fn runs(&mut self, runs: &[TextRun<'t>]) {
        let pieces = pieces(runs);
        let ends = ends(&pieces);
        // White space that is not yet written, and what stands around all of it.
        let (mut space, mut stays) = (String::new(), None::<Vec<Around<'t>>>);
        for (piece, ends) in pieces.iter().zip(&ends) {
            let mut both = stays.unwrap_or_else(|| piece.around.clone());
            both.retain(|around| piece.around.contains(around));
            if piece.is_space {
                space.push_str(&piece.text);
                stays = Some(both);
                continue;
            }
            let kept = self.open.iter().take_while(|around| both.contains(around)).count();
            let openers: Vec<(Around<'t>, usize)> = {
                let open = &self.open[..kept];
                let new = piece.around.iter().copied().zip(ends.iter().copied());
                let mut new: Vec<_> = new.filter(|(around, _)| !open.contains(around)).collect();
                new.sort_by_key(|(_, end)| Reverse(*end));
                new
            };
            self.turn(kept, &core::mem::take(&mut space), &openers, piece);
            self.open.truncate(kept);
            self.open.extend(openers.into_iter().map(|(around, _)| around));
            stays = None;
        }
        for around in self.open.drain(..).rev() {
            around.close(&mut self.out);
        }
        self.out.extend(space.chars().map(entity));
    }

    /// From one piece to the next: closes what is open but for so much, and opens these, of which it is told where they end; then the piece.
    fn turn(&mut self, kept: usize, space: &str, openers: &[(Around<'t>, usize)], piece: &Piece<'t>) {
        self.open[kept..].iter().rev().for_each(|around| around.close(&mut self.out));
        let is_closed = kept < self.open.len() && !self.out.ends_with(')');
        if self.out.is_empty() {
            self.out.extend(space.chars().map(entity));
        } else {
            space.chars().for_each(|letter| self.letter(letter));
        }
        let mut opens = String::new();
        for (nth, (around, end)) in openers.iter().enumerate() {
            let opener = around.opener();
            // Those that close apart stand apart.
            if opens.ends_with('*') && opener.starts_with('*') && openers[nth - 1].1 != *end {
                opens.push_str(NOTHING);
            }
            opens.push_str(opener);
        }
        let first = if piece.is_code { Some('`') } else { piece.text.chars().next() };
        let next = opens.chars().next().or(first);
        // A marker closes nothing between a sign and a letter, and opens nothing between a letter and a sign.
        let marker = next.filter(|next| matches!(next, '*' | '~') && !opens.is_empty());
        let behind = marker.and_then(|marker| opens.trim_start_matches(marker).chars().next().or(first));
        let before = self.out.chars().next_back();
        let inside = before.and_then(|marker| self.out.trim_end_matches(marker).chars().next_back());
        let is_together = space.is_empty()
            && (is_closed && (marker.is_some() || is_sign(inside) && is_word(next))
                || marker.is_some() && is_word(before) && is_sign(behind)
                || before == Some('`') && next == Some('`') && opens.is_empty() && piece.is_code);
        if is_together {
            self.out.push_str(NOTHING);
        }
        self.out.push_str(&opens);
        if piece.is_code { self.out.push_str(&code(&piece.text)) } else { self.letters(&piece.text) }
    }

    /// Letters, so that none of them is markup.
    fn letters(&mut self, text: &str) {
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let next = letters.peek();
            let is_markup = match letter {
                '\\' | '`' | '*' | '_' | '~' | '[' | ']' | '<' => true,
                '&' => next.is_some_and(|next| *next == '#' || next.is_ascii_alphanumeric()),
                '!' => next.is_none(),
                '#' | '>' | '+' | '-' => self.out.is_empty(),
                '.' | ')' => {
                    (1..10).contains(&self.out.len()) && self.out.bytes().all(|byte| byte.is_ascii_digit())
                }
                _ => false,
            };
            if is_markup {
                self.out.push('\\');
            }
            self.letter(letter);
        }
    }

    fn letter(&mut self, letter: char) {
        if letter == '\r' { self.out.push_str(&entity(letter)) } else { self.out.push(letter) }
    }
}

/// The letters of a line, in pieces.
fn pieces<'t>(runs: &[TextRun<'t>]) -> Vec<Piece<'t>> {
    let mut pieces: Vec<Piece<'t>> = Vec::new();
    for run in runs {
        let (around, is_code) = Around::of(&run.marks);
        let mut push = |text: &str, is_space: bool| match pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if (last.is_code, last.is_space) == (is_code, is_space) && last.around == around => {
                last.text.push_str(text);
            }
            _ => pieces.push(Piece { text: text.into(), around: around.clone(), is_code, is_space }),
        };
        if is_code {
            push(&run.text, false);
            continue;
        }
        let rest = run.text.trim_start();
        push(&run.text[..run.text.len() - rest.len()], true);
        let text = rest.trim_end();
        push(text, false);
        push(&rest[text.len()..], true);
    }
    pieces
}

/// Up to which piece each mark around a piece goes on.
fn ends(pieces: &[Piece<'_>]) -> Vec<Vec<usize>> {
    let mut ends: Vec<Vec<usize>> = Vec::with_capacity(pieces.len());
    for (nth, piece) in pieces.iter().enumerate().rev() {
        let end = |around: &Around<'_>| {
            let next = pieces.get(nth + 1)?.around.iter().position(|next| next == around)?;
            ends.last()?.get(next).copied()
        };
        let of_piece = piece.around.iter().map(|around| end(around).unwrap_or(nth)).collect();
        ends.push(of_piece);
    }
    ends.reverse();
    ends
}

/// Code within a line.
fn code(text: &str) -> String {
    let ticks = "`".repeat(longest_ticks(text) + 1);
    let is_space = text.chars().all(|letter| letter == ' ');
    let is_padded = text.starts_with(' ') && text.ends_with(' ') && !is_space;
    let pad = if is_padded || text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

fn entity(letter: char) -> String {
    format!("&#{};", u32::from(letter))
}

/// It may be taken for a sign, as what is neither a letter nor a digit may be.
fn is_sign(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| !letter.is_alphanumeric() && !letter.is_whitespace())
}

/// It may be taken for a part of a word.
fn is_word(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| !letter.is_ascii_punctuation() && !letter.is_whitespace())
}
