//! What a delta touches, where all other elements stay below what they stand below and in the order in which they stand.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::{Bound, Range};

use smallvec::SmallVec;

use super::changes::{Row, Strip};
use super::index::Element;
use super::store::{PLACES, VALUES};
use super::{Name, Placed, Placing, Under};
use crate::causal::LocalDot;
use crate::store::{Content, Crdt, Look, Written, decode_key};

/// To look for one costs about as much as to build so many rows.
const COST: usize = if cfg!(test) { 1 } else { 4 };

/// Those of which a delta says something, and where they were before.
#[derive(Debug)]
pub(crate) struct Touched {
    /// Ascending.
    names: Vec<Name>,
    stands: Vec<Stand>,
    /// How many rows there were.
    rows: usize,
}

/// An element, and which rows are its own and those of what stands below it.
#[derive(Debug)]
struct Stand {
    row: Row,
    rows: Range<usize>,
}

/// Which elements a delta names, and below what it puts them.
#[derive(Default)]
struct Named {
    names: Vec<Name>,
    puts: Vec<(Name, Under)>,
}

impl<P: Placing, V: Crdt> Placed<P, V> {
    /// What a delta touches; `None` if more may change, or it is much.
    pub(super) fn touched(&self, look: Look<'_>) -> Option<Touched> {
        #[cfg(test)]
        if WHOLE.get() {
            return None;
        }
        let Named { mut names, puts } = self.named(look)?;
        names.sort_unstable();
        names.dedup();
        if self.index.is_much(COST * names.len()) || (P::NESTS && self.may_make_a_circle(&names, &puts)) {
            return None;
        }
        let stands = self.stands(&names)?;
        Some(Touched { names, stands, rows: self.index.rows::<P>() })
    }

    fn named(&self, look: Look<'_>) -> Option<Named> {
        let mut named = Named::default();
        for (key, look) in look.children()? {
            if key == VALUES {
                for (key, _) in look.children()? {
                    named.names.push(decode_key(key).ok()?);
                }
            } else if key == PLACES {
                let taken = self.places.taken(look)?.into_iter();
                named.names.extend(taken.filter_map(|place| self.owner(place)));
                for (dot, content) in look.told()?.carried() {
                    let place = Written::<P>::decode(content).ok()?;
                    let name = match place.moved() {
                        Some((_, name)) => name,
                        // Of its author something has to be known.
                        None => Name(self.places.dot(self.places.here(look.here(dot)?)?)),
                    };
                    named.names.push(name);
                    named.puts.push((name, place.under()));
                }
            }
        }
        Some(named)
    }

    /// The element whose place it is.
    fn owner(&self, place: LocalDot) -> Option<Name> {
        let moved = self.places.sequence.item(place)?.moved();
        Some(moved.map_or_else(|| Name(self.places.dot(place)), |(_, name)| name))
    }

    /// What something of this name is called, if it has a place or anything stands below it.
    fn number(&self, name: Name) -> Option<Element> {
        self.index.number(self.places.element(name.0)?)
    }

    /// Whether any of these may come to stand below itself, whichever of its places is meant then; or is in a circle already, in which one gave way.
    ///
    /// SUBTLE: a circle that was none before has one of these in it, for below what others were meant to stand they are still. So each way up from
    /// below what one of these may come to stand is followed up to the next of these.
    fn may_make_a_circle(&self, names: &[Name], puts: &[(Name, Under)]) -> bool {
        let nth = |name: &Name| names.binary_search(name).ok();
        let elements = names.iter().zip(0..).filter_map(|(name, nth)| Some((self.number(*name)?, nth)));
        let elements: BTreeMap<Element, usize> = elements.collect();
        if elements.keys().any(|element| self.index.circles.has(*element)) {
            return true;
        }
        let mut edges: Vec<(usize, Under)> =
            puts.iter().filter_map(|(name, under)| Some((nth(name)?, *under))).collect();
        for (element, from) in &elements {
            let places = self.index.seat(*element).map_or(&[][..], |seat| seat.places()).iter();
            let said = places.filter_map(|place| self.places.sequence.item(*place));
            edges.extend(said.map(|place| (*from, place.under())));
        }
        let (mut ways, mut passed) = (Vec::with_capacity(edges.len()), 0);
        for (from, under) in edges {
            let Under::Element(above) = under else { continue };
            let mut to = nth(&above);
            let mut at = if to.is_none() { self.number(above) } else { None };
            while let Some(element) = at {
                passed += 1;
                if self.index.is_much(COST * passed) {
                    return true;
                }
                to = elements.get(&element).copied();
                // What is not there is in no circle.
                at = if to.is_none() { self.index.under(element) } else { None };
            }
            ways.extend(to.map(|to| (from, to)));
        }
        has_circle(names.len(), ways)
    }

    /// Where elements are shown, those that are, in the order of their rows; `None` if to look for them one by one is much.
    fn stands(&self, names: &[Name]) -> Option<Vec<Stand>> {
        let mut stands = Vec::with_capacity(names.len());
        let mut passed = 0;
        for &name in names {
            let Some(element) = self.element(name.0) else { continue };
            let Some(rows) = self.index.rows_of(&self.places, element, &mut passed) else { continue };
            if self.index.is_much(COST * passed) {
                return None;
            }
            stands.push(Stand { row: self.row(element), rows });
        }
        #[cfg(test)]
        count_passed(passed);
        stands.sort_unstable_by_key(|stand| stand.rows.start);
        Some(stands)
    }

    /// The same, looked for among all.
    fn stands_among_all(&self, names: &[Name]) -> Vec<Stand> {
        let is_one = |(_, row): &(usize, Row)| names.binary_search(&row.element).is_ok();
        let stand = |(at, row): (usize, Row)| {
            let rows = self
                .element(row.element.0)
                .filter(|_| P::NESTS)
                .map_or(1, |element| self.index.rows_with(element));
            Stand { row, rows: at..at + rows }
        };
        (0..).zip(self.rows_from(0)).filter(is_one).map(stand).collect()
    }

    /// The rows as they were and as they are, as far as these differ; what was not touched as few strips as may be.
    pub(super) fn strips(&self, touched: &Touched) -> (Vec<Strip>, Vec<Strip>) {
        let stands = self.stands(&touched.names).unwrap_or_else(|| self.stands_among_all(&touched.names));
        let (old, new) = (strips(&touched.stands, touched.rows), strips(&stands, self.index.rows::<P>()));
        let has_circle = || {
            let mut elements = touched.names.iter().filter_map(|name| self.number(*name));
            elements.any(|element| self.index.circles.has(element))
        };
        let (was, is) = (own_rows(&old), own_rows(&new));
        let agree = was.iter().all(|(below, rows)| is.get(below).is_none_or(|other| other == rows));
        if !self.places.sequence.is_orderly() || has_circle() || !agree {
            // Nobody honest comes here. It is true, if rough.
            let all = |from, len| Vec::from([Strip::Rest { below: None, from, len }]);
            return (all(0, touched.rows), all(1, self.index.rows::<P>()));
        }
        let from = |strip: &Strip| match strip {
            Strip::Rest { below, from, .. } => Some((*below, *from)),
            Strip::Row(_) => None,
        };
        let cuts: BTreeSet<_> = old.iter().chain(&new).filter_map(from).collect();
        (cut(old, &cuts), cut(new, &cuts))
    }
}

/// Whether one of so many leads to itself by these ways.
fn has_circle(count: usize, mut ways: Vec<(usize, usize)>) -> bool {
    ways.sort_unstable();
    let mut leading: Vec<usize> = vec![0; count];
    ways.iter().for_each(|(_, to)| leading[*to] += 1);
    // Those to which none leads but such as are in no circle.
    let mut clear: Vec<usize> = (0..count).filter(|to| leading[*to] == 0).collect();
    let mut left = count;
    while let Some(from) = clear.pop() {
        left -= 1;
        let own = ways.partition_point(|(other, _)| *other < from);
        for &(_, to) in ways[own..].iter().take_while(|(other, _)| *other == from) {
            leading[to] -= 1;
            if leading[to] == 0 {
                clear.push(to);
            }
        }
    }
    left > 0
}

/// All rows, of which those that were touched are given.
fn strips(stands: &[Stand], rows: usize) -> Vec<Strip> {
    struct Open {
        below: Option<Name>,
        end: usize,
        /// Up to which row all is said, and how many of these are its own.
        at: usize,
        own: usize,
    }
    let mut strips = Vec::with_capacity(2 * stands.len() + 1);
    let go_on = |open: &mut Open, to: usize, strips: &mut Vec<Strip>| {
        let len = to - open.at;
        if len > 0 {
            strips.push(Strip::Rest { below: open.below, from: open.own, len });
        }
        (open.at, open.own) = (to, open.own + len);
    };
    let mut open: SmallVec<[Open; 4]> = SmallVec::new();
    let mut last = Open { below: None, end: rows, at: 0, own: 0 };
    for stand in stands {
        while last.end <= stand.rows.start
            && let Some(above) = open.pop()
        {
            let end = last.end;
            go_on(&mut last, end, &mut strips);
            last = Open { at: end, ..above };
        }
        go_on(&mut last, stand.rows.start, &mut strips);
        strips.push(Strip::Row(stand.row));
        let (below, start) = (Some(stand.row.element), stand.rows.start);
        open.push(core::mem::replace(&mut last, Open { below, end: stand.rows.end, at: start + 1, own: 0 }));
    }
    loop {
        let end = last.end;
        go_on(&mut last, end, &mut strips);
        let Some(above) = open.pop() else { return strips };
        last = Open { at: end, ..above };
    }
}

/// How many rows are those below each that is shown, and below nothing, that stand below no other that was touched.
fn own_rows(strips: &[Strip]) -> BTreeMap<Option<Name>, usize> {
    let mut own = BTreeMap::from([(None, 0)]);
    for strip in strips {
        match strip {
            Strip::Row(row) => _ = own.entry(Some(row.element)).or_default(),
            Strip::Rest { below, len, .. } => *own.entry(*below).or_default() += len,
        }
    }
    own
}

/// Cuts what was not touched wherever it is cut on one of both sides.
fn cut(strips: Vec<Strip>, cuts: &BTreeSet<(Option<Name>, usize)>) -> Vec<Strip> {
    let mut parts = Vec::with_capacity(strips.len());
    for strip in strips {
        let Strip::Rest { below, mut from, len } = strip else {
            parts.push(strip);
            continue;
        };
        let end = from + len;
        let within = (Bound::Excluded((below, from)), Bound::Excluded((below, end)));
        for &(_, to) in cuts.range(within).chain([&(below, end)]) {
            parts.push(Strip::Rest { below, from, len: to - from });
            from = to;
        }
    }
    parts
}

#[cfg(test)]
std::thread_local! {
    /// Whether all is looked at, whatever a delta says.
    pub(super) static WHOLE: core::cell::Cell<bool> = const { core::cell::Cell::new(false) };
    /// How many rows were built, and elements passed where some were looked for or counted.
    pub(super) static PASSED: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

#[cfg(test)]
pub(super) fn count_passed(more: usize) {
    PASSED.set(PASSED.get() + more);
}
