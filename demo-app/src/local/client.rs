//! A command's end of the socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::wire::{self, Answer};
use super::{CallError, place};
use crate::failure::{Code, Failure, Result};
use crate::request::Request;

/// How long a running node may take to say hello. One that does not is as good as none, for now.
const HELLO: Duration = Duration::from_secs(5);

/// A connection to the node that runs on a home.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
}

impl Client {
    /// Connects to the node that runs on `home`.
    ///
    /// # Errors
    /// When none does, or it is of another version of this program.
    pub async fn connect(home: &Path) -> Result<Self> {
        let none = || Failure::new(Code::NotRunning, format!("no node runs on {}", home.display()));
        Self::find(home).await?.ok_or_else(none)
    }

    /// Connects to the node that runs on `home`; `None` if none does.
    ///
    /// # Errors
    /// When the node is of another version of this program.
    pub async fn find(home: &Path) -> Result<Option<Self>> {
        for path in place::candidates(home) {
            // Nobody answers at the socket of a node that was killed.
            let Ok(stream) = UnixStream::connect(&path).await else { continue };
            let mut client = Self { stream };
            match timeout(HELLO, client.receive()).await {
                Ok(Ok(Answer::Hello { protocol: wire::PROTOCOL })) => return Ok(Some(client)),
                Ok(Ok(Answer::Hello { protocol })) => {
                    let message = format!(
                        "the running node speaks protocol {protocol}, this command {}; restart the node with the same version",
                        wire::PROTOCOL
                    );
                    return Err(Failure::new(Code::Protocol, message));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When it could not be done, or the node ended; [`Code::InDoubt`] if nobody knows which.
    pub async fn ask(&mut self, request: Request) -> Result<Value> {
        self.request(&request).await.map_err(CallError::into_failure)
    }

    /// Asks, and waits for the answer; says exactly what became of the request.
    ///
    /// # Errors
    /// When it could not be done, or the node ended.
    pub async fn request(&mut self, request: &Request) -> Result<Value, CallError> {
        self.stream(request, |_| Ok(())).await
    }

    /// Asks, and hands over each item as it arrives until `each` fails or the node is done.
    ///
    /// # Errors
    /// When it could not be done, `each` failed, or the node ended.
    pub async fn stream(
        &mut self,
        request: &Request,
        mut each: impl FnMut(Value) -> Result<()>,
    ) -> Result<Value, CallError> {
        if let Err(why) = wire::write(&mut self.stream, request, wire::MAX_REQUEST).await {
            if why.kind() == io::ErrorKind::InvalidInput {
                let most = wire::MAX_REQUEST >> 20;
                let message = format!(
                    "this is more than the {most} MiB that a running node takes at once: write it in several pieces, or stop the node while you do"
                );
                return Err(CallError::Failed(Failure::new(Code::Failed, message)));
            }
            // It may have said why; if not, part of the request may have reached it.
            return match self.receive().await {
                Ok(Answer::Bye) => Err(CallError::NotTaken),
                Ok(Answer::Failed(failure)) => Err(CallError::Failed(failure)),
                _ => Err(CallError::InDoubt),
            };
        }
        loop {
            match self.receive().await {
                Ok(Answer::Item(item)) => each(item).map_err(CallError::Failed)?,
                Ok(Answer::Done(value)) => return Ok(value),
                Ok(Answer::Failed(failure)) => return Err(CallError::Failed(failure)),
                Ok(Answer::Bye) => return Err(CallError::NotTaken),
                Ok(Answer::Hello { .. }) | Err(_) => return Err(CallError::InDoubt),
            }
        }
    }

    async fn receive(&mut self) -> io::Result<Answer> {
        match wire::read(&mut self.stream, wire::MAX_ANSWER).await? {
            Some(frame) => wire::parse(&frame),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
