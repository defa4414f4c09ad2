//! Who belongs to the space, as far as it matters: whom to hear before a removal is forgotten.
//!
//! As long as nobody has anything to forget nothing of this is kept. Who has begins a document of the space's own, with itself and
//! everybody it has met. Whoever sees that document *answers*: says that it is there, and adds whom it has met and who is missing;
//! from then on it adds everybody as it meets them. So who has answered has named all whom it let in.
//!
//! A member that holds a part of the space only says of which documents by entries of its own, one a prefix. Who says nothing holds
//! all of them. In what a member does not hold nobody waits for it.
//!
//! A member that is silent for long is *released*: nobody waits for it any more. It answers again when it is back. How long that is
//! stands in the same document, if anybody has said it, so that all go by the same.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::{LwwMap, Replica, Version};

use super::effect::{BatchId, Event, Input, Now};
use super::memory::is_own;
use super::passed_on::Asking;
use super::peer::Peer;
use super::storage::Slot;
use super::subscription::Subscription;
use super::versions::Versions;
use super::{Engine, Mistake};
use super::{StartError, Store};
use crate::store::Write;
use crate::{DocId, PeerId};

/// Who belongs to the space: a state by key, and by key and prefix that a member holds what begins with that. Under [`RETENTION`], for how
/// long who is silent is waited for.
pub(crate) type Members = LwwMap<String, u64>;

/// What members have acknowledged stands under these names.
const ACKNOWLEDGED: &str = "acknowledged/";
/// That this store has left its space stands under this name. It joins again by starting without.
pub const LEFT_RECORD: &str = "left";
/// What stands between a member's key and a prefix, and how it stands there that the member holds that.
const HOLDS: char = '/';
const HELD: u64 = 1;
/// Under this, which is no key, stands for how many milliseconds a silent member is waited for.
const RETENTION: &str = "retention";
/// There: for ever.
const FOR_EVER: u64 = 0;
/// The pause between writing down twice what a member has acknowledged, in milliseconds, and that at the end of sessions.
const SAVE_PAUSE: u64 = 10 * 60 * 1_000;
const LEAST_SAVE_PAUSE: u64 = 60 * 1_000;

/// How somebody belongs to the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Membership {
    /// Somebody has met it.
    Known = 0,
    /// It has said itself that it is there.
    Member = 1,
    /// It left, or was silent for so long that nobody waits for it any more.
    Released = 2,
}

impl Membership {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Member => "member",
            Self::Released => "released",
        }
    }

    fn of(code: u64) -> Self {
        match code {
            0 => Self::Known,
            1 => Self::Member,
            _ => Self::Released,
        }
    }
}

/// When removals are forgotten that all members know, and when members are not waited for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgetting {
    /// A document is swept when it remembers at least so many removals, and an eighth as many as it has items.
    pub least: usize,
    /// The pause between two looks, in milliseconds.
    pub pause: u64,
    /// A member that was silent for so long, in milliseconds, is released, where the space [says nothing else](Engine::set_retention). Only
    /// the time counts in which this node ran and heard more than half of the members. `None`: never, but by [`Engine::release`].
    pub silence: Option<u64>,
}

impl Default for Forgetting {
    /// From 16 removals on, every ten seconds; released after 30 days.
    fn default() -> Self {
        Self { least: 16, pause: 10_000, silence: Some(30 * 24 * 60 * 60 * 1_000) }
    }
}

/// What a member is known to hold durably, and we do as well.
#[derive(Debug, Default)]
struct Acknowledged {
    versions: Versions,
    /// What it held at the last look. SUBTLE: it counts from the next one on, when we know all members that it had met by then.
    fresh: Versions,
    /// For how long it has been silent while most others were heard, in milliseconds.
    silent: u64,
    /// When it was heard last in this run, by us or by others.
    heard: Option<u64>,
    /// When to write that down again.
    save_at: u64,
}

/// Who has acknowledged what.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    acknowledged: BTreeMap<PeerId, Acknowledged>,
    /// What the list of members says: how each belongs to the space.
    listed: BTreeMap<PeerId, Membership>,
    /// And who holds a part of the space only, and which.
    parts: BTreeMap<PeerId, Subscription>,
    /// Whether it says of us that we hold a part.
    lists_ours: bool,
    /// And for how many milliseconds a silent member is waited for, or [`FOR_EVER`].
    retention: Option<u64>,
    /// Something here waits for being forgotten.
    pub(super) is_wanted: bool,
    /// We have left: we do not answer any more.
    has_left: bool,
    /// With which batch it becomes durable whom we have named.
    naming: Option<BatchId>,
    /// When silence was last counted.
    counted: u64,
    /// When others are asked what they have heard of members that we do not hear.
    pub(super) asking: Asking,
}

impl Roll {
    /// All that belong to the space, as far as anybody has asked.
    pub(super) fn listed(&self) -> impl Iterator<Item = (PeerId, Membership)> + '_ {
        self.listed.iter().map(|(peer, state)| (*peer, *state))
    }

    /// What of a document a member has acknowledged.
    pub(super) fn acknowledged_by(&self, member: PeerId, doc: DocId) -> Option<&Version> {
        self.acknowledged.get(&member)?.versions.get(doc)
    }

    /// For how long a member has been silent, in milliseconds.
    pub(super) fn silent(&self, member: PeerId) -> u64 {
        self.acknowledged.get(&member).map_or(0, |acknowledged| acknowledged.silent)
    }

    /// When a member was heard last in this run, by us or by others.
    pub(super) fn heard(&self, member: PeerId) -> Option<u64> {
        self.acknowledged.get(&member)?.heard
    }

    /// Somebody has heard of a member, which is listed, so long ago.
    pub(super) fn heard_of(&mut self, member: PeerId, ago: u64, now: u64) {
        let acknowledged = self.acknowledged.entry(member).or_default();
        acknowledged.silent = acknowledged.silent.min(ago);
        acknowledged.heard = acknowledged.heard.max(now.checked_sub(ago));
    }

    /// A member has acknowledged this to somebody. Says whether that is news.
    pub(super) fn raise(&mut self, member: PeerId, doc: DocId, version: &Version) -> bool {
        let acknowledged = self.acknowledged.entry(member).or_default();
        let is_news = !acknowledged.versions.get(doc).is_some_and(|known| known.dominates(version));
        acknowledged.versions.raise(doc, version);
        is_news
    }

    pub(crate) fn load(store: &dyn Store) -> Result<Self, StartError> {
        let mut roll = Self { has_left: store.record(LEFT_RECORD)?.is_some(), ..Self::default() };
        for (key, bytes) in store.records(ACKNOWLEDGED)? {
            let damaged = || StartError::Record(key.clone());
            let peer = key[ACKNOWLEDGED.len()..].parse().map_err(|_| damaged())?;
            let (silent, entries): (u64, Vec<(DocId, Version)>) =
                rmp_serde::from_slice(&bytes).map_err(|_| damaged())?;
            let mut versions = Versions::default();
            entries.into_iter().for_each(|(doc, version)| versions.set(doc, version));
            roll.acknowledged.insert(peer, Acknowledged { versions, silent, ..Acknowledged::default() });
        }
        Ok(roll)
    }
}

impl Engine {
    /// What the store holds of it is read as what it is. What is not that an older program took from somebody; it can be had again.
    pub(super) fn read_members(&mut self) {
        if self.documents.contains_key(&DocId::MEMBERS)
            && let Err(why) = self.open_slot::<Members>(DocId::MEMBERS)
        {
            tracing::error!(?why, "who belongs to the space cannot be read, and is asked for again");
            self.documents.remove(&DocId::MEMBERS);
            self.durable.remove(DocId::MEMBERS);
            self.submit_others(vec![Write::Remove { doc: DocId::MEMBERS }]);
        }
        self.read_listed();
    }

    /// Reads what the list of members says, which has changed.
    pub(super) fn read_listed(&mut self) {
        let mut listed = BTreeMap::new();
        let mut parts: BTreeMap<PeerId, Vec<String>> = BTreeMap::new();
        for (key, code) in self.members().into_iter().flat_map(|members| members.iter()) {
            // What no key is nobody has.
            match key.split_once(HOLDS) {
                None => {
                    if let Ok(peer) = key.parse() {
                        listed.insert(peer, Membership::of(*code));
                    }
                }
                Some((peer, prefix)) if *code == HELD => {
                    if let Ok(peer) = peer.parse() {
                        parts.entry(peer).or_default().push(prefix.to_owned());
                    }
                }
                Some(_) => {}
            }
        }
        self.roll.listed = listed;
        self.roll.retention = self.members().and_then(|members| members.get(RETENTION).copied());
        self.roll.lists_ours = parts.contains_key(&self.config.peer);
        // Who says more than one may is waited for everywhere.
        let parts =
            parts.into_iter().filter_map(|(peer, prefixes)| Some((peer, Subscription::listed(prefixes)?)));
        self.roll.parts = parts.collect();
        if !self.roll.parts.is_empty() {
            self.names_matter();
        }
    }

    /// Whether a member holds a document, as far as its name is known.
    pub(super) fn is_held_by(&self, member: PeerId, doc: DocId) -> bool {
        self.roll
            .parts
            .get(&member)
            .is_none_or(|part| self.durable.name(doc).is_none() || self.durable.belongs(doc, part))
    }

    /// Which entries of ours are to be there, and are not, or the other way round.
    fn unlisted(&self) -> BTreeMap<String, bool> {
        if self.hears().is_everything() && !self.roll.lists_ours {
            return BTreeMap::new();
        }
        let ours = format!("{}{HOLDS}", self.config.peer);
        let held =
            Some(self.hears()).filter(|held| !held.is_everything()).unwrap_or_else(Subscription::nothing);
        let key = |prefix: &String| format!("{ours}{prefix}");
        let held: BTreeSet<String> = held.prefixes().iter().map(key).collect();
        let listed = self.members().into_iter().flat_map(|members| members.prefix(&ours));
        let listed: BTreeSet<String> =
            listed.filter(|(_, code)| **code == HELD).map(|(key, _)| key.clone()).collect();
        let more = held.difference(&listed).map(|key| (key.clone(), true));
        more.chain(listed.difference(&held).map(|key| (key.clone(), false))).collect()
    }

    /// The documents a peer asked for that wait until it is durable here that it holds them, as in [`is_to_be_named`](Self::is_to_be_named).
    pub(super) fn to_be_listed(&self, peer: PeerId) -> BTreeSet<DocId> {
        let Some(durable) = self.durable.get(DocId::MEMBERS) else { return BTreeSet::new() };
        let ready = self.peers.get(&peer).and_then(Peer::ready);
        let Some(ready) = ready.filter(|_| self.has_parts() && !self.roll.has_left) else {
            return BTreeSet::new();
        };
        let slot = self.documents.get(&DocId::MEMBERS);
        let is_durable = slot.is_none_or(|slot| durable.dominates(&slot.body.version()));
        ready
            .serving
            .asked()
            .filter(|doc| !is_own(*doc) && (!is_durable || !self.is_held_by(peer, *doc)))
            .collect()
    }

    /// Who belongs to the space, as far as anybody has asked.
    fn members(&self) -> Option<&Replica<Members>> {
        self.document::<Members>(DocId::MEMBERS)
    }

    /// How a peer belongs to the space; `None` as long as nobody has asked.
    #[must_use]
    pub fn membership(&self, peer: PeerId) -> Option<Membership> {
        self.roll.listed.get(&peer).copied()
    }

    /// Answers, and adds whom we have met and who is missing, if anybody has asked or we want to.
    pub(super) fn tend_members(&mut self) {
        let is_asked = self.durable.get(DocId::MEMBERS).is_some() || self.roll.is_wanted;
        if !is_asked || self.roll.has_left || self.lines.is_apart() || !self.is_confirmed() {
            return;
        }
        let mut states = BTreeMap::new();
        let known = &self.roll.listed;
        if known.get(&self.config.peer) != Some(&Membership::Member) {
            states.insert(self.config.peer, Membership::Member);
        }
        let met = self.book.iter().filter(|(peer, met)| met.proved && !known.contains_key(peer));
        states.extend(
            met.filter(|(peer, _)| *peer != self.config.peer).map(|(peer, _)| (peer, Membership::Known)),
        );
        if !states.is_empty() || !self.unlisted().is_empty() {
            self.note_members(&states);
        }
    }

    /// Writes how these belong to the space; begins the list if there is none. `None` if it cannot be written now.
    fn note_members(&mut self, states: &BTreeMap<PeerId, Membership>) -> Option<BatchId> {
        self.update_members(states, None)
    }

    fn update_members(
        &mut self,
        states: &BTreeMap<PeerId, Membership>,
        retention: Option<u64>,
    ) -> Option<BatchId> {
        let now = self.now.wall_millis;
        let unlisted = self.unlisted();
        self.open_slot::<Members>(DocId::MEMBERS).ok()?;
        let slot = self.documents.get_mut(&DocId::MEMBERS).filter(|slot| slot.is_writable())?;
        slot.body.set_time(now);
        let members: &mut Replica<Members> = slot.body.as_any_mut().downcast_mut()?;
        let ((), delta) = members.update(|members| {
            for (peer, state) in states {
                members.set(peer.to_string(), *state as u64);
            }
            for (key, is_held) in unlisted {
                if is_held {
                    members.set(key, HELD);
                } else {
                    members.remove(&*key);
                }
            }
            if let Some(retention) = retention {
                members.set(RETENTION.to_owned(), retention);
            }
        });
        self.roll.naming = self.commit(DocId::MEMBERS, &delta);
        self.roll.naming
    }

    /// For how many milliseconds a silent member is waited for before removals are forgotten: as the space has it, or as
    /// [`Forgetting::silence`] says where nobody has said so. `None`: for ever.
    #[must_use]
    pub fn retention(&self) -> Option<u64> {
        match self.roll.retention {
            Some(FOR_EVER) => None,
            Some(silence) => Some(silence),
            None => self.config.forgetting.silence,
        }
    }

    /// Says for all members of the space [how long](Self::retention) a silent one is waited for, in milliseconds; `None`: for ever. Of two who
    /// say so at once the later decides. Says whether it is said: not by who has left, nor as long as the list of members cannot be written.
    pub fn set_retention(&mut self, now: Now, silence: Option<u64>) -> bool {
        self.now = now;
        if self.roll.has_left {
            return false;
        }
        let silence = silence.map_or(FOR_EVER, |silence| silence.max(1));
        let us = BTreeMap::from([(self.config.peer, Membership::Member)]);
        let is_said = self.update_members(&us, Some(silence)).is_some();
        self.handle(now, Input::Tick);
        is_said
    }

    /// Whether a peer must wait for content until it is durable here that it belongs to the space: whoever hears from us that we hold a
    /// removal must hear as well of all who may write without having seen it.
    pub(super) fn is_to_be_named(&mut self, peer: PeerId) -> bool {
        if self.durable.get(DocId::MEMBERS).is_none() || self.roll.has_left {
            return false;
        }
        if self.membership(peer).is_none() {
            self.tend_members();
        }
        self.membership(peer).is_none()
            || self.roll.naming.is_some_and(|batch| self.batches.is_in_flight(batch))
    }

    /// Notes what a peer holds that we hold as well. To be called when all that is believed of it is what it just said.
    pub(super) fn acknowledge(&mut self, peer: PeerId) {
        let is_asked = self.durable.get(DocId::MEMBERS).is_some();
        let Some(ready) = self.peers.get(&peer).and_then(Peer::ready).filter(|_| is_asked) else { return };
        let is_hasty = self.config.mistake == Some(Mistake::AcknowledgedIsStable);
        let level = self.told(peer).is_some_and(|told| told.digest() == ready.have.digest());
        let acknowledged = self.roll.acknowledged.entry(peer).or_default();
        (acknowledged.silent, acknowledged.heard) = (0, Some(self.now.millis));
        if !ready.has_told_all(self.us.replica) || self.lines.is_apart() {
            return;
        }
        // Whom it has met since it told what it held we must know.
        let none = Version::new();
        let members = |versions: &Versions| versions.get(DocId::MEMBERS).unwrap_or(&none).clone();
        if !members(&self.durable).dominates(&members(&ready.have)) {
            return;
        }
        // Where all is quiet a beat costs the same however many documents there are.
        let have = ready.have.digest();
        let is_known = level && acknowledged.versions.digest() == have && acknowledged.fresh.digest() == have;
        if !is_known {
            acknowledged.versions = common(std::mem::take(&mut acknowledged.fresh), &ready.have);
            acknowledged.fresh = if level {
                ready.have.clone()
            } else {
                let mut level = acknowledged.versions.clone();
                for (doc, version) in self.durable.iter() {
                    if let Some(theirs) =
                        ready.have.get(doc).filter(|theirs| is_hasty || version.dominates(theirs))
                    {
                        level.raise(doc, theirs);
                    }
                }
                level
            };
        }
        if self.now.millis >= acknowledged.save_at {
            self.save_acknowledged(peer, 0);
        }
    }

    /// A peer has told all it holds: it holds less than it did if its store was set back.
    pub(super) fn lower_acknowledged(&mut self, peer: PeerId) {
        let have = self.peers.get(&peer).and_then(Peer::ready).map(|ready| ready.have.clone());
        if let Some((have, acknowledged)) = have.zip(self.roll.acknowledged.get_mut(&peer)) {
            acknowledged.versions = common(std::mem::take(&mut acknowledged.versions), &have);
            acknowledged.fresh = common(std::mem::take(&mut acknowledged.fresh), &have);
        }
    }

    /// Writes down what a member has acknowledged, if it matters, and if that is due within so many milliseconds.
    pub(super) fn save_acknowledged(&mut self, peer: PeerId, within: u64) {
        if self.durable.get(DocId::MEMBERS).is_none() {
            return;
        }
        let now = self.now.millis;
        let Some(acknowledged) = self.roll.acknowledged.get_mut(&peer) else { return };
        if acknowledged.save_at > now + within {
            return;
        }
        acknowledged.save_at = now + SAVE_PAUSE;
        let entries: Vec<(DocId, &Version)> = acknowledged.versions.iter().collect();
        let value = rmp_serde::to_vec(&(acknowledged.silent, entries));
        let value = value.expect("versions consist of what MessagePack can say");
        self.submit_others(vec![Write::Put { key: format!("{ACKNOWLEDGED}{peer}"), value }]);
    }

    /// A session is over.
    pub(super) fn save_at_the_end(&mut self, peer: PeerId) {
        self.save_acknowledged(peer, SAVE_PAUSE - LEAST_SAVE_PAUSE);
    }

    /// What of a document is durable at all members who are not released, as far as we know: whoever writes anything from here on
    /// has seen it. Nothing as long as there is a peer that has not answered, or nobody has asked.
    pub(super) fn stable(&self, doc: DocId) -> Version {
        let durable = self.durable.get(doc).cloned().unwrap_or_default();
        if self.config.mistake == Some(Mistake::ForgetsTooSoon) {
            return durable;
        }
        self.awaited().map_or_else(Version::new, |heard| self.level(&heard, doc, durable))
    }

    /// What of a document all these have that hold it, and we durably.
    fn level(&self, heard: &[(PeerId, &Versions)], doc: DocId, durable: Version) -> Version {
        heard
            .iter()
            .filter(|(member, _)| self.is_held_by(*member, doc))
            .fold(durable, |level, (_, versions)| {
                versions.get(doc).map_or_else(Version::new, |version| level.meet(version))
            })
    }

    /// What all members who are not released have acknowledged; `None` as long as one has not answered, or has acknowledged nothing.
    fn awaited(&self) -> Option<Vec<(PeerId, &Versions)>> {
        let roll = &self.roll.listed;
        let missing = self.book.iter().filter(|(peer, met)| met.proved && !roll.contains_key(peer));
        let is_whole = missing.count() == 0;
        let others =
            roll.iter().filter(|(peer, state)| **peer != self.config.peer && **state != Membership::Released);
        let acknowledged = others.map(|(peer, state)| {
            let acknowledged = self.roll.acknowledged.get(peer).filter(|_| *state == Membership::Member);
            acknowledged.map(|acknowledged| (*peer, &acknowledged.versions))
        });
        acknowledged.collect::<Option<_>>().filter(|_| is_whole)
    }

    /// Forgets the recent deltas that all members have.
    pub(super) fn forget_history(&mut self) {
        let Some(heard) = self.awaited() else { return };
        let stable = |(doc, slot): (&DocId, &Slot)| {
            let is_due = |durable: &&Version| !slot.is_absent() && slot.bare_at.as_ref() != Some(durable);
            let durable = self.durable.get(*doc).filter(is_due)?;
            Some((*doc, self.level(&heard, *doc, durable.clone())))
        };
        let stable: Vec<(DocId, Version)> = self.documents.iter().filter_map(stable).collect();
        for (doc, stable) in stable.into_iter().filter(|(_, stable)| !stable.is_empty()) {
            if let Some(slot) = self.documents.get_mut(&doc) {
                slot.body.forget_history(&stable);
                slot.bare_at = Some(stable);
            }
        }
    }

    /// Counts for how long members have been silent, if most can be heard, and releases those that were for too long.
    pub(super) fn release_silent(&mut self) {
        let now = self.now.millis;
        // Not the time in which we did not run, or slept.
        let passed = (now - self.roll.counted.min(now)).min(2 * self.config.forgetting.pause);
        self.roll.counted = now;
        let Some(silence) = self.retention() else { return };
        let us = self.config.peer;
        let roll = &self.roll.listed;
        let is_heard =
            |peer: &PeerId| *peer == us || self.peers.get(peer).is_some_and(|peer| peer.ready().is_some());
        let all: Vec<PeerId> =
            roll.iter().filter(|(_, state)| **state != Membership::Released).map(|(peer, _)| *peer).collect();
        let heard = all.iter().filter(|peer| is_heard(peer)).count();
        let silent: Vec<PeerId> = all.iter().filter(|peer| !is_heard(peer)).copied().collect();
        // Of who is not waited for nothing is kept; and when it is back it begins anew.
        let released: Vec<PeerId> = self
            .roll
            .acknowledged
            .keys()
            .filter(|peer| roll.get(peer) == Some(&Membership::Released))
            .copied()
            .collect();
        for peer in released {
            self.roll.acknowledged.remove(&peer);
            self.submit_others(vec![Write::Delete { key: format!("{ACKNOWLEDGED}{peer}") }]);
        }
        if 2 * heard <= all.len() {
            return;
        }
        let mut gone = BTreeMap::new();
        for peer in silent {
            let acknowledged = self.roll.acknowledged.entry(peer).or_default();
            acknowledged.silent += passed;
            if acknowledged.silent > silence {
                // It may answer by others, and is then counted anew.
                acknowledged.silent = 0;
                gone.insert(peer, Membership::Released);
            } else if acknowledged.save_at <= now {
                self.save_acknowledged(peer, 0);
            }
        }
        if !gone.is_empty() && self.note_members(&gone).is_some() {
            gone.into_keys().for_each(|peer| self.event(Event::Released { peer }));
        }
    }

    /// Does not wait for a member any more before removals are forgotten: its device is lost, or will not be back for long. Says
    /// whether it was waited for, and is not any more. If it is back, it is a member again; what it wrote meanwhile comes in as written
    /// at the same time as what was forgotten, so that it wins over such removals.
    pub fn release(&mut self, now: Now, peer: PeerId) -> bool {
        self.now = now;
        let has_met = self.book.get(peer).is_some_and(|known| known.proved);
        let is_waited_for = match self.membership(peer) {
            Some(state) => state != Membership::Released,
            None => has_met,
        };
        let states = BTreeMap::from([(self.config.peer, Membership::Member), (peer, Membership::Released)]);
        let is_released = is_waited_for && peer != self.config.peer && self.note_members(&states).is_some();
        if is_released {
            self.event(Event::Released { peer });
        }
        self.handle(now, Input::Tick);
        is_released
    }

    /// Leaves the space: nobody waits for us any more before removals are forgotten. Yields the batch that makes it durable, to be
    /// told to others before the node ends. It is not to be connected after that.
    pub fn leave(&mut self, now: Now) -> BatchId {
        self.now = now;
        self.roll.has_left = true;
        let left = self.submit_others(vec![Write::Put { key: LEFT_RECORD.to_owned(), value: vec![1] }]);
        let us = BTreeMap::from([(self.config.peer, Membership::Released)]);
        let batch = self.note_members(&us);
        self.handle(now, Input::Tick);
        batch.unwrap_or(left)
    }

    /// Whether we have [left](Self::leave) the space.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.roll.has_left
    }
}

/// What both have, of documents that the first has.
fn common(one: Versions, other: &Versions) -> Versions {
    if one.digest() == other.digest() {
        return one;
    }
    let mut common = Versions::default();
    for (doc, version) in one.iter() {
        if let Some(others) = other.get(doc) {
            common.set(doc, version.meet(others));
        }
    }
    common
}
