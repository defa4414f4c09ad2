//! Text: what is saved, and sent to somebody who has nothing, is a snapshot: the state, and the history beside it.

use loro::{
    ExpandType, ExportMode, LoroText, LoroValue, StyleConfig, StyleConfigMap, TextDelta, VersionVector,
};

use super::Document;
use crate::system::{BOLD, Edit, LINK, Marking, Na, Replicated, Says, Text};

pub struct Writing {
    document: Document,
    text: LoroText,
}

impl Writing {
    pub fn new(replica: u64) -> Self {
        let document = Document::new(replica);
        let mut styles = StyleConfigMap::new();
        styles.insert(LINK.into(), StyleConfig { expand: ExpandType::None });
        document.doc.config_text_style(styles);
        document.doc.config_default_text_style(Some(StyleConfig { expand: ExpandType::After }));
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
        if !bytes.is_empty() {
            self.document.apply(bytes);
        }
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

    fn trimmed(&mut self) -> Na<Vec<u8>> {
        let now = self.document.doc.oplog_frontiers();
        let shallow = self.document.doc.export(ExportMode::shallow_snapshot(&now)).expect("it is attached");
        let state = self.document.doc.export(ExportMode::StateOnly(None)).expect("it is attached");
        Ok(if state.len() < shallow.len() { state } else { shallow })
    }

    fn mark(&mut self, marking: &Marking) -> Na<Vec<u8>> {
        self.document.updates();
        let Marking { part, name, says } = marking;
        match says {
            None => self.text.unmark(part.clone(), name),
            Some(Says::Yes) => self.text.mark(part.clone(), name, true),
            Some(Says::To(place)) => self.text.mark(part.clone(), name, place.as_str()),
        }
        .expect("it fits");
        self.document.doc.commit();
        // None where all letters say that already.
        Ok(self.document.updates().pop().unwrap_or_default())
    }

    fn runs(&mut self) -> Na<Vec<(String, bool)>> {
        let run = |run: TextDelta| match run {
            TextDelta::Insert { insert, attributes } => {
                let value = attributes.as_ref().and_then(|marks| marks.get(BOLD));
                (insert, value == Some(&LoroValue::Bool(true)))
            }
            other => panic!("{other:?} in place of a run"),
        };
        Ok(self.text.to_delta().into_iter().map(run).collect())
    }
}
