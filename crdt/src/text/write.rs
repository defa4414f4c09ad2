//! Writing.

use core::ops::Range;

use super::head::{Letter, Told};
use super::{BadPosition, Position, Text};
use crate::causal::LocalDot;
use crate::store::{Content, Mut, deeper};

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

    /// Puts text in place of a part.
    ///
    /// # Errors
    /// When there is no such part; nothing changes then.
    pub fn replace(&mut self, range: Range<impl Into<Position>>, text: &str) -> Result<(), BadPosition> {
        let range = self.state.range(range)?;
        let at = range.start;
        self.take(range);
        self.put(at, text);
        Ok(())
    }

    /// Deletes all that is seen here.
    pub fn clear(&mut self) {
        self.take(0..self.state.len());
    }

    fn put(&mut self, at: usize, text: &str) {
        if text.is_empty() {
            return;
        }
        deeper(self.depth);
        let Text { sequence, rows, .. } = &mut *self.state;
        let (place, tx) = (self.place, &mut *self.tx);
        let row = rows.open(tx.row(), tx.table(), sequence);
        let next = LocalDot::new(row, tx.next().counter());
        let mut begun = None;
        sequence.insert(at, text, next, tx.kept, |origin, ids| {
            if let Some(origin) = origin {
                let dot = tx.dot();
                let head = LocalDot::new(row, dot.counter());
                let told = Told::of(head, origin, tx.kept, |row| ids.id(row));
                let below = tx.draft.child(place, |key| key.extend_from_slice(&told.key));
                tx.draft.put(below, dot, |out| out.extend_from_slice(&told.content));
                begun = Some((head, origin, told));
            }
            let first = tx.next();
            for scalar in text.chars() {
                let dot = tx.dot();
                Letter(scalar).put(&mut tx.draft, place, dot);
            }
            LocalDot::new(row, first.counter())
        });
        if let Some((head, origin, told)) = begun.filter(|_| tx.kept > 0) {
            self.state.note(head, origin, told);
        }
    }

    fn take(&mut self, range: Range<usize>) {
        let Text { sequence, rows, .. } = &mut *self.state;
        let (place, tx) = (self.place, &mut *self.tx);
        sequence.delete(range.start, range.len(), |first, text| {
            let first = rows.outer(first);
            for (counter, scalar) in (first.counter()..).zip(text.chars()) {
                tx.take(place, LocalDot::new(first.replica(), counter), &Letter(scalar));
            }
        });
    }
}
