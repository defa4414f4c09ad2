//! A counter that never goes below its bound, at any replica, without anybody asking anybody.
//!
//! *Merge rule*: the value is the bound, plus everything that was added, less everything that was taken. *Concurrent pair*:
//! both count; two that take at once take from rights of their own, so that all of it was there. *Metadata*: one ledger a
//! replica that wrote: two numbers, and one for each replica it ever passed rights to. *Lost on conflict*: nothing; but taking
//! is refused where the rights are elsewhere. *Source*: Balegas et al. 2015 (escrow after O'Neil 1986).
//!
//! Who adds holds the right to take as much, and can pass it on. Rights are what a replica has *been told* it holds, so two live
//! continuations of one replica id, a copied or rolled-back store, can spend the same rights twice: the value then misses the
//! bound by at most the rights that id held when it was copied. [`overdraft`](BoundedCounter::overdraft) says by how much where what
//! both did is known. It does not where both did different things under the same dots: who has heard of one takes the other for known,
//! so replicas can read different values at equal versions, some of them without an overdraft. That two wrote under one id is
//! for the layer that synchronises stores to find out; [`Replica::disown`](crate::Replica::disown) then gives one of the two dots
//! of its own, and the overdraft shows everywhere. Rights of a replica that is lost are lost with it: before a device is retired it
//! passes them on.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use serde::de::{Error as _, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::causal::{ReplicaId, ReplicaIndex};
use crate::delta::Node;
use crate::store::{Amount, Crdt, DotStore, Gathered, Join, Leaf, Look, Mut, Seen, Written, leaf_store};

/// A counter that never goes below `MIN`: stock, seats, credit.
///
/// ```
/// use tombolo_crdt::{BoundedCounter, Replica, ReplicaId};
///
/// let mut ann = Replica::<BoundedCounter>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<BoundedCounter>::new(ReplicaId::from_bytes([2; 16]));
/// // Ann has five seats to sell, and lets Bob sell two of them.
/// let (sold, delta) = ann.update(|seats| {
///     seats.inc(5);
///     seats.transfer(2, ReplicaId::from_bytes([2; 16]))
/// });
/// sold?;
/// bob.merge(delta)?;
/// // At the same time:
/// let (hers, ann_sold) = ann.update(|seats| seats.dec(3));
/// let (his, bob_sold) = bob.update(|seats| seats.dec(2));
/// assert!(hers.is_ok() && his.is_ok());
/// // A third would have been one too many somewhere.
/// let refused = bob.try_update(|seats| seats.dec(1)).unwrap_err();
/// assert_eq!((refused.held, refused.elsewhere), (0, vec![(ReplicaId::from_bytes([1; 16]), 3)]));
/// ann.merge(bob_sold)?;
/// bob.merge(ann_sold)?;
/// assert_eq!((ann.value(), bob.value()), (0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// For a bound above, count what is left. It cannot stand below a map entry that can be removed: a removal would take additions
/// that others have rights from. That does not compile:
///
/// ```compile_fail
/// use tombolo_crdt::{AddWinsMap, BoundedCounter, Replica, ReplicaId};
///
/// let mut stock = Replica::<AddWinsMap<String, BoundedCounter>>::new(ReplicaId::from_bytes([1; 16]));
/// let _ = stock.update(|stock| stock.at("apples").inc(1));
/// ```
///
/// Nor can it be an element of a list or a node of a tree, which can be deleted:
///
/// ```compile_fail
/// use tombolo_crdt::{BoundedCounter, MovableList, Replica, ReplicaId};
///
/// let mut stock = Replica::<MovableList<BoundedCounter>>::new(ReplicaId::from_bytes([1; 16]));
/// let _ = stock.update(|stock| stock.push().inc(1));
/// ```
///
/// ```compile_fail
/// use tombolo_crdt::{BoundedCounter, Replica, ReplicaId, Tree};
///
/// let mut stock = Replica::<Tree<BoundedCounter>>::new(ReplicaId::from_bytes([1; 16]));
/// let _ = stock.try_update(|stock| stock.push(None).map(|(_, mut node)| node.inc(1)));
/// ```
///
/// In a [`GMap`](crate::GMap) it can.
#[derive(Clone, Default, Debug)]
pub struct BoundedCounter<const MIN: i64 = 0> {
    ledgers: Leaf<Written<Ledger>>,
    /// The ids of the replicas that have ledgers. INVARIANT: ascending by row.
    owners: SmallVec<[(ReplicaIndex, ReplicaId); 1]>,
}

/// What one replica did, all in all.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(from = "Encoded", into = "Encoded")]
pub(crate) struct Ledger {
    added: u64,
    taken: u64,
    /// INVARIANT: ascending, each receiver once.
    passed_on: Vec<(ReplicaId, u64)>,
}

impl Ledger {
    /// What is left of the rights it added itself: less than nothing if it spent such as others passed on to it.
    fn left(&self) -> i128 {
        let passed_on: i128 = self.passed_on.iter().map(|(_, amount)| i128::from(*amount)).sum();
        i128::from(self.added) - i128::from(self.taken) - passed_on
    }

    fn passed_on_to(&self, to: ReplicaId) -> u64 {
        self.passed_on.binary_search_by_key(&to, |(known, _)| *known).map_or(0, |at| self.passed_on[at].1)
    }

    fn pass_on(&mut self, by: u64, to: ReplicaId) {
        match self.passed_on.binary_search_by_key(&to, |(known, _)| *known) {
            Ok(at) => self.passed_on[at].1 = self.passed_on[at].1.saturating_add(by),
            Err(at) => self.passed_on.insert(at, (to, by)),
        }
    }

    fn add(&mut self, other: &Self) {
        self.added = self.added.saturating_add(other.added);
        self.taken = self.taken.saturating_add(other.taken);
        other.passed_on.iter().for_each(|&(to, by)| self.pass_on(by, to));
    }
}

impl Amount for Written<Ledger> {
    fn plus(&self, other: &Self) -> Option<Self> {
        let mut both = Ledger::clone(self);
        both.add(other);
        Some(both.into())
    }
}

/// A ledger as an array.
#[derive(Serialize, Deserialize)]
struct Encoded(u64, u64, #[serde(deserialize_with = "ascending")] Vec<(ReplicaId, u64)>);

impl From<Encoded> for Ledger {
    fn from(Encoded(added, taken, passed_on): Encoded) -> Self {
        Self { added, taken, passed_on }
    }
}

impl From<Ledger> for Encoded {
    fn from(Ledger { added, taken, passed_on }: Ledger) -> Self {
        Self(added, taken, passed_on)
    }
}

/// Reads receivers in order. Makes room for as many as there are, and not for as many as are said to come.
fn ascending<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(ReplicaId, u64)>, D::Error> {
    struct Receivers;

    impl<'de> Visitor<'de> for Receivers {
        type Value = Vec<(ReplicaId, u64)>;

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("receivers of rights in ascending order, each once")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut receivers: Self::Value = Vec::new();
            while let Some(receiver) = seq.next_element::<(ReplicaId, u64)>()? {
                if receivers.last().is_some_and(|last| last.0 >= receiver.0) {
                    return Err(A::Error::invalid_value(Unexpected::Seq, &self));
                }
                receivers.push(receiver);
            }
            Ok(receivers)
        }
    }

    deserializer.deserialize_seq(Receivers)
}

/// Why something was not taken or passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error(
    "this replica holds rights to {held}, not to {wanted}; others, as far as is known here, to {}: {}",
    elsewhere.iter().fold(0_u64, |sum, (_, held)| sum.saturating_add(*held)),
    if elsewhere.is_empty() { "somebody must add first" } else { "one of them can transfer some" }
)]
pub struct NoRights {
    /// How much was asked for.
    pub wanted: u64,
    /// To how much this replica holds rights.
    pub held: u64,
    /// Who else holds rights, as far as is known here, and to how much; the most first.
    pub elsewhere: Vec<(ReplicaId, u64)>,
}

impl<const MIN: i64> BoundedCounter<MIN> {
    /// The value: `MIN` for a new one. O(replicas that wrote).
    #[must_use]
    pub fn value(&self) -> i64 {
        self.exact().clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    fn exact(&self) -> i128 {
        let sum = |ledger: &Written<Ledger>| i128::from(ledger.added) - i128::from(ledger.taken);
        i128::from(MIN) + self.ledgers.iter().map(sum).sum::<i128>()
    }

    /// By how much the bound is missed, by what is known here. Never by anything, unless one replica id had two continuations (a
    /// copied or rolled-back store) that spent the same rights; and then not at every replica: where both used the same dots, who
    /// has heard of one of them takes the other's for known.
    #[must_use]
    pub fn overdraft(&self) -> u64 {
        (i128::from(MIN) - self.exact()).clamp(0, u64::MAX.into()) as u64
    }

    /// To how much a replica holds rights, as far as is known here. It may have spent or passed on some of them meanwhile; its
    /// own are exact at the replica itself. O(replicas that wrote).
    #[must_use]
    pub fn rights(&self, of: ReplicaId) -> u64 {
        let mut rights = 0_i128;
        for (owner, ledger) in self.ledgers() {
            if owner == of {
                rights += ledger.left();
            }
            rights += i128::from(ledger.passed_on_to(of));
        }
        rights.clamp(0, u64::MAX.into()) as u64
    }

    /// Who holds rights, as far as is known here, and to how much; the most first. O(n log n) in the replicas that wrote and
    /// those they passed rights to.
    #[must_use]
    pub fn holders(&self) -> Vec<(ReplicaId, u64)> {
        let mut parts: Vec<(ReplicaId, i128)> = Vec::new();
        for (owner, ledger) in self.ledgers() {
            parts.push((owner, ledger.left()));
            parts.extend(ledger.passed_on.iter().map(|&(to, amount)| (to, amount.into())));
        }
        parts.sort_unstable_by_key(|(id, _)| *id);
        let mut holders: Vec<_> = parts
            .chunk_by(|(one, _), (next, _)| one == next)
            .map(|parts| (parts[0].0, parts.iter().map(|(_, part)| part).sum::<i128>()))
            .map(|(id, rights)| (id, rights.clamp(0, u64::MAX.into()) as u64))
            .filter(|(_, rights)| *rights > 0)
            .collect();
        holders.sort_by_key(|&(id, rights)| (core::cmp::Reverse(rights), id));
        holders
    }

    fn ledgers(&self) -> impl Iterator<Item = (ReplicaId, &Ledger)> {
        self.ledgers.iter_dots().filter_map(|(dot, ledger)| Some((self.owner(dot.replica())?, &**ledger)))
    }

    fn owner(&self, row: ReplicaIndex) -> Option<ReplicaId> {
        self.owners.binary_search_by_key(&row, |(there, _)| *there).ok().map(|at| self.owners[at].1)
    }

    fn note_owner(owners: &mut SmallVec<[(ReplicaIndex, ReplicaId); 1]>, row: ReplicaIndex, id: ReplicaId) {
        if let Err(at) = owners.binary_search_by_key(&row, |(there, _)| *there) {
            owners.insert(at, (row, id));
        }
    }
}

impl<const MIN: i64> Mut<'_, BoundedCounter<MIN>> {
    /// Adds `by`, and to the rights of this replica as much. Its own sum stops at `u64::MAX`.
    pub fn inc(&mut self, by: u64) {
        let by = by.min(u64::MAX - self.own_ledger().added);
        if by > 0 {
            self.change(|ledger| ledger.added += by);
        }
    }

    /// Takes `by`, if this replica holds the rights to. What it takes stops at `u64::MAX`, all in all; more is refused.
    ///
    /// # Errors
    /// If it does not: says how much it holds and who holds more. Nothing is changed then.
    pub fn dec(&mut self, by: u64) -> Result<(), NoRights> {
        let taken = self.own_ledger().taken;
        self.spend(by, taken, |ledger| ledger.taken += by)
    }

    /// Passes rights to `by` on to another replica. They are gone here at once, and there when it hears of it. What is passed
    /// on to one replica stops at `u64::MAX`, all in all.
    ///
    /// # Errors
    /// As [`dec`](Self::dec).
    pub fn transfer(&mut self, by: u64, to: ReplicaId) -> Result<(), NoRights> {
        if to == self.tx.id() {
            return self.spend(by, 0, |_| {});
        }
        let passed_on = self.own_ledger().passed_on_to(to);
        self.spend(by, passed_on, |ledger| ledger.pass_on(by, to))
    }

    /// To how much this replica holds rights.
    #[must_use]
    pub fn own_rights(&self) -> u64 {
        self.state.rights(self.tx.id())
    }

    fn own_ledger(&self) -> Ledger {
        let own = self.tx.id();
        let mut all = Ledger::default();
        self.state.ledgers().filter(|(owner, _)| *owner == own).for_each(|(_, ledger)| all.add(ledger));
        all
    }

    /// `so_far` is the sum that `by` will be added to.
    fn spend(&mut self, by: u64, so_far: u64, change: impl FnOnce(&mut Ledger)) -> Result<(), NoRights> {
        let held = self.own_rights().min(u64::MAX - so_far);
        if by > held {
            let own = self.tx.id();
            let elsewhere = self.state.holders().into_iter().filter(|(id, _)| *id != own).collect();
            return Err(NoRights { wanted: by, held, elsewhere });
        }
        if by > 0 {
            self.change(change);
        }
        Ok(())
    }

    /// INVARIANT: no sum of the ledger leaves the bounds of `u64`; who calls this has seen to it.
    fn change(&mut self, change: impl FnOnce(&mut Ledger)) {
        debug_assert!(!self.removable, "what may not be removed does not compile below a map entry");
        let (row, id) = (self.tx.row(), self.tx.id());
        BoundedCounter::<MIN>::note_owner(&mut self.state.owners, row, id);
        let (ledgers, place, tx) = Leaf::parts(self, |counter| &mut counter.ledgers);
        let mut more = Ledger::default();
        change(&mut more);
        let _ = ledgers.amend(&more.into(), place, tx, false);
    }
}

impl<const MIN: i64> Crdt for BoundedCounter<MIN> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    const REMOVABLE: bool = false;

    fn type_name() -> Cow<'static, str> {
        match MIN {
            0 => Cow::Borrowed("BoundedCounter"),
            min => format!("BoundedCounter<{min}>").into(),
        }
    }
}

impl<const MIN: i64> DotStore for BoundedCounter<MIN> {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        let owners = &mut self.owners;
        self.ledgers.take_in(node, join, |dot, _, join| {
            Self::note_owner(owners, dot.replica(), join.table().id(dot.replica()));
        });
    }

    leaf_store!(ledgers: Written<Ledger>);

    fn look(&self, _: Look<'_>) -> Seen {
        Seen::count(self.value())
    }

    fn changed(&self, before: &Seen, gathered: &mut Gathered) {
        gathered.count(before, self.value().into());
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.value())
    }
}
