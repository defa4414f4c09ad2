//! Writing.

use core::ops::Range;

use super::content::Scratch;
use super::head::Told;
use super::{Elements, Ordered};
use crate::causal::{LocalDot, Tx};
use crate::delta::PlaceId;
use crate::store::deeper;

impl<C: Elements + ?Sized> Ordered<C> {
    /// Inserts elements before the one at `at`, or at the end; yields the first, if there are any. Among what stands there and is not
    /// read they stand right behind `behind`, if it is given, else where it costs least.
    ///
    /// # Panics
    /// If an element refuses to be written; nothing has happened then.
    pub(crate) fn put(
        &mut self,
        tx: &mut Tx,
        place: PlaceId,
        depth: usize,
        at: usize,
        behind: Option<LocalDot>,
        elements: &C,
    ) -> Option<LocalDot> {
        if elements.items().is_empty() {
            return None;
        }
        deeper(depth);
        let mut scratch = Scratch::default();
        let parts = elements.told(&mut scratch);
        let Self { sequence, rows, .. } = &mut *self;
        let row = rows.open(tx.row(), tx.table(), sequence);
        let next = LocalDot::new(row, tx.next().counter());
        let (mut begun, mut put) = (None, None);
        sequence.insert(at, behind, elements, next, tx.kept, |origin, ids| {
            if let Some(origin) = origin {
                let dot = tx.dot();
                let head = LocalDot::new(row, dot.counter());
                let told = Told::of(head, origin, tx.kept, |row| ids.id(row));
                let below = tx.draft.child(place, |key| key.extend_from_slice(&told.key));
                tx.draft.put(below, dot, |out| out.extend_from_slice(&told.content));
                begun = Some((head, origin, told));
            }
            let first = tx.next();
            for (part, count) in parts {
                let dot = tx.dots(count);
                tx.draft.put_run(place, dot, count, part);
            }
            let first = LocalDot::new(row, first.counter());
            put = Some(first);
            first
        });
        if let Some((head, origin, told)) = begun.filter(|_| tx.kept > 0) {
            self.note(head, origin, &told.key, &told.content);
        }
        put
    }

    /// Deletes an element, if it is there.
    pub(crate) fn take_one(&mut self, tx: &mut Tx, place: PlaceId, element: LocalDot) {
        let Self { sequence, rows, .. } = &mut *self;
        let mut scratch = Scratch::default();
        sequence.delete_one(element, |content| {
            for (part, count) in content.told(&mut scratch) {
                tx.take_run(place, rows.outer(element), count, part);
            }
        });
    }

    /// Deletes the elements of a range, which there are.
    pub(crate) fn take(&mut self, tx: &mut Tx, place: PlaceId, range: Range<usize>) {
        let Self { sequence, rows, .. } = &mut *self;
        let mut scratch = Scratch::default();
        sequence.delete(range.start, range.len(), |first, elements| {
            let mut first = rows.outer(first);
            for (part, count) in elements.told(&mut scratch) {
                tx.take_run(place, first, count, part);
                first = LocalDot::from_bits(first.bits() + u64::from(count));
            }
        });
    }
}
