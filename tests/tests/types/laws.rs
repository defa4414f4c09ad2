//! The laws of joining, for every type: one line of `laws!` each.
//!
//! A failing case is printed, shrunk, and its seed is kept in `tests/tests/proptest-regressions/laws.txt`. To try more of them, set
//! `TOMBOLO_CASES` to how many times as many.

use proptest::collection::vec;
use proptest::prelude::*;
use tombolo_crdt::{
    AddWinsMap, AddWinsSet, BadNode, BoundedCounter, Crdt, Delta, DisableWinsFlag, Doc, EnableWinsFlag,
    GCounter, GMap, GSet, Limits, List, LwwMap, LwwRegister, MarkKind, MaxRegister, MinRegister, MovableList,
    Mut, MvRegister, NodeId, PnCounter, RemoveWinsSet, Replica, Scalar, Text, Tree, TwoPhaseSet,
};
use tombolo_tests::model::program::{World, id, programs};
use tombolo_tests::model::{cases, laws};

/// How many programs a law is tried with.
const CASES: u32 = 24;
/// How many steps a program has at most.
const STEPS: usize = 40;

macro_rules! laws {
    ($name:ident, $type:ty, $operation:expr, $apply:expr) => {
        laws!($name, $type, $operation, $apply, &[]);
    };
    // What an older program wrote arrives sooner or later as well.
    ($name:ident, $type:ty, $operation:expr, $apply:expr, $of_others:expr) => {
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(cases(CASES))]

                #[test]
                fn any_order_duplication_and_grouping_gives_the_same_state(
                    program in programs($operation, STEPS),
                    seed in any::<u64>(),
                ) {
                    let world = World::<$type, _>::run_beside($of_others, $apply, &program);
                    laws::any_order_any_duplication_any_grouping(&world, seed);
                }

                #[test]
                fn join_is_commutative_associative_and_idempotent(
                    program in programs($operation, STEPS),
                    seed in any::<u64>(),
                ) {
                    let world = World::<$type, _>::run_beside($of_others, $apply, &program);
                    laws::commutative_associative_idempotent(&world, seed);
                }

                #[test]
                fn states_are_joins_of_parts_and_answers_are_minimal(
                    program in programs($operation, STEPS),
                    seed in any::<u64>(),
                ) {
                    let world = World::<$type, _>::run_beside($of_others, $apply, &program);
                    laws::a_state_is_the_join_of_its_parts(&world, seed);
                    laws::answers_are_minimal(&world);
                    laws::what_was_forgotten_is_found(&world);
                    laws::pieces_and_what_came_since_are_the_state(&world);
                }

                #[test]
                fn bytes_go_there_and_back_and_answers_bring_level(
                    program in programs($operation, STEPS),
                    history in prop_oneof![Just(0_usize), 1..4_000_usize, Just(1 << 20)],
                ) {
                    let world = World::<$type, _>::run_beside($of_others, $apply, &program);
                    laws::bytes_go_there_and_back(&world);
                    laws::answers_bring_level(&world, history);
                }

                #[test]
                fn what_is_disowned_was_written_by_another(
                    program in programs($operation, STEPS),
                    ours in transactions($operation),
                    theirs in transactions($operation),
                ) {
                    let world = World::<$type, _>::run_beside($of_others, $apply, &program);
                    laws::what_is_disowned_was_written_by_another(&world, &ours, &theirs);
                    laws::counters_that_were_kept_are_joined_again(&world, &ours);
                }
            }
        }
    };
}

fn transactions<O: std::fmt::Debug + Clone + 'static>(
    operation: impl Strategy<Value = O> + Clone + 'static,
) -> impl Strategy<Value = Vec<Vec<O>>> {
    vec(vec(operation, 1..5), 0..6)
}

/// A key or value; more than the eight that are looked up one by one while a transaction is written.
fn small() -> impl Strategy<Value = u8> + Clone {
    prop_oneof![1 => 0..4_u8, 1 => 0..14_u8]
}

/// Amounts of which a few add up to more than a number holds, and those that lead back over its edge.
fn large_or_small() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![
        2 => any::<i64>(),
        2 => -5..5_i64,
        1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX]),
    ]
}

#[derive(Debug, Clone)]
enum SetOp {
    Add(u8),
    Remove(u8),
    Clear,
}

fn set_op() -> impl Strategy<Value = SetOp> + Clone {
    prop_oneof![
        6 => small().prop_map(SetOp::Add),
        3 => small().prop_map(SetOp::Remove),
        1 => Just(SetOp::Clear),
    ]
}

fn on_set(set: &mut Mut<'_, AddWinsSet<u8>>, op: &SetOp) {
    match op {
        SetOp::Add(element) => set.add(*element),
        SetOp::Remove(element) => drop(set.remove(element)),
        SetOp::Clear => set.clear(),
    }
}

fn on_remove_wins(set: &mut Mut<'_, RemoveWinsSet<u8>>, op: &SetOp) {
    match op {
        SetOp::Add(element) => set.add(*element),
        SetOp::Remove(element) => drop(set.remove(*element)),
        SetOp::Clear => set.clear(),
    }
}

fn on_two_phase(set: &mut Mut<'_, TwoPhaseSet<u8>>, op: &SetOp) {
    match op {
        SetOp::Add(element) => drop(set.add(*element)),
        SetOp::Remove(element) => drop(set.remove(element)),
        SetOp::Clear => drop(set.extend(0..4_u8)),
    }
}

fn on_lww_map(map: &mut Mut<'_, LwwMap<u8, String>>, op: &MapOp<u8>) {
    match op {
        MapOp::At(key, value) => map.set(*key, format!("a value too long to stand inline, {value}")),
        MapOp::Open(key) | MapOp::Remove(key) => drop(map.remove(key)),
        MapOp::Clear => map.clear(),
    }
}

/// Adds, takes, or passes on to somebody.
fn escrow_op() -> impl Strategy<Value = (u8, u8, u8)> + Clone {
    (0..3_u8, 0..9_u8, 0..5_u8)
}

fn on_bounded(counter: &mut Mut<'_, BoundedCounter>, (what, by, to): &(u8, u8, u8)) {
    let by = u64::from(*by);
    match what {
        0 => counter.inc(by),
        1 => drop(counter.dec(by)),
        _ => drop(counter.transfer(by, id(*to))),
    }
}

/// `None` clears.
fn register_op() -> impl Strategy<Value = Option<u8>> + Clone {
    prop_oneof![4 => any::<u8>().prop_map(Some), 1 => Just(None)]
}

fn on_mv(register: &mut Mut<'_, MvRegister<u8>>, op: &Option<u8>) {
    match op {
        Some(value) => register.set(*value),
        None => register.clear(),
    }
}

fn on_lww(register: &mut Mut<'_, LwwRegister<u8>>, op: &Option<u8>) {
    match op {
        Some(value) => register.set(*value),
        None => register.clear(),
    }
}

#[derive(Debug, Clone)]
enum MapOp<O> {
    /// Writes below a key.
    At(u8, O),
    /// Opens a key and writes nothing.
    Open(u8),
    Remove(u8),
    Clear,
}

fn map_op<O: std::fmt::Debug + Clone + 'static>(
    below: impl Strategy<Value = O> + Clone + 'static,
) -> impl Strategy<Value = MapOp<O>> + Clone {
    prop_oneof![
        9 => (small(), below).prop_map(|(key, op)| MapOp::At(key, op)),
        1 => small().prop_map(MapOp::Open),
        4 => small().prop_map(MapOp::Remove),
        1 => Just(MapOp::Clear),
    ]
}

fn on_map<V: Crdt, O>(
    map: &mut Mut<'_, AddWinsMap<u8, V>>,
    op: &MapOp<O>,
    below: impl FnOnce(&mut V::Mut<'_>, &O),
) {
    match op {
        MapOp::At(key, op) => below(&mut map.at(*key), op),
        MapOp::Open(key) => drop(map.at(*key)),
        MapOp::Remove(key) => drop(map.remove(key)),
        MapOp::Clear => map.clear(),
    }
}

#[derive(Debug, Clone)]
enum TextOp {
    /// At a place that is taken modulo the length.
    Insert(u8, &'static str),
    Push(&'static str),
    Delete(u8, u8),
    Replace(u8, u8, &'static str),
    Become(&'static str),
    /// Of which kind, and with what it says.
    Mark(u8, u8, u8, Scalar),
    Clear,
}

fn text_op() -> impl Strategy<Value = TextOp> + Clone {
    let part = prop::sample::select(vec!["a", "bc", "def", "\u{e9}", "x\u{1f44d}\u{1f3fd}y", "e\u{301}"]);
    prop_oneof![
        4 => (any::<u8>(), part.clone()).prop_map(|(at, text)| TextOp::Insert(at, text)),
        3 => part.clone().prop_map(TextOp::Push),
        3 => (any::<u8>(), 1..6_u8).prop_map(|(at, count)| TextOp::Delete(at, count)),
        1 => (any::<u8>(), 1..6_u8, part).prop_map(|(at, count, text)| TextOp::Replace(at, count, text)),
        1 => prop::sample::select(vec!["a bc def", "a b\n def a"]).prop_map(TextOp::Become),
        3 => (any::<u8>(), 1..6_u8, 0..3_u8, prop::sample::select(vec![Scalar::Null, true.into(), "x".into()]))
            .prop_map(|(at, count, kind, value)| TextOp::Mark(at, count, kind, value)),
        1 => Just(TextOp::Clear),
    ]
}

fn on_text(text: &mut Mut<'_, Text>, op: &TextOp) {
    let place = |at: u8| usize::from(at) % (text.len() + 1);
    let range = |at: u8, count: u8| place(at)..(place(at) + usize::from(count)).min(text.len());
    match op {
        TextOp::Insert(at, part) => text.insert(place(*at), part).expect("there is such a place"),
        TextOp::Push(part) => text.push(part),
        TextOp::Delete(at, count) => text.delete(range(*at, *count)).expect("there is such a part"),
        TextOp::Replace(at, count, part) => {
            text.replace(range(*at, *count), part).expect("there is such a part");
        }
        TextOp::Become(content) => text.replace_content(content),
        TextOp::Mark(at, count, kind, value) => {
            let kinds = [MarkKind::BOLD, MarkKind::LINK, MarkKind::comment("1")];
            let kind = kinds[usize::from(*kind)].clone();
            text.mark(range(*at, *count), kind, value.clone()).expect("there is such a part");
        }
        TextOp::Clear => text.clear(),
    }
}

fn on_list(list: &mut Mut<'_, List<String>>, op: &TextOp) {
    let place = |at: u8| usize::from(at) % (list.len() + 1);
    let range = |at: u8, count: u8| place(at)..(place(at) + usize::from(count)).min(list.len());
    match op {
        TextOp::Insert(at, part) => list.insert(place(*at), *part).expect("there is such a place"),
        TextOp::Push(part) => list.extend(part.split("")),
        TextOp::Delete(at, count) => list.delete(range(*at, *count)).expect("there is such a part"),
        TextOp::Replace(at, count, part) => {
            list.replace(range(*at, *count), [*part, ""]).expect("there is such a part");
        }
        TextOp::Become(content) if list.is_empty() => list.extend(content.split(' ')),
        TextOp::Become(content) => list.set(list.len() - 1, *content).expect("there is a last one"),
        TextOp::Mark(..) => {}
        TextOp::Clear => list.clear(),
    }
}

#[derive(Debug, Clone)]
enum PlacedOp {
    /// Below the how-manieth node, at what place, and what it holds.
    Make(u8, u8, u8),
    Write(u8, Option<u8>),
    Move(u8, u8, u8),
    MoveMany(u8, u8, u8),
    Delete(u8),
    Restore(u8),
    Purge(u8),
    Clear,
}

fn placed_op() -> impl Strategy<Value = PlacedOp> + Clone {
    let any = any::<u8>;
    prop_oneof![
        5 => (any(), any(), small()).prop_map(|(under, at, value)| PlacedOp::Make(under, at, value)),
        2 => (any(), prop::option::weighted(0.8, small())).prop_map(|(node, value)| PlacedOp::Write(node, value)),
        6 => (any(), any(), any()).prop_map(|(node, under, at)| PlacedOp::Move(node, under, at)),
        1 => (any(), any(), any()).prop_map(|(from, len, to)| PlacedOp::MoveMany(from, len, to)),
        2 => any().prop_map(PlacedOp::Delete),
        1 => any().prop_map(PlacedOp::Restore),
        1 => any().prop_map(PlacedOp::Purge),
        1 => prop::bool::weighted(0.2).prop_map(|all| if all { PlacedOp::Clear } else { PlacedOp::Delete(0) }),
    ]
}

fn write(mut value: Mut<'_, MvRegister<u8>>, what: Option<u8>) {
    match what {
        Some(what) => value.set(what),
        None => value.clear(),
    }
}

fn on_movable(list: &mut Mut<'_, MovableList<MvRegister<u8>>>, op: &PlacedOp) {
    let place = |at: u8| usize::from(at) % (list.len() + 1);
    match op {
        PlacedOp::Make(_, at, value) => {
            write(list.insert(place(*at)).expect("there is such a place"), Some(*value));
        }
        _ if list.is_empty() => {}
        PlacedOp::Write(at, value) => {
            write(list.at(usize::from(*at) % list.len()).expect("there is such an element"), *value);
        }
        PlacedOp::Move(from, _, to) => {
            let (from, to) = (usize::from(*from) % list.len(), usize::from(*to) % list.len());
            let id = list.id_at(from);
            list.move_to(from, to).expect("there are such elements");
            assert_eq!(list.id_at(to), id);
        }
        PlacedOp::MoveMany(from, len, to) => {
            let start = place(*from);
            let len = usize::from(*len % 4).min(list.len() - start);
            let to = usize::from(*to) % (list.len() - len + 1);
            let ids: Vec<_> = (start..start + len).map(|at| list.id_at(at)).collect();
            list.move_range(start..start + len, to).expect("there is such a part");
            assert_eq!((to..to + len).map(|at| list.id_at(at)).collect::<Vec<_>>(), ids);
        }
        PlacedOp::Restore(at) => {
            let (start, len) = (place(*at), list.len());
            let part = start..len.min(start + usize::from(*at % 3));
            let done = list.replace(part, [*at % 4, 3], |value, what| write(value, Some(what)));
            done.expect("there is such a part");
        }
        PlacedOp::Delete(at) | PlacedOp::Purge(at) => {
            list.remove(usize::from(*at) % list.len()).expect("there is such an element");
        }
        PlacedOp::Clear => list.clear(),
    }
}

fn on_list_of_maps(list: &mut Mut<'_, MovableList<Doc>>, op: &PlacedOp) {
    let len = list.len();
    match op {
        PlacedOp::Make(_, at, value) => {
            let mut map = list.insert(usize::from(*at) % (len + 1)).expect("there is such a place");
            map.register("what").set(i64::from(*value));
        }
        PlacedOp::Move(from, _, to) if len > 0 => {
            list.move_to(usize::from(*from) % len, usize::from(*to) % len).expect("there are such elements");
        }
        PlacedOp::Write(at, Some(value)) if len > 0 => {
            let mut map = list.at(usize::from(*at) % len).expect("there is such an element");
            map.counter("votes").inc(u64::from(*value));
        }
        PlacedOp::Delete(at) if len > 0 => {
            list.remove(usize::from(*at) % len).expect("there is such an element")
        }
        _ => {}
    }
}

fn on_tree_of_maps(tree: &mut Mut<'_, Tree<Doc>>, op: &PlacedOp) {
    let nodes: Vec<NodeId> = tree.iter().map(|(id, _)| id).chain(tree.trash()).collect();
    let pick = |nth: u8| nodes.get(usize::from(nth) % (nodes.len() + 1)).copied();
    // What cannot be done changes nothing.
    let _ = match op {
        PlacedOp::Make(under, _, value) => {
            tree.push(pick(*under)).map(|(_, mut map)| map.register("what").set(i64::from(*value)))
        }
        PlacedOp::Move(node, under, at) => {
            pick(*node).map_or(Ok(()), |id| tree.move_to(id, pick(*under), usize::from(*at) % 3))
        }
        PlacedOp::Delete(node) => pick(*node).map_or(Ok(()), |id| tree.delete(id)),
        PlacedOp::Purge(node) => pick(*node).map_or(Ok(()), |id| tree.purge(id)),
        _ => Ok(()),
    };
}

fn on_tree(tree: &mut Mut<'_, Tree<MvRegister<u8>>>, op: &PlacedOp) {
    let nodes: Vec<NodeId> = tree.iter().map(|(id, _)| id).collect();
    let trash: Vec<NodeId> = tree.trash().collect();
    // One more than there are: nothing.
    let pick = |nth: u8, of: &[NodeId]| of.get(usize::from(nth) % (of.len() + 1)).copied();
    let place =
        |tree: &Tree<MvRegister<u8>>, parent, at: u8| usize::from(at) % (tree.count_children(parent) + 1);
    match op {
        PlacedOp::Make(under, at, value) => {
            let parent = pick(*under, &nodes);
            let at = place(tree, parent, *at);
            let (id, value_of) = tree.insert(parent, at).expect("there is such a place");
            write(value_of, Some(*value));
            assert_eq!((tree.position(id), tree.parent(id)), (Some(at), parent));
        }
        PlacedOp::Write(node, value) => {
            if let Some(id) = pick(*node, &nodes) {
                write(tree.at(id).expect("it is there"), *value);
            }
        }
        PlacedOp::Move(node, under, at) | PlacedOp::MoveMany(node, under, at) => {
            let (Some(id), parent) = (pick(*node, &nodes), pick(*under, &nodes)) else { return };
            let at = place(tree, parent, *at);
            match tree.move_to(id, parent, at) {
                Ok(()) => assert_eq!((tree.position(id), tree.parent(id)), (Some(at), parent)),
                Err(BadNode::BelowItself(_) | BadNode::BeyondEnd { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        PlacedOp::Delete(node) => {
            if let Some(id) = pick(*node, &nodes) {
                tree.delete(id).expect("it is there");
                assert!(!tree.contains(id) && tree.trash().any(|other| other == id));
            }
        }
        PlacedOp::Restore(node) => {
            if let Some(id) = pick(*node, &trash) {
                tree.restore(id).expect("it is in the trash");
                assert!(tree.contains(id));
            }
        }
        PlacedOp::Purge(node) => {
            if let Some(id) = pick(*node, &trash).or_else(|| pick(*node, &nodes)) {
                tree.purge(id).expect("it is there");
                assert!(tree.get(id).is_none());
            }
        }
        PlacedOp::Clear => _ = tree.empty_trash(),
    }
    let sound: Vec<(NodeId, usize)> = tree.iter().collect();
    assert!(
        sound.iter().all(|(id, depth)| tree.contains(*id) && tree.parent(*id).is_none() == (*depth == 0))
    );
}

#[derive(Debug, Clone)]
enum DocOp {
    Counter(i8),
    GrowCounter(u8),
    Flag(bool),
    Register(u8),
    Lww(u8),
    Set(SetOp),
    GrowSet(u8),
    DisableWinsFlag(bool),
    Extreme(bool, u8),
    Remembering(bool, SetOp),
    LwwMap(u8, Option<u8>),
    Text(TextOp),
    List(u8, Option<u8>),
    Movable(PlacedOp),
    Tree(PlacedOp),
    Open,
    RemoveKind(u8),
    Remove,
}

/// A path of names, and what is done at its end.
fn doc_op() -> impl Strategy<Value = (Vec<u8>, u8, DocOp)> + Clone {
    let op = prop_oneof![
        2 => any::<i8>().prop_map(DocOp::Counter),
        1 => any::<u8>().prop_map(DocOp::GrowCounter),
        1 => any::<bool>().prop_map(DocOp::Flag),
        2 => any::<u8>().prop_map(DocOp::Register),
        2 => any::<u8>().prop_map(DocOp::Lww),
        2 => set_op().prop_map(DocOp::Set),
        1 => any::<u8>().prop_map(DocOp::GrowSet),
        1 => any::<bool>().prop_map(DocOp::DisableWinsFlag),
        2 => (any::<bool>(), any::<u8>()).prop_map(|(max, value)| DocOp::Extreme(max, value)),
        2 => (any::<bool>(), set_op()).prop_map(|(two_phase, op)| DocOp::Remembering(two_phase, op)),
        1 => (small(), prop::option::of(small())).prop_map(|(key, value)| DocOp::LwwMap(key, value)),
        2 => text_op().prop_map(DocOp::Text),
        1 => (any::<u8>(), prop::option::of(small())).prop_map(|(at, value)| DocOp::List(at, value)),
        1 => placed_op().prop_map(DocOp::Movable),
        1 => placed_op().prop_map(DocOp::Tree),
        1 => Just(DocOp::Open),
        1 => (0..17_u8).prop_map(DocOp::RemoveKind),
        3 => Just(DocOp::Remove),
    ];
    (vec(0..2_u8, 0..3), 0..3_u8, op)
}

const NAMES: [&str; 3] = ["ann", "bob", "the third name of a document"];

fn on_doc(doc: &mut Mut<'_, Doc>, (path, name, op): &(Vec<u8>, u8, DocOp)) {
    let mut doc = doc.by_ref().at_path(path.iter().map(|name| NAMES[usize::from(*name)]));
    let name = NAMES[usize::from(*name)];
    match op {
        DocOp::Counter(by) => doc.counter(name).add(i64::from(*by)),
        DocOp::GrowCounter(by) => doc.grow_counter(name).inc(u64::from(*by)),
        DocOp::Flag(true) => doc.flag(name).enable(),
        DocOp::Flag(false) => doc.flag(name).disable(),
        DocOp::Register(value) => doc.register(name).set(i64::from(*value)),
        DocOp::Lww(value) => doc.lww(name).set(f64::from(*value)),
        DocOp::Set(SetOp::Add(element)) => doc.set(name).add(i64::from(*element)),
        DocOp::Set(SetOp::Remove(element)) => drop(doc.set(name).remove(&Scalar::from(i64::from(*element)))),
        DocOp::Set(SetOp::Clear) => doc.set(name).clear(),
        DocOp::GrowSet(element) => doc.grow_set(name).add(vec![*element]),
        DocOp::DisableWinsFlag(true) => doc.disable_wins_flag(name).enable(),
        DocOp::DisableWinsFlag(false) => doc.disable_wins_flag(name).disable(),
        DocOp::Extreme(true, value) => doc.max(name).set(i64::from(*value)),
        DocOp::Extreme(false, value) => doc.min(name).set(f64::from(*value)),
        DocOp::Remembering(false, SetOp::Add(element)) => doc.remove_wins_set(name).add(i64::from(*element)),
        DocOp::Remembering(false, SetOp::Remove(element)) => {
            _ = doc.remove_wins_set(name).remove(i64::from(*element));
        }
        DocOp::Remembering(false, SetOp::Clear) => doc.remove_wins_set(name).clear(),
        DocOp::Remembering(true, SetOp::Remove(element)) => {
            _ = doc.two_phase_set(name).remove(&i64::from(*element).into());
        }
        DocOp::Remembering(true, SetOp::Add(element)) => {
            _ = doc.two_phase_set(name).add(i64::from(*element));
        }
        DocOp::Remembering(true, SetOp::Clear) => _ = doc.two_phase_set(name).extend(0..3_i64),
        DocOp::LwwMap(key, Some(value)) => doc.lww_map(name).set(key.to_string(), i64::from(*value)),
        DocOp::LwwMap(key, None) => drop(doc.lww_map(name).remove(&key.to_string()[..])),
        DocOp::Text(op) => on_text(&mut doc.text(name), op),
        DocOp::List(at, value) => {
            let mut list = doc.list(name);
            let at = usize::from(*at) % (list.len() + 1);
            match value {
                Some(value) => list.insert(at, i64::from(*value)).expect("there is such a place"),
                None => drop(list.remove(at)),
            }
        }
        DocOp::Movable(op) => on_list_of_maps(&mut doc.movable_list(name), op),
        DocOp::Tree(op) => on_tree_of_maps(&mut doc.tree(name), op),
        DocOp::Open => drop(doc.map(name)),
        DocOp::RemoveKind(kind) => {
            let kinds: Vec<_> = doc.get(name).map(|entry| entry.kinds().collect()).unwrap_or_default();
            if let Some(at) = usize::from(*kind).checked_rem(kinds.len()) {
                // One that was only opened is listed until the transaction ends, and is not there to be removed.
                let _ = doc.remove_kind(name, kinds[at]);
            }
        }
        DocOp::Remove => drop(doc.remove(name)),
    }
}

#[derive(Crdt)]
struct Board {
    #[crdt(lww)]
    name: String,
    visits: PnCounter,
    cards: AddWinsMap<u8, Card>,
}

#[derive(Crdt)]
struct Card {
    #[crdt(lww)]
    title: String,
    #[crdt(mv)]
    colour: u8,
    done: EnableWinsFlag,
    votes: PnCounter,
    labels: AddWinsSet<u8>,
}

#[derive(Crdt)]
enum Shape {
    Circle {
        #[crdt(lww)]
        radius: u8,
        marks: AddWinsSet<u8>,
    },
    Square(PnCounter),
    Nowhere,
}

/// Which variant is chosen or written to, and what with.
fn shape_op() -> impl Strategy<Value = (u8, u8)> + Clone {
    (0..7_u8, any::<u8>())
}

fn on_shape(shape: &mut ShapeMut<'_>, (what, value): &(u8, u8)) {
    match what {
        0 => shape.choose_circle().radius().set(*value),
        1 => shape.choose_circle().marks().add(value % 4),
        2 => shape.choose_square().field_0().inc(1),
        3 => shape.choose_nowhere(),
        4 => drop(shape.choose_square()),
        5 => {
            if let Some(mut circle) = shape.circle() {
                circle.marks().remove(&(value % 4));
            }
        }
        _ => {
            if let Some(mut square) = shape.square() {
                square.field_0().dec(1);
            }
        }
    }
}

/// A struct of which fields have or had other names, one that another's is now, and defaults that are read and never written.
#[derive(Crdt)]
struct Renamed {
    #[crdt(lww, rename = "name", default = "nothing yet".to_owned())]
    title: String,
    #[crdt(alias = "labels", alias = "even older")]
    tags: AddWinsMap<u8, MvRegister<u8>>,
    #[crdt(alias = "votes")]
    count: PnCounter,
    #[crdt(max, rename = "count_of_all", alias = "most", default = 3)]
    largest: u8,
}

/// The same as it was before anything was renamed.
#[derive(Crdt)]
#[crdt(name = "Renamed")]
struct Original {
    #[crdt(lww)]
    name: String,
    labels: AddWinsMap<u8, MvRegister<u8>>,
    votes: PnCounter,
    #[crdt(max)]
    most: u8,
}

/// Where, and what is written.
fn renamed_op() -> impl Strategy<Value = (u8, MapOp<Option<u8>>)> + Clone {
    (0..6_u8, map_op(register_op()))
}

fn on_renamed(value: &mut RenamedMut<'_>, (field, op): &(u8, MapOp<Option<u8>>)) {
    match (field, op) {
        (0, MapOp::At(key, Some(value_now))) => value.title().set(format!("{key} {value_now}")),
        (0, MapOp::At(..)) => value.title().clear(),
        (1, MapOp::At(_, by)) => value.count().add(i64::from(by.unwrap_or(0)) - 100),
        (2, MapOp::At(_, Some(offer))) => value.largest().set(*offer),
        (_, op) => on_map(&mut value.tags(), op, on_mv),
    }
}

fn on_original(value: &mut OriginalMut<'_>, (field, op): &(u8, MapOp<Option<u8>>)) {
    match (field, op) {
        (0, MapOp::At(key, Some(value_now))) => value.name().set(format!("{key} {value_now}")),
        (0, MapOp::At(..)) => value.name().clear(),
        (1, MapOp::At(_, by)) => value.votes().add(i64::from(by.unwrap_or(0)) - 100),
        (2, MapOp::At(_, Some(offer))) => value.most().set(*offer),
        (_, op) => on_map(&mut value.labels(), op, on_mv),
    }
}

/// What two replicas of an old program wrote, some of it at once and some after the other, as a new one reads it.
fn by_old_programs<Old: Crdt, New: Crdt>(
    write: impl for<'a> Fn(&mut Old::Mut<'a>, &(u8, MapOp<Option<u8>>), u8),
) -> Vec<Delta<New>> {
    let (mut ann, mut bob) = (Replica::<Old>::new(id(100)), Replica::<Old>::new(id(101)));
    let mut written: Vec<Delta<Old>> = Vec::new();
    for round in 0..3_u8 {
        let mut of_round = Vec::new();
        for (who, replica) in [&mut ann, &mut bob].into_iter().enumerate() {
            let (_, delta) = replica.update(|value| {
                for key in 0..3 {
                    let op = MapOp::At(key, Some(10 * round + who as u8));
                    (0..4).for_each(|field| write(value, &(field, op.clone()), key));
                }
                write(value, &(3, MapOp::Remove(round)), 0);
                write(value, &(3, MapOp::At(round, None)), 1);
            });
            of_round.push(delta);
        }
        ann.merge(of_round[1].clone()).expect("there is room");
        // Bob does not hear of everything.
        if round == 1 {
            bob.merge(written[0].clone()).expect("there is room");
            bob.merge(of_round[0].clone()).expect("there is room");
        }
        written.extend(of_round);
    }
    let limits = Limits::default();
    written
        .iter()
        .map(|delta| Delta::decode(&delta.encode(), &limits).expect("it is of the same name"))
        .collect()
}

/// A pair of anything, one of it below keys that stay.
#[derive(Crdt)]
struct Pair<C: Crdt<State: Clone>>(C, GMap<u8, C>);

#[derive(Debug, Clone)]
enum BoardOp {
    Name(u8),
    Visit(i8),
    Card(MapOp<CardOp>),
}

#[derive(Debug, Clone)]
enum CardOp {
    Title(u8),
    Colour(Option<u8>),
    Done(bool),
    Vote(i8),
    Labels(SetOp),
}

fn board_op() -> impl Strategy<Value = BoardOp> + Clone {
    let card = prop_oneof![
        any::<u8>().prop_map(CardOp::Title),
        register_op().prop_map(CardOp::Colour),
        any::<bool>().prop_map(CardOp::Done),
        any::<i8>().prop_map(CardOp::Vote),
        set_op().prop_map(CardOp::Labels),
    ];
    prop_oneof![
        1 => any::<u8>().prop_map(BoardOp::Name),
        1 => any::<i8>().prop_map(BoardOp::Visit),
        8 => map_op(card).prop_map(BoardOp::Card),
    ]
}

fn on_board(board: &mut BoardMut<'_>, op: &BoardOp) {
    match op {
        BoardOp::Name(name) => board.name().set(format!("board {name}")),
        BoardOp::Visit(by) => board.visits().add(i64::from(*by)),
        BoardOp::Card(op) => on_map(&mut board.cards(), op, |card, op| match op {
            CardOp::Title(title) => card.title().set(format!("a title too long to stand inline, {title}")),
            CardOp::Colour(op) => on_mv(&mut card.colour(), op),
            CardOp::Done(true) => card.done().enable(),
            CardOp::Done(false) => card.done().disable(),
            CardOp::Vote(by) => card.votes().add(i64::from(*by)),
            CardOp::Labels(op) => on_set(&mut card.labels(), op),
        }),
    }
}

laws!(g_counter, GCounter, 0..5_u64, |counter, by| counter.inc(*by));
laws!(pn_counter, PnCounter, -5..5_i64, |counter, by| counter.add(*by));
laws!(g_counter_of_any_size, GCounter, large_or_small(), |counter, by| counter.inc(*by as u64));
laws!(pn_counter_of_any_size, PnCounter, large_or_small(), |counter, by| counter.add(*by));
laws!(map_of_counters_of_any_size, AddWinsMap<u8, PnCounter>, map_op(large_or_small()), |map, op| {
    on_map(map, op, |counter, by| counter.add(*by));
});
laws!(enable_wins_flag, EnableWinsFlag, any::<bool>(), |flag, on| if *on {
    flag.enable()
} else {
    flag.disable()
});
laws!(disable_wins_flag, DisableWinsFlag, any::<bool>(), |flag, on| if *on {
    flag.enable()
} else {
    flag.disable()
});
laws!(bounded_counter, BoundedCounter, escrow_op(), on_bounded);
laws!(max_register, MaxRegister<u8>, any::<u8>(), |register, value| register.set(*value));
laws!(min_register, MinRegister<u8>, any::<u8>(), |register, value| register.set(*value));
laws!(remove_wins_set, RemoveWinsSet<u8>, set_op(), on_remove_wins);
laws!(two_phase_set, TwoPhaseSet<u8>, set_op(), on_two_phase);
laws!(lww_map, LwwMap<u8, String>, map_op(small()), on_lww_map);
laws!(text, Text, text_op(), on_text);
laws!(map_of_texts, AddWinsMap<u8, Text>, map_op(text_op()), |map, op| on_map(map, op, on_text));
laws!(list, List<String>, text_op(), on_list);
laws!(map_of_lists, AddWinsMap<u8, List<String>>, map_op(text_op()), |map, op| on_map(map, op, on_list));
laws!(movable_list, MovableList<MvRegister<u8>>, placed_op(), on_movable);
laws!(map_of_movable_lists, AddWinsMap<u8, MovableList<MvRegister<u8>>>, map_op(placed_op()), |map, op| {
    on_map(map, op, on_movable);
});
laws!(tree, Tree<MvRegister<u8>>, placed_op(), on_tree);
laws!(map_of_trees, AddWinsMap<u8, Tree<MvRegister<u8>>>, map_op(placed_op()), |map, op| {
    on_map(map, op, on_tree);
});
laws!(lww_register, LwwRegister<u8>, register_op(), on_lww);
laws!(mv_register, MvRegister<u8>, register_op(), on_mv);
laws!(g_set, GSet<u8>, small(), |set, element| set.add(*element));
laws!(add_wins_set, AddWinsSet<u8>, set_op(), on_set);
laws!(map_of_counters, AddWinsMap<u8, PnCounter>, map_op(-5..5_i64), |map, op| {
    on_map(map, op, |counter, by| counter.add(*by));
});
laws!(grow_only_map_of_counters, GMap<u8, PnCounter>, (small(), -5..5_i64), |map, (key, by)| {
    map.at(*key).add(*by);
});
laws!(grow_only_map_of_bounded, GMap<u8, BoundedCounter>, (0..3_u8, escrow_op()), |map, (key, op)| {
    on_bounded(&mut map.at(*key), op);
});
laws!(map_of_grow_only_maps, AddWinsMap<u8, GMap<u8, PnCounter>>, map_op((small(), -5..5_i64)), |map, op| {
    on_map(map, op, |map, (key, by)| map.at(*key).add(*by));
});
laws!(map_of_disable_wins_flags, AddWinsMap<u8, DisableWinsFlag>, map_op(any::<bool>()), |map, op| {
    on_map(map, op, |flag, on| if *on { flag.enable() } else { flag.disable() });
});
laws!(map_of_max_registers, AddWinsMap<u8, MaxRegister<u8>>, map_op(any::<u8>()), |map, op| {
    on_map(map, op, |register, value| register.set(*value));
});
laws!(map_of_remove_wins_sets, AddWinsMap<u8, RemoveWinsSet<u8>>, map_op(set_op()), |map, op| {
    on_map(map, op, on_remove_wins);
});
laws!(map_of_two_phase_sets, AddWinsMap<u8, TwoPhaseSet<u8>>, map_op(set_op()), |map, op| {
    on_map(map, op, on_two_phase);
});
laws!(map_of_lww_maps, AddWinsMap<u8, LwwMap<u8, String>>, map_op(map_op(small())), |map, op| {
    on_map(map, op, on_lww_map);
});
laws!(map_of_grow_only, AddWinsMap<u8, GSet<u8>>, map_op(small()), |map, op| {
    on_map(map, op, |set, element| set.add(*element));
});
laws!(map_of_sets, AddWinsMap<u8, AddWinsSet<u8>>, map_op(set_op()), |map, op| on_map(map, op, on_set));
laws!(map_of_lww_registers, AddWinsMap<u8, LwwRegister<u8>>, map_op(register_op()), |map, op| {
    on_map(map, op, on_lww);
});
laws!(
    map_of_maps_of_mv_registers,
    AddWinsMap<u8, AddWinsMap<u8, MvRegister<u8>>>,
    map_op(map_op(register_op())),
    |map, op| on_map(map, op, |map, op| on_map(map, op, on_mv))
);
laws!(doc, Doc, doc_op(), on_doc);
laws!(derived_struct, Board, board_op(), on_board);
laws!(
    derived_struct_of_renamed_fields,
    Renamed,
    renamed_op(),
    on_renamed,
    &by_old_programs::<Original, Renamed>(|value, op, _| on_original(value, op))
);
laws!(
    map_of_structs_of_renamed_fields,
    AddWinsMap<u8, Renamed>,
    map_op(renamed_op()),
    |map, op| on_map(map, op, on_renamed),
    &by_old_programs::<AddWinsMap<u8, Original>, AddWinsMap<u8, Renamed>>(|map, op, key| {
        on_original(&mut map.at(key), op);
    })
);
laws!(derived_enum, Shape, shape_op(), on_shape);
laws!(map_of_derived_enums, AddWinsMap<u8, Shape>, map_op(shape_op()), |map, op| on_map(map, op, on_shape));
laws!(derived_generic_tuple, Pair<Shape>, (any::<bool>(), small(), shape_op()), |pair, (first, key, op)| {
    if *first { on_shape(&mut pair.field_0(), op) } else { on_shape(&mut pair.field_1().at(*key), op) }
});

mod outline;
