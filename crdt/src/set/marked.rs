//! What sets have in common that remember removals.

use serde::Serializer;

use crate::store::{Key, Leaf, Mark, Vote, Votes, view_seq};

impl Vote for Mark {
    fn show(marks: &Leaf<Self>) -> bool {
        Self::all_in(marks)
    }
}

pub(super) fn marked_view<K: Key, S: Serializer>(
    marks: &Votes<K, Mark>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    view_seq(marks.len(), marks.iter().map(|(element, _)| element), serializer)
}

/// Reading a set whose elements are the shown keys of `marks`.
macro_rules! impl_marked_reads {
    ($set:ident) => {
        impl<K: Key> Default for $set<K> {
            fn default() -> Self {
                Self { marks: Votes::default() }
            }
        }

        impl<K: Key> $set<K> {
            /// How many elements are in.
            #[must_use]
            pub fn len(&self) -> usize {
                self.marks.len()
            }

            /// Whether none is in.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Whether `element` is in. O(1).
            #[must_use]
            pub fn contains<Q: Ord + Hash + ?Sized>(&self, element: &Q) -> bool
            where
                K: Borrow<Q>,
            {
                self.marks.get(element).is_some()
            }

            /// The elements that are in, ascending. The first read in order sorts them; from then on their order is kept.
            pub fn iter(&self) -> impl DoubleEndedIterator<Item = &K> {
                self.marks.iter().map(|(element, _)| element)
            }

            /// The elements within `range`, ascending.
            pub fn range<Q: Ord + ?Sized>(
                &self,
                range: impl RangeBounds<Q>,
            ) -> impl DoubleEndedIterator<Item = &K>
            where
                K: Borrow<Q>,
            {
                self.marks.range(range).map(|(element, _)| element)
            }

            /// The elements that start with `prefix`, ascending.
            pub fn prefix<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s K>
            where
                K: Borrow<str>,
            {
                self.marks.prefix(prefix).map(|(element, _)| element)
            }
        }
    };
}
pub(super) use impl_marked_reads;
