//! What the nodes write, and what all of it must add up to.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, RngExt};
use serde_json::{Value, json};

use crate::args::{Concern, CounterVerb, FlagVerb, MapVerb, RegisterVerb, SetVerb};
use crate::name::Name;
use crate::request::Request;

/// One write, by one node.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    /// Adds to the counter `visits`, or subtracts.
    Count(i64),
    /// Adds to the set `labels` what nobody else ever adds.
    Add(String),
    /// Removes from the set `labels` what this node added and nobody else touches.
    Remove(String),
    /// Writes a key of the map `board` that only this node writes.
    Put(String, String),
    /// Enables the flag `open`. Nobody disables it.
    Enable,
    /// Writes the register `title`, as others do at the same time.
    Title(String),
}

fn name(text: &str) -> Name {
    text.parse().expect("the demo's names are names")
}

impl Write {
    /// A write for node number `node`, which has `own` elements in the set.
    pub(super) fn random(node: usize, serial: u32, own: &BTreeSet<String>, rng: &mut impl Rng) -> Self {
        match rng.random_range(0..100) {
            0..40 => Self::Count(rng.random_range(-2..=5_i64)),
            40..65 => Self::Add(format!("node {node}, label {serial}")),
            65..75 => match own.iter().nth(rng.random_range(0..own.len().max(1))) {
                Some(element) => Self::Remove(element.clone()),
                None => Self::Count(1),
            },
            75..90 => {
                Self::Put(format!("node {node}, key {}", rng.random_range(0..3)), format!("value {serial}"))
            }
            90..95 => Self::Enable,
            _ => Self::Title(format!("title {serial} of node {node}")),
        }
    }

    pub(super) fn request(&self) -> Request {
        let concern = Concern::default();
        match self {
            Self::Count(by) if *by < 0 => {
                Request::Counter(CounterVerb::Dec { name: name("visits"), by: by.unsigned_abs(), concern })
            }
            Self::Count(by) => {
                Request::Counter(CounterVerb::Inc { name: name("visits"), by: by.unsigned_abs(), concern })
            }
            Self::Add(element) => {
                Request::Set(SetVerb::Add { name: name("labels"), element: element.clone(), concern })
            }
            Self::Remove(element) => {
                Request::Set(SetVerb::Remove { name: name("labels"), element: element.clone(), concern })
            }
            Self::Put(key, value) => Request::Map(MapVerb::Put {
                name: name("board"),
                key: key.clone(),
                value: value.clone(),
                concern,
            }),
            Self::Enable => Request::Flag(FlagVerb::Enable { name: name("open"), concern }),
            Self::Title(value) => {
                Request::Register(RegisterVerb::Set { name: name("title"), value: value.clone(), concern })
            }
        }
    }
}

/// A read, to see that reads are answered.
pub(super) fn random_read(rng: &mut impl Rng) -> Request {
    match rng.random_range(0..4) {
        0 => Request::Counter(CounterVerb::Get { name: name("visits") }),
        1 => Request::Set(SetVerb::List { name: name("labels") }),
        2 => Request::Map(MapVerb::List { name: name("board") }),
        _ => Request::Register(RegisterVerb::Get { name: name("title") }),
    }
}

/// What the acknowledged writes must add up to, and which writes are in doubt because a node was killed over them.
#[derive(Debug, Default)]
pub(super) struct Expected {
    count: i64,
    doubtful_counts: Vec<i64>,
    labels: BTreeSet<String>,
    doubtful_labels: BTreeSet<String>,
    board: BTreeMap<String, BTreeSet<String>>,
    enabled: bool,
    titles: BTreeSet<String>,
    pub(super) acknowledged: u64,
    pub(super) in_doubt: u64,
}

impl Expected {
    /// A write was acknowledged as durable.
    pub(super) fn acknowledge(&mut self, write: &Write) {
        self.acknowledged += 1;
        match write.clone() {
            Write::Count(by) => self.count += by,
            Write::Add(element) => {
                self.labels.insert(element);
            }
            Write::Remove(element) => {
                self.labels.remove(&element);
                self.doubtful_labels.remove(&element);
            }
            // One node, one after the other: the last acknowledged value stands, unless one in doubt came after.
            Write::Put(key, value) => {
                self.board.insert(key, [value].into());
            }
            Write::Enable => self.enabled = true,
            Write::Title(title) => {
                self.titles.insert(title);
            }
        }
    }

    /// A write got no answer: it happened or not.
    pub(super) fn doubt(&mut self, write: &Write) {
        self.in_doubt += 1;
        match write.clone() {
            Write::Count(by) => self.doubtful_counts.push(by),
            Write::Add(element) | Write::Remove(element) => {
                self.doubtful_labels.insert(element);
            }
            Write::Put(key, value) => {
                // An empty text stands for "no such key".
                let values = self.board.entry(key).or_insert_with(|| [String::new()].into());
                values.insert(value);
            }
            Write::Enable => {}
            Write::Title(title) => {
                self.titles.insert(title);
            }
        }
    }

    /// What is wrong with the state all nodes ended in, in words.
    pub(super) fn check(&self, dump: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let count = dump["visits"]["counter"].as_i64().unwrap_or(0);
        let (low, high) = self
            .doubtful_counts
            .iter()
            .fold((self.count, self.count), |(low, high), by| (low + by.min(&0), high + by.max(&0)));
        if !(low..=high).contains(&count) {
            wrong.push(format!("the counter is {count}, the writes add up to {low}..={high}"));
        }
        let labels: BTreeSet<String> = texts(&dump["labels"]["set"]).collect();
        for missing in self.labels.difference(&labels).filter(|label| !self.doubtful_labels.contains(*label))
        {
            wrong.push(format!("the label `{missing}` is lost"));
        }
        for extra in labels.difference(&self.labels).filter(|label| !self.doubtful_labels.contains(*label)) {
            wrong.push(format!("the label `{extra}` should not be there"));
        }
        for (key, allowed) in &self.board {
            let values: Vec<String> = texts(&dump["board"]["map"][key]["register"]).collect();
            let value = match &values[..] {
                [] => String::new(),
                [value] => value.clone(),
                several => several.join(" and "),
            };
            if !allowed.contains(&value) {
                wrong.push(format!("`{key}` is `{value}`, and should be one of {allowed:?}"));
            }
        }
        if self.enabled && dump["open"]["flag"] != json!(true) {
            wrong.push("the flag is lost".into());
        }
        for title in texts(&dump["title"]["register"]).filter(|title| !self.titles.contains(title)) {
            wrong.push(format!("nobody wrote the title `{title}`"));
        }
        if !self.titles.is_empty() && self.in_doubt == 0 && texts(&dump["title"]["register"]).next().is_none()
        {
            wrong.push("the title is lost".into());
        }
        wrong
    }

    /// What the demo shows of the end.
    pub(super) fn summary(dump: &Value) -> Value {
        json!({
            "visits": dump["visits"]["counter"],
            "labels": texts(&dump["labels"]["set"]).count(),
            "board": dump["board"]["map"].as_object().map_or(0, serde_json::Map::len),
            "open": dump["open"]["flag"],
            "title": dump["title"]["register"],
        })
    }
}

fn texts(value: &Value) -> impl Iterator<Item = String> + '_ {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned)
}
