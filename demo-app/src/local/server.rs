//! The node's end of the socket.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::wire::{self, Answer};
use super::{CallError, place};
use crate::execute::{Host, Watcher, execute};
use crate::failure::{Code, Failure, Result};
use crate::request::Request;

/// How many commands are served at once; more wait.
const MAX_CONNECTIONS: usize = 256;
/// How long commands get to take their last answers when the node ends.
const FAREWELL: Duration = Duration::from_secs(3);

/// A socket on which a running node answers.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Puts the socket in its place, instead of one that a killed node left there. The caller holds the home's lock.
    ///
    /// # Errors
    /// When there is no place for it that only this user can open.
    pub fn bind(home: &Path) -> Result<Self> {
        let bound = || {
            let path = place::choose(home)?;
            match fs::remove_file(&path) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            Ok(Self { listener, path })
        };
        bound().map_err(|why| Failure::io("the socket for other commands cannot be opened", &why))
    }

    /// Answers until `stop` turns true; then lets everybody have the answer that is under way, and takes the socket
    /// away.
    pub async fn serve(self, host: Host, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => accepted,
                _ = connections.join_next(), if connections.len() >= MAX_CONNECTIONS => continue,
                () = told(&mut stop) => break,
            };
            match accepted {
                Ok((stream, _)) if is_ours(&stream) => {
                    connections.spawn(converse(stream, host.clone(), stop.clone()));
                }
                Ok(_) => tracing::warn!("another user tried to connect to the local socket"),
                Err(why) => {
                    // Out of descriptors, most likely: others will end.
                    tracing::warn!(%why, "a command could not connect");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self);
        let _ =
            tokio::time::timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been taken away already; the next node replaces what is left.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_ours(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|them| them.uid() == place::user())
}

/// Serves one command, which may ask several times. That it goes away is no error.
async fn converse(stream: UnixStream, host: Host, stop: watch::Receiver<bool>) {
    let (mut from, mut to) = stream.into_split();
    if let Err(why) = answer_all(&mut from, &mut to, &host, stop).await {
        tracing::debug!(%why, "a command hung up");
    }
}

async fn answer_all(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    host: &Host,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    say(to, &Answer::Hello { protocol: wire::PROTOCOL }).await?;
    loop {
        let frame = tokio::select! {
            frame = wire::read(from, wire::MAX_REQUEST) => frame,
            () = told(&mut stop) => return say(to, &Answer::Bye).await,
        };
        let frame = match frame {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(why) if why.kind() == io::ErrorKind::InvalidData => {
                // What follows cannot be told apart from the rest of the frame.
                return say(to, &malformed(&why)).await;
            }
            Err(why) => return Err(why),
        };
        match wire::parse::<Request>(&frame) {
            Err(why) => say(to, &malformed(&why)).await?,
            Ok(Request::Watch { name }) => {
                let mut watcher = Watcher::new(&host.node, name);
                loop {
                    let item = tokio::select! {
                        item = watcher.next() => item,
                        () = hung_up(from) => return Ok(()),
                        () = told(&mut stop) => None,
                    };
                    let Some(item) = item else {
                        break say(to, &Answer::Done(serde_json::Value::Null)).await?;
                    };
                    say(to, &Answer::Item(item)).await?;
                }
            }
            Ok(request @ Request::Wait { .. }) => {
                let answer = tokio::select! {
                    answer = perform(host, request) => answer,
                    () = hung_up(from) => return Ok(()),
                    () = told(&mut stop) => return say(to, &Answer::Bye).await,
                };
                say(to, &answer).await?;
            }
            Ok(request) if request.waits_for_copies() => {
                // It goes on being written, whoever waits.
                let answer = tokio::select! {
                    answer = perform(host, request) => answer,
                    () = hung_up(from) => return Ok(()),
                    () = told(&mut stop) => Answer::Failed(CallError::InDoubt.into_failure()),
                };
                say(to, &answer).await?;
            }
            Ok(request) => {
                let answer = perform(host, request).await;
                say(to, &answer).await?;
            }
        }
    }
}

/// On a task of its own, so that a bug in one verb costs one answer and not the conversation.
async fn perform(host: &Host, request: Request) -> Answer {
    let host = host.clone();
    match tokio::spawn(async move { execute(&host, request).await }).await {
        Ok(Ok(value)) => Answer::Done(value),
        Ok(Err(failure)) => Answer::Failed(failure),
        Err(why) => {
            tracing::error!(%why, "a request was not completed");
            Answer::Failed(Failure::new(Code::Failed, "the node could not complete this; see its log"))
        }
    }
}

fn malformed(why: &io::Error) -> Answer {
    Answer::Failed(Failure::new(Code::Protocol, format!("this is not a request: {why}")))
}

async fn say(to: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    match wire::write(to, answer, wire::MAX_ANSWER).await {
        Err(why) if why.kind() == io::ErrorKind::InvalidInput => {
            let failure = Failure::new(Code::Failed, format!("the answer is too long: {why}"));
            wire::write(to, &Answer::Failed(failure), wire::MAX_ANSWER).await
        }
        written => written,
    }
}

/// Waits until it is time to stop. (A function of its own, for what `wait_for` yields must not be kept.)
async fn told(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody is left to say so.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits until the command goes away. Whoever is waiting for an answer says nothing.
async fn hung_up(from: &mut OwnedReadHalf) {
    let mut byte = [0; 1];
    loop {
        if from.readable().await.is_err() {
            return;
        }
        match from.try_read(&mut byte) {
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}
