//! Text.

use tombolo_crdt::{Expand, MarkKind, Mut, Scalar, Text as Type};

use super::{Of, in_session};
use crate::system::{BOLD, Edit, LINK, Marking, Na, Says, Text};

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

    fn trimmed(&mut self) -> Na<Vec<u8>> {
        // Nobody else writes, so all that is known is known to all.
        while !self.0.sweep(&self.0.version()).is_empty() {}
        Ok(self.0.encode())
    }

    fn mark(&mut self, marking: &Marking) -> Na<Vec<u8>> {
        let Marking { part, name, says } = marking;
        let kind = if *name == LINK { MarkKind::LINK } else { MarkKind::new(name, Expand::After) };
        let value = match says {
            None => Scalar::Null,
            Some(Says::Yes) => Scalar::Bool(true),
            Some(Says::To(place)) => Scalar::from(place.as_str()),
        };
        let (_, delta) = self.0.try_update(|text| text.mark(part.clone(), kind, value)).expect("it fits");
        Ok(in_session(&delta, &self.1))
    }

    fn runs(&mut self) -> Na<Vec<(String, bool)>> {
        let is_bold = |value: &&Scalar| **value == Scalar::Bool(true);
        Ok(self.0.runs().map(|run| (run.text, run.marks.get(BOLD).is_some_and(is_bold))).collect())
    }
}
