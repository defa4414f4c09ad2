//! Completion of verbs, options and the names of documents.

use clap::CommandFactory as _;
use rustyline::completion::{Completer as Complete, Pair};
use rustyline::{Context, Helper, Highlighter, Hinter, Validator};
use serde_json::Value;

use crate::args::Cli;

/// What is known that a word may become.
#[derive(Debug, Helper, Highlighter, Hinter, Validator)]
pub(super) struct Completer {
    cli: clap::Command,
    names: Vec<String>,
}

impl Default for Completer {
    fn default() -> Self {
        let mut cli = Cli::command();
        cli.build();
        Self { cli, names: Vec::new() }
    }
}

impl Completer {
    /// Takes over the documents' names.
    pub(super) fn set_names(&mut self, names: &Value) {
        let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
        self.names = names.map(str::to_owned).collect();
    }

    /// What the last of the words before the cursor may become.
    fn candidates(&self, before: &[&str], word: &str) -> Vec<String> {
        let mut command = &self.cli;
        let mut arguments = 0;
        for before in before.iter().filter(|before| !before.starts_with('-')) {
            match command.find_subcommand(before) {
                Some(below) => command = below,
                None => arguments += 1,
            }
        }
        let begins = |candidate: &String| candidate.starts_with(word);
        if word.starts_with('-') {
            let options = command.get_arguments().filter_map(|argument| argument.get_long());
            return options.map(|option| format!("--{option}")).filter(begins).collect();
        }
        if command.has_subcommands() {
            let verbs = command.get_subcommands().map(|verb| verb.get_name().to_owned());
            let mut verbs: Vec<_> = verbs.filter(begins).collect();
            if std::ptr::eq(command, &self.cli) {
                verbs.extend(["exit".to_owned()].into_iter().filter(begins));
            }
            return verbs;
        }
        let first = command.get_positionals().next();
        if arguments == 0 && first.is_some_and(|first| first.get_id() == "name") {
            return self.names.iter().filter(|name| begins(name)).map(|name| quoted(name)).collect();
        }
        Vec::new()
    }
}

/// The name as it is typed.
fn quoted(name: &str) -> String {
    let plain = !name.contains(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\''));
    if plain { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

impl Complete for Completer {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let line = &line[..at];
        let start = line
            .rfind(char::is_whitespace)
            .map_or(0, |space| space + line[space..].chars().next().map_or(0, char::len_utf8));
        let before: Vec<&str> = line[..start].split_whitespace().collect();
        let candidates = self.candidates(&before, &line[start..]).into_iter();
        let pairs = candidates.map(|text| Pair { display: text.clone(), replacement: format!("{text} ") });
        Ok((start, pairs.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn verbs_options_and_names_are_completed_where_they_may_stand() {
        let mut completer = Completer::default();
        completer.set_names(&json!(["visits", "votes", "two words"]));
        assert_eq!(completer.candidates(&[], "cou"), ["counter"]);
        assert_eq!(completer.candidates(&[], "ex"), ["export", "exit"]);
        assert_eq!(completer.candidates(&["counter"], ""), ["inc", "dec", "get", "help"]);
        assert_eq!(completer.candidates(&["counter", "inc"], "v"), ["visits", "votes"]);
        assert_eq!(completer.candidates(&["--json", "counter", "inc"], "t"), ["'two words'"]);
        assert_eq!(completer.candidates(&["counter", "inc", "visits"], ""), Vec::<String>::new());
        assert_eq!(completer.candidates(&["up"], "--no"), ["--no-mdns"]);
    }
}
