//! What goes to stdout and stderr, and in which form.

mod human;
mod table;

use std::io::{self, Write as _};

use serde_json::{Value, json};

use crate::failure::{Code, Failure, Result};
use crate::request::Request;

pub use human::status;
pub use table::table;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// As JSON, or for people.
    pub json: bool,
}

impl Output {
    /// Prints the answer to a request.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn answer(self, request: &Request, answer: &Value) -> Result<()> {
        if self.json { write_line(&answer.to_string()) } else { write(&human::answer(request, answer)) }
    }

    /// Prints a document of its own: as JSON, or as `people` say.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn document(self, document: &Value, people: impl FnOnce() -> String) -> Result<()> {
        if self.json { write_line(&document.to_string()) } else { write(&people()) }
    }

    /// Says on stderr what went wrong.
    pub fn failure(self, failure: &Failure) {
        if failure.code == Code::BrokenPipe {
            return;
        }
        let said = if self.json {
            json!({ "error": { "code": failure.code, "message": failure.message } }).to_string()
        } else {
            format!("error: {}", failure.message)
        };
        // Who closed stderr does not want to know.
        let _ = writeln!(io::stderr(), "{said}");
    }

    /// A remark for people, on stderr.
    pub fn remark(self, remark: &str) {
        if !self.json {
            let _ = writeln!(io::stderr(), "{remark}");
        }
    }
}

/// Prints one line in passing. That nobody reads any more is no reason to stop.
pub fn line(line: &str) {
    let _ = write_line(line);
}

/// Prints one line.
///
/// # Errors
/// When stdout does not take it; [`Code::BrokenPipe`] if nobody reads any more.
pub fn write_line(line: &str) -> Result<()> {
    write(&format!("{line}\n"))
}

/// Prints as it is.
///
/// # Errors
/// When stdout does not take it; [`Code::BrokenPipe`] if nobody reads any more.
pub fn write(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|why| match why.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Code::BrokenPipe, "nobody reads the output any more"),
        _ => Failure::io("the output cannot be written", &why),
    })
}
