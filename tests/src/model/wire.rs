//! Writes messages by hand, right or wrong, as `docs/encoding.md` has it. The fuzz targets have it too.

use tombolo_crdt::{Envelope, EnvelopeKind};

/// A run of dots: row, first, count.
pub type Run = (u64, u64, u64);

/// A node of a delta's tree.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// What it covers.
    pub cover: Vec<Run>,
    /// What it carries: row, counter, content.
    pub carried: Vec<(u64, u64, Vec<u8>)>,
    /// What lies below, by key.
    pub children: Vec<(Vec<u8>, Node)>,
}

/// The body of a delta.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// The table of replica ids.
    pub replicas: Vec<[u8; 16]>,
    /// What must be known before: row, counter.
    pub deps: Vec<(u64, u64)>,
    /// What it brings.
    pub events: Vec<Run>,
    /// What it says.
    pub tree: Node,
}

impl Node {
    /// A node with content and nothing below.
    #[must_use]
    pub fn carrying(carried: impl IntoIterator<Item = (u64, u64, Vec<u8>)>) -> Self {
        Self { carried: carried.into_iter().collect(), ..Self::default() }
    }

    /// A node that covers and nothing else.
    #[must_use]
    pub fn covering(cover: impl IntoIterator<Item = Run>) -> Self {
        Self { cover: cover.into_iter().collect(), ..Self::default() }
    }

    /// A node with children and nothing else.
    #[must_use]
    pub fn above(children: impl IntoIterator<Item = (Vec<u8>, Self)>) -> Self {
        Self { children: children.into_iter().collect(), ..Self::default() }
    }
}

/// The columns of a tree, written by hand.
#[derive(Default)]
struct Columns {
    shape: Vec<u8>,
    dots: Vec<Run>,
    covers: Vec<Run>,
    keys: Vec<Vec<u8>>,
    /// With how many one after the other.
    lengths: Vec<(u64, u64)>,
    contents: Vec<u8>,
}

impl Columns {
    fn node(&mut self, node: &Node) {
        self.own(node);
        for (key, child) in &node.children {
            self.keys.push(key.clone());
            self.node(child);
        }
    }

    fn own(&mut self, Node { cover, carried, children }: &Node) {
        match (&carried[..], cover.len(), children.len()) {
            ([(_, _, content)], covers @ 0..=1, 0) => {
                varint(&mut self.shape, (content.len() as u64) << 2 | covers as u64);
            }
            ([], 0, below) => varint(&mut self.shape, (below as u64) << 2 | 2),
            (carried, covers, below) => {
                let counts = [(carried.len(), 1), (covers, 2), (below, 4)];
                let which: u64 = counts.iter().filter(|(count, _)| *count > 0).map(|(_, which)| which).sum();
                varint(&mut self.shape, which << 2 | 3);
                for (count, _) in counts.iter().filter(|(count, _)| *count > 0) {
                    varint(&mut self.shape, *count as u64);
                }
                for (_, _, content) in carried {
                    match self.lengths.last_mut() {
                        Some((last, count)) if *last == content.len() as u64 && *last > 0 => *count += 1,
                        _ => self.lengths.push((content.len() as u64, 1)),
                    }
                }
            }
        }
        for (row, counter, content) in carried {
            match self.dots.last_mut() {
                Some((last, first, count)) if last == row && *first + *count == *counter => *count += 1,
                _ => self.dots.push((*row, *counter, 1)),
            }
            self.contents.extend(content);
        }
        self.covers.extend(cover);
    }
}

/// Lengths of contents, as runs or one by one.
fn lengths(runs: &[(u64, u64)], in_runs: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for &(length, count) in runs {
        if in_runs {
            varint(&mut out, length << 1 | u64::from(count > 1));
            (count > 1).then(|| varint(&mut out, count - 2));
        } else {
            (0..count).for_each(|_| varint(&mut out, length));
        }
    }
    out
}

/// Runs, each told by what it differs from the end of the last one.
fn told(out: &mut Vec<u8>, runs: &[Run], mut row: u64, mut counter: u64) {
    for &(of, first, count) in runs {
        let is_other = of != row;
        if is_other {
            (row, counter) = (of, 0);
        }
        let away = first.wrapping_sub(counter) as i64;
        varint(out, (((away << 1) ^ (away >> 63)) as u64) << 1 | u64::from(is_other));
        if is_other {
            varint(out, row);
        }
        varint(out, count.wrapping_sub(1));
        counter = first.wrapping_add(count);
    }
}

impl Message {
    /// The columns.
    #[must_use]
    pub fn columns(&self) -> Vec<u8> {
        let mut tree = Columns::default();
        tree.node(&self.tree);
        let (row, first) = self.events.first().map_or((0, 1), |&(row, first, _)| (row, first));
        let in_order = tree.dots == self.events;
        let one = matches!(self.events[..], [(0, _, 1)]);
        let mut shared = Vec::new();
        let mut before: &[u8] = &[];
        for key in &tree.keys {
            shared.push(before.iter().zip(key).take_while(|(a, b)| a == b).count());
            before = key;
        }
        let shares = shared.iter().sum::<usize>() > 2 * shared.len();
        let as_runs = lengths(&tree.lengths, true);
        let singly = lengths(&tree.lengths, false);
        let in_runs = as_runs.len() < singly.len();
        let mut out = vec![
            u8::from(one)
                | u8::from(!self.deps.is_empty()) << 1
                | u8::from(in_order) << 2
                | u8::from(shares) << 3
                | u8::from(in_runs) << 4,
        ];
        if one {
            varint(&mut out, first);
        } else {
            varint(&mut out, self.events.len() as u64);
            for &(row, first, count) in &self.events {
                varint(&mut out, row);
                varint(&mut out, first);
                varint(&mut out, count.wrapping_sub(1));
            }
        }
        if !self.deps.is_empty() {
            varint(&mut out, self.deps.len() as u64);
            for &(row, counter) in &self.deps {
                varint(&mut out, row);
                varint(&mut out, counter);
            }
        }
        out.extend(tree.shape);
        if !in_order {
            told(&mut out, &tree.dots, row, first);
        }
        told(&mut out, &tree.covers, row, first.saturating_sub(1));
        for (key, shared) in tree.keys.iter().zip(&shared) {
            if shares {
                varint(&mut out, *shared as u64);
            }
            varint(&mut out, (key.len() - if shares { *shared } else { 0 }) as u64);
        }
        out.extend(if in_runs { as_runs } else { singly });
        for (key, shared) in tree.keys.iter().zip(&shared) {
            out.extend(&key[if shares { *shared } else { 0 }..]);
        }
        out.extend(tree.contents);
        out
    }

    fn parts(&self, out: &mut Vec<u8>) {
        array(out, self.replicas.len());
        self.replicas.iter().for_each(|id| bin(out, id));
        bin(out, &self.columns());
    }

    /// The body of a delta.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut out = vec![0x92];
        self.parts(&mut out);
        out
    }

    /// A delta in its envelope.
    #[must_use]
    pub fn delta(&self) -> Vec<u8> {
        Envelope::seal(EnvelopeKind::Delta, &self.body())
    }

    /// A state of one slice in its envelope.
    #[must_use]
    pub fn state(&self, type_name: &str) -> Vec<u8> {
        state(type_name, &[self.body()])
    }
}

/// A state of these slices in its envelope.
#[must_use]
pub fn state(type_name: &str, slices: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    array(&mut body, 1 + slices.len());
    text(&mut body, type_name);
    slices.iter().for_each(|slice| body.extend(slice));
    Envelope::seal(EnvelopeKind::State, &body)
}

/// A whole number in groups of seven bits.
pub fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Bytes with their length.
pub fn bin(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        len @ 0..=0xff => out.extend([0xc4, len as u8]),
        len @ 0x100..=0xffff => {
            out.push(0xc5);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0xc6);
            out.extend((len as u32).to_be_bytes());
        }
    }
    out.extend(bytes);
}

/// A short text.
pub fn text(out: &mut Vec<u8>, text: &str) {
    assert!(text.len() < 256, "a short text");
    if text.len() < 32 {
        out.push(0xa0 | text.len() as u8);
    } else {
        out.extend([0xd9, text.len() as u8]);
    }
    out.extend(text.as_bytes());
}

/// The header of an array.
pub fn array(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=0xf => out.push(0x90 | len as u8),
        0x10..=0xffff => {
            out.push(0xdc);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(0xdd);
            out.extend((len as u32).to_be_bytes());
        }
    }
}
