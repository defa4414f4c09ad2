//! What a replica lacks that is so far behind that nobody remembers what was removed since.
//!
//! Both sides number the dots that both know, find the numbers of those that are alive at one side only, and with these one writes
//! exactly what the other lacks. How they find them is theirs to choose: a bit for each dot, or a sketch.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use smallvec::SmallVec;

use super::Replica;
use crate::causal::{CausalContext, LocalDot, MAX_COUNTER, ReplicaIndex, Version};
use crate::codec;
use crate::delta::{Delta, DeltaTree, Parts, Run};
use crate::store::{Crdt, DotStore};

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
        let ranks = self.ranks(base)?;
        let mut events = CausalContext::default();
        ranks.collect(&numbers, &mut events)?;
        let tree = DeltaTree::written(|writer| {
            self.state.carry(&|dot| ranks.rank(dot).is_some_and(|rank| numbers.contains(&rank)), writer);
        });
        let events = events.runs().map(|(replica, first, last)| Run { replica, first, last }).collect();
        let table = Arc::clone(&self.tx.table);
        let parts = Parts { table, deps: SmallVec::new(), events, tree, is_state: true, author_epoch: None };
        Some(codec::encode_slice(&parts))
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
