//! A line, split into words as people expect it of a shell.
//!
//! Spaces separate. Single and double quotes hold together. A backslash is a backslash, for names use it (`a\/b`),
//! except before a quote, a space, or another backslash inside double quotes.

/// Splits a line.
///
/// # Errors
/// When a quote is not closed.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('"'), '\\') => {
                let next = letters.next_if(|next| matches!(next, '"' | '\\'));
                word.get_or_insert_default().push(next.unwrap_or('\\'));
            }
            (None, '\\') => {
                let next = letters.next_if(|next| matches!(next, '"' | '\'') || next.is_whitespace());
                word.get_or_insert_default().push(next.unwrap_or('\\'));
            }
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(open) = quote {
        return Err(format!("the quote {open} is not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_separate_and_quotes_hold_together() {
        assert_eq!(split("  counter   inc x ").unwrap(), ["counter", "inc", "x"]);
        assert_eq!(
            split(r#"set add x "two words" 'it "is"' "" a"b"c"#).unwrap(),
            ["set", "add", "x", "two words", "it \"is\"", "", "abc"]
        );
        assert_eq!(split("").unwrap(), Vec::<String>::new());
        assert!(split("set add x 'it").is_err());
    }

    #[test]
    fn a_backslash_stays_for_names() {
        assert_eq!(split(r"get a\/b a\\b two\ words").unwrap(), ["get", r"a\/b", r"a\\b", "two words"]);
        assert_eq!(split(r#""say \"so\"" 'a\b'"#).unwrap(), [r#"say "so""#, r"a\b"]);
    }
}
