//! The peer book: who may be reached where, and when to try again.
//!
//! mDNS, tickets, the command line and other peers only feed it. A peer in the book is dialled for ever, with jittered and
//! capped pauses, as long as there is no session with it and it is not blocked.
//!
//! What a peer says of itself, and where we reached it, is *first-hand*; what others say of it is *hearsay*. Hearsay
//! never pushes out what is first-hand, and what replaces other hearsay is not news, so that no peer can hide another
//! and two peers cannot tell each other the same for ever.

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
/// How many addresses are kept of one peer, first-hand and hearsay each.
const MAX_ADDRESSES: usize = 8;
/// The longest address that is kept, in bytes.
const MAX_ADDRESS: usize = 256;
/// How many addresses are kept of whom we do not know the peer.
const MAX_ANONYMOUS: usize = 64;
/// How many peers are kept.
const MAX_PEERS: usize = 10_000;
/// How many peers are kept that are known from hearsay alone.
const MAX_RUMOURS: usize = 256;
/// After so long out of reach a peer known from hearsay alone is forgotten, in milliseconds: ten minutes.
const RUMOUR_LIFE: u64 = 10 * 60 * 1_000;
/// Where records of peers stand in the store.
pub(crate) const RECORDS: &str = "peer/";

/// How we know where somebody can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// From itself, from our user or the local network, or because we reached it there.
    FirstHand,
    /// From another peer.
    Hearsay,
}

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

/// The pause after a session was refused, by either side. It grows until one comes to something: who is of another space may be
/// dialled seldom, but a greeting that was damaged on its way looks the same, and is put right by the next.
#[derive(Debug, Clone, Default)]
struct Refusals {
    pause: u64,
}

impl Refusals {
    fn one_more(&mut self) -> u64 {
        self.pause = (self.pause * 2).clamp(SHORT_PAUSE, LONG_PAUSE);
        self.pause
    }
}

/// A pause of at most this: not all dial at the same time, and none waits for longer.
fn jittered(pause: u64, rng: &mut impl Rng) -> u64 {
    rng.random_range(pause * 3 / 5..=pause)
}

/// What is known of one peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) name: String,
    /// Most recently useful first.
    first_hand: Vec<String>,
    /// Oldest first.
    hearsay: Vec<String>,
    /// Whether it has proved to us that it belongs to the space.
    pub(crate) proved: bool,
    pub(crate) blocked: bool,
    /// Why the last session with it was refused, by either side, if it was.
    pub(crate) refused: Option<String>,
    /// Whether all we know of it is what others said.
    rumour: bool,
    redial: Redial,
    refusals: Refusals,
}

impl Known {
    /// Where it can be reached, best first.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &String> {
        self.first_hand.iter().chain(&self.hearsay)
    }

    fn is_reachable(&self) -> bool {
        !self.first_hand.is_empty() || !self.hearsay.is_empty()
    }

    /// Notes an address; says whether it is news that others should hear.
    fn add(&mut self, address: &str, source: Source) -> bool {
        let is_known = |list: &[String]| list.iter().any(|known| known == address);
        if is_known(&self.first_hand) {
            return false;
        }
        let heard = is_known(&self.hearsay);
        match source {
            Source::FirstHand => {
                self.hearsay.retain(|known| known != address);
                self.first_hand.insert(0, address.to_owned());
                self.first_hand.truncate(MAX_ADDRESSES);
                !heard
            }
            Source::Hearsay if heard => false,
            Source::Hearsay => {
                let room = self.hearsay.len() < MAX_ADDRESSES;
                if !room {
                    self.hearsay.remove(0);
                }
                self.hearsay.push(address.to_owned());
                // SUBTLE: what took another's place is not passed on, or lists that differ would go round for ever.
                room
            }
        }
    }
}

/// The form in which it stands in the store.
#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    addresses: Vec<String>,
    blocked: bool,
    proved: bool,
}

impl Record {
    fn write(&self, peer: PeerId) -> Write {
        let value = rmp_serde::to_vec(self).expect("a record consists of what MessagePack can say");
        Write::Put { key: key(peer), value }
    }
}

/// Where the record of a peer stands in the store.
pub(crate) fn key(peer: PeerId) -> String {
    format!("{RECORDS}{peer}")
}

/// The record of whoever invited us, so that a node started later knows whom to dial.
#[cfg(any(feature = "net", test))]
pub(crate) fn invitation(inviter: PeerId, addresses: &[String]) -> Write {
    let addresses = addresses.iter().take(MAX_ADDRESSES).cloned().collect();
    Record { name: String::new(), addresses, blocked: false, proved: false }.write(inviter)
}

/// An address of whom we do not know the peer.
#[derive(Debug, Clone, Default)]
struct Anonymous {
    redial: Redial,
    refusals: Refusals,
    /// Whom we found there last.
    peer: Option<PeerId>,
}

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Book {
    peers: BTreeMap<PeerId, Known>,
    anonymous: BTreeMap<String, Anonymous>,
    rumours: usize,
}

/// An address without the peer it names at its end, and that peer.
fn split(address: &str) -> (&str, Option<PeerId>) {
    match address.rsplit_once("/p2p/") {
        Some((place, peer)) => match peer.parse() {
            Ok(peer) => (place, Some(peer)),
            Err(_) => (address, None),
        },
        None => (address, None),
    }
}

impl Book {
    /// Reads a record of the store. Says whether it is one: a peer that was blocked must not be let in again because
    /// nobody can read that any more.
    pub(crate) fn load(&mut self, key: &str, value: &[u8]) -> bool {
        let peer = key.strip_prefix(RECORDS).and_then(|peer| peer.parse().ok());
        let (Some(peer), Ok(record)) = (peer, rmp_serde::from_slice(value)) else { return false };
        let Record { name, addresses, blocked, proved } = record;
        self.peers.insert(peer, Known { name, first_hand: addresses, blocked, proved, ..Known::default() });
        true
    }

    /// What the store should hold of a peer.
    pub(crate) fn record(&self, peer: PeerId) -> Option<Write> {
        let known = self.peers.get(&peer)?;
        let record = Record {
            name: known.name.clone(),
            addresses: known.addresses().take(MAX_ADDRESSES).cloned().collect(),
            blocked: known.blocked,
            proved: known.proved,
        };
        Some(record.write(peer))
    }

    pub(crate) fn get(&self, peer: PeerId) -> Option<&Known> {
        self.peers.get(&peer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerId, &Known)> {
        self.peers.iter().map(|(peer, known)| (*peer, known))
    }

    fn entry(&mut self, peer: PeerId, source: Source) -> Option<&mut Known> {
        let is_new = !self.peers.contains_key(&peer);
        let is_rumour = is_new && source == Source::Hearsay;
        if is_new && (self.peers.len() >= MAX_PEERS || (is_rumour && self.rumours >= MAX_RUMOURS)) {
            return None;
        }
        let known = self.peers.entry(peer).or_default();
        if is_rumour {
            known.rumour = true;
            self.rumours += 1;
        } else if source == Source::FirstHand && std::mem::take(&mut known.rumour) {
            self.rumours -= 1;
        }
        Some(known)
    }

    /// Notes where somebody can be reached. Says about whom that is news.
    pub(crate) fn learn(
        &mut self,
        us: PeerId,
        peer: Option<PeerId>,
        addresses: &[String],
        source: Source,
    ) -> Option<PeerId> {
        let mut news = None;
        for address in addresses.iter().filter(|address| address.len() <= MAX_ADDRESS).take(2 * MAX_ADDRESSES)
        {
            let (place, named) = split(address);
            if named.is_some() && peer.is_some() && named != peer {
                continue;
            }
            match peer.or(named) {
                Some(peer) if peer == us => {}
                Some(peer) => {
                    let Some(known) = self.entry(peer, source) else { continue };
                    let reachable = known.addresses().count();
                    if known.add(place, source) {
                        news = Some(peer);
                    }
                    if reachable < known.addresses().count() {
                        known.redial.next = 0;
                    }
                }
                None if self.anonymous.len() < MAX_ANONYMOUS => {
                    self.anonymous.entry(place.to_owned()).or_default();
                }
                None => {}
            }
        }
        news
    }

    /// Notes that we dialled an address and found this peer there.
    pub(crate) fn found(&mut self, peer: PeerId, address: &str) {
        let (place, _) = split(address);
        if let Some(anonymous) = self.anonymous.get_mut(place) {
            anonymous.peer = Some(peer);
        }
    }

    /// Notes that a peer proved itself. Says whether that is news.
    pub(crate) fn proved(&mut self, peer: PeerId) -> bool {
        let Some(known) = self.entry(peer, Source::FirstHand) else { return false };
        known.redial = Redial::default();
        known.refused = None;
        !std::mem::replace(&mut known.proved, true)
    }

    /// Notes what a peer is called. Says whether that is news.
    pub(crate) fn named(&mut self, peer: PeerId, name: &str) -> bool {
        let Some(known) = self.peers.get_mut(&peer) else { return false };
        let news = known.name != name;
        name.clone_into(&mut known.name);
        news
    }

    /// Notes why a session was refused.
    pub(crate) fn refused(&mut self, peer: PeerId, why: String) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.refused = Some(why);
        }
    }

    /// Notes that somebody may not belong to the space: it is dialled again after a pause.
    pub(crate) fn stranger(&mut self, peer: PeerId, now: u64) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.redial.next = now + known.refusals.one_more();
        }
        for anonymous in self.found_at(peer) {
            anonymous.redial.next = now + anonymous.refusals.one_more();
        }
    }

    fn found_at(&mut self, peer: PeerId) -> impl Iterator<Item = &mut Anonymous> {
        self.anonymous.values_mut().filter(move |anonymous| anonymous.peer == Some(peer))
    }

    /// Notes that a session ended; `eager` says whether it is our part to dial first, `proved` whether it had come to
    /// anything: who lets us in and throws us out is not dialled at once again and again.
    pub(crate) fn gone(&mut self, peer: PeerId, now: u64, eager: bool, proved: bool, rng: &mut impl Rng) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if proved {
            let pause = if eager { FIRST_PAUSE } else { FIRST_PAUSE * 4 };
            let next = known.redial.next.max(now + jittered(pause, rng));
            known.redial = Redial { next, pause: 0, absent_since: Some(now) };
            if known.refused.is_none() {
                known.refusals = Refusals::default();
                self.found_at(peer).for_each(|anonymous| anonymous.refusals = Refusals::default());
            }
        } else {
            let next = known.redial.next;
            known.redial.failed(now, rng);
            known.redial.next = known.redial.next.max(next);
        }
    }

    /// Dial everybody at once: the network changed.
    pub(crate) fn hurry(&mut self) {
        self.peers.values_mut().for_each(|known| known.redial = Redial::default());
        self.anonymous.values_mut().for_each(|anonymous| anonymous.redial = Redial::default());
    }

    /// Blocks or unblocks a peer; says whether that changed anything.
    pub(crate) fn block(&mut self, peer: PeerId, blocked: bool) -> bool {
        if !blocked && !self.is_blocked(peer) {
            return false;
        }
        let Some(known) = self.entry(peer, Source::FirstHand) else { return false };
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

    /// What may be told of a peer: nothing before it has proved itself to us.
    pub(crate) fn contact(&self, peer: PeerId) -> Option<Contact> {
        let known = self.get(peer).filter(|known| known.proved && known.is_reachable())?;
        Some(Contact { peer, addresses: known.addresses().cloned().collect() })
    }

    /// What may be told to others.
    pub(crate) fn contacts(&self) -> impl Iterator<Item = Contact> + '_ {
        self.peers.keys().filter_map(|peer| self.contact(*peer))
    }

    /// Whom to dial now, given who is connected and where.
    pub(crate) fn due(
        &mut self,
        now: u64,
        is_connected: impl Fn(PeerId) -> bool,
        rng: &mut impl Rng,
    ) -> Vec<(Option<PeerId>, Vec<String>)> {
        let is_over = |known: &Known| {
            let since = known.redial.absent_since;
            known.rumour && since.is_some_and(|since| now >= since + RUMOUR_LIFE)
        };
        if self.rumours > 0 {
            self.peers.retain(|_, known| !is_over(known));
            self.rumours = self.peers.values().filter(|known| known.rumour).count();
        }
        let mut due = Vec::new();
        for (&peer, known) in &mut self.peers {
            let wanted = !known.blocked && known.is_reachable() && !is_connected(peer);
            if wanted && known.redial.next <= now {
                known.redial.failed(now, rng);
                due.push((Some(peer), known.addresses().cloned().collect()));
            }
        }
        for (address, Anonymous { redial, peer, .. }) in &mut self.anonymous {
            let wanted = peer.is_none_or(|peer| !is_connected(peer));
            if wanted && redial.next <= now {
                redial.failed(now, rng);
                due.push((None, vec![address.clone()]));
            }
        }
        due
    }

    /// When somebody is due next.
    pub(crate) fn next_due(&self, is_connected: impl Fn(PeerId) -> bool) -> Option<u64> {
        let peers = self
            .iter()
            .filter(|(peer, known)| !known.blocked && known.is_reachable() && !is_connected(*peer));
        let wanted = |anonymous: &&Anonymous| anonymous.peer.is_none_or(|peer| !is_connected(peer));
        let anonymous = self.anonymous.values().filter(wanted).map(|anonymous| anonymous.redial.next);
        peers.map(|(_, known)| known.redial.next).chain(anonymous).min()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_record_that_cannot_be_read_is_told() {
        let peer = PeerId::from_bytes([7; 32]);
        let mut book = Book::default();
        let Write::Put { key, value } = invitation(peer, &["/memory/1".into()]) else {
            panic!("a record is put")
        };
        assert!(!book.load(&key, &value[1..]) && !book.load(RECORDS, &value));
        assert!(book.load(&key, &value));
        assert_eq!(book.get(peer).unwrap().addresses().collect::<Vec<_>>(), ["/memory/1"]);
    }

    #[test]
    fn who_is_refused_is_dialled_less_and_less_often_until_a_session_comes_to_something() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let [us, peer] = [1, 2].map(|id| PeerId::from_bytes([id; 32]));
        let mut book = Book::default();
        book.learn(us, Some(peer), &["/memory/1".into()], Source::FirstHand);
        let next = |book: &Book| book.next_due(|_| false).unwrap();
        let mut refused = |book: &mut Book, now, proved| {
            if proved {
                book.proved(peer);
            }
            book.refused(peer, "it sent what cannot be understood".into());
            book.stranger(peer, now);
            book.gone(peer, now, true, proved, &mut rng);
            next(book) - now
        };
        let pauses: Vec<_> = (0..7).map(|n| refused(&mut book, n * 100_000, n % 2 == 1)).collect();
        assert_eq!(pauses, [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);

        book.proved(peer);
        book.gone(peer, 1_000_000, true, true, &mut ChaCha8Rng::seed_from_u64(1));
        assert!(next(&book) < 1_000_200);
        assert_eq!(refused(&mut book, 2_000_000, true), 2_000);
    }

    #[test]
    fn who_is_absent_is_dialled_every_two_seconds_for_five_minutes_and_every_minute_for_ever() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let [us, peer] = [1, 2].map(|id| PeerId::from_bytes([id; 32]));
        let mut book = Book::default();
        book.learn(us, Some(peer), &["/memory/1".into()], Source::FirstHand);
        let mut dials = |book: &mut Book, from: u64, end: u64| {
            let mut dials = Vec::new();
            while let Some(now) = book.next_due(|_| false).map(|due| due.max(from)).filter(|now| *now < end) {
                dials.extend(book.due(now, |_| false, &mut rng).iter().map(|_| now));
            }
            dials
        };
        let apart = |dials: &[u64]| dials.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        let short = dials(&mut book, 0, SHORT_ABSENCE);
        assert!(
            apart(&short) <= 2_000 && short.len() > 150,
            "{} apart, {} times",
            apart(&short),
            short.len()
        );
        // Ever less often, and every minute by and by.
        let _ = dials(&mut book, SHORT_ABSENCE, 2 * SHORT_ABSENCE);
        let month = 30 * 24 * 60 * 60 * 1_000;
        let long = dials(&mut book, 2 * SHORT_ABSENCE, month);
        assert!((50_000..=60_000).contains(&apart(&long)) && month - long[long.len() - 1] <= 60_000);
        // A network that changed is another chance.
        book.hurry();
        let again = dials(&mut book, month, month + 10_000);
        assert!(again[0] == month && apart(&again) <= 2_000);
    }

    /// A peer that comes back is not dialled by all others at once, however long it was away.
    #[test]
    fn also_the_longest_pauses_are_spread() {
        let [us, peer] = [1, 2].map(|id| PeerId::from_bytes([id; 32]));
        let spread = |from: u64, longest: u64| {
            let mut dials: Vec<u64> = (0..200)
                .map(|seed| {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    let mut book = Book::default();
                    book.learn(us, Some(peer), &["/memory/1".into()], Source::FirstHand);
                    let mut now = 0;
                    while now < from {
                        now = book.next_due(|_| false).unwrap().max(now);
                        let _ = book.due(now, |_| false, &mut rng);
                    }
                    book.next_due(|_| false).unwrap() - now
                })
                .collect();
            dials.sort_unstable();
            assert!(dials[0] >= longest * 3 / 5 && dials[199] <= longest, "{} to {}", dials[0], dials[199]);
            // As many in any tenth of the time as there would be by chance, about.
            let most = |width: u64| {
                let within =
                    |at: usize| dials[at..].iter().take_while(|dial| **dial <= dials[at] + width).count();
                (0..dials.len()).map(within).max()
            };
            assert!(most(longest / 25) < Some(45), "{:?} of 200 within a tenth", most(longest / 25));
        };
        spread(60_000, SHORT_PAUSE);
        spread(2 * SHORT_ABSENCE, LONG_PAUSE);
    }

    #[test]
    fn the_book_is_full_at_its_limits_and_hearsay_is_so_sooner() {
        let peer = |n: u16| {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&n.to_be_bytes());
            PeerId::from_bytes(id)
        };
        let mut book = Book::default();
        let mut hear_of = |n: std::ops::Range<u16>, source| {
            for n in n {
                book.learn(peer(60_000), Some(peer(n)), &["/memory/1".into()], source);
            }
            book.iter().count()
        };
        assert_eq!(hear_of(0..300, Source::Hearsay), MAX_RUMOURS);
        assert_eq!(hear_of(1_000..12_000, Source::FirstHand), MAX_PEERS);
        assert!(!book.proved(peer(50_000)), "who comes beyond that is let in, and not remembered");
        book.learn(peer(60_000), Some(peer(1)), &["/".repeat(MAX_ADDRESS + 1)], Source::FirstHand);
        assert_eq!(book.get(peer(1)).map(|known| known.addresses().count()), Some(1));
    }
}
