//! Saving what is right in a damaged store.
//!
//! What is saved must be something that a replica once was: a set of events together with all that its authors had seen, and
//! what became of them. A log record that applies leads from one such state to another. All slices of a document together are
//! one; *some of them are not*: the slices that are missing hold events that removed things which the others leave out, and
//! things that events in the others had removed. A node that claimed the version of a part would, after exchanging
//! changes with others, hold something else than they at an equal version, for ever and unnoticed. So a document whose
//! slices are not all there is left out unless it is asked for: peers that have it send it whole.

use std::path::Path;

use tombolo_crdt::{Dot, Opaque};

use super::inspect::Rebuilt;
use super::{HEADS, InspectedDocument, InspectedStore, RedbStore, StoreError, Write};
use crate::DocId;

/// What was saved of a document, and what was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// The document.
    pub doc: DocId,
    /// Whether slices are missing or wrong. Without them it is taken only if parts are asked for.
    pub is_part: bool,
    /// How many slices were taken.
    pub slices: usize,
    /// How many were not. More may have left no trace.
    pub slices_lost: usize,
    /// How many log records were taken.
    pub records: usize,
    /// How many were not: wrong ones, and ones that build on what is lost.
    pub records_lost: usize,
    /// How many dots the version has that was saved.
    pub dots: u64,
}

impl Salvaged {
    /// Whether nothing was lost.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.is_part && self.slices_lost == 0 && self.records_lost == 0
    }
}

impl InspectedStore {
    /// Writes what can be saved to the new file `path`, a backup that [`RedbStore::restore`] takes: the named records and
    /// documents that are right. Of a log, what applies; of a document whose slices are not all right nothing, or with
    /// `parts` those before the first that is wrong.
    ///
    /// SUBTLE: parts are for when nobody else has the document. Such a node must not meet others that have it: what was
    /// removed may come back and what was kept may go, differently on each.
    ///
    /// # Errors
    /// When `path` exists or cannot be written.
    pub fn salvage(&self, path: &Path, parts: bool) -> Result<Vec<Salvaged>, StoreError> {
        let mut writes = Vec::new();
        let mut salvaged = Vec::new();
        for (&doc, document) in &self.documents {
            salvaged.push(document.salvage(doc, parts, &mut writes));
        }
        // What is said of whole documents may not be true of what is saved of them; it is found out again.
        for record in self.records.iter().filter(|record| !record.key.starts_with(HEADS)) {
            if let Some(value) = &record.content {
                writes.push(Write::Put { key: record.key.clone(), value: value.clone() });
            }
        }
        RedbStore::write_file(path, &writes)?;
        Ok(salvaged)
    }
}

impl InspectedDocument {
    fn salvage(&self, doc: DocId, parts: bool, writes: &mut Vec<Write>) -> Salvaged {
        let Rebuilt { replica, slices, log } = self.rebuilt::<Opaque>(parts);
        let taken = &self.slices[..slices];
        let content = |slice: &super::InspectedEntry<Dot>| (slice.key, slice.content.clone());
        if slices > 0 {
            writes.push(Write::Snapshot { doc, all: true, slices: taken.iter().map(content).collect() });
        }
        let records = log.iter().filter_map(|&at| self.log[at].content.clone());
        writes.extend(records.map(|record| Write::Append { doc, record }));
        // In between and behind, records may be gone that left no entry.
        let numbered = self
            .log
            .last()
            .map_or(0, |last| usize::try_from(last.key).unwrap_or(usize::MAX).saturating_add(1));
        Salvaged {
            doc,
            is_part: !self.has_all_slices || slices < self.slices.len(),
            slices,
            slices_lost: self.slices.len() - slices,
            records: log.len(),
            records_lost: numbered.max(self.log.len()) - log.len(),
            dots: replica.version().iter().map(|(_, counter)| counter).sum(),
        }
    }
}
