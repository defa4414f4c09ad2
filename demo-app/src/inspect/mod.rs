//! `tombolo inspect`: what is in a file of ours.
//!
//! Nothing is changed, and nothing is needed but the file: what cannot be read any more is said, and the rest is shown.

mod message;
mod salvage;
mod store;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use tombolo_sync::Ticket;

use crate::args::InspectArgs;
use crate::failure::{Code, Failure, Result, at};
use crate::home::STORE;
use crate::output::Output;

/// How many lines are shown of what has more.
const SOME: usize = 20;
/// Tickets are shorter.
const LONGEST_TICKET: u64 = 16 << 10;

/// Prints what is in a file.
///
/// # Errors
/// When it cannot be read, is none of ours, or is in use.
pub fn inspect(output: Output, args: &InspectArgs) -> Result<()> {
    if let (Some(text), false) = (args.file.to_str(), args.file.exists())
        && text.starts_with("tombolo1")
    {
        only_stores(args, "a ticket")?;
        return ticket(output, text);
    }
    let path = file_of(&args.file)?;
    let mut begin = Vec::new();
    let file = File::open(&path).map_err(at(&path))?;
    file.take(LONGEST_TICKET).read_to_end(&mut begin).map_err(at(&path))?;
    if begin.starts_with(b"redb") {
        return store::inspect(output, args, &path);
    }
    if begin.starts_with(b"TMBL") {
        only_stores(args, "a message")?;
        return message::inspect(output, &path, args.full);
    }
    match std::str::from_utf8(&begin) {
        Ok(text) if text.trim_start().starts_with("tombolo") => {
            only_stores(args, "a ticket")?;
            ticket(output, text)
        }
        _ => Err(none_of_ours(&path, &begin)),
    }
}

/// The file that is meant: of a folder, the store in it.
fn file_of(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let file = path.join(STORE);
    if file.exists() {
        return Ok(file);
    }
    let message = format!(
        "{} is a folder without a store ({STORE}), so no home; name the folder of a home, or a file",
        path.display()
    );
    Err(Failure::new(Code::NotOurs, message))
}

/// Refuses what can be done with stores only.
fn only_stores(args: &InspectArgs, what: &str) -> Result<()> {
    let option = match (&args.document, &args.salvage) {
        (Some(_), _) => "--document",
        (_, Some(_)) => "--salvage",
        (None, None) => return Ok(()),
    };
    let message = format!("{option} is for stores and backups, and this is {what}");
    Err(Failure::new(Code::Usage, message))
}

fn none_of_ours(path: &Path, begin: &[u8]) -> Failure {
    let found = match begin {
        [] => "it is empty".to_owned(),
        begin => format!("it begins with {:?}", begin[..begin.len().min(8)].escape_ascii().to_string()),
    };
    let message = format!(
        "{} is nothing that this program writes: {found}, where a store or backup begins with \"redb\", a message with \"TMBL\" and a ticket with \"tombolo1\"",
        path.display()
    );
    Failure::new(Code::NotOurs, message)
}

/// Says what a ticket says, but for its secret.
fn ticket(output: Output, text: &str) -> Result<()> {
    let ticket: Ticket = text
        .parse()
        .map_err(|why: tombolo_sync::TicketError| Failure::new(Code::BadTicket, why.to_string()))?;
    let (space, inviter) = (ticket.space.to_string(), ticket.inviter.to_string());
    let answer = json!({
        "kind": "ticket", "space": space, "inviter": inviter, "addresses": ticket.addresses,
    });
    output.document(&answer, || {
        let mut text =
            format!("a ticket; who has it is let into the space\nspace     {space}\ninviter   {inviter}\n");
        for address in &ticket.addresses {
            text.push_str(&format!("address   {address}\n"));
        }
        text
    })
}

/// A number with a space between thousands.
fn grouped(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// The rows that are shown of all there are, and a line on those that are not.
fn shortened<T>(all: &[T], full: bool) -> (&[T], String) {
    if full || all.len() <= SOME {
        return (all, String::new());
    }
    (&all[..SOME], format!("… and {} more; --full shows all\n", grouped(all.len() - SOME)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_and_numbers_are_grouped() {
        let all: Vec<u32> = (0..1_254).collect();
        let (some, more) = shortened(&all, false);
        assert_eq!((some.len(), &more[..]), (20, "… and 1 234 more; --full shows all\n"));
        assert_eq!(shortened(&all, true).0.len(), 1_254);
        assert_eq!(shortened(&all[..20], false).1, "");
        assert_eq!([0_u64, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
    }
}
