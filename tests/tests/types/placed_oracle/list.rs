//! Movable lists.

use std::ops::Range;

use tombolo_crdt::{ElementId, MovableList, MvRegister};

use super::*;

type Elements = MovableList<MvRegister<u8>>;

/// What can be done. Elements and places are picked by numbers from those that there are, and a little beyond.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Where, and what is written to it: if nothing, the transaction is over.
    Insert(u8, Option<u8>),
    Push(u8),
    /// Where, how many, and what is written to the first; to the next one more.
    InsertAll(u8, u8, u8),
    /// From where, how many, how many in place of them, and what is written to those.
    Replace(u8, u8, u8, u8),
    Move(u8, u8),
    MoveId(u8, u8),
    /// From where, how many, and where to.
    MoveRange(u8, u8, u8),
    Remove(u8),
    RemoveId(u8),
    Delete(u8, u8),
    Empty,
    Write(u8, u8),
    WriteId(u8, u8),
    Clear(u8),
}

fn op() -> impl Strategy<Value = Op> + Clone {
    let any = any::<u8>;
    prop_oneof![
        6 => (any(), prop::option::weighted(0.9, any())).prop_map(|(at, value)| Op::Insert(at, value)),
        3 => any().prop_map(Op::Push),
        1 => (any(), 0..4_u8, any()).prop_map(|(at, many, value)| Op::InsertAll(at, many, value)),
        1 => (any(), 0..4_u8, 0..4_u8, any())
            .prop_map(|(from, many, by, value)| Op::Replace(from, many, by, value)),
        6 => (any(), any()).prop_map(|(from, to)| Op::Move(from, to)),
        4 => (any(), any()).prop_map(|(element, to)| Op::MoveId(element, to)),
        4 => (any(), 0..4_u8, any()).prop_map(|(from, many, to)| Op::MoveRange(from, many, to)),
        2 => any().prop_map(Op::Remove),
        1 => any().prop_map(Op::RemoveId),
        1 => (any(), 0..4_u8).prop_map(|(from, many)| Op::Delete(from, many)),
        1 => Just(Op::Empty),
        2 => (any(), any()).prop_map(|(at, value)| Op::Write(at, value)),
        1 => (any(), any()).prop_map(|(element, value)| Op::WriteId(element, value)),
        1 => any().prop_map(Op::Clear),
    ]
}

impl Moved for Elements {
    type Id = ElementId;
    type Op = Op;

    fn write(writer: &mut Writer<'_, '_, ElementId>, list: &mut Mut<'_, Self>, op: &Op) -> bool {
        let reading = writer.read();
        let all = reading.below(Under::Root);
        let len = all.len();
        // One too many, so that some are refused.
        let place = |number: u8| usize::from(number) % (len + 2);
        let any = |number: u8| writer.made.get(usize::from(number) % writer.made.len().max(1)).copied();
        let values = |many: u8, first: u8| (0..many).map(|nth| first.wrapping_add(nth)).collect::<Vec<u8>>();
        let number = |id: ElementId| writer.made.iter().position(|made| *made == id).expect("it was made");
        match *op {
            Op::Insert(at, value) => {
                let at = place(at);
                let done = list
                    .insert(at)
                    .map(|mut register| value.into_iter().for_each(|value| register.set(value)));
                assert_eq!(done.is_ok(), at <= len);
                if done.is_ok() {
                    writer.insert(list, at, value);
                }
                if value.is_none() {
                    return false;
                }
            }
            Op::Push(value) => {
                list.push().set(value);
                writer.insert(list, len, Some(value));
            }
            Op::InsertAll(at, many, value) => {
                let (at, values) = (place(at), values(many, value));
                let mut done = Ok(());
                if at == len {
                    list.extend(&values, |mut register, value| register.set(*value));
                } else {
                    done = list.insert_all(at, &values, |mut register, value| register.set(*value));
                }
                assert_eq!(done.is_ok(), at <= len);
                if done.is_ok() {
                    writer.insert_all(list, at, &values);
                }
            }
            Op::Replace(from, many, by, value) => {
                let (from, values) = (place(from), values(by, value));
                let part = from..from + usize::from(many);
                let done = list.replace(part.clone(), &values, |mut register, value| register.set(*value));
                assert_eq!(done.is_ok(), part.end <= len);
                if let Some(old) = all.get(part.clone()) {
                    // They stand where the part was, now that it is gone.
                    writer.insert_all_behind(list, part, &values);
                    old.iter().for_each(|element| writer.purge(*element));
                }
            }
            Op::Move(from, to) => {
                let (from, to) = (place(from), place(to));
                assert_eq!(list.move_to(from, to).is_ok(), from < len && to < len);
                if from < len && to < len && from != to {
                    writer.move_in_list(all[from], to);
                }
            }
            Op::MoveId(element, to) => {
                let (Some(id), to) = (any(element), place(to)) else { return true };
                let (element, last) = (number(id), to.min(len.saturating_sub(1)));
                assert_eq!(list.move_id(id, to), reading.is_there(element));
                if reading.is_there(element) && all.get(last) != Some(&element) {
                    writer.move_in_list(element, last);
                }
            }
            Op::MoveRange(from, many, to) => {
                let (from, to) = (place(from), place(to));
                let end = from + usize::from(many);
                let fits = end <= len && to + usize::from(many) <= len;
                assert_eq!(list.move_range(from..end, to).is_ok(), fits);
                if fits && from != to {
                    let part = &all[from..end];
                    let last = to + part.len();
                    for (nth, &element) in part.iter().enumerate() {
                        writer.move_in_list(element, if to < from { to + nth } else { last - 1 });
                    }
                    let mut expected: Vec<Element> = [&all[..from], &all[end..]].concat();
                    expected.splice(to..to, part.iter().copied());
                    assert_eq!(writer.read().below(Under::Root), expected);
                }
            }
            Op::Remove(at) => {
                let at = place(at);
                assert_eq!(list.remove(at).is_ok(), at < len);
                all.get(at).into_iter().for_each(|element| writer.purge(*element));
            }
            Op::RemoveId(element) => {
                let Some(id) = any(element) else { return true };
                let element = number(id);
                assert_eq!(list.remove_id(id), reading.is_there(element));
                if reading.is_there(element) {
                    writer.purge(element);
                }
            }
            Op::Delete(from, many) => {
                let from = place(from);
                let part = from..from + usize::from(many);
                assert_eq!(list.delete(part.clone()).is_ok(), part.end <= len);
                all.get(part).into_iter().flatten().for_each(|element| writer.purge(*element));
            }
            Op::Empty => {
                list.clear();
                all.iter().for_each(|element| writer.purge(*element));
            }
            Op::Write(at, value) => {
                let at = place(at);
                assert_eq!(list.at(at).map(|mut register| register.set(value)).is_ok(), at < len);
                all.get(at).into_iter().for_each(|element| writer.write(*element, value));
            }
            Op::WriteId(element, value) => {
                let Some(id) = any(element) else { return true };
                let element = number(id);
                let done = list.by_id(id).map(|mut register| register.set(value));
                assert_eq!(done.is_some(), reading.is_there(element));
                if reading.is_there(element) {
                    writer.write(element, value);
                }
            }
            Op::Clear(at) => {
                let at = place(at);
                assert_eq!(list.at(at).map(|mut register| register.clear()).is_ok(), at < len);
                all.get(at).into_iter().for_each(|element| writer.clear(*element));
                // Until this transaction ends it is there.
                return false;
            }
        }
        Self::holds(list, &writer.read(), &[], writer.made);
        true
    }

    fn beside(list: &Self, _: &Reading, made: &[ElementId]) -> Vec<Vec<Element>> {
        let element = |at| {
            let id = list.id_at(at).expect("one is there");
            made.iter().position(|made| *made == id).expect("it was made")
        };
        vec![(0..list.len()).map(element).collect()]
    }

    fn holds(list: &Self, expected: &Reading, _: &[Element], made: &[ElementId]) {
        let all = expected.below(Under::Root);
        assert_eq!((list.len(), list.is_empty()), (all.len(), all.is_empty()));
        let values =
            |element: &Element| expected.standing[element].values.iter().map(|(_, value)| *value).collect();
        let expect: Vec<(ElementId, Vec<u8>)> =
            all.iter().map(|element| (made[*element], values(element))).collect();
        let read = |at| list.get(at).map(|register| register.values().copied().collect());
        let there: Vec<(ElementId, Vec<u8>)> = (0..list.len())
            .map(|at| (list.id_at(at).expect("one is there"), read(at).expect("it holds something")))
            .collect();
        assert_eq!(there, expect, "{expected:?}");
        for (element, &id) in made.iter().enumerate() {
            assert_eq!(list.position(id), all.iter().position(|other| *other == element));
            assert_eq!(list.by_id(id).is_some(), expected.is_there(element));
        }
    }
}

impl Writer<'_, '_, ElementId> {
    /// An element has been made there.
    fn insert(&mut self, list: &Elements, at: usize, value: Option<u8>) {
        self.made.push(list.id_at(at).expect("it was made there"));
        self.make(Under::Root, at, value);
    }

    /// So many have been made there.
    fn insert_all(&mut self, list: &Elements, at: usize, values: &[u8]) {
        (at..).zip(values).for_each(|(at, value)| self.insert(list, at, Some(*value)));
    }

    /// So many have been made behind a part, which was deleted then.
    fn insert_all_behind(&mut self, list: &Elements, part: Range<usize>, values: &[u8]) {
        for (nth, value) in values.iter().enumerate() {
            self.made.push(list.id_at(part.start + nth).expect("it was made there"));
            self.make(Under::Root, part.end + nth, Some(*value));
        }
    }
}

proptest! {
    #![proptest_config(cases(CASES))]

    #[test]
    fn a_movable_list_reads_as_its_definition_says(
        peers in 2..5_u8,
        first in vec(op(), 0..12),
        steps in steps(op(), false),
    ) {
        run::<Elements>(peers, false, &first, &steps);
    }

    #[test]
    fn a_movable_list_of_which_all_know_what_a_state_tells_reads_as_its_definition_says(
        peers in 2..5_u8,
        first in vec(op(), 0..12),
        steps in steps(op(), false),
    ) {
        run::<Elements>(peers, true, &first, &steps);
    }

    #[test]
    fn a_movable_list_of_which_much_is_forgotten_reads_as_its_definition_says(
        peers in 2..5_u8,
        first in vec(op(), 0..12),
        steps in steps(op(), true),
    ) {
        run::<Elements>(peers, false, &first, &steps);
    }
}
