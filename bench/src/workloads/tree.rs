//! A tree whose nodes are moved.

use super::{Stop, Two, both, check, sorted};
use crate::inputs;
use crate::meter::{Meter, Unit};
use crate::system::{Graft, System, Tree};

const NODES: usize = 10_000;
/// So many are a chain that nobody moves; the others hang anywhere on it and on one another.
const CHAIN: usize = 1_000;
const MOVES: usize = 10_000;

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let mut rng = inputs::rng(42);
    let above = |node: usize, rng: &mut _| match node {
        0 => None,
        1..CHAIN => Some(node - 1),
        _ => Some(inputs::below(rng, node)),
    };
    let parents: Vec<Option<usize>> = (0..NODES).map(|node| above(node, &mut rng)).collect();
    each(system, meter, &parents)?;
    merge(system, meter, &parents)
}

/// The tree that comes of moves.
struct Plain {
    parents: Vec<Option<usize>>,
    below: Vec<Vec<usize>>,
}

impl Plain {
    fn new(parents: &[Option<usize>]) -> Self {
        let mut below = vec![Vec::new(); parents.len()];
        (0..)
            .zip(parents)
            .for_each(|(node, parent)| parent.iter().for_each(|parent| below[*parent].push(node)));
        Self { parents: parents.to_vec(), below }
    }

    /// Makes so many random moves of nodes that are not in the chain, none below itself or to where it stands.
    fn moves(&mut self, purpose: u64, count: usize) -> Vec<Graft> {
        let mut rng = inputs::rng(purpose);
        let mut grafts = Vec::with_capacity(count);
        while grafts.len() < count {
            let (node, parent) =
                (CHAIN + inputs::below(&mut rng, NODES - CHAIN), inputs::below(&mut rng, NODES));
            let mut way = std::iter::successors(Some(parent), |above| self.parents[*above]);
            if way.any(|above| above == node) || self.below[parent].first() == Some(&node) {
                continue;
            }
            if let Some(parent) = self.parents[node].replace(parent) {
                self.below[parent].retain(|other| *other != node);
            }
            self.below[parent].insert(0, node);
            grafts.push((node, parent));
        }
        grafts
    }

    fn read(&self) -> Vec<(i64, usize)> {
        let mut all = Vec::new();
        let mut open = vec![(0, 0)];
        while let Some((node, depth)) = open.pop() {
            all.push((node as i64, depth));
            open.extend(self.below[node].iter().rev().map(|below| (*below, depth + 1)));
        }
        all
    }
}

/// One by one, each with a delta, which a second replica takes in; what that is stored as.
fn each(system: &dyn System, meter: &mut Meter, parents: &[Option<usize>]) -> Result<(), Stop> {
    let mut first = system.tree(4)?;
    meter.section("build", || first.make(parents));
    let mut plain = Plain::new(parents);
    check("build", &first.read(), &plain.read())?;
    drop(first);

    let (mut ann, mut bob) = two(system, parents)?;
    let grafts = plain.moves(43, MOVES);
    let deltas: Vec<Vec<u8>> =
        meter.section("local", || grafts.iter().map(|graft| ann.move_one(*graft)).collect());
    let expected = plain.read();
    check("local", &ann.read(), &expected)?;
    meter.value("local", "bytes", deltas.iter().map(Vec::len).sum::<usize>() as f64, Unit::Bytes);
    meter.section("apply", || deltas.iter().for_each(|delta| bob.apply(delta)));
    check("apply", &bob.read(), &expected)?;

    let (mut one, _) = two(system, parents)?;
    meter.section("local_one_tx", || one.move_in_one(&grafts));
    check("local_one_tx", &one.read(), &expected)?;

    let saved = meter.section("save", || ann.save());
    meter.bytes("save", [saved.as_slice()]);
    let mut loaded = system.tree(3)?;
    let read = meter.section("load", || {
        loaded.load(&saved);
        loaded.read()
    });
    check("load", &read, &expected)
}

/// Half by each of two who have not met since. Both directions, through bytes.
fn merge(system: &dyn System, meter: &mut Meter, parents: &[Option<usize>]) -> Result<(), Stop> {
    let (mut ann, mut bob) = two(system, parents)?;
    ann.move_in_one(&Plain::new(parents).moves(44, MOVES / 2));
    bob.move_in_one(&Plain::new(parents).moves(45, MOVES / 2));
    let messages = meter.section("merge", || both(&mut *ann, &mut *bob))?;
    meter.bytes("merge", messages.iter().map(Vec::as_slice));
    let read = meter.section("read", || ann.read());
    check("merge, second", &bob.read(), &read)?;
    check("merge, depth", &read.iter().any(|(_, depth)| *depth >= CHAIN - 1), &true)?;
    let numbers = sorted(read.into_iter().map(|(number, _)| number).collect());
    check("merge, each node once", &numbers, &(0..NODES as i64).collect())
}

/// Two replicas of the same tree.
fn two(system: &dyn System, parents: &[Option<usize>]) -> Result<Two<dyn Tree>, Stop> {
    let (mut ann, mut bob) = (system.tree(1)?, system.tree(2)?);
    ann.make(parents);
    let version = bob.version();
    bob.apply(&ann.since(&version)?);
    bob.learn();
    Ok((ann, bob))
}
