//! Taking in what others wrote.

use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::held::{Held, MOST_HELD};
use super::{Replica, count, row_in};
use crate::causal::{CausalContext, MAX_REPLICAS, ReplicaId, ReplicaIndex, Version};
use crate::delta::{Delta, Parts};
use crate::store::{Changes, Crdt, DotStore, Join, Look, Rows, Seen, compare};

/// How many replica ids a replica knows at most. Tests cannot wait for as many as there may be.
const MOST_ROWS: usize = if cfg!(test) { 1 << 12 } else { MAX_REPLICAS };

/// What became of a merged delta.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Merged {
    /// It changed what this replica knows.
    Applied,
    /// Everything in it was known.
    AlreadyKnown,
    /// It waits for what it depends on: for each replica, the counter that must be reached first.
    Pending(Version),
}

/// Why a delta was not taken, now or ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The delta would have to wait for others, and no more can wait. The waiting ones stay; fetch what is missing.
    #[error(
        "{waiting} deltas wait already, and this one depends on what is missing too: fetch {missing:?} first"
    )]
    BufferFull {
        /// How many deltas wait.
        waiting: usize,
        /// What this delta lacks.
        missing: Version,
    },
    /// The document would have more replica ids than it can name.
    #[error("a document can name at most {MAX_REPLICAS} replicas")]
    TooManyReplicas,
    /// The document would hold more than a replica takes in; a whole state counts in full. What is there stays, and can be written to: delete some
    /// of it. What only takes away is not refused.
    #[error("the document would hold more than {most} bytes: delete some of it, then merge again")]
    TooLarge {
        /// How many bytes it may hold, deltas that wait included.
        most: usize,
    },
}

/// Where it is noted what became different, if anybody wants to know.
type Observed<'o> = Option<&'o mut Vec<Changes>>;

impl<T: Crdt> Replica<T> {
    /// Takes in a delta: in any order, any number of times, grouped or not, the result is the same. One that arrives
    /// before what it depends on waits, and is applied when that has come.
    ///
    /// Costs time in proportion to the delta; one that overlaps with what is known may cost a walk of the state.
    ///
    /// # Errors
    /// When the delta would have to wait and no more can, or there would be more than a replica can name or hold. Nothing changes then.
    pub fn merge(&mut self, delta: Delta<T>) -> Result<Merged, Refused> {
        self.merge_observed(delta.parts, &mut None)
    }

    /// As [`merge`](Self::merge), and says what became different: of each delta that was applied, this one first, then those
    /// that had waited for it.
    ///
    /// Costs time in proportion to the delta, once more before it and once more after it; a state, and a removal of
    /// everything below a place, costs a walk of what is there.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsSet, Merged, Plain, Replica, ReplicaId, What};
    ///
    /// let mut ann = Replica::<AddWinsSet<String>>::new(ReplicaId::from_bytes([1; 16]));
    /// let mut bob = Replica::<AddWinsSet<String>>::new(ReplicaId::from_bytes([2; 16]));
    /// let mut shown = bob.plain();
    /// let (_, delta) = ann.update(|birds| birds.extend(["heron", "avocet"]));
    /// let (merged, all) = bob.merge_changes(delta)?;
    /// assert_eq!((merged, &all[0].by[..]), (Merged::Applied, &[ann.id()][..]));
    /// assert!(all[0].changes.iter().all(|change| change.what == What::Entered));
    /// for changes in &all {
    ///     changes.apply_to(&mut shown).expect("they fit what was there before");
    /// }
    /// assert_eq!(shown, bob.plain());
    /// # Ok::<(), tombolo_crdt::Refused>(())
    /// ```
    ///
    /// # Errors
    /// As [`merge`](Self::merge).
    pub fn merge_changes(&mut self, delta: Delta<T>) -> Result<(Merged, Vec<Changes>), Refused> {
        let mut observed = Vec::new();
        let merged = self.merge_observed(delta.parts, &mut Some(&mut observed))?;
        Ok((merged, observed))
    }

    /// As [`merge`](Self::merge), of what this replica wrote or took in itself and has kept: never too large, for it was there before.
    ///
    /// # Errors
    /// As [`merge`](Self::merge), but for [`Refused::TooLarge`].
    pub fn restore(&mut self, delta: Delta<T>) -> Result<Merged, Refused> {
        self.merge_within(usize::MAX, delta.parts, &mut None)
    }

    fn merge_observed(&mut self, delta: Arc<Parts>, observed: &mut Observed<'_>) -> Result<Merged, Refused> {
        self.merge_within(MOST_HELD, delta, observed)
    }

    /// Holds at most so much then.
    fn merge_within(
        &mut self,
        most: usize,
        delta: Arc<Parts>,
        observed: &mut Observed<'_>,
    ) -> Result<Merged, Refused> {
        let mut rows = Rows::of(&self.tx.table, &delta.table);
        if delta.events.iter().all(|run| self.known_in(rows.row(run.replica)) >= run.last) {
            return Ok(Merged::AlreadyKnown);
        }
        let new_rows = rows.absent().count();
        // One row is left for ourselves.
        if self.tx.table.len() + self.pending.new_rows() + new_rows >= MOST_ROWS {
            return Err(Refused::TooManyReplicas);
        }
        let weight = delta.weight();
        let implied = delta.events.iter().map(|run| (run.replica, run.first - 1));
        let mut needs = delta.deps.iter().copied().chain(implied);
        if needs.any(|(row, needed)| self.known_in(rows.row(row)) < needed) {
            let missing = self.missing_for(&delta);
            if !self.pending.holds(&delta) {
                self.check_room(&delta, weight, most)?;
                if !self.pending.has_room(weight) {
                    return Err(Refused::BufferFull { waiting: self.pending.len(), missing });
                }
                self.pending.push(delta, new_rows);
            }
            return Ok(Merged::Pending(missing));
        }
        self.check_room(&delta, weight, most)?;
        self.apply(delta, weight, rows, observed);
        self.apply_waiting(observed);
        Ok(Merged::Applied)
    }

    /// Holds that a delta of this weight may come, beside those that wait. What takes away alone always may.
    fn check_room(&mut self, delta: &Parts, weight: usize, most: usize) -> Result<(), Refused> {
        let (came, more) = (self.ring.came_at_all(), weight.saturating_add(self.pending.weight()));
        if self.held.fits(came, more, most) || delta.tree.count_carried() == 0 {
            return Ok(());
        }
        if self.held.is_rough(came) {
            self.held = Held::measured(self.state_size_hint(), came);
        }
        if self.held.fits(came, more, most) { Ok(()) } else { Err(Refused::TooLarge { most }) }
    }

    /// What the delta depends on and is not known.
    pub(super) fn missing_for(&self, delta: &Parts) -> Version {
        let implied = delta.events.iter().map(|run| (run.replica, run.first - 1));
        let needed = delta.deps.iter().copied().chain(implied).map(|(row, n)| (delta.table.id(row), n));
        needed.filter(|&(id, n)| self.known_to(id) < n).collect()
    }

    fn apply_waiting(&mut self, observed: &mut Observed<'_>) {
        while self.pending.len() > 0 {
            let mut pending = core::mem::take(&mut self.pending);
            let ready = pending.take_ready(|id| self.known_to(id));
            self.pending = pending;
            let Some(delta) = ready else { return };
            let rows = Rows::of(&self.tx.table, &delta.table);
            let weight = delta.weight();
            self.apply(delta, weight, rows, observed);
        }
    }

    /// Joins a delta whose dependencies are known.
    fn apply(&mut self, delta: Arc<Parts>, weight: usize, rows: Rows, observed: &mut Observed<'_>) {
        match observed {
            None => self.join(&delta, rows),
            Some(observed) => {
                let seen = self.look(&delta, &rows);
                let news = delta.events.iter().filter(|run| self.known_in(rows.row(run.replica)) < run.last);
                let mut by: Vec<ReplicaId> = news.map(|run| delta.table.id(run.replica)).collect();
                self.join(&delta, rows);
                by.sort_unstable();
                by.dedup();
                observed.push(compare(&self.state, &seen, by));
            }
        }
        if delta.is_state {
            self.ring.restart(&self.known);
        } else {
            let table = &self.tx.table;
            self.ring.push(delta, weight, || count(&self.state), |delta, row| row_in(table, delta, row));
        }
    }

    /// What is read where a delta says something.
    fn look(&self, delta: &Parts, rows: &Rows) -> Seen {
        // What is known of it may have been removed, anywhere.
        let overlaps = delta.events.iter().any(|run| self.known_in(rows.row(run.replica)) >= run.first);
        let look = Look::new(Some(delta.tree.root()), &self.known, rows);
        self.state.look(if overlaps || delta.is_state { look.all() } else { look })
    }

    /// Joins state and version, and leaves the ring alone.
    pub(super) fn adopt(&mut self, delta: &Parts) {
        self.join(delta, Rows::of(&self.tx.table, &delta.table));
    }

    fn join(&mut self, delta: &Parts, mut rows: Rows) {
        for (theirs, ours) in rows.absent() {
            *ours = self.add_row(delta.table.id(theirs));
        }
        if delta.is_state {
            self.ring.note(delta, delta.weight());
        }
        let runs = || delta.events.iter().map(|run| (run, rows.row(run.replica)));
        let covered = delta.covered();
        let overlaps = runs().any(|(run, row)| self.known[row as usize] >= run.first);
        let carried =
            if covered.is_empty() && !overlaps { CausalContext::default() } else { delta.carried() };
        let tx = &mut self.tx;
        let mut join = Join::new(&self.known, &tx.table, &rows, &carried, &mut tx.clock, tx.seed);
        join.below(&mut self.state, delta.tree.root());
        if overlaps {
            // At its root a delta covers all its own events that it does not carry. What it covers further down has
            // been dropped already, so only the rest needs a walk: removals, as a rule, which are nowhere.
            let mut known_events = CausalContext::default();
            for (run, row) in runs() {
                known_events.insert_run(run.replica, run.first, run.last.min(self.known[row as usize]));
            }
            let rest = known_events.difference(&carried).difference(&covered);
            join.drop_covered(&mut self.state, rest.as_dots());
        }
        for (run, row) in runs() {
            self.learn(row, run.last);
        }
    }

    /// Everything of a row up to `last` is known now.
    pub(super) fn learn(&mut self, row: ReplicaIndex, last: u64) {
        let known = &mut self.known[row as usize];
        if last <= *known {
            return;
        }
        let news = last - *known;
        *known = last;
        // What we wrote ourselves and get back, after a restart, our next transaction implies anyway.
        if self.tx.table.id(row) == self.id {
            return;
        }
        // That it differs from what it was is what matters.
        self.epoch = self.epoch.wrapping_add(news);
        self.raised.insert(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PnCounter, Text};

    /// Replicas of these numbers write once each; what one of them writes that has taken that in.
    fn after(numbers: core::ops::Range<u16>) -> (Vec<Delta<PnCounter>>, Delta<PnCounter>) {
        let replica = |number: u16| {
            Replica::<PnCounter>::new(ReplicaId::from_bytes(
                [number.to_be_bytes(); 8].concat().try_into().unwrap(),
            ))
        };
        let mut writer = replica(numbers.start);
        let others: Vec<_> = numbers.skip(1).map(|number| replica(number).update(|n| n.inc(1)).1).collect();
        others.iter().for_each(|delta| assert_eq!(writer.merge(delta.clone()), Ok(Merged::Applied)));
        (others, writer.update(|n| n.inc(1)).1)
    }

    #[test]
    fn ids_that_wait_are_counted_until_they_are_known() {
        let mut hub = Replica::<PnCounter>::new(ReplicaId::from_bytes([255; 16]));
        let (known, last) = after(0..2_000);
        known.into_iter().chain([last]).for_each(|delta| assert_eq!(hub.merge(delta), Ok(Merged::Applied)));
        let ((thousand, early), (_, more), (_, most)) =
            (after(10_000..11_000), after(20_000..21_000), after(30_000..31_200));
        assert!(matches!(hub.merge(early), Ok(Merged::Pending(_))));
        assert_eq!(hub.merge(most.clone()), Err(Refused::TooManyReplicas));
        // What has come counts once.
        thousand.into_iter().for_each(|delta| assert_eq!(hub.merge(delta), Ok(Merged::Applied)));
        assert_eq!(hub.pending(), 0);
        assert!(matches!(hub.merge(more), Ok(Merged::Pending(_))));
        assert_eq!(hub.merge(most), Err(Refused::TooManyReplicas));
    }

    const PAGE: usize = MOST_HELD / 16;

    fn id(id: u8) -> ReplicaId {
        ReplicaId::from_bytes([id; 16])
    }

    fn page(writer: &mut Replica<Text>) -> Delta<Text> {
        writer.update(|text| text.push(&"x".repeat(PAGE))).1
    }

    /// Merges until it is not refused any more; says how often it was.
    fn persist(replica: &mut Replica<Text>, delta: &Delta<Text>) -> u32 {
        let refused = |_: &u32| replica.merge(delta.clone()) == Err(Refused::TooLarge { most: MOST_HELD });
        (0..1_000).take_while(refused).count() as u32
    }

    #[test]
    fn what_would_be_too_large_is_refused_until_there_is_room() {
        let (mut ann, mut bob) = (Replica::<Text>::new(id(1)), Replica::<Text>::new(id(2)));
        let (_, note) = bob.update(|text| text.push("note"));
        let mut pages = 0;
        let last = loop {
            let delta = page(&mut ann);
            match bob.merge(delta.clone()) {
                Ok(_) => pages += 1,
                Err(why) => {
                    assert_eq!(why, Refused::TooLarge { most: MOST_HELD });
                    break delta;
                }
            }
        };
        assert_eq!((pages, bob.len(), bob.pending()), (15, 15 * PAGE + 4, 0));
        // A new replica takes in as much and no more; nothing is counted twice.
        let mut carol = Replica::<Text>::new(id(3));
        assert_eq!(carol.merge(bob.state()), Ok(Merged::Applied));
        assert_eq!(carol.merge(note.clone()), Ok(Merged::AlreadyKnown));
        assert_eq!(persist(&mut carol, &last), 1_000);
        // What was kept is there again, whatever it weighs.
        let mut kept = Replica::<Text>::new(id(4));
        assert_eq!(kept.restore(bob.state()), Ok(Merged::Applied));
        assert_eq!(kept.restore(last.clone()), Ok(Merged::Applied));
        // What is deleted makes room, whoever deletes it.
        let (_, room) = bob.try_update(|text| text.delete(0..3 * PAGE)).unwrap();
        assert!(persist(&mut bob, &last) < 32);
        assert_eq!(carol.merge(room.clone()), Ok(Merged::Applied));
        assert!(persist(&mut carol, &last) < 32);
        // So does what comes and goes: there is never much.
        for _ in 0..4 * pages {
            let page = page(&mut ann);
            let (_, gone) = ann.try_update(|text| text.delete(text.len() - PAGE..text.len())).unwrap();
            assert!(persist(&mut bob, &page) < 32);
            assert_eq!(bob.merge(gone), Ok(Merged::Applied));
        }
        // She wrote more than others take in, and makes room as well.
        assert_eq!(persist(&mut ann, &note), 1_000);
        let _ = ann.try_update(|text| text.delete(0..4 * PAGE)).unwrap();
        assert!(persist(&mut ann, &note) < 32);
        assert_eq!(ann.merge(room), Ok(Merged::Applied));
    }
}
