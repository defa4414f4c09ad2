//! The verbs of what stands in an order: texts, lists and trees.

use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use tombolo_crdt::NodeId;

use super::{Concern, whole};
use crate::content::Content;
use crate::name::Name;

/// As what a text is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextForm {
    /// As it reads
    #[default]
    Plain,
    /// As Markdown
    Markdown,
    /// As a delta for the editor Quill
    Quill,
}

/// What a line of a text is.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum BlockName {
    Paragraph,
    H1,
    H2,
    H3,
    H4,
    H5,
    H6,
    Quote,
    Code,
    Bullet,
    Ordered,
    Task,
    Done,
}

/// What to do with a text.
#[derive(Debug, Clone, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextVerb {
    /// Insert at a place
    Insert {
        /// The text; a/b/c is c in the map b of the document a
        name: Name,
        /// Before which character, from 0; characters are Unicode scalar values, of which é may be one or two
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: usize,
        /// What to insert; `-` is what standard input holds, to the last byte
        #[arg(value_name = "TEXT", allow_negative_numbers = true)]
        content: Content,
        /// Read it as Markdown: headings, lists, quotations, code, bold, italic, links
        #[arg(long)]
        #[serde(default)]
        markdown: bool,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Insert at the end
    Append {
        /// The text; a/b/c is c in the map b of the document a
        name: Name,
        /// What to insert; `-` is what standard input holds, to the last byte
        #[arg(value_name = "TEXT", allow_negative_numbers = true)]
        content: Content,
        /// Read it as Markdown: headings, lists, quotations, code, bold, italic, links
        #[arg(long)]
        #[serde(default)]
        markdown: bool,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Delete a part
    Delete {
        /// The text; a/b/c is c in the map b of the document a
        name: Name,
        /// From which character on, from 0; characters are Unicode scalar values, of which é may be one or two
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: usize,
        /// How many characters
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        count: usize,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Mark a part: bold, italic, underline, strike, code, link, comment/ID, or any other name
    ///
    /// What others write within it in the meantime is marked as well; what is written at its end later too, but for links and comments. Of two who mark the same part with the same name one is followed.
    Mark {
        /// The text; a/b/c is c in the map b of the document a
        name: Name,
        /// From which character on, from 0; characters are Unicode scalar values, of which é may be one or two
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: usize,
        /// How many characters
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        count: usize,
        /// What the mark is called
        #[arg(value_parser = mark_name)]
        mark: String,
        /// What it says: true, false, a whole number, or else a text; a link must say where it leads [default: true]
        #[arg(allow_negative_numbers = true, required_if_eq("mark", "link"))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Take marks of one name away from a part
    Unmark {
        /// The text; a/b/c is c in the map b of the document a
        name: Name,
        /// From which character on, from 0; characters are Unicode scalar values, of which é may be one or two
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: usize,
        /// How many characters
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        count: usize,
        /// What the mark is called
        #[arg(value_parser = mark_name)]
        mark: String,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Say what the lines are that a part touches: a heading, a quotation, an item of a list
    ///
    /// It is said on the line break that ends a line; a last line that has none gets one.
    Block {
        /// The text; a/b/c is c in the map b of the document a
        name: Name,
        /// From which character on, from 0; characters are Unicode scalar values, of which é may be one or two
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: usize,
        /// How many characters; 0 is the line in which it is
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        count: usize,
        /// What they are
        kind: BlockName,
        /// How far they are indented
        #[arg(long, value_parser = whole::<u8>, allow_negative_numbers = true)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        indent: Option<u8>,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Print the text in runs of which each is marked the same, with its marks; nothing if there is no such text
    Runs {
        /// The text; a/b/c is c in the map b of the document a
        name: Name,
    },
    /// Print the text; nothing if there is no such text
    ///
    /// With a line break at the end if it has none; --json gives it to the last byte.
    Get {
        /// The text; a/b/c is c in the map b of the document a
        name: Name,
        /// As what to print it: as it reads, as Markdown, or as a delta for the editor Quill
        #[arg(long = "as", value_enum, default_value_t)]
        #[serde(default)]
        form: TextForm,
    },
    /// Edit a copy in $VISUAL, $EDITOR or vi, and do to the text what was changed in it
    ///
    /// What others write in the meantime stays. An editor that opens a window must be told to wait, as `code --wait`. A line break that the editor puts at the end of a text that had none is left out. Where something
    /// fails, the text stays as it is, and the copy is kept and named.
    Edit {
        /// The text; a/b/c is c in the map b of the document a
        name: Name,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
}

/// Reads what a mark is called.
fn mark_name(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected a name, such as bold".to_owned()) } else { Ok(text.to_owned()) }
}

/// What to do with a list.
#[derive(Debug, Clone, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListVerb {
    /// Insert elements at a place, in one go
    ///
    /// What others insert there at the same time stands before or behind them, not between them.
    Insert {
        /// The list; a/b/c is c in the map b of the document a
        name: Name,
        /// Before which element, from 0
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: usize,
        /// What to insert, in this order
        #[arg(value_name = "VALUE", required = true, allow_negative_numbers = true)]
        values: Vec<String>,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Insert elements at the end, in one go
    Append {
        /// The list; a/b/c is c in the map b of the document a
        name: Name,
        /// What to insert, in this order
        #[arg(value_name = "VALUE", required = true, allow_negative_numbers = true)]
        values: Vec<String>,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Put another element in place of one
    ///
    /// Of two who do this at the same time, both new elements are there.
    Set {
        /// The list; a/b/c is c in the map b of the document a
        name: Name,
        /// Which element, from 0
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: usize,
        /// What to put there
        #[arg(allow_negative_numbers = true)]
        value: String,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Delete elements
    Delete {
        /// The list; a/b/c is c in the map b of the document a
        name: Name,
        /// From which element on, from 0
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: usize,
        /// How many elements
        #[arg(default_value_t = 1, value_parser = whole::<usize>, allow_negative_numbers = true)]
        count: usize,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Print the elements in their order, one a line; nothing if there is no such list
    Get {
        /// The list; a/b/c is c in the map b of the document a
        name: Name,
    },
}

/// What to do with a movable list.
#[derive(Debug, Clone, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovableVerb {
    /// Insert elements at a place, in one go
    ///
    /// What others insert there at the same time stands before or behind them, not between them.
    Insert {
        /// The movable list; a/b/c is c in the map b of the document a
        name: Name,
        /// Before which element, from 0
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: usize,
        /// What to insert, in this order
        #[arg(value_name = "VALUE", required = true, allow_negative_numbers = true)]
        values: Vec<String>,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Insert elements at the end, in one go
    Append {
        /// The movable list; a/b/c is c in the map b of the document a
        name: Name,
        /// What to insert, in this order
        #[arg(value_name = "VALUE", required = true, allow_negative_numbers = true)]
        values: Vec<String>,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Give an element another text
    ///
    /// Of two who do this at the same time, the later one's text is shown. Where somebody moves it at the same time, it is moved and has the new text.
    Set {
        /// The movable list; a/b/c is c in the map b of the document a
        name: Name,
        /// Which element, from 0
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: usize,
        /// What it says then
        #[arg(allow_negative_numbers = true)]
        value: String,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Move elements
    ///
    /// Of two who move an element at the same time, the later one's place is its place.
    Move {
        /// The movable list; a/b/c is c in the map b of the document a
        name: Name,
        /// From which element on, from 0
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        from: usize,
        /// Which one the first of them is afterwards, from 0
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        to: usize,
        /// How many elements
        #[arg(default_value_t = 1, value_parser = whole::<usize>, allow_negative_numbers = true)]
        count: usize,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Delete elements
    ///
    /// Also where somebody moves them, or gives them another text, at the same time.
    Delete {
        /// The movable list; a/b/c is c in the map b of the document a
        name: Name,
        /// From which element on, from 0
        #[arg(value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: usize,
        /// How many elements
        #[arg(default_value_t = 1, value_parser = whole::<usize>, allow_negative_numbers = true)]
        count: usize,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Print the elements in their order, one a line; nothing if there is no such list
    Get {
        /// The movable list; a/b/c is c in the map b of the document a
        name: Name,
    },
}

/// What to do with a tree.
#[derive(Debug, Clone, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeVerb {
    /// Add a node, and print its id
    Add {
        /// The tree; a/b/c is c in the map b of the document a
        name: Name,
        /// What it says
        #[arg(allow_negative_numbers = true)]
        text: String,
        /// Below which node [default: none, so at the top]
        #[arg(long, value_name = "NODE")]
        under: Option<NodeId>,
        /// Before which of the nodes there, from 0 [default: behind the last]
        #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: Option<usize>,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Write another text to a node
    ///
    /// Of two who do this at the same time, the later one's text is there.
    Rename {
        /// The tree; a/b/c is c in the map b of the document a
        name: Name,
        /// Which node, as `add` and `get` print it
        node: NodeId,
        /// What it says then
        #[arg(allow_negative_numbers = true)]
        text: String,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Move a node, with all below it
    ///
    /// Of two who move a node at the same time, the later one's place is its place; of moves that would have nodes stand below themselves, the last
    /// is not followed. What is in the trash comes back so.
    Move {
        /// The tree; a/b/c is c in the map b of the document a
        name: Name,
        /// Which node, as `add` and `get` print it
        node: NodeId,
        /// Below which node [default: none, so at the top]
        #[arg(long, value_name = "NODE")]
        under: Option<NodeId>,
        /// Which of the nodes there it is afterwards, from 0 [default: the last]
        #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true)]
        at: Option<usize>,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Put a node into the trash, with all below it
    ///
    /// Where somebody moves it at the same time, it stays.
    Delete {
        /// The tree; a/b/c is c in the map b of the document a
        name: Name,
        /// Which node, as `add` and `get` print it
        node: NodeId,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Bring a node back from the trash, with all below it, to the end of what it stood below
    ///
    /// To the top if that is gone or in the trash itself.
    Restore {
        /// The tree; a/b/c is c in the map b of the document a
        name: Name,
        /// Which node, as `add` and `get` print it
        node: NodeId,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Delete a node for good, in the trash or not, with all below it
    Purge {
        /// The tree; a/b/c is c in the map b of the document a
        name: Name,
        /// Which node, as `add` and `get` print it
        node: NodeId,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Delete for good what is in the trash
    EmptyTrash {
        /// The tree; a/b/c is c in the map b of the document a
        name: Name,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Print the nodes with their ids, each before those below it; nothing if there is no such tree
    Get {
        /// The tree; a/b/c is c in the map b of the document a
        name: Name,
        /// Print what is in the trash instead
        #[arg(long)]
        #[serde(default)]
        trash: bool,
    },
}
