//! Keys of which concurrent writers may say different things, and of which some are therefore not shown.

use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::{Bound, RangeBounds};

use super::keyed::Slot;
use super::{Content, Join, Key, Keyed, Leaf, Sweep, write_key};
use crate::causal::{LocalDot, Tx};
use crate::delta::{Mismatch, Node, PlaceId, TreeWriter};
use crate::set::check_keys;

/// What one writer says of a key.
pub(crate) trait Vote: Content {
    /// What all that stands says: whether the key is shown.
    fn show(votes: &Leaf<Self>) -> bool;
}

/// What is said of each key.
#[derive(Clone)]
pub(crate) struct Votes<K, C> {
    /// INVARIANT: no key is without a vote.
    votes: Keyed<K, Leaf<C>>,
    /// INVARIANT: as many of them as are shown.
    shown: usize,
}

impl<K: Ord + core::fmt::Debug, C: core::fmt::Debug> core::fmt::Debug for Votes<K, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.votes.fmt(f)
    }
}

impl<K, C> Default for Votes<K, C> {
    fn default() -> Self {
        Self { votes: Keyed::default(), shown: 0 }
    }
}

impl<K: Key, C: Vote> Votes<K, C> {
    /// How many keys are shown.
    pub(crate) fn len(&self) -> usize {
        self.shown
    }

    /// How many keys are remembered, and not shown.
    pub(crate) fn hidden(&self) -> usize {
        self.votes.len() - self.shown
    }

    /// Whether nothing is remembered of any key.
    pub(crate) fn is_bottom(&self) -> bool {
        self.votes.is_empty()
    }

    /// What stands under a key that is remembered, and not shown.
    pub(crate) fn get_hidden<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<&Leaf<C>>
    where
        K: Borrow<Q>,
    {
        self.votes.get(key).filter(|votes| !C::show(votes))
    }

    /// What stands under a key that is shown.
    pub(crate) fn get<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<&Leaf<C>>
    where
        K: Borrow<Q>,
    {
        self.votes.get(key).filter(|votes| C::show(votes))
    }

    /// A key that is shown, as it is kept.
    pub(crate) fn key<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<&K>
    where
        K: Borrow<Q>,
    {
        let (key, votes) = self.votes.slot(self.votes.occupied(key)?);
        C::show(votes).then_some(key)
    }

    /// All keys that are remembered, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&K, &Leaf<C>)> {
        self.votes.iter_unordered()
    }

    /// The keys that are shown, ascending.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &Leaf<C>)> {
        self.votes.iter().filter(|(_, votes)| C::show(votes))
    }

    pub(crate) fn range<Q: Ord + ?Sized>(
        &self,
        range: impl RangeBounds<Q>,
    ) -> impl DoubleEndedIterator<Item = (&K, &Leaf<C>)>
    where
        K: Borrow<Q>,
    {
        self.votes.range(range).filter(|(_, votes)| C::show(votes))
    }

    pub(crate) fn prefix<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (&'s K, &'s Leaf<C>)>
    where
        K: Borrow<str>,
    {
        self.range::<str>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| Borrow::<str>::borrow(*key).starts_with(prefix))
    }

    /// Votes on a key, in place of all that is seen of it.
    pub(crate) fn cast(&mut self, key: K, vote: C, place: PlaceId, tx: &mut Tx) {
        // The key is written before anything of the state changes: it may refuse.
        let (below, slot) = match self.votes.search(&key) {
            Ok(slot) => (tx.draft.child(place, |out| write_key(&key, out)), slot),
            Err(gap) => {
                let below = tx.draft.child_of_new(place, |out| write_key(&key, out));
                (below, self.votes.fill(gap, key, tx.seed))
            }
        };
        self.recount(slot, |votes| {
            votes.cover(below, tx);
            votes.add(vote, below, tx);
        });
    }

    /// Changes what stands under a key, and counts anew.
    fn recount(&mut self, slot: Slot, change: impl FnOnce(&mut Leaf<C>)) {
        let votes = self.votes.slot_mut(slot);
        self.shown -= usize::from(C::show(votes));
        change(votes);
        self.shown += usize::from(C::show(votes));
        if votes.is_empty() {
            self.votes.remove_slot(slot);
        }
    }

    pub(crate) fn take_in(
        &mut self,
        node: Node<'_>,
        join: &mut Join<'_>,
        mut seen: impl FnMut(LocalDot, &C, &mut Join<'_>),
    ) {
        for (bytes, child) in node.children() {
            let Some(key) = join.key::<K>(bytes) else { return };
            let slot = self.votes.occupy(key, join.seed);
            self.recount(slot, |votes| {
                if !child.cover().is_empty() {
                    votes.drop_covered(child.cover(), join);
                }
                votes.take_in(child, join, &mut seen);
            });
        }
    }

    /// Names what stands under keys that are not shown.
    pub(crate) fn remembered(&self, sweep: &mut Sweep<'_>) {
        if self.hidden() > 0 {
            let hidden = self.votes.iter_unordered().filter(|(_, votes)| !C::show(votes));
            hidden.for_each(|(_, votes)| sweep.group(votes.iter_dots().map(|(dot, _)| dot)));
        }
    }

    pub(crate) fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        let mut shown = 0;
        self.votes.retain(|_, votes| {
            votes.retain(keep);
            shown += usize::from(C::show(votes));
            !votes.is_empty()
        });
        self.shown = shown;
    }

    pub(crate) fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.votes.iter_unordered().for_each(|(_, votes)| votes.dots(each));
    }

    pub(crate) fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        for (key, votes) in self.votes.iter_unordered() {
            writer.child(|out| write_key(key, out), |below| votes.carry(wanted, below));
        }
    }

    pub(crate) fn check(node: Node<'_>) -> Result<(), Mismatch> {
        check_keys::<K>(node, Leaf::<C>::check)
    }
}

/// The [`DotStore`](crate::DotStore) of a type whose only content is the votes `$field`, but for what it takes in and how it
/// looks.
macro_rules! votes_store {
    ($field:ident: $key:ty, $vote:ty) => {
        fn retain(&mut self, keep: &mut dyn FnMut($crate::causal::LocalDot) -> bool) {
            self.$field.retain(keep);
        }

        fn dots(&self, each: &mut dyn FnMut($crate::causal::LocalDot)) {
            self.$field.dots(each);
        }

        fn carry(
            &self,
            wanted: &dyn Fn($crate::causal::LocalDot) -> bool,
            writer: &mut $crate::delta::TreeWriter<'_>,
        ) {
            self.$field.carry(wanted, writer);
        }

        fn is_bottom(&self) -> bool {
            self.$field.is_bottom()
        }

        fn check(node: $crate::delta::Node<'_>) -> Result<(), $crate::delta::Mismatch> {
            $crate::store::Votes::<$key, $vote>::check(node)
        }
    };
}
pub(crate) use votes_store;
