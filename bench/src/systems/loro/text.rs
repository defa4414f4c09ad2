//! Text: what is saved, and sent to somebody who has nothing, is a snapshot: the state, and the history beside it.

use loro::{ExportMode, LoroText, VersionVector};

use super::Document;
use crate::system::{Edit, Na, Replicated, Text};

pub struct Writing {
    document: Document,
    text: LoroText,
}

impl Writing {
    pub fn new(replica: u64) -> Self {
        let document = Document::new(replica);
        let text = document.doc.get_text("text");
        Self { document, text }
    }

    fn make(&self, edit: &Edit) {
        if edit.delete > 0 {
            self.text.delete(edit.at, edit.delete).expect("it fits");
        }
        if !edit.insert.is_empty() {
            self.text.insert(edit.at, &edit.insert).expect("it fits");
        }
    }
}

impl Replicated for Writing {
    fn save(&mut self) -> Vec<u8> {
        self.document.doc.export(ExportMode::Snapshot).expect("it is attached")
    }

    fn load(&mut self, bytes: &[u8]) {
        self.document.apply(bytes);
    }

    fn version(&mut self) -> Vec<u8> {
        self.document.version()
    }

    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>> {
        let of_nothing = VersionVector::default().encode();
        if version == of_nothing { Ok(self.save()) } else { self.document.since(version) }
    }

    fn apply(&mut self, bytes: &[u8]) {
        self.document.apply(bytes);
    }
}

impl Text for Writing {
    fn write_in_one(&mut self, edits: &[Edit]) -> Na<()> {
        edits.iter().for_each(|edit| self.make(edit));
        self.document.doc.commit();
        Ok(())
    }

    fn write(&mut self, edit: &Edit) -> Vec<u8> {
        self.document.updates();
        self.make(edit);
        self.document.doc.commit();
        self.document.updates().pop().expect("the commit gave an update")
    }

    fn read(&mut self) -> String {
        self.text.to_string()
    }
}
