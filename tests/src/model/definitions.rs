//! What the types mean, as functions from the events that are visible to the value that is read.
//!
//! Written from the definitions: an element is in an add-wins set if there is an adding of it that no visible removal
//! comes after, and so on. Nothing here knows of dots, versions, deltas or joins.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::{ReplicaId, Stamp};

use super::history::{History, Operation};

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
    /// A removal of an element, or the disabling of a flag, of the kind that wins.
    Ban(Place),
    /// A write to a register that holds the largest or smallest value.
    Offer(Place, i64),
    /// The removal of a key of a last-writer-wins map, with the stamp its author gave it.
    Unset(Place, Stamp),
    /// A taking from a counter that has a bound.
    Take(u64),
    /// A passing on of rights to such takings.
    Pass(u64, ReplicaId),
    /// An insertion into a text or list: before which place, and what.
    Insert(usize, u8),
    /// A deletion of what stands at a place of a text or list.
    Delete(usize),
    /// Something that is done to what has an order, depending on what its author reads: what, by the operations of a small scope.
    Act(u8, bool),
    /// The removal of everything at a place and below: of an element, a key, a name; the disabling of a flag, the clearing
    /// of a register, a set or a map.
    Remove(Place),
}

use Deed::{Add, Ban, Count, Offer, Pass, Remove, Set, Take, Unset};

/// What tells the later of two writes: the milliseconds of its stamp, then the count within them, then its author's id.
fn later(stamp: Stamp, author: ReplicaId) -> (u64, u32, [u8; 16]) {
    (stamp.millis, stamp.logical, *author.as_bytes())
}

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
        Deed::Stamp(_, stamp, _) => later(*stamp, write.author),
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

/// Enums: which variant is shown, and the sums of the counters in each. A choice is a write to a last-writer-wins register at the
/// enum's own place; to choose another variant than the one that its author sees shown takes what is seen of all variants, and to
/// choose the same what is seen of the others.
#[must_use]
pub fn chosen(history: &History<Deed>, visible: &[usize]) -> (Option<String>, BTreeMap<String, i64>) {
    let shown = |seen: &[usize]| latest(history, seen).remove(&Place::new()).map(|(_, name)| name);
    let mut sums = BTreeMap::new();
    for &at in visible {
        let Count(place, by) = &history.operation(at).what else { continue };
        let variant = place.last().expect("a counter stands in a variant");
        let is_taken = visible.iter().any(|&later| match &history.operation(later).what {
            Deed::Stamp(_, _, name) if history.happened_before(at, later) => {
                let seen = shown(&history.before(later));
                name != variant || seen.as_ref() != Some(variant)
            }
            _ => false,
        });
        if !is_taken {
            *sums.entry(variant.clone()).or_default() += by;
        }
    }
    (shown(visible), sums)
}

/// Remove-wins sets, disable-wins flags: what was added, where of the addings and removals that nothing later undoes none is a
/// removal. A later adding or removal of the same undoes, and so does the removal of a key above.
#[must_use]
pub fn agreed(history: &History<Deed>, visible: &[usize]) -> BTreeSet<Place> {
    let is_mark = |deed: &Deed| matches!(deed, Add(_) | Ban(_));
    let undoes = |later: &Deed, mark: &Deed| match (later, mark) {
        (Add(there) | Ban(there), Add(place) | Ban(place)) => there == place,
        (later, Add(place) | Ban(place)) => removes(later, place),
        _ => false,
    };
    let (mut added, mut banned) = (BTreeSet::new(), BTreeSet::new());
    for mark in history.standing(visible, is_mark, undoes) {
        match &mark.what {
            Add(place) => added.insert(place.clone()),
            Ban(place) => banned.insert(place.clone()),
            _ => unreachable!("only addings and removals were asked for"),
        };
    }
    added.difference(&banned).cloned().collect()
}

/// Two-phase sets: what was added and never removed. An adding whose author saw that the element was removed is none, nor is
/// a removal whose author did not see it in. What the removal of a key above undoes has never been.
#[must_use]
pub fn never_banned(history: &History<Deed>, visible: &[usize]) -> BTreeSet<Place> {
    let state = |operations: &[&Operation<Deed>], place: &Place| {
        // Those that no removal of a key above comes after.
        let stands = |of: &&&Operation<Deed>| {
            !operations.iter().any(|later| removes(&later.what, place) && history.is_before(of, later))
        };
        let standing: Vec<_> = operations.iter().filter(stands).collect();
        let was = |deed: &Deed| standing.iter().any(|operation| operation.what == *deed);
        (was(&Add(place.clone())), was(&Ban(place.clone())))
    };
    let counting = history.counting(|operation, before| match &operation.what {
        Add(place) => !state(before, place).1,
        Ban(place) => state(before, place) == (true, false),
        _ => true,
    });
    let operations: Vec<_> =
        visible.iter().filter(|at| counting.contains(at)).map(|&at| history.operation(at)).collect();
    let places = operations.iter().filter_map(|operation| match &operation.what {
        Add(place) => Some(place.clone()),
        _ => None,
    });
    places.filter(|place| state(&operations, place) == (true, false)).collect()
}

/// Registers of the largest or smallest value: the visible writes that no visible removal of a key above comes after.
#[must_use]
pub fn offered(history: &History<Deed>, visible: &[usize]) -> BTreeMap<Place, BTreeSet<i64>> {
    let is_offer = |deed: &Deed| matches!(deed, Offer(..));
    let undoes = |later: &Deed, offer: &Deed| matches!(offer, Offer(place, _) if removes(later, place));
    let mut offered: BTreeMap<Place, BTreeSet<i64>> = BTreeMap::new();
    for offer in history.standing(visible, is_offer, undoes) {
        if let Offer(place, value) = &offer.what {
            offered.entry(place.clone()).or_default().insert(*value);
        }
    }
    offered
}

/// A write to a last-writer-wins register or map, or the removal of a key: where, when, and what.
fn stamped(deed: &Deed) -> Option<(&Place, Stamp, Option<&String>)> {
    match deed {
        Deed::Stamp(place, stamp, value) => Some((place, *stamp, Some(value))),
        Unset(place, stamp) => Some((place, *stamp, None)),
        _ => None,
    }
}

/// Of the writes and removals of a key those that no write or removal of it comes after.
fn stamped_at<'o>(
    operations: &[&'o Operation<Deed>],
    history: &History<Deed>,
    place: &Place,
) -> Vec<&'o Operation<Deed>> {
    let is_here =
        |operation: &Operation<Deed>| stamped(&operation.what).is_some_and(|(there, ..)| there == place);
    let undoes = |later: &Operation<Deed>| is_here(later) || removes(&later.what, place);
    let stands = |write: &Operation<Deed>| {
        !operations.iter().any(|later| undoes(later) && history.is_before(write, later))
    };
    operations.iter().copied().filter(|operation| is_here(operation) && stands(operation)).collect()
}

/// What a last-writer-wins map shows of a key.
fn kept_at(operations: &[&Operation<Deed>], history: &History<Deed>, place: &Place) -> Option<String> {
    let standing = stamped_at(operations, history, place).into_iter();
    let last =
        standing.max_by_key(|write| stamped(&write.what).map(|(_, stamp, _)| later(stamp, write.author)))?;
    stamped(&last.what)?.2.cloned()
}

/// The visible operations, without removals of keys of last-writer-wins maps whose authors did not see the key in.
fn counting_removals<'h>(history: &'h History<Deed>, visible: &[usize]) -> Vec<&'h Operation<Deed>> {
    let counting = history.counting(|operation, before| match &operation.what {
        Unset(place, _) => kept_at(before, history, place).is_some(),
        _ => true,
    });
    visible.iter().filter(|at| counting.contains(at)).map(|&at| history.operation(at)).collect()
}

/// Last-writer-wins maps: of the visible writes and removals of a key that no visible write or removal of it comes after, the
/// one with the largest stamp, and of equal stamps that of the largest replica id; if it is a write. A removal whose author did
/// not see the key in is none.
#[must_use]
pub fn latest_kept(history: &History<Deed>, visible: &[usize]) -> BTreeMap<Place, String> {
    let operations = counting_removals(history, visible);
    let places: BTreeSet<_> =
        operations.iter().filter_map(|write| Some(stamped(&write.what)?.0.clone())).collect();
    places
        .into_iter()
        .filter_map(|place| Some((place.clone(), kept_at(&operations, history, &place)?)))
        .collect()
}

/// What somebody left where several wrote at once: who, what (nothing, if it is a removal), and when, in milliseconds and a count
/// within them, if that is known of writes there.
pub type Left = (ReplicaId, Option<String>, Option<(u64, u32)>);

/// Conflicts: the places of registers, last-writer-wins maps and enums where more than one visible write or removal stands, with all
/// of these: such as no visible one comes after.
#[must_use]
pub fn disputed(history: &History<Deed>, visible: &[usize]) -> BTreeMap<Place, BTreeSet<Left>> {
    let mut left: BTreeMap<Place, BTreeSet<Left>> = BTreeMap::new();
    let is_set = |deed: &Deed| matches!(deed, Set(..));
    let undoes = |later: &Deed, set: &Deed| match (later, set) {
        (Set(there, _), Set(place, _)) => there == place,
        (later, Set(place, _)) => removes(later, place),
        _ => false,
    };
    for set in history.standing(visible, is_set, undoes) {
        if let Set(place, value) = &set.what {
            left.entry(place.clone()).or_default().insert((set.author, Some(value.clone()), None));
        }
    }
    let operations = counting_removals(history, visible);
    let places: BTreeSet<_> = operations.iter().filter_map(|write| Some(stamped(&write.what)?.0)).collect();
    for place in places {
        for write in stamped_at(&operations, history, place) {
            let (_, stamp, value) = stamped(&write.what).expect("only such writes were asked for");
            let at = (stamp.millis, stamp.logical);
            left.entry(place.clone()).or_default().insert((write.author, value.cloned(), Some(at)));
        }
    }
    left.retain(|_, left| left.len() > 1);
    left
}

/// Counters with a bound: the sum of what was added, less what was taken by who held rights to it. Rights are had by adding and
/// by being passed some that their owner held; taking and passing on use them up.
#[must_use]
pub fn escrowed(history: &History<Deed>, visible: &[usize]) -> i64 {
    let rights = |of: ReplicaId, operations: &[&Operation<Deed>]| -> i64 {
        let change = |operation: &&Operation<Deed>| match operation.what {
            Count(_, by) if operation.author == of => by,
            Take(by) if operation.author == of => -i64::try_from(by).unwrap(),
            Pass(by, to) => {
                let by = i64::try_from(by).unwrap();
                by * (i64::from(to == of) - i64::from(operation.author == of))
            }
            _ => 0,
        };
        operations.iter().map(change).sum()
    };
    let counting = history.counting(|operation, before| match operation.what {
        Take(by) | Pass(by, _) => rights(operation.author, before) >= i64::try_from(by).unwrap(),
        _ => true,
    });
    let counted = visible.iter().filter(|at| counting.contains(at)).map(|&at| &history.operation(at).what);
    counted
        .map(|deed| match deed {
            Count(_, by) => *by,
            Take(by) => -i64::try_from(*by).unwrap(),
            _ => 0,
        })
        .sum()
}
