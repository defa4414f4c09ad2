//! What movable lists and trees mean, read off the full set of events: with no index, no join and no dots in sight, and everything computed anew each time.
//!
//! Only the order of places is taken from elsewhere: Fugue says it ([`moved`](super::moved)), or what is tested itself.

use std::collections::{BTreeMap, BTreeSet};

/// The how-manieth element that anybody made. What nobody sees any more keeps its number.
pub type Element = usize;
/// The how-manieth thing that happened.
pub type At = usize;
/// When something was moved: milliseconds, and a count within them.
pub type When = (u64, u32);

/// Below what an element stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Under {
    /// Nothing.
    Root,
    /// Another one.
    Element(Element),
    /// It has been put away.
    Trash,
}

impl Under {
    /// Below that, or below nothing.
    #[must_use]
    pub fn of(parent: Option<Element>) -> Self {
        parent.map_or(Self::Root, Self::Element)
    }

    /// The element, if it is one.
    #[must_use]
    pub fn element(self) -> Option<Element> {
        if let Self::Element(element) = self { Some(element) } else { None }
    }
}

/// What can be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// An element gets a place, instead of those its author sees.
    Put {
        /// Which one.
        element: Element,
        /// When it was moved there; nothing where it was made.
        when: Option<When>,
        /// Below what.
        under: Under,
        /// Below what it stood before; of one that is put away below what it goes back.
        before: Option<Element>,
    },
    /// Its value, instead of those its author sees.
    Write(Element, u8),
    /// The values that its author sees are taken from it.
    Clear(Element),
    /// It is deleted for good: the places and the values that its author sees.
    Purge(Element),
}

impl Deed {
    fn element(&self) -> Element {
        match *self {
            Self::Put { element, .. }
            | Self::Write(element, _)
            | Self::Clear(element)
            | Self::Purge(element) => element,
        }
    }

    /// Whether it puts an end to another deed with the same element, if its author saw that.
    fn ends(&self, other: &Self) -> bool {
        match other {
            Self::Put { .. } => matches!(self, Self::Put { .. } | Self::Purge(_)),
            Self::Write(..) => matches!(self, Self::Write(..) | Self::Clear(_) | Self::Purge(_)),
            Self::Clear(_) | Self::Purge(_) => false,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
struct Event {
    deed: Deed,
    author: u8,
    /// All that its author saw.
    seen: BTreeSet<At>,
}

/// All that ever happened.
#[derive(Clone, Default, Debug)]
pub struct Events(Vec<Event>);

/// How far an element is from where it was put last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    Meant,
    Before,
    Root,
}

/// Where an element stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Its places that nobody has replaced, the one that is meant first.
    pub places: Vec<At>,
    /// Below what.
    pub under: Under,
    /// Whether that is not where it was put last.
    pub is_back: bool,
    /// What it holds, with who wrote it, in their order.
    pub values: Vec<(u8, u8)>,
}

impl Standing {
    /// The place that is meant.
    #[must_use]
    pub fn place(&self) -> At {
        self.places[0]
    }
}

/// What is read by who has seen something of all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The elements that are there.
    pub standing: BTreeMap<Element, Standing>,
    /// Those below one another, in their order.
    pub below: BTreeMap<Under, Vec<Element>>,
}

impl Events {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Something happens. Yields which event it is, which its author sees from then on.
    pub fn add(&mut self, author: u8, seen: &mut BTreeSet<At>, deed: Deed) -> At {
        let at = self.0.len();
        self.0.push(Event { deed, author, seen: seen.clone() });
        seen.insert(at);
        at
    }

    /// The last ones have not happened.
    pub fn undo(&mut self, left: usize) {
        self.0.truncate(left);
    }

    /// What was done.
    #[must_use]
    pub fn deed(&self, at: At) -> &Deed {
        &self.0[at].deed
    }

    fn author(&self, at: At) -> u8 {
        self.0[at].author
    }

    /// The largest milliseconds of any move among what has been seen.
    #[must_use]
    pub fn latest(&self, seen: &BTreeSet<At>) -> u64 {
        let millis = |at: &At| {
            if let Deed::Put { when, .. } = self.deed(*at) { when.map(|when| when.0) } else { None }
        };
        seen.iter().filter_map(millis).max().unwrap_or(0)
    }

    /// When something was moved last of what has been seen, as far as nobody has replaced the place it got.
    #[must_use]
    pub fn latest_standing(&self, seen: &BTreeSet<At>) -> Option<When> {
        let is_ended = |at: At| {
            let later = seen.iter().map(|later| &self.0[*later]);
            let of_same = |later: &&Event| later.deed.element() == self.deed(at).element();
            later.filter(of_same).any(|later| later.seen.contains(&at) && later.deed.ends(self.deed(at)))
        };
        let standing = seen.iter().filter(|at| !is_ended(**at));
        standing.filter_map(|at| if let Deed::Put { when, .. } = *self.deed(*at) { when } else { None }).max()
    }

    /// What tells which of two places was given later: its stamp, and of equal ones who gave it.
    fn later(&self, place: At) -> (Option<When>, u8, At) {
        let Deed::Put { when, .. } = *self.deed(place) else { panic!("no place") };
        (when, self.author(place), place)
    }

    fn under(&self, place: At, step: Step) -> Under {
        let Deed::Put { under, before, .. } = *self.deed(place) else { panic!("no place") };
        match step {
            Step::Meant => under,
            Step::Before => Under::of(before),
            Step::Root => Under::Root,
        }
    }

    /// What is read by who has seen this, where `order` has all places that nobody replaced in their order.
    ///
    /// # Panics
    /// If it depends on which circle is looked at first, or a place is missing.
    #[must_use]
    pub fn read(&self, seen: &BTreeSet<At>, order: &[At]) -> Reading {
        let mut of_each: BTreeMap<Element, Vec<At>> = BTreeMap::new();
        for &at in seen {
            of_each.entry(self.deed(at).element()).or_default().push(at);
        }
        let mut standing: BTreeMap<Element, Standing> = BTreeMap::new();
        for (element, all) in of_each {
            let is_ended = |&at: &At| {
                let mut later = all.iter().map(|&later| &self.0[later]);
                later.any(|later| later.seen.contains(&at) && later.deed.ends(self.deed(at)))
            };
            let mut of =
                Standing { places: Vec::new(), under: Under::Root, is_back: false, values: Vec::new() };
            for at in all.iter().copied().filter(|at| !is_ended(at)) {
                match *self.deed(at) {
                    Deed::Put { .. } => of.places.push(at),
                    Deed::Write(_, value) => of.values.push((self.author(at), value)),
                    Deed::Clear(_) | Deed::Purge(_) => {}
                }
            }
            standing.insert(element, of);
        }
        // An element is there if it has a place and holds anything.
        standing.retain(|_, of| !of.places.is_empty() && !of.values.is_empty());
        for of in standing.values_mut() {
            of.values.sort_unstable();
            // A move wins over being put away, and a later one over an earlier one.
            of.places.sort_by_key(|&place| {
                let is_away = self.under(place, Step::Meant) == Under::Trash;
                std::cmp::Reverse((!is_away, self.later(place)))
            });
        }
        let steps = self.steps(&standing, false);
        assert_eq!(steps, self.steps(&standing, true), "whichever circle is looked at first");
        for (element, of) in &mut standing {
            of.under = self.under(of.place(), steps[element]);
            of.is_back = steps[element] != Step::Meant;
        }
        let mut below: BTreeMap<Under, Vec<Element>> = BTreeMap::new();
        for place in order {
            let of = standing.iter().find(|(_, of)| of.place() == *place);
            if let Some((element, of)) = of {
                below.entry(of.under).or_default().push(*element);
            }
        }
        assert_eq!(
            below.values().map(Vec::len).sum::<usize>(),
            standing.len(),
            "each has a place in the order"
        );
        Reading { standing, below }
    }

    /// How far each is from where it was put last: as long as there is a circle, the latest of its moves is not followed.
    fn steps(&self, standing: &BTreeMap<Element, Standing>, from_behind: bool) -> BTreeMap<Element, Step> {
        let mut steps: BTreeMap<Element, Step> =
            standing.keys().map(|&element| (element, Step::Meant)).collect();
        loop {
            let up = |element: Element| {
                let above = self.under(standing[&element].place(), steps[&element]).element()?;
                standing.contains_key(&above).then_some(above)
            };
            let circle = |&start: &Element| {
                let way = std::iter::successors(Some(start), |element| up(*element)).take(standing.len() + 1);
                let way: Vec<Element> = way.collect();
                let back = way.iter().skip(1).position(|element| *element == start)?;
                Some(way[..=back].to_vec())
            };
            let mut all = standing.keys();
            let found = if from_behind { all.rev().find_map(circle) } else { all.find_map(circle) };
            let Some(found) = found else { return steps };
            let latest = found
                .into_iter()
                .max_by_key(|element| (steps[element], self.later(standing[element].place())))
                .expect("there is one in a circle");
            let next = if steps[&latest] == Step::Meant { Step::Before } else { Step::Root };
            steps.insert(latest, next);
        }
    }
}

impl Reading {
    /// Those below one, in their order.
    #[must_use]
    pub fn below(&self, under: Under) -> &[Element] {
        self.below.get(&under).map_or(&[], Vec::as_slice)
    }

    /// Where an element stands among those beside it.
    #[must_use]
    pub fn position(&self, element: Element) -> Option<usize> {
        self.below(self.standing.get(&element)?.under).iter().position(|other| *other == element)
    }

    /// Whether an element is there.
    #[must_use]
    pub fn is_there(&self, element: Element) -> bool {
        self.standing.contains_key(&element)
    }

    /// The element, what it stands below, what that stands below, and so on, as long as they are there; and whether that is the way to the top.
    #[must_use]
    pub fn way_up(&self, element: Element) -> (Vec<Element>, bool) {
        let (mut way, mut next) = (Vec::new(), Under::Element(element));
        while let Some((element, of)) =
            next.element().and_then(|next| Some((next, self.standing.get(&next)?)))
        {
            way.push(element);
            next = of.under;
        }
        (way, next == Under::Root)
    }

    /// Whether an element is in the tree.
    #[must_use]
    pub fn contains(&self, element: Element) -> bool {
        self.is_there(element) && self.way_up(element).1
    }

    /// All below one, each before those below it, with how many stand between.
    #[must_use]
    pub fn walk(&self, under: Under) -> Vec<(Element, usize)> {
        let mut all = Vec::new();
        for &element in self.below(under) {
            all.push((element, 0));
            all.extend(
                self.walk(Under::Element(element)).into_iter().map(|(below, depth)| (below, depth + 1)),
            );
        }
        all
    }

    /// Below what it is that something stands and that is not there.
    pub fn missing(&self) -> impl Iterator<Item = Element> + '_ {
        self.below.keys().filter_map(|under| under.element()).filter(|element| !self.is_there(*element))
    }
}
