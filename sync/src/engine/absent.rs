//! A document that is on the disk only: of it the version is known, and nothing else.
//!
//! It stands where the replica stood, so that whoever only asks for a version need not know. What takes the content asks for it first
//! (`memory`), and finds nothing here if it does not.

use std::any::Any;
use std::ops::Range;

use tombolo_crdt::{
    Changes, DecodeError, Decoding, Delta, Dot, Garbage, Limits, Merged, Opaque, ReplicaId, SessionNames,
    Version,
};

use super::document::{Content, Document, MergeError, Since, Staged, Us, from_store};
use super::frame::ContentKind;
use super::watch::Observed;
use crate::store::Stored;

/// A document that is on the disk only.
pub(crate) struct Absent {
    version: Version,
}

impl Absent {
    pub(crate) fn new(version: Version) -> Self {
        Self { version }
    }
}

impl Document for Absent {
    fn version(&self) -> Version {
        self.version.clone()
    }

    fn merge(
        &mut self,
        _: Content<'_>,
        _: &Limits,
        _: Observed<'_>,
    ) -> Result<(Merged, Option<Vec<u8>>), MergeError> {
        Err(MergeError::Absent)
    }

    fn since(&self, _: &Version, _: Option<&SessionNames>) -> Since {
        Since::Forgotten
    }

    fn live_below(&self, _: &Version) -> Option<Vec<u64>> {
        None
    }

    fn beyond(
        &self,
        _: &Version,
        _: &[Range<u64>],
        _: Option<&SessionNames>,
    ) -> Option<(ContentKind, Vec<u8>)> {
        None
    }

    fn fingerprint_below(&self, _: &Version, _: &[Range<u64>], _: &[u8; 16]) -> Option<u128> {
        None
    }

    fn cut_below(&self, _: &Version, _: u64, _: usize, _: usize) -> Option<u64> {
        None
    }

    fn slice_below(&self, _: &Version, _: Range<u64>) -> Option<Vec<u8>> {
        None
    }

    fn staged(&self, us: Us, limits: &Limits) -> Box<dyn Staged> {
        Box::new(Decoding::<Opaque>::new(us.empty(), limits))
    }

    fn adopt(&mut self, _: Box<dyn Document>, _: &Limits, _: Observed<'_>) -> Result<(), MergeError> {
        Err(MergeError::Absent)
    }

    fn state(&self) -> Vec<u8> {
        unreachable!("who wants a document's state has it read first")
    }

    fn slices(&self, _: &[Dot]) -> Vec<(Dot, Vec<u8>)> {
        unreachable!("a document that is on the disk only has nothing to be written")
    }

    fn slices_in(&self, _: usize) -> Vec<(Dot, Vec<u8>)> {
        unreachable!("a document that is on the disk only has nothing to be written")
    }

    fn waiting(&self) -> usize {
        0
    }

    fn garbage(&self) -> Garbage {
        Garbage::default()
    }

    fn forget_history(&mut self, _: &Version) {}

    fn sweep(&mut self, _: &Version) -> Option<(Vec<u8>, Delta<Opaque>)> {
        None
    }

    fn heap(&self) -> usize {
        0
    }

    fn fingerprint(&self, _: &[u8; 16]) -> u128 {
        unreachable!("the fingerprint of a document that is on the disk only is known or has to wait")
    }

    fn write_as(&mut self, _: ReplicaId) {}

    fn disown(&mut self, of: ReplicaId, after: u64, replica: ReplicaId, _: Observed<'_>) {
        let last = self.version.get(of);
        if last <= after {
            return;
        }
        let others = self.version.iter().filter(|(id, _)| *id != of && *id != replica);
        let new = [(of, after), (replica, last - after)];
        self.version = others.chain(new.into_iter().filter(|(_, last)| *last > 0)).collect();
    }

    fn keep_counters(&mut self, _: u64) {}

    fn set_time(&mut self, _: u64) {}

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
        Ok(Box::new(from_store::<Opaque>(us, stored)?))
    }

    fn changes_from(&self, _: &dyn Document) -> Changes {
        unreachable!("a document that is watched stays in memory")
    }
}
