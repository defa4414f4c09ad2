//! Where an element stands that may be a ghost, also one that has no place.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use super::piece::after;
use super::remote::Name;
use super::tree::Place;
use super::{Items, Origin, START, Sequence, Side};
use crate::causal::{LocalDot, MAX_COUNTER, ReplicaId};

impl<C: Items + ?Sized> Sequence<C> {
    /// How many scalars are read before an element, and whether it is read itself. Of one that has no place: before where it would have
    /// one. O(log n), and the depth of the tree for one without a place.
    pub(crate) fn index_of(&self, element: LocalDot) -> (usize, bool) {
        let mut element = element;
        // As many as there can be one above the other, unless they hang on themselves.
        let mut left = self.rows.rows.iter().map(|row| row.runs.len() + 1).sum::<usize>();
        loop {
            if let Some((place, from)) = self.place_of(element) {
                let is_live = self.tree.pieces(place.leaf)[place.at].is_live();
                return (self.scalars_at(place) + if is_live { from as usize } else { 0 }, is_live);
            }
            if let Some(end) = self.end_before(element) {
                let name = Name { dot: after(end, 1), begins: false };
                return (self.index_at(Origin { parent: end, side: Side::Right }, name), false);
            }
            let run = self.rows.run(element);
            let at = run.at();
            if at.parent == START || self.place_of(at.parent).is_some() {
                let name = Name { dot: LocalDot::new(element.replica(), run.head), begins: true };
                return (self.index_at(at, name), false);
            }
            left -= 1;
            if left == 0 {
                return (0, false);
            }
            element = at.parent;
        }
    }

    /// How many scalars are read before where a run stands, or would stand if it is not known, that a replica began with this head at `origin`.
    pub(crate) fn index_hung(&self, origin: Origin, replica: ReplicaId, head: u64) -> usize {
        if origin.parent != START && self.place_of(origin.parent).is_none() {
            // Nothing hangs there that is read.
            return self.index_of(origin.parent).0;
        }
        self.index_at(origin, self.name(replica, head))
    }

    /// What a run is called among its siblings, also that of a replica that has no row here: it has a name between those of the ids
    /// before and behind its own.
    fn name(&self, replica: ReplicaId, head: u64) -> Name {
        let last = |row| Name { dot: LocalDot::new(row, MAX_COUNTER), begins: true };
        let first = |row| Name { dot: LocalDot::new(row, 0), begins: false };
        match self.rows.find(replica) {
            Some(row) => Name { dot: LocalDot::new(row, head), begins: true },
            None => match self.rows.around(replica) {
                (Some(before), _) => last(before),
                (None, behind) => first(behind.unwrap_or_default()),
            },
        }
    }

    /// Where the run of an element hangs.
    pub(crate) fn origin_above(&self, element: LocalDot) -> Origin {
        self.rows.run(element).at()
    }

    /// Whether a replica has begun a run after the one with this head.
    pub(crate) fn has_begun_since(&self, replica: ReplicaId, head: u64) -> bool {
        let row = self.rows.find(replica).and_then(|row| self.rows.get(row));
        row.and_then(|row| row.runs.last()).is_some_and(|last| last.head > head)
    }

    /// How many scalars are read before an element that is read itself. O(log n).
    pub(crate) fn position(&self, element: LocalDot) -> Option<usize> {
        let (place, from) = self.place_of(element)?;
        let piece = self.tree.pieces(place.leaf)[place.at];
        piece.is_live().then(|| self.scalars_at(place) + from as usize)
    }

    /// The counter of the head of an element's run.
    pub(crate) fn head_of(&self, element: LocalDot) -> u64 {
        self.rows.run(element).head
    }

    /// Whether it is known where an element stands, or stood. Of one that is not there and whose run is not known either, nobody knows who has it from
    /// bytes.
    pub(crate) fn knows(&self, element: LocalDot) -> bool {
        self.head_of(element) > 0 || self.position(element).is_some()
    }

    /// The element that is read at `index`, which there is.
    pub(crate) fn element_at(&self, index: usize) -> Option<LocalDot> {
        let (leaf, before) = self.tree.find(index, super::Unit::Scalar);
        let mut start = before.scalars;
        for piece in self.tree.pieces(leaf) {
            if index < start + piece.scalars() {
                return Some(after(piece.first(), (index - start) as u64));
            }
            start += piece.scalars();
        }
        None
    }

    /// The element that is read before the one at `index`, or [`START`], and the first ghosts between both that are not frozen, as runs: first and last.
    pub(crate) fn between(
        &self,
        index: usize,
        most: usize,
    ) -> (LocalDot, impl Iterator<Item = (LocalDot, LocalDot)>) {
        let left = index.checked_sub(1).and_then(|before| self.element_at(before));
        let place = left.and_then(|left| self.place_of(left));
        // It may be one in the middle of its piece.
        let is_last =
            place.is_none_or(|(place, from)| from + 1 == self.tree.pieces(place.leaf)[place.at].len());
        let start = match place {
            Some((place, _)) => Some(Place { at: place.at + 1, ..place }),
            None => self.tree.first(),
        };
        let pieces = self.tree.iter_from(start).map(|(_, piece)| piece);
        let ghosts = pieces.take(if is_last { most } else { 0 }).take_while(|piece| !piece.is_live());
        let ghosts = ghosts.filter(|piece| !self.is_frozen(*piece));
        (left.unwrap_or(START), ghosts.map(|piece| (piece.first(), piece.last())))
    }

    /// Where those are read of `count` elements of one replica that are live: scalars, in the order of the elements' dots.
    pub(crate) fn live_among(&self, first: LocalDot, count: u64) -> Vec<Range<usize>> {
        let (Some(row), Some(more)) = (self.rows.get(first.replica()), count.checked_sub(1)) else {
            return Vec::new();
        };
        let last = LocalDot::new(first.replica(), first.counter().saturating_add(more).min(row.last));
        let live = self.placed_from(first, last).filter(|(piece, ..)| piece.is_live());
        let range = |(_, (place, before), _, len)| {
            let start = self.scalars_at(place) + before as usize;
            start..start + len as usize
        };
        live.map(range).collect()
    }

    /// How many scalars are read before a place.
    fn scalars_at(&self, place: Place) -> usize {
        let own = self.tree.pieces(place.leaf)[..place.at].iter();
        self.tree.start(place.leaf).scalars + own.map(|piece| piece.scalars()).sum::<usize>()
    }

    /// How many scalars are read before where an element called `name` belongs that hangs at `origin`, whose parent has a place.
    fn index_at(&self, origin: Origin, name: Name) -> usize {
        let Some(start) = self.tree.first() else { return 0 };
        let parent = origin.parent;
        if parent == START {
            return self.scalars_at(self.among_right(parent, name, start, false, &mut 0));
        }
        let Some((place, from)) = self.place_of(parent) else { return 0 };
        let piece = self.tree.pieces(place.leaf)[place.at];
        let behind = Place { at: place.at + 1, ..place };
        match origin.side {
            Side::Left if from > 0 => self.index_of(parent).0,
            Side::Left => match self.tree.before(place).and_then(|before| self.tree.get(before)) {
                Some(previous) if self.rows.right(previous.first()) == parent => {
                    self.scalars_at(self.among_left(parent, name, place, &mut 0))
                }
                _ => self.scalars_at(place),
            },
            Side::Right if from + 1 < piece.len() => {
                // The rest of the run is a sibling.
                let rest = Name { dot: after(parent, 1), begins: false };
                if self.order(rest, name) == Ordering::Greater {
                    let (before, is_live) = self.index_of(parent);
                    before + usize::from(is_live)
                } else {
                    self.scalars_at(self.among_right(parent, name, behind, true, &mut 0))
                }
            }
            Side::Right => match self.tree.iter_from(Some(behind)).next() {
                Some((_, next)) if self.rows.left(next.first()) == parent => {
                    self.scalars_at(self.among_right(parent, name, behind, false, &mut 0))
                }
                _ => self.scalars_at(behind),
            },
        }
    }
}
