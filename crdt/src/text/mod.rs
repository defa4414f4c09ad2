//! Text that many type at once.
//!
//! *Merge rule*: a letter is there if it was inserted and nobody has deleted it; letters stand in the order of a tree in which each says once and for all
//! what it stands before or behind. *Concurrent pair*: two insertions at one place: both are there, one whole behind the other;
//! insertion and deletion around it: what was inserted stays. *Metadata*: one dot a letter, told and kept as runs; one more, with a number, wherever somebody
//! began to type anew, also when what was typed there is deleted. *Lost on conflict*: nothing. *Source*: Fugue, Weidner and
//! Kleppmann 2023, over the dot store of this crate: decision 0030. What marks do is in `marks`.

mod diff;
mod lengths;
#[cfg(feature = "markdown")]
mod markdown;
mod marks;
mod position;
mod quill;
mod snapshot;
mod write;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use serde::Serializer;

use crate::causal::{Dots, LocalDot};
use crate::delta::{Mismatch, Node, TreeWriter};
use crate::ordered::{Bias, Cursor, Ordered};
use crate::sequence::Unit;
use crate::store::{
    Crdt, DotStore, FADING, Gathered, Join, Look, Mut, Plain, Seen, Sight, Splice, Sweep, What,
};
pub(crate) use lengths::Lengths;
use marks::Marks;
pub use marks::{BlockKind, Expand, MarkKind, TextBlock, TextMarks, TextRun};
pub(crate) use marks::{Laid, readable_mark, renamed};
pub use position::{BadPosition, Position};
pub use quill::{BadQuill, QuillAttributes, QuillDelta, QuillOp};
pub use snapshot::{TextEdit, TextSnapshot};

/// Text that many type at once, with marks ([`runs`](Text::runs)) if it is more than plain.
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
/// The plain value ([`plain`](crate::Replica::plain), [`view`](crate::Replica::view)) is the letters alone, as what [`Display`](fmt::Display) writes. What marks say is read with
/// [`runs`](Text::runs), as [`blocks`](Text::blocks), as [Quill](Text::to_quill) has it or, with the feature `markdown`, by `to_markdown`. What becomes of it is told by
/// [`Marked`](crate::What::Marked), which [`apply_to`](crate::Changes::apply_to) passes over.
///
/// Writing near what was written last costs the same however long the text is, elsewhere time with its logarithm. In memory it takes the text
/// itself and 16 to 32 bytes for each piece that was typed in one go.
#[derive(Clone, Default)]
pub struct Text {
    body: Body,
    /// INVARIANT: not empty.
    marks: Option<Box<Marks>>,
}

/// The letters.
type Body = Ordered<str>;

impl Text {
    /// How many Unicode scalar values it has. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.body.sequence.width().scalars
    }

    /// How many UTF-16 units it has. O(1).
    #[must_use]
    pub fn len_utf16(&self) -> usize {
        self.body.sequence.width().utf16
    }

    /// How many bytes it has in UTF-8. O(1).
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.body.sequence.width().bytes
    }

    /// Whether nothing is read. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text in the pieces in which it lies in memory, which mean nothing.
    pub fn chunks(&self) -> impl Iterator<Item = &str> {
        self.body.sequence.pieces()
    }

    /// A part of the text. O(log n) and the part.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn slice(&self, range: Range<impl Into<Position>>) -> Result<String, BadPosition> {
        let Range { start, end } = self.range(range)?;
        Ok(self.body.sequence.slice(start, end).collect())
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
        let len = self.body.sequence.width().by(unit);
        match self.body.sequence.scalars_before(index, unit) {
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
        Ok(self.body.sequence.width_before(self.scalars(at)?).utf16)
    }

    /// A position, counted in bytes of UTF-8. O(log n).
    ///
    /// # Errors
    /// When there is no such position.
    pub fn bytes(&self, at: impl Into<Position>) -> Result<usize, BadPosition> {
        Ok(self.body.sequence.width_before(self.scalars(at)?).bytes)
    }

    /// A cursor at a place. O(log n).
    ///
    /// # Errors
    /// When there is no such place.
    pub fn cursor(&self, at: impl Into<Position>, bias: Bias) -> Result<Cursor, BadPosition> {
        Ok(self.body.cursor(self.scalars(at)?, bias))
    }

    /// Where a cursor stands, in scalars: also where all has been deleted and [forgotten](crate::Replica::sweep) that it stood by. `None` if nothing
    /// has arrived here of what it says it stands by, or that was removed with the key above this text. O(log n).
    ///
    /// It stands at the end of what its author typed there if the letter has not arrived.
    #[must_use]
    pub fn find(&self, cursor: &Cursor) -> Option<usize> {
        self.body.find(cursor)
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

impl Text {
    /// For tests of what a text is made of.
    #[cfg(test)]
    pub(crate) fn body(&self) -> &Body {
        &self.body
    }

    /// Has a look at the marks again after something came or went.
    fn changed_below(&mut self) {
        self.marks = self.marks.take().filter(|marks| !marks.is_empty());
        if let Some(marks) = &mut self.marks {
            marks.moved();
        }
    }
}

impl DotStore for Text {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.body.take_in(node, join);
        if let Some((_, below)) = node.children().find(|(key, _)| *key == FADING)
            && (self.marks.is_some() || below.has_children())
        {
            self.marks.get_or_insert_default().take_in(below, &mut self.body, join);
            if !join.is_slice() {
                self.body.settle();
            }
        }
        self.changed_below();
    }

    fn settle(&mut self) {
        self.body.settle();
        self.body.sequence.place_needed();
        self.changed_below();
    }

    fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        self.body.retain(keep);
        if let Some(marks) = &mut self.marks {
            marks.retain(&mut self.body, keep);
        }
        self.changed_below();
    }

    fn drop_covered(&mut self, cover: Dots<'_>, join: &Join<'_>) {
        self.body.drop_covered(cover, join);
        if let Some(marks) = &mut self.marks {
            marks.drop_covered(&mut self.body, cover, join);
        }
        self.changed_below();
    }

    fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.body.dots(each);
        self.marks.iter().for_each(|marks| marks.dots(each));
    }

    fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        let marks = |below: &mut TreeWriter<'_>| {
            self.marks.iter().for_each(|marks| marks.carry(wanted, below));
        };
        self.body.carry_with(wanted, writer, marks);
    }

    fn is_bottom(&self) -> bool {
        self.body.is_bottom() && self.marks.is_none()
    }

    fn shows(&self) -> bool {
        self.body.shows()
    }

    fn check(node: Node<'_>) -> Result<(), Mismatch> {
        Body::check_with(node, Marks::check)
    }

    fn remembered(&self, sweep: &mut Sweep<'_>) {
        sweep.letters(self.len());
        let needed = self.marks.as_ref().map_or_else(BTreeSet::new, |marks| {
            let going = marks.remembered(sweep, &self.body);
            marks.needed(&self.body, &going)
        });
        self.body.remembered(sweep, &BTreeSet::new(), &needed);
    }

    fn look(&self, look: Look<'_>) -> Seen {
        let order = self.body.order(look);
        let lengths = Lengths::of(&self.body, &order);
        let below = look.told().and_then(|node| node.children().find(|(key, _)| *key == FADING));
        let are_touched = !order.is_touched() || below.is_some_and(|(_, below)| below.has_children());
        let laid = || self.marks.as_ref().map(|marks| marks.laid(&self.body)).unwrap_or_default();
        Seen(Sight::Text(order, lengths, are_touched.then(laid)))
    }

    fn changed(&self, before: &Seen, gathered: &mut Gathered) {
        let Sight::Text(order, lengths, laid) = &before.0 else { return };
        let spliced = self.body.spliced(order);
        let now = || self.marks.as_ref().map(|marks| marks.laid(&self.body)).unwrap_or_default();
        let marked = match laid {
            Some(laid) if self.marks.is_some() || !laid.is_empty() => {
                Marks::changed(&self.body, laid, &kept(&spliced, self.len()), &now())
            }
            // Of what came all that marks say.
            None if self.marks.is_some() && spliced.iter().any(|(.., came)| !came.is_empty()) => {
                let came = spliced.iter().map(|(.., came)| came.clone());
                Marks::changed(&self.body, &Laid::new(), &[], &Marks::within(now(), came))
            }
            _ => Vec::new(),
        };
        let (mut gone, mut end) = (lengths.measure(), 0);
        let splice = |(at, deleted, came): (usize, usize, Range<usize>)| {
            let before = self.body.sequence.width_before(at);
            let gone = gone.next(at - end, deleted);
            end = came.end;
            Splice {
                at,
                deleted,
                inserted: self.body.sequence.slice(came.start, came.end).collect(),
                utf16: before.utf16..before.utf16 + gone.utf16,
                bytes: before.bytes..before.bytes + gone.bytes,
            }
        };
        let splices: Vec<Splice> = spliced.into_iter().map(splice).collect();
        if !splices.is_empty() {
            gathered.say(What::Spliced(splices));
        }
        if !marked.is_empty() {
            gathered.say(What::Marked(marked));
        }
    }

    /// The letters alone, without what marks say of them.
    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }

    /// As [`view`](Self::view): the letters alone.
    fn plain(&self) -> Plain {
        Plain::Text(self.chunks().collect())
    }
}

/// Where letters stayed in a text that is so long now: where they stood, where they stand, and how many.
fn kept(splices: &[(usize, usize, Range<usize>)], len: usize) -> Vec<(usize, usize, usize)> {
    let (mut kept, mut was, mut is) = (Vec::new(), 0, 0);
    for (at, deleted, inserted) in splices {
        kept.push((was, is, at - is));
        (was, is) = (was + at - is + deleted, at + inserted.len());
    }
    kept.push((was, is, len - is));
    kept
}
