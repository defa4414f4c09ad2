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
    pub(super) letter: Option<Dot>,
    pub(super) bias: Bias,
}

impl Text {
    /// A cursor at a place. O(log n).
    ///
    /// # Errors
    /// When there is no such place.
    pub fn cursor(&self, at: impl Into<Position>, bias: Bias) -> Result<Cursor, BadPosition> {
        let at = self.scalars(at)?;
        let letter = match bias {
            Bias::Before => at.checked_sub(1),
            Bias::After => Some(at).filter(|at| *at < self.len()),
        };
        let letter = letter.and_then(|at| self.sequence.element_at(at)).map(|element| Dot {
            replica: self.sequence.ids().id(element.replica()),
            counter: element.counter(),
        });
        Ok(Cursor { letter, bias })
    }

    /// Where a cursor stands, in scalars. `None` if it keeps to a letter of somebody of whom nothing has arrived here. O(log n).
    ///
    /// It stands at the end of what its author typed there if the letter has not arrived, and at the start of the text if where it stood has
    /// been removed with a map's key.
    #[must_use]
    pub fn find(&self, cursor: &Cursor) -> Option<usize> {
        let Some(letter) = cursor.letter else {
            return Some(if cursor.bias == Bias::Before { 0 } else { self.len() });
        };
        let row = self.sequence.ids().find(letter.replica)?;
        let (before, is_there) = self.sequence.index_of(LocalDot::new(row, letter.counter));
        Some(before + usize::from(is_there && cursor.bias == Bias::Before))
    }
}
