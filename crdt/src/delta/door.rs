//! What a delta from outside must satisfy before it may touch a state.

use super::{DeltaTree, Parts};
use crate::causal::{CausalContext, LocalDot};

/// Why bytes that decode are still not a delta or state of the type asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// It is of another type.
    #[error("it is a `{found}`, not a `{wanted}`")]
    Type {
        /// The type that was asked for.
        wanted: String,
        /// The type the bytes are of.
        found: String,
    },
    /// A container where a value is expected or the other way round.
    #[error("{0}")]
    Shape(&'static str),
    /// A content or a key that is not of the type expected.
    #[error("a {what} does not decode: {why}")]
    Content {
        /// `key` or `content`.
        what: &'static str,
        /// What the decoder says.
        why: String,
    },
    /// A dot carried twice.
    #[error("one dot is carried in two places")]
    TwoPlaces,
    /// A carried dot that is not one of the delta's events.
    #[error("a carried dot lies outside the delta's events")]
    ForeignContent,
    /// A covered dot that its author cannot have seen: it would be lost where it has arrived, and nowhere else.
    #[error("a covered dot lies outside the delta's past")]
    WildCover,
    /// Runs that overlap or do not touch, or a dependency on the delta itself.
    #[error("the events are not one contiguous run a replica above the dependencies")]
    Events,
}

/// Checks what does not depend on the type: scenario 4 of the design review.
pub(crate) fn check_tree(parts: &Parts) -> Result<(), Mismatch> {
    let mut past = CausalContext::default();
    for (at, run) in parts.events.iter().enumerate() {
        if run.first == 0
            || run.last < run.first
            || parts.events[..at].iter().any(|other| other.replica == run.replica)
        {
            return Err(Mismatch::Events);
        }
        past.insert_run(run.replica, 1, run.last);
    }
    for &(row, counter) in &parts.deps {
        if parts.events.iter().any(|run| run.replica == row && run.first <= counter) {
            return Err(Mismatch::Events);
        }
        past.insert_run(row, 1, counter);
    }
    let mut dots = Vec::new();
    parts.tree.each_carried(&mut |dot| dots.push(dot));
    let events = parts.event_context();
    if !dots.iter().all(|&dot| events.contains(dot)) {
        return Err(Mismatch::ForeignContent);
    }
    let count = dots.len() as u64;
    if CausalContext::from_dots(dots).len() != count {
        return Err(Mismatch::TwoPlaces);
    }
    let mut wild = false;
    parts.tree.each_cover(&mut |cover| wild |= !cover.difference(&past).is_empty());
    if wild { Err(Mismatch::WildCover) } else { Ok(()) }
}

/// A leaf has no children.
pub(crate) fn leaf(tree: &DeltaTree) -> Result<&[(LocalDot, super::Bytes)], Mismatch> {
    if tree.children.is_empty() {
        Ok(&tree.carried)
    } else {
        Err(Mismatch::Shape("a container where a value stands"))
    }
}
