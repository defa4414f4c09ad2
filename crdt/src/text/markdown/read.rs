//! Inserting Markdown: its events one after the other, however deep they are nested.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::super::marks::Meant;
use super::super::{BadPosition, BlockKind, MarkKind, Position, Text};
use super::NOTHING;
use crate::Scalar;
use crate::store::Mut;

impl Mut<'_, Text> {
    /// Inserts Markdown as blocks, each with a line feed at its end; a line is [split](Self::split_block) if it begins before that place. What is read:
    /// CommonMark, and of GitHub's what is struck through and lists of tasks.
    ///
    /// ```
    /// use tombolo_crdt::{BlockKind, Replica, ReplicaId, Text};
    ///
    /// let mut text = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = text.try_update(|text| text.insert_markdown(0, "# Tides\n\n* High water\n  at **six**\n"))?;
    /// assert_eq!(text.to_string(), "Tides\nHigh water at six\n");
    /// assert_eq!(text.blocks().nth(1).map(|block| block.kind), Some(BlockKind::Bullet));
    /// assert_eq!(text.to_markdown(), "# Tides\n\n- High water at **six**\n");
    /// # Ok::<(), tombolo_crdt::BadPosition>(())
    /// ```
    ///
    /// A line break within a paragraph is read as a space, and a hard one begins another block of its kind. Further paragraphs of an item are paragraphs that
    /// are indented; quotations within quotations are. Of an image its description is read, HTML, tables and footnotes as they are written. Titles of links, languages of code,
    /// and rules are not kept, nor is of a list or quotation whether it was one or two. If a line begins with more than 255 markers, all is read as it is written:
    /// to follow those takes time with their number, for each line.
    ///
    /// # Errors
    /// When there is no such place; nothing changes then.
    pub fn insert_markdown(&mut self, at: impl Into<Position>, markdown: &str) -> Result<(), BadPosition> {
        let mut at = self.state.scalars(at)?;
        let mut reader = Reader::default();
        if is_deep(markdown) {
            markdown.lines().for_each(|line| reader.line(line));
        } else {
            let options =
                Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_FOOTNOTES;
            Parser::new_ext(markdown, options).for_each(|event| reader.take(event));
        }
        reader.end_block();
        if reader.text.is_empty() {
            return Ok(());
        }
        if !self.state.is_line_start(at) {
            self.split_block(at)?;
            at += 1;
        }
        self.put(at, &reader.text);
        let parts = reader.parts.into_iter().map(|(part, meant)| (part.start + at..part.end + at, meant));
        let parts: Vec<(Range<usize>, Meant)> = parts.collect();
        self.have(&parts);
        for (part, to) in reader.linked {
            self.lay(part.start + at..part.end + at, &MarkKind::LINK, &Scalar::from(to));
        }
        Ok(())
    }
}

/// Something blocks stand in.
enum Container {
    Quote,
    Item {
        is_ordered: bool,
        /// Something stands in it.
        is_filled: bool,
    },
}

/// What has been read.
#[derive(Default)]
struct Reader {
    text: String,
    len: usize,
    parts: Vec<(Range<usize>, Meant)>,
    /// What is open, from the outermost.
    containers: Vec<Container>,
    quotes: usize,
    /// Whether they are ordered.
    lists: Vec<bool>,
    block: Option<(BlockKind, u8)>,
    /// How many are open.
    bold: usize,
    italic: usize,
    strike: usize,
    /// Where the links that are open begin, and where they lead to.
    links: Vec<(usize, String)>,
    linked: Vec<(Range<usize>, String)>,
    /// The code or the HTML that is being read.
    raw: String,
    is_code: bool,
    /// What stands before the footnote that begins.
    note: Option<String>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.is_code => self.raw.push_str(&text),
            Event::Text(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.letters(&text, false)
            }
            Event::FootnoteReference(label) => self.letters(&format!("[^{label}]"), false),
            Event::Code(text) => self.letters(&text, true),
            Event::Html(html) => self.raw.push_str(&html),
            Event::InlineHtml(html) if &*html == NOTHING => self.in_block(),
            Event::InlineHtml(html) => self.letters(&html, false),
            Event::SoftBreak => self.letters(" ", false),
            Event::HardBreak => {
                let block = self.block;
                self.end_block();
                self.block = match block {
                    Some((BlockKind::Paragraph | BlockKind::Heading(_) | BlockKind::Quote, _)) => block,
                    _ => Some(self.next_block()),
                };
            }
            Event::Rule => self.end_block(),
            Event::TaskListMarker(done) => {
                self.in_block();
                self.block = self.block.map(|(_, indent)| (BlockKind::Task { done }, indent));
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Strong => self.bold += 1,
            Tag::Emphasis => self.italic += 1,
            Tag::Strikethrough => self.strike += 1,
            Tag::Link { dest_url, .. } => self.links.push((self.len, dest_url.to_string())),
            Tag::Image { .. } => {}
            Tag::Heading { level, .. } => {
                self.end_block();
                self.next_block();
                self.block = Some((BlockKind::Heading(level_of(level)), 0));
            }
            Tag::CodeBlock(_) => {
                self.end_block();
                self.next_block();
                self.is_code = true;
            }
            Tag::BlockQuote(_) => {
                self.fill();
                self.quotes += 1;
                self.containers.push(Container::Quote);
            }
            Tag::List(first) => {
                self.fill();
                self.lists.push(first.is_some());
            }
            Tag::Item => {
                self.end_block();
                let is_ordered = self.lists.last().copied().unwrap_or_default();
                self.containers.push(Container::Item { is_ordered, is_filled: false });
            }
            Tag::Paragraph => {
                self.end_block();
                self.in_block();
            }
            Tag::FootnoteDefinition(label) => {
                self.end_block();
                self.note = Some(format!("[^{label}]: "));
            }
            _ => self.end_block(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong => self.bold = self.bold.saturating_sub(1),
            TagEnd::Emphasis => self.italic = self.italic.saturating_sub(1),
            TagEnd::Strikethrough => self.strike = self.strike.saturating_sub(1),
            TagEnd::Link => {
                let len = self.len;
                self.linked.extend(self.links.pop().map(|(start, to)| (start..len, to)));
            }
            TagEnd::Image => {}
            TagEnd::CodeBlock => {
                let code = core::mem::take(&mut self.raw);
                self.is_code = false;
                for line in code.strip_suffix('\n').unwrap_or(&code).split('\n') {
                    self.push(line, Meant { is_all: true, ..Meant::default() });
                    self.block = Some((BlockKind::Code, 0));
                    self.end_block();
                }
            }
            TagEnd::HtmlBlock => {
                let html = core::mem::take(&mut self.raw);
                let html = if html.trim() == NOTHING { "" } else { html.trim_end() };
                html.split('\n').for_each(|line| self.line(line));
            }
            TagEnd::BlockQuote(_) => {
                self.end_block();
                self.quotes = self.quotes.saturating_sub(1);
                self.containers.pop();
            }
            TagEnd::Item => {
                self.end_block();
                if let Some(Container::Item { is_filled: false, .. }) = self.containers.last() {
                    self.in_block();
                    self.end_block();
                }
                self.containers.pop();
            }
            TagEnd::List(_) => {
                self.end_block();
                self.lists.pop();
            }
            TagEnd::FootnoteDefinition => {
                self.end_block();
                if self.note.is_some() {
                    self.in_block();
                    self.end_block();
                }
            }
            _ => self.end_block(),
        }
    }

    /// What a block is that begins here, which it does.
    fn next_block(&mut self) -> (BlockKind, u8) {
        let indent = |depth: usize| u8::try_from(depth).unwrap_or(u8::MAX);
        match self.containers.last_mut() {
            None => (BlockKind::Paragraph, 0),
            Some(Container::Quote) => (BlockKind::Quote, indent(self.quotes.saturating_sub(1))),
            Some(Container::Item { is_filled: true, .. }) => (BlockKind::Paragraph, indent(self.lists.len())),
            Some(Container::Item { is_ordered, is_filled }) => {
                *is_filled = true;
                let kind = if *is_ordered { BlockKind::Ordered } else { BlockKind::Bullet };
                (kind, indent(self.lists.len().saturating_sub(1)))
            }
        }
    }

    /// What comes now stands in a block.
    fn in_block(&mut self) {
        if self.block.is_none() {
            self.block = Some(self.next_block());
            if let Some(note) = self.note.take() {
                self.letters(&note, false);
            }
        }
    }

    /// What comes now stands in something of its own within what is open.
    fn fill(&mut self) {
        self.end_block();
        if let Some(Container::Item { is_filled, .. }) = self.containers.last_mut() {
            *is_filled = true;
        }
    }

    fn end_block(&mut self) {
        if let Some((kind, indent)) = self.block.take() {
            let meant = Meant { is_all: true, kind: Some(kind), indent: Some(indent), ..Meant::default() };
            self.push("\n", meant);
        }
    }

    /// A block that reads what is written.
    fn line(&mut self, line: &str) {
        self.in_block();
        self.push(line, Meant { is_all: true, ..Meant::default() });
        self.end_block();
    }

    fn letters(&mut self, text: &str, is_code: bool) {
        self.in_block();
        let yes =
            |kind: MarkKind, is_there: bool| is_there.then(|| (kind.name().to_string(), Scalar::Bool(true)));
        let marks = [
            yes(MarkKind::BOLD, self.bold > 0),
            yes(MarkKind::ITALIC, self.italic > 0),
            yes(MarkKind::STRIKE, self.strike > 0),
            yes(MarkKind::CODE, is_code),
        ];
        let marks: BTreeMap<String, Scalar> = marks.into_iter().flatten().collect();
        // A line feed, written as an entity, would be the end of a block.
        self.push(&text.replace('\n', " "), Meant { is_all: true, marks, ..Meant::default() });
    }

    fn push(&mut self, text: &str, meant: Meant) {
        let start = self.len;
        self.text.push_str(text);
        self.len += text.chars().count();
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some((part, same)) if *same == meant => part.end = self.len,
            _ => self.parts.push((start..self.len, meant)),
        }
    }
}

/// Whether a line begins with more markers of quotations and items than an indent can say.
fn is_deep(markdown: &str) -> bool {
    markdown.split(['\n', '\r']).any(|line| {
        let (mut rest, mut markers) = (line.trim_start_matches([' ', '\t']), 0);
        while let Some(first) = rest.chars().next() {
            let after = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
            let item = match first {
                '-' | '+' | '*' => Some(&rest[1..]),
                '0'..='9' => after.strip_prefix(['.', ')']),
                _ => None,
            };
            let item = item.filter(|item| item.starts_with([' ', '\t']));
            let Some(behind) = rest.strip_prefix('>').or(item) else { return false };
            rest = behind.trim_start_matches([' ', '\t']);
            markers += 1;
            if markers > usize::from(u8::MAX) {
                return true;
            }
        }
        false
    })
}

fn level_of(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
