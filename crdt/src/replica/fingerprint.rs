//! What a state holds, as one number.

use alloc::vec::Vec;
use core::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::Replica;
use crate::causal::{LocalDot, ReplicaTable};
use crate::delta::{Flat, Parts};
use crate::store::Crdt;

impl<T: Crdt> Replica<T> {
    /// A hash of everything that is alive, with where it stands and the dot it has: equal at replicas of equal
    /// [version](Self::version), whatever way they got there, also where one of them does not know the type. So it tells what
    /// versions cannot: that two replicas wrote under one id, or that a disk or a program changed something.
    ///
    /// It is a sum over the items, each hashed under `key`; who knows the key can make two states that have the same. Costs a walk
    /// over the state, and room for a copy of it.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsSet, Replica, ReplicaId};
    ///
    /// let mut ann = Replica::<AddWinsSet<u64>>::new(ReplicaId::from_bytes([1; 16]));
    /// let mut copy = Replica::<AddWinsSet<u64>>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = ann.update(|set| set.add(1_u64));
    /// let _ = copy.update(|set| set.add(2_u64));
    /// assert_eq!(ann.version(), copy.version());
    /// assert_ne!(ann.fingerprint(&[7; 16]), copy.fingerprint(&[7; 16]));
    /// ```
    #[must_use]
    pub fn fingerprint(&self, key: &[u8; 16]) -> u128 {
        let parts = self.state_parts();
        Fingerprint { key, table: &parts.table, tree: parts.tree.flat() }.sum(&parts)
    }
}

struct Fingerprint<'p> {
    key: &'p [u8; 16],
    table: &'p ReplicaTable,
    tree: Flat<'p>,
}

impl Fingerprint<'_> {
    fn sum(&self, parts: &Parts) -> u128 {
        debug_assert!(parts.is_state, "only a state says everything");
        // The nodes stand in pre-order: each after the one it lies below.
        let mut paths: Vec<u128> = Vec::new();
        for (node, parent) in (0..).zip(self.tree.parents()) {
            let above = paths.get(parent as usize).copied().unwrap_or(0);
            paths.push(self.hash(above, |hasher| hasher.write(self.tree.key(node))));
        }
        let items = (0..).zip(self.tree.items());
        items.fold(0, |sum: u128, (at, (dot, node))| {
            sum.wrapping_add(self.item(paths[node as usize], dot, self.tree.content(at)))
        })
    }

    fn item(&self, path: u128, dot: LocalDot, content: &[u8]) -> u128 {
        self.hash(path, |hasher| {
            hasher.write(self.table.id(dot.replica()).as_bytes());
            hasher.write(&dot.counter().to_le_bytes());
            hasher.write(content);
        })
    }

    fn hash(&self, above: u128, write: impl FnOnce(&mut SipHasher13)) -> u128 {
        let mut hasher = SipHasher13::new_with_key(self.key);
        hasher.write(&above.to_le_bytes());
        write(&mut hasher);
        hasher.finish128().as_u128()
    }
}
