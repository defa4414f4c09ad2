//! Where the dots of places and values are.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::index::{Seat, owner};
use super::{Element, Name, Placed, Placing};
use crate::causal::{Dots, LocalDot, ReplicaId};
use crate::delta::{Mismatch, Node, TreeWriter};
use crate::ordered::Ordered;
use crate::store::{Content, Crdt, Disputes, DotStore, Join, Plain, Sweep, Written, decode_key};
use crate::{AddWinsMap, Claim};

/// The key of the node that holds the places.
pub(crate) const PLACES: &[u8] = b"p";
/// The key of the node below which the values stand.
pub(crate) const VALUES: &[u8] = b"v";

impl<P: Placing, V: Crdt> Placed<P, V> {
    /// Takes out from among those beside them the elements whose places go. `None` if they are so many that all is to be looked at anew.
    fn leaving(&mut self, cover: Dots<'_>, join: &Join<'_>) -> Option<Vec<LocalDot>> {
        let places = self.places.gone(cover, join).flat_map(|(first, last)| first.bits()..=last.bits());
        let places: SmallVec<[LocalDot; 4]> = places.map(LocalDot::from_bits).collect();
        if self.index.is_much(places.len()) {
            return None;
        }
        let mut leaving = Vec::with_capacity(places.len());
        for place in places {
            let Some(name) = owner(&mut self.places.sequence, place) else { continue };
            if let Some(element) = self.index.number(name) {
                self.index.detach(&self.places, element);
            }
            leaving.push(name);
        }
        Some(leaving)
    }

    /// Those whose places a node carries.
    fn coming(&mut self, node: Node<'_>, join: &Join<'_>) -> Vec<LocalDot> {
        let mut coming = Vec::new();
        for span in node.spans() {
            for counter in (span.first.counter()..).take(span.count as usize) {
                let dot = join.admit(LocalDot::new(span.first.replica(), counter));
                let Some(place) = dot.and_then(|dot| self.places.here(dot)) else { continue };
                let Some(name) = owner(&mut self.places.sequence, place) else { continue };
                self.index.add(name, place);
                coming.push(name);
            }
        }
        coming
    }

    /// Those that a node says something of what they hold.
    fn holding(&mut self, node: Node<'_>) -> Vec<LocalDot> {
        let name = |(key, _)| decode_key::<Name>(key).ok();
        let names = node.children().filter_map(name);
        names.map(|Name(dot)| LocalDot::new(self.places.sequence.row(dot.replica), dot.counter)).collect()
    }

    /// Tells that of elements several moved the last is followed, and which moves are not followed, for elements would stand below themselves.
    pub(crate) fn disputed(
        &self,
        disputes: &mut Disputes<'_>,
        path: impl Fn(Element) -> Plain,
        claim: impl Fn(&Self, LocalDot, &P) -> Plain,
        stands: impl Fn(&Self, Element) -> Plain,
    ) {
        let is_disputed = |(element, seat): &(Element, &Seat)| {
            (seat.places().len() > 1 || self.index.circles.gave_way(*element)) && self.index.has(*element)
        };
        let mut all: Vec<(Element, &Seat)> = self.index.seats().filter(is_disputed).collect();
        // In an order that is the same everywhere.
        all.sort_by_cached_key(|(element, _)| self.name(*element));
        for (element, seat) in all {
            let claims = seat.places().iter().filter_map(|&place| {
                let said = self.places.sequence.item(place)?;
                let by = [self.places.dot(place).replica].into();
                let value = Some(claim(self, place, said));
                Some(Claim { value, by, at: said.moved().map(|(stamp, _)| stamp) })
            });
            let stays = self.index.circles.gave_way(element).then(|| {
                let beside = self.index.circles.beside(element).filter_map(|other| self.index.seat(other));
                let mut by: Vec<ReplicaId> =
                    beside.map(|seat| self.places.dot(seat.place()).replica).collect();
                by.sort_unstable();
                by.dedup();
                if by.is_empty() {
                    // Nobody honest puts an element below itself.
                    by.push(self.places.dot(seat.place()).replica);
                }
                Claim { value: Some(stands(self, element)), by, at: None }
            });
            let claims = stays.into_iter().chain(claims).collect();
            disputes.below(path(element), |disputes| disputes.settle(claims));
        }
    }

    /// Where among what stands below `under` a place is.
    pub(crate) fn rank(&self, under: Element, place: LocalDot) -> usize {
        self.index.rank(&self.places, under, place)
    }

    /// Tells what writers left more than one of in what elements hold.
    pub(crate) fn disputed_values(&self, disputes: &mut Disputes<'_>, path: impl Fn(Element) -> Plain) {
        for (name, value) in self.values.iter() {
            if let Some(element) = self.element(name.0) {
                disputes.below(path(element), |disputes| value.conflicts(disputes));
            }
        }
    }
}

/// What a [`DotStore`] walks, and so does one that is nothing else beside.
impl<P: Placing, V: Crdt> Placed<P, V> {
    pub(crate) fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        // Values go first: where one is gone all is to be looked at anew, and nobody need be taken out before.
        let before = self.values.len();
        for (_, child) in node.children().filter(|(key, _)| *key == VALUES) {
            join.drop_covered(&mut self.values, child.cover());
        }
        let mut touched = (self.values.len() == before).then(Vec::new);
        for (key, child) in node.children() {
            if key == PLACES {
                if !child.cover().is_empty() {
                    let leaving = touched.as_ref().and_then(|_| self.leaving(child.cover(), join));
                    touched = touched.zip(leaving).map(|(touched, leaving)| [touched, leaving].concat());
                    self.places.drop_covered(child.cover(), join);
                }
                self.places.take_in(child, join);
                observe::<P>(child, join);
                if !join.is_slice() {
                    let coming = self.coming(child, join);
                    touched.iter_mut().for_each(|touched| touched.extend_from_slice(&coming));
                }
            } else if key == VALUES {
                self.values.take_in(child, join);
                if !join.is_slice() {
                    let holding = self.holding(child);
                    touched.iter_mut().for_each(|touched| touched.extend_from_slice(&holding));
                }
            } else {
                join.right::<()>(Err(not_one_of_both()));
            }
        }
        if !join.is_slice() {
            self.refresh(touched);
        }
    }

    pub(crate) fn settle(&mut self) {
        self.places.settle();
        self.values.settle();
        self.refresh(None);
    }

    pub(crate) fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        self.places.retain(keep);
        self.values.retain(keep);
        self.refresh(None);
    }

    pub(crate) fn drop_covered(&mut self, cover: Dots<'_>, join: &Join<'_>) {
        let before = self.values.len();
        // First, as in `take_in`.
        self.values.drop_covered(cover, join);
        let leaving = if self.values.len() == before { self.leaving(cover, join) } else { None };
        self.places.drop_covered(cover, join);
        self.refresh(leaving);
    }

    pub(crate) fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.places.dots(each);
        self.values.dots(each);
    }

    pub(crate) fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        writer.child(|key| key.extend_from_slice(PLACES), |below| self.places.carry(wanted, below));
        writer.child(|key| key.extend_from_slice(VALUES), |below| self.values.carry(wanted, below));
    }

    pub(crate) fn is_bottom(&self) -> bool {
        self.places.is_bottom() && self.values.is_bottom()
    }

    pub(crate) fn shows(&self) -> bool {
        self.places.shows() || self.values.shows()
    }

    pub(crate) fn prune(&mut self, node: Node<'_>) {
        for (_, child) in node.children().filter(|(key, _)| *key == VALUES) {
            self.values.prune(child);
            let touched = self.holding(child);
            self.refresh(Some(touched));
        }
    }

    pub(crate) fn check(node: Node<'_>) -> Result<(), Mismatch> {
        node.check_fields(|key, child| match key {
            PLACES => Ordered::<[Written<P>]>::check(child),
            VALUES => AddWinsMap::<Name, V>::check(child),
            _ => Err(not_one_of_both()),
        })
    }

    pub(crate) fn remembered(&self, sweep: &mut Sweep<'_>) {
        // Nothing is read of these: places that were given at the same time as those that are meant; and what is left of elements that
        // were deleted while others moved them or wrote to them.
        //
        // SUBTLE: a deletion leaves no dot. So what is left goes once all know everything that is known here, and the deletion with it. The key
        // of a map may be there by it: so it goes as what else is remembered below one does.
        let mut going = BTreeSet::new();
        for (element, seat) in self.index.seats() {
            let holds = Self::holds(&self.values, &self.places, self.index.name(element));
            let idle = &seat.places()[usize::from(holds)..];
            let dots = || idle.iter().map(|place| self.places.outer(*place));
            if !holds && sweep.is_all_stable() {
                sweep.group(dots());
                // SUBTLE: where one of these stays nobody knows here which.
                going.extend(idle.iter().filter(|_| !sweep.keeps_one()));
            } else if holds && dots().all(|place| sweep.is_stable(place)) {
                sweep.let_go(dots());
                going.extend(idle);
            }
        }
        self.places.remembered(sweep, &going, &BTreeSet::new());
        self.values.remembered(sweep);
        if sweep.is_all_stable() {
            for (name, value) in self.values.iter() {
                let element = self.places.element(name.0).and_then(|name| self.index.number(name));
                if element.is_none_or(|element| self.index.seat(element).is_none()) {
                    let mut idle = Vec::new();
                    value.dots(&mut |dot| idle.push(dot));
                    sweep.group(idle.into_iter());
                }
            }
        }
    }
}

/// Tells the clock when what a node carries was moved.
fn observe<P: Placing>(node: Node<'_>, join: &mut Join<'_>) {
    for (_, content) in node.carried() {
        if let Some((stamp, _)) = Written::<P>::decode(content).ok().and_then(|place| place.moved()) {
            join.observe(stamp);
        }
    }
}

fn not_one_of_both() -> Mismatch {
    Mismatch::Shape("something that is neither the places nor the values of elements")
}
