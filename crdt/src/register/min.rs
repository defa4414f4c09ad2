//! A register that holds the smallest value ever written.
//!
//! *Merge rule*: the smallest of all writes. *Concurrent pair*: the smaller value. *Metadata*: one dot and the value, one more for each
//! concurrent write; below a map entry one for each write that is not smaller than those before it, because removing the
//! entry must take exactly the writes it saw. *Lost on conflict*: nothing that the rule asks for. *Source*: the min-register
//! of Almeida, Shoker, Baquero 2018 (a chain as a lattice), over dots.

use alloc::borrow::Cow;

use serde::{Serialize, Serializer};

use super::extreme::{Extreme, write};
use crate::delta::Node;
use crate::store::{Crdt, DotStore, Join, Key, Leaf, Mut, Written, leaf_store};

/// A register that holds the smallest value ever written: the best time, the earliest date anybody can, the lowest offer.
///
/// Values have a total order, so floating-point numbers need a wrapper that gives them one; [`Scalar`](crate::Scalar) does.
///
/// ```
/// use tombolo_crdt::{MinRegister, Replica, ReplicaId};
///
/// let mut ann = Replica::<MinRegister<u64>>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<MinRegister<u64>>::new(ReplicaId::from_bytes([2; 16]));
/// // At the same time:
/// let (_, hers) = ann.update(|seconds| seconds.set(40_u64));
/// let (_, his) = bob.update(|seconds| seconds.set(52_u64));
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// assert_eq!((ann.value(), bob.value()), (Some(&40), Some(&40)));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct MinRegister<V> {
    values: Leaf<Written<V>>,
}

impl<V> Default for MinRegister<V> {
    fn default() -> Self {
        Self { values: Leaf::default() }
    }
}

impl<V: Ord> MinRegister<V> {
    /// The smallest value; `None` before the first write.
    #[must_use]
    pub fn value(&self) -> Option<&V> {
        self.values.iter().map(|value| &**value).min()
    }
}

impl<V: Key> Mut<'_, MinRegister<V>> {
    /// Writes a value. One that is not smaller than what is there does nothing; below a map entry it is kept, so that a
    /// removal of the entry that has not seen it does not take it.
    pub fn set(&mut self, value: impl Into<V>) {
        write(self, value.into());
    }
}

impl<V: Key> Extreme for MinRegister<V> {
    type Value = V;

    fn values(&mut self) -> &mut Leaf<Written<V>> {
        &mut self.values
    }

    fn is_outdone(value: &V, there: &V) -> bool {
        value >= there
    }
}

impl<V: Key> Crdt for MinRegister<V> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("MinRegister")
    }
}

impl<V: Key> DotStore for MinRegister<V> {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.values.take_in(node, join, |_, _, _| {});
    }

    leaf_store!(values: Written<V>);

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}
