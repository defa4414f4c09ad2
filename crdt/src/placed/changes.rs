//! What became different.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::index::ROOT;
use super::store::VALUES;
use super::touched::Touched;
use super::{Element, Name, Placed, Placing};
use crate::DotStore;
use crate::store::{Crdt, Gathered, ItemSplice, Look, Plain, Seen, Sight, What, decode_key};

/// An element in the order in which all are shown, and the one that it stands below.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Row {
    pub(crate) element: Name,
    pub(crate) under: Option<Name>,
}

/// What was shown before a delta was joined.
#[derive(Debug)]
pub(crate) enum Shown {
    All(Vec<Strip>),
    Touched(Touched),
}

/// A row; or several, one behind the other, that a delta says nothing of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Strip {
    Row(Row),
    /// Of the rows below an element, or below nothing, that stand below no other that a delta touches: from the how-manieth on.
    Rest {
        below: Option<Name>,
        from: usize,
        len: usize,
    },
}

impl Strip {
    fn len(&self) -> usize {
        match self {
            Self::Row(_) => 1,
            Self::Rest { len, .. } => *len,
        }
    }
}

impl<P: Placing, V: Crdt> Placed<P, V> {
    pub(super) fn row(&self, element: Element) -> Row {
        let under = self.under(element).filter(|under| *under != ROOT);
        Row { element: self.name(element), under: under.map(|under| self.name(under)) }
    }

    /// The rows from one on, each element before those below it.
    pub(crate) fn rows_from(&self, at: usize) -> impl Iterator<Item = Row> {
        let way = self.index.way_to::<P>(at);
        let last = way.len().saturating_sub(1);
        // Of those above it all is passed that stands before them, and they themselves.
        let from = |(nth, &(under, at)): (usize, &(Element, usize))| {
            self.below_from(under, if nth < last { at + 1 } else { at })
        };
        let mut open: Vec<_> = way.iter().enumerate().map(from).collect();
        core::iter::from_fn(move || {
            loop {
                match open.last_mut()?.next() {
                    Some(element) => {
                        #[cfg(test)]
                        super::touched::count_passed(1);
                        if P::NESTS {
                            open.push(self.below_from(element, 0));
                        }
                        return Some(self.row(element));
                    }
                    None => _ = open.pop(),
                }
            }
        })
    }

    /// What is shown, and what is held where a delta says something of it.
    pub(crate) fn look(&self, look: Look<'_>) -> Seen {
        let shown = match self.touched(look) {
            Some(touched) => Shown::Touched(touched),
            None => Shown::All(self.rows_from(0).map(Strip::Row).collect()),
        };
        let values = match look.children() {
            Some(mut children) => match children.find(|(key, _)| *key == VALUES) {
                Some((_, look)) => self.values.look(look),
                None => Seen(Sight::Entries(Vec::new(), false)),
            },
            None => self.values.look(look.all()),
        };
        Seen(Sight::Rows(shown, Box::new(values)))
    }

    /// Says what makes of the rows as they were those there are, and what became of what is held below those that stayed. `plain` is what is
    /// shown of one, `below` where in that stands what it holds.
    pub(crate) fn changed(
        &self,
        before: &Seen,
        gathered: &mut Gathered,
        plain: impl Fn(&Row) -> Plain,
        below: Option<&str>,
    ) {
        let Sight::Rows(shown, values) = &before.0 else { return };
        let touched;
        let (old, new) = match shown {
            Shown::All(old) => (old, self.rows_from(0).map(Strip::Row).collect()),
            Shown::Touched(those) => {
                let (old, new) = self.strips(those);
                touched = old;
                (&touched, new)
            }
        };
        let (was, is) = (starts(old), starts(&new));
        let kept = kept(old, &new);
        let mut splices: Vec<ItemSplice> = Vec::new();
        let (mut old_end, mut new_end) = (0, 0);
        for &(old_at, new_at) in kept.iter().chain([&(old.len(), new.len())]) {
            let (at, deleted) = (is[new_end], was[old_at] - was[old_end]);
            let came = new[new_end..new_at].iter().zip(&is[new_end..]);
            let inserted: Vec<Plain> =
                came.flat_map(|(strip, at)| self.shown(strip, *at)).map(|row| plain(&row)).collect();
            if deleted > 0 || !inserted.is_empty() {
                splices.push(ItemSplice { at, deleted, inserted });
            }
            (old_end, new_end) = (old_at + 1, new_at + 1);
        }
        if !splices.is_empty() {
            gathered.say(What::ItemsSpliced(splices));
        }
        let Sight::Entries(seen, _) = &values.0 else { return };
        if seen.is_empty() {
            return;
        }
        let row = |&(_, at): &(usize, usize)| match new[at] {
            Strip::Row(row) => Some((row.element, is[at])),
            Strip::Rest { .. } => None,
        };
        let kept: BTreeMap<Name, usize> = kept.iter().filter_map(row).collect();
        for (key, seen) in seen {
            let Ok(name) = decode_key::<Name>(key) else { continue };
            let (Some(seen), Some(&at), Some(value)) = (seen, kept.get(&name), self.values.get(&name)) else {
                continue;
            };
            gathered.below(Plain::of(&at), |gathered| match below {
                Some(field) => gathered.below(field.into(), |gathered| value.changed(seen, gathered)),
                None => value.changed(seen, gathered),
            });
        }
    }

    /// The rows of a strip that begins with the one at `at`.
    fn shown(&self, strip: &Strip, at: usize) -> impl Iterator<Item = Row> {
        let (row, len) = match strip {
            Strip::Row(row) => (Some(*row), None),
            Strip::Rest { len, .. } => (None, Some(*len)),
        };
        row.into_iter().chain(len.into_iter().flat_map(move |len| self.rows_from(at).take(len)))
    }
}

/// Where each begins, and where the last one ends.
fn starts(strips: &[Strip]) -> Vec<usize> {
    let mut end = 0;
    let ends = strips.iter().map(|strip| {
        end += strip.len();
        end
    });
    core::iter::once(0).chain(ends).collect()
}

/// Those that stand in the same order as they did, as many rows as can be: the how-manieth they were, and are.
fn kept(old: &[Strip], new: &[Strip]) -> Vec<(usize, usize)> {
    let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let was: BTreeMap<&Strip, usize> = old[start..old.len() - end].iter().zip(start..).collect();
    // The longest ascending part of where they were: of each length so far the one that ends first, by where that is, with the one before it.
    let mut ends: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    let mut pairs: Vec<(usize, usize, Option<usize>)> = Vec::new();
    for (at, strip) in (start..).zip(&new[start..new.len() - end]) {
        let Some(&was) = was.get(strip) else { continue };
        let before = ends.range(..was).next_back().map(|(_, before)| *before);
        let length = before.map_or(0, |(length, _)| length) + strip.len();
        while let Some((&later, _)) = ends.range(was..).next().filter(|(_, (other, _))| *other <= length) {
            ends.remove(&later);
        }
        ends.insert(was, (length, pairs.len()));
        pairs.push((was, at, before.map(|(_, pair)| pair)));
    }
    let mut middle = Vec::new();
    let mut at = ends.last_key_value().map(|(_, (_, pair))| *pair);
    while let Some((was, is, before)) = at.map(|at| pairs[at]) {
        middle.push((was, is));
        at = before;
    }
    let ends = (0..end).rev().map(|back| (old.len() - 1 - back, new.len() - 1 - back));
    (0..start).map(|at| (at, at)).chain(middle.into_iter().rev()).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Dot, ReplicaId};

    fn row(counter: u8) -> Strip {
        let dot = Dot { replica: ReplicaId::from_bytes([1; 16]), counter: u64::from(counter) + 1 };
        Strip::Row(Row { element: Name(dot), under: None })
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn what_is_kept_is_the_longest_common_part(
            old in Just((0..7_u8).collect::<Vec<_>>()).prop_shuffle(), new in Just((3..10_u8).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let (old, new): (Vec<Strip>, Vec<Strip>) = (old.into_iter().map(row).collect(), new.into_iter().map(row).collect());
            let found = kept(&old, &new);
            prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
            prop_assert!(found.iter().all(|(was, is)| old[*was] == new[*is]));
            let mut longest = vec![vec![0; new.len() + 1]; old.len() + 1];
            for was in 0..old.len() {
                for is in 0..new.len() {
                    longest[was + 1][is + 1] = if old[was] == new[is] {
                        longest[was][is] + 1
                    } else {
                        longest[was][is + 1].max(longest[was + 1][is])
                    };
                }
            }
            prop_assert_eq!(found.len(), longest[old.len()][new.len()]);
        }
    }
}
