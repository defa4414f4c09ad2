//! A node may hold a part of a space: the documents whose names begin with what it subscribes to. The directory and the list of members
//! everybody holds, so everybody knows which documents there are.
//!
//! What a peer is told (versions, digests, sketches) is what we hold of what it *hears* of: what it wants, and what it holds beyond that.
//! It believes what it is told and compares digests with that, so nobody need be of one mind with it about names.
//!
//! What is held beyond what is wanted: `kept`.

use std::collections::BTreeSet;

use tombolo_crdt::{ReplicaId, Version};

use super::effect::Event;
use super::frame::{Frame, PARTIAL, Refusal, SUBSCRIBES};
use super::peer::{Peer, Ready};
use super::subscription::Subscription;
use super::versions::Versions;
use super::{Engine, Mistake, StartError, directory};
use crate::store::{Store, Write};
use crate::{DocId, PeerId};

/// What we subscribe to stands under this name in the store, unless it is everything.
const SUBSCRIPTION: &str = "subscription";
/// As who, and subscribed to what, we dropped something we had written, stands under this name in the store.
pub(super) const DROPPED: &str = "dropped";
/// Of so many documents that were created elsewhere the names are read in a millisecond, on an average.
const NAMES_PACE: usize = 20;
/// A peer may want something else so often, in milliseconds. What it says sooner it says again.
const PATIENCE: u64 = 200;

/// What a peer wants, as it said itself.
#[derive(Debug)]
pub(crate) struct Wants {
    pub(super) number: u64,
    at: u64,
    /// What it holds and keeps.
    wants: Subscription,
    /// The same, and what it holds beyond that.
    pub(super) hears: Subscription,
}

/// What we hold of a space.
#[derive(Debug)]
pub(crate) struct Part {
    /// What we hold beyond what we subscribe to.
    pub(super) kept: BTreeSet<DocId>,
    /// As a subscription: exactly these, or everything if they are too many.
    pub(super) keeps: Subscription,
    /// How often what peers are to know of it changed; 0: they need not be told, for we want everything.
    pub(super) number: u64,
    pub(super) look_at: u64,
    /// Whether names are needed: somebody holds a part only.
    matters: bool,
    /// The directory says more than was read, and when that may be.
    is_unread: bool,
    read_at: u64,
    pub(super) dropped: Option<(ReplicaId, Subscription)>,
    /// What we subscribed to before we were started.
    last: Subscription,
    /// We want again what we may have written and dropped.
    pub(super) begins_anew: bool,
}

/// What a store was subscribed to last.
pub(crate) fn last_subscription(store: &dyn Store) -> Result<Subscription, StartError> {
    let Some(bytes) = store.record(SUBSCRIPTION)? else { return Ok(Subscription::everything()) };
    let prefixes = rmp_serde::from_slice::<Vec<String>>(&bytes).ok();
    let last = prefixes.and_then(|prefixes| Subscription::new(prefixes).ok());
    last.ok_or_else(|| StartError::Record(SUBSCRIPTION.to_owned()))
}

impl Part {
    pub(crate) fn load(store: &dyn Store) -> Result<Self, StartError> {
        let damaged = || StartError::Record(DROPPED.to_owned());
        let dropped = store.record(DROPPED)?.map(|bytes| {
            let (replica, prefixes): (ReplicaId, Vec<String>) = rmp_serde::from_slice(&bytes).ok()?;
            Some((replica, Subscription::new(prefixes).ok()?))
        });
        Ok(Self {
            kept: BTreeSet::new(),
            keeps: Subscription::nothing(),
            number: 0,
            look_at: 0,
            matters: false,
            is_unread: true,
            read_at: 0,
            dropped: dropped.map(|dropped| dropped.ok_or_else(damaged)).transpose()?,
            last: last_subscription(store)?,
            begins_anew: false,
        })
    }

    /// The directory says something else than it did.
    pub(super) fn names_changed(&mut self) {
        self.is_unread = true;
    }

    /// A document is gone for good.
    pub(super) fn forget(&mut self, doc: DocId) {
        self.kept.remove(&doc);
    }

    /// When there is something to be done.
    pub(super) fn deadline(&self) -> Option<u64> {
        Some(self.read_at).filter(|_| self.matters && self.is_unread)
    }
}

impl Engine {
    /// Finds out what the store holds beyond what we subscribe to.
    pub(super) fn begin_part(&mut self) {
        if self.part.last != self.config.subscription {
            let prefixes = rmp_serde::to_vec(self.config.subscription.prefixes());
            let value = prefixes.expect("texts are what MessagePack can say");
            let key = SUBSCRIPTION.to_owned();
            let is_everything = self.config.subscription.is_everything();
            self.submit_others(vec![if is_everything {
                Write::Delete { key }
            } else {
                Write::Put { key, value }
            }]);
        }
        if self.config.subscription.is_everything() {
            self.part.begins_anew = self.part.dropped.is_some();
            return;
        }
        self.names_matter();
        self.part.number = 1;
        let wants = &self.config.subscription;
        self.part.begins_anew = self.part.dropped.as_ref().is_some_and(|(_, under)| !under.covers(wants));
        let kept = self.documents.keys().copied().filter(|doc| !self.wants(*doc));
        self.part.kept = kept.collect();
        self.part.keeps = self.what_is_kept();
    }

    /// Whether we hold a document for good.
    pub(super) fn wants(&self, doc: DocId) -> bool {
        self.durable.belongs(doc, &self.config.subscription)
    }

    /// What we subscribe to.
    #[must_use]
    pub fn subscription(&self) -> &Subscription {
        &self.config.subscription
    }

    /// The documents that are held here though they do not belong to what we subscribe to: nobody who wants them is known to hold all
    /// of them durably. They cannot be opened.
    #[must_use]
    pub fn kept_documents(&self) -> Vec<DocId> {
        self.part.kept.iter().copied().collect()
    }

    /// All that we hold, as a subscription: what we hear of, and what members wait for us with.
    pub(super) fn hears(&self) -> Subscription {
        self.config.subscription.or(&self.part.keeps)
    }

    /// What a peer is told of what we hold; `None` as long as it is going to say what it wants, and has not.
    pub(super) fn told(&self, peer: PeerId) -> Option<&Versions> {
        let known = self.peers.get(&peer)?;
        match &known.ready()?.wants {
            Some(wants) => self.durable.of(&wants.hears),
            None => (!self.is_partial(known)).then_some(&*self.durable),
        }
    }

    /// Whether a peer has announced that it wants a part only.
    fn is_partial(&self, known: &Peer) -> bool {
        known.theirs.as_ref().is_some_and(|hello| hello.features & PARTIAL != 0) && self.subscribes()
    }

    fn subscribes(&self) -> bool {
        self.config.mistake != Some(Mistake::KnowsNoParts)
    }

    /// What we can do beyond the protocol, as far as it is about this.
    pub(super) fn part_features(&self) -> u64 {
        let partial = if self.config.subscription.is_everything() { 0 } else { PARTIAL };
        if self.subscribes() { SUBSCRIBES | partial } else { 0 }
    }

    /// Whether a peer is told of a document.
    pub(super) fn is_told(&self, peer: PeerId, doc: DocId) -> bool {
        self.is_meant(peer, doc, |wants| &wants.hears)
    }

    /// Whether a peer wants a document: who does not say is taken to want everything.
    pub(super) fn is_wanted_by(&self, peer: PeerId, doc: DocId) -> bool {
        self.is_meant(peer, doc, |wants| &wants.wants)
    }

    fn is_meant(&self, peer: PeerId, doc: DocId, of: impl Fn(&Wants) -> &Subscription) -> bool {
        let Some(known) = self.peers.get(&peer) else { return false };
        match known.ready().and_then(|ready| ready.wants.as_ref()) {
            Some(wants) => self.durable.belongs(doc, of(wants)),
            None => !self.is_partial(known),
        }
    }

    /// Tells a peer what we want, if it has not said that it knows.
    pub(super) fn tell_wants(&mut self, peer: PeerId) {
        let number = self.part.number;
        let Some(known) = self.peers.get(&peer) else { return };
        let understands = known.theirs.as_ref().is_some_and(|hello| hello.features & SUBSCRIBES != 0);
        let knows = known.ready().is_none_or(|ready| ready.knows_wants >= number);
        if knows || !understands || !self.subscribes() {
            return;
        }
        let prefixes = self.config.subscription.prefixes().to_vec();
        let keeps = self.part.keeps.prefixes().to_vec();
        self.send(peer, &Frame::Wants { number, prefixes, keeps });
    }

    /// A peer has heard what we want.
    pub(super) fn wanted(&mut self, peer: PeerId, number: u64) {
        let number = number.min(self.part.number);
        if let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) {
            ready.knows_wants = ready.knows_wants.max(number);
        }
    }

    /// A peer says what it wants.
    pub(super) fn heard_wants(
        &mut self,
        peer: PeerId,
        number: u64,
        prefixes: Vec<String>,
        keeps: Vec<String>,
    ) {
        let (Ok(wants), Ok(keeps)) = (Subscription::new(prefixes), Subscription::new(keeps)) else {
            return self.refuse(peer, Refusal::Malformed);
        };
        let now = self.now.millis;
        let Some(ready) = self.peers.get_mut(&peer).and_then(Peer::ready_mut) else { return };
        let is_first = ready.wants.is_none();
        let is_news = ready.wants.as_ref().is_none_or(|known| known.number < number);
        if is_news {
            if ready.wants.as_ref().is_some_and(|known| now < known.at + PATIENCE) {
                return;
            }
            let hears = wants.or(&keeps);
            ready.wants = Some(Wants { number, at: now, wants, hears });
            self.names_matter();
            self.keep_views();
        }
        self.send(peer, &Frame::Wanted { number });
        if is_first {
            self.tell_all(peer);
        }
        self.holds(peer, None);
        self.event(Event::Progress);
    }

    /// What belongs to the subscriptions of those who are there is kept up.
    pub(super) fn keep_views(&mut self) {
        let wants = self.peers.values().filter_map(|known| known.ready()?.wants.as_ref());
        let subscriptions: Vec<Subscription> = wants.map(|wants| wants.hears.clone()).collect();
        self.durable.keep(subscriptions);
    }

    /// From now on names are known, as far as the directory tells them.
    pub(super) fn names_matter(&mut self) {
        if !std::mem::replace(&mut self.part.matters, true) {
            self.read_names();
        }
    }

    /// Whether somebody holds a part only, as far as we know.
    pub(super) fn has_parts(&self) -> bool {
        self.part.matters
    }

    /// A document was created here.
    pub(super) fn created(&mut self, doc: DocId, name: &str) {
        if self.part.matters {
            self.durable.named(doc, name);
        }
    }

    /// Reads from the directory what documents are called. Costs a hash of each.
    fn read_names(&mut self) {
        self.part.is_unread = false;
        let (mut count, mut news) = (0, Vec::new());
        for (doc, name) in directory::names(self.directory()) {
            count += 1;
            if self.durable.name(doc).is_none() && !self.deleted.contains(&doc) {
                news.push((doc, name.to_owned()));
            }
        }
        self.part.read_at = self.now.millis + (count / NAMES_PACE) as u64;
        for (doc, name) in &news {
            self.durable.named(*doc, name);
        }
        for (doc, _) in news {
            if !self.config.subscription.is_everything() && self.wants(doc) {
                self.part.kept.remove(&doc);
                self.chase(doc);
            }
            // Whoever wants a part has not been told of it.
            if self.durable.has_views() {
                self.announce_soon(doc);
            }
        }
        self.keep_less();
    }

    /// What is due by now.
    pub(super) fn tend_part(&mut self) {
        let now = self.now.millis;
        if self.part.deadline().is_some_and(|at| at <= now) {
            self.read_names();
        }
        self.drop_kept();
    }

    /// Whether a peer holds durably what we hold durably of what it wants, and we what it holds of what we want.
    pub(super) fn is_level_with(&self, peer: PeerId, ready: &Ready) -> bool {
        let Some(told) = self.told(peer) else { return false };
        if told.digest() == ready.have.digest() {
            return true;
        }
        // Where one of the two holds something that the other, or itself, does not want.
        self.part.matters
            && told.iter().all(|(doc, ours)| {
                let holds_it = || ready.have.get(doc).is_some_and(|theirs| theirs.dominates(ours));
                !self.is_wanted_by(peer, doc) || holds_it()
            })
            && ready
                .have
                .iter()
                .all(|(doc, theirs)| !self.wants(doc) || self.durable.get(doc) == Some(theirs))
    }

    /// How many of our durable events a peer lacks, of what it wants.
    pub(super) fn lag_of(&self, peer: PeerId, ready: &Ready) -> u64 {
        // Before it has said what it wants it lacks everything.
        let is_known = self.part.matters && self.told(peer).is_some();
        self.durable.ahead_of(&ready.have, |doc| !is_known || self.is_wanted_by(peer, doc))
    }

    /// How many of a peer's events we lack, of what we want.
    pub(super) fn behind_of(&self, ready: &Ready) -> u64 {
        ready.have.ahead_of(&self.durable, |doc| self.wants(doc))
    }

    /// Whether a peer holds of ours what we have not, and would have if we had not lost it: what we do not want we may have dropped.
    pub(super) fn has_more_of_ours(&self, ready: &Ready, written: impl Fn(DocId) -> u64) -> bool {
        let us = self.us.replica;
        let more = |(doc, version): (DocId, &Version)| version.get(us) > written(doc) && self.wants(doc);
        ready.have.iter().any(more)
    }
}

impl Ready {
    /// Which documents a peer wants, if it has said so.
    pub(super) fn subscription(&self) -> Option<&Subscription> {
        self.wants.as_ref().map(|wants| &wants.wants)
    }
}
