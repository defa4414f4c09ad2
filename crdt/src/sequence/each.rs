//! The items of a list from both ends.

use core::slice::Iter;

use super::tree::Place;
use super::{Items, Sequence};

/// All that is read of a list, from both ends.
pub(crate) struct Each<'s, T: Clone + Send + Sync + 'static> {
    sequence: &'s Sequence<[T]>,
    front: Iter<'s, T>,
    /// The piece behind that of `front`.
    ahead: Option<Place>,
    back: Iter<'s, T>,
    /// The piece before which that of `back` stands, if that is known.
    behind: Option<Place>,
    left: usize,
}

impl<T: Clone + Send + Sync + 'static> Sequence<[T]> {
    /// What is read, from both ends.
    pub(crate) fn each(&self) -> Each<'_, T> {
        let (first, end) = (self.tree.first(), self.tree.end());
        let left = self.width().scalars;
        Each { sequence: self, front: [].iter(), ahead: first, back: [].iter(), behind: end, left }
    }
}

impl<'s, T: Clone + Send + Sync + 'static> Iterator for Each<'s, T> {
    type Item = &'s T;

    fn next(&mut self) -> Option<&'s T> {
        self.left = self.left.checked_sub(1)?;
        loop {
            if let Some(item) = self.front.next() {
                return Some(item);
            }
            let tree = &self.sequence.tree;
            let place = tree.here(self.ahead?)?;
            self.front = <[T]>::whole(self.sequence.contents.of(tree.get(place)?)).iter();
            self.ahead = Some(Place { at: place.at + 1, ..place });
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Clone + Send + Sync + 'static> DoubleEndedIterator for Each<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        loop {
            if let Some(item) = self.back.next_back() {
                return Some(item);
            }
            let tree = &self.sequence.tree;
            let place = tree.before(self.behind?)?;
            self.back = <[T]>::whole(self.sequence.contents.of(tree.get(place)?)).iter();
            self.behind = Some(place);
        }
    }
}

impl<T: Clone + Send + Sync + 'static> ExactSizeIterator for Each<'_, T> {}
