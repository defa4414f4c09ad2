//! What movable lists and trees have in common: elements that hold a value of a replicated type and stand at a place, which can be another one
//! at any time.
//!
//! An element is made at a place of a sequence, of which it has its name, and moving it gives it another one there in place of those that are seen
//! (Kleppmann 2020, "Moving Elements in List CRDTs"). So there is no more to tell of an element that was moved often than of one that was not, and
//! the places that nobody has replaced say where everything stands (`index`). Two nodes of a delta's tree hold all of it: the places, and
//! below the names of elements their values. An element is there if it has both.

#[cfg(test)]
pub(crate) mod agree;
#[cfg(test)]
mod anew;
mod changes;
mod circles;
mod counts;
mod index;
mod place;
mod siblings;
mod store;
mod touched;
mod write;

use alloc::vec::Vec;

use crate::causal::{Dot, LocalDot};
use crate::ordered::Ordered;
use crate::store::{Crdt, Written};
use crate::{AddWinsMap, DotStore};
pub(crate) use changes::{Row, Shown};
use index::Index;
pub(crate) use index::{Element, ROOT, TRASH, Way};
pub(crate) use place::{ListPlace, Name, Placing, TreePlace, Under, is_name, is_place, renamed, renamed_key};
pub(crate) use store::{PLACES, VALUES};
pub(crate) use write::Hand;

/// Elements with what they hold, at their places.
pub(crate) struct Placed<P: Placing, V: Crdt> {
    places: Ordered<[Written<P>]>,
    values: AddWinsMap<Name, V>,
    /// A function of both.
    index: Index,
    /// How often the sequence had been built anew when that was brought up to date.
    built: usize,
}

impl<P: Placing, V: Crdt> Default for Placed<P, V> {
    fn default() -> Self {
        Self { places: Ordered::default(), values: AddWinsMap::default(), index: Index::default(), built: 0 }
    }
}

impl<P: Placing, V: Crdt<State: Clone>> Clone for Placed<P, V> {
    fn clone(&self) -> Self {
        Self {
            places: self.places.clone(),
            values: self.values.clone(),
            index: self.index.clone(),
            built: self.built,
        }
    }
}

/// Reading. Elements are called by numbers, which are good until something is merged or the element deleted; [`ROOT`] and [`TRASH`] are called as elements are.
impl<P: Placing, V: Crdt> Placed<P, V> {
    /// The element of this name, if anything of its author is known.
    pub(crate) fn element(&self, dot: Dot) -> Option<Element> {
        let name = self.places.element(dot)?;
        self.index.number(name).filter(|element| self.index.has(*element))
    }

    pub(crate) fn name(&self, element: Element) -> Name {
        Name(self.places.dot(self.index.name(element)))
    }

    /// How many stand below one.
    pub(crate) fn len_below(&self, under: Element) -> usize {
        self.index.below(under).map_or(0, |below| below.len())
    }

    /// Those below one, in their order.
    pub(crate) fn below(&self, under: Element) -> impl DoubleEndedIterator<Item = Element> + '_ {
        self.index.below(under).into_iter().flat_map(|below| below.iter())
    }

    /// Those below one from a place on.
    pub(crate) fn below_from(&self, under: Element, at: usize) -> impl Iterator<Item = Element> + '_ {
        self.index.below(under).into_iter().flat_map(move |below| below.iter_from(at))
    }

    /// The one at a place below another.
    pub(crate) fn at(&self, under: Element, at: usize) -> Option<Element> {
        self.index.below(under)?.get(at)
    }

    /// Where one stands among those beside it.
    pub(crate) fn position(&self, element: Element) -> Option<usize> {
        self.index.position(&self.places, element)
    }

    /// Whether there is such an element.
    pub(crate) fn is_there(&self, element: Element) -> bool {
        self.index.has(element)
    }

    /// Below what one stands that is there.
    pub(crate) fn under(&self, element: Element) -> Option<Element> {
        self.index.under(element)
    }

    /// How many stand above one, if all these are there and none has been put away.
    pub(crate) fn depth(&self, element: Element) -> Option<usize> {
        self.index.depth(element)
    }

    /// At least as many as there are. O(1).
    pub(crate) fn count(&self) -> usize {
        self.index.count()
    }

    /// Where the way up from one leads, which may be or meet another.
    pub(crate) fn way_up(&mut self, element: Element, other: Option<Element>) -> Way {
        self.index.way_up(element, other)
    }

    /// What is said of the place that was meant for one that is there.
    pub(crate) fn meant(&self, element: Element) -> Option<&P> {
        self.places.sequence.item(self.index.seat(element)?.place()).map(|place| &**place)
    }

    /// Those below which something stands, and which are not there themselves.
    pub(crate) fn missing(&self) -> impl Iterator<Item = Element> + '_ {
        self.index.missing()
    }

    /// What one holds.
    pub(crate) fn value(&self, element: Element) -> Option<&V::State> {
        self.index.has(element).then(|| self.values.get(&self.name(element)))?
    }

    /// Whether an element holds anything that shows.
    fn holds(values: &AddWinsMap<Name, V>, places: &index::Places<P>, name: LocalDot) -> bool {
        values.get(&Name(places.dot(name))).is_some_and(DotStore::shows)
    }

    /// Has the index follow what was changed, of the elements that were touched or of all. Numbers may be given anew.
    fn refresh(&mut self, touched: Option<Vec<LocalDot>>) {
        if self.index.is_sparse() {
            self.index = Index::default();
            return self.follow(None);
        }
        self.follow(touched);
    }

    /// As [`refresh`](Self::refresh), but numbers stay.
    fn follow(&mut self, touched: Option<Vec<LocalDot>>) {
        // Then elements may stand in another order, also those that nothing was said of.
        let built = core::mem::replace(&mut self.built, self.places.sequence.built());
        let touched = touched.filter(|_| built == self.built);
        let Self { places, values, index, .. } = self;
        let holds = |places: &index::Places<P>, name| Self::holds(values, places, name);
        match touched {
            Some(touched) => index.refresh(places, touched, holds),
            None => index.rebuild(places, holds),
        }
    }
}

/// What a [`DotStore`] walks beside what [`Ordered`] does, of which all is in the field `body`.
macro_rules! walks {
    () => {
        fn prune(&mut self, node: $crate::delta::Node<'_>) {
            self.body.prune(node);
        }

        fn remembered(&self, sweep: &mut $crate::store::Sweep<'_>) {
            self.body.remembered(sweep);
        }
    };
}
pub(crate) use walks;
