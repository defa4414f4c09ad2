//! Places that stay where they are while others write.

use serde::{Deserialize, Serialize};

use super::{BadPosition, Position, Text};
use crate::causal::{Dot, LocalDot};

/// To which of the letters around it a [`Cursor`] keeps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Bias {
    /// To the one before it: what is typed here comes behind the cursor.
    Before,
    /// To the one behind it: what is typed here comes before the cursor.
    After,
}

/// A place in a text that stays where it is whatever is inserted and deleted around it, here and elsewhere: it keeps to a letter, also when that
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
    pub(super) letter: Option<Letter>,
    pub(super) bias: Bias,
    /// The one on the other side.
    pub(super) other: Option<Letter>,
}

/// A letter, by its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Letter {
    pub(super) dot: Dot,
    /// The counter of the head of its run: as long as that is there, it is known where the letter stood.
    pub(super) head: u64,
}

impl Text {
    /// A cursor at a place. O(log n).
    ///
    /// # Errors
    /// When there is no such place.
    pub fn cursor(&self, at: impl Into<Position>, bias: Bias) -> Result<Cursor, BadPosition> {
        let at = self.scalars(at)?;
        let named = |element: LocalDot| Letter {
            dot: Dot { replica: self.sequence.ids().id(element.replica()), counter: element.counter() },
            head: self.sequence.head_of(element),
        };
        let before = at.checked_sub(1).and_then(|at| self.sequence.element_at(at)).map(named);
        let behind = Some(at).filter(|at| *at < self.len());
        let behind = behind.and_then(|at| self.sequence.element_at(at)).map(named);
        let (letter, other) = match bias {
            Bias::Before => (before, behind),
            Bias::After => (behind, before),
        };
        Ok(Cursor { letter, bias, other })
    }

    /// Where a cursor stands, in scalars. `None` if it keeps to a letter of somebody of whom nothing has arrived here, or where the letters
    /// stood that it keeps to has been [forgotten](crate::Replica::sweep). O(log n).
    ///
    /// It stands at the end of what its author typed there if the letter has not arrived.
    #[must_use]
    pub fn find(&self, cursor: &Cursor) -> Option<usize> {
        let Some(letter) = cursor.letter else {
            return Some(if cursor.bias == Bias::Before { 0 } else { self.len() });
        };
        let at = |letter: Letter, is_before: bool| {
            let row = self.sequence.ids().find(letter.dot.replica)?;
            let element = LocalDot::new(row, letter.dot.counter);
            let (before, is_there) = self.sequence.index_of(element);
            let is_known = is_there || letter.head == self.sequence.head_of(element);
            is_known.then_some(before + usize::from(is_there && is_before))
        };
        let is_before = cursor.bias == Bias::Before;
        at(letter, is_before).or_else(|| at(cursor.other?, !is_before))
    }
}
