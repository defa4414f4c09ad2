//! Lists: arrays.

use yrs::{Any, Array, ArrayRef, Transact};

use super::{Document, number, value_of};
use crate::system::{Insertion, List, Na, forward};

/// How many insertions one transaction can hold: its cost grows with the square of them.
const MANY: usize = 10_000;

pub struct Listing {
    document: Document,
    list: ArrayRef,
}

impl Listing {
    pub fn new(replica: u64) -> Self {
        let document = Document::new(replica);
        let list = document.doc.get_or_insert_array("list");
        Self { document, list }
    }
}

forward!(Listing, document);

impl List for Listing {
    fn insert_in_one(&mut self, insertions: &[Insertion]) -> Na<()> {
        if insertions.len() > MANY {
            return Err("walks the pieces from the start: minutes");
        }
        let mut transaction = self.document.doc.transact_mut();
        for (at, value) in insertions {
            self.list.insert::<Any>(&mut transaction, *at as u32, number(*value));
        }
        Ok(())
    }

    fn insert(&mut self, (at, value): Insertion) -> Vec<u8> {
        let mut transaction = self.document.doc.transact_mut();
        self.list.insert::<Any>(&mut transaction, at as u32, number(value));
        transaction.encode_update_v1()
    }

    fn read(&mut self) -> Vec<i64> {
        self.list.iter(&self.document.doc.transact()).map(value_of).collect()
    }
}
