//! What a command says when it did not do what it was asked for.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tombolo_sync::engine::OpenError;
use tombolo_sync::store::StoreError;

use crate::request::Request;

/// Why a command failed: a code for scripts, a message for people that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// For scripts.
    pub code: Code,
    /// For people.
    pub message: String,
}

/// What kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The command line makes no sense.
    Usage,
    /// The home has no space.
    NoSpace,
    /// The home has left its space.
    Left,
    /// There is a home already, where there should be none.
    Exists,
    /// The home has another space, with writes.
    OtherSpace,
    /// The ticket cannot be read.
    BadTicket,
    /// Another process has the home.
    Locked,
    /// A node runs on the home, and must not for this.
    Running,
    /// No node runs on the home, and one must for this.
    NotRunning,
    /// Whoever was asked did not say yes.
    NotConfirmed,
    /// The name stands for something of another type.
    WrongType,
    /// The text, list or tree has no such place.
    OutOfRange,
    /// The tree has no such node, or not there.
    UnknownNode,
    /// A node would stand below itself.
    BelowItself,
    /// The editor could not be started, or failed.
    Editor,
    /// The name cannot be one.
    BadName,
    /// No peer is meant.
    UnknownPeer,
    /// More than one peer may be meant.
    AmbiguousPeer,
    /// The time was up.
    Timeout,
    /// The home's content is not what this program wrote.
    Damaged,
    /// The file is none that this program writes.
    NotOurs,
    /// No document of a store is meant, or more than one.
    UnknownDocument,
    /// The disk refused a write, and it was undone.
    NotDurable,
    /// Not as many peers as wanted held a write in time; it stays.
    NotReplicated,
    /// The node ended before it answered, so the write was taken or not.
    InDoubt,
    /// An address cannot be used.
    Address,
    /// The operating system refused.
    Io,
    /// The other end of the socket is of another version or does not keep to the protocol.
    Protocol,
    /// Not on this system, or not here.
    Unsupported,
    /// Nobody reads the output any more: no failure, but a reason to stop.
    BrokenPipe,
    /// Anything else.
    Failed,
}

/// What commands return.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The operating system refused `what`.
    pub fn io(what: impl std::fmt::Display, why: &std::io::Error) -> Self {
        Self::new(Code::Io, format!("{what}: {why}"))
    }

    /// How the process ends.
    pub fn exit_code(&self) -> ExitCode {
        match self.code {
            Code::Usage => ExitCode::from(2),
            Code::BrokenPipe => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }

    /// No node runs on a home, and one must for this.
    pub fn not_running(home: impl std::fmt::Display, request: &Request) -> Self {
        let message = if request.waits_for_copies() {
            format!(
                "no node runs on {home}, so nobody can be asked whether they hold the write, and nothing was written; start one with `tombolo up`, or write without --replicated"
            )
        } else {
            format!("no node runs on {home}; start one with `tombolo up`")
        };
        Self::new(Code::NotRunning, message)
    }

    /// The home has no space.
    pub fn no_space(home: &std::path::Path) -> Self {
        let home = home.display();
        let message = format!(
            "{home} belongs to no space yet; run `tombolo init` to make one, or `tombolo join TICKET` to join someone's"
        );
        Self::new(Code::NoSpace, message)
    }
}

impl From<tombolo_sync::Error> for Failure {
    fn from(error: tombolo_sync::Error) -> Self {
        use tombolo_sync::Error;
        let code = match &error {
            Error::NoSpace(home) => return Self::no_space(home),
            Error::OtherSpace { ours, theirs } => {
                let message = format!(
                    "this home already holds documents of space {ours}; to bring them into space {theirs}, say `join TICKET --merge`, or use another home"
                );
                return Self::new(Code::OtherSpace, message);
            }
            Error::Left(home) => {
                let home = home.display();
                let message = format!(
                    "{home} has left its space; run `tombolo join TICKET` with a ticket of it to be in it again, or `tombolo leave --wipe` to remove what it holds"
                );
                return Self::new(Code::Left, message);
            }
            Error::Ticket(_) => Code::BadTicket,
            Error::Store(why) => store_code(why),
            Error::Start(_) => Code::Damaged,
            Error::Net(_) | Error::Address { .. } => Code::Address,
            Error::Open(OpenError::WrongType { .. } | OpenError::Content { .. }) => Code::WrongType,
            Error::Open(OpenError::Name) => Code::BadName,
            Error::NotDurable { .. } | Error::ReadOnly => Code::NotDurable,
            Error::NotInSync(_) | Error::NotReached(_) => Code::Timeout,
            Error::NotReplicated(_) => Code::NotReplicated,
            _ => Code::Failed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(store_code(&error), error.to_string())
    }
}

fn store_code(why: &StoreError) -> Code {
    match why {
        StoreError::Locked(_) => Code::Locked,
        StoreError::Damaged(_) | StoreError::Format { .. } => Code::Damaged,
        StoreError::TooLarge { .. } | StoreError::InDoubt(_) => Code::NotDurable,
        _ => Code::Io,
    }
}

/// Where a file or folder of ours is, for messages about what went wrong with it.
pub fn at(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = PathBuf::from(path);
    move |why| Failure::io(path.display(), &why)
}
