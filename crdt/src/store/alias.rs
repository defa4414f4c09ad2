//! Fields that have had another name.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use super::{DotStore, Join};
use crate::causal::LocalDot;
use crate::delta::Node;

/// Which of a field's dots stand under an older name of it. There they stay: a dot lives in one place.
///
/// May still name dots that are gone; now and then those are taken out.
#[derive(Clone, Default, Debug)]
pub struct Alias {
    dots: Arc<BTreeSet<LocalDot>>,
    /// After how many more uses, and dots, it is looked which of the dots are gone.
    patience: usize,
}

impl Alias {
    /// Notes what a delta brings under the older name of a field, and takes it in.
    pub fn take_in<S: DotStore>(&mut self, field: &mut S, node: Node<'_>, join: &mut Join<'_>) {
        let before = self.dots.len();
        note(Arc::make_mut(&mut self.dots), node, join);
        self.patience = self.patience.saturating_sub(self.dots.len() - before);
        join.below(field, node);
        self.forget_dead(field);
    }

    /// What stands under the older name, for a transaction that opens the field; `None` if nothing does.
    pub(crate) fn opened<S: DotStore>(&mut self, field: &S) -> Option<Arc<BTreeSet<LocalDot>>> {
        self.forget_dead(field);
        (!self.dots.is_empty()).then(|| Arc::clone(&self.dots))
    }

    /// Takes out what is gone, now and then. Not while a transaction is under way that may bring it back.
    fn forget_dead<S: DotStore>(&mut self, field: &S) {
        if self.patience > 0 || self.dots.is_empty() {
            self.patience = self.patience.saturating_sub(1);
            return;
        }
        let mut dots = BTreeSet::new();
        let mut all = 0;
        field.dots(&mut |dot| {
            all += 1;
            if self.dots.contains(&dot) {
                dots.insert(dot);
            }
        });
        if dots.len() < self.dots.len() {
            self.dots = Arc::new(dots);
        }
        // As many as looking costs.
        self.patience = all + self.dots.len();
    }

    /// Whether a dot of the field stands under the older name.
    #[must_use]
    pub fn has(&self, dot: LocalDot) -> bool {
        self.dots.contains(&dot)
    }

    /// As [`DotStore::retain`].
    pub fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        if !self.dots.is_empty() {
            Arc::make_mut(&mut self.dots).retain(|dot| keep(*dot));
        }
    }
}

fn note(dots: &mut BTreeSet<LocalDot>, node: Node<'_>, join: &Join<'_>) {
    dots.extend(node.carried().filter_map(|(dot, _)| join.admit(dot)));
    node.children().for_each(|(_, child)| note(dots, child, join));
}
