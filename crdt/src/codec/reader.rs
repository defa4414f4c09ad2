//! Reads what the [writer](super::writer) writes, and nothing else.

use std::sync::Arc;

use rmp::Marker;

use super::{DecodeError, Limits};
use crate::causal::{CausalContext, LocalDot, MAX_COUNTER, ReplicaId, ReplicaIndex, ReplicaTable};
use crate::delta::{Parts, Run, TreeWriter};
use crate::store::MAX_DEPTH;

/// What a node takes in a tree.
const PLACE_BYTES: usize = 16;

/// A position in bytes from outside, and what may still be spent on them.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    memory: usize,
    limits: Limits,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8], limits: &Limits) -> Self {
        Self { bytes, at: 0, memory: limits.memory, limits: *limits }
    }

    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(DecodeError::Length) }
    }

    fn malformed(&self, expected: &'static str) -> DecodeError {
        DecodeError::Malformed { at: self.at, expected }
    }

    fn spend(&mut self, heap: usize) -> Result<(), DecodeError> {
        let limit = DecodeError::Limit { what: "memory", limit: self.limits.memory };
        self.memory = self.memory.checked_sub(heap).ok_or(limit)?;
        Ok(())
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

    /// A whole number in its shortest form.
    fn number(&mut self, expected: &'static str) -> Result<u64, DecodeError> {
        let (number, least) = match self.marker()? {
            Marker::FixPos(number) => (u64::from(number), 0),
            Marker::U8 => (self.be(1)?, 1 << 7),
            Marker::U16 => (self.be(2)?, 1 << 8),
            Marker::U32 => (self.be(4)?, 1 << 16),
            Marker::U64 => (self.be(8)?, 1 << 32),
            _ => return Err(self.malformed(expected)),
        };
        self.shortest(number, least)
    }

    /// There is one way to write each number and length.
    fn shortest(&self, number: u64, least: u64) -> Result<u64, DecodeError> {
        if number < least {
            Err(self.malformed("a number or length in its shortest form"))
        } else {
            Ok(number)
        }
    }

    /// The length of an array whose items come in groups of `group` numbers or more, each at least a byte.
    fn groups(&mut self, group: usize, expected: &'static str) -> Result<usize, DecodeError> {
        let (len, least) = match self.marker()? {
            Marker::FixArray(len) => (u64::from(len), 0),
            Marker::Array16 => (self.be(2)?, 1 << 4),
            Marker::Array32 => (self.be(4)?, 1 << 16),
            _ => return Err(self.malformed(expected)),
        };
        let len = self.shortest(len, least)? as usize;
        if len > self.bytes.len() - self.at {
            return Err(DecodeError::Length);
        }
        if len.is_multiple_of(group) { Ok(len / group) } else { Err(self.malformed(expected)) }
    }

    fn bin(&mut self, expected: &'static str) -> Result<&'b [u8], DecodeError> {
        let (len, least) = match self.marker()? {
            Marker::Bin8 => (self.be(1)?, 0),
            Marker::Bin16 => (self.be(2)?, 1 << 8),
            Marker::Bin32 => (self.be(4)?, 1 << 16),
            _ => return Err(self.malformed(expected)),
        };
        let len = self.shortest(len, least)?;
        self.take(len as usize)
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
        let bytes = self.take(len as usize)?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed(expected))
    }

    fn row(&mut self, replicas: usize) -> Result<ReplicaIndex, DecodeError> {
        let row = self.number("a row of the replica table")?;
        if row < replicas as u64 {
            Ok(row as ReplicaIndex)
        } else {
            Err(self.malformed("a row of the replica table"))
        }
    }

    fn counter(&mut self, least: u64) -> Result<u64, DecodeError> {
        let counter = self.number("a counter")?;
        if (least..=MAX_COUNTER).contains(&counter) {
            Ok(counter)
        } else {
            Err(self.malformed("a counter in range"))
        }
    }

    pub(super) fn parts(&mut self) -> Result<Parts, DecodeError> {
        let mut table = ReplicaTable::default();
        let replicas = self.groups(1, "the replica table")?;
        if replicas > self.limits.replicas {
            return Err(DecodeError::Limit { what: "replicas", limit: self.limits.replicas });
        }
        self.spend(replicas * 6 * size_of::<ReplicaId>())?;
        let mut previous = None;
        for _ in 0..replicas {
            let id: [u8; 16] = self
                .bin("a replica id")?
                .try_into()
                .map_err(|_| self.malformed("a replica id of 16 bytes"))?;
            let id = ReplicaId::from_bytes(id);
            if previous.is_some_and(|previous| previous >= id) {
                return Err(self.malformed("replica ids in ascending order"));
            }
            previous = Some(id);
            table.intern(id);
        }
        let mut used = vec![false; replicas];
        let mut parts = Parts::empty(Arc::new(table));
        let deps = self.groups(2, "the dependencies")?;
        self.spend(deps * 2 * size_of::<(ReplicaIndex, u64)>())?;
        for _ in 0..deps {
            let row = self.row(replicas)?;
            if parts.deps.last().is_some_and(|&(last, _)| last >= row) {
                return Err(self.malformed("dependencies in ascending order"));
            }
            used[row as usize] = true;
            parts.deps.push((row, self.counter(1)?));
        }
        let events = self.runs(&mut used)?;
        // As runs, and once more as a context where the message is a state.
        self.spend(events.intervals() * 2 * size_of::<Run>() * 2)?;
        parts.events = events.runs().map(|(replica, first, last)| Run { replica, first, last }).collect();
        parts.tree.fill(|writer| self.node(writer, &mut used, 0))?;
        // Rows are what joining a message costs its receiver for ever.
        if used.iter().any(|used| !used) {
            return Err(self.malformed("no replica in the table that the message does not use"));
        }
        Ok(parts)
    }

    fn runs(&mut self, used: &mut [bool]) -> Result<CausalContext, DecodeError> {
        let mut context = CausalContext::default();
        let runs = self.groups(3, "runs of dots")?;
        self.spend(runs.saturating_sub(1) * size_of::<(u64, u64)>() * 2)?;
        let mut previous: Option<(ReplicaIndex, u64)> = None;
        for _ in 0..runs {
            let row = self.row(used.len())?;
            let first = self.counter(1)?;
            let count = self.counter(1)?;
            let last = first + count - 1;
            // Ascending, and with a gap between: there is one way to write a set of dots.
            let in_order = previous.is_none_or(|(at, end)| row > at || (row == at && first > end + 1));
            if last > MAX_COUNTER || !in_order {
                return Err(self.malformed("runs of dots in ascending order"));
            }
            previous = Some((row, last));
            used[row as usize] = true;
            context.insert_run(row, first, last);
        }
        Ok(context)
    }

    fn node(
        &mut self,
        writer: &mut TreeWriter<'_>,
        used: &mut [bool],
        depth: usize,
    ) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::Limit { what: "nesting", limit: MAX_DEPTH });
        }
        if self.groups(1, "a node")? != 3 {
            return Err(self.malformed("a node of three parts"));
        }
        let cover = self.runs(used)?;
        // Once in the tree and once in the context of all that the door checks; lists may have grown to twice what they
        // hold.
        self.spend(cover.intervals() * 4 * size_of::<(u64, u64)>())?;
        writer.cover(cover.as_dots());
        let carried = self.groups(3, "carried dots")?;
        // The door lists all dots, and joins them to a context.
        self.spend(carried * 2 * (2 * size_of::<LocalDot>() + size_of::<(u64, u64)>() + size_of::<u64>()))?;
        let mut previous = None;
        for _ in 0..carried {
            let row = self.row(used.len())?;
            let dot = LocalDot::new(row, self.counter(1)?);
            if previous.is_some_and(|previous| previous >= dot) {
                return Err(self.malformed("carried dots in ascending order"));
            }
            previous = Some(dot);
            used[row as usize] = true;
            let content = self.bin("a content")?;
            self.spend(2 * content.len())?;
            writer.carry(dot, content);
        }
        let children = self.groups(2, "children")?;
        self.spend(children.saturating_mul(2 * PLACE_BYTES))?;
        let mut previous: Option<&[u8]> = None;
        for _ in 0..children {
            let key = self.bin("a key")?;
            self.spend(2 * key.len())?;
            if previous.is_some_and(|previous| previous >= key) {
                return Err(self.malformed("children in ascending order of key"));
            }
            previous = Some(key);
            let open = writer.open(key);
            self.node(writer, used, depth + 1)?;
            if !writer.close(&open) {
                return Err(self.malformed("a child that says something"));
            }
        }
        Ok(())
    }
}
