//! That what a delta touches is all that becomes different: as is found where all is looked at.

use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use super::touched::{PASSED, WHOLE};
use crate::{
    AddWinsMap, Crdt, Delta, MovableList, Mut, MvRegister, NodeId, PnCounter, Replica, ReplicaId, Since, Tree,
};

type Cards = MovableList<MvRegister<u8>>;
type Nodes = Tree<MvRegister<u8>>;
/// Trees in lists in a map.
type Nested = AddWinsMap<u8, MovableList<Tree<PnCounter>>>;

/// Merges a delta into one, which is told by what it touches what becomes different, and into another, for which all is looked at: both are told the same.
pub(crate) fn merged<T: Crdt>(one: &mut Replica<T>, delta: &Delta<T>) {
    let mut other = one.fork(ReplicaId::from_bytes([255; 16]));
    WHOLE.set(true);
    let (expected, all) = other.merge_changes(delta.clone()).expect("there is room");
    WHOLE.set(false);
    let mut shown = one.plain();
    let (merged, said) = one.merge_changes(delta.clone()).expect("there is room");
    assert_eq!(merged, expected);
    // What had waited for it comes behind; a fork does not wait for anything.
    assert_eq!(said.first(), all.first());
    said.iter().for_each(|changes| assert_eq!(changes.apply_to(&mut shown), Ok(())));
    assert_eq!(shown, one.plain());
}

/// Has one write, which is told what becomes different: the same as another who merges it, for whom all is looked at.
pub(crate) fn written<T: Crdt>(
    one: &mut Replica<T>,
    write: impl for<'a> FnOnce(&mut T::Mut<'a>),
) -> Delta<T> {
    let (mut shown, mut other) = (one.plain(), one.fork(ReplicaId::from_bytes([255; 16])));
    let ((), delta, said) = one.update_changes(write);
    assert_eq!(said.apply_to(&mut shown), Ok(()));
    assert_eq!(shown, one.plain());
    WHOLE.set(true);
    let (_, expected) = other.merge_changes(delta.clone()).expect("there is room");
    WHOLE.set(false);
    assert_eq!(expected.first().map_or(&[][..], |expected| &expected.changes), said.changes);
    delta
}

/// What somebody does, as numbers: what, and to which.
type Deed = (u8, usize, usize, usize);

#[derive(Clone, Debug)]
enum Step {
    Write(usize, Vec<Deed>),
    /// What one has written is told to another, one delta after the other or all at once.
    Tell(usize, usize),
    Answer(usize, usize),
    Forget(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..3_usize;
    let deed = (any::<u8>(), 0..64_usize, 0..64_usize, 0..64_usize);
    prop_oneof![
        6 => (who(), vec(deed, 1..4)).prop_map(|(who, deeds)| Step::Write(who, deeds)),
        4 => (who(), who()).prop_map(|(from, to)| Step::Tell(from, to)),
        1 => (who(), who()).prop_map(|(from, to)| Step::Answer(from, to)),
        1 => who().prop_map(Step::Forget),
    ]
}

fn play<T: Crdt>(steps: &[Step], write: impl for<'a> Fn(&mut T::Mut<'a>, &Deed)) {
    let mut all = [3, 1, 2].map(|byte| Replica::<T>::new(ReplicaId::from_bytes([byte; 16])));
    let mut deltas: [Vec<Delta<T>>; 3] = Default::default();
    let mut told = [[0; 3]; 3];
    for step in steps {
        match step {
            Step::Write(who, deeds) => {
                let done = written(&mut all[*who], |value| deeds.iter().for_each(|deed| write(value, deed)));
                deltas[*who].push(done);
            }
            Step::Forget(who) => {
                let stable = all[*who].version();
                let stable = all.iter().fold(stable, |stable, one| stable.meet(&one.version()));
                deltas[*who].push(all[*who].sweep(&stable));
            }
            Step::Tell(from, to) if from != to => {
                let first = told[*from][*to];
                deltas[*from][first..].iter().for_each(|delta| merged(&mut all[*to], delta));
                told[*from][*to] = deltas[*from].len();
            }
            Step::Answer(from, to) if from != to => {
                if let Since::Delta(delta) = all[*from].delta_since(&all[*to].version()) {
                    merged(&mut all[*to], &delta);
                }
            }
            Step::Tell(..) | Step::Answer(..) => {}
        }
    }
}

fn write_card(cards: &mut Mut<'_, Cards>, &(what, a, b, c): &Deed) {
    let len = cards.state.len();
    let at = |number: usize| number % len.max(1);
    match what % 16 {
        0..4 => cards.insert(a % (len + 1)).expect("it is there").set(what),
        4..7 => _ = cards.move_to(at(a), at(b)),
        7 => {
            let (start, end) = (at(a).min(at(b)), at(a).max(at(b)));
            _ = cards.move_range(start..end, c % (len + 1 - (end - start)));
        }
        8 => _ = cards.remove(at(a)),
        9 => _ = cards.at(at(a)).map(|mut card| card.clear()),
        10 => _ = cards.replace(at(a)..(at(a) + b % 3).min(len), [what, 1], |mut card, text| card.set(text)),
        _ => _ = cards.at(at(a)).map(|mut card| card.set(b as u8)),
    }
}

fn write_node(nodes: &mut Mut<'_, Nodes>, &(what, a, b, c): &Deed) {
    let all: Vec<_> = nodes.state.iter().map(|(id, _)| id).collect();
    let node = |number: usize| all.get(number % (all.len() + 1)).copied();
    let count = |nodes: &Mut<'_, Nodes>, parent| nodes.state.count_children(parent) + 1;
    match (what % 16, node(a)) {
        (0..4, parent) => {
            let at = c % count(nodes, parent);
            _ = nodes.insert(parent, at).map(|(_, mut node)| node.set(what));
        }
        (4..9, Some(id)) => {
            let at = c % count(nodes, node(b));
            _ = nodes.move_to(id, node(b), at);
        }
        (9, Some(id)) => _ = nodes.delete(id),
        (10, Some(id)) => _ = nodes.purge(id),
        (11, _) => {
            let gone: Vec<_> = nodes.state.trash().collect();
            _ = gone.get(b % (gone.len() + 1)).map(|id| nodes.restore(*id));
        }
        (12, Some(id)) => _ = nodes.at(id).map(|mut node| node.clear()),
        (_, Some(id)) => _ = nodes.at(id).map(|mut node| node.set(b as u8)),
        _ => {}
    }
}

fn write_nested(map: &mut Mut<'_, Nested>, &(what, a, b, c): &Deed) {
    let key = u8::from(a > 48);
    if what == 0 {
        _ = map.remove(&key);
        return;
    }
    let mut list = map.at(key);
    let len = list.state.len();
    let at = c % len.max(1);
    if what % 8 == 1 && len > 0 {
        return list.move_to(at, b % len).expect("both are there");
    }
    if what % 8 == 2 && len > 0 {
        return list.remove(at).expect("it is there");
    }
    let mut tree = if what % 8 < 5 && len > 0 {
        list.at(at).expect("it is there")
    } else {
        list.insert(at).expect("it is there")
    };
    let all: Vec<_> = tree.state.iter().map(|(id, _)| id).collect();
    match all.get(b % (all.len() + 2)) {
        Some(id) if what % 3 == 0 => _ = tree.move_to(*id, all.get(a % (all.len() + 1)).copied(), 0),
        Some(id) => _ = tree.at(*id).map(|mut count| count.inc(1)),
        None => _ = tree.push(all.first().copied()).map(|(_, mut count)| count.inc(1)),
    }
}

proptest! {
    #![proptest_config(crate::tests::cases(256))]

    #[test]
    fn of_a_list_what_a_delta_touches_is_what_became_different(steps in vec(step(), 1..60)) {
        play::<Cards>(&steps, write_card);
    }

    #[test]
    fn of_a_tree_what_a_delta_touches_is_what_became_different(steps in vec(step(), 1..60)) {
        play::<Nodes>(&steps, write_node);
    }

    #[test]
    fn of_what_is_nested_what_a_delta_touches_is_what_became_different(steps in vec(step(), 1..60)) {
        play::<Nested>(&steps, write_nested);
    }
}

/// How many rows are built, and elements passed to look for some, where this is done.
fn passed(does: impl FnOnce()) -> usize {
    let before = PASSED.get();
    does();
    PASSED.get() - before
}

const MANY: usize = 2_000;

type OnNodes = fn(&mut Mut<'_, Nodes>, &[NodeId]);

#[test]
fn what_becomes_of_a_card_costs_no_look_at_all_others() {
    let mut ann = Replica::<Cards>::new(ReplicaId::from_bytes([1; 16]));
    let _ = ann.update(|cards| cards.extend(0..MANY, |mut card, n| card.set(n as u8)));
    let mut bob = ann.fork(ReplicaId::from_bytes([2; 16]));
    let deeds: [fn(&mut Mut<'_, Cards>); 5] = [
        |cards| cards.at(700).expect("it is there").set(1),
        |cards| cards.move_to(3, 1_500).expect("both are there"),
        |cards| cards.insert(900).expect("it is there").set(1),
        |cards| cards.remove(44).expect("it is there"),
        |cards| cards.move_range(100..110, 1_200).expect("there is room"),
    ];
    for deed in deeds {
        let mut delta = None;
        assert!(passed(|| delta = Some(ann.update_changes(deed).1)) <= 50);
        assert!(passed(|| _ = bob.merge_changes(delta.expect("it was done"))) <= 50);
        assert_eq!(ann.plain(), bob.plain());
    }
    // It is that one behind them that counts as moved, for the others are more.
    let (_, _, said) = ann.update_changes(|cards| cards.move_range(0..10, 1).expect("there is room"));
    assert_eq!(format!("{:?}", said.changes).matches("ItemSplice ").count(), 2);
}

#[test]
fn what_becomes_of_a_node_costs_no_look_at_all_others() {
    let mut ann = Replica::<Nodes>::new(ReplicaId::from_bytes([1; 16]));
    let (made, _) = ann.update(|nodes| {
        let mut made = Vec::new();
        for n in 0..MANY {
            // Half of them stand below nothing, the others below each other and these.
            let parent = if n % 2 == 0 { None } else { Some(made[n / 2]) };
            let (id, mut node) = nodes.push(parent).expect("it is there");
            node.set(n as u8);
            made.push(id);
        }
        made
    });
    let mut bob = ann.fork(ReplicaId::from_bytes([2; 16]));
    let deeds: [OnNodes; 5] = [
        |nodes, made| nodes.at(made[700]).expect("it is there").set(1),
        |nodes, made| nodes.move_to(made[1_501], Some(made[6]), 0).expect("both are there"),
        |nodes, made| nodes.insert(Some(made[44]), 0).expect("it is there").1.set(1),
        |nodes, made| nodes.delete(made[1_200]).expect("it is there"),
        |nodes, made| nodes.purge(made[1_301]).expect("it is there"),
    ];
    // How many stand below each is counted once.
    let mut first = None;
    let write = |nodes: &mut Mut<'_, Nodes>| nodes.at(made[0]).expect("it is there").set(1);
    assert!(passed(|| first = Some(ann.update_changes(write).1)) >= MANY);
    assert!(passed(|| _ = bob.merge_changes(first.expect("it was done"))) >= MANY);
    for deed in deeds {
        let mut delta = None;
        assert!(passed(|| delta = Some(ann.update_changes(|nodes| deed(nodes, &made)).1)) <= 50);
        assert!(passed(|| _ = bob.merge_changes(delta.expect("it was done"))) <= 50);
        assert_eq!(ann.plain(), bob.plain());
        ann.assert_kept_up();
        bob.assert_kept_up();
    }
}
