//! Lists whose elements are moved: of registers.

use tombolo_crdt::{LwwRegister, MovableList, Mut};

use super::{Of, in_session};
use crate::system::{Movable, Shift};

type Numbers = MovableList<LwwRegister<i64>>;

fn make(list: &mut Mut<'_, Numbers>, (from, to): Shift) {
    list.move_to(from, to).expect("it fits");
}

impl Movable for Of<Numbers> {
    fn fill(&mut self, values: &[i64]) {
        let _ = self.0.update(|list| values.iter().for_each(|value| list.push().set(*value)));
    }

    fn move_in_one(&mut self, shifts: &[Shift]) {
        let _ = self.0.update(|list| shifts.iter().for_each(|shift| make(list, *shift)));
    }

    fn move_one(&mut self, shift: Shift) -> Vec<u8> {
        in_session(&self.0.update(|list| make(list, shift)).1, &self.1)
    }

    fn read(&mut self) -> Vec<i64> {
        self.0.iter().filter_map(LwwRegister::value).copied().collect()
    }
}
