//! The pieces in the order in which they are read: a balanced tree with counts, in two flat lists.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::piece::{Piece, Unit, Width};

/// How many pieces a leaf holds.
const LEAF: usize = 32;
/// How many children a node has.
const NODE: usize = 16;
/// Nowhere.
pub(super) const NONE: u32 = u32::MAX;

/// A gap between pieces of one leaf, or the piece behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) leaf: u32,
    pub(super) at: usize,
}

/// What is asked of all lies in front, beside the first pieces.
#[derive(Debug, Clone)]
#[repr(C)]
struct Leaf {
    parent: u32,
    /// Which child of its parent it is.
    slot: u16,
    len: u16,
    previous: u32,
    next: u32,
    pieces: [Piece; LEAF],
}

/// INVARIANT: the widths are those of the children.
#[derive(Debug, Clone)]
#[repr(C)]
struct Inner {
    parent: u32,
    slot: u16,
    len: u16,
    /// Whether its children are leaves.
    is_lowest: bool,
    children: [u32; NODE],
    widths: [Width; NODE],
}

impl Inner {
    fn new(is_lowest: bool) -> Self {
        Self {
            parent: NONE,
            slot: 0,
            len: 0,
            is_lowest,
            children: [NONE; NODE],
            widths: [Width::default(); NODE],
        }
    }

    fn width(&self) -> Width {
        let mut sum = Width::default();
        self.widths[..self.len as usize].iter().for_each(|width| sum += *width);
        sum
    }
}

impl Leaf {
    fn new(previous: u32, next: u32) -> Self {
        Self { parent: NONE, slot: 0, len: 0, previous, next, pieces: [Piece::NONE; LEAF] }
    }
}

/// INVARIANT: there is a root and at least one leaf; only the leaf of an empty tree is empty.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// Boxed, so that while the list grows there are not two of everything.
    #[allow(clippy::vec_box)]
    leaves: Vec<Box<Leaf>>,
    nodes: Vec<Inner>,
    root: u32,
    width: Width,
    /// How many pieces there are.
    count: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Self { leaves: Vec::new(), nodes: Vec::new(), root: NONE, width: Width::default(), count: 0 }
    }
}

impl Tree {
    /// How long everything is that is read.
    pub(super) fn width(&self) -> Width {
        self.width
    }

    pub(super) fn is_empty(&self) -> bool {
        self.root == NONE
    }

    /// How many pieces there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Whether there are so few pieces for so many leaves that they should be packed anew.
    pub(super) fn is_sparse(&self) -> bool {
        self.leaves.len() > 8 && self.count < self.leaves.len() * (LEAF / 8)
    }

    /// A tree of these pieces.
    pub(super) fn packed(pieces: &[Piece], width: impl Fn(&[Piece]) -> Width) -> Self {
        let mut tree = Self::default();
        let full = LEAF - LEAF / 4;
        let mut level: Vec<(u32, Width)> = Vec::with_capacity(pieces.len() / full + 1);
        let count = pieces.len().div_ceil(full);
        tree.leaves.reserve_exact(count);
        for (at, own) in (0_u32..).zip(pieces.chunks(full)) {
            let next = if at as usize + 1 < count { at + 1 } else { NONE };
            let mut leaf = Leaf::new(at.checked_sub(1).unwrap_or(NONE), next);
            leaf.len = own.len() as u16;
            leaf.pieces[..own.len()].copy_from_slice(own);
            tree.leaves.push(Box::new(leaf));
            let width = width(own);
            tree.width += width;
            level.push((at, width));
        }
        tree.count = pieces.len();
        if level.is_empty() {
            return tree;
        }
        let mut is_lowest = true;
        loop {
            let mut above = Vec::with_capacity(level.len() / NODE + 1);
            for below in level.chunks(NODE - NODE / 4) {
                let node = tree.nodes.len() as u32;
                tree.nodes.push(Inner::new(is_lowest));
                for (slot, &(child, width)) in below.iter().enumerate() {
                    tree.nodes[node as usize].children[slot] = child;
                    tree.nodes[node as usize].widths[slot] = width;
                    tree.hang(child, is_lowest, node, slot);
                }
                tree.nodes[node as usize].len = below.len() as u16;
                above.push((node, tree.nodes[node as usize].width()));
            }
            if let [(root, _)] = above[..] {
                tree.root = root;
                return tree;
            }
            (level, is_lowest) = (above, false);
        }
    }

    fn hang(&mut self, child: u32, is_leaf: bool, parent: u32, slot: usize) {
        if is_leaf {
            let leaf = &mut self.leaves[child as usize];
            (leaf.parent, leaf.slot) = (parent, slot as u16);
        } else {
            let node = &mut self.nodes[child as usize];
            (node.parent, node.slot) = (parent, slot as u16);
        }
    }

    #[inline]
    pub(super) fn pieces(&self, leaf: u32) -> &[Piece] {
        let leaf = &self.leaves[leaf as usize];
        &leaf.pieces[..leaf.len as usize]
    }

    /// The piece behind a place, if there is one in its leaf.
    #[inline]
    pub(super) fn get(&self, place: Place) -> Option<Piece> {
        self.pieces(place.leaf).get(place.at).copied()
    }

    /// As [`get`](Self::get), of a place that may have been in an earlier tree.
    pub(super) fn find_piece(&self, place: Place) -> Option<Piece> {
        let leaf = self.leaves.get(place.leaf as usize)?;
        leaf.pieces[..leaf.len as usize].get(place.at).copied()
    }

    /// The first piece.
    pub(super) fn first(&self) -> Option<Place> {
        let mut at = *self.nodes.get(self.root as usize)?.children.first()?;
        let mut node = &self.nodes[self.root as usize];
        while !node.is_lowest {
            node = &self.nodes[at as usize];
            at = node.children[0];
        }
        Some(Place { leaf: at, at: 0 })
    }

    /// The gap behind the last piece.
    pub(super) fn end(&self) -> Option<Place> {
        let mut node = self.nodes.get(self.root as usize)?;
        loop {
            let last = node.children[node.len as usize - 1];
            if node.is_lowest {
                return Some(Place { leaf: last, at: self.leaves[last as usize].len as usize });
            }
            node = &self.nodes[last as usize];
        }
    }

    /// The piece at a place or, if its leaf has none there, the first of the next leaf.
    #[inline]
    pub(super) fn here(&self, place: Place) -> Option<Place> {
        let leaf = &self.leaves[place.leaf as usize];
        if place.at < leaf.len as usize {
            return Some(place);
        }
        (leaf.next != NONE).then_some(Place { leaf: leaf.next, at: 0 })
    }

    /// The piece before a place.
    pub(super) fn before(&self, place: Place) -> Option<Place> {
        if place.at > 0 {
            return Some(Place { at: place.at - 1, ..place });
        }
        let leaf = self.leaves[place.leaf as usize].previous;
        (leaf != NONE).then(|| Place { leaf, at: self.leaves[leaf as usize].len as usize - 1 })
    }

    /// The pieces from a place on, with their places.
    pub(super) fn iter_from(&self, from: Option<Place>) -> impl Iterator<Item = (Place, Piece)> + '_ {
        let mut next = from.and_then(|from| self.here(from));
        core::iter::from_fn(move || {
            let place = next?;
            next = self.here(Place { at: place.at + 1, ..place });
            Some((place, self.get(place)?))
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Piece> + '_ {
        self.iter_from(self.first()).map(|(_, piece)| piece)
    }

    /// Has a piece be another. What it is longer or shorter is told by `widen` and `narrow`.
    pub(super) fn set(&mut self, place: Place, piece: Piece) {
        self.leaves[place.leaf as usize].pieces[place.at] = piece;
    }

    /// Something in a leaf has become longer.
    #[inline]
    pub(super) fn widen(&mut self, leaf: u32, by: Width) {
        self.width += by;
        let leaf = &self.leaves[leaf as usize];
        let (mut node, mut slot) = (leaf.parent, leaf.slot);
        while node != NONE {
            let inner = &mut self.nodes[node as usize];
            inner.widths[slot as usize] += by;
            (node, slot) = (inner.parent, inner.slot);
        }
    }

    /// Something in a leaf has become shorter.
    pub(super) fn narrow(&mut self, leaf: u32, by: Width) {
        self.width -= by;
        let leaf = &self.leaves[leaf as usize];
        let (mut node, mut slot) = (leaf.parent, leaf.slot);
        while node != NONE {
            let inner = &mut self.nodes[node as usize];
            inner.widths[slot as usize] -= by;
            (node, slot) = (inner.parent, inner.slot);
        }
    }

    /// How long everything before a leaf is.
    pub(super) fn start(&self, leaf: u32) -> Width {
        let leaf = &self.leaves[leaf as usize];
        let (mut node, mut slot) = (leaf.parent, leaf.slot);
        let mut sum = Width::default();
        while node != NONE {
            let inner = &self.nodes[node as usize];
            inner.widths[..slot as usize].iter().for_each(|width| sum += *width);
            (node, slot) = (inner.parent, inner.slot);
        }
        sum
    }

    /// How long a leaf is.
    #[inline]
    pub(super) fn width_of(&self, leaf: u32) -> Width {
        let leaf = &self.leaves[leaf as usize];
        self.nodes[leaf.parent as usize].widths[leaf.slot as usize]
    }

    /// The leaf in which the unit at `index` lies, which there is, and how long everything before the leaf is.
    pub(super) fn find(&self, mut index: usize, unit: Unit) -> (u32, Width) {
        let mut sum = Width::default();
        let mut node = &self.nodes[self.root as usize];
        loop {
            let mut slot = 0;
            while slot + 1 < node.len as usize && index >= node.widths[slot].by(unit) {
                index -= node.widths[slot].by(unit);
                sum += node.widths[slot];
                slot += 1;
            }
            if node.is_lowest {
                return (node.children[slot], sum);
            }
            node = &self.nodes[node.children[slot] as usize];
        }
    }

    /// Which of two places comes first.
    pub(super) fn compare(&self, a: Place, b: Place) -> Ordering {
        if a.leaf == b.leaf {
            return a.at.cmp(&b.at);
        }
        let up = |leaf: u32| (self.leaves[leaf as usize].parent, self.leaves[leaf as usize].slot);
        let (mut one, mut other) = (up(a.leaf), up(b.leaf));
        // All leaves lie equally deep.
        while one.0 != other.0 {
            let above = |node: u32| (self.nodes[node as usize].parent, self.nodes[node as usize].slot);
            (one, other) = (above(one.0), above(other.0));
        }
        one.1.cmp(&other.1)
    }

    /// Puts a piece into a gap; `width` is that of pieces. Yields where it is, and the leaf that others have moved to, if they
    /// had to.
    pub(super) fn insert(
        &mut self,
        mut place: Place,
        piece: Piece,
        width: &dyn Fn(&[Piece]) -> Width,
    ) -> (Place, Option<u32>) {
        self.count += 1;
        if self.root == NONE {
            self.leaves.push(Box::new(Leaf::new(NONE, NONE)));
            let mut root = Inner::new(true);
            (root.children[0], root.len) = (0, 1);
            self.nodes.push(root);
            self.root = 0;
            self.leaves[0].parent = 0;
        }
        let mut moved = None;
        if self.leaves[place.leaf as usize].len as usize == LEAF {
            let new = self.split(place, width);
            let kept = self.leaves[place.leaf as usize].len as usize;
            if place.at > kept || (place.at == kept && kept == LEAF) {
                place = Place { leaf: new, at: place.at - kept };
            }
            moved = Some(new);
        }
        let leaf = &mut self.leaves[place.leaf as usize];
        let len = leaf.len as usize;
        leaf.pieces.copy_within(place.at..len, place.at + 1);
        leaf.pieces[place.at] = piece;
        leaf.len += 1;
        if piece.is_live() {
            self.widen(place.leaf, width(&[piece]));
        }
        (place, moved)
    }

    /// Takes a piece out that is not read. Its leaf keeps at least one.
    pub(super) fn remove(&mut self, place: Place) {
        let leaf = &mut self.leaves[place.leaf as usize];
        let len = leaf.len as usize;
        debug_assert!(len > 1, "no leaf becomes empty");
        leaf.pieces.copy_within(place.at + 1..len, place.at);
        leaf.len -= 1;
        self.count -= 1;
    }

    /// Whether a leaf holds one piece alone.
    pub(super) fn is_single(&self, leaf: u32) -> bool {
        self.leaves[leaf as usize].len == 1
    }

    /// Moves the upper half of a full leaf into a new one; where something is put behind all there is, nothing.
    fn split(&mut self, place: Place, width: &dyn Fn(&[Piece]) -> Width) -> u32 {
        self.make_room(self.leaves[place.leaf as usize].parent);
        let new = self.leaves.len() as u32;
        let old = &mut self.leaves[place.leaf as usize];
        let is_append = old.next == NONE && place.at == LEAF;
        let kept = if is_append { LEAF } else { LEAF / 2 };
        let mut leaf = Leaf::new(place.leaf, old.next);
        leaf.len = (LEAF - kept) as u16;
        leaf.pieces[..LEAF - kept].copy_from_slice(&old.pieces[kept..]);
        let moved = width(&old.pieces[kept..]);
        old.len = kept as u16;
        let next = core::mem::replace(&mut old.next, new);
        let (parent, slot) = (old.parent, old.slot);
        if next != NONE {
            self.leaves[next as usize].previous = new;
        }
        self.leaves.push(Box::new(leaf));
        self.attach(parent, slot as usize, new, moved);
        new
    }

    /// Hangs a new child below a node that has room, behind the one from which everything of this width has moved into it.
    fn attach(&mut self, parent: u32, from: usize, child: u32, width: Width) {
        let node = &mut self.nodes[parent as usize];
        let (len, slot, is_leaf) = (node.len as usize, from + 1, node.is_lowest);
        node.children.copy_within(slot..len, slot + 1);
        node.widths.copy_within(slot..len, slot + 1);
        node.widths[from] -= width;
        (node.children[slot], node.widths[slot]) = (child, width);
        node.len += 1;
        for at in slot..=len {
            let child = self.nodes[parent as usize].children[at];
            self.hang(child, is_leaf, parent, at);
        }
    }

    /// Moves the upper half of a node into a new one, if it is full.
    fn make_room(&mut self, node: u32) {
        if (self.nodes[node as usize].len as usize) < NODE {
            return;
        }
        if node == self.root {
            let mut root = Inner::new(false);
            (root.children[0], root.widths[0], root.len) = (node, self.nodes[node as usize].width(), 1);
            self.root = self.nodes.len() as u32;
            self.nodes.push(root);
            self.hang(node, false, self.root, 0);
        }
        self.make_room(self.nodes[node as usize].parent);
        let new = self.nodes.len() as u32;
        let old = &mut self.nodes[node as usize];
        let mut upper = Inner::new(old.is_lowest);
        upper.len = (NODE / 2) as u16;
        upper.children[..NODE / 2].copy_from_slice(&old.children[NODE / 2..]);
        upper.widths[..NODE / 2].copy_from_slice(&old.widths[NODE / 2..]);
        old.len = (NODE / 2) as u16;
        let (parent, slot) = (old.parent, old.slot as usize);
        let (width, is_leaf) = (upper.width(), upper.is_lowest);
        self.nodes.push(upper);
        for at in 0..NODE / 2 {
            let child = self.nodes[new as usize].children[at];
            self.hang(child, is_leaf, new, at);
        }
        self.attach(parent, slot, new, width);
    }
}
