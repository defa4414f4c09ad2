//! The leaf of every type: dots with content, and nothing below.
//!
//! Flags hold `()`, counters amounts, registers values. Costs 8 bytes a dot beside the content; one item needs no
//! allocation.

use smallvec::SmallVec;

use super::{Content, Join, Mut};
use crate::causal::{LocalDot, Tx};
use crate::delta::{DeltaTree, Mismatch, leaf};

/// Dots with content of type `C`.
#[derive(Clone, Debug)]
pub struct Leaf<C> {
    /// INVARIANT: in the order that is the same everywhere: by replica id, then counter.
    items: SmallVec<[(LocalDot, C); 1]>,
}

impl<C> Default for Leaf<C> {
    fn default() -> Self {
        Self { items: SmallVec::new() }
    }
}

impl<C> Leaf<C> {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The contents, in the order that is the same everywhere.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &C> + DoubleEndedIterator {
        self.items.iter().map(|(_, content)| content)
    }

    pub(crate) fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.items.iter().for_each(|(dot, _)| each(*dot));
    }

    pub(crate) fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        self.items.retain(|(dot, _)| keep(*dot));
    }
}

impl<C: Content> Leaf<C> {
    fn insert_at(&mut self, dot: LocalDot, content: C, at: usize) {
        if self.items.get(at).is_none_or(|(there, _)| *there != dot) {
            self.items.insert(at, (dot, content));
        }
    }

    /// Takes in the carried dots that are new; `seen` is shown each of them.
    pub(crate) fn take_in(
        &mut self,
        tree: &DeltaTree,
        join: &mut Join<'_>,
        mut seen: impl FnMut(&C, &mut Join<'_>),
    ) {
        for (dot, bytes) in &tree.carried {
            if let Some(dot) = join.admit(*dot) {
                let content = C::decode(bytes).expect("contents were checked when the delta came in");
                seen(&content, join);
                let at = self.items.partition_point(|(there, _)| join.compare(*there, dot).is_lt());
                self.insert_at(dot, content, at);
            }
        }
    }

    pub(crate) fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, tree: &mut DeltaTree) {
        let wanted = self.items.iter().filter(|(dot, _)| wanted(*dot));
        tree.carried.extend(wanted.map(|(dot, content)| (*dot, content.encode())));
    }

    pub(crate) fn check(tree: &DeltaTree) -> Result<(), Mismatch> {
        for (_, content) in leaf(tree)? {
            C::check(content).map_err(|why| Mismatch::Content { what: "content", why })?;
        }
        Ok(())
    }

    /// Writes `content` under a new dot, beside what is there.
    pub(crate) fn add(&mut self, content: C, tree: &mut DeltaTree, tx: &mut Tx) {
        let dot = tx.dot();
        tree.put(dot, content.encode());
        let table = tx.table();
        let at = self.items.partition_point(|(there, _)| table.compare(*there, dot).is_lt());
        self.insert_at(dot, content, at);
    }

    /// Takes out what is there, as a removal or before writing anew.
    pub(crate) fn cover(&mut self, tree: &mut DeltaTree, tx: &mut Tx) {
        for (dot, content) in self.items.drain(..) {
            tree.take(dot, || content.encode(), tx);
        }
    }

    /// Changes the newest content of this replica that `may` be changed: in place while it is of this transaction,
    /// otherwise as a new item that covers it. `None` from `may` leaves an item alone.
    pub(crate) fn amend(
        &mut self,
        tree: &mut DeltaTree,
        tx: &mut Tx,
        may: impl Fn(&Tx, LocalDot) -> bool,
        change: impl Fn(Option<&C>) -> C,
    ) {
        let newest = self.items.iter().rposition(|(dot, _)| tx.own(*dot) && may(tx, *dot));
        match newest {
            Some(at) if tx.minted(self.items[at].0) => {
                let (dot, content) = &mut self.items[at];
                *content = change(Some(content));
                tree.put(*dot, content.encode());
            }
            Some(at) => {
                let (dot, old) = self.items.remove(at);
                tree.take(dot, || old.encode(), tx);
                self.add(change(Some(&old)), tree, tx);
            }
            None => self.add(change(None), tree, tx),
        }
    }
}

impl<C> Leaf<C> {
    /// The parts a mutator of a type that is one leaf works on.
    pub(crate) fn parts<'m, S>(
        handle: &'m mut Mut<'_, S>,
        of: impl FnOnce(&mut S) -> &mut Self,
    ) -> (&'m mut Self, &'m mut DeltaTree, &'m mut Tx)
    where
        S: super::DotStore,
    {
        (of(handle.state), handle.tree, handle.tx)
    }
}

/// The walks of a [`DotStore`](super::DotStore) whose only content is the leaf `$field`.
macro_rules! leaf_store {
    ($field:ident: $content:ty) => {
        fn retain(&mut self, keep: &mut dyn FnMut($crate::causal::LocalDot) -> bool) {
            self.$field.retain(keep);
        }

        fn dots(&self, each: &mut dyn FnMut($crate::causal::LocalDot)) {
            self.$field.dots(each);
        }

        fn carry(
            &self,
            wanted: &dyn Fn($crate::causal::LocalDot) -> bool,
            tree: &mut $crate::delta::DeltaTree,
        ) {
            self.$field.carry(wanted, tree);
        }

        fn is_empty(&self) -> bool {
            self.$field.is_empty()
        }

        fn check(tree: &$crate::delta::DeltaTree) -> Result<(), $crate::delta::Mismatch> {
            $crate::store::Leaf::<$content>::check(tree)
        }
    };
}
pub(crate) use leaf_store;
