//! Random programs over a few replicas of one document.

use arbitrary::{Arbitrary, Unstructured};
use tombolo_crdt::{
    AddWinsMap, AddWinsSet, BoundedCounter, Crdt, Delta, DisableWinsFlag, Doc, EnableWinsFlag, GCounter,
    GMap, GSet, Kind, Limits, List, LwwMap, LwwRegister, MarkKind, MaxRegister, MinRegister, MovableList,
    MvRegister, NodeId, PnCounter, RemoveWinsSet, Replica, ReplicaId, Scalar, Since, Text, Tree, TwoPhaseSet,
};

use crate::trace;
use crate::types::Board;

/// How many replicas take part.
const REPLICAS: usize = 3;
/// Programs longer than this find nothing that shorter ones do not.
const MAX_STEPS: usize = 64;

/// A type that random operations can be done on.
pub trait Subject: Crdt {
    /// Does one operation.
    fn apply(value: &mut Self::Mut<'_>, op: &Op);

    /// What is so wherever nobody lies.
    fn check(_: &Self::State) {}
}

/// One operation; what it means is up to the type.
#[derive(Arbitrary, Debug, Clone)]
pub struct Op {
    /// Which of the type's operations.
    pub what: u8,
    /// The name, key or element it is about.
    pub name: u8,
    /// A second one, further down.
    pub under: u8,
    /// The value it writes.
    pub value: Value,
    /// Through how many maps it goes first.
    pub depth: u8,
}

/// A plain value.
#[derive(Arbitrary, Debug, Clone)]
#[allow(missing_docs)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<&Value> for Scalar {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Float(*value),
            Value::Text(value) => Self::from(&value[..]),
            Value::Bytes(value) => Self::Bytes(value.clone()),
        }
    }
}

impl Value {
    fn number(&self) -> i64 {
        match self {
            Self::Int(value) => *value,
            Self::Bool(value) => i64::from(*value),
            Self::Text(value) => value.len() as i64 + 1,
            _ => 1,
        }
    }
}

/// One of a few short names.
fn name(of: u8) -> &'static str {
    ["a", "b", "c", "", "garden", "\u{10ffff}"][usize::from(of) % 6]
}

impl Subject for PnCounter {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        value.add(op.value.number());
    }
}

impl Subject for GCounter {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        value.inc(op.value.number().unsigned_abs());
    }
}

impl Subject for EnableWinsFlag {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what.is_multiple_of(2) { value.enable() } else { value.disable() }
    }
}

impl Subject for LwwRegister<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what.is_multiple_of(8) { value.clear() } else { value.set(&op.value) }
    }
}

impl Subject for LwwRegister<String> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what.is_multiple_of(8) { value.clear() } else { value.set(name(op.name)) }
    }
}

impl Subject for MvRegister<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what.is_multiple_of(8) { value.clear() } else { value.set(&op.value) }
    }
}

impl Subject for AddWinsSet<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let element = Scalar::from(&op.value);
        match op.what % 8 {
            0 => value.clear(),
            1..=3 => {
                value.remove(&element);
            }
            _ => value.add(element),
        }
    }
}

impl Subject for AddWinsSet<String> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what % 8 {
            0 => value.clear(),
            1..=3 => {
                value.remove(name(op.under));
            }
            _ => value.add(name(op.under)),
        }
    }
}

impl Subject for GSet<String> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        value.add(name(op.name));
    }
}

impl Subject for AddWinsMap<String, PnCounter> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what % 8 {
            0 => value.clear(),
            1 | 2 => {
                value.remove(name(op.name));
            }
            3 => drop(value.at(name(op.name))),
            _ => value.at(name(op.name)).add(op.value.number()),
        }
    }
}

impl Subject for AddWinsMap<String, AddWinsMap<u8, AddWinsSet<String>>> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what / 8 % 8 {
            0 => value.clear(),
            1 => {
                value.remove(name(op.name));
            }
            2 => {
                value.at(name(op.name)).remove(&(op.under % 3));
            }
            _ => AddWinsSet::<String>::apply(&mut value.at(name(op.name)).at(op.under % 3), op),
        }
    }
}

impl Subject for DisableWinsFlag {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what.is_multiple_of(2) { value.enable() } else { value.disable() }
    }
}

impl Subject for MaxRegister<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        value.set(&op.value);
    }
}

impl Subject for MinRegister<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        value.set(&op.value);
    }
}

impl Subject for RemoveWinsSet<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what % 8 {
            0 => value.clear(),
            1..=3 => {
                value.remove(&op.value);
            }
            _ => value.add(&op.value),
        }
    }
}

impl Subject for TwoPhaseSet<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what % 8 < 3 {
            value.remove(&Scalar::from(&op.value));
        } else {
            value.add(&op.value);
        }
    }
}

impl Subject for GMap<String, PnCounter> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what % 8 {
            0 => drop(value.at(name(op.name))),
            _ => value.at(name(op.name)).add(op.value.number()),
        }
    }
}

impl Subject for LwwMap<String, Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what % 8 {
            0 => value.clear(),
            1..=3 => {
                value.remove(name(op.under));
            }
            _ => value.set(name(op.under), &op.value),
        }
    }
}

impl Subject for Text {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let at = usize::from(op.under) * 7 % (value.len() + 1);
        let end = value.len().min(at + usize::from(op.name) % 9);
        match op.what % 8 {
            0 => value.clear(),
            1 | 2 => value.delete(at..end).expect("there is such a part"),
            3 => {
                let kinds = [MarkKind::BOLD, MarkKind::LINK, MarkKind::comment("1"), MarkKind::BLOCK];
                let kind = kinds[usize::from(op.depth) % kinds.len()].clone();
                value.mark(at..end, kind, Scalar::from(&op.value)).expect("there is such a part");
            }
            4 => match &op.value {
                Value::Text(text) => value.insert_markdown(at, text).expect("there is such a place"),
                _ => value.push(name(op.name)),
            },
            5 => value.replace(at..end, name(op.depth)).expect("there is such a part"),
            _ => match &op.value {
                Value::Text(text) => value.insert(at, text).expect("there is such a place"),
                _ => value.insert(at, name(op.name)).expect("there is such a place"),
            },
        }
    }

    fn check(value: &Self::State) {
        let read = value.to_string();
        assert_eq!((value.len(), value.len_bytes()), (read.chars().count(), read.len()));
        assert_eq!(value.runs().map(|run| run.text).collect::<String>(), read);
        let lines: Vec<usize> = value.blocks().map(|block| block.range.len() + 1).collect();
        assert!((value.len()..=value.len() + 1).contains(&lines.into_iter().sum()));
        let mut again = Replica::<Text>::new(id(9));
        let _ = again.try_update(|text| text.apply_quill(&value.to_quill())).expect("it is a document");
        assert_eq!(again.to_quill(), value.to_quill());
    }
}

impl Subject for List<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let at = usize::from(op.under) * 7 % (value.len() + 1);
        let end = value.len().min(at + usize::from(op.name) % 9);
        match op.what % 8 {
            0 => value.clear(),
            1..=3 => value.delete(at..end).expect("there is such a part"),
            4 => value.extend(name(op.name).chars().map(|letter| letter.to_string())),
            5 => value.replace(at..end, [name(op.depth), name(op.name)]).expect("there is such a part"),
            _ => value.insert(at, &op.value).expect("there is such a place"),
        }
    }

    fn check(value: &Self::State) {
        assert_eq!(value.len(), value.iter().count());
        let named = |at| value.id_at(at).and_then(|id| value.position(id)) == Some(at);
        assert!((0..value.len()).step_by(7).all(named), "an element is where its name says");
    }
}

impl Subject for MovableList<MvRegister<Scalar>> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let (at, to) = (usize::from(op.under), usize::from(op.name));
        let (at, to) = (at * 7 % (value.len() + 1), to * 5 % (value.len() + 1));
        // What cannot be done changes nothing.
        let _ = match op.what % 8 {
            0 => value.remove(at),
            1..=3 => value.move_to(at, to),
            4 => value.move_range(at..(at + 2).min(value.len()), to),
            5 => value.at(at).map(|mut register| MvRegister::<Scalar>::apply(&mut register, op)),
            _ => value.insert(at).map(|mut register| register.set(&op.value)),
        };
    }

    fn check(value: &Self::State) {
        assert_eq!(value.len(), value.iter().count());
        let named = |at| value.id_at(at).and_then(|id| value.position(id)) == Some(at);
        assert!((0..value.len()).all(named), "an element is where its name says");
    }
}

impl Subject for Tree<MvRegister<Scalar>> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let nodes: Vec<NodeId> = value.iter().map(|(id, _)| id).chain(value.trash()).take(256).collect();
        let pick = |nth: u8| nodes.get(usize::from(nth) % (nodes.len() + 1)).copied();
        let (parent, node) = (pick(op.under), pick(op.name));
        let at = usize::from(op.depth) % (value.count_children(parent) + 1);
        // What cannot be done changes nothing.
        let _ = match (op.what % 12, node) {
            (0..=3, _) | (_, None) => {
                value.insert(parent, at).map(|(_, mut register)| register.set(&op.value))
            }
            (4..=7, Some(id)) => value.move_to(id, parent, at),
            (8, Some(id)) => value.delete(id),
            (9, Some(id)) => value.restore(id),
            (10, Some(id)) => value.purge(id),
            (_, Some(id)) => value.at(id).map(|mut register| MvRegister::<Scalar>::apply(&mut register, op)),
        };
    }

    fn check(value: &Self::State) {
        let nodes: Vec<NodeId> = value.iter().map(|(id, _)| id).collect();
        let mut once = nodes.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(nodes.len(), once.len(), "a node stands at one place");
        assert!(nodes.iter().step_by(7).all(|id| value.contains(*id)), "what is listed is there");
    }
}

impl Subject for BoundedCounter {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let by = op.value.number().unsigned_abs();
        match op.what % 8 {
            0..=2 => value.inc(by),
            3..=5 => drop(value.dec(by)),
            _ => drop(value.transfer(by, id(usize::from(op.under) % (REPLICAS + 1)))),
        }
    }

    fn check(value: &Self::State) {
        assert_eq!(value.overdraft(), 0, "nobody spends what is another's");
    }
}

impl Subject for Doc {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if !op.depth.is_multiple_of(4) {
            let below = Op { depth: op.depth % 4 - 1, ..op.clone() };
            return Self::apply(&mut value.map(name(op.under)), &below);
        }
        let at = name(op.name);
        // One more byte than operations below it needs.
        let inner = Op { what: op.what / 32, ..op.clone() };
        match op.what % 32 {
            0 => value.clear(),
            1 | 2 | 16 => {
                value.remove(at);
            }
            3 | 17 => {
                let kinds = [Kind::Counter, Kind::Set, Kind::Map, Kind::Register, Kind::LwwMap];
                value.remove_kind(at, kinds[usize::from(op.under) % 5]);
            }
            18 => DisableWinsFlag::apply(&mut value.disable_wins_flag(at), &inner),
            19 | 20 => MaxRegister::<Scalar>::apply(&mut value.max(at), &inner),
            21 | 22 => MinRegister::<Scalar>::apply(&mut value.min(at), &inner),
            23..=25 => RemoveWinsSet::<Scalar>::apply(&mut value.remove_wins_set(at), &inner),
            26..=28 => TwoPhaseSet::<Scalar>::apply(&mut value.two_phase_set(at), &inner),
            29..=31 => LwwMap::<String, Scalar>::apply(&mut value.lww_map(at), &inner),
            4 if op.under.is_multiple_of(2) => Text::apply(&mut value.text(at), &inner),
            4 if op.under % 4 == 1 => List::<Scalar>::apply(&mut value.list(at), &inner),
            4 if op.depth.is_multiple_of(8) => {
                let mut cards = value.movable_list(at);
                let (from, to) = (usize::from(op.name) % 8, usize::from(op.under) % 8);
                match cards.move_to(from, to) {
                    Ok(()) => {}
                    Err(_) => cards.push().register(at).set(&op.value),
                }
            }
            4 => drop(value.map(at)),
            5 | 6 => PnCounter::apply(&mut value.counter(at), &inner),
            7 => GCounter::apply(&mut value.grow_counter(at), &inner),
            8 => EnableWinsFlag::apply(&mut value.flag(at), &inner),
            9 | 10 => MvRegister::<Scalar>::apply(&mut value.register(at), &inner),
            11 => LwwRegister::<Scalar>::apply(&mut value.lww(at), &inner),
            12..=14 => AddWinsSet::<Scalar>::apply(&mut value.set(at), &inner),
            _ => value.grow_set(at).add(&op.value),
        }
    }
}

impl Subject for Board {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let inner = Op { what: op.what / 16, ..op.clone() };
        let at = name(op.name);
        match op.what % 16 {
            0 => PnCounter::apply(&mut value.visits(), &inner),
            1 => GCounter::apply(&mut value.total(), &inner),
            2 => EnableWinsFlag::apply(&mut value.open(), &inner),
            3 => LwwRegister::<String>::apply(&mut value.title(), &inner),
            4 => value.owner().set(op.value.number().try_into().ok()),
            5 => match op.under % 12 {
                0 => value.shape().choose_circle().radius().set(u32::from(op.name)),
                1 => value.shape().choose_square().field_0().inc(1),
                2 => value.shape().choose_nowhere(),
                3 => value.largest().set(u32::from(op.name)),
                4 => BoundedCounter::apply(&mut value.stock(), &inner),
                5 => value.stocks().at(at).inc(u64::from(op.name)),
                6 => drop(value.stocks().at(at).dec(2)),
                7 => DisableWinsFlag::apply(&mut value.allowed(), &inner),
                8 => value.settings().set(at, u32::try_from(op.value.number()).ok()),
                9 => drop(value.settings().remove(at)),
                _ => value.seen().add(u16::from(op.under)),
            },
            6 | 7 => {
                value.cards().remove(at);
            }
            8 => value.cards().clear(),
            9 | 10 => PnCounter::apply(&mut value.cards().entry(at).votes(), &inner),
            11 | 12 => AddWinsSet::<String>::apply(&mut value.cards().entry(at).labels(), &inner),
            13 => MvRegister::<Scalar>::apply(&mut value.cards().entry(at).note(), &inner),
            14 => {
                let mut cards = value.cards();
                let mut card = cards.by_ref().entry(at);
                match op.under % 16 {
                    8 => DisableWinsFlag::apply(&mut card.locked(), &inner),
                    9 => MinRegister::<Scalar>::apply(&mut card.earliest(), &inner),
                    10 => card.latest().set(at),
                    11 => RemoveWinsSet::<Scalar>::apply(&mut card.members(), &inner),
                    12 => TwoPhaseSet::<Scalar>::apply(&mut card.tickets(), &inner),
                    13 => LwwMap::<String, Scalar>::apply(&mut card.options(), &inner),
                    14 => GMap::<String, PnCounter>::apply(&mut card.tallies(), &inner),
                    15 => card.shape().choose_square().field_0().inc(1),
                    6 | 7 => Text::apply(&mut card.body(), &inner),
                    4 | 5 => List::<Scalar>::apply(&mut card.steps(), &inner),
                    under => _ = card.marks().remove(&i32::from(under % 4)),
                }
            }
            _ => {
                let key = i32::from(op.under % 4);
                EnableWinsFlag::apply(&mut value.cards().entry(at).marks().entry(key), &inner);
            }
        }
    }

    fn check(value: &Self::State) {
        BoundedCounter::check(&value.stock);
        assert!(
            value.stocks.iter().all(|(_, stock)| stock.overdraft() == 0),
            "nobody spends what is another's"
        );
    }
}

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
    match program.subject % 6 {
        0 | 1 => World::<Doc>::new().run(steps),
        2 => World::<Board>::new().run(steps),
        3 => World::<BoundedCounter>::new().run(steps),
        4 => World::<GMap<String, PnCounter>>::new().run(steps),
        _ => World::<AddWinsMap<String, PnCounter>>::new().run(steps),
    }
}

struct World<T: Subject> {
    replicas: Vec<Replica<T>>,
    /// Everything that was ever sent.
    sent: Vec<Delta<T>>,
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
        Self { replicas: (0..REPLICAS).map(|at| Replica::new(id(at))).collect(), sent: Vec::new() }
    }

    fn run(mut self, steps: &[Step]) {
        for step in steps {
            trace!("{step:?}");
            self.step(step);
            self.check();
        }
        for delta in self.replicas.iter().map(Replica::state).collect::<Vec<_>>() {
            self.sent.push(delta);
        }
        for replica in &mut self.replicas {
            for delta in &self.sent {
                replica.merge(through_bytes(delta)).expect("there is room");
            }
            assert_eq!(replica.pending(), 0, "everything has arrived, so nothing waits");
        }
        let first = self.replicas[0].version();
        assert!(self.replicas.iter().all(|replica| replica.version() == first), "all know the same");
        self.check();
    }

    /// Equal versions mean equal bytes.
    fn check(&self) {
        for (at, one) in self.replicas.iter().enumerate() {
            T::check(one);
            for other in &self.replicas[at + 1..] {
                if one.version() == other.version() {
                    assert!(one.encode() == other.encode(), "one version and two states");
                }
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Update(at, ops) => {
                let (_, delta) = self.replicas[usize::from(*at) % REPLICAS]
                    .update(|value| ops.iter().take(16).for_each(|op| T::apply(value, op)));
                if !delta.is_empty() {
                    self.sent.push(delta);
                }
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
            Step::Merge(at, which, bytes) => {
                if self.sent.is_empty() {
                    return;
                }
                let delta = &self.sent[usize::from(*which) % self.sent.len()];
                let delta = if *bytes { through_bytes(delta) } else { delta.clone() };
                self.replicas[usize::from(*at) % REPLICAS].merge(delta).expect("there is room");
            }
            Step::Group(which, most) => {
                if self.sent.is_empty() {
                    return;
                }
                let from = usize::from(*which) % self.sent.len();
                let mut group = self.sent[from].clone();
                let more =
                    self.sent[from + 1..].iter().filter(|next| group.append(next)).take((*most).into());
                if more.count() > 0 {
                    self.sent.push(group);
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
                        self.sent.push(delta);
                    }
                    Since::UpToDate | Since::Forgotten => {}
                }
            }
            Step::State(from, to) => {
                let state = self.replicas[usize::from(*from) % REPLICAS].state();
                self.replicas[usize::from(*to) % REPLICAS].merge(state.clone()).expect("there is room");
                self.sent.push(state);
            }
            Step::Restart(at) => {
                let at = usize::from(*at) % REPLICAS;
                let bytes = self.replicas[at].encode();
                let back = Replica::<T>::decode(id(at), &bytes, &Limits::default()).expect("our own state");
                assert!(back.encode() == bytes, "a restart changes nothing");
                self.replicas[at] = back;
            }
            Step::Forget(at, bytes) => {
                self.replicas[usize::from(*at) % REPLICAS].set_history_bytes((*bytes).into());
            }
            Step::Clock(at, millis) => {
                self.replicas[usize::from(*at) % REPLICAS].set_time((*millis).into());
            }
        }
    }
}
