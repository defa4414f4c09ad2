//! Trees.

use tombolo_crdt::{BadNode, MvRegister, NodeId, Tree};

use super::*;

type Nodes = Tree<MvRegister<u8>>;

/// What can be done. Nodes and places are picked by numbers from those that there are.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Below what, where there, and what is written to it: if nothing, the transaction is over.
    Insert(u8, u8, Option<u8>),
    Move(u8, u8, u8),
    Delete(u8),
    Restore(u8),
    Purge(u8),
    EmptyTrash,
    Write(u8, u8),
    Clear(u8),
}

fn op() -> impl Strategy<Value = Op> + Clone {
    let any = any::<u8>;
    prop_oneof![
        6 => (any(), any(), prop::option::weighted(0.9, any())).prop_map(|(under, at, value)| Op::Insert(under, at, value)),
        12 => (any(), any(), any()).prop_map(|(node, under, at)| Op::Move(node, under, at)),
        3 => any().prop_map(Op::Delete),
        2 => any().prop_map(Op::Restore),
        2 => any().prop_map(Op::Purge),
        1 => Just(Op::EmptyTrash),
        2 => (any(), any()).prop_map(|(node, value)| Op::Write(node, value)),
        1 => any().prop_map(Op::Clear),
    ]
}

/// Hardly anything but moves.
fn moves() -> impl Strategy<Value = Op> + Clone {
    let any = any::<u8>;
    prop_oneof![
        1 => (any(), any(), any()).prop_map(|(under, at, value)| Op::Insert(under, at, Some(value))),
        16 => (any(), any(), any()).prop_map(|(node, under, at)| Op::Move(node, under, at)),
        2 => any().prop_map(Op::Delete),
        1 => any().prop_map(Op::Restore),
        2 => any().prop_map(Op::Purge),
        1 => any().prop_map(Op::Clear),
    ]
}

/// Some nodes that stand below nothing, or one below the other.
fn some_nodes() -> impl Strategy<Value = Vec<Op>> {
    vec((prop::bool::ANY, any::<u8>()), 3..6).prop_map(|nodes| {
        let under = |(nth, is_below): (usize, bool)| if is_below { 8 * nth as u8 - 8 } else { 8 * nth as u8 };
        let insert = |(nth, (is_below, value))| Op::Insert(under((nth, is_below && nth > 0)), 0, Some(value));
        nodes.into_iter().enumerate().map(insert).collect()
    })
}

/// Why something is refused.
#[derive(PartialEq, Debug)]
enum Refusal {
    Absent(Element),
    BelowItself(Element),
    BeyondEnd(usize),
}

/// A node by a number: as a rule one that is there, else any that ever was. Or none, if it may be none.
fn pick(reading: &Reading, made: usize, number: u8, may_be_none: bool) -> Option<Element> {
    let number = usize::from(number);
    let any: Vec<Element> = (0..made).collect();
    let there: Vec<Element> = reading.standing.keys().copied().collect();
    let from = if number % 8 == 7 || there.is_empty() { any } else { there };
    from.get(number / 8 % (from.len() + usize::from(may_be_none)).max(1)).copied()
}

/// What a node can be moved below, by a number; as a rule it can.
fn pick_above(reading: &Reading, node: Element, made: usize, number: u8) -> Option<Element> {
    let number = usize::from(number);
    if number % 8 == 7 {
        return pick(reading, made, number as u8 / 8 * 8, true);
    }
    let may = |other: &Element| {
        let (way, is_in) = reading.way_up(*other);
        is_in && !way.contains(&node)
    };
    let from: Vec<Element> = reading.standing.keys().copied().filter(may).collect();
    from.get(number / 8 % (from.len() + 1)).copied()
}

/// Whether something can be put below this.
fn check_parent(reading: &Reading, parent: Option<Element>, of: Option<Element>) -> Result<(), Refusal> {
    let Some(parent) = parent else { return Ok(()) };
    let (way, is_in) = reading.way_up(parent);
    match of {
        _ if way.is_empty() => Err(Refusal::Absent(parent)),
        Some(of) if way.contains(&of) => Err(Refusal::BelowItself(of)),
        _ if !is_in => Err(Refusal::Absent(parent)),
        _ => Ok(()),
    }
}

/// Each does what the author is to do, if it can be done.
impl Writer<'_, '_, NodeId> {
    fn try_move(&mut self, node: Element, parent: Option<Element>, at: usize) -> Result<(), Refusal> {
        let reading = self.read();
        let of = reading.standing.get(&node).ok_or(Refusal::Absent(node))?;
        check_parent(&reading, parent, Some(node))?;
        let under = Under::of(parent);
        let len = reading.below(under).len() - usize::from(of.under == under);
        if at > len {
            return Err(Refusal::BeyondEnd(len));
        }
        self.move_to(node, parent, at);
        Ok(())
    }

    fn try_delete(&mut self, node: Element) -> Result<(), Refusal> {
        if !self.read().contains(node) {
            return Err(Refusal::Absent(node));
        }
        self.delete(node);
        Ok(())
    }

    fn try_restore(&mut self, node: Element) -> Result<(), Refusal> {
        if !self.trash().contains(&node) {
            return Err(Refusal::Absent(node));
        }
        self.restore(node);
        Ok(())
    }

    fn try_purge(&mut self, node: Element) -> Result<(), Refusal> {
        if !self.read().is_there(node) {
            return Err(Refusal::Absent(node));
        }
        self.purge_all(node);
        Ok(())
    }

    fn empty_trash(&mut self) -> usize {
        self.trash().into_iter().filter(|node| self.try_purge(*node).is_ok()).count()
    }
}

impl Moved for Nodes {
    type Id = NodeId;
    type Op = Op;

    fn write(writer: &mut Writer<'_, '_, NodeId>, nodes: &mut Mut<'_, Self>, op: &Op) -> bool {
        let reading = writer.read();
        let made = writer.made.clone();
        let element = |id: NodeId| made.iter().position(|made| *made == id).expect("it was made");
        let refusal = |why| match why {
            BadNode::Absent(id) => Refusal::Absent(element(id)),
            BadNode::BelowItself(id) => Refusal::BelowItself(element(id)),
            BadNode::BeyondEnd { len, .. } => Refusal::BeyondEnd(len),
            other => panic!("{other}"),
        };
        let node = |number| pick(&reading, made.len(), number, false);
        let parent = |number| pick(&reading, made.len(), number, true);
        let id = |node: Element| made[node];
        let at = |number: u8, under| usize::from(number) % (reading.below(Under::of(under)).len() + 2);
        let (done, expected) = match *op {
            Op::Insert(under, number, value) => {
                let under = parent(under);
                let at = at(number, under);
                let done = match nodes.insert(under.map(id), at) {
                    Ok((id, mut register)) => {
                        value.into_iter().for_each(|value| register.set(value));
                        writer.made.push(id);
                        Ok(())
                    }
                    Err(why) => Err(refusal(why)),
                };
                let expected = check_parent(&reading, under, None).and_then(|()| {
                    let len = reading.below(Under::of(under)).len();
                    if at <= len { Ok(()) } else { Err(Refusal::BeyondEnd(len)) }
                });
                if expected.is_ok() {
                    writer.make(Under::of(under), at, value);
                    if value.is_none() {
                        assert_eq!(done, expected);
                        return false;
                    }
                }
                (done, expected)
            }
            Op::Move(number, under, place) => {
                let Some(node) = node(number) else { return true };
                let under = pick_above(&reading, node, made.len(), under);
                let at = at(place, under);
                let done = nodes.move_to(id(node), under.map(id), at);
                (done.map_err(refusal), writer.try_move(node, under, at))
            }
            Op::Delete(number) => {
                let Some(node) = node(number) else { return true };
                (nodes.delete(id(node)).map_err(refusal), writer.try_delete(node))
            }
            Op::Restore(number) => {
                let Some(node) = node(number) else { return true };
                (nodes.restore(id(node)).map_err(refusal), writer.try_restore(node))
            }
            Op::Purge(number) => {
                let Some(node) = node(number) else { return true };
                (nodes.purge(id(node)).map_err(refusal), writer.try_purge(node))
            }
            Op::EmptyTrash => {
                assert_eq!(nodes.empty_trash(), writer.empty_trash());
                (Ok(()), Ok(()))
            }
            Op::Write(number, value) => {
                let Some(node) = node(number) else { return true };
                let done = nodes.at(id(node)).map(|mut register| register.set(value)).map_err(refusal);
                let expected = if reading.is_there(node) { Ok(()) } else { Err(Refusal::Absent(node)) };
                if expected.is_ok() {
                    writer.write(node, value);
                }
                (done, expected)
            }
            Op::Clear(number) => {
                let Some(node) = node(number) else { return true };
                let done = nodes.at(id(node)).map(|mut register| register.clear()).map_err(refusal);
                let expected = if reading.is_there(node) { Ok(()) } else { Err(Refusal::Absent(node)) };
                if expected.is_ok() {
                    writer.clear(node);
                }
                assert_eq!(done, expected);
                // Until this transaction ends it is there.
                return false;
            }
        };
        assert_eq!(done, expected, "{op:?}");
        Self::holds(nodes, &writer.read(), &writer.trash(), writer.made);
        true
    }

    fn beside(tree: &Self, expected: &Reading, made: &[NodeId]) -> Vec<Vec<Element>> {
        let element = |id| made.iter().position(|made| *made == id).expect("it was made");
        let mut beside = vec![tree.roots().map(element).collect()];
        let there = (0..made.len()).filter(|node| expected.is_there(*node));
        beside.extend(there.map(|node| tree.children(made[node]).map(element).collect()));
        // What has been put away, and then below each that is not there.
        let tops: Vec<Element> = tree.trash().map(element).collect();
        let under = |node: &Element| expected.standing[node].under;
        beside.extend(tops.chunk_by(|one, other| under(one) == under(other)).map(<[Element]>::to_vec));
        beside
    }

    fn holds(tree: &Self, expected: &Reading, trash: &[Element], made: &[NodeId]) {
        let id = |node: &Element| made[*node];
        let ids = |nodes: &[Element]| nodes.iter().map(id).collect::<Vec<_>>();
        let walked: Vec<(NodeId, usize)> =
            expected.walk(Under::Root).into_iter().map(|(node, depth)| (id(&node), depth)).collect();
        assert_eq!(walked, tree.iter().collect::<Vec<_>>(), "{expected:?}");
        assert_eq!(ids(expected.below(Under::Root)), tree.roots().collect::<Vec<_>>());
        assert_eq!(tree.is_empty(), expected.below(Under::Root).is_empty());
        assert_eq!(ids(trash), tree.trash().collect::<Vec<_>>(), "{expected:?}");
        for (node, &id) in made.iter().enumerate() {
            let below = if expected.is_there(node) { expected.below(Under::Element(node)) } else { &[] };
            assert_eq!(ids(below), tree.children(id).collect::<Vec<_>>(), "below {node} in {expected:?}");
            assert_eq!(tree.contains(id), expected.contains(node));
            let standing = expected.standing.get(&node);
            let values = tree.get(id).map(|register| register.values().copied().collect::<Vec<_>>());
            assert_eq!(values, standing.map(|of| of.values.iter().map(|(_, value)| *value).collect()));
            let parent = standing.and_then(|of| of.under.element()).filter(|node| expected.is_there(*node));
            assert_eq!(tree.parent(id), parent.map(|node| made[node]));
            assert_eq!(tree.position(id), expected.position(node));
        }
    }
}

proptest! {
    #![proptest_config(cases(CASES))]

    #[test]
    fn a_tree_reads_as_its_definition_says(
        peers in 2..5_u8,
        first in vec(op(), 0..12),
        steps in steps(op(), false),
    ) {
        run::<Nodes>(peers, false, &first, &steps);
    }

    #[test]
    fn a_tree_of_which_all_know_what_a_state_tells_reads_as_its_definition_says(
        peers in 2..5_u8,
        first in vec(op(), 0..12),
        steps in steps(op(), false),
    ) {
        run::<Nodes>(peers, true, &first, &steps);
    }

    #[test]
    fn a_tree_of_which_much_is_forgotten_reads_as_its_definition_says(
        peers in 2..5_u8,
        first in vec(op(), 0..12),
        steps in steps(op(), true),
    ) {
        run::<Nodes>(peers, false, &first, &steps);
    }
}

proptest! {
    #![proptest_config(cases(3 * CASES))]

    #[test]
    fn a_tree_in_which_many_move_nodes_into_one_another_reads_as_its_definition_says(
        peers in 2..5_u8,
        first in some_nodes(),
        steps in prop_oneof![
            2 => rounds(moves(), false),
            1 => rounds(moves(), true),
            1 => steps(moves(), false),
        ],
    ) {
        run::<Nodes>(peers, false, &first, &steps);
    }

    #[test]
    fn a_tree_in_which_many_move_nodes_and_know_what_a_state_tells_reads_as_its_definition_says(
        peers in 2..5_u8,
        first in some_nodes(),
        steps in prop_oneof![rounds(moves(), false), steps(moves(), false)],
    ) {
        run::<Nodes>(peers, true, &first, &steps);
    }
}

/// What is put and gone again within a transaction may hang on what was not in sight before, and others on it.
#[test]
fn a_node_that_is_put_away_and_brought_back_at_once_has_a_place() {
    let first = vec![
        Op::Insert(0, 0, Some(0)),
        Op::Insert(8, 0, Some(0)),
        Op::Insert(16, 0, Some(0)),
        Op::Insert(24, 0, Some(0)),
    ];
    let steps = vec![
        Step::Write(107, 0, vec![Op::Clear(16)], false),
        Step::Write(79, 0, vec![Op::Insert(40, 162, Some(0))], false),
        Step::Meet(43, 143),
        Step::Write(145, 0, vec![Op::Purge(40), Op::Insert(168, 134, Some(0))], false),
        Step::Write(79, 0, vec![Op::Purge(120)], false),
        Step::Write(10, 0, vec![Op::Delete(24), Op::Restore(120)], false),
        Step::Hear(0, 0),
    ];
    run::<Nodes>(3, true, &first, &steps);
}
