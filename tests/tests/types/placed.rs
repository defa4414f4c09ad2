//! Movable lists and trees: what is read is a function of what is there, whatever the way it came; and the cases that are easily got wrong.

mod ranges;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use tombolo_crdt::{
    AddWinsMap, BadIndex, BadNode, Conflict, Crdt, Delta, Limits, LwwRegister, MAX_TREE_DEPTH, MovableList,
    Mut, MvRegister, NodeId, Plain, PnCounter, Replica, ReplicaId, Tree, Version,
};
use tombolo_tests::model::cases;

type Cards = MovableList<LwwRegister<String>>;
type Files = Tree<LwwRegister<String>>;

fn id(byte: u8) -> ReplicaId {
    ReplicaId::from_bytes([byte; 16])
}

fn exchange<T: Crdt>(replicas: &mut [Replica<T>]) {
    let states: Vec<_> = replicas.iter().map(Replica::state).collect();
    for replica in replicas.iter_mut() {
        for state in &states {
            replica.merge(state.clone()).expect("there is room");
        }
    }
    assert!(replicas.windows(2).all(|two| two[0].encode() == two[1].encode()));
}

fn cards(list: &Replica<Cards>) -> Vec<&str> {
    list.iter().map(|card| card.value().expect("each has a text").as_str()).collect()
}

/// Three replicas of the same cards.
fn board(texts: &[&str]) -> [Replica<Cards>; 3] {
    let mut ann = Replica::<Cards>::new(id(1));
    let _ = ann.update(|cards: &mut Mut<'_, Cards>| texts.iter().for_each(|text| cards.push().set(*text)));
    let bob = ann.fork(id(2));
    let cem = ann.fork(id(3));
    [ann, bob, cem]
}

#[test]
fn two_that_move_one_card_leave_it_at_one_place_that_of_the_later_move() {
    let mut all = board(&["a", "b", "c", "d"]);
    all[0].set_time(2_000);
    all[1].set_time(1_000);
    let _ = all[0].try_update(|cards| cards.move_to(0, 3)).unwrap();
    let _ = all[1].try_update(|cards| cards.move_to(0, 1)).unwrap();
    exchange(&mut all);
    for one in &all {
        assert_eq!(cards(one), ["b", "c", "d", "a"]);
        assert_eq!(one.conflicts().len(), 1);
    }
    // Whoever moves it again has seen both.
    let _ = all[2].try_update(|cards| cards.move_to(3, 0)).unwrap();
    exchange(&mut all);
    assert!(all.iter().all(|one| cards(one) == ["a", "b", "c", "d"] && one.conflicts().is_empty()));
}

#[test]
fn a_card_that_is_deleted_while_another_moves_it_or_writes_to_it_is_deleted() {
    let mut all = board(&["a", "b", "c"]);
    let _ = all[0].try_update(|cards| cards.remove(0)).unwrap();
    let _ = all[1].try_update(|cards| cards.move_to(0, 2)).unwrap();
    let _ = all[2].try_update(|cards| cards.at(0).map(|mut card| card.set("written"))).unwrap();
    exchange(&mut all);
    // Both are left of it: moved by one and written to by another it is there again, with what was written.
    assert_eq!(cards(&all[0]), ["b", "c", "written"]);

    for other in 1..3 {
        let mut all = board(&["a", "b", "c"]);
        let _ = all[0].try_update(|cards| cards.remove(0)).unwrap();
        match other {
            1 => drop(all[1].try_update(|cards| cards.move_to(0, 2)).unwrap()),
            _ => drop(all[2].try_update(|cards| cards.at(0).map(|mut card| card.set("written"))).unwrap()),
        }
        exchange(&mut all);
        assert_eq!(cards(&all[0]), ["b", "c"]);
        // What is left of it is forgotten once all know it.
        assert!(all[0].garbage().removals > 0);
        let version = all[0].version();
        for _ in 0..3 {
            let stable = all[0].version();
            let _ = all[0].sweep(&stable);
        }
        assert!(all[0].version() > version);
        assert_eq!((cards(&all[0]), all[0].garbage().removals), (vec!["b", "c"], 0));
    }
}

#[test]
fn a_part_is_moved_whole() {
    let [mut ann, ..] = board(&["a", "b", "c", "d", "e"]);
    let _ = ann.try_update(|cards| cards.move_range(1..3, 3)).unwrap();
    assert_eq!(cards(&ann), ["a", "d", "e", "b", "c"]);
    let _ = ann.try_update(|cards| cards.move_range(2..5, 0)).unwrap();
    assert_eq!(cards(&ann), ["e", "b", "c", "a", "d"]);
    let before = ann.encode();
    assert_eq!(
        ann.try_update(|cards| cards.move_range(0..2, 4)).unwrap_err(),
        BadIndex::BeyondEnd { at: 6, len: 5 }
    );
    assert!(ann.try_update(|cards| cards.move_to(0, 5)).is_err());
    assert!(ann.try_update(|cards| cards.insert(6).map(drop)).is_err());
    assert_eq!(ann.encode(), before);
}

#[test]
fn what_is_made_one_behind_the_other_is_told_once() {
    let mut ann = Replica::<Cards>::new(id(1));
    for n in 0..100 {
        let (_, delta) = ann.update(|cards| cards.push().set(n.to_string()));
        // The place, the text and where it was begun, once.
        assert_eq!(delta.len(), if n == 0 { 3 } else { 2 });
    }
    // Moving again and again leaves no more than moving once: where it was put is forgotten by and by.
    for _ in 0..200 {
        let _ = ann.try_update(|cards| cards.move_to(0, 50)).unwrap();
        let stable = ann.version();
        let _ = ann.sweep(&stable);
    }
    assert!(ann.garbage().items < 520, "{:?}", ann.garbage());
}

#[test]
fn an_element_to_which_nothing_is_written_does_not_come_into_being() {
    let mut ann = Replica::<MovableList<PnCounter>>::new(id(1));
    let _ = ann.update(|list| {
        list.push();
        list.push().inc(1);
        assert_eq!(list.len(), 2);
    });
    assert_eq!((ann.len(), ann.get(0).map(PnCounter::value)), (1, Some(1)));
    assert_eq!(ann.plain(), Plain::List(vec![Plain::Int(1)]));
}

/// `a` with `b` below it, and `c`, in three replicas.
fn files() -> ([Replica<Files>; 3], [NodeId; 3]) {
    let mut ann = Replica::<Files>::new(id(1));
    let mut made = Vec::new();
    let _ = ann.update(|files| {
        for (name, below) in [("a", None), ("b", Some(0)), ("c", None)] {
            let parent = below.map(|at: usize| made[at]);
            let (id, mut node) = files.push(parent).expect("it is there");
            node.set(name);
            made.push(id);
        }
    });
    let bob = ann.fork(id(2));
    let cem = ann.fork(id(3));
    ([ann, bob, cem], [made[0], made[1], made[2]])
}

fn drawn(files: &Replica<Files>) -> Vec<String> {
    let text = |id| files.get(id).and_then(LwwRegister::value).map_or("?", String::as_str);
    files.iter().map(|(id, depth)| format!("{}{}", ".".repeat(depth), text(id))).collect()
}

#[test]
fn two_nodes_moved_below_one_another_make_no_circle_and_what_is_shown_then_stays() {
    let (mut all, [a, b, c]) = files();
    all[0].set_time(1_000);
    all[1].set_time(2_000);
    let _ = all[0].try_update(|files| files.move_to(a, Some(c), 0)).unwrap();
    let _ = all[1].try_update(|files| files.move_to(c, Some(b), 0)).unwrap();
    exchange(&mut all);
    // The later move is not followed.
    assert!(all.iter().all(|one| drawn(one) == ["c", ".a", "..b"]), "{:?}", drawn(&all[0]));
    // Which is told, with whose move it gave way to.
    let found = all[2].conflicts();
    let [Conflict { path, values, .. }] = &found[..] else { panic!("{found:?}") };
    assert_eq!(path[..], [Plain::Text(c.to_string())]);
    let claims: Vec<_> = values.iter().map(|claim| (claim.value.clone(), claim.by.clone())).collect();
    let text = |text: &str| Some(Plain::Text(text.into()));
    let b = b.to_string();
    assert_eq!(claims[0].0, text("root"));
    assert!(claims[0].1.contains(&id(1)) && !claims[0].1.contains(&id(2)), "{claims:?}");
    assert_eq!(claims[1..], [(text(&b), vec![id(2)])]);
    assert!(all.iter().all(|one| one.conflicts() == found));
    // Nor does it come into effect when what was in its way is moved out of it.
    let _ = all[2].try_update(|files| files.move_to(a, None, 0)).unwrap();
    exchange(&mut all);
    assert!(all.iter().all(|one| drawn(one) == ["a", ".b", "c"]), "{:?}", drawn(&all[0]));
    assert!(all[0].conflicts().is_empty());
}

#[test]
fn a_node_whose_move_is_not_followed_stays_below_what_it_stood_below() {
    let mut ann = Replica::<Files>::new(id(1));
    let mut make = |name: &str, parent| {
        let (id, _) = ann.update(|files| {
            let (id, mut node) = files.push(parent).expect("it is there");
            node.set(name);
            id
        });
        id
    };
    let home = make("home", None);
    let (x, y) = (make("x", Some(home)), make("y", Some(home)));
    let bob = ann.fork(id(2));
    let mut both = [ann, bob];
    let _ = both[0].try_update(|files| files.move_to(x, Some(y), 0)).unwrap();
    let _ = both[1].try_update(|files| files.move_to(y, Some(x), 0)).unwrap();
    exchange(&mut both);
    assert_eq!(both[0].iter().count(), 3);
    assert_eq!(both[0].count_children(Some(home)), 1);
    assert_eq!(both[0].roots().collect::<Vec<_>>(), [home]);
}

/// Else it would stand elsewhere once what is left of what was purged is forgotten.
#[test]
fn what_was_purged_is_in_no_circle() {
    let mut ann = Replica::<Files>::new(id(1));
    let (made, _) = ann.update(|files| {
        ["a", "b"].map(|name| {
            let (id, mut node) = files.push(None).expect("there is room");
            node.set(name);
            id
        })
    });
    let [a, b] = made;
    let (bob, cem) = (ann.fork(id(2)), ann.fork(id(3)));
    let mut all = [ann, bob, cem];
    all[0].set_time(1_000);
    all[1].set_time(2_000);
    let _ = all[0].try_update(|files| files.move_to(a, Some(b), 0)).unwrap();
    let _ = all[1].try_update(|files| files.move_to(b, Some(a), 0)).unwrap();
    let _ = all[2].try_update(|files| files.purge(a)).unwrap();
    exchange(&mut all);
    let read = |one: &Replica<Files>| (drawn(one), one.trash().collect::<Vec<_>>());
    // It was moved below what is gone.
    assert!(all.iter().all(|one| read(one) == (Vec::new(), vec![b])), "{:?}", read(&all[0]));
    let stable = all[0].version();
    assert!(!all[0].sweep(&stable).is_empty());
    assert_eq!(read(&all[0]), (Vec::new(), vec![b]));
}

#[test]
fn what_is_deleted_can_be_restored_and_moves_win_over_deletions() {
    let (mut all, [a, b, c]) = files();
    let _ = all[0].try_update(|files| files.delete(a)).unwrap();
    assert_eq!((drawn(&all[0]), all[0].trash().collect::<Vec<_>>()), (vec!["c".to_owned()], vec![a]));
    // What is put away is still there to be written to, and what is below it goes with it.
    assert!(!all[0].contains(b) && all[0].get(b).is_some());
    assert_eq!(
        all[0].try_update(|files| files.insert(Some(b), 0).map(drop)).unwrap_err(),
        BadNode::Absent(b)
    );
    let mut again = all[0].fork(id(4));
    let _ = again.try_update(|files| files.restore(a)).unwrap();
    assert_eq!(drawn(&again), ["c", "a", ".b"]);
    // Meanwhile one is moved out of it, and another into it.
    let _ = all[1].try_update(|files| files.move_to(b, None, 0)).unwrap();
    let _ = all[2].try_update(|files| files.move_to(c, Some(a), 0)).unwrap();
    exchange(&mut all);
    assert_eq!((drawn(&all[0]), all[0].trash().collect::<Vec<_>>()), (vec!["b".to_owned()], vec![a]));
    let _ = all[1].try_update(|files| files.restore(a)).unwrap();
    exchange(&mut all);
    assert_eq!(drawn(&all[2]), ["b", "a", ".c"]);
    // Moved at the same time as deleted: it stays.
    let _ = all[0].try_update(|files| files.delete(b)).unwrap();
    let _ = all[1].try_update(|files| files.move_to(b, Some(a), 0)).unwrap();
    exchange(&mut all);
    assert_eq!(drawn(&all[2]), ["a", ".b", ".c"]);
}

#[test]
fn what_was_made_below_a_node_that_another_purged_is_in_the_trash() {
    let (mut all, [a, ..]) = files();
    let _ = all[0].try_update(|files| files.purge(a)).unwrap();
    let (made, _) = all[1].update(|files| {
        let (id, mut node) = files.push(Some(a)).unwrap();
        node.set("new");
        id
    });
    exchange(&mut all);
    assert_eq!((drawn(&all[0]), all[0].trash().collect::<Vec<_>>()), (vec!["c".to_owned()], vec![made]));
    let _ = all[0].try_update(|files| files.restore(made)).unwrap();
    exchange(&mut all);
    assert_eq!(drawn(&all[1]), ["c", "new"]);
    let _ = all[1].try_update(|files| files.delete(made)).unwrap();
    assert_eq!(all[1].update(|files| files.empty_trash()).0, 1);
    assert_eq!(all[1].trash().count(), 0);
}

#[test]
fn deep_trees_meet_a_limit_and_not_the_stack() {
    let mut ann = Replica::<Tree<MvRegister<u8>>>::new(id(1));
    let (last, _) = ann.update(|tree| {
        let mut parent = None;
        for _ in 0..MAX_TREE_DEPTH {
            let (id, mut node) = tree.insert(parent, 0).unwrap();
            node.set(1_u8);
            parent = Some(id);
        }
        parent
    });
    assert_eq!(ann.try_update(|tree| tree.push(last).map(drop)).unwrap_err(), BadNode::TooDeep);
    // So are two of them one in the other, which would be deeper.
    let root = ann.roots().next().unwrap();
    let ([top, below], _) = ann.update(|tree| {
        [(); 2].map(|()| {
            let (id, mut node) = tree.push(None).unwrap();
            node.set(2_u8);
            id
        })
    });
    assert_eq!(ann.try_update(|tree| tree.move_to(root, Some(top), 0)).unwrap_err(), BadNode::TooDeep);
    let mut bob = ann.fork(id(2));
    // What both do at once can make it deeper, and is read all the same.
    let second = ann.children(root).next().unwrap();
    let (_, hers) = ann.try_update(|tree| tree.move_to(second, Some(top), 0)).unwrap();
    let (_, _) = bob.try_update(|tree| tree.move_to(top, Some(below), 0)).unwrap();
    bob.merge(hers).unwrap();
    assert_eq!(bob.iter().map(|(_, depth)| depth).max(), Some(MAX_TREE_DEPTH));
    // Beside what it stands beside it may be moved, and to where there is room.
    let _ = bob
        .try_update(|tree| {
            tree.push(Some(top))?.1.set(3_u8);
            tree.move_to(second, Some(top), 1)
        })
        .unwrap();
    assert_eq!(bob.try_update(|tree| tree.move_to(second, Some(root), 0)).map(drop), Ok(()));
    assert_eq!(bob.iter().map(|(_, depth)| depth).max(), Some(MAX_TREE_DEPTH - 1));
    let again = Replica::<Tree<MvRegister<u8>>>::decode(id(3), &bob.encode(), &Limits::default()).unwrap();
    assert_eq!(again.plain(), bob.plain());
    assert!(serde_json::to_string(&again.view()).unwrap().len() > MAX_TREE_DEPTH);
}

#[test]
fn how_deep_a_node_stands_is_known_anew_once_anything_above_it_moves() {
    let mut ann = Replica::<Files>::new(id(1));
    let (made, _) = ann.update(|files| {
        let mut made: Vec<NodeId> = Vec::new();
        for _ in 0..MAX_TREE_DEPTH - 1 {
            let (id, mut node) = files.push(made.last().copied()).unwrap();
            node.set("deep");
            made.push(id);
        }
        made
    });
    let _ = ann.update(|files| {
        let push = |files: &mut Mut<'_, Files>, parent| {
            let (id, mut node) = files.push(parent)?;
            node.set("new");
            Ok::<_, BadNode>(id)
        };
        let top = push(files, None).unwrap();
        let middle = push(files, Some(top)).unwrap();
        let low = push(files, Some(middle)).unwrap();
        let leaf = push(files, Some(low)).unwrap();
        // Deeper, by moves of what stands above it and of itself; and back.
        assert_eq!(files.move_to(top, Some(made[MAX_TREE_DEPTH - 4]), 0), Err(BadNode::TooDeep));
        files.move_to(top, Some(made[MAX_TREE_DEPTH - 5]), 0).unwrap();
        push(files, Some(low)).unwrap();
        assert_eq!(push(files, Some(leaf)), Err(BadNode::TooDeep));
        files.move_to(low, None, 0).unwrap();
        let below = push(files, Some(leaf)).unwrap();
        assert_eq!(files.move_to(leaf, Some(made[MAX_TREE_DEPTH - 2]), 0), Err(BadNode::TooDeep));
        files.move_to(leaf, Some(made[MAX_TREE_DEPTH - 3]), 0).unwrap();
        push(files, Some(leaf)).unwrap();
        assert_eq!(push(files, Some(below)), Err(BadNode::TooDeep));
        files.move_to(leaf, Some(low), 0).unwrap();
        push(files, Some(below)).unwrap();
        // Away, and below what is gone.
        files.delete(low).unwrap();
        assert_eq!(push(files, Some(leaf)), Err(BadNode::Absent(leaf)));
        files.restore(low).unwrap();
        push(files, Some(leaf)).unwrap();
        assert_eq!(files.move_to(low, Some(leaf), 0), Err(BadNode::BelowItself(low)));
        assert_eq!(files.move_to(leaf, Some(leaf), 0), Err(BadNode::BelowItself(leaf)));
    });
}

#[test]
fn what_is_left_of_many_is_found_when_others_write() {
    let ([mut ann, mut bob, _], [a, b, c]) = files();
    let _ = ann.update(|files| {
        let many: Vec<NodeId> = (0..200)
            .map(|_| {
                let (id, mut node) = files.push(Some(b)).unwrap();
                node.set("many");
                id
            })
            .collect();
        many[1..].iter().for_each(|id| files.purge(*id).unwrap());
    });
    let (_, moved) = bob.try_update(|files| files.move_to(c, Some(b), 0)).unwrap();
    ann.merge(moved).unwrap();
    assert_eq!(drawn(&ann), ["a", ".b", "..many", "..c"]);
    let _ = ann.try_update(|files| files.move_to(b, None, 0)).unwrap();
    assert_eq!(drawn(&ann), ["b", ".many", ".c", "a"]);
    assert_eq!((ann.parent(c), ann.position(a)), (Some(b), Some(1)));
}

#[test]
fn names_of_nodes_go_as_text_and_nothing_else_is_one() {
    let (_, [a, ..]) = files();
    assert_eq!(a.to_string().parse(), Ok(a));
    for bad in
        ["", "@", "1", "0@01010101-0101-0101-0101-010101010101", "x@01010101-0101-0101-0101-010101010101"]
    {
        assert!(bad.parse::<NodeId>().is_err(), "{bad}");
    }
}

#[test]
fn a_list_below_a_key_is_removed_with_it_and_comes_back_with_what_was_moved_meanwhile_and_no_more() {
    type Boards = AddWinsMap<u8, Cards>;
    let mut ann = Replica::<Boards>::new(id(1));
    let _ = ann.update(|boards| ["a", "b"].iter().for_each(|text| boards.at(1).push().set(*text)));
    let bob = ann.fork(id(2));
    let mut both = [ann, bob];
    let _ = both[0].update(|boards| boards.remove(&1));
    let _ = both[1].update(|boards| boards.at(1).push().set("c"));
    exchange(&mut both);
    let read: Vec<_> = both[0].get(&1).unwrap().iter().filter_map(LwwRegister::value).collect();
    assert_eq!(read, ["c"]);
}

/// What hangs on a place that was forgotten too early is read elsewhere, but everywhere in the same place.
#[test]
fn what_is_read_after_forgetting_too_early_is_still_a_function_of_the_bytes() {
    let [mut ann, ..] = board(&["a", "b", "c"]);
    let _ = ann.try_update(|cards| cards.insert(0).map(|mut card| card.set("x"))).unwrap();
    let mut bob = ann.fork(id(2));
    let mut hers = vec![ann.try_update(|cards| cards.move_to(0, 3)).unwrap().1];
    for _ in 0..3 {
        let all = ann.version();
        hers.push(ann.sweep(&all));
    }
    let (_, his) = bob.try_update(|cards| cards.insert(1).map(|mut card| card.set("y"))).unwrap();
    for delta in hers {
        bob.merge(delta).unwrap();
    }
    ann.merge(his).unwrap();
    assert_eq!(ann.encode(), bob.encode());
    assert_eq!(cards(&ann), cards(&bob));
}

/// Two put something at one place where another stood that one of them has moved away. What he puts hangs on where that stood as long as he knows that: who
/// began anew from bytes or has heard of forgetting does not. So it is decided when it is put which comes first, and the same for all.
#[test]
fn which_of_two_comes_first_where_another_stood_depends_on_who_knows_that_and_is_the_same_everywhere() {
    let read = |between: fn(&mut Replica<Cards>)| {
        let [mut ann, ..] = board(&["a"]);
        let _ = ann.try_update(|cards| cards.insert(0).map(|mut card| card.set("c"))).unwrap();
        let _ = ann.update(|cards| cards.push().set("b"));
        let _ = ann.try_update(|cards| cards.insert(0).map(|mut card| card.set("d"))).unwrap();
        let (mut bob, mut cem) = (ann.fork(id(2)), ann.fork(id(3)));
        let _ = bob.try_update(|cards| cards.move_to(3, 0)).unwrap();
        between(&mut bob);
        assert_eq!(cards(&bob), ["b", "d", "c", "a"]);
        let _ = bob.update(|cards| cards.push().set("y"));
        let _ = cem.update(|cards| cards.push().set("x"));
        let mut all = [ann, bob, cem];
        exchange(&mut all);
        let read = cards(&all[0]).concat();
        assert!(all.iter().all(|replica| cards(replica).concat() == read));
        read
    };
    assert_eq!(read(|_| ()), "bdcayx");
    assert_eq!(
        read(|bob| *bob = Replica::decode(id(2), &bob.encode(), &Limits::default()).unwrap()),
        "bdcaxy"
    );
    assert_eq!(read(|bob| assert!(!bob.sweep(&Version::new()).is_empty())), "bdcaxy");
}

/// A deletion leaves no dot, so it is not enough that all know what is left of what was deleted.
#[test]
fn what_is_left_of_a_deleted_card_stays_until_all_know_the_deletion() {
    let [mut ann, mut bob, mut cem] = board(&["a", "b", "c"]);
    let (_, deleted) = ann.try_update(|cards| cards.remove(0)).unwrap();
    let (_, moved) = bob.try_update(|cards| cards.move_to(0, 2)).unwrap();
    ann.merge(moved.clone()).unwrap();
    cem.merge(moved).unwrap();
    let stable = cem.version();
    let (_, written) = cem.try_update(|cards| cards.at(2).map(|mut card| card.set("written"))).unwrap();
    cem.merge(deleted).unwrap();
    assert_eq!(cards(&cem), ["b", "c", "written"]);
    let swept = ann.sweep(&stable);
    cem.merge(swept).unwrap();
    ann.merge(written).unwrap();
    assert_eq!((cards(&ann), cards(&cem)), (vec!["b", "c", "written"], vec!["b", "c", "written"]));
}

/// What a replica does: writes (who, what, three numbers), or takes in what another wrote.
type Step = (u8, u8, u8, u8, u8);

fn write_tree(tree: &mut Mut<'_, Tree<MvRegister<u8>>>, (_, what, a, b, c): Step) {
    let nodes: Vec<NodeId> = tree.iter().map(|(id, _)| id).chain(tree.trash()).collect();
    let pick = |nth: u8| nodes.get(usize::from(nth) % (nodes.len() + 1)).copied();
    let at = |tree: &Tree<_>, parent| usize::from(c) % (tree.count_children(parent) + 1);
    let (node, parent) = (pick(a), pick(b));
    let place = at(tree, parent);
    // What cannot be done changes nothing.
    let _ = match (what % 12, node) {
        (0..=3, _) => tree.insert(parent, place).map(|(_, mut value)| value.set(a)),
        (4..=7, Some(id)) => tree.move_to(id, parent, place),
        (8, Some(id)) => tree.delete(id),
        (9, Some(id)) => tree.restore(id),
        (10, Some(id)) => tree.purge(id),
        (11, Some(id)) if b.is_multiple_of(3) => tree.at(id).map(|mut value| value.clear()),
        (_, Some(id)) => tree.at(id).map(|mut value| value.set(b)),
        _ => Ok(()),
    };
}

fn write_list(list: &mut Mut<'_, MovableList<MvRegister<u8>>>, (_, what, a, b, _): Step) {
    let (at, to) = (usize::from(a) % (list.len() + 1), usize::from(b) % (list.len() + 1));
    let _ = match what % 10 {
        0..=2 => list.insert(at).map(|mut value| value.set(b)),
        3..=6 => list.move_to(at, to),
        7 => list.remove(at),
        8 => list.at(at).map(|mut value| value.clear()),
        _ => list.move_range(at..(at + 2).min(list.len()), to),
    };
}

/// After each step what is read is what is read of the bytes, and in the end all read the same.
fn is_a_function_of_its_bytes<T: Crdt, R: PartialEq + std::fmt::Debug>(
    steps: &[Step],
    write: impl Fn(&mut T::Mut<'_>, Step),
    read: impl Fn(&Replica<T>) -> R,
) -> Result<(), TestCaseError> {
    let mut replicas: Vec<Replica<T>> = [7, 3, 5].into_iter().map(|byte| Replica::new(id(byte))).collect();
    let mut deltas: Vec<Delta<T>> = Vec::new();
    for &step in steps {
        let at = usize::from(step.0) % replicas.len();
        if step.1 < 160 {
            deltas.push(replicas[at].update(|value| write(value, step)).1);
        } else if step.1 < 165 {
            let _ = replicas[at].update(|value| write(value, step)).1;
            let stable =
                replicas.iter().map(Replica::version).reduce(|a, b| a.meet(&b)).unwrap_or_else(Version::new);
            let others: Vec<_> = replicas.iter().map(Replica::state).collect();
            others.into_iter().for_each(|state| _ = replicas[at].merge(state).expect("there is room"));
            let _ = replicas[at].sweep(&stable);
        } else if let Some(delta) = deltas.get(usize::from(step.2) % deltas.len().max(1)) {
            let _ = replicas[at].merge(delta.clone());
        }
        let again =
            Replica::<T>::decode(id(9), &replicas[at].encode(), &Limits::default()).expect("it decodes");
        prop_assert_eq!(read(&replicas[at]), read(&again));
    }
    exchange(&mut replicas);
    prop_assert!(replicas.windows(2).all(|two| read(&two[0]) == read(&two[1])));
    Ok(())
}

proptest! {
    #![proptest_config(cases(if cfg!(debug_assertions) { 64 } else { 1_000 }))]

    #[test]
    fn a_tree_is_a_function_of_its_bytes_and_holds_each_node_once(steps in vec(any::<Step>(), 0..60)) {
        is_a_function_of_its_bytes::<Tree<MvRegister<u8>>, _>(&steps, write_tree, |tree| {
            let nodes: Vec<NodeId> = tree.iter().map(|(id, _)| id).collect();
            let once: BTreeSet<NodeId> = nodes.iter().copied().collect();
            assert_eq!(nodes.len(), once.len());
            (tree.plain(), tree.trash().collect::<Vec<_>>())
        })?;
    }

    #[test]
    fn a_list_is_a_function_of_its_bytes(steps in vec(any::<Step>(), 0..60)) {
        is_a_function_of_its_bytes::<MovableList<MvRegister<u8>>, _>(&steps, write_list, |list| {
            let ids: Vec<_> = (0..list.len()).map(|at| list.id_at(at)).collect();
            assert!(ids.iter().enumerate().all(|(at, id)| id.and_then(|id| list.position(id)) == Some(at)));
            (list.plain(), ids)
        })?;
    }
}

/// What is left of elements that were deleted is all by which the key above them is there.
#[test]
fn forgetting_what_is_left_of_elements_takes_no_key_with_it() {
    type Lists = AddWinsMap<String, MovableList<MvRegister<u8>>>;
    type Trees = AddWinsMap<String, Tree<MvRegister<u8>>>;
    fn level<T: Crdt>(ann: &mut Replica<T>, bob: &mut Replica<T>) {
        ann.merge(bob.state()).unwrap();
        bob.merge(ann.state()).unwrap();
    }
    /// Until there is nothing more to forget.
    fn forgotten<T: Crdt>(ann: &mut Replica<T>, bob: &mut Replica<T>) {
        level(ann, bob);
        let before = ann.plain();
        for _ in 0..4 {
            let swept = ann.sweep(&bob.version());
            bob.merge(swept).unwrap();
            assert_eq!((ann.plain(), bob.plain()), (before.clone(), before.clone()));
            level(ann, bob);
        }
        assert_eq!(ann.encode(), bob.encode());
    }
    for moves in [false, true] {
        let (mut ann, mut bob) = (Replica::<Lists>::new(id(1)), Replica::<Lists>::new(id(2)));
        let _ = ann.update(|lists| (1..3).for_each(|n: u8| lists.at("b").push().set(n)));
        level(&mut ann, &mut bob);
        let _ = ann.update(|lists| {
            let mut list = lists.at("b");
            if moves { list.move_to(0, 1).unwrap() } else { list.at(0).unwrap().set(9) }
        });
        let _ = bob.update(|lists| lists.remove("b"));
        level(&mut ann, &mut bob);
        assert!(ann.contains_key("b") && ann.get("b").unwrap().is_empty());
        forgotten(&mut ann, &mut bob);
        assert!(ann.contains_key("b") && bob.contains_key("b"));
        // What is removed after that is gone, and nothing of it is left.
        let _ = bob.update(|lists| lists.remove("b"));
        forgotten(&mut ann, &mut bob);
        assert!(!ann.contains_key("b") && ann.garbage().items == 0);
    }
    let (mut ann, mut bob) = (Replica::<Trees>::new(id(1)), Replica::<Trees>::new(id(2)));
    let (node, _) = ann.update(|trees| {
        let mut tree = trees.at("b");
        let (node, mut value) = tree.push(None).unwrap();
        value.set(1);
        node
    });
    level(&mut ann, &mut bob);
    let _ = ann.update(|trees| trees.at("b").at(node).unwrap().set(9));
    let _ = bob.update(|trees| trees.remove("b"));
    forgotten(&mut ann, &mut bob);
    assert!(ann.contains_key("b") && ann.get("b").unwrap().is_empty());
}

/// As below one that was purged.
#[test]
fn what_is_made_below_a_node_that_goes_with_the_key_above_it_is_in_the_trash() {
    type Trees = AddWinsMap<String, Tree<MvRegister<u8>>>;
    let (mut ann, mut bob) = (Replica::<Trees>::new(id(1)), Replica::<Trees>::new(id(2)));
    let make = |tree: &mut Mut<'_, Tree<MvRegister<u8>>>, below| {
        let (node, mut value) = tree.push(below).unwrap();
        value.set(1);
        node
    };
    let (folder, made) = ann.update(|trees| make(&mut trees.at("b"), None));
    bob.merge(made).unwrap();
    let (page, made) = ann.update(|trees| make(&mut trees.at("b"), Some(folder)));
    let (_, removed) = bob.update(|trees| trees.remove("b"));
    ann.merge(removed).unwrap();
    bob.merge(made).unwrap();
    for tree in [ann.get("b"), bob.get("b")] {
        let tree = tree.unwrap();
        assert!(tree.is_empty() && tree.trash().eq([page]));
    }
    assert_eq!(ann.encode(), bob.encode());
}
