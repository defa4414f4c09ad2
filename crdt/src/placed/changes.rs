//! What became different.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use super::store::VALUES;
use super::{Name, Placed, Placing};
use crate::DotStore;
use crate::store::{Crdt, Gathered, ItemSplice, Look, Plain, Seen, Sight, What, decode_key};

/// An element in the order in which all are shown, and the one that it stands below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) element: Name,
    pub(crate) under: Option<Name>,
}

impl<P: Placing, V: Crdt> Placed<P, V> {
    /// What is shown, which are these rows, and what is held where a delta says something of it.
    pub(crate) fn look(&self, look: Look<'_>, rows: Vec<Row>) -> Seen {
        let values = match look.children() {
            Some(mut children) => match children.find(|(key, _)| *key == VALUES) {
                Some((_, look)) => self.values.look(look),
                None => Seen(Sight::Entries(Vec::new(), false)),
            },
            None => self.values.look(look.all()),
        };
        Seen(Sight::Rows(rows, Box::new(values)))
    }

    /// Says what makes of the rows as they were those there are, and what became of what is held below those that stayed. `plain` is what is
    /// shown of one, `below` where in that stands what it holds.
    pub(crate) fn changed(
        &self,
        before: &Seen,
        rows: &[Row],
        gathered: &mut Gathered,
        plain: impl Fn(&Row) -> Plain,
        below: Option<&str>,
    ) {
        let Sight::Rows(old, values) = &before.0 else { return };
        let kept = kept(old, rows);
        let mut splices: Vec<ItemSplice> = Vec::new();
        let (mut old_end, mut new_end) = (0, 0);
        for &(was, is) in kept.iter().chain([&(old.len(), rows.len())]) {
            if was > old_end || is > new_end {
                let inserted = rows[new_end..is].iter().map(&plain).collect();
                splices.push(ItemSplice { at: new_end, deleted: was - old_end, inserted });
            }
            (old_end, new_end) = (was + 1, is + 1);
        }
        if !splices.is_empty() {
            gathered.say(What::ItemsSpliced(splices));
        }
        let Sight::Entries(seen, _) = &values.0 else { return };
        if seen.is_empty() {
            return;
        }
        let kept: BTreeMap<Name, usize> = kept.into_iter().map(|(_, is)| (rows[is].element, is)).collect();
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
}

/// Rows that stand in the same order as they did, as many as can be: where they were, and where they are.
fn kept(old: &[Row], new: &[Row]) -> Vec<(usize, usize)> {
    let same = |range: Range<usize>| range.map(|at| (at, at));
    let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let was: BTreeMap<Name, usize> =
        old[start..old.len() - end].iter().zip(start..).map(|(row, at)| (row.element, at)).collect();
    // The longest ascending part of where they were: of each length so far the one that ends first, with the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut pairs: Vec<(usize, usize, Option<usize>)> = Vec::new();
    for (at, row) in (start..).zip(&new[start..new.len() - end]) {
        let Some(&was) = was.get(&row.element).filter(|was| old[**was].under == row.under) else { continue };
        let length = ends.partition_point(|end| pairs[*end].0 < was);
        let before = length.checked_sub(1).map(|before| ends[before]);
        match ends.get_mut(length) {
            Some(end) => *end = pairs.len(),
            None => ends.push(pairs.len()),
        }
        pairs.push((was, at, before));
    }
    let mut middle = Vec::new();
    let mut at = ends.last().copied();
    while let Some((was, is, before)) = at.map(|at| pairs[at]) {
        middle.push((was, is));
        at = before;
    }
    let ends = (0..end).rev().map(|back| (old.len() - 1 - back, new.len() - 1 - back));
    same(0..start).chain(middle.into_iter().rev()).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Dot, ReplicaId};

    fn row(counter: u8) -> Row {
        let dot = Dot { replica: ReplicaId::from_bytes([1; 16]), counter: u64::from(counter) + 1 };
        Row { element: Name(dot), under: None }
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn what_is_kept_is_the_longest_common_part(
            old in Just((0..7_u8).collect::<Vec<_>>()).prop_shuffle(), new in Just((3..10_u8).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let (old, new): (Vec<Row>, Vec<Row>) = (old.into_iter().map(row).collect(), new.into_iter().map(row).collect());
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
