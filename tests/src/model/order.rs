//! Where letters and elements stand: Fugue (Weidner and Kleppmann 2023), read off the full set of events. With no runs, no pieces and no dots in
//! sight, and everything computed anew each time.
//!
//! Each element hangs before or behind another, or behind the start, and what is read is that tree from left to right. An insertion hangs behind the
//! element on its left, if nothing does so far, else before the next one. Next to it are also those that were deleted and that something hangs on which is there. Who
//! wrote last what ends with such elements right of the place goes on there (decision 0030).

use std::collections::{BTreeMap, BTreeSet};

use super::definitions::Deed;
use super::history::History;

/// The event that inserted it.
type Element = usize;

/// Where an element hangs; on nothing: the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Put {
    on: Option<Element>,
    is_behind: bool,
    /// It does not go on what its author wrote before.
    is_begun: bool,
}

/// What there is for who has seen something of all.
struct View<'v> {
    history: &'v History<Deed>,
    puts: &'v BTreeMap<Element, Put>,
    live: BTreeSet<Element>,
    /// All that are live or hung on by such, from left to right.
    order: Vec<Element>,
}

/// The elements that are read by who has seen this, in their order: by the events that inserted them.
///
/// # Panics
/// If an event says that something was inserted or deleted where there is no such place.
#[must_use]
pub fn ordered(history: &History<Deed>, visible: &[usize]) -> Vec<usize> {
    let mut puts: BTreeMap<Element, Put> = BTreeMap::new();
    let mut deleted: BTreeMap<usize, Element> = BTreeMap::new();
    // What happened before stands before.
    for &event in visible {
        let before = history.before(event);
        match history.operation(event).what {
            Deed::Insert(at, _) => {
                let put = View::new(history, &puts, &deleted, &before).put(event, at, &before);
                puts.insert(event, put);
            }
            Deed::Delete(at) => {
                let read = View::new(history, &puts, &deleted, &before).read();
                deleted.insert(event, read[at]);
            }
            _ => {}
        }
    }
    View::new(history, &puts, &deleted, visible).read()
}

impl<'v> View<'v> {
    fn new(
        history: &'v History<Deed>,
        puts: &'v BTreeMap<Element, Put>,
        deleted: &BTreeMap<usize, Element>,
        seen: &[usize],
    ) -> Self {
        let gone: BTreeSet<Element> = seen.iter().filter_map(|event| deleted.get(event).copied()).collect();
        let there = |event: &&usize| puts.contains_key(event) && !gone.contains(event);
        let live: BTreeSet<Element> = seen.iter().filter(there).copied().collect();
        let mut placed = BTreeSet::new();
        for &element in &live {
            let mut next = Some(element);
            while let Some(element) = next.filter(|element| placed.insert(*element)) {
                next = puts[&element].on;
            }
        }
        let mut view = Self { history, puts, live, order: Vec::new() };
        view.walk(None, &placed);
        view
    }

    fn walk(&mut self, element: Option<Element>, placed: &BTreeSet<Element>) {
        let hanging = |is_behind: bool| {
            let on = |other: &&Element| {
                let put = self.puts[other];
                put.on == element && put.is_behind == is_behind
            };
            let mut all: Vec<Element> = placed.iter().filter(on).copied().collect();
            all.sort_by_key(|other| (self.history.operation(*other).author, *other));
            all
        };
        let (before, behind) = (hanging(false), hanging(true));
        before.into_iter().for_each(|other| self.walk(Some(other), placed));
        self.order.extend(element);
        behind.into_iter().for_each(|other| self.walk(Some(other), placed));
    }

    fn read(&self) -> Vec<Element> {
        self.order.iter().copied().filter(|element| self.live.contains(element)).collect()
    }

    fn is_hung_behind(&self, element: Element) -> bool {
        self.order.iter().any(|other| {
            let put = self.puts[other];
            put.on == Some(element) && put.is_behind
        })
    }

    /// Where `event` hangs, which inserts something at a place.
    fn put(&self, event: usize, at: usize, before: &[usize]) -> Put {
        let author = self.history.operation(event).author;
        let left = at.checked_sub(1).map(|at| self.read()[at]);
        let start = left.map_or(0, |left| 1 + self.order.iter().position(|other| *other == left).unwrap());
        let right = &self.order[start..];
        // The last that its author wrote, as far as it is known, unless something was begun since.
        let own = |event: &&Element| self.history.operation(**event).author == author;
        let end = self.order.iter().filter(own).max().copied();
        let begun_last = before.iter().filter(|event| self.puts.get(event).is_some_and(|put| put.is_begun));
        let begun_last = begun_last.filter(own).max().copied();
        let end = end.filter(|end| begun_last.is_none_or(|begun| begun <= *end));
        let is_near = |end: &Element| {
            let mut gone = right.iter().take_while(|other| !self.live.contains(other));
            left == Some(*end) || gone.any(|other| other == end)
        };
        if let Some(end) = end.filter(is_near).filter(|end| !self.is_hung_behind(*end)) {
            return Put { on: Some(end), is_behind: true, is_begun: false };
        }
        match right.first() {
            Some(&next) if left.is_none_or(|left| self.is_hung_behind(left)) => {
                Put { on: Some(next), is_behind: false, is_begun: true }
            }
            _ => Put { on: left, is_behind: true, is_begun: true },
        }
    }
}
