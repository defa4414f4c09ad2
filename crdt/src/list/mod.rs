//! A list that many write to at once.
//!
//! *Merge rule*: an element is there if it was inserted and nobody has deleted it; elements stand in the order of a tree in which each says once and
//! for all what it stands before or behind. *Concurrent pair*: two insertions at one place: both are there, one whole behind the other;
//! two that put something in place of one element: both new ones are there; insertion and deletion around it: what was inserted stays. *Metadata*: one
//! dot an element; one more, with a number, wherever somebody began to insert anew, also when what was inserted there is deleted, until
//! it is swept. *Lost on conflict*: nothing. *Source*: Fugue, Weidner and Kleppmann 2023, as for [`Text`](crate::Text).

mod write;

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::causal::Dot;
use crate::ordered::{Bias, Cursor, Ordered, walks};
use crate::store::{
    Crdt, DotStore, Gathered, ItemSplice, Look, Mut, Plain, Seen, Sweep, Value, What, Written, view_seq,
};

/// A list that many write to at once.
///
/// ```
/// use tombolo_crdt::{List, Replica, ReplicaId};
///
/// let mut ann = Replica::<List<String>>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<List<String>>::new(ReplicaId::from_bytes([2; 16]));
/// bob.merge(ann.update(|steps| steps.extend(["row out", "fish", "row back"])).1)?;
/// // At the same time, at one place:
/// let (_, hers) = ann.try_update(|steps| steps.insert(1, "wait for the tide")).unwrap();
/// let (_, his) = bob.try_update(|steps| steps.set(1, "dive")).unwrap();
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// assert!(ann.iter().eq(bob.iter()));
/// assert_eq!((ann.len(), ann.get(3).map(String::as_str)), (4, Some("row back")));
/// assert!(ann.iter().any(|step| step == "dive") && !ann.iter().any(|step| step == "fish"));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
///
/// Elements are plain values. Those of replicated types, which are written to in place, stand in a
/// [`MovableList`](crate::MovableList), whether they are moved or not.
///
/// An element never changes: to put another in its place is to delete it and insert one, so two who do that at once leave two.
///
/// Writing near what was written last costs the same however long the list is, elsewhere time with its logarithm. In memory it takes the
/// elements, 16 to 32 bytes for each part that was inserted in one go, and of elements that were deleted at most as many as there are parts or elements
/// left, and 64.
pub struct List<T: Value> {
    body: Ordered<[Written<T>]>,
}

/// The name of an element of a [`List`] or [`MovableList`](crate::MovableList), the same at every replica, as long as it is there. It can be kept and sent to others; as text it is its number
/// and its author, as in `3@8c15…`. What a store wrote alone before it was set back has another name afterwards ([`disown`](crate::Replica::disown)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ElementId(Dot);

impl fmt::Display for ElementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is no name of an element.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an element is named by a number, an @ and the id of a replica")]
pub struct ParseElementIdError;

impl FromStr for ElementId {
    type Err = ParseElementIdError;

    fn from_str(text: &str) -> Result<Self, ParseElementIdError> {
        Dot::parsed(text).map(Self).ok_or(ParseElementIdError)
    }
}

impl ElementId {
    pub(crate) const fn of(dot: Dot) -> Self {
        Self(dot)
    }

    pub(crate) const fn dot(self) -> Dot {
        self.0
    }
}

/// A place that is none in this list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadIndex {
    /// There is no such element, or no such place between elements.
    #[error("{at} lies behind the end of a list of {len}")]
    BeyondEnd {
        /// The place.
        at: usize,
        /// How many elements there are.
        len: usize,
    },
    /// What ends before it begins.
    #[error("a range from {start} to {end} ends before it begins")]
    Reversed {
        /// Where it begins.
        start: usize,
        /// Where it ends.
        end: usize,
    },
}

impl BadIndex {
    /// A place between the elements of a list of this length.
    pub(crate) fn place(at: usize, len: usize) -> Result<usize, Self> {
        if at > len { Err(Self::BeyondEnd { at, len }) } else { Ok(at) }
    }

    /// A part of such a list.
    pub(crate) fn part(Range { start, end }: Range<usize>, len: usize) -> Result<Range<usize>, Self> {
        if start > end { Err(Self::Reversed { start, end }) } else { Ok(start..Self::place(end, len)?) }
    }
}

impl<T: Value> List<T> {
    /// How many elements there are. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether there are none. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `at`. O(log n).
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&T> {
        self.body.sequence.get(at).map(|element| &**element)
    }

    /// The elements in their order.
    ///
    /// ```
    /// # use tombolo_crdt::{List, Replica, ReplicaId};
    /// let mut list = Replica::<List<char>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = list.update(|list| list.extend(['a', 'b', 'c']));
    /// assert_eq!(list.iter().len(), 3);
    /// assert!(list.iter().rev().eq(&['c', 'b', 'a']));
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> + DoubleEndedIterator {
        self.body.sequence.each().map(|element| &**element)
    }

    /// The elements of a part. O(log n) and the part.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn range(&self, range: Range<usize>) -> Result<impl Iterator<Item = &T>, BadIndex> {
        self.part(range).map(|range| self.within(range))
    }

    /// The elements of a part that there is.
    fn within(&self, Range { start, end }: Range<usize>) -> impl Iterator<Item = &T> {
        self.body.sequence.slice(start, end).flatten().map(|element| &**element)
    }

    /// The name of the element at `at`. O(log n).
    #[must_use]
    pub fn id_at(&self, at: usize) -> Option<ElementId> {
        let element =
            Some(at).filter(|at| *at < self.len()).and_then(|at| self.body.sequence.element_at(at))?;
        Some(ElementId(self.body.name(element).dot))
    }

    /// Where an element is; `None` if it is not there. O(log n).
    ///
    /// ```
    /// # use tombolo_crdt::{List, Replica, ReplicaId};
    /// let mut list = Replica::<List<char>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = list.update(|list| list.extend(['a', 'b', 'c']));
    /// let b = list.id_at(1).unwrap();
    /// list.try_update(|list| list.insert(0, 'z')).unwrap();
    /// assert_eq!(list.position(b), Some(2));
    /// assert!(list.update(|list| list.remove_id(b)).0);
    /// assert_eq!(list.position(b), None);
    /// ```
    #[must_use]
    pub fn position(&self, id: ElementId) -> Option<usize> {
        self.body.sequence.position(self.body.element(id.0)?)
    }

    /// The element of a name; `None` if it is not there. O(log n).
    ///
    /// ```
    /// # use tombolo_crdt::{ElementId, List, Replica, ReplicaId};
    /// let mut list = Replica::<List<char>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = list.update(|list| list.extend(['a', 'b', 'c']));
    /// // Written down somewhere:
    /// let b = list.id_at(1).unwrap().to_string();
    /// list.try_update(|list| list.insert(0, 'z')).unwrap();
    /// let b: ElementId = b.parse().unwrap();
    /// assert_eq!(list.by_id(b), Some(&'b'));
    /// let (new, _) = list.update(|list| list.set_id(b, 'B'));
    /// assert_eq!((list.by_id(b), new.and_then(|new| list.by_id(new))), (None, Some(&'B')));
    /// ```
    #[must_use]
    pub fn by_id(&self, id: ElementId) -> Option<&T> {
        self.get(self.position(id)?)
    }

    /// A cursor before the element at `at`, or at the end. O(log n).
    ///
    /// # Errors
    /// When there is no such place.
    pub fn cursor(&self, at: usize, bias: Bias) -> Result<Cursor, BadIndex> {
        Ok(self.body.cursor(self.place(at)?, bias))
    }

    /// Where a cursor stands: also where all has been deleted and [forgotten](crate::Replica::sweep) that it stood by. `None` if nothing has arrived
    /// here of what it says it stands by, or that was removed with the key above this list. O(log n).
    #[must_use]
    pub fn find(&self, cursor: &Cursor) -> Option<usize> {
        self.body.find(cursor)
    }

    fn place(&self, at: usize) -> Result<usize, BadIndex> {
        BadIndex::place(at, self.len())
    }

    fn part(&self, range: Range<usize>) -> Result<Range<usize>, BadIndex> {
        BadIndex::part(range, self.len())
    }
}

impl<T: Value> Default for List<T> {
    fn default() -> Self {
        Self { body: Ordered::default() }
    }
}

impl<T: Value> Clone for List<T> {
    fn clone(&self) -> Self {
        Self { body: self.body.clone() }
    }
}

impl<T: Value + fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Value> Crdt for List<T> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("List")
    }
}

impl<T: Value> DotStore for List<T> {
    walks!(Ordered<[Written<T>]>);

    fn remembered(&self, sweep: &mut Sweep<'_>) {
        self.body.remembered(sweep, &BTreeSet::new(), &BTreeSet::new());
    }

    fn look(&self, look: Look<'_>) -> Seen {
        self.body.look(look)
    }

    fn changed(&self, before: &Seen, gathered: &mut Gathered) {
        let splice = |(at, deleted, range): (usize, usize, Range<usize>)| {
            let inserted = self.within(range).map(Plain::of).collect();
            ItemSplice { at, deleted, inserted }
        };
        let splices: Vec<ItemSplice> = self.body.changed(before).into_iter().map(splice).collect();
        if !splices.is_empty() {
            gathered.say(What::ItemsSpliced(splices));
        }
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        view_seq(self.len(), self.iter(), serializer)
    }

    fn plain(&self) -> Plain {
        Plain::List(self.iter().map(Plain::of).collect())
    }
}
