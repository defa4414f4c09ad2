//! What we held when others held the same, told by what changed since.
//!
//! A peer that was away and wrote nothing holds what both of us held then. Its digest says so, and then we know what it holds, and can
//! tell it what we hold, by what changed here since: nobody has to ask.
//!
//! Each peer has its last such point, in memory only. A change is noted once, at the last point before it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tombolo_crdt::Version;

use super::versions::{Digest, Versions};
use crate::{DocId, PeerId};

/// How many points there are at most.
const MOST_POINTS: usize = 64;
/// How many documents and counters are noted at most, of all points together. Where more has changed a sketch is no longer than what
/// would be told.
const MOST_NOTED: usize = 4_096;

/// Names what was held at some point: the beginning of its digest.
pub(crate) type Name = [u8; 8];

/// The name of what has this digest.
pub(crate) fn name(digest: &Digest) -> Name {
    let mut name = Name::default();
    name.copy_from_slice(&digest[..8]);
    name
}

#[derive(Debug)]
struct Point {
    digest: Digest,
    /// Whose last it is: at least one's.
    peers: BTreeSet<PeerId>,
    /// As they were then, of the documents that changed until the next point, or now; empty: it was not there.
    changed: BTreeMap<DocId, Version>,
}

/// The points, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Past {
    points: VecDeque<Point>,
    /// How much is noted in all of them.
    noted: usize,
}

fn weight(version: &Version) -> usize {
    1 + version.len()
}

impl Past {
    /// A document becomes another than `before`.
    pub(crate) fn note(&mut self, doc: DocId, before: &Version) {
        let Some(last) = self.points.back_mut() else { return };
        if last.changed.contains_key(&doc) {
            return;
        }
        last.changed.insert(doc, before.clone());
        self.noted += weight(before);
        while self.noted > MOST_NOTED {
            self.forget(0);
        }
    }

    /// A peer holds what we hold now.
    pub(crate) fn agreed(&mut self, peer: PeerId, digest: Digest) {
        let is_now = |point: &Point| point.digest == digest && point.changed.is_empty();
        if self.points.back().is_some_and(|last| is_now(last) && last.peers.contains(&peer)) {
            return;
        }
        if let Some(at) = self.points.iter().position(|point| point.peers.contains(&peer)) {
            self.points[at].peers.remove(&peer);
            if self.points[at].peers.is_empty() {
                self.forget(at);
            }
        }
        match self.points.back_mut() {
            Some(last) if is_now(last) => _ = last.peers.insert(peer),
            _ => self.points.push_back(Point { digest, peers: [peer].into(), changed: BTreeMap::new() }),
        }
        while self.points.len() > MOST_POINTS {
            self.forget(0);
        }
    }

    /// Forgets a point; what changed after it changed after the one before it as well.
    fn forget(&mut self, at: usize) {
        let Some(Point { changed, .. }) = self.points.remove(at) else { return };
        let mut before = at.checked_sub(1).map(|before| &mut self.points[before].changed);
        for (doc, version) in changed {
            match &mut before {
                Some(before) if !before.contains_key(&doc) => _ = before.insert(doc, version),
                _ => self.noted -= weight(&version),
            }
        }
    }

    /// What was otherwise at a point, and how it was.
    pub(crate) fn since(&self, of: Name) -> Option<BTreeMap<DocId, Version>> {
        let at = self.points.iter().rposition(|point| name(&point.digest) == of)?;
        let mut was = BTreeMap::new();
        for (doc, version) in self.points.range(at..).flat_map(|point| &point.changed) {
            was.entry(*doc).or_insert_with(|| version.clone());
        }
        Some(was)
    }

    /// What was held at a point, if `now` is what is held.
    pub(crate) fn held(&self, of: Name, now: &Versions) -> Option<Versions> {
        if name(&now.digest()) == of {
            return Some(now.clone());
        }
        let mut held = now.clone();
        for (doc, version) in self.since(of)? {
            held.set(doc, version);
        }
        (name(&held.digest()) == of).then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tombolo_crdt::ReplicaId;

    use super::*;

    proptest! {
        /// Whatever changes, and whoever agrees when: what is remembered of a point is what was held then, and the last of each peer is.
        #[test]
        fn what_was_held_when_a_peer_agreed_is_known(
            steps in prop::collection::vec((0..4_u8, 0..6_u8, 0..5_u64), 0..200),
        ) {
            let (mut past, mut now) = (Past::default(), Versions::default());
            let mut last: BTreeMap<PeerId, Versions> = BTreeMap::new();
            for (what, of, counter) in steps {
                let doc = DocId::from_bytes([of; 16]);
                let peer = PeerId::from_bytes([of; 32]);
                if what == 0 {
                    past.agreed(peer, now.digest());
                    last.insert(peer, now.clone());
                } else {
                    let version: Version =
                        [(ReplicaId::from_bytes([1; 16]), counter)].into_iter().filter(|(_, n)| *n > 0).collect();
                    past.note(doc, now.get(doc).unwrap_or(&Version::new()));
                    now.set(doc, version);
                }
                for held in last.values() {
                    let found = past.held(name(&held.digest()), &now).expect("it is remembered");
                    prop_assert!(found.iter().eq(held.iter()));
                }
                let noted: usize = past.points.iter().flat_map(|point| point.changed.values()).map(weight).sum();
                prop_assert_eq!(past.noted, noted);
                prop_assert!(past.points.len() <= last.len());
            }
            prop_assert!(past.held([7; 8], &now).is_none());
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut past = Past::default();
        let version = |n| [(ReplicaId::from_bytes([1; 16]), n)].into_iter().collect::<Version>();
        let digest = |n: u32| core::array::from_fn(|at| n.to_be_bytes()[at % 4]);
        for n in 0..10_000_u32 {
            past.agreed(PeerId::from_bytes(digest(n)), digest(n));
            past.note(DocId::from_bytes([n as u8; 16]), &version(1));
            assert!(past.points.len() <= MOST_POINTS && past.noted <= MOST_NOTED);
        }
        for n in 0..10_000_u32 {
            let doc = DocId::from_bytes(core::array::from_fn(|at| n.to_be_bytes()[at % 4]));
            past.note(doc, &version(1));
            assert!(past.noted <= MOST_NOTED);
        }
        assert!(past.points.is_empty(), "where so much changed nothing is known any more");
    }
}
