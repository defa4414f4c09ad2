//! Other names for what a replica wrote.
//!
//! Events are named by dots, which the delta tree keeps by themselves, and by what stands in keys and contents: the names of elements that
//! can be moved, what runs of a text hang on, where marks end, what sums stand for. All of these are known by where they stand and
//! how they are told, so that a document can be given other names which nobody has opened.

use super::Opaque;
use super::opaque::Place;
use crate::causal::{Dot, ReplicaId};

/// What one replica id wrote after some event is another's, whose events count from there
/// ([`Replica::disown`](crate::Replica::disown)).
#[derive(Debug)]
pub(crate) struct Renaming {
    pub(crate) of: ReplicaId,
    pub(crate) after: u64,
    pub(crate) id: ReplicaId,
}

impl Renaming {
    /// Has what is named by dots have other names; the dots themselves are called otherwise already.
    pub(crate) fn rename(&self, state: &mut Opaque) {
        state.rename(self, Place::Value);
    }

    /// What an event is called, if that is another name.
    pub(crate) fn dot(&self, dot: Dot) -> Option<Dot> {
        let is_about = dot.replica == self.of && dot.counter > self.after;
        is_about.then(|| Dot { replica: self.id, counter: dot.counter - self.after })
    }
}
