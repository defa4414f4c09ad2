//! A document as the engine sees it: a replica of a type it need not know.

use std::any::{Any, TypeId};
use std::ops::Range;

use tombolo_crdt::{
    Changes, Crdt, DecodeError, Decoding, Delta, Dot, Garbage, Limits, Merged, Opaque, Refused, Replica,
    ReplicaId, SessionNames, Version,
};

use super::frame::{ContentKind, PART, Question};
use super::watch::Observed;
use crate::store::{Stored, WHOLE};

/// So many bytes more an item takes in memory than in a delta: between 10 and 60 (`docs/decisions/0026`).
const TYPED_ITEM: usize = 64;
/// And so many in a document of which the type is not known: 200, or 1 200 where each stands in a map of its own.
const OPAQUE_ITEM: usize = 600;

/// What can be done with a document without knowing its type.
pub(crate) trait Document: Send {
    fn version(&self) -> Version;
    /// Merges bytes from outside. Yields also what to keep of them in a log, if they are a delta.
    fn merge(
        &mut self,
        content: Content<'_>,
        limits: &Limits,
        observed: Observed<'_>,
    ) -> Result<(Merged, Option<Vec<u8>>), MergeError>;
    /// What somebody at `version` lacks, in bytes. With `names`, what is small has ids by numbers.
    fn since(&self, version: &Version, names: Option<&SessionNames>) -> Since;
    /// The numbers of the dots below `base` that are alive; `None` if not all of it is known.
    fn live_below(&self, base: &Version) -> Option<Vec<u64>>;
    /// What somebody lacks that knows `base` and has of it alive what is `gone` here; `None` if nothing.
    fn beyond(
        &self,
        base: &Version,
        gone: &[Range<u64>],
        names: Option<&SessionNames>,
    ) -> Option<(ContentKind, Vec<u8>)>;
    /// A hash of what is alive here of the dots below `base`, without those of these numbers.
    fn fingerprint_below(&self, base: &Version, but: &[Range<u64>], key: &[u8; 16]) -> Option<u128>;
    /// Where a slice is to end that begins with the number `from` and has one of so many `parts` of what is alive below `base`, and not
    /// many more bytes than `most` before they are compressed.
    fn cut_below(&self, base: &Version, from: u64, parts: usize, most: usize) -> Option<u64>;
    /// What is alive of the dots below `base` with these numbers, as a slice of a state.
    fn slice_below(&self, base: &Version, numbers: Range<u64>) -> Option<Vec<u8>>;
    /// One of the same type that will be read from slices.
    fn staged(&self, us: Us, limits: &Limits) -> Box<dyn Staged>;
    /// Takes in all that another of the same type holds.
    fn adopt(
        &mut self,
        other: Box<dyn Document>,
        limits: &Limits,
        observed: Observed<'_>,
    ) -> Result<(), MergeError>;
    fn state(&self) -> Vec<u8>;
    /// The state in slices, cut near where it was cut before.
    fn slices(&self, before: &[Dot]) -> Vec<(Dot, Vec<u8>)>;
    /// As `slices` where it was not cut before, encoded in so many parts one after the other.
    fn slices_in(&self, parts: usize) -> Vec<(Dot, Vec<u8>)>;
    fn waiting(&self) -> usize;
    /// What it keeps beside what is read.
    fn garbage(&self) -> Garbage;
    /// Forgets recent deltas that all know.
    fn forget_history(&mut self, stable: &Version);
    /// Forgets removals that all know; yields the change, also in bytes. `None` if there is nothing to forget.
    fn sweep(&mut self, stable: &Version) -> Option<(Vec<u8>, Delta<Opaque>)>;
    /// About how many bytes of heap it takes. Costs a walk over it.
    fn heap(&self) -> usize;
    /// A hash of all it holds.
    fn fingerprint(&self, key: &[u8; 16]) -> u128;
    /// From here on it writes under another id, which nobody has used.
    fn write_as(&mut self, replica: ReplicaId);
    /// What `of` wrote after its event `after` was written by `replica`, which nobody has used, and which goes on.
    fn disown(&mut self, of: ReplicaId, after: u64, replica: ReplicaId, observed: Observed<'_>);
    /// Counters leave what we added up to our event `after` as it is.
    fn keep_counters(&mut self, after: u64);
    fn set_time(&mut self, wall_millis: u64);
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
    /// The same type, with what a store holds.
    fn reload(&self, us: Us, stored: Option<&Stored>) -> Result<Box<dyn Document>, DecodeError>;
    /// What becomes different where it takes the place of another.
    fn changes_from(&self, before: &dyn Document) -> Changes;
}

/// A document that is being read from slices.
pub(crate) trait Staged: Send {
    /// Reads the next slice.
    fn take(&mut self, slice: &[u8]) -> Result<(), DecodeError>;
    fn finish(self: Box<Self>) -> Box<dyn Document>;
}

impl<T: Crdt> Staged for Decoding<T> {
    fn take(&mut self, slice: &[u8]) -> Result<(), DecodeError> {
        Self::take(self, slice)
    }

    fn finish(self: Box<Self>) -> Box<dyn Document> {
        Box::new((*self).finish())
    }
}

/// What somebody lacks, in bytes.
pub(crate) enum Since {
    UpToDate,
    Content(ContentKind, Vec<u8>),
    /// It is too far behind to tell.
    Forgotten,
}

/// What came from outside.
#[derive(Clone, Copy)]
pub(crate) enum Content<'b> {
    Delta(&'b [u8]),
    State(&'b [u8]),
    Named(&'b [u8], &'b SessionNames),
    /// What who is far behind lacks, with names if it has numbers for them.
    Beyond(&'b [u8], Common<'b>, Option<&'b SessionNames>),
}

/// What who is far behind must have in common with who tells what it lacks.
#[derive(Clone, Copy)]
pub(crate) struct Common<'b> {
    /// The fingerprint of what both have alive of the base.
    fingerprint: u128,
    key: &'b [u8; 16],
}

/// A delta [`beyond`](Document::beyond) a base that answers a question, with the fingerprint of what both have alive below it.
pub(crate) fn checked(
    kind: ContentKind,
    delta: &[u8],
    question: Question,
    fingerprint: u128,
) -> (ContentKind, Vec<u8>) {
    let kind = if kind == ContentKind::Named { ContentKind::BeyondNamed } else { ContentKind::Beyond };
    (kind, [&question[..], &fingerprint.to_le_bytes(), delta].concat())
}

/// Which question this answers, its fingerprint, and the delta; `None` if it is too short.
fn unchecked(bytes: &[u8]) -> Option<(Question, u128, &[u8])> {
    let (question, rest) = bytes.split_first_chunk()?;
    let (fingerprint, delta) = rest.split_first_chunk()?;
    Some((*question, u128::from_le_bytes(*fingerprint), delta))
}

/// Which question content answers, if it says so.
pub(crate) fn answers(kind: ContentKind, bytes: &[u8]) -> Option<Question> {
    let says = matches!(kind, ContentKind::Beyond | ContentKind::BeyondNamed);
    unchecked(bytes).filter(|_| says).map(|(question, ..)| question)
}

impl<'b> Content<'b> {
    /// `None` if it is none, or cannot be read: it may have overtaken the numbers, which will be said again, and it asked for again.
    pub(crate) fn of(
        kind: ContentKind,
        bytes: &'b [u8],
        names: Option<&'b SessionNames>,
        key: &'b [u8; 16],
    ) -> Option<Self> {
        match kind {
            ContentKind::Delta => Some(Self::Delta(bytes)),
            ContentKind::State => Some(Self::State(bytes)),
            ContentKind::Named => Some(Self::Named(bytes, names?)),
            ContentKind::Beyond | ContentKind::BeyondNamed => {
                let (_, fingerprint, delta) = unchecked(bytes)?;
                let common = Common { fingerprint, key };
                let names = if kind == ContentKind::Beyond { None } else { Some(names?) };
                Some(Self::Beyond(delta, common, names))
            }
            ContentKind::Behind | ContentKind::Piece => None,
        }
    }
}

/// As whom documents are written here.
#[derive(Clone, Copy)]
pub(crate) struct Us {
    pub(crate) replica: ReplicaId,
    /// Known to nobody: peers choose keys.
    pub(crate) hash_seed: u64,
}

impl Us {
    /// A replica that knows nothing.
    pub(crate) fn empty<T: Crdt>(self) -> Replica<T> {
        Replica::with_hash_seed(self.replica, self.hash_seed)
    }
}

/// What became of content from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// There is more here than before.
    New,
    Nothing,
    /// It is of another history than what is here: nothing was joined.
    Contradicts,
}

/// Why content from outside was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    #[error(transparent)]
    Bytes(DecodeError),
    #[error(transparent)]
    Full(Refused),
    #[error(
        "it holds {theirs} events of this store, which has written {ours}: two stores go by one replica id"
    )]
    Ours { ours: u64, theirs: u64 },
    #[error("the document would have more than {0} replica ids")]
    Replicas(usize),
    #[error("the document is on the disk only")]
    Absent,
    #[error(
        "it has something else than this store under one name of an event: two stores wrote under one replica id"
    )]
    Contradicts,
}

impl<T: Crdt> Document for Replica<T> {
    fn version(&self) -> Version {
        Self::version(self)
    }

    fn merge(
        &mut self,
        content: Content<'_>,
        limits: &Limits,
        observed: Observed<'_>,
    ) -> Result<(Merged, Option<Vec<u8>>), MergeError> {
        let delta = match content {
            Content::Delta(bytes) => Delta::<T>::decode_body(bytes, limits),
            Content::State(bytes) => self.read_state(bytes, limits),
            Content::Named(bytes, names) | Content::Beyond(bytes, _, Some(names)) => {
                Delta::<T>::decode_in(bytes, names, limits)
            }
            Content::Beyond(bytes, _, None) => Delta::<T>::decode_body(bytes, limits),
        };
        let delta = delta.map_err(MergeError::Bytes)?;
        check_ids(self, &delta.events(), self.reached(self.id()), limits)?;
        let is_contradicted = match content {
            Content::State(_) => self.is_contradicted_by(&delta),
            Content::Beyond(_, common, _) => {
                self.fingerprint_beneath(&delta, common.key) != common.fingerprint
            }
            Content::Delta(_) | Content::Named(..) => false,
        };
        if is_contradicted {
            return Err(MergeError::Contradicts);
        }
        let record = match content {
            Content::Delta(bytes) | Content::Beyond(bytes, _, None) => Some(bytes.to_vec()),
            Content::State(_) => None,
            Content::Named(..) | Content::Beyond(..) => Some(delta.encode_body()),
        };
        let merged = merged(self, delta, observed)?;
        Ok((merged, record))
    }

    fn since(&self, version: &Version, names: Option<&SessionNames>) -> Since {
        match self.delta_since(version) {
            tombolo_crdt::Since::UpToDate => Since::UpToDate,
            tombolo_crdt::Since::Forgotten => Since::Forgotten,
            tombolo_crdt::Since::Delta(delta) => {
                let (kind, bytes) = told(&delta, names);
                Since::Content(kind, bytes)
            }
        }
    }

    fn live_below(&self, base: &Version) -> Option<Vec<u64>> {
        Self::live_below(self, base)
    }

    fn beyond(
        &self,
        base: &Version,
        gone: &[Range<u64>],
        names: Option<&SessionNames>,
    ) -> Option<(ContentKind, Vec<u8>)> {
        Some(told(&self.delta_beyond(base, gone)?, names))
    }

    fn fingerprint_below(&self, base: &Version, but: &[Range<u64>], key: &[u8; 16]) -> Option<u128> {
        Self::fingerprint_below(self, base, but, key)
    }

    fn cut_below(&self, base: &Version, from: u64, parts: usize, most: usize) -> Option<u64> {
        Self::cut_below(self, base, from, parts, most)
    }

    fn slice_below(&self, base: &Version, numbers: Range<u64>) -> Option<Vec<u8>> {
        Self::slice_below(self, base, numbers)
    }

    fn staged(&self, us: Us, limits: &Limits) -> Box<dyn Staged> {
        Box::new(Decoding::<T>::new(us.empty(), limits))
    }

    fn adopt(
        &mut self,
        other: Box<dyn Document>,
        limits: &Limits,
        observed: Observed<'_>,
    ) -> Result<(), MergeError> {
        let other: Box<Self> = other.into_any().downcast().expect("it is of the same type");
        let (ours, theirs) = (self.reached(self.id()), other.reached(self.id()));
        if theirs > ours {
            return Err(MergeError::Ours { ours, theirs });
        }
        if self.replicas() == 0 && self.pending() == 0 && self.id() == other.id() {
            if let Some(observed) = observed {
                observed.push(other.changes_from(self));
            }
            *self = *other;
            return Ok(());
        }
        let new = other.version().iter().filter(|(id, _)| self.reached(*id) == 0).count();
        if new > 0 && self.replicas() + new > limits.replicas {
            return Err(MergeError::Replicas(limits.replicas));
        }
        let state = other.state();
        if self.is_contradicted_by(&state) {
            return Err(MergeError::Contradicts);
        }
        merged(self, state, observed)?;
        Ok(())
    }

    fn state(&self) -> Vec<u8> {
        self.encode()
    }

    fn slices(&self, before: &[Dot]) -> Vec<(Dot, Vec<u8>)> {
        Self::slices(self, before)
    }

    fn slices_in(&self, parts: usize) -> Vec<(Dot, Vec<u8>)> {
        Self::slices_in(self, parts)
    }

    fn waiting(&self) -> usize {
        self.pending()
    }

    fn garbage(&self) -> Garbage {
        Self::garbage(self)
    }

    fn sweep(&mut self, stable: &Version) -> Option<(Vec<u8>, Delta<Opaque>)> {
        let delta = Self::sweep(self, stable);
        (!delta.is_empty()).then(|| (delta.encode_body(), delta.erase()))
    }

    fn forget_history(&mut self, stable: &Version) {
        Self::forget_history(self, stable);
    }

    fn heap(&self) -> usize {
        let is_opaque = TypeId::of::<T>() == TypeId::of::<Opaque>();
        let each = if is_opaque { OPAQUE_ITEM } else { TYPED_ITEM };
        Self::state_size_hint(self) + Self::garbage(self).items * each
    }

    fn fingerprint(&self, key: &[u8; 16]) -> u128 {
        Self::fingerprint(self, key)
    }

    fn write_as(&mut self, replica: ReplicaId) {
        *self = self.fork(replica);
    }

    fn disown(&mut self, of: ReplicaId, after: u64, replica: ReplicaId, observed: Observed<'_>) {
        let renamed = Self::disown(self, of, after, replica);
        if let Some(observed) = observed {
            observed.push(changes_by_name(self, &renamed));
        }
        *self = renamed;
    }

    fn keep_counters(&mut self, after: u64) {
        Self::keep_counters(self, after);
    }

    fn set_time(&mut self, wall_millis: u64) {
        Self::set_time(self, wall_millis);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn reload(&self, us: Us, stored: Option<&Stored>) -> Result<Box<dyn Document>, DecodeError> {
        Ok(Box::new(from_store::<T>(us, stored)?))
    }

    fn changes_from(&self, before: &dyn Document) -> Changes {
        let before = before.as_any().downcast_ref().expect("it is of the same type");
        Self::changes_from(self, before)
    }
}

/// Holds that of the events of this replica's own there are no more than these, and that there are not too many ids.
fn check_ids<T: Crdt>(
    replica: &Replica<T>,
    events: &Version,
    ours: u64,
    limits: &Limits,
) -> Result<(), MergeError> {
    // Nothing leaves a store before it is durable, so what we do not know of ourselves another store has written:
    // a copy of this one, this one before it was restored, or somebody who wants our counters used up.
    let theirs = events.get(replica.id());
    if theirs > ours {
        return Err(MergeError::Ours { ours, theirs });
    }
    // A version that is longer than a frame could be told to nobody.
    let new = events.iter().filter(|(id, _)| replica.reached(*id) == 0).count();
    if new > 0 && replica.replicas() + new > limits.replicas {
        return Err(MergeError::Replicas(limits.replicas));
    }
    Ok(())
}

/// Reads a state that the application hands in, for this replica to merge. Of its own events only `ours` are no other store's.
pub(crate) fn handed_in<T: Crdt>(
    replica: &Replica<T>,
    state: &[u8],
    ours: u64,
    limits: &Limits,
) -> Result<Delta<T>, MergeError> {
    let state = replica.read_state(state, limits).map_err(MergeError::Bytes)?;
    let events = state.events();
    // What is known already does nothing, whoever wrote it.
    if !replica.version().dominates(&events) {
        check_ids(replica, &events, ours, limits)?;
    }
    if replica.is_contradicted_by(&state) {
        return Err(MergeError::Contradicts);
    }
    Ok(state)
}

/// Merges a delta.
pub(super) fn merged<T: Crdt>(
    replica: &mut Replica<T>,
    delta: Delta<T>,
    observed: Observed<'_>,
) -> Result<Merged, MergeError> {
    let merged = match observed {
        None => replica.merge(delta),
        Some(observed) => replica.merge_changes(delta).map(|(merged, changes)| {
            observed.extend(changes);
            merged
        }),
    };
    merged.map_err(MergeError::Full)
}

/// What becomes different where names of events are given anew. Nothing, as a rule: but where the order of ids decides.
fn changes_by_name<T: Crdt>(before: &Replica<T>, renamed: &Replica<T>) -> Changes {
    let changes = renamed.changes_from(before);
    // What has another name counts as another, so this says that it went and came. A plain value shows whether anything else did; but
    // for marks, and if there are none of what has another name, neither direction speaks of any.
    let speaks_of_marks = |changes: &Changes| {
        changes.changes.iter().any(|change| matches!(change.what, tombolo_crdt::What::Marked(_)))
    };
    let is_same = before.plain() == renamed.plain()
        && !speaks_of_marks(&changes)
        && !speaks_of_marks(&before.changes_from(renamed));
    if is_same { Changes::default() } else { changes }
}

fn told<T: Crdt>(delta: &Delta<T>, names: Option<&SessionNames>) -> (ContentKind, Vec<u8>) {
    match names {
        // What takes several parts is told so that another session can go on with it.
        Some(names) if delta.size_hint() <= PART => (ContentKind::Named, delta.encode_in(names)),
        _ => (ContentKind::Delta, delta.encode_body()),
    }
}

/// Rebuilds a document from its snapshot and its log.
pub(crate) fn from_store<T: Crdt>(us: Us, stored: Option<&Stored>) -> Result<Replica<T>, DecodeError> {
    let limits = Limits::trusted();
    let none = Stored::default();
    let stored = stored.unwrap_or(&none);
    let mut document: Replica<T> = match &stored.slices[..] {
        [(WHOLE, state)] => us.empty::<T>().decoded(state, &limits)?,
        slices => {
            let mut decoding = Decoding::new(us.empty(), &limits);
            slices.iter().try_for_each(|(_, slice)| decoding.take(&slice[..]))?;
            decoding.finish()
        }
    };
    for record in &stored.log {
        // A record whose predecessors are missing waits, and the version says that it is not there.
        let _ = document.restore(Delta::decode_body(record, &limits)?);
    }
    Ok(document)
}

/// An unopened document, opened as a `T`.
pub(crate) fn typed<T: Crdt>(us: Us, opaque: &Replica<Opaque>) -> Result<Replica<T>, DecodeError> {
    us.empty::<T>().decoded(&opaque.encode(), &Limits::trusted())
}

#[cfg(test)]
mod tests {
    use tombolo_crdt::{MarkKind, PnCounter, Text};

    use super::*;

    #[test]
    fn a_document_has_no_more_replicas_than_a_frame_can_tell() {
        let limits = Limits { replicas: 10, ..Limits::default() };
        let mut document = Replica::<Opaque>::new(ReplicaId::from_bytes([0; 16]));
        let mut merge = |of: u8, times: u8| {
            let mut other = Replica::<PnCounter>::new(ReplicaId::from_bytes([of; 16]));
            let deltas = (0..times).map(|_| other.update(|counter| counter.inc(1)).1.encode_body());
            deltas.map(|bytes| Document::merge(&mut document, Content::Delta(&bytes), &limits, None)).last()
        };
        for of in 1..=10 {
            assert!(matches!(merge(of, 1), Some(Ok((Merged::Applied, _)))), "{of}");
        }
        assert!(matches!(merge(11, 1), Some(Err(MergeError::Replicas(10)))));
        // Who is known goes on.
        assert!(matches!(merge(10, 2), Some(Ok((Merged::Applied, _)))));
    }

    /// Where the order of ids decides what is read, who watches is told; otherwise nothing, though all that is renamed has another name.
    #[test]
    fn of_what_is_renamed_it_is_told_what_reads_otherwise() {
        let id = |byte| ReplicaId::from_bytes([byte; 16]);
        for (new, is_marked) in [(1, false), (9, false), (1, true), (9, true)] {
            let mut us = Replica::<Text>::new(id(7));
            us.merge(Replica::<Text>::new(id(5)).update(|text| text.push("ab")).1).unwrap();
            // At one place at the same time.
            let others = us.fork(id(6)).update(|text| text.insert(1, " others ").unwrap()).1;
            let _ = us.update(|text| {
                text.insert(1, " ours ").unwrap();
                if is_marked {
                    text.mark(0..3, MarkKind::BOLD, true).unwrap();
                }
            });
            us.merge(others).unwrap();
            let (before, mut shown, mut observed) = (us.plain(), us.plain(), Vec::new());
            Document::disown(&mut us, id(7), 0, id(new), Some(&mut observed));
            let changes = observed.pop().expect("it is looked at");
            changes.apply_to(&mut shown).expect("it fits what there was");
            assert_eq!(shown, us.plain());
            assert_eq!(shown == before, new == 9, "{shown:?}");
            // What is marked is not compared letter by letter: it is said to go and to come.
            assert_eq!(changes.changes.is_empty(), new == 9 && !is_marked, "{new} {changes:?}");
        }
    }
}
