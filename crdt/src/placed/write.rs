//! Writing.

use alloc::vec::Vec;

use smallvec::SmallVec;

use super::store::{PLACES, VALUES};
use super::{Element, Name, Placed, Placing, ROOT};
use crate::AddWinsMap;
use crate::causal::{LocalDot, Stamp, Tx};
use crate::delta::PlaceId;
use crate::store::{Crdt, Mut, Written, deeper};

/// Write access to elements inside one transaction.
pub(crate) struct Hand<'h, P: Placing, V: Crdt> {
    pub(crate) body: &'h mut Placed<P, V>,
    pub(crate) tx: &'h mut Tx,
    pub(crate) place: PlaceId,
    pub(crate) depth: usize,
}

impl<'h, P: Placing, V: Crdt> Hand<'h, P, V> {
    /// Makes an element, which stands below `under` before the one at `at`, or at the end. It is there once something is written to it.
    pub(crate) fn make(&mut self, under: Element, at: usize, place: P) -> Element {
        let name = self.put(None, under, at, place);
        let Placed { places, index, .. } = &mut *self.body;
        index.make(places, name, under, at)
    }

    /// Gives an element that stands as the `own`th among those beside it another place, at which it then is the one at `at`, instead of all that are
    /// seen here.
    pub(crate) fn move_to(&mut self, element: Element, own: usize, under: Element, at: usize, place: P) {
        let stands = self.body.under(element) == Some(under);
        let new = self.put(Some(own).filter(|_| stands), under, at, place);
        self.leave(element);
        let Placed { places, index, .. } = &mut *self.body;
        index.move_to(places, element, own, new, under, at);
    }

    /// Deletes an element, with what it holds.
    pub(crate) fn delete(&mut self, element: Element) {
        let name = self.body.name(element);
        self.values().remove(&name);
        self.body.index.detach(&self.body.places, element);
        self.leave(element);
        self.body.index.forget(element);
    }

    /// Write access to what an element holds.
    pub(crate) fn value(self, element: Element) -> V::Mut<'h> {
        let name = self.body.name(element);
        self.into_values().entry(name)
    }

    /// The same again, for several calls that consume it.
    pub(crate) fn by_ref(&mut self) -> Hand<'_, P, V> {
        Hand { body: self.body, tx: self.tx, place: self.place, depth: self.depth }
    }

    pub(crate) fn stamp(&mut self) -> Stamp {
        self.tx.stamp()
    }

    fn values(&mut self) -> Mut<'_, AddWinsMap<Name, V>> {
        self.by_ref().into_values()
    }

    fn into_values(self) -> Mut<'h, AddWinsMap<Name, V>> {
        let place = self.tx.draft.child(self.place, |key| key.extend_from_slice(VALUES));
        let depth = deeper(self.depth);
        Mut { state: &mut self.body.values, place, tx: self.tx, removable: true, depth }
    }

    /// Puts a place into the sequence, of an element that so far may be its `own`th below `under`.
    fn put(&mut self, own: Option<usize>, under: Element, at: usize, place: P) -> LocalDot {
        let Placed { places, index, .. } = &mut *self.body;
        let below = index.below(under);
        let others = below.map_or(0, |below| below.len()) - usize::from(own.is_some());
        let end = places.len();
        // Where each live place is that of one of these, it is the order of places.
        let is_all = below.is_some_and(|below| below.len() == end);
        let mut beside = |at: usize| {
            let at = at + usize::from(own.is_some_and(|own| own <= at));
            let place = |at| Some(index.seat(below?.get(at)?)?.place());
            if is_all { Some(at) } else { places.sequence.seek(place(at)?) }
        };
        // Behind the one before it, as what is typed on. The last one anywhere behind that: what is made one behind the other goes on
        // wherever it stands.
        let at = match at {
            _ if at >= others => end,
            0 => beside(0).unwrap_or(end),
            _ => beside(at - 1).map_or(end, |before| before + 1),
        };
        let depth = deeper(self.depth);
        let below = self.tx.draft.child(self.place, |key| key.extend_from_slice(PLACES));
        let put = places.put(self.tx, below, depth, at, None, &[Written::from(place)]);
        put.expect("one place was put")
    }

    /// Takes away the places of an element.
    fn leave(&mut self, element: Element) {
        let Some(seat) = self.body.index.seat(element) else { return };
        let gone: SmallVec<[LocalDot; 1]> = seat.places().into();
        let below = self.tx.draft.child(self.place, |key| key.extend_from_slice(PLACES));
        gone.into_iter().for_each(|place| self.body.places.take_one(self.tx, below, place));
    }

    /// Those that do not stand where they were put last are put where they stand, as if it had been done then: what others do next does not
    /// move them. `place` is what is told of one with this stamp that stands below that.
    ///
    /// So whoever writes has none of them, and where others stand need not be decided again for what is written here.
    pub(crate) fn settle(&mut self, place: impl Fn(Stamp, Name, Option<Name>) -> P) {
        let mut moved_back: Vec<Element> = self.body.index.moved_back().collect();
        // In an order that is the same everywhere.
        moved_back.sort_by_cached_key(|element| self.body.name(*element));
        for element in moved_back {
            let stamp =
                self.body.meant(element).and_then(Placing::moved).map(|(stamp, _)| stamp).unwrap_or_default();
            let (Some(at), Some(under)) = (self.body.position(element), self.body.under(element)) else {
                continue;
            };
            let above = (under != ROOT).then(|| self.body.name(under));
            let place = place(stamp, self.body.name(element), above);
            // SUBTLE: where the others stand is not decided again in between. They stay where they are shown until it is their turn.
            self.move_to(element, at, under, at, place);
        }
        debug_assert!(self.body.index.moved_back().next().is_none(), "what is in a circle stands somewhere");
    }
}
