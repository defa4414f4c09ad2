//! Under which replica id we write, and what we do when a peer knows more of it than we do.
//!
//! Nothing leaves a store before it is durable, so nobody can know of us what we do not know ourselves, unless the store was set
//! back, with all that could have told so, or another goes by the same id: a snapshot of a whole machine does both.
//! - Nothing was written here since the start: what we hold is a past of what the peer holds. We go on under a new id, and take in
//!   what we had forgotten.
//! - Something was written: it may stand under dots that the peer has for something else, and to take in the rest would mix the
//!   two. What the peer has of us is refused, and the application is told.

use rand::Rng as _;
use tombolo_crdt::ReplicaId;

use super::effect::Event;
use super::{Engine, document};
use crate::store::Write;
use crate::{DocId, PeerId};

/// The replica id stands under this name in the store.
pub const REPLICA_RECORD: &str = "identity/replica";

impl Engine {
    /// A peer knows more of what we wrote than we do. Says whether we go on under a new id, so that it can be taken in.
    pub(super) fn overtaken(&mut self, doc: DocId, peer: PeerId) -> bool {
        let forked = self.has_written;
        let old = self.us.replica;
        if forked {
            tracing::error!(%doc, %peer, replica = %old, "another store writes under our replica id; nothing of that is taken in");
        } else {
            let mut id = [0; 16];
            self.rng.fill_bytes(&mut id);
            self.incarnate(ReplicaId::from_bytes(id));
            tracing::warn!(%doc, %peer, %old, new = %self.us.replica, "a peer knows what we wrote and do not have; going on under a new replica id");
        }
        self.event(Event::Overtaken { doc, peer, forked });
        !forked
    }

    fn incarnate(&mut self, replica: ReplicaId) {
        self.us = document::Us { replica, ..self.us };
        self.config.replica = replica;
        for slot in self.documents.values_mut() {
            slot.body.write_as(replica);
        }
        // In order with everything that will be written under it.
        let record = Write::Put { key: REPLICA_RECORD.to_owned(), value: replica.as_bytes().to_vec() };
        self.submit_others(vec![record]);
    }
}
