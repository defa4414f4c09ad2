//! A tree as the lists it consists of: for who walks all of it, or knows how long they are before he writes them.

use alloc::vec::Vec;
use core::ops::Range;

use smallvec::SmallVec;

use super::{Bytes, Carried, DeltaTree, Place, Span};
use crate::causal::{Dots, LocalDot};

/// The lists of a tree, for who walks all of it: nodes and spans by number.
#[derive(Clone, Copy)]
pub(crate) struct Flat<'t> {
    places: &'t [Place],
    carried: &'t [Carried],
    covers: &'t [(u64, u64)],
    keys: &'t [u8],
    contents: &'t [u8],
}

impl DeltaTree {
    /// The tree as the lists it consists of.
    pub(crate) fn flat(&self) -> Flat<'_> {
        Flat {
            places: &self.places,
            carried: &self.carried,
            covers: &self.covers,
            keys: &self.keys,
            contents: &self.contents,
        }
    }
}

/// The parent of the root.
pub(crate) const NO_NODE: u32 = u32::MAX;

impl<'t> Flat<'t> {
    /// How many nodes there are.
    pub(crate) fn nodes(self) -> usize {
        self.places.len()
    }

    /// The key of a node.
    pub(crate) fn key(self, node: u32) -> &'t [u8] {
        let start = if node == 0 { 0 } else { self.places[node as usize - 1].key_end };
        &self.keys[start as usize..self.places[node as usize].key_end as usize]
    }

    /// The nodes right below one.
    pub(crate) fn children(self, node: u32) -> impl Iterator<Item = u32> + 't {
        let (mut next, end) = (node + 1, self.places[node as usize].end);
        core::iter::from_fn(move || {
            let at = next;
            (at < end).then(|| {
                next = self.places[at as usize].end;
                at
            })
        })
    }

    /// Whether there are nodes below.
    pub(crate) fn has_children(self, node: u32) -> bool {
        self.places[node as usize].end > node + 1
    }

    /// What a node carries: the numbers of its spans.
    pub(crate) fn carried(self, node: u32) -> Range<u32> {
        let start = if node == 0 { 0 } else { self.places[node as usize - 1].carried_end };
        start..self.places[node as usize].carried_end
    }

    /// What a node covers.
    pub(crate) fn cover(self, node: u32) -> Dots<'t> {
        let start = if node == 0 { 0 } else { self.places[node as usize - 1].cover_end };
        Dots::new(&self.covers[start as usize..self.places[node as usize].cover_end as usize])
    }

    /// How many bytes all keys take.
    pub(crate) fn key_bytes(self) -> usize {
        self.keys.len()
    }

    /// How many bytes all contents take.
    pub(crate) fn content_bytes(self) -> usize {
        self.contents.len()
    }

    /// A span.
    pub(crate) fn span(self, at: u32) -> Span<&'t [u8]> {
        let start = if at == 0 { 0 } else { self.carried[at as usize - 1].end };
        let Carried { first, end, count } = self.carried[at as usize];
        Span { first, count, contents: &self.contents[start as usize..end as usize] }
    }

    /// The spans with the node that carries each, in the order of their numbers.
    pub(crate) fn spans(self) -> impl Iterator<Item = (Span<&'t [u8]>, u32)> + 't {
        let mut node = 0;
        (0..self.carried.len() as u32).map(move |at| {
            while self.places[node as usize].carried_end <= at {
                node += 1;
            }
            (self.span(at), node)
        })
    }

    /// Of each node the one above.
    pub(crate) fn parents(self) -> Vec<u32> {
        let mut parents = Vec::with_capacity(self.places.len());
        let mut above: SmallVec<[u32; 8]> = SmallVec::new();
        for (at, place) in (0..).zip(self.places) {
            while above.last().is_some_and(|&node| self.places[node as usize].end <= at) {
                above.pop();
            }
            parents.push(above.last().copied().unwrap_or(NO_NODE));
            if place.end > at + 1 {
                above.push(at);
            }
        }
        parents
    }
}

/// A tree whose keys, covers and contents come in one piece each, and whose nodes and spans have been counted.
pub(crate) struct Counted {
    places: SmallVec<[Place; 2]>,
    carried: SmallVec<[Carried; 1]>,
}

/// Writes the nodes and spans of such a tree, in pre-order.
pub(crate) struct TreeBuilder<'t> {
    places: &'t mut [Place],
    carried: &'t mut [Carried],
    nodes: usize,
    spans: usize,
}

impl Counted {
    pub(crate) fn new(nodes: usize, spans: usize) -> Self {
        let nothing = Carried { first: LocalDot::from_bits(0), end: 0, count: 1 };
        Self {
            places: SmallVec::from_elem(Place::default(), nodes),
            carried: SmallVec::from_elem(nothing, spans),
        }
    }

    pub(crate) fn builder(&mut self) -> TreeBuilder<'_> {
        TreeBuilder { places: &mut self.places, carried: &mut self.carried, nodes: 0, spans: 0 }
    }

    /// INVARIANT: as those of [`DeltaTree`]; and the builder was given as many nodes and spans as counted.
    pub(crate) fn finish(self, keys: Bytes, covers: SmallVec<[(u64, u64); 1]>, contents: Bytes) -> DeltaTree {
        DeltaTree { places: self.places, carried: self.carried, covers, keys, contents }
    }
}

impl TreeBuilder<'_> {
    /// Consecutive dots that the next node carries, with where the last of their contents ends.
    #[inline]
    pub(crate) fn carry(&mut self, first: LocalDot, count: u32, end: u32) {
        self.carried[self.spans] = Carried { first, end, count };
        self.spans += 1;
    }

    /// The next node, with where its key and what it covers end; says which it is.
    #[inline]
    pub(crate) fn node(&mut self, key_end: u32, cover_end: u32) -> u32 {
        let at = self.nodes as u32;
        self.nodes += 1;
        self.places[at as usize] = Place { end: at + 1, key_end, carried_end: self.spans as u32, cover_end };
        at
    }

    /// What comes next lies no longer below this node.
    #[inline]
    pub(crate) fn close(&mut self, node: u32) {
        self.places[node as usize].end = self.nodes as u32;
    }
}
