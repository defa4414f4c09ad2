//! Fields that have had another name.

use std::collections::BTreeSet;

use super::Join;
use crate::causal::LocalDot;
use crate::delta::Node;

/// Which of a field's dots stand under an older name of it. There they stay: a dot lives in one place.
#[derive(Clone, Default, Debug)]
pub struct Alias(BTreeSet<LocalDot>);

impl Alias {
    /// Notes what a delta brings under the older name. Before it is taken in.
    pub fn note(&mut self, node: Node<'_>, join: &Join<'_>) {
        self.0.extend(node.carried().filter_map(|(dot, _)| join.admit(dot)));
        node.children().for_each(|(_, child)| self.note(child, join));
    }

    /// Whether a dot of the field stands under the older name.
    #[must_use]
    pub fn has(&self, dot: LocalDot) -> bool {
        self.0.contains(&dot)
    }

    /// As [`DotStore::retain`](super::DotStore::retain).
    pub fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        self.0.retain(|dot| keep(*dot));
    }
}
