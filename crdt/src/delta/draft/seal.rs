//! How a draft becomes a tree.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use smallvec::SmallVec;

use super::{Covered, Draft, KEPT, KEPT_BYTES, LINEAR, NOBODYS, NONE, Opened, PlaceId, Put, ROOT};
use crate::causal::{CausalContext, Dots};
use crate::delta::tree::offset;
use crate::delta::{Bytes, Counted, DeltaTree, Span, TreeWriter};

impl Draft {
    /// Writes the draft into `tree`. Yields the places at and below which nothing is carried, with the way to them, if
    /// there are any: what lies there may be empty. Its nodes say nothing else.
    #[inline]
    pub(crate) fn seal(&mut self, tree: &mut DeltaTree) -> Option<Box<DeltaTree>> {
        match (&self.late, &self.puts[..], &self.covers[..]) {
            (Some(late), [], [] | [_]) if self.places.len() == 1 => {
                let covered = self.covers.first().map(Covered::interval);
                tree.fill_one(late.dot, late.number.encode(), covered);
                None
            }
            _ => self.seal_any(tree),
        }
    }

    #[inline(never)]
    fn seal_any(&mut self, tree: &mut DeltaTree) -> Option<Box<DeltaTree>> {
        self.settle();
        // What a large transaction has room for beyond what it wrote is not held beside the tree.
        if self.puts.len() > KEPT {
            self.puts.shrink_to_fit();
            self.contents.shrink_to_fit();
            self.gone.shrink_to_fit();
        }
        self.settle_gone();
        if self.puts.iter().any(|put| !put.is_there()) {
            self.puts.retain(Put::is_there);
        }
        if self.places.len() == 1 {
            tree.fill(|writer| {
                if self.puts.len() > LINEAR as usize {
                    writer.reserve([0, self.puts.len(), 0, 0, self.contents.len()]);
                }
                write_own(writer, &self.covers, &self.puts, &self.contents);
            });
            return None;
        }
        let counts = self.counts();
        let order = self.order();
        if let Some(order) = &order {
            let mut position = vec![0; self.places.len()];
            for (at, &place) in (0_u32..).zip(order) {
                position[place as usize] = at;
            }
            self.covers.sort_by_key(|covered| position[covered.place as usize]);
        }
        // A key whose writing was broken off leaves a gap between its neighbours.
        let is_straight = || {
            let adjoin = |pair: &[Opened]| pair[0].key.1 == pair[1].key.0;
            counts[1..].iter().all(|count| *count != (0, 0)) && self.places.windows(2).all(adjoin)
        };
        let is_hollow = |&(carried, _): &(u32, u32)| carried == 0;
        let hollow =
            counts[1..].iter().any(is_hollow).then(|| Box::new(self.hollow(&counts, order.as_deref())));
        if order.is_none() && is_straight() {
            *tree = self.straight();
        } else {
            tree.fill(|writer| self.write(writer, &counts, order.as_deref()));
        }
        hollow
    }

    /// How much is carried and covered at and below each place.
    fn counts(&self) -> SmallVec<[(u32, u32); 8]> {
        let mut counts: SmallVec<[(u32, u32); 8]> = SmallVec::from_elem((0, 0), self.places.len());
        self.puts.iter().for_each(|put| counts[put.place as usize].0 += 1);
        self.covers.iter().for_each(|covered| counts[covered.place as usize].1 += 1);
        for at in (1..self.places.len()).rev() {
            let (carried, covered) = counts[at];
            let above = &mut counts[self.places[at].parent as usize];
            *above = (above.0 + carried, above.1 + covered);
        }
        counts
    }

    /// The places in pre-order; `None` if they, and what belongs to them, stand in it already.
    fn order(&self) -> Option<Vec<PlaceId>> {
        let follows = |at: usize| {
            let parent = self.places[at].parent;
            let mut above = at as PlaceId - 1;
            while above != parent && above != ROOT {
                above = self.places[above as usize].parent;
            }
            above == parent
        };
        let puts_follow = || self.puts.is_sorted_by_key(|put| put.place);
        let covers_follow = || self.covers.is_sorted_by_key(|covered| covered.place);
        if (1..self.places.len()).all(follows) && puts_follow() && covers_follow() {
            return None;
        }
        let mut order = Vec::with_capacity(self.places.len());
        let mut next = vec![ROOT];
        while let Some(at) = next.pop() {
            order.push(at);
            // The newest lies lowest in the stack, so that the oldest comes first.
            let mut child = self.places[at as usize].newest;
            while child != NONE {
                next.push(child);
                child = self.places[child as usize].previous;
            }
        }
        Some(order)
    }

    /// The tree of a draft whose places stand in pre-order and all say something: keys are where they must be already, and
    /// contents mostly. Takes them out if there are many.
    fn straight(&mut self) -> DeltaTree {
        let mut counted = Counted::new(self.places.len(), self.puts.len());
        let mut tree = counted.builder();
        let (mut puts, mut covers) = (&self.puts[..], &self.covers[..]);
        let mut covered: SmallVec<[(u64, u64); 1]> = SmallVec::with_capacity(covers.len());
        let mut open: SmallVec<[PlaceId; 8]> = SmallVec::new();
        let (mut contents_end, mut moved) = (0, false);
        for (place, opened) in (0..).zip(&self.places) {
            while open.last().is_some_and(|last| *last != opened.parent) {
                tree.close(open.pop().unwrap_or_default());
            }
            open.push(place);
            let count = covers.iter().take_while(|covered| covered.place == place).count();
            add_covers(covers.split_off(..count).unwrap_or_default(), |runs| covered.extend_from_slice(runs));
            while let Some((put, rest)) = puts.split_first().filter(|(put, _)| put.place == place) {
                moved |= put.content.0 != contents_end;
                contents_end += put.content.1 - put.content.0;
                tree.carry(put.dot, put.count, contents_end);
                puts = rest;
            }
            tree.node(opened.key.1, offset(covered.len()));
        }
        open.into_iter().rev().for_each(|place| tree.close(place));
        let contents = if moved || contents_end as usize != self.contents.len() {
            let spans = self.puts.iter().map(|put| put.content);
            let mut contents = Bytes::with_capacity(contents_end as usize);
            spans.for_each(|(from, to)| {
                contents.extend_from_slice(&self.contents[from as usize..to as usize])
            });
            contents
        } else {
            taken(&mut self.contents)
        };
        counted.finish(taken(&mut self.keys), covered, contents)
    }

    fn write(&self, writer: &mut TreeWriter<'_>, counts: &[(u32, u32)], order: Option<&[PlaceId]>) {
        if self.places.len() > LINEAR as usize {
            writer.reserve([
                self.places.len(),
                self.puts.len(),
                self.covers.len(),
                self.keys.len(),
                self.contents.len(),
            ]);
        }
        let by_place = ByPlace::of(&self.puts, self.places.len());
        let mut covers = &self.covers[..];
        self.walk(
            writer,
            order,
            |place| counts[place as usize] != (0, 0),
            |writer, place| {
                let covered = covers.iter().take_while(|covered| covered.place == place).count();
                let own_covers = covers.split_off(..covered).unwrap_or_default();
                write_own(writer, own_covers, by_place.at(place, &self.puts), &self.contents);
            },
        );
    }

    fn hollow(&self, counts: &[(u32, u32)], order: Option<&[PlaceId]>) -> DeltaTree {
        let mut leads = vec![false; self.places.len()];
        for at in (1..self.places.len()).rev() {
            leads[at] |= counts[at].0 == 0;
            leads[self.places[at].parent as usize] |= leads[at];
        }
        DeltaTree::written(|writer| {
            self.walk(
                writer,
                order,
                |place| leads[place as usize],
                |writer, place| {
                    if place != ROOT {
                        writer.cover(Dots::new(&[(NOBODYS.bits(), NOBODYS.bits())]));
                    }
                },
            );
        })
    }

    /// Writes the places that are `wanted`, each with what `own` writes of it. Whatever lies above a wanted one is wanted.
    fn walk(
        &self,
        writer: &mut TreeWriter<'_>,
        order: Option<&[PlaceId]>,
        wanted: impl Fn(PlaceId) -> bool,
        mut own: impl FnMut(&mut TreeWriter<'_>, PlaceId),
    ) {
        own(writer, ROOT);
        let mut open: SmallVec<[_; 8]> = SmallVec::new();
        let mut at = ROOT;
        for next in 1..self.places.len() {
            let place = order.map_or(next as PlaceId, |order| order[next]);
            if !wanted(place) {
                continue;
            }
            let parent = self.places[place as usize].parent;
            while at != parent {
                let opened = open.pop().expect("a place that is written comes after its parent");
                writer.close(&opened);
                at = self.places[at as usize].parent;
            }
            open.push(writer.open(self.key(place)));
            at = place;
            own(writer, place);
        }
        while let Some(opened) = open.pop() {
            writer.close(&opened);
        }
    }
}

/// What was written at each place, in order: so that what was written here and there in turns need not be sorted, which would take as much
/// memory again.
struct ByPlace {
    /// By place: the first; [`NONE`] if there is none.
    first: SmallVec<[u32; 8]>,
    /// By put: the next at the same place.
    next: SmallVec<[u32; 8]>,
}

impl ByPlace {
    fn of(puts: &[Put], places: usize) -> Self {
        let (mut first, mut next) =
            (SmallVec::from_elem(NONE, places), SmallVec::from_elem(NONE, puts.len()));
        for (at, put) in puts.iter().enumerate().rev() {
            next[at] = core::mem::replace(&mut first[put.place as usize], offset(at));
        }
        Self { first, next }
    }

    fn at<'p>(&self, place: PlaceId, puts: &'p [Put]) -> impl Iterator<Item = &'p Put> {
        let mut next = self.first[place as usize];
        core::iter::from_fn(move || {
            let put = puts.get(next as usize)?;
            next = self.next[next as usize];
            Some(put)
        })
    }
}

/// What is in a list that is not used any more: the list itself if it is a large one, which is not kept for the next
/// transaction anyway, and as long as it must be.
fn taken(list: &mut Bytes) -> Bytes {
    if list.len() > KEPT_BYTES {
        let mut taken = core::mem::take(list);
        taken.shrink_to_fit();
        taken
    } else {
        Bytes::from_slice(list)
    }
}

/// Writes what one place covers and carries.
fn write_own<'p>(
    writer: &mut TreeWriter<'_>,
    covers: &[Covered],
    puts: impl IntoIterator<Item = &'p Put>,
    contents: &[u8],
) {
    add_covers(covers, |runs| writer.cover(Dots::new(runs)));
    for put in puts {
        let contents = &contents[put.content.0 as usize..put.content.1 as usize];
        writer.carry_span(&Span { first: put.dot, count: put.count, contents });
    }
}

/// Hands over the runs that one place covers, if there are any.
fn add_covers(covers: &[Covered], add: impl FnOnce(&[(u64, u64)])) {
    match covers {
        [] => {}
        [covered] => add(&[covered.interval()]),
        many => {
            let covered = CausalContext::from_intervals(many.iter().map(Covered::interval));
            add(covered.as_dots().intervals());
        }
    }
}
