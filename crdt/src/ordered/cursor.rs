//! Places that stay where they are while others write.

use alloc::vec::Vec;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{ABSENT, Elements, Ordered};
use crate::causal::{Dot, LocalDot, MAX_COUNTER, ReplicaId};
use crate::sequence::{Origin, START, Side};

/// To which of the letters or elements around it a [`Cursor`] keeps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Bias {
    /// To the one before it: what is typed here comes behind the cursor.
    Before,
    /// To the one behind it: what is typed here comes before the cursor.
    After,
}

/// A place in a text or list that stays where it is whatever is inserted and deleted around it, here and elsewhere: it keeps to a letter or an element, also when that
/// is deleted. It can be kept and sent to others.
///
/// Where a deleted letter stood is [forgotten](crate::Replica::sweep) at last, with all that was typed with it. A cursor does not move by that: it says itself
/// where what was typed with its letter began, and where that which it was typed into began, and so on, sixteen times at most. So it stands
/// between what stood on both sides of it as long as one of these is known; then by the letter on its other side; and if that is forgotten
/// as well, behind what is left of what their author wrote before it, which may be elsewhere. All who know the same find it at the same place.
///
/// ```
/// use tombolo_crdt::{Bias, Replica, ReplicaId, Text};
///
/// let mut ann = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
/// let _ = ann.update(|text| text.push("The tide falls."));
/// let mut bob = ann.fork(ReplicaId::from_bytes([2; 16]));
/// let cursor = ann.cursor(9, Bias::After)?;
/// // At the same time, before it and around it:
/// let (_, typed) = bob.try_update(|text| text.insert(0, "At noon: "))?;
/// let _ = ann.try_update(|text| text.delete(4..14))?;
/// ann.merge(typed).unwrap();
/// assert_eq!(ann.to_string(), "At noon: The .");
/// assert_eq!(ann.find(&cursor), Some(13));
/// # Ok::<(), tombolo_crdt::BadPosition>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Cursor {
    /// `None`: the start or the end of the text, to which it keeps.
    pub(crate) letter: Option<Letter>,
    pub(crate) bias: Bias,
    /// The one on the other side.
    pub(crate) other: Option<Letter>,
    /// Where the run of the letter hangs, then where the run hangs that it hangs on, and so on: up to the start, or [`MOST_ABOVE`].
    #[serde(deserialize_with = "not_too_many")]
    pub(crate) above: Vec<Hung>,
}

/// So many runs one above the other a cursor says at most where they hang. Where two write in turns, each hangs on the other: there are as many as turns.
const MOST_ABOVE: usize = 16;

/// Whoever wrote a cursor, to find it costs no more than one of ours.
fn not_too_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Hung>, D::Error> {
    let above = Vec::deserialize(deserializer)?;
    if above.len() > MOST_ABOVE {
        return Err(D::Error::invalid_length(above.len(), &"at most 16 runs above a cursor"));
    }
    Ok(above)
}

/// Where a run hangs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Hung {
    /// `None`: on the start.
    on: Option<Letter>,
    is_behind: bool,
}

/// A letter, by its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) dot: Dot,
    /// The counter of the head of its run: as long as that is there, it is known where the letter stood.
    pub(crate) head: u64,
}

impl<C: Elements + ?Sized> Ordered<C> {
    /// An element, by the name it has everywhere.
    pub(crate) fn name(&self, element: LocalDot) -> Letter {
        Letter { dot: self.dot(element), head: self.sequence.head_of(element) }
    }

    /// The dot of an element.
    pub(crate) fn dot(&self, element: LocalDot) -> Dot {
        Dot { replica: self.sequence.ids().id(element.replica()), counter: element.counter() }
    }

    /// What the sequence calls a dot of the replica, if it knows any of its author.
    pub(crate) fn here(&self, dot: LocalDot) -> Option<LocalDot> {
        let row = self.rows.inner.get(dot.replica() as usize).copied().filter(|row| *row != ABSENT)?;
        Some(LocalDot::new(row, dot.counter()))
    }

    /// What the replica calls an element that is there.
    pub(crate) fn outer(&self, element: LocalDot) -> LocalDot {
        self.rows.outer(element)
    }

    /// The element of this name, if anything of its author is known here.
    pub(crate) fn element(&self, dot: Dot) -> Option<LocalDot> {
        Some(LocalDot::new(self.sequence.ids().find(dot.replica)?, dot.counter))
    }

    /// A cursor before the element at `at`, or at the end.
    pub(crate) fn cursor(&self, at: usize, bias: Bias) -> Cursor {
        let before = at.checked_sub(1).and_then(|at| self.sequence.element_at(at));
        let behind = Some(at).filter(|at| *at < self.len()).and_then(|at| self.sequence.element_at(at));
        let (element, other) = match bias {
            Bias::Before => (before, behind),
            Bias::After => (behind, before),
        };
        let above = element.map(|element| self.above(element)).unwrap_or_default();
        let name = |element| self.name(element);
        Cursor { letter: element.map(name), bias, other: other.map(name), above }
    }

    /// Where the runs hang that stand above one another with an element in the lowest.
    fn above(&self, mut element: LocalDot) -> Vec<Hung> {
        let mut above = Vec::new();
        while above.len() < MOST_ABOVE {
            let Origin { parent, side } = self.sequence.origin_above(element);
            let on = (parent != START).then(|| self.name(parent));
            above.push(Hung { on, is_behind: side == Side::Right });
            if parent == START {
                break;
            }
            element = parent;
        }
        above
    }

    /// Where a cursor stands.
    pub(crate) fn find(&self, cursor: &Cursor) -> Option<usize> {
        let is_before = cursor.bias == Bias::Before;
        let Some(letter) = cursor.letter else {
            return Some(if is_before { 0 } else { self.len() });
        };
        let beside = |letter: Letter, is_before: bool| {
            let (before, is_there) = self.stands(letter)?;
            Some(before + usize::from(is_there && is_before))
        };
        beside(letter, is_before)
            .or_else(|| self.stood(letter, &cursor.above))
            .or_else(|| beside(cursor.other?, !is_before))
            .or_else(|| self.stood_about(letter, &cursor.above))
    }

    /// How much stands before a letter of which it is known where it stands, or stood, and whether it is there.
    fn stands(&self, letter: Letter) -> Option<(usize, bool)> {
        let Some(element) = self.element(letter.dot) else {
            // What has no head stands at the start, whether anything of its author is known or not.
            return (letter.head == 0).then(|| (self.at_start(letter.dot.replica, 0), false));
        };
        let (before, is_there) = self.sequence.index_of(element);
        let is_known = is_there || letter.head == self.sequence.head_of(element);
        is_known.then_some((before, is_there))
    }

    /// How much stands before where a letter stood whose run is not known, by the first run above it that is.
    fn stood(&self, letter: Letter, above: &[Hung]) -> Option<usize> {
        let mut run = (letter.dot.replica, letter.head);
        for Hung { on, is_behind } in above {
            let Some(on) = on else {
                // What begins there may also be what has not arrived.
                return self.was_here(letter).then(|| self.at_start(run.0, run.1));
            };
            if let Some((before, _)) = self.stands(*on) {
                let Some(parent) = self.element(on.dot) else { return Some(before) };
                let side = if *is_behind { Side::Right } else { Side::Left };
                return Some(self.index_hung(Origin { parent, side }, run.0, run.1));
            }
            run = (on.dot.replica, on.head);
        }
        None
    }

    /// How much stands before where a letter belongs of which nothing is left but what its author wrote before, or the author of the last of the runs above it.
    fn stood_about(&self, letter: Letter, above: &[Hung]) -> Option<usize> {
        let last = above.iter().rev().find_map(|hung| hung.on).unwrap_or(letter).dot;
        let about = || match self.element(last) {
            Some(element) => self.sequence.index_of(element).0,
            None => self.at_start(last.replica, 0),
        };
        self.was_here(letter).then(about)
    }

    /// Whether a run is forgotten that is not known, and has not only yet to arrive: no run is forgotten before its replica begins another.
    fn was_here(&self, letter: Letter) -> bool {
        self.sequence.has_begun_since(letter.dot.replica, letter.head)
    }

    /// How much stands before a run with this head that hangs at the start.
    fn at_start(&self, replica: ReplicaId, head: u64) -> usize {
        self.index_hung(Origin { parent: START, side: Side::Right }, replica, head)
    }

    /// As in the sequence, with whatever others say.
    fn index_hung(&self, origin: Origin, replica: ReplicaId, head: u64) -> usize {
        self.sequence.index_hung(origin, replica, head.min(MAX_COUNTER))
    }
}
