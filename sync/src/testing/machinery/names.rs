//! What nodes, documents and frames are called in a trace.

use std::collections::BTreeMap;
use std::fmt;

use tombolo_crdt::{ReplicaId, Version};

use crate::DocId;
use crate::engine::wire::{Alive, Frame};

/// What replicas and documents are called; who has no name here is shown as its id.
#[derive(Debug, Default)]
pub struct Names {
    /// By the id under which they write.
    pub replicas: BTreeMap<ReplicaId, String>,
    /// By id.
    pub documents: BTreeMap<DocId, String>,
}

/// Shown as it is.
struct Shown<T>(T);

impl<T: fmt::Display> fmt::Debug for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Names {
    /// A document's name.
    #[must_use]
    pub fn document(&self, doc: DocId) -> String {
        self.documents.get(&doc).cloned().unwrap_or_else(|| format!("{doc:?}"))
    }

    /// A version, by name of who wrote.
    #[must_use]
    pub fn version(&self, version: &Version) -> String {
        let name = |id: ReplicaId| self.replicas.get(&id).cloned().unwrap_or_else(|| format!("{id:?}"));
        let named: Vec<String> = version.iter().map(|(id, last)| format!("{}: {last}", name(id))).collect();
        format!("{{{}}}", named.join(", "))
    }

    /// What a frame says.
    #[must_use]
    pub fn frame(&self, frame: &Frame) -> String {
        match frame {
            Frame::Hello(_) => "hello".into(),
            Frame::Beat { .. } => "beat".into(),
            Frame::Echo { .. } => "echo".into(),
            Frame::Proof(_) => "proof".into(),
            Frame::Welcome(welcome) => format!("welcome from {}", welcome.name),
            Frame::Versions { entries, first, last } => {
                let kind = if *first || *last { "all versions" } else { "versions" };
                let named: Vec<(Shown<String>, Shown<String>)> = entries
                    .iter()
                    .map(|(doc, version)| (Shown(self.document(*doc)), Shown(self.version(version))))
                    .collect();
                format!("{kind} {named:?}")
            }
            Frame::Pull { doc, version, alive: None, .. } => {
                format!("pull {} at {}", self.document(*doc), self.version(version))
            }
            Frame::Pull { doc, version, alive: Some(alive), .. } => {
                let alive = match alive {
                    Alive::Runs(runs) => format!("runs of {} bytes", runs.len()),
                    Alive::Sums(sums) => format!("sums of {} bytes", sums.len()),
                    Alive::Cells { cells, .. } => format!("cells of {} bytes", cells.len()),
                    Alive::Unsaid => "too much to tell".into(),
                    Alive::Staged(from) => format!("what is numbered below {from}"),
                };
                let (doc, version) = (self.document(*doc), self.version(version));
                format!("pull {doc} beyond {version}, alive: {alive}")
            }
            Frame::Content { doc, kind, part, parts, bytes, .. } => {
                let doc = self.document(*doc);
                format!("content of {doc}, {kind:?} part {part} of {parts}, {} bytes", bytes.len())
            }
            Frame::Push { doc, delta } => format!("push of {}, {} bytes", self.document(*doc), delta.len()),
            Frame::Others(others) => format!("{} others", others.len()),
            Frame::Peers { own, others } => format!("{} addresses and {} contacts", own.len(), others.len()),
            other => format!("{other:?}"),
        }
    }
}
