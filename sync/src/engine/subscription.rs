//! Which documents a node holds: those whose names begin with one of some prefixes.

/// How many prefixes a subscription may have.
pub const MAX_PREFIXES: usize = 64;
/// The longest prefix, in bytes.
pub const MAX_PREFIX: usize = 256;

/// The documents a node holds, by prefixes of their names. The directory and the list of members are held by everybody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subscription {
    /// INVARIANT: ascending, and none begins with another.
    prefixes: Vec<String>,
}

/// Why prefixes are no subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// There are too many.
    #[error("a subscription has at most {limit} prefixes, not {found}")]
    TooMany {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// One is too long.
    #[error("a prefix of a subscription has at most {limit} bytes, not {bytes}")]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

impl Default for Subscription {
    fn default() -> Self {
        Self::everything()
    }
}

impl Subscription {
    /// All documents.
    #[must_use]
    pub fn everything() -> Self {
        Self { prefixes: vec![String::new()] }
    }

    /// The documents whose names begin with one of these; with none of them, no documents.
    ///
    /// # Errors
    /// When there are more than [`MAX_PREFIXES`], or one is longer than [`MAX_PREFIX`].
    pub fn new(prefixes: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, SubscriptionError> {
        let prefixes: Vec<String> = prefixes.into_iter().map(Into::into).collect();
        if prefixes.len() > MAX_PREFIXES {
            return Err(SubscriptionError::TooMany { found: prefixes.len(), limit: MAX_PREFIXES });
        }
        if let Some(long) = prefixes.iter().find(|prefix| prefix.len() > MAX_PREFIX) {
            return Err(SubscriptionError::TooLong { bytes: long.len(), limit: MAX_PREFIX });
        }
        Ok(Self::of(prefixes))
    }

    fn of(mut prefixes: Vec<String>) -> Self {
        prefixes.sort_unstable();
        // What begins with another comes after it, with nothing between but what does so too.
        prefixes.dedup_by(|later, earlier| later.starts_with(&**earlier));
        Self { prefixes }
    }

    /// What a member says that it holds and keeps; `None` if it is more than one may.
    pub(super) fn listed(prefixes: Vec<String>) -> Option<Self> {
        let is_sane = prefixes.len() <= 2 * MAX_PREFIXES && prefixes.iter().all(|it| it.len() <= MAX_PREFIX);
        is_sane.then(|| Self::of(prefixes))
    }

    /// No document.
    pub(super) fn nothing() -> Self {
        Self { prefixes: Vec::new() }
    }

    /// The prefixes, ascending; none of them begins with another.
    #[must_use]
    pub fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    /// Whether it is that of all documents.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.prefixes.first().is_some_and(String::is_empty)
    }

    /// Whether documents of this name belong to it. O(log prefixes).
    #[must_use]
    pub fn includes(&self, name: &str) -> bool {
        // All that lies between a prefix of the name and the name begins with it too.
        let after = self.prefixes.partition_point(|prefix| &**prefix <= name);
        after.checked_sub(1).is_some_and(|at| name.starts_with(&*self.prefixes[at]))
    }

    /// Whether all that belongs to the other belongs to it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.prefixes.iter().all(|prefix| self.includes(prefix))
    }

    /// What belongs to either.
    pub(super) fn or(&self, other: &Self) -> Self {
        Self::of(self.prefixes.iter().chain(&other.prefixes).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(prefixes: &[&str]) -> Subscription {
        Subscription::new(prefixes.iter().copied()).unwrap()
    }

    #[test]
    fn a_name_belongs_to_what_it_begins_with() {
        let some = of(&["work/", "home/", "wo", "z", "home/garden"]);
        assert_eq!(some.prefixes(), ["home/", "wo", "z"]);
        for name in ["home/", "home/garden/bed", "wo", "work/board", "wonder", "z", "zebra"] {
            assert!(some.includes(name), "{name}");
        }
        for name in ["", "home", "hom", "w", "a", "xo", "y"] {
            assert!(!some.includes(name), "{name}");
        }
        assert!(of(&["", "a"]).is_everything() && of(&[""]).includes("") && of(&[""]).includes("x"));
        assert!(!of(&[]).includes("") && !of(&[]).is_everything());
    }

    #[test]
    fn one_covers_another_if_all_its_prefixes_belong_to_it() {
        assert!(of(&["a", "b"]).covers(&of(&["ab", "b/c"])));
        assert!(!of(&["ab"]).covers(&of(&["a"])));
        assert!(Subscription::everything().covers(&Subscription::everything()));
        assert!(Subscription::nothing().covers(&Subscription::nothing()));
        assert!(!of(&["a"]).covers(&Subscription::everything()));
        assert_eq!(of(&["ab", "c"]).or(&of(&["a"])), of(&["a", "c"]));
    }

    #[test]
    fn too_many_and_too_long_prefixes_are_refused() {
        let many = (0..=MAX_PREFIXES).map(|at| at.to_string());
        assert!(matches!(Subscription::new(many), Err(SubscriptionError::TooMany { .. })));
        let long = Subscription::new(["x".repeat(MAX_PREFIX + 1)]);
        assert!(matches!(long, Err(SubscriptionError::TooLong { .. })));
        assert!(Subscription::new(["x".repeat(MAX_PREFIX)]).is_ok());
    }
}
