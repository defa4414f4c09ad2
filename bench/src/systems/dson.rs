//! `dson`: an `OrMap` of registers in a `CausalDotStore`, encoded with MessagePack as its source suggests.
//!
//! Many writes at once are one delta assembled by hand: a transaction of 100 000 keys is quadratic, and so is a delta a
//! key, since every join rebuilds the top-level map. `subset_for_inflation_from` finds additions only, so the live dots
//! travel with a version and what they miss is added with `compute_deletions_unknown_to`, as its documentation leaves to
//! the caller. A set is a map from member to `true`.

use std::num::NonZeroU64;

use dson::api::map::apply_to_register;
use dson::crdts::TypeVariantValue;
use dson::crdts::mvreg::MvRegValue;
use dson::crdts::snapshot::ToValue;
use dson::{
    CausalContext, CausalDotStore, ComputeDeletionsArg, DotStore, Identifier, MvReg, OrMap,
    compute_deletions_unknown_to,
};

use crate::system::{Map, Message, NEAREST, Na, Records, Remark, Replicated, Set, System, ordered_sum};

/// The crate.
pub struct Dson;

const QUADRATIC: &str = "every write rebuilds the top-level map: 100 000 did not finish in 120 s";

impl System for Dson {
    fn name(&self) -> &'static str {
        "dson"
    }

    fn remarks(&self) -> &'static [Remark] {
        const BULK: &str = "one delta assembled by hand and joined once";
        &[
            NEAREST,
            Remark { place: "set/add_remove", same_promise: true, text: BULK },
            Remark { place: "map/set", same_promise: true, text: BULK },
            Remark { place: "map/overwrite", same_promise: true, text: BULK },
            Remark {
                place: "map/iterate",
                same_promise: true,
                text: "iterates in no order: collects and sorts",
            },
        ]
    }

    fn set(&self, replica: u64) -> Na<Box<dyn Set>> {
        Ok(Box::new(Of::new(replica)))
    }

    fn map(&self, replica: u64) -> Na<Box<dyn Map>> {
        Ok(Box::new(Of::new(replica)))
    }

    fn records(&self, _: u64) -> Na<Box<dyn Records>> {
        Err(QUADRATIC)
    }
}

type Store = CausalDotStore<OrMap<String>>;

struct Of {
    id: Identifier,
    state: Store,
}

impl Of {
    fn new(replica: u64) -> Self {
        // Ids have 20 bits here.
        Self { id: Identifier::new(replica as u8, 1), state: Store::default() }
    }

    fn bulk<'k>(&mut self, writes: impl ExactSizeIterator<Item = (&'k String, MvRegValue)>) {
        let mut dot = self.state.context.next_dot_for(self.id);
        let (first, count) = (dot.sequence(), writes.len() as u64);
        let last = NonZeroU64::new(first.get() + count - 1).expect("it is not below the first");
        let interval = (first, (last > first).then_some(last));
        let mut context = CausalContext::from_intervals([(self.id, [interval])]).expect("one interval");
        let mut entries = Vec::with_capacity(writes.len());
        for (key, value) in writes {
            if let Some(old) = self.state.store.get(key) {
                old.add_dots_to(&mut context);
            }
            let mut reg = MvReg::default();
            reg.0.set(dot, value);
            entries.push((key.clone(), TypeVariantValue { reg, ..TypeVariantValue::default() }));
            dot = dot.successor();
        }
        self.state.join_or_replace_with(entries.into_iter().collect(), &context);
    }

    /// A delta and a join, as the documentation shows.
    fn set_one(&mut self, key: &str, value: i64) -> Store {
        let write = |register: &MvReg, context: &CausalContext, id| {
            register.write(MvRegValue::I64(value), context, id)
        };
        let delta = apply_to_register(write, key.to_owned())(&self.state.store, &self.state.context, self.id);
        self.state.join_or_replace_with(delta.store.clone(), &delta.context);
        delta
    }
}

fn number(value: &TypeVariantValue<dson::crdts::NoExtensionTypes>) -> i64 {
    match value.reg.value() {
        Ok(MvRegValue::I64(value)) => *value,
        other => panic!("{other:?} in place of a number"),
    }
}

impl Replicated for Of {
    fn save(&mut self) -> Vec<u8> {
        rmp_serde::to_vec(&self.state).expect("it is plain data")
    }

    fn load(&mut self, bytes: &[u8]) {
        self.state = rmp_serde::from_slice(bytes).expect("it was saved");
    }

    /// What is known, and which dots of it are live.
    fn version(&mut self) -> Vec<u8> {
        rmp_serde::to_vec(&(&self.state.context, self.state.store.dots())).expect("it is plain data")
    }

    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>> {
        let (context, live): (CausalContext, CausalContext) =
            rmp_serde::from_slice(version).expect("it is a version");
        let mut delta = self.state.subset_for_inflation_from(&context);
        delta.context.union(&compute_deletions_unknown_to(ComputeDeletionsArg {
            known_dots: &self.state.context,
            live_dots: &self.state.store.dots(),
            ignorant: &live,
        }));
        Ok(rmp_serde::to_vec(&delta).expect("it is plain data"))
    }

    fn apply(&mut self, bytes: &[u8]) {
        let delta: Store = rmp_serde::from_slice(bytes).expect("it is a delta");
        self.state.join_or_replace_with(delta.store, &delta.context);
    }
}

impl Set for Of {
    fn add(&mut self, members: &[String]) {
        self.bulk(members.iter().map(|member| (member, MvRegValue::Bool(true))));
    }

    fn remove(&mut self, members: &[String]) {
        let mut context = CausalContext::new();
        for member in members {
            if let Some(old) = self.state.store.get(member) {
                old.add_dots_to(&mut context);
            }
        }
        self.state.join_or_replace_with(OrMap::default(), &context);
    }

    fn members(&mut self) -> Vec<String> {
        self.state.store.inner().keys().cloned().collect()
    }
}

impl Map for Of {
    fn set_in_one(&mut self, keys: &[String], values: &[i64]) {
        self.bulk(keys.iter().zip(values.iter().map(|value| MvRegValue::I64(*value))));
    }

    fn set_each(&mut self, keys: &[String], values: &[i64]) -> Na<()> {
        if keys.len() > 1_000 || keys.len() * self.state.store.len() > 10_000_000 {
            return Err(QUADRATIC);
        }
        for (key, value) in keys.iter().zip(values) {
            std::hint::black_box(self.set_one(key, *value));
        }
        Ok(())
    }

    fn get_all(&mut self, keys: &[String]) -> i64 {
        let get = |key| number(self.state.store.get(key).expect("it was set"));
        keys.iter().map(get).fold(0, i64::wrapping_add)
    }

    fn in_order(&mut self) -> i64 {
        let mut entries: Vec<_> = self.state.store.inner().iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        ordered_sum(entries.into_iter().map(|(_, value)| number(value)))
    }

    fn entries(&mut self) -> Vec<(String, i64)> {
        self.state.store.inner().iter().map(|(key, value)| (key.clone(), number(value))).collect()
    }

    fn push(&mut self, keys: &[String], values: &[i64]) -> Na<Vec<Message>> {
        let deltas = keys.iter().zip(values).map(|(key, value)| self.set_one(key, *value));
        Ok(deltas
            .map(|delta| Message::Difference(rmp_serde::to_vec(&delta).expect("it is plain data")))
            .collect())
    }
}
