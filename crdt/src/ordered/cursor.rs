//! Places that stay where they are while others write.

use serde::{Deserialize, Serialize};

use super::{ABSENT, Elements, Ordered};
use crate::causal::{Dot, LocalDot};

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
/// Where a deleted letter stood is [forgotten](crate::Replica::sweep) at last, with all that was typed with it. Then the cursor keeps to the letter
/// on its other side. Whoever keeps cursors for long makes them anew now and then.
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
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Cursor {
    /// `None`: the start or the end of the text, to which it keeps.
    pub(crate) letter: Option<Letter>,
    pub(crate) bias: Bias,
    /// The one on the other side.
    pub(crate) other: Option<Letter>,
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
        let (before, behind) =
            (before.map(|element| self.name(element)), behind.map(|element| self.name(element)));
        let (letter, other) = match bias {
            Bias::Before => (before, behind),
            Bias::After => (behind, before),
        };
        Cursor { letter, bias, other }
    }

    /// Where a cursor stands.
    pub(crate) fn find(&self, cursor: &Cursor) -> Option<usize> {
        let Some(letter) = cursor.letter else {
            return Some(if cursor.bias == Bias::Before { 0 } else { self.len() });
        };
        let at = |letter: Letter, is_before: bool| {
            let element = self.element(letter.dot)?;
            let (before, is_there) = self.sequence.index_of(element);
            let is_known = is_there || letter.head == self.sequence.head_of(element);
            is_known.then_some(before + usize::from(is_there && is_before))
        };
        let is_before = cursor.bias == Bias::Before;
        at(letter, is_before).or_else(|| at(cursor.other?, !is_before))
    }
}
