//! Lists.

use automerge::transaction::Transactable;
use automerge::{ObjId, ReadDoc, Value};

use super::object::Object;
use crate::system::{Insertion, List, Na};

/// How many deltas it takes in one by one at most.
const MANY_DELTAS: usize = 5_000;

fn make(list: &mut Object, insertions: &[Insertion]) {
    list.write(|transaction, list| {
        for (at, value) in insertions {
            transaction.insert(list, *at, *value).expect("it fits");
        }
    });
}

impl List for Object {
    fn insert_in_one(&mut self, insertions: &[Insertion]) -> Na<()> {
        make(self, insertions);
        Ok(())
    }

    fn insert(&mut self, insertion: Insertion) -> Vec<u8> {
        make(self, &[insertion]);
        self.last()
    }

    fn takes_in(&self, deltas: usize) -> Na<()> {
        if deltas <= MANY_DELTAS { Ok(()) } else { Err("for each it walks the whole list") }
    }

    fn read(&mut self) -> Vec<i64> {
        let number = |(value, _): (Value<'_>, ObjId)| value.as_i64().expect("it was a number");
        let (doc, list) = self.doc();
        doc.values(list).map(number).collect()
    }
}
