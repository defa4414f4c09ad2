//! `watch` and `status --watch`: output that goes on until it is interrupted.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ask;
use crate::failure::{Failure, Result};
use crate::home::Home;
use crate::local::Client;
use crate::name::Name;
use crate::output::{Output, write, write_line};
use crate::report::Report;
use crate::request::Request;
use crate::signal;

/// How often the status is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often a home without a node is looked at, which means to open it.
const LOOK_AT_STORE: Duration = Duration::from_secs(5);
/// Sets the terminal's cursor to the top and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Prints changes as they arrive.
///
/// # Errors
/// When no node runs, or it ends.
pub async fn watch(home: &Home, output: Output, name: Option<Name>) -> Result<()> {
    let request = Request::Watch { name };
    let stopped = signal::stop()?;
    tokio::select! {
        ended = ask::follow(home, &request, |item| output.answer(&request, &item)) => ended,
        () = stopped => Ok(()),
    }
}

/// Prints the status whenever it changes; goes on while nodes come and go.
///
/// # Errors
/// When the home has no space, or stdout does not take it.
pub async fn status(home: &Home, output: Output) -> Result<()> {
    let stopped = signal::stop()?;
    tokio::select! {
        ended = print_changes(home, output) => ended,
        () = stopped => Ok(()),
    }
}

async fn print_changes(home: &Home, output: Output) -> Result<()> {
    let redraw = !output.json && std::io::stdout().is_terminal();
    let mut last: Option<Value> = None;
    let mut looked_at_store: Option<Instant> = None;
    loop {
        let is_running = Client::find(&home.folder).await?.is_some();
        if is_running || looked_at_store.is_none_or(|at| at.elapsed() >= LOOK_AT_STORE) {
            looked_at_store = (!is_running).then(Instant::now);
            let status = ask::ask(home, &Request::Status).await?;
            if last.as_ref() != Some(&status) {
                print(output, redraw, &status)?;
                last = Some(status);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn print(output: Output, redraw: bool, status: &Value) -> Result<()> {
    if output.json {
        return write_line(&status.to_string());
    }
    let report: Report = serde_json::from_value(status.clone()).map_err(|why| {
        Failure::new(crate::failure::Code::Protocol, format!("this is not a status: {why}"))
    })?;
    let shown = crate::output::status(&report);
    if redraw { write(&format!("{CLEAR}{shown}")) } else { write(&format!("{shown}\n")) }
}
