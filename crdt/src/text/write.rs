//! Writing.

use alloc::string::String;
use core::ops::Range;

use super::diff::splices;
use super::{BadPosition, Position, Text};
use crate::store::Mut;

impl Mut<'_, Text> {
    /// Inserts text at a place.
    ///
    /// # Errors
    /// When there is no such place; nothing changes then.
    pub fn insert(&mut self, at: impl Into<Position>, text: &str) -> Result<(), BadPosition> {
        let at = self.state.scalars(at)?;
        self.put(at, text);
        Ok(())
    }

    /// Inserts text at the end.
    pub fn push(&mut self, text: &str) {
        self.put(self.state.len(), text);
    }

    /// Deletes a part.
    ///
    /// # Errors
    /// When there is no such part; nothing changes then.
    pub fn delete(&mut self, range: Range<impl Into<Position>>) -> Result<(), BadPosition> {
        let range = self.state.range(range)?;
        self.take(range);
        Ok(())
    }

    /// Puts text in place of a part. It is marked as what is typed behind the first letter of the part.
    ///
    /// # Errors
    /// When there is no such part; nothing changes then.
    pub fn replace(&mut self, range: Range<impl Into<Position>>, text: &str) -> Result<(), BadPosition> {
        let range = self.state.range(range)?;
        self.splice(range, text);
        Ok(())
    }

    /// Has the text read as `content`, and changes no more than what differs, words as a rule: so what others change elsewhere at the same
    /// time stays, and two who begin a document with the same content one after the other do not double it.
    ///
    /// Costs time with the length of both.
    ///
    /// ```
    /// use tombolo_crdt::{Replica, ReplicaId, Text};
    ///
    /// let mut ann = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = ann.update(|text| text.push("The tide falls.\n"));
    /// let mut bob = ann.fork(ReplicaId::from_bytes([2; 16]));
    /// // At the same time: ann edits a copy of it in an editor, and bob types.
    /// let (_, edited) = ann.update(|text| text.replace_content("The spring tide falls.\n"));
    /// let (_, typed) = bob.try_update(|text| text.replace(9..14, "rises")).unwrap();
    /// ann.merge(typed)?;
    /// bob.merge(edited)?;
    /// assert_eq!(ann.to_string(), "The spring tide rises.\n");
    /// assert_eq!(ann.encode(), bob.encode());
    /// # Ok::<(), tombolo_crdt::Refused>(())
    /// ```
    ///
    /// Whoever begins a text that already reads like that changes nothing. But two who begin alike, and have not heard of one another, have written it twice. What all
    /// begin with is therefore written once, by a replica that does nothing else, and shipped as bytes: whoever merges these has the same letters as all who do,
    /// however often. Another template is written under another id, or goes on from the bytes of this one. On a node of `tombolo-sync`
    /// `Document::merge` takes the bytes.
    ///
    /// ```
    /// use tombolo_crdt::{Delta, Limits, Replica, ReplicaId, Text};
    ///
    /// // Once, while the application is built, and kept beside it as a file.
    /// let mut template = Replica::<Text>::new(ReplicaId::from_bytes([9; 16]));
    /// let _ = template.update(|text| text.push("Agenda\nNotes\n"));
    /// let shipped: Vec<u8> = template.encode();
    ///
    /// // On each device, as it begins.
    /// let limits = Limits::default();
    /// let mut ann = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
    /// let mut bob = Replica::<Text>::new(ReplicaId::from_bytes([2; 16]));
    /// ann.merge(Delta::decode_state(&shipped, &limits)?)?;
    /// bob.merge(Delta::decode_state(&shipped, &limits)?)?;
    /// // They have not heard of one another so far.
    /// let _ = ann.try_update(|text| text.insert(7, "1. Tides\n"))?;
    /// ann.merge(bob.state())?;
    /// assert_eq!(ann.to_string(), "Agenda\n1. Tides\nNotes\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replace_content(&mut self, content: &str) {
        let old: String = self.state.chunks().collect();
        for splice in splices(&old, content) {
            self.splice(splice.at..splice.at + splice.deleted, &splice.inserted);
        }
    }

    /// Deletes all that is seen here.
    pub fn clear(&mut self) {
        self.take(0..self.state.len());
    }

    /// Puts text in place of a part that there is.
    pub(super) fn splice(&mut self, range: Range<usize>, text: &str) {
        let Range { start, end } = range;
        if range.is_empty() || text.is_empty() || self.state.marks.is_none() {
            if !range.is_empty() {
                self.take(range);
            }
            if !text.is_empty() {
                self.put(start, text);
            }
        } else {
            // Behind the first letter, as what is typed there.
            let before = self.state.len();
            self.put(start + 1, text);
            let len = self.state.len() - before;
            self.take(start + 1 + len..end + len);
            self.take(start..start + 1);
        }
    }

    pub(super) fn put(&mut self, at: usize, text: &str) {
        let Text { body, marks } = &mut *self.state;
        let behind = marks.as_ref().and_then(|marks| marks.edge(body, at));
        body.put(self.tx, self.place, self.depth, at, behind, text);
        if let Some(marks) = marks {
            marks.moved();
        }
    }

    pub(super) fn take(&mut self, range: Range<usize>) {
        self.state.body.take(self.tx, self.place, range);
        if let Some(marks) = &mut self.state.marks {
            marks.moved();
        }
    }
}
