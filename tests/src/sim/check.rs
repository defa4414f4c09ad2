//! What must hold at every moment.
//!
//! - The version of a document at a node never goes back, but for an undo, and then not below what is durable.
//! - What an engine says is durable is on the disk, and is there after a restart.
//! - Nothing leaves a node before it is durable there.
//! - Two nodes that hold a document in one version, durably, hold the same bytes.
//! - Who is told what becomes different in a document, and does not look again, shows what there is.
//! - No engine spins, and no queue grows without end.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::{Delta, Limits, Opaque, SessionNames, Version};
use tombolo_sync::DocId;
use tombolo_sync::engine::wire::{Alive, Behind, ContentKind, Frame, Piece, open_payload};
use tombolo_sync::engine::{Engine, Event, Origin};
use tombolo_sync::testing::machinery::Core;

use super::kind::Kind;
use super::outcome::Branch;
use super::world::World;

/// A version, in a form that has an order.
type Entries = Vec<(tombolo_crdt::ReplicaId, u64)>;

/// Every so many changes two nodes of one version are compared.
const COMPARE_EVERY: u64 = 8;
/// No schedule has more than this under way, or than so much for each node.
const MAX_WAITING: usize = 200_000;
const MAX_WAITING_EACH: usize = 5_000;
/// No node keeps more bytes of unfinished transfers than this and, for each session in either direction, all there is and what
/// was taken back a moment ago.
const MAX_TRANSFERS: u64 = 1 << 20;
/// For so many looks at what transfers take it is not counted anew what all hold: to count encodes all of it.
const SAME_HELD: u64 = 64;

/// What a document is like at somebody's.
#[derive(Debug)]
struct State {
    /// With the name of its type, if that is known there: whoever holds the same bytes need not be asked for more.
    encoded: Vec<u8>,
    canonical: Vec<u8>,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Checks {
    /// Changes since two nodes were compared last.
    changes: u64,
    changed: BTreeSet<DocId>,
    /// How many bytes all held when they were counted last, and for how many looks that is taken to be so.
    held: (u64, u64),
    /// What a document in some version looks like.
    states: BTreeMap<(DocId, Entries), State>,
}

impl Checks {
    /// What a document was like with more than that of what somebody wrote says nothing any more.
    pub(super) fn forget(&mut self, doc: DocId, replica: tombolo_crdt::ReplicaId, kept: u64) {
        self.states.retain(|(known, version), _| {
            *known != doc || version.iter().all(|(id, last)| *id != replica || *last <= kept)
        });
    }
}

impl World {
    /// An engine told its application something.
    pub(super) fn check_event(&mut self, node: usize, event: Event) {
        match event {
            Event::Changed { doc, origin, version } => self.changed(node, doc, origin, version),
            Event::Watched { doc, step } => self.stepped(node, doc, &step),
            Event::Unwatched { doc } => self.not_shown(node, doc),
            Event::Durable(_) => self.durable(node),
            Event::NotDurable { kept, last, reason } => {
                self.note(|_| format!("n{node} lost batches {} to {}: {reason}", kept.0 + 1, last.0));
            }
            Event::Directory => {
                let engine = self.nodes[node].engine.as_ref();
                let gone: Vec<DocId> = self.watched[node]
                    .seen
                    .keys()
                    .copied()
                    .filter(|&doc| engine.is_some_and(|engine| engine.is_deleted(doc)))
                    .collect();
                gone.iter().for_each(|doc| {
                    self.watched[node].seen.remove(doc);
                });
            }
            Event::Refused { peer, reason } => {
                let who = self.whom(node, peer).unwrap_or(usize::MAX);
                self.note(|_| format!("n{node} and n{who} refuse each other: {reason}"));
            }
            Event::Overtaken { peer, forked } => {
                let who = self.whom(node, peer).unwrap_or(usize::MAX);
                self.note(|_| format!("n{node} is overtaken, says n{who}; forked: {forked}"));
                self.overtaken.push((node, forked));
                if !self.may_be_overtaken {
                    self.violated(format!("n{node} believes that it was set back, because of n{who}"));
                }
            }
            Event::Diverged { peer, doc } => {
                let who = self.whom(node, peer).unwrap_or(usize::MAX);
                self.note(|_| format!("n{node} holds another {doc} than n{who}, in the same version"));
                self.diverged.push((node, who, doc));
                if !self.may_diverge {
                    self.violated(format!("n{node} holds another {doc} than n{who}, in the same version"));
                }
            }
            Event::Evicted { doc } => {
                self.note(|_| format!("n{node} lets {doc:?} go from memory"));
                self.stats.count(Branch::Evicted);
            }
            Event::Loaded { doc, failed } => {
                self.note(|_| format!("n{node} has {doc:?} in memory again, unless {failed:?}"));
                self.stats.count(if failed.is_none() { Branch::Loaded } else { Branch::NotLoaded });
            }
            Event::Dropped { doc } => {
                self.note(|_| format!("n{node} drops {doc:?}, which it does not want"));
                self.stats.count(Branch::Dropped);
                let this = &mut self.watched[node];
                this.seen.remove(&doc);
                this.promised.remove(&doc);
                this.unsettled.remove(&doc);
                this.dropped.insert(doc);
            }
            Event::Released { peer } => {
                let who = self.whom(node, peer).unwrap_or(usize::MAX);
                self.note(|_| format!("n{node} does not wait for n{who} any more"));
                self.stats.count(if self.is_releasing { Branch::Released } else { Branch::Silent });
                self.not_waited_for(who);
            }
            Event::PeerReady { peer } => {
                let who = self.whom(node, peer).unwrap_or(usize::MAX);
                self.note(|_| format!("n{node} has n{who} ready"));
            }
            _ => {}
        }
    }

    fn changed(&mut self, node: usize, doc: DocId, origin: Origin, version: Version) {
        let driven = &self.nodes[node];
        let (old, new) = (driven.replica, driven.engine.as_ref().map(Engine::replica));
        let this = &mut self.watched[node];
        let before = this.seen.insert(doc, version.clone()).unwrap_or_default();
        let least = match origin {
            Origin::Undone => this.promised.get(&doc).cloned(),
            // What was the last of one id is the first of another.
            Origin::Renamed => {
                self.stats.count(Branch::Renamed);
                if let Some(new) = new {
                    self.ledger.rename(doc, this.branch, (old, version.get(old)), new);
                }
                if let Some(promised) = this.promised.get_mut(&doc) {
                    *promised = promised.iter().map(|(id, last)| (id, last.min(version.get(id)))).collect();
                }
                None
            }
            _ => Some(before.clone()),
        };
        if let Some(least) = least
            && !version.dominates(&least)
        {
            return self.violated(format!("{doc:?} at n{node} went back from {least:?} to {version:?}"));
        }
        self.note(|_| format!("n{node} {doc:?} is at {version:?}, {origin:?}"));
        // What others wrote comes with everything that they had seen; what is written here has not been noted yet.
        if origin == Origin::Swept && doc == DocId::MEMBERS {
            // The ledger does not know what engines write there.
        } else if origin == Origin::Swept {
            // A write that nobody asked for, and that nobody may notice.
            let author = (self.nodes[node].replica, self.watched[node].branch);
            self.stats.count(Branch::Swept);
            if self.kind_at(node, doc).is_some_and(Kind::is_ordered) {
                self.stats.count(Branch::SweptOrdered);
            }
            self.ledger.note_sweep(doc, author, before.clone(), version.get(author.0));
        } else if origin == Origin::Local {
            let author = (self.nodes[node].replica, self.watched[node].branch);
            self.ledger.end(doc, author, version.get(author.0));
        } else if !matches!(origin, Origin::Undone | Origin::Renamed) {
            self.check_cut(node, doc, &before, &version);
        }
        if origin == Origin::Undone {
            self.truncate(node, doc, &version);
        }
        self.watched[node].unsettled.insert(doc);
        self.checks.changes += 1;
        self.checks.changed.insert(doc);
    }

    /// What a document is that a node lists.
    fn kind_at(&self, node: usize, doc: DocId) -> Option<Kind> {
        let listed = self.nodes[node].engine.as_ref()?.list();
        Kind::of(&listed.iter().find(|listed| listed.id == doc)?.type_name)
    }

    /// Writes follow reads: who shows an event shows everything that its author had seen, and no half of a transaction.
    fn check_cut(&mut self, node: usize, doc: DocId, before: &Version, version: &Version) {
        if self.follows_writes
            && let Some(gap) = self.ledger.gap(doc, before, version)
        {
            self.violated(format!("{doc:?} at n{node} is no causal cut: {gap}"));
        }
    }

    /// What is known to be lost is not expected any more; what was promised must not be among it.
    pub(super) fn truncate(&mut self, node: usize, doc: DocId, version: &Version) {
        self.truncate_as(node, self.nodes[node].replica, doc, version);
    }

    /// The same of what it wrote as `replica`.
    fn truncate_as(&mut self, node: usize, replica: tombolo_crdt::ReplicaId, doc: DocId, version: &Version) {
        let promised = self.watched[node].promised.get(&doc).map_or(0, |promised| promised.get(replica));
        let kept = version.get(replica);
        if kept < promised {
            self.violated(format!(
                "n{node} lost its writes {} to {promised} of {doc:?}, which were durable",
                kept + 1
            ));
        }
        self.ledger.truncate(doc, (replica, self.watched[node].branch), kept);
    }

    /// Everything an engine calls durable is on its disk.
    fn durable(&mut self, node: usize) {
        let Some(engine) = &self.nodes[node].engine else { return };
        let mut wrong = None;
        let mut promised = Vec::new();
        let mut settled = Vec::new();
        for &doc in &self.watched[node].unsettled {
            let Some(status) = engine.document_status(doc) else {
                settled.push(doc);
                continue;
            };
            if !status.version.dominates(&status.durable) {
                wrong = Some(format!(
                    "{doc:?} at n{node} has {:?} durable of {:?}",
                    status.durable, status.version
                ));
            }
            if !self.nodes[node].disk.version(doc).dominates(&status.durable) && self.sabotage.is_none() {
                let held = self.nodes[node].disk.version(doc);
                wrong = Some(format!(
                    "{doc:?} at n{node} is said to be durable to {:?}, and the disk has {held:?}",
                    status.durable
                ));
            }
            if status.version == status.durable {
                settled.push(doc);
            }
            promised.push((doc, status.durable));
        }
        for doc in settled {
            self.watched[node].unsettled.remove(&doc);
        }
        self.watched[node].promised.extend(promised);
        if let Some(wrong) = wrong {
            self.violated(wrong);
        }
    }

    /// After a restart everything promised is there.
    pub(super) fn check_restart(&mut self, node: usize) {
        if let Some(replica) = self.nodes[node].engine.as_ref().map(Engine::replica) {
            self.ledger.restarted(self.watched[node].branch, replica);
        }
        self.watched[node].seen.clear();
        self.watched[node].unsettled.clear();
        let Some(engine) = &self.nodes[node].engine else { return };
        let mut found = Vec::new();
        for (&doc, promised) in &self.watched[node].promised {
            if engine.is_deleted(doc) {
                continue;
            }
            let version = engine.document_status(doc).map(|status| status.version).unwrap_or_default();
            found.push((doc, promised.clone(), version));
        }
        let docs = engine.held_documents();
        let versions: Vec<(DocId, Version)> =
            docs.filter_map(|doc| Some((doc, engine.document_status(doc)?.version))).collect();
        for (doc, promised, version) in found {
            if !version.dominates(&promised) {
                self.violated(format!(
                    "{doc:?} at n{node} was durable to {promised:?} and is at {version:?} after a restart"
                ));
            }
        }
        // Under a new id that did not become durable it may have written what did not either.
        let (replica, last) = (self.nodes[node].replica, self.watched[node].replica.take());
        let ids = [Some(replica), last.filter(|last| *last != replica)].into_iter().flatten();
        let written: Vec<(tombolo_crdt::ReplicaId, DocId)> =
            ids.flat_map(|id| self.ledger.documents_of(id).into_iter().map(move |doc| (id, doc))).collect();
        for (id, doc) in written {
            let version =
                versions.iter().find(|(known, _)| *known == doc).map(|(_, version)| version.clone());
            let deleted = self.nodes[node].engine.as_ref().is_some_and(|engine| engine.is_deleted(doc));
            // Somebody else has what was dropped.
            let dropped = version.is_none() && self.watched[node].dropped.contains(&doc);
            if !deleted && !dropped {
                self.truncate_as(node, id, doc, &version.unwrap_or_default());
            }
        }
    }

    /// What leaves a node is durable there.
    pub(super) fn check_frame(&mut self, node: usize, to: usize, frame: Option<Frame>) {
        match frame {
            None => self.violated(format!("n{node} sends a frame that nobody can read")),
            Some(
                Frame::Versions { entries, .. }
                | Frame::Differences { entries, .. }
                | Frame::Rest { entries, .. }
                | Frame::Since { entries, .. },
            ) => {
                for (doc, version) in entries {
                    self.check_durable(node, doc, &version, "names");
                }
            }
            Some(Frame::Welcome(welcome)) => {
                let first = welcome.first.unwrap_or(welcome.replica);
                let names = SessionNames::new([first].into_iter().chain(welcome.names));
                self.watched[node].names.insert(to, names);
            }
            Some(Frame::Pull { alive: Some(alive), .. }) => match alive {
                Alive::Runs(_) => self.stats.count(Branch::Runs),
                Alive::Sums(_) => self.stats.count(Branch::Sums),
                Alive::Cells { .. } => self.stats.count(Branch::Cells),
                Alive::Staged(_) => self.stats.count(Branch::Pieces),
                Alive::Unsaid => {}
            },
            Some(Frame::Content { doc, kind, part, parts, bytes, .. }) => {
                match kind {
                    ContentKind::Behind if part == 0 => self.stats.count(Branch::Behind),
                    ContentKind::State if part == 0 => self.stats.count(Branch::State),
                    _ => {}
                }
                let whole = self.watched[node].sending.entry((to, doc)).or_default();
                if part == 0 {
                    whole.clear();
                }
                whole.extend(bytes);
                if part + 1 < parts {
                    return;
                }
                let whole = self.watched[node].sending.remove(&(to, doc)).unwrap_or_default();
                let limits = Limits::trusted();
                let delta = match kind {
                    ContentKind::Behind => {
                        let Some(behind) = Behind::decode(&whole) else {
                            // A transfer that goes on where another session ended.
                            if part > 0 {
                                return;
                            }
                            return self
                                .violated(format!("n{node} sends what cannot be read of who is behind"));
                        };
                        return self.check_durable(node, doc, &behind.base, "names");
                    }
                    ContentKind::Piece => {
                        let Some(piece) = Piece::decode(&whole) else {
                            // A transfer that goes on where another session ended.
                            if part > 0 {
                                return;
                            }
                            return self.violated(format!("n{node} sends a piece that cannot be read"));
                        };
                        return self.check_durable(node, doc, &piece.base, "names");
                    }
                    ContentKind::Delta => Delta::<Opaque>::decode_body(&whole, &limits),
                    ContentKind::State => Delta::<Opaque>::decode_state(&whole, &limits),
                    ContentKind::Beyond => {
                        Delta::<Opaque>::decode_body(whole.get(24..).unwrap_or(&[]), &limits)
                    }
                    ContentKind::Named | ContentKind::BeyondNamed => {
                        let none = SessionNames::default();
                        let names = self.watched[node].names.get(&to).unwrap_or(&none);
                        let before = if kind == ContentKind::Named { 0 } else { 24 };
                        Delta::<Opaque>::decode_in(whole.get(before..).unwrap_or(&[]), names, &limits)
                    }
                };
                match delta {
                    Ok(delta) => self.check_durable(node, doc, &delta.events(), "sends"),
                    Err(why) if part == 0 => self.violated(format!("n{node} sends bad content: {why}")),
                    // A transfer that goes on where another session ended.
                    Err(_) => {}
                }
            }
            Some(Frame::Push { doc, delta }) => {
                self.stats.count(Branch::Pushed);
                let none = SessionNames::default();
                let names = self.watched[node].names.get(&to).unwrap_or(&none);
                match Delta::<Opaque>::decode_in(&delta, names, &Limits::trusted()) {
                    Ok(delta) => self.check_durable(node, doc, &delta.events(), "pushes"),
                    Err(why) => self.violated(format!("n{node} pushes bad content: {why}")),
                }
            }
            Some(_) => {}
        }
    }

    pub(super) fn check_payload(&mut self, node: usize, payload: &[u8]) {
        let secret = self.nodes[node].options.secret();
        let Some((doc, delta)) = open_payload(&secret, payload) else {
            return self.violated(format!("n{node} publishes what no member can open"));
        };
        match Delta::<Opaque>::decode_body(&delta, &Limits::trusted()) {
            Ok(delta) => self.check_durable(node, doc, &delta.events(), "publishes"),
            Err(why) => self.violated(format!("n{node} publishes bad content: {why}")),
        }
    }

    fn check_durable(&mut self, node: usize, doc: DocId, version: &Version, does: &str) {
        let durable = self.nodes[node].disk.version(doc);
        let deleted = self.nodes[node].engine.as_ref().is_some_and(|engine| engine.is_deleted(doc));
        if !durable.dominates(version) && !deleted {
            self.violated(format!("n{node} {does} {doc:?} to {version:?}, durable is {durable:?}"));
        }
    }

    /// After every call of an engine.
    pub(super) fn check_after(&mut self, node: usize) {
        if self.queue.waiting() > MAX_WAITING.max(MAX_WAITING_EACH * self.nodes.len()) {
            self.violated(format!("{} things are waiting to happen", self.queue.waiting()));
        }
        self.check_mirrors(node);
        let kept = self.nodes[node].engine.as_ref().map_or(0, Engine::transfer_bytes) as u64;
        if kept > MAX_TRANSFERS {
            let most =
                |world: &Self, held| 2 * world.nodes[node].sessions.len() as u64 * (held + world.longest);
            let (mut held, looks) = self.checks.held;
            self.checks.held.1 = looks.saturating_sub(1);
            if looks == 0 || kept > MAX_TRANSFERS + most(self, held) {
                held = self.held_bytes(0..self.len());
                self.checks.held = (held, SAME_HELD);
            }
            if kept > MAX_TRANSFERS + most(self, held) {
                self.violated(format!("n{node} keeps {kept} bytes of transfers, where all hold {held}"));
            }
        }
        if let Some(engine) = &self.nodes[node].engine {
            self.watched[node].replica = Some(engine.replica());
        }
        if self.checks.changes >= COMPARE_EVERY {
            self.checks.changes = 0;
            let changed = std::mem::take(&mut self.checks.changed);
            self.compare(node, changed);
        }
    }

    /// As [`compare`](Self::compare), for everything a node holds.
    pub(super) fn compare_all(&mut self, node: usize) {
        let Some(engine) = &self.nodes[node].engine else { return };
        let docs: Vec<DocId> = engine.held_documents().collect();
        self.compare(node, docs);
    }

    /// Equal versions are equal states, here and anywhere before.
    fn compare(&mut self, node: usize, docs: impl IntoIterator<Item = DocId>) {
        // What nobody else sees may be written again, and otherwise.
        if self.may_be_overtaken && self.nodes[node].engine.as_ref().is_some_and(Engine::is_apart) {
            return;
        }
        for doc in docs {
            let Some(status) =
                self.nodes[node].engine.as_ref().and_then(|engine| engine.document_status(doc))
            else {
                continue;
            };
            // What is not durable may be undone, and its dots then stand for something else.
            if status.version != status.durable || status.version.is_empty() {
                continue;
            }
            let key = (doc, status.version.iter().collect::<Vec<_>>());
            let Some(encoded) = self.encoded(node, doc) else { continue };
            let known = self.checks.states.get(&key);
            if known.is_some_and(|known| known.encoded == encoded) {
                continue;
            }
            let Some(canonical) = Core::canonical_of(&encoded) else { continue };
            match known {
                Some(known) if known.canonical != canonical && self.ledger.is_disputed(doc) => {
                    self.note(|_| format!("n{node} holds another {doc:?}, of dots that were used twice"));
                    self.differing.insert(doc);
                }
                Some(known) if known.canonical != canonical => {
                    self.violated(format!("{doc:?} at n{node} differs from another of {:?}", status.version));
                }
                Some(_) => {}
                None => {
                    self.checks.states.insert(key, State { encoded, canonical });
                }
            }
        }
    }
}
