//! Where letters and elements stand: Fugue (Weidner and Kleppmann 2023), read off the full set of events. With no runs, no pieces and no dots in
//! sight, and what is read computed anew each time.
//!
//! Each element hangs before or behind another, or behind the start, and what is read is that tree from left to right. An insertion hangs behind the
//! element on its left, if nothing does so far, else before the next one. Who wrote last what ends with deleted elements right of the place goes on there
//! (decision 0030). Next to a place are also elements that were deleted: in the paper all of them; of who has only what is told of a state, those on which something hangs that is there.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::ReplicaId;

use super::definitions::Deed;
use super::history::History;

/// Who goes on behind deleted elements looks no further than past so many that were typed in one go. The paper has no such rule, and nothing rests on it.
const NEAR: usize = 4;

/// The event that inserted it.
type Element = usize;

/// Which of the elements that were deleted who inserts something has in sight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ghosts {
    /// All that it has ever seen.
    All,
    /// Those on which something hangs that is there.
    HungOn,
}

/// Where an element hangs; on nothing: the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Put {
    author: ReplicaId,
    on: Option<Element>,
    is_behind: bool,
    /// It does not go on what its author wrote before.
    is_begun: bool,
}

/// All elements that anybody ever inserted, and all deletions.
#[derive(Clone, Debug)]
pub struct Fugue {
    ghosts: Ghosts,
    puts: BTreeMap<Element, Put>,
    deleted: BTreeMap<usize, Element>,
    /// All that who writes just now has had in sight since its transaction began.
    in_sight: Option<BTreeSet<Element>>,
}

/// What there is for who has seen something of all.
struct View<'v> {
    puts: &'v BTreeMap<Element, Put>,
    live: BTreeSet<Element>,
    /// All that are in sight, from left to right.
    order: Vec<Element>,
}

/// The elements that are read by who has seen this, in their order: by the events that inserted them.
///
/// # Panics
/// If an event says that something was inserted or deleted where there is no such place.
#[must_use]
pub fn ordered(history: &History<Deed>, visible: &[usize]) -> Vec<usize> {
    let mut all = Fugue::new(Ghosts::HungOn);
    // What happened before stands before.
    for &event in visible {
        let before = || history.before(event).into_iter().collect();
        match history.operation(event).what {
            Deed::Insert(at, _) => all.insert(event, history.operation(event).author, at, &before()),
            Deed::Delete(at) => all.delete(event, at, &before()),
            _ => {}
        }
    }
    all.read(&visible.iter().copied().collect())
}

impl Fugue {
    /// Nothing was written so far.
    #[must_use]
    pub fn new(ghosts: Ghosts) -> Self {
        Self { ghosts, puts: BTreeMap::new(), deleted: BTreeMap::new(), in_sight: None }
    }

    /// Who inserts something from now on has these in sight.
    pub fn see(&mut self, ghosts: Ghosts) {
        self.ghosts = ghosts;
    }

    /// A transaction begins, whose author has seen these events. What is in sight then stays so until it ends.
    pub fn begin(&mut self, seen: &BTreeSet<usize>) {
        self.in_sight = Some(self.view(seen).order.into_iter().collect());
    }

    /// The transaction ends.
    pub fn end(&mut self) {
        self.in_sight = None;
    }

    /// An event inserts something, by an author who has seen these events. Of one author's events those are later that have larger numbers.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn insert(&mut self, event: usize, author: ReplicaId, at: usize, seen: &BTreeSet<usize>) {
        let put = self.view(seen).put(author, at, seen);
        self.puts.insert(event, put);
        self.in_sight.iter_mut().for_each(|in_sight| _ = in_sight.insert(event));
    }

    /// An event deletes what stands at a place.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn delete(&mut self, event: usize, at: usize, seen: &BTreeSet<usize>) {
        let element = self.view(seen).read().nth(at).expect("there is such an element");
        self.deleted.insert(event, element);
    }

    /// The events from this one on have not happened.
    pub fn undo(&mut self, from: usize) {
        _ = self.puts.split_off(&from);
        _ = self.deleted.split_off(&from);
    }

    /// The elements that are read by who has seen these events, by the events that inserted them.
    #[must_use]
    pub fn read(&self, seen: &BTreeSet<usize>) -> Vec<usize> {
        self.view(seen).read().collect()
    }

    fn view(&self, seen: &BTreeSet<usize>) -> View<'_> {
        let gone: BTreeSet<Element> =
            seen.iter().filter_map(|event| self.deleted.get(event).copied()).collect();
        let known = seen.iter().copied().filter(|event| self.puts.contains_key(event));
        let (live, ghosts): (BTreeSet<Element>, BTreeSet<Element>) =
            known.partition(|element| !gone.contains(element));
        let in_sight = match self.ghosts {
            Ghosts::All => ghosts,
            Ghosts::HungOn => self.in_sight.clone().unwrap_or_default(),
        };
        let mut placed = BTreeSet::new();
        // What was just put, and deleted again, may hang on what was not in sight before.
        for &element in live.iter().chain(&in_sight) {
            let mut next = Some(element);
            while let Some(element) = next.filter(|element| placed.insert(*element)) {
                next = self.puts[&element].on;
            }
        }
        let mut hanging: BTreeMap<(Option<Element>, bool), Vec<Element>> = BTreeMap::new();
        for element in placed {
            let put = self.puts[&element];
            hanging.entry((put.on, put.is_behind)).or_default().push(element);
        }
        hanging.values_mut().for_each(|all| all.sort_by_key(|element| (self.puts[element].author, *element)));
        let mut view = View { puts: &self.puts, live, order: Vec::new() };
        view.walk(None, &hanging);
        view
    }
}

impl View<'_> {
    fn walk(&mut self, element: Option<Element>, hanging: &BTreeMap<(Option<Element>, bool), Vec<Element>>) {
        let on = |is_behind| hanging.get(&(element, is_behind)).into_iter().flatten();
        on(false).for_each(|other| self.walk(Some(*other), hanging));
        self.order.extend(element);
        on(true).for_each(|other| self.walk(Some(*other), hanging));
    }

    fn read(&self) -> impl Iterator<Item = Element> {
        self.order.iter().copied().filter(|element| self.live.contains(element))
    }

    fn is_hung_behind(&self, element: Element) -> bool {
        self.order.iter().any(|other| {
            let put = self.puts[other];
            put.on == Some(element) && put.is_behind
        })
    }

    /// Where something hangs that is inserted at a place.
    fn put(&self, author: ReplicaId, at: usize, before: &BTreeSet<usize>) -> Put {
        let left = at.checked_sub(1).map(|before| self.read().nth(before).expect("there is such an element"));
        let start = left.map_or(0, |left| 1 + self.order.iter().position(|other| *other == left).unwrap());
        let right = &self.order[start..];
        // The last that its author wrote, as far as it is known, unless something was begun since.
        let own = |event: &&Element| self.puts[event].author == author;
        let end = self.order.iter().filter(own).max().copied();
        let begun_last = before.iter().filter(|event| self.puts.get(event).is_some_and(|put| put.is_begun));
        let begun_last = begun_last.filter(own).max().copied();
        let end = end.filter(|end| begun_last.is_none_or(|begun| begun <= *end));
        let is_near = |end: &Element| {
            let gone = right.iter().take_while(|other| !self.live.contains(other));
            let (mut typed_on, mut previous) = (0, None);
            let mut near = gone.take_while(|other| {
                let put = self.puts[other];
                typed_on += usize::from(put.is_begun || put.on.is_none() || put.on != previous);
                previous = Some(**other);
                typed_on <= NEAR
            });
            left == Some(*end) || near.any(|other| other == end)
        };
        if end.filter(is_near).is_some_and(|end| !self.is_hung_behind(end)) {
            // Behind all that it wrote then, in sight or not.
            let last = before.iter().filter(|event| self.puts.contains_key(event)).filter(own).max().copied();
            return Put { author, on: last, is_behind: true, is_begun: false };
        }
        match right.first() {
            Some(&next) if left.is_none_or(|left| self.is_hung_behind(left)) => {
                Put { author, on: Some(next), is_behind: false, is_begun: true }
            }
            _ => Put { author, on: left, is_behind: true, is_begun: true },
        }
    }
}
