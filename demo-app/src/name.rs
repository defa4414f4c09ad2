//! The names that the command line takes: a document, or a place inside one.
//!
//! `visits` is the document of that name. `board/todo/milk` is what is called `milk` in the map `todo` of the document
//! `board`. Each `/` descends; `\/` is a slash that belongs to a name, and `\\` a backslash. A backslash before anything
//! else stands for itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most parts a name may have: as many maps as a document can nest, of which each takes two levels, and a key.
const MAX_PARTS: usize = (tombolo_crdt::MAX_DEPTH - 1) / 2;

/// A document, or a place inside one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name {
    /// INVARIANT: at least one part, at most [`MAX_PARTS`], none empty.
    parts: Vec<String>,
}

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A part without a letter.
    #[error("a name and each part of it between `/` must not be empty; a `/` inside a name is written `\\/`")]
    Empty,
    /// Deeper than documents nest.
    #[error("a name must have at most {MAX_PARTS} parts, this one has {0}")]
    TooDeep(usize),
}

impl Name {
    /// The document's name.
    pub fn document(&self) -> &str {
        &self.parts[0]
    }

    /// The names to follow inside the document; none if the name is that of the document itself.
    pub fn inside(&self) -> &[String] {
        &self.parts[1..]
    }

    /// The name of the document called `name`, slashes and all.
    pub fn of_document(name: &str) -> Self {
        Self { parts: vec![name.to_owned()] }
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut parts = vec![String::new()];
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let part = parts.last_mut().expect("there is always a last part");
            match letter {
                '/' => parts.push(String::new()),
                '\\' => part.push(letters.next_if(|next| matches!(next, '/' | '\\')).unwrap_or('\\')),
                letter => part.push(letter),
            }
        }
        if parts.iter().any(String::is_empty) {
            return Err(NameError::Empty);
        }
        if parts.len() > MAX_PARTS {
            return Err(NameError::TooDeep(parts.len()));
        }
        Ok(Self { parts })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            f.write_str(&part.replace('\\', "\\\\").replace('/', "\\/"))?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        text.parse::<Name>().unwrap().parts
    }

    #[test]
    fn each_slash_descends_and_an_escaped_one_does_not() {
        assert_eq!(parts("visits"), ["visits"]);
        assert_eq!(parts("board/todo/milk"), ["board", "todo", "milk"]);
        assert_eq!(parts(r"a\/b/c"), ["a/b", "c"]);
        assert_eq!(parts(r"a\\/b"), [r"a\", "b"]);
        assert_eq!(parts(r"C:\x\"), [r"C:\x\"]);
    }

    #[test]
    fn what_is_printed_reads_back() {
        for text in ["visits", "a/b", r"a\/b/c", r"a\\/b", r"\\\/", "ä ö/ü"] {
            let name: Name = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        assert_eq!(Name::of_document(r"a/b\").to_string(), r"a\/b\\");
    }

    #[test]
    fn empty_parts_and_bottomless_names_are_refused() {
        for text in ["", "/", "a/", "/a", "a//b"] {
            assert_eq!(text.parse::<Name>(), Err(NameError::Empty), "{text:?}");
        }
        assert!(["x"; MAX_PARTS].join("/").parse::<Name>().is_ok());
        assert_eq!(["x"; 32].join("/").parse::<Name>(), Err(NameError::TooDeep(32)));
    }
}
