//! What was written, by whom, knowing what; and what must therefore be there in the end.
//!
//! Written from the definitions of the types over the history, not from their code. A transaction is known by its
//! author's counter after it, and *saw* every transaction its author's version named before it. What is lost on purpose
//! (in memory only when the node crashed, or refused by the disk) is taken out; everything else must arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    /// Which continuation of a store wrote it: one that is set back goes on as another, and so does a copy.
    branch: u64,
    /// From which others that went on, and what of the document they had in common.
    lineage: Lineage,
    /// The store that wrote it has lost it, and nobody else was seen to have it.
    is_doubtful: bool,
    /// It forgot removals, of which it had seen all.
    is_sweep: bool,
}

impl Entry {
    /// SUBTLE: of what another continuation of its store wrote under its own id, only what was written before they parted. What has the same
    /// name since is something else.
    fn saw(&self, other: &Self) -> bool {
        if self.replica != other.replica || self.branch == other.branch {
            return self.before.get(other.replica) >= other.last;
        }
        let common = self.lineage.iter().find(|(branch, _)| *branch == other.branch);
        common.is_some_and(|(_, common)| common.get(other.replica) >= other.last)
    }

    /// Whether two continuations of a store wrote these, under the same names of events.
    fn is_instead_of(&self, other: &Self) -> bool {
        self.replica == other.replica
            && self.branch != other.branch
            && self.before.get(self.replica) < other.last
            && other.before.get(self.replica) < self.last
    }
}

/// Continuations of a store before another, and what that has of a document from each.
type Lineage = Arc<[(u64, Version)]>;

/// So many transactions that share names of events with others are taken for there or lost one by one; more by who wrote them.
const ONE_BY_ONE: usize = 12;

/// What a continuation of a store wrote as `old` after `after` was written by `new`.
#[derive(Debug, Clone, Copy)]
struct Rename {
    doc: DocId,
    branch: u64,
    old: ReplicaId,
    after: u64,
    new: ReplicaId,
}

/// Everything that was written and is not known to be lost.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// INVARIANT: of one branch by ascending counters.
    entries: BTreeMap<DocId, BTreeMap<ReplicaId, Vec<Entry>>>,
    /// What was taken for lost when all agreed. It may have been under way, and turn up.
    lost: BTreeMap<DocId, Vec<Entry>>,
    /// What was given to a new id.
    renames: Vec<Rename>,
    /// Of which continuation another is one, and what it began with.
    parents: BTreeMap<u64, (u64, BTreeMap<DocId, Version>)>,
    lineages: BTreeMap<(u64, DocId), Lineage>,
    /// A store was set back, so that one id may have written two things under one number.
    was_set_back: bool,
    /// As who those wrote for whom nobody waited: they may not have seen what was forgotten meanwhile.
    not_waited_for: BTreeSet<ReplicaId>,
}

impl Ledger {
    /// Notes a transaction.
    pub fn note(
        &mut self,
        doc: DocId,
        (replica, branch): (ReplicaId, u64),
        before: Version,
        last: u64,
        ops: Vec<Op>,
        stamp: Option<Stamp>,
    ) {
        let lineage = self.lineage(branch, doc);
        let (is_doubtful, is_sweep) = (false, false);
        let entry = Entry { replica, last, before, ops, stamp, branch, lineage, is_doubtful, is_sweep };
        self.entries.entry(doc).or_default().entry(replica).or_default().push(entry);
    }

    /// Notes that somebody forgot the removals that all had seen.
    pub fn note_sweep(&mut self, doc: DocId, author: (ReplicaId, u64), before: Version, last: u64) {
        self.note(doc, author, before, last, Vec::new(), None);
        if let Some(sweep) = self.of_replica(doc, author.0).and_then(|entries| entries.last_mut()) {
            sweep.is_sweep = true;
        }
    }

    /// Nobody waits any more for what somebody writes.
    pub fn release(&mut self, author: ReplicaId) {
        self.not_waited_for.insert(author);
    }

    /// The last transaction that was noted ended here. What its author wrote after it within the same call, without being asked, is
    /// another.
    pub fn end(&mut self, doc: DocId, (replica, branch): (ReplicaId, u64), last: u64) {
        let entries = self.of_replica(doc, replica).into_iter().flatten();
        if let Some(entry) = entries.rev().find(|entry| entry.branch == branch)
            && entry.last > last
            && entry.before.get(replica) < last
        {
            entry.last = last;
        }
    }

    /// Of what this continuation of a store wrote under the id, the transactions up to `kept` are left.
    pub fn truncate(&mut self, doc: DocId, (replica, branch): (ReplicaId, u64), kept: u64) {
        if let Some(entries) = self.of_replica(doc, replica) {
            entries.retain(|entry| entry.last <= kept || entry.branch != branch);
        }
    }

    /// A continuation of a store begins with this, which another had.
    pub fn begin_branch(&mut self, branch: u64, parent: u64, with: BTreeMap<DocId, Version>) {
        self.was_set_back = true;
        self.parents.insert(branch, (parent, with));
    }

    fn lineage(&mut self, branch: u64, doc: DocId) -> Lineage {
        if let Some(lineage) = self.lineages.get(&(branch, doc)) {
            return lineage.clone();
        }
        let (mut lineage, mut at, mut common) = (Vec::new(), branch, None::<Version>);
        while let Some((parent, with)) = self.parents.get(&at) {
            let with = with.get(&doc).cloned().unwrap_or_default();
            let both = match common {
                Some(common) => common.iter().map(|(id, last)| (id, last.min(with.get(id)))).collect(),
                None => with,
            };
            lineage.push((*parent, both.clone()));
            (at, common) = (*parent, Some(both));
        }
        let lineage: Lineage = lineage.into();
        self.lineages.insert((branch, doc), lineage.clone());
        lineage
    }

    /// A store was set back: what the id wrote after `kept` is nowhere but on its way, if it is anywhere.
    pub fn doubt(&mut self, doc: DocId, replica: ReplicaId, kept: u64) {
        self.was_set_back = true;
        for entry in self.of_replica(doc, replica).into_iter().flatten() {
            entry.is_doubtful |= entry.last > kept;
        }
    }

    /// What this continuation of a store wrote as `old` after `after`, and nobody has seen, was written by `new`.
    pub fn rename(&mut self, doc: DocId, branch: u64, (old, after): (ReplicaId, u64), new: ReplicaId) {
        self.renames.push(Rename { doc, branch, old, after, new });
        self.renumber(doc, branch, |version| {
            let seen = version.get(old);
            if seen <= after {
                return None;
            }
            let others = version.iter().filter(|(id, _)| *id != old);
            let ours = [(old, after), (new, seen - after)].into_iter().filter(|(_, last)| *last > 0);
            Some(others.chain(ours).collect())
        });
        let Some(entries) = self.of_replica(doc, old) else { return };
        let is_renamed = |entry: &mut Entry| entry.branch == branch && entry.last > after;
        let mut renamed: Vec<Entry> = entries.extract_if(.., is_renamed).collect();
        for entry in &mut renamed {
            (entry.replica, entry.last) = (new, entry.last - after);
        }
        self.entries.entry(doc).or_default().entry(new).or_default().extend(renamed);
    }

    /// A store was started again, as `replica`: what had been renamed since it was called that was not yet on its disk.
    pub fn restarted(&mut self, branch: u64, replica: ReplicaId) {
        let is_first = |rename: &Rename| rename.branch == branch && rename.old == replica;
        let Some(first) = self.renames.iter().position(is_first) else { return };
        let void: Vec<Rename> = self.renames.extract_if(first.., |rename| rename.branch == branch).collect();
        for Rename { doc, old, after, new, .. } in void.into_iter().rev() {
            self.renumber(doc, branch, |version| {
                let seen = version.get(new);
                let others = version.iter().filter(|(id, _)| *id != old && *id != new);
                (seen > 0).then(|| others.chain([(old, after + seen)]).collect())
            });
            let mut back = std::mem::take(self.of_replica(doc, new).unwrap_or(&mut Vec::new()));
            for entry in &mut back {
                (entry.replica, entry.last) = (old, entry.last + after);
            }
            self.entries.entry(doc).or_default().entry(old).or_default().extend(back);
        }
    }

    /// What this continuation of a store had seen is called otherwise.
    fn renumber(&mut self, doc: DocId, branch: u64, renamed: impl Fn(&Version) -> Option<Version>) {
        let all = self.entries.get_mut(&doc).into_iter().flat_map(BTreeMap::values_mut).flatten();
        for entry in all.filter(|entry| entry.branch == branch) {
            if let Some(before) = renamed(&entry.before) {
                entry.before = before;
            }
        }
    }

    /// Everybody who wrote to a document, and how far.
    pub fn written(&self) -> impl Iterator<Item = (DocId, ReplicaId)> + '_ {
        self.entries.iter().flat_map(|(doc, all)| all.keys().map(|replica| (*doc, *replica)))
    }

    /// All agree on a version, and what of the doubtful is not in it is lost, unless it is still under way.
    pub fn settle(&mut self, doc: DocId, version: &Version) {
        let lost = self.lost.entry(doc).or_default();
        for (replica, entries) in self.entries.get_mut(&doc).into_iter().flatten() {
            let instead: BTreeSet<(u64, u64)> = entries
                .iter()
                .filter(|entry| !entry.is_doubtful)
                .map(|entry| (entry.last, entry.branch))
                .collect();
            lost.extend(entries.extract_if(.., |entry| {
                // The same number, written again by who had lost it.
                let again = instead.range((entry.last, 0)..).any(|(_, branch)| *branch > entry.branch);
                entry.is_doubtful && (entry.last > version.get(*replica) || again)
            }));
            entries.iter_mut().for_each(|entry| entry.is_doubtful = false);
        }
    }

    /// Why a version that a node came to, from another, is no causal cut: an event of it whose author had seen more.
    pub fn gap(&mut self, doc: DocId, from: &Version, to: &Version) -> Option<String> {
        self.find(doc, from, to);
        let all = self.entries.get(&doc)?;
        for (replica, last) in to.iter() {
            let first = from.get(replica);
            let Some(entries) = all.get(&replica).filter(|_| last > first) else { continue };
            // From the end: what is new is last.
            let is_new = |entry: &&Entry| entry.last > first || self.was_set_back;
            for entry in entries.iter().rev().take_while(is_new) {
                if entry.is_doubtful || entry.last <= first || entry.last > last {
                    continue;
                }
                let is_other = |other: &Entry| other.is_instead_of(entry) && to.dominates(&other.before);
                if !to.dominates(&entry.before) && !entries.iter().any(is_other) {
                    let Entry { last, before, .. } = entry;
                    return Some(format!("{to:?} has {replica:?} {last}, who had seen {before:?}"));
                }
            }
            if entries.iter().all(|entry| entry.last != last) {
                return Some(format!("{to:?} ends within a transaction of {replica:?}"));
            }
        }
        None
    }

    /// What was taken for lost turns up, if it is of what came with a version, and what else is called so cannot be.
    fn find(&mut self, doc: DocId, from: &Version, to: &Version) {
        let Some(lost) = self.lost.get_mut(&doc).filter(|lost| !lost.is_empty()) else { return };
        let all = self.entries.entry(doc).or_default();
        let found: Vec<Entry> = lost
            .extract_if(.., |entry| {
                let is_new = (from.get(entry.replica) + 1..=to.get(entry.replica)).contains(&entry.last);
                let named = || all.get(&entry.replica).into_iter().flatten();
                let may_be_other =
                    named().any(|other| other.last == entry.last && to.dominates(&other.before));
                is_new && to.dominates(&entry.before) && !may_be_other
            })
            .collect();
        for entry in found {
            all.entry(entry.replica).or_default().push(Entry { is_doubtful: true, ..entry });
        }
    }

    /// What was written to a document under names of events that another continuation of the store used as well, and everything else.
    fn disputed(&self, doc: DocId) -> (Vec<&Entry>, Vec<&Entry>) {
        let lost = self.lost.get(&doc).map_or(&[][..], Vec::as_slice);
        let there = self.of(doc);
        let is_disputed =
            |entry: &Entry| lost.iter().chain(there.iter().copied()).any(|other| other.is_instead_of(entry));
        let (mut disputed, others): (Vec<_>, Vec<_>) =
            there.iter().copied().partition(|entry| is_disputed(entry));
        disputed.extend(lost.iter().filter(|entry| is_disputed(entry)));
        (disputed, others)
    }

    /// Whether two continuations of a store wrote to a document under the same names of events.
    #[must_use]
    pub fn is_disputed(&self, doc: DocId) -> bool {
        !self.disputed(doc).0.is_empty()
    }

    /// Whether something is so by what was written to a document, if of what two continuations of a store wrote under the same names of
    /// events some is lost, and nothing else.
    fn is_so_without(&self, doc: DocId, is_so: impl Fn(&[&Entry]) -> bool) -> bool {
        let (disputed, others) = self.disputed(doc);
        let mut parts: Vec<Vec<&Entry>> = disputed.iter().map(|entry| vec![*entry]).collect();
        if parts.len() > ONE_BY_ONE {
            let mut by_author: BTreeMap<_, Vec<&Entry>> = BTreeMap::new();
            for entry in disputed {
                by_author.entry((entry.replica, entry.branch)).or_default().push(entry);
            }
            parts = by_author.into_values().take(ONE_BY_ONE).collect();
        }
        !parts.is_empty()
            && (0..1_u32 << parts.len()).any(|kept| {
                let there = parts.iter().enumerate().filter(|(at, _)| kept >> at & 1 == 1);
                let all: Vec<&Entry> =
                    others.iter().chain(there.flat_map(|(_, part)| part)).copied().collect();
                is_so(&all)
            })
    }

    /// Whether a document may say this though it is not what it must say: it lacks something that stands under names of events that were
    /// used twice. What one continuation has alive and the other has replaced is taken for removed (decision 0024).
    /// An amount of a counter takes the place of what its author added before, so that goes with it.
    #[must_use]
    pub fn may_say(&self, doc: DocId, kind: Kind, found: &Reading) -> bool {
        let taken = self.taken(doc);
        let is_found = |(field, told): (&str, &Value), there: &Value| match (told, there) {
            (Value::Sum(told), Value::Sum(there)) => {
                told == there || taken.get(field).is_some_and(|all| all.contains(&(told - there)))
            }
            (told, there) => told == there,
        };
        self.is_so_without(doc, |all| {
            let told = reading(all, kind);
            let same = told
                .iter()
                .all(|(field, told)| found.get(field).is_some_and(|there| is_found((field, told), there)));
            same && told.len() == found.len()
        })
    }

    /// Whether a document may say this though removing wins there: it has elements that somebody wrote for whom nobody waited, against removals
    /// that were forgotten by somebody who had not seen that (decision 0025). Nothing else may be otherwise.
    #[must_use]
    pub fn may_have_again(&self, doc: DocId, kind: Kind, found: &Reading) -> bool {
        let all = self.of(doc);
        let expected = reading(&all, kind);
        let [.., guarded] = kind.fields();
        let is_again = |field: &str, element: &str| {
            let said = said(&all, field).remove(element).unwrap_or_default();
            let standing = || said.iter().filter(|said| said.stands);
            let is_forgotten = |removal: &Said<'_>, adder: &Entry| {
                let is_late = |sweep: &&Entry| sweep.saw(removal.writer) && !sweep.saw(adder);
                all.iter().copied().filter(|entry| entry.is_sweep).any(|sweep| is_late(&sweep))
            };
            standing().filter(|add| add.is_in && self.not_waited_for.contains(&add.writer.replica)).any(
                |add| standing().filter(|said| !said.is_in).all(|removal| is_forgotten(removal, add.writer)),
            )
        };
        let is_found = |field: &'static str, there: &Value| match (there, found.get(field)) {
            (Value::Elements(there), Some(Value::Elements(found))) if guarded.contains(&field) => {
                found.is_superset(there) && found.difference(there).all(|element| is_again(field, element))
            }
            (there, found) => found == Some(there),
        };
        found.len() == expected.len() && expected.iter().all(|(field, there)| is_found(field, there))
    }

    /// By counter: what may have gone with amounts under names of events that were used twice, which had taken its place.
    fn taken(&self, doc: DocId) -> BTreeMap<&'static str, BTreeSet<i64>> {
        let (disputed, others) = self.disputed(doc);
        let mut by_author: BTreeMap<(&'static str, ReplicaId), BTreeSet<i64>> = BTreeMap::new();
        for entry in disputed {
            for op in &entry.ops {
                let Op::Add(field, _) = op else { continue };
                let before: Vec<&Entry> = others
                    .iter()
                    .copied()
                    .filter(|other| other.replica == entry.replica && entry.saw(other))
                    .collect();
                by_author.entry((field, entry.replica)).or_default().insert(sum(&before, field));
            }
        }
        let mut taken: BTreeMap<&'static str, BTreeSet<i64>> = BTreeMap::new();
        for ((field, _), amounts) in by_author {
            let known = taken.entry(field).or_insert_with(|| BTreeSet::from([0]));
            let more: Vec<i64> =
                known.iter().flat_map(|sum| amounts.iter().map(move |amount| sum + amount)).collect();
            known.extend(more);
        }
        taken
    }

    /// The same of what is listed.
    #[must_use]
    pub fn may_list(&self, found: &BTreeSet<String>) -> bool {
        self.is_so_without(DocId::DIRECTORY, |all| elements(all, "") == *found)
    }

    /// The documents a replica has written to.
    #[must_use]
    pub fn documents_of(&self, replica: ReplicaId) -> Vec<DocId> {
        self.entries.iter().filter(|(_, all)| all.contains_key(&replica)).map(|(doc, _)| *doc).collect()
    }

    fn of_replica(&mut self, doc: DocId, replica: ReplicaId) -> Option<&mut Vec<Entry>> {
        self.entries.get_mut(&doc)?.get_mut(&replica)
    }

    fn of(&self, doc: DocId) -> Vec<&Entry> {
        self.entries.get(&doc).into_iter().flat_map(BTreeMap::values).flatten().collect()
    }

    /// What the document must say at who knows everything.
    #[must_use]
    pub fn expected(&self, doc: DocId, kind: Kind) -> Reading {
        reading(&self.of(doc), kind)
    }

    /// The documents that must be listed: what was created and not deleted by somebody who knew.
    #[must_use]
    pub fn listed(&self) -> BTreeSet<String> {
        elements(&self.of(DocId::DIRECTORY), "")
    }
}

fn reading(all: &[&Entry], kind: Kind) -> Reading {
    let [counters, sets, multis, latest, guarded] = kind.fields();
    let counters = counters.iter().map(|&field| (field, Value::Sum(sum(all, field))));
    let sets = sets.iter().map(|&field| (field, Value::Elements(elements(all, field))));
    let guarded = guarded.iter().map(|&field| (field, Value::Elements(guarded_elements(all, field))));
    let multis = multis.iter().map(|&field| {
        (field, Value::Elements(writes(all, field).into_iter().map(|(_, value)| value).collect()))
    });
    let latest = latest.iter().map(|&field| {
        let last = writes(all, field).into_iter().max_by_key(|(entry, _)| (entry.stamp, entry.replica));
        (field, Value::Latest(last.map(|(_, value)| value)))
    });
    counters.chain(sets).chain(multis).chain(latest).chain(guarded).collect()
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
    let mut removals: BTreeMap<&str, Vec<(&Entry, usize)>> = BTreeMap::new();
    let mut clearings = Vec::new();
    for (remover, at, op) in ops(all) {
        match op {
            Op::Remove(named, element) if *named == field => {
                removals.entry(element.as_str()).or_default().push((remover, at));
            }
            Op::Clear(named) if *named == field => clearings.push((remover, at)),
            _ => {}
        }
    }
    let mut elements = BTreeSet::new();
    for (adder, at, op) in ops(all) {
        let Op::Insert(named, element) = op else { continue };
        if *named != field || elements.contains(element) {
            continue;
        }
        let mut against = removals.get(element.as_str()).into_iter().flatten().chain(&clearings);
        if !against.any(|removal| comes_after(*removal, (adder, at))) {
            elements.insert(element.clone());
        }
    }
    elements
}

/// Remove-wins: of what was said of an element and nothing that was said later saw, all says that it is in.
fn guarded_elements(all: &[&Entry], field: &str) -> BTreeSet<String> {
    let is_in = |said: &[Said<'_>]| said.iter().all(|said| said.is_in || !said.stands);
    said(all, field)
        .into_iter()
        .filter(|(_, said)| is_in(said))
        .map(|(element, _)| element.to_owned())
        .collect()
}

/// What a transaction says of an element: that it is in, or not.
struct Said<'e> {
    writer: &'e Entry,
    is_in: bool,
    /// Nothing that was said of it saw that.
    stands: bool,
}

/// What was said of each element.
fn said<'e>(all: &[&'e Entry], field: &str) -> BTreeMap<&'e str, Vec<Said<'e>>> {
    let mut said: BTreeMap<&str, Vec<(&Entry, usize, bool)>> = BTreeMap::new();
    for (writer, at, op) in ops(all) {
        match op {
            Op::Insert(named, element) if *named == field => {
                said.entry(element).or_default().push((writer, at, true))
            }
            Op::Remove(named, element) if *named == field => {
                said.entry(element).or_default().push((writer, at, false))
            }
            _ => {}
        }
    }
    let of_one = |said: Vec<(&'e Entry, usize, bool)>| {
        let is_seen = |(writer, at): (&Entry, usize)| {
            said.iter().any(|&(later, there, _)| comes_after((later, there), (writer, at)))
        };
        let all =
            said.iter().map(|&(writer, at, is_in)| Said { writer, is_in, stands: !is_seen((writer, at)) });
        all.collect()
    };
    said.into_iter().map(|(element, said)| (element, of_one(said))).collect()
}

/// The writes of a register that no other write saw.
fn writes<'e>(all: &[&'e Entry], field: &str) -> Vec<(&'e Entry, String)> {
    let of_it = |op: &Op| matches!(op, Op::Set(named, _) | Op::Unset(named) if *named == field);
    let all: Vec<(&Entry, usize, &Op)> = ops(all).filter(|(_, _, op)| of_it(op)).collect();
    let mut writes = Vec::new();
    for &(writer, at, op) in &all {
        let Op::Set(_, value) = op else { continue };
        if !all.iter().any(|&(other, there, _)| comes_after((other, there), (writer, at))) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: DocId = DocId::from_bytes([1; 16]);

    fn id(byte: u8) -> ReplicaId {
        ReplicaId::from_bytes([byte; 16])
    }

    /// One replica adds 3, is set back, and adds 5 and 7; another adds 1.
    fn set_back() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.begin_branch(1, 0, BTreeMap::new());
        let mut add = |of: u8, branch, last, amount| {
            let before = Version::from_iter([(id(of), last - 1)].into_iter().filter(|(_, last)| *last > 0));
            ledger.note(DOC, (id(of), branch), before, last, vec![Op::Add("", amount)], None);
            if (of, branch) == (7, 0) {
                ledger.doubt(DOC, id(7), 0);
            }
        };
        add(7, 0, 1, 3);
        add(7, 1, 1, 5);
        add(7, 1, 2, 7);
        add(9, 2, 1, 1);
        ledger
    }

    fn says(sum: i64) -> Reading {
        [("", Value::Sum(sum))].into_iter().collect()
    }

    #[test]
    fn only_what_stands_under_dots_used_twice_may_be_missing() {
        let mut ledger = set_back();
        let all = Version::from_iter([(id(7), 2), (id(9), 1)]);
        ledger.settle(DOC, &all);
        assert_eq!(ledger.expected(DOC, Kind::Counter), says(13));
        assert!(ledger.is_disputed(DOC));
        for (sum, may_be) in
            [(8, true), (11, true), (16, true), (12, false), (15, false), (6, false), (1, false)]
        {
            assert_eq!(ledger.may_say(DOC, Kind::Counter, &says(sum)), may_be, "{sum}");
        }
        // Given to another id, they are no more the same.
        ledger.rename(DOC, 1, (id(7), 0), id(8));
        assert!(!ledger.is_disputed(DOC));
        assert!(!ledger.may_say(DOC, Kind::Counter, &says(8)));
    }

    #[test]
    fn what_an_amount_under_a_dot_used_twice_took_the_place_of_may_be_missing_with_it() {
        let mut ledger = Ledger::default();
        let seen =
            |of: u8, last| Version::from_iter([(id(of), last)].into_iter().filter(|(_, last)| *last > 0));
        ledger.begin_branch(1, 0, BTreeMap::from([(DOC, seen(7, 1))]));
        ledger.note(DOC, (id(7), 0), seen(7, 0), 1, vec![Op::Add("", 100)], None);
        ledger.note(DOC, (id(9), 2), seen(9, 0), 1, vec![Op::Add("", 1)], None);
        ledger.note(DOC, (id(7), 0), seen(7, 1), 2, vec![Op::Add("", 10)], None);
        ledger.note(DOC, (id(7), 1), seen(7, 1), 2, vec![Op::Add("", 20)], None);
        ledger.note(DOC, (id(7), 1), seen(7, 2), 3, vec![Op::Add("", 1000)], None);
        assert!(ledger.is_disputed(DOC));
        // All but what stands under the second event, and without what was added before it.
        for (sum, may_be) in [
            (1101, true),
            (1121, true),
            (1001, true),
            (1021, true),
            (1100, false),
            (1000, false),
            (1011, true),
            (31, false),
            (101, false),
        ] {
            assert_eq!(ledger.may_say(DOC, Kind::Counter, &says(sum)), may_be, "{sum}");
        }
    }

    #[test]
    fn only_who_was_not_waited_for_brings_back_what_was_removed_and_only_past_who_forgot_that_unseen() {
        let seen = |all: &[(u8, u64)]| Version::from_iter(all.iter().map(|(of, last)| (id(*of), *last)));
        let insert = || vec![Op::Insert("", "eve".to_owned())];
        // One removes, another adds at the same time, and a third forgets the removal, having seen the addition or not.
        let ledger = |is_waited_for: bool, is_swept: bool, has_seen: bool| {
            let mut ledger = Ledger::default();
            ledger.note(DOC, (id(7), 0), seen(&[]), 1, vec![Op::Remove("", "eve".to_owned())], None);
            ledger.note(DOC, (id(8), 1), seen(&[]), 1, insert(), None);
            if is_swept {
                let known = if has_seen { seen(&[(7, 1), (8, 1)]) } else { seen(&[(7, 1)]) };
                ledger.note_sweep(DOC, (id(9), 2), known, 1);
            }
            if !is_waited_for {
                ledger.release(id(8));
            }
            ledger
        };
        let says = |names: &[&str]| -> Reading {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            [("", Value::Elements(names))].into_iter().collect()
        };
        for (is_waited_for, is_swept, has_seen, may_be) in [
            (false, true, false, true),
            (true, true, false, false),
            (false, false, false, false),
            (false, true, true, false),
        ] {
            let ledger = ledger(is_waited_for, is_swept, has_seen);
            assert_eq!(ledger.expected(DOC, Kind::Guests), says(&[]));
            assert_eq!(ledger.may_have_again(DOC, Kind::Guests, &says(&["eve"])), may_be, "{has_seen}");
            assert!(!ledger.may_have_again(DOC, Kind::Guests, &says(&["cem"])));
        }
    }

    #[test]
    fn what_was_taken_for_lost_is_expected_again_when_it_turns_up() {
        let mut ledger = Ledger::default();
        ledger.note(DOC, (id(7), 0), Version::new(), 1, vec![Op::Add("", 3)], None);
        ledger.doubt(DOC, id(7), 0);
        ledger.settle(DOC, &Version::new());
        assert_eq!(ledger.expected(DOC, Kind::Counter), says(0));
        let late = Version::from_iter([(id(7), 1)]);
        assert_eq!(ledger.gap(DOC, &Version::new(), &late), None);
        ledger.settle(DOC, &late);
        assert_eq!(ledger.expected(DOC, Kind::Counter), says(3));
        // What nobody wrote is no causal cut.
        assert!(ledger.gap(DOC, &late, &Version::from_iter([(id(7), 2)])).is_some());
    }
}
