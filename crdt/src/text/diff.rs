//! What of a text differs from another: lines first, words of those that differ, and of these what is not the same at both ends.

use alloc::string::String;
use alloc::vec::Vec;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// A part of a text that is another one in the other.
pub(super) struct Differs {
    /// Where, in scalars, with those before it done.
    pub(super) at: usize,
    /// How many scalars go.
    pub(super) deleted: usize,
    /// What comes.
    pub(super) inserted: String,
}

/// What makes of `old` the text `new`.
pub(super) fn splices(old: &str, new: &str) -> Vec<Differs> {
    let (old_lines, new_lines): (Vec<&str>, Vec<&str>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let mut found = Found::default();
    for (old, new) in parts(&old_lines, &new_lines) {
        if old == new {
            found.keep(&old);
            continue;
        }
        let (old_words, new_words) = (words(&old), words(&new));
        for (old, new) in parts(&old_words, &new_words) {
            found.replace(&old, &new);
        }
    }
    found.splices
}

/// Both lists in turns of what is the same and what is not, each put together.
fn parts(old: &[&str], new: &[&str]) -> Vec<(String, String)> {
    let ops = capture_diff_slices(Algorithm::Myers, old, new);
    let ranges = ops.iter().map(DiffOp::as_tag_tuple);
    ranges.map(|(_, of_old, of_new)| (old[of_old].concat(), new[of_new].concat())).collect()
}

/// Words, and everything else one by one.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|scalar: char| !scalar.is_alphanumeric()).unwrap_or(rest.len());
        let (word, more) = rest.split_at(end.max(first.len_utf8()));
        words.push(word);
        rest = more;
    }
    words
}

#[derive(Default)]
struct Found {
    splices: Vec<Differs>,
    /// How far the new text is made, in scalars.
    at: usize,
}

impl Found {
    fn keep(&mut self, same: &str) {
        self.at += same.chars().count();
    }

    fn replace(&mut self, old: &str, new: &str) {
        let both = old.chars().zip(new.chars());
        let head: usize = both.take_while(|(one, other)| one == other).map(|(one, _)| one.len_utf8()).sum();
        let (same, old, new) = (&old[..head], &old[head..], &new[head..]);
        let both = old.chars().rev().zip(new.chars().rev());
        let tail: usize = both.take_while(|(one, other)| one == other).map(|(one, _)| one.len_utf8()).sum();
        let (old, new, end) = (&old[..old.len() - tail], &new[..new.len() - tail], &old[old.len() - tail..]);
        self.keep(same);
        if !old.is_empty() || !new.is_empty() {
            let deleted = old.chars().count();
            match self.splices.last_mut() {
                Some(last) if last.at + last.inserted.chars().count() == self.at => {
                    last.deleted += deleted;
                    last.inserted.push_str(new);
                }
                _ => self.splices.push(Differs { at: self.at, deleted, inserted: new.into() }),
            }
            self.keep(new);
        }
        self.keep(end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spliced(old: &str, splices: &[Differs]) -> String {
        let mut text: Vec<char> = old.chars().collect();
        for splice in splices {
            text.splice(splice.at..splice.at + splice.deleted, splice.inserted.chars());
        }
        text.into_iter().collect()
    }

    #[test]
    fn no_more_than_what_differs_is_touched() {
        let splices = splices("one\ntwo three\nfour\n", "one\ntwo trees\nand four\nfive\n");
        let told: Vec<_> = splices.iter().map(|s| (s.at, s.deleted, &s.inserted[..])).collect();
        assert_eq!(told, [(9, 4, "rees"), (14, 0, "and "), (23, 0, "five\n")]);
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn splices_lead_from_any_text_to_any(old in "([ab \n\u{1f426}]|the ){0,30}", new in "([ab \n\u{1f426}]|the ){0,30}") {
            prop_assert_eq!(spliced(&old, &splices(&old, &new)), new);
        }
    }
}
