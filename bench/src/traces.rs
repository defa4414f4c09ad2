//! What people typed, key by key: recordings, or where there are none, sessions that are made up from a fixed seed.
//!
//! The recordings lie beside the project, in `../shared/traces`, or where `TOMBOLO_TRACES` says. They are ASCII, as what is made up
//! is: letters, bytes and UTF-16 units are the same, so that each system may count what it counts fastest.

use std::fs::File;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::inputs;
use crate::system::Edit;

/// One person, a paper.
const ALONE: &str = "automerge-paper";
/// Two people at once.
const TOGETHER: &str = "friendsforever";
/// How many edits are made up where there is no recording: as many as it has.
const EDITS_ALONE: usize = 259_778;
const EDITS_TOGETHER: usize = 26_078;

/// A session.
pub struct Trace {
    /// The edits, in an order in which each comes after those it was made on.
    pub edits: Vec<Edit>,
    /// For each who made it: numbers from 0 on.
    pub agents: Vec<usize>,
    /// For each on which it was made.
    pub parents: Vec<Vec<usize>>,
    /// What the text reads at the end.
    pub end: String,
}

impl Trace {
    /// For each edit those that its author has to take in before it, in order.
    pub fn lacking(&self) -> Vec<Vec<usize>> {
        let number = self.agents.iter().max().map_or(0, |last| last + 1);
        let mut known = vec![vec![false; self.edits.len()]; number];
        let of_edit = |(nth, &agent): (usize, &usize)| {
            let (mut lacking, mut way) = (Vec::new(), self.parents[nth].clone());
            while let Some(at) = way.pop() {
                if !std::mem::replace(&mut known[agent][at], true) {
                    lacking.push(at);
                    way.extend(&self.parents[at]);
                }
            }
            known[agent][nth] = true;
            lacking.sort_unstable();
            lacking
        };
        self.agents.iter().enumerate().map(of_edit).collect()
    }
}

/// What one person typed.
pub fn alone() -> Trace {
    recorded(ALONE).unwrap_or_else(|| made_up_alone(EDITS_ALONE))
}

/// What two people typed at once.
pub fn together() -> Trace {
    recorded(TOGETHER).unwrap_or_else(|| made_up_together(EDITS_TOGETHER))
}

/// Where the sessions come from, in a sentence.
pub fn origin() -> String {
    let folder = folder();
    let of = |name: &str| if file(&folder, name).is_file() { "recorded" } else { "made up, by seed" };
    format!("{ALONE}: {}; {TOGETHER}: {}; looked for in {}", of(ALONE), of(TOGETHER), folder.display())
}

fn folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces");
    std::env::var_os("TOMBOLO_TRACES").map_or_else(beside, PathBuf::from)
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json.gz"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recording {
    end_content: String,
    /// Only where several wrote at once.
    kind: Option<String>,
    txns: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    #[serde(default)]
    parents: Vec<usize>,
    #[serde(default)]
    agent: usize,
    patches: Vec<(usize, usize, String)>,
}

fn recorded(name: &str) -> Option<Trace> {
    let file = File::open(file(&folder(), name)).ok()?;
    let recording: Recording = serde_json::from_reader(GzDecoder::new(file)).expect("a recording is JSON");
    assert!(recording.end_content.is_ascii(), "{name} is not ASCII: not all systems count letters");
    let is_concurrent = recording.kind.is_some();
    let mut trace =
        Trace { edits: Vec::new(), agents: Vec::new(), parents: Vec::new(), end: recording.end_content };
    // Where the transactions end, whose patches become edits of their own.
    let mut ends: Vec<usize> = Vec::new();
    for transaction in recording.txns {
        let mut parents = if is_concurrent {
            transaction.parents.iter().map(|&parent| ends[parent]).collect()
        } else {
            trace.edits.len().checked_sub(1).into_iter().collect()
        };
        for (at, delete, insert) in transaction.patches {
            trace.push(transaction.agent, std::mem::take(&mut parents), Edit { at, delete, insert });
            parents.push(trace.edits.len() - 1);
        }
        ends.push(trace.edits.len() - 1);
    }
    Some(trace)
}

impl Trace {
    fn push(&mut self, agent: usize, parents: Vec<usize>, edit: Edit) {
        self.edits.push(edit);
        self.agents.push(agent);
        self.parents.push(parents);
    }
}

/// Somebody who types, goes back, corrects and deletes, without having existed. Of a hundred edits some thirty letters remain.
struct Typist<R> {
    random: R,
    text: Vec<u8>,
    at: usize,
}

impl<R: rand::Rng> Typist<R> {
    fn new(random: R) -> Self {
        Self { random, text: Vec::new(), at: 0 }
    }

    fn edit(&mut self) -> Edit {
        let len = self.text.len();
        let (at, delete, insert) = match inputs::below(&mut self.random, 100) {
            0..2 => (inputs::below(&mut self.random, len + 1), 0, "A ".to_owned()),
            2..30 if self.at > 0 => (self.at - 1, 1, String::new()),
            30 if len > 50 => (inputs::below(&mut self.random, len - 20), 20, "new".to_owned()),
            _ => (self.at, 0, char::from(b'a' + inputs::below(&mut self.random, 26) as u8).to_string()),
        };
        self.text.splice(at..at + delete, insert.bytes());
        self.at = at + insert.len();
        Edit { at, delete, insert }
    }

    fn read(&self) -> String {
        self.text.iter().copied().map(char::from).collect()
    }
}

/// A session of one.
pub fn made_up_alone(edits: usize) -> Trace {
    let mut typist = Typist::new(inputs::rng(51));
    let edits: Vec<Edit> = (0..edits).map(|_| typist.edit()).collect();
    let parents = (0..edits.len()).map(|nth: usize| nth.checked_sub(1).into_iter().collect()).collect();
    Trace { agents: vec![0; edits.len()], parents, end: typist.read(), edits }
}

/// A session of two, each on a side of a line break, who hear of one another now and then: they never insert at one place at once.
pub fn made_up_together(edits: usize) -> Trace {
    const LINE_BREAK: &str = "\n";
    let mut trace = Trace { edits: Vec::new(), agents: Vec::new(), parents: Vec::new(), end: String::new() };
    trace.push(0, Vec::new(), Edit { at: 0, delete: 0, insert: LINE_BREAK.into() });
    let mut random = inputs::rng(52);
    let mut typists = [Typist::new(inputs::rng(53)), Typist::new(inputs::rng(54))];
    let mut heads = vec![0];
    while trace.edits.len() + 1 < edits {
        let left_of_second = typists[0].text.len() + LINE_BREAK.len();
        let mut new_heads = Vec::new();
        for (agent, before) in [(0, 0), (1, left_of_second)] {
            let mut parents = heads.clone();
            for _ in 0..=inputs::below(&mut random, 8) {
                let mut edit = typists[agent].edit();
                edit.at += before;
                trace.push(agent, parents, edit);
                parents = vec![trace.edits.len() - 1];
            }
            new_heads.extend(parents);
        }
        heads = new_heads;
    }
    // What has seen everything.
    let mut last = typists[0].edit();
    last.insert.push('.');
    typists[0].text.insert(last.at + last.insert.len() - 1, b'.');
    trace.push(0, heads, last);
    trace.end = typists.map(|typist| typist.read()).join(LINE_BREAK);
    trace
}
