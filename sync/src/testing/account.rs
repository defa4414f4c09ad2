//! Whether all nodes hold the same; and if not, who lacks what and where the values differ.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::Duration;

use tombolo_crdt::{Plain, Version};

use super::difference::differences;
use super::document::Kind;
use super::machinery::LinkState;
use super::network::NodeId;
use super::stage::Stage;
use crate::DocId;
use crate::engine::{DocumentStatus, Engine};

/// How many of the last happenings are told.
const LAST: usize = 30;

/// What a node lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// Who.
    pub node: NodeId,
    /// The name of the document.
    pub document: String,
    /// How many changes it lacks that others have; 0 if it has all, and not all of them are on its disk yet.
    pub changes: u64,
    /// Who has some of them.
    pub holders: Vec<NodeId>,
}

/// Not all running nodes hold the same. Shown, it is an account for people: who lacks what, the versions, where the values
/// differ, which links do not carry, and what happened last.
#[derive(Clone)]
pub struct NotEqual {
    /// Who lacks what, by document, then node. Empty if all have the same changes and hold different values all the same, which
    /// is a bug of the type.
    pub lacks: Vec<Lack>,
    account: String,
}

impl fmt::Display for NotEqual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.account)
    }
}

/// As it is displayed: a test that ends with `?` prints this.
impl fmt::Debug for NotEqual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.account)
    }
}

impl Error for NotEqual {}

impl Stage {
    fn running(&self) -> impl Iterator<Item = (usize, &Engine)> {
        self.nodes.iter().enumerate().filter_map(|(node, machine)| Some((node, machine.engine.as_ref()?)))
    }

    /// Whether a node is to hold a document, by its name.
    fn wants(&self, engine: &Engine, doc: DocId) -> bool {
        let is_part_of = |name: &String| engine.subscription().includes(name);
        engine.subscription().is_everything()
            || doc == DocId::DIRECTORY
            || doc == DocId::MEMBERS
            || self.names.documents.get(&doc).is_some_and(is_part_of)
    }

    /// Whether all that run have told their disks the same, as far as they are to hold it. Cheap where all hold everything.
    pub(super) fn is_level(&self) -> bool {
        if self.running().any(|(_, engine)| !engine.subscription().is_everything()) {
            let docs: BTreeSet<DocId> =
                self.running().flat_map(|(_, engine)| engine.held_documents()).collect();
            return docs.into_iter().all(|doc| self.missing(doc, &self.standing(doc)).is_empty());
        }
        let mut digests = self.running().map(|(_, engine)| engine.digest());
        let first = digests.next();
        digests.all(|digest| Some(digest) == first)
            && self.running().all(|(_, engine)| {
                let mut held = engine.held_documents().filter_map(|doc| engine.document_status(doc));
                held.all(|status| status.version == status.durable)
            })
    }

    /// How the nodes that run differ, if they do.
    ///
    /// # Panics
    /// If none runs.
    pub(super) fn difference(&self, kinds: &BTreeMap<DocId, Kind>) -> Option<NotEqual> {
        assert!(self.running().next().is_some(), "no node runs: nobody holds anything");
        let docs: BTreeSet<DocId> = self.running().flat_map(|(_, engine)| engine.held_documents()).collect();
        let (mut lacks, mut text) = (Vec::new(), String::new());
        // What one has deleted, the directory tells the others.
        for doc in docs.into_iter().filter(|doc| self.running().all(|(_, engine)| !engine.is_deleted(*doc))) {
            let standing = self.standing(doc);
            let missing = self.missing(doc, &standing);
            if missing.is_empty() && self.is_same(doc) {
                continue;
            }
            _ = writeln!(text, "{}:", self.names.document(doc));
            for (node, status) in &standing {
                _ = write!(text, "  {} is at {}", self.name(*node), self.names.version(&status.version));
                if status.durable != status.version {
                    _ = write!(text, ", of which {} is durable", self.names.version(&status.durable));
                }
                text.push('\n');
            }
            if let Some(kind) = kinds.get(&doc) {
                let values: Vec<(&str, Plain)> = self
                    .running()
                    .filter(|(_, engine)| self.wants(engine, doc))
                    .map(|(node, _)| (self.name(node), (kind.plain)(self, node, doc)))
                    .collect();
                for line in differences(&values) {
                    _ = writeln!(text, "  {line}");
                }
            }
            lacks.extend(missing);
        }
        (!text.is_empty()).then(|| NotEqual { account: self.account(&lacks, &text), lacks })
    }

    /// How a document stands at all that run and are to hold it.
    fn standing(&self, doc: DocId) -> Vec<(usize, DocumentStatus)> {
        let wanting = self.running().filter(|(_, engine)| self.wants(engine, doc));
        wanting.map(|(node, engine)| (node, status(engine, doc))).collect()
    }

    fn missing(&self, doc: DocId, standing: &[(usize, DocumentStatus)]) -> Vec<Lack> {
        let mut all = Version::default();
        standing.iter().for_each(|(_, status)| all.join(&status.version));
        let lack = |(node, status): &(usize, DocumentStatus)| {
            let changes = all.ahead_of(&status.version);
            let holders = standing.iter().filter(|(_, other)| other.version.ahead_of(&status.version) > 0);
            let holders = holders.map(|(other, _)| NodeId(*other)).collect();
            let is_level = changes == 0 && status.version == status.durable;
            let document = self.names.document(doc);
            (!is_level).then_some(Lack { node: NodeId(*node), document, changes, holders })
        };
        standing.iter().filter_map(lack).collect()
    }

    /// Whether all that run and hold something of a document hold the same bytes.
    fn is_same(&self, doc: DocId) -> bool {
        // Of what is empty who has opened it holds something.
        let wanting = self.running().filter(|(_, engine)| self.wants(engine, doc));
        let mut states = wanting.filter_map(|(node, _)| self.canonical(node, doc));
        let first = states.next();
        states.all(|state| Some(state) == first)
    }

    fn account(&self, lacks: &[Lack], documents: &str) -> String {
        let (seconds, seed) = (Duration::from_millis(self.now).as_secs_f64(), self.seed);
        let mut text = format!("not all nodes hold the same after {seconds:.3} s (seed {seed})\n");
        for Lack { node, document, changes, holders } in lacks {
            let who = self.name(node.0);
            let holders: Vec<&str> = holders.iter().map(|holder| self.name(holder.0)).collect();
            let holders = holders.join(" and ");
            _ = match changes {
                0 => writeln!(text, "{who} has changes of {document} that are not on its disk yet"),
                1 => writeln!(text, "{who} lacks 1 change of {document}, to be had from {holders}"),
                _ => writeln!(text, "{who} lacks {changes} changes of {document}, to be had from {holders}"),
            };
        }
        if lacks.is_empty() {
            text += "all have the same changes, and hold different values: a bug of the type\n";
        }
        text += documents;
        for node in (0..self.len()).filter(|node| !self.runs(*node)) {
            _ = writeln!(text, "{} is down and does not count", self.name(node));
        }
        for (from, to) in (0..self.len()).flat_map(|from| (0..self.len()).map(move |to| (from, to))) {
            let state = self.links.link(from, to).state;
            if state != LinkState::Up && from != to {
                let how = if state == LinkState::Cut { "is cut" } else { "swallows everything" };
                _ = writeln!(text, "the link from {} to {} {how}", self.name(from), self.name(to));
            }
        }
        text += "what happened last:\n";
        let lines = self.trace.lines();
        for line in &lines[lines.len().saturating_sub(LAST)..] {
            _ = writeln!(text, "  {line}");
        }
        text
    }
}

/// How a document stands at a node, which may not have it.
fn status(engine: &Engine, doc: DocId) -> DocumentStatus {
    let none = || DocumentStatus {
        id: doc,
        version: Version::default(),
        durable: Version::default(),
        in_sync_with: 0,
        pending: 0,
        stable: Version::default(),
        diverged: Vec::new(),
    };
    engine.document_status(doc).unwrap_or_else(none)
}
