//! What is read of marks: of each name the parts of the text that have it, and the text in runs.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::super::{BadPosition, Body, Position, Text};
use super::{Mark, Marks, Span};
use crate::Scalar;
use crate::store::{Marked, Plain};

/// What marks say of a letter, by their names.
pub type TextMarks<'t> = BTreeMap<&'t str, &'t Scalar>;

/// A part of a text of which all letters have the same marks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextRun<'t> {
    /// Where it is, in scalars.
    pub range: Range<usize>,
    /// What it reads.
    pub text: String,
    /// What marks say of it.
    pub marks: TextMarks<'t>,
}

/// Parts of a text that have a mark of one name, in their order, with what it says. What meets says something else.
type Parts<S> = Vec<(Range<usize>, S)>;

/// Of each name the parts that have it, as they were seen.
pub(crate) type Laid = BTreeMap<String, Parts<Scalar>>;

impl Text {
    /// The text in runs: of each, all letters have the same marks, and those of the next have others. Of `m` marks O(m log m) and the text.
    ///
    /// ```
    /// use tombolo_crdt::{MarkKind, Replica, ReplicaId, Scalar, Text};
    ///
    /// let mut text = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = text.try_update(|text| {
    ///     text.push("The tide falls.");
    ///     text.mark(4..8, MarkKind::BOLD, true)
    /// })?;
    /// let runs: Vec<_> = text.runs().collect();
    /// assert_eq!((runs.len(), &runs[1].text[..], runs[1].range.clone()), (3, "tide", 4..8));
    /// assert_eq!(runs[1].marks["bold"], &Scalar::Bool(true));
    /// # Ok::<(), tombolo_crdt::BadPosition>(())
    /// ```
    pub fn runs(&self) -> impl Iterator<Item = TextRun<'_>> {
        self.runs_within(0..self.len())
    }

    /// The [runs](Self::runs) of a part of the text.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn runs_in(
        &self,
        range: Range<impl Into<Position>>,
    ) -> Result<impl Iterator<Item = TextRun<'_>>, BadPosition> {
        Ok(self.runs_within(self.range(range)?))
    }

    pub(super) fn runs_within(&self, within: Range<usize>) -> impl Iterator<Item = TextRun<'_>> {
        // Where what a mark says begins and ends.
        let mut turns: Vec<(usize, &str, Option<&Scalar>)> = Vec::new();
        for (name, parts) in self.marks.iter().flat_map(|marks| marks.parts(&self.body)) {
            for (part, value) in parts {
                let (start, end) = (part.start.max(within.start), part.end.min(within.end));
                if start < end {
                    turns.push((start, name, Some(value)));
                    turns.push((end, name, None));
                }
            }
        }
        // What ends comes before what begins there.
        turns.sort_by_key(|(at, _, value)| (*at, value.is_some()));
        let mut turns = turns.into_iter().peekable();
        let mut marks = TextMarks::new();
        let mut at = within.start;
        core::iter::from_fn(move || {
            while let Some((_, name, value)) = turns.next_if(|(turn, ..)| *turn <= at) {
                match value {
                    Some(value) => marks.insert(name, value),
                    None => marks.remove(name),
                };
            }
            let end = turns.peek().map_or(within.end, |(turn, ..)| *turn);
            let range = core::mem::replace(&mut at, end)..end;
            (!range.is_empty()).then(|| TextRun {
                text: self.body.sequence.slice(range.start, range.end).collect(),
                range,
                marks: marks.clone(),
            })
        })
    }

    /// What marks say of the letter at `at`; nothing at the end. Time with the number of marks.
    #[must_use]
    pub fn marks_at(&self, at: usize) -> TextMarks<'_> {
        self.seen_at(at).into_iter().map(|(name, mark)| (name, &mark.value)).collect()
    }

    /// The marks that are read of the letter at `at`, by their names.
    pub(super) fn seen_at(&self, at: usize) -> BTreeMap<&str, &Mark> {
        let mut found: BTreeMap<&str, &Mark> = BTreeMap::new();
        for (dot, mark) in self.marks.iter().flat_map(|marks| &marks.marks) {
            let Span { start, end, .. } = Marks::span(&self.body, *dot, mark);
            if (start..end).contains(&at) {
                let over = found.entry(&mark.name).or_insert(mark);
                if Marks::order(&self.body, over, mark).is_lt() {
                    *over = mark;
                }
            }
        }
        found.retain(|_, mark| mark.value != Scalar::Null);
        found
    }
}

impl Marks {
    /// Of each name the parts that have it.
    fn parts<'m>(&'m self, body: &'m Body) -> impl Iterator<Item = (&'m str, Parts<&'m Scalar>)> {
        self.groups.keys().map(|name| (&**name, parts_of(body, self.spans(body, name))))
    }

    /// Of each name the parts that have it, to be looked at later.
    pub(in super::super) fn laid(&self, body: &Body) -> Laid {
        let own = |(part, value): (Range<usize>, &Scalar)| (part, value.clone());
        self.parts(body)
            .map(|(name, parts)| (name.to_owned(), parts.into_iter().map(own).collect()))
            .collect()
    }

    /// What of it lies within these parts, which ascend.
    pub(in super::super) fn within(laid: Laid, parts: impl Iterator<Item = Range<usize>> + Clone) -> Laid {
        let clip = |(part, value): &(Range<usize>, Scalar)| {
            let (part, value) = (part.clone(), value.clone());
            let clipped = parts.clone().map(move |of| of.start.max(part.start)..of.end.min(part.end));
            let clipped: Parts<Scalar> =
                clipped.filter(|part| part.start < part.end).map(|part| (part, value.clone())).collect();
            clipped
        };
        laid.into_iter().map(|(name, all)| (name, all.iter().flat_map(clip).collect())).collect()
    }

    /// What became of it: what is read otherwise, where letters stayed that stood there `before` and those that came had no marks. `kept` says
    /// where letters stayed: where they stood, where they stand, and how many.
    pub(in super::super) fn changed(
        body: &Body,
        before: &Laid,
        kept: &[(usize, usize, usize)],
        now: &Laid,
    ) -> Vec<Marked> {
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let none = Vec::new();
        let mut changed = Vec::new();
        for name in names {
            let was = moved(before.get(name).unwrap_or(&none), kept);
            let is = now.get(name).unwrap_or(&none);
            let mut turns: Vec<usize> =
                was.iter().chain(is).flat_map(|(part, _)| [part.start, part.end]).collect();
            turns.sort_unstable();
            turns.dedup();
            let start = changed.len();
            for turn in turns.windows(2) {
                let (was, is) = (value_at(&was, turn[0]), value_at(is, turn[0]));
                if was == is {
                    continue;
                }
                let value = is.map_or(Plain::Null, Plain::of);
                match changed[start..].last_mut() {
                    Some(Marked { at, len, value: last, .. }) if *at + *len == turn[0] && *last == value => {
                        *len += turn[1] - turn[0];
                    }
                    _ => changed.push(Marked {
                        at: turn[0],
                        len: turn[1] - turn[0],
                        utf16: 0..0,
                        bytes: 0..0,
                        name: name.clone(),
                        value,
                    }),
                }
            }
        }
        for part in &mut changed {
            let [from, to] = [part.at, part.at + part.len].map(|at| body.sequence.width_before(at));
            (part.utf16, part.bytes) = (from.utf16..to.utf16, from.bytes..to.bytes);
        }
        changed
    }
}

/// The parts that have any of these marks, which are of one name.
fn parts_of<'m>(body: &Body, marks: impl Iterator<Item = (&'m Mark, Span)>) -> Parts<&'m Scalar> {
    let mut marks: Vec<(&Mark, Span)> = marks.filter(|(_, span)| span.start < span.end).collect();
    marks.sort_unstable_by(|(a, _), (b, _)| Marks::order(body, a, b));
    let mut turns: Vec<(usize, usize)> = Vec::with_capacity(2 * marks.len());
    for (rank, (_, span)) in marks.iter().enumerate() {
        turns.extend([(span.start, rank), (span.end, rank)]);
    }
    turns.sort_unstable();
    let mut parts: Parts<&Scalar> = Vec::new();
    let mut there: BTreeSet<usize> = BTreeSet::new();
    for (nth, &(at, rank)) in turns.iter().enumerate() {
        if !there.remove(&rank) {
            there.insert(rank);
        }
        let Some(&(end, _)) = turns.get(nth + 1) else { break };
        let value = there.last().map(|rank| &marks[*rank].0.value).filter(|value| **value != Scalar::Null);
        let Some(value) = value.filter(|_| at < end) else { continue };
        match parts.last_mut() {
            Some((part, last)) if part.end == at && *last == value => part.end = end,
            _ => parts.push((at..end, value)),
        }
    }
    parts
}

/// Parts where they are now, as far as their letters stayed.
fn moved(parts: &Parts<Scalar>, kept: &[(usize, usize, usize)]) -> Parts<Scalar> {
    let mut moved: Parts<Scalar> = Vec::new();
    for (part, value) in parts {
        let from = kept.partition_point(|(was, _, len)| was + len <= part.start);
        for &(was, is, len) in kept[from..].iter().take_while(|(was, ..)| *was < part.end) {
            let (start, end) = (part.start.max(was), part.end.min(was + len));
            if start < end {
                moved.push((start - was + is..end - was + is, value.clone()));
            }
        }
    }
    moved
}

fn value_at(parts: &Parts<Scalar>, at: usize) -> Option<&Scalar> {
    let (part, value) = parts.get(parts.partition_point(|(part, _)| part.end <= at))?;
    part.contains(&at).then_some(value)
}
