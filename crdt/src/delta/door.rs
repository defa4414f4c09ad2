//! What a delta from outside must satisfy before it may touch a state.

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::Hasher as _;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use smallvec::SmallVec;

use super::{Contents, DeltaTree, Flat, Node, Parts};
use crate::causal::{Dots, LocalDot};

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
    /// Two nodes of one key below the same.
    #[error("one key occurs twice")]
    KeyTwice,
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
    if is_one_that_fits(parts) {
        return Ok(());
    }
    // By row: the first event, and how far the delta's past and its events reach.
    let mut first: SmallVec<[u64; 4]> = SmallVec::from_elem(u64::MAX, parts.table.len());
    let mut past: SmallVec<[u64; 4]> = SmallVec::from_elem(0, parts.table.len());
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
    let runs = || parts.tree.carried_runs();
    let is_event = |(begin, end): (u64, u64)| {
        let (begin, end) = (LocalDot::from_bits(begin), LocalDot::from_bits(end));
        let row = begin.replica() as usize;
        first[row] <= begin.counter() && end.counter() <= past[row]
    };
    if !runs().all(is_event) {
        return Err(Mismatch::ForeignContent);
    }
    // In a state they ascend already, as a rule, and what ascends strictly is no two times there.
    if !runs().is_sorted_by(|(_, last), (first, _)| last < first) && overlap(runs()) {
        return Err(Mismatch::TwoPlaces);
    }
    if parts.tree.cover_runs().any(|(row, _, last)| last > past[row as usize]) {
        return Err(Mismatch::WildCover);
    }
    if repeats_a_key(&parts.tree) {
        return Err(Mismatch::KeyTwice);
    }
    // Whether any dot is both covered and carried is soon told; whether the one lies below the other takes a walk.
    let covers = parts.tree.cover_runs().next().is_some();
    let both = || {
        let (carried, covered) = (parts.tree.carried(), parts.tree.covered());
        carried.difference(&covered) != carried
    };
    if covers && both() && covers_itself(parts.tree.root(), &mut Vec::new()) {
        return Err(Mismatch::CoversItself);
    }
    Ok(())
}

/// Whether it is one event of the only replica it names that says something of one place alone, and nothing is wrong with it: a key pressed.
fn is_one_that_fits(parts: &Parts) -> bool {
    let (&[run], [], 1) = (&parts.events[..], &parts.deps[..], parts.table.len()) else { return false };
    let Some(said) = parts.tree.path() else { return false };
    let event = LocalDot::new(run.replica, run.first);
    run.first > 0
        && run.first == run.last
        && said.carried.is_none_or(|(dot, _)| dot == event)
        // It is covered and carried, or lies in nobody's past.
        && said.cover.is_none_or(|(_, last)| last < event.bits())
}

/// Whether a dot is in two of these runs.
fn overlap(runs: impl Iterator<Item = (u64, u64)>) -> bool {
    let mut runs: SmallVec<[(u64, u64); 4]> = runs.collect();
    // As a rule those of a node ascend: this sort puts such parts together.
    runs.sort_by_key(|(first, _)| *first);
    runs.windows(2).any(|pair| pair[1].0 <= pair[0].1)
}

/// Whether a key occurs twice below one node.
pub(crate) fn repeats_a_key(tree: &DeltaTree) -> bool {
    let (tree, mut hashes) = (tree.flat(), Vec::new());
    (0..tree.nodes() as u32).any(|node| tree.has_children(node) && repeats_below(tree, node, &mut hashes))
}

/// `hashes` is room to work in: one list for all nodes.
fn repeats_below(tree: Flat<'_>, node: u32, hashes: &mut Vec<u64>) -> bool {
    // Hashes tell nearly all keys apart. Who makes them collide makes us look at the keys.
    hashes.clear();
    hashes.extend(tree.children(node).map(|child| hash(tree.key(child))));
    hashes.sort_unstable();
    if !hashes.windows(2).any(|pair| pair[0] == pair[1]) {
        return false;
    }
    let mut keys: Vec<&[u8]> = tree.children(node).map(|child| tree.key(child)).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = FoldHasher::with_seed(0, SharedSeed::global_fixed());
    hasher.write(key);
    hasher.finish()
}

fn covers_itself<'t>(node: Node<'t>, above: &mut Vec<Dots<'t>>) -> bool {
    let depth = above.len();
    above.extend(Some(node.cover()).filter(|cover| !cover.is_empty()));
    let found = node.spans().any(|span| above.iter().any(|cover| cover.overlaps(span.interval())))
        || node.children().any(|(_, child)| covers_itself(child, above));
    above.truncate(depth);
    found
}

/// A leaf has no children.
pub(crate) fn leaf<'t>(node: Node<'t>) -> Result<Contents<'t>, Mismatch> {
    if node.has_children() {
        Err(Mismatch::Shape("a container where a value stands"))
    } else {
        Ok(node.carried())
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use super::{Mismatch, Parts, check_tree, overlap};
    use crate::causal::ReplicaTable;
    use crate::delta::Run;
    use crate::{DecodeError, Delta, EnableWinsFlag, Limits, ReplicaId};

    /// The body of a delta of one replica and one event, of a flag: what follows on the events in the columns.
    fn flag(tree: &[u8]) -> Result<Delta<EnableWinsFlag>, DecodeError> {
        let columns = [&[0, 1, 0, 1, 0][..], tree].concat();
        let head = [&[0x92, 0x91, 0xc4, 16][..], &[7; 16], &[0xc4, columns.len() as u8]].concat();
        Delta::decode_body(&[&head[..], &columns].concat(), &Limits::default())
    }

    /// As `flag`, with what is there told in its shortest form.
    fn short(head: u8, tree: &[u8]) -> Result<Delta<EnableWinsFlag>, DecodeError> {
        let columns = [&[head, 1][..], tree].concat();
        let head = [&[0x92, 0x91, 0xc4, 16][..], &[7; 16], &[0xc4, columns.len() as u8]].concat();
        Delta::decode_body(&[&head[..], &columns].concat(), &Limits::default())
    }

    #[test]
    fn events_are_counted_from_one_on() {
        let mut table = ReplicaTable::default();
        table.intern(ReplicaId::from_bytes([7; 16]));
        let table = Arc::new(table);
        let checked = |first, last| {
            let mut parts = Parts::empty(Arc::clone(&table));
            parts.events.push(Run { replica: 0, first, last });
            check_tree(&parts)
        };
        assert_eq!(checked(1, 1), Ok(()));
        assert_eq!((checked(0, 1), checked(3, 2)), (Err(Mismatch::Events), Err(Mismatch::Events)));
    }

    #[test]
    fn runs_that_share_a_dot_are_found_in_whatever_order_they_stand() {
        let found = |runs: &[(u64, u64)]| overlap(runs.iter().copied());
        assert!(!found(&[]) && !found(&[(4, 6), (1, 3), (7, 7)]));
        // The same twice, at an end, and one within another that more stand in.
        assert!(found(&[(8, 8), (1, 2), (8, 8)]) && found(&[(3, 5), (1, 3)]));
        assert!(found(&[(1, 9), (7, 7), (4, 5)]));
    }

    #[test]
    fn a_delta_that_covers_what_it_carries_is_refused() {
        // One event, told by head 1; what is carried is what is brought, told by head 4.
        assert!(short(5, &[0]).is_ok());
        // A cover of dot 1, which is one more than expected.
        assert!(short(1, &[11, 1, 4, 0]).is_ok());
        let refused = short(5, &[1, 4, 0]).unwrap_err();
        assert_eq!(refused, DecodeError::Mismatch(Mismatch::CoversItself));
    }

    #[test]
    fn what_could_be_told_in_a_shorter_form_is_refused() {
        // One event as a run; a dot that is told, though it is that of the event.
        assert!(flag(&[0]).is_err());
        assert!(short(1, &[0, 0, 0]).is_err());
        // A number with a group of zeros; an item in the form for any node; a key of no node.
        assert!(short(5, &[0x80, 0]).is_err());
        assert!(short(5, &[7, 1, 0]).is_err());
        assert!(short(5, &[0, 0]).is_err());
        // Contents by planes and by heads, where there are none.
        assert!(matches!(short(0x25, &[0]).unwrap_err(), DecodeError::Malformed { .. }));
        assert!(matches!(short(0x45, &[0]).unwrap_err(), DecodeError::Malformed { .. }));
        assert_eq!(short(0x85, &[0]).unwrap_err(), DecodeError::Feature { bits: 0x80 });
    }
}
