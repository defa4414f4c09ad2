//! Lists.

use tombolo_crdt::{List as Type, Mut};

use super::{Of, in_session};
use crate::system::{Insertion, List, Na};

fn make(list: &mut Mut<'_, Type<i64>>, (at, value): Insertion) {
    list.insert(at, value).expect("it fits");
}

impl List for Of<Type<i64>> {
    fn insert_in_one(&mut self, insertions: &[Insertion]) -> Na<()> {
        let _ = self.0.update(|list| insertions.iter().for_each(|insertion| make(list, *insertion)));
        Ok(())
    }

    fn insert(&mut self, insertion: Insertion) -> Vec<u8> {
        in_session(&self.0.update(|list| make(list, insertion)).1, &self.1)
    }

    fn read(&mut self) -> Vec<i64> {
        self.0.iter().copied().collect()
    }
}
