//! `automerge`: a document with explicit transactions. It keeps the full history, and its saved form is deflated already.
//!
//! Meeting strangers and sessions use its sync protocol. For `merge` the changes the other side lacks are sent instead:
//! the protocol sends the whole document where more than a third of the changes is lacking, which a document of few large
//! changes meets at once. A set is a map from member to `true`.

mod list;
mod object;
mod text;

use automerge::sync::{self, SyncDoc};
use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{ActorId, Automerge as Document, ChangeHash, ObjType, ROOT, ReadDoc, ScalarValue, Value};

use crate::system::{
    Counter, FIELDS, List, Map, Message, NEAREST, Na, Records, Remark, Replicated, Set, System, Text,
    ordered_sum, record_key,
};

/// The crate.
pub struct Automerge;

impl System for Automerge {
    fn name(&self) -> &'static str {
        "automerge"
    }

    fn remarks(&self) -> &'static [Remark] {
        &[
            NEAREST,
            Remark { place: "set", same_promise: true, text: "a map from member to true; keeps its history" },
            Remark { place: "set/save", same_promise: true, text: "the full history, deflated already" },
            Remark { place: "list", same_promise: true, text: "the full history, deflated already" },
            Remark { place: "map/save", same_promise: true, text: "the full history, deflated already" },
            Remark { place: "nested/save", same_promise: true, text: "the full history, deflated already" },
            Remark { place: "text/save", same_promise: true, text: "the full history, deflated already" },
            Remark { place: "marks/save", same_promise: true, text: "the full history, deflated already" },
        ]
    }

    fn counter(&self, replica: u64) -> Na<Box<dyn Counter>> {
        let mut doc = Document::new().with_actor(ActorId::from([0; 16].as_slice()));
        let mut transaction = doc.transaction();
        transaction.put(ROOT, "counter", ScalarValue::counter(0)).expect("a root key");
        // The same first change everywhere: all count on one counter.
        transaction.commit_with(CommitOptions::default().with_time(0));
        doc.set_actor(actor(replica));
        Ok(Box::new(Of::new(doc)))
    }

    fn set(&self, replica: u64) -> Na<Box<dyn Set>> {
        Ok(Box::new(Of::empty(replica)))
    }

    fn map(&self, replica: u64) -> Na<Box<dyn Map>> {
        Ok(Box::new(Of::empty(replica)))
    }

    fn text(&self, replica: u64) -> Na<Box<dyn Text>> {
        Ok(Box::new(object::Object::new(replica, ObjType::Text)))
    }

    fn list(&self, replica: u64) -> Na<Box<dyn List>> {
        Ok(Box::new(object::Object::new(replica, ObjType::List)))
    }

    fn records(&self, replica: u64) -> Na<Box<dyn Records>> {
        Ok(Box::new(Of::empty(replica)))
    }
}

/// 16 bytes, as wide as ids are here.
fn actor(replica: u64) -> ActorId {
    let mut bytes = [0x5a; 16];
    bytes[8..].copy_from_slice(&replica.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    ActorId::from(bytes.as_slice())
}

struct Of {
    doc: Document,
    session: sync::State,
}

impl Of {
    fn new(doc: Document) -> Self {
        Self { doc, session: sync::State::new() }
    }

    fn empty(replica: u64) -> Self {
        Self::new(Document::new().with_actor(actor(replica)))
    }

    fn write(&mut self, write: impl FnOnce(&mut Transaction<'_>)) {
        let mut transaction = self.doc.transaction();
        write(&mut transaction);
        transaction.commit_with(CommitOptions::default().with_time(0));
    }

    fn set_one(&mut self, key: &str, value: i64) {
        self.write(|transaction| transaction.put(ROOT, key, value).expect("a root key"));
    }

    fn next(&mut self) -> Vec<Message> {
        let message = self.doc.generate_sync_message(&mut self.session);
        message.map(|message| Message::Difference(message.encode())).into_iter().collect()
    }
}

fn number(value: &Value<'_>) -> i64 {
    value.as_i64().expect("it was an integer")
}

impl Replicated for Of {
    fn save(&mut self) -> Vec<u8> {
        self.doc.save()
    }

    fn load(&mut self, bytes: &[u8]) {
        let actor = self.doc.get_actor().clone();
        self.doc = Document::load(bytes).expect("it was saved").with_actor(actor);
    }

    /// The hashes of all changes: what both sides have is then known to both.
    fn version(&mut self) -> Vec<u8> {
        self.doc.get_changes(&[]).iter().flat_map(|change| change.hash().0).collect()
    }

    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>> {
        let theirs = version.chunks_exact(32).map(|hash| ChangeHash::try_from(hash).expect("32 bytes"));
        let both: Vec<ChangeHash> =
            theirs.filter(|hash| self.doc.get_change_meta_by_hash(hash).is_some()).collect();
        Ok(self.doc.save_after(&both))
    }

    fn apply(&mut self, bytes: &[u8]) {
        self.doc.load_incremental(bytes).expect("they are changes");
    }

    fn greet(&mut self) -> Vec<Message> {
        self.session = sync::State::new();
        self.next()
    }

    fn answer(&mut self, message: &Message) -> Vec<Message> {
        let message = sync::Message::decode(message.bytes()).expect("it is a sync message");
        self.doc.receive_sync_message(&mut self.session, message).expect("it fits");
        self.next()
    }
}

impl Counter for Of {
    fn add_in_one(&mut self, n: u64) -> Na<()> {
        if n > 10_000 {
            return Err(
                "each increment costs in proportion to those before: 10 000 take 0.9 s, a million hours",
            );
        }
        self.write(|transaction| {
            (0..n).for_each(|_| transaction.increment(ROOT, "counter", 1).expect("it is a counter"));
        });
        Ok(())
    }

    fn add_each(&mut self, n: u64) -> Na<()> {
        if n > 10_000 {
            return Err(
                "each increment costs in proportion to those before: 10 000 take 0.9 s, a million hours",
            );
        }
        (0..n).try_for_each(|_| self.add_in_one(1))
    }

    fn value(&mut self) -> i64 {
        let (value, _) = self.doc.get(ROOT, "counter").expect("a root key").expect("it was put");
        number(&value)
    }
}

impl Set for Of {
    fn add(&mut self, members: &[String]) {
        self.write(|transaction| {
            for member in members {
                transaction.put(ROOT, member, true).expect("a root key");
            }
        });
    }

    fn remove(&mut self, members: &[String]) {
        self.write(|transaction| {
            for member in members {
                transaction.delete(ROOT, member.as_str()).expect("a root key");
            }
        });
    }

    fn members(&mut self) -> Vec<String> {
        self.doc.keys(ROOT).collect()
    }
}

impl Map for Of {
    fn set_in_one(&mut self, keys: &[String], values: &[i64]) {
        self.write(|transaction| {
            for (key, value) in keys.iter().zip(values) {
                transaction.put(ROOT, key, *value).expect("a root key");
            }
        });
    }

    fn set_each(&mut self, keys: &[String], values: &[i64]) -> Na<()> {
        keys.iter().zip(values).for_each(|(key, value)| self.set_one(key, *value));
        Ok(())
    }

    fn get_all(&mut self, keys: &[String]) -> i64 {
        let get = |key: &String| number(&self.doc.get(ROOT, key).expect("a root key").expect("it was set").0);
        keys.iter().map(get).fold(0, i64::wrapping_add)
    }

    fn in_order(&mut self) -> i64 {
        ordered_sum(self.doc.map_range(ROOT, ..).map(|item| number(&item.value.into())))
    }

    fn entries(&mut self) -> Vec<(String, i64)> {
        self.doc.map_range(ROOT, ..).map(|item| (item.key.to_string(), number(&item.value.into()))).collect()
    }

    fn push(&mut self, keys: &[String], values: &[i64]) -> Na<Vec<Message>> {
        self.set_each(keys, values)?;
        Ok(self.next())
    }
}

impl Records for Of {
    fn create(&mut self, values: &[[i64; 10]]) {
        self.write(|transaction| {
            for (record, values) in values.iter().enumerate() {
                let object =
                    transaction.put_object(ROOT, record_key(record), ObjType::Map).expect("a root key");
                for (field, value) in FIELDS.iter().zip(values) {
                    transaction.put(&object, *field, *value).expect("it is a map");
                }
            }
        });
    }

    fn edit(&mut self, record: usize, field: usize, value: i64) -> Vec<u8> {
        let (_, object) = self.doc.get(ROOT, record_key(record)).expect("a root key").expect("it was made");
        self.write(|transaction| transaction.put(&object, FIELDS[field], value).expect("it is a map"));
        self.doc.get_last_local_change().expect("it was just made").raw_bytes().to_vec()
    }

    fn record(&mut self, record: usize) -> [i64; 10] {
        let (_, object) = self.doc.get(ROOT, record_key(record)).expect("a root key").expect("it was made");
        FIELDS.map(|field| number(&self.doc.get(&object, field).expect("a map").expect("it was set").0))
    }
}
