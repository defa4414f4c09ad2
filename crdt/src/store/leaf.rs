//! The leaf of every type: dots with content, and nothing below.
//!
//! Flags hold `()`, counters amounts, registers values. Costs 8 bytes a dot beside the content; one item needs no
//! allocation.

use smallvec::SmallVec;

use super::{Amount, Content, Join, Mut};
use crate::causal::{Dots, LocalDot, ReplicaTable, Tx};
use crate::delta::{Mismatch, Node, PlaceId, TreeWriter, leaf};

/// So many items are looked through one by one.
const FEW: usize = 8;

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

    /// As `iter`, with the dots.
    pub(crate) fn iter_dots(&self) -> impl Iterator<Item = (LocalDot, &C)> {
        self.items.iter().map(|(dot, content)| (*dot, content))
    }

    pub(crate) fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.items.iter().for_each(|(dot, _)| each(*dot));
    }

    /// Where in the order a dot stands or would stand.
    #[inline]
    fn position(&self, dot: LocalDot, table: &ReplicaTable) -> usize {
        if self.items.is_empty() { 0 } else { self.position_among(dot, table) }
    }

    #[inline(never)]
    fn position_among(&self, dot: LocalDot, table: &ReplicaTable) -> usize {
        let id = table.id(dot.replica());
        self.items.partition_point(|(there, _)| {
            if there.replica() == dot.replica() {
                *there < dot
            } else {
                table.is_before(there.replica(), &id)
            }
        })
    }

    pub(crate) fn drop_covered(&mut self, cover: Dots<'_>, join: &Join<'_>) {
        // Either way the same goes; this is about what it costs.
        let few = self.items.len() <= FEW || cover.intervals().len() > FEW;
        for (there, first, last) in join.runs_here(cover) {
            // A run of few dots is found by its place, so that it costs the same however many replicas there are.
            let from = if few { 0 } else { self.position(first, join.table()) };
            let found = &self.items[from..];
            let is_long = found.get(FEW).is_some_and(|(dot, _)| (first..=last).contains(dot));
            if few || is_long {
                return self.items.retain(|(dot, _)| join.stands(cover, *dot));
            }
            let mut at = from;
            while let Some((dot, _)) = self.items.get(at).filter(|(dot, _)| (first..=last).contains(dot)) {
                if join.carries(LocalDot::new(there, dot.counter())) {
                    at += 1;
                } else {
                    self.items.remove(at);
                }
            }
        }
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
        node: Node<'_>,
        join: &mut Join<'_>,
        mut seen: impl FnMut(LocalDot, &C, &mut Join<'_>),
    ) {
        // Many are sorted once: to make room for each would take time with their square.
        let many = node.carried().exceeds(FEW);
        for (dot, bytes) in node.carried() {
            if let Some(dot) = join.admit(dot) {
                let Some(content) = join.content::<C>(bytes) else { return };
                join.took(1);
                seen(dot, &content, join);
                if many {
                    self.items.push((dot, content));
                } else {
                    let at = self.position(dot, join.table());
                    self.insert_at(dot, content, at);
                }
            }
        }
        if many {
            self.items.sort_by(|(a, _), (b, _)| join.compare(*a, *b));
            self.items.dedup_by_key(|(dot, _)| *dot);
        }
    }

    pub(crate) fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        for (dot, content) in self.items.iter().filter(|(dot, _)| wanted(*dot)) {
            writer.carry_with(*dot, |out| content.write(out));
        }
    }

    pub(crate) fn check(node: Node<'_>) -> Result<(), Mismatch> {
        for (_, content) in leaf(node)? {
            C::check(content).map_err(|why| Mismatch::Content { what: "content", why })?;
        }
        Ok(())
    }

    /// Writes `content` under a new dot, beside what is there.
    pub(crate) fn add(&mut self, content: C, place: PlaceId, tx: &mut Tx) {
        let dot = tx.dot();
        content.put(&mut tx.draft, place, dot);
        let at = self.position(dot, tx.table());
        self.insert_at(dot, content, at);
    }

    /// Takes out what is there, as a removal or before writing anew.
    pub(crate) fn cover(&mut self, place: PlaceId, tx: &mut Tx) {
        for (dot, content) in self.items.drain(..) {
            tx.take(place, dot, &content);
        }
    }

    /// Takes out what is there and `is_meant`.
    pub(crate) fn cover_some(&mut self, place: PlaceId, tx: &mut Tx, is_meant: impl Fn(&C) -> bool) {
        self.items.retain(|(dot, content)| {
            let is_meant = is_meant(content);
            if is_meant {
                tx.take(place, *dot, content);
            }
            !is_meant
        });
    }
}

impl<C: Amount> Leaf<C> {
    /// Adds to what this replica wrote: to its newest piece, in place while that is of this transaction, otherwise as a new one
    /// that covers those before it. It stands beside them where they must be `left`, and where one piece cannot hold it all:
    /// pieces are exact. Says whether dots came or went.
    #[inline]
    pub(crate) fn amend(&mut self, more: &C, place: PlaceId, tx: &mut Tx, left: bool) -> bool {
        if let Some((dot, content)) = self.items.last_mut()
            && tx.minted(*dot)
            && let Some(all) = content.plus(more)
        {
            *content = all;
            content.put(&mut tx.draft, place, *dot);
            return false;
        }
        self.amend_any(more, place, tx, left);
        true
    }

    /// As `amend`, wherever the piece stands.
    #[inline(never)]
    fn amend_any(&mut self, more: &C, place: PlaceId, tx: &mut Tx, left: bool) {
        // Where our own end.
        let end = match self.items.last() {
            Some((dot, _)) if tx.own(*dot) => self.items.len(),
            _ => self.items.partition_point(|(dot, _)| !tx.comes_before(*dot)),
        };
        let (mut all, mut new) = (None, end);
        for (dot, content) in self.items[..end].iter_mut().rev() {
            let is_minted = tx.minted(*dot);
            if !is_minted && (left || !tx.may_amend(*dot)) {
                break;
            }
            let Some(sum) = content.plus(all.as_ref().unwrap_or(more)) else { break };
            if is_minted {
                *content = sum;
                return content.put(&mut tx.draft, place, *dot);
            }
            (all, new) = (Some(sum), new - 1);
        }
        let (dot, content) = (tx.dot(), all.unwrap_or_else(|| more.clone()));
        for (dot, content) in &self.items[new..end] {
            tx.take(place, *dot, content);
        }
        content.put(&mut tx.draft, place, dot);
        if new < end {
            self.items[new] = (dot, content);
            if new + 1 < end {
                self.items.drain(new + 1..end);
            }
        } else {
            self.items.insert(end, (dot, content));
        }
    }
}

impl<C> Leaf<C> {
    /// The parts a mutator of a type that is one leaf works on.
    pub(crate) fn parts<'m, S>(
        handle: &'m mut Mut<'_, S>,
        of: impl FnOnce(&mut S) -> &mut Self,
    ) -> (&'m mut Self, PlaceId, &'m mut Tx)
    where
        S: super::DotStore,
    {
        (of(handle.state), handle.place, handle.tx)
    }
}

/// The walks of a [`DotStore`](super::DotStore) whose only content is the leaf `$field`.
macro_rules! leaf_store {
    ($field:ident: $content:ty) => {
        fn retain(&mut self, keep: &mut dyn FnMut($crate::causal::LocalDot) -> bool) {
            self.$field.retain(keep);
        }

        fn drop_covered(&mut self, cover: $crate::causal::Dots<'_>, join: &$crate::store::Join<'_>) {
            self.$field.drop_covered(cover, join);
        }

        fn dots(&self, each: &mut dyn FnMut($crate::causal::LocalDot)) {
            self.$field.dots(each);
        }

        fn carry(
            &self,
            wanted: &dyn Fn($crate::causal::LocalDot) -> bool,
            writer: &mut $crate::delta::TreeWriter<'_>,
        ) {
            self.$field.carry(wanted, writer);
        }

        fn is_bottom(&self) -> bool {
            self.$field.is_empty()
        }

        fn check(node: $crate::delta::Node<'_>) -> Result<(), $crate::delta::Mismatch> {
            $crate::store::Leaf::<$content>::check(node)
        }
    };
}
pub(crate) use leaf_store;
