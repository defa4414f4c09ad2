//! Blocks: the lines of a text, each of a kind and indented so far, as marks on the line feed that ends it say.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::Range;

use super::super::{BadPosition, Position, Text};
use super::{MarkKind, TextMarks, TextRun};
use crate::Scalar;
use crate::store::Mut;

/// What a line of a text is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum BlockKind {
    /// A paragraph, as all lines are of which nothing is said.
    #[default]
    Paragraph,
    /// A heading, from 1, the highest, to 6. Other numbers are written as the nearest of these.
    Heading(u8),
    /// A paragraph of a quotation.
    Quote,
    /// A line of code.
    Code,
    /// An item of a list with bullets.
    Bullet,
    /// An item of a numbered list.
    Ordered,
    /// Something to do.
    Task {
        /// It has been done.
        done: bool,
    },
}

impl BlockKind {
    /// What a mark says of a line of this kind; of a paragraph nothing.
    pub(in super::super) fn value(self) -> Scalar {
        let name = match self {
            Self::Paragraph => return Scalar::Null,
            Self::Heading(level) => ["h1", "h2", "h3", "h4", "h5", "h6"][usize::from(level.clamp(1, 6)) - 1],
            Self::Quote => "quote",
            Self::Code => "code",
            Self::Bullet => "bullet",
            Self::Ordered => "ordered",
            Self::Task { done: false } => "task",
            Self::Task { done: true } => "done",
        };
        Scalar::from(name)
    }

    /// The kind of a line of whose line feed these marks are.
    pub(in super::super) fn of(marks: &TextMarks<'_>) -> Self {
        match marks.get(MarkKind::BLOCK.name()).and_then(|value| value.as_text()) {
            Some("h1") => Self::Heading(1),
            Some("h2") => Self::Heading(2),
            Some("h3") => Self::Heading(3),
            Some("h4") => Self::Heading(4),
            Some("h5") => Self::Heading(5),
            Some("h6") => Self::Heading(6),
            Some("quote") => Self::Quote,
            Some("code") => Self::Code,
            Some("bullet") => Self::Bullet,
            Some("ordered") => Self::Ordered,
            Some("task") => Self::Task { done: false },
            Some("done") => Self::Task { done: true },
            _ => Self::Paragraph,
        }
    }
}

/// What a mark says of a line that is indented so far.
pub(in super::super) fn indent_value(indent: u8) -> Scalar {
    if indent == 0 { Scalar::Null } else { Scalar::Int(indent.into()) }
}

/// How far a line is indented of whose line feed these marks are.
pub(in super::super) fn indent_of(marks: &TextMarks<'_>) -> u8 {
    match marks.get(MarkKind::INDENT.name()) {
        Some(Scalar::Int(indent)) => u8::try_from((*indent).clamp(0, 255)).unwrap_or(u8::MAX),
        _ => 0,
    }
}

/// A line of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextBlock<'t> {
    /// Where it is, in scalars, without its line feed.
    pub range: Range<usize>,
    /// What it is.
    pub kind: BlockKind,
    /// How far it is indented.
    pub indent: u8,
    /// What it reads, without its line feed.
    pub runs: Vec<TextRun<'t>>,
}

impl Text {
    /// The lines in their order. One without a line feed at the end of the text is a [paragraph](BlockKind::Paragraph); behind the last line feed there is
    /// none if nothing stands there. As [`runs`](Self::runs) it takes time with the text and its marks.
    ///
    /// ```
    /// use tombolo_crdt::{BlockKind, MarkKind, Replica, ReplicaId, Text};
    ///
    /// let mut text = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = text.try_update(|text| {
    ///     text.push("Tides\nHigh water at six.\n");
    ///     text.set_block(0..5, BlockKind::Heading(1))?;
    ///     text.mark(6..10, MarkKind::BOLD, true)
    /// })?;
    /// let blocks: Vec<_> = text.blocks().collect();
    /// assert_eq!((blocks[0].kind, blocks[0].range.clone()), (BlockKind::Heading(1), 0..5));
    /// assert_eq!((blocks[1].kind, &blocks[1].runs[0].text[..]), (BlockKind::Paragraph, "High"));
    /// # Ok::<(), tombolo_crdt::BadPosition>(())
    /// ```
    pub fn blocks(&self) -> impl Iterator<Item = TextBlock<'_>> {
        let mut runs = self.runs();
        // What is left of a run: from this byte on.
        let mut left: Option<(TextRun<'_>, usize)> = None;
        let mut start = 0;
        core::iter::from_fn(move || {
            let mut line: Vec<TextRun<'_>> = Vec::new();
            loop {
                let Some((mut run, from)) = left.take().or_else(|| Some((runs.next()?, 0))) else {
                    let end = line.last()?.range.end;
                    let range = core::mem::replace(&mut start, end)..end;
                    return Some(TextBlock { range, kind: BlockKind::Paragraph, indent: 0, runs: line });
                };
                let (text, is_whole) = match run.text[from..].find('\n') {
                    Some(len) => (&run.text[from..from + len], false),
                    None => (&run.text[from..], true),
                };
                let end = run.range.start + text.chars().count();
                let after = from + text.len() + 1;
                if !text.is_empty() {
                    let (range, marks) = (run.range.start..end, run.marks.clone());
                    line.push(TextRun { range, text: text.to_string(), marks });
                }
                if is_whole {
                    continue;
                }
                let (kind, indent) = (BlockKind::of(&run.marks), indent_of(&run.marks));
                let range = core::mem::replace(&mut start, end + 1)..end;
                run.range.start = end + 1;
                left = (after < run.text.len()).then_some((run, after));
                return Some(TextBlock { range, kind, indent, runs: line });
            }
        })
    }

    /// Where line feeds stand, from a place on.
    fn line_feeds(&self, from: usize) -> impl Iterator<Item = usize> {
        let letters = self.body.sequence.slice(from, self.len()).flat_map(str::chars);
        letters.enumerate().filter(|(_, letter)| *letter == '\n').map(move |(at, _)| from + at)
    }

    /// Whether a line begins here.
    #[cfg(feature = "markdown")]
    pub(in super::super) fn is_line_start(&self, at: usize) -> bool {
        at == 0 || self.body.sequence.slice(at - 1, at).all(|letter| letter == "\n")
    }
}

impl Mut<'_, Text> {
    /// Has the lines that a part touches be of a kind; an empty part touches the line it is in. A last line without a line feed gets one, unless it is to be a
    /// [paragraph](BlockKind::Paragraph), which it is; where nothing stands behind the last line feed that makes an empty line.
    ///
    /// Of two kinds that are set at the same time one is read.
    ///
    /// # Errors
    /// When there is no such part; nothing changes then.
    pub fn set_block(
        &mut self,
        range: Range<impl Into<Position>>,
        kind: BlockKind,
    ) -> Result<(), BadPosition> {
        let range = self.state.range(range)?;
        self.mark_lines(range, &MarkKind::BLOCK, &kind.value());
        Ok(())
    }

    /// Has the lines that a part touches be indented so far, as [`set_block`](Self::set_block) sets what they are.
    ///
    /// # Errors
    /// When there is no such part; nothing changes then.
    pub fn set_indent(&mut self, range: Range<impl Into<Position>>, indent: u8) -> Result<(), BadPosition> {
        let range = self.state.range(range)?;
        self.mark_lines(range, &MarkKind::INDENT, &indent_value(indent));
        Ok(())
    }

    /// Makes two lines of one, both of its kind and indented as far as it.
    ///
    /// ```
    /// use tombolo_crdt::{BlockKind, Replica, ReplicaId, Text};
    ///
    /// let mut text = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = text.try_update(|text| {
    ///     text.push("milk, bread");
    ///     text.set_block(0..0, BlockKind::Task { done: false })?;
    ///     text.delete(4..6)?;
    ///     text.split_block(4)
    /// })?;
    /// assert_eq!(text.to_string(), "milk\nbread\n");
    /// assert!(text.blocks().all(|block| block.kind == BlockKind::Task { done: false }));
    /// # Ok::<(), tombolo_crdt::BadPosition>(())
    /// ```
    ///
    /// What kind somebody else sets at the same time, the second of both is of.
    ///
    /// # Errors
    /// When there is no such place; nothing changes then.
    pub fn split_block(&mut self, at: impl Into<Position>) -> Result<(), BadPosition> {
        let at = self.state.scalars(at)?;
        let end = self.state.line_feeds(at).next();
        let marks = end.map(|end| self.state.marks_at(end)).unwrap_or_default();
        let meant = [MarkKind::BLOCK, MarkKind::INDENT].map(|kind| {
            let value = marks.get(kind.name()).map_or(Scalar::Null, |value| (*value).clone());
            (kind, value)
        });
        self.put(at, "\n");
        for (kind, value) in meant {
            if *self.state.marks_at(at).get(kind.name()).copied().unwrap_or(&Scalar::Null) != value {
                self.lay(at..at + 1, &kind, &value);
            }
        }
        Ok(())
    }

    /// Marks the line feeds of the lines that a part touches.
    fn mark_lines(&mut self, range: Range<usize>, kind: &MarkKind, value: &Scalar) {
        let last = range.end.saturating_sub(1).max(range.start);
        let mut ends: Vec<usize> = Vec::new();
        for end in self.state.line_feeds(range.start) {
            ends.push(end);
            if end >= last {
                break;
            }
        }
        if ends.last().is_none_or(|end| *end < last) && *value != Scalar::Null {
            ends.push(self.state.len());
            self.put(self.state.len(), "\n");
        }
        ends.into_iter().for_each(|end| self.lay(end..end + 1, kind, value));
    }
}
