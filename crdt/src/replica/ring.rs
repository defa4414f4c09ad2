//! The recent deltas of a replica, so that a peer a little behind gets exactly what it lacks.

mod past;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::past::{Forgotten, Older, Past};
use super::held::Came;
use crate::causal::{ReplicaIndex, ReplicaTable};
use crate::delta::Parts;

/// How much a ring keeps however much is alive: 4 MiB, more than 10 000 small changes. Most of these take a fifth of that (`past`).
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How much it keeps however little is alive.
const LEAST_BYTES: usize = 4 * 1024;
/// How much the newest weigh that are kept as they came: what is in a cache anyway. Less where assertions are on, so that short tests and fuzzers
/// have older ones too.
const FRESH_BYTES: usize = if cfg!(debug_assertions) { 256 } else { 32 * 1024 };
/// How much a delta may weigh whose memory is used again.
const SPARE_BYTES: usize = 1024;
/// What a live dot takes at least, on its way to a peer.
const DOT_BYTES: usize = 128;

/// Recent deltas, oldest first, and the version below which they are forgotten.
///
/// Once they weigh more than the state, sending the state costs no more than sending them: so about twice its weight is
/// kept, of which there is an estimate.
#[derive(Debug)]
pub(crate) struct Ring {
    /// The older ones.
    past: Past,
    /// The newest, with their weights.
    fresh: VecDeque<(Arc<Parts>, usize)>,
    /// What all weighed when they came; and what the newest do.
    weight: usize,
    fresh_weight: usize,
    /// How much is kept; `None`: it follows from what is alive.
    fixed: Option<usize>,
    /// A small delta that is not needed any more and that nobody else has: the next one takes its memory.
    spare: Option<Arc<Parts>>,
    /// By row of the replica's table: events up to here are not, or not all, in what is kept.
    base: Vec<u64>,
    /// About how many dots are alive, and what one weighs.
    live: usize,
    dot_weight: usize,
    /// What has come into the state since the live dots were counted.
    came: usize,
    came_dots: usize,
    /// What has ever come into the state.
    came_at_all: Came,
}

impl Ring {
    pub(crate) fn new() -> Self {
        Self {
            past: Past::default(),
            fresh: VecDeque::new(),
            weight: 0,
            fresh_weight: 0,
            fixed: None,
            spare: None,
            base: Vec::new(),
            live: 0,
            dot_weight: DOT_BYTES,
            came: 0,
            came_dots: 0,
            came_at_all: Came::default(),
        }
    }

    /// What has ever come into the state, what is forgotten and gone among it.
    pub(super) fn came_at_all(&self) -> Came {
        self.came_at_all
    }

    /// Forgets all deltas: of everything known, only the state remains.
    pub(crate) fn restart(&mut self, known: &[u64]) {
        self.past = Past::default();
        self.fresh.clear();
        (self.weight, self.fresh_weight) = (0, 0);
        self.base = known.to_vec();
    }

    pub(crate) fn set_capacity(
        &mut self,
        capacity: usize,
        row_of: impl Fn(&Parts, ReplicaIndex) -> ReplicaIndex,
    ) {
        self.fixed = Some(capacity);
        self.trim(row_of);
        self.release();
    }

    /// Gives back what memory older deltas took, if there are none.
    fn release(&mut self) {
        if self.past.is_empty() {
            self.past = Past::default();
        }
    }

    /// About how many bytes the deltas take.
    pub(crate) fn bytes(&self) -> usize {
        self.past.bytes() + self.fresh_weight
    }

    /// A delta whose memory is used again.
    pub(crate) fn take_spare(&mut self) -> Option<Arc<Parts>> {
        self.spare.take()
    }

    /// Takes note of what comes into the state.
    pub(crate) fn note(&mut self, delta: &Parts, weight: usize) {
        let carried = delta.tree.count_carried();
        // A state covers all it has ever known, most of which has long been gone.
        let covered = if delta.is_state {
            0
        } else {
            delta.tree.cover_runs().map(|(_, first, last)| last - first + 1).sum::<u64>()
        };
        self.came += weight;
        let Came { weight: all, covered: less } = &mut self.came_at_all;
        (*all, *less) = (all.saturating_add(weight as u64), less.saturating_add(covered));
        self.came_dots += carried;
        self.live = (self.live + carried).saturating_sub(usize::try_from(covered).unwrap_or(usize::MAX));
    }

    /// Keeps a delta. `count` counts the live dots, `row_of` finds a delta's row in the replica's table.
    pub(crate) fn push(
        &mut self,
        delta: Arc<Parts>,
        weight: usize,
        count: impl FnOnce() -> usize,
        row_of: impl Fn(&Parts, ReplicaIndex) -> ReplicaIndex,
    ) {
        self.note(&delta, weight);
        self.weight += weight;
        self.fresh_weight += weight;
        self.fresh.push_back((delta, weight));
        while self.fresh_weight > FRESH_BYTES
            && let Some((delta, weight)) = self.fresh.pop_front()
        {
            self.fresh_weight -= weight;
            let row_of_this = |row| row_of(&delta, row);
            if self.past.push(&delta, weight, row_of_this) {
                self.spare(delta, weight);
            }
        }
        // Counting walks the state: so it waits until several times as much has come in.
        if self.came >= 4 * self.state_weight().max(LEAST_BYTES) {
            self.live = count();
            // What is seldom written may be large: a dot's weight falls only bit by bit.
            self.dot_weight = (self.came / self.came_dots.max(1)).max(self.dot_weight / 2).max(DOT_BYTES);
            self.came = 0;
            self.came_dots = 0;
        }
        self.trim(row_of);
    }

    fn state_weight(&self) -> usize {
        self.live.saturating_mul(self.dot_weight)
    }

    fn trim(&mut self, row_of: impl Fn(&Parts, ReplicaIndex) -> ReplicaIndex) {
        let follows = || self.state_weight().saturating_mul(2).clamp(LEAST_BYTES, MOST_BYTES);
        let room = self.fixed.unwrap_or_else(follows);
        while self.weight > room {
            self.forget_oldest(&row_of);
        }
    }

    /// Forgets the oldest deltas as far as all their events are known to all: by row, up to which.
    pub(crate) fn forget(&mut self, stable: &[u64], row_of: impl Fn(&Parts, ReplicaIndex) -> ReplicaIndex) {
        let is_known =
            |row: ReplicaIndex, last| stable.get(row as usize).is_some_and(|&stable| last <= stable);
        let is_stable =
            |delta: &Parts| delta.events.iter().all(|run| is_known(row_of(delta, run.replica), run.last));
        while match self.past.oldest() {
            Some(Older::Packed(packed)) => is_known(packed.events.replica, packed.events.last),
            Some(Older::Whole(oldest)) => is_stable(oldest),
            None => self.fresh.front().is_some_and(|(oldest, _)| is_stable(oldest)),
        } {
            self.forget_oldest(&row_of);
        }
        self.release();
    }

    fn forget_oldest(&mut self, row_of: impl Fn(&Parts, ReplicaIndex) -> ReplicaIndex) {
        let (oldest, weight) = match self.past.forget_oldest() {
            Some(Forgotten::Packed(events, weight)) => {
                self.weight -= weight;
                return self.raise_base(events.replica, events.last);
            }
            Some(Forgotten::Whole(oldest, weight)) => (oldest, weight),
            None => {
                let Some((oldest, weight)) = self.fresh.pop_front() else { return };
                self.fresh_weight -= weight;
                (oldest, weight)
            }
        };
        self.weight -= weight;
        for run in &oldest.events {
            self.raise_base(row_of(&oldest, run.replica), run.last);
        }
        self.spare(oldest, weight);
    }

    fn raise_base(&mut self, row: ReplicaIndex, last: u64) {
        let row = row as usize;
        if self.base.len() <= row {
            self.base.resize(row + 1, 0);
        }
        self.base[row] = self.base[row].max(last);
    }

    fn spare(&mut self, delta: Arc<Parts>, weight: usize) {
        if weight <= SPARE_BYTES && Arc::strong_count(&delta) == 1 {
            self.spare = Some(delta);
        }
    }

    pub(crate) fn base(&self) -> &[u64] {
        &self.base
    }

    /// Those that bring an event that is `lacked`, oldest first; it is told the last of a row of the replica's `table`.
    pub(crate) fn lacked(
        &self,
        table: &Arc<ReplicaTable>,
        row_of: impl Fn(&Parts, ReplicaIndex) -> ReplicaIndex,
        lacked: impl Fn(ReplicaIndex, u64) -> bool,
    ) -> Vec<Arc<Parts>> {
        let is_lacked =
            |delta: &Parts| delta.events.iter().any(|run| lacked(row_of(delta, run.replica), run.last));
        let past = self.past.iter().filter_map(|older| match older {
            Older::Whole(delta) => is_lacked(delta).then(|| Arc::clone(delta)),
            Older::Packed(packed) => {
                lacked(packed.events.replica, packed.events.last).then(|| packed.unpacked(table))
            }
        });
        let fresh = self.fresh.iter().filter(|(delta, _)| is_lacked(delta));
        past.chain(fresh.map(|(delta, _)| Arc::clone(delta))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddWinsMap, AddWinsSet, Limits, LwwRegister, MvRegister, Replica, ReplicaId, Since};

    fn id(byte: u8) -> ReplicaId {
        ReplicaId::from_bytes([byte; 16])
    }

    #[test]
    fn a_register_that_is_overwritten_keeps_no_history_to_speak_of() {
        let mut title = Replica::<LwwRegister<u64>>::new(id(1));
        for n in 0..10_000_u64 {
            let _ = title.update(|title| title.set(n));
        }
        assert!((LEAST_BYTES / 2..2 * LEAST_BYTES).contains(&title.ring.weight));
    }

    #[test]
    fn what_comes_and_goes_keeps_no_history_to_speak_of() {
        let mut set = Replica::<AddWinsSet<u64>>::new(id(1));
        for n in 0..20_000_u64 {
            let _ = set.update(|set| set.add(7_u64));
            let _ = set.update(|set| set.remove(&7));
            assert!(n < 100 || set.ring.weight < 4 * LEAST_BYTES, "{} after {n}", set.ring.weight);
        }
    }

    #[test]
    fn what_grows_remembers_as_much_as_it_weighs() {
        for step in [1, 40] {
            let mut set = Replica::<AddWinsSet<u64>>::new(id(1));
            let mut written = 0;
            for n in (0..12_000).step_by(step) {
                written += set.update(|set| set.extend(n..n + step as u64)).1.size_hint();
                if n.is_multiple_of(400) {
                    let least = set.state().size_hint().min(written).min(MOST_BYTES);
                    assert!(set.ring.weight + 1024 >= least, "{} of {least} at {n}", set.ring.weight);
                }
            }
        }
    }

    #[test]
    fn small_changes_among_large_values_are_remembered() {
        type Texts = Replica<AddWinsMap<u32, MvRegister<String>>>;
        let mut texts = Texts::new(id(1));
        (0..20_u32).for_each(|n| drop(texts.update(|texts| texts.at(n).set("x".repeat(100_000)))));
        let before = texts.version();
        assert!(matches!(texts.delta_since(&before), Since::UpToDate));
        let mut texts = Texts::decode(id(1), &texts.encode(), &Limits::trusted()).unwrap();
        for n in 0..1_000 {
            let _ = texts.update(|texts| texts.at(99_u32).set(n.to_string()));
        }
        assert!(matches!(texts.delta_since(&before), Since::Delta(_)));
    }
}
