//! Lists: one object, made by the same first change everywhere.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge as Document, ObjId, ObjType, ROOT, ReadDoc};

use super::{Of, actor};
use crate::system::{Insertion, List, Na, Replicated};

/// How many deltas it takes in one by one at most.
const MANY_DELTAS: usize = 5_000;

pub struct Listing {
    of: Of,
    list: ObjId,
}

impl Listing {
    pub fn new(replica: u64) -> Self {
        let mut doc = Document::new().with_actor(ActorId::from([0; 16].as_slice()));
        let mut transaction = doc.transaction();
        let list = transaction.put_object(ROOT, "list", ObjType::List).expect("a root key");
        transaction.commit_with(CommitOptions::default().with_time(0));
        doc.set_actor(actor(replica));
        Self { of: Of::new(doc), list }
    }

    fn make(&mut self, insertions: &[Insertion]) {
        let list = &self.list;
        self.of.write(|transaction| {
            for (at, value) in insertions {
                transaction.insert(list, *at, *value).expect("it fits");
            }
        });
    }
}

impl Replicated for Listing {
    fn save(&mut self) -> Vec<u8> {
        self.of.save()
    }

    fn load(&mut self, bytes: &[u8]) {
        self.of.load(bytes);
        let (_, list) = self.of.doc.get(ROOT, "list").expect("a root key").expect("it was made");
        self.list = list;
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

impl List for Listing {
    fn insert_in_one(&mut self, insertions: &[Insertion]) -> Na<()> {
        self.make(insertions);
        Ok(())
    }

    fn insert(&mut self, insertion: Insertion) -> Vec<u8> {
        self.make(&[insertion]);
        self.of.doc.get_last_local_change().expect("it was just made").raw_bytes().to_vec()
    }

    fn takes_in(&self, deltas: usize) -> Na<()> {
        if deltas <= MANY_DELTAS { Ok(()) } else { Err("for each it walks the whole list") }
    }

    fn read(&mut self) -> Vec<i64> {
        let number = |(value, _): (automerge::Value<'_>, ObjId)| value.as_i64().expect("it was a number");
        self.of.doc.values(&self.list).map(number).collect()
    }
}
