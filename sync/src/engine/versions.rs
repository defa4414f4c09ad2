//! Which version of each document somebody has, with a digest that costs nothing to keep.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher as _;
use std::sync::Arc;

use siphasher::sip::SipHasher13;
use tombolo_crdt::{ReplicaId, SessionNames, Version};

use super::frame::MAX_NAMES;
use super::sketch::Key;
use crate::DocId;

/// 32 bytes that are equal exactly where all documents and versions are (but for hash collisions).
pub type Digest = [u8; 32];

/// Documents with their versions.
#[derive(Debug, Clone, Default)]
pub struct Versions {
    /// INVARIANT: no version is empty.
    entries: Arc<BTreeMap<DocId, Version>>,
    /// How many entries the versions have together.
    total: usize,
    /// The sum of the entries' hashes, as two 128-bit numbers: independent of order, updated in place.
    sum: [u128; 2],
}

/// A hash of a document with its version.
pub(crate) fn hash(doc: DocId, version: &Version) -> [u128; 2] {
    let mut hasher = blake3::Hasher::new_derive_key("tombolo 2026 document version");
    hasher.update(doc.as_bytes());
    for (replica, counter) in version.iter() {
        hasher.update(replica.as_bytes());
        hasher.update(&counter.to_be_bytes());
    }
    let bytes = hasher.finalize();
    let half = |at: usize| {
        let mut half = [0; 16];
        half.copy_from_slice(&bytes.as_bytes()[at..at + 16]);
        u128::from_be_bytes(half)
    };
    [half(0), half(16)]
}

fn digest_of(sum: [u128; 2]) -> Digest {
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(&sum[0].to_be_bytes());
    digest[16..].copy_from_slice(&sum[1].to_be_bytes());
    digest
}

impl Versions {
    /// The version of a document; `None` if it is not there.
    pub(crate) fn get(&self, doc: DocId) -> Option<&Version> {
        self.entries.get(&doc)
    }

    /// Sets a document's version; an empty one removes it.
    pub(crate) fn set(&mut self, doc: DocId, version: Version) {
        self.remove(doc);
        if !version.is_empty() {
            let hash = hash(doc, &version);
            self.sum = [self.sum[0].wrapping_add(hash[0]), self.sum[1].wrapping_add(hash[1])];
            self.total += version.len();
            Arc::make_mut(&mut self.entries).insert(doc, version);
        }
    }

    /// Raises a document's version.
    pub(crate) fn raise(&mut self, doc: DocId, version: &Version) {
        let mut joined = self.entries.get(&doc).cloned().unwrap_or_default();
        if !joined.dominates(version) {
            joined.join(version);
            self.set(doc, joined);
        }
    }

    /// Removes a document.
    pub(crate) fn remove(&mut self, doc: DocId) {
        if self.entries.contains_key(&doc)
            && let Some(old) = Arc::make_mut(&mut self.entries).remove(&doc)
        {
            let hash = hash(doc, &old);
            self.total -= old.len();
            self.sum = [self.sum[0].wrapping_sub(hash[0]), self.sum[1].wrapping_sub(hash[1])];
        }
    }

    /// What to call by numbers in a session: ourselves, then whoever wrote something, until there are enough.
    pub(crate) fn names(&self, us: ReplicaId) -> SessionNames {
        let writers = self.entries.values().flat_map(Version::iter).map(|(replica, _)| replica);
        let mut names = BTreeSet::from([us]);
        let new = writers.filter(|&replica| names.insert(replica)).take(MAX_NAMES - 1);
        SessionNames::new([us].into_iter().chain(new))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (DocId, &Version)> {
        self.entries.iter().map(|(doc, version)| (*doc, version))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many entries the versions have together.
    pub(crate) fn entries(&self) -> usize {
        self.total
    }

    /// A hash of each document with its version, ascending.
    pub(crate) fn hashes(&self, key: Key) -> Vec<(u64, DocId)> {
        let hashed = |(doc, version): (DocId, &Version)| {
            let mut hasher = SipHasher13::new_with_keys(key[0], key[1]);
            hasher.write(doc.as_bytes());
            for (replica, counter) in version.iter() {
                hasher.write(replica.as_bytes());
                hasher.write_u64(counter);
            }
            (hasher.finish(), doc)
        };
        let mut hashes: Vec<(u64, DocId)> = self.iter().map(hashed).collect();
        hashes.sort_unstable();
        hashes
    }

    pub(crate) fn digest(&self) -> Digest {
        digest_of(self.sum)
    }

    /// The digest if these documents, each once, were not there.
    pub(crate) fn digest_without(&self, but: &[DocId]) -> Digest {
        let without = but.iter().filter_map(|doc| Some(hash(*doc, self.get(*doc)?)));
        digest_of(without.fold(self.sum, |[a, b], [c, d]| [a.wrapping_sub(c), b.wrapping_sub(d)]))
    }

    /// How many items of these documents are here and not in `other`.
    pub(crate) fn ahead_of(&self, other: &Self, counts: impl Fn(DocId) -> bool) -> u64 {
        let none = Version::new();
        let all = self.iter().filter(|(doc, _)| counts(*doc));
        let ahead = all.map(|(doc, version)| version.ahead_of(other.get(doc).unwrap_or(&none)));
        // What peers say of themselves need not be true, nor its sum a number.
        ahead.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_depends_on_content_and_not_on_the_way_there() {
        let version = |n| [(ReplicaId::from_bytes([1; 16]), n)].into_iter().collect::<Version>();
        let (a, b) = (DocId::from_bytes([1; 16]), DocId::from_bytes([2; 16]));
        let mut one = Versions::default();
        one.set(a, version(1));
        one.set(b, version(2));
        let mut other = Versions::default();
        other.set(b, version(1));
        other.raise(b, &version(2));
        other.set(a, version(5));
        assert_ne!(one.digest(), other.digest());
        other.set(a, version(1));
        assert_eq!(one.digest(), other.digest());
        other.remove(a);
        other.remove(b);
        assert_eq!(other.digest(), Versions::default().digest());
    }
}
