//! A flag where disabling wins over a concurrent enabling.
//!
//! *Merge rule*: enabled if it was enabled, and no disabling stands that nothing later has seen. *Concurrent pair*: enable
//! and disable: disabled. *Metadata*: one dot a concurrent write, also while it is disabled: a disabling must be remembered
//! to win. *Lost on conflict*: the enabling. *Source*: Almeida, Shoker, Baquero 2018.

use alloc::borrow::Cow;

use serde::Serializer;

use crate::delta::Node;
use crate::store::{Crdt, DotStore, Join, Leaf, Mark, Mut, leaf_store};

/// A flag where disabling wins.
///
/// ```
/// use tombolo_crdt::{DisableWinsFlag, Replica, ReplicaId};
///
/// let mut ann = Replica::<DisableWinsFlag>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<DisableWinsFlag>::new(ReplicaId::from_bytes([2; 16]));
/// bob.merge(ann.update(|shared| shared.enable()).1)?;
/// // At the same time:
/// let (_, off) = ann.update(|shared| shared.disable());
/// let (_, on) = bob.update(|shared| shared.enable());
/// ann.merge(on)?;
/// bob.merge(off)?;
/// assert!(!ann.value() && !bob.value());
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Default, Debug)]
pub struct DisableWinsFlag {
    marks: Leaf<Mark>,
}

impl DisableWinsFlag {
    /// Whether it is enabled. A new flag is not.
    #[must_use]
    pub fn value(&self) -> bool {
        Mark::all_in(&self.marks)
    }
}

impl Mut<'_, DisableWinsFlag> {
    /// Enables it, as far as it is seen disabled; a disabling that happens at the same time wins.
    pub fn enable(&mut self) {
        self.mark(Mark::In);
    }

    /// Disables it, also over enablings that happen at the same time.
    pub fn disable(&mut self) {
        self.mark(Mark::Out);
    }

    fn mark(&mut self, mark: Mark) {
        let (marks, place, tx) = Leaf::parts(self, |flag| &mut flag.marks);
        marks.cover(place, tx);
        marks.add(mark, place, tx);
    }
}

impl Crdt for DisableWinsFlag {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("DisableWinsFlag")
    }
}

impl DotStore for DisableWinsFlag {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.marks.take_in(node, join, |_, _, _| {});
    }

    leaf_store!(marks: Mark);

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.value())
    }
}
