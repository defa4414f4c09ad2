//! Texts and changes of texts as Quill's deltas, in JSON what the editor takes and gives.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::marks::{Meant, indent_of};
use super::{BadPosition, BlockKind, Position, Text, TextMarks};
use crate::Scalar;
use crate::store::Mut;

/// What Quill says of a letter, by name; `null` takes away.
pub type QuillAttributes = BTreeMap<String, Scalar>;

/// A text, or a change of one, as the editor Quill has it: what becomes of the text from its beginning on.
///
/// ```
/// use tombolo_crdt::{QuillDelta, QuillOp};
///
/// let json = r#"{"ops":[{"retain":3},{"insert":"x","attributes":{"bold":true}},{"delete":2}]}"#;
/// let delta: QuillDelta = serde_json::from_str(json).unwrap();
/// assert_eq!(delta.ops[2], QuillOp::Delete { len: 2 });
/// assert_eq!(serde_json::to_string(&delta).unwrap(), json);
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct QuillDelta {
    /// What becomes of the text, one after the other. What is behind the last stays.
    pub ops: Vec<QuillOp>,
}

/// A step of a [`QuillDelta`]. Lengths are in UTF-16 units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QuillOp {
    /// Text is inserted.
    Insert {
        /// What it reads.
        text: String,
        /// What it has.
        attributes: QuillAttributes,
    },
    /// So much stays.
    Retain {
        /// How much.
        len: usize,
        /// What is changed of what it has.
        attributes: QuillAttributes,
    },
    /// So much is deleted.
    Delete {
        /// How much.
        len: usize,
    },
}

/// What is no [`QuillDelta`] of this text.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadQuill {
    /// It goes on behind the end.
    #[error(
        "op {op} goes behind the end of a text of {len} UTF-16 units: make the delta of the text as it is now"
    )]
    BeyondEnd {
        /// Which of the ops, from 0.
        op: usize,
        /// How long the text is, in UTF-16 units.
        len: usize,
    },
    /// It would cut a scalar in two.
    #[error(
        "op {op} ends at UTF-16 unit {at}, within a Unicode scalar value: keep both halves of it together"
    )]
    WithinScalar {
        /// Which of the ops, from 0.
        op: usize,
        /// Where it ends in the text as it is, in UTF-16 units.
        at: usize,
    },
    /// An attribute of lines says what it cannot.
    #[error(
        "op {op} says {value:?} as {name}: a header is 1 to 6, an indent 0 to 255, a list bullet, ordered, checked or unchecked, others true; null takes them away"
    )]
    Attribute {
        /// Which of the ops, from 0.
        op: usize,
        /// The attribute.
        name: String,
        /// What it says.
        value: Scalar,
    },
    /// An attribute has the name under which kinds of lines are kept.
    #[error("op {op} has an attribute \"block\", which is ours: say header, blockquote, code-block or list")]
    Reserved {
        /// Which of the ops, from 0.
        op: usize,
    },
}

/// Attributes of lines, and the name of ours that no letter shows as an attribute.
const OF_LINES: [&str; 6] = ["block", "blockquote", "code-block", "header", "indent", "list"];

impl Text {
    /// The text as Quill has it: neighbours that have the same are one insertion. Marks of letters keep their names; of line feeds it is told what
    /// [blocks](Self::blocks) they end, as `header`, `blockquote`, `code-block`, `list` and `indent`.
    ///
    /// ```
    /// use tombolo_crdt::{BlockKind, MarkKind, Replica, ReplicaId, Text};
    ///
    /// let mut text = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
    /// let _ = text.try_update(|text| {
    ///     text.push("Tides fall\n");
    ///     text.set_block(0..0, BlockKind::Heading(2))?;
    ///     text.mark(6..10, MarkKind::BOLD, true)
    /// })?;
    /// assert_eq!(
    ///     serde_json::to_string(&text.to_quill()).unwrap(),
    ///     r#"{"ops":[{"insert":"Tides "},{"insert":"fall","attributes":{"bold":true}},{"insert":"\n","attributes":{"header":2}}]}"#,
    /// );
    /// # Ok::<(), tombolo_crdt::BadPosition>(())
    /// ```
    #[must_use]
    pub fn to_quill(&self) -> QuillDelta {
        let mut ops: Vec<QuillOp> = Vec::new();
        let mut push = |new: &str, has: &QuillAttributes| match ops.last_mut() {
            _ if new.is_empty() => {}
            Some(QuillOp::Insert { text, attributes }) if attributes == has => text.push_str(new),
            _ => ops.push(QuillOp::Insert { text: new.into(), attributes: has.clone() }),
        };
        for run in self.runs() {
            let own = |(name, value): (&&str, &&Scalar)| (String::from(*name), (*value).clone());
            let letters = run.marks.iter().filter(|(name, _)| !OF_LINES.contains(name)).map(own).collect();
            let feeds = line_attributes(&run.marks);
            let mut is_first = true;
            for line in run.text.split('\n') {
                if !core::mem::take(&mut is_first) {
                    push("\n", &feeds);
                }
                push(line, &letters);
            }
        }
        QuillDelta { ops }
    }
}

impl Mut<'_, Text> {
    /// Does what a delta says. What it inserts has just the attributes it is told to have; line feeds keep marks of letters that are typed around them.
    /// Attributes of lines count on line feeds alone. A line is of one kind: of several that are set the last by name is; one that is taken away goes if the
    /// line is of that kind. The language of a `code-block` is not kept.
    ///
    /// ```
    /// use tombolo_crdt::{BadQuill, BlockKind, QuillDelta, Replica, ReplicaId, Text};
    ///
    /// let mut text = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
    /// let json = r#"{"ops":[{"insert":"milk"},{"insert":"\n","attributes":{"list":"unchecked"}}]}"#;
    /// let delta: QuillDelta = serde_json::from_str(json).unwrap();
    /// let _ = text.try_update(|text| text.apply_quill(&delta))?;
    /// assert_eq!(text.blocks().next().map(|block| block.kind), Some(BlockKind::Task { done: false }));
    /// assert_eq!(text.to_quill(), delta);
    ///
    /// let delta: QuillDelta = serde_json::from_str(r#"{"ops":[{"insert":"-"},{"delete":9}]}"#).unwrap();
    /// let refused = text.try_update(|text| text.apply_quill(&delta));
    /// assert_eq!(refused.err(), Some(BadQuill::BeyondEnd { op: 1, len: 5 }));
    /// # Ok::<(), BadQuill>(())
    /// ```
    ///
    /// # Errors
    /// When it goes behind the end of the text or cuts a scalar, or an attribute of lines says what it cannot; nothing changes then.
    pub fn apply_quill(&mut self, delta: &QuillDelta) -> Result<(), BadQuill> {
        let steps = self.state.steps(delta)?;
        self.take_steps(steps);
        Ok(())
    }

    /// Does steps that lead through the text, from its beginning.
    pub(super) fn take_steps<'s>(&mut self, steps: impl IntoIterator<Item = Step<'s>>) {
        let mut at = 0;
        let mut parts: Vec<(Range<usize>, Meant)> = Vec::new();
        for step in steps {
            let (len, meant) = match step {
                Step::Insert(text, meant) => {
                    self.put(at, text);
                    (text.chars().count(), meant)
                }
                Step::Retain(len, meant) => (len, meant),
                Step::Delete(len) => {
                    self.take(at..at + len);
                    continue;
                }
            };
            if len > 0 && meant != Meant::default() {
                parts.push((at..at + len, meant));
            }
            at += len;
        }
        self.have(&parts);
    }
}

/// A step through a text, in scalars.
pub(super) enum Step<'s> {
    Insert(&'s str, Meant),
    Retain(usize, Meant),
    Delete(usize),
}

impl Text {
    /// What a delta says, if it can be done.
    fn steps<'s>(&self, delta: &'s QuillDelta) -> Result<Vec<Step<'s>>, BadQuill> {
        // How far it has come, in UTF-16 units and in scalars.
        let (mut units, mut at) = (0_usize, 0);
        let mut go = |op: usize, len: usize| {
            units = units.saturating_add(len);
            let there = self.scalars(Position::Utf16(units)).map_err(|why| match why {
                BadPosition::WithinScalar { .. } => BadQuill::WithinScalar { op, at: units },
                _ => BadQuill::BeyondEnd { op, len: self.len_utf16() },
            })?;
            Ok(there - core::mem::replace(&mut at, there))
        };
        let step = |(nth, op): (usize, &'s QuillOp)| match op {
            QuillOp::Insert { text, attributes } => {
                let mut meant = meant(nth, attributes)?;
                meant.marks.retain(|_, value| *value != Scalar::Null);
                Ok(Step::Insert(text, Meant { is_all: true, ..meant }))
            }
            QuillOp::Retain { len, attributes } => Ok(Step::Retain(go(nth, *len)?, meant(nth, attributes)?)),
            QuillOp::Delete { len } => Ok(Step::Delete(go(nth, *len)?)),
        };
        delta.ops.iter().enumerate().map(step).collect()
    }
}

/// What attributes mean.
fn meant(op: usize, attributes: &QuillAttributes) -> Result<Meant, BadQuill> {
    const LISTS: [BlockKind; 3] = [BlockKind::Bullet, BlockKind::Ordered, BlockKind::Task { done: false }];
    let mut meant = Meant::default();
    for (name, value) in attributes {
        let gone: &[BlockKind] = match &name[..] {
            "block" => return Err(BadQuill::Reserved { op }),
            "header" => &[BlockKind::Heading(1)],
            "blockquote" => &[BlockKind::Quote],
            "code-block" => &[BlockKind::Code],
            "list" => &LISTS,
            "indent" => &[],
            _ => {
                meant.marks.insert(name.clone(), value.clone());
                continue;
            }
        };
        let bad = || BadQuill::Attribute { op, name: name.clone(), value: value.clone() };
        match (&name[..], value) {
            ("indent", Scalar::Null | Scalar::Bool(false)) => meant.indent = Some(0),
            ("indent", Scalar::Int(indent)) => {
                meant.indent = Some(u8::try_from(*indent).map_err(|_| bad())?);
            }
            (_, Scalar::Null | Scalar::Bool(false)) => meant.gone.extend_from_slice(gone),
            _ => meant.kind = Some(kind_of(name, value).ok_or_else(bad)?),
        }
    }
    Ok(meant)
}

/// The kind of lines that an attribute says.
fn kind_of(name: &str, value: &Scalar) -> Option<BlockKind> {
    Some(match (name, value) {
        ("header", Scalar::Int(level @ 1..=6)) => BlockKind::Heading(u8::try_from(*level).ok()?),
        ("blockquote", Scalar::Bool(true)) => BlockKind::Quote,
        ("code-block", Scalar::Bool(true) | Scalar::Text(_)) => BlockKind::Code,
        ("list", Scalar::Text(list)) => match &list[..] {
            "bullet" => BlockKind::Bullet,
            "ordered" => BlockKind::Ordered,
            "unchecked" => BlockKind::Task { done: false },
            "checked" => BlockKind::Task { done: true },
            _ => return None,
        },
        _ => return None,
    })
}

/// What Quill says of a line feed that has these marks.
fn line_attributes(marks: &TextMarks<'_>) -> QuillAttributes {
    let kind: (&str, Scalar) = match BlockKind::of(marks) {
        BlockKind::Paragraph => ("", Scalar::Null),
        BlockKind::Heading(level) => ("header", i64::from(level).into()),
        BlockKind::Quote => ("blockquote", true.into()),
        BlockKind::Code => ("code-block", true.into()),
        BlockKind::Bullet => ("list", "bullet".into()),
        BlockKind::Ordered => ("list", "ordered".into()),
        BlockKind::Task { done: false } => ("list", "unchecked".into()),
        BlockKind::Task { done: true } => ("list", "checked".into()),
    };
    let indent = match indent_of(marks) {
        0 => Scalar::Null,
        indent => i64::from(indent).into(),
    };
    let said = [kind, ("indent", indent)].into_iter().filter(|(_, value)| *value != Scalar::Null);
    said.map(|(name, value)| (name.into(), value)).collect()
}

impl Serialize for QuillOp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let attributes = match self {
            Self::Insert { text, attributes } => {
                map.serialize_entry("insert", text)?;
                Some(attributes)
            }
            Self::Retain { len, attributes } => {
                map.serialize_entry("retain", len)?;
                Some(attributes)
            }
            Self::Delete { len } => {
                map.serialize_entry("delete", len)?;
                None
            }
        };
        if let Some(attributes) = attributes.filter(|attributes| !attributes.is_empty()) {
            map.serialize_entry("attributes", attributes)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for QuillOp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Told { insert, retain, delete, attributes } = Told::deserialize(deserializer)?;
        let has_some = attributes.is_some();
        let attributes = attributes.unwrap_or_default();
        match (insert, retain, delete) {
            (Some(Inserted(text)), None, None) => Ok(Self::Insert { text, attributes }),
            (None, Some(len), None) => Ok(Self::Retain { len, attributes }),
            (None, None, Some(len)) if !has_some => Ok(Self::Delete { len }),
            (None, None, Some(_)) => {
                Err(D::Error::custom("what is deleted has no attributes: leave them out"))
            }
            _ => Err(D::Error::custom("an op has one of insert, retain and delete")),
        }
    }
}

/// An op as it is told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    insert: Option<Inserted>,
    retain: Option<usize>,
    delete: Option<usize>,
    attributes: Option<QuillAttributes>,
}

/// What is inserted, which is text.
struct Inserted(String);

impl<'de> Deserialize<'de> for Inserted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Inserted;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Inserted, E> {
                Ok(Inserted(text.into()))
            }

            fn visit_string<E>(self, text: String) -> Result<Inserted, E> {
                Ok(Inserted(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Inserted, A::Error> {
                Err(A::Error::custom(
                    "an embed, as of an image, cannot stand in a text: leave it out, or insert text in its place",
                ))
            }
        }

        deserializer.deserialize_any(Read)
    }
}
