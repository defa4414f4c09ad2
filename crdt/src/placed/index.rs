//! Which of the places that an element was given is the one at which it stands.
//!
//! Of an element's places nobody has replaced, the one that was given last is meant, and one that does not put it away before one that does. Where what is meant
//! would have elements stand below themselves, the move that was made last among those in such a circle is not followed: its element stands below
//! what it stood below before, and if that is no better, below nothing. What comes out does not depend on the order in which circles are
//! looked at: two of them have no element in common, and what is decided for one depends on no other. What was decided for one stays until something
//! becomes of an element that was in it (`circles`).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use smallvec::SmallVec;

use super::circles::{Circles, Round};
use super::counts::Counts;
use super::place::{Placing, Under};
use super::siblings::Siblings;
use crate::causal::{LocalDot, Stamp};
use crate::ordered::Ordered;
use crate::sequence::Sequence;
use crate::store::Written;

/// What an element is called here: a number that it has as long as it has a place or something stands below it. So ways up are followed without
/// a search.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Element(pub(super) u32);

/// What stands below nothing stands below this.
pub(crate) const ROOT: Element = Element(0);
/// What has been put away stands below this.
pub(crate) const TRASH: Element = Element(1);
/// What is not there stands below this.
const NOWHERE: Element = Element(u32::MAX);

/// The names that those have that are none.
const ROOT_NAME: LocalDot = LocalDot::from_bits(0);
const TRASH_NAME: LocalDot = LocalDot::from_bits(u64::MAX);

/// Everything is looked at anew rather than one by one if so large a part of it is new: one in so many.
const MANY: usize = 4;
/// And not where it is no more than so many.
const FEW: usize = if cfg!(test) { 3 } else { 64 };
/// So many are passed at most on ways up that are gone for one alone.
const MOST_PASSED: usize = if cfg!(test) { 8 } else { 1 << 16 };
/// So many numbers that nothing has may be left over, or as many as are had.
const LEAST_FREE: usize = 16;

/// How far an element is from where it was put last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    Meant,
    Before,
    Root,
}

/// What is known of an element while ways up are followed.
#[derive(Clone, Copy, Debug)]
enum Mark {
    Unseen,
    /// It is the one with this number on the way that is followed.
    OnWay(u32),
    /// The way up from it leads into no circle.
    Clear,
}

/// Where an element stands, and what stands below it.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    name: LocalDot,
    /// Its places that nobody has replaced, the one that is meant first; none of what only has something below it.
    places: SmallVec<[LocalDot; 1]>,
    /// The name of what it stands below, if it is there.
    under: LocalDot,
    step: Step,
    mark: Mark,
    /// INVARIANT: not without any.
    below: Option<Box<Siblings>>,
}

impl Seat {
    fn new(name: LocalDot) -> Self {
        Self {
            name,
            places: SmallVec::new(),
            under: ROOT_NAME,
            step: Step::Meant,
            mark: Mark::Unseen,
            below: None,
        }
    }

    /// The place that is meant.
    pub(super) fn place(&self) -> LocalDot {
        self.places[0]
    }

    pub(super) fn places(&self) -> &[LocalDot] {
        &self.places
    }
}

/// Where a way up leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// To nothing, by way of so many.
    Root(usize),
    /// To something that is not there, or to what has been put away.
    Nowhere,
    /// To another element.
    Other,
}

/// Where all elements stand. A function of what the places say and of which elements hold something, but for the numbers. Everything here is called
/// as the sequence of places calls it.
#[derive(Clone, Default, Debug)]
pub(super) struct Index {
    /// By number. Those of [`ROOT`] and [`TRASH`] come with the first of another.
    seats: Vec<Seat>,
    /// By number, below what each stands that is there: of others [`NOWHERE`].
    above: Vec<Element>,
    /// By number, how many stand above one, as of when that was looked up.
    depths: Vec<Depth>,
    /// Which looking up of a depth still holds: what was looked up before this has moved.
    since: u64,
    /// The numbers of what has a place or something below it.
    numbers: BTreeMap<LocalDot, Element>,
    free: Vec<Element>,
    /// Those that do not stand where they were put last, and why.
    pub(super) circles: Circles,
    /// How many rows there are of each, if anybody asked.
    pub(super) counts: Counts,
    /// How often it was decided for an element where it stands, or one was passed on a way up to decide it.
    #[cfg(test)]
    pub(super) looked_at: usize,
}

#[derive(Clone, Copy, Default, Debug)]
struct Depth {
    /// What `since` was then; 0 if it was never looked up.
    at: u64,
    depth: u32,
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
        Under::Root => ROOT_NAME,
        Under::Trash => TRASH_NAME,
        Under::Element(name) => LocalDot::new(sequence.row(name.0.replica), name.0.counter),
    }
}

/// Numbers.
impl Index {
    /// What something of this name is called, if it has a place or anything stands below it.
    pub(super) fn number(&self, name: LocalDot) -> Option<Element> {
        match name {
            ROOT_NAME => Some(ROOT),
            TRASH_NAME => Some(TRASH),
            _ => self.numbers.get(&name).copied(),
        }
    }

    /// What something of this name is called from now on.
    fn open(&mut self, name: LocalDot) -> Element {
        if self.seats.is_empty() {
            [ROOT_NAME, TRASH_NAME].into_iter().for_each(|name| self.push(name));
        }
        self.number(name).unwrap_or_else(|| {
            let element = self.free.pop().unwrap_or(Element(self.seats.len() as u32));
            assert!(element != NOWHERE, "there are less than 2^32 elements");
            self.numbers.insert(name, element);
            match self.seats.get_mut(element.0 as usize) {
                Some(seat) => seat.name = name,
                None => self.push(name),
            }
            element
        })
    }

    fn push(&mut self, name: LocalDot) {
        self.seats.push(Seat::new(name));
        self.above.push(NOWHERE);
        self.depths.push(Depth::default());
    }

    /// Takes the number back of what has no place any more, and nothing below it.
    fn close(&mut self, element: Element) {
        let seat = self.at(element);
        if element != ROOT && element != TRASH && seat.places.is_empty() && seat.below.is_none() {
            let name = seat.name;
            self.numbers.remove(&name);
            self.free.push(element);
        }
    }

    /// Whether so few numbers are had that all should be given anew.
    pub(super) fn is_sparse(&self) -> bool {
        self.free.len() > LEAST_FREE.max(self.numbers.len())
    }

    fn at(&self, element: Element) -> &Seat {
        &self.seats[element.0 as usize]
    }

    fn at_mut(&mut self, element: Element) -> &mut Seat {
        &mut self.seats[element.0 as usize]
    }
}

/// Reading.
impl Index {
    /// Where one stands that has a place.
    pub(super) fn seat(&self, element: Element) -> Option<&Seat> {
        self.seats.get(element.0 as usize).filter(|seat| !seat.places.is_empty())
    }

    /// What it is of which one has its number.
    pub(super) fn name(&self, element: Element) -> LocalDot {
        self.at(element).name
    }

    /// Whether an element is there.
    pub(super) fn has(&self, element: Element) -> bool {
        self.under(element).is_some()
    }

    /// Below what an element stands that is there.
    pub(super) fn under(&self, element: Element) -> Option<Element> {
        self.above.get(element.0 as usize).copied().filter(|above| *above != NOWHERE)
    }

    /// How many stand above one, if that is in the tree: all of them are there, and none has been put away.
    pub(super) fn depth(&self, element: Element) -> Option<usize> {
        let (mut depth, mut at) = (0, element);
        loop {
            at = self.under(at)?;
            if at == ROOT {
                return Some(depth);
            }
            depth += 1;
        }
    }

    /// Where the way up from an element leads, on which it may meet `other`. As long as nothing moves that has anything below it, it need not be gone
    /// again.
    pub(super) fn way_up(&mut self, element: Element, other: Option<Element>) -> Way {
        // Nobody meets what has nothing below it.
        let other = other.filter(|other| *other == element || self.below(*other).is_some());
        let Depth { at, depth } = self.depths[element.0 as usize];
        if other.is_none() && at > self.since {
            return Way::Root(depth as usize);
        }
        let (mut depth, mut at) = (0, element);
        while Some(at) != other {
            match self.under(at) {
                None => return Way::Nowhere,
                Some(ROOT) => {
                    self.depths[element.0 as usize] = Depth { at: self.since + 1, depth };
                    return Way::Root(depth as usize);
                }
                Some(under) => (depth, at) = (depth + 1, under),
            }
        }
        Way::Other
    }

    /// How many have a place, or something below them.
    pub(super) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// All that have a place, in the order of their names.
    pub(super) fn seats(&self) -> impl Iterator<Item = (Element, &Seat)> {
        self.numbers.values().filter_map(|element| Some((*element, self.seat(*element)?)))
    }

    /// How many have had a number at once.
    pub(super) fn most(&self) -> usize {
        self.seats.len()
    }

    pub(super) fn below(&self, element: Element) -> Option<&Siblings> {
        self.seats.get(element.0 as usize)?.below.as_deref()
    }

    /// Those below which something stands, and which are not there themselves.
    pub(super) fn missing(&self) -> impl Iterator<Item = Element> {
        let missing = |element: &Element| self.at(*element).below.is_some() && !self.has(*element);
        self.numbers.values().copied().filter(missing)
    }

    /// Those that do not stand where they were put last.
    pub(super) fn moved_back(&self) -> impl Iterator<Item = Element> {
        self.circles.moved_back()
    }

    /// Where an element stands among those beside it.
    pub(super) fn position<P: Placing>(&self, places: &Places<P>, element: Element) -> Option<usize> {
        let among = self.below(self.under(element)?)?;
        // Where each live place is that of one of these, it is the order of places.
        let at = if among.is_short() {
            None
        } else if among.len() == places.len() {
            places.sequence.position(self.at(element).place())
        } else {
            Some(self.partition(places, among, self.at(element).place()))
        };
        // Its place is gone already if there is another one there.
        at.filter(|at| among.get(*at) == Some(element)).or_else(|| among.position(element))
    }

    /// How many of these stand before a place.
    fn partition<P: Placing>(&self, places: &Places<P>, among: &Siblings, place: LocalDot) -> usize {
        among.partition(|other| places.sequence.is_before(self.at(other).place(), place))
    }

    /// Where among what stands below `under` a place is.
    pub(super) fn rank<P: Placing>(&self, places: &Places<P>, under: Element, place: LocalDot) -> usize {
        let Some(among) = self.below(under) else { return 0 };
        // As in `position`.
        let at = if among.len() + 1 == places.len() { places.sequence.position(place) } else { None };
        at.unwrap_or_else(|| self.partition(places, among, place))
    }
}

/// Changing.
impl Index {
    /// Takes an element out from among those beside it.
    pub(super) fn detach<P: Placing>(&mut self, places: &Places<P>, element: Element) {
        if let (Some(at), Some(under)) = (self.position(places, element), self.under(element)) {
            self.take(places, element, under, at);
            self.close(under);
        }
    }

    /// Takes out the one at `at` among those below another, which keeps its number.
    fn take<P: Placing>(&mut self, places: &Places<P>, element: Element, under: Element, at: usize) {
        self.recount(places, element, under, at, false);
        self.above[element.0 as usize] = NOWHERE;
        self.depths[element.0 as usize] = Depth::default();
        if self.at(element).below.is_some() {
            self.since += 1;
        }
        let below = &mut self.at_mut(under).below;
        if let Some(among) = below {
            among.remove(at);
            if among.len() == 0 {
                *below = None;
            }
        }
    }

    fn attach<P: Placing>(&mut self, places: &Places<P>, element: Element) {
        if self.has(element) {
            return;
        }
        let seat = self.at(element);
        let (name, place) = (seat.under, seat.place());
        let under = self.open(name);
        let at = self.rank(places, under, place);
        self.put(places, element, under, at);
    }

    fn put<P: Placing>(&mut self, places: &Places<P>, element: Element, under: Element, at: usize) {
        self.at_mut(under).below.get_or_insert_default().insert(at, element);
        self.above[element.0 as usize] = under;
        self.recount(places, element, under, at, true);
    }

    /// An element has been made there.
    pub(super) fn make<P: Placing>(
        &mut self,
        places: &Places<P>,
        name: LocalDot,
        under: Element,
        at: usize,
    ) -> Element {
        let element = self.open(name);
        self.place(places, element, name, under, at);
        element
    }

    /// An element that is there, as the `own`th among those beside it, has been given this place and no other, at which it is the one at `at`.
    pub(super) fn move_to<P: Placing>(
        &mut self,
        places: &Places<P>,
        element: Element,
        own: usize,
        place: LocalDot,
        under: Element,
        at: usize,
    ) {
        let was = self.under(element);
        if let Some(was) = was {
            self.take(places, element, was, own);
        }
        self.place(places, element, place, under, at);
        if let Some(was) = was {
            self.close(was);
        }
    }

    fn place<P: Placing>(
        &mut self,
        places: &Places<P>,
        element: Element,
        place: LocalDot,
        under: Element,
        at: usize,
    ) {
        let name = self.at(under).name;
        let seat = self.at_mut(element);
        seat.places.clear();
        seat.places.push(place);
        (seat.step, seat.under) = (Step::Meant, name);
        self.circles.forget(element);
        self.put(places, element, under, at);
        let above = self.depths[under.0 as usize];
        if above.at > self.since {
            self.depths[element.0 as usize] = Depth { depth: above.depth + 1, ..above };
        }
    }

    /// An element has no place any more; it was detached.
    pub(super) fn forget(&mut self, element: Element) {
        self.at_mut(element).places.clear();
        self.circles.forget(element);
        self.close(element);
    }

    /// A place of the element has come.
    pub(super) fn add(&mut self, name: LocalDot, place: LocalDot) -> Element {
        let element = self.open(name);
        let places = &mut self.at_mut(element).places;
        if !places.contains(&place) {
            places.push(place);
        }
        element
    }

    /// Whether so many are so large a part of all that everything is looked at anew rather than they one by one.
    pub(super) fn is_much(&self, count: usize) -> bool {
        count > FEW && count > self.numbers.len() / MANY
    }

    /// Of the elements that were `touched` places have come or gone, or what they hold. Those whose places went were detached before.
    pub(super) fn refresh<P: Placing>(
        &mut self,
        places: &mut Places<P>,
        mut touched: Vec<LocalDot>,
        holds: impl Fn(&Places<P>, LocalDot) -> bool,
    ) {
        touched.sort_unstable();
        touched.dedup();
        let elements = touched.into_iter().filter_map(|name| self.number(name));
        let mut touched: Vec<Element> =
            elements.filter(|element| self.is_to_be_decided(places, *element, &holds)).collect();
        // Places that went are still those of their elements: so these have their numbers.
        self.circles.open(&mut touched);
        if self.is_much(touched.len()) {
            return self.rebuild(places, holds);
        }
        let mut left = Vec::with_capacity(touched.len());
        for element in touched {
            self.detach(places, element);
            let own = &mut self.at_mut(element).places;
            own.retain(|place| places.sequence.item(*place).is_some());
            if own.is_empty() {
                self.forget(element);
            } else {
                left.push(element);
            }
        }
        self.decide(places, &mut left, &holds);
        for element in left {
            if holds(places, self.at(element).name) {
                self.attach(places, element);
            }
        }
    }

    /// Whether anything of what says where an element stands may have become different since that was decided: its places or whether it is there.
    fn is_to_be_decided<P: Placing>(
        &self,
        places: &Places<P>,
        element: Element,
        holds: &impl Fn(&Places<P>, LocalDot) -> bool,
    ) -> bool {
        let Some(seat) = self.seat(element) else { return false };
        let is_ordered = |pair: &[LocalDot]| claim_order(&places.sequence, pair[0], pair[1]).is_ge();
        self.has(element) != holds(places, seat.name)
            || !seat.places.iter().all(|place| places.sequence.item(*place).is_some())
            || !seat.places.windows(2).all(is_ordered)
    }

    /// Looks at everything. Numbers stay.
    pub(super) fn rebuild<P: Placing>(
        &mut self,
        places: &mut Places<P>,
        holds: impl Fn(&Places<P>, LocalDot) -> bool,
    ) {
        for seat in &mut self.seats {
            seat.places.clear();
            seat.below = None;
        }
        self.above.fill(NOWHERE);
        self.depths.fill(Depth::default());
        self.circles = Circles::default();
        self.counts = Counts::default();
        let live = places.sequence.live().flat_map(|(first, items)| {
            (0..items.len() as u64).map(move |nth| LocalDot::from_bits(first.bits() + nth))
        });
        let all: Vec<LocalDot> = live.collect();
        let mut owners = Vec::with_capacity(all.len());
        for &place in &all {
            let owner = owner(&mut places.sequence, place).expect("it is live");
            owners.push(self.add(owner, place));
        }
        let mut touched: Vec<Element> = self.seats().map(|(element, _)| element).collect();
        self.decide(places, &mut touched, &holds);
        // In their order, so that none has to be found its place among others.
        for (place, element) in all.into_iter().zip(owners) {
            let seat = self.at(element);
            if seat.place() == place && holds(places, seat.name) {
                let under = self.open(self.at(element).under);
                self.at_mut(under).below.get_or_insert_default().push(element);
                self.above[element.0 as usize] = under;
            }
        }
        let all: Vec<Element> = self.numbers.values().copied().collect();
        all.into_iter().for_each(|element| self.close(element));
    }

    /// Below what it is that each of those `touched` stands; those that it turns out to concern as well are added and detached.
    ///
    /// Of what holds nothing nothing is shown, so it is in no circle: what stands below it does so wherever that was put.
    fn decide<P: Placing>(
        &mut self,
        places: &mut Places<P>,
        touched: &mut Vec<Element>,
        holds: &impl Fn(&Places<P>, LocalDot) -> bool,
    ) {
        #[cfg(test)]
        (self.looked_at += touched.len());
        for &element in touched.iter() {
            let seat = &mut self.seats[element.0 as usize];
            if seat.places.len() > 1 {
                seat.places.sort_unstable_by(|a, b| claim_order(&places.sequence, *b, *a));
            }
            seat.step = Step::Meant;
            seat.under = under(&mut places.sequence, seat.place(), Step::Meant);
        }
        let mut seen: Vec<Element> = Vec::new();
        let mut passed = if touched.len() <= FEW { 0 } else { MOST_PASSED };
        for at in 0..touched.len() {
            if self.is_in_no_circle(touched[at], &mut passed) {
                continue;
            }
            let mut way: Vec<Element> = Vec::new();
            let mut next = Some(touched[at]);
            while let Some(element) = next.filter(|element| self.seat(*element).is_some()) {
                let start = match self.at(element).mark {
                    Mark::Clear => break,
                    Mark::OnWay(start) => start as usize,
                    Mark::Unseen => {
                        #[cfg(test)]
                        (self.looked_at += 1);
                        self.at_mut(element).mark = Mark::OnWay(way.len() as u32);
                        way.push(element);
                        next = self.up(element);
                        continue;
                    }
                };
                // It is none if one of these is not there.
                if !way[start..].iter().all(|element| holds(places, self.at(*element).name)) {
                    break;
                }
                let later = |a: &usize, b: &usize| {
                    let (one, other) = (self.at(way[*a]), self.at(way[*b]));
                    let when = || edge_order(&places.sequence, one.place(), other.place());
                    one.step.cmp(&other.step).then_with(when)
                };
                let at = (start..way.len()).max_by(later).unwrap_or(start);
                let latest = way[at];
                self.step_back(places, latest, &way[start..]);
                // Those behind it on the way lead to it, and it goes on elsewhere.
                way.drain(at + 1..).for_each(|element| self.seats[element.0 as usize].mark = Mark::Unseen);
                next = self.up(latest);
                touched.push(latest);
            }
            way.iter().for_each(|element| self.at_mut(*element).mark = Mark::Clear);
            seen.extend(way);
        }
        seen.into_iter().for_each(|element| self.at_mut(element).mark = Mark::Unseen);
    }

    /// Whether the way up from an element that was detached leads, past none but such as are there, to what is in no circle; also not if too many have been
    /// `passed`. One load for each on the way, and nothing is remembered of it.
    fn is_in_no_circle(&mut self, element: Element, passed: &mut usize) -> bool {
        if *passed >= MOST_PASSED {
            return false;
        }
        let Some(mut at) = self.number(self.at(element).under) else { return true };
        while let Some(&above) = self.above.get(at.0 as usize)
            && above != NOWHERE
        {
            if *passed >= MOST_PASSED {
                return false;
            }
            *passed += 1;
            #[cfg(test)]
            (self.looked_at += 1);
            at = above;
        }
        // The root, the trash, or one that has no place. Others that are not there were detached as well, or stand below what is not told here.
        self.seat(at).is_none()
    }

    /// Below what an element stands or, if it is not there, would.
    fn up(&self, element: Element) -> Option<Element> {
        self.under(element).or_else(|| self.number(self.at(element).under))
    }

    /// Has an element, the latest in a circle, stand below what it stood below before, or below nothing if it does already.
    fn step_back<P: Placing>(&mut self, places: &mut Places<P>, element: Element, circle: &[Element]) {
        self.detach(places, element);
        let seat = &mut self.seats[element.0 as usize];
        let round;
        (seat.step, round) = match seat.step {
            Step::Meant => (Step::Before, Round::First),
            Step::Before | Step::Root => (Step::Root, Round::Second),
        };
        self.circles.close(round, element, circle);
        seat.under = under(&mut places.sequence, seat.place(), seat.step);
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
    under.map_or(ROOT_NAME, |under| name_of(sequence, under))
}
