//! Which of the places that an element was given is the one at which it stands.
//!
//! Of an element's places nobody has replaced, the one that was given last is meant, and one that does not put it away before one that does. Where what is meant
//! would have elements stand below themselves, the move that was made last among those in such a circle is not followed: its element stands below
//! what it stood below before, and if that is no better, below nothing. What comes out does not depend on the order in which circles are
//! looked at: two of them have no element in common, and what is decided for one depends on no other.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Ordering;

use smallvec::SmallVec;

use super::place::{Placing, Under};
use super::siblings::Siblings;
use crate::causal::{LocalDot, Stamp};
use crate::ordered::Ordered;
use crate::sequence::Sequence;
use crate::store::Written;

/// What stands below nothing stands below this.
pub(super) const ROOT: LocalDot = LocalDot::from_bits(0);
/// What has been put away.
pub(super) const TRASH: LocalDot = LocalDot::from_bits(u64::MAX);

/// Everything is looked at anew rather than one by one if so large a part of it is new: one in so many.
const MANY: usize = 4;

/// How far an element is from where it was put last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    Meant,
    Before,
    Root,
}

/// Where an element stands.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    /// Its places that nobody has replaced, the one that is meant first.
    places: SmallVec<[LocalDot; 1]>,
    step: Step,
    pub(super) under: LocalDot,
    /// Whether it is among those below `under`.
    is_in: bool,
}

impl Seat {
    fn new() -> Self {
        Self { places: SmallVec::new(), step: Step::Meant, under: ROOT, is_in: false }
    }

    /// The place that is meant.
    pub(super) fn place(&self) -> LocalDot {
        self.places[0]
    }

    pub(super) fn places(&self) -> &[LocalDot] {
        &self.places
    }
}

/// Where all elements stand. A function of what the places say and of which elements hold something. Everything here is called as the sequence of places
/// calls it.
#[derive(Clone, Default, Debug)]
pub(super) struct Index {
    /// By name. INVARIANT: each has a place.
    seats: BTreeMap<LocalDot, Seat>,
    /// By what it is that they stand below.
    below: BTreeMap<LocalDot, Siblings>,
    /// Those that do not stand where they were put last.
    moved_back: BTreeSet<LocalDot>,
}

/// The places in their order.
pub(super) type Places<P> = Ordered<[Written<P>]>;

/// The element whose place it is.
pub(super) fn owner<P: Placing>(sequence: &mut Sequence<[Written<P>]>, dot: LocalDot) -> Option<LocalDot> {
    match sequence.item(dot)?.moved() {
        Some((_, name)) => Some(LocalDot::new(sequence.row(name.0.replica), name.0.counter)),
        None => Some(dot),
    }
}

fn name_of<P: Placing>(sequence: &mut Sequence<[Written<P>]>, under: Under) -> LocalDot {
    match under {
        Under::Root => ROOT,
        Under::Trash => TRASH,
        Under::Element(name) => LocalDot::new(sequence.row(name.0.replica), name.0.counter),
    }
}

impl Index {
    pub(super) fn seat(&self, name: LocalDot) -> Option<&Seat> {
        self.seats.get(&name)
    }

    /// Whether an element is there.
    pub(super) fn has(&self, name: LocalDot) -> bool {
        self.seats.get(&name).is_some_and(|seat| seat.is_in)
    }

    /// Below what an element stands that is there.
    pub(super) fn under_there(&self, name: LocalDot) -> Option<LocalDot> {
        self.seats.get(&name).filter(|seat| seat.is_in).map(|seat| seat.under)
    }

    pub(super) fn seats(&self) -> impl Iterator<Item = (LocalDot, &Seat)> {
        self.seats.iter().map(|(name, seat)| (*name, seat))
    }

    pub(super) fn below(&self, name: LocalDot) -> Option<&Siblings> {
        self.below.get(&name)
    }

    /// Below what it is that anything stands.
    pub(super) fn parents(&self) -> impl Iterator<Item = LocalDot> {
        self.below.keys().copied()
    }

    pub(super) fn moved_back(&self) -> impl Iterator<Item = LocalDot> {
        self.moved_back.iter().copied()
    }

    /// Where an element stands among those beside it.
    pub(super) fn position<P: Placing>(&self, places: &Places<P>, name: LocalDot) -> Option<usize> {
        let seat = self.seats.get(&name).filter(|seat| seat.is_in)?;
        self.find(places, &self.below[&seat.under], name, seat.place())
    }

    fn find<P: Placing>(
        &self,
        places: &Places<P>,
        among: &Siblings,
        name: LocalDot,
        place: LocalDot,
    ) -> Option<usize> {
        // Where each live place is that of one of these, it is the order of places.
        let at = if among.len() == places.len() {
            places.sequence.position(place)?
        } else {
            among.partition(|other| places.sequence.is_before(self.seats[&other].place(), place))
        };
        // Its place is gone already if there is another one there.
        if among.get(at) == Some(name) { Some(at) } else { among.position(name) }
    }

    /// Where among what stands below `under` a place is.
    pub(super) fn rank<P: Placing>(&self, places: &Places<P>, under: LocalDot, place: LocalDot) -> usize {
        let is_before = |other: LocalDot| places.sequence.is_before(self.seats[&other].place(), place);
        let Some(among) = self.below.get(&under) else { return 0 };
        // As in `find`.
        let at = if among.len() + 1 == places.len() { places.sequence.position(place) } else { None };
        at.unwrap_or_else(|| among.partition(is_before))
    }

    /// Takes an element out from among those beside it.
    pub(super) fn detach<P: Placing>(&mut self, places: &Places<P>, name: LocalDot) {
        let Some(seat) = self.seats.get(&name).filter(|seat| seat.is_in) else { return };
        let at = self.below.get(&seat.under).and_then(|among| self.find(places, among, name, seat.place()));
        if let Some(at) = at {
            self.detach_at(name, at);
        }
    }

    /// As [`detach`](Self::detach), of one that is known to be there among those beside it.
    pub(super) fn detach_at(&mut self, name: LocalDot, at: usize) {
        let Some(seat) = self.seats.get_mut(&name).filter(|seat| seat.is_in) else { return };
        seat.is_in = false;
        let under = seat.under;
        if let Some(among) = self.below.get_mut(&under) {
            among.remove(at);
            if among.len() == 0 {
                self.below.remove(&under);
            }
        }
    }

    fn attach<P: Placing>(&mut self, places: &Places<P>, name: LocalDot) {
        let Some(seat) = self.seats.get(&name).filter(|seat| !seat.is_in) else { return };
        let under = seat.under;
        let at = self.rank(places, under, seat.place());
        self.put(name, under, at);
    }

    fn put(&mut self, name: LocalDot, under: LocalDot, at: usize) {
        self.below.entry(under).or_default().insert(at, name);
        self.seats.entry(name).and_modify(|seat| seat.is_in = true);
    }

    /// An element of which nothing was known, or that was detached, has been put there and nowhere else, by who wrote this.
    pub(super) fn place(&mut self, name: LocalDot, place: LocalDot, under: LocalDot, at: usize) {
        let seat = self.seats.entry(name).or_insert_with(Seat::new);
        seat.places.clear();
        seat.places.push(place);
        (seat.step, seat.under) = (Step::Meant, under);
        self.moved_back.remove(&name);
        self.put(name, under, at);
    }

    /// An element has no place any more; it was detached.
    pub(super) fn forget(&mut self, name: LocalDot) {
        self.seats.remove(&name);
        self.moved_back.remove(&name);
    }

    /// A place of the element has come.
    pub(super) fn add(&mut self, name: LocalDot, place: LocalDot) {
        let seat = self.seats.entry(name).or_insert_with(Seat::new);
        if !seat.places.contains(&place) {
            seat.places.push(place);
        }
    }

    /// Of the elements that were `touched` places have come or gone, or what they hold. Those whose places went were detached before.
    pub(super) fn refresh<P: Placing>(
        &mut self,
        places: &mut Places<P>,
        mut touched: Vec<LocalDot>,
        holds: impl Fn(&Places<P>, LocalDot) -> bool,
    ) {
        touched.extend(&self.moved_back);
        touched.sort_unstable();
        touched.dedup();
        if touched.len() > 64 && touched.len() > self.seats.len() / MANY {
            return self.rebuild(places, holds);
        }
        for &name in &touched {
            self.detach(places, name);
            let Some(seat) = self.seats.get_mut(&name) else { continue };
            seat.places.retain(|place| places.sequence.item(*place).is_some());
            if seat.places.is_empty() {
                self.forget(name);
            }
        }
        touched.retain(|name| self.seats.contains_key(name));
        self.decide(places, &mut touched);
        for name in touched {
            if holds(places, name) {
                self.attach(places, name);
            }
        }
    }

    /// Looks at everything.
    pub(super) fn rebuild<P: Placing>(
        &mut self,
        places: &mut Places<P>,
        holds: impl Fn(&Places<P>, LocalDot) -> bool,
    ) {
        *self = Self::default();
        let live = places.sequence.live().flat_map(|(first, items)| {
            (0..items.len() as u64).map(move |nth| LocalDot::from_bits(first.bits() + nth))
        });
        let all: Vec<LocalDot> = live.collect();
        let mut owners = Vec::with_capacity(all.len());
        for &place in &all {
            let owner = owner(&mut places.sequence, place).expect("it is live");
            self.add(owner, place);
            owners.push(owner);
        }
        let mut touched: Vec<LocalDot> = self.seats.keys().copied().collect();
        self.decide(places, &mut touched);
        // In their order, so that none has to be found its place among others.
        for (place, owner) in all.into_iter().zip(owners) {
            let Some(seat) = self.seats.get_mut(&owner).filter(|seat| seat.place() == place) else {
                continue;
            };
            if holds(places, owner) {
                seat.is_in = true;
                self.below.entry(seat.under).or_default().push(owner);
            }
        }
    }

    /// Below what it is that each of those `touched` stands; those that it turns out to concern as well are added and detached.
    fn decide<P: Placing>(&mut self, places: &mut Places<P>, touched: &mut Vec<LocalDot>) {
        for &name in touched.iter() {
            let Some(seat) = self.seats.get_mut(&name) else { continue };
            if seat.places.len() > 1 {
                seat.places.sort_unstable_by(|a, b| claim_order(&places.sequence, *b, *a));
            }
            self.moved_back.remove(&name);
            seat.step = Step::Meant;
            seat.under = under(&mut places.sequence, seat.place(), Step::Meant);
        }
        // Those from which the way up has been seen to lead into no circle.
        let mut clear: BTreeSet<LocalDot> = BTreeSet::new();
        for at in 0..touched.len() {
            let mut way: Vec<LocalDot> = Vec::new();
            let mut on_way: BTreeMap<LocalDot, usize> = BTreeMap::new();
            let mut next = touched[at];
            while let Some(under) =
                self.seats.get(&next).filter(|_| !clear.contains(&next)).map(|seat| seat.under)
            {
                let Some(&start) = on_way.get(&next) else {
                    on_way.insert(next, way.len());
                    way.push(next);
                    next = under;
                    continue;
                };
                let circle = start..way.len();
                let later = |a: &usize, b: &usize| {
                    let (one, other) = (&self.seats[&way[*a]], &self.seats[&way[*b]]);
                    let when = || edge_order(&places.sequence, one.place(), other.place());
                    one.step.cmp(&other.step).then_with(when)
                };
                // Those behind it on the way lead to it, and it goes on elsewhere.
                let latest = circle.max_by(later).unwrap_or(start);
                way.drain(latest + 1..).for_each(|name| _ = on_way.remove(&name));
                let latest = way[latest];
                next = self.step_back(places, latest);
                touched.push(latest);
            }
            clear.extend(way);
        }
    }

    /// Has an element stand below what it stood below before, or below nothing if it does already.
    fn step_back<P: Placing>(&mut self, places: &mut Places<P>, name: LocalDot) -> LocalDot {
        self.detach(places, name);
        self.moved_back.insert(name);
        let Some(seat) = self.seats.get_mut(&name) else { return ROOT };
        seat.step = if seat.step == Step::Meant { Step::Before } else { Step::Root };
        seat.under = under(&mut places.sequence, seat.place(), seat.step);
        seat.under
    }
}

/// Which of two places of one element is meant rather than the other, which is less.
fn claim_order<P: Placing>(sequence: &Sequence<[Written<P>]>, a: LocalDot, b: LocalDot) -> Ordering {
    let is_away = |place| sequence.item(place).is_some_and(|place| place.under() == Under::Trash);
    is_away(b).cmp(&is_away(a)).then_with(|| edge_order(sequence, a, b))
}

/// Which of two places was given first.
fn edge_order<P: Placing>(sequence: &Sequence<[Written<P>]>, a: LocalDot, b: LocalDot) -> Ordering {
    let when = |place| -> Option<Stamp> { Some(sequence.item(place)?.moved()?.0) };
    when(a).cmp(&when(b)).then_with(|| sequence.ids().compare(a, b))
}

fn under<P: Placing>(sequence: &mut Sequence<[Written<P>]>, place: LocalDot, step: Step) -> LocalDot {
    let under = sequence.item(place).map(|place| match step {
        Step::Meant => place.under(),
        Step::Before => place.before(),
        Step::Root => Under::Root,
    });
    under.map_or(ROOT, |under| name_of(sequence, under))
}
