//! The whole state as JSON, tagged by type.
//!
//! Nodes that hold the same print the same bytes: keys are sorted, and nothing of the node itself is in it. A document
//! that exists is shown even where it holds nothing. A document looks as an entry of a map does: one value a type that
//! the name stands for, so `{"visits":{"counter":5},"board":{"map":{"owner":{"register":["Ann"]}}}}`.

use serde_json::{Map, Value};
use tombolo_crdt::{
    AddWinsSet, Crdt, Doc, DotStore, EnableWinsFlag, List, LwwRegister, MovableList, MvRegister, PnCounter,
    Text, Tree, View,
};
use tombolo_sync::Node;

use crate::failure::Result;

/// The types that a document of the command line can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A `PnCounter`.
    Counter,
    /// An `EnableWinsFlag`.
    Flag,
    /// An `AddWinsSet`.
    Set,
    /// An `MvRegister`.
    Register,
    /// A `Doc`.
    Map,
    /// A `Text`.
    Text,
    /// A `List`.
    List,
    /// A `MovableList`.
    Movable,
    /// A `Tree`.
    Tree,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Counter,
        Self::Flag,
        Self::Set,
        Self::Register,
        Self::Map,
        Self::Text,
        Self::List,
        Self::Movable,
        Self::Tree,
    ];

    /// The verb's name, which is also the tag.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Flag => "flag",
            Self::Set => "set",
            Self::Register => "register",
            Self::Map => "map",
            Self::Text => "text",
            Self::List => "list",
            Self::Movable => "movable",
            Self::Tree => "tree",
        }
    }

    /// What the crate calls it inside a document.
    pub(super) const fn entry(self) -> tombolo_crdt::Kind {
        use tombolo_crdt::Kind;
        match self {
            Self::Counter => Kind::Counter,
            Self::Flag => Kind::Flag,
            Self::Set => Kind::Set,
            Self::Register => Kind::Register,
            Self::Map => Kind::Map,
            Self::Text => Kind::Text,
            Self::List => Kind::List,
            Self::Movable => Kind::MovableList,
            Self::Tree => Kind::Tree,
        }
    }

    /// What the command line calls what is of this kind inside a document: the verb's name, if there is one.
    pub(super) fn name_of_entry(entry: tombolo_crdt::Kind) -> &'static str {
        Self::ALL.into_iter().find(|kind| kind.entry() == entry).map_or(entry.name(), Self::name)
    }

    /// The kind of documents whose type is called so.
    pub fn of_type(type_name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| match kind {
            Self::Counter => PnCounter::type_name() == type_name,
            Self::Flag => EnableWinsFlag::type_name() == type_name,
            Self::Set => AddWinsSet::<String>::type_name() == type_name,
            Self::Register => MvRegister::<String>::type_name() == type_name,
            Self::Map => Doc::type_name() == type_name,
            Self::Text => Text::type_name() == type_name,
            Self::List => List::<String>::type_name() == type_name,
            Self::Movable => MovableList::<LwwRegister<String>>::type_name() == type_name,
            Self::Tree => Tree::<LwwRegister<String>>::type_name() == type_name,
        })
    }
}

/// All documents.
pub(super) fn dump(node: &Node) -> Result<Value> {
    let mut all: Map<String, Value> = Map::new();
    for listed in node.list() {
        let (tag, value) = tagged(node, &listed.name, &listed.type_name);
        let document = all.entry(listed.name).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(types) = document {
            types.insert(tag, value);
        }
    }
    let mut all = Value::Object(all);
    all.sort_all_objects();
    Ok(all)
}

/// The tag and the value of one document; `null` if it is of an application's own type, or cannot be read.
pub fn tagged(node: &Node, name: &str, type_name: &str) -> (String, Value) {
    let Some(kind) = Kind::of_type(type_name) else { return (type_name.to_owned(), Value::Null) };
    let value = match kind {
        Kind::Counter => view::<PnCounter>(node, name),
        Kind::Flag => view::<EnableWinsFlag>(node, name),
        Kind::Set => view::<AddWinsSet<String>>(node, name),
        Kind::Register => view::<MvRegister<String>>(node, name),
        Kind::Map => view::<Doc>(node, name),
        Kind::Text => view::<Text>(node, name),
        Kind::List => view::<List<String>>(node, name),
        Kind::Movable => view::<MovableList<LwwRegister<String>>>(node, name),
        Kind::Tree => view::<Tree<LwwRegister<String>>>(node, name),
    };
    (kind.name().to_owned(), value)
}

/// Opens a document as what it is; says whether that went.
pub(super) fn open_as_it_is(node: &Node, name: &str, kind: Kind) -> bool {
    fn is_there<T: Crdt>(node: &Node, name: &str) -> bool {
        matches!(node.find::<T>(name), Ok(Some(_)))
    }
    match kind {
        Kind::Counter => is_there::<PnCounter>(node, name),
        Kind::Flag => is_there::<EnableWinsFlag>(node, name),
        Kind::Set => is_there::<AddWinsSet<String>>(node, name),
        Kind::Register => is_there::<MvRegister<String>>(node, name),
        Kind::Map => is_there::<Doc>(node, name),
        Kind::Text => is_there::<Text>(node, name),
        Kind::List => is_there::<List<String>>(node, name),
        Kind::Movable => is_there::<MovableList<LwwRegister<String>>>(node, name),
        Kind::Tree => is_there::<Tree<LwwRegister<String>>>(node, name),
    }
}

fn view<T: Crdt<State: DotStore>>(node: &Node, name: &str) -> Value {
    match node.find::<T>(name) {
        Ok(Some(document)) => document.read(|state| serde_json::to_value(View(state)).unwrap_or_default()),
        Ok(None) => Value::Null,
        Err(why) => {
            tracing::warn!(name, %why, "a document cannot be read");
            Value::Null
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_by_its_type_and_no_other() {
        assert_eq!(Kind::of_type("PnCounter"), Some(Kind::Counter));
        assert_eq!(Kind::of_type("Doc"), Some(Kind::Map));
        assert_eq!(Kind::of_type("Text"), Some(Kind::Text));
        assert_eq!(Kind::of_type("List"), Some(Kind::List));
        assert_eq!(Kind::of_type("MovableList<LwwRegister>"), Some(Kind::Movable));
        assert_eq!(Kind::of_type("MovableList<MvRegister>"), None);
        assert_eq!(Kind::of_type("Tree<LwwRegister>"), Some(Kind::Tree));
        assert_eq!(Kind::of_type("Tree<MvRegister>"), None);
        assert_eq!(Kind::of_type("Board"), None);
        let names: std::collections::BTreeSet<_> = Kind::ALL.map(Kind::name).into();
        assert_eq!(names.len(), 9);
        assert_eq!(Kind::name_of_entry(tombolo_crdt::Kind::MovableList), "movable");
        assert_eq!(Kind::name_of_entry(tombolo_crdt::Kind::Lww), "lww");
    }
}
