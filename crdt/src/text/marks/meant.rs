//! What parts of a text are meant to have, laid in few marks: each is compared with what is read there.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::discriminant;
use core::ops::Range;

use super::super::Text;
use super::block::{BlockKind, indent_of, indent_value};
use super::{MarkKind, TextMarks};
use crate::Scalar;
use crate::store::Mut;

/// What a part is meant to have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in super::super) struct Meant {
    /// And nothing else.
    pub(in super::super) is_all: bool,
    /// By their names; of blocks none.
    pub(in super::super) marks: BTreeMap<String, Scalar>,
    /// What its lines are.
    pub(in super::super) kind: Option<BlockKind>,
    /// Lines of these kinds are none any more, whatever heading or task they are.
    pub(in super::super) gone: Vec<BlockKind>,
    /// How far its lines are indented.
    pub(in super::super) indent: Option<u8>,
}

/// Of each name what to lay where.
type Lays = BTreeMap<String, Vec<(Range<usize>, Scalar)>>;

impl Mut<'_, Text> {
    /// Has parts that there are, in their order, have what they are meant to. Line feeds keep marks of letters.
    pub(in super::super) fn have(&mut self, parts: &[(Range<usize>, Meant)]) {
        let (Some((first, _)), Some((last, _))) = (parts.first(), parts.last()) else { return };
        let mut lays = Lays::new();
        let mut rest = parts;
        for run in self.state.runs_within(first.start..last.end) {
            let mut letters = run.range.zip(run.text.chars()).peekable();
            while let Some((start, letter)) = letters.next() {
                while rest.first().is_some_and(|(part, _)| part.end <= start) {
                    rest = &rest[1..];
                }
                let Some((part, meant)) = rest.first().filter(|(part, _)| part.start <= start) else {
                    continue;
                };
                let is_feed = letter == '\n';
                let mut end = start + 1;
                while !is_feed && letters.next_if(|(at, next)| *at < part.end && *next != '\n').is_some() {
                    end += 1;
                }
                meant.compare(start..end, &run.marks, is_feed, &mut lays);
            }
        }
        for (name, parts) in lays {
            let kind = MarkKind::named(name);
            parts.into_iter().for_each(|(part, value)| self.lay(part, &kind, &value));
        }
    }
}

impl Meant {
    /// Says what to lay over a part that has these marks.
    fn compare(&self, part: Range<usize>, marks: &TextMarks<'_>, is_feed: bool, lays: &mut Lays) {
        let mut want = |name: &str, value: &Scalar| {
            if marks.get(name).copied().unwrap_or(&Scalar::Null) == value {
                return;
            }
            if !lays.contains_key(name) {
                lays.insert(name.to_owned(), Vec::new());
            }
            let Some(lays) = lays.get_mut(name) else { return };
            match lays.last_mut() {
                Some((before, same)) if before.end == part.start && same == value => before.end = part.end,
                _ => lays.push((part.clone(), value.clone())),
            }
        };
        self.marks.iter().for_each(|(name, value)| want(name, value));
        if !is_feed {
            let others = marks.keys().filter(|name| self.is_all && !self.marks.contains_key(**name));
            return others.for_each(|name| want(name, &Scalar::Null));
        }
        let is_gone = |kind: &BlockKind| discriminant(kind) == discriminant(&BlockKind::of(marks));
        let is_plain = self.is_all || self.gone.iter().any(is_gone);
        if let Some(kind) = self.kind.or(is_plain.then_some(BlockKind::Paragraph)) {
            want(MarkKind::BLOCK.name(), &kind.value());
        }
        if let Some(indent) = self.indent.or(self.is_all.then_some(0))
            && (self.is_all || indent != indent_of(marks))
        {
            want(MarkKind::INDENT.name(), &indent_value(indent));
        }
    }
}
