//! Gets a request answered: by the node that runs on the home, or by opening the home.

use serde_json::Value;

use crate::execute::{Host, execute};
use crate::failure::{Code, Failure, Result};
use crate::home::{Home, Patience};
use crate::local::{CallError, Client};
use crate::request::Request;

/// Gets a request answered.
///
/// A home that somebody else has open without answering on a socket is about to be closed, or about to answer: wait for
/// either.
///
/// # Errors
/// When it could not be done, or the home was in use for too long.
pub async fn ask(home: &Home, request: &Request) -> Result<Value> {
    let patience = Patience::start(home.patience);
    loop {
        if let Some(mut client) = Client::find(&home.folder).await? {
            match client.request(request).await {
                Ok(value) => return Ok(value),
                Err(CallError::NotTaken) => {}
                Err(CallError::InDoubt) if request.is_repeatable() => {}
                Err(failed) => return Err(failed.into_failure()),
            }
        } else if request.needs_a_running_node() {
            // One may be starting.
            if patience.is_over() || !home.exists() {
                return Err(not_running(home, request));
            }
        } else if let Some(node) = home.open().await? {
            let host = Host::new(node, false);
            let answer = execute(&host, request.clone()).await;
            host.node.shutdown().await;
            return answer;
        }
        patience.pause(home).await?;
    }
}

/// Hands over each item of the answer of a running node, until `each` fails or the node ends.
///
/// # Errors
/// When no node runs, or `each` failed.
pub async fn follow(home: &Home, request: &Request, each: impl FnMut(Value) -> Result<()>) -> Result<()> {
    let patience = Patience::start(home.patience);
    let mut client = loop {
        if let Some(client) = Client::find(&home.folder).await? {
            break client;
        }
        if patience.is_over() || !home.exists() {
            return Err(not_running(home, request));
        }
        patience.pause(home).await?;
    };
    match client.stream(request, each).await {
        Ok(_) => Err(Failure::new(Code::NotRunning, "the node has ended")),
        Err(CallError::Failed(failure)) => Err(failure),
        Err(CallError::NotTaken | CallError::InDoubt) => {
            Err(Failure::new(Code::NotRunning, "the node has ended"))
        }
    }
}

fn not_running(home: &Home, request: &Request) -> Failure {
    if !home.exists() {
        return Failure::no_space(&home.folder);
    }
    Failure::not_running(home.folder.display(), request)
}
