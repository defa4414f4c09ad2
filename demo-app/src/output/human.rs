//! Answers for people: short, and one thing a line.

use std::collections::BTreeMap;

use serde_json::Value;

use super::table::table;
use crate::args::{FlagVerb, ListVerb, MovableVerb, SetVerb, TextVerb, TreeVerb};
use crate::report::{PeerReport, Report};
use crate::request::Request;

/// What people see of the answer to a request. Ends with a line break, unless there is nothing to see.
pub fn answer(request: &Request, answer: &Value) -> String {
    let mut text = value(request, answer);
    if let Some(peers) = answer.get("held_by").filter(|_| request.concern().is_some()) {
        text.push_str(&format!("held by {}\n", called(peers)));
    }
    text
}

/// Peers by name.
fn called(peers: &Value) -> String {
    let called = |peer: &Value| match &peer["name"] {
        Value::String(name) => name.clone(),
        _ => bare(&peer["peer_id"]),
    };
    let all: Vec<_> = peers.as_array().into_iter().flatten().map(called).collect();
    if all.is_empty() { "this node alone".into() } else { all.join(", ") }
}

fn value(request: &Request, answer: &Value) -> String {
    match request {
        Request::Invite => plain(&answer["ticket"]),
        Request::Counter(_) => plain(&answer["value"]),
        Request::Flag(FlagVerb::Get { .. } | FlagVerb::Enable { .. } | FlagVerb::Disable { .. }) => {
            if answer["value"] == true { "enabled\n".into() } else { "disabled\n".into() }
        }
        Request::Set(SetVerb::List { .. }) => lines(answer),
        Request::Set(SetVerb::Add { .. }) => "added\n".into(),
        Request::Register(_) => lines(&answer["values"]),
        Request::Map(_) if answer.get("values").is_some_and(Value::is_array) => lines(&answer["values"]),
        Request::Set(SetVerb::Remove { .. }) | Request::Map(_)
            if answer.get("removed").is_some_and(Value::is_boolean) =>
        {
            if answer["removed"] == true {
                "removed\n".into()
            } else {
                "it was not there\n".into()
            }
        }
        Request::Map(_) => map(answer),
        Request::Text(TextVerb::Get { .. }) => whole(&answer["value"]),
        Request::Text(TextVerb::Runs { .. }) => runs(&answer["value"]),
        Request::Text(TextVerb::Mark { .. } | TextVerb::Block { .. }) => {
            format!("marked; {}", length(answer, "character"))
        }
        Request::Text(TextVerb::Unmark { .. }) => format!("unmarked; {}", length(answer, "character")),
        Request::Text(TextVerb::Delete { .. }) => format!("deleted; {}", length(answer, "character")),
        Request::Text(_) => format!("inserted; {}", length(answer, "character")),
        Request::List(ListVerb::Get { .. }) | Request::Movable(MovableVerb::Get { .. }) => {
            lines(&answer["value"])
        }
        Request::List(ListVerb::Delete { .. }) | Request::Movable(MovableVerb::Delete { .. }) => {
            format!("deleted; {}", length(answer, "element"))
        }
        Request::List(ListVerb::Set { .. }) | Request::Movable(MovableVerb::Set { .. }) => {
            format!("replaced; {}", length(answer, "element"))
        }
        Request::Movable(MovableVerb::Move { .. }) => format!("moved; {}", length(answer, "element")),
        Request::List(_) | Request::Movable(_) => format!("inserted; {}", length(answer, "element")),
        Request::Tree(verb) => tree(verb, answer),
        Request::Edited { .. } if answer["changed"] == true => {
            format!("edited; {}", length(answer, "character"))
        }
        Request::Edited { .. } => format!("nothing changed; {}", length(answer, "character")),
        Request::Status => match serde_json::from_value(answer.clone()) {
            Ok(report) => status(&report),
            Err(_) => plain(answer),
        },
        Request::Documents => documents(answer),
        Request::Release { .. } => release(answer),
        Request::Retention { .. } => match &answer["days"] {
            Value::Null => "who is silent is waited for until somebody releases it\n".to_owned(),
            days => {
                format!("who is silent for {days} days is not waited for before removals are forgotten\n")
            }
        },
        Request::Wait { .. } => "in sync\n".into(),
        Request::Link { .. } => link(answer),
        Request::Backup { .. } => {
            format!("{} bytes written to {}\n", answer["bytes"], plain(&answer["file"]).trim_end())
        }
        Request::Watch { .. } => change(answer),
        Request::Names => lines(answer),
        Request::Identity
        | Request::Dump
        | Request::Set(_)
        | Request::Snapshot { .. }
        | Request::Leave { .. } => plain(answer),
    }
}

/// A value on a line; text without quotation marks.
fn plain(value: &Value) -> String {
    format!("{}\n", bare(value))
}

fn bare(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// A value within a line. A text that would break the line, or that a terminal would take for a command, is in quotation marks and
/// escaped: others of the space may call things what they like.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        value => escaped(&value.to_string()),
    }
}

fn quoted(text: &str) -> String {
    if text.contains(char::is_control) { escaped(&Value::from(text).to_string()) } else { text.into() }
}

/// JSON, with the control characters that JSON lets stand escaped as well.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_control() {
            text.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            text.push(letter);
        }
    }
    text
}

/// A text of many lines, of which the last one ends as well.
fn whole(text: &Value) -> String {
    let mut text = bare(text);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// One line a run: what it reads, and how it is marked.
fn runs(runs: &Value) -> String {
    let mark = |(name, value): (&String, &Value)| {
        let name = quoted(name);
        if *value == true { name } else { format!("{name}={}", shown(value)) }
    };
    let run = |run: &Value| {
        let marks: Vec<String> = run["marks"].as_object().into_iter().flatten().map(mark).collect();
        let gap = if marks.is_empty() { "" } else { "  " };
        format!("{}{gap}{}\n", escaped(&run["text"].to_string()), marks.join(" "))
    };
    runs.as_array().into_iter().flatten().map(run).collect()
}

/// How long a text or a list is.
fn length(answer: &Value, unit: &str) -> String {
    let many = if answer["length"] == 1 { "" } else { "s" };
    format!("it has {} {unit}{many} now\n", answer["length"])
}

/// One line an element.
fn lines(list: &Value) -> String {
    list.as_array().into_iter().flatten().map(plain).collect()
}

/// What is said of a tree.
fn tree(verb: &TreeVerb, answer: &Value) -> String {
    match verb {
        TreeVerb::Get { .. } => drawing(answer),
        TreeVerb::Add { .. } => plain(&answer["id"]),
        TreeVerb::Rename { .. } => "renamed\n".into(),
        TreeVerb::Move { .. } => "moved\n".into(),
        TreeVerb::Delete { .. } => "deleted; it is in the trash until it is purged\n".into(),
        TreeVerb::Restore { .. } => "restored\n".into(),
        TreeVerb::Purge { .. } | TreeVerb::EmptyTrash { .. } => {
            let many = if answer["purged"] == 1 { "" } else { "s" };
            format!("purged {} node{many}\n", answer["purged"])
        }
    }
}

/// A line a node, further in than what it stands below. A text of several lines is in quotation marks, and its lines are one then.
fn drawing(nodes: &Value) -> String {
    let mut text = String::new();
    let mut above: Vec<&Value> = Vec::new();
    for node in nodes.as_array().into_iter().flatten() {
        while above.last().is_some_and(|last| **last != node["parent"]) {
            above.pop();
        }
        let value = shown(&node["value"]);
        text.extend(std::iter::repeat_n("  ", above.len()));
        text.push_str(&format!("{value}  {}\n", bare(&node["id"])));
        above.push(&node["id"]);
    }
    text
}

/// A line a key; several values side by side.
fn map(entries: &Value) -> String {
    let entries = entries.as_object().into_iter().flatten();
    let rows: Vec<_> = entries
        .map(|(key, entry)| {
            let values: Vec<_> = entry["values"].as_array().into_iter().flatten().map(shown).collect();
            let others: Vec<_> = entry["others"].as_array().into_iter().flatten().map(bare).collect();
            let others = if others.is_empty() { String::new() } else { format!("({})", others.join(", ")) };
            let parts = [values.join(" | "), others];
            vec![
                quoted(key),
                parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("  "),
            ]
        })
        .collect();
    table(&rows)
}

fn link(answer: &Value) -> String {
    let whom = if answer["all"] == true {
        "all links".to_owned()
    } else {
        let name = answer["name"].as_str().filter(|name| !name.is_empty());
        format!("the link to {}", name.map_or_else(|| bare(&answer["peer_id"]), str::to_owned))
    };
    let done = if answer["blocked"] == true { "cut" } else { "restored" };
    let news = if answer["changed"] == true { "" } else { " (already)" };
    format!("{whom}: {done}{news}\n")
}

fn release(answer: &Value) -> String {
    let name = answer["name"].as_str().filter(|name| !name.is_empty());
    let name = name.map_or_else(|| bare(&answer["peer_id"]), str::to_owned);
    if answer["changed"] == true {
        format!(
            "{name}: released; nobody waits for it any more before removals are forgotten, unless it comes back\n"
        )
    } else {
        format!("{name}: nobody was waiting for it\n")
    }
}

fn documents(answer: &Value) -> String {
    let titles = ["DOCUMENT", "TYPE", "ITEMS", "REMOVALS", "PENDING", "STABLE"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(answer.as_array().into_iter().flatten().map(|document| {
        let count =
            |key: &str| document[key].as_u64().map_or_else(|| "-".to_owned(), |count| count.to_string());
        let diverged = document["diverged"].as_array().is_some_and(|peers| !peers.is_empty());
        let stable = match (diverged, document["stable"] == true) {
            (true, _) => "diverged",
            (false, true) => "yes",
            (false, false) => "not yet",
        };
        let (name, kind) = (shown(&document["name"]), bare(&document["type"]));
        vec![name, kind, count("items"), count("removals"), count("pending"), stable.to_owned()]
    }));
    format!("{}{}", table(&rows), by_type(answer))
}

/// The documents together by type, where there is more than one of some.
fn by_type(answer: &Value) -> String {
    let mut types: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    for document in answer.as_array().into_iter().flatten() {
        let counts = types.entry(bare(&document["type"])).or_default();
        let more = [1, document["items"].as_u64().unwrap_or(0), document["removals"].as_u64().unwrap_or(0)];
        counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
    }
    if types.values().all(|[documents, ..]| *documents < 2) {
        return String::new();
    }
    let mut rows = vec![["TYPE", "DOCUMENTS", "ITEMS", "REMOVALS"].map(str::to_owned).to_vec()];
    rows.extend(types.into_iter().map(|(name, counts)| {
        let counts = counts.map(|count| count.to_string());
        [vec![name], counts.to_vec()].concat()
    }));
    format!("\n{}", table(&rows))
}

fn change(item: &Value) -> String {
    let by = match item["peer"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => format!("from {name}"),
        None if item["origin"] == "local" => "here".to_owned(),
        None if item["origin"] == "renamed" => "the same, under a new replica id".to_owned(),
        None if item["origin"] == "undone" => "undone, the disk refused it".to_owned(),
        None if item["origin"] == "swept" => "here, with removals forgotten".to_owned(),
        None if item["origin"] == "view" => "as it is".to_owned(),
        None => format!("from {}", bare(&item["origin"])),
    };
    // A text in quotation marks, whose lines are one then.
    let (kind, name) = (bare(&item["type"]), shown(&item["name"]));
    let Some(different) = item["different"].as_array() else {
        return format!("{kind} {name} {}  {by}\n", escaped(&item["value"].to_string()));
    };
    let each = different.iter().map(|change| {
        let what = difference(change, &item["value"]);
        format!("{kind} {name}{what}  {by}\n")
    });
    each.collect()
}

/// What became different in a value, which is given as it is now, and where in it.
fn difference(change: &Value, value: &Value) -> String {
    let mut path: Vec<&Value> = change["path"].as_array().into_iter().flatten().collect();
    let what = &change["what"];
    let in_line = |value: &Value| escaped(&value.to_string());
    let which = matches!(what.as_str(), Some("Entered" | "Left")).then(|| path.pop()).flatten();
    let (kind, of) = match what {
        Value::Object(of) => of.iter().next().map_or(("", &Value::Null), |(kind, of)| (&kind[..], of)),
        kind => (kind.as_str().unwrap_or_default(), &Value::Null),
    };
    let parts = |each: &dyn Fn(&Value) -> String| {
        of.as_array().into_iter().flatten().map(each).collect::<Vec<_>>().join(", ")
    };
    let spliced = |part: &Value| {
        let mut text = format!("at {}", part["at"]);
        if part["deleted"] != 0 {
            text.push_str(&format!(" -{}", part["deleted"]));
        }
        if !matches!(part["inserted"].as_str(), Some("")) && part["inserted"] != Value::Array(Vec::new()) {
            text.push_str(&format!(" +{}", in_line(&part["inserted"])));
        }
        text
    };
    let text = match kind {
        "Added" => format!("is there, {}", in_line(of)),
        "Removed" => "is gone".to_owned(),
        "Entered" => format!("+{}", which.map(in_line).unwrap_or_default()),
        "Left" => format!("-{}", which.map(in_line).unwrap_or_default()),
        "Replaced" => format!("{}, was {}", in_line(&of["new"]), in_line(&of["old"])),
        // What it is now is as short, if it is the counter itself.
        "Incremented" if value.is_number() => {
            let sign = if of.to_string().starts_with('-') { "" } else { "+" };
            format!("{value}, {sign}{of}")
        }
        "Incremented" => {
            if of.to_string().starts_with('-') {
                of.to_string()
            } else {
                format!("+{of}")
            }
        }
        "Spliced" | "ItemsSpliced" => parts(&spliced),
        "Marked" => parts(&|part| {
            let end = part["at"].as_u64().unwrap_or_default() + part["len"].as_u64().unwrap_or_default();
            format!("{}..{end} {} {}", part["at"], shown(&part["name"]), in_line(&part["value"]))
        }),
        _ => in_line(what),
    };
    let path: String = path.into_iter().map(|part| format!("/{}", shown(part))).collect();
    if path.is_empty() { format!(" {text}") } else { format!(" {path} {text}") }
}

/// What people see of a status.
pub fn status(report: &Report) -> String {
    let mut facts = vec![
        vec!["node".to_owned(), format!("{}  {}", report.name, report.peer_id)],
        vec!["space".to_owned(), report.space.clone()],
        vec!["documents".to_owned(), report.documents.to_string()],
        vec!["state".to_owned(), state(report)],
    ];
    if let Some(only) = &report.only {
        let names = only.iter().map(|prefix| format!("{}…", quoted(prefix))).collect::<Vec<_>>().join(" ");
        let kept = if report.kept > 0 {
            format!("  and {} that no peer is known to hold", report.kept)
        } else {
            String::new()
        };
        facts.push(vec!["holds".to_owned(), format!("{names}{kept}")]);
    }
    facts.extend(report.doubt.iter().map(|doubt| vec!["note".to_owned(), doubt.clone()]));
    facts.extend(report.listen.iter().map(|address| vec!["listening".to_owned(), address.clone()]));
    let mut text = table(&facts);
    if report.peers.is_empty() {
        text.push_str("\nno peers yet: `tombolo invite` prints a ticket for others to join with\n");
        return text;
    }
    let titles = ["PEER", "LINK", "RTT", "LAG", "BEHIND", "IN", "OUT", "STATE", "ID"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(report.peers.iter().map(peer));
    text.push('\n');
    text.push_str(&table(&rows));
    for peer in &report.peers {
        if let Some(why) = &peer.refused {
            text.push_str(&format!("\nno session with {}: {why}\n", peer.name));
        }
    }
    for peer in report.peers.iter().filter(|peer| !peer.diverged.is_empty()) {
        let (name, documents) = (
            &peer.name,
            peer.diverged.iter().map(|document| quoted(document)).collect::<Vec<_>>().join(", "),
        );
        text.push_str(&format!(
            "\n{name} holds something else of {documents}, under the same names of events: two homes wrote under one replica id, or a disk changed \
             what it held. Nothing of that is exchanged with {name}. Keep what one of the two homes alone has, and let it join anew as \
             an empty home.\n"
        ));
    }
    text
}

fn state(report: &Report) -> String {
    let state = match (report.running, report.in_sync) {
        _ if report.left => "has left the space; `tombolo join TICKET` brings it back",
        (false, _) => "not running; `tombolo up` starts the node",
        (true, Some(true)) => "running, in sync",
        (true, Some(false)) => "running, catching up",
        (true, None) => "running, nobody connected",
    };
    if report.isolated {
        format!("{state}; all links are cut, `tombolo unblock --all` restores them")
    } else {
        state.into()
    }
}

fn peer(peer: &PeerReport) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let count = |count: Option<u64>| or_dash(count.map(|count| count.to_string()));
    let state = match (peer.blocked, peer.connected, peer.in_sync) {
        (true, ..) => "blocked",
        (false, false, _) if peer.refused.is_some() => "refused",
        (false, false, _) => match peer.membership.as_deref() {
            Some("released") => "out of reach, released",
            Some(_) => "out of reach, waited for",
            None => "out of reach",
        },
        (false, true, _) if !peer.diverged.is_empty() => "diverged",
        (false, true, true) => "in sync",
        (false, true, false) => "catching up",
    };
    vec![
        or_dash(Some(peer.name.clone()).filter(|name| !name.is_empty())),
        or_dash(peer.transport.clone()),
        or_dash(peer.rtt_ms.map(|millis| format!("{millis} ms"))),
        count(peer.lag),
        count(peer.behind),
        bytes(peer.bytes_in),
        bytes(peer.bytes_out),
        state.to_owned(),
        peer.peer_id.clone(),
    ]
}

/// A number of bytes with its unit.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Concern, CounterVerb, MapVerb, RegisterVerb, TextForm};
    use crate::name::Name;
    use serde_json::json;

    fn name() -> Name {
        Name::of_document("x")
    }

    #[test]
    fn people_see_values_without_json() {
        let get = Request::Counter(CounterVerb::Get { name: name() });
        assert_eq!(answer(&get, &json!({ "value": -5 })), "-5\n");
        let list = Request::Set(SetVerb::List { name: name() });
        assert_eq!(answer(&list, &json!(["a", "b c"])), "a\nb c\n");
        assert_eq!(answer(&list, &json!([])), "");
        let get = Request::Register(RegisterVerb::Get { name: name() });
        assert_eq!(answer(&get, &json!({ "values": ["ann's", "bob's"] })), "ann's\nbob's\n");
    }

    #[test]
    fn a_text_ends_with_a_line_break_and_has_no_more_of_them_than_that() {
        let get = Request::Text(TextVerb::Get { name: name(), form: TextForm::Plain });
        for (value, seen) in [("", ""), ("one", "one\n"), ("one\n", "one\n"), ("one\n\n", "one\n\n")] {
            assert_eq!(answer(&get, &json!({ "value": value })), seen);
        }
        let delete = TextVerb::Delete { name: name(), at: 0, count: 1, concern: Concern::default() };
        assert_eq!(
            answer(&Request::Text(delete), &json!({ "length": 1 })),
            "deleted; it has 1 character now\n"
        );
    }

    #[test]
    fn a_text_with_marks_is_a_line_a_run() {
        let get = Request::Text(TextVerb::Runs { name: name() });
        let runs = json!([
            { "text": "The ", "marks": {} },
            { "text": "tide\n", "marks": { "bold": true, "link": "tide.example" } },
        ]);
        assert_eq!(
            answer(&get, &json!({ "value": runs })),
            "\"The \"\n\"tide\\n\"  bold link=tide.example\n"
        );
        assert_eq!(answer(&get, &json!({ "value": [] })), "");
    }

    #[test]
    fn a_list_is_a_line_an_element() {
        let get = Request::List(ListVerb::Get { name: name() });
        assert_eq!(answer(&get, &json!({ "value": ["row out", "fish"] })), "row out\nfish\n");
        assert_eq!(answer(&get, &json!({ "value": [] })), "");
        let concern = Concern::default();
        let set = ListVerb::Set { name: name(), at: 0, value: "dive".into(), concern };
        assert_eq!(answer(&Request::List(set), &json!({ "length": 1 })), "replaced; it has 1 element now\n");
    }

    #[test]
    fn a_tree_is_a_line_a_node_further_in_than_what_it_stands_below() {
        let get = Request::Tree(TreeVerb::Get { name: name(), trash: false });
        let node = |id: &str, parent: Option<&str>, value: &str| json!({ "id": id, "parent": parent, "value": value });
        let nodes = [
            node("1@a", None, "maps"),
            node("3@a", Some("1@a"), "north"),
            node("5@b", Some("3@a"), "two\nlines"),
            node("7@b", Some("1@a"), ""),
            node("9@a", None, "charts"),
        ];
        let drawn = "maps  1@a\n  north  3@a\n    \"two\\nlines\"  5@b\n    7@b\ncharts  9@a\n";
        assert_eq!(answer(&get, &json!(nodes)), drawn);
        assert_eq!(answer(&get, &json!([])), "");
        let purge = TreeVerb::EmptyTrash { name: name(), concern: Concern::default() };
        assert_eq!(answer(&Request::Tree(purge), &json!({ "purged": 1 })), "purged 1 node\n");
    }

    #[test]
    fn what_others_call_things_breaks_no_line_and_commands_no_terminal() {
        let evil = "a\nb\u{1b}[31m\u{9b}2J\u{7f}";
        let seen = "\"a\\nb\\u001b[31m\\u009b2J\\u007f\"";
        let watch = json!({ "type": "set", "name": evil, "value": [evil], "origin": "local" });
        assert_eq!(change(&watch), format!("set {seen} [{seen}]  here\n"));
        let rows =
            json!([{ "name": evil, "type": "set", "items": 1, "removals": 0, "pending": 0, "stable": true }]);
        assert!(documents(&rows).lines().nth(1).is_some_and(|row| row.starts_with(seen)));
        let list = Request::Map(MapVerb::List { name: name() });
        assert_eq!(
            answer(&list, &json!({ evil: { "values": [evil, "plain"] } })),
            format!("{seen}  {seen} | plain\n")
        );
        let get = Request::Tree(TreeVerb::Get { name: name(), trash: false });
        assert_eq!(
            answer(&get, &json!([{ "id": "1@a", "parent": null, "value": evil }])),
            format!("{seen}  1@a\n")
        );
        let runs = Request::Text(TextVerb::Runs { name: name() });
        let marked = json!({ "value": [{ "text": evil, "marks": { evil: true, "link": evil } }] });
        let both = answer(&runs, &marked);
        assert!(!both.trim_end().contains(char::is_control), "{both:?}");
    }

    #[test]
    fn documents_of_one_type_are_counted_together() {
        let document = |name: &str, kind: &str, items: Value| json!({ "name": name, "type": kind, "items": items, "removals": 1, "pending": 0, "stable": true, "diverged": [] });
        let one = json!([document("a", "set", json!(3)), document("b", "text", json!(9))]);
        assert!(!documents(&one).contains("DOCUMENTS"));
        let several = json!([
            document("a", "set", json!(3)),
            document("b", "text", json!(9)),
            document("c", "set", json!(null))
        ]);
        let said = documents(&several);
        let (_, together) = said.split_once("\n\n").expect("two tables");
        let words: Vec<Vec<&str>> = together.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1..], [vec!["set", "2", "3", "2"], vec!["text", "1", "9", "1"]]);
    }

    #[test]
    fn a_map_with_a_key_called_values_is_still_a_map() {
        let list = Request::Map(MapVerb::List { name: name() });
        let entries = json!({ "removed": { "values": ["1"] }, "values": { "values": ["x", "y"] } });
        assert_eq!(answer(&list, &entries), "removed  1\nvalues   x | y\n");
    }

    #[test]
    fn who_is_out_of_reach_is_waited_for_or_released() {
        let state = |membership: Value| {
            let report = json!({
                "peer_id": "12D3", "name": "bob", "connected": false, "transport": null, "rtt_ms": null, "lag": null,
                "behind": null, "in_sync": false, "blocked": false, "bytes_in": 0, "bytes_out": 0,
                "last_repair_ms": null, "addresses": [], "membership": membership,
            });
            peer(&serde_json::from_value(report).unwrap())[7].clone()
        };
        assert_eq!(state(json!("member")), "out of reach, waited for");
        assert_eq!(state(json!("released")), "out of reach, released");
        assert_eq!(state(Value::Null), "out of reach");
    }

    #[test]
    fn a_change_says_what_and_from_whom() {
        let watch = Request::Watch { name: None };
        let item =
            json!({ "name": "visits", "type": "counter", "value": 5, "origin": "12D3", "peer": "bob" });
        assert_eq!(answer(&watch, &item), "counter visits 5  from bob\n");
        let item = json!({ "name": "visits", "type": "counter", "value": 6, "origin": "local" });
        assert_eq!(answer(&watch, &item), "counter visits 6  here\n");
        let item = json!({ "name": "notes", "type": "text", "value": "one\ntwo", "origin": "local" });
        assert_eq!(answer(&watch, &item), "text notes \"one\\ntwo\"  here\n");
        let item = json!({ "type": "set", "name": "labels", "value": ["x"], "origin": "view" });
        assert_eq!(answer(&watch, &item), "set labels [\"x\"]  as it is\n");
        let item = json!({ "type": "map", "name": "board", "value": {}, "origin": "local", "different": [
            { "path": ["visits", "counter"], "what": { "Incremented": -2 } },
            { "path": ["labels", "set", "x\n"], "what": "Left" },
            { "path": ["owner"], "what": { "Added": { "register": ["Ann"] } } },
            { "path": ["notes", "text"], "what": { "Spliced": [
                { "at": 4, "deleted": 2, "inserted": "spring " }, { "at": 20, "deleted": 1, "inserted": "" },
            ] } },
            { "path": ["notes", "text"], "what": { "Marked": [
                { "at": 4, "len": 3, "name": "bold", "value": true },
            ] } },
        ] });
        let expected = [
            "map board /visits/counter -2  here\n",
            "map board /labels/set -\"x\\n\"  here\n",
            "map board /owner is there, {\"register\":[\"Ann\"]}  here\n",
            "map board /notes/text at 4 -2 +\"spring \", at 20 -1  here\n",
            "map board /notes/text 4..7 bold true  here\n",
        ];
        assert_eq!(answer(&watch, &item), expected.concat());
    }
}
