//! `crdts` (rust-crdt): the types and their operations, encoded with bincode, since the crate derives serde only.
//!
//! It makes no deltas: a difference is the whole state. In an established session its operations are sent, which the
//! transport has to deliver exactly once and in order.

use crdts::{CmRDT, CvRDT, MVReg, Map as CrdtMap, Orswot, PNCounter};
use num_traits::ToPrimitive;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::system::{
    Counter, FIELDS, Map, Message, NEAREST, Na, Records, Remark, Replicated, Set, System, ordered_sum,
    record_key,
};

type Actor = u64;
type Register = MVReg<i64, Actor>;
type Fields = CrdtMap<String, Register, Actor>;

/// The crate.
pub struct Crdts;

impl System for Crdts {
    fn name(&self) -> &'static str {
        "crdts"
    }

    fn remarks(&self) -> &'static [Remark] {
        &[
            NEAREST,
            Remark {
                place: "counter/one_tx",
                same_promise: true,
                text: "has no transactions: operation by operation",
            },
            Remark {
                place: "set/add_remove",
                same_promise: true,
                text: "has no transactions: operation by operation",
            },
            Remark {
                place: "counter/merge_1000",
                same_promise: true,
                text: "whole states, which here are one entry each",
            },
            Remark { place: "set/merge", same_promise: false, text: "no deltas: sends its whole state" },
            Remark {
                place: "map/set",
                same_promise: true,
                text: "has no transactions: operation by operation",
            },
            Remark {
                place: "map/overwrite",
                same_promise: true,
                text: "has no transactions: operation by operation",
            },
            Remark { place: "map/merge", same_promise: false, text: "no deltas: sends its whole state" },
            Remark {
                place: "nested/edit",
                same_promise: false,
                text: "sends operations: exactly once and in order, or the replicas differ",
            },
            Remark { place: "nested/apply", same_promise: false, text: "operations, not deltas" },
            Remark {
                place: "sync-small/handshake",
                same_promise: false,
                text: "no deltas: sends its whole state",
            },
            Remark {
                place: "sync-small/push",
                same_promise: false,
                text: "sends operations: exactly once and in order, or the replicas differ",
            },
            Remark { place: "growth/delta", same_promise: false, text: "no deltas: sends its whole state" },
        ]
    }

    fn counter(&self, replica: u64) -> Na<Box<dyn Counter>> {
        Ok(Box::new(Of { actor: wide(replica), state: PNCounter::<Actor>::new() }))
    }

    fn set(&self, replica: u64) -> Na<Box<dyn Set>> {
        Ok(Box::new(Of { actor: wide(replica), state: Orswot::<String, Actor>::new() }))
    }

    fn map(&self, replica: u64) -> Na<Box<dyn Map>> {
        Ok(Box::new(Of { actor: wide(replica), state: CrdtMap::<String, Register, Actor>::new() }))
    }

    fn records(&self, replica: u64) -> Na<Box<dyn Records>> {
        Ok(Box::new(Of { actor: wide(replica), state: CrdtMap::<String, Fields, Actor>::new() }))
    }
}

/// A full-width actor.
fn wide(replica: u64) -> Actor {
    replica.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

struct Of<T> {
    actor: Actor,
    state: T,
}

/// What goes over the wire.
#[derive(Serialize, Deserialize)]
enum Sent<S, O> {
    State(S),
    Operation(O),
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    bincode::serialize(value).expect("it is plain data")
}

impl<T> Replicated for Of<T>
where
    T: CvRDT + CmRDT + Serialize + DeserializeOwned,
    T::Op: Serialize + DeserializeOwned,
{
    fn save(&mut self) -> Vec<u8> {
        encode(&self.state)
    }

    fn load(&mut self, bytes: &[u8]) {
        self.state = bincode::deserialize(bytes).expect("it was saved");
    }

    fn version(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn since(&mut self, _: &[u8]) -> Na<Vec<u8>> {
        Ok(encode(&Sent::<&T, ()>::State(&self.state)))
    }

    fn apply(&mut self, bytes: &[u8]) {
        match bincode::deserialize(bytes).expect("it was encoded") {
            Sent::<T, T::Op>::State(state) => self.state.merge(state),
            Sent::Operation(operation) => self.state.apply(operation),
        }
    }
}

impl Counter for Of<PNCounter<Actor>> {
    fn add_in_one(&mut self, n: u64) -> Na<()> {
        for _ in 0..n {
            let operation = self.state.inc(self.actor);
            self.state.apply(operation);
        }
        Ok(())
    }

    fn add_each(&mut self, _: u64) -> Na<()> {
        Err("makes no deltas")
    }

    fn value(&mut self) -> i64 {
        self.state.read().to_i64().expect("it is small")
    }
}

impl Set for Of<Orswot<String, Actor>> {
    fn add(&mut self, members: &[String]) {
        for member in members {
            let context = self.state.read_ctx().derive_add_ctx(self.actor);
            let operation = self.state.add(member.clone(), context);
            self.state.apply(operation);
        }
    }

    fn remove(&mut self, members: &[String]) {
        for member in members {
            let context = self.state.contains(member).derive_rm_ctx();
            let operation = self.state.rm(member.clone(), context);
            self.state.apply(operation);
        }
    }

    fn members(&mut self) -> Vec<String> {
        self.state.iter().map(|member| member.val.clone()).collect()
    }
}

impl Of<CrdtMap<String, Register, Actor>> {
    fn set(&mut self, key: &str, value: i64) -> <CrdtMap<String, Register, Actor> as CmRDT>::Op {
        let context = self.state.read_ctx().derive_add_ctx(self.actor);
        let operation = self.state.update(key, context, |register, context| register.write(value, context));
        self.state.apply(operation.clone());
        operation
    }
}

fn only(values: Vec<i64>) -> i64 {
    assert_eq!(values.len(), 1, "nobody wrote at the same time");
    values[0]
}

impl Map for Of<CrdtMap<String, Register, Actor>> {
    fn set_in_one(&mut self, keys: &[String], values: &[i64]) {
        for (key, value) in keys.iter().zip(values) {
            let context = self.state.read_ctx().derive_add_ctx(self.actor);
            let operation =
                self.state.update(key.as_str(), context, |register, context| register.write(*value, context));
            self.state.apply(operation);
        }
    }

    fn set_each(&mut self, _: &[String], _: &[i64]) -> Na<()> {
        Err("makes no deltas")
    }

    fn get_all(&mut self, keys: &[String]) -> i64 {
        let get = |key| only(self.state.get(key).val.expect("it was set").read().val);
        keys.iter().map(get).fold(0, i64::wrapping_add)
    }

    fn in_order(&mut self) -> i64 {
        ordered_sum(self.state.iter().map(|entry| only(entry.val.1.read().val)))
    }

    fn entries(&mut self) -> Vec<(String, i64)> {
        self.state.iter().map(|entry| (entry.val.0.clone(), only(entry.val.1.read().val))).collect()
    }

    fn push(&mut self, keys: &[String], values: &[i64]) -> Na<Vec<Message>> {
        let sets = keys.iter().zip(values).map(|(key, value)| self.set(key, *value));
        Ok(sets.map(|operation| Message::Difference(encode(&Sent::<(), _>::Operation(operation)))).collect())
    }
}

impl Of<CrdtMap<String, Fields, Actor>> {
    fn set(
        &mut self,
        record: usize,
        field: usize,
        value: i64,
    ) -> <CrdtMap<String, Fields, Actor> as CmRDT>::Op {
        let context = self.state.read_ctx().derive_add_ctx(self.actor);
        let operation = self.state.update(record_key(record), context, |fields, context| {
            fields.update(FIELDS[field], context, |register, context| register.write(value, context))
        });
        self.state.apply(operation.clone());
        operation
    }
}

impl Records for Of<CrdtMap<String, Fields, Actor>> {
    fn create(&mut self, values: &[[i64; 10]]) {
        for (record, values) in values.iter().enumerate() {
            values.iter().enumerate().for_each(|(field, value)| drop(self.set(record, field, *value)));
        }
    }

    fn edit(&mut self, record: usize, field: usize, value: i64) -> Vec<u8> {
        encode(&Sent::<(), _>::Operation(self.set(record, field, value)))
    }

    fn record(&mut self, record: usize) -> [i64; 10] {
        let fields = self.state.get(&record_key(record)).val.expect("it was made");
        FIELDS.map(|field| only(fields.get(&field.to_owned()).val.expect("it was set").read().val))
    }
}
