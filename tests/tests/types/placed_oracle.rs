//! Random executions of movable lists and trees against what they mean ([`tombolo_tests::model::moved`]): at every replica, after every
//! write and everything that arrives, what is read is what follows from the events that the replica has seen.
//!
//! Where two that are put at the same time stand next to places that others have left depends on which of those their authors still have in sight. So there are two
//! kinds of executions: one in which who writes has been read from bytes just before, and knows no more than a state tells; then all stands where the papers'
//! own order has it. And one in which everybody goes on as long as it likes, fails and forgets; then, from the first move on, it stands in one order at least.
//!
//! A failing case is printed, shrunk, and its seed is kept in `placed_oracle/`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::ops::{Deref, DerefMut, Range};

use proptest::collection::vec;
use proptest::prelude::*;
use tombolo_crdt::{Crdt, Delta, Limits, Mut, Replica, ReplicaId, Version};
use tombolo_tests::model::cases;
use tombolo_tests::model::moved::{Author, Moves};
use tombolo_tests::model::placed::{At, Element, Reading, Under};

mod list;
mod tree;

/// How many executions each is tried with.
const CASES: u32 = 250;
/// How many steps an execution has at most.
const STEPS: usize = 30;
/// As many, where much is forgotten.
const MORE_STEPS: usize = 60;
/// How often something is forgotten then, beside all that is heard.
const SWEEPS: u32 = 4;

/// A type whose elements have places.
trait Moved: Crdt<State: Clone + Send> + 'static {
    /// The name of an element.
    type Id: Copy + Ord + Debug;
    /// What can be written.
    type Op: Clone + Debug;

    /// Does it, and says what it means. Whether the transaction can go on.
    fn write(writer: &mut Writer<'_, '_, Self::Id>, value: &mut Self::Mut<'_>, op: &Self::Op) -> bool;

    /// The elements that stand beside one another, in the order in which they are read. `expected` is what is read but for the order.
    fn beside(state: &Self::State, expected: &Reading, made: &[Self::Id]) -> Vec<Vec<Element>>;

    /// Holds that this is what is read, and what has been put away, of the elements of these names.
    fn holds(state: &Self::State, expected: &Reading, trash: &[Element], made: &[Self::Id]);
}

/// What all have done.
struct World<I> {
    moves: Moves,
    /// The names of the elements, in the order in which they were made.
    made: Vec<I>,
    /// Whether who writes is read from bytes just before, and nothing is swept as long as anybody writes: the order is Fugue's.
    is_read_anew: bool,
    /// Else, whether anything has left its place, or was swept. Up to then the order is Fugue's as well. From then on which of two comes first that are put
    /// at the same time where others stood may depend on which of those their authors still hang things on, and nobody knows them all: who began anew from
    /// bytes, undid something or heard of forgetting knows fewer. But it is one order, in which nothing moves that stands: the one
    /// in which places were read, anywhere at any time (`stood`), and by who knew what (`known`).
    has_left: bool,
    stood: BTreeSet<(At, At)>,
    known: HashMap<Version, Vec<Vec<At>>>,
}

impl<I> World<I> {
    /// The places of elements that stand beside one another were read in this order by who knew so much.
    fn note(&mut self, version: Version, beside: Vec<Vec<At>>) {
        let pairs = beside.iter().flat_map(|places| places.windows(2)).map(|pair| (pair[0], pair[1]));
        self.stood.extend(pairs);
        let known = self.known.entry(version).or_insert_with(|| beside.clone());
        assert_eq!(*known, beside, "who knows the same reads it in another order");
    }

    /// Whether places stood in one order, always and everywhere.
    fn is_one_order(&self) -> bool {
        let mut before: BTreeMap<At, usize> = BTreeMap::new();
        for &(one, next) in &self.stood {
            before.entry(one).or_default();
            *before.entry(next).or_default() += 1;
        }
        let first = before.iter().filter(|(_, count)| **count == 0);
        let mut free: Vec<At> = first.map(|(place, _)| *place).collect();
        let mut done = 0;
        while let Some(one) = free.pop() {
            done += 1;
            for &(_, next) in self.stood.range((one, 0)..=(one, At::MAX)) {
                let count = before.get_mut(&next).expect("it was counted");
                *count -= 1;
                free.extend((*count == 0).then_some(next));
            }
        }
        done == before.len()
    }
}

/// The places of elements that stand beside one another.
fn places_beside(beside: &[Vec<Element>], reading: &Reading) -> Vec<Vec<At>> {
    let place = |element: &Element| reading.standing[element].place();
    beside.iter().map(|elements| elements.iter().map(place).collect()).collect()
}

/// Who writes, within a transaction.
struct Writer<'w, 'm, I> {
    author: &'w mut Author<'m>,
    /// The names of the elements.
    made: &'w mut Vec<I>,
}

impl<'m, I> Deref for Writer<'_, 'm, I> {
    type Target = Author<'m>;

    fn deref(&self) -> &Author<'m> {
        self.author
    }
}

impl<'m, I> DerefMut for Writer<'_, 'm, I> {
    fn deref_mut(&mut self) -> &mut Author<'m> {
        self.author
    }
}

/// A transaction.
struct Sent<T: Crdt> {
    author: u8,
    /// Who knows so many of its author's dots knows it.
    counter: u64,
    events: Range<At>,
    delta: Delta<T>,
}

struct Peer<T: Crdt> {
    replica: Replica<T>,
    seen: BTreeSet<At>,
    /// When it wrote last.
    clock: u64,
}

/// What happens.
#[derive(Clone, Debug)]
enum Step<O> {
    /// One writes, at a time so much after all it has seen, several things at once; in the end it may fail.
    Write(u8, u8, Vec<O>, bool),
    /// One takes in a transaction, also before those that came before.
    Hear(u8, u8),
    /// One takes in the whole state of another.
    Meet(u8, u8),
    /// One starts anew from its bytes.
    Restart(u8),
    /// One forgets what all know, as far as it knows that.
    Sweep(u8),
}

fn id(author: u8) -> ReplicaId {
    ReplicaId::from_bytes([author; 16])
}

struct Run<T: Moved> {
    world: World<T::Id>,
    peers: Vec<Peer<T>>,
    sent: Vec<Sent<T>>,
    /// The versions that each has had.
    past: Vec<Vec<Version>>,
}

impl<T: Moved> Run<T> {
    fn new(peers: u8, is_read_anew: bool) -> Self {
        let peer = |author| Peer { replica: Replica::new(id(author)), seen: BTreeSet::new(), clock: 0 };
        let world = World {
            moves: Moves::new(),
            made: Vec::new(),
            is_read_anew,
            has_left: false,
            stood: BTreeSet::new(),
            known: HashMap::new(),
        };
        let past = vec![Vec::new(); peers.into()];
        Self { world, peers: (1..=peers).map(peer).collect(), sent: Vec::new(), past }
    }

    fn at(&self, number: u8) -> usize {
        usize::from(number) % self.peers.len()
    }

    fn step(&mut self, step: &Step<T::Op>) {
        let at = match *step {
            Step::Write(at, ..)
            | Step::Hear(at, _)
            | Step::Meet(at, _)
            | Step::Restart(at)
            | Step::Sweep(at) => self.at(at),
        };
        match step {
            Step::Write(_, later, ops, fails) => self.write(at, u64::from(*later), ops, *fails),
            Step::Hear(_, nth) => {
                if let Some(sent) = self.sent.get(usize::from(*nth) % self.sent.len().max(1)) {
                    self.peers[at].replica.merge(sent.delta.clone()).expect("there is room");
                    self.heard(at);
                }
            }
            Step::Meet(_, other) => {
                let state = self.peers[self.at(*other)].replica.state();
                self.peers[at].replica.merge(state).expect("there is room");
                self.heard(at);
            }
            Step::Restart(_) => self.read_anew(at),
            Step::Sweep(_) => self.sweep(at),
        }
        self.holds(at);
    }

    fn read_anew(&mut self, at: usize) {
        let replica = &mut self.peers[at].replica;
        *replica = Replica::decode(replica.id(), &replica.encode(), &Limits::default()).expect("it decodes");
    }

    /// Whether the order of places is not known by what was done.
    fn is_any_order(&self) -> bool {
        self.world.has_left && !self.world.is_read_anew
    }

    /// What one reads by the definition: in Fugue's order, or as it is read there.
    fn expected(&self, at: usize) -> Reading {
        let seen = &self.peers[at].seen;
        if !self.is_any_order() {
            return self.world.moves.read(seen);
        }
        let events = self.world.moves.events();
        let but_for_order = events.read(seen, &seen.iter().copied().collect::<Vec<_>>());
        events.read(seen, &self.beside(at, &but_for_order).concat())
    }

    /// The places of what stands beside one another at one.
    fn beside(&self, at: usize, expected: &Reading) -> Vec<Vec<At>> {
        places_beside(&T::beside(&self.peers[at].replica, expected, &self.world.made), expected)
    }

    fn holds(&mut self, at: usize) {
        let expected = self.expected(at);
        let (beside, version) = (self.beside(at, &expected), self.peers[at].replica.version());
        self.past[at].push(version.clone());
        self.world.note(version, beside);
        let World { moves, made, .. } = &self.world;
        T::holds(&self.peers[at].replica, &expected, &moves.trash(&expected), made);
    }

    fn write(&mut self, at: usize, later: u64, ops: &[T::Op], fails: bool) {
        if self.world.is_read_anew {
            self.read_anew(at);
        }
        let shown = self.is_any_order().then(|| self.beside(at, &self.expected(at)).concat());
        let Self { world: World { moves, made, has_left, .. }, peers, sent, .. } = self;
        let Peer { replica, seen, clock } = &mut peers[at];
        *clock = moves.events().latest(seen).max(*clock) + 1 + later;
        replica.set_time(*clock);
        let (author, when) = (at as u8 + 1, (*clock, 0));
        let (mark, first, names, before) = (moves.mark(), moves.events().len(), made.len(), seen.clone());
        let written = replica.try_update(|value| {
            moves.write(id(author), first, seen, when, shown, |author| {
                let mut writer = Writer { author, made: &mut *made };
                for op in ops {
                    if !T::write(&mut writer, value, op) {
                        break;
                    }
                }
                if fails { Err(()) } else { Ok(()) }
            })
        });
        *has_left |= moves.has_left();
        match written {
            Ok((_, delta)) if !delta.is_empty() => {
                let (counter, events) = (replica.reached(id(author)), first..moves.events().len());
                sent.push(Sent { author, counter, events, delta });
            }
            // It failed, or nothing was done.
            _ => {
                moves.undo(mark);
                made.truncate(names);
                *seen = before;
            }
        }
    }

    /// What one has come to know.
    fn heard(&mut self, at: usize) {
        let Peer { replica, seen, .. } = &mut self.peers[at];
        for sent in self.sent.iter().filter(|sent| replica.reached(id(sent.author)) >= sent.counter) {
            seen.extend(sent.events.clone());
        }
    }

    /// What all know, as one may say it: of each the latest version of which it has all.
    fn stable(&self, at: usize) -> Version {
        let here = self.peers[at].replica.version();
        let told = |past: &Vec<Version>| past.iter().rev().find(|version| here.dominates(version)).cloned();
        let told = self.past.iter().map(|past| told(past).unwrap_or_default());
        told.reduce(|all, one| all.meet(&one)).unwrap_or_default()
    }

    fn sweep(&mut self, at: usize) {
        let stable = self.stable(at);
        let before = self.beside(at, &self.expected(at));
        let delta = self.peers[at].replica.sweep(&stable);
        let after = self.beside(at, &self.expected(at));
        assert_eq!(before, after, "what is forgotten moves nothing");
        if !delta.is_empty() {
            self.world.has_left = true;
            let (author, end) = (at as u8 + 1, self.world.moves.events().len());
            let counter = self.peers[at].replica.reached(id(author));
            self.sent.push(Sent { author, counter, events: end..end, delta });
        }
    }

    fn meet_all(&mut self, at: usize) {
        let states: Vec<_> = self.peers.iter().map(|peer| peer.replica.state()).collect();
        for state in states {
            self.peers[at].replica.merge(state).expect("there is room");
        }
        self.heard(at);
    }

    /// All meet, and in the end all forget what they need not know.
    fn end(&mut self) {
        for _ in 0..3 {
            self.meet_all(0);
            let first = self.peers[0].replica.encode();
            for at in 1..self.peers.len() {
                self.step(&Step::Meet(at as u8, 0));
                assert!(self.peers[at].replica.encode() == first, "all hold the same");
            }
            self.sweep(0);
            self.holds(0);
        }
        assert!(self.world.is_one_order(), "what stood moved: {:?}", self.world.stood);
    }
}

fn write<O: Clone + Debug + 'static>(
    op: impl Strategy<Value = O> + Clone + 'static,
) -> impl Strategy<Value = Step<O>> {
    let fails = prop::bool::weighted(0.1);
    (any::<u8>(), 0..3_u8, vec(op, 1..4), fails)
        .prop_map(|(at, later, ops, fails)| Step::Write(at, later, ops, fails))
}

fn other<O: Clone + Debug + 'static>(sweeps: bool) -> impl Strategy<Value = Step<O>> {
    let peer = any::<u8>;
    prop_oneof![
        6 => (peer(), any::<u8>()).prop_map(|(at, nth)| Step::Hear(at, nth)),
        4 => (peer(), peer()).prop_map(|(at, other)| Step::Meet(at, other)),
        1 => peer().prop_map(Step::Restart),
        if sweeps { SWEEPS } else { 0 } => peer().prop_map(Step::Sweep),
    ]
}

/// Anything in any order.
fn steps<O: Clone + Debug + 'static>(
    op: impl Strategy<Value = O> + Clone + 'static,
    sweeps: bool,
) -> impl Strategy<Value = Vec<Step<O>>> {
    vec(prop_oneof![write(op), other(sweeps)], 0..if sweeps { MORE_STEPS } else { STEPS })
}

/// Much is written at the same time, then they hear of some of it, and so on.
fn rounds<O: Clone + Debug + 'static>(
    op: impl Strategy<Value = O> + Clone + 'static,
    sweeps: bool,
) -> impl Strategy<Value = Vec<Step<O>>> {
    let round = (vec(write(op), 2..8), vec(other(sweeps), 1..8));
    let steps = |(writes, others): (Vec<_>, Vec<_>)| writes.into_iter().chain(others);
    vec(round, 0..5).prop_map(move |rounds| rounds.into_iter().flat_map(steps).collect())
}

fn run<T: Moved>(peers: u8, is_read_anew: bool, first: &[T::Op], steps: &[Step<T::Op>]) {
    let mut run = Run::<T>::new(peers, is_read_anew);
    // All have something to begin with.
    run.step(&Step::Write(0, 0, first.to_vec(), false));
    (1..peers).for_each(|at| run.step(&Step::Meet(at, 0)));
    steps.iter().for_each(|step| run.step(step));
    run.end();
}
