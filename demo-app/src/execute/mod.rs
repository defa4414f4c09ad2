//! Does what is asked: one function, whether a running node answers or the command has opened the home itself.

mod documents;
mod dump;
mod held;
mod length;
mod links;
mod list;
mod movable;
mod place;
mod said;
mod text;
mod tree;
mod types;
mod watch;

use std::io::ErrorKind;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tombolo_sync::store::StoreError;
use tombolo_sync::{Node, Wipe};

use crate::failure::{Code, Failure, Result};
use crate::name::Name;
use crate::report::Report;
use crate::request::Request;

pub use watch::Watcher;

/// A node to ask.
#[derive(Debug, Clone)]
pub struct Host {
    /// The node.
    pub node: Node,
    /// Whether it is on the network, or only opened for one command.
    pub running: bool,
    /// Told when the node has ended because it was asked to.
    pub ended: Arc<Notify>,
}

impl Host {
    /// A node to ask, on the network or not.
    pub fn new(node: Node, running: bool) -> Self {
        Self { node, running, ended: Arc::default() }
    }
}

/// Does what is asked and says how it went. What it says of a write is said when the write is durable.
///
/// # Errors
/// When it could not be done; nothing has changed then, but for [`Code::NotReplicated`].
pub async fn execute(host: &Host, request: Request) -> Result<Value> {
    let node = &host.node;
    if request.needs_a_running_node() && !host.running {
        return Err(Failure::not_running("this home", &request));
    }
    match request {
        Request::Identity => Ok(identity(node)),
        Request::Invite => {
            let ticket = node.ticket();
            Ok(json!({ "ticket": ticket.to_string(), "addresses": ticket.addresses }))
        }
        Request::Counter(verb) => types::counter(node, verb).await,
        Request::Flag(verb) => types::flag(node, verb).await,
        Request::Set(verb) => types::set(node, verb).await,
        Request::Register(verb) => types::register(node, verb).await,
        Request::Map(verb) => types::map(node, verb).await,
        Request::Text(verb) => text::text(node, verb).await,
        Request::List(verb) => list::list(node, verb).await,
        Request::Movable(verb) => movable::movable(node, verb).await,
        Request::Tree(verb) => tree::tree(node, verb).await,
        Request::Snapshot { name } => as_json(&text::snapshot(node, &name)?),
        Request::Edited { name, edit, concern } => text::edited(node, &name, &edit, concern).await,
        Request::Dump => dump::dump(node),
        Request::Names => {
            let mut names: Vec<String> =
                node.list().iter().map(|listed| Name::of_document(&listed.name).to_string()).collect();
            names.dedup();
            Ok(json!(names))
        }
        Request::Status => as_json(&Report::of(node, host.running)),
        Request::Documents => Ok(documents::documents(node)),
        Request::Release { peer } => links::release(node, &peer).await,
        Request::Retention { days } => links::retention(node, days).await,
        Request::Wait { peers, timeout } => {
            let level = node.wait_in_sync(peers, timeout).await?;
            Ok(json!({ "in_sync": true, "peers": peers, "with": held::named(node, &level.peers) }))
        }
        Request::Link { whom, blocked } => links::cut_or_restore(node, &whom, blocked).await,
        Request::Leave { wipe } => {
            let answer = leave(node, wipe).await;
            if !node.is_running() {
                host.ended.notify_one();
            }
            answer
        }
        Request::Backup { file } => {
            node.backup(&file).await.map_err(|why| match why {
                tombolo_sync::Error::Store(StoreError::Io(why)) if why.kind() != ErrorKind::AlreadyExists => {
                    crate::failure::at(file.as_ref())(why)
                }
                why => why.into(),
            })?;
            let bytes = std::fs::metadata(&file).map_err(crate::failure::at(file.as_ref()))?.len();
            Ok(json!({ "file": file, "bytes": bytes }))
        }
        Request::Watch { .. } => {
            Err(Failure::new(Code::Protocol, "changes come as they arrive, not as one answer"))
        }
    }
}

/// Has the node leave its space, which ends it.
///
/// # Errors
/// When it could not leave, or what it holds could not be removed.
pub async fn leave(node: &Node, wipe: bool) -> Result<Value> {
    let left = node.clone().leave(if wipe { Wipe::Everything } else { Wipe::Keep }).await?;
    Ok(json!({ "left": true, "wiped": wipe, "holders": held::named(node, &left.holders) }))
}

/// What `init`, `join` and `ready` say about a node.
pub fn identity(node: &Node) -> Value {
    json!({ "peer_id": node.peer_id().to_string(), "space": node.space().to_string(), "name": node.name() })
}

fn as_json(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|why| Failure::new(Code::Failed, format!("this is not JSON: {why}")))
}
