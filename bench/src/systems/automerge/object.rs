//! One object, made by the same first change everywhere. A version is the heads.

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{ActorId, Automerge as Document, ObjId, ObjType, ROOT, ReadDoc};

use super::{Of, actor};
use crate::system::{Na, Replicated};

const KEY: &str = "object";

/// A text or a list.
pub struct Object {
    of: Of,
    id: ObjId,
}

impl Object {
    pub fn new(replica: u64, kind: ObjType) -> Self {
        let mut doc = Document::new().with_actor(ActorId::from([0; 16].as_slice()));
        let mut transaction = doc.transaction();
        let id = transaction.put_object(ROOT, KEY, kind).expect("a root key");
        transaction.commit_with(CommitOptions::default().with_time(0));
        doc.set_actor(actor(replica));
        Self { of: Of::new(doc), id }
    }

    /// One transaction.
    pub fn write(&mut self, write: impl FnOnce(&mut Transaction<'_>, &ObjId)) {
        let id = &self.id;
        self.of.write(|transaction| write(transaction, id));
    }

    /// The transaction just made, in bytes.
    pub fn last(&mut self) -> Vec<u8> {
        self.of.doc.get_last_local_change().expect("it was just made").raw_bytes().to_vec()
    }

    pub fn doc(&self) -> (&Document, &ObjId) {
        (&self.of.doc, &self.id)
    }
}

impl Replicated for Object {
    fn save(&mut self) -> Vec<u8> {
        self.of.save()
    }

    fn load(&mut self, bytes: &[u8]) {
        self.of.load(bytes);
        let (_, id) = self.of.doc.get(ROOT, KEY).expect("a root key").expect("it was made");
        self.id = id;
    }

    fn version(&mut self) -> Vec<u8> {
        self.of.doc.get_heads().iter().flat_map(|hash| hash.0).collect()
    }

    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>> {
        self.of.since(version)
    }

    fn apply(&mut self, bytes: &[u8]) {
        self.of.apply(bytes);
    }
}
