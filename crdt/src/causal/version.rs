//! How much a replica knows.

use alloc::collections::BTreeMap;
use core::cmp::Ordering;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::{Dot, MAX_COUNTER, ReplicaId};

/// A version vector: for each replica, how many of its items are known.
///
/// A version names a *causal cut*: closed under happened-before, never ending inside a transaction. Equal versions of
/// one document mean equal states.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<ReplicaId, u64>", into = "BTreeMap<ReplicaId, u64>")]
pub struct Version {
    /// INVARIANT: no entry is 0, none is above `MAX_COUNTER`.
    entries: BTreeMap<ReplicaId, u64>,
}

/// A version entry outside 1..=[`MAX_COUNTER`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a version entry must lie within 1 and {MAX_COUNTER}, this one is {0}")]
pub struct BadVersionEntry(pub u64);

impl TryFrom<BTreeMap<ReplicaId, u64>> for Version {
    type Error = BadVersionEntry;

    fn try_from(entries: BTreeMap<ReplicaId, u64>) -> Result<Self, Self::Error> {
        match entries.values().find(|&&counter| counter == 0 || counter > MAX_COUNTER) {
            Some(&counter) => Err(BadVersionEntry(counter)),
            None => Ok(Self { entries }),
        }
    }
}

impl From<Version> for BTreeMap<ReplicaId, u64> {
    fn from(version: Version) -> Self {
        version.entries
    }
}

impl Version {
    /// The version of a document nobody has written to.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new() }
    }

    /// How many items of `replica` are known.
    #[must_use]
    pub fn get(&self, replica: ReplicaId) -> u64 {
        self.entries.get(&replica).copied().unwrap_or(0)
    }

    /// Whether `dot` is known.
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        (1..=self.get(dot.replica)).contains(&dot.counter)
    }

    /// Raises the entry of `replica` to `counter` if it is lower.
    ///
    /// # Panics
    /// If `counter` is above [`MAX_COUNTER`].
    pub fn raise(&mut self, replica: ReplicaId, counter: u64) {
        assert!(counter <= MAX_COUNTER, "a counter must be at most {MAX_COUNTER}, this one is {counter}");
        if counter > 0 {
            let entry = self.entries.entry(replica).or_insert(0);
            *entry = (*entry).max(counter);
        }
    }

    /// Takes the larger entry of both, replica by replica.
    pub fn join(&mut self, other: &Self) {
        for (replica, counter) in other.iter() {
            self.raise(replica, counter);
        }
    }

    /// The smaller entry of both, replica by replica: what both know.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let both = |(replica, counter): (ReplicaId, u64)| Some((replica, counter.min(other.get(replica))));
        Self { entries: self.iter().filter_map(both).filter(|&(_, counter)| counter > 0).collect() }
    }

    /// Whether everything known to `other` is known here.
    #[must_use]
    pub fn dominates(&self, other: &Self) -> bool {
        other.iter().all(|(replica, counter)| self.get(replica) >= counter)
    }

    /// How many items are known here and not to `other`.
    #[must_use]
    pub fn ahead_of(&self, other: &Self) -> u64 {
        self.iter().map(|(replica, counter)| counter.saturating_sub(other.get(replica))).sum()
    }

    /// The entries, in order of replica id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ReplicaId, u64)> + '_ {
        self.entries.iter().map(|(&replica, &counter)| (replica, counter))
    }

    /// How many replicas have written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody has written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl PartialOrd for Version {
    /// `None` means concurrent: each knows something the other does not.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.dominates(other), other.dominates(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl FromIterator<(ReplicaId, u64)> for Version {
    /// Where a replica occurs twice the larger counter counts.
    fn from_iter<I: IntoIterator<Item = (ReplicaId, u64)>>(entries: I) -> Self {
        let mut version = Self::new();
        for (replica, counter) in entries {
            version.raise(replica, counter);
        }
        version
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    type Entries = BTreeMap<u8, u64>;

    fn version(entries: &Entries) -> Version {
        entries.iter().map(|(of, counter)| (ReplicaId::from_bytes([*of; 16]), *counter)).collect()
    }

    fn entries() -> impl Strategy<Value = Entries> {
        btree_map(0..4_u8, 1..5_u64, 0..4)
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn a_version_is_the_set_of_dots_up_to_its_entries(one in entries(), other in entries()) {
            let (a, b) = (version(&one), version(&other));
            let dots = |version: &Version| -> Vec<Dot> {
                let all = (0..4_u8).flat_map(|of| (0..6).map(move |counter| Dot { replica: ReplicaId::from_bytes([of; 16]), counter }));
                all.filter(|dot| version.contains(*dot)).collect()
            };
            let (in_a, in_b) = (dots(&a), dots(&b));
            prop_assert_eq!(in_a.len() as u64, one.values().sum::<u64>());
            let only_a = in_a.iter().filter(|dot| !in_b.contains(dot)).count() as u64;
            let only_b = in_b.iter().filter(|dot| !in_a.contains(dot)).count() as u64;
            prop_assert_eq!((a.ahead_of(&b), b.ahead_of(&a)), (only_a, only_b));
            prop_assert_eq!((a.dominates(&b), b.dominates(&a)), (only_b == 0, only_a == 0));
            let order = match (only_a, only_b) {
                (0, 0) => Some(Ordering::Equal),
                (_, 0) => Some(Ordering::Greater),
                (0, _) => Some(Ordering::Less),
                _ => None,
            };
            prop_assert_eq!(a.partial_cmp(&b), order);
            let both: Vec<Dot> = in_a.iter().filter(|dot| in_b.contains(dot)).copied().collect();
            prop_assert_eq!(dots(&a.meet(&b)), both);
            prop_assert!(a.meet(&b).iter().all(|(_, counter)| counter > 0));
            let mut joined = a.clone();
            joined.join(&b);
            prop_assert_eq!(dots(&joined).len() as u64, a.meet(&b).ahead_of(&Version::new()) + only_a + only_b);
            prop_assert_eq!((a.is_empty(), a.len()), (one.is_empty(), one.len()));
            prop_assert_eq!(format!("{a:?}").matches(": ").count(), one.len());
        }
    }
}
