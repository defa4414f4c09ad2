//! Older deltas of a ring, in little room.
//!
//! A key that was pressed is some hundred bytes of heap as a delta, of which most is room for what it might say; written one after another they
//! are forty. What is forgotten was written long before, and is in no cache any more: of this it costs no line of memory each.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;

use crate::causal::{LocalDot, ReplicaIndex, ReplicaTable};
use crate::delta::packed::{Counts, take};
use crate::delta::{DeltaTree, Parts, Run};

/// How long a piece of memory is in which deltas are written one after another.
const CHUNK: usize = 4 * 1024;
/// What is longer stays as it is.
const LONGEST: usize = 1024;
/// What is written first of each: how long it is, how many dependencies, places, spans and covers it has, its first event, how many more, and its
/// weight. Of one that stands in `whole` all that is nothing.
const HEAD: usize = 2 + 4 + 8 + 4 + 4;

/// Deltas, oldest first. They name rows of the replica's table.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// INVARIANT: each but the first begins where a delta does, and only the last may be empty; nothing is read here but what `push` wrote.
    chunks: VecDeque<Vec<u8>>,
    /// Where the oldest begins in the first.
    start: usize,
    /// Those that say more, with their weights.
    whole: VecDeque<(Arc<Parts>, usize)>,
    /// About how much heap all of them take.
    bytes: usize,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Older<'r> {
    Whole(&'r Arc<Parts>),
    Packed(Packed<'r>),
}

/// One that is kept no longer, and what it weighed when it came.
#[derive(Debug)]
pub(super) enum Forgotten {
    Whole(Arc<Parts>, usize),
    Packed(Run, usize),
}

/// What was written of a delta.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'r> {
    weight: usize,
    pub(super) events: Run,
    deps: u8,
    tree: Counts,
    rest: &'r [u8],
}

impl Past {
    /// About how much heap it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a delta in, if it can be written; says whether it could.
    pub(super) fn push(
        &mut self,
        delta: &Arc<Parts>,
        weight: usize,
        row_of: impl Fn(ReplicaIndex) -> ReplicaIndex,
    ) -> bool {
        if let &[run] = &delta.events[..]
            && let Some((length, counts)) = packed_len(delta)
            && let (Ok(more), Ok(weight)) = (u32::try_from(run.last - run.first), u32::try_from(weight))
        {
            // Of most deltas all dots are of one row.
            let known = Cell::new((run.replica, row_of(run.replica)));
            let name = |dot: LocalDot| {
                if known.get().0 != dot.replica() {
                    known.set((dot.replica(), row_of(dot.replica())));
                }
                LocalDot::new(known.get().1, dot.counter())
            };
            let chunk = self.room(length);
            let mut head = [0; HEAD];
            head[..2].copy_from_slice(&(length as u16).to_le_bytes());
            head[2..6].copy_from_slice(&counts);
            head[6..14].copy_from_slice(&name(LocalDot::new(run.replica, run.first)).bits().to_le_bytes());
            head[14..18].copy_from_slice(&more.to_le_bytes());
            head[18..].copy_from_slice(&weight.to_le_bytes());
            chunk.extend_from_slice(&head);
            for &(row, counter) in &delta.deps {
                chunk.extend_from_slice(&name(LocalDot::new(row, counter)).bits().to_le_bytes());
            }
            delta.tree.pack(chunk, name);
            return true;
        }
        self.room(HEAD).extend_from_slice(&[0; HEAD]);
        self.bytes += weight;
        self.whole.push_back((Arc::clone(delta), weight));
        false
    }

    /// A chunk in which a delta of so many bytes can be written.
    fn room(&mut self, length: usize) -> &mut Vec<u8> {
        if self.chunks.back().is_none_or(|last| !has_room(last, length)) {
            self.chunks.push_back(Vec::with_capacity(CHUNK));
            self.bytes += CHUNK;
        }
        self.chunks.back_mut().expect("there is one")
    }

    /// All, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Older<'_>> {
        let (mut chunks, mut whole) = (self.chunks.iter(), self.whole.iter());
        let mut left = chunks.next().map_or(&[][..], |first| &first[self.start..]);
        core::iter::from_fn(move || {
            while left.is_empty() {
                left = chunks.next()?;
            }
            let (packed, rest) = Packed::first(left);
            left = rest;
            match packed {
                Some(packed) => Some(Older::Packed(packed)),
                None => whole.next().map(|(delta, _)| Older::Whole(delta)),
            }
        })
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.oldest().is_none()
    }

    /// The oldest.
    pub(super) fn oldest(&self) -> Option<Older<'_>> {
        self.iter().next()
    }

    /// Forgets the oldest.
    pub(super) fn forget_oldest(&mut self) -> Option<Forgotten> {
        let chunk = self.chunks.front().filter(|chunk| !chunk.is_empty())?;
        let (packed, rest) = Packed::first(&chunk[self.start..]);
        let (forgotten, left) =
            (packed.map(|packed| Forgotten::Packed(packed.events, packed.weight)), rest.len());
        self.start = chunk.len() - left;
        let forgotten = match forgotten {
            Some(forgotten) => forgotten,
            None => {
                let (delta, weight) = self.whole.pop_front()?;
                self.bytes -= weight;
                Forgotten::Whole(delta, weight)
            }
        };
        if left == 0 {
            self.start = 0;
            let mut empty = self.chunks.pop_front().unwrap_or_default();
            empty.clear();
            // While as many come as go, the same few chunks take turns.
            if self.chunks.back().is_none_or(|last| !has_room(last, LONGEST)) {
                self.chunks.push_back(empty);
            } else {
                self.bytes -= CHUNK;
            }
        }
        Some(forgotten)
    }
}

/// Whether a delta of so many bytes can be written there.
fn has_room(chunk: &Vec<u8>, length: usize) -> bool {
    chunk.capacity() - chunk.len() >= HEAD + length
}

/// How long what is written of a delta is behind its head, and how many dependencies, places, spans and covers it has. `None` if it stays as
/// it is.
fn packed_len(delta: &Parts) -> Option<(usize, [u8; 4])> {
    let (tree, [places, carried, covers]) = delta.tree.packed_len()?;
    let deps = u8::try_from(delta.deps.len()).ok()?;
    let length = 8 * delta.deps.len() + tree;
    (length <= LONGEST).then_some((length, [deps, places, carried, covers]))
}

impl<'r> Packed<'r> {
    /// The first of those that were written there, as far as is needed to know whether it is wanted, and what follows it. `None`: it stays as
    /// it was.
    fn first(mut bytes: &'r [u8]) -> (Option<Self>, &'r [u8]) {
        let length = u16::from_le_bytes(take(&mut bytes));
        let [deps, places, carried, covers] = take(&mut bytes);
        let tree = [places, carried, covers];
        let first = LocalDot::from_bits(u64::from_le_bytes(take(&mut bytes)));
        let more = u32::from_le_bytes(take(&mut bytes));
        let weight = u32::from_le_bytes(take(&mut bytes)) as usize;
        let (rest, after) = bytes.split_at(usize::from(length));
        let (replica, first) = (first.replica(), first.counter());
        let events = Run { replica, first, last: first + u64::from(more) };
        let is_packed = tree[0] > 0;
        (is_packed.then_some(Self { weight, events, deps, tree, rest }), after)
    }

    /// The delta again.
    pub(super) fn unpacked(self, table: &Arc<ReplicaTable>) -> Arc<Parts> {
        let mut rest = self.rest;
        let mut parts = Parts::empty(Arc::clone(table));
        parts.events.push(self.events);
        for _ in 0..self.deps {
            let dep = LocalDot::from_bits(u64::from_le_bytes(take(&mut rest)));
            parts.deps.push((dep.replica(), dep.counter()));
        }
        parts.tree = DeltaTree::unpack(rest, self.tree);
        Arc::new(parts)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use crate::delta::Delta;
    use crate::store::Crdt;
    use crate::{AddWinsMap, MvRegister, Replica, ReplicaId, Since, Text};

    /// As deltas: what somebody wrote, and what came from another, one by one.
    #[derive(Debug, Clone, Copy)]
    struct Step {
        other: bool,
        at: usize,
        what: u8,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = (prop::bool::weighted(0.2), 0..1_000_usize, any::<u8>());
        prop::collection::vec(step.prop_map(|(other, at, what)| Step { other, at, what }), 1..400)
    }

    /// Plays `steps` at two replicas; the first takes in all that the second writes, and the second now and then what the first wrote.
    fn play<T: Crdt>(
        steps: &[Step],
        mut write: impl FnMut(&mut Replica<T>, Step) -> Delta<T>,
    ) -> Result<(), TestCaseError> {
        let (mut ann, mut bob) = (Replica::<T>::new(id(1)), Replica::<T>::new(id(2)));
        let mut kept: Vec<Delta<T>> = Vec::new();
        let mut versions = vec![ann.version()];
        for step in steps {
            let delta = if step.other { write(&mut bob, *step) } else { write(&mut ann, *step) };
            if delta.is_empty() {
                continue;
            }
            if step.other {
                ann.merge(delta.clone()).unwrap();
            } else if step.what.is_multiple_of(7)
                && let Since::Delta(lacked) = ann.delta_since(&bob.version())
            {
                bob.merge(lacked).unwrap();
            }
            kept.push(delta);
            versions.push(ann.version());
        }
        let table = &ann.tx.table;
        let found =
            ann.ring.lacked(table, |delta, row| super::super::super::row_in(table, delta, row), |_, _| true);
        prop_assert!(found.len() <= kept.len());
        let packed = ann.ring.past.iter().filter(|older| matches!(older, super::Older::Packed(_))).count();
        prop_assert!(packed > 0 || found.len() < 10, "{} are kept, and none in bytes", found.len());
        for (found, was) in found.iter().zip(&kept[kept.len() - found.len()..]) {
            prop_assert_eq!(Delta::<T>::from_parts(found.clone()).encode_body(), was.encode_body());
        }
        // Whoever knows what was known then is told the rest.
        for version in versions.iter().rev().step_by(29) {
            let mut late = Replica::<T>::new(id(3));
            match ann.delta_since(version) {
                Since::Delta(lacked) => {
                    for delta in &kept {
                        if version.dominates(&delta.events()) {
                            late.merge(delta.clone()).unwrap();
                        }
                    }
                    late.merge(lacked).unwrap();
                    prop_assert_eq!(late.encode(), ann.encode());
                }
                Since::UpToDate => prop_assert_eq!(version, &ann.version()),
                Since::Forgotten => break,
            }
        }
        Ok(())
    }

    fn id(byte: u8) -> ReplicaId {
        ReplicaId::from_bytes([byte; 16])
    }

    proptest! {
        #[test]
        fn older_deltas_of_a_text_are_what_they_were(steps in steps()) {
            play::<Text>(&steps, |replica, step| {
                let length = replica.len();
                let (at, end) = (step.at % (length + 1), (step.at + 1).min(length));
                let letter = step.at.min(end)..end;
                replica.update(|text| match step.what {
                    0..40 => text.delete(letter),
                    40..50 => text.delete(at..length),
                    50..70 => text.insert(at, "several letters at once"),
                    70..80 => Ok(()),
                    80..120 => text.insert(at, "a"),
                    _ => text.insert(length, "b"),
                }).1
            })?;
        }

        #[test]
        fn older_deltas_of_a_map_are_what_they_were(steps in steps()) {
            play::<AddWinsMap<String, MvRegister<String>>>(&steps, |replica, step| {
                let key = (step.at % 30).to_string().repeat(1 + step.at % 3);
                replica.update(|map| match step.what {
                    0..30 => drop(map.remove(&key)),
                    30..40 => map.at(key).set("long".repeat(usize::from(step.what) * 10)),
                    40..60 => {
                        map.at(key).set("one");
                        map.at("another".to_string()).set("two");
                    }
                    60..70 => {}
                    _ => map.at(key).set(step.what.to_string()),
                }).1
            })?;
        }
    }
}
