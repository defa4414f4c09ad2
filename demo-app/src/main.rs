//! `tombolo`: replicated data on the command line, between any number of machines and without a server.
//!
//! ```text
//! args ──▶ command ──▶ ask ──▶ local::Client ─ ─ socket ─ ─▶ local::Server (in `up`) ──┐
//!                       └────▶ home::open (no node runs) ──────────────────────────────┴──▶ execute
//! ```
//!
//! Each verb is one [`Request`](request::Request) (`init`, `join`, `restore`, `inspect` and `up` excepted), answered by one function,
//! [`execute`](execute::execute), either in the node that runs on the home or, where none runs, in the command itself.
//! `text edit` is two, one before the editor runs and one after. The answer is JSON; `output` prints it, or says it for people.
//!
//! On Unix commands reach a running node over a socket that only this user can open. Elsewhere they work while no node
//! runs.

#![forbid(unsafe_code)]

mod args;
mod ask;
mod client;
mod command;
mod content;
mod demo;
mod edit;
mod execute;
mod failure;
mod figures;
mod follow;
mod home;
mod inspect;
mod local;
mod membership;
mod name;
mod output;
mod report;
mod request;
mod scrape;
mod shell;
mod signal;
mod up;

use std::io::{IsTerminal as _, stderr};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use tracing_subscriber::EnvFilter;

use args::Cli;
use failure::{Code, Failure};
use output::Output;

fn main() -> ExitCode {
    log();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error, Output { json: asks_for_json() }),
    };
    let output = Output { json: cli.common.json };
    match command::run(cli) {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

/// Says what is wrong with the command line; or prints what was asked for instead, such as `--help`.
fn usage(error: &clap::Error, output: Output) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Who closed stdout does not want to know.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        _ if output.json => {
            let message = error.to_string();
            let failure = Failure::new(Code::Usage, message.trim_end().trim_start_matches("error: "));
            output.failure(&failure);
            failure.exit_code()
        }
        _ => {
            let _ = error.print();
            ExitCode::from(2)
        }
    }
}

/// Whether a command line that cannot be parsed asks for JSON.
fn asks_for_json() -> bool {
    std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

/// Logs go to stderr, errors only unless `TOMBOLO_LOG` or `RUST_LOG` says otherwise.
fn log() {
    let wanted = ["TOMBOLO_LOG", "RUST_LOG"].into_iter().find_map(|variable| std::env::var(variable).ok());
    let filter = EnvFilter::builder().parse_lossy(wanted.unwrap_or_else(|| "error".into()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(stderr().is_terminal())
        .init();
}
