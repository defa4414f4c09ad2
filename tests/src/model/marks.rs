//! What marks lie over, as the essay on Peritext has it: all that was ever laid, looked through for each letter, and all letters that ever were, in their
//! order: those that were deleted keep their places in it.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::{Expand, MarkKind, ReplicaId, Scalar};

use super::definitions::Deed;
use super::history::History;
use super::order::{Fugue, Ghosts};

/// A mark that was laid, with the letters by which it stands: `None` for the border of the text.
#[derive(Clone, Debug)]
struct Laid<L> {
    kind: usize,
    value: Scalar,
    order: u64,
    by: ReplicaId,
    start: Option<(L, bool)>,
    end: Option<(L, bool)>,
    /// Which marks it replaced; and whether it was written itself.
    covers: Vec<usize>,
    is_written: bool,
}

/// A text as somebody reads it: the letters that are there, of which no two are alike, and where those stood that were deleted.
#[derive(Clone, Debug)]
pub struct Page<L> {
    text: Vec<L>,
    /// Of each letter that ever was how many stand before it, and whether it is there.
    places: BTreeMap<L, (usize, bool)>,
}

impl<L: Copy + Ord> Page<L> {
    /// Of all letters that ever were, in their order, those that are there.
    #[must_use]
    pub fn new(all: &[L], is_there: impl Fn(L) -> bool) -> Self {
        let text: Vec<L> = all.iter().copied().filter(|letter| is_there(*letter)).collect();
        let mut before = 0;
        let place = |letter: &L| {
            let is_there = is_there(*letter);
            let place = (*letter, (before, is_there));
            before += usize::from(is_there);
            place
        };
        Self { places: all.iter().map(place).collect(), text }
    }

    /// What is read, in its order.
    #[must_use]
    pub fn text(&self) -> &[L] {
        &self.text
    }
}

/// All marks that were laid, on letters of which no two are alike.
#[derive(Clone, Debug)]
pub struct Essay<L> {
    kinds: &'static [MarkKind],
    laid: Vec<Laid<L>>,
}

impl<L: Copy + Ord> Essay<L> {
    /// None so far; of these kinds there may be some.
    #[must_use]
    pub fn new(kinds: &'static [MarkKind]) -> Self {
        Self { kinds, laid: Vec::new() }
    }

    /// The marks of a kind that are known and that nobody replaced.
    fn standing(&self, known: &BTreeSet<usize>, kind: usize) -> Vec<usize> {
        let covered: BTreeSet<usize> = known.iter().flat_map(|at| self.laid[*at].covers.clone()).collect();
        let stands = |at: &&usize| {
            let laid = &self.laid[**at];
            laid.kind == kind && laid.is_written && !covered.contains(at)
        };
        known.iter().filter(stands).copied().collect()
    }

    /// How much is read before where a mark begins, and before where it ends.
    fn span(&self, at: usize, page: &Page<L>) -> (usize, usize) {
        let place = |anchor: Option<(L, bool)>, border| {
            anchor.map_or(border, |(letter, is_behind)| {
                let (before, is_there) = page.places[&letter];
                before + usize::from(is_behind && is_there)
            })
        };
        let laid = &self.laid[at];
        (place(laid.start, 0), place(laid.end, page.text.len()))
    }

    /// Lays a mark over a part of the text, by one who knows these marks, and knows it from then on.
    pub fn mark(
        &mut self,
        by: ReplicaId,
        known: &mut BTreeSet<usize>,
        (start, end): (usize, usize),
        kind: usize,
        value: &Scalar,
        page: &Page<L>,
    ) {
        if start == end {
            return;
        }
        let text = &page.text;
        let standing = self.standing(known, kind);
        let (covers, others): (Vec<usize>, Vec<usize>) = standing.iter().partition(|at| {
            // One of which nothing is read any more as well, if it stood right before something that is marked.
            let span = self.span(**at, page);
            (start..end).contains(&span.0) && span.1 <= end
        });
        let is_over = others.iter().any(|at| {
            let span = self.span(*at, page);
            span.0 < end && start < span.1
        });
        let is_written = *value != Scalar::Null || is_over;
        let expand = match (self.kinds[kind].expand(), value) {
            (Expand::None, Scalar::Null) => Expand::Both,
            (Expand::Both, Scalar::Null) => Expand::None,
            (expand, _) => expand,
        };
        let start = if matches!(expand, Expand::Before | Expand::Both) {
            start.checked_sub(1).map(|before| (text[before], true))
        } else {
            Some((text[start], false))
        };
        let end = if matches!(expand, Expand::After | Expand::Both) {
            text.get(end).map(|letter| (*letter, false))
        } else {
            Some((text[end - 1], true))
        };
        let order = others.iter().map(|at| self.laid[*at].order).max().unwrap_or(0) + 1;
        known.insert(self.laid.len());
        let laid = Laid { kind, value: value.clone(), order, by, start, end, covers, is_written };
        self.laid.push(laid);
    }

    /// What each letter has for one who knows these marks, by the names of kinds.
    #[must_use]
    pub fn read(&self, known: &BTreeSet<usize>, page: &Page<L>) -> Vec<BTreeMap<&str, &Scalar>> {
        let mut read = vec![BTreeMap::new(); page.text.len()];
        for (kind, of) in self.kinds.iter().enumerate() {
            let mut standing = self.standing(known, kind);
            standing.sort_by_key(|at| (self.laid[*at].order, self.laid[*at].by, *at));
            for at in standing {
                let (start, end) = self.span(at, page);
                for letter in &mut read[start..end.max(start)] {
                    match &self.laid[at].value {
                        Scalar::Null => letter.remove(of.name()),
                        value => letter.insert(of.name(), value),
                    };
                }
            }
        }
        read
    }
}

/// What is done to the text of a small scope, in which some is marked.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// A part of the text is marked, or is so no more.
    Mark(usize, usize, bool),
    /// A letter is typed.
    Type(usize),
}

/// The letters that a text begins with, and the one that is typed into it.
pub const LETTERS: [char; 4] = ['a', 'b', 'c', 'x'];

/// What an operation of the small scope does to a text of this length.
#[must_use]
pub fn part(which: u8, on: bool, len: usize) -> Part {
    match (which, on) {
        (0, true) => Part::Mark(0, 2, true),
        (_, true) => Part::Mark(1, len, true),
        (0, false) => Part::Mark(1, 2, false),
        // Where what is marked first ends.
        (_, false) => Part::Type(2),
    }
}

/// What the mark says that an operation lays.
#[must_use]
pub fn said(kind: &MarkKind, which: u8) -> Scalar {
    if *kind == MarkKind::LINK { Scalar::Text(format!("page {which}")) } else { Scalar::Bool(true) }
}

/// The letters that are read by who has seen this, and what the mark of this kind says of each.
#[must_use]
pub fn marked(
    history: &History<Deed>,
    visible: &[usize],
    kinds: &'static [MarkKind; 1],
) -> Vec<(char, Option<Scalar>)> {
    let each = LETTERS.len();
    let mut letters = Fugue::new(Ghosts::HungOn);
    let mut essay = Essay::new(kinds);
    let mut laid: BTreeMap<usize, usize> = BTreeMap::new();
    let written =
        |events: &[usize]| events.iter().flat_map(|event| event * each..(event + 1) * each).collect();
    let known = |laid: &BTreeMap<usize, usize>, events: &[usize]| {
        events.iter().filter_map(|event| laid.get(event).copied()).collect::<BTreeSet<_>>()
    };
    for &event in visible {
        let (before, operation) = (history.before(event), history.operation(event));
        let Deed::Act(which, on) = operation.what else { panic!("{:?} marks nothing", operation.what) };
        let (by, mut seen) = (operation.author, written(&before));
        if letters.read(&seen).is_empty() {
            for at in 0..each - 1 {
                letters.insert(event * each + at, by, at, &seen);
                seen.insert(event * each + at);
            }
        }
        let text = letters.read(&seen);
        match part(which, on, text.len()) {
            Part::Mark(start, end, on) => {
                let mut known = known(&laid, &before);
                let value = if on { said(&kinds[0], which) } else { Scalar::Null };
                laid.insert(event, essay.laid.len());
                essay.mark(by, &mut known, (start, end), 0, &value, &Page::new(&text, |_| true));
            }
            Part::Type(at) => letters.insert(event * each + each - 1, by, at, &seen),
        }
    }
    let text = letters.read(&written(visible));
    let read = essay.read(&known(&laid, visible), &Page::new(&text, |_| true));
    let said = |marks: BTreeMap<&str, &Scalar>| marks.get(kinds[0].name()).map(|value| (*value).clone());
    text.iter().zip(read).map(|(letter, marks)| (LETTERS[letter % each], said(marks))).collect()
}
