//! Text: one object, made by the same first change everywhere. A version is the heads.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge as Document, ObjId, ObjType, ROOT, ReadDoc};

use super::{Of, actor};
use crate::system::{Edit, Na, Replicated, Text};

/// How many letters it is given at most: each costs about ten microseconds.
const MANY: usize = 1_000_000;
/// How many deltas it takes in one by one at most.
const MANY_DELTAS: usize = 5_000;

pub struct Writing {
    of: Of,
    text: ObjId,
}

impl Writing {
    pub fn new(replica: u64) -> Self {
        let mut doc = Document::new().with_actor(ActorId::from([0; 16].as_slice()));
        let mut transaction = doc.transaction();
        let text = transaction.put_object(ROOT, "text", ObjType::Text).expect("a root key");
        transaction.commit_with(CommitOptions::default().with_time(0));
        doc.set_actor(actor(replica));
        Self { of: Of::new(doc), text }
    }

    fn make(&mut self, edits: &[Edit]) {
        let text = &self.text;
        self.of.write(|transaction| {
            for Edit { at, delete, insert } in edits {
                transaction.splice_text(text, *at, *delete as isize, insert).expect("it fits");
            }
        });
    }
}

impl Replicated for Writing {
    fn save(&mut self) -> Vec<u8> {
        self.of.save()
    }

    fn load(&mut self, bytes: &[u8]) {
        self.of.load(bytes);
        let (_, text) = self.of.doc.get(ROOT, "text").expect("a root key").expect("it was made");
        self.text = text;
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

impl Text for Writing {
    fn write_in_one(&mut self, edits: &[Edit]) -> Na<()> {
        if edits.iter().map(|edit| edit.insert.len()).sum::<usize>() > MANY {
            return Err("each letter takes about 10 us, so 10 MB take minutes");
        }
        self.make(edits);
        Ok(())
    }

    fn write(&mut self, edit: &Edit) -> Vec<u8> {
        self.make(std::slice::from_ref(edit));
        self.of.doc.get_last_local_change().expect("it was just made").raw_bytes().to_vec()
    }

    fn takes_in(&self, deltas: usize) -> Na<()> {
        if deltas <= MANY_DELTAS { Ok(()) } else { Err("for each it walks the whole text: over two minutes") }
    }

    fn read(&mut self) -> String {
        self.of.doc.text(&self.text).expect("it is a text")
    }
}
