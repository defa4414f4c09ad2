//! What the counters that go below keys are made of: amounts, and sums that stand for amounts that all know.
//!
//! Below a key each transaction adds an amount of its own, so that removing the key takes exactly what it saw. Once all know them, a sweep
//! ([`Replica::sweep`](crate::Replica::sweep)) puts one *sum* for the amounts of a replica but the last, its *anchor*, which stays. A sum counts only as
//! long as its anchor is there. So a removal that had seen the amounts and not their sum takes the sum with them: it has seen the anchor.
//! Of several sums with one anchor, by replicas that swept at the same time, one counts.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::borrow::Borrow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use smallvec::SmallVec;

use crate::causal::{Dot, Dots, LocalDot, MAX_COUNTER, ReplicaId, ReplicaIndex, ReplicaTable, Tx};
use crate::delta::{Bytes, Mismatch, Node, PlaceId, TreeWriter, leaf};
use crate::store::{Amount, FADING, Join, Leaf, Renaming, Sweep, decode_value, write_value};

/// Fewer amounts of a replica than so many are left as they are: a sum takes as much as some of them.
const WORTH_A_SUM: usize = 5;
/// The row of a replica id that is not known here.
const ABSENT: ReplicaIndex = ReplicaIndex::MAX;

/// What can be counted.
pub(crate) trait Number:
    Amount + Copy + Ord + Into<i128> + TryFrom<i128> + Serialize + DeserializeOwned
{
}

impl Number for i64 {}
impl Number for u64 {}

/// What a sum says: whose amounts, the anchor, how much.
type Told<C> = (ReplicaId, u64, C);

/// # Errors
/// When this is no sum, or not in its one form.
fn read<C: Number>(content: &[u8]) -> Result<Told<C>, Mismatch> {
    let wrong = |why| Mismatch::Content { what: "content", why };
    let told: Told<C> = decode_value(content).map_err(wrong)?;
    let mut one_form = Bytes::new();
    write_value(&told, &mut one_form);
    if (1..=MAX_COUNTER).contains(&told.1) && one_form[..] == *content {
        Ok(told)
    } else {
        Err(wrong("it is no sum of amounts".into()))
    }
}

#[derive(Clone, Debug)]
struct Sum<C> {
    anchor: LocalDot,
    dot: LocalDot,
    amount: C,
    owner: ReplicaId,
}

#[derive(Clone, Debug, Default)]
struct Sums<C> {
    /// INVARIANT: by anchor, then amount: of those with one anchor the last counts.
    items: Vec<Sum<C>>,
    /// INVARIANT: what those come to that count.
    counted: i128,
}

/// The sums that count: of those of one anchor the last, if the anchor is there.
fn counting<'s, C: 's, S: Borrow<Sum<C>>>(
    sums: &'s [S],
    is_there: impl Fn(LocalDot) -> bool,
) -> impl Iterator<Item = &'s Sum<C>> {
    let of_one = sums.chunk_by(|a, b| a.borrow().anchor == b.borrow().anchor);
    of_one.filter_map(move |sums| sums.last().map(Borrow::borrow).filter(|sum| is_there(sum.anchor)))
}

/// Amounts and sums.
#[derive(Clone, Debug)]
pub(crate) struct Pieces<C> {
    amounts: Leaf<C>,
    /// Boxed, for few counters have any.
    sums: Option<Box<Sums<C>>>,
}

impl<C> Default for Pieces<C> {
    fn default() -> Self {
        Self { amounts: Leaf::default(), sums: None }
    }
}

impl<C: Number> Pieces<C> {
    /// All of it together. O(amounts).
    pub(crate) fn value(&self) -> i128 {
        let amounts: i128 = self.amounts.iter().map(|&amount| amount.into()).sum();
        self.sums.as_ref().map_or(amounts, |sums| amounts + sums.counted)
    }

    /// Adds to what this replica added; beside it where it may be removed above.
    #[inline]
    pub(crate) fn add(&mut self, by: &C, place: PlaceId, tx: &mut Tx, removable: bool) {
        self.amounts.amend(by, place, tx, removable);
        if self.sums.is_some() {
            self.added(tx, removable);
        }
    }

    #[cold]
    fn added(&mut self, tx: &Tx, removable: bool) {
        self.find_anchors(tx.table());
        let is_about = |sum: &Sum<C>| tx.minted(sum.anchor);
        // What a replica with honest peers never sees: a sum where no key is above, or of what was not there yet.
        if !removable || self.sums.as_ref().is_some_and(|sums| sums.items.iter().any(is_about)) {
            self.count();
        }
    }

    /// Finds the anchors of whom was not known when the sum came.
    fn find_anchors(&mut self, table: &ReplicaTable) {
        let Some(sums) = &mut self.sums else { return };
        let mut found = false;
        for sum in sums.items.iter_mut().filter(|sum| sum.anchor.replica() == ABSENT) {
            if let Some(row) = table.row(sum.owner) {
                sum.anchor = LocalDot::new(row, sum.anchor.counter());
                found = true;
            }
        }
        if found {
            self.count();
        }
    }

    /// Says anew which sums count. O((amounts + sums) log n).
    fn count(&mut self) {
        self.sums.take_if(|sums| sums.items.is_empty());
        let Some(sums) = &mut self.sums else { return };
        sums.items.sort_unstable_by_key(|sum| (sum.anchor, sum.amount, sum.dot));
        let mut there: Vec<LocalDot> = self.amounts.iter_dots().map(|(dot, _)| dot).collect();
        there.sort_unstable();
        let counting = counting(&sums.items, |anchor| there.binary_search(&anchor).is_ok());
        sums.counted = counting.map(|sum| sum.amount.into()).sum();
    }

    pub(crate) fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        let sums = &self.sums;
        let mut is_anchor = false;
        self.amounts.take_in(node, join, |dot, _, _| {
            let anchored = |sum: &Sum<C>| sum.anchor == dot;
            is_anchor |= sums.as_ref().is_some_and(|sums| sums.items.iter().any(anchored));
        });
        if is_anchor {
            self.count();
        }
        for (_, child) in node.children().filter(|(key, _)| *key == FADING) {
            self.take_in_sums(child, join);
        }
        if self.sums.is_some() {
            self.find_anchors(join.table());
        }
    }

    fn take_in_sums(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        if let Some(sums) = &mut self.sums {
            sums.items.retain(|sum| join.stands(node.cover(), sum.dot));
        }
        for (dot, content) in node.carried() {
            let Some(dot) = join.admit(dot) else { continue };
            let Some((owner, counter, amount)) = join.right(read(content)) else { return };
            join.took(1);
            let anchor = LocalDot::new(join.table().row(owner).unwrap_or(ABSENT), counter);
            let sums = self.sums.get_or_insert_with(|| Box::new(Sums { items: Vec::new(), counted: 0 }));
            sums.items.push(Sum { anchor, dot, amount, owner });
        }
        self.count();
    }

    fn retain_sums(&mut self, mut keep: impl FnMut(LocalDot) -> bool) {
        if let Some(sums) = &mut self.sums {
            sums.items.retain(|sum| keep(sum.dot));
            self.count();
        }
    }

    pub(crate) fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        self.amounts.retain(keep);
        self.retain_sums(keep);
    }

    pub(crate) fn drop_covered(&mut self, cover: Dots<'_>, join: &Join<'_>) {
        self.amounts.drop_covered(cover, join);
        self.retain_sums(|dot| join.stands(cover, dot));
    }

    pub(crate) fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.amounts.dots(each);
        self.sum_dots().for_each(each);
    }

    fn sum_dots(&self) -> impl Iterator<Item = LocalDot> + '_ {
        self.sums.iter().flat_map(|sums| &sums.items).map(|sum| sum.dot)
    }

    pub(crate) fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        self.amounts.carry(wanted, writer);
        let Some(sums) = &self.sums else { return };
        let mut wanted: Vec<&Sum<C>> = sums.items.iter().filter(|sum| wanted(sum.dot)).collect();
        wanted.sort_unstable_by_key(|sum| sum.dot);
        let write = |below: &mut TreeWriter<'_>| {
            for sum in wanted {
                let told: Told<C> = (sum.owner, sum.anchor.counter(), sum.amount);
                below.carry_with(sum.dot, |out| write_value(&told, out));
            }
        };
        writer.child(|key| key.extend_from_slice(FADING), write);
    }

    pub(crate) fn is_bottom(&self) -> bool {
        self.amounts.is_empty() && self.sums.is_none()
    }

    /// A sum shows nothing by itself.
    pub(crate) fn shows(&self) -> bool {
        !self.amounts.is_empty()
    }

    pub(crate) fn rename(&mut self, renaming: &Renaming) {
        let Some(sums) = &mut self.sums else { return };
        for sum in &mut sums.items {
            let anchor = Dot { replica: sum.owner, counter: sum.anchor.counter() };
            sum.owner = renaming.dot(anchor).replica;
            sum.anchor = renaming.local(anchor, sum.anchor);
        }
        self.count();
    }

    pub(crate) fn check(node: Node<'_>) -> Result<(), Mismatch> {
        for (_, content) in node.carried() {
            C::check(content).map_err(|why| Mismatch::Content { what: "content", why })?;
        }
        for (key, child) in node.children() {
            if key != FADING {
                return Err(Mismatch::Shape("a key where the type has none"));
            }
            leaf(child)?.try_for_each(|(_, content)| read::<C>(content).map(drop))?;
        }
        Ok(())
    }

    /// Names the sums that do not count, and amounts that a sum is to stand for.
    pub(crate) fn remembered(&self, sweep: &mut Sweep<'_>) {
        let sums = self.sums.as_ref().map_or(&[][..], |sums| &sums.items);
        sweep.naming(self.sum_dots());
        if sums.is_empty() && self.amounts.len() < WORTH_A_SUM {
            return;
        }
        let amounts: Vec<(LocalDot, i128)> =
            self.amounts.iter_dots().map(|(dot, &amount)| (dot, amount.into())).collect();
        let mut there: Vec<LocalDot> = amounts.iter().map(|(dot, _)| *dot).collect();
        there.sort_unstable();
        let (there, void): (Vec<&Sum<C>>, Vec<_>) =
            sums.iter().partition(|sum| there.binary_search(&sum.anchor).is_ok());
        sweep.let_go(void.into_iter().map(|sum| sum.dot));
        let groups: Vec<_> = amounts.chunk_by(|(a, _), (b, _)| sweep.may_join(*a, *b)).collect();
        for of_one in groups {
            let stable = of_one.partition_point(|(dot, _)| sweep.is_stable(*dot));
            if stable < WORTH_A_SUM {
                continue;
            }
            let ((anchor, _), before) = of_one[..stable].split_last().expect("there are some");
            // All of what was summed up before, whether all know it or not: it counts by anchors that go.
            let summed: Vec<&Sum<C>> = there
                .iter()
                .copied()
                .filter(|sum| sum.anchor <= *anchor && sum.anchor >= of_one[0].0)
                .collect();
            let amounts: i128 = before.iter().map(|(_, amount)| amount).sum();
            let sums: i128 = counting(&summed, |_| true).map(|sum| sum.amount.into()).sum();
            if C::try_from(amounts + sums).is_ok() {
                sweep.sum_up(*anchor, amounts + sums);
                sweep.let_go(before.iter().map(|(dot, _)| *dot).chain(summed.iter().map(|sum| sum.dot)));
            }
        }
    }
}

/// The walks of a counter, all of which is in the field `pieces`.
macro_rules! pieces_store {
    ($number:ty) => {
        fn retain(&mut self, keep: &mut dyn FnMut($crate::causal::LocalDot) -> bool) {
            self.pieces.retain(keep);
        }

        fn drop_covered(&mut self, cover: $crate::causal::Dots<'_>, join: &Join<'_>) {
            self.pieces.drop_covered(cover, join);
        }

        fn dots(&self, each: &mut dyn FnMut($crate::causal::LocalDot)) {
            self.pieces.dots(each);
        }

        fn carry(
            &self,
            wanted: &dyn Fn($crate::causal::LocalDot) -> bool,
            writer: &mut $crate::delta::TreeWriter<'_>,
        ) {
            self.pieces.carry(wanted, writer);
        }

        fn is_bottom(&self) -> bool {
            self.pieces.is_bottom()
        }

        fn shows(&self) -> bool {
            self.pieces.shows()
        }

        fn rename(&mut self, renaming: &$crate::store::Renaming) {
            self.pieces.rename(renaming);
        }

        fn check(node: Node<'_>) -> Result<(), $crate::delta::Mismatch> {
            Pieces::<$number>::check(node)
        }

        fn remembered(&self, sweep: &mut $crate::store::Sweep<'_>) {
            self.pieces.remembered(sweep);
        }
    };
}
pub(super) use pieces_store;

/// Writes the sums that a sweep asked for ([`Sweep::sum_up`]) where their anchors stand, which `node` shows, as items of the transaction,
/// and into a tree of these.
pub(crate) fn sum_up(
    node: Node<'_>,
    place: PlaceId,
    sums: &[(LocalDot, i128)],
    tx: &mut Tx,
    writer: &mut TreeWriter<'_>,
) {
    let sum = |anchor: LocalDot| {
        sums.binary_search_by_key(&anchor, |(anchor, _)| *anchor).ok().map(|at| sums[at].1)
    };
    let anchors: SmallVec<[(LocalDot, i128); 2]> =
        node.carried().filter_map(|(dot, _)| Some((dot, sum(dot)?))).collect();
    if !anchors.is_empty() {
        let below = tx.draft.child(place, |out| out.extend_from_slice(FADING));
        let open = writer.open(FADING);
        for (anchor, amount) in anchors {
            let (owner, dot) = (tx.table.id(anchor.replica()), tx.dot());
            let write = |out: &mut Bytes| {
                // A number has one form, whatever its type.
                match u64::try_from(amount) {
                    Ok(amount) => write_value(&(owner, anchor.counter(), amount), out),
                    Err(_) => write_value(&(owner, anchor.counter(), amount as i64), out),
                }
            };
            tx.draft.put(below, dot, write);
            writer.carry_with(dot, write);
        }
        writer.close(&open);
    }
    for (key, child) in node.children() {
        let below = tx.draft.child(place, |out| out.extend_from_slice(key));
        let open = writer.open(key);
        sum_up(child, below, sums, tx, writer);
        writer.close(&open);
    }
}
