//! Recorded editing sessions of people, and some that are made up.
//!
//! The recordings lie beside the repository, in `../shared/traces`, or where `TOMBOLO_TRACES` says. Where they are not, one that is made up
//! takes their place, and the test says so.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use tombolo_crdt::{Delta, Limits, Mut, Replica, ReplicaId, Text};

use super::id;

/// At a place, so many scalars are deleted and a text is inserted.
type Patch = (usize, usize, String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    end_content: String,
    #[serde(default = "one")]
    num_agents: usize,
    txns: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    #[serde(default)]
    parents: Vec<usize>,
    #[serde(default)]
    agent: usize,
    patches: Vec<Patch>,
}

fn one() -> usize {
    1
}

/// So many transactions are enough where several executions are tried and nothing is optimised.
const PREFIX: usize = 4_000;

fn trace(name: &str) -> Option<Trace> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces");
    let folder = std::env::var_os("TOMBOLO_TRACES").map_or_else(beside, PathBuf::from);
    let Ok(file) = File::open(folder.join(format!("{name}.json.gz"))) else {
        // Past what captures the output of tests that succeed.
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no recording {name} in {}", folder.display());
        return None;
    };
    Some(serde_json::from_reader(flate2::read::GzDecoder::new(file)).expect("a recording is JSON"))
}

/// Somebody who types, goes back, corrects and deletes, without having existed.
fn made_up(edits: usize, seed: u64) -> Trace {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut text, mut at): (Vec<char>, usize) = (Vec::new(), 0);
    let mut txns = Vec::new();
    for _ in 0..edits {
        let patch: Patch = match random.random_range(0..40) {
            0 => {
                at = random.random_range(0..=text.len());
                (at, 0, "A ".into())
            }
            1..6 if at > 0 => (at - 1, 1, String::new()),
            6 if text.len() > 50 => (random.random_range(0..text.len() - 20), 20, "new".into()),
            _ => (at, 0, char::from(b'a' + random.random_range(0..26_u8)).to_string()),
        };
        text.splice(patch.0..patch.0 + patch.1, patch.2.chars());
        at = patch.0 + patch.2.chars().count();
        txns.push(Transaction { parents: Vec::new(), agent: 0, patches: vec![patch] });
    }
    Trace { end_content: text.into_iter().collect(), num_agents: 1, txns }
}

fn write(text: &mut Mut<'_, Text>, patches: &[Patch]) {
    for (at, count, insert) in patches {
        text.replace(*at..at + count, insert).expect("a recording fits its text");
    }
}

fn replays(trace: &Trace) {
    // In one transaction.
    let mut ann = Replica::<Text>::new(id(1));
    let (_, all) = ann.update(|text| trace.txns.iter().for_each(|txn| write(text, &txn.patches)));
    assert_eq!(ann.to_string(), trace.end_content);
    let mut bob = Replica::<Text>::new(id(2));
    bob.merge(all).unwrap();
    assert_eq!(bob.encode(), ann.encode());
    assert_eq!(bob.to_string(), trace.end_content);

    // In one each, and from bytes.
    let mut ann = Replica::<Text>::new(id(1));
    let mut bob = Replica::<Text>::new(id(2));
    for txn in &trace.txns {
        bob.merge(ann.update(|text| write(text, &txn.patches)).1).unwrap();
    }
    assert_eq!((ann.to_string(), bob.to_string()), (trace.end_content.clone(), trace.end_content.clone()));
    let read = Replica::<Text>::decode(id(3), &ann.encode(), &Limits::default()).unwrap();
    assert_eq!((read.to_string(), read.encode()), (trace.end_content.clone(), bob.encode()));
}

#[test]
fn what_one_person_typed_ends_as_it_ended() {
    replays(&trace("sveltecomponent").unwrap_or_else(|| made_up(20_000, 1)));
}

#[test]
fn what_one_person_typed_in_a_long_paper_ends_as_it_ended() {
    replays(&trace("automerge-paper").unwrap_or_else(|| made_up(40_000, 2)));
}

/// Several who wrote, some of it at the same time: their replicas as each of them ended, and what they wrote in an order in which it may
/// have happened.
struct Session {
    agents: Vec<Replica<Text>>,
    deltas: Vec<Delta<Text>>,
}

/// How what somebody has not heard of comes to it.
#[derive(Clone, Copy, Debug)]
enum Arrival {
    InOrder,
    /// So many at a time the last one first, or in any order.
    Backwards(usize),
    Mixed(usize),
    /// So many as one.
    Joined(usize),
}

impl Arrival {
    fn come(self, agent: &mut Replica<Text>, mut news: Vec<Delta<Text>>, random: &mut ChaCha8Rng) {
        let (Self::Backwards(many) | Self::Mixed(many) | Self::Joined(many)) = self else {
            news.into_iter().for_each(|delta| _ = agent.merge(delta).unwrap());
            return;
        };
        for part in news.chunks_mut(many) {
            match self {
                Self::Backwards(_) => part.reverse(),
                Self::Mixed(_) => part.shuffle(random),
                _ => {
                    let mut rest = part.iter();
                    let Some(mut joined) = rest.next().cloned() else { continue };
                    for delta in rest {
                        if !joined.append(delta) {
                            agent.merge(std::mem::replace(&mut joined, delta.clone())).unwrap();
                        }
                    }
                    agent.merge(joined).unwrap();
                    continue;
                }
            }
            part.iter().for_each(|delta| _ = agent.merge(delta.clone()).unwrap());
        }
        assert_eq!(agent.pending(), 0);
    }
}

impl Session {
    fn new(agents: usize) -> Self {
        let agents = (0..agents).map(|agent| Replica::new(id(agent as u8 + 1))).collect();
        Self { agents, deltas: Vec::new() }
    }

    /// What was recorded, each transaction on what it was made on.
    fn of(trace: &Trace) -> Self {
        Self::with(trace, |agent, _| id(agent as u8 + 1), Arrival::InOrder)
    }

    /// The same, with other ids: who writes a transaction under which is said by its author and its number.
    fn with(trace: &Trace, author: impl Fn(usize, usize) -> ReplicaId, arrival: Arrival) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let agents = (0..trace.num_agents).map(|agent| Replica::new(author(agent, 0))).collect();
        let mut session = Self { agents, deltas: Vec::new() };
        let Self { agents, deltas } = &mut session;
        let mut known = vec![vec![false; trace.txns.len()]; agents.len()];
        for (nth, txn) in trace.txns.iter().enumerate() {
            // Everything that it was made on, in order.
            let (mut lacking, mut way) = (Vec::new(), txn.parents.clone());
            while let Some(at) = way.pop() {
                if !std::mem::replace(&mut known[txn.agent][at], true) {
                    lacking.push(at);
                    way.extend(&trace.txns[at].parents);
                }
            }
            lacking.sort_unstable();
            let news = lacking.into_iter().map(|at| deltas[at].clone()).collect();
            let author = author(txn.agent, nth);
            if author != agents[txn.agent].id() {
                agents[txn.agent] = agents[txn.agent].fork(author);
            }
            arrival.come(&mut agents[txn.agent], news, &mut random);
            deltas.push(agents[txn.agent].update(|text| write(text, &txn.patches)).1);
            known[txn.agent][nth] = true;
        }
        session
    }

    /// What all read once all have heard of all, who wrote as well as who only reads, in whichever order that heard of it.
    fn read_by_all(mut self) -> String {
        let all = |order: &mut dyn Iterator<Item = &Delta<Text>>| {
            let mut reader = Replica::<Text>::new(id(99));
            let (mut waiting, mut left): (Vec<&Delta<Text>>, _) = (order.collect(), usize::MAX);
            while waiting.len() < left {
                left = waiting.len();
                waiting.retain(|delta| reader.merge((*delta).clone()).is_err());
            }
            reader
        };
        let forwards = all(&mut self.deltas.iter());
        let (even, odd) = (self.deltas.iter().step_by(2), self.deltas.iter().skip(1).step_by(2));
        let mixed = all(&mut odd.zip(even).flat_map(|(one, other)| [one, other]).chain(self.deltas.last()));
        let bytes = forwards.encode();
        let again = Replica::<Text>::decode(id(98), &bytes, &Limits::default()).unwrap();
        for agent in &mut self.agents {
            for delta in &self.deltas {
                agent.merge(delta.clone()).unwrap();
            }
        }
        for replica in self.agents.iter().chain([&mixed, &again]) {
            assert_eq!((replica.to_string(), replica.pending()), (forwards.to_string(), 0));
            assert_eq!(replica.encode(), bytes);
        }
        forwards.to_string()
    }
}

#[test]
fn what_two_people_typed_ends_everywhere_as_it_ended() {
    match trace("friendsforever") {
        Some(trace) => assert_eq!(Session::of(&trace).read_by_all(), trace.end_content),
        None => is_level_and_in_order(0),
    }
}

/// Two who never existed, as they would have been recorded.
fn made_up_by_two(edits: usize, seed: u64) -> Trace {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut session = Session::new(2);
    let mut txns: Vec<Transaction> = Vec::new();
    // The last that each wrote, how much each has heard of, and where it is.
    let (mut last, mut heard, mut at): ([Option<usize>; 2], _, _) = ([None; 2], [0; 2], [0; 2]);
    for nth in 0..edits {
        let agent = random.random_range(0..2);
        let mut parents: Vec<usize> = last[agent].into_iter().collect();
        if random.random_bool(0.05) {
            parents.extend(last[1 - agent]);
            for delta in &session.deltas[heard[agent]..] {
                session.agents[agent].merge(delta.clone()).unwrap();
            }
            heard[agent] = nth;
        }
        let len = session.agents[agent].len();
        let patch: Patch = match random.random_range(0..20) {
            // Both begin at the beginning now and then.
            0 => (if random.random_bool(0.5) { 0 } else { random.random_range(0..=len) }, 0, "A ".into()),
            1..4 if at[agent] > 0 && at[agent] <= len => (at[agent] - 1, 1, String::new()),
            _ => (at[agent].min(len), 0, char::from(b'a' + random.random_range(0..26_u8)).to_string()),
        };
        at[agent] = patch.0 + patch.2.chars().count();
        let patches = vec![patch];
        session.deltas.push(session.agents[agent].update(|text| write(text, &patches)).1);
        last[agent] = Some(nth);
        txns.push(Transaction { parents, agent, patches });
    }
    Trace { end_content: session.read_by_all(), num_agents: 2, txns }
}

/// How what the other wrote comes to who goes on writing: first as it was written.
const ARRIVALS: [Arrival; 4] =
    [Arrival::InOrder, Arrival::Backwards(40), Arrival::Mixed(40), Arrival::Joined(7)];

/// Under which ids they write.
const AUTHORS: [fn(usize, usize) -> ReplicaId; 3] = [
    |agent, _| id(agent as u8 + 1),
    |agent, _| id(2 - agent as u8),
    // Each goes on under another id now and then, before and behind those of the other.
    |agent, nth| id(((nth / 400 * 2 + agent) * 89 % 251) as u8 + 1),
];

/// What all read in the end, under each of these ids and arrivals.
fn under_any_ids_and_however_it_comes(trace: &Trace) -> Vec<String> {
    let read = AUTHORS
        .iter()
        .flat_map(|author| ARRIVALS.map(|arrival| Session::with(trace, author, arrival).read_by_all()));
    read.collect()
}

#[test]
fn what_two_people_typed_ends_as_it_ended_under_any_ids_and_however_it_comes_to_them() {
    let Some(mut trace) = trace("friendsforever") else { return };
    if cfg!(debug_assertions) {
        // Each id and each arrival but the first, which another test has, once to the end; then each with each as far as there is time.
        for (author, arrival) in AUTHORS.iter().zip(&ARRIVALS[1..]) {
            assert_eq!(Session::with(&trace, author, *arrival).read_by_all(), trace.end_content);
        }
        trace.txns.truncate(PREFIX);
        trace.end_content = Session::of(&trace).read_by_all();
    }
    // They never typed at one place at once, so that ids would decide, or what of deleted letters each had seen there.
    let read = under_any_ids_and_however_it_comes(&trace);
    assert!(read.iter().all(|read| *read == trace.end_content));
}

#[test]
fn what_two_who_never_existed_typed_ends_the_same_for_both_under_any_ids_and_however_it_comes_to_them() {
    let trace = made_up_by_two(2_000, 3);
    let read = under_any_ids_and_however_it_comes(&trace);
    assert_eq!(read[0], trace.end_content);
    // These do, and yet all of each execution read the same. Late or early decides nothing; who hears of a letter and of its deletion at once may put next to
    // it what others put elsewhere.
    assert!(read.chunks(4).all(|of| of[..3].iter().all(|one| *one == of[0])));
    assert!(read[1..].iter().any(|other| *other != read[0]));
    assert!(read.iter().all(|read| read.chars().count() == trace.end_content.chars().count()));
}

/// Three who never existed type in bursts, correct themselves, go elsewhere and hear of one another now and then. No letter is like another,
/// so it can be told what must be left, and in which order.
fn is_level_and_in_order(seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut session = Session::new(3);
    let (mut at, mut heard) = ([0; 3], [0; 3]);
    let (mut letters, mut gone, mut views) = (0x4e00.., BTreeSet::<char>::new(), Vec::new());
    for _ in 0..250 {
        let by = random.random_range(0..3);
        let agent = &mut session.agents[by];
        if random.random_bool(0.4) {
            let to = random.random_range(heard[by]..=session.deltas.len());
            for delta in &session.deltas[heard[by]..to] {
                agent.merge(delta.clone()).unwrap();
            }
            heard[by] = to;
        }
        at[by] = if random.random_bool(0.3) {
            random.random_range(0..=agent.len())
        } else {
            at[by].min(agent.len())
        };
        for _ in 0..random.random_range(1..24) {
            let text: Vec<char> = agent.to_string().chars().collect();
            let (deleted, typed) = match random.random_range(0..20) {
                0..3 => (at[by].saturating_sub(1)..at[by], 0),
                3 => (at[by]..(at[by] + random.random_range(0..12)).min(text.len()), 2),
                _ => (at[by]..at[by], 1),
            };
            let typed: String = letters.by_ref().take(typed).filter_map(char::from_u32).collect();
            gone.extend(&text[deleted.clone()]);
            at[by] = deleted.start + typed.chars().count();
            let (_, delta) = agent.update(|text| text.replace(deleted, &typed).unwrap());
            session.deltas.push(delta);
        }
        views.push(agent.to_string());
    }
    let read = session.read_by_all();
    let places: HashMap<char, usize> = read.chars().zip(0..).collect();
    let typed = (0x4e00..letters.start).filter_map(char::from_u32);
    assert!(typed.clone().all(|letter| places.contains_key(&letter) != gone.contains(&letter)));
    assert_eq!((places.len(), read.chars().count()), (typed.count() - gone.len(), places.len()));
    // As somebody read them, so they stand.
    for view in views {
        let places: Vec<usize> = view.chars().filter_map(|letter| places.get(&letter).copied()).collect();
        assert!(places.is_sorted(), "what was read in one order stands in another");
    }
}

#[test]
fn what_three_who_never_existed_typed_is_there_everywhere_in_the_order_in_which_they_read_it() {
    (1..=3).for_each(is_level_and_in_order);
}
