//! A register that shows every concurrent value.
//!
//! *Merge rule*: the values that no other write has seen. *Concurrent pair*: both values, in the same order
//! everywhere. *Metadata*: one dot a value. *Lost on conflict*: nothing, until somebody writes again.
//! *Source*: Almeida, Shoker, Baquero 2018.

use alloc::borrow::Cow;

use serde::Serializer;

use crate::delta::Node;
use crate::store::{Crdt, Disputes, DotStore, Join, Leaf, Mut, Plain, Value, Written, leaf_store, view_seq};

/// A multi-value register: concurrent writes are all kept and shown.
///
/// ```
/// use tombolo_crdt::{MvRegister, Replica, ReplicaId};
///
/// let mut ann = Replica::<MvRegister<String>>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<MvRegister<String>>::new(ReplicaId::from_bytes([2; 16]));
/// // At the same time:
/// let (_, hers) = ann.update(|name| name.set("Garden"));
/// let (_, his) = bob.update(|name| name.set("Park"));
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// assert_eq!(ann.values().collect::<Vec<_>>(), ["Garden", "Park"]);
/// assert_eq!(bob.values().collect::<Vec<_>>(), ["Garden", "Park"]);
/// // Who writes next has seen both, and replaces both.
/// ann.merge(bob.update(|name| name.set("Garden and park")).1)?;
/// assert_eq!(ann.values().collect::<Vec<_>>(), ["Garden and park"]);
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct MvRegister<V> {
    values: Leaf<Written<V>>,
}

impl<V> Default for MvRegister<V> {
    fn default() -> Self {
        Self { values: Leaf::default() }
    }
}

impl<V> MvRegister<V> {
    /// The values that stand side by side: none before the first write, several after concurrent ones. In order of
    /// their authors' replica ids, so the same everywhere.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> + DoubleEndedIterator {
        self.values.iter().map(|value| &**value)
    }

    /// The value, if there is exactly one.
    #[must_use]
    pub fn value(&self) -> Option<&V> {
        if self.values.len() == 1 { self.values().next() } else { None }
    }

    /// Whether concurrent writes left more than one value.
    #[must_use]
    pub fn is_conflicted(&self) -> bool {
        self.values.len() > 1
    }
}

impl<V: Value> Mut<'_, MvRegister<V>> {
    /// Writes a value, in place of all that is seen here.
    pub fn set(&mut self, value: impl Into<V>) {
        let (values, place, tx) = Leaf::parts(self, |register| &mut register.values);
        values.cover(place, tx);
        values.add(Written::from(value.into()), place, tx);
    }

    /// Takes away all that is seen here.
    pub fn clear(&mut self) {
        let (values, place, tx) = Leaf::parts(self, |register| &mut register.values);
        values.cover(place, tx);
    }
}

impl<V: Value> Crdt for MvRegister<V> {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("MvRegister")
    }
}

impl<V: Value> DotStore for MvRegister<V> {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.values.take_in(node, join, |_, _, _| {});
    }

    leaf_store!(values: Written<V>);

    fn conflicts(&self, disputes: &mut Disputes<'_>) {
        disputes.claims(self.values.iter_dots(), |value| (Some(Plain::of(&***value)), None));
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        view_seq(self.values().len(), self.values(), serializer)
    }
}
