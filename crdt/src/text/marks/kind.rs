//! What marks there are.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

/// At which ends of a mark what is typed there has it as well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Expand {
    /// At none: links, comments.
    None,
    /// At its beginning.
    Before,
    /// At its end: bold, italic, and most others.
    #[default]
    After,
    /// At both.
    Both,
}

impl Expand {
    pub(super) fn is_before(self) -> bool {
        matches!(self, Self::Before | Self::Both)
    }

    pub(super) fn is_after(self) -> bool {
        matches!(self, Self::After | Self::Both)
    }

    pub(super) fn at(is_before: bool, is_after: bool) -> Self {
        match (is_before, is_after) {
            (false, false) => Self::None,
            (true, false) => Self::Before,
            (false, true) => Self::After,
            (true, true) => Self::Both,
        }
    }

    /// That of what takes such a mark away: an end of what stays is one of what is taken away.
    pub(super) fn of_removal(self) -> Self {
        match self {
            Self::None => Self::Both,
            Self::Both => Self::None,
            one => one,
        }
    }
}

/// A kind of mark: a name, by which marks meet, and how it goes on where somebody types at its ends. Everybody should use a name with the same [`Expand`].
///
/// ```
/// use tombolo_crdt::{Expand, MarkKind};
///
/// const SPOILER: MarkKind = MarkKind::new("spoiler", Expand::After);
/// assert_eq!((SPOILER.name(), MarkKind::LINK.expand()), ("spoiler", Expand::None));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MarkKind {
    name: Cow<'static, str>,
    expand: Expand,
}

impl MarkKind {
    /// Bold, if it says `true`.
    pub const BOLD: Self = Self::new("bold", Expand::After);
    /// Italic, if it says `true`.
    pub const ITALIC: Self = Self::new("italic", Expand::After);
    /// Underlined, if it says `true`.
    pub const UNDERLINE: Self = Self::new("underline", Expand::After);
    /// Struck through, if it says `true`.
    pub const STRIKE: Self = Self::new("strike", Expand::After);
    /// Code within a line, if it says `true`.
    pub const CODE: Self = Self::new("code", Expand::After);
    /// A link; it says where to.
    pub const LINK: Self = Self::new("link", Expand::None);
    /// The kind of a paragraph, on the line feed that ends it: what [`set_block`](crate::Mut::set_block) writes.
    pub const BLOCK: Self = Self::new("block", Expand::None);
    /// How far a paragraph is indented, on the line feed that ends it.
    pub const INDENT: Self = Self::new("indent", Expand::None);

    /// A kind.
    #[must_use]
    pub const fn new(name: &'static str, expand: Expand) -> Self {
        Self { name: Cow::Borrowed(name), expand }
    }

    /// A comment: each has a kind of its own, so that any number can overlap. It does not go on at its ends.
    #[must_use]
    pub fn comment(id: &str) -> Self {
        Self { name: Cow::Owned(format!("comment/{id}")), expand: Expand::None }
    }

    /// The kind of this name: one of those above, a [comment](Self::comment), or else one that goes on at its end.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        let is_known = |known: &str| known == name;
        let stays = ["link", "block", "indent"].into_iter().any(is_known) || name.starts_with("comment/");
        Self { name: Cow::Owned(name), expand: if stays { Expand::None } else { Expand::After } }
    }

    pub(super) fn of(name: &str, expand: Expand) -> Self {
        Self { name: Cow::Owned(name.into()), expand }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it goes on at its ends.
    #[must_use]
    pub fn expand(&self) -> Expand {
        self.expand
    }
}

impl From<&'static str> for MarkKind {
    fn from(name: &'static str) -> Self {
        Self::named(name)
    }
}
