//! What a network keeps beside what drives it: what nodes have heard, and writes that have not come to an end.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tombolo_crdt::Version;

use super::commit::Fate;
use super::machinery::{Core, Host};
use crate::DocId;
use crate::engine::wire::Frame;
use crate::engine::{BatchId, Event, Origin, Step};

/// How many lines of what happened are kept.
const TRACE: usize = 1_000;

/// A write that is neither durable nor lost yet.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) node: usize,
    pub(super) batch: BatchId,
    pub(super) doc: DocId,
    /// What its node knew after it. What is handed to the disk becomes durable in order.
    pub(super) version: Version,
    pub(super) fate: Arc<OnceLock<Fate>>,
}

#[derive(Debug)]
pub(super) struct Stage {
    core: Core,
    pub(super) seed: u64,
    /// What each node has heard and was not asked for.
    pub(super) heard: Vec<Vec<Event>>,
    pub(super) open: Vec<Open>,
    /// What those who watch have not been told yet: node, document, and steps.
    pub(super) watched: Vec<Weak<Untold>>,
}

/// What one who watches has not been told yet.
#[derive(Debug)]
pub(super) struct Untold {
    pub(super) node: usize,
    pub(super) doc: DocId,
    pub(super) steps: Mutex<Vec<Step>>,
}

impl Stage {
    pub(super) fn new(seed: u64) -> Self {
        let mut core = Core::new(seed);
        core.trace.keep_last(TRACE);
        core.gossip_in_turn = false;
        core.names.documents.insert(DocId::DIRECTORY, "the directory".to_owned());
        Self { core, seed, heard: Vec::new(), open: Vec::new(), watched: Vec::new() }
    }

    /// Ends a node's writes of which `fate` knows.
    fn end(&mut self, node: usize, fate: impl Fn(&Core, &Open) -> Option<Fate>) {
        let core = &self.core;
        self.open.retain(|open| {
            let ended = if open.node == node { fate(core, open) } else { None };
            // Nobody else sets it.
            ended.is_none_or(|fate| open.fate.set(fate).is_err())
        });
    }

    /// What a peer is called.
    fn name_of(&self, peer: crate::PeerId) -> String {
        self.index_of(peer).map_or_else(|| format!("{peer:?}"), |node| self.name(node).to_owned())
    }

    fn note_event(&mut self, node: usize, event: &Event) {
        let what = match event {
            Event::Changed { doc, origin, version } => {
                let from = match origin {
                    Origin::Local => "written here".to_owned(),
                    Origin::Peer(peer) => format!("from {}", self.name_of(*peer)),
                    Origin::Renamed => "under another id".to_owned(),
                    Origin::Swept => "with removals forgotten".to_owned(),
                    Origin::Undone => "undone".to_owned(),
                };
                format!("has {} at {}, {from}", self.names.document(*doc), self.names.version(version))
            }
            Event::NotDurable { reason, .. } => format!("loses writes: {reason}"),
            Event::PeerReady { peer } => format!("is connected with {}", self.name_of(*peer)),
            Event::Refused { peer, reason } => {
                format!("and {} refuse each other: {reason}", self.name_of(*peer))
            }
            _ => return,
        };
        self.note(|core| format!("{} {what}", core.name(node)));
    }
}

impl Deref for Stage {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl DerefMut for Stage {
    fn deref_mut(&mut self) -> &mut Core {
        &mut self.core
    }
}

impl Host for Stage {
    fn broken(&mut self, what: String) {
        panic!("{what} (seed {})", self.seed);
    }

    fn event(&mut self, node: usize, event: Event) {
        self.note_event(node, &event);
        match &event {
            Event::Durable(batch) => {
                self.end(node, |_, open| (open.batch <= *batch).then_some(Fate::Durable));
            }
            Event::NotDurable { kept, last, .. } => {
                let is_lost = |open: &Open| open.batch > *kept && open.batch <= *last;
                self.end(node, |_, open| is_lost(open).then_some(Fate::Lost));
            }
            Event::Watched { doc, step } => {
                self.watched.retain(|untold| untold.strong_count() > 0);
                let all = self.watched.iter().filter_map(Weak::upgrade);
                for untold in all.filter(|untold| (untold.node, untold.doc) == (node, *doc)) {
                    untold.steps.lock().unwrap_or_else(PoisonError::into_inner).push(step.clone());
                }
                return;
            }
            // They say only that somebody may want to look.
            Event::Progress | Event::Awaited(_) => return,
            _ => {}
        }
        self.heard[node].push(event);
    }

    fn crashed(&mut self, node: usize) {
        self.watched.retain(|untold| untold.upgrade().is_some_and(|untold| untold.node != node));
        // What is on the disk will be there again, whether the process was told or not.
        self.end(node, |core, open| {
            let is_kept = core.nodes[node].disk.version(open.doc).dominates(&open.version);
            Some(if is_kept { Fate::Durable } else { Fate::Lost })
        });
    }

    fn is_noted(&self, frame: &Frame) -> bool {
        !matches!(frame, Frame::Beat { .. } | Frame::Echo { .. })
    }
}
