//! What is done to movable lists and trees, played anew by their definition ([`placed`](super::placed)): each event does what its author would have
//! done by what it read, where places stand as Fugue has it ([`order`](super::order)). Every author was read from bytes just before it wrote.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::ReplicaId;

use super::history::History;
use super::order::{Fugue, Ghosts};
use super::placed::{At, Deed, Element, Events, Reading, Under, When};

/// A deed is so many events for the order of places at most: a place comes, and others go.
const MANY: usize = 8;

/// All that was done.
#[derive(Debug)]
pub struct Replay {
    events: Events,
    order: Fugue,
    /// Of each element the event that made it, and whose that was.
    made: Vec<(ReplicaId, usize)>,
    /// The deeds of each event.
    deeds: BTreeMap<usize, Vec<At>>,
}

/// Who does something.
#[derive(Debug)]
pub struct Author<'r> {
    replay: &'r mut Replay,
    id: ReplicaId,
    event: usize,
    seen: BTreeSet<At>,
    /// Of its last move.
    stamp: u32,
}

impl Replay {
    /// Plays what is visible; `does` has an author do what an event says.
    pub fn of<O>(
        history: &History<O>,
        visible: &[usize],
        does: impl for<'r> Fn(&mut Author<'r>, &O),
    ) -> Self {
        let mut replay = Self {
            events: Events::default(),
            order: Fugue::new(Ghosts::HungOn),
            made: Vec::new(),
            deeds: BTreeMap::new(),
        };
        // What happened before stands before.
        for &event in visible {
            let seen = replay.deeds_of(&history.before(event));
            let operation = history.operation(event);
            let first = replay.events.len();
            let stamp = replay.events.latest_standing(&seen).map_or(0, |(_, logical)| logical);
            replay.order.begin(&in_order(&seen));
            does(
                &mut Author { replay: &mut replay, id: operation.author, event, seen, stamp },
                &operation.what,
            );
            replay.order.end();
            replay.deeds.insert(event, (first..replay.events.len()).collect());
        }
        replay
    }

    fn deeds_of(&self, events: &[usize]) -> BTreeSet<At> {
        events.iter().flat_map(|event| &self.deeds[event]).copied().collect()
    }

    /// What is read by who has seen these events.
    #[must_use]
    pub fn read(&self, visible: &[usize]) -> Reading {
        self.read_by(&self.deeds_of(visible))
    }

    fn read_by(&self, seen: &BTreeSet<At>) -> Reading {
        self.events.read(seen, &self.places(seen))
    }

    /// All places that nobody has replaced, in their order.
    fn places(&self, seen: &BTreeSet<At>) -> Vec<At> {
        self.order.read(&in_order(seen)).into_iter().map(|place| place / MANY).collect()
    }

    /// The event that made an element.
    #[must_use]
    pub fn maker(&self, element: Element) -> usize {
        self.made[element].1
    }

    /// Tops of what has been put away, then what stands below nodes that are not there.
    #[must_use]
    pub fn trash(&self, reading: &Reading) -> Vec<Element> {
        let mut missing: Vec<Element> = reading.missing().collect();
        missing.sort_by_key(|node| self.made[*node]);
        let missing = missing.into_iter().flat_map(|node| reading.below(Under::Element(node)));
        reading.below(Under::Trash).iter().chain(missing).copied().collect()
    }
}

/// The events for the order of places that these deeds are.
fn in_order(seen: &BTreeSet<At>) -> BTreeSet<usize> {
    seen.iter().flat_map(|at| at * MANY..(at + 1) * MANY).collect()
}

impl Author<'_> {
    /// What it reads.
    #[must_use]
    pub fn read(&self) -> Reading {
        self.replay.read_by(&self.seen)
    }

    /// The tops of what has been put away.
    #[must_use]
    pub fn trash(&self) -> Vec<Element> {
        self.replay.trash(&self.read())
    }

    fn add(&mut self, deed: Deed) -> At {
        self.replay.events.add(self.id.as_bytes()[0], &mut self.seen, deed)
    }

    fn tick(&mut self) -> When {
        self.stamp += 1;
        (0, self.stamp)
    }

    /// Makes an element, and writes to it.
    pub fn make(&mut self, under: Under, at: usize) {
        let element = self.replay.made.len();
        self.replay.made.push((self.id, self.event));
        self.put(element, under, at, None, None);
        self.write(element);
    }

    /// Writes to an element.
    pub fn write(&mut self, element: Element) {
        self.add(Deed::Write(element, 1));
    }

    /// Deletes an element for good.
    pub fn purge(&mut self, element: Element) {
        let reading = self.read();
        let at = self.add(Deed::Purge(element));
        self.leave(&reading, element, at);
    }

    /// An element of a list is moved.
    pub fn move_in_list(&mut self, element: Element, to: usize) {
        let when = self.tick();
        self.put(element, Under::Root, to, Some(when), None);
    }

    /// An element gets a place, at which it is the one at `at` below `under`.
    fn put(
        &mut self,
        element: Element,
        under: Under,
        at: usize,
        when: Option<When>,
        before: Option<Element>,
    ) {
        let reading = self.read();
        let beside: Vec<Element> =
            reading.below(under).iter().copied().filter(|other| *other != element).collect();
        let places = self.replay.places(&self.seen);
        let find = |other: Element| {
            let place = reading.standing[&other].place();
            places.iter().position(|other| *other == place).expect("it is in the order")
        };
        // At the end of all if it is the last one, else before the first one or behind the one before it.
        let here = match at {
            _ if at >= beside.len() => places.len(),
            0 => find(beside[0]),
            _ => find(beside[at - 1]) + 1,
        };
        let seen = in_order(&self.seen);
        let place = self.add(Deed::Put { element, when, under, before });
        self.replay.order.insert(place * MANY, self.id, here, &seen);
        self.leave(&reading, element, place);
    }

    /// The places of an element are gone from the order, by a deed.
    fn leave(&mut self, reading: &Reading, element: Element, by: At) {
        let gone = reading.standing.get(&element).map_or(&[][..], |of| &of.places);
        assert!(gone.len() < MANY, "an element has many places");
        for (event, place) in (by * MANY + 1..).zip(gone) {
            let places = self.replay.places(&self.seen);
            let at = places.iter().position(|other| other == place).expect("it is in the order");
            self.replay.order.delete(event, at, &in_order(&self.seen));
        }
    }

    /// Nodes whose moves are not followed are given the places where they are shown.
    fn settle(&mut self) {
        let standing = self.read().standing;
        let mut back: Vec<Element> =
            standing.iter().filter(|(_, of)| of.is_back).map(|(node, _)| *node).collect();
        back.sort_by_key(|node| self.replay.made[*node]);
        for node in back {
            let reading = self.read();
            let of = &reading.standing[&node];
            let Deed::Put { when, .. } = *self.replay.events.deed(of.place()) else { panic!("no place") };
            let at = reading.position(node).expect("it stands there");
            self.put(node, of.under, at, when, of.under.element());
        }
    }

    /// Moves a node below another that is in the tree and not below the node, or below nothing.
    pub fn move_to(&mut self, node: Element, parent: Option<Element>, at: usize) {
        let reading = self.read();
        let of = &reading.standing[&node];
        if of.under != Under::of(parent) || reading.position(node) != Some(at) {
            self.settle();
            let when = self.tick();
            self.put(node, Under::of(parent), at, Some(when), of.under.element());
        }
    }

    /// Puts a node away that is in the tree.
    pub fn delete(&mut self, node: Element) {
        let reading = self.read();
        self.settle();
        let when = self.tick();
        let before = reading.standing[&node].under.element();
        self.put(node, Under::Trash, reading.below(Under::Trash).len(), Some(when), before);
    }

    /// Brings back a top of what has been put away.
    pub fn restore(&mut self, node: Element) {
        let reading = self.read();
        let of = &reading.standing[&node];
        let Deed::Put { before, .. } = *self.replay.events.deed(of.place()) else { panic!("no place") };
        let parent = before.filter(|before| of.under == Under::Trash && reading.contains(*before));
        self.move_to(node, parent, reading.below(Under::of(parent)).len());
    }
}
