//! What the types mean, as functions from the events that are visible to the value that is read.
//!
//! Written from the definitions: an element is in an add-wins set if there is an adding of it that no visible removal
//! comes after, and so on. Nothing here knows of dots, versions, deltas or joins.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::Stamp;

use super::history::History;

/// Where in a document something stands: keys, names, types of values, from the outside in.
pub type Place = Vec<String>;

/// What can be done to a document of any type.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// An adding to a set, of the element that the place ends with; or the enabling of a flag.
    Add(Place),
    /// An adding to a counter.
    Count(Place, i64),
    /// A write to a multi-value register.
    Set(Place, String),
    /// A write to a last-writer-wins register, with the stamp its author gave it.
    Stamp(Place, Stamp, String),
    /// The removal of everything at a place and below: of an element, a key, a name; the disabling of a flag, the clearing
    /// of a register, a set or a map.
    Remove(Place),
}

use Deed::{Add, Count, Remove, Set};

fn removes(later: &Deed, place: &Place) -> bool {
    matches!(later, Remove(from) if place.starts_with(from))
}

/// Add-wins sets, enable-wins flags: what was added, by an adding that no visible removal comes after.
#[must_use]
pub fn added(history: &History<Deed>, visible: &[usize]) -> BTreeSet<Place> {
    let is_add = |deed: &Deed| matches!(deed, Add(_));
    let undoes = |later: &Deed, add: &Deed| matches!(add, Add(place) if removes(later, place));
    let standing = history.standing(visible, is_add, undoes);
    standing
        .map(|add| match &add.what {
            Add(place) => place.clone(),
            _ => unreachable!("only addings were asked for"),
        })
        .collect()
}

/// Counters: the sum of the visible addings that no visible removal comes after. A counter of which all was removed does
/// not exist.
#[must_use]
pub fn counted(history: &History<Deed>, visible: &[usize]) -> BTreeMap<Place, i64> {
    let is_count = |deed: &Deed| matches!(deed, Count(_, by) if *by != 0);
    let undoes = |later: &Deed, count: &Deed| matches!(count, Count(place, _) if removes(later, place));
    let mut sums = BTreeMap::new();
    for count in history.standing(visible, is_count, undoes) {
        if let Count(place, by) = &count.what {
            *sums.entry(place.clone()).or_default() += by;
        }
    }
    sums
}

/// Multi-value registers: the visible writes that no visible write to the same register, and no removal, comes after. In
/// order of value.
#[must_use]
pub fn values(history: &History<Deed>, visible: &[usize]) -> BTreeMap<Place, Vec<String>> {
    let is_set = |deed: &Deed| matches!(deed, Set(..));
    let undoes = |later: &Deed, set: &Deed| match (later, set) {
        (Set(there, _), Set(place, _)) => there == place,
        (later, Set(place, _)) => removes(later, place),
        _ => false,
    };
    let mut values: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    for set in history.standing(visible, is_set, undoes) {
        if let Set(place, value) = &set.what {
            values.entry(place.clone()).or_default().push(value.clone());
        }
    }
    values.values_mut().for_each(|values| values.sort_unstable());
    values
}

/// Last-writer-wins registers: of the visible writes that no visible write or removal comes after, the one with the
/// largest stamp, and of equal stamps that of the largest replica id.
#[must_use]
pub fn latest(history: &History<Deed>, visible: &[usize]) -> BTreeMap<Place, (Stamp, String)> {
    let is_write = |deed: &Deed| matches!(deed, Deed::Stamp(..));
    let undoes = |later: &Deed, write: &Deed| match (later, write) {
        (Deed::Stamp(there, ..), Deed::Stamp(place, ..)) => there == place,
        (later, Deed::Stamp(place, ..)) => removes(later, place),
        _ => false,
    };
    let mut standing: Vec<_> = history.standing(visible, is_write, undoes).collect();
    standing.sort_by_key(|write| match &write.what {
        Deed::Stamp(_, stamp, _) => (*stamp, write.author),
        _ => unreachable!("only writes were asked for"),
    });
    let mut latest = BTreeMap::new();
    for write in standing {
        if let Deed::Stamp(place, stamp, value) = &write.what {
            latest.insert(place.clone(), (*stamp, value.clone()));
        }
    }
    latest
}
