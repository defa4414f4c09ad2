//! Under which replica id we write, and what we do when a peer knows more of it than we do.
//!
//! Nothing leaves a store before it is durable, so nobody can know of us what we do not know ourselves, unless the store was set
//! back, with all that could have told so, or another goes by the same id: a snapshot of a whole machine does both. Peers tell
//! each other in their welcome the marks of their [`Line`](super::line::Line), and those that they know of the other.
//! - We are behind what is known of us, and have written nothing since the start: what we hold is a past of what others hold. We
//!   go on under a new id, and take in what we had forgotten.
//! - We are not what is known of us: what we wrote stands under dots that the peer has for something else, and to exchange
//!   anything would mix the two. So what is written before any peer has told us all it holds is kept [`apart`](super::apart): nobody
//!   sees it. If it then turns out that another store wrote under our id, it becomes what a new id wrote, and all of it is exchanged.
//!   What others may have seen cannot be taken back: then the session ends, on both sides, and the application is told.

use rand::Rng as _;
use tombolo_crdt::{ReplicaId, Version};

use super::apart::{Apart, Fork};
use super::document::Document;
use super::effect::{BatchId, Event, Origin, SessionId};
use super::frame::{Known, MAX_FORMER, Refusal};
use super::line::{Line, Relation};
use super::peer::Peer;
use super::{Engine, StartError, document};
use crate::store::{Store, Write};
use crate::{DocId, PeerId};

/// The replica id stands under this name in the store.
pub const REPLICA_RECORD: &str = "identity/replica";
/// And our line under this, with the id it is of.
const OWN_LINE: &str = "identity/line";
/// The lines of ids under which this store wrote before.
const FORMER: &str = "identity/former";
/// The lines of ids under which others wrote before stand under these names.
const HEARD: &str = "heard/";
/// The lines of peers stand under these names.
const LINES: &str = "line/";
/// How long after a mark another is left with the next write, in milliseconds: what was set back within one run, and met others
/// since, is found out by it.
const MARK_PAUSE: u64 = 60_000;
/// How many new ids we take before we are started anew: who tells us again and again that we were set back wants harm.
const MAX_INCARNATIONS: u32 = 8;
/// How long a peer that holds more of what we wrote than we do is waited for, in milliseconds, until it has said what it knows of us.
const ANSWER: u64 = 5_000;
/// In how many sessions it is waited for, until we are started anew: what we write meanwhile is kept apart.
const MAX_WAITED: u32 = 8;
/// Of how many peers the lines are kept.
const MAX_LINES: usize = 4_096;

/// Our own line, and those we know.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    replica: Option<ReplicaId>,
    own: Line,
    /// What is told of it: what is durable, and others may see what was written under it.
    told: Line,
    /// When to leave another mark.
    mark_at: u64,
    /// To be written with the next batch.
    unsent: Vec<Write>,
    /// The batch with which it becomes durable.
    batch: Option<BatchId>,
    /// Whether anything was written under our replica id since we started.
    has_written: bool,
    /// How many new ids we have taken since we started.
    incarnations: u32,
    /// What was written under the marks from this one on nobody has seen.
    seen: u64,
    /// The batch that makes it durable that others may see up to a mark.
    showing: Option<(BatchId, u64)>,
    pub(super) apart: Apart,
    /// The ids under which this store wrote before, with their lines as far as it has what was written. Oldest first.
    former: Vec<(ReplicaId, Line)>,
    /// What others say of ids under which they wrote before.
    heard: std::collections::BTreeMap<ReplicaId, Line>,
    /// By peer: the replica id it went by last, and its line.
    known: std::collections::BTreeMap<PeerId, (ReplicaId, Line)>,
    /// By peer: how many marks of our line it has said to have heard from us since we were started, under this replica id.
    heard_by: std::collections::BTreeMap<PeerId, u64>,
    /// Who holds more of what we wrote under this id than we do and has not said yet what it knows of us.
    claims: std::collections::BTreeMap<PeerId, Claim>,
}

/// A peer holds more of what we wrote than we do, and what it knows of us is waited for.
#[derive(Debug)]
struct Claim {
    session: SessionId,
    until: u64,
    /// In how many sessions it was waited for.
    sessions: u32,
}

impl Lines {
    pub(crate) fn load(store: &dyn Store, us: ReplicaId) -> Result<Self, StartError> {
        let damaged = |key: &str| StartError::Record(key.to_owned());
        let mut lines = Self { replica: Some(us), apart: Apart::load(store)?, ..Self::default() };
        if let Some(bytes) = store.record(OWN_LINE)? {
            let (replica, line, seen) = rmp_serde::from_slice::<(ReplicaId, Line, u64)>(&bytes)
                .ok()
                .filter(|(_, line, _)| line.is_line())
                .ok_or_else(|| damaged(OWN_LINE))?;
            if replica == us {
                (lines.told, lines.own, lines.seen) = (line.told(seen), line, seen);
            } else {
                lines.former.push((replica, line.told(line.end())));
            }
        }
        if let Some(bytes) = store.record(FORMER)? {
            let former = rmp_serde::from_slice(&bytes).map_err(|_| damaged(FORMER))?;
            for (replica, line) in std::mem::replace(&mut lines.former, former) {
                lines.note_former(replica, line);
            }
        }
        if !lines.former.is_empty() {
            lines.unsent.push(lines.former_record());
        }
        for (key, bytes) in store.records(HEARD)? {
            let id = u128::from_str_radix(&key[HEARD.len()..], 16).map_err(|_| damaged(&key))?;
            let line = rmp_serde::from_slice::<Line>(&bytes).ok().filter(Line::is_sane);
            let line = line.ok_or_else(|| damaged(&key))?;
            lines.heard.insert(ReplicaId::from_bytes(id.to_be_bytes()), line);
        }
        for (key, bytes) in store.records(LINES)? {
            let peer = key[LINES.len()..].parse().map_err(|_| damaged(&key))?;
            let known = rmp_serde::from_slice::<(ReplicaId, Line)>(&bytes).ok();
            lines.known.insert(peer, known.filter(|(_, line)| line.is_sane()).ok_or_else(|| damaged(&key))?);
        }
        Ok(lines)
    }

    /// Whether there is something of our own that nobody may see yet: another store might have written under our id meanwhile.
    pub(crate) fn is_apart(&self) -> bool {
        self.own.end() > self.seen
    }

    /// Whether what a peer knows of us beyond what we know may be of another store.
    pub(crate) fn may_have_forked(&self) -> bool {
        self.has_written || self.incarnations >= MAX_INCARNATIONS
    }

    /// What goes with the next batch.
    pub(crate) fn take_unsent(&mut self, batch: BatchId) -> Vec<Write> {
        if !self.unsent.is_empty() {
            self.batch = Some(batch);
        }
        std::mem::take(&mut self.unsent)
    }

    /// What we may tell of ourselves.
    pub(crate) fn own(&self) -> Line {
        self.told.clone()
    }

    /// How many marks of our line a peer is known to have heard.
    pub(crate) fn heard_by(&self, peer: PeerId) -> Option<u64> {
        self.heard_by.get(&peer).copied()
    }

    /// It has said what it knows of it.
    pub(crate) fn has_answered(&mut self, peer: PeerId) {
        self.claims.remove(&peer);
    }

    /// It knows nothing of it, or something else.
    pub(crate) fn has_not_heard(&mut self, peer: PeerId) {
        self.heard_by.remove(&peer);
    }

    /// The line of a peer that tells it from here on; `None` if we have not heard what comes before.
    ///
    /// SUBTLE: of what we know only what comes before. A store that was set back and went on otherwise leaves other marks after that.
    pub(crate) fn whole(&self, peer: PeerId, replica: ReplicaId, after: u64, line: Line) -> Option<Line> {
        if after == 0 {
            return Some(line);
        }
        let (_, known) =
            self.known.get(&peer).filter(|(of, known)| *of == replica && known.end() >= after)?;
        let mut heard = known.clone();
        heard.truncate(after);
        heard.with(&line)
    }

    /// What we know of who goes by this id: the peer that says so, and others.
    pub(crate) fn of(&self, peer: PeerId, replica: ReplicaId) -> Option<Known> {
        let met = self.known.get(&peer).filter(|(of, _)| *of == replica).map(|(_, line)| line);
        let heard = self.heard.get(&replica);
        let tells_more = |heard: &&Line| {
            met.is_none_or(|met| matches!(heard.relation_to(met), Relation::Ahead | Relation::Forked))
        };
        let (line, met) = match heard.filter(tells_more) {
            Some(heard) => (heard, false),
            None => (met?, true),
        };
        Some(Known::Line { line: line.clone(), met })
    }

    /// The ids under which we wrote before.
    pub(crate) fn former(&self) -> &[(ReplicaId, Line)] {
        &self.former
    }

    fn note_former(&mut self, replica: ReplicaId, line: Line) {
        if line.end() == 0 {
            return;
        }
        self.former.retain(|(known, _)| *known != replica);
        self.former.push((replica, line));
        if self.former.len() > MAX_FORMER {
            self.former.remove(0);
        }
    }

    fn former_record(&self) -> Write {
        let value = rmp_serde::to_vec(&self.former).expect("lines consist of what MessagePack can say");
        Write::Put { key: FORMER.to_owned(), value }
    }

    /// Gives a document as the store holds it the names that were given since. Says whether any were.
    pub(crate) fn rename(&self, doc: DocId, body: &mut dyn Document) -> bool {
        self.apart.rename(doc, body)
    }

    /// Our own line as a record, if others may see what was written under the marks up to `seen`.
    fn record(&self, seen: u64) -> Write {
        let value = rmp_serde::to_vec(&(self.replica, &self.own, seen));
        Write::Put {
            key: OWN_LINE.to_owned(),
            value: value.expect("a line consists of what MessagePack can say"),
        }
    }
}

impl Engine {
    /// Leaves a mark before the first write since the start or since we are alone, and now and then; and notes where in this
    /// document that begins, if it is apart.
    pub(super) fn begin_to_write(&mut self, doc: DocId) {
        let is_confirmed = self.is_confirmed();
        let is_due = !is_confirmed || self.now.millis >= self.lines.mark_at;
        if !self.lines.has_written || (!self.lines.is_apart() && is_due) {
            self.lines.mark_at = self.now.millis + MARK_PAUSE;
            let was_apart = self.lines.is_apart();
            let mut mark = [0; 8];
            self.rng.fill_bytes(&mut mark);
            self.lines.has_written = true;
            self.lines.own.leave(mark);
            // Whoever has told us all it holds knows of no other store. SUBTLE: what was apart before may be seen when that is durable.
            if is_confirmed && !was_apart {
                self.lines.seen = self.lines.own.end();
            }
            self.write_line();
        }
        if self.lines.is_apart() {
            let (mark, after) = (self.lines.own.end() - 1, self.handed(doc));
            self.lines.unsent.extend(self.lines.apart.begin(doc, self.us.replica, mark, after));
        }
    }

    /// Our counter in a document before what has not been handed to the store.
    fn handed(&self, doc: DocId) -> u64 {
        self.documents.get(&doc).map_or(0, |slot| slot.handed.get(self.us.replica))
    }

    /// Up to which of our events in a document what we added to counters is left as it is.
    pub(super) fn kept_apart(&self, doc: DocId) -> u64 {
        let is_apart = (self.lines.has_written && self.lines.is_apart()) || !self.is_confirmed();
        if !is_apart {
            return 0;
        }
        let begun = (self.lines.has_written && self.lines.is_apart())
            .then(|| self.lines.apart.since(doc, self.us.replica, self.lines.own.end() - 1))
            .flatten();
        begun.unwrap_or_else(|| self.handed(doc))
    }

    /// Whether a peer is there that has told us who it is, what it knows of us and all it holds, and none that may yet say that another
    /// store writes under our id.
    pub(super) fn is_confirmed(&self) -> bool {
        let us = self.us.replica;
        let told_all = self.peers.values().filter_map(Peer::ready).any(|ready| ready.has_told_all(us));
        told_all && !self.is_answer_awaited()
    }

    /// Whether a peer that holds more of what we wrote than we do is about to say what it knows of us.
    fn is_answer_awaited(&self) -> bool {
        self.lines.claims.keys().any(|peer| self.is_to_answer(*peer))
    }

    /// Whether that is what this peer is about to say.
    pub(super) fn is_to_answer(&self, peer: PeerId) -> bool {
        let Some(claim) = self.lines.claims.get(&peer) else { return false };
        let known = self.peers.get(&peer).filter(|known| known.session == claim.session);
        let ready = known.and_then(Peer::ready).filter(|_| self.now.millis < claim.until);
        ready.is_some_and(|ready| ready.answered != Some(self.us.replica))
    }

    /// A peer holds more of what we wrote than we do. Unless it has said what it knows of us, that is waited for: what it holds may be what
    /// another store wrote and has shown as we have, and that shows only in its answer. Under a new id of ours it would not.
    ///
    /// SUBTLE: not for ever, however many sessions it begins. What we write is kept apart as long.
    fn claims_more(&mut self, peer: PeerId) {
        let us = self.us.replica;
        let Some(known) = self.peers.get(&peer) else { return };
        if known.ready().is_none_or(|ready| ready.answered == Some(us)) {
            return;
        }
        let before = self.lines.claims.get(&peer).map_or(0, |claim| claim.sessions);
        let is_known = self.lines.claims.get(&peer).is_some_and(|claim| claim.session == known.session);
        let has_room = before > 0 || self.lines.claims.len() < MAX_LINES;
        if !is_known && has_room && before < MAX_WAITED {
            let (session, until) = (known.session, self.now.millis + ANSWER);
            self.lines.claims.insert(peer, Claim { session, until, sessions: before + 1 });
        }
    }

    /// Has our line written with the next batch: what it marks.
    fn write_line(&mut self) {
        let record = self.lines.record(self.lines.seen);
        self.lines.unsent.push(record);
    }

    /// A peer has told who it is, or what it holds. If it holds what we wrote and do not have, we were set back, and go on under
    /// another id before anything is written. If it has told all it holds, and there is nothing in it that another store wrote under
    /// our id, what we kept apart may be seen.
    pub(super) fn perhaps_seen(&mut self, peer: PeerId) {
        let Some(ready) = self.peers.get(&peer).and_then(Peer::ready).filter(|ready| ready.replica.is_some())
        else {
            return;
        };
        let has_told_all = ready.has_told_all(self.us.replica);
        if !self.lines.is_apart() {
            let us = self.us.replica;
            let reached = |doc| self.documents.get(&doc).map_or(0, |slot| slot.body.version().get(us));
            if !self.lines.may_have_forked() && self.has_more_of_ours(ready, reached) {
                self.overtaken(peer, false);
            }
            return;
        }
        if self.has_more_of_what_is_apart(peer) {
            self.claims_more(peer);
        }
        if self.is_answer_awaited() || self.lines.showing.is_some() {
            return;
        }
        // Who does not answer is believed as who knows nothing of us.
        let is_evidence = has_told_all || self.lines.claims.contains_key(&peer);
        if is_evidence && !self.other_store_wrote(peer) && has_told_all {
            let end = self.lines.own.end();
            let record = self.lines.record(end);
            let batch = self.submit_others(vec![record]);
            self.lines.showing = Some((batch, end));
        }
    }

    /// Whether a peer holds of what we wrote what can be no other's than another store's, or something that we have lost.
    fn has_more_of_what_is_apart(&self, peer: PeerId) -> bool {
        let ready = self.peers.get(&peer).and_then(Peer::ready);
        ready.is_some_and(|ready| self.has_more_of_ours(ready, |doc| self.surely_ours(doc)))
    }

    /// How many of our events in a document no other store can have written: what is apart another may have as well, as something else.
    pub(super) fn surely_ours(&self, doc: DocId) -> u64 {
        let us = self.us.replica;
        let is_apart = self.lines.is_apart();
        let begun = if is_apart { self.lines.apart.since(doc, us, self.lines.seen) } else { None };
        begun.unwrap_or_else(|| self.documents.get(&doc).map_or(0, |slot| slot.body.version().get(us)))
    }

    /// Whether what a peer holds tells that another store wrote under our id since what we keep apart began. Then we have gone on
    /// under a new one, or the session is over.
    fn other_store_wrote(&mut self, peer: PeerId) -> bool {
        let Some(ready) = self.peers.get(&peer).and_then(Peer::ready) else { return false };
        let (us, end) = (self.us.replica, self.lines.own.end());
        // What it knows of ours it has seen, or somebody who told it.
        let first = self.lines.seen.max(ready.knows);
        // Who knows our line has what was written under the marks it knows. What others have of ours may have come by a copy of this
        // store; what we have not written, another wrote.
        let written = |doc| {
            let begun = if ready.knows > 0 { self.lines.apart.since(doc, us, first) } else { None };
            begun.unwrap_or_else(|| self.documents.get(&doc).map_or(0, |slot| slot.body.version().get(us)))
        };
        if self.has_more_of_ours(ready, written) {
            if first >= end && !self.lines.may_have_forked() {
                self.overtaken(peer, false);
            } else {
                self.forked(peer, first, true);
            }
            return true;
        }
        false
    }

    /// Everything up to `batch` is durable; if our line is among it, the peers are told.
    pub(super) fn line_stored(&mut self, batch: BatchId) {
        if self.lines.batch.is_some_and(|of| of <= batch) {
            self.lines.batch = None;
            self.tell_line();
        }
        if let Some((of, end)) = self.lines.showing.filter(|(of, _)| *of <= batch) {
            self.lines.showing = None;
            // Others may have told all they hold while this was written.
            let us = self.us.replica;
            let listed = |peer: &&PeerId| {
                self.peers.get(peer).and_then(Peer::ready).is_some_and(|ready| ready.has_told_all(us))
            };
            let listed: Vec<PeerId> = self.ready_peers().iter().filter(listed).copied().collect();
            if self.is_answer_awaited() {
                // SUBTLE: the disk has noted that it may be seen.
                self.write_line();
                return;
            }
            if listed.into_iter().any(|peer| self.other_store_wrote(peer)) {
                return;
            }
            tracing::debug!(batch = of.0, "what was written alone may be seen");
            self.leave_to_pulls();
            self.lines.seen = self.lines.seen.max(end);
            // SUBTLE: not before. Who knows a mark is taken to have nothing of another store under it.
            self.tell_line();
            let done = self.lines.apart.forget(|replica| replica == self.us.replica);
            self.submit_others(done);
            for peer in self.ready_peers() {
                self.serve(peer);
            }
            self.chase_all();
        }
    }

    /// Pulls what was not pulled as long as we were apart.
    fn chase_all(&mut self) {
        let told = self.peers.values().filter_map(Peer::ready).flat_map(|ready| ready.have.iter());
        let told: std::collections::BTreeSet<DocId> = told.map(|(doc, _)| doc).collect();
        told.into_iter().for_each(|doc| self.chase(doc));
    }

    /// Tells the peers our line, as far as they may know it.
    fn tell_line(&mut self) {
        self.lines.told = self.lines.own.told(self.lines.seen);
        for peer in self.ready_peers() {
            self.tell_line_to(peer);
        }
    }

    /// A batch is lost, and with it perhaps our line; it is written again with what else was.
    pub(super) fn line_lost(&mut self, first: BatchId) {
        self.lines.showing = self.lines.showing.filter(|(of, _)| *of < first);
        if self.lines.batch.is_some_and(|of| of >= first) {
            self.lines.batch = None;
            self.write_line();
        }
        if self.lines.is_apart() {
            self.lines.unsent.extend(self.lines.apart.records());
        }
    }

    /// A peer says which line it has. Says whether that goes on from what we know of it.
    pub(super) fn judge_line(&mut self, peer: PeerId, replica: ReplicaId, line: Line) -> bool {
        if let Some((known_as, known)) = self.lines.known.get(&peer)
            && *known_as == replica
        {
            let introduced =
                self.peers.get(&peer).and_then(Peer::ready).is_some_and(|ready| ready.replica.is_some());
            match line.relation_to(known) {
                Relation::Same if line == *known => return true,
                Relation::Same | Relation::Ahead => {}
                // A frame that comes late.
                Relation::Behind if introduced => return true,
                Relation::Behind => {
                    tracing::warn!(%peer, "it was set back; waiting for it to go on under a new replica id");
                    return false;
                }
                Relation::Forked => {
                    tracing::warn!(%peer, %replica, "another store went by this replica id; waiting for it to go on under a new one");
                    return false;
                }
            }
        } else if self.lines.known.len() >= MAX_LINES && !self.lines.known.contains_key(&peer) {
            return true;
        }
        // It may be set back to its former id once more.
        if let Some(former) = self.lines.known.get(&peer).filter(|(of, _)| *of != replica).cloned() {
            self.heard_former(vec![former]);
        }
        let value =
            rmp_serde::to_vec(&(replica, &line)).expect("a line consists of what MessagePack can say");
        self.submit_others(vec![Write::Put { key: format!("{LINES}{peer}"), value }]);
        self.lines.known.insert(peer, (replica, line));
        true
    }

    /// A peer says under which ids it wrote before.
    pub(super) fn heard_former(&mut self, former: Vec<(ReplicaId, Line)>) {
        for (replica, line) in former {
            let known = self.lines.heard.get(&replica);
            let is_news = known.is_none_or(|known| line.relation_to(known) == Relation::Ahead);
            let has_room = known.is_some() || self.lines.heard.len() < MAX_LINES;
            if is_news && has_room {
                let id = u128::from_be_bytes(*replica.as_bytes());
                let value = rmp_serde::to_vec(&line).expect("a line consists of what MessagePack can say");
                self.submit_others(vec![Write::Put { key: format!("{HEARD}{id:032x}"), value }]);
                self.lines.heard.insert(replica, line);
            }
        }
    }

    /// A peer says what it knows of our line.
    pub(super) fn judged(&mut self, peer: PeerId, known: &Known) {
        let (line, met) = match known {
            // SUBTLE: not what we would say now: it may not have heard that yet.
            Known::Said(end) => {
                let knows = self.lines.told.end().min(*end);
                if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
                    ready.knows = knows;
                }
                if self.lines.heard_by.len() < MAX_LINES || self.lines.heard_by.contains_key(&peer) {
                    self.lines.heard_by.insert(peer, knows);
                }
                return;
            }
            Known::Line { line, met } => (line, *met),
        };
        self.lines.has_not_heard(peer);
        let common = self.lines.own.common(line);
        if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
            ready.knows = common;
        }
        match self.lines.own.relation_to(line) {
            Relation::Same | Relation::Ahead => {}
            Relation::Behind if !self.lines.may_have_forked() => self.go_on_as_another(peer),
            Relation::Behind | Relation::Forked => self.forked(peer, common, met),
        }
    }

    /// Another store has written under our id, since this mark. What nobody has seen of what we wrote since is given to a new id;
    /// if somebody may have seen it, nothing is exchanged with who knows the other. Nobody who has only heard of it is believed as far
    /// as that: one who lies could part others for ever.
    fn forked(&mut self, peer: PeerId, first: u64, met: bool) {
        let is_apart = first >= self.lines.seen && first < self.lines.own.end();
        if is_apart && self.lines.incarnations < MAX_INCARNATIONS {
            let (old, new) = (self.us.replica, self.new_id());
            tracing::warn!(%peer, %old, %new, "another store wrote under our replica id; what nobody has seen of ours goes on under a new one");
            let fork = Fork { old, first, new };
            self.incarnate(new, Some(fork));
            self.event(Event::Overtaken { peer, forked: false });
        } else if met {
            self.overtaken(peer, true);
            self.refuse(peer, Refusal::Forked);
        } else {
            tracing::warn!(%peer, "it has heard that another store wrote under our replica id");
        }
    }

    /// Goes on under a new id, before anything is written: what was written under the old one may not all be here. What nobody may
    /// have seen of it is the new one's.
    pub(super) fn incarnate_for_more(&mut self) {
        let (old, new, first) = (self.us.replica, self.new_id(), self.lines.seen);
        tracing::info!(%old, %new, "going on under a new replica id, to hold more of the space");
        let fork = self.lines.is_apart().then_some(Fork { old, first, new });
        self.incarnate(new, fork);
    }

    fn new_id(&mut self) -> ReplicaId {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        ReplicaId::from_bytes(id)
    }

    /// A peer knows more of what we wrote than we do. Unless it may be of another store, we go on under a new id, so that it can
    /// be taken in.
    pub(super) fn overtaken(&mut self, peer: PeerId, forked: bool) {
        let old = self.us.replica;
        if forked {
            tracing::error!(%peer, replica = %old, "another store writes under our replica id; nothing of that is taken in");
            self.event(Event::Overtaken { peer, forked });
            return;
        }
        self.claims_more(peer);
        if !self.is_answer_awaited() {
            self.go_on_as_another(peer);
        }
    }

    fn go_on_as_another(&mut self, peer: PeerId) {
        let (old, new) = (self.us.replica, self.new_id());
        tracing::warn!(%peer, %old, %new, "a peer knows what we wrote and do not have; going on under a new replica id");
        self.incarnate(new, None);
        self.event(Event::Overtaken { peer, forked: false });
    }

    /// Goes on under a new id, and gives it what is said not to have been written under the old one.
    fn incarnate(&mut self, replica: ReplicaId, fork: Option<Fork>) {
        let old = self.us.replica;
        self.us = document::Us { replica, ..self.us };
        self.config.replica = replica;
        let line = self.lines.own.told(fork.as_ref().map_or(self.lines.own.end(), |fork| fork.first));
        self.lines.note_former(old, line);
        let mut renamed = self.lines.apart.note(fork);
        // SUBTLE: where a write was undone nothing comes after its beginning. It goes, or what the other store wrote there, once it has
        // been taken in, would be given to us at the next start.
        let documents = &self.documents;
        renamed.retain(|doc, after| {
            documents.get(doc).is_some_and(|slot| slot.is_stale || slot.body.version().get(old) > *after)
        });
        let idle = self.lines.apart.forget_all_but(old, &renamed);
        for (doc, slot) in &mut self.documents {
            match renamed.get(doc) {
                Some(&after) => slot.disown(old, after, replica),
                None => slot.body.write_as(replica),
            }
        }
        let staged: Vec<DocId> = self.staging.keys().copied().collect();
        staged.into_iter().for_each(|doc| self.forget_staging(doc));
        let lines = std::mem::take(&mut self.lines);
        self.lines = Lines {
            replica: Some(replica),
            known: lines.known,
            heard: lines.heard,
            former: lines.former,
            apart: lines.apart,
            incarnations: lines.incarnations + 1,
            ..Lines::default()
        };
        // In order with everything that will be written under it; and the peers are told when it is durable.
        let mut writes =
            vec![Write::Put { key: REPLICA_RECORD.to_owned(), value: replica.as_bytes().to_vec() }];
        let (line, former) = (self.lines.record(0), self.lines.former_record());
        writes.extend([line, former, self.lines.apart.forks_record()]);
        writes.extend(idle);
        let batch = self.submit_others(writes);
        self.lines.batch = Some(batch);
        for (doc, after) in renamed {
            self.batches.lower(doc, old, after);
            self.persist_renamed(doc);
            self.changed(doc, Origin::Renamed);
        }
        self.chase_all();
    }

    /// What a document was renamed to is written as it is now. Until it is, it is said to hold what it held before.
    pub(super) fn persist_renamed(&mut self, doc: DocId) {
        let Some(slot) = self.documents.get_mut(&doc) else { return };
        let version = slot.body.version();
        let durable = version.iter().filter(|(id, _)| *id != self.us.replica).collect();
        slot.handed = Version::new();
        slot.fresh.clear();
        let durable = match self.durable.get(doc) {
            Some(known) => version_meet(known, &durable),
            None => durable,
        };
        self.durable.set(doc, durable);
        // SUBTLE: what was to be told is what was durable before. Under these names of events the peers know what another wrote.
        self.announce.remove(&doc);
        slot.is_renamed = slot.is_absent();
        if slot.is_renamed {
            self.want(doc);
        } else if slot.is_writable() {
            self.persist(doc, None);
        }
    }

    /// Has the documents written that were renamed when they were read; if none had to be, that has been done for all of them.
    pub(super) fn settle_forks(&mut self, renamed: &[DocId]) {
        renamed.iter().for_each(|doc| self.persist_renamed(*doc));
        if renamed.is_empty() {
            let us = self.us.replica;
            let done = self.lines.apart.forget_forks(us);
            if !done.is_empty() {
                self.submit_others(done);
            }
        }
    }
}

/// What both know.
fn version_meet(one: &Version, other: &Version) -> Version {
    one.iter().map(|(id, known)| (id, known.min(other.get(id)))).filter(|(_, known)| *known > 0).collect()
}

#[cfg(test)]
mod tests {
    use tombolo_crdt::Limits;

    use super::super::{Config, Effect, Forgetting, Now, Subscription};
    use super::*;
    use crate::Secret;
    use crate::store::MemoryStore;

    /// Whatever a peer is known to have heard, and however both went on since: it judges a line of which it is told the rest as it judges the whole.
    /// Marks that two stores have in common, and more that one of them has.
    fn line(common: u64, more: u64, of: u8) -> Line {
        let mut line = Line::default();
        (0..common).for_each(|mark| line.leave(mark.to_be_bytes()));
        (0..more).for_each(|_| line.leave([of; 8]));
        line.told(line.end())
    }

    #[test]
    fn the_rest_of_a_line_is_judged_as_the_whole_is() {
        let (peer, replica) = (PeerId::from_bytes([1; 32]), ReplicaId::from_bytes([1; 16]));
        for heard in [1, 31, 32, 33, 100, 1_000] {
            for common in [heard, heard + 1, heard + 40] {
                for (ours, theirs) in [(0, 0), (0, 3), (3, 0), (1, 40), (40, 1), (33, 33), (100, 300)] {
                    let (known, tells) = (line(common, theirs, 1), line(common, ours, 2));
                    let mut lines = Lines::default();
                    lines.known.insert(peer, (replica, known.clone()));
                    let whole = lines.whole(peer, replica, heard, tells.after(heard)).expect("it is known");
                    assert_eq!(
                        whole.relation_to(&known),
                        tells.relation_to(&known),
                        "{heard} {common} {ours} {theirs}"
                    );
                    // Where it goes on from what is known, it is the same afterwards.
                    assert!(theirs > 0 || whole == tells, "{heard} {common} {ours}");
                    assert!(lines.whole(peer, replica, known.end() + 1, tells.clone()).is_none());
                    assert!(lines.whole(peer, ReplicaId::from_bytes([2; 16]), heard, tells).is_none());
                }
            }
        }
    }

    /// It was set back to when it knew what another store wrote under the same id.
    #[test]
    fn who_knows_other_marks_than_it_has_said_to_have_heard_sees_that() {
        let (peer, replica) = (PeerId::from_bytes([1; 32]), ReplicaId::from_bytes([1; 16]));
        let mut found = 0;
        for common in [0, 1, 5, 40, 1_000] {
            for heard in [common + 1, common + 2, common + 50] {
                for (ours, theirs) in
                    [(0, 0), (0, 1), (1, 0), (31, 0), (32, 0), (33, 0), (40, 100), (300, 70)]
                {
                    let [of_ours, of_theirs] = [ours, theirs].map(|more| heard - common + more);
                    let (tells, known) = (line(common, of_ours, 2), line(common, of_theirs, 1));
                    let mut lines = Lines::default();
                    lines.known.insert(peer, (replica, known.clone()));
                    let after = tells.joint(heard);
                    let whole = lines.whole(peer, replica, after, tells.after(after)).expect("it is known");
                    // Marks that are long past are not all kept, so that also two whole lines may not show it.
                    if tells.relation_to(&known) == Relation::Forked {
                        let judged = whole.relation_to(&known);
                        assert_eq!(judged, Relation::Forked, "{common} {heard} {ours} {theirs}");
                        found += 1;
                    }
                }
            }
        }
        assert!(found >= 100, "{found}");
    }

    /// Otherwise the disk holds of our line less than others were told of it, and after a restart they take us for set back.
    #[test]
    fn of_our_line_what_waited_for_the_disk_is_written_before_what_is_written_now() {
        let config = Config {
            peer: PeerId::from_bytes([1; 32]),
            replica: ReplicaId::from_bytes([1; 16]),
            name: "alone".into(),
            application: "test".into(),
            secret: Secret::from_bytes([7; 32]),
            limits: Limits::default(),
            subscription: Subscription::everything(),
            max_documents: 10,
            memory: 1 << 20,
            forgetting: Forgetting::default(),
            direct: crate::engine::DEFAULT_DIRECT,
            mistake: None,
            seed: [0; 32],
        };
        let now = Now { millis: 1, wall_millis: 1 };
        let mut engine = Engine::start(config, &MemoryStore::new(), now).unwrap();
        while engine.next_effect().is_some() {}
        engine.lines.own.leave([5; 8]);
        // The disk refused it, so it is to be written with the next batch: nobody has seen what is under the mark.
        engine.write_line();
        // And that batch says that it may be seen.
        let seen = engine.lines.record(engine.lines.own.end());
        engine.submit_others(vec![seen.clone()]);
        let Some(Effect::Store(batch)) = engine.next_effect() else { panic!("something is to be stored") };
        let is_line = |write: &&Write| matches!(write, Write::Put { key, .. } if key == OWN_LINE);
        assert_eq!(batch.writes.iter().filter(is_line).count(), 2);
        assert_eq!(batch.writes.iter().rfind(is_line), Some(&seen));
    }
}
