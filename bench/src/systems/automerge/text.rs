//! Text.

use automerge::ReadDoc;
use automerge::transaction::Transactable;

use super::object::Object;
use crate::system::{Edit, Na, Text};

/// How many letters it is given at most: each costs about ten microseconds.
const MANY: usize = 1_000_000;
/// How many deltas it takes in one by one at most.
const MANY_DELTAS: usize = 5_000;

fn make(text: &mut Object, edits: &[Edit]) {
    text.write(|transaction, text| {
        for Edit { at, delete, insert } in edits {
            transaction.splice_text(text, *at, *delete as isize, insert).expect("it fits");
        }
    });
}

impl Text for Object {
    fn write_in_one(&mut self, edits: &[Edit]) -> Na<()> {
        if edits.iter().map(|edit| edit.insert.len()).sum::<usize>() > MANY {
            return Err("each letter takes about 10 us, so 10 MB take minutes");
        }
        make(self, edits);
        Ok(())
    }

    fn write(&mut self, edit: &Edit) -> Vec<u8> {
        make(self, std::slice::from_ref(edit));
        self.last()
    }

    fn takes_in(&self, deltas: usize) -> Na<()> {
        if deltas <= MANY_DELTAS { Ok(()) } else { Err("for each it walks the whole text: over two minutes") }
    }

    fn read(&mut self) -> String {
        let (doc, text) = self.doc();
        doc.text(text).expect("it is a text")
    }
}
