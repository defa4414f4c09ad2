//! What is written in a random run.

use std::collections::BTreeSet;

use rand::RngExt;
use tombolo_sync::DocId;

use super::{Mode, NAMES, Player};
use crate::sim::kind::{Kind, Op, Value};
use crate::sim::outcome::Branch;

impl Player {
    pub(super) fn write_somewhere(&mut self, node: usize) {
        if let Some(&kind) = self.tastes[node].first() {
            let name = NAMES[self.rng.random_range(0..NAMES.len())];
            self.write(node, kind, name);
        }
    }

    /// Somebody uses a document.
    pub(super) fn work(&mut self) {
        let node = self.node();
        if !self.world.runs(node) || self.tastes[node].is_empty() {
            return;
        }
        let kind = self.tastes[node][self.rng.random_range(0..self.tastes[node].len())];
        let names = if self.is_bulky { 1 } else { NAMES.len() };
        let name = NAMES[self.rng.random_range(0..names)];
        match self.rng.random_range(0..100) {
            0..3 => {
                self.open[node].remove(&(kind, name));
                self.world.delete_kind(node, kind, name);
            }
            // Handles of documents that were deleted are kept for a while: writing to them must fail, and no more.
            3..20 => {
                let create = self.rng.random_ratio(1, 2);
                if let Some(doc) = self.world.open_kind(node, kind, name, create) {
                    self.open[node].insert((kind, name), doc);
                }
            }
            20..40 if self.is_tight => {
                if let Some(doc) = self.open[node].remove(&(kind, name)) {
                    self.world.hide(node, doc);
                    self.world.call(node, |engine, _| while engine.close(doc) {});
                }
            }
            _ => self.write(node, kind, name),
        }
    }

    /// Whether all know each other, by some way. Who is known to nobody is not waited for before a removal is forgotten, and what it
    /// writes meanwhile wins over that (decision 0025); so it writes nothing where that would be seen.
    fn have_all_met(&mut self) -> bool {
        for node in (0..self.world.len()).filter(|node| self.world.runs(*node)) {
            let proved = self.world.engine(node).status().peers;
            let others = proved.iter().filter_map(|peer| self.world.index_of(peer.peer));
            self.met.extend(others.map(|other| (node.min(other), node.max(other))));
        }
        let mut known = BTreeSet::from([0]);
        while let Some(&(one, other)) =
            self.met.iter().find(|(one, other)| known.contains(one) != known.contains(other))
        {
            known.extend([one, other]);
        }
        // One more than that is started on a copy some day.
        known.len() + usize::from(self.mode == Mode::Backups) >= self.world.len()
    }

    fn write(&mut self, node: usize, kind: Kind, name: &'static str) {
        // What is written to a document before it has been fetched again wins as well.
        if kind == Kind::Guests && (!self.have_all_met() || self.changed.contains(&node)) {
            return;
        }
        let doc = match self.open[node].get(&(kind, name)) {
            Some(doc) => *doc,
            None => {
                let Some(doc) = self.world.open_kind(node, kind, name, true) else { return };
                self.open[node].insert((kind, name), doc);
                doc
            }
        };
        if self.is_bulky && self.rng.random_ratio(1, 5) {
            self.write_bulk(node, (kind, name), doc);
        }
        let transactions = if self.rng.random_ratio(1, 10) { self.rng.random_range(1..40) } else { 1 };
        for _ in 0..transactions {
            let count = if self.rng.random_ratio(1, 4) { self.rng.random_range(0..5) } else { 1 };
            let ops = (0..count).filter_map(|_| self.op(node, kind)).collect();
            let fails = self.rng.random_ratio(1, 30);
            self.world.write_kind(node, (kind, name), doc, ops, fails);
        }
    }

    /// Hundreds of elements come or go in one transaction.
    fn write_bulk(&mut self, node: usize, (kind, name): (Kind, &'static str), doc: DocId) {
        let [_, [field, ..], _, _, _] = kind.fields() else { return };
        let Some(reading) = self.world.read_kind(node, kind, doc) else { return };
        let Some(Value::Elements(there)) = reading.get(field) else { return };
        let ops: Vec<Op> = if there.len() < 400 {
            let (batch, count) = (self.world.now(), self.rng.random_range(200..2_000));
            (0..count).map(|at| Op::Insert(field, format!("{batch}-{node}-{at}"))).collect()
        } else {
            self.world.stats.count(Branch::Bulk);
            // A scattered few, every other, or nearly all.
            let share = [1, 50, 85][self.rng.random_range(0..3)];
            let gone = there.iter().filter(|_| self.rng.random_range(0..100) < share);
            gone.map(|element| Op::Remove(field, element.clone())).collect()
        };
        self.world.write_kind(node, (kind, name), doc, ops, false);
    }

    fn op(&mut self, node: usize, kind: Kind) -> Option<Op> {
        let [counters, sets, multis, latest, guarded] = kind.fields();
        let registers: Vec<&'static str> = multis.iter().chain(latest).copied().collect();
        let mut ops: Vec<Op> = Vec::new();
        self.written += 1;
        let mine = format!("n{node}-{}", self.written);
        ops.extend(counters.iter().map(|field| Op::Add(field, self.rng.random_range(-5..10))));
        for field in sets {
            let shared = format!("e{}", self.rng.random_range(0..6));
            ops.push(match self.rng.random_range(0..100) {
                0..50 => Op::Insert(field, self.content(mine.clone())),
                50..70 => Op::Insert(field, shared),
                70..95 => Op::Remove(field, shared),
                _ => Op::Clear(field),
            });
        }
        for field in guarded {
            let shared = format!("e{}", self.rng.random_range(0..6));
            ops.push(if self.rng.random() { Op::Insert(field, shared) } else { Op::Remove(field, shared) });
        }
        for field in registers {
            let unset = self.rng.random_ratio(1, 10);
            ops.push(if unset { Op::Unset(field) } else { Op::Set(field, self.content(mine.clone())) });
        }
        if kind == Kind::Doc {
            ops.push(Op::Other(self.rng.random()));
        }
        if ops.is_empty() { None } else { Some(ops.swap_remove(self.rng.random_range(0..ops.len()))) }
    }

    /// Mostly short, sometimes too long for gossip, rarely too long for one frame.
    fn content(&mut self, start: String) -> String {
        let length = match self.rng.random_range(0..400) {
            0 => 600_000,
            1..5 => 20_000,
            _ => 0,
        };
        self.world.longest = self.world.longest.max(length as u64);
        if length > 0 { format!("{start}{}", "x".repeat(length)) } else { start }
    }
}
