//! What the store says of a document beside its content, so that a node starts without reading that.
//!
//! INVARIANT: where there is such a record, it is true of the content beside it. It is written when all of a document is durable, and
//! whatever changes the content removes it in the same batch. A document without one is read when the node starts; those are the few
//! that had just been written, and after the space's secret was renewed all of them, once: fingerprints are made under it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tombolo_crdt::{Dot, Version};

use super::StartError;
use super::absent::Absent;
use super::frame::Hash;
use super::storage::{Noted, Slot};
use crate::DocId;
use crate::store::{HEADS, Store, Write};

/// What is known of a document that is on the disk only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) version: Version,
    fingerprint: Hash,
    /// Under which secret the fingerprint was made.
    under: Hash,
    /// The slices of the snapshot: where each begins, and what its hash is.
    slices: Vec<(Dot, Hash)>,
    snapshot_bytes: u64,
    log_bytes: u64,
}

impl Head {
    /// Of a document that is durable as it is.
    pub(crate) fn of(slot: &Slot, version: &Version, fingerprint: u128, under: Hash) -> Self {
        Self {
            version: version.clone(),
            fingerprint: fingerprint.to_le_bytes(),
            under,
            slices: slot.slices.clone(),
            snapshot_bytes: slot.snapshot_bytes as u64,
            log_bytes: slot.log_bytes as u64,
        }
    }

    pub(crate) fn write(&self, doc: DocId) -> Write {
        let value = rmp_serde::to_vec(self).expect("it consists of what MessagePack can say");
        Write::Put { key: key(doc), value }
    }

    /// The document as what is known of it.
    pub(crate) fn slot(self) -> Slot {
        let mut slot = Slot::new(Box::new(Absent::new(self.version.clone())), None);
        slot.fingerprint = Some((self.version, u128::from_le_bytes(self.fingerprint)));
        slot.slices = self.slices;
        slot.snapshot_bytes = usize::try_from(self.snapshot_bytes).unwrap_or(usize::MAX);
        slot.log_bytes = usize::try_from(self.log_bytes).unwrap_or(usize::MAX);
        slot.noted = Noted::Yes;
        slot
    }
}

/// Where it stands in the store.
fn key(doc: DocId) -> String {
    format!("{HEADS}{doc}")
}

/// It is true no more.
pub(crate) fn gone(doc: DocId) -> Write {
    Write::Delete { key: key(doc) }
}

/// Whether a write says or takes back what is known of a document.
pub(crate) fn is_head(write: &Write) -> bool {
    matches!(write, Write::Put { key, .. } | Write::Delete { key } if key.starts_with(HEADS))
}

/// All that the store says; `None` where that cannot be read or was said under another secret, and the document itself has to be read.
pub(crate) fn load(store: &dyn Store, under: Hash) -> Result<BTreeMap<DocId, Option<Head>>, StartError> {
    let mut heads = BTreeMap::new();
    for (key, bytes) in store.records(HEADS)? {
        let id =
            u128::from_str_radix(&key[HEADS.len()..], 16).map_err(|_| StartError::Record(key.clone()))?;
        let head = rmp_serde::from_slice(&bytes).ok().filter(|head: &Head| head.under == under);
        heads.insert(DocId::from_bytes(id.to_be_bytes()), head);
    }
    Ok(heads)
}
