//! Types that random operations can be done on, and the operations.

use arbitrary::Arbitrary;
use tombolo_crdt::{Crdt, Cursor, Scalar, TextEdit};

/// A type that random operations can be done on.
pub trait Subject: Crdt {
    /// Does one operation.
    fn apply(value: &mut Self::Mut<'_>, op: &Op);

    /// What is so wherever nobody lies.
    fn check(_: &Self::State) {}

    /// What is so whoever wrote it.
    fn look(_: &Self::State) {}

    /// What is read beside the plain value: marks of texts.
    fn marks(_: &Self::State) -> String {
        String::new()
    }

    /// What somebody keeps of it as it stands, if there is anything to keep.
    fn keep(_: &Self::State, _: &Op) -> Option<Kept> {
        None
    }

    /// Where a cursor stands that was kept.
    fn place_of(_: &Self::State, _: &Cursor) -> Option<usize> {
        None
    }

    /// Does an edit that was kept.
    fn edit(_: &mut Self::Mut<'_>, _: &TextEdit) {}
}

/// What is kept outside of a value while others write.
#[derive(Debug, Clone)]
pub struct Kept {
    /// A place.
    pub cursor: Cursor,
    /// What was changed in a copy; nothing in what is no text.
    pub edit: TextEdit,
}

/// One operation; what it means is up to the type.
#[derive(Arbitrary, Debug, Clone)]
pub struct Op {
    /// Which of the type's operations.
    pub what: u8,
    /// The name, key or element it is about.
    pub name: u8,
    /// A second one, further down.
    pub under: u8,
    /// The value it writes.
    pub value: Value,
    /// Through how many maps it goes first.
    pub depth: u8,
}

/// A plain value.
#[derive(Arbitrary, Debug, Clone)]
#[allow(missing_docs)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<&Value> for Scalar {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Float(*value),
            Value::Text(value) => Self::from(&value[..]),
            Value::Bytes(value) => Self::Bytes(value.clone()),
        }
    }
}

impl Op {
    /// What is done to the content of an element. What chose the element chooses this; nothing chooses what is further down, so
    /// that it comes to an end.
    pub(super) fn below(&self) -> Self {
        Self { what: self.under, under: self.depth, depth: 0, ..self.clone() }
    }
}

impl Value {
    pub(super) fn number(&self) -> i64 {
        match self {
            Self::Int(value) => *value,
            Self::Bool(value) => i64::from(*value),
            Self::Text(value) => value.len() as i64 + 1,
            _ => 1,
        }
    }
}

/// One of a few short names.
pub(super) fn name(of: u8) -> &'static str {
    ["a", "b", "c", "", "garden", "\u{10ffff}"][usize::from(of) % 6]
}
