//! What was written, by whom, knowing what; and what must therefore be there in the end.
//!
//! Written from the definitions of the types over the history, not from their code. A transaction is known by its
//! author's counter after it, and *saw* every transaction its author's version named before it. What is lost on purpose
//! (in memory only when the node crashed, or refused by the disk) is taken out; everything else must arrive.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::{ReplicaId, Stamp, Version};
use tombolo_sync::DocId;

use super::kind::{Kind, Op, Reading, Value};

/// One transaction.
#[derive(Debug, Clone)]
struct Entry {
    replica: ReplicaId,
    /// The author's counter after it.
    last: u64,
    /// What the author knew before it.
    before: Version,
    ops: Vec<Op>,
    /// Of the last-writer-wins value it wrote.
    stamp: Option<Stamp>,
}

impl Entry {
    fn saw(&self, other: &Self) -> bool {
        self.before.get(other.replica) >= other.last
    }
}

/// Everything that was written and is not known to be lost.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: BTreeMap<(DocId, ReplicaId), Vec<Entry>>,
}

impl Ledger {
    /// Notes a transaction.
    pub fn note(
        &mut self,
        doc: DocId,
        replica: ReplicaId,
        before: Version,
        last: u64,
        ops: Vec<Op>,
        stamp: Option<Stamp>,
    ) {
        let entry = Entry { replica, last, before, ops, stamp };
        self.entries.entry((doc, replica)).or_default().push(entry);
    }

    /// Of this replica's transactions, those up to `kept` are left.
    pub fn truncate(&mut self, doc: DocId, replica: ReplicaId, kept: u64) {
        if let Some(entries) = self.entries.get_mut(&(doc, replica)) {
            entries.retain(|entry| entry.last <= kept);
        }
    }

    /// The documents a replica has written to.
    #[must_use]
    pub fn documents_of(&self, replica: ReplicaId) -> Vec<DocId> {
        self.entries.keys().filter(|(_, author)| *author == replica).map(|(doc, _)| *doc).collect()
    }

    fn of(&self, doc: DocId) -> Vec<&Entry> {
        self.entries.iter().filter(|((known, _), _)| *known == doc).flat_map(|(_, all)| all).collect()
    }

    /// What the document must say at who knows everything.
    #[must_use]
    pub fn expected(&self, doc: DocId, kind: Kind) -> Reading {
        let all = self.of(doc);
        let [counters, sets, multis, latest] = kind.fields();
        let counters = counters.iter().map(|&field| (field, Value::Sum(sum(&all, field))));
        let sets = sets.iter().map(|&field| (field, Value::Elements(elements(&all, field))));
        let multis = multis.iter().map(|&field| {
            (field, Value::Elements(writes(&all, field).into_iter().map(|(_, value)| value).collect()))
        });
        let latest = latest.iter().map(|&field| {
            let last = writes(&all, field).into_iter().max_by_key(|(entry, _)| (entry.stamp, entry.replica));
            (field, Value::Latest(last.map(|(_, value)| value)))
        });
        counters.chain(sets).chain(multis).chain(latest).collect()
    }

    /// The documents that must be listed: what was created and not deleted by somebody who knew.
    #[must_use]
    pub fn listed(&self) -> BTreeSet<String> {
        elements(&self.of(DocId::DIRECTORY), "")
    }
}

fn sum(all: &[&Entry], field: &str) -> i64 {
    let ops = all.iter().flat_map(|entry| &entry.ops);
    ops.map(|op| {
        if let Op::Add(at, by) = op
            && *at == field
        {
            *by
        } else {
            0
        }
    })
    .sum()
}

/// Add-wins: an element is in if somebody added it whom no removal of it saw.
fn elements(all: &[&Entry], field: &str) -> BTreeSet<String> {
    let mut elements = BTreeSet::new();
    for (adder, at, op) in ops(all) {
        let Op::Insert(named, element) = op else { continue };
        let removed = ops(all).any(|(remover, there, op)| {
            let removes = match op {
                Op::Remove(named, other) => *named == field && other == element,
                Op::Clear(named) => *named == field,
                _ => false,
            };
            removes && comes_after((remover, there), (adder, at))
        });
        if *named == field && !removed {
            elements.insert(element.clone());
        }
    }
    elements
}

/// The writes of a register that no other write saw.
fn writes<'e>(all: &[&'e Entry], field: &str) -> Vec<(&'e Entry, String)> {
    let mut writes = Vec::new();
    for (writer, at, op) in ops(all) {
        let Op::Set(named, value) = op else { continue };
        let replaced = ops(all).any(|(other, there, op)| {
            let writes = matches!(op, Op::Set(named, _) | Op::Unset(named) if *named == field);
            writes && comes_after((other, there), (writer, at))
        });
        if *named == field && !replaced {
            writes.push((writer, value.clone()));
        }
    }
    writes
}

fn ops<'a, 'e>(all: &'a [&'e Entry]) -> impl Iterator<Item = (&'e Entry, usize, &'e Op)> + 'a {
    all.iter().flat_map(|entry| entry.ops.iter().enumerate().map(move |(at, op)| (*entry, at, op)))
}

/// Whether the first saw the second.
fn comes_after(later: (&Entry, usize), earlier: (&Entry, usize)) -> bool {
    later.0.saw(earlier.0) || (std::ptr::eq(later.0, earlier.0) && later.1 > earlier.1)
}
