//! What elements of movable lists and nodes of trees say: a text, which is all that they hold in a document of its own, and something of a map inside another.

use tombolo_crdt::{Crdt, Doc, DocEntry, LwwRegister, Mut, Scalar};

/// The key of what a map says.
const TEXT: &str = "text";

/// What says a text.
pub(super) trait Said: Crdt {
    /// What it says; nothing if it says none.
    fn said(state: &Self::State) -> Option<String>;

    /// Has it say this.
    fn say(value: &mut Self::Mut<'_>, text: &str);
}

impl Said for LwwRegister<String> {
    fn said(state: &Self) -> Option<String> {
        state.value().cloned()
    }

    fn say(value: &mut Mut<'_, Self>, text: &str) {
        value.set(text);
    }
}

impl Said for Doc {
    fn said(state: &Self) -> Option<String> {
        state.get(TEXT).and_then(DocEntry::lww)?.value().map(Scalar::to_string)
    }

    fn say(value: &mut Mut<'_, Self>, text: &str) {
        value.lww(TEXT).set(text);
    }
}
