//! Reading states, as a whole or slice by slice.

use alloc::borrow::ToOwned;
use alloc::sync::Arc;
use core::any::TypeId;

use super::reader::{Children, Reader};
use super::slices::{SLICE, Weight};
use super::{DecodeError, Envelope, EnvelopeKind, Limits};
use crate::causal::{Dot, LocalDot, ReplicaId};
use crate::delta::{Delta, Mismatch, Parts, check_tree};
use crate::replica::Replica;
use crate::store::{Crdt, DotStore, Opaque};

/// A state in bytes, taken apart: [`Decoding`] takes its slices one after the other.
///
/// ```
/// use tombolo_crdt::{AddWinsSet, Decoding, EncodedState, Limits, Replica, ReplicaId};
///
/// let mut ann = Replica::<AddWinsSet<u32>>::new(ReplicaId::from_bytes([1; 16]));
/// ann.update(|set| set.extend(0..30_000_u32));
/// let bytes = ann.encode();
///
/// let limits = Limits::default();
/// let state = EncodedState::open::<AddWinsSet<u32>>(&bytes, &limits)?;
/// let mut decoding = Decoding::new(Replica::new(ReplicaId::from_bytes([2; 16])), &limits);
/// for slice in &state {
///     decoding.take(slice?)?;
///     // Here a user interface can be drawn, or a task yield.
/// }
/// let bob: Replica<AddWinsSet<u32>> = decoding.finish();
/// assert_eq!(bob.len(), 30_000);
/// # Ok::<(), tombolo_crdt::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct EncodedState<'b> {
    count: usize,
    slices: &'b [u8],
    format: u8,
    limits: Limits,
}

impl<'b> EncodedState<'b> {
    /// Opens the envelope of a state and checks that it says it is one of a `T`. Nothing in it has been read then. Costs
    /// one look at every byte, for the checksum.
    ///
    /// # Errors
    /// When the bytes are not a state of a `T`, are damaged, or exceed `limits`.
    pub fn open<T: Crdt>(bytes: &'b [u8], limits: &Limits) -> Result<Self, DecodeError> {
        let (format, body) = Envelope::open_any(EnvelopeKind::State, bytes, limits)?;
        let mut reader = Reader::new(body, limits);
        let parts = reader.array("a state")?;
        if parts == 0 || (format == 1 && parts != 3) {
            return Err(DecodeError::Malformed { at: 0, expected: "a state: a type and what it holds" });
        }
        let found = reader.text("the name of a type")?;
        let wanted = T::type_name();
        // An opaque replica writes no name and reads any.
        if !found.is_empty() && found != wanted && TypeId::of::<T>() != TypeId::of::<Opaque>() {
            return Err(Mismatch::Type { wanted: wanted.into_owned(), found: found.to_owned() }.into());
        }
        // In format 1 a state is one slice, whose parts stand in the place of it.
        let count = if format == 1 { 1 } else { parts - 1 };
        Ok(Self { count, slices: reader.rest(), format, limits: *limits })
    }

    /// How many slices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none: the state of a replica that knows nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'b> IntoIterator for &EncodedState<'b> {
    type Item = Result<Slice<'b>, DecodeError>;
    type IntoIter = EncodedSlices<'b>;

    fn into_iter(self) -> EncodedSlices<'b> {
        EncodedSlices {
            reader: Reader::new(self.slices, &self.limits),
            left: self.count,
            format: self.format,
        }
    }
}

/// One slice of a state, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Slice<'b> {
    body: &'b [u8],
    /// Which slice of how many, if the cuts are those that the encoding asks for.
    cut: Option<Cut>,
    /// `None` for a slice from a store, which may be of any that has slices.
    format: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// More follow.
    Full,
    /// The last.
    Last,
}

impl<'b> From<&'b [u8]> for Slice<'b> {
    /// A slice as [`Replica::slices`] wrote it.
    fn from(body: &'b [u8]) -> Self {
        Self { body, cut: None, format: None }
    }
}

/// The slices of a state, in their order.
pub struct EncodedSlices<'b> {
    reader: Reader<'b>,
    left: usize,
    format: u8,
}

impl core::fmt::Debug for EncodedSlices<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EncodedSlices").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<'b> Iterator for EncodedSlices<'b> {
    type Item = Result<Slice<'b>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            // Nothing may follow on the last.
            let end = self.reader.finish().err();
            self.reader = Reader::new(&[], &Limits::trusted());
            return end.map(Err);
        }
        self.left -= 1;
        let format = self.format;
        let cut = Some(if self.left == 0 { Cut::Last } else { Cut::Full });
        let body = match format {
            1 => Ok(self.reader.rest()),
            _ => self.reader.skip_body(),
        };
        if body.is_err() || format == 1 {
            self.left = 0;
            self.reader = Reader::new(&[], &Limits::trusted());
        }
        Some(body.map(|body| Slice { body, cut, format: Some(format) }))
    }
}

/// A replica that is being read from the slices of a state.
///
/// Beside the replica it takes memory for one slice at a time. What was read cannot be seen before it is all there:
/// a part of a state is no state that anybody ever was in.
#[derive(Debug)]
pub struct Decoding<T: Crdt> {
    replica: Replica<T>,
    limits: Limits,
    /// The dot up to which all has been read.
    reached: Option<Dot>,
}

impl<T: Crdt> Decoding<T> {
    /// Begins to read a state into a replica that knows nothing yet.
    ///
    /// # Panics
    /// If the replica knows something.
    #[must_use]
    pub fn new(replica: Replica<T>, limits: &Limits) -> Self {
        assert!(replica.replicas() == 0, "a state is decoded into a replica that knows nothing");
        Self { replica, limits: *limits, reached: None }
    }

    /// Reads the next slice. Costs time and, while it lasts, memory in proportion to the slice.
    ///
    /// # Errors
    /// When it is not the next slice of a state of a `T`, is damaged, or all slices so far exceed the limits. What
    /// has been read is then of no use.
    pub fn take<'b>(&mut self, slice: impl Into<Slice<'b>>) -> Result<(), DecodeError> {
        let (parts, memory) = self.read(slice.into())?;
        self.limits.memory = memory;
        self.replica.adopt_slice(&parts)?;
        if self.replica.replicas() > self.limits.replicas {
            return Err(DecodeError::Limit { what: "replicas", limit: self.limits.replicas });
        }
        Ok(())
    }

    fn read(&mut self, slice: Slice<'_>) -> Result<(Arc<Parts>, usize), DecodeError> {
        self.limits.check_bytes(slice.body.len())?;
        let mut reader = Reader::new(slice.body, &self.limits).of_format(slice.format);
        let parts = match slice.format {
            Some(1) => reader.plain_body(Children::ByDot)?,
            _ => reader.body(Children::ByDot)?,
        };
        reader.finish()?;
        check_tree(&parts)?;
        follow(&mut self.reached, &parts)?;
        if slice.format != Some(1)
            && let Some(cut) = slice.cut
        {
            check_cut(&parts, cut, slice.format)?;
        }
        Ok((parts, reader.memory()))
    }

    /// The replica with all that has been read. Recent deltas are not part of a state: to peers behind this version it
    /// sends the whole state.
    ///
    /// SUBTLE: only who hands in the slices knows whether they are all there. A state whose last slices are missing
    /// reads as a smaller one.
    #[must_use]
    pub fn finish(mut self) -> Replica<T> {
        self.replica.all_adopted();
        self.replica
    }
}

/// Checks that a slice is one, and that its events are those that follow on `reached`, which they move.
pub(super) fn follow(reached: &mut Option<Dot>, parts: &Parts) -> Result<(), Mismatch> {
    if parts.tree.cover_runs().next().is_some() {
        return Err(Mismatch::Shape("a cover in a state, which covers its whole version without saying so"));
    }
    if !parts.deps.is_empty() {
        return Err(Mismatch::Events);
    }
    for run in &parts.events {
        let replica = parts.table.id(run.replica);
        let follows = match *reached {
            Some(Dot { replica: last, counter }) if last == replica => run.first == counter + 1,
            Some(Dot { replica: last, .. }) => last < replica && run.first == 1,
            None => run.first == 1,
        };
        if !follows {
            return Err(Mismatch::Events);
        }
        *reached = Some(Dot { replica, counter: run.last });
    }
    Ok(())
}

/// A state has one form: a slice ends with the item with which it has come to weigh enough.
fn check_cut(parts: &Parts, cut: Cut, format: Option<u8>) -> Result<(), DecodeError> {
    let (mut sum, mut last): (u64, Option<(LocalDot, u64)>) = (0, None);
    let tree = parts.tree.flat();
    for (span, node) in tree.spans() {
        let key = tree.key(node);
        let weight = if format == Some(2) { Weight::of_items(&span, key) } else { Weight::of(&span, key) };
        sum += weight.sum();
        if last.is_none_or(|(last, _)| last < span.first) {
            last = Some((span.last(), weight.last()));
        }
    }
    let end = parts.events.last().map(|run| LocalDot::new(run.replica, run.last));
    let is_right = match (last, cut) {
        (_, _) if end.is_none() => false,
        (None, Cut::Last) => true,
        (None, Cut::Full) => false,
        (Some((_, weight)), Cut::Last) => sum - weight < SLICE,
        (Some((dot, weight)), Cut::Full) => sum - weight < SLICE && sum >= SLICE && Some(dot) == end,
    };
    if is_right {
        Ok(())
    } else {
        Err(DecodeError::Malformed { at: 0, expected: "slices cut where they weigh enough" })
    }
}

/// Reads a state as a delta that depends on nothing. `seed` is for hash tables, and not known to who wrote the bytes; without
/// one there are none but that of the replica ids, whose number is limited.
pub(crate) fn decode_state<T: Crdt>(
    bytes: &[u8],
    limits: &Limits,
    seed: Option<u64>,
) -> Result<Delta<T>, DecodeError> {
    let state = EncodedState::open::<T>(bytes, limits)?;
    let nobody = ReplicaId::from_bytes([0; 16]);
    match seed {
        Some(seed) if state.len() > 1 => {
            return joined(&state, Replica::<T>::with_hash_seed(nobody, seed), limits);
        }
        None if state.len() > 1 => {
            let seed = u64::from(crc32fast::hash(bytes)) << 32 | bytes.len() as u64;
            let untyped = joined(&state, Replica::<Opaque>::with_hash_seed(nobody, seed), limits)?;
            T::State::check(untyped.parts.tree.root())?;
            return Ok(Delta::from_parts(untyped.parts));
        }
        _ => {}
    }
    let mut decoding = Decoding::new(Replica::<T>::new(nobody), limits);
    let mut parts = Arc::new(Parts::empty(Arc::default()));
    for slice in &state {
        parts = decoding.read(slice?)?.0;
    }
    T::State::check(parts.tree.root())?;
    let state = Arc::make_mut(&mut parts);
    state.is_state = true;
    let known = state.event_context();
    state.tree.cover_at_root(&known);
    Ok(Delta::from_parts(parts))
}

/// The slices of a state, joined in a replica that knows nothing.
fn joined<T: Crdt>(
    state: &EncodedState<'_>,
    empty: Replica<T>,
    limits: &Limits,
) -> Result<Delta<T>, DecodeError> {
    let mut decoding = Decoding::new(empty, limits);
    for slice in state {
        decoding.take(slice?)?;
    }
    Ok(decoding.finish().state())
}
