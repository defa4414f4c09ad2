//! What a delta from outside must satisfy before it may touch a state.

use super::{Node, Parts};
use crate::causal::{CausalContext, Dots, LocalDot};

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
    /// A carried dot that a node at or above its place covers: it would stay where the delta comes alone, and be dropped
    /// where it comes in a group.
    #[error("a dot is carried below a cover that names it")]
    CoversItself,
    /// Runs that overlap or do not touch, or a dependency on the delta itself.
    #[error("the events are not one contiguous run a replica above the dependencies")]
    Events,
}

/// Checks what does not depend on the type: scenario 4 of the design review. O(n log n) in the size of the delta.
pub(crate) fn check_tree(parts: &Parts) -> Result<(), Mismatch> {
    // By row: the first event, and how far the delta's past and its events reach.
    let mut first = vec![u64::MAX; parts.table.len()];
    let mut past = vec![0; parts.table.len()];
    for run in &parts.events {
        let row = run.replica as usize;
        if run.first == 0 || run.last < run.first || past[row] != 0 {
            return Err(Mismatch::Events);
        }
        first[row] = run.first;
        past[row] = run.last;
    }
    for &(row, counter) in &parts.deps {
        if first[row as usize] <= counter {
            return Err(Mismatch::Events);
        }
        past[row as usize] = past[row as usize].max(counter);
    }
    let mut dots = Vec::with_capacity(parts.tree.count_carried());
    parts.tree.each_carried(|dot| dots.push(dot));
    let is_event = |dot: &LocalDot| {
        let row = dot.replica() as usize;
        first[row] <= dot.counter() && dot.counter() <= past[row]
    };
    if !dots.iter().all(is_event) {
        return Err(Mismatch::ForeignContent);
    }
    let count = dots.len() as u64;
    if CausalContext::from_dots(dots).len() != count {
        return Err(Mismatch::TwoPlaces);
    }
    let covered = parts.tree.covered();
    if covered.runs().any(|(row, _, last)| last > past[row as usize]) {
        return Err(Mismatch::WildCover);
    }
    // Whether any dot is both covered and carried is soon told; whether the one lies below the other takes a walk.
    let mut both = false;
    parts.tree.each_carried(|dot| both |= covered.contains(dot));
    if both && covers_itself(parts.tree.root(), &mut Vec::new()) {
        return Err(Mismatch::CoversItself);
    }
    Ok(())
}

fn covers_itself<'t>(node: Node<'t>, above: &mut Vec<Dots<'t>>) -> bool {
    let depth = above.len();
    above.extend(Some(node.cover()).filter(|cover| !cover.is_empty()));
    let found = node.carried().any(|(dot, _)| above.iter().any(|cover| cover.contains(dot)))
        || node.children().any(|(_, child)| covers_itself(child, above));
    above.truncate(depth);
    found
}

/// A leaf has no children.
pub(crate) fn leaf<'t>(
    node: Node<'t>,
) -> Result<impl ExactSizeIterator<Item = (LocalDot, &'t [u8])>, Mismatch> {
    if node.has_children() {
        Err(Mismatch::Shape("a container where a value stands"))
    } else {
        Ok(node.carried())
    }
}

#[cfg(test)]
mod tests {
    use super::Mismatch;
    use crate::{DecodeError, Delta, EnableWinsFlag, Limits};

    /// The body of a delta of one replica and one event, of a flag: `cover` and `carried` as they are written.
    fn flag(cover: &[u8], carried: &[u8]) -> Result<Delta<EnableWinsFlag>, DecodeError> {
        let head = [&[0x91, 0xc4, 16][..], &[7; 16], &[0x90, 0x93, 0, 1, 1, 0x93]].concat();
        Delta::decode_body(&[&head, cover, carried, &[0x90]].concat(), &Limits::default())
    }

    #[test]
    fn a_delta_that_covers_what_it_carries_is_refused() {
        let carried = [0x93, 0, 1, 0xc4, 1, 0xc0];
        assert!(flag(&[0x90], &carried).is_ok());
        assert!(flag(&[0x93, 0, 1, 1], &[0x90]).is_ok());
        let refused = flag(&[0x93, 0, 1, 1], &carried).unwrap_err();
        assert_eq!(refused, DecodeError::Mismatch(Mismatch::CoversItself));
    }

    #[test]
    fn a_length_that_is_not_in_its_shortest_form_is_refused() {
        assert!(flag(&[0x90], &[0xdc, 0, 3, 0, 1, 0xc4, 1, 0xc0]).is_err());
        assert!(flag(&[0x90], &[0x93, 0, 1, 0xc5, 0, 1, 0xc0]).is_err());
    }
}
