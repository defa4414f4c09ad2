//! Small scopes, exhaustively: everything that up to three replicas can do with a few operations, merged anywhere.
//!
//! A *history* says who did what and had seen what before. All histories of a scope are built up one operation at a time. For
//! each, all its *cuts*, the sets of operations a replica can have seen, are reached by every last step there is: the delta of any operation
//! nothing else in the cut depends on, states joined either way, and bytes. They must be the same bytes however they were
//! reached, read the same, and as the definition of the type has it. A schedule is a way through cuts, so all schedules are covered.
//!
//! Beside the operations, anybody forgets, wherever all that it has seen is stable: who wrote without having seen that is known to it, and whoever
//! writes later has seen it. That must change nothing that is read, then or later.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tombolo_crdt::{Crdt, Delta, Limits, Merged, Plain, Replica, ReplicaId, Version};

use super::definitions::Deed;
use super::history::History;
use super::program::Apply;

/// A type, what can be done with it here, and what it must read as.
pub struct Scope<T: Crdt, O: 'static> {
    /// What it is called.
    pub name: &'static str,
    /// All operations.
    pub operations: &'static [O],
    /// Which of two elements an operation is about that mean the same to the type: then the first one occurs first, for a
    /// history with the two exchanged says nothing new. Where order counts between them, always 0.
    pub element: fn(&O) -> u8,
    /// How often somebody forgets something in one history, at most.
    pub sweeps: usize,
    /// Does one of them.
    pub apply: Apply<T, O>,
    /// What that is in the words of the definitions, given the replica after it.
    pub deed: fn(&O, &Replica<T>) -> Deed,
    /// What is read beside the plain value, in its order, as the names of elements.
    pub names: fn(&Replica<T>) -> String,
    /// Compares what a replica reads with the definition.
    pub check: fn(&History<Deed>, &[usize], &Replica<T>),
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Visited {
    /// Histories.
    pub histories: usize,
    /// How often somebody forgot something in them, each counted where it comes last.
    pub sweeps: usize,
    /// States of replicas: cuts of histories.
    pub states: usize,
    /// Ways on which they were reached.
    pub ways: usize,
}

impl std::ops::AddAssign for Visited {
    fn add_assign(&mut self, other: Self) {
        self.histories += other.histories;
        self.sweeps += other.sweeps;
        self.states += other.states;
        self.ways += other.ways;
    }
}

/// A set of operations, by number.
type Cut = u16;

/// Who may take part.
const IDS: [u8; 3] = [0x20, 0x90, 0x50];

fn id(replica: usize) -> ReplicaId {
    ReplicaId::from_bytes([IDS[replica]; 16])
}

/// Somebody who only reads. Smaller than all others, so that rows are in no order.
fn reader() -> ReplicaId {
    ReplicaId::from_bytes([1; 16])
}

struct Event<T: Crdt> {
    author: usize,
    /// What its author had seen.
    base: Cut,
    delta: Delta<T>,
}

/// What a replica is that has seen a cut: whatever way it got there.
struct State {
    cut: Cut,
    version: Version,
    bytes: Vec<u8>,
    /// What is read, and by which names.
    plain: Plain,
    names: String,
}

/// Histories that begin alike.
struct Walk<'s, T: Crdt, O: 'static> {
    scope: &'s Scope<T, O>,
    replicas: usize,
    length: usize,
    events: Vec<Event<T>>,
    /// `None` where somebody forgets.
    operations: Vec<Option<&'s O>>,
    /// The cuts of the history with the state at each.
    cuts: Vec<State>,
    visited: Visited,
}

/// Goes through all histories of up to `length` operations of up to `replicas` replicas, `threads` at a time.
///
/// # Panics
/// At the first state that is not what it must be.
pub fn explore<T, O>(scope: &Scope<T, O>, replicas: usize, length: usize, threads: usize) -> Visited
where
    T: Crdt,
    O: Debug + Sync,
{
    let next = AtomicUsize::new(0);
    let mut all = Visited::default();
    std::thread::scope(|threaded| {
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| {
                threaded.spawn(|| {
                    let mut visited = Visited::default();
                    loop {
                        let first = next.fetch_add(1, Relaxed);
                        if first >= replicas * scope.operations.len() {
                            return visited;
                        }
                        let mut walk = Walk::new(scope, replicas, length);
                        let op = &scope.operations[first % scope.operations.len()];
                        walk.event(first / scope.operations.len(), 0, Some(op));
                        visited += walk.visited;
                    }
                })
            })
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(visited) => all += visited,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    all
}

impl State {
    fn of<T: Crdt>(cut: Cut, replica: &Replica<T>, names: fn(&Replica<T>) -> String) -> Self {
        let (version, bytes) = (replica.version(), replica.encode());
        Self { cut, version, bytes, plain: replica.plain(), names: names(replica) }
    }
}

impl<'s, T: Crdt, O: Debug> Walk<'s, T, O> {
    fn new(scope: &'s Scope<T, O>, replicas: usize, length: usize) -> Self {
        let cuts = vec![State::of(0, &Replica::<T>::new(reader()), scope.names)];
        let visited = Visited::default();
        Self { scope, replicas, length, events: Vec::new(), operations: Vec::new(), cuts, visited }
    }

    /// All histories that go on from here.
    fn go_on(&mut self) {
        let sweeps = self.operations.iter().filter(|op| op.is_none()).count();
        let may_write = self.operations.len() - sweeps < self.length;
        let may_sweep = sweeps < self.scope.sweeps;
        if !may_write && !may_sweep {
            return;
        }
        for author in 0..self.replicas {
            let own = self.mask(|event| event.author == author);
            for at in 0..self.cuts.len() {
                let base = self.cuts[at].cut;
                let last = self.events.len() - 1;
                // Of two operations in a row of which neither had seen the other, the order says nothing.
                let is_swapped = base & (1 << last) == 0 && self.events[last].author > author;
                if base & own == own && !is_swapped && self.knows_what_is_stable(base) {
                    for op in self.scope.operations.iter().filter(|_| may_write) {
                        self.event(author, at, Some(op));
                    }
                    if may_sweep && self.is_stable(base) {
                        self.event(author, at, None);
                    }
                }
            }
        }
    }

    fn mask(&self, is_in: impl Fn(&Event<T>) -> bool) -> Cut {
        (0..).zip(&self.events).filter(|(_, event)| is_in(event)).fold(0, |mask, (at, _)| mask | 1 << at)
    }

    /// Whether somebody who has seen this cut knows all that others went by when they forgot.
    fn knows_what_is_stable(&self, cut: Cut) -> bool {
        let forgetting = self.events.iter().zip(&self.operations).filter(|(_, op)| op.is_none());
        forgetting.into_iter().all(|(event, _)| event.base & cut == event.base)
    }

    /// Whether all of a cut is stable where somebody has seen no more: who wrote what is not in it had seen it.
    fn is_stable(&self, cut: Cut) -> bool {
        self.events.iter().enumerate().all(|(at, event)| cut & (1 << at) != 0 || event.base & cut == cut)
    }

    /// One more operation, by an author who has seen the cut at `at`; then all that goes on from there.
    fn event(&mut self, author: usize, at: usize, op: Option<&'s O>) {
        let element = |op: &Option<&O>| op.map_or(0, self.scope.element);
        if element(&op) > 0 && self.operations.iter().all(|op| op.is_none() || element(op) > 0) {
            return;
        }
        let base = self.cuts[at].cut;
        let mut replica = self.replica(id(author), at);
        let delta = match op {
            Some(op) => replica.update(|value| (self.scope.apply)(value, op)).1,
            None => replica.sweep(&replica.version()),
        };
        if delta.is_empty() {
            return;
        }
        let (number, before) = (self.events.len(), self.cuts.len());
        self.events.push(Event { author, base, delta });
        self.operations.push(op);
        self.visited.histories += 1;
        self.visited.sweeps += usize::from(op.is_none());
        let history = self.history(&replica);
        for from in 0..before {
            if self.cuts[from].cut & base == base {
                self.reach(from, number, at, &history);
            }
        }
        self.go_on();
        self.cuts.truncate(before);
        self.events.pop();
        self.operations.pop();
    }

    /// The history so far; `author` is the author of the last operation, after it.
    fn history(&self, author: &Replica<T>) -> History<Deed> {
        let mut history = History::default();
        for (at, event) in self.events.iter().enumerate() {
            let seen =
                &self.cuts.iter().find(|state| state.cut == event.base).expect("it was reached").version;
            let Some(op) = self.operations[at] else {
                history.record(seen, &event.delta.events(), []);
                continue;
            };
            let deed = if at + 1 == self.events.len() {
                (self.scope.deed)(op, author)
            } else {
                let after = event.base | 1 << at;
                let after = self.cuts.iter().position(|state| state.cut == after).expect("it was reached");
                (self.scope.deed)(op, &self.replica(id(event.author), after))
            };
            history.record(seen, &event.delta.events(), [deed]);
        }
        history
    }

    fn replica(&self, id: ReplicaId, at: usize) -> Replica<T> {
        Replica::decode(id, &self.cuts[at].bytes, &Limits::default()).expect("a state decodes")
    }

    /// The cut with one operation more than that at `from`, by all last steps there are. `base` is the cut its author had seen.
    fn reach(&mut self, from: usize, number: usize, base: usize, history: &History<Deed>) {
        let cut = self.cuts[from].cut | 1 << number;
        let mut replica = self.replica(reader(), from);
        self.take(&mut replica, number);
        (self.scope.check)(history, &history.visible(&replica.version()), &replica);
        self.visited.states += 1;
        self.cuts.push(State::of(cut, &replica, self.scope.names));
        let here = self.cuts.len() - 1;
        self.same(&self.replica(reader(), here), here, "from bytes");
        // Another operation comes last.
        for last in 0..number {
            let is_named = self
                .events
                .iter()
                .enumerate()
                .any(|(at, event)| cut & (1 << at) != 0 && event.base & (1 << last) != 0);
            if cut & (1 << last) != 0 && !is_named {
                let without = self.cuts.iter().position(|other| other.cut == cut & !(1 << last));
                let mut replica = self.replica(reader(), without.expect("smaller cuts come first"));
                self.take(&mut replica, last);
                self.same(&replica, here, "by another delta");
            }
        }
        // The author's state, joined into this one and the other way round.
        let after = self.cuts.iter().position(|other| other.cut == self.cuts[base].cut | 1 << number);
        let after = after.expect("the author's own cut comes first");
        if after != here {
            for (into, other) in [(from, after), (after, from)] {
                let mut replica = self.replica(reader(), into);
                let state = Delta::decode_state(&self.cuts[other].bytes, &Limits::default())
                    .expect("a state decodes");
                replica.merge(state).expect("a state of the same document");
                self.same(&replica, here, "by joining states");
            }
        }
    }

    fn take(&self, replica: &mut Replica<T>, number: usize) {
        let merged = replica.merge(self.events[number].delta.clone()).expect("a delta of the same document");
        assert_eq!(merged, Merged::Applied, "{}", self.tell());
    }

    fn same(&mut self, replica: &Replica<T>, at: usize, how: &str) {
        self.visited.ways += 1;
        let other = &self.cuts[at];
        assert!(replica.encode() == other.bytes, "{how}, {:b} of {}", other.cut, self.tell());
        let (plain, names) = (replica.plain(), (self.scope.names)(replica));
        let is_read = (&plain, &names) == (&other.plain, &other.names);
        assert!(is_read, "{plain:?} {names}, {how}, {:b} of {}", other.cut, self.tell());
    }

    /// The history, for people.
    fn tell(&self) -> String {
        let mut text = format!("{}:", self.scope.name);
        for (at, (event, op)) in self.events.iter().zip(&self.operations).enumerate() {
            let done = op.map_or("sweep".to_owned(), |op| format!("{op:?}"));
            text.push_str(&format!(
                "\n  {at}: replica {} did {done}, having seen {:b}",
                event.author, event.base
            ));
        }
        text
    }
}
