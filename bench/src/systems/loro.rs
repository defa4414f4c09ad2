//! `loro`: one document; what is saved is the state without history, and differences are updates since a version.
//!
//! A set is a map from member to `true`. A transaction is what lies between two commits.

mod list;
mod moves;
mod text;
mod tree;

use std::sync::{Arc, Mutex};

use loro::{ExportMode, LoroDoc, LoroMap, LoroValue, Subscription, ValueOrContainer, VersionVector};

use crate::system::{
    Counter, FIELDS, List, Map, Message, Movable, NEAREST, Na, Records, Remark, Replicated, Set, System,
    Text, Tree, ordered_sum, record_key,
};

/// The crate.
pub struct Loro;

impl System for Loro {
    fn name(&self) -> &'static str {
        "loro"
    }

    fn remarks(&self) -> &'static [Remark] {
        &[
            NEAREST,
            Remark { place: "counter/merge_1000", same_promise: true, text: "by import_batch" },
            Remark { place: "set", same_promise: true, text: "a map from member to true; keeps its history" },
            Remark { place: "set/save", same_promise: true, text: "StateOnly: without its history" },
            Remark { place: "list", same_promise: true, text: "StateOnly: without its history" },
            Remark { place: "moves/save", same_promise: true, text: "StateOnly: without its history" },
            Remark { place: "tree", same_promise: true, text: "what a node holds is in its map" },
            Remark { place: "tree/save", same_promise: true, text: "StateOnly: without its history" },
            Remark { place: "map/save", same_promise: true, text: "StateOnly: without its history" },
            Remark {
                place: "map/iterate",
                same_promise: true,
                text: "promises no order: collects and sorts",
            },
            Remark {
                place: "text/save",
                same_promise: true,
                text: "Snapshot: with its history, lz4 in it already",
            },
            Remark {
                place: "text/trimmed",
                same_promise: true,
                text: "the smaller of a shallow snapshot and StateOnly",
            },
            Remark { place: "text/catch_up", same_promise: true, text: "in one: Snapshot" },
            Remark {
                place: "marks/each",
                same_promise: true,
                text: "writes nothing where all letters say it already",
            },
            Remark {
                place: "marks/save",
                same_promise: true,
                text: "Snapshot: with its history, lz4 in it already",
            },
        ]
    }

    fn counter(&self, replica: u64) -> Na<Box<dyn Counter>> {
        Ok(Box::new(Document::new(replica)))
    }

    fn set(&self, replica: u64) -> Na<Box<dyn Set>> {
        Ok(Box::new(Document::new(replica)))
    }

    fn map(&self, replica: u64) -> Na<Box<dyn Map>> {
        Ok(Box::new(Document::new(replica)))
    }

    fn text(&self, replica: u64) -> Na<Box<dyn Text>> {
        Ok(Box::new(text::Writing::new(replica)))
    }

    fn list(&self, replica: u64) -> Na<Box<dyn List>> {
        Ok(Box::new(list::Listing::new(replica)))
    }

    fn movable(&self, replica: u64) -> Na<Box<dyn Movable>> {
        Ok(Box::new(moves::Moving::new(replica)))
    }

    fn tree(&self, replica: u64) -> Na<Box<dyn Tree>> {
        Ok(Box::new(tree::Growing::new(replica)))
    }

    fn records(&self, replica: u64) -> Na<Box<dyn Records>> {
        Ok(Box::new(Document::new(replica)))
    }
}

/// Where local updates are put.
type Sink = Arc<Mutex<Vec<Vec<u8>>>>;

struct Document {
    doc: LoroDoc,
    updates: Option<(Subscription, Sink)>,
}

impl Document {
    fn new(replica: u64) -> Self {
        let doc = LoroDoc::new();
        // 63 bits, as wide as ids are here.
        doc.set_peer_id(replica.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1).expect("nothing was written");
        Self { doc, updates: None }
    }

    fn map(&self) -> LoroMap {
        self.doc.get_map("map")
    }

    /// What the commits since the last call gave to `subscribe_local_update`.
    fn updates(&mut self) -> Vec<Vec<u8>> {
        let (_, updates) = self.updates.get_or_insert_with(|| {
            let updates = Sink::default();
            let sink = Arc::clone(&updates);
            let subscription = self.doc.subscribe_local_update(Box::new(move |update| {
                sink.lock().expect("nobody panics here").push(update.clone());
                true
            }));
            (subscription, updates)
        });
        std::mem::take(&mut *updates.lock().expect("nobody panics here"))
    }
}

fn number(value: Option<ValueOrContainer>) -> i64 {
    match value {
        Some(ValueOrContainer::Value(LoroValue::I64(value))) => value,
        other => panic!("{other:?} in place of a number"),
    }
}

impl Replicated for Document {
    fn save(&mut self) -> Vec<u8> {
        self.doc.export(ExportMode::StateOnly(None)).expect("it is attached")
    }

    /// Decoding is put off until something is read, so one value is.
    fn load(&mut self, bytes: &[u8]) {
        self.apply(bytes);
        std::hint::black_box((self.map().len(), self.map().get("absent"), Counter::value(self)));
    }

    fn version(&mut self) -> Vec<u8> {
        self.doc.oplog_vv().encode()
    }

    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>> {
        let version = VersionVector::decode(version).expect("it is a version vector");
        Ok(self.doc.export(ExportMode::updates(&version)).expect("it is attached"))
    }

    fn apply(&mut self, bytes: &[u8]) {
        self.doc.import(bytes).expect("they are updates");
    }

    fn apply_all(&mut self, many: &[Vec<u8>]) {
        self.doc.import_batch(many).expect("they are updates");
    }
}

impl Counter for Document {
    fn add_in_one(&mut self, n: u64) -> Na<()> {
        let counter = self.doc.get_counter("counter");
        (0..n).for_each(|_| counter.increment(1.0).expect("it is attached"));
        self.doc.commit();
        Ok(())
    }

    fn add_each(&mut self, n: u64) -> Na<()> {
        let counter = self.doc.get_counter("counter");
        for _ in 0..n {
            counter.increment(1.0).expect("it is attached");
            self.doc.commit();
        }
        Ok(())
    }

    fn value(&mut self) -> i64 {
        self.doc.get_counter("counter").get_value() as i64
    }
}

impl Set for Document {
    fn add(&mut self, members: &[String]) {
        let map = self.map();
        members.iter().for_each(|member| map.insert(member, true).expect("it is attached"));
        self.doc.commit();
    }

    fn remove(&mut self, members: &[String]) {
        let map = self.map();
        members.iter().for_each(|member| map.delete(member).expect("it is attached"));
        self.doc.commit();
    }

    fn members(&mut self) -> Vec<String> {
        self.map().keys().map(|key| key.to_string()).collect()
    }
}

impl Map for Document {
    fn set_in_one(&mut self, keys: &[String], values: &[i64]) {
        let map = self.map();
        keys.iter().zip(values).for_each(|(key, value)| map.insert(key, *value).expect("it is attached"));
        self.doc.commit();
    }

    fn set_each(&mut self, keys: &[String], values: &[i64]) -> Na<()> {
        let map = self.map();
        for (key, value) in keys.iter().zip(values) {
            map.insert(key, *value).expect("it is attached");
            self.doc.commit();
        }
        Ok(())
    }

    fn get_all(&mut self, keys: &[String]) -> i64 {
        let map = self.map();
        keys.iter().map(|key| number(map.get(key))).fold(0, i64::wrapping_add)
    }

    fn in_order(&mut self) -> i64 {
        let mut entries = self.entries();
        entries.sort_unstable();
        ordered_sum(entries.into_iter().map(|(_, value)| value))
    }

    fn entries(&mut self) -> Vec<(String, i64)> {
        let mut entries = Vec::new();
        self.map().for_each(|key, value| entries.push((key.to_owned(), number(Some(value)))));
        entries
    }

    fn push(&mut self, keys: &[String], values: &[i64]) -> Na<Vec<Message>> {
        self.updates();
        self.set_each(keys, values)?;
        Ok(self.updates().into_iter().map(Message::Difference).collect())
    }
}

impl Records for Document {
    fn create(&mut self, values: &[[i64; 10]]) {
        let map = self.map();
        for (record, values) in values.iter().enumerate() {
            let fields = map.insert_container(&record_key(record), LoroMap::new()).expect("it is attached");
            for (field, value) in FIELDS.iter().zip(values) {
                fields.insert(field, *value).expect("it is attached");
            }
        }
        self.doc.commit();
    }

    fn edit(&mut self, record: usize, field: usize, value: i64) -> Vec<u8> {
        self.updates();
        fields(&self.map(), record).insert(FIELDS[field], value).expect("it is attached");
        self.doc.commit();
        self.updates().pop().expect("the commit gave an update")
    }

    fn record(&mut self, record: usize) -> [i64; 10] {
        let fields = fields(&self.map(), record);
        FIELDS.map(|field| number(fields.get(field)))
    }
}

fn fields(map: &LoroMap, record: usize) -> LoroMap {
    let fields = map.get(&record_key(record)).expect("it was made");
    fields.into_container().expect("it is a container").into_map().expect("it is a map")
}
