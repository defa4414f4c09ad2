//! Writing.

use alloc::vec::Vec;
use core::ops::Range;

use super::{BadIndex, ElementId, List};
use crate::store::{Mut, Value, Written};

impl<T: Value> Mut<'_, List<T>> {
    /// Inserts an element before the one at `at`, or at the end.
    ///
    /// # Errors
    /// When there is no such place; nothing changes then.
    ///
    /// # Panics
    /// If the value refuses to be serialised, as with everything here that takes values. The update is undone.
    pub fn insert(&mut self, at: usize, value: impl Into<T>) -> Result<(), BadIndex> {
        let at = self.state.place(at)?;
        self.put_one(at, value);
        Ok(())
    }

    /// Inserts elements in one go, before the one at `at`, or at the end.
    ///
    /// # Errors
    /// When there is no such place; nothing changes then.
    pub fn insert_all<V: Into<T>>(
        &mut self,
        at: usize,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), BadIndex> {
        let at = self.state.place(at)?;
        self.put(at, values);
        Ok(())
    }

    /// Inserts an element at the end.
    pub fn push(&mut self, value: impl Into<T>) {
        self.put_one(self.state.len(), value);
    }

    /// Inserts elements at the end.
    pub fn extend<V: Into<T>>(&mut self, values: impl IntoIterator<Item = V>) {
        self.put(self.state.len(), values);
    }

    /// Deletes the elements of a part.
    ///
    /// # Errors
    /// When there is no such part; nothing changes then.
    pub fn delete(&mut self, range: Range<usize>) -> Result<(), BadIndex> {
        let range = self.state.part(range)?;
        self.take(range);
        Ok(())
    }

    /// Deletes the element at `at`.
    ///
    /// # Errors
    /// When there is none; nothing changes then.
    pub fn remove(&mut self, at: usize) -> Result<(), BadIndex> {
        self.delete(at..at.saturating_add(1)).map_err(|_| BadIndex::BeyondEnd { at, len: self.state.len() })
    }

    /// Deletes an element by its name; says whether it was there.
    pub fn remove_id(&mut self, id: ElementId) -> bool {
        let at = self.state.position(id);
        if let Some(at) = at {
            self.take(at..at + 1);
        }
        at.is_some()
    }

    /// Puts another element in place of the one at `at`. It has another name; of two who do this at once, both new elements are there. What
    /// others put before the old one stands before the new one.
    ///
    /// For elements that are set over and over again a map is the better choice: each time leaves something behind, which is forgotten
    /// no sooner than what hangs on it.
    ///
    /// # Errors
    /// When there is none; nothing changes then.
    pub fn set(&mut self, at: usize, value: impl Into<T>) -> Result<(), BadIndex> {
        let len = self.state.len();
        self.replace(at..at.saturating_add(1), [value]).map_err(|_| BadIndex::BeyondEnd { at, len })
    }

    /// As [`set`](Self::set), of an element by its name. Yields the name of the new one; `None` if the old one was not there.
    pub fn set_id(&mut self, id: ElementId, value: impl Into<T>) -> Option<ElementId> {
        let at = self.state.position(id)?;
        self.set(at, value).ok()?;
        self.state.id_at(at)
    }

    /// Puts elements in place of a part. What others put before the part, or into it, stands before the new ones.
    ///
    /// # Errors
    /// When there is no such part; nothing changes then.
    pub fn replace<V: Into<T>>(
        &mut self,
        range: Range<usize>,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), BadIndex> {
        let range = self.state.part(range)?;
        // Behind it first: they hang on its last element.
        self.put(range.end, values);
        self.take(range);
        Ok(())
    }

    /// Deletes all elements that are seen here.
    pub fn clear(&mut self) {
        self.take(0..self.state.len());
    }

    fn put_one(&mut self, at: usize, value: impl Into<T>) {
        let element = Written::from(value.into());
        self.state.body.put(self.tx, self.place, self.depth, at, None, core::slice::from_ref(&element));
    }

    fn put<V: Into<T>>(&mut self, at: usize, values: impl IntoIterator<Item = V>) {
        let elements: Vec<Written<T>> = values.into_iter().map(|value| Written::from(value.into())).collect();
        self.state.body.put(self.tx, self.place, self.depth, at, None, &elements[..]);
    }

    fn take(&mut self, range: Range<usize>) {
        self.state.body.take(self.tx, self.place, range);
    }
}
