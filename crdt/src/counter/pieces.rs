//! What the counters that go below keys are made of: amounts, and sums that stand for amounts that all know.
//!
//! Below a key each transaction adds an amount of its own, so that removing the key takes exactly what it saw. Once all know them, a sweep
//! ([`Replica::sweep`](crate::Replica::sweep)) puts one *sum* for the amounts of a replica but the last, its *anchor*, which stays. A sum counts only as
//! long as its anchor is there. So a removal that had seen the amounts and not their sum takes the sum with them: it has seen the anchor.
//! Of several sums with one anchor, by replicas that swept at the same time, the one that goes back the farthest counts: it stands for all that the others do.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Reverse;

use serde::Serialize;
use serde::de::DeserializeOwned;
use smallvec::SmallVec;

use crate::causal::{Dot, Dots, LocalDot, MAX_COUNTER, ReplicaId, ReplicaTable, Tx};
use crate::delta::{Bytes, Mismatch, Node, PlaceId, TreeWriter, leaf};
use crate::store::{Amount, FADING, Join, Leaf, Renaming, SumUp, Sweep, decode_value, write_value};

/// Fewer amounts of a replica than so many are left as they are: a sum takes as much as some of them.
const WORTH_A_SUM: usize = 5;
/// The anchor of a sum of whom is not known here; no event is called so.
const NOWHERE: LocalDot = LocalDot::from_bits(0);

/// What can be counted.
pub(crate) trait Number:
    Amount + Copy + Ord + Into<i128> + TryFrom<i128> + Serialize + DeserializeOwned
{
}

impl Number for i64 {}
impl Number for u64 {}

/// What a sum says: whose amounts, from which of its events to which, the anchor, and how much.
type Told<C> = (ReplicaId, u64, u64, C);

/// # Errors
/// When this is no sum, or not in its one form.
fn read<C: Number>(content: &[u8]) -> Result<Told<C>, Mismatch> {
    let wrong = |why| Mismatch::Content { what: "content", why };
    let told: Told<C> = decode_value(content).map_err(wrong)?;
    let mut one_form = Bytes::new();
    write_value(&told, &mut one_form);
    let (_, from, anchor, _) = told;
    if (1..=anchor).contains(&from) && anchor <= MAX_COUNTER && one_form[..] == *content {
        Ok(told)
    } else {
        Err(wrong("it is no sum of amounts".into()))
    }
}

/// A sum as it is told where events have other names; `None` if it is none, or has the name it has.
pub(crate) fn renamed(content: &[u8], renaming: &Renaming) -> Option<Bytes> {
    fn of<C: Number>(content: &[u8], renaming: &Renaming) -> Option<Bytes> {
        let (replica, from, anchor, amount) = read::<C>(content).ok()?;
        let Dot { replica: other, counter } = renaming.dot(Dot { replica, counter: anchor })?;
        // What it had before it was another's is none of this replica's events: it begins with the first.
        let from = renaming.dot(Dot { replica, counter: from }).map_or(1, |from| from.counter);
        let mut out = Bytes::new();
        write_value(&(other, from, counter, amount), &mut out);
        Some(out)
    }
    of::<i64>(content, renaming).or_else(|| of::<u64>(content, renaming))
}

#[derive(Clone, Debug)]
struct Sum<C> {
    /// [`NOWHERE`] as long as its owner is not known here.
    anchor: LocalDot,
    dot: LocalDot,
    told: Told<C>,
}

impl<C: Number> Sum<C> {
    fn amount(&self) -> i128 {
        self.told.3.into()
    }

    /// Of those with one anchor the highest counts.
    fn rank(&self) -> (Reverse<u64>, C) {
        let (_, from, _, amount) = self.told;
        (Reverse(from), amount)
    }

    fn find_anchor(&mut self, table: &ReplicaTable) {
        let (owner, _, anchor, _) = self.told;
        if let Some(row) = table.row(owner).filter(|_| self.anchor == NOWHERE) {
            self.anchor = LocalDot::new(row, anchor);
        }
    }
}

#[derive(Clone, Debug)]
struct Sums<C> {
    /// INVARIANT: by anchor, then rank.
    items: Vec<Sum<C>>,
    /// INVARIANT: what those come to that count.
    counted: i128,
}

impl<C: Number> Sums<C> {
    /// Whether one that has its anchor among these events, of one replica, is here.
    fn is_anchored(&self, after: LocalDot, last: LocalDot) -> bool {
        let at = self.items.partition_point(|sum| sum.anchor <= after);
        self.items.get(at).is_some_and(|sum| sum.anchor <= last)
    }

    fn find_anchors(&mut self, table: &ReplicaTable) -> bool {
        let unknown = self.items.partition_point(|sum| sum.anchor == NOWHERE);
        self.items[..unknown].iter_mut().for_each(|sum| sum.find_anchor(table));
        self.items[..unknown].iter().any(|sum| sum.anchor != NOWHERE)
    }
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
        if self.amounts.amend(by, place, tx, removable) && self.sums.is_some() {
            self.added(tx, removable);
        }
    }

    #[cold]
    fn added(&mut self, tx: &Tx, removable: bool) {
        // What a replica with honest peers never sees: a sum where no key is above, or of what was not there yet.
        let is_about = |sums: &mut Box<Sums<C>>| {
            let (before, last) = tx.minted_dots();
            sums.find_anchors(tx.table()) || sums.is_anchored(before, last)
        };
        if !removable || self.sums.as_mut().is_some_and(is_about) {
            self.count();
        }
    }

    /// Says anew which sums count. O((amounts + sums) log n).
    fn count(&mut self) {
        self.sums.take_if(|sums| sums.items.is_empty());
        let Some(sums) = &mut self.sums else { return };
        sums.items.sort_unstable_by_key(|sum| (sum.anchor, sum.rank()));
        let mut there: Vec<LocalDot> = self.amounts.iter_dots().map(|(dot, _)| dot).collect();
        there.sort_unstable();
        let of_one = sums.items.chunk_by(|a, b| a.anchor == b.anchor);
        let counting = of_one.filter_map(|sums| sums.last());
        let counting = counting.filter(|sum| there.binary_search(&sum.anchor).is_ok());
        sums.counted = counting.map(Sum::amount).sum();
    }

    pub(crate) fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        // Hostile or not, what is read is a function of what is here, and so not of what came first.
        let mut is_other = self.sums.as_mut().is_some_and(|sums| sums.find_anchors(join.table()));
        let sums = &self.sums;
        self.amounts.take_in(node, join, |dot, _, _| {
            let before = LocalDot::from_bits(dot.bits() - 1);
            is_other |= sums.as_ref().is_some_and(|sums| sums.is_anchored(before, dot));
        });
        for (_, child) in node.children().filter(|(key, _)| *key == FADING) {
            is_other |= self.drop_sums(|dot| join.stands(child.cover(), dot));
            is_other |= self.take_in_sums(child, join);
        }
        if is_other {
            self.count();
        }
    }

    /// Says whether there were any.
    fn take_in_sums(&mut self, node: Node<'_>, join: &mut Join<'_>) -> bool {
        let mut is_other = false;
        for (dot, content) in node.carried() {
            let Some(dot) = join.admit(dot) else { continue };
            let Some(told) = join.right(read(content)) else { return is_other };
            join.took(1);
            let mut sum = Sum { anchor: NOWHERE, dot, told };
            sum.find_anchor(join.table());
            let sums = self.sums.get_or_insert_with(|| Box::new(Sums { items: Vec::new(), counted: 0 }));
            sums.items.push(sum);
            is_other = true;
        }
        is_other
    }

    /// Says whether any had to go. They are to be counted then.
    fn drop_sums(&mut self, mut keep: impl FnMut(LocalDot) -> bool) -> bool {
        self.sums.as_mut().is_some_and(|sums| {
            let before = sums.items.len();
            sums.items.retain(|sum| keep(sum.dot));
            sums.items.len() < before
        })
    }

    pub(crate) fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        let before = self.amounts.len();
        self.amounts.retain(keep);
        if self.drop_sums(keep) || self.amounts.len() < before {
            self.count();
        }
    }

    pub(crate) fn drop_covered(&mut self, cover: Dots<'_>, join: &Join<'_>) {
        let before = self.amounts.len();
        self.amounts.drop_covered(cover, join);
        if self.drop_sums(|dot| join.stands(cover, dot)) || self.amounts.len() < before {
            self.count();
        }
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
                below.carry_with(sum.dot, |out| write_value(&sum.told, out));
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
        // SUBTLE: of those of one anchor the last stays, in an order that is the same everywhere: another may be about to let go the
        // others, and nobody lets go that one.
        let mut counting: Vec<&Sum<C>> = Vec::new();
        for sums in sums.chunk_by(|a, b| a.anchor == b.anchor) {
            let is_there = there.binary_search(&sums[0].anchor).is_ok();
            let stays = sums.iter().filter(|_| is_there).max_by_key(|sum| (sum.rank(), sweep.dot(sum.dot)));
            counting.extend(stays);
            let is_other = |sum: &&Sum<C>| stays.is_none_or(|stays| stays.dot != sum.dot);
            sweep.let_go(sums.iter().filter(is_other).map(|sum| sum.dot));
        }
        if !sweep.is_removable() {
            return;
        }
        let groups: Vec<_> = amounts.chunk_by(|(a, _), (b, _)| sweep.may_join(*a, *b)).collect();
        for of_one in groups {
            let stable = of_one.partition_point(|(dot, _)| sweep.is_stable(*dot));
            if stable < WORTH_A_SUM {
                continue;
            }
            let ((anchor, _), before) = of_one[..stable].split_last().expect("there are some");
            let first = of_one[0].0;
            // All of what was summed up before, whether all know it or not: it counts by anchors that go.
            let range = counting.partition_point(|sum| sum.anchor < first)
                ..counting.partition_point(|sum| sum.anchor <= *anchor);
            let summed = &counting[range];
            let all = before.iter().map(|(_, amount)| *amount).sum::<i128>()
                + summed.iter().map(|sum| sum.amount()).sum::<i128>();
            let from = summed.iter().map(|sum| sum.told.1).chain([first.counter()]).min().unwrap_or(1);
            if C::try_from(all).is_ok() {
                sweep.sum_up(*anchor, from, all);
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
    sums: &[SumUp],
    tx: &mut Tx,
    writer: &mut TreeWriter<'_>,
) {
    let sum =
        |(dot, _): (LocalDot, _)| sums.binary_search_by_key(&dot, |sum| sum.anchor).ok().map(|at| &sums[at]);
    let anchored: SmallVec<[&SumUp; 2]> = node.carried().filter_map(sum).collect();
    if !anchored.is_empty() {
        let below = tx.draft.child(place, |out| out.extend_from_slice(FADING));
        let open = writer.open(FADING);
        for &SumUp { anchor, from, amount } in anchored {
            let (owner, anchor, dot) = (tx.table.id(anchor.replica()), anchor.counter(), tx.dot());
            // A number has one form, whatever its type.
            let write = |out: &mut Bytes| match u64::try_from(amount) {
                Ok(amount) => write_value(&(owner, from, anchor, amount), out),
                Err(_) => write_value(&(owner, from, anchor, amount as i64), out),
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
