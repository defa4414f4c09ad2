//! The peer book: who may be reached where, and when to try again.
//!
//! mDNS, tickets, the command line and other peers only feed it. A peer in the book is dialled for ever, with jittered and
//! capped pauses, as long as there is no session with it and it is not blocked.

use std::collections::BTreeMap;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::frame::Contact;
use crate::PeerId;
use crate::store::Write;

/// The pause after a first failed dial.
const FIRST_PAUSE: u64 = 100;
/// The longest pause while a peer has been out of reach for a short time only.
const SHORT_PAUSE: u64 = 2_000;
/// How long is short: five minutes.
const SHORT_ABSENCE: u64 = 5 * 60 * 1_000;
/// The longest pause.
const LONG_PAUSE: u64 = 60_000;
/// The pause after a peer turned out not to belong to the space.
const STRANGER_PAUSE: u64 = 60_000;
/// How many addresses are kept of one peer.
const MAX_ADDRESSES: usize = 16;
/// The longest address that is kept, in bytes.
const MAX_ADDRESS: usize = 256;
/// How many peers are kept.
const MAX_PEERS: usize = 10_000;
/// Where records of peers stand in the store.
pub(crate) const RECORDS: &str = "peer/";

/// When to dial next.
#[derive(Debug, Clone, Default)]
struct Redial {
    next: u64,
    pause: u64,
    absent_since: Option<u64>,
}

impl Redial {
    fn failed(&mut self, now: u64, rng: &mut impl Rng) {
        let since = *self.absent_since.get_or_insert(now);
        let longest = if now.saturating_sub(since) < SHORT_ABSENCE { SHORT_PAUSE } else { LONG_PAUSE };
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, longest);
        self.next = now + jittered(self.pause, rng);
    }
}

fn jittered(pause: u64, rng: &mut impl Rng) -> u64 {
    pause * rng.random_range(75..=125) / 100
}

/// What is known of one peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) name: String,
    /// Most recently useful first.
    pub(crate) addresses: Vec<String>,
    /// Whether it has proved to us that it belongs to the space.
    pub(crate) proved: bool,
    pub(crate) blocked: bool,
    redial: Redial,
}

/// The form in which it stands in the store.
#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    addresses: Vec<String>,
    blocked: bool,
}

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Book {
    peers: BTreeMap<PeerId, Known>,
    /// Addresses of whom we do not know the peer yet.
    anonymous: BTreeMap<String, Redial>,
}

/// The peer an address names at its end, and the address.
fn named(address: &str) -> (Option<PeerId>, &str) {
    match address.rsplit_once("/p2p/") {
        Some((_, peer)) => (peer.parse().ok(), address),
        None => (None, address),
    }
}

impl Book {
    /// Reads a record of the store; a damaged one is left out, for it can be learned anew.
    pub(crate) fn load(&mut self, key: &str, value: &[u8]) {
        let Some(peer) = key.strip_prefix(RECORDS).and_then(|peer| peer.parse().ok()) else { return };
        if let Ok(record) = rmp_serde::from_slice::<Record>(value) {
            let Record { name, addresses, blocked } = record;
            self.peers
                .insert(peer, Known { name, addresses, blocked, proved: true, redial: Redial::default() });
        }
    }

    /// What the store should hold of a peer.
    pub(crate) fn record(&self, peer: PeerId) -> Option<Write> {
        let known = self.peers.get(&peer)?;
        let record =
            Record { name: known.name.clone(), addresses: known.addresses.clone(), blocked: known.blocked };
        let value = rmp_serde::to_vec(&record).expect("a record consists of what MessagePack can say");
        Some(Write::Put { key: format!("{RECORDS}{peer}"), value })
    }

    pub(crate) fn get(&self, peer: PeerId) -> Option<&Known> {
        self.peers.get(&peer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerId, &Known)> {
        self.peers.iter().map(|(peer, known)| (*peer, known))
    }

    fn entry(&mut self, peer: PeerId) -> Option<&mut Known> {
        if !self.peers.contains_key(&peer) && self.peers.len() >= MAX_PEERS {
            return None;
        }
        Some(self.peers.entry(peer).or_default())
    }

    /// Notes where somebody can be reached. Says whether that is news about a peer that has proved itself.
    pub(crate) fn learn(&mut self, peer: Option<PeerId>, addresses: &[String]) -> bool {
        let mut news = false;
        for address in addresses.iter().filter(|address| address.len() <= MAX_ADDRESS).take(MAX_ADDRESSES) {
            let (named, address) = named(address);
            match peer.or(named) {
                Some(peer) => {
                    let Some(known) = self.entry(peer) else { continue };
                    if !known.addresses.iter().any(|there| there == address) {
                        known.addresses.insert(0, address.to_owned());
                        known.addresses.truncate(MAX_ADDRESSES);
                        known.redial.next = 0;
                        news |= known.proved;
                    }
                }
                None if self.anonymous.len() < MAX_ADDRESSES * 4 => {
                    self.anonymous.entry(address.to_owned()).or_default();
                }
                None => {}
            }
        }
        news
    }

    /// Notes that a peer proved itself. Says whether anything about it is new.
    pub(crate) fn proved(&mut self, peer: PeerId, name: &str) -> bool {
        let Some(known) = self.entry(peer) else { return false };
        let news = !known.proved || known.name != name;
        known.proved = true;
        name.clone_into(&mut known.name);
        known.redial = Redial::default();
        news
    }

    /// Notes that somebody does not belong to the space.
    pub(crate) fn stranger(&mut self, peer: PeerId, now: u64) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.redial.next = now + STRANGER_PAUSE;
        }
    }

    /// Notes that a session ended; `eager` says whether it is our part to dial first.
    pub(crate) fn gone(&mut self, peer: PeerId, now: u64, eager: bool, rng: &mut impl Rng) {
        if let Some(known) = self.peers.get_mut(&peer) {
            let pause = if eager { FIRST_PAUSE } else { FIRST_PAUSE * 4 };
            let next = now + jittered(pause, rng);
            known.redial = Redial { next: known.redial.next.max(next), pause: 0, absent_since: Some(now) };
        }
    }

    /// Dial everybody at once: the network changed.
    pub(crate) fn hurry(&mut self) {
        self.peers.values_mut().for_each(|known| known.redial = Redial::default());
        self.anonymous.values_mut().for_each(|redial| *redial = Redial::default());
    }

    /// Blocks or unblocks a peer; says whether that changed anything.
    pub(crate) fn block(&mut self, peer: PeerId, blocked: bool) -> bool {
        let Some(known) = self.entry(peer) else { return false };
        let news = known.blocked != blocked;
        known.blocked = blocked;
        known.redial = Redial::default();
        news
    }

    pub(crate) fn blocked(&self) -> Vec<PeerId> {
        self.iter().filter(|(_, known)| known.blocked).map(|(peer, _)| peer).collect()
    }

    pub(crate) fn is_blocked(&self, peer: PeerId) -> bool {
        self.get(peer).is_some_and(|known| known.blocked)
    }

    /// What may be told to others: those who proved themselves to us.
    pub(crate) fn contacts(&self) -> Vec<Contact> {
        let proved = self.iter().filter(|(_, known)| known.proved && !known.addresses.is_empty());
        proved.map(|(peer, known)| Contact { peer, addresses: known.addresses.clone() }).collect()
    }

    /// Whom to dial now, given who is connected and where.
    pub(crate) fn due(
        &mut self,
        now: u64,
        us: PeerId,
        is_connected: impl Fn(PeerId) -> bool,
        is_reached: impl Fn(&str) -> bool,
        rng: &mut impl Rng,
    ) -> Vec<(Option<PeerId>, Vec<String>)> {
        let mut due = Vec::new();
        for (&peer, known) in &mut self.peers {
            let wanted = peer != us && !known.blocked && !known.addresses.is_empty() && !is_connected(peer);
            if wanted && known.redial.next <= now {
                known.redial.failed(now, rng);
                due.push((Some(peer), known.addresses.clone()));
            }
        }
        for (address, redial) in &mut self.anonymous {
            if redial.next <= now && !is_reached(address) {
                redial.failed(now, rng);
                due.push((None, vec![address.clone()]));
            }
        }
        due
    }

    /// When somebody is due next.
    pub(crate) fn next_due(&self, us: PeerId, is_connected: impl Fn(PeerId) -> bool) -> Option<u64> {
        let peers = self.peers.iter().filter(|(peer, known)| {
            **peer != us && !known.blocked && !known.addresses.is_empty() && !is_connected(**peer)
        });
        peers
            .map(|(_, known)| known.redial.next)
            .chain(self.anonymous.values().map(|redial| redial.next))
            .min()
    }
}
