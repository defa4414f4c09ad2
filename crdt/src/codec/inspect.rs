//! What a message says, for people who look at it: without its type, and past damage where that is possible.
//!
//! Nothing here is for programs that go on with what they read. A decoder refuses what is not as it must be; an inspection
//! says what is wrong, and where, and reads on.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::decoding::follow;
use super::envelope::{HEADER, Header, checksum};
use super::reader::{Children, Reader};
use super::writer::head;
use super::{DecodeError, EnvelopeKind, FORMAT, Limits, readable};
use crate::causal::{Dot, ReplicaId};
use crate::delta::{Node, Parts, Run, check_tree};

/// Longer names of types are cut.
const LONGEST_NAME: usize = 256;

/// What a message that stands alone says. Its [`Display`](core::fmt::Display) is a page of text.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The format that the envelope says.
    pub format: u8,
    /// The kind that the envelope says.
    pub kind: u8,
    /// How long the body is.
    pub bytes: usize,
    /// The name of the type; empty if there is none.
    pub type_name: String,
    /// The body of a delta, or the slices of a state, as far as they were found.
    pub bodies: Vec<InspectedBody>,
    /// What is wrong with the message; what is wrong with a body stands there.
    pub problems: Vec<String>,
}

/// A body: the whole of a delta, or a slice of a state.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct InspectedBody {
    /// Where it begins in the bytes that were inspected.
    pub at: usize,
    /// How many bytes it has; 0 if its end was not found.
    pub bytes: usize,
    /// The replica ids that it names.
    pub replicas: Vec<ReplicaId>,
    /// How long the columns are as they stand.
    pub columns: usize,
    /// How long they are uncompressed, if they are compressed.
    pub uncompressed: Option<usize>,
    /// The first byte of the columns.
    pub head: Option<u8>,
    /// What is wrong with it, and where.
    pub problem: Option<String>,
    /// Whether the slice before it could not be read, so that nothing is known of what this one follows on.
    after_lost: bool,
    /// What it says, if it could be read. It may be that, and wrong.
    parts: Option<Arc<Parts>>,
}

/// Consecutive dots of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectedRun {
    /// Whose.
    pub replica: ReplicaId,
    /// The first counter.
    pub first: u64,
    /// The last counter.
    pub last: u64,
}

/// A node of the tree in a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InspectedNode {
    /// How many nodes are above it.
    pub depth: usize,
    /// Its key, readable; empty at the root.
    pub key: String,
    /// The name of its type, if that can be told.
    pub type_name: String,
    /// The dots it covers.
    pub covers: Vec<InspectedRun>,
    /// The dots it carries, with their contents, readable; of letters of a [`Text`](crate::Text) that follow on one another the first.
    pub carries: Vec<(Dot, String)>,
}

impl Inspection {
    /// Looks at a message in its envelope. Goes on past a wrong length, a wrong checksum and a slice that is wrong; what it
    /// found stands in [`problems`](Self::problems) and [`InspectedBody::problem`]. Takes no more than `limits` says.
    ///
    /// # Errors
    /// When it does not begin like a message, or is longer than the limit.
    pub fn of(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        limits.check_bytes(bytes.len())?;
        let header = Header::read(bytes).ok_or(DecodeError::NotOurs)?;
        let body = &bytes[HEADER..];
        let mut found = Self {
            format: header.format,
            kind: header.kind,
            bytes: body.len(),
            type_name: String::new(),
            bodies: Vec::new(),
            problems: Vec::new(),
        };
        if header.length as usize != body.len() {
            let (says, are) = (header.length, body.len());
            let what = if says as usize > are { "it is cut off" } else { "something follows it" };
            found.problems.push(format!("its length says {says} bytes, and there are {are}: {what}"));
        }
        let body = &body[..body.len().min(header.length as usize)];
        if header.checksum != checksum(header.format, header.kind, body) {
            found.problems.push("the checksum is wrong: bytes were changed".to_owned());
        }
        if header.format == 0 || header.format > FORMAT {
            let format = header.format;
            found.problems.push(format!(
                "format {format} is not known to this program, which knows 1 to {FORMAT}; a newer one may read it"
            ));
            return Ok(found);
        }
        let mut reader = Reader::new(body, limits).of_format(Some(header.format));
        if header.kind == EnvelopeKind::State as u8 {
            found.state(&mut reader);
        } else if header.kind == EnvelopeKind::Delta as u8 {
            found.body(&mut reader, false, None);
            found.end(&reader);
        } else {
            let kind = header.kind;
            found.problems.push(format!(
                "kind {kind} is not known to this program, which knows 1, state, and 2, delta"
            ));
        }
        Ok(found)
    }

    /// Whether nothing is wrong with it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.bodies.iter().all(|body| body.problem.is_none())
    }

    fn state(&mut self, reader: &mut Reader<'_>) {
        let parts = match reader.array("a state: its type and what it holds") {
            Ok(parts) if parts > 0 && (self.format > 1 || parts == 3) => parts,
            other => {
                let parts = other.unwrap_or_default();
                return self.problems.push(format!("byte {HEADER}: no state begins with a list of {parts}"));
            }
        };
        match reader.text("the name of a type") {
            Ok(name) => self.type_name = type_name(name),
            Err(why) => return self.problems.push(located(&why, HEADER)),
        }
        let mut reached = None;
        if self.format == 1 {
            self.body(reader, true, Some(&mut reached));
            return self.end(reader);
        }
        for nth in 1..parts {
            if !self.body(reader, false, Some(&mut reached)) {
                let left = parts - 1 - nth;
                if left > 0 {
                    self.problems.push(format!(
                        "where the {left} slices begin that follow on the last one shown cannot be told"
                    ));
                }
                return;
            }
        }
        self.end(reader);
    }

    fn end(&mut self, reader: &Reader<'_>) {
        let is_whole = self.bodies.last().is_none_or(|body| body.bytes > 0);
        if is_whole && reader.finish().is_err() {
            self.problems
                .push(format!("byte {}: something follows where the end should be", HEADER + reader.at()));
        }
    }

    /// Reads the next body; says whether it is known where it ends.
    fn body(&mut self, reader: &mut Reader<'_>, is_bare: bool, reached: Option<&mut Option<Dot>>) -> bool {
        let after_lost = self.bodies.last().is_some_and(|body| body.parts.is_none());
        let at = HEADER + reader.at();
        let mut body = InspectedBody { at, after_lost, ..InspectedBody::default() };
        if let Err(why) = reader.spend(2 * size_of::<InspectedBody>()) {
            self.problems.push(format!("byte {}: {why}; what follows was not read", body.at));
            return false;
        }
        let ends = body.read(reader, HEADER, is_bare, reached);
        self.bodies.push(body);
        ends
    }
}

impl InspectedBody {
    /// Looks at a delta without its envelope, as it stands in a log.
    #[must_use]
    pub fn of_delta(bytes: &[u8], limits: &Limits) -> Self {
        Self::alone(bytes, limits, None)
    }

    /// Looks at a slice of a state. `reached` is the last dot of the slice before it, if there is one, and becomes that of
    /// this one: slices follow on each other.
    #[must_use]
    pub fn of_slice(bytes: &[u8], reached: &mut Option<Dot>, limits: &Limits) -> Self {
        Self::alone(bytes, limits, Some(reached))
    }

    fn alone(bytes: &[u8], limits: &Limits, reached: Option<&mut Option<Dot>>) -> Self {
        let mut body = Self::default();
        if let Err(why) = limits.check_bytes(bytes.len()) {
            body.problem = Some(why.to_string());
            return body;
        }
        let mut reader = Reader::new(bytes, limits);
        if body.read(&mut reader, 0, false, reached) && reader.finish().is_err() {
            body.problem
                .get_or_insert(format!("byte {}: something follows where the end should be", reader.at()));
        }
        body
    }

    /// The dots it brings.
    pub fn events(&self) -> impl Iterator<Item = InspectedRun> + '_ {
        self.parts.iter().flat_map(|parts| {
            parts.events.iter().map(|&Run { replica, first, last }| InspectedRun {
                replica: parts.table.id(replica),
                first,
                last,
            })
        })
    }

    /// What must be known before: the last dot of each replica.
    pub fn deps(&self) -> impl Iterator<Item = Dot> + '_ {
        self.parts.iter().flat_map(|parts| {
            parts.deps.iter().map(|&(row, counter)| Dot { replica: parts.table.id(row), counter })
        })
    }

    /// How many nodes its tree has; 0 if it could not be read.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.parts.as_ref().map_or(0, |parts| parts.tree.flat().nodes())
    }

    /// How many dots it carries.
    #[must_use]
    pub fn items(&self) -> usize {
        self.parts.as_ref().map_or(0, |parts| parts.tree.count_carried())
    }

    /// The names of the flags in its head. Bits that this program does not know are told by number.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let known = [
            (head::ONE, "ONE"),
            (head::DEPS, "DEPS"),
            (head::IN_ORDER, "IN ORDER"),
            (head::SHARED, "SHARED"),
            (head::RUNS, "RUNS"),
            (head::PLANES, "PLANES"),
            (head::HEADS, "HEADS"),
        ];
        let flags = self.head.unwrap_or_default();
        let name = |bit: u32| match known.iter().find(|(flag, _)| *flag == 1 << bit) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("bit {bit}, which is not known to this program"),
        };
        (0..8).filter(|bit| flags & (1 << bit) != 0).map(name).collect()
    }

    /// Calls `each` with the nodes, as far as it wants them, in the order in which they stand. `type_name` is the name of the
    /// type, empty if it is not known: it says what some keys and contents mean.
    pub fn each_node(&self, type_name: &str, each: &mut dyn FnMut(InspectedNode) -> ControlFlow<()>) {
        if let Some(parts) = &self.parts {
            let _ = walk(parts, parts.tree.root(), 0, (String::new(), Cow::Borrowed(type_name)), each);
        }
    }

    /// Reads it; says whether it is known where it ends, where the reader is then.
    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        base: usize,
        is_bare: bool,
        mut reached: Option<&mut Option<Dot>>,
    ) -> bool {
        let start = reader.at();
        let order = if reached.is_some() { Children::ByDot } else { Children::Any };
        let mut end = reader.clone();
        let ends = if is_bare { end.skip_parts(2) } else { end.skip_body().map(drop) };
        match self.parts(reader, base, is_bare, order) {
            Ok(parts) => {
                if let (true, Some(reached), Some(run)) =
                    (self.after_lost, &mut reached, parts.events.first())
                {
                    **reached = Some(Dot { replica: parts.table.id(run.replica), counter: run.first - 1 });
                }
                let wrong = check_tree(&parts)
                    .and_then(|()| reached.map_or(Ok(()), |reached| follow(reached, &parts)))
                    .err();
                self.problem = wrong.map(|why| why.to_string());
                self.parts = Some(parts);
            }
            Err(why) => self.problem = Some(why),
        }
        if ends.is_ok() {
            reader.go_to(&end);
            self.bytes = reader.at() - start;
        }
        ends.is_ok()
    }

    fn parts(
        &mut self,
        reader: &mut Reader<'_>,
        base: usize,
        is_bare: bool,
        order: Children,
    ) -> Result<Arc<Parts>, String> {
        let here = |why: DecodeError| located(&why, base);
        let parts = if is_bare { 2 } else { reader.array("the body of a message").map_err(here)? };
        if parts != 2 && parts != 3 {
            return Err(format!("byte {}: a body has two or three parts, and not {parts}", self.at));
        }
        let table = Arc::new(reader.names().map_err(here)?);
        reader.spend(table.len() * size_of::<ReplicaId>()).map_err(here)?;
        self.replicas = table.ids().copied().collect();
        if parts == 3 {
            self.uncompressed = Some(reader.uint("how long the columns are").map_err(here)?);
        }
        let packed = reader.bin("the columns of a message").map_err(here)?;
        self.columns = packed.len();
        let begin = base + reader.at() - packed.len();
        let columns = match self.uncompressed {
            Some(length) => Cow::Owned(reader.unpacked(length, packed).map_err(here)?),
            None => Cow::Borrowed(packed),
        };
        self.head = columns.first().copied();
        let unknown = self.head.unwrap_or_default() & !reader.features();
        if unknown != 0 {
            return Err(format!(
                "its head has the features {unknown:#04x}, which are not known to this program; a newer one may read it"
            ));
        }
        let beside = if self.uncompressed.is_some() { columns.len() } else { 0 };
        reader.columns_of(table, &columns, beside, order).map_err(|why| match self.uncompressed {
            Some(_) => format!("in the columns when they are uncompressed, {}", located(&why, 0)),
            None => located(&why, begin),
        })
    }
}

/// An error with the byte of the whole at which it is, if it says one; the reader began at `base`.
fn located(why: &DecodeError, base: usize) -> String {
    match why {
        DecodeError::Malformed { at, expected } => format!("byte {}: expected {expected}", base + at),
        why => why.to_string(),
    }
}

/// The name of a type, from outside: without what would spoil a terminal.
fn type_name(name: &str) -> String {
    let shown = || name.chars().take(LONGEST_NAME + 1).flat_map(char::escape_debug);
    if name.len() > LONGEST_NAME {
        shown().take(LONGEST_NAME).chain(['…']).collect()
    } else {
        shown().collect()
    }
}

fn walk(
    parts: &Parts,
    node: Node<'_>,
    depth: usize,
    (key, type_name): (String, Cow<'_, str>),
    each: &mut dyn FnMut(InspectedNode) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let covers = node.cover().runs().map(|(row, first, last)| InspectedRun {
        replica: parts.table.id(row),
        first,
        last,
    });
    let mut carries = Vec::new();
    for span in node.spans() {
        match readable::span(&type_name, span.contents, span.count) {
            Some(text) => carries.push((parts.table.dot(span.first), text)),
            None => carries.extend(
                span.items()
                    .map(|(dot, content)| (parts.table.dot(dot), readable::content(&type_name, content))),
            ),
        }
    }
    let covers = covers.collect();
    each(InspectedNode { depth, key, type_name: type_name.clone().into_owned(), covers, carries })?;
    node.children().try_for_each(|(key, child)| {
        let named = (readable::key(&type_name, key), readable::below(&type_name, key));
        walk(parts, child, depth + 1, named, each)
    })
}

#[cfg(test)]
mod tests;
