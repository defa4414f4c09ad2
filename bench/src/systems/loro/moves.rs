//! Lists whose elements are moved.

use loro::{LoroMovableList, LoroValue, ValueOrContainer};

use super::Document;
use crate::system::{Movable, Shift, forward};

pub struct Moving {
    document: Document,
    list: LoroMovableList,
}

impl Moving {
    pub fn new(replica: u64) -> Self {
        let document = Document::new(replica);
        let list = document.doc.get_movable_list("list");
        Self { document, list }
    }

    fn make(&self, (from, to): Shift) {
        self.list.mov(from, to).expect("it fits");
    }
}

forward!(Moving, document);

impl Movable for Moving {
    fn fill(&mut self, values: &[i64]) {
        values.iter().for_each(|value| self.list.push(*value).expect("it fits"));
        self.document.doc.commit();
    }

    fn move_in_one(&mut self, shifts: &[Shift]) {
        shifts.iter().for_each(|shift| self.make(*shift));
        self.document.doc.commit();
    }

    fn move_one(&mut self, shift: Shift) -> Vec<u8> {
        self.document.updates();
        self.make(shift);
        self.document.doc.commit();
        self.document.updates().pop().expect("the commit gave an update")
    }

    fn read(&mut self) -> Vec<i64> {
        let mut all = Vec::with_capacity(self.list.len());
        self.list.for_each(|value| match value {
            ValueOrContainer::Value(LoroValue::I64(value)) => all.push(value),
            other => panic!("{other:?} in place of a number"),
        });
        all
    }
}
