//! Reads what the [writer](super::writer) writes, and nothing else.

mod columns;

use alloc::sync::Arc;
use alloc::vec::Vec;
use rmp::Marker;
use smallvec::SmallVec;

use super::compress::{LEAST, MAX_RATIO, decompress};
use super::writer::head;
use super::{DecodeError, Limits, SessionNames};
use crate::causal::{MAX_COUNTER, ReplicaId, ReplicaIndex, ReplicaTable};
use crate::delta::Parts;

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
    /// Of which format the message is, if that is told: otherwise it may be of any since the second.
    format: Option<u8>,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8], limits: &Limits) -> Self {
        Self { bytes, at: 0, memory: limits.memory, limits: *limits, format: None }
    }

    /// Has it be of a format.
    pub(super) fn of_format(self, format: Option<u8>) -> Self {
        Self { format, ..self }
    }

    /// The bits that the head of a message may have.
    pub(super) fn features(&self) -> u8 {
        let all = head::ONE | head::DEPS | head::IN_ORDER | head::SHARED;
        match self.format {
            Some(..3) => all,
            Some(3) => all | head::RUNS,
            Some(4) => all | head::RUNS | head::PLANES,
            _ => all | head::RUNS | head::PLANES | head::HEADS,
        }
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
        core::str::from_utf8(bytes).map_err(|_| self.malformed(expected))
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
    pub(super) fn body(&mut self, children: Children) -> Result<Arc<Parts>, DecodeError> {
        match self.array("the body of a message")? {
            2 => self.plain_body(children),
            3 => {
                let table = Arc::new(self.names()?);
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
        table: Arc<ReplicaTable>,
        length: usize,
        packed: &[u8],
        children: Children,
    ) -> Result<Arc<Parts>, DecodeError> {
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
    ) -> Result<Arc<Parts>, DecodeError> {
        let told = self.number("who it is about")?;
        let table = if told & 1 == 1 {
            Arc::new(self.session_table(told >> 2, names)?)
        } else {
            self.check_table(1)?;
            names.table(told >> 2).ok_or_else(|| self.malformed("a number of the session"))?
        };
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

    /// The table of so many replicas, each by its number or its id.
    fn session_table(&mut self, replicas: u64, names: &SessionNames) -> Result<ReplicaTable, DecodeError> {
        let replicas = self.at_most_left(replicas)?;
        self.table(replicas, |reader| {
            let number = reader.number("a number of the session")?;
            match names.get(number) {
                Some(_) if replicas == 1 => Err(reader.malformed("one replica by its number alone")),
                Some(id) => Ok(id),
                None if number == names.ids().len() as u64 => {
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
        })
    }

    /// Names and columns as they are: what is left of a body without its head.
    pub(super) fn plain_body(&mut self, children: Children) -> Result<Arc<Parts>, DecodeError> {
        let table = Arc::new(self.names()?);
        let columns = self.bin("the columns of a message")?;
        self.columns_of(table, columns, 0, children)
    }

    /// Reads columns; `beside` is the memory that they take themselves.
    pub(super) fn columns_of(
        &mut self,
        table: Arc<ReplicaTable>,
        columns: &[u8],
        beside: usize,
        children: Children,
    ) -> Result<Arc<Parts>, DecodeError> {
        if u32::try_from(columns.len()).is_err() {
            return Err(DecodeError::Limit { what: "bytes", limit: u32::MAX as usize });
        }
        let mut used: SmallVec<[bool; 8]> = SmallVec::from_elem(false, table.len());
        let memory = self.memory - beside;
        let mut inner = Reader { bytes: columns, at: 0, memory, limits: self.limits, format: self.format };
        // Filled where it stays: to copy it costs as much as to read a key pressed.
        let mut parts = Arc::new(Parts::empty(table));
        inner.columns(Arc::make_mut(&mut parts), &mut used, children)?;
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

    /// Whether so many replicas are allowed.
    fn check_table(&mut self, replicas: usize) -> Result<(), DecodeError> {
        if replicas > self.limits.replicas {
            return Err(DecodeError::Limit { what: "replicas", limit: self.limits.replicas });
        }
        self.spend(replicas * 6 * size_of::<ReplicaId>())
    }

    /// The table of the replicas that `next` reads one after the other.
    fn table(
        &mut self,
        replicas: usize,
        mut next: impl FnMut(&mut Self) -> Result<ReplicaId, DecodeError>,
    ) -> Result<ReplicaTable, DecodeError> {
        self.check_table(replicas)?;
        let mut table = ReplicaTable::default();
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
}
