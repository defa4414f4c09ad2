//! Random executions of `Text` and `List` against Fugue as the papers have it ([`tombolo_tests::model::order`]): where each insertion hangs is said by the
//! model's own rule, and at every replica, after every write and everything that arrives, all is read in the order that follows.
//!
//! Which deleted elements an insertion stands next to depends on which its author still has in sight. So there are two kinds of executions: one in which nobody ever forgets
//! any, as in the paper, and one in which who writes has been read from bytes just before, and knows no more than a state tells.

use std::collections::BTreeSet;
use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use tombolo_crdt::{Crdt, Delta, Limits, List, Merged, Mut, Position, Replica, ReplicaId, Text};
use tombolo_tests::model::cases;
use tombolo_tests::model::order::{Fugue, Ghosts};

/// How many executions each is tried with.
const CASES: u32 = 600;
/// How many steps an execution has at most.
const STEPS: usize = 28;
const REPLICAS: u8 = 4;

/// Text and lists of letters.
trait Typed: Crdt<State: Send> + 'static {
    /// Inserts letters before a place, which is counted in one unit or another.
    fn insert(value: &mut Self::Mut<'_>, at: usize, letters: &str, unit: u8);
    fn delete(value: &mut Self::Mut<'_>, range: Range<usize>, unit: u8);
    /// Puts letters in place of others.
    fn replace(value: &mut Self::Mut<'_>, range: Range<usize>, letters: &str, unit: u8);
    fn read(state: &Self::State) -> Vec<char>;
    /// Whether letters are put behind those that they replace before these are deleted, or where these were.
    const PUT_FIRST: bool;
}

/// A place, counted in scalars, UTF-16 units or bytes.
fn counted(text: &Text, at: usize, unit: u8) -> Position {
    match unit % 3 {
        0 => Position::Scalars(at),
        1 => Position::Utf16(text.utf16(at).unwrap()),
        _ => Position::Bytes(text.bytes(at).unwrap()),
    }
}

impl Typed for Text {
    fn insert(text: &mut Mut<'_, Text>, at: usize, letters: &str, unit: u8) {
        let at = counted(text, at, unit);
        text.insert(at, letters).unwrap();
    }

    fn delete(text: &mut Mut<'_, Text>, range: Range<usize>, unit: u8) {
        let range = counted(text, range.start, unit)..counted(text, range.end, unit);
        text.delete(range).unwrap();
    }

    fn replace(text: &mut Mut<'_, Text>, range: Range<usize>, letters: &str, unit: u8) {
        let range = counted(text, range.start, unit)..counted(text, range.end, unit);
        text.replace(range, letters).unwrap();
    }

    const PUT_FIRST: bool = false;

    fn read(text: &Text) -> Vec<char> {
        text.chunks().flat_map(str::chars).collect()
    }
}

impl Typed for List<char> {
    fn insert(list: &mut Mut<'_, Self>, at: usize, letters: &str, unit: u8) {
        if unit.is_multiple_of(3) {
            list.insert_all(at, letters.chars()).unwrap();
        } else {
            (at..).zip(letters.chars()).for_each(|(at, letter)| list.insert(at, letter).unwrap());
        }
    }

    fn delete(list: &mut Mut<'_, Self>, range: Range<usize>, _: u8) {
        list.delete(range).unwrap();
    }

    fn replace(list: &mut Mut<'_, Self>, range: Range<usize>, letters: &str, unit: u8) {
        let mut all = letters.chars();
        match (all.next(), all.next()) {
            (Some(letter), None) if range.len() == 1 && unit.is_multiple_of(2) => {
                list.set(range.start, letter).unwrap();
            }
            _ => list.replace(range, letters.chars()).unwrap(),
        }
    }

    const PUT_FIRST: bool = true;

    fn read(list: &Self) -> Vec<char> {
        list.iter().copied().collect()
    }
}

/// What is done. Places and others are chosen by numbers, taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    /// By whom, where, how many letters, in which way, and counted in which unit.
    Insert(u8, u8, u8, Way, u8),
    /// By whom, where, how many letters, in which unit.
    Delete(u8, u8, u8, u8),
    /// By whom, from where, how many letters, by how many others, in which unit.
    Replace(u8, u8, u8, u8, u8),
    /// Who deletes what another has just inserted around, or next to it: its own last letters.
    Correct(u8, u8, u8),
    /// Who hears from whom, of so many transactions.
    Hear(u8, u8, u8),
    /// The first takes in the whole state of the second; where nobody forgets anything, all its transactions instead.
    Take(u8, u8),
}

#[derive(Debug, Clone, Copy)]
enum Way {
    /// In one go.
    AtOnce,
    /// Each letter behind the one before, in a transaction of its own.
    Forwards,
    /// Each letter before the one before.
    Backwards,
}

fn step() -> impl Strategy<Value = Step> {
    let way = prop::sample::select(vec![Way::AtOnce, Way::Forwards, Way::Backwards]);
    // Many write at the same few places.
    let at = || prop_oneof![3 => 0..3_u8, 2 => 250..=255_u8, 3 => any::<u8>()];
    let who = || 0..REPLICAS;
    prop_oneof![
        8 => (who(), at(), 1..4_u8, way, any::<u8>())
            .prop_map(|(by, at, count, way, unit)| Step::Insert(by, at, count, way, unit)),
        4 => (who(), at(), 1..5_u8, any::<u8>()).prop_map(|(by, at, count, unit)| Step::Delete(by, at, count, unit)),
        3 => (who(), at(), 1..4_u8, 1..3_u8, any::<u8>())
            .prop_map(|(by, at, old, new, unit)| Step::Replace(by, at, old, new, unit)),
        2 => (who(), 1..3_u8, 1..3_u8).prop_map(|(by, gone, come)| Step::Correct(by, gone, come)),
        9 => (who(), who(), 1..5_u8).prop_map(|(by, of, count)| Step::Hear(by, of, count)),
        1 => (who(), who()).prop_map(|(by, of)| Step::Take(by, of)),
    ]
}

/// An id. Larger numbers have larger ids or smaller ones.
fn id(number: usize) -> ReplicaId {
    ReplicaId::from_bytes([[0x70, 0x20, 0xb0, 0x40][number]; 16])
}

/// The letter of an event: no two are alike but among the few that combine with the one before them. Of one, two, three and four bytes, and of one UTF-16 unit and two.
fn letter(event: usize) -> char {
    let code = match event % 5 {
        0 => 0x4e00 + event,
        1 => 0x2_0000 + event,
        2 => 0x300 + event % 0x70,
        3 => 0x1_f400 + event % 0x80,
        _ => 0x61 + event % 26,
    };
    char::from_u32(code as u32).unwrap()
}

struct World<P: Typed> {
    ghosts: Ghosts,
    replicas: Vec<Replica<P>>,
    /// The transactions of each, with the events they are.
    written: Vec<Vec<(Delta<P>, Range<usize>)>>,
    /// How many of each one's transactions each has heard of, and all events of these.
    heard: Vec<Vec<usize>>,
    seen: Vec<BTreeSet<usize>>,
    events: usize,
    model: Fugue,
}

impl<P: Typed> World<P> {
    fn new(replicas: usize, ghosts: Ghosts) -> Self {
        Self {
            ghosts,
            replicas: (0..replicas).map(|number| Replica::new(id(number))).collect(),
            written: (0..replicas).map(|_| Vec::new()).collect(),
            heard: vec![vec![0; replicas]; replicas],
            seen: vec![BTreeSet::new(); replicas],
            events: 0,
            model: Fugue::new(ghosts),
        }
    }

    fn at(&self, number: u8) -> usize {
        usize::from(number) % self.replicas.len()
    }

    fn len(&self, by: usize) -> usize {
        P::read(&self.replicas[by]).len()
    }

    /// A transaction, which is the events from `first` on.
    fn write(&mut self, by: usize, write: impl FnOnce(&mut P::Mut<'_>), first: usize) {
        if self.ghosts == Ghosts::HungOn {
            let bytes = self.replicas[by].encode();
            self.replicas[by] = Replica::decode(id(by), &bytes, &Limits::default()).unwrap();
        }
        let delta = self.replicas[by].update(write).1;
        self.written[by].push((delta, first..self.events));
        self.heard[by][by] += 1;
        self.check(by);
    }

    /// So many insertions, as the next events.
    fn put(&mut self, by: usize, at: usize, count: usize) -> String {
        let first = self.events;
        self.events += count;
        for event in first..self.events {
            self.model.insert(event, id(by), at + event - first, &self.seen[by]);
            self.seen[by].insert(event);
        }
        (first..self.events).map(letter).collect()
    }

    /// A deletion of each of these, as the next events.
    fn erase(&mut self, by: usize, range: &Range<usize>) {
        let first = self.events;
        self.events += range.len();
        for event in first..self.events {
            self.model.delete(event, range.start, &self.seen[by]);
            self.seen[by].insert(event);
        }
    }

    fn insert(&mut self, by: usize, at: usize, count: usize, unit: u8) {
        let first = self.events;
        let letters = self.put(by, at, count);
        self.write(by, |value| P::insert(value, at, &letters, unit), first);
    }

    fn delete(&mut self, by: usize, range: Range<usize>, unit: u8) {
        if range.is_empty() {
            return;
        }
        let first = self.events;
        self.erase(by, &range);
        self.write(by, |value| P::delete(value, range, unit), first);
    }

    fn replace(&mut self, by: usize, range: Range<usize>, count: usize, unit: u8) {
        let first = self.events;
        // What was deleted in the same transaction is still in sight.
        self.model.begin(&self.seen[by]);
        let letters = if P::PUT_FIRST {
            let letters = self.put(by, range.end, count);
            self.erase(by, &range);
            letters
        } else {
            self.erase(by, &range);
            self.put(by, range.start, count)
        };
        self.model.end();
        self.write(by, |value| P::replace(value, range, &letters, unit), first);
    }

    /// Hears of more of somebody's transactions, as far as what they build on is known; whether there were as many.
    fn hear(&mut self, by: usize, of: usize, count: usize) -> bool {
        for _ in 0..count {
            let at = self.heard[by][of];
            let Some((delta, events)) = self.written[of].get(at).cloned() else { return false };
            if !self.replicas[by].version().dominates(&delta.deps()) {
                return false;
            }
            assert_eq!(self.replicas[by].merge(delta).unwrap(), Merged::Applied);
            self.heard[by][of] += 1;
            self.seen[by].extend(events);
            self.check(by);
        }
        true
    }

    fn take(&mut self, by: usize, of: usize) {
        if self.ghosts == Ghosts::All {
            let all = self.replicas.len();
            while (0..all).any(|from| self.heard[by][from] < self.heard[of][from] && self.hear(by, from, 1)) {
            }
            return;
        }
        let state = self.replicas[of].state();
        self.replicas[by].merge(state).unwrap();
        for from in 0..self.replicas.len() {
            self.heard[by][from] = self.heard[by][from].max(self.heard[of][from]);
        }
        let seen = self.seen[of].clone();
        self.seen[by].extend(seen);
        self.check(by);
    }

    fn check(&self, by: usize) {
        let expected: Vec<char> = self.model.read(&self.seen[by]).into_iter().map(letter).collect();
        assert_eq!(P::read(&self.replicas[by]), expected, "by {by}, of {:?}", self.model);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Insert(by, at, count, way, unit) => {
                let (by, count) = (self.at(by), usize::from(count));
                let at = usize::from(at) % (self.len(by) + 1);
                match way {
                    Way::AtOnce => self.insert(by, at, count, unit),
                    Way::Forwards => (at..at + count).for_each(|at| self.insert(by, at, 1, unit)),
                    Way::Backwards => (0..count).for_each(|_| self.insert(by, at, 1, unit)),
                }
            }
            Step::Delete(by, at, count, unit) => {
                let by = self.at(by);
                let (at, len) = (usize::from(at) % (self.len(by) + 1), self.len(by));
                self.delete(by, at..(at + usize::from(count)).min(len), unit);
            }
            Step::Replace(by, at, old, new, unit) => {
                let by = self.at(by);
                let (at, len) = (usize::from(at) % (self.len(by) + 1), self.len(by));
                self.replace(by, at..(at + usize::from(old)).min(len), new.into(), unit);
            }
            Step::Correct(by, gone, come) => {
                let by = self.at(by);
                let own = self.written[by].last().map(|(_, events)| events.clone()).unwrap_or_default();
                let read = self.model.read(&self.seen[by]);
                let Some(end) = read.iter().rposition(|event| own.contains(event)) else { return };
                let at = (end + 1).saturating_sub(gone.into());
                self.delete(by, at..end + 1, gone);
                self.insert(by, at, come.into(), come);
            }
            Step::Hear(by, of, count) => _ = self.hear(self.at(by), self.at(of), count.into()),
            Step::Take(by, of) => self.take(self.at(by), self.at(of)),
        }
    }

    /// All hear of all.
    fn meet(&mut self) {
        let all = self.replicas.len();
        while (0..all * all).any(|pair| self.hear(pair / all, pair % all, 1)) {}
        assert!(self.replicas.windows(2).all(|pair| pair[0].encode() == pair[1].encode()));
    }
}

fn run<P: Typed>(replicas: usize, ghosts: Ghosts, steps: &[Step]) {
    let mut world = World::<P>::new(replicas, ghosts);
    steps.iter().for_each(|step| world.step(step));
    world.meet();
}

proptest! {
    #![proptest_config(cases(CASES))]

    #[test]
    fn a_text_reads_as_fugue_has_it(replicas in 2..=4_usize, steps in vec(step(), 1..STEPS)) {
        run::<Text>(replicas, Ghosts::All, &steps);
    }

    #[test]
    fn a_text_of_which_all_know_what_a_state_tells_reads_as_fugue_has_it(
        replicas in 2..=4_usize,
        steps in vec(step(), 1..STEPS),
    ) {
        run::<Text>(replicas, Ghosts::HungOn, &steps);
    }

    #[test]
    fn a_list_reads_as_fugue_has_it(replicas in 2..=4_usize, steps in vec(step(), 1..STEPS)) {
        run::<List<char>>(replicas, Ghosts::All, &steps);
    }

    #[test]
    fn a_list_of_which_all_know_what_a_state_tells_reads_as_fugue_has_it(
        replicas in 2..=4_usize,
        steps in vec(step(), 1..STEPS),
    ) {
        run::<List<char>>(replicas, Ghosts::HungOn, &steps);
    }
}
