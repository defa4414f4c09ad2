//! A register where the last writer wins.
//!
//! *Merge rule*: of the values that no other write has seen, the one with the largest stamp (hybrid logical clock, then
//! replica id). *Concurrent pair*: the later stamp; the other value is kept until somebody writes again.
//! *Metadata*: one dot and one stamp a concurrent value. *Lost on conflict*: the earlier value, from view.
//! *Source*: Shapiro et al. 2011, over a multi-value store, so that a stamp from a wrong clock wins only over
//! concurrent writes: whoever has seen a value replaces it, whatever its stamp.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

use crate::causal::Stamp;
use crate::delta::Node;
use crate::store::{Crdt, Disputes, DotStore, Join, Leaf, Mut, Plain, Value, Written, leaf_store};

/// A last-writer-wins register.
///
/// ```
/// use tombolo_crdt::{LwwRegister, Replica, ReplicaId};
///
/// let mut ann = Replica::<LwwRegister<String>>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<LwwRegister<String>>::new(ReplicaId::from_bytes([2; 16]));
/// ann.set_time(1_000);
/// bob.set_time(2_000);
/// // At the same time, as far as either knows:
/// let (_, hers) = ann.update(|title| title.set("Dig"));
/// let (_, his) = bob.update(|title| title.set("Plant"));
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// assert_eq!(ann.value().map(String::as_str), Some("Plant"));
/// assert_eq!(bob.value().map(String::as_str), Some("Plant"));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct LwwRegister<V> {
    values: Leaf<Written<Stamped<V>>>,
}

/// Encoded as an array: time, logical count, value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stamped<V>(u64, u32, V);

impl<V> Stamped<V> {
    fn stamp(&self) -> Stamp {
        Stamp { millis: self.0, logical: self.1 }
    }
}

impl<V> Default for LwwRegister<V> {
    fn default() -> Self {
        Self { values: Leaf::default() }
    }
}

impl<V> LwwRegister<V> {
    /// The value that was written last; `None` before the first write.
    #[must_use]
    pub fn value(&self) -> Option<&V> {
        self.winner().map(|winner| &winner.2)
    }

    /// When the value was written, by its author's clock.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        self.winner().map(|winner| winner.stamp())
    }

    /// Whether concurrent writes left more than one value. [`Replica::conflicts`](crate::Replica::conflicts) tells them.
    #[must_use]
    pub fn is_conflicted(&self) -> bool {
        self.values.len() > 1
    }

    fn winner(&self) -> Option<&Stamped<V>> {
        // Items come in order of replica id, and of equals `max_by_key` takes the last: ties go to the larger id.
        self.values.iter().map(|value| &**value).max_by_key(|value| value.stamp())
    }
}

impl<V: Value> Mut<'_, LwwRegister<V>> {
    /// Writes a value, in place of all that is seen here.
    pub fn set(&mut self, value: impl Into<V>) {
        let (values, place, tx) = Leaf::parts(self, |register| &mut register.values);
        values.cover(place, tx);
        let stamp = tx.stamp();
        values.add(Stamped(stamp.millis, stamp.logical, value.into()).into(), place, tx);
    }

    /// Takes away all that is seen here. A concurrent write stays.
    pub fn clear(&mut self) {
        let (values, place, tx) = Leaf::parts(self, |register| &mut register.values);
        values.cover(place, tx);
    }
}

impl<V: Value> Crdt for LwwRegister<V> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("LwwRegister")
    }
}

impl<V: Value> DotStore for LwwRegister<V> {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.values.take_in(node, join, |_, value, join| join.observe(value.stamp()));
    }

    leaf_store!(values: Written<Stamped<V>>);

    fn conflicts(&self, disputes: &mut Disputes<'_>) {
        disputes.claims(self.values.iter_dots(), |value| (Some(Plain::of(&value.2)), Some(value.stamp())));
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}
