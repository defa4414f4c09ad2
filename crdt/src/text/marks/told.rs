//! What is told of a mark.
//!
//! One byte says in which form the rest is told. Then follow the mark's order, where it begins, where it ends, and what it says, in MessagePack. A letter of
//! the mark's own author is told by how long before the mark it was written, another by its replica's id and its counter.

use alloc::format;
use alloc::string::String;

use crate::Scalar;
use crate::causal::{Dot, LocalDot, MAX_COUNTER, ReplicaId, ReplicaIndex};
use crate::delta::{Bytes, Mismatch};
use crate::store::{Renaming, decode_value, write_value};

/// The highest order there can be.
pub(super) const MAX_ORDER: u64 = MAX_COUNTER;

/// Where a mark begins or ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Anchor {
    /// As the sequence calls it; `None`: the start of the text where a mark begins, its end where one ends.
    pub(super) letter: Option<LocalDot>,
    /// Behind the letter, not before it.
    pub(super) is_behind: bool,
}

impl Anchor {
    pub(super) const BORDER: Self = Self { letter: None, is_behind: false };
}

/// How an anchor is told: two bits, beside one that says whether it is behind its letter.
const BORDER: u8 = 0;
const OWN: u8 = 1;
const NAMED: u8 = 2;
/// By a counter of the replica that the start is told by.
const SAME: u8 = 3;

/// Whose letter it is that an anchor names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Nobody,
    Author,
    Other(ReplicaId),
}

/// An anchor as it is told; the number is a distance or a counter.
type ToldAnchor = (Of, u64, bool);

/// A mark as it is told.
pub(super) struct Told<'t> {
    pub(super) order: u64,
    start: ToldAnchor,
    end: ToldAnchor,
    value: &'t [u8],
}

impl<'t> Told<'t> {
    /// # Errors
    /// When this says nothing of a mark, or not in the one form.
    pub(super) fn read(content: &'t [u8]) -> Result<Self, Mismatch> {
        let form = || Mismatch::Content {
            what: "content",
            why: String::from("it is no mark in as few bytes as it takes"),
        };
        let (told, value) = Self::split(content).ok_or_else(form)?;
        decode_value::<Scalar>(value).map_err(|why| Mismatch::Content { what: "content", why })?;
        Ok(told)
    }

    fn split(content: &'t [u8]) -> Option<(Self, &'t [u8])> {
        let (&forms, mut rest) = content.split_first()?;
        let order = take_number(&mut rest)?;
        let start = take_anchor(forms & 7, None, &mut rest)?;
        let end = take_anchor(forms >> 3, Some(start.0), &mut rest)?;
        let told = Self { order, start, end, value: rest };
        (forms < 0x40 && (1..=MAX_ORDER).contains(&order)).then_some((told, rest))
    }

    /// Where it begins and ends; it is told under the dot `mark`, as the sequence calls it. `row` finds the row of a replica.
    pub(super) fn anchors(
        &self,
        mark: LocalDot,
        mut row: impl FnMut(ReplicaId) -> ReplicaIndex,
    ) -> (Anchor, Anchor) {
        let mut anchor = |(of, number, is_behind): ToldAnchor| {
            let letter = match of {
                Of::Nobody => None,
                // Nobody honest names what was not written before it.
                Of::Author => Some(LocalDot::new(mark.replica(), mark.counter().saturating_sub(number))),
                Of::Other(id) => Some(LocalDot::new(row(id), number)),
            };
            Anchor { letter, is_behind }
        };
        (anchor(self.start), anchor(self.end))
    }

    /// What it says.
    pub(super) fn value(&self) -> Scalar {
        decode_value(self.value).unwrap_or_default()
    }
}

/// How a mark is told under the dot `mark`; `id` is whose letters it names. Those of its own replica up to `kept` are told as another's: what comes later
/// may be renamed.
pub(super) fn tell(
    mark: LocalDot,
    order: u64,
    (start, end): (Anchor, Anchor),
    value: &Scalar,
    kept: u64,
    id: impl Fn(ReplicaIndex) -> ReplicaId,
) -> Bytes {
    let of = |Anchor { letter, is_behind }: Anchor| match letter {
        None => (Of::Nobody, 0, is_behind),
        Some(letter) if letter.replica() == mark.replica() && letter < mark && letter.counter() > kept => {
            (Of::Author, mark.counter() - letter.counter(), is_behind)
        }
        Some(letter) => (Of::Other(id(letter.replica())), letter.counter(), is_behind),
    };
    let mut told = begun(order, of(start), of(end));
    write_value(value, &mut told);
    told
}

/// All but what the mark says.
fn begun(order: u64, start: ToldAnchor, end: ToldAnchor) -> Bytes {
    let form = |(of, _, is_behind): ToldAnchor, before: Option<Of>| {
        let form = match of {
            Of::Nobody => BORDER,
            Of::Author => OWN,
            Of::Other(_) if before == Some(of) => SAME,
            Of::Other(_) => NAMED,
        };
        form | u8::from(is_behind) << 2
    };
    let forms = [form(start, None), form(end, Some(start.0))];
    let mut told = Bytes::new();
    told.push(forms[0] | forms[1] << 3);
    push_number(order, &mut told);
    for ((of, number, _), form) in [start, end].into_iter().zip(forms) {
        if let (Of::Other(id), NAMED) = (of, form & 3) {
            told.extend_from_slice(id.as_bytes());
        }
        if of != Of::Nobody {
            push_number(number, &mut told);
        }
    }
    told
}

/// A mark as it is told where letters have other names; `None` if it is none, or names none that has.
pub(crate) fn renamed(content: &[u8], renaming: &Renaming) -> Option<Bytes> {
    let (Told { order, start, end, value }, _) = Told::split(content)?;
    let other = |(of, number, is_behind): ToldAnchor| {
        let Of::Other(replica) = of else { return None };
        let Dot { replica, counter } = renaming.dot(Dot { replica, counter: number })?;
        Some((Of::Other(replica), counter, is_behind))
    };
    let (first, last) = (other(start), other(end));
    first.or(last)?;
    let mut told = begun(order, first.unwrap_or(start), last.unwrap_or(end));
    told.extend_from_slice(value);
    Some(told)
}

/// What a mark says, readable.
pub(crate) fn readable_mark(content: &[u8]) -> Option<String> {
    let told = Told::read(content).ok()?;
    let anchor = |(of, number, is_behind): ToldAnchor| {
        let side = if is_behind { "behind" } else { "before" };
        match of {
            Of::Nobody => String::from("the border"),
            Of::Author => format!("{side} the one {number} earlier"),
            Of::Other(id) => format!("{side} {number} of {id}"),
        }
    };
    let (start, end) = (anchor(told.start), anchor(told.end));
    Some(format!("{}, from {start} to {end}, order {}", told.value(), told.order))
}

fn take_anchor(form: u8, start: Option<Of>, rest: &mut &[u8]) -> Option<ToldAnchor> {
    let is_behind = form & 4 != 0;
    let of = match (form & 3, start) {
        (BORDER, _) => return (!is_behind).then_some((Of::Nobody, 0, false)),
        (OWN, _) => Of::Author,
        (NAMED, start) => {
            let (id, more) = rest.split_first_chunk::<16>()?;
            *rest = more;
            let of = Of::Other(ReplicaId::from_bytes(*id));
            Some(of).filter(|of| Some(*of) != start)?
        }
        (_, start) => start.filter(|of| matches!(of, Of::Other(_)))?,
    };
    let number = take_number(rest)?;
    (1..=MAX_COUNTER).contains(&number).then_some((of, number, is_behind))
}

/// Groups of seven bits, the lowest first, all but the last with the high bit.
fn push_number(mut number: u64, out: &mut Bytes) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A number in its shortest form.
fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let len = rest.iter().take(8).position(|group| *group < 0x80)? + 1;
    let (groups, more) = rest.split_at(len);
    *rest = more;
    if len > 1 && groups[len - 1] == 0 {
        return None;
    }
    Some(groups.iter().rev().fold(0, |number, group| number << 7 | u64::from(group & 0x7f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_mark_is_read_back_and_has_one_form() {
        let mark = LocalDot::new(3, 1 << 20);
        let id = |row: ReplicaIndex| ReplicaId::from_bytes([row as u8 + 1; 16]);
        let row = |id: ReplicaId| ReplicaIndex::from(id.as_bytes()[0]) - 1;
        let letters = [None, Some(LocalDot::new(3, 1)), Some(LocalDot::new(3, (1 << 20) - 1))];
        let letters = letters.into_iter().chain([0, 1].map(|row| Some(LocalDot::new(row, MAX_COUNTER))));
        let anchors: Vec<Anchor> = letters
            .flat_map(|letter| {
                [false, true].map(|is_behind| Anchor { letter, is_behind: is_behind && letter.is_some() })
            })
            .collect();
        for &start in &anchors {
            for &end in &anchors {
                for (kept, order) in [(0, 1), (7, 300), (0, MAX_ORDER)] {
                    let told = tell(mark, order, (start, end), &Scalar::from("x"), kept, id);
                    let Ok(read) = Told::read(&told) else { panic!("{told:?}") };
                    assert_eq!((read.order, read.value()), (order, Scalar::from("x")));
                    assert_eq!(read.anchors(mark, row), (start, end));
                    let mut cut = told.clone();
                    cut.truncate(told.len() - 2);
                    assert!(Told::read(&cut).is_err());
                }
            }
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let is_read = |content: &[u8]| Told::read(content).is_ok();
        assert!(is_read(&[0, 1, 0xc3]));
        // Behind a border; of no order; a number with a group of zeros; bits that mean nothing; nothing said, or too much.
        let refused: [&[u8]; 7] = [
            &[4, 1, 0xc3],
            &[0, 0, 0xc3],
            &[0, 0x81, 0, 0xc3],
            &[0x40, 1, 0xc3],
            &[0, 1],
            &[0, 1, 0xc3, 0xc3],
            &[],
        ];
        refused.into_iter().for_each(|content| assert!(!is_read(content), "{content:?}"));
        // An end that names the replica of the start once more, or that of none.
        let named = [&[NAMED | NAMED << 3, 1][..], &[7; 16], &[1], &[7; 16], &[2, 0xc3]].concat();
        let same = [&[NAMED | SAME << 3, 1][..], &[7; 16], &[1, 2, 0xc3]].concat();
        assert!(!is_read(&named) && is_read(&same));
        assert!(!is_read(&[SAME, 1, 1, 0xc3]) && !is_read(&[SAME << 3, 1, 1, 0xc3]));
        assert!(is_read(&[OWN, 1, 1, 0xc3]) && !is_read(&[OWN, 1, 0, 0xc3]));
    }
}
