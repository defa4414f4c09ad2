//! Texts as Markdown and Markdown as text: what [blocks](super::BlockKind) and marks have a counterpart there.

mod read;
mod write;

/// Stands where Markdown would otherwise run together, and for a block in which nothing stands.
const NOTHING: &str = "<!-- -->";
