//! How the index is kept up where many moves are not followed, also such as nobody makes who looks where nodes stand.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::causal::Stamp;
use crate::placed::Hand;
use crate::{Delta, MvRegister, Replica, ReplicaId};

type Nodes = Tree<MvRegister<u8>>;

fn id(author: u64) -> ReplicaId {
    ReplicaId::from_bytes(u128::from(author).to_be_bytes())
}

impl Nodes {
    pub(crate) fn assert_kept_up(&self) {
        self.body.assert_kept_up();
    }
}

/// A node by a number, of those there are or of none.
type Picked = Option<u8>;

/// What somebody does.
#[derive(Clone, Debug)]
enum Deed {
    /// A place is told of a node: when, below what it is, and below what it was before.
    Put(u8, u64, Picked, Picked),
    Move(u8, Picked),
    Insert(Picked),
    Delete(u8),
    Purge(u8),
    Write(u8),
    Clear(u8),
}

/// Who does it: one who knows what all knew first, or one who knows all. Whoever looks may do it as well, also in vain.
#[derive(Clone, Copy, Debug)]
enum Who {
    Behind,
    Knowing,
    Own,
    InVain,
}

fn deed() -> impl Strategy<Value = Deed> {
    let node = || any::<u8>();
    let other = || prop::option::weighted(0.85, any::<u8>());
    prop_oneof![
        40 => (node(), 0..40_u64, other(), other()).prop_map(|(node, at, to, from)| Deed::Put(node, at, to, from)),
        3 => (node(), other()).prop_map(|(node, under)| Deed::Move(node, under)),
        1 => other().prop_map(Deed::Insert),
        1 => node().prop_map(Deed::Delete),
        1 => node().prop_map(Deed::Purge),
        2 => node().prop_map(Deed::Write),
        2 => node().prop_map(Deed::Clear),
    ]
}

fn step() -> impl Strategy<Value = (Who, Vec<Deed>)> {
    let who = prop_oneof![
        20 => Just(Who::Behind),
        6 => Just(Who::Knowing),
        1 => Just(Who::Own),
        1 => Just(Who::InVain),
    ];
    (who, vec(deed(), 1..6))
}

fn perform(tree: &mut Mut<'_, Nodes>, made: &[NodeId], deed: &Deed) {
    let node = |number: u8| made[usize::from(number) % made.len()];
    let name = |picked: Picked| picked.map(|number| Name(node(number).0));
    // What cannot be done is not.
    match *deed {
        Deed::Put(number, millis, to, from) => {
            let Some(element) = tree.state.body.element(node(number).0) else { return };
            let Some(own) = tree.state.body.position(element) else { return };
            let place =
                TreePlace::moved(Stamp { millis, logical: 0 }, Name(node(number).0), name(from), name(to));
            let is_there = tree.state.body.under(element) == Some(TRASH);
            let others = tree.state.body.len_below(TRASH) - usize::from(is_there);
            let at = usize::from(number) % (others + 1);
            let mut hand =
                Hand { body: &mut tree.state.body, tx: tree.tx, place: tree.place, depth: tree.depth };
            // Wherever that is: who does this is not asked anything any more.
            hand.move_to(element, own, TRASH, at, place);
        }
        Deed::Move(number, under) => _ = tree.move_to(node(number), under.map(node), 0),
        Deed::Insert(under) => {
            if let Ok((_, mut register)) = tree.push(under.map(node)) {
                register.set(0);
            }
        }
        Deed::Delete(number) => _ = tree.delete(node(number)),
        Deed::Purge(number) => _ = tree.purge(node(number)),
        Deed::Write(number) => _ = tree.at(node(number)).map(|mut register| register.set(number)),
        Deed::Clear(number) => _ = tree.at(node(number)).map(|mut register| register.clear()),
    }
}

/// Nodes below nothing.
fn some_nodes(nodes: usize) -> (Replica<Nodes>, Vec<NodeId>) {
    let mut first = Replica::<Nodes>::new(id(1));
    first.set_time(1);
    let (made, _) = first.update(|tree| {
        let make = |_| {
            let (id, mut register) = tree.push(None).expect("it is the end");
            register.set(0);
            id
        };
        (0..nodes).map(make).collect()
    });
    (first, made)
}

/// What one does who knows what `of` does. Puts stand for themselves: who tells a place does nothing else.
fn done(of: &Replica<Nodes>, author: u64, made: &[NodeId], deeds: &[Deed]) -> Delta<Nodes> {
    let mut one = of.fork(id(author));
    let puts = matches!(deeds[0], Deed::Put(..));
    let is_same = |deed: &&Deed| matches!(deed, Deed::Put(..)) == puts;
    one.update(|tree| deeds.iter().filter(is_same).for_each(|deed| perform(tree, made, deed))).1
}

/// Does it all before the eyes of one; says how often moves had given way afterwards, in each round.
fn run(nodes: usize, steps: &[(Who, Vec<Deed>)]) -> [usize; 2] {
    use crate::placed::agree::{merged, written};

    let (first, made) = some_nodes(nodes);
    let mut one = first.fork(id(2));
    let mut all = [0; 2];
    for (author, (who, deeds)) in (3..).zip(steps) {
        let mut deeds = deeds.clone();
        for deed in &mut deeds {
            if let Deed::Put(_, when, ..) = deed {
                // Some come before others, most after them.
                *when += 4 * author;
            }
        }
        let honest = deeds.iter().filter(|deed| !matches!(deed, Deed::Put(..)));
        let own = |tree: &mut Mut<'_, Nodes>| honest.for_each(|deed| perform(tree, &made, deed));
        match who {
            Who::Behind => merged(&mut one, &done(&first, author, &made, &deeds)),
            Who::Knowing => {
                let delta = done(&one, author, &made, &deeds);
                merged(&mut one, &delta);
            }
            Who::Own => _ = written(&mut one, own),
            Who::InVain => {
                let failed = one.try_update(|tree| {
                    own(tree);
                    Err::<(), ()>(())
                });
                assert_eq!(failed.map(|_| ()), Err(()));
            }
        }
        let gave_way = one.body.assert_kept_up();
        all = [all[0] + gave_way[0], all[1] + gave_way[1]];
    }
    all
}

proptest! {
    #![proptest_config(crate::tests::cases(192))]

    #[test]
    fn what_is_kept_up_is_what_is_made_anew(nodes in 2..12_usize, steps in vec(step(), 1..40)) {
        run(nodes, &steps);
    }
}

#[test]
fn random_moves_give_way_in_both_rounds() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut all = [0; 2];
    for _ in 0..100 {
        let (nodes, steps) =
            (2..12_usize, vec(step(), 1..40)).new_tree(&mut runner).expect("there is one").current();
        let gave_way = run(nodes, &steps);
        all = [all[0] + gave_way[0], all[1] + gave_way[1]];
    }
    assert!(all.iter().all(|gave_way| *gave_way > 400), "{all:?}");
}

/// So many circles of two nodes that each was moved below the other, and what each of both moved.
fn many_circles(circles: usize) -> (Replica<Nodes>, Vec<NodeId>, [Delta<Nodes>; 2]) {
    let (first, made) = some_nodes(2 * circles + 1);
    let all_below = |author: u64, from: usize| {
        let mut mover = first.fork(id(author));
        mover.set_time(author);
        let moves = |tree: &mut Mut<'_, Nodes>| {
            let pairs = made.chunks_exact(2);
            pairs.for_each(|pair| tree.move_to(pair[from], Some(pair[1 - from]), 0).expect("both are there"));
        };
        mover.update(moves).1
    };
    let both = [all_below(100, 0), all_below(101, 1)];
    (first, made, both)
}

/// What happens in such a tree, and how often at most elements are looked at for it.
#[test]
fn an_edit_of_a_tree_of_which_many_moves_are_not_followed_looks_at_few_nodes() {
    const CIRCLES: usize = 1_000;
    let (first, made, both) = many_circles(CIRCLES);
    let mut one = first.fork(id(2));
    for delta in both {
        one.merge(delta).expect("there is room");
    }
    assert_eq!(one.body.assert_kept_up(), [CIRCLES, 0]);
    let (pair, alone) = (|circle: usize| (2 * circle as u8, 2 * circle as u8 + 1), made.len() - 1);
    let last = &made[alone..];
    let mut author = 200;
    let mut looks = |made: &[NodeId], deed: Deed| {
        author += 1;
        let before = one.body.looked_at();
        one.merge(done(&first, author, made, &[deed])).expect("there is room");
        let looked_at = one.body.looked_at() - before;
        one.body.assert_kept_up();
        looked_at
    };
    // What is written to a node, in a circle or not, says nothing of where any stands.
    assert_eq!(looks(last, Deed::Write(0)), 0);
    assert_eq!(looks(&made, Deed::Write(pair(3).0)), 0);
    // One that is new, and those above it.
    assert!(looks(last, Deed::Insert(None)) <= 2);
    assert!(looks(&made, Deed::Insert(Some(pair(5).0))) <= 4);
    assert!(looks(last, Deed::Move(0, None)) <= 2);
    // What comes late to a circle is decided for both in it.
    assert!(looks(&made, Deed::Put(pair(7).0, 3, None, None)) <= 8);
    assert!(looks(&made, Deed::Put(pair(8).1, 1_000, Some(pair(8).0), None)) <= 8);
    assert!(looks(&made, Deed::Clear(pair(9).1)) <= 8);
    assert!(looks(&made, Deed::Purge(pair(10).0)) <= 8);
    assert!(looks(&made, Deed::Put(pair(11).0, 1_000, Some(pair(12).0), Some(pair(12).1))) <= 16);
}

#[test]
fn who_writes_settles_once_and_looks_at_nothing_for_it() {
    const CIRCLES: usize = 300;
    let (first, made, both) = many_circles(CIRCLES);
    let mut one = first.fork(id(2));
    for delta in both {
        one.merge(delta).expect("there is room");
    }
    let mut other = one.fork(id(3));
    let last = *made.last().expect("there is one");
    let others = |tree: &Nodes| tree.iter().filter(|(id, _)| *id != last).collect::<Vec<_>>();
    let shown = others(&one);
    let before = (one.body.looked_at(), one.reached(id(2)));
    let (_, settled) = one.update(|tree| tree.delete(last).expect("it is there"));
    assert_eq!(one.body.looked_at(), before.0);
    assert!(one.reached(id(2)) - before.1 >= CIRCLES as u64);
    assert_eq!(one.body.assert_kept_up(), [0, 0]);
    assert!(others(&one) == shown);
    let before = one.reached(id(2));
    _ = one.update(|tree| tree.restore(last).expect("it was put away"));
    assert!(one.reached(id(2)) - before <= 4, "there is nothing left to settle");
    other.merge(settled).expect("there is room");
    assert_eq!(other.body.assert_kept_up(), [0, 0]);
    assert!(others(&other) == shown);
}

/// A month of moves lies between, of which the late ones know nothing; none of them was to the same place.
#[test]
fn a_move_that_comes_late_costs_what_it_touches_however_many_were_made_since() {
    const NODES: usize = 400;
    let (first, made) = some_nodes(NODES);
    let mut author = 200;
    let mut looks = |moves: usize| {
        let mut one = first.fork(id(2));
        for number in 0..moves {
            one.set_time(10 + number as u64);
            // Among the others, never deep.
            let (node, under) = (made[1 + number * 7 % (NODES - 1)], (number % 3 == 0).then_some(made[0]));
            let _ = one.update(|tree| tree.move_to(node, under, 0).expect("it is there"));
        }
        author += 1;
        let late = done(&first, author, &made, &[Deed::Move(3, Some(4)), Deed::Move(5, Some(3))]);
        let before = one.body.looked_at();
        one.merge(late).expect("there is room");
        let looked_at = one.body.looked_at() - before;
        one.body.assert_kept_up();
        looked_at
    };
    let few = looks(10);
    assert_eq!([few, looks(100), looks(5_000)], [few; 3]);
    assert!(few <= 8, "{few}");
}
