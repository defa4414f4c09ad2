//! What a replica lacks that is so far behind that nobody remembers what was removed since.
//!
//! Both sides number the dots that both know, find the numbers of those that are alive at one side only, and with these one writes
//! exactly what the other lacks. How they find them is theirs to choose: a bit for each dot, or a sketch.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use smallvec::SmallVec;

use super::Replica;
use crate::causal::{CausalContext, Dot, LocalDot, MAX_COUNTER, ReplicaIndex, Version};
use crate::codec;
use crate::delta::{Delta, DeltaTree, Parts, Run, Weighed};
use crate::store::{Crdt, DotStore};

/// In how many parts of equally many dots what is alive is weighed at a time, to find where a slice is to end.
const WEIGHED: usize = 1 << 12;

/// The dots below a base, numbered from 0 on without a gap: in order of replica id, then of counter.
pub(super) struct Ranks {
    /// By row of the replica's table: the number of its first dot, and how many are below the base.
    rows: Vec<(u64, u64)>,
    /// Rows that have such dots, in order of their numbers.
    order: Vec<ReplicaIndex>,
}

impl Ranks {
    pub(super) fn rank(&self, dot: LocalDot) -> Option<u64> {
        let &(first, count) = self.rows.get(dot.replica() as usize)?;
        (dot.counter() <= count).then(|| first + dot.counter() - 1)
    }

    /// How many there are.
    fn count(&self) -> u64 {
        self.order.last().map_or(0, |&last| {
            let (first, count) = self.rows[last as usize];
            first + count
        })
    }

    /// Adds the dots of these numbers to `dots`; `None` if there are none of them, or not that many.
    pub(super) fn collect(&self, numbers: &Range<u64>, dots: &mut CausalContext) -> Option<()> {
        let mut next = numbers.start;
        let after = self.order.partition_point(|&replica| self.rows[replica as usize].0 <= next);
        for &replica in self.order.get(after.checked_sub(1)?..)? {
            if next >= numbers.end {
                break;
            }
            let (first, count) = self.rows[replica as usize];
            let last = numbers.end.min(first + count);
            dots.insert_run(replica, next - first + 1, last - first);
            next = last;
        }
        (next >= numbers.end && numbers.start < numbers.end).then_some(())
    }
}

impl<T: Crdt> Replica<T> {
    /// `None` if not all of `base` is known here, or it has more dots than can be numbered.
    pub(super) fn ranks(&self, base: &Version) -> Option<Ranks> {
        let (mut rows, mut order) = (Vec::new(), Vec::new());
        rows.resize(self.known.len(), (0, 0));
        let mut next = 0_u64;
        for (id, count) in base.iter() {
            let row = self.tx.table.row(id)?;
            if self.known[row as usize] < count {
                return None;
            }
            rows[row as usize] = (next, count);
            order.push(row);
            next = next.checked_add(count).filter(|&next| next <= MAX_COUNTER)?;
        }
        Some(Ranks { rows, order })
    }

    /// The dots below `base` that are alive, as numbers, ascending: 0 is the first event of the replica with the least id, and
    /// each replica's follow those of the one before without a gap. Two replicas that know `base` number alike, and a number that one
    /// has and the other has not is a dot that was removed there. Costs a walk over the state.
    ///
    /// `None` if not all of `base` is known here, or it has more than [`MAX_COUNTER`] events.
    #[must_use]
    pub fn live_below(&self, base: &Version) -> Option<Vec<u64>> {
        let ranks = self.ranks(base)?;
        let mut live = Vec::new();
        self.state.dots(&mut |dot| live.extend(ranks.rank(dot)));
        live.sort_unstable();
        Some(live)
    }

    /// Where a [slice](Self::slice_below) is to end that begins with the number `from`, so that it has about one of so many `parts` of
    /// what is alive below `base`, by its bytes before they are compressed, and not many more bytes than `most`: the number with which
    /// the next one begins, or as many as `base` has events.
    ///
    /// Costs as a rule one walk over the state, and no memory to speak of: as many dots as there may be are weighed, none is kept.
    ///
    /// `None` if not all of `base` is known here, or it has no such number.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsSet, Replica, ReplicaId};
    ///
    /// let mut ann = Replica::<AddWinsSet<u64>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = ann.update(|set| set.extend(0..1_000_u64));
    /// let base = ann.version();
    /// assert!((200..300).contains(&ann.cut_below(&base, 0, 4, usize::MAX).unwrap()));
    /// assert_eq!(ann.cut_below(&base, 800, 4, usize::MAX), Some(1_000));
    /// ```
    #[must_use]
    pub fn cut_below(&self, base: &Version, from: u64, parts: usize, most: usize) -> Option<u64> {
        let ranks = self.ranks(base)?;
        let all = ranks.count();
        if from >= all {
            return None;
        }
        // Between `start` and `end` it ends. `sum` is what what lies before weighs, `rest` what all from the first number on does.
        let (mut start, mut end, mut sum) = (from, all, 0);
        let (mut wanted, mut rest) = (None, 0_u64);
        loop {
            let width = (end - start).div_ceil(WEIGHED as u64);
            let mut weights = vec![0_u64; WEIGHED];
            let mut whole = 0;
            // What lies outside matters for the weight of all only, which is found out once.
            let is_weighed = |rank: u64| wanted.is_none() || (start..end).contains(&rank);
            let mut weigh = |Weighed { span, beside, .. }: Weighed<'_>| {
                for nth in 0..u64::from(span.count) {
                    let weight = (span.each() + if nth == 0 { beside } else { 0 }) as u64;
                    let Some(rank) = ranks.rank(LocalDot::from_bits(span.first.bits() + nth)) else { return };
                    whole += weight;
                    if (start..end).contains(&rank) {
                        weights[((rank - start) / width) as usize] += weight;
                    }
                }
            };
            DeltaTree::weighed(&mut weigh, |writer| {
                self.state.carry(&|dot| ranks.rank(dot).is_some_and(is_weighed), writer);
            });
            if wanted.is_none() {
                rest = weights.iter().sum();
            }
            let wanted = *wanted.get_or_insert((whole / parts.max(1) as u64).min(most as u64).max(1));
            // No crumbs behind it. Of what goes on over a border both sides weigh as if they stood alone, so there may seem to be more
            // than before.
            let cut = |at: u64, sum: u64| if rest.saturating_sub(sum) <= wanted / 4 { all } else { at };
            for weight in weights {
                if sum + weight >= wanted {
                    end = end.min(start + width);
                    if sum > 0 && sum >= wanted / 4 * 3 {
                        return Some(cut(start, sum));
                    }
                    if width == 1 || sum + weight <= wanted + wanted / 4 {
                        return Some(cut(end, sum + weight));
                    }
                    break;
                }
                sum += weight;
                start += width;
            }
            if start >= end {
                return Some(end);
            }
        }
    }

    /// What is alive of the dots of these numbers, as a slice for [`Decoding`](crate::Decoding): the slices of ranges that follow on
    /// one another, from 0 to as many events as `base` has, are the state as it was at `base`, but for what was removed since. So a
    /// state is told in pieces while it is written to: what came and went meanwhile is [what is lacked](Self::delta_since) beyond
    /// `base`. Costs a walk over the state.
    ///
    /// `None` if not all of `base` is known here, or it has not as many events.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsSet, Decoding, Limits, Merged, Replica, ReplicaId, Since};
    ///
    /// let mut ann = Replica::<AddWinsSet<u64>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = ann.update(|set| set.extend(0..100_u64));
    /// let base = ann.version();
    /// let mut decoding = Decoding::new(Replica::new(ReplicaId::from_bytes([2; 16])), &Limits::default());
    /// decoding.take(&ann.slice_below(&base, 0..60).unwrap()[..])?;
    /// let _ = ann.update(|set| set.remove(&7));
    /// decoding.take(&ann.slice_below(&base, 60..100).unwrap()[..])?;
    /// let mut bob: Replica<AddWinsSet<u64>> = decoding.finish();
    /// let Since::Delta(rest) = ann.delta_since(&bob.version()) else { panic!("it is remembered") };
    /// assert_eq!(bob.merge(rest), Ok(Merged::Applied));
    /// assert_eq!(bob.encode(), ann.encode());
    /// # Ok::<(), tombolo_crdt::DecodeError>(())
    /// ```
    #[must_use]
    pub fn slice_below(&self, base: &Version, numbers: Range<u64>) -> Option<Vec<u8>> {
        Some(codec::encode_slice(&self.parts_below(&self.ranks(base)?, &numbers)?))
    }

    /// As [`slices`](Self::slices) for who has none yet, cut into about so many parts first: of the state as it is encoded one part
    /// after the other is in memory, not all. Costs two walks over the state for each.
    #[must_use]
    pub fn slices_in(&self, parts: usize) -> Vec<(Dot, Vec<u8>)> {
        let all = self.version();
        let Some(ranks) = self.ranks(&all).filter(|_| parts > 1) else { return self.slices(&[]) };
        let mut slices = Vec::new();
        let mut from = 0;
        while let Some(end) = self.cut_below(&all, from, parts, usize::MAX) {
            if let Some(part) = self.parts_below(&ranks, &(from..end)) {
                slices.extend(codec::encode_slices(&part, &[]));
            }
            from = end;
        }
        slices
    }

    /// What is alive of the dots of these numbers.
    fn parts_below(&self, ranks: &Ranks, numbers: &Range<u64>) -> Option<Parts> {
        let mut events = CausalContext::default();
        ranks.collect(numbers, &mut events)?;
        let tree = DeltaTree::written(|writer| {
            self.state.carry(&|dot| ranks.rank(dot).is_some_and(|rank| numbers.contains(&rank)), writer);
        });
        let events = events.runs().map(|(replica, first, last)| Run { replica, first, last }).collect();
        let table = Arc::clone(&self.tx.table);
        Some(Parts { table, deps: SmallVec::new(), events, tree, is_state: true, author_epoch: None })
    }

    /// What a replica lacks that knows `base`, and has of it `gone` alive, which is removed here: ranges of numbers as
    /// [`live_below`](Self::live_below) has them, ascending. Whatever that replica knows besides stays; it is level with this one
    /// then. Exact, and in proportion to what it lacks, however long ago it knew all; what it costs is a walk over the state.
    ///
    /// `None` if it lacks nothing, not all of `base` is known here, or `gone` has numbers beyond it.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsSet, Merged, Replica, ReplicaId};
    ///
    /// let mut ann = Replica::<AddWinsSet<u64>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = ann.update(|set| set.extend(0..100_u64));
    /// let mut bob = ann.fork(ReplicaId::from_bytes([2; 16]));
    /// let _ = ann.update(|set| set.remove(&7));
    /// let _ = bob.update(|set| set.remove(&8));
    ///
    /// let base = ann.version().meet(&bob.version());
    /// let (hers, his) = (ann.live_below(&base).unwrap(), bob.live_below(&base).unwrap());
    /// let gone: Vec<_> = his.into_iter().filter(|number| !hers.contains(number)).map(|number| number..number + 1).collect();
    /// assert_eq!(gone, [7..8]);
    /// assert_eq!(bob.merge(ann.delta_beyond(&base, &gone).unwrap()), Ok(Merged::Applied));
    /// assert!(!bob.contains(&7) && !bob.contains(&8));
    /// ```
    #[must_use]
    pub fn delta_beyond(&self, base: &Version, gone: &[Range<u64>]) -> Option<Delta<T>> {
        let ranks = self.ranks(base)?;
        let mut runs = CausalContext::default();
        gone.iter().try_for_each(|numbers| ranks.collect(numbers, &mut runs))?;
        let gone = runs;
        let (mut deps, mut events) = (SmallVec::new(), SmallVec::new());
        for (row, (&known, &(_, base))) in self.known.iter().zip(&ranks.rows).enumerate() {
            let replica = row as ReplicaIndex;
            if known > base {
                events.push(Run { replica, first: base + 1, last: known });
            } else if base > 0 {
                deps.push((replica, base));
            }
        }
        if events.is_empty() {
            return None;
        }
        let tree = DeltaTree::written(|writer| {
            writer.cover(gone.as_dots());
            self.state.carry(&|dot| ranks.rank(dot).is_none(), writer);
        });
        let table = Arc::clone(&self.tx.table);
        let parts = Parts { table, deps, events, tree, is_state: false, author_epoch: None };
        Some(Delta::from_parts(Arc::new(parts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoding, Limits, ReplicaId, Text};

    fn id(byte: u8) -> ReplicaId {
        ReplicaId::from_bytes([byte; 16])
    }

    /// A text is one item as far as it was typed in one go, and cut anywhere in it.
    #[test]
    fn a_text_is_cut_in_the_middle_of_what_was_typed() {
        let mut text = Replica::<Text>::new(id(1));
        let letters =
            |count: usize| -> String { (0..count).map(|n| char::from(b'a' + (n * n % 25) as u8)).collect() };
        for count in [1, 5_000, 3, 60_000] {
            let _ = text.update(|text| text.insert(0, &letters(count)).unwrap());
        }
        let _ = text.update(|text| text.delete(10_000..20_000).unwrap());
        let base = text.version();
        for parts in [1, 2, 3, 10, 100, 2_000] {
            let mut decoding = Decoding::new(Replica::<Text>::new(id(2)), &Limits::default());
            let (mut from, mut slices) = (0, 0);
            while let Some(end) = text.cut_below(&base, from, parts, usize::MAX) {
                assert!(end > from);
                decoding.take(&text.slice_below(&base, from..end).unwrap()[..]).unwrap();
                (from, slices) = (end, slices + 1);
            }
            assert_eq!(decoding.finish().encode(), text.encode());
            // Each weighs a little more than what it was part of.
            assert!(slices >= parts * 3 / 4 && slices <= 2 * parts, "{slices} for {parts}");
        }
        let mut decoding = Decoding::new(Replica::<Text>::new(id(3)), &Limits::default());
        text.slices_in(7).iter().for_each(|(_, slice)| decoding.take(&slice[..]).unwrap());
        assert_eq!(decoding.finish().encode(), text.encode());
    }
}
