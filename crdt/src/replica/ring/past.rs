//! Older deltas of a ring, in little room.
//!
//! A key that was pressed is some hundred bytes of heap as a delta, of which most is room for what it might say; written one after another they
//! are twenty. What is forgotten was written long before, and is in no cache any more: of this it costs no line of memory each.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::causal::{LocalDot, ReplicaIndex, ReplicaTable};
use crate::delta::{Bytes, Parts, Run, Said};

/// How long a piece of memory is in which deltas are written one after another.
const CHUNK: usize = 4 * 1024;
/// What is longer stays as it is.
const LONGEST: usize = 512;
/// How long a number is at most.
const NUMBER: usize = 10;
/// Before what is written of a delta stands how long that is; none is: it stands in `whole`.
const LENGTH: usize = 2;

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

/// What was written of a delta: its weight and its run of events, and what follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'r> {
    weight: usize,
    pub(super) events: Run,
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
        let most = longest(delta);
        let said = delta.tree.path().filter(|_| most <= LONGEST);
        let chunk = self.room(most);
        let before = chunk.len();
        chunk.extend_from_slice(&[0; LENGTH]);
        if let (Some(said), &[run]) = (said, &delta.events[..]) {
            write(chunk, delta, weight, run, said, row_of);
            let length = (chunk.len() - before - LENGTH) as u16;
            chunk[before..before + LENGTH].copy_from_slice(&length.to_le_bytes());
            return true;
        }
        self.bytes += weight;
        self.whole.push_back((Arc::clone(delta), weight));
        false
    }

    /// A chunk in which a delta of so many bytes can be written.
    fn room(&mut self, bytes: usize) -> &mut Vec<u8> {
        if self.chunks.back().is_none_or(|last| !has_room(last, bytes.min(LONGEST))) {
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
            let (length, rest) = left.split_first_chunk::<LENGTH>()?;
            let (packed, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)));
            left = rest;
            if packed.is_empty() {
                return whole.next().map(|(delta, _)| Older::Whole(delta));
            }
            Some(Older::Packed(Packed::of(packed)))
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
        let chunk = self.chunks.front()?;
        let length =
            chunk[self.start..].first_chunk::<LENGTH>().map_or(0, |length| u16::from_le_bytes(*length));
        let forgotten = if length == 0 {
            let (delta, weight) = self.whole.pop_front()?;
            self.bytes -= weight;
            Forgotten::Whole(delta, weight)
        } else {
            let packed = Packed::of(&chunk[self.start + LENGTH..]);
            Forgotten::Packed(packed.events, packed.weight)
        };
        self.start += LENGTH + usize::from(length);
        if self.start == chunk.len() {
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
fn has_room(chunk: &Vec<u8>, bytes: usize) -> bool {
    chunk.capacity() - chunk.len() >= LENGTH + bytes
}

/// How long what `write` writes is at most.
fn longest(delta: &Parts) -> usize {
    let tree = delta.tree.flat();
    let numbers = 11 + 2 * delta.deps.len() + tree.nodes();
    numbers * NUMBER + tree.key_bytes() + tree.content_bytes()
}

/// Writes a delta of one run of events that says something of one place alone.
fn write(
    out: &mut Vec<u8>,
    delta: &Parts,
    weight: usize,
    run: Run,
    said: Said<'_>,
    row_of: impl Fn(ReplicaIndex) -> ReplicaIndex,
) {
    let dot = |out: &mut Vec<u8>, dot: LocalDot| {
        number(out, u64::from(row_of(dot.replica())));
        number(out, dot.counter());
    };
    number(out, weight as u64);
    dot(out, LocalDot::new(run.replica, run.first));
    number(out, run.last - run.first);
    number(out, delta.deps.len() as u64);
    delta.deps.iter().for_each(|&(row, counter)| dot(out, LocalDot::new(row, counter)));
    number(out, u64::from(said.carried.is_some()) | u64::from(said.cover.is_some()) << 1);
    if let Some((first, last)) = said.cover {
        let (first, last) = (LocalDot::from_bits(first), LocalDot::from_bits(last));
        dot(out, first);
        number(out, last.counter() - first.counter());
    }
    if let Some((carried, _)) = said.carried {
        dot(out, carried);
    }
    let tree = delta.tree.flat();
    number(out, tree.nodes() as u64 - 1);
    for key in (1..tree.nodes() as u32).map(|node| tree.key(node)) {
        number(out, key.len() as u64);
        out.extend_from_slice(key);
    }
    out.extend_from_slice(said.carried.map_or(&[], |(_, content)| content));
}

impl<'r> Packed<'r> {
    /// Reads as much as is needed to know whether it is wanted.
    fn of(mut bytes: &'r [u8]) -> Self {
        let weight = take(&mut bytes) as usize;
        let (replica, first) = (take(&mut bytes) as ReplicaIndex, take(&mut bytes));
        let last = first + take(&mut bytes);
        Self { weight, events: Run { replica, first, last }, rest: bytes }
    }

    /// The delta again.
    pub(super) fn unpacked(self, table: &Arc<ReplicaTable>) -> Arc<Parts> {
        let mut rest = self.rest;
        let bytes = &mut rest;
        let mut parts = Parts::empty(Arc::clone(table));
        parts.events.push(self.events);
        let dot = |bytes: &mut &[u8]| LocalDot::new(take(bytes) as ReplicaIndex, take(bytes));
        for _ in 0..take(bytes) {
            let dep = dot(bytes);
            parts.deps.push((dep.replica(), dep.counter()));
        }
        let what = take(bytes);
        let cover = (what & 2 != 0).then(|| {
            let first = dot(bytes).bits();
            (first, first + take(bytes))
        });
        let carried = (what & 1 != 0).then(|| dot(bytes));
        let (mut keys, mut ends) = (Bytes::new(), SmallVec::<[u32; 4]>::new());
        for _ in 0..take(bytes) {
            let length = take(bytes) as usize;
            let (key, left) = bytes.split_at(length);
            keys.extend_from_slice(key);
            ends.push(keys.len() as u32);
            *bytes = left;
        }
        let said = Said { carried: carried.map(|dot| (dot, *bytes)), cover };
        parts.tree.fill_path(keys, &ends, said);
        Arc::new(parts)
    }
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let Some((byte, rest)) = bytes.split_first() else { break };
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            break;
        }
    }
    number
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
