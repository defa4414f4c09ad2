//! What is done to movable lists and trees, played anew by their definition ([`placed`](super::placed)): each event does what its author would have
//! done by what it read, where places stand as Fugue has it ([`order`](super::order)).

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::ReplicaId;

use super::history::History;
use super::order::{Fugue, Ghosts};
use super::placed::{At, Deed, Element, Events, Reading, Under, When};

/// A deed is so many events for the order of places at most: a place comes, and others go.
const MANY: usize = 8;

/// All that was done to one movable list or tree.
#[derive(Debug)]
pub struct Moves {
    events: Events,
    order: Fugue,
    /// How many events for the order of places each deed is, as far as it is any.
    in_order: BTreeMap<At, usize>,
    /// Of each element who made it, and a number that says which of theirs were made before others.
    made: Vec<(ReplicaId, usize)>,
}

/// Who does something, within a transaction.
#[derive(Debug)]
pub struct Author<'m> {
    moves: &'m mut Moves,
    seen: &'m mut BTreeSet<At>,
    id: ReplicaId,
    /// The number of the transaction.
    number: usize,
    /// Of its next move.
    when: When,
    /// The places of what it reads, in their order, where that is not what Fugue says.
    shown: Option<Vec<At>>,
    /// What it reads, until it does something.
    reading: OnceCell<Reading>,
}

/// How far all had come, to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    events: At,
    made: usize,
}

impl Default for Moves {
    fn default() -> Self {
        Self::new()
    }
}

impl Moves {
    /// Nothing was done so far.
    #[must_use]
    pub fn new() -> Self {
        Self {
            events: Events::default(),
            order: Fugue::new(Ghosts::HungOn),
            in_order: BTreeMap::new(),
            made: Vec::new(),
        }
    }

    /// What was done.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Whether an element that was made has left a place since.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.in_order
            .iter()
            .any(|(deed, events)| *events > usize::from(matches!(self.events.deed(*deed), Deed::Put { .. })))
    }

    /// Somebody who has seen this does something, in a transaction of this number, and makes the first move at this time. What they read stands in the order of
    /// the places `shown`, if these are given, else as Fugue has it. Of what is done in a given order Fugue knows nothing.
    pub fn write<R>(
        &mut self,
        id: ReplicaId,
        number: usize,
        seen: &mut BTreeSet<At>,
        when: When,
        shown: Option<Vec<At>>,
        write: impl FnOnce(&mut Author<'_>) -> R,
    ) -> R {
        if shown.is_none() {
            let seen = self.events_in_order(seen);
            self.order.begin(&seen);
        }
        let written =
            write(&mut Author { moves: self, seen, id, number, when, shown, reading: OnceCell::new() });
        self.order.end();
        written
    }

    /// How far all have come.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { events: self.events.len(), made: self.made.len() }
    }

    /// What came after a mark has not happened.
    pub fn undo(&mut self, to: Mark) {
        self.events.undo(to.events);
        self.made.truncate(to.made);
        self.order.undo(to.events * MANY);
        _ = self.in_order.split_off(&to.events);
    }

    /// What is read by who has seen this, and knows no other deleted places than those on which something hangs.
    #[must_use]
    pub fn read(&self, seen: &BTreeSet<At>) -> Reading {
        self.events.read(seen, &self.places(seen))
    }

    /// All places that nobody has replaced, in their order.
    fn places(&self, seen: &BTreeSet<At>) -> Vec<At> {
        let places = self.order.read(&self.events_in_order(seen));
        places.into_iter().map(|place| place / MANY).collect()
    }

    /// The events for the order of places that these deeds are.
    fn events_in_order(&self, seen: &BTreeSet<At>) -> BTreeSet<usize> {
        let events = |at: &At| self.in_order.get(at).map(|count| at * MANY..at * MANY + count);
        seen.iter().filter_map(events).flatten().collect()
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

/// What is done in the histories of a small scope. Every author was read from bytes just before it wrote.
#[derive(Debug)]
pub struct Replay {
    moves: Moves,
    /// The deeds of each event.
    deeds: BTreeMap<usize, Vec<At>>,
}

impl Replay {
    /// Plays what is visible; `does` has an author do what an event says.
    pub fn of<O>(history: &History<O>, visible: &[usize], does: impl Fn(&mut Author<'_>, &O)) -> Self {
        let [one] = Self::of_fields(history, visible, |author, _, what| does(author, what));
        one
    }

    /// As [`of`](Self::of), of several that are written to in one transaction, one after the other: `does` is told which of them. Moves
    /// of all have one clock.
    pub fn of_fields<O, const N: usize>(
        history: &History<O>,
        visible: &[usize],
        does: impl Fn(&mut Author<'_>, usize, &O),
    ) -> [Self; N] {
        let mut fields = [(); N].map(|()| Self { moves: Moves::new(), deeds: BTreeMap::new() });
        // What happened before stands before.
        for &event in visible {
            let operation = history.operation(event);
            let mut seen: Vec<BTreeSet<At>> =
                fields.iter().map(|field| field.deeds_of(&history.before(event))).collect();
            let latest = fields.iter().zip(&seen);
            let latest = latest.filter_map(|(field, seen)| field.moves.events.latest_standing(seen)).max();
            let mut when = (0, latest.map_or(1, |(_, count)| count + 1));
            for (at, (field, seen)) in fields.iter_mut().zip(&mut seen).enumerate() {
                let first = field.moves.events.len();
                when = field.moves.write(operation.author, event, seen, when, None, |author| {
                    does(author, at, &operation.what);
                    author.when
                });
                field.deeds.insert(event, (first..field.moves.events.len()).collect());
            }
        }
        fields
    }

    fn deeds_of(&self, events: &[usize]) -> BTreeSet<At> {
        events.iter().flat_map(|event| &self.deeds[event]).copied().collect()
    }

    /// What is read by who has seen these events.
    #[must_use]
    pub fn read(&self, visible: &[usize]) -> Reading {
        self.moves.read(&self.deeds_of(visible))
    }

    /// The event that made an element.
    #[must_use]
    pub fn maker(&self, element: Element) -> usize {
        self.moves.made[element].1
    }

    /// As [`Moves::trash`].
    #[must_use]
    pub fn trash(&self, reading: &Reading) -> Vec<Element> {
        self.moves.trash(reading)
    }
}

impl Author<'_> {
    /// What it reads.
    #[must_use]
    pub fn read(&self) -> Reading {
        self.reading.get_or_init(|| self.moves.events.read(self.seen, &self.places())).clone()
    }

    /// All places that nobody has replaced, in the order in which it reads them.
    fn places(&self) -> Vec<At> {
        self.shown.clone().unwrap_or_else(|| self.moves.places(self.seen))
    }

    /// The tops of what has been put away.
    #[must_use]
    pub fn trash(&self) -> Vec<Element> {
        self.moves.trash(&self.read())
    }

    fn add(&mut self, deed: Deed) -> At {
        self.reading.take();
        self.moves.events.add(self.id.as_bytes()[0], self.seen, deed)
    }

    fn tick(&mut self) -> When {
        let when = self.when;
        self.when.1 += 1;
        when
    }

    /// Makes an element, and writes to it if there is anything to write.
    pub fn make(&mut self, under: Under, at: usize, value: Option<u8>) {
        let element = self.moves.made.len();
        self.moves.made.push((self.id, self.number));
        self.put(element, under, at, None, None);
        value.into_iter().for_each(|value| self.write(element, value));
    }

    /// Writes to an element.
    pub fn write(&mut self, element: Element, value: u8) {
        self.add(Deed::Write(element, value));
    }

    /// Takes from an element what it holds.
    pub fn clear(&mut self, element: Element) {
        self.add(Deed::Clear(element));
    }

    /// Deletes an element for good.
    pub fn purge(&mut self, element: Element) {
        let reading = self.read();
        let at = self.add(Deed::Purge(element));
        self.leave(&reading, element, at);
    }

    /// Deletes a node for good, with all below it.
    pub fn purge_all(&mut self, node: Element) {
        let reading = self.read();
        self.settle();
        let below = reading.walk(Under::Element(node)).into_iter().map(|(below, _)| below);
        below.chain([node]).for_each(|node| self.purge(node));
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
        let places = self.places();
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
        let before_it = self.moves.events_in_order(self.seen);
        let place = self.add(Deed::Put { element, when, under, before });
        match &mut self.shown {
            Some(shown) => shown.insert(here, place),
            None => self.moves.order.insert(place * MANY, self.id, here, &before_it),
        }
        self.moves.in_order.insert(place, 1);
        self.leave(&reading, element, place);
    }

    /// The places of an element are gone from the order, by a deed.
    fn leave(&mut self, reading: &Reading, element: Element, by: At) {
        let gone = reading.standing.get(&element).map_or(&[][..], |of| &of.places);
        assert!(gone.len() < MANY, "an element has many places");
        debug_assert!(self.reading.get().is_none(), "it is read again when all is done");
        for (event, place) in (by * MANY + 1..).zip(gone) {
            match &mut self.shown {
                Some(shown) => shown.retain(|other| other != place),
                None => {
                    let at = self.moves.places(self.seen).iter().position(|other| other == place);
                    let seen = self.moves.events_in_order(self.seen);
                    self.moves.order.delete(event, at.expect("it is in the order"), &seen);
                }
            }
            self.moves.in_order.insert(by, event + 1 - by * MANY);
        }
    }

    /// Nodes whose moves are not followed are given the places where they are shown.
    fn settle(&mut self) {
        let standing = self.read().standing;
        let mut back: Vec<Element> =
            standing.iter().filter(|(_, of)| of.is_back).map(|(node, _)| *node).collect();
        back.sort_by_key(|node| self.moves.made[*node]);
        for node in back {
            let reading = self.read();
            let of = &reading.standing[&node];
            let Deed::Put { when, .. } = *self.moves.events.deed(of.place()) else { panic!("no place") };
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
        let Deed::Put { before, .. } = *self.moves.events.deed(of.place()) else { panic!("no place") };
        let parent = before.filter(|before| of.under == Under::Trash && reading.contains(*before));
        self.move_to(node, parent, reading.below(Under::of(parent)).len());
    }
}
