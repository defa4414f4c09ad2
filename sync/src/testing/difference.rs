//! Where plain values differ, for people.

use std::collections::BTreeSet;
use std::fmt;

use tombolo_crdt::Plain;

/// How many places are told.
const MOST: usize = 20;
/// Longer values are cut, in characters.
const LONGEST: usize = 80;

/// A line for each place at which not all have the same.
pub(super) fn differences(values: &[(&str, Plain)]) -> Vec<String> {
    let at: Vec<(&str, Option<&Plain>)> = values.iter().map(|(who, value)| (*who, Some(value))).collect();
    let mut lines = Vec::new();
    walk("", &at, &mut lines);
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(format!("and at {more} more places"));
    }
    lines
}

fn walk(path: &str, at: &[(&str, Option<&Plain>)], lines: &mut Vec<String>) {
    if at.windows(2).all(|two| two[0].1 == two[1].1) {
        return;
    }
    let maps: Vec<_> = at
        .iter()
        .filter_map(|(who, value)| match value {
            Some(Plain::Map(map)) => Some((*who, map)),
            _ => None,
        })
        .collect();
    if maps.len() < at.len() {
        let values = at.iter().map(|(who, value)| format!("{who} has {}", short(*value)));
        let place = if path.is_empty() { "the value" } else { path };
        lines.push(format!("{place}: {}", values.collect::<Vec<_>>().join(", ")));
        return;
    }
    let keys: BTreeSet<&Plain> = maps.iter().flat_map(|(_, map)| map.keys()).collect();
    for key in keys {
        let below: Vec<_> = maps.iter().map(|(who, map)| (*who, map.get(key))).collect();
        let step = key.as_text().map_or_else(|| Shown(key).to_string(), str::to_owned);
        let path = if path.is_empty() { step } else { format!("{path}.{step}") };
        walk(&path, &below, lines);
    }
}

fn short(value: Option<&Plain>) -> String {
    let Some(value) = value else { return "nothing there".to_owned() };
    let text = Shown(value).to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A value as people write it.
struct Shown<'p>(&'p Plain);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Plain::Null => f.write_str("null"),
            Plain::Bool(value) => write!(f, "{value}"),
            Plain::Int(value) => write!(f, "{value}"),
            Plain::Float(value) => write!(f, "{value}"),
            Plain::Text(value) => write!(f, "{value:?}"),
            Plain::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Plain::List(values) => f.debug_list().entries(values.iter().map(Shown)).finish(),
            Plain::Set(values) => f.debug_set().entries(values.iter().map(Shown)).finish(),
            Plain::Map(values) => {
                let entries = values.iter().map(|(key, value)| (Shown(key), Shown(value)));
                f.debug_map().entries(entries).finish()
            }
            other => write!(f, "{other:?}"),
        }
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, Plain)]) -> Plain {
        let entries = entries.iter().map(|(key, value)| (Plain::Text((*key).to_owned()), value.clone()));
        Plain::Map(entries.collect())
    }

    #[test]
    fn only_places_that_differ_are_told() {
        let ann = map(&[("name", Plain::Text("plot".into())), ("card", map(&[("votes", Plain::Int(1))]))]);
        let bob = map(&[("name", Plain::Text("plot".into())), ("card", map(&[("votes", Plain::Int(2))]))]);
        assert_eq!(differences(&[("ann", ann.clone()), ("bob", bob)]), ["card.votes: ann has 1, bob has 2"]);
        let cem = map(&[("name", Plain::Text("plot".into()))]);
        assert_eq!(
            differences(&[("ann", ann.clone()), ("cem", cem)]),
            ["card: ann has {\"votes\": 1}, cem has nothing there"]
        );
        assert!(differences(&[("ann", ann.clone()), ("dee", ann)]).is_empty());
    }

    #[test]
    fn long_values_and_many_places_are_cut() {
        let of = |text: &str| map(&(0..30_u8).map(|_| ("k", Plain::Text(text.into()))).collect::<Vec<_>>());
        let lines = differences(&[("ann", of(&"ä".repeat(500))), ("bob", of("b"))]);
        assert!(lines[0].chars().count() < 200, "{lines:?}");
        let many = |by: i128| {
            Plain::Map((0..30).map(|key| (Plain::Int(key), Plain::Int(key * by))).skip(1).collect())
        };
        let lines = differences(&[("ann", many(1)), ("bob", many(2))]);
        assert_eq!(lines.len(), MOST + 1);
        assert_eq!(lines[MOST], "and at 9 more places");
    }
}
