//! `yrs`: maps at the root of a document, default options, updates in the v1 encoding.
//!
//! Deleted content is dropped, its tombstones stay. A set is a map from member to `true`.

mod list;
mod text;

use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Any, Doc, In, Map as _, MapPrelim, MapRef, Out, ReadTxn, StateVector, Transact, Update};

use crate::system::{
    FIELDS, List, Map, Message, NEAREST, Na, Records, Remark, Replicated, Set, System, Text, ordered_sum,
    record_key,
};

/// The crate.
pub struct Yrs;

impl System for Yrs {
    fn name(&self) -> &'static str {
        "yrs"
    }

    fn remarks(&self) -> &'static [Remark] {
        &[
            NEAREST,
            Remark { place: "set", same_promise: true, text: "a map from member to true" },
            Remark {
                place: "map/iterate",
                same_promise: true,
                text: "iterates in no order: collects and sorts",
            },
            Remark { place: "text/save", same_promise: true, text: "in the v2 encoding, half as long as v1" },
            Remark {
                place: "marks",
                same_promise: true,
                text: "knows no mark that does not go on at its end: links do; saved in the v2 encoding",
            },
        ]
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

    fn records(&self, replica: u64) -> Na<Box<dyn Records>> {
        Ok(Box::new(Document::new(replica)))
    }
}

struct Document {
    doc: Doc,
    map: MapRef,
}

impl Document {
    fn new(replica: u64) -> Self {
        // 53 bits, as wide as ids are here.
        let doc = Doc::with_client_id(replica.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11);
        let map = doc.get_or_insert_map("map");
        Self { doc, map }
    }

    /// One transaction, and its update.
    fn set_one(&mut self, key: &str, value: i64) -> Vec<u8> {
        let mut transaction = self.doc.transact_mut();
        self.map.insert(&mut transaction, key, number(value));
        transaction.encode_update_v1()
    }
}

fn number(value: i64) -> Any {
    Any::from(value)
}

fn value_of(out: Out) -> i64 {
    match out {
        Out::Any(Any::Number(number)) => number.as_i64().expect("it was an integer"),
        other => panic!("{other:?} in place of a number"),
    }
}

impl Replicated for Document {
    fn save(&mut self) -> Vec<u8> {
        self.doc.transact().encode_state_as_update_v1(&StateVector::default())
    }

    fn load(&mut self, bytes: &[u8]) {
        self.apply(bytes);
    }

    fn version(&mut self) -> Vec<u8> {
        self.doc.transact().state_vector().encode_v1()
    }

    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>> {
        let version = StateVector::decode_v1(version).expect("it is a state vector");
        Ok(self.doc.transact().encode_diff_v1(&version))
    }

    fn apply(&mut self, bytes: &[u8]) {
        let update = Update::decode_v1(bytes).expect("it is an update");
        self.doc.transact_mut().apply_update(update).expect("it fits");
    }
}

impl Set for Document {
    fn add(&mut self, members: &[String]) {
        let mut transaction = self.doc.transact_mut();
        for member in members {
            self.map.insert(&mut transaction, member.as_str(), true);
        }
    }

    fn remove(&mut self, members: &[String]) {
        let mut transaction = self.doc.transact_mut();
        for member in members {
            self.map.remove(&mut transaction, member);
        }
    }

    fn members(&mut self) -> Vec<String> {
        let transaction = self.doc.transact();
        self.map.keys(&transaction).map(str::to_owned).collect()
    }
}

impl Map for Document {
    fn set_in_one(&mut self, keys: &[String], values: &[i64]) {
        let mut transaction = self.doc.transact_mut();
        for (key, value) in keys.iter().zip(values) {
            self.map.insert(&mut transaction, key.as_str(), number(*value));
        }
    }

    fn set_each(&mut self, keys: &[String], values: &[i64]) -> Na<()> {
        for (key, value) in keys.iter().zip(values) {
            self.map.insert(&mut self.doc.transact_mut(), key.as_str(), number(*value));
        }
        Ok(())
    }

    fn get_all(&mut self, keys: &[String]) -> i64 {
        let transaction = self.doc.transact();
        let get = |key: &String| value_of(self.map.get(&transaction, key).expect("it was set"));
        keys.iter().map(get).fold(0, i64::wrapping_add)
    }

    fn in_order(&mut self) -> i64 {
        let transaction = self.doc.transact();
        let mut entries: Vec<_> = self.map.iter(&transaction).collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        ordered_sum(entries.into_iter().map(|(_, value)| value_of(value)))
    }

    fn entries(&mut self) -> Vec<(String, i64)> {
        let transaction = self.doc.transact();
        self.map.iter(&transaction).map(|(key, value)| (key.to_owned(), value_of(value))).collect()
    }

    fn push(&mut self, keys: &[String], values: &[i64]) -> Na<Vec<Message>> {
        let updates = keys.iter().zip(values).map(|(key, value)| self.set_one(key, *value));
        Ok(updates.map(Message::Difference).collect())
    }
}

impl Records for Document {
    fn create(&mut self, values: &[[i64; 10]]) {
        let mut transaction = self.doc.transact_mut();
        for (record, values) in values.iter().enumerate() {
            let fields = FIELDS.iter().zip(values).map(|(field, value)| (*field, In::Any(number(*value))));
            self.map.insert(&mut transaction, record_key(record), MapPrelim::from_iter(fields));
        }
    }

    fn edit(&mut self, record: usize, field: usize, value: i64) -> Vec<u8> {
        let mut transaction = self.doc.transact_mut();
        let Some(Out::YMap(fields)) = self.map.get(&transaction, &record_key(record)) else {
            panic!("the record was made")
        };
        fields.insert(&mut transaction, FIELDS[field], number(value));
        transaction.encode_update_v1()
    }

    fn record(&mut self, record: usize) -> [i64; 10] {
        let transaction = self.doc.transact();
        let Some(Out::YMap(fields)) = self.map.get(&transaction, &record_key(record)) else {
            panic!("the record was made")
        };
        FIELDS.map(|field| value_of(fields.get(&transaction, field).expect("it was set")))
    }
}
