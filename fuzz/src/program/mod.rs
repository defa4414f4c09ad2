//! Random programs over a few replicas of one document.

mod documents;
mod leaves;
mod ordered;
mod subject;

use arbitrary::{Arbitrary, Unstructured};
use tombolo_crdt::{
    AddWinsMap, BoundedCounter, Crdt, Delta, Doc, GMap, Limits, List, MovableList, MvRegister, Plain,
    PnCounter, Replica, ReplicaId, Scalar, Since, Text, Tree, Version,
};

pub use self::subject::{Kept, Op, Subject, Value};
use crate::trace;
use crate::types::Board;

/// How many replicas take part.
const REPLICAS: usize = 3;
/// Programs longer than this find nothing that shorter ones do not.
const MAX_STEPS: usize = 64;
/// Who knows that all know all has nothing left to forget after so many sweeps: what is forgotten leaves things to be named, and those
/// go with the next.
const MAX_SWEEPS: usize = 8;
/// So many cursors and edits are kept at once.
const KEPT: usize = 8;
/// Of so many updates one does an edit that was kept, for each that is.
const EDITS: usize = 32;
/// How many types there are programs for.
pub const SUBJECTS: u8 = 10;

/// One step of a program. Numbers that choose something are taken modulo what there is.
#[derive(Arbitrary, Debug, Clone)]
pub enum Step {
    /// A transaction.
    Update(u8, Vec<Op>),
    /// A transaction that fails in the end.
    Fail(u8, Vec<Op>),
    /// A replica takes in a message that was ever sent, in bytes or not.
    Merge(u8, u16, bool),
    /// One message and as many of its successors as fit become one.
    Group(u16, u8),
    /// The first answers the second's version.
    Since(u8, u8),
    /// The first's state goes to the second.
    State(u8, u8),
    /// A replica is written and read again; what waited there is lost.
    Restart(u8),
    /// A replica forgets all but so many bytes of its recent deltas.
    Forget(u8, u16),
    /// A replica's wall clock says this.
    Clock(u8, u32),
    /// A replica forgets what all know, as far as it can tell.
    Sweep(u8),
}

/// A program, and the type it is run on.
#[derive(Arbitrary, Debug, Clone)]
pub struct Program {
    /// Which type.
    pub subject: u8,
    /// What happens.
    pub steps: Vec<Step>,
}

/// As [`run`], from bytes.
pub fn run_bytes(data: &[u8]) {
    if let Ok(program) = Program::arbitrary_take_rest(Unstructured::new(data)) {
        run(&program);
    }
}

/// Runs a program and checks everything there is to check.
///
/// # Panics
/// If replicas diverge, bytes do not read back, or an undone update leaves a trace.
pub fn run(program: &Program) {
    let steps = &program.steps[..program.steps.len().min(MAX_STEPS)];
    match program.subject % SUBJECTS {
        0 | 1 => World::<Doc>::new().run(steps),
        2 => World::<Board>::new().run(steps),
        3 => World::<BoundedCounter>::new().run(steps),
        4 => World::<GMap<String, PnCounter>>::new().run(steps),
        5 => World::<AddWinsMap<String, PnCounter>>::new().run(steps),
        6 => World::<Text>::new().run(steps),
        7 => World::<List<Scalar>>::new().run(steps),
        8 => World::<MovableList<MvRegister<Scalar>>>::new().run(steps),
        _ => World::<Tree<MvRegister<Scalar>>>::new().run(steps),
    }
}

/// What was sent.
struct Message<T: Crdt> {
    delta: Delta<T>,
    /// Whether it is nothing but somebody's forgetting.
    is_sweep: bool,
}

struct World<T: Subject> {
    replicas: Vec<Replica<T>>,
    /// Everything that was ever sent.
    sent: Vec<Message<T>>,
    /// The versions that each replica has had.
    past: Vec<Vec<Version>>,
    /// What was kept last, and what was known where it was.
    kept: Vec<(Version, Kept)>,
}

fn id(at: usize) -> ReplicaId {
    ReplicaId::from_bytes([at as u8 + 1; 16])
}

/// The same delta after a way through bytes.
fn through_bytes<T: Crdt>(delta: &Delta<T>) -> Delta<T> {
    let limits = Limits::default();
    if let Some(state) = delta.encode_state() {
        let back = Delta::<T>::decode_state(&state, &limits).expect("a state of ours decodes");
        assert!(back.encode_state() == Some(state), "a state reads back as it was written");
        return back;
    }
    let bytes = delta.encode();
    let back = Delta::<T>::decode(&bytes, &limits).expect("a delta of ours decodes");
    assert!(back.encode() == bytes, "a delta reads back as it was written");
    back
}

impl<T: Subject> World<T> {
    fn new() -> Self {
        Self {
            replicas: (0..REPLICAS).map(|at| Replica::new(id(at))).collect(),
            sent: Vec::new(),
            past: vec![Vec::new(); REPLICAS],
            kept: Vec::new(),
        }
    }

    fn run(mut self, steps: &[Step]) {
        for step in steps {
            trace!("{step:?}");
            self.step(step);
            self.settle();
        }
        for delta in self.replicas.iter().map(Replica::state).collect::<Vec<_>>() {
            self.send(delta, false);
        }
        for at in 0..REPLICAS {
            for which in 0..self.sent.len() {
                self.take(at, which, true);
            }
            assert_eq!(self.replicas[at].pending(), 0, "everything has arrived, so nothing waits");
        }
        let first = self.replicas[0].version();
        assert!(self.replicas.iter().all(|replica| replica.version() == first), "all know the same");
        self.settle();
        self.sweep_all();
    }

    /// All know all: so all that can be forgotten goes, and nobody sees it.
    fn sweep_all(&mut self) {
        let is_end = |sweep: usize| {
            let at = sweep % REPLICAS;
            let before = self.sent.len();
            self.sweep(at);
            for which in before..self.sent.len() {
                (0..REPLICAS).for_each(|at| self.take(at, which, true));
            }
            self.settle();
            before == self.sent.len()
        };
        assert!((0..MAX_SWEEPS).any(is_end), "there is more and more to forget");
        for replica in &self.replicas {
            assert_eq!(replica.garbage().removals, 0, "what all know is forgotten");
        }
    }

    fn send(&mut self, delta: Delta<T>, is_sweep: bool) {
        if !delta.is_empty() {
            self.sent.push(Message { delta, is_sweep });
        }
    }

    /// Everything that is read at a replica, and where it finds what was kept.
    fn reading(&self, at: usize) -> (Plain, String, Vec<Option<usize>>) {
        let replica = &self.replicas[at];
        (replica.plain(), T::marks(replica), self.found(replica))
    }

    /// Where a replica finds what was kept: somewhere, if it knows all that was known where it was.
    fn found(&self, replica: &Replica<T>) -> Vec<Option<usize>> {
        let version = replica.version();
        let find = |(since, kept): &(Version, Kept)| {
            let found = T::place_of(replica, &kept.cursor);
            assert!(found.is_some() || !version.dominates(since), "a cursor stands nowhere");
            found
        };
        self.kept.iter().map(find).collect()
    }

    /// A replica keeps what there is to keep, if anything.
    fn keep(&mut self, at: usize, op: &Op) {
        let replica = &self.replicas[at];
        if let Some(kept) = T::keep(replica, op) {
            let version = replica.version();
            self.kept.drain(..(self.kept.len() + 1).saturating_sub(KEPT));
            self.kept.push((version, kept));
        }
    }

    /// A replica takes in a message, in bytes or not.
    fn take(&mut self, at: usize, which: usize, in_bytes: bool) {
        let Message { delta, is_sweep } = &self.sent[which];
        let delta = if in_bytes { through_bytes(delta) } else { delta.clone() };
        let replica = &self.replicas[at];
        // Else it waits, or lets something in that waited for it.
        let is_alone = *is_sweep && replica.pending() == 0 && replica.version().dominates(&delta.deps());
        let before = is_alone.then(|| self.reading(at));
        self.replicas[at].merge(delta).expect("there is room");
        if let Some(before) = before {
            assert!(before == self.reading(at), "forgetting is seen elsewhere");
        }
    }

    /// What all know, as a replica may say it: of each the latest version of which it has all, for what that one wrote before is known
    /// here as well.
    fn stable(&self, at: usize) -> Version {
        let here = self.replicas[at].version();
        let told = |past: &Vec<Version>| past.iter().rev().find(|version| here.dominates(version)).cloned();
        let told = self.past.iter().map(|past| told(past).unwrap_or_default());
        told.reduce(|all, one| all.meet(&one)).unwrap_or_default()
    }

    fn sweep(&mut self, at: usize) {
        let (stable, before) = (self.stable(at), self.reading(at));
        // Twice: where places of deleted elements stood is let go only when they are gone themselves.
        for _ in 0..2 {
            let delta = self.replicas[at].sweep(&stable);
            assert!(before == self.reading(at), "forgetting is seen");
            self.send(delta, true);
        }
        assert!(
            self.replicas[at].sweep(&stable).is_empty(),
            "what may be forgotten is forgotten in two looks"
        );
    }

    /// Remembers what the replicas know by now, and looks at those that know something new: equal versions mean equal bytes.
    fn settle(&mut self) {
        for (at, one) in self.replicas.iter().enumerate() {
            let version = one.version();
            if self.past[at].last() == Some(&version) {
                continue;
            }
            T::check(one);
            let bytes = one.encode();
            if !self.kept.is_empty() {
                let back = Replica::<T>::decode(id(at), &bytes, &Limits::default()).expect("our own state");
                assert_eq!(
                    self.found(&back),
                    self.found(one),
                    "who has it from bytes finds places elsewhere"
                );
            }
            for (other, replica) in self.replicas.iter().enumerate() {
                if other != at && replica.version() == version {
                    assert!(bytes == replica.encode(), "one version and two states");
                }
            }
            self.past[at].push(version);
        }
        let found: Vec<_> = self.replicas.iter().map(|one| (one.version(), self.found(one))).collect();
        for (at, (version, here)) in found.iter().enumerate() {
            let mut others = found[..at].iter().filter(|(other, _)| other == version);
            assert!(others.all(|(_, there)| there == here), "who knows the same finds places elsewhere");
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Update(at, ops) => {
                let (at, edit) = (usize::from(*at) % REPLICAS, usize::from(*at) / REPLICAS % EDITS);
                if let Some(first) = ops.first() {
                    self.keep(at, first);
                }
                let (_, delta) = self.replicas[at].update(|value| {
                    if let Some((_, kept)) = self.kept.get(edit) {
                        T::edit(value, &kept.edit);
                    }
                    ops.iter().take(16).for_each(|op| T::apply(value, op));
                });
                self.send(delta, false);
            }
            Step::Fail(at, ops) => {
                let replica = &mut self.replicas[usize::from(*at) % REPLICAS];
                let before = (replica.version(), replica.encode());
                let failed = replica.try_update(|value| {
                    ops.iter().take(16).for_each(|op| T::apply(value, op));
                    Err::<(), ()>(())
                });
                assert!(failed.is_err());
                assert!(before == (replica.version(), replica.encode()), "what failed left a trace");
            }
            Step::Merge(at, which, in_bytes) => {
                if !self.sent.is_empty() {
                    let which = usize::from(*which) % self.sent.len();
                    self.take(usize::from(*at) % REPLICAS, which, *in_bytes);
                }
            }
            Step::Group(which, most) => {
                if self.sent.is_empty() {
                    return;
                }
                let from = usize::from(*which) % self.sent.len();
                let mut group = self.sent[from].delta.clone();
                let next = self.sent[from + 1..].iter();
                let more = next.filter(|next| group.append(&next.delta)).take((*most).into());
                if more.count() > 0 {
                    self.send(group, false);
                }
            }
            Step::Since(from, to) => {
                let (from, to) = (usize::from(*from) % REPLICAS, usize::from(*to) % REPLICAS);
                match self.replicas[from].delta_since(&self.replicas[to].version()) {
                    Since::Delta(delta) => {
                        let delta = through_bytes(&delta);
                        self.replicas[to].merge(delta.clone()).expect("there is room");
                        let known = self.replicas[to].version();
                        assert!(known.dominates(&self.replicas[from].version()), "the answer brings level");
                        self.send(delta, false);
                    }
                    Since::UpToDate | Since::Forgotten => {}
                }
            }
            Step::State(from, to) => {
                let state = self.replicas[usize::from(*from) % REPLICAS].state();
                self.replicas[usize::from(*to) % REPLICAS].merge(state.clone()).expect("there is room");
                self.send(state, false);
            }
            Step::Restart(at) => {
                let at = usize::from(*at) % REPLICAS;
                let (bytes, before) = (self.replicas[at].encode(), self.reading(at));
                let back = Replica::<T>::decode(id(at), &bytes, &Limits::default()).expect("our own state");
                assert!(back.encode() == bytes, "a restart changes nothing");
                self.replicas[at] = back;
                assert!(before == self.reading(at), "who has it from bytes reads it otherwise");
            }
            Step::Forget(at, bytes) => {
                self.replicas[usize::from(*at) % REPLICAS].set_history_bytes((*bytes).into());
            }
            Step::Clock(at, millis) => {
                self.replicas[usize::from(*at) % REPLICAS].set_time((*millis).into());
            }
            Step::Sweep(at) => self.sweep(usize::from(*at) % REPLICAS),
        }
    }
}
