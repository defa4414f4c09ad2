//! Telling others what they lack.

use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Replica, row_in};
use crate::causal::{CausalContext, Dot, ReplicaId, ReplicaIndex, Version};
use crate::codec::{self, DecodeError, Decoding, EncodedState, Limits};
use crate::delta::{Delta, DeltaTree, Parts, ROW_BYTES, Run, group};
use crate::store::{Crdt, DotStore, Join, Rows, rows_in};

/// What a peer at some version lacks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
#[must_use]
pub enum Since<T: Crdt> {
    /// Nothing.
    UpToDate,
    /// This delta, and it brings the peer level.
    Delta(Delta<T>),
    /// More than is remembered: what was removed since then can no longer be told. Send the
    /// [`state`](Replica::state), or find out what differs: [`delta_beyond`](Replica::delta_beyond).
    Forgotten,
}

impl<T: Crdt> Replica<T> {
    /// What a replica at `version` lacks of what is known here. Exact, and in proportion to the difference, as long as
    /// the difference is remembered.
    pub fn delta_since(&self, version: &Version) -> Since<T> {
        let theirs: Vec<u64> = self.tx.table.ids().map(|&id| version.get(id)).collect();
        if self.known.iter().zip(&theirs).all(|(known, theirs)| known <= theirs) {
            return Since::UpToDate;
        }
        if self.ring.base().iter().zip(&theirs).any(|(base, theirs)| base > theirs) {
            return Since::Forgotten;
        }
        let table = &self.tx.table;
        let lacked = self.ring.lacked(
            table,
            |delta, row| row_in(table, delta, row),
            |row, last| last > theirs[row as usize],
        );
        if let [only] = &lacked[..] {
            // As it came, if all of it is new there and all that it needs is not.
            let has = |row| version.get(only.table.id(row));
            let is_new = only.events.iter().all(|run| has(run.replica) + 1 == run.first);
            if is_new && only.deps.iter().all(|&(row, needed)| has(row) >= needed) {
                return Since::Delta(Delta::from_parts(Arc::clone(only)));
            }
        }
        let rows: Vec<Vec<ReplicaIndex>> = lacked
            .iter()
            .map(|delta| {
                if self.tx.table.extends(&delta.table) {
                    Vec::new()
                } else {
                    rows_in(&self.tx.table, &delta.table)
                }
            })
            .collect();
        let lacked: Vec<&Parts> = lacked.iter().map(|delta| &**delta).collect();
        let mut group = group(&lacked, &rows);
        // The group is addressed to a base: everything both sides know. What lies below the base is left out, so that
        // the events are one run a replica: the remembered deltas may overlap, and some of their neighbours are not
        // lacked or no longer remembered.
        group.tree.drop_carried(&mut |dot| dot.counter() <= theirs[dot.replica() as usize]);
        // SUBTLE: an event that a delta brings and does not carry is removed by being named. One below the base is named
        // no longer, so it has to be covered, unless it is already.
        let mut below_base = CausalContext::default();
        for (row, first, last) in group.uncarried.runs() {
            below_base.insert_run(row, first, last.min(theirs[row as usize]));
        }
        let mut covers = Vec::new();
        group.tree.collect_covers(&mut covers);
        let unsaid = below_base.difference(&CausalContext::from_contexts(covers));
        group.tree.cover.union(&unsaid);
        group.events.clear();
        let mut deps = SmallVec::new();
        for (row, (&known, &theirs)) in self.known.iter().zip(&theirs).enumerate() {
            let replica = row as ReplicaIndex;
            if known > theirs {
                group.events.push(Run { replica, first: theirs + 1, last: known });
            } else if known > 0 {
                deps.push((replica, known));
            }
        }
        let parts = Parts { deps, ..group.into_parts(Arc::clone(&self.tx.table)) };
        Since::Delta(Delta::from_parts(Arc::new(parts)))
    }

    /// The whole state, as a delta that depends on nothing: it carries every live item and covers its whole version.
    pub fn state(&self) -> Delta<T> {
        Delta::from_parts(Arc::new(self.state_parts()))
    }

    /// About how much heap the [state](Self::state) would take as a delta, in bytes. Costs a walk over it, and no memory.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsSet, Replica, ReplicaId};
    ///
    /// let mut ann = Replica::<AddWinsSet<u64>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = ann.update(|set| set.extend(0..1_000_u64));
    /// assert!(ann.state_size_hint().abs_diff(ann.state().size_hint()) < 100);
    /// ```
    #[must_use]
    pub fn state_size_hint(&self) -> usize {
        let tree = DeltaTree::weighed(&mut |_| {}, |writer| self.state.carry(&|_| true, writer));
        size_of::<Parts>() + self.replicas() * (ROW_BYTES + size_of::<Run>()) + tree
    }

    pub(super) fn state_parts(&self) -> Parts {
        let mut known = CausalContext::default();
        let mut events = SmallVec::new();
        for (row, &last) in self.known.iter().enumerate().filter(|&(_, &known)| known > 0) {
            let replica = row as ReplicaIndex;
            known.insert_run(replica, 1, last);
            events.push(Run { replica, first: 1, last });
        }
        let mut live = 0;
        self.state.dots(&mut |_| live += 1);
        let tree = DeltaTree::written(|writer| {
            // As many as there are if they are few; of a text they go on one another.
            let room = live.min(1 << 14);
            writer.reserve([room, room, 0, 0, 0]);
            writer.cover(known.as_dots());
            self.state.carry(&|_| true, writer);
        });
        Parts {
            table: Arc::clone(&self.tx.table),
            deps: SmallVec::new(),
            events,
            tree,
            is_state: true,
            author_epoch: None,
        }
    }

    /// The state in canonical bytes: equal at all replicas of equal version, whatever way they got there.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_state(&T::type_name(), &self.state_parts())
    }

    /// Reads what [`encode`](Self::encode) wrote, as a replica that writes as `id`. Recent deltas are not part of it:
    /// to peers behind this version it sends the whole state.
    ///
    /// # Errors
    /// When the bytes are not a state of a `T`, are damaged, or exceed `limits`.
    pub fn decode(id: ReplicaId, bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        Self::new(id).decoded(bytes, limits)
    }

    /// As [`decode`](Self::decode), into this replica, which knows nothing yet. [`Decoding`] does so in slices.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    ///
    /// # Panics
    /// If it knows something.
    pub fn decoded(self, bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        let state = EncodedState::open::<T>(bytes, limits)?;
        let mut decoding = Decoding::new(self, limits);
        for slice in &state {
            decoding.take(slice?)?;
        }
        Ok(decoding.finish())
    }

    /// Reads what [`encode`](Self::encode) wrote as a delta for this replica to merge.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn read_state(&self, bytes: &[u8], limits: &Limits) -> Result<Delta<T>, DecodeError> {
        codec::decode_state(bytes, limits, Some(self.tx.seed))
    }

    /// The state in slices, for a store that keeps each by itself: the first dot of each and its bytes, for
    /// [`Decoding`]. They are cut where they were cut `before`, if they have not become far too large or small, so that
    /// only those change in which something changed. Of the order of 100 KiB each.
    #[must_use]
    pub fn slices(&self, before: &[Dot]) -> Vec<(Dot, Vec<u8>)> {
        codec::encode_slices(&self.state_parts(), before)
    }

    /// Takes in a slice of a state.
    pub(crate) fn adopt_slice(&mut self, slice: &Parts) -> Result<(), DecodeError> {
        let mut rows = Rows::of(&self.tx.table, &slice.table);
        for (theirs, ours) in rows.absent() {
            *ours = self.add_row(slice.table.id(theirs));
        }
        self.ring.note(slice, slice.weight());
        let tx = &mut self.tx;
        let none = CausalContext::default();
        let join = Join::new(&self.known, &tx.table, &rows, &none, &mut tx.clock, tx.seed);
        join.below_unchecked(&mut self.state, slice.tree.root(), slice.tree.count_carried())?;
        for run in &slice.events {
            self.learn(rows.row(run.replica), run.last);
        }
        Ok(())
    }

    /// All slices have been taken in, and all that is known came so.
    pub(crate) fn all_adopted(&mut self) {
        self.state.settle();
        self.ring.restart(&self.known);
    }
}
