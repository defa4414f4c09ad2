//! Text.

use tombolo_crdt::{Mut, Text as Type};

use super::{Of, in_session};
use crate::system::{Edit, Na, Text};

fn make(text: &mut Mut<'_, Type>, edit: &Edit) {
    text.replace(edit.at..edit.at + edit.delete, &edit.insert).expect("it fits");
}

impl Text for Of<Type> {
    fn write_in_one(&mut self, edits: &[Edit]) -> Na<()> {
        let _ = self.0.update(|text| edits.iter().for_each(|edit| make(text, edit)));
        Ok(())
    }

    fn write(&mut self, edit: &Edit) -> Vec<u8> {
        in_session(&self.0.update(|text| make(text, edit)).1, &self.1)
    }

    fn read(&mut self) -> String {
        self.0.to_string()
    }
}
