//! Writing.

use alloc::vec::Vec;
use core::ops::Range;

use super::MovableList;
use crate::placed::{Element, Hand, ListPlace, ROOT};
use crate::store::{Crdt, Mut};
use crate::{BadIndex, ElementId};

impl<V: Crdt> Mut<'_, MovableList<V>> {
    fn hand(&mut self) -> Hand<'_, ListPlace, V> {
        Hand { body: &mut self.state.body, tx: self.tx, place: self.place, depth: self.depth }
    }

    /// Makes an element before the one at `at`, or at the end, and yields write access to it. It comes into being with the first thing
    /// written to it; only until this transaction ends is it there without.
    ///
    /// # Errors
    /// When there is no such place; nothing changes then.
    pub fn insert(&mut self, at: usize) -> Result<V::Mut<'_>, BadIndex> {
        let at = BadIndex::place(at, self.state.len())?;
        let mut hand = self.hand();
        let element = hand.make(ROOT, at, ListPlace::made());
        Ok(hand.value(element))
    }

    /// As [`insert`](Self::insert), at the end.
    pub fn push(&mut self) -> V::Mut<'_> {
        let len = self.state.len();
        let mut hand = self.hand();
        let element = hand.make(ROOT, len, ListPlace::made());
        hand.value(element)
    }

    /// Makes an element for each item, in one go and in their order, before the one at `at`, or at the end; `write` writes to each what its item
    /// says.
    ///
    /// ```
    /// # use tombolo_crdt::{LwwRegister, MovableList, Replica, ReplicaId};
    /// let mut cards = Replica::<MovableList<LwwRegister<String>>>::new(ReplicaId::from_bytes([1; 16]));
    /// cards.update(|cards| cards.extend(["dig", "plant"], |mut card, text| card.set(text)));
    /// cards.try_update(|cards| cards.insert_all(1, ["rake", "sow"], |mut card, text| card.set(text)))?;
    /// let part: Vec<_> = cards.range(1..3)?.filter_map(LwwRegister::value).collect();
    /// assert_eq!(part, ["rake", "sow"]);
    /// # Ok::<(), tombolo_crdt::BadIndex>(())
    /// ```
    ///
    /// # Errors
    /// When there is no such place; nothing changes then.
    pub fn insert_all<I>(
        &mut self,
        at: usize,
        items: impl IntoIterator<Item = I>,
        write: impl FnMut(V::Mut<'_>, I),
    ) -> Result<(), BadIndex> {
        self.make_all(BadIndex::place(at, self.state.len())?, items, write);
        Ok(())
    }

    /// As [`insert_all`](Self::insert_all), at the end.
    pub fn extend<I>(&mut self, items: impl IntoIterator<Item = I>, write: impl FnMut(V::Mut<'_>, I)) {
        self.make_all(self.state.len(), items, write);
    }

    /// Puts elements in place of a part: those are deleted, with what they hold, and one is made for each item, as with
    /// [`insert_all`](Self::insert_all). What others put before the part, or into it, stands before the new ones.
    ///
    /// # Errors
    /// When there is no such part; nothing changes then.
    pub fn replace<I>(
        &mut self,
        range: Range<usize>,
        items: impl IntoIterator<Item = I>,
        write: impl FnMut(V::Mut<'_>, I),
    ) -> Result<(), BadIndex> {
        let old = self.part(range.clone())?;
        // Behind it first: they hang on its last element.
        self.make_all(range.end, items, write);
        old.into_iter().for_each(|element| self.hand().delete(element));
        Ok(())
    }

    fn make_all<I>(
        &mut self,
        at: usize,
        items: impl IntoIterator<Item = I>,
        mut write: impl FnMut(V::Mut<'_>, I),
    ) {
        for (at, item) in (at..).zip(items) {
            let mut hand = self.hand();
            let element = hand.make(ROOT, at, ListPlace::made());
            write(hand.value(element), item);
        }
    }

    /// Write access to the element at `at`.
    ///
    /// # Errors
    /// When there is none.
    pub fn at(&mut self, at: usize) -> Result<V::Mut<'_>, BadIndex> {
        let element = self.state.element_at(at)?;
        Ok(self.hand().value(element))
    }

    /// Write access to an element by its name; `None` if it is not there.
    pub fn by_id(&mut self, id: ElementId) -> Option<V::Mut<'_>> {
        let element = self.state.body.element(id.dot())?;
        Some(self.hand().value(element))
    }

    /// Moves the element at `from`, so that it is the one at `to` afterwards.
    ///
    /// # Errors
    /// When there is no such element, or will not be; nothing changes then.
    pub fn move_to(&mut self, from: usize, to: usize) -> Result<(), BadIndex> {
        let element = self.state.element_at(from)?;
        let len = self.state.len();
        if to >= len {
            return Err(BadIndex::BeyondEnd { at: to, len });
        }
        if from != to {
            self.put(element, from, to);
        }
        Ok(())
    }

    /// Moves an element by its name, so that it is the one at `to` afterwards, or the last if there are not as many; says whether it was there.
    pub fn move_id(&mut self, id: ElementId, to: usize) -> bool {
        let Some(element) = self.state.body.element(id.dot()) else { return false };
        let Some(from) = self.state.body.position(element) else { return false };
        let to = to.min(self.state.len() - 1);
        if from != to {
            self.put(element, from, to);
        }
        true
    }

    /// Moves the elements of a part, so that the first of them is the one at `to` afterwards and the others stand behind it as they did.
    /// For others each is moved by itself: of what they moved at the same time, the later move is followed.
    ///
    /// # Errors
    /// When there is no such part, or it would end behind the end; nothing changes then.
    pub fn move_range(&mut self, range: Range<usize>, to: usize) -> Result<(), BadIndex> {
        let part = self.part(range.clone())?;
        let len = self.state.len();
        let last = to.saturating_add(part.len());
        if last > len {
            return Err(BadIndex::BeyondEnd { at: last, len });
        }
        if to < range.start {
            part.into_iter().zip(range).zip(to..).for_each(|((element, own), to)| self.put(element, own, to));
        } else if to > range.start {
            // What is moved forth leaves room behind it: each is the last of those that have been moved.
            part.into_iter().for_each(|element| self.put(element, range.start, last - 1));
        }
        Ok(())
    }

    /// Deletes the element at `at`, with what it holds.
    ///
    /// # Errors
    /// When there is none; nothing changes then.
    pub fn remove(&mut self, at: usize) -> Result<(), BadIndex> {
        let element = self.state.element_at(at)?;
        self.hand().delete(element);
        Ok(())
    }

    /// Deletes an element by its name; says whether it was there.
    pub fn remove_id(&mut self, id: ElementId) -> bool {
        let element = self.state.body.element(id.dot());
        element.map(|element| self.hand().delete(element)).is_some()
    }

    /// Deletes the elements of a part.
    ///
    /// # Errors
    /// When there is no such part; nothing changes then.
    pub fn delete(&mut self, range: Range<usize>) -> Result<(), BadIndex> {
        let part = self.part(range)?;
        part.into_iter().for_each(|element| self.hand().delete(element));
        Ok(())
    }

    /// Deletes all elements that are seen here.
    pub fn clear(&mut self) {
        let all: Vec<Element> = self.state.body.below(ROOT).collect();
        all.into_iter().for_each(|element| self.hand().delete(element));
    }

    fn part(&self, range: Range<usize>) -> Result<Vec<Element>, BadIndex> {
        let part = BadIndex::part(range, self.state.len())?;
        Ok(self.state.body.below_from(ROOT, part.start).take(part.len()).collect())
    }

    /// Moves an element that is the one at `own`.
    fn put(&mut self, element: Element, own: usize, to: usize) {
        let name = self.state.body.name(element);
        let mut hand = self.hand();
        let stamp = hand.stamp();
        hand.move_to(element, own, ROOT, to, ListPlace::moved(stamp, name));
    }
}
