//! `tombolo shell`: a prompt that takes the same verbs, with history and completion.

mod complete;
mod words;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use tokio::runtime::Builder;

use crate::args::{Cli, Common};
use crate::ask::ask;
use crate::command::{perform, runtime};
use crate::failure::{Code, Failure, Result};
use crate::home::Home;
use crate::output::Output;
use crate::request::Request;
use complete::Completer;

pub use words::split;

/// The history's file in the home.
const HISTORY: &str = "shell-history";
const HELP_HINT: &str =
    "verbs as on the command line; `help` lists them, TAB completes, `exit` or Ctrl-D ends";

/// Reads and runs lines until there are none left.
///
/// # Errors
/// When the terminal cannot be used. Failures of single lines are printed; without a terminal, they count in the end.
pub fn run(home: &Home, common: &Common) -> Result<ExitCode> {
    let runtime = runtime(&mut Builder::new_current_thread())?;
    let is_terminal = std::io::stdin().is_terminal();
    let config =
        Config::builder().max_history_size(1_000).and_then(|config| config.history_ignore_dups(true));
    let config = config.map_err(terminal)?.history_ignore_space(true).build();
    let mut editor: Editor<Completer, FileHistory> = Editor::with_config(config).map_err(terminal)?;
    editor.set_helper(Some(Completer::default()));
    let history = home.folder.join(HISTORY);
    if home.exists() {
        // No history yet, or none that can be read: begin with none.
        let _ = editor.load_history(&history);
    }
    if is_terminal {
        Output { json: common.json }.remark(HELP_HINT);
    }
    let mut failed = false;
    loop {
        if let Some(helper) = editor.helper_mut().filter(|_| is_terminal) {
            // Without names there is less to complete, and nothing else is wrong.
            let names = runtime.block_on(ask(home, &Request::Names)).unwrap_or_default();
            helper.set_names(&names);
        }
        match editor.readline("tombolo> ") {
            Ok(line) => {
                let _ = editor.add_history_entry(line.as_str());
                if home.exists() {
                    let _ = editor.append_history(&history);
                }
                match run_line(home, common, &runtime, &line) {
                    Ok(Next::Exit) => break,
                    Ok(Next::Line) => {}
                    Err(failure) if failure.code == Code::BrokenPipe => break,
                    Err(failure) => {
                        Output { json: common.json }.failure(&failure);
                        failed = true;
                    }
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(why) => return Err(terminal(why)),
        }
    }
    Ok(if failed && !is_terminal { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

enum Next {
    Line,
    Exit,
}

fn run_line(home: &Home, common: &Common, runtime: &tokio::runtime::Runtime, line: &str) -> Result<Next> {
    let words = words::split(line).map_err(|why| Failure::new(Code::Usage, why))?;
    match words.first().map(String::as_str) {
        None => return Ok(Next::Line),
        Some(comment) if comment.starts_with('#') => return Ok(Next::Line),
        Some("exit" | "quit") => return Ok(Next::Exit),
        Some(_) => {}
    }
    let parsed = Cli::try_parse_from(std::iter::once("tombolo".to_owned()).chain(words));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => {
            crate::output::write(&error.to_string())?;
            return Ok(Next::Line);
        }
        Err(error) => {
            let message = error.to_string();
            let message = message.trim_end().trim_start_matches("error: ");
            return Err(Failure::new(Code::Usage, message));
        }
    };
    let output = Output { json: common.json || cli.common.json };
    let home = match &cli.common.home {
        Some(other) => Home::find(Some(other), home.patience)?,
        None => home.clone(),
    };
    runtime.block_on(perform(&home, output, cli.verb))?;
    Ok(Next::Line)
}

fn terminal(why: ReadlineError) -> Failure {
    Failure::new(Code::Io, format!("the terminal cannot be used: {why}"))
}
