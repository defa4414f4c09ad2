//! For the tests of an application: random executions of a type of its own, on a few replicas.
//!
//! What the types of this crate promise, they promise in all combinations. What an application adds is what it writes in one
//! transaction, and what it reads; and whether its users' data comes out as it means it, whatever is lost, doubled and late, is
//! best asked of some thousand executions that nobody has thought of.
//!
//! ```
//! use proptest::prelude::*;
//! use tombolo_crdt::testing::executions;
//! use tombolo_crdt::{AddWinsMap, PnCounter};
//!
//! type Stock = AddWinsMap<String, PnCounter>;
//!
//! #[derive(Debug, Clone)]
//! enum Op {
//!     Count(String, i64),
//!     Drop(String),
//! }
//!
//! let name = prop_oneof![Just("apples".to_owned()), Just("pears".to_owned())];
//! let op = prop_oneof![
//!     3 => (name.clone(), 1..9_i64).prop_map(|(name, by)| Op::Count(name, by)),
//!     1 => name.prop_map(Op::Drop),
//! ];
//! proptest!(ProptestConfig::with_cases(50), |(execution in executions(op))| {
//!     let stock = execution.run::<Stock>(|stock, op| match op {
//!         Op::Count(name, by) => stock.at(name.as_str()).add(*by),
//!         Op::Drop(name) => _ = stock.remove(name),
//!     });
//!     // What must hold of all that the execution can lead to.
//!     prop_assert!(stock.iter().all(|(_, count)| count.value() > 0));
//! });
//! ```

use alloc::vec::Vec;
use core::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::{Crdt, Delta, Limits, Replica, ReplicaId, Scalar, Since, Version};

/// Any replica id; some of them close together.
pub fn replica_ids() -> impl Strategy<Value = ReplicaId> + Clone {
    prop_oneof![
        any::<[u8; 16]>().prop_map(ReplicaId::from_bytes),
        (0..4_u8).prop_map(|of| ReplicaId::from_bytes([of; 16])),
    ]
}

/// Any version of a few replicas.
pub fn versions() -> impl Strategy<Value = Version> + Clone {
    vec((replica_ids(), 1..1_u64 << 39), 0..5).prop_map(|entries| entries.into_iter().collect())
}

/// Any plain value: also `NaN`, no text, and what is not ASCII.
pub fn scalars() -> impl Strategy<Value = Scalar> + Clone {
    prop_oneof![
        Just(Scalar::Null),
        any::<bool>().prop_map(Scalar::Bool),
        any::<i64>().prop_map(Scalar::Int),
        any::<f64>().prop_map(Scalar::Float),
        Just(Scalar::Float(f64::NAN)),
        ".{0,20}".prop_map(|text| Scalar::from(&text[..])),
        vec(any::<u8>(), 0..20).prop_map(Scalar::Bytes),
    ]
}

/// What happens to a few replicas of one value, as [`executions`] makes it up.
#[derive(Debug, Clone)]
pub struct Execution<O> {
    replicas: usize,
    steps: Vec<Step<O>>,
}

/// Numbers that choose something are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step<O> {
    /// A transaction.
    Write(usize, Vec<O>),
    /// A transaction that fails in the end.
    Fail(usize, Vec<O>),
    /// A replica takes in a message that was ever sent.
    Merge(usize, usize),
    /// The first answers the second's version.
    Since(usize, usize),
    /// The first's state goes to the second.
    State(usize, usize),
    /// A replica is written to bytes and read again.
    Restart(usize),
    /// A replica forgets its recent deltas.
    Forget(usize),
    /// A replica's wall clock says this many seconds.
    Clock(usize, u32),
}

/// Random executions on two to four replicas: transactions of operations that `operation` makes up, failing ones among them, and
/// everything that a network and a disk may do between them.
pub fn executions<O: Debug + Clone + 'static>(
    operation: impl Strategy<Value = O> + Clone + 'static,
) -> impl Strategy<Value = Execution<O>> {
    let at = 0..12_usize;
    let step = prop_oneof![
        8 => (at.clone(), vec(operation.clone(), 1..5)).prop_map(|(at, ops)| Step::Write(at, ops)),
        1 => (at.clone(), vec(operation, 1..5)).prop_map(|(at, ops)| Step::Fail(at, ops)),
        8 => (at.clone(), any::<usize>()).prop_map(|(at, which)| Step::Merge(at, which)),
        3 => (at.clone(), at.clone()).prop_map(|(from, to)| Step::Since(from, to)),
        2 => (at.clone(), at.clone()).prop_map(|(from, to)| Step::State(from, to)),
        1 => at.clone().prop_map(Step::Restart),
        1 => at.clone().prop_map(Step::Forget),
        1 => (at, 0..100_000_u32).prop_map(|(at, seconds)| Step::Clock(at, seconds)),
    ];
    (2..5_usize, vec(step, 1..40)).prop_map(|(replicas, steps)| Execution { replicas, steps })
}

fn id(at: usize) -> ReplicaId {
    // Rows and ids are not in step.
    ReplicaId::from_bytes([(at as u8 + 1).wrapping_mul(151); 16])
}

/// A delta after a way through bytes.
fn sent<T: Crdt>(delta: &Delta<T>) -> Delta<T> {
    let limits = Limits::default();
    match delta.encode_state() {
        Some(bytes) => Delta::decode_state(&bytes, &limits),
        None => Delta::decode(&delta.encode(), &limits),
    }
    .expect("what a replica writes, another reads")
}

impl<O: Debug> Execution<O> {
    /// Runs it, with `apply` writing one operation; then has everything arrive everywhere. Yields a replica as all of them are in
    /// the end.
    ///
    /// # Panics
    /// If two replicas of one version differ by a byte, a transaction that failed leaves a trace, a restart changes anything, or
    /// changes applied to a plain value do not keep it up to date. That is then a bug of this crate, or of a [`DotStore`] that an
    /// application has written itself; or a key or value whose encoding is not as [`Key`](crate::Key) and
    /// [`Value`](crate::Value) ask.
    ///
    /// [`DotStore`]: crate::DotStore
    pub fn run<T: Crdt>(&self, apply: impl for<'a> Fn(&mut T::Mut<'a>, &O)) -> Replica<T> {
        let mut replicas: Vec<Replica<T>> = (0..self.replicas).map(|at| Replica::new(id(at))).collect();
        let mut messages: Vec<Delta<T>> = Vec::new();
        let merge = |replica: &mut Replica<T>, delta: &Delta<T>| {
            let mut shown = replica.plain();
            let (_, all) = replica.merge_changes(sent(delta)).expect("there is room");
            for changes in &all {
                changes.apply_to(&mut shown).expect("changes fit what was there");
            }
            assert_eq!(shown, replica.plain(), "changes say what became different");
        };
        for step in &self.steps {
            match step {
                Step::Write(at, ops) => {
                    let replica = &mut replicas[at % self.replicas];
                    let (_, delta) = replica.update(|value| ops.iter().for_each(|op| apply(value, op)));
                    if !delta.is_empty() {
                        messages.push(delta);
                    }
                }
                Step::Fail(at, ops) => {
                    let replica = &mut replicas[at % self.replicas];
                    let before = (replica.version(), replica.encode());
                    let failed = replica.try_update(|value| {
                        ops.iter().for_each(|op| apply(value, op));
                        Err::<(), ()>(())
                    });
                    assert!(failed.is_err());
                    assert!(before == (replica.version(), replica.encode()), "what failed leaves no trace");
                }
                Step::Merge(at, which) => {
                    if let Some(which) = which.checked_rem(messages.len()) {
                        merge(&mut replicas[at % self.replicas], &messages[which]);
                    }
                }
                Step::Since(from, to) => {
                    let (from, to) = (from % self.replicas, to % self.replicas);
                    if let Since::Delta(delta) = replicas[from].delta_since(&replicas[to].version()) {
                        merge(&mut replicas[to], &delta);
                        messages.push(delta);
                    }
                }
                Step::State(from, to) => {
                    let state = replicas[from % self.replicas].state();
                    merge(&mut replicas[to % self.replicas], &state);
                }
                Step::Restart(at) => {
                    let at = at % self.replicas;
                    let bytes = replicas[at].encode();
                    let back = Replica::<T>::decode(id(at), &bytes, &Limits::default());
                    replicas[at] = back.expect("what a replica writes, it reads");
                    assert!(replicas[at].encode() == bytes, "a restart changes nothing");
                }
                Step::Forget(at) => replicas[at % self.replicas].set_history_bytes(0),
                Step::Clock(at, seconds) => {
                    replicas[at % self.replicas].set_time(u64::from(*seconds) * 1_000)
                }
            }
            same_where_versions_are(&replicas);
        }
        messages.extend(replicas.iter().map(Replica::state));
        for replica in &mut replicas {
            messages.iter().for_each(|delta| merge(replica, delta));
        }
        let last = replicas.pop().expect("there are two at least");
        assert!(
            replicas.iter().all(|replica| replica.version() == last.version()),
            "everything has arrived everywhere"
        );
        assert!(replicas.iter().all(|replica| replica.encode() == last.encode()), "all replicas are equal");
        last
    }
}

fn same_where_versions_are<T: Crdt>(replicas: &[Replica<T>]) {
    for (at, one) in replicas.iter().enumerate() {
        for other in &replicas[at + 1..] {
            assert!(
                one.version() != other.version() || one.encode() == other.encode(),
                "two replicas of one version differ"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Doc, Merged};

    #[derive(Debug, Clone)]
    enum Op {
        Count(u8, i64),
        Add(u8, Scalar),
        Remove(u8),
    }

    fn op() -> impl Strategy<Value = Op> + Clone {
        prop_oneof![
            (0..3_u8, -5..5_i64).prop_map(|(name, by)| Op::Count(name, by)),
            (0..3_u8, scalars()).prop_map(|(name, element)| Op::Add(name, element)),
            (0..3_u8).prop_map(Op::Remove),
        ]
    }

    proptest! {
        #[test]
        fn documents_converge(execution in executions(op())) {
            let doc = execution.run::<Doc>(|doc, op| match op {
                Op::Count(name, by) => doc.counter(["a", "b", "c"][usize::from(*name)]).add(*by),
                Op::Add(name, element) => doc.set(["a", "b", "c"][usize::from(*name)]).add(element.clone()),
                Op::Remove(name) => _ = doc.remove(["a", "b", "c"][usize::from(*name)]),
            });
            let mut again = Replica::<Doc>::new(id(9));
            prop_assert!(doc.version().is_empty() || again.merge(doc.state()) == Ok(Merged::Applied));
        }

        #[test]
        fn versions_dominate_what_they_are_joined_with(one in versions(), other in versions()) {
            let mut joined = one.clone();
            joined.join(&other);
            prop_assert!(joined.dominates(&one) && joined.dominates(&other));
        }
    }
}
