//! Random programs over a few replicas of one document.
//!
//! A program is a list of [`Step`]s: transactions, failing transactions, and deliveries of anything that was ever sent,
//! in any order, again, grouped, as an answer to a version, or as a whole state; restarts and new incarnations between.
//! A [`World`] runs it. After every step it checks that equal versions mean equal bytes, that the delta of a
//! transaction does what the transaction did, and that what failed left no trace.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use proptest::collection::vec;
use proptest::prelude::*;
use tombolo_crdt::{Crdt, Delta, Limits, Merged, Opaque, Plain, Replica, ReplicaId, Since, Version};

/// How many replicas take part at most.
pub const REPLICAS: u8 = 5;

/// Writes one operation inside a transaction.
pub type Apply<T, O> = for<'a> fn(&mut <T as Crdt>::Mut<'a>, &O);

/// One step of a program. Numbers that choose something are taken modulo what there is.
#[derive(Debug, Clone)]
pub enum Step<O> {
    /// A transaction of these operations.
    Write(u8, Vec<O>),
    /// The same, but it fails in the end: with an error, or by a panic.
    Fail(u8, Vec<O>, bool),
    /// A replica takes in one of the messages that were ever sent.
    Merge(u8, u16),
    /// One author's messages from here on are grouped, as many as may be, into a new message.
    Group(u16, u8),
    /// The first answers the second's version, and the second takes the answer in.
    Since(u8, u8),
    /// The first's whole state goes to the second.
    State(u8, u8),
    /// A replica is written to bytes and read again. What waited there is lost.
    Restart(u8),
    /// A replica goes on under a new id.
    Reincarnate(u8),
    /// A replica forgets all but so many bytes of its recent deltas.
    Forget(u8, u16),
    /// A replica's wall clock says this.
    Clock(u8, u32),
    /// A replica hears all that the others know, and forgets the removals that all know.
    Sweep(u8),
}

/// Programs of operations that `operation` yields.
pub fn programs<O: std::fmt::Debug + Clone + 'static>(
    operation: impl Strategy<Value = O> + Clone + 'static,
    length: usize,
) -> impl Strategy<Value = Vec<Step<O>>> {
    let transaction = prop_oneof![
        4 => vec(operation.clone(), 1..4),
        1 => vec(operation, 0..32),
    ];
    let replica = 0..REPLICAS;
    let step = prop_oneof![
        10 => (replica.clone(), transaction.clone()).prop_map(|(at, ops)| Step::Write(at, ops)),
        2 => (replica.clone(), transaction, any::<bool>()).prop_map(|(at, ops, panics)| Step::Fail(at, ops, panics)),
        12 => (replica.clone(), any::<u16>()).prop_map(|(at, which)| Step::Merge(at, which)),
        3 => (any::<u16>(), 2..6_u8).prop_map(|(from, len)| Step::Group(from, len)),
        4 => (replica.clone(), replica.clone()).prop_map(|(from, to)| Step::Since(from, to)),
        2 => (replica.clone(), replica.clone()).prop_map(|(from, to)| Step::State(from, to)),
        1 => replica.clone().prop_map(Step::Restart),
        1 => replica.clone().prop_map(Step::Reincarnate),
        1 => (replica.clone(), 0..2_000_u16).prop_map(|(at, bytes)| Step::Forget(at, bytes)),
        1 => replica.clone().prop_map(Step::Sweep),
        1 => (replica, prop_oneof![0..1_000_000_u32, 0..50_000_000_u32]).prop_map(|(at, millis)| Step::Clock(at, millis)),
    ];
    vec(step, 1..length)
}

/// The replicas, everything that was ever sent, and every state that was ever seen.
pub struct World<T: Crdt, O> {
    pub(super) apply: Apply<T, O>,
    /// The replicas as they are.
    pub replicas: Vec<Replica<T>>,
    /// Beside each of them one that takes in the same without understanding it.
    shadows: Vec<Replica<Opaque>>,
    /// Beside each of them what a user interface holds: a plain value, kept up to date by changes.
    mirrors: Vec<Plain>,
    /// The deltas of transactions, in order, with their authors. They alone make up the history.
    pub written: Vec<Delta<T>>,
    /// Everything that travels: those deltas, groups of them, answers and states.
    pub messages: Vec<Delta<T>>,
    seen: HashMap<Version, Vec<u8>>,
    ids: u8,
}

/// The id made of one byte. The larger the byte, the larger or the smaller the id: rows and ids are not in step.
pub fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number.wrapping_mul(151); 16])
}

/// A delta as its receiver gets it.
pub fn sent<T: Crdt>(delta: &Delta<T>) -> Delta<T> {
    let limits = Limits::default();
    match delta.encode_state() {
        Some(bytes) => Delta::decode_state(&bytes, &limits).expect("a state decodes"),
        None => {
            let bytes = delta.encode();
            let back = Delta::<T>::decode(&bytes, &limits).expect("a delta decodes");
            assert_eq!(back.encode(), bytes, "a delta has one encoding");
            assert_eq!((back.deps(), back.events()), (delta.deps(), delta.events()));
            back
        }
    }
}

/// A state as a mere delta: it says what there is and which events it knows, and covers nothing.
fn bare<T: Crdt>(state: &Delta<T>) -> Delta<T> {
    Delta::decode(&state.encode(), &Limits::default()).expect("a state is a delta as well")
}

/// A new replica that took in these messages, in this order.
pub fn taking_in<'d, T: Crdt>(deltas: impl IntoIterator<Item = &'d Delta<T>>) -> Replica<T> {
    into(Replica::new(ReplicaId::from_bytes([0xEE; 16])), deltas)
}

/// A replica that has taken in these deltas.
pub fn into<'d, T: Crdt>(
    mut replica: Replica<T>,
    deltas: impl IntoIterator<Item = &'d Delta<T>>,
) -> Replica<T> {
    for delta in deltas {
        replica.merge(delta.clone()).expect("there is room");
    }
    replica
}

/// Under which fingerprints are made.
pub const KEY: [u8; 16] = *b"a key of 16 byte";

/// What must be equal where everything else is.
pub fn face<T: Crdt>(replica: &Replica<T>) -> (Version, Vec<u8>, u128) {
    (replica.version(), replica.encode(), replica.fingerprint(&KEY))
}

impl<T: Crdt, O: Clone> World<T, O> {
    /// So many empty replicas.
    pub fn new(apply: Apply<T, O>, replicas: u8) -> Self {
        let ids = 1..=replicas;
        Self {
            apply,
            replicas: ids.clone().map(|number| Replica::new(id(number))).collect(),
            shadows: ids.map(|number| Replica::new(id(number))).collect(),
            mirrors: vec![Replica::<T>::new(id(0)).plain(); usize::from(replicas)],
            written: Vec::new(),
            messages: Vec::new(),
            seen: HashMap::new(),
            ids: replicas,
        }
    }

    /// Runs a program with three replicas, which may hear as well of what others wrote: transactions, in an order in which
    /// they may have happened.
    pub fn run_beside(of_others: &[Delta<T>], apply: Apply<T, O>, program: &[Step<O>]) -> Self {
        let mut world = Self::new(apply, 3);
        world.written.extend_from_slice(of_others);
        world.messages.extend_from_slice(of_others);
        for step in program {
            world.step(step);
        }
        world
    }

    /// Runs one step and checks what must hold after it.
    pub fn step(&mut self, step: &Step<O>) {
        match step {
            Step::Write(at, operations) => self.write(self.at(*at), operations),
            Step::Fail(at, operations, panics) => self.fail(self.at(*at), operations, *panics),
            Step::Merge(at, which) => {
                if let Some(message) = self.message(*which) {
                    self.deliver(self.at(*at), &message);
                }
            }
            Step::Group(from, len) => self.group(usize::from(*from), usize::from(*len)),
            Step::Since(from, to) => self.since(self.at(*from), self.at(*to)),
            Step::State(from, to) => {
                let (from, to) = (self.at(*from), self.at(*to));
                let state = self.replicas[from].state();
                self.messages.push(state.clone());
                self.messages.push(bare(&state));
                self.in_place_of(from, to);
                self.in_place_of(to, from);
                self.deliver(to, &state);
                assert!(self.replicas[to].version().dominates(&state.events()));
            }
            Step::Restart(at) => self.restart(self.at(*at)),
            Step::Reincarnate(at) => self.reincarnate(self.at(*at)),
            Step::Forget(at, bytes) => {
                let at = self.at(*at);
                self.replicas[at].set_history_bytes(usize::from(*bytes));
            }
            Step::Clock(at, millis) => {
                let at = self.at(*at);
                self.replicas[at].set_time(u64::from(*millis));
            }
            Step::Sweep(at) => self.sweep(self.at(*at)),
        }
        self.check();
    }

    /// Which replica is meant.
    pub fn at(&self, at: u8) -> usize {
        usize::from(at) % self.replicas.len()
    }

    fn message(&self, which: u16) -> Option<Delta<T>> {
        let at = usize::from(which).checked_rem(self.messages.len())?;
        Some(self.messages[at].clone())
    }

    fn write(&mut self, at: usize, operations: &[O]) {
        let apply = self.apply;
        let replica = &mut self.replicas[at];
        let mut other = taking_in([&sent(&replica.state())]);
        assert_eq!(face(&other), face(replica));
        let before = replica.version();
        let write = |value: &mut T::Mut<'_>| operations.iter().for_each(|op| apply(value, op));
        let mut mirror = self.mirrors[at].clone();
        // To be told what changes must change nothing else.
        let delta = if self.written.len().is_multiple_of(2) {
            let ((), delta, changes) = replica.update_changes(write);
            changes.apply_to(&mut self.mirrors[at]).expect("changes fit what was there");
            delta
        } else {
            let ((), delta) = replica.update(write);
            self.mirrors[at] = replica.plain();
            delta
        };
        // The delta does to a state what the transaction did.
        let (merged, changes) = other.merge_changes(sent(&delta)).expect("there is room");
        for changes in changes {
            assert_eq!(changes.by, [replica.id()]);
            changes.apply_to(&mut mirror).expect("changes fit what was there");
        }
        assert_eq!(mirror, other.plain());
        assert_eq!(face(&other), face(replica));
        assert_eq!(delta.is_empty(), replica.version() == before);
        if delta.is_empty() {
            assert_eq!(merged, Merged::AlreadyKnown);
            return;
        }
        assert_eq!(merged, Merged::Applied);
        assert_eq!(other.merge(delta.clone()), Ok(Merged::AlreadyKnown));
        self.shadows[at].merge(opaque(&delta)).expect("there is room");
        self.written.push(delta.clone());
        self.messages.push(delta);
    }

    fn fail(&mut self, at: usize, operations: &[O], panics: bool) {
        let apply = self.apply;
        let replica = &mut self.replicas[at];
        let before = face(replica);
        let waiting = replica.pending();
        let failed = catch_unwind(AssertUnwindSafe(|| {
            replica
                .try_update(|value| {
                    operations.iter().for_each(|op| apply(value, op));
                    if panics {
                        resume_unwind(Box::new("a panic in the middle"));
                    }
                    Err::<(), _>("an error")
                })
                .map(drop)
        }));
        assert_eq!(failed.is_err(), panics);
        assert_eq!(face(replica), before, "what failed left a trace");
        assert_eq!(replica.pending(), waiting);
    }

    fn deliver(&mut self, at: usize, message: &Delta<T>) {
        let replica = &mut self.replicas[at];
        let (merged, changes) = replica.merge_changes(sent(message)).expect("there is room");
        assert_eq!(changes.is_empty(), merged != Merged::Applied);
        for changes in changes {
            let fits = changes.apply_to(&mut self.mirrors[at]);
            assert_eq!(fits, Ok(()), "{changes:?} does not fit {:?}", self.mirrors[at]);
        }
        match merged {
            Merged::Applied => assert!(replica.version().dominates(&message.events())),
            Merged::AlreadyKnown => assert!(replica.version().dominates(&message.events())),
            Merged::Pending(missing) => {
                assert!(!missing.is_empty() && !replica.version().dominates(&missing));
                assert!(replica.missing().dominates(&missing));
            }
        }
        self.shadows[at].merge(opaque(message)).expect("there is room");
    }

    fn group(&mut self, from: usize, len: usize) {
        let Some(from) = from.checked_rem(self.written.len()) else { return };
        let mut group = self.written[from].clone();
        let (mut dots, mut grouped) = (group.len(), 1);
        for next in &self.written[from + 1..] {
            if grouped < len && group.append(next) {
                dots += next.len();
                grouped += 1;
            }
        }
        assert_eq!(group.len(), dots);
        if grouped > 1 {
            self.messages.push(group);
        }
    }

    fn since(&mut self, from: usize, to: usize) {
        let answer = self.replicas[from].delta_since(&self.replicas[to].version());
        let (from_version, to_version) = (self.replicas[from].version(), self.replicas[to].version());
        let state = self.replicas[from].state();
        let message = match answer {
            Since::UpToDate => {
                assert!(to_version.dominates(&from_version));
                return;
            }
            Since::Delta(delta) => delta,
            Since::Forgotten => state.clone(),
        };
        // It brings a replica at that version level, and does what the whole state would do.
        let here = &self.replicas[to];
        let by_answer = taking_in([&here.state(), &sent(&message)]);
        let by_state = taking_in([&here.state(), &sent(&state)]);
        assert_eq!(face(&by_answer), face(&by_state), "an answer differs from the state");
        assert!(by_answer.version().dominates(&from_version));
        self.messages.push(message.clone());
        self.deliver(to, &message);
    }

    fn sweep(&mut self, at: usize) {
        for other in (0..self.replicas.len()).filter(|&other| other != at) {
            let state = self.replicas[other].state();
            self.messages.push(state.clone());
            self.deliver(at, &state);
        }
        let versions = self.replicas.iter().map(Replica::version);
        let stable = versions.reduce(|stable, version| stable.meet(&version)).expect("there are replicas");
        let replica = &mut self.replicas[at];
        let (before, garbage, plain) = (replica.version(), replica.garbage(), replica.plain());
        let delta = replica.sweep(&stable);
        assert_eq!(replica.plain(), plain, "forgetting changes what is read");
        assert!(replica.sweep(&stable).is_empty(), "what may be forgotten is forgotten at once");
        assert_eq!(delta.is_empty(), replica.version() == before);
        let after = replica.garbage();
        assert_eq!(garbage.items - garbage.removals, after.items - after.removals);
        if !delta.is_empty() {
            assert!(garbage.removals > 0, "what is forgotten was counted");
            // Or what is fading has been named, which goes with it. An outline holds all of these.
            if ["MovableList", "Tree", "Text", "Doc", "Outline"]
                .iter()
                .any(|name| T::type_name().contains(name))
            {
                // Where elements are moved or marked, as much may be named as goes. It comes to an end, where all know all.
                let mut alone = taking_in([&replica.state()]);
                let ends = |_| alone.sweep(&alone.version()).is_empty();
                assert!((0..8).any(ends), "there is more and more to forget");
                assert_eq!(alone.garbage().removals, 0);
            } else {
                assert_ne!(after.removals, garbage.removals);
            }
            self.shadows[at].merge(opaque(&delta)).expect("there is room");
            self.written.push(delta.clone());
            self.messages.push(delta);
        }
    }

    fn reincarnate(&mut self, at: usize) {
        if self.ids == 9 {
            return;
        }
        self.ids += 1;
        let replica = &mut self.replicas[at];
        let before = face(replica);
        *replica = replica.fork(id(self.ids));
        assert_eq!(face(replica), before);
        self.shadows[at] = shadow(replica);
    }

    fn restart(&mut self, at: usize) {
        let replica = &mut self.replicas[at];
        let before = face(replica);
        let again =
            Replica::<T>::decode(replica.id(), &before.1, &Limits::default()).expect("a state decodes");
        assert_eq!(again.changes_from(replica).changes, [], "what is read back is the same");
        *replica = again;
        assert_eq!(face(replica), before);
        // The shadow's waiting deltas would make it run ahead.
        self.shadows[at] = shadow(replica);
    }

    /// What one replica would be told that took the place of another.
    fn in_place_of(&self, one: usize, other: usize) {
        let (one, other) = (&self.replicas[one], &self.replicas[other]);
        let changes = one.changes_from(other);
        let mut mirror = other.plain();
        assert_eq!(changes.apply_to(&mut mirror), Ok(()), "{changes:?} does not fit {:?}", other.plain());
        assert_eq!(mirror, one.plain(), "{changes:?} does not make this of {:?}", other.plain());
        let is_behind = other.version().dominates(&one.version());
        assert_eq!(changes.by.is_empty(), is_behind);
    }

    fn check(&mut self) {
        for ((replica, shadow_of), mirror) in self.replicas.iter().zip(&self.shadows).zip(&self.mirrors) {
            assert_eq!(*mirror, replica.plain(), "changes do not tell what changed");
            let (version, bytes, fingerprint) = face(replica);
            let known = self.seen.entry(version.clone()).or_insert_with(|| bytes.clone());
            assert_eq!(*known, bytes, "two states of one version");
            let typed = Replica::<T>::decode(replica.id(), &shadow_of.encode(), &Limits::default())
                .expect("what an opaque replica holds is of the type");
            assert_eq!(shadow_of.fingerprint(&KEY), typed.fingerprint(&KEY));
            assert_eq!(face(&typed), (version, bytes, fingerprint), "an opaque replica holds something else");
        }
    }
}

fn shadow<T: Crdt>(replica: &Replica<T>) -> Replica<Opaque> {
    Replica::decode(replica.id(), &replica.encode(), &Limits::default())
        .expect("an opaque replica reads any state")
}

fn opaque<T: Crdt>(delta: &Delta<T>) -> Delta<Opaque> {
    let limits = Limits::default();
    match delta.encode_state() {
        Some(bytes) => Delta::decode_state(&bytes, &limits).expect("an opaque replica reads any state"),
        None => Delta::decode_body(&delta.encode_body(), &limits).expect("an opaque replica reads any delta"),
    }
}
