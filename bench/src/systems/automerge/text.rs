//! Text.

use automerge::iter::Span;
use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::Transactable;
use automerge::{ReadDoc, ScalarValue};

use super::object::Object;
use crate::system::{BOLD, Edit, LINK, Marking, Na, Says, Text};

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

    fn mark(&mut self, marking: &Marking) -> Na<Vec<u8>> {
        let Marking { part, name, says } = marking;
        let expand = if *name == LINK { ExpandMark::None } else { ExpandMark::After };
        let value = match says {
            None => ScalarValue::Null,
            Some(Says::Yes) => ScalarValue::Boolean(true),
            Some(Says::To(place)) => ScalarValue::from(place.as_str()),
        };
        self.write(|transaction, text| {
            let mark = Mark::new((*name).to_owned(), value, part.start, part.end);
            transaction.mark(text, mark, expand).expect("it fits");
        });
        Ok(self.last())
    }

    fn runs(&mut self) -> Na<Vec<(String, bool)>> {
        let (doc, text) = self.doc();
        let run = |span: Span| match span {
            Span::Text { text, marks } => {
                let is_bold = |(name, value): (&str, &ScalarValue)| {
                    name == BOLD && *value == ScalarValue::Boolean(true)
                };
                let is_bold = marks.is_some_and(|marks| marks.iter().any(is_bold));
                (text, is_bold)
            }
            Span::Block(block) => panic!("{block:?} in place of a run"),
        };
        Ok(doc.spans(text).expect("it is a text").map(run).collect())
    }
}
