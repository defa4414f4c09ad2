//! Marks on letters: bold, links, comments, kinds of paragraphs.
//!
//! *Merge rule*: a mark is laid over what stands between two letters, and what others type there has it as well. Of marks of one kind that overlap the one that was laid last, by who
//! had seen the other, is read, and of two that were laid at the same time the one everywhere. *Concurrent pair*: two marks of different
//! kinds: both; two of one kind: one of them where they overlap; a mark and typing within it: what was typed has it; laying one and taking one away: what was
//! laid stays, but where a mark is taken away in part, as of two of one kind. *Metadata*: a mark that lies within a later one of its kind is replaced by it; of
//! marks that are read each has one dot, with two letters by which it stands. *Lost on conflict*: of two values of one kind one, where they overlap. *Source*: Peritext, Litt, Lim, Kleppmann and van Hardenberg
//! 2022; that what is covered goes is ours: decision 0035.

mod block;
mod edge;
mod kind;
mod meant;
mod read;
mod spans;
mod store;
mod told;
mod write;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use super::Body;
use crate::Scalar;
use crate::causal::LocalDot;
use crate::delta::Bytes;
pub(super) use block::indent_of;
pub use block::{BlockKind, TextBlock};
pub use kind::{Expand, MarkKind};
pub(super) use meant::Meant;
pub(crate) use read::Laid;
pub use read::{TextMarks, TextRun};
use spans::Spans;
use told::Anchor;
pub(crate) use told::{readable_mark, renamed};

/// A mark.
#[derive(Clone, Debug)]
struct Mark {
    name: Arc<str>,
    /// Its dot, as the sequence calls it.
    dot: LocalDot,
    /// As its author told it.
    told: Bytes,
    /// Higher than that of every mark of its name its author had seen.
    order: u64,
    start: Anchor,
    end: Anchor,
    /// Null: what is below it is taken away.
    value: Scalar,
}

impl Mark {
    /// The kind it is of: it goes on where the letters by which it stands are not its own.
    fn kind(&self) -> MarkKind {
        let is_before = self.start.letter.is_none() || self.start.is_behind;
        MarkKind::of(&self.name, Expand::at(is_before, !self.end.is_behind))
    }
}

/// Marks of one name.
#[derive(Clone, Default, Debug)]
struct Group {
    /// With their orders. INVARIANT: not empty.
    marks: BTreeSet<(u64, LocalDot)>,
    /// Where they stood when the text was of this era.
    spans: Option<(u64, Spans)>,
}

/// The letters that a mark lies over, by their places: as many as there are between.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    mark: LocalDot,
}

/// The marks of a text.
#[derive(Clone, Default, Debug)]
pub(super) struct Marks {
    /// By their dots, as the replica calls them.
    marks: BTreeMap<LocalDot, Mark>,
    groups: BTreeMap<Arc<str>, Group>,
    /// The letters by which they stand, as the sequence calls them, with whether behind them.
    anchors: BTreeSet<(LocalDot, bool, LocalDot)>,
    /// Another one whenever something may stand elsewhere than it did.
    era: u64,
}

impl Marks {
    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Letters have come or gone.
    pub(super) fn moved(&mut self) {
        self.era += 1;
    }

    fn insert(&mut self, body: &mut Body, dot: LocalDot, mark: Mark) {
        if self.marks.contains_key(&dot) {
            return;
        }
        for anchor in [mark.start, mark.end] {
            anchor.letter.into_iter().for_each(|letter| body.sequence.need(letter));
            self.anchors.extend(anchor.letter.map(|letter| (letter, anchor.is_behind, dot)));
        }
        let group = self.groups.entry(Arc::clone(&mark.name)).or_default();
        group.marks.insert((mark.order, dot));
        group.spans = None;
        self.marks.insert(dot, mark);
    }

    fn remove(&mut self, body: &mut Body, dot: LocalDot) -> Option<Mark> {
        let mark = self.marks.remove(&dot)?;
        for anchor in [mark.start, mark.end] {
            if let Some(letter) = anchor.letter {
                self.anchors.remove(&(letter, anchor.is_behind, dot));
                let from = (letter, false, LocalDot::from_bits(0));
                if self.anchors.range(from..).next().is_none_or(|(other, ..)| *other != letter) {
                    body.sequence.leave(letter);
                }
            }
        }
        if let Some(group) = self.groups.get_mut(&mark.name) {
            group.marks.remove(&(mark.order, dot));
            group.spans = None;
            if group.marks.is_empty() {
                self.groups.remove(&mark.name);
            }
        }
        Some(mark)
    }

    /// How many letters stand before where a mark begins, and before where it ends.
    fn span(body: &Body, dot: LocalDot, mark: &Mark) -> Span {
        let place = |anchor: Anchor, border: usize| match anchor.letter {
            None => border,
            Some(letter) => {
                let (before, is_there) = body.sequence.index_of(letter);
                before + usize::from(anchor.is_behind && is_there)
            }
        };
        // What stood by letters of which nothing is known any more stands nowhere.
        let is_known = |anchor: &Anchor| anchor.letter.is_none_or(|letter| body.sequence.knows(letter));
        let is_somewhere = [mark.start, mark.end].iter().all(is_known);
        let (start, end) =
            if is_somewhere { (place(mark.start, 0), place(mark.end, body.len())) } else { (0, 0) };
        Span { start, end: end.max(start), mark: dot }
    }
}
