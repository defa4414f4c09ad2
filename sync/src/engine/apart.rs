//! Where in each document that begins which nobody may have seen, and what became of it.
//!
//! A fork is noted before the documents are written anew, and holds for whatever is read from the store after that. So it does not
//! matter which of them were written when the process ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tombolo_crdt::{ReplicaId, Version};

use super::StartError;
use super::document::Document;
use crate::DocId;
use crate::store::{Store, Write};

/// Where in a document each mark begins stands under this name, with the document's id.
const BEGINNINGS: &str = "apart/";
/// Who was given what nobody had seen.
const FORKS: &str = "identity/forks";
/// Of how many marks the beginnings are kept in each document.
const KEPT: usize = 64;

/// What somebody wrote under a mark begins in a document after this event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Beginning {
    replica: ReplicaId,
    mark: u64,
    after: u64,
}

/// What `old` wrote from its mark `first` on was written by `new`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fork {
    pub(super) old: ReplicaId,
    pub(super) first: u64,
    pub(super) new: ReplicaId,
}

/// What nobody may have seen, and what was renamed.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// INVARIANT: those of one replica by ascending marks.
    beginnings: BTreeMap<DocId, Vec<Beginning>>,
    forks: Vec<Fork>,
}

impl Apart {
    pub(super) fn load(store: &dyn Store) -> Result<Self, StartError> {
        let damaged = |key: &str| StartError::Record(key.to_owned());
        let mut apart = Self::default();
        if let Some(bytes) = store.record(FORKS)? {
            apart.forks = rmp_serde::from_slice(&bytes).map_err(|_| damaged(FORKS))?;
        }
        for (key, bytes) in store.records(BEGINNINGS)? {
            let id = u128::from_str_radix(&key[BEGINNINGS.len()..], 16).map_err(|_| damaged(&key))?;
            let doc = DocId::from_bytes(id.to_be_bytes());
            apart.beginnings.insert(doc, rmp_serde::from_slice(&bytes).map_err(|_| damaged(&key))?);
        }
        Ok(apart)
    }

    /// Notes that what is written under a mark begins here, unless that is known. Yields what the store should hold then.
    pub(super) fn begin(&mut self, doc: DocId, replica: ReplicaId, mark: u64, after: u64) -> Option<Write> {
        let all = self.beginnings.entry(doc).or_default();
        if all.iter().any(|begun| (begun.replica, begun.mark) == (replica, mark)) {
            return None;
        }
        all.push(Beginning { replica, mark, after });
        if all.len() > KEPT {
            // SUBTLE: what was written under a mark that goes counts as written under the next one: it may be renamed though others
            // know it, and counts twice then. Were it not renamed where it must be, replicas would differ for ever.
            if let Some(oldest) =
                all.iter().position(|begun| begun.replica == replica).filter(|at| at + 2 < all.len())
            {
                all[oldest + 2].after = all[oldest + 1].after;
                all.remove(oldest + 1);
            }
        }
        Some(record(doc, all))
    }

    /// After which event that begins which was written under this mark or a later one.
    pub(super) fn since(&self, doc: DocId, replica: ReplicaId, mark: u64) -> Option<u64> {
        let all = self.beginnings.get(&doc)?;
        all.iter().find(|begun| begun.replica == replica && begun.mark >= mark).map(|begun| begun.after)
    }

    /// What the store should hold.
    pub(super) fn records(&self) -> impl Iterator<Item = Write> + '_ {
        self.beginnings.iter().map(|(doc, all)| record(*doc, all))
    }

    pub(super) fn forks_record(&self) -> Write {
        let value = rmp_serde::to_vec(&self.forks).expect("ids and numbers are what MessagePack can say");
        Write::Put { key: FORKS.to_owned(), value }
    }

    /// Notes a fork; yields in which documents that concerns what comes after which event.
    pub(super) fn note(&mut self, fork: Option<Fork>) -> BTreeMap<DocId, u64> {
        let Some(fork) = fork else { return BTreeMap::new() };
        self.forks.push(fork);
        let docs = self.beginnings.keys();
        docs.filter_map(|&doc| Some((doc, self.since(doc, fork.old, fork.first)?))).collect()
    }

    /// Whether a document that the store holds in this version is given names that were given since.
    pub(super) fn renames(&self, doc: DocId, version: &Version) -> bool {
        self.forks.iter().any(|fork| {
            let after = self.since(doc, fork.old, fork.first);
            after.is_some_and(|after| version.get(fork.new) == 0 && version.get(fork.old) > after)
        })
    }

    /// Gives a document as the store holds it the names that were given since. Says whether any were.
    pub(super) fn rename(&self, doc: DocId, body: &mut dyn Document) -> bool {
        let mut renamed = false;
        for fork in &self.forks {
            let Some(after) = self.since(doc, fork.old, fork.first) else { continue };
            let version = body.version();
            // Where the new id has written already, it was written after this.
            if version.get(fork.new) == 0 && version.get(fork.old) > after {
                body.disown(fork.old, after, fork.new, None);
                renamed = true;
            }
        }
        renamed
    }

    /// Forgets where what somebody wrote begins. Yields what the store should do.
    pub(super) fn forget(&mut self, is_meant: impl Fn(ReplicaId) -> bool) -> Vec<Write> {
        let mut writes = Vec::new();
        self.beginnings.retain(|doc, all| {
            let before = all.len();
            all.retain(|begun| !is_meant(begun.replica));
            if all.is_empty() {
                writes.push(Write::Delete { key: key(*doc) });
            } else if all.len() < before {
                writes.push(record(*doc, all));
            }
            !all.is_empty()
        });
        writes
    }

    /// Forgets where what somebody wrote begins in all documents but these. Yields what the store should do.
    pub(super) fn forget_all_but(&mut self, of: ReplicaId, renamed: &BTreeMap<DocId, u64>) -> Vec<Write> {
        let gone: Vec<DocId> =
            self.beginnings.keys().filter(|doc| !renamed.contains_key(doc)).copied().collect();
        let mut writes = Vec::new();
        for doc in gone {
            let Some(all) = self.beginnings.get_mut(&doc) else { continue };
            all.retain(|begun| begun.replica != of);
            if all.is_empty() {
                self.beginnings.remove(&doc);
                writes.push(Write::Delete { key: key(doc) });
            } else {
                writes.push(record(doc, all));
            }
        }
        writes
    }

    /// Forgets all forks, and whatever others than `us` began.
    pub(super) fn forget_forks(&mut self, us: ReplicaId) -> Vec<Write> {
        let mut writes = self.forget(|replica| replica != us);
        if !std::mem::take(&mut self.forks).is_empty() {
            writes.push(Write::Delete { key: FORKS.to_owned() });
        }
        writes
    }
}

fn key(doc: DocId) -> String {
    format!("{BEGINNINGS}{doc}")
}

fn record(doc: DocId, all: &[Beginning]) -> Write {
    let value = rmp_serde::to_vec(all).expect("ids and numbers are what MessagePack can say");
    Write::Put { key: key(doc), value }
}
