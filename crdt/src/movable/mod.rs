//! A list of values of a replicated type that can be moved.
//!
//! *Merge rule*: an element stands where it was moved last, by its stamp; what it holds merges as its type says; one that was deleted
//! is gone. *Concurrent pair*: two moves of one element: it ends at one place, that of the later one; a move and a write to it: both; a move
//! or a write and its deletion: it is deleted (both at once: what was written then is left of it). *Metadata*: two dots an element, its name, and a stamp once it was moved; one dot more, with a number, wherever
//! somebody began to insert anew, until it is swept. *Lost on conflict*: the earlier of two moves; what was written at the same time to what
//! was deleted. *Source*: Kleppmann 2020, "Moving Elements in List CRDTs", over the order of [`List`](crate::List).

mod write;

use alloc::borrow::Cow;
use alloc::format;
use core::fmt;
use core::ops::Range;

use serde::Serializer;

use crate::ordered::walks;
use crate::placed::{Element, ListPlace, Placed, ROOT, Row};
use crate::store::{Crdt, Disputes, DotStore, Gathered, Look, Mut, Plain, Seen, View, view_seq};
use crate::{BadIndex, ElementId};

/// A list of values of a replicated type that can be moved.
///
/// ```
/// use tombolo_crdt::{LwwRegister, MovableList, Replica, ReplicaId};
///
/// type Cards = MovableList<LwwRegister<String>>;
/// let mut ann = Replica::<Cards>::new(ReplicaId::from_bytes([1; 16]));
/// for card in ["dig", "plant", "water"] {
///     ann.update(|cards| cards.push().set(card));
/// }
/// let mut bob = ann.fork(ReplicaId::from_bytes([2; 16]));
/// // At the same time: Ann moves a card, Bob writes on it.
/// let (_, moved) = ann.try_update(|cards| cards.move_to(0, 2))?;
/// let (_, written) = bob.try_update(|cards| cards.at(0).map(|mut card| card.set("dig deep")))?;
/// ann.merge(written).unwrap();
/// bob.merge(moved).unwrap();
/// let cards: Vec<_> = bob.iter().filter_map(LwwRegister::value).collect();
/// assert_eq!(cards, ["plant", "water", "dig deep"]);
/// assert_eq!(ann.encode(), bob.encode());
/// # Ok::<(), tombolo_crdt::BadIndex>(())
/// ```
///
/// As with the keys of an [`AddWinsMap`](crate::AddWinsMap), an element is there by what it holds: one to which nothing is written does not come into being, and
/// one is gone with the last that it held.
pub struct MovableList<V: Crdt> {
    body: Placed<ListPlace, V>,
}

impl<V: Crdt> MovableList<V> {
    /// How many elements there are. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.body.len_below(ROOT)
    }

    /// Whether there are none. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the element at `at` holds.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&V::State> {
        self.body.value(self.body.at(ROOT, at)?)
    }

    /// What the elements hold, in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &V::State> {
        self.body.below(ROOT).filter_map(|element| self.body.value(element))
    }

    /// What the elements of a part hold. O(log n) and the part.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn range(&self, range: Range<usize>) -> Result<impl Iterator<Item = &V::State>, BadIndex> {
        let part = BadIndex::part(range, self.len())?;
        let elements = self.body.below_from(ROOT, part.start).take(part.len());
        Ok(elements.filter_map(|element| self.body.value(element)))
    }

    /// The name of the element at `at`, by which it is found wherever it is moved.
    #[must_use]
    pub fn id_at(&self, at: usize) -> Option<ElementId> {
        self.body.at(ROOT, at).map(|element| self.id(element))
    }

    /// What an element holds; `None` if it is not there. O(log n).
    #[must_use]
    pub fn by_id(&self, id: ElementId) -> Option<&V::State> {
        self.body.value(self.body.element(id.dot())?)
    }

    /// Where an element is; `None` if it is not there. O(log² n).
    #[must_use]
    pub fn position(&self, id: ElementId) -> Option<usize> {
        self.body.position(self.body.element(id.dot())?)
    }

    fn id(&self, element: Element) -> ElementId {
        ElementId::of(self.body.name(element).0)
    }

    fn element_at(&self, at: usize) -> Result<Element, BadIndex> {
        self.body.at(ROOT, at).ok_or(BadIndex::BeyondEnd { at, len: self.len() })
    }
}

impl<V: Crdt> Default for MovableList<V> {
    fn default() -> Self {
        Self { body: Placed::default() }
    }
}

impl<V: Crdt<State: Clone>> Clone for MovableList<V> {
    fn clone(&self) -> Self {
        Self { body: self.body.clone() }
    }
}

impl<V: Crdt<State: fmt::Debug>> fmt::Debug for MovableList<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<V: Crdt> Crdt for MovableList<V> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        const { assert!(V::REMOVABLE, "a `BoundedCounter` must not stand where it can be removed") };
        format!("MovableList<{}>", V::type_name()).into()
    }
}

impl<V: Crdt> DotStore for MovableList<V> {
    walks!(Placed<ListPlace, V>);
    crate::placed::walks!();

    fn conflicts(&self, disputes: &mut Disputes<'_>) {
        let path = |element| Plain::of(&self.body.position(element));
        let rank = |body: &Placed<_, _>, place, _: &_| Plain::of(&body.rank(ROOT, place));
        // In a list nothing stands below itself: no move gives way.
        self.body.disputed(disputes, path, rank, |_, element| path(element));
        self.body.disputed_values(disputes, path);
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        view_seq(self.len(), self.iter().map(View), serializer)
    }

    fn plain(&self) -> Plain {
        Plain::List(self.iter().map(DotStore::plain).collect())
    }

    fn look(&self, look: Look<'_>) -> Seen {
        self.body.look(look)
    }

    fn changed(&self, before: &Seen, gathered: &mut Gathered) {
        let plain = |row: &Row| self.by_id(ElementId::of(row.element.0)).map_or(Plain::Null, DotStore::plain);
        self.body.changed(before, gathered, plain, None);
    }
}
