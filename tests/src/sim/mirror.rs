//! What applications show that are told what becomes different, and never look again: it must be what there is.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::{Plain, Version};
use tombolo_sync::DocId;
use tombolo_sync::engine::{Origin, Step};

use super::kind::Kind;
use super::outcome::Branch;
use super::world::World;

/// Every so many calls of an engine everything is compared that is shown there, and not only what is said to have changed.
const COMPARE_ALL_EVERY: u64 = 64;

/// What is shown at a node.
#[derive(Debug, Default)]
pub(super) struct Mirrors {
    shown: BTreeMap<DocId, Mirror>,
    changed: BTreeSet<DocId>,
    calls: u64,
}

#[derive(Debug)]
struct Mirror {
    kind: Kind,
    plain: Plain,
    version: Version,
}

impl World {
    /// Has some of the documents shown at a node from here on, and not others, which may leave its memory.
    pub(super) fn perhaps_show(&mut self, node: usize, kind: Kind, doc: DocId) {
        if !(usize::from(doc.as_bytes()[0]) + node).is_multiple_of(3) {
            self.show(node, kind, doc);
        }
    }

    /// Has a document shown at a node that has it open, from here on until it crashes.
    pub fn show(&mut self, node: usize, kind: Kind, doc: DocId) {
        if self.watched[node].mirrors.shown.contains_key(&doc) {
            return;
        }
        let taken = self.call(node, |engine, _| {
            let is_there = kind.watch(engine, doc);
            let version = engine.document_status(doc).map(|status| status.version);
            (is_there, kind.plain(engine, doc), version.unwrap_or_default())
        });
        if let Some((true, plain, version)) = taken {
            self.watched[node].mirrors.shown.insert(doc, Mirror { kind, plain, version });
        }
    }

    /// A document is shown at a node no more.
    pub fn hide(&mut self, node: usize, doc: DocId) {
        if self.watched[node].mirrors.shown.remove(&doc).is_some() {
            self.call(node, |engine, _| engine.unwatch(doc));
        }
    }

    pub(super) fn stepped(&mut self, node: usize, doc: DocId, step: &Step) {
        let mirrors = &mut self.watched[node].mirrors;
        mirrors.changed.insert(doc);
        let Some(mirror) = mirrors.shown.get_mut(&doc) else {
            return self
                .violated(format!("n{node} tells what became different in {doc:?}, and nobody asked"));
        };
        mirror.version.clone_from(&step.version);
        let branch = match step.origin {
            Origin::Undone => Some(Branch::ShownUndone),
            Origin::Renamed => Some(Branch::ShownRenamed),
            _ if step.version.is_empty() => Some(Branch::ShownDeleted),
            _ => None,
        };
        branch.into_iter().for_each(|branch| self.stats.count(branch));
        let Some(mirror) = self.watched[node].mirrors.shown.get_mut(&doc) else { return };
        if let Err(change) = step.apply_to(&mut mirror.plain) {
            let shown = format!("{:?}", mirror.plain);
            self.violated(format!("{change:?} of {step:?} does not fit {shown}, {doc:?} at n{node}"));
        }
    }

    /// A document that was shown is gone.
    pub(super) fn not_shown(&mut self, node: usize, doc: DocId) {
        self.check_mirror(node, doc);
        self.watched[node].mirrors.shown.remove(&doc);
    }

    /// What is shown is what there is.
    pub(super) fn check_mirrors(&mut self, node: usize) {
        let mirrors = &mut self.watched[node].mirrors;
        mirrors.calls += 1;
        let mut changed = std::mem::take(&mut mirrors.changed);
        if mirrors.calls.is_multiple_of(COMPARE_ALL_EVERY) {
            changed.extend(mirrors.shown.keys());
        }
        for doc in changed {
            self.check_mirror(node, doc);
        }
    }

    /// The same, of everything that is shown there.
    pub(super) fn check_all_mirrors(&mut self, node: usize) {
        let all: Vec<DocId> = self.watched[node].mirrors.shown.keys().copied().collect();
        all.into_iter().for_each(|doc| self.check_mirror(node, doc));
    }

    fn check_mirror(&mut self, node: usize, doc: DocId) {
        let Some(mirror) = self.watched[node].mirrors.shown.get(&doc) else { return };
        let Some(engine) = &self.nodes[node].engine else { return };
        let plain = mirror.kind.plain(engine, doc);
        let version = engine.document_status(doc).map(|status| status.version).unwrap_or_default();
        if plain != mirror.plain || version != mirror.version {
            let (shown, told) = (format!("{:?}", mirror.plain), format!("{:?}", mirror.version));
            self.violated(format!(
                "{doc:?} at n{node} shows {shown} at {told}, and is {plain:?} at {version:?}"
            ));
        }
    }
}
