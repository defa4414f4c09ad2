//! A flag where enabling wins over a concurrent disabling.
//!
//! *Merge rule*: enabled if there is an enabling that no disabling has seen. *Concurrent pair*: enable and disable:
//! enabled. *Metadata*: one dot a concurrent enabling; a disabled flag costs nothing. *Lost on conflict*: the
//! disabling. *Source*: Almeida, Shoker, Baquero 2018.

use alloc::borrow::Cow;

use serde::Serializer;

use crate::delta::Node;
use crate::store::{Crdt, DotStore, Join, Leaf, Mut, leaf_store};

/// A flag where enabling wins.
///
/// ```
/// use tombolo_crdt::{EnableWinsFlag, Replica, ReplicaId};
///
/// let mut ann = Replica::<EnableWinsFlag>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<EnableWinsFlag>::new(ReplicaId::from_bytes([2; 16]));
/// bob.merge(ann.update(|flag| flag.enable()).1)?;
/// // At the same time:
/// let (_, off) = ann.update(|flag| flag.disable());
/// let (_, on) = bob.update(|flag| flag.enable());
/// ann.merge(on)?;
/// bob.merge(off)?;
/// assert!(ann.value() && bob.value());
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Default, Debug)]
pub struct EnableWinsFlag {
    enabled_by: Leaf<()>,
}

impl EnableWinsFlag {
    /// Whether it is enabled. A new flag is not.
    #[must_use]
    pub fn value(&self) -> bool {
        !self.enabled_by.is_empty()
    }
}

impl Mut<'_, EnableWinsFlag> {
    /// Enables it, also over disablings that happen at the same time.
    pub fn enable(&mut self) {
        let (enabled_by, place, tx) = Leaf::parts(self, |flag| &mut flag.enabled_by);
        enabled_by.cover(place, tx);
        enabled_by.add((), place, tx);
    }

    /// Disables it as far as it is seen enabled; a disabled flag is left alone.
    pub fn disable(&mut self) {
        let (enabled_by, place, tx) = Leaf::parts(self, |flag| &mut flag.enabled_by);
        enabled_by.cover(place, tx);
    }
}

impl Crdt for EnableWinsFlag {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("EnableWinsFlag")
    }
}

impl DotStore for EnableWinsFlag {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.enabled_by.take_in(node, join, |_, (), _| {});
    }

    leaf_store!(enabled_by: ());

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.value())
    }
}
