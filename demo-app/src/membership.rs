//! `init`, `join`, `restore`, `renew` and `leave`: how a home comes to its space, and out of it.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use serde_json::{Value, json};
use tombolo_sync::{Error, Node, Ticket};

use crate::args::{InitArgs, JoinArgs, LeaveArgs, RenewArgs};
use crate::execute::identity;
use crate::failure::{Code, Failure, Result, at};
use crate::home::Home;
use crate::local::Client;
use crate::output::Output;
use crate::request::Request;

/// Makes an identity and a space, or names those that are there.
///
/// # Errors
/// When the home cannot be used.
pub async fn init(home: &Home, output: Output, args: InitArgs) -> Result<()> {
    let (mut answer, created) = match running(home).await? {
        Some(answer) => {
            if args.name.as_deref().is_some_and(|name| answer["name"] != name) {
                return Err(stop_first(home, "rename it"));
            }
            (answer, false)
        }
        None => {
            let builder = || {
                let builder = home.builder().offline();
                args.name.iter().fold(builder, |builder, name| builder.name(name))
            };
            let existing = if home.exists() {
                home.start(builder()).await
            } else {
                Err(Failure::no_space(&home.folder))
            };
            let (node, created) = match existing {
                Err(failure) if failure.code == Code::NoSpace => {
                    (home.start(builder().create()).await?, true)
                }
                existing => (existing?, false),
            };
            let answer = identity(&node);
            node.shutdown().await;
            (answer, created)
        }
    };
    answer["created"] = json!(created);
    output.document(&answer, || {
        let done = if created { "created" } else { "there already" };
        let next = if created {
            "\nnext: `tombolo up`, and on another machine `tombolo join` what `tombolo invite` prints here"
        } else {
            ""
        };
        format!("{done}\n{}{next}\n", who(&answer))
    })
}

/// Joins the space of a ticket.
///
/// # Errors
/// When the ticket cannot be read, the home holds documents of another space and nothing was said about merging, or a
/// node runs on it.
pub async fn join(home: &Home, output: Output, args: JoinArgs) -> Result<()> {
    let ticket: Ticket = args.ticket.parse().map_err(|why| Failure::from(Error::Ticket(why)))?;
    let answer = match running(home).await? {
        Some(answer) if answer["space"] == ticket.space.to_string() => answer,
        Some(_) => return Err(stop_first(home, "join another space")),
        None => {
            let builder = home.builder().offline();
            let builder = if args.merge { builder.join_merging(ticket) } else { builder.join(ticket) };
            let builder = args.name.iter().fold(builder, |builder, name| builder.name(name));
            let node = home.start(builder).await?;
            let answer = identity(&node);
            node.shutdown().await;
            answer
        }
    };
    output.document(&answer, || format!("joined\n{}\nnext: `tombolo up`\n", who(&answer)))
}

/// Makes a home of a backup.
///
/// # Errors
/// When there is a home already, or the file is no backup.
pub async fn restore(home: &Home, output: Output, file: &Path) -> Result<()> {
    if home.exists() {
        let message =
            format!("{} is a home already; say --home DIR with a folder that is none", home.folder.display());
        return Err(Failure::new(Code::Exists, message));
    }
    // What is wrong with the file is said of the file.
    std::fs::File::open(file).map_err(at(file))?;
    Node::restore(file, &home.folder).await?;
    let node = home.start(home.builder().offline()).await?;
    let answer = identity(&node);
    node.shutdown().await;
    output.document(&answer, || format!("restored\n{}\nnext: `tombolo up`\n", who(&answer)))
}

/// Makes a new secret for the space.
///
/// # Errors
/// When nobody said yes, the home has no space or has left it, or a node runs on it.
pub async fn renew(home: &Home, output: Output, args: &RenewArgs) -> Result<()> {
    if !home.exists() {
        return Err(Failure::no_space(&home.folder));
    }
    if running(home).await?.is_some() {
        return Err(stop_first(home, "renew the space's secret"));
    }
    let what =
        "The space gets a new secret. Every other device is refused until it has joined with the new ticket.";
    sure(output, args.yes, what)?;
    let node = home.start(home.builder().renew_secret().offline()).await?;
    let (mut answer, ticket) = (identity(&node), node.ticket());
    node.shutdown().await;
    answer["ticket"] = json!(ticket.to_string());
    answer["addresses"] = json!(ticket.addresses);
    output.remark("note: on each device that stays: stop its node, `tombolo join` this ticket, `tombolo up`. It keeps its documents.");
    output.document(&answer, || format!("{}\n", ticket))
}

/// Leaves the space: by the node that runs on the home, or by one that is started for it.
///
/// # Errors
/// When nobody said yes, the home has no space, or it cannot be left or removed.
pub async fn leave(home: &Home, output: Output, args: &LeaveArgs) -> Result<()> {
    if !home.exists() {
        return Err(Failure::no_space(&home.folder));
    }
    let what = if args.wipe {
        "This node leaves the space, and its documents, key and secret are removed from this home. What no other node holds is lost."
    } else {
        "This node leaves the space for good. Its documents stay here; it does not exchange them any more unless it joins again."
    };
    sure(output, args.yes, what)?;
    let request = Request::Leave { wipe: args.wipe };
    let answer = match Client::find(&home.folder).await? {
        Some(mut client) => client.ask(request).await?,
        None => {
            let node = match home.start(home.builder()).await {
                // It has left before, and has nobody to tell.
                Err(failure) if failure.code == Code::Left && args.wipe => {
                    home.start(home.builder().offline()).await?
                }
                started => started?,
            };
            let answer = crate::execute::leave(&node, args.wipe).await;
            node.shutdown().await;
            answer?
        }
    };
    output.document(&answer, || {
        let holders = answer["holders"].as_array().into_iter().flatten();
        let names: Vec<_> =
            holders.map(|peer| peer["name"].as_str().or(peer["peer_id"].as_str()).unwrap_or("?")).collect();
        let told = if names.is_empty() {
            "nobody could be told: if others are waiting for it, `tombolo release` there ends that".to_owned()
        } else {
            format!("{} has all it held", names.join(", "))
        };
        let next = if args.wipe {
            format!("removed: the documents, the key and the secret in {}", home.folder.display())
        } else {
            "its documents can be read and written here; `tombolo join TICKET` brings it back".to_owned()
        };
        format!("left\n{told}\n{next}\n")
    })
}

/// Asks whether that is wanted, unless the answer has been given.
fn sure(output: Output, yes: bool, what: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if output.json || !std::io::stdin().is_terminal() {
        let message = format!("{what} Nobody can be asked here whether that is wanted: say --yes if it is");
        return Err(Failure::new(Code::Usage, message));
    }
    let mut stderr = std::io::stderr();
    let mut answer = String::new();
    let asked = write!(stderr, "{what}\nGo on? Type yes: ").and_then(|()| stderr.flush());
    asked
        .and_then(|()| std::io::stdin().read_line(&mut answer))
        .map_err(|why| Failure::io("you cannot be asked", &why))?;
    if answer.trim().eq_ignore_ascii_case("yes") {
        Ok(())
    } else {
        Err(Failure::new(Code::NotConfirmed, "nothing was done"))
    }
}

fn who(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    format!("node   {}  {}\nspace  {}", text("name"), text("peer_id"), text("space"))
}

/// What the node says that runs on the home, if one does.
async fn running(home: &Home) -> Result<Option<Value>> {
    let Some(mut client) = Client::find(&home.folder).await? else { return Ok(None) };
    match client.request(&Request::Identity).await {
        Ok(answer) => Ok(Some(answer)),
        Err(crate::local::CallError::Failed(failure)) => Err(failure),
        // It has just ended.
        Err(_) => Ok(None),
    }
}

fn stop_first(home: &Home, what: &str) -> Failure {
    let message = format!("a node runs on {}; stop it to {what}", home.folder.display());
    Failure::new(Code::Running, message)
}
