//! Lists: what is saved is a snapshot without the history before it.

use loro::{LoroList, LoroValue, ValueOrContainer};

use super::Document;
use crate::system::{Insertion, List, Na, forward};

pub struct Listing {
    document: Document,
    list: LoroList,
}

impl Listing {
    pub fn new(replica: u64) -> Self {
        let document = Document::new(replica);
        let list = document.doc.get_list("list");
        Self { document, list }
    }
}

forward!(Listing, document);

impl List for Listing {
    fn insert_in_one(&mut self, insertions: &[Insertion]) -> Na<()> {
        insertions.iter().for_each(|(at, value)| self.list.insert(*at, *value).expect("it fits"));
        self.document.doc.commit();
        Ok(())
    }

    fn insert(&mut self, (at, value): Insertion) -> Vec<u8> {
        self.document.updates();
        self.list.insert(at, value).expect("it fits");
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
