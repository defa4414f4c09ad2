//! What is told of where a run hangs.

use alloc::format;
use alloc::string::String;

use smallvec::SmallVec;

use crate::causal::{Dot, LocalDot, MAX_COUNTER, ReplicaId, ReplicaIndex};
use crate::delta::{Bytes, Mismatch};
use crate::sequence::{Origin, START, Side};
use crate::store::Renaming;

/// The key of what hangs on nothing; that of what hangs on an element of its own replica is empty.
const AT_START: &[u8] = &[0];

/// Where a run hangs, as it is told: the key of the node that carries its head, and the head's content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Told {
    pub(super) key: Bytes,
    pub(super) content: SmallVec<[u8; 8]>,
}

impl Told {
    /// How it is told; `id` is whose elements it hangs on. Those of its own replica are told by how far they are, but up to `kept`: what
    /// comes later may be renamed, and then they are another's.
    pub(super) fn of(
        head: LocalDot,
        origin: Origin,
        kept: u64,
        id: impl FnOnce(ReplicaIndex) -> ReplicaId,
    ) -> Self {
        let mut told = Self { key: Bytes::new(), content: SmallVec::new() };
        let Origin { parent, side } = origin;
        if parent == START {
            told.key.extend_from_slice(AT_START);
            return told;
        }
        let is_own = parent.replica() == head.replica() && parent < head && parent.counter() > kept;
        let counter = if is_own {
            head.counter() - parent.counter()
        } else {
            told.key.extend_from_slice(id(parent.replica()).as_bytes());
            parent.counter()
        };
        told.content = written(counter << 1 | u64::from(side == Side::Right));
        told
    }

    /// What was told of a head; `row` finds the row of a replica. What has passed `check` says something.
    pub(super) fn origin(
        key: &[u8],
        content: &[u8],
        head: LocalDot,
        row: impl FnOnce(ReplicaId) -> ReplicaIndex,
    ) -> Origin {
        let at_start = Origin { parent: START, side: Side::Right };
        let Some(number) = read(content) else { return at_start };
        let side = if number & 1 == 1 { Side::Right } else { Side::Left };
        let counter = number >> 1;
        match key.try_into().map(ReplicaId::from_bytes) {
            Ok(id) => Origin { parent: LocalDot::new(row(id), counter), side },
            // Nobody honest writes that.
            Err(_) if counter >= head.counter() => at_start,
            Err(_) => Origin { parent: LocalDot::new(head.replica(), head.counter() - counter), side },
        }
    }

    /// Whether a head that stands under such a key, and has this origin by what it says, is told as [`of`](Self::of) tells it, nothing kept:
    /// content has one form, so it is about whose elements are told by how far they are.
    pub(super) fn is_usual(key: &[u8], head: LocalDot, origin: Origin) -> bool {
        let Origin { parent, .. } = origin;
        match key.len() {
            16 => parent.replica() != head.replica() || parent >= head,
            _ => (parent == START) == (key == AT_START),
        }
    }

    /// Whose element a run hangs on, and which, if that is told by its id.
    pub(super) fn parent(key: &[u8], content: &[u8]) -> Option<(ReplicaId, u64)> {
        Some((ReplicaId::from_bytes(key.try_into().ok()?), read(content)? >> 1))
    }

    /// # Errors
    /// When this says nothing of a head.
    pub(super) fn check(key: &[u8], content: &[u8]) -> Result<(), Mismatch> {
        if key == AT_START {
            let why = || String::from("nothing should stand here");
            return if content.is_empty() { Ok(()) } else { Err(in_content(why())) };
        }
        match read(content) {
            Some(number) if (1..=MAX_COUNTER).contains(&(number >> 1)) => Ok(()),
            _ => Err(in_content("it is no counter with a side, in as few bytes as it takes".into())),
        }
    }

    /// # Errors
    /// When heads do not stand under such a key.
    pub(super) fn check_key(key: &[u8]) -> Result<(), Mismatch> {
        if key.is_empty() || key == AT_START || key.len() == 16 {
            return Ok(());
        }
        let why = String::from("runs stand under a replica's id, one zero byte, or nothing");
        Err(Mismatch::Content { what: "key", why })
    }
}

/// What stands under the id of the replica on whose element a run hangs, where that element has another name, under the id of which it is to
/// stand; `None` if it has the name it has.
pub(crate) fn renamed(content: &[u8], renaming: &Renaming) -> Option<Bytes> {
    let number = read(content)?;
    let parent = Dot { replica: renaming.of, counter: number >> 1 };
    let other = renaming.dot(parent)?;
    Some(Bytes::from_slice(&written(other.counter << 1 | number & 1)))
}

/// What a head says, readable.
pub(crate) fn readable_head(content: &[u8]) -> Option<String> {
    let number = read(content)?;
    Some(format!("{} {}", if number & 1 == 1 { "behind" } else { "before" }, number >> 1))
}

fn in_content(why: String) -> Mismatch {
    Mismatch::Content { what: "content", why }
}

/// A number in groups of seven bits, the lowest first, all but the last with the high bit.
fn written(mut number: u64) -> SmallVec<[u8; 8]> {
    let mut groups = SmallVec::new();
    while number >= 0x80 {
        groups.push(number as u8 | 0x80);
        number >>= 7;
    }
    groups.push(number as u8);
    groups
}

/// The same, read; `None` if it is none in its shortest form.
fn read(bytes: &[u8]) -> Option<u64> {
    let (last, groups) = bytes.split_last()?;
    let is_short = bytes.len() <= 6 && *last < 0x80 && (*last > 0 || groups.is_empty());
    if !is_short || groups.iter().any(|group| *group < 0x80) {
        return None;
    }
    Some(bytes.iter().rev().fold(0, |number, group| number << 7 | u64::from(group & 0x7f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_head_is_read_back_and_has_one_form() {
        let head = LocalDot::new(3, 1 << 20);
        let id = |row: ReplicaIndex| ReplicaId::from_bytes([row as u8 + 1; 16]);
        let row = |id: ReplicaId| ReplicaIndex::from(id.as_bytes()[0]) - 1;
        let parents =
            [START, LocalDot::new(3, 1), LocalDot::new(3, (1 << 20) - 1), LocalDot::new(0, MAX_COUNTER)];
        for parent in parents {
            for side in [Side::Left, Side::Right] {
                let origin = Origin { parent, side: if parent == START { Side::Right } else { side } };
                let told = Told::of(head, origin, 0, id);
                assert_eq!(
                    (Told::check_key(&told.key), Told::check(&told.key, &told.content)),
                    (Ok(()), Ok(()))
                );
                assert_eq!(Told::origin(&told.key, &told.content, head, row), origin);
                assert!(Told::is_usual(&told.key, head, origin));
                // Those of one's own as those of others.
                let kept = Told::of(head, origin, MAX_COUNTER, id);
                assert_eq!(Told::is_usual(&kept.key, head, origin), kept == told);
                assert_eq!(Told::origin(&kept.key, &kept.content, head, row), origin);
            }
        }
        assert!(Told::check_key(&[1]).is_err() && Told::check(&[], &[]).is_err());
        assert!(Told::check(&[], &[0x82, 0]).is_err() && Told::check(&[], &[1]).is_err());
        assert!(Told::check(&[], &[0xff; 6]).is_err() && Told::check(&[0], &[2]).is_err());
    }
}
