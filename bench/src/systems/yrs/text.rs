//! Text: saved in the v2 encoding, which is half as long for it; updates in v1.

use yrs::types::Attrs;
use yrs::types::text::{Diff, YChange};
use yrs::updates::decoder::Decode;
use yrs::{Any, GetString, Out, ReadTxn, StateVector, Text as _, TextRef, Transact, TransactionMut, Update};

use super::Document;
use crate::system::{BOLD, Edit, Marking, Na, Replicated, Says, Text};

/// How many edits one transaction can hold: its cost grows with the square of them.
const MANY: usize = 10_000;

pub struct Writing {
    document: Document,
    text: TextRef,
}

impl Writing {
    pub fn new(replica: u64) -> Self {
        let document = Document::new(replica);
        let text = document.doc.get_or_insert_text("text");
        Self { document, text }
    }

    fn make(&self, transaction: &mut TransactionMut<'_>, edit: &Edit) {
        if edit.delete > 0 {
            self.text.remove_range(transaction, edit.at as u32, edit.delete as u32);
        }
        if !edit.insert.is_empty() {
            self.text.insert(transaction, edit.at as u32, &edit.insert);
        }
    }
}

impl Replicated for Writing {
    fn save(&mut self) -> Vec<u8> {
        self.document.doc.transact().encode_state_as_update_v2(&StateVector::default())
    }

    fn load(&mut self, bytes: &[u8]) {
        let update = Update::decode_v2(bytes).expect("it is an update");
        self.document.doc.transact_mut().apply_update(update).expect("it fits");
    }

    fn version(&mut self) -> Vec<u8> {
        self.document.version()
    }

    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>> {
        self.document.since(version)
    }

    fn apply(&mut self, bytes: &[u8]) {
        self.document.apply(bytes);
    }
}

impl Text for Writing {
    fn write_in_one(&mut self, edits: &[Edit]) -> Na<()> {
        if edits.len() > MANY {
            return Err(
                "walks the pieces from the start, which it joins at the end of a transaction only: over 60 s",
            );
        }
        let mut transaction = self.document.doc.transact_mut();
        edits.iter().for_each(|edit| self.make(&mut transaction, edit));
        Ok(())
    }

    fn write(&mut self, edit: &Edit) -> Vec<u8> {
        let mut transaction = self.document.doc.transact_mut();
        self.make(&mut transaction, edit);
        transaction.encode_update_v1()
    }

    fn read(&mut self) -> String {
        self.text.get_string(&self.document.doc.transact())
    }

    fn mark(&mut self, marking: &Marking) -> Na<Vec<u8>> {
        let Marking { part, name, says } = marking;
        let value = match says {
            None => Any::Null,
            Some(Says::Yes) => Any::Bool(true),
            Some(Says::To(place)) => Any::from(place.as_str()),
        };
        let mut transaction = self.document.doc.transact_mut();
        let marks = Attrs::from([((*name).into(), value)]);
        self.text.format(&mut transaction, part.start as u32, part.len() as u32, marks);
        Ok(transaction.encode_update_v1())
    }

    fn runs(&mut self) -> Na<Vec<(String, bool)>> {
        let run = |Diff { insert, attributes, .. }: Diff<YChange>| {
            let value = attributes.as_ref().and_then(|marks| marks.get(BOLD));
            match insert {
                Out::Any(Any::String(text)) => (text.to_string(), value == Some(&Any::Bool(true))),
                other => panic!("{other:?} in place of a run"),
            }
        };
        let transaction = self.document.doc.transact();
        Ok(self.text.diff(&transaction, YChange::identity).into_iter().map(run).collect())
    }
}
