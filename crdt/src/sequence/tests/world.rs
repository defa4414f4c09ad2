//! Replicas that write and hear of one another in causal order, each with the plain tree beside it.

use alloc::collections::BTreeMap;

use proptest::prelude::*;

use super::super::piece::after;
use super::super::{Origin, START, Sequence, Side};
use super::plain::{Id, Plain};
use crate::causal::{LocalDot, ReplicaId, ReplicaIndex, ReplicaTable};

#[derive(Debug, Clone)]
pub(super) enum Action {
    /// At a position that is taken modulo the length.
    Insert {
        by: usize,
        at: usize,
        text: String,
    },
    InsertAt {
        by: usize,
        at: usize,
        text: String,
    },
    Delete {
        by: usize,
        at: usize,
        count: usize,
    },
    DeleteAt {
        by: usize,
        at: usize,
        count: usize,
    },
    /// Goes on where this replica wrote last.
    Type {
        by: usize,
        text: String,
    },
    /// Deletes what is before where this replica wrote last.
    Backspace {
        by: usize,
    },
    Deliver {
        from: usize,
        to: usize,
        count: usize,
    },
    /// Dots are used elsewhere.
    Skip {
        by: usize,
    },
}

pub(super) fn actions(replicas: usize) -> impl Strategy<Value = Action> {
    let texts = prop_oneof![
        8 => "[a-e]{1,4}",
        1 => Just("\u{1f44d}\u{1f3fd}".to_string()),
        1 => Just("e\u{301}".to_string()),
        1 => Just("жиф".to_string()),
        1 => Just("x\u{e9}y".to_string()),
    ];
    let texts = texts.boxed();
    let by = 0..replicas;
    prop_oneof![
        3 => (by.clone(), any::<usize>(), texts.clone()).prop_map(|(by, at, text)| Action::Insert { by, at, text }),
        2 => (by.clone(), 0..3_usize, texts.clone()).prop_map(|(by, at, text)| Action::Insert { by, at, text }),
        3 => (by.clone(), any::<usize>(), 1..6_usize).prop_map(|(by, at, count)| Action::Delete { by, at, count }),
        4 => (by.clone(), texts).prop_map(|(by, text)| Action::Type { by, text }),
        2 => by.clone().prop_map(|by| Action::Backspace { by }),
        3 => (by.clone(), by.clone(), 1..9_usize).prop_map(|(from, to, count)| Action::Deliver { from, to, count }),
        1 => by.prop_map(|by| Action::Skip { by }),
    ]
}

#[derive(Clone, Debug)]
enum Write {
    Insert { head: Option<(Id, Option<Id>, bool)>, first: Id, text: String },
    Delete(Vec<(Id, u64)>),
}

/// What one replica wrote at once, with how much of each replica's writes it knew.
#[derive(Clone, Debug)]
struct Event {
    write: Write,
    deps: Vec<usize>,
}

struct Replica {
    sequence: Sequence,
    plain: Plain,
    table: ReplicaTable,
    number: u32,
    counter: u64,
    /// How many events of each replica are known.
    known: Vec<usize>,
    /// Where it wrote last.
    at: usize,
}

pub(super) struct World {
    replicas: Vec<Replica>,
    log: Vec<Vec<Event>>,
}

impl Replica {
    /// Ids are in the order of numbers, rows in another at every replica.
    fn new(number: u32, count: u32) -> Self {
        let mut table = ReplicaTable::default();
        for row in 0..count {
            table.intern(ReplicaId::from_bytes([((row + number) % count) as u8 + 1; 16]));
        }
        let known = vec![0; count as usize];
        let (mut sequence, plain) = (Sequence::<str>::default(), Plain::default());
        table.ids().for_each(|id| _ = sequence.row(*id));
        Self { sequence, plain, table, number, counter: 0, known, at: 0 }
    }

    fn row(&self, number: u32) -> ReplicaIndex {
        self.table.row(ReplicaId::from_bytes([number as u8 + 1; 16])).unwrap()
    }

    fn dot(&self, (number, counter): Id) -> LocalDot {
        LocalDot::new(self.row(number), counter)
    }

    fn id(&self, dot: LocalDot) -> Id {
        (u32::from(self.table.id(dot.replica()).as_bytes()[0]) - 1, dot.counter())
    }

    fn insert(&mut self, at: usize, text: &str) -> Write {
        let before: String = self.sequence.pieces().collect();
        let (row, mut counter, mut head) = (self.row(self.number), self.counter, None);
        let next = LocalDot::new(row, counter + 1);
        self.sequence.insert(at, None, text, next, 0, |origin: Option<Origin>, _| {
            if let Some(origin) = origin {
                counter += 1;
                head = Some((counter, origin));
            }
            LocalDot::new(row, counter + 1)
        });
        let first = (self.number, counter + 1);
        self.counter = counter + text.chars().count() as u64;
        self.at = at + text.chars().count();
        let expected: String =
            before.chars().take(at).chain(text.chars()).chain(before.chars().skip(at)).collect();
        assert_eq!(self.sequence.pieces().collect::<String>(), expected);
        let head = head.map(|(counter, origin)| {
            let parent = (origin.parent != START).then(|| self.id(origin.parent));
            ((self.number, counter), parent, origin.side == Side::Right)
        });
        let write = Write::Insert { head, first, text: text.into() };
        self.note(&write);
        write
    }

    fn delete(&mut self, at: usize, count: usize) -> Write {
        let before: String = self.sequence.pieces().collect();
        let (mut runs, mut gone) = (Vec::new(), String::new());
        self.sequence.delete(at, count, |first, text| {
            runs.push((first, text.chars().count() as u64));
            gone.push_str(text);
        });
        self.counter += 1;
        self.at = at;
        assert_eq!(gone, before.chars().skip(at).take(count).collect::<String>());
        let expected: String = before.chars().take(at).chain(before.chars().skip(at + count)).collect();
        assert_eq!(self.sequence.pieces().collect::<String>(), expected);
        let write = Write::Delete(runs.into_iter().map(|(first, len)| (self.id(first), len)).collect());
        self.note(&write);
        write
    }

    /// In the plain tree.
    fn note(&mut self, write: &Write) {
        match write {
            Write::Insert { head, first, text } => {
                if let Some((head, parent, is_behind)) = head {
                    self.plain.run(*head, *parent, *is_behind);
                }
                for (counter, scalar) in (first.1..).zip(text.chars()) {
                    self.plain.live((first.0, counter), scalar);
                }
            }
            Write::Delete(runs) => {
                for &((number, first), len) in runs {
                    (first..first + len).for_each(|counter| self.plain.remove((number, counter)));
                }
            }
        }
    }

    fn take_in(&mut self, write: &Write) {
        match write {
            Write::Insert { head, first, text } => {
                if let Some((head, parent, is_behind)) = *head {
                    let parent = parent.map_or(START, |parent| self.dot(parent));
                    let side = if is_behind { Side::Right } else { Side::Left };
                    self.sequence.add_run(self.dot(head), Origin { parent, side });
                }
                self.sequence.add(self.dot(*first), text);
            }
            Write::Delete(runs) => {
                for &((number, first), len) in runs {
                    self.sequence.remove(self.dot((number, first)), self.dot((number, first + len - 1)));
                }
            }
        }
        self.sequence.settle();
        self.note(write);
    }

    fn undo(&mut self, write: &Write, before: &str) {
        match write {
            Write::Insert { head, first, text } => {
                let last = (first.0, first.1 + text.chars().count() as u64 - 1);
                self.sequence.remove(self.dot(*first), self.dot(last));
                (first.1..=last.1).for_each(|counter| self.plain.remove((first.0, counter)));
                if let Some((head, ..)) = *head {
                    self.sequence.remove_runs(&[self.dot(head)]);
                    self.plain.undo_run(head);
                }
            }
            Write::Delete(runs) => {
                let mut gone = before.chars().skip(self.at);
                for &((number, first), len) in runs {
                    let text: String = gone.by_ref().take(len as usize).collect();
                    self.sequence.add(self.dot((number, first)), &text);
                    for (counter, scalar) in (first..).zip(text.chars()) {
                        self.plain.live((number, counter), scalar);
                    }
                }
            }
        }
        self.sequence.settle();
        assert_eq!(self.sequence.pieces().collect::<String>(), before);
        self.sequence.assert_found();
    }
}

impl Sequence {
    /// Every element that has a place is found there by its dot, and nothing behind the last of a replica.
    fn assert_found(&self) {
        let mut last = BTreeMap::new();
        for (place, piece) in self.tree.iter_from(self.tree.first()) {
            let known = last.entry(piece.first().replica()).or_insert(0);
            *known = piece.last().counter().max(*known);
            for nth in 0..piece.len() {
                assert_eq!(self.place_of(after(piece.first(), nth)), Some((place, nth)), "{piece:?}");
            }
        }
        for (row, known) in (0..).zip(&self.rows.rows) {
            assert_eq!(known.last, last.get(&row).copied().unwrap_or(0));
            assert_eq!(self.place_of(LocalDot::new(row, known.last + 1)), None);
        }
    }
}

impl World {
    pub(super) fn new(count: u32) -> Self {
        let replicas = (0..count).map(|number| Replica::new(number, count)).collect();
        Self { replicas, log: vec![Vec::new(); count as usize] }
    }

    pub(super) fn sequence(&self, at: usize) -> &Sequence {
        &self.replicas[at].sequence
    }

    pub(super) fn act(&mut self, action: &Action) {
        if let Action::Deliver { from, to, count } = action {
            return self.deliver(*from, *to, *count);
        }
        if let Some((by, write)) = self.write(action) {
            let deps = self.replicas[by].known.clone();
            self.log[by].push(Event { write, deps });
            self.replicas[by].known[by] += 1;
            let replica = &self.replicas[by];
            assert_eq!(replica.sequence.pieces().collect::<String>(), replica.plain.read());
            replica.sequence.assert_found();
        }
    }

    fn write(&mut self, action: &Action) -> Option<(usize, Write)> {
        let len = |by: usize| self.replicas[by].sequence.width().scalars;
        let (by, at, count, text) = match action {
            Action::Insert { by, at, text } => (*by, at % (len(*by) + 1), 0, text.as_str()),
            Action::InsertAt { by, at, text } => (*by, *at, 0, text.as_str()),
            Action::Type { by, text } => (*by, self.replicas[*by].at.min(len(*by)), 0, text.as_str()),
            Action::Delete { by, at, count } => {
                let at = at % (len(*by) + 1);
                (*by, at, (*count).min(len(*by) - at), "")
            }
            Action::DeleteAt { by, at, count } => (*by, *at, *count, ""),
            Action::Backspace { by } => (*by, self.replicas[*by].at.min(len(*by)).saturating_sub(1), 1, ""),
            Action::Skip { by } => {
                self.replicas[*by].counter += 1;
                return None;
            }
            Action::Deliver { .. } => return None,
        };
        let replica = &mut self.replicas[by];
        if !text.is_empty() {
            return Some((by, replica.insert(at, text)));
        }
        (count > 0 && at < replica.sequence.width().scalars).then(|| (by, replica.delete(at, count)))
    }

    pub(super) fn try_and_undo(&mut self, action: &Action) {
        let before: Vec<String> =
            self.replicas.iter().map(|replica| replica.sequence.pieces().collect()).collect();
        let counters: Vec<u64> = self.replicas.iter().map(|replica| replica.counter).collect();
        let at: Vec<usize> = self.replicas.iter().map(|replica| replica.at).collect();
        if let Some((by, write)) = self.write(action) {
            self.replicas[by].undo(&write, &before[by]);
            self.replicas[by].counter = counters[by];
            self.replicas[by].at = at[by];
        }
    }

    fn deliver(&mut self, from: usize, to: usize, count: usize) {
        for _ in 0..count {
            let Some(event) = self.log[from].get(self.replicas[to].known[from]).cloned() else { return };
            if from == to || event.deps.iter().zip(&self.replicas[to].known).any(|(dep, known)| dep > known) {
                return;
            }
            self.replicas[to].take_in(&event.write);
            self.replicas[to].known[from] += 1;
            let replica = &self.replicas[to];
            assert_eq!(replica.sequence.pieces().collect::<String>(), replica.plain.read());
        }
    }

    pub(super) fn deliver_all(&mut self) {
        let count = self.replicas.len();
        let all =
            |world: &Self| world.replicas.iter().map(|replica| replica.known.iter().sum::<usize>()).sum();
        loop {
            let before: usize = all(self);
            for from in 0..count {
                (0..count).for_each(|to| self.deliver(from, to, usize::MAX));
            }
            if all(self) == before {
                return;
            }
        }
    }

    /// Has a replica know what it knew as if it had read it from a state.
    pub(super) fn reload(&mut self, at: usize, built: bool) {
        let replica = &mut self.replicas[at];
        let mut sequence = Sequence { is_stale: built, ..Sequence::<str>::default() };
        replica.table.ids().for_each(|id| _ = sequence.row(*id));
        let mut live: Vec<(LocalDot, String)> =
            replica.sequence.live().map(|(first, text)| (first, text.to_string())).collect();
        live.sort();
        replica.sequence.runs().for_each(|(head, origin)| sequence.add_run(head, origin));
        live.iter().for_each(|(first, text)| sequence.add(*first, text));
        sequence.settle();
        replica.sequence = sequence;
        assert_eq!(replica.sequence.pieces().collect::<String>(), replica.plain.read());
    }

    /// Every element that was ever written stands where the plain tree has it.
    pub(super) fn assert_found(&self) {
        let writes = self.log.iter().flatten().map(|event| &event.write);
        let written: Vec<Id> = writes
            .filter_map(|write| match write {
                Write::Insert { first, text, .. } => Some((*first, text.chars().count() as u64)),
                Write::Delete(_) => None,
            })
            .flat_map(|(first, len)| (first.1..first.1 + len).map(move |counter| (first.0, counter)))
            .collect();
        for replica in &self.replicas {
            for &id in &written {
                let found = replica.sequence.index_of(replica.dot(id));
                assert_eq!(found, replica.plain.index_of(id), "{id:?}");
                if found.1 {
                    assert_eq!(replica.sequence.element_at(found.0), Some(replica.dot(id)));
                }
            }
        }
    }

    pub(super) fn assert_level(&self) {
        let texts: Vec<String> =
            self.replicas.iter().map(|replica| replica.sequence.pieces().collect()).collect();
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        for replica in &self.replicas {
            assert_eq!(replica.plain.read(), texts[0]);
        }
    }
}
