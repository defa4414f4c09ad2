//! How a random run ends: all come to agree, on what must be there.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use tombolo_sync::engine::Listed;
use tombolo_sync::testing::machinery::Drive;

use super::{HEALING, Mode, Player};
use crate::sim::kind::{Kind, Reading};
use crate::sim::outcome::Branch;
use crate::sim::story::listed;
use crate::sim::world::World;

impl Player {
    /// All come to agree, but for those on the edge.
    pub(super) fn agree(&mut self) {
        let is_bounded = self.mode == Mode::Liveness;
        let (before, held) = (self.world.core_bytes, if is_bounded { self.held_bytes() } else { 0 });
        let agrees = match self.mode {
            Mode::Parts => World::agrees_in_parts,
            _ if self.has_twins && self.has_copied => return self.agree_in_turn(),
            _ => World::agrees,
        };
        match self.world.run_until(HEALING, agrees) {
            Some(millis) => {
                let bytes = self.world.core_bytes - before;
                let stats = &mut self.world.stats;
                stats.healed_millis = stats.healed_millis.max(millis);
                stats.healed_bytes = stats.healed_bytes.max(bytes);
                if is_bounded {
                    let most = self.most_bytes(held.max(self.held_bytes()));
                    if bytes > most {
                        self.world.violated(format!("agreement took {bytes} bytes, more than {most}"));
                    }
                }
            }
            None if self.world.violation().is_none() && !self.world.has_parted() => {
                let report = self.report();
                self.world.violated(format!("no agreement {HEALING} ms after the last fault: {report}"));
            }
            None => {}
        }
    }

    /// The same where two go by one key. On slow links each may take from the other every session before anything is said in it; so, if they do
    /// not come to agree, now the one is away and now the other.
    fn agree_in_turn(&mut self) {
        const TOGETHER: u64 = 10_000;
        const TURNS: u32 = 3;
        if self.world.run_until(TOGETHER, World::agrees_with_twins).is_some() {
            return;
        }
        let twins = self.world.twins();
        for turn in 0..=TURNS {
            for &away in &twins {
                let is_over = |world: &World| world.violation().is_some() || world.has_parted();
                if turn == TURNS || is_over(&self.world) {
                    break;
                }
                for &twin in &twins {
                    self.world.call(twin, |engine, now| engine.isolate(now, twin == away));
                }
                let agrees = |world: &World| world.agrees_but(away);
                if self.world.run_until(HEALING, agrees).is_none() && !is_over(&self.world) {
                    let report = self.report();
                    self.world.violated(format!("no agreement with n{away} away: {report}"));
                }
            }
        }
        let is_over = self.world.violation().is_some() || self.world.has_parted();
        if !is_over && !self.world.is_level() {
            let report = self.report();
            self.world.violated(format!("no agreement after {TURNS} turns: {report}"));
        }
        for &twin in &twins {
            self.world.call(twin, |engine, now| engine.isolate(now, false));
        }
    }

    /// Who holds something else of a document than another, in the same version, finds that out.
    pub(super) fn notice(&mut self) {
        let differing = std::mem::take(&mut self.world.differing);
        if differing.is_empty() || self.world.violation().is_some() || self.world.has_parted() {
            return;
        }
        self.world.run_until(HEALING, World::has_parted);
        let of = |world: &World, node, doc| world.runs(node).then(|| world.canonical(node, doc)).flatten();
        for doc in differing {
            let held: BTreeSet<Vec<u8>> = self.core().filter_map(|node| of(&self.world, node, doc)).collect();
            if held.len() > 1 && !self.world.has_parted() {
                self.world.violated(format!("nobody notices that {doc:?} is not the same everywhere"));
            }
        }
    }

    fn held_bytes(&self) -> u64 {
        self.world.held_bytes(self.core())
    }

    /// What agreement may cost in bytes: every two exchange everything that is `held` a few times, and talk; and to each something long may
    /// be under way that was taken back meanwhile.
    fn most_bytes(&self, held: u64) -> u64 {
        let core = self.core().count() as u64;
        core * (core - 1) * (2 * held + 64 * 1_024) + core * self.world.longest.saturating_sub(held)
    }

    /// Has all of the core read what they have on their disks only: what came for it meanwhile is taken in then.
    pub(super) fn read_all(&mut self) {
        let core: Vec<usize> = self.core().filter(|node| self.world.runs(*node)).collect();
        for node in core {
            for document in self.world.engine(node).list() {
                if let Some(kind) = Kind::of(&document.type_name) {
                    // What cannot be read `judge` tells.
                    let _ = Drive::open_with(&mut self.world, node, |engine, now| {
                        kind.open(engine, now, &document.name, false)
                    });
                }
            }
        }
    }

    /// One member dies for good, and one is slow from now on.
    pub(super) fn part_with_two(&mut self) {
        let (dead, slow) = (self.node(), self.node());
        let told = self.rng.random_ratio(1, 2);
        self.world.crash(dead, told, 0);
        self.slow(slow);
        self.world.put_on_edge(&[dead, slow]);
        self.world.doubt(&[dead, slow]);
    }

    /// Who has left and not come back keeps what only it has.
    pub(super) fn part_with_who_left(&mut self) {
        let has_left = |node: &usize| self.world.runs(*node) && self.world.engine(*node).has_left();
        let left: Vec<usize> = (0..self.world.len()).filter(has_left).collect();
        if !left.is_empty() {
            self.world.put_on_edge(&left);
            self.world.doubt(&left);
        }
    }

    /// Everybody agrees; on what?
    pub(super) fn judge(&mut self) {
        let expected = self.world.ledger.listed();
        let is_meant = |node: &usize| self.world.runs(*node) && !self.world.is_on_edge(*node);
        let core: Vec<usize> = (0..self.world.len()).filter(is_meant).collect();
        // The same for all: nobody writes any more.
        let mut readings = BTreeMap::new();
        for node in core {
            self.world.compare_all(node);
            self.world.check_all_mirrors(node);
            let list = self.world.engine(node).list();
            let found: BTreeSet<String> =
                list.iter().map(|listed| format!("{}|{}", listed.name, listed.type_name)).collect();
            if expected != found {
                if self.world.ledger.may_list(&found) {
                    return self.world.stats.count(Branch::Reused);
                }
                return self.world.violated(format!("n{node} lists {found:?}, not {expected:?}"));
            }
            for document in list {
                let Some(kind) = Kind::of(&document.type_name) else { continue };
                let is_wanted = self.world.engine(node).subscription().includes(&document.name);
                if is_wanted && expected.contains(&listed(kind, &document.name)) {
                    let said = || self.world.ledger.expected(document.id, kind);
                    let expected = readings.entry(document.id).or_insert_with(said);
                    self.judge_document(node, kind, &document, expected);
                }
            }
            let engine = self.world.engine(node);
            let status = engine.held_documents().filter_map(|doc| engine.document_status(doc));
            let waiting: usize = status.map(|status| status.pending).sum();
            // All agree by now, so nobody has what they wait for. It may be with those who are gone, or have been on a disk that was
            // set back.
            let may_wait = matches!(self.mode, Mode::Liveness | Mode::Members)
                || self.world.stats().branch(Branch::SetBack) > 0;
            if waiting > 0 && !may_wait {
                self.world.violated(format!("{waiting} deltas still wait at n{node}"));
            }
        }
    }

    fn judge_document(&mut self, node: usize, kind: Kind, document: &Listed, expected: &Reading) {
        let (name, id) = (&document.name[..], document.id);
        let opened =
            Drive::open_with(&mut self.world, node, |engine, now| kind.open(engine, now, name, false));
        if !matches!(opened, Some(Ok(Some(opened))) if opened == id) {
            return self.world.violated(format!("n{node} cannot open {name}: {opened:?}"));
        }
        let found = self.world.read_kind(node, kind, id);
        if found.as_ref() != Some(expected) {
            if found.as_ref().is_some_and(|found| self.world.ledger.may_have_again(id, kind, found)) {
                return self.world.stats.count(Branch::Late);
            }
            if found.as_ref().is_some_and(|found| self.world.ledger.may_say(id, kind, found)) {
                return self.world.stats.count(Branch::Reused);
            }
            self.world.violated(format!("{name} ({kind:?}) at n{node} says {found:?}, not {expected:?}"));
        }
    }

    /// Why there is no agreement, node by node.
    fn report(&self) -> String {
        let mut report = String::new();
        for node in (0..self.world.len()).filter(|node| self.world.runs(*node)) {
            let engine = self.world.engine(node);
            let status = engine.status();
            report += &format!(
                "\n  n{node} wants {:?}, ready with {:?}, in sync {:?}, apart {}:",
                status.subscription.prefixes(),
                self.world.ready(node),
                status.in_sync,
                engine.is_apart()
            );
            for peer in &status.peers {
                let who = self.world.index_of(peer.peer).unwrap_or(usize::MAX);
                report +=
                    &format!(" (n{who}: {}, lag {:?}, behind {:?})", peer.in_sync, peer.lag, peer.behind);
            }
            for doc in engine.held_documents() {
                let Some(status) = engine.document_status(doc) else { continue };
                report += &format!(" {doc:?} {:?}", status.version);
                if status.durable != status.version {
                    report += &format!(" durable {:?}", status.durable);
                }
            }
        }
        report
    }
}
