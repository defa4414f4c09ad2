//! Hostile deltas: bytes that decode, and say what no honest replica would.
//!
//! Authors, dependencies, covers and places are arbitrary; each dot has one content, for two contents under one dot
//! (*equivocation*) make replicas diverge, see docs/security.md.

use arbitrary::{Result, Unstructured};
use rmp::encode::{write_array_len, write_bin, write_f64, write_nil, write_sint, write_str, write_uint};
use tombolo_crdt::{Delta, Doc, Limits, Opaque, Replica, ReplicaId, Since, Version};

use crate::message;
use crate::program::{Op, Subject};
use crate::trace;

/// Who may write.
const AUTHORS: usize = 4;
/// Messages beyond this many find nothing that fewer do not.
const MAX_MESSAGES: usize = 10;
const MAX_STEPS: usize = 32;

const INTO_MEMORY: &str = "writing into memory cannot fail";

fn array(out: &mut Vec<u8>, len: usize) {
    write_array_len(out, len as u32).expect(INTO_MEMORY);
}

fn number(out: &mut Vec<u8>, number: u64) {
    write_uint(out, number).expect(INTO_MEMORY);
}

fn bin(out: &mut Vec<u8>, bytes: &[u8]) {
    write_bin(out, bytes).expect(INTO_MEMORY);
}

/// A run of dots: row, first, last.
type Run = (usize, u64, u64);
/// A dot, as row and counter, with its content.
type Item = ((usize, u64), Vec<u8>);

#[derive(Default)]
struct Node {
    cover: Vec<Run>,
    carried: Vec<Item>,
    children: Vec<(Vec<u8>, Node)>,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.cover.is_empty() && self.carried.is_empty() && self.children.is_empty()
    }

    /// Puts it into the one form that the reader takes.
    fn tidy(&mut self) {
        self.carried.sort();
        self.children.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.children.dedup_by(|(a, _), (b, _)| a == b);
        self.children.iter_mut().for_each(|(_, child)| child.tidy());
        self.children.retain(|(_, child)| !child.is_empty());
        self.cover.sort_unstable();
        let mut runs: Vec<Run> = Vec::new();
        for &(row, first, last) in &self.cover {
            match runs.last_mut() {
                Some(top) if top.0 == row && first <= top.2 + 1 => top.2 = top.2.max(last),
                _ => runs.push((row, first, last)),
            }
        }
        self.cover = runs;
    }

    fn rows(&self, used: &mut [bool]) {
        self.cover.iter().for_each(|run| used[run.0] = true);
        self.carried.iter().for_each(|((row, _), _)| used[*row] = true);
        self.children.iter().for_each(|(_, child)| child.rows(used));
    }

    /// The same, with rows as they are called in a message.
    fn named(&self, wire: &[u64]) -> message::Node {
        message::Node {
            cover: runs(&self.cover, wire),
            carried: self
                .carried
                .iter()
                .map(|((row, counter), content)| (wire[*row], *counter, content.clone()))
                .collect(),
            children: self.children.iter().map(|(key, child)| (key.clone(), child.named(wire))).collect(),
        }
    }
}

fn runs(runs: &[Run], wire: &[u64]) -> Vec<message::Run> {
    runs.iter().map(|&(row, first, last)| (wire[row], first, last - first + 1)).collect()
}

fn author(row: usize) -> ReplicaId {
    ReplicaId::from_bytes([row as u8 + 1; 16])
}

/// What a delta's author may speak of.
struct Maker<'u, 'd> {
    u: &'u mut Unstructured<'d>,
    /// Dots that no place has yet.
    dots: Vec<(usize, u64)>,
    /// By author: how far the delta's past and its events reach.
    past: [u64; AUTHORS],
    left: usize,
}

impl Maker<'_, '_> {
    fn cover(&mut self) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for _ in 0..3 {
            if !self.u.ratio(1, 5)? {
                break;
            }
            let row = self.u.choose_index(AUTHORS)?;
            if self.past[row] > 0 {
                let first = self.u.int_in_range(1..=self.past[row])?;
                let last = self.u.int_in_range(first..=self.past[row])?;
                runs.push((row, first, last));
            }
        }
        Ok(runs)
    }

    fn carried(&mut self, content: fn(&mut Self) -> Result<Vec<u8>>) -> Result<Vec<Item>> {
        let mut carried = Vec::new();
        while !self.dots.is_empty() && carried.len() < 3 && self.u.ratio(3, 4)? {
            let at = self.u.choose_index(self.dots.len())?;
            let dot = self.dots.swap_remove(at);
            carried.push((dot, content(self)?));
        }
        Ok(carried)
    }

    fn leaf(&mut self, content: fn(&mut Self) -> Result<Vec<u8>>) -> Result<Node> {
        Ok(Node { cover: self.cover()?, carried: self.carried(content)?, children: Vec::new() })
    }

    fn doc(&mut self, depth: usize) -> Result<Node> {
        let mut node = Node { cover: self.cover()?, ..Node::default() };
        while self.left > 0 && node.children.len() < 3 && self.u.ratio(3, 4)? {
            self.left -= 1;
            let mut key = Vec::new();
            write_str(&mut key, self.u.choose(&["a", "b", "c"])?).expect(INTO_MEMORY);
            let entry = self.entry(depth)?;
            node.children.push((key, entry));
        }
        Ok(node)
    }

    fn entry(&mut self, depth: usize) -> Result<Node> {
        let mut node = Node { cover: self.cover()?, ..Node::default() };
        while self.left > 0 && node.children.len() < 3 && self.u.ratio(2, 3)? {
            self.left -= 1;
            let kind = self.u.int_in_range(1..=18_u8)?;
            let child = match kind {
                1 => self.leaf(Self::int)?,
                2 => self.leaf(Self::uint)?,
                3 => self.leaf(|_| Ok(Vec::new()))?,
                4 => self.leaf(Self::scalar)?,
                5 => self.leaf(Self::stamped)?,
                6 | 7 => self.set()?,
                8 if depth < 3 => self.doc(depth + 1)?,
                15 => self.text()?,
                16 => self.ordered(Self::scalar)?,
                17 if depth < 3 => self.placed(depth, Self::place)?,
                18 if depth < 3 => self.placed(depth, Self::seat)?,
                _ => self.leaf(Self::anything)?,
            };
            node.children.push((vec![kind], child));
        }
        Ok(node)
    }

    /// Letters or elements, the heads of their runs by whose elements these hang on, and which runs are frozen.
    fn ordered(&mut self, content: fn(&mut Self) -> Result<Vec<u8>>) -> Result<Node> {
        let mut node = Node { cover: self.cover()?, carried: self.carried(content)?, ..Node::default() };
        while node.children.len() < 3 && self.u.ratio(2, 3)? {
            let key = match self.u.int_in_range(0..=7_u8)? {
                0..=2 => Vec::new(),
                3 | 4 => vec![0],
                5 | 6 => author(self.u.choose_index(AUTHORS)?).as_bytes().to_vec(),
                _ => vec![0xc1],
            };
            let heads = self.leaf(if key == [0xc1] { Self::frozen } else { Self::head })?;
            node.children.push((key, heads));
        }
        Ok(node)
    }

    /// As [`ordered`](Self::ordered), of letters, and marks by their names beside what is frozen.
    fn text(&mut self) -> Result<Node> {
        // First, for dots are few.
        let mut marks = Node::default();
        while marks.children.len() < 3 && self.u.ratio(1, 2)? {
            let mut key = Vec::new();
            write_str(&mut key, self.u.choose(&["bold", "link", "p"])?).expect(INTO_MEMORY);
            let mark = self.leaf(Self::mark)?;
            marks.children.push((key, mark));
        }
        let mut node = self.ordered(Self::letter)?;
        match node.children.iter_mut().find(|(key, _)| *key == [0xc1]) {
            Some((_, beside)) => beside.children = marks.children,
            None if marks.children.is_empty() => {}
            None => node.children.push((vec![0xc1], marks)),
        }
        Ok(node)
    }

    /// A mark: in which form its ends are told, its order, its ends, and what it says. Numbers of less than 0x80 are one byte.
    fn mark(&mut self) -> Result<Vec<u8>> {
        let start = self.u.int_in_range(0..=2_u8)?;
        let end = self.u.int_in_range(0..=if start == 2 { 3 } else { 2_u8 })?;
        let (behind_start, behind_end) =
            (u8::from(self.u.arbitrary::<bool>()?), u8::from(self.u.arbitrary::<bool>()?));
        let mut out = vec![(start | behind_start << 2) | (end | behind_end << 2) << 3];
        out.push(self.u.int_in_range(1..=5_u8)?);
        for form in [start, end] {
            if form == 2 {
                out.extend_from_slice(author(self.u.choose_index(AUTHORS)?).as_bytes());
            }
            if form != 0 {
                out.push(self.u.int_in_range(0..=8_u8)?);
            }
        }
        out.extend(self.scalar()?);
        Ok(out)
    }

    /// Places, and what stands there by its name.
    fn placed(&mut self, depth: usize, place: fn(&mut Self) -> Result<Vec<u8>>) -> Result<Node> {
        let mut node = Node { cover: self.cover()?, ..Node::default() };
        let places = self.ordered(place)?;
        let mut values = Node { cover: self.cover()?, ..Node::default() };
        while self.left > 0 && values.children.len() < 3 && self.u.ratio(1, 2)? {
            self.left -= 1;
            let name = self.name()?;
            let value = self.doc(depth + 1)?;
            values.children.push((name, value));
        }
        node.children.extend([(vec![b'p'], places), (vec![b'v'], values)]);
        Ok(node)
    }

    fn letter(&mut self) -> Result<Vec<u8>> {
        Ok(self.u.choose(&["a", "\n", "\u{e9}", "\u{1f426}"])?.as_bytes().to_vec())
    }

    /// Where a run hangs: on how far an element, and on which side of it.
    fn head(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        number(&mut out, self.u.int_in_range(0..=20_u64)?);
        Ok(out)
    }

    /// Names of heads, by author: in ascending order as a rule.
    fn frozen(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let rows: Vec<usize> = (0..AUTHORS).filter(|_| self.u.ratio(1, 2).unwrap_or(false)).collect();
        array(&mut out, rows.len());
        for row in rows {
            array(&mut out, 2);
            bin(&mut out, author(row).as_bytes());
            let mut heads: Vec<u64> = Vec::new();
            while heads.len() < 3 && self.u.ratio(2, 3)? {
                let last = heads.last().copied().unwrap_or(0);
                let step = if self.u.ratio(1, 16)? { 0 } else { self.u.int_in_range(1..=4_u64)? };
                heads.push(last + step);
            }
            array(&mut out, heads.len());
            heads.iter().for_each(|head| number(&mut out, *head));
        }
        Ok(out)
    }

    fn name(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        array(&mut out, 2);
        bin(&mut out, author(self.u.choose_index(AUTHORS)?).as_bytes());
        number(&mut out, self.u.int_in_range(0..=8_u64)?);
        Ok(out)
    }

    fn name_or_nil(&mut self) -> Result<Vec<u8>> {
        if self.u.arbitrary()? { self.name() } else { Ok(vec![0xc0]) }
    }

    fn moved(&mut self, fields: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        array(&mut out, fields);
        number(&mut out, self.u.arbitrary::<u16>()?.into());
        number(&mut out, self.u.int_in_range(0..=3_u64)?);
        out.extend(self.name()?);
        Ok(out)
    }

    /// Of an element of a list: where it was made, or moved.
    fn place(&mut self) -> Result<Vec<u8>> {
        if self.u.arbitrary()? { Ok(vec![0xc0]) } else { self.moved(3) }
    }

    /// Of a node of a tree: below which other it was made, or moved, or put away.
    fn seat(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        array(&mut out, 2);
        out.extend(self.name_or_nil()?);
        if self.u.arbitrary()? {
            out.push(0xc0);
        } else {
            out.extend(self.moved(5)?);
            out.extend(self.name_or_nil()?);
            out.push(if self.u.ratio(1, 4)? { 0xc3 } else { 0xc2 });
        }
        Ok(out)
    }

    fn set(&mut self) -> Result<Node> {
        let mut node = Node { cover: self.cover()?, ..Node::default() };
        while node.children.len() < 3 && self.u.ratio(2, 3)? {
            let key = self.scalar()?;
            let element = self.leaf(|_| Ok(Vec::new()))?;
            node.children.push((key, element));
        }
        Ok(node)
    }

    fn int(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        write_sint(&mut out, self.u.arbitrary()?).expect(INTO_MEMORY);
        Ok(out)
    }

    fn uint(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        number(&mut out, self.u.arbitrary()?);
        Ok(out)
    }

    fn scalar(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        match self.u.int_in_range(0..=5_u8)? {
            0 => write_nil(&mut out).expect(INTO_MEMORY),
            1 => out.push(if self.u.arbitrary()? { 0xc3 } else { 0xc2 }),
            2 => out = self.int()?,
            3 => write_f64(&mut out, self.u.arbitrary()?).expect(INTO_MEMORY),
            4 => write_str(&mut out, self.u.choose(&["", "x", "late"])?).expect(INTO_MEMORY),
            _ => bin(&mut out, &self.u.arbitrary::<[u8; 2]>()?),
        }
        Ok(out)
    }

    fn stamped(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        array(&mut out, 3);
        number(&mut out, if self.u.arbitrary()? { u64::MAX } else { self.u.arbitrary::<u16>()?.into() });
        number(&mut out, self.u.arbitrary::<u32>()?.into());
        out.extend(self.scalar()?);
        Ok(out)
    }

    fn anything(&mut self) -> Result<Vec<u8>> {
        let len = self.u.int_in_range(0..=30_usize)?;
        Ok(self.u.bytes(len.min(self.u.len()))?.to_vec())
    }
}

/// The body of a delta of a [`Doc`], with events that no other has: `next` says which each author has left.
///
/// # Errors
/// When the bytes are used up.
pub fn doc_delta(u: &mut Unstructured<'_>, next: &mut [u64; AUTHORS]) -> Result<Vec<u8>> {
    let mut events = Vec::new();
    for (row, next) in next.iter_mut().enumerate() {
        if u.ratio(if row == 0 { 3 } else { 1 }, 4)? {
            let count = u.int_in_range(1..=4_u64)?;
            events.push((row, *next, *next + count - 1));
            *next += count;
        }
    }
    let mut past = [0; AUTHORS];
    events.iter().for_each(|run| past[run.0] = run.2);
    let mut deps = Vec::new();
    for row in 0..AUTHORS {
        let known = events.iter().find(|run| run.0 == row).map_or(next[row], |run| run.1);
        // As a rule on what exists; now and then on what does not yet.
        let beyond = u64::from(u.ratio(1, 16)?);
        if known + beyond > 1 && u.ratio(1, 3)? {
            let counter = u.int_in_range(1..=known - 1 + beyond)?;
            if events.iter().all(|run| run.0 != row || counter < run.1) {
                deps.push((row, counter));
                past[row] = past[row].max(counter);
            }
        }
    }
    let dots = events.iter().flat_map(|&(row, first, last)| (first..=last).map(move |n| (row, n))).collect();
    let mut maker = Maker { u, dots, past, left: 12 };
    let mut tree = maker.doc(0)?;
    tree.tidy();

    let mut used = [false; AUTHORS];
    events.iter().for_each(|run| used[run.0] = true);
    deps.iter().for_each(|(row, _)| used[*row] = true);
    tree.rows(&mut used);
    let mut wire = [u64::MAX; AUTHORS];
    let rows: Vec<usize> = (0..AUTHORS).filter(|row| used[*row]).collect();
    rows.iter().enumerate().for_each(|(at, row)| wire[*row] = at as u64);
    let message = message::Message {
        replicas: rows.iter().map(|row| *author(*row).as_bytes()).collect(),
        deps: deps.into_iter().map(|(row, counter)| (wire[row], counter)).collect(),
        events: runs(&events, &wire),
        tree: tree.named(&wire),
    };
    Ok(message.body())
}

/// One of the two kinds of replica that take part.
enum Either {
    Typed(Replica<Doc>),
    Opaque(Replica<Opaque>),
}

/// A body as JSON.
fn show(body: &[u8]) -> String {
    let mut rest = body;
    let mut parts = Vec::new();
    while let Ok(part) = rmp_serde::from_read::<_, Shown>(&mut rest) {
        parts.push(part);
    }
    format!("{parts:?}")
}

/// Any MessagePack of which bodies consist.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Shown {
    Number(u64),
    List(Vec<Shown>),
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::List(list) => f.debug_list().entries(list).finish(),
            Self::Bytes(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
        }
    }
}

/// Runs a generic block on the replica, whatever its type.
macro_rules! either {
    ($either:expr, $replica:ident => $body:expr) => {
        match $either {
            Either::Typed($replica) => $body,
            Either::Opaque($replica) => $body,
        }
    };
}

impl Either {
    /// The state without its type.
    fn bytes(&self) -> Vec<u8> {
        let state = either!(self, replica => replica.encode());
        let untyped = Delta::<Opaque>::decode_state(&state, &Limits::trusted()).expect("our own state");
        untyped.encode_state().expect("it is a state")
    }

    fn merge(&mut self, body: &[u8]) {
        let limits = Limits::default();
        either!(self, replica => {
            let delta = Delta::decode_body(body, &limits).expect("what one takes and tells, all take");
            replica.merge(delta).expect("there is room");
        });
    }

    fn merge_state(&mut self, state: &[u8]) {
        let limits = Limits::default();
        either!(self, replica => {
            let delta = Delta::decode_state(state, &limits).expect("what one takes and tells, all take");
            replica.merge(delta).expect("there is room");
        });
    }

    fn restart(&mut self) {
        let limits = Limits::default();
        either!(self, replica => {
            let bytes = replica.encode();
            *replica = Replica::decode(replica.id(), &bytes, &limits).expect("our own state");
            assert!(replica.encode() == bytes);
        });
    }
}

/// Merges hostile deltas, in different orders and ways, at two replicas that understand them and one that does not.
/// In the end all are equal; equal versions mean equal states all along.
pub fn garbage_then_sync(data: &[u8]) {
    // Running out of bytes ends the program.
    let _ = garbage(&mut Unstructured::new(data));
}

fn garbage(u: &mut Unstructured<'_>) -> Result<()> {
    let limits = Limits::default();
    let mut pool: Vec<Vec<u8>> = Vec::new();
    let mut next = [1; AUTHORS];
    for _ in 0..u.int_in_range(1..=MAX_MESSAGES)? {
        let mut after = next;
        let body = doc_delta(u, &mut after)?;
        // A delta that is refused everywhere has not been sent.
        if let Ok(delta) = Delta::<Doc>::decode_body(&body, &limits) {
            assert!(delta.encode_body() == body, "a delta has one encoding");
            next = after;
            trace!("{} {delta:?} {tree:?}", pool.len(), tree = show(&body));
            pool.push(body);
        }
    }
    let id = |of: u8| ReplicaId::from_bytes([of; 16]);
    let mut replicas = [
        Either::Typed(Replica::new(id(0x11))),
        Either::Typed(Replica::new(id(0x22))),
        Either::Opaque(Replica::new(id(0x33))),
    ];
    let mut steps = 0;
    while steps < MAX_STEPS && !u.is_empty() && !pool.is_empty() {
        steps += 1;
        let (at, other) = (u.choose_index(3)?, u.choose_index(3)?);
        let what = u.int_in_range(0..=9_u8)?;
        trace!("step {what} at {at} with {other}");
        match what {
            0..=4 => {
                let which = u.choose_index(pool.len())?;
                trace!("merge {which}");
                let body = pool[which].clone();
                replicas[at].merge(&body);
            }
            5 => replicas[at].restart(),
            6 | 7 => {
                let version = either!(&replicas[other], replica => replica.version());
                let told = either!(&replicas[at], replica => match replica.delta_since(&version) {
                    Since::Delta(delta) => Some(delta.encode_body()),
                    Since::UpToDate | Since::Forgotten => None,
                });
                if let Some(body) = told {
                    trace!("told {}", show(&body));
                    replicas[other].merge(&body);
                    let known = either!(&replicas[other], replica => replica.version());
                    let teller = either!(&replicas[at], replica => replica.version());
                    assert!(known.dominates(&teller), "an answer brings level");
                }
            }
            8 => {
                let state = either!(&replicas[at], replica => replica.encode());
                replicas[other].merge_state(&state);
            }
            _ => {
                let op: Op = u.arbitrary()?;
                trace!("{op:?}");
                if let Either::Typed(replica) = &mut replicas[at] {
                    let (_, delta) = replica.update(|doc| Doc::apply(doc, &op));
                    if !delta.is_empty() {
                        pool.push(delta.encode_body());
                    }
                } else {
                    either!(&mut replicas[at], replica => replica.set_history_bytes(u.arbitrary::<u16>()?.into()));
                }
            }
        }
        check(&replicas);
    }
    // Everything reaches everybody. What is applied in the end depends on what there is, not on the order.
    let decode = |body: &Vec<u8>| Delta::<Doc>::decode_body(body, &limits).expect("it decoded before");
    let pool: Vec<Delta<Doc>> = pool.iter().map(decode).collect();
    for replica in &mut replicas {
        loop {
            let before = either!(replica, replica => replica.version());
            trace!("final round");
            for delta in &pool {
                let merged = match replica {
                    Either::Typed(replica) => replica.merge(delta.clone()),
                    Either::Opaque(replica) => replica.merge(delta.erase()),
                };
                merged.expect("there is room");
            }
            if either!(replica, replica => replica.version()) == before {
                break;
            }
        }
    }
    let version = either!(&replicas[0], replica => replica.version());
    assert!(replicas.iter().all(|other| either!(other, replica => replica.version()) == version));
    check(&replicas);
    Ok(())
}

/// Equal versions mean equal states.
fn check(replicas: &[Either]) {
    let versions: Vec<Version> =
        replicas.iter().map(|replica| either!(replica, replica => replica.version())).collect();
    for (at, version) in versions.iter().enumerate().filter(|(_, version)| !version.is_empty()) {
        // One equal one is enough: what it equals has been compared with the next.
        if let Some(other) = versions[at + 1..].iter().position(|other| other == version) {
            let other = &replicas[at + 1 + other];
            assert!(replicas[at].bytes() == other.bytes(), "one version and two states");
        }
    }
}
