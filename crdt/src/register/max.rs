//! A register that holds the largest value ever written.
//!
//! *Merge rule*: the largest of all writes. *Concurrent pair*: the larger value. *Metadata*: one dot and the value, one more for each
//! concurrent write; below a map entry one for each write that is not larger than those before it, because removing the
//! entry must take exactly the writes it saw. *Lost on conflict*: nothing that the rule asks for. *Source*: the max-register
//! of Almeida, Shoker, Baquero 2018 (a chain as a lattice), over dots.

use alloc::borrow::Cow;

use serde::{Serialize, Serializer};

use super::extreme::{Extreme, write};
use crate::delta::Node;
use crate::store::{Crdt, DotStore, Join, Key, Leaf, Mut, Written, leaf_store};

/// A register that holds the largest value ever written: a high score, a deadline, the furthest page read.
///
/// Values have a total order, so floating-point numbers need a wrapper that gives them one; [`Scalar`](crate::Scalar) does.
///
/// ```
/// use tombolo_crdt::{MaxRegister, Replica, ReplicaId};
///
/// let mut ann = Replica::<MaxRegister<u64>>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<MaxRegister<u64>>::new(ReplicaId::from_bytes([2; 16]));
/// // At the same time:
/// let (_, hers) = ann.update(|page| page.set(40_u64));
/// let (_, his) = bob.update(|page| page.set(52_u64));
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// assert_eq!((ann.value(), bob.value()), (Some(&52), Some(&52)));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct MaxRegister<V> {
    values: Leaf<Written<V>>,
}

impl<V> Default for MaxRegister<V> {
    fn default() -> Self {
        Self { values: Leaf::default() }
    }
}

impl<V: Ord> MaxRegister<V> {
    /// The largest value; `None` before the first write.
    #[must_use]
    pub fn value(&self) -> Option<&V> {
        self.values.iter().map(|value| &**value).max()
    }
}

impl<V: Key> Mut<'_, MaxRegister<V>> {
    /// Writes a value. One that is not larger than what is there does nothing; below a map entry it is kept, so that a
    /// removal of the entry that has not seen it does not take it.
    pub fn set(&mut self, value: impl Into<V>) {
        write(self, value.into());
    }
}

impl<V: Key> Extreme for MaxRegister<V> {
    type Value = V;

    fn values(&mut self) -> &mut Leaf<Written<V>> {
        &mut self.values
    }

    fn is_outdone(value: &V, there: &V) -> bool {
        value <= there
    }
}

impl<V: Key> Crdt for MaxRegister<V> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("MaxRegister")
    }
}

impl<V: Key> DotStore for MaxRegister<V> {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.values.take_in(node, join, |_, _, _| {});
    }

    leaf_store!(values: Written<V>);

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}
