//! The standard library's maps: what the hardware allows when nothing is replicated.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;

use crate::system::{Counter, Map, Message, Na, Remark, Replicated, Set, System, ordered_sum};

const LOCAL: &str = "is not replicated";

/// `BTreeMap`.
pub struct BTree;

impl System for BTree {
    fn name(&self) -> &'static str {
        "btreemap"
    }

    fn package(&self) -> Option<&'static str> {
        None
    }

    fn takes_part(&self, workload: &str) -> bool {
        matches!(workload, "counter" | "set" | "map" | "overwrite" | "types" | "growth")
    }

    fn remarks(&self) -> &'static [Remark] {
        &[Remark {
            place: "",
            same_promise: false,
            text: "the physical reference: no replication; saved by bincode",
        }]
    }

    fn counter(&self, _: u64) -> Na<Box<dyn Counter>> {
        Ok(Box::new(Number(0)))
    }

    fn set(&self, _: u64) -> Na<Box<dyn Set>> {
        Ok(Box::new(Keyed::<BTreeMap<String, ()>>::default()))
    }

    fn map(&self, _: u64) -> Na<Box<dyn Map>> {
        Ok(Box::new(Keyed::<BTreeMap<String, i64>>::default()))
    }
}

/// `HashMap`.
pub struct Hash;

impl System for Hash {
    fn name(&self) -> &'static str {
        "hashmap"
    }

    fn package(&self) -> Option<&'static str> {
        None
    }

    fn takes_part(&self, workload: &str) -> bool {
        matches!(workload, "set" | "map" | "overwrite" | "growth")
    }

    fn remarks(&self) -> &'static [Remark] {
        &[
            Remark {
                place: "",
                same_promise: false,
                text: "the physical reference: no replication; saved by bincode",
            },
            Remark { place: "map/iterate", same_promise: false, text: "collects and sorts" },
        ]
    }

    fn set(&self, _: u64) -> Na<Box<dyn Set>> {
        Ok(Box::new(Keyed::<HashMap<String, ()>>::default()))
    }

    fn map(&self, _: u64) -> Na<Box<dyn Map>> {
        Ok(Box::new(Keyed::<HashMap<String, i64>>::default()))
    }
}

struct Number(i64);

#[derive(Default)]
struct Keyed<M>(M);

macro_rules! local {
    ($type:ty) => {
        impl Replicated for $type {
            fn save(&mut self) -> Vec<u8> {
                bincode::serialize(&self.0).expect("it is plain data")
            }

            fn load(&mut self, bytes: &[u8]) {
                self.0 = bincode::deserialize(bytes).expect("it was saved");
            }

            fn version(&mut self) -> Vec<u8> {
                Vec::new()
            }

            fn since(&mut self, _: &[u8]) -> Na<Vec<u8>> {
                Err(LOCAL)
            }

            fn apply(&mut self, _: &[u8]) {
                unreachable!("it gives no differences")
            }
        }
    };
}

local!(Number);

impl Counter for Number {
    fn add_in_one(&mut self, n: u64) -> Na<()> {
        for _ in 0..n {
            self.0 = black_box(self.0 + 1);
        }
        Ok(())
    }

    fn add_each(&mut self, _: u64) -> Na<()> {
        Err("makes no deltas")
    }

    fn value(&mut self) -> i64 {
        self.0
    }
}

macro_rules! keyed {
    ($map:ident, $in_order:expr) => {
        local!(Keyed<$map<String, ()>>);
        local!(Keyed<$map<String, i64>>);

        impl Set for Keyed<$map<String, ()>> {
            fn add(&mut self, members: &[String]) {
                self.0.extend(members.iter().map(|member| (member.clone(), ())));
            }

            fn remove(&mut self, members: &[String]) {
                for member in members {
                    self.0.remove(member);
                }
            }

            fn members(&mut self) -> Vec<String> {
                self.0.keys().cloned().collect()
            }
        }

        impl Map for Keyed<$map<String, i64>> {
            fn set_in_one(&mut self, keys: &[String], values: &[i64]) {
                for (key, value) in keys.iter().zip(values) {
                    match self.0.get_mut(key) {
                        Some(there) => *there = *value,
                        None => drop(self.0.insert(key.clone(), *value)),
                    }
                }
            }

            fn set_each(&mut self, _: &[String], _: &[i64]) -> Na<()> {
                Err("makes no deltas")
            }

            fn get_all(&mut self, keys: &[String]) -> i64 {
                keys.iter().map(|key| self.0[key]).fold(0, i64::wrapping_add)
            }

            fn in_order(&mut self) -> i64 {
                let in_order: fn(&$map<String, i64>) -> i64 = $in_order;
                in_order(&self.0)
            }

            fn entries(&mut self) -> Vec<(String, i64)> {
                self.0.iter().map(|(key, value)| (key.clone(), *value)).collect()
            }

            fn push(&mut self, _: &[String], _: &[i64]) -> Na<Vec<Message>> {
                Err(LOCAL)
            }
        }
    };
}

keyed!(BTreeMap, |map| ordered_sum(map.values().copied()));
keyed!(HashMap, |map| {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    ordered_sum(entries.into_iter().map(|(_, value)| *value))
});
