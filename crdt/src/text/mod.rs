//! Text that many type at once.
//!
//! *Merge rule*: a letter is there if it was inserted and nobody has deleted it; letters stand in the order of a tree in which each says once and for all
//! what it stands before or behind. *Concurrent pair*: two insertions at one place: both are there, one whole behind the other;
//! insertion and deletion around it: what was inserted stays. *Metadata*: one dot a letter, told and kept as runs; one more, with a number, wherever somebody
//! began to type anew, also when what was typed there is deleted. *Lost on conflict*: nothing. *Source*: Fugue, Weidner and
//! Kleppmann 2023, over the dot store of this crate: decision 0030.

mod cursor;
mod diff;
mod head;
mod position;
mod snapshot;
mod store;
mod write;

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::causal::{LocalDot, ReplicaIndex, ReplicaTable};
use crate::delta::Bytes;
use crate::sequence::{Sequence, Unit};
use crate::store::{Crdt, Mut};
pub use cursor::{Bias, Cursor};
use head::Told;
pub(crate) use head::readable_head;
pub use position::{BadPosition, Position};
pub use snapshot::{TextEdit, TextSnapshot};

/// No row.
const ABSENT: ReplicaIndex = ReplicaIndex::MAX;

/// Text that many type at once.
///
/// ```
/// use tombolo_crdt::{Replica, ReplicaId, Text};
///
/// let mut ann = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<Text>::new(ReplicaId::from_bytes([2; 16]));
/// bob.merge(ann.try_update(|text| text.insert(0, "The tide falls.")).unwrap().1)?;
/// // At the same time, at one place, one of them in place of what was there:
/// let (_, hers) = ann.try_update(|text| text.insert(9, "slowly ")).unwrap();
/// let (_, his) = bob.try_update(|text| text.replace(9..14, "rises")).unwrap();
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// assert_eq!(ann.to_string(), bob.to_string());
/// // What each of them typed is whole.
/// assert!(ann.to_string().contains("slowly ") && ann.to_string().contains("rises"));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
///
/// Positions are counted in Unicode scalar values (`char`s) unless a [`Position`] says otherwise: in UTF-16 units, as JavaScript and many
/// user interfaces count, or in bytes of UTF-8.
///
/// Writing near what was written last costs the same however long the text is, elsewhere time with its logarithm. In memory it takes the text
/// itself and 16 to 32 bytes for each piece that was typed in one go.
#[derive(Clone, Default)]
pub struct Text {
    sequence: Sequence,
    rows: Rows,
    /// Heads that were told otherwise than this program tells them, as they were told.
    odd: BTreeMap<LocalDot, Told>,
    /// What names frozen runs, as it was told, by its dots as the replica calls them.
    frozen: BTreeMap<LocalDot, Bytes>,
    /// The heads that it names, as the sequence calls them.
    named: BTreeSet<LocalDot>,
}

/// How the rows of the replica's table and those of the sequence are called by one another.
#[derive(Clone, Default)]
struct Rows {
    /// By row of the replica's table.
    inner: Vec<ReplicaIndex>,
    /// By row of the sequence; [`ABSENT`] for replicas of which nothing but their id is known.
    outer: Vec<ReplicaIndex>,
}

impl Rows {
    /// The row in the sequence, made if there is none.
    fn open(&mut self, row: ReplicaIndex, table: &ReplicaTable, sequence: &mut Sequence) -> ReplicaIndex {
        if let Some(&inner) = self.inner.get(row as usize).filter(|inner| **inner != ABSENT) {
            return inner;
        }
        let inner = sequence.row(table.id(row));
        put(&mut self.inner, row, inner);
        put(&mut self.outer, inner, row);
        inner
    }

    /// A dot of the sequence as the replica calls it.
    fn outer(&self, dot: LocalDot) -> LocalDot {
        LocalDot::new(self.outer[dot.replica() as usize], dot.counter())
    }
}

fn put(rows: &mut Vec<ReplicaIndex>, at: ReplicaIndex, row: ReplicaIndex) {
    if rows.len() <= at as usize {
        rows.resize(at as usize + 1, ABSENT);
    }
    rows[at as usize] = row;
}

impl Text {
    /// How many Unicode scalar values it has. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.sequence.width().scalars
    }

    /// How many UTF-16 units it has. O(1).
    #[must_use]
    pub fn len_utf16(&self) -> usize {
        self.sequence.width().utf16
    }

    /// How many bytes it has in UTF-8. O(1).
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.sequence.width().bytes
    }

    /// Whether nothing is read. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text in the pieces in which it lies in memory, which mean nothing.
    pub fn chunks(&self) -> impl Iterator<Item = &str> {
        self.sequence.pieces()
    }

    /// A part of the text. O(log n) and the part.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn slice(&self, range: Range<impl Into<Position>>) -> Result<String, BadPosition> {
        let Range { start, end } = self.range(range)?;
        Ok(self.sequence.slice(start, end).collect())
    }

    /// A position, counted in scalars. O(log n).
    ///
    /// ```
    /// # use tombolo_crdt::{Position, Replica, ReplicaId, Text};
    /// let mut text = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
    /// text.try_update(|text| text.insert(0, "a\u{1f426}b")).unwrap();
    /// assert_eq!(text.scalars(Position::Utf16(3)), Ok(2));
    /// assert!(text.scalars(Position::Utf16(2)).is_err());
    /// assert_eq!((text.utf16(2), text.bytes(2)), (Ok(3), Ok(5)));
    /// ```
    ///
    /// # Errors
    /// When there is no such position.
    pub fn scalars(&self, at: impl Into<Position>) -> Result<usize, BadPosition> {
        let at = at.into();
        let (index, unit) = match at {
            Position::Scalars(index) => (index, Unit::Scalar),
            Position::Utf16(index) => (index, Unit::Utf16),
            Position::Bytes(index) => (index, Unit::Byte),
        };
        let len = self.sequence.width().by(unit);
        match self.sequence.scalars_before(index, unit) {
            Some(scalars) => Ok(scalars),
            None if index > len => Err(BadPosition::BeyondEnd { at, len }),
            None => Err(BadPosition::WithinScalar { at }),
        }
    }

    /// A position, counted in UTF-16 units. O(log n).
    ///
    /// # Errors
    /// When there is no such position.
    pub fn utf16(&self, at: impl Into<Position>) -> Result<usize, BadPosition> {
        Ok(self.sequence.width_before(self.scalars(at)?).utf16)
    }

    /// A position, counted in bytes of UTF-8. O(log n).
    ///
    /// # Errors
    /// When there is no such position.
    pub fn bytes(&self, at: impl Into<Position>) -> Result<usize, BadPosition> {
        Ok(self.sequence.width_before(self.scalars(at)?).bytes)
    }

    fn range(&self, range: Range<impl Into<Position>>) -> Result<Range<usize>, BadPosition> {
        let (start, end) = (self.scalars(range.start)?, self.scalars(range.end)?);
        if start > end { Err(BadPosition::Reversed { start, end }) } else { Ok(start..end) }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chunks().try_for_each(|chunk| f.write_str(chunk))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Text").field(&format_args!("{self}")).finish()
    }
}

impl Crdt for Text {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("Text")
    }
}
