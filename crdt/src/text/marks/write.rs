//! Laying marks and taking them away.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::super::{BadPosition, Body, Position, Text};
use super::store::key_of;
use super::told::{Anchor, MAX_ORDER, tell};
use super::{Expand, Mark, MarkKind, Marks, Span, Spans};
use crate::Scalar;
use crate::causal::{LocalDot, Tx};
use crate::delta::PlaceId;
use crate::store::{FADING, Mut, deeper};

impl Mut<'_, Text> {
    /// Marks a part of the text: of marks of this kind that are seen there only what sticks out stays. What others type within it at the same time has it as
    /// well; what is typed at its ends as the kind [says](MarkKind::expand).
    ///
    /// ```
    /// use tombolo_crdt::{MarkKind, Replica, ReplicaId, Scalar, Text};
    ///
    /// let mut ann = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = ann.update(|text| text.push("The fox jumped."));
    /// let mut bob = ann.fork(ReplicaId::from_bytes([2; 16]));
    /// // At the same time:
    /// let (_, hers) = ann.try_update(|text| text.mark(0..7, MarkKind::BOLD, true))?;
    /// let (_, his) = bob.try_update(|text| {
    ///     text.insert(4, "red ")?;
    ///     text.mark(8..18, MarkKind::ITALIC, true)
    /// })?;
    /// ann.merge(his).unwrap();
    /// bob.merge(hers).unwrap();
    /// let runs: Vec<_> = ann.runs().map(|run| (run.text, run.marks.into_keys().collect::<Vec<_>>())).collect();
    /// assert_eq!(runs[0], ("The red ".to_owned(), vec!["bold"]));
    /// assert_eq!(runs[1], ("fox".to_owned(), vec!["bold", "italic"]));
    /// assert_eq!(runs[2], (" jumped".to_owned(), vec!["italic"]));
    /// assert!(ann.runs().eq(bob.runs()));
    /// # Ok::<(), tombolo_crdt::BadPosition>(())
    /// ```
    ///
    /// [`Scalar::Null`] takes the mark away.
    ///
    /// # Errors
    /// When there is no such part; nothing changes then.
    pub fn mark(
        &mut self,
        range: Range<impl Into<Position>>,
        kind: impl Into<MarkKind>,
        value: impl Into<Scalar>,
    ) -> Result<(), BadPosition> {
        let range = self.state.range(range)?;
        self.lay(range, &kind.into(), &value.into());
        Ok(())
    }

    /// Takes marks of a kind away from a part of the text, as far as they are seen. A mark that somebody lays there at the same time
    /// stays, except where one is seen that sticks out: there one of both is followed.
    ///
    /// # Errors
    /// When there is no such part; nothing changes then.
    pub fn unmark(
        &mut self,
        range: Range<impl Into<Position>>,
        kind: impl Into<MarkKind>,
    ) -> Result<(), BadPosition> {
        self.mark(range, kind, Scalar::Null)
    }

    /// Inserts text that has these marks and no others, whatever stands around it.
    ///
    /// # Errors
    /// When there is no such place; nothing changes then.
    pub fn insert_marked(
        &mut self,
        at: impl Into<Position>,
        text: &str,
        marks: impl IntoIterator<Item = (MarkKind, Scalar)>,
    ) -> Result<(), BadPosition> {
        let at = self.state.scalars(at)?;
        let before = self.state.len();
        self.put(at, text);
        let range = at..at + self.state.len() - before;
        let mut meant: BTreeMap<String, (MarkKind, Scalar)> =
            marks.into_iter().map(|(kind, value)| (kind.name().to_owned(), (kind, value))).collect();
        for (name, mark) in self.state.seen_at(range.start) {
            match meant.entry(name.to_owned()) {
                Entry::Vacant(other) => _ = other.insert((mark.kind(), Scalar::Null)),
                Entry::Occupied(same) if same.get().1 == mark.value => _ = same.remove(),
                Entry::Occupied(_) => {}
            }
        }
        meant.into_values().for_each(|(kind, value)| self.lay(range.clone(), &kind, &value));
        Ok(())
    }

    /// Lays a mark over a part that there is, or takes it away.
    pub(in super::super) fn lay(&mut self, range: Range<usize>, kind: &MarkKind, value: &Scalar) {
        if range.is_empty() {
            return;
        }
        let expand = if *value == Scalar::Null { kind.expand().of_removal() } else { kind.expand() };
        deeper(deeper(self.depth));
        let Text { body, marks } = &mut *self.state;
        let marks = marks.get_or_insert_default();
        let mut hand = Hand { marks, body, tx: self.tx, place: self.place, name: Arc::from(kind.name()) };
        hand.lay(range, expand, value);
        if marks.is_empty() {
            self.state.marks = None;
        }
    }
}

/// So many marks that are replaced at once are not taken out of what is known of the others one by one.
const MANY: usize = 64;

/// Writes marks of one name.
struct Hand<'h> {
    marks: &'h mut Marks,
    body: &'h mut Body,
    tx: &'h mut Tx,
    place: PlaceId,
    name: Arc<str>,
}

impl Hand<'_> {
    fn lay(&mut self, range: Range<usize>, expand: Expand, value: &Scalar) {
        let (within, is_over) = self.marks.replaced(self.body, &self.name, &range);
        if within.len() > MANY {
            self.marks.forget_spans(&self.name);
        }
        within.into_iter().for_each(|dot| self.cover(dot));
        if *value == Scalar::Null && !is_over {
            return;
        }
        // Nobody honest gets to the end of it; there ids decide.
        let order = (self.marks.top(&self.name) + 1).min(MAX_ORDER);
        self.put(&range, expand, order, value);
    }

    fn cover(&mut self, dot: LocalDot) {
        if let Some(mark) = self.marks.take(self.body, dot) {
            let place = self.below();
            self.tx.take_run(place, dot, 1, &mark.told);
        }
    }

    /// Where marks of this name are told.
    fn below(&mut self) -> PlaceId {
        let above = self.tx.draft.child(self.place, |key| key.extend_from_slice(FADING));
        self.tx.draft.child(above, |key| key.extend_from_slice(&key_of(&self.name)))
    }

    fn put(&mut self, range: &Range<usize>, expand: Expand, order: u64, value: &Scalar) {
        let letter = |at: usize| self.body.sequence.element_at(at);
        let start = match (expand.is_before(), range.start) {
            (true, 0) => Anchor::BORDER,
            (true, start) => Anchor { letter: letter(start - 1), is_behind: true },
            (false, start) => Anchor { letter: letter(start), is_behind: false },
        };
        let end = match (expand.is_after(), range.end) {
            (true, end) if end == self.body.len() => Anchor::BORDER,
            (true, end) => Anchor { letter: letter(end), is_behind: false },
            (false, end) => Anchor { letter: letter(end - 1), is_behind: true },
        };
        let author = self.body.sequence.row(self.tx.id());
        let place = self.below();
        let dot = self.tx.dot();
        let here = LocalDot::new(author, dot.counter());
        let ids = self.body.sequence.ids();
        let told = tell(here, order, (start, end), value, self.tx.kept, |row| ids.id(row));
        self.tx.draft.put(place, dot, |out| out.extend_from_slice(&told));
        let (name, value) = (Arc::clone(&self.name), value.clone());
        let span = Span { start: range.start, end: range.end, mark: dot };
        self.marks.lay(self.body, Mark { name, dot: here, told, order, start, end, value }, span);
    }
}

impl Marks {
    /// The highest order of marks of a name.
    fn top(&self, name: &str) -> u64 {
        self.groups.get(name).and_then(|group| group.marks.last()).map_or(0, |(order, _)| *order)
    }

    /// Those marks of a name that lie within a part, and whether another lies over some of it.
    fn replaced(&mut self, body: &Body, name: &str, part: &Range<usize>) -> (Vec<LocalDot>, bool) {
        let Self { marks, groups, era, .. } = self;
        let Some(group) = groups.get_mut(name) else { return (Vec::new(), false) };
        if group.spans.as_ref().is_none_or(|(of, _)| of != era) {
            let spans = group.marks.iter().map(|(_, dot)| Self::span(body, *dot, &marks[dot]));
            group.spans = Some((*era, Spans::new(spans.collect())));
        }
        group.spans.as_ref().map_or_else(Default::default, |(_, spans)| spans.replaced(part))
    }

    /// What marks of a name lie over is to be looked up anew.
    fn forget_spans(&mut self, name: &str) {
        if let Some(group) = self.groups.get_mut(name) {
            group.spans = None;
        }
    }

    /// Takes out a mark, where it is known what the others of its name lie over.
    fn take(&mut self, body: &mut Body, dot: LocalDot) -> Option<Mark> {
        let mark = self.marks.get(&dot)?;
        let span = Self::span(body, dot, mark);
        let spans = self.groups.get_mut(&mark.name).and_then(|group| group.spans.take());
        let mark = self.remove(body, dot)?;
        if let (Some(group), Some((era, mut spans))) = (self.groups.get_mut(&mark.name), spans) {
            spans.remove(&span);
            group.spans = Some((era, spans));
        }
        Some(mark)
    }

    /// Puts a new mark in that lies over this part.
    fn lay(&mut self, body: &mut Body, mark: Mark, span: Span) {
        let name = Arc::clone(&mark.name);
        let spans = self.groups.get_mut(&name).and_then(|group| group.spans.take());
        self.insert(body, span.mark, mark);
        let (Some(group), era) = (self.groups.get_mut(&name), self.era) else { return };
        let mut spans = spans.unwrap_or_else(|| (era, Spans::default()));
        spans.1.insert(span);
        group.spans = Some(spans).filter(|(of, spans)| *of == era && spans.len() == group.marks.len());
    }
}
