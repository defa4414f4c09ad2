//! A delta's tree as it is while several are joined: nodes that own what lies below them.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Bytes, DeltaTree, Node, Spans, TreeWriter, drop_dots, join_spans, retain_spans, translate};
use crate::causal::{CausalContext, LocalDot, ReplicaIndex};

#[derive(Default)]
pub(crate) struct Branch {
    pub(crate) cover: CausalContext,
    pub(crate) carried: Spans,
    pub(crate) children: Vec<(Bytes, Branch)>,
}

impl Branch {
    pub(crate) fn from_node(node: Node<'_>) -> Self {
        Self {
            cover: CausalContext::from_intervals(node.cover().intervals().iter().copied()),
            carried: node.spans().map(|span| span.to_owned()).collect(),
            children: node
                .children()
                .map(|(key, child)| (Bytes::from_slice(key), Self::from_node(child)))
                .collect(),
        }
    }

    pub(crate) fn into_tree(self) -> DeltaTree {
        DeltaTree::written(|writer| self.write(writer))
    }

    fn write(&self, writer: &mut TreeWriter<'_>) {
        writer.cover(self.cover.as_dots());
        self.carried.iter().for_each(|span| writer.carry_span(span));
        for (key, child) in &self.children {
            let open = writer.open(key);
            child.write(writer);
            writer.close(&open);
        }
    }

    /// Such a node is not written either.
    fn is_empty(&self) -> bool {
        self.cover.is_empty()
            && self.carried.is_empty()
            && self.children.iter().all(|(_, child)| child.is_empty())
    }

    /// Puts everything of `later` behind what this node has; `join_equal_keys` then joins what occurs twice.
    pub(crate) fn absorb(&mut self, later: Self) {
        self.cover.union(&later.cover);
        self.carried.extend(later.carried);
        self.children.extend(later.children);
    }

    /// Sorts children by key and joins those of equal keys, here and below; of two contents of one dot the later stands.
    pub(crate) fn join_equal_keys(&mut self) {
        join_spans(&mut self.carried, |a, b| a.cmp(&b));
        if self.children.len() > 1 {
            self.children.sort_by(|(a, _), (b, _)| a.cmp(b));
            self.children.dedup_by(|(key, later), (kept, earlier)| {
                let same = key == kept;
                if same {
                    earlier.absorb(core::mem::take(later));
                }
                same
            });
        }
        self.children.iter_mut().for_each(|(_, child)| child.join_equal_keys());
    }

    pub(crate) fn collect_covers<'t>(&'t self, covers: &mut Vec<&'t CausalContext>) {
        if !self.cover.is_empty() {
            covers.push(&self.cover);
        }
        self.children.iter().for_each(|(_, child)| child.collect_covers(covers));
    }

    /// Drops carried dots that are `dead` or covered by a node above or around them, and nodes that say nothing.
    pub(crate) fn drop_dead(&mut self, dead: &CausalContext) {
        self.drop_dead_below(dead, &mut Vec::new());
    }

    fn drop_dead_below(&mut self, dead: &CausalContext, above: &mut Vec<CausalContext>) {
        let covers = !self.cover.is_empty();
        if covers {
            above.push(core::mem::take(&mut self.cover));
        }
        let all = || core::iter::once(dead).chain(&*above).map(CausalContext::as_dots);
        if self.carried.iter().any(|span| all().any(|dots| dots.overlaps(span.interval()))) {
            all().for_each(|dots| drop_dots(&mut self.carried, dots));
        }
        self.children.retain_mut(|(_, child)| {
            child.drop_dead_below(dead, above);
            !child.is_empty()
        });
        if covers {
            self.cover = above.pop().expect("pushed above");
        }
    }

    /// Takes out what is carried under `dots`, here and below.
    pub(crate) fn split_off(&mut self, dots: &BTreeSet<LocalDot>) -> Self {
        let mut taken = self.carried.clone();
        retain_spans(&mut taken, |dot| dots.contains(&dot));
        retain_spans(&mut self.carried, |dot| !dots.contains(&dot));
        let below = self.children.iter_mut().map(|(key, child)| (key.clone(), child.split_off(dots)));
        let children = below.filter(|(_, child)| !child.is_empty()).collect();
        Self { carried: taken, children, ..Self::default() }
    }

    /// Drops carried dots for which `dead` holds, and nodes left empty.
    pub(crate) fn drop_carried(&mut self, dead: &mut dyn FnMut(LocalDot) -> bool) {
        retain_spans(&mut self.carried, |dot| !dead(dot));
        self.children.retain_mut(|(_, child)| {
            child.drop_carried(dead);
            !child.is_empty()
        });
    }

    pub(crate) fn translate(&mut self, rows: &[ReplicaIndex]) {
        self.cover = self.cover.translated(rows);
        self.carried.iter_mut().for_each(|span| span.first = translate(span.first, rows));
        self.children.iter_mut().for_each(|(_, child)| child.translate(rows));
    }
}
