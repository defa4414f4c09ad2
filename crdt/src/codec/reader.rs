//! Reads what the [writer](super::writer) writes, and nothing else.

use std::sync::Arc;

use rmp::Marker;
use smallvec::SmallVec;

use super::compress::{LEAST, MAX_RATIO, decompress};
use super::packed::Expected;
use super::writer::{Shared, head, shape};
use super::{DecodeError, Limits, SessionNames};
use crate::causal::{LocalDot, MAX_COUNTER, ReplicaId, ReplicaIndex, ReplicaTable};
use crate::delta::{Bytes, DeltaTree, Parts, Run, TreeBuilder};
use crate::store::MAX_DEPTH;

/// What a node takes: in a tree, and while it is read. Lists may have grown to twice what they hold.
const NODE_BYTES: usize = 2 * (16 + size_of::<Shape>() + 24);
/// What a carried dot takes: in a tree, while it is read, and at the door, where all are listed and joined to a context.
const ITEM_BYTES: usize = 2 * (16 + 8 + 8 + 16 + 4);
/// What a run that is covered takes: in a tree, while it is read, and in the context of all that the door checks.
const COVER_BYTES: usize = 2 * (16 + 16 + 16);

/// In which order the children of a node stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Children {
    /// As the author wrote them.
    Any,
    /// By their first dots.
    ByDot,
}

/// A position in bytes from outside, and what may still be spent on them.
#[derive(Clone)]
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    memory: usize,
    limits: Limits,
}

/// What a node says of itself.
#[derive(Debug, Clone, Copy)]
struct Shape {
    carried: u32,
    covers: u32,
    children: u32,
    /// How long its content is, if it says so itself.
    content: Option<u32>,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8], limits: &Limits) -> Self {
        Self { bytes, at: 0, memory: limits.memory, limits: *limits }
    }

    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(DecodeError::Length) }
    }

    fn malformed(&self, expected: &'static str) -> DecodeError {
        DecodeError::Malformed { at: self.at, expected }
    }

    pub(super) fn spend(&mut self, heap: usize) -> Result<(), DecodeError> {
        let limit = DecodeError::Limit { what: "memory", limit: self.limits.memory };
        self.memory = self.memory.checked_sub(heap).ok_or(limit)?;
        Ok(())
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8], DecodeError> {
        let end = self.at.checked_add(len).ok_or(DecodeError::Length)?;
        let taken = self.bytes.get(self.at..end).ok_or(DecodeError::Length)?;
        self.at = end;
        Ok(taken)
    }

    fn be(&mut self, len: usize) -> Result<u64, DecodeError> {
        Ok(self.take(len)?.iter().fold(0, |number, &byte| (number << 8) | u64::from(byte)))
    }

    fn marker(&mut self) -> Result<Marker, DecodeError> {
        Ok(Marker::from_u8(self.take(1)?[0]))
    }

    /// There is one way to write each number and length.
    fn shortest(&self, number: u64, least: u64) -> Result<usize, DecodeError> {
        if number < least {
            Err(self.malformed("a number or length in its shortest form"))
        } else {
            Ok(number as usize)
        }
    }

    /// The length of an array whose items take a byte each at least.
    pub(super) fn array(&mut self, expected: &'static str) -> Result<usize, DecodeError> {
        let (len, least) = match self.marker()? {
            Marker::FixArray(len) => (u64::from(len), 0),
            Marker::Array16 => (self.be(2)?, 1 << 4),
            Marker::Array32 => (self.be(4)?, 1 << 16),
            _ => return Err(self.malformed(expected)),
        };
        let len = self.shortest(len, least)?;
        if len > self.left() { Err(DecodeError::Length) } else { Ok(len) }
    }

    pub(super) fn bin(&mut self, expected: &'static str) -> Result<&'b [u8], DecodeError> {
        let (len, least) = match self.marker()? {
            Marker::Bin8 => (self.be(1)?, 0),
            Marker::Bin16 => (self.be(2)?, 1 << 8),
            Marker::Bin32 => (self.be(4)?, 1 << 16),
            _ => return Err(self.malformed(expected)),
        };
        let len = self.shortest(len, least)?;
        self.take(len)
    }

    pub(super) fn uint(&mut self, expected: &'static str) -> Result<usize, DecodeError> {
        let (number, least) = match self.marker()? {
            Marker::FixPos(number) => (u64::from(number), 0),
            Marker::U8 => (self.be(1)?, 1 << 7),
            Marker::U16 => (self.be(2)?, 1 << 8),
            Marker::U32 => (self.be(4)?, 1 << 16),
            _ => return Err(self.malformed(expected)),
        };
        self.shortest(number, least)
    }

    pub(super) fn text(&mut self, expected: &'static str) -> Result<&'b str, DecodeError> {
        let (len, least) = match self.marker()? {
            Marker::FixStr(len) => (u64::from(len), 0),
            Marker::Str8 => (self.be(1)?, 1 << 5),
            Marker::Str16 => (self.be(2)?, 1 << 8),
            Marker::Str32 => (self.be(4)?, 1 << 16),
            _ => return Err(self.malformed(expected)),
        };
        let len = self.shortest(len, least)?;
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed(expected))
    }

    /// A number in groups of seven bits.
    fn number(&mut self, expected: &'static str) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                // A last group of zeros could have been left out.
                return if byte == 0 && shift > 0 { Err(self.malformed(expected)) } else { Ok(number) };
            }
        }
        Err(self.malformed(expected))
    }

    /// How many things follow that take a byte each at least.
    fn count(&mut self, expected: &'static str) -> Result<usize, DecodeError> {
        let count = self.number(expected)?;
        self.at_most_left(count)
    }

    fn at_most_left(&self, count: u64) -> Result<usize, DecodeError> {
        if count > self.left() as u64 { Err(DecodeError::Length) } else { Ok(count as usize) }
    }

    fn row(&self, row: u64, replicas: usize) -> Result<ReplicaIndex, DecodeError> {
        if row < replicas as u64 {
            Ok(row as ReplicaIndex)
        } else {
            Err(self.malformed("a row of the replica table"))
        }
    }

    fn counter(&mut self) -> Result<u64, DecodeError> {
        let counter = self.number("a counter")?;
        if (1..=MAX_COUNTER).contains(&counter) {
            Ok(counter)
        } else {
            Err(self.malformed("a counter in range"))
        }
    }

    /// The last counter of a run that begins at `first`.
    fn last(&mut self, first: u64) -> Result<u64, DecodeError> {
        let more = self.number("how far a run goes")?;
        let last = first.checked_add(more).filter(|last| *last <= MAX_COUNTER);
        last.ok_or_else(|| self.malformed("a counter in range"))
    }

    /// What may still be spent.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// Everything from here on.
    pub(super) fn rest(&mut self) -> &'b [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    /// The bytes of a body, unread.
    pub(super) fn skip_body(&mut self) -> Result<&'b [u8], DecodeError> {
        let start = self.at;
        let parts = self.array("the body of a message")?;
        self.skip_parts(parts)?;
        Ok(&self.bytes[start..self.at])
    }

    /// As [`skip_body`](Self::skip_body), of a body without its head.
    pub(super) fn skip_parts(&mut self, parts: usize) -> Result<(), DecodeError> {
        for _ in 0..self.array("the replica table")? {
            self.bin("a replica id")?;
        }
        if parts == 3 {
            self.uint("how long the columns are")?;
        }
        self.bin("the columns of a message").map(drop)
    }

    /// Goes to where another reader of the same bytes is.
    pub(super) fn go_to(&mut self, other: &Self) {
        self.at = other.at;
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The names of a body as they stand, and its columns uncompressed. For [`plain`](super::plain).
    pub(super) fn uncompressed(&mut self) -> Result<Vec<u8>, DecodeError> {
        let parts = self.array("the body of a message")?;
        let start = self.at;
        self.names()?;
        let mut plain = self.bytes[start..self.at].to_vec();
        let length = if parts == 3 { Some(self.uint("how long the columns are")?) } else { None };
        let columns = self.bin("the columns of a message")?;
        match length {
            Some(length) => plain.extend(decompress(columns, length).ok_or(DecodeError::Compressed)?),
            None => plain.extend_from_slice(columns),
        }
        Ok(plain)
    }

    /// Names and columns, compressed or not.
    pub(super) fn body(&mut self, children: Children) -> Result<Parts, DecodeError> {
        match self.array("the body of a message")? {
            2 => self.plain_body(children),
            3 => {
                let table = self.names()?;
                let length = self.uint("how long the columns are")?;
                let packed = self.bin("the columns of a message")?;
                self.compressed(table, length, packed, children)
            }
            _ => Err(self.malformed("a body of two or three parts")),
        }
    }

    /// What is left of a body whose columns are compressed.
    fn compressed(
        &mut self,
        table: ReplicaTable,
        length: usize,
        packed: &[u8],
        children: Children,
    ) -> Result<Parts, DecodeError> {
        let columns = self.unpacked(length, packed)?;
        self.columns_of(table, &columns, length, children)
    }

    /// Columns that are compressed. They are in memory for as long as they are read, so there is as much left.
    pub(super) fn unpacked(&mut self, length: usize, packed: &[u8]) -> Result<Vec<u8>, DecodeError> {
        if length < LEAST || length <= packed.len() || length > MAX_RATIO.saturating_mul(packed.len()) {
            return Err(self.malformed("columns that were worth compressing"));
        }
        self.spend(length)?;
        let columns = decompress(packed, length).ok_or(DecodeError::Compressed)?;
        self.memory += length;
        Ok(columns)
    }

    /// A body whose names are those of a session.
    pub(super) fn session_body(
        &mut self,
        names: &SessionNames,
        children: Children,
    ) -> Result<Parts, DecodeError> {
        let told = self.number("who it is about")?;
        let is_list = told & 1 == 1;
        let replicas = if is_list { self.at_most_left(told >> 2)? } else { 1 };
        let table = self.table(replicas, |reader| {
            let number = if is_list { reader.number("a number of the session")? } else { told >> 2 };
            match names.get(number) {
                Some(_) if is_list && replicas == 1 => {
                    Err(reader.malformed("one replica by its number alone"))
                }
                Some(id) => Ok(id),
                None if is_list && number == names.ids().len() as u64 => {
                    let id = reader.take(16)?.try_into().map_err(|_| DecodeError::Length)?;
                    let id = ReplicaId::from_bytes(id);
                    if names.has(id) {
                        Err(reader.malformed("a replica id without a number"))
                    } else {
                        Ok(id)
                    }
                }
                None => Err(reader.malformed("a number of the session")),
            }
        })?;
        if told & 2 == 2 {
            let length = self.number("how long the columns are")?;
            let length = usize::try_from(length).ok().filter(|&length| u32::try_from(length).is_ok());
            let length = length.ok_or_else(|| self.malformed("how long the columns are"))?;
            let packed = self.rest();
            return self.compressed(table, length, packed, children);
        }
        let columns = self.rest();
        self.columns_of(table, columns, 0, children)
    }

    /// Names and columns as they are: what is left of a body without its head.
    pub(super) fn plain_body(&mut self, children: Children) -> Result<Parts, DecodeError> {
        let table = self.names()?;
        let columns = self.bin("the columns of a message")?;
        self.columns_of(table, columns, 0, children)
    }

    /// Reads columns; `beside` is the memory that they take themselves.
    pub(super) fn columns_of(
        &mut self,
        table: ReplicaTable,
        columns: &[u8],
        beside: usize,
        children: Children,
    ) -> Result<Parts, DecodeError> {
        if u32::try_from(columns.len()).is_err() {
            return Err(DecodeError::Limit { what: "bytes", limit: u32::MAX as usize });
        }
        let mut used = vec![false; table.len()];
        let mut inner = Reader { bytes: columns, at: 0, memory: self.memory - beside, limits: self.limits };
        let parts = inner.columns(table, &mut used, children)?;
        inner.finish()?;
        self.memory = inner.memory + beside;
        // Rows are what joining a message costs its receiver for ever.
        if used.iter().any(|used| !used) {
            return Err(inner.malformed("no replica in the table that the message does not use"));
        }
        Ok(parts)
    }

    pub(super) fn names(&mut self) -> Result<ReplicaTable, DecodeError> {
        let replicas = self.array("the replica table")?;
        self.table(replicas, |reader| {
            let id = reader.bin("a replica id")?.try_into();
            let id = id.map_err(|_| reader.malformed("a replica id of 16 bytes"))?;
            Ok(ReplicaId::from_bytes(id))
        })
    }

    /// The table of the replicas that `next` reads one after the other.
    fn table(
        &mut self,
        replicas: usize,
        mut next: impl FnMut(&mut Self) -> Result<ReplicaId, DecodeError>,
    ) -> Result<ReplicaTable, DecodeError> {
        let mut table = ReplicaTable::default();
        if replicas > self.limits.replicas {
            return Err(DecodeError::Limit { what: "replicas", limit: self.limits.replicas });
        }
        self.spend(replicas * 6 * size_of::<ReplicaId>())?;
        let mut previous = None;
        for _ in 0..replicas {
            let id = next(self)?;
            if previous.is_some_and(|previous| previous >= id) {
                return Err(self.malformed("replica ids in ascending order"));
            }
            previous = Some(id);
            table.intern(id);
        }
        Ok(table)
    }

    fn columns(
        &mut self,
        table: ReplicaTable,
        used: &mut [bool],
        order: Children,
    ) -> Result<Parts, DecodeError> {
        let flags = self.take(1)?[0];
        let unknown = flags & !(head::ONE | head::DEPS | head::IN_ORDER | head::SHARED);
        if unknown != 0 {
            return Err(DecodeError::Feature { bits: unknown });
        }
        let mut parts = Parts::empty(Arc::new(table));
        self.events(&mut parts, flags, used)?;
        if flags & head::DEPS != 0 {
            self.deps(&mut parts, used)?;
        }
        let shapes = self.shapes()?;
        let carried: usize = shapes.iter().map(|shape| shape.carried as usize).sum();
        let dots = self.dots(carried, flags, &parts.events, used)?;
        let covers = self.covers(&shapes, &parts.events, used)?;
        let mut key_lengths = Vec::with_capacity(shapes.len() - 1);
        let (mut previous, mut sum) = (0, 0);
        for _ in 1..shapes.len() {
            let shared = if flags & head::SHARED == 0 { 0 } else { self.number("how much keys share")? };
            let own = self.count("the length of a key")?;
            if shared > previous as u64 {
                return Err(self.malformed("no more shared than there is"));
            }
            previous = shared as usize + own;
            self.spend(2 * previous)?;
            sum += previous as u64;
            key_lengths.push((shared as u32, own as u32));
        }
        if sum > u64::from(u32::MAX) {
            return Err(DecodeError::Limit { what: "bytes", limit: u32::MAX as usize });
        }
        let mut content_lengths = Vec::with_capacity(carried);
        for shape in &shapes {
            for _ in 0..shape.carried {
                content_lengths.push(match shape.content {
                    Some(length) => length as usize,
                    None => self.count("the length of a content")?,
                });
            }
        }
        let own: usize = key_lengths.iter().map(|(_, own)| *own as usize).sum();
        let keys = self.take(own)?;
        let contents = self.take(self.left())?;
        self.spend(2 * contents.len())?;
        let columns = Columns {
            shapes: &shapes,
            dots: &dots,
            covers: &covers,
            key_lengths: &key_lengths,
            content_lengths: &content_lengths,
            keys,
            contents,
        };
        let (tree, shared) = columns.tree(order).map_err(|expected| self.malformed(expected))?;
        parts.tree = tree;
        let told = || shared.lengths.iter().eq(key_lengths.iter().map(|(shared, _)| shared));
        if shared.pays() != (flags & head::SHARED != 0) || (shared.pays() && !told()) {
            return Err(self.malformed("keys told by all that they share, where that pays"));
        }
        Ok(parts)
    }

    fn events(&mut self, parts: &mut Parts, flags: u8, used: &mut [bool]) -> Result<(), DecodeError> {
        if flags & head::ONE != 0 {
            let replica = self.row(0, used.len())?;
            let first = self.counter()?;
            used[0] = true;
            parts.events.push(Run { replica, first, last: first });
            return Ok(());
        }
        let runs = self.count("how many runs of events")?;
        // As runs, and once more as a context where the message is a state.
        self.spend(runs * 4 * size_of::<Run>())?;
        for _ in 0..runs {
            let row = self.number("a row of the replica table")?;
            let replica = self.row(row, used.len())?;
            let first = self.counter()?;
            let last = self.last(first)?;
            // Ascending, and with a gap between: there is one way to write a set of dots.
            let in_order =
                |run: &Run| replica > run.replica || (replica == run.replica && first > run.last + 1);
            if !parts.events.last().is_none_or(in_order) || (runs == 1 && replica == 0 && first == last) {
                return Err(self.malformed("runs of events in ascending order"));
            }
            used[replica as usize] = true;
            parts.events.push(Run { replica, first, last });
        }
        Ok(())
    }

    fn deps(&mut self, parts: &mut Parts, used: &mut [bool]) -> Result<(), DecodeError> {
        let deps = self.count("how many dependencies")?;
        if deps == 0 {
            return Err(self.malformed("a dependency"));
        }
        self.spend(deps * 2 * size_of::<(ReplicaIndex, u64)>())?;
        for _ in 0..deps {
            let row = self.number("a row of the replica table")?;
            let row = self.row(row, used.len())?;
            if parts.deps.last().is_some_and(|&(last, _)| last >= row) {
                return Err(self.malformed("dependencies in ascending order"));
            }
            used[row as usize] = true;
            let counter = self.counter()?;
            parts.deps.push((row, counter));
        }
        Ok(())
    }

    /// What the nodes say of themselves, in pre-order.
    fn shapes(&mut self) -> Result<Vec<Shape>, DecodeError> {
        let mut shapes = Vec::new();
        // How many children are still to come, at each depth.
        let mut open: SmallVec<[u32; 8]> = SmallVec::new();
        loop {
            let shape = self.shape(shapes.is_empty())?;
            self.spend(
                NODE_BYTES + shape.carried as usize * ITEM_BYTES + shape.covers as usize * COVER_BYTES,
            )?;
            shapes.push(shape);
            if shape.children > 0 {
                if open.len() == MAX_DEPTH {
                    return Err(DecodeError::Limit { what: "nesting", limit: MAX_DEPTH });
                }
                open.push(shape.children);
            } else {
                while let Some(children) = open.last_mut() {
                    *children -= 1;
                    if *children > 0 {
                        break;
                    }
                    open.pop();
                }
            }
            if open.is_empty() {
                return Ok(shapes);
            }
        }
    }

    fn shape(&mut self, is_root: bool) -> Result<Shape, DecodeError> {
        let told = self.number("the shape of a node")?;
        let (kind, above) = (told & 3, told >> 2);
        let small = |reader: &Self, number: u64| {
            if number > reader.bytes.len() as u64 { Err(DecodeError::Length) } else { Ok(number as u32) }
        };
        let mut shape = Shape { carried: 0, covers: 0, children: 0, content: None };
        match kind {
            shape::ITEM | shape::ITEM_AND_COVER => {
                shape.carried = 1;
                shape.covers = u32::from(kind == shape::ITEM_AND_COVER);
                shape.content = Some(small(self, above)?);
            }
            shape::CHILDREN => {
                shape.children = small(self, above)?;
                if shape.children == 0 && !is_root {
                    return Err(self.malformed("a node that says something"));
                }
            }
            _ => {
                if above == 0 || above > 7 {
                    return Err(self.malformed("the shape of a node"));
                }
                for (which, count) in [
                    (shape::CARRIES, &mut shape.carried),
                    (shape::COVERS, &mut shape.covers),
                    (shape::HAS_CHILDREN, &mut shape.children),
                ] {
                    if above & which != 0 {
                        *count = self.count("how many there are")? as u32;
                        if *count == 0 {
                            return Err(self.malformed("the shape of a node in its shortest form"));
                        }
                    }
                }
                if matches!((shape.carried, shape.covers, shape.children), (1, 0 | 1, 0) | (0, 0, _)) {
                    return Err(self.malformed("the shape of a node in its shortest form"));
                }
            }
        }
        Ok(shape)
    }

    /// The carried dots, in the order of the nodes.
    fn dots(
        &mut self,
        carried: usize,
        flags: u8,
        events: &[Run],
        used: &mut [bool],
    ) -> Result<Vec<LocalDot>, DecodeError> {
        let mut dots = Vec::with_capacity(carried);
        let too_many = "as many dots as are carried";
        if flags & head::IN_ORDER != 0 {
            for run in events {
                if run.last - run.first >= (carried - dots.len()) as u64 {
                    return Err(self.malformed(too_many));
                }
                dots.extend((run.first..=run.last).map(|counter| LocalDot::new(run.replica, counter)));
            }
            return if dots.len() == carried { Ok(dots) } else { Err(self.malformed(too_many)) };
        }
        let mut expected = expected(events, 0);
        // As long as they are the same.
        let mut same = events.iter();
        let mut in_order = true;
        while dots.len() < carried {
            let (replica, first, last, is_next) = self.run(&mut expected, used)?;
            if last - first >= (carried - dots.len()) as u64 || (is_next && !dots.is_empty()) {
                return Err(self.malformed(too_many));
            }
            in_order &= same.next() == Some(&Run { replica, first, last });
            dots.extend((first..=last).map(|counter| LocalDot::new(replica, counter)));
        }
        if in_order && same.next().is_none() {
            return Err(
                self.malformed("dots that are told because they are not those of the events in order")
            );
        }
        Ok(dots)
    }

    /// The runs that nodes cover, in the order of the nodes.
    fn covers(
        &mut self,
        shapes: &[Shape],
        events: &[Run],
        used: &mut [bool],
    ) -> Result<Vec<(u64, u64)>, DecodeError> {
        let count: usize = shapes.iter().map(|shape| shape.covers as usize).sum();
        let mut covers: Vec<(u64, u64)> = Vec::with_capacity(count);
        let mut expected = expected(events, 1);
        for shape in shapes {
            let start = covers.len();
            for _ in 0..shape.covers {
                let (replica, first, last, _) = self.run(&mut expected, used)?;
                let run = (LocalDot::new(replica, first).bits(), LocalDot::new(replica, last).bits());
                // Ascending, and with a gap between.
                if covers.len() > start && covers[covers.len() - 1].1 + 1 >= run.0 {
                    return Err(self.malformed("runs of dots in ascending order"));
                }
                covers.push(run);
            }
        }
        Ok(covers)
    }

    /// A run of dots: row, first, last, and whether it only goes on where the last one ended.
    fn run(
        &mut self,
        expected: &mut Expected,
        used: &mut [bool],
    ) -> Result<(ReplicaIndex, u64, u64, bool), DecodeError> {
        let told = self.number("a run of dots")?;
        let other = if told & 1 == 1 { Some(self.number("a row of the replica table")?) } else { None };
        let Some((row, first)) = expected.read(told, other) else {
            return Err(self.malformed("a dot"));
        };
        let replica = self.row(row, used.len())?;
        used[replica as usize] = true;
        let last = self.last(first)?;
        expected.counter = last + 1;
        Ok((replica, first, last, told == 0))
    }
}

/// What the first run of dots is expected to be.
fn expected(events: &[Run], before: u64) -> Expected {
    let (row, first) = events.first().map_or((0, 1), |run| (u64::from(run.replica), run.first));
    Expected { row, counter: first.saturating_sub(before) }
}

/// The columns of a tree, to be put together. There is as much in each as the shapes say, but for contents.
struct Columns<'b> {
    shapes: &'b [Shape],
    dots: &'b [LocalDot],
    covers: &'b [(u64, u64)],
    key_lengths: &'b [(u32, u32)],
    content_lengths: &'b [usize],
    keys: &'b [u8],
    contents: &'b [u8],
}

/// A node of which not all children have come.
struct Above {
    node: u32,
    left: u32,
    /// The first dot at or below it, so far, and that of the last child.
    first: Option<LocalDot>,
    last: Option<LocalDot>,
}

impl Columns<'_> {
    /// Puts the tree together. An error says what was expected.
    fn tree(&self, order: Children) -> Result<(DeltaTree, Shared), &'static str> {
        let mut tree = TreeBuilder::new(self.shapes.len(), self.dots.len());
        let mut keys = Keys::new(self.keys, self.key_lengths);
        let (mut dots, mut lengths) = (self.dots.iter(), self.content_lengths.iter());
        let (mut content_end, mut cover_end) = (0, 0);
        let mut above: SmallVec<[Above; 8]> = SmallVec::new();
        for (nth, shape) in self.shapes.iter().enumerate() {
            if nth > 0 {
                keys.next(nth - 1);
            }
            cover_end += shape.covers;
            let mut first = None;
            let mut previous = None;
            for (&dot, length) in dots.by_ref().zip(lengths.by_ref()).take(shape.carried as usize) {
                if previous.is_some_and(|previous| previous >= dot) {
                    return Err("carried dots in ascending order");
                }
                previous = Some(dot);
                first = first.or(previous);
                content_end += length;
                if content_end > self.contents.len() {
                    return Err("the content of a dot");
                }
                tree.carry(dot, content_end as u32);
            }
            let node = tree.node(keys.end, cover_end);
            if shape.children > 0 {
                above.push(Above { node, left: shape.children, first, last: None });
                continue;
            }
            let mut below = first;
            while let Some(parent) = above.last_mut() {
                if parent.last.is_none() {
                    parent.first = [parent.first, below].into_iter().flatten().min();
                } else if order == Children::ByDot && below <= parent.last {
                    return Err("children in the order of their first dots");
                }
                parent.last = below;
                parent.left -= 1;
                if parent.left > 0 {
                    break;
                }
                below = parent.first;
                tree.close(parent.node);
                above.pop();
            }
        }
        if content_end < self.contents.len() {
            return Err("the end of the message");
        }
        let (covers, contents) = (SmallVec::from_slice(self.covers), Bytes::from_slice(self.contents));
        Ok((tree.finish(Bytes::from_vec(keys.all), covers, contents), keys.shared))
    }
}

/// Keys, each told by what it shares with the one before.
struct Keys<'b> {
    own: &'b [u8],
    lengths: &'b [(u32, u32)],
    all: Vec<u8>,
    /// Where the last one begins and ends.
    start: u32,
    end: u32,
    /// What they share indeed.
    shared: Shared,
}

impl<'b> Keys<'b> {
    fn new(own: &'b [u8], lengths: &'b [(u32, u32)]) -> Self {
        let all = Vec::with_capacity(own.len());
        Self { own, lengths, all, start: 0, end: 0, shared: Shared::default() }
    }

    fn next(&mut self, nth: usize) {
        let (shared, own) = self.lengths[nth];
        let (key, rest) = self.own.split_at(own as usize);
        self.own = rest;
        let previous = &self.all[(self.start + shared) as usize..self.end as usize];
        let more = previous.iter().zip(key).take_while(|(a, b)| a == b).count();
        self.shared.add(shared as usize + more);
        let from = self.start as usize;
        self.all.extend_from_within(from..from + shared as usize);
        self.all.extend_from_slice(key);
        (self.start, self.end) = (self.end, self.all.len() as u32);
    }
}
