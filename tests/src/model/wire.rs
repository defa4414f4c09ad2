//! Writes messages by hand, right or wrong, as the format is documented in `tombolo-crdt`'s codec.

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

    fn write(&self, out: &mut Vec<u8>) {
        array(out, 3);
        runs(out, &self.cover);
        array(out, self.carried.len() * 3);
        for (row, counter, content) in &self.carried {
            uint(out, *row);
            uint(out, *counter);
            bin(out, content);
        }
        array(out, self.children.len() * 2);
        for (key, child) in &self.children {
            bin(out, key);
            child.write(out);
        }
    }
}

impl Message {
    /// The body of a delta.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::new();
        array(&mut out, self.replicas.len());
        self.replicas.iter().for_each(|id| bin(&mut out, id));
        array(&mut out, self.deps.len() * 2);
        for &(row, counter) in &self.deps {
            uint(&mut out, row);
            uint(&mut out, counter);
        }
        runs(&mut out, &self.events);
        self.tree.write(&mut out);
        out
    }

    /// A delta in its envelope.
    #[must_use]
    pub fn delta(&self) -> Vec<u8> {
        Envelope::seal(EnvelopeKind::Delta, &self.body())
    }

    /// A state in its envelope.
    #[must_use]
    pub fn state(&self, type_name: &str) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, type_name);
        body.extend(self.body());
        Envelope::seal(EnvelopeKind::State, &body)
    }
}

/// A whole number in its shortest form.
pub fn uint(out: &mut Vec<u8>, number: u64) {
    match number {
        0..=0x7f => out.push(number as u8),
        0x80..=0xff => out.extend([0xcc, number as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend((number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend((number as u32).to_be_bytes());
        }
        _ => {
            out.push(0xcf);
            out.extend(number.to_be_bytes());
        }
    }
}

/// Bytes with their length.
pub fn bin(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        len @ 0..=0xff => out.extend([0xc4, len as u8]),
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

fn runs(out: &mut Vec<u8>, runs: &[Run]) {
    array(out, runs.len() * 3);
    for &(row, first, count) in runs {
        uint(out, row);
        uint(out, first);
        uint(out, count);
    }
}
